//! Candidate pairs of records, judged one by one.
//!
//! May see: the arena, the joins, the judge. Must not see: other pairs' verdicts.

use super::{Known, LinkOptions, RunError, Truncation, judge_for};
use crate::linkage::agree::{Orders, Sides, agreeing};
use crate::linkage::arena::Dataset;
use crate::linkage::blocks::{tagged_join, tagged_self_join};
use crate::linkage::decide::{Judge, Verdict};
use crate::linkage::exec::{Control, Exec};
use crate::linkage::groups::RecordAt;
use crate::linkage::join::JoinError;
use crate::wire::DecisionModel;
use std::borrow::Cow;

/// Pairs judged between two looks at the cancel flag.
const CHUNK_PAIRS: usize = 4_096;
/// Pairs sorted or merged between two looks.
const SORT_PAIRS: usize = 1 << 18;
/// Records of one side that may share the value of an exact token: beyond it the value says nothing.
const EXACT_HOLDERS_MAX: usize = 16;

/// A judged pair of records that reaches a band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Record of the pair's first dataset.
    pub a: u32,
    /// Record of the pair's second dataset.
    pub b: u32,
    /// What the pair is by itself.
    pub verdict: Verdict,
}

/// One pair of datasets and its judged pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairEdges {
    /// Number of the first dataset.
    pub agency_a: u16,
    /// Number of the second dataset; equal to the first where one dataset is compared with itself.
    pub agency_b: u16,
    /// Judged pairs that reach a band, ascending by (a, b).
    pub edges: Vec<Edge>,
}

/// All judged pairs of a run, by pair of datasets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candidates {
    /// Pairs of datasets in the order of their agency ids.
    pub pairs: Vec<PairEdges>,
    /// Pairs of records that were judged to get here.
    pub pairs_judged: u64,
    /// What was left out.
    pub truncation: Truncation,
}

/// Numbers of the datasets in the order of their agency ids.
pub(super) fn by_agency(datasets: &[Dataset]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..datasets.len()).collect();
    order.sort_by(|left, right| datasets[*left].agency.cmp(&datasets[*right].agency));
    order
}

/// The pairs of datasets a run compares, first by agency id first.
pub(super) fn dataset_pairs(datasets: &[Dataset], deduplicate: bool) -> Vec<(usize, usize)> {
    let order = by_agency(datasets);
    let mut pairs = Vec::new();
    for (at, left) in order.iter().enumerate() {
        if deduplicate {
            pairs.push((*left, *left));
        }
        pairs.extend(order[at + 1..].iter().map(|right| (*left, *right)));
    }
    pairs
}

/// Finds and judges the candidates of every pair of datasets that may be linked.
pub(super) fn find(
    datasets: &[Dataset],
    known: &Known,
    judge: &Judge,
    options: &LinkOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Candidates, RunError> {
    let mut search = Search::new(judge, options, exec, control);
    let laid = search.lay_out(datasets);
    let mut candidates = Candidates::default();
    for (left, right) in dataset_pairs(datasets, options.deduplicate) {
        let other = (left != right).then_some(&laid[right]);
        if !known.may_link(number(left), number(right)) {
            continue;
        }
        let edges = search.between(&laid[left], other)?;
        candidates.pairs.push(PairEdges { agency_a: number(left), agency_b: number(right), edges });
    }
    candidates.pairs_judged = search.pairs_judged;
    candidates.truncation = search.truncation;
    Ok(candidates)
}

/// Which datasets are set against each other for learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// Every two.
    All,
    /// Each with the next by agency id: for ten, a fifth of the work, and every dataset is looked at.
    Neighbours,
}

/// Hands what `read` makes of each candidate pair of records to `each`, in a fixed order: first by pair of
/// datasets, then by record. For learning and measuring; nothing is judged.
///
/// # Errors
/// As [`super::link`].
pub fn for_each_candidate<T: Send>(
    (datasets, among): (&[Dataset], Among),
    decision: &DecisionModel,
    options: &LinkOptions,
    exec: Exec<'_>,
    control: &Control,
    read: &(dyn Fn(&Judge, RecordAt, RecordAt) -> Option<T> + Sync),
    each: &mut dyn FnMut(T),
) -> Result<(), RunError> {
    let Some(judge) = judge_for(datasets, decision)? else { return Ok(()) };
    let mut search = Search::new(&judge, options, exec, control);
    let laid = search.lay_out(datasets);
    let order = by_agency(datasets);
    let pairs = match among {
        Among::All => dataset_pairs(datasets, false),
        Among::Neighbours => order.iter().copied().zip(order.iter().skip(1).copied()).collect(),
    };
    for (left, right) in pairs {
        let pairs = search.joined(&laid[left], Some(&laid[right]))?;
        let found = search.map(&pairs, |a, b| {
            let left = RecordAt { agency: number(left), record: a };
            read(&judge, left, RecordAt { agency: number(right), record: b })
        })?;
        found.into_iter().for_each(&mut *each);
    }
    Ok(())
}

