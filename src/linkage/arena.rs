//! The datasets of a run in memory: one contiguous, row-major table of filters per view.

use crate::wire::{AgencyId, EncodingBatch, Layout, RecordRef};
use std::sync::Arc;

/// Filters of one length, row after row, in 64-bit words (bit i = bit `i % 64` of word `i / 64`).
#[derive(Clone, PartialEq, Eq)]
pub struct FilterTable {
    words: Vec<u64>,
    words_per_row: usize,
}

impl FilterTable {
    /// A table over `words`, `words_per_row` a row.
    ///
    /// # Panics
    /// When `words` is not a whole number of rows or `words_per_row` is 0.
    #[must_use]
    pub fn new(words: Vec<u64>, words_per_row: usize) -> Self {
        assert!(words_per_row > 0 && words.len().is_multiple_of(words_per_row), "whole rows only");
        Self { words, words_per_row }
    }
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.words.len() / self.words_per_row
    }
    /// Words a row.
    #[must_use]
    pub fn words_per_row(&self) -> usize {
        self.words_per_row
    }
    /// Filter length in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        64 * self.words_per_row
    }
    /// All words.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }
    /// The words of one row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[u64] {
        &self.words[row * self.words_per_row..(row + 1) * self.words_per_row]
    }
}

/// One view of one dataset: row `record * slots + slot`.
#[derive(Clone, PartialEq, Eq)]
pub struct ViewTable {
    /// Filters, `slots` rows a record.
    pub filters: FilterTable,
    /// Rows a record.
    pub slots: usize,
    /// Tags, one a row, where the view has them.
    pub tags: Option<Vec<u32>>,
}

/// One agency's current encodings, ready to be linked. Record numbers are positions in `refs`.
#[derive(Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Whose records these are.
    pub agency: AgencyId,
    /// Shape of each encoding.
    pub layout: Arc<Layout>,
    /// One ref a record.
    pub refs: Vec<RecordRef>,
    /// One table per view of the layout.
    pub views: Vec<ViewTable>,
    /// Presence mask, one a record, where the layout has it.
    pub presence: Option<Vec<u32>>,
    /// Exact tokens: one column per token of the layout.
    pub exact: Vec<Vec<Option<[u8; 16]>>>,
}

impl Dataset {
    /// Turns a batch's columns into tables (a view's slots side by side).
    #[must_use]
    pub fn from_batch(agency: AgencyId, batch: &EncodingBatch) -> Self {
        let mut next = 0;
        let views = batch.layout.views().iter().map(|view| {
            let slots = usize::from(view.slots);
            let columns = &batch.slots[next..next + slots];
            next += slots;
            let words_per_row = view.bits as usize / 64;
            let mut words = Vec::with_capacity(batch.len() * slots * words_per_row);
            let mut tags = view.tag.map(|_| Vec::with_capacity(batch.len() * slots));
            for record in 0..batch.len() {
                for column in columns {
                    let bytes = &column.filters[record * words_per_row * 8..(record + 1) * words_per_row * 8];
                    let (chunks, _) = bytes.as_chunks::<8>();
                    words.extend(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)));
                    if let (Some(tags), Some(theirs)) = (&mut tags, &column.tags) {
                        tags.push(theirs[record]);
                    }
                }
            }
            ViewTable { filters: FilterTable::new(words, words_per_row), slots, tags }
        });
        Self {
            agency,
            layout: Arc::clone(&batch.layout),
            views: views.collect(),
            refs: batch.refs.clone(),
            presence: batch.presence.clone(),
            exact: batch.exact.iter().map(|column| column.tokens.clone()).collect(),
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
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dataset({}, {} records)", self.agency, self.len())
    }
}
