//! Tables of filters for tests: random, skewed, with near duplicates of known distance.

use super::arena::FilterTable;

/// A small generator with a full period (xorshift64*), the same on every machine.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub(super) fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.word() % n as u64) as usize
    }
}

/// `rows` random filters about `quarters / 4` full (1 to 3).
pub(super) fn random(dice: &mut Dice, rows: usize, words: usize, quarters: u8) -> FilterTable {
    let word = |dice: &mut Dice| match quarters {
        1 => dice.word() & dice.word(),
        3 => dice.word() | dice.word(),
        _ => dice.word(),
    };
    FilterTable::new((0..rows * words).map(|_| word(dice)).collect(), words)
}

/// Rows of `table` (any, repeatedly), each with up to `flips_max` bits flipped.
pub(super) fn noisy_copy(dice: &mut Dice, table: &FilterTable, rows: usize, flips_max: usize) -> FilterTable {
    let mut words = Vec::with_capacity(rows * table.words_per_row());
    for _ in 0..rows {
        let mut row = table.row(dice.below(table.rows())).to_vec();
        for _ in 0..dice.below(flips_max + 1) {
            let bit = dice.below(table.bits());
            row[bit / 64] ^= 1 << (bit % 64);
        }
        words.extend(row);
    }
    FilterTable::new(words, table.words_per_row())
}

/// The rows of several tables, one after the other.
pub(super) fn stacked(tables: &[&FilterTable]) -> FilterTable {
    let words = tables.iter().flat_map(|table| table.words()).copied().collect();
    FilterTable::new(words, tables[0].words_per_row())
}
