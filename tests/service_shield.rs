//! Shields: who may learn of a record, whatever was uploaded, run or asked before.

#![cfg(feature = "central")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::store::{Batch, MemoryStore, Pair, Store, StoreError};
use blindlink::wire::{
    EncodingBatch, Layout, Payload, PayloadColumn, Profile, SlotColumn, UtcTime, Visibility,
};
use serde_json::{Value, json};
use service_support::*;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// Records of an agency: (its own number, whose filter, bits changed).
fn records(agency: &str, rows: &[(u64, u64, u8)]) -> EncodingBatch {
    let mut batch = EncodingBatch::empty(Arc::new(layout()));
    batch.refs = rows.iter().map(|(own, ..)| record(agency, *own)).collect();
    let filters = rows.iter().flat_map(|(_, child, noise)| filter(*child, *noise)).collect();
    batch.slots = vec![SlotColumn { filters, tags: None }];
    batch
}

fn links(centre: &Centre, key: &str, query: &str) -> Vec<Value> {
    let page = centre.get(key, &format!("/v1/projects/p/links{query}")).json();
    page["links"].as_array().unwrap_or(&Vec::new()).clone()
}

fn ask(centre: &Centre, key: &str, agency: &str, child: u64) -> Answer {
    let asked = json!({"record": record(agency, child), "purpose": "safeguarding"});
    centre.send(key, "POST", "/v1/projects/p/lookups", &asked)
}

fn shield(centre: &Centre, key: &str, agency: &str, child: u64, visibility: &str) -> Answer {
    let path = format!("/v1/projects/p/shields/{}", record(agency, child));
    centre.send(key, "PUT", &path, &json!({"visibility": visibility, "why": "domestic_abuse"}))
}

/// What of an answer may not differ: status, headers, body; but for the time and what is made of it.
fn shape(answer: &Answer) -> (u16, Vec<String>, Value, usize) {
    let timed = |line: &&str| !line.starts_with("date:") && !line.starts_with("etag:");
    let head = answer.head.lines().filter(timed).map(ToOwned::to_owned).collect();
    let mut body = answer.json();
    body.as_object_mut().map(|body| body.remove("at"));
    (answer.status, head, body, answer.body.len())
}

#[test]
fn a_shield_takes_a_record_out_of_everything_at_once() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "refuge", "school"]);
    let (council, refuge) = (&keys[0], &keys[1]);
    centre.upload(council, "p", "council", &batch("council", 0..40, 0));
    centre.upload(refuge, "p", "refuge", &batch("refuge", 0..30, 2));
    let old = centre.run(council, "p");
    assert_eq!((links(&centre, council, "").len(), links(&centre, refuge, "").len()), (30, 30));
    let of_child = |all: Vec<Value>, agency: &str, child| {
        all.into_iter().find(|link| link["record"] == record(agency, child).to_string())
    };
    let reference = of_child(links(&centre, refuge, ""), "refuge", 3).unwrap()["reference"].clone();
    let reference = reference.as_str().unwrap();
    assert_eq!(ask(&centre, council, "council", 3).json()["answer"], "yes");

    let set = shield(&centre, refuge, "refuge", 3, "hidden");
    assert_eq!((set.status, &set.json()["visibility"]), (200, &json!("hidden")));
    for query in ["", &format!("?run={old}")] {
        assert_eq!(of_child(links(&centre, council, query), "council", 3), None);
        assert_eq!(links(&centre, council, query).len(), 29);
        assert!(of_child(links(&centre, refuge, query), "refuge", 3).is_some(), "its own agency sees it");
    }
    // Pages are full though an entry is gone: no gap shows where it was.
    let page = centre.get(council, "/v1/projects/p/links?limit=29").json();
    assert_eq!(page["links"].as_array().unwrap().len(), 29);
    let read = |reference: &str| centre.get(council, &format!("/v1/projects/p/links/{reference}"));
    let (hidden, unknown) = (read(reference), read("LK-0000-0000-0001-01"));
    assert_eq!((shape(&hidden), hidden.status), (shape(&unknown), 404));
    // Children 35 to 39 are known to nobody else.
    assert_eq!(shape(&ask(&centre, council, "council", 3)), shape(&ask(&centre, council, "council", 36)));

    let new = centre.run(council, "p");
    assert_ne!(old, new, "what people said is a reason to link the same data again");
    assert_eq!(centre.run(council, "p"), new);
    assert_eq!(shape(&ask(&centre, council, "council", 3)), shape(&ask(&centre, council, "council", 36)));
    assert!(of_child(links(&centre, refuge, ""), "refuge", 3).is_some());
    let overlap = centre.get(&centre.operator, "/v1/projects/p/overlap").json();
    let cells = overlap["cells"].as_array().unwrap();
    assert_eq!((&cells[1]["matched"], &cells[2]["matched"]), (&json!(30), &json!(30)), "29 each, rounded");
    assert_eq!(overlap["known_to"], json!([10, 30]), "11 and 29: the hidden record is no agency's");
    let seen = centre.get(council, "/v1/projects/p/events").text()
        + &centre.get(council, "/v1/projects/p/notices").text();
    assert!(!seen.contains("shield") && !seen.contains("refuge"), "{seen}");
    assert_eq!(
        shield(&centre, refuge, "council", 3, "hidden").code(),
        "not-found",
        "not a record of its own"
    );
    centre.running.stop().unwrap();
}

