//! Dates by a `strptime` format of Python, C locale, and their form for hashing: `%Y%m%d`.
//!
//! May see: values. Must not repeat them.
//!
//! The directives are turned into one pattern each, matched leftmost-first from the start, and the match
//! must then end where the value ends, as Python does it. As on Linux, years below 1000 come out
//! without leading zeros.

use super::python;
use fancy_regex::{Captures, Regex};
use jiff::ToSpan;
use jiff::civil::{Date, ISOWeekDate, Weekday};

const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A format, compiled; with a directive that Python does not know no date fits it.
#[derive(Debug)]
pub(super) struct DateFormat {
    compiled: Option<Regex>,
    /// The directives, in the order of the capture groups.
    directives: Vec<char>,
}

impl DateFormat {
    /// Compiles a format.
    pub(super) fn new(format: &str) -> Self {
        let mut pattern = String::from("(?i)\\A");
        let mut directives = Vec::new();
        let known = translate(format, &mut pattern, &mut directives).is_some();
        let distinct = (1..directives.len()).all(|at| !directives[..at].contains(&directives[at]));
        let compiled = if known && distinct { Regex::new(&pattern).ok() } else { None };
        Self { compiled, directives }
    }

    /// Whether Python can use the format at all.
    pub(super) fn is_usable(&self) -> bool {
        self.compiled.is_some()
    }

    /// The date as `%Y%m%d`, or none where the value is not a date of this format.
    pub(super) fn compact(&self, value: &str) -> Option<String> {
        let captures = self.compiled.as_ref()?.captures(value).ok().flatten()?;
        if captures.get(0)?.end() != value.len() {
            return None;
        }
        let mut parts = Parts::default();
        for (at, &directive) in self.directives.iter().enumerate() {
            parts.take(directive, group(&captures, at + 1)?)?;
        }
        let date = parts.date()?;
        let in_range = (1..=9999).contains(&date.year());
        in_range.then(|| format!("{}{:02}{:02}", date.year(), date.month(), date.day()))
    }
}

fn group<'a>(captures: &Captures<'a, str>, at: usize) -> Option<&'a str> {
    captures.get(at).map(|found| found.as_str())
}

/// Appends the pattern of a format; none where a directive is unknown.
fn translate(format: &str, pattern: &mut String, directives: &mut Vec<char>) -> Option<()> {
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '%' {
            directive(letters.next()?, pattern, directives)?;
        } else if is_space(letter) {
            while letters.next_if(|&next| is_space(next)).is_some() {}
            pattern.push_str("[\\s\\x1c-\\x1f]+");
        } else {
            pattern.push_str(&fancy_regex::escape(letter.encode_utf8(&mut [0; 4])));
        }
    }
    Some(())
}

/// White space of Python's patterns.
fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\x1c'..='\x1f').contains(&letter)
}

fn directive(letter: char, pattern: &mut String, directives: &mut Vec<char>) -> Option<()> {
    let short = |names: &[&str]| names.iter().map(|name| &name[..3]).collect::<Vec<_>>().join("|");
    let part = match letter {
        '%' => {
            pattern.push('%');
            return Some(());
        }
        'c' => return translate("%a %b %d %H:%M:%S %Y", pattern, directives),
        'x' => return translate("%m/%d/%y", pattern, directives),
        'X' => return translate("%H:%M:%S", pattern, directives),
        'd' => r"3[0-1]|[1-2]\d|0[1-9]|[1-9]| [1-9]".to_owned(),
        'f' => "[0-9]{1,6}".to_owned(),
        'H' => r"2[0-3]|[0-1]\d|\d".to_owned(),
        'I' => "1[0-2]|0[1-9]|[1-9]".to_owned(),
        'G' | 'Y' => r"\d\d\d\d".to_owned(),
        'j' => r"36[0-6]|3[0-5]\d|[1-2]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9]".to_owned(),
        'm' => "1[0-2]|0[1-9]|[1-9]".to_owned(),
        'M' => r"[0-5]\d|\d".to_owned(),
        'S' => r"6[0-1]|[0-5]\d|\d".to_owned(),
        'U' | 'W' => r"5[0-3]|[0-4]\d|\d".to_owned(),
        'w' => "[0-6]".to_owned(),
        'u' => "[1-7]".to_owned(),
        'V' => r"5[0-3]|0[1-9]|[1-4]\d|\d".to_owned(),
        'y' => r"\d\d".to_owned(),
        'z' => r"[+-]\d\d:?[0-5]\d(?::?[0-5]\d(?:\.\d{1,6})?)?|(?-i:Z)".to_owned(),
        'A' => WEEKDAYS.join("|"),
        'a' => short(&WEEKDAYS),
        'B' => MONTHS.join("|"),
        'b' => short(&MONTHS),
        'p' => "am|pm".to_owned(),
        'Z' => "utc|gmt".to_owned(),
        _ => return None,
    };
    directives.push(letter);
    pattern.push_str(&format!("({part})"));
    Some(())
}

