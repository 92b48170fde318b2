//! Rows of an extract exactly as Python's `csv.reader` cuts a text file.
//!
//! May see: raw records. Must not see: keys.
//!
//! The general CSV reader of the house skips blank lines, which would shift every later CLK by a row and
//! loses the empty values of a one-column file; Python yields them as rows of no values. A quote
//! only opens a quoted value at its start, text after a closing quote belongs to the value, and every
//! line end (LF, CRLF, CR) reads as LF.

use super::error::LegacyError;
use crate::wire::limits::CSV_RECORD_BYTES_MAX;
use std::io::BufRead;

/// Most characters of one value, as in Python.
const VALUE_CHARS_MAX: usize = 131_072;

/// Some rows, one after the other in one text.
#[derive(Default)]
pub(super) struct Rows {
    text: String,
    value_ends: Vec<usize>,
    rows: Vec<Row>,
}

/// Where a row's values end, and the line it began on.
struct Row {
    values_end: usize,
    line: u64,
}

impl Rows {
    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Line of the file on which row `row` begins, from 1.
    pub(super) fn line(&self, row: usize) -> u64 {
        self.rows[row].line
    }

    /// Number of values of row `row`.
    pub(super) fn width(&self, row: usize) -> usize {
        self.rows[row].values_end - self.first(row)
    }

    /// The values of row `row`.
    pub(super) fn values(&self, row: usize) -> impl Iterator<Item = &str> {
        (self.first(row)..self.rows[row].values_end).map(|value| {
            let start = if value == 0 { 0 } else { self.value_ends[value - 1] };
            &self.text[start..self.value_ends[value]]
        })
    }

    fn first(&self, row: usize) -> usize {
        if row == 0 { 0 } else { self.rows[row - 1].values_end }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.value_ends.clear();
        self.rows.clear();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    RowStart,
    ValueStart,
    Plain,
    Quoted,
    QuoteInQuoted,
}

/// Reads rows from a file.
pub(super) struct RowReader<R> {
    input: R,
    state: State,
    /// Bytes of the rows under construction and where their values end.
    bytes: Vec<u8>,
    line: u64,
    row_line: u64,
    row_start: usize,
    value_start: usize,
    after_return: bool,
    ended: bool,
}

impl<R: BufRead> RowReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            state: State::RowStart,
            bytes: Vec::new(),
            line: 1,
            row_line: 1,
            row_start: 0,
            value_start: 0,
            after_return: false,
            ended: false,
        }
    }

    /// Replaces `rows` by the next rows, at most `max`; none are left when it stays empty.
    pub(super) fn read(&mut self, rows: &mut Rows, max: usize) -> Result<(), LegacyError> {
        rows.clear();
        self.bytes.clear();
        (self.row_start, self.value_start) = (0, 0);
        while rows.len() < max && !self.ended {
            let block = match self.input.fill_buf() {
                Ok(block) => block.to_vec(),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(LegacyError::io("read the extract", &error)),
            };
            if block.is_empty() {
                self.end(rows)?;
            }
            let mut used = 0;
            for &byte in &block {
                used += 1;
                self.byte(byte, rows)?;
                if rows.len() == max {
                    break;
                }
            }
            self.input.consume(used);
        }
        rows.text = String::from_utf8(std::mem::take(&mut self.bytes)).map_err(|error| {
            LegacyError::NotUtf8 { line: line_of(rows, error.utf8_error().valid_up_to()) }
        })?;
        // A character cut by a value's end would be two halves: each end must be a boundary.
        match rows.value_ends.iter().find(|&&end| !rows.text.is_char_boundary(end)) {
            Some(&end) => Err(LegacyError::NotUtf8 { line: line_of(rows, end) }),
            None => Ok(()),
        }
    }

    fn byte(&mut self, byte: u8, rows: &mut Rows) -> Result<(), LegacyError> {
        let follows_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        match byte {
            b'\n' if follows_return => Ok(()),
            b'\r' => self.letter(b'\n', rows),
            byte => self.letter(byte, rows),
        }
    }

    fn letter(&mut self, byte: u8, rows: &mut Rows) -> Result<(), LegacyError> {
        self.line += u64::from(byte == b'\n');
        if byte == b'\n' && self.state != State::Quoted {
            return self.finish_row(rows);
        }
        match (self.state, byte) {
            (State::RowStart | State::ValueStart, b'"') => self.state = State::Quoted,
            (State::RowStart | State::ValueStart | State::Plain | State::QuoteInQuoted, b',') => {
                self.finish_value(rows)?;
                self.state = State::ValueStart;
            }
            (State::Quoted, b'"') => self.state = State::QuoteInQuoted,
            (state, byte) => {
                self.bytes.push(byte);
                let quote = state == State::QuoteInQuoted && byte == b'"';
                self.state = if quote || state == State::Quoted { State::Quoted } else { State::Plain };
            }
        }
        if self.bytes.len() - self.row_start > CSV_RECORD_BYTES_MAX {
            return Err(LegacyError::TooLong {
                what: "a record",
                max: CSV_RECORD_BYTES_MAX as u64,
                unit: "bytes",
            });
        }
        Ok(())
    }

    fn finish_value(&mut self, rows: &mut Rows) -> Result<(), LegacyError> {
        let bytes = &self.bytes[self.value_start..];
        // Bytes that continue a character are not counted.
        if bytes.len() > VALUE_CHARS_MAX
            && bytes.iter().filter(|&&b| b & 0xc0 != 0x80).count() > VALUE_CHARS_MAX
        {
            let (what, max) = ("a value", VALUE_CHARS_MAX as u64);
            return Err(LegacyError::TooLong { what, max, unit: "characters" });
        }
        self.value_start = self.bytes.len();
        rows.value_ends.push(self.value_start);
        Ok(())
    }

    fn finish_row(&mut self, rows: &mut Rows) -> Result<(), LegacyError> {
        if self.state != State::RowStart {
            self.finish_value(rows)?;
        }
        rows.rows.push(Row { values_end: rows.value_ends.len(), line: self.row_line });
        self.row_start = self.bytes.len();
        self.row_line = self.line;
        self.state = State::RowStart;
        Ok(())
    }

    /// The end of the file ends a row that has begun, even inside quotes.
    fn end(&mut self, rows: &mut Rows) -> Result<(), LegacyError> {
        self.ended = true;
        if self.state == State::RowStart { Ok(()) } else { self.finish_row(rows) }
    }
}

/// Line of the row that holds byte `at`.
fn line_of(rows: &Rows, at: usize) -> u64 {
    let value = rows.value_ends.partition_point(|&end| end <= at);
    let row = rows.rows.partition_point(|row| row.values_end <= value);
    rows.rows.get(row).or(rows.rows.last()).map_or(1, |row| row.line)
}
