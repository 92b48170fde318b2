//! Every pair of rows with Dice at or above a threshold: the exact join of two tables of filters.
//!
//! May see: filters and row numbers. Must not see: refs, agencies, identifiers.

use super::arena::FilterTable;
use super::exec::{Control, Exec};
use super::kernel::{self, Kernel, KernelLevel};
use super::pairs::{Hit, Pairs, keep_best};
use super::tiles::{Rows, Shape, Task};
use crate::wire::Threshold;
use std::sync::atomic::AtomicU64;

/// Candidate pairs a join may keep unless told otherwise (34 bytes a pair at the peak: 1.7 GB).
pub const PAIRS_MAX_DEFAULT: u64 = 50_000_000;

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
    /// The same, without pruning: every common bit of every pair is counted. For measuring, and where nothing prunes.
    Counted,
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

impl Joined {
    /// No pair, nothing done.
    pub(super) fn nothing(level: KernelLevel) -> Self {
        let stats =
            JoinStats { level, pairs_compared: 0, pairs_verified: 0, planes: 0, recall_expected: 1.0 };
        Self { pairs: Pairs::default(), pairs_dropped: 0, stats }
    }
    /// Adds another part's work to the figures.
    pub(super) fn with_work_of(mut self, other: &Self) -> Self {
        self.stats.pairs_compared += other.stats.pairs_compared;
        self.stats.pairs_verified += other.stats.pairs_verified;
        self
    }
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
/// With `top_k` a pair stays when it is among the best k of its row of `a` and, of those, among the best k of
/// its row of `b` (higher score first, then the smaller partner).
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
    let kernel = check(a, b, options)?;
    let (ones_a, ones_b) = (ones(a), ones(b));
    let tables = [Rows { table: a, ones: &ones_a }, Rows { table: b, ones: &ones_b }];
    let kept = AtomicU64::new(0);
    let task = Task { tables, shape: Shape::Whole, threshold, kernel, options, control, kept: &kept };
    let found = task.run(exec)?;
    task.finish(task.cut_both(found)?)
}

/// All pairs of different rows a < b of one table that pass: de-duplication.
///
/// With `top_k` a pair stays when it is among the best k of both its rows.
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
    let kernel = check(a, a, options)?;
    let ones = ones(a);
    let rows = Rows { table: a, ones: &ones };
    let shape = if options.top_k.is_some() { Shape::Mirror } else { Shape::Triangle };
    let kept = AtomicU64::new(0);
    let task = Task { tables: [rows, rows], shape, threshold, kernel, options, control, kept: &kept };
    let mut found = task.run(exec)?;
    if let Some(k) = options.top_k {
        let pause = || control.advance(0);
        let directed = found.hits.len() as u64 + found.dropped;
        keep_best(&mut found.hits, k, [&ones, &ones], pause)?;
        // A pair that both its rows keep stands there twice.
        let (up, mut down): (Vec<Hit>, Vec<Hit>) = found.hits.into_iter().partition(|hit| hit.a < hit.b);
        down.iter_mut().for_each(|hit| *hit = hit.swapped());
        let (up, down) = (Pairs::from_hits(vec![up], pause)?, Pairs::from_hits(vec![down], pause)?);
        let mut down = down.hits().peekable();
        found.hits = up
            .hits()
            .filter(|hit| {
                while down.next_if(|other| other.key() < hit.key()).is_some() {}
                down.peek() == Some(hit)
            })
            .collect();
        found.dropped = directed / 2 - found.hits.len() as u64;
    }
    task.finish(found)
}

pub(super) fn check(a: &FilterTable, b: &FilterTable, options: &JoinOptions) -> Result<Kernel, JoinError> {
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
        numbered(side, table.rows())?;
        if table.words().iter().all(|word| *word == 0) {
            return Err(JoinError::AllEmpty { side });
        }
    }
    if options.top_k == Some(0) {
        return Err(JoinError::Option { name: "top_k", range: "1 or more" });
    }
    Kernel::new(options.level).ok_or(JoinError::Level(options.level))
}