/// What the directives said; weekdays count from Monday = 0.
#[derive(Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    weekday: Option<i64>,
    day_of_year: Option<i64>,
    /// Week of the year and whether weeks begin on Monday.
    week: Option<(i64, bool)>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
}

impl Parts {
    fn take(&mut self, directive: char, text: &str) -> Option<()> {
        let number = || python::int(text).and_then(|digits| digits.parse::<i64>().ok());
        let lower = text.to_lowercase();
        let place = |names: &[&str], len: usize| {
            names.iter().position(|name| name[..len.min(name.len())] == lower).map(|at| at as i64)
        };
        match directive {
            'y' => self.year = number().map(|year| if year <= 68 { 2000 + year } else { 1900 + year }),
            'Y' => self.year = number(),
            'G' => self.iso_year = number(),
            'm' => self.month = number(),
            'B' => self.month = Some(place(&MONTHS, usize::MAX)? + 1),
            'b' => self.month = Some(place(&MONTHS, 3)? + 1),
            'd' => self.day = number(),
            'A' => self.weekday = Some(place(&WEEKDAYS, usize::MAX)?),
            'a' => self.weekday = Some(place(&WEEKDAYS, 3)?),
            'w' => self.weekday = Some((number()? + 6) % 7),
            'u' => self.weekday = Some(number()? - 1),
            'j' => self.day_of_year = number(),
            'U' | 'W' => self.week = Some((number()?, directive == 'W')),
            'V' => self.iso_week = number(),
            // The pattern lets leap seconds pass, the date then does not.
            'S' if number()? >= 60 => return None,
            'z' => offset(text)?,
            _ => {}
        }
        Some(())
    }

    fn date(&self) -> Option<Date> {
        if self.year.is_none() && self.iso_year.is_some() {
            if self.iso_week.is_none() || self.weekday.is_none() || self.day_of_year.is_some() {
                return None;
            }
        } else if self.week.is_none() && self.iso_week.is_some() {
            return None;
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        // 29 February without a year would be that of 1900, which had none.
        if self.year.is_none()
            && (month, day) == (2, 29)
            && self.day_of_year.is_none()
            && self.iso_year.is_none()
        {
            return None;
        }
        let year = self.year.unwrap_or(1900);
        match (self.day_of_year, self.weekday, self.week, self.iso_year, self.iso_week) {
            (Some(nth), ..) => nth_day(year, nth),
            (None, Some(weekday), Some((week, from_monday)), ..) => {
                nth_day(year, day_of_week(year, week, weekday, from_monday)?)
            }
            (None, Some(weekday), None, Some(iso_year), Some(iso_week)) => {
                iso_day(iso_year, iso_week, weekday)
            }
            _ => civil(year, month, day),
        }
    }
}

fn civil(year: i64, month: i64, day: i64) -> Option<Date> {
    let year = i16::try_from(year).ok().filter(|year| *year >= 1)?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Day `nth` of a year, from 1; 366 of a common year is the next 1 January, 0 and less the year before.
fn nth_day(year: i64, nth: i64) -> Option<Date> {
    civil(year, 1, 1)?.checked_add((nth - 1).days()).ok()
}

/// Day of the year of a weekday in week `week` of `%U` (weeks begin on Sunday) or `%W` (on Monday).
fn day_of_week(year: i64, week: i64, weekday: i64, from_monday: bool) -> Option<i64> {
    let mut first = i64::from(civil(year, 1, 1)?.weekday().to_monday_zero_offset());
    let mut weekday = weekday;
    if !from_monday {
        first = (first + 1) % 7;
        weekday = (weekday + 1) % 7;
    }
    Some(if week == 0 { 1 + weekday - first } else { 1 + (7 - first) % 7 + 7 * (week - 1) + weekday })
}

/// The weekday of an ISO week; week 53 of a short year is week 1 of the next.
fn iso_day(year: i64, week: i64, weekday: i64) -> Option<Date> {
    let year = i16::try_from(year).ok().filter(|year| *year >= 1)?;
    let first = ISOWeekDate::new(year, 1, Weekday::Monday).ok()?.date();
    first.checked_add((7 * (week - 1) + weekday).days()).ok()
}

/// A time zone offset must be within a day, and its colons all there or none.
fn offset(text: &str) -> Option<()> {
    if text == "Z" {
        return Some(());
    }
    let letters: Vec<char> = text.chars().collect();
    let colons = letters.get(3) == Some(&':');
    let (minutes, seconds) = if colons { (4, 6) } else { (3, 5) };
    if letters.len() > seconds && (letters[seconds] == ':') != colons {
        return None;
    }
    let hours = python::int(&letters.get(1..3)?.iter().collect::<String>())?;
    letters.get(minutes..minutes + 2)?;
    hours.parse::<u32>().ok().filter(|hours| *hours < 24).map(|_| ())
}
