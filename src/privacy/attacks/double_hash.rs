//! Double-hash pattern test: positions in arithmetic progression give whole tokens away.
//!
//! Source: Kroll and Steinmetzer 2015, against filters whose k positions are `a + i b mod l`. Every progression of eight
//! positions is tried; one that all occurs in more filters than the same progression over shuffled columns ever does is a
//! token. Independent positions from a keyed PRF leave nothing to find.
//!
//! The attacker knows: one file. Cost: l^2 / 2 progressions of a few hundred records each.

use super::super::draw::Draw;
use super::super::finding::Finding;
use super::super::target::Target;
use crate::linkage::arena::FilterTable;
use rayon::prelude::*;
use std::ops::Range;

/// Positions of a progression that are tested.
const LENGTH: usize = 8;
/// Filters that take part.
const ROWS_MAX: usize = 1_024;

/// Progressions in the first segment of the first view that are too frequent for chance.
#[must_use]
pub fn run(target: &Target) -> Finding {
    let segment = &target.encoded.layout.views()[0].segments[0];
    let range = segment.start as usize..(segment.start + segment.bits) as usize;
    test(&target.encoded.views[0].filters, range, &target.seed)
}

/// The test on a run of bits of a table of filters.
#[must_use]
pub fn test(filters: &FilterTable, range: Range<usize>, seed: &str) -> Finding {
    let columns = columns(filters)[range].to_vec();
    let mut shuffled = columns.clone();
    Draw::new(seed, "double hash").shuffle(&mut shuffled);
    let (found, chance) = (counts(&columns), counts(&shuffled));
    // The bound is what chance reaches, and a little more for the one shuffle it was seen in.
    let most = chance.iter().copied().max().unwrap_or(0);
    let bound = most + 2 + most / 4;
    let hits = found.iter().filter(|count| **count > bound).count();
    let setting = format!("progressions of {LENGTH} positions in {} filters", filters.rows().min(ROWS_MAX));
    Finding::share("double-hash", setting, hits as u64, found.len() as u64, 0.0)
}

/// Each bit position as a bit set of filters.
fn columns(filters: &FilterTable) -> Vec<Vec<u64>> {
    let rows = filters.rows().min(ROWS_MAX);
    let mut columns = vec![vec![0u64; rows.div_ceil(64)]; filters.bits()];
    for row in 0..rows {
        for (at, word) in filters.row(row).iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                columns[64 * at + left.trailing_zeros() as usize][row / 64] |= 1 << (row % 64);
                left &= left - 1;
            }
        }
    }
    columns
}

/// Filters that have every position of a progression, for each start and each step up to half the length.
fn counts(columns: &[Vec<u64>]) -> Vec<u32> {
    let bits = columns.len();
    let of = |start: usize| {
        // A step that comes back to its start too soon is no progression of eight.
        let steps = (1..=bits / 2).filter(|step| (1..LENGTH).all(|i| !(i * step).is_multiple_of(bits)));
        let step_counts = steps.map(move |step| {
            let mut both = columns[start].clone();
            for i in 1..LENGTH {
                let next = &columns[(start + i * step) % bits];
                both.iter_mut().zip(next).for_each(|(word, other)| *word &= other);
            }
            both.iter().map(|word| word.count_ones()).sum()
        });
        step_counts.collect::<Vec<u32>>()
    };
    (0..bits).into_par_iter().flat_map_iter(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Filters of five tokens each of fifty, with `k` positions a token by `position`.
    fn filters(position: impl Fn(u64, usize) -> usize) -> FilterTable {
        let mut draw = Draw::new("double hash", "test");
        let mut words = vec![0u64; 600 * 8];
        for row in words.chunks_mut(8) {
            for _ in 0..5 {
                let token = draw.below(50) as u64;
                (0..10).map(|i| position(token, i)).for_each(|at| row[at / 64] |= 1 << (at % 64));
            }
        }
        FilterTable::new(words, 8)
    }

    #[test]
    fn double_hashing_is_seen_and_independent_positions_are_not() {
        let doubled = |token: u64, i: usize| {
            let mut draw = Draw::new("h", &token.to_string());
            (draw.below(512) + i * draw.below(512)) % 512
        };
        let independent = |token: u64, i: usize| Draw::new("h", &format!("{token} {i}")).below(512);
        assert!(test(&filters(doubled), 0..512, "s").successes >= 40);
        assert_eq!(test(&filters(independent), 0..512, "s").successes, 0);
    }
}
