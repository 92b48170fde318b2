//! Key files: one line, readable by their owner alone, read without following a symlink, written once.

use super::key::{AgencyKey, KeyError, LinkageKey};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// Longest key file in bytes; a key line has fewer than 100.
const KEY_FILE_BYTES_MAX: u64 = 256;

/// Why a key file is refused.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system said no.
    #[error("key file '{path}': {source}")]
    Io {
        /// The file.
        path: String,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The path is a symbolic link.
    #[error("key file '{path}' is a symbolic link; name the file itself")]
    Symlink {
        /// The file.
        path: String,
    },
    /// A directory, a pipe, a device.
    #[error("key file '{path}' is not a plain file")]
    NotAFile {
        /// The file.
        path: String,
    },
    /// Group or others may read or write it.
    #[error("key file '{path}' has mode {mode:03o}: others can reach it; run 'chmod 600' on it")]
    Mode {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("key file '{path}' belongs to user {owner}, not to you (user {user}); copy it as yourself")]
    Owner {
        /// The file.
        path: String,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// Too long to be a key.
    #[error("key file '{path}' has {bytes} bytes; a key file has fewer than 100")]
    TooLong {
        /// The file.
        path: String,
        /// Its length.
        bytes: u64,
    },
    /// The content is no key.
    #[error("key file '{path}': {source}")]
    Key {
        /// The file.
        path: String,
        /// Which rule is broken.
        source: KeyError,
    },
    /// A key where the name of its file belongs.
    #[error(
        "what was given looks like a key, not like the name of a file; it is not shown. Anybody on this machine could \
         read it: make a new key and give the name of its file"
    )]
    Typed,
    /// Writing never replaces.
    #[error("key file '{path}' exists; keys are never overwritten: move it away or choose another name")]
    Exists {
        /// The file.
        path: String,
    },
}

impl LinkageKey {
    /// Reads a linkage key file.
    ///
    /// # Errors
    /// [`KeyFileError`]: unreadable, symlink, others can reach it, another owner, or no key.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let text = read_private(path)?;
        Self::from_text(&text).map_err(|source| KeyFileError::Key { path: shown(path), source })
    }
    /// Writes a new linkage key file, mode 0600, whole or not at all.
    ///
    /// # Errors
    /// [`KeyFileError::Exists`] or what the file system said.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyFileError> {
        write_private_new(path, &self.to_text())
    }
}

impl AgencyKey {
    /// Reads an agency key file.
    ///
    /// # Errors
    /// As [`LinkageKey::read`].
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let text = read_private(path)?;
        Self::from_text(&text).map_err(|source| KeyFileError::Key { path: shown(path), source })
    }
    /// Writes a new agency key file, mode 0600, whole or not at all.
    ///
    /// # Errors
    /// As [`LinkageKey::write_new`].
    pub fn write_new(&self, path: &Path) -> Result<(), KeyFileError> {
        write_private_new(path, &self.to_text())
    }
}

/// Whether a path spells a key: one of their first words, or 32 hexadecimal digits in a row.
fn looks_like_a_key(path: &Path) -> bool {
    let text = path.as_os_str().to_string_lossy();
    let digits = |run: &str| run.len() >= 32 && run.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.starts_with(LinkageKey::WORD)
        || text.starts_with(AgencyKey::WORD)
        || text.split(|c: char| !c.is_ascii_alphanumeric()).any(digits)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Reads a short secret from a file that only its owner can reach: not a symlink, not readable by others.
///
/// # Errors
/// [`KeyFileError`] says which rule is broken.
pub fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    read_private_up_to(path, KEY_FILE_BYTES_MAX)
}

