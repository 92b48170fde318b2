//! What a run is worth when nobody knows the truth: expected precision and recall, and what is odd.
//!
//! May see: a finished run and its datasets. Must not see: a truth.
//!
//! Three observations, no label:
//!
//! - **False links** (target and decoy, Elias and Gygi 2007): a record that has its partner can only be
//!   confused with somebody else. How often such a record also has a free candidate at a score says how
//!   often a record *without* partner finds a wrong one there.
//! - **Missed pairs, from views** (Chao 1987): pairs found by one view only and by two tell how many no
//!   view found. Without views: the scores of links thin out towards the threshold at a steady rate, and
//!   go on so below it.
//! - **Missed pairs, from triangles**: where a is linked to b and b to c, how often is a linked to c?
//! - **Pairs no one-to-one link can hold**: of records that an agency has twice.
//!
//! Triangles give a lower bound, views and thinning can err either way (where an attribute is missing, views are not
//! independent): the mean counts, and the repeated records beside it.

mod missed;
mod reach;
mod warnings;

pub use reach::link_reaching;
pub use warnings::Warning;

use super::arena::Dataset;
use super::decide::Judge;
use super::run::{Link, PairEdges, Run, RunError};
use crate::wire::{Band, DecisionModel, Reason, Reasons, Score};
use serde::Serialize;
use std::ops::Range;

/// A share with a range in which it lies with about 95 % confidence, all 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Expected {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What to expect of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Share of match links that are right.
    pub precision_match: Expected,
    /// Share of all links that are right.
    pub precision_all: Expected,
    /// Share of true pairs among match links.
    pub recall_match: Expected,
    /// Share of true pairs among all links.
    pub recall_all: Expected,
    /// Expected number of true pairs.
    pub true_pairs: f64,
    /// The score with the best expected F1, as [`Score::rounded`]; none without links.
    pub suggested_at: Option<i64>,
    /// Where the data look unlike what the schema expects.
    pub warnings: Vec<Warning>,
}

/// Free candidates of records that have their partner, in one pair of datasets.
struct Decoys {
    /// Best free score of each linked record that has any, ascending; both sides together.
    keys: Vec<i64>,
    /// Links.
    links: f64,
    /// Records without a link, per side.
    alone: [f64; 2],
}

/// Whether a link was judged by itself, whatever raised it afterwards; others follow from two matches.
fn is_direct(link: &&Link) -> bool {
    let mut followed = Reasons::NONE;
    followed.insert(Reason::ThroughThird);
    link.reasons != followed
}

/// Estimates what `run` over `datasets` under `decision` is worth.
///
/// # Errors
/// [`RunError::Decision`] when the model does not fit the datasets.
pub fn estimate(datasets: &[Dataset], run: &Run, decision: &DecisionModel) -> Result<Estimate, RunError> {
    let Some(first) = datasets.first() else { return Ok(Estimate::of_nothing()) };
    let judge = Judge::new(decision, &first.layout)?;
    if run.links.is_empty() {
        return Ok(Estimate::of_nothing());
    }
    let decoys = Decoys::all(run, datasets);
    let mut keys: Vec<i64> = run.links.iter().filter(is_direct).map(|link| link.score.key()).collect();
    keys.sort_unstable();
    let matches: Vec<&Link> =
        run.links.iter().filter(is_direct).filter(|link| link.band == Band::Match).collect();
    // Reviews by guard may score high: what is expected wrong among matches is what scores like them; what was
    // raised because of a third record may score low.
    let by_itself = |link: &&&Link| !link.reasons.contains(Reason::ThroughThird);
    let match_floor = matches.iter().filter(by_itself).map(|link| link.score.key()).min().unwrap_or(i64::MAX);
    let (all, matched) = (keys.len() as f64, matches.len() as f64);
    // What lies below the review band was raised because of a third record; decoys say nothing of that.
    let band = &keys[keys.partition_point(|key| *key < judge.review_key())..];
    let (wrong_all, error_all) = expected_wrong(&decoys, judge.review_key()..i64::MAX);
    let (wrong_floor, error_match) = expected_wrong(&decoys, match_floor..i64::MAX);
    // Guards and the runner-up rule move part of those into the review band.
    let above = keys.len() - keys.partition_point(|key| *key < match_floor);
    let wrong_match = wrong_floor * matched / (above as f64).max(1.0);
    let wrong_from = |at: i64| expected_wrong(&decoys, at..i64::MAX).0;
    let mut missed = missed::missed(datasets, run, &judge, 1.0 - wrong_all / all, &wrong_from);
    let right_all = (all - wrong_all).max(0.0);
    let right_match = (matched - wrong_match).max(0.0);
    let true_pairs = right_all + missed.value;
    // What follows from two matches is right where both are, and was missed so far.
    let followed = run.links.len() as f64 - all;
    let found = (followed * (1.0 - wrong_match / matched.max(1.0)).powi(2)).min(missed.high);
    let (all, matched) = (all + followed, matched + followed);
    let (wrong_all, wrong_match) = (wrong_all + followed - found, wrong_match + followed - found);
    let (right_all, right_match) = (right_all + found, right_match + found);
    missed.subtract(found);
    let true_pairs = true_pairs.max(right_all);
    let share = |right: f64| Expected {
        value: right / true_pairs.max(1.0),
        low: (right - error_all) / (right_all + missed.high).max(1.0),
        high: (right + error_all) / (right_all + missed.low).max(1.0),
    };
    Ok(Estimate {
        precision_match: precision(wrong_match, error_match, matched),
        precision_all: precision(wrong_all, error_all, all),
        recall_match: share(right_match).clamped(),
        recall_all: share(right_all).clamped(),
        true_pairs,
        suggested_at: suggest(band, &decoys, true_pairs, run),
        warnings: warnings::look(datasets, run, &judge, wrong_all / all),
    })
}

