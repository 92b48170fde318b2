//! Made-up tables shaped like real CLKs, the same on every machine.
#![allow(dead_code, reason = "each bench uses its part")]

use blindlink::linkage::arena::FilterTable;

/// xorshift64*.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.word() % n as u64) as usize
    }
}

/// Values a field may take; low ones are drawn more often.
const POOLS: [usize; 8] = [300, 2_000, 365, 80, 5_000, 9_000, 2_000, 600];

fn fields(dice: &mut Dice) -> [u64; 8] {
    POOLS.map(|pool| dice.below(pool).min(dice.below(pool)) as u64)
}

fn change(dice: &mut Dice, record: &mut [u64; 8]) {
    let changed = dice.below(8);
    record[changed] = dice.below(POOLS[changed]) as u64;
}

/// Tokens of one field set bits together, so that distances spread wider than independent bits would; half full.
fn encode(record: &[u64; 8], bits: usize, words: &mut Vec<u64>) {
    let start = words.len();
    words.resize(start + bits / 64, 0);
    for (field, value) in record.iter().enumerate() {
        let mut token = Dice((value << 8 | field as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..bits * 693 / 8000 {
            let bit = token.below(bits);
            words[start + bit / 64] |= 1 << (bit % 64);
        }
    }
}

/// Two tables; half of B are records of A with the value of one field drawn anew.
pub(crate) fn made_up(rows: usize, bits: usize) -> [FilterTable; 2] {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut a, mut b) = (Vec::with_capacity(rows * bits / 64), Vec::with_capacity(rows * bits / 64));
    for row in 0..rows {
        let mut record = fields(&mut dice);
        encode(&record, bits, &mut a);
        if row % 2 == 0 {
            change(&mut dice, &mut record);
        } else {
            record = fields(&mut dice);
        }
        encode(&record, bits, &mut b);
    }
    [a, b].map(|words| FilterTable::new(words, bits / 64))
}

/// One table of `rows` records and `queries` rows that are near the first of them.
pub(crate) fn crowd(rows: usize, queries: usize) -> (FilterTable, FilterTable) {
    let mut dice = Dice(0xd1b5_4a32_d192_ed03);
    let (mut table, mut asked) = (Vec::with_capacity(rows * 16), Vec::new());
    for row in 0..rows {
        let mut record = fields(&mut dice);
        encode(&record, 1024, &mut table);
        if row < queries {
            change(&mut dice, &mut record);
            encode(&record, 1024, &mut asked);
        }
    }
    (FilterTable::new(table, 16), FilterTable::new(asked, 16))
}

/// The table of one of a city's agencies: it shares half of its children with the next agency.
pub(crate) fn agency(number: usize, rows: usize) -> FilterTable {
    let mut words = Vec::with_capacity(rows * 16);
    for row in 0..rows {
        let child = (number * rows / 2 + row) as u64;
        let mut dice = Dice((child + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.word();
        let mut record = fields(&mut dice);
        let mut own = Dice((child << 8 | number as u64).wrapping_mul(0xd1b5_4a32_d192_ed03) | 1);
        if own.below(2) == 0 {
            change(&mut own, &mut record);
        }
        encode(&record, 1024, &mut words);
    }
    FilterTable::new(words, 16)
}
