//! A running centre and a small HTTP client for the tests of the service.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]

use blindlink::config::central::CentralConfig;
use blindlink::service::server::{Running, start_with};
use blindlink::store::{Clock, MemoryStore, Store, system_clock};
use blindlink::wire::arrow::write_stream;
use blindlink::wire::messages::{ChunkSpec, DatasetCreate};
use blindlink::wire::{
    ContentDigest, DecisionModel, DiceModel, EncodingBatch, EncodingHeader, Epoch, FORMAT_VERSION,
    KeyCheckValue, Layout, Profile, RecordRef, SchemaFingerprint, Segment, SlotColumn, View,
};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// Who acts in the tests.
pub const USER: (&str, &str) = ("acting-user", "a.tester");
pub const ARROW: &str = "application/vnd.apache.arrow.stream";

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text()))
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    /// The code of a problem.
    pub fn code(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        let kind = self.json()["type"].as_str().unwrap().to_owned();
        kind.strip_prefix("urn:blindlink:problem:").unwrap().to_owned()
    }
    pub fn header(&self, name: &str) -> Option<String> {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(&prefix)).map(ToOwned::to_owned)
    }
}

/// One request on a connection of its own.
pub fn request(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(addr).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: centre\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.iter().any(|(name, _)| *name == "content-length" || *name == "transfer-encoding") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses by the head may close before the body is through.
    let _ = stream.write_all(body);
    // A refusal by the head lingers on its open connection: what the answer announces is enough.
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    while !is_whole(&bytes) {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
    let split = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an HTTP head");
    let head = String::from_utf8_lossy(&bytes[..split]).to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = bytes[split + 4..].to_vec();
    if head.contains("transfer-encoding: chunked") {
        body = unchunk(&body);
    }
    Answer { status, head, body }
}

/// Whether head and announced body are there; an answer without a length ends with its connection.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(split) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&bytes[..split]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() >= split + 4 + length)
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(&String::from_utf8_lossy(&bytes[..end]), 16).unwrap();
        out.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 4 + length..];
        if length == 0 {
            break;
        }
    }
    out
}

/// A centre with an operator's key.
pub struct Centre {
    pub running: Running,
    pub operator: String,
}

