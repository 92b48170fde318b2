//! The exact pre-filter of the join: XOR-fold sketches, compared two bits at a time.
//!
//! May see: filters. Must not see: refs, agencies, identifiers.
//!
//! # Why no qualifying pair is lost
//! Let H(a,b) be the number of bits in which a and b differ, c their common bits.
//! 1. `2c = |a| + |b| - H`, so `2c * den >= num * (|a|+|b|)` iff `H * den <= (den-num) * (|a|+|b|)` iff
//!    `H <= B(a,b) = floor((den-num) * (|a|+|b|) / den)`: Dice is a bound on H, in integers.
//! 2. Put every bit into exactly one sketch bit; the sketch bit is the XOR of its members. Where the sketch bits of a
//!    and b differ, an odd number of members differ: at least one.
//! 3. Take the sketch bits in disjoint pairs (a *group*). "One of the two differs" (OR) implies at least one differing
//!    member in the group. Groups share no member, so the number of differing groups is at most H.
//! 4. A pair is dropped only when the number of differing groups exceeds `B(a, b')`, where b' is the fullest
//!    filter of b's block: `B(a,b') >= B(a,b)`, hence H > B(a,b), and the pair does not qualify.
//!
//! Where every sketch bit has one member, "both differ" (AND) may be added to "one differs": a group then counts at most
//! the members that differ, and in the [full plan](Plan::full), which adds it everywhere, the sum is
//! H itself. Whatever is left is verified on the full rows: the plan decides the time and never the result.
//!
//! Two bits at once count .75 of a group of unrelated filters where one folded bit counts .5: more pruning a plane.

use super::arena::FilterTable;
use super::kernel::{self, Kernel, KernelLevel, PLANE_WORDS, Selectors, UNIT_GROUPS, UNIT_WORDS};
use crate::wire::Threshold;

/// Records of a block: the bits of a plane.
pub(super) const BLOCK: usize = 64 * PLANE_WORDS;

/// Largest number of differing bits of a pair with `total` set bits that passes.
pub(super) fn bound(threshold: Threshold, total: u32) -> u32 {
    let (num, den) = (u64::from(threshold.num()), u64::from(threshold.den()));
    ((den - num) * u64::from(total) / den) as u32
}

/// What a unit asks of each of its 32 groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// Does one of the two sketch bits differ?
    One,
    /// Do both differ?
    Both,
}

/// How filters become sketches and sketches become planes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    words_per_row: usize,
    /// Members of sketch bit s: `members[ends[s - 1]..ends[s]]`.
    members: Vec<u16>,
    ends: Vec<u32>,
    /// (sketch word, question), 32 groups each: group g pairs the word's bits g and 32 + g.
    units: Vec<(usize, Ask)>,
}

impl Plan {
    /// `words` sketch words of 32 groups, 1 to `words_per_row`; the most telling bits (`order` first) are dealt
    /// out snake-wise so that all sketch bits tell about the same. The first `both` words are asked both questions.
    pub(super) fn folded(words_per_row: usize, (words, both): (usize, usize), order: &[u16]) -> Self {
        let width = 64 * words;
        let mut dealt = vec![Vec::new(); width];
        for (turn, bits) in order.chunks(width).enumerate() {
            for (at, bit) in bits.iter().enumerate() {
                dealt[if turn % 2 == 0 { at } else { width - 1 - at }].push(*bit);
            }
        }
        let one = (0..words).map(|word| (word, Ask::One));
        let units = one.chain((0..both).map(|word| (word, Ask::Both)));
        Self::from_dealt(words_per_row, &dealt, units.collect())
    }

    /// Every bit counted: the sum of the planes is the number of differing bits.
    pub(super) fn full(words_per_row: usize) -> Self {
        let order: Vec<u16> = (0..64 * words_per_row).map(|bit| bit as u16).collect();
        Self::folded(words_per_row, (words_per_row, words_per_row), &order)
    }

    fn from_dealt(words_per_row: usize, dealt: &[Vec<u16>], units: Vec<(usize, Ask)>) -> Self {
        let mut end = 0;
        let ends = dealt.iter().map(|members| {
            end += members.len() as u32;
            end
        });
        Self { words_per_row, ends: ends.collect(), members: dealt.concat(), units }
    }

    pub(super) fn planes(&self) -> u32 {
        (self.units.len() * UNIT_GROUPS) as u32
    }
    pub(super) fn block_words(&self) -> usize {
        self.units.len() * UNIT_WORDS
    }
    fn sketch_words(&self) -> usize {
        self.ends.len() / 64
    }

