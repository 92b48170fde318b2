//! The secret of a clkhash project and the keys that HKDF (RFC 5869) makes of it.
//!
//! May see: the secret. Must not print it: `Debug` shows nothing, the bytes are wiped on drop.

use super::error::LegacyError;
use super::schema::{Kdf, KdfHash};
use hkdf::Hkdf;
use sha2::{Sha256, Sha512};
use std::io::Read;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The shared secret, as bytes (clkhash takes the UTF-8 of a passphrase).
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct LegacySecret(Vec<u8>);

/// Longest secret in bytes.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// Keys of one column: the second is for the second hash of `doubleHash`.
const KEYS_PER_COLUMN: usize = 2;

impl LegacySecret {
    /// Takes the secret as it is, every byte of it.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Reads the secret of a file: one line end at the end, as editors leave it, is not part of it.
    ///
    /// # Errors
    /// An unreadable, overlong (64 KiB) or empty file.
    pub fn read(file: impl Read) -> Result<Self, LegacyError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 << 10));
        let read = file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| LegacyError::io("read the secret", &error))?;
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            return Err(LegacyError::TooLong { what: "the secret", max: SECRET_BYTES_MAX, unit: "bytes" });
        }
        let line =
            bytes.strip_suffix(b"\n").map_or(&bytes[..], |line| line.strip_suffix(b"\r").unwrap_or(line));
        if line.is_empty() { Err(LegacyError::EmptySecret) } else { Ok(Self::new(line)) }
    }
}

impl std::fmt::Debug for LegacySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LegacySecret(..)")
    }
}

/// The keys of all columns, ignored ones included: column c has keys 2c and 2c + 1.
pub(super) struct ColumnKeys {
    bytes: Zeroizing<Vec<u8>>,
    size: usize,
}

impl ColumnKeys {
    /// Derives two keys for each of `columns` columns.
    pub(super) fn derive(secret: &LegacySecret, kdf: &Kdf, columns: usize) -> Result<Self, LegacyError> {
        let too_long = || {
            LegacyError::unusable(
                "clkConfig.kdf.keySize",
                "HKDF cannot make so many bytes: fewer columns or shorter keys",
            )
        };
        let digest_len = if kdf.hash == KdfHash::Sha256 { 32 } else { 64 };
        let size = usize::try_from(kdf.key_size).map_err(|_| too_long())?;
        let len = size.checked_mul(KEYS_PER_COLUMN * columns).filter(|&len| len <= 255 * digest_len);
        let mut bytes = Zeroizing::new(vec![0; len.ok_or_else(too_long)?]);
        let (salt, info) = (kdf.salt.as_deref(), kdf.info.as_deref().unwrap_or_default());
        match kdf.hash {
            KdfHash::Sha256 => Hkdf::<Sha256>::new(salt, &secret.0).expand(info, &mut bytes),
            KdfHash::Sha512 => Hkdf::<Sha512>::new(salt, &secret.0).expand(info, &mut bytes),
        }
        .map_err(|_| too_long())?;
        Ok(Self { bytes, size })
    }

    /// The two keys of column `column`.
    pub(super) fn of(&self, column: usize) -> (&[u8], &[u8]) {
        let start = KEYS_PER_COLUMN * column * self.size;
        self.bytes[start..start + KEYS_PER_COLUMN * self.size].split_at(self.size)
    }
}
