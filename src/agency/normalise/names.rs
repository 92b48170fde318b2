//! Names of one record, gathered from several columns: main, known-as, alias, middle, full name.
//!
//! May see: name values of one record. Must not see: files, keys. Names leave as lower-case ASCII letters,
//! the parts of a hyphenated or spaced family name apart; several values, distinct, main first.
//!
//! Choices: the first word of a given-name field is the given name, further words are middle names; a
//! hyphen keeps parts in one name. Particles close up (`van der berg` -> `vanderberg`). A name in
//! brackets is a known-as name, or an alias in a family field. A letter with an umlaut has two spellings:
//! the plain one in its place, the spelt-out one as an alias. A digit inside a name that looks like
//! a letter is read as it (`0` o, `3` e), other digits go.

use super::placeholder::{self, Kind};
use super::text::{self, Umlauts};
use super::titles::{self, Group};
use crate::agency::record::{Name, NameSource};
use std::borrow::Cow;

/// Most names of one kind that a record may carry; more are dropped, the first ones stay.
pub const NAMES_MAX: usize = 16;

/// What a name field turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// At least one name.
    Name,
    /// A placeholder or a remark: counts as missing.
    Placeholder,
    /// A title and nothing else: counts as missing.
    TitleOnly,
    /// Letters of another script only: counts as missing.
    Unreadable,
    /// A name beside a placeholder ("(UNBORN) FLYNN").
    NameAndPlaceholder,
}

/// Given and family names of one record as they are gathered.
#[derive(Default)]
pub struct Names {
    given: Vec<Name>,
    family: Vec<Name>,
}

impl Names {
    /// Adds a given-name field of this source.
    pub fn add_given(&mut self, value: &str, source: NameSource) -> Seen {
        let seen = self.given_once(value, Umlauts::Plain, source);
        if text::has_umlaut(value) {
            self.given_once(value, Umlauts::Spelt, NameSource::Alias);
        }
        seen
    }

    /// Adds a family-name field of this source.
    pub fn add_family(&mut self, value: &str, source: NameSource) -> Seen {
        let seen = self.family_once(value, Umlauts::Plain, source);
        if text::has_umlaut(value) {
            self.family_once(value, Umlauts::Spelt, NameSource::Alias);
        }
        seen
    }

    /// Adds aliases, `;` or `|` or `/` between them: "ZOE JONES" is a given and a family name, "JONES, Zoe"
    /// too, a single word is a given name.
    pub fn add_alias(&mut self, value: &str) -> Seen {
        let mut seen = Seen::Placeholder;
        for alias in value.split([';', '|', '/']) {
            let alias = alias.trim();
            if alias.is_empty() {
                continue;
            }
            let one = if alias.contains([' ', ',']) {
                self.full_as(alias, NameSource::Alias)
            } else {
                self.add_given(alias, NameSource::Alias)
            };
            seen = if seen == Seen::Placeholder { one } else { seen };
        }
        seen
    }

    /// Adds a full name. Names that columns of their own already gave lead; a full name fills what is missing
    /// and adds what differs (other given words as middle names, another family name as an alias).
    pub fn add_full(&mut self, value: &str) -> Seen {
        self.full_as(value, NameSource::Main)
    }

    /// The given and family names, distinct, in the order main, known-as, alias, middle.
    #[must_use]
    pub fn finish(self) -> (Vec<Name>, Vec<Name>) {
        (in_order(self.given), in_order(self.family))
    }

    fn given_once(&mut self, value: &str, umlauts: Umlauts, source: NameSource) -> Seen {
        let (plain, asides) = brackets(value);
        let mut split = Split::of(&plain, umlauts);
        split.strip_titles();
        let kind = placeholder::given(&mut split.groups);
        let seen = split.seen(kind);
        let mut next = source;
        for group in split.groups {
            push(&mut self.given, group, next);
            next = if source == NameSource::Main { NameSource::Middle } else { source };
        }
        for aside in asides {
            let groups = Split::of(aside, umlauts).groups;
            if !placeholder::is_remark(&groups) {
                for group in groups {
                    push(&mut self.given, group, NameSource::KnownAs);
                }
            }
        }
        seen
    }

