//! What was found in an extract: counts per rule and field, never a value, and whether it is safe to send.
//!
//! May see: rules, row numbers, column headers, counts. Must not see: values of an extract.

use super::selftest::EncodingTests;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Row numbers kept per rule and column.
pub const ROWS_KEPT: usize = 20;
/// Rejected rows that make an extract unsafe to send, in per mille of its rows.
const REJECTED_PER_MILLE: u64 = 10;
/// Unusable dates of birth (wrong format, impossible, future) that do, in per mille of those given.
const BAD_DATES_PER_MILLE: u64 = 100;
/// Wrong check digits or letters that do, in per mille of the numbers given.
const BAD_NUMBERS_PER_MILLE: u64 = 100;
/// Missing names or dates of birth that do, in per mille of the rows.
const MISSING_PER_MILLE: u64 = 200;
/// Fewer cases than this never make an extract unsafe unless they are a tenth (rows) or most (values) of it.
const CASES_MIN: u64 = 10;

/// What can be wrong with, or notable about, a row or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// More or fewer fields than the header.
    RaggedRow,
    /// A quotation mark that is never closed.
    UnterminatedQuote,
    /// A NUL byte.
    NulByte,
    /// No local id.
    MissingId,
    /// A local id that an earlier row has.
    DuplicateId,
    /// No name and no date of birth.
    NothingToLink,
    /// A visibility that is none of open, brokered, hidden: the row must not be shown by mistake.
    VisibilityUnknown,
    /// A date that does not look like the column's format.
    DateFormat,
    /// A date that is no day of the calendar.
    DateImpossible,
    /// A date of birth after today.
    DateFuture,
    /// A date of birth before the oldest year allowed.
    DateTooOld,
    /// A value of the estimated-date column that says neither yes nor no.
    EstimatedUnclear,
    /// A name in letters that have no Latin spelling here.
    NameUnreadable,
    /// A sex code of no known list.
    SexUnknownCode,
    /// Not a full UK postcode.
    PostcodeInvalid,
    /// An NHS number whose check digit is wrong, or not ten digits.
    NhsNumberInvalid,
    /// A UPN whose check letter is wrong, or not of the form.
    UpnInvalid,
    /// A payload value that may not travel.
    PayloadInvalid,
    /// A name that is a placeholder (Baby, Unknown, Twin 1).
    NamePlaceholder,
    /// A default date (1 January, any day of 1900).
    DateDefault,
    /// A date of birth said to be estimated.
    DateEstimated,
    /// A pseudo postcode (ZZ99).
    PostcodePseudo,
    /// One digit ten times over.
    NhsNumberRepeated,
    /// UN1 to UN5.
    UpnNotIssued,
    /// A temporary UPN.
    UpnTemporary,
}

/// How much a rule weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The row is not taken.
    Row,
    /// The value counts as missing.
    Value,
    /// Noted, nothing is wrong with the file.
    Note,
}

