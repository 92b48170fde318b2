//! The few Python built-ins that clkhash's results hang on: `int`, `float`, `base64.b64decode`.
//!
//! May see: text. Must not see: anything else.

/// Code points of the digit zero of every decimal digit run (Unicode 14, as in Python 3.11): the nine
/// digits follow each. Source: Unicode Character Database, general category Nd.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// Most digits Python turns into an integer or back.
pub(super) const INT_DIGITS_MAX: usize = 4_300;

/// `int(text, base=10)` as Python's canonical text (`-12`, `0`), or none where it raises.
pub(super) fn int(text: &str) -> Option<String> {
    let plain = to_ascii(text)?;
    let (negative, digits) = signed(trim(&plain));
    let digits = without_underscores(digits)?;
    if digits.is_empty() || digits.len() > INT_DIGITS_MAX || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    Some(match (significant, negative) {
        ("", _) => "0".to_owned(),
        (digits, true) => format!("-{digits}"),
        (digits, false) => digits.to_owned(),
    })
}

/// `float(text)`, or none where it raises or is not finite (no comparison takes those).
pub(super) fn finite_float(text: &str) -> Option<f64> {
    let plain = to_ascii(text)?;
    let number = without_underscores(trim(&plain))?;
    // Rust reads the same decimal grammar and rounds as Python does; only words differ, and they are not finite.
    let decimal = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    if !number.bytes().all(decimal) {
        return None;
    }
    number.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Decimal digits of any script as ASCII; beyond ASCII, white space as a space. None where another
/// character stands that no number has.
fn to_ascii(text: &str) -> Option<String> {
    text.chars()
        .map(|c| if c.is_ascii() { Some(c) } else { digit(c).or(c.is_whitespace().then_some(' ')) })
        .collect()
}

fn digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let zero = ZEROS[..ZEROS.partition_point(|&zero| zero <= code)].last()?;
    char::from_digit(code - zero, 10)
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

fn signed(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// Drops underscores, each of which must stand between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let misplaced =
        |(at, &b): (usize, &u8)| b == b'_' && !(is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)));
    if bytes.iter().enumerate().any(misplaced) { None } else { Some(text.replace('_', "")) }
}

/// `base64.b64decode(text)`: characters outside the alphabet are skipped, and what follows complete
/// padding is not read. None where Python raises.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() {
        return None;
    }
    let (mut bytes, mut group, mut filled, mut pads) = (Vec::new(), 0u32, 0u32, 0u32);
    for b in text.bytes() {
        if b == b'=' {
            pads += 1;
            if filled >= 2 && filled + pads >= 4 {
                return Some(bytes);
            }
            continue;
        }
        let Some(sextet) = sextet(b) else { continue };
        pads = 0;
        group = group << 6 | sextet;
        if filled > 0 {
            // The newest whole byte of the group so far.
            bytes.push((group >> (6 - 2 * filled)) as u8);
        }
        filled = (filled + 1) % 4;
        if filled == 0 {
            group = 0;
        }
    }
    (filled == 0).then_some(bytes)
}

fn sextet(b: u8) -> Option<u32> {
    Some(match b {
        b'A'..=b'Z' => u32::from(b - b'A'),
        b'a'..=b'z' => u32::from(b - b'a') + 26,
        b'0'..=b'9' => u32::from(b - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int_reads_what_python_reads() {
        for (text, expected) in [
            (" 5\n", "5"),
            ("+0012", "12"),
            ("-0", "0"),
            ("1_000", "1000"),
            ("\u{2003}\u{663}\u{3000}", "3"),
            ("\u{a0}-7", "-7"),
            ("-99999999999999999999999999999999999999999", "-99999999999999999999999999999999999999999"),
        ] {
            assert_eq!(int(text).as_deref(), Some(expected), "{text:?}");
        }
        for text in
            ["", " ", "+", "_1", "1_", "1__0", "+_1", "+ 5", "--5", "\x1c5", "5\0", "0x10", "1.0", "½", "²"]
        {
            assert_eq!(int(text), None, "{text:?}");
        }
        assert!(int(&"1".repeat(4_300)).is_some() && int(&"1".repeat(4_301)).is_none());
    }

    #[test]
    fn float_reads_what_python_reads() {
        for (text, expected) in
            [("1e3", 1000.0), (" .5 ", 0.5), ("5.", 5.0), ("1_0.2_5", 10.25), ("٣.٥", 3.5)]
        {
            assert_eq!(finite_float(text), Some(expected), "{text:?}");
        }
        for text in ["", ".", "nan", "inf", "-Infinity", "1e999", "1_.5", "1e", "e5", "0x1p3"] {
            assert_eq!(finite_float(text), None, "{text:?}");
        }
    }

    #[test]
    fn base64_is_as_lenient_as_python() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("c2FsdA==", Some(b"salt")),
            ("c2F\nsdA = =", Some(b"salt")),
            ("c2FsdA==c2FsdA==", Some(b"salt")),
            ("c2Fs", Some(b"sal")),
            ("c2F=", Some(b"sa")),
            ("!!", Some(b"")),
            ("c2FsdA", None),
            ("c2FsdA=", None),
            ("c", None),
            ("é", None),
        ] {
            assert_eq!(base64(text).as_deref(), expected, "{text:?}");
        }
    }
}
