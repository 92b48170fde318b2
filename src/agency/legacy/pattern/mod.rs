//! Patterns of Python's `re`, matched against a whole value.
//!
//! May see: patterns and values. Must not repeat values.
//!
//! The pattern is read by Python's grammar and written anew for the `fancy-regex` crate, so that what
//! Python refuses is refused and what both accept with different meanings (`\w`, `\s`, `\Z`, `$`, `{,3}`,
//! set operators inside brackets) keeps Python's. Not supported: `\N{..}`.

mod groups;
mod letters;

use super::error::EntryFault;
use fancy_regex::{Regex, RegexBuilder};
use std::collections::HashMap;

/// Steps of backtracking one value may cost.
const STEPS_MAX: usize = 1_000_000;
/// Nesting of groups.
const DEPTH_MAX: u32 = 100;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

type Parsed<T> = Result<T, String>;

impl Pattern {
    /// Compiles a pattern, or says which rule it breaks.
    pub(super) fn new(pattern: &str) -> Parsed<Self> {
        let mut reader = Reader::new(pattern);
        reader.alternatives(Flags::default(), 0)?;
        if reader.at < reader.letters.len() {
            return Err("unbalanced parenthesis".into());
        }
        if reader.conditions.iter().any(|&group| group > reader.groups) {
            return Err("invalid group reference".into());
        }
        let ignore_case = if reader.ignore_case { "(?i)" } else { "" };
        let whole = format!("{ignore_case}\\A(?:{})\\z", reader.out);
        let built = RegexBuilder::new(&whole).backtrack_limit(STEPS_MAX).build();
        built.map(Self).map_err(|_| "the pattern is not supported".into())
    }

    /// Whether the whole value matches.
    pub(super) fn check(&self, value: &str) -> Result<(), EntryFault> {
        match self.0.is_match(value) {
            Ok(true) => Ok(()),
            Ok(false) => Err(EntryFault::Pattern),
            Err(_) => Err(EntryFault::PatternCost),
        }
    }
}

/// Flags that change how the rest is read; ignoring case is left to the matcher.
#[derive(Clone, Copy, Default)]
struct Flags {
    ascii: bool,
    multiline: bool,
    dot_all: bool,
    verbose: bool,
}

/// What was read: only some things can be repeated.
#[derive(PartialEq)]
enum Item {
    Atom,
    /// Looks ahead or behind: takes no letters, so repeating it is doing it once or not at all.
    Look,
    Anchor,
    Nothing,
}

struct Reader {
    letters: Vec<char>,
    at: usize,
    out: String,
    groups: usize,
    open: Vec<usize>,
    names: HashMap<String, usize>,
    conditions: Vec<usize>,
    ignore_case: bool,
}

