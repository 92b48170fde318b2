//! The only unsafe room: counting kernels for each instruction set, behind safe wrappers.
//!
//! May see: words and counts. Must not see: refs, agencies, anything that is not a bit.

pub(crate) mod scalar;

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
    let count = |row: &[u64]| row.iter().map(|word| word.count_ones()).sum::<u32>();
    words.chunks_exact(words_per_row).map(|row| count(row) as u16).collect()
}
