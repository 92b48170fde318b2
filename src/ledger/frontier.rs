//! The growing edge of the tree: all that an append needs, at most 64 hashes.

use super::{empty_root, node_hash};
use crate::wire::ContentDigest;

/// Where a hash stands: the root of the perfect subtree over leaves `index << level .. (index + 1) << level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Height above the leaves, 0 to 63.
    pub level: u8,
    /// Position from the left in its level.
    pub index: u64,
}

impl NodeId {
    /// Nine bytes that sort by level, then position: a store's key.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 9] {
        let mut bytes = [self.level; 9];
        bytes[1..].copy_from_slice(&self.index.to_be_bytes());
        bytes
    }
}

/// The perfect subtrees of a tree of [`Frontier::size`] leaves, highest first: one per set bit of the size.
///
/// Appending costs one hash on average and at most 63; no earlier leaf is read again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<ContentDigest>,
}

/// The bytes are not a frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger's saved edge is damaged: it has the wrong length for its size; restore the store")]
pub struct FrontierError;

impl Frontier {
    /// Most leaves a frontier takes.
    pub const SIZE_MAX: u64 = 1 << 62;

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf. Returns every perfect subtree this completes, the leaf itself first, for a store that
    /// serves proofs ([`super::NodeSource`]): two on average.
    pub fn append(&mut self, leaf: ContentDigest) -> Vec<(NodeId, ContentDigest)> {
        let mut id = NodeId { level: 0, index: self.size };
        let mut hash = leaf;
        let mut completed = vec![(id, hash)];
        while id.index & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = node_hash(&left, &hash);
            id = NodeId { level: id.level + 1, index: id.index >> 1 };
            completed.push((id, hash));
        }
        self.peaks.push(hash);
        self.size += 1;
        completed
    }

    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> ContentDigest {
        let smallest_first = self.peaks.iter().rev().copied();
        smallest_first.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }

    /// The size as little-endian `u64`, then the hashes, highest first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_le_bytes().to_vec();
        for peak in &self.peaks {
            bytes.extend_from_slice(peak.as_bytes());
        }
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`FrontierError`] if the length does not fit the size. Whether the hashes are the right ones is
    /// shown by the signed checkpoint of the same size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, hashes) = bytes.split_first_chunk::<8>().ok_or(FrontierError)?;
        let size = u64::from_le_bytes(*size);
        let (peaks, rest) = hashes.as_chunks::<{ ContentDigest::LEN }>();
        let expected = usize::try_from(size.count_ones()).map_err(|_| FrontierError)?;
        if size > Self::SIZE_MAX || peaks.len() != expected || !rest.is_empty() {
            return Err(FrontierError);
        }
        Ok(Self { size, peaks: peaks.iter().map(|bytes| ContentDigest::from_bytes(*bytes)).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::leaf_hash;

    /// RFC 6962 section 2.1, word for word, as the oracle.
    pub(crate) fn root_by_definition(leaves: &[ContentDigest]) -> ContentDigest {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(split);
                node_hash(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    #[test]
    fn grows_as_the_definition_says_and_survives_being_saved() {
        let mut frontier = Frontier::default();
        let mut leaves = Vec::new();
        for n in 0..=300u32 {
            assert_eq!(frontier.root(), root_by_definition(&leaves), "size {n}");
            frontier = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
            leaves.push(leaf_hash(&n.to_le_bytes()));
            frontier.append(leaves[leaves.len() - 1]);
        }
    }

    #[test]
    fn every_completed_subtree_is_handed_out_once() {
        let mut frontier = Frontier::default();
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..64u32 {
            for (id, _) in frontier.append(leaf_hash(&n.to_le_bytes())) {
                assert!(seen.insert(id));
            }
        }
        assert_eq!(seen.len(), 127);
    }

    #[test]
    fn damaged_edges_are_refused() {
        let mut frontier = Frontier::default();
        (0..5u8).for_each(|n| drop(frontier.append(leaf_hash(&[n]))));
        let bytes = frontier.to_bytes();
        assert!(Frontier::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(Frontier::from_bytes(&[]).is_err());
        let mut other_size = bytes.clone();
        other_size[0] = 7;
        assert!(Frontier::from_bytes(&other_size).is_err());
        let mut huge = bytes;
        huge[7] = 0xff;
        assert!(Frontier::from_bytes(&huge).is_err());
    }
}
