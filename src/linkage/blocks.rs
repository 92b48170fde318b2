//! The tagged join: only rows with equal tags are compared, a record owns several rows.
//!
//! May see: filters, tags and row numbers. Must not see: refs, agencies, identifiers.
//!
//! An exact restriction of [`super::join::join`]: sort both sides by tag once, merge, compare inside each
//! *run* of equal tags. Runs of ten rows are compared row by row with no set-up; a run of a million pairs or
//! more (a default date, a tag that is too short) goes through the join itself. Rows are `record * slots + slot`;
//! the same two records may hit by several slots. Small runs are compared in full in the lossy mode too; only in
//! the large ones can it miss a pair.

use super::arena::{FilterTable, ViewTable};
use super::exec::{Control, Exec};
use super::join::{JoinError, JoinMode, JoinOptions, Joined, Side, check, join, ones, self_join};
use super::lsh;
use super::pairs::{Hit, keep_best};
use super::tiles::{Found, Rows, Shape, Task};
use crate::wire::Threshold;
use std::ops::Range;
use std::sync::atomic::AtomicU64;

/// Pairs of a run from which on sketches pay.
const RUN_PAIRS_MAX: u64 = 1 << 20;
/// Pairs of a task.
const TASK_PAIRS: u64 = 1 << 20;
/// Runs of a task.
const TASK_RUNS: usize = 1 << 15;

