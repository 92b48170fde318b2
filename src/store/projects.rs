//! Projects, agencies, and who is a party to what.

use super::records::{AgencyRecord, NewEvent, ProjectRecord, ProjectSecret, decode, encode};
use super::vault::random;
use super::{Batch, StoreError, Vault, names};
use crate::wire::messages::{AgencyPut, ProjectCreate};
use crate::wire::{AgencyId, EncodingHeader, Epoch, KeyCheckValue, ProjectId};
use std::sync::Arc;

/// How long a project lasts for which nobody said when it ends: a year. None lasts for ever.
const TRIAL_HOURS: u32 = 365 * 24;

impl Vault {
    /// Opens a project. None: the id is taken.
    ///
    /// # Errors
    /// What the engine says. The caller has checked layout and decision.
    pub fn create_project(
        &self,
        new: &ProjectCreate,
        event: NewEvent,
    ) -> Result<Option<ProjectRecord>, StoreError> {
        let mut secret = [0; 32];
        random(&mut secret)?;
        let record = ProjectRecord {
            id: new.id.clone(),
            title: new.title.clone(),
            schema: new.schema.clone(),
            schema_fingerprint: new.schema_fingerprint,
            layout: new.layout.clone(),
            decision: new.decision.clone(),
            epoch: new.epoch,
            key_check: new.key_check,
            purposes: new.purposes.clone(),
            created: self.now(),
            ends: Some(new.ends.unwrap_or_else(|| self.now().plus_hours(TRIAL_HOURS))),
            secret: ProjectSecret::from_bytes(secret),
            next: None,
            closed: None,
            broker: None,
        };
        let name = names::project(&new.id);
        if self.store.value(name.as_bytes())?.is_some() {
            return Ok(None);
        }
        let mut batch = Batch::new();
        batch.expect(name.as_str(), None).put(name, encode("project", &record)?);
        self.commit(batch, event.project(&new.id))?;
        Ok(Some(record))
    }

    /// A project by its id.
    ///
    /// # Errors
    /// What the engine says.
    pub fn project(&self, id: &ProjectId) -> Result<Option<ProjectRecord>, StoreError> {
        Ok(self.shared_project(id)?.map(Arc::unwrap_or_clone))
    }

    /// A project by its id, to be read only.
    ///
    /// # Errors
    /// What the engine says.
    pub fn shared_project(&self, id: &ProjectId) -> Result<Option<Arc<ProjectRecord>>, StoreError> {
        self.decoded("project", &names::project(id))
    }

    /// Projects after `after`, in order of their ids.
    ///
    /// # Errors
    /// What the engine says.
    pub fn projects(
        &self,
        after: Option<&ProjectId>,
        limit: usize,
    ) -> Result<Vec<ProjectRecord>, StoreError> {
        let after = after.map(names::project);
        let pairs = self.store.scan(b"project/", after.as_ref().map(String::as_bytes), limit)?;
        pairs.iter().map(|(_, value)| decode("project", value)).collect()
    }

    /// Begins a later epoch: datasets of the earlier one are never compared again. None: not later.
    ///
    /// # Errors
    /// What the engine says.
    pub fn begin_epoch(
        &self,
        id: &ProjectId,
        epoch: Epoch,
        key_check: Option<KeyCheckValue>,
        event: NewEvent,
    ) -> Result<Option<ProjectRecord>, StoreError> {
        let mut batch = Batch::new();
        if !self.stage_epoch(&mut batch, id, epoch, key_check)? {
            return Ok(None);
        }
        self.commit(batch, event.project(id))?;
        self.project(id)
    }

    /// Names the party that answers for brokered records. None: there is no such project.
    ///
    /// # Errors
    /// What the engine says.
    pub fn set_broker(
        &self,
        id: &ProjectId,
        broker: &AgencyId,
        event: NewEvent,
    ) -> Result<Option<ProjectRecord>, StoreError> {
        self.change_project(id, event.subject(broker), |record| {
            record.broker = Some(broker.clone());
            true
        })
    }

    /// Adds to `batch` what names another broker. False: there is no such project.
    ///
    /// # Errors
    /// What the engine says.
    pub fn stage_broker(
        &self,
        batch: &mut Batch,
        id: &ProjectId,
        broker: &AgencyId,
    ) -> Result<bool, StoreError> {
        self.stage_project(batch, id, |record| {
            record.broker = Some(broker.clone());
            true
        })
    }

    /// Adds to `batch` what begins a later epoch. False: it is not later.
    ///
    /// # Errors
    /// What the engine says.
    pub fn stage_epoch(
        &self,
        batch: &mut Batch,
        id: &ProjectId,
        epoch: Epoch,
        key_check: Option<KeyCheckValue>,
    ) -> Result<bool, StoreError> {
        // What people said of pairs is for the new epoch's first run to take up.
        self.touch(batch, id)?;
        self.stage_project(batch, id, |record| begin(record, epoch, key_check))
    }

    /// Adds to `batch` a change of a project. False: there is no such, or `change` returned false.
    fn stage_project(
        &self,
        batch: &mut Batch,
        id: &ProjectId,
        change: impl FnOnce(&mut ProjectRecord) -> bool,
    ) -> Result<bool, StoreError> {
        let name = names::project(id);
        let Some(bytes) = self.store.value(name.as_bytes())? else { return Ok(false) };
        let mut record: ProjectRecord = decode("project", &bytes)?;
        if !change(&mut record) {
            return Ok(false);
        }
        batch.expect(name.as_str(), Some(bytes)).put(name, encode("project", &record)?);
        Ok(true)
    }

