//! What commands that read an extract share: schema, column mapping, progress.

use super::exit::{Exit, Failure, OrExit};
use super::files::{open, read_text};
use super::term::Terminal;
use crate::agency::mapping::{Encoding, Mapping};
use crate::agency::reader::{Extract, OnBadRow, Options, read_header};
use crate::agency::schema::Schema;
use crate::wire::limits;
use clap::Args;
use indicatif::ProgressBar;
use jiff::Zoned;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How an extract is to be read.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExtractArgs {
    /// Column mapping (TOML). Without it: NAME.columns.toml beside the extract, else the workspace's, else the
    /// headers must be ones that are known, with ISO dates.
    #[arg(long, value_name = "FILE")]
    pub(crate) columns: Option<PathBuf>,
    /// Encode nothing when a row cannot be read, instead of leaving such rows out.
    #[arg(long)]
    pub(crate) refuse_bad_rows: bool,
}

/// A schema by the name of a built-in one, or from a file.
pub(crate) fn schema(name: &str) -> Result<Schema, Failure> {
    let looks_like_file = name.ends_with(".toml") || name.contains(std::path::is_separator);
    if !looks_like_file {
        return Schema::builtin(name).or_exit(Exit::BadInput);
    }
    let text = read_text(Path::new(name), limits::CONFIG_BYTES_MAX)?;
    Schema::parse(&text).or_exit_with(Exit::BadInput, name)
}

/// The mapping file to use for an extract: the one named, `NAME.columns.toml` beside it, the workspace's.
fn mapping_file(named: Option<&Path>, extract: &Path, workspaces: Option<PathBuf>) -> Option<PathBuf> {
    let beside = extract.with_extension("columns.toml");
    named.map(Path::to_owned).or_else(|| beside.is_file().then_some(beside)).or(workspaces)
}

/// A mapping from a file, or by the extract's own headers.
fn mapping(file: Option<&Path>, extract: &Path) -> Result<Mapping, Failure> {
    match file {
        Some(path) => {
            let text = read_text(path, limits::CONFIG_BYTES_MAX)?;
            Mapping::from_toml(&text).or_exit_with(Exit::BadInput, path.display())
        }
        None => {
            let doing = || extract.display().to_string();
            let headers = read_header(open(extract)?, Encoding::default(), b',');
            let headers = headers.or_exit_with(Exit::BadInput, doing())?;
            Mapping::from_aliases(&headers).or_exit_with(Exit::BadInput, doing())
        }
    }
}

/// A file whose bytes read move a progress bar.
pub(crate) struct Watched {
    file: File,
    bar: ProgressBar,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bar.inc(read as u64);
        Ok(read)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Opens an extract for reading, with progress by bytes; `workspaces` is the mapping of the workspace, if any.
pub(crate) fn open_extract(
    path: &Path,
    args: &ExtractArgs,
    workspaces: Option<PathBuf>,
    terminal: Terminal,
) -> Result<Extract<Watched>, Failure> {
    let columns = mapping_file(args.columns.as_deref(), path, workspaces);
    let mapping = mapping(columns.as_deref(), path)?;
    let file = open(path)?;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let bar = terminal.progress("reading", "bytes", bytes);
    let mut options = Options::new(Zoned::now().date());
    if args.refuse_bad_rows {
        options.on_bad_row = OnBadRow::Refuse;
    }
    Extract::open(Watched { file, bar }, &mapping, options).or_exit_with(Exit::BadInput, path.display())
}
