//! Which planes, and how many of them: chosen by trying on a sample of the join itself.
//!
//! May see: filters. Must not see: refs, agencies, identifiers.
//!
//! Cost of a pair = planes x cost of a plane / 512 + share that is left x cost of a verification. The share falls off a
//! cliff as planes are added, so each sampled tile looks for its own cheapest depth, and the depth of a tile of the join
//! is read off a line through theirs: it depends on how many bits may be missing, not on the threshold. A bad
//! choice costs time and never a pair.

use super::arena::FilterTable;
use super::kernel::{Kernel, KernelLevel, PICKS, PLANE_WORDS, Picks};
use super::sketch::{BLOCK, Pattern, Plan, Planes, Side, Sieve, lane_mask, misses_max};
use crate::wire::Threshold;

/// Rows whose bits are counted to see which planes tell most.
const SAMPLE_ROWS: usize = 1024;
/// Rows of a sampled tile.
const TILE_ROWS: usize = 32;
/// Bits of a group that are tried.
const GROUP_BITS: std::ops::RangeInclusive<usize> = 1..=3;
/// Planes of a block at most: their numbers are short.
const PLANES_MAX: usize = 1 << 16;

/// Planes to count by missing bits: points of a line that bends, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Depths(Vec<(u32, u32)>);

impl Depths {
    /// Always all planes.
    fn all() -> Self {
        Self(vec![(1, 1 << 16), (2, 1 << 16)])
    }
    /// A line through the middles of up to four equal shares of the points.
    fn through(mut points: Vec<(u32, u32)>) -> Self {
        points.sort_unstable();
        let share = points.len().div_ceil(4).max(1);
        let middle = |part: &[(u32, u32)]| {
            let count = part.len() as u32;
            (part.iter().map(|p| p.0).sum::<u32>() / count, part.iter().map(|p| p.1).sum::<u32>() / count)
        };
        let mut line: Vec<(u32, u32)> = points.chunks(share).map(middle).collect();
        line.dedup_by_key(|point| point.0);
        Self(line)
    }
    /// A multiple of [`PICKS`].
    pub(super) fn at(&self, misses: u32) -> usize {
        let misses = misses.max(1);
        let after = self.0.partition_point(|point| point.0 <= misses);
        let planes = match (self.0[..after].last(), self.0.get(after)) {
            (Some((m0, p0)), Some((m1, p1))) => {
                let (p0, p1) = (i64::from(*p0), i64::from(*p1));
                p0 + (p1 - p0) * i64::from(misses - m0) / i64::from(m1 - m0)
            }
            (Some((m, p)), None) | (None, Some((m, p))) => {
                i64::from(*p) * i64::from(misses) / i64::from(*m.max(&1))
            }
            (None, None) => 1 << 16,
        };
        (planes.max(i64::from(misses)) as usize).next_multiple_of(PICKS)
    }
}

/// The plan with the least expected cost. With `ordered` rows meet only lanes that are no emptier.
pub(super) fn choose(
    kernel: Kernel,
    rows: &Side<'_>,
    lanes: &Side<'_>,
    (threshold, ordered): (Threshold, bool),
) -> Plan {
    let sample = Sample::new(rows, lanes, ordered);
    let members = sample.rarest_first();
    let tried = GROUP_BITS.map(|bits| {
        let plan = sample.plan(members.clone(), bits);
        let trial = sample.trial(kernel, threshold, &plan);
        (trial.cost, plan, trial)
    });
    let Some((_, plan, trial)) = tried.min_by_key(|(cost, _, _)| *cost) else {
        return count_all(lanes.table);
    };
    if trial.points.is_empty() {
        return plan;
    }
    // A row that runs out of planes prunes less: leave it room.
    let planes = trial.planes_used + trial.planes_used / 16 + 64;
    plan.cut(planes, Depths::through(trial.points))
}

/// Every bit counted: what is left of a tile are the pairs that pass.
pub(super) fn count_all(table: &FilterTable) -> Plan {
    let bits = table.bits() as u16;
    let patterns = (0..bits).map(|group| Pattern { group, value: 1 });
    Plan::new(table.words_per_row(), (1, (0..bits).collect()), patterns.collect(), Depths::all())
}

