//! Reviews of uncertain pairs, what is kept apart, and the reviewer's pages.

#![cfg(feature = "central")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::wire::{EncodingBatch, KeyCheckValue, SlotColumn};
use serde_json::{Value, json};
use service_support::*;
use std::sync::Arc;

const REVIEWS: &str = "/v1/projects/p/reviews";

/// Bits changed that put a pair into the review band of the tests' decision.
const UNSURE: u8 = 30;

fn reviews(centre: &Centre, key: &str, state: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut query = format!("?limit=3&state={state}");
    loop {
        let page = centre.get(key, &format!("{REVIEWS}{query}")).json();
        all.extend(page["reviews"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { return all };
        query = format!("?limit=3&state={state}&cursor={next}");
    }
}

fn review_of(centre: &Centre, key: &str, agency: &str, child: u64) -> Value {
    let own = record(agency, child).to_string();
    let all = ["open", "confirmed", "blocked"].map(|state| reviews(centre, key, state)).concat();
    all.into_iter().find(|review| review["record"] == own).unwrap_or(Value::Null)
}

fn say(centre: &Centre, key: &str, reference: &Value, verdict: &str) -> Answer {
    let path = format!("{REVIEWS}/{}/decisions", reference.as_str().unwrap());
    let word = json!({"verdict": verdict, "why": "spoke_to_agency", "case": "C-1"});
    centre.send(key, "POST", &path, &word)
}

fn answer(centre: &Centre, key: &str, agency: &str, child: u64) -> Value {
    let asked = json!({"record": record(agency, child), "purpose": "safeguarding"});
    centre.send(key, "POST", "/v1/projects/p/lookups", &asked).json()["answer"].clone()
}

#[test]
fn both_agencies_see_a_pair_and_their_words_decide_it() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school", "police"]);
    let (council, school) = (&keys[0], &keys[1]);
    centre.upload(council, "p", "council", &batch("council", 0..10, 0));
    centre.upload(school, "p", "school", &batch("school", 0..7, UNSURE));
    let first = centre.run(council, "p");
    let (ours, theirs) = (reviews(&centre, council, "open"), reviews(&centre, school, "open"));
    assert_eq!((ours.len(), theirs.len(), reviews(&centre, &keys[2], "open").len()), (7, 7, 0));
    let text = json!(ours).to_string();
    assert!((0..7).all(|child| !text.contains(&record("school", child).to_string())), "no foreign ref");
    assert!(!text.contains("score") && !text.contains("0.8"), "{text}");
    let of_2 = review_of(&centre, council, "council", 2);
    assert_eq!(of_2["attributes"], json!([{"attribute": "record", "band": "near"}]));
    assert_eq!((&of_2["warnings"], &of_2["agency"]), (&json!(["below_match"]), &json!("school")));
    let reference = of_2["reference"].clone();
    assert_eq!(review_of(&centre, school, "school", 2)["reference"], reference, "one reference for both");
    let path = format!("{REVIEWS}/{}", reference.as_str().unwrap());
    assert_eq!(centre.get(&keys[2], &path).code(), "not-found", "resolvable only by the two");
    assert_eq!(centre.get(council, &path).json(), of_2);
    let backlog = |wanted: Value| {
        let found = centre.get(&centre.operator, "/v1/projects/p/backlog").json();
        let counts = json!([found["open"], found["half"], found["confirmed"], found["blocked"]]);
        assert_eq!(counts, wanted);
        found["oldest"].clone()
    };
    assert!(backlog(json!([7, 0, 0, 0])).is_string());
    let figures = centre.get(&centre.operator, "/metrics").text();
    assert!(figures.contains("blindlink_reviews_open{project=\"p\"} 7\n"), "{figures}");
    assert!(figures.contains("blindlink_reviews_oldest_seconds{project=\"p\"} "));

    // Two "same" confirm: a match at once and in the next run.
    assert_eq!(say(&centre, council, &reference, "same").json()["state"], "open");
    assert_eq!(answer(&centre, council, "council", 2), "possibly");
    backlog(json!([7, 1, 0, 0]));
    assert_eq!(say(&centre, school, &reference, "same").json()["state"], "confirmed");
    assert_eq!(answer(&centre, council, "council", 2), "yes");
    // One "different" blocks, for both and at once.
    let of_3 = review_of(&centre, council, "council", 3)["reference"].clone();
    assert_eq!(say(&centre, school, &of_3, "different").json()["state"], "blocked");
    assert_eq!(answer(&centre, council, "council", 3), "no_match_found");
    backlog(json!([5, 0, 1, 1]));
    let second = centre.run(council, "p");
    assert_ne!(first, second, "what was said is a reason to link the same data again");
    assert_eq!(answer(&centre, council, "council", 2), "yes");
    assert_eq!(answer(&centre, council, "council", 3), "no_match_found");
    backlog(json!([5, 0, 1, 1]));
    // Reversible, with its history; the other agency does not see a case reference.
    assert_eq!(say(&centre, school, &of_3, "unsure").json()["state"], "open");
    centre.run(council, "p");
    assert_eq!(answer(&centre, council, "council", 3), "possibly");
    let history = review_of(&centre, council, "council", 3)["history"].clone();
    let words: Vec<&str> =
        history.as_array().unwrap().iter().map(|s| s["verdict"].as_str().unwrap()).collect();
    assert_eq!(words, ["different", "unsure"]);
    assert!(!history.to_string().contains("C-1"));
    assert!(review_of(&centre, school, "school", 3)["history"].to_string().contains("C-1"));
    let events = centre.get(&centre.operator, "/v1/projects/p/events").text();
    assert_eq!(events.matches("review_decided").count(), 4);
    for bad in [json!({"verdict": "same"}), json!({"verdict": "same", "why": "Jane Okonkwo told me"})] {
        let refused = centre.send(council, "POST", &format!("{path}/decisions"), &bad);
        assert_eq!(refused.code(), "malformed");
        assert!(!refused.text().contains("Okonkwo"));
    }
    centre.running.stop().unwrap();
}

#[test]
fn decisions_outlive_re_encoding_and_epochs() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..4, 0));
    centre.upload(&keys[1], "p", "school", &batch("school", 0..4, UNSURE));
    centre.run(&keys[0], "p");
    let reference = |child| review_of(&centre, &keys[0], "council", child)["reference"].clone();
    let (of_0, of_1) = (reference(0), reference(1));
    for key in &keys {
        assert_eq!(say(&centre, key, &of_0, "same").status, 200);
    }
    assert_eq!(say(&centre, &keys[1], &of_1, "different").status, 200);
    let put = centre.send(&centre.operator, "PUT", "/v1/projects/p/epoch", &json!({"epoch": 2}));
    assert_eq!(put.status, 200);
    // Another key makes other filters; what stays is the refs.
    for (key, agency, noise) in [(&keys[0], "council", 0), (&keys[1], "school", UNSURE - 1)] {
        let (mut create, bodies) = announcement("p", agency, &batch(agency, 0..4, noise), 10);
        create.header.epoch = 2.try_into().unwrap();
        create.header.key_check = KeyCheckValue::from_bytes([3; 16]);
        centre.upload_announced(key, "p", &create, &bodies);
    }
    centre.run(&keys[0], "p");
    let answers = [0, 1, 2].map(|child| answer(&centre, &keys[0], "council", child));
    assert_eq!(answers, [json!("yes"), json!("no_match_found"), json!("possibly")]);
    centre.running.stop().unwrap();
}

