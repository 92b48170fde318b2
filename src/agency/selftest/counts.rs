//! What the self-tests keep: repeated values, a correlation, bits by position. Memory is bounded.

use pulp::Arch;

/// Hashes kept per view; beyond, every second, fourth, ... value is followed in all its copies.
const HASHES_MAX: usize = 1 << 18;

/// A filter's hash and its number of set bits, with the machine's instructions for that; `counts`, where given, gets
/// its bits by position.
pub(super) fn look(arch: Arch, filter: &[u8], counts: Option<&mut [u32]>) -> (u64, u32) {
    arch.dispatch(
        #[inline(always)]
        || {
            if let Some(counts) = counts {
                count_bits(filter, counts);
            }
            digest(filter)
        },
    )
}

#[inline(always)]
fn digest(filter: &[u8]) -> (u64, u32) {
    let (words, rest) = filter.as_chunks::<8>();
    let (mut hash, mut ones) = (0u64, 0);
    for word in words {
        let word = u64::from_le_bytes(*word);
        ones += word.count_ones();
        hash = (hash.rotate_left(26) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    for byte in rest {
        ones += byte.count_ones();
        hash = (hash.rotate_left(26) ^ u64::from(*byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    (mixed(hash), ones)
}

/// Spreads a hash over all its bits (the finaliser of MurmurHash3).
#[inline(always)]
pub(super) fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ hash >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash = (hash ^ hash >> 33).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ hash >> 33
}

#[inline(always)]
fn count_bits(filter: &[u8], counts: &mut [u32]) {
    for (byte, counts) in filter.iter().zip(counts.chunks_exact_mut(8)) {
        counts.iter_mut().enumerate().for_each(|(bit, count)| *count += u32::from(byte >> bit & 1));
    }
}

/// Values that occur more than once, in a sample of all values that follows each sampled one in all copies.
#[derive(Default)]
pub(super) struct Repeats {
    hashes: Vec<u64>,
    /// Values whose low so many bits are zero are followed.
    skipped_bits: u32,
}

impl Repeats {
    pub(super) fn add(&mut self, hash: u64) {
        if hash.trailing_zeros() < self.skipped_bits {
            return;
        }
        self.hashes.push(hash);
        while self.hashes.len() > HASHES_MAX {
            self.skipped_bits += 1;
            let skipped = self.skipped_bits;
            self.hashes.retain(|hash| hash.trailing_zeros() >= skipped);
        }
    }

    /// Values that stand once already, estimated over all that were added, in thousandths.
    pub(super) fn count(&self) -> u64 {
        let mut hashes = self.hashes.clone();
        hashes.sort_unstable();
        let repeated = hashes.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
        1000 * (repeated << self.skipped_bits)
    }
}

/// Pearson's correlation, from sums.
#[derive(Default)]
pub(super) struct Correlation {
    count: u64,
    x: u64,
    y: u64,
    xx: u64,
    yy: u64,
    xy: u64,
}

impl Correlation {
    pub(super) fn add(&mut self, x: u32, y: u32) {
        let (x, y) = (u64::from(x), u64::from(y));
        self.count += 1;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.yy += y * y;
        self.xy += x * y;
    }

    /// The size of the correlation less three standard errors, in thousandths; none of too few records, or where a
    /// side is constant.
    pub(super) fn beyond_chance_milli(&self, records_min: u64) -> Option<u64> {
        if self.count < records_min {
            return None;
        }
        let count = self.count as f64;
        let spread =
            |square: u64, a: u64, b: u64| square as f64 / count - a as f64 / count * (b as f64 / count);
        let (vx, vy) = (spread(self.xx, self.x, self.x), spread(self.yy, self.y, self.y));
        if vx <= 0.0 || vy <= 0.0 {
            return None;
        }
        let r = spread(self.xy, self.x, self.y).abs() / (vx * vy).sqrt();
        Some((1000.0 * (r - 3.0 / count.sqrt()).max(0.0)).round() as u64)
    }
}
