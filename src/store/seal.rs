//! Encryption at rest: XChaCha20-Poly1305 under a data key per project, wrapped by the centre's root key.
//!
//! May see: wire, key bytes the caller read. Must not see: files, environment, logs. Destroying a project's
//! wrapped key makes its chunks unreadable for good (crypto-erase): nothing derives the data key.
//!
//! A sealed value is `version (1) || nonce (24, random) || ciphertext || tag (16)`. Where it belongs is bound
//! as associated data, so that a chunk moved to another project, epoch, agency or place does not open.

use crate::wire::{AgencyId, Epoch, ProjectId};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use std::fmt;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const WRAP_CONTEXT: &[u8] = b"blindlink data key 1";
const CHUNK_CONTEXT: &[u8] = b"blindlink chunk 1";

/// Bytes a sealed value has more than its plain text.
pub const SEAL_OVERHEAD_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;
/// Bytes of a wrapped data key.
pub const WRAPPED_KEY_BYTES: usize = 32 + SEAL_OVERHEAD_BYTES;

/// Why a value could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The operating system gave no randomness.
    #[error("the operating system gave no random bytes: nothing was stored")]
    Random,
    /// The value is longer than the cipher takes.
    #[error("the value is too long to be encrypted")]
    TooLong,
    /// Too short, or of a version this program does not know.
    #[error("a stored value is cut or of an unknown version: run the store check")]
    Format,
    /// The tag does not hold: another key, another place, or changed bytes.
    #[error("a stored value does not open: it was changed or moved, or its key is another or destroyed")]
    Open,
    /// The root key file has not exactly 32 bytes.
    #[error("a root key is exactly 32 bytes: make one with the operating system's random source")]
    RootKey,
}

/// The centre's root key: wraps data keys, encrypts nothing else.
pub struct RootKey(XChaCha20Poly1305);

/// A project's data key. Lives in memory only while the project is open.
pub struct DataKey(XChaCha20Poly1305);

/// A data key as it may be stored; to destroy it is to erase the project.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey(Vec<u8>);

/// Where a chunk belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkPlace<'a> {
    /// The agreement.
    pub project: &'a ProjectId,
    /// The life of its linkage key.
    pub epoch: Epoch,
    /// Whose records.
    pub agency: &'a AgencyId,
    /// The dataset, as the store names it.
    pub dataset: &'a str,
    /// Position in the dataset, from 0.
    pub chunk: u64,
}

impl ChunkPlace<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let mut data = CHUNK_CONTEXT.to_vec();
        for text in [self.project.as_str(), self.agency.as_str(), self.dataset] {
            // A length never truncates: ids are bounded by 64 bytes.
            data.extend_from_slice(&(text.len() as u64).to_le_bytes());
            data.extend_from_slice(text.as_bytes());
        }
        data.extend_from_slice(&self.epoch.number().to_le_bytes());
        data.extend_from_slice(&self.chunk.to_le_bytes());
        data
    }
}

impl RootKey {
    /// The root key from the 32 bytes of its file, credential or command.
    ///
    /// # Errors
    /// [`SealError::RootKey`] at any other length.
    pub fn from_bytes(bytes: &Zeroizing<Vec<u8>>) -> Result<Self, SealError> {
        let key: &Key = bytes.as_slice().try_into().map_err(|_| SealError::RootKey)?;
        Ok(Self(XChaCha20Poly1305::new(key)))
    }

