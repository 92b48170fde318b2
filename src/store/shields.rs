//! Who may learn of a record: kept by record ref, over re-encodings, epochs and runs.
//!
//! [`Vault::veiled`] is the one place where a stored link becomes one that somebody may read; nothing else
//! hands links out of the store.

use super::records::{LinkRecord, NewEvent, RunRecord, decode, encode};
use super::{Batch, StoreError, Vault};
use crate::wire::messages::{Reach, Why};
use crate::wire::{AgencyId, Band, Month, ProjectId, Reason, RecordRef, UtcTime, Visibility};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A record and whose it is.
pub type Side = (AgencyId, RecordRef);

/// What is known of who may learn of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShieldRecord {
    /// What the agency's uploads said; `hidden` stays though a later upload says less.
    pub uploaded: Visibility,
    /// What was said by request.
    pub declared: Visibility,
    /// How far it reaches.
    pub reach: Reach,
    /// The record whose shield this one inherited: hidden while it stands, whatever was uploaded or declared.
    pub inherited: Option<Side>,
    /// Why, where somebody said so.
    pub why: Option<Why>,
    /// Since when.
    pub since: UtcTime,
    /// Until when two people opened it.
    pub open_until: Option<UtcTime>,
}

impl ShieldRecord {
    /// An open record at `now`.
    #[must_use]
    pub const fn open(now: UtcTime) -> Self {
        Self {
            uploaded: Visibility::Open,
            declared: Visibility::Open,
            reach: Reach::Record,
            inherited: None,
            why: None,
            since: now,
            open_until: None,
        }
    }

    /// In force at `now`: what was said, unless opened for a time.
    #[must_use]
    pub fn visibility(&self, now: UtcTime) -> Visibility {
        if self.is_opened(now) { Visibility::Open } else { self.said() }
    }

    /// What was said: hidden while a shield is inherited, else the stricter of what was uploaded and declared.
    #[must_use]
    pub const fn said(&self) -> Visibility {
        match self.inherited {
            Some(_) => Visibility::Hidden,
            None => stricter(self.uploaded, self.declared),
        }
    }

    /// Whether two people opened it and their time is not over at `now`.
    #[must_use]
    pub fn is_opened(&self, now: UtcTime) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    /// Whether the record inherited it from another agency's: then its own agency is not told.
    #[must_use]
    pub fn is_foreign(&self, own: &AgencyId) -> bool {
        self.inherited.as_ref().is_some_and(|(agency, _)| agency != own)
    }
}

/// The visibility that fewer people share.
const fn stricter(one: Visibility, other: Visibility) -> Visibility {
    match (one, other) {
        (Visibility::Hidden, _) | (_, Visibility::Hidden) => Visibility::Hidden,
        (Visibility::Brokered, _) | (_, Visibility::Brokered) => Visibility::Brokered,
        (Visibility::Open, Visibility::Open) => Visibility::Open,
    }
}

fn shield_name(project: &ProjectId, agency: &AgencyId, record: &RecordRef) -> String {
    format!("shield/{project}/{agency}/{record}")
}

fn glass_name(project: &ProjectId, agency: &AgencyId, record: &RecordRef) -> String {
    format!("glass/{project}/{agency}/{record}")
}

