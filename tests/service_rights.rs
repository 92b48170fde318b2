//! Rights and time over HTTP: erase, show, withdraw, end, rotate, live through twenty-five years.

#![cfg(feature = "central")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::ledger::LogSigner;
use blindlink::service::erasing::RemovalReceipt;
use blindlink::service::policy::Agreement;
use blindlink::service::rights::ErasureReceipt;
use blindlink::service::secrets::log_signer;
use blindlink::service::server::start_with;
use blindlink::store::{Batch, MemoryStore, Store};
use blindlink::wire::{
    EncodingBatch, KeyCheckValue, Layout, Month, Payload, PayloadColumn, Profile, RecordRef, UtcTime,
};
use serde_json::{Value, json};
use service_support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const APPROVALS: &str = "/v1/projects/p/approvals";

fn signer() -> LogSigner {
    log_signer(&config()).unwrap()
}

fn links(centre: &Centre, key: &str) -> Vec<Value> {
    centre.get(key, "/v1/projects/p/links").json()["links"].as_array().unwrap().clone()
}

/// Whether the bytes of a ref, or its text, stand anywhere in a store.
fn stands(store: &MemoryStore, record: &RecordRef) -> bool {
    let text = record.to_string();
    let holds = |bytes: &[u8]| {
        bytes.windows(16).any(|found| found == record.as_bytes())
            || bytes.windows(text.len()).any(|found| found == text.as_bytes())
    };
    store.scan(b"", None, usize::MAX).unwrap().iter().any(|(key, value)| holds(key) || holds(value))
}

/// An agreement of two or three parties, put into a stopped or running centre's store.
fn agree(store: &dyn Store, parties: &[&str], changes: &[(&str, &str)]) {
    let head = "format_version = 1\nproject = \"p\"\nrevision = 1\ntitle = \"T\"\nstarts = \"2026-01-01\"\n\
                ends = \"2051-12-31\"\nretention_months = 13\nsuppress_below = 5\nsecond_look_every = 0\n\
                standing = true\n";
    let mut text = head.to_owned();
    for party in parties {
        text += &format!("[[parties]]\nagency = \"{party}\"\n");
    }
    text += "[[purposes]]\ncode = \"safeguarding\"\ntitle = \"S\"\n";
    for (at, a) in parties.iter().enumerate() {
        for b in &parties[at + 1..] {
            text += &format!("[[pairs]]\nbetween = [\"{a}\", \"{b}\"]\nanswer = \"contact\"\n");
        }
    }
    text += "[budgets]\nuser_day = 1000\nagency_month = 20000\nproject = 1000000\nfront_door_user_day = 15\n\
             front_door_agency_day = 40\nfront_door_agency_month = 300\nmisses_user_day = 8\n";
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let agreement: Agreement = toml::from_str(&text).unwrap();
    let mut batch = Batch::new();
    batch.put("agreement/p", serde_json::to_vec(&agreement).unwrap());
    store.apply(&batch).unwrap();
}

