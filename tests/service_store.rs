//! The store under faults: injected errors, torn logs, a killed process, damage, backup and restore.

#![cfg(feature = "central")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::store::{
    Batch, Fault, MemoryStore, NewEvent, NewUpload, Once, ProjectRecord, SledStore, Store, StoreError, Token,
    UploadError, UploadRecord, Vault, backup, check, restore, system_clock,
};
use blindlink::wire::messages::{AgencyPut, KeyCreate, ProjectCreate};
use blindlink::wire::{ContentDigest, DatasetId, EncodingBatch, Epoch, RecordRef};
use service_support::{announcement, batch, record, root_key};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

fn open(store: &Arc<dyn Store>) -> Vault {
    Vault::open(Arc::clone(store), system_clock()).unwrap().0.with_root_key(service_support::root_key())
}

fn project(vault: &Vault) -> ProjectRecord {
    let id = "p".parse().unwrap();
    if let Some(project) = vault.project(&id).unwrap() {
        return project;
    }
    let new: ProjectCreate = serde_json::from_value(service_support::project_body("p")).unwrap();
    let made = vault.create_project(&new, NewEvent::new("project_opened")).unwrap().unwrap();
    let agency: AgencyPut = serde_json::from_value(service_support::agency_body("council")).unwrap();
    vault.put_agency(&"council".parse().unwrap(), &agency, NewEvent::new("agency_registered")).unwrap();
    vault.add_party(&id, &"council".parse().unwrap(), NewEvent::new("party_joined")).unwrap();
    made
}

fn event() -> NewEvent {
    NewEvent::new("test")
}

fn begin(
    vault: &Vault,
    project: &ProjectRecord,
    records: &EncodingBatch,
    base: Option<DatasetId>,
    removals: Vec<RecordRef>,
) -> Result<UploadRecord, UploadError> {
    let (create, _) = announcement("p", "council", records, 40);
    let new = NewUpload {
        agency: "council".parse().unwrap(),
        header: create.header,
        chunks: create.chunks,
        base,
        removals,
        kept_hours: 1,
    };
    vault.begin_upload(project, new, None, event())
}

fn store_all(vault: &Vault, upload: &UploadRecord, records: &EncodingBatch) -> Result<(), StoreError> {
    (0..upload.chunks).try_for_each(|n| vault.put_chunk(upload, n, &records.slice(n as usize * 40, 40), &[]))
}

/// Uploads and seals; the id of the dataset.
fn send(vault: &Vault, records: &EncodingBatch) -> Result<DatasetId, UploadError> {
    let project = vault.project(&"p".parse().unwrap())?.unwrap();
    let upload = begin(vault, &project, records, None, Vec::new())?;
    store_all(vault, &upload, records)?;
    Ok(vault.seal(&project.id, &upload.id, None, event())?.upload.id)
}

/// Refs of the agency's current records, and the newest dataset's id.
fn current(vault: &Vault) -> Option<(DatasetId, BTreeSet<RecordRef>)> {
    let read =
        vault.read_current(&"p".parse().unwrap(), Epoch::FIRST, &"council".parse().unwrap()).unwrap()?;
    let refs: BTreeSet<RecordRef> = read.batch.refs.iter().copied().collect();
    assert_eq!(refs.len() as u64, read.manifest.records_current);
    Some((read.manifest.upload.id, refs))
}

fn refs(children: impl IntoIterator<Item = u64>) -> BTreeSet<RecordRef> {
    children.into_iter().map(|child| record("council", child)).collect()
}