impl Vault {
    /// What is known of one record.
    ///
    /// # Errors
    /// What the engine says.
    pub fn shield(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<Option<ShieldRecord>, StoreError> {
        let value = self.store.value(shield_name(project, agency, record).as_bytes())?;
        value.map(|bytes| decode("shield", &bytes)).transpose()
    }

    /// Who may learn of one record now.
    ///
    /// # Errors
    /// What the engine says.
    pub fn visibility(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<Visibility, StoreError> {
        let shield = self.shield(project, agency, record)?;
        Ok(shield.map_or(Visibility::Open, |shield| shield.visibility(self.now())))
    }

    /// Every record of an agency about which something is known, by ref, from `after` on.
    ///
    /// # Errors
    /// What the engine says.
    pub fn shields(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        after: Option<&RecordRef>,
        limit: usize,
    ) -> Result<BTreeMap<RecordRef, ShieldRecord>, StoreError> {
        let prefix = format!("shield/{project}/{agency}/");
        let mut after = after.map(|record| shield_name(project, agency, record).into_bytes());
        let mut found = BTreeMap::new();
        while found.len() < limit {
            let pairs = self.store.scan(prefix.as_bytes(), after.as_deref(), 256.min(limit - found.len()))?;
            let Some((last, _)) = pairs.last() else { break };
            after = Some(last.clone());
            for (key, value) in &pairs {
                let record = std::str::from_utf8(&key[prefix.len()..]).ok().and_then(|id| id.parse().ok());
                let record: RecordRef = record.ok_or(StoreError::Unreadable { entry: "shield" })?;
                found.insert(record, decode("shield", value)?);
            }
        }
        Ok(found)
    }

    /// Changes what is known of some records of an agency, with one event, and takes what they hide now out of every
    /// stored run. `change` is given a record and what stands of it at the moment of writing (an open shield when
    /// nothing does), and again if that changed meanwhile: a word said by somebody else is never lost. `said` is false
    /// for a change by a run itself, which need not be run again for it. Returns what changed; without any nothing is
    /// written.
    ///
    /// # Errors
    /// What `change` or the engine says; then at most some of the records were changed, each of them whole.
    pub fn change_shields<E: From<StoreError>>(
        &self,
        (project, agency): (&ProjectId, &AgencyId),
        records: &BTreeSet<RecordRef>,
        change: impl Fn(&RecordRef, ShieldRecord) -> Result<ShieldRecord, E>,
        (event, said): (NewEvent, bool),
    ) -> Result<BTreeMap<RecordRef, ShieldRecord>, E> {
        let all: Vec<RecordRef> = records.iter().copied().collect();
        let parts: Vec<&[RecordRef]> = all.chunks(256).collect();
        let mut changed = BTreeMap::new();
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            loop {
                let (mut batch, found) = self.changed_shields((project, agency), part, &change)?;
                let written = if last && !(found.is_empty() && changed.is_empty()) {
                    if said {
                        self.touch(&mut batch, project)?;
                    }
                    self.commit(batch, event.clone().project(project)).map(drop)
                } else {
                    self.store.apply(&batch)
                };
                match written {
                    Ok(()) => changed.extend(found),
                    Err(StoreError::Conflict) => continue,
                    Err(error) => return Err(error.into()),
                }
                break;
            }
        }
        let now = self.now();
        let hidden = changed.iter().filter(|(_, shield)| shield.visibility(now) == Visibility::Hidden);
        self.hide_links(project, agency, &hidden.map(|(record, _)| *record).collect::<Vec<_>>())?;
        Ok(changed)
    }

    /// The writes of [`Self::change_shields`] for some records, each expecting what it was made from.
    fn changed_shields<E: From<StoreError>>(
        &self,
        (project, agency): (&ProjectId, &AgencyId),
        records: &[RecordRef],
        change: &impl Fn(&RecordRef, ShieldRecord) -> Result<ShieldRecord, E>,
    ) -> Result<(Batch, BTreeMap<RecordRef, ShieldRecord>), E> {
        let (mut batch, mut changed) = (Batch::new(), BTreeMap::new());
        for record in records {
            let name = shield_name(project, agency, record);
            let bytes = self.store.value(name.as_bytes())?;
            let before = bytes.as_deref().map(|bytes| decode("shield", bytes)).transpose()?;
            let before = before.unwrap_or_else(|| ShieldRecord::open(self.now()));
            let after = change(record, before.clone())?;
            if after != before {
                batch.expect(name.as_str(), bytes).put(name, encode("shield", &after)?);
                changed.insert(*record, after);
            }
        }
        Ok((batch, changed))
    }

    /// Adds to `batch` what opens a shielded record until `until`. False: nothing is known of it.
    ///
    /// # Errors
    /// What the engine says.
    pub fn stage_open(
        &self,
        batch: &mut Batch,
        project: &ProjectId,
        (agency, record): (&AgencyId, &RecordRef),
        until: UtcTime,
    ) -> Result<bool, StoreError> {
        let name = shield_name(project, agency, record);
        let Some(bytes) = self.store.value(name.as_bytes())? else { return Ok(false) };
        let shut: ShieldRecord = decode("shield", &bytes)?;
        let opened = ShieldRecord { open_until: Some(until), ..shut };
        batch.expect(name.as_str(), Some(bytes)).put(name, encode("shield", &opened)?);
        self.touch(batch, project)?;
        Ok(true)
    }

    /// What of the stored links of one record of `agency` the agency may read now: as [`Self::shown`], and of links to
    /// brokered records the surest stands for all.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) fn veiled(
        &self,
        run: &RunRecord,
        agency: &AgencyId,
        links: Vec<LinkRecord>,
    ) -> Result<Vec<LinkRecord>, StoreError> {
        let mut seen: Vec<LinkRecord> = Vec::with_capacity(links.len());
        for link in self.shown(run, agency, links)? {
            match seen.iter_mut().find(|other| link.brokered && other.brokered) {
                Some(best) if (best.band, best.score) < (link.band, link.score) => *best = link,
                Some(_) => {}
                None => seen.push(link),
            }
        }
        Ok(seen)
    }

