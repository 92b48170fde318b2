//! Uploads that must be refused, each with its reason, and nothing half-stored.

#![cfg(feature = "central")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use arrow_array::{ArrayRef, FixedSizeBinaryArray, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Field, Schema};
use blindlink::wire::messages::{ChunkSpec, DatasetCreate};
use blindlink::wire::{ContentDigest, KeyCheckValue, RecordRef, SchemaFingerprint};
use serde_json::{Value, json};
use service_support::*;
use std::sync::Arc;

const DATASETS: &str = "/v1/projects/p/datasets";

fn datasets(centre: &Centre) -> usize {
    centre.get(&centre.operator, DATASETS).json()["datasets"].as_array().unwrap().len()
}

#[test]
fn announcements_that_do_not_fit_are_refused_with_the_reason() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school"]);
    centre.upload(&keys[1], "p", "school", &batch("school", 0..5, 0));
    let before = datasets(&centre);
    let (good, _) = announcement("p", "council", &batch("council", 0..250, 0), 100);
    type Change = Box<dyn Fn(&mut DatasetCreate)>;
    let cases: Vec<(&str, u16, Change)> = vec![
        ("format-version", 422, Box::new(|c| c.header.format_version = 2)),
        ("foreign-agency", 403, Box::new(|c| c.header.agency = "school".parse().unwrap())),
        ("project-mismatch", 422, Box::new(|c| c.header.project = "q".parse().unwrap())),
        ("plain-ids", 422, Box::new(|c| c.header.plain_ids = true)),
        (
            "schema-mismatch",
            422,
            Box::new(|c| c.header.schema_fingerprint = SchemaFingerprint::from_bytes([8; 32])),
        ),
        ("key-mismatch", 422, Box::new(|c| c.header.key_check = KeyCheckValue::from_bytes([1; 16]))),
        ("epoch-mismatch", 422, Box::new(|c| c.header.epoch = 2.try_into().unwrap())),
        (
            "layout-mismatch",
            422,
            Box::new(|c| {
                let text = json!(c.header.layout).to_string().replace("256", "128");
                c.header.layout = serde_json::from_str(&text).unwrap();
            }),
        ),
        ("count-mismatch", 422, Box::new(|c| c.header.records = 251)),
        ("count-mismatch", 422, Box::new(|c| c.chunks.truncate(2))),
        ("too-many-records", 422, Box::new(|c| c.chunks[0].records = 8_193)),
        ("too-many-records", 422, Box::new(|c| c.chunks[0].records = 0)),
        ("removals-without-base", 422, Box::new(|c| c.removals.push(RecordRef::from_bytes([0; 16])))),
        ("base-changed", 409, Box::new(|c| c.base = Some("ds-none".parse().unwrap()))),
        (
            "too-many-removals",
            422,
            Box::new(|c| {
                c.base = Some("ds-none".parse().unwrap());
                c.removals = vec![RecordRef::from_bytes([0; 16]); 100_001];
            }),
        ),
    ];
    for (code, status, change) in cases {
        let mut create = good.clone();
        change(&mut create);
        let refused = centre.send(&keys[0], "POST", DATASETS, &json!(create));
        assert_eq!((refused.status, &*refused.code()), (status, code), "{}", refused.text());
        assert!(refused.json()["detail"].as_str().unwrap().len() > 20, "{code} says what to do");
    }
    let mut unknown = json!(good);
    unknown["header"]["surname"] = json!("Okonkwo");
    let refused = centre.send(&keys[0], "POST", DATASETS, &unknown);
    assert_eq!(refused.code(), "malformed");
    assert!(!refused.text().contains("Okonkwo"));
    assert_eq!(datasets(&centre), before, "nothing is half-stored");
    centre.running.stop().unwrap();
}

/// An Arrow stream of the given columns.
fn stream(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), false)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let record = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    writer.write(&record).unwrap();
    writer.into_inner().unwrap()
}

fn binary(width: usize, rows: usize) -> ArrayRef {
    let cells = (0..rows).map(|row| vec![row as u8 + 1; width]);
    Arc::new(FixedSizeBinaryArray::try_from_iter(cells).unwrap())
}

fn good_columns() -> Vec<(&'static str, ArrayRef)> {
    vec![("ref", binary(16, 3)), ("record.0", binary(32, 3))]
}

/// Announces one chunk of three records with this body and sends it.
fn send_body(centre: &Centre, key: &str, body: &[u8]) -> Answer {
    let three = batch("council", 0..3, 0);
    let (mut create, _) = announcement("p", "council", &three, 100);
    create.chunks = vec![ChunkSpec { digest: ContentDigest::of(body), records: 3 }];
    let made = centre.send(key, "POST", DATASETS, &json!(create));
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let answer = centre.put_chunk(key, "p", &id, 0, body);
    let status = centre.get(key, &format!("{DATASETS}/{id}")).json();
    assert_eq!(status["missing"] == json!([]), answer.status == 204, "a refused chunk stays missing");
    let path = format!("{DATASETS}/{id}");
    assert_eq!(centre.send(key, "DELETE", &path, &json!({})).status, 204);
    answer
}

