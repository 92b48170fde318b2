//! The exact pre-filter of the join: how many of a's bits does b miss at least?
//!
//! May see: filters. Must not see: refs, agencies, identifiers.
//!
//! # Why no qualifying pair is lost
//! Let c be the common bits of a and b. `M = |a| - c` bits of a are missing in b.
//! 1. `2c * den >= num * (|a|+|b|)` iff `c >= need`, `need = ceil(num * (|a|+|b|) / (2 den))`, iff
//!    `M <= |a| - need`: Dice is a bound on M, in integers. The bound falls as |b| grows.
//! 2. Put the bits into *groups* that share none. "b lacks one of the bits that a has in this group" is one plane of b
//!    for each pattern a may have there. It implies at least one missing bit, and groups share none: the number of
//!    groups of which it is true, counted over *any* choice of groups, is at most M.
//! 3. A pair is dropped only when that count exceeds `|a| - need(a, b')`, where b' is no fuller than b: then
//!    `M > |a| - need(a, b)`, and the pair does not qualify.
//!
//! Groups of one bit, all of them counted, give M itself. Whatever is left is verified on the full rows: the plan decides
//! the time and never the result.
//!
//! Only one side's missing bits count, against a bound half as large as for differing bits, and only bits that a has cost
//! anything. Larger groups tell more a plane (unrelated half-full filters: .5 for one bit, .75 for two, .875 for
//! three) but need more planes to choose from. Planes are numbered by what they tell, so that rows pick the first
//! ones they may and a block's planes in use stay in the nearest caches.

use super::arena::FilterTable;
use super::kernel::{self, Kernel, PICKS, PLANE_WORDS, Picks};
use super::plan::Depths;
use crate::wire::Threshold;

/// Records of a block: the bits of a plane.
pub(super) const BLOCK: usize = 64 * PLANE_WORDS;
/// Rows of one call of the kernel.
pub(super) const TILE: usize = 64;

/// Largest number of differing bits of a pair with `total` set bits that passes.
pub(super) fn bound(threshold: Threshold, total: u32) -> u32 {
    let (num, den) = (u64::from(threshold.num()), u64::from(threshold.den()));
    ((den - num) * u64::from(total) / den) as u32
}

/// Largest number of a's bits that b may miss when the pair passes; 0 also where it cannot pass.
pub(super) fn misses_max(threshold: Threshold, ones_a: u32, ones_b: u32) -> u32 {
    let need = u64::from(threshold.num()) * u64::from(ones_a + ones_b);
    ones_a.saturating_sub(need.div_ceil(2 * u64::from(threshold.den())) as u32)
}

/// The same for the emptiest b that can pass with a.
fn misses_limit(threshold: Threshold, ones_a: u32) -> u32 {
    let (num, den) = (u64::from(threshold.num()), u64::from(threshold.den()));
    (2 * (den - num) * u64::from(ones_a) / (2 * den - num)) as u32
}

/// One plane: the bits of a pattern, which stand in `members[start..end]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Number of the group.
    pub(super) group: u16,
    /// Which of the group's bits a has; never 0.
    pub(super) value: u8,
}

/// How filters become planes and picks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    words_per_row: usize,
    /// Bits of a group.
    group_bits: usize,
    /// Bits in the order of their groups.
    members: Vec<u16>,
    /// The pattern of plane i + 1, most telling first.
    patterns: Vec<Pattern>,
    /// How many planes to count.
    depths: Depths,
}

impl Plan {
    pub(super) fn new(
        words_per_row: usize,
        (group_bits, members): (usize, Vec<u16>),
        patterns: Vec<Pattern>,
        depths: Depths,
    ) -> Self {
        Self { words_per_row, group_bits, members, patterns, depths }
    }
    /// The same plan for blocks of its first `planes` planes.
    pub(super) fn cut(mut self, planes: usize, depths: Depths) -> Self {
        self.patterns.truncate(planes.max(2) - 1);
        self.depths = depths;
        self
    }
    /// Planes of a block, the empty one included.
    pub(super) fn planes(&self) -> usize {
        self.patterns.len() + 1
    }
    pub(super) fn block_words(&self) -> usize {
        self.planes() * PLANE_WORDS
    }
    /// Planes to count where `misses` bits may be missing: a multiple of [`PICKS`].
    pub(super) fn depth(&self, misses: u32) -> usize {
        self.depths.at(misses).min(self.depth_max())
    }
    fn depth_max(&self) -> usize {
        (self.members.len() / self.group_bits).next_multiple_of(PICKS)
    }
    pub(super) fn words_per_row(&self) -> usize {
        self.words_per_row
    }

