//! Dates by an explicit format, and what a date of birth may be.
//!
//! May see: one value, and `today` as an argument. Must not see: files, keys, the clock.

use crate::agency::record::{BirthDate, SlippedDate};
use jiff::civil::Date;
use jiff::fmt::strtime::BrokenDownTime;
use std::fmt;

/// A strptime format with a year, a month and a day (`%d/%m/%Y`, `%d-%b-%Y`, `%Y%m%d %H:%M:%S`).
#[derive(Clone, PartialEq, Eq)]
pub struct DateFormat {
    text: String,
    /// Kinds of characters of a value: `9` digit, `a` letter, else itself. Digits of a run may be fewer.
    shape: Vec<u8>,
    /// Without separators every digit must be there.
    fixed: bool,
}

/// Why a text is not a date format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date format needs %Y (or %y), %m (or %b, %B) and %d once each, for example %d/%m/%Y")]
pub struct DateFormatError;

/// Why a value is not a date; the value is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateFault {
    /// It does not look like the format.
    Format,
    /// It looks like the format and is no day of the calendar.
    Impossible,
}

/// Why a date is not taken for a date of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BirthFault {
    /// After today.
    Future,
    /// Before the oldest year allowed.
    TooOld,
}

impl DateFormat {
    /// Parses a format.
    ///
    /// # Errors
    /// [`DateFormatError`] unless year, month and day stand in it once each and the rest is known.
    pub fn new(text: &str) -> Result<Self, DateFormatError> {
        let shape = shape_of_format(text).ok_or(DateFormatError)?;
        let sample = jiff::civil::date(2013, 11, 28).at(10, 11, 12, 0);
        let written = jiff::fmt::strtime::format(text, sample).map_err(|_| DateFormatError)?;
        let back = BrokenDownTime::parse(text, &written).ok().and_then(|parts| parts.to_date().ok());
        if back != Some(sample.date()) {
            return Err(DateFormatError);
        }
        let fixed = shape.iter().all(|&kind| kind == b'9');
        Ok(Self { text: text.to_owned(), shape, fixed })
    }

    /// The format as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a value looks like the format: the same separators, digits and letters where they belong.
    #[must_use]
    pub fn fits(&self, value: &str) -> bool {
        if self.fixed {
            return value.len() == self.shape.len() && value.bytes().all(|byte| byte.is_ascii_digit());
        }
        let bytes = value.as_bytes();
        let (mut at, mut want) = (0, 0);
        while want < self.shape.len() {
            let kind = self.shape[want];
            let run = self.shape[want..].iter().take_while(|&&other| other == kind).count();
            match kind {
                b'9' | b'a' => {
                    let fits = |byte: &&u8| {
                        if kind == b'9' { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() }
                    };
                    let found = bytes[at..].iter().take_while(fits).count();
                    let most = if kind == b'9' { run } else { 9 };
                    if found == 0 || found > most || (run == 4 && kind == b'9' && found != 4) {
                        return false;
                    }
                    (at, want) = (at + found, want + run);
                }
                literal => {
                    if bytes.get(at) != Some(&literal) {
                        return false;
                    }
                    (at, want) = (at + 1, want + 1);
                }
            }
        }
        at == bytes.len()
    }

    /// Parses a value.
    ///
    /// # Errors
    /// [`DateFault`]: not in the format, or in it and impossible.
    pub fn parse(&self, value: &str) -> Result<Date, DateFault> {
        if !self.fits(value) {
            return Err(DateFault::Format);
        }
        let parts = BrokenDownTime::parse(&self.text, value).map_err(|_| DateFault::Impossible)?;
        parts.to_date().map_err(|_| DateFault::Impossible)
    }

    /// Year, month and day as the digits of a value stand, of a calendar or not; none where the format has names of
    /// months or two-digit years, or the value does not fit it.
    #[must_use]
    pub fn digits(&self, value: &str) -> Option<(u16, u8, u8)> {
        if !self.fits(value) {
            return None;
        }
        let mut rest = value;
        let mut parts = [0u16; 3];
        let mut format = self.text.bytes();
        while let Some(byte) = format.next() {
            if byte != b'%' {
                rest = rest.get(1..)?;
                continue;
            }
            let (part, most) = match format.next()? {
                b'Y' => (Some(0), 4),
                b'm' => (Some(1), 2),
                b'd' | b'e' => (Some(2), 2),
                b'H' | b'M' | b'S' => (None, 2),
                _ => return None,
            };
            let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
            let (digits, after) = rest.split_at(length);
            if let Some(part) = part {
                parts[part] = digits.parse().ok()?;
            }
            rest = after;
        }
        Some((parts[0], u8::try_from(parts[1]).ok()?, u8::try_from(parts[2]).ok()?))
    }
}

