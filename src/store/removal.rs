//! Removing whole things: uploads, datasets, runs, epochs, all of a project, the encodings a project does not keep.
//!
//! May see: the store's own records. Every removal may be repeated.

use super::erase::Erased;
use super::mentions::MENTION_FOLDERS;
use super::records::{Manifest, NewEvent, RunRecord, UploadRecord};
use super::{Batch, StoreError, Vault, names};
use crate::wire::{AgencyId, DatasetId, Epoch, ProjectId};

impl Vault {
    /// Drops an open upload. False: there is no such.
    ///
    /// # Errors
    /// What the engine says.
    pub fn drop_upload(&self, upload: &UploadRecord, event: NewEvent) -> Result<bool, StoreError> {
        let name = names::upload(&upload.project, &upload.id);
        let Some(bytes) = self.store.value(name.as_bytes())? else { return Ok(false) };
        let mut batch = Batch::new();
        batch.expect(name.as_str(), Some(bytes)).remove(name);
        self.commit(batch, event.project(&upload.project).dataset(&upload.id))?;
        self.remove_dataset(&upload.id)?;
        Ok(true)
    }

    /// Removes every entry of a dataset, manifest and announcement apart.
    pub(super) fn remove_dataset(&self, id: &DatasetId) -> Result<u64, StoreError> {
        self.prefilters.forget(id);
        let mut removed = 0;
        for folder in names::DATASET_FOLDERS {
            removed += self.remove_all(format!("{folder}/{id}/").as_bytes())?;
        }
        Ok(removed)
    }

    /// Removes datasets of a project entirely; tells how many encodings were in them.
    pub(super) fn drop_datasets(
        &self,
        project: &ProjectId,
        goes: impl Fn(&Manifest) -> bool,
    ) -> Result<u64, StoreError> {
        let mut encodings = 0;
        for manifest in self.manifests(project, None, usize::MAX)? {
            if !goes(&manifest) {
                continue;
            }
            let Manifest { upload, .. } = &manifest;
            let pointer = names::current(project, upload.header.epoch, &upload.agency);
            if self.store.value(pointer.as_bytes())?.as_deref() == Some(upload.id.as_str().as_bytes()) {
                let mut batch = Batch::new();
                batch.remove(pointer);
                self.store.apply(&batch)?;
            }
            if manifest.superseded.is_none() && manifest.emptied.is_none() {
                encodings += upload.header.records;
            }
            self.remove_dataset(&upload.id)?;
            let mut batch = Batch::new();
            batch.remove(names::manifest(project, &upload.id));
            self.store.apply(&batch)?;
        }
        Ok(encodings)
    }

    /// Removes runs of a project entirely.
    fn drop_runs(&self, project: &ProjectId, goes: impl Fn(&RunRecord) -> bool) -> Result<u64, StoreError> {
        let mut links = 0;
        for run in self.runs(project, None, usize::MAX)? {
            if !goes(&run) {
                continue;
            }
            links += run.links;
            let mut batch = Batch::new();
            let latest = names::latest_run(project, run.epoch);
            if self.store.value(latest.as_bytes())?.as_deref() == Some(run.id.as_str().as_bytes()) {
                batch.remove(latest);
            }
            batch.remove(names::run(project, &run.id));
            self.store.apply(&batch)?;
            self.sweep_run(&run.id)?;
        }
        Ok(links)
    }

    /// Removes what earlier epochs than `epoch` left: datasets, uploads, runs. May be repeated.
    ///
    /// # Errors
    /// What the engine says.
    pub fn erase_epochs_before(&self, project: &ProjectId, epoch: Epoch) -> Result<Erased, StoreError> {
        let _alone = self.alone();
        for upload in self.uploads(project, None)? {
            if upload.header.epoch < epoch {
                self.drop_upload(&upload, NewEvent::new("upload_dropped"))?;
            }
        }
        let encodings = self.drop_datasets(project, |manifest| manifest.upload.header.epoch < epoch)?;
        let links = self.drop_runs(project, |run| run.epoch < epoch)?;
        self.store.flush()?;
        Ok(Erased { encodings, links })
    }

    /// Removes what a closed project held of records, and revokes its agencies' keys. What stays says who did what: its
    /// events, its ledger, its tombstones, its alerts, its agreements with their approvals, its parties. May be repeated.
    ///
    /// # Errors
    /// What the engine says.
    pub fn erase_project(&self, project: &ProjectId) -> Result<Erased, StoreError> {
        let _alone = self.alone();
        for upload in self.uploads(project, None)? {
            self.drop_upload(&upload, NewEvent::new("upload_dropped"))?;
        }
        let encodings = self.drop_datasets(project, |_| true)?;
        let links = self.drop_runs(project, |_| true)?;
        self.revoke_keys_of(project, None)?;
        for folder in MENTION_FOLDERS {
            self.remove_all(format!("{folder}/{project}/").as_bytes())?;
        }
        self.remove_keys(
            ["taken-run", "knowledge"].map(|name| format!("{name}/{project}").into_bytes()).into(),
        )?;
        self.forget_openings(project)?;
        self.erasures.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.store.flush()?;
        Ok(Erased { encodings, links })
    }

    /// Removes the encodings behind the inputs of a run and keeps what answers need: refs, links. What was sealed in
    /// place of an input since stays: no run has used it.
    ///
    /// # Errors
    /// What the engine says.
    pub fn empty_datasets(&self, run: &RunRecord) -> Result<u64, StoreError> {
        let _alone = self.alone();
        self.sweep_superseded()?;
        let mut encodings = 0;
        for input in &run.inputs {
            let current = self.current(&run.project, run.epoch, &input.agency)?;
            if current.is_some_and(|manifest| manifest.upload.id == input.dataset) {
                encodings += self.empty_one(&run.project, run.epoch, &input.agency)?;
            }
        }
        self.store.flush()?;
        Ok(encodings)
    }

    /// [`Vault::empty_datasets`] of one agency.
    ///
    /// # Errors
    /// What the engine says.
    pub fn empty_datasets_of(
        &self,
        project: &ProjectId,
        epoch: Epoch,
        agency: &AgencyId,
    ) -> Result<u64, StoreError> {
        let _alone = self.alone();
        self.sweep_superseded()?;
        let encodings = self.empty_one(project, epoch, agency)?;
        self.store.flush()?;
        Ok(encodings)
    }

    fn empty_one(&self, project: &ProjectId, epoch: Epoch, agency: &AgencyId) -> Result<u64, StoreError> {
        let Some(newest) = self.current(project, epoch, agency)? else { return Ok(0) };
        let mut encodings = 0;
        for manifest in self.chain(newest)?.into_iter().filter(|manifest| manifest.emptied.is_none()) {
            encodings += manifest.upload.header.records;
            let id = manifest.upload.id.clone();
            // Said first: what is left of the parts after an abrupt stop is swept at the next start.
            self.put_manifest(&Manifest { emptied: Some(self.now()), ..manifest })?;
            self.remove_all(format!("part/{id}/").as_bytes())?;
        }
        Ok(encodings)
    }
}