    /// Sketch bits of up to 64 rows as columns: bit r of word s is sketch bit s of row r.
    fn columns(&self, table: &FilterTable, rows: &[u32], sources: &mut [u64], columns: &mut [u64]) {
        let mut square = [0u64; 64];
        for (word, to) in sources.chunks_exact_mut(64).enumerate() {
            square.fill(0);
            for (row, at) in rows.iter().zip(&mut square) {
                *at = table.row(*row as usize)[word];
            }
            transpose(&mut square);
            to.copy_from_slice(&square);
        }
        let mut start = 0;
        for (column, end) in columns.iter_mut().zip(&self.ends) {
            let members = &self.members[start..*end as usize];
            *column = members.iter().fold(0, |sum, bit| sum ^ sources[usize::from(*bit)]);
            start = *end as usize;
        }
    }

    /// The sketches of `rows`, row-major.
    pub(super) fn sketches(&self, table: &FilterTable, rows: &[u32]) -> Vec<u64> {
        let words = self.sketch_words();
        let mut sketches = vec![0; rows.len() * words];
        let (mut sources, mut columns) = (vec![0; 64 * self.words_per_row], vec![0; 64 * words]);
        for (rows, to) in rows.chunks(64).zip(sketches.chunks_mut(64 * words)) {
            self.columns(table, rows, &mut sources, &mut columns);
            for (word, square) in columns.as_chunks_mut::<64>().0.iter_mut().enumerate() {
                transpose(square);
                for (row, sketch) in to.chunks_exact_mut(words).enumerate() {
                    sketch[word] = square[row];
                }
            }
        }
        sketches
    }

    /// What each of `rows` picks in the blocks of [`Plan::block`].
    pub(super) fn selectors(&self, table: &FilterTable, rows: &[u32]) -> Selectors {
        let mut selectors = Selectors::with_capacity(rows.len() * self.units.len());
        for sketch in self.sketches(table, rows).chunks_exact(self.sketch_words()) {
            for (word, _) in &self.units {
                selectors.push_unit(sketch[*word]);
            }
        }
        selectors
    }

    /// Lays out up to [`BLOCK`] rows as planes; `planes` has [`Plan::block_words`] words.
    pub(super) fn block(&self, table: &FilterTable, rows: &[u32], planes: &mut [u64]) {
        let mut sources = vec![0; 64 * self.words_per_row];
        let mut columns = vec![0; self.ends.len()];
        for (lane, rows) in rows.chunks(64).enumerate() {
            self.columns(table, rows, &mut sources, &mut columns);
            for ((word, ask), unit) in self.units.iter().zip(planes.chunks_exact_mut(UNIT_WORDS)) {
                let (low, high) = columns[64 * word..64 * word + 64].split_at(UNIT_GROUPS);
                for ((x, y), group) in low.iter().zip(high).zip(unit.chunks_exact_mut(4 * PLANE_WORDS)) {
                    for value in 0..4usize {
                        let (x, y) = (x ^ flip(value & 1), y ^ flip(value >> 1));
                        group[value * PLANE_WORDS + lane] = if *ask == Ask::One { x | y } else { x & y };
                    }
                }
            }
        }
    }
}

fn flip(bit: usize) -> u64 {
    if bit == 1 { u64::MAX } else { 0 }
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
    pub(super) fn ones_at(&self, position: usize) -> u32 {
        u32::from(self.ones[self.order[position] as usize])
    }
    /// `count` rows evenly spread over the order, the emptiest and the fullest included.
    fn sample(&self, count: usize) -> Vec<u32> {
        let last = self.order.len() - 1;
        let count = count.clamp(1, self.order.len());
        (0..count).map(|i| self.order[if count == 1 { last / 2 } else { i * last / (count - 1) }]).collect()
    }
}

/// A plan made ready to compare.
pub(super) struct Sieve {
    pub(super) kernel: Kernel,
    pub(super) threshold: Threshold,
    pub(super) plan: Plan,
    counter_bits: u32,
}

impl Sieve {
    pub(super) fn new(kernel: Kernel, threshold: Threshold, plan: Plan) -> Self {
        let bound_max = bound(threshold, 2 * 64 * plan.words_per_row as u32);
        let counter_bits = kernel::counter_bits(plan.planes().max(bound_max + 1));
        Self { kernel, threshold, plan, counter_bits }
    }

    /// Compares the selector rows `rows`, which have `ones` set bits, with a block whose fullest record has
    /// `ones_max`. A bit of `over` (eight words a row) is set where the pair cannot qualify.
    pub(super) fn sift(
        &self,
        (selectors, rows): (&Selectors, std::ops::Range<usize>),
        ones: impl Iterator<Item = u32>,
        (planes, ones_max): (&[u64], u32),
        over: &mut [u64],
    ) {
        let mut start = [0u32; TILE];
        for (start, ones) in start.iter_mut().zip(ones) {
            *start = (1 << self.counter_bits) - (bound(self.threshold, ones + ones_max) + 1);
        }
        let start = &start[..rows.len()];
        self.kernel.sweep(self.counter_bits, planes, (selectors, rows), start, over);
    }
}

/// Rows of one call of the kernel.
pub(super) const TILE: usize = 64;

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

