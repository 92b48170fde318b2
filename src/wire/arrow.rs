//! Encodings as Arrow record batches: the columns of the file and of the wire's stream.
//!
//! Columns, in this order and no other: `ref` FixedSizeBinary(16); per slot `view.k`
//! FixedSizeBinary(bits / 8) and, where the view is tagged, `view.k.tag` UInt32; `presence` UInt32;
//! `exact.attribute` FixedSizeBinary(16), nullable; the payload columns the layout lists, nullable; `local_id`
//! Utf8 only in files made with plain ids. Anything else is refused by name.

use super::{
    BatchError, EncodingBatch, ExactColumn, Layout, Month, Payload, PayloadColumn, PayloadError, RecordRef,
    ShortText, SlotColumn, Visibility,
};
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, RecordBatch, StringArray, UInt8Array, UInt32Array};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use std::sync::Arc;

/// Why Arrow data is not a batch of encodings. Column names are repeated, values never.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArrowFormError {
    /// A column that no encoding has, such as `surname`.
    #[error("column '{0}' is not part of an encoding under this schema: remove it")]
    UnknownColumn(String),
    /// A column the layout asks for.
    #[error("column '{0}' is missing")]
    MissingColumn(String),
    /// A column of another type or width.
    #[error("column '{column}' has type {found} where {expected} belongs")]
    WrongType {
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// The type the layout asks for.
        expected: String,
    },
    /// Empty cells where none may be.
    #[error("column '{0}' has empty cells")]
    Nulls(String),
    /// A payload cell out of its range.
    #[error("column '{column}', row {row}: {reason}")]
    Payload {
        /// The column.
        column: String,
        /// The row, from 1.
        row: usize,
        /// What is allowed.
        reason: PayloadError,
    },
    /// A tag above its declared length.
    #[error("column '{column}', row {row}: the tag has more bits than its layout says")]
    Tag {
        /// The column.
        column: String,
        /// The row, from 1.
        row: usize,
    },
    /// More records than the receiver takes.
    #[error("more than {0} records in one stream")]
    TooManyRecords(usize),
    /// Not an Arrow stream, or a damaged one.
    #[error("not a readable Arrow stream (damaged, cut short or compressed)")]
    Malformed,
    /// Columns of different lengths.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

const REF: &str = "ref";
const PRESENCE: &str = "presence";
const LOCAL_ID: &str = "local_id";

impl PayloadColumn {
    /// Name of the column in files and streams.
    #[must_use]
    pub const fn column_name(self) -> &'static str {
        match self {
            Self::RecordType => "record_type",
            Self::AreaCode => "area_code",
            Self::AgeBand => "age_band",
            Self::LastSeen => "last_seen",
            Self::Expiry => "expiry",
            Self::Visibility => "visibility",
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::RecordType | Self::AreaCode | Self::AgeBand => DataType::Utf8,
            Self::LastSeen | Self::Expiry => DataType::UInt32,
            Self::Visibility => DataType::UInt8,
        }
    }
}

/// The Arrow schema of a layout's encodings, with the plain local ids if `plain_ids`.
#[must_use]
pub fn arrow_schema(layout: &Layout, plain_ids: bool) -> Schema {
    let mut fields = vec![Field::new(REF, DataType::FixedSizeBinary(16), false)];
    for (view, k) in layout.slots() {
        let name = format!("{}.{k}", view.name);
        // At most FILTER_BITS_MAX / 8 = 2,048, so the cast is exact.
        fields.push(Field::new(&name, DataType::FixedSizeBinary((view.bits / 8) as i32), false));
        if view.tag.is_some() {
            fields.push(Field::new(format!("{name}.tag"), DataType::UInt32, false));
        }
    }
    if layout.presence() {
        fields.push(Field::new(PRESENCE, DataType::UInt32, false));
    }
    for attribute in layout.exact() {
        fields.push(Field::new(format!("exact.{attribute}"), DataType::FixedSizeBinary(16), true));
    }
    for column in layout.payload() {
        fields.push(Field::new(column.column_name(), column.data_type(), true));
    }
    if plain_ids {
        fields.push(Field::new(LOCAL_ID, DataType::Utf8, false));
    }
    Schema::new(fields)
}

