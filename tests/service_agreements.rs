//! Agreements as documents, decisions of two people, what a pair may learn, and the front door with its bot.

#![cfg(feature = "central")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::store::{Fault, MemoryStore, Store};
use blindlink::wire::arrow::write_stream;
use blindlink::wire::{KeyCheckValue, SchemaFingerprint, UtcTime};
use serde_json::{Value, json};
use service_support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const APPROVALS: &str = "/v1/projects/p/approvals";
const FRONT_DOOR: &str = "/v1/projects/p/front-door";

fn agreement() -> Value {
    json!({
        "format_version": 1, "project": "p", "revision": 1, "title": "Safeguarding", "starts": "2020-01-01",
        "ends": "2099-12-31", "retention_months": 12, "suppress_below": 5, "second_look_every": 2,
        "standing": true,
        "parties": [{"agency": "council", "front_door": true}, {"agency": "school"}, {"agency": "police"}],
        "purposes": [
            {"code": "s47-enquiry", "title": "Enquiry", "lawful_bases": ["public-task"],
             "asks": {"case": true, "detriment": true}, "front_door": true},
            {"code": "early-help", "title": "Early help"}
        ],
        "pairs": [
            {"between": ["council", "school"], "answer": "agency"},
            {"between": ["police", "council"], "answer": "yes_no"}
        ],
        "budgets": {"user_day": 50, "agency_month": 1000, "project": 10000, "front_door_user_day": 15,
            "front_door_agency_day": 40, "front_door_agency_month": 300, "misses_user_day": 8}
    })
}

struct Place {
    centre: Centre,
    /// Keys of all agency roles: council, school, police.
    keys: Vec<String>,
}

/// Three agencies that all know children 0 to 9, linked under the agreement.
fn place() -> Place {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school", "police"]);
    agree(&centre, &keys[1], &agreement());
    for (key, agency) in keys.iter().zip(["council", "school", "police"]) {
        centre.upload(key, "p", agency, &batch(agency, 0..10, 0));
    }
    centre.run(&keys[0], "p");
    Place { centre, keys }
}

/// Proposed by the operator, approved by an agency, carried out.
fn agree(centre: &Centre, approver: &str, document: &Value) {
    let body = json!({"document": document, "reason": "signed by all"});
    let made = centre.send(&centre.operator, "POST", APPROVALS, &body);
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let approved =
        centre.send(approver, "POST", &format!("{APPROVALS}/{id}/approve"), &json!({"reason": "read it"}));
    assert_eq!(approved.json()["state"], "approved", "{}", approved.text());
    let done = centre.send(&centre.operator, "POST", &format!("{APPROVALS}/{id}/carry-out"), &json!({}));
    assert_eq!(done.json()["state"], "used", "{}", done.text());
}

