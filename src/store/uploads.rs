//! Staging: an upload is announced, filled chunk by chunk in any order, and sealed or dropped.
//!
//! Nothing of it can be read before the seal. The seal reads back what was stored, checks count and digest,
//! writes the index of refs, flushes, and then makes the dataset visible with one small transaction.

use super::prefilter::refs_pages;
use super::projects::pinned;
use super::records::{Manifest, NewEvent, ProjectRecord, UploadRecord, decode, encode};
use super::vault::Once;
use super::{Batch, StoreError, Vault, at_rest, datasets, names, pages::Pages};
use crate::wire::messages::ChunkSpec;
use crate::wire::{AgencyId, ContentDigest, DatasetId, EncodingBatch, EncodingHeader, ProjectId, RecordRef};
use std::sync::{Arc, PoisonError};

/// Deltas on top of one whole dataset; then a whole one must be sent again.
pub const DELTA_DEPTH_MAX: u32 = 64;
/// Uploads one agency may have open in one project.
pub const OPEN_UPLOADS_MAX: usize = 8;
/// Bytes of encodings in one value of the store.
const PART_BYTES_MAX: usize = 48 << 10;
/// Returned records in one value of the store: 32 KB.
const RETURNED_MAX: usize = 2_048;

/// An upload to be announced; already checked against its project.
pub struct NewUpload {
    /// Whose.
    pub agency: AgencyId,
    /// How the encodings were made.
    pub header: EncodingHeader,
    /// The chunks.
    pub chunks: Vec<ChunkSpec>,
    /// The dataset it changes.
    pub base: Option<DatasetId>,
    /// Records it removes.
    pub removals: Vec<RecordRef>,
    /// Hours until it is dropped unless sealed.
    pub kept_hours: u32,
}

/// An open upload and what it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadStatus {
    /// What was announced.
    pub upload: UploadRecord,
    /// Numbers of the chunks not stored yet, ascending.
    pub missing: Vec<u32>,
}