#[test]
fn a_shielded_record_changes_nobody_elses_links() {
    // The refuge's record 50 is nearer to the council's child 5 than its record 5 is.
    let linked = |with_hidden: bool| {
        let centre = Centre::start();
        let keys = centre.project("p", &["council", "refuge"]);
        centre.upload(&keys[0], "p", "council", &batch("council", 0..10, 0));
        let mut rows: Vec<(u64, u64, u8)> = (0..10).map(|child| (child, child, 4)).collect();
        if with_hidden {
            rows.push((50, 5, 0));
        }
        centre.upload(&keys[1], "p", "refuge", &records("refuge", &rows));
        if with_hidden {
            assert_eq!(shield(&centre, &keys[1], "refuge", 50, "hidden").status, 200);
            // Its near-duplicate is the same child by every mark: it inherits, so two people open it again.
        }
        centre.run(&keys[0], "p");
        let found: Vec<(Value, Value)> = links(&centre, &keys[0], "")
            .into_iter()
            .map(|link| (link["record"].clone(), link["band"].clone()))
            .collect();
        centre.running.stop().unwrap();
        found
    };
    let (without, with) = (linked(false), linked(true));
    let others = |found: Vec<(Value, Value)>| -> Vec<(Value, Value)> {
        let five = record("council", 5).to_string();
        found.into_iter().filter(|(own, _)| *own != five).collect()
    };
    assert_eq!((without.len(), with.len()), (10, 9), "5 is not shown: its duplicate inherited the shield");
    assert_eq!(others(without), others(with));
}

#[test]
fn an_upload_cannot_lift_a_shield_and_a_near_duplicate_inherits_it() {
    let centre = Centre::start();
    let visible =
        Layout::new(Profile::Clk, layout().views().to_vec(), false, vec![], vec![PayloadColumn::Visibility])
            .unwrap();
    let mut body = project_body("p");
    body["layout"] = json!(visible);
    assert_eq!(centre.send(&centre.operator, "POST", "/v1/projects", &body).status, 201);
    let keys = [centre.party("p", "council"), centre.party("p", "refuge"), centre.party("p", "school")];
    let upload = |key: &str, agency: &str, rows: &[(u64, u64, u8)], said: Visibility| {
        let mut records = records(agency, rows);
        records.layout = Arc::new(visible.clone());
        records.payload =
            rows.iter().map(|_| Payload { visibility: Some(said), ..Payload::default() }).collect();
        let (mut create, bodies) = announcement("p", agency, &records, 10);
        create.header.layout = visible.clone();
        centre.upload_announced(key, "p", &create, &bodies);
    };
    let open: Vec<(u64, u64, u8)> = (0..8).map(|child| (child, child, 0)).collect();
    upload(&keys[0], "council", &open, Visibility::Open);
    upload(&keys[1], "refuge", &[(0, 0, 0)], Visibility::Hidden);
    // The update of March 2009: the same child, not matched with the shielded record, and the flag is lost.
    upload(&keys[1], "refuge", &[(0, 0, 0), (70, 0, 30), (1, 1, 0)], Visibility::Open);
    centre.run(&keys[0], "p");
    let of_council = links(&centre, &keys[0], "");
    assert_eq!(of_council.len(), 1, "only child 1 is shown: {of_council:?}");
    let shields = centre.get(&keys[1], "/v1/projects/p/shields").json();
    let held: Vec<(&Value, &Value)> = shields["shields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (&s["visibility"], &s["inherited_from"]))
        .collect();
    assert_eq!(held.len(), 2);
    assert!(held.contains(&(&json!("hidden"), &json!(null))), "{held:?}");
    assert!(held.contains(&(&json!("hidden"), &json!(record("refuge", 0).to_string()))), "{held:?}");
    let told = centre.get(&keys[1], "/v1/projects/p/notices").json();
    assert_eq!(told["notices"][0]["kind"], "shield_inherited");
    assert_eq!(told["notices"][0]["record"], record("refuge", 70).to_string());

    // A shield of the record alone does not touch another agency's; one of the child does.
    upload(&keys[2], "school", &[(0, 0, 0), (1, 1, 0)], Visibility::Open);
    centre.run(&keys[0], "p");
    assert_eq!(links(&centre, &keys[2], "").len(), 3, "council 0 and 1, refuge 1");
    let path = format!("/v1/projects/p/shields/{}", record("refuge", 0));
    let child = json!({"visibility": "hidden", "reach": "child", "why": "witness_protection"});
    assert_eq!(centre.send(&keys[1], "PUT", &path, &child).status, 200);
    centre.run(&keys[0], "p");
    let no_child_0 = |key: &str, agency: &str| {
        let own = record(agency, 0).to_string();
        assert!(!links(&centre, key, "").iter().any(|link| link["record"] == own), "{agency}");
    };
    no_child_0(&keys[0], "council");
    no_child_0(&keys[2], "school");
    let told = centre.get(&keys[1], "/v1/projects/p/notices").text();
    assert_eq!(told.matches("shield_reached").count(), 2, "{told}");
    for key in [&keys[0], &keys[2]] {
        let silent = centre.get(key, "/v1/projects/p/shields").json();
        assert_eq!(silent["shields"], json!([]), "who is reached is not told: it would learn of the shield");
        assert_eq!(centre.get(key, "/v1/projects/p/notices").json()["notices"], json!([]));
    }
    centre.running.stop().unwrap();
}

#[test]
fn what_an_agency_declared_outlives_a_shield_that_its_record_inherited() {
    let (centre, now) = with_clock();
    let keys = centre.project("p", &["council", "refuge", "mash"]);
    let broker = json!({"agency": "mash"});
    assert_eq!(centre.send(&centre.operator, "PUT", "/v1/projects/p/broker", &broker).status, 200);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..5, 0));
    // Two records of one child at the refuge: one brokered, one shielded.
    centre.upload(&keys[1], "p", "refuge", &records("refuge", &[(2, 2, 0), (70, 2, 4)]));
    assert_eq!(shield(&centre, &keys[1], "refuge", 2, "brokered").status, 200);
    assert_eq!(shield(&centre, &keys[1], "refuge", 70, "hidden").status, 200);
    centre.run(&keys[0], "p");
    assert_eq!(links(&centre, &keys[0], ""), Vec::<Value>::new(), "the brokered record inherited the shield");
    let second = centre.key("p", "refuge", &["approver"]);
    let until = "2026-03-20T09:00:00Z";
    let matter =
        json!({"kind": "unshield", "agency": "refuge", "record": record("refuge", 70), "until": until});
    let id = centre.decided("p", &keys[1], &second, &matter);
    assert_eq!(centre.carry_out("p", &keys[1], &id).json()["state"], "used");
    centre.run(&keys[0], "p");
    let shields = centre.get(&keys[1], "/v1/projects/p/shields").json();
    let of_2 = shields["shields"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["record"] == record("refuge", 2).to_string());
    assert_eq!(of_2.unwrap()["visibility"], "brokered", "{shields}");
    now.fetch_add(1_000, Ordering::SeqCst);
    centre.running.stop().unwrap();
}