/// All pairs of *rows* (row of `a`, row of `b`) with equal tags that pass `threshold`; without tags on both sides
/// every pair is compared. The record of a row is `row / slots`.
///
/// # Errors
/// As [`join`], and [`JoinError::Tags`].
pub fn tagged_join(
    a: &ViewTable,
    b: &ViewTable,
    threshold: Threshold,
    options: &JoinOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Joined, JoinError> {
    let (Some(tags_a), Some(tags_b)) = (tags(a, Side::A)?, tags(b, Side::B)?) else {
        for (side, view) in [(Side::A, a), (Side::B, b)] {
            if let Some(tags) = &view.tags {
                return Err(JoinError::Tags { side, tags: tags.len(), rows: view.filters.rows() });
            }
        }
        return join(&a.filters, &b.filters, threshold, options, exec, control);
    };
    let kernel = check(&a.filters, &b.filters, options)?;
    let (ones_a, ones_b) = (ones(&a.filters), ones(&b.filters));
    let tables = [Rows { table: &a.filters, ones: &ones_a }, Rows { table: &b.filters, ones: &ones_b }];
    let kept = AtomicU64::new(0);
    let task = Task { tables, shape: Shape::Whole, threshold, kernel, options, control, kept: &kept };
    let sorted = [by_tag(tags_a), by_tag(tags_b)];
    let found =
        Blocks { task: &task, orders: [&sorted[0], &sorted[1]], slots: None }.run([tags_a, tags_b], exec)?;
    task.finish(task.cut_both(found)?)
}

/// The tagged join of a view with itself: pairs of rows a < b of *different* records.
///
/// # Errors
/// As [`tagged_join`].
pub fn tagged_self_join(
    a: &ViewTable,
    threshold: Threshold,
    options: &JoinOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Joined, JoinError> {
    let slots = a.slots.max(1) as u32;
    let Some(tags) = tags(a, Side::A)? else {
        let mut joined = self_join(&a.filters, threshold, options, exec, control)?;
        if slots > 1 {
            joined.pairs = joined.pairs.iter().filter(|(x, y, _)| x / slots != y / slots).collect();
        }
        return Ok(joined);
    };
    let kernel = check(&a.filters, &a.filters, options)?;
    let ones = ones(&a.filters);
    let rows = Rows { table: &a.filters, ones: &ones };
    let kept = AtomicU64::new(0);
    let task = Task {
        tables: [rows, rows],
        shape: Shape::Triangle,
        threshold,
        kernel,
        options,
        control,
        kept: &kept,
    };
    let sorted = by_tag(tags);
    let found =
        Blocks { task: &task, orders: [&sorted, &sorted], slots: Some(slots) }.run([tags, tags], exec)?;
    task.finish(task.cut_both(found)?)
}

/// Two sides in the order of their tags.
struct Blocks<'t> {
    task: &'t Task<'t>,
    orders: [&'t [u32]; 2],
    /// Slots a record where a view meets itself: then rows of one record are no pair.
    slots: Option<u32>,
}

/// Where one tag's rows stand in the two orders.
type Run = [Range<u32>; 2];

impl Blocks<'_> {
    fn run(&self, tags: [&[u32]; 2], exec: Exec<'_>) -> Result<Found, JoinError> {
        let runs = self.runs(tags);
        let pairs_of = |run: &Run| run[0].len() as u64 * run[1].len() as u64;
        self.task.control.plan(runs.iter().map(pairs_of).sum());
        let (large, small): (Vec<Run>, Vec<Run>) =
            runs.into_iter().partition(|run| pairs_of(run) > RUN_PAIRS_MAX);
        let mut tasks = Vec::new();
        let (mut start, mut pairs) = (0, 0);
        for (at, run) in small.iter().enumerate() {
            pairs += pairs_of(run);
            if pairs >= TASK_PAIRS || at + 1 - start >= TASK_RUNS || at + 1 == small.len() {
                tasks.push(start..at + 1);
                (start, pairs) = (at + 1, 0);
            }
        }
        let parts = exec.map(tasks.len(), |task| {
            let mut found = Found::default();
            for run in &small[tasks[task].clone()] {
                self.small(run, &mut found);
            }
            self.kept(&mut found)?;
            self.task.control.advance(found.verified)?;
            Ok(found)
        })?;
        let mut found = Found::default();
        found.absorb(parts, self.task.control)?;
        for run in large {
            found.absorb(vec![self.large(&run, exec)?], self.task.control)?;
        }
        Ok(found)
    }

    /// Merges the two orders into runs of tags that occur on both sides.
    fn runs(&self, [tags_a, tags_b]: [&[u32]; 2]) -> Vec<Run> {
        let [order_a, order_b] = self.orders;
        let end = |order: &[u32], tags: &[u32], from: usize| {
            let tag = tags[order[from] as usize];
            from + order[from..].iter().take_while(|row| tags[**row as usize] == tag).count()
        };
        let (mut runs, mut i, mut j) = (Vec::new(), 0, 0);
        while i < order_a.len() && j < order_b.len() {
            let (end_a, end_b) = (end(order_a, tags_a, i), end(order_b, tags_b, j));
            match tags_a[order_a[i] as usize].cmp(&tags_b[order_b[j] as usize]) {
                std::cmp::Ordering::Less => i = end_a,
                std::cmp::Ordering::Greater => j = end_b,
                std::cmp::Ordering::Equal => {
                    runs.push([i as u32..end_a as u32, j as u32..end_b as u32]);
                    (i, j) = (end_a, end_b);
                }
            }
        }
        runs
    }

    /// Cuts to the best k where a row has all its partners in this part, and counts what stays.
    fn kept(&self, found: &mut Found) -> Result<(), JoinError> {
        let Some(k) = self.task.options.top_k else { return self.task.keep(found) };
        if self.slots.is_none() {
            let [a, b] = self.task.tables;
            let pause = || self.task.control.advance(0);
            found.dropped += keep_best(&mut found.hits, k, [a.ones, b.ones], pause)?;
        }
        self.task.keep(found)
    }

    fn rows(&self, run: &Run) -> [&[u32]; 2] {
        [0, 1].map(|side| &self.orders[side][run[side].start as usize..run[side].end as usize])
    }

    fn wanted(&self, row_a: u32, row_b: u32) -> bool {
        self.slots.is_none_or(|slots| row_a < row_b && row_a / slots != row_b / slots)
    }

    fn small(&self, run: &Run, found: &mut Found) {
        let [a, b] = self.task.tables;
        let [rows_a, rows_b] = self.rows(run);
        for row_a in rows_a {
            let (x, ones_a) = (a.table.row(*row_a as usize), u32::from(a.ones[*row_a as usize]));
            for row_b in rows_b.iter().filter(|row_b| self.wanted(*row_a, **row_b)) {
                let common = self.task.kernel.common(x, b.table.row(*row_b as usize));
                if self.task.threshold.passes(common, ones_a + u32::from(b.ones[*row_b as usize])) {
                    found.hits.push(Hit { a: *row_a, b: *row_b, common: common as u16 });
                }
            }
        }
        found.verified += rows_a.len() as u64 * rows_b.len() as u64;
    }

    /// A run that is a join of its own.
    fn large(&self, run: &Run, exec: Exec<'_>) -> Result<Found, JoinError> {
        let rows = self.rows(run);
        let tables = [0, 1].map(|side| gather(self.task.tables[side].table, rows[side]));
        let ones = [ones(&tables[0]), ones(&tables[1])];
        let parts = [0, 1].map(|side| Rows { table: &tables[side], ones: &ones[side] });
        // A view that meets itself drops pairs of one record below: cut to the best only after that.
        let top_k = self.task.options.top_k.filter(|_| self.slots.is_none());
        let options = JoinOptions { top_k, ..*self.task.options };
        let Task { threshold, kernel, control, kept, .. } = *self.task;
        let part =
            Task { tables: parts, shape: Shape::Whole, threshold, kernel, options: &options, control, kept };
        let mut found = match options.mode {
            JoinMode::Exact | JoinMode::Counted => part.run_planned(exec)?,
            JoinMode::Lsh { tables, bits } => lsh::run(&part, tables, bits, exec)?,
        };
        for hit in &mut found.hits {
            (hit.a, hit.b) = (rows[0][hit.a as usize], rows[1][hit.b as usize]);
        }
        found.hits.retain(|hit| self.wanted(hit.a, hit.b));
        Ok(found)
    }
}

/// Some rows of a table as a table of their own.
pub(super) fn gather(table: &FilterTable, rows: &[u32]) -> FilterTable {
    let mut words = Vec::with_capacity(rows.len() * table.words_per_row());
    rows.iter().for_each(|row| words.extend_from_slice(table.row(*row as usize)));
    FilterTable::new(words, table.words_per_row())
}

/// Row numbers in the order of their tags, rows ascending within one.
fn by_tag(tags: &[u32]) -> Vec<u32> {
    let mut keys: Vec<u64> =
        tags.iter().enumerate().map(|(row, tag)| u64::from(*tag) << 32 | row as u64).collect();
    keys.sort_unstable();
    keys.into_iter().map(|key| key as u32).collect()
}

fn tags(view: &ViewTable, side: Side) -> Result<Option<&[u32]>, JoinError> {
    let rows = view.filters.rows();
    match &view.tags {
        Some(tags) if tags.len() != rows => Err(JoinError::Tags { side, tags: tags.len(), rows }),
        tags => Ok(tags.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linkage::kernel::{self, KernelLevel};
    use crate::linkage::made_up::{Dice, noisy_copy, random};
    use crate::linkage::pairs::Pairs;

    /// Rows with tags of which the first is common, the others rare.
    fn view(dice: &mut Dice, filters: FilterTable, slots: usize, common: usize) -> ViewTable {
        let tags = (0..filters.rows()).map(|row| if row < common { 0 } else { dice.below(90) as u32 });
        ViewTable { tags: Some(tags.collect()), filters, slots }
    }

    fn scalar(a: &ViewTable, b: &ViewTable, t: Threshold, wanted: impl Fn(u32, u32) -> bool) -> Pairs {
        let (mut pairs, tag) =
            (Vec::new(), |view: &ViewTable, row: u32| view.tags.as_ref().unwrap()[row as usize]);
        kernel::scalar::join(&a.filters, &b.filters, t, |x, y, common| {
            if tag(a, x) == tag(b, y) && wanted(x, y) {
                pairs.push((x, y, common));
            }
        });
        pairs.into_iter().collect()
    }

    #[test]
    fn equals_the_filtered_full_join_with_small_and_large_runs() {
        let mut dice = Dice::new(11);
        let base = random(&mut dice, 1_600, 2, 2);
        let copy = noisy_copy(&mut dice, &base, 1_500, 30);
        let (a, b) = (view(&mut dice, base, 2, 1_200), view(&mut dice, copy, 3, 1_100));
        assert!(1_200 * 1_100 > RUN_PAIRS_MAX as usize, "one run goes through the sketch join");
        let t = "0.7".parse().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for level in KernelLevel::available() {
            let options = JoinOptions { level, ..JoinOptions::default() };
            let control = Control::new();
            let joined = tagged_join(&a, &b, t, &options, Exec::Serial, &control).unwrap();
            assert!(joined.pairs == scalar(&a, &b, t, |_, _| true) && !joined.pairs.is_empty(), "{level}");
            assert_eq!(control.pairs_done(), control.pairs_total());
            assert!(tagged_join(&a, &b, t, &options, Exec::Pool(&pool), &control).unwrap() == joined);
            let own = tagged_self_join(&a, t, &options, Exec::Serial, &control).unwrap();
            assert!(own.pairs == scalar(&a, &a, t, |x, y| x < y && x / 2 != y / 2), "{level}");
        }
    }

    #[test]
    fn without_tags_every_pair_is_compared_and_half_tagged_is_refused() {
        let mut dice = Dice::new(2);
        let plain = ViewTable { filters: random(&mut dice, 40, 2, 2), slots: 2, tags: None };
        let t = "0.5".parse().unwrap();
        let (options, control) = (JoinOptions::default(), Control::new());
        let all = tagged_join(&plain, &plain, t, &options, Exec::Serial, &control).unwrap();
        let full = join(&plain.filters, &plain.filters, t, &options, Exec::Serial, &control).unwrap();
        assert!(all.pairs == full.pairs && all.pairs.len() >= 40);
        let own = tagged_self_join(&plain, t, &options, Exec::Serial, &control).unwrap();
        assert!(own.pairs.iter().all(|(x, y, _)| x / 2 < y / 2));
        let short = ViewTable { tags: Some(vec![1]), ..plain.clone() };
        let full_tags = ViewTable { tags: Some(vec![1; 40]), ..plain.clone() };
        for (a, b) in [(&short, &plain), (&plain, &short), (&full_tags, &plain), (&plain, &full_tags)] {
            let refused = tagged_join(a, b, t, &options, Exec::Serial, &control);
            assert!(matches!(refused, Err(JoinError::Tags { .. })));
        }
    }

    #[test]
    fn lossy_by_choice_in_large_runs_only_and_announced() {
        let mut dice = Dice::new(21);
        let base = random(&mut dice, 3_000, 4, 2);
        let copy = noisy_copy(&mut dice, &base, 3_000, 60);
        let (a, b) = (view(&mut dice, base, 1, 2_000), view(&mut dice, copy, 1, 2_000));
        let t = "0.75".parse().unwrap();
        let usual = JoinOptions::default();
        let exact = tagged_join(&a, &b, t, &usual, Exec::Serial, &Control::new()).unwrap();
        let options = JoinOptions { mode: JoinMode::Lsh { tables: 6, bits: 12 }, ..usual };
        let control = Control::new();
        let lossy = tagged_join(&a, &b, t, &options, Exec::Serial, &control).unwrap();
        assert_eq!(control.pairs_done(), control.pairs_total());
        assert!((exact.stats.recall_expected - 1.0).abs() < f64::EPSILON);
        assert!(lossy.stats.recall_expected > 0.05 && lossy.stats.recall_expected < 0.99);
        let found: std::collections::BTreeSet<_> = lossy.pairs.iter().collect();
        assert!(found.len() == lossy.pairs.len() && found.len() < exact.pairs.len());
        let large = |pair: &(u32, u32, u16)| a.tags.as_ref().unwrap()[pair.0 as usize] == 0;
        assert!(exact.pairs.iter().filter(|pair| !large(pair)).all(|pair| found.contains(&pair)));
        let share = |pairs: &Pairs| pairs.iter().filter(large).count() as f64;
        assert!(share(&lossy.pairs) / share(&exact.pairs) >= lossy.stats.recall_expected);
        let bad = JoinOptions { mode: JoinMode::Lsh { tables: 0, bits: 12 }, ..usual };
        let refused = tagged_join(&a, &b, t, &bad, Exec::Serial, &control);
        assert!(matches!(refused, Err(JoinError::Option { name: "tables", .. })));
    }

    #[test]
    fn the_cap_holds_over_all_runs() {
        let filters = FilterTable::new(vec![7; 2_000], 1);
        let tags = Some((0..2_000).map(|row| row / 4).collect());
        let a = ViewTable { filters, slots: 1, tags };
        let t = "0.8".parse().unwrap();
        let options = JoinOptions { pairs_max: 7_999, ..JoinOptions::default() };
        let refused = tagged_join(&a, &a, t, &options, Exec::Serial, &Control::new());
        assert!(matches!(refused, Err(JoinError::TooManyPairs { .. })));
        let options = JoinOptions { pairs_max: 8_000, ..options };
        assert_eq!(
            tagged_join(&a, &a, t, &options, Exec::Serial, &Control::new()).unwrap().pairs.len(),
            8_000
        );
    }
}