    /// Adds to `batch` what makes an agency a party of a project.
    ///
    /// # Errors
    /// What the engine says.
    pub fn stage_party(
        &self,
        batch: &mut Batch,
        project: &ProjectId,
        agency: &AgencyId,
    ) -> Result<(), StoreError> {
        if !self.is_party(project, agency)? {
            batch.put(names::party(project, agency), encode("party", &self.now())?);
        }
        Ok(())
    }

    /// Changes a project and says so in an event, unless `change` returns false.
    pub(super) fn change_project(
        &self,
        id: &ProjectId,
        event: NewEvent,
        change: impl FnOnce(&mut ProjectRecord) -> bool,
    ) -> Result<Option<ProjectRecord>, StoreError> {
        let mut batch = Batch::new();
        if !self.stage_project(&mut batch, id, change)? {
            return Ok(None);
        }
        self.commit(batch, event.project(id))?;
        self.project(id)
    }

    /// Registers an agency or changes its contact point.
    ///
    /// # Errors
    /// What the engine says.
    pub fn put_agency(
        &self,
        id: &AgencyId,
        put: &AgencyPut,
        event: NewEvent,
    ) -> Result<AgencyRecord, StoreError> {
        let name = names::agency(id);
        let before = self.store.value(name.as_bytes())?;
        let bound = match &before {
            Some(bytes) => decode::<AgencyRecord>("agency", bytes)?.certificates,
            None => Vec::new(),
        };
        let record = AgencyRecord {
            id: id.clone(),
            name: put.name.clone(),
            contact: put.contact.clone(),
            certificates: put.certificates.clone().unwrap_or(bound),
            updated: self.now(),
        };
        let mut batch = Batch::new();
        batch.expect(name.as_str(), before).put(name, encode("agency", &record)?);
        self.commit(batch, event.subject(id))?;
        Ok(record)
    }

    /// An agency by its id.
    ///
    /// # Errors
    /// What the engine says.
    pub fn agency(&self, id: &AgencyId) -> Result<Option<AgencyRecord>, StoreError> {
        Ok(self.decoded("agency", &names::agency(id))?.map(Arc::unwrap_or_clone))
    }

    /// Agencies, in order of their ids, at most `limit`.
    ///
    /// # Errors
    /// What the engine says.
    pub fn agencies(&self, after: Option<&AgencyId>, limit: usize) -> Result<Vec<AgencyRecord>, StoreError> {
        let after = after.map(names::agency);
        let pairs = self.store.scan(b"agency/", after.as_ref().map(String::as_bytes), limit)?;
        pairs.iter().map(|(_, value)| decode("agency", value)).collect()
    }

    /// Makes an agency a party of a project. Doing it twice changes nothing.
    ///
    /// # Errors
    /// What the engine says.
    pub fn add_party(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        event: NewEvent,
    ) -> Result<(), StoreError> {
        if self.is_party(project, agency)? {
            return Ok(());
        }
        let mut batch = Batch::new();
        self.stage_party(&mut batch, project, agency)?;
        self.commit(batch, event.project(project).subject(agency))?;
        Ok(())
    }

    /// Whether an agency is a party of a project.
    ///
    /// # Errors
    /// What the engine says.
    pub fn is_party(&self, project: &ProjectId, agency: &AgencyId) -> Result<bool, StoreError> {
        Ok(self.store.value(names::party(project, agency).as_bytes())?.is_some())
    }

    /// The parties of a project, in order of their ids.
    ///
    /// # Errors
    /// What the engine says.
    pub fn parties(&self, project: &ProjectId) -> Result<Vec<AgencyRecord>, StoreError> {
        let prefix = names::parties(project);
        let limit = crate::wire::limits::AGENCIES_MAX + 1;
        let mut parties = Vec::new();
        for (key, _) in self.store.scan(prefix.as_bytes(), None, limit)? {
            let id = std::str::from_utf8(&key[prefix.len()..]).ok().and_then(|id| id.parse().ok());
            let id: AgencyId = id.ok_or(StoreError::Unreadable { entry: "party" })?;
            parties.extend(self.agency(&id)?);
        }
        Ok(parties)
    }
}

/// Begins a later epoch; false: it is not later.
fn begin(record: &mut ProjectRecord, epoch: Epoch, key_check: Option<KeyCheckValue>) -> bool {
    let later = epoch > record.epoch;
    if later {
        // What the announced epoch's first upload pinned holds on.
        let announced = record.next.take().filter(|next| next.epoch == epoch);
        record.epoch = epoch;
        record.key_check = key_check.or(announced.and_then(|next| next.key_check));
    }
    later
}

/// The project with the check value of the upload's epoch pinned; none: it stands already.
pub(super) fn pinned(project: &ProjectRecord, header: &EncodingHeader) -> Option<ProjectRecord> {
    let mut pinned = project.clone();
    let check = match &mut pinned.next {
        Some(next) if next.epoch == header.epoch => &mut next.key_check,
        _ => &mut pinned.key_check,
    };
    if check.is_some() {
        return None;
    }
    *check = Some(header.key_check);
    Some(pinned)
}
