//! All hashes of a tree in memory: 64 bytes an entry. For offline proofs and tests; a store keeps its own.

use super::{Frontier, NodeId, NodeSource};
use crate::wire::ContentDigest;

/// A tree with every perfect subtree at hand.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    frontier: Frontier,
    levels: Vec<Vec<ContentDigest>>,
}

impl MemoryTree {
    /// Adds a leaf.
    pub fn append(&mut self, leaf: ContentDigest) {
        for (id, hash) in self.frontier.append(leaf) {
            let level = usize::from(id.level);
            if self.levels.len() <= level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(hash);
        }
    }
    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }
    /// Root of the tree.
    #[must_use]
    pub fn root(&self) -> ContentDigest {
        self.frontier.root()
    }
}

impl NodeSource for MemoryTree {
    fn node(&self, id: NodeId) -> Option<ContentDigest> {
        let level = self.levels.get(usize::from(id.level))?;
        level.get(usize::try_from(id.index).ok()?).copied()
    }
}