/// The batch as Arrow columns.
///
/// # Errors
/// [`ArrowFormError::Batch`] when the columns do not fit the layout.
pub fn to_record_batch(batch: &EncodingBatch) -> Result<RecordBatch, ArrowFormError> {
    into_record_batch(batch.clone())
}

/// As [`to_record_batch`], without copying the filters.
///
/// # Errors
/// [`ArrowFormError`] as there.
pub fn into_record_batch(batch: EncodingBatch) -> Result<RecordBatch, ArrowFormError> {
    batch.check()?;
    let refs: Vec<u8> = batch.refs.iter().flat_map(|record| *record.as_bytes()).collect();
    let mut columns: Vec<ArrayRef> = vec![binary(refs, 16, None)?];
    for ((view, _), column) in batch.layout.slots().zip(batch.slots) {
        columns.push(binary(column.filters, (view.bits / 8) as i32, None)?);
        if let Some(tags) = column.tags {
            columns.push(Arc::new(UInt32Array::from(tags)));
        }
    }
    if let Some(presence) = batch.presence {
        columns.push(Arc::new(UInt32Array::from(presence)));
    }
    for column in &batch.exact {
        let bytes = column.tokens.iter().flat_map(|token| token.unwrap_or_default()).collect();
        let mut present = BooleanBufferBuilder::new(column.tokens.len());
        column.tokens.iter().for_each(|token| present.append(token.is_some()));
        columns.push(binary(bytes, 16, Some(NullBuffer::new(present.finish())))?);
    }
    for column in batch.layout.payload() {
        columns.push(payload_array(*column, &batch.payload));
    }
    if let Some(ids) = &batch.local_ids {
        columns.push(Arc::new(StringArray::from_iter_values(ids)));
    }
    let schema = Arc::new(arrow_schema(&batch.layout, batch.local_ids.is_some()));
    RecordBatch::try_new(schema, columns).map_err(malformed)
}

