//! Candidate pairs counted by their pattern of levels: all that weights can be learnt from.
//!
//! May see: datasets, the joins, the decision model. Must not see: single pairs once counted.
//!
//! A model of five attributes with six levels each has a few thousand patterns at most, so learning from
//! them costs the same for a thousand pairs and for a hundred million.

use super::arena::Dataset;
use super::decide::Judge;
use super::evidence::{ATTRIBUTES_MAX, Evidence};
use super::exec::{Control, Exec};
use super::groups::RecordAt;
use super::run::{Among, Link, LinkOptions, RunError, for_each_candidate};
use crate::wire::{DecisionModel, EvidenceModel};
use std::collections::BTreeMap;

/// The level of each attribute of the model, in its order; none where it is missing.
pub type Levels = [Option<u8>; ATTRIBUTES_MAX];

/// How many pairs have one pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Pairs known to be one child.
    pub same: u64,
    /// Pairs known to be two.
    pub different: u64,
    /// Pairs not known to be either.
    pub unknown: u64,
}

impl Tally {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.same + self.different + self.unknown
    }
}

/// Patterns of the candidate pairs of one or more runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patterns {
    tallies: BTreeMap<Levels, Tally>,
}

/// Whether two records are one child: known on generated data, unknown in life.
pub type Label<'l> = dyn Fn(RecordAt, RecordAt) -> Option<bool> + Sync + 'l;

impl Patterns {
    /// Counts one pair.
    pub fn add(&mut self, levels: Levels, same: Option<bool>) {
        let tally = self.tallies.entry(levels).or_default();
        match same {
            Some(true) => tally.same += 1,
            Some(false) => tally.different += 1,
            None => tally.unknown += 1,
        }
    }

    /// Adds the pairs of `other`, counted under the same cut points.
    pub fn merge(&mut self, other: &Self) {
        for (levels, theirs) in &other.tallies {
            let tally = self.tallies.entry(*levels).or_default();
            tally.same += theirs.same;
            tally.different += theirs.different;
            tally.unknown += theirs.unknown;
        }
    }

    /// The patterns in a fixed order, each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&Levels, &Tally)> {
        self.tallies.iter()
    }

    /// Number of pairs.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        self.tallies.values().map(Tally::total).sum()
    }

    /// Counts the candidate pairs `among` `datasets` that have evidence, labelled by `label`.
    ///
    /// # Errors
    /// As [`super::run::link`]. A Dice model has no levels: its patterns are empty.
    pub fn collect(
        (datasets, among): (&[Dataset], Among),
        decision: &DecisionModel,
        options: &LinkOptions,
        exec: Exec<'_>,
        control: &Control,
        label: &Label<'_>,
    ) -> Result<Self, RunError> {
        let mut patterns = Self::default();
        let DecisionModel::Evidence(model) = decision else { return Ok(patterns) };
        let count = |judge: &Judge, a: RecordAt, b: RecordAt| {
            let left = &datasets[usize::from(a.agency)];
            let right = &datasets[usize::from(b.agency)];
            let evidence = judge.evidence(left, a.record as usize, right, b.record as usize)?;
            Some((levels(model, &evidence), label(a, b)))
        };
        for_each_candidate((datasets, among), decision, options, exec, control, &count, &mut |(
            levels,
            same,
        )| {
            patterns.add(levels, same);
        })?;
        Ok(patterns)
    }

    /// Counts linked pairs that have evidence, labelled by `label`: what stands one-to-one.
    ///
    /// # Errors
    /// As [`super::run::link`]. A Dice model has no levels: its patterns are empty.
    pub fn of_links(
        datasets: &[Dataset],
        decision: &DecisionModel,
        links: &[Link],
        label: &Label<'_>,
    ) -> Result<Self, RunError> {
        let mut patterns = Self::default();
        let (DecisionModel::Evidence(model), Some(first)) = (decision, datasets.first()) else {
            return Ok(patterns);
        };
        let judge = Judge::new(decision, &first.layout)?;
        for link in links {
            let (a, b) = link.ends();
            let (left, right) = (&datasets[usize::from(a.agency)], &datasets[usize::from(b.agency)]);
            if let Some(evidence) = judge.evidence(left, a.record as usize, right, b.record as usize) {
                patterns.add(levels(model, &evidence), label(a, b));
            }
        }
        Ok(patterns)
    }
}

/// The levels of `evidence` under the cut points of `model`.
#[must_use]
pub fn levels(model: &EvidenceModel, evidence: &Evidence) -> Levels {
    let mut levels = Levels::default();
    for ((level, attribute), similarity) in
        levels.iter_mut().zip(&model.attributes).zip(&evidence.similarities)
    {
        *level = similarity.and_then(|similarity| u8::try_from(attribute.level(similarity)).ok());
    }
    levels
}

/// The score of a pattern under `model`, in hundredths of a bit.
#[must_use]
pub fn score(model: &EvidenceModel, levels: &Levels) -> i32 {
    let weights = model.attributes.iter().zip(levels);
    weights.filter_map(|(attribute, level)| attribute.weights.get(usize::from((*level)?))).sum()
}
