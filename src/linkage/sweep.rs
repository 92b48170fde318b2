//! The loop nest of a sweep: stripes of planes, chunks of rows, tiles, verification.
//!
//! May see: filters and row numbers. Must not see: refs, agencies, identifiers.
//!
//! One side gives *rows* (they bring picks), the other *lanes* (planes, built once a stripe). Both are in ascending
//! order of set bits, so that whole tiles fall to the popcount bound and a block's emptiest record is close to all of
//! its records.

use super::arena::FilterTable;
use super::blocks::gather;
use super::exec::Exec;
use super::join::JoinError;
use super::kernel::{PLANE_WORDS, Picks};
use super::pairs::Hit;
use super::sketch::{BLOCK, Planes, Side, Sieve, TILE, lane_mask};
use super::tiles::{Found, Shape, Task};
use std::ops::Range;

/// Words of the planes held at a time: 16 MB, which a last cache holds and which is laid out in a few ms.
const STRIPE_WORDS: usize = 2 << 20;
/// Rows and blocks of one task. Each block's planes are read from afar once a chunk, so that chunks are large; a
/// chunk and a block are what is done between two looks at the cancel flag.
const CHUNK: usize = 2048;
const SEGMENT_BLOCKS: usize = 256;

/// Which pairs a sweep owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All.
    All,
    /// Rows no fuller than their lane.
    NotFuller,
    /// Rows emptier than their lane.
    Emptier,
    /// Rows before their lane, in one order.
    Before,
}

/// What all tasks of a sweep share.
pub(super) struct Sweep<'t> {
    pub(super) rows: &'t Side<'t>,
    pub(super) lanes: &'t Side<'t>,
    pub(super) part: Part,
    /// The lanes come from the first table.
    pub(super) swapped: bool,
    pub(super) sieve: &'t Sieve<'t>,
}

/// A stripe of blocks: their planes, and their rows side by side so that what is left of a tile is verified
/// within a few pages.
struct Stripe<'t> {
    blocks: Range<usize>,
    planes: &'t [u64],
    lane_words: &'t [u64],
}

