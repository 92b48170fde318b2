//! Records kept apart, and what two reviewers decided about pairs: kept by record ref, so that both
//! outlive re-encodings, epochs and runs.

use super::records::{NewEvent, decode, encode};
use super::shields::{Decided, Side};
use super::{Batch, StoreError, Vault};
use crate::wire::messages::Why;
use crate::wire::{AgencyId, ProjectId, RecordRef, UtcTime};
use serde::{Deserialize, Serialize};

/// Two sets of records that are never linked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApartRecord {
    /// Its id.
    pub id: String,
    /// Who said so.
    pub agency: AgencyId,
    /// Records of one identity, of any agency.
    pub one: Vec<Side>,
    /// Records of the other.
    pub other: Vec<Side>,
    /// Why.
    pub why: Why,
    /// Since when.
    pub since: UtcTime,
    /// When it was lifted.
    pub lifted: Option<UtcTime>,
}

impl std::fmt::Debug for ApartRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApartRecord({})", self.id)
    }
}

/// Every pair people decided in a project.
#[derive(Clone, Default)]
pub struct DecidedPairs {
    /// Judged the same child by both agencies.
    pub same: Vec<(Side, Side)>,
    /// Never to be linked.
    pub apart: Vec<(Side, Side)>,
}

fn set_name(project: &ProjectId, id: &str) -> String {
    format!("apart/{project}/{id}")
}

fn sides_of(project: &ProjectId, side: &Side) -> String {
    format!("apart-of/{project}/{}/{}/", side.0, side.1)
}

fn pair_name(project: &ProjectId, own: &Side, other: &Side) -> String {
    format!("pair/{project}/{}/{}/{}/{}", own.0, own.1, other.0, other.1)
}

impl Vault {
    /// Keeps the records of `one` apart from those of `other`.
    ///
    /// # Errors
    /// What the engine says.
    pub fn keep_apart(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        (one, other): (Vec<Side>, Vec<Side>),
        why: Why,
        event: NewEvent,
    ) -> Result<ApartRecord, StoreError> {
        let id = self.new_id("apart")?;
        let record =
            ApartRecord { id, agency: agency.clone(), one, other, why, since: self.now(), lifted: None };
        let mut batch = Batch::new();
        batch.put(set_name(project, &record.id), encode("apart", &record)?);
        for (mark, sides) in [(b"1", &record.one), (b"2", &record.other)] {
            for side in sides {
                batch.put(format!("{}{}", sides_of(project, side), record.id), mark.as_slice());
            }
        }
        self.touch(&mut batch, project)?;
        self.commit(batch, event.project(project))?;
        Ok(record)
    }

    /// Lifts a set that `agency` made. None: it made none of that id.
    ///
    /// # Errors
    /// What the engine says.
    pub fn lift_apart(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        id: &str,
        event: NewEvent,
    ) -> Result<Option<ApartRecord>, StoreError> {
        let name = set_name(project, id);
        let Some(bytes) = self.store.value(name.as_bytes())? else { return Ok(None) };
        let mut record: ApartRecord = decode("apart", &bytes)?;
        if record.agency != *agency {
            return Ok(None);
        }
        if record.lifted.is_none() {
            record.lifted = Some(self.now());
            let mut batch = Batch::new();
            batch.expect(name.as_str(), Some(bytes)).put(name, encode("apart", &record)?);
            for side in record.one.iter().chain(&record.other) {
                batch.remove(format!("{}{}", sides_of(project, side), record.id));
            }
            self.touch(&mut batch, project)?;
            self.commit(batch, event.project(project))?;
        }
        Ok(Some(record))
    }

    /// Writes a set that lost the records `dead`, or removes it when it has lost a whole side.
    pub(super) fn rewrite_apart(
        &self,
        project: &ProjectId,
        set: &ApartRecord,
        dead: &[Side],
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let mut unmarked: Vec<&Side> = dead.iter().collect();
        if set.one.is_empty() || set.other.is_empty() {
            batch.remove(set_name(project, &set.id));
            unmarked.extend(set.one.iter().chain(&set.other));
        } else {
            batch.put(set_name(project, &set.id), encode("apart", set)?);
        }
        for side in unmarked {
            batch.remove(format!("{}{}", sides_of(project, side), set.id));
        }
        self.store.apply(&batch)
    }