impl fmt::Debug for DateFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DateFormat({})", self.text)
    }
}

fn shape_of_format(text: &str) -> Option<Vec<u8>> {
    let (mut shape, mut bytes) = (Vec::new(), text.bytes());
    let mut seen = [0u8; 3];
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if !byte.is_ascii() || byte.is_ascii_alphanumeric() && byte != b'T' && byte != b'Z' {
                return None;
            }
            shape.push(byte);
            continue;
        }
        let (part, kinds): (Option<usize>, &[u8]) = match bytes.next()? {
            b'Y' => (Some(0), b"9999"),
            b'y' => (Some(0), b"99"),
            b'm' => (Some(1), b"99"),
            b'b' | b'B' => (Some(1), b"a"),
            b'd' | b'e' => (Some(2), b"99"),
            b'H' | b'M' | b'S' => (None, b"99"),
            _ => return None,
        };
        if let Some(part) = part {
            seen[part] += 1;
        }
        shape.extend_from_slice(kinds);
    }
    (seen == [1, 1, 1] && text.len() <= 64).then_some(shape)
}

/// Takes a date for a date of birth: not after `today`, not before `oldest_year`.
///
/// # Errors
/// [`BirthFault`] says which.
pub fn birth_date(date: Date, today: Date, oldest_year: u16) -> Result<BirthDate, BirthFault> {
    if date > today {
        return Err(BirthFault::Future);
    }
    let year = u16::try_from(date.year()).map_err(|_| BirthFault::TooOld)?;
    match (u8::try_from(date.month()), u8::try_from(date.day())) {
        (Ok(month), Ok(day)) if year >= oldest_year => Ok(BirthDate { year, month, day }),
        _ => Err(BirthFault::TooOld),
    }
}

/// Takes the digits of a date that is no day of the calendar (`parts` as [`DateFormat::digits`] gives them) for
/// what they tell: a year out of range is not known, nor is a month or a day of 00. None where nothing is left, and
/// where two parts are impossible: 99/99/9999 is a word for unknown, and no slip.
#[must_use]
pub fn slipped((year, month, day): (u16, u8, u8), today: Date, oldest_year: u16) -> Option<SlippedDate> {
    let in_range = year >= oldest_year && i32::from(year) <= i32::from(today.year());
    let impossible = [!in_range, month > 12, day > 31];
    if impossible.into_iter().filter(|part| *part).count() > 1 {
        return None;
    }
    let slipped = SlippedDate { year: if in_range { year } else { 0 }, month, day };
    (slipped != SlippedDate { year: 0, month: 0, day: 0 }).then_some(slipped)
}

/// Whether a date is what systems fill in for an unknown one: the first of January, or any day of 1900.
#[must_use]
pub fn is_default(date: BirthDate) -> bool {
    date.month == 1 && date.day == 1 || date.year == 1900
}

