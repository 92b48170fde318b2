//! Tokens into bits: `doubleHash` (Schnell, Bachteler, Reiher 2009), `blakeHash`, and XOR folding.
//!
//! May see: keys and token bytes. Must not print either.

use super::error::LegacyError;
use super::schema::{HashKind, Strategy};
use blake2::Blake2bMac512;
use blake2::digest::{FixedOutput, KeyInit, Mac, Update};
use hmac::Hmac;
use md5::Md5;
use sha1::Sha1;
use std::collections::HashMap;

/// Longest key of keyed BLAKE2b in bytes.
const BLAKE_KEY_BYTES_MAX: usize = 64;
/// Positions one BLAKE2b digest yields: 64 bytes read as 16-bit numbers.
const POSITIONS_PER_DIGEST: usize = 32;
/// Tokens of one column remembered by one thread, and positions of each.
const MEMO_TOKENS_MAX: usize = 1 << 16;
const MEMO_POSITIONS_MAX: u32 = 256;

/// The hash of one column under its keys.
pub(super) struct TokenHash {
    keyed: Keyed,
    bits: u32,
}

enum Keyed {
    Double { macs: Box<(Hmac<Sha1>, Hmac<Md5>)>, prevent_singularity: bool },
    Blake { key: zeroize::Zeroizing<Vec<u8>> },
}

/// What a token's positions are computed from.
#[derive(Clone)]
pub(super) enum Seed {
    /// Positions `start + i * step` modulo the length.
    Line { start: u32, step: u32 },
    /// Positions as they come.
    List(Vec<u16>),
}

/// Seeds of tokens already hashed: names repeat. One per thread and column.
pub(super) type Memo = HashMap<Box<[u8]>, Seed>;

impl TokenHash {
    /// Takes the column's keys; `bits` is the length before folding.
    pub(super) fn new(
        kind: HashKind,
        keys: (&[u8], &[u8]),
        bits: u32,
        path: &str,
    ) -> Result<Self, LegacyError> {
        let unusable = |rule: &str| LegacyError::unusable(path, rule);
        let keyed = match kind {
            HashKind::Double { prevent_singularity } => {
                if prevent_singularity && bits < 2 {
                    return Err(unusable("prevent_singularity needs a filter of more than one bit"));
                }
                let any_length = |_| unusable("the key is refused by HMAC");
                let first = KeyInit::new_from_slice(keys.0).map_err(any_length)?;
                let second = KeyInit::new_from_slice(keys.1).map_err(any_length)?;
                Keyed::Double { macs: Box::new((first, second)), prevent_singularity }
            }
            HashKind::Blake => {
                if !bits.is_power_of_two() {
                    return Err(unusable("blakeHash needs l * 2^xor_folds to be a power of two"));
                }
                if keys.0.len() > BLAKE_KEY_BYTES_MAX {
                    return Err(unusable("blakeHash needs a keySize of at most 64"));
                }
                Keyed::Blake { key: zeroize::Zeroizing::new(keys.0.to_vec()) }
            }
        };
        Ok(Self { keyed, bits })
    }

    /// Inserts `token` `count` times into `filter` (big-endian bits).
    pub(super) fn insert(&self, token: &[u8], count: u32, memo: &mut Memo, filter: &mut [u8]) {
        let enough = |seed: &&Seed| !matches!(seed, Seed::List(list) if list.len() < count as usize);
        if let Some(seed) = memo.get(token).filter(enough) {
            return self.set(seed, count, filter);
        }
        let seed = self.seed(token, count);
        self.set(&seed, count, filter);
        if memo.len() < MEMO_TOKENS_MAX && count <= MEMO_POSITIONS_MAX {
            memo.insert(token.into(), seed);
        }
    }

