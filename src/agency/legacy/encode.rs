//! An extract into CLKs, in the order of its rows, on all cores.
//!
//! May see: schema, secret, records. Must not print: errors carry line, record and column only.

use super::clks::{Clk, export_clks};
use super::error::LegacyError;
use super::field::Format;
use super::filter::{Memo, TokenHash, fold};
use super::key::{ColumnKeys, LegacySecret};
use super::rows::{RowReader, Rows};
use super::schema::{Encoded, LegacySchema};
use super::tokens::Tokens;
use rayon::prelude::*;
use std::io::{BufReader, Read, Write};
use std::sync::{Mutex, PoisonError};

/// Rows held in memory at once.
const ROWS_AT_ONCE: usize = 1 << 15;
/// Rows one task encodes.
const ROWS_PER_TASK: usize = 512;

/// What the first line of the extract is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Header {
    /// A header equal to the schema's identifiers.
    #[default]
    Check,
    /// A header that is skipped unread.
    Ignore,
    /// The first record.
    None,
}

/// How to read an extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What the first line is.
    pub header: Header,
    /// Whether values must fit their formats. Off, only integers and dates that cannot be read are refused.
    pub validate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { header: Header::Check, validate: true }
    }
}

/// A schema ready to encode under one secret.
pub struct LegacyEncoder<'a> {
    schema: &'a LegacySchema,
    hashes: Vec<Option<TokenHash>>,
}

/// What one thread keeps between rows.
#[derive(Default)]
struct Scratch {
    tokens: Tokens,
    memos: Vec<Memo>,
    filter: Vec<u8>,
}

/// A value's place within its row, and what is wrong with it.
type Fault = (usize, super::error::EntryFault);

impl<'a> LegacyEncoder<'a> {
    /// Derives the keys of every column.
    ///
    /// # Errors
    /// [`LegacyError::Unusable`] where clkhash accepts the schema and then fails at the first record:
    /// `blakeHash` with a length that is no power of two or a key above 64 bytes, more key bytes than HKDF
    /// gives, a date format with an unknown directive.
    pub fn new(schema: &'a LegacySchema, secret: &LegacySecret) -> Result<Self, LegacyError> {
        let keys = ColumnKeys::derive(secret, &schema.kdf, schema.features.len())?;
        let bits = schema.bits << schema.folds;
        let hash = |(at, feature): (usize, &super::schema::Feature)| {
            let Some(encoded) = &feature.encoded else { return Ok(None) };
            let path = format!("features[{at}]");
            if matches!(&encoded.field.format, Format::Date(format) if !format.is_usable()) {
                let rule = "has a directive that strptime does not know, or one twice";
                return Err(LegacyError::unusable(format!("{path}.format.format"), rule));
            }
            TokenHash::new(encoded.hash, keys.of(at), bits, &path).map(Some)
        };
        Ok(Self { schema, hashes: schema.features.iter().enumerate().map(hash).collect::<Result<_, _>>()? })
    }

    /// Encodes an extract; CLK i belongs to record i.
    ///
    /// # Errors
    /// The first record or value, in the order of the file, that clkhash would refuse.
    pub fn encode(&self, csv: impl Read, options: Options) -> Result<Vec<Clk>, LegacyError> {
        let mut reader = RowReader::new(BufReader::with_capacity(1 << 18, csv));
        let mut rows = Rows::default();
        if options.header != Header::None {
            reader.read(&mut rows, 1)?;
            if rows.len() == 0 {
                return Err(LegacyError::NoHeader);
            }
            if options.header == Header::Check {
                self.check_header(&rows)?;
            }
        }
        let threads = rayon::current_num_threads().max(1);
        let scratch: Vec<Mutex<Scratch>> = (0..threads).map(|_| Mutex::default()).collect();
        let mut clks = Vec::new();
        loop {
            reader.read(&mut rows, ROWS_AT_ONCE)?;
            if rows.len() == 0 {
                return Ok(clks);
            }
            let first = clks.len();
            let task = |task: usize| {
                let mine = rayon::current_thread_index().unwrap_or(0) % threads;
                let mut scratch = scratch[mine].lock().unwrap_or_else(PoisonError::into_inner);
                let end = rows.len().min((task + 1) * ROWS_PER_TASK);
                let record = |row| self.record(&rows, row, first + row, options.validate, &mut scratch);
                (task * ROWS_PER_TASK..end).map(record).collect::<Result<Vec<Clk>, LegacyError>>()
            };
            // Collected with their errors, so that the first in the file is reported, not the first in time.
            let done: Vec<_> = (0..rows.len().div_ceil(ROWS_PER_TASK)).into_par_iter().map(task).collect();
            for part in done {
                clks.extend(part?);
            }
        }
    }

