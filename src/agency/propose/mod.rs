//! Proposes a column mapping from an extract's headers and values, for a person to read and correct.
//!
//! May see: the first megabytes of an extract. Must not see: keys, the clock (today is an argument). Headers
//! decide what a column means, values decide how it is written; what is not certain is refused, with how to
//! decide. Notes and errors carry headers, formats and counts, never a value.

mod dates;

pub use dates::{DateChoice, date_format};

use super::mapping::{Encoding, Field, Mapping, MappingError, PostcodeScheme, Source};
use super::normalise::postcode::{self, PostcodeValue};
use super::normalise::{nhs_number, upn};
use super::reader::{ReadError, Sample};
use jiff::civil::Date;
use std::collections::HashSet;
use std::io::Read;

/// Bytes of an extract that are looked at.
const SAMPLE_BYTES_MAX: u64 = 8 << 20;

/// A mapping to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The mapping.
    pub mapping: Mapping,
    /// What was decided from the values, and why, one sentence each.
    pub notes: Vec<String>,
}

/// Why no mapping is proposed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The headers do not say enough.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The date format is not certain.
    #[error(
        "column '{column}': {choice}; then write {field} = {{ column = \"{column}\", format = \"...\" }} in the mapping's [columns]"
    )]
    Date {
        /// The header.
        column: String,
        /// The field.
        field: Field,
        /// What was found.
        choice: DateChoice,
    },
}

impl Proposal {
    /// The mapping as TOML, the notes as comments above it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text: String = self.notes.iter().map(|note| format!("# {note}\n")).collect();
        text.push_str(&self.mapping.to_toml());
        text
    }
}

/// Proposes a mapping.
///
/// # Errors
/// [`ProposeError`] says what is not certain and how to decide it.
pub fn propose<R: Read>(input: R, today: Date) -> Result<Proposal, ProposeError> {
    let sample = Sample::read(input, SAMPLE_BYTES_MAX)?;
    let mut mapping = Mapping::recognise(&sample.headers)?;
    let mut notes = Vec::new();
    mapping.delimiter = sample.delimiter;
    mapping.encoding = sample.encoding;
    if mapping.encoding == Encoding::Windows1252 {
        notes.push(
            "The file is not UTF-8: it is read as Windows-1252. Check a name with an accent.".to_owned(),
        );
    }
    propose_id(&mut mapping, &sample, &mut notes);
    mapping.check()?;
    for field in [Field::DateOfBirth, Field::LastSeen, Field::Expiry] {
        propose_date(field, &mut mapping, &sample, today, &mut notes)?;
    }
    propose_postcodes(&mut mapping, &sample, &mut notes);
    Ok(Proposal { mapping, notes })
}

/// Where no header names an id, a number that every row has and no two rows share.
fn propose_id(mapping: &mut Mapping, sample: &Sample, notes: &mut Vec<String>) {
    if mapping.columns.contains_key(&Field::RecordId) {
        return;
    }
    type Check = fn(&str) -> bool;
    let valid: [(Field, Check); 2] = [
        (Field::NhsNumber, |value| matches!(nhs_number::parse(value), nhs_number::NhsNumber::Valid(_))),
        (Field::Upn, |value| matches!(upn::parse(value), upn::Upn::Valid(_))),
    ];
    for (field, is_valid) in valid {
        let Some(source) = mapping.columns.get(&field) else { continue };
        let values = sample.values(mapping, source);
        let distinct: HashSet<&str> = values.iter().map(String::as_str).collect();
        if !values.is_empty()
            && values.len() == sample.rows()
            && distinct.len() == values.len()
            && values.iter().all(|v| is_valid(v))
        {
            let source = source.clone();
            notes.push(format!(
                "No column is a record id. '{}' is in every row and never twice: it serves as the id.",
                source.headers[0]
            ));
            mapping.columns.insert(Field::RecordId, source);
            return;
        }
    }
}

/// The date format of a field; for the date of birth also the oldest year and the reference date.
fn propose_date(
    field: Field,
    mapping: &mut Mapping,
    sample: &Sample,
    today: Date,
    notes: &mut Vec<String>,
) -> Result<(), ProposeError> {
    let Some(source) = mapping.columns.get(&field).cloned() else { return Ok(()) };
    let values = sample.values(mapping, &source);
    let column = source.headers[0].clone();
    let is_birth = field == Field::DateOfBirth;
    if !is_birth && (values.is_empty() || values.iter().all(|value| value.len() == 7)) {
        return Ok(());
    }
    let format = date_format(values.iter().map(String::as_str));
    let format = format.map_err(|choice| ProposeError::Date { column: column.clone(), field, choice })?;
    let read: Vec<Date> = values.iter().filter_map(|value| dates::reads(&format, value)).collect();
    notes.push(format!(
        "'{column}': {} of {} values are dates in the format {} and no other format fits.",
        read.len(),
        values.len(),
        format.as_str()
    ));
    mapping.columns.insert(field, Source { headers: source.headers, format: Some(format) });
    if is_birth {
        propose_years(&read, mapping, today, notes);
    }
    Ok(())
}

