//! A backup that is put back brings nothing back that was erased after it was made.

#![cfg(feature = "central")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::config::central::CentralConfig;
use blindlink::service::journal::{JournalError, restored};
use blindlink::service::server::{StartError, start_with};
use blindlink::store::{MemoryStore, SledStore, Store, Vault, backup, restore, system_clock};
use blindlink::wire::RecordRef;
use serde_json::{Value, json};
use service_support::*;
use std::path::Path;
use std::sync::Arc;

fn started(journal: &Path, store: &Arc<dyn Store>, operator: &str) -> Result<Centre, StartError> {
    let config = CentralConfig { erasures: Some(journal.to_owned()), ..config() };
    let running = start_with(&config, Arc::clone(store), system_clock(), false)?;
    let first = running.first_key().map(|key| key.expose());
    Ok(Centre { running, operator: first.unwrap_or_else(|| operator.to_owned()) })
}

fn refused(journal: &Path, store: &Arc<dyn Store>) -> JournalError {
    match started(journal, store, "").err().unwrap() {
        StartError::Journal(error) => error,
        other => panic!("{other}"),
    }
}

/// Whether the bytes of a ref, or its text, stand anywhere in a store.
fn stands(store: &dyn Store, record: &RecordRef) -> bool {
    let text = record.to_string();
    let holds = |bytes: &[u8]| {
        bytes.windows(16).any(|found| found == record.as_bytes())
            || bytes.windows(text.len()).any(|found| found == text.as_bytes())
    };
    store.scan(b"", None, usize::MAX).unwrap().iter().any(|(key, value)| holds(key) || holds(value))
}

fn links(centre: &Centre, key: &str) -> usize {
    centre.get(key, "/v1/projects/p/links").json()["links"].as_array().unwrap().len()
}

/// Three linked agencies, backed up; then a record each of two is erased, the third leaves, and project `q` ends.
struct Place {
    folder: tempfile::TempDir,
    live: Arc<dyn Store>,
    operator: String,
    keys: Vec<String>,
    other: Vec<String>,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("erasures.log");
    let live: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let centre = started(&journal, &live, "").unwrap();
    let agencies = ["council", "school", "health"];
    let (keys, other) = (centre.project("p", &agencies), centre.project("q", &agencies[..2]));
    for (key, agency) in keys.iter().zip(agencies) {
        centre.upload(key, "p", agency, &batch(agency, 0..20, 0));
    }
    centre.upload(&other[0], "q", "council", &batch("council", 50..60, 0));
    centre.run(&keys[0], "p");
    let ask = |key: &str, agency: &str, child| {
        let body = json!({"record": record(agency, child), "purpose": "safeguarding"});
        assert_eq!(centre.send(key, "POST", "/v1/projects/p/lookups", &body).status, 200);
    };
    (3..6).for_each(|child| ask(&keys[0], "council", child));
    let path = format!("/v1/projects/p/shields/{}", record("school", 7));
    let hidden = json!({"visibility": "hidden", "why": "domestic_abuse"});
    assert_eq!(centre.send(&keys[1], "PUT", &path, &hidden).status, 200);
    backup(&*live, &folder.path().join("one.backup")).unwrap();

    for (key, agency, child) in [(&keys[0], "council", 3), (&keys[1], "school", 4), (&keys[1], "school", 7)] {
        let body = json!({"record": record(agency, child)});
        let told = centre.send(key, "POST", "/v1/projects/p/erasures", &body);
        assert_eq!(told.status, 200, "{}", told.text());
    }
    let matter = json!({"kind": "withdrawal", "agency": "health"});
    let id = centre.decided("p", &keys[2], &centre.operator, &matter);
    let body = json!({"agency": "health", "approval": id});
    assert_eq!(centre.send(&keys[2], "POST", "/v1/projects/p/withdrawal", &body).status, 200);
    let id = centre.decided("q", &centre.operator, &other[0], &json!({"kind": "closure"}));
    // What is refused was not done, and is not done again.
    let wrong = json!({"project": "q", "approval": "ap-0"});
    assert_eq!(centre.send(&centre.operator, "POST", "/v1/projects/q/closure", &wrong).code(), "not-found");
    let body = json!({"project": "q", "approval": id});
    assert_eq!(centre.send(&centre.operator, "POST", "/v1/projects/q/closure", &body).status, 200);
    let operator = centre.operator.clone();
    centre.running.stop().unwrap();
    Place { folder, live, operator, keys, other }
}

