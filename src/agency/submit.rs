//! Sending encodings to the centre: whole or only what changed; resumable; idempotent.
//!
//! May see: wire, the client. A dataset is announced with the digest of every chunk; the centre answers
//! which chunks it still misses; those are sent; sealing makes it current. Announcing the same content
//! twice is the same upload, so that an interrupted one goes on where it stopped.

use super::client::{Client, ClientError};
use crate::wire::arrow::{ArrowFormError, write_stream};
use crate::wire::messages::{ARROW_STREAM_TYPE, ChunkSpec, DatasetCreate, DatasetMessage, DatasetState};
use crate::wire::{ContentDigest, DatasetId, EncodingBatch, EncodingHeader, RecordRef, limits};

/// Why encodings were not sent.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Local ids stand in the file.
    #[error(
        "these encodings carry plain local ids: they are for synthetic data and never leave this machine"
    )]
    PlainIds,
    /// The centre could not be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The encodings do not form a stream.
    #[error(transparent)]
    Form(#[from] ArrowFormError),
    /// The centre still misses chunks after all were sent.
    #[error("the centre still misses {0} chunks after all were sent: run the same command again")]
    StillMissing(usize),
}

/// What is to be sent.
pub struct Upload<'a> {
    /// How the encodings were made; its count and digest are those of `batch`.
    pub header: EncodingHeader,
    /// The encodings.
    pub batch: &'a EncodingBatch,
    /// For changes only: the dataset they change and the records that are gone.
    pub changes: Option<(DatasetId, Vec<RecordRef>)>,
}

/// Sends and seals; `progress` hears (chunks done, chunks in all). Repeating it after a failure resumes.
///
/// # Errors
/// [`SubmitError`]; nothing becomes visible at the centre unless sealing succeeded.
pub fn submit(
    client: &Client,
    upload: Upload<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<DatasetMessage, SubmitError> {
    if upload.header.plain_ids || upload.batch.local_ids.is_some() {
        return Err(SubmitError::PlainIds);
    }
    let records_max = chunk_records(upload.batch);
    let starts: Vec<usize> = (0..upload.batch.len()).step_by(records_max).collect();
    let body = |start: &usize| write_stream(&upload.batch.slice(*start, records_max));
    let mut chunks = Vec::with_capacity(starts.len());
    for start in &starts {
        let records = records_max.min(upload.batch.len() - start);
        let records = u32::try_from(records).unwrap_or(u32::MAX); // CHUNK_RECORDS_MAX is far below
        chunks.push(ChunkSpec { digest: ContentDigest::of(&body(start)?), records });
    }
    let project = upload.header.project.clone();
    let (base, removals) = upload.changes.map_or((None, Vec::new()), |(base, gone)| (Some(base), gone));
    let announce = DatasetCreate { header: upload.header, chunks, base, removals };
    let once = ContentDigest::of(&serde_json::to_vec(&announce).unwrap_or_default()).to_string();
    let datasets = format!("/v1/projects/{project}/datasets");
    let mut dataset: DatasetMessage = client.post(&datasets, &announce, Some(&once))?;
    let all = starts.len() as u64;
    // The list of missing chunks is bounded, so a large upload asks again until none is left.
    while dataset.state == DatasetState::Uploading && !dataset.missing.is_empty() {
        let before = dataset.missing.len();
        for (at, number) in dataset.missing.iter().enumerate() {
            let Some(start) = starts.get(*number as usize) else { continue };
            progress(all.saturating_sub((before - at) as u64), all);
            let path = format!("{datasets}/{}/chunks/{number}", dataset.id);
            client.put_bytes(&path, ARROW_STREAM_TYPE, body(start)?)?;
        }
        let first = dataset.missing.first().copied();
        dataset = client.get(&format!("{datasets}/{}", dataset.id))?;
        if dataset.missing.first().copied() == first && first.is_some() {
            return Err(SubmitError::StillMissing(dataset.missing.len()));
        }
    }
    progress(all, all);
    if dataset.state == DatasetState::Uploading {
        let seal = format!("{datasets}/{}/seal", dataset.id);
        dataset = client.post(&seal, &serde_json::json!({}), Some(&format!("seal-{once}")))?;
    }
    Ok(dataset)
}

/// Records of a chunk: as many as fit half the body's bound, at most the wire's limit.
fn chunk_records(batch: &EncodingBatch) -> usize {
    let record_bytes = batch.layout.encoding_bytes() + 512;
    (limits::CHUNK_BODY_BYTES_MAX / 2 / record_bytes).clamp(1, limits::CHUNK_RECORDS_MAX)
}

/// What changed since the last sealed upload, by ref and digest of each record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Rows of the new batch that are new or differ.
    pub upserts: Vec<usize>,
    /// Refs that are gone.
    pub removals: Vec<RecordRef>,
}

/// Compares a batch with `(ref, digest)` of the last upload, sorted by ref.
#[must_use]
pub fn changes(last: &[(RecordRef, [u8; 16])], batch: &EncodingBatch) -> Changes {
    let digests = record_digests(batch);
    let upserts = digests.iter().enumerate().filter(|(row, digest)| {
        let known = last.binary_search_by_key(&batch.refs[*row], |(record, _)| *record);
        known.map_or(true, |at| last[at].1 != **digest)
    });
    let upserts = upserts.map(|(row, _)| row).collect();
    let mut now = batch.refs.clone();
    now.sort_unstable();
    let gone = last.iter().map(|(record, _)| *record).filter(|record| now.binary_search(record).is_err());
    Changes { upserts, removals: gone.collect() }
}

/// First 16 bytes of the content digest of each record.
#[must_use]
pub fn record_digests(batch: &EncodingBatch) -> Vec<[u8; 16]> {
    let digest = |row: usize| {
        let mut short = [0u8; 16];
        short.copy_from_slice(&batch.slice(row, 1).content_digest().as_bytes()[..16]);
        short
    };
    (0..batch.len()).map(digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Layout, Profile, Segment, View};
    use std::sync::Arc;

    fn batch(records: &[(u8, u8)]) -> EncodingBatch {
        let segment = Segment { attribute: "record".parse().unwrap(), start: 0, bits: 64 };
        let view =
            View { name: "record".parse().unwrap(), slots: 1, bits: 64, segments: vec![segment], tag: None };
        let layout = Layout::new(Profile::Clk, vec![view], false, vec![], vec![]).unwrap();
        let mut batch = EncodingBatch::empty(Arc::new(layout));
        for (id, content) in records {
            batch.refs.push(RecordRef::from_bytes([*id; 16]));
            batch.slots[0].filters.extend([*content; 8]);
        }
        batch
    }

    #[test]
    fn only_what_changed_is_sent() {
        let old = batch(&[(1, 10), (2, 20), (3, 30)]);
        let mut last: Vec<_> = old.refs.iter().copied().zip(record_digests(&old)).collect();
        last.sort_unstable();
        let new = batch(&[(4, 40), (3, 31), (1, 10)]);
        let found = changes(&last, &new);
        assert_eq!(found.upserts, vec![0, 1]);
        assert_eq!(found.removals, vec![RecordRef::from_bytes([2; 16])]);
        assert_eq!(changes(&last, &old), Changes { upserts: vec![], removals: vec![] });
    }
}