/// The plan with the least expected cost, by sampling pairs of both sides.
///
/// Cost of a pair = planes x cost of a plane / 512 + share that survives x cost of a verification. The share falls off
/// a cliff as words are added: start where unrelated pairs just exceed the bound, stop when it gets dearer.
pub(super) fn choose(kernel: Kernel, a: &Side<'_>, b: &Side<'_>, threshold: Threshold) -> Plan {
    let words_per_row = a.table.words_per_row();
    let sample = Sample::new(a, b);
    let order = telling_bits(b.table, &sample.blocks.concat());
    let total = a.ones_at(a.order.len() / 2) + b.ones_at(b.order.len() / 2);
    let first = (bound(threshold, total) as usize / 24).clamp(1, words_per_row);
    let mut best = Plan::full(words_per_row);
    let mut least = sample.cost(kernel, threshold, &best);
    let (mut before, mut dearer) = (u64::MAX, 0);
    let folds = (first..=words_per_row).map(|words| (words, 0));
    for size in folds.chain((1..words_per_row).map(|both| (words_per_row, both))) {
        let plan = Plan::folded(words_per_row, size, &order);
        let cost = sample.cost(kernel, threshold, &plan);
        dearer = if cost > before { dearer + 1 } else { 0 };
        before = cost;
        if cost < least {
            (best, least) = (plan, cost);
        }
        if dearer == 2 {
            break;
        }
    }
    best
}

/// Rows and blocks that stand for the whole join.
struct Sample<'s> {
    a: &'s Side<'s>,
    b: &'s Side<'s>,
    rows: Vec<u32>,
    blocks: Vec<Vec<u32>>,
}

impl<'s> Sample<'s> {
    /// At most a hundredth of the pairs, from the emptiest to the fullest rows.
    fn new(a: &'s Side<'s>, b: &'s Side<'s>) -> Self {
        let pairs = a.order.len() * b.order.len();
        let rows = a.sample((pairs / 100 / BLOCK).clamp(16, 512));
        let blocks = (pairs / 100 / BLOCK / rows.len()).clamp(1, 4);
        let last = b.order.len().saturating_sub(BLOCK);
        let block = |i: usize| {
            let start = last * (2 * i + 1) / (2 * blocks);
            b.order[start..b.order.len().min(start + BLOCK)].to_vec()
        };
        Self { a, b, rows, blocks: (0..blocks).map(block).collect() }
    }

    /// Hundredths of a cycle for 100,000 pairs.
    fn cost(&self, kernel: Kernel, threshold: Threshold, plan: &Plan) -> u64 {
        // Measured costs of a plane of 512 pairs and of one verification, in hundredths of a cycle.
        let plane = match kernel.level() {
            KernelLevel::Avx512 => 190,
            KernelLevel::Avx2 => 400,
            _ => 800,
        };
        let verify = 15_000;
        let sieve = Sieve::new(kernel, threshold, plan.clone());
        let selectors = plan.selectors(self.a.table, &self.rows);
        let (mut survivors, mut seen) = (0u64, 0u64);
        let mut planes = Planes::new(plan.block_words());
        let mut over = vec![0; TILE * PLANE_WORDS];
        for block in &self.blocks {
            plan.block(self.b.table, block, planes.words_mut());
            let ones_max = block.last().map_or(0, |row| u32::from(self.b.ones[*row as usize]));
            for (tile, rows) in self.rows.chunks(TILE).enumerate() {
                let range = tile * TILE..tile * TILE + rows.len();
                let ones = rows.iter().map(|row| u32::from(self.a.ones[*row as usize]));
                let over = &mut over[..rows.len() * PLANE_WORDS];
                sieve.sift((&selectors, range), ones, (planes.words(), ones_max), over);
                for over in over.chunks_exact(PLANE_WORDS) {
                    let lanes =
                        over.iter().enumerate().map(|(word, over)| !over & lane_mask(block.len(), word));
                    survivors += lanes.map(|lanes| u64::from(lanes.count_ones())).sum::<u64>();
                }
                seen += (rows.len() * block.len()) as u64;
            }
        }
        u64::from(plan.planes()) * plane * 100_000 / BLOCK as u64 + survivors * verify * 100_000 / seen.max(1)
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

/// All bits, those nearest to one half full first.
fn telling_bits(table: &FilterTable, rows: &[u32]) -> Vec<u16> {
    let mut full = vec![0u32; table.bits()];
    for row in rows {
        for (word, bits) in table.row(*row as usize).iter().enumerate() {
            for bit in 0..64 {
                full[64 * word + bit] += (bits >> bit & 1) as u32;
            }
        }
    }
    let rows = rows.len() as u32;
    let mut order: Vec<u16> = (0..table.bits()).map(|bit| bit as u16).collect();
    order.sort_by_key(|bit| (2 * full[usize::from(*bit)]).abs_diff(rows));
    order
}