/// A centre whose clock the test moves.
fn with_clock() -> (Centre, Arc<AtomicI64>) {
    let at: UtcTime = "2026-03-01T09:00:00Z".parse().unwrap();
    let now = Arc::new(AtomicI64::new(at.millis()));
    let shared = Arc::clone(&now);
    let clock = Arc::new(move || UtcTime::from_millis(shared.load(Ordering::SeqCst)).unwrap());
    (Centre::with_clock(clock), now)
}

#[test]
fn two_people_open_a_shielded_record_for_a_time_and_it_shuts_by_itself() {
    let (centre, now) = with_clock();
    let keys = centre.project("p", &["council", "refuge"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..5, 0));
    centre.upload(&keys[1], "p", "refuge", &batch("refuge", 0..5, 0));
    assert_eq!(shield(&centre, &keys[1], "refuge", 2, "hidden").status, 200);
    for lower in ["open", "brokered"] {
        assert_eq!(shield(&centre, &keys[1], "refuge", 2, lower).code(), "rule", "one person cannot");
    }
    centre.run(&keys[0], "p");
    let second = centre.key("p", "refuge", &["approver"]);
    let outsider = centre.key("p", "council", &["approver"]);
    let until = "2026-03-20T09:00:00Z";
    let propose = |key: &str, agency: &str, child: u64| {
        let matter =
            json!({"kind": "unshield", "agency": agency, "record": record("refuge", child), "until": until});
        let body = json!({"matter": matter, "reason": "consent given", "hours": 48});
        centre.send(key, "POST", "/v1/projects/p/approvals", &body)
    };
    assert_eq!(propose(&keys[1], "refuge", 3).code(), "not-found", "it is not shielded");
    for (key, child) in [(&outsider, 2), (&outsider, 3), (&centre.operator, 2)] {
        assert_eq!(propose(key, "refuge", child).code(), "forbidden", "shielded or not");
    }
    let proposed = propose(&keys[1], "refuge", 2);
    assert_eq!(
        (proposed.status, &proposed.json()["state"]),
        (201, &json!("proposed")),
        "{}",
        proposed.text()
    );
    let id = proposed.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/projects/p/approvals/{id}");
    let step = |user: &str, key: &str, what: &str| {
        centre.send_as(user, key, &format!("{path}/{what}"), &json!({"reason": "consent given"}))
    };
    assert_eq!(step("a.tester", &keys[1], "approve").code(), "second-person");
    // Nobody else learns that there is a shield to lift, neither the operator.
    for other in [&outsider, &centre.operator] {
        assert_eq!(step("a.tester", other, "approve").code(), "not-found");
        assert_eq!(centre.get(other, &path).code(), "not-found");
        assert_eq!(centre.get(other, "/v1/projects/p/approvals").json()["approvals"], json!([]));
    }
    assert_eq!(
        centre.get(&second, "/v1/projects/p/approvals").json()["approvals"].as_array().unwrap().len(),
        1
    );
    assert_eq!(ask(&centre, &keys[0], "council", 2).json()["answer"], "no_match_found");
    assert_eq!(step("a.tester", &second, "approve").code(), "second-person", "two keys, one person");
    assert_eq!(step("b.second", &second, "approve").json()["state"], "approved");
    assert_eq!(
        ask(&centre, &keys[0], "council", 2).json()["answer"],
        "no_match_found",
        "not carried out yet"
    );
    assert_eq!(step("b.second", &second, "carry-out").json()["state"], "used");
    assert_eq!(step("b.second", &second, "carry-out").code(), "approval-state");
    centre.run(&keys[0], "p");
    assert_eq!(ask(&centre, &keys[0], "council", 2).json()["answer"], "yes");
    let told = centre.get(&centre.operator, "/v1/projects/p/notices").json();
    assert_eq!(
        (&told["notices"][0]["kind"], &told["notices"][0]["record"]),
        (&json!("unshielded"), &json!(null))
    );

    now.fetch_add(20 * 24 * 3_600_000, Ordering::SeqCst);
    assert_eq!(ask(&centre, &keys[0], "council", 2).json()["answer"], "no_match_found", "before any run");
    assert_eq!(links(&centre, &keys[0], "").len(), 4);
    centre.running.stop().unwrap();
}

