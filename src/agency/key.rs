//! Key material and everything derived from it.
//!
//! Two roots, 32 random bytes each, never a passphrase. The **linkage key** is shared by the agencies of
//! a project and never by the centre: it decides which bits a token sets. The **agency key** stays at one
//! agency: it makes record refs and the permanent noise, so neither the centre nor another agency can
//! recompute them.
//!
//! Derivations (BLAKE3 `derive_key(context, material)`; contexts are the constants below; `lp(x)` = the
//! length of x in bytes as u32 little-endian, then x):
//!
//! | key | context | material |
//! |---|---|---|
//! | epoch key | [`CTX_EPOCH`] | linkage root, `lp(project)`, epoch as u32 LE |
//! | key check value | [`CTX_CHECK`] | epoch key |
//! | hash key of a token domain | [`CTX_ATTRIBUTE`] | epoch key, `lp(domain)` |
//! | salt key of a view | [`CTX_SALT`] | epoch key, `lp(view)` |
//! | diffusion key of a view | [`CTX_DIFFUSION`] | epoch key, `lp(view)` |
//! | exact-token key | [`CTX_EXACT`] | epoch key, `lp(token name)` |
//! | record-ref key | [`CTX_REF`] | agency root, `lp(agency)`, `lp(project)` |
//! | noise key | [`CTX_NOISE`] | agency root, `lp(agency)`, `lp(project)`, epoch as u32 LE |

use super::lanes::KeyWords;
use crate::wire::{AgencyId, Epoch, KeyCheckValue, ProjectId, RecordRef};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Context of the epoch key.
pub const CTX_EPOCH: &str = "blindlink 1 epoch key";
/// Context of the key check value.
pub const CTX_CHECK: &str = "blindlink 1 key check value";
/// Context of a token domain's hash key.
pub const CTX_ATTRIBUTE: &str = "blindlink 1 attribute key";
/// Context of a view's salt key.
pub const CTX_SALT: &str = "blindlink 1 salt key";
/// Context of a view's diffusion key.
pub const CTX_DIFFUSION: &str = "blindlink 1 diffusion key";
/// Context of an exact token's key.
pub const CTX_EXACT: &str = "blindlink 1 exact token key";
/// Context of the record-ref key.
pub const CTX_REF: &str = "blindlink 1 record ref key";
/// Context of the noise key.
pub const CTX_NOISE: &str = "blindlink 1 noise key";

/// Why key material is refused. No variant carries any of it.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(String),
    /// The first word is not the expected one.
    #[error("not a {expected} file: it must be one line, '{expected}' and 64 hexadecimal digits")]
    Format {
        /// The word a file of this kind begins with.
        expected: &'static str,
    },
    /// A file of the other kind.
    #[error("this is a {found} file where a {expected} file belongs")]
    Kind {
        /// The word a file of this kind begins with.
        expected: &'static str,
        /// The word it begins with.
        found: &'static str,
    },
    /// Not 32 bytes.
    #[error("a key has 32 bytes (64 hexadecimal digits); this one has {digits} digits")]
    Length {
        /// Hexadecimal digits found.
        digits: usize,
    },
    /// All bytes alike: a test value, not a key.
    #[error("a key must be random bytes; all bytes of this one are alike")]
    Weak,
}

/// 32 secret bytes: zeroized when dropped, compared in constant time, never shown.
pub(super) struct Secret(Box<[u8; 32]>);

impl Secret {
    pub(super) fn derive(context: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        for part in parts {
            hasher.update(part);
        }
        let mut bytes = Box::new([0; 32]);
        hasher.finalize_xof().fill(&mut *bytes);
        hasher.zeroize();
        Self(bytes)
    }
    pub(super) fn hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.0)
    }
    pub(super) fn words(&self) -> KeyWords {
        KeyWords::new(&self.0)
    }
    fn as_slice(&self) -> &[u8] {
        &*self.0
    }
}
impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

