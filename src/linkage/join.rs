//! Every pair of rows with Dice at or above a threshold: the exact join of two tables of filters.
//!
//! May see: filters and row numbers. Must not see: refs, agencies, identifiers.

use super::arena::FilterTable;
use super::exec::{Control, Exec};
use super::kernel::{self, KernelLevel};
use super::pairs::{Hit, Pairs, keep_best};
use crate::wire::Threshold;

/// Candidate pairs a join may keep unless told otherwise: 1 GB of memory at 10 bytes a pair.
pub const PAIRS_MAX_DEFAULT: u64 = 100_000_000;

/// How to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinOptions {
    /// Kernel; [`KernelLevel::detect`] unless forced.
    pub level: KernelLevel,
    /// The join stops with [`JoinError::TooManyPairs`] beyond this many pairs.
    pub pairs_max: u64,
    /// Keep at most so many partners a record of either side; `None` keeps all.
    pub top_k: Option<u32>,
    /// Exact, or lossy by choice.
    pub mode: JoinMode,
}

impl Default for JoinOptions {
    fn default() -> Self {
        Self {
            level: KernelLevel::detect(),
            pairs_max: PAIRS_MAX_DEFAULT,
            top_k: None,
            mode: JoinMode::Exact,
        }
    }
}

/// Exact, or lossy by choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinMode {
    /// Every qualifying pair is found.
    Exact,
    /// Hamming LSH: only pairs that agree on all `bits` sampled positions in one of `tables` samples are
    /// looked at. The expected recall at the threshold is reported in [`JoinStats`].
    Lsh {
        /// Samples, 1 to 1,000.
        tables: u16,
        /// Positions a sample, 1 to 64.
        bits: u8,
    },
}

/// The pairs and how they were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// Pairs, ascending by (a, b).
    pub pairs: Pairs,
    /// Pairs over the threshold that `top_k` dropped; 0 means complete (or lossy only by `mode`).
    pub pairs_dropped: u64,
    /// Figures for the log and the report.
    pub stats: JoinStats,
}

/// Figures of one join.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JoinStats {
    /// Kernel that ran.
    pub level: KernelLevel,
    /// Pairs decided.
    pub pairs_compared: u64,
    /// Pairs that no bound excluded and whose full rows were read.
    pub pairs_verified: u64,
    /// Planes of the sketch that pruned, 0 when every full row was read.
    pub planes: u32,
    /// Expected share of the pairs *at* the threshold that are found: 1.0 in exact mode.
    pub recall_expected: f64,
}

/// Which table is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first table.
    A,
    /// The second table.
    B,
}

/// Why a join is refused or stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Filters of different lengths.
    #[error("filters of {a_bits} and {b_bits} bits cannot be compared: encode both sides under one schema")]
    Lengths {
        /// Length in the first table.
        a_bits: usize,
        /// Length in the second table.
        b_bits: usize,
    },
    /// A length out of range.
    #[error("filters of {bits} bits cannot be joined: the range is 64 to 16384")]
    Bits {
        /// Length found.
        bits: usize,
    },
    /// A table without rows.
    #[error("table {side:?} has no rows")]
    NoRows {
        /// Which table.
        side: Side,
    },
    /// A table in which no filter has a bit set.
    #[error("all filters of table {side:?} are empty: check the encoder's schema and column map")]
    AllEmpty {
        /// Which table.
        side: Side,
    },
    /// More rows than a row number can name.
    #[error("table {side:?} has {rows} rows: at most 4294967295 can be joined")]
    TooManyRows {
        /// Which table.
        side: Side,
        /// Rows found.
        rows: usize,
    },
    /// The threshold lets too many pairs through.
    #[error(
        "more than {pairs_max} pairs reach Dice {threshold}: raise the threshold, keep fewer partners a record, or compare inside tags"
    )]
    TooManyPairs {
        /// The cap.
        pairs_max: u64,
        /// The threshold of the join.
        threshold: Threshold,
    },
    /// An option out of range.
    #[error("option {name} is out of range: {range}")]
    Option {
        /// Its name.
        name: &'static str,
        /// What is allowed.
        range: &'static str,
    },
    /// One view has tags and the other has none, or tags do not fit the rows.
    #[error(
        "table {side:?}: {tags} tags for {rows} rows: a view has one tag a row on both sides, or none on both"
    )]
    Tags {
        /// Which table.
        side: Side,
        /// Tags found.
        tags: usize,
        /// Rows found.
        rows: usize,
    },
    /// A row number beyond the table.
    #[error("table {side:?} has no row {row}")]
    Row {
        /// Which table.
        side: Side,
        /// The row asked for.
        row: u32,
    },
    /// This machine cannot run the kernel asked for.
    #[error("this machine cannot run kernel '{0}'")]
    Level(KernelLevel),
    /// Stopped on request.
    #[error("the join was cancelled")]
    Cancelled,
}

