//! Ids and digests as newtypes, parsed once at the edge.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 1 to 64 characters of `a-z`, `0-9`, `-`, `_`, beginning with a letter or digit.
    #[error("{kind} must be 1 to 64 characters of a-z, 0-9, '-' and '_', beginning with a letter or digit")]
    Slug {
        /// What was being parsed.
        kind: &'static str,
    },
    /// Not the expected number of lowercase hexadecimal digits.
    #[error("{kind} must be {digits} hexadecimal digits")]
    Hex {
        /// What was being parsed.
        kind: &'static str,
        /// Expected number of digits.
        digits: usize,
    },
    /// Epochs count from one.
    #[error("an epoch is a whole number from 1 to 4294967295")]
    Epoch,
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_slug(text) { Ok(Self(text.to_owned())) } else { Err(IdError::Slug { kind: $kind }) }
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slug!(
    /// One data owner, one tenant of the service.
    AgencyId, "an agency id"
);
slug!(
    /// One linkage agreement.
    ProjectId, "a project id"
);
slug!(
    /// One upload of encodings.
    DatasetId, "a dataset id"
);
slug!(
    /// One immutable linkage of the datasets of a project.
    RunId, "a run id"
);
slug!(
    /// What a key of the service is looked up by; the secret is the other half.
    KeyId, "a key id"
);
slug!(
    /// Why somebody asks (`safeguarding-check`); the project's agreement lists the allowed ones.
    PurposeCode, "a purpose code"
);
slug!(
    /// On which lawful basis somebody asks (`public-task`); the project's agreement lists the allowed ones.
    LawfulBasis, "a lawful basis"
);
slug!(
    /// An attribute of a person as evidence: `given`, `family`, `date`, `place` and so on.
    AttributeName, "an attribute name"
);
slug!(
    /// A view of a layout: a rule "salt -> content" (`record`, `a`, `dmy`).
    ViewName, "a view name"
);

fn is_slug(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&text.len())
        && text.bytes().next().is_some_and(plain)
        && text.bytes().all(|b| plain(b) || b == b'-' || b == b'_')
}

macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;
            /// Wraps bytes that were computed or read.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }
            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0u8; $len];
                match decode_hex(text, &mut bytes) {
                    Some(()) => Ok(Self(bytes)),
                    None => Err(IdError::Hex { kind: $kind, digits: 2 * $len }),
                }
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:02x}{:02x}..)"), self.0[0], self.0[1])
            }
        }
    };
}

hex_bytes!(
    /// An agency's pseudonym for one of its records: keyed BLAKE3 of the local id under a key only
    /// that agency holds.
    RecordRef, 16, "a record ref"
);
hex_bytes!(
    /// BLAKE3 of a schema's canonical form: two encodings compare only under the same fingerprint.
    SchemaFingerprint, 32, "a schema fingerprint"
);
hex_bytes!(
    /// A one-way value of the linkage key, so that the service can refuse an upload made with another.
    KeyCheckValue, 16, "a key check value"
);
hex_bytes!(
    /// BLAKE3 of some content.
    ContentDigest, 32, "a content digest"
);

impl ContentDigest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

/// Reads lowercase hexadecimal digits into `out`, which they fill exactly.
pub(super) fn decode_hex(text: &str, out: &mut [u8]) -> Option<()> {
    let digits = text.as_bytes();
    if digits.len() != 2 * out.len() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(())
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// One life of the linkage key. Encodings of different epochs are never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Epoch(u32);

impl Epoch {
    /// The first epoch of a project.
    pub const FIRST: Self = Self(1);
    /// The epoch as a number, from 1.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}
impl TryFrom<u32> for Epoch {
    type Error = IdError;
    fn try_from(number: u32) -> Result<Self, IdError> {
        if number == 0 { Err(IdError::Epoch) } else { Ok(Self(number)) }
    }
}
impl From<Epoch> for u32 {
    fn from(epoch: Epoch) -> Self {
        epoch.0
    }
}
impl FromStr for Epoch {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse::<u32>().map_err(|_| IdError::Epoch)?.try_into()
    }
}
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_lowercase_and_bounded() {
        assert!("council-1".parse::<AgencyId>().is_ok());
        for bad in ["", "Council", "-a", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(bad.parse::<AgencyId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn refs_round_trip_as_lowercase_hex() {
        let text = "00ff10203040506070809000a0b0c0d0";
        let record: RecordRef = text.parse().unwrap();
        assert_eq!(record.to_string(), text);
        assert!(text.to_uppercase().parse::<RecordRef>().is_err());
        assert!("00ff".parse::<RecordRef>().is_err());
    }

    #[test]
    fn epochs_count_from_one() {
        assert!(Epoch::try_from(0).is_err());
        assert_eq!("7".parse::<Epoch>().unwrap().number(), 7);
    }
}