/// Length of `bytes` as u32 LE, to be fed before them.
pub(super) fn length_prefix(bytes: &[u8]) -> [u8; 4] {
    // Every caller's bytes are bounded far below 4 GiB (names, tokens, ids).
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

macro_rules! root_key {
    ($(#[$doc:meta])* $name:ident, $word:literal, $other:literal) => {
        $(#[$doc])*
        #[derive(PartialEq)]
        pub struct $name(Secret);

        impl $name {
            /// The word its file begins with.
            pub const WORD: &'static str = $word;

            /// 32 bytes from the operating system.
            ///
            /// # Errors
            /// [`KeyError::Random`] when it gives none.
            pub fn generate() -> Result<Self, KeyError> {
                let mut bytes = Zeroizing::new([0; 32]);
                getrandom::fill(&mut *bytes).map_err(|e| KeyError::Random(e.to_string()))?;
                Self::from_bytes(&bytes)
            }

            /// Takes 32 bytes.
            ///
            /// # Errors
            /// [`KeyError::Weak`] when all are alike.
            pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
                if bytes.iter().all(|byte| *byte == bytes[0]) {
                    return Err(KeyError::Weak);
                }
                Ok(Self(Secret(Box::new(*bytes))))
            }

            /// Reads the one line of a key file (also for a prompt or a descriptor).
            ///
            /// # Errors
            /// [`KeyError`] says which rule is broken.
            pub fn from_text(text: &str) -> Result<Self, KeyError> {
                Self::from_bytes(&*parse_line(text, Self::WORD, $other)?)
            }

            /// The one line of a key file, newline included.
            #[must_use]
            pub fn to_text(&self) -> Zeroizing<String> {
                let mut text = Zeroizing::new(String::with_capacity(Self::WORD.len() + 66));
                text.push_str(Self::WORD);
                text.push(' ');
                for byte in self.0.as_slice() {
                    for digit in [byte >> 4, byte & 15] {
                        text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
                    }
                }
                text.push('\n');
                text
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

root_key!(
    /// The key the agencies of a project share and the centre never sees.
    LinkageKey,
    "blindlink-linkage-key-1",
    "blindlink-agency-key-1"
);
root_key!(
    /// The key that never leaves one agency: record refs, row order, permanent noise.
    AgencyKey,
    "blindlink-agency-key-1",
    "blindlink-linkage-key-1"
);

fn parse_line(
    text: &str,
    expected: &'static str,
    other: &'static str,
) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let (word, digits) = line.split_once(' ').ok_or(KeyError::Format { expected })?;
    if word == other {
        return Err(KeyError::Kind { expected, found: other });
    }
    if word != expected || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(KeyError::Format { expected });
    }
    if digits.len() != 64 {
        return Err(KeyError::Length { digits: digits.len() });
    }
    let mut bytes = Zeroizing::new([0u8; 32]);
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        for digit in pair {
            let value = char::from(*digit).to_digit(16).and_then(|v| u8::try_from(v).ok());
            *byte = *byte << 4 | value.ok_or(KeyError::Format { expected })?;
        }
    }
    Ok(bytes)
}

impl LinkageKey {
    /// The key of one epoch of one project.
    #[must_use]
    pub fn epoch(&self, project: &ProjectId, epoch: Epoch) -> EpochKey {
        let project = project.as_str().as_bytes();
        let epoch = epoch.number().to_le_bytes();
        EpochKey(Secret::derive(CTX_EPOCH, &[self.0.as_slice(), &length_prefix(project), project, &epoch]))
    }
}

/// The linkage key of one epoch: what encodings are made with.
#[derive(PartialEq)]
pub struct EpochKey(Secret);

impl EpochKey {
    /// The one-way value that lets the centre refuse an upload made with another key.
    #[must_use]
    pub fn check(&self) -> KeyCheckValue {
        let value = Secret::derive(CTX_CHECK, &[self.0.as_slice()]);
        let mut bytes = [0; KeyCheckValue::LEN];
        bytes.copy_from_slice(&value.as_slice()[..KeyCheckValue::LEN]);
        KeyCheckValue::from_bytes(bytes)
    }
    pub(super) fn attribute(&self, domain: &str) -> Secret {
        self.named(CTX_ATTRIBUTE, domain)
    }
    pub(super) fn salt(&self, view: &str) -> Secret {
        self.named(CTX_SALT, view)
    }
    pub(super) fn diffusion(&self, view: &str) -> Secret {
        self.named(CTX_DIFFUSION, view)
    }
    pub(super) fn exact(&self, token: &str) -> Secret {
        self.named(CTX_EXACT, token)
    }
    fn named(&self, context: &str, name: &str) -> Secret {
        Secret::derive(context, &[self.0.as_slice(), &length_prefix(name.as_bytes()), name.as_bytes()])
    }
}
impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochKey(..)")
    }
}

impl AgencyKey {
    /// The maker of record refs of one agency in one project; the same in every epoch, so that erasures
    /// and do-not-link decisions survive re-encoding.
    #[must_use]
    pub fn refs(&self, agency: &AgencyId, project: &ProjectId) -> RefMaker {
        let (agency, project) = (agency.as_str().as_bytes(), project.as_str().as_bytes());
        RefMaker(Secret::derive(
            CTX_REF,
            &[self.0.as_slice(), &length_prefix(agency), agency, &length_prefix(project), project],
        ))
    }
    pub(super) fn noise(&self, agency: &AgencyId, project: &ProjectId, epoch: Epoch) -> Secret {
        let (agency, project) = (agency.as_str().as_bytes(), project.as_str().as_bytes());
        Secret::derive(
            CTX_NOISE,
            &[
                self.0.as_slice(),
                &length_prefix(agency),
                agency,
                &length_prefix(project),
                project,
                &epoch.number().to_le_bytes(),
            ],
        )
    }
}

/// Turns local ids into record refs: the first 16 bytes of keyed BLAKE3 of the id's bytes.
pub struct RefMaker(Secret);

impl RefMaker {
    /// The ref of one local id.
    #[must_use]
    pub fn record_ref(&self, local_id: &str) -> RecordRef {
        let hash = blake3::keyed_hash(&self.0.0, local_id.as_bytes());
        let mut bytes = [0; RecordRef::LEN];
        bytes.copy_from_slice(&hash.as_bytes()[..RecordRef::LEN]);
        RecordRef::from_bytes(bytes)
    }
}
impl fmt::Debug for RefMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefMaker(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LinkageKey {
        let bytes: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        LinkageKey::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn text_round_trips_and_shows_nothing_in_debug() {
        let text = key().to_text();
        assert!(text.starts_with("blindlink-linkage-key-1 000102"));
        assert!(LinkageKey::from_text(&text).unwrap() == key());
        assert_eq!(format!("{:?}", key()), "LinkageKey(..)");
    }

    #[test]
    fn refuses_what_is_no_key() {
        let of = LinkageKey::from_text;
        let short = format!("{} {}", LinkageKey::WORD, "0a".repeat(31));
        assert!(matches!(of(&short), Err(KeyError::Length { digits: 62 })));
        let zero = format!("{} {}", LinkageKey::WORD, "00".repeat(32));
        assert!(matches!(of(&zero), Err(KeyError::Weak)));
        let other = AgencyKey::generate().unwrap().to_text();
        assert!(matches!(of(&other), Err(KeyError::Kind { .. })));
        for bad in ["", "secret", "blindlink-linkage-key-1", "blindlink-linkage-key-1 zz", "a b c"] {
            assert!(matches!(of(bad), Err(KeyError::Format { .. })), "{bad:?}");
        }
    }

    #[test]
    fn check_value_depends_on_key_project_and_epoch() {
        let (p, q) = ("p".parse().unwrap(), "q".parse().unwrap());
        let check = key().epoch(&p, Epoch::FIRST).check();
        assert_eq!(check, key().epoch(&p, Epoch::FIRST).check());
        assert_ne!(check, key().epoch(&q, Epoch::FIRST).check());
        assert_ne!(check, key().epoch(&p, 2.try_into().unwrap()).check());
        assert_ne!(check, LinkageKey::generate().unwrap().epoch(&p, Epoch::FIRST).check());
    }
}
