//! Reading encodings: marks, header, counts and digest are checked; a hostile file is an error, not a panic.

use super::{FileError, from_metadata, shown};
use crate::wire::arrow::from_record_batch;
use crate::wire::{ContentDigest, EncodingBatch, EncodingHeader, Layout, limits};
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows decoded at a time.
const BLOCK_ROWS: usize = 8_192;
/// Longest footer in bytes.
const FOOTER_BYTES_MAX: u64 = 64 << 20;
/// Parquet's mark at both ends.
const MAGIC: [u8; 4] = *b"PAR1";

/// An encoding file open for reading.
pub struct EncodingFile {
    path: PathBuf,
    header: EncodingHeader,
    layout: Arc<Layout>,
    reader: ParquetRecordBatchReader,
    digest: blake3::Hasher,
    read: u64,
    done: bool,
}

impl EncodingFile {
    /// Opens a file and checks all that can be checked before its rows.
    ///
    /// # Errors
    /// [`FileError`]: not Parquet, cut short, foreign, another version, malformed header, other columns.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let mut file = File::open(path).map_err(|source| FileError::Io { path: shown(path), source })?;
        check_marks(path, &mut file)?;
        let damaged = || FileError::Damaged { path: shown(path) };
        // The decoder trusts some lengths of the file and may panic on hostile ones.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let build = || ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
        let builder = catch_unwind(AssertUnwindSafe(build)).map_err(|_| damaged())?.map_err(|_| damaged())?;
        let meta = builder.metadata().file_metadata();
        let header = from_metadata(path, meta.key_value_metadata())?;
        if header.records > limits::DATASET_RECORDS_MAX {
            return Err(FileError::TooMany { path: shown(path), found: header.records });
        }
        let found = u64::try_from(meta.num_rows()).unwrap_or_default();
        if found != header.records {
            return Err(FileError::Count { path: shown(path), found, expected: header.records });
        }
        let build = || builder.with_batch_size(BLOCK_ROWS).build();
        let reader = catch_unwind(AssertUnwindSafe(build)).map_err(|_| damaged())?.map_err(|_| damaged())?;
        let layout = Arc::new(header.layout.clone());
        let (path, digest) = (path.to_owned(), blake3::Hasher::new());
        Ok(Self { path, header, layout, reader, digest, read: 0, done: false })
    }

    /// What the file says of itself.
    #[must_use]
    pub fn header(&self) -> &EncodingHeader {
        &self.header
    }

    /// All records.
    ///
    /// # Errors
    /// [`FileError`] as the blocks give it: the digest is checked after the last.
    pub fn read_all(self) -> Result<(EncodingHeader, EncodingBatch), FileError> {
        let header = self.header.clone();
        let mut all = EncodingBatch::empty(Arc::clone(&self.layout));
        for block in self {
            all.append(block?);
        }
        Ok((header, all))
    }

    fn block(&mut self) -> Option<Result<EncodingBatch, FileError>> {
        let damaged = || FileError::Damaged { path: shown(&self.path) };
        let next = match catch_unwind(AssertUnwindSafe(|| self.reader.next())) {
            Ok(next) => next,
            Err(_) => return Some(Err(damaged())),
        };
        let Some(record) = next else { return self.end().err().map(Err) };
        let columns = |source| FileError::Columns { path: shown(&self.path), source };
        let block = record
            .map_err(|_| damaged())
            .and_then(|record| from_record_batch(&self.layout, &record).map_err(columns));
        if let Ok(block) = &block {
            self.read += block.len() as u64;
            block.update_digest(&mut self.digest);
        }
        Some(block)
    }

    fn end(&self) -> Result<(), FileError> {
        let (path, found, expected) = (shown(&self.path), self.read, self.header.records);
        if found != expected {
            return Err(FileError::Count { path, found, expected });
        }
        let content = ContentDigest::from_bytes(*self.digest.finalize().as_bytes());
        if content == self.header.content { Ok(()) } else { Err(FileError::Digest { path }) }
    }
}

/// Blocks of records; after the last one, count and digest are checked.
impl Iterator for EncodingFile {
    type Item = Result<EncodingBatch, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let block = self.block();
        self.done = !matches!(block, Some(Ok(_)));
        block
    }
}

impl std::fmt::Debug for EncodingFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EncodingFile({}, {} records)", self.path.display(), self.header.records)
    }
}

fn check_marks(path: &Path, file: &mut File) -> Result<(), FileError> {
    let io = |source| FileError::Io { path: shown(path), source };
    let bytes = file.metadata().map_err(io)?.len();
    let mut mark = [0; 4];
    if bytes < 12 {
        return Err(FileError::NotParquet { path: shown(path) });
    }
    file.read_exact(&mut mark).map_err(io)?;
    if mark != MAGIC {
        return Err(FileError::NotParquet { path: shown(path) });
    }
    file.seek(SeekFrom::End(-8)).map_err(io)?;
    let mut footer = [0; 4];
    file.read_exact(&mut footer).map_err(io)?;
    file.read_exact(&mut mark).map_err(io)?;
    let footer = u64::from(u32::from_le_bytes(footer));
    if mark != MAGIC || footer > FOOTER_BYTES_MAX || footer + 12 > bytes {
        return Err(FileError::Truncated { path: shown(path) });
    }
    file.rewind().map_err(io)
}
