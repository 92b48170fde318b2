//! Random draws that are the same on every machine: a BLAKE3 keyed stream per family and purpose.
//!
//! May see: nothing but the seed. Not for keys or anything secret: a seed is public here.

/// Derives the key of one purpose from the seed text and a part (an agency's name, say).
pub(super) fn key(purpose: &str, seed: &str, part: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("blindlink 2026 synth generator v1");
    for text in [purpose, seed, part] {
        // The length in front keeps ("ab", "c") and ("a", "bc") apart.
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

const BUFFER_BYTES: usize = 256;

/// A stream of draws.
pub(super) struct Stream {
    reader: blake3::OutputReader,
    buffer: [u8; BUFFER_BYTES],
    at: usize,
}

impl Stream {
    /// The stream number `index` under `key`.
    pub(super) fn new(key: &[u8; 32], index: u64) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(&index.to_le_bytes());
        Self { reader: hasher.finalize_xof(), buffer: [0; BUFFER_BYTES], at: BUFFER_BYTES }
    }

    /// 32 random bits.
    pub(super) fn bits(&mut self) -> u32 {
        if self.at == BUFFER_BYTES {
            self.reader.fill(&mut self.buffer);
            self.at = 0;
        }
        let mut word = [0; 4];
        word.copy_from_slice(&self.buffer[self.at..self.at + 4]);
        self.at += 4;
        u32::from_le_bytes(word)
    }

    /// A number in `0..end`, 0 when `end` is 0. The bias of multiply-shift is below 2^-32 x `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.bits()) * u64::from(end)) >> 32) as u32
    }

    /// A number in `low..=high`.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `ppm` times in a million.
    pub(super) fn chance(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < ppm
    }

    /// One item; none when there is none.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u32) as usize)
    }

    /// An index into `weights`, drawn in proportion to them; the last where they sum to less than asked.
    pub(super) fn weighted(&mut self, weights: &[u32]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        weights.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let a = key("family", "s", "");
        let draw = |key, index| {
            let mut stream = Stream::new(key, index);
            (0..200).map(|_| stream.bits()).collect::<Vec<_>>()
        };
        assert_eq!(draw(&a, 1), draw(&a, 1));
        assert_ne!(draw(&a, 1), draw(&a, 2));
        assert_ne!(draw(&a, 1), draw(&key("family", "t", ""), 1));
        assert_ne!(key("ab", "c", ""), key("a", "bc", ""));
    }

    #[test]
    fn draws_stay_in_range_and_near_their_rate() {
        let mut stream = Stream::new(&key("test", "rate", ""), 0);
        let hits = (0..100_000).filter(|_| stream.chance(30_000)).count();
        assert!((2_700..3_300).contains(&hits), "{hits}");
        assert!((0..10_000).all(|_| (3..=7).contains(&stream.between(3, 7))));
        let mut seen = [0; 3];
        (0..9_000).for_each(|_| seen[stream.weighted(&[1, 0, 2])] += 1);
        assert!(seen[1] == 0 && (2_700..3_300).contains(&seen[0]), "{seen:?}");
    }
}
