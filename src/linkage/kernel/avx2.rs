//! AVX2: full adders of five instructions on 256 pairs; POPCNT verifies.

use super::lanes::{Lanes, Sweep, sweep};
use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi64x, _mm256_storeu_si256,
    _mm256_xor_si256,
};

impl Lanes for __m256i {
    const WORDS: usize = 4;
    #[inline(always)]
    unsafe fn load(from: *const u64) -> Self {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u64) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_si256(to.cast(), self) }
    }
    #[inline(always)]
    unsafe fn splat(word: u64) -> Self {
        // SAFETY: the caller's promise.
        unsafe { _mm256_set1_epi64x(word.cast_signed()) }
    }
    #[inline(always)]
    unsafe fn add(a: Self, b: Self, c: Self) -> (Self, Self) {
        // SAFETY: the caller's promise.
        unsafe {
            let half = _mm256_xor_si256(a, b);
            let carry = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(half, c));
            (_mm256_xor_si256(half, c), carry)
        }
    }
    #[inline(always)]
    unsafe fn half_add(a: Self, b: Self) -> (Self, Self) {
        // SAFETY: the caller's promise.
        unsafe { (_mm256_xor_si256(a, b), _mm256_and_si256(a, b)) }
    }
    #[inline(always)]
    unsafe fn or(a: Self, b: Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { _mm256_or_si256(a, b) }
    }
}

/// # Safety
/// As [`sweep`]; AVX2 and POPCNT are present.
#[target_feature(enable = "avx2,popcnt")]
pub(super) unsafe fn run<const HIGH: usize>(work: Sweep) {
    // SAFETY: the caller's promise.
    unsafe { sweep::<__m256i, HIGH>(work) }
}

/// Common bits of two rows of one length.
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn common(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x & y).count_ones()).sum()
}