#[test]
fn a_write_fault_at_any_point_leaves_the_old_dataset_or_the_new_one() {
    let mut sealed = 0;
    for fail_after in 0.. {
        let memory = Arc::new(MemoryStore::new());
        let store: Arc<dyn Store> = memory.clone();
        let vault = open(&store);
        project(&vault);
        let old = send(&vault, &batch("council", 0..100, 0)).unwrap();
        memory.fail(Fault::WriteAfter(fail_after));
        let new = send(&vault, &batch("council", 50..170, 0));
        memory.fail(Fault::None);
        let (id, found) = current(&vault).unwrap();
        match &new {
            Ok(new) => assert_eq!((&id, found), (new, refs(50..170))),
            // The fault may hit the last flush: then it is visible though not confirmed.
            Err(_) if id != old => assert_eq!(found, refs(50..170)),
            Err(_) => assert_eq!(found, refs(0..100)),
        }
        // What a machine finds that stopped here, with the log cut anywhere after the last flush.
        for kept in 0..=memory.pending() {
            let after: Arc<dyn Store> = Arc::new(memory.after_crash(kept));
            let vault = open(&after);
            let (crashed, found) = current(&vault).unwrap();
            let expected = if crashed == old { refs(0..100) } else { refs(50..170) };
            assert_eq!(found, expected, "fault after {fail_after}, {kept} batches kept");
            assert!(new.is_err() || crashed == id, "what was confirmed stays");
            let report = check(after, Some(root_key()), system_clock()).unwrap();
            assert_eq!(report.faults, Vec::<String>::new());
        }
        if new.is_ok() {
            sealed += 1;
            if sealed == 3 {
                assert!(fail_after > 15, "the faults covered the whole way: {fail_after}");
                return;
            }
        }
    }
}

#[test]
fn an_erasure_that_stops_anywhere_is_whole_after_the_next_start() {
    let (project_id, agency) = ("p".parse().unwrap(), "council".parse().unwrap());
    let gone = BTreeSet::from([record("council", 7), record("council", 60)]);
    let stands = |store: &MemoryStore| {
        let holds = |bytes: &[u8]| {
            gone.iter().any(|record| bytes.windows(16).any(|found| found == record.as_bytes()))
        };
        store.scan(b"", None, usize::MAX).unwrap().iter().any(|(key, value)| holds(key) || holds(value))
    };
    let mut whole = 0;
    for fail_after in 0.. {
        let memory = Arc::new(MemoryStore::new());
        let store: Arc<dyn Store> = memory.clone();
        let vault = open(&store);
        project(&vault);
        send(&vault, &batch("council", 0..100, 0)).unwrap();
        memory.fail(Fault::WriteAfter(fail_after));
        let done = vault.erase_records(&project_id, &agency, (&gone, true), Batch::new(), event());
        memory.fail(Fault::None);
        for kept in 0..=memory.pending() {
            let crashed = Arc::new(memory.after_crash(kept));
            let after: Arc<dyn Store> = crashed.clone();
            let context = format!("fault after {fail_after}, {kept} batches kept");
            let checked =
                check(Arc::new(memory.after_crash(kept)), Some(root_key()), system_clock()).unwrap();
            assert_eq!(checked.faults, Vec::<String>::new(), "{context}: checked before any start");
            let vault = open(&after);
            vault.resume_erasures().unwrap();
            let (_, found) = current(&vault).unwrap();
            if found.len() == 98 {
                assert!(found.is_disjoint(&gone), "{context}");
                assert!(!stands(&crashed), "{context}: a ref stands");
            } else {
                assert!(done.is_err() && found == refs(0..100), "{context}");
            }
            let report = check(after, Some(root_key()), system_clock()).unwrap();
            assert_eq!(report.faults, Vec::<String>::new(), "{context}");
        }
        if let Ok(erased) = done {
            assert_eq!((erased.encodings, erased.links), (2, 0));
            whole += 1;
            if whole == 3 {
                assert!(fail_after > 8, "the faults covered the whole way: {fail_after}");
                return;
            }
        }
    }
}