#[test]
fn a_restored_backup_does_not_bring_back_what_was_erased() {
    let Place { folder, live, operator, keys, other } = place();
    let journal = folder.path().join("erasures.log");
    let written = std::fs::read_to_string(&journal).unwrap();
    assert_eq!(written.lines().count(), 5, "{written}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&journal).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let gone = [("council", 3), ("school", 4), ("school", 7)];
    for (agency, child) in gone {
        assert!(!written.contains(&record(agency, child).to_string()), "a ref stands in the file");
    }
    let target = folder.path().join("new");
    restore(&folder.path().join("one.backup"), &target, Some(root_key()), system_clock()).unwrap();
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&target, 16).unwrap());
    let back = |agency: &str, child| stands(&*store, &record(agency, child));
    assert!(gone.iter().all(|(agency, child)| back(agency, *child)), "the backup has them all");
    assert!(back("health", 9) && back("council", 55));
    let (vault, _) = Vault::open(Arc::clone(&store), system_clock()).unwrap();
    assert_eq!(restored(&journal, &vault, false).unwrap(), 5);
    drop(vault);

    let centre = started(&journal, &store, &operator).unwrap();
    for (agency, child) in gone {
        assert!(!back(agency, child), "{agency} {child}");
    }
    assert!((0..20).all(|child| !back("health", child)) && (50..60).all(|child| !back("council", child)));
    assert!(back("council", 4) && back("school", 3), "nobody else's record of the same number is touched");
    // Council and school have 20 children in common; 3, 4 and 7 have lost a side.
    assert_eq!((links(&centre, &keys[0]), links(&centre, &keys[1])), (17, 17));
    let lookup = |child| {
        let body = json!({"record": record("council", child), "purpose": "safeguarding"});
        centre.send(&keys[0], "POST", "/v1/projects/p/lookups", &body)
    };
    assert_eq!(lookup(3).code(), "not-found");
    assert_eq!(lookup(5).json()["answer"], "yes");
    assert_eq!(centre.get(&keys[2], "/v1/whoami").status, 401, "the keys of who left");
    assert_eq!(centre.get(&other[0], "/v1/whoami").status, 401, "the keys of the project that ended");
    let held = centre.send(&keys[0], "POST", "/v1/projects/p/held", &json!({"record": record("council", 3)}));
    let held = held.json();
    assert_eq!((&held["erased"], &held["encodings"], &held["links"]), (&json!(true), &json!([]), &json!([])));
    // Nor does it come in with the next extract.
    centre.upload(&keys[0], "p", "council", &batch("council", 0..20, 0));
    assert!(!back("council", 3));
    let events = centre.get(&operator, "/v1/projects/p/events").json();
    let said = |action: &str| {
        events["events"].as_array().unwrap().iter().filter(|event| event["action"] == action).count()
    };
    assert_eq!((said("records_erased_again"), said("agency_withdrawn_again")), (2, 1));
    // What is erased now goes on in the same file, once.
    let body = json!({"record": record("council", 8)});
    for _ in 0..3 {
        assert_eq!(centre.send(&keys[0], "POST", "/v1/projects/p/erasures", &body).status, 200);
    }
    centre.running.stop().unwrap();
    let written = std::fs::read_to_string(&journal).unwrap();
    let last: Value = serde_json::from_str(written.lines().last().unwrap()).unwrap();
    assert_eq!((written.lines().count(), &last["number"]), (6, &json!(6)));
    started(&journal, &store, &operator).unwrap().running.stop().unwrap();
    let events = {
        let (vault, _) = Vault::open(Arc::clone(&store), system_clock()).unwrap();
        vault.events(Some(&"p".parse().unwrap()), 0, usize::MAX).unwrap()
    };
    let again = events.iter().filter(|event| event.event.action == "records_erased_again");
    assert_eq!(again.count(), 2, "a start that finds nothing missing does nothing");
    drop(live);
}

