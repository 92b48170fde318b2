//! Erasure: what is gone is gone from every dataset, index and run, though the power fails in between.
//!
//! May see: the store's own records and pages. Must not see: why, which is the service's to know. What is to go is
//! written down first, together with the event; then it is taken out, in steps that may be repeated; then
//! the note is removed. A note that is found at the start is worked off before anybody reads.

use super::records::{Manifest, NewEvent, UploadRecord, decode, encode};
use super::{Batch, StoreError, Vault, names, pages::Pages};
use crate::wire::{AgencyId, DatasetId, ProjectId, RecordRef};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::sync::{PoisonError, RwLockReadGuard};

/// What else a project leaves by its records, by `folder/project/`.
pub(super) const MENTION_FOLDERS: [&str; 13] = [
    "shield",
    "glass",
    "unshield",
    "pair",
    "notice",
    "review",
    "review-of",
    "review-reference",
    "apart",
    "apart-of",
    "table",
    "taken-run",
    "knowledge",
];

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
}

fn note(id: &str) -> String {
    format!("erasing/{id}")
}
fn noted(id: &str) -> Pages {
    Pages::new(&format!("erasing-refs/{id}/"), RecordRef::LEN, RecordRef::LEN)
}

impl Vault {
    /// Erases records of an agency from all its datasets, open uploads and runs of a project. `batch` and `event`
    /// are written with the note, before anything is taken out.
    ///
    /// # Errors
    /// What the engine says. After the note stands, the erasure is finished at the next start.
    pub fn erase_records(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        records: &BTreeSet<RecordRef>,
        mut batch: Batch,
        event: NewEvent,
    ) -> Result<Erased, StoreError> {
        let _sealing = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        let _alone = self.loading.write().unwrap_or_else(PoisonError::into_inner);
        let id = self.new_id("er")?;
        let refs: Vec<u8> = records.iter().flat_map(|record| *record.as_bytes()).collect();
        noted(&id).write(&*self.store, &refs)?;
        let pending =
            Pending { project: project.clone(), agency: agency.clone(), whole: false, keep_uploads: false };
        batch.put(note(&id), encode("erasing", &pending)?);
        self.commit(batch, event.project(project))?;
        self.work_off(&id, &pending)
    }

    /// Erases everything of an agency in a project: datasets, uploads, links, and its being a party.
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
        let _sealing = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        let _alone = self.loading.write().unwrap_or_else(PoisonError::into_inner);
        let id = self.new_id("er")?;
        let pending =
            Pending { project: project.clone(), agency: agency.clone(), whole: true, keep_uploads: false };
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
        let pending =
            Pending { project: project.clone(), agency: agency.clone(), whole: false, keep_uploads: true };
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
        let Pending { project, agency, whole, keep_uploads } = pending;
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
        self.forget_mentions(project, agency, &records, *whole)?;
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

    /// Removes what people and shields said of erased records: shields, opened glasses, decided pairs, reviews. Sets
    /// that are kept apart stay: they protect the others in them.
    fn forget_mentions(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        records: &HashSet<RecordRef>,
        whole: bool,
    ) -> Result<(), StoreError> {
        let gone: HashSet<String> = records.iter().map(ToString::to_string).collect();
        let own = format!("/{agency}/");
        let mentions = |text: &str| {
            text.split(|c: char| !c.is_ascii_hexdigit()).any(|word| word.len() == 32 && gone.contains(word))
        };
        let mut reviews: HashSet<String> = HashSet::new();
        for folder in ["shield", "glass", "unshield", "pair", "notice", "review"] {
            let prefix = format!("{folder}/{project}/");
            let mut dead: Vec<Vec<u8>> = Vec::new();
            self.each(prefix.as_bytes(), |key, value| {
                let (name, text) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
                let of_agency = whole && (name.contains(&own) || text.contains(&format!("\"{agency}\"")));
                if of_agency || mentions(&name[prefix.len()..]) || mentions(&text) {
                    dead.push(key.to_vec());
                    if folder == "review" {
                        reviews.insert(name[prefix.len()..].to_owned());
                    }
                }
                Ok(())
            })?;
            self.remove_keys(dead)?;
        }
        for folder in ["review-of", "review-reference"] {
            let mut dead = Vec::new();
            self.each(format!("{folder}/{project}/").as_bytes(), |key, value| {
                let (name, text) = (String::from_utf8_lossy(key), String::from_utf8_lossy(value));
                if reviews.iter().any(|id| name.ends_with(id.as_str()) || text.contains(id.as_str())) {
                    dead.push(key.to_vec());
                }
                Ok(())
            })?;
            self.remove_keys(dead)?;
        }
        Ok(())
    }

    fn remove_keys(&self, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
        for keys in keys.chunks(256) {
            let mut batch = Batch::new();
            for key in keys {
                batch.remove(key.as_slice());
            }
            self.store.apply(&batch)?;
        }
        Ok(())
    }

    /// While this is held nothing is erased.
    pub fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.loading.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Erasures since this process began; a run that began before one is computed again.
    #[must_use]
    pub fn erasures(&self) -> u64 {
        self.erasures.load(std::sync::atomic::Ordering::SeqCst)
    }
}
