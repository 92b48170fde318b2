//! Care of a store that no service has open: check, backup, restore.
//!
//! A backup is one file: the sealed datasets, finished runs, projects, agencies, keys and events, and a
//! BLAKE3 digest over all of it at the end. Open uploads are left out. Restoring it is also how the space
//! of removed entries is given back: sled does not.

use super::records::Manifest;
use super::seal::RootKey;
use super::{Batch, Clock, LedgerLog, Pair, SledStore, Store, StoreError, Vault, names};
use crate::wire::messages::RunState;
use crate::wire::{DatasetId, ProjectId, limits};
use serde::Serialize;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

const MAGIC: &[u8] = b"blindlink-backup 1\n";
const KEY_BYTES_MAX: usize = 512;
const CACHE_MIB: u16 = 128;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CheckReport {
    /// Projects.
    pub projects: u64,
    /// Sealed datasets with their encodings.
    pub datasets: u64,
    /// Records in them, read and compared with their digests.
    pub records: u64,
    /// Open uploads.
    pub uploads: u64,
    /// Runs with a result.
    pub runs: u64,
    /// Links in them, as seen from both sides.
    pub links: u64,
    /// Events.
    pub events: u64,
    /// Entries of the ledgers, each found in its tree.
    pub ledger_entries: u64,
    /// What is wrong, one line each; empty for a sound store.
    pub faults: Vec<String>,
}

/// What a backup or a restore carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct BackupReport {
    /// Entries.
    pub entries: u64,
    /// Bytes of the backup file.
    pub bytes: u64,
}

/// Reads everything in the store and compares it with its digests.
///
/// # Errors
/// When the store cannot be opened or the engine fails; [`StoreError::Locked`] when there are encodings and no
/// root key. Damage found is in the report.
pub fn check(store: Arc<dyn Store>, root: Option<RootKey>, clock: Clock) -> Result<CheckReport, StoreError> {
    let (vault, _) = Vault::open(store, clock)?;
    let locked = root.is_none();
    let vault = match root {
        Some(root) => vault.with_root_key(root),
        None => vault,
    };
    if locked && !vault.store().scan(b"part/", None, 1)?.is_empty() {
        return Err(StoreError::Locked);
    }
    let mut report = CheckReport::default();
    // An erasure that a stop interrupted is finished first, as the service would: its half-way is no damage.
    if !locked && let Err(fault) = vault.resume_erasures() {
        report.faults.push(format!("an unfinished erasure: {fault}"));
    }
    let mut after = None;
    while let Some(project) = vault.projects(after.as_ref(), 1)?.pop() {
        report.projects += 1;
        report.uploads += vault.uploads(&project.id, None)?.len() as u64;
        check_datasets(&vault, &project, &mut report)?;
        check_runs(&vault, &project, &mut report)?;
        check_events(&vault, Some(&project.id), &mut report)?;
        check_ledger(&vault, &project.id, &mut report);
        after = Some(project.id);
    }
    check_events(&vault, None, &mut report)?;
    Ok(report)
}

fn check_datasets(
    vault: &Vault,
    project: &super::ProjectRecord,
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    for manifest in vault.manifests(&project.id, None, usize::MAX)? {
        if manifest.superseded.is_some() || manifest.emptied.is_some() {
            continue;
        }
        report.datasets += 1;
        let id = &manifest.upload.id;
        match vault.verify_sealed(&manifest) {
            Ok(()) => report.records += manifest.upload.header.records,
            Err(fault) => report.faults.push(format!("dataset {id}: {fault}")),
        }
    }
    Ok(())
}

fn check_runs(
    vault: &Vault,
    project: &super::ProjectRecord,
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    for run in vault.runs(&project.id, None, usize::MAX)? {
        if run.state != RunState::Finished {
            continue;
        }
        report.runs += 1;
        for input in &run.inputs {
            match vault.count_links(&run.id, &input.agency) {
                Ok(links) => report.links += links,
                Err(fault) => report.faults.push(format!("run {}, {}: {fault}", run.id, input.agency)),
            }
        }
    }
    Ok(())
}