impl Task<'_> {
    /// Finds the pairs a sweep owns.
    pub(super) fn sweep(
        &self,
        sweep: &Sweep<'_>,
        exec: Exec<'_>,
        found: &mut Found,
    ) -> Result<(), JoinError> {
        let plan = &sweep.sieve.plan;
        let (block_words, rows_words) = (plan.block_words(), BLOCK * sweep.lanes.table.words_per_row());
        let blocks = sweep.lanes.order.len().div_ceil(BLOCK);
        let stripe = (STRIPE_WORDS / block_words).clamp(1, blocks.max(1));
        let mut planes = Planes::new(stripe * block_words);
        let mut lane_words = vec![0; stripe * rows_words];
        for start in (0..blocks).step_by(stripe) {
            let blocks = start..blocks.min(start + stripe);
            exec.fill(&mut planes.words_mut()[..blocks.len() * block_words], block_words, |block, planes| {
                plan.block(sweep.lanes.table, block_rows(sweep.lanes, start + block), planes);
            });
            exec.fill(&mut lane_words[..blocks.len() * rows_words], rows_words, |block, words| {
                let rows = block_rows(sweep.lanes, start + block);
                let width = sweep.lanes.table.words_per_row();
                for (row, words) in rows.iter().zip(words.chunks_exact_mut(width)) {
                    words.copy_from_slice(sweep.lanes.table.row(*row as usize));
                }
            });
            self.control.advance(0)?;
            let stripe = Stripe { blocks, planes: planes.words(), lane_words: &lane_words };
            found.absorb(self.stripe(sweep, &stripe, exec)?, self.control)?;
        }
        Ok(())
    }

    fn stripe(
        &self,
        sweep: &Sweep<'_>,
        stripe: &Stripe<'_>,
        exec: Exec<'_>,
    ) -> Result<Vec<Found>, JoinError> {
        let chunks = sweep.rows.order.len().div_ceil(CHUNK);
        // Picks are made once a task: tasks span the stripe unless there would be too few of them.
        let segment = if chunks >= 64 { stripe.blocks.len() } else { SEGMENT_BLOCKS };
        let segments = stripe.blocks.len().div_ceil(segment);
        exec.map(chunks * segments, |task| {
            let skip = task / chunks * segment;
            let blocks =
                stripe.blocks.start + skip..stripe.blocks.end.min(stripe.blocks.start + skip + segment);
            let planes = &stripe.planes[skip * sweep.sieve.plan.block_words()..];
            let lane_words = &stripe.lane_words[skip * BLOCK * sweep.lanes.table.words_per_row()..];
            self.chunk(sweep, task % chunks * CHUNK, &Stripe { blocks, planes, lane_words })
        })
    }

    /// A chunk of rows against a stripe of blocks.
    fn chunk(&self, sweep: &Sweep<'_>, first: usize, stripe: &Stripe<'_>) -> Result<Found, JoinError> {
        let order = &sweep.rows.order[first..sweep.rows.order.len().min(first + CHUNK)];
        let chunk = Chunk {
            first,
            order,
            ones: order.iter().map(|row| u32::from(sweep.rows.ones[*row as usize])).collect(),
            words: gather(sweep.rows.table, order),
        };
        let (mut found, mut left) = (Found::default(), Vec::new());
        let mut picks = None;
        let block_words = sweep.sieve.plan.block_words();
        let lane_blocks = stripe.lane_words.chunks(BLOCK * sweep.lanes.table.words_per_row());
        let blocks = stripe.blocks.clone().zip(stripe.planes.chunks_exact(block_words)).zip(lane_blocks);
        for ((block, planes), lane_words) in blocks {
            let lanes = Lanes::new(sweep.lanes, block);
            let owned = chunk.owned(sweep.part, &lanes);
            if owned > 0 {
                let picks = picks.get_or_insert_with(|| chunk.picks(sweep));
                self.tiles(sweep, &chunk, picks, (&lanes, planes), &mut left, &mut found);
                self.verify(sweep, &chunk, (&lanes, lane_words), &left, &mut found);
                left.clear();
                self.bounded(&mut found, false)?;
            }
            self.control.advance(owned)?;
        }
        self.bounded(&mut found, true)?;
        Ok(found)
    }

    /// Collects (row of the chunk, lane of the block) of what the planes leave.
    fn tiles(
        &self,
        sweep: &Sweep<'_>,
        chunk: &Chunk<'_>,
        picks: &Picks,
        (lanes, planes): (&Lanes<'_>, &[u64]),
        left: &mut Vec<(u32, u32)>,
        found: &mut Found,
    ) {
        let mut over = [0; TILE * PLANE_WORDS];
        for (tile, ones) in chunk.ones.chunks(TILE).enumerate() {
            let at = tile * TILE;
            let (row_min, row_max) = (ones[0], ones[ones.len() - 1]);
            if !chunk.meets(sweep.part, at, row_min, lanes) || !self.possible((row_min, row_max), lanes) {
                continue;
            }
            let over = &mut over[..ones.len() * PLANE_WORDS];
            // Lanes emptier than the row belong to the other sweep.
            let emptiest = |ones: u32| if sweep.part == Part::All { lanes.min } else { lanes.min.max(ones) };
            let counts = ones.iter().map(|ones| (*ones, emptiest(*ones)));
            let depth = sweep.sieve.sift((picks, at..at + ones.len()), counts, planes, None, over);
            found.planes = found.planes.max(depth as u32);
            for (row, over) in over.chunks_exact(PLANE_WORDS).enumerate() {
                if over.iter().fold(u64::MAX, |all, over| all & over) == u64::MAX {
                    continue;
                }
                for (word, over) in over.iter().enumerate() {
                    let mut bits = !over & lane_mask(lanes.order.len(), word);
                    while bits != 0 {
                        let lane = 64 * word + bits.trailing_zeros() as usize;
                        bits &= bits - 1;
                        left.push(((at + row) as u32, lane as u32));
                    }
                }
            }
        }
    }

    /// Whether set bits alone leave a pair possible: Dice is at most `2 min(|a|,|b|) / (|a|+|b|)`.
    fn possible(&self, (row_min, row_max): (u32, u32), lanes: &Lanes<'_>) -> bool {
        let (small, large) = if row_max < lanes.min { (row_max, lanes.min) } else { (lanes.max, row_min) };
        small >= large || self.threshold.passes(small, small + large)
    }

    /// Reads the full rows of what is left.
    fn verify(
        &self,
        sweep: &Sweep<'_>,
        chunk: &Chunk<'_>,
        (lanes, lane_words): (&Lanes<'_>, &[u64]),
        left: &[(u32, u32)],
        found: &mut Found,
    ) {
        let width = lanes.side.table.words_per_row();
        for (row_at, lane_at) in left {
            let (row_at, lane_at) = (*row_at as usize, *lane_at as usize);
            let (row, lane) = (chunk.order[row_at], lanes.order[lane_at]);
            let (ones, lane_ones) = (chunk.ones[row_at], u32::from(lanes.side.ones[lane as usize]));
            let owned = match sweep.part {
                Part::All => true,
                Part::NotFuller => ones <= lane_ones,
                Part::Emptier => ones < lane_ones,
                Part::Before => chunk.first + row_at < lanes.first + lane_at,
            };
            if !owned {
                continue;
            }
            found.verified += 1;
            let y = &lane_words[lane_at * width..(lane_at + 1) * width];
            let common = self.kernel.common(chunk.words.row(row_at), y);
            if !self.threshold.passes(common, ones + lane_ones) {
                continue;
            }
            let hit = Hit { a: row, b: lane, common: common as u16 };
            match self.shape {
                Shape::Whole => found.hits.push(if sweep.swapped { hit.swapped() } else { hit }),
                Shape::Triangle => found.hits.push(if row > lane { hit.swapped() } else { hit }),
                Shape::Mirror => found.hits.extend([hit, hit.swapped()]),
            }
        }
    }
}

fn block_rows<'s>(side: &'s Side<'_>, block: usize) -> &'s [u32] {
    &side.order[block * BLOCK..side.order.len().min((block + 1) * BLOCK)]
}

/// Rows of one task, in ascending order of set bits.
struct Chunk<'t> {
    /// Place of the first one in the order.
    first: usize,
    order: &'t [u32],
    ones: Vec<u32>,
    words: FilterTable,
}

