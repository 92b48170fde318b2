//! Inclusion and consistency proofs: RFC 6962 sections 2.1.1 and 2.1.2; verification as RFC 9162 sections
//! 2.1.3.2 and 2.1.4.2.

use super::{NodeId, empty_root, node_hash};
use crate::wire::ContentDigest;
use serde::{Deserialize, Serialize};

/// Where the hashes of perfect subtrees come from: a store, or [`super::MemoryTree`].
pub trait NodeSource {
    /// The hash [`super::Frontier::append`] handed out for `id`, or `None` if there is none.
    fn node(&self, id: NodeId) -> Option<ContentDigest>;
}

/// Shows that a leaf stands at `index` of the tree of `size` leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// Position of the leaf, from 0.
    pub index: u64,
    /// Leaves of the tree.
    pub size: u64,
    /// Siblings from the leaf to the root, at most 63.
    pub path: Vec<ContentDigest>,
}

/// Shows that the tree of `old_size` leaves is the beginning of the tree of `new_size` leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    /// Leaves of the older tree.
    pub old_size: u64,
    /// Leaves of the newer tree.
    pub new_size: u64,
    /// Subtrees that make up both, at most 64.
    pub path: Vec<ContentDigest>,
}

/// Why a proof could not be made or does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Asked about a leaf or a tree that is not there.
    #[error("entry or size {asked} lies beyond the ledger's {size} entries")]
    Beyond {
        /// What was asked for.
        asked: u64,
        /// Leaves there are.
        size: u64,
    },
    /// The store lost a subtree.
    #[error("the ledger lacks the hash at level {level}, position {index}: run the store check")]
    Missing {
        /// Height above the leaves.
        level: u8,
        /// Position in its level.
        index: u64,
    },
    /// The path does not lead from the leaf to the root.
    #[error(
        "the inclusion proof of entry {index} does not lead to the signed root: entry or ledger was changed"
    )]
    NotIncluded {
        /// Position of the leaf.
        index: u64,
    },
    /// The newer tree is no continuation of the older one.
    #[error("the ledger of {new_size} entries does not continue the one of {old_size}: history was changed")]
    NotConsistent {
        /// Leaves of the older tree.
        old_size: u64,
        /// Leaves of the newer tree.
        new_size: u64,
    },
}

/// Makes the proof that leaf `index` stands in the tree of `size` leaves; reads at most `2 log2(size)` nodes.
///
/// # Errors
/// [`ProofError::Beyond`], [`ProofError::Missing`].
pub fn prove_inclusion(nodes: &impl NodeSource, index: u64, size: u64) -> Result<Inclusion, ProofError> {
    if index >= size {
        return Err(ProofError::Beyond { asked: index, size });
    }
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let split = start + left_width(end - start);
        if index < split {
            path.push(subtree(nodes, split, end)?);
            end = split;
        } else {
            path.push(subtree(nodes, start, split)?);
            start = split;
        }
    }
    path.reverse();
    Ok(Inclusion { index, size, path })
}

/// Makes the proof that the tree of `new_size` leaves continues the tree of `old_size` leaves.
///
/// # Errors
/// [`ProofError::Beyond`], [`ProofError::Missing`].
pub fn prove_consistency(
    nodes: &impl NodeSource,
    old_size: u64,
    new_size: u64,
) -> Result<Consistency, ProofError> {
    if old_size > new_size {
        return Err(ProofError::Beyond { asked: old_size, size: new_size });
    }
    let (mut start, mut end) = (0, new_size);
    let mut path = Vec::new();
    // The empty tree begins every tree, and every tree begins itself: nothing to show.
    if old_size == 0 || old_size == new_size {
        return Ok(Consistency { old_size, new_size, path });
    }
    while end != old_size {
        let split = start + left_width(end - start);
        if old_size <= split {
            path.push(subtree(nodes, split, end)?);
            end = split;
        } else {
            path.push(subtree(nodes, start, split)?);
            start = split;
        }
    }
    // Left out only when the older tree is one perfect subtree: the verifier has its root.
    if start != 0 {
        path.push(subtree(nodes, start, end)?);
    }
    path.reverse();
    Ok(Consistency { old_size, new_size, path })
}

