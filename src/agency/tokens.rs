//! Values of a person as tokens: q-grams of names, parts of a date, levels of a postcode.

use super::record::{Person, SlippedDate};
use super::schema::form::{Source, TokenRule};
use zeroize::Zeroize;

/// Short byte strings of one person, reused from record to record; distinct and in bytewise order after `finish`.
#[derive(Default)]
pub(super) struct TokenSet {
    bytes: Vec<u8>,
    spans: Vec<(u32, u32)>,
    /// Bigrams on their way into the set.
    pairs: Vec<u16>,
}

impl TokenSet {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }
    /// Empties it and leaves nothing of the strings in memory.
    pub(super) fn wipe(&mut self) {
        self.bytes.zeroize();
        self.spans.zeroize();
        self.pairs.zeroize();
    }
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }
    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
    pub(super) fn at(&self, index: usize) -> &[u8] {
        let (start, end) = self.spans[index];
        &self.bytes[start as usize..end as usize]
    }
    pub(super) fn push(&mut self, parts: &[&[u8]]) {
        let start = self.bytes.len();
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        // A record is at most 1 MB (`limits::CSV_RECORD_BYTES_MAX`), so the casts are exact.
        self.spans.push((start as u32, self.bytes.len() as u32));
    }
    pub(super) fn pop(&mut self) {
        if let Some((start, _)) = self.spans.pop() {
            self.bytes.truncate(start as usize);
        }
    }
    /// Sorts bytewise and drops repeats.
    pub(super) fn finish(&mut self) {
        let bytes = &self.bytes;
        let of = |span: &(u32, u32)| &bytes[span.0 as usize..span.1 as usize];
        self.spans.sort_unstable_by(|a, b| of(a).cmp(of(b)));
        self.spans.dedup_by(|a, b| of(a) == of(b));
    }
    /// Makes it the bigrams of the words, padded once each side (`_a`, `al`, `l_`), sorted and distinct: as numbers,
    /// because a call to compare two bytes costs more than the comparison.
    fn set_bigrams<'t>(&mut self, words: impl Iterator<Item = &'t str>) {
        self.clear();
        self.pairs.clear();
        for word in words {
            let mut previous = PAD;
            for byte in word.bytes().chain([PAD]) {
                self.pairs.push(u16::from_be_bytes([previous, byte]));
                previous = byte;
            }
        }
        self.pairs.sort_unstable();
        self.pairs.dedup();
        self.bytes.extend(self.pairs.iter().flat_map(|pair| pair.to_be_bytes()));
        self.spans.extend((0..self.pairs.len() as u32).map(|number| (2 * number, 2 * number + 2)));
    }
}

/// Padding around names: a character no normalised name has.
const PAD: u8 = b'_';

/// Fills `set` with the tokens of a text.
pub(super) fn text_tokens(rule: TokenRule, text: &str, set: &mut TokenSet) {
    set.clear();
    let words = || text.split(' ').filter(|word| !word.is_empty());
    match rule {
        _ if text.is_empty() => {}
        TokenRule::Bigrams => return set.set_bigrams(std::iter::once(text)),
        TokenRule::WordBigrams => return set.set_bigrams(words()),
        TokenRule::Words => words().for_each(|word| set.push(&[word.as_bytes()])),
        TokenRule::Exact | TokenRule::Date | TokenRule::DayMonth | TokenRule::Levels => {
            set.push(&[text.as_bytes()]);
        }
    }
    set.finish();
}

/// Fills `set` with the tokens of a value that does not depend on what a slot is about.
pub(super) fn person_tokens(
    reads: Source,
    text: Option<&str>,
    rule: TokenRule,
    person: &Person,
    set: &mut TokenSet,
) {
    set.clear();
    match reads {
        Source::Given | Source::Family => {}
        Source::DateOfBirth => {
            let real = person.date_of_birth;
            let real = real.map(|date| SlippedDate { year: date.year, month: date.month, day: date.day });
            if let Some(date) = real.or(person.slipped_date) {
                date_tokens(rule, date, set);
            }
        }
        Source::Sex => match person.sex {
            Some(super::record::Sex::Female) => text_tokens(rule, "f", set),
            Some(super::record::Sex::Male) => text_tokens(rule, "m", set),
            None => {}
        },
        Source::Postcode => postcode_tokens(rule, person, set),
        Source::Address => text_tokens(rule, person.address.as_deref().unwrap_or(""), set),
        Source::Place => {
            postcode_tokens(rule, person, set);
            if set.is_empty() {
                text_tokens(TokenRule::WordBigrams, person.address.as_deref().unwrap_or(""), set);
            }
        }
        Source::Text => {
            let value = text.and_then(|name| person.texts.get(name));
            text_tokens(rule, value.map_or("", String::as_str), set);
        }
    }
}

fn postcode_tokens(rule: TokenRule, person: &Person, set: &mut TokenSet) {
    let Some(postcode) = &person.postcode else { return };
    if rule != TokenRule::Levels {
        return text_tokens(rule, &postcode.full, set);
    }
    // In bytewise order, so that nothing is left to sort.
    set.push(&[b"full ", postcode.full.as_bytes()]);
    set.push(&[b"outward ", postcode.outward.as_bytes()]);
    set.push(&[b"sector ", postcode.sector.as_bytes()]);
}

