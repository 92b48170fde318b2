//! What was erased, remembered outside the store: a backup that is put back does not bring it back.
//!
//! May see: store, tombstones, a file beside the centre's secrets. Must not see: agency. Each erasure that somebody asked
//! for, withdrawal and end of a project is a line of the file, on disk before the store changes; the store keeps
//! the number of the last one with the erasure itself. A store that is behind its file was put back: what the lines
//! after its number say is erased again before anybody is served. A file that is behind its store, or missing, is a
//! refusal. The file holds tombstones, never a ref.

use super::error::ApiError;
use super::rights::{ErasureReason, TombstoneKey};
use crate::ledger::Hex;
use crate::store::{Batch, NewEvent, StoreError, Vault};
use crate::wire::{AgencyId, ProjectId, RecordRef, UtcTime};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The file's name, in the folder of the secrets.
pub const JOURNAL_FILE: &str = "erasures.log";
/// Number of the last line whose erasure stands in the store.
const MARK: &str = "erasures-noted";
const LINE_BYTES_MAX: usize = 1_024;

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
    /// Lines before this one are lost, and somebody said so.
    Lost,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    number: u64,
    at: UtcTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<ProjectId>,
    gone: Gone,
}

/// The file, held open; without one nothing is remembered.
pub(super) struct Journal(Option<Mutex<Tail>>);

struct Tail {
    file: File,
    last: u64,
}

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
        let lines = match (read(path)?, mark) {
            (Some(lines), _) => lines,
            (None, Some(_)) => return Err(JournalError::Missing { path: path.to_owned() }),
            (None, None) => Vec::new(),
        };
        let (last, done) = (lines.last().map_or(0, |line| line.number), mark.unwrap_or(0));
        if last < done {
            return Err(JournalError::Older { path: path.to_owned(), last, mark: done });
        }
        let file = append(path).map_err(io(path))?;
        let missed: Vec<Line> = lines.into_iter().filter(|line| line.number > done).collect();
        again(vault, key, &missed)?;
        if mark != Some(last) {
            let mut batch = Batch::new();
            batch.put(MARK, last.to_string());
            vault.store().apply(&batch)?;
            vault.store().flush()?;
        }
        let tail = Tail { file, last };
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
        let number = tail.last + 1;
        let before = tail.file.metadata().map(|file| file.len());
        let line = Line { number, at: vault.now(), project: Some(project.clone()), gone };
        let failed =
            |error: &dyn std::fmt::Display| ApiError::Internal(format!("the erasures' file: {error}"));
        let before = before.map_err(|error| failed(&error))?;
        let cut = |tail: &Tail| tail.file.set_len(before).and_then(|()| tail.file.sync_all());
        if let Err(error) = write(&mut tail.file, &line) {
            let _ = cut(&tail);
            return Err(failed(&error));
        }
        tail.last = number;
        batch.put(MARK, number.to_string());
        let done = act(batch);
        // What did not come about is not done again later.
        if done.is_err() && mark(vault).is_ok_and(|mark| mark != Some(number)) && cut(&tail).is_ok() {
            tail.last = number - 1;
        }
        done
    }
}

/// Looks whether a restored store has its file at `path`, before it is said to be restored; `lost`: begins a file that
/// says so instead. Returns how many erasures the next start does again.
///
/// # Errors
/// [`JournalError`].
pub fn restored(path: &Path, vault: &Vault, lost: bool) -> Result<u64, JournalError> {
    let mark = mark(vault)?;
    let found = read(path)?;
    let last = found.as_ref().and_then(|lines| lines.last()).map_or(0, |line| line.number);
    let done = mark.unwrap_or(0);
    match (&found, mark) {
        _ if lost => {
            let number = last.max(done) + 1;
            let line = Line { number, at: vault.now(), project: None, gone: Gone::Lost };
            let mut file = append(path).map_err(io(path))?;
            write(&mut file, &line).map_err(io(path))?;
            Ok(number - 1 - done)
        }
        (None, Some(_)) => Err(JournalError::Missing { path: path.to_owned() }),
        (Some(_), Some(mark)) if last < mark => {
            Err(JournalError::Older { path: path.to_owned(), last, mark })
        }
        _ => Ok(last - done),
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> JournalError + '_ {
    move |error| JournalError::Io { path: path.to_owned(), cause: error.to_string() }
}

fn mark(vault: &Vault) -> Result<Option<u64>, StoreError> {
    let unreadable = StoreError::Unreadable { entry: "number of erasures" };
    let Some(bytes) = vault.store().value(MARK.as_bytes())? else { return Ok(None) };
    std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()).map(Some).ok_or(unreadable)
}

/// The lines; none: there is no file. A line that a stop cut short was never acted upon.
fn read(path: &Path) -> Result<Option<Vec<Line>>, JournalError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io(path))?,
    };
    let (mut reader, mut lines, mut last, mut whole) = (BufReader::new(file), Vec::new(), 0, 0);
    loop {
        let mut text = Vec::new();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = std::io::Read::take(&mut reader, limit).read_until(b'\n', &mut text).map_err(io(path))?;
        if read == 0 {
            return Ok(Some(lines));
        }
        let damaged = JournalError::Damaged { path: path.to_owned(), line: lines.len() as u64 + 1 };
        if text.last() != Some(&b'\n') {
            if text.len() > LINE_BYTES_MAX {
                return Err(damaged);
            }
            let cut = OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(whole));
            cut.map_err(io(path))?;
            return Ok(Some(lines));
        }
        whole += read as u64;
        let line: Line = serde_json::from_slice(&text).map_err(|_| {
            let line = lines.len() as u64 + 1;
            JournalError::Damaged { path: path.to_owned(), line }
        })?;
        // Numbers go on by one, but after what was lost.
        if line.number != last + 1 && (line.gone != Gone::Lost || line.number <= last) {
            return Err(damaged);
        }
        last = line.number;
        lines.push(line);
    }
}

/// The file, for its owner alone, to be written at its end.
fn append(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    file.sync_all()?;
    // The name too; not every system lets a folder be opened.
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        folder.sync_all()?;
    }
    Ok(file)
}

fn write(file: &mut File, line: &Line) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_all()
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
