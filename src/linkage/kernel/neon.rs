//! NEON: full adders of three instructions (the carry is a bit select) on 128 pairs; CNT verifies.

use super::lanes::{Lanes, Sweep, sweep};
use std::arch::aarch64::{
    uint64x2_t, vandq_u64, vbslq_u64, vdupq_n_u64, veorq_u64, vld1q_u64, vorrq_u64, vst1q_u64,
};

impl Lanes for uint64x2_t {
    const WORDS: usize = 2;
    #[inline(always)]
    unsafe fn load(from: *const u64) -> Self {
        // SAFETY: the caller's promise.
        unsafe { vld1q_u64(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u64) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_u64(to, self) }
    }
    #[inline(always)]
    unsafe fn splat(word: u64) -> Self {
        // SAFETY: the caller's promise.
        unsafe { vdupq_n_u64(word) }
    }
    #[inline(always)]
    unsafe fn add(a: Self, b: Self, c: Self) -> (Self, Self) {
        // SAFETY: the caller's promise. Where a and b differ the carry is c, else it is a.
        unsafe {
            let half = veorq_u64(a, b);
            (veorq_u64(half, c), vbslq_u64(half, c, a))
        }
    }
    #[inline(always)]
    unsafe fn half_add(a: Self, b: Self) -> (Self, Self) {
        // SAFETY: the caller's promise.
        unsafe { (veorq_u64(a, b), vandq_u64(a, b)) }
    }
    #[inline(always)]
    unsafe fn or(a: Self, b: Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { vorrq_u64(a, b) }
    }
}

/// # Safety
/// As [`sweep`]; NEON is present.
#[target_feature(enable = "neon")]
pub(super) unsafe fn run<const HIGH: usize>(work: Sweep) {
    // SAFETY: the caller's promise.
    unsafe { sweep::<uint64x2_t, HIGH>(work) }
}

/// Common bits of two rows of one length.
#[target_feature(enable = "neon")]
pub(super) fn common(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x & y).count_ones()).sum()
}
