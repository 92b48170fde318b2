//! Hamming LSH: the lossy join, by choice only, with the expected recall computed.
//!
//! May see: filters and row numbers. Must not see: refs, agencies, identifiers.
//!
//! Each of L tables samples m bit positions; rows that agree on all of them are compared in full. A pair that
//! differs in H of n bits agrees on one sample with probability `p = C(n-H, m) / C(n, m)` and is found with
//! `1 - (1-p)^L` (Indyk and Motwani 1998, section 4). Reported for a pair exactly *at* the threshold with as many
//! set bits as the middle rows: better pairs are found more often.

use super::exec::Exec;
use super::join::JoinError;
use super::pairs::{Hit, keep_best};
use super::sketch::bound;
use super::tiles::{Found, Rows, Shape, Task};

/// Collisions compared between two looks at the cancellation flag.
const COLLISIONS: u64 = 1 << 18;

/// Finds the pairs that agree on one of the samples.
pub(super) fn run(task: &Task<'_>, tables: u16, bits: u8, exec: Exec<'_>) -> Result<Found, JoinError> {
    let [a, b] = task.tables;
    if !(1..=1_000).contains(&tables) {
        return Err(JoinError::Option { name: "tables", range: "1 to 1000" });
    }
    if bits == 0 || usize::from(bits) > 64.min(a.table.bits()) {
        return Err(JoinError::Option { name: "bits", range: "1 to 64, and not more than the filter has" });
    }
    let samples: Vec<Vec<u16>> = (0..tables).map(|table| sample(table, bits, a.table.bits())).collect();
    let all = a.ones.len() as u64 * b.ones.len() as u64;
    let share = all / u64::from(tables);
    task.control.advance(all - share * u64::from(tables))?;
    let parts = exec.map(samples.len(), |table| {
        let found = one_table(task, &samples, table)?;
        task.control.advance(share)?;
        Ok(found)
    })?;
    let mut found = Found { missed_expected: missed_expected(task, tables, bits), ..Found::default() };
    found.absorb(parts, task.control)?;
    Ok(found)
}

fn one_table(task: &Task<'_>, samples: &[Vec<u16>], table: usize) -> Result<Found, JoinError> {
    let [a, b] = task.tables;
    let keys_a = keys(a, &samples[table]);
    let mirrored = matches!(task.shape, Shape::Triangle | Shape::Mirror);
    task.control.advance(0)?;
    let keys_b = if mirrored { keys_a.clone() } else { keys(b, &samples[table]) };
    let (mut left, mut right) = (keys_a.as_slice(), keys_b.as_slice());
    let (mut found, mut next_look) = (Found::default(), COLLISIONS);
    while let (Some((x, _)), Some((y, _))) = (left.first(), right.first()) {
        let (key_x, key_y) = (*x, *y);
        let run = |side: &[(u64, u32)], key: u64| side.iter().take_while(|(other, _)| *other == key).count();
        if key_x != key_y {
            if key_x < key_y {
                left = &left[1..]
            } else {
                right = &right[1..]
            }
            continue;
        }
        let (block_a, block_b) = (&left[..run(left, key_x)], &right[..run(right, key_x)]);
        for (_, row_a) in block_a {
            for (_, row_b) in block_b.iter().filter(|(_, row_b)| task.wanted(*row_a, *row_b)) {
                found.verified += 1;
                let common = common(task, *row_a, *row_b);
                let total = u32::from(a.ones[*row_a as usize]) + u32::from(b.ones[*row_b as usize]);
                if task.threshold.passes(common, total) && first_seen(task, samples, table, (*row_a, *row_b))
                {
                    found.hits.push(Hit { a: *row_a, b: *row_b, common: common as u16 });
                }
            }
            if found.verified > next_look {
                next_look = found.verified + COLLISIONS;
                task.control.advance(0)?;
                if task.options.top_k.is_none() {
                    task.keep(&mut found)?;
                }
            }
        }
        (left, right) = (&left[block_a.len()..], &right[block_b.len()..]);
    }
    // The best k of all tables together are among the best k of each.
    if let Some(k) = task.options.top_k.filter(|_| task.shape != Shape::Triangle) {
        found.dropped += keep_best(&mut found.hits, k, [a.ones, b.ones], || task.control.advance(0))?;
    }
    task.keep(&mut found)?;
    Ok(found)
}

fn common(task: &Task<'_>, row_a: u32, row_b: u32) -> u32 {
    let [a, b] = task.tables;
    task.kernel.common(a.table.row(row_a as usize), b.table.row(row_b as usize))
}

/// Whether no earlier table brought the pair together: each pair is kept once.
fn first_seen(task: &Task<'_>, samples: &[Vec<u16>], table: usize, (row_a, row_b): (u32, u32)) -> bool {
    let [a, b] = task.tables;
    let (x, y) = (a.table.row(row_a as usize), b.table.row(row_b as usize));
    samples[..table].iter().all(|sample| key(x, sample) != key(y, sample))
}

