//! Positions of many tokens at once: keyed BLAKE3 of sixteen short inputs side by side, and each one's bits beside it.
//!
//! May see: hash keys and inputs, until they are wiped. Must not see: what the inputs mean.
//!
//! Exactly the positions that `blake3::Hasher::new_keyed(key).update(input).finalize_xof()` gives, which the tests
//! compare: that crate hashes one short input after the other and so leaves most of the width of the machine's
//! registers unused. Outputs never leave the registers: to lay them out token by token took as long as to hash them.

use pulp::{Arch, Simd, WithSimd};
use zeroize::Zeroize;

/// Longest input, in bytes: one block.
pub(super) const INPUT_BYTES_MAX: usize = 64;
/// Words of a block of input or output.
const BLOCK_WORDS: usize = 16;
/// Longest segment whose positions of one token are gathered in registers.
pub(super) const SMALL_BITS: u32 = 256;
/// Such a segment's words.
pub(super) const SMALL_WORDS: usize = SMALL_BITS as usize / 64;
/// Words of 32 bits of the segments of most schemas, and what they hold.
const USUAL_WORDS: usize = 6;
const USUAL_BITS: u32 = 32 * USUAL_WORDS as u32;

/// Inputs hashed side by side: as many as the widest registers have room for.
const WIDTH: usize = 16;
/// One word of each of them.
type Vector = [u32; WIDTH];

/// The initialisation vector of the BLAKE3 paper, table 1; only its first half is used with a key.
const IV: [u32; 4] = [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A];
/// CHUNK_START, CHUNK_END, ROOT, KEYED_HASH: a keyed input of one block.
const FLAGS: u32 = 1 | 2 | 8 | 16;

/// The order of message words in each round: the permutation of the paper, applied again and again.
const SCHEDULE: [[usize; 16]; 7] = {
    const NEXT: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    let mut rounds = [[0; 16]; 7];
    let mut round = 0;
    while round < 7 {
        let mut at = 0;
        while at < 16 {
            rounds[round][at] = if round == 0 { at } else { rounds[round - 1][NEXT[at]] };
            at += 1;
        }
        round += 1;
    }
    rounds
};

/// A 32-byte key as the hash reads it.
pub(super) struct KeyWords([u32; 8]);

impl KeyWords {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(key.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self(words)
    }
}

impl Drop for KeyWords {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Where the positions of tokens go, each as many.
#[derive(Clone, Copy)]
pub(super) struct Share {
    start: u32,
    bits: u32,
    count: u32,
    queue: usize,
}

impl Share {
    /// `count` positions in the segment of `bits` bits that begins at bit `start` of all slots; at most `bits`.
    pub(super) fn new(start: u32, bits: u32, count: usize) -> Self {
        let count = count as u32;
        // Tokens of one queue take the same path: by the length of the segment, and whether one block of output gives
        // the positions, a word for each that is likely to come twice (count^2 / 2 bits) and one more.
        let spare = (BLOCK_WORDS as u32 - 1).checked_sub(count);
        let long = spare.is_none_or(|spare| count * count > 2 * spare * bits);
        Self { start, bits, count, queue: 2 * usize::from(bits > USUAL_BITS) + usize::from(long) }
    }
}

/// Sixteen inputs, word by word, in each word lane by lane; and where their positions go.
struct Group {
    /// Zero beyond the inputs.
    block: [Vector; BLOCK_WORDS],
    bytes: Vector,
    bits: Vector,
    /// Zero in lanes without an input.
    count: Vector,
    start: Vector,
}

impl Group {
    const EMPTY: Self = Self {
        block: [[0; WIDTH]; BLOCK_WORDS],
        bytes: [0; WIDTH],
        bits: [0; WIDTH],
        count: [0; WIDTH],
        start: [0; WIDTH],
    };
}

/// The beginning of inputs, whole words of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Prefix {
    words: [u32; BLOCK_WORDS],
    count: usize,
}