    fn family_once(&mut self, value: &str, umlauts: Umlauts, source: NameSource) -> Seen {
        let (plain, asides) = brackets(value);
        let mut split = Split::of(&plain, umlauts);
        split.strip_titles();
        let kind = placeholder::family(&mut split.groups);
        let mut seen = split.seen(kind);
        push_family(&mut self.family, split.groups, source);
        for aside in asides {
            let mut groups = Split::of(aside, umlauts).groups;
            if placeholder::is_remark(&groups) {
                seen = if seen == Seen::Name { Seen::NameAndPlaceholder } else { seen };
                continue;
            }
            groups.retain(|group| {
                !matches!(group.concat().as_str(), "nee" | "formerly" | "was" | "now" | "aka")
            });
            push_family(&mut self.family, groups, NameSource::Alias);
        }
        seen
    }

    fn full_as(&mut self, value: &str, source: NameSource) -> Seen {
        let seen = self.full_once(value, Umlauts::Plain, source);
        if text::has_umlaut(value) {
            self.full_once(value, Umlauts::Spelt, NameSource::Alias);
        }
        seen
    }

    fn full_once(&mut self, value: &str, umlauts: Umlauts, source: NameSource) -> Seen {
        let (plain, _) = brackets(value);
        let (head, tail) = match plain.split_once(',') {
            Some((head, tail)) => (head, Some(Split::of(tail, umlauts).groups)),
            None => (plain.as_ref(), None),
        };
        let mut split = Split::of(head, umlauts);
        split.strip_titles();
        if placeholder::given(&mut split.groups) == Kind::Placeholder {
            return Seen::Placeholder;
        }
        let seen = split.seen(Kind::Name);
        match tail {
            None => self.given_then_family(split.groups, source),
            Some(tail) if tail.is_empty() => self.given_then_family(split.groups, source),
            Some(tail) if titles::is_rank(&tail) || self.leads_with_given(&split.groups) => {
                self.ranked(split.groups, &tail);
            }
            Some(mut tail) => {
                let place = self.family_source(source);
                push_family(&mut self.family, split.groups, place);
                titles::strip(&mut tail);
                if placeholder::given(&mut tail) == Kind::Placeholder {
                    return Seen::NameAndPlaceholder;
                }
                self.push_given_words(tail, source);
            }
        }
        seen
    }

    /// "zoe anne smith": the last word (with its particles) is the family name, the rest are given names.
    fn given_then_family(&mut self, mut groups: Vec<Group>, source: NameSource) {
        let mut at = groups.len().saturating_sub(1);
        while at > 1 && groups[at - 1].len() == 1 && titles::is_particle(&groups[at - 1][0]) {
            at -= 1;
        }
        let family = groups.split_off(at);
        // "Zoe Smith Jones" beside the column "Smith Jones": the words are the family's, not middle names.
        let known: Vec<String> = self.family.iter().flat_map(|name| name.parts.iter().cloned()).collect();
        groups.retain(|group| !group.iter().all(|part| known.contains(part)));
        let covered = family.iter().flatten().all(|part| known.contains(part));
        if !covered {
            let place = self.family_source(source);
            push_family(&mut self.family, family, place);
        }
        self.push_given_words(groups, source);
    }

    /// "thomas brotherton, 1st earl norfolk": the name before the comma leads, the last word after it is an alias.
    fn ranked(&mut self, head: Vec<Group>, tail: &[Group]) {
        let place = tail.last().cloned().filter(|group| !titles::is_rank(std::slice::from_ref(group)));
        if let Some(place) = place {
            self.family.retain(|name| name.parts != place);
            self.given_then_family(head, NameSource::Main);
            push(&mut self.family, place, NameSource::Alias);
        } else {
            self.given_then_family(head, NameSource::Main);
        }
    }

