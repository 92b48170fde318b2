//! One act in the ledger: who, why, what class of answer. Never an identifier, never an encoding.

use super::{Hex, leaf_hash};
use crate::wire::{AgencyId, ContentDigest, Epoch, ProjectId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// First bytes of every canonical entry: what it is and in which version.
const MAGIC: &[u8] = b"blindlink ledger entry 1\n";
/// Bytes of the longest canonical entry.
const ENTRY_BYTES_MAX: usize = 1_024;

/// Why a text or bytes are no part of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Not a [`Word`].
    #[error("a word of the ledger is 1 to 64 characters of a-z, 0-9, '.', '-' and '_'")]
    Word,
    /// Not an [`Actor`].
    #[error("a user id is 1 to 64 characters of A-Z, a-z, 0-9, '.', '-', '_', '+' and '@'")]
    Actor,
    /// Bytes that [`Entry::to_bytes`] does not write.
    #[error("the entry at byte {at} is not what the ledger writes: it was changed or is of another version")]
    Bytes {
        /// Offset of the field that does not read.
        at: usize,
    },
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $error:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = EntryError;
            fn from_str(text: &str) -> Result<Self, EntryError> {
                let allowed: fn(u8) -> bool = $allowed;
                if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err($error)
                }
            }
        }
        impl TryFrom<String> for $name {
            type Error = EntryError;
            fn try_from(text: String) -> Result<Self, EntryError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

text!(
    /// A code of the ledger: a role, an action, a purpose or a result class.
    Word,
    EntryError::Word,
    |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
);
text!(
    /// The member of staff who acts, as the agency's desk asserts: an account name, not a person's name.
    Actor,
    EntryError::Actor,
    |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+' | b'@')
);

/// Where an act holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The agreement.
    pub project: ProjectId,
    /// The life of its linkage key.
    pub epoch: Epoch,
}

/// What was done and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// `lookup`, `dataset_sealed`, `unshield` and so on.
    pub action: Word,
    /// In which role.
    pub role: Word,
    /// Why, where the agreement asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Word>,
    /// Digest of the case reference, where one was given ([`CaseKey::digest`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<ContentDigest>,
    /// Digest of the request as received.
    pub request: ContentDigest,
    /// Class of the answer: `match`, `review`, `none`, `refused` and so on.
    pub result: Word,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When, in milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// Who.
    pub who: Actor,
    /// Of which agency; the centre itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agency: Option<AgencyId>,
    /// In which project; the centre as a whole when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// What.
    pub act: Act,
    /// 16 random bytes: without them the hash of an entry cannot be confirmed by guessing its content, so
    /// an export may show other agencies' entries as hashes only.
    pub blind: Hex<16>,
}

impl Entry {
    /// The bytes the tree commits to: a fixed heading, the time as little-endian `u64`, then each text with
    /// its length as one byte (0 = absent; no field may be empty) and each digest after a byte 0 or 32.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.at_ms.to_le_bytes());
        let mut field = |bytes: &[u8]| {
            // Every text is bounded by 64 bytes when parsed, every digest is 32.
            out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(bytes);
        };
        field(self.who.as_str().as_bytes());
        field(self.agency.as_ref().map_or("", AgencyId::as_str).as_bytes());
        match &self.scope {
            Some(scope) => {
                field(scope.project.as_str().as_bytes());
                field(&scope.epoch.number().to_le_bytes());
            }
            None => (0..2).for_each(|_| field(&[])),
        }
        field(self.act.action.as_str().as_bytes());
        field(self.act.role.as_str().as_bytes());
        field(self.act.purpose.as_ref().map_or("", Word::as_str).as_bytes());
        field(self.act.case.as_ref().map_or(&[], |case| case.as_bytes()));
        field(self.act.request.as_bytes());
        field(self.act.result.as_str().as_bytes());
        field(&self.blind.0);
        out
    }

    /// Reads what [`Entry::to_bytes`] wrote, and only that.
    ///
    /// # Errors
    /// [`EntryError::Bytes`] with the place that does not read.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > ENTRY_BYTES_MAX || !bytes.starts_with(MAGIC) {
            return Err(EntryError::Bytes { at: 0 });
        }
        let mut reader = Reader { bytes, at: MAGIC.len() };
        let at_ms = u64::from_le_bytes(reader.take()?);
        let who = reader.text()?;
        let agency = reader.optional_text()?;
        let project: Option<ProjectId> = reader.optional_text()?;
        let epoch = reader.optional_bytes::<4>()?.map(u32::from_le_bytes);
        let scope = match (project, epoch.map(Epoch::try_from)) {
            (Some(project), Some(Ok(epoch))) => Some(Scope { project, epoch }),
            (None, None) => None,
            _ => return Err(reader.wrong()),
        };
        let (action, role, purpose) = (reader.text()?, reader.text()?, reader.optional_text()?);
        let case = reader.optional_bytes()?.map(ContentDigest::from_bytes);
        let request = ContentDigest::from_bytes(reader.optional_bytes()?.ok_or(reader.wrong())?);
        let result = reader.text()?;
        let blind = Hex(reader.optional_bytes()?.ok_or(reader.wrong())?);
        if reader.at != bytes.len() {
            return Err(reader.wrong());
        }
        let act = Act { action, role, purpose, case, request, result };
        Ok(Self { at_ms, who, agency, scope, act, blind })
    }

    /// The entry's leaf of the tree.
    #[must_use]
    pub fn leaf(&self) -> ContentDigest {
        leaf_hash(&self.to_bytes())
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    const fn wrong(&self) -> EntryError {
        EntryError::Bytes { at: self.at }
    }
    fn take<const N: usize>(&mut self) -> Result<[u8; N], EntryError> {
        let rest = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let taken = *rest.ok_or(self.wrong())?;
        self.at += N;
        Ok(taken)
    }
    fn field(&mut self) -> Result<&'a [u8], EntryError> {
        let len = usize::from(self.take::<1>()?[0]);
        let field = self.bytes.get(self.at..self.at + len).ok_or(self.wrong())?;
        self.at += len;
        Ok(field)
    }
    fn optional_bytes<const N: usize>(&mut self) -> Result<Option<[u8; N]>, EntryError> {
        match self.field()? {
            [] => Ok(None),
            field => Ok(Some(field.try_into().map_err(|_| self.wrong())?)),
        }
    }
    fn optional_text<T: FromStr>(&mut self) -> Result<Option<T>, EntryError> {
        match self.field()? {
            [] => Ok(None),
            field => {
                let text = std::str::from_utf8(field).ok();
                text.and_then(|text| text.parse().ok()).map(Some).ok_or(self.wrong())
            }
        }
    }
    fn text<T: FromStr>(&mut self) -> Result<T, EntryError> {
        self.optional_text()?.ok_or(self.wrong())
    }
}