/// The number of a dataset as it stands in a link; there are at most 64.
pub(super) fn number(dataset: usize) -> u16 {
    u16::try_from(dataset).unwrap_or(u16::MAX)
}

/// A dataset and what searching it needs.
pub(super) struct Laid<'d> {
    pub(super) dataset: Cow<'d, Dataset>,
    orders: Orders,
}

/// A search for candidates between two datasets at a time, and what it cost so far.
pub(super) struct Search<'s> {
    judge: &'s Judge,
    options: &'s LinkOptions,
    exec: Exec<'s>,
    control: &'s Control,
    pub(super) pairs_judged: u64,
    pub(super) truncation: Truncation,
}

impl<'s> Search<'s> {
    pub(super) fn new(
        judge: &'s Judge,
        options: &'s LinkOptions,
        exec: Exec<'s>,
        control: &'s Control,
    ) -> Self {
        Self { judge, options, exec, control, pairs_judged: 0, truncation: Truncation::default() }
    }

    /// Lays out datasets that will be searched, each once.
    pub(super) fn lay_out<'d>(&self, datasets: &'d [Dataset]) -> Vec<Laid<'d>> {
        datasets.iter().map(|dataset| self.lay_out_one(Cow::Borrowed(dataset))).collect()
    }

    /// Lays out one dataset.
    pub(super) fn lay_out_one<'d>(&self, dataset: Cow<'d, Dataset>) -> Laid<'d> {
        let orders = Orders::of(&dataset, self.judge, &self.options.join, self.exec);
        Laid { dataset, orders }
    }

    /// Judged pairs between two datasets, or inside `left` where `right` is none, ascending.
    pub(super) fn between(
        &mut self,
        left: &Laid<'_>,
        right: Option<&Laid<'_>>,
    ) -> Result<Vec<Edge>, RunError> {
        let pairs = self.joined(left, right)?;
        let right = right.map(|right| &*right.dataset);
        let pairs = merged(&pairs, &self.exact(&left.dataset, right), self.control)?;
        self.judge(&left.dataset, right, &pairs)
    }

    /// Pairs of records that some slot makes candidates.
    pub(super) fn joined(&mut self, left: &Laid<'_>, right: Option<&Laid<'_>>) -> Result<Vec<u64>, RunError> {
        let mut pairs: Vec<u64> = Vec::new();
        if left.dataset.is_empty() || right.is_some_and(|right| right.dataset.is_empty()) {
            return Ok(pairs);
        }
        for view in 0..left.dataset.views.len() {
            match self.join_view(view, left, right) {
                // Nothing links to nothing.
                Err(JoinError::AllEmpty { .. }) => continue,
                found => pairs = merged(&pairs, &found?, self.control)?,
            }
        }
        Ok(pairs)
    }

    /// Pairs of records that hold the same exact token, where such tokens are evidence; ascending.
    pub(super) fn exact(&mut self, left: &Dataset, right: Option<&Dataset>) -> Vec<u64> {
        let mut pairs = Vec::new();
        for column in (0..left.exact.len()).filter(|column| self.judge.joins_exact(*column)) {
            let theirs = right.map(|right| &right.exact[column][..]);
            self.truncation.exact_values_skipped += join_exact(&left.exact[column], theirs, &mut pairs);
        }
        pairs.sort_unstable();
        pairs
    }

    /// Judges pairs, which ascend and differ; the answer ascends by (a, b).
    pub(super) fn judge(
        &mut self,
        left: &Dataset,
        right: Option<&Dataset>,
        pairs: &[u64],
    ) -> Result<Vec<Edge>, RunError> {
        self.pairs_judged += pairs.len() as u64;
        let (right, judge) = (right.unwrap_or(left), self.judge);
        self.map(pairs, |a, b| {
            let verdict = judge.judge(left, a as usize, right, b as usize)?;
            Some(Edge { a, b, verdict })
        })
    }

    /// What `read` makes of each pair, in their order.
    fn map<T: Send>(
        &self,
        pairs: &[u64],
        read: impl Fn(u32, u32) -> Option<T> + Sync + Send,
    ) -> Result<Vec<T>, RunError> {
        let control = self.control;
        let read_chunk = |chunk: usize| {
            control.advance(0)?;
            let from = chunk * CHUNK_PAIRS;
            let chunk = pairs[from..pairs.len().min(from + CHUNK_PAIRS)].iter();
            let found = chunk.filter_map(|pair| {
                let (a, b) = unpack(*pair);
                read(a, b)
            });
            Ok(found.collect::<Vec<T>>())
        };
        let chunks: Vec<Vec<T>> = self.exec.map(pairs.len().div_ceil(CHUNK_PAIRS), read_chunk)?;
        Ok(chunks.into_iter().flatten().collect())
    }

    /// Pairs of records that one view makes candidates.
    fn join_view(
        &mut self,
        view: usize,
        left: &Laid<'_>,
        right: Option<&Laid<'_>>,
    ) -> Result<Vec<u64>, JoinError> {
        let (options, other) = (&self.options.join, right.unwrap_or(left));
        let tables = [&left.dataset.views[view], &other.dataset.views[view]];
        if let Some(quick) =
            self.judge.quick(view).filter(|_| left.orders.has(view) && other.orders.has(view))
        {
            let orders = [&left.orders, &other.orders];
            let sides = Sides { tables, orders, view, within: right.is_none() };
            return agreeing(&sides, quick, options, self.exec, self.control);
        }
        let at = self.judge.join_at(view);
        let joined = match right {
            Some(_) => tagged_join(tables[0], tables[1], at, options, self.exec, self.control)?,
            None => tagged_self_join(tables[0], at, options, self.exec, self.control)?,
        };
        self.truncation.pairs_dropped += joined.pairs_dropped;
        let slots = u32::try_from(tables[0].slots).unwrap_or(u32::MAX);
        let mut found: Vec<u64> = joined.pairs.iter().map(|(a, b, _)| pack(a / slots, b / slots)).collect();
        drop(joined);
        sort_ascending_a(&mut found, self.control)?;
        Ok(found)
    }
}

