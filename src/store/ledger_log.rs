//! The ledger on disk: entries, subtrees and edge, written in one transaction with what they speak of.
//!
//! May see: wire, ledger. Must not see: agency, service. One writer per process. [`LedgerLog::record`] returns
//! when the entry is on disk, so that an answer given afterwards is never without one; many callers share
//! one write and its flush. Whatever fails, fails closed: no entry, no answer.

use super::together::{Gathered, Together};
use super::{Batch, Store, StoreError};
use crate::ledger::{
    Checkpoint, CheckpointError, Cosignature, Entry, ExportError, ExportHeader, ExportWriter, Frontier,
    LogKey, LogName, LogSigner, NodeId, NodeSource, ProofError, SignedCheckpoint, root_at,
};
use crate::wire::{AgencyId, ContentDigest, ProjectId};
use std::sync::Arc;

const PAGE: usize = 1_000;
/// Entries in a page of an export.
const EXPORT_PAGE: usize = 200;

/// Why the ledger was not written, read or believed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A subtree is missing.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A remembered checkpoint is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An export could not be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The file of remembered checkpoints cannot be read or written.
    #[error("the remembered checkpoints in {}: {cause}", path.display())]
    Heads {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// Entries, subtrees and edge contradict each other.
    #[error("the ledger is damaged at entry {index}: restore the store and keep this one as evidence")]
    Damaged {
        /// First entry concerned.
        index: u64,
    },
    /// A checkpoint signed earlier speaks of more entries, or of others.
    #[error(
        "the ledger of {size} entries is not the one signed at {signed} entries: it was rolled back or rewritten"
    )]
    NotContinued {
        /// Entries there are.
        size: u64,
        /// Entries the checkpoint speaks of.
        signed: u64,
    },
}

/// The ledger of one log name in a store.
pub struct LedgerLog {
    store: Arc<dyn Store>,
    name: LogName,
    /// Beginning of all its keys; `~` stands for `/`, so that no log's keys begin another's.
    prefix: String,
    /// Writers, and the edge after what they applied.
    together: Together<Frontier>,
}

impl LedgerLog {
    /// Opens the log. Check it against a checkpoint from outside ([`LedgerLog::continues`]) after a restore.
    ///
    /// # Errors
    /// [`LogError::Store`], [`LogError::Damaged`].
    pub fn open(store: Arc<dyn Store>, name: LogName) -> Result<Self, LogError> {
        let prefix = format!("ledger/{}", name.as_str().replace('/', "~"));
        let edge = edge(&*store, &prefix).map_err(|error| match error {
            StoreError::Unreadable { .. } => LogError::Damaged { index: 0 },
            other => other.into(),
        })?;
        let together = Together::new(Arc::clone(&store), edge);
        Ok(Self { store, name, prefix, together })
    }

    /// Opens the log of a project.
    ///
    /// # Errors
    /// As [`LedgerLog::open`].
    pub fn of_project(store: Arc<dyn Store>, project: &ProjectId) -> Result<Self, LogError> {
        // A project's id has only characters that a log's name may have.
        Self::open(store, format!("centre/{project}").parse()?)
    }

    /// Which log.
    #[must_use]
    pub const fn name(&self) -> &LogName {
        &self.name
    }

