//! One join from end to end: which sweeps it takes, what they keep, what leaves.
//!
//! May see: filters and row numbers. Must not see: refs, agencies, identifiers.
//!
//! What a fuller filter may lack of an emptier one is less than the other way round, so two tables meet in two
//! *sweeps*, in each of which the rows are the emptier ones; a small or evenly filled join sweeps once. Results do not
//! depend on the number of threads.

use super::arena::FilterTable;
use super::exec::{Control, Exec};
use super::join::{JoinError, JoinMode, JoinOptions, JoinStats, Joined};
use super::kernel::{self, Kernel, KernelLevel};
use super::lsh;
use super::pairs::{Hit, Pairs, keep_best};
use super::plan::{both_ways, choose, count_all};
use super::sketch::{Side, Sieve};
use super::sweep::{Part, Sweep};
use crate::wire::Threshold;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows up to which planes do not pay: they are compared in full.
const FEW_ROWS: usize = 16;
/// Lanes of a task that compares a few rows in full.
const FEW_LANES: usize = 1 << 14;

/// A table and the set bits of its rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<'t> {
    pub(super) table: &'t FilterTable,
    pub(super) ones: &'t [u16],
}

/// Which pairs are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Every row of the first table with every row of the second.
    Whole,
    /// One table with itself, each pair once.
    Triangle,
    /// One table with itself, each pair in both directions.
    Mirror,
}

/// One join.
pub(super) struct Task<'t> {
    pub(super) tables: [Rows<'t>; 2],
    pub(super) shape: Shape,
    pub(super) threshold: Threshold,
    pub(super) kernel: Kernel,
    pub(super) options: &'t JoinOptions,
    pub(super) control: &'t Control,
    /// Pairs kept so far by all parts of the join, against `options.pairs_max`.
    pub(super) kept: &'t AtomicU64,
}

/// What a join, or a part of it, found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) hits: Vec<Hit>,
    pub(super) dropped: u64,
    /// Hits already counted by [`Task::keep`].
    pub(super) counted: usize,
    /// Hits at which to cut to the best again.
    pub(super) cut_at: usize,
    pub(super) verified: u64,
    /// Share of the pairs at the threshold that a lossy mode is expected to miss.
    pub(super) missed_expected: f64,
    pub(super) planes: u32,
}

impl Found {
    /// Adds what parts found; tens of millions of hits take a while, so it asks between parts whether to go on.
    pub(super) fn absorb(&mut self, parts: Vec<Self>, control: &Control) -> Result<(), JoinError> {
        self.hits.reserve(parts.iter().map(|part| part.hits.len()).sum());
        for part in parts {
            control.advance(0)?;
            self.hits.extend_from_slice(&part.hits);
            self.dropped += part.dropped;
            self.verified += part.verified;
            self.planes = self.planes.max(part.planes);
            self.missed_expected = self.missed_expected.max(part.missed_expected);
        }
        Ok(())
    }
}

