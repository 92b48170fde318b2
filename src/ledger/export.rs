//! A log as JSON lines, for somebody who trusts nobody at the centre.
//!
//! Line 1 is the [`ExportHeader`]; then one line an entry, in order: `{"entry":{..}}`, or `{"leaf":".."}`
//! where the reader may not see it; then `{"checkpoint":{..}}`; last `{"seal":".."}`, the log's signature
//! over all bytes before. Each line ends with a line feed and has exactly one spelling, so that no byte of
//! the file can change unseen.

use super::{Entry, Hex, LogName, LogSigner, SignedCheckpoint};
use crate::wire::{AgencyId, ContentDigest};
use serde::{Deserialize, Serialize};

/// Name of the format.
pub const EXPORT_FORMAT: &str = "blindlink-ledger";
/// Version of the format.
pub const EXPORT_VERSION: u32 = 1;
/// Bytes of the longest line: a checkpoint with the co-signatures of every agency.
pub const LINE_BYTES_MAX: usize = 32 << 10;

/// First line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportHeader {
    /// [`EXPORT_FORMAT`].
    pub format: String,
    /// [`EXPORT_VERSION`] of the writer.
    pub version: u32,
    /// Which log.
    pub log: LogName,
    /// Entries that follow.
    pub entries: u64,
    /// The agency it was made for; everything is shown when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agency: Option<AgencyId>,
}

impl ExportHeader {
    /// The header of an export for `agency`, or for an auditor who sees everything.
    #[must_use]
    pub fn new(log: LogName, entries: u64, agency: Option<AgencyId>) -> Self {
        Self { format: EXPORT_FORMAT.to_owned(), version: EXPORT_VERSION, log, entries, agency }
    }
}

/// A line after the header.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Entry(Entry),
    Leaf(ContentDigest),
    Checkpoint(SignedCheckpoint),
    Seal(Hex<64>),
}

/// What is wrong with an export. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The line is too long, has no line feed, is no JSON of the format, or is spelt otherwise than the
    /// format spells it.
    #[error("line {line}: {what}: the export was changed or cut")]
    Line {
        /// Which line.
        line: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Another format or version.
    #[error("line 1: not a ledger export of version {EXPORT_VERSION}: ask for one, or update this program")]
    Format,
    /// The lines are there, but not the ones the header or checkpoint speaks of.
    #[error(
        "line {line}: {found} entries stand where {expected} are promised: entries were added or deleted"
    )]
    Count {
        /// Which line.
        line: u64,
        /// Entries promised.
        expected: u64,
        /// Entries found.
        found: u64,
    },
    /// The entries do not hash to the signed root.
    #[error("the {entries} entries do not add up to the signed root: one was changed, swapped or replaced")]
    Root {
        /// Entries found.
        entries: u64,
    },
    /// An entry that the reader of this export may not see, or one hidden from its owner.
    #[error("line {line}: an entry is shown or hidden against the export's own heading")]
    Visibility {
        /// Which line.
        line: u64,
    },
    /// The whole is not signed by the log.
    #[error("the export's seal does not hold: a byte was changed, or another centre sealed it")]
    Seal,
    /// A checkpoint is refused.
    #[error(transparent)]
    Checkpoint(#[from] super::CheckpointError),
    /// An older checkpoint speaks of more entries.
    #[error("the export has {entries} entries but the centre once signed {signed}: it was rolled back")]
    RolledBack {
        /// Entries found.
        entries: u64,
        /// Entries of the older checkpoint.
        signed: u64,
    },
    /// An older checkpoint speaks of other entries.
    #[error("the first {size} entries are not those the centre once signed: history was rewritten")]
    Forked {
        /// Entries of the older checkpoint.
        size: u64,
    },
    /// A proof could not be made or does not hold.
    #[error(transparent)]
    Proof(#[from] super::ProofError),
    /// The line could not be written as JSON.
    #[error("a line could not be written")]
    Write,
    /// The centre signs what it did not write.
    #[error("the checkpoint speaks of {signed} entries, the export of {entries}: take the checkpoint first")]
    Mismatch {
        /// Entries of the checkpoint.
        signed: u64,
        /// Entries of the export.
        entries: u64,
    },
}

/// Writes an export line by line; the caller puts each returned line into its file or answer, in order.
pub struct ExportWriter {
    header: ExportHeader,
    written: u64,
    digest: blake3::Hasher,
}

impl ExportWriter {
    /// Begins an export; the first line is returned with it.
    ///
    /// # Errors
    /// [`ExportError::Write`].
    pub fn new(header: ExportHeader) -> Result<(Self, String), ExportError> {
        let mut writer = Self { header, written: 0, digest: blake3::Hasher::new() };
        let line = serde_json::to_string(&writer.header).map_err(|_| ExportError::Write)? + "\n";
        writer.digest.update(line.as_bytes());
        Ok((writer, line))
    }

    /// The line of the next entry: the entry itself, or its hash where the header names an agency and the
    /// entry is not of that agency.
    ///
    /// # Errors
    /// [`ExportError::Count`] beyond the header's number, [`ExportError::Write`].
    pub fn entry(&mut self, entry: Entry) -> Result<String, ExportError> {
        if self.written == self.header.entries {
            let expected = self.header.entries;
            return Err(ExportError::Count { line: expected + 2, expected, found: expected + 1 });
        }
        self.written += 1;
        if visible(&self.header, &entry) {
            self.line(&Line::Entry(entry))
        } else {
            self.line(&Line::Leaf(entry.leaf()))
        }
    }

    /// The last two lines: checkpoint and seal.
    ///
    /// # Errors
    /// [`ExportError::Mismatch`] if the checkpoint is of another size than the export; [`ExportError::Count`]
    /// if entries are missing; [`ExportError::Write`].
    pub fn finish(mut self, checkpoint: SignedCheckpoint, signer: &LogSigner) -> Result<String, ExportError> {
        let (signed, entries) = (checkpoint.checkpoint.size, self.header.entries);
        if signed != entries {
            return Err(ExportError::Mismatch { signed, entries });
        }
        if self.written != entries {
            let line = self.written + 2;
            return Err(ExportError::Count { line, expected: entries, found: self.written });
        }
        let checkpoint = self.line(&Line::Checkpoint(checkpoint))?;
        let seal = signer.sign(&seal_body(&self.digest));
        Ok(checkpoint + &self.line(&Line::Seal(seal))?)
    }

    fn line(&mut self, line: &Line) -> Result<String, ExportError> {
        let line = serde_json::to_string(line).map_err(|_| ExportError::Write)? + "\n";
        self.digest.update(line.as_bytes());
        Ok(line)
    }
}

/// Whether the reader of an export sees an entry in full: its own, and everything if it is an auditor.
pub(super) fn visible(header: &ExportHeader, entry: &Entry) -> bool {
    header.agency.is_none() || header.agency == entry.agency
}

/// What the seal signs.
pub(super) fn seal_body(digest: &blake3::Hasher) -> Vec<u8> {
    [b"blindlink ledger export 1\n", digest.finalize().as_bytes().as_slice()].concat()
}