    /// Entries applied.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.together.applied().size()
    }

    /// Writes `entry` together with what `also` puts into the same transaction (budgets, an upload's seal),
    /// and returns its position once both are on disk. `also` runs again if the store changed meanwhile; what others
    /// may write at the same moment it reads from what it is given.
    ///
    /// # Errors
    /// What `also` says, or the store: then neither stands.
    pub fn record<E: From<LogError>>(
        &self,
        entry: &Entry,
        mut also: impl FnMut(&Gathered<'_>, &mut Batch) -> Result<(), E>,
    ) -> Result<u64, E> {
        self.record_all(std::slice::from_ref(entry), |gathered, batch, _| also(gathered, batch))
    }

    /// [`LedgerLog::record`] for several entries in one transaction; `also` is told the position of the first.
    ///
    /// # Errors
    /// As [`LedgerLog::record`].
    pub fn record_all<E: From<LogError>>(
        &self,
        entries: &[Entry],
        mut also: impl FnMut(&Gathered<'_>, &mut Batch, u64) -> Result<(), E>,
    ) -> Result<u64, E> {
        let stage = |gathered: &Gathered<'_>, edge: &mut Frontier, batch: &mut Batch| {
            let index = edge.size();
            also(gathered, batch, index).map_err(Said::Also)?;
            let before = (index > 0).then(|| edge.to_bytes());
            for entry in entries {
                batch.put(self.entry_key(edge.size()), entry.to_bytes());
                for (id, hash) in kept(edge.append(entry.leaf())) {
                    batch.put(self.node_key(id), hash.as_bytes());
                }
            }
            batch.expect(self.edge_key(), before).put(self.edge_key(), edge.to_bytes());
            Ok(index)
        };
        let written = self.together.write(stage, || self.edge());
        written.map_err(|said| match said {
            Said::Also(error) => error,
            Said::Store(error) => LogError::from(error).into(),
        })
    }

    /// Signs size and root as they are on disk, keeps and returns the checkpoint; one that is kept of this size stays,
    /// with the co-signatures it has gathered.
    ///
    /// # Errors
    /// [`LogError::Store`], [`LogError::Damaged`].
    pub fn checkpoint(&self, signer: &LogSigner, now_ms: u64) -> Result<SignedCheckpoint, LogError> {
        let edge = self.together.applied();
        self.store.flush()?;
        let signed = Checkpoint::of(self.name.clone(), &edge, now_ms).sign(signer);
        let size = signed.checkpoint.size;
        let mut batch = Batch::new();
        let key = self.checkpoint_key(size);
        let bytes = serde_json::to_vec(&signed).map_err(|_| LogError::Damaged { index: size })?;
        batch.expect(key.as_str(), None).put(key, bytes);
        match self.store.apply(&batch) {
            Ok(()) => {
                self.store.flush()?;
                Ok(signed)
            }
            Err(StoreError::Conflict) => self.kept(size)?.ok_or(LogError::Damaged { index: size }),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a witness's co-signature to the checkpoint kept of exactly `size` entries, in place of an earlier one of
    /// its own. None: no such checkpoint is kept.
    ///
    /// # Errors
    /// [`LogError::Store`], [`LogError::Damaged`].
    pub fn add_cosignature(
        &self,
        size: u64,
        cosignature: &Cosignature,
    ) -> Result<Option<SignedCheckpoint>, LogError> {
        let damaged = |_| LogError::Damaged { index: size };
        let key = self.checkpoint_key(size);
        loop {
            let Some(bytes) = self.store.value(key.as_bytes())? else { return Ok(None) };
            let mut signed: SignedCheckpoint = serde_json::from_slice(&bytes).map_err(damaged)?;
            signed.cosignatures.retain(|other| other.witness != cosignature.witness);
            signed.cosignatures.push(cosignature.clone());
            let mut batch = Batch::new();
            let after = serde_json::to_vec(&signed).map_err(damaged)?;
            batch.expect(key.as_str(), Some(bytes)).put(key.as_str(), after);
            match self.store.apply(&batch) {
                Ok(()) => {
                    self.store.flush()?;
                    return Ok(Some(signed));
                }
                // Another witness signed meanwhile: both stand.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The newest checkpoint kept of at most `size` entries.
    ///
    /// # Errors
    /// [`LogError::Store`], [`LogError::Damaged`].
    pub fn kept(&self, size: u64) -> Result<Option<SignedCheckpoint>, LogError> {
        let prefix = format!("{}/sign/", self.prefix);
        let found = self.store.last_at_or_before(prefix.as_bytes(), self.checkpoint_key(size).as_bytes())?;
        let read = |(_, bytes): (_, Vec<u8>)| serde_json::from_slice(&bytes);
        found.map(read).transpose().map_err(|_| LogError::Damaged { index: size })
    }

    /// Shows that the log continues a checkpoint remembered elsewhere: by a witness, or beside a backup.
    ///
    /// # Errors
    /// [`LogError::NotContinued`] after a roll-back or rewriting, [`LogError::Checkpoint`] if forged.
    pub fn continues(&self, remembered: &SignedCheckpoint, key: &LogKey) -> Result<(), LogError> {
        let old = remembered.verify(&self.name, key)?;
        let size = self.size();
        if old.size > size || root_at(self, old.size)? != old.root {
            return Err(LogError::NotContinued { size, signed: old.size });
        }
        Ok(())
    }

    /// Up to `limit` entries from position `from` on.
    ///
    /// # Errors
    /// [`LogError::Store`], [`LogError::Damaged`].
    pub fn entries(&self, from: u64, limit: usize) -> Result<Vec<Entry>, LogError> {
        let prefix = format!("{}/entry/", self.prefix);
        let after = from.checked_sub(1).map(|before| self.entry_key(before));
        let pairs = self.store.scan(prefix.as_bytes(), after.as_ref().map(String::as_bytes), limit)?;
        let read = |(index, (key, bytes)): (u64, (Vec<u8>, Vec<u8>))| {
            let damaged = LogError::Damaged { index };
            if key != self.entry_key(index).as_bytes() {
                return Err(damaged);
            }
            Entry::from_bytes(&bytes).map_err(|_| damaged)
        };
        (from..).zip(pairs).map(read).collect()
    }

    /// Recomputes the tree from the entries and compares it with what is kept: part of the store check.
    ///
    /// # Errors
    /// [`LogError::Damaged`] with the first entry that does not fit.
    pub fn check(&self) -> Result<u64, LogError> {
        let mut edge = Frontier::default();
        loop {
            let page = self.entries(edge.size(), PAGE)?;
            for entry in &page {
                let index = edge.size();
                let stands = |(id, hash)| self.node(id) == Some(hash);
                if !kept(edge.append(entry.leaf())).all(stands) {
                    return Err(LogError::Damaged { index });
                }
            }
            if page.len() < PAGE {
                break;
            }
        }
        let size = edge.size();
        let damaged = |_| LogError::Damaged { index: size };
        if edge == self.edge().map_err(damaged)? { Ok(size) } else { Err(LogError::Damaged { index: size }) }
    }

    fn edge(&self) -> Result<Frontier, StoreError> {
        edge(&*self.store, &self.prefix)
    }
    fn edge_key(&self) -> String {
        edge_key(&self.prefix)
    }
    fn entry_key(&self, index: u64) -> String {
        format!("{}/entry/{index:020}", self.prefix)
    }
    fn node_key(&self, id: NodeId) -> String {
        format!("{}/node/{:02}/{:020}", self.prefix, id.level, id.index)
    }
    fn checkpoint_key(&self, size: u64) -> String {
        format!("{}/sign/{size:020}", self.prefix)
    }
}

/// An export of a checkpoint's entries, a page of lines at a time, so that a ledger of any length fits.
pub struct ExportPages {
    log: Arc<LedgerLog>,
    checkpoint: SignedCheckpoint,
    writer: Option<ExportWriter>,
    first: Option<String>,
    next: u64,
}

impl ExportPages {
    /// The export for an agency, which sees its own entries, or for the centre's readers, who see all.
    ///
    /// # Errors
    /// [`LogError::Export`].
    pub fn new(
        log: Arc<LedgerLog>,
        agency: Option<AgencyId>,
        checkpoint: SignedCheckpoint,
    ) -> Result<Self, LogError> {
        let header = ExportHeader::new(log.name().clone(), checkpoint.checkpoint.size, agency);
        let (writer, first) = ExportWriter::new(header)?;
        Ok(Self { log, checkpoint, writer: Some(writer), first: Some(first), next: 0 })
    }

    /// The next page: the head, then entries, then the seal; none after that, or after an error.
    ///
    /// # Errors
    /// [`LogError`]; what was handed out has no seal then and verifies as cut.
    pub fn page(&mut self, signer: &LogSigner) -> Result<Option<String>, LogError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let Some(mut writer) = self.writer.take() else { return Ok(None) };
        let left = self.checkpoint.checkpoint.size - self.next;
        if left == 0 {
            return Ok(Some(writer.finish(self.checkpoint.clone(), signer)?));
        }
        let limit = usize::try_from(left).unwrap_or(EXPORT_PAGE).min(EXPORT_PAGE);
        let entries = self.log.entries(self.next, limit)?;
        if entries.is_empty() {
            return Err(LogError::Damaged { index: self.next });
        }
        self.next += entries.len() as u64;
        let lines = entries.into_iter().map(|entry| writer.entry(entry)).collect::<Result<String, _>>()?;
        self.writer = Some(writer);
        Ok(Some(lines))
    }
}

impl NodeSource for LedgerLog {
    /// A store that fails and a subtree that is missing are the same to a proof: it is not made.
    fn node(&self, id: NodeId) -> Option<ContentDigest> {
        if id.level == 0 {
            let bytes = self.store.value(self.entry_key(id.index).as_bytes()).ok()??;
            return Some(Entry::from_bytes(&bytes).ok()?.leaf());
        }
        let bytes = self.store.value(self.node_key(id).as_bytes()).ok()??;
        Some(ContentDigest::from_bytes(bytes.try_into().ok()?))
    }
}

impl std::fmt::Debug for LedgerLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LedgerLog({})", self.name)
    }
}

/// Why a write did not come about.
enum Said<E> {
    Also(E),
    Store(StoreError),
}

impl<E> From<StoreError> for Said<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Subtrees that are written: a leaf is made of its entry again.
fn kept(completed: Vec<(NodeId, ContentDigest)>) -> impl Iterator<Item = (NodeId, ContentDigest)> {
    completed.into_iter().filter(|(id, _)| id.level > 0)
}

fn edge_key(prefix: &str) -> String {
    format!("{prefix}/edge")
}

fn edge(store: &dyn Store, prefix: &str) -> Result<Frontier, StoreError> {
    match store.value(edge_key(prefix).as_bytes())? {
        None => Ok(Frontier::default()),
        Some(bytes) => {
            Frontier::from_bytes(&bytes).map_err(|_| StoreError::Unreadable { entry: "ledger edge" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Act, Hex, Trusted, Witness, prove_consistency, prove_inclusion, verify};
    use crate::store::{Fault, MemoryStore};
    use zeroize::Zeroizing;

    fn entry(n: u64) -> Entry {
        let word = |text: &str| text.parse().unwrap();
        Entry {
            at_ms: n,
            who: "anna".parse().unwrap(),
            agency: Some(["council", "health"][(n % 2) as usize].parse().unwrap()),
            scope: None,
            act: Act {
                action: word("lookup"),
                role: word("requester"),
                purpose: None,
                case: None,
                request: ContentDigest::of(&n.to_le_bytes()),
                result: word("none"),
            },
            blind: Hex([1; 16]),
        }
    }
    fn open(store: &Arc<MemoryStore>) -> LedgerLog {
        LedgerLog::open(Arc::clone(store) as Arc<dyn Store>, "centre/mash".parse().unwrap()).unwrap()
    }
    fn signer() -> LogSigner {
        LogSigner::from_seed(&Zeroizing::new([5; 32]))
    }
    fn record(log: &LedgerLog, n: u64) -> Result<u64, LogError> {
        log.record(&entry(n), |_, batch| {
            batch.put(format!("budget/{n}"), [1]);
            Ok(())
        })
    }
    fn fill(log: &LedgerLog, entries: std::ops::Range<u64>) {
        for n in entries {
            record(log, n).unwrap();
        }
    }

    #[test]
    fn of_witnesses_that_sign_at_the_same_time_none_is_lost() {
        let store = Arc::new(MemoryStore::new());
        let log = open(&store);
        fill(&log, 0..3);
        log.checkpoint(&signer(), 1).unwrap();
        let word = |n: usize| Cosignature {
            witness: format!("witness-{n}").parse().unwrap(),
            at_ms: 1,
            signature: Hex([1; 64]),
        };
        std::thread::scope(|scope| {
            for n in 0..16 {
                let log = &log;
                scope.spawn(move || log.add_cosignature(3, &word(n)).unwrap().unwrap());
            }
        });
        assert_eq!(log.kept(3).unwrap().unwrap().cosignatures.len(), 16);
        log.add_cosignature(3, &word(5)).unwrap();
        log.checkpoint(&signer(), 9).unwrap();
        assert_eq!(log.kept(3).unwrap().unwrap().cosignatures.len(), 16, "one of each");
        assert!(log.add_cosignature(2, &word(5)).unwrap().is_none());
    }

    #[test]
    fn proofs_checkpoints_and_exports_come_from_disk() {
        let store = Arc::new(MemoryStore::new());
        let log = open(&store);
        let first = log.checkpoint(&signer(), 1).unwrap();
        (0..37).for_each(|n| assert_eq!(record(&log, n).unwrap(), n));
        let log = open(&store);
        let second = log.checkpoint(&signer(), 2).unwrap();
        prove_inclusion(&log, 5, 37).unwrap().verify(&entry(5).leaf(), &second.checkpoint.root).unwrap();
        let grown = prove_consistency(&log, 0, 37).unwrap();
        let (name, key) = (log.name().clone(), signer().public());
        let mut witness = Witness {
            name: "health".parse().unwrap(),
            log: name.clone(),
            key,
            seen: Some(first.checkpoint.clone()),
        };
        witness.cosign(&second, &grown, &signer(), 3).unwrap();
        assert_eq!(log.check().unwrap(), 37);
        assert_eq!(log.kept(99).unwrap().unwrap(), second);
        assert_eq!(log.kept(36).unwrap().unwrap(), first);
        let mut text = String::new();
        let health = Some("health".parse().unwrap());
        let mut pages = ExportPages::new(Arc::new(open(&store)), health, second.clone()).unwrap();
        while let Some(page) = pages.page(&signer()).unwrap() {
            text += &page;
        }
        let trusted = Trusted { log: &name, key, older: &[first], witnesses: &[] };
        let verified = verify(text.as_bytes(), trusted).unwrap();
        assert_eq!((verified.shown, verified.hidden), (18, 19));
    }

    #[test]
    fn a_crash_leaves_a_consistent_log_and_every_answered_entry() {
        for kept in 0..4 {
            let store = Arc::new(MemoryStore::new());
            let log = open(&store);
            fill(&log, 0..9);
            // Applied, never flushed: nobody was answered.
            for n in 9..12 {
                store.fail(Fault::WriteAfter(1));
                assert!(log.record(&entry(n), |_, _| Ok::<(), LogError>(())).is_err());
            }
            store.fail(Fault::None);
            let store = Arc::new(store.after_crash(kept));
            let log = open(&store);
            assert_eq!(log.check().unwrap(), 9 + kept as u64);
            assert_eq!(record(&log, 50).unwrap(), 9 + kept as u64);
            assert_eq!(log.check().unwrap(), 10 + kept as u64);
        }
    }

    #[test]
    fn when_writing_fails_nobody_is_answered_and_nothing_else_is_written() {
        let store = Arc::new(MemoryStore::new());
        let log = open(&store);
        record(&log, 0).unwrap();
        for fault in [Fault::WriteAfter(0), Fault::WriteAfter(1)] {
            store.fail(fault);
            assert!(record(&log, 1).is_err(), "{fault:?}");
        }
        store.fail(Fault::None);
        let refused = log.record(&entry(1), |_, _| Err::<(), _>(LogError::Damaged { index: 7 }));
        assert!(matches!(refused, Err(LogError::Damaged { index: 7 })));
        let before = log.size();
        assert_eq!(record(&log, 2).unwrap(), before);
        assert_eq!(log.check().unwrap(), before + 1);
    }

    #[test]
    fn a_log_rolled_back_or_rewritten_does_not_continue_its_checkpoint() {
        let store = Arc::new(MemoryStore::new());
        let log = open(&store);
        fill(&log, 0..5);
        let backup = Arc::new(store.after_crash(0));
        fill(&log, 5..8);
        let signed = log.checkpoint(&signer(), 9).unwrap();
        log.continues(&signed, &signer().public()).unwrap();
        let restored = open(&backup);
        assert!(matches!(
            restored.continues(&signed, &signer().public()),
            Err(LogError::NotContinued { size: 5, signed: 8 })
        ));
        fill(&restored, 20..30);
        assert!(restored.continues(&signed, &signer().public()).is_err());
        let stranger = LogSigner::from_seed(&Zeroizing::new([6; 32])).public();
        assert!(matches!(log.continues(&signed, &stranger), Err(LogError::Checkpoint(_))));
    }

    #[test]
    fn every_changed_byte_in_the_store_is_found() {
        let store = Arc::new(MemoryStore::new());
        let log = open(&store);
        fill(&log, 0..6);
        for (key, value) in store.scan(b"ledger/", None, 1_000).unwrap() {
            for at in 0..value.len() {
                let mut bad = value.clone();
                bad[at] ^= 1;
                store.apply(Batch::new().put(key.clone(), bad)).unwrap();
                assert!(log.check().is_err(), "{} byte {at}", String::from_utf8_lossy(&key));
            }
            store.apply(Batch::new().remove(key.clone())).unwrap();
            assert!(log.check().is_err(), "{} lost", String::from_utf8_lossy(&key));
            store.apply(Batch::new().put(key, value)).unwrap();
        }
        assert_eq!(log.check().unwrap(), 6);
    }

    #[test]
    fn many_writers_share_one_log() {
        let store = Arc::new(MemoryStore::new());
        let log = open(&store);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let log = &log;
                scope.spawn(move || fill(log, thread * 50..(thread + 1) * 50));
            }
        });
        assert_eq!(log.check().unwrap(), 200);
    }
}