#[test]
fn an_erased_record_goes_everywhere_and_does_not_come_back() {
    let store = Arc::new(MemoryStore::new());
    let centre = Centre::on(Arc::clone(&store) as Arc<dyn Store>);
    let keys = centre.project("p", &["council", "school"]);
    let council = batch("council", 0..250, 0);
    centre.upload(&keys[0], "p", "council", &council);
    centre.upload(&keys[1], "p", "school", &batch("school", 200..400, 0));
    centre.run(&keys[0], "p");
    assert_eq!((links(&centre, &keys[0]).len(), links(&centre, &keys[1]).len()), (50, 50));
    let gone = record("council", 210);
    let body = json!({"record": gone});
    let held = centre.send(&keys[0], "POST", "/v1/projects/p/held", &body).json();
    assert_eq!(held["encodings"].as_array().unwrap().len(), 1, "{held}");
    assert_eq!(held["encodings"][0]["filters"][0].as_str().unwrap().len(), 64);
    assert_eq!((held["links"].as_array().unwrap().len(), &held["links"][0]["agency"]), (1, &json!("school")));
    assert!(stands(&store, &gone));

    let told = centre.send(&keys[0], "POST", "/v1/projects/p/erasures", &body);
    assert_eq!(told.status, 200, "{}", told.text());
    let receipt: ErasureReceipt = serde_json::from_value(told.json()).unwrap();
    let erasure = receipt.verify(&signer().public()).unwrap();
    assert_eq!((erasure.encodings, erasure.links, erasure.record), (1, 1, gone));
    assert!(!stands(&store, &gone), "a ref of an erased record is still in the store");
    assert_eq!((links(&centre, &keys[0]).len(), links(&centre, &keys[1]).len()), (49, 49));
    let held = centre.send(&keys[0], "POST", "/v1/projects/p/held", &body).json();
    assert_eq!((&held["erased"], &held["encodings"], &held["links"]), (&json!(true), &json!([]), &json!([])));
    let purpose = json!({"record": gone, "purpose": "safeguarding"});
    assert_eq!(centre.send(&keys[0], "POST", "/v1/projects/p/lookups", &purpose).code(), "not-found");
    // Nobody else's record of the same number is touched, and another agency's word erases nothing here.
    let other = json!({"record": record("council", 211)});
    let told = centre.send(&keys[1], "POST", "/v1/projects/p/erasures", &other).json();
    assert_eq!(told["erasure"]["encodings"], json!(0));
    assert_eq!(links(&centre, &keys[0]).len(), 49);

    // The agency's next extract still has the child: the record is left out, the others are as before.
    centre.upload(&keys[0], "p", "council", &batch("council", 0..251, 1));
    assert!(!stands(&store, &gone), "an erased record came back");
    centre.run(&keys[0], "p");
    assert_eq!(links(&centre, &keys[0]).len(), 50);
    let datasets = centre.get(&keys[0], "/v1/projects/p/datasets").json();
    let current: Vec<&Value> =
        datasets["datasets"].as_array().unwrap().iter().filter(|d| d["state"] == "sealed").collect();
    assert_eq!(current[0]["records_current"], json!(250));
    centre.running.stop().unwrap();
    // What the store says of itself is still true: digests and indexes agree.
    let store: Arc<dyn Store> = store;
    let report = blindlink::store::check(store, Some(root_key()), blindlink::store::system_clock()).unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
}

#[test]
fn an_agency_that_withdraws_takes_everything_with_it() {
    let store = Arc::new(MemoryStore::new());
    let centre = Centre::on(Arc::clone(&store) as Arc<dyn Store>);
    let keys = centre.project("p", &["council", "health", "school"]);
    for (key, agency) in keys.iter().zip(["council", "health", "school"]) {
        centre.upload(key, "p", agency, &batch(agency, 0..60, 0));
    }
    centre.run(&keys[0], "p");
    let before = links(&centre, &keys[1]);
    assert_eq!(before.len(), 120);
    let other = json!({"agency": "school", "approval": "ap-0"});
    assert_eq!(centre.send(&keys[0], "POST", "/v1/projects/p/withdrawal", &other).code(), "rule");
    // One person cannot, nor two of another agency, nor by a decision about something else.
    let matter = json!({"kind": "withdrawal", "agency": "council"});
    let proposal = json!({"matter": matter, "reason": "agreed"});
    for other in [&keys[1], &centre.operator] {
        assert_eq!(centre.send(other, "POST", APPROVALS, &proposal).code(), "forbidden");
    }
    let second = centre.key("p", "council", &["approver"]);
    let leave = |approval: &str| {
        let body = json!({"agency": "council", "approval": approval});
        centre.send(&keys[0], "POST", "/v1/projects/p/withdrawal", &body)
    };
    let proposed = centre.send(&keys[0], "POST", APPROVALS, &proposal).json();
    let alone = proposed["id"].as_str().unwrap();
    assert_eq!((&*leave(alone).code(), &*leave("ap-0").code()), ("approval-state", "not-found"));
    let says = |key: &str| {
        centre.send(key, "POST", &format!("{APPROVALS}/{alone}/approve"), &json!({"reason": "x"}))
    };
    assert_eq!((says(&keys[0]).code(), says(&keys[1]).code()), ("second-person".into(), "forbidden".into()));
    let closure = centre.decided("p", &keys[0], &keys[1], &json!({"kind": "closure"}));
    assert_eq!(leave(&closure).code(), "rule");
    let approval = centre.decided("p", &keys[0], &second, &matter);
    assert_eq!(centre.carry_out("p", &keys[0], &approval).code(), "rule", "the request that gives a receipt");
    let told = leave(&approval);
    assert_eq!(told.status, 200, "{}", told.text());
    let receipt: RemovalReceipt = serde_json::from_value(told.json()).unwrap();
    assert!(receipt.holds(&signer().public()));
    assert_eq!((receipt.removal.encodings, receipt.removal.links), (60, 120));
    let mut changed = receipt.clone();
    changed.removal.links = 0;
    assert!(!changed.holds(&signer().public()));
    assert_eq!(centre.get(&keys[0], "/v1/whoami").status, 401);
    assert_eq!(centre.get(&second, "/v1/whoami").status, 401);
    for child in 0..60 {
        assert!(!stands(&store, &record("council", child)), "child {child}");
    }
    // The links of the others are derived anew from what is left.
    let run = receipt.removal.run.unwrap();
    let path = format!("/v1/projects/p/runs/{run}");
    let ended = (0..400).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        centre.get(&keys[1], &path).json()["state"] == "finished"
    });
    assert!(ended);
    assert_eq!(centre.get(&keys[1], &path).json()["agencies"], json!(["health", "school"]));
    let after = links(&centre, &keys[1]);
    assert_eq!(after.len(), 60);
    assert!(after.iter().all(|link| link["agency"] == "school"));
    let told: Vec<&Value> = after.iter().map(|link| &link["reference"]).collect();
    assert!(told.iter().all(|reference| before.iter().any(|old| old["reference"] == **reference)));
    centre.running.stop().unwrap();
}

