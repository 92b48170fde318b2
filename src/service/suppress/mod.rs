//! Disclosure control: what of a table of counts may leave the centre.
//!
//! May see: wire. Pure: no store, no clock. The method, and what it guarantees:
//!
//! 1. *Small counts.* A count of 1 to 4 (or below the agreement's figure) is shown as `c`; zero as 0; every
//!    other count rounded to the nearest five. Totals are rounded from exact totals, not added up.
//! 2. *Secondary suppression.* More cells become `c` until no small count can be worked out: for every small
//!    cell there exist tables, agreeing with all that is shown, in which it is 1 and in which it is the largest
//!    small count. The audit is exact (a flow through rows and columns), not a rule of thumb.
//! 3. *No differencing.* A shown figure is frozen. It changes only when the count has moved by at least five
//!    since it was fixed, and no table is replaced within the cool-off. So every run whose counts lie less
//!    than five from those last fixed publishes the very same table: in particular every run one record
//!    away from a freshly published one. A figure that does change speaks of five records or more.
//!
//! Price: a shown figure may be off by two from rounding and by four from freezing. Not covered: somebody who
//! knows every other record and the exact counts of several releases can still learn from the moment at
//! which a figure moves; that is why releases need two people and a cool-off. Tables of other shapes over
//! the same records must be released under the same clock.

mod audit;

use crate::service::policy::Day;
use crate::wire::UtcTime;
use crate::wire::messages::PublishedCount;
use audit::{Bounds, Flow};
use serde::{Deserialize, Serialize};

/// Rows or columns of one table.
pub const SIDE_MAX: usize = 512;
/// Cells of one table.
pub const CELLS_MAX: usize = 8_192;
const ROUNDED_TO: u64 = 5;
const UNBOUNDED: u64 = 1 << 40;

/// Exact counts, row by row. Never leaves the centre.
#[derive(Clone, PartialEq, Eq)]
pub struct CountTable {
    rows: usize,
    columns: usize,
    cells: Vec<u64>,
}

impl std::fmt::Debug for CountTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CountTable({} x {})", self.rows, self.columns)
    }
}

/// Why a table is not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SuppressError {
    /// No rows, too many, cells of another number, or counts beyond any population.
    #[error("a table has 1 to {SIDE_MAX} rows and columns, at most {CELLS_MAX} cells, and counts below 2^32")]
    Shape,
    /// The table before had another shape.
    #[error("the table published before has another shape: release it under another name")]
    OtherShape,
    /// The threshold is outside 5 to 100.
    #[error("counts are suppressed below a figure from 5 to 100")]
    Threshold,
}

impl CountTable {
    /// A table of `rows` rows with `columns` counts each.
    ///
    /// # Errors
    /// [`SuppressError::Shape`].
    pub fn new(rows: usize, columns: usize, cells: Vec<u64>) -> Result<Self, SuppressError> {
        let sides = (1..=SIDE_MAX).contains(&rows) && (1..=SIDE_MAX).contains(&columns);
        let fits = sides && rows * columns == cells.len() && cells.len() <= CELLS_MAX;
        if fits && cells.iter().all(|count| *count < 1 << 32) {
            Ok(Self { rows, columns, cells })
        } else {
            Err(SuppressError::Shape)
        }
    }

    /// The cells with a column of row totals and a row of column totals, row by row.
    fn with_totals(&self) -> Vec<u64> {
        let mut grid = Vec::with_capacity((self.rows + 1) * (self.columns + 1));
        let mut totals = vec![0; self.columns + 1];
        for row in self.cells.chunks_exact(self.columns) {
            let whole = [row, &[row.iter().sum()]].concat();
            totals.iter_mut().zip(&whole).for_each(|(total, count)| *total += count);
            grid.extend(whole);
        }
        grid.extend(totals);
        grid
    }
}

/// The rules of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseTerms {
    /// Counts from 1 to one below this are small: 5 to 100.
    pub suppress_below: u32,
    /// Days a table stands before another may replace it.
    pub cool_off_days: u16,
    /// Whether the totals are shown. Cells of a table without totals say nothing of each other.
    pub totals: bool,
}

/// What may leave the centre: cells with a last column of row totals and a last row of column totals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedTable {
    /// Rows, the totals' row not counted.
    pub rows: u32,
    /// Columns, the totals' column not counted.
    pub columns: u32,
    /// Day of the release.
    pub released: Day,
    /// `(rows + 1) * (columns + 1)` figures, row by row.
    pub cells: Vec<PublishedCount>,
}

/// A published table with the counts its figures were fixed at. Store it; show only [`Release::table`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    at: UtcTime,
    suppress_below: u32,
    fixed: Vec<u64>,
    table: PublishedTable,
}

impl std::fmt::Debug for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Release({})", self.table.released)
    }
}

impl Release {
    /// What may be shown.
    #[must_use]
    pub const fn table(&self) -> &PublishedTable {
        &self.table
    }
    /// When it was fixed.
    #[must_use]
    pub const fn at(&self) -> UtcTime {
        self.at
    }
}

/// One position of the grid while a table is prepared.
#[derive(Clone, Copy)]
struct Cell {
    fixed: u64,
    /// Fixed in this very release: the reader knows that nothing moved since.
    fresh: bool,
    hidden: bool,
}