impl Rule {
    /// How much it weighs.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::RaggedRow
            | Self::UnterminatedQuote
            | Self::NulByte
            | Self::MissingId
            | Self::DuplicateId
            | Self::NothingToLink
            | Self::VisibilityUnknown => Severity::Row,
            Self::DateFormat
            | Self::DateImpossible
            | Self::DateFuture
            | Self::DateTooOld
            | Self::EstimatedUnclear
            | Self::NameUnreadable
            | Self::SexUnknownCode
            | Self::PostcodeInvalid
            | Self::NhsNumberInvalid
            | Self::UpnInvalid
            | Self::PayloadInvalid => Severity::Value,
            Self::NamePlaceholder
            | Self::DateDefault
            | Self::DateEstimated
            | Self::PostcodePseudo
            | Self::NhsNumberRepeated
            | Self::UpnNotIssued
            | Self::UpnTemporary => Severity::Note,
        }
    }

    /// What happened and what to do, in one line.
    #[must_use]
    pub const fn explain(self) -> &'static str {
        match self {
            Self::RaggedRow => {
                "more or fewer fields than the header: look for an unquoted comma or a line break"
            }
            Self::UnterminatedQuote => "a quotation mark is never closed: export the file again",
            Self::NulByte => "a NUL byte: the file is damaged or UTF-16; export it again as UTF-8",
            Self::MissingId => "no record id: every row needs the agency's own id",
            Self::DuplicateId => "an earlier row has the same record id: send one row per record",
            Self::NothingToLink => "no name and no date of birth: nothing can be linked",
            Self::VisibilityUnknown => "the visibility is none of open, brokered, hidden",
            Self::DateFormat => "not in the date format of the mapping: correct the value or the format",
            Self::DateImpossible => {
                "no such day: its parts are compared as they stand; correct it at the source"
            }
            Self::DateFuture => "a date of birth after today: correct it at the source",
            Self::DateTooOld => "a date of birth before the oldest year: correct it, or set oldest_year",
            Self::EstimatedUnclear => "neither yes nor no: use Y or N",
            Self::NameUnreadable => "no Latin letters: add the name as spelt in Latin letters",
            Self::SexUnknownCode => "not a known code: use F, M, 1, 2, Female, Male or leave it empty",
            Self::PostcodeInvalid => "not a full UK postcode: correct it, or set postcodes = \"any\"",
            Self::NhsNumberInvalid => {
                "not an NHS number (the check digit is wrong): correct it at the source"
            }
            Self::UpnInvalid => "not a UPN (the check letter is wrong): correct it at the source",
            Self::PayloadInvalid => {
                "not a value that may travel: at most 24 letters, digits, - + _, or a month"
            }
            Self::NamePlaceholder => "a placeholder stands for a name: counts as missing",
            Self::DateDefault => "a default date (1 January, 1900): linked with caution",
            Self::DateEstimated => "said to be estimated: linked with caution",
            Self::PostcodePseudo => "a code for no fixed abode or unknown: counts as missing",
            Self::NhsNumberRepeated => "one digit repeated: counts as missing",
            Self::UpnNotIssued => "a code for no UPN: counts as missing",
            Self::UpnTemporary => "a temporary UPN: counts as missing",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One thing found: where and what, never the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The record of the file, the header being 1 (as a spreadsheet counts rows).
    pub row: u64,
    /// The column's header; none when the row as a whole is meant.
    pub column: Option<Arc<str>>,
    /// What.
    pub rule: Rule,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.row)?;
        if let Some(column) = &self.column {
            write!(f, ", column '{column}'")?;
        }
        write!(f, ": {}", self.rule.explain())
    }
}

/// How often a field was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldCount {
    /// The field (`given_name`, `text.birth_place`).
    pub field: String,
    /// The columns it is read from.
    pub columns: Vec<String>,
    /// Rows with a usable value.
    pub present: u64,
    /// Rows without.
    pub missing: u64,
}

/// How often a rule met a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCount {
    /// The rule.
    pub rule: Rule,
    /// How much it weighs.
    pub severity: Severity,
    /// The column's header, where the rule is about one.
    pub column: Option<String>,
    /// Cases.
    pub count: u64,
    /// The first rows, at most [`ROWS_KEPT`].
    pub first_rows: Vec<u64>,
}

/// The report of one extract, in counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Records after the header, blank ones apart.
    pub rows: u64,
    /// Rows of empty fields only; ignored.
    pub blank_rows: u64,
    /// Rows taken.
    pub accepted: u64,
    /// Rows not taken.
    pub rejected: u64,
    /// Each mapped field.
    pub fields: Vec<FieldCount>,
    /// Each rule that was met, the gravest first.
    pub rules: Vec<RuleCount>,
    /// Columns of the file that are not read: they do not leave the agency.
    pub unused_columns: Vec<String>,
    /// What the encodings made of it say of themselves, where they were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encodings: Option<EncodingTests>,
    /// Whether the extract may be sent.
    pub safe_to_send: bool,
    /// Why or why not.
    pub because: Vec<String>,
}