/// Agencies that are called as their project and as a word of a stored shield are: they take their own with them.
#[test]
fn a_withdrawal_ends_nobody_elses_shields() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "p", "record", "refuge"]);
    for (key, agency) in keys.iter().zip(["council", "p", "record", "refuge"]) {
        centre.upload(key, "p", agency, &batch(agency, 0..10, 0));
    }
    let shield = |key: &str, agency: &str| {
        let path = format!("/v1/projects/p/shields/{}", record(agency, 3));
        let hidden = json!({"visibility": "hidden", "why": "domestic_abuse"});
        assert_eq!(centre.send(key, "PUT", &path, &hidden).status, 200);
    };
    shield(&keys[3], "refuge");
    centre.run(&keys[0], "p");
    let of_3 = || {
        let own = record("council", 3).to_string();
        let mut agencies: Vec<String> = links(&centre, &keys[0])
            .iter()
            .filter(|link| link["record"] == own)
            .map(|link| link["agency"].as_str().unwrap().to_owned())
            .collect();
        agencies.sort();
        agencies
    };
    assert_eq!(of_3(), ["p", "record"]);
    for (key, agency, left) in [(&keys[1], "p", vec!["record"]), (&keys[2], "record", vec![])] {
        let matter = json!({"kind": "withdrawal", "agency": agency});
        let approval = centre.decided("p", key, &centre.operator, &matter);
        let body = json!({"agency": agency, "approval": approval});
        let told = centre.send(key, "POST", "/v1/projects/p/withdrawal", &body);
        assert_eq!(told.status, 200, "{}", told.text());
        centre.run(&keys[0], "p");
        assert_eq!(of_3(), left, "after {agency} has left: the refuge's shield must stand");
    }
    let shields = centre.get(&keys[3], "/v1/projects/p/shields").json();
    assert_eq!(shields["shields"].as_array().unwrap().len(), 1);
    centre.running.stop().unwrap();
}