/// A row number is a `u32`, so that 2^32 rows are one too many.
fn numbered(side: Side, rows: usize) -> Result<(), JoinError> {
    u32::try_from(rows).map(|_| ()).map_err(|_| JoinError::TooManyRows { side, rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linkage::made_up::{Dice, noisy_copy, random, stacked};
    use proptest::prelude::*;

    fn options(level: KernelLevel) -> JoinOptions {
        JoinOptions { level, ..JoinOptions::default() }
    }
    fn run(a: &FilterTable, b: &FilterTable, threshold: Threshold, options: &JoinOptions) -> Joined {
        join(a, b, threshold, options, Exec::Serial, &Control::new()).unwrap()
    }
    fn threshold(text: &str) -> Threshold {
        text.parse().unwrap()
    }

    /// What this processor must run, found without `KernelLevel`.
    fn expected_levels() -> Vec<KernelLevel> {
        let mut levels = vec![KernelLevel::Scalar, KernelLevel::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                levels.push(KernelLevel::Avx2);
            }
            if is_x86_feature_detected!("avx512vpopcntdq") && is_x86_feature_detected!("avx512bw") {
                levels.push(KernelLevel::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        levels.push(KernelLevel::Neon);
        levels
    }

    /// Random, skewed, empty, full and duplicate rows; sizes off every boundary.
    fn mixture(seed: u64, rows: usize, words: usize) -> (FilterTable, FilterTable) {
        let mut dice = Dice::new(seed);
        let base = random(&mut dice, rows, words, 2);
        let (thin, thick) = (random(&mut dice, 7, words, 1), random(&mut dice, 7, words, 3));
        let special =
            FilterTable::new([vec![0; words], vec![u64::MAX; words], vec![1; words]].concat(), words);
        let flips = words * 64 / 3;
        let a = stacked(&[&base, &thin, &special, &thick, &special]);
        let b = stacked(&[
            &noisy_copy(&mut dice, &a, rows, flips),
            &special,
            &base,
            &noisy_copy(&mut dice, &thin, 9, flips),
        ]);
        (a, b)
    }

    #[test]
    fn every_kernel_of_this_machine_equals_the_scalar_reference() {
        let levels = expected_levels();
        for (rows, words) in
            [(1, 1), (70, 2), (129, 3), (511, 4), (530, 8), (301, 16), (90, 32), (40, 64), (9, 256)]
        {
            let (a, b) = mixture(rows as u64, rows, words);
            for t in ["0.35", "0.6", "0.8", "0.95", "1"].map(threshold) {
                let truth = run(&a, &b, t, &options(KernelLevel::Scalar));
                assert!(!truth.pairs.is_empty());
                for level in &levels {
                    let joined = run(&a, &b, t, &options(*level));
                    assert_eq!(joined.stats.level, *level);
                    let sketched = *level != KernelLevel::Scalar && rows > 1; // a few rows are compared in full
                    assert_eq!(joined.stats.planes > 0, sketched, "the sketch ran");
                    assert!(joined.pairs == truth.pairs, "{level} {words} words {rows} rows {t}");
                    let options = JoinOptions { mode: JoinMode::Counted, ..options(*level) };
                    let counted = run(&a, &b, t, &options);
                    assert!(counted.pairs == truth.pairs, "{level} {words} words {rows} rows {t}, counted");
                }
            }
        }
    }

    #[test]
    fn the_levels_of_the_processor_are_offered() {
        let offered: Vec<KernelLevel> = KernelLevel::available().collect();
        assert_eq!(offered, expected_levels());
        assert_eq!(KernelLevel::detect(), *expected_levels().last().unwrap());
        for level in KernelLevel::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
            if !offered.contains(&level) {
                let table = FilterTable::new(vec![1], 1);
                let refused =
                    join(&table, &table, threshold("0.8"), &options(level), Exec::Serial, &Control::new());
                assert_eq!(refused, Err(JoinError::Level(level)));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Pairs sit exactly at, one bit under and one bit over the bound.
        #[test]
        fn no_qualifying_pair_is_ever_lost(seed in any::<u64>(), rows in 1usize..700, words in 1usize..9, percent in 30u32..=100) {
            let mut dice = Dice::new(seed);
            let t = Threshold::new(percent, 100).unwrap();
            let a = random(&mut dice, rows, words, 1 + (seed % 3) as u8);
            let mut near = Vec::new();
            for row in 0..rows {
                let mut copy = a.row(row).to_vec();
                let total = 2 * a.row(row).iter().map(|w| w.count_ones()).sum::<u32>();
                let flips = super::super::sketch::bound(t, total) as usize + dice.below(3);
                for _ in 0..flips.saturating_sub(1) {
                    let bit = dice.below(64 * words);
                    copy[bit / 64] ^= 1 << (bit % 64);
                }
                near.extend(copy);
            }
            let b = FilterTable::new(near, words);
            prop_assume!(b.words().iter().any(|w| *w != 0) && a.words().iter().any(|w| *w != 0));
            let truth = run(&a, &b, t, &options(KernelLevel::Scalar));
            for level in KernelLevel::available() {
                prop_assert_eq!(&run(&a, &b, t, &options(level)).pairs, &truth.pairs);
            }
        }
    }

    #[test]
    fn pool_and_serial_self_join_and_join_agree() {
        let mut dice = Dice::new(5);
        let base = random(&mut dice, 900, 8, 2);
        let a = stacked(&[&base, &noisy_copy(&mut dice, &base, 900, 120)]);
        let t = threshold("0.75");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for top_k in [None, Some(1), Some(2)] {
            let options = JoinOptions { top_k, ..JoinOptions::default() };
            let serial = run(&a, &base, t, &options);
            let parallel = join(&a, &base, t, &options, Exec::Pool(&pool), &Control::new()).unwrap();
            assert!(serial == parallel && !serial.pairs.is_empty());
            assert_eq!(serial.pairs_dropped > 0, top_k.is_some());
            let one = self_join(&a, t, &options, Exec::Serial, &Control::new()).unwrap();
            let two = self_join(&a, t, &options, Exec::Pool(&pool), &Control::new()).unwrap();
            assert!(one == two);
            let scalar = JoinOptions { level: KernelLevel::Scalar, ..options };
            let truth = self_join(&a, t, &scalar, Exec::Serial, &Control::new()).unwrap();
            assert!(one.pairs == truth.pairs && one.pairs_dropped == truth.pairs_dropped, "{top_k:?}");
            if top_k.is_none() {
                let both = run(&a, &a, t, &options).pairs;
                assert_eq!(one.pairs, both.iter().filter(|(x, y, _)| x < y).collect());
            }
        }
    }

    #[test]
    fn the_best_partners_stay_and_the_rest_is_counted() {
        let words = |n: u32| u64::MAX >> (64 - n);
        let a = FilterTable::new(vec![words(60)], 1);
        let b = FilterTable::new(vec![words(50), words(60), words(59)], 1);
        let options = JoinOptions { top_k: Some(2), ..JoinOptions::default() };
        let joined = run(&a, &b, threshold("0.5"), &options);
        assert_eq!(joined.pairs.iter().collect::<Vec<_>>(), [(0, 1, 60), (0, 2, 59)]);
        assert_eq!(joined.pairs_dropped, 1);
    }

    #[test]
    fn too_many_pairs_stop_the_join_with_advice() {
        let a = FilterTable::new(vec![3; 3000], 1);
        let options = JoinOptions { pairs_max: 1000, ..JoinOptions::default() };
        let refused = join(&a, &a, threshold("0.8"), &options, Exec::Serial, &Control::new()).unwrap_err();
        assert!(matches!(refused, JoinError::TooManyPairs { pairs_max: 1000, .. }));
        assert!(refused.to_string().contains("raise the threshold"));
        let options = JoinOptions { top_k: Some(1), pairs_max: 5000, ..options };
        assert_eq!(
            run(&a, &a, threshold("0.8"), &options).pairs.len(),
            1,
            "one partner a record of either side"
        );
    }

    #[test]
    fn the_cap_holds_over_all_threads_at_once() {
        let a = FilterTable::new(vec![3; 5000], 1);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let control = Control::new();
        let options = JoinOptions { pairs_max: 600_000, ..JoinOptions::default() };
        let refused = join(&a, &a, threshold("0.8"), &options, Exec::Pool(&pool), &control);
        assert!(matches!(refused, Err(JoinError::TooManyPairs { pairs_max: 600_000, .. })));
        assert!(control.pairs_done() < 12_500_000, "each thread stopped, not each at a cap of its own");
    }

    #[test]
    fn thresholds_and_row_numbers_have_bounds() {
        for (num, den) in [(0, 1), (2, 1), (1_000_001, 1_000_000)] {
            assert!(Threshold::new(num, den).is_err(), "{num}/{den}");
        }
        for text in ["0", "1.1", "-0.8", "80"] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
        let most = u32::MAX as usize;
        assert_eq!(numbered(Side::A, most), Ok(()));
        let refused = numbered(Side::B, most + 1);
        assert_eq!(refused, Err(JoinError::TooManyRows { side: Side::B, rows: 1 << 32 }));
    }

    #[test]
    fn bad_tables_are_refused_by_name() {
        let (one, two) = (FilterTable::new(vec![1], 1), FilterTable::new(vec![1, 1], 2));
        let (none, empty) = (FilterTable::new(vec![], 1), FilterTable::new(vec![0; 3], 1));
        let long = FilterTable::new(vec![1; 257], 257);
        let t = threshold("0.8");
        let refusal = |a: &FilterTable, b: &FilterTable, options: &JoinOptions| {
            join(a, b, t, options, Exec::Serial, &Control::new()).unwrap_err()
        };
        let usual = JoinOptions::default();
        assert_eq!(refusal(&one, &two, &usual), JoinError::Lengths { a_bits: 64, b_bits: 128 });
        assert_eq!(refusal(&one, &none, &usual), JoinError::NoRows { side: Side::B });
        assert_eq!(refusal(&empty, &one, &usual), JoinError::AllEmpty { side: Side::A });
        assert_eq!(refusal(&long, &long, &usual), JoinError::Bits { bits: 64 * 257 });
        let none_kept = JoinOptions { top_k: Some(0), ..usual };
        assert!(matches!(refusal(&one, &one, &none_kept), JoinError::Option { name: "top_k", .. }));
    }

    /// A look at the flag costs nothing, a join looks at least once in 2^20 pairs: 1 ms with vectors, 10 ms without.
    #[test]
    fn no_work_between_two_looks_at_the_cancel_flag_is_long() {
        let mut dice = Dice::new(8);
        let a = random(&mut dice, 5_000, 1, 2);
        for level in expected_levels().into_iter().filter(|level| *level != KernelLevel::Scalar) {
            for mode in [JoinMode::Exact, JoinMode::Counted] {
                let control = Control::new();
                let options = JoinOptions { mode, ..options(level) };
                join(&a, &a, threshold("0.95"), &options, Exec::Serial, &control).unwrap();
                assert_eq!(control.pairs_done(), 25_000_000);
                assert!(control.longest_step() <= 1 << 20, "{level}: {}", control.longest_step());
            }
        }
    }

    #[test]
    fn a_cancelled_join_stops_and_progress_ends_at_the_total() {
        let a = random(&mut Dice::new(1), 1500, 4, 2);
        let control = Control::new();
        join(&a, &a, threshold("0.9"), &JoinOptions::default(), Exec::Serial, &control).unwrap();
        assert_eq!((control.pairs_done(), control.pairs_total()), (1500 * 1500, 1500 * 1500));
        control.cancel();
        let stopped = join(&a, &a, threshold("0.9"), &JoinOptions::default(), Exec::Serial, &control);
        assert_eq!(stopped, Err(JoinError::Cancelled));
    }
}
