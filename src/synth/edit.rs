//! Mistakes in a name or a postcode: of the keyboard, of the ear, of the scanner; and letters without accents.
//!
//! May see: text. Each function returns none when the text offers nothing to get wrong.

use super::rng::Stream;

/// Neighbours on a British keyboard.
const KEYS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// What a listener may write for what is said; both directions are tried. The first that fits from a drawn start is used.
const HEARD: [(&str, &str); 34] = [
    ("ph", "f"),
    ("ck", "k"),
    ("c", "k"),
    ("ee", "ea"),
    ("ie", "y"),
    ("ey", "y"),
    ("ou", "oo"),
    ("ai", "ay"),
    ("ei", "ey"),
    ("ll", "l"),
    ("nn", "n"),
    ("tt", "t"),
    ("ss", "s"),
    ("mm", "m"),
    ("rr", "r"),
    ("dd", "d"),
    ("pp", "p"),
    ("z", "s"),
    ("th", "t"),
    ("gh", "g"),
    ("wh", "w"),
    ("kn", "n"),
    ("mb", "m"),
    ("er", "ar"),
    ("or", "er"),
    ("en", "on"),
    ("an", "en"),
    ("el", "al"),
    ("i", "y"),
    ("dge", "ge"),
    ("ks", "x"),
    ("j", "g"),
    ("v", "f"),
    ("au", "or"),
];

/// What a scanner may read for what is written.
const MISREAD: [(&str, &str); 18] = [
    ("m", "rn"),
    ("rn", "m"),
    ("l", "i"),
    ("i", "l"),
    ("e", "c"),
    ("c", "e"),
    ("h", "b"),
    ("b", "h"),
    ("n", "u"),
    ("u", "n"),
    ("v", "y"),
    ("cl", "d"),
    ("d", "cl"),
    ("a", "o"),
    ("o", "a"),
    ("t", "f"),
    ("g", "q"),
    ("s", "5"),
];

/// A slip of the keyboard: a letter left out, doubled, swapped with the next or replaced by its neighbour.
/// The first letter is spared four times in five.
pub(super) fn typed(text: &str, stream: &mut Stream) -> Option<String> {
    let mut letters: Vec<char> = text.chars().collect();
    let count = letters.len() as u32;
    if count < 3 {
        return None;
    }
    let at = if stream.chance(200_000) { 0 } else { stream.between(1, count - 1) } as usize;
    match stream.below(4) {
        0 => {
            letters.remove(at);
        }
        1 => letters.insert(at, letters[at].to_ascii_lowercase()),
        2 if at + 1 < letters.len() => letters.swap(at, at + 1),
        _ => letters[at] = neighbour(letters[at], stream)?,
    }
    changed(text, recased(&letters))
}

fn neighbour(letter: char, stream: &mut Stream) -> Option<char> {
    let plain = letter.to_ascii_lowercase();
    let row = KEYS.iter().find(|row| row.contains(plain))?.as_bytes();
    let at = row.iter().position(|key| char::from(*key) == plain)?;
    let beside = if (at == 0 || stream.chance(500_000)) && at + 1 < row.len() { at + 1 } else { at - 1 };
    Some(char::from(row[beside]))
}

/// A capital at the start, small letters after it, capitals after a hyphen, space or apostrophe.
fn recased(letters: &[char]) -> String {
    let mut start = true;
    let mut out = String::with_capacity(letters.len() + 2);
    for letter in letters {
        if start {
            out.extend(letter.to_uppercase());
        } else {
            out.extend(letter.to_lowercase());
        }
        start = matches!(letter, '-' | ' ' | '\'');
    }
    out
}

fn changed(before: &str, after: String) -> Option<String> {
    (after.to_lowercase() != before.to_lowercase() && after.chars().count() >= 2).then_some(after)
}

/// The name as another would write it after hearing it.
pub(super) fn heard(text: &str, stream: &mut Stream) -> Option<String> {
    let small = text.to_lowercase();
    let start = stream.below(HEARD.len() as u32) as usize;
    let found = HEARD.iter().cycle().skip(start).take(HEARD.len()).find_map(|(one, other)| {
        let (from, to) = if small.contains(one) { (one, other) } else { (other, one) };
        let after = small.replacen(from, to, 1);
        (after != small).then_some(after)
    })?;
    changed(text, recased(&found.chars().collect::<Vec<_>>()))
}

/// The name as a scanner may misread it.
pub(super) fn misread(text: &str, stream: &mut Stream) -> Option<String> {
    let small = text.to_lowercase();
    let start = stream.below(MISREAD.len() as u32) as usize;
    let found = MISREAD
        .iter()
        .cycle()
        .skip(start)
        .take(MISREAD.len())
        .find_map(|(from, to)| small.contains(from).then(|| small.replacen(from, to, 1)))?;
    changed(text, recased(&found.chars().collect::<Vec<_>>()))
}

