//! The one date format that a column's values fit, or which two fit.
//!
//! May see: values of a date column. Must not see: files, keys. No error carries a value.

use crate::agency::normalise::dates::DateFormat;
use jiff::civil::Date;

/// Values that must be dates of the calendar in the chosen format, in percent. Errors of keying and optical
/// reading leave 90 to 100 % in real extracts; what else could fit is judged apart.
const FIT_PERCENT: usize = 80;
/// Years that a date of birth in an extract can have.
const YEARS: std::ops::RangeInclusive<i16> = 1500..=2100;

/// Formats that systems write, day first before month first.
const FORMATS: [&str; 25] = [
    "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d",
    "%d%m%Y", "%m%d%Y", "%d-%b-%Y", "%d %b %Y", "%d/%b/%Y", "%d%b%Y", "%d %B %Y", "%d-%B-%Y", "%b %d %Y",
    "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%d.%m.%y", "%d-%b-%y", "%d %b %y", "%Y %m %d",
];
/// Times of day that database exports append.
const TIMES: [&str; 4] = ["", " %H:%M:%S", "T%H:%M:%S", " %H:%M"];

/// Why no format is chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DateChoice {
    /// No value.
    #[error("the column is empty")]
    Empty,
    /// No known format fits enough values.
    #[error("no known date format fits {FIT_PERCENT} % of its values; the best is {best} with {percent} %")]
    None {
        /// The best format.
        best: String,
        /// Its share.
        percent: usize,
    },
    /// Two formats fit.
    #[error(
        "its values fit both {first} and {second}: look up one child whose day of birth is after the 12th, or ask who runs the system"
    )]
    Ambiguous {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
}

/// The one format that at least 80 % of the values fit and no other explains: a rival must fail on more than
/// 1 % of the values and on at least two that the choice reads, and may read alone at most a tenth of these.
///
/// # Errors
/// [`DateChoice`] when none or more than one is left.
pub fn date_format<'a>(values: impl Iterator<Item = &'a str>) -> Result<DateFormat, DateChoice> {
    let values: Vec<&str> = values.collect();
    if values.is_empty() {
        return Err(DateChoice::Empty);
    }
    let mut read: Vec<(DateFormat, Vec<bool>, usize)> = candidates(&values)
        .map(|format| {
            let fits: Vec<bool> = values.iter().map(|value| reads(&format, value).is_some()).collect();
            let count = fits.iter().filter(|&&fit| fit).count();
            (format, fits, count)
        })
        .filter(|&(_, _, count)| count > 0)
        .collect();
    read.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count));
    let Some((best, rivals)) = read.split_first() else {
        return Err(DateChoice::None { best: "%Y-%m-%d".to_owned(), percent: 0 });
    };
    let (format, fits, count) = best;
    if count * 100 < FIT_PERCENT * values.len() {
        let percent = count * 100 / values.len();
        return Err(DateChoice::None { best: format.as_str().to_owned(), percent });
    }
    for (rival, others, _) in rivals {
        let only =
            |these: &[bool], those: &[bool]| these.iter().zip(those).filter(|&(a, b)| *a && !*b).count();
        let (alone, rival_alone) = (only(fits, others), only(others, fits));
        if alone < 2 || alone * 100 <= values.len() || rival_alone * 10 > alone {
            let (first, second) = (format.as_str().to_owned(), rival.as_str().to_owned());
            return Err(DateChoice::Ambiguous { first, second });
        }
    }
    Ok(format.clone())
}

/// Formats whose shape at least one value has: few, so that each value is parsed few times.
fn candidates(values: &[&str]) -> impl Iterator<Item = DateFormat> {
    let all = TIMES.iter().flat_map(|time| FORMATS.iter().map(move |format| format!("{format}{time}")));
    let formats = all.filter_map(|format| DateFormat::new(&format).ok());
    formats.filter(|format| values.iter().any(|value| format.fits(value)))
}

/// A value's date when it is one and of a year that makes sense.
pub(super) fn reads(format: &DateFormat, value: &str) -> Option<Date> {
    format.parse(value).ok().filter(|date| YEARS.contains(&date.year()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(values: &[&str]) -> Result<String, DateChoice> {
        date_format(values.iter().copied()).map(|format| format.as_str().to_owned())
    }

    #[test]
    fn the_one_that_fits() {
        for (values, expected) in [
            (["05/11/2012", "19/06/2011", "23/02/2010"], "%d/%m/%Y"),
            (["05/11/2012", "06/19/2011", "02/23/2010"], "%m/%d/%Y"),
            (["2012-11-05", "2011-06-09", "2010-02-03"], "%Y-%m-%d"),
            (["20121105", "20110609", "20100203"], "%Y%m%d"),
            (["11052012", "06192011", "02232010"], "%m%d%Y"),
            (["05-Nov-2012", "19-Jun-2011", "01-FEB-2010"], "%d-%b-%Y"),
            (["05/11/2012 00:00:00", "19/06/2011 00:00:00", "23/02/2010 00:00:00"], "%d/%m/%Y %H:%M:%S"),
            (["05/11/12", "19/06/11", "23/02/10"], "%d/%m/%y"),
        ] {
            assert_eq!(choose(&values).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn never_guesses() {
        let both = choose(&["05/11/2012", "07/03/2014", "01/02/2010", "09/12/2010"]).unwrap_err();
        assert!(matches!(&both, DateChoice::Ambiguous { .. }));
        let text = both.to_string();
        assert!(text.contains("%d/%m/%Y") && text.contains("%m/%d/%Y"), "{text}");
        // One value that only one format reads may be a slip.
        assert!(matches!(
            choose(&["05/11/2012", "07/03/2014", "13/02/2010"]),
            Err(DateChoice::Ambiguous { .. })
        ));
        // Two systems in one column.
        let mixed = choose(&["13/11/2012", "14/03/2014", "02/13/2010", "02/14/2010"]);
        assert!(matches!(mixed, Err(DateChoice::None { .. })), "{mixed:?}");
        assert!(matches!(choose(&["soon", "later"]), Err(DateChoice::None { percent: 0, .. })));
        assert_eq!(choose(&[]), Err(DateChoice::Empty));
    }
}
