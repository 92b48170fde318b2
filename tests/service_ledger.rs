//! The way of a question: agreement, budget, ledger, answer; proofs over HTTP; the holder's feed; alerts.

#![cfg(feature = "central")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::ledger::{
    Consistency, EntryProof, LogName, PublishedCheckpoint, Trusted, Verified, Witness, verify,
};
use blindlink::service::server::start_with;
use blindlink::store::{Fault, LedgerLog, MemoryStore, SledStore, Store, system_clock};
use blindlink::wire::UtcTime;
use serde_json::{Value, json};
use service_support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const LOOKUPS: &str = "/v1/projects/p/lookups";
const CHECKPOINT: &str = "/v1/projects/p/ledger/checkpoint";

/// Two agencies that know children 0 to 9 in common, linked.
fn linked(centre: &Centre) -> Vec<String> {
    let keys = centre.project("p", &["council", "school"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..20, 0));
    centre.upload(&keys[1], "p", "school", &batch("school", (0..10).chain(50..60), 0));
    centre.run(&keys[0], "p");
    keys
}

fn question(child: u64) -> Value {
    json!({"record": record("council", child), "purpose": "safeguarding", "case": "C-1"})
}

fn ask(centre: &Centre, key: &str, child: u64) -> Answer {
    centre.send(key, "POST", LOOKUPS, &question(child))
}

fn checkpoint(centre: &Centre, key: &str) -> PublishedCheckpoint {
    serde_json::from_slice(&centre.get(key, CHECKPOINT).body).unwrap()
}

fn export(centre: &Centre, key: &str) -> (Vec<u8>, PublishedCheckpoint) {
    let body = centre.get(key, "/v1/projects/p/ledger/export").body;
    (body, checkpoint(centre, key))
}

fn verified(export: &[u8], published: &PublishedCheckpoint) -> Verified {
    let log: LogName = "centre/p".parse().unwrap();
    let older = [published.checkpoint.clone()];
    verify(export, Trusted { log: &log, key: published.key, older: &older, witnesses: &[] }).unwrap()
}

#[test]
fn a_question_stands_in_the_ledger_before_its_answer_and_can_be_proved() {
    let centre = Centre::start();
    let keys = linked(&centre);
    let before = checkpoint(&centre, &keys[0]);
    assert_eq!(ask(&centre, &keys[0], 3).json()["answer"], "yes");
    assert_eq!(ask(&centre, &keys[0], 15).json()["answer"], "no_match_found");
    assert_eq!(centre.send(&keys[0], "POST", LOOKUPS, &question(99)).code(), "not-found");

    let after = checkpoint(&centre, &keys[1]);
    assert_eq!(after.checkpoint.checkpoint.size, before.checkpoint.checkpoint.size + 6);
    let path = format!(
        "/v1/projects/p/ledger/consistency?old={}&new={}",
        before.checkpoint.checkpoint.size, after.checkpoint.checkpoint.size
    );
    let grown: Consistency = serde_json::from_slice(&centre.get(&keys[1], &path).body).unwrap();
    grown.verify(&before.checkpoint.checkpoint.root, &after.checkpoint.checkpoint.root).unwrap();
    assert_eq!(centre.get(&keys[1], &path.replace("old=0", "old=1&old=2")).code(), "malformed");
    assert_eq!(centre.get(&keys[1], "/v1/projects/p/ledger/consistency?old=0&new=99").code(), "not-found");

    let inclusion =
        |key: &str, entry: u64| centre.get(key, &format!("/v1/projects/p/ledger/inclusion?entry={entry}"));
    let proof: EntryProof = serde_json::from_slice(&inclusion(&keys[0], 1).body).unwrap();
    let log: LogName = "centre/p".parse().unwrap();
    let entry = proof.verify(&log, &after.key).unwrap();
    let act = &entry.act;
    let said = [act.action.as_str(), act.role.as_str(), act.result.as_str(), entry.who.as_str()];
    assert_eq!(said, ["lookup_answered", "requester", "match", "a.tester"]);
    let asked: EntryProof = serde_json::from_slice(&inclusion(&keys[0], 0).body).unwrap();
    assert_eq!(act.request, asked.entry.leaf(), "an answer names its question");
    assert_eq!(inclusion(&keys[1], 1).code(), "not-found", "another agency's entry");
    assert_eq!(inclusion(&keys[0], 99).code(), "not-found");

    let (whole, published) = export(&centre, &centre.operator);
    assert_eq!((verified(&whole, &published).shown, verified(&whole, &published).hidden), (6, 0));
    let (own, published) = export(&centre, &keys[1]);
    assert_eq!((verified(&own, &published).shown, verified(&own, &published).hidden), (0, 6));
    for text in [&whole, &own] {
        let text = String::from_utf8_lossy(text);
        for child in 0..20 {
            assert!(!text.contains(&record("council", child).to_string()));
            assert!(!text.contains(&record("school", child).to_string()));
        }
        assert!(!text.contains("C-1\""), "a case reference is a digest");
    }
    centre.running.stop().unwrap();
}

