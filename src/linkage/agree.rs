//! The candidates of a tagged view: records with a slot each whose tags are equal and which agree.
//!
//! May see: filters, tags, the quick test of evidence. Must not see: refs, agencies, identifiers.
//!
//! Unrelated slots of salted views are as alike as their fill makes them (Dice .40 at 40 %), nearly all of them above
//! any threshold on whole rows that missing segments would survive. So what a join would hand on here is not what
//! reaches a threshold but what *agrees*, names crosswise included: one pair in a hundred instead of nearly all.

use super::arena::{Dataset, ViewTable};
use super::decide::Judge;
use super::evidence::Quick;
use super::exec::{Control, Exec};
use super::join::{JoinError, JoinMode, JoinOptions, check, ones};
use super::kernel::Kernel;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pairs of slots a task compares.
const TASK_PAIRS: u64 = 1 << 20;
/// Runs of equal tags a task looks at.
const TASK_RUNS: usize = 1 << 15;

/// The slots of one dataset laid out for [`agreeing`]: one entry a view, none where views are joined otherwise.
pub(super) struct Orders(Vec<Option<Order>>);

struct Order {
    /// Tag in the upper half, row in the lower, ascending.
    keys: Vec<u64>,
    ones: Vec<u16>,
    /// Rows with every segment.
    complete: Vec<bool>,
}

impl Orders {
    /// Lays out the tagged views of `dataset`, where `judge` weighs evidence and every agreeing pair is asked for.
    pub(super) fn of(dataset: &Dataset, judge: &Judge, options: &JoinOptions, exec: Exec<'_>) -> Self {
        let plain = options.top_k.is_none() && options.mode == JoinMode::Exact;
        let order = |number: usize| {
            let view = &dataset.views[number];
            let (quick, tags) = (judge.quick(number)?, view.tags.as_ref()?);
            (plain && tags.len() == view.filters.rows()).then(|| Order::of(view, tags, quick))
        };
        let views = exec.map(dataset.views.len(), |number| Ok(order(number)));
        Self(views.unwrap_or_default())
    }

    /// Whether view number `view` is laid out.
    pub(super) fn has(&self, view: usize) -> bool {
        matches!(self.0.get(view), Some(Some(_)))
    }
}

impl Order {
    fn of(view: &ViewTable, tags: &[u32], quick: Quick<'_>) -> Self {
        let keys = tags.iter().zip(0u64..).map(|(tag, row)| u64::from(*tag) << 32 | row);
        let mut keys: Vec<u64> = keys.collect();
        keys.sort_unstable();
        let rows = 0..view.filters.rows();
        let complete = rows.map(|row| quick.is_complete(view.filters.row(row))).collect();
        Self { keys, ones: ones(&view.filters), complete }
    }
}

/// Where one tag's rows stand in the two orders.
type Run = [Range<usize>; 2];

