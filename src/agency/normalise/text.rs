//! Folding to plain ASCII: NFKD, diacritics off, letters that do not decompose spelt out.
//!
//! May see: one value. Must not see: files, keys.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, decompose_compatible};

/// How `ä ö ü å ø` are spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Umlauts {
    /// Without their marks: `muller`, `sorensen`.
    Plain,
    /// With an e (or a second a): `mueller`, `soerensen`. What German and Danish offices write.
    Spelt,
}

/// Whether a character joins letters silently (O'Connor, D’Urban): it vanishes, the letters close up.
#[must_use]
pub fn is_apostrophe(character: char) -> bool {
    matches!(
        character,
        '\'' | '`'
            | '"'
            | '\u{b4}'
            | '\u{2018}'
            | '\u{2019}'
            | '\u{201b}'
            | '\u{2bc}'
            | '\u{2bb}'
            | '\u{2b9}'
            | '\u{2032}'
            | '\u{ff07}'
    )
}

/// Whether a character is a hyphen or a dash.
#[must_use]
pub fn is_hyphen(character: char) -> bool {
    matches!(character, '-' | '_' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}' | '\u{ad}')
}

/// Hands the lower-case ASCII letters and digits that stand for `character` to `emit`; false when it is a
/// letter or digit with no such spelling (another script), or no letter at all.
pub fn fold(character: char, umlauts: Umlauts, mut emit: impl FnMut(char)) -> bool {
    if character.is_ascii() {
        let plain = character.is_ascii_alphanumeric();
        if plain {
            emit(character.to_ascii_lowercase());
        }
        return plain;
    }
    if let Some(spelling) = spelling(character, umlauts) {
        spelling.chars().for_each(emit);
        return true;
    }
    let mut any = false;
    decompose_compatible(character, |part| {
        let spelt = spelling(part, Umlauts::Plain).unwrap_or("");
        for plain in std::iter::once(part).filter(char::is_ascii_alphanumeric).chain(spelt.chars()) {
            emit(plain.to_ascii_lowercase());
            any = true;
        }
    });
    any
}

/// Letters that NFKD leaves as they are, and the umlauts where they are to be spelt out.
fn spelling(character: char, umlauts: Umlauts) -> Option<&'static str> {
    Some(match character {
        'ß' | 'ẞ' => "ss",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        'đ' | 'Đ' | 'ð' | 'Ð' => "d",
        'þ' | 'Þ' => "th",
        'ł' | 'Ł' => "l",
        'ħ' | 'Ħ' => "h",
        'ŧ' | 'Ŧ' => "t",
        'ŋ' | 'Ŋ' => "ng",
        'ı' | 'İ' => "i",
        'ə' | 'Ə' => "e",
        'ɓ' | 'Ɓ' => "b",
        'ɗ' | 'Ɗ' => "d",
        'ƙ' | 'Ƙ' => "k",
        'ä' | 'Ä' if umlauts == Umlauts::Spelt => "ae",
        'ö' | 'Ö' if umlauts == Umlauts::Spelt => "oe",
        'ü' | 'Ü' if umlauts == Umlauts::Spelt => "ue",
        'å' | 'Å' if umlauts == Umlauts::Spelt => "aa",
        'ø' | 'Ø' if umlauts == Umlauts::Spelt => "oe",
        'ø' | 'Ø' => "o",
        _ => return None,
    })
}

/// Whether a letter of this text has a second spelling ([`Umlauts::Spelt`]).
#[must_use]
pub fn has_umlaut(text: &str) -> bool {
    !text.is_ascii() && text.nfc().any(|character| "äöüåøÄÖÜÅØ".contains(character))
}

/// Composed form, so that `u` + combining diaeresis is the `ü` it looks like.
#[must_use]
pub fn composed(text: &str) -> std::borrow::Cow<'_, str> {
    if text.is_ascii() { text.into() } else { text.nfc().collect::<String>().into() }
}

/// Whether a character is a combining mark (dropped without closing a word).
#[must_use]
pub fn is_mark(character: char) -> bool {
    !character.is_ascii() && canonical_combining_class(character) != 0
}

/// Free text as compared: lower-case words and numbers with single spaces; `None` when nothing is left.
#[must_use]
pub fn words(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for character in composed(text).chars() {
        if is_apostrophe(character) || is_mark(character) {
            continue;
        }
        let gap_before = gap && !out.is_empty();
        let mut first = true;
        let any = fold(character, Umlauts::Plain, |plain| {
            if first && gap_before {
                out.push(' ');
            }
            first = false;
            out.push(plain);
        });
        gap = !any;
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_to_ascii() {
        for (text, expected) in [
            ("Flat 10, 31 Springfield  Street", "flat 10 31 springfield street"),
            ("St. John's Rd", "st johns rd"),
            ("Nguyễn Văn", "nguyen van"),
            ("Łódź Straße 5", "lodz strasse 5"),
            ("Zoe\u{308} Mu\u{308}ller", "zoe muller"),
            ("ﬁnch½", "finch12"),
            ("İstanbul", "istanbul"),
            ("Søren Ægir Ǿ", "soren aegir o"),
        ] {
            assert_eq!(words(text).as_deref(), Some(expected));
        }
        assert_eq!(words(" - , "), None);
        assert_eq!(words("Иван"), None);
    }
}