/// Sorts pairs whose first records ascend already.
fn sort_ascending_a(pairs: &mut [u64], control: &Control) -> Result<(), JoinError> {
    let mut rest = pairs;
    while !rest.is_empty() {
        control.advance(0)?;
        let last = unpack(rest[rest.len().min(SORT_PAIRS) - 1]).0;
        let end = rest.partition_point(|pair| unpack(*pair).0 <= last);
        let (block, after) = rest.split_at_mut(end);
        block.sort_unstable();
        rest = after;
    }
    Ok(())
}

/// Two ascending lists as one, each pair once: several slots find the same pair.
fn merged(left: &[u64], right: &[u64], control: &Control) -> Result<Vec<u64>, JoinError> {
    let mut all: Vec<u64> = Vec::with_capacity(left.len().max(right.len()));
    let (mut at_left, mut at_right) = (0, 0);
    for step in 0.. {
        if step % SORT_PAIRS == 0 {
            control.advance(0)?;
        }
        let next = match (left.get(at_left), right.get(at_right)) {
            (None, None) => break,
            (Some(one), Some(other)) => *one.min(other),
            (Some(one), None) => *one,
            (None, Some(other)) => *other,
        };
        // One list at most brings what the other brought: both step over it, and over its repetitions.
        at_left += usize::from(left.get(at_left) == Some(&next));
        at_right += usize::from(right.get(at_right) == Some(&next));
        if all.last() != Some(&next) {
            all.push(next);
        }
    }
    Ok(all)
}

/// Adds every pair of records that hold the same exact token; returns how many values were skipped
/// because too many records hold them.
fn join_exact(left: &[Option<[u8; 16]>], right: Option<&[Option<[u8; 16]>]>, pairs: &mut Vec<u64>) -> u64 {
    let sorted = |column: &[Option<[u8; 16]>]| {
        let tokens = (0u32..).zip(column).filter_map(|(record, token)| Some(((*token)?, record)));
        let mut tokens: Vec<([u8; 16], u32)> = tokens.collect();
        tokens.sort_unstable();
        tokens
    };
    let ours = sorted(left);
    let theirs = right.map(sorted);
    let mut rest = theirs.as_ref().unwrap_or(&ours).as_slice();
    let mut skipped = 0;
    for block in ours.chunk_by(|one, other| one.0 == other.0) {
        let token = block[0].0;
        rest = &rest[rest.partition_point(|(other, _)| *other < token)..];
        let same = &rest[..rest.partition_point(|(other, _)| *other == token)];
        if block.len() > EXACT_HOLDERS_MAX || same.len() > EXACT_HOLDERS_MAX {
            skipped += u64::from(!same.is_empty());
            continue;
        }
        for (_, a) in block {
            let others = same.iter().filter(|(_, b)| right.is_some() || a < b);
            pairs.extend(others.map(|(_, b)| pack(*a, *b)));
        }
    }
    skipped
}

/// A pair of records as one number that sorts as (a, b).
pub(super) fn pack(a: u32, b: u32) -> u64 {
    u64::from(a) << 32 | u64::from(b)
}

/// The pair of [`pack`].
pub(super) fn unpack(pair: u64) -> (u32, u32) {
    ((pair >> 32) as u32, pair as u32)
}
