//! One row of an extract as one person.
//!
//! May see: one row, the plan. Must not see: keys, other rows.

use super::ReadError;
use super::rows::Row;
use crate::agency::check::Rule;
use crate::agency::mapping::{Column, Encoding, Field, Plan, PostcodeScheme};
use crate::agency::normalise::dates::{self, BirthFault, DateFault};
use crate::agency::normalise::names::{Names, Seen};
use crate::agency::normalise::nhs_number::{self, NhsNumber};
use crate::agency::normalise::postcode::{self, PostcodeValue};
use crate::agency::normalise::sex::{self, SexCode};
use crate::agency::normalise::upn::{self, Upn};
use crate::agency::normalise::{payload, text};
use crate::agency::record::{BirthDate, NameSource, Person};
use crate::wire::{Month, Payload};
use std::borrow::Cow;
use std::sync::Arc;

/// Domain of the digests by which duplicate ids are found; they never leave memory.
const DUPLICATES_CONTEXT: &str = "blindlink 2026 duplicate local ids of one extract v1";

/// What became of a row.
pub(super) struct Outcome {
    pub(super) row: u64,
    pub(super) taken: Result<Taken, Refusal>,
    pub(super) findings: Vec<(Rule, Option<Arc<str>>)>,
    /// Bit k: the plan's field k has a usable value.
    pub(super) present: u64,
}

/// A person, and the digest by which its id is found again.
pub(super) type Taken = (Person, [u8; 16]);

/// Why a row is not taken.
pub(super) enum Refusal {
    Rejected { rule: Rule, column: Option<Arc<str>> },
    NotUtf8 { column: usize },
    Blank,
}

/// A row's text and where its fields end.
pub(super) struct RowText<'a> {
    text: Cow<'a, str>,
    ends: Cow<'a, [usize]>,
}

impl RowText<'_> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn field(&self, at: usize) -> Option<&str> {
        let start = if at == 0 { 0 } else { *self.ends.get(at - 1)? };
        self.text.get(start..*self.ends.get(at)?)
    }
}

/// Decodes a row.
pub(super) fn decode(row: Row<'_>, encoding: Encoding) -> Result<RowText<'_>, ReadError> {
    if encoding == Encoding::Windows1252 && !row.bytes.is_ascii() {
        let (mut text, mut ends) =
            (String::with_capacity(row.bytes.len() + 8), Vec::with_capacity(row.ends.len()));
        for field in row.fields() {
            text.push_str(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(field).0);
            ends.push(text.len());
        }
        return Ok(RowText { text: text.into(), ends: ends.into() });
    }
    let whole = std::str::from_utf8(row.bytes).ok();
    // Fields that are broken each can make up valid text together.
    let whole =
        whole.filter(|text| text.is_ascii() || row.ends.iter().all(|&end| text.is_char_boundary(end)));
    match whole {
        Some(text) => Ok(RowText { text: text.into(), ends: row.ends.into() }),
        None => {
            let column = row.fields().position(|field| std::str::from_utf8(field).is_err()).unwrap_or(0) + 1;
            Err(ReadError::NotUtf8 { row: row.number, column })
        }
    }
}

/// A field's value: trimmed, columns joined with a space; `None` when empty or a literal null.
pub(super) fn value<'a>(plan: &Plan, text: &'a RowText<'_>, column: &Column) -> Option<Cow<'a, str>> {
    Plan::join(&plan.nulls, &column.at, |at| text.field(at))
}

/// Reads one row.
pub(super) fn read(plan: &Plan, row: Row<'_>) -> Outcome {
    let mut reading = Reading { plan, findings: Vec::new(), present: 0 };
    let taken = reading.take(row);
    Outcome { row: row.number, taken, findings: reading.findings, present: reading.present }
}

struct Reading<'a> {
    plan: &'a Plan,
    findings: Vec<(Rule, Option<Arc<str>>)>,
    present: u64,
}