#[test]
fn a_file_of_erasures_that_is_missing_old_or_damaged_stops_the_start() {
    let Place { folder, live, operator, .. } = place();
    let journal = folder.path().join("erasures.log");
    let whole = std::fs::read(&journal).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let target = folder.path().join("new");
    restore(&folder.path().join("one.backup"), &target, Some(root_key()), system_clock()).unwrap();
    let back: Arc<dyn Store> = Arc::new(SledStore::open(&target, 16).unwrap());

    let elsewhere = folder.path().join("elsewhere.log");
    for store in [&live, &back] {
        assert!(matches!(refused(&elsewhere, store), JournalError::Missing { .. }));
        assert!(!elsewhere.exists(), "a refusal begins no new file");
    }
    std::fs::write(&elsewhere, lines[..2].concat()).unwrap();
    assert!(matches!(refused(&elsewhere, &live), JournalError::Older { last: 2, mark: 5, .. }));
    for bad in [
        [lines[0], lines[2]].concat(),
        [lines[1], lines[0]].concat(),
        [b"{}\n", lines[0]].concat(),
        vec![b'x'; 5_000],
    ] {
        std::fs::write(&elsewhere, bad).unwrap();
        assert!(matches!(refused(&elsewhere, &live), JournalError::Damaged { .. }));
    }
    // A line that a stop cut short was never acted upon.
    let torn = [&whole[..], &lines[0][..20]].concat();
    std::fs::write(&journal, torn).unwrap();
    started(&journal, &live, &operator).unwrap().running.stop().unwrap();
    assert_eq!(std::fs::read(&journal).unwrap(), whole);

    // Lost for good: somebody says so, and the file goes on after what the store knows.
    std::fs::remove_file(&elsewhere).unwrap();
    let (vault, _) = Vault::open(Arc::clone(&live), system_clock()).unwrap();
    assert!(matches!(restored(&elsewhere, &vault, false), Err(JournalError::Missing { .. })));
    assert_eq!(restored(&elsewhere, &vault, true).unwrap(), 0);
    drop(vault);
    started(&elsewhere, &live, &operator).unwrap().running.stop().unwrap();
    assert!(std::fs::read_to_string(&elsewhere).unwrap().contains("\"number\":6"));
}

#[test]
fn what_was_erased_before_the_file_began_does_not_come_back_unsaid() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("erasures.log");
    let live: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let erase = |centre: &Centre, key: &str, child| {
        let body = json!({"record": record("council", child)});
        assert_eq!(centre.send(key, "POST", "/v1/projects/p/erasures", &body).status, 200);
    };
    // A centre of before the file: what it erases is noted nowhere.
    let centre = Centre::on(Arc::clone(&live));
    let (keys, operator) = (centre.project("p", &["council", "school"]), centre.operator.clone());
    centre.upload(&keys[0], "p", "council", &batch("council", 0..20, 0));
    backup(&*live, &folder.path().join("old.backup")).unwrap();
    erase(&centre, &keys[0], 3);
    centre.running.stop().unwrap();

    let centre = started(&journal, &live, &operator).unwrap();
    let begun = std::fs::read_to_string(&journal).unwrap();
    assert_eq!((begun.lines().count(), begun.contains("\"lost\"")), (1, true), "{begun}");
    erase(&centre, &keys[0], 4);
    centre.running.stop().unwrap();
    backup(&*live, &folder.path().join("new.backup")).unwrap();
    started(&journal, &live, &operator).unwrap().running.stop().unwrap();
    assert_eq!(std::fs::read_to_string(&journal).unwrap().lines().count(), 2, "it begins once");

    let put_back = |backup: &str, to: &str| -> Arc<dyn Store> {
        let target = folder.path().join(to);
        restore(&folder.path().join(backup), &target, Some(root_key()), system_clock()).unwrap();
        Arc::new(SledStore::open(&target, 16).unwrap())
    };
    let old = put_back("old.backup", "old");
    assert!(matches!(refused(&journal, &old), JournalError::Later { .. }));
    {
        let (vault, _) = Vault::open(Arc::clone(&old), system_clock()).unwrap();
        assert!(matches!(restored(&journal, &vault, false), Err(JournalError::Later { .. })));
        assert_eq!(restored(&journal, &vault, true).unwrap(), 2, "both lines that there are");
    }
    started(&journal, &old, &operator).unwrap().running.stop().unwrap();
    assert!(!stands(&*old, &record("council", 4)), "what the file knows is erased again");
    assert!(stands(&*old, &record("council", 3)), "what it does not know is what somebody was told of");

    let new = put_back("new.backup", "new");
    started(&journal, &new, &operator).unwrap().running.stop().unwrap();
    assert!([3, 4].iter().all(|child| !stands(&*new, &record("council", *child))));
    // A stop between the first line and the store's word of it is no refusal, nor is a store without projects late.
    let fresh: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let another = folder.path().join("another.log");
    started(&another, &fresh, "").unwrap().running.stop().unwrap();
    assert_eq!(std::fs::read(&another).unwrap(), b"");
    let mut batch = blindlink::store::Batch::new();
    batch.remove("erasures-noted").put("erasures-beginning", []);
    live.apply(&batch).unwrap();
    std::fs::write(&another, begun).unwrap();
    started(&another, &live, &operator).unwrap().running.stop().unwrap();
    started(&another, &live, &operator).unwrap().running.stop().unwrap();
}
