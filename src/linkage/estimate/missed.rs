//! How many true pairs a run missed.
//!
//! May see: a run, its datasets, the judge. Must not see: a truth.

use super::is_direct;
use crate::linkage::arena::Dataset;
use crate::linkage::decide::Judge;
use crate::linkage::groups::RecordAt;
use crate::linkage::run::{Link, Run};
use crate::wire::{Band, Similarity};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Width of the windows in which links thin out towards the threshold, in millionths of Dice.
const WINDOW: i64 = 40_000;

/// Missed pairs with a range.
pub(super) struct Missed {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Missed {
    /// Takes away what was found after all.
    pub(super) fn subtract(&mut self, found: f64) {
        for bound in [&mut self.value, &mut self.low, &mut self.high] {
            *bound = (*bound - found).max(0.0);
        }
    }
}

/// What one-to-one links can not hold, and the mean of what views (or the thinning) and triangles say; the range spans
/// them and their sampling errors. `precision` is the expected share of right links, `wrong_from` the expected number
/// of wrong ones with at least a given score key.
pub(super) fn missed(
    datasets: &[Dataset],
    run: &Run,
    judge: &Judge,
    precision: f64,
    wrong_from: &dyn Fn(i64) -> f64,
) -> Missed {
    let repeated = repeated(datasets, run, judge);
    let own = by_views(datasets, run, judge).or_else(|| by_thinning(run, judge, wrong_from));
    let answers: Vec<(f64, f64)> = own.into_iter().chain(by_triangles(run, precision)).collect();
    let links = run.links.iter().filter(is_direct).count() as f64;
    let Some((largest, error)) = answers.iter().copied().max_by(|x, y| x.0.total_cmp(&y.0)) else {
        return Missed { value: repeated, low: 0.0, high: links + repeated };
    };
    let value = answers.iter().map(|(value, _)| value).sum::<f64>() / answers.len() as f64;
    let low = answers.iter().map(|(value, error)| value - error).fold(value - error, f64::min).max(0.0);
    // Leave room upwards, at least two pairs in a hundred.
    let high = largest + error.max(0.02 * links).max(value / 2.0);
    Missed { value: value + repeated, low: low + repeated, high: high + repeated }
}

/// Pairs that nothing one-to-one can hold: a record without partner fits one that has its partner, and fits that
/// partner too, which its own agency knows already. It is there twice.
/// One Dice can not tell that from brothers and sisters: none then.
fn repeated(datasets: &[Dataset], run: &Run, judge: &Judge) -> f64 {
    if judge.evidence_model().is_none() {
        return 0.0;
    }
    let mut partners: HashMap<(u16, u16), [HashMap<u32, u32>; 2]> = HashMap::new();
    for link in run.links.iter().filter(is_direct) {
        let [left, right] = partners.entry((link.agency_a, link.agency_b)).or_default();
        left.insert(link.record_a, link.record_b);
        right.insert(link.record_b, link.record_a);
    }
    let none = Default::default();
    let across = run.candidates.pairs.iter().filter(|pair| pair.agency_a != pair.agency_b);
    let counts = across.map(|pair| {
        let [left, right] = partners.get(&(pair.agency_a, pair.agency_b)).unwrap_or(&none);
        let matches = pair.edges.iter().filter(|edge| edge.verdict.band == Band::Match);
        let again = matches.filter(|edge| {
            let (agency, record, other) = match (left.get(&edge.a), right.get(&edge.b)) {
                (None, Some(partner)) => (pair.agency_a, edge.a, *partner),
                (Some(partner), None) => (pair.agency_b, edge.b, *partner),
                _ => return false,
            };
            let own = &datasets[usize::from(agency)];
            let verdict = judge.judge(own, record as usize, own, other as usize);
            verdict.is_some_and(|verdict| verdict.band == Band::Match)
        });
        again.count()
    });
    counts.sum::<usize>() as f64
}

/// Chao's lower bound from the number of views that agree; none where there are fewer than three views.
fn by_views(datasets: &[Dataset], run: &Run, judge: &Judge) -> Option<(f64, f64)> {
    if datasets.first()?.views.len() < 3 {
        return None;
    }
    let mut by_count = [0.0f64; 3];
    for link in run.links.iter().filter(is_direct) {
        let (left, right) = (&datasets[usize::from(link.agency_a)], &datasets[usize::from(link.agency_b)]);
        let evidence = judge.evidence(left, link.record_a as usize, right, link.record_b as usize)?;
        if let Some(count) = by_count.get_mut(evidence.views.count_ones() as usize) {
            *count += 1.0;
        }
    }
    let [_, once, twice] = by_count;
    let missed = once * once / (2.0 * twice.max(1.0));
    let ratio = once / twice.max(1.0);
    // Chao 1987, equation 8.
    let variance = twice * (ratio.powi(4) / 4.0 + ratio.powi(3) + ratio.powi(2) / 2.0);
    Some((missed, 2.0 * variance.sqrt()))
}

/// Links of a composite filter thin out towards the threshold by a steady factor and go on so below.
fn by_thinning(run: &Run, judge: &Judge, wrong_from: &dyn Fn(i64) -> f64) -> Option<(f64, f64)> {
    let links = run.links.iter().filter(is_direct).filter(|link| link.score.key() >= judge.review_key());
    let scores: Vec<i64> = links.map(|link| link.score.rounded()).collect();
    let floor = *scores.iter().min()?;
    let key = |millionths: i64| (millionths << 32) / 1_000_000;
    let right_within = |window: i64| {
        let from = floor + window * WINDOW;
        let links = scores.iter().filter(|score| (from..from + WINDOW).contains(*score)).count() as f64;
        (links - wrong_from(key(from)) + wrong_from(key(from + WINDOW))).max(0.0)
    };
    let (near, next) = (right_within(0), right_within(1));
    if floor > i64::from(Similarity::ONE.millionths()) - 3 * WINDOW || next < 1.0 {
        return None;
    }
    let factor = (near / next).min(0.8);
    Some((near * factor / (1.0 - factor), 2.0 * (near + 1.0).sqrt() * factor / (1.0 - factor)))
}

/// From the share of closed triangles among paths of two right links; none where no record is linked to two agencies.
fn by_triangles(run: &Run, precision: f64) -> Option<(f64, f64)> {
    let mut partners: BTreeMap<RecordAt, Vec<RecordAt>> = BTreeMap::new();
    let mut linked: HashSet<(RecordAt, RecordAt)> = HashSet::new();
    for (left, right) in run.links.iter().filter(is_direct).map(Link::ends) {
        partners.entry(left).or_default().push(right);
        partners.entry(right).or_default().push(left);
        linked.insert((left.min(right), left.max(right)));
    }
    let (mut paths, mut closed) = (0.0f64, 0.0f64);
    for partners in partners.values() {
        for (at, one) in partners.iter().enumerate() {
            for other in &partners[at + 1..] {
                paths += 1.0;
                closed += f64::from(u8::from(linked.contains(&(*one.min(other), *one.max(other)))));
            }
        }
    }
    if paths == 0.0 {
        return None;
    }
    // A path over a wrong link is not closed: only paths of two right links tell.
    let share = (closed / (paths * precision * precision).max(1.0)).clamp(0.05, 1.0);
    let links = run.links.iter().filter(is_direct).count() as f64 * precision;
    let error = 2.0 * (share * (1.0 - share) / paths).sqrt();
    Some((links * (1.0 / share - 1.0), links * error / (share * share)))
}