fn binary(bytes: Vec<u8>, width: i32, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowFormError> {
    let array = FixedSizeBinaryArray::try_new(width, Buffer::from_vec(bytes), nulls).map_err(malformed)?;
    Ok(Arc::new(array))
}

// Arrow's own messages may carry bytes of the input; they are dropped on purpose.
fn malformed(_: ArrowError) -> ArrowFormError {
    ArrowFormError::Malformed
}

fn payload_array(column: PayloadColumn, payload: &[Payload]) -> ArrayRef {
    let text = |of: fn(&Payload) -> Option<ShortText>| -> ArrayRef {
        let texts = payload.iter().map(of).map(|text| text.map(|text| text.as_str().to_owned()));
        Arc::new(texts.collect::<StringArray>())
    };
    let month = |of: fn(&Payload) -> Option<Month>| -> ArrayRef {
        Arc::new(payload.iter().map(|row| of(row).map(u32::from)).collect::<UInt32Array>())
    };
    match column {
        PayloadColumn::RecordType => text(|row| row.record_type),
        PayloadColumn::AreaCode => text(|row| row.area_code),
        PayloadColumn::AgeBand => text(|row| row.age_band),
        PayloadColumn::LastSeen => month(|row| row.last_seen),
        PayloadColumn::Expiry => month(|row| row.expiry),
        PayloadColumn::Visibility => {
            let codes = payload.iter().map(|row| row.visibility.map(|visibility| visibility as u8));
            Arc::new(codes.collect::<UInt8Array>())
        }
    }
}

/// Arrow columns as a batch of `layout`; every column must be one of the layout's, `local_id` apart.
///
/// # Errors
/// [`ArrowFormError`] names the first column, and row, that does not fit.
pub fn from_record_batch(
    layout: &Arc<Layout>,
    record: &RecordBatch,
) -> Result<EncodingBatch, ArrowFormError> {
    let plain_ids = record.schema_ref().column_with_name(LOCAL_ID).is_some();
    check_columns(&arrow_schema(layout, plain_ids), record.schema_ref())?;
    let mut batch = EncodingBatch::empty(Arc::clone(layout));
    let refs = fixed(record, REF)?;
    batch.refs = refs.as_chunks::<16>().0.iter().map(|bytes| RecordRef::from_bytes(*bytes)).collect();
    batch.slots = layout
        .slots()
        .map(|(view, k)| {
            let name = format!("{}.{k}", view.name);
            let tags =
                view.tag.map(|tag| tags(record, &format!("{name}.tag"), tag.max_value())).transpose()?;
            Ok(SlotColumn { filters: fixed(record, &name)?.to_vec(), tags })
        })
        .collect::<Result<_, ArrowFormError>>()?;
    if layout.presence() {
        batch.presence = Some(numbers(record, PRESENCE)?.values().to_vec());
    }
    batch.exact = layout
        .exact()
        .iter()
        .map(|attribute| {
            let array: &FixedSizeBinaryArray = typed(record, &format!("exact.{attribute}"))?;
            let token = |row| array.is_valid(row).then(|| array.value(row).try_into().ok()).flatten();
            Ok(ExactColumn { attribute: attribute.clone(), tokens: (0..array.len()).map(token).collect() })
        })
        .collect::<Result<_, ArrowFormError>>()?;
    if !layout.payload().is_empty() {
        batch.payload = vec![Payload::default(); batch.len()];
        layout.payload().iter().try_for_each(|column| read_payload(record, *column, &mut batch.payload))?;
    }
    if plain_ids {
        let ids: &StringArray = typed(record, LOCAL_ID)?;
        batch.local_ids = Some(ids.iter().map(|id| id.unwrap_or_default().to_owned()).collect());
    }
    batch.check()?;
    Ok(batch)
}

fn check_columns(expected: &Schema, found: &Schema) -> Result<(), ArrowFormError> {
    for field in found.fields() {
        let Ok(wanted) = expected.field_with_name(field.name()) else {
            return Err(ArrowFormError::UnknownColumn(shown(field.name())));
        };
        if wanted.data_type() != field.data_type() {
            return Err(ArrowFormError::WrongType {
                column: shown(field.name()),
                found: shown(&field.data_type().to_string()),
                expected: wanted.data_type().to_string(),
            });
        }
    }
    for field in expected.fields() {
        match found.fields().iter().filter(|other| other.name() == field.name()).count() {
            0 => return Err(ArrowFormError::MissingColumn(field.name().clone())),
            1 => {}
            _ => return Err(ArrowFormError::UnknownColumn(format!("{} (twice)", field.name()))),
        }
    }
    Ok(())
}

/// A column name as shown: bounded, without control characters.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

fn typed<'a, T: Array + 'static>(record: &'a RecordBatch, name: &str) -> Result<&'a T, ArrowFormError> {
    record
        .column_by_name(name)
        .and_then(|column| column.as_any().downcast_ref::<T>())
        .ok_or_else(|| ArrowFormError::MissingColumn(name.to_owned()))
}

fn fixed<'a>(record: &'a RecordBatch, name: &str) -> Result<&'a [u8], ArrowFormError> {
    let array: &FixedSizeBinaryArray = typed(record, name)?;
    if array.null_count() > 0 {
        return Err(ArrowFormError::Nulls(name.to_owned()));
    }
    // A stream may declare fewer bytes than rows x width; the slice of whole rows is checked by `check`.
    Ok(array.value_data())
}

fn numbers<'a>(record: &'a RecordBatch, name: &str) -> Result<&'a UInt32Array, ArrowFormError> {
    let array: &UInt32Array = typed(record, name)?;
    if array.null_count() > 0 {
        return Err(ArrowFormError::Nulls(name.to_owned()));
    }
    Ok(array)
}