/// `y2014`, `m03`, `d07`, `ym201403`, `yd201407`, `md0307`, `s0307` (day and month sorted), `f20140307`; none that
/// would hold a part which is not known. Their letters alone put them in bytewise order, in which they are pushed.
fn date_tokens(rule: TokenRule, date: SlippedDate, set: &mut TokenSet) {
    let (y, m, d) = (&digits4(date.year)[..], &digits2(date.month)[..], &digits2(date.day)[..]);
    let (low, high) = (m.min(d), m.max(d));
    let (year, month, day) = (date.year > 0, date.month > 0, date.day > 0);
    let both = month && day;
    let mut push = |known: bool, parts: &[&[u8]]| {
        if known {
            set.push(parts);
        }
    };
    match rule {
        TokenRule::Date => {
            push(day, &[b"d", d]);
            push(year && both, &[b"f", y, m, d]);
            push(month, &[b"m", m]);
            push(both, &[b"md", m, d]);
            push(both, &[b"s", low, high]);
            push(year, &[b"y", y]);
            push(year && day, &[b"yd", y, d]);
            push(year && month, &[b"ym", y, m]);
        }
        TokenRule::DayMonth => {
            push(day, &[b"d", d]);
            push(month, &[b"m", m]);
            push(both, &[b"md", m, d]);
            push(both, &[b"s", low, high]);
        }
        _ => push(year && both, &[b"f", y, m, d]),
    }
}

/// Two decimal digits of a number below 100.
pub(super) fn digits2(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

/// Four decimal digits of a number below 10,000.
pub(super) fn digits4(number: u16) -> [u8; 4] {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    [digit(number / 1000), digit(number / 100), digit(number / 10), digit(number)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agency::record::{BirthDate, Postcode, Sex};

    fn texts(set: &TokenSet) -> Vec<String> {
        (0..set.len()).map(|i| String::from_utf8(set.at(i).to_vec()).unwrap()).collect()
    }

    #[test]
    fn bigrams_are_padded_sorted_and_distinct() {
        let mut set = TokenSet::default();
        text_tokens(TokenRule::Bigrams, "anana", &mut set);
        assert_eq!(texts(&set), ["_a", "a_", "an", "na"]);
        text_tokens(TokenRule::Bigrams, "o", &mut set);
        assert_eq!(texts(&set), ["_o", "o_"]);
        text_tokens(TokenRule::Bigrams, "", &mut set);
        assert!(set.is_empty());
    }

    #[test]
    fn dates_survive_a_swap_in_one_token() {
        let mut person = Person::default();
        let mut set = TokenSet::default();
        person.date_of_birth = Some(BirthDate { year: 2014, month: 3, day: 7 });
        person_tokens(Source::DateOfBirth, None, TokenRule::Date, &person, &mut set);
        let one = texts(&set);
        assert_eq!(one, ["d07", "f20140307", "m03", "md0307", "s0307", "y2014", "yd201407", "ym201403"]);
        person.date_of_birth = Some(BirthDate { year: 2014, month: 7, day: 3 });
        person_tokens(Source::DateOfBirth, None, TokenRule::Date, &person, &mut set);
        let common: Vec<_> = texts(&set).into_iter().filter(|t| one.contains(t)).collect();
        assert_eq!(common, ["s0307", "y2014"]);
    }

    #[test]
    fn a_slipped_date_tells_what_its_other_parts_do() {
        let mut set = TokenSet::default();
        let mut tokens = |year, month, day| {
            let slipped_date = Some(SlippedDate { year, month, day });
            let person = Person { slipped_date, ..Person::default() };
            person_tokens(Source::DateOfBirth, None, TokenRule::Date, &person, &mut set);
            texts(&set)
        };
        let slip = ["d07", "f20148307", "m83", "md8307", "s0783", "y2014", "yd201407", "ym201483"];
        assert_eq!(tokens(2014, 83, 7), slip);
        assert_eq!(tokens(2014, 3, 0), ["m03", "y2014", "ym201403"]);
        assert_eq!(tokens(0, 2, 30), ["d30", "m02", "md0230", "s0230"]);
        assert!(tokens(0, 0, 0).is_empty());
    }

    #[test]
    fn place_is_the_postcode_or_else_the_address() {
        let mut person = Person { address: Some("7 mill".into()), ..Person::default() };
        let mut set = TokenSet::default();
        person_tokens(Source::Place, None, TokenRule::Levels, &person, &mut set);
        assert_eq!(texts(&set), ["7_", "_7", "_m", "il", "l_", "ll", "mi"]);
        person.postcode =
            Some(Postcode { full: "L138BB".into(), sector: "L138".into(), outward: "L13".into() });
        person_tokens(Source::Place, None, TokenRule::Levels, &person, &mut set);
        assert_eq!(texts(&set), ["full L138BB", "outward L13", "sector L138"]);
        person.sex = Some(Sex::Female);
        person_tokens(Source::Sex, None, TokenRule::Exact, &person, &mut set);
        assert_eq!(texts(&set), ["f"]);
    }
}