    /// The bits of up to 64 rows as columns: bit r of word i is bit i of row r.
    pub(super) fn columns(table: &FilterTable, rows: &[u32], columns: &mut [u64]) {
        let mut square = [0u64; 64];
        for (word, to) in columns.chunks_exact_mut(64).enumerate() {
            square.fill(0);
            for (row, at) in rows.iter().zip(&mut square) {
                *at = table.row(*row as usize)[word];
            }
            transpose(&mut square);
            to.copy_from_slice(&square);
        }
    }

    /// The columns of a pattern's group.
    fn group<'c>(
        &self,
        pattern: Pattern,
        columns: &'c [u64],
    ) -> impl Iterator<Item = (bool, u64)> + use<'_, 'c> {
        let start = usize::from(pattern.group) * self.group_bits;
        let members = self.members[start..start + self.group_bits].iter().enumerate();
        members.map(move |(at, bit)| (pattern.value >> at & 1 == 1, columns[usize::from(*bit)]))
    }

    /// What each of `rows` picks in the blocks of [`Plan::block`]: the first `depth` planes of its own patterns.
    pub(super) fn picks(&self, table: &FilterTable, rows: &[u32], depth: usize) -> Picks {
        let mut picks = Picks::new(depth, self.planes());
        let mut columns = vec![0; 64 * self.words_per_row];
        let words = self.planes().div_ceil(64);
        let mut wanted = vec![0u64; 64 * words];
        for rows in rows.chunks(64) {
            Self::columns(table, rows, &mut columns);
            let has = |all: u64, (set, column): (bool, u64)| all & if set { column } else { !column };
            // Column p of a row's wishes is plane p; nobody wishes for plane 0.
            for (word, patterns) in self.patterns.chunks(64).enumerate() {
                let mut square = [0u64; 64];
                for (at, pattern) in square.iter_mut().zip(patterns) {
                    *at = self.group(*pattern, &columns).fold(u64::MAX, has);
                }
                transpose(&mut square);
                for (row, wishes) in square.iter().enumerate() {
                    wanted[row * words + word] = *wishes;
                }
            }
            for wishes in wanted.chunks_exact(words).take(rows.len()) {
                picks.push_row(wishes);
            }
        }
        picks
    }

    /// Lays out up to [`BLOCK`] rows as planes; `planes` has [`Plan::block_words`] words.
    pub(super) fn block(&self, table: &FilterTable, rows: &[u32], planes: &mut [u64]) {
        let mut columns = vec![0; 64 * self.words_per_row];
        for (lane, rows) in rows.chunks(64).enumerate() {
            Self::columns(table, rows, &mut columns);
            let (empty, rest) = planes.split_at_mut(PLANE_WORDS);
            empty[lane] = 0;
            for (pattern, plane) in self.patterns.iter().zip(rest.chunks_exact_mut(PLANE_WORDS)) {
                let lacks = |any: u64, (set, column): (bool, u64)| any | if set { !column } else { 0 };
                plane[lane] = self.group(*pattern, &columns).fold(0, lacks);
            }
        }
    }
}

/// Transposes a square of 64 x 64 bits (Hacker's Delight, 7-3, for words of 64 bits, lowest bit first).
fn transpose(square: &mut [u64; 64]) {
    let (mut width, mut mask) = (32, 0x0000_0000_ffff_ffff_u64);
    while width != 0 {
        let mut row = 0;
        while row < 64 {
            let swap = (square[row] >> width ^ square[row + width]) & mask;
            square[row] ^= swap << width;
            square[row + width] ^= swap;
            row = (row + width + 1) & !width;
        }
        width >>= 1;
        mask ^= mask << width;
    }
}

/// Rows by (set bits, row), those without a bit left out.
fn ascending(ones: &[u16]) -> Vec<u32> {
    let mut starts = vec![0usize; usize::from(u16::MAX) + 1];
    for count in ones.iter().filter(|count| **count > 0) {
        starts[usize::from(*count)] += 1;
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += std::mem::replace(start, sum);
    }
    let mut order = vec![0; sum];
    for (row, count) in ones.iter().enumerate().filter(|(_, count)| **count > 0) {
        order[starts[usize::from(*count)]] = row as u32;
        starts[usize::from(*count)] += 1;
    }
    order
}

