//! The typed layer over a [`Store`]: opening, the one way to write, ids, the sweep at start.

use super::at_rest::DataKeys;
use super::decoded::Decoded;
use super::records::{EventRecord, NewEvent, decode, encode};
use super::{Batch, Gathered, Store, StoreError, names, prefilter::Prefilters};
use crate::wire::{ContentDigest, KeyId, ProjectId, UtcTime};
use serde::de::DeserializeOwned;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Marker of the format this program reads and writes.
pub const FORMAT: &str = "blindlink-store 2";
/// Times that an event is numbered anew because another took its number.
const TRIES_MAX: u32 = 1_000;

/// Tells the time; injected, so that a test can live through years.
pub type Clock = Arc<dyn Fn() -> UtcTime + Send + Sync>;

/// The clock of the machine.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| UtcTime::from_millis(jiff::Timestamp::now().as_millisecond()).unwrap_or(UtcTime::EPOCH))
}

/// What opening a store found and mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenReport {
    /// Whether the store was empty and is new.
    pub created: bool,
    /// Entries of uploads that were never sealed, or of runs that never finished, now removed.
    pub swept: u64,
    /// Runs that were computing when the centre stopped, now marked interrupted.
    pub interrupted_runs: u64,
}

/// Projects, agencies, keys, datasets, runs and events over a [`Store`].
pub struct Vault {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) writer: Mutex<()>,
    /// Held while an upload is sealed.
    pub(super) sealing: Mutex<()>,
    /// Held for reading while encodings are loaded, for writing while superseded ones are removed.
    pub(super) loading: RwLock<()>,
    pub(super) prefilters: Prefilters,
    /// Erasures since this process began.
    pub(super) erasures: AtomicU64,
    pub(super) keys: DataKeys,
    pub(super) decoded: Decoded,
}

/// A request that must be done once however often it is sent: the same key and content give the same
/// result, the same key with other content is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    name: String,
    request: ContentDigest,
}

impl Once {
    /// Key `text`, sent by `key` to `route`, with a body of digest `request`.
    #[must_use]
    pub fn new(key: &KeyId, route: &str, text: &str, request: ContentDigest) -> Self {
        let digest = ContentDigest::of(format!("{route}\n{text}").as_bytes());
        Self { name: format!("once/{key}/{digest}"), request }
    }
}

/// What an earlier request with the same key did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// There was none.
    None,
    /// The same request; its result's id.
    Same(String),
    /// Another request under the same key.
    Other,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct OnceRecord {
    request: ContentDigest,
    result: String,
    at: UtcTime,
}

impl Vault {
    /// Opens what `store` holds, or begins it; sweeps what an abrupt stop left behind.
    ///
    /// # Errors
    /// [`StoreError::Format`] for another version's store, or what the engine says.
    pub fn open(store: Arc<dyn Store>, clock: Clock) -> Result<(Self, OpenReport), StoreError> {
        let mut report = OpenReport::default();
        match store.value(names::FORMAT_KEY.as_bytes())? {
            Some(found) if found == FORMAT.as_bytes() => {}
            Some(found) => {
                let found = String::from_utf8_lossy(&found).chars().take(40).collect();
                return Err(StoreError::Format { found, expected: FORMAT });
            }
            None if !store.scan(b"", None, 1)?.is_empty() => {
                return Err(StoreError::Format { found: "no marker".to_owned(), expected: FORMAT });
            }
            None => {
                let mut batch = Batch::new();
                batch.expect(names::FORMAT_KEY, None).put(names::FORMAT_KEY, FORMAT);
                store.apply(&batch)?;
                store.flush()?;
                report.created = true;
            }
        }
        let vault = Self {
            store,
            clock,
            writer: Mutex::new(()),
            sealing: Mutex::new(()),
            loading: RwLock::new(()),
            prefilters: Prefilters::new()?,
            erasures: AtomicU64::new(0),
            keys: DataKeys::default(),
            decoded: Decoded::default(),
        };
        report.interrupted_runs = vault.interrupt_runs()?;
        report.swept = vault.sweep()?;
        Ok((vault, report))
    }