impl Prefix {
    /// `bytes`, a multiple of 4 and at most 32 of them.
    pub(super) fn new(pieces: [&[u8]; 2]) -> Self {
        let mut prefix = Self::default();
        for piece in pieces {
            for four in piece.as_chunks::<4>().0 {
                prefix.words[prefix.count] = u32::from_le_bytes(*four);
                prefix.count += 1;
            }
        }
        prefix
    }
}

/// Inputs that take the same path, until there are sixteen: few enough to stay in the processor's nearest cache.
struct Queue {
    group: Group,
    asked: usize,
}

/// Inputs waiting to be hashed together under one key.
pub(super) struct Lanes {
    arch: Arch,
    key: KeyWords,
    /// By `Share::queue`.
    queues: [Queue; 4],
}

impl Lanes {
    pub(super) fn new(key: KeyWords) -> Self {
        let queues = std::array::from_fn(|_| Queue { group: Group::EMPTY, asked: 0 });
        Self { arch: Arch::new(), key, queues }
    }

    /// Sets the positions of the input `prefix || lp(token) || token`, now or with those that follow, at the latest in
    /// [`Lanes::finish`]; false where it is longer than [`INPUT_BYTES_MAX`] or the segment longer than [`SMALL_BITS`].
    #[inline]
    pub(super) fn ask(&mut self, prefix: &Prefix, token: &[u8], share: &Share, slots: &mut [u8]) -> bool {
        let bytes = 4 * prefix.count + 4 + token.len();
        if bytes > INPUT_BYTES_MAX || share.bits > SMALL_BITS {
            return false;
        }
        let queue = &mut self.queues[share.queue];
        let (group, lane) = (&mut queue.group, queue.asked % WIDTH);
        queue.asked += 1;
        let (before, own) = group.block.split_at_mut(prefix.count);
        match (&mut *before, &prefix.words) {
            // A salt and its length, nearly always: no loop.
            ([a, b, c, d, e], [first, second, third, fourth, fifth, ..]) => {
                (a[lane], b[lane], c[lane], d[lane], e[lane]) = (*first, *second, *third, *fourth, *fifth);
            }
            (before, words) => before.iter_mut().zip(words).for_each(|(to, word)| to[lane] = *word),
        }
        let (whole, rest) = token.as_chunks::<4>();
        // A copy of three bytes is a call.
        let last = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        own[0][lane] = token.len() as u32;
        own[1..].iter_mut().zip(whole).for_each(|(to, four)| to[lane] = u32::from_le_bytes(*four));
        if let Some(to) = own.get_mut(1 + whole.len()) {
            to[lane] = last;
        }
        group.bytes[lane] = bytes as u32;
        (group.start[lane], group.bits[lane], group.count[lane]) = (share.start, share.bits, share.count);
        if queue.asked == WIDTH {
            self.set(share.queue, slots);
        }
        true
    }

    /// Sets the positions of all that waits.
    pub(super) fn finish(&mut self, slots: &mut [u8]) {
        for number in 0..self.queues.len() {
            if self.queues[number].asked > 0 {
                self.set(number, slots);
            }
        }
    }

    fn set(&mut self, number: usize, slots: &mut [u8]) {
        let (key, queue) = (&self.key, &mut self.queues[number]);
        let group = &queue.group;
        if number < 2 {
            self.arch.dispatch(SetGroup::<USUAL_WORDS> { key, group, slots });
        } else {
            self.arch.dispatch(SetGroup::<{ 2 * SMALL_WORDS }> { key, group, slots });
        }
        // All of it: the place of a token that went before may lie beyond the next slots.
        (queue.group, queue.asked) = (Group::EMPTY, 0);
    }
}

impl Zeroize for Lanes {
    fn zeroize(&mut self) {
        for queue in &mut self.queues {
            queue.asked = 0;
            let Group { block, bytes, bits, count, start } = &mut queue.group;
            block.zeroize();
            [bytes, bits, count, start].into_iter().for_each(Zeroize::zeroize);
        }
    }
}

