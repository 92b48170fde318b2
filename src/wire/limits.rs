//! Bounds checked before anything is parsed. Units stand last in each name.

/// Shortest and longest filter, in bits; every length is a multiple of 64.
pub const FILTER_BITS_MIN: u32 = 64;
/// Longest filter, in bits.
pub const FILTER_BITS_MAX: u32 = 16_384;
/// Views of one layout.
pub const VIEWS_MAX: usize = 32;
/// Slots of one view.
pub const SLOTS_PER_VIEW_MAX: u8 = 8;
/// Segments of one slot.
pub const SEGMENTS_MAX: usize = 16;
/// Bytes of one encoding over all its slots.
pub const ENCODING_BYTES_MAX: usize = 16_384;
/// Records of one dataset.
pub const DATASET_RECORDS_MAX: u64 = 100_000_000;
/// Records of one uploaded chunk.
pub const CHUNK_RECORDS_MAX: usize = 8_192;
/// Bytes of one uploaded chunk's body (an Arrow stream).
pub const CHUNK_BODY_BYTES_MAX: usize = 4 << 20;
/// Bytes of one JSON body.
pub const JSON_BODY_BYTES_MAX: usize = 256 << 10;
/// Bytes of one value in the store: larger ones become files that sled never reclaims.
pub const STORE_VALUE_BYTES_MAX: usize = 64 << 10;
/// Agencies of one project.
pub const AGENCIES_MAX: usize = 64;
/// Columns of a CSV extract.
pub const CSV_COLUMNS_MAX: usize = 1_024;
/// Bytes of one CSV record.
pub const CSV_RECORD_BYTES_MAX: usize = 1 << 20;
/// Bytes of a schema, mapping or configuration file.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;
