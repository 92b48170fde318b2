//! PURE: the tamper-evident log of who asked what, why, and what class of answer was given.
//!
//! May see: wire. Must not see: files, network, clock, randomness, printing. Time and blinding bytes come
//! from the caller, keys as bytes.
//!
//! Top-down: [`Entry`] is one act in canonical bytes; [`Frontier`] appends it to a Merkle tree in the shape
//! of RFC 6962 with BLAKE3 ([`leaf_hash`], [`node_hash`]); [`Checkpoint`] is the signed size and root;
//! [`prove_inclusion`] and [`prove_consistency`] show that an entry stands in the tree and that a tree only
//! grew; [`Witness`] is a second agency that signs only what it saw grow; [`ExportWriter`] and
//! [`ExportVerifier`] carry a log to somebody who trusts nobody at the centre.
//!
//! Sizes are 64-bit numbers; nothing here grows with the log but the caller's store.

mod checkpoint;
mod entry;
mod export;
mod frontier;
mod hash;
mod hex;
mod keys;
mod memory;
mod proof;
mod verify;
mod witness;

pub use checkpoint::{
    Checkpoint, CheckpointError, Cosignature, LogName, PublishedCheckpoint, SignedCheckpoint,
};
pub use entry::{Act, Actor, CaseKey, Entry, EntryError, Scope, Word};
pub use export::{EXPORT_FORMAT, EXPORT_VERSION, ExportError, ExportHeader, ExportWriter, LINE_BYTES_MAX};
pub use frontier::{Frontier, FrontierError, NodeId};
pub use hash::{empty_root, leaf_hash, node_hash};
pub use hex::Hex;
pub use keys::{KeyError, LogKey, LogSigner};
pub use memory::MemoryTree;
pub use proof::{
    Consistency, Inclusion, NodeSource, ProofError, prove_consistency, prove_inclusion, root_at,
};
pub use verify::{EntryProof, ExportVerifier, Trusted, Verified, prove, verify};
pub use witness::{Witness, WitnessError};
