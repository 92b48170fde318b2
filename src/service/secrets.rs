//! The centre's own secrets: what signs the ledger, hides case references, recognises erased records, draws the
//! second looks, and encrypts at rest. Never a linkage key: the centre has none.
//!
//! May see: config, ledger's and store's key types, files it made itself. Must not see: agency. Each secret is a file
//! of exactly 32 bytes, readable by the service's user alone; the root key may come from elsewhere. They are
//! made once, on a store that protects nothing yet; later a missing or exposed one is a refusal, never a new one.

use super::journal::JOURNAL_FILE;
use super::rights::TombstoneKey;
use crate::config::central::{CentralConfig, RootKeySource};
use crate::ledger::{CaseKey, LogSigner};
use crate::store::seal::{RootKey, SealError};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

const SECRET_BYTES: usize = 32;
/// The secrets' files, the root key's last.
const FILES: [&str; 5] = ["ledger.key", "case.key", "tombstone.key", "second-look.key", "root.key"];

/// Why the centre's secrets cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file that should be there is not.
    #[error(
        "the secret {} is missing, and the store holds what it protects: put the file back from its copy; a new one \
         would not open anything",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Others can reach it, or it is no plain file of this user.
    #[error("the secret {} {what}", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: &'static str,
    },
    /// A rotation of the root key did not come to its end.
    #[error(
        "{} stands: a rotation of the root key was interrupted, run 'blindlink store rotate-root-key' again",
        path.display()
    )]
    Rotating {
        /// The new key.
        path: PathBuf,
    },
    /// Not 32 bytes.
    #[error("{origin} does not give exactly 32 bytes: it is not a key of this program")]
    Length {
        /// Where it came from.
        origin: String,
    },
    /// The file system or the command failed.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        cause: String,
    },
    /// The cipher refused the key.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// What a running centre holds, the root key apart: that one goes into the vault.
pub struct Secrets {
    /// Signs checkpoints, exports and receipts.
    pub signer: LogSigner,
    /// Hides case references in the ledger.
    pub case: CaseKey,
    /// Recognises erased records.
    pub tombstone: TombstoneKey,
    /// Draws the questions that a second person looks at.
    pub second_look: Zeroizing<[u8; SECRET_BYTES]>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Reads the secrets, making those that are missing if `create`.
    ///
    /// # Errors
    /// [`SecretsError`].
    pub fn open(config: &CentralConfig, create: bool) -> Result<(Self, RootKey), SecretsError> {
        let folder = config.secrets_folder();
        if create {
            private_folder(&folder)?;
        }
        let [ledger, case, tombstone, second_look, _] = FILES.map(|name| folder.join(name));
        let read = |path: &Path| file_secret(path, create);
        let secrets = Self {
            signer: LogSigner::from_seed(&read(&ledger)?),
            case: CaseKey::new(read(&case)?),
            tombstone: TombstoneKey::new(read(&tombstone)?),
            second_look: read(&second_look)?,
        };
        Ok((secrets, root_key_or_new(config, create)?))
    }
}

/// The root key alone, for the care of a stopped service's store.
///
/// # Errors
/// [`SecretsError`].
pub fn root_key(config: &CentralConfig) -> Result<RootKey, SecretsError> {
    root_key_or_new(config, false)
}

/// The new root key of a rotation, made now unless an interrupted one left it: it stands beside the present one until
/// [`finish_rotation`].
///
/// # Errors
/// [`SecretsError`]; [`SecretsError::Io`] where the root key comes from elsewhere.
pub fn begin_rotation(config: &CentralConfig) -> Result<RootKey, SecretsError> {
    if config.root_key != RootKeySource::Folder {
        return Err(SecretsError::Io {
            what: "the root key comes from elsewhere".to_owned(),
            cause: "make the new one there and name its file with --to".to_owned(),
        });
    }
    root(file_secret(&next_root(config), true)?)
}

/// Puts the new root key in the place of the present one: the store is under it.
///
/// # Errors
/// [`SecretsError::Io`].
pub fn finish_rotation(config: &CentralConfig) -> Result<(), SecretsError> {
    let (from, to) = (next_root(config), config.secrets_folder().join(FILES[4]));
    std::fs::rename(&from, &to).map_err(|error| io("cannot rename", &from, &error))?;
    // So that the new name is on disk; not every system lets a folder be opened.
    if let Ok(folder) = File::open(config.secrets_folder()) {
        folder.sync_all().map_err(|error| io("cannot write", &to, &error))?;
    }
    Ok(())
}

/// The root key that a rotation begins from.
///
/// # Errors
/// [`SecretsError`].
pub fn present_root_key(config: &CentralConfig) -> Result<RootKey, SecretsError> {
    match &config.root_key {
        RootKeySource::Folder => root(file_secret(&config.secrets_folder().join(FILES[4]), false)?),
        _ => root_key(config),
    }
}

/// A root key in a file of its own.
///
/// # Errors
/// [`SecretsError`].
pub fn root_key_in(path: &Path) -> Result<RootKey, SecretsError> {
    root(file_secret(path, false)?)
}

