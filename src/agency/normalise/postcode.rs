//! UK postcodes in their levels, and postal codes of other countries where a mapping says so.
//!
//! May see: one value. Must not see: files, keys.

use crate::agency::record::Postcode;

/// What a postcode field holds.
#[derive(Clone, PartialEq, Eq)]
pub enum PostcodeValue {
    /// A full postcode.
    Full(Postcode),
    /// `ZZ99 ...` and the like: NHS codes for no fixed abode, abroad or unknown; counts as missing.
    Pseudo,
    /// Not a full UK postcode.
    Invalid,
}

/// Longest postcode kept, in characters.
const LEN_MAX: usize = 10;

/// Reads a UK postcode, whatever its case and spacing.
///
/// An `O`, `I` or `L` where only a digit may stand (the first inward character) is read as 0 or 1: what
/// optical reading and typing confuse most. Nothing else is guessed.
#[must_use]
pub fn parse_uk(value: &str) -> PostcodeValue {
    let Some((mut code, len)) = plain(value) else { return PostcodeValue::Invalid };
    // The inward part of these codes need not look like one.
    if code.starts_with(b"ZZ99") {
        return PostcodeValue::Pseudo;
    }
    if !(5..=7).contains(&len) {
        return PostcodeValue::Invalid;
    }
    let cut = len - 3;
    code[cut] = match code[cut] {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    let inward = &code[cut..len];
    let unit = |byte: u8| byte.is_ascii_uppercase() && !b"CIKMOV".contains(&byte);
    if !inward[0].is_ascii_digit() || !unit(inward[1]) || !unit(inward[2]) || !outward_fits(&code[..cut]) {
        return PostcodeValue::Invalid;
    }
    if code.starts_with(b"ZZ") || code.starts_with(b"XX") {
        return PostcodeValue::Pseudo;
    }
    PostcodeValue::Full(levels(&code[..len], cut + 1, cut))
}

/// Reads a postal code of another country: letters and digits, 3 to 10 of them. Its sector is all but the
/// last character, its outward part all but the last two: places near each other share prefixes in
/// most countries.
#[must_use]
pub fn parse_any(value: &str) -> PostcodeValue {
    match plain(value) {
        Some((code, len)) if len >= 3 && code[..len].iter().any(u8::is_ascii_digit) => {
            PostcodeValue::Full(levels(&code[..len], len - 1, len - 2))
        }
        _ => PostcodeValue::Invalid,
    }
}

/// Upper case letters and digits without spaces, dots and hyphens.
fn plain(value: &str) -> Option<([u8; LEN_MAX], usize)> {
    let mut code = [0u8; LEN_MAX];
    let mut len = 0;
    for character in value.chars() {
        if matches!(character, ' ' | '.' | '-' | '\u{a0}') {
            continue;
        }
        if len == LEN_MAX || !character.is_ascii_alphanumeric() {
            return None;
        }
        code[len] = u8::try_from(character).ok()?.to_ascii_uppercase();
        len += 1;
    }
    Some((code, len))
}

/// A9, A99, A9A, AA9, AA99, AA9A, and GIR.
fn outward_fits(outward: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_uppercase();
    let district = match outward {
        [a, rest @ ..] if letter(a) && rest.first().is_some_and(u8::is_ascii_digit) => rest,
        [a, b, rest @ ..] if letter(a) && letter(b) => rest,
        _ => return false,
    };
    match district {
        [d] => d.is_ascii_digit(),
        [d, e] => d.is_ascii_digit() && e.is_ascii_alphanumeric(),
        _ => false,
    }
}

fn levels(code: &[u8], sector: usize, outward: usize) -> Postcode {
    let text = |bytes: &[u8]| bytes.iter().map(|&byte| char::from(byte)).collect();
    Postcode { full: text(code), sector: text(&code[..sector]), outward: text(&code[..outward]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uk(value: &str) -> Option<(String, String, String)> {
        match parse_uk(value) {
            PostcodeValue::Full(code) => Some((code.full, code.sector, code.outward)),
            _ => None,
        }
    }

    #[test]
    fn levels_of_a_postcode() {
        let expected = Some(("L138BB".into(), "L138".into(), "L13".into()));
        for value in ["L13 8BB", "l138bb", " L13  8BB", "L13-8BB", "L13 8bb"] {
            assert_eq!(uk(value), expected, "{value}");
        }
        for value in ["M1 1AA", "M60 1NW", "CR2 6XH", "DN55 1PT", "W1A 1HQ", "EC1A 1BB", "L4  2RT"] {
            assert!(uk(value).is_some(), "{value}");
        }
        assert_eq!(uk("B12 OXD").unwrap().0, "B120XD");
    }

    #[test]
    fn what_is_no_postcode() {
        for value in
            ["2184", "L13", "L13 8", "L138B", "1L3 8BB", "L13 8BBB", "L13 8CB", "ABC1 1AA", "Ł1 1AA", "-"]
        {
            assert!(parse_uk(value) == PostcodeValue::Invalid, "{value}");
        }
        for value in ["ZZ99 3VZ", "zz993wz", "XX1 1XX"] {
            assert!(parse_uk(value) == PostcodeValue::Pseudo, "{value}");
        }
    }

    #[test]
    fn other_countries_by_choice_only() {
        let PostcodeValue::Full(code) = parse_any("2184") else { panic!("refused") };
        assert_eq!((code.full.as_str(), code.sector.as_str(), code.outward.as_str()), ("2184", "218", "21"));
        assert!(parse_any("n/a") == PostcodeValue::Invalid);
        assert!(parse_any("12") == PostcodeValue::Invalid);
    }
}
