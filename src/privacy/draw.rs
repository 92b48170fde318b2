//! Random draws of the attacker and of the experiments: seeded, the same on every machine.
//!
//! May see: a seed. Not for keys. SplitMix64 (Steele, Lea and Flood 2014): small, and good enough to pick samples.

/// A stream of draws.
#[derive(Debug, Clone)]
pub(super) struct Draw(u64);

impl Draw {
    /// A stream by purpose: equal purposes and seeds draw equal numbers.
    pub(super) fn new(seed: &str, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("blindlink 2026 privacy draws v1");
        hasher.update(&(seed.len() as u64).to_le_bytes());
        hasher.update(seed.as_bytes());
        hasher.update(purpose.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(u64::from_le_bytes(first))
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end` (0 when `end` is 0).
    pub(super) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// A number from -1 to 1, of variance one third.
    pub(super) fn centred(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Puts `items` into a random order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }

    /// `count` of the numbers below `end`, each at most once, in ascending order; all of them where there are fewer.
    pub(super) fn sample(&mut self, end: usize, count: usize) -> Vec<u32> {
        let mut all: Vec<u32> = (0..end as u32).collect();
        self.shuffle(&mut all);
        all.truncate(count);
        all.sort_unstable();
        all
    }
}

/// Mixes two numbers into one: the hash of the attacks' colours.
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let mut draw = Draw(a ^ b.rotate_left(32) ^ 0x5851_f42d_4c95_7f2d);
    draw.bits() ^ b.wrapping_mul(0xd6e8_feb8_6659_fd93)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_repeat_are_distinct_and_differ_by_purpose() {
        let draw = |purpose| Draw::new("s", purpose).sample(1000, 100);
        assert_eq!(draw("a"), draw("a"));
        assert_ne!(draw("a"), draw("b"));
        assert!(draw("a").windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Draw::new("s", "c").sample(5, 9), [0, 1, 2, 3, 4]);
        assert_ne!(mix(1, 2), mix(2, 1));
    }
}