/// Whether a `DOBEstimated` column says yes; `None` when it says neither yes nor no.
#[must_use]
pub fn estimated(value: &str) -> Option<bool> {
    const YES: [&str; 7] = ["y", "yes", "true", "t", "1", "estimated", "e"];
    const NO: [&str; 9] = ["n", "no", "false", "f", "0", "actual", "verified", "confirmed", "a"];
    let is = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    if is(&YES) { Some(true) } else { is(&NO).then_some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    #[test]
    fn the_formats_of_the_field() {
        for (format, value) in [
            ("%d/%m/%Y", "05/11/2012"),
            ("%d/%m/%Y", "5/11/2012"),
            ("%Y-%m-%d", "2012-11-05"),
            ("%Y%m%d", "20121105"),
            ("%m%d%Y", "11052012"),
            ("%m/%d/%Y", "11/05/2012"),
            ("%d-%b-%Y", "05-Nov-2012"),
            ("%d-%b-%Y", "05-NOV-2012"),
            ("%d %B %Y", "5 November 2012"),
            ("%d/%m/%Y %H:%M:%S", "05/11/2012 00:00:00"),
            ("%Y-%m-%dT%H:%M:%S", "2012-11-05T00:00:00"),
        ] {
            assert_eq!(
                DateFormat::new(format).unwrap().parse(value),
                Ok(date(2012, 11, 5)),
                "{format} {value}"
            );
        }
    }

    #[test]
    fn another_format_or_no_day() {
        let dmy = DateFormat::new("%d/%m/%Y").unwrap();
        for value in
            ["2012-11-05", "05/11/12", "05/11/2012 00:00", "", "05-11-2012", "ab/11/2012", "005/11/2012"]
        {
            assert_eq!(dmy.parse(value), Err(DateFault::Format), "{value}");
        }
        for value in ["30/02/2013", "00/01/2013", "05/13/2012", "29/02/2013"] {
            assert_eq!(dmy.parse(value), Err(DateFault::Impossible), "{value}");
        }
        let ymd = DateFormat::new("%Y%m%d").unwrap();
        assert_eq!(ymd.parse("2012115"), Err(DateFault::Format));
        assert_eq!(ymd.parse("20121399"), Err(DateFault::Impossible));
        let month = DateFormat::new("%d-%b-%Y").unwrap();
        assert_eq!(month.parse("05-Nux-2012"), Err(DateFault::Impossible));
    }

    #[test]
    fn what_an_impossible_date_still_tells() {
        let digits = |format: &str, value: &str| DateFormat::new(format).unwrap().digits(value);
        assert_eq!(digits("%d/%m/%Y", "30/02/2013"), Some((2013, 2, 30)));
        assert_eq!(digits("%d/%m/%Y", "5/81/2013"), Some((2013, 81, 5)));
        assert_eq!(digits("%Y%m%d", "20130099"), Some((2013, 0, 99)));
        assert_eq!(digits("%Y-%m-%d %H:%M:%S", "2013-02-30 00:00:00"), Some((2013, 2, 30)));
        assert_eq!(digits("%d-%b-%Y", "30-Feb-2013"), None);
        assert_eq!(digits("%d/%m/%Y", "30.02.2013"), None);
        let today = date(2026, 1, 1);
        let taken = |year, month, day| slipped((year, month, day), today, 1900);
        assert_eq!(taken(2013, 2, 30), Some(SlippedDate { year: 2013, month: 2, day: 30 }));
        assert_eq!(taken(2031, 2, 30), Some(SlippedDate { year: 0, month: 2, day: 30 }));
        assert_eq!(taken(1013, 0, 0), None);
        for unknown in [(9999, 99, 99), (2013, 99, 99), (9999, 12, 99), (8888, 88, 8)] {
            assert_eq!(taken(unknown.0, unknown.1, unknown.2), None, "two slips are a word for unknown");
        }
    }

    #[test]
    fn formats_that_are_none() {
        for format in ["", "%d/%m", "%d/%m/%Y/%Y", "dd/mm/yyyy", "%d/%m/%Q", "%j/%Y", "%", "%Y-%m-%d%d"] {
            assert_eq!(DateFormat::new(format), Err(DateFormatError), "{format}");
        }
    }

    #[test]
    fn dates_of_birth() {
        let today = date(2026, 3, 14);
        assert!(birth_date(today, today, 1900).is_ok());
        assert_eq!(birth_date(date(2026, 3, 15), today, 1900), Err(BirthFault::Future));
        assert_eq!(birth_date(date(1899, 12, 31), today, 1900), Err(BirthFault::TooOld));
        assert!(birth_date(date(1599, 12, 31), today, 1500).is_ok());
        assert!(is_default(birth_date(date(2013, 1, 1), today, 1900).unwrap()));
        assert!(is_default(birth_date(date(1900, 6, 2), today, 1900).unwrap()));
        assert!(!is_default(birth_date(date(2013, 1, 2), today, 1900).unwrap()));
        assert_eq!((estimated("Y"), estimated("n"), estimated("?")), (Some(true), Some(false), None));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(days in 0i32..250_000, which in 0usize..6) {
            let formats = ["%d/%m/%Y", "%Y-%m-%d", "%Y%m%d", "%m%d%Y", "%d-%b-%Y", "%d %B %Y"];
            let day = date(1500, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
            let written = day.strftime(formats[which]).to_string();
            prop_assert_eq!(DateFormat::new(formats[which]).unwrap().parse(&written), Ok(day));
        }

        #[test]
        fn no_value_panics(value in "\\PC{0,20}") {
            let _ = DateFormat::new("%d-%b-%Y").unwrap().parse(&value);
            let _ = DateFormat::new("%Y%m%d").unwrap().parse(&value);
            let _ = DateFormat::new(&value);
        }
    }
}
