//! Published tables: counts that may leave the centre.

use super::PublishedCount;
use crate::wire::{ProjectId, RunId};
use serde::{Deserialize, Serialize};

/// A published table. Where rows and columns add up, the last row and the last column are totals, rounded from exact
/// totals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMessage {
    /// The project.
    pub project: ProjectId,
    /// Which table, with what is supposed: `known-to?without=police`.
    pub table: String,
    /// In words.
    pub title: String,
    /// The run whose children are counted; the same for every table until a later one is taken for all.
    pub run: RunId,
    /// Day on which these figures were fixed, `YYYY-MM-DD`.
    pub released: String,
    /// Counts from 1 to one below this are shown as `"c"`, as are others that would give one away.
    pub suppressed_below: u32,
    /// What each row counts.
    pub rows: Vec<String>,
    /// What each column counts.
    pub columns: Vec<String>,
    /// The figures, one list a row.
    pub cells: Vec<Vec<PublishedCount>>,
}
