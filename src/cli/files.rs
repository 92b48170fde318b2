//! Files of the command line: bounded reading, atomic writing that only the owner may read.

use super::exit::{Exit, Failure, OrExit};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Reads a text file of at most `bytes_max` bytes.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String, Failure> {
    let doing = || format!("reading {}", path.display());
    let file = File::open(path).or_exit_with(Exit::BadInput, doing())?;
    let mut text = String::new();
    let read = std::io::Read::take(file, bytes_max + 1);
    let read =
        std::io::Read::read_to_string(&mut { read }, &mut text).or_exit_with(Exit::BadInput, doing())?;
    if read as u64 > bytes_max {
        let message = format!("{} is larger than {bytes_max} bytes: not the file meant", path.display());
        return Err(Failure::new(Exit::BadInput, message));
    }
    Ok(text)
}

#[cfg(feature = "agency")]
/// Opens a file for reading.
pub(crate) fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).or_exit_with(Exit::BadInput, format!("opening {}", path.display()))
}

/// Writes a file whole or not at all: a temporary file beside it (0600), flushed, then renamed.
pub(crate) fn write_atomic(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let doing = || format!("writing {}", path.display());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let file = tempfile::NamedTempFile::new_in(folder).or_exit_with(Exit::BadInput, doing())?;
    let mut writer = BufWriter::new(file.as_file());
    write(&mut writer)?;
    writer.flush().or_exit_with(Exit::Internal, doing())?;
    drop(writer);
    file.as_file().sync_all().or_exit_with(Exit::Internal, doing())?;
    file.persist(path).or_exit_with(Exit::BadInput, doing())?;
    Ok(())
}

/// Writes a value as JSON for people to read, whole or not at all.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Failure> {
    write_atomic(path, |out| {
        serde_json::to_writer_pretty(&mut *out, value).or_exit(Exit::Internal)?;
        writeln!(out).or_exit(Exit::Internal)
    })
}

/// Makes a folder only its owner may enter.
pub(crate) fn private_folder(path: &Path) -> Result<(), Failure> {
    let doing = || format!("making the folder {}", path.display());
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).or_exit_with(Exit::BadInput, doing())
}

#[cfg(all(feature = "agency", feature = "central"))]
/// The CSV extracts of a folder, sorted by name, `truth*.csv` apart.
pub(crate) fn extracts(folder: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let doing = || format!("listing {}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).or_exit_with(Exit::BadInput, doing())? {
        let path = entry.or_exit_with(Exit::BadInput, doing())?.path();
        let csv = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
        let truth = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("truth"));
        if csv && !truth {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
