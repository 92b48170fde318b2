//! Sorted entries of fixed width, in pages of at most 48 KB, found by the key of a page's first entry.
//!
//! A million refs are a few hundred values of the store instead of a million: it opens faster, and one
//! look-up reads one page.

use super::{Batch, Store, StoreError};

const PAGE_BYTES_MAX: usize = 48 << 10;

/// Entries of `width` bytes that begin with a unique key of `key_width` bytes, under `prefix`.
pub(super) struct Pages {
    prefix: Vec<u8>,
    width: usize,
    key_width: usize,
}

impl Pages {
    pub(super) fn new(prefix: &str, width: usize, key_width: usize) -> Self {
        Self { prefix: prefix.as_bytes().to_vec(), width, key_width }
    }

    /// Writes `sorted` entries. Not flushed; what stood under the prefix before must be gone.
    pub(super) fn write(&self, store: &dyn Store, sorted: &[u8]) -> Result<(), StoreError> {
        for page in sorted.chunks(PAGE_BYTES_MAX / self.width * self.width) {
            let mut batch = Batch::new();
            batch.put(self.page_key(&page[..self.key_width]), page);
            store.apply(&batch)?;
        }
        Ok(())
    }

    /// Up to `limit` entries whose first bytes are at least `from`, ascending.
    pub(super) fn entries(
        &self,
        store: &dyn Store,
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut found = Vec::new();
        let wanted = |entry: &[u8]| entry[..from.len().min(entry.len())] >= *from;
        let mut page = match store.last_at_or_before(&self.prefix, &self.page_key(from))? {
            Some(page) => Some(page),
            None => self.next(store, None)?,
        };
        while let Some((key, value)) = page {
            if !value.len().is_multiple_of(self.width) {
                return Err(StoreError::Unreadable { entry: "page" });
            }
            let room = limit - found.len();
            found.extend(value.chunks_exact(self.width).filter(|e| wanted(e)).take(room).map(<[u8]>::to_vec));
            if found.len() == limit {
                break;
            }
            page = self.next(store, Some(&key))?;
        }
        Ok(found)
    }

    /// Every entry that begins with `prefix`, at most a key's length of bytes: the rest of the page is not looked at.
    pub(super) fn beginning_with(
        &self,
        store: &dyn Store,
        prefix: &[u8],
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut found = Vec::new();
        let mut page = match store.last_at_or_before(&self.prefix, &self.page_key(prefix))? {
            Some(page) => Some(page),
            None => self.next(store, None)?,
        };
        while let Some((key, value)) = page {
            if !value.len().is_multiple_of(self.width) {
                return Err(StoreError::Unreadable { entry: "page" });
            }
            let entries: Vec<&[u8]> = value.chunks_exact(self.width).collect();
            let first = entries.partition_point(|entry| entry[..prefix.len()] < *prefix);
            for entry in &entries[first..] {
                if !entry.starts_with(prefix) {
                    return Ok(found);
                }
                found.push(entry.to_vec());
            }
            page = self.next(store, Some(&key))?;
        }
        Ok(found)
    }

    /// Whether an entry has exactly this key.
    pub(super) fn contains(&self, store: &dyn Store, key: &[u8]) -> Result<bool, StoreError> {
        let Some((_, value)) = store.last_at_or_before(&self.prefix, &self.page_key(key))? else {
            return Ok(false);
        };
        let (mut low, mut high) = (0, value.len() / self.width);
        while low < high {
            let middle = (low + high) / 2;
            let at = middle * self.width;
            match value[at..at + self.key_width].cmp(key) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(false)
    }

    /// The entry with exactly this key.
    pub(super) fn entry(&self, store: &dyn Store, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries(store, key, 1)?.pop().filter(|entry| entry.starts_with(key)))
    }

    /// Removes the entry with exactly this key and returns it.
    pub(super) fn take(&self, store: &dyn Store, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = store.last_at_or_before(&self.prefix, &self.page_key(key))?;
        let Some((name, value)) = found else { return Ok(None) };
        let mut entries: Vec<&[u8]> = value.chunks_exact(self.width).collect();
        let Some(at) = entries.iter().position(|entry| entry[..self.key_width] == *key) else {
            return Ok(None);
        };
        let entry = entries.remove(at).to_vec();
        let mut batch = Batch::new();
        batch.expect(name.as_slice(), Some(value.clone()));
        // A page keeps its name though its first entry goes: names only must not exceed what they hold.
        if entries.is_empty() {
            batch.remove(name);
        } else {
            batch.put(name, entries.concat());
        }
        store.apply(&batch)?;
        Ok(Some(entry))
    }