#[test]
fn a_withdrawal_that_stops_anywhere_leaves_no_key_of_a_party_that_is_gone() {
    let (project_id, agency) = ("p".parse().unwrap(), "council".parse().unwrap());
    let scope = serde_json::json!({"kind": "agency", "agency": "council", "project": "p"});
    let new: KeyCreate =
        serde_json::from_value(serde_json::json!({"scope": scope, "roles": ["submitter"]})).unwrap();
    for fail_after in 0.. {
        let memory = Arc::new(MemoryStore::new());
        let store: Arc<dyn Store> = memory.clone();
        let vault = open(&store);
        project(&vault);
        let tokens: Vec<Token> = (0..3).map(|_| vault.issue_key(&new, false, event()).unwrap().0).collect();
        send(&vault, &batch("council", 0..50, 0)).unwrap();
        memory.fail(Fault::WriteAfter(fail_after));
        let done = vault.erase_agency(&project_id, &agency, Batch::new(), event());
        memory.fail(Fault::None);
        for kept in 0..=memory.pending() {
            let after: Arc<dyn Store> = Arc::new(memory.after_crash(kept));
            let vault = open(&after);
            vault.resume_erasures().unwrap();
            let party = vault.is_party(&project_id, &agency).unwrap();
            for token in &tokens {
                let alive = vault.authenticate(token).unwrap().is_some();
                assert_eq!(alive, party, "fault after {fail_after}, {kept} batches kept");
            }
        }
        if done.is_ok() {
            assert!(fail_after > 8, "the faults covered the whole way: {fail_after}");
            return;
        }
    }
}

/// A whole dataset replaced while somebody was loading: its encodings wait, and an erasure does not.
#[test]
fn an_erasure_takes_the_encodings_of_replaced_datasets_too() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let vault = open(&store);
    let project = project(&vault);
    let parts = |id: &DatasetId| store.scan(format!("part/{id}/").as_bytes(), None, 9).unwrap().len();
    let old = send(&vault, &batch("council", 0..40, 0)).unwrap();
    let loading = vault.hold();
    send(&vault, &batch("council", 0..41, 0)).unwrap();
    assert_ne!(parts(&old), 0, "somebody is loading");
    drop(loading);
    let gone = BTreeSet::from([record("council", 7)]);
    let agency = "council".parse().unwrap();
    vault.erase_records(&project.id, &agency, (&gone, true), Batch::new(), event()).unwrap();
    assert_eq!(parts(&old), 0, "its old encoding stands though the receipt says that it is out");
}

/// A store with a project to which the council has sent a hundred records.
fn with_base() -> (Arc<dyn Store>, Vault, ProjectRecord, DatasetId) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let vault = open(&store);
    project(&vault);
    let base = send(&vault, &batch("council", 0..100, 0)).unwrap();
    let project = vault.project(&"p".parse().unwrap()).unwrap().unwrap();
    (store, vault, project, base)
}

#[test]
fn a_delta_is_not_sealed_on_encodings_that_were_emptied_since() {
    let (_, vault, project, base) = with_base();
    let changed = batch("council", 90..110, 2);
    let delta = begin(&vault, &project, &changed, Some(base), Vec::new()).unwrap();
    store_all(&vault, &delta, &changed).unwrap();
    vault.empty_datasets_of(&project.id, Epoch::FIRST, &"council".parse().unwrap()).unwrap();
    let refused = vault.seal(&project.id, &delta.id, None, event()).unwrap_err();
    assert_eq!(refused, UploadError::Base { current: "none".to_owned() });
}

#[test]
fn of_two_requests_with_one_key_at_the_same_time_one_is_done() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let vault = open(&store);
    let project = project(&vault);
    let once = Once::new(&"k1".parse().unwrap(), "datasets/p", "again", ContentDigest::of(b"body"));
    let records = batch("council", 0..100, 0);
    let announce = |project: &ProjectRecord| {
        let (create, _) = announcement("p", "council", &records, 40);
        let agency = "council".parse().unwrap();
        let (header, chunks) = (create.header, create.chunks);
        let new = NewUpload { agency, header, chunks, base: None, removals: Vec::new(), kept_hours: 1 };
        vault.begin_upload(project, new, Some(&once), event())
    };
    // Both asked for an earlier one and found none.
    let first = announce(&project).unwrap();
    let project = vault.project(&project.id).unwrap().unwrap();
    let second = announce(&project).unwrap_err();
    assert_eq!(second, UploadError::Store(StoreError::Conflict));
    assert_eq!(vault.uploads(&project.id, None).unwrap(), [first]);
    assert_eq!(store.scan(b"spec/", None, 99).unwrap().len(), 3, "nothing is left of the second");
}

