//! An agency's workspace: one private folder with its configuration, its keys and what it sent last.
//!
//! ```text
//! agency.toml      who, which project, which schema, where the centre is
//! columns.toml     which header of the extract is which field
//! linkage.key      shared by the agencies of the project (0600)
//! agency.key       this agency's alone (0600)
//! api.key          id.secret for the centre (0600)
//! state/sent       the dataset last sealed, and the digest of each of its records
//! state/local-ids  record ref -> local id, to read answers; never leaves this folder
//! ```
//!
//! May see: wire, config::agency. Must not see: linkage, store, service.

use crate::config::agency::{AgencyConfig, ConfigError};
use crate::wire::{DatasetId, EncodingBatch, Epoch, RecordRef, SchemaFingerprint, limits};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Why a workspace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// No `agency.toml` there.
    #[error("{} has no agency.toml: make a workspace with `blindlink init`, or name one with --workspace", .0.display())]
    Missing(PathBuf),
    /// The folder can be read by others.
    #[error("{} can be read by others: `chmod 700` it, since keys and local ids stand in it", .0.display())]
    Exposed(PathBuf),
    /// The configuration is refused.
    #[error("{}: {reason}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: ConfigError,
    },
    /// A file could not be read or written.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A file of `state/` is not as it was written.
    #[error("{} is damaged: remove it and push the whole extract again", .0.display())]
    State(PathBuf),
}

/// An opened workspace.
#[derive(Debug, Clone)]
pub struct Workspace {
    folder: PathBuf,
    /// Its configuration.
    pub config: AgencyConfig,
}

/// What was sealed last.
#[derive(Clone, PartialEq, Eq)]
pub struct Sent {
    /// The dataset at the centre.
    pub dataset: DatasetId,
    /// The schema it was encoded under.
    pub schema: SchemaFingerprint,
    /// The epoch it was encoded in.
    pub epoch: Epoch,
    /// Ref and digest of each record, in order of the refs.
    pub records: Vec<(RecordRef, [u8; 16])>,
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sent({}, {} records)", self.dataset, self.records.len())
    }
}

const SENT_HEAD: &str = "blindlink-sent-1";

