//! A batch of encodings as columns: what files, the wire, the store and the engine all carry.

use super::{AttributeName, ContentDigest, Layout, Payload, RecordRef};
use std::sync::Arc;

/// One slot of every record: `bits / 8` bytes a record, bit i of a filter = bit `i % 8` of byte `i / 8`.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotColumn {
    /// Filters, row after row.
    pub filters: Vec<u8>,
    /// Tags, one a row, where the view has them.
    pub tags: Option<Vec<u32>>,
}

/// One exact token of every record.
#[derive(Clone, PartialEq, Eq)]
pub struct ExactColumn {
    /// Which token.
    pub attribute: AttributeName,
    /// Keyed BLAKE3 of the normalised value, or none where it is missing.
    pub tokens: Vec<Option<[u8; 16]>>,
}

/// Encodings of one dataset, in one order, column by column.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodingBatch {
    /// Shape of each encoding.
    pub layout: Arc<Layout>,
    /// One ref a record.
    pub refs: Vec<RecordRef>,
    /// One column per slot, in the order of [`Layout::slots`].
    pub slots: Vec<SlotColumn>,
    /// Presence mask, one a record, where the layout has it: bits of [`super::presence`].
    pub presence: Option<Vec<u32>>,
    /// One column per exact token of the layout, in its order.
    pub exact: Vec<ExactColumn>,
    /// One payload a record where the layout lists any column, else empty.
    pub payload: Vec<Payload>,
    /// Local ids, one a record: synthetic data only (`--plain-ids`).
    pub local_ids: Option<Vec<String>>,
}

/// Why columns do not make a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column '{column}' has {found} rows or bytes where {expected} belong")]
pub struct BatchError {
    /// The column.
    pub column: String,
    /// What it has.
    pub found: usize,
    /// What it should have.
    pub expected: usize,
}

/// Bytes of rows hashed together, at least.
const DIGEST_RUN_BYTES: usize = 64 << 10;

impl EncodingBatch {
    /// An empty batch of a layout.
    #[must_use]
    pub fn empty(layout: Arc<Layout>) -> Self {
        let slots = layout
            .slots()
            .map(|(view, _)| SlotColumn { filters: Vec::new(), tags: view.tag.map(|_| Vec::new()) })
            .collect();
        let exact = layout.exact().iter();
        let exact = exact.map(|attribute| ExactColumn { attribute: attribute.clone(), tokens: Vec::new() });
        Self {
            refs: Vec::new(),
            slots,
            presence: layout.presence().then(Vec::new),
            exact: exact.collect(),
            payload: Vec::new(),
            local_ids: None,
            layout,
        }
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.refs.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// The filter of record `row` in slot column `slot` (of [`Layout::slots`]).
    #[must_use]
    pub fn filter(&self, slot: usize, row: usize) -> &[u8] {
        let column = &self.slots[slot].filters;
        let bytes = column.len() / self.refs.len().max(1);
        &column[row * bytes..(row + 1) * bytes]
    }

    /// Checks that every column has as many rows as there are refs and as many columns as the layout.
    ///
    /// # Errors
    /// [`BatchError`] names the first column that does not fit.
    pub fn check(&self) -> Result<(), BatchError> {
        let n = self.len();
        let same = |column: &str, found: usize, expected: usize| {
            if found == expected {
                Ok(())
            } else {
                Err(BatchError { column: column.to_owned(), found, expected })
            }
        };
        same("slots", self.slots.len(), self.layout.slots().count())?;
        for ((view, k), column) in self.layout.slots().zip(&self.slots) {
            let name = format!("{}.{k}", view.name);
            same(&name, column.filters.len(), n * view.bits as usize / 8)?;
            let tags = column.tags.as_ref().map_or(0, Vec::len);
            same(&format!("{name}.tag"), tags, if view.tag.is_some() { n } else { 0 })?;
        }
        let presence = self.presence.as_ref().map_or(0, Vec::len);
        same("presence", presence, if self.layout.presence() { n } else { 0 })?;
        same("exact", self.exact.len(), self.layout.exact().len())?;
        for (column, attribute) in self.exact.iter().zip(self.layout.exact()) {
            same(&format!("exact.{attribute}"), column.tokens.len(), n)?;
        }
        same("payload", self.payload.len(), if self.layout.payload().is_empty() { 0 } else { n })?;
        same("local_id", self.local_ids.as_ref().map_or(n, Vec::len), n)
    }

    /// The `records` records from row `start`, or as many as there are.
    #[must_use]
    pub fn slice(&self, start: usize, records: usize) -> Self {
        let rows = start.min(self.len())..start.saturating_add(records).min(self.len());
        self.select(&rows.collect::<Vec<_>>())
    }

    /// The records at `rows`, in that order.
    ///
    /// # Panics
    /// When a row is out of range.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let rows: Vec<(usize, usize)> = rows.iter().map(|row| (0, *row)).collect();
        Self::select_from(std::slice::from_ref(self), &rows)
            .unwrap_or_else(|| Self::empty(Arc::clone(&self.layout)))
    }