/// Publishes `counts`: the table before, byte for byte, or a new one by the rules above.
///
/// # Errors
/// [`SuppressError::OtherShape`], [`SuppressError::Threshold`].
pub fn release(
    before: Option<&Release>,
    counts: &CountTable,
    terms: ReleaseTerms,
    now: UtcTime,
) -> Result<Release, SuppressError> {
    if !(5..=100).contains(&terms.suppress_below) {
        return Err(SuppressError::Threshold);
    }
    let exact = counts.with_totals();
    let step = u64::from(terms.suppress_below);
    if let Some(before) = before {
        let same = usize::try_from(before.table.rows) == Ok(counts.rows)
            && usize::try_from(before.table.columns) == Ok(counts.columns)
            && before.fixed.len() == exact.len()
            && before.table.cells.len() == exact.len();
        if !same || before.suppress_below != terms.suppress_below {
            return Err(SuppressError::OtherShape);
        }
        let opens = before.at.plus_hours(u32::from(terms.cool_off_days) * 24);
        let moved = before.fixed.iter().zip(&exact).any(|(fixed, count)| fixed.abs_diff(*count) >= step);
        if now < opens || !moved {
            return Ok(before.clone());
        }
    }
    let mut cells = prepare(before, &exact, step);
    if !terms.totals {
        let width = counts.columns + 1;
        let total = |at: usize| at % width == counts.columns || at / width == counts.rows;
        cells.iter_mut().enumerate().filter(|(at, _)| total(*at)).for_each(|(_, cell)| cell.hidden = true);
    }
    hide_secondary(counts, &exact, &mut cells, step);
    let shown =
        cells.iter().map(|cell| if cell.hidden { PublishedCount::Small } else { rounded(cell.fixed) });
    let side = |length| u32::try_from(length).map_err(|_| SuppressError::Shape);
    Ok(Release {
        at: now,
        suppress_below: terms.suppress_below,
        fixed: cells.iter().map(|cell| cell.fixed).collect(),
        table: PublishedTable {
            rows: side(counts.rows)?,
            columns: side(counts.columns)?,
            released: Day::of(now),
            cells: shown.collect(),
        },
    })
}

const fn rounded(count: u64) -> PublishedCount {
    PublishedCount::Rounded((count + ROUNDED_TO / 2) / ROUNDED_TO * ROUNDED_TO)
}

/// Fixes each figure anew if it moved far enough; hides the small ones. A figure hidden before for another's
/// sake stays hidden until it moves itself, so that two releases cannot be laid over each other.
fn prepare(before: Option<&Release>, exact: &[u64], small_below: u64) -> Vec<Cell> {
    let small = |count| (1..small_below).contains(&count);
    let of = |(at, count): (usize, &u64)| match before {
        Some(before) if before.fixed[at].abs_diff(*count) < small_below => {
            let hidden = before.table.cells[at] == PublishedCount::Small;
            Cell { fixed: before.fixed[at], fresh: false, hidden }
        }
        _ => Cell { fixed: *count, fresh: true, hidden: small(*count) },
    };
    exact.iter().enumerate().map(of).collect()
}

/// What a reader who knows the method concludes from one figure.
fn bounds(cell: Cell, small_below: u64, total: bool) -> Bounds {
    let small = (1..small_below).contains(&cell.fixed);
    let (low, high) = match (cell.hidden, cell.fixed) {
        // A hidden total may be small or not, and so may a cell hidden for another's sake.
        (true, _) if total || !small => (0, UNBOUNDED),
        // To be safe the reader is taken to know which cells are small.
        (true, _) => (1, small_below - 1),
        (false, 0) => (0, 0),
        (false, fixed) => {
            let shown = (fixed + ROUNDED_TO / 2) / ROUNDED_TO * ROUNDED_TO;
            (small_below.max(shown.saturating_sub(ROUNDED_TO / 2)), shown + ROUNDED_TO / 2)
        }
    };
    let slack = if cell.fresh { 0 } else { small_below - 1 };
    Bounds { low: low.saturating_sub(slack), high: high + slack }
}

/// Hides figures until each small cell could be anything small.
fn hide_secondary(counts: &CountTable, exact: &[u64], cells: &mut [Cell], small_below: u64) {
    let width = counts.columns + 1;
    let is_total = |at: usize| at % width == counts.columns || at / width == counts.rows;
    let all: Vec<Bounds> =
        cells.iter().enumerate().map(|(at, cell)| bounds(*cell, small_below, is_total(at))).collect();
    let mut flow = Flow::new(counts.rows, counts.columns, exact, &all);
    let small = |cell: &Cell| cell.hidden && (1..small_below).contains(&cell.fixed);
    let protected: Vec<usize> = (0..cells.len()).filter(|at| !is_total(*at) && small(&cells[*at])).collect();
    for at in protected {
        // Hiding widens what is possible, so a cell once safe stays safe.
        while !flow.can_reach(at, 1) || !flow.can_reach(at, small_below - 1) {
            let Some(next) = cheapest(cells, at, width) else { break };
            cells[next].hidden = true;
            flow.set_bounds(next, Bounds { low: 0, high: UNBOUNDED });
        }
    }
}

/// The shown figure whose loss costs least: in the same row or column first, a cell before a total, a count
/// before a zero, the smallest first.
fn cheapest(cells: &[Cell], at: usize, width: usize) -> Option<usize> {
    let height = cells.len() / width;
    let shown = (0..cells.len()).filter(|other| !cells[*other].hidden);
    shown.min_by_key(|other| {
        let line = other / width == at / width || other % width == at % width;
        let total = other % width == width - 1 || other / width == height - 1;
        (cells[*other].fixed == 0, !line, total, cells[*other].fixed, *other)
    })
}

#[cfg(test)]
mod tests;
