//! AVX-512: ternary logic adds three bits in two instructions; VPOPCNTDQ verifies.

use super::lanes::{Lanes, Sweep, sweep};
use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_loadu_si512, _mm512_or_si512, _mm512_set1_epi64, _mm512_storeu_si512,
    _mm512_ternarylogic_epi64, _mm512_xor_si512,
};

impl Lanes for __m512i {
    const WORDS: usize = 8;
    #[inline(always)]
    unsafe fn load(from: *const u64) -> Self {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u64) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_si512(to.cast(), self) }
    }
    #[inline(always)]
    unsafe fn splat(word: u64) -> Self {
        // SAFETY: the caller's promise.
        unsafe { _mm512_set1_epi64(word.cast_signed()) }
    }
    #[inline(always)]
    unsafe fn add(a: Self, b: Self, c: Self) -> (Self, Self) {
        // SAFETY: the caller's promise. 0x96 is a ^ b ^ c, 0xe8 the majority.
        unsafe { (_mm512_ternarylogic_epi64(a, b, c, 0x96), _mm512_ternarylogic_epi64(a, b, c, 0xe8)) }
    }
    #[inline(always)]
    unsafe fn half_add(a: Self, b: Self) -> (Self, Self) {
        // SAFETY: the caller's promise.
        unsafe { (_mm512_xor_si512(a, b), _mm512_and_si512(a, b)) }
    }
    #[inline(always)]
    unsafe fn or(a: Self, b: Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { _mm512_or_si512(a, b) }
    }
}

/// # Safety
/// As [`sweep`]; AVX-512 F, BW, VL and VPOPCNTDQ are present.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
pub(super) unsafe fn run<const HIGH: usize>(work: Sweep) {
    // SAFETY: the caller's promise.
    unsafe { sweep::<__m512i, HIGH>(work) }
}

/// Common bits of two rows of one length (the compiler turns the loop into VPOPCNTQ).
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
pub(super) fn common(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x & y).count_ones()).sum()
}
