//! The only unsafe room: counting kernels for each instruction set, behind safe wrappers.
//!
//! May see: words and counts. Must not see: refs, agencies, anything that is not a bit.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
pub(crate) mod scalar;

pub(crate) use lanes::{PICKS, PLANE_WORDS};

use std::fmt;
use std::str::FromStr;

/// A way to count bits, chosen once a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KernelLevel {
    /// The reference: every pair, word by word. For tests; slow.
    Scalar,
    /// Plain Rust on 64-bit words, on any machine.
    Portable,
    /// aarch64 NEON.
    Neon,
    /// x86-64 AVX2.
    Avx2,
    /// x86-64 AVX-512 F, BW, VL and VPOPCNTDQ.
    Avx512,
}

/// No kernel has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kernel is one of scalar, portable, neon, avx2, avx512")]
pub struct KernelNameError;

impl KernelLevel {
    /// All levels, slowest first.
    pub const ALL: [Self; 5] = [Self::Scalar, Self::Portable, Self::Neon, Self::Avx2, Self::Avx512];

    /// The fastest level this machine can run.
    #[must_use]
    pub fn detect() -> Self {
        Self::ALL.into_iter().rev().find(|level| level.is_available()).unwrap_or(Self::Portable)
    }
    /// Whether this machine can run it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar | Self::Portable => true,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512vl")
                    && std::arch::is_x86_feature_detected!("avx512vpopcntdq")
                    && std::arch::is_x86_feature_detected!("popcnt")
            }
            #[allow(unreachable_patterns, reason = "the levels of other processors")]
            _ => false,
        }
    }
    /// All levels this machine can run, slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|level| level.is_available())
    }
}

impl fmt::Display for KernelLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        })
    }
}

impl FromStr for KernelLevel {
    type Err = KernelNameError;
    fn from_str(text: &str) -> Result<Self, KernelNameError> {
        Self::ALL.into_iter().find(|level| level.to_string() == text).ok_or(KernelNameError)
    }
}

/// Set bits of each row of `words_per_row` words.
pub(crate) fn ones(words: &[u64], words_per_row: usize) -> Vec<u16> {
    let kernel = Kernel::new(KernelLevel::detect()).unwrap_or(Kernel(KernelLevel::Portable));
    words.chunks_exact(words_per_row).map(|row| kernel.common(row, row) as u16).collect()
}

/// A level this machine was seen to run: the proof that lets the hot paths not ask again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kernel(KernelLevel);

impl Kernel {
    /// The kernel of `level`, where this machine can run it.
    pub(crate) fn new(level: KernelLevel) -> Option<Self> {
        level.is_available().then_some(Self(level))
    }

    /// Its level.
    pub(crate) fn level(self) -> KernelLevel {
        self.0
    }

