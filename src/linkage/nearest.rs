//! Look-up: a few encodings against everything resident.
//!
//! May see: filters and row numbers. Must not see: refs, agencies, identifiers.
//!
//! The planes of `sketch` are built once; a query reads those it picks, about 30 bytes a record at Dice .8.

use super::arena::FilterTable;
use super::join::{JoinError, JoinOptions, check, ones};
use super::kernel::{Kernel, KernelLevel, PLANE_WORDS};
use super::pairs::by_score;
use super::plan::choose;
use super::sketch::{BLOCK, Plan, Planes, Side, Sieve, TILE, lane_mask};
use crate::wire::Threshold;

/// One row found by a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Row of the resident table.
    pub row: u32,
    /// Common bits.
    pub common: u16,
    /// Set bits of query and row together; the score is `2 * common / total`.
    pub total: u32,
}

/// A table laid out for look-ups: its rows, and the planes of its plan, about 90 bytes a row at Dice .8.
pub struct Resident {
    table: FilterTable,
    ones: Vec<u16>,
    order: Vec<u32>,
    kernel: Kernel,
    plan: Plan,
    planes: Planes,
}

impl std::fmt::Debug for Resident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resident({} rows of {} bits)", self.table.rows(), self.table.bits())
    }
}

impl Resident {
    /// Lays out `table` for look-ups at about `threshold` (any other works, slower).
    ///
    /// # Errors
    /// [`JoinError`] for a table that cannot be searched.
    pub fn new(table: FilterTable, threshold: Threshold, level: KernelLevel) -> Result<Self, JoinError> {
        let kernel = check(&table, &table, &JoinOptions { level, ..JoinOptions::default() })?;
        let ones = ones(&table);
        let side = Side::new(&table, &ones);
        let plan = choose(kernel, &side, &side, (threshold, false));
        let block_words = plan.block_words();
        let mut planes = Planes::new(side.order.len().div_ceil(BLOCK) * block_words);
        for (rows, planes) in side.order.chunks(BLOCK).zip(planes.words_mut().chunks_exact_mut(block_words)) {
            plan.block(&table, rows, planes);
        }
        let order = side.order;
        Ok(Self { table, ones, order, kernel, plan, planes })
    }

    /// Rows of the table.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.table.rows()
    }

    /// For each row of `queries` the best `k` rows that pass `threshold`: best first, ties by row.
    ///
    /// # Errors
    /// [`JoinError::Lengths`] when the queries have another length.
    pub fn nearest(
        &self,
        queries: &FilterTable,
        threshold: Threshold,
        k: usize,
    ) -> Result<Vec<Vec<Found>>, JoinError> {
        if queries.bits() != self.table.bits() {
            return Err(JoinError::Lengths { a_bits: queries.bits(), b_bits: self.table.bits() });
        }
        let ones = ones(queries);
        let all: Vec<u32> = (0..queries.rows()).map(|row| row as u32).collect();
        let mut found = vec![Vec::new(); queries.rows()];
        for (tile, found) in all.chunks(TILE).zip(found.chunks_mut(TILE)) {
            self.tile(queries, tile, &ones, threshold, found);
        }
        for list in &mut found {
            list.sort_by(|x, y| by_score((x.common, x.total), (y.common, y.total)).then(x.row.cmp(&y.row)));
            list.truncate(k);
        }
        Ok(found)
    }

    fn tile(
        &self,
        queries: &FilterTable,
        tile: &[u32],
        ones: &[u16],
        threshold: Threshold,
        found: &mut [Vec<Found>],
    ) {
        let most = tile.iter().map(|query| u32::from(ones[*query as usize])).max().unwrap_or(0);
        let sieve = Sieve::new(self.kernel, threshold, &self.plan, most);
        let picks = sieve.picks(queries, tile, (most, sieve.misses(most, 0)));
        let mut over = [0; TILE * PLANE_WORDS];
        let over = &mut over[..tile.len() * PLANE_WORDS];
        let blocks = self.planes.words().chunks_exact(self.plan.block_words());
        for (rows, planes) in self.order.chunks(BLOCK).zip(blocks) {
            let emptiest = rows.first().map_or(0, |row| u32::from(self.ones[*row as usize]));
            let counts = tile.iter().map(|query| (u32::from(ones[*query as usize]), emptiest));
            sieve.sift((&picks, 0..tile.len()), counts, planes, None, over);
            for ((query, found), over) in tile.iter().zip(&mut *found).zip(over.chunks_exact(PLANE_WORDS)) {
                for (word, over) in over.iter().enumerate() {
                    let mut left = !over & lane_mask(rows.len(), word);
                    while left != 0 {
                        let row = rows[64 * word + left.trailing_zeros() as usize];
                        left &= left - 1;
                        found.extend(self.compare(queries, (*query, ones[*query as usize]), row, threshold));
                    }
                }
            }
        }
    }

    fn compare(
        &self,
        queries: &FilterTable,
        (query, ones): (u32, u16),
        row: u32,
        threshold: Threshold,
    ) -> Option<Found> {
        let (x, y) = (queries.row(query as usize), self.table.row(row as usize));
        let common = self.kernel.common(x, y);
        let total = u32::from(ones) + u32::from(self.ones[row as usize]);
        threshold.passes(common, total).then_some(Found { row, common: common as u16, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linkage::kernel;
    use crate::linkage::made_up::{Dice, noisy_copy, random, stacked};

    #[test]
    fn equals_the_scalar_reference_on_every_kernel_and_threshold() {
        let mut dice = Dice::new(9);
        let queries = stacked(&[&random(&mut dice, 70, 4, 2), &FilterTable::new(vec![0; 4], 4)]);
        let table = stacked(&[
            &random(&mut dice, 600, 4, 2),
            &noisy_copy(&mut dice, &queries, 500, 80),
            &FilterTable::new(vec![0; 4], 4),
        ]);
        let (built_for, counts) = ("0.8".parse().unwrap(), ones(&table));
        for level in KernelLevel::available().filter(|level| *level != KernelLevel::Scalar) {
            let resident = Resident::new(table.clone(), built_for, level).unwrap();
            for t in ["0.5", "0.8", "1"].map(|t| t.parse::<Threshold>().unwrap()) {
                let mut truth = vec![Vec::new(); queries.rows()];
                kernel::scalar::join(&queries, &table, t, |query, row, common| {
                    let total = u32::from(ones(&queries)[query as usize]) + u32::from(counts[row as usize]);
                    truth[query as usize].push(Found { row, common, total });
                });
                for list in &mut truth {
                    list.sort_by(|x, y| {
                        let score = |f: &Found| f64::from(f.common) / f64::from(f.total);
                        score(y).total_cmp(&score(x)).then(x.row.cmp(&y.row))
                    });
                    list.truncate(3);
                }
                assert_eq!(resident.nearest(&queries, t, 3).unwrap(), truth, "{level} {t}");
            }
        }
    }

    #[test]
    fn bad_queries_and_tables_are_refused() {
        let table = FilterTable::new(vec![1, 2], 1);
        let t = "0.8".parse().unwrap();
        assert!(Resident::new(FilterTable::new(vec![], 1), t, KernelLevel::Portable).is_err());
        let resident = Resident::new(table, t, KernelLevel::Portable).unwrap();
        let long = FilterTable::new(vec![1, 2], 2);
        assert!(matches!(resident.nearest(&long, t, 1), Err(JoinError::Lengths { a_bits: 128, b_bits: 64 })));
        assert!(!format!("{resident:?}").contains("words"));
    }
}
