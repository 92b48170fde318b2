//! Unique pupil numbers: a check letter and twelve digits (DfE, "Unique pupil numbers: guide").
//!
//! May see: one value. Must not see: files, keys.

/// What a UPN field holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Upn {
    /// Thirteen characters, upper case, whose check letter is right.
    Valid(String),
    /// A temporary UPN (a letter at the end): changes with the school, so it identifies nobody.
    Temporary,
    /// `UN1` to `UN5`: the census codes for "no UPN, because".
    NotIssued,
    /// Anything else, or a wrong check letter.
    Invalid,
}

/// Check letters and, for temporary numbers, the values of the last letter: 0 = A to 22 = Z.
const LETTERS: &[u8; 23] = b"ABCDEFGHJKLMNPQRTUVWXYZ";

/// Reads a UPN, whatever its case; spaces are allowed.
#[must_use]
pub fn parse(value: &str) -> Upn {
    let mut upn = [0u8; 13];
    let mut len = 0;
    for byte in value.bytes().filter(|&byte| byte != b' ') {
        if len == 13 || !byte.is_ascii_alphanumeric() {
            return Upn::Invalid;
        }
        upn[len] = byte.to_ascii_uppercase();
        len += 1;
    }
    if len == 3 && upn[..2] == *b"UN" && (b'1'..=b'5').contains(&upn[2]) {
        return Upn::NotIssued;
    }
    if len != 13 || !upn[1..12].iter().all(u8::is_ascii_digit) {
        return Upn::Invalid;
    }
    let last = match upn[12] {
        digit @ b'0'..=b'9' => u32::from(digit - b'0'),
        letter => match LETTERS.iter().zip(0..).find(|&(&other, _)| other == letter) {
            Some((_, value)) => value,
            None => return Upn::Invalid,
        },
    };
    let weighted = upn[1..12].iter().zip(2u32..);
    let sum: u32 = weighted.map(|(&digit, weight)| u32::from(digit - b'0') * weight).sum::<u32>() + last * 13;
    if LETTERS[(sum % 23) as usize] != upn[0] {
        Upn::Invalid
    } else if upn[12].is_ascii_digit() {
        Upn::Valid(upn.iter().map(|&byte| char::from(byte)).collect())
    } else {
        Upn::Temporary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // H: 8*2 + 1*4 + 2*5 + 1*10 + 1*13 = 53, 53 mod 23 = 7. The others stand in the dirty extracts.
        for value in ["H801200001001", "G341212000000", "V341212000037", "E341212000074", "v341212000037"] {
            assert!(parse(value) == Upn::Valid(value.to_ascii_uppercase()), "{value}");
        }
        for value in ["UN1", "un5"] {
            assert!(parse(value) == Upn::NotIssued, "{value}");
        }
        for value in
            ["UN6", "A801200001001", "G34121200000", "G3412120000001", "I341212000000", "H80120000100O", ""]
        {
            assert!(parse(value) == Upn::Invalid, "{value}");
        }
    }

    #[test]
    fn a_temporary_number_counts_as_missing() {
        // 801200001 00 + letter A (0): the same sum as a final digit 0.
        let letter = LETTERS.iter().find(|&&letter| {
            let permanent = format!("{}801200001000", char::from(letter));
            matches!(parse(&permanent), Upn::Valid(_))
        });
        let temporary = format!("{}80120000100A", char::from(*letter.unwrap()));
        assert!(parse(&temporary) == Upn::Temporary);
    }

    #[test]
    fn every_single_wrong_digit_is_found() {
        for at in 1..13 {
            for by in 1..10 {
                let mut bytes = *b"G341212000000";
                bytes[at] = b'0' + (bytes[at] - b'0' + by) % 10;
                assert!(parse(std::str::from_utf8(&bytes).unwrap()) == Upn::Invalid, "{at} {by}");
            }
        }
    }
}