/// Recomputes the tree of a project's ledger from its entries.
fn check_ledger(vault: &Vault, project: &ProjectId, report: &mut CheckReport) {
    let checked = LedgerLog::of_project(vault.shared_store(), project).and_then(|log| log.check());
    match checked {
        Ok(entries) => report.ledger_entries += entries,
        Err(fault) => report.faults.push(format!("ledger of '{project}': {fault}")),
    }
}

fn check_events(
    vault: &Vault,
    project: Option<&ProjectId>,
    report: &mut CheckReport,
) -> Result<(), StoreError> {
    let scope = names::event_scope(project);
    let mut last = 0;
    loop {
        let events = vault.events(project, last, 256)?;
        if events.is_empty() {
            break;
        }
        for event in events {
            if event.number != last + 1 {
                report.faults.push(format!("events of '{scope}': number {} is missing", last + 1));
            }
            last = event.number;
            report.events += 1;
        }
    }
    let head = vault.store().value(names::event_head(scope).as_bytes())?;
    if head.unwrap_or_else(|| b"0".to_vec()) != last.to_string().as_bytes() {
        report.faults.push(format!("events of '{scope}': the last number is not {last}"));
    }
    Ok(())
}

/// Writes what is sealed in `store` to `file`, which must not exist yet, and reads it back.
///
/// # Errors
/// [`StoreError::Io`], or what the engine says; then no file of that name is left.
pub fn backup(store: &dyn Store, file: &Path) -> Result<BackupReport, StoreError> {
    if file.exists() {
        return Err(refused(file, "it exists already: choose another name"));
    }
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let partial = tempfile::NamedTempFile::new_in(folder)
        .map_err(StoreError::io(format!("cannot write in {}", folder.display())))?;
    write_backup(store, partial.as_file())?;
    let report = read_backup(partial.path(), |_| Ok(()))?;
    let kept = partial.persist_noclobber(file);
    kept.map_err(|error| StoreError::io(format!("cannot write {}", file.display()))(error.error))?;
    Ok(report)
}

fn write_backup(store: &dyn Store, file: &File) -> Result<(), StoreError> {
    let failed = || StoreError::io("cannot write the backup");
    let sealed = sealed_datasets(store)?;
    let mut writer = BufWriter::new(file);
    let mut hasher = blake3::Hasher::new();
    let mut write = |bytes: &[u8]| {
        hasher.update(bytes);
        writer.write_all(bytes).map_err(failed())
    };
    write(MAGIC)?;
    each(store, |(key, value)| {
        if is_kept(&key, &sealed) {
            write(&length(key.len()))?;
            write(&length(value.len()))?;
            write(&key)?;
            write(&value)?;
        }
        Ok(())
    })?;
    write(&length(0))?;
    let digest = hasher.finalize();
    writer.write_all(digest.as_bytes()).map_err(failed())?;
    writer.flush().map_err(failed())?;
    file.sync_all().map_err(failed())
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

fn each(store: &dyn Store, mut visit: impl FnMut(Pair) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let pairs = store.scan(b"", after.as_deref(), 64)?;
        let Some((last, _)) = pairs.last() else { return Ok(()) };
        after = Some(last.clone());
        pairs.into_iter().try_for_each(&mut visit)?;
    }
}

fn sealed_datasets(store: &dyn Store) -> Result<HashSet<DatasetId>, StoreError> {
    let mut sealed = HashSet::new();
    each(store, |(key, value)| {
        if key.starts_with(b"manifest/") {
            let manifest: Manifest = super::records::decode("manifest", &value)?;
            if manifest.superseded.is_none() {
                sealed.insert(manifest.upload.id);
            }
        }
        Ok(())
    })?;
    Ok(sealed)
}

