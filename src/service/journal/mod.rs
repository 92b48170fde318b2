//! What was erased, remembered outside the store: a backup that is put back does not bring it back.
//!
//! May see: store, tombstones, a file beside the centre's secrets. Must not see: agency. Each erasure that somebody asked
//! for, withdrawal and end of a project is a line of the file, on disk before the store changes; the store keeps
//! the number of the last one with the erasure itself. A store that is behind its file was put back: what the lines
//! after its number say is erased again before anybody is served. A file that is behind its store, or missing, is a
//! refusal; so is a store that has never had a number beside a file with lines: what was erased before the file began is in
//! no line. The file holds tombstones, never a ref.

mod tape;

use super::error::ApiError;
use super::rights::{ErasureReason, TombstoneKey};
use crate::ledger::Hex;
use crate::store::{Batch, NewEvent, StoreError, Vault};
use crate::wire::{AgencyId, ProjectId, RecordRef};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tape::{Line, Tail, append, io, read};

/// The file's name, in the folder of the secrets.
pub const JOURNAL_FILE: &str = "erasures.log";
/// Number of the last line whose erasure stands in the store.
const MARK: &str = "erasures-noted";
/// Stands in the store while the file is being begun, so that a stop in between is no refusal.
const BEGINNING: &str = "erasures-beginning";

/// Why the file cannot be relied on.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Not there, though the store says that it was.
    #[error(
        "{} is missing: it says what was erased after a backup. Put it back from the folder of secrets in use before; if \
         it is lost for good, 'blindlink store restore --erasures-lost'",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Older than the store.
    #[error(
        "{} ends at erasure {last}, the store knows of {mark}: it is an old copy, and erasures after it would come back. \
         Use the newest one; if it is lost for good, 'blindlink store restore --erasures-lost'",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its last line's number.
        last: u64,
        /// The store's.
        mark: u64,
    },
    /// Begun after the store was as it is now.
    #[error(
        "{} begins after this store was saved, or is another centre's: what was erased before it began, and after the \
         backup, would come back. Use a backup made since; if there is none, 'blindlink store restore \
         --erasures-lost', and have the agencies erase again by their receipts",
        path.display()
    )]
    Later {
        /// The file.
        path: PathBuf,
    },
    /// A line that this program did not write.
    #[error("{}, line {line}: it was changed or damaged; use a whole copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
    },
    /// The system refused.
    #[error("cannot read or write {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        cause: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Gone {
    /// One record, by its tombstone.
    Record {
        /// Whose.
        agency: AgencyId,
        /// Keyed hash of the ref.
        tombstone: Hex<16>,
    },
    /// All of an agency.
    Agency {
        /// Which.
        agency: AgencyId,
    },
    /// All of the project.
    Project,
    /// Erasures before this line are in none: somebody said that the file was lost, or the store is older than it.
    Lost,
}

/// The file, held open; without one nothing is remembered.
pub(super) struct Journal(Option<Mutex<Tail>>);

impl Journal {
    /// Opens the file at `path`, beginning it for a store that has never had one, and erases again what a store that was
    /// put back has brought back. Returns how many lines were done again.
    ///
    /// # Errors
    /// [`JournalError`]: then nobody is to be served.
    pub(super) fn open(
        path: Option<&Path>,
        vault: &Vault,
        key: &TombstoneKey,
    ) -> Result<(Self, u64), JournalError> {
        let Some(path) = path else { return Ok((Self(None), 0)) };
        let mark = mark(vault)?;
        let (lines, whole) = match (read(path)?, mark) {
            (Some((lines, _)), None) if !lines.is_empty() && !beginning(vault)? => {
                return Err(JournalError::Later { path: path.to_owned() });
            }
            (Some(found), _) => found,
            (None, Some(_)) => return Err(JournalError::Missing { path: path.to_owned() }),
            (None, None) => (Vec::new(), 0),
        };
        let (last, done) = (lines.last().map_or(0, |line| line.number), mark.unwrap_or(0));
        if last < done {
            return Err(JournalError::Older { path: path.to_owned(), last, mark: done });
        }
        // What of a store's first years was erased is in no line: an older backup must not pass for a whole one.
        let begins_late = mark.is_none() && last == 0 && !vault.projects(None, 1)?.is_empty();
        if begins_late {
            set(vault, |batch| batch.put(BEGINNING, []))?;
        }
        let mut tail = Tail::new(Box::new(append(path).map_err(io(path))?), last, whole);
        // What a stop left there; if it cannot be cut now, it is before the next line.
        let _ = tail.mend();
        if begins_late {
            tail.add(&lost(vault, 1)).map_err(io(path))?;
        }
        let missed: Vec<Line> = lines.into_iter().filter(|line| line.number > done).collect();
        again(vault, key, &missed)?;
        if mark != Some(tail.last()) {
            set(vault, |batch| batch.put(MARK, tail.last().to_string()).remove(BEGINNING))?;
        }
        Ok((Self(Some(Mutex::new(tail))), missed.len() as u64))
    }