impl Reading<'_> {
    fn take(&mut self, row: Row<'_>) -> Result<Taken, Refusal> {
        let plan = self.plan;
        let reject = |rule, column| Err(Refusal::Rejected { rule, column });
        if row.unterminated {
            return reject(Rule::UnterminatedQuote, None);
        }
        if row.bytes.contains(&0) {
            let at = row.fields().position(|field| field.contains(&0));
            return reject(Rule::NulByte, at.and_then(|at| plan.headers.get(at)).map(Arc::clone));
        }
        if row.bytes.iter().all(|byte| *byte == b' ') {
            return Err(Refusal::Blank);
        }
        // A delimiter at the end of every row is common and harmless; anything else shifts columns.
        let used = row.ends.len().min(plan.width);
        let extra = if used == 0 { 0 } else { row.ends[used - 1] };
        if row.ends.len() < plan.width || extra != row.bytes.len() {
            return reject(Rule::RaggedRow, None);
        }
        let text = match decode(row, plan.encoding) {
            Ok(text) => text,
            Err(ReadError::NotUtf8 { column, .. }) => return Err(Refusal::NotUtf8 { column }),
            Err(_) => return reject(Rule::RaggedRow, None),
        };
        let id = plan.field(Field::RecordId);
        let Some(local_id) = id.and_then(|column| value(plan, &text, column)) else {
            return reject(Rule::MissingId, id.map(|column| Arc::clone(&column.header)));
        };
        self.found(id);
        let mut person = Person { local_id: local_id.into_owned(), ..Person::default() };
        self.names(&text, &mut person);
        self.birth(&text, &mut person);
        self.codes(&text, &mut person);
        self.places(&text, &mut person);
        person.payload = self.payload(&text)?;
        let dated = person.date_of_birth.is_some() || person.slipped_date.is_some();
        if person.given.is_empty() && person.family.is_empty() && !dated {
            return reject(Rule::NothingToLink, None);
        }
        let digest = duplicate_digest(&person.local_id);
        Ok((person, digest))
    }

    fn found(&mut self, column: Option<&Column>) {
        if let Some(column) = column {
            self.present |= 1u64.checked_shl(u32::try_from(column.counter).unwrap_or(64)).unwrap_or(0);
        }
    }

    fn note(&mut self, rule: Rule, column: &Column) {
        self.findings.push((rule, Some(Arc::clone(&column.header))));
    }

    fn names(&mut self, text: &RowText<'_>, person: &mut Person) {
        type Add = fn(&mut Names, &str) -> Seen;
        const FIELDS: [(Field, Add); 7] = [
            (Field::GivenName, |names, value| names.add_given(value, NameSource::Main)),
            (Field::KnownAsGiven, |names, value| names.add_given(value, NameSource::KnownAs)),
            (Field::MiddleNames, |names, value| names.add_given(value, NameSource::Middle)),
            (Field::FamilyName, |names, value| names.add_family(value, NameSource::Main)),
            (Field::KnownAsFamily, |names, value| names.add_family(value, NameSource::KnownAs)),
            (Field::FullName, |names, value| names.add_full(value)),
            (Field::Alias, |names, value| names.add_alias(value)),
        ];
        let plan = self.plan;
        let mut names = Names::default();
        let mut placeholder = false;
        for (field, add) in FIELDS {
            let Some(column) = plan.field(field) else { continue };
            let Some(value) = value(plan, text, column) else { continue };
            let seen = add(&mut names, &value);
            if matches!(seen, Seen::Name | Seen::NameAndPlaceholder) {
                self.found(Some(column));
            }
            match seen {
                Seen::Name | Seen::TitleOnly => {}
                Seen::Unreadable => self.note(Rule::NameUnreadable, column),
                Seen::Placeholder | Seen::NameAndPlaceholder => {
                    self.note(Rule::NamePlaceholder, column);
                    placeholder |= field != Field::MiddleNames;
                }
            }
        }
        (person.given, person.family) = names.finish();
        // A placeholder beside a full set of names ("Katie", known as "Twin 1") casts no doubt on them.
        person.flags.placeholder_name = placeholder && (person.given.is_empty() || person.family.is_empty());
    }

    fn birth(&mut self, text: &RowText<'_>, person: &mut Person) {
        let plan = self.plan;
        if let Some(column) = plan.field(Field::DateOfBirth)
            && let Some(value) = value(plan, text, column)
        {
            match self.birth_date(&value, column) {
                Ok(date) => {
                    person.date_of_birth = Some(date);
                    self.found(Some(column));
                    if dates::is_default(date) {
                        person.flags.default_date = true;
                        self.note(Rule::DateDefault, column);
                    }
                }
                Err(rule) => {
                    if rule == Rule::DateImpossible {
                        self.slipped(&value, column, person);
                    }
                    self.note(rule, column);
                }
            }
        }
        if let Some(column) = plan.field(Field::DateEstimated)
            && let Some(value) = value(plan, text, column)
        {
            match dates::estimated(&value) {
                Some(true) => {
                    person.flags.default_date = true;
                    self.note(Rule::DateEstimated, column);
                }
                Some(false) => {}
                None => self.note(Rule::EstimatedUnclear, column),
            }
            self.found(Some(column));
        }
    }

    /// A date that no calendar has still tells what its other parts do; one with a part of 00 is a guess.
    fn slipped(&self, value: &str, column: &Column, person: &mut Person) {
        let digits = column.format.as_ref().and_then(|format| format.digits(value));
        let slipped = digits.and_then(|parts| dates::slipped(parts, self.plan.today, self.plan.oldest_year));
        person.flags.default_date |= slipped.is_some_and(|date| date.month == 0 || date.day == 0);
        person.slipped_date = slipped;
    }

    fn birth_date(&self, value: &str, column: &Column) -> Result<BirthDate, Rule> {
        let format = column.format.as_ref().ok_or(Rule::DateFormat)?;
        let date = format.parse(value).map_err(|fault| match fault {
            DateFault::Format => Rule::DateFormat,
            DateFault::Impossible => Rule::DateImpossible,
        })?;
        dates::birth_date(date, self.plan.today, self.plan.oldest_year).map_err(|fault| match fault {
            BirthFault::Future => Rule::DateFuture,
            BirthFault::TooOld => Rule::DateTooOld,
        })
    }

    fn codes(&mut self, text: &RowText<'_>, person: &mut Person) {
        let plan = self.plan;
        let given = |field| {
            let column = plan.field(field)?;
            Some((column, value(plan, text, column)?))
        };
        if let Some((column, value)) = given(Field::Sex) {
            match sex::parse(&value) {
                SexCode::Known(sex) => {
                    person.sex = Some(sex);
                    self.found(Some(column));
                }
                SexCode::NotKnown => {}
                SexCode::Unrecognised => self.note(Rule::SexUnknownCode, column),
            }
        }
        if let Some((column, value)) = given(Field::NhsNumber) {
            match nhs_number::parse(&value) {
                NhsNumber::Valid(number) => {
                    person.nhs_number = Some(number);
                    self.found(Some(column));
                }
                NhsNumber::Repeated => self.note(Rule::NhsNumberRepeated, column),
                NhsNumber::Invalid => self.note(Rule::NhsNumberInvalid, column),
            }
        }
        if let Some((column, value)) = given(Field::Upn) {
            match upn::parse(&value) {
                Upn::Valid(number) => {
                    person.upn = Some(number);
                    self.found(Some(column));
                }
                Upn::Temporary => self.note(Rule::UpnTemporary, column),
                Upn::NotIssued => self.note(Rule::UpnNotIssued, column),
                Upn::Invalid => self.note(Rule::UpnInvalid, column),
            }
        }
    }

    fn places(&mut self, text: &RowText<'_>, person: &mut Person) {
        let plan = self.plan;
        if let Some(column) = plan.field(Field::Postcode)
            && let Some(value) = value(plan, text, column)
        {
            let parsed = match plan.postcodes {
                PostcodeScheme::Uk => postcode::parse_uk(&value),
                PostcodeScheme::Any => postcode::parse_any(&value),
            };
            match parsed {
                PostcodeValue::Full(postcode) => {
                    person.postcode = Some(postcode);
                    self.found(Some(column));
                }
                PostcodeValue::Pseudo => self.note(Rule::PostcodePseudo, column),
                PostcodeValue::Invalid => self.note(Rule::PostcodeInvalid, column),
            }
        }
        if let Some(column) = plan.field(Field::Address)
            && let Some(value) = value(plan, text, column)
        {
            person.address = text::words(&value);
            self.found(person.address.as_ref().map(|_| column));
        }
        for (name, column) in &plan.texts {
            let words = value(plan, text, column).and_then(|value| text::words(&value));
            if let Some(words) = words {
                person.texts.insert(name.clone(), words);
                self.found(Some(column));
            }
        }
    }

    fn payload(&mut self, text: &RowText<'_>) -> Result<Payload, Refusal> {
        let plan = self.plan;
        let mut payload = plan.constants;
        let short = |value: &str, _: &Column| payload::short_text(value).ok();
        self.read_payload(text, Field::RecordType, &mut payload.record_type, short);
        self.read_payload(text, Field::AreaCode, &mut payload.area_code, short);
        self.read_payload(text, Field::AgeBand, &mut payload.age_band, short);
        self.read_payload(text, Field::LastSeen, &mut payload.last_seen, month);
        self.read_payload(text, Field::Expiry, &mut payload.expiry, month);
        if let Some(column) = plan.field(Field::Visibility)
            && let Some(value) = value(plan, text, column)
        {
            payload.visibility = payload::visibility(&value);
            if payload.visibility.is_none() {
                let column = Some(Arc::clone(&column.header));
                return Err(Refusal::Rejected { rule: Rule::VisibilityUnknown, column });
            }
            self.found(Some(column));
        }
        Ok(payload)
    }

    fn read_payload<T>(
        &mut self,
        text: &RowText<'_>,
        field: Field,
        into: &mut Option<T>,
        parse: impl Fn(&str, &Column) -> Option<T>,
    ) {
        let Some(column) = self.plan.field(field) else { return };
        let Some(value) = value(self.plan, text, column) else { return };
        match parse(&value, column) {
            Some(value) => {
                *into = Some(value);
                self.found(Some(column));
            }
            None => self.note(Rule::PayloadInvalid, column),
        }
    }
}

/// A month: a date in the column's format, else `YYYY-MM`.
fn month(value: &str, column: &Column) -> Option<Month> {
    match &column.format {
        Some(format) => {
            let date = format.parse(value).ok()?;
            let (year, month) = (u32::try_from(date.year()).ok()?, u32::try_from(date.month()).ok()?);
            Month::try_from(year * 100 + month).ok()
        }
        None => payload::month(value).ok(),
    }
}

fn duplicate_digest(local_id: &str) -> [u8; 16] {
    static KEY: std::sync::LazyLock<[u8; 32]> =
        std::sync::LazyLock::new(|| blake3::derive_key(DUPLICATES_CONTEXT, b""));
    let digest = blake3::keyed_hash(&KEY, local_id.as_bytes());
    let mut short = [0; 16];
    short.copy_from_slice(&digest.as_bytes()[..16]);
    short
}
