//! Values read again and again, decoded once as long as their bytes stay the same.
//!
//! May see: the store's own values. The bytes are read and compared each time, so there is nothing to invalidate.

use super::records::decode;
use super::{StoreError, Vault};
use serde::de::DeserializeOwned;
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Values kept; beyond, all are forgotten and read again.
const KEPT_MAX: usize = 1_024;

/// A value with the bytes it was made of.
struct Kept {
    bytes: Vec<u8>,
    value: Arc<dyn Any + Send + Sync>,
}

#[derive(Default)]
pub(super) struct Decoded(RwLock<HashMap<String, Kept>>);

impl Vault {
    /// The value called `name`, a kind of `entry`.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], or what the engine says.
    pub fn decoded<T: DeserializeOwned + Send + Sync + 'static>(
        &self,
        entry: &'static str,
        name: &str,
    ) -> Result<Option<Arc<T>>, StoreError> {
        let Some(bytes) = self.store.value(name.as_bytes())? else { return Ok(None) };
        {
            let kept = self.decoded.0.read().unwrap_or_else(PoisonError::into_inner);
            let same = kept.get(name).filter(|kept| kept.bytes == bytes);
            if let Some(Ok(value)) = same.map(|kept| Arc::clone(&kept.value).downcast::<T>()) {
                return Ok(Some(value));
            }
        }
        let value: Arc<T> = Arc::new(decode(entry, &bytes)?);
        let mut kept = self.decoded.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(name.to_owned(), Kept { bytes, value: value.clone() });
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Batch, MemoryStore, system_clock};
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_removed_is_gone() {
        let vault = Vault::open(Arc::new(MemoryStore::new()), system_clock()).unwrap().0;
        let put = |text: &str| {
            let mut batch = Batch::new();
            batch.put("k", text);
            vault.store().apply(&batch).unwrap();
        };
        let read = || vault.decoded::<u32>("k", "k").map(|value| value.map(|value| *value));
        assert_eq!(read().unwrap(), None);
        put("7");
        assert_eq!((read().unwrap(), read().unwrap()), (Some(7), Some(7)));
        put("8");
        assert_eq!(read().unwrap(), Some(8));
        assert_eq!(*vault.decoded::<u64>("k", "k").unwrap().unwrap(), 8, "as another type");
        put("x");
        assert_eq!(read(), Err(StoreError::Unreadable { entry: "k" }));
        let mut batch = Batch::new();
        batch.remove("k");
        vault.store().apply(&batch).unwrap();
        assert_eq!(read().unwrap(), None);
    }
}
