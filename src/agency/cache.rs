//! A bounded cache of tokens' positions, for salts that repeat from record to record.
//!
//! May see: tokens, salts and positions, which it wipes. Must not see: keys, filters.

use super::filter::Target;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use zeroize::Zeroize;

/// Positions a worker's cache keeps before it starts afresh (2 bytes each).
pub(super) const POSITIONS_MAX: usize = 2 << 20;

/// Positions by (domain, segment length, salt, token). Bounded; wiped when full and when dropped.
#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<Vec<u8>, (u32, u32), BuildHasherDefault<TokenHasher>>,
    positions: Vec<u16>,
    key: Vec<u8>,
}

impl Cache {
    /// Chooses the token at hand.
    pub(super) fn key(&mut self, domain: usize, target: &Target<'_>, token: &[u8]) {
        self.key.clear();
        self.key.push(domain as u8);
        self.key.extend_from_slice(&(target.bits as u16).to_le_bytes());
        self.key.push(target.salt.len() as u8);
        self.key.extend_from_slice(target.salt);
        self.key.extend_from_slice(token);
    }
    /// The first `count` positions, where at least as many are known.
    pub(super) fn known(&self, count: usize) -> Option<&[u16]> {
        let (start, len) = *self.entries.get(self.key.as_slice())?;
        let start = start as usize;
        (len as usize >= count).then(|| &self.positions[start..start + count])
    }
    /// Remembers the positions of the token at hand.
    pub(super) fn keep(&mut self, found: &[u16]) {
        if self.positions.len() + found.len() > POSITIONS_MAX {
            self.wipe();
        }
        let span = (self.positions.len() as u32, found.len() as u32);
        self.positions.extend_from_slice(found);
        match self.entries.get_mut(self.key.as_slice()) {
            Some(entry) => *entry = span,
            None => drop(self.entries.insert(self.key.clone(), span)),
        }
    }
    /// Positions and tokens kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.positions.len(), self.entries.len())
    }

    fn wipe(&mut self) {
        self.positions.zeroize();
        for (mut key, _) in self.entries.drain() {
            key.zeroize();
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.wipe();
        self.key.zeroize();
    }
}

/// A quick hash for short keys of our own making: multiply and rotate, eight bytes at a time.
#[derive(Default)]
struct TokenHasher(u64);

impl Hasher for TokenHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut mix = |word: u64| {
            self.0 = (self.0.rotate_left(26) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        };
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| mix(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mix(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}
