//! Published tables over HTTP: suppressed, frozen, the same from runs one record apart.

#![cfg(feature = "central")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::service::server::start_with;
use blindlink::store::MemoryStore;
use blindlink::wire::{EncodingBatch, Layout, Payload, PayloadColumn, Profile, UtcTime};
use serde_json::{Value, json};
use service_support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const DAY: i64 = 86_400_000;

struct Place {
    centre: Centre,
    keys: Vec<String>,
    now: Arc<AtomicI64>,
}

fn dated_layout() -> Layout {
    let columns = vec![PayloadColumn::AreaCode, PayloadColumn::AgeBand, PayloadColumn::LastSeen];
    Layout::new(Profile::Clk, layout().views().to_vec(), false, vec![], columns).unwrap()
}

/// Records with an area and an age band by their number; a few live in an area of their own.
fn records(agency: &str, children: std::ops::Range<u64>) -> EncodingBatch {
    let mut all = batch(agency, children.clone(), 0);
    all.layout = Arc::new(dated_layout());
    let payload = |n: u64| Payload {
        area_code: (if n < 3 {
            "hamlet"
        } else if n.is_multiple_of(3) {
            "north"
        } else {
            "south"
        })
        .parse()
        .ok(),
        age_band: (if n.is_multiple_of(2) { "5-10" } else { "11-15" }).parse().ok(),
        last_seen: "2026-02".parse().ok(),
        ..Payload::default()
    };
    all.payload = children.map(payload).collect();
    all
}

impl Place {
    fn start() -> Self {
        let now = Arc::new(AtomicI64::new("2026-03-01T12:00:00Z".parse::<UtcTime>().unwrap().millis()));
        let hand = Arc::clone(&now);
        let clock = Arc::new(move || UtcTime::from_millis(hand.load(Ordering::SeqCst)).unwrap());
        let running = start_with(&config(), Arc::new(MemoryStore::new()), clock, false).unwrap();
        let operator = running.first_key().unwrap().expose();
        let centre = Centre { running, operator };
        let mut body = project_body("p");
        body["layout"] = json!(dated_layout());
        assert_eq!(centre.send(&centre.operator, "POST", "/v1/projects", &body).status, 201);
        let keys = ["council", "health", "school"].iter().map(|agency| centre.party("p", agency)).collect();
        Self { centre, keys, now }
    }
    fn upload(&self, at: usize, agency: &str, children: std::ops::Range<u64>) {
        let (mut create, bodies) = announcement("p", agency, &records(agency, children), 100);
        create.header.layout = dated_layout();
        self.centre.upload_announced(&self.keys[at], "p", &create, &bodies);
    }
    fn table(&self, name: &str) -> Value {
        let found = self.centre.get(&self.centre.operator, &format!("/v1/projects/p/tables/{name}"));
        assert_eq!(found.status, 200, "{name}: {}", found.text());
        found.json()
    }
    fn refused(&self, name: &str) -> String {
        self.centre.get(&self.centre.operator, &format!("/v1/projects/p/tables/{name}")).code()
    }
}

const TABLES: [&str; 8] = [
    "overlap",
    "known-to",
    "at-least",
    "area",
    "month",
    "absence?present=health&absent=school",
    "known-to?without=school",
    "overlap?threshold=0.95",
];

fn figures(table: &Value) -> Value {
    json!([table["rows"], table["columns"], table["cells"]])
}

#[test]
fn tables_of_runs_one_record_apart_are_the_same_and_a_moved_one_is_not() {
    let place = Place::start();
    assert_eq!(place.refused("known-to"), "not-found", "nothing was linked yet");
    place.upload(0, "council", 0..60);
    place.upload(1, "health", 20..90);
    place.upload(2, "school", 40..140);
    let first = place.centre.run(&place.keys[0], "p");
    let before: Vec<Value> = TABLES.iter().map(|name| place.table(name)).collect();
    assert!(before.iter().all(|table| table["run"] == json!(first)));
    // 140 children: 0..20 one agency, 20..40 two, 40..60 three, 60..90 two, 90..140 one.
    assert_eq!(before[1]["cells"], json!([[70], [50], [20]]));
    assert_eq!(before[2]["cells"], json!([[140], [70], [20]]));
    assert_eq!(before[6]["cells"], json!([[50], [40], [0]]));
    let area = &before[3];
    let hamlet = area["rows"].as_array().unwrap().iter().position(|row| row == "hamlet").unwrap();
    assert_eq!(area["cells"][hamlet][0], json!("c"), "three children in a hamlet");
    let absence = &before[5];
    assert_eq!(absence["columns"][1], json!("not known to school"));
    assert_eq!(absence["cells"][0][1], json!(10), "{absence}");
    assert!(!before.iter().any(|table| table.to_string().contains("area0")));

    // One child more. Another run the same day, and one after the cool-off.
    place.upload(1, "health", 20..91);
    let second = place.centre.run(&place.keys[0], "p");
    assert_ne!(first, second);
    for (name, old) in TABLES.iter().zip(&before) {
        assert_eq!(place.table(name), *old, "{name}: another run within the cool-off");
    }
    place.now.fetch_add(8 * DAY, Ordering::SeqCst);
    for (name, old) in TABLES.iter().zip(&before) {
        let new = place.table(name);
        assert_eq!(new["run"], json!(second), "{name}");
        assert_eq!(figures(&new), figures(old), "{name} tells that one record moved");
    }
    // Twenty more do show, after the next cool-off only.
    place.upload(1, "health", 20..110);
    place.centre.run(&place.keys[0], "p");
    assert_eq!(place.table("known-to")["cells"], before[1]["cells"]);
    place.now.fetch_add(8 * DAY, Ordering::SeqCst);
    assert_eq!(place.table("known-to")["cells"], json!([[50], [70], [20]]));
    place.centre.running.stop().unwrap();
}

