//! Uncertain pairs that wait for a word of their two agencies, and what was said.
//!
//! A review is kept by its two record refs, not by run or epoch. It is live while the latest run of the
//! epoch still finds the pair uncertain, or once somebody has said a word about it; and only while both
//! records are current and simply open.

use super::records::{NewEvent, RunRecord, decode, encode};
use super::shields::{Decided, Side};
use super::{Batch, StoreError, Vault};
use crate::wire::messages::{AttributeWord, BacklogMessage, ReviewState, ReviewStep, ReviewVerdict};
use crate::wire::{AgencyId, Epoch, LinkReference, ProjectId, Reasons, RunId, UtcTime, Visibility};
use serde::{Deserialize, Serialize};

/// Words about one pair; then it must be settled outside.
pub const REVIEW_STEPS_MAX: usize = 64;

/// An uncertain pair a run found.
#[derive(Clone)]
pub struct FoundReview {
    /// One side.
    pub left: Side,
    /// The other.
    pub right: Side,
    /// How the attributes agree.
    pub attributes: Vec<AttributeWord>,
    /// What to be careful about.
    pub reasons: Reasons,
}

/// An uncertain pair.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewRecord {
    /// What to quote, in the epoch of the latest run that saw it.
    pub reference: LinkReference,
    /// One side.
    pub left: Side,
    /// The other.
    pub right: Side,
    /// When it was first seen.
    pub opened: UtcTime,
    /// In which epoch it was last seen.
    pub epoch: Epoch,
    /// By which run it was last seen.
    pub run: RunId,
    /// How the attributes agree.
    pub attributes: Vec<AttributeWord>,
    /// What to be careful about.
    pub reasons: Reasons,
    /// All that was said, oldest first.
    pub history: Vec<ReviewStep>,
}

impl std::fmt::Debug for ReviewRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReviewRecord({})", self.reference)
    }
}

impl ReviewRecord {
    /// The last word of an agency.
    #[must_use]
    pub fn word_of(&self, agency: &AgencyId) -> Option<ReviewVerdict> {
        self.history.iter().rev().find(|step| step.agency == *agency).map(|step| step.verdict)
    }

    /// Where it stands: one "different" blocks, two "same" confirm.
    #[must_use]
    pub fn state(&self) -> ReviewState {
        let words = [self.word_of(&self.left.0), self.word_of(&self.right.0)];
        if words.contains(&Some(ReviewVerdict::Different)) {
            ReviewState::Blocked
        } else if words == [Some(ReviewVerdict::Same); 2] {
            ReviewState::Confirmed
        } else {
            ReviewState::Open
        }
    }

    /// The side of an agency, then the other side; none: it is not the agency's.
    #[must_use]
    pub fn sides(&self, agency: &AgencyId) -> Option<(&Side, &Side)> {
        if self.left.0 == *agency {
            Some((&self.left, &self.right))
        } else if self.right.0 == *agency {
            Some((&self.right, &self.left))
        } else {
            None
        }
    }

    fn listed(&self, agency: &AgencyId, project: &ProjectId, id: &str) -> String {
        format!("review-of/{project}/{agency}/{:016}-{id}", self.opened.millis().max(0))
    }
}

/// Where a page of reviews ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewCursor(String);

