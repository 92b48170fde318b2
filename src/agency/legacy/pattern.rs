//! Patterns of Python's `re`, matched against a whole value.
//!
//! May see: patterns and values. Must not repeat values.
//!
//! The pattern is read by Python's grammar and written anew for the `fancy-regex` crate, so that what
//! Python refuses is refused and what both accept with different meanings (`\w`, `\s`, `\Z`, `$`, `{,3}`,
//! set operators inside brackets) keeps Python's. Not supported: `\N{..}`.

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

    fn group(&mut self, flags: &mut Flags, depth: u32, first: bool) -> Parsed<Item> {
        if !self.eat('?') {
            return self.capture(*flags, depth);
        }
        match self.next().ok_or("unexpected end of pattern")? {
            'P' => match self.next() {
                Some('<') => {
                    let name = self.until('>')?;
                    if !is_name(&name) || self.names.insert(name, self.groups + 1).is_some() {
                        return Err("bad or repeated group name".into());
                    }
                    return self.capture(*flags, depth);
                }
                Some('=') => {
                    let name = self.until(')')?;
                    let group = *self.names.get(&name).ok_or("unknown group name")?;
                    self.back_reference(group)?;
                }
                _ => return Err("unknown extension".into()),
            },
            ':' => self.enclosed("(?:", *flags, depth)?,
            '>' => self.enclosed("(?>", *flags, depth)?,
            '=' => return self.look("(?=", *flags, depth),
            '!' => return self.look("(?!", *flags, depth),
            '<' if self.eat('=') => return self.look("(?<=", *flags, depth),
            '<' if self.eat('!') => return self.look("(?<!", *flags, depth),
            '#' => {
                self.until(')')?;
                return Ok(Item::Nothing);
            }
            '(' => self.condition(*flags, depth)?,
            letter => return self.flag_group(letter, flags, depth, first),
        }
        Ok(Item::Atom)
    }

    fn capture(&mut self, flags: Flags, depth: u32) -> Parsed<Item> {
        self.groups += 1;
        self.open.push(self.groups);
        self.enclosed("(", flags, depth)?;
        self.open.pop();
        Ok(Item::Atom)
    }

    fn enclosed(&mut self, opening: &str, flags: Flags, depth: u32) -> Parsed<()> {
        self.out.push_str(opening);
        self.alternatives(flags, depth + 1)?;
        self.expect(')')?;
        self.out.push(')');
        Ok(())
    }

    fn look(&mut self, opening: &str, flags: Flags, depth: u32) -> Parsed<Item> {
        self.enclosed(opening, flags, depth)?;
        Ok(Item::Look)
    }

    fn condition(&mut self, flags: Flags, depth: u32) -> Parsed<()> {
        let name = self.until(')')?;
        let group = match name.parse::<usize>() {
            Ok(group) => group,
            Err(_) => *self.names.get(&name).ok_or("unknown group name")?,
        };
        if group == 0 {
            return Err("bad group number".into());
        }
        self.conditions.push(group);
        let start = self.out.len();
        self.enclosed(&format!("(?({group})"), flags, depth)?;
        // One bar is the alternative; a second is refused, as a bar inside a group is written there.
        if top_level_bars(&self.out[start..]) > 1 {
            return Err("conditional backref with more than two branches".into());
        }
        Ok(())
    }

    /// `(?flags)` at the start, `(?flags-flags:...)` anywhere.
    fn flag_group(&mut self, letter: char, flags: &mut Flags, depth: u32, first: bool) -> Parsed<Item> {
        let (mut inner, mut on, mut off, mut removing) = (*flags, String::new(), String::new(), false);
        let mut next = Some(letter);
        loop {
            match next.ok_or("missing -, : or )")? {
                '-' if !removing => removing = true,
                'i' if removing => off.push('i'),
                'i' => on.push('i'),
                'm' => inner.multiline = !removing,
                's' => inner.dot_all = !removing,
                'x' => inner.verbose = !removing,
                'a' if !removing => inner.ascii = true,
                'u' if !removing => inner.ascii = false,
                ')' if !removing => {
                    if !first {
                        return Err("global flags not at the start of the expression".into());
                    }
                    self.ignore_case |= !on.is_empty();
                    *flags = inner;
                    return Ok(Item::Nothing);
                }
                ':' => break,
                _ => return Err("unknown flag".into()),
            }
            next = self.next();
        }
        let off = if off.is_empty() { String::new() } else { format!("-{off}") };
        self.enclosed(&format!("(?{on}{off}:"), inner, depth)?;
        Ok(Item::Atom)
    }

    fn back_reference(&mut self, group: usize) -> Parsed<()> {
        if group == 0 || group > self.groups {
            return Err("invalid group reference".into());
        }
        if self.open.contains(&group) {
            return Err("cannot refer to an open group".into());
        }
        self.out.push_str(&format!("(?:\\{group})"));
        Ok(())
    }

    fn escape(&mut self, flags: Flags) -> Parsed<Item> {
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
    fn set(&mut self, flags: Flags) -> Parsed<()> {
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

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && letters.all(|c| c.is_alphanumeric() || c == '_')
}

/// Bars directly inside the outermost group of what this module has written.
fn top_level_bars(written: &str) -> usize {
    // The condition's own parentheses close again, so its branches stand at depth one.
    let (mut depth, mut in_set, mut bars, mut escaped) = (0i32, 0i32, 0, false);
    for letter in written.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_set += 1,
            ']' => in_set -= 1,
            '(' if in_set == 0 => depth += 1,
            ')' if in_set == 0 => depth -= 1,
            '|' if in_set == 0 && depth == 1 => bars += 1,
            _ => {}
        }
    }
    bars
}
