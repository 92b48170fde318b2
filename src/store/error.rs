//! What can go wrong in the store. No variant carries a value of the store.

use super::seal::SealError;
use crate::wire::ProjectId;
use std::path::PathBuf;

/// Why the store refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory.
    #[error(
        "the store in {} is in use by another process: stop the service first, or wait for it to end",
        path.display()
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// The engine cannot read its files.
    #[error(
        "the store in {} is damaged ({cause}): keep the folder as evidence and run `blindlink store restore \
         --from BACKUP --data-dir NEW`",
        path.display()
    )]
    Damaged {
        /// The data directory.
        path: PathBuf,
        /// What the engine said.
        cause: String,
    },
    /// Written by another version of this program.
    #[error("the store has format '{found}', this program reads '{expected}': use the version that wrote it")]
    Format {
        /// The marker found.
        found: String,
        /// The marker this program writes.
        expected: &'static str,
    },
    /// A value is larger than the engine can reclaim.
    #[error("a value of {bytes} bytes is more than the {bytes_max} the store takes")]
    ValueTooLarge {
        /// Its length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// Somebody else changed it meanwhile.
    #[error("the entry changed meanwhile: read it again and repeat")]
    Conflict,
    /// An entry cannot be read.
    #[error("the store's entry '{entry}' cannot be read: run `blindlink store check`")]
    Unreadable {
        /// Kind of entry.
        entry: &'static str,
    },
    /// The operating system failed.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        cause: String,
    },
    /// The engine failed; what was written before is intact.
    #[error("the store failed: {0}")]
    Engine(String),
    /// Encodings are stored encrypted only, and no root key was given.
    #[error("the encodings are encrypted: name the folder of the centre's secrets, or its root key")]
    Locked,
    /// The project's data key is gone, and with it everything it encrypted.
    #[error(
        "the encodings of project {project} were destroyed with its data key: nothing can read them again"
    )]
    KeyDestroyed {
        /// Which project.
        project: ProjectId,
    },
    /// An encrypted value could not be made or does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A backup that is not one, or not whole.
    #[error("the backup {} cannot be used: {reason}", path.display())]
    Backup {
        /// The backup file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    /// An [`StoreError::Io`] from what was being done.
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, cause: error.to_string() }
    }
}