/// What an agency said of its record is in force again when an inherited shield ends, and nothing less.
#[test]
fn a_brokered_record_that_inherited_a_shield_is_brokered_again_when_it_ends() {
    let (centre, _) = with_clock();
    let keys = centre.project("p", &["council", "mash", "refuge", "school"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..5, 0));
    centre.upload(&keys[2], "p", "refuge", &records("refuge", &[(0, 0, 0), (70, 0, 8)]));
    centre.upload(&keys[3], "p", "school", &batch("school", 0..5, 8));
    let broker = json!({"agency": "mash"});
    assert_eq!(centre.send(&centre.operator, "PUT", "/v1/projects/p/broker", &broker).status, 200);
    assert_eq!(shield(&centre, &keys[2], "refuge", 70, "brokered").status, 200);
    let path = format!("/v1/projects/p/shields/{}", record("refuge", 0));
    let child = json!({"visibility": "hidden", "reach": "child", "why": "domestic_abuse"});
    assert_eq!(centre.send(&keys[2], "PUT", &path, &child).status, 200);
    centre.run(&keys[0], "p");
    let told = |key: &str| centre.get(key, "/v1/projects/p/shields").json()["shields"].clone();
    assert!(told(&keys[2]).as_array().unwrap().iter().all(|s| s["visibility"] == "hidden"));
    assert_eq!(links(&centre, &keys[3], "").len(), 4, "the school's record of child 0 inherited it too");
    // The school is told of its own word only, and its word does not end what it knows nothing of.
    let said = shield(&centre, &keys[3], "school", 0, "brokered");
    assert_eq!((said.status, &said.json()["visibility"]), (200, &json!("brokered")));
    assert_eq!(told(&keys[3])[0]["visibility"], "brokered");
    assert_eq!(told(&keys[3])[0]["since"], said.json()["since"]);
    centre.run(&keys[0], "p");
    let of_0 = || -> Vec<Value> {
        let own = record("council", 0).to_string();
        links(&centre, &keys[0], "").into_iter().filter(|link| link["record"] == own).collect()
    };
    assert_eq!(of_0(), Vec::<Value>::new());

    let second = centre.key("p", "refuge", &["approver"]);
    let until = "2026-03-20T09:00:00Z";
    let matter =
        json!({"kind": "unshield", "agency": "refuge", "record": record("refuge", 0), "until": until});
    let id = centre.decided("p", &keys[2], &second, &matter);
    assert_eq!(centre.carry_out("p", &second, &id).status, 200);
    centre.run(&keys[0], "p");
    let seen: Vec<Value> = told(&keys[2])
        .as_array()
        .unwrap()
        .iter()
        .filter(|shield| shield["record"] == record("refuge", 70).to_string())
        .map(|shield| shield["visibility"].clone())
        .collect();
    assert_eq!(seen, ["brokered"]);
    let agencies: Vec<Value> = of_0().iter().map(|link| link["agency"].clone()).collect();
    assert!(!agencies.contains(&json!("school")), "the school's brokered record was opened: {agencies:?}");
    assert!(agencies.contains(&json!("mash")), "{agencies:?}");
    centre.running.stop().unwrap();
}

