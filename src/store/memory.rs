//! A store in memory that can be told to fail, and to crash: the twin tests are run against.
//!
//! It keeps what was flushed apart from what was merely applied. A crash keeps the flushed state and a
//! chosen number of the batches applied since, as a log cut at a torn write would.

use super::{Batch, Pair, Store, StoreError};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// When the store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Never.
    #[default]
    None,
    /// The write (apply or flush) after `0` more writes, and every one after it.
    WriteAfter(u32),
    /// The read (value, scan, last) after `0` more reads, and every one after it.
    ReadAfter(u32),
}

#[derive(Default)]
struct State {
    live: BTreeMap<Vec<u8>, Vec<u8>>,
    durable: BTreeMap<Vec<u8>, Vec<u8>>,
    pending: Vec<Batch>,
    fault: Fault,
}

/// A store that forgets everything when dropped.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Sets when it fails.
    pub fn fail(&self, fault: Fault) {
        self.state().fault = fault;
    }
    /// Batches applied since the last flush.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state().pending.len()
    }
    /// What a process that reopens the store finds when the machine stopped now and the log was torn
    /// after `kept` of the batches that were not flushed.
    #[must_use]
    pub fn after_crash(&self, kept: usize) -> Self {
        let state = self.state();
        let mut durable = state.durable.clone();
        for batch in state.pending.iter().take(kept) {
            write(&mut durable, batch);
        }
        let live = durable.clone();
        Self { state: Mutex::new(State { live, durable, ..State::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(map: &mut BTreeMap<Vec<u8>, Vec<u8>>, batch: &Batch) {
    for (key, value) in batch.writes() {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

impl State {
    fn before_write(&mut self) -> Result<(), StoreError> {
        match &mut self.fault {
            Fault::WriteAfter(0) => Err(StoreError::Engine("injected write fault".to_owned())),
            Fault::WriteAfter(left) => {
                *left -= 1;
                Ok(())
            }
            Fault::None | Fault::ReadAfter(_) => Ok(()),
        }
    }
    fn before_read(&mut self) -> Result<(), StoreError> {
        match &mut self.fault {
            Fault::ReadAfter(0) => Err(StoreError::Engine("injected read fault".to_owned())),
            Fault::ReadAfter(left) => {
                *left -= 1;
                Ok(())
            }
            Fault::None | Fault::WriteAfter(_) => Ok(()),
        }
    }
}

impl Store for MemoryStore {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut state = self.state();
        state.before_read()?;
        Ok(state.live.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let mut state = self.state();
        state.before_read()?;
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let range = state.live.range::<[u8], _>((start, Bound::Unbounded));
        let found = range.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn last_at_or_before(&self, prefix: &[u8], key: &[u8]) -> Result<Option<Pair>, StoreError> {
        if key < prefix {
            return Ok(None);
        }
        let mut state = self.state();
        state.before_read()?;
        let range = state.live.range::<[u8], _>((Bound::Included(prefix), Bound::Included(key)));
        let last = range.last().filter(|(key, _)| key.starts_with(prefix));
        Ok(last.map(|(key, value)| (key.clone(), value.clone())))
    }

    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        let mut state = self.state();
        state.before_write()?;
        for (key, expected) in batch.expectations() {
            if state.live.get(key) != expected.as_ref() {
                return Err(StoreError::Conflict);
            }
        }
        write(&mut state.live, batch);
        state.pending.push(batch.clone());
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        state.before_write()?;
        for batch in std::mem::take(&mut state.pending) {
            write(&mut state.durable, &batch);
        }
        Ok(())
    }

    fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> Batch {
        let mut batch = Batch::new();
        batch.put(key, value);
        batch
    }

    #[test]
    fn a_crash_keeps_what_was_flushed_and_a_prefix_of_the_rest() {
        let store = MemoryStore::new();
        store.apply(&put("a", "1")).unwrap();
        store.flush().unwrap();
        store.apply(&put("b", "2")).unwrap();
        store.apply(&put("c", "3")).unwrap();
        let torn = store.after_crash(1);
        assert!(torn.value(b"a").unwrap().is_some() && torn.value(b"b").unwrap().is_some());
        assert_eq!(torn.value(b"c").unwrap(), None);
        assert_eq!(store.after_crash(0).value(b"b").unwrap(), None);
    }

    #[test]
    fn the_engines_agree_on_scans_and_expectations() {
        let folder = tempfile::tempdir().unwrap();
        let sled = super::super::SledStore::open(folder.path(), 16).unwrap();
        let memory = MemoryStore::new();
        for store in [&sled as &dyn Store, &memory] {
            for key in ["p/a", "p/b", "p/c", "q/a"] {
                store.apply(&put(key, key)).unwrap();
            }
            let keys = |after: Option<&[u8]>, limit| -> Vec<Vec<u8>> {
                store.scan(b"p/", after, limit).unwrap().into_iter().map(|pair| pair.0).collect()
            };
            assert_eq!(keys(None, 9).len(), 3);
            assert_eq!(keys(Some(b"p/a"), 1), [b"p/b".to_vec()]);
            assert_eq!(store.last_at_or_before(b"p/", b"p/bz").unwrap().unwrap().0, b"p/b");
            assert_eq!(store.last_at_or_before(b"q/b", b"q/c").unwrap(), None);
            let mut batch = put("p/d", "4");
            batch.expect("p/a", None);
            assert_eq!(store.apply(&batch), Err(StoreError::Conflict));
            assert_eq!(store.value(b"p/d").unwrap(), None);
            let mut batch = put("p/d", "4");
            batch.expect("p/a", Some(b"p/a".to_vec())).remove("p/b");
            store.apply(&batch).unwrap();
            store.flush().unwrap();
            assert_eq!(store.value(b"p/b").unwrap(), None);
        }
    }
}
