//! The reference every kernel must equal: obviously right, never optimised.

use crate::linkage::arena::FilterTable;
use crate::wire::Threshold;

/// Common bits of two rows of one length.
pub(crate) fn common(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x & y).count_ones()).sum()
}

/// Calls `hit(row of a, row of b, common bits)` for every passing pair, ascending.
pub(crate) fn join(
    a: &FilterTable,
    b: &FilterTable,
    threshold: Threshold,
    mut hit: impl FnMut(u32, u32, u16),
) {
    for row_a in 0..a.rows() {
        for row_b in 0..b.rows() {
            let (x, y) = (a.row(row_a), b.row(row_b));
            let common = common(x, y);
            let total = self::common(x, x) + self::common(y, y);
            if threshold.passes(common, total) {
                hit(row_a as u32, row_b as u32, common as u16);
            }
        }
    }
}
