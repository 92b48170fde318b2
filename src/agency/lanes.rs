//! Keyed BLAKE3 of many short inputs at once: one block of input and one of output each, sixteen side by side.
//!
//! May see: hash keys and inputs, until they are wiped. Must not see: what the inputs mean.
//!
//! Exactly the output of `blake3::Hasher::new_keyed(key).update(input).finalize_xof()`: the tests compare it with that
//! crate, which hashes one input after the other and so leaves most of the width of the machine's registers unused.

use pulp::{Arch, Simd, WithSimd};
use zeroize::Zeroize;

/// Longest input, in bytes: one block.
pub(super) const INPUT_BYTES_MAX: usize = 64;
/// Words of output of one block.
pub(super) const BLOCK_WORDS: usize = 16;

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

/// Sixteen inputs: word by word, in each word lane by lane.
struct Group {
    /// Zero beyond the inputs.
    block: [Vector; BLOCK_WORDS],
    bytes: Vector,
    counter: Vector,
}

impl Group {
    const EMPTY: Self = Self { block: [[0; WIDTH]; BLOCK_WORDS], bytes: [0; WIDTH], counter: [0; WIDTH] };
}

/// The outputs of a group, block by block, so that a token's words lie side by side.
type Output = [[u32; BLOCK_WORDS]; WIDTH];

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

/// Inputs waiting to be hashed together under one key, then their outputs.
pub(super) struct Lanes {
    arch: Arch,
    key: KeyWords,
    groups: Vec<Group>,
    /// As many as groups.
    outputs: Vec<Output>,
    asked: usize,
}

impl Lanes {
    pub(super) fn new(key: KeyWords) -> Self {
        Self { arch: Arch::new(), key, groups: Vec::new(), outputs: Vec::new(), asked: 0 }
    }

    /// Asks for `blocks` blocks of output of the input `prefix || lp(token) || token`; false where it is longer than
    /// [`INPUT_BYTES_MAX`].
    pub(super) fn ask(&mut self, prefix: &Prefix, token: &[u8], blocks: usize) -> bool {
        let bytes = 4 * prefix.count + 4 + token.len();
        if bytes > INPUT_BYTES_MAX {
            return false;
        }
        for counter in 0..blocks {
            let (group, lane) = (self.asked / WIDTH, self.asked % WIDTH);
            self.asked += 1;
            if group == self.groups.len() {
                self.groups.push(Group::EMPTY);
                self.outputs.push([[0; BLOCK_WORDS]; WIDTH]);
            }
            let group = &mut self.groups[group];
            let (whole, rest) = token.as_chunks::<4>();
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            let token_words = whole.iter().chain([&last]).map(|four| u32::from_le_bytes(*four));
            let words = prefix.words[..prefix.count].iter().copied().chain([token.len() as u32]);
            group.block.iter_mut().zip(words.chain(token_words)).for_each(|(to, word)| to[lane] = word);
            (group.bytes[lane], group.counter[lane]) = (bytes as u32, counter as u32);
        }
        true
    }

    /// How to run code at the width of the machine's registers.
    pub(super) fn arch(&self) -> Arch {
        self.arch
    }

    /// Blocks asked for so far.
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// Hashes all that waits.
    pub(super) fn hash(&mut self) {
        let groups = self.asked.div_ceil(WIDTH);
        let (groups, outputs) = (&self.groups[..groups], &mut self.outputs[..groups]);
        self.arch.dispatch(HashAll { key: &self.key, groups, outputs });
    }

    /// The words of the output that begins with block number `first`, `blocks` blocks of it, in the order asked for.
    #[inline(always)]
    pub(super) fn words(&self, first: usize, blocks: usize) -> &[u32] {
        self.outputs.as_flattened()[first..first + blocks].as_flattened()
    }

    /// The words after `blocks` blocks of the output that begins with block number `first`: one block more.
    pub(super) fn more(&self, first: usize, block: usize) -> [u32; BLOCK_WORDS] {
        let (group, lane) = (&self.groups[first / WIDTH], first % WIDTH);
        let mut alone = [Group::EMPTY];
        alone[0].block.iter_mut().zip(&group.block).for_each(|(to, from)| to[0] = from[lane]);
        (alone[0].bytes[0], alone[0].counter[0]) = (group.bytes[lane], block as u32);
        // All lanes at the machine's width cost less than one lane alone.
        let mut outputs = [[[0; BLOCK_WORDS]; WIDTH]];
        self.arch.dispatch(HashAll { key: &self.key, groups: &alone, outputs: &mut outputs });
        outputs[0][0]
    }

