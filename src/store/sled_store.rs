//! The engine: sled `=0.34.7`, one tree, one process.
//!
//! sled's known faults are met here: a snapshot file can stop it from reopening after an abrupt stop, with
//! an error or with a panic, so both become [`StoreError::Damaged`] that names the restore command; values
//! above 64 KB would become files that are never reclaimed, so they are refused before sled sees them.

use super::{Batch, Pair, Store, StoreError};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often an opening is tried while another holder has the lock, and the pause between: one second.
const OPEN_TRIES: u32 = 20;
const OPEN_PAUSE: Duration = Duration::from_millis(50);

/// A store in a folder.
pub struct SledStore {
    db: sled::Db,
    path: PathBuf,
}

impl SledStore {
    /// Opens or creates the store in `path` with a cache of `cache_mib` MiB (128 to 256 is sensible).
    /// One that was closed a moment ago is waited for: sled's own threads hold its lock a little longer.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Damaged`] or [`StoreError::Io`].
    pub fn open(path: &Path, cache_mib: u16) -> Result<Self, StoreError> {
        create_private_folder(path)?;
        for _ in 1..OPEN_TRIES {
            match Self::open_once(path, cache_mib) {
                Err(StoreError::InUse { .. }) => std::thread::sleep(OPEN_PAUSE),
                opened => return opened,
            }
        }
        Self::open_once(path, cache_mib)
    }

    fn open_once(path: &Path, cache_mib: u16) -> Result<Self, StoreError> {
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(u64::from(cache_mib) << 20)
            .mode(sled::Mode::HighThroughput);
        match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => Ok(Self { db, path: path.to_owned() }),
            Ok(Err(sled::Error::Io(error))) if is_lock(&error) => {
                Err(StoreError::InUse { path: path.to_owned() })
            }
            Ok(Err(error)) => Err(StoreError::Damaged { path: path.to_owned(), cause: error.to_string() }),
            Err(panic) => Err(StoreError::Damaged { path: path.to_owned(), cause: panic_text(&*panic) }),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store for SledStore {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        guarded(|| Ok(self.db.get(key)?.map(|value| value.to_vec())))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        guarded(|| {
            let mut pairs = Vec::new();
            for pair in self.db.range::<&[u8], _>((start, Bound::Unbounded)).take(limit) {
                let (key, value) = pair?;
                if !key.starts_with(prefix) {
                    break;
                }
                pairs.push((key.to_vec(), value.to_vec()));
            }
            Ok(pairs)
        })
    }

    fn last_at_or_before(&self, prefix: &[u8], key: &[u8]) -> Result<Option<Pair>, StoreError> {
        if key < prefix {
            return Ok(None);
        }
        guarded(|| {
            let last = self.db.range::<&[u8], _>(prefix..=key).next_back().transpose()?;
            let pair = last.map(|(key, value)| (key.to_vec(), value.to_vec()));
            Ok(pair.filter(|(key, _)| key.starts_with(prefix)))
        })
    }

    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        if batch.expectations().is_empty() {
            let mut writes = sled::Batch::default();
            for (key, value) in batch.writes() {
                match value {
                    Some(value) => writes.insert(key.as_slice(), value.as_slice()),
                    None => writes.remove(key.as_slice()),
                }
            }
            return guarded(|| self.db.apply_batch(writes));
        }
        let run = || self.db.transaction(|tree| apply_checked(tree, batch));
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(sled::transaction::TransactionError::Abort(()))) => Err(StoreError::Conflict),
            Ok(Err(sled::transaction::TransactionError::Storage(error))) => {
                Err(StoreError::Engine(error.to_string()))
            }
            Err(panic) => Err(StoreError::Engine(panic_text(&*panic))),
        }
    }

    fn flush(&self) -> Result<(), StoreError> {
        guarded(|| self.db.flush().map(|_| ()))
    }

    fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        guarded(|| self.db.size_on_disk())
    }
}

fn apply_checked(
    tree: &sled::transaction::TransactionalTree,
    batch: &Batch,
) -> sled::transaction::ConflictableTransactionResult<(), ()> {
    for (key, expected) in batch.expectations() {
        if tree.get(key)?.as_deref() != expected.as_deref() {
            return sled::transaction::abort(());
        }
    }
    for (key, value) in batch.writes() {
        match value {
            Some(value) => tree.insert(key.as_slice(), value.as_slice())?,
            None => tree.remove(key.as_slice())?,
        };
    }
    Ok(())
}

/// Runs one call of the engine and turns its errors and panics into ours.
fn guarded<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(StoreError::Engine(error.to_string())),
        Err(panic) => Err(StoreError::Engine(panic_text(&*panic))),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the engine stopped without a reason".to_owned())
}

fn is_lock(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

fn create_private_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(StoreError::io(format!("cannot create {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_opening_is_refused_as_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let store = SledStore::open(folder.path(), 16).unwrap();
        let second = SledStore::open(folder.path(), 16).err().unwrap();
        assert!(matches!(second, StoreError::InUse { .. }), "{second}");
        drop(store);
        SledStore::open(folder.path(), 16).unwrap();
    }

    #[test]
    fn damage_becomes_a_refusal_that_names_the_restore_command() {
        let folder = tempfile::tempdir().unwrap();
        drop(SledStore::open(folder.path(), 16).unwrap());
        std::fs::write(folder.path().join("conf"), b"not a configuration").unwrap();
        let error = SledStore::open(folder.path(), 16).err().unwrap();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("blindlink store restore"));
    }

    #[test]
    fn a_value_above_the_bound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = SledStore::open(folder.path(), 16).unwrap();
        let mut batch = Batch::new();
        batch.put("k", vec![0; 65_537]);
        assert_eq!(store.apply(&batch), Err(StoreError::ValueTooLarge { bytes: 65_537, bytes_max: 65_536 }));
        assert_eq!(store.value(b"k").unwrap(), None);
    }
}
