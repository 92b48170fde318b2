//! Names as linkage sees them: canonical given names, consonant skeletons, which pairs of them are rare.
//!
//! All three are frozen: the skeleton by version and vectors, the tables (`config/names/`) by the
//! fingerprint of every schema that uses them. One agency with another rule silently destroys views.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Given names and their canonical forms (`katie` is `katherine`, `mohammed` is `muhammad`).
pub const CANONICAL_TABLE: &str = include_str!("../../config/names/canonical.tsv");
/// Frequencies of skeletons by name origin.
pub const SKELETON_TABLE: &str = include_str!("../../config/names/skeletons.tsv");

/// The canonical form of a given name by the built-in table; the name itself where it has none.
#[must_use]
pub fn canonical(name: &[u8]) -> &[u8] {
    listed(name).unwrap_or(name)
}

/// The canonical form of a name the built-in table has.
pub(super) fn listed(name: &[u8]) -> Option<&'static [u8]> {
    static TABLE: OnceLock<HashMap<&'static [u8], &'static [u8]>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let lines = CANONICAL_TABLE.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once('\t')).map(|(a, b)| (a.as_bytes(), b.as_bytes())).collect()
    });
    table.get(name).copied()
}

/// Frequencies of skeletons, per origin, in parts per million.
struct Rarity {
    /// Share of each origin per mille.
    shares: Vec<u64>,
    /// By skeleton, as a number; at least what a skeleton of its length has that is not listed.
    given: HashMap<u32, Vec<u32>>,
    family: HashMap<u32, Vec<u32>>,
    /// Rows of skeletons that are not listed, by length.
    unlisted: [Vec<u32>; SKELETON_LETTERS],
    /// Skeletons of names that whole communities bear, whatever the table says.
    denied: Vec<u32>,
}

/// The row of a skeleton that is not listed.
fn unlisted<'t>(rows: &'t [Vec<u32>; SKELETON_LETTERS], skeleton: &[u8]) -> &'t [u32] {
    &rows[skeleton.len().clamp(1, SKELETON_LETTERS) - 1]
}

/// A skeleton as a number: at most four letters, zeros where there are fewer.
fn packed(skeleton: &[u8]) -> u32 {
    skeleton.iter().fold(0, |number, letter| number << 8 | u32::from(*letter))
}

/// Family names borne by whole communities: with one of them no pair of names is rare.
const DENIED: [&str; 32] = [
    "singh", "kaur", "begum", "bibi", "khatun", "akhtar", "ali", "khan", "ahmed", "hussain", "mohammed",
    "miah", "islam", "uddin", "shah", "malik", "iqbal", "mahmood", "patel", "nguyen", "tran", "pham", "wang",
    "li", "zhang", "chen", "liu", "wong", "abdi", "hassan", "osman", "ibrahim",
];
/// Parts per million of a skeleton of 1, 2, 3 or 4 letters that the table does not have.
const FLOOR_PPM: [u32; SKELETON_LETTERS] = [5_000, 2_500, 800, 200];
/// A pair is rare when at most one child in this many is expected to have it, unless a schema says otherwise.
pub const RARE_ONE_IN: u64 = 60_000;

impl Rarity {
    fn shared() -> &'static Self {
        static TABLE: OnceLock<Rarity> = OnceLock::new();
        TABLE.get_or_init(|| {
            let mut made = Self {
                shares: Vec::new(),
                given: HashMap::new(),
                family: HashMap::new(),
                unlisted: Default::default(),
                denied: Vec::new(),
            };
            let mut origins: Vec<&str> = Vec::new();
            for line in SKELETON_TABLE.lines() {
                let mut cells = line.split('\t');
                let (kind, second) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
                let rates = |text: &'static str| {
                    text.split(' ')
                        .filter_map(|pair| pair.split_once('='))
                        .map(|(origin, number)| (origin, number.parse::<u64>().unwrap_or_default()))
                };
                if kind == "origins" {
                    (origins, made.shares) = rates(second).unzip();
                    made.unlisted = FLOOR_PPM.map(|floor| vec![floor; origins.len()]);
                    continue;
                }
                let table = match kind {
                    "g" => &mut made.given,
                    "f" => &mut made.family,
                    _ => continue,
                };
                let mut row = unlisted(&made.unlisted, second.as_bytes()).to_vec();
                for (origin, ppm) in rates(cells.next().unwrap_or_default()) {
                    if let Some(at) = origins.iter().position(|known| *known == origin) {
                        row[at] = row[at].max(u32::try_from(ppm).unwrap_or(u32::MAX));
                    }
                }
                table.insert(packed(second.as_bytes()), row);
            }
            for name in DENIED {
                let mut out = Vec::new();
                skeleton(name.as_bytes(), &mut out);
                made.denied.push(packed(&out));
            }
            made
        })
    }

    fn row<'t>(&'t self, table: &'t HashMap<u32, Vec<u32>>, skeleton: &[u8]) -> &'t [u32] {
        let listed = table.get(&packed(skeleton)).map(Vec::as_slice);
        listed.unwrap_or_else(|| unlisted(&self.unlisted, skeleton))
    }

    /// Expected children with this given and this family skeleton, times 10^15.
    fn expected(&self, given: &[u8], family: &[u8]) -> u64 {
        let pairs = self.row(&self.given, given).iter().zip(self.row(&self.family, family));
        let pairs = pairs.map(|(given, family)| u64::from(*given) * u64::from(*family));
        self.shares.iter().zip(pairs).map(|(share, pair)| share * pair).sum()
    }
}

