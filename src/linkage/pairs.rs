//! Candidate pairs as a structure of arrays, and the cut to the best few of each record.
//!
//! May see: counts and row numbers. Must not see: filters.

use std::cmp::Ordering;
use std::convert::Infallible;
use std::ops::Range;

/// Hits sorted at a time: a few milliseconds, which is what a cancelled join may still take. A row with more of them is
/// a block of its own.
const BLOCK_HITS: usize = 1 << 18;

/// Pairs of rows whose Dice reaches the threshold, 10 bytes a pair, ascending by (a, b).
///
/// The score of pair i is `2 * common[i] / (|a[i]| + |b[i]|)`; no float is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Rows of the first table.
    pub a: Vec<u32>,
    /// Rows of the second table.
    pub b: Vec<u32>,
    /// Common bits, 1 to 16,384.
    pub common: Vec<u16>,
}

impl Pairs {
    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.a.len()
    }
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.a.is_empty()
    }
    /// (a, b, common) in ascending order of (a, b).
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32, u16)> + '_ {
        self.a.iter().zip(&self.b).zip(&self.common).map(|((a, b), common)| (*a, *b, *common))
    }
    /// The same pairs under new row numbers; rows mapped to `None` lose their pairs.
    #[must_use]
    pub fn renumber(&self, a_rows: &[Option<u32>], b_rows: &[Option<u32>]) -> Self {
        let new = |rows: &[Option<u32>], row: u32| rows.get(row as usize).copied().flatten();
        let hits = self
            .iter()
            .filter_map(|(a, b, common)| Some(Hit { a: new(a_rows, a)?, b: new(b_rows, b)?, common }));
        hits.collect()
    }
    /// Sorts and joins batches of hits, each pair once. Asks `pause` between blocks whether to go on.
    ///
    /// # Errors
    /// What `pause` says.
    pub(super) fn from_hits<E>(batches: Vec<Vec<Hit>>, pause: impl Fn() -> Result<(), E>) -> Result<Self, E> {
        let mut pairs = Self::default();
        let by_key = |x: &Hit, y: &Hit| x.key().cmp(&y.key());
        sorted_blocks(batches, by_key, pause, |block| {
            for hit in block.chunk_by(|x, y| x == y).map(|equal| equal[0]) {
                pairs.a.push(hit.a);
                pairs.b.push(hit.b);
                pairs.common.push(hit.common);
            }
        })?;
        Ok(pairs)
    }
    pub(super) fn hits(&self) -> impl Iterator<Item = Hit> + '_ {
        self.iter().map(|(a, b, common)| Hit { a, b, common })
    }
}

impl FromIterator<(u32, u32, u16)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (u32, u32, u16)>>(pairs: I) -> Self {
        pairs.into_iter().map(|(a, b, common)| Hit { a, b, common }).collect()
    }
}

impl FromIterator<Hit> for Pairs {
    fn from_iter<I: IntoIterator<Item = Hit>>(hits: I) -> Self {
        let Ok(pairs) = Self::from_hits::<Infallible>(vec![hits.into_iter().collect()], || Ok(()));
        pairs
    }
}

/// One pair on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) a: u32,
    pub(super) b: u32,
    pub(super) common: u16,
}

impl Hit {
    pub(super) fn key(self) -> u64 {
        u64::from(self.a) << 32 | u64::from(self.b)
    }
    pub(super) fn swapped(self) -> Self {
        Self { a: self.b, b: self.a, common: self.common }
    }
}

/// Which of two scores `2c / total` is better, exactly; the better one sorts first.
#[must_use]
pub fn by_score((c1, total1): (u16, u32), (c2, total2): (u16, u32)) -> Ordering {
    (u64::from(c2) * u64::from(total1)).cmp(&(u64::from(c1) * u64::from(total2)))
}

/// Keeps the best `k` hits of each `a` (score, then smaller b), ascending by `a`; returns how many were dropped.
///
/// # Errors
/// What `pause` says; the hits are lost then.
pub(super) fn keep_best<E>(
    hits: &mut Vec<Hit>,
    k: u32,
    [ones_a, ones_b]: [&[u16]; 2],
    pause: impl Fn() -> Result<(), E>,
) -> Result<u64, E> {
    let total = |hit: &Hit| u32::from(ones_a[hit.a as usize]) + u32::from(ones_b[hit.b as usize]);
    let best_first = |x: &Hit, y: &Hit| {
        x.a.cmp(&y.a).then_with(|| by_score((x.common, total(x)), (y.common, total(y)))).then(x.b.cmp(&y.b))
    };
    let before = hits.len();
    let all = std::mem::take(hits);
    sorted_blocks(vec![all], best_first, pause, |block| {
        for row in block.chunk_by(|x, y| x.a == y.a) {
            hits.extend_from_slice(&row[..row.len().min(k as usize)]);
        }
    })?;
    Ok((before - hits.len()) as u64)
}