/// A postcode with one wrong character in its last three: the digit, or a letter.
pub(super) fn wrong_postcode(postcode: &str, stream: &mut Stream) -> Option<String> {
    let mut bytes = postcode.as_bytes().to_vec();
    let at = bytes.len().checked_sub(1 + stream.below(3) as usize)?;
    let old = bytes[at];
    let (first, count) = if old.is_ascii_digit() { (b'0', 10) } else { (b'A', 26) };
    // A step of 1 to count - 1 never comes back to where it was.
    let step = 1 + stream.below(count - 1) as u8;
    bytes[at] = first + (old.checked_sub(first)? + step) % count as u8;
    String::from_utf8(bytes).ok()
}

/// Latin letters without their accents, apostrophes dropped: what old systems keep of a name.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\'' | '’' => {}
            _ if letter.is_ascii() => out.push(letter),
            _ => out.push_str(plain_letter(letter)),
        }
    }
    out
}

fn plain_letter(letter: char) -> &'static str {
    match letter {
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' | 'Ə' => "A",
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ə' | 'ạ' | 'ả' | 'ầ' | 'ặ' => "a",
        'Æ' => "Ae",
        'æ' => "ae",
        'Ç' | 'Ć' | 'Č' => "C",
        'ç' | 'ć' | 'č' => "c",
        'Ď' | 'Đ' => "D",
        'ď' | 'đ' => "d",
        'È'..='Ë' | 'Ē' | 'Ė' | 'Ę' | 'Ě' => "E",
        'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' | 'ế' | 'ễ' => "e",
        'Ğ' | 'Ģ' => "G",
        'ğ' | 'ģ' => "g",
        'Ì'..='Ï' | 'Ī' | 'Į' | 'İ' => "I",
        'ì'..='ï' | 'ī' | 'į' | 'ı' => "i",
        'Ķ' => "K",
        'ķ' => "k",
        'Ĺ' | 'Ļ' | 'Ľ' | 'Ł' => "L",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' => "N",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ő' | 'Ơ' => "O",
        'ò'..='ö' | 'ø' | 'ō' | 'ő' | 'ơ' | 'ọ' | 'ồ' => "o",
        'Ŕ' | 'Ř' => "R",
        'ŕ' | 'ř' => "r",
        'Ś' | 'Ş' | 'Š' | 'Ș' => "S",
        'ś' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'Ţ' | 'Ť' | 'Ț' => "T",
        'ţ' | 'ť' | 'ț' => "t",
        'Ù'..='Ü' | 'Ū' | 'Ů' | 'Ű' | 'Ų' | 'Ư' | 'Ũ' => "U",
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' | 'ư' | 'ũ' => "u",
        'Ý' | 'Ÿ' => "Y",
        'ý' | 'ÿ' => "y",
        'Ź' | 'Ż' | 'Ž' => "Z",
        'ź' | 'ż' | 'ž' => "z",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::rng::key;
    use crate::synth::tables::Tables;

    #[test]
    fn mistakes_change_the_text_and_keep_it_a_name() {
        let mut stream = Stream::new(&key("test", "edit", ""), 0);
        for name in ["Oliver", "Zoë", "Smith-Jones", "O'Neill", "Nguyễn", "Li"] {
            for _ in 0..200 {
                let all = [typed(name, &mut stream), heard(name, &mut stream), misread(name, &mut stream)];
                for text in all.into_iter().flatten() {
                    assert_ne!(text.to_lowercase(), name.to_lowercase());
                    assert!(
                        text.chars().count() >= 2 && text.starts_with(|c: char| !c.is_lowercase()),
                        "{text}"
                    );
                }
            }
        }
        assert_eq!(typed("Li", &mut stream), None);
    }

    #[test]
    fn a_wrong_postcode_is_another_of_the_same_district() {
        let mut stream = Stream::new(&key("test", "edit", ""), 1);
        for _ in 0..500 {
            let wrong = wrong_postcode("LS6 2AB", &mut stream).unwrap();
            assert!(wrong != "LS6 2AB" && wrong.starts_with("LS6 ") && wrong.len() == 7);
        }
    }

    #[test]
    fn every_name_of_the_tables_has_a_plain_form() {
        assert_eq!(plain("O'Neill"), "ONeill");
        assert_eq!(plain("Wiśniewski"), "Wisniewski");
        assert_eq!(plain("Nguyễn"), "Nguyen");
        for origin in &Tables::shared().origins {
            for table in [&origin.given[0], &origin.given[1], &origin.family] {
                for name in table.names() {
                    let lost = name.chars().filter(|c| !c.is_ascii()).find(|c| plain_letter(*c).is_empty());
                    assert_eq!(lost, None, "{name} of {}", origin.name);
                }
            }
        }
    }
}
