//! Keyed diffusion: every bit that leaves is the XOR of t secret bits of the filter.
//!
//! May see: a filter of this agency, the epoch's key. Must not see: identifiers.
//!
//! Source: Armknecht, Heng, Schnell, *Strengthening Privacy-Preserving Record Linkage using Diffusion*,
//! PoPETs 2023. With h = 1 - Dice of two half-full filters, the diffused ones have a Dice of
//! 1 - (1 - (1 - 2h)^t) / 2 on average, with a standard deviation of .5 / sqrt(m): what is not very alike
//! looks unrelated, so the similarity graph that graph matching needs is gone.
//!
//! A map longer than its filter (m > l) is refused by the schema's rules: its columns are words of weight
//! about m t / l in the code that l encodings span, and anybody finds words so light in seconds.

use super::filter::Words;
use super::key::Secret;
use zeroize::Zeroize;

/// Which t bits of the filter each bit that leaves adds up; one per view, epoch and project.
pub(super) struct Diffusion {
    terms: usize,
    /// t positions for each bit that leaves, in order.
    positions: Vec<u16>,
}

impl Diffusion {
    /// Draws the map from `filter_bits` to `bits` bits with `terms` positions a bit: without replacement from
    /// a pool of all positions that is refilled when empty; a position its bit has already stays in the pool.
    /// `terms` must not exceed `filter_bits`.
    pub(super) fn new(key: &Secret, filter_bits: u32, bits: u32, terms: usize) -> Self {
        let mut words = Words::new(key.hasher().finalize_xof());
        let mut positions: Vec<u16> = Vec::with_capacity(bits as usize * terms);
        let mut pool: Vec<u16> = Vec::with_capacity(filter_bits as usize);
        for at in 0..bits as usize {
            let first = at * terms;
            while positions.len() < first + terms {
                if pool.is_empty() {
                    // A filter has at most 16384 bits, so a position fits in u16.
                    pool.extend((0..filter_bits).map(|position| position as u16));
                }
                let drawn = words.below(pool.len() as u32) as usize;
                if !positions[first..].contains(&pool[drawn]) {
                    positions.push(pool.swap_remove(drawn));
                }
            }
        }
        Self { terms, positions }
    }

    /// Appends the bits that leave for `filter`; `scratch` is wiped by its owner.
    pub(super) fn apply(&self, filter: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) {
        for (eight, byte) in scratch.0.as_chunks_mut::<8>().0.iter_mut().zip(filter) {
            *eight = std::array::from_fn(|bit| byte >> bit & 1);
        }
        match self.terms {
            3 => self.add::<3>(&scratch.0, out),
            5 => self.add::<5>(&scratch.0, out),
            7 => self.add::<7>(&scratch.0, out),
            terms => {
                let rows = self.positions.chunks_exact(terms);
                let bits = rows.map(|row| row.iter().fold(0, |sum, at| sum ^ scratch.0[usize::from(*at)]));
                push_bits(bits, out);
            }
        }
    }

    /// The usual numbers of terms, unrolled.
    fn add<const TERMS: usize>(&self, bits: &[u8; POSITIONS], out: &mut Vec<u8>) {
        let rows = self.positions.as_chunks::<TERMS>().0.iter();
        push_bits(rows.map(|row| row.iter().fold(0, |sum, at| sum ^ bits[usize::from(*at)])), out);
    }
}

fn push_bits(mut bits: impl ExactSizeIterator<Item = u8>, out: &mut Vec<u8>) {
    for _ in 0..bits.len() / 8 {
        out.push(bits.by_ref().take(8).enumerate().fold(0, |byte, (at, bit)| byte | bit << at));
    }
}

/// Values of u16: an array of so many needs no check of its index.
const POSITIONS: usize = 1 << 16;

/// A filter, one byte a bit; wiped when dropped.
pub(super) struct Scratch(Box<[u8; POSITIONS]>);