    fn check_header(&self, rows: &Rows) -> Result<(), LegacyError> {
        let (found, expected) = (rows.width(0), self.schema.features.len());
        if found != expected {
            return Err(LegacyError::HeaderLength { found, expected });
        }
        for (at, (name, feature)) in rows.values(0).zip(&self.schema.features).enumerate() {
            if name != feature.identifier {
                let byte_order_mark = name.starts_with('\u{feff}');
                let expected = feature.identifier.clone();
                return Err(LegacyError::HeaderName { column: at + 1, expected, byte_order_mark });
            }
        }
        Ok(())
    }

    fn record(
        &self,
        rows: &Rows,
        row: usize,
        index: usize,
        validate: bool,
        scratch: &mut Scratch,
    ) -> Result<Clk, LegacyError> {
        let (line, record) = (rows.line(row), index as u64 + 1);
        let (found, expected) = (rows.width(row), self.schema.features.len());
        if found != expected {
            return Err(LegacyError::RowLength { line, record, found, expected });
        }
        let encoded = self.filter(rows.values(row), validate, scratch);
        encoded.map_err(|(at, fault)| {
            let column = self.schema.features[at].identifier.clone();
            LegacyError::Entry { line, record, column, fault }
        })
    }

    fn filter<'v>(
        &self,
        values: impl Iterator<Item = &'v str>,
        validate: bool,
        scratch: &mut Scratch,
    ) -> Result<Clk, Fault> {
        let bits = self.schema.bits << self.schema.folds;
        scratch.filter.clear();
        scratch.filter.resize((bits as usize).div_ceil(8), 0);
        scratch.memos.resize_with(self.hashes.len(), Memo::new);
        for (at, ((value, feature), hash)) in values.zip(&self.schema.features).zip(&self.hashes).enumerate()
        {
            if let (Some(encoded), Some(hash)) = (&feature.encoded, hash) {
                value_bits(encoded, hash, value, validate, at, scratch).map_err(|fault| (at, fault))?;
            }
        }
        Ok(Clk::new(self.schema.bits, fold(&scratch.filter, self.schema.bits)))
    }
}

impl std::fmt::Debug for LegacyEncoder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LegacyEncoder({} columns)", self.hashes.len())
    }
}

fn value_bits(
    encoded: &Encoded,
    hash: &TokenHash,
    value: &str,
    validate: bool,
    at: usize,
    scratch: &mut Scratch,
) -> Result<(), super::error::EntryFault> {
    let Scratch { tokens, memos, filter } = scratch;
    let text = encoded.field.normalise(value, validate)?;
    tokens.cut(&text, &encoded.comparison, encoded.field.encoding)?;
    let count = tokens.len();
    for (place, token) in tokens.iter().enumerate() {
        hash.insert(token, encoded.strategy.insertions(place, count), &mut memos[at], filter);
    }
    Ok(())
}

/// Encodes an extract (UTF-8 CSV) under a linkage schema and a secret; CLK i belongs to record i.
///
/// # Errors
/// Those of [`LegacyEncoder::new`] and [`LegacyEncoder::encode`].
pub fn encode(
    schema: &LegacySchema,
    secret: &LegacySecret,
    csv: impl Read,
    options: Options,
) -> Result<Vec<Clk>, LegacyError> {
    LegacyEncoder::new(schema, secret)?.encode(csv, options)
}

/// The command `encode --profile legacy-clk`: schema, secret and extract in, `{"clks": [...]}` out.
/// Returns the number of CLKs. Nothing is written unless every record was encoded.
///
/// # Errors
/// Those of [`LegacySchema::read`], [`LegacySecret::read`] and [`encode`], and a failed write.
pub fn encode_json(
    schema: impl Read,
    secret: impl Read,
    csv: impl Read,
    options: Options,
    out: impl Write,
) -> Result<usize, LegacyError> {
    let schema = LegacySchema::read(schema)?;
    let secret = LegacySecret::read(secret)?;
    let clks = encode(&schema, &secret, csv, options)?;
    export_clks(&clks, out)?;
    Ok(clks.len())
}
