//! Tokens to bits: independent positions from a keyed PRF.
//!
//! A token's positions inside a segment of l bits are read from the output of keyed BLAKE3 over
//! `lp(salt) || lp(token)`: u32 little-endian x gives (x * l) >> 32; a position the token has already is
//! passed over, until it has as many as its share of the bit budget.

use super::cache::Cache;
use super::key::Secret;
use super::lanes::{Lanes, Prefix, SMALL_BITS, SMALL_WORDS, Share, or_into};
use pulp::{Simd, WithSimd};
use zeroize::Zeroize;

/// Bytes of output computed at a time for a token with many positions.
const OUTPUT_BYTES: usize = 128;
/// Words of output computed at first for a token with few.
const PART_WORDS: usize = 15;

/// Where tokens of one segment go.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// First bit of the segment in the slot.
    pub(super) start: u32,
    /// Bits of the segment, 1 to 16384.
    pub(super) bits: u32,
    /// Empty or 16 bytes.
    pub(super) salt: &'a [u8],
}

/// Sets bit `at` (bit i of a filter is bit `i % 8` of byte `i / 8`).
pub(super) fn set_bit(slot: &mut [u8], at: u32) {
    slot[at as usize / 8] |= 1 << (at % 8);
}

/// Which positions one token has already: a stamp a position, so that nothing is wiped between tokens.
#[derive(Default)]
pub(super) struct Seen {
    stamps: Vec<u32>,
    now: u32,
}

impl Seen {
    fn start(&mut self, bits: u32) {
        if self.stamps.len() < bits as usize {
            self.stamps.resize(bits as usize, 0);
        }
        self.now = self.now.wrapping_add(1);
        if self.now == 0 {
            self.stamps.fill(0);
            self.now = 1;
        }
    }
    fn is_new(&mut self, at: u32) -> bool {
        let stamp = &mut self.stamps[at as usize];
        let new = *stamp != self.now;
        *stamp = self.now;
        new
    }
}

/// Draws distinct positions below `bits` from a stream of u32 until `count` are found.
/// `count` must not exceed `bits`.
pub(super) fn distinct(
    bits: u32,
    count: usize,
    mut next: impl FnMut() -> u32,
    seen: &mut Seen,
    mut take: impl FnMut(u32),
) {
    seen.start(bits);
    let mut found = 0;
    while found < count {
        let at = ((u64::from(next()) * u64::from(bits)) >> 32) as u32;
        if seen.is_new(at) {
            found += 1;
            take(at);
        }
    }
}

/// Bytes of an extendable output computed at a time: the hash makes sixteen blocks for the price of two.
const STREAM_BYTES: usize = 1024;

/// A long stream of u32 from an extendable output.
pub(super) struct Words {
    reader: blake3::OutputReader,
    words: [u32; STREAM_BYTES / 4],
    used: usize,
}

impl Words {
    pub(super) fn new(reader: blake3::OutputReader) -> Self {
        Self { reader, words: [0; STREAM_BYTES / 4], used: STREAM_BYTES / 4 }
    }
    pub(super) fn next(&mut self) -> u32 {
        if self.used == self.words.len() {
            let mut block = [0; STREAM_BYTES];
            self.reader.fill(&mut block);
            for (word, bytes) in self.words.iter_mut().zip(block.as_chunks::<4>().0) {
                *word = u32::from_le_bytes(*bytes);
            }
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }
    /// The next `count` words, where so many are there already.
    #[inline(always)]
    fn ready(&mut self, count: usize) -> Option<&[u32]> {
        let words = self.words.get(self.used..self.used + count)?;
        self.used += count;
        Some(words)
    }
    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.next()) * u64::from(bound)) >> 32) as u32
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        self.reader.zeroize();
        self.words.zeroize();
    }
}

/// Sets `count` distinct positions, drawn from `next`, of a segment of `bits` bits that begins at bit `start`.
/// `count` must not exceed `bits`.
#[inline]
pub(super) fn set_distinct(
    slots: &mut [u8],
    (start, bits): (u32, u32),
    count: usize,
    mut next: impl FnMut() -> u32,
    seen: &mut Seen,
) {
    if bits > SMALL_BITS {
        return distinct(bits, count, next, seen, |at| set_bit(slots, start + at));
    }
    let (mut own, mut left) = ([0u64; SMALL_WORDS], count);
    while left > 0 {
        let at = (u64::from(next()) * u64::from(bits)) >> 32;
        let (word, bit) = (&mut own[at as usize / 64 % SMALL_WORDS], 1 << (at % 64));
        left -= usize::from(*word & bit == 0);
        *word |= bit;
    }
    or_into(slots, start, own);
}

