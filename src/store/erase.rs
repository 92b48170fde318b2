//! Erasure: what is gone is gone from every dataset, index and run, though the power fails in between.
//!
//! May see: the store's own records and pages. Must not see: why, which is the service's to know. What is to go is
//! written down first, together with the event; then it is taken out, in steps that may be repeated; then
//! the note is removed. A note that is found at the start is worked off before anybody reads.

use super::mentions::Gone;
use super::records::{Manifest, NewEvent, UploadRecord, decode, encode};
use super::{Batch, StoreError, Vault, names, pages::Pages};
use crate::wire::{AgencyId, DatasetId, Epoch, ProjectId, RecordRef};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::sync::{MutexGuard, PoisonError, RwLockReadGuard, RwLockWriteGuard};

/// What an erasure took out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// Encodings.
    pub encodings: u64,
    /// Links.
    pub links: u64,
}

/// What is being erased.
#[derive(Serialize, Deserialize)]
struct Pending {
    project: ProjectId,
    agency: AgencyId,
    /// Everything of the agency; else the records under the note's pages.
    whole: bool,
    /// Open uploads stay: they were looked through when they came.
    keep_uploads: bool,
    /// The records are refused when they come again, so that nothing needs to be kept for their return.
    #[serde(default)]
    buried: bool,
}

impl Pending {
    fn new(project: &ProjectId, agency: &AgencyId) -> Self {
        let (project, agency) = (project.clone(), agency.clone());
        Self { project, agency, whole: false, keep_uploads: false, buried: false }
    }
}

fn note(id: &str) -> String {
    format!("erasing/{id}")
}
fn noted(id: &str) -> Pages {
    Pages::new(&format!("erasing-refs/{id}/"), RecordRef::LEN, RecordRef::LEN)
}

impl Vault {
    /// Erases records of an agency from all its datasets, open uploads and runs of a project. `batch` and `event`
    /// are written with the note, before anything is taken out. `buried`: `batch` sees to it that they never come
    /// again, and sets of records kept apart lose them; else those stay, for their return.
    ///
    /// # Errors
    /// What the engine says. After the note stands, the erasure is finished at the next start.
    pub fn erase_records(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        (records, buried): (&BTreeSet<RecordRef>, bool),
        mut batch: Batch,
        event: NewEvent,
    ) -> Result<Erased, StoreError> {
        let _alone = self.alone();
        let id = self.new_id("er")?;
        let refs: Vec<u8> = records.iter().flat_map(|record| *record.as_bytes()).collect();
        noted(&id).write(&*self.store, &refs)?;
        let pending = Pending { buried, ..Pending::new(project, agency) };
        batch.put(note(&id), encode("erasing", &pending)?);
        self.commit(batch, event.project(project))?;
        self.work_off(&id, &pending)
    }

    /// Erases everything of an agency in a project: datasets, uploads, links, its being a party, its keys.
    ///
    /// # Errors
    /// As [`Vault::erase_records`].
    pub fn erase_agency(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        mut batch: Batch,
        event: NewEvent,
    ) -> Result<Erased, StoreError> {
        let _alone = self.alone();
        let id = self.new_id("er")?;
        let pending = Pending { whole: true, ..Pending::new(project, agency) };
        batch.put(note(&id), encode("erasing", &pending)?).remove(names::party(project, agency));
        self.commit(batch, event.project(project))?;
        self.work_off(&id, &pending)
    }

    /// Records of an upload that were erased before.
    pub(super) fn returned(&self, id: &DatasetId) -> Result<BTreeSet<RecordRef>, StoreError> {
        let mut returned = BTreeSet::new();
        self.each(format!("returned/{id}/").as_bytes(), |_, value| {
            returned.extend(value.as_chunks::<16>().0.iter().map(|bytes| RecordRef::from_bytes(*bytes)));
            Ok(())
        })?;
        Ok(returned)
    }