    /// Makes a fresh data key for `project`, together with the form to store.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn create(&self, project: &ProjectId) -> Result<(DataKey, WrappedKey), SealError> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|_| SealError::Random)?;
        let wrapped = seal(&self.0, &wrap_data(project), bytes.as_slice())?;
        Ok((DataKey(XChaCha20Poly1305::new((&*bytes).into())), WrappedKey(wrapped)))
    }

    /// Opens the data key of `project`.
    ///
    /// # Errors
    /// [`SealError::Format`], [`SealError::Open`].
    pub fn unwrap(&self, project: &ProjectId, wrapped: &WrappedKey) -> Result<DataKey, SealError> {
        let bytes = Zeroizing::new(open(&self.0, &wrap_data(project), &wrapped.0)?);
        let key: &Key = bytes.as_slice().try_into().map_err(|_| SealError::Format)?;
        Ok(DataKey(XChaCha20Poly1305::new(key)))
    }

    /// The same data key under another root key: rotation of the root rewrites 73 bytes a project.
    ///
    /// # Errors
    /// As [`RootKey::unwrap`], and [`SealError::Random`].
    pub fn rewrap(
        &self,
        project: &ProjectId,
        wrapped: &WrappedKey,
        to: &Self,
    ) -> Result<WrappedKey, SealError> {
        let bytes = Zeroizing::new(open(&self.0, &wrap_data(project), &wrapped.0)?);
        seal(&to.0, &wrap_data(project), &bytes).map(WrappedKey)
    }
}

impl DataKey {
    /// Encrypts a chunk for its place: [`SEAL_OVERHEAD_BYTES`] longer than `plain`.
    ///
    /// # Errors
    /// [`SealError::Random`], [`SealError::TooLong`].
    pub fn seal(&self, place: &ChunkPlace<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        seal(&self.0, &place.associated_data(), plain)
    }

    /// Decrypts a chunk that was sealed for this very place.
    ///
    /// # Errors
    /// [`SealError::Format`], [`SealError::Open`].
    pub fn open(&self, place: &ChunkPlace<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        open(&self.0, &place.associated_data(), sealed)
    }
}

impl WrappedKey {
    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    /// Reads what was stored.
    ///
    /// # Errors
    /// [`SealError::Format`] unless it has [`WRAPPED_KEY_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        if bytes.len() == WRAPPED_KEY_BYTES { Ok(Self(bytes.to_vec())) } else { Err(SealError::Format) }
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}
impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}
impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappedKey(..)")
    }
}

fn wrap_data(project: &ProjectId) -> Vec<u8> {
    [WRAP_CONTEXT, project.as_str().as_bytes()].concat()
}

fn seal(cipher: &XChaCha20Poly1305, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
    let nonce = XNonce::from(nonce);
    let sealed = cipher.encrypt(&nonce, Payload { msg: plain, aad }).map_err(|_| SealError::TooLong)?;
    Ok([&[VERSION], nonce.as_slice(), &sealed].concat())
}