/// Root of the tree of the first `size` leaves.
///
/// # Errors
/// [`ProofError::Missing`].
pub fn root_at(nodes: &impl NodeSource, size: u64) -> Result<ContentDigest, ProofError> {
    if size == 0 { Ok(empty_root()) } else { subtree(nodes, 0, size) }
}

/// Root over leaves `start..end`, where `start` is a multiple of the power of two at or above the width.
fn subtree(nodes: &impl NodeSource, start: u64, end: u64) -> Result<ContentDigest, ProofError> {
    let width = end - start;
    if width.is_power_of_two() {
        let level = width.trailing_zeros();
        let id = NodeId { level: u8::try_from(level).unwrap_or(u8::MAX), index: start >> level };
        return nodes.node(id).ok_or(ProofError::Missing { level: id.level, index: id.index });
    }
    let split = start + left_width(width);
    Ok(node_hash(&subtree(nodes, start, split)?, &subtree(nodes, split, end)?))
}

/// Largest power of two below `width`, which is at least 2.
const fn left_width(width: u64) -> u64 {
    1 << (63 - (width - 1).leading_zeros())
}

impl Inclusion {
    /// Checks that `leaf` stands at this place of the tree with `root`.
    ///
    /// # Errors
    /// [`ProofError::NotIncluded`].
    pub fn verify(&self, leaf: &ContentDigest, root: &ContentDigest) -> Result<(), ProofError> {
        match self.root_from(leaf) {
            Some(computed) if computed == *root => Ok(()),
            _ => Err(ProofError::NotIncluded { index: self.index }),
        }
    }

    fn root_from(&self, leaf: &ContentDigest) -> Option<ContentDigest> {
        if self.index >= self.size {
            return None;
        }
        let (mut at, mut last) = (self.index, self.size - 1);
        let mut hash = *leaf;
        for sibling in &self.path {
            if last == 0 {
                return None;
            }
            if at & 1 == 1 || at == last {
                hash = node_hash(sibling, &hash);
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(&hash, sibling);
            }
            at >>= 1;
            last >>= 1;
        }
        (last == 0).then_some(hash)
    }
}

impl Consistency {
    /// Checks that the tree with `new_root` continues the tree with `old_root`.
    ///
    /// # Errors
    /// [`ProofError::NotConsistent`].
    pub fn verify(&self, old_root: &ContentDigest, new_root: &ContentDigest) -> Result<(), ProofError> {
        let wrong = ProofError::NotConsistent { old_size: self.old_size, new_size: self.new_size };
        let holds = match (self.old_size, self.new_size) {
            (old, new) if old > new => false,
            (old, new) if old == new => self.path.is_empty() && old_root == new_root,
            (0, _) => self.path.is_empty() && *old_root == empty_root(),
            _ => self.roots(old_root) == Some((*old_root, *new_root)),
        };
        if holds { Ok(()) } else { Err(wrong) }
    }