fn next_root(config: &CentralConfig) -> PathBuf {
    config.secrets_folder().join("root.key.next")
}

fn root(bytes: Zeroizing<[u8; SECRET_BYTES]>) -> Result<RootKey, SecretsError> {
    Ok(RootKey::from_bytes(&Zeroizing::new(bytes.to_vec()))?)
}

/// The key that signs the ledger alone, for the care of a stopped service's store.
///
/// # Errors
/// [`SecretsError`].
pub fn log_signer(config: &CentralConfig) -> Result<LogSigner, SecretsError> {
    Ok(LogSigner::from_seed(&file_secret(&config.secrets_folder().join(FILES[0]), false)?))
}

/// Copies the secrets of one folder, and what was noted of erasures there, into another that is to stand beside a
/// restored store.
///
/// # Errors
/// [`SecretsError`]; what is not there is left out.
pub fn copy(from: &Path, to: &Path) -> Result<(), SecretsError> {
    private_folder(to)?;
    for name in FILES {
        let (from, to) = (from.join(name), to.join(name));
        if from.exists() {
            let secret = file_secret(&from, false)?;
            write_new(&to, &secret)?;
        }
    }
    let (from, to) = (from.join(JOURNAL_FILE), to.join(JOURNAL_FILE));
    if from.exists() {
        std::fs::copy(&from, &to).map_err(|error| io("cannot write", &to, &error))?;
        File::open(&to).and_then(|file| file.sync_all()).map_err(|error| io("cannot write", &to, &error))?;
    }
    Ok(())
}

fn root_key_or_new(config: &CentralConfig, create: bool) -> Result<RootKey, SecretsError> {
    let next = next_root(config);
    let bytes = match &config.root_key {
        RootKeySource::Folder if next.exists() => return Err(SecretsError::Rotating { path: next }),
        RootKeySource::Folder => file_secret(&config.secrets_folder().join(FILES[4]), create)?,
        RootKeySource::File(path) => file_secret(path, false)?,
        RootKeySource::Credential(name) => credential(name)?,
        RootKeySource::Command(words) => from_command(words)?,
    };
    root(bytes)
}

fn file_secret(path: &Path, create: bool) -> Result<Zeroizing<[u8; SECRET_BYTES]>, SecretsError> {
    match std::fs::symlink_metadata(path) {
        Ok(named) if named.is_file() => {}
        Ok(_) => {
            let what = "is not a plain file: name the file itself";
            return Err(SecretsError::Exposed { path: path.to_owned(), what });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => {
            let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
            let failed = |cause: getrandom::Error| SecretsError::Io {
                what: "cannot read random bytes".to_owned(),
                cause: cause.to_string(),
            };
            getrandom::fill(bytes.as_mut_slice()).map_err(failed)?;
            write_new(path, &bytes)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SecretsError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(io("cannot read", path, &error)),
    }
    let file = open_no_follow(path).map_err(|error| io("cannot read", path, &error))?;
    check_private(path, &file)?;
    exactly(file, &path.display().to_string())
}

/// Exactly 32 bytes and the end.
fn exactly(source: impl Read, origin: &str) -> Result<Zeroizing<[u8; SECRET_BYTES]>, SecretsError> {
    // Room for all of it from the start: a growing buffer would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES + 1));
    let read = source.take(SECRET_BYTES as u64 + 1).read_to_end(&mut bytes);
    let failed = |cause: std::io::Error| SecretsError::Io {
        what: format!("cannot read {origin}"),
        cause: cause.to_string(),
    };
    read.map_err(failed)?;
    let wrong = |_| SecretsError::Length { origin: origin.to_owned() };
    Ok(Zeroizing::new(bytes.as_slice().try_into().map_err(wrong)?))
}

fn credential(name: &str) -> Result<Zeroizing<[u8; SECRET_BYTES]>, SecretsError> {
    let origin = format!("the systemd credential {name}");
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| SecretsError::Io {
        what: format!("cannot read {origin}"),
        cause: "CREDENTIALS_DIRECTORY is not set: say LoadCredential= in the unit".to_owned(),
    })?;
    let path = Path::new(&folder).join(name);
    exactly(File::open(&path).map_err(|error| io("cannot read", &path, &error))?, &origin)
}

fn from_command(words: &[String]) -> Result<Zeroizing<[u8; SECRET_BYTES]>, SecretsError> {
    let origin = format!("the command {}", words.first().map_or("", String::as_str));
    let failed = |cause: String| SecretsError::Io { what: format!("cannot run {origin}"), cause };
    let (program, arguments) = words.split_first().ok_or_else(|| failed("it is empty".to_owned()))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let output = child.stdout.take().ok_or_else(|| failed("it has no output".to_owned()))?;
    let read = exactly(output, &origin);
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(format!("it ended with {status}")));
    }
    read
}

fn io(doing: &str, path: &Path, error: &std::io::Error) -> SecretsError {
    SecretsError::Io { what: format!("{doing} {}", path.display()), cause: error.to_string() }
}

fn private_folder(path: &Path) -> Result<(), SecretsError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| io("cannot create", path, &error))
}