fn precision(wrong: f64, error: f64, links: f64) -> Expected {
    let share = |wrong: f64| 1.0 - wrong / links.max(1.0);
    Expected { value: share(wrong), low: share(wrong + error), high: share(wrong - error) }.clamped()
}

/// Expected wrong links with a key within `keys`, and two standard errors of it.
///
/// Each side estimates the same number: free candidates of its linked records times records alone per
/// linked one. Counted as Poisson, both together give `free / sum of (linked / alone)`.
fn expected_wrong(decoys: &[Decoys], keys: Range<i64>) -> (f64, f64) {
    let (mut wrong, mut variance) = (0.0, 0.0);
    for decoys in decoys.iter().filter(|decoys| decoys.links > 0.0) {
        let before = |end: i64| decoys.keys.partition_point(|key| *key < end);
        let free = (before(keys.end) - before(keys.start)) as f64;
        // Records of wrong links stand among the linked and are missing among those alone: half of the free
        // candidates a side, solved for the wrong ones.
        let linked = (decoys.links - free / 2.0).max(decoys.links / 2.0);
        let exposure: f64 = decoys.alone.iter().map(|alone| linked / alone.max(0.5)).sum();
        wrong += free / exposure;
        variance += (free + 1.0) / (exposure * exposure);
    }
    (wrong, 2.0 * variance.sqrt())
}

impl Decoys {
    /// Of every pair of datasets.
    fn all(run: &Run, datasets: &[Dataset]) -> Vec<Self> {
        let pairs = run.candidates.pairs.iter().filter(|pair| pair.agency_a != pair.agency_b);
        pairs.map(|pair| Self::of(pair, run, datasets)).collect()
    }

    fn of(pair: &PairEdges, run: &Run, datasets: &[Dataset]) -> Self {
        let sizes = [pair.agency_a, pair.agency_b].map(|agency| datasets[usize::from(agency)].len());
        let mut link_key = sizes.map(|size| vec![None::<i64>; size]);
        let mut partner = vec![u32::MAX; sizes[0]];
        let own = |link: &&Link| {
            is_direct(link) && link.agency_a == pair.agency_a && link.agency_b == pair.agency_b
        };
        let mut links = 0.0;
        for link in run.links.iter().filter(own) {
            link_key[0][link.record_a as usize] = Some(link.score.key());
            link_key[1][link.record_b as usize] = Some(link.score.key());
            partner[link.record_a as usize] = link.record_b;
            links += 1.0;
        }
        let mut best = sizes.map(|size| vec![None::<i64>; size]);
        for edge in pair.edges.iter().filter(|edge| partner[edge.a as usize] != edge.b) {
            let key = edge.verdict.score.key();
            let records = [edge.a as usize, edge.b as usize];
            for (own, other) in [(0, 1), (1, 0)] {
                let linked = link_key[own][records[own]].is_some();
                let free = link_key[other][records[other]].is_none_or(|theirs| theirs < key);
                if linked && free {
                    let slot = &mut best[own][records[own]];
                    *slot = (*slot).max(Some(key));
                }
            }
        }
        let mut keys: Vec<i64> = best.into_iter().flatten().flatten().collect();
        keys.sort_unstable();
        Self { keys, links, alone: sizes.map(|size| size as f64 - links) }
    }
}

/// The score with the best expected F1 among those of the links.
fn suggest(keys: &[i64], decoys: &[Decoys], true_pairs: f64, run: &Run) -> Option<i64> {
    let steps = keys.len().min(200);
    let mut best: Option<(f64, i64)> = None;
    for step in 0..steps {
        let at = step * keys.len() / steps;
        let at = keys.partition_point(|key| *key < keys[at]);
        let links = (keys.len() - at) as f64;
        let right = links - expected_wrong(decoys, keys[at]..i64::MAX).0.min(links);
        let f1 = 2.0 * right / (links + true_pairs);
        if best.is_none_or(|(top, _)| f1 > top) {
            best = Some((f1, keys[at]));
        }
    }
    let (_, key) = best?;
    run.links.iter().map(|link| link.score).find(|score| score.key() == key).map(Score::rounded)
}

impl Expected {
    fn clamped(self) -> Self {
        let clamp = |share: f64| share.clamp(0.0, 1.0);
        Self { value: clamp(self.value), low: clamp(self.low), high: clamp(self.high) }
    }
}

impl Estimate {
    fn of_nothing() -> Self {
        let unknown = Expected { value: 0.0, low: 0.0, high: 1.0 };
        Self {
            precision_match: unknown,
            precision_all: unknown,
            recall_match: unknown,
            recall_all: unknown,
            true_pairs: 0.0,
            suggested_at: None,
            warnings: vec![Warning::NoLinks],
        }
    }
}

#[cfg(test)]
mod tests;
