//! One column's format: which values it takes and the text that is hashed for each.
//!
//! May see: values. Must not repeat them in errors.

use super::date::DateFormat;
use super::error::EntryFault;
use super::pattern::Pattern;
use super::python;
use super::tokens::TextEncoding;
use num_bigint::BigInt;
use std::borrow::Cow;
use std::collections::HashSet;

/// The format of a column with its encoding and its missing value.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) format: Format,
    pub(super) encoding: TextEncoding,
    pub(super) missing: Option<Missing>,
}

/// The text that stands for "missing" and the text hashed in its place.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) sentinel: String,
    pub(super) replacement: String,
}

#[derive(Debug)]
pub(super) enum Format {
    /// Lengths in characters.
    Text {
        case: Case,
        min: u64,
        max: Option<u64>,
    },
    Pattern(Pattern),
    Integer {
        minimum: Option<BigInt>,
        maximum: Option<BigInt>,
    },
    Date(DateFormat),
    Enum(HashSet<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Lower,
    Mixed,
}

impl Field {
    /// The text to hash for a value: missing values replaced, integers and dates in one form. With
    /// `validate` the value must fit the format; without, only what cannot be normalised is refused.
    pub(super) fn normalise<'a>(
        &'a self,
        value: &'a str,
        validate: bool,
    ) -> Result<Cow<'a, str>, EntryFault> {
        if let Some(missing) = self.missing.as_ref().filter(|missing| missing.sentinel == value) {
            return Ok(Cow::Borrowed(&missing.replacement));
        }
        if validate && self.encoding == TextEncoding::Ascii && !value.is_ascii() {
            return Err(EntryFault::NotAscii);
        }
        match &self.format {
            Format::Integer { minimum, maximum } => {
                let text = python::int(value).ok_or(EntryFault::NotInteger)?;
                if validate {
                    within(&text, minimum.as_ref(), maximum.as_ref())?;
                }
                Ok(Cow::Owned(text))
            }
            Format::Date(format) => format.compact(value).map(Cow::Owned).ok_or(EntryFault::NotDate),
            Format::Text { case, min, max } if validate => check_text(value, *case, *min, *max),
            Format::Pattern(pattern) if validate => pattern.check(value).map(|()| Cow::Borrowed(value)),
            Format::Enum(values) if validate && !values.contains(value) => Err(EntryFault::NotListed),
            Format::Text { .. } | Format::Pattern(_) | Format::Enum(_) => Ok(Cow::Borrowed(value)),
        }
    }
}

fn check_text(value: &str, case: Case, min: u64, max: Option<u64>) -> Result<Cow<'_, str>, EntryFault> {
    let length = value.chars().count() as u64;
    if length < min {
        return Err(EntryFault::TooShort);
    }
    if max.is_some_and(|max| length > max) {
        return Err(EntryFault::TooLong);
    }
    match case {
        Case::Upper if value.to_uppercase() != value => Err(EntryFault::NotUpper),
        Case::Lower if value.to_lowercase() != value => Err(EntryFault::NotLower),
        _ => Ok(Cow::Borrowed(value)),
    }
}

fn within(text: &str, minimum: Option<&BigInt>, maximum: Option<&BigInt>) -> Result<(), EntryFault> {
    if minimum.is_none() && maximum.is_none() {
        return Ok(());
    }
    let number: BigInt = text.parse().map_err(|_| EntryFault::NotInteger)?;
    if minimum.is_some_and(|minimum| number < *minimum) {
        return Err(EntryFault::BelowMinimum);
    }
    if maximum.is_some_and(|maximum| number > *maximum) {
        return Err(EntryFault::AboveMaximum);
    }
    Ok(())
}