#[test]
fn chunks_that_are_not_encodings_of_the_project_are_refused_by_name() {
    let centre = Centre::start();
    let key = centre.project("p", &["council"]).remove(0);
    let surname: ArrayRef = Arc::new(StringArray::from(vec!["Okonkwo"; 3]));
    let with = |name: &'static str, array: ArrayRef| {
        let mut columns = good_columns();
        columns.push((name, array));
        stream(columns)
    };
    let wide: Vec<String> = (0..20_000).map(|n| format!("c{n}")).collect();
    let many: Vec<(&str, ArrayRef)> = wide.iter().map(|name| (&**name, binary(1, 3))).collect();
    let mut cut = stream(good_columns());
    cut.truncate(cut.len() / 2);
    let mut flipped = stream(good_columns());
    flipped[40] ^= 0xff;
    let cases = [
        ("unknown-column", with("surname", Arc::clone(&surname))),
        ("unknown-column", with("local_id", surname)),
        ("unknown-column", stream(many)),
        ("missing-column", stream(vec![("ref", binary(16, 3))])),
        ("wrong-length", stream(vec![("ref", binary(16, 3)), ("record.0", binary(31, 3))])),
        ("wrong-length", stream(vec![("ref", binary(15, 3)), ("record.0", binary(32, 3))])),
        ("count-mismatch", stream(vec![("ref", binary(16, 2)), ("record.0", binary(32, 2))])),
        ("count-mismatch", stream(vec![("ref", binary(16, 4)), ("record.0", binary(32, 4))])),
        ("malformed-arrow", b"not arrow at all".to_vec()),
        ("malformed-arrow", b"\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec()),
    ];
    for (code, body) in cases {
        let refused = send_body(&centre, &key, &body);
        assert_eq!((refused.status, &*refused.code()), (422, code), "{}", refused.text());
        assert!(!refused.text().contains("Okonkwo"));
    }
    // A damaged stream is refused one way or another, and never fatal.
    for body in [cut, flipped, Vec::new()] {
        let refused = send_body(&centre, &key, &body);
        assert_eq!(refused.status, 422, "{}", refused.text());
    }
    let named = send_body(&centre, &key, &with("surname", Arc::new(StringArray::from(vec!["x"; 3]))));
    assert!(named.json()["detail"].as_str().unwrap().contains("'surname'"));
    assert_eq!(send_body(&centre, &key, &stream(good_columns())).status, 204);
    assert_eq!(datasets(&centre), 0);
    centre.running.stop().unwrap();
}

#[test]
fn an_upload_resumes_with_the_same_content_only() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school"]);
    let key = &keys[0];
    let records = batch("council", 0..250, 0);
    let (create, bodies) = announcement("p", "council", &records, 100);
    let made = centre.send_once(key, DATASETS, "upload-1", &json!(create));
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.json()["missing"], json!([0, 1, 2]));
    assert_eq!(centre.put_chunk(key, "p", &id, 1, &bodies[1]).status, 204);
    assert_eq!(centre.put_chunk(key, "p", &id, 1, &bodies[1]).status, 204, "again changes nothing");
    assert_eq!(centre.put_chunk(key, "p", &id, 0, &bodies[2]).code(), "digest-mismatch");
    assert_eq!(centre.put_chunk(key, "p", &id, 1, &bodies[2]).code(), "digest-mismatch");
    assert_eq!(centre.put_chunk(key, "p", &id, 3, &bodies[2]).code(), "no-such-chunk");
    let big = vec![0; (4 << 20) + 1];
    assert_eq!(centre.put_chunk(key, "p", &id, 0, &big).code(), "body-too-large");
    let chunk = format!("{DATASETS}/{id}/chunks/0");
    assert_eq!(centre.send(key, "PUT", &chunk, &json!({})).code(), "media-type");

    let again = centre.send_once(key, DATASETS, "upload-1", &json!(create));
    assert_eq!((again.status, &again.json()["missing"]), (200, &json!([0, 2])));
    let mut other = create.clone();
    other.header.content = ContentDigest::of(b"other");
    assert_eq!(centre.send_once(key, DATASETS, "upload-1", &json!(other)).code(), "idempotency-key-reused");

    // Another agency sees neither the upload nor that there is one.
    let path = format!("{DATASETS}/{id}");
    let nowhere = centre.get(&keys[1], &format!("{DATASETS}/ds-nowhere"));
    for refused in [
        centre.get(&keys[1], &path),
        centre.send(&keys[1], "DELETE", &path, &json!({})),
        centre.send(&keys[1], "POST", &format!("{path}/seal"), &json!({})),
        centre.put_chunk(&keys[1], "p", &id, 0, &bodies[0]),
    ] {
        assert_eq!((refused.status, &refused.body), (404, &nowhere.body));
    }
    assert_eq!(centre.get(&keys[1], DATASETS).json()["datasets"], json!([]));

    let early = centre.send(key, "POST", &format!("{path}/seal"), &json!({}));
    assert_eq!((early.status, &*early.code()), (409, "chunks-missing"));
    centre.put_chunk(key, "p", &id, 0, &bodies[0]);
    centre.put_chunk(key, "p", &id, 2, &bodies[2]);
    let sealed = centre.send(key, "POST", &format!("{path}/seal"), &json!({}));
    assert_eq!((sealed.status, &sealed.json()["records_current"]), (201, &json!(250)));
    let again = centre.send(key, "POST", &format!("{path}/seal"), &json!({}));
    assert_eq!((again.status, &again.body), (201, &sealed.body));
    assert_eq!(centre.put_chunk(key, "p", &id, 0, &bodies[0]).code(), "sealed");
    assert_eq!(centre.send(key, "DELETE", &path, &json!({})).code(), "sealed");
    let resent = centre.send_once(key, DATASETS, "upload-1", &json!(create));
    assert_eq!((resent.status, &resent.json()["state"]), (200, &json!("sealed")));
    centre.running.stop().unwrap();
}

