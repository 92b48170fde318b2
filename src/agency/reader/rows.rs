//! CSV bytes cut into rows in bounded memory: nothing grows with the length of a line or of the file.
//!
//! May see: bytes of an extract. Must not see: what they mean, keys.

use super::ReadError;
use crate::wire::limits;
use csv_core::ReadRecordResult;
use std::io::Read;
use std::ops::Range;

/// Bytes read at once.
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes of field text after which a block ends, however few rows it has.
const BLOCK_BYTES_MAX: usize = 16 << 20;

/// Rows of one block: the fields' bytes run together, quotes resolved.
#[derive(Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    /// End of each field in its row's bytes.
    ends: Vec<usize>,
    rows: Vec<RowAt>,
}

#[derive(Clone)]
struct RowAt {
    bytes: Range<usize>,
    ends: Range<usize>,
    /// The record of the file, the header being 1.
    number: u64,
    unterminated: bool,
}

/// One row of a block.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) ends: &'a [usize],
    pub(super) number: u64,
    /// Whether the file ended inside a quotation.
    pub(super) unterminated: bool,
}

impl Block {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn row(&self, at: usize) -> Row<'_> {
        let row = &self.rows[at];
        Row {
            bytes: &self.bytes[row.bytes.clone()],
            ends: &self.ends[row.ends.clone()],
            number: row.number,
            unterminated: row.unterminated,
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.rows.clear();
    }
}

impl<'a> Row<'a> {
    pub(super) fn fields(self) -> impl Iterator<Item = &'a [u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends).map(move |(start, &end)| &self.bytes[start..end])
    }
}

/// Cuts a stream into rows.
pub(super) struct Rows<R> {
    input: R,
    parser: csv_core::Reader,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    end: End,
    record: Vec<u8>,
    ends: Vec<usize>,
    /// Rows read so far.
    number: u64,
}

/// How far the end of the file has been told to the parser.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// There may be more bytes.
    NotYet,
    /// The stream ended; a line break was added, which closes any row that is not inside a quotation.
    Closed,
    /// The parser was told.
    Told,
}

impl<R: Read> Rows<R> {
    /// Starts at a stream's first byte; a UTF-8 byte order mark is skipped.
    pub(super) fn open(input: R, delimiter: u8) -> Result<Self, ReadError> {
        let mut rows = Self {
            input,
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            buffer: vec![0; BUFFER_BYTES],
            at: 0,
            filled: 0,
            end: End::NotYet,
            record: vec![0; limits::CSV_RECORD_BYTES_MAX],
            ends: vec![0; limits::CSV_COLUMNS_MAX],
            number: 0,
        };
        // Enough bytes to see a mark, whatever the stream's portions.
        while rows.filled < 4 && rows.end == End::NotYet {
            rows.read_more()?;
        }
        match rows.buffer[..rows.filled] {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err(ReadError::Utf16),
            [0xef, 0xbb, 0xbf, ..] => {
                rows.at = 3;
                Ok(rows)
            }
            _ => Ok(rows),
        }
    }

    fn read_more(&mut self) -> Result<(), ReadError> {
        if self.at == self.filled {
            (self.at, self.filled) = (0, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => self.end = End::Closed,
                Ok(more) => self.filled += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReadError::Io { row: self.number + 1, kind: error.kind() }),
            }
            break;
        }
        if self.end == End::Closed {
            // At most one byte beyond what was read; the buffer is drained before more is asked for.
            self.buffer.truncate(self.filled);
            self.buffer.push(b'\n');
            self.filled += 1;
        }
        Ok(())
    }

    /// Appends one row to a block; false at the end of the file.
    pub(super) fn next_into(&mut self, block: &mut Block) -> Result<bool, ReadError> {
        let (mut bytes, mut fields) = (0, 0);
        let row = self.number + 1;
        loop {
            if self.at == self.filled && self.end == End::NotYet {
                self.read_more()?;
            }
            let input = &self.buffer[self.at..self.filled];
            let told = input.is_empty();
            let (result, read, wrote, ended) =
                self.parser.read_record(input, &mut self.record[bytes..], &mut self.ends[fields..]);
            self.at += read;
            bytes += wrote;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty if told => self.end = End::Told,
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => return Err(ReadError::RecordTooLong { row }),
                ReadRecordResult::OutputEndsFull => return Err(ReadError::TooManyColumns { row }),
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::Record => {
                    self.number = row;
                    // Only an open quotation survives the line break that was added at the end.
                    block.push(&self.record[..bytes], &self.ends[..fields], row, told);
                    return Ok(true);
                }
            }
        }
    }

    /// Replaces a block's rows by the next ones, at most `rows_max`; false when there are none.
    pub(super) fn fill(&mut self, block: &mut Block, rows_max: usize) -> Result<bool, ReadError> {
        block.clear();
        while block.len() < rows_max && block.bytes.len() < BLOCK_BYTES_MAX {
            if !self.next_into(block)? {
                break;
            }
        }
        Ok(block.len() > 0)
    }
}