impl Reader {
    fn new(pattern: &str) -> Self {
        Self {
            letters: pattern.chars().collect(),
            at: 0,
            out: String::new(),
            groups: 0,
            open: Vec::new(),
            names: HashMap::new(),
            conditions: Vec::new(),
            ignore_case: false,
        }
    }

    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek();
        self.at += usize::from(letter.is_some());
        letter
    }

    fn eat(&mut self, letter: char) -> bool {
        let found = self.peek() == Some(letter);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, letter: char) -> Parsed<()> {
        if self.eat(letter) { Ok(()) } else { Err(format!("'{letter}' is missing")) }
    }

    /// Up to `stop`, which is consumed.
    fn until(&mut self, stop: char) -> Parsed<String> {
        let rest = &self.letters[self.at..];
        let len =
            rest.iter().position(|&letter| letter == stop).ok_or_else(|| format!("'{stop}' is missing"))?;
        let text = rest[..len].iter().collect();
        self.at += len + 1;
        Ok(text)
    }

    fn alternatives(&mut self, mut flags: Flags, depth: u32) -> Parsed<()> {
        if depth > DEPTH_MAX {
            return Err("groups are nested too deeply".into());
        }
        let mut first = depth == 0;
        loop {
            self.branch(&mut flags, depth, first)?;
            if !self.eat('|') {
                return Ok(());
            }
            self.out.push('|');
            first = false;
        }
    }

    /// Reads items up to `|`, `)` or the end. Flags for the whole pattern may stand before the `first` item.
    fn branch(&mut self, flags: &mut Flags, depth: u32, mut first: bool) -> Parsed<()> {
        let (mut last, mut start, mut repeated) = (Item::Nothing, 0, false);
        while let Some(letter) = self.peek().filter(|letter| !matches!(letter, '|' | ')')) {
            self.at += 1;
            if flags.verbose && (letter.is_ascii_whitespace() || letter == '\x0b' || letter == '#') {
                while letter == '#' && self.next().is_some_and(|next| next != '\n') {}
                continue;
            }
            if let Some((least, most)) = self.quantifier(letter)? {
                match last {
                    Item::Look if !repeated => self.repeat_look(start, least, most),
                    Item::Atom if !repeated => self.repeat(start, least, most),
                    Item::Atom | Item::Look => return Err("multiple repeat".into()),
                    Item::Anchor | Item::Nothing => return Err("nothing to repeat".into()),
                }
                repeated = true;
                continue;
            }
            let here = self.out.len();
            let item = self.item(letter, flags, depth, first)?;
            if item != Item::Nothing {
                (last, start, repeated, first) = (item, here, false, false);
            }
        }
        Ok(())
    }

    /// Bounds of a quantifier that begins with `letter`, or none where it is a literal.
    fn quantifier(&mut self, letter: char) -> Parsed<Option<(u32, Option<u32>)>> {
        match letter {
            '*' => return Ok(Some((0, None))),
            '+' => return Ok(Some((1, None))),
            '?' => return Ok(Some((0, Some(1)))),
            '{' => {}
            _ => return Ok(None),
        }
        let back = self.at;
        if self.peek() == Some('}') {
            return Ok(None);
        }
        let least = self.digits();
        let most = if self.eat(',') { self.digits() } else { least.clone() };
        if !self.eat('}') {
            self.at = back;
            return Ok(None);
        }
        let number =
            |digits: &str| digits.parse::<u32>().map_err(|_| "the repetition number is too large".to_owned());
        let least = if least.is_empty() { 0 } else { number(&least)? };
        let most = if most.is_empty() { None } else { Some(number(&most)?) };
        if most.is_some_and(|most| most < least) {
            return Err("min repeat greater than max repeat".into());
        }
        Ok(Some((least, most)))
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
            digits.push(digit);
            self.at += 1;
        }
        digits
    }

    fn repeat(&mut self, start: usize, least: u32, most: Option<u32>) {
        let most = most.map_or_else(String::new, |most| most.to_string());
        self.out.push_str(&format!("{{{least},{most}}}"));
        if self.eat('?') {
            self.out.push('?');
        } else if self.eat('+') {
            self.out.insert_str(start, "(?>");
            self.out.push(')');
        }
    }

    fn repeat_look(&mut self, start: usize, least: u32, most: Option<u32>) {
        if most == Some(0) {
            // The empty branch always matches first; the groups inside still count.
            self.out.insert_str(start, "(?:|");
            self.out.push(')');
        } else if least == 0 {
            self.out.insert_str(start, "(?:");
            self.out.push_str("|)");
        }
        let _lazy_or_possessive = self.eat('?') || self.eat('+');
    }

    fn item(&mut self, letter: char, flags: &mut Flags, depth: u32, first: bool) -> Parsed<Item> {
        match letter {
            '(' => return self.group(flags, depth, first),
            '[' => self.set(*flags)?,
            '\\' => return self.escape(*flags),
            '.' => self.out.push_str(if flags.dot_all { "(?s:.)" } else { "[^\\n]" }),
            '^' => {
                self.out.push_str(if flags.multiline { "(?m:^)" } else { "\\A" });
                return Ok(Item::Anchor);
            }
            '$' => {
                self.out.push_str(if flags.multiline { "(?m:$)" } else { "(?=\\n?\\z)" });
                return Ok(Item::Anchor);
            }
            literal => self.literal(literal),
        }
        Ok(Item::Atom)
    }

    fn literal(&mut self, letter: char) {
        if letter.is_ascii_alphanumeric() {
            self.out.push(letter);
        } else {
            self.out.push_str(&format!("\\x{{{:x}}}", u32::from(letter)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_python_refuses_are_refused() {
        for bad in
            ["(?au)a", "(?i-i:a)", "(?i-:a)", "(?-i)a", "(?L)a", "(?z)a", "a(?i)b", "(?i", "(?a:(?-a:x))"]
        {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
        for good in ["(?i)a", "(?is)a", "(?i-s:A)", "(?a:a)", "(?-i:a)", "(?i)(?s)a"] {
            assert_eq!(
                Pattern::new(good).unwrap().check(if good == "(?i-s:A)" { "A" } else { "a" }),
                Ok(()),
                "{good}"
            );
        }
    }

    #[test]
    fn looks_can_be_repeated_and_costly_patterns_end() {
        assert_eq!(Pattern::new("(?=b)*a").unwrap().check("a"), Ok(()));
        assert_eq!(Pattern::new("(?=b)+a").unwrap().check("a"), Err(EntryFault::Pattern));
        let costly = Pattern::new(r"(?:(a+)+)+(?<!a)\1b").unwrap();
        assert!(costly.check(&"a".repeat(60)).is_err());
    }
}
