//! Sealed datasets: what readers see, a delta's chain put together, the sweep of leftovers.

use super::records::{Manifest, NewEvent, UploadRecord, decode};
use super::uploads::{layout_of, removals_pages};
use super::{Batch, StoreError, Vault, at_rest, names};
use crate::wire::messages::RunState;
use crate::wire::{
    AgencyId, DatasetId, EncodingBatch, Epoch, Month, PayloadColumn, ProjectId, RecordRef, RunId, UtcTime,
    Visibility, arrow,
};
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, TryLockError};

/// Hours for which a request's result is remembered.
const REMEMBERED_HOURS: u32 = 24 * 7;

/// An agency's current records.
#[derive(Debug)]
pub struct DatasetRead {
    /// The newest dataset of the chain.
    pub manifest: Manifest,
    /// The records; those past their expiry month are left out.
    pub batch: EncodingBatch,
}

/// A batch as one value of the store.
pub(super) fn pack(batch: &EncodingBatch) -> Result<Vec<u8>, StoreError> {
    arrow::write_stream(batch).map_err(|_| StoreError::Unreadable { entry: "part" })
}

/// An upper bound of the bytes of one stored row, with its share of the stream's framing.
pub(super) fn bytes_per_row(layout: &crate::wire::Layout) -> usize {
    let tags = layout.slots().filter(|(view, _)| view.tag.is_some()).count() * 4;
    let exact = layout.exact().len() * 17;
    let payload = layout.payload().len() * 29;
    16 + layout.encoding_bytes() + tags + 4 + exact + payload
}

impl Vault {
    /// An agency's current dataset.
    ///
    /// # Errors
    /// What the engine says.
    pub fn current(
        &self,
        project: &ProjectId,
        epoch: Epoch,
        agency: &AgencyId,
    ) -> Result<Option<Manifest>, StoreError> {
        Ok(self.shared_current(project, epoch, agency)?.map(Arc::unwrap_or_clone))
    }

    pub(super) fn shared_current(
        &self,
        project: &ProjectId,
        epoch: Epoch,
        agency: &AgencyId,
    ) -> Result<Option<Arc<Manifest>>, StoreError> {
        let Some(id) = self.store.value(names::current(project, epoch, agency).as_bytes())? else {
            return Ok(None);
        };
        let id = std::str::from_utf8(&id).ok().and_then(|id| id.parse().ok());
        let id: DatasetId = id.ok_or(StoreError::Unreadable { entry: "current" })?;
        self.shared_manifest(project, &id)?.ok_or(StoreError::Unreadable { entry: "manifest" }).map(Some)
    }

    pub(super) fn shared_manifest(
        &self,
        project: &ProjectId,
        id: &DatasetId,
    ) -> Result<Option<Arc<Manifest>>, StoreError> {
        self.decoded("manifest", &names::manifest(project, id))
    }

    /// A sealed dataset, superseded or not.
    ///
    /// # Errors
    /// What the engine says.
    pub fn manifest(&self, project: &ProjectId, id: &DatasetId) -> Result<Option<Manifest>, StoreError> {
        Ok(self.shared_manifest(project, id)?.map(Arc::unwrap_or_clone))
    }

    /// Sealed datasets of a project after `after`, oldest first.
    ///
    /// # Errors
    /// What the engine says.
    pub fn manifests(
        &self,
        project: &ProjectId,
        after: Option<&DatasetId>,
        limit: usize,
    ) -> Result<Vec<Manifest>, StoreError> {
        let after = after.map(|id| names::manifest(project, id));
        let prefix = format!("manifest/{project}/");
        let pairs = self.store.scan(prefix.as_bytes(), after.as_ref().map(String::as_bytes), limit)?;
        pairs.iter().map(|(_, value)| decode("manifest", value)).collect()
    }

    /// A dataset and those below it, newest first, down to a whole one.
    pub(super) fn chain(&self, newest: Manifest) -> Result<Vec<Manifest>, StoreError> {
        let mut chain = vec![newest];
        while let Some(base) = chain.last().and_then(|manifest| manifest.upload.base.clone()) {
            let project = chain[0].upload.project.clone();
            let below = self.manifest(&project, &base)?;
            chain.push(below.ok_or(StoreError::Unreadable { entry: "manifest" })?);
        }
        Ok(chain)
    }