#[test]
fn a_ledger_of_another_project_and_forged_checkpoints_are_refused() {
    let centre = Centre::start();
    let keys = linked(&centre);
    ask(&centre, &keys[0], 3);
    let other = centre.project("q", &["council"]).remove(0);
    let (own, published) = export(&centre, &keys[0]);
    let foreign: PublishedCheckpoint =
        serde_json::from_slice(&centre.get(&other, "/v1/projects/q/ledger/checkpoint").body).unwrap();
    let log: LogName = "centre/p".parse().unwrap();
    let refused = |older: &[blindlink::ledger::SignedCheckpoint]| {
        verify(&own, Trusted { log: &log, key: published.key, older, witnesses: &[] }).is_err()
    };
    assert!(!refused(&[]) && refused(&[foreign.checkpoint]));
    let mut forged = published.checkpoint.clone();
    forged.checkpoint.size += 1;
    assert!(refused(&[forged]));
    for at in (0..own.len()).step_by(97) {
        let mut bad = own.clone();
        bad[at] ^= 1;
        assert!(verify(&bad, Trusted { log: &log, key: published.key, older: &[], witnesses: &[] }).is_err());
    }
    centre.running.stop().unwrap();
}

#[test]
fn the_holder_sees_who_asked_about_its_records_at_once() {
    let centre = Centre::start();
    let keys = linked(&centre);
    for child in [3, 15, 4] {
        assert_eq!(ask(&centre, &keys[0], child).status, 200);
    }
    let feed = |key: &str, query: &str| centre.get(key, &format!("/v1/projects/p/asked{query}")).json();
    let page = feed(&keys[1], "");
    let asked = page["asked"].as_array().unwrap();
    let seen: Vec<&str> = asked.iter().map(|item| item["record"].as_str().unwrap()).collect();
    assert_eq!(seen, [record("school", 3).to_string(), record("school", 4).to_string()]);
    assert!(asked.iter().all(|item| item["agency"] == "council" && item["purpose"] == "safeguarding"));
    assert_eq!(asked[0]["band"], "match");
    assert_eq!(feed(&keys[0], "")["asked"], json!([]), "the asker's own records were not asked about");
    let first = feed(&keys[1], "?limit=1");
    let next = first["next"].as_str().unwrap();
    assert_eq!(feed(&keys[1], &format!("?limit=1&cursor={next}"))["asked"][0], asked[1]);
    centre.running.stop().unwrap();
}

#[test]
fn a_question_without_a_user_or_against_the_agreement_is_not_asked() {
    let centre = Centre::start();
    let keys = linked(&centre);
    let size = checkpoint(&centre, &keys[0]).checkpoint.checkpoint.size;
    let bearer = bearer(&keys[0]);
    let bare = [("authorization", &*bearer), ("content-type", "application/json")];
    let body = question(3).to_string();
    let nobody = request(centre.addr(), "POST", LOOKUPS, &bare, body.as_bytes());
    assert_eq!((nobody.status, &*nobody.code()), (422, "user-missing"));
    assert_eq!(request(centre.addr(), "GET", "/v1/projects/p/links", &bare, b"").code(), "user-missing");
    for user in ["Anna Smith", "", "a/b", &"a".repeat(65)] {
        let headers = [bare[0], bare[1], ("acting-user", user)];
        assert_eq!(request(centre.addr(), "POST", LOOKUPS, &headers, body.as_bytes()).code(), "malformed");
    }
    let odd = json!({"record": record("council", 3), "purpose": "curiosity"});
    assert_eq!(centre.send(&keys[0], "POST", LOOKUPS, &odd).code(), "purpose-not-agreed");
    assert_eq!(checkpoint(&centre, &keys[0]).checkpoint.checkpoint.size, size, "nothing was asked");
    centre.running.stop().unwrap();
}

