//! The fingerprint of a certificate: how an agency's record names the certificates its keys hold with.
//!
//! May see: ids' digits. SHA-256 of the DER form, which is what `openssl x509 -fingerprint -sha256` prints.

use super::ids::decode_hex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// SHA-256 of a certificate; as text 64 hexadecimal digits, read with or without colons between bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertificateFingerprint([u8; 32]);

/// The text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a certificate's fingerprint is its SHA-256: 64 hexadecimal digits, as openssl x509 -fingerprint -sha256 prints"
)]
pub struct FingerprintError;

impl CertificateFingerprint {
    /// Wraps a digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl FromStr for CertificateFingerprint {
    type Err = FingerprintError;
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        if text.len() > 95 || !text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':') {
            return Err(FingerprintError);
        }
        let digits: String = text.split(':').collect();
        let mut bytes = [0; 32];
        decode_hex(&digits.to_ascii_lowercase(), &mut bytes).ok_or(FingerprintError)?;
        Ok(Self(bytes))
    }
}
impl TryFrom<String> for CertificateFingerprint {
    type Error = FingerprintError;
    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}
impl From<CertificateFingerprint> for String {
    fn from(fingerprint: CertificateFingerprint) -> Self {
        fingerprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_with_and_without_colons() {
        let plain = "0a".repeat(32);
        let colons = vec!["0A"; 32].join(":");
        let read = colons.parse::<CertificateFingerprint>().unwrap();
        assert_eq!(read, plain.parse().unwrap());
        assert_eq!(read.to_string(), plain);
        for bad in ["", "0a", &"0a".repeat(33), &"0g".repeat(32), &"é".repeat(32)] {
            assert!(bad.parse::<CertificateFingerprint>().is_err(), "{bad}");
        }
    }
}