/// Bytes that [`or_into`] reaches at once: where as many follow a segment's beginning it takes the short way.
pub(super) const REACHED_BYTES: usize = 8 * (SMALL_WORDS + 1);

/// Adds gathered positions to the slots, from bit `start` on.
#[inline(always)]
pub(super) fn or_into(slots: &mut [u8], start: u32, own: [u64; SMALL_WORDS]) {
    let (first, shift) = (start as usize / 8, start % 8);
    let (mut words, mut carry) = ([0u64; SMALL_WORDS + 1], 0);
    for (to, word) in words.iter_mut().zip(own) {
        *to = word << shift | carry;
        carry = word >> 1 >> (63 - shift);
    }
    words[SMALL_WORDS] = carry;
    let target = &mut slots[first..];
    if let Some(reached) = target.first_chunk_mut::<REACHED_BYTES>() {
        for (eight, word) in reached.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *eight = (u64::from_le_bytes(*eight) | word).to_le_bytes();
        }
    } else {
        // The last bytes of all; what would lie beyond them is zero.
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        target.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot |= byte);
    }
}

struct SetGroup<'g, const WORDS: usize> {
    key: &'g KeyWords,
    group: &'g Group,
    slots: &'g mut [u8],
}

impl<const WORDS: usize> WithSimd for SetGroup<'_, WORDS> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut own = [[0; WIDTH]; WORDS];
        for at in 0..WIDTH / S::U32_LANES {
            let found = gather::<S, WORDS>(simd, self.key, self.group, at);
            for (to, found) in own.iter_mut().zip(found) {
                S::as_mut_simd_u32s(to).0[at] = found;
            }
        }
        add_group(&own, &self.group.start, self.slots);
    }
}

/// Adds the positions of sixteen tokens to the slots; those that go to one segment, which stand side by side, together.
#[inline(always)]
fn add_group<const WORDS: usize>(own: &[Vector; WORDS], starts: &Vector, slots: &mut [u8]) {
    let mut sum = [0u64; SMALL_WORDS];
    for (lane, start) in starts.iter().enumerate() {
        for (pair, sum) in own.as_chunks::<2>().0.iter().zip(&mut sum) {
            *sum |= u64::from(pair[0][lane]) | u64::from(pair[1][lane]) << 32;
        }
        if starts.get(lane + 1) != Some(start) {
            or_into(slots, *start, std::mem::take(&mut sum));
        }
    }
}

/// A register of a group's words.
#[inline(always)]
fn part<S: Simd>(words: &Vector, at: usize) -> S::u32s {
    S::as_simd_u32s(words).0[at]
}

/// The first distinct positions that each lane's output gives in its segment, as many as it wants, bit by bit.
#[inline(always)]
fn gather<S: Simd, const WORDS: usize>(
    simd: S,
    key: &KeyWords,
    group: &Group,
    at: usize,
) -> [S::u32s; WORDS] {
    let (bits, count) = (part::<S>(&group.bits, at), part::<S>(&group.count, at));
    let [zero, one, five, low_bits] = [0, 1, 5, 31].map(|number| simd.splat_u32s(number));
    let (mut own, mut found) = ([zero; WORDS], zero);
    let any = |lanes| simd.first_true_m32s(lanes) < S::U32_LANES;
    let (mut block, mut wanting) = (0, simd.less_than_u32s(found, count));
    while any(wanting) {
        for word in compress(simd, key, group, at, block) {
            let (_, position) = simd.widening_mul_u32s(word, bits);
            let high = simd.wrapping_dyn_shr_u32s(position, five);
            let bit = simd.wrapping_dyn_shl_u32s(one, simd.and_u32s(position, low_bits));
            let bit = simd.select_u32s(wanting, bit, zero);
            let mut had = zero;
            for (number, own) in own.iter_mut().enumerate() {
                let here = simd.equal_u32s(high, simd.splat_u32s(number as u32));
                let mine = simd.select_u32s(here, bit, zero);
                had = simd.or_u32s(had, simd.and_u32s(*own, mine));
                *own = simd.or_u32s(*own, mine);
            }
            // Lanes that have theirs count on: it makes no difference.
            let new = simd.select_u32s(simd.equal_u32s(had, zero), one, zero);
            found = simd.add_u32s(found, new);
            wanting = simd.less_than_u32s(found, count);
            // Most tokens have theirs some words before a block ends.
            if !any(wanting) {
                break;
            }
        }
        block += 1;
    }
    own
}