impl std::str::FromStr for ReviewCursor {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let plain = text.len() == 49 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if plain { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}
impl std::fmt::Display for ReviewCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn review_name(project: &ProjectId, id: &str) -> String {
    format!("review/{project}/{id}")
}

fn reference_name(project: &ProjectId, reference: LinkReference) -> String {
    format!("review-reference/{project}/{:016x}", reference.number())
}

/// The id of a pair's review: the same from either side and in every epoch.
fn review_id(project: &ProjectId, left: &Side, right: &Side) -> String {
    let (one, other) = if left < right { (left, right) } else { (right, left) };
    let mut hasher = blake3::Hasher::new();
    for part in [project.as_str().as_bytes(), one.0.as_str().as_bytes(), one.1.as_bytes()] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.update(other.0.as_str().as_bytes()).update(other.1.as_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

impl Vault {
    /// Writes down the pairs that `run` found uncertain; what was said about them before stays.
    ///
    /// # Errors
    /// What the engine says.
    pub fn note_reviews(
        &self,
        run: &RunRecord,
        found: &[FoundReview],
        reference: impl Fn(&Side, &Side) -> LinkReference,
    ) -> Result<(), StoreError> {
        for part in found.chunks(128) {
            loop {
                let mut batch = Batch::new();
                for pair in part {
                    self.note_review(&mut batch, run, pair, &reference)?;
                }
                match self.store.apply(&batch) {
                    // Somebody said a word meanwhile: it is read, and stays.
                    Err(StoreError::Conflict) => {}
                    other => break other?,
                }
            }
        }
        Ok(())
    }

    fn note_review(
        &self,
        batch: &mut Batch,
        run: &RunRecord,
        pair: &FoundReview,
        reference: &impl Fn(&Side, &Side) -> LinkReference,
    ) -> Result<(), StoreError> {
        let id = review_id(&run.project, &pair.left, &pair.right);
        let name = review_name(&run.project, &id);
        let stored = self.store.value(name.as_bytes())?;
        let before: Option<ReviewRecord> =
            stored.as_deref().map(|bytes| decode("review", bytes)).transpose()?;
        let record = ReviewRecord {
            reference: reference(&pair.left, &pair.right),
            left: pair.left.clone(),
            right: pair.right.clone(),
            opened: before.as_ref().map_or_else(|| self.now(), |before| before.opened),
            epoch: run.epoch,
            run: run.id.clone(),
            attributes: pair.attributes.clone(),
            reasons: pair.reasons,
            history: before.map(|before| before.history).unwrap_or_default(),
        };
        for agency in [&record.left.0, &record.right.0] {
            batch.put(record.listed(agency, &run.project, &id), []);
        }
        batch.put(reference_name(&run.project, record.reference), id.as_str());
        batch.expect(name.as_str(), stored).put(name, encode("review", &record)?);
        Ok(())
    }

    /// Whether a review is anybody's business now.
    fn is_live(
        &self,
        project: &ProjectId,
        review: &ReviewRecord,
        latest: Option<&RunRecord>,
    ) -> Result<bool, StoreError> {
        let Some(latest) = latest else { return Ok(false) };
        if review.history.is_empty() && (review.run < latest.id || review.epoch != latest.epoch) {
            return Ok(false);
        }
        for side in [&review.left, &review.right] {
            if self.visibility(project, &side.0, &side.1)? != Visibility::Open
                || !self.is_current_record(project, latest.epoch, &side.0, &side.1)?
            {
                return Ok(false);
            }
        }
        Ok(!self.are_kept_apart(project, &review.left, &review.right)?)
    }

    /// Live reviews of an agency after `after`, oldest first.
    ///
    /// # Errors
    /// What the engine says.
    pub fn reviews(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        latest: Option<&RunRecord>,
        after: Option<&ReviewCursor>,
        (limit, state): (usize, Option<ReviewState>),
    ) -> Result<(Vec<ReviewRecord>, Option<ReviewCursor>), StoreError> {
        let prefix = format!("review-of/{project}/{agency}/");
        let mut from = after.map(|cursor| format!("{prefix}{cursor}").into_bytes());
        let mut found = Vec::new();
        loop {
            let pairs = self.store.scan(prefix.as_bytes(), from.as_deref(), 256)?;
            let Some((last, _)) = pairs.last() else { return Ok((found, None)) };
            from = Some(last.clone());
            for (key, _) in &pairs {
                let listed = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
                let id = listed.split_once('-').map_or("", |(_, id)| id);
                let Some(bytes) = self.store.value(review_name(project, id).as_bytes())? else { continue };
                let review: ReviewRecord = decode("review", &bytes)?;
                let wanted = state.is_none_or(|state| state == review.state());
                if wanted && self.is_live(project, &review, latest)? {
                    found.push(review);
                }
                if found.len() == limit {
                    return Ok((found, Some(ReviewCursor(listed))));
                }
            }
        }
    }

    /// The live review behind a reference, if it is the agency's.
    ///
    /// # Errors
    /// What the engine says.
    pub fn review(
        &self,
        project: &ProjectId,
        agency: &AgencyId,
        latest: Option<&RunRecord>,
        reference: LinkReference,
    ) -> Result<Option<ReviewRecord>, StoreError> {
        let Some(id) = self.store.value(reference_name(project, reference).as_bytes())? else {
            return Ok(None);
        };
        let id = String::from_utf8_lossy(&id).into_owned();
        let Some(bytes) = self.store.value(review_name(project, &id).as_bytes())? else { return Ok(None) };
        let review: ReviewRecord = decode("review", &bytes)?;
        let own = review.sides(agency).is_some() && review.reference == reference;
        Ok((own && self.is_live(project, &review, latest)?).then_some(review))
    }

    /// Adds a word to a review and applies what follows from it, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody else said something meanwhile.
    pub fn decide_review(
        &self,
        project: &ProjectId,
        review: &ReviewRecord,
        step: ReviewStep,
        event: NewEvent,
    ) -> Result<ReviewRecord, StoreError> {
        let name = review_name(project, &review_id(project, &review.left, &review.right));
        let mut after = review.clone();
        after.history.push(step);
        let decided = match after.state() {
            ReviewState::Open => None,
            ReviewState::Confirmed => Some(Decided::Same),
            ReviewState::Blocked => Some(Decided::Apart),
        };
        let mut batch = Batch::new();
        let stored = self.unchanged(("review", &name), review)?;
        batch.expect(name.as_str(), Some(stored)).put(name, encode("review", &after)?);
        Self::note_decided(&mut batch, project, (&after.left, &after.right), decided);
        self.touch(&mut batch, project)?;
        self.commit(batch, event.project(project))?;
        Ok(after)
    }

    /// How much waits in a project.
    ///
    /// # Errors
    /// What the engine says.
    pub fn backlog(
        &self,
        project: &ProjectId,
        latest: Option<&RunRecord>,
    ) -> Result<BacklogMessage, StoreError> {
        let mut found = BacklogMessage { open: 0, half: 0, oldest: None, confirmed: 0, blocked: 0 };
        self.each(review_name(project, "").as_bytes(), |_, value| {
            let review: ReviewRecord = decode("review", value)?;
            if !self.is_live(project, &review, latest)? {
                return Ok(());
            }
            match review.state() {
                ReviewState::Confirmed => found.confirmed += 1,
                ReviewState::Blocked => found.blocked += 1,
                ReviewState::Open => {
                    let said = |side: &Side| review.word_of(&side.0) == Some(ReviewVerdict::Same);
                    found.open += 1;
                    found.half += u64::from(said(&review.left) || said(&review.right));
                    found.oldest = Some(found.oldest.map_or(review.opened, |o| o.min(review.opened)));
                }
            }
            Ok(())
        })?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, system_clock};
    use std::sync::Arc;

    /// A reviewer's word between a run's reading of a review and its writing of it.
    #[test]
    fn a_word_said_while_a_run_finishes_is_not_lost() {
        let (vault, _) = Vault::open(Arc::new(MemoryStore::new()), system_clock()).unwrap();
        let project = "p".parse().unwrap();
        let event = || NewEvent::new("test");
        let run = vault.begin_run(&project, Epoch::FIRST, Vec::new(), None, event()).unwrap();
        let side = |agency: &str, n| (agency.parse().unwrap(), crate::wire::RecordRef::from_bytes([n; 16]));
        let (left, right) = (side("council", 1), side("school", 2));
        let found = FoundReview {
            left: left.clone(),
            right: right.clone(),
            attributes: Vec::new(),
            reasons: Reasons::default(),
        };
        let reference = LinkReference::from_number(7);
        vault.note_reviews(&run, std::slice::from_ref(&found), |_, _| reference).unwrap();
        let name = review_name(&project, &review_id(&project, &left, &right));
        let stored = || -> ReviewRecord {
            decode("review", &vault.store().value(name.as_bytes()).unwrap().unwrap()).unwrap()
        };
        let said = std::cell::Cell::new(false);
        let meanwhile = |_: &Side, _: &Side| {
            if !said.replace(true) {
                let step = ReviewStep {
                    agency: "school".parse().unwrap(),
                    verdict: ReviewVerdict::Different,
                    at: vault.now(),
                    why: serde_json::from_str("\"adoption\"").unwrap(),
                    case: None,
                };
                vault.decide_review(&project, &stored(), step, event()).unwrap();
            }
            reference
        };
        vault.note_reviews(&run, &[found], meanwhile).unwrap();
        assert_eq!((stored().history.len(), stored().state()), (1, ReviewState::Blocked));
    }
}