#[test]
fn the_bytes_of_an_ended_project_can_not_be_read_again() {
    let store = Arc::new(MemoryStore::new());
    let centre = Centre::on(Arc::clone(&store) as Arc<dyn Store>);
    let keys = centre.project("p", &["council", "school"]);
    let id = centre.upload(&keys[0], "p", "council", &batch("council", 0..60, 0));
    centre.upload(&keys[1], "p", "school", &batch("school", 0..60, 0));
    centre.run(&keys[0], "p");
    let part = format!("part/{id}/");
    let stolen = store.scan(part.as_bytes(), None, usize::MAX).unwrap();
    let manifest = store.scan(b"manifest/p/", None, usize::MAX).unwrap();
    let pointer = store.scan(b"current/p/", None, usize::MAX).unwrap();
    assert!(!stolen.is_empty());
    let clear = filter(7, 0);
    assert!(stolen.iter().all(|(_, value)| !value.windows(32).any(|bytes| bytes == clear)), "in clear");
    let close = |project: &str, approval: &str| {
        let body = json!({"project": project, "approval": approval});
        centre.send(&centre.operator, "POST", "/v1/projects/p/closure", &body)
    };
    let proposal = json!({"matter": {"kind": "closure"}, "reason": "agreed"});
    let proposed = centre.send(&centre.operator, "POST", APPROVALS, &proposal).json();
    assert_eq!(close("p", proposed["id"].as_str().unwrap()).code(), "approval-state", "one person alone");
    let approval = centre.decided("p", &centre.operator, &keys[1], &json!({"kind": "closure"}));
    assert_eq!(close("q", &approval).code(), "rule");
    let told = close("p", &approval);
    assert_eq!(told.status, 200, "{}", told.text());
    let receipt: RemovalReceipt = serde_json::from_value(told.json()).unwrap();
    assert!(receipt.holds(&signer().public()) && receipt.removal.key_destroyed);
    assert_eq!((receipt.removal.encodings, receipt.removal.links), (120, 60));
    assert_eq!(centre.get(&keys[0], "/v1/whoami").status, 401);
    for folder in ["part/", "refs/", "link/", "link-reference/", "facts/", "manifest/", "current/"] {
        assert!(store.scan(folder.as_bytes(), None, 1).unwrap().is_empty(), "{folder}");
    }
    centre.running.stop().unwrap();
    // Whoever kept the bytes, and even has the root key, puts them back in vain.
    let mut batch = Batch::new();
    for (key, value) in stolen.iter().chain(&manifest).chain(&pointer) {
        batch.put(key.as_slice(), value.as_slice());
    }
    store.apply(&batch).unwrap();
    let (vault, _) =
        blindlink::store::Vault::open(Arc::clone(&store) as Arc<dyn Store>, blindlink::store::system_clock())
            .unwrap();
    let vault = vault.with_root_key(root_key());
    let (project, agency) = ("p".parse().unwrap(), "council".parse().unwrap());
    let refused = vault.read_current(&project, blindlink::wire::Epoch::FIRST, &agency).unwrap_err();
    assert!(matches!(refused, blindlink::store::StoreError::KeyDestroyed { .. }), "{refused}");
}

#[test]
fn a_project_that_keeps_no_encodings_erases_them_after_its_run_and_still_answers() {
    let store = Arc::new(MemoryStore::new());
    let centre = Centre::on(Arc::clone(&store) as Arc<dyn Store>);
    let keys = centre.project("p", &["council", "school"]);
    agree(&*store, &["council", "school"], &[("standing = true\n", "")]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..60, 0));
    let early = centre.send(&keys[0], "POST", "/v1/projects/p/runs", &json!({}));
    assert_eq!(early.code(), "rule", "a run over some of the parties would erase for nothing");
    centre.upload(&keys[1], "p", "school", &batch("school", 40..90, 0));
    let run = centre.run(&keys[0], "p");
    let emptied = (0..400).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(5));
        store.scan(b"part/", None, 1).unwrap().is_empty()
    });
    assert!(emptied, "encodings stand after the run");
    let ask = json!({"record": record("council", 45), "purpose": "safeguarding"});
    let answer = centre.send(&keys[0], "POST", "/v1/projects/p/lookups", &ask);
    assert_eq!(answer.json()["answer"], json!("yes"), "{}", answer.text());
    assert_eq!(links(&centre, &keys[1]).len(), 20);
    // Nothing new was sent: the same run stands. A delta has nothing to lie on.
    assert_eq!(centre.run(&keys[0], "p"), run);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..61, 0));
    assert_eq!(centre.send(&keys[0], "POST", "/v1/projects/p/runs", &json!({})).code(), "rule");
    centre.running.stop().unwrap();
}