fn tags(record: &RecordBatch, name: &str, max: u32) -> Result<Vec<u32>, ArrowFormError> {
    let values = numbers(record, name)?.values().to_vec();
    match values.iter().position(|tag| *tag > max) {
        Some(at) => Err(ArrowFormError::Tag { column: name.to_owned(), row: at + 1 }),
        None => Ok(values),
    }
}

fn read_payload(
    record: &RecordBatch,
    column: PayloadColumn,
    payload: &mut [Payload],
) -> Result<(), ArrowFormError> {
    let name = column.column_name();
    let refuse =
        |row: usize, reason| ArrowFormError::Payload { column: name.to_owned(), row: row + 1, reason };
    for (row, cell) in payload.iter_mut().enumerate() {
        let text = || -> Result<Option<ShortText>, ArrowFormError> {
            let array: &StringArray = typed(record, name)?;
            let value = array.is_valid(row).then(|| array.value(row).parse::<ShortText>());
            value.transpose().map_err(|reason| refuse(row, reason))
        };
        let month = || -> Result<Option<Month>, ArrowFormError> {
            let array: &UInt32Array = typed(record, name)?;
            let value = array.is_valid(row).then(|| Month::try_from(array.value(row)));
            value.transpose().map_err(|reason| refuse(row, reason))
        };
        match column {
            PayloadColumn::RecordType => cell.record_type = text()?,
            PayloadColumn::AreaCode => cell.area_code = text()?,
            PayloadColumn::AgeBand => cell.age_band = text()?,
            PayloadColumn::LastSeen => cell.last_seen = month()?,
            PayloadColumn::Expiry => cell.expiry = month()?,
            PayloadColumn::Visibility => {
                let array: &UInt8Array = typed(record, name)?;
                let code = array.is_valid(row).then(|| array.value(row));
                let visibility = code.map(|code| visibility(code).ok_or(PayloadError::Visibility));
                cell.visibility = visibility.transpose().map_err(|reason| refuse(row, reason))?;
            }
        }
    }
    Ok(())
}

fn visibility(code: u8) -> Option<Visibility> {
    [Visibility::Open, Visibility::Brokered, Visibility::Hidden].get(usize::from(code)).copied()
}

/// The batch as an Arrow IPC stream of one record batch, uncompressed.
///
/// # Errors
/// As [`to_record_batch`].
pub fn write_stream(batch: &EncodingBatch) -> Result<Vec<u8>, ArrowFormError> {
    let record = to_record_batch(batch)?;
    let mut writer = StreamWriter::try_new(Vec::new(), record.schema_ref()).map_err(malformed)?;
    writer.write(&record).map_err(malformed)?;
    writer.into_inner().map_err(malformed)
}

/// Reads an Arrow IPC stream of at most `records_max` records of `layout`. The caller bounds `bytes`.
///
/// # Errors
/// [`ArrowFormError`]; a damaged stream is [`ArrowFormError::Malformed`], never a panic.
pub fn read_stream(
    layout: &Arc<Layout>,
    bytes: &[u8],
    records_max: usize,
) -> Result<EncodingBatch, ArrowFormError> {
    // The decoder of arrow-ipc trusts some lengths of the stream and may panic on hostile ones.
    let read = std::panic::AssertUnwindSafe(|| read_stream_trusting(layout, bytes, records_max));
    std::panic::catch_unwind(read).unwrap_or(Err(ArrowFormError::Malformed))
}