/// Open uploads, their chunks and remembered requests stay behind.
fn is_kept(key: &[u8], sealed: &HashSet<DatasetId>) -> bool {
    let text = String::from_utf8_lossy(&key[..key.len().min(200)]);
    let mut steps = text.split('/');
    let folder = steps.next().unwrap_or_default();
    if names::DATASET_FOLDERS.contains(&folder) {
        let id = steps.next().and_then(|id| id.parse::<DatasetId>().ok());
        return id.is_some_and(|id| sealed.contains(&id));
    }
    folder != "upload" && folder != "once"
}

fn refused(file: &Path, reason: &str) -> StoreError {
    StoreError::Backup { path: file.to_owned(), reason: reason.to_owned() }
}

/// Reads a backup to its end, checks its digest, and calls `visit` with each entry.
fn read_backup(
    file: &Path,
    mut visit: impl FnMut(Pair) -> Result<(), StoreError>,
) -> Result<BackupReport, StoreError> {
    let opened = File::open(file).map_err(StoreError::io(format!("cannot read {}", file.display())))?;
    let mut reader = BufReader::new(opened);
    let mut hasher = blake3::Hasher::new();
    let mut report = BackupReport::default();
    let mut read = |bytes: usize, digest: bool| -> Result<Vec<u8>, StoreError> {
        let mut buffer = vec![0; bytes];
        reader.read_exact(&mut buffer).map_err(|_| refused(file, "it is cut short"))?;
        if digest {
            hasher.update(&buffer);
        }
        report.bytes += bytes as u64;
        Ok(buffer)
    };
    if read(MAGIC.len(), true)? != MAGIC {
        return Err(refused(file, "it is not a backup of this program"));
    }
    loop {
        let key_bytes = number(&read(4, true)?);
        if key_bytes == 0 {
            break;
        }
        let value_bytes = number(&read(4, true)?);
        if key_bytes > KEY_BYTES_MAX || value_bytes > limits::STORE_VALUE_BYTES_MAX {
            return Err(refused(file, "an entry is longer than any this program writes"));
        }
        let (key, value) = (read(key_bytes, true)?, read(value_bytes, true)?);
        visit((key, value))?;
        report.entries += 1;
    }
    let found = read(32, false)?;
    if found != hasher.finalize().as_bytes() {
        return Err(refused(file, "its digest is wrong: it was changed or damaged"));
    }
    Ok(report)
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |all, byte| all << 8 | usize::from(*byte))
}

/// Puts a backup into the new folder `path`: verified first, imported beside it, checked, renamed.
///
/// # Errors
/// [`StoreError::Backup`] for a file that is not a whole backup, or a folder that exists; the folder is not
/// created then.
pub fn restore(
    file: &Path,
    path: &Path,
    root: Option<RootKey>,
    clock: Clock,
) -> Result<(BackupReport, CheckReport), StoreError> {
    if path.exists() {
        return Err(refused(file, "the target folder exists: name one that does not"));
    }
    let report = read_backup(file, |_| Ok(()))?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    if partial.exists() {
        let what = format!("cannot remove {}", partial.display());
        std::fs::remove_dir_all(partial).map_err(StoreError::io(what))?;
    }
    let checked = import(file, partial, root, clock)?;
    if !checked.faults.is_empty() {
        return Err(refused(file, "what it holds does not pass the check"));
    }
    std::fs::rename(partial, path).map_err(StoreError::io(format!("cannot name {}", path.display())))?;
    Ok((report, checked))
}

fn import(
    file: &Path,
    partial: &Path,
    root: Option<RootKey>,
    clock: Clock,
) -> Result<CheckReport, StoreError> {
    let store = Arc::new(SledStore::open(partial, CACHE_MIB)?);
    let mut batch = Batch::new();
    let mut bytes = 0;
    read_backup(file, |(key, value)| {
        bytes += value.len();
        batch.put(key, value);
        if bytes > 1 << 20 {
            store.apply(&std::mem::take(&mut batch))?;
            bytes = 0;
        }
        Ok(())
    })?;
    store.apply(&batch)?;
    store.flush()?;
    let report = check(Arc::clone(&store) as Arc<dyn Store>, root, clock)?;
    store.flush()?;
    Ok(report)
}