/// A centre whose clock a test moves.
fn clocked(store: Arc<dyn Store>, start: &str) -> (Centre, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(start.parse::<UtcTime>().unwrap().millis()));
    let hand = Arc::clone(&now);
    let clock = Arc::new(move || UtcTime::from_millis(hand.load(Ordering::SeqCst)).unwrap());
    let running = start_with(&config(), store, clock, false).unwrap();
    let operator = running.first_key().unwrap().expose();
    (Centre { running, operator }, now)
}

fn dated_layout() -> Layout {
    let plain = layout();
    Layout::new(Profile::Clk, plain.views().to_vec(), false, vec![], vec![PayloadColumn::Expiry]).unwrap()
}

/// Records that expire: child `n` after month `expiry(n)`.
fn dated(
    agency: &str,
    children: impl IntoIterator<Item = u64>,
    expiry: impl Fn(u64) -> Month,
) -> EncodingBatch {
    let children: Vec<u64> = children.into_iter().collect();
    let mut all = batch(agency, children.iter().copied(), 0);
    all.layout = Arc::new(dated_layout());
    all.payload =
        children.iter().map(|n| Payload { expiry: Some(expiry(*n)), ..Payload::default() }).collect();
    all
}

/// A centre in March 2026 with a project of two parties that outlives the children's records; their keys.
fn dated_centre(store: &Arc<MemoryStore>) -> (Centre, Arc<AtomicI64>, Vec<String>) {
    let (centre, now) = clocked(Arc::clone(store) as Arc<dyn Store>, "2026-03-15T12:00:00Z");
    let mut body = project_body("p");
    body["layout"] = json!(dated_layout());
    body["ends"] = json!("2051-12-31T23:59:59Z");
    assert_eq!(centre.send(&centre.operator, "POST", "/v1/projects", &body).status, 201);
    let keys = ["council", "school"].iter().map(|agency| centre.party("p", agency)).collect();
    agree(&**store, &["council", "school"], &[]);
    (centre, now, keys)
}

#[test]
fn twenty_five_years_pass_and_nothing_is_left() {
    let store = Arc::new(MemoryStore::new());
    let (centre, now, keys) = dated_centre(&store);
    let sweep = || {
        let swept = centre.send(&centre.operator, "POST", "/v1/sweeps", &json!({}));
        assert_eq!(swept.status, 200, "{}", swept.text());
        swept.json()
    };
    let upload = |key: &str, agency: &str, records: &EncodingBatch| {
        let (mut create, bodies) = announcement("p", agency, records, 100);
        create.header.layout = dated_layout();
        centre.upload_announced(key, "p", &create, &bodies)
    };
    // Each year's children, five a year, each to go when it is eighteen; uploaded every March.
    let expiry = |child: u64| Month::try_from((2026 + child as u32 / 5 - 8 + 18) * 100 + 2).unwrap();
    let year_of = |year: u32| format!("{year}-03-15T12:00:00Z").parse::<UtcTime>().unwrap().millis();
    let mut erased = 0;
    for year in 2026..=2051u32 {
        now.store(year_of(year), Ordering::SeqCst);
        erased += sweep()["records"].as_u64().unwrap();
        let children = || 0..u64::from(year - 2025) * 5;
        let alive = |child: &u64| u32::from(expiry(*child)) >= year * 100 + 3;
        upload(&keys[0], "council", &dated("council", children(), expiry));
        if year < 2040 {
            upload(&keys[1], "school", &dated("school", children().filter(alive), expiry));
        }
        erased += sweep()["records"].as_u64().unwrap();
        for child in children() {
            let stands = stands(&store, &record("council", child));
            assert_eq!(stands, alive(&child), "child {child} in {year}");
        }
    }
    // The school stopped in 2039; its records went with their retention, thirteen months later.
    assert!((0..200).all(|child| !stands(&store, &record("school", child))));
    assert!(erased > 60, "{erased}");
    now.store(year_of(2052), Ordering::SeqCst);
    assert_eq!(sweep()["projects"], json!(1));
    for folder in ["part/", "refs/", "link/", "manifest/", "current/", "upload/"] {
        assert!(store.scan(folder.as_bytes(), None, 1).unwrap().is_empty(), "{folder}");
    }
    let key = store.value(b"datakey/p").unwrap().unwrap();
    assert_eq!(key, b"destroyed");
    centre.running.stop().unwrap();
}

