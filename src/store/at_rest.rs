//! Data keys: one a project, made with its first chunk, kept wrapped, destroyed when the project ends.
//!
//! May see: wire, seal. Must not see: files, environment. Encodings are written encrypted or not at all; a vault
//! without the root key reads everything else.

use super::seal::{ChunkPlace, DataKey, RootKey, WrappedKey};
use super::{Batch, StoreError, UploadRecord, Vault};
use crate::wire::ProjectId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What stands in the place of a destroyed key, so that no new one is made.
const DESTROYED: &[u8] = b"destroyed";

/// The root key and the data keys opened with it.
#[derive(Default)]
pub(super) struct DataKeys {
    root: Option<RootKey>,
    open: Mutex<HashMap<ProjectId, Arc<DataKey>>>,
}

impl DataKeys {
    pub(super) fn of(root: RootKey) -> Self {
        Self { root: Some(root), open: Mutex::default() }
    }
    fn cached(&self, project: &ProjectId) -> Option<Arc<DataKey>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(project).cloned()
    }
    fn keep(&self, project: &ProjectId, key: DataKey) -> Arc<DataKey> {
        let key = Arc::new(key);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.insert(project.clone(), Arc::clone(&key));
        key
    }
    fn forget(&self, project: &ProjectId) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(project);
    }
}

fn name(project: &ProjectId) -> String {
    format!("datakey/{project}")
}

/// Position of a part in its dataset, for the associated data.
pub(super) fn position(chunk: u32, part: u16) -> u64 {
    u64::from(chunk) << 16 | u64::from(part)
}

/// Position of the part that a key of the store names.
pub(super) fn position_of(key: &[u8]) -> Option<u64> {
    let mut steps = std::str::from_utf8(key).ok()?.rsplit('/');
    let (part, chunk) = (steps.next()?.parse().ok()?, steps.next()?.parse().ok()?);
    Some(position(chunk, part))
}

/// Where a part of an upload belongs.
pub(super) fn place(upload: &UploadRecord, position: u64) -> ChunkPlace<'_> {
    ChunkPlace {
        project: &upload.project,
        epoch: upload.header.epoch,
        agency: &upload.agency,
        dataset: upload.id.as_str(),
        chunk: position,
    }
}

impl Vault {
    /// This vault with the centre's root key: it can read and write encodings.
    #[must_use]
    pub fn with_root_key(mut self, root: RootKey) -> Self {
        self.keys = DataKeys::of(root);
        self
    }