    fn push_given_words(&mut self, groups: Vec<Group>, source: NameSource) {
        let mut next = match source {
            NameSource::Main if self.given.iter().any(|name| name.source == NameSource::Main) => {
                NameSource::Middle
            }
            other => other,
        };
        for group in groups {
            push(&mut self.given, group, next);
            next = if source == NameSource::Main { NameSource::Middle } else { source };
        }
    }

    /// A second main family name is an alias.
    fn family_source(&self, source: NameSource) -> NameSource {
        let has_main = self.family.iter().any(|name| name.source == NameSource::Main);
        if source == NameSource::Main && has_main { NameSource::Alias } else { source }
    }

    fn leads_with_given(&self, groups: &[Group]) -> bool {
        groups.len() > 1 && self.given.first().is_some_and(|name| Some(&name.parts) == groups.first())
    }
}

fn push(names: &mut Vec<Name>, parts: Group, source: NameSource) {
    if !parts.is_empty() {
        names.push(Name { parts, source });
    }
}

fn push_family(names: &mut Vec<Name>, groups: Vec<Group>, source: NameSource) {
    let mut groups = groups.into_iter();
    let Some(mut parts) = groups.next() else { return };
    groups.for_each(|group| parts.extend(group));
    push(names, titles::join_particles(parts), source);
}

/// Main, known-as, alias, middle; each name once, where it ranks highest.
fn in_order(mut names: Vec<Name>) -> Vec<Name> {
    if names.len() < 2 {
        return names;
    }
    names.sort_by_key(|name| match name.source {
        NameSource::Main => 0,
        NameSource::KnownAs => 1,
        NameSource::Alias => 2,
        NameSource::Middle => 3,
    });
    let mut at = 1;
    while at < names.len() {
        let (before, rest) = names.split_at(at);
        if before.iter().any(|name| name.parts == rest[0].parts) {
            names.remove(at);
        } else {
            at += 1;
        }
    }
    names.truncate(NAMES_MAX);
    names
}

/// The text outside brackets and the texts inside; an unclosed bracket reaches to the end.
fn brackets(value: &str) -> (Cow<'_, str>, Vec<&str>) {
    if !value.contains(['(', '[', '{']) {
        return (value.into(), Vec::new());
    }
    let (mut outside, mut inside, mut rest) = (String::new(), Vec::new(), value);
    while let Some(open) = rest.find(['(', '[', '{']) {
        outside.push_str(&rest[..open]);
        outside.push(' ');
        rest = &rest[open + 1..];
        let close = rest.find([')', ']', '}']).unwrap_or(rest.len());
        inside.push(&rest[..close]);
        rest = rest.get(close + 1..).unwrap_or("");
    }
    outside.push_str(rest);
    (outside.into(), inside)
}

/// A value cut into words and the parts between hyphens, folded.
struct Split {
    groups: Vec<Group>,
    /// Whether it held letters with no Latin spelling.
    other_script: bool,
    /// Whether titles were all there was.
    title_only: bool,
}

impl Split {
    fn of(value: &str, umlauts: Umlauts) -> Self {
        let mut split = Self { groups: Vec::new(), other_script: false, title_only: false };
        let (mut group, mut part) = (Group::new(), String::new());
        for character in text::composed(value).chars() {
            if character.is_ascii_alphabetic() {
                part.push(character.to_ascii_lowercase());
            } else if text::is_apostrophe(character) || text::is_mark(character) {
                // Closes up.
            } else if text::is_hyphen(character) {
                close_part(&mut group, &mut part);
            } else if !text::fold(character, umlauts, |plain| part.push(plain)) {
                split.other_script |= character.is_alphabetic();
                close_part(&mut group, &mut part);
                split.close(&mut group);
            }
        }
        close_part(&mut group, &mut part);
        split.close(&mut group);
        split
    }

    fn close(&mut self, group: &mut Group) {
        if !group.is_empty() {
            self.groups.push(std::mem::take(group));
        }
    }

    fn strip_titles(&mut self) {
        if !self.groups.is_empty() {
            titles::strip(&mut self.groups);
            self.title_only = self.groups.is_empty();
        }
    }

