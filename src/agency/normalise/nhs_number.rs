//! NHS numbers: ten digits with a modulus 11 check digit (NHS Data Dictionary, "NHS NUMBER").
//!
//! May see: one value. Must not see: files, keys.

/// What an NHS number field holds.
#[derive(Clone, PartialEq, Eq)]
pub enum NhsNumber {
    /// Ten digits whose check digit is right.
    Valid(String),
    /// One digit ten times over: passes the check for some digits and is nobody's number.
    Repeated,
    /// Not ten digits, or the check digit is wrong.
    Invalid,
}

/// Reads an NHS number; spaces and hyphens between digits are allowed.
#[must_use]
pub fn parse(value: &str) -> NhsNumber {
    let mut digits = [0u8; 10];
    let mut len = 0;
    for byte in value.bytes() {
        match byte {
            b'0'..=b'9' if len < 10 => {
                digits[len] = byte;
                len += 1;
            }
            b' ' | b'-' => {}
            _ => return NhsNumber::Invalid,
        }
    }
    if len != 10 {
        return NhsNumber::Invalid;
    }
    if digits.iter().all(|&digit| digit == digits[0]) {
        return NhsNumber::Repeated;
    }
    let weighted = digits[..9].iter().zip((2..=10u32).rev());
    let sum: u32 = weighted.map(|(&digit, weight)| u32::from(digit - b'0') * weight).sum();
    // 11 stands for 0; 10 is never issued and matches no digit.
    let check = match 11 - sum % 11 {
        11 => 0,
        other => other,
    };
    if check == u32::from(digits[9] - b'0') {
        NhsNumber::Valid(digits.iter().map(|&digit| char::from(digit)).collect())
    } else {
        NhsNumber::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_answers() {
        // 943 476 5919 and 401 023 2137 are the worked examples of the NHS Data Dictionary and Wikipedia.
        for (value, expected) in [
            ("943 476 5919", "9434765919"),
            ("401-023-2137", "4010232137"),
            ("9990010072", "9990010072"),
            ("999 001 0218", "9990010218"),
        ] {
            assert!(parse(value) == NhsNumber::Valid(expected.to_owned()), "{value}");
        }
        for value in ["0000000000", "1111111111", "999 999 9999", "5555555555"] {
            assert!(parse(value) == NhsNumber::Repeated, "{value}");
        }
        for value in ["9434765918", "987654321", "98765432100", "943476591X", "", "９434765919"] {
            assert!(parse(value) == NhsNumber::Invalid, "{value}");
        }
        // 9 digits whose check would be 10: no tenth digit makes it valid.
        let none = (0..10).any(|d| parse(&format!("123456789{d}")) == NhsNumber::Invalid);
        assert!(none);
    }

    proptest! {
        /// Modulus 11 with distinct weights finds every single wrong digit.
        #[test]
        fn one_wrong_digit_is_found(seed in 0u64..1_000_000_000, at in 0usize..10, by in 1u8..10) {
            let valid = (0..10).map(|d| format!("{seed:09}{d}")).find(|n| matches!(parse(n), NhsNumber::Valid(_)));
            if let Some(valid) = valid {
                let mut bytes = valid.into_bytes();
                bytes[at] = b'0' + (bytes[at] - b'0' + by) % 10;
                let changed = String::from_utf8(bytes).unwrap();
                prop_assert!(!matches!(parse(&changed), NhsNumber::Valid(_)));
            }
        }
    }
}