    /// Adds an entry where its key belongs; one of the same key is replaced.
    pub(super) fn insert(&self, store: &dyn Store, entry: &[u8]) -> Result<(), StoreError> {
        let key = &entry[..self.key_width];
        let mut batch = Batch::new();
        let Some((name, value)) = store.last_at_or_before(&self.prefix, &self.page_key(key))? else {
            batch.put(self.page_key(key), entry);
            return store.apply(&batch);
        };
        let mut entries: Vec<&[u8]> = value.chunks_exact(self.width).collect();
        entries.retain(|other| other[..self.key_width] != *key);
        entries.insert(entries.partition_point(|other| other[..self.key_width] < *key), entry);
        batch.expect(name.as_slice(), Some(value.clone()));
        let half =
            if entries.len() * self.width > PAGE_BYTES_MAX { entries.len() / 2 } else { entries.len() };
        let (kept, moved) = entries.split_at(half);
        batch.put(name, kept.concat());
        if let Some(first) = moved.first() {
            batch.put(self.page_key(&first[..self.key_width]), moved.concat());
        }
        store.apply(&batch)
    }

    /// Calls `visit` with every page, in order.
    pub(super) fn each_page(
        &self,
        store: &dyn Store,
        mut visit: impl FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        let mut page = self.next(store, None)?;
        while let Some((key, value)) = page {
            visit(&value);
            page = self.next(store, Some(&key))?;
        }
        Ok(())
    }

    fn next(&self, store: &dyn Store, after: Option<&[u8]>) -> Result<Option<super::Pair>, StoreError> {
        Ok(store.scan(&self.prefix, after, 1)?.pop())
    }

    fn page_key(&self, first: &[u8]) -> Vec<u8> {
        [&self.prefix, first].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryStore;
    use super::*;

    #[test]
    fn finds_and_pages_over_page_boundaries() {
        let store = MemoryStore::new();
        let pages = Pages::new("p/", 24, 16);
        let numbers: Vec<u64> = (0..10_000).map(|n| n * 3).collect();
        let entry = |n: u64| [&[0; 8][..], &n.to_be_bytes(), &[7; 8]].concat();
        let sorted: Vec<u8> = numbers.iter().flat_map(|n| entry(*n)).collect();
        pages.write(&store, &sorted).unwrap();
        assert!(store.scan(b"p/", None, 99).unwrap().len() > 3);
        for n in numbers.iter().copied().chain([1, 30_001]) {
            let found = pages.beginning_with(&store, &entry(n)[..16]).unwrap();
            let expected: Vec<Vec<u8>> = numbers.contains(&n).then(|| entry(n)).into_iter().collect();
            assert_eq!(found, expected, "{n}");
        }
        // 256 numbers have the same first 15 bytes: over a page's end too.
        for n in [0u64, 6_144, 29_952] {
            let expected: Vec<Vec<u8>> =
                numbers.iter().filter(|m| **m >> 8 == n >> 8).map(|m| entry(*m)).collect();
            assert_eq!(pages.beginning_with(&store, &entry(n)[..15]).unwrap(), expected);
        }
        for n in [0, 3, 6_141, 6_144, 29_997] {
            assert!(pages.contains(&store, &entry(n)[..16]).unwrap(), "{n}");
            assert!(!pages.contains(&store, &entry(n + 1)[..16]).unwrap(), "{n}");
        }
        let mut all = Vec::new();
        let mut cursor: Vec<u8> = Vec::new();
        loop {
            let next = pages.entries(&store, &cursor, 777).unwrap();
            let fresh = &next[usize::from(!cursor.is_empty())..];
            let Some(last) = fresh.last() else { break };
            cursor = last[..16].to_vec();
            all.extend(fresh.concat());
        }
        assert_eq!(all, sorted);
        assert!(!pages.contains(&MemoryStore::new(), &[0; 16]).unwrap());
    }

    #[test]
    fn entries_are_taken_and_inserted_one_by_one() {
        let (store, other) = (MemoryStore::new(), MemoryStore::new());
        let pages = Pages::new("p/", 24, 16);
        let entry = |n: u64| [&[0; 8][..], &n.to_be_bytes(), &[7; 8]].concat();
        let sorted: Vec<u8> = (0..5_000).flat_map(entry).collect();
        pages.write(&store, &sorted).unwrap();
        // In an order that visits all pages again and again.
        let order = || (0..5_000u64).map(|n| n * 1_871 % 5_000);
        for n in order() {
            pages.insert(&other, &entry(n)).unwrap();
            pages.insert(&other, &entry(n)).unwrap();
        }
        assert_eq!(pages.entries(&other, &[], usize::MAX).unwrap().concat(), sorted);
        for n in order() {
            assert_eq!(pages.take(&store, &entry(n)[..16]).unwrap(), Some(entry(n)), "{n}");
            assert_eq!(pages.take(&store, &entry(n)[..16]).unwrap(), None);
            if n.is_multiple_of(101) {
                let left = pages.entries(&store, &[], usize::MAX).unwrap();
                assert!(left.is_sorted());
            }
        }
        assert!(store.scan(b"p/", None, 1).unwrap().is_empty(), "empty pages go");
    }
}