    fn seen(&self, kind: Kind) -> Seen {
        match kind {
            Kind::Name if self.title_only => Seen::TitleOnly,
            Kind::Cleaned => Seen::NameAndPlaceholder,
            Kind::Name if !self.groups.is_empty() => Seen::Name,
            Kind::Name if self.other_script => Seen::Unreadable,
            Kind::Name | Kind::Placeholder => Seen::Placeholder,
        }
    }
}

/// Ends a part: digits are read or dropped, ordinals ("3rd") vanish.
fn close_part(group: &mut Group, part: &mut String) {
    if part.is_empty() {
        return;
    }
    if part.bytes().any(|byte| byte.is_ascii_digit()) {
        let letters = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let ordinal = letters.len() < part.len() && matches!(letters, "st" | "nd" | "rd" | "th");
        let any_letter = part.bytes().any(|byte| byte.is_ascii_alphabetic());
        let fixed = part.chars().filter_map(|character| match character {
            '0' => Some('o'),
            '3' => Some('e'),
            digit if digit.is_ascii_digit() => None,
            letter => Some(letter),
        });
        let fixed: String = if ordinal || !any_letter { String::new() } else { fixed.collect() };
        *part = fixed;
    }
    if !part.is_empty() {
        // Nearly every group is one word.
        group.reserve_exact(1);
        group.push(std::mem::take(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(names: &[Name]) -> String {
        let one = |name: &Name| {
            let source = match name.source {
                NameSource::Main => "",
                NameSource::KnownAs => "k:",
                NameSource::Alias => "a:",
                NameSource::Middle => "m:",
            };
            format!("{source}{}", name.parts.join("-"))
        };
        names.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn given(value: &str) -> String {
        let mut names = Names::default();
        names.add_given(value, NameSource::Main);
        show(&names.finish().0)
    }

    fn family(value: &str) -> String {
        let mut names = Names::default();
        names.add_family(value, NameSource::Main);
        show(&names.finish().1)
    }

    fn full(value: &str) -> String {
        let mut names = Names::default();
        names.add_full(value);
        let (given, family) = names.finish();
        format!("{} | {}", show(&given), show(&family))
    }

    #[test]
    fn given_names() {
        for (value, expected) in [
            ("Katherine Rose", "katherine m:rose"),
            ("Zoë", "zoe"),
            ("Anne-Marie", "anne-marie"),
            ("Katherine (Katie)", "katherine k:katie"),
            ("Katie (Twin 1)", "katie"),
            ("Văn An", "van m:an"),
            ("Jörg", "jorg a:joerg"),
            ("Mr. John", "john"),
            ("Junior", "junior"),
            ("Mrs", ""),
            ("D'Arcy", "darcy"),
            ("margar3t", "margaret"),
            ("J. R.", "j m:r"),
            ("Иван", ""),
        ] {
            assert_eq!(given(value), expected, "{value}");
        }
    }

    #[test]
    fn family_names() {
        for (value, expected) in [
            ("O'Connor", "oconnor"),
            ("O’CONNOR", "oconnor"),
            ("O Connor", "oconnor"),
            ("Smith-Jones", "smith-jones"),
            ("SMITH JONES", "smith-jones"),
            ("Müller", "muller a:mueller"),
            ("Mu\u{308}ller", "muller a:mueller"),
            ("Nguyễn", "nguyen"),
            ("van der Berg", "vanderberg"),
            ("Al-Hassan", "alhassan"),
            ("(UNBORN) FLYNN", "flynn"),
            ("Baby Boy Flynn", "flynn"),
            ("Jones (née Smith)", "jones a:smith"),
            ("Walsh Jr.", "walsh"),
            ("Gross (unknown)", "gross"),
            ("Groß", "gross"),
            ("Wójcik-Łuczak", "wojcik-luczak"),
            ("sr.", ""),
            ("Bart", "bart"),
        ] {
            assert_eq!(family(value), expected, "{value}");
        }
    }

    #[test]
    fn placeholders_are_missing() {
        let seen = |value: &str| Names::default().add_given(value, NameSource::Main);
        for value in [
            "Baby",
            "BABY",
            "Infant",
            "Twin 1",
            "TWIN ONE",
            "Unborn",
            "Unknown",
            "Test",
            "Not Known",
            "Not-Known",
            "Baby Flynn",
            "Baby of Sarah",
            "No Name",
            "XXX",
            "?",
            "1",
            "tbc",
            "(unborn)",
            "No-name",
            "Test1",
        ] {
            assert_eq!(seen(value), Seen::Placeholder, "{value}");
            assert_eq!(given(value), "", "{value}");
        }
        for value in ["Babyjane", "Testa", "Unity", "Noah", "Nan", "Max"] {
            assert_eq!(seen(value), Seen::Name, "{value}");
        }
        assert_eq!(seen("Иван"), Seen::Unreadable);
        assert_eq!(seen("Sir"), Seen::TitleOnly);
        let mut names = Names::default();
        assert_eq!(names.add_family("(UNBORN) FLYNN", NameSource::Main), Seen::NameAndPlaceholder);
        assert_eq!(names.add_family("UNKNOWN", NameSource::Main), Seen::Placeholder);
    }

    #[test]
    fn full_names() {
        for (value, expected) in [
            ("Zoe Anne Smith", "zoe m:anne | smith"),
            ("SMITH, Zoe Anne", "zoe m:anne | smith"),
            ("SMITH JONES, Zoe", "zoe | smith-jones"),
            ("Mr John Smith Jr", "john | smith"),
            ("Ludwig van Beethoven", "ludwig | vanbeethoven"),
            ("Smith", " | smith"),
            ("sir fenton aylmer, 13th baronet", "fenton | aylmer"),
            ("thomas brotherton, 1st earl norfolk", "thomas | brotherton a:norfolk"),
            ("Baby Flynn", " | "),
        ] {
            assert_eq!(full(value), expected, "{value}");
        }
    }

    #[test]
    fn full_name_beside_its_parts() {
        let all = |full: &str, given: &str, family: &str| {
            let mut names = Names::default();
            names.add_given(given, NameSource::Main);
            names.add_family(family, NameSource::Main);
            names.add_full(full);
            let (given, family) = names.finish();
            format!("{} | {}", show(&given), show(&family))
        };
        assert_eq!(all("herbert moxon cook", "herbert", "cook"), "herbert m:moxon | cook");
        assert_eq!(all("zoe smith jones", "Zoe", "Smith Jones"), "zoe | smith-jones");
        assert_eq!(all("sir jack campbell, 2nd baronet", "sir", "baronet"), "jack | campbell");
        assert_eq!(all("mary butler, ormonde", "mary", "ormonde"), "mary | butler a:ormonde");
        assert_eq!(all("Katie Brown", "Katherine", "Smith"), "katherine m:katie | smith a:brown");
    }

    #[test]
    fn aliases_and_order() {
        let mut names = Names::default();
        names.add_given("Katherine Rose", NameSource::Main);
        names.add_family("SMITH", NameSource::Main);
        names.add_alias("ZOE JONES; Kit");
        names.add_given("Rose", NameSource::KnownAs);
        names.add_family("Smith", NameSource::KnownAs);
        let (given, family) = names.finish();
        assert_eq!(show(&given), "katherine k:rose a:zoe a:kit");
        assert_eq!(show(&family), "smith a:jones");
    }

    proptest! {
        #[test]
        fn names_are_lower_case_ascii_letters(value in "\\PC{0,40}") {
            let mut names = Names::default();
            names.add_given(&value, NameSource::Main);
            names.add_family(&value, NameSource::Main);
            names.add_full(&value);
            names.add_alias(&value);
            let (given, family) = names.finish();
            for part in given.iter().chain(&family).flat_map(|name| &name.parts) {
                prop_assert!(!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase()));
            }
        }

        #[test]
        fn case_and_accents_change_nothing(value in "[A-Za-zéèçñŁß' -]{1,30}") {
            prop_assert_eq!(given(&value), given(&value.to_uppercase()));
        }
    }
}