#[test]
fn a_chunk_of_records_that_were_all_erased_before_is_taken_and_left_out() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let vault = open(&store);
    let project = project(&vault);
    let records = batch("council", 0..40, 0);
    let upload = begin(&vault, &project, &records, None, Vec::new()).unwrap();
    // More than fit into one value of the store; those of a chunk stand by the chunk's number.
    let erased: Vec<RecordRef> = (1..8_192).map(|child| record("council", child)).collect();
    vault.put_chunk(&upload, 0, &records, &erased).unwrap();
    vault.seal(&project.id, &upload.id, None, event()).unwrap();
    assert_eq!(current(&vault).unwrap().1, refs(0..1));
    assert!(store.scan(b"returned/", None, 1).unwrap().is_empty());
}

#[test]
fn operations_in_any_order_agree_with_a_model() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |bound: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % bound
    };
    let mut memory = Arc::new(MemoryStore::new());
    let mut store: Arc<dyn Store> = memory.clone();
    let mut vault = open(&store);
    let project = project(&vault);
    let mut model: Option<(DatasetId, BTreeSet<u64>)> = None;
    for _ in 0..150 {
        memory.fail(if next(3) == 0 { Fault::WriteAfter(next(25) as u32) } else { Fault::None });
        let first = next(100);
        let some: Vec<u64> = (first..first + 1 + next(60)).collect();
        let records = batch("council", some.iter().copied(), next(8) as u8);
        let project = vault.project(&project.id).unwrap().unwrap();
        let (base, gone) = match &model {
            Some((base, now)) if next(2) == 0 => {
                let gone: Vec<u64> = now.iter().copied().filter(|_| next(5) == 0).collect();
                (Some(base.clone()), gone)
            }
            _ => (None, Vec::new()),
        };
        let mut expected: BTreeSet<u64> = match (&base, &model) {
            (Some(_), Some((_, now))) => now.iter().copied().filter(|child| !gone.contains(child)).collect(),
            _ => BTreeSet::new(),
        };
        expected.extend(&some);
        let removals = gone.iter().map(|child| record("council", *child)).collect();
        let sealed = begin(&vault, &project, &records, base, removals).and_then(|upload| {
            store_all(&vault, &upload, &records)?;
            vault.seal(&project.id, &upload.id, None, event()).map(|manifest| manifest.upload.id)
        });
        memory.fail(Fault::None);
        match sealed {
            Ok(id) => model = Some((id, expected)),
            Err(UploadError::TooManyOpen) => {
                for upload in vault.uploads(&project.id, None).unwrap() {
                    assert!(vault.drop_upload(&upload, event()).unwrap());
                }
            }
            Err(UploadError::Depth) => model = None,
            Err(_) => {
                // Unconfirmed: the store may have it or not, whole either way.
                let now = current(&vault).map(|(id, _)| id);
                if now.is_some() && now != model.as_ref().map(|(id, _)| id.clone()) {
                    model = now.map(|id| (id, expected));
                }
            }
        }
        if next(10) == 0 {
            memory = Arc::new(memory.after_crash(usize::MAX));
            store = memory.clone();
            vault = open(&store);
        }
        if let Some((id, children)) = &model {
            assert_eq!(current(&vault), Some((id.clone(), refs(children.iter().copied()))));
            let known = |child| {
                let (project, agency) = ("p".parse().unwrap(), "council".parse().unwrap());
                vault.is_current_record(&project, Epoch::FIRST, &agency, &record("council", child)).unwrap()
            };
            assert!((0..160).all(|child| known(child) == children.contains(&child)));
        }
    }
    assert_eq!(check(store, Some(root_key()), system_clock()).unwrap().faults, Vec::<String>::new());
}