impl Workspace {
    /// Opens the workspace in `folder`.
    ///
    /// # Errors
    /// [`WorkspaceError`] says what to mend.
    pub fn open(folder: &Path) -> Result<Self, WorkspaceError> {
        let path = folder.join("agency.toml");
        if !path.is_file() {
            return Err(WorkspaceError::Missing(folder.to_owned()));
        }
        refuse_exposed(folder)?;
        let mut text = String::new();
        let file = File::open(&path).map_err(at(&path))?;
        file.take(limits::CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(at(&path))?;
        let config = AgencyConfig::from_toml(&text, folder)
            .map_err(|reason| WorkspaceError::Config { path, reason })?;
        Ok(Self { folder: folder.to_owned(), config })
    }

    fn state(&self, name: &str) -> PathBuf {
        self.folder.join("state").join(name)
    }

    /// What was sealed last, if anything was.
    ///
    /// # Errors
    /// [`WorkspaceError::State`] when the file is damaged.
    pub fn sent(&self) -> Result<Option<Sent>, WorkspaceError> {
        let path = self.state("sent");
        let Ok(file) = File::open(&path) else { return Ok(None) };
        let mut reader = BufReader::new(file);
        let mut head = String::new();
        reader.by_ref().take(1024).read_line(&mut head).map_err(at(&path))?;
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(at(&path))?;
        parse_sent(&head, &bytes).map(Some).ok_or(WorkspaceError::State(path))
    }

    /// Remembers what was sealed.
    ///
    /// # Errors
    /// [`WorkspaceError::File`].
    pub fn remember_sent(&self, sent: &Sent) -> Result<(), WorkspaceError> {
        self.write_state("sent", |file| {
            writeln!(file, "{SENT_HEAD} {} {} {}", sent.dataset, sent.schema, sent.epoch)?;
            sent.records.iter().try_for_each(|(record, digest)| {
                file.write_all(record.as_bytes())?;
                file.write_all(digest)
            })
        })
    }

    /// Remembers which local id each ref stands for.
    ///
    /// # Errors
    /// [`WorkspaceError::File`].
    pub fn remember_local_ids(&self, ids: &[(RecordRef, String)]) -> Result<(), WorkspaceError> {
        self.write_state("local-ids", |file| {
            ids.iter()
                .try_for_each(|(record, id)| writeln!(file, "{record} {}", id.replace(['\n', '\r'], " ")))
        })
    }

    /// Local ids by ref, as remembered from the last encoding.
    ///
    /// # Errors
    /// [`WorkspaceError::State`] when the file is damaged.
    pub fn local_ids(&self) -> Result<HashMap<RecordRef, String>, WorkspaceError> {
        let path = self.state("local-ids");
        let Ok(file) = File::open(&path) else { return Ok(HashMap::new()) };
        let entry = |line: std::io::Result<String>| {
            let line = line.map_err(at(&path))?;
            let (record, id) = line.split_once(' ').ok_or(WorkspaceError::State(path.clone()))?;
            let record = record.parse().map_err(|_| WorkspaceError::State(path.clone()))?;
            Ok((record, id.to_owned()))
        };
        BufReader::new(file).lines().map(entry).collect()
    }

    fn write_state(
        &self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
    ) -> Result<(), WorkspaceError> {
        let path = self.state(name);
        let folder = self.folder.join("state");
        std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        let file = tempfile::NamedTempFile::new_in(&folder).map_err(at(&path))?;
        let mut writer = BufWriter::new(file.as_file());
        write(&mut writer).and_then(|()| writer.flush()).map_err(at(&path))?;
        drop(writer);
        file.as_file().sync_all().map_err(at(&path))?;
        file.persist(&path).map_err(|error| WorkspaceError::File { path, reason: error.error })?;
        Ok(())
    }
}

impl Sent {
    /// What a sealed batch leaves to remember.
    #[must_use]
    pub fn of(dataset: DatasetId, schema: SchemaFingerprint, epoch: Epoch, batch: &EncodingBatch) -> Self {
        let digests = super::submit::record_digests(batch);
        let mut records: Vec<_> = batch.refs.iter().copied().zip(digests).collect();
        records.sort_unstable();
        Self { dataset, schema, epoch, records }
    }
}

fn parse_sent(head: &str, bytes: &[u8]) -> Option<Sent> {
    let words: Vec<&str> = head.trim_end().split(' ').collect();
    let [SENT_HEAD, dataset, schema, epoch] = words[..] else { return None };
    let (entries, rest) = bytes.as_chunks::<32>();
    let entry = |bytes: &[u8; 32]| {
        let (mut record, mut digest) = ([0; 16], [0; 16]);
        record.copy_from_slice(&bytes[..16]);
        digest.copy_from_slice(&bytes[16..]);
        (RecordRef::from_bytes(record), digest)
    };
    let records: Vec<_> = entries.iter().map(entry).collect();
    let whole = rest.is_empty() && records.is_sorted_by_key(|(record, _)| *record);
    let sent = Sent {
        dataset: dataset.parse().ok()?,
        schema: schema.parse().ok()?,
        epoch: epoch.parse().ok()?,
        records,
    };
    whole.then_some(sent)
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> WorkspaceError + '_ {
    |reason| WorkspaceError::File { path: path.to_owned(), reason }
}

#[cfg(unix)]
fn refuse_exposed(folder: &Path) -> Result<(), WorkspaceError> {
    use std::os::unix::fs::MetadataExt;
    let mode = std::fs::metadata(folder).map_err(at(folder))?.mode();
    if mode & 0o077 == 0 { Ok(()) } else { Err(WorkspaceError::Exposed(folder.to_owned())) }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &Path) -> Result<(), WorkspaceError> {
    Ok(()) // access lists are the administrator's there
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let config = "agency = \"health\"\nproject = \"p\"\nschema = \"uk-child\"\ncolumns = \"columns.toml\"\n\
                      [keys]\nlinkage = \"linkage.key\"\nagency = \"agency.key\"\n";
        std::fs::write(folder.path().join("agency.toml"), config).unwrap();
        let workspace = Workspace::open(folder.path()).unwrap();
        (folder, workspace)
    }

    #[test]
    fn remembers_what_was_sent() {
        let (_folder, workspace) = workspace();
        assert_eq!(workspace.sent().unwrap(), None);
        let sent = Sent {
            dataset: "ds-1".parse().unwrap(),
            schema: SchemaFingerprint::from_bytes([3; 32]),
            epoch: Epoch::FIRST,
            records: vec![
                (RecordRef::from_bytes([10; 16]), [7; 16]),
                (RecordRef::from_bytes([11; 16]), [8; 16]),
            ],
        };
        workspace.remember_sent(&sent).unwrap();
        assert_eq!(workspace.sent().unwrap(), Some(sent));
        let path = workspace.state("sent");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(matches!(workspace.sent(), Err(WorkspaceError::State(_))));
    }

    #[test]
    fn reads_answers_back_by_local_id() {
        let (_folder, workspace) = workspace();
        let record = RecordRef::from_bytes([1; 16]);
        workspace.remember_local_ids(&[(record, "A 17".into())]).unwrap();
        assert_eq!(workspace.local_ids().unwrap()[&record], "A 17");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, _workspace) = workspace();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(Workspace::open(folder.path()), Err(WorkspaceError::Exposed(_))));
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(Workspace::open(empty.path()), Err(WorkspaceError::Missing(_))));
    }
}
