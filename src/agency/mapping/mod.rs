//! Which column means what: an agency's column mapping, from TOML or from the headers themselves.
//!
//! May see: headers, formats, constants. Must not see: values of an extract, keys.
//!
//! ```toml
//! encoding = "windows-1252"            # or "utf-8" (the default)
//! delimiter = ";"                      # "," by default; "tab"
//! nulls = ["NULL", "-"]                # besides empty; a list here replaces the built-in one
//! postcodes = "uk"                     # or "any": postal codes of another country
//! oldest_year = 1900
//! reference_date = "2030-12-31"        # stands for today: old extracts, simulated data
//!
//! [columns]
//! record_id = "Adno"
//! given_name = "Legal Forename"
//! date_of_birth = { column = "DOB", format = "%d/%m/%Y" }
//! address = ["street_number", "street_name"]
//!
//! [text]
//! birth_place = "Place of birth"
//!
//! [constants]
//! record_type = "school-roll"
//! ```

mod aliases;
mod bind;
mod error;
mod file;

pub(super) use bind::{Column, Plan};
pub use error::MappingError;

use super::normalise::dates::DateFormat;
use crate::wire::Payload;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a column may mean. The order is that of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The agency's own id of the record; never leaves the agency in clear.
    RecordId,
    /// Given and family name in one: "Zoe Smith", "SMITH, Zoe".
    FullName,
    /// Given name; further words are middle names.
    GivenName,
    /// Middle names.
    MiddleNames,
    /// Preferred or known-as given name.
    KnownAsGiven,
    /// Family name.
    FamilyName,
    /// Preferred or known-as family name.
    KnownAsFamily,
    /// Also known as: given and family name.
    Alias,
    /// Date of birth.
    DateOfBirth,
    /// Whether the date of birth is an estimate.
    DateEstimated,
    /// Sex.
    Sex,
    /// Postcode.
    Postcode,
    /// Address or street, joined where it has several columns.
    Address,
    /// NHS number.
    NhsNumber,
    /// Unique pupil number.
    Upn,
    /// Payload: kind of record.
    RecordType,
    /// Payload: statistical area code.
    AreaCode,
    /// Payload: age band.
    AgeBand,
    /// Payload: month last active; with a format, a date.
    LastSeen,
    /// Payload: month of erasure; with a format, a date.
    Expiry,
    /// Payload: open, brokered or hidden.
    Visibility,
}

impl Field {
    /// The name in mappings and reports (`given_name`).
    #[must_use]
    pub fn name(self) -> String {
        self.to_string()
    }

    /// Whether several columns are joined with a space; else more than one is an error.
    #[must_use]
    pub const fn joins(self) -> bool {
        matches!(
            self,
            Self::Address | Self::MiddleNames | Self::GivenName | Self::FamilyName | Self::FullName
        )
    }

    const fn is_date(self) -> bool {
        matches!(self, Self::DateOfBirth | Self::LastSeen | Self::Expiry)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// How the bytes of an extract spell letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Encoding {
    /// UTF-8; anything else in the file is an error.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// Windows-1252 (older UK systems, Excel's plain CSV).
    #[serde(rename = "windows-1252")]
    Windows1252,
}

/// Which postcodes a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostcodeScheme {
    /// UK postcodes; anything else is missing and reported.
    #[default]
    Uk,
    /// Postal codes of any country: letters and digits, one of them a digit.
    Any,
}

/// The columns of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Headers, joined in this order.
    pub headers: Vec<String>,
    /// The date format, for fields that are dates.
    pub format: Option<DateFormat>,
}

/// Which column means what, and how its values are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// How letters are spelt in bytes.
    pub encoding: Encoding,
    /// The byte between fields.
    pub delimiter: u8,
    /// Values that are missing although they are not empty, compared exactly.
    pub nulls: Vec<String>,
    /// Which postcodes.
    pub postcodes: PostcodeScheme,
    /// Dates of birth before this year are refused.
    pub oldest_year: u16,
    /// Stands for today where the extract is old or simulated.
    pub reference_date: Option<Date>,
    /// Fields and their columns.
    pub columns: BTreeMap<Field, Source>,
    /// Other texts by name.
    pub texts: BTreeMap<String, Source>,
    /// Payload values that every record has.
    pub constants: Payload,
}

/// Values that are missing in most systems. "None", "Nan" and "Na" are people's names and not among them.
const NULLS: [&str; 14] =
    ["NULL", "null", "N/A", "n/a", "#N/A", "NaN", "\\N", "-", "--", ".", "?", "<NA>", "(null)", "[NULL]"];
/// The earliest year of birth where a mapping says nothing.
const OLDEST_YEAR: u16 = 1900;
/// The date format where headers alone decide: ISO 8601. Any other file is refused with advice.
const ISO_DATE: &str = "%Y-%m-%d";

impl Default for Mapping {
    fn default() -> Self {
        Self {
            encoding: Encoding::Utf8,
            delimiter: b',',
            nulls: NULLS.map(str::to_owned).to_vec(),
            postcodes: PostcodeScheme::Uk,
            oldest_year: OLDEST_YEAR,
            reference_date: None,
            columns: BTreeMap::new(),
            texts: BTreeMap::new(),
            constants: Payload::default(),
        }
    }
}

impl Mapping {
    /// Decides by the headers alone, from the built-in aliases; dates are taken for ISO 8601 (`%Y-%m-%d`).
    ///
    /// # Errors
    /// [`MappingError::Missing`] or [`MappingError::Ambiguous`] name the field; nothing is guessed.
    pub fn from_aliases(headers: &[String]) -> Result<Self, MappingError> {
        let mapping = Self::recognise(headers)?;
        mapping.check()?;
        Ok(mapping)
    }

    /// What the aliases recognise, needed fields or not.
    pub(super) fn recognise(headers: &[String]) -> Result<Self, MappingError> {
        bind::check_distinct(headers)?;
        let mut mapping = Self::default();
        let iso = DateFormat::new(ISO_DATE).ok();
        for (field, found) in aliases::recognise(headers)? {
            let format = iso.clone().filter(|_| field == Field::DateOfBirth);
            mapping.columns.insert(field, Source { headers: found, format });
        }
        for (name, header) in aliases::recognise_texts(headers) {
            mapping.texts.insert(name.to_owned(), Source { headers: vec![header], format: None });
        }
        Ok(mapping)
    }

    /// Whether the fields without which nothing can be linked have columns.
    pub(super) fn check(&self) -> Result<(), MappingError> {
        let has = |field| self.columns.contains_key(&field);
        let missing = |what: &str| Err(MappingError::Missing(what.to_owned()));
        if !has(Field::RecordId) {
            return missing("record_id");
        }
        if !(has(Field::FullName) || has(Field::GivenName) && has(Field::FamilyName)) {
            return missing("given_name and family_name (or full_name)");
        }
        if !has(Field::DateOfBirth) {
            return missing("date_of_birth");
        }
        Ok(())
    }
}