/// [`read_private`] for what is longer than a key of our own, up to `bytes_max`.
pub(super) fn read_private_up_to(path: &Path, bytes_max: u64) -> Result<Zeroizing<String>, KeyFileError> {
    let io = |source| KeyFileError::Io { path: shown(path), source };
    // A path with digits in it is a path as long as a file stands there.
    let missing = |source| if looks_like_a_key(path) { KeyFileError::Typed } else { io(source) };
    let named = std::fs::symlink_metadata(path).map_err(missing)?;
    if named.file_type().is_symlink() {
        return Err(KeyFileError::Symlink { path: shown(path) });
    }
    if !named.is_file() {
        // Checked before opening: opening a pipe would wait for a writer.
        return Err(KeyFileError::NotAFile { path: shown(path) });
    }
    let mut file = open_no_follow(path).map_err(io)?;
    let meta = file.metadata().map_err(io)?;
    check_owner_and_mode(path, &meta)?;
    if meta.len() > bytes_max {
        return Err(KeyFileError::TooLong { path: shown(path), bytes: meta.len() });
    }
    // Room for the whole file from the start: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * bytes_max as usize));
    Read::by_ref(&mut file).take(bytes_max).read_to_end(&mut bytes).map_err(io)?;
    let text = std::str::from_utf8(&bytes).unwrap_or("");
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(unix)]
fn open_no_follow(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(unix)]
fn check_owner_and_mode(path: &Path, meta: &std::fs::Metadata) -> Result<(), KeyFileError> {
    use std::os::unix::fs::MetadataExt;
    if !meta.is_file() {
        return Err(KeyFileError::NotAFile { path: shown(path) });
    }
    let user = rustix::process::geteuid().as_raw();
    if meta.uid() != user {
        return Err(KeyFileError::Owner { path: shown(path), owner: meta.uid(), user });
    }
    let mode = meta.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Mode { path: shown(path), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn open_no_follow(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// Without Unix permissions the folder's access list is what protects the file.
#[cfg(not(unix))]
fn check_owner_and_mode(_: &Path, _: &std::fs::Metadata) -> Result<(), KeyFileError> {
    Ok(())
}

/// Writes a new secret, mode 0600, whole or not at all.
///
/// # Errors
/// [`KeyFileError::Exists`] or what the file system said.
pub fn write_private_new(path: &Path, text: &str) -> Result<(), KeyFileError> {
    let io = |source| KeyFileError::Io { path: shown(path), source };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made 0600 by tempfile; renamed only if nothing stands at the name.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist_noclobber(path).map_err(|e| match e.error.kind() {
        std::io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: shown(path) },
        _ => io(e.error),
    })?;
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn writes_0600_once_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.key");
        let key = LinkageKey::generate().unwrap();
        key.write_new(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(LinkageKey::read(&path).unwrap() == key);
        assert!(matches!(key.write_new(&path), Err(KeyFileError::Exists { .. })));
        assert!(matches!(AgencyKey::read(&path), Err(KeyFileError::Key { .. })));
    }

    #[test]
    fn refuses_files_others_can_reach() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.key");
        LinkageKey::generate().unwrap().write_new(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o644, 0o777] {
            chmod(&path, mode);
            assert!(matches!(LinkageKey::read(&path), Err(KeyFileError::Mode { .. })), "{mode:o}");
        }
        chmod(&path, 0o600);
        let link = dir.path().join("link.key");
        symlink(&path, &link).unwrap();
        assert!(matches!(LinkageKey::read(&link), Err(KeyFileError::Symlink { .. })));
        assert!(matches!(LinkageKey::read(dir.path()), Err(KeyFileError::NotAFile { .. })));
        assert!(matches!(LinkageKey::read(&dir.path().join("no")), Err(KeyFileError::Io { .. })));
    }

    #[test]
    fn refuses_31_bytes_and_long_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.key");
        let write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            chmod(&path, 0o600);
        };
        write(&format!("{} {}\n", LinkageKey::WORD, "ab".repeat(31)));
        let error = LinkageKey::read(&path).unwrap_err().to_string();
        assert!(error.contains("62 digits") && !error.contains("abab"), "{error}");
        write(&"x".repeat(1000));
        assert!(matches!(LinkageKey::read(&path), Err(KeyFileError::TooLong { .. })));
    }
}