impl Default for Scratch {
    fn default() -> Self {
        Self(Box::new([0; POSITIONS]))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for Diffusion {
    fn drop(&mut self) {
        self.positions.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(filter_bits: u32, bits: u32, terms: usize) -> Diffusion {
        Diffusion::new(&Secret::derive("blindlink 1 test", &[b"x"]), filter_bits, bits, terms)
    }

    #[test]
    fn every_position_is_used_equally_and_never_twice_in_one_bit() {
        for (filter_bits, bits, terms) in [(4096, 4096, 5), (1024, 256, 3), (64, 64, 5), (70, 64, 7)] {
            let map = map(filter_bits, bits, terms);
            let mut used = vec![0u32; filter_bits as usize];
            for row in map.positions.chunks(terms) {
                row.iter().for_each(|at| used[usize::from(*at)] += 1);
                let mut distinct = row.to_vec();
                distinct.sort_unstable();
                distinct.dedup();
                assert_eq!(distinct.len(), terms);
            }
            let (low, high) = (used.iter().min().unwrap(), used.iter().max().unwrap());
            assert!(high - low <= 1, "{low} to {high}");
        }
    }

    type Word = [u64; 4];

    /// Columns of the map that stand as light words in the span of 400 encodings, by information-set
    /// decoding (Prange 1962): reduce on a random choice of bits, look at the rows.
    fn columns_given_away(map: &Diffusion, filter_bits: u32) -> usize {
        let mut words = Words::new(blake3::Hasher::new().update(b"span").finalize_xof());
        let bit = |word: &Word, at: usize| word[at / 64] >> (at % 64) & 1 == 1;
        let mut scratch = Scratch::default();
        let random =
            |words: &mut Words| -> Vec<u8> { (0..filter_bits / 8).map(|_| words.below(256) as u8).collect() };
        let mut rows: Vec<Word> = Vec::new();
        for _ in 0..400 {
            let mut out = Vec::new();
            map.apply(&random(&mut words), &mut scratch, &mut out);
            let all = out.as_chunks::<8>().0;
            rows.push(std::array::from_fn(|at| u64::from_le_bytes(all[at])));
        }
        let mut columns = vec![[0u64; 4]; filter_bits as usize];
        for (at, row) in map.positions.chunks(map.terms).enumerate() {
            row.iter().for_each(|position| columns[usize::from(*position)][at / 64] |= 1 << (at % 64));
        }
        let mut found = vec![false; columns.len()];
        for _ in 0..60 {
            let mut order: Vec<usize> = (0..256).collect();
            (1..256).rev().for_each(|at| order.swap(at, words.below(at as u32 + 1) as usize));
            let mut rank = 0;
            for at in order {
                let Some(pivot) = (rank..rows.len()).find(|row| bit(&rows[*row], at)) else { continue };
                rows.swap(rank, pivot);
                let pivot = rows[rank];
                let others = rows.iter_mut().enumerate().filter(|(row, word)| *row != rank && bit(word, at));
                others.for_each(|(_, word)| word.iter_mut().zip(pivot).for_each(|(a, b)| *a ^= b));
                rank += 1;
            }
            for word in &rows[..rank] {
                columns
                    .iter()
                    .zip(&mut found)
                    .filter(|(c, _)| *c == word)
                    .for_each(|(_, found)| *found = true);
            }
            rows.truncate(rank);
        }
        found.into_iter().filter(|found| *found).count()
    }

    #[test]
    fn the_span_of_encodings_gives_away_a_map_longer_than_its_filter_and_no_other() {
        // 64 bits to 256, and 1,024 to 4,096 alike: columns of 20 bits of a code of rate 1/4.
        assert!(columns_given_away(&map(64, 256, 5), 64) > 30);
        assert_eq!(columns_given_away(&map(256, 256, 5), 256), 0);
    }

    #[test]
    fn similarity_follows_the_formula() {
        let (bits, terms) = (4096u32, 5);
        let map = map(bits, bits, terms);
        let mut words = Words::new(blake3::Hasher::new().finalize_xof());
        let mut scratch = Scratch::default();
        for differing in [0u32, 205, 410, 820, 2048] {
            let a: Vec<u8> = (0..bits / 8).map(|_| words.below(256) as u8).collect();
            let mut b = a.clone();
            (0..differing).for_each(|at| b[at as usize / 8] ^= 1 << (at % 8));
            let (mut x, mut y) = (Vec::new(), Vec::new());
            map.apply(&a, &mut scratch, &mut x);
            map.apply(&b, &mut scratch, &mut y);
            let away: u32 = x.iter().zip(&y).map(|(p, q)| (p ^ q).count_ones()).sum();
            let h = f64::from(differing) / f64::from(bits);
            let expected = (1.0 - (1.0 - 2.0 * h).powi(5)) / 2.0;
            let found = f64::from(away) / f64::from(bits);
            // Five standard deviations.
            assert!((found - expected).abs() < 5.0 * 0.5 / 64.0, "h {h}: {found}, not {expected}");
            assert!(differing > 0 || away == 0);
        }
    }
}