#[test]
fn a_wider_agreement_needs_two_people_with_two_keys() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school", "police"]);
    let trial = centre.get(&keys[0], "/v1/projects/p/agreement").json();
    assert_eq!((&trial["revision"], trial["pairs"].as_array().unwrap().len()), (&json!(0), 3));
    let operator = &centre.operator;
    let refused = centre.send(operator, "PUT", "/v1/projects/p/agreement", &agreement());
    assert_eq!(refused.code(), "rule");
    let body = json!({"document": agreement(), "reason": "signed by all"});
    let id = centre.send(operator, "POST", APPROVALS, &body).json()["id"].as_str().unwrap().to_owned();
    let step = |key: &str, what: &str| {
        centre.send(key, "POST", &format!("{APPROVALS}/{id}/{what}"), &json!({"reason": "because"}))
    };
    assert_eq!(step(operator, "carry-out").code(), "approval-state");
    assert_eq!(
        (step(operator, "approve").status, &*step(operator, "approve").code()),
        (403, "second-person")
    );
    assert_eq!(step(&keys[1], "withdraw").code(), "forbidden", "only who proposed it");
    assert_eq!(step(&keys[1], "approve").json()["state"], "approved");
    assert_eq!(step(&keys[2], "refuse").code(), "approval-state", "decided once");
    assert_eq!(step(&keys[1], "carry-out").json()["state"], "used");
    assert_eq!(step(&keys[1], "carry-out").code(), "approval-state", "carried out once");
    assert_eq!(centre.get(&keys[2], "/v1/projects/p/agreement").json()["revision"], 1);
    let foreign = centre.project("q", &["council"]).remove(0);
    assert_eq!(centre.get(&foreign, &format!("{APPROVALS}/{id}")).code(), "not-found");
    assert_eq!(centre.get(operator, &format!("/v1/projects/q/approvals/{id}")).code(), "not-found");

    // From now on nobody widens it alone; one person may narrow it.
    let mut narrower = agreement();
    narrower["revision"] = json!(2);
    narrower["budgets"]["user_day"] = json!(5);
    assert_eq!(centre.send(operator, "PUT", "/v1/projects/p/agreement", &narrower).status, 200);
    let mut wider = narrower.clone();
    wider["revision"] = json!(3);
    wider["budgets"]["user_day"] = json!(6);
    assert_eq!(centre.send(operator, "PUT", "/v1/projects/p/agreement", &wider).code(), "rule");
    assert_eq!(centre.send(operator, "PUT", "/v1/projects/p/epoch", &json!({"epoch": 2})).code(), "rule");
    assert_eq!(centre.send(operator, "PUT", "/v1/agencies/refuge", &agency_body("refuge")).status, 200);
    let join = "/v1/projects/p/agencies/refuge";
    assert_eq!(centre.send(operator, "PUT", join, &json!({})).code(), "rule");
    let epoch = json!({"matter": {"kind": "epoch_change", "to": 2}, "reason": "the yearly change"});
    let id = centre.send(&keys[0], "POST", APPROVALS, &epoch).json()["id"].as_str().unwrap().to_owned();
    let path = format!("{APPROVALS}/{id}");
    centre.send(operator, "POST", &format!("{path}/approve"), &json!({"reason": "drilled"}));
    assert_eq!(
        centre.send(operator, "POST", &format!("{path}/carry-out"), &json!({})).json()["state"],
        "used"
    );
    assert_eq!(centre.get(operator, "/v1/projects/p").json()["epoch"], 2);
    // Nor does one person name another broker, or have records erased by an earlier end.
    let broker = json!({"agency": "school"});
    assert_eq!(centre.send(operator, "PUT", "/v1/projects/p/broker", &broker).code(), "rule");
    let id = centre.decided("p", operator, &keys[0], &json!({"kind": "broker", "agency": "school"}));
    assert_eq!(centre.carry_out("p", operator, &id).json()["state"], "used");
    for (field, value) in [("retention_months", json!(1)), ("ends", json!("2027-12-31"))] {
        let mut sooner = narrower.clone();
        sooner["revision"] = json!(3);
        sooner[field] = value;
        assert_eq!(
            centre.send(operator, "PUT", "/v1/projects/p/agreement", &sooner).code(),
            "rule",
            "{field}"
        );
    }
    let page = centre.get(operator, &format!("{APPROVALS}?limit=2")).json();
    assert_eq!(page["approvals"].as_array().unwrap().len(), 2);
    let next = page["next"].as_str().unwrap();
    let rest = centre.get(operator, &format!("{APPROVALS}?cursor={next}")).json();
    assert_eq!((rest["approvals"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    for (bad, code) in [
        (json!({"reason": "nothing"}), "rule"),
        (json!({"matter": {"kind": "epoch_change", "to": 2}, "reason": "not later"}), "rule"),
        (json!({"matter": {"kind": "broker", "agency": "nobody"}, "reason": "unknown"}), "rule"),
        (json!({"matter": {"kind": "withdrawal", "agency": "nobody"}, "reason": "unknown"}), "rule"),
        (json!({"matter": {"kind": "release", "run": "run-0"}, "reason": "nothing was linked"}), "not-found"),
        (json!({"document": agreement(), "reason": "an old revision"}), "rule"),
        (json!({"matter": {"kind": "epoch_change", "to": 3}, "reason": "late", "hours": 0}), "approval-time"),
    ] {
        assert_eq!(centre.send(operator, "POST", APPROVALS, &bad).code(), code, "{bad}");
    }
    let mut unknown = agreement();
    unknown["surname"] = json!("Okonkwo");
    let refused = centre.send(operator, "POST", APPROVALS, &json!({"document": unknown, "reason": "x"}));
    assert!(refused.code() == "malformed" && !refused.text().contains("Okonkwo"));
    centre.running.stop().unwrap();
}

#[test]
fn no_one_issues_a_further_key_of_an_agency_alone() {
    let Place { centre, keys } = place();
    let operator = &centre.operator;
    let scope = |agency: &str| json!({"kind": "agency", "agency": agency, "project": "p"});
    let issue = |agency: &str, roles: &[&str]| {
        centre.send(operator, "POST", "/v1/keys", &json!({"scope": scope(agency), "roles": roles}))
    };
    for roles in [&["requester"][..], &["submitter"], &["approver"]] {
        assert_eq!(issue("council", roles).code(), "rule", "{roles:?}");
    }
    // A revoked key was one too: taking it away does not make the next one the first.
    let listed = centre.get(operator, "/v1/keys").json();
    let police = listed["keys"].as_array().unwrap().iter().find(|key| key["scope"]["agency"] == "police");
    let police = police.unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(centre.send(operator, "DELETE", &format!("/v1/keys/{police}"), &json!({})).status, 200);
    assert_eq!(issue("police", &["requester"]).code(), "rule");

    let matter =
        json!({"kind": "key", "agency": "council", "roles": ["requester"], "label": "the night desk"});
    let propose = |matter: &Value| {
        let made =
            centre.send(operator, "POST", APPROVALS, &json!({"matter": matter, "reason": "asked for"}));
        made.json()["id"].as_str().map(ToOwned::to_owned).ok_or_else(|| made.code())
    };
    let word = |key: &str, id: &str, what: &str| {
        let path = format!("{APPROVALS}/{id}/{what}");
        centre.send_as("b.second", key, &path, &json!({"reason": "theirs"}))
    };
    let id = propose(&matter).unwrap();
    // Another key of the operator's own is no second person, and another agency's approver does not speak for this one.
    let twin = json!({"scope": {"kind": "centre"}, "roles": ["operator"]});
    let twin = centre.send(operator, "POST", "/v1/keys", &twin).json()["token"].as_str().unwrap().to_owned();
    assert_eq!(word(&twin, &id, "approve").code(), "second-person");
    assert_eq!(word(&keys[1], &id, "approve").code(), "forbidden");
    assert_eq!(word(&keys[0], &id, "approve").json()["state"], "approved");
    // The secret goes to the agency, once.
    assert_eq!(centre.carry_out("p", operator, &id).code(), "forbidden");
    let done = centre.carry_out("p", &keys[0], &id).json();
    let token = done["token"].as_str().unwrap();
    let who = centre.get(token, "/v1/whoami").json();
    assert_eq!((&who["scope"]["agency"], &who["roles"]), (&json!("council"), &json!(["requester"])));
    let read = centre.get(&keys[0], &format!("{APPROVALS}/{id}"));
    assert!(read.json()["token"].is_null() && !read.text().contains(&token[token.len() - 64..]));
    let events = centre.get(&keys[0], "/v1/projects/p/events").json();
    let issued = events["events"].as_array().unwrap().iter().filter(|event| event["action"] == "key_issued");
    assert_eq!(issued.count(), 2, "an agency sees every key that speaks for it");

    // Where nobody can decide any more, another agency is the second person, and the centre hands the key over.
    let id = propose(&json!({"kind": "key", "agency": "police", "roles": ["approver"]})).unwrap();
    assert_eq!(word(&twin, &id, "approve").code(), "second-person");
    assert_eq!(word(&keys[1], &id, "approve").json()["state"], "approved");
    assert_eq!(centre.carry_out("p", &keys[1], &id).code(), "forbidden");
    assert!(centre.carry_out("p", operator, &id).json()["token"].is_string());
    for (bad, code) in [
        (json!({"kind": "key", "agency": "council", "roles": ["operator"]}), "rule"),
        (json!({"kind": "key", "agency": "council", "roles": []}), "rule"),
        (json!({"kind": "key", "agency": "nobody", "roles": ["requester"]}), "rule"),
    ] {
        assert_eq!(propose(&bad), Err(code.to_owned()), "{bad}");
    }
    centre.running.stop().unwrap();
}

#[test]
fn a_pair_is_linked_and_answered_only_as_far_as_agreed() {
    let Place { centre, keys } = place();
    let lookup = |key: &str, agency: &str, body: Value| {
        let mut body = body;
        body["record"] = json!(record(agency, 3));
        centre.send(key, "POST", "/v1/projects/p/lookups", &body)
    };
    let good = json!({"purpose": "s47-enquiry", "case": "C-1", "lawful_basis": "public-task",
        "detriment_considered": true});
    for (field, code, status) in [
        ("purpose", "purpose-missing", 422),
        ("case", "statement-missing", 422),
        ("lawful_basis", "statement-missing", 422),
        ("detriment_considered", "statement-missing", 422),
    ] {
        let mut lacking = good.clone();
        lacking.as_object_mut().unwrap().remove(field);
        let refused = lookup(&keys[0], "council", lacking);
        assert_eq!((refused.status, &*refused.code()), (status, code), "{field}");
    }
    let mut other = good.clone();
    other["lawful_basis"] = json!("curiosity");
    assert_eq!(lookup(&keys[0], "council", other).code(), "basis-not-agreed");

    // The council learns which school, but of the police only that somebody knows the child.
    let answer = lookup(&keys[0], "council", good.clone()).json();
    let matches = answer["matches"].as_array().unwrap();
    assert_eq!((answer["answer"].clone(), matches.len()), (json!("yes"), 1));
    assert_eq!((&matches[0]["agency"], &matches[0]["contact"]), (&json!("school"), &Value::Null));
    let yes = lookup(&keys[2], "police", good.clone()).json();
    assert_eq!((&yes["answer"], &yes["matches"]), (&json!("yes"), &json!([])));
    // School and police are no pair: nothing of one is compared with anything of the other.
    let school = lookup(&keys[1], "school", good).json();
    assert_eq!(school["matches"].as_array().unwrap().len(), 1);
    assert_eq!(school["matches"][0]["agency"], "council");
    let links = |key: &str| centre.get(key, "/v1/projects/p/links").json()["links"].as_array().unwrap().len();
    assert_eq!((links(&keys[0]), links(&keys[1]), links(&keys[2])), (10, 10, 0));
    let feed = centre.get(&keys[2], "/v1/projects/p/asked").json();
    assert_eq!(feed["asked"].as_array().unwrap().len(), 1);
    assert_eq!(feed["asked"][0]["agency"], Value::Null, "yes or no alone, both ways");
    centre.running.stop().unwrap();
}

#[test]
fn figures_leave_the_centre_when_two_people_released_their_run() {
    let Place { centre, keys } = place();
    let overlap = |key: &str| centre.get(key, "/v1/projects/p/overlap");
    let run = overlap(&centre.operator).json()["run"].clone();
    assert_eq!(overlap(&keys[0]).code(), "rule", "within an agreement not by itself");
    assert_eq!(centre.get(&keys[1], "/v1/projects/p/tables/known-to").code(), "rule");
    let matter = json!({"kind": "release", "run": run});
    let id = centre.decided("p", &centre.operator, &keys[1], &matter);
    assert_eq!(overlap(&keys[0]).code(), "rule");
    assert_eq!(centre.carry_out("p", &centre.operator, &id).json()["state"], "used");
    assert_eq!((overlap(&keys[0]).status, &overlap(&keys[0]).json()["run"]), (200, &run));
    let other = json!({"matter": {"kind": "release", "run": "run-0"}, "reason": "another"});
    assert_eq!(centre.send(&keys[0], "POST", APPROVALS, &other).code(), "rule");
    centre.running.stop().unwrap();
}

fn stranger(child: u64, noise: u8) -> Value {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    json!({
        "encoding": hex(&write_stream(&batch("nobody", [child], noise)).unwrap()),
        "schema_fingerprint": SchemaFingerprint::from_bytes([7; 32]), "epoch": 1,
        "key_check": KeyCheckValue::from_bytes([9; 16]), "purpose": "s47-enquiry", "case": "C-1",
        "lawful_basis": "public-task", "detriment_considered": true, "reason": "new-referral",
    })
}

fn ask_as(centre: &Centre, key: &str, user: &str, body: &Value) -> Answer {
    let bearer = bearer(key);
    let headers = [("authorization", &*bearer), ("content-type", "application/json"), ("acting-user", user)];
    request(centre.addr(), "POST", FRONT_DOOR, &headers, body.to_string().as_bytes())
}

#[test]
fn the_front_door_answers_its_own_role_for_its_own_purposes() {
    let Place { centre, keys } = place();
    let door = centre.further_key("p", &keys[0], "council", &["front_door"]);
    assert_eq!(ask_as(&centre, &keys[0], "anna", &stranger(3, 0)).code(), "forbidden", "another role");
    let closed = centre.further_key("p", &keys[1], "school", &["front_door"]);
    assert_eq!(ask_as(&centre, &closed, "anna", &stranger(3, 0)).code(), "no-front-door");
    let with = |field: &str, value: Value| {
        let mut body = stranger(3, 0);
        body[field] = value;
        ask_as(&centre, &door, "anna", &body).code()
    };
    assert_eq!(with("purpose", json!("early-help")), "no-front-door");
    assert_eq!(with("epoch", json!(2)), "epoch-mismatch");
    assert_eq!(with("key_check", json!(KeyCheckValue::from_bytes([1; 16]))), "key-mismatch");
    assert_eq!(with("schema_fingerprint", json!(SchemaFingerprint::from_bytes([1; 32]))), "schema-mismatch");
    assert_eq!(with("encoding", json!("00ff")), "malformed-arrow");
    assert_eq!(with("encoding", json!("0g")), "malformed");

    let found = ask_as(&centre, &door, "anna", &stranger(3, 2)).json();
    assert_eq!(found["answer"], "yes");
    assert_eq!(found["matches"].as_array().unwrap().len(), 1, "the school by name, the police not");
    assert_eq!(
        (&found["matches"][0]["agency"], &found["matches"][0]["contact"]),
        (&json!("school"), &Value::Null)
    );
    assert!(!found.to_string().contains(&record("school", 3).to_string()));
    let nobody = ask_as(&centre, &door, "anna", &stranger(900, 0)).json();
    assert_eq!((&nobody["answer"], &nobody["matches"]), (&json!("no_match_found"), &json!([])));
    let feed = centre.get(&keys[1], "/v1/projects/p/asked").json();
    assert_eq!(feed["asked"][0]["record"], record("school", 3).to_string());
    // What is uploaded afterwards is found too.
    centre.upload(&keys[1], "p", "school", &batch("school", (0..10).chain([900]), 0));
    assert_eq!(ask_as(&centre, &door, "anna", &stranger(900, 0)).json()["answer"], "yes");

    // About one question in two is put before a second person, who is not the one who asked.
    for child in 0..5 {
        ask_as(&centre, &door, "anna", &stranger(child, 1));
    }
    let looks = centre.get(&keys[0], "/v1/projects/p/second-looks").json();
    let look = looks["second_looks"][0].clone();
    assert_eq!((&look["user"], &look["reason"]), (&json!("anna"), &json!("new-referral")));
    let path = format!("/v1/projects/p/second-looks/{}", look["entry"]);
    let own = [
        ("authorization", &*bearer(&keys[0])),
        ("content-type", "application/json"),
        ("acting-user", "anna"),
    ];
    assert_eq!(request(centre.addr(), "POST", &path, &own, b"{\"proper\":true}").code(), "rule");
    let judged = centre.send(&keys[0], "POST", &path, &json!({"proper": false}));
    assert_eq!(judged.json()["proper"], false);
    let alerts = centre.get(&centre.operator, "/v1/alerts").json();
    assert_eq!(alerts["alerts"][0]["kind"], "improper_question");
    assert_eq!(centre.send(&keys[1], "POST", &path, &json!({"proper": true})).code(), "not-found");
    centre.running.stop().unwrap();
}

/// A stolen front-door key, 1,000 guessed children, as few or as many invented users as it likes.
#[test]
fn a_bot_with_1000_guesses_over_http_is_cut_off_before_50_and_an_alert_stands() {
    for users in [1, 1_000] {
        let Place { centre, keys } = place();
        let door = centre.further_key("p", &keys[0], "council", &["front_door"]);
        let mut answered = 0;
        for guess in 0..1_000u64 {
            let user = format!("bot{}", guess % users);
            let answer = ask_as(&centre, &door, &user, &stranger(10_000 + guess, 0));
            match answer.status {
                200 => answered += 1,
                _ => assert_eq!((answer.status, &*answer.code()), (429, "budget-spent")),
            }
        }
        assert!((1..50).contains(&answered), "{answered} answers with {users} users");
        let alerts = centre.get(&centre.operator, "/v1/alerts").json();
        let alerts = alerts["alerts"].as_array().unwrap();
        assert!(alerts.iter().all(|alert| alert["agency"] == "council"));
        assert!(!alerts.is_empty(), "an alert stands in the operator's list");
        centre.running.stop().unwrap();
    }
}

#[test]
fn two_keys_work_at_once_while_one_replaces_the_other_and_bad_ones_never_do() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school"]);
    let (old, new) = (&keys[0], centre.key("p", "council", &["submitter", "requester"]));
    let who = |key: &str| centre.get(key, "/v1/whoami");
    assert_eq!((who(old).status, who(&new).status), (200, 200), "both, while the agency changes over");
    let id = old.split('.').next().unwrap();
    assert_eq!(centre.send(&centre.operator, "DELETE", &format!("/v1/keys/{id}"), &json!({})).status, 200);
    assert_eq!((who(old).code().as_str(), who(&new).status), ("unauthenticated", 200));
    let (id, secret) = new.split_once('.').unwrap();
    let (other, _) = keys[1].split_once('.').unwrap();
    for bad in [
        format!("{id}.{}", &secret[..63]),
        format!("{id}.{}", &secret[1..]),
        format!("{id}.{secret}0"),
        format!("{other}.{secret}"),
        format!("{id}.{}", secret.to_uppercase()),
        id.to_owned(),
        format!("{id}."),
        format!(".{secret}"),
    ] {
        assert_eq!(who(&bad).code(), "unauthenticated", "{}", bad.len());
    }
    // Another agency's key uploads nothing in this agency's name.
    let (create, _) = announcement("p", "council", &batch("council", 0..5, 0), 10);
    let refused = centre.send(&keys[1], "POST", "/v1/projects/p/datasets", &json!(create));
    assert_eq!((refused.status, &*refused.code()), (403, "foreign-agency"));
    centre.running.stop().unwrap();
}

#[test]
fn where_nobody_can_decide_any_more_an_operator_issues_one_approver_key_in_the_open() {
    let began: UtcTime = "2026-03-01T09:00:00Z".parse().unwrap();
    let day = Arc::new(AtomicU32::new(0));
    let shared = Arc::clone(&day);
    let centre = Centre::with_clock(Arc::new(move || began.plus_hours(24 * shared.load(Ordering::SeqCst))));
    let operator = &centre.operator;
    assert_eq!(centre.send(operator, "POST", "/v1/projects", &project_body("p")).status, 201);
    let scope = |agency: &str| json!({"kind": "agency", "agency": agency, "project": "p"});
    let issue = |agency: &str, roles: &[&str], expires: Option<&str>| {
        let body = json!({"scope": scope(agency), "roles": roles, "expires": expires});
        centre.send(operator, "POST", "/v1/keys", &body)
    };
    let mut keys = Vec::new();
    for (agency, expires) in [
        ("council", "2026-03-31T00:00:00Z"),
        ("school", "2026-04-10T00:00:00Z"),
        ("police", "2026-03-31T00:00:00Z"),
    ] {
        assert_eq!(
            centre.send(operator, "PUT", &format!("/v1/agencies/{agency}"), &agency_body(agency)).status,
            200
        );
        let join = format!("/v1/projects/p/agencies/{agency}");
        assert_eq!(centre.send(operator, "PUT", &join, &json!({})).status, 200);
        let made = issue(agency, &["approver", "auditor", "requester"], Some(expires));
        keys.push(made.json()["token"].as_str().unwrap().to_owned());
    }
    // A key that cannot decide, and does not run out.
    let reader = issue("council", &["auditor"], None).json()["token"].as_str().unwrap().to_owned();
    // The police's was taken before its time, which the agency has done with a key that passed through other hands.
    let police = keys[2].split('.').next().unwrap();
    assert_eq!(centre.send(operator, "DELETE", &format!("/v1/keys/{police}"), &json!({})).status, 200);
    agree(&centre, &keys[1], &agreement());

    for at in [0, 35] {
        // Somebody can decide, on day 35 the school alone.
        day.store(at, Ordering::SeqCst);
        for agency in ["council", "school", "police"] {
            assert_eq!(issue(agency, &["approver"], None).code(), "rule", "{agency} on day {at}");
        }
    }
    day.store(45, Ordering::SeqCst);
    assert_eq!(centre.get(&keys[1], "/v1/whoami").status, 401);
    assert_eq!(
        issue("council", &["approver", "requester"], None).code(),
        "rule",
        "an approver's and no more"
    );
    assert_eq!(issue("council", &["requester"], None).code(), "rule");
    assert!(issue("police", &["approver"], None).text().contains("revoked"));
    let body = json!({"scope": scope("council"), "roles": ["approver"]}).to_string();
    let headers = [("authorization", &*bearer(operator)), ("content-type", "application/json")];
    let unsaid = request(centre.addr(), "POST", "/v1/keys", &headers, body.as_bytes());
    assert_eq!(unsaid.code(), "user-missing", "who issues it is in the ledger");
    let alerts = || centre.get(operator, "/v1/alerts").text();
    assert!(!alerts().contains("approver_key_alone"), "a refusal is none");

    let made = issue("council", &["approver"], None);
    assert_eq!(made.status, 201, "{}", made.text());
    let token = made.json()["token"].as_str().unwrap().to_owned();
    for agency in ["council", "school"] {
        assert_eq!(issue(agency, &["approver"], None).code(), "rule", "one, then two people decide again");
    }
    // The agency sees it, the ledger and the alerts have it.
    let events = centre.get(&reader, "/v1/projects/p/events").json();
    let alone = events["events"].as_array().unwrap().iter();
    let alone: Vec<_> = alone.filter(|event| event["action"] == "approver_key_issued_alone").collect();
    assert_eq!((alone.len(), &alone[0]["agency"]), (1, &json!("council")));
    assert!(alerts().contains("approver_key_alone") && alerts().contains("council"));
    let exported = centre.get(operator, "/v1/projects/p/ledger/export").text();
    assert!(exported.contains("approver_key") && exported.contains("issued_alone"), "{exported}");
    // With it the project is run by two people again.
    let matter = json!({"kind": "key", "agency": "school", "roles": ["approver"]});
    let id = centre.decided("p", operator, &token, &matter);
    assert!(centre.carry_out("p", operator, &id).json()["token"].is_string());
    // A key that is taken away is not the way to the next one.
    let id = token.split('.').next().unwrap();
    assert_eq!(centre.send(operator, "DELETE", &format!("/v1/keys/{id}"), &json!({})).status, 200);
    assert_eq!(issue("council", &["approver"], None).code(), "rule");
    centre.running.stop().unwrap();
}

#[test]
fn a_key_and_the_event_that_says_so_stand_together_or_not_at_all() {
    let store = Arc::new(MemoryStore::new());
    let centre = Centre::on(Arc::clone(&store) as Arc<dyn Store>);
    let keys = centre.project("p", &["council", "school", "police"]);
    agree(&centre, &keys[1], &agreement());
    let count = || {
        let issued = store.scan(b"key/", None, usize::MAX).unwrap().len();
        let events = centre.get(&centre.operator, "/v1/projects/p/events").json();
        let events = events["events"].as_array().unwrap().clone();
        (issued, events.iter().filter(|event| event["action"] == "key_issued").count())
    };
    assert_eq!(count(), (4, 3), "the operator's own is in the centre's log");
    let mut told = Vec::new();
    for writes in 0..5 {
        let matter = json!({"kind": "key", "agency": "council", "roles": ["requester"]});
        let id = centre.decided("p", &centre.operator, &keys[0], &matter);
        let before = count();
        store.fail(Fault::WriteAfter(writes));
        let done = centre.carry_out("p", &keys[0], &id);
        store.fail(Fault::None);
        let after = count();
        assert_eq!(
            after.0 - before.0,
            after.1 - before.1,
            "a key without its event, or an event without its key"
        );
        // Whoever is told of success has the secret; the last write that may fail is the flush of both.
        assert_eq!(done.status == 200, writes >= 2, "{writes}: {}", done.text());
        assert!(done.status != 200 || done.json()["token"].is_string());
        told.push(done.status);
    }
    assert_eq!(told, [500, 500, 200, 200, 200]);
}