impl Centre {
    pub fn start() -> Self {
        Self::on(Arc::new(MemoryStore::new()))
    }
    pub fn on(store: Arc<dyn Store>) -> Self {
        Self::started(store, system_clock())
    }
    /// A centre in memory whose clock the test holds.
    pub fn with_clock(clock: Clock) -> Self {
        Self::started(Arc::new(MemoryStore::new()), clock)
    }
    fn started(store: Arc<dyn Store>, clock: Clock) -> Self {
        let config = config();
        let running = start_with(&config, store, clock, false).unwrap();
        let operator = running.first_key().map(|key| key.expose()).unwrap_or_default();
        Self { running, operator }
    }
    pub fn addr(&self) -> SocketAddr {
        self.running.addr()
    }
    pub fn get(&self, key: &str, path: &str) -> Answer {
        request(self.addr(), "GET", path, &[("authorization", &bearer(key)), USER], b"")
    }
    pub fn send(&self, key: &str, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("authorization", &*bearer(key)), ("content-type", "application/json"), USER];
        request(self.addr(), method, path, &headers, body.to_string().as_bytes())
    }
    /// [`Self::send`] by another member of staff.
    pub fn send_as(&self, user: &str, key: &str, path: &str, body: &Value) -> Answer {
        let bearer = bearer(key);
        let headers =
            [("authorization", &*bearer), ("content-type", "application/json"), ("acting-user", user)];
        request(self.addr(), "POST", path, &headers, body.to_string().as_bytes())
    }
    /// Proposes a matter with one key and approves it with another, by another person; returns the decision's id.
    pub fn decided(&self, project: &str, proposer: &str, second: &str, matter: &Value) -> String {
        let path = format!("/v1/projects/{project}/approvals");
        let made = self.send(proposer, "POST", &path, &json!({"matter": matter, "reason": "agreed"}));
        assert_eq!(made.status, 201, "{}", made.text());
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let said =
            self.send_as("b.second", second, &format!("{path}/{id}/approve"), &json!({"reason": "read"}));
        assert_eq!(said.json()["state"], "approved", "{}", said.text());
        id
    }
    pub fn carry_out(&self, project: &str, key: &str, id: &str) -> Answer {
        self.send(key, "POST", &format!("/v1/projects/{project}/approvals/{id}/carry-out"), &json!({}))
    }
    /// A further key of an agency, as its approver and the operator decide it.
    pub fn further_key(&self, project: &str, approver: &str, agency: &str, roles: &[&str]) -> String {
        let matter = json!({"kind": "key", "agency": agency, "roles": roles});
        let id = self.decided(project, &self.operator, approver, &matter);
        self.carry_out(project, approver, &id).json()["token"].as_str().unwrap().to_owned()
    }
    pub fn send_once(&self, key: &str, path: &str, once: &str, body: &Value) -> Answer {
        let headers = [
            ("authorization", &*bearer(key)),
            ("content-type", "application/json"),
            ("idempotency-key", once),
            USER,
        ];
        request(self.addr(), "POST", path, &headers, body.to_string().as_bytes())
    }
    pub fn put_chunk(&self, key: &str, project: &str, dataset: &str, number: u32, body: &[u8]) -> Answer {
        let path = format!("/v1/projects/{project}/datasets/{dataset}/chunks/{number}");
        let headers = [("authorization", &*bearer(key)), ("content-type", ARROW)];
        request(self.addr(), "PUT", &path, &headers, body)
    }

    /// Opens a project with parties; returns one key of all agency roles per party.
    pub fn project(&self, project: &str, parties: &[&str]) -> Vec<String> {
        let made = self.send(&self.operator, "POST", "/v1/projects", &project_body(project));
        assert_eq!(made.status, 201, "{}", made.text());
        parties.iter().map(|agency| self.party(project, agency)).collect()
    }
    pub fn party(&self, project: &str, agency: &str) -> String {
        let body = agency_body(agency);
        let made = self.send(&self.operator, "PUT", &format!("/v1/agencies/{agency}"), &body);
        assert_eq!(made.status, 200, "{}", made.text());
        let path = format!("/v1/projects/{project}/agencies/{agency}");
        assert_eq!(self.send(&self.operator, "PUT", &path, &json!({})).status, 200);
        self.key(project, agency, &["submitter", "requester", "reviewer", "approver", "auditor"])
    }
    pub fn key(&self, project: &str, agency: &str, roles: &[&str]) -> String {
        let scope = json!({"kind": "agency", "agency": agency, "project": project});
        let made = self.send(&self.operator, "POST", "/v1/keys", &json!({"scope": scope, "roles": roles}));
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["token"].as_str().unwrap().to_owned()
    }
    /// Uploads and seals a whole dataset in chunks of 100; returns its id.
    pub fn upload(&self, key: &str, project: &str, agency: &str, batch: &EncodingBatch) -> String {
        let (create, bodies) = announcement(project, agency, batch, 100);
        self.upload_announced(key, project, &create, &bodies)
    }
    pub fn upload_announced(
        &self,
        key: &str,
        project: &str,
        create: &DatasetCreate,
        bodies: &[Vec<u8>],
    ) -> String {
        let path = format!("/v1/projects/{project}/datasets");
        let made = self.send(key, "POST", &path, &serde_json::to_value(create).unwrap());
        assert_eq!(made.status, 201, "{}", made.text());
        let id = made.json()["id"].as_str().unwrap().to_owned();
        for (number, body) in (0..).zip(bodies) {
            let put = self.put_chunk(key, project, &id, number, body);
            assert_eq!(put.status, 204, "{}", put.text());
        }
        let sealed = self.send(key, "POST", &format!("{path}/{id}/seal"), &json!({}));
        assert_eq!(sealed.status, 201, "{}", sealed.text());
        id
    }
    /// Runs and waits until finished; returns the run's id.
    pub fn run(&self, key: &str, project: &str) -> String {
        let path = format!("/v1/projects/{project}/runs");
        let started = self.send(key, "POST", &path, &json!({}));
        assert!([200, 202].contains(&started.status), "{}", started.text());
        let id = started.json()["id"].as_str().unwrap().to_owned();
        for _ in 0..2_000 {
            let run = self.get(key, &format!("{path}/{id}")).json();
            match run["state"].as_str().unwrap() {
                "running" => std::thread::sleep(std::time::Duration::from_millis(5)),
                "finished" => return id,
                other => panic!("the run ended as {other}"),
            }
        }
        panic!("the run did not end")
    }
}

pub fn config() -> CentralConfig {
    CentralConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        workers: 1,
        link_threads: 1,
        secrets_dir: Some(secrets().to_owned()),
        ..Default::default()
    }
}