/// Writes a secret where none stands; one that another start wrote meanwhile stays.
fn write_new(path: &Path, bytes: &[u8; SECRET_BYTES]) -> Result<(), SecretsError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Made 0600 by tempfile; renamed whole, and only if nothing stands at the name.
    let failed = |error: &std::io::Error| io("cannot write", path, error);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    file.write_all(bytes).map_err(|error| failed(&error))?;
    file.as_file().sync_all().map_err(|error| failed(&error))?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(&error.error)),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn open_no_follow(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(unix)]
fn check_private(path: &Path, file: &File) -> Result<(), SecretsError> {
    use std::os::unix::fs::MetadataExt;
    let meta = file.metadata().map_err(|error| io("cannot read", path, &error))?;
    let what = if meta.uid() != rustix::process::geteuid().as_raw() {
        "belongs to another user: the service reads only its own"
    } else if meta.mode() & 0o077 != 0 {
        "can be reached by others: run 'chmod 600' on it, and if they could have read it, replace it"
    } else {
        return Ok(());
    };
    Err(SecretsError::Exposed { path: path.to_owned(), what })
}

#[cfg(not(unix))]
fn open_no_follow(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// Without Unix permissions the folder's access list is what protects the file.
#[cfg(not(unix))]
fn check_private(_: &Path, _: &File) -> Result<(), SecretsError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path) -> CentralConfig {
        CentralConfig { secrets_dir: Some(folder.join("secrets")), ..CentralConfig::default() }
    }

    #[test]
    fn secrets_are_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        assert!(matches!(Secrets::open(&config, false), Err(SecretsError::Missing { .. })));
        let (first, _) = Secrets::open(&config, true).unwrap();
        for create in [true, false] {
            let (again, _) = Secrets::open(&config, create).unwrap();
            assert_eq!(again.signer.public(), first.signer.public());
        }
        assert_eq!(format!("{first:?}"), "Secrets(..)");
        let other = folder.path().join("copied");
        copy(&folder.path().join("secrets"), &other).unwrap();
        let copied = CentralConfig { secrets_dir: Some(other), ..CentralConfig::default() };
        assert_eq!(log_signer(&copied).unwrap().public(), first.signer.public());
    }

    #[cfg(unix)]
    #[test]
    fn exposed_linked_cut_and_missing_secrets_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        Secrets::open(&config, true).unwrap();
        for name in FILES {
            let path = folder.path().join("secrets").join(name);
            let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            mode(0o640);
            assert!(matches!(Secrets::open(&config, true), Err(SecretsError::Exposed { .. })), "{name}");
            mode(0o600);
            let bytes = std::fs::read(&path).unwrap();
            for bad in [bytes[..31].to_vec(), [&bytes[..], &[0]].concat()] {
                std::fs::write(&path, bad).unwrap();
                assert!(matches!(Secrets::open(&config, true), Err(SecretsError::Length { .. })), "{name}");
            }
            std::fs::rename(&path, folder.path().join("away")).unwrap();
            assert!(matches!(Secrets::open(&config, false), Err(SecretsError::Missing { .. })), "{name}");
            std::os::unix::fs::symlink(folder.path().join("away"), &path).unwrap();
            assert!(matches!(Secrets::open(&config, true), Err(SecretsError::Exposed { .. })), "{name}");
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
            mode(0o600);
        }
        Secrets::open(&config, false).unwrap();
    }

    #[test]
    fn a_rotation_that_was_interrupted_is_said_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        Secrets::open(&config, true).unwrap();
        let root_file = || std::fs::read(folder.path().join("secrets/root.key")).unwrap();
        let before = root_file();
        begin_rotation(&config).unwrap();
        let next = std::fs::read(folder.path().join("secrets/root.key.next")).unwrap();
        assert_eq!((root_file(), next != before), (before, true));
        let refused = Secrets::open(&config, false).unwrap_err().to_string();
        assert!(refused.contains("rotate-root-key"), "{refused}");
        present_root_key(&config).unwrap();
        begin_rotation(&config).unwrap();
        assert_eq!(
            std::fs::read(folder.path().join("secrets/root.key.next")).unwrap(),
            next,
            "the same again"
        );
        finish_rotation(&config).unwrap();
        assert_eq!(root_file(), next);
        Secrets::open(&config, false).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn the_root_key_comes_from_a_file_or_a_command() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        Secrets::open(&config, true).unwrap();
        let path = folder.path().join("secrets/root.key");
        config.root_key = RootKeySource::File(path.clone());
        root_key(&config).unwrap();
        let shown = vec!["cat".to_owned(), path.display().to_string()];
        config.root_key = RootKeySource::Command(shown);
        root_key(&config).unwrap();
        for (words, long) in
            [(vec!["false"], false), (vec!["echo", "x"], true), (vec!["no-such-program"], false)]
        {
            config.root_key = RootKeySource::Command(words.into_iter().map(str::to_owned).collect());
            let refused = root_key(&config).unwrap_err();
            assert_eq!(matches!(refused, SecretsError::Length { .. }), long, "{refused}");
        }
        config.root_key = RootKeySource::Credential("no-such-credential".to_owned());
        assert!(root_key(&config).is_err());
    }
}