/// A table asked for before a shield was set, and one after: laid over each other they tell nothing of the child.
#[test]
fn a_later_shield_changes_no_table_of_the_taken_run() {
    let table = |shielded: Option<(usize, &str)>| {
        let place = Place::start();
        place.upload(0, "council", 0..13);
        place.upload(1, "health", 0..13);
        place.upload(2, "school", 100..130);
        place.centre.run(&place.keys[0], "p");
        assert_eq!(place.table("overlap")["cells"][1][0], json!(15), "13, rounded");
        if let Some((at, agency)) = shielded {
            let path = format!("/v1/projects/p/shields/{}", record(agency, 3));
            let hidden = json!({"visibility": "hidden", "why": "domestic_abuse"});
            assert_eq!(place.centre.send(&place.keys[at], "PUT", &path, &hidden).status, 200);
            place.centre.run(&place.keys[0], "p");
        }
        let cells = place.table("known-to")["cells"].clone();
        place.centre.running.stop().unwrap();
        cells
    };
    let before = table(None);
    assert_eq!(before[1], json!([15]));
    assert_eq!(table(Some((0, "council"))), before);
    assert_eq!(table(Some((1, "health"))), before);
}

#[test]
fn the_console_shows_tables_and_a_form_without_script() {
    let place = Place::start();
    place.upload(0, "council", 0..30);
    place.upload(1, "health", 10..40);
    place.centre.run(&place.keys[0], "p");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = format!("key={}", place.centre.operator);
    let addr = place.centre.addr();
    let signed = request(addr, "POST", "/console/sign-in", &[form], body.as_bytes());
    let cookie = signed.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let get = |path: &str, cookie: &str| request(addr, "GET", path, &[("cookie", cookie)], b"");
    assert_eq!(get("/console/projects/p/tables/known-to", "").status, 303);
    let page = get("/console/projects/p/tables/known-to?threshold=0.95&without=", &cookie);
    assert_eq!(page.status, 200, "{}", page.text());
    for said in ["<table>", "<form method=\"get\"", "known-to?threshold=0.95", "Known to at least so many"] {
        assert!(page.text().contains(said), "{said}: {}", page.text());
    }
    assert!(!page.text().contains("<script"));
    assert_eq!(get("/console/projects/p/tables/surname", &cookie).status, 404);
    assert_eq!(get("/console/projects/p/tables/known-to?threshold=9", &cookie).status, 400);
    assert!(get("/console/projects/p", &cookie).text().contains("/console/projects/p/tables/known-to"));
    place.centre.running.stop().unwrap();
}

#[test]
fn tables_are_read_strictly_and_bounded_in_number() {
    let place = Place::start();
    place.upload(0, "council", 0..30);
    place.upload(1, "health", 10..40);
    place.upload(2, "school", 20..50);
    place.centre.run(&place.keys[0], "p");
    for (name, code) in [
        ("surname", "not-found"),
        ("known-to?surname=x", "malformed"),
        ("known-to?threshold=2", "malformed"),
        ("known-to?without=council&without=council", "malformed"),
        ("known-to?without=police", "rule"),
        ("known-to?without=council&without=health", "rule"),
        ("absence", "malformed"),
    ] {
        assert_eq!(place.refused(name), code, "{name}");
    }
    let tried = (1..=99).map(|n| format!("known-to?threshold=0.{n:02}"));
    let refused = tried.filter(|name| {
        let found = place.centre.get(&place.centre.operator, &format!("/v1/projects/p/tables/{name}"));
        found.status == 422
    });
    assert_eq!(refused.count(), 99 - 24, "so many equations may be asked for, and no more");
    place.table("known-to");
    // Those of the run as it is are not suppositions, and those asked for before are read again.
    for name in ["at-least", "area", "month", "known-to?threshold=0.01"] {
        place.table(name);
    }
    place.centre.running.stop().unwrap();
}