    fn set(&self, seed: &Seed, count: u32, filter: &mut [u8]) {
        let mut set = |position: u32| filter[position as usize / 8] |= 0x80 >> (position % 8);
        match seed {
            Seed::Line { start, step } => {
                let mut position = *start;
                // A line is back at its start after at most `bits` steps.
                for _ in 0..count.min(self.bits) {
                    set(position);
                    position += step;
                    if position >= self.bits {
                        position -= self.bits;
                    }
                }
            }
            Seed::List(list) => {
                list[..count as usize].iter().for_each(|&short| set(u32::from(short) % self.bits))
            }
        }
    }

    fn seed(&self, token: &[u8], count: u32) -> Seed {
        match &self.keyed {
            Keyed::Double { macs, prevent_singularity } => {
                let (first, second) = &**macs;
                let start = modulo(&digest(first, &[token]), self.bits);
                let mut step = modulo(&digest(second, &[token]), self.bits);
                let mut salts = '\0'..=char::MAX;
                while step == 0 && *prevent_singularity {
                    let Some(salt) = salts.next() else { break };
                    let salt = salt.encode_utf8(&mut [0; 4]).as_bytes().to_vec();
                    step = modulo(&digest(second, &[token, &salt]), self.bits);
                }
                Seed::Line { start, step }
            }
            Keyed::Blake { key } => {
                let digests = (count as usize).div_ceil(POSITIONS_PER_DIGEST);
                let shorts = (0..digests).flat_map(|at| blake(key, token, at)).collect();
                Seed::List(shorts)
            }
        }
    }
}

fn digest<M: Mac + Clone + Update + FixedOutput>(keyed: &M, parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = keyed.clone();
    parts.iter().for_each(|part| Update::update(&mut mac, part));
    mac.finalize_fixed().to_vec()
}

/// The 32 little-endian numbers of digest `at`, whose number in ASCII is the salt.
fn blake(key: &[u8], token: &[u8], at: usize) -> Vec<u16> {
    let salt = at.to_string();
    // Key and salt are within their bounds by construction, so this is never the empty fallback.
    let Ok(mut mac) = Blake2bMac512::new_with_salt_and_personal(Some(key), salt.as_bytes(), &[]) else {
        return Vec::new();
    };
    Update::update(&mut mac, token);
    let digest = mac.finalize_fixed();
    digest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// A big-endian number modulo `bits`.
fn modulo(digest: &[u8], bits: u32) -> u32 {
    let bits = u64::from(bits);
    let residue = digest.chunks(4).fold(0u64, |residue, chunk| {
        let word = chunk.iter().fold(0u64, |word, &byte| word << 8 | u64::from(byte));
        ((residue << (8 * chunk.len())) | word) % bits
    });
    // A residue of a 32-bit modulus.
    u32::try_from(residue).unwrap_or(0)
}

impl Strategy {
    /// Insertions of token `at` of `tokens`: the first get what an even share leaves over.
    pub(super) fn insertions(self, at: usize, tokens: usize) -> u32 {
        match self {
            Self::BitsPerToken(count) => count,
            Self::BitsPerFeature(total) => {
                let (share, rest) = (total as usize / tokens, total as usize % tokens);
                u32::try_from(share + usize::from(at < rest)).unwrap_or(total)
            }
        }
    }
}

/// Folds a filter of `bits * 2^k` bits to `bits` by XOR of its halves, k times: position p ends at p mod `bits`.
pub(super) fn fold(filter: &[u8], bits: u32) -> Vec<u8> {
    let mut folded = vec![0u8; (bits as usize).div_ceil(8)];
    if bits.is_multiple_of(8) {
        for part in filter.chunks(folded.len()) {
            folded.iter_mut().zip(part).for_each(|(out, byte)| *out ^= byte);
        }
        return folded;
    }
    for position in 0..filter.len() * 8 {
        if filter[position / 8] & 0x80 >> (position % 8) != 0 {
            let target = position % bits as usize;
            folded[target / 8] ^= 0x80 >> (target % 8);
        }
    }
    folded
}