impl Report {
    /// Cases of a rule over all columns.
    #[must_use]
    pub fn count(&self, rule: Rule) -> u64 {
        self.rules.iter().filter(|counted| counted.rule == rule).map(|counted| counted.count).sum()
    }

    /// The closing line: `safe to send: yes, because ...`.
    #[must_use]
    pub fn closing_line(&self) -> String {
        let word = if self.safe_to_send { "yes" } else { "no" };
        format!("safe to send: {word}, because {}", self.because.join("; "))
    }
}

/// By weight, then rule, then column: the order of reports.
type Key = (Severity, Rule, Option<Arc<str>>);

/// Counts while an extract is read; [`Tally::report`] at any time.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) blank_rows: u64,
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    /// Usable values by field of the plan.
    pub(super) present: Vec<u64>,
    rules: BTreeMap<Key, (u64, Vec<u64>)>,
}

/// A field of the reader's plan: its name, its columns, and whether many missing values are alarming.
#[derive(Debug, Clone)]
pub(super) struct FieldName {
    pub(super) field: String,
    pub(super) columns: Vec<String>,
    pub(super) needed: bool,
}

impl Tally {
    /// Counts for this many fields.
    pub(super) fn new(fields: usize) -> Self {
        Self { present: vec![0; fields], ..Self::default() }
    }

    pub(super) fn add(&mut self, row: u64, column: Option<Arc<str>>, rule: Rule) {
        let (count, rows) = self.rules.entry((rule.severity(), rule, column)).or_default();
        *count += 1;
        if rows.len() < ROWS_KEPT && rows.last() != Some(&row) {
            rows.push(row);
        }
    }

    pub(super) fn report(&self, fields: &[FieldName], unused_columns: Vec<String>) -> Report {
        let fields_counted = fields.iter().enumerate().map(|(at, field)| {
            let present = self.present.get(at).copied().unwrap_or(0);
            let missing = self.accepted.saturating_sub(present);
            FieldCount { field: field.field.clone(), columns: field.columns.clone(), present, missing }
        });
        let rules = self.rules.iter().map(|((severity, rule, column), (count, first_rows))| RuleCount {
            rule: *rule,
            severity: *severity,
            column: column.as_ref().map(ToString::to_string),
            count: *count,
            first_rows: first_rows.clone(),
        });
        let mut report = Report {
            rows: self.rows,
            blank_rows: self.blank_rows,
            accepted: self.accepted,
            rejected: self.rejected,
            fields: fields_counted.collect(),
            rules: rules.collect(),
            unused_columns,
            encodings: None,
            safe_to_send: false,
            because: Vec::new(),
        };
        let against = objections(&report, fields);
        report.safe_to_send = against.is_empty();
        report.because = if report.safe_to_send {
            vec![format!(
                "{} of {} rows can be taken and no rule was broken too often",
                self.accepted, self.rows
            )]
        } else {
            against
        };
        report
    }
}

