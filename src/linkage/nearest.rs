//! Look-up: a few encodings against everything resident.
//!
//! May see: filters and row numbers. Must not see: refs, agencies, identifiers.

use super::arena::FilterTable;
use super::join::{JoinError, ones};
use super::kernel::{KernelLevel, scalar};
use super::pairs::by_score;
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

/// A table laid out for look-ups.
#[derive(Clone)]
pub struct Resident {
    table: FilterTable,
    ones: Vec<u16>,
    level: KernelLevel,
}

impl std::fmt::Debug for Resident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resident({} rows of {} bits)", self.table.rows(), self.table.bits())
    }
}

impl Resident {
    /// Lays out `table` for look-ups at `threshold` or above (lower ones work, slower).
    ///
    /// # Errors
    /// [`JoinError`] for a table that cannot be searched.
    pub fn new(table: FilterTable, threshold: Threshold, level: KernelLevel) -> Result<Self, JoinError> {
        let _ = threshold;
        let ones = ones(&table);
        Ok(Self { table, ones, level })
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
        let _ = self.level;
        let ones = ones(queries);
        let mut found = vec![Vec::new(); queries.rows()];
        scalar::join(queries, &self.table, threshold, |query, row, common| {
            let total = u32::from(ones[query as usize]) + u32::from(self.ones[row as usize]);
            found[query as usize].push(Found { row, common, total });
        });
        for list in &mut found {
            list.sort_by(|x, y| by_score((x.common, x.total), (y.common, y.total)).then(x.row.cmp(&y.row)));
            list.truncate(k);
        }
        Ok(found)
    }
}
