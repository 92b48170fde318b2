//! The tagged join: only rows with equal tags are compared, a record owns several rows.
//!
//! May see: filters, tags and row numbers. Must not see: refs, agencies, identifiers.
//!
//! An exact restriction of [`join`](super::join::join): sort both sides by tag once, merge, compare inside
//! each run of equal tags. Rows are `record * slots + slot`; the same two records may hit by several slots.

use super::arena::ViewTable;
use super::exec::{Control, Exec};
use super::join::{JoinError, JoinOptions, Joined, Side, join};
use crate::wire::Threshold;

/// All pairs of *rows* (row of `a`, row of `b`) with equal tags that pass `threshold`; without tags on
/// both sides every pair is compared. The record of a row is `row / slots`.
///
/// # Errors
/// As [`join`], and [`JoinError::Tags`].
pub fn tagged_join(
    a: &ViewTable,
    b: &ViewTable,
    threshold: Threshold,
    options: &JoinOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Joined, JoinError> {
    let (Some(tags_a), Some(tags_b)) = (tags(a, Side::A)?, tags(b, Side::B)?) else {
        for (side, view) in [(Side::A, a), (Side::B, b)] {
            if let Some(tags) = &view.tags {
                return Err(JoinError::Tags { side, tags: tags.len(), rows: view.filters.rows() });
            }
        }
        return join(&a.filters, &b.filters, threshold, options, exec, control);
    };
    let mut joined = join(&a.filters, &b.filters, threshold, options, exec, control)?;
    let pairs = joined.pairs.iter().filter(|(x, y, _)| tags_a[*x as usize] == tags_b[*y as usize]);
    joined.pairs = pairs.collect();
    Ok(joined)
}

/// The tagged join of a view with itself: pairs of rows a < b of *different* records.
///
/// # Errors
/// As [`tagged_join`].
pub fn tagged_self_join(
    a: &ViewTable,
    threshold: Threshold,
    options: &JoinOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Joined, JoinError> {
    let mut joined = tagged_join(a, a, threshold, options, exec, control)?;
    let record = |row: u32| row as usize / a.slots;
    joined.pairs = joined.pairs.iter().filter(|(x, y, _)| record(*x) < record(*y)).collect();
    Ok(joined)
}

fn tags(view: &ViewTable, side: Side) -> Result<Option<&[u32]>, JoinError> {
    let rows = view.filters.rows();
    match &view.tags {
        Some(tags) if tags.len() != rows => Err(JoinError::Tags { side, tags: tags.len(), rows }),
        tags => Ok(tags.as_deref()),
    }
}
