//! A signed statement of the log's size and root, and the signatures of those who watched it grow.

use super::{Frontier, Hex, LogKey, LogSigner};
use crate::wire::{AgencyId, ContentDigest};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which log: `centre/project`, say. A checkpoint of one log is refused for another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogName(String);

impl LogName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for LogName {
    type Err = CheckpointError;
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_./:".contains(&b);
        if (1..=160).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(CheckpointError::Name)
        }
    }
}
impl TryFrom<String> for LogName {
    type Error = CheckpointError;
    fn try_from(text: String) -> Result<Self, CheckpointError> {
        text.parse()
    }
}
impl From<LogName> for String {
    fn from(name: LogName) -> Self {
        name.0
    }
}
impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a checkpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a [`LogName`].
    #[error("a ledger's name is 1 to 160 characters of a-z, 0-9, '-', '_', '.', '/' and ':'")]
    Name,
    /// The signature is not the log's.
    #[error(
        "the checkpoint of {size} entries is not signed by the ledger key given: forged, or another centre's"
    )]
    Signature {
        /// Entries it speaks of.
        size: u64,
    },
    /// A checkpoint of some other log.
    #[error("this is a checkpoint of ledger {found}, not of {expected}")]
    OtherLog {
        /// The log asked about.
        expected: LogName,
        /// The log it speaks of.
        found: LogName,
    },
    /// A witness's signature does not hold.
    #[error("the co-signature of {witness} does not hold: forged, or made with another key")]
    Cosignature {
        /// Whose it claims to be.
        witness: AgencyId,
    },
}

/// Size and root of a log at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Which log.
    pub log: LogName,
    /// Entries.
    pub size: u64,
    /// Root over them.
    pub root: ContentDigest,
    /// When it was signed, in milliseconds since 1970 (UTC).
    pub at_ms: u64,
}

/// A checkpoint with its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// The log's Ed25519 signature.
    pub signature: Hex<64>,
    /// Signatures of witnesses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cosignatures: Vec<Cosignature>,
}

/// A checkpoint as the centre hands it out. The key beside it is a convenience: who trusts nobody compares it with
/// the one it kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedCheckpoint {
    /// What the log signs with.
    pub key: super::LogKey,
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
}

/// A witness's word that it saw the log grow to this checkpoint and never shrink or fork.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosignature {
    /// Who.
    pub witness: AgencyId,
    /// When, in milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// The witness's Ed25519 signature.
    pub signature: Hex<64>,
}

impl Checkpoint {
    /// The checkpoint of a log as it stands.
    #[must_use]
    pub fn of(log: LogName, frontier: &Frontier, at_ms: u64) -> Self {
        Self { log, size: frontier.size(), root: frontier.root(), at_ms }
    }

    /// Signs it for the log.
    #[must_use]
    pub fn sign(self, signer: &LogSigner) -> SignedCheckpoint {
        let signature = signer.sign(self.body("blindlink ledger checkpoint 1").as_bytes());
        SignedCheckpoint { checkpoint: self, signature, cosignatures: Vec::new() }
    }

    /// One fact a line, so that nothing signed for one use passes for another.
    fn body(&self, kind: &str) -> String {
        format!("{kind}\n{}\n{}\n{}\n{}\n", self.log, self.size, self.root, self.at_ms)
    }
    fn cosigned_body(&self, witness: &AgencyId, at_ms: u64) -> String {
        format!("{}{witness}\n{at_ms}\n", self.body("blindlink ledger co-signature 1"))
    }

    /// A witness's signature; only [`super::Witness`] makes one, after looking.
    pub(super) fn cosign(&self, witness: AgencyId, at_ms: u64, signer: &LogSigner) -> Cosignature {
        let signature = signer.sign(self.cosigned_body(&witness, at_ms).as_bytes());
        Cosignature { witness, at_ms, signature }
    }
}

impl SignedCheckpoint {
    /// Checks name and signature and hands out the checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError::OtherLog`], [`CheckpointError::Signature`].
    pub fn verify(&self, log: &LogName, key: &LogKey) -> Result<&Checkpoint, CheckpointError> {
        let checkpoint = &self.checkpoint;
        if checkpoint.log != *log {
            return Err(CheckpointError::OtherLog { expected: log.clone(), found: checkpoint.log.clone() });
        }
        let body = checkpoint.body("blindlink ledger checkpoint 1");
        if !key.holds(body.as_bytes(), &self.signature) {
            return Err(CheckpointError::Signature { size: checkpoint.size });
        }
        Ok(checkpoint)
    }

    /// Checks one witness's signature.
    ///
    /// # Errors
    /// [`CheckpointError::Cosignature`] if it has none by that name, or one that does not hold.
    pub fn verify_cosignature(
        &self,
        witness: &AgencyId,
        key: &LogKey,
    ) -> Result<&Cosignature, CheckpointError> {
        let found = self.cosignatures.iter().find(|signed| signed.witness == *witness);
        let wrong = || CheckpointError::Cosignature { witness: witness.clone() };
        let signed = found.ok_or_else(wrong)?;
        let body = self.checkpoint.cosigned_body(witness, signed.at_ms);
        if key.holds(body.as_bytes(), &signed.signature) { Ok(signed) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn signatures_bind_every_field() {
        let signer = LogSigner::from_seed(&Zeroizing::new([3; 32]));
        let log: LogName = "centre/mash".parse().unwrap();
        let signed = Checkpoint::of(log.clone(), &Frontier::default(), 5).sign(&signer);
        signed.verify(&log, &signer.public()).unwrap();
        let change = |f: fn(&mut SignedCheckpoint)| {
            let mut other = signed.clone();
            f(&mut other);
            other.verify(&log, &signer.public()).is_err()
        };
        assert!(change(|c| c.checkpoint.size += 1));
        assert!(change(|c| c.checkpoint.at_ms += 1));
        assert!(change(|c| c.checkpoint.root = ContentDigest::of(b"x")));
        assert!(change(|c| c.checkpoint.log = "centre/other".parse().unwrap()));
        assert!(change(|c| c.signature.0[9] ^= 1));
        let stranger = LogSigner::from_seed(&Zeroizing::new([4; 32])).public();
        assert_eq!(signed.verify(&log, &stranger), Err(CheckpointError::Signature { size: 0 }));
    }

    #[test]
    fn a_cosignature_does_not_pass_for_a_signature_nor_for_another_witness() {
        let signer = LogSigner::from_seed(&Zeroizing::new([3; 32]));
        let log: LogName = "centre/mash".parse().unwrap();
        let mut signed = Checkpoint::of(log.clone(), &Frontier::default(), 5).sign(&signer);
        let cosignature = signed.checkpoint.cosign("health".parse().unwrap(), 6, &signer);
        signed.cosignatures = vec![cosignature.clone()];
        signed.verify_cosignature(&"health".parse().unwrap(), &signer.public()).unwrap();
        signed.signature = cosignature.signature;
        assert!(signed.verify(&log, &signer.public()).is_err());
        signed.cosignatures[0].witness = "police".parse().unwrap();
        assert!(signed.verify_cosignature(&"police".parse().unwrap(), &signer.public()).is_err());
        assert!(signed.verify_cosignature(&"health".parse().unwrap(), &signer.public()).is_err());
    }
}
