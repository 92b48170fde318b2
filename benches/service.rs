//! What a centre answers over HTTP, on disk, with the ledger on: look-ups a second, and a batch of an agency's own records.
//!
//! `cargo bench --no-default-features --features central --bench service` (about a minute; `-- --lookups N` for another
//! number of questions). Client and centre share the machine's cores. Each look-up is two ledger entries, each on disk before
//! the next step; prints rows of docs/performance.md.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench is no library: it stops where it fails"
)]

#[path = "../tests/service_support/mod.rs"]
mod service_support;

use blindlink::config::central::CentralConfig;
use blindlink::service::server::start_with;
use blindlink::store::{Batch, SledStore, Store, system_clock};
use serde_json::{Value, json};
use service_support::*;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Instant;

const RECORDS: u64 = 10_000;
const APPROVALS: &str = "/v1/projects/p/approvals";
const PURPOSE: &str = "early-help";

/// An agreement whose budgets do not end a measurement.
fn agreement() -> Value {
    json!({
        "format_version": 1, "project": "p", "revision": 1, "title": "Measured", "starts": "2020-01-01",
        "ends": "2099-12-31", "retention_months": 12, "suppress_below": 5, "second_look_every": 2,
        "standing": true,
        "parties": [{"agency": "council"}, {"agency": "school"}, {"agency": "police"}],
        "purposes": [{"code": PURPOSE, "title": "Early help"}],
        "pairs": [{"between": ["council", "school"], "answer": "contact"},
            {"between": ["council", "police"], "answer": "agency"}],
        "budgets": {"user_day": 100_000_000, "agency_month": 100_000_000, "project": 100_000_000,
            "front_door_user_day": 15, "front_door_agency_day": 40, "front_door_agency_month": 300,
            "misses_user_day": 8}
    })
}

/// Three agencies of 10,000 records each on disk, two workers, linked under an agreement; the council's key.
fn centre(folder: &std::path::Path) -> (Centre, String) {
    let store = Arc::new(SledStore::open(folder, 128).unwrap());
    let config = CentralConfig { workers: 2, ..config() };
    let running = start_with(&config, store, system_clock(), false).unwrap();
    let operator = running.first_key().unwrap().expose();
    let centre = Centre { running, operator };
    let keys = centre.project("p", &["council", "school", "police"]);
    let step = |key: &str, path: &str, body: Value| {
        let answer = centre.send(key, "POST", path, &body);
        assert!(answer.status < 300, "{}", answer.text());
        answer.json()
    };
    let made = step(&centre.operator, APPROVALS, json!({"document": agreement(), "reason": "measured"}));
    let id = made["id"].as_str().unwrap();
    step(&keys[1], &format!("{APPROVALS}/{id}/approve"), json!({"reason": "measured"}));
    step(&keys[1], &format!("{APPROVALS}/{id}/carry-out"), json!({}));
    for (key, agency) in keys.iter().zip(["council", "school", "police"]) {
        let (create, bodies) = announcement("p", agency, &batch(agency, 0..RECORDS, 0), 5_000);
        centre.upload_announced(key, "p", &create, &bodies);
    }
    centre.run(&keys[0], "p");
    let key = keys[0].clone();
    (centre, key)
}

/// Sends one request on a connection that is kept, and reads the whole answer.
fn send(stream: &mut TcpStream, head: &str, body: &str) {
    let length = body.len();
    stream.write_all(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
    let (mut bytes, mut part) = (Vec::new(), [0; 16 << 10]);
    loop {
        let read = stream.read(&mut part).unwrap();
        assert!(read > 0, "the service closed the connection");
        bytes.extend_from_slice(&part[..read]);
        let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&bytes[..at]).to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if bytes.len() >= at + 4 + length.parse::<usize>().unwrap() {
            assert!(text.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&bytes));
            return;
        }
    }
}

/// Processor seconds of this process, client and centre together (Linux).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Processor seconds of the calling thread (Linux).
fn thread_cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|text| text.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

/// Look-ups of single records over kept connections, each connection another member of staff. How many a second, and
/// the clients' own processor seconds.
fn look_ups(centre: &Centre, key: &str, connections: u64, asks: u64) -> (f64, f64) {
    let began = Instant::now();
    let client = Mutex::new(0.0);
    std::thread::scope(|scope| {
        for connection in 0..connections {
            let client = &client;
            scope.spawn(move || {
                let mut stream = TcpStream::connect(centre.addr()).unwrap();
                stream.set_nodelay(true).unwrap();
                let head = format!(
                    "POST /v1/projects/p/lookups HTTP/1.1\r\nhost: centre\r\nauthorization: Bearer {key}\r\n\
                     acting-user: user{connection}\r\ncontent-type: application/json\r\n"
                );
                for n in 0..asks / connections {
                    let child = (connection * 1_009 + n * 7) % RECORDS;
                    let body = json!({"record": record("council", child), "purpose": PURPOSE});
                    send(&mut stream, &head, &body.to_string());
                }
                *client.lock().unwrap() += thread_cpu_seconds();
            });
        }
    });
    (asks as f64 / began.elapsed().as_secs_f64(), client.into_inner().unwrap())
}

/// Milliseconds of one small write and its flush: what the disk alone costs.
fn flush_ms(folder: &std::path::Path) -> f64 {
    let store = SledStore::open(folder, 16).unwrap();
    let began = Instant::now();
    for n in 0..50u32 {
        let mut batch = Batch::new();
        batch.put("k", n.to_le_bytes());
        store.apply(&batch).unwrap();
        store.flush().unwrap();
    }
    began.elapsed().as_secs_f64() * 1_000.0 / 50.0
}

fn main() {
    let mut args = std::env::args().skip_while(|arg| arg != "--lookups").skip(1);
    let asks: u64 = args.next().map_or(20_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    println!("| one write on this disk, flushed | {:.2} ms |", flush_ms(&folder.path().join("disk")));
    let (centre, key) = centre(&folder.path().join("data"));
    for (connections, asks) in [(1, asks / 20), (16, asks), (64, asks), (128, asks)] {
        let before = cpu_seconds();
        let (rate, client) = look_ups(&centre, &key, connections, asks);
        let each_ms = |seconds: f64| seconds * 1_000.0 / asks as f64;
        let (client_ms, centre_ms) = (each_ms(client), each_ms(cpu_seconds() - before - client));
        println!(
            "| look-ups a second, ledger on, {connections} connections ({asks} asked) | {rate:.0}; processor each: \
             centre {centre_ms:.2} ms, client {client_ms:.2} ms |"
        );
    }
    let began = Instant::now();
    for first in (0..RECORDS).step_by(500) {
        let records: Vec<_> = (first..first + 500).map(|child| record("council", child)).collect();
        let body = json!({"records": records, "purpose": PURPOSE});
        assert_eq!(centre.send(&key, "POST", "/v1/projects/p/lookup-batches", &body).status, 200);
    }
    println!("| {RECORDS} own records in batches of 500 | {:.2} s |", began.elapsed().as_secs_f64());
    let began = Instant::now();
    let checkpoint = centre.get(&key, "/v1/projects/p/ledger/checkpoint").json();
    let size = &checkpoint["checkpoint"]["checkpoint"]["size"];
    println!("| checkpoint of {size} entries | {:.1} ms |", began.elapsed().as_secs_f64() * 1_000.0);
    centre.running.stop().unwrap();
}
