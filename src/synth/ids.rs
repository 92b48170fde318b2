//! Numbers that children and records bear: NHS numbers of the test range, UPNs, ids.
//!
//! May see: ordinals and the seed. Every number is a permutation of an ordinal, so no two are the same and no set of
//! numbers already given has to be remembered.

use super::rng::Stream;

/// How many NHS numbers the test range yields here: 100,000 tens of 999 0000 00x to 999 9999 99x, nine of each ten.
pub(super) const NHS_NUMBERS: u64 = 900_000;

/// Scrambles ordinals: a seeded affine permutation of `0..modulus`.
#[derive(Clone, Copy)]
pub(super) struct Shuffle {
    modulus: u64,
    factor: u64,
    offset: u64,
}

impl Shuffle {
    /// A permutation of `0..modulus`; `modulus` at most 2^40.
    pub(super) fn new(key: &[u8; 32], modulus: u64) -> Self {
        let mut stream = Stream::new(key, modulus);
        let mut draw = || (u64::from(stream.bits()) << 32 | u64::from(stream.bits())) % modulus;
        let offset = draw();
        let mut factor = draw() | 1;
        while gcd(factor, modulus) != 1 {
            factor += 2;
        }
        Self { modulus, factor, offset }
    }

    pub(super) fn of(&self, ordinal: u64) -> u64 {
        let product = u128::from(ordinal % self.modulus) * u128::from(self.factor);
        ((product + u128::from(self.offset)) % u128::from(self.modulus)) as u64
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The check digit of the first nine digits of an NHS number (modulus 11, weights 10 to 2); none where it would be ten.
pub(super) fn nhs_check_digit(nine: u32) -> Option<u32> {
    let mut rest = nine;
    let mut sum = 0;
    for weight in 2..=10 {
        sum += weight * (rest % 10);
        rest /= 10;
    }
    match 11 - sum % 11 {
        11 => Some(0),
        10 => None,
        digit => Some(digit),
    }
}

/// The NHS number of a scrambled ordinal below [`NHS_NUMBERS`]; none above, and for the repeated digits 9999999999.
pub(super) fn nhs_number(scrambled: u64) -> Option<String> {
    if scrambled >= NHS_NUMBERS {
        return None;
    }
    let ten = 99_900_000 + (scrambled / 9) as u32;
    // A run of ten has at most one number without a check digit: weights step by two, so its sums differ modulo 11.
    let (nine, check) = (0..10)
        .filter_map(|last| nhs_check_digit(ten * 10 + last).map(|check| (ten * 10 + last, check)))
        .nth((scrambled % 9) as usize)?;
    (nine != 999_999_999).then(|| format!("{nine}{check}"))
}

/// Letters of the UPN's check, in the order of the remainder.
const UPN_LETTERS: &[u8; 23] = b"ABCDEFGHJKLMNPQRTUVWXYZ";

/// The check letter of the twelve digits of a UPN (weights 2 to 13, modulus 23).
pub(super) fn upn_letter(digits: u64) -> char {
    let mut rest = digits;
    let mut sum = 0;
    for weight in (2..=13).rev() {
        sum += weight * (rest % 10);
        rest /= 10;
    }
    char::from(UPN_LETTERS[(sum % 23) as usize])
}

/// How many pupils one local authority number holds: schools 1000 to 9999, 1000 serial numbers each.
pub(super) const UPNS: u64 = 9_000_000;

/// The UPN of a scrambled ordinal: check letter, local authority, school, year of allocation, serial number.
pub(super) fn upn(authority: u64, scrambled: u64, year: u16) -> String {
    let school = 1000 + scrambled / 1000 % 9000;
    let serial = scrambled % 1000;
    let digits = ((authority * 10_000 + school) * 100 + u64::from(year % 100)) * 1000 + serial;
    format!("{}{digits:012}", upn_letter(digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::rng::key;
    use std::collections::HashSet;

    #[test]
    fn check_digits_agree_with_known_numbers() {
        // The NHS data dictionary's worked example, and the test numbers of the dirty extracts.
        assert_eq!(nhs_check_digit(943_476_591), Some(9));
        assert_eq!(nhs_check_digit(999_001_007), Some(2));
        assert_eq!(nhs_check_digit(999_001_021), Some(8));
        assert_eq!(upn_letter(341_212_000_000), 'G');
        assert_eq!(upn_letter(341_212_000_037), 'V');
        assert_eq!(upn_letter(341_212_000_074), 'E');
    }

    #[test]
    fn the_test_range_yields_distinct_numbers() {
        let mut seen = HashSet::new();
        for ordinal in (0..NHS_NUMBERS).step_by(7) {
            if let Some(number) = nhs_number(ordinal) {
                assert!(number.len() == 10 && number.starts_with("999"));
                assert!(seen.insert(number));
            }
        }
        assert!(seen.len() > 128_000);
        assert_eq!(nhs_number(NHS_NUMBERS), None);
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let shuffle = Shuffle::new(&key("test", "shuffle", ""), 9_000);
        let seen: HashSet<u64> = (0..9_000).map(|n| shuffle.of(n)).collect();
        assert_eq!(seen.len(), 9_000);
        assert!(seen.iter().all(|n| *n < 9_000));
    }
}