    /// Erases by `act`, after what is gone was noted; `act` writes the batch it is given with the erasure.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when it cannot be noted: then nothing is erased; what `act` says.
    pub(super) fn noted<T>(
        &self,
        (vault, project): (&Vault, &ProjectId),
        gone: Gone,
        mut batch: Batch,
        act: impl FnOnce(Batch) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let Some(tail) = &self.0 else { return act(batch) };
        // Held to the end: of two erasures the store's number is that of the later one.
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        let number = tail.last() + 1;
        let before = tail.whole();
        let line = Line { number, at: vault.now(), project: Some(project.clone()), gone };
        tail.add(&line).map_err(|error| ApiError::Internal(format!("the erasures' file: {error}")))?;
        batch.put(MARK, number.to_string());
        let done = act(batch);
        // What did not come about is not done again later.
        if done.is_err() && mark(vault).is_ok_and(|mark| mark != Some(number)) {
            tail.take_back(before);
        }
        done
    }
}

/// Looks whether a restored store has its file at `path`, before it is said to be restored; `erasures_lost`: the file
/// says so from now on. Returns how many erasures the next start does again.
///
/// # Errors
/// [`JournalError`].
pub fn restored(path: &Path, vault: &Vault, erasures_lost: bool) -> Result<u64, JournalError> {
    let mark = mark(vault)?;
    let found = read(path)?;
    let (last, whole) =
        found.as_ref().map_or((0, 0), |(lines, whole)| (lines.last().map_or(0, |line| line.number), *whole));
    let done = mark.unwrap_or(0);
    match (&found, mark) {
        _ if erasures_lost => {
            let number = last.max(done) + 1;
            let mut tail = Tail::new(Box::new(append(path).map_err(io(path))?), last, whole);
            tail.add(&lost(vault, number)).map_err(io(path))?;
            if mark.is_none() {
                // The file is this store's from now on; all that it says is done again.
                set(vault, |batch| batch.put(MARK, "0"))?;
            }
            Ok(number - 1 - done)
        }
        (Some((lines, _)), None) if !lines.is_empty() => Err(JournalError::Later { path: path.to_owned() }),
        (None, Some(_)) => Err(JournalError::Missing { path: path.to_owned() }),
        (Some(_), Some(mark)) if last < mark => {
            Err(JournalError::Older { path: path.to_owned(), last, mark })
        }
        _ => Ok(last - done),
    }
}

fn lost(vault: &Vault, number: u64) -> Line {
    Line { number, at: vault.now(), project: None, gone: Gone::Lost }
}

fn set(vault: &Vault, fill: impl FnOnce(&mut Batch) -> &mut Batch) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    fill(&mut batch);
    vault.store().apply(&batch)?;
    vault.store().flush()
}

fn beginning(vault: &Vault) -> Result<bool, StoreError> {
    Ok(vault.store().value(BEGINNING.as_bytes())?.is_some())
}

fn mark(vault: &Vault) -> Result<Option<u64>, StoreError> {
    let unreadable = StoreError::Unreadable { entry: "number of erasures" };
    let Some(bytes) = vault.store().value(MARK.as_bytes())? else { return Ok(None) };
    std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()).map(Some).ok_or(unreadable)
}

/// Does again what these lines say, in their order.
fn again(vault: &Vault, key: &TombstoneKey, lines: &[Line]) -> Result<(), StoreError> {
    let is_record = |line: &Line| matches!(line.gone, Gone::Record { .. });
    for lines in lines.chunk_by(|one, next| is_record(one) && is_record(next)) {
        let mut records: BTreeMap<(&ProjectId, &AgencyId), Vec<&Hex<16>>> = BTreeMap::new();
        for line in lines {
            let Some(project) = &line.project else { continue };
            // A project that was opened later, or has ended, has brought nothing back.
            if vault.project(project)?.is_none_or(|project| project.closed.is_some()) {
                continue;
            }
            match &line.gone {
                Gone::Record { agency, tombstone } => {
                    records.entry((project, agency)).or_default().push(tombstone);
                }
                Gone::Agency { agency } => {
                    let event = NewEvent::new("agency_withdrawn_again").subject(agency);
                    vault.erase_agency(project, agency, Batch::new(), event)?;
                }
                Gone::Project => {
                    let event = NewEvent::new("project_closed_again");
                    vault.close_project(project, Batch::new(), event)?;
                    vault.erase_project(project)?;
                }
                Gone::Lost => {}
            }
        }
        for ((project, agency), tombstones) in records {
            bury(vault, key, (project, agency), &tombstones)?;
        }
    }
    Ok(())
}

/// Erases the records behind tombstones, wherever the store holds their refs.
fn bury(
    vault: &Vault,
    key: &TombstoneKey,
    (project, agency): (&ProjectId, &AgencyId),
    tombstones: &[&Hex<16>],
) -> Result<(), StoreError> {
    let erased: BTreeSet<[u8; 16]> = tombstones.iter().map(|tombstone| tombstone.0).collect();
    let gone = |record: &RecordRef| erased.contains(&key.tombstone(project, agency, record).0);
    let records: BTreeSet<RecordRef> = vault.known_refs(project, agency)?.into_iter().filter(gone).collect();
    let mut batch = Batch::new();
    for tombstone in tombstones {
        TombstoneKey::bury_again(&mut batch, project, tombstone, ErasureReason::Request);
    }
    let mut event = NewEvent::new("records_erased_again").subject(agency);
    event.result = Some(records.len().to_string());
    vault.erase_records(project, agency, (&records, true), batch, event).map(drop)
}
