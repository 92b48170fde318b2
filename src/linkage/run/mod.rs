//! One run: datasets of several agencies in, links, groups and conflicts out.
//!
//! May see: the arena, the engine's joins, the decision. Must not see: files, clocks, identifiers.
//!
//! Candidates (`candidates`) are judged pair by pair; what depends on other pairs (one-to-one,
//! runner-up, groups) is settled afterwards (`settle`). The result depends on refs and encodings only:
//! not on threads, on the order of the datasets or on the order of their records.

mod candidates;
mod delta;
mod known;
mod lookup;
mod settle;
mod thirds;
mod twins;

pub use candidates::{Among, Candidates, Edge, PairEdges, for_each_candidate};
pub use delta::{Carried, CarriedEdge, CarriedPair, relink};
pub use known::Known;
pub use lookup::{Found, Index, LookupOptions};

use super::arena::Dataset;
use super::assign::COMPONENT_RECORDS_MAX_DEFAULT;
use super::decide::Judge;
use super::exec::{Control, Exec};
use super::groups::{Groups, RecordAt};
use super::join::{JoinError, JoinOptions};
use crate::wire::{AgencyId, Band, DecisionError, DecisionModel, Reasons, Score, limits};
use std::borrow::Borrow;

/// How to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkOptions {
    /// Kernel, caps and mode of the joins. `pairs_max` bounds each pair of datasets and view.
    pub join: JoinOptions,
    /// Records of one connected component up to which the best assignment is sought; 0: greedy only.
    pub component_records_max: u32,
    /// Also look for several records of one child inside each dataset.
    pub deduplicate: bool,
    /// Also link what follows from two matches with one record of a third dataset.
    pub thirds: bool,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            join: JoinOptions::default(),
            component_records_max: COMPONENT_RECORDS_MAX_DEFAULT,
            deduplicate: false,
            thirds: true,
        }
    }
}

/// Two records judged the same child, or worth a look. `agency_*` number the datasets as given; the
/// dataset whose agency id sorts first stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Number of the first dataset.
    pub agency_a: u16,
    /// Record of the first dataset.
    pub record_a: u32,
    /// Number of the second dataset.
    pub agency_b: u16,
    /// Record of the second dataset.
    pub record_b: u32,
    /// The score of the pair.
    pub score: Score,
    /// Match or review.
    pub band: Band,
    /// Why.
    pub reasons: Reasons,
}

impl Link {
    /// Its two records.
    #[must_use]
    pub const fn ends(&self) -> (RecordAt, RecordAt) {
        let left = RecordAt { agency: self.agency_a, record: self.record_a };
        (left, RecordAt { agency: self.agency_b, record: self.record_b })
    }
}

/// A link that may not join its groups, because two records of one agency would meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// The link; its band is review.
    pub link: Link,
    /// The two records of one agency.
    pub records: [RecordAt; 2],
}

/// What a run found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// One-to-one links of each pair of datasets; by agency ids, then refs.
    pub links: Vec<Link>,
    /// Pairs inside one dataset (`deduplicate`): every pair that reaches a band, both numbers equal.
    pub duplicates: Vec<Link>,
    /// Records of one child over all datasets, joined by links of band match only.
    pub groups: Groups,
    /// Links kept out of the groups.
    pub conflicts: Vec<Conflict>,
    /// Every judged pair that reaches a band, before one-to-one: what a delta starts from.
    pub candidates: Candidates,
    /// What was left out, if anything.
    pub truncation: Truncation,
}

/// What a run left out; all zero means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Truncation {
    /// Candidate pairs over the threshold that `top_k` dropped.
    pub pairs_dropped: u64,
    /// Values of exact tokens held by too many records to be compared.
    pub exact_values_skipped: u64,
    /// Components too large for the best assignment; they have the greedy one.
    pub components_over_cap: u64,
}

