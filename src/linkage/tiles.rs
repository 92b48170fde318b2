//! The loop nest of the join: stripes of planes, chunks of rows, tiles, verification.
//!
//! May see: filters and row numbers. Must not see: refs, agencies, identifiers.
//!
//! One side gives *rows* (what they pick stays in the second cache), the other *lanes* (planes, built once a
//! stripe). Both are in ascending order of set bits, so that whole tiles fall to the popcount bound and a block's
//! fullest record is close to all of its records. Results do not depend on the number of threads.

use super::arena::FilterTable;
use super::blocks::gather;
use super::exec::{Control, Exec};
use super::join::{JoinError, JoinMode, JoinOptions, JoinStats, Joined};
use super::kernel::{self, Kernel, KernelLevel, PLANE_WORDS};
use super::lsh;
use super::pairs::{Hit, Pairs, keep_best};
use super::sketch::{BLOCK, Planes, Side, Sieve, TILE, choose, lane_mask};
use crate::wire::Threshold;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of the planes held at a time: 64 MB.
const STRIPE_WORDS: usize = 8 << 20;
/// Rows and blocks of one task: small enough for even threads and quick cancellation.
const CHUNK: usize = 1024;
const SEGMENT_BLOCKS: usize = 256;

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
    /// The same, with the tables' parts changed over: the smaller one as planes.
    Swapped,
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
    pub(super) verified: u64,
    /// Share of the pairs at the threshold that a lossy mode is expected to miss.
    pub(super) missed_expected: f64,
    pub(super) planes: u32,
}

impl Found {
    pub(super) fn absorb(&mut self, part: Self) {
        self.hits.extend_from_slice(&part.hits);
        self.dropped += part.dropped;
        self.verified += part.verified;
    }
}

/// What all parts of a join share.
struct Shared<'t> {
    rows: Side<'t>,
    lanes: Side<'t>,
    sieve: Sieve,
}