    /// The time by the store's clock.
    #[must_use]
    pub fn now(&self) -> UtcTime {
        (self.clock)()
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The store below, to be shared with what writes beside the vault: the ledger, budgets.
    #[must_use]
    pub fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// What the engine says.
    pub fn ready(&self) -> Result<(), StoreError> {
        self.store.value(names::FORMAT_KEY.as_bytes()).map(|_| ())
    }

    /// Writes `batch` together with `event`, and returns when both are on disk. The only way in which
    /// anything a person can see is written.
    pub(super) fn commit(&self, mut batch: Batch, event: NewEvent) -> Result<EventRecord, StoreError> {
        let (expected, written) = (batch.expectations.len(), batch.writes.len());
        let mut tries = 0;
        let record = loop {
            let _writing = self.writing();
            let head = self.event_head(&event)?;
            let record = self.put_event(&mut batch, event.clone(), head.clone())?;
            match self.store.apply(&batch) {
                // An event that was staged with a ledger's entry took the number meanwhile.
                Err(StoreError::Conflict) if tries < TRIES_MAX && self.event_head(&event)? != head => {
                    tries += 1;
                    batch.expectations.truncate(expected);
                    batch.writes.truncate(written);
                }
                applied => break applied.map(|()| record)?,
            }
        };
        self.store.flush()?;
        Ok(record)
    }

    fn event_head(&self, event: &NewEvent) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.value(names::event_head(names::event_scope(event.project.as_ref())).as_bytes())
    }

    /// Adds `event` to `batch` as the one after `head`.
    fn put_event(
        &self,
        batch: &mut Batch,
        event: NewEvent,
        head: Option<Vec<u8>>,
    ) -> Result<EventRecord, StoreError> {
        let scope = names::event_scope(event.project.as_ref()).to_owned();
        let head_key = names::event_head(&scope);
        let last: u64 = head.as_deref().map_or(Ok(0), |bytes| decode("event-head", bytes))?;
        let record = EventRecord { number: last + 1, at: self.now(), event };
        let staged = batch.writes.iter().any(|(key, _)| key == head_key.as_bytes());
        if !staged {
            batch.expect(head_key.as_str(), head);
        }
        batch
            .put(names::event(&scope, record.number), encode("event", &record)?)
            .put(head_key, encode("event-head", &record.number)?);
        Ok(record)
    }

    /// Adds `event` to a transaction of a ledger, so that both stand or neither; `gathered` is what those before it
    /// write.
    ///
    /// # Errors
    /// What the engine says.
    pub fn stage_event(
        &self,
        gathered: &Gathered<'_>,
        batch: &mut Batch,
        event: NewEvent,
    ) -> Result<(), StoreError> {
        let key = names::event_head(names::event_scope(event.project.as_ref()));
        let staged = batch.writes.iter().rev().find(|(name, _)| name == key.as_bytes());
        let head = match staged {
            Some((_, head)) => head.clone(),
            None => gathered.value(key.as_bytes())?,
        };
        self.put_event(batch, event, head).map(drop)
    }

