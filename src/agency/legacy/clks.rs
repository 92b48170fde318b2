//! CLKs and their JSON: `{"clks": ["base64", ...]}`, as clkhash writes and anonlink reads it.
//!
//! May see: encodings. Must not see: records, secrets. A CLK file names no record: CLK i belongs to record i.

use super::error::LegacyError;
use crate::wire::{
    AgencyId, AttributeName, DecisionModel, EncodingBatch, EncodingHeader, Epoch, FORMAT_VERSION, IdError,
    KeyCheckValue, Layout, LayoutError, Profile, ProjectId, RecordRef, SchemaFingerprint, Segment,
    SlotColumn, View, ViewName,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufWriter, Read, Write};
use std::sync::Arc;

/// One encoding: `bits` bits, bit i = bit `7 - i % 8` of byte `i / 8`, the last byte filled up with zeros.
#[derive(Clone, PartialEq, Eq)]
pub struct Clk {
    bits: u32,
    bytes: Box<[u8]>,
}

impl Clk {
    pub(super) fn new(bits: u32, bytes: Vec<u8>) -> Self {
        Self { bits, bytes: bytes.into() }
    }

    /// Length in bits; of an imported CLK a multiple of eight, as base64 cannot say more.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The bytes, big-endian within each byte.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Base64 with padding, as CLK JSON carries it.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.bytes)
    }
}

impl std::fmt::Debug for Clk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clk({} bits)", self.bits)
    }
}

/// Bounds of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportLimits {
    /// Bytes of the file.
    pub file_bytes_max: u64,
    /// CLKs in it.
    pub clks_max: usize,
}

impl Default for ImportLimits {
    /// 4 GiB and ten million CLKs.
    fn default() -> Self {
        Self { file_bytes_max: 4 << 30, clks_max: 10_000_000 }
    }
}

/// Writes `{"clks": [...]}`.
///
/// # Errors
/// A failed write.
pub fn export_clks(clks: &[Clk], out: impl Write) -> Result<(), LegacyError> {
    let failed = |error: std::io::Error| LegacyError::io("write the CLKs", &error);
    let mut out = BufWriter::new(out);
    out.write_all(b"{\"clks\": [").map_err(failed)?;
    for (at, clk) in clks.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(out, "{comma}\"{}\"", clk.to_base64()).map_err(failed)?;
    }
    out.write_all(b"]}").and_then(|()| out.flush()).map_err(failed)
}

/// Reads `{"clks": [...]}`: every CLK padded base64, all of one length.
///
/// # Errors
/// [`LegacyError::TooLong`] beyond `limits`, [`LegacyError::ClkFile`] for another shape, [`LegacyError::Clk`] naming
/// the first CLK that is not base64 or has another length.
pub fn import_clks(file: impl Read, limits: ImportLimits) -> Result<Vec<Clk>, LegacyError> {
    let mut bytes = Vec::new();
    let read = file.take(limits.file_bytes_max.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| LegacyError::io("read the CLKs", &error))?;
    if bytes.len() as u64 > limits.file_bytes_max {
        return Err(LegacyError::TooLong { what: "the CLK file", max: limits.file_bytes_max, unit: "bytes" });
    }
    let form: ClkFile = serde_json::from_slice(&bytes).map_err(|error| LegacyError::ClkFile {
        rule: format!(
            "line {}, column {}: must be an object with a list of texts under 'clks'",
            error.line(),
            error.column()
        ),
    })?;
    if form.clks.len() > limits.clks_max {
        return Err(LegacyError::TooLong { what: "the CLK file", max: limits.clks_max as u64, unit: "CLKs" });
    }
    let mut clks: Vec<Clk> = Vec::with_capacity(form.clks.len());
    for (row, text) in form.clks.iter().enumerate() {
        let bytes =
            STANDARD.decode(text.as_bytes()).map_err(|_| LegacyError::Clk { row, rule: "must be base64" })?;
        if bytes.is_empty() || clks.first().is_some_and(|first| first.bytes.len() != bytes.len()) {
            return Err(LegacyError::Clk {
                row,
                rule: "must have the length of the first, and at least one byte",
            });
        }
        let bits =
            u32::try_from(bytes.len() * 8).map_err(|_| LegacyError::Clk { row, rule: "is too long" })?;
        clks.push(Clk::new(bits, bytes));
    }
    Ok(clks)
}