    /// Common bits of two rows of one length.
    ///
    /// # Panics
    /// When the lengths differ.
    #[inline]
    pub(crate) fn common(self, a: &[u64], b: &[u64]) -> u32 {
        assert!(a.len() == b.len(), "rows of one length");
        match self.0 {
            KernelLevel::Scalar => scalar::common(a, b),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Kernel::new` saw the instruction set.
            KernelLevel::Avx2 => unsafe { avx2::common(a, b) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Kernel::new` saw the instruction set.
            KernelLevel::Avx512 => unsafe { avx512::common(a, b) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: `Kernel::new` saw the instruction set.
            KernelLevel::Neon => unsafe { neon::common(a, b) },
            _ => portable::common(a, b),
        }
    }

    /// Sweeps the rows `rows` of picks over one block of 512 records; the row's eight words in `over` get a bit set where
    /// `start[row]` plus the number of the row's first `count` planes with the record's bit reaches `2^counter_bits`.
    ///
    /// `planes` holds eight words a plane; `start` and `over` (eight words a row) begin at the first of `rows`.
    /// `counter_bits` comes from [`counter_bits`]; every start is below `2^counter_bits`.
    ///
    /// # Panics
    /// When a length does not fit the others.
    pub(crate) fn sweep(
        self,
        counter_bits: u32,
        planes: &[u64],
        (picks, rows, count): (&Picks, std::ops::Range<usize>, usize),
        start: &[u32],
        over: &mut [u64],
    ) {
        assert!(planes.len() >= picks.planes * PLANE_WORDS, "every pick names a plane");
        assert!(count.is_multiple_of(PICKS) && count <= picks.stride, "no more picks than a row has");
        assert!(start.len() == rows.len(), "one start a row");
        assert!(over.len() == rows.len() * PLANE_WORDS, "one plane a row");
        let stride = picks.stride;
        let picks = &picks.picks[rows.start * stride..rows.end * stride];
        let work = lanes::Sweep {
            planes: planes.as_ptr(),
            picks: picks.as_ptr(),
            stride,
            count,
            start: start.as_ptr(),
            over: over.as_mut_ptr(),
            rows: rows.len(),
        };
        // SAFETY: the lengths were checked above, `Picks` holds numbers below `planes` only; `Kernel::new` saw the
        // level.
        unsafe {
            match counter_bits {
                9 => dispatch::<3>(self.0, work),
                11 => dispatch::<5>(self.0, work),
                _ => dispatch::<10>(self.0, work),
            }
        }
    }
}

/// The planes each row wants counted, most telling first. The private fields are the proof that every number is
/// below `planes`. Plane 0 is empty by agreement: it fills up rows that want fewer.
#[derive(Clone, Default)]
pub(crate) struct Picks {
    picks: Vec<u16>,
    stride: usize,
    planes: usize,
}

impl Picks {
    /// Room for rows of `stride` picks each (a multiple of [`PICKS`]) out of `planes` planes.
    ///
    /// # Panics
    /// When there is no plane 0 to fill up with, or a number would not fit.
    pub(crate) fn new(stride: usize, planes: usize) -> Self {
        assert!((1..=1 << 16).contains(&planes) && stride.is_multiple_of(PICKS), "planes have short numbers");
        Self { picks: Vec::new(), stride, planes }
    }
    /// One more row: bit p of `wishes` asks for plane p + 1. The first ones are granted.
    ///
    /// # Panics
    /// When there is no such plane.
    pub(crate) fn push_row(&mut self, wishes: &[u64]) {
        let start = self.picks.len();
        self.picks.resize(start + self.stride, 0);
        let (row, mut at) = (&mut self.picks[start..], 0);
        let mut last = 0;
        for (word, wishes) in wishes.iter().enumerate() {
            let mut left = *wishes;
            while left != 0 && at < row.len() {
                last = 64 * word + left.trailing_zeros() as usize + 1;
                row[at] = last as u16;
                left &= left - 1;
                at += 1;
            }
        }
        assert!(last < self.planes, "a plane of the block"); // numbers rise along a row
    }
    /// The highest plane among the first `count` picks of any row.
    pub(crate) fn last_plane(&self, count: usize) -> usize {
        let rows = self.picks.chunks_exact(self.stride.max(1));
        rows.flat_map(|row| &row[..count]).max().map_or(0, |plane| usize::from(*plane))
    }
    /// Picks a row has room for.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }
}

/// Bits of the counters that hold `count_max`: one of the widths the kernels are built for.
pub(crate) fn counter_bits(count_max: u32) -> u32 {
    match count_max {
        0..512 => 9,
        512..2048 => 11,
        _ => 16,
    }
}

/// # Safety
/// As [`lanes::sweep`] for the instruction set of `level`.
unsafe fn dispatch<const HIGH: usize>(level: KernelLevel, work: lanes::Sweep) {
    // SAFETY: the caller's promise.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            KernelLevel::Avx2 => avx2::run::<HIGH>(work),
            #[cfg(target_arch = "x86_64")]
            KernelLevel::Avx512 => avx512::run::<HIGH>(work),
            #[cfg(target_arch = "aarch64")]
            KernelLevel::Neon => neon::run::<HIGH>(work),
            _ => portable::run::<HIGH>(work),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linkage::made_up::Dice;

    const CANARY: u64 = 0x5eed_ca11_0ff5_e775;

    /// What the kernel room must run on this processor, found without [`KernelLevel`].
    fn expected() -> Vec<KernelLevel> {
        #[cfg_attr(miri, expect(unused_mut, reason = "no processor but the interpreter"))]
        let mut levels = vec![KernelLevel::Scalar, KernelLevel::Portable];
        #[cfg(all(target_arch = "x86_64", not(miri)))]
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

    /// The lanes of each word that are counted over: under Miri three, which is there for the memory and not for the sums.
    const LANES: u64 = if cfg!(miri) { 1 | 1 << 29 | 1 << 63 } else { u64::MAX };

    /// One sweep, counted bit by bit.
    fn slow(bits: u32, planes: &[u64], picks: &[u16], start: u32) -> [u64; PLANE_WORDS] {
        let mut over = [0; PLANE_WORDS];
        for (word, over) in over.iter_mut().enumerate() {
            for lane in (0..64).filter(|lane| LANES >> lane & 1 == 1) {
                let set = |pick: &&u16| planes[usize::from(**pick) * PLANE_WORDS + word] >> lane & 1 == 1;
                let count = picks.iter().filter(set).count() as u32;
                *over |= u64::from(start + count >= 1 << bits) << lane;
            }
        }
        over
    }

    /// Every level, every counter width, each kind of tail, planes and results at each word offset from a cache line,
    /// canaries on both sides of what is written and of what is read.
    #[test]
    fn every_level_counts_as_the_slow_one_and_touches_nothing_else() {
        let mut dice = Dice::new(77);
        let mut ran = Vec::new();
        let all = if cfg!(miri) { 70 } else { 300 };
        for level in expected() {
            let kernel = Kernel::new(level).expect("this processor can run it");
            for (turn, count) in [8, 16, 24, 32, 40, 56, 64, 72, 120, 128, 136, 264].into_iter().enumerate() {
                let (bits, rows, skip) = ([9, 11, 16][turn % 3], 1 + turn % 4, turn % 8);
                let mut planes = vec![CANARY; skip + all * PLANE_WORDS + 8];
                let inner = &mut planes[skip..skip + all * PLANE_WORDS];
                inner.iter_mut().for_each(|word| *word = dice.word() | dice.word());
                inner[..PLANE_WORDS].fill(0);
                let mut picks = Picks::new(count, all);
                let mut wishes = vec![0; all.div_ceil(64)];
                for _ in 0..rows {
                    wishes.iter_mut().for_each(|word| *word = dice.word() | dice.word());
                    let last = wishes.len() - 1;
                    wishes[last] &= u64::MAX >> (64 - (all - 1 - 64 * last)); // plane `all` is none
                    picks.push_row(&wishes);
                }
                let near = |dice: &mut Dice| (1u32 << bits) - 1 - dice.below(count.min(200)) as u32;
                let start: Vec<u32> = (0..rows).map(|_| near(&mut dice)).collect();
                let mut over = vec![CANARY; skip + rows * PLANE_WORDS + 8];
                let to = &mut over[skip..skip + rows * PLANE_WORDS];
                kernel.sweep(
                    bits,
                    &planes[skip..skip + all * PLANE_WORDS],
                    (&picks, 0..rows, count),
                    &start,
                    to,
                );
                for (row, start) in start.iter().enumerate() {
                    let picked = &picks.picks[row * count..(row + 1) * count];
                    let truth = slow(bits, &planes[skip..], picked, *start);
                    let at = skip + row * PLANE_WORDS;
                    let counted: Vec<u64> =
                        over[at..at + PLANE_WORDS].iter().map(|word| word & LANES).collect();
                    assert_eq!(counted, truth, "{level} {count} planes, row {row}");
                }
                let end = skip + rows * PLANE_WORDS;
                assert!(over[..skip].iter().chain(&over[end..]).all(|word| *word == CANARY), "{level}");
            }
            ran.push(level);
        }
        assert_eq!(ran, expected(), "an expected level did not run");
        assert_eq!(KernelLevel::available().collect::<Vec<_>>(), expected());
    }

    #[test]
    fn common_bits_of_rows_at_any_offset_equal_the_reference() {
        let mut dice = Dice::new(5);
        let words: Vec<u64> = (0..600).map(|_| dice.word()).collect();
        for level in expected() {
            let kernel = Kernel::new(level).expect("this processor can run it");
            for len in [0, 1, 3, 7, 8, 9, 15, 16, 17, 33, 64, 256] {
                for skip in 0..9 {
                    let (x, y) = (&words[skip..skip + len], &words[300 - skip..300 - skip + len]);
                    assert_eq!(kernel.common(x, y), scalar::common(x, y), "{level} {len} words at {skip}");
                }
            }
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused_before_anything_is_read() {
        let kernel = Kernel::new(KernelLevel::detect()).expect("detected");
        let mut picks = Picks::new(8, 10);
        picks.push_row(&[0b1_1111_1111]);
        let sweep = |planes: usize, count: usize, starts: usize, over: usize| {
            let (planes, start) = (vec![0; planes], vec![0; starts]);
            let mut over = vec![0; over];
            let run = || kernel.sweep(9, &planes, (&picks, 0..1, count), &start, &mut over);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_ok()
        };
        assert!(sweep(80, 8, 1, 8));
        assert!(!sweep(79, 8, 1, 8) && !sweep(80, 16, 1, 8) && !sweep(80, 7, 1, 8));
        assert!(!sweep(80, 8, 2, 8) && !sweep(80, 8, 1, 9));
        let beyond = || Picks::new(8, 3).push_row(&[0b100]);
        assert!(std::panic::catch_unwind(beyond).is_err(), "plane 3 of 3");
    }
}