    /// Records of several batches of one layout, each by the number of its batch and its row there, in that order; none
    /// of no batch.
    ///
    /// # Panics
    /// When a batch or a row is out of range.
    #[must_use]
    pub fn select_from(batches: &[Self], rows: &[(usize, usize)]) -> Option<Self> {
        let first = batches.first()?;
        // Column by column: a processor fetches many rows of one column at once.
        let slots =
            first.slots.iter().zip(first.layout.slots()).enumerate().map(|(slot, (column, (view, _)))| {
                let bytes = view.bits as usize / 8;
                let mut filters = Vec::with_capacity(rows.len() * bytes);
                for &(batch, row) in rows {
                    filters.extend_from_slice(
                        &batches[batch].slots[slot].filters[row * bytes..(row + 1) * bytes],
                    );
                }
                let tag =
                    |&(batch, row): &(usize, usize)| Some(batches[batch].slots[slot].tags.as_ref()?[row]);
                let tags = column.tags.as_ref().map(|_| rows.iter().filter_map(tag).collect());
                SlotColumn { filters, tags }
            });
        let exact = first.exact.iter().enumerate().map(|(number, column)| ExactColumn {
            attribute: column.attribute.clone(),
            tokens: rows.iter().map(|(batch, row)| batches[*batch].exact[number].tokens[*row]).collect(),
        });
        let mask = |&(batch, row): &(usize, usize)| Some(batches[batch].presence.as_ref()?[row]);
        let id = |&(batch, row): &(usize, usize)| Some(batches[batch].local_ids.as_ref()?[row].clone());
        let payload = if first.layout.payload().is_empty() { &[][..] } else { rows };
        Some(Self {
            layout: Arc::clone(&first.layout),
            refs: rows.iter().map(|(batch, row)| batches[*batch].refs[*row]).collect(),
            slots: slots.collect(),
            presence: first.presence.as_ref().map(|_| rows.iter().filter_map(mask).collect()),
            exact: exact.collect(),
            payload: payload.iter().map(|(batch, row)| batches[*batch].payload[*row]).collect(),
            local_ids: first.local_ids.as_ref().map(|_| rows.iter().filter_map(id).collect()),
        })
    }

    /// Appends the records of `other`, which has the same layout.
    pub fn append(&mut self, other: Self) {
        self.refs.extend(other.refs);
        for (mine, theirs) in self.slots.iter_mut().zip(other.slots) {
            mine.filters.extend(theirs.filters);
            if let (Some(mine), Some(theirs)) = (&mut mine.tags, theirs.tags) {
                mine.extend(theirs);
            }
        }
        if let (Some(mine), Some(theirs)) = (&mut self.presence, other.presence) {
            mine.extend(theirs);
        }
        for (mine, theirs) in self.exact.iter_mut().zip(other.exact) {
            mine.tokens.extend(theirs.tokens);
        }
        self.payload.extend(other.payload);
        if let Some(theirs) = other.local_ids {
            self.local_ids.get_or_insert_default().extend(theirs);
        }
    }

    /// Feeds each record, in order, into `hasher`: ref, then per slot filter and tag, presence, exact
    /// tokens, payload as text. Independent of how the records are cut into batches.
    pub fn update_digest(&self, hasher: &mut blake3::Hasher) {
        // The hash is several times quicker on long runs than on one row after the other.
        let mut row_bytes = Vec::with_capacity(DIGEST_RUN_BYTES + self.layout.encoding_bytes() + 256);
        for row in 0..self.len() {
            row_bytes.extend_from_slice(self.refs[row].as_bytes());
            for (slot, column) in self.slots.iter().enumerate() {
                row_bytes.extend_from_slice(self.filter(slot, row));
                if let Some(tags) = &column.tags {
                    row_bytes.extend_from_slice(&tags[row].to_le_bytes());
                }
            }
            if let Some(presence) = &self.presence {
                row_bytes.extend_from_slice(&presence[row].to_le_bytes());
            }
            for column in &self.exact {
                row_bytes.push(u8::from(column.tokens[row].is_some()));
                row_bytes.extend_from_slice(&column.tokens[row].unwrap_or_default());
            }
            if let Some(payload) = self.payload.get(row) {
                payload.push_bytes(&mut row_bytes);
            }
            if row_bytes.len() >= DIGEST_RUN_BYTES || row + 1 == self.len() {
                hasher.update(&row_bytes);
                row_bytes.clear();
            }
        }
    }

    /// The digest of these records alone.
    #[must_use]
    pub fn content_digest(&self) -> ContentDigest {
        let mut hasher = blake3::Hasher::new();
        self.update_digest(&mut hasher);
        ContentDigest::from_bytes(*hasher.finalize().as_bytes())
    }
}

impl std::fmt::Debug for EncodingBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EncodingBatch({} records, {} slots)", self.len(), self.slots.len())
    }
}

impl Payload {
    fn push_bytes(&self, out: &mut Vec<u8>) {
        for text in [self.record_type, self.area_code, self.age_band] {
            let text = text.as_ref().map_or("", |text| text.as_str());
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        }
        for month in [self.last_seen, self.expiry] {
            out.extend_from_slice(&month.map_or(0, u32::from).to_le_bytes());
        }
        out.push(self.visibility.map_or(0, |visibility| visibility as u8 + 1));
    }
}
