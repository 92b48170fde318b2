//! A second agency that remembers the last checkpoint and signs only a log that grew from it.
//!
//! With one honest witness the centre cannot show two histories, or an older one, to anybody who asks for
//! its co-signature.

use super::{
    Checkpoint, CheckpointError, Consistency, Cosignature, LogKey, LogName, LogSigner, ProofError,
    SignedCheckpoint,
};
use crate::wire::AgencyId;
use serde::{Deserialize, Serialize};

/// Why a witness does not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// The checkpoint itself is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log shrank.
    #[error(
        "the ledger went back from {seen} entries to {offered}: it was rolled back; keep both checkpoints as evidence"
    )]
    RolledBack {
        /// Entries seen before.
        seen: u64,
        /// Entries offered now.
        offered: u64,
    },
    /// The proof speaks of other sizes than the two checkpoints.
    #[error("the proof leads from {from} to {to} entries, needed is {seen} to {offered}: ask for that proof")]
    OtherProof {
        /// Older size of the proof.
        from: u64,
        /// Newer size of the proof.
        to: u64,
        /// Entries seen before.
        seen: u64,
        /// Entries offered now.
        offered: u64,
    },
    /// The log forked.
    #[error("{0}; keep both checkpoints as evidence")]
    Forked(ProofError),
}

/// What a witness must keep between two signatures: which log, whose key, and the last checkpoint it saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// The agency that watches.
    pub name: AgencyId,
    /// The log it watches.
    pub log: LogName,
    /// That log's key.
    pub key: LogKey,
    /// The last checkpoint it signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Checkpoint>,
}

impl Witness {
    /// Checks that `offered` continues what was seen, remembers it and signs. Save the witness *before*
    /// handing out the signature. The first checkpoint of all is trusted as it comes.
    ///
    /// # Errors
    /// [`WitnessError`]; nothing is remembered then.
    pub fn cosign(
        &mut self,
        offered: &SignedCheckpoint,
        proof: &Consistency,
        signer: &LogSigner,
        now_ms: u64,
    ) -> Result<Cosignature, WitnessError> {
        let checkpoint = offered.verify(&self.log, &self.key)?;
        if let Some(seen) = &self.seen {
            grown(seen, checkpoint, proof)?;
        }
        self.seen = Some(checkpoint.clone());
        Ok(checkpoint.cosign(self.name.clone(), now_ms, signer))
    }
}

fn grown(seen: &Checkpoint, offered: &Checkpoint, proof: &Consistency) -> Result<(), WitnessError> {
    if offered.size < seen.size {
        return Err(WitnessError::RolledBack { seen: seen.size, offered: offered.size });
    }
    if (proof.old_size, proof.new_size) != (seen.size, offered.size) {
        let (from, to) = (proof.old_size, proof.new_size);
        return Err(WitnessError::OtherProof { from, to, seen: seen.size, offered: offered.size });
    }
    proof.verify(&seen.root, &offered.root).map_err(WitnessError::Forked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Frontier, MemoryTree, leaf_hash, prove_consistency};
    use zeroize::Zeroizing;

    fn grow(tree: &mut MemoryTree, frontier: &mut Frontier, text: &[u8]) {
        tree.append(leaf_hash(text));
        frontier.append(leaf_hash(text));
    }

    #[test]
    fn signs_growth_and_refuses_roll_back_and_fork() {
        let centre = LogSigner::from_seed(&Zeroizing::new([1; 32]));
        let signer = LogSigner::from_seed(&Zeroizing::new([2; 32]));
        let log: LogName = "centre/mash".parse().unwrap();
        let name: AgencyId = "health".parse().unwrap();
        let mut witness = Witness { name: name.clone(), log: log.clone(), key: centre.public(), seen: None };
        let (mut tree, mut frontier) = (MemoryTree::default(), Frontier::default());
        let sign = |frontier: &Frontier| Checkpoint::of(log.clone(), frontier, 9).sign(&centre);

        grow(&mut tree, &mut frontier, b"a");
        let (shorter, first) = (frontier.clone(), sign(&frontier));
        let nothing = prove_consistency(&tree, 0, 0).unwrap();
        witness.cosign(&first, &nothing, &signer, 10).unwrap();
        grow(&mut tree, &mut frontier, b"b");
        grow(&mut tree, &mut frontier, b"c");
        let mut second = sign(&frontier);
        let proof = prove_consistency(&tree, 1, 3).unwrap();
        second.cosignatures.push(witness.cosign(&second, &proof, &signer, 11).unwrap());
        second.verify_cosignature(&name, &signer.public()).unwrap();

        let before = witness.clone();
        let back = witness.cosign(&sign(&shorter), &proof, &signer, 12);
        assert_eq!(back, Err(WitnessError::RolledBack { seen: 3, offered: 1 }));
        let (mut forked_tree, mut forked) = (MemoryTree::default(), Frontier::default());
        for text in [b"a", b"x", b"c", b"d"] {
            grow(&mut forked_tree, &mut forked, text);
        }
        let proof = prove_consistency(&forked_tree, 3, 4).unwrap();
        let fork = witness.cosign(&sign(&forked), &proof, &signer, 12);
        assert!(matches!(fork, Err(WitnessError::Forked(_))), "{fork:?}");
        assert!(matches!(
            witness.cosign(&sign(&forked), &nothing, &signer, 12),
            Err(WitnessError::OtherProof { .. })
        ));
        assert_eq!(witness, before);
        let json = serde_json::to_string(&witness).unwrap();
        assert_eq!(serde_json::from_str::<Witness>(&json).unwrap(), witness);
    }
}