#[test]
fn the_glass_gives_one_view_and_everybody_concerned_is_told() {
    let (centre, now) = with_clock();
    let keys = centre.project("p", &["council", "refuge", "school"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..5, 0));
    centre.upload(&keys[1], "p", "refuge", &batch("refuge", 0..5, 0));
    assert_eq!(shield(&centre, &keys[1], "refuge", 2, "hidden").status, 200);
    centre.run(&keys[0], "p");
    let broken = |key: &str, agency: &str| {
        let asked = json!({"record": record(agency, 2), "purpose": "safeguarding", "why": "risk_to_life"});
        centre.send(key, "POST", "/v1/projects/p/break-glass", &asked)
    };
    let seen = broken(&keys[0], "council").json();
    assert_eq!((&seen["answer"], &seen["matches"][0]["agency"]), (&json!("yes"), &json!("refuge")));
    assert_eq!(broken(&keys[0], "council").code(), "rule", "one view");
    assert_eq!(broken(&keys[0], "refuge").code(), "not-found", "of its own records only");
    let told = |key: &str| centre.get(key, "/v1/projects/p/notices").json()["notices"].clone();
    for (key, record_told) in [(&keys[1], json!(record("refuge", 2))), (&centre.operator, json!(null))] {
        let told = told(key);
        assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
        assert_eq!((&told[0]["kind"], &told[0]["agency"]), (&json!("glass_broken"), &json!("council")));
        assert_eq!(told[0]["record"], record_told);
    }
    assert_eq!(told(&keys[2]), json!([]), "nobody else is");
    assert_eq!(ask(&centre, &keys[0], "council", 2).json()["answer"], "no_match_found", "the shield holds");
    now.fetch_add(25 * 3_600_000, Ordering::SeqCst);
    assert_eq!(broken(&keys[0], "council").status, 200);
    assert_eq!(told(&keys[1]).as_array().unwrap().len(), 2);
    centre.running.stop().unwrap();
}

#[test]
fn brokered_records_are_answered_by_the_broker() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "mash", "clinic", "drugs"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..6, 0));
    centre.upload(&keys[2], "p", "clinic", &batch("clinic", 0..6, 0));
    centre.upload(&keys[3], "p", "drugs", &batch("drugs", 0..6, 0));
    for (key, agency) in [(&keys[2], "clinic"), (&keys[3], "drugs")] {
        assert_eq!(shield(&centre, key, agency, 1, "brokered").status, 200);
    }
    centre.run(&keys[0], "p");
    let asked = || ask(&centre, &keys[0], "council", 1);
    // There is no broker to call yet: that is no all-clear, and the operator learns what is missing, not whose.
    let early = asked().json();
    assert_eq!(
        (&early["answer"], &early["unnamed"], &early["matches"]),
        (&json!("ask_operator"), &json!(true), &json!([]))
    );
    let page = centre.get(&keys[0], "/v1/projects/p/links").json();
    assert_eq!((&page["unnamed"], page["links"].as_array().unwrap().len()), (&json!(true), 10));
    let elsewhere = ask(&centre, &keys[0], "council", 2).json();
    assert_eq!((&elsewhere["answer"], &elsewhere["unnamed"]), (&json!("yes"), &Value::Null));
    let alerts = centre.get(&centre.operator, "/v1/alerts").text();
    assert!(
        alerts.contains("no_broker") && !alerts.contains("clinic") && !alerts.contains("drugs"),
        "{alerts}"
    );
    let entries = centre.get(&keys[0], "/v1/projects/p/ledger/export").text();
    assert!(entries.contains("ask_operator"), "{entries}");
    let name = |agency: &str| {
        centre.send(&centre.operator, "PUT", "/v1/projects/p/broker", &json!({"agency": agency}))
    };
    assert_eq!(name("nobody").code(), "rule");
    assert_eq!(name("mash").status, 200);
    let answer = asked();
    let matches = answer.json()["matches"].clone();
    assert_eq!(
        (&answer.json()["answer"], matches.as_array().unwrap().len()),
        (&json!("yes"), 1),
        "not how many"
    );
    assert_eq!((&matches[0]["agency"], &matches[0]["brokered"]), (&json!("mash"), &json!(true)));
    let of_1 = links(&centre, &keys[0], "");
    let of_1: Vec<&Value> = of_1.iter().filter(|l| l["record"] == record("council", 1).to_string()).collect();
    assert_eq!((of_1.len(), &of_1[0]["agency"]), (1, &json!("mash")));
    assert!(!of_1[0].to_string().contains("clinic") && !of_1[0].to_string().contains("drugs"));
    // The brokered services see the council, who is open; of each other they see the broker.
    let seen: Vec<Value> = links(&centre, &keys[2], "");
    let seen: Vec<&Value> = seen.iter().filter(|l| l["record"] == record("clinic", 1).to_string()).collect();
    let agencies: Vec<&str> = seen.iter().map(|link| link["agency"].as_str().unwrap()).collect();
    assert_eq!(agencies, ["council", "mash"]);
    // The broker sees who asks and what stands behind its own name; nobody else does.
    let asked_by = |key: &str| centre.get(key, "/v1/projects/p/referrals").json()["referrals"].clone();
    let referral = |key: &str, asker: &str| {
        let all = asked_by(key);
        all.as_array().unwrap().iter().find(|one| one["agency"] == asker).cloned().unwrap_or(Value::Null)
    };
    let seen = referral(&keys[1], "council");
    assert_eq!(
        (&seen["state"], &seen["user"], &seen["purpose"], &seen["record"]),
        (&json!("waiting"), &json!("a.tester"), &json!("safeguarding"), &Value::Null)
    );
    let behind: Vec<&str> =
        seen["holders"].as_array().unwrap().iter().map(|h| h["agency"].as_str().unwrap()).collect();
    assert_eq!(behind, ["clinic", "drugs"], "each by name, where the asker sees one broker");
    assert!(!seen.to_string().contains(&record("council", 1).to_string()), "no ref of the asker's");
    let own = referral(&keys[0], "council");
    assert_eq!(
        (&own["state"], &own["record"], &own["holders"]),
        (&json!("waiting"), &json!(record("council", 1)), &json!([]))
    );
    assert_eq!(asked_by(&keys[2]), json!([]), "a holder is not told by this list");
    let path = format!("/v1/projects/p/referrals/{}", seen["id"].as_str().unwrap());
    let says = |key: &str, agencies: Value| {
        centre.send(key, "POST", &path, &json!({"agencies": agencies, "why": "spoke_to_agency"}))
    };
    assert_eq!(says(&keys[0], json!([])).code(), "not-found", "the asker is not the broker");
    assert_eq!(says(&keys[2], json!(["clinic"])).code(), "not-found");
    assert_eq!(says(&keys[1], json!(["council"])).code(), "rule", "not behind this referral");
    let before = centre.get(&keys[1], "/v1/projects/p/ledger/checkpoint").json();
    assert_eq!(says(&keys[1], json!([])).json()["state"], "declined");
    let after = centre.get(&keys[1], "/v1/projects/p/ledger/checkpoint").json();
    let size = |checkpoint: &Value| checkpoint["checkpoint"]["checkpoint"]["size"].as_u64().unwrap();
    assert_eq!(size(&after), size(&before) + 1, "what the broker says is in the ledger");
    assert_eq!(referral(&keys[0], "council")["state"], "declined");
    // Asked again, it stands before the broker again; now one of the two is named, and told so.
    assert_eq!(asked().json()["answer"], "yes");
    assert_eq!(referral(&keys[1], "council")["state"], "waiting");
    assert_eq!(says(&keys[1], json!(["clinic"])).json()["state"], "answered");
    assert_eq!(asked().json()["matches"][0]["agency"], "mash", "look-ups name the broker as before");
    let own = referral(&keys[0], "council");
    assert_eq!((&own["state"], own["holders"].as_array().unwrap().len()), (&json!("answered"), 1), "{own}");
    assert_eq!((&own["holders"][0]["agency"], &own["why"]), (&json!("clinic"), &json!("spoke_to_agency")));
    assert!(own["holders"][0]["contact"]["team"].is_string() && !own.to_string().contains("drugs"));
    let told = |key: &str| centre.get(key, "/v1/projects/p/notices").json()["notices"].clone();
    assert_eq!(
        (&told(&keys[2])[0]["kind"], &told(&keys[2])[0]["agency"], &told(&keys[2])[0]["record"]),
        (&json!("referral_answered"), &json!("council"), &json!(record("clinic", 1)))
    );
    assert_eq!(told(&keys[3]), json!([]), "who was not named is told nothing");
    assert_eq!(shield(&centre, &keys[2], "clinic", 1, "open").status, 200, "brokered is no shield");
    assert_eq!(referral(&keys[1], "council")["holders"].as_array().unwrap().len(), 1, "the other one");
    // What is erased is referred no more.
    let gone = json!({"record": record("council", 1)});
    assert_eq!(centre.send(&keys[0], "POST", "/v1/projects/p/erasures", &gone).status, 200);
    assert_eq!(asked_by(&keys[1]), json!([]));
    centre.running.stop().unwrap();
}

