//! Writing encodings: whole or not at all, mode 0600, the same bytes for the same records.
//!
//! Memory is bounded by [`EncodingWriter::memory`] (256 MB unless set), whatever the number of records:
//! encodings beyond it go to sorted runs in nameless temporary files beside the output (they hold
//! encodings, never identifiers) and are merged at the end. Free disk space needed: twice the output.

use super::sort::{merge, sorted_blocks, spill};
use super::{FileError, shown, to_metadata};
use crate::agency::encoder::Encoder;
use crate::agency::record::Person;
use crate::agency::selftest::{EncodingTests, SelfTest};
use crate::wire::arrow::{arrow_schema, into_record_batch};
use crate::wire::{ContentDigest, EncodingBatch, EncodingHeader, RecordRef, limits};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use std::fs::File;
use std::io::{BufWriter, Error};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;

/// Rows of one Parquet row group.
const ROW_GROUP_ROWS: usize = 32_768;
/// Rows handed to the Parquet writer at a time.
const BLOCK_ROWS: usize = 8_192;
/// Bytes of encodings kept in memory before a run goes to disk.
const MEMORY_BYTES: usize = 256 << 20;

/// Collects persons, encodes them, writes the file.
pub struct EncodingWriter<'a> {
    encoder: &'a Encoder,
    path: PathBuf,
    folder: PathBuf,
    memory_bytes: usize,
    row_bytes: usize,
    /// Encodings not yet in a run, as they were made: to run them together would copy them twice.
    pending: Vec<EncodingBatch>,
    pending_records: usize,
    runs: Vec<File>,
    records: u64,
    tests: SelfTest,
}

impl<'a> EncodingWriter<'a> {
    /// A writer of `path`; nothing stands there before [`EncodingWriter::finish`].
    #[must_use]
    pub fn new(encoder: &'a Encoder, path: &Path) -> Self {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let layout = encoder.schema().layout();
        let tags = layout.slots().filter(|(view, _)| view.tag.is_some()).count();
        // ref, filters, tags, presence, exact tokens, payload, a pointer to a local id.
        let row_bytes = 16 + layout.encoding_bytes() + 4 * tags + 4 + 17 * layout.exact().len() + 96 + 48;
        Self {
            encoder,
            path: path.to_owned(),
            folder: folder.to_owned(),
            memory_bytes: MEMORY_BYTES,
            row_bytes,
            pending: Vec::new(),
            pending_records: 0,
            runs: Vec::new(),
            records: 0,
            tests: SelfTest::new(encoder.schema()),
        }
    }

    /// Sets the bytes of encodings kept in memory before a run goes to disk (at least one block of rows).
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Encodes persons and keeps them, spilling a sorted run when memory is used up.
    ///
    /// # Errors
    /// [`FileError::TooMany`] or what the file system said.
    pub fn push(&mut self, persons: &[Person]) -> Result<(), FileError> {
        self.records += persons.len() as u64;
        if self.records > limits::DATASET_RECORDS_MAX {
            return Err(FileError::TooMany { path: shown(&self.path), found: self.records });
        }
        let mut rest = persons;
        for batch in self.encoder.encode_blocks(persons) {
            let (block, after) = rest.split_at(batch.len());
            rest = after;
            self.tests.add(block, &batch);
            self.pending.push(batch);
        }
        self.pending_records += persons.len();
        if self.pending_records * self.row_bytes > self.memory_bytes {
            self.spill_pending()?;
        }
        Ok(())
    }

    /// What the encodings so far say of themselves.
    #[must_use]
    pub fn tests(&self) -> EncodingTests {
        self.tests.outcome()
    }

    fn spill_pending(&mut self) -> Result<(), FileError> {
        let batches = std::mem::take(&mut self.pending);
        self.pending_records = 0;
        self.runs.push(spill(&batches, &self.folder).map_err(|e| io(&self.path, e))?);
        Ok(())
    }

    /// Writes the file in its place and returns its header.
    ///
    /// # Errors
    /// [`FileError::DuplicateIds`] when two records have one local id (no file is left), or what the file
    /// system said.
    pub fn finish(mut self) -> Result<EncodingHeader, FileError> {
        let file = NamedTempFile::new_in(&self.folder).map_err(|e| io(&self.path, e))?;
        if !self.runs.is_empty() && !self.pending.is_empty() {
            self.spill_pending()?;
        }
        let mut output = Output::new(self.encoder, &self.path, file.as_file())?;
        if self.runs.is_empty() {
            sorted_blocks(&self.pending, BLOCK_ROWS, |block| output.write(block))?;
        } else {
            let layout = Arc::clone(self.encoder.schema().layout());
            let runs = std::mem::take(&mut self.runs);
            merge(runs, &layout, BLOCK_ROWS, |block| output.write(block), |e| io(&self.path, e))?;
        }
        let header = output.finish(self.records)?;
        file.as_file().sync_all().map_err(|e| io(&self.path, e))?;
        file.persist(&self.path).map_err(|e| io(&self.path, e.error))?;
        Ok(header)
    }
}

fn io(path: &Path, source: Error) -> FileError {
    FileError::Io { path: shown(path), source }
}

fn parquet_error(path: &Path, error: ParquetError) -> FileError {
    io(path, Error::other(error))
}

/// The Parquet file being written.
struct Output<'a> {
    encoder: &'a Encoder,
    path: &'a Path,
    writer: ArrowWriter<BufWriter<File>>,
    digest: blake3::Hasher,
    last: Option<RecordRef>,
    duplicates: u64,
}

impl<'a> Output<'a> {
    fn new(encoder: &'a Encoder, path: &'a Path, file: &File) -> Result<Self, FileError> {
        let plain_ids = encoder.empty_batch().local_ids.is_some();
        let schema = Arc::new(arrow_schema(encoder.schema().layout(), plain_ids));
        let properties = WriterProperties::builder()
            .set_created_by("blindlink".to_owned())
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::PLAIN)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let file = BufWriter::new(file.try_clone().map_err(|e| io(path, e))?);
        let writer = ArrowWriter::try_new(file, schema, Some(properties));
        let writer = writer.map_err(|e| parquet_error(path, e))?;
        Ok(Self { encoder, path, writer, digest: blake3::Hasher::new(), last: None, duplicates: 0 })
    }

    fn write(&mut self, block: EncodingBatch) -> Result<(), FileError> {
        for record in &block.refs {
            self.duplicates += u64::from(self.last == Some(*record));
            self.last = Some(*record);
        }
        block.update_digest(&mut self.digest);
        let columns = |source| FileError::Columns { path: shown(self.path), source };
        let record = into_record_batch(block).map_err(columns)?;
        self.writer.write(&record).map_err(|e| parquet_error(self.path, e))
    }

    fn finish(mut self, records: u64) -> Result<EncodingHeader, FileError> {
        if self.duplicates > 0 {
            return Err(FileError::DuplicateIds { records: self.duplicates });
        }
        let content = ContentDigest::from_bytes(*self.digest.finalize().as_bytes());
        let header = self.encoder.header(records, content);
        let refuse = || FileError::Header { path: shown(self.path), key: "*".to_owned() };
        for pair in to_metadata(&header).ok_or_else(refuse)? {
            self.writer.append_key_value_metadata(pair);
        }
        let file = self.writer.into_inner().map_err(|e| parquet_error(self.path, e))?;
        file.into_inner().map_err(|e| io(self.path, e.into_error()))?;
        Ok(header)
    }
}