/// The secrets that all centres of the tests share, those of killed child processes too.
pub fn secrets() -> &'static std::path::Path {
    static FOLDER: std::sync::OnceLock<std::path::PathBuf> = std::sync::OnceLock::new();
    FOLDER.get_or_init(|| {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("secrets");
        let config = CentralConfig { secrets_dir: Some(path.clone()), ..Default::default() };
        blindlink::service::secrets::Secrets::open(&config, true).unwrap();
        path
    })
}

/// The root key of [`secrets`].
pub fn root_key() -> blindlink::store::seal::RootKey {
    blindlink::service::secrets::root_key(&config()).unwrap()
}

pub fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

pub fn layout() -> Layout {
    let segment = Segment { attribute: "record".parse().unwrap(), start: 0, bits: 256 };
    let view =
        View { name: "record".parse().unwrap(), slots: 1, bits: 256, segments: vec![segment], tag: None };
    Layout::new(Profile::Clk, vec![view], false, vec![], vec![]).unwrap()
}

pub fn decision() -> DecisionModel {
    let model = DiceModel {
        match_at: "0.9".parse().unwrap(),
        review_at: "0.8".parse().unwrap(),
        runner_up_margin: None,
    };
    DecisionModel::Dice(model)
}

pub fn project_body(id: &str) -> Value {
    json!({
        "id": id, "title": "Children known to several agencies", "schema": "test 1",
        "schema_fingerprint": SchemaFingerprint::from_bytes([7; 32]).to_string(),
        "layout": layout(), "decision": decision(), "purposes": ["safeguarding"],
    })
}

pub fn agency_body(name: &str) -> Value {
    let contact = json!({"team": "Duty desk", "telephone": "0100 000 000", "hours": "9 to 5",
        "out_of_hours": "0100 000 001"});
    json!({"name": format!("Agency {name}"), "contact": contact})
}

/// A filter of 256 bits, about half set, from a seed; seeds of one child are close when `noise` is small.
pub fn filter(child: u64, noise: u8) -> Vec<u8> {
    let mut bytes = blake3::hash(&child.to_le_bytes()).as_bytes().to_vec();
    for at in 0..noise {
        bytes[usize::from(at) % 32] ^= 1 << (at / 32);
    }
    bytes
}

/// Records of an agency: one per child, with refs that only this agency could make.
pub fn batch(agency: &str, children: impl IntoIterator<Item = u64>, noise: u8) -> EncodingBatch {
    let mut batch = EncodingBatch::empty(Arc::new(layout()));
    let mut filters = Vec::new();
    for child in children {
        batch.refs.push(record(agency, child));
        filters.extend(filter(child, noise));
    }
    batch.slots = vec![SlotColumn { filters, tags: None }];
    batch
}

pub fn record(agency: &str, child: u64) -> RecordRef {
    let hash = blake3::hash(format!("{agency}/{child}").as_bytes());
    RecordRef::from_bytes(hash.as_bytes()[..16].try_into().unwrap())
}

pub fn header(project: &str, agency: &str, batch: &EncodingBatch) -> EncodingHeader {
    EncodingHeader {
        format_version: FORMAT_VERSION,
        agency: agency.parse().unwrap(),
        project: project.parse().unwrap(),
        epoch: Epoch::FIRST,
        schema: "test 1".to_owned(),
        schema_fingerprint: SchemaFingerprint::from_bytes([7; 32]),
        key_check: KeyCheckValue::from_bytes([9; 16]),
        layout: layout(),
        decision: decision(),
        records: batch.len() as u64,
        plain_ids: false,
        content: batch.content_digest(),
    }
}

/// An announcement and the bodies of its chunks of `size` records.
pub fn announcement(
    project: &str,
    agency: &str,
    batch: &EncodingBatch,
    size: usize,
) -> (DatasetCreate, Vec<Vec<u8>>) {
    let mut chunks = Vec::new();
    let mut bodies = Vec::new();
    for start in (0..batch.len()).step_by(size) {
        let part = batch.slice(start, size);
        let body = write_stream(&part).unwrap();
        chunks.push(ChunkSpec { digest: ContentDigest::of(&body), records: part.len() as u32 });
        bodies.push(body);
    }
    let header = header(project, agency, batch);
    (DatasetCreate { header, chunks, base: None, removals: Vec::new() }, bodies)
}