/// Why a run is refused or stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Too many datasets.
    #[error("a run links at most {max} datasets", max = limits::AGENCIES_MAX)]
    TooManyDatasets,
    /// Two datasets of one agency.
    #[error("agency '{0}' is given twice: give each agency's current dataset once")]
    SameAgency(AgencyId),
    /// Datasets that cannot be compared.
    #[error("the encodings of agency '{0}' have another layout than the first: encode all under one schema")]
    Layouts(AgencyId),
    /// More records than a number can name.
    #[error("the datasets have {0} records together: at most 4294967295 can be linked")]
    TooManyRecords(u64),
    /// The decision model does not fit the layout.
    #[error(transparent)]
    Decision(#[from] DecisionError),
    /// The join refused or stopped.
    #[error(transparent)]
    Join(#[from] JoinError),
}

/// Links every pair of `datasets`.
///
/// # Errors
/// [`RunError`] for datasets that cannot be linked, too many candidates, or cancellation.
pub fn link(
    datasets: &[Dataset],
    decision: &DecisionModel,
    options: &LinkOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Run, RunError> {
    link_known(datasets, &Known::default(), decision, options, exec, control)
}

/// [`link`], obeying what people decided about pairs of records and of datasets.
///
/// # Errors
/// As [`link`].
pub fn link_known(
    datasets: &[Dataset],
    known: &Known,
    decision: &DecisionModel,
    options: &LinkOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Run, RunError> {
    let Some(judge) = judge_for(datasets, decision)? else { return Ok(Run::empty()) };
    let candidates = candidates::find(datasets, known, &judge, options, exec, control)?;
    settle::settle(datasets, &judge, candidates, known, options, (exec, control))
}

/// Checks that `datasets` may be linked by `decision`; none when there is nothing to link.
fn judge_for<D: Borrow<Dataset>>(
    datasets: &[D],
    decision: &DecisionModel,
) -> Result<Option<Judge>, RunError> {
    let datasets: Vec<&Dataset> = datasets.iter().map(Borrow::borrow).collect();
    if datasets.len() > limits::AGENCIES_MAX {
        return Err(RunError::TooManyDatasets);
    }
    let Some(first) = datasets.first() else { return Ok(None) };
    for (at, dataset) in datasets.iter().enumerate() {
        if datasets[..at].iter().any(|other| other.agency == dataset.agency) {
            return Err(RunError::SameAgency(dataset.agency.clone()));
        }
        if dataset.layout != first.layout {
            return Err(RunError::Layouts(dataset.agency.clone()));
        }
    }
    let records: u64 = datasets.iter().map(|dataset| dataset.len() as u64).sum();
    if records > u64::from(u32::MAX) {
        return Err(RunError::TooManyRecords(records));
    }
    Ok(Some(Judge::new(decision, &first.layout)?))
}

impl Run {
    /// This run as it would be under `decision`, which differs from the one it was judged by in a higher review limit
    /// alone: candidates below it are forgotten, the rest is settled anew.
    ///
    /// # Errors
    /// As [`link`].
    pub fn narrowed(
        self,
        datasets: &[Dataset],
        decision: &DecisionModel,
        options: &LinkOptions,
        exec: Exec<'_>,
        control: &Control,
    ) -> Result<Self, RunError> {
        let Some(judge) = judge_for(datasets, decision)? else { return Ok(self) };
        let (mut candidates, floor) = (self.candidates, judge.review_key());
        for pair in &mut candidates.pairs {
            pair.edges.retain(|edge| edge.verdict.score.key() >= floor);
        }
        settle::settle(datasets, &judge, candidates, &Known::default(), options, (exec, control))
    }

    fn empty() -> Self {
        Self {
            links: Vec::new(),
            duplicates: Vec::new(),
            groups: Groups::default(),
            conflicts: Vec::new(),
            candidates: Candidates::default(),
            truncation: Truncation::default(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
#[cfg(test)]
pub(super) mod views_tests;
