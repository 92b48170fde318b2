//! How long a stored row of encodings is.

use crate::wire::Layout;

/// An upper bound of the bytes of one stored row, with its share of the stream's framing.
pub(super) fn bytes_per_row(layout: &Layout) -> usize {
    let tags = layout.slots().filter(|(view, _)| view.tag.is_some()).count() * 4;
    let exact = layout.exact().len() * 17;
    let payload = layout.payload().len() * 29;
    16 + layout.encoding_bytes() + tags + 4 + exact + payload
}
