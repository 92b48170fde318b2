//! Where sealed encodings live: the Store trait, sled, and a faulty twin for tests.
//!
//! May see: wire, ledger. Must not see: agency, service, linkage. [`Store`] knows bytes only; [`Vault`]
//! above it knows projects, agencies, keys, datasets, runs and events. A dataset is staged chunk by
//! chunk and becomes visible with one small transaction; whoever reads sees sealed datasets only.

mod at_rest;
mod care;
mod datasets;
mod decoded;
mod ending;
mod erase;
mod error;
mod facts;
mod forbidden;
mod keys;
mod known;
mod ledger_log;
mod links;
mod memory;
mod mentions;
mod names;
mod notices;
mod pages;
mod prefilter;
mod projects;
mod records;
mod referrals;
mod removal;
mod reviews;
mod runs;
pub mod seal;
mod shields;
mod sled_store;
mod standing;
mod strip;
mod together;
mod uploads;
mod vault;

pub use care::{BackupReport, CheckReport, backup, check, restore};
pub use datasets::DatasetRead;
pub use erase::Erased;
pub use error::StoreError;
pub use facts::{CountedLink, Fact};
pub use forbidden::{ApartRecord, DecidedPairs};
pub use keys::{Secret, Token};
pub use ledger_log::{ExportPages, LedgerLog, LogError};
pub use links::LinkCursor;
pub use memory::{Fault, MemoryStore};
pub use records::{
    AgencyRecord, EventRecord, KeyRecord, LinkRecord, Manifest, NewEvent, ProjectRecord, ProjectSecret,
    RunInput, RunRecord, UploadRecord,
};
pub use referrals::ReferralRecord;
pub use reviews::{FoundReview, REVIEW_STEPS_MAX, ReviewCursor, ReviewRecord};
pub use runs::FoundLink;
pub use shields::{Decided, ShieldRecord, Side};
pub use sled_store::SledStore;
pub use together::Gathered;
pub use uploads::{DELTA_DEPTH_MAX, NewUpload, OPEN_UPLOADS_MAX, UploadError, UploadStatus};
pub use vault::{Clock, Earlier, FORMAT, Once, OpenReport, Vault, system_clock};

/// A key with its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Writes that happen together or not at all, if what they expect is still so.
#[derive(Clone, Default)]
pub struct Batch {
    expectations: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Refuses the batch unless `key` has this value (none: does not exist).
    pub fn expect(&mut self, key: impl Into<Vec<u8>>, value: Option<Vec<u8>>) -> &mut Self {
        self.expectations.push((key.into(), value));
        self
    }
    /// Sets `key`.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.writes.push((key.into(), Some(value.into())));
        self
    }
    /// Removes `key`.
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) -> &mut Self {
        self.writes.push((key.into(), None));
        self
    }
    /// What must be so, key by key.
    #[must_use]
    pub fn expectations(&self) -> &[(Vec<u8>, Option<Vec<u8>>)] {
        &self.expectations
    }
    /// What will be written, in order; none removes.
    #[must_use]
    pub fn writes(&self) -> &[(Vec<u8>, Option<Vec<u8>>)] {
        &self.writes
    }
    /// Checks the bound on values.
    ///
    /// # Errors
    /// [`StoreError::ValueTooLarge`] above [`crate::wire::limits::STORE_VALUE_BYTES_MAX`].
    pub fn check(&self) -> Result<(), StoreError> {
        let bytes_max = crate::wire::limits::STORE_VALUE_BYTES_MAX;
        let lengths = self.writes.iter().filter_map(|(_, value)| value.as_ref().map(Vec::len));
        match lengths.max() {
            Some(bytes) if bytes > bytes_max => Err(StoreError::ValueTooLarge { bytes, bytes_max }),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({} expectations, {} writes)", self.expectations.len(), self.writes.len())
    }
}

/// Ordered bytes that survive a stop. Keys at most 512 bytes, values at most 64 KB.
pub trait Store: Send + Sync + 'static {
    /// The value of `key`.
    ///
    /// # Errors
    /// [`StoreError`] when the engine fails.
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` pairs whose keys begin with `prefix`, ascending, beginning after `after`.
    ///
    /// # Errors
    /// [`StoreError`] when the engine fails.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError>;

    /// The last pair whose key begins with `prefix` and is at most `key`.
    ///
    /// # Errors
    /// [`StoreError`] when the engine fails.
    fn last_at_or_before(&self, prefix: &[u8], key: &[u8]) -> Result<Option<Pair>, StoreError>;

    /// Does all of `batch` or nothing. Not yet on disk: see [`Self::flush`].
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an expectation does not hold, [`StoreError::ValueTooLarge`], or
    /// what the engine says.
    fn apply(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Returns when everything applied so far is on disk.
    ///
    /// # Errors
    /// [`StoreError`] when the engine fails.
    fn flush(&self) -> Result<(), StoreError>;

    /// Bytes on disk; 0 for a store in memory.
    ///
    /// # Errors
    /// [`StoreError`] when the engine fails.
    fn bytes_on_disk(&self) -> Result<u64, StoreError>;
}
