//! The ledgers of the centre, one a project: opened when first needed, written before anything is answered.
//!
//! May see: store's ledger, ledger, auth's actors. Must not see: agency, encodings. Every entry names the member of
//! staff, and every answer's entry names the question's: its request is the question's leaf.

use super::error::ApiError;
use super::secrets::Secrets;
use crate::ledger::{Act, Actor as User, Entry, Hex, LogName, Scope, SignedCheckpoint, Word};
use crate::store::{LedgerLog, LogError, ProjectRecord, Store};
use crate::wire::messages::Role;
use crate::wire::{AgencyId, ContentDigest, ProjectId, PurposeCode, UtcTime};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of the file of remembered checkpoints: a few hundred a project.
const HEADS_BYTES_MAX: u64 = 64 << 20;

/// Every project's ledger.
pub struct Ledgers {
    store: Arc<dyn Store>,
    logs: Mutex<HashMap<ProjectId, Arc<LedgerLog>>>,
    heads: Mutex<Heads>,
}

/// The last checkpoint of each log, remembered in a file outside the store: a store that was put back to an older
/// state does not continue them.
#[derive(Default)]
struct Heads {
    file: Option<PathBuf>,
    known: BTreeMap<LogName, SignedCheckpoint>,
}

/// What an entry says besides time and chance.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// Who.
    pub user: &'a User,
    /// Of which agency; none: of the centre.
    pub agency: Option<&'a AgencyId>,
    /// In which role.
    pub role: Role,
    /// In which project.
    pub project: &'a ProjectRecord,
    /// What: `lookup`, `links_read` and so on.
    pub action: &'static str,
    /// Why.
    pub purpose: Option<&'a PurposeCode>,
    /// Digest of the case reference.
    pub case: Option<ContentDigest>,
    /// Digest of the request; of an answer, the leaf of the question's entry.
    pub request: ContentDigest,
    /// Class of the answer.
    pub result: &'static str,
}

impl Said<'_> {
    /// The entry, with fresh blinding bytes.
    ///
    /// # Errors
    /// [`ApiError::Internal`] without randomness: then nothing is answered.
    pub fn entry(&self, at: UtcTime) -> Result<Entry, ApiError> {
        let mut blind = Hex([0; 16]);
        let failed = |error: &dyn std::fmt::Display| ApiError::Internal(error.to_string());
        getrandom::fill(&mut blind.0).map_err(|error| failed(&error))?;
        let word = |text: &str| text.parse::<Word>().map_err(|error| failed(&error));
        Ok(Entry {
            at_ms: u64::try_from(at.millis()).unwrap_or(0),
            who: self.user.clone(),
            agency: self.agency.cloned(),
            scope: Some(Scope { project: self.project.id.clone(), epoch: self.project.epoch }),
            act: Act {
                action: word(self.action)?,
                role: word(self.role.name())?,
                purpose: self.purpose.map(|purpose| word(purpose.as_str())).transpose()?,
                case: self.case,
                request: self.request,
                result: word(self.result)?,
            },
            blind,
        })
    }
}

impl Ledgers {
    /// The ledgers in `store`; `heads` is where their last checkpoints are remembered, if anywhere.
    ///
    /// # Errors
    /// [`LogError::NotContinued`] when a ledger is not the one remembered: the store was rolled back.
    pub fn open(store: Arc<dyn Store>, secrets: &Secrets, heads: Option<&Path>) -> Result<Self, LogError> {
        let known = heads.map_or_else(|| Ok(BTreeMap::new()), read_heads)?;
        let ledgers = Self { store, logs: Mutex::default(), heads: Mutex::default() };
        for (name, remembered) in &known {
            let log = LedgerLog::open(Arc::clone(&ledgers.store), name.clone())?;
            log.continues(remembered, &secrets.signer.public())?;
        }
        let heads = Heads { file: heads.map(Path::to_owned), known };
        Ok(Self { heads: Mutex::new(heads), ..ledgers })
    }

    /// The ledger of a project.
    ///
    /// # Errors
    /// [`LogError::Store`], [`LogError::Damaged`].
    pub fn log(&self, project: &ProjectId) -> Result<Arc<LedgerLog>, LogError> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = logs.get(project) {
            return Ok(Arc::clone(log));
        }
        let log = Arc::new(LedgerLog::of_project(Arc::clone(&self.store), project)?);
        logs.insert(project.clone(), Arc::clone(&log));
        Ok(log)
    }

    /// Writes one entry alone, on disk when this returns.
    ///
    /// # Errors
    /// The store's: then nothing may be answered.
    pub fn write(&self, said: &Said<'_>, at: UtcTime) -> Result<u64, ApiError> {
        let entry = said.entry(at)?;
        self.log(&said.project.id)?.record(&entry, |_, _| Ok::<(), ApiError>(()))
    }

    /// The checkpoint of a project's ledger as it stands: the one kept, if nothing was written since, with the
    /// co-signatures it has gathered; else a new one.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn checkpoint(
        &self,
        project: &ProjectId,
        secrets: &Secrets,
        now: UtcTime,
    ) -> Result<SignedCheckpoint, LogError> {
        let log = self.log(project)?;
        let size = log.size();
        if let Some(kept) = log.kept(size)?.filter(|kept| kept.checkpoint.size == size) {
            return Ok(kept);
        }
        let signed = log.checkpoint(&secrets.signer, u64::try_from(now.millis()).unwrap_or(0))?;
        self.remember(&signed)?;
        Ok(signed)
    }

    /// Signs and remembers every ledger that was opened and has grown: now and then, and when the service stops.
    ///
    /// # Errors
    /// [`LogError`] of the first that fails.
    pub fn remember_all(&self, secrets: &Secrets, now: UtcTime) -> Result<(), LogError> {
        let opened: Vec<ProjectId> = {
            let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
            logs.iter().filter(|(_, log)| log.size() > 0).map(|(project, _)| project.clone()).collect()
        };
        opened.iter().try_for_each(|project| self.checkpoint(project, secrets, now).map(drop))
    }

    fn remember(&self, signed: &SignedCheckpoint) -> Result<(), LogError> {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &signed.checkpoint.log;
        if heads.known.get(name).is_some_and(|known| known.checkpoint.size >= signed.checkpoint.size) {
            return Ok(());
        }
        heads.known.insert(name.clone(), signed.clone());
        match &heads.file {
            Some(file) => write_heads(file, &heads.known),
            None => Ok(()),
        }
    }
}

fn read_heads(file: &Path) -> Result<BTreeMap<LogName, SignedCheckpoint>, LogError> {
    let read = match std::fs::File::open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Ok(opened) => {
            let mut bytes = Vec::new();
            let limited = std::io::Read::take(opened, HEADS_BYTES_MAX);
            std::io::Read::read_to_end(&mut { limited }, &mut bytes).map(|_| bytes)
        }
        Err(error) => Err(error),
    };
    let bytes = read.map_err(|cause| LogError::Heads { path: file.to_owned(), cause: cause.to_string() })?;
    serde_json::from_slice(&bytes)
        .map_err(|cause| LogError::Heads { path: file.to_owned(), cause: cause.to_string() })
}

/// Whole or not at all: a temporary file beside it, flushed, then renamed.
fn write_heads(file: &Path, known: &BTreeMap<LogName, SignedCheckpoint>) -> Result<(), LogError> {
    let write = || -> std::io::Result<()> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut partial = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut partial, known)?;
        partial.as_file().sync_all()?;
        partial.persist(file).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|cause| LogError::Heads { path: file.to_owned(), cause: cause.to_string() })
}
