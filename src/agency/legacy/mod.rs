//! Profile `legacy-clk`: clkhash 0.18.3 bit for bit, so that data encoded elsewhere can be linked here
//! and our encodings can be checked against an independent implementation.
//!
//! May see: wire. Must not see: the project's own encoder and key (nothing here protects children's
//! data by today's standard: one filter per record, no salt, SHA-1 and MD5 in `doubleHash`).
//!
//! A linkage schema of version 1, 2 or 3 is checked by the rules of its version, converted upwards and
//! parsed ([`LegacySchema`]). A [`LegacySecret`] is stretched by HKDF into two keys per column. Each
//! column's value is checked, normalised, cut into tokens, and each token sets bits of one filter of
//! `l * 2^folds` bits, which is folded to `l`. [`encode()`] does it for a CSV, [`encode_json`] from reader
//! to writer, [`import_clks`] and [`batch`] take anybody's `{"clks": [...]}` to the linker.
//!
//! Facts of clkhash that are kept though they surprise: the number of folds is read from `xor_folds`
//! while its schema documents (and ignores) `xorFolds`; utf-16 and utf-32 tokens each carry a byte order
//! mark; ignored columns consume keys; years below 1000 lose their zeros; fractional digits of a numeric
//! comparison are read from `fractional_precision` only; v1 weight 0 means ignored.

mod check;
mod clks;
mod convert;
mod date;
mod encode;
mod error;
mod field;
mod filter;
mod key;
mod pattern;
mod python;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod tokens;

pub use clks::{Clk, ImportLimits, batch, export_clks, header, import_clks};
pub use encode::{Header, LegacyEncoder, Options, encode, encode_json};
pub use error::{EntryFault, LegacyError};
pub use key::LegacySecret;
pub use schema::LegacySchema;
