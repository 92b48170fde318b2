//! One person after normalisation: what the reader hands to the encoder.
//!
//! Everything in here is an identifier: `Debug` shows shapes only, never values.

use crate::wire::Payload;
use std::collections::BTreeMap;
use std::fmt;

/// Where a name stood in the extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameSource {
    /// The legal or main name.
    Main,
    /// A middle name.
    Middle,
    /// A known-as or preferred name.
    KnownAs,
    /// An alias (AKA), a former name.
    Alias,
}

/// One name as normalised: lowercase ASCII letters, parts of a hyphenated or spaced name apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The parts in order (`["smith", "jones"]`); at least one, none empty.
    pub parts: Vec<String>,
    /// Where it stood.
    pub source: NameSource,
}

impl Name {
    /// The parts run together (`smithjones`).
    #[must_use]
    pub fn whole(&self) -> String {
        self.parts.concat()
    }
}

/// A date of birth that exists in the calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BirthDate {
    /// Year, 1900 to 2199 (historical sets may configure an earlier start).
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day, 1 to 31.
    pub day: u8,
}

/// A date of birth as it is written that is no day of the calendar: a slip in one part (month 81, 30 February) or a
/// part nobody knew (day 00). Its other parts still tell, so it is compared like any date; as a salt only its
/// year counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlippedDate {
    /// Year, in the range of [`BirthDate`]; 0 where it is out of range.
    pub year: u16,
    /// Month as written, 0 to 99; 0 is not known.
    pub month: u8,
    /// Day as written, 0 to 99; 0 is not known.
    pub day: u8,
}

/// Sex as the field codes it; anything else is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
}

/// A UK postcode in its levels, upper case, without space.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Postcode {
    /// `L138BB`.
    pub full: String,
    /// `L138`.
    pub sector: String,
    /// `L13`.
    pub outward: String,
}

/// What the normaliser noticed about a record; guards of the decision read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// The date of birth is a default (01-01, 1900) or said to be estimated.
    pub default_date: bool,
    /// A name was a placeholder (Baby, Unknown, Twin 1) and counts as missing.
    pub placeholder_name: bool,
}

/// One record of an extract, normalised. Missing values are empty or `None`, never a sentinel.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// The agency's own id of the record; never leaves the agency in clear.
    pub local_id: String,
    /// Given names: main, known-as, aliases, then middle names; distinct.
    pub given: Vec<Name>,
    /// Family names: main, known-as, aliases; distinct.
    pub family: Vec<Name>,
    /// Date of birth.
    pub date_of_birth: Option<BirthDate>,
    /// What stands where a date of birth should, if that is no day of the calendar; none beside a date of birth.
    pub slipped_date: Option<SlippedDate>,
    /// Sex.
    pub sex: Option<Sex>,
    /// Postcode.
    pub postcode: Option<Postcode>,
    /// Address or street as normalised text (lowercase words and numbers, single spaces).
    pub address: Option<String>,
    /// NHS number, ten digits, checked.
    pub nhs_number: Option<String>,
    /// Unique pupil number, thirteen characters, checked.
    pub upn: Option<String>,
    /// Other attributes of the schema by field name (`birth_place`), normalised text.
    pub texts: BTreeMap<String, String>,
    /// What may travel in clear.
    pub payload: Payload,
    /// What was noticed.
    pub flags: Flags,
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({} parts, {:?})", self.parts.len(), self.source)
    }
}
impl fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BirthDate(..)")
    }
}
impl fmt::Debug for SlippedDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlippedDate(..)")
    }
}
impl fmt::Debug for Postcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Postcode(..)")
    }
}
impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Person({} given, {} family, ..)", self.given.len(), self.family.len())
    }
}
