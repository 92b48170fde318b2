//! Candidate pairs as a structure of arrays, and the cut to the best few of each record.
//!
//! May see: counts and row numbers. Must not see: filters.

use std::cmp::Ordering;

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
        Self::from_hits(vec![hits.collect()])
    }
    /// Sorts and joins batches of hits; each batch is freed once copied.
    pub(super) fn from_hits(batches: Vec<Vec<Hit>>) -> Self {
        let count = batches.iter().map(Vec::len).sum();
        let mut hits: Vec<Hit> = Vec::with_capacity(count);
        for batch in batches {
            hits.extend_from_slice(&batch);
        }
        hits.sort_unstable_by_key(|hit| hit.key());
        hits.dedup();
        Self {
            a: hits.iter().map(|hit| hit.a).collect(),
            b: hits.iter().map(|hit| hit.b).collect(),
            common: hits.iter().map(|hit| hit.common).collect(),
        }
    }
    pub(super) fn hits(&self) -> impl Iterator<Item = Hit> + '_ {
        self.iter().map(|(a, b, common)| Hit { a, b, common })
    }
}

impl FromIterator<(u32, u32, u16)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (u32, u32, u16)>>(pairs: I) -> Self {
        Self::from_hits(vec![pairs.into_iter().map(|(a, b, common)| Hit { a, b, common }).collect()])
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

/// Keeps the best `k` hits of each `a` (score, then smaller b); returns how many were dropped.
pub(super) fn keep_best(hits: &mut Vec<Hit>, k: u32, ones_a: &[u16], ones_b: &[u16]) -> u64 {
    let total = |hit: &Hit| u32::from(ones_a[hit.a as usize]) + u32::from(ones_b[hit.b as usize]);
    hits.sort_unstable_by(|x, y| {
        x.a.cmp(&y.a).then_with(|| by_score((x.common, total(x)), (y.common, total(y)))).then(x.b.cmp(&y.b))
    });
    let before = hits.len();
    let (mut last, mut run) = (None, 0);
    hits.retain(|hit| {
        run = if last == Some(hit.a) { run + 1 } else { 1 };
        last = Some(hit.a);
        run <= k
    });
    (before - hits.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_k_are_kept_with_ties_to_the_smaller_row() {
        let mut hits: Vec<Hit> =
            [(0, 3, 8), (0, 1, 8), (0, 2, 9), (1, 0, 5)].map(|(a, b, common)| Hit { a, b, common }).to_vec();
        assert_eq!(keep_best(&mut hits, 2, &[10, 10], &[10; 4]), 1);
        assert_eq!(hits.iter().map(|h| (h.a, h.b)).collect::<Vec<_>>(), [(0, 2), (0, 1), (1, 0)]);
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
