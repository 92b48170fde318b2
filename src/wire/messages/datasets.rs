//! Uploads and runs.

use crate::wire::{
    AgencyId, ContentDigest, DatasetId, EncodingHeader, Epoch, ProjectId, RecordRef, RunId, UtcTime,
};
use serde::{Deserialize, Serialize};

/// One chunk that will be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkSpec {
    /// BLAKE3 of the chunk's body, an Arrow IPC stream.
    pub digest: ContentDigest,
    /// Records in it, 1 to [`crate::wire::limits::CHUNK_RECORDS_MAX`].
    pub records: u32,
}

/// Announces an upload: a whole dataset, or the changes since the current one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetCreate {
    /// How the encodings were made, how many there are and the digest of all of them in upload order.
    pub header: EncodingHeader,
    /// The chunks in order; their records add up to the header's.
    pub chunks: Vec<ChunkSpec>,
    /// For a delta: the dataset it changes, which must be the agency's current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<DatasetId>,
    /// For a delta: records that are no longer there, at most 100,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removals: Vec<RecordRef>,
}

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetState {
    /// Chunks are missing, or all are there and it waits to be sealed.
    Uploading,
    /// Complete and checked; the agency's current dataset, or part of it.
    Sealed,
    /// Replaced by a later whole dataset; its encodings are gone.
    Superseded,
}

/// A dataset as its agency and the operator see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetMessage {
    /// Its id.
    pub id: DatasetId,
    /// Its project.
    pub project: ProjectId,
    /// Whose it is.
    pub agency: AgencyId,
    /// The epoch of its encodings.
    pub epoch: Epoch,
    /// Where it stands.
    pub state: DatasetState,
    /// When the upload was announced.
    pub created: UtcTime,
    /// When it was sealed.
    pub sealed: Option<UtcTime>,
    /// When an unsealed upload is dropped.
    pub expires: Option<UtcTime>,
    /// The dataset it changes, for a delta.
    pub base: Option<DatasetId>,
    /// Records uploaded in it.
    pub records: u64,
    /// Records of the agency once this dataset is sealed, base included.
    pub records_current: Option<u64>,
    /// Number of chunks.
    pub chunks: u32,
    /// Numbers of the chunks still missing, at most the first 1,000.
    pub missing: Vec<u32>,
    /// Digest of all its records.
    pub content: ContentDigest,
}

/// Datasets, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetList {
    /// The datasets.
    pub datasets: Vec<DatasetMessage>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits or computes.
    Running,
    /// Done; its result is an immutable snapshot.
    Finished,
    /// Stopped by request.
    Cancelled,
    /// The centre was stopped meanwhile; start another.
    Interrupted,
    /// It could not be computed; the operator's log says why.
    Failed,
}

/// A run as every party sees it: nothing about who links with whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMessage {
    /// Its id.
    pub id: RunId,
    /// Its project.
    pub project: ProjectId,
    /// The epoch of the encodings it compares.
    pub epoch: Epoch,
    /// Where it stands.
    pub state: RunState,
    /// When it was started.
    pub started: UtcTime,
    /// When it ended.
    pub ended: Option<UtcTime>,
    /// Parts of the work done so far.
    pub steps_done: u64,
    /// Parts of the work in all; 0 while unknown.
    pub steps_total: u64,
    /// Agencies whose datasets it compares.
    pub agencies: Vec<AgencyId>,
}

/// Runs, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunList {
    /// The runs.
    pub runs: Vec<RunMessage>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next: Option<String>,
}
