//! Rows of a batch of encodings: some of them, and how long one is.

use crate::wire::{EncodingBatch, ExactColumn, Layout, SlotColumn};
use std::sync::Arc;

/// An upper bound of the bytes of one stored row, with its share of the stream's framing.
pub(super) fn bytes_per_row(layout: &Layout) -> usize {
    let tags = layout.slots().filter(|(view, _)| view.tag.is_some()).count() * 4;
    let exact = layout.exact().len() * 17;
    let payload = layout.payload().len() * 29;
    16 + layout.encoding_bytes() + tags + 4 + exact + payload
}

/// The given rows, in the given order.
pub(super) fn select(batch: &EncodingBatch, rows: &[usize]) -> EncodingBatch {
    let slots = batch.slots.iter().enumerate().map(|(slot, column)| SlotColumn {
        filters: rows.iter().flat_map(|row| batch.filter(slot, *row)).copied().collect(),
        tags: column.tags.as_ref().map(|tags| rows.iter().map(|row| tags[*row]).collect()),
    });
    let exact = batch.exact.iter().map(|column| ExactColumn {
        attribute: column.attribute.clone(),
        tokens: rows.iter().map(|row| column.tokens[*row]).collect(),
    });
    let payload = if batch.payload.is_empty() { &[][..] } else { rows };
    EncodingBatch {
        layout: Arc::clone(&batch.layout),
        refs: rows.iter().map(|row| batch.refs[*row]).collect(),
        slots: slots.collect(),
        presence: batch.presence.as_ref().map(|masks| rows.iter().map(|row| masks[*row]).collect()),
        exact: exact.collect(),
        payload: payload.iter().map(|row| batch.payload[*row]).collect(),
        local_ids: None,
    }
}