fn propose_years(read: &[Date], mapping: &mut Mapping, today: Date, notes: &mut Vec<String>) {
    let share = |some: &dyn Fn(&Date) -> bool| read.iter().filter(|date| some(date)).count();
    let old = share(&|date| date.year() < 1900);
    if old * 100 > read.len() {
        mapping.oldest_year = 1000;
        notes.push(format!("{old} dates are before 1900: oldest_year is set to 1000."));
    }
    let future = share(&|date| *date > today);
    if future * 100 > read.len() {
        let mut years: Vec<i16> = read.iter().map(|date| date.year()).collect();
        years.sort_unstable_by_key(|&year| std::cmp::Reverse(year));
        // The latest year but for one date in two hundred: slips of the pen lie further out.
        if let Some(date) = years.get(read.len() / 200).and_then(|&year| Date::new(year, 12, 31).ok()) {
            mapping.reference_date = Some(date);
            notes.push(format!("{future} dates are after today: {date} stands for today. Simulated data?"));
        }
    }
}

/// UK postcodes unless most values are none.
fn propose_postcodes(mapping: &mut Mapping, sample: &Sample, notes: &mut Vec<String>) {
    let Some(source) = mapping.columns.get(&Field::Postcode) else { return };
    let values = sample.values(mapping, source);
    let column = source.headers[0].clone();
    let uk = values.iter().filter(|value| postcode::parse_uk(value) != PostcodeValue::Invalid).count();
    if values.is_empty() || uk * 2 >= values.len() {
        return;
    }
    mapping.postcodes = PostcodeScheme::Any;
    notes.push(format!(
        "'{column}': {uk} of {} values are UK postcodes: postal codes of any country are taken.",
        values.len()
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use std::path::PathBuf;

    fn proposed(text: &str) -> Result<Proposal, ProposeError> {
        propose(text.as_bytes(), date(2026, 3, 14))
    }

    #[test]
    fn proposes_what_the_hand_made_mappings_say() {
        for name in ["school_mis", "social_care", "child_health", "police"] {
            let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/dirty_extracts").join(name);
            let file = std::fs::File::open(path.with_extension("csv")).unwrap();
            let proposal = propose(file, date(2026, 3, 14)).unwrap();
            let mut by_hand =
                Mapping::from_toml(&std::fs::read_to_string(path.with_extension("toml")).unwrap()).unwrap();
            // What travels in clear is never proposed.
            by_hand.constants = Default::default();
            by_hand.columns.remove(&Field::AreaCode);
            assert_eq!(proposal.mapping, by_hand, "{name}");
            assert_eq!(Mapping::from_toml(&proposal.to_toml()), Ok(proposal.mapping), "{name}");
        }
    }

    #[test]
    fn refuses_what_is_not_certain() {
        let text = "id,forename,surname,dob\n1,a,b,01/02/2010\n2,c,d,03/04/2011\n3,e,f,05/06/2012\n";
        let message = proposed(text).unwrap_err().to_string();
        assert!(message.contains("'dob'") && message.contains("%m/%d/%Y"), "{message}");
        let text = "forename,surname,dob\na,b,13/02/2010\n";
        assert_eq!(
            proposed(text).unwrap_err().to_string(),
            "no column for record_id: name it in the mapping's [columns]"
        );
        let text = "id,surname,dob\n1,b,13/02/2010\n";
        assert!(proposed(text).unwrap_err().to_string().starts_with("no column for given_name"));
        assert_eq!(proposed("id,forename\n"), Err(ProposeError::Read(ReadError::HeaderOnly)));
    }

    #[test]
    fn delimiter_encoding_years_and_foreign_postcodes() {
        let mut bytes = b"id;Forename;Surname;D.O.B.;Post-code\n".to_vec();
        for day in 1..29 {
            let year = if day < 27 { 1850 + day } else { 2040 };
            bytes.extend(
                format!("{day};Zo\u{40};M;{day:02}.03.{year};31{day:02}\n")
                    .bytes()
                    .map(|b| if b == b'@' { 0xeb } else { b }),
            );
        }
        let proposal = propose(bytes.as_slice(), date(2026, 3, 14)).unwrap();
        let mapping = &proposal.mapping;
        assert_eq!((mapping.delimiter, mapping.encoding), (b';', Encoding::Windows1252));
        assert_eq!((mapping.oldest_year, mapping.reference_date), (1000, Some(date(2040, 12, 31))));
        assert_eq!(mapping.postcodes, PostcodeScheme::Any);
        assert_eq!(mapping.columns[&Field::DateOfBirth].format.as_ref().unwrap().as_str(), "%d.%m.%Y");
        assert_eq!(Mapping::from_toml(&proposal.to_toml()).as_ref(), Ok(mapping));
        // No value in what is shown.
        assert!(!proposal.to_toml().contains("1851"));
    }
}
