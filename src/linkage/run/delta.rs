//! Linking again after a change costs the change.
//!
//! May see: what [`super`] sees, and the judged pairs of an earlier run by ref. Must not see: the earlier
//! encodings.
//!
//! Pairs of two unchanged records keep their verdict; pairs of a new or altered record are found and
//! judged anew; removed records take their pairs with them. One-to-one, runner-up and groups are
//! settled over all of it, so the result is the one a full run gives.

use super::candidates::{Candidates, Edge, Laid, PairEdges, Search, dataset_pairs, number, pack, unpack};
use super::{Known, LinkOptions, Run, RunError, judge_for, settle};
use crate::linkage::arena::{Dataset, FilterTable, ViewTable};
use crate::linkage::decide::{Judge, Verdict};
use crate::linkage::exec::{Control, Exec};
use crate::linkage::join::JoinError;
use crate::wire::{AgencyId, DecisionModel, Reason, RecordRef};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

/// A judged pair by ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedEdge {
    /// Record of the pair's first agency.
    pub a: RecordRef,
    /// Record of the pair's second agency.
    pub b: RecordRef,
    /// What the pair is by itself.
    pub verdict: Verdict,
}

/// The judged pairs of two agencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedPair {
    /// The agency whose id sorts first.
    pub agency_a: AgencyId,
    /// The other; the same where one dataset was compared with itself.
    pub agency_b: AgencyId,
    /// Judged pairs that reach a band.
    pub edges: Vec<CarriedEdge>,
}

/// What one run hands to the next: every judged pair that reached a band, by ref.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Carried {
    /// By pair of agencies.
    pub pairs: Vec<CarriedPair>,
}

impl Run {
    /// What a later [`relink`] needs of this run over `datasets`.
    #[must_use]
    pub fn carry(&self, datasets: &[Dataset]) -> Carried {
        let pairs = self.candidates.pairs.iter().map(|pair| {
            let [left, right] = [pair.agency_a, pair.agency_b].map(|agency| &datasets[usize::from(agency)]);
            let edges = pair.edges.iter().map(|edge| CarriedEdge {
                a: left.refs[edge.a as usize],
                b: right.refs[edge.b as usize],
                verdict: edge.verdict,
            });
            CarriedPair {
                agency_a: left.agency.clone(),
                agency_b: right.agency.clone(),
                edges: edges.collect(),
            }
        });
        Carried { pairs: pairs.collect() }
    }
}

/// Links `datasets` like [`super::link`], given an earlier run under the same decision model and options
/// and, for each dataset, the records that are new or altered since. Refs in a dataset must differ.
///
/// # Errors
/// As [`super::link`]; `top_k` is refused, because what it dropped is not known any more.
pub fn relink(
    datasets: &[Dataset],
    changed: &[Vec<u32>],
    earlier: &Carried,
    decision: &DecisionModel,
    options: &LinkOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Run, RunError> {
    if options.join.top_k.is_some() {
        return Err(JoinError::Option { name: "top_k", range: "none in a delta" }.into());
    }
    let Some(judge) = judge_for(datasets, decision)? else { return Ok(Run::empty()) };
    let mut search = Search::new(&judge, options, exec, control);
    let sides: Vec<Side> = datasets
        .iter()
        .enumerate()
        .map(|(at, dataset)| Side::new(&search, dataset, changed.get(at).map_or(&[][..], Vec::as_slice)))
        .collect::<Result<_, _>>()?;
    let mut candidates = Candidates::default();
    for (left, right) in dataset_pairs(datasets, options.deduplicate) {
        let (agency_a, agency_b) = (&datasets[left].agency, &datasets[right].agency);
        let known =
            earlier.pairs.iter().find(|pair| pair.agency_a == *agency_a && pair.agency_b == *agency_b);
        let edges = match known {
            Some(known) => update(&mut search, &judge, &sides[left], &sides[right], known)?,
            None => search.between(&sides[left].all, (left != right).then_some(&sides[right].all))?,
        };
        candidates.pairs.push(PairEdges { agency_a: number(left), agency_b: number(right), edges });
    }
    candidates.pairs_judged = search.pairs_judged;
    candidates.truncation = search.truncation;
    settle::settle(datasets, &judge, candidates, &Known::default(), options, (exec, control))
}

/// One dataset, which of its records changed, and those records by themselves.
struct Side<'d> {
    dataset: &'d Dataset,
    all: Laid<'d>,
    rows: Vec<u32>,
    is_changed: Vec<bool>,
    only_changed: Laid<'d>,
    record_of: HashMap<RecordRef, u32>,
}

