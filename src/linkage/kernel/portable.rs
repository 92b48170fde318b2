//! Plain Rust on pairs of 64-bit words: any machine, and what Miri reads.

use super::lanes::{Lanes, Sweep, sweep};

impl Lanes for [u64; 2] {
    const WORDS: usize = 2;
    #[inline(always)]
    unsafe fn load(from: *const u64) -> Self {
        // SAFETY: the caller's promise.
        unsafe { [from.read_unaligned(), from.add(1).read_unaligned()] }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u64) {
        // SAFETY: the caller's promise.
        unsafe {
            to.write_unaligned(self[0]);
            to.add(1).write_unaligned(self[1]);
        }
    }
    #[inline(always)]
    unsafe fn splat(word: u64) -> Self {
        [word; 2]
    }
    #[inline(always)]
    unsafe fn add(a: Self, b: Self, c: Self) -> (Self, Self) {
        let half = [a[0] ^ b[0], a[1] ^ b[1]];
        let carry = [a[0] & b[0] | half[0] & c[0], a[1] & b[1] | half[1] & c[1]];
        ([half[0] ^ c[0], half[1] ^ c[1]], carry)
    }
    #[inline(always)]
    unsafe fn half_add(a: Self, b: Self) -> (Self, Self) {
        ([a[0] ^ b[0], a[1] ^ b[1]], [a[0] & b[0], a[1] & b[1]])
    }
    #[inline(always)]
    unsafe fn or(a: Self, b: Self) -> Self {
        [a[0] | b[0], a[1] | b[1]]
    }
}

/// # Safety
/// As [`sweep`].
pub(super) unsafe fn run<const HIGH: usize>(work: Sweep) {
    // SAFETY: the caller's promise; no instruction set is needed.
    unsafe { sweep::<[u64; 2], HIGH>(work) }
}

/// Common bits of two rows of one length.
pub(super) fn common(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x & y).count_ones()).sum()
}