    /// Starts afresh.
    pub(super) fn clear(&mut self) {
        let groups = self.asked.div_ceil(WIDTH);
        self.groups[..groups].iter_mut().for_each(|group| group.block = [[0; WIDTH]; BLOCK_WORDS]);
        self.asked = 0;
    }
}

impl Zeroize for Lanes {
    fn zeroize(&mut self) {
        self.asked = 0;
        for group in &mut self.groups {
            group.block.zeroize();
        }
        self.outputs.as_flattened_mut().as_flattened_mut().zeroize();
    }
}

struct HashAll<'g> {
    key: &'g KeyWords,
    groups: &'g [Group],
    outputs: &'g mut [Output],
}

impl WithSimd for HashAll<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (group, output) in self.groups.iter().zip(self.outputs) {
            compress(simd, self.key, group, output);
        }
    }
}

/// A register of a group's words.
#[inline(always)]
fn part<S: Simd>(words: &Vector, at: usize) -> S::u32s {
    S::as_simd_u32s(words).0[at]
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

/// The compression function of the BLAKE3 paper, section 2.2, on all lanes of a group; all 16 words of output.
#[inline(always)]
fn compress<S: Simd>(simd: S, key: &KeyWords, group: &Group, output: &mut Output) {
    let mut words = [[0; WIDTH]; BLOCK_WORDS];
    let key = key.0.map(|word| simd.splat_u32s(word));
    for at in 0..WIDTH / S::U32_LANES {
        let m: [S::u32s; BLOCK_WORDS] = std::array::from_fn(|word| part::<S>(&group.block[word], at));
        let [iv0, iv1, iv2, iv3] = IV.map(|word| simd.splat_u32s(word));
        let (counter, bytes) = (part::<S>(&group.counter, at), part::<S>(&group.bytes, at));
        let [k0, k1, k2, k3, k4, k5, k6, k7] = key;
        let (zero, flags) = (simd.splat_u32s(0), simd.splat_u32s(FLAGS));
        let mut v = [k0, k1, k2, k3, k4, k5, k6, k7, iv0, iv1, iv2, iv3, counter, zero, bytes, flags];
        for s in SCHEDULE {
            mix(simd, &mut v, [0, 4, 8, 12], m[s[0]], m[s[1]]);
            mix(simd, &mut v, [1, 5, 9, 13], m[s[2]], m[s[3]]);
            mix(simd, &mut v, [2, 6, 10, 14], m[s[4]], m[s[5]]);
            mix(simd, &mut v, [3, 7, 11, 15], m[s[6]], m[s[7]]);
            mix(simd, &mut v, [0, 5, 10, 15], m[s[8]], m[s[9]]);
            mix(simd, &mut v, [1, 6, 11, 12], m[s[10]], m[s[11]]);
            mix(simd, &mut v, [2, 7, 8, 13], m[s[12]], m[s[13]]);
            mix(simd, &mut v, [3, 4, 9, 14], m[s[14]], m[s[15]]);
        }
        for word in 0..8 {
            let (low, high) = (simd.xor_u32s(v[word], v[word + 8]), simd.xor_u32s(v[word + 8], key[word]));
            S::as_mut_simd_u32s(&mut words[word]).0[at] = low;
            S::as_mut_simd_u32s(&mut words[word + 8]).0[at] = high;
        }
    }
    for (lane, block) in output.iter_mut().enumerate() {
        *block = std::array::from_fn(|word| words[word][lane]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                    let mut expected: Vec<(usize, usize, Vec<u32>)> = Vec::new();
                    for at in 0..number {
                        let token = &text[..(bytes + at) % (longest + 1)];
                        let (key, blocks) = (at % roots.len(), 1 + at % 3);
                        let first = lanes[key].asked();
                        assert!(lanes[key].ask(&prefix, token, blocks));
                        let length = (token.len() as u32).to_le_bytes();
                        let mut hasher = blake3::Hasher::new_keyed(&roots[key]);
                        let mut output = [0; 4 * 64];
                        hasher.update(&lengthed).update(&length).update(token);
                        hasher.finalize_xof().fill(&mut output);
                        let words = output.as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four));
                        expected.push((key, first, words.take((blocks + 1) * 16).collect()));
                    }
                    lanes.iter_mut().for_each(Lanes::hash);
                    for (key, first, words) in &expected {
                        let blocks = words.len() / 16 - 1;
                        let found = lanes[*key].words(*first, blocks).iter().copied();
                        let found: Vec<u32> = found.chain(lanes[*key].more(*first, blocks)).collect();
                        assert_eq!(&found, words, "{number} inputs around {bytes} bytes");
                    }
                    lanes.iter_mut().for_each(Lanes::clear);
                }
                assert!(!lanes[0].ask(&prefix, &text[..longest + 1], 1), "longer than a block");
            }
        }
    }
}