/// Rows and tiles that stand for the whole join.
struct Sample<'s> {
    rows: &'s Side<'s>,
    lanes: &'s Side<'s>,
    /// (first row, first lane) by their places in the orders.
    tiles: Vec<(usize, usize)>,
    /// Columns of sampled rows, 64 rows a part, and how many rows they have.
    parts: Vec<Vec<u64>>,
    ordered: bool,
}

/// What a plan would cost.
struct Trial {
    cost: u64,
    /// (bits that may be missing, best depth) of each tile.
    points: Vec<(u32, u32)>,
    planes_used: usize,
}

impl<'s> Sample<'s> {
    fn new(rows: &'s Side<'s>, lanes: &'s Side<'s>, ordered: bool) -> Self {
        let (n, m) = (rows.order.len(), lanes.order.len());
        let tiles = ((n as u64 * m as u64) >> 25).clamp(3, 24) as usize;
        let tile = |i: usize| {
            let row = n * (2 * i + 1) / (2 * tiles);
            // Multiples of the golden section spread evenly.
            let share = i * 40503 % 65536;
            let from = if ordered { lanes.place_of(rows.ones_at(row)) } else { 0 };
            (row, from + (((m - from) * share) >> 16))
        };
        let spread = |side: &Side<'_>| -> Vec<u32> {
            let count = side.order.len().min(SAMPLE_ROWS / 2);
            (0..count).map(|i| side.order[i * side.order.len() / count]).collect()
        };
        let mut parts = Vec::new();
        for side in [rows, lanes] {
            for rows in spread(side).chunks(64) {
                let mut columns = vec![0; 64 * side.table.words_per_row()];
                Plan::columns(side.table, rows, &mut columns);
                parts.push(columns);
            }
        }
        Self { rows, lanes, tiles: (0..tiles).map(tile).collect(), parts, ordered }
    }

    fn rarest_first(&self) -> Vec<u16> {
        let count = |bit: u16| self.parts.iter().map(|part| part[usize::from(bit)].count_ones()).sum::<u32>();
        let mut order: Vec<u16> = (0..self.lanes.table.bits() as u16).collect();
        order.sort_by_cached_key(|bit| count(*bit));
        order
    }

    /// Groups of `bits` neighbours, all their patterns, the rarest patterns first.
    fn plan(&self, mut members: Vec<u16>, bits: usize) -> Plan {
        members.truncate((PLANES_MAX - 1) / ((1 << bits) - 1) * bits);
        let groups = members.len() / bits;
        members.truncate(groups * bits);
        let mut ranked = Vec::with_capacity(groups << bits);
        for (group, members) in members.chunks_exact(bits).enumerate() {
            for value in 1..1u8 << bits {
                let all = |part: &Vec<u64>| {
                    let set = members.iter().enumerate().filter(|(at, _)| value >> at & 1 == 1);
                    set.fold(u64::MAX, |all, (_, bit)| all & part[usize::from(*bit)]).count_ones()
                };
                let share = self.parts.iter().map(all).sum::<u32>();
                ranked.push((share, Pattern { group: group as u16, value }));
            }
        }
        ranked.sort_by_key(|(share, _)| *share);
        let patterns = ranked.into_iter().map(|(_, pattern)| pattern).collect();
        Plan::new(self.lanes.table.words_per_row(), (bits, members), patterns, Depths::all())
    }

    /// Tries depths on each tile; costs in hundredths of a cycle.
    fn trial(&self, kernel: Kernel, threshold: Threshold, plan: &Plan) -> Trial {
        let mut trial = Trial { cost: 0, points: Vec::new(), planes_used: 0 };
        let ones_max = self.rows.ones_at(self.rows.order.len() - 1);
        let sieve = Sieve::new(kernel, threshold, plan, ones_max);
        let mut planes = Planes::new(plan.block_words());
        for (row, lane) in &self.tiles {
            let row = (*row).min(self.rows.order.len().saturating_sub(TILE_ROWS));
            let lane = (*lane).min(self.lanes.order.len().saturating_sub(BLOCK));
            let rows = &self.rows.order[row..self.rows.order.len().min(row + TILE_ROWS)];
            let lanes = &self.lanes.order[lane..self.lanes.order.len().min(lane + BLOCK)];
            let (ones, emptiest) = (self.rows.ones_at(row), self.lanes.ones_at(lane));
            if !threshold.passes(ones.min(emptiest), ones + emptiest) {
                continue; // set bits alone decide such tiles
            }
            plan.block(self.lanes.table, lanes, planes.words_mut());
            let counts = rows.iter().map(|row| {
                let ones = u32::from(self.rows.ones[*row as usize]);
                (ones, if self.ordered { emptiest.max(ones) } else { emptiest })
            });
            let counts: Vec<(u32, u32)> = counts.collect();
            let picks = sieve.picks(self.rows.table, rows, (ones_max, u32::MAX >> 8));
            let (cost, depth) = cheapest(&sieve, &picks, &counts, (planes.words(), lanes.len()));
            trial.cost += cost;
            let misses = counts.iter().map(|(ones, emptiest)| sieve.misses(*ones, *emptiest)).max();
            trial.points.push((misses.unwrap_or(0).max(1), depth as u32));
            trial.planes_used = trial.planes_used.max(picks.last_plane(depth));
        }
        trial
    }
}