/// One view of two datasets, or of one with itself.
pub(super) struct Sides<'t> {
    /// The tables of the view.
    pub(super) tables: [&'t ViewTable; 2],
    /// The layouts of both datasets.
    pub(super) orders: [&'t Orders; 2],
    /// Number of the view.
    pub(super) view: usize,
    /// Whether both are one dataset: then each pair of records is found once, the smaller number first.
    pub(super) within: bool,
}

/// Pairs of records (`a << 32 | b`, ascending, distinct) that have agreeing slots in one view.
///
/// # Errors
/// [`JoinError`] for tables that cannot be compared, more than `options.pairs_max` pairs, or cancellation.
pub(super) fn agreeing(
    sides: &Sides<'_>,
    quick: Quick<'_>,
    options: &JoinOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Vec<u64>, JoinError> {
    let kernel = check(&sides.tables[0].filters, &sides.tables[1].filters, options)?;
    let orders = sides.orders.map(|orders| orders.0.get(sides.view).and_then(Option::as_ref));
    let [Some(a), Some(b)] = orders else { return Ok(Vec::new()) };
    let runs = runs(&a.keys, &b.keys);
    let pairs_of = |run: &Run| run[0].len() as u64 * run[1].len() as u64;
    control.plan(runs.iter().map(pairs_of).sum());
    let mut tasks = Vec::new();
    let (mut start, mut pairs) = (0, 0);
    for (at, run) in runs.iter().enumerate() {
        pairs += pairs_of(run);
        if pairs >= TASK_PAIRS || at + 1 - start >= TASK_RUNS || at + 1 == runs.len() {
            tasks.push(start..at + 1);
            (start, pairs) = (at + 1, 0);
        }
    }
    let kept = AtomicU64::new(0);
    let too_many = || JoinError::TooManyPairs { pairs_max: options.pairs_max, threshold: quick.agree_at() };
    let parts = exec.map(tasks.len(), |task| {
        let mut found = Vec::new();
        let mut look = Look { sides, orders: [a, b], kernel, quick, exchanged: Vec::new() };
        let mut compared = 0;
        for run in &runs[tasks[task].clone()] {
            look.run(run, &mut found);
            compared += pairs_of(run);
        }
        found.sort_unstable();
        found.dedup();
        let fresh = found.len() as u64;
        if kept.fetch_add(fresh, Ordering::Relaxed) + fresh > options.pairs_max {
            return Err(too_many());
        }
        control.advance(compared)?;
        Ok(found)
    })?;
    let mut all = parts.concat();
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Merges two orders into runs of tags that occur on both sides, cut into pieces of a task at most.
fn runs(a: &[u64], b: &[u64]) -> Vec<Run> {
    let end = |keys: &[u64], from: usize| {
        let tag = keys[from] >> 32;
        from + keys[from..].iter().take_while(|key| *key >> 32 == tag).count()
    };
    let (mut runs, mut i, mut j) = (Vec::new(), 0, 0);
    while i < a.len() && j < b.len() {
        match (a[i] >> 32).cmp(&(b[j] >> 32)) {
            std::cmp::Ordering::Less => i = end(a, i),
            std::cmp::Ordering::Greater => j = end(b, j),
            std::cmp::Ordering::Equal => {
                let (end_a, end_b) = (end(a, i), end(b, j));
                let rows = (TASK_PAIRS as usize / (end_b - j)).max(1);
                runs.extend((i..end_a).step_by(rows).map(|from| [from..end_a.min(from + rows), j..end_b]));
                (i, j) = (end_a, end_b);
            }
        }
    }
    runs
}

/// What one thread needs to compare runs.
struct Look<'t> {
    sides: &'t Sides<'t>,
    orders: [&'t Order; 2],
    kernel: Kernel,
    quick: Quick<'t>,
    exchanged: Vec<u64>,
}

impl Look<'_> {
    fn run(&mut self, run: &Run, found: &mut Vec<u64>) {
        let [a, b] = self.orders;
        let [left, right] = self.sides.tables;
        let (kernel, quick) = (self.kernel, self.quick);
        let record = |row: usize, view: &ViewTable| (row / view.slots) as u64;
        for key in &a.keys[run[0].clone()] {
            let row = *key as u32 as usize;
            let (x, ones, complete) = (left.filters.row(row), u32::from(a.ones[row]), a.complete[row]);
            let first = record(row, left);
            let crosses = complete && quick.exchange(x, &mut self.exchanged);
            for key in &b.keys[run[1].clone()] {
                let row = *key as u32 as usize;
                let second = record(row, right);
                if self.sides.within && first >= second {
                    continue;
                }
                let y = right.filters.row(row);
                let (common, total) = (kernel.common(x, y), ones + u32::from(b.ones[row]));
                let agrees = quick.joins(common, total)
                    && if complete && b.complete[row] {
                        quick.agrees(common, total)
                            || crosses && quick.agrees(kernel.common(&self.exchanged, y), total)
                    } else {
                        quick.agrees_in_full(x, y)
                    };
                if agrees {
                    found.push(first << 32 | second);
                }
            }
        }
    }
}