/// A store that lets whoever reads a shield wait, between looking and writing.
#[derive(Default)]
struct Slow {
    store: MemoryStore,
    reads: std::sync::atomic::AtomicBool,
}

impl Store for Slow {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if key.starts_with(b"shield/p/council/") && !self.reads.swap(true, Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(400));
        }
        self.store.value(key)
    }
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.store.scan(prefix, after, limit)
    }
    fn last_at_or_before(&self, prefix: &[u8], key: &[u8]) -> Result<Option<Pair>, StoreError> {
        self.store.last_at_or_before(prefix, key)
    }
    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        self.store.apply(batch)
    }
    fn flush(&self) -> Result<(), StoreError> {
        self.store.flush()
    }
    fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.store.bytes_on_disk()
    }
}

#[test]
fn a_shield_said_while_its_record_is_erased_does_not_outlive_it() {
    let store = Arc::new(Slow::default());
    let centre = Centre::on(Arc::clone(&store) as Arc<dyn Store>);
    let keys = centre.project("p", &["council", "school"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..6, 0));
    store.reads.store(false, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let said = scope.spawn(|| shield(&centre, &keys[0], "council", 3, "hidden"));
        while !store.reads.load(Ordering::SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let gone = json!({"record": record("council", 3)});
        assert_eq!(centre.send(&keys[0], "POST", "/v1/projects/p/erasures", &gone).status, 200);
        assert_eq!(said.join().unwrap().status, 200, "it was there when it was said");
    });
    let text = record("council", 3).to_string();
    let left = store.scan(b"", None, usize::MAX).unwrap();
    let left = left.iter().filter(|(key, _)| String::from_utf8_lossy(key).contains(&text));
    assert_eq!(left.count(), 0, "the shield of an erased record is back");
    assert_eq!(centre.get(&keys[0], "/v1/projects/p/shields").json()["shields"], json!([]));
    assert_eq!(shield(&centre, &keys[0], "council", 3, "hidden").code(), "not-found");
    centre.running.stop().unwrap();
}

