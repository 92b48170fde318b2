//! Sex codes of UK systems: words, letters, and the 1/2 of ISO 5218 and the NHS data dictionary.
//!
//! May see: one value. Must not see: files, keys.

use crate::agency::record::Sex;

/// What a sex code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SexCode {
    /// Male or female.
    Known(Sex),
    /// A recognised code for "not known", "not specified" or "indeterminate": counts as missing.
    NotKnown,
    /// Not a code of any list: counts as missing and is reported.
    Unrecognised,
}

/// Reads a sex code, whatever its case.
#[must_use]
pub fn parse(value: &str) -> SexCode {
    const FEMALE: [&str; 7] = ["f", "2", "female", "girl", "woman", "02", "fem"];
    const MALE: [&str; 6] = ["m", "1", "male", "boy", "man", "01"];
    const NOT_KNOWN: [&str; 19] = [
        "u",
        "x",
        "0",
        "9",
        "i",
        "n",
        "o",
        "unknown",
        "not known",
        "not specified",
        "unspecified",
        "not stated",
        "indeterminate",
        "other",
        "intersex",
        "undetermined",
        "3",
        "8",
        "unborn",
    ];
    let among = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    if among(&FEMALE) {
        SexCode::Known(Sex::Female)
    } else if among(&MALE) {
        SexCode::Known(Sex::Male)
    } else if among(&NOT_KNOWN) {
        SexCode::NotKnown
    } else {
        SexCode::Unrecognised
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_four_systems() {
        for value in ["F", "f", "2", "Female", "FEMALE"] {
            assert_eq!(parse(value), SexCode::Known(Sex::Female), "{value}");
        }
        for value in ["M", "1", "Male", "boy"] {
            assert_eq!(parse(value), SexCode::Known(Sex::Male), "{value}");
        }
        for value in ["U", "X", "0", "9", "Not Known"] {
            assert_eq!(parse(value), SexCode::NotKnown, "{value}");
        }
        for value in ["T", "female | male", "12"] {
            assert_eq!(parse(value), SexCode::Unrecognised, "{value}");
        }
    }
}
