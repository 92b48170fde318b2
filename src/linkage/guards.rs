//! Guards that look at one pair: the date, and twins. They can only lower a band.
//!
//! May see: evidence and the decision model. Must not see: other pairs.

use super::evidence::Evidence;
use crate::wire::{Band, EvidenceModel, Reason, Reasons, Similarity};

#[derive(Debug, Clone)]
pub(super) struct DatePlan {
    attribute: usize,
    at: Similarity,
    or_missing: Option<(usize, Similarity)>,
    pub(super) lower_to: Band,
}

#[derive(Debug, Clone)]
pub(super) struct TwinPlan {
    attribute: usize,
    below: Similarity,
    pub(super) below_where_seen: Option<Similarity>,
    rest: Vec<(usize, Similarity)>,
}

/// Lowers a band to at most `to`, saying why; a band that is lower already keeps its level.
pub(super) fn lower(band: &mut Band, reasons: &mut Reasons, to: Band, reason: Reason) {
    *band = (*band).min(to);
    reasons.insert(reason);
}

impl DatePlan {
    pub(super) fn of(model: &EvidenceModel) -> Option<Self> {
        let guard = model.guards.date.as_ref()?;
        let or_missing = guard.or_missing.as_ref();
        Some(Self {
            attribute: model.attribute_index(&guard.attribute)?,
            at: guard.at,
            or_missing: or_missing.and_then(|or| Some((model.attribute_index(&or.attribute)?, or.at))),
            lower_to: guard.lower_to,
        })
    }

    pub(super) fn met(&self, evidence: &Evidence) -> bool {
        match (evidence.similarities[self.attribute], self.or_missing) {
            (Some(date), _) => date >= self.at,
            (None, Some((other, at))) => evidence.similarities[other].is_some_and(|other| other >= at),
            (None, None) => false,
        }
    }
}

impl TwinPlan {
    pub(super) fn of(model: &EvidenceModel) -> Option<Self> {
        let guard = model.guards.twins.as_ref()?;
        let rest =
            guard.rest.iter().filter_map(|rest| Some((model.attribute_index(&rest.attribute)?, rest.at)));
        Some(Self {
            attribute: model.attribute_index(&guard.attribute)?,
            below: guard.below,
            below_where_seen: guard.below_where_seen,
            rest: rest.collect(),
        })
    }

    /// Whether a pair shows twins: the given name differs by the stricter bound, the rest is there and agrees.
    pub(super) fn shows(&self, evidence: &Evidence) -> bool {
        let present = |(attribute, _): &(usize, Similarity)| evidence.similarities[*attribute].is_some();
        self.may_be(evidence) && self.rest.iter().all(present)
    }

    /// Whether a pair may be twins by the stricter bound of runs that have some.
    pub(super) fn may_be(&self, evidence: &Evidence) -> bool {
        let agrees = |(attribute, at): &(usize, Similarity)| {
            evidence.similarities[*attribute].is_none_or(|similarity| similarity >= *at)
        };
        let differs = |given: Similarity| self.below_where_seen.is_some_and(|below| given < below);
        evidence.similarities[self.attribute].is_some_and(differs) && self.rest.iter().all(agrees)
    }

    /// A given name that differs leaves twins apart only by a person's judgement. One that is missing does so
    /// unless all of the rest is there and agrees: then few are twins, and where both twins are known the
    /// runner-up tells.
    pub(super) fn apply(&self, evidence: &Evidence, band: &mut Band, reasons: &mut Reasons) {
        let agrees = |(attribute, at): &(usize, Similarity)| {
            evidence.similarities[*attribute].is_none_or(|similarity| similarity >= *at)
        };
        let present = |(attribute, at): &(usize, Similarity)| {
            evidence.similarities[*attribute].is_some_and(|similarity| similarity >= *at)
        };
        match evidence.similarities[self.attribute] {
            Some(given) if given >= self.below => {}
            Some(_) if self.rest.iter().all(agrees) => {
                lower(band, reasons, Band::Review, Reason::PossibleTwins);
            }
            Some(_) => {}
            None if !self.rest.is_empty() && self.rest.iter().all(present) => {}
            None => lower(band, reasons, Band::Review, Reason::PlaceholderName),
        }
    }
}
