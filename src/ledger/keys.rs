//! Ed25519 keys of the log and of witnesses.

use super::Hex;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Signs checkpoints. Wiped from memory when dropped; shows nothing of itself.
pub struct LogSigner(SigningKey);

impl LogSigner {
    /// The key made of 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Self {
        Self(SigningKey::from_bytes(seed))
    }
    /// What others verify with.
    #[must_use]
    pub fn public(&self) -> LogKey {
        LogKey(self.0.verifying_key())
    }
    /// Signs a statement of the centre that stands outside the log; `kind` keeps statements of one kind from
    /// passing for another's.
    #[must_use]
    pub fn sign_statement(&self, kind: &'static str, body: &str) -> Hex<64> {
        self.sign(&statement(kind, body))
    }
    /// Signs `message`, which names its own kind in its first line.
    pub(super) fn sign(&self, message: &[u8]) -> Hex<64> {
        Hex(self.0.sign(message).to_bytes())
    }
}
impl fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSigner(..)")
    }
}

/// The text is not a usable Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ledger key is 64 lowercase hexadecimal digits: the public key as the centre publishes it")]
pub struct KeyError;

/// Verifies what a [`LogSigner`] signed; as text 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogKey(VerifyingKey);

impl LogKey {
    /// Whether `signature` is this key's over a statement of `kind` with `body`.
    #[must_use]
    pub fn holds_statement(&self, kind: &'static str, body: &str, signature: &Hex<64>) -> bool {
        self.holds(&statement(kind, body), signature)
    }
    /// Whether `signature` is this key's over `message` (strict: no weak keys, no malleability).
    pub(super) fn holds(&self, message: &[u8], signature: &Hex<64>) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(&signature.0)).is_ok()
    }
}

fn statement(kind: &str, body: &str) -> Vec<u8> {
    format!("blindlink statement\n{kind}\n{body}").into_bytes()
}

impl FromStr for LogKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes: Hex<32> = text.parse().map_err(|_| KeyError)?;
        let key = VerifyingKey::from_bytes(&bytes.0).map_err(|_| KeyError)?;
        if key.is_weak() { Err(KeyError) } else { Ok(Self(key)) }
    }
}
impl TryFrom<String> for LogKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}
impl From<LogKey> for String {
    fn from(key: LogKey) -> Self {
        key.to_string()
    }
}
impl fmt::Display for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(self.0.to_bytes()).fmt(f)
    }
}
impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_rfc_8032_test_1() {
        let seed: Hex<32> =
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60".parse().unwrap();
        let signer = LogSigner::from_seed(&Zeroizing::new(seed.0));
        let public = signer.public().to_string();
        assert_eq!(public, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert!(signer.sign(b"").to_string().starts_with("e5564300c360ac729086e2cc806e828a"));
        assert!(signer.public().holds(b"", &signer.sign(b"")));
        assert!(!signer.public().holds(b"x", &signer.sign(b"")));
        assert_eq!(public.parse::<LogKey>().unwrap(), signer.public());
    }

    #[test]
    fn weak_and_malformed_keys_are_refused_and_nothing_is_shown() {
        let identity = format!("01{}", "00".repeat(31));
        for bad in ["", "00", &"00".repeat(32), &identity, &"AB".repeat(32)] {
            assert!(bad.parse::<LogKey>().is_err(), "{bad}");
        }
        let signer = LogSigner::from_seed(&Zeroizing::new([7; 32]));
        assert_eq!(format!("{signer:?}"), "LogSigner(..)");
    }
}