    /// Loads an agency's current records; none: it has sealed nothing in this epoch.
    ///
    /// # Errors
    /// What the engine says, [`StoreError::Unreadable`] for damaged parts.
    pub fn read_current(
        &self,
        project: &ProjectId,
        epoch: Epoch,
        agency: &AgencyId,
    ) -> Result<Option<DatasetRead>, StoreError> {
        let _loading = self.loading.read().unwrap_or_else(PoisonError::into_inner);
        let Some(manifest) = self.current(project, epoch, agency)? else { return Ok(None) };
        if manifest.emptied.is_some() {
            return Ok(None);
        }
        let month = Month::try_from(self.now().month_number()).ok();
        let mut all = EncodingBatch::empty(layout_of(&manifest.upload));
        let mut hidden: HashSet<RecordRef> = HashSet::new();
        let chain = self.chain(manifest.clone())?;
        for (at, dataset) in chain.iter().enumerate() {
            let whole = at + 1 == chain.len();
            let mut own = Vec::new();
            self.each_part(&dataset.upload, |batch| {
                let keep = |row: &usize| {
                    let expiry = batch.payload.get(*row).and_then(|payload| payload.expiry);
                    let expired = expiry.is_some_and(|expiry| month.is_some_and(|month| expiry < month));
                    !expired && !hidden.contains(&batch.refs[*row])
                };
                let rows: Vec<usize> = (0..batch.len()).filter(keep).collect();
                if !whole {
                    own.extend_from_slice(&batch.refs);
                }
                all.append(if rows.len() == batch.len() { batch } else { batch.select(&rows) });
                Ok(())
            })?;
            hidden.extend(own);
            removals_pages(&dataset.upload.id).each_page(&*self.store, |page| {
                hidden.extend(page.as_chunks::<16>().0.iter().map(|bytes| RecordRef::from_bytes(*bytes)));
            })?;
        }
        Ok(Some(DatasetRead { manifest, batch: all }))
    }

    /// Calls `visit` with every stored part of a dataset, decrypted, in upload order.
    pub(super) fn each_part(
        &self,
        upload: &UploadRecord,
        mut visit: impl FnMut(EncodingBatch) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let layout = layout_of(upload);
        let records_max = crate::wire::limits::CHUNK_RECORDS_MAX;
        let mut opened = None;
        self.each(format!("part/{}/", upload.id).as_bytes(), |key, value| {
            let data_key = match &opened {
                Some(data_key) => data_key,
                None => opened.insert(self.data_key(&upload.project)?),
            };
            let position = at_rest::position_of(key).ok_or(StoreError::Unreadable { entry: "part" })?;
            let plain = data_key.open(&at_rest::place(upload, position), value)?;
            let part = arrow::read_stream(&layout, &plain, records_max);
            visit(part.map_err(|_| StoreError::Unreadable { entry: "part" })?)
        })
    }

    /// What an open upload says of who may learn of its records; empty where its layout does not say.
    ///
    /// # Errors
    /// What the engine says.
    pub fn uploaded_visibility(
        &self,
        upload: &UploadRecord,
    ) -> Result<Vec<(RecordRef, Visibility)>, StoreError> {
        let mut said = Vec::new();
        if upload.header.layout.payload().contains(&PayloadColumn::Visibility) {
            self.each_part(upload, |batch| {
                let rows = batch.refs.iter().zip(&batch.payload);
                said.extend(rows.map(|(r, payload)| (*r, payload.visibility.unwrap_or(Visibility::Open))));
                Ok(())
            })?;
        }
        Ok(said)
    }