/// A store that writes down what is read from it and how often it is written to.
#[derive(Default)]
struct Watched {
    store: MemoryStore,
    done: Mutex<Vec<(String, usize)>>,
}

impl Watched {
    fn note(&self, what: &str, key: &[u8], bytes: usize) {
        let folder = String::from_utf8_lossy(key).split('/').next().unwrap_or_default().to_owned();
        self.done.lock().unwrap().push((format!("{what} {folder}"), bytes));
    }
    fn since(&self, work: impl FnOnce()) -> Vec<(String, usize)> {
        self.done.lock().unwrap().clear();
        work();
        self.done.lock().unwrap().clone()
    }
}

impl Store for Watched {
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.store.value(key)?;
        self.note("value", key, found.as_ref().map_or(0, Vec::len));
        Ok(found)
    }
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let found = self.store.scan(prefix, after, limit)?;
        self.note("scan", prefix, found.iter().map(|(_, value)| value.len()).sum());
        Ok(found)
    }
    fn last_at_or_before(&self, prefix: &[u8], key: &[u8]) -> Result<Option<Pair>, StoreError> {
        let found = self.store.last_at_or_before(prefix, key)?;
        self.note("last", prefix, found.as_ref().map_or(0, |(_, value)| value.len()));
        Ok(found)
    }
    fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        // How many subtrees an entry of the ledger completes follows from its number alone.
        let other = |(key, _): &&(Vec<u8>, Option<Vec<u8>>)| !key.windows(6).any(|found| found == b"/node/");
        self.note("apply", b"", batch.writes().iter().filter(other).count());
        self.store.apply(batch)
    }
    fn flush(&self) -> Result<(), StoreError> {
        self.note("flush", b"", 0);
        self.store.flush()
    }
    fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        self.store.bytes_on_disk()
    }
}

/// What the statistics below measure, without a clock: the same reads of the same size, writes and flushes.
#[test]
fn a_shielded_and_an_unknown_child_cost_the_same_work() {
    let store = Arc::new(Watched::default());
    let centre = Centre::on(Arc::clone(&store) as Arc<dyn Store>);
    let keys = centre.project("p", &["council", "refuge"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..40, 0));
    centre.upload(&keys[1], "p", "refuge", &batch("refuge", 0..30, 0));
    let work = |child: u64| {
        let found = store.since(|| {
            let answer = ask(&centre, &keys[0], "council", child);
            assert_eq!(answer.json()["answer"], "no_match_found");
        });
        assert!(found.iter().any(|(what, _)| what == "last link"), "{found:?}");
        found
    };
    // Hidden before the run: it is in nobody else's pages. Hidden after it: it is taken out of them.
    assert_eq!(shield(&centre, &keys[1], "refuge", 3, "hidden").status, 200);
    centre.run(&keys[0], "p");
    assert_eq!(shield(&centre, &keys[1], "refuge", 4, "hidden").status, 200);
    let known = store.since(|| drop(ask(&centre, &keys[0], "council", 5)));
    work(35);
    let unknown = work(36);
    assert_eq!((work(3), work(4)), (unknown.clone(), unknown.clone()));
    assert_ne!(known, unknown, "the measure sees a difference where there is one");
    centre.running.stop().unwrap();
}

/// Kolmogorov and Smirnov's distance of two samples, in millionths.
fn distance(mut one: Vec<u64>, mut other: Vec<u64>) -> u64 {
    one.sort_unstable();
    other.sort_unstable();
    let share = |sample: &[u64], at: u64| {
        sample.partition_point(|t| *t <= at) as u64 * 1_000_000 / sample.len() as u64
    };
    one.iter().chain(&other).map(|at| share(&one, *at).abs_diff(share(&other, *at))).max().unwrap_or(0)
}

