//! The first rows of an extract in memory, to propose a mapping from.
//!
//! May see: the first megabytes of an extract. Must not see: keys.

use super::rows::{Block, Rows};
use super::{ReadError, header, person};
use crate::agency::mapping::{Encoding, Mapping, Plan, Source};
use std::io::Read;

/// Rows that are looked at.
const ROWS_MAX: usize = 50_000;

/// The first rows of an extract, its delimiter and encoding found out.
pub(in crate::agency) struct Sample {
    pub(in crate::agency) headers: Vec<String>,
    pub(in crate::agency) delimiter: u8,
    pub(in crate::agency) encoding: Encoding,
    block: Block,
}

impl Sample {
    /// Reads at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`ReadError`] when there is no header or no row, or a row is beyond the limits.
    pub(in crate::agency) fn read<R: Read>(input: R, bytes_max: u64) -> Result<Self, ReadError> {
        let mut bytes = Vec::new();
        let failed = |error: std::io::Error| ReadError::Io { row: 1, kind: error.kind() };
        input.take(bytes_max).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 == bytes_max {
            // The last line is probably cut.
            let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
            bytes.truncate(end);
        }
        let encoding =
            if std::str::from_utf8(&bytes).is_ok() { Encoding::Utf8 } else { Encoding::Windows1252 };
        let delimiter = delimiter(&bytes, encoding)?;
        let mut rows = Rows::open(bytes.as_slice(), delimiter)?;
        let headers = header(&mut rows, encoding)?;
        let mut block = Block::default();
        if !rows.fill(&mut block, ROWS_MAX)? {
            return Err(ReadError::HeaderOnly);
        }
        Ok(Self { headers, delimiter, encoding, block })
    }

    /// Rows in the sample.
    pub(in crate::agency) fn rows(&self) -> usize {
        self.block.len()
    }

    /// The values of a source's columns that are not missing.
    pub(in crate::agency) fn values(&self, mapping: &Mapping, source: &Source) -> Vec<String> {
        let at: Vec<usize> = source
            .headers
            .iter()
            .filter_map(|name| self.headers.iter().position(|header| header == name))
            .collect();
        let rows =
            (0..self.block.len()).filter_map(|row| person::decode(self.block.row(row), self.encoding).ok());
        rows.filter_map(|text| {
            Plan::join(&mapping.nulls, &at, |at| text.field(at)).map(|value| value.into_owned())
        })
        .collect()
    }
}

/// The delimiter that cuts the header into most columns, the comma where none does better.
fn delimiter(bytes: &[u8], encoding: Encoding) -> Result<u8, ReadError> {
    let (mut best, mut columns) = (b',', header(&mut Rows::open(bytes, b',')?, encoding)?.len());
    for candidate in [b';', b'\t', b'|'] {
        let found = header(&mut Rows::open(bytes, candidate)?, encoding).map_or(0, |headers| headers.len());
        if found > columns {
            (best, columns) = (candidate, found);
        }
    }
    Ok(best)
}