/// (cost, depth) of the cheapest depth of one tile.
fn cheapest(
    sieve: &Sieve<'_>,
    picks: &Picks,
    counts: &[(u32, u32)],
    (planes, lanes): (&[u64], usize),
) -> (u64, usize) {
    let rows = counts.len();
    let step = sieve.plan.words_per_row().next_multiple_of(16);
    let first = counts.iter().map(|(ones, emptiest)| sieve.misses(*ones, *emptiest)).min();
    let (mut best, mut before, mut dearer) = ((u64::MAX, 0), u64::MAX, 0);
    let mut depth = (first.unwrap_or(0) as usize).next_multiple_of(PICKS).max(PICKS);
    loop {
        depth = depth.min(picks.stride());
        let mut over = [0; TILE_ROWS * PLANE_WORDS];
        let over = &mut over[..rows * PLANE_WORDS];
        sieve.sift((picks, 0..rows), counts.iter().copied(), planes, Some(depth), over);
        let left: u64 = over.chunks_exact(PLANE_WORDS).map(|over| left_in(over, lanes)).sum();
        let cost = (depth * rows) as u64 * plane_cost(sieve.kernel.level()) + left * VERIFY_COST;
        // Before the cliff each plane only costs.
        let falls = 4 * left < (rows * lanes) as u64;
        dearer = if falls && cost > before { dearer + 1 } else { 0 };
        before = cost;
        best = best.min((cost, depth));
        if dearer == 2 || depth == picks.stride() {
            return best;
        }
        depth += step;
    }
}

/// One verification, in hundredths of a cycle.
const VERIFY_COST: u64 = 8_000;

/// A plane of 512 pairs, in hundredths of a cycle.
fn plane_cost(level: KernelLevel) -> u64 {
    match level {
        KernelLevel::Avx512 => 165,
        KernelLevel::Avx2 => 400,
        _ => 800,
    }
}

fn left_in(over: &[u64], lanes: usize) -> u64 {
    let words = over.iter().enumerate();
    words.map(|(word, over)| u64::from((!over & lane_mask(lanes, word)).count_ones())).sum()
}

/// Whether sweeping both ways round, rows emptier than lanes each time, saves more planes than it costs to lay out
/// both sides: it does where tables are large or their filters unevenly filled.
pub(super) fn both_ways(a: &Side<'_>, b: &Side<'_>, threshold: Threshold) -> bool {
    // Cycles of a pair and missing bit, and of laying out a row.
    let (bit, row) = (0.012, 1_000.0);
    let mut saved = 0.0;
    for x in a.spread() {
        for y in b.spread() {
            let (small, large) = (x.min(y), x.max(y));
            if threshold.passes(small, small + large) {
                let misses = |x, y| f64::from(misses_max(threshold, x, y));
                saved += (misses(large, small) - misses(small, large)) / 2.0;
            }
        }
    }
    let (n, m) = (a.order.len() as f64, b.order.len() as f64);
    saved / 256.0 * n * m * bit > (n + m) * row
}