/// The case of DOMAIN: a child is adopted; the old and the new identity must never link, though the social
/// worker's old record goes, everybody encodes again, and a new epoch begins.
#[test]
fn an_adopted_childs_two_identities_never_meet() {
    const OLD: u64 = 100;
    const NEW: u64 = 200;
    // Both identities are the same child: date and first name stay, so the filters are near each other.
    let identity = |agency: &str, ids: &[(u64, u8)]| {
        let mut batch = EncodingBatch::empty(Arc::new(layout()));
        batch.refs = ids.iter().map(|(id, _)| record(agency, *id)).collect();
        let filters = ids.iter().flat_map(|(_, noise)| filter(7, *noise)).collect();
        batch.slots = vec![SlotColumn { filters, tags: None }];
        batch
    };
    let centre = Centre::start();
    let keys = centre.project("p", &["care", "school", "health"]);
    let upload = |at: usize, agency: &str, ids: &[(u64, u8)], epoch: u32| {
        let (mut create, bodies) = announcement("p", agency, &identity(agency, ids), 10);
        create.header.epoch = epoch.try_into().unwrap();
        create.header.key_check = KeyCheckValue::from_bytes([u8::try_from(epoch).unwrap(); 16]);
        centre.upload_announced(&keys[at], "p", &create, &bodies);
    };
    // Which agency sees its old (new) record linked with another.
    let seen = |agency: &str, id: u64, at: usize| -> Vec<(String, String)> {
        let page = centre.get(&keys[at], "/v1/projects/p/links").json();
        let own = record(agency, id).to_string();
        let links = page["links"].as_array().unwrap().iter().filter(|link| link["record"] == own);
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        links.map(|link| (word(&link["agency"]), word(&link["band"]))).collect()
    };
    upload(0, "care", &[(OLD, 0), (NEW, UNSURE)], 1);
    upload(1, "school", &[(OLD, 1), (NEW, UNSURE + 1)], 1);
    upload(2, "health", &[(OLD, 2)], 1);
    centre.run(&keys[0], "p");
    let matched =
        |agency: &str| vec![("care".to_owned(), "match".to_owned()), (agency.to_owned(), "match".to_owned())];
    assert_eq!(seen("school", OLD, 1), matched("health"));
    assert_eq!(seen("school", NEW, 1).len(), 1, "the new identity is known to care and school");
    let said = json!({"one": [record("care", OLD)], "other": [record("care", NEW)], "why": "adoption"});
    let apart = centre.send(&keys[0], "POST", "/v1/projects/p/apart", &said);
    assert_eq!(apart.status, 201, "{}", apart.text());
    assert!(!apart.text().contains(&record("school", OLD).to_string()), "its own records only");
    let never = |what: &str| {
        for (at, agency) in [(0usize, "care"), (1, "school"), (2, "health")] {
            let key = &keys[at];
            let asked = json!({"record": record(agency, NEW), "purpose": "safeguarding"});
            let told =
                centre.send(key, "POST", "/v1/projects/p/lookups", &asked).json()["matches"].to_string();
            assert!(!(agency == "school" && told.contains("health")), "{what}: {told}");
        }
        assert!(seen("health", OLD, 2).iter().all(|(agency, _)| agency != "school"), "{what}");
        assert!(seen("health", OLD, 2).iter().all(|(agency, _)| agency != "care"), "{what}");
        assert_eq!(reviews(&centre, &keys[2], "open"), [] as [Value; 0], "{what}");
    };
    // The old identity ends at care and at school; health keeps its old record, which now fits the new best.
    upload(0, "care", &[(NEW, UNSURE)], 1);
    upload(1, "school", &[(NEW, UNSURE + 1)], 1);
    never("before the next run");
    centre.run(&keys[0], "p");
    never("after the next run");
    assert_eq!(seen("school", NEW, 1), [("care".to_owned(), "match".to_owned())], "the new identity goes on");
    assert_eq!(
        centre.send(&centre.operator, "PUT", "/v1/projects/p/epoch", &json!({"epoch": 2})).status,
        200
    );
    upload(0, "care", &[(NEW, UNSURE)], 2);
    upload(1, "school", &[(NEW, UNSURE)], 2);
    upload(2, "health", &[(OLD, 2)], 2);
    centre.run(&keys[0], "p");
    never("in a new epoch");
    // The control: without the word they do link, so that this test can fail.
    let id = apart.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/projects/p/apart/{id}");
    assert_eq!(centre.send(&keys[1], "DELETE", &path, &json!({})).code(), "not-found", "not the school's");
    assert!(centre.send(&keys[0], "DELETE", &path, &json!({})).json()["lifted"].is_string());
    centre.run(&keys[0], "p");
    assert_eq!(seen("health", OLD, 2).len(), 2, "lifted, they link");
    centre.running.stop().unwrap();
}