/// Hides case references: a centre's secret, so that short case numbers cannot be guessed from the ledger.
pub struct CaseKey(Zeroizing<[u8; 32]>);

impl CaseKey {
    /// The key made of 32 random bytes.
    #[must_use]
    pub const fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }
    /// Digest of an agency's case reference: equal for equal references of one agency in one project.
    #[must_use]
    pub fn digest(&self, project: &ProjectId, agency: &AgencyId, case: &str) -> ContentDigest {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in [project.as_str(), agency.as_str(), case] {
            // A length never truncates: case references are bounded far below 2^64 bytes.
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        ContentDigest::from_bytes(*hasher.finalize().as_bytes())
    }
}
impl fmt::Debug for CaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CaseKey(..)")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn sample(n: u64) -> Entry {
        let word = |text: &str| text.parse().unwrap();
        Entry {
            at_ms: 1_772_357_400_000 + n,
            who: format!("user{}@council", n % 7).parse().unwrap(),
            agency: (n % 5 != 4).then(|| ["council", "health", "police"][(n % 3) as usize].parse().unwrap()),
            scope: (n % 11 != 10)
                .then(|| Scope { project: "mash".parse().unwrap(), epoch: Epoch::try_from(1).unwrap() }),
            act: Act {
                action: word("lookup"),
                role: word("requester"),
                purpose: n.is_multiple_of(3).then(|| word("s47-enquiry")),
                case: n.is_multiple_of(2).then(|| ContentDigest::of(&n.to_le_bytes())),
                request: ContentDigest::of(&[n.to_le_bytes(), [1; 8]].concat()),
                result: word(["match", "review", "none"][(n % 3) as usize]),
            },
            blind: Hex([n as u8; 16]),
        }
    }

    #[test]
    fn bytes_and_json_round_trip() {
        for n in 0..120 {
            let entry = sample(n);
            assert_eq!(Entry::from_bytes(&entry.to_bytes()).unwrap(), entry);
            let json = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), entry);
        }
    }

    #[test]
    fn every_changed_byte_changes_the_leaf_or_does_not_read() {
        let entry = sample(0);
        let bytes = entry.to_bytes();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                if let Ok(other) = Entry::from_bytes(&bad) {
                    assert_eq!(other.to_bytes(), bad, "two byte strings for one entry");
                    assert_ne!(other.leaf(), entry.leaf());
                }
            }
        }
        for len in 0..bytes.len() {
            assert!(Entry::from_bytes(&bytes[..len]).is_err());
        }
        assert!(Entry::from_bytes(&[bytes, vec![0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [MAGIC, &noise].concat();
            if let Ok(entry) = Entry::from_bytes(&bytes) {
                prop_assert_eq!(entry.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn codes_and_accounts_are_plain() {
        for bad in ["", "Lookup", "look up", "é", &"a".repeat(65)] {
            assert!(bad.parse::<Word>().is_err(), "{bad:?}");
        }
        for bad in ["", "Anna Smith", "a\"b", "a\\b", "a\n", &"a".repeat(65)] {
            assert!(bad.parse::<Actor>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn case_digests_differ_by_agency_project_and_key() {
        let key = CaseKey::new(Zeroizing::new([1; 32]));
        let digest = |key: &CaseKey, project: &str, agency: &str, case| {
            key.digest(&project.parse().unwrap(), &agency.parse().unwrap(), case)
        };
        let one = digest(&key, "p", "a", "C-1");
        assert_eq!(one, digest(&key, "p", "a", "C-1"));
        let other = CaseKey::new(Zeroizing::new([2; 32]));
        for different in [
            digest(&key, "p", "b", "C-1"),
            digest(&key, "q", "a", "C-1"),
            digest(&key, "p", "a", "C-2"),
            digest(&other, "p", "a", "C-1"),
        ] {
            assert_ne!(one, different);
        }
    }
}