impl Block {
    fn push(&mut self, bytes: &[u8], ends: &[usize], number: u64, unterminated: bool) {
        let (from, ends_from) = (self.bytes.len(), self.ends.len());
        self.bytes.extend_from_slice(bytes);
        self.ends.extend_from_slice(ends);
        let (bytes, ends) = (from..self.bytes.len(), ends_from..self.ends.len());
        self.rows.push(RowAt { bytes, ends, number, unterminated });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A row's fields, and whether a quotation was left open.
    type Fields = (Vec<Vec<u8>>, bool);

    /// Hands out at most `step` bytes at a time.
    struct Slow<'a>(&'a [u8], usize);
    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(self.0.len()).min(out.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn rows_of(text: &[u8], step: usize) -> Result<Vec<Fields>, ReadError> {
        let mut rows = Rows::open(Slow(text, step), b',')?;
        let mut block = Block::default();
        rows.fill(&mut block, 1000)?;
        Ok((0..block.len())
            .map(|at| (block.row(at).fields().map(<[u8]>::to_vec).collect(), block.row(at).unterminated))
            .collect())
    }

    fn texts(text: &str) -> Vec<Vec<String>> {
        let rows = rows_of(text.as_bytes(), 3).unwrap();
        let text = |field: Vec<u8>| String::from_utf8(field).unwrap();
        rows.into_iter().map(|(row, _)| row.into_iter().map(text).collect()).collect()
    }

    #[test]
    fn quotes_line_ends_and_marks() {
        assert_eq!(texts("a,b\n1,2\n"), [["a", "b"], ["1", "2"]]);
        assert_eq!(texts("\u{feff}a,b\r\n1,2"), [["a", "b"], ["1", "2"]]);
        assert_eq!(texts("a,b\n\n\n\"1,\"\"x\"\"\n\",2\r"), [["a", "b"], ["1,\"x\"\n", "2"]]);
        assert!(texts("").is_empty());
        assert!(texts("\u{feff}").is_empty());
        assert_eq!(texts("a"), [["a"]]);
    }

    #[test]
    fn an_open_quotation_is_seen() {
        let rows = rows_of(b"a,b\n1,\"2\n3,4\n", 5).unwrap();
        assert_eq!(rows.len(), 2);
        assert!(!rows[0].1 && rows[1].1);
        assert!(!rows_of(b"a,b\n1,\"2\"", 5).unwrap()[1].1);
    }

    #[test]
    fn utf16_is_refused() {
        assert!(matches!(rows_of(b"\xff\xfea\0,\0", 1), Err(ReadError::Utf16)));
    }

    proptest! {
        /// What the csv crate writes is read back, however the stream is cut.
        #[test]
        fn reads_what_csv_writes(rows in prop::collection::vec(prop::collection::vec("[a-z\",\r\n é]{0,6}", 3), 1..8), step in 1usize..20) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let read = rows_of(&bytes, step).unwrap();
            let read: Vec<Vec<String>> = read.into_iter().map(|(row, open)| {
                assert!(!open);
                row.into_iter().map(|field| String::from_utf8(field).unwrap()).collect()
            }).collect();
            prop_assert_eq!(read, rows);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1usize..50) {
            let _ = rows_of(&bytes, step);
        }
    }
}
