//! Words that stand where a name is missing: Baby, Infant, Twin 1, Unborn, Unknown, Test, Not Known.
//!
//! May see: lower-case words of one name. Must not see: files, keys.

use super::titles::Group;

/// A child without a name yet; whatever stands beside one of these in a given-name field is no given name.
const UNNAMED: [&str; 14] = [
    "baby",
    "infant",
    "unborn",
    "newborn",
    "foetus",
    "fetus",
    "twin",
    "triplet",
    "unnamed",
    "stillborn",
    "neonate",
    "prebirth",
    "twins",
    "triplets",
];

/// A person whose name is not known, and test records.
const UNKNOWN: [&str; 18] = [
    "unknown",
    "test",
    "testing",
    "tbc",
    "tba",
    "tbd",
    "nk",
    "unk",
    "anon",
    "anonymous",
    "unidentified",
    "dummy",
    "notknown",
    "noname",
    "xxtestpatient",
    "zztest",
    "testpatient",
    "unspecified",
];

/// Phrases, word by word.
const PHRASES: [&[&str]; 9] = [
    &["not", "known"],
    &["not", "given"],
    &["not", "stated"],
    &["not", "recorded"],
    &["not", "named"],
    &["no", "name"],
    &["no", "forename"],
    &["no", "surname"],
    &["to", "follow"],
];

/// Words that only count beside one of the above ("Baby Boy 2", "Twin One").
const BESIDE: [&str; 20] = [
    "boy", "girl", "male", "female", "a", "b", "c", "one", "two", "three", "first", "second", "of", "child",
    "i", "ii", "name", "yet", "patient", "known",
];

/// What a name field turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name, nothing taken away.
    Name,
    /// A name that stood beside placeholder words, which are gone.
    Cleaned,
    /// A placeholder: counts as missing.
    Placeholder,
}

fn unnamed(part: &str) -> bool {
    UNNAMED.contains(&part)
}

fn stands_for_nothing(part: &str) -> bool {
    unnamed(part)
        || UNKNOWN.contains(&part)
        || part.len() > 1 && (part.bytes().all(|b| b == b'x') || part.bytes().all(|b| b == b'z'))
}

fn is_phrase(groups: &[Group]) -> bool {
    PHRASES.iter().any(|phrase| {
        let mut parts = groups.iter().flatten();
        phrase.iter().all(|word| parts.next().is_some_and(|part| part == word))
    })
}

/// Judges a given-name field. A leading "Baby", "Twin" ... makes all of it a placeholder: what follows is the
/// mother's name or the family's ("Baby Flynn", "Baby of Sarah").
pub fn given(groups: &mut Vec<Group>) -> Kind {
    let leads = groups.first().and_then(|group| group.first()).is_some_and(|part| stands_for_nothing(part));
    if leads || is_phrase(groups) {
        groups.clear();
        return Kind::Placeholder;
    }
    Kind::Name
}

/// Judges a family-name field. Placeholder words go, a real name beside them stays: `(UNBORN) FLYNN`.
pub fn family(groups: &mut Vec<Group>) -> Kind {
    if is_phrase(groups) {
        groups.clear();
        return Kind::Placeholder;
    }
    if !groups.iter().flatten().any(|part| stands_for_nothing(part)) {
        return Kind::Name;
    }
    groups.retain(|group| {
        !group.iter().any(|part| stands_for_nothing(part))
            && !group.iter().all(|p| BESIDE.contains(&p.as_str()))
    });
    if groups.is_empty() { Kind::Placeholder } else { Kind::Cleaned }
}

/// Whether what stands in brackets is a remark ("Katie (Twin 1)"), not a name.
#[must_use]
pub fn is_remark(groups: &[Group]) -> bool {
    groups.iter().flatten().any(|part| stands_for_nothing(part)) || is_phrase(groups)
}