    /// What of the stored links of one record of `agency` stands now, in their order: links to shielded, expired and
    /// removed records are gone, those to brokered ones are marked. What two reviewers decided is applied.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) fn shown(
        &self,
        run: &RunRecord,
        agency: &AgencyId,
        links: Vec<LinkRecord>,
    ) -> Result<Vec<LinkRecord>, StoreError> {
        let month = Month::try_from(self.now().month_number()).ok();
        let mut seen: Vec<LinkRecord> = Vec::with_capacity(links.len());
        for mut link in links {
            let Some(input) = run.inputs.get(usize::from(link.other_input)) else { continue };
            let expired = link.expiry.zip(month).is_some_and(|(expiry, month)| expiry < month);
            let other = (input.agency.clone(), link.other);
            let visibility = self.visibility(&run.project, &other.0, &other.1)?;
            if expired || visibility == Visibility::Hidden {
                continue;
            }
            if !self.is_current_record(&run.project, run.epoch, &other.0, &other.1)? {
                continue;
            }
            match self.decided(&run.project, &(agency.clone(), link.own), &other)? {
                Some(Decided::Apart) => continue,
                Some(Decided::Same) => {
                    link.band = Band::Match;
                    link.reasons.insert(Reason::Confirmed);
                }
                None => {}
            }
            link.brokered = visibility == Visibility::Brokered;
            seen.push(link);
        }
        Ok(seen)
    }
}

/// Broken glass, and what a run obeys.
impl Vault {
    /// Whether the glass was broken for a record, and that is not over.
    ///
    /// # Errors
    /// What the engine says.
    pub fn glass_is_broken(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        record: &RecordRef,
    ) -> Result<bool, StoreError> {
        let before = self.store.value(glass_name(project, agency, record).as_bytes())?;
        let broken: Option<UtcTime> = before.as_deref().map(|b| decode("glass", b)).transpose()?;
        Ok(broken.is_some_and(|until| self.now() < until))
    }

    /// Breaks the glass for a record, once until `until`; false: it was broken before.
    ///
    /// # Errors
    /// What the engine says.
    pub fn break_glass(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        record: &RecordRef,
        until: UtcTime,
        event: NewEvent,
    ) -> Result<bool, StoreError> {
        if self.glass_is_broken(project, agency, record)? {
            return Ok(false);
        }
        let name = glass_name(project, agency, record);
        let before = self.store.value(name.as_bytes())?;
        let mut batch = Batch::new();
        batch.expect(name.as_str(), before).put(name, encode("glass", &until)?);
        self.commit(batch, event.project(project))?;
        Ok(true)
    }

