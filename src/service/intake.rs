//! Intake: what is refused before anything is stored.
//!
//! An upload is announced with the header of the encodings and the digest of every chunk. Everything that
//! could make it incomparable is checked against the project then; each chunk is checked against what was
//! announced; the seal checks the whole.

use super::agreements;
use super::auth::{AgencyGrant, Submit};
use super::error::ApiError;
use super::policy::{Day, decide_submit};
use super::rights::TombstoneKey;
use crate::store::{Earlier, Manifest, NewUpload, Once, UploadRecord, UploadStatus, Vault};
use crate::wire::arrow::{ArrowFormError, read_stream};
use crate::wire::messages::{ChunkSpec, DatasetCreate, DatasetMessage, DatasetState};
use crate::wire::{ContentDigest, DatasetId, Epoch, FORMAT_VERSION, RecordRef, limits};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Removals of one delta.
pub const REMOVALS_MAX: usize = 100_000;
/// Bytes of an announcement: digests of thousands of chunks, refs of removed records.
pub const ANNOUNCEMENT_BYTES_MAX: usize = 8 << 20;
/// Numbers of missing chunks told at once.
const MISSING_TOLD_MAX: usize = 1_000;

/// Why an upload does not fit its project or its announcement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// Another version wrote it.
    #[error("the encodings have format {found}, this service takes {FORMAT_VERSION}: use a matching program")]
    FormatVersion {
        /// The version found.
        found: u32,
    },
    /// Another agency's encodings.
    #[error("the encodings name another agency than this key's: use that agency's key, or encode for yours")]
    ForeignAgency,
    /// Another project's encodings.
    #[error("the encodings were made for another project: encode again with this project's id")]
    OtherProject,
    /// Local ids in the file.
    #[error("the encodings carry local ids (--plain-ids), which must not leave the agency: encode without")]
    PlainIds,
    /// Another schema.
    #[error(
        "the encodings were made under another schema; this project uses {expected}: encode again with it"
    )]
    Schema {
        /// The project's schema.
        expected: String,
    },
    /// Another linkage key.
    #[error(
        "the encodings were made with another linkage key: compare key check values with the other agencies"
    )]
    Key,
    /// Another epoch.
    #[error("the encodings are of epoch {found}, the project is in epoch {expected}: encode with its key")]
    Epoch {
        /// The upload's.
        found: Epoch,
        /// The project's.
        expected: Epoch,
    },
    /// Another shape under the same fingerprint.
    #[error("the encodings have other filter lengths or columns than the project's schema says")]
    Layout,
    /// Exact tokens without an agreement.
    #[error("the agreement allows no exact tokens (NHS number, UPN): encode with a schema that has none")]
    ExactTokens,
    /// Counts disagree.
    #[error("{found} records where {expected} were announced")]
    Count {
        /// What there is.
        found: u64,
        /// What was announced.
        expected: u64,
    },
    /// A chunk or dataset beyond the bound.
    #[error(
        "a chunk has 1 to {chunk} records, a dataset at most {dataset}",
        chunk = limits::CHUNK_RECORDS_MAX,
        dataset = limits::DATASET_RECORDS_MAX
    )]
    TooManyRecords,
    /// Too many removals.
    #[error("a delta removes at most {REMOVALS_MAX} records: send a whole dataset")]
    TooManyRemovals,
    /// Removals in a whole dataset.
    #[error("a whole dataset removes nothing: leave the removals out or name the base")]
    RemovalsWithoutBase,
    /// A chunk that was not announced.
    #[error("no chunk of that number was announced")]
    NoSuchChunk,
    /// Another content than announced.
    #[error("the chunk does not have the digest that was announced: start a new upload for other content")]
    Digest,
    /// Nothing more can be added.
    #[error("the dataset is sealed: start a new upload")]
    Sealed,
    /// Not encodings of the project.
    #[error(transparent)]
    Arrow(ArrowFormError),
}

/// Announces an upload, or finds the one that was announced by the same request before.
///
/// # Errors
/// [`IntakeError`] for what does not fit the project.
pub fn announce(
    vault: &Vault,
    grant: &AgencyGrant<Submit>,
    create: DatasetCreate,
    once: Option<&Once>,
    kept_hours: u32,
) -> Result<(DatasetMessage, bool), ApiError> {
    let project = grant.project();
    if project.ends.is_some_and(|ends| ends <= vault.now()) {
        return Err(ApiError::AgreementEnded);
    }
    let agreement = agreements::current(vault, project)?;
    let allowed = decide_submit(&agreement, grant.agency(), Day::of(vault.now()))?;
    if !allowed.exact_tokens() && !create.header.layout.exact().is_empty() {
        return Err(IntakeError::ExactTokens.into());
    }
    vault.drop_expired_uploads()?;
    check_header(grant, &create)?;
    check_counts(&create)?;
    match vault.earlier(once)? {
        Earlier::Other => return Err(ApiError::KeyReused),
        Earlier::Same(id) => {
            let id = id.parse().map_err(|_| ApiError::NotFound)?;
            if let Some(message) = still_good(vault, grant, &id)? {
                return Ok((message, false));
            }
        }
        Earlier::None => {}
    }
    let new = NewUpload {
        agency: grant.agency().clone(),
        header: create.header,
        chunks: create.chunks,
        base: create.base,
        removals: create.removals,
        kept_hours,
    };
    let upload = vault.begin_upload(project, new, once, grant.actor().event("upload_begun"))?;
    Ok((upload_message(&vault.upload_status(upload)?), true))
}