#[test]
fn what_was_stored_is_checked_as_a_whole_at_the_seal() {
    let centre = Centre::start();
    let key = centre.project("p", &["council"]).remove(0);
    let seal = |create: &DatasetCreate, bodies: &[Vec<u8>]| {
        let made = centre.send(&key, "POST", DATASETS, &json!(create)).json();
        let id = made["id"].as_str().unwrap();
        for (number, body) in (0..).zip(bodies) {
            assert_eq!(centre.put_chunk(&key, "p", id, number, body).status, 204);
        }
        let path = format!("{DATASETS}/{id}");
        let answer = centre.send(&key, "POST", &format!("{path}/seal"), &json!({}));
        centre.send(&key, "DELETE", &path, &json!({}));
        answer
    };
    let records = batch("council", 0..20, 0);
    let (mut create, bodies) = announcement("p", "council", &records, 10);
    create.header.content = ContentDigest::of(b"something else");
    assert_eq!(seal(&create, &bodies).code(), "content-mismatch");
    let twice = batch("council", (0..20).chain(5..7), 0);
    let (create, bodies) = announcement("p", "council", &twice, 10);
    let refused = seal(&create, &bodies);
    assert_eq!(refused.code(), "duplicate-refs");
    assert!(refused.text().contains("2 record refs"));
    assert_eq!(datasets(&centre), 0);
    for _ in 0..8 {
        let (create, _) = announcement("p", "council", &records, 10);
        assert_eq!(centre.send(&key, "POST", DATASETS, &json!(create)).status, 201);
    }
    let (create, _) = announcement("p", "council", &records, 10);
    assert_eq!(centre.send(&key, "POST", DATASETS, &json!(create)).code(), "too-many-uploads");
    centre.running.stop().unwrap();
}

#[test]
fn look_ups_need_a_purpose_of_the_agreement_and_a_record_of_ones_own() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school"]);
    centre.upload(&keys[0], "p", "council", &batch("council", 0..10, 0));
    centre.upload(&keys[1], "p", "school", &batch("school", 0..10, 0));
    centre.run(&keys[0], "p");
    let ask = |body: Value| centre.send(&keys[0], "POST", "/v1/projects/p/lookups", &body);
    let record_of = |agency: &str| record(agency, 1).to_string();
    assert_eq!(ask(json!({"record": record_of("council")})).code(), "purpose-missing");
    let odd = json!({"record": record_of("council"), "purpose": "curiosity"});
    assert_eq!((ask(odd.clone()).status, &*ask(odd).code()), (403, "purpose-not-agreed"));
    let unknown = ask(json!({"record": "00".repeat(16), "purpose": "safeguarding"}));
    let foreign = ask(json!({"record": record_of("school"), "purpose": "safeguarding"}));
    assert_eq!((unknown.status, &unknown.body), (404, &foreign.body));
    for bad in ["Jane Doe", "a/b", ""] {
        let refused = ask(json!({"record": record_of("council"), "purpose": "safeguarding", "case": bad}));
        assert_eq!(refused.code(), "malformed", "a case reference is a code, not a name");
    }
    let fine = ask(json!({"record": record_of("council"), "purpose": "safeguarding"}));
    let text = fine.text();
    assert_eq!(fine.status, 200);
    assert!(!text.contains(&record_of("school")), "never another agency's ref");
    assert!(!text.contains("score") && !text.contains("0.9"));
    let ended = json!({
        "id": "old", "title": "Ended", "schema": "test 1", "ends": "2020-01-01T00:00:00Z",
        "schema_fingerprint": "07".repeat(32), "layout": layout(), "decision": decision(),
        "purposes": ["safeguarding"],
    });
    assert_eq!(centre.send(&centre.operator, "POST", "/v1/projects", &ended).status, 201);
    let key = centre.party("old", "council");
    let body = json!({"record": record_of("council"), "purpose": "safeguarding"});
    assert_eq!(centre.send(&key, "POST", "/v1/projects/old/lookups", &body).code(), "agreement-ended");
    let (create, _) = announcement("old", "council", &batch("council", 0..2, 0), 10);
    let refused = centre.send(&key, "POST", "/v1/projects/old/datasets", &json!(create));
    assert_eq!(refused.code(), "agreement-ended");
    centre.running.stop().unwrap();
}