impl<'d> Side<'d> {
    fn new(search: &Search<'_>, dataset: &'d Dataset, changed: &[u32]) -> Result<Self, JoinError> {
        let rows: Vec<u32> = changed.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut is_changed = vec![false; dataset.len()];
        for row in &rows {
            let mark = is_changed.get_mut(*row as usize);
            *mark.ok_or(JoinError::Row { side: crate::linkage::join::Side::A, row: *row })? = true;
        }
        let only_changed = search.lay_out_one(Cow::Owned(select(dataset, &rows)));
        let all = search.lay_out_one(Cow::Borrowed(dataset));
        let record_of = dataset.refs.iter().copied().zip(0u32..).collect();
        Ok(Self { dataset, all, rows, is_changed, only_changed, record_of })
    }

    fn unchanged(&self, name: &RecordRef) -> Option<u32> {
        self.record_of.get(name).copied().filter(|record| !self.is_changed[*record as usize])
    }
}

/// The judged pairs of two datasets (or of one with itself), from the earlier ones and the changes.
fn update(
    search: &mut Search<'_>,
    judge: &Judge,
    left: &Side<'_>,
    right: &Side<'_>,
    known: &CarriedPair,
) -> Result<Vec<Edge>, RunError> {
    let within = std::ptr::eq(left, right);
    let other = (!within).then_some(right.dataset);
    // Whether an exact value has too many holders can change without its records: look at all of it.
    let exact: BTreeSet<u64> = search.exact(left.dataset, other).into_iter().collect();
    let mut pairs: Vec<u64> = exact.iter().copied().collect();
    for (changed, rest, turned) in [(left, right, false), (right, left, true)] {
        if changed.rows.is_empty() || within && turned {
            continue;
        }
        for pair in search.joined(&changed.only_changed, Some(&rest.all))? {
            let (a, b) = unpack(pair);
            let (a, b) = (changed.rows[a as usize], b);
            let (a, b) = if turned || within && a > b { (b, a) } else { (a, b) };
            if !within || a != b {
                pairs.push(pack(a, b));
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    let mut edges = search.judge(left.dataset, other, &pairs)?;
    let kept = known.edges.iter().filter_map(|edge| {
        let (a, b) = (left.unchanged(&edge.a)?, right.unchanged(&edge.b)?);
        let (a, b) = if within && a > b { (b, a) } else { (a, b) };
        let by_slot = || judge.joins(left.dataset, a as usize, right.dataset, b as usize);
        let found = !edge.verdict.reasons.contains(Reason::ExactAgrees) || by_slot();
        (found && !exact.contains(&pack(a, b))).then_some(Edge { a, b, verdict: edge.verdict })
    });
    edges.extend(kept);
    edges.sort_unstable_by_key(|edge| pack(edge.a, edge.b));
    edges.dedup_by_key(|edge| pack(edge.a, edge.b));
    Ok(edges)
}

/// The records `rows` of a dataset, in that order, as a dataset of their own.
pub(super) fn select(dataset: &Dataset, rows: &[u32]) -> Dataset {
    let views = dataset.views.iter().map(|view| {
        let slots = rows.iter().flat_map(|row| *row as usize * view.slots..(*row as usize + 1) * view.slots);
        let words = slots.clone().flat_map(|slot| view.filters.row(slot)).copied().collect();
        let tags = view.tags.as_ref().map(|tags| slots.map(|slot| tags[slot]).collect());
        let filters = FilterTable::new(words, view.filters.words_per_row());
        ViewTable { filters, slots: view.slots, tags }
    });
    let pick = |column: &Vec<Option<[u8; 16]>>| rows.iter().map(|row| column[*row as usize]).collect();
    Dataset {
        agency: dataset.agency.clone(),
        layout: dataset.layout.clone(),
        refs: rows.iter().map(|row| dataset.refs[*row as usize]).collect(),
        views: views.collect(),
        presence: dataset.presence.as_ref().map(|mask| rows.iter().map(|row| mask[*row as usize]).collect()),
        exact: dataset.exact.iter().map(pick).collect(),
    }
}