#[test]
fn a_delta_changes_adds_and_removes() {
    let (store, vault, project, base) = with_base();
    let changed = batch("council", 90..110, 2);
    let removals = vec![record("council", 0), record("council", 95), record("council", 999)];
    let upload = begin(&vault, &project, &changed, Some(base.clone()), removals).unwrap();
    let stale = begin(&vault, &project, &changed, Some(base.clone()), Vec::new()).unwrap();
    store_all(&vault, &upload, &changed).unwrap();
    store_all(&vault, &stale, &changed).unwrap();
    let manifest = vault.seal(&project.id, &upload.id, None, event()).unwrap();
    assert_eq!((manifest.records_current, manifest.depth), (109, 1));
    assert_eq!(current(&vault).unwrap().1, refs(1..110));
    let refused = vault.seal(&project.id, &stale.id, None, event()).unwrap_err();
    assert!(matches!(refused, UploadError::Base { .. }), "{refused}");
    let agency = "council".parse().unwrap();
    let read = vault.read_current(&project.id, Epoch::FIRST, &agency).unwrap().unwrap().batch;
    let row = read.refs.iter().position(|found| *found == record("council", 92)).unwrap();
    assert_eq!(read.filter(0, row), service_support::filter(92, 2), "the changed encoding counts");
    let whole = send(&vault, &batch("council", 0..10, 0)).unwrap();
    assert_eq!(current(&vault).unwrap(), (whole, refs(0..10)));
    assert!(store.scan(format!("part/{base}/").as_bytes(), None, 1).unwrap().is_empty(), "replaced ones go");
}

#[test]
fn leftovers_are_swept_and_open_uploads_resume_after_a_restart() {
    let memory = MemoryStore::new();
    let store: Arc<dyn Store> = Arc::new(memory);
    let vault = open(&store);
    let project = project(&vault);
    let records = batch("council", 0..100, 0);
    let upload = begin(&vault, &project, &records, None, Vec::new()).unwrap();
    vault.put_chunk(&upload, 1, &records.slice(40, 40), &[]).unwrap();
    let mut orphan = blindlink::store::Batch::new();
    orphan.put("part/ds-orphan/000000/00000", b"x".as_slice()).put("have/ds-orphan/000000", b"1".as_slice());
    store.apply(&orphan).unwrap();
    let (vault, report) = Vault::open(Arc::clone(&store), system_clock()).unwrap();
    assert_eq!(report.swept, 2);
    assert_eq!(vault.upload_status(upload.clone()).unwrap().missing, [0, 2]);
    assert!(current(&vault).is_none());
    let later = Arc::new(move || upload.expires.plus_hours(1));
    let (vault, report) = Vault::open(Arc::clone(&store), later).unwrap();
    assert!(report.swept > 0 && vault.uploads(&project.id, None).unwrap().is_empty());
    assert!(store.scan(b"part/", None, 1).unwrap().is_empty());
}

#[test]
fn another_format_is_refused() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut batch = blindlink::store::Batch::new();
    batch.put("format", b"blindlink-store 99".as_slice());
    store.apply(&batch).unwrap();
    let refused = Vault::open(store, system_clock()).err().unwrap();
    assert!(matches!(refused, StoreError::Format { .. }), "{refused}");
}

const CHILD_FOLDER: &str = "BLINDLINK_TEST_CRASH_FOLDER";

/// Not a test of its own: the process that the next test kills. It seals dataset after dataset, and
/// writes the id of each to a file, after those before it, once the seal has returned.
#[test]
#[ignore = "run by a_killed_process_leaves_what_was_confirmed"]
fn crashing_child() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let folder = Path::new(&folder);
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&folder.join("store"), 32).unwrap());
    let vault = open(&store);
    project(&vault);
    let already = current(&vault).map_or(0, |(_, refs)| refs.len() as u64);
    let mut confirmed = String::new();
    for records in already + 1.. {
        let sealed =
            send(&vault, &batch("council", 0..records * 37 % 4_000 + 1, (records % 9) as u8)).unwrap();
        confirmed.push_str(&format!("{}\n", sealed));
        std::fs::write(folder.join("confirmed.new"), &confirmed).unwrap();
        std::fs::rename(folder.join("confirmed.new"), folder.join("confirmed")).unwrap();
    }
}