/// What speaks against sending, in words and counts.
fn objections(report: &Report, fields: &[FieldName]) -> Vec<String> {
    let mut against = Vec::new();
    let percent = |per_mille: u64| per_mille / 10;
    if report.accepted == 0 {
        against.push(format!("none of the {} rows can be taken", report.rows));
        return against;
    }
    let often = |cases: u64, of: u64, per_mille: u64, small: u64| {
        cases * 1000 > of * per_mille && (cases >= CASES_MIN || cases * small >= of)
    };
    if often(report.rejected, report.rows, REJECTED_PER_MILLE, 10) {
        let (rejected, rows) = (report.rejected, report.rows);
        let limit = percent(REJECTED_PER_MILLE);
        against.push(format!("{rejected} of {rows} rows cannot be taken (more than {limit} %)"));
    }
    for (counted, field) in report.fields.iter().zip(fields) {
        let sum = |rules: &[Rule]| rules.iter().map(|&rule| report.count(rule)).sum::<u64>();
        let (bad, what, per_mille) = match field.field.as_str() {
            "date_of_birth" => {
                let rules = [Rule::DateFormat, Rule::DateImpossible, Rule::DateFuture, Rule::DateTooOld];
                (sum(&rules), "dates of birth", BAD_DATES_PER_MILLE)
            }
            "nhs_number" => (sum(&[Rule::NhsNumberInvalid]), "NHS numbers", BAD_NUMBERS_PER_MILLE),
            "upn" => (sum(&[Rule::UpnInvalid]), "UPNs", BAD_NUMBERS_PER_MILLE),
            _ => (0, "", 0),
        };
        let given = counted.present + bad;
        if bad > 0 && often(bad, given, per_mille, 2) {
            let limit = percent(per_mille);
            against.push(format!("{bad} of {given} {what} cannot be used (more than {limit} %)"));
        }
        let missing = counted.missing.saturating_sub(bad);
        if field.needed && often(missing, report.accepted, MISSING_PER_MILLE, 2) {
            let (name, of, limit) = (&counted.field, report.accepted, percent(MISSING_PER_MILLE));
            against.push(format!("{name} is missing in {missing} of {of} rows (more than {limit} %)"));
        }
    }
    against
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<FieldName> {
        let field = |name: &str, needed| FieldName { field: name.into(), columns: vec![name.into()], needed };
        vec![field("given_name", true), field("date_of_birth", true), field("upn", false)]
    }

    fn tally(rows: u64, rejected: u64, present: [u64; 3]) -> Tally {
        let accepted = rows - rejected;
        Tally { rows, rejected, accepted, present: present.to_vec(), ..Tally::default() }
    }

    #[test]
    fn a_clean_extract_is_safe() {
        let report = tally(1000, 10, [980, 970, 100]).report(&fields(), Vec::new());
        assert_eq!(
            report.closing_line(),
            "safe to send: yes, because 990 of 1000 rows can be taken and no rule was broken too often"
        );
        assert_eq!(report.fields[0].missing, 10);
    }

    #[test]
    fn each_objection_is_named() {
        let line = |tally: &Tally| tally.report(&fields(), Vec::new()).closing_line();
        assert_eq!(
            line(&tally(5, 5, [0, 0, 0])),
            "safe to send: no, because none of the 5 rows can be taken"
        );
        let rejected = line(&tally(1000, 11, [989, 989, 0]));
        assert_eq!(rejected, "safe to send: no, because 11 of 1000 rows cannot be taken (more than 1 %)");
        let missing = line(&tally(1000, 0, [700, 1000, 0]));
        assert_eq!(
            missing,
            "safe to send: no, because given_name is missing in 300 of 1000 rows (more than 20 %)"
        );
        let mut dates = tally(1000, 0, [1000, 850, 0]);
        (2..152).for_each(|row| dates.add(row, None, Rule::DateFormat));
        assert_eq!(
            line(&dates),
            "safe to send: no, because 150 of 1000 dates of birth cannot be used (more than 10 %)"
        );
        let mut upn = tally(1000, 0, [1000, 1000, 30]);
        (2..22).for_each(|row| upn.add(row, None, Rule::UpnInvalid));
        assert_eq!(line(&upn), "safe to send: no, because 20 of 50 UPNs cannot be used (more than 10 %)");
    }

    #[test]
    fn rows_kept_are_the_first_ones() {
        let mut tally = tally(100, 0, [100, 100, 0]);
        let column: Arc<str> = "Surname".into();
        (2..102).for_each(|row| tally.add(row, Some(Arc::clone(&column)), Rule::NamePlaceholder));
        let report = tally.report(&fields(), Vec::new());
        let rule = &report.rules[0];
        assert_eq!((rule.count, rule.first_rows.len(), rule.first_rows[0]), (100, ROWS_KEPT, 2));
        assert!(report.safe_to_send);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn a_finding_says_where_and_what_to_do() {
        let finding = Finding { row: 7, column: Some("UPN".into()), rule: Rule::UpnInvalid };
        let expected = "row 7, column 'UPN': not a UPN (the check letter is wrong): correct it at the source";
        assert_eq!(finding.to_string(), expected);
    }
}