fn key(row: &[u64], sample: &[u16]) -> u64 {
    sample.iter().fold(0, |key, bit| key << 1 | row[usize::from(bit / 64)] >> (bit % 64) & 1)
}

/// (key, row) of every row with a bit set, in order.
fn keys(rows: Rows<'_>, sample: &[u16]) -> Vec<(u64, u32)> {
    let full = (0..rows.ones.len()).filter(|row| rows.ones[*row] > 0);
    let mut keys: Vec<(u64, u32)> = full.map(|row| (key(rows.table.row(row), sample), row as u32)).collect();
    keys.sort_unstable();
    keys
}

/// `bits` different positions below `width`, always the same for one table (splitmix64).
fn sample(table: u16, bits: u8, width: usize) -> Vec<u16> {
    let mut state = u64::from(table) << 32;
    let mut sample: Vec<u16> = Vec::with_capacity(usize::from(bits));
    while sample.len() < usize::from(bits) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bit = ((mixed ^ mixed >> 31) % width as u64) as u16;
        if !sample.contains(&bit) {
            sample.push(bit);
        }
    }
    sample
}

/// Probability that a pair at the threshold is missed.
fn missed_expected(task: &Task<'_>, tables: u16, bits: u8) -> f64 {
    let [a, b] = task.tables;
    let middle = |rows: Rows<'_>| {
        let mut ones: Vec<u16> = rows.ones.iter().copied().filter(|ones| *ones > 0).collect();
        let at = ones.len() / 2;
        if ones.is_empty() { 0 } else { u32::from(*ones.select_nth_unstable(at).1) }
    };
    let width = a.table.bits() as f64;
    let differing = f64::from(bound(task.threshold, middle(a) + middle(b)));
    let one = |i: u8| ((width - differing - f64::from(i)) / (width - f64::from(i))).max(0.0);
    let agree: f64 = (0..bits).map(one).product();
    (1.0 - agree).powi(i32::from(tables))
}

#[cfg(test)]
mod tests {
    use crate::linkage::arena::FilterTable;
    use crate::linkage::exec::{Control, Exec};
    use crate::linkage::join::{JoinError, JoinMode, JoinOptions, join, self_join};
    use crate::linkage::made_up::{Dice, random};

    /// Each row of b differs from its row of a in just as many bits as the threshold lets pass.
    #[test]
    fn recall_is_what_was_announced_and_no_pair_is_invented() {
        let mut dice = Dice::new(3);
        let a = random(&mut dice, 2_000, 16, 2);
        let t = "0.8".parse().unwrap();
        let mut words = a.words().to_vec();
        for row in words.chunks_mut(16) {
            let total = 2 * row.iter().map(|word| word.count_ones()).sum::<u32>();
            let (mut on, mut off) = (super::bound(t, total) / 2, super::bound(t, total) / 2);
            let mut flipped = [false; 1024];
            while on + off > 0 {
                let bit = dice.below(1024);
                if std::mem::replace(&mut flipped[bit], true) {
                    continue;
                }
                let side = if row[bit / 64] >> (bit % 64) & 1 == 1 { &mut on } else { &mut off };
                if *side > 0 {
                    *side -= 1;
                    row[bit / 64] ^= 1 << (bit % 64);
                }
            }
        }
        let b = FilterTable::new(words, 16);
        let options = JoinOptions { mode: JoinMode::Lsh { tables: 30, bits: 14 }, ..JoinOptions::default() };
        let lossy = join(&a, &b, t, &options, Exec::Serial, &Control::new()).unwrap();
        let exact = join(&a, &b, t, &JoinOptions::default(), Exec::Serial, &Control::new()).unwrap();
        assert!(lossy.pairs.iter().all(|pair| exact.pairs.iter().any(|other| other == pair)));
        let recall = lossy.pairs.len() as f64 / exact.pairs.len() as f64;
        assert!(lossy.stats.recall_expected > 0.5 && lossy.stats.recall_expected < 0.99);
        assert!(
            (recall - lossy.stats.recall_expected).abs() < 0.05,
            "{recall} {}",
            lossy.stats.recall_expected
        );
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        assert!(join(&a, &b, t, &options, Exec::Pool(&pool), &Control::new()).unwrap() == lossy);
    }

    #[test]
    fn one_table_with_itself_gives_each_pair_once() {
        let table = FilterTable::new(vec![7, 7, 1 << 40, 7], 1);
        let options = JoinOptions { mode: JoinMode::Lsh { tables: 5, bits: 4 }, ..JoinOptions::default() };
        let t = "0.9".parse().unwrap();
        let joined = self_join(&table, t, &options, Exec::Serial, &Control::new()).unwrap();
        assert_eq!(joined.pairs.iter().collect::<Vec<_>>(), [(0, 1, 3), (0, 3, 3), (1, 3, 3)]);
        for mode in [JoinMode::Lsh { tables: 0, bits: 4 }, JoinMode::Lsh { tables: 1, bits: 65 }] {
            let refused =
                self_join(&table, t, &JoinOptions { mode, ..options }, Exec::Serial, &Control::new());
            assert!(matches!(refused, Err(JoinError::Option { .. })));
        }
    }
}
