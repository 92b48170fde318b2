//! The spoken fingerprint: eight plain words for 64 bits, easy to say on the telephone and hard to mishear.
//!
//! May see: nothing. No two words of the list are one letter apart.

use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// Words of a fingerprint, one a byte.
pub const WORDS: usize = 8;

/// Eight words to be read out and typed by who hears them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpokenWords([u8; WORDS]);

/// What was typed is not eight words of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpokenError {
    /// Another number of words.
    #[error("a spoken fingerprint has {WORDS} words, {0} were given")]
    Count(usize),
    /// A word that no fingerprint has.
    #[error("word {0} is in no spoken fingerprint: have it repeated")]
    Unknown(usize),
}

impl SpokenWords {
    /// The words of what `context` and `parts` say, each part with its length in front.
    #[must_use]
    pub(super) fn of(context: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let mut words = [0; WORDS];
        hasher.finalize_xof().fill(&mut words);
        Self(words)
    }

    /// Whether both are the same, in constant time.
    #[must_use]
    pub fn agree(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for SpokenWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|byte| LIST[usize::from(*byte)]).collect();
        f.write_str(&words.join(" "))
    }
}

impl FromStr for SpokenWords {
    type Err = SpokenError;
    fn from_str(text: &str) -> Result<Self, SpokenError> {
        let text = text.to_lowercase();
        let given: Vec<&str> =
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(99).collect();
        if given.len() != WORDS {
            return Err(SpokenError::Count(given.len()));
        }
        let mut words = [0; WORDS];
        for (at, word) in given.iter().enumerate() {
            let found = LIST.binary_search(word).map_err(|_| SpokenError::Unknown(at + 1))?;
            words[at] = u8::try_from(found).map_err(|_| SpokenError::Unknown(at + 1))?;
        }
        Ok(Self(words))
    }
}

#[rustfmt::skip]
const LIST: [&str; 256] = [
    "acorn", "album", "amber", "anchor", "angle", "apple", "apron", "arch", "arrow", "atlas", "aunt",
    "autumn", "bacon", "badge", "bagel", "balloon", "bamboo", "banana", "banjo", "barn", "basket",
    "beach", "beaver", "bell", "berry", "bicycle", "biscuit", "blackboard", "blanket", "blossom",
    "bonfire", "border", "bottle", "bracelet", "branch", "bread", "brick", "bridge", "broom", "bucket",
    "budget", "bugle", "bus", "butter", "button", "cabin", "cactus", "camel", "candle", "canvas",
    "captain", "carpet", "carrot", "castle", "cement", "chalk", "cheese", "cherry", "chimney", "cider",
    "circle", "clover", "coconut", "comet", "copper", "cotton", "cousin", "cradle", "crayon", "cricket",
    "crown", "cupboard", "curtain", "cushion", "daisy", "dancer", "desert", "diamond", "dinner",
    "doctor", "dolphin", "donkey", "dragon", "drawer", "dream", "drum", "eagle", "easel", "echo",
    "elbow", "elm", "engine", "envelope", "fabric", "falcon", "farmer", "feather", "fiddle", "finger",
    "flannel", "flute", "forest", "fossil", "fountain", "fox", "garden", "garlic", "gate", "giant",
    "giraffe", "glove", "goblet", "gooseberry", "gorilla", "grape", "gravel", "guitar", "hammer",
    "harbour", "hazel", "hedge", "hedgehog", "helmet", "honey", "hotel", "hunter", "igloo", "insect",
    "iron", "island", "ivory", "jacket", "jelly", "jigsaw", "jockey", "jungle", "kettle", "kitchen",
    "kite", "knight", "ladder", "lagoon", "lamp", "lantern", "lemon", "lettuce", "library",
    "lighthouse", "lizard", "lobster", "locket", "lunch", "magnet", "mango", "maple", "marble",
    "marigold", "meadow", "mirror", "mitten", "mosaic", "muffin", "mustard", "napkin", "needle", "nest",
    "north", "nutmeg", "oasis", "ocean", "olive", "onion", "orange", "orchid", "ostrich", "otter",
    "oven", "owl", "oyster", "paddle", "palace", "pancake", "peacock", "pebble", "pencil", "pepper",
    "piano", "picnic", "pigeon", "pillow", "pirate", "planet", "plum", "potato", "pottery", "pumpkin",
    "puppet", "quilt", "rabbit", "radish", "rainbow", "raspberry", "raven", "ribbon", "river", "robin",
    "rope", "ruby", "salmon", "sandal", "satchel", "saucer", "scarf", "school", "shovel", "silver",
    "sister", "skate", "snowman", "soldier", "spider", "spoon", "squirrel", "statue", "sugar", "summer",
    "sunset", "sweater", "table", "teapot", "temple", "thimble", "ticket", "tiger", "toast", "trumpet",
    "tulip", "tunnel", "turtle", "umbrella", "uncle", "valley", "vanilla", "velvet", "village",
    "violin", "volcano", "waffle", "wagon", "walnut", "whistle", "window", "yellow", "yoghurt", "zebra",
    "zipper",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Single letters to change, add or drop to make one word of the other.
    fn apart(a: &str, b: &str) -> usize {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut next = vec![i + 1];
            for (j, y) in b.iter().enumerate() {
                next.push((row[j + 1] + 1).min(next[j] + 1).min(row[j] + usize::from(x != y)));
            }
            row = next;
        }
        row[b.len()]
    }

    #[test]
    fn the_list_is_sorted_and_no_two_words_are_a_letter_apart() {
        assert!(LIST.is_sorted());
        for (at, word) in LIST.iter().enumerate() {
            assert!((3..=11).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase()), "{word}");
            for other in &LIST[at + 1..] {
                assert!(apart(word, other) >= 2, "{word} {other}");
            }
        }
    }

    #[test]
    fn words_are_read_as_people_type_them() {
        let words = SpokenWords::of("a test of the words", &[b"a", b"b"]);
        let text = words.to_string();
        assert_eq!(text.to_uppercase().replace(' ', ", ").parse(), Ok(words));
        assert_eq!(text.rsplit_once(' ').unwrap().0.parse::<SpokenWords>(), Err(SpokenError::Count(7)));
        let wrong = format!("surname {}", text.split_once(' ').unwrap().1);
        let refused = wrong.parse::<SpokenWords>().unwrap_err();
        assert_eq!(refused, SpokenError::Unknown(1));
        assert!(!refused.to_string().contains("surname"));
        let other = SpokenWords::of("a test of the words", &[b"ab", b""]);
        assert!(!words.agree(&other) && words.agree(&words));
    }
}