/// Hands out the hits in order, block by block. `order` puts smaller first rows first; all hits of one first row are in
/// one block.
fn sorted_blocks<E>(
    batches: Vec<Vec<Hit>>,
    order: impl Fn(&Hit, &Hit) -> Ordering,
    pause: impl Fn() -> Result<(), E>,
    mut each: impl FnMut(&[Hit]),
) -> Result<(), E> {
    let (mut hits, blocks) = by_first_rows(batches, &pause)?;
    for block in blocks {
        pause()?;
        let block = &mut hits[block];
        block.sort_unstable_by(&order);
        each(block);
    }
    Ok(())
}

/// Deals hits out into blocks of neighbouring first rows, each batch freed once dealt: a counting sort, so that no step
/// is longer than a block.
fn by_first_rows<E>(
    mut batches: Vec<Vec<Hit>>,
    pause: &impl Fn() -> Result<(), E>,
) -> Result<(Vec<Hit>, Vec<Range<usize>>), E> {
    let count = batches.iter().map(Vec::len).sum();
    if count <= BLOCK_HITS && batches.len() == 1 {
        return Ok((batches.swap_remove(0), std::iter::once(0..count).collect()));
    }
    // Hits of each first row; then the block it belongs to.
    let mut rows: Vec<u32> = Vec::new();
    for hits in batches.iter().flat_map(|batch| batch.chunks(BLOCK_HITS)) {
        pause()?;
        for hit in hits {
            let row = hit.a as usize;
            if row >= rows.len() {
                rows.resize(row + 1, 0);
            }
            rows[row] += 1;
        }
    }
    let (mut blocks, mut start, mut end) = (Vec::new(), 0, 0);
    for row in &mut rows {
        let more = *row as usize;
        if end > start && end - start + more > BLOCK_HITS {
            blocks.push(start..end);
            start = end;
        }
        end += more;
        *row = blocks.len() as u32;
    }
    blocks.push(start..end);
    let mut next: Vec<usize> = blocks.iter().map(|block| block.start).collect();
    let mut dealt = vec![Hit { a: 0, b: 0, common: 0 }; count];
    for batch in batches {
        for hits in batch.chunks(BLOCK_HITS) {
            pause()?;
            for hit in hits {
                let at = &mut next[rows[hit.a as usize] as usize];
                dealt[*at] = *hit;
                *at += 1;
            }
        }
    }
    Ok((dealt, blocks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linkage::made_up::Dice;
    use std::cell::Cell;

    #[test]
    fn the_best_k_are_kept_with_ties_to_the_smaller_row() {
        let mut hits: Vec<Hit> =
            [(0, 3, 8), (0, 1, 8), (0, 2, 9), (1, 0, 5)].map(|(a, b, common)| Hit { a, b, common }).to_vec();
        let go_on = || Ok::<(), Infallible>(());
        assert_eq!(keep_best(&mut hits, 2, [&[10, 10], &[10; 4]], go_on), Ok(1));
        assert_eq!(hits.iter().map(|h| (h.a, h.b)).collect::<Vec<_>>(), [(0, 2), (0, 1), (1, 0)]);
    }

    /// More than a block of hits, in batches of every size, one row with more than a block of its own.
    #[test]
    fn blocks_are_sorted_once_and_can_be_stopped_between_any_two() {
        let mut dice = Dice::new(5);
        let mut hits: Vec<Hit> = (0..3 * BLOCK_HITS)
            .map(|at| Hit {
                a: if at % 3 == 0 { 70 } else { dice.below(900) as u32 },
                b: at as u32 / 2,
                common: 1,
            })
            .collect();
        let mut batches = vec![hits.split_off(17), Vec::new(), hits.clone(), hits.clone()];
        batches.push(vec![Hit { a: 4_000, b: 0, common: 3 }]);
        let mut truth = batches.concat();
        truth.sort_unstable_by_key(|hit| hit.key());
        truth.dedup();
        let asked = Cell::new(0);
        let count = || {
            asked.set(asked.get() + 1);
            Ok::<(), Infallible>(())
        };
        let Ok(pairs) = Pairs::from_hits(batches.clone(), count);
        assert!(pairs.hits().eq(truth));
        let looks = asked.get();
        assert!(looks >= 3 * 3, "each step, each block: {looks}");
        for stop in [0, looks / 2, looks - 1] {
            asked.set(0);
            let stopped = Pairs::from_hits(batches.clone(), || {
                asked.set(asked.get() + 1);
                if asked.get() > stop { Err(asked.get()) } else { Ok(()) }
            });
            assert_eq!(stopped, Err(stop + 1));
        }
    }

    #[test]
    fn renumbering_drops_removed_rows_and_sorts() {
        let pairs: Pairs = [(0, 0, 3), (1, 1, 4), (2, 0, 5)].into_iter().collect();
        let moved = pairs.renumber(&[Some(1), None, Some(0)], &[Some(0), Some(1)]);
        assert_eq!(moved.iter().collect::<Vec<_>>(), [(0, 0, 5), (1, 0, 3)]);
    }

    #[test]
    fn scores_compare_exactly() {
        assert_eq!(by_score((400, 1000), (401, 1000)), Ordering::Greater);
        assert_eq!(by_score((1, 3), (2, 6)), Ordering::Equal);
    }
}
