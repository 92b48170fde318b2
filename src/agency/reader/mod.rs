//! An extract as batches of normalised persons: streaming, in bounded memory, order kept, on all cores.
//!
//! May see: bytes of an extract, a mapping. Must not see: keys, files (the caller opens them), the clock.
//!
//! Rows are numbered as a spreadsheet does, the header being 1 (blank lines are not counted). A row that
//! cannot be taken is skipped or ends the reading, by choice; a value that cannot be used counts as
//! missing. Both are counted; no error and no finding carries a value.

mod person;
mod rows;
mod sample;

pub(super) use sample::Sample;

use super::check::{Finding, Report, Rule, Tally};
use super::mapping::{Field, Mapping, MappingError, Plan};
use super::record::Person;
use crate::wire::limits;
use jiff::civil::Date;
use person::{Outcome, Refusal};
use rayon::prelude::*;
use rows::{Block, Rows};
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::Read;
use std::sync::Arc;

/// Rows that one batch has at most.
pub const BATCH_ROWS_MAX: usize = 65_536;

/// What to do with a row that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBadRow {
    /// Leave it out, report it, go on.
    #[default]
    Skip,
    /// Stop with an error.
    Refuse,
}

/// How an extract is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// Rows of a batch, 1 to [`BATCH_ROWS_MAX`].
    pub batch_rows: usize,
    /// Rows that cannot be taken.
    pub on_bad_row: OnBadRow,
    /// Dates of birth after this day are refused; the mapping's `reference_date` goes before it.
    pub today: Date,
}

impl Options {
    /// 8,192 rows a batch, bad rows skipped.
    #[must_use]
    pub fn new(today: Date) -> Self {
        Self { batch_rows: 8_192, on_bad_row: OnBadRow::Skip, today }
    }
}

/// Persons of consecutive rows.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The rows taken, in the file's order.
    pub persons: Vec<Person>,
    /// Row number of each person.
    pub rows: Vec<u64>,
    /// Rows not taken, and why.
    pub rejected: Vec<Finding>,
    /// Number of the first row read for this batch.
    pub first_row: u64,
}

/// Why an extract cannot be read; places, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No byte, or no header.
    #[error("the file is empty: it needs a header and at least one row")]
    Empty,
    /// A header and nothing else.
    #[error("the file has a header and no rows: the extract is empty")]
    HeaderOnly,
    /// The mapping does not fit the header.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// A byte order mark of UTF-16.
    #[error("the file is UTF-16: save it as UTF-8 (in Excel: 'CSV UTF-8')")]
    Utf16,
    /// A byte sequence that is not UTF-8.
    #[error(
        "row {row}, column {column}: not UTF-8; if the system exports Windows-1252, say encoding = \"windows-1252\" in the mapping"
    )]
    NotUtf8 {
        /// The row.
        row: u64,
        /// The column, from 1.
        column: usize,
    },
    /// A NUL in the header.
    #[error(
        "row 1, column {column}: a NUL byte in the header: the file is damaged or UTF-16; export it again as UTF-8"
    )]
    NulInHeader {
        /// The column, from 1.
        column: usize,
    },
    /// A row longer than [`limits::CSV_RECORD_BYTES_MAX`].
    #[error(
        "row {row} is longer than {} bytes: look for a quotation mark that is never closed",
        limits::CSV_RECORD_BYTES_MAX
    )]
    RecordTooLong {
        /// The row.
        row: u64,
    },
    /// More columns than [`limits::CSV_COLUMNS_MAX`].
    #[error("row {row} has more than {} columns", limits::CSV_COLUMNS_MAX)]
    TooManyColumns {
        /// The row.
        row: u64,
    },
    /// More rows than [`limits::DATASET_RECORDS_MAX`].
    #[error("the file has more than {} rows", limits::DATASET_RECORDS_MAX)]
    TooManyRows,
    /// Most dates of the first rows do not look like the column's format.
    #[error("column '{column}': {misfits} of the first {given} dates are not in the format {format}{}",
        .instead.as_ref().map_or(String::from(": correct the format in the mapping"), |f| format!("; they fit {f}: correct the mapping")))]
    DateFormat {
        /// The header.
        column: String,
        /// The mapping's format.
        format: String,
        /// Dates that do not fit.
        misfits: usize,
        /// Dates looked at.
        given: usize,
        /// The one other format that fits, if one does.
        instead: Option<String>,
    },
    /// A row that cannot be taken, where that ends the reading.
    #[error("{0}")]
    BadRow(Finding),
    /// The stream failed.
    #[error("reading failed at row {row}: {kind}")]
    Io {
        /// The row being read.
        row: u64,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
}

/// An extract being read.
pub struct Extract<R> {
    rows: Rows<R>,
    plan: Plan,
    options: Options,
    block: Block,
    tally: Tally,
    seen: HashSet<[u8; 16], BuildHasherDefault<FirstBytes>>,
    started: bool,
}

/// The digests are uniform: their first eight bytes are hash enough.
#[derive(Default)]
struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
}

/// Reads the header of a stream: trimmed column names.
///
/// # Errors
/// [`ReadError`]: empty, UTF-16, NUL or foreign bytes, too long, too many columns.
pub fn read_header<R: Read>(
    input: R,
    mapping_encoding: super::mapping::Encoding,
    delimiter: u8,
) -> Result<Vec<String>, ReadError> {
    header(&mut Rows::open(input, delimiter)?, mapping_encoding)
}