    /// Notes in `batch` that what a run obeys has changed, so that the same datasets are linked again.
    pub(super) fn touch(&self, batch: &mut Batch, project: &ProjectId) -> Result<(), StoreError> {
        batch.put(format!("knowledge/{project}"), self.new_id("k")?);
        Ok(())
    }

    /// What a run obeys, as a word that changes with it; empty while nothing was said.
    ///
    /// # Errors
    /// What the engine says.
    pub fn knowledge(&self, project: &ProjectId) -> Result<String, StoreError> {
        let value = self.store.value(format!("knowledge/{project}").as_bytes())?;
        Ok(value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default())
    }
}

/// What people decided about a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// The same child.
    Same,
    /// Never to be linked.
    Apart,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, system_clock};
    use std::sync::Arc;

    #[test]
    fn the_stricter_word_holds_until_two_people_open_it_and_returns() {
        let at = |hours| UtcTime::EPOCH.plus_hours(hours);
        let mut shield = ShieldRecord { uploaded: Visibility::Hidden, ..ShieldRecord::open(at(0)) };
        assert_eq!(shield.visibility(at(1)), Visibility::Hidden);
        shield.open_until = Some(at(5));
        assert_eq!(shield.visibility(at(4)), Visibility::Open);
        assert_eq!(shield.visibility(at(5)), Visibility::Hidden);
        shield.uploaded = Visibility::Open;
        shield.declared = Visibility::Brokered;
        assert_eq!(shield.visibility(at(6)), Visibility::Brokered);
        // What it inherits hides it, and when that ends its agency's own word holds as before.
        shield.inherited = Some(("refuge".parse().unwrap(), RecordRef::from_bytes([1; 16])));
        assert_eq!(shield.visibility(at(6)), Visibility::Hidden);
        shield.inherited = None;
        assert_eq!(shield.visibility(at(6)), Visibility::Brokered);
    }

    #[test]
    fn what_was_inherited_hides_and_leaves_what_was_declared_as_it_was() {
        let mut shield =
            ShieldRecord { declared: Visibility::Brokered, ..ShieldRecord::open(UtcTime::EPOCH) };
        shield.inherited = Some(("refuge".parse().unwrap(), RecordRef::from_bytes([1; 16])));
        assert_eq!(shield.visibility(UtcTime::EPOCH), Visibility::Hidden);
        shield.inherited = None;
        assert_eq!(shield.visibility(UtcTime::EPOCH), Visibility::Brokered);
    }

    /// A word said between the reading and the writing of another: both stand afterwards.
    #[test]
    fn a_word_said_while_another_is_written_is_not_lost() {
        let (vault, _) = Vault::open(Arc::new(MemoryStore::new()), system_clock()).unwrap();
        let (project, agency) = ("p".parse().unwrap(), "refuge".parse().unwrap());
        let record = RecordRef::from_bytes([7; 16]);
        let change = |change: &dyn Fn(ShieldRecord) -> ShieldRecord| {
            let word = |_: &RecordRef, before| Ok::<_, StoreError>(change(before));
            let event = (NewEvent::new("test"), true);
            vault.change_shields((&project, &agency), &BTreeSet::from([record]), word, event).unwrap()
        };
        let uploaded = std::cell::Cell::new(false);
        let from = ("refuge".parse().unwrap(), RecordRef::from_bytes([8; 16]));
        let inherits = |before: ShieldRecord| {
            // Meanwhile an upload that says `hidden` is sealed.
            if !uploaded.replace(true) {
                change(&|before| ShieldRecord { uploaded: Visibility::Hidden, ..before });
            }
            ShieldRecord { inherited: Some(from.clone()), ..before }
        };
        assert_eq!(change(&inherits).len(), 1);
        let shield = vault.shield(&project, &agency, &record).unwrap().unwrap();
        assert_eq!((shield.uploaded, shield.inherited.is_some()), (Visibility::Hidden, true));
        // Nothing new is said: nothing is written, no event either.
        let events = vault.events(Some(&project), 0, 99).unwrap().len();
        assert!(change(&|before| before).is_empty());
        assert_eq!(vault.events(Some(&project), 0, 99).unwrap().len(), events);
    }
}