    fn roots(&self, old_root: &ContentDigest) -> Option<(ContentDigest, ContentDigest)> {
        let whole = self.old_size.is_power_of_two().then_some(old_root);
        let mut path = whole.into_iter().chain(&self.path);
        let (mut at, mut last) = (self.old_size - 1, self.new_size - 1);
        while at & 1 == 1 {
            at >>= 1;
            last >>= 1;
        }
        let mut old = *path.next()?;
        let mut new = old;
        for hash in path {
            if last == 0 {
                return None;
            }
            if at & 1 == 1 || at == last {
                old = node_hash(hash, &old);
                new = node_hash(hash, &new);
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                new = node_hash(&new, hash);
            }
            at >>= 1;
            last >>= 1;
        }
        (last == 0).then_some((old, new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{MemoryTree, leaf_hash};
    use proptest::prelude::*;

    fn tree(size: u64) -> MemoryTree {
        let mut tree = MemoryTree::default();
        (0..size).for_each(|n| tree.append(leaf_hash(&n.to_le_bytes())));
        tree
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proved_and_nothing_else_is() {
        for size in 0..=65 {
            let tree = tree(size);
            let root = tree.root();
            for index in 0..size {
                let proof = prove_inclusion(&tree, index, size).unwrap();
                proof.verify(&leaf_hash(&index.to_le_bytes()), &root).unwrap();
                assert!(proof.verify(&leaf_hash(b"other"), &root).is_err());
                for wrong in (0..size).filter(|wrong| *wrong != index) {
                    let moved = Inclusion { index: wrong, ..proof.clone() };
                    assert!(moved.verify(&leaf_hash(&index.to_le_bytes()), &root).is_err());
                }
            }
            assert!(prove_inclusion(&tree, size, size).is_err());
        }
    }

    #[test]
    fn every_pair_of_small_trees_is_consistent_and_a_changed_past_is_not() {
        let tree65 = tree(65);
        let roots: Vec<_> = (0..=65).map(|size| tree(size).root()).collect();
        for new in 0..=65u64 {
            for old in 0..=new {
                let proof = prove_consistency(&tree65, old, new).unwrap();
                let (old_root, new_root) = (&roots[old as usize], &roots[new as usize]);
                assert_eq!(root_at(&tree65, old).unwrap(), *old_root);
                proof.verify(old_root, new_root).unwrap();
                assert!(proof.verify(&leaf_hash(b"fork"), new_root).is_err());
                if old > 0 {
                    assert!(proof.verify(old_root, &leaf_hash(b"fork")).is_err());
                }
                for at in 0..proof.path.len() {
                    let mut cut = proof.clone();
                    cut.path.remove(at);
                    assert!(cut.verify(old_root, new_root).is_err());
                    let mut changed = proof.clone();
                    changed.path[at] = leaf_hash(b"changed");
                    assert!(changed.verify(old_root, new_root).is_err());
                }
                let mut longer = proof;
                longer.path.push(leaf_hash(b"more"));
                assert!(longer.verify(old_root, new_root).is_err());
            }
            assert!(prove_consistency(&tree65, new + 1, new).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn random_trees_prove_and_refuse(size in 1u64..3000, a in any::<u64>(), b in any::<u64>(), flip in any::<u16>()) {
            let tree = tree(size);
            let (index, old) = (a % size, b % (size + 1));
            let leaf = leaf_hash(&index.to_le_bytes());
            let proof = prove_inclusion(&tree, index, size).unwrap();
            prop_assert!(proof.verify(&leaf, &tree.root()).is_ok());
            prop_assert!(proof.path.len() <= 12);
            let old_root = self::tree(old).root();
            let grown = prove_consistency(&tree, old, size).unwrap();
            prop_assert!(grown.verify(&old_root, &tree.root()).is_ok());
            if !proof.path.is_empty() {
                let mut bad = proof;
                let at = usize::from(flip) % bad.path.len();
                let mut bytes = *bad.path[at].as_bytes();
                bytes[usize::from(flip >> 8) % 32] ^= 1;
                bad.path[at] = ContentDigest::from_bytes(bytes);
                prop_assert!(bad.verify(&leaf, &tree.root()).is_err());
            }
        }
    }

    #[test]
    fn a_lost_subtree_is_named() {
        struct Empty;
        impl NodeSource for Empty {
            fn node(&self, _: NodeId) -> Option<ContentDigest> {
                None
            }
        }
        assert_eq!(prove_inclusion(&Empty, 0, 2), Err(ProofError::Missing { level: 0, index: 1 }));
    }

    #[test]
    fn hostile_sizes_do_not_overflow() {
        let path = vec![leaf_hash(b"x"); 64];
        for size in [0, 1, u64::MAX] {
            let proof = Inclusion { index: size.wrapping_sub(1), size, path: path.clone() };
            assert!(proof.verify(&leaf_hash(b"l"), &leaf_hash(b"r")).is_err());
            let proof = Consistency { old_size: size, new_size: u64::MAX, path: path.clone() };
            assert!(proof.verify(&leaf_hash(b"l"), &leaf_hash(b"r")).is_err());
        }
    }
}