fn read_stream_trusting(
    layout: &Arc<Layout>,
    bytes: &[u8],
    records_max: usize,
) -> Result<EncodingBatch, ArrowFormError> {
    let reader = StreamReader::try_new(bytes, None).map_err(malformed)?;
    let mut all = EncodingBatch::empty(Arc::clone(layout));
    for record in reader {
        let record = record.map_err(malformed)?;
        if all.len() + record.num_rows() > records_max {
            return Err(ArrowFormError::TooManyRecords(records_max));
        }
        all.append(from_record_batch(layout, &record)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{AttributeName, Profile, Segment, TagBits, View};

    fn name(text: &str) -> AttributeName {
        text.parse().unwrap()
    }

    fn layout() -> Arc<Layout> {
        let segment = Segment { attribute: name("record"), start: 0, bits: 128 };
        let tag = Some(TagBits::try_from(4).unwrap());
        let view = View { name: "a".parse().unwrap(), slots: 2, bits: 128, segments: vec![segment], tag };
        let payload = vec![PayloadColumn::AreaCode, PayloadColumn::LastSeen, PayloadColumn::Visibility];
        Arc::new(Layout::new(Profile::Views, vec![view], true, vec![name("nhs_number")], payload).unwrap())
    }

    fn batch() -> EncodingBatch {
        let mut batch = EncodingBatch::empty(layout());
        batch.refs = vec![RecordRef::from_bytes([7; 16]), RecordRef::from_bytes([9; 16])];
        for slot in &mut batch.slots {
            slot.filters = (0..32).collect();
            slot.tags = Some(vec![3, 15]);
        }
        batch.presence = Some(vec![1, 2]);
        batch.exact[0].tokens = vec![None, Some([5; 16])];
        batch.payload = vec![
            Payload::default(),
            Payload {
                area_code: Some("E01".parse().unwrap()),
                last_seen: Some("2026-02".parse().unwrap()),
                visibility: Some(Visibility::Brokered),
                ..Payload::default()
            },
        ];
        batch
    }

    #[test]
    fn a_stream_reads_back_as_it_was() {
        let bytes = write_stream(&batch()).unwrap();
        assert!(read_stream(&layout(), &bytes, 2).unwrap() == batch());
        assert_eq!(read_stream(&layout(), &bytes, 1).unwrap_err(), ArrowFormError::TooManyRecords(1));
    }

    #[test]
    fn plain_ids_travel_in_a_column_of_their_own() {
        let mut plain = batch();
        plain.local_ids = Some(vec!["x1".into(), "x2".into()]);
        let back = from_record_batch(&layout(), &to_record_batch(&plain).unwrap()).unwrap();
        assert!(back == plain);
    }

    #[test]
    fn a_surname_column_is_refused_by_name() {
        let record = to_record_batch(&batch()).unwrap();
        let mut fields: Vec<_> = record.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("surname", DataType::Utf8, true)));
        let mut columns = record.columns().to_vec();
        columns.push(Arc::new(StringArray::from(vec!["a", "b"])));
        let record = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let error = from_record_batch(&layout(), &record).unwrap_err();
        assert_eq!(error, ArrowFormError::UnknownColumn("surname".into()));
    }

    #[test]
    fn tags_above_their_length_are_refused() {
        let mut bad = batch();
        bad.slots[1].tags = Some(vec![3, 16]);
        let bytes = write_stream(&bad).unwrap();
        let error = read_stream(&layout(), &bytes, 9).unwrap_err();
        assert_eq!(error, ArrowFormError::Tag { column: "a.1.tag".into(), row: 2 });
    }

    #[test]
    fn no_damage_to_a_stream_panics_or_passes_unseen() {
        let bytes = write_stream(&batch()).unwrap();
        for at in 0..bytes.len() {
            // A damaged filter is a valid filter of another child: chunk digests catch that. Here only
            // that nothing panics past the guard, and that what is accepted has the layout's shape.
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x41;
            if let Ok(read) = read_stream(&layout(), &damaged, 8) {
                assert!(read.check().is_ok());
            }
            // Cut at a message's end a stream is a shorter one; the receiver compares counts.
            if let Ok(read) = read_stream(&layout(), &bytes[..at], 8) {
                assert!(read.is_empty() || read == batch());
            }
        }
    }

    #[test]
    fn the_digest_does_not_depend_on_how_records_are_cut() {
        let whole = batch();
        let mut twice = batch();
        twice.append(batch());
        let mut hasher = blake3::Hasher::new();
        whole.update_digest(&mut hasher);
        whole.update_digest(&mut hasher);
        assert_eq!(twice.content_digest().as_bytes(), hasher.finalize().as_bytes());
    }
}