/// Draws positions of a segment for several tokens, each as many distinct ones as it wants, at the width of the
/// machine's registers: the positions that [`set_distinct`] draws.
pub(super) struct Filler<'f, C> {
    pub(super) slots: &'f mut [u8],
    pub(super) start: u32,
    pub(super) bits: u32,
    /// What each token wants.
    pub(super) counts: C,
    pub(super) words: &'f mut Words,
    pub(super) seen: &'f mut Seen,
}

impl<C: Iterator<Item = usize>> WithSimd for Filler<'_, C> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { slots, start, bits, counts, words, seen } = self;
        for count in counts {
            let ready = if bits <= SMALL_BITS { words.ready(count) } else { None };
            let Some(ready) = ready else {
                set_distinct(slots, (start, bits), count, || words.next(), seen);
                continue;
            };
            let mut own = [0; SMALL_WORDS];
            ready.iter().for_each(|word| add(&mut own, bits, *word));
            while own.iter().map(|word| word.count_ones() as usize).sum::<usize>() < count {
                add(&mut own, bits, words.next());
            }
            or_into(slots, start, own);
        }
    }
}

/// Adds one position. Every word is shifted, and by too far where the bit is another's: registers without a branch or
/// an address.
#[inline(always)]
fn add(own: &mut [u64; SMALL_WORDS], bits: u32, drawn: u32) {
    let at = (u64::from(drawn) * u64::from(bits)) >> 32;
    for (number, word) in own.iter_mut().enumerate() {
        let shift = at.wrapping_sub(64 * number as u64);
        *word |= if shift < 64 { 1 << shift } else { 0 };
    }
}

/// Makes positions with one set of hash keys; one per worker thread.
pub(super) struct Positions {
    domains: Vec<blake3::Hasher>,
    /// By hash domain.
    lanes: Vec<Lanes>,
    input: Vec<u8>,
    seen: Seen,
    found: Vec<u16>,
    cache: Cache,
}

impl Positions {
    /// One key per hash domain.
    pub(super) fn new(domains: &[Secret]) -> Self {
        Self {
            domains: domains.iter().map(Secret::hasher).collect(),
            lanes: domains.iter().map(|key| Lanes::new(key.words())).collect(),
            input: Vec::new(),
            seen: Seen::default(),
            found: Vec::new(),
            cache: Cache::default(),
        }
    }

    /// Forgets the inputs and outputs of the last person; what the cache keeps stays.
    pub(super) fn wipe(&mut self) {
        self.input.zeroize();
        self.found.zeroize();
        self.lanes.iter_mut().for_each(Zeroize::zeroize);
    }

    /// Sets the bits of a token, now or in [`Positions::flush`], so that many are hashed side by side; false where it
    /// or its segment is too long for that. `prefix` is `lp(salt) || salt`.
    #[inline]
    pub(super) fn queue(
        &mut self,
        domain: usize,
        prefix: &Prefix,
        token: &[u8],
        share: &Share,
        slots: &mut [u8],
    ) -> bool {
        self.lanes[domain].ask(prefix, token, share, slots)
    }

    /// Sets the bits of all queued tokens.
    pub(super) fn flush(&mut self, slots: &mut [u8]) {
        self.lanes.iter_mut().for_each(|lanes| lanes.finish(slots));
    }

    /// Sets `count` bits for a token. `cached`: salts repeat from record to record, so remember.
    pub(super) fn insert(
        &mut self,
        domain: usize,
        target: Target<'_>,
        token: &[u8],
        count: usize,
        cached: bool,
        slot: &mut [u8],
    ) {
        if cached {
            self.cache.key(domain, &target, token);
            if let Some(known) = self.cache.known(count) {
                known.iter().for_each(|at| set_bit(slot, target.start + u32::from(*at)));
                return;
            }
        }
        let start = target.start;
        if !cached {
            return self.compute(domain, &target, token, count, |at, _| set_bit(slot, start + at));
        }
        self.found.clear();
        // A segment has at most 16384 bits, so a position fits in u16.
        self.compute(domain, &target, token, count, |at, found| found.push(at as u16));
        self.found.iter().for_each(|at| set_bit(slot, start + u32::from(*at)));
        self.cache.keep(&self.found);
    }

    fn compute(
        &mut self,
        domain: usize,
        target: &Target<'_>,
        token: &[u8],
        count: usize,
        mut take: impl FnMut(u32, &mut Vec<u16>),
    ) {
        self.input.clear();
        self.input.extend_from_slice(&super::key::length_prefix(target.salt));
        self.input.extend_from_slice(target.salt);
        self.input.extend_from_slice(&super::key::length_prefix(token));
        self.input.extend_from_slice(token);
        let hasher = &mut self.domains[domain];
        hasher.reset();
        hasher.update(&self.input);
        let mut reader = hasher.finalize_xof();
        // Few positions need less than a block, and a part of one is the hash's quickest output.
        let mut block = [0u8; OUTPUT_BYTES];
        let mut wanted = if count <= PART_WORDS - 2 { 4 * PART_WORDS } else { OUTPUT_BYTES };
        self.seen.start(target.bits);
        let mut left = count;
        while left > 0 {
            reader.fill(&mut block[..wanted]);
            for word in block[..wanted].as_chunks::<4>().0 {
                let at = ((u64::from(u32::from_le_bytes(*word)) * u64::from(target.bits)) >> 32) as u32;
                if self.seen.is_new(at) {
                    take(at, &mut self.found);
                    left -= 1;
                    if left == 0 {
                        break;
                    }
                }
            }
            wanted = OUTPUT_BYTES;
        }
    }
}

