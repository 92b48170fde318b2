//! Rows in the order of their refs, with bounded memory: sorted runs on disk, then one merge.

use crate::wire::arrow::{from_record_batch, into_record_batch};
use crate::wire::{EncodingBatch, Layout, RecordRef};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Error, Seek, Write};
use std::path::Path;
use std::sync::Arc;

/// Rows read back from one run at a time.
const RUN_BLOCK_ROWS: usize = 1024;

/// Appends row `row` of `from` to `to`; both have the same layout.
pub(super) fn push_row(to: &mut EncodingBatch, from: &EncodingBatch, row: usize) {
    to.refs.push(from.refs[row]);
    for (slot, column) in to.slots.iter_mut().enumerate() {
        column.filters.extend_from_slice(from.filter(slot, row));
        if let (Some(mine), Some(theirs)) = (&mut column.tags, &from.slots[slot].tags) {
            mine.push(theirs[row]);
        }
    }
    if let (Some(mine), Some(theirs)) = (&mut to.presence, &from.presence) {
        mine.push(theirs[row]);
    }
    for (mine, theirs) in to.exact.iter_mut().zip(&from.exact) {
        mine.tokens.push(theirs.tokens[row]);
    }
    if let Some(payload) = from.payload.get(row) {
        to.payload.push(*payload);
    }
    if let Some(theirs) = &from.local_ids {
        to.local_ids.get_or_insert_default().push(theirs[row].clone());
    }
}

/// Hands out the rows of batches in the order of their refs, `block` at a time.
pub(super) fn sorted_blocks<E>(
    batches: &[EncodingBatch],
    block: usize,
    mut take: impl FnMut(EncodingBatch) -> Result<(), E>,
) -> Result<(), E> {
    let rows = |(number, batch): (usize, &EncodingBatch)| {
        let refs = batch.refs.clone();
        refs.into_iter().enumerate().map(move |(row, record)| (record, (number, row)))
    };
    let mut order: Vec<(RecordRef, (usize, usize))> = batches.iter().enumerate().flat_map(rows).collect();
    order.sort_unstable();
    for rows in order.chunks(block) {
        let rows: Vec<(usize, usize)> = rows.iter().map(|(_, at)| *at).collect();
        EncodingBatch::select_from(batches, &rows).map_or(Ok(()), &mut take)?;
    }
    Ok(())
}

/// Writes batches as one sorted run: a nameless file in `folder`, gone when closed.
pub(super) fn spill(batches: &[EncodingBatch], folder: &Path) -> Result<File, Error> {
    let mut writer: Option<StreamWriter<BufWriter<File>>> = None;
    sorted_blocks(batches, RUN_BLOCK_ROWS, |block| {
        let record = into_record_batch(block).map_err(Error::other)?;
        let writer = match &mut writer {
            Some(writer) => writer,
            None => {
                let file = BufWriter::new(tempfile::tempfile_in(folder)?);
                writer.insert(StreamWriter::try_new(file, record.schema_ref()).map_err(Error::other)?)
            }
        };
        writer.write(&record).map_err(Error::other)
    })?;
    let Some(writer) = writer else { return tempfile::tempfile_in(folder) };
    let mut file = writer.into_inner().map_err(Error::other)?;
    file.flush()?;
    let mut file = file.into_inner().map_err(|e| e.into_error())?;
    file.rewind()?;
    Ok(file)
}

/// A sorted run being read.
struct Run {
    reader: StreamReader<BufReader<File>>,
    layout: Arc<Layout>,
    block: EncodingBatch,
    row: usize,
}

impl Run {
    fn open(file: File, layout: &Arc<Layout>) -> Result<Self, Error> {
        let reader = StreamReader::try_new(BufReader::new(file), None).map_err(Error::other)?;
        let block = EncodingBatch::empty(Arc::clone(layout));
        Ok(Self { reader, layout: Arc::clone(layout), block, row: 0 })
    }
    /// The ref at the front, reading on where a block is used up.
    fn front(&mut self) -> Result<Option<RecordRef>, Error> {
        while self.row == self.block.len() {
            let Some(record) = self.reader.next() else { return Ok(None) };
            let record = record.map_err(Error::other)?;
            self.block = from_record_batch(&self.layout, &record).map_err(Error::other)?;
            self.row = 0;
        }
        Ok(Some(self.block.refs[self.row]))
    }
}

/// Hands out the rows of all runs in the order of their refs, `block` at a time.
pub(super) fn merge(
    runs: Vec<File>,
    layout: &Arc<Layout>,
    block: usize,
    mut take: impl FnMut(EncodingBatch) -> Result<(), super::FileError>,
    io: impl Fn(Error) -> super::FileError,
) -> Result<(), super::FileError> {
    let mut open = Vec::with_capacity(runs.len());
    let mut heap = BinaryHeap::with_capacity(runs.len());
    for file in runs {
        let mut run = Run::open(file, layout).map_err(&io)?;
        if let Some(first) = run.front().map_err(&io)? {
            heap.push(Reverse((first, open.len())));
            open.push(run);
        }
    }
    let mut out = EncodingBatch::empty(Arc::clone(layout));
    while let Some(Reverse((_, number))) = heap.pop() {
        let run: &mut Run = &mut open[number];
        push_row(&mut out, &run.block, run.row);
        run.row += 1;
        if let Some(next) = run.front().map_err(&io)? {
            heap.push(Reverse((next, number)));
        }
        if out.len() == block {
            take(std::mem::replace(&mut out, EncodingBatch::empty(Arc::clone(layout))))?;
        }
    }
    if out.is_empty() { Ok(()) } else { take(out) }
}