#[test]
fn many_records_are_asked_at_once_each_with_its_own_line() {
    let centre = Centre::start();
    let keys = linked(&centre);
    let records: Vec<String> =
        [3, 15, 99, 4].iter().map(|child| record("council", *child).to_string()).collect();
    let body = json!({"records": records, "purpose": "safeguarding"});
    let path = "/v1/projects/p/lookup-batches";
    let answer = centre.send(&keys[0], "POST", path, &body).json();
    let words: Vec<&Value> = answer["answers"].as_array().unwrap().iter().map(|a| &a["answer"]).collect();
    assert_eq!(words, [&json!("yes"), &json!("no_match_found"), &json!(null), &json!("yes")]);
    assert_eq!(answer["answers"][0]["matches"][0]["agency"], "school");
    assert_eq!(checkpoint(&centre, &keys[0]).checkpoint.checkpoint.size, 5);
    let feed = centre.get(&keys[1], "/v1/projects/p/asked").json();
    assert_eq!(feed["asked"].as_array().unwrap().len(), 2);
    for count in [0, 501] {
        let records = vec![record("council", 3); count];
        let body = json!({"records": records, "purpose": "safeguarding"});
        assert_eq!(centre.send(&keys[0], "POST", path, &body).code(), "rule");
    }
    centre.running.stop().unwrap();
}

#[test]
fn budgets_end_alerts_stand_and_a_repeated_request_is_charged_once() {
    let centre = Centre::start();
    let keys = linked(&centre);
    for _ in 0..3 {
        let again = centre.send_once(&keys[0], LOOKUPS, "night-1", &question(3));
        assert_eq!(again.json()["answer"], "yes");
    }
    assert_eq!(centre.send_once(&keys[0], LOOKUPS, "night-1", &question(4)).code(), "idempotency-key-reused");
    // The trial's agreement lets one user ask about 200 records a day; one was charged.
    let records = |count| json!({"records": vec![record("council", 3); count], "purpose": "safeguarding"});
    let path = "/v1/projects/p/lookup-batches";
    assert_eq!(centre.send(&keys[0], "POST", path, &records(199)).status, 200);
    assert_eq!(centre.get(&centre.operator, "/v1/alerts").json()["alerts"], json!([]));
    let refused = ask(&centre, &keys[0], 3);
    assert_eq!((refused.status, &*refused.code()), (429, "budget-spent"));
    assert_eq!(ask(&centre, &keys[0], 15).body, refused.body, "the refusal says nothing of the record");
    let alerts = centre.get(&centre.operator, "/v1/alerts").json();
    assert_eq!(alerts["alerts"][0]["kind"], json!({"budget_spent": "user_day"}));
    assert_eq!(
        (&alerts["alerts"][0]["actor"], &alerts["alerts"][0]["count"]),
        (&json!("a.tester"), &json!(2))
    );
    assert_eq!(centre.get(&keys[0], "/v1/alerts").code(), "forbidden");
    centre.running.stop().unwrap();
}

#[test]
fn whoever_touches_a_decoy_is_noticed_and_notices_nothing() {
    let centre = Centre::start();
    let keys = linked(&centre);
    let plain = ask(&centre, &keys[0], 4).json();
    let decoys = json!({"records": [record("school", 4)]});
    let planted = centre.send(&keys[1], "POST", "/v1/projects/p/decoys", &decoys);
    assert_eq!((planted.status, &planted.json()["records"]), (200, &json!(1)));
    ask(&centre, &keys[0], 3);
    assert_eq!(centre.get(&centre.operator, "/v1/alerts").json()["alerts"], json!([]));
    let touched = ask(&centre, &keys[0], 4).json();
    assert_eq!((&touched["answer"], &touched["matches"]), (&plain["answer"], &plain["matches"]));
    let alerts = centre.get(&centre.operator, "/v1/alerts").json();
    assert_eq!(
        (&alerts["alerts"][0]["kind"], &alerts["alerts"][0]["agency"]),
        (&json!("decoy"), &json!("council"))
    );
    centre.running.stop().unwrap();
}

/// Whatever write fails, there is an answer only with both its entries, and the ledger stays whole.
#[test]
fn when_a_write_fails_there_is_no_answer_and_the_ledger_stays_whole() {
    let store = Arc::new(MemoryStore::new());
    let centre = Centre::on(Arc::clone(&store) as Arc<dyn Store>);
    let keys = linked(&centre);
    let mut answered = 0;
    for fault in 0..12 {
        store.fail(Fault::WriteAfter(fault));
        let answer = ask(&centre, &keys[0], 3);
        store.fail(Fault::None);
        match answer.status {
            200 => answered += 1,
            500 => assert!(!answer.text().contains("answer")),
            other => panic!("{other}: {}", answer.text()),
        }
        // As a machine finds it that stopped here, however much of the unflushed log is lost.
        for kept in 0..=store.pending() {
            let found = Arc::new(store.after_crash(kept)) as Arc<dyn Store>;
            let log = LedgerLog::of_project(found, &"p".parse().unwrap()).unwrap();
            let size = log.check().unwrap();
            let entries = log.entries(0, 1_000).unwrap();
            assert_eq!(size, entries.len() as u64);
            let of = |action: &str| entries.iter().filter(|e| e.act.action.as_str() == action).count();
            assert!(of("lookup_answered") >= answered, "every answer that was given stands there");
            assert!(of("lookup") >= of("lookup_answered"), "a question stands before its answer");
        }
    }
    assert!(answered > 0, "the faults reached past the end");
    let (text, published) = export(&centre, &centre.operator);
    verified(&text, &published);
    centre.running.stop().unwrap();
}

