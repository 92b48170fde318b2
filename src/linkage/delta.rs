//! Re-linking after a change costs the change: k changed rows against the rest.
//!
//! May see: filters and row numbers. Must not see: refs, agencies, identifiers.

use super::arena::FilterTable;
use super::exec::{Control, Exec};
use super::join::{JoinError, JoinOptions, Joined, Side, join};
use super::pairs::{Hit, Pairs};
use crate::wire::Threshold;

/// The pairs of a full join, from the `previous` ones and the rows that changed since (new, altered or
/// removed; a removed row is an empty filter). Row numbers are stable: see [`Pairs::renumber`].
///
/// `previous` must be complete (`pairs_dropped == 0`) and `options.top_k` must be `None`.
///
/// # Errors
/// As [`join`]; [`JoinError::Row`] for a changed row beyond its table.
pub fn update(
    previous: &Pairs,
    (a, changed_a): (&FilterTable, &[u32]),
    (b, changed_b): (&FilterTable, &[u32]),
    threshold: Threshold,
    options: &JoinOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Joined, JoinError> {
    if options.top_k.is_some() {
        return Err(JoinError::Option { name: "top_k", range: "none in a delta" });
    }
    let (stale_a, stale_b) = (marks(a, changed_a, Side::A)?, marks(b, changed_b, Side::B)?);
    let fresh = |hit: &Hit| !stale_a[hit.a as usize] && !stale_b[hit.b as usize];
    let kept: Vec<Hit> = previous.hits().filter(fresh).collect();
    let mut joined = join(a, b, threshold, options, exec, control)?;
    let new = joined.pairs.hits().filter(|hit| !fresh(hit)).collect();
    joined.pairs = Pairs::from_hits(vec![kept, new]);
    Ok(joined)
}

fn marks(table: &FilterTable, rows: &[u32], side: Side) -> Result<Vec<bool>, JoinError> {
    let mut marks = vec![false; table.rows()];
    for row in rows {
        *marks.get_mut(*row as usize).ok_or(JoinError::Row { side, row: *row })? = true;
    }
    Ok(marks)
}
