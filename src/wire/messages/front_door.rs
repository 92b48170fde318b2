//! The front door's messages: a question about somebody who is not on the asker's system.

use super::{Answer, CaseReference, KnowingAgency, PartyMessage};
use crate::wire::ids::decode_hex;
use crate::wire::{Epoch, KeyCheckValue, LawfulBasis, PurposeCode, SchemaFingerprint, UtcTime};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why somebody asks about a person who is not on their system: a short code, too plain for a name.
pub type ReasonCode = LawfulBasis;

/// An encoding as text: an Arrow IPC stream of one record, in lowercase hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EncodingHex(Vec<u8>);

/// The text is not pairs of lowercase hexadecimal digits, or longer than any encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an encoding is an Arrow stream of one record in lowercase hexadecimal digits, at most 96 KB of them"
)]
pub struct EncodingHexError;

/// Bytes of the longest stream of one record: its columns and their schema.
const STREAM_BYTES_MAX: usize = 48 << 10;

impl EncodingHex {
    /// The text of a stream of one record.
    #[must_use]
    pub fn new(stream: Vec<u8>) -> Self {
        Self(stream)
    }
    /// The stream.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
impl FromStr for EncodingHex {
    type Err = EncodingHexError;
    fn from_str(text: &str) -> Result<Self, EncodingHexError> {
        if text.len() > 2 * STREAM_BYTES_MAX {
            return Err(EncodingHexError);
        }
        let mut bytes = vec![0; text.len() / 2];
        decode_hex(text, &mut bytes).ok_or(EncodingHexError)?;
        Ok(Self(bytes))
    }
}
impl TryFrom<String> for EncodingHex {
    type Error = EncodingHexError;
    fn try_from(text: String) -> Result<Self, EncodingHexError> {
        text.parse()
    }
}
impl From<EncodingHex> for String {
    fn from(hex: EncodingHex) -> Self {
        hex.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
impl fmt::Debug for EncodingHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodingHex({} bytes)", self.0.len())
    }
}

/// Asks who knows somebody who is not on the asker's system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontDoorRequest {
    /// The person, encoded as the agency's records are.
    pub encoding: EncodingHex,
    /// Fingerprint of the schema it was made under.
    pub schema_fingerprint: SchemaFingerprint,
    /// Check value of the linkage key it was made with.
    pub key_check: KeyCheckValue,
    /// The life of that key.
    pub epoch: Epoch,
    /// Why; must be one of the agreement's front-door purposes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<PurposeCode>,
    /// For which case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseReference>,
    /// On which lawful basis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lawful_basis: Option<LawfulBasis>,
    /// That detriment to the child was considered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detriment_considered: Option<bool>,
    /// Why this person, for whoever takes a second look: `new-referral`, say.
    pub reason: ReasonCode,
}

/// The answer to a [`FrontDoorRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontDoorAnswer {
    /// In one word.
    pub answer: Answer,
    /// The agencies behind it, surest first.
    pub matches: Vec<KnowingAgency>,
    /// How fresh every other party's data is.
    pub parties: Vec<PartyMessage>,
    /// Entry of the project's ledger, to be quoted on the phone.
    pub entry: u64,
    /// When the question was answered.
    pub at: UtcTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_come_back_from_their_digits_and_nothing_else_reads() {
        let hex = EncodingHex::new(vec![0, 0x7f, 0xff]);
        let text = String::from(hex.clone());
        assert_eq!((text.as_str(), text.parse()), ("007fff", Ok(hex.clone())));
        assert_eq!(format!("{hex:?}"), "EncodingHex(3 bytes)");
        for bad in ["0", "0G", "FF", "é", &"00".repeat(STREAM_BYTES_MAX + 1)] {
            assert!(bad.parse::<EncodingHex>().is_err());
        }
    }
}
