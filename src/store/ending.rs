//! What is held of one record, what has come to its end, and the end of a project.
//!
//! May see: the store's own records. Must not see: agreements; when something ends is the caller's to say.

use super::records::{Manifest, NewEvent, ProjectRecord, decode, encode};
use super::{Batch, StoreError, Vault, names};
use crate::wire::{AgencyId, EncodingBatch, Epoch, KeyCheckValue, Month, ProjectId, RecordRef};
use std::collections::{BTreeSet, HashSet};
use std::sync::PoisonError;

impl Vault {
    /// Every encoding held of one record: dataset and row.
    ///
    /// # Errors
    /// What the engine says.
    pub fn held(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<Vec<(Manifest, EncodingBatch)>, StoreError> {
        let _loading = self.loading.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for manifest in self.manifests(project, None, usize::MAX)? {
            let stands = manifest.superseded.is_none() && manifest.emptied.is_none();
            if !stands || manifest.upload.agency != *agency {
                continue;
            }
            self.each_part(&manifest.upload, |batch| {
                if let Some(row) = batch.refs.iter().position(|found| found == record) {
                    found.push((manifest.clone(), batch.select(&[row])));
                }
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// Records of an agency that are due to go, by the month of its last upload and their own expiry month.
    ///
    /// # Errors
    /// What the engine says.
    pub fn due(
        &self,
        project: &ProjectId,
        epoch: Epoch,
        agency: &AgencyId,
        is_due: impl Fn(Month, Option<Month>) -> bool,
    ) -> Result<BTreeSet<RecordRef>, StoreError> {
        let _loading = self.loading.read().unwrap_or_else(PoisonError::into_inner);
        let mut due = BTreeSet::new();
        let Some(newest) = self.current(project, epoch, agency)? else { return Ok(due) };
        // A later delta says of every record below it that the agency still sends it.
        let Ok(uploaded) = Month::try_from(newest.sealed.month_number()) else { return Ok(due) };
        let emptied = newest.emptied.is_some();
        // A newer version of a record says when it is due, and takes older ones with it. What a delta removed has no
        // newer version, and is due by what is left of it.
        let mut newer: HashSet<RecordRef> = HashSet::new();
        for dataset in self.chain(newest)? {
            if emptied {
                // Only refs are left, and they end together.
                if is_due(uploaded, None) {
                    super::prefilter::refs_pages(&dataset.upload.id).each_page(&*self.store, |page| {
                        let refs = page.as_chunks::<16>().0;
                        due.extend(refs.iter().map(|bytes| RecordRef::from_bytes(*bytes)));
                    })?;
                }
                continue;
            }
            let mut own = Vec::new();
            self.each_part(&dataset.upload, |batch| {
                for (row, record) in batch.refs.iter().enumerate() {
                    let expiry = batch.payload.get(row).and_then(|payload| payload.expiry);
                    if !newer.contains(record) && is_due(uploaded, expiry) {
                        due.insert(*record);
                    }
                }
                own.extend_from_slice(&batch.refs);
                Ok(())
            })?;
            newer.extend(own);
        }
        Ok(due)
    }

    /// Ends a project: from this transaction on, `batch` with it, its encodings cannot be read, nor new ones taken.
    ///
    /// # Errors
    /// What the engine says.
    pub fn close_project(&self, id: &ProjectId, mut batch: Batch, event: NewEvent) -> Result<(), StoreError> {
        let name = names::project(id);
        let Some(bytes) = self.store.value(name.as_bytes())? else { return Ok(()) };
        let mut record: ProjectRecord = decode("project", &bytes)?;
        let now = self.now();
        record.closed = Some(record.closed.unwrap_or(now));
        record.ends = Some(record.ends.map_or(now, |ends| ends.min(now)));
        batch.expect(name.as_str(), Some(bytes)).put(name, encode("project", &record)?);
        self.destroy_data_key(&mut batch, id);
        self.commit(batch, event.project(id))?;
        self.forget_data_key(id);
        Ok(())
    }

    /// Announces the epoch that is to follow, so that its encodings can be uploaded and linked while the present
    /// one still answers. None: it is not later.
    ///
    /// # Errors
    /// What the engine says.
    pub fn announce_epoch(
        &self,
        id: &ProjectId,
        epoch: Epoch,
        key_check: Option<KeyCheckValue>,
        event: NewEvent,
    ) -> Result<Option<ProjectRecord>, StoreError> {
        self.change_project(id, event, |record| {
            let later = epoch > record.epoch;
            if later {
                record.next = Some(super::records::NextEpoch { epoch, key_check });
            }
            later
        })
    }
}
