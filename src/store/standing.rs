//! Whether a record is among an agency's current ones, and whether a run has read it as it stands.
//!
//! May see: the store's own records and pages. A dataset may lie under deltas: the newest that says something decides.

use super::records::Manifest;
use super::uploads::removals_pages;
use super::{StoreError, Vault};
use crate::wire::{AgencyId, DatasetId, Epoch, ProjectId, RecordRef};

impl Vault {
    /// Whether `record` is among the current records of an agency.
    ///
    /// # Errors
    /// What the engine says.
    pub fn is_current_record(
        &self,
        project: &ProjectId,
        epoch: Epoch,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<bool, StoreError> {
        Ok(self.linked_record(project, epoch, (agency, record), None)?.is_some())
    }

    /// Whether a record of an agency stands in dataset `read`, or below it, as it stands now: whether a run that read it has
    /// compared the record. None: not a current record.
    ///
    /// # Errors
    /// What the engine says.
    pub fn linked_record(
        &self,
        project: &ProjectId,
        epoch: Epoch,
        side: (&AgencyId, &RecordRef),
        read: Option<&DatasetId>,
    ) -> Result<Option<bool>, StoreError> {
        let _loading = self.hold();
        self.standing(project, epoch, side, read)
    }

    /// [`Self::linked_record`] while the caller holds loading.
    pub(super) fn standing(
        &self,
        project: &ProjectId,
        epoch: Epoch,
        (agency, record): (&AgencyId, &RecordRef),
        read: Option<&DatasetId>,
    ) -> Result<Option<bool>, StoreError> {
        let mut next = self.shared_current(project, epoch, agency)?;
        let mut linked = false;
        while let Some(manifest) = next {
            linked |= read == Some(&manifest.upload.id);
            if let Some(found) = self.says_of(&manifest, record)? {
                return Ok(found.then_some(linked));
            }
            next = match &manifest.upload.base {
                None => None,
                Some(base) => {
                    let below = self.shared_manifest(project, base)?;
                    Some(below.ok_or(StoreError::Unreadable { entry: "manifest" })?)
                }
            };
        }
        Ok(None)
    }

    /// Whether one dataset of a chain holds a record or removes it; none: it says nothing of it.
    fn says_of(&self, manifest: &Manifest, record: &RecordRef) -> Result<Option<bool>, StoreError> {
        let id = &manifest.upload.id;
        if self.prefilters.contains(&*self.store, id, record)? {
            return Ok(Some(true));
        }
        let removed = manifest.depth > 0 && removals_pages(id).contains(&*self.store, record.as_bytes())?;
        Ok(removed.then_some(false))
    }

    pub(super) fn chain_contains(&self, chain: &[Manifest], record: &RecordRef) -> Result<bool, StoreError> {
        for manifest in chain {
            if let Some(found) = self.says_of(manifest, record)? {
                return Ok(found);
            }
        }
        Ok(false)
    }
}