    /// Seals a dataset by `batch` and takes the returned records out of it before anybody reads it.
    pub(super) fn seal_without(
        &self,
        manifest: &Manifest,
        returned: &BTreeSet<RecordRef>,
        mut batch: Batch,
        event: NewEvent,
    ) -> Result<(), StoreError> {
        let _alone = self.loading.write().unwrap_or_else(PoisonError::into_inner);
        let id = self.new_id("er")?;
        let refs: Vec<u8> = returned.iter().flat_map(|record| *record.as_bytes()).collect();
        noted(&id).write(&*self.store, &refs)?;
        let UploadRecord { project, agency, .. } = &manifest.upload;
        let pending = Pending { keep_uploads: true, buried: true, ..Pending::new(project, agency) };
        batch.put(note(&id), encode("erasing", &pending)?);
        self.commit(batch, event)?;
        self.work_off(&id, &pending)?;
        self.remove_all(format!("returned/{}/", manifest.upload.id).as_bytes())?;
        Ok(())
    }

    /// Finishes erasures that an abrupt stop interrupted. Call it before anybody reads, with the root key.
    ///
    /// # Errors
    /// What the engine says.
    pub fn resume_erasures(&self) -> Result<u64, StoreError> {
        let mut found = Vec::new();
        self.each(b"erasing/", |key, value| {
            let id = String::from_utf8_lossy(key).trim_start_matches("erasing/").to_owned();
            found.push((id, decode::<Pending>("erasing", value)?));
            Ok(())
        })?;
        for (id, pending) in &found {
            self.work_off(id, pending)?;
        }
        // Pages of a note that was never written.
        self.remove_all(b"erasing-refs/")?;
        Ok(found.len() as u64)
    }

    fn work_off(&self, id: &str, pending: &Pending) -> Result<Erased, StoreError> {
        let Pending { project, agency, whole, keep_uploads, buried } = pending;
        if *whole {
            // First, so that nothing of it comes in again, and here, so that a stop in between leaves no key alive.
            self.revoke_keys_of(project, Some(agency))?;
        }
        // The encodings of replaced datasets may stand still, if somebody was loading when they were replaced.
        self.sweep_superseded()?;
        let mut records = HashSet::new();
        noted(id).each_page(&*self.store, |page| {
            records.extend(page.as_chunks::<16>().0.iter().map(|bytes| RecordRef::from_bytes(*bytes)));
        })?;
        let gone = |record: &RecordRef| *whole || records.contains(record);
        if !keep_uploads {
            self.drop_open_uploads(project, agency)?;
        }
        let encodings = if *whole {
            self.drop_datasets(project, |manifest| manifest.upload.agency == *agency)?
        } else {
            self.strip_datasets(project, agency, &gone)?
        };
        let mut links = 0;
        for run in self.runs(project, None, usize::MAX)? {
            links += self.strip_run(run, agency, &gone)?;
        }
        self.forget_mentions(project, &Gone { agency, whole: *whole, buried: *buried, records: &records })?;
        self.erasures.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.store.flush()?;
        let mut batch = Batch::new();
        batch.remove(note(id));
        self.store.apply(&batch)?;
        self.remove_all(format!("erasing-refs/{id}/").as_bytes())?;
        self.store.flush()?;
        Ok(Erased { encodings, links })
    }

    /// An open upload may hold what is erased: its agency sends it again.
    fn drop_open_uploads(&self, project: &ProjectId, agency: &AgencyId) -> Result<(), StoreError> {
        for upload in self.uploads(project, Some(agency))? {
            self.drop_upload(&upload, NewEvent::new("upload_dropped"))?;
        }
        Ok(())
    }

    /// Nobody seals, loads or erases while this is held.
    pub(super) fn alone(&self) -> (MutexGuard<'_, ()>, RwLockWriteGuard<'_, ()>) {
        let sealing = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        (sealing, self.loading.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// While this is held nothing is erased.
    pub fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.loading.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down something of a record while it is current: an erasure comes before that or after it, never in between.
    /// None: it is not current. `work` does not load encodings.
    ///
    /// # Errors
    /// What `work` says, or the engine.
    pub fn while_current<T, E: From<StoreError>>(
        &self,
        (project, epoch): (&ProjectId, Epoch),
        side: (&AgencyId, &RecordRef),
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let _hold = self.hold();
        match self.standing(project, epoch, side, None)? {
            None => Ok(None),
            Some(_) => work().map(Some),
        }
    }

    /// Erasures since this process began; a run that began before one is computed again.
    #[must_use]
    pub fn erasures(&self) -> u64 {
        self.erasures.load(std::sync::atomic::Ordering::SeqCst)
    }
}