    /// Removes encodings of superseded datasets, unless somebody is loading: then the next seal or
    /// start does it. Only what is known dead goes: an upload may begin meanwhile.
    pub(super) fn drop_superseded(&self) -> Result<u64, StoreError> {
        let _alone = match self.loading.try_write() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(0),
        };
        self.sweep_superseded()
    }

    /// [`Self::drop_superseded`] by whoever has stopped all loading.
    pub(super) fn sweep_superseded(&self) -> Result<u64, StoreError> {
        let mut dead = HashSet::new();
        self.each(b"manifest/", |_, value| {
            let manifest: Manifest = decode("manifest", value)?;
            if manifest.superseded.is_some() {
                dead.insert(manifest.upload.id.to_string());
            }
            Ok(())
        })?;
        self.sweep_where(&names::DATASET_FOLDERS, |owner| dead.contains(owner))
    }

    /// Removes what an abrupt stop left behind: entries of no upload, dataset or run; expired uploads.
    pub(super) fn sweep(&self) -> Result<u64, StoreError> {
        let mut swept = self.drop_expired_uploads()?;
        swept += self.forget_requests(REMEMBERED_HOURS)?;
        Ok(swept + self.sweep_folders()? + self.sweep_runs()?)
    }

    /// Drops uploads that were not sealed in time; tells how many.
    ///
    /// # Errors
    /// What the engine says.
    pub fn drop_expired_uploads(&self) -> Result<u64, StoreError> {
        let mut expired = Vec::new();
        self.each(b"upload/", |_, value| {
            let upload: UploadRecord = decode("upload", value)?;
            if upload.expires <= self.now() {
                expired.push(upload);
            }
            Ok(())
        })?;
        let mut dropped = 0;
        for upload in expired {
            dropped += u64::from(self.drop_upload(&upload, NewEvent::new("upload_expired"))?);
        }
        Ok(dropped)
    }

    /// Removes the entries of no upload and no dataset in force: at the start only, before anybody uploads.
    fn sweep_folders(&self) -> Result<u64, StoreError> {
        let (mut live, mut emptied) = (HashSet::new(), HashSet::new());
        self.each(b"upload/", |_, value| {
            live.insert(decode::<UploadRecord>("upload", value)?.id.to_string());
            Ok(())
        })?;
        self.each(b"manifest/", |_, value| {
            let manifest: Manifest = decode("manifest", value)?;
            if manifest.superseded.is_none() {
                live.insert(manifest.upload.id.to_string());
            }
            if manifest.emptied.is_some() {
                emptied.insert(manifest.upload.id.to_string());
            }
            Ok(())
        })?;
        self.sweep_where(&["part"], |owner| emptied.contains(owner))?;
        self.sweep_where(&names::DATASET_FOLDERS, |owner| !live.contains(owner))
    }

    fn sweep_runs(&self) -> Result<u64, StoreError> {
        let mut live = HashSet::new();
        self.each(b"run/", |_, value| {
            let run: super::RunRecord = decode("run", value)?;
            if run.state == RunState::Finished {
                live.insert(run.id.to_string());
            }
            Ok(())
        })?;
        self.sweep_where(&names::RUN_FOLDERS, |owner| !live.contains(owner))
    }

    /// Removes the entries of every owner below `folders` that is `dead`, stepping from owner to owner.
    fn sweep_where(&self, folders: &[&str], dead: impl Fn(&str) -> bool) -> Result<u64, StoreError> {
        let mut removed = 0;
        for folder in folders {
            let prefix = format!("{folder}/");
            let mut after: Option<Vec<u8>> = None;
            while let Some((key, _)) = self.store.scan(prefix.as_bytes(), after.as_deref(), 1)?.pop() {
                let rest = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
                let owner = rest.split('/').next().unwrap_or_default().to_owned();
                if dead(&owner) {
                    removed += self.remove_all(format!("{prefix}{owner}/").as_bytes())?;
                }
                // '0' follows '/', so this lies behind every entry of the owner.
                after = Some(format!("{prefix}{owner}0").into_bytes());
            }
        }
        Ok(removed)
    }

    /// Marks runs that were computing when the centre stopped.
    pub(super) fn interrupt_runs(&self) -> Result<u64, StoreError> {
        let mut running: Vec<(ProjectId, RunId)> = Vec::new();
        self.each(b"run/", |_, value| {
            let run: super::RunRecord = decode("run", value)?;
            if run.state == RunState::Running {
                running.push((run.project, run.id));
            }
            Ok(())
        })?;
        for (project, run) in &running {
            self.end_run(project, run, RunState::Interrupted, None)?;
        }
        Ok(running.len() as u64)
    }

    /// When the agency's current dataset was sealed.
    ///
    /// # Errors
    /// What the engine says.
    pub fn data_as_of(
        &self,
        project: &ProjectId,
        epoch: Epoch,
        agency: &AgencyId,
    ) -> Result<Option<UtcTime>, StoreError> {
        Ok(self.shared_current(project, epoch, agency)?.map(|manifest| manifest.sealed))
    }

    /// An empty write, to learn whether the store still takes any.
    ///
    /// # Errors
    /// What the engine says.
    pub fn probe_write(&self) -> Result<(), StoreError> {
        self.store.apply(&Batch::new())
    }
}