impl Drop for Positions {
    fn drop(&mut self) {
        self.domains.iter_mut().for_each(Zeroize::zeroize);
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions() -> Positions {
        Positions::new(&[Secret::derive("one", &[]), Secret::derive("two", &[])])
    }
    fn ones(slot: &[u8]) -> u32 {
        slot.iter().map(|byte| byte.count_ones()).sum()
    }

    #[test]
    fn a_token_has_exactly_its_share_of_distinct_positions() {
        let mut maker = positions();
        for bits in [64u32, 171, 1024, 16_384] {
            for count in [0, 1, 7, 31, 32] {
                let mut slot = vec![0; bits.div_ceil(8) as usize];
                let target = Target { start: 0, bits, salt: &[] };
                maker.insert(0, target, b"an", count, false, &mut slot);
                assert_eq!(ones(&slot) as usize, count, "{bits} {count}");
            }
        }
    }

    #[test]
    fn positions_show_no_arithmetic_progression() {
        // Double hashing leaves steps of equal length; independent positions do not.
        let mut maker = positions();
        let target = Target { start: 0, bits: 1024, salt: &[] };
        let mut equal_steps = 0;
        for token in 0..500u32 {
            maker.found.clear();
            maker.compute(0, &target, &token.to_le_bytes(), 20, |at, found| found.push(at as u16));
            let step = |a: u16, b: u16| (u32::from(b) + 1024 - u32::from(a)) % 1024;
            equal_steps += maker.found.windows(3).filter(|w| step(w[0], w[1]) == step(w[1], w[2])).count();
        }
        // 9,000 windows, one in 1,024 by chance: 8.8 expected.
        assert!(equal_steps < 30, "{equal_steps}");
    }

    #[test]
    fn cache_and_computation_agree() {
        let mut maker = positions();
        let salt = [5u8; 16];
        for round in 0..3 {
            for token in [&b"an"[..], b"na", b"a much longer token than most"] {
                for (domain, count) in [(0, 5), (0, 9), (1, 9), (0, 2)] {
                    for salt in [&salt[..], &[]] {
                        let target = Target { start: 3, bits: 171, salt };
                        let (mut a, mut b) = ([0; 32], [0; 32]);
                        maker.insert(domain, target, token, count, true, &mut a);
                        maker.insert(domain, target, token, count, false, &mut b);
                        assert_eq!(a, b, "round {round}");
                    }
                }
            }
        }
    }

    #[test]
    fn side_by_side_and_one_after_the_other_agree() {
        let mut maker = positions();
        let salt = [5u8; 16];
        for bits in [8u32, 64, 128, 171, 256, 257, 2048] {
            let (mut together, mut alone) = ([0; 1024], [0; 1024]);
            for (number, count) in [1, 2, 7, 15, 16, 17, 33, 64, 200].into_iter().enumerate() {
                let (token, count) = (&[number as u8; 9][..number + 1], usize::min(count, bits as usize));
                for (start, salt) in [(3, &salt[..]), (8 * 1024 - 2048, &[])] {
                    let target = Target { start: start + 37 * number as u32 % 8, bits: bits - 8 + 1, salt };
                    let count = count.min(target.bits as usize);
                    let prefix = Prefix::new([&crate::agency::key::length_prefix(salt), salt]);
                    let share = Share::new(target.start, target.bits, count);
                    let queued = maker.queue(number % 2, &prefix, token, &share, &mut together);
                    assert_eq!(queued, target.bits <= SMALL_BITS);
                    if queued {
                        maker.insert(number % 2, target, token, count, false, &mut alone);
                    }
                }
            }
            maker.flush(&mut together);
            assert_eq!(together, alone, "{bits} bits");
        }
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut maker = positions();
        let target = Target { start: 0, bits: 1024, salt: &[] };
        let mut slot = [0; 128];
        for token in 0..40_000u32 {
            maker.insert(0, target, &token.to_le_bytes(), 64, true, &mut slot);
        }
        let (positions, tokens) = maker.cache.kept();
        assert!(positions <= crate::agency::cache::POSITIONS_MAX);
        assert!(tokens * 64 <= crate::agency::cache::POSITIONS_MAX);
    }
}