#[inline(always)]
fn turn<S: Simd>(simd: S, a: S::u32s, b: S::u32s, right: u32) -> S::u32s {
    let sum = simd.xor_u32s(a, b);
    let (low, high) = (simd.splat_u32s(right), simd.splat_u32s(32 - right));
    simd.or_u32s(simd.wrapping_dyn_shr_u32s(sum, low), simd.wrapping_dyn_shl_u32s(sum, high))
}

#[inline(always)]
fn mix<S: Simd>(simd: S, v: &mut [S::u32s; 16], [a, b, c, d]: [usize; 4], one: S::u32s, two: S::u32s) {
    v[a] = simd.add_u32s(simd.add_u32s(v[a], v[b]), one);
    v[d] = turn(simd, v[d], v[a], 16);
    v[c] = simd.add_u32s(v[c], v[d]);
    v[b] = turn(simd, v[b], v[c], 12);
    v[a] = simd.add_u32s(simd.add_u32s(v[a], v[b]), two);
    v[d] = turn(simd, v[d], v[a], 8);
    v[c] = simd.add_u32s(v[c], v[d]);
    v[b] = turn(simd, v[b], v[c], 7);
}

/// Round number `ROUND`; a constant, so that no message word is looked up by number.
#[inline(always)]
fn round<S: Simd, const ROUND: usize>(simd: S, v: &mut [S::u32s; 16], m: &[S::u32s; BLOCK_WORDS]) {
    let s = const { SCHEDULE[ROUND] };
    mix(simd, v, [0, 4, 8, 12], m[s[0]], m[s[1]]);
    mix(simd, v, [1, 5, 9, 13], m[s[2]], m[s[3]]);
    mix(simd, v, [2, 6, 10, 14], m[s[4]], m[s[5]]);
    mix(simd, v, [3, 7, 11, 15], m[s[6]], m[s[7]]);
    mix(simd, v, [0, 5, 10, 15], m[s[8]], m[s[9]]);
    mix(simd, v, [1, 6, 11, 12], m[s[10]], m[s[11]]);
    mix(simd, v, [2, 7, 8, 13], m[s[12]], m[s[13]]);
    mix(simd, v, [3, 4, 9, 14], m[s[14]], m[s[15]]);
}