/// Why an upload is not sealed, or not begun.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// No such open upload.
    #[error("there is no such open upload")]
    Unknown,
    /// Too many open uploads.
    #[error("this agency has {OPEN_UPLOADS_MAX} open uploads: seal or delete one first")]
    TooManyOpen,
    /// Chunks are missing.
    #[error("{count} chunks are missing, the first is {first}: send them, then seal again")]
    Missing {
        /// How many.
        count: usize,
        /// The first.
        first: u32,
    },
    /// The records together are not those announced.
    #[error("the records do not have the digest that was announced: the upload must be started afresh")]
    Content,
    /// One ref twice.
    #[error("{0} record refs occur more than once: remove duplicate ids from the extract and encode again")]
    DuplicateRefs(u64),
    /// The base is not the agency's current dataset.
    #[error("the dataset this delta changes is not the current one: make the delta against '{current}'")]
    Base {
        /// The current one, or `none`.
        current: String,
    },
    /// Too many deltas on one whole dataset.
    #[error("{DELTA_DEPTH_MAX} deltas lie on one whole dataset: send a whole dataset")]
    Depth,
    /// The engine.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Vault {
    /// Announces an upload and, for the first of an epoch, pins the project's key check value.
    ///
    /// # Errors
    /// [`UploadError::TooManyOpen`], [`UploadError::Base`], [`UploadError::Depth`] or the engine's.
    pub fn begin_upload(
        &self,
        project: &ProjectRecord,
        new: NewUpload,
        once: Option<&Once>,
        event: NewEvent,
    ) -> Result<UploadRecord, UploadError> {
        self.check_base(&project.id, &new)?;
        let open = self.uploads(&project.id, Some(&new.agency))?;
        if open.len() >= OPEN_UPLOADS_MAX {
            return Err(UploadError::TooManyOpen);
        }
        let id = self.new_id("ds")?.parse().map_err(|_| StoreError::Unreadable { entry: "upload" })?;
        self.write_announcement(&id, &new)?;
        let record = UploadRecord {
            id,
            project: project.id.clone(),
            agency: new.agency,
            chunks: u32::try_from(new.chunks.len()).unwrap_or(u32::MAX),
            header: new.header,
            base: new.base,
            created: self.now(),
            expires: self.now().plus_hours(new.kept_hours),
        };
        let mut batch = Batch::new();
        if let Some(pinned) = pinned(project, &record.header) {
            let name = names::project(&project.id);
            // If it changed meanwhile, what was announced is swept at the next start.
            let stored = self.unchanged(("project", &name), project)?;
            batch.expect(name.as_str(), Some(stored)).put(name, encode("project", &pinned)?);
        }
        let announced = names::upload(&project.id, &record.id);
        batch.put(announced.as_str(), encode("upload", &record)?);
        let remembered = self.remember(&mut batch, once, record.id.as_str());
        let event = event.project(&project.id).dataset(&record.id);
        let committed = remembered.and_then(|()| self.commit(batch, event));
        // A flush may fail after the record stands: then the upload was announced, and a retry goes on with it.
        if committed.is_err() && matches!(self.store.value(announced.as_bytes()), Ok(None)) {
            // Not announced after all; what is left is swept at the next start.
            let _ = self.remove_dataset(&record.id);
        }
        committed?;
        Ok(record)
    }

    fn check_base(&self, project: &ProjectId, new: &NewUpload) -> Result<(), UploadError> {
        let Some(base) = &new.base else { return Ok(()) };
        let current = self.current(project, new.header.epoch, &new.agency)?;
        match current {
            Some(manifest) if manifest.upload.id != *base => {
                Err(UploadError::Base { current: manifest.upload.id.to_string() })
            }
            // This project keeps no encodings between runs: nothing to lie on.
            Some(manifest) if manifest.emptied.is_some() => {
                Err(UploadError::Base { current: "none".to_owned() })
            }
            None => Err(UploadError::Base { current: "none".to_owned() }),
            Some(manifest) if manifest.depth >= DELTA_DEPTH_MAX => Err(UploadError::Depth),
            Some(_) => Ok(()),
        }
    }

    fn write_announcement(&self, id: &DatasetId, new: &NewUpload) -> Result<(), StoreError> {
        for (first, specs) in new.chunks.chunks(256).enumerate() {
            let mut batch = Batch::new();
            for (at, spec) in specs.iter().enumerate() {
                let number = u32::try_from(first * 256 + at).unwrap_or(u32::MAX);
                batch.put(names::spec(id, number), encode("spec", spec)?);
            }
            self.store.apply(&batch)?;
        }
        let mut removals: Vec<[u8; 16]> = new.removals.iter().map(|record| *record.as_bytes()).collect();
        removals.sort_unstable();
        removals.dedup();
        removals_pages(id).write(&*self.store, removals.as_flattened())
    }

    /// Open uploads of a project, of one agency or of all, oldest first.
    ///
    /// # Errors
    /// What the engine says.
    pub fn uploads(
        &self,
        project: &ProjectId,
        agency: Option<&AgencyId>,
    ) -> Result<Vec<UploadRecord>, StoreError> {
        let mut uploads = Vec::new();
        self.each(format!("upload/{project}/").as_bytes(), |_, value| {
            let record: UploadRecord = decode("upload", value)?;
            if agency.is_none_or(|agency| record.agency == *agency) {
                uploads.push(record);
            }
            Ok(())
        })?;
        Ok(uploads)
    }

    /// An open upload.
    ///
    /// # Errors
    /// What the engine says.
    pub fn upload(&self, project: &ProjectId, id: &DatasetId) -> Result<Option<UploadRecord>, StoreError> {
        let value = self.store.value(names::upload(project, id).as_bytes())?;
        value.map(|bytes| decode("upload", &bytes)).transpose()
    }

    /// Which chunks an open upload lacks.
    ///
    /// # Errors
    /// What the engine says.
    pub fn upload_status(&self, upload: UploadRecord) -> Result<UploadStatus, StoreError> {
        let mut stored = std::collections::HashSet::new();
        self.each(format!("have/{}/", upload.id).as_bytes(), |key, _| {
            stored.insert(key.to_vec());
            Ok(())
        })?;
        let missing = (0..upload.chunks)
            .filter(|chunk| !stored.contains(names::have(&upload.id, *chunk).as_bytes()))
            .collect();
        Ok(UploadStatus { upload, missing })
    }

    /// What chunk number `chunk` was announced to be.
    ///
    /// # Errors
    /// What the engine says.
    pub fn chunk_spec(&self, id: &DatasetId, chunk: u32) -> Result<Option<ChunkSpec>, StoreError> {
        let value = self.store.value(names::spec(id, chunk).as_bytes())?;
        value.map(|bytes| decode("spec", &bytes)).transpose()
    }

    /// Stores a chunk, encrypted, whose body has the announced digest. Storing it again changes nothing.
    /// `erased`: records of it that were erased before; the seal leaves them out.
    ///
    /// # Errors
    /// What the engine says.
    pub fn put_chunk(
        &self,
        upload: &UploadRecord,
        chunk: u32,
        batch: &EncodingBatch,
        erased: &[RecordRef],
    ) -> Result<(), StoreError> {
        let have = names::have(&upload.id, chunk);
        if self.store.value(have.as_bytes())?.is_some() {
            return Ok(());
        }
        let rows_per_part = (PART_BYTES_MAX / datasets::bytes_per_row(&batch.layout)).max(1);
        let data_key = self.data_key_or_new(&upload.project)?;
        let mut writes = Batch::new();
        let mut number = 0u16;
        for start in (0..batch.len()).step_by(rows_per_part) {
            let part = datasets::pack(&batch.slice(start, rows_per_part))?;
            let place = at_rest::place(upload, at_rest::position(chunk, number));
            let part = data_key.seal(&place, &part)?;
            writes.put(names::part(&upload.id, chunk, number), part);
            number += 1;
        }
        self.store.apply(&writes)?;
        let mut done = Batch::new();
        for (slice, refs) in erased.chunks(RETURNED_MAX).enumerate() {
            let refs: Vec<u8> = refs.iter().flat_map(|record| *record.as_bytes()).collect();
            done.put(names::returned(&upload.id, chunk, slice), refs);
        }
        done.put(have, number.to_le_bytes());
        self.store.apply(&done)
    }

    /// Checks all that was stored and makes it the agency's current dataset.
    ///
    /// # Errors
    /// [`UploadError`]; then nothing has changed for any reader.
    pub fn seal(
        &self,
        project: &ProjectId,
        id: &DatasetId,
        once: Option<&Once>,
        event: NewEvent,
    ) -> Result<Manifest, UploadError> {
        // One seal at a time: a second one of the same upload would rewrite its refs under readers.
        let _alone = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        let name = names::upload(project, id);
        let bytes = self.store.value(name.as_bytes())?.ok_or(UploadError::Unknown)?;
        let upload: UploadRecord = decode("upload", &bytes).map_err(UploadError::Store)?;
        let status = self.upload_status(upload)?;
        if let Some(first) = status.missing.first() {
            return Err(UploadError::Missing { count: status.missing.len(), first: *first });
        }
        let upload = status.upload;
        let refs = self.verify_content(&upload)?;
        let (base, current) = self.base_of(&upload)?;
        self.remove_all(names::refs(id).as_bytes())?;
        refs_pages(id).write(&*self.store, refs.as_flattened())?;
        self.store.flush()?;

        let manifest = Manifest {
            records_current: self.count_current(&upload, base.as_ref(), &refs)?,
            depth: base.as_ref().map_or(0, |base| base.depth + 1),
            sealed: self.now(),
            superseded: None,
            emptied: None,
            upload,
        };
        let mut batch = Batch::new();
        let pointer = names::current(project, manifest.upload.header.epoch, &manifest.upload.agency);
        batch
            .expect(name.as_str(), Some(bytes))
            .remove(name)
            .expect(pointer.as_str(), current.as_ref().map(|old| old.upload.id.as_str().into()))
            .put(pointer, id.as_str())
            .put(names::manifest(project, id), encode("manifest", &manifest)?);
        if let (None, Some(old)) = (&base, current) {
            self.supersede(&mut batch, old)?;
        }
        self.remember(&mut batch, once, id.as_str())?;
        let returned = self.returned(id)?;
        if returned.is_empty() {
            self.commit(batch, event.project(project).dataset(id))?;
            self.drop_superseded()?;
            return Ok(manifest);
        }
        self.seal_without(&manifest, &returned, batch, event.project(project).dataset(id))?;
        self.drop_superseded()?;
        let kept = self.manifest(project, id)?;
        Ok(kept.ok_or(StoreError::Unreadable { entry: "manifest" })?)
    }

    /// Reads every stored part in order; returns the refs, sorted.
    fn verify_content(&self, upload: &UploadRecord) -> Result<Vec<[u8; 16]>, UploadError> {
        let mut hasher = blake3::Hasher::new();
        let mut refs: Vec<[u8; 16]> = Vec::new();
        self.each_part(upload, |batch| {
            batch.update_digest(&mut hasher);
            refs.extend(batch.refs.iter().map(|record| *record.as_bytes()));
            Ok(())
        })?;
        let content = ContentDigest::from_bytes(*hasher.finalize().as_bytes());
        if content != upload.header.content || refs.len() as u64 != upload.header.records {
            return Err(UploadError::Content);
        }
        refs.sort_unstable();
        let twice = refs.windows(2).filter(|pair| pair[0] == pair[1]).count();
        if twice > 0 {
            return Err(UploadError::DuplicateRefs(twice as u64));
        }
        Ok(refs)
    }

    /// Compares a sealed dataset with what was announced, and its index of refs with its records.
    pub(super) fn verify_sealed(&self, manifest: &Manifest) -> Result<(), UploadError> {
        let refs = self.verify_content(&manifest.upload)?;
        let mut index: Vec<[u8; 16]> = Vec::new();
        refs_pages(&manifest.upload.id)
            .each_page(&*self.store, |page| index.extend(page.as_chunks::<16>().0))?;
        if index == refs { Ok(()) } else { Err(StoreError::Unreadable { entry: "refs" }.into()) }
    }

    /// The base of a delta, and the agency's current dataset; the former must be the latter.
    fn base_of(&self, upload: &UploadRecord) -> Result<(Option<Manifest>, Option<Manifest>), UploadError> {
        let current = self.current(&upload.project, upload.header.epoch, &upload.agency)?;
        let Some(base) = &upload.base else { return Ok((None, current)) };
        match current {
            Some(manifest) if manifest.upload.id == *base && manifest.emptied.is_none() => {
                Ok((Some(manifest.clone()), Some(manifest)))
            }
            // Emptied since the delta was announced: nothing is left for it to lie on.
            other => {
                let current = other.filter(|manifest| manifest.emptied.is_none());
                let current = current.map_or("none".to_owned(), |manifest| manifest.upload.id.to_string());
                Err(UploadError::Base { current })
            }
        }
    }

    fn count_current(
        &self,
        upload: &UploadRecord,
        base: Option<&Manifest>,
        refs: &[[u8; 16]],
    ) -> Result<u64, StoreError> {
        let Some(base) = base else { return Ok(upload.header.records) };
        let mut hidden: std::collections::BTreeSet<[u8; 16]> = refs.iter().copied().collect();
        removals_pages(&upload.id).each_page(&*self.store, |page| hidden.extend(page.as_chunks::<16>().0))?;
        let chain = self.chain(base.clone())?;
        let mut gone = 0;
        for record in &hidden {
            gone += u64::from(self.chain_contains(&chain, &RecordRef::from_bytes(*record))?);
        }
        Ok(base.records_current - gone + upload.header.records)
    }

    fn supersede(&self, batch: &mut Batch, old: Manifest) -> Result<(), StoreError> {
        let now = self.now();
        for manifest in self.chain(old)? {
            let name = names::manifest(&manifest.upload.project, &manifest.upload.id);
            batch.put(name, encode("manifest", &Manifest { superseded: Some(now), ..manifest })?);
        }
        Ok(())
    }
}

/// The pages of the refs a delta removes.
pub(super) fn removals_pages(id: &DatasetId) -> Pages {
    Pages::new(&names::removals(id), RecordRef::LEN, RecordRef::LEN)
}

/// The layout of an upload, shared.
pub(super) fn layout_of(upload: &UploadRecord) -> Arc<crate::wire::Layout> {
    Arc::new(upload.header.layout.clone())
}
