//! CLEAR ROOM: sees identifiers and the linkage key. Reads extracts, normalises, encodes, submits.
//!
//! May see: wire. Must not see: linkage, store, service, the ledger's writer.

mod cache;
pub mod ceremony;
pub mod check;
pub mod client;
mod diffuse;
pub mod encoder;
pub mod file;
mod filter;
mod foci;
pub mod key;
pub mod keyfile;
mod lanes;
pub mod legacy;
pub mod mapping;
pub mod names;
pub mod normalise;
mod plan;
pub mod propose;
pub mod reader;
pub mod record;
mod salts;
pub mod schema;
pub mod selftest;
pub mod submit;
mod tokens;
mod worker;
pub mod workspace;