/// `cargo test --release --no-default-features --features central --test service_shield -- --ignored
/// --nocapture timing`. Two samples of n differ with p < 0.01 beyond 1.628 * sqrt(2 / n).
#[test]
#[ignore = "a measurement of ten thousand calls each, to be run in release on a quiet machine"]
fn timing_tells_nothing_of_a_shield() {
    // In memory, so that no disk hides a difference; the clock moves on before a month's budget is spent.
    let (centre, now) = with_clock();
    let keys = centre.project("p", &["council", "refuge"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..2_000, 0));
    centre.upload(&keys[1], "p", "refuge", &batch("refuge", 0..1_000, 0));
    centre.run(&keys[0], "p");
    for child in 0..200 {
        assert_eq!(shield(&centre, &keys[1], "refuge", child, "hidden").status, 200);
    }
    centre.run(&keys[0], "p");
    let calls = 10_000u64;
    let samples = [Mutex::new(Vec::new()), Mutex::new(Vec::new())];
    for call in 0..calls {
        // The order within each pair is drawn: a drift of the machine falls on both alike, and so does what the ledger's tree
        // does at every second and fourth entry.
        let first = u64::from(blake3::hash(&call.to_le_bytes()).as_bytes()[0] & 1);
        for turn in [first, 1 - first] {
            let child = if turn == 0 { call % 200 } else { 1_500 + call % 200 };
            let asked = json!({"record": record("council", child), "purpose": "safeguarding"}).to_string();
            let user = format!("u.{}", call / 50);
            let headers = [
                ("authorization", &*bearer(&keys[0])),
                ("content-type", "application/json"),
                ("acting-user", &*user),
            ];
            let path = "/v1/projects/p/lookups";
            let began = std::time::Instant::now();
            let answer = request(centre.addr(), "POST", path, &headers, asked.as_bytes());
            let took = u64::try_from(began.elapsed().as_nanos()).unwrap();
            assert_eq!(answer.json()["answer"], "no_match_found");
            samples[turn as usize].lock().unwrap().push(took);
        }
        if call % 4_000 == 3_999 {
            now.fetch_add(31 * 24 * 3_600_000, Ordering::SeqCst);
        }
    }
    let [shielded, unknown] = samples.map(|sample| sample.into_inner().unwrap());
    let median = |sample: &[u64]| {
        let mut sorted = sample.to_vec();
        sorted.sort_unstable();
        sorted[sorted.len() / 2] / 1_000
    };
    println!("median: shielded {} us, unknown {} us", median(&shielded), median(&unknown));
    let found = distance(shielded, unknown);
    let bound = 1_628_000 * 14_142 / 10_000 / calls.isqrt();
    println!("Kolmogorov-Smirnov D = 0.{found:06}; p > 0.01 below 0.{bound:06}");
    assert!(found < bound);
    centre.running.stop().unwrap();
}

#[test]
fn pages_and_numbers_tell_an_agency_nothing_of_the_others() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school"]);
    for round in 0..3u8 {
        for (key, agency) in keys.iter().zip(["council", "school"]) {
            centre.upload(key, "p", agency, &batch(agency, 0..2, round));
        }
    }
    for (path, what) in [("datasets", "datasets"), ("events", "events")] {
        let mut all = Vec::new();
        let mut query = "?limit=2".to_owned();
        loop {
            let page = centre.get(&keys[0], &format!("/v1/projects/p/{path}{query}")).json();
            let found = page[what].as_array().unwrap().clone();
            assert!(found.iter().all(|entry| entry["agency"] == "council"), "{page}");
            assert!(found.iter().all(|entry| entry.get("number").is_none()), "{page}");
            all.extend(found);
            let Some(next) = page["next"].as_str() else { break };
            assert_eq!(page[what].as_array().unwrap().len(), 2, "a page is full unless it is the last");
            query = format!("?limit=2&cursor={next}");
        }
        let whole = centre.get(&keys[0], &format!("/v1/projects/p/{path}")).json();
        assert_eq!(&all, whole[what].as_array().unwrap(), "{path}");
        assert!(all.len() >= 3, "{path}");
    }
    assert_eq!(centre.get(&keys[0], "/v1/projects/p/events?cursor=7").code(), "malformed", "not a count");
    centre.running.stop().unwrap();
}

#[test]
fn an_upload_not_sealed_in_time_is_gone_without_a_restart() {
    let (centre, now) = with_clock();
    let keys = centre.project("p", &["council"]);
    let (create, bodies) = announcement("p", "council", &batch("council", 0..5, 0), 5);
    let path = "/v1/projects/p/datasets";
    let made = centre.send(&keys[0], "POST", path, &json!(create)).json();
    let id = made["id"].as_str().unwrap();
    now.fetch_add(1_000 * 3_600_000, Ordering::SeqCst);
    assert_eq!(centre.put_chunk(&keys[0], "p", id, 0, &bodies[0]).code(), "not-found");
    assert_eq!(centre.send(&keys[0], "POST", path, &json!(create)).status, 201);
    let listed = centre.get(&keys[0], path).json();
    assert_eq!(listed["datasets"].as_array().unwrap().len(), 1, "the old one is dropped: {listed}");
    centre.running.stop().unwrap();
}

#[test]
fn a_run_that_was_returned_is_remembered_with_its_request() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..5, 0));
    let first = centre.run(&keys[0], "p");
    let again = centre.send_once(&keys[0], "/v1/projects/p/runs", "nightly-1", &json!({})).json();
    assert_eq!(again["id"], json!(first));
    centre.upload(&keys[1], "p", "school", &batch("school", 0..5, 0));
    let repeated = centre.send_once(&keys[0], "/v1/projects/p/runs", "nightly-1", &json!({})).json();
    assert_eq!(repeated["id"], json!(first), "the same request, the same run, though the data is new");
    assert_ne!(centre.run(&keys[0], "p"), first);
    centre.running.stop().unwrap();
}