fn header<R: Read>(rows: &mut Rows<R>, encoding: super::mapping::Encoding) -> Result<Vec<String>, ReadError> {
    let mut block = Block::default();
    if !rows.fill(&mut block, 1)? {
        return Err(ReadError::Empty);
    }
    let row = block.row(0);
    if let Some(column) = row.fields().position(|field| field.contains(&0)) {
        return Err(ReadError::NulInHeader { column: column + 1 });
    }
    let text = person::decode(row, encoding)?;
    Ok((0..text.len()).map(|at| text.field(at).unwrap_or_default().trim().to_owned()).collect())
}

impl<R: Read> Extract<R> {
    /// Reads the header and binds the mapping to it.
    ///
    /// # Errors
    /// [`ReadError`]: the file is empty or not text, or the mapping does not fit.
    pub fn open(input: R, mapping: &Mapping, options: Options) -> Result<Self, ReadError> {
        let mut rows = Rows::open(input, mapping.delimiter)?;
        let headers = header(&mut rows, mapping.encoding)?;
        let plan = Plan::bind(mapping, &headers, options.today)?;
        let tally = Tally::new(plan.names.len());
        let options = Options { batch_rows: options.batch_rows.clamp(1, BATCH_ROWS_MAX), ..options };
        let (block, seen) = (Block::default(), HashSet::default());
        Ok(Self { rows, plan, options, block, tally, seen, started: false })
    }

    /// The next rows as persons; `None` at the end of the file.
    ///
    /// # Errors
    /// [`ReadError`] ends the reading; what was returned before stands.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, ReadError> {
        if !self.rows.fill(&mut self.block, self.options.batch_rows)? {
            return if self.started { Ok(None) } else { Err(ReadError::HeaderOnly) };
        }
        let (plan, block) = (&self.plan, &self.block);
        if !self.started {
            check_dates(plan, block)?;
            self.started = true;
        }
        let rows = (0..block.len()).into_par_iter().with_min_len(256);
        let outcomes: Vec<Outcome> = rows.map(|at| person::read(plan, block.row(at))).collect();
        let mut batch = Batch { first_row: block.row(0).number, ..Batch::default() };
        batch.persons.reserve(outcomes.len());
        batch.rows.reserve(outcomes.len());
        for outcome in outcomes {
            self.settle(outcome, &mut batch)?;
        }
        if self.tally.rows > limits::DATASET_RECORDS_MAX {
            return Err(ReadError::TooManyRows);
        }
        Ok(Some(batch))
    }

    /// What was found so far; complete once [`Extract::next_batch`] returned `None`.
    #[must_use]
    pub fn report(&self) -> Report {
        self.tally.report(&self.plan.names, self.plan.unused.clone())
    }

    fn settle(&mut self, outcome: Outcome, batch: &mut Batch) -> Result<(), ReadError> {
        let Outcome { row, taken, findings, present } = outcome;
        let (person, digest) = match taken {
            Err(Refusal::Blank) => {
                self.tally.blank_rows += 1;
                return Ok(());
            }
            Err(Refusal::NotUtf8 { column }) => return Err(ReadError::NotUtf8 { row, column }),
            Err(Refusal::Rejected { rule, column }) => {
                return self.reject(Finding { row, column, rule }, batch);
            }
            Ok(taken) => taken,
        };
        if !self.seen.insert(digest) {
            let column = self.plan.field(Field::RecordId).map(|column| Arc::clone(&column.header));
            return self.reject(Finding { row, column, rule: Rule::DuplicateId }, batch);
        }
        self.tally.rows += 1;
        self.tally.accepted += 1;
        for (count, bit) in self.tally.present.iter_mut().zip(0..64) {
            *count += present >> bit & 1;
        }
        for (rule, column) in findings {
            self.tally.add(row, column, rule);
        }
        batch.persons.push(person);
        batch.rows.push(row);
        Ok(())
    }

    fn reject(&mut self, finding: Finding, batch: &mut Batch) -> Result<(), ReadError> {
        self.tally.rows += 1;
        self.tally.rejected += 1;
        self.tally.add(finding.row, finding.column.clone(), finding.rule);
        if self.options.on_bad_row == OnBadRow::Refuse {
            return Err(ReadError::BadRow(finding));
        }
        batch.rejected.push(finding);
        Ok(())
    }
}

/// Refuses a file whose first dates mostly do not look like the format: it is the wrong format, and
/// every date would silently be missing.
fn check_dates(plan: &Plan, block: &Block) -> Result<(), ReadError> {
    let Some(column) = plan.field(Field::DateOfBirth) else { return Ok(()) };
    let Some(format) = &column.format else { return Ok(()) };
    let mut values = Vec::new();
    for at in 0..block.len() {
        let Ok(text) = person::decode(block.row(at), plan.encoding) else { continue };
        if let Some(value) = person::value(plan, &text, column) {
            values.push(value.into_owned());
        }
    }
    let misfits = values.iter().filter(|value| !format.fits(value)).count();
    if misfits * 2 <= values.len() {
        return Ok(());
    }
    let instead = super::propose::date_format(values.iter().map(String::as_str)).ok();
    Err(ReadError::DateFormat {
        column: column.header.to_string(),
        format: format.as_str().to_owned(),
        misfits,
        given: values.len(),
        instead: instead.filter(|other| other != format).map(|format| format.as_str().to_owned()),
    })
}

#[cfg(test)]
mod tests;