    /// Whether nothing is stored that a secret of the centre protects: then secrets may be made.
    ///
    /// # Errors
    /// What the engine says.
    pub fn protects_nothing(&self) -> Result<bool, StoreError> {
        for prefix in ["datakey/", "ledger/", "tombstone/", "part/"] {
            if !self.store.scan(prefix.as_bytes(), None, 1)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The data key of a project that has encodings.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::KeyDestroyed`], [`StoreError::Seal`] under another root key.
    pub(super) fn data_key(&self, project: &ProjectId) -> Result<Arc<DataKey>, StoreError> {
        let missing = StoreError::KeyDestroyed { project: project.clone() };
        self.stored_key(project)?.ok_or(missing)
    }

    fn stored_key(&self, project: &ProjectId) -> Result<Option<Arc<DataKey>>, StoreError> {
        if let Some(key) = self.keys.cached(project) {
            return Ok(Some(key));
        }
        let root = self.keys.root.as_ref().ok_or(StoreError::Locked)?;
        let Some(bytes) = self.store.value(name(project).as_bytes())? else { return Ok(None) };
        if bytes == DESTROYED {
            return Err(StoreError::KeyDestroyed { project: project.clone() });
        }
        let key = root.unwrap(project, &WrappedKey::from_bytes(&bytes)?)?;
        Ok(Some(self.keys.keep(project, key)))
    }

    /// The data key of a project, made now if this is its first chunk.
    ///
    /// # Errors
    /// As [`Vault::data_key`]; a destroyed key is never replaced.
    pub(super) fn data_key_or_new(&self, project: &ProjectId) -> Result<Arc<DataKey>, StoreError> {
        if let Some(key) = self.stored_key(project)? {
            return Ok(key);
        }
        let root = self.keys.root.as_ref().ok_or(StoreError::Locked)?;
        let (_, wrapped) = root.create(project)?;
        let mut batch = Batch::new();
        batch.expect(name(project), None).put(name(project), wrapped.as_bytes());
        match self.store.apply(&batch) {
            // Another upload was first: its key is the project's.
            Ok(()) | Err(StoreError::Conflict) => self.data_key(project),
            Err(error) => Err(error),
        }
    }

    /// Adds to `batch` what destroys a project's data key. Apply the batch, then call
    /// [`Vault::forget_data_key`]: from then on nothing the key encrypted can be read.
    pub fn destroy_data_key(&self, batch: &mut Batch, project: &ProjectId) {
        batch.put(name(project), DESTROYED);
    }

    /// Drops the opened data key from memory, once its destruction stands in the store.
    pub fn forget_data_key(&self, project: &ProjectId) {
        self.keys.forget(project);
    }

    /// Whether a root key opens every data key that stands.
    ///
    /// # Errors
    /// What the engine says.
    pub fn opens_with(&self, root: &RootKey) -> Result<bool, StoreError> {
        let mut opens = true;
        self.each_data_key(|project, _, wrapped| {
            opens &= root.unwrap(project, wrapped).is_ok();
            Ok(())
        })?;
        Ok(opens)
    }

    /// Calls `visit` with every data key that was not destroyed: its project, its name in the store, the key as wrapped.
    fn each_data_key(
        &self,
        mut visit: impl FnMut(&ProjectId, &[u8], &WrappedKey) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each(b"datakey/", |key, bytes| {
            if bytes == DESTROYED {
                return Ok(());
            }
            let project = std::str::from_utf8(&key[b"datakey/".len()..]).ok().and_then(|id| id.parse().ok());
            let project: ProjectId = project.ok_or(StoreError::Unreadable { entry: "datakey" })?;
            visit(&project, key, &WrappedKey::from_bytes(bytes)?)
        })
    }

    /// Writes every data key under another root key, in one transaction; this vault then uses it.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::Seal`], or what the engine says; then nothing has changed.
    pub fn rotate_root_key(&mut self, to: RootKey) -> Result<u64, StoreError> {
        let root = self.keys.root.as_ref().ok_or(StoreError::Locked)?;
        let mut batch = Batch::new();
        let mut rewrapped = 0;
        self.each_data_key(|project, key, old| {
            let wrapped = root.rewrap(project, old, &to)?;
            batch.expect(key, Some(old.as_bytes().to_vec())).put(key, wrapped.as_bytes());
            rewrapped += 1;
            Ok(())
        })?;
        self.store.apply(&batch)?;
        self.store.flush()?;
        self.keys = DataKeys::of(to);
        Ok(rewrapped)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryStore, Store, system_clock};
    use super::*;
    use zeroize::Zeroizing;

    fn root(byte: u8) -> RootKey {
        RootKey::from_bytes(&Zeroizing::new(vec![byte; 32])).unwrap()
    }
    fn open(store: &Arc<MemoryStore>) -> Vault {
        Vault::open(Arc::clone(store) as Arc<dyn super::super::Store>, system_clock()).unwrap().0
    }

    #[test]
    fn a_vault_without_the_root_key_has_no_data_key() {
        let store = Arc::new(MemoryStore::new());
        let project: ProjectId = "p".parse().unwrap();
        assert!(matches!(open(&store).data_key_or_new(&project), Err(StoreError::Locked)));
        assert!(open(&store).protects_nothing().unwrap());
        open(&store).with_root_key(root(1)).data_key_or_new(&project).unwrap();
        assert!(!open(&store).protects_nothing().unwrap());
        assert!(matches!(open(&store).with_root_key(root(2)).data_key(&project), Err(StoreError::Seal(_))));
    }

    #[test]
    fn a_destroyed_key_is_never_replaced_and_rotation_keeps_the_rest() {
        let store = Arc::new(MemoryStore::new());
        let (gone, kept): (ProjectId, ProjectId) = ("gone".parse().unwrap(), "kept".parse().unwrap());
        let mut vault = open(&store).with_root_key(root(1));
        vault.data_key_or_new(&gone).unwrap();
        vault.data_key_or_new(&kept).unwrap();
        let mut batch = Batch::new();
        vault.destroy_data_key(&mut batch, &gone);
        store_apply(&vault, &batch);
        vault.forget_data_key(&gone);
        let destroyed = StoreError::KeyDestroyed { project: gone.clone() };
        assert_eq!(vault.data_key_or_new(&gone).unwrap_err(), destroyed);
        assert_eq!(vault.rotate_root_key(root(2)).unwrap(), 1);
        vault.data_key(&kept).unwrap();
        assert!(open(&store).with_root_key(root(1)).data_key(&kept).is_err());
        open(&store).with_root_key(root(2)).data_key(&kept).unwrap();
    }

    #[test]
    fn a_rotation_that_stops_anywhere_leaves_every_key_under_one_root() {
        let projects: Vec<ProjectId> = (0..5).map(|n| format!("p{n}").parse().unwrap()).collect();
        let mut rotated = 0;
        for fail_after in 0.. {
            let store = Arc::new(MemoryStore::new());
            let mut vault = open(&store).with_root_key(root(1));
            projects.iter().for_each(|project| drop(vault.data_key_or_new(project).unwrap()));
            store.flush().unwrap();
            store.fail(super::super::Fault::WriteAfter(fail_after));
            let done = vault.rotate_root_key(root(2));
            store.fail(super::super::Fault::None);
            for kept in 0..=store.pending() {
                let found = open(&Arc::new(store.after_crash(kept)));
                let opens = [1, 2].map(|byte| found.opens_with(&root(byte)).unwrap());
                assert_eq!(opens[0], !opens[1], "fault after {fail_after}, {kept} kept: {opens:?}");
                assert!(opens[1] || done.is_err(), "what was confirmed stands");
            }
            rotated += u32::from(done.is_ok());
            if rotated == 2 {
                return;
            }
        }
    }

    fn store_apply(vault: &Vault, batch: &Batch) {
        vault.store().apply(batch).unwrap();
    }

    #[test]
    fn positions_come_back_from_keys() {
        assert_eq!(position_of(b"part/ds-1/000007/00003"), Some(position(7, 3)));
        assert_eq!(position_of(b"part/ds-1/x/00003"), None);
    }
}