/// The dataset of an earlier announcement, while it is open or in force.
fn still_good(
    vault: &Vault,
    grant: &AgencyGrant<Submit>,
    id: &DatasetId,
) -> Result<Option<DatasetMessage>, ApiError> {
    match dataset(vault, grant, id) {
        Ok(message) if message.state != DatasetState::Superseded => Ok(Some(message)),
        Ok(_) | Err(ApiError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

fn check_header(grant: &AgencyGrant<Submit>, create: &DatasetCreate) -> Result<(), IntakeError> {
    let (header, project) = (&create.header, grant.project());
    if header.format_version != FORMAT_VERSION {
        return Err(IntakeError::FormatVersion { found: header.format_version });
    }
    if header.agency != *grant.agency() {
        return Err(IntakeError::ForeignAgency);
    }
    if header.project != project.id {
        return Err(IntakeError::OtherProject);
    }
    if header.plain_ids {
        return Err(IntakeError::PlainIds);
    }
    let words = header.schema == project.schema.as_str() && header.decision == project.decision;
    if header.schema_fingerprint != project.schema_fingerprint || !words {
        return Err(IntakeError::Schema { expected: project.schema.to_string() });
    }
    let key_check = match &project.next {
        Some(next) if next.epoch == header.epoch => next.key_check,
        _ if header.epoch == project.epoch => project.key_check,
        _ => return Err(IntakeError::Epoch { found: header.epoch, expected: project.epoch }),
    };
    if let Some(key_check) = key_check {
        let same: bool = header.key_check.as_bytes().ct_eq(key_check.as_bytes()).into();
        if !same {
            return Err(IntakeError::Key);
        }
    }
    if header.layout != project.layout {
        return Err(IntakeError::Layout);
    }
    Ok(())
}

fn check_counts(create: &DatasetCreate) -> Result<(), IntakeError> {
    let bound = 1..=limits::CHUNK_RECORDS_MAX;
    if create.chunks.iter().any(|chunk| !bound.contains(&(chunk.records as usize)))
        || create.header.records > limits::DATASET_RECORDS_MAX
    {
        return Err(IntakeError::TooManyRecords);
    }
    let found = create.chunks.iter().map(|chunk| u64::from(chunk.records)).sum();
    if found != create.header.records {
        return Err(IntakeError::Count { found, expected: create.header.records });
    }
    if create.removals.len() > REMOVALS_MAX {
        return Err(IntakeError::TooManyRemovals);
    }
    if create.base.is_none() && !create.removals.is_empty() {
        return Err(IntakeError::RemovalsWithoutBase);
    }
    Ok(())
}

/// The open upload `id` of the grant's agency.
fn own_upload(vault: &Vault, grant: &AgencyGrant<Submit>, id: &DatasetId) -> Result<UploadRecord, ApiError> {
    let project = &grant.project().id;
    let own = |upload: &UploadRecord| upload.agency == *grant.agency();
    let open = |upload: &UploadRecord| own(upload) && vault.now() < upload.expires;
    if let Some(upload) = vault.upload(project, id)?.filter(open) {
        return Ok(upload);
    }
    let sealed = vault.manifest(project, id)?.is_some_and(|manifest| own(&manifest.upload));
    Err(if sealed { IntakeError::Sealed.into() } else { ApiError::NotFound })
}

/// What chunk `number` of an open upload must be; asked before its body is read.
///
/// # Errors
/// [`ApiError::NotFound`] for a foreign upload, [`IntakeError::NoSuchChunk`].
pub fn expected_chunk(
    vault: &Vault,
    grant: &AgencyGrant<Submit>,
    id: &DatasetId,
    number: u32,
) -> Result<(UploadRecord, ChunkSpec), ApiError> {
    let upload = own_upload(vault, grant, id)?;
    let spec = vault.chunk_spec(id, number)?;
    Ok((upload, spec.ok_or(IntakeError::NoSuchChunk)?))
}

/// Stores the body of a chunk. Sending it again changes nothing.
///
/// # Errors
/// [`IntakeError::Digest`] before anything is parsed; [`IntakeError::Arrow`], [`IntakeError::Count`].
pub fn store_chunk(
    vault: &Vault,
    tombstone: &TombstoneKey,
    upload: &UploadRecord,
    (spec, number): (ChunkSpec, u32),
    body: &[u8],
) -> Result<(), ApiError> {
    if ContentDigest::of(body) != spec.digest {
        return Err(IntakeError::Digest.into());
    }
    let layout = Arc::new(upload.header.layout.clone());
    let batch = read_stream(&layout, body, spec.records as usize);
    let batch = batch.map_err(|error| match error {
        ArrowFormError::TooManyRecords(_) => {
            IntakeError::Count { found: u64::from(spec.records) + 1, expected: spec.records.into() }
        }
        other => IntakeError::Arrow(other),
    })?;
    if batch.local_ids.is_some() {
        return Err(IntakeError::Arrow(ArrowFormError::UnknownColumn("local_id".to_owned())).into());
    }
    if batch.len() != spec.records as usize {
        let (found, expected) = (batch.len() as u64, u64::from(spec.records));
        return Err(IntakeError::Count { found, expected }.into());
    }
    let erased = erased_before(vault, tombstone, upload, &batch.refs)?;
    Ok(vault.put_chunk(upload, number, &batch, &erased)?)
}

/// Which of these records were erased on request: they are not to come back.
fn erased_before(
    vault: &Vault,
    tombstone: &TombstoneKey,
    upload: &UploadRecord,
    records: &[RecordRef],
) -> Result<Vec<RecordRef>, ApiError> {
    let (project, agency) = (&upload.project, &upload.agency);
    if !TombstoneKey::any(vault.store(), project)? {
        return Ok(Vec::new());
    }
    let mut erased = Vec::new();
    for record in records {
        if tombstone.erased(vault.store(), project, agency, record)?.is_some_and(|why| why.is_permanent()) {
            erased.push(*record);
        }
    }
    Ok(erased)
}

/// Seals an upload; sealing a sealed one again returns it.
///
/// # Errors
/// [`crate::store::UploadError`].
pub fn seal(
    vault: &Vault,
    grant: &AgencyGrant<Submit>,
    id: &DatasetId,
    once: Option<&Once>,
) -> Result<DatasetMessage, ApiError> {
    match own_upload(vault, grant, id) {
        Ok(_) => {}
        Err(ApiError::Intake(IntakeError::Sealed)) => return dataset(vault, grant, id),
        Err(error) => return Err(error),
    }
    super::shield::note_uploaded(vault, grant, id)?;
    let event = grant.actor().event("dataset_sealed");
    Ok(manifest_message(&vault.seal(&grant.project().id, id, once, event)?))
}

/// Drops an open upload.
///
/// # Errors
/// [`ApiError::NotFound`]; [`IntakeError::Sealed`].
pub fn abandon(vault: &Vault, grant: &AgencyGrant<Submit>, id: &DatasetId) -> Result<(), ApiError> {
    let upload = own_upload(vault, grant, id)?;
    vault.drop_upload(&upload, grant.actor().event("upload_dropped"))?;
    Ok(())
}

fn dataset(vault: &Vault, grant: &AgencyGrant<Submit>, id: &DatasetId) -> Result<DatasetMessage, ApiError> {
    let message = find(vault, &grant.project().id, id)?.ok_or(ApiError::NotFound)?;
    if message.agency == *grant.agency() { Ok(message) } else { Err(ApiError::NotFound) }
}

/// A dataset, open or sealed, whoever's it is.
///
/// # Errors
/// The store's.
pub(super) fn find(
    vault: &Vault,
    project: &crate::wire::ProjectId,
    id: &DatasetId,
) -> Result<Option<DatasetMessage>, ApiError> {
    if let Some(upload) = vault.upload(project, id)? {
        return Ok(Some(upload_message(&vault.upload_status(upload)?)));
    }
    Ok(vault.manifest(project, id)?.map(|manifest| manifest_message(&manifest)))
}

pub(super) fn upload_message(status: &UploadStatus) -> DatasetMessage {
    let upload = &status.upload;
    DatasetMessage {
        id: upload.id.clone(),
        project: upload.project.clone(),
        agency: upload.agency.clone(),
        epoch: upload.header.epoch,
        state: DatasetState::Uploading,
        created: upload.created,
        sealed: None,
        expires: Some(upload.expires),
        base: upload.base.clone(),
        records: upload.header.records,
        records_current: None,
        chunks: upload.chunks,
        missing: status.missing.iter().copied().take(MISSING_TOLD_MAX).collect(),
        content: upload.header.content,
    }
}

pub(super) fn manifest_message(manifest: &Manifest) -> DatasetMessage {
    let upload = &manifest.upload;
    let superseded = manifest.superseded.is_some();
    DatasetMessage {
        id: upload.id.clone(),
        project: upload.project.clone(),
        agency: upload.agency.clone(),
        epoch: upload.header.epoch,
        state: if superseded { DatasetState::Superseded } else { DatasetState::Sealed },
        created: upload.created,
        sealed: Some(manifest.sealed),
        expires: None,
        base: upload.base.clone(),
        records: upload.header.records,
        records_current: Some(manifest.records_current),
        chunks: upload.chunks,
        missing: Vec::new(),
        content: upload.header.content,
    }
}
