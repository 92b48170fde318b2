//! How identifiers become an encoding: versioned, linted, with a fingerprint.
//!
//! May see: wire, the record. Must not see: keys, files, the network.

pub mod fields;

pub use fields::{FieldKind, FieldSpec};