/// Set bits of each row, 0 to 16,384.
#[must_use]
pub fn ones(table: &FilterTable) -> Vec<u16> {
    kernel::ones(table.words(), table.words_per_row())
}

/// All pairs (row of `a`, row of `b`) that pass `threshold`.
///
/// # Errors
/// [`JoinError`] for tables that cannot be compared, too many pairs, or cancellation.
pub fn join(
    a: &FilterTable,
    b: &FilterTable,
    threshold: Threshold,
    options: &JoinOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Joined, JoinError> {
    check(a, b, options)?;
    let (ones_a, ones_b) = (ones(a), ones(b));
    let mut hits = Vec::new();
    let _ = exec;
    control.plan(a.rows() as u64 * b.rows() as u64);
    kernel::scalar::join(a, b, threshold, |row_a, row_b, common| {
        hits.push(Hit { a: row_a, b: row_b, common });
    });
    control.advance(a.rows() as u64 * b.rows() as u64)?;
    finish(hits, threshold, options, &ones_a, &ones_b)
}

fn finish(
    mut hits: Vec<Hit>,
    threshold: Threshold,
    options: &JoinOptions,
    ones_a: &[u16],
    ones_b: &[u16],
) -> Result<Joined, JoinError> {
    let mut pairs_dropped = 0;
    if let Some(k) = options.top_k {
        pairs_dropped += keep_best(&mut hits, k, ones_a, ones_b);
        hits.iter_mut().for_each(|hit| *hit = hit.swapped());
        pairs_dropped += keep_best(&mut hits, k, ones_b, ones_a);
        hits.iter_mut().for_each(|hit| *hit = hit.swapped());
    }
    if hits.len() as u64 > options.pairs_max {
        return Err(JoinError::TooManyPairs { pairs_max: options.pairs_max, threshold });
    }
    let compared = ones_a.len() as u64 * ones_b.len() as u64;
    let stats = JoinStats {
        level: options.level,
        pairs_compared: compared,
        pairs_verified: compared,
        planes: 0,
        recall_expected: 1.0,
    };
    Ok(Joined { pairs: Pairs::from_hits(vec![hits]), pairs_dropped, stats })
}

/// All pairs of different rows a < b of one table that pass: de-duplication.
///
/// # Errors
/// As [`join`].
pub fn self_join(
    a: &FilterTable,
    threshold: Threshold,
    options: &JoinOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Joined, JoinError> {
    let mut joined = join(a, a, threshold, options, exec, control)?;
    joined.pairs = joined.pairs.iter().filter(|(a, b, _)| a < b).collect();
    Ok(joined)
}

pub(super) fn check(a: &FilterTable, b: &FilterTable, options: &JoinOptions) -> Result<(), JoinError> {
    if a.bits() != b.bits() {
        return Err(JoinError::Lengths { a_bits: a.bits(), b_bits: b.bits() });
    }
    if a.bits() > crate::wire::limits::FILTER_BITS_MAX as usize {
        return Err(JoinError::Bits { bits: a.bits() });
    }
    for (side, table) in [(Side::A, a), (Side::B, b)] {
        if table.rows() == 0 {
            return Err(JoinError::NoRows { side });
        }
        if u32::try_from(table.rows()).is_err() {
            return Err(JoinError::TooManyRows { side, rows: table.rows() });
        }
        if table.words().iter().all(|word| *word == 0) {
            return Err(JoinError::AllEmpty { side });
        }
    }
    if options.top_k == Some(0) {
        return Err(JoinError::Option { name: "top_k", range: "1 or more" });
    }
    if !options.level.is_available() {
        return Err(JoinError::Level(options.level));
    }
    Ok(())
}
