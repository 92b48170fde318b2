//! The tree's three hashes. RFC 6962 section 2.1 with BLAKE3 in the place of SHA-256.
//!
//! A leaf is `BLAKE3(0x00 || entry)`, an inner node `BLAKE3(0x01 || left || right)`, the root of the empty
//! tree `BLAKE3("")`. The first byte keeps a leaf from passing for a node (second preimages).

use crate::wire::ContentDigest;

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// Hash of an entry's canonical bytes.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> ContentDigest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[LEAF]).update(entry);
    ContentDigest::from_bytes(*hasher.finalize().as_bytes())
}

/// Hash of two subtrees, left first.
#[must_use]
pub fn node_hash(left: &ContentDigest, right: &ContentDigest) -> ContentDigest {
    let mut bytes = [NODE; 1 + 2 * ContentDigest::LEN];
    bytes[1..=ContentDigest::LEN].copy_from_slice(left.as_bytes());
    bytes[1 + ContentDigest::LEN..].copy_from_slice(right.as_bytes());
    ContentDigest::of(&bytes)
}

/// Root of the tree without entries.
#[must_use]
pub fn empty_root() -> ContentDigest {
    ContentDigest::of(&[])
}