impl Task<'_> {
    /// Finds the pairs, in no particular order.
    pub(super) fn run(&self, exec: Exec<'_>) -> Result<Found, JoinError> {
        let [first, second] = self.tables;
        self.control.plan(first.ones.len() as u64 * second.ones.len() as u64);
        match self.options.mode {
            JoinMode::Exact => self.run_planned(exec),
            JoinMode::Lsh { tables, bits } => lsh::run(self, tables, bits, exec),
        }
    }

    /// The exact join, its pairs already part of the plan.
    pub(super) fn run_planned(&self, exec: Exec<'_>) -> Result<Found, JoinError> {
        let [first, second] = self.tables;
        let (rows, lanes) = if self.shape == Shape::Swapped { (second, first) } else { (first, second) };
        if self.options.level == KernelLevel::Scalar {
            return self.reference(rows, lanes);
        }
        let (rows, lanes) = (Side::new(rows.table, rows.ones), Side::new(lanes.table, lanes.ones));
        let empty = rows.ones.len() * lanes.ones.len() - rows.order.len() * lanes.order.len();
        self.control.advance(empty as u64)?;
        if rows.order.is_empty() || lanes.order.is_empty() {
            return Ok(Found::default());
        }
        let plan = choose(self.kernel, &rows, &lanes, self.threshold);
        let sieve = Sieve::new(self.kernel, self.threshold, plan);
        let shared = Shared { rows, lanes, sieve };
        let mut found = Found { planes: shared.sieve.plan.planes(), ..Found::default() };
        let block_words = shared.sieve.plan.block_words();
        let blocks = shared.lanes.order.len().div_ceil(BLOCK);
        let stripe = (STRIPE_WORDS / block_words).clamp(1, blocks.max(1));
        let mut planes = Planes::new(stripe * block_words);
        let mut lane_words = Vec::new();
        for start in (0..blocks).step_by(stripe) {
            let stripe = start..blocks.min(start + stripe);
            let words = &mut planes.words_mut()[..stripe.len() * block_words];
            exec.fill(words, block_words, |block, words| {
                shared.sieve.plan.block(
                    shared.lanes.table,
                    block_rows(&shared.lanes, stripe.start + block),
                    words,
                );
            });
            // Copies in block order: what is left of a tile is verified within a few pages.
            let end = shared.lanes.order.len().min(stripe.end * BLOCK);
            lane_words.clear();
            for row in &shared.lanes.order[stripe.start * BLOCK..end] {
                lane_words.extend_from_slice(shared.lanes.table.row(*row as usize));
            }
            for part in self.stripe(&shared, (planes.words(), &lane_words), stripe, exec)? {
                found.absorb(part);
            }
        }
        if self.shape == Shape::Swapped {
            found.hits.iter_mut().for_each(|hit| *hit = hit.swapped());
        }
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
        if self.shape == Shape::Swapped {
            found.hits.iter_mut().for_each(|hit| *hit = hit.swapped());
        }
        Ok(found)
    }

    pub(super) fn wanted(&self, row: u32, lane: u32) -> bool {
        match self.shape {
            Shape::Whole | Shape::Swapped => true,
            Shape::Triangle => row < lane,
            Shape::Mirror => row != lane,
        }
    }

    fn stripe(
        &self,
        shared: &Shared<'_>,
        (planes, lane_words): (&[u64], &[u64]),
        stripe: std::ops::Range<usize>,
        exec: Exec<'_>,
    ) -> Result<Vec<Found>, JoinError> {
        let chunks = shared.rows.order.len().div_ceil(CHUNK);
        let segments = stripe.len().div_ceil(SEGMENT_BLOCKS);
        exec.map(chunks * segments, |task| {
            let start = stripe.start + task / chunks * SEGMENT_BLOCKS;
            let segment = start..stripe.end.min(start + SEGMENT_BLOCKS);
            let block_words = shared.sieve.plan.block_words();
            let planes = &planes[(start - stripe.start) * block_words..];
            let row_words = shared.lanes.table.words_per_row();
            let lane_words = &lane_words[(start - stripe.start) * BLOCK * row_words..];
            self.chunk(shared, task % chunks * CHUNK, (planes, lane_words), segment)
        })
    }

    /// A chunk of rows against a segment of blocks.
    fn chunk(
        &self,
        shared: &Shared<'_>,
        first: usize,
        (planes, lane_words): (&[u64], &[u64]),
        segment: std::ops::Range<usize>,
    ) -> Result<Found, JoinError> {
        let order = &shared.rows.order[first..shared.rows.order.len().min(first + CHUNK)];
        let selectors = shared.sieve.plan.selectors(shared.rows.table, order);
        let row_words = gather(shared.rows.table, order);
        let (mut found, mut left) = (Found::default(), Vec::new());
        let mut over = [0; TILE * PLANE_WORDS];
        let block_words = shared.sieve.plan.block_words();
        let lane_blocks = lane_words.chunks(BLOCK * shared.lanes.table.words_per_row());
        for ((block, planes), lane_words) in segment.zip(planes.chunks_exact(block_words)).zip(lane_blocks) {
            let lanes = block_rows(&shared.lanes, block);
            let done = order.len() as u64 * lanes.len() as u64;
            if self.shape == Shape::Triangle && block * BLOCK + lanes.len() <= first {
                self.control.advance(done)?; // the mirrored part
                continue;
            }
            let ones_max = shared.lanes.ones_at(block * BLOCK + lanes.len() - 1);
            for (tile, rows) in order.chunks(TILE).enumerate() {
                let at = tile * TILE;
                if !self.possible(shared, (first + at, rows.len()), (block * BLOCK, lanes.len())) {
                    continue;
                }
                let over = &mut over[..rows.len() * PLANE_WORDS];
                let ones = rows.iter().map(|row| u32::from(shared.rows.ones[*row as usize]));
                shared.sieve.sift((&selectors, at..at + rows.len()), ones, (planes, ones_max), over);
                self.left_of((first + at, at), (block * BLOCK, lanes.len()), over, &mut left);
            }
            self.verify(shared, (order, row_words.words()), (lanes, lane_words), &left, &mut found);
            left.clear();
            self.bounded(shared, &mut found, false)?;
            self.control.advance(done)?;
        }
        self.bounded(shared, &mut found, true)?;
        Ok(found)
    }

    /// Whether set bits alone leave a pair possible: Dice is at most `2 min(|a|,|b|) / (|a|+|b|)`.
    fn possible(&self, shared: &Shared<'_>, rows: (usize, usize), lanes: (usize, usize)) -> bool {
        let range =
            |side: &Side<'_>, (at, len): (usize, usize)| (side.ones_at(at), side.ones_at(at + len - 1));
        let (row_min, row_max) = range(&shared.rows, rows);
        let (lane_min, lane_max) = range(&shared.lanes, lanes);
        let (small, large) = if row_max < lane_min { (row_max, lane_min) } else { (lane_max, row_min) };
        small >= large || self.threshold.passes(small, small + large)
    }

    /// Collects (row of the chunk, lane of the block) of what is left of a tile.
    fn left_of(
        &self,
        (row_first, at): (usize, usize),
        (lane_first, lanes): (usize, usize),
        over: &[u64],
        left: &mut Vec<(u32, u32)>,
    ) {
        for (row, over) in over.chunks_exact(PLANE_WORDS).enumerate() {
            for (word, over) in over.iter().enumerate() {
                let mut bits = !over & lane_mask(lanes, word);
                while bits != 0 {
                    let lane = 64 * word + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    if self.shape != Shape::Triangle || lane_first + lane > row_first + row {
                        left.push(((at + row) as u32, lane as u32));
                    }
                }
            }
        }
    }

    /// Reads the full rows of what is left.
    fn verify(
        &self,
        shared: &Shared<'_>,
        (rows, row_words): (&[u32], &[u64]),
        (lanes, lane_words): (&[u32], &[u64]),
        left: &[(u32, u32)],
        found: &mut Found,
    ) {
        let width = shared.rows.table.words_per_row();
        let words = |at: u32| at as usize * width..(at as usize + 1) * width;
        found.verified += left.len() as u64;
        for (row_at, lane_at) in left {
            let x = &row_words[words(*row_at)];
            let y = &lane_words[words(*lane_at)];
            let common = self.kernel.common(x, y);
            let (row, lane) = (rows[*row_at as usize], lanes[*lane_at as usize]);
            let total =
                u32::from(shared.rows.ones[row as usize]) + u32::from(shared.lanes.ones[lane as usize]);
            if !self.threshold.passes(common, total) {
                continue;
            }
            let hit = Hit { a: row, b: lane, common: common as u16 };
            match self.shape {
                Shape::Triangle if row > lane => found.hits.push(hit.swapped()),
                Shape::Mirror if row == lane => {}
                _ => found.hits.push(hit),
            }
        }
    }

    /// Keeps memory bounded: cuts to the best k now and then, and stops at the cap.
    fn bounded(&self, shared: &Shared<'_>, found: &mut Found, last: bool) -> Result<(), JoinError> {
        if let Some(k) = self.options.top_k {
            let room = 2 * CHUNK * k as usize + (64 << 10);
            if last || found.hits.len() > room {
                found.dropped += keep_best(&mut found.hits, k, shared.rows.ones, shared.lanes.ones);
            }
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
    pub(super) fn cut_both(&self, mut found: Found) -> Found {
        let [a, b] = self.tables;
        if let Some(k) = self.options.top_k {
            found.dropped += keep_best(&mut found.hits, k, a.ones, b.ones);
            found.hits.iter_mut().for_each(|hit| *hit = hit.swapped());
            found.dropped += keep_best(&mut found.hits, k, b.ones, a.ones);
            found.hits.iter_mut().for_each(|hit| *hit = hit.swapped());
        }
        found
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
        Ok(Joined { pairs: Pairs::from_hits(vec![found.hits]), pairs_dropped: found.dropped, stats })
    }
}

fn block_rows<'s>(side: &'s Side<'_>, block: usize) -> &'s [u32] {
    &side.order[block * BLOCK..side.order.len().min((block + 1) * BLOCK)]
}