#[test]
fn a_witness_cosigns_over_http_and_a_store_put_back_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Arc::new(SledStore::open(&folder.path().join(name), 32).unwrap());
    let mut config = config();
    config.ledger_heads = Some(folder.path().join("ledger-heads.json"));
    let start = |store: Arc<SledStore>| start_with(&config, store, system_clock(), false);
    let running = start(open("a")).unwrap();
    let operator = running.first_key().unwrap().expose();
    let centre = Centre { running, operator };
    let keys = linked(&centre);
    ask(&centre, &keys[0], 3);
    let published = checkpoint(&centre, &keys[1]);
    let mut witness = Witness {
        name: "school".parse().unwrap(),
        log: "centre/p".parse().unwrap(),
        key: published.key,
        seen: None,
    };
    let signer = blindlink::ledger::LogSigner::from_seed(&zeroize::Zeroizing::new([8; 32]));
    let nothing: Consistency =
        serde_json::from_slice(&centre.get(&keys[1], "/v1/projects/p/ledger/consistency?old=0&new=0").body)
            .unwrap();
    let word = witness.cosign(&published.checkpoint, &nothing, &signer, 5).unwrap();
    let size = published.checkpoint.checkpoint.size;
    let path = format!("{CHECKPOINT}/{size}/cosignatures");
    let foreign = centre.send(&keys[0], "POST", &path, &json!(word));
    assert_eq!(foreign.code(), "rule");
    assert_eq!(centre.send(&keys[1], "POST", &path, &json!(word)).status, 200);
    let nowhere = format!("{CHECKPOINT}/{}/cosignatures", size + 7);
    assert_eq!(centre.send(&keys[1], "POST", &nowhere, &json!(word)).code(), "not-found");
    let kept = checkpoint(&centre, &keys[0]).checkpoint;
    kept.verify_cosignature(&"school".parse().unwrap(), &signer.public()).unwrap();
    centre.running.stop().unwrap();

    // A copy of the store as it is now, then more questions, then the copy in its place.
    let copied = open("a");
    let backup = folder.path().join("backup");
    blindlink::store::backup(&*copied, &backup).unwrap();
    drop(copied);
    let running = start(open("a")).unwrap();
    let centre = Centre { running, operator: centre.operator };
    ask(&centre, &keys[0], 4);
    centre.running.stop().unwrap();
    let target = folder.path().join("b");
    blindlink::store::restore(&backup, &target, Some(root_key()), system_clock()).unwrap();
    let refused = start(open("b")).err().unwrap().to_string();
    assert!(refused.contains("rolled back or rewritten"), "{refused}");
    start(open("a")).unwrap().stop().unwrap();
}

#[test]
fn a_clock_that_goes_back_reopens_no_budget_and_breaks_no_ledger() {
    let now = Arc::new(AtomicI64::new(1_780_000_000_000));
    let told = Arc::clone(&now);
    let clock = Arc::new(move || UtcTime::from_millis(told.load(Ordering::SeqCst)).unwrap());
    let running = start_with(&config(), Arc::new(MemoryStore::new()), clock, false).unwrap();
    let operator = running.first_key().unwrap().expose();
    let centre = Centre { running, operator };
    let keys = linked(&centre);
    let all = json!({"records": vec![record("council", 3); 200], "purpose": "safeguarding"});
    let path = "/v1/projects/p/lookup-batches";
    assert_eq!(centre.send(&keys[0], "POST", path, &all).status, 200);
    let day = 24 * 3_600_000;
    for skew in [-3_600_000, 3_600_000, -day, day] {
        now.fetch_add(skew, Ordering::SeqCst);
        let answer = ask(&centre, &keys[0], 3);
        // A day before its first day the agreement does not hold.
        assert!([200, 403, 429].contains(&answer.status), "{}", answer.text());
        now.fetch_sub(skew, Ordering::SeqCst);
        assert_eq!(ask(&centre, &keys[0], 3).code(), "budget-spent", "the day's budget stays spent");
    }
    let (text, published) = export(&centre, &centre.operator);
    verified(&text, &published);
    centre.running.stop().unwrap();
}