impl Chunk<'_> {
    fn picks(&self, sweep: &Sweep<'_>) -> Picks {
        let fullest = self.ones.last().copied().unwrap_or(0);
        let emptiest = if sweep.part == Part::All { 0 } else { fullest };
        sweep.sieve.picks(sweep.rows.table, self.order, (fullest, sweep.sieve.misses(fullest, emptiest)))
    }

    /// Whether the tile that begins at `at` with a row of `ones` set bits owns a pair in the block.
    fn meets(&self, part: Part, at: usize, ones: u32, lanes: &Lanes<'_>) -> bool {
        match part {
            Part::All => true,
            Part::NotFuller => ones <= lanes.max,
            Part::Emptier => ones < lanes.max,
            Part::Before => self.first + at < lanes.first + lanes.order.len() - 1,
        }
    }

    /// Pairs of the chunk and the block that the sweep decides; the two halves of a table with itself count as one.
    fn owned(&self, part: Part, lanes: &Lanes<'_>) -> u64 {
        let all = (self.order.len() * lanes.order.len()) as u64;
        let least = match part {
            Part::All | Part::Before => return all,
            Part::NotFuller => 0,
            Part::Emptier => 1,
        };
        let (row_min, row_max) = (self.ones[0], self.ones[self.ones.len() - 1]);
        if row_max + least <= lanes.min {
            return all;
        }
        if row_min + least > lanes.max {
            return 0;
        }
        let fuller = |ones: &u32| lanes.order.len() - lanes.place_of(*ones + least);
        self.ones.iter().map(|ones| fuller(ones) as u64).sum()
    }
}

/// The records of a block.
struct Lanes<'t> {
    side: &'t Side<'t>,
    first: usize,
    order: &'t [u32],
    /// Set bits of the emptiest and the fullest.
    min: u32,
    max: u32,
}

impl<'t> Lanes<'t> {
    fn new(side: &'t Side<'t>, block: usize) -> Self {
        let order = block_rows(side, block);
        let first = block * BLOCK;
        let (min, max) = (side.ones_at(first), side.ones_at(first + order.len() - 1));
        Self { side, first, order, min, max }
    }
    fn place_of(&self, ones: u32) -> usize {
        self.order.partition_point(|row| u32::from(self.side.ones[*row as usize]) < ones)
    }
}