/// What a delta says of a record counts; what it removed is due by what is left of it.
#[test]
fn a_record_whose_month_was_extended_outlives_the_old_one() {
    let store = Arc::new(MemoryStore::new());
    let (centre, now, keys) = dated_centre(&store);
    let upload = |records: &EncodingBatch, base: Option<&str>, removals: Vec<RecordRef>| {
        let (mut create, bodies) = announcement("p", "council", records, 100);
        create.header.layout = dated_layout();
        create.base = base.map(|id| id.parse().unwrap());
        create.removals = removals;
        centre.upload_announced(&keys[0], "p", &create, &bodies)
    };
    let month = |month: u32| move |_| Month::try_from(month).unwrap();
    let base = upload(&dated("council", 0..6, month(202_605)), None, Vec::new());
    upload(&dated("council", 0..3, month(202_705)), Some(&base), vec![record("council", 5)]);
    let hidden = json!({"visibility": "hidden", "why": "domestic_abuse"});
    let path = format!("/v1/projects/p/shields/{}", record("council", 1));
    assert_eq!(centre.send(&keys[0], "PUT", &path, &hidden).status, 200);
    let sweep = || centre.send(&centre.operator, "POST", "/v1/sweeps", &json!({}));
    for (day, standing) in [("2026-05-20", 0..6), ("2026-06-20", 0..3), ("2027-06-20", 0..0)] {
        let noon = format!("{day}T12:00:00Z").parse::<UtcTime>().unwrap().millis();
        now.store(noon, Ordering::SeqCst);
        // Somebody else's trouble is not everybody's: what can be swept is.
        assert_eq!(sweep().status, 200);
        for child in 0..6 {
            let record = record("council", child);
            assert_eq!(stands(&store, &record), standing.contains(&child), "child {child} on {day}");
        }
        let shields = centre.get(&keys[0], "/v1/projects/p/shields").json();
        assert_eq!(shields["shields"].as_array().unwrap().len(), usize::from(standing.contains(&1)), "{day}");
    }
    centre.running.stop().unwrap();
}

#[test]
fn a_project_that_cannot_be_swept_stops_no_other() {
    let store = Arc::new(MemoryStore::new());
    let (centre, now) = clocked(Arc::clone(&store) as Arc<dyn Store>, "2026-03-15T12:00:00Z");
    let mut body = project_body("p");
    body["ends"] = json!("2051-12-31T23:59:59Z");
    assert_eq!(centre.send(&centre.operator, "POST", "/v1/projects", &body).status, 201);
    body["id"] = json!("a");
    assert_eq!(centre.send(&centre.operator, "POST", "/v1/projects", &body).status, 201);
    let key = centre.party("p", "council");
    agree(&*store, &["council", "school"], &[]);
    centre.upload(&key, "p", "council", &batch("council", 0..3, 0));
    let mut batch = Batch::new();
    batch.put("agreement/a", b"damaged".as_slice());
    store.apply(&batch).unwrap();
    now.store("2028-03-15T12:00:00Z".parse::<UtcTime>().unwrap().millis(), Ordering::SeqCst);
    assert_eq!(centre.send(&centre.operator, "POST", "/v1/sweeps", &json!({})).status, 500, "it is said");
    assert!(!stands(&store, &record("council", 1)), "a project behind it kept what was due");
    centre.running.stop().unwrap();
}