/// One side of a join in ascending order of set bits.
#[derive(Clone)]
pub(super) struct Side<'t> {
    pub(super) table: &'t FilterTable,
    pub(super) ones: &'t [u16],
    /// Rows by (set bits, row), those without a bit left out: they match nothing.
    pub(super) order: Vec<u32>,
}

impl<'t> Side<'t> {
    pub(super) fn new(table: &'t FilterTable, ones: &'t [u16]) -> Self {
        Self { table, ones, order: ascending(ones) }
    }
    /// Place of the first row with at least `ones` set bits.
    pub(super) fn place_of(&self, ones: u32) -> usize {
        self.order.partition_point(|row| u32::from(self.ones[*row as usize]) < ones)
    }
    /// Set bits at sixteen evenly spread places.
    pub(super) fn spread(&self) -> [u32; 16] {
        std::array::from_fn(|i| self.ones_at(self.order.len() * (2 * i + 1) / 32))
    }
    pub(super) fn ones_at(&self, position: usize) -> u32 {
        u32::from(self.ones[self.order[position] as usize])
    }
}

/// A plan made ready to compare.
pub(super) struct Sieve<'p> {
    pub(super) kernel: Kernel,
    pub(super) threshold: Threshold,
    pub(super) plan: &'p Plan,
    counter_bits: u32,
}

impl<'p> Sieve<'p> {
    /// For rows of at most `ones_max` set bits.
    pub(super) fn new(kernel: Kernel, threshold: Threshold, plan: &'p Plan, ones_max: u32) -> Self {
        let counter_bits = kernel::counter_bits(misses_limit(threshold, ones_max) + 1);
        Self { kernel, threshold, plan, counter_bits }
    }

    /// The picks of `rows`, none of which has more than `ones` set bits or may miss more than `misses`.
    pub(super) fn picks(&self, table: &FilterTable, rows: &[u32], (ones, misses): (u32, u32)) -> Picks {
        let depth = self.plan.depth(misses).min((ones as usize).next_multiple_of(PICKS));
        self.plan.picks(table, rows, depth)
    }

    /// Bits that a row of `ones_a` may miss where no b it meets has fewer than `ones_b` set bits.
    pub(super) fn misses(&self, ones_a: u32, ones_b: u32) -> u32 {
        misses_max(self.threshold, ones_a, ones_b).min(misses_limit(self.threshold, ones_a))
    }

    /// Compares the rows `rows` of the picks with a block of planes. Row i of them has `ones[i].0` set bits and meets
    /// no lane of fewer than `ones[i].1`. A bit of `over` (eight words a row) is set where the pair cannot qualify. Returns the planes counted.
    pub(super) fn sift(
        &self,
        (picks, rows): (&Picks, std::ops::Range<usize>),
        ones: impl Iterator<Item = (u32, u32)>,
        planes: &[u64],
        depth: Option<usize>,
        over: &mut [u64],
    ) -> usize {
        let (mut start, mut most) = ([0u32; TILE], 0);
        // Neighbours have the same set bits: divide once for all of them.
        let (mut known, mut misses) = ((0, 0), 0);
        for (start, ones) in start.iter_mut().zip(ones) {
            if ones != known {
                (known, misses) = (ones, self.misses(ones.0, ones.1));
            }
            *start = (1 << self.counter_bits) - (misses + 1);
            most = most.max(misses);
        }
        let depth = depth.unwrap_or_else(|| self.plan.depth(most)).min(picks.stride());
        let start = &start[..rows.len()];
        self.kernel.sweep(self.counter_bits, planes, (picks, rows, depth), start, over);
        depth
    }
}

/// Words that begin on a cache line.
pub(super) struct Planes {
    words: Vec<u64>,
    skip: usize,
    len: usize,
}

impl Planes {
    pub(super) fn new(len: usize) -> Self {
        let words = vec![0u64; len + PLANE_WORDS];
        let skip = words.as_ptr().align_offset(64).min(PLANE_WORDS);
        Self { words, skip, len }
    }
    pub(super) fn words(&self) -> &[u64] {
        &self.words[self.skip..self.skip + self.len]
    }
    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words[self.skip..self.skip + self.len]
    }
}

/// The lanes of word `word` that carry one of `records` records.
pub(super) fn lane_mask(records: usize, word: usize) -> u64 {
    match records.saturating_sub(64 * word) {
        0 => 0,
        64.. => u64::MAX,
        some => u64::MAX >> (64 - some),
    }
}
