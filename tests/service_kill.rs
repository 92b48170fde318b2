//! The whole program killed between a question's entry and its answer, again and again: the ledger is whole, every
//! answer that was given stands in it, and the budget spent before stays spent.

#![cfg(all(feature = "central", unix))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::store::{LedgerLog, SledStore, Store, check, system_clock};
use serde_json::json;
use service_support::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

struct Service {
    child: Child,
    addr: SocketAddr,
    operator: Option<String>,
}

impl Service {
    /// Starts it; the first start of all prints the operator's key.
    fn start(data: &Path, first: bool) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_blindlink"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().unwrap().unwrap();
        let addr = line().rsplit('/').next().unwrap().parse().unwrap();
        let heads: Vec<String> = (0..if first { 4 } else { 3 }).map(|_| line()).collect();
        let operator = heads.iter().find_map(|line| line.strip_prefix("operator  ").map(str::to_owned));
        // The rest is read elsewhere: a service whose standard output is closed would end.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, addr, operator }
    }
    fn send(&self, key: &str, method: &str, path: &str, body: &serde_json::Value) -> Answer {
        let headers = [("authorization", &*bearer(key)), ("content-type", "application/json"), USER];
        request(self.addr, method, path, &headers, body.to_string().as_bytes())
    }
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Asks until the connection breaks; tells how many answers came whole.
fn ask_until_it_breaks(addr: SocketAddr, key: &str) -> u64 {
    let body = json!({"record": record("council", 1), "purpose": "safeguarding"}).to_string();
    let head = format!(
        "POST /v1/projects/p/lookups HTTP/1.1\r\nhost: centre\r\nauthorization: Bearer {key}\r\nacting-user: a.tester\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut answers = 0;
    loop {
        let Ok(mut stream) = TcpStream::connect(addr) else { return answers };
        if stream.write_all(head.as_bytes()).is_err() {
            return answers;
        }
        let mut bytes = Vec::new();
        if stream.read_to_end(&mut bytes).is_err() || !bytes.starts_with(b"HTTP/1.1 ") {
            return answers;
        }
        match &bytes[9..12] {
            b"404" => answers += 1,
            b"429" => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_kill_between_entry_and_answer_leaves_ledger_and_budget_whole() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut service = Service::start(&data, true);
    let operator = service.operator.take().unwrap();
    assert_eq!(service.send(&operator, "POST", "/v1/projects", &project_body("p")).status, 201);
    assert_eq!(service.send(&operator, "PUT", "/v1/agencies/council", &agency_body("council")).status, 200);
    assert_eq!(service.send(&operator, "PUT", "/v1/projects/p/agencies/council", &json!({})).status, 200);
    let scope = json!({"kind": "agency", "agency": "council", "project": "p"});
    let made = service.send(&operator, "POST", "/v1/keys", &json!({"scope": scope, "roles": ["requester"]}));
    let key = made.json()["token"].as_str().unwrap().to_owned();
    let mut answered = 0;
    for round in 0..4u64 {
        let addr = service.addr;
        let asking: Vec<_> = (0..3)
            .map(|_| {
                let key = key.clone();
                std::thread::spawn(move || ask_until_it_breaks(addr, &key))
            })
            .collect();
        std::thread::sleep(std::time::Duration::from_millis(40 + 23 * round));
        service.kill();
        answered += asking.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>();
        {
            let store = Arc::new(SledStore::open(&data, 32).unwrap()) as Arc<dyn Store>;
            let report = check(Arc::clone(&store), None, system_clock()).unwrap();
            assert_eq!(report.faults, Vec::<String>::new(), "round {round}");
            let log = LedgerLog::of_project(Arc::clone(&store), &"p".parse().unwrap()).unwrap();
            let entries = log.entries(0, 10_000).unwrap();
            let of = |action| entries.iter().filter(|e| e.act.action.as_str() == action).count() as u64;
            assert!(of("lookup_answered") >= answered, "every answer that was given stands there");
            assert!(of("lookup") <= 200, "the budget of the day holds over every kill");
            store.flush().unwrap();
        }
        service = Service::start(&data, false);
    }
    // Whatever is left of the budget is all there is left.
    let ask = json!({"record": record("council", 1), "purpose": "safeguarding"});
    let left =
        (0..201).take_while(|_| service.send(&key, "POST", "/v1/projects/p/lookups", &ask).status != 429);
    let left = left.count() as u64;
    assert!(answered > 0 && answered + left <= 200, "{answered} before, {left} after");
    service.kill();
}