    /// Every set of a project, oldest first, lifted ones too.
    ///
    /// # Errors
    /// What the engine says.
    pub fn apart_sets(&self, project: &ProjectId) -> Result<Vec<ApartRecord>, StoreError> {
        let mut sets = Vec::new();
        self.each(set_name(project, "").as_bytes(), |_, value| {
            sets.push(decode("apart", value)?);
            Ok(())
        })?;
        Ok(sets)
    }

    /// Whether a set keeps two records apart.
    ///
    /// # Errors
    /// What the engine says.
    pub fn are_kept_apart(&self, project: &ProjectId, own: &Side, other: &Side) -> Result<bool, StoreError> {
        let of_own = self.sets_of(project, own)?;
        if of_own.is_empty() {
            return Ok(false);
        }
        let of_other = self.sets_of(project, other)?;
        let opposed = |(id, mark): &(Vec<u8>, Vec<u8>)| of_other.iter().any(|(i, m)| i == id && m != mark);
        Ok(of_own.iter().any(opposed))
    }

    /// Ids of the sets a record stands in, each with its side.
    fn sets_of(&self, project: &ProjectId, side: &Side) -> Result<Vec<super::Pair>, StoreError> {
        let prefix = sides_of(project, side);
        let pairs = self.store.scan(prefix.as_bytes(), None, 256)?;
        Ok(pairs.into_iter().map(|(key, mark)| (key[prefix.len()..].to_vec(), mark)).collect())
    }

    /// What people decided about a pair: what keeps apart goes before what joins.
    ///
    /// # Errors
    /// What the engine says.
    pub fn decided(
        &self,
        project: &ProjectId,
        own: &Side,
        other: &Side,
    ) -> Result<Option<Decided>, StoreError> {
        if self.are_kept_apart(project, own, other)? {
            return Ok(Some(Decided::Apart));
        }
        Ok(match self.store.value(pair_name(project, own, other).as_bytes())?.as_deref() {
            Some(b"same") => Some(Decided::Same),
            Some(_) => Some(Decided::Apart),
            None => None,
        })
    }

    /// Adds to `batch` what reviewers decided about a pair, readable from either side.
    pub(super) fn note_decided(
        batch: &mut Batch,
        project: &ProjectId,
        pair: (&Side, &Side),
        now: Option<Decided>,
    ) {
        for (own, other) in [pair, (pair.1, pair.0)] {
            let name = pair_name(project, own, other);
            match now {
                Some(Decided::Same) => batch.put(name, "same"),
                Some(Decided::Apart) => batch.put(name, "apart"),
                None => batch.remove(name),
            };
        }
    }

    /// Every pair people decided in a project: what the next run obeys.
    ///
    /// # Errors
    /// What the engine says.
    pub fn decided_pairs(&self, project: &ProjectId) -> Result<DecidedPairs, StoreError> {
        let mut found = DecidedPairs::default();
        let prefix = format!("pair/{project}/");
        self.each(prefix.as_bytes(), |key, value| {
            let text = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
            let steps: Vec<&str> = text.split('/').collect();
            let (own, other) = match steps[..] {
                [a, x, b, y] => side(a, x).zip(side(b, y)),
                _ => None,
            }
            .ok_or(StoreError::Unreadable { entry: "pair" })?;
            if own < other {
                let list = if value == b"same" { &mut found.same } else { &mut found.apart };
                list.push((own, other));
            }
            Ok(())
        })?;
        for set in self.apart_sets(project)?.into_iter().filter(|set| set.lifted.is_none()) {
            for one in &set.one {
                found.apart.extend(set.other.iter().map(|other| (one.clone(), other.clone())));
            }
        }
        Ok(found)
    }
}

fn side(agency: &str, record: &str) -> Option<Side> {
    let record: RecordRef = record.parse().ok()?;
    Some((agency.parse().ok()?, record))
}
