//! API keys: `id.secret`, the secret shown once and kept only as its BLAKE3.

use super::records::{KeyRecord, NewEvent, decode, encode};
use super::vault::random;
use super::{Batch, StoreError, Vault, names};
use crate::wire::messages::{KeyCreate, KeyScope, Role};
use crate::wire::{AgencyId, ContentDigest, IdError, KeyId, ProjectId};
use std::str::FromStr;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// The secret half of a key: 32 random bytes.
#[derive(Zeroize, zeroize::ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// BLAKE3 of the secret: what is kept.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        ContentDigest::of(&self.0)
    }
}
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A key as it is sent: `id.secret`, the secret in 64 hexadecimal digits.
#[derive(Debug)]
pub struct Token {
    /// The id.
    pub id: KeyId,
    /// The secret.
    pub secret: Secret,
}

impl Token {
    /// The text to send; the only way to see the secret.
    #[must_use]
    pub fn expose(&self) -> String {
        let secret = self.secret.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("{}.{secret}", self.id)
    }
}

impl FromStr for Token {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = IdError::Hex { kind: "the secret of a key", digits: 64 };
        let (id, secret) = text.split_once('.').ok_or(wrong.clone())?;
        let bytes: ContentDigest = secret.parse().map_err(|_| wrong)?;
        Ok(Self { id: id.parse()?, secret: Secret(*bytes.as_bytes()) })
    }
}

impl Vault {
    /// Issues a key and returns its token, which is never shown again. `first`: only if its agency has had none in its
    /// project.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for one that is not the first, or what the engine says. Roles and scope are the caller's
    /// to check.
    pub fn issue_key(
        &self,
        new: &KeyCreate,
        first: bool,
        mut event: NewEvent,
    ) -> Result<(Token, KeyRecord), StoreError> {
        let mut batch = Batch::new();
        if let KeyScope::Agency { agency, project } = &new.scope {
            if first {
                batch.expect(names::had_key(project, agency), None);
            }
            // The project's log, so that the agency sees every key that speaks for it.
            (event.agency, event.project) = (Some(agency.clone()), Some(project.clone()));
        }
        let (token, record) = self.stage_key(&mut batch, new)?;
        self.commit(batch, event.subject(&record.id))?;
        Ok((token, record))
    }

    /// Whether an agency has ever had a key in a project, and whether one that may decide stands now.
    ///
    /// # Errors
    /// What the engine says.
    pub fn keys_of(&self, project: &ProjectId, agency: &AgencyId) -> Result<(bool, bool), StoreError> {
        let (now, mut decides) = (self.now(), false);
        let mut had = self.store.value(names::had_key(project, agency).as_bytes())?.is_some();
        for key in self.keys(None, usize::MAX)? {
            let KeyScope::Agency { agency: whose, project: at } = &key.scope else { continue };
            if at == project && whose == agency {
                let stands = key.revoked.is_none() && key.expires.is_none_or(|expires| now < expires);
                (had, decides) = (true, decides || (stands && key.roles.contains(&Role::Approver)));
            }
        }
        Ok((had, decides))
    }

    /// Every key with the approver's role that there ever was in a project.
    ///
    /// # Errors
    /// What the engine says.
    pub fn approver_keys(&self, project: &ProjectId) -> Result<Vec<KeyRecord>, StoreError> {
        let of_it = |key: &KeyRecord| {
            let here = matches!(&key.scope, KeyScope::Agency { project: at, .. } if at == project);
            here && key.roles.contains(&Role::Approver)
        };
        Ok(self.keys(None, usize::MAX)?.into_iter().filter(of_it).collect())
    }

    /// Adds a new key to `batch`.
    ///
    /// # Errors
    /// As [`Self::issue_key`].
    pub fn stage_key(&self, batch: &mut Batch, new: &KeyCreate) -> Result<(Token, KeyRecord), StoreError> {
        let mut secret = Secret([0; 32]);
        random(&mut secret.0)?;
        let mut number = [0u8; 5];
        random(&mut number)?;
        let id = number.iter().fold("k".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        let id: KeyId = id.parse().map_err(|_| StoreError::Unreadable { entry: "key" })?;
        let record = KeyRecord {
            id: id.clone(),
            secret_digest: secret.digest(),
            scope: new.scope.clone(),
            roles: new.roles.clone(),
            created: self.now(),
            expires: new.expires,
            revoked: None,
            label: new.label.clone(),
        };
        let name = names::key(&id);
        batch.expect(name.as_str(), None).put(name, encode("key", &record)?);
        if let KeyScope::Agency { agency, project } = &new.scope {
            batch.put(names::had_key(project, agency), []);
        }
        Ok((Token { id, secret }, record))
    }

    /// The key a token belongs to, if its secret is right and it neither expired nor was revoked.
    ///
    /// # Errors
    /// What the engine says.
    pub fn authenticate(&self, token: &Token) -> Result<Option<KeyRecord>, StoreError> {
        let record = self.key(&token.id)?;
        // An unknown id costs the same comparison as a wrong secret.
        let kept = record.as_ref().map_or(ContentDigest::from_bytes([0; 32]), |key| key.secret_digest);
        let same: bool = kept.as_bytes().ct_eq(token.secret.digest().as_bytes()).into();
        let now = self.now();
        Ok(record
            .filter(|key| same && key.revoked.is_none() && key.expires.is_none_or(|expires| now < expires)))
    }

    /// A key by its id.
    ///
    /// # Errors
    /// What the engine says.
    pub fn key(&self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        Ok(self.decoded("key", &names::key(id))?.map(Arc::unwrap_or_clone))
    }

    /// Keys after `after`, in order of their ids.
    ///
    /// # Errors
    /// What the engine says.
    pub fn keys(&self, after: Option<&KeyId>, limit: usize) -> Result<Vec<KeyRecord>, StoreError> {
        let after = after.map(names::key);
        let pairs = self.store.scan(b"key/", after.as_ref().map(String::as_bytes), limit)?;
        pairs.iter().map(|(_, value)| decode("key", value)).collect()
    }

    /// Revokes the keys of an agency in a project, or of all its agencies. May be repeated.
    pub(super) fn revoke_keys_of(
        &self,
        project: &ProjectId,
        of: Option<&AgencyId>,
    ) -> Result<(), StoreError> {
        for key in self.keys(None, usize::MAX)? {
            let KeyScope::Agency { agency, project: at } = &key.scope else { continue };
            if at == project && of.is_none_or(|of| of == agency) && key.revoked.is_none() {
                self.revoke_key(&key.id, NewEvent::new("key_revoked").project(project))?;
            }
        }
        Ok(())
    }

    /// Revokes a key for ever. Revoking twice changes nothing. None: no such key.
    ///
    /// # Errors
    /// What the engine says.
    pub fn revoke_key(&self, id: &KeyId, event: NewEvent) -> Result<Option<KeyRecord>, StoreError> {
        let name = names::key(id);
        let Some(bytes) = self.store.value(name.as_bytes())? else { return Ok(None) };
        let mut record: KeyRecord = decode("key", &bytes)?;
        if record.revoked.is_none() {
            record.revoked = Some(self.now());
            let mut batch = Batch::new();
            batch.expect(name.as_str(), Some(bytes)).put(name, encode("key", &record)?);
            self.commit(batch, event.subject(id))?;
        }
        Ok(Some(record))
    }
}
