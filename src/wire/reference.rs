//! The reference of a link that two people quote on the phone: `LK-7K3M-9QXT-2BWD-41`.
//!
//! Sixty bits in twelve letters of Crockford's base 32 (no I, L, O, U) and two check digits (the number
//! modulo 97), so that a misheard letter is noticed. What the bits are is the centre's business: they
//! come from a keyed hash and say nothing about either record.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BITS: u32 = 60;

/// A reference to one link, to be quoted between the two agencies it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkReference(u64);

/// The text is not a link reference, or its check digits are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a link reference is LK-XXXX-XXXX-XXXX-NN and its last two digits must agree: read it out again")]
pub struct ReferenceError;

impl LinkReference {
    /// The reference made of the low sixty bits of `number`.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number & ((1 << BITS) - 1))
    }
    /// The sixty bits.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LinkReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LK")?;
        for at in 0..12u32 {
            if at.is_multiple_of(4) {
                f.write_str("-")?;
            }
            let digit = (self.0 >> (BITS - 5 * (at + 1))) & 31;
            write!(f, "{}", char::from(ALPHABET[usize::try_from(digit).unwrap_or(0)]))?;
        }
        write!(f, "-{:02}", self.0 % 97)
    }
}

impl FromStr for LinkReference {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.len() > 40 {
            return Err(ReferenceError);
        }
        let plain = text.trim().to_ascii_uppercase().replace(['-', ' '], "");
        let body = plain.strip_prefix("LK").ok_or(ReferenceError)?;
        if body.len() != 14 || !body.is_ascii() {
            return Err(ReferenceError);
        }
        let mut number = 0u64;
        for letter in body.bytes().take(12) {
            // What people hear and type: O is 0, I and L are 1.
            let letter = match letter {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let digit = ALPHABET.iter().position(|known| *known == letter).ok_or(ReferenceError)?;
            number = number << 5 | u64::try_from(digit).map_err(|_| ReferenceError)?;
        }
        let check: u64 = body[12..].parse().map_err(|_| ReferenceError)?;
        if number % 97 == check { Ok(Self(number)) } else { Err(ReferenceError) }
    }
}
impl TryFrom<String> for LinkReference {
    type Error = ReferenceError;
    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}
impl From<LinkReference> for String {
    fn from(reference: LinkReference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_forgives_how_people_type() {
        let reference = LinkReference::from_number(0x0123_4567_89ab_cdef);
        let text = reference.to_string();
        assert_eq!(text.len(), 20);
        assert_eq!(text.parse::<LinkReference>().unwrap(), reference);
        assert_eq!(text.to_lowercase().replace('-', " ").parse::<LinkReference>().unwrap(), reference);
    }

    #[test]
    fn every_single_wrong_letter_is_noticed() {
        let text = LinkReference::from_number(0x0fed_cba9_8765_4321).to_string();
        for (at, right) in text.char_indices().filter(|(at, c)| *at > 2 && *at < 17 && *c != '-') {
            for wrong in ALPHABET.iter().map(|b| char::from(*b)).filter(|c| *c != right) {
                let mut other = text.clone();
                other.replace_range(at..=at, &wrong.to_string());
                assert!(other.parse::<LinkReference>().is_err(), "{other}");
            }
        }
    }
}
