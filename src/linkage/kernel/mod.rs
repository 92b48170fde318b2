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

pub(crate) use lanes::{PLANE_WORDS, UNIT_GROUPS, UNIT_WORDS};

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

    /// Sweeps the selector rows `rows` over one block of 512 records; the row's eight words in `over` get a bit
    /// set where `start[row]` plus the number of picked planes with the record's bit reaches `2^counter_bits`.
    ///
    /// `planes` is a whole number of units ([`UNIT_WORDS`] words each); `start` and `over` (eight words a row) begin at
    /// the first of `rows`. `counter_bits` comes from [`counter_bits`] and holds the number of planes and every start.
    ///
    /// # Panics
    /// When a length does not fit the others.
    pub(crate) fn sweep(
        self,
        counter_bits: u32,
        planes: &[u64],
        (selectors, rows): (&Selectors, std::ops::Range<usize>),
        start: &[u32],
        over: &mut [u64],
    ) {
        let units = planes.len() / UNIT_WORDS;
        assert!(planes.len() == units * UNIT_WORDS, "whole units only");
        assert!(start.len() == rows.len(), "one start a row");
        assert!(over.len() == rows.len() * PLANE_WORDS, "one plane a row");
        let selectors = &selectors.0[rows.start * units * UNIT_GROUPS..rows.end * units * UNIT_GROUPS];
        let work = lanes::Sweep {
            planes: planes.as_ptr(),
            units,
            selectors: selectors.as_ptr(),
            start: start.as_ptr(),
            over: over.as_mut_ptr(),
            rows: rows.len(),
        };
        // SAFETY: the lengths were checked above, `Selectors` holds multiples of 64 below 256 only, so that each load
        // stays inside its group; `Kernel::new` saw the level.
        unsafe {
            match counter_bits {
                9 => dispatch::<4>(self.0, work),
                11 => dispatch::<6>(self.0, work),
                _ => dispatch::<11>(self.0, work),
            }
        }
    }
}

/// One byte a group, row and unit: which of the group's four planes to pick. The private field is the proof that
/// every byte is 0, 64, 128 or 192.
#[derive(Clone, Default)]
pub(crate) struct Selectors(Vec<u8>);

impl Selectors {
    /// Room for `units` units.
    pub(crate) fn with_capacity(units: usize) -> Self {
        Self(Vec::with_capacity(units * UNIT_GROUPS))
    }
    /// The selectors of one unit: group g picks by bits g and 32 + g of `word`.
    pub(crate) fn push_unit(&mut self, word: u64) {
        for byte in 0..4 {
            let (low, high) = (word >> (8 * byte) & 255, word >> (32 + 8 * byte) & 255);
            let eight = SPREAD[low as usize] | SPREAD[high as usize] << 1;
            self.0.extend_from_slice(&eight.to_le_bytes());
        }
    }
}

/// Bit i of the index as bit 6 of byte i.
static SPREAD: [u64; 256] = {
    let mut spread = [0u64; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            spread[byte] |= (byte as u64 >> bit & 1) << (8 * bit + 6);
            bit += 1;
        }
        byte += 1;
    }
    spread
};

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
