//! Titles, suffixes, ranks and particles: words of a name field that are not names.
//!
//! May see: lower-case words of one name. Must not see: files, keys.

/// Titles that stand before a name and are no name themselves.
const TITLES: [&str; 38] = [
    "mr",
    "mrs",
    "miss",
    "ms",
    "mx",
    "dr",
    "doctor",
    "sir",
    "dame",
    "rev",
    "revd",
    "reverend",
    "prof",
    "professor",
    "hon",
    "honourable",
    "lady",
    "lord",
    "master",
    "mstr",
    "baroness",
    "countess",
    "viscountess",
    "viscount",
    "duchess",
    "marchioness",
    "capt",
    "captain",
    "col",
    "colonel",
    "lt",
    "lieutenant",
    "sgt",
    "sergeant",
    "gen",
    "brigadier",
    "admiral",
    "mister",
];

/// Titles that are never somebody's only name.
const BARE: [&str; 14] =
    ["mr", "mrs", "miss", "ms", "mx", "dr", "sir", "dame", "rev", "revd", "hon", "prof", "mstr", "mister"];

/// What follows a name: generations, honours. "Junior", "Bart" and "Mp" are also people's names.
const SUFFIXES: [&str; 16] = [
    "jr", "jnr", "sr", "snr", "ii", "iii", "esq", "esquire", "bt", "baronet", "obe", "mbe", "cbe", "kbe",
    "phd", "qc",
];

/// Ranks: a text after a comma that holds one is a rank, not a given name.
const RANKS: [&str; 14] = [
    "baronet", "baron", "baroness", "earl", "marquess", "marquis", "viscount", "duke", "lord", "countess",
    "duchess", "bt", "jr", "sr",
];

/// Particles that belong to the word after them: `van der berg` is compared as `vanderberg`.
const PARTICLES: [&str; 32] = [
    "o", "mc", "mac", "fitz", "st", "d", "van", "von", "vander", "vanden", "de", "der", "den", "di", "da",
    "du", "do", "dos", "das", "del", "della", "des", "la", "le", "ter", "ten", "te", "al", "el", "ap", "ab",
    "zu",
];

/// A word-group of a name: the parts between hyphens.
pub type Group = Vec<String>;

/// Takes titles off the front and suffixes off the end; a field that holds only one becomes empty.
pub fn strip(groups: &mut Vec<Group>) {
    let all = |group: &Group, list: &[&str]| group.iter().all(|part| list.contains(&part.as_str()));
    while groups.len() > 1 && groups.first().is_some_and(is_title) {
        groups.remove(0);
    }
    while groups.len() > 1 && groups.last().is_some_and(|group| all(group, &SUFFIXES)) {
        groups.pop();
    }
    if groups.len() == 1 && (all(&groups[0], &BARE) || all(&groups[0], &SUFFIXES)) {
        groups.clear();
    }
}

fn is_title(group: &Group) -> bool {
    group.iter().all(|part| TITLES.contains(&part.as_str()))
        || group.as_slice() == ["major", "general"]
        || group.as_slice() == ["vice", "admiral"]
}

/// Whether the words after a comma are a rank or a suffix ("3rd baron napier", "jr.").
#[must_use]
pub fn is_rank(groups: &[Group]) -> bool {
    groups.iter().flatten().any(|part| RANKS.contains(&part.as_str()) || SUFFIXES.contains(&part.as_str()))
}

/// Whether a word belongs to the one after it.
#[must_use]
pub fn is_particle(part: &str) -> bool {
    PARTICLES.contains(&part)
}

/// Joins each particle to the word after it; the last word stays what it is.
#[must_use]
pub fn join_particles(parts: Vec<String>) -> Vec<String> {
    if parts.len() < 2 {
        return parts;
    }
    let last = parts.len() - 1;
    let mut out = Vec::with_capacity(parts.len());
    let mut held = String::new();
    for (at, part) in parts.into_iter().enumerate() {
        if at < last && is_particle(&part) {
            held.push_str(&part);
        } else {
            held.push_str(&part);
            out.push(std::mem::take(&mut held));
        }
    }
    out
}