/// The file; other keys beside `clks` are let pass, as anonlink does.
#[derive(serde::Deserialize)]
struct ClkFile<'a> {
    #[serde(borrow)]
    clks: Vec<std::borrow::Cow<'a, str>>,
}

/// CLKs as columns for the linker: one view `record` of one slot of one segment, filled up with zero bits to
/// a multiple of 64 (Dice does not see them), bits in the order of [`SlotColumn`]. A CLK file names no
/// record, so ref and local id of CLK i are its row number i, from 0.
///
/// # Errors
/// [`LegacyError::Layout`] where there is no CLK, they differ in length, or they are above 16,384 bits.
pub fn batch(clks: &[Clk]) -> Result<EncodingBatch, LegacyError> {
    let refused = |rule: &str| LegacyError::Layout { rule: rule.to_owned() };
    let first = clks.first().ok_or_else(|| refused("there is none"))?;
    if clks.iter().any(|clk| clk.bits != first.bits) {
        return Err(refused("they differ in length"));
    }
    let layout = layout(first.bits.next_multiple_of(64))?;
    let stride = layout.encoding_bytes();
    let mut filters = vec![0u8; stride * clks.len()];
    for (row, clk) in filters.chunks_exact_mut(stride).zip(clks) {
        row.iter_mut().zip(&clk.bytes).for_each(|(out, byte)| *out = byte.reverse_bits());
    }
    let row_ref = |row: usize| RecordRef::from_bytes((row as u128).to_be_bytes());
    Ok(EncodingBatch {
        refs: (0..clks.len()).map(row_ref).collect(),
        slots: vec![SlotColumn { filters, tags: None }],
        local_ids: Some((0..clks.len()).map(|row| row.to_string()).collect()),
        ..EncodingBatch::empty(Arc::new(layout))
    })
}

fn layout(bits: u32) -> Result<Layout, LegacyError> {
    let name = |error: IdError| LegacyError::Layout { rule: error.to_string() };
    let attribute: AttributeName = "record".parse().map_err(name)?;
    let view: ViewName = "record".parse().map_err(name)?;
    let segments = vec![Segment { attribute, start: 0, bits }];
    let view = View { name: view, slots: 1, bits, segments, tag: None };
    Layout::new(Profile::LegacyClk, vec![view], false, Vec::new(), Vec::new())
        .map_err(|error: LayoutError| LegacyError::Layout { rule: error.to_string() })
}

/// A header for a batch of [`batch`]. CLK JSON says neither schema nor key: the fingerprint covers the length
/// alone and the key check value is zero, so that CLKs meet CLKs of one length and nothing else.
#[must_use]
pub fn header(
    agency: AgencyId,
    project: ProjectId,
    batch: &EncodingBatch,
    decision: DecisionModel,
) -> EncodingHeader {
    let bits = 8 * batch.layout.encoding_bytes();
    let schema = format!("clkhash CLK, {bits} bits");
    EncodingHeader {
        format_version: FORMAT_VERSION,
        agency,
        project,
        epoch: Epoch::FIRST,
        schema_fingerprint: SchemaFingerprint::from_bytes(*blake3::hash(schema.as_bytes()).as_bytes()),
        schema,
        key_check: KeyCheckValue::from_bytes([0; 16]),
        layout: (*batch.layout).clone(),
        decision,
        records: batch.len() as u64,
        plain_ids: true,
        content: batch.content_digest(),
    }
}
