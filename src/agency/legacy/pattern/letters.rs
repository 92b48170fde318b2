//! Escapes and sets of letters.
//!
//! May see: a pattern. Must not see: values.

use super::{Flags, Item, Parsed, Reader};

impl Reader {
    pub(super) fn escape(&mut self, flags: Flags) -> Parsed<Item> {
        let letter = self.peek().ok_or("bad escape (end of pattern)")?;
        if letter.is_ascii_digit() && letter != '0' {
            return self.number_escape();
        }
        let word = class('w', flags.ascii).unwrap_or_default();
        match letter {
            'A' => self.out.push_str("\\A"),
            'Z' => self.out.push_str("\\z"),
            'b' => self.out.push_str(&format!("(?:(?<={word})(?!{word})|(?<!{word})(?={word}))")),
            // Python finds no boundary of either kind in an empty value.
            'B' => {
                self.out.push_str(&format!("(?:(?!\\A\\z)(?:(?<={word})(?={word})|(?<!{word})(?!{word})))"))
            }
            _ => {
                match class(letter, flags.ascii) {
                    Some(class) => {
                        self.at += 1;
                        self.out.push_str(&class);
                    }
                    None => {
                        let literal = self.character(false)?;
                        self.literal(literal);
                    }
                }
                return Ok(Item::Atom);
            }
        }
        self.at += 1;
        Ok(Item::Anchor)
    }

    /// A group by number, or an octal character of three digits.
    fn number_escape(&mut self) -> Parsed<Item> {
        let digits: String =
            self.letters[self.at..].iter().take(3).take_while(|c| c.is_ascii_digit()).collect();
        if digits.len() == 3 && digits.bytes().all(|b| b < b'8') {
            self.at += 3;
            let letter =
                u32::from_str_radix(&digits, 8).ok().filter(|&code| code <= 0o377).and_then(char::from_u32);
            self.literal(letter.ok_or("octal escape value outside of range 0-0o377")?);
            return Ok(Item::Atom);
        }
        let number = &digits[..digits.len().min(2)];
        self.at += number.len();
        self.back_reference(number.parse().map_err(|_| "invalid group reference")?)?;
        Ok(Item::Atom)
    }

    /// One escaped character; inside brackets `\b` is a backspace and all digits are octal.
    fn character(&mut self, in_set: bool) -> Parsed<char> {
        let letter = self.next().ok_or("bad escape (end of pattern)")?;
        let code = match letter {
            'x' => return self.hex(2),
            'u' => return self.hex(4),
            'U' => return self.hex(8),
            '0'..='7' => {
                self.at -= 1;
                let digits: String =
                    self.letters[self.at..].iter().take(3).take_while(|c| ('0'..='7').contains(*c)).collect();
                self.at += digits.len();
                u32::from_str_radix(&digits, 8)
                    .ok()
                    .filter(|&code| code <= 0o377)
                    .ok_or("octal escape out of range")?
            }
            'b' if in_set => 8,
            'a' => 7,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            letter if letter.is_ascii_alphanumeric() => return Err(format!("bad escape \\{letter}")),
            letter => u32::from(letter),
        };
        char::from_u32(code).ok_or_else(|| "bad escape".into())
    }

    fn hex(&mut self, len: usize) -> Parsed<char> {
        let digits: String =
            self.letters[self.at..].iter().take(len).take_while(|c| c.is_ascii_hexdigit()).collect();
        self.at += digits.len();
        let code = if digits.len() == len { u32::from_str_radix(&digits, 16).ok() } else { None };
        code.and_then(char::from_u32).ok_or_else(|| "incomplete escape".into())
    }

    /// `[...]`: single characters, ranges and classes.
    pub(super) fn set(&mut self, flags: Flags) -> Parsed<()> {
        let opening = if self.eat('^') { "[^" } else { "[" };
        self.out.push_str(opening);
        let mut first = true;
        loop {
            if !first && self.eat(']') {
                break;
            }
            first = false;
            let low = self.set_member(flags)?;
            if self.peek() == Some('-') && self.letters.get(self.at + 1).is_some_and(|&after| after != ']') {
                self.at += 1;
                let high = self.set_member(flags)?;
                match (low, high) {
                    (Ok(low), Ok(high)) if low <= high => {
                        self.out.push_str(&format!(
                            "\\x{{{:x}}}-\\x{{{:x}}}",
                            u32::from(low),
                            u32::from(high)
                        ));
                    }
                    _ => return Err("bad character range".into()),
                }
                continue;
            }
            match low {
                Ok(letter) => self.literal(letter),
                Err(class) => self.out.push_str(&class),
            }
        }
        self.out.push(']');
        Ok(())
    }

    /// A character, or a class as text.
    fn set_member(&mut self, flags: Flags) -> Parsed<Result<char, String>> {
        let letter = self.next().ok_or("unterminated character set")?;
        if letter != '\\' {
            return Ok(Ok(letter));
        }
        if let Some(class) = self.peek().and_then(|letter| class(letter, flags.ascii)) {
            self.at += 1;
            return Ok(Err(class));
        }
        self.character(true).map(Ok)
    }
}

/// `\d`, `\s`, `\w` and their opposites as Python means them.
fn class(letter: char, ascii: bool) -> Option<String> {
    let members = match (letter.to_ascii_lowercase(), ascii) {
        ('d', false) => "\\p{Nd}",
        ('d', true) => "0-9",
        ('s', false) => "\\s\\x1c-\\x1f",
        ('s', true) => "\\x20\\t-\\r",
        ('w', false) => "\\p{L}\\p{N}_",
        ('w', true) => "a-zA-Z0-9_",
        _ => return None,
    };
    Some(format!("[{}{members}]", if letter.is_ascii_uppercase() { "^" } else { "" }))
}