/// Whether a pair of skeletons, in either order, is expected of at most one child in `one_in` by a public
/// list that knows name origins: names go together within an origin, so a product of plain frequencies
/// would call common pairs rare.
#[must_use]
pub fn is_rare_pair(one: &[u8], other: &[u8], one_in: u64) -> bool {
    let table = Rarity::shared();
    let pair = [one, other].map(packed);
    if table.denied.iter().any(|denied| pair.contains(denied)) {
        return false;
    }
    let expected = table.expected(one, other) + table.expected(other, one);
    u128::from(expected) * u128::from(one_in) <= 1_000_000_000_000_000
}

/// Letters of a skeleton.
pub const SKELETON_LETTERS: usize = 4;

/// The four-letter consonant skeleton of a name (lowercase ASCII letters; others are skipped).
///
/// In order: doubled letters count once; the beginnings `kn` and `wr` lose their first letter; `ph` is `f`,
/// `c` is `s` before `e`, `i`, `y` and else `k`, `ck` is `k`, `q` is `k`, `x` is `ks`, `z` is `s`, `g` is
/// `j` before `e`, `i`, `y` and silent before `h`; a vowel at the beginning is `a` and is dropped elsewhere, as are `h`, `w`
/// and `y`; four letters are kept. Spellings of one sound meet (`stephen` and `stefan`: `stfn`).
pub fn skeleton(name: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut letters = name.iter().copied().filter(u8::is_ascii_lowercase).peekable();
    let mut previous = 0u8;
    let mut first = true;
    while let Some(letter) = letters.next() {
        if letter == previous {
            continue;
        }
        let next = letters.peek().copied().unwrap_or(0);
        let silent = first && matches!((letter, next), (b'k', b'n') | (b'w', b'r'));
        let soft = matches!(next, b'e' | b'i' | b'y');
        let kept: &[u8] = match letter {
            _ if silent => b"",
            b'p' if next == b'h' => b"f",
            b'c' if soft => b"s",
            b'c' if next == b'k' => b"",
            b'c' | b'q' => b"k",
            b'x' => b"ks",
            b'z' => b"s",
            b'g' if soft => b"j",
            b'g' if next == b'h' && !first => b"",
            b'a' | b'e' | b'i' | b'o' | b'u' => {
                if first {
                    b"a"
                } else {
                    b""
                }
            }
            b'h' | b'w' | b'y' if !first => b"",
            _ => &[letter],
        };
        out.extend_from_slice(kept);
        previous = letter;
        first = first && silent;
        if out.len() >= SKELETON_LETTERS {
            break;
        }
    }
    out.truncate(SKELETON_LETTERS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skeletons_are_frozen() {
        let mut out = Vec::new();
        for (name, expected) in [
            ("stephen", "stfn"),
            ("stefan", "stfn"),
            ("mohammed", "mmd"),
            ("muhammad", "mmd"),
            ("catherine", "ktrn"),
            ("katherine", "ktrn"),
            ("knight", "nt"),
            ("wright", "rt"),
            ("aisha", "as"),
            ("ayesha", "as"),
            ("alexander", "alks"),
            ("jack", "jk"),
            ("zoe", "s"),
            ("geoffrey", "jfr"),
            ("jeffrey", "jfr"),
            ("yusuf", "ysf"),
            ("hannah", "hn"),
            ("phoebe", "fb"),
            ("", ""),
        ] {
            skeleton(name.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected, "{name}");
        }
    }

    #[test]
    fn nicknames_and_transliterations_meet() {
        let same = |a: &str, b: &str| assert_eq!(canonical(a.as_bytes()), canonical(b.as_bytes()), "{a} {b}");
        same("katie", "katherine");
        same("mohammed", "muhammad");
        same("bob", "robert");
        same("alex", "alexander");
        same("ayesha", "aisha");
        assert_ne!(canonical(b"daniel"), canonical(b"danielle"));
        assert_ne!(canonical(b"jack"), canonical(b"john"));
        assert_eq!(canonical(b"nobodyhasthis"), b"nobodyhasthis");
        // A canonical form is its own canonical form.
        for line in CANONICAL_TABLE.lines().skip(1) {
            let (_, form) = line.split_once('\t').unwrap();
            assert_eq!(canonical(form.as_bytes()), form.as_bytes());
        }
    }

    #[test]
    fn rarity_knows_origins() {
        let rare = |given: &str, family: &str| {
            let (mut one, mut two) = (Vec::new(), Vec::new());
            skeleton(given.as_bytes(), &mut one);
            skeleton(family.as_bytes(), &mut two);
            let rare = is_rare_pair(&one, &two, RARE_ONE_IN);
            assert_eq!(rare, is_rare_pair(&two, &one, RARE_ONE_IN));
            assert!(!rare || is_rare_pair(&one, &two, RARE_ONE_IN / 2), "what is rarer stays rare");
            rare
        };
        assert!(!rare("oliver", "smith"));
        assert!(!rare("muhammad", "khan"));
        assert!(!rare("harpreet", "kaur"));
        assert!(!rare("li", "wu"));
        assert!(rare("peregrine", "featherstonehaugh"));
        assert!(rare("oksana", "macdonald"));
    }
}