#[test]
fn a_killed_process_leaves_what_was_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let mut earlier: Vec<String> = Vec::new();
    for round in 0..6u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crashing_child", "--ignored"])
            .env(CHILD_FOLDER, folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let confirmed = folder.path().join("confirmed");
        let _ = std::fs::remove_file(&confirmed);
        while !confirmed.exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        }
        // At another point of the work each time: mid-upload, mid-seal, mid-sweep.
        std::thread::sleep(std::time::Duration::from_millis(17 * round + 3));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Arc::new(SledStore::open(&folder.path().join("store"), 32).unwrap()) as Arc<dyn Store>;
        let report = check(Arc::clone(&store), Some(root_key()), system_clock()).unwrap();
        assert_eq!(report.faults, Vec::<String>::new(), "round {round}");
        assert_eq!(report.datasets, 1, "one whole dataset is in force");
        earlier.extend(std::fs::read_to_string(&confirmed).unwrap().lines().map(ToOwned::to_owned));
        let (id, found) = current(&open(&store)).unwrap();
        assert_eq!(found, refs(0..found.len() as u64), "never half of one");
        // The last one confirmed, or one that was sealed and not yet confirmed when the process died.
        let place = earlier.iter().position(|sealed| *sealed == id.to_string());
        assert!(place.is_none_or(|at| at + 1 == earlier.len()), "a confirmed one was lost, round {round}");
        store.flush().unwrap();
    }
}

#[test]
fn a_backup_restores_what_is_sealed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(&folder.path().join("a"), 32).unwrap()) as Arc<dyn Store>;
    let vault = open(&store);
    let project = project(&vault);
    send(&vault, &batch("council", 0..500, 0)).unwrap();
    let sealed = send(&vault, &batch("council", 0..700, 0)).unwrap();
    let project = vault.project(&project.id).unwrap().unwrap();
    let half = batch("council", 0..50, 1);
    let upload = begin(&vault, &project, &half, None, Vec::new()).unwrap();
    vault.put_chunk(&upload, 0, &half.slice(0, 40), &[]).unwrap();
    let before = check(Arc::clone(&store), Some(root_key()), system_clock()).unwrap();

    let file = folder.path().join("backup");
    let report = backup(&*store, &file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().len(), report.bytes);
    assert!(matches!(backup(&*store, &file), Err(StoreError::Backup { .. })), "never over another");

    let target = folder.path().join("b");
    let (restored, checked) = restore(&file, &target, Some(root_key()), system_clock()).unwrap();
    assert_eq!(restored, report);
    assert_eq!((checked.records, checked.events, checked.uploads), (700, before.events, 0));
    assert!(restore(&file, &target, Some(root_key()), system_clock()).is_err(), "never over another");
    let again = Arc::new(SledStore::open(&target, 32).unwrap()) as Arc<dyn Store>;
    assert_eq!(current(&open(&again)).unwrap(), (sealed, refs(0..700)));

    let bytes = std::fs::read(&file).unwrap();
    for (name, damage) in [
        ("cut", bytes[..bytes.len() - 1].to_vec()),
        ("half", bytes[..bytes.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("flipped", bytes.iter().enumerate().map(|(at, b)| if at == 40_000 { b ^ 1 } else { *b }).collect()),
    ] {
        let damaged = folder.path().join(name);
        std::fs::write(&damaged, damage).unwrap();
        let target = folder.path().join(format!("{name}.store"));
        let refused = restore(&damaged, &target, Some(root_key()), system_clock()).unwrap_err();
        assert!(matches!(refused, StoreError::Backup { .. }), "{name}: {refused}");
        assert!(!target.exists(), "{name}: nothing is left");
    }
}

#[test]
fn damage_to_a_stored_part_is_found_by_the_check() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let vault = open(&store);
    project(&vault);
    send(&vault, &batch("council", 0..100, 0)).unwrap();
    let (key, mut value) = store.scan(b"part/", None, 1).unwrap().remove(0);
    let middle = value.len() - 200;
    value[middle] ^= 1;
    let mut batch = blindlink::store::Batch::new();
    batch.put(key, value);
    store.apply(&batch).unwrap();
    let report = check(store, Some(root_key()), system_clock()).unwrap();
    assert_eq!(report.faults.len(), 1, "{report:?}");
}