/// The compression function of the BLAKE3 paper, section 2.2, on lanes of a group: all 16 words of block number
/// `block` of their outputs.
#[inline(always)]
fn compress<S: Simd>(
    simd: S,
    key: &KeyWords,
    group: &Group,
    at: usize,
    block: u32,
) -> [S::u32s; BLOCK_WORDS] {
    let m: [S::u32s; BLOCK_WORDS] = group.block.each_ref().map(|word| part::<S>(word, at));
    let key = key.0.map(|word| simd.splat_u32s(word));
    let [iv0, iv1, iv2, iv3] = IV.map(|word| simd.splat_u32s(word));
    let [zero, flags, counter] = [0, FLAGS, block].map(|word| simd.splat_u32s(word));
    let bytes = part::<S>(&group.bytes, at);
    let [k0, k1, k2, k3, k4, k5, k6, k7] = key;
    let mut v = [k0, k1, k2, k3, k4, k5, k6, k7, iv0, iv1, iv2, iv3, counter, zero, bytes, flags];
    round::<S, 0>(simd, &mut v, &m);
    round::<S, 1>(simd, &mut v, &m);
    round::<S, 2>(simd, &mut v, &m);
    round::<S, 3>(simd, &mut v, &m);
    round::<S, 4>(simd, &mut v, &m);
    round::<S, 5>(simd, &mut v, &m);
    round::<S, 6>(simd, &mut v, &m);
    for word in 0..8 {
        v[word] = simd.xor_u32s(v[word], v[word + 8]);
        v[word + 8] = simd.xor_u32s(v[word + 8], key[word]);
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// By the library, one word after the other.
    fn plain(root: &[u8; 32], input: &[u8], share: Share, slots: &mut [u8]) {
        let mut reader = blake3::Hasher::new_keyed(root).update(input).finalize_xof();
        let mut positions = BTreeSet::new();
        while positions.len() < share.count as usize {
            let mut word = [0; 4];
            reader.fill(&mut word);
            positions.insert((u64::from(u32::from_le_bytes(word)) * u64::from(share.bits)) >> 32);
        }
        for at in positions {
            let at = share.start as usize + at as usize;
            slots[at / 8] |= 1 << (at % 8);
        }
    }

    #[test]
    fn equal_to_the_library_for_every_length_number_and_key() {
        let roots: [[u8; 32]; 3] = [[1; 32], std::array::from_fn(|at| at as u8), [255; 32]];
        let text: Vec<u8> = (0..64).map(|at| (at * 37 + 11) as u8).collect();
        let mut lanes: Vec<Lanes> = roots.iter().map(|root| Lanes::new(KeyWords::new(root))).collect();
        for number in [1, 17, 50] {
            for salt in [&text[..0], &text[..16]] {
                let lengthed = [(salt.len() as u32).to_le_bytes().to_vec(), salt.to_vec()].concat();
                let prefix = Prefix::new([&lengthed[..4], &lengthed[4..]]);
                let longest = INPUT_BYTES_MAX - 8 - salt.len();
                for bytes in (0..=longest).step_by(3) {
                    let (mut together, mut alone) = ([0; 1024], [0; 1024]);
                    for at in 0..number {
                        let token = &text[..(bytes + at) % (longest + 1)];
                        let bits = [171, 128, 256, 192, 8][at % 5];
                        let count = [12, 29, 14, 100, 0][at % 4 + at / 40].min(bits as usize);
                        let share = Share::new((173 * at) as u32 % (8192 - bits), bits, count);
                        let length = (token.len() as u32).to_le_bytes();
                        assert!(lanes[at % 3].ask(&prefix, token, &share, &mut together));
                        plain(&roots[at % 3], &[&lengthed, &length[..], token].concat(), share, &mut alone);
                    }
                    lanes.iter_mut().for_each(|lanes| lanes.finish(&mut together));
                    assert!(together == alone, "{number} inputs around {bytes} bytes");
                }
                let too_long = &text[..longest + 1];
                assert!(
                    !lanes[0].ask(&prefix, too_long, &Share::new(0, 171, 1), &mut []),
                    "longer than a block"
                );
                assert!(!lanes[0].ask(&prefix, b"an", &Share::new(0, 257, 1), &mut []), "a long segment");
            }
        }
    }

    #[test]
    fn nothing_of_a_group_reaches_into_the_next_slots() {
        let mut lanes = Lanes::new(KeyWords::new(&[1; 32]));
        let prefix = Prefix::new([&[0; 4], &[]]);
        assert!(lanes.ask(&prefix, b"an", &Share::new(8000, 171, 12), &mut [0; 1024]));
        lanes.finish(&mut [0; 1024]);
        let mut small = [0; 16];
        assert!(lanes.ask(&prefix, b"na", &Share::new(0, 128, 12), &mut small));
        lanes.finish(&mut small);
        assert_eq!(small.iter().map(|byte| byte.count_ones()).sum::<u32>(), 12);
    }
}
