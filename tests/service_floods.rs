//! Slow, large and many: what a hostile or broken client sends must neither stop the service nor stay.

#![cfg(all(feature = "central", unix))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::service::server::start_with;
use blindlink::store::{MemoryStore, system_clock};
use blindlink::wire::UtcTime;
use serde_json::json;
use service_support::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

fn connect(addr: SocketAddr, first_words: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(first_words).unwrap();
    stream
}

/// What the service says before it closes.
fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset after the answer is as good as a close.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_thousand_connections_and_slow_heads_leave_the_service_answering() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, wanted).unwrap();
    let centre = Centre::start();
    let began = Instant::now();
    // Half say nothing, half send a head letter by letter.
    let silent: Vec<TcpStream> = (0..500).map(|_| connect(centre.addr(), b"")).collect();
    let mut slow: Vec<TcpStream> =
        (0..500).map(|_| connect(centre.addr(), b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: ")).collect();
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(centre.get(&centre.operator, "/v1/whoami").status, 200);
        slowest = slowest.max(asked.elapsed());
        for stream in &mut slow {
            let _ = stream.write_all(b"a");
        }
    }
    assert!(slowest < Duration::from_secs(2), "an answer took {slowest:?} beside a thousand connections");
    // A head that never ends is given up, however busily its sender drips.
    let mut first = slow.remove(0);
    let ended = loop {
        let mut byte = [0; 256];
        first.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        match first.read(&mut byte) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let _ = first.write_all(b"a");
            }
            Err(_) => break true,
        }
        if began.elapsed() > Duration::from_secs(15) {
            break false;
        }
    };
    assert!(ended, "a slow head was kept for {:?}", began.elapsed());
    drop((silent, slow, first));
    assert_eq!(centre.get(&centre.operator, "/v1/whoami").status, 200);
    centre.running.stop().unwrap();
}

#[test]
fn a_body_that_comes_too_slowly_is_given_up_and_nothing_is_half_done() {
    let mut config = config();
    config.body_seconds_max = 1;
    let running = start_with(&config, Arc::new(MemoryStore::new()), system_clock(), false).unwrap();
    let operator = running.first_key().unwrap().expose();
    let head = format!(
        "PUT /v1/agencies/council HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-type: application/json\r\n\
         content-length: 200\r\n\r\n{{",
        bearer(&operator)
    );
    let mut stream = connect(running.addr(), head.as_bytes());
    let mut copy = stream.try_clone().unwrap();
    let drip = std::thread::spawn(move || {
        for _ in 0..30 {
            std::thread::sleep(Duration::from_millis(100));
            if copy.write_all(b" ").is_err() {
                break;
            }
        }
    });
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 408");
    drop(stream);
    drip.join().unwrap();
    let path = "/v1/agencies/council";
    let headers = [("authorization", &*bearer(&operator))];
    assert_eq!(request(running.addr(), "GET", path, &headers, b"").status, 404);
    // A body that breaks off is no request either.
    let stream = connect(running.addr(), head.as_bytes());
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let said = read_all(stream);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    assert_eq!(request(running.addr(), "GET", path, &headers, b"").status, 404);
    running.stop().unwrap();
}

#[test]
fn heads_beyond_any_bound_are_refused() {
    let centre = Centre::start();
    let long = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: {}\r\n\r\n", "a".repeat(1 << 20));
    let mut stream = TcpStream::connect(centre.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The service may close before all is sent.
    let _ = stream.write_all(long.as_bytes());
    let said = read_all(stream);
    assert!(!said.starts_with("HTTP/1.1 2"), "{said}");
    let many: String = (0..2_000).map(|n| format!("x-{n}: a\r\n")).collect();
    let said = read_all(connect(centre.addr(), format!("GET /healthz HTTP/1.1\r\n{many}\r\n").as_bytes()));
    assert!(!said.starts_with("HTTP/1.1 2"), "{said}");
    assert_eq!(request(centre.addr(), "GET", "/healthz", &[], b"").status, 200);
    centre.running.stop().unwrap();
}

#[test]
fn a_clock_that_falls_back_neither_revives_a_revoked_key_nor_disorders_the_log() {
    let start = "2026-06-01T12:00:00Z".parse::<UtcTime>().unwrap().millis();
    let now = Arc::new(AtomicI64::new(start));
    let hand = Arc::clone(&now);
    let clock = Arc::new(move || UtcTime::from_millis(hand.load(Ordering::SeqCst)).unwrap());
    let running = start_with(&config(), Arc::new(MemoryStore::new()), clock, false).unwrap();
    let operator = running.first_key().unwrap().expose();
    let centre = Centre { running, operator };
    let key = centre.project("p", &["council"]).remove(0);
    let scope = json!({"kind": "agency", "agency": "council", "project": "p"});
    let new = json!({"scope": scope, "roles": ["requester"], "expires": "2026-06-01T13:00:00Z"});
    let short = centre.send(&centre.operator, "POST", "/v1/keys", &new).json();
    let short = short["token"].as_str().unwrap().to_owned();
    assert_eq!(centre.get(&short, "/v1/whoami").status, 200);
    now.store(start + 2 * 3_600_000, Ordering::SeqCst);
    assert_eq!(centre.get(&short, "/v1/whoami").status, 401);
    // A revoked key stays revoked, and numbers go on, when the clock falls back a day.
    let id = key.split('.').next().unwrap();
    assert_eq!(centre.send(&centre.operator, "DELETE", &format!("/v1/keys/{id}"), &json!({})).status, 200);
    now.store(start - 86_400_000, Ordering::SeqCst);
    assert_eq!(centre.get(&key, "/v1/whoami").status, 401);
    let other = centre.key("p", "council", &["submitter", "requester"]);
    centre.upload(&other, "p", "council", &batch("council", 0..5, 0));
    let events = centre.get(&centre.operator, "/v1/projects/p/events").json();
    let numbers: Vec<u64> =
        events["events"].as_array().unwrap().iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
    centre.running.stop().unwrap();
}