fn open(cipher: &XChaCha20Poly1305, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (version, rest) = sealed.split_first().ok_or(SealError::Format)?;
    let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Format)?;
    if *version != VERSION || text.len() < TAG_BYTES {
        return Err(SealError::Format);
    }
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg: text, aad }).map_err(|_| SealError::Open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(byte: u8) -> RootKey {
        RootKey::from_bytes(&Zeroizing::new(vec![byte; 32])).unwrap()
    }

    #[test]
    fn agrees_with_the_draft_of_the_cipher() {
        // draft-irtf-cfrg-xchacha-03, appendix A.3.1.
        let key: Vec<u8> = (0x80..=0x9f).collect();
        let cipher = XChaCha20Poly1305::new(key.as_slice().try_into().unwrap());
        let nonce: [u8; 24] = std::array::from_fn(|n| 0x40 + n as u8);
        let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the \
                     future, sunscreen would be it.";
        let tag =
            [0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49];
        let sealed = cipher.encrypt(&nonce.into(), Payload { msg: text, aad: &aad }).unwrap();
        assert_eq!(sealed[..4], [0xbd, 0x6d, 0x17, 0x9d]);
        assert_eq!(sealed[sealed.len() - 16..], tag);
        let framed = [&[VERSION][..], &nonce, &sealed].concat();
        assert_eq!(open(&cipher, &aad, &framed).unwrap(), text);
    }

    #[test]
    fn a_chunk_opens_only_in_its_place() {
        let (mash, other): (ProjectId, ProjectId) = ("mash".parse().unwrap(), "mas".parse().unwrap());
        let (health, police): (AgencyId, AgencyId) = ("health".parse().unwrap(), "police".parse().unwrap());
        let (key, _) = root(1).create(&mash).unwrap();
        let place =
            ChunkPlace { project: &mash, epoch: Epoch::FIRST, agency: &health, dataset: "d1", chunk: 0 };
        let sealed = key.seal(&place, b"bits").unwrap();
        assert_eq!(sealed.len(), 4 + SEAL_OVERHEAD_BYTES);
        assert_eq!(key.open(&place, &sealed).unwrap(), b"bits");
        for wrong in [
            ChunkPlace { project: &other, ..place },
            ChunkPlace { epoch: Epoch::try_from(2).unwrap(), ..place },
            ChunkPlace { agency: &police, ..place },
            ChunkPlace { dataset: "d2", ..place },
            ChunkPlace { chunk: 1, ..place },
        ] {
            assert_eq!(key.open(&wrong, &sealed), Err(SealError::Open));
        }
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(key.open(&place, &bad).is_err(), "byte {at}");
            assert!(key.open(&place, &sealed[..at]).is_err(), "cut at {at}");
        }
        assert_ne!(key.seal(&place, b"bits").unwrap(), sealed, "a nonce must never repeat");
    }

    #[test]
    fn data_keys_are_wrapped_for_one_project_and_survive_rotation_of_the_root() {
        let (mash, other): (ProjectId, ProjectId) = ("mash".parse().unwrap(), "other".parse().unwrap());
        let agency: AgencyId = "health".parse().unwrap();
        let place =
            ChunkPlace { project: &mash, epoch: Epoch::FIRST, agency: &agency, dataset: "d", chunk: 3 };
        let (key, wrapped) = root(1).create(&mash).unwrap();
        let sealed = key.seal(&place, b"bits").unwrap();
        let wrapped = WrappedKey::from_bytes(wrapped.as_bytes()).unwrap();
        assert_eq!(root(1).unwrap(&mash, &wrapped).unwrap().open(&place, &sealed).unwrap(), b"bits");
        assert!(root(2).unwrap(&mash, &wrapped).is_err());
        assert!(root(1).unwrap(&other, &wrapped).is_err());
        let moved = root(1).rewrap(&mash, &wrapped, &root(2)).unwrap();
        assert_eq!(root(2).unwrap(&mash, &moved).unwrap().open(&place, &sealed).unwrap(), b"bits");
    }

    /// Crypto-erase: with the wrapped key gone, a fresh one under the same root opens nothing.
    #[test]
    fn without_the_wrapped_key_nothing_opens() {
        let (mash, agency): (ProjectId, AgencyId) = ("mash".parse().unwrap(), "health".parse().unwrap());
        let place =
            ChunkPlace { project: &mash, epoch: Epoch::FIRST, agency: &agency, dataset: "d", chunk: 3 };
        let (key, wrapped) = root(1).create(&mash).unwrap();
        let sealed = key.seal(&place, b"bits").unwrap();
        drop((key, wrapped));
        let (fresh, _) = root(1).create(&mash).unwrap();
        assert_eq!(fresh.open(&place, &sealed), Err(SealError::Open));
        assert_eq!(open(&root(1).0, &place.associated_data(), &sealed), Err(SealError::Open));
    }

    #[test]
    fn malformed_keys_are_refused_and_nothing_is_shown() {
        for len in [0, 31, 33] {
            assert!(RootKey::from_bytes(&Zeroizing::new(vec![0; len])).is_err());
            assert!(WrappedKey::from_bytes(&vec![0; len]).is_err());
        }
        let (key, wrapped) = root(1).create(&"p".parse().unwrap()).unwrap();
        assert_eq!(format!("{key:?} {wrapped:?} {:?}", root(1)), "DataKey(..) WrappedKey(..) RootKey(..)");
    }
}