#[test]
fn rotation_drill_shadow_run_cut_over_old_epoch_erased() {
    let store = Arc::new(MemoryStore::new());
    let centre = Centre::on(Arc::clone(&store) as Arc<dyn Store>);
    let keys = centre.project("p", &["council", "school"]);
    let of_epoch = |agency: &str, epoch: u32, check: u8| {
        // Another key sets other bits: no filter of one epoch is like one of the other.
        let children = (0..40u64).map(|child| child + u64::from(epoch) * 1_000);
        let mut records = batch(agency, children, 0);
        records.refs = (0..40).map(|child| record(agency, child)).collect();
        let (mut create, bodies) = announcement("p", agency, &records, 100);
        create.header.epoch = epoch.try_into().unwrap();
        create.header.key_check = KeyCheckValue::from_bytes([check; 16]);
        (create, bodies)
    };
    let announce = |key: &str, agency: &str, epoch: u32, check: u8| {
        let (create, _) = of_epoch(agency, epoch, check);
        centre.send(key, "POST", "/v1/projects/p/datasets", &json!(create))
    };
    for (key, agency) in keys.iter().zip(["council", "school"]) {
        let (create, bodies) = of_epoch(agency, 1, 9);
        centre.upload_announced(key, "p", &create, &bodies);
    }
    let old = centre.run(&keys[0], "p");
    assert_eq!(links(&centre, &keys[0]).len(), 40);
    // Not announced yet: encodings of another key and epoch are refused.
    assert_eq!(announce(&keys[0], "council", 2, 5).code(), "epoch-mismatch");
    assert_eq!(announce(&keys[0], "council", 1, 5).code(), "key-mismatch");
    let check = KeyCheckValue::from_bytes([5; 16]);
    let next = json!({"epoch": 2, "key_check": check, "shadow": true});
    let told = centre.send(&centre.operator, "PUT", "/v1/projects/p/epoch", &next);
    assert_eq!(
        (&told.json()["epoch"], &told.json()["next_epoch"]),
        (&json!(1), &json!(2)),
        "{}",
        told.text()
    );
    // Both epochs are taken now, each with its own key only.
    assert_eq!(announce(&keys[0], "council", 2, 9).code(), "key-mismatch");
    assert_eq!(announce(&keys[0], "council", 1, 5).code(), "key-mismatch");
    assert_eq!(announce(&keys[0], "council", 3, 5).code(), "epoch-mismatch");
    let (create, bodies) = of_epoch("council", 2, 5);
    centre.upload_announced(&keys[0], "p", &create, &bodies);
    let shadow = |key: &str| centre.send(key, "POST", "/v1/projects/p/runs?epoch=2", &json!({}));
    // One agency of the new epoch, one of the old: the shadow run compares nothing across.
    let half = shadow(&centre.operator).json();
    let wait = |id: &str| {
        (0..400).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            centre.get(&keys[0], &format!("/v1/projects/p/runs/{id}")).json()["state"] == "finished"
        })
    };
    let half = half["id"].as_str().unwrap();
    assert!(wait(half));
    assert_eq!(centre.get(&keys[0], &format!("/v1/projects/p/links?run={half}")).json()["links"], json!([]));
    let (create, bodies) = of_epoch("school", 2, 5);
    centre.upload_announced(&keys[1], "p", &create, &bodies);
    let whole = shadow(&centre.operator).json();
    let whole = whole["id"].as_str().unwrap();
    assert!(wait(whole));
    let shadowed = centre.get(&keys[0], &format!("/v1/projects/p/links?run={whole}")).json();
    assert_eq!(shadowed["links"].as_array().unwrap().len(), 40);
    // Until the cut-over the old epoch answers.
    assert_eq!(centre.get(&keys[0], "/v1/projects/p/links").json()["run"], json!(old));
    let cut = centre.send(
        &centre.operator,
        "PUT",
        "/v1/projects/p/epoch",
        &json!({"epoch": 2, "key_check": check}),
    );
    assert_eq!(
        (&cut.json()["epoch"], &cut.json()["next_epoch"]),
        (&json!(2), &json!(null)),
        "{}",
        cut.text()
    );
    assert_eq!(centre.get(&keys[0], "/v1/projects/p/links").json()["run"], json!(whole));
    assert_eq!(links(&centre, &keys[1]).len(), 40);
    assert_eq!(centre.get(&keys[0], &format!("/v1/projects/p/runs/{old}")).code(), "not-found");
    assert_eq!(announce(&keys[0], "council", 1, 9).code(), "epoch-mismatch");
    let manifests = store.scan(b"manifest/p/", None, usize::MAX).unwrap();
    assert_eq!(manifests.len(), 2, "datasets of the old epoch stand");
    let parts = store.scan(b"part/", None, usize::MAX).unwrap();
    let own = |key: &[u8]| {
        manifests.iter().any(|(name, _)| {
            let id = String::from_utf8_lossy(name).rsplit('/').next().unwrap().to_owned();
            String::from_utf8_lossy(key).contains(&id)
        })
    };
    assert!(parts.iter().all(|(key, _)| own(key)), "encodings of the old epoch stand");
    centre.running.stop().unwrap();
}