impl Task<'_> {
    /// Finds the pairs, in no particular order.
    pub(super) fn run(&self, exec: Exec<'_>) -> Result<Found, JoinError> {
        let [first, second] = self.tables;
        self.control.plan(first.ones.len() as u64 * second.ones.len() as u64);
        match self.options.mode {
            JoinMode::Exact | JoinMode::Counted => self.run_planned(exec),
            JoinMode::Lsh { tables, bits } => lsh::run(self, tables, bits, exec),
        }
    }

    /// The exact join, its pairs already part of the plan.
    pub(super) fn run_planned(&self, exec: Exec<'_>) -> Result<Found, JoinError> {
        let [first, second] = self.tables;
        if self.options.level == KernelLevel::Scalar {
            return self.reference(first, second);
        }
        let (a, b) = (Side::new(first.table, first.ones), Side::new(second.table, second.ones));
        self.control
            .advance((first.ones.len() * second.ones.len() - a.order.len() * b.order.len()) as u64)?;
        if a.order.is_empty() || b.order.is_empty() {
            return Ok(Found::default());
        }
        let swapped = a.order.len() > b.order.len();
        if self.shape == Shape::Whole
            && a.order.len().min(b.order.len()) <= FEW_ROWS
            && self.options.mode == JoinMode::Exact
        {
            return self.few(if swapped { [&b, &a] } else { [&a, &b] }, swapped, exec);
        }
        let parts = match self.shape {
            Shape::Triangle | Shape::Mirror => vec![(Part::Before, false)],
            Shape::Whole if both_ways(&a, &b, self.threshold) => {
                vec![(Part::NotFuller, false), (Part::Emptier, true)]
            }
            Shape::Whole => vec![(Part::All, swapped)],
        };
        let (rows, lanes) = if parts[0].1 { (&b, &a) } else { (&a, &b) };
        let plan = if self.options.mode == JoinMode::Counted {
            count_all(a.table)
        } else {
            choose(self.kernel, rows, lanes, (self.threshold, parts[0].0 != Part::All))
        };
        let ones_max = a.ones_at(a.order.len() - 1).max(b.ones_at(b.order.len() - 1));
        let sieve = Sieve::new(self.kernel, self.threshold, &plan, ones_max);
        let mut found = Found::default();
        for (part, swapped) in parts {
            let (rows, lanes) = if swapped { (&b, &a) } else { (&a, &b) };
            self.sweep(&Sweep { rows, lanes, part, swapped, sieve: &sieve }, exec, &mut found)?;
        }
        Ok(found)
    }

    /// A few rows against many lanes, row by row.
    fn few(&self, [rows, lanes]: [&Side<'_>; 2], swapped: bool, exec: Exec<'_>) -> Result<Found, JoinError> {
        let tasks = lanes.order.len().div_ceil(FEW_LANES);
        let parts = exec.map(tasks, |task| {
            let mut found = Found::default();
            let to = lanes.order.len().min((task + 1) * FEW_LANES);
            for lane in &lanes.order[task * FEW_LANES..to] {
                let (y, ones) = (lanes.table.row(*lane as usize), u32::from(lanes.ones[*lane as usize]));
                for row in &rows.order {
                    let common = self.kernel.common(rows.table.row(*row as usize), y);
                    if self.threshold.passes(common, ones + u32::from(rows.ones[*row as usize])) {
                        let hit = Hit { a: *row, b: *lane, common: common as u16 };
                        found.hits.push(if swapped { hit.swapped() } else { hit });
                    }
                }
            }
            found.verified = (rows.order.len() * (to - task * FEW_LANES)) as u64;
            self.bounded(&mut found, true)?;
            self.control.advance(found.verified)?;
            Ok(found)
        })?;
        let mut found = Found::default();
        found.absorb(parts, self.control)?;
        Ok(found)
    }

    /// Every pair, word by word.
    fn reference(&self, rows: Rows<'_>, lanes: Rows<'_>) -> Result<Found, JoinError> {
        let mut found = Found::default();
        kernel::scalar::join(rows.table, lanes.table, self.threshold, |a, b, common| {
            if self.wanted(a, b) {
                found.hits.push(Hit { a, b, common });
            }
        });
        found.verified = rows.ones.len() as u64 * lanes.ones.len() as u64;
        self.control.advance(found.verified)?;
        if self.options.top_k.is_none() {
            self.keep(&mut found)?;
        }
        Ok(found)
    }

    pub(super) fn wanted(&self, row: u32, lane: u32) -> bool {
        match self.shape {
            Shape::Whole => true,
            Shape::Triangle => row < lane,
            Shape::Mirror => row != lane,
        }
    }

    /// Keeps memory bounded: cuts to the best k now and then, and stops at the cap.
    pub(super) fn bounded(&self, found: &mut Found, last: bool) -> Result<(), JoinError> {
        let [a, b] = self.tables;
        if let Some(k) = self.options.top_k
            && (last || found.hits.len() > found.cut_at.max(64 << 10))
        {
            found.dropped += keep_best(&mut found.hits, k, [a.ones, b.ones], || self.control.advance(0))?;
            found.cut_at = 2 * found.hits.len();
        }
        if last || self.options.top_k.is_none() { self.keep(found) } else { Ok(()) }
    }

    /// Counts what a part found since it last asked: the cap holds over all parts at once, while they run.
    ///
    /// # Errors
    /// [`JoinError::TooManyPairs`] when all parts together keep more than may be kept.
    pub(super) fn keep(&self, found: &mut Found) -> Result<(), JoinError> {
        let fresh = (found.hits.len() - found.counted) as u64;
        found.counted = found.hits.len();
        let kept = self.kept.fetch_add(fresh, Ordering::Relaxed) + fresh;
        if kept > self.options.pairs_max { Err(self.too_many()) } else { Ok(()) }
    }

    /// Cuts to the best k of each first row and, of those, of each second row.
    pub(super) fn cut_both(&self, mut found: Found) -> Result<Found, JoinError> {
        let [a, b] = self.tables;
        if let Some(k) = self.options.top_k {
            for ones in [[a.ones, b.ones], [b.ones, a.ones]] {
                found.dropped += keep_best(&mut found.hits, k, ones, || self.control.advance(0))?;
                found.hits.iter_mut().for_each(|hit| *hit = hit.swapped());
            }
        }
        Ok(found)
    }

    fn too_many(&self) -> JoinError {
        JoinError::TooManyPairs { pairs_max: self.options.pairs_max, threshold: self.threshold }
    }

    /// Sorted pairs and figures.
    pub(super) fn finish(&self, found: Found) -> Result<Joined, JoinError> {
        if found.hits.len() as u64 > self.options.pairs_max {
            return Err(self.too_many());
        }
        let stats = JoinStats {
            level: self.options.level,
            pairs_compared: self.tables[0].ones.len() as u64 * self.tables[1].ones.len() as u64,
            pairs_verified: found.verified,
            planes: found.planes,
            recall_expected: 1.0 - found.missed_expected,
        };
        let pairs = Pairs::from_hits(vec![found.hits], || self.control.advance(0))?;
        Ok(Joined { pairs, pairs_dropped: found.dropped, stats })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linkage::join::{join, self_join};
    use crate::linkage::made_up::{Dice, noisy_copy, random, stacked};

    /// Unevenly filled tables are swept both ways round; each pair is found once, best k included.
    #[test]
    fn both_ways_round_find_every_pair_once() {
        let mut dice = Dice::new(31);
        let (half, full) = (random(&mut dice, 1_200, 16, 2), random(&mut dice, 1_200, 16, 3));
        let a = stacked(&[&half, &full, &FilterTable::new(vec![0; 16], 16)]);
        let b = stacked(&[&noisy_copy(&mut dice, &a, 2_300, 500), &half]);
        let t = "0.7".parse().unwrap();
        let (ones_a, ones_b) = (super::super::join::ones(&a), super::super::join::ones(&b));
        assert!(both_ways(&Side::new(&a, &ones_a), &Side::new(&b, &ones_b), t));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for top_k in [None, Some(2)] {
            let control = Control::new();
            let scalar = JoinOptions { level: KernelLevel::Scalar, top_k, ..JoinOptions::default() };
            let truth = join(&a, &b, t, &scalar, Exec::Serial, &control).unwrap();
            let usual = JoinOptions { top_k, ..JoinOptions::default() };
            let control = Control::new();
            let found = join(&a, &b, t, &usual, Exec::Serial, &control).unwrap();
            assert!(found.pairs == truth.pairs && found.pairs_dropped == truth.pairs_dropped, "{top_k:?}");
            assert_eq!(control.pairs_done(), control.pairs_total());
            assert!(join(&a, &b, t, &usual, Exec::Pool(&pool), &control).unwrap() == found);
            let own = self_join(&a, t, &usual, Exec::Serial, &control).unwrap();
            assert!(own.pairs == self_join(&a, t, &scalar, Exec::Serial, &control).unwrap().pairs);
        }
    }
}