#[test]
fn a_reviewer_decides_on_pages_without_a_script() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..4, 0));
    centre.upload(&keys[1], "p", "school", &batch("school", 0..4, UNSURE));
    centre.run(&keys[0], "p");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let reviewer = centre.key("p", "council", &["reviewer"]);
    let signed =
        request(centre.addr(), "POST", "/console/sign-in", &[form], format!("key={reviewer}").as_bytes());
    assert_eq!((signed.status, signed.header("location")), (303, Some("/console/reviews".to_owned())));
    let cookie = signed.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let get = |path: &str| request(centre.addr(), "GET", path, &[("cookie", &cookie)], b"");
    assert_eq!(get("/console").header("location").unwrap(), "/console/reviews");
    assert_eq!(get("/console/projects/p").status, 303, "a reviewer's key opens no operator's page");
    let list = get("/console/reviews").text();
    let review = review_of(&centre, &keys[0], "council", 1);
    let reference = review["reference"].as_str().unwrap().to_owned();
    assert!(list.contains(&reference) && !list.contains("<script"));
    let path = format!("/console/reviews/{reference}");
    let page = get(&path).text();
    assert!(page.contains("Is this the same child?") && page.contains("near"), "{page}");
    let post = |headers: &[(&str, &str)], body: &str| {
        request(centre.addr(), "POST", &path, headers, body.as_bytes())
    };
    let own = [form, ("cookie", &*cookie)];
    let cross = [form, ("cookie", &*cookie), ("sec-fetch-site", "cross-site")];
    assert_eq!(post(&cross, "verdict=same&why=family_known&case=").status, 400);
    assert_eq!(post(&[form], "verdict=same&why=family_known&case=").status, 303, "signed out: to the form");
    for bad in ["why=family_known&case=", "verdict=same&why=&case=", "verdict=same&why=twins&case=a+name"] {
        let refused = post(&own, bad);
        assert_eq!(refused.status, 422, "{bad}");
        assert!(refused.text().contains("There is a problem"));
    }
    assert_eq!(review_of(&centre, &keys[0], "council", 1)["history"], json!([]), "nothing was said yet");
    let saved = post(&own, "verdict=same&why=family_known&case=C-7");
    assert_eq!(
        (saved.status, saved.header("location").unwrap()),
        (303, format!("{}?saved", path.to_lowercase()))
    );
    assert!(get(&format!("{path}?saved")).text().contains("Your word has been saved"));
    let operator = request(
        centre.addr(),
        "POST",
        "/console/sign-in",
        &[form],
        format!("key={}", centre.operator).as_bytes(),
    );
    let cookie = operator.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let project = request(centre.addr(), "GET", "/console/projects/p", &[("cookie", &cookie)], b"").text();
    assert!(project.contains("Wait for a word") && project.contains("The oldest waits since"), "{project}");
    assert_eq!(request(centre.addr(), "GET", "/console/reviews", &[("cookie", &cookie)], b"").status, 303);
    centre.running.stop().unwrap();
}