    /// The bytes of an entry that was read as `before`: what a transaction that replaces it is to expect. Never what
    /// `before` encodes to now; another version may have written other bytes.
    pub(super) fn unchanged<T: DeserializeOwned + PartialEq>(
        &self,
        (entry, name): (&'static str, &str),
        before: &T,
    ) -> Result<Vec<u8>, StoreError> {
        let bytes = self.store.value(name.as_bytes())?.ok_or(StoreError::Conflict)?;
        if decode::<T>(entry, &bytes)? == *before { Ok(bytes) } else { Err(StoreError::Conflict) }
    }

    /// Writes an event alone: the log of a question, before its answer.
    ///
    /// # Errors
    /// What the engine says; then nothing may be answered.
    pub fn record(&self, event: NewEvent) -> Result<EventRecord, StoreError> {
        self.commit(Batch::new(), event)
    }

    /// Events of a project, or of the centre itself, after number `after`, oldest first.
    ///
    /// # Errors
    /// What the engine says.
    pub fn events(
        &self,
        project: Option<&ProjectId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let scope = names::event_scope(project);
        let from = names::event(scope, after);
        let pairs = self.store.scan(names::events(scope).as_bytes(), Some(from.as_bytes()), limit)?;
        pairs.iter().map(|(_, value)| decode("event", value)).collect()
    }

    /// What an earlier request with the same key did.
    ///
    /// # Errors
    /// What the engine says.
    pub fn earlier(&self, once: Option<&Once>) -> Result<Earlier, StoreError> {
        let Some(once) = once else { return Ok(Earlier::None) };
        let Some(bytes) = self.store.value(once.name.as_bytes())? else { return Ok(Earlier::None) };
        let record: OnceRecord = decode("once", &bytes)?;
        Ok(if record.request == once.request { Earlier::Same(record.result) } else { Earlier::Other })
    }

    /// Remembers the result of a request in the transaction that does it: once, so that of two at the same time one is
    /// done.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the same key was used meanwhile; sent again the request is answered as repeated.
    pub fn remember(&self, batch: &mut Batch, once: Option<&Once>, result: &str) -> Result<(), StoreError> {
        if let Some(once) = once {
            let record = OnceRecord { request: once.request, result: result.to_owned(), at: self.now() };
            if self.store.value(once.name.as_bytes())?.is_some() {
                return Err(StoreError::Conflict);
            }
            batch.expect(once.name.as_str(), None).put(once.name.as_str(), encode("once", &record)?);
        }
        Ok(())
    }

    /// Remembers the result of a request that changed nothing, so that sending it again gives the same.
    ///
    /// # Errors
    /// As [`Self::remember`].
    pub fn remember_alone(&self, once: Option<&Once>, result: &str) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        self.remember(&mut batch, once, result)?;
        self.store.apply(&batch)?;
        self.store.flush()
    }

    /// Removes results remembered more than `hours` ago.
    pub(super) fn forget_requests(&self, hours: u32) -> Result<u64, StoreError> {
        let mut removed = 0;
        self.each(b"once/", |key, value| {
            let record: OnceRecord = decode("once", value)?;
            if record.at.plus_hours(hours) < self.now() {
                let mut batch = Batch::new();
                batch.remove(key);
                self.store.apply(&batch)?;
                removed += 1;
            }
            Ok(())
        })?;
        Ok(removed)
    }

    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `visit` with every pair under `prefix`, in order.
    pub(super) fn each(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let pairs = self.store.scan(prefix, after.as_deref(), 64)?;
            let Some((last, _)) = pairs.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, value) in &pairs {
                visit(key, value)?;
            }
        }
    }

    /// Removes every pair under `prefix`; tells how many.
    pub(super) fn remove_all(&self, prefix: &[u8]) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let pairs = self.store.scan(prefix, None, 64)?;
            if pairs.is_empty() {
                return Ok(removed);
            }
            let mut batch = Batch::new();
            for (key, _) in &pairs {
                batch.remove(key.as_slice());
                removed += 1;
            }
            self.store.apply(&batch)?;
        }
    }

    /// A new id: a prefix, the time and chance, so that ids sort by time.
    ///
    /// # Errors
    /// When the operating system has no random bytes.
    pub fn new_id(&self, prefix: &str) -> Result<String, StoreError> {
        let mut chance = [0u8; 6];
        random(&mut chance)?;
        let chance = chance.iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
        Ok(format!("{prefix}-{:012x}-{chance:012x}", self.now().millis().max(0)))
    }
}

/// Fills `bytes` from the operating system.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| StoreError::Io {
        what: "cannot read random bytes".to_owned(),
        cause: error.to_string(),
    })
}
