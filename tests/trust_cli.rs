//! What two people decide, front-door questions, batches, the broker and a new root key, all by the program's own commands.
#![cfg(all(feature = "agency", feature = "central", unix))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A folder with a centre's data, two workspaces and keys.
struct Place {
    root: tempfile::TempDir,
    address: String,
    service: Option<Child>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Place {
    fn new() -> Self {
        let place = Self { root: tempfile::tempdir().unwrap(), address: String::new(), service: None };
        for name in ["health", "council", "mash"] {
            let mut rows = String::from("record_id,forename,surname,dob,sex,address,postcode\n");
            for n in 0..12 {
                let (given, family) = (["Ann", "Bea", "Cal", "Dee"][n % 4], ["Fox", "Gray", "Hall"][n % 3]);
                rows += &format!(
                    "{name}-{n},{given},{family},20{:02}-03-1{},F,{n} Low Road,L1 {n}AB\n",
                    8 + n,
                    n % 8
                );
            }
            std::fs::write(place.path(&format!("{name}.csv")), rows).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self, user: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blindlink"));
        command.args(args).current_dir(self.root.path()).env("USER", user);
        command
    }

    /// Runs a command to its end: what it printed on standard output, or on standard error where it did not.
    fn said(&self, exit: i32, user: &str, args: &[&str]) -> String {
        let output = self.command(user, args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {errors}{printed}");
        if exit > 1 { errors } else { printed }
    }

    fn json(&self, user: &str, args: &[&str]) -> Value {
        serde_json::from_str(&self.said(0, user, &[&["--json"], args].concat())).unwrap()
    }

    fn issue(&self, file: &str, args: &[&str]) {
        let printed = self.said(0, "root", &[&["admin", "issue-key"], args].concat());
        private(&self.path(file), printed.lines().next().unwrap());
    }

    fn serve(&mut self) {
        let mut child = self
            .command("root", &["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        self.address = first.trim().rsplit(' ').next().unwrap().to_owned();
        // Read on, so that the service never writes into a closed pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        self.service = Some(child);
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.service.take() {
            let pid = rustix::process::Pid::from_child(&child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = child.wait();
        }
    }

    /// Tells every workspace where the centre is now.
    fn point(&self) {
        for agency in ["health", "council", "mash"] {
            let path = self.path(agency).join("agency.toml");
            let text = std::fs::read_to_string(&path).unwrap();
            let line = |line: &str| match line.starts_with("service") {
                true => format!("service = \"{}\"", self.address),
                false => line.to_owned(),
            };
            let text: Vec<String> = text.lines().map(line).collect();
            std::fs::write(&path, text.join("\n")).unwrap();
        }
    }

    /// `approvals` with the operator's key.
    fn operator(&self, exit: i32, args: &[&str]) -> String {
        let at = [
            "--json",
            "approvals",
            "--service",
            &self.address,
            "--api-key",
            "operator.key",
            "--project",
            "p",
        ];
        self.said(exit, "olga", &[&at[..], args].concat())
    }

    /// `approvals` from a workspace.
    fn agency(&self, exit: i32, agency: &str, user: &str, args: &[&str]) -> String {
        self.said(exit, user, &[&["--json", "approvals", "--workspace", agency], args].concat())
    }
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn id(decision: &str) -> String {
    serde_json::from_str::<Value>(decision).unwrap()["id"].as_str().unwrap().to_owned()
}

const AGREEMENT: &str = r#"
format_version = 1
project = "p"
revision = 1
title = "Safeguarding"
starts = "2020-01-01"
ends = "2099-12-31"
retention_months = 12
suppress_below = 5
second_look_every = 1
standing = true
[[parties]]
agency = "health"
[[parties]]
agency = "council"
front_door = true
[[parties]]
agency = "mash"
[[purposes]]
code = "safeguarding"
title = "Safeguarding"
front_door = true
asks = { case = true }
[[pairs]]
between = ["health", "council"]
answer = "contact"
[budgets]
user_day = 50
agency_month = 1000
project = 10000
front_door_user_day = 15
front_door_agency_day = 40
front_door_agency_month = 300
misses_user_day = 8
"#;

fn set_up(place: &mut Place) {
    let card = place.said(0, "root", &["schema", "show", "uk-child", "--json"]);
    std::fs::write(place.path("card.json"), card).unwrap();
    std::fs::write(place.path("agreement.toml"), AGREEMENT).unwrap();
    let open =
        ["admin", "open-project", "p", "--title", "P", "--schema", "card.json", "--purpose", "safeguarding"];
    place.said(0, "root", &open);
    place.issue("operator.key", &["--role", "operator"]);
    place.said(0, "root", &["keygen", "-o", "linkage.key"]);
    for agency in ["health", "council", "mash"] {
        place.said(0, "root", &["admin", "register-agency", agency, "--name", agency, "--team", "desk"]);
        place.said(0, "root", &["admin", "add-party", "p", agency]);
    }
    place.serve();
    place.stop();
    for agency in ["health", "council", "mash"] {
        let extract = format!("{agency}.csv");
        let from = ["--from", &extract, "--service", &place.address];
        place.said(
            0,
            "root",
            &[&["init", "--agency", agency, "--project", "p"], &from[..], &[agency]].concat(),
        );
        std::fs::copy(place.path("linkage.key"), place.path(agency).join("linkage.key")).unwrap();
        let roles = ["submitter", "requester", "front_door", "reviewer", "approver"];
        let roles: Vec<&str> = roles.iter().flat_map(|role| ["--role", role]).collect();
        let of = ["--agency", agency, "--project", "p"];
        place.issue(&format!("{agency}/api.key"), &[&of[..], &roles].concat());
        place.issue(&format!("{agency}/second.key"), &[&of[..], &["--role", "approver"]].concat());
    }
    place.serve();
    place.point();
}

#[test]
fn what_two_people_decide_is_decided_by_commands() {
    let mut place = Place::new();
    set_up(&mut place);
    let proposed =
        place.operator(0, &["propose", "agreement", "agreement.toml", "--reason", "signed by all"]);
    let agreement = id(&proposed);
    let refused = place.operator(4, &["approve", &agreement, "--reason", "me again"]);
    assert!(refused.contains("second person"), "{refused}");
    place.agency(0, "council", "carl", &["approve", &agreement, "--reason", "read it"]);
    let done = place.operator(0, &["carry-out", &agreement]);
    assert_eq!(serde_json::from_str::<Value>(&done).unwrap()["state"], "used");
    let listed = place.said(0, "carl", &["approvals", "--workspace", "health", "list"]);
    assert!(
        listed.contains(&agreement) && listed.contains("revision 1") && listed.contains("olga"),
        "{listed}"
    );
    let shown = place.said(0, "carl", &["approvals", "--workspace", "health", "show", &agreement]);
    assert!(shown.contains("signed by all") && shown.contains("carl of council"), "{shown}");
    place.operator(2, &["propose", "closure"]);
    place.operator(
        2,
        &["propose", "unshield", "health-1", "--until", "2099-01-01T00:00:00Z", "--reason", "x"],
    );

    for agency in ["health", "council", "mash"] {
        place.said(0, "dora", &["push", &format!("{agency}.csv"), "--workspace", agency]);
    }
    place.said(0, "dora", &["run", "--workspace", "health"]);
    let refused = place.said(4, "dora", &["overlap", "--workspace", "health"]);
    assert!(refused.contains("release"), "{refused}");

    // A batch of own records, one of which nobody has.
    std::fs::write(place.path("ids"), "council-1\ncouncil-2\n\nnobody\n").unwrap();
    let stated = ["--purpose", "safeguarding", "--case", "C-1"];
    let batch = ["lookup-batch", "ids", "-o", "answers.csv", "--workspace", "council"];
    let told = place.said(1, "carl", &[&batch[..], &stated].concat());
    assert!(told.contains("3 asked, 2 known") && told.contains("1 not among"), "{told}");
    let answers = std::fs::read_to_string(place.path("answers.csv")).unwrap();
    assert!(answers.contains("council-1,yes,health,match,LK-") && answers.contains("nobody,not_among_own,,"));

    // Somebody who is not on the council's system.
    let head = "record_id,forename,surname,dob,sex,address,postcode\n";
    std::fs::write(place.path("one.csv"), format!("{head}x,Ann,Fox,2008-03-10,F,0 Low Road,L1 0AB\n"))
        .unwrap();
    let door = ["front-door", "one.csv", "--reason", "new-referral", "--workspace", "council"];
    let told = place.said(0, "carl", &[&door[..], &stated].concat());
    assert!(
        told.starts_with("Yes") && told.contains("health") && told.contains("quote ledger entry"),
        "{told}"
    );
    std::fs::write(place.path("two.csv"), format!("{head}x,A,B,2008-03-10,F,,\ny,C,D,2008-03-10,F,,\n"))
        .unwrap();
    let two = ["front-door", "two.csv", "--reason", "new-referral", "--workspace", "council"];
    assert!(place.said(3, "carl", &[&two[..], &stated].concat()).contains("one person"));

    // Two approvers of the agency that leaves, each with a key; the statement is written.
    let leave = id(&place.agency(0, "health", "hans", &["propose", "withdrawal", "--reason", "merged"]));
    std::fs::rename(place.path("health/second.key"), place.path("health/api.key")).unwrap();
    place.agency(4, "health", "hans", &["approve", &leave, "--reason", "the same person"]);
    place.agency(0, "health", "hedy", &["approve", &leave, "--reason", "agreed"]);
    place.agency(2, "health", "hedy", &["carry-out", &leave]);
    place.said(0, "hedy", &["approvals", "--workspace", "health", "carry-out", &leave, "-o", "left.json"]);
    let left: Value = serde_json::from_slice(&std::fs::read(place.path("left.json")).unwrap()).unwrap();
    assert_eq!((&left["removal"]["agency"], &left["removal"]["encodings"]), (&json!("health"), &json!(12)));
    let close = id(&place.operator(0, &["propose", "closure", "--reason", "over", "--hours", "5"]));
    place.agency(0, "council", "carl", &["approve", &close, "--reason", "over"]);
    place.operator(0, &["carry-out", &close, "-o", "closed.json"]);
    let closed: Value = serde_json::from_slice(&std::fs::read(place.path("closed.json")).unwrap()).unwrap();
    assert_eq!(closed["removal"]["key_destroyed"], json!(true));
}

#[test]
fn the_broker_answers_and_the_root_key_is_changed_by_commands() {
    let mut place = Place::new();
    set_up(&mut place);
    for agency in ["health", "council"] {
        place.said(0, "dora", &["push", &format!("{agency}.csv"), "--workspace", agency]);
    }
    place.said(0, "dora", &["run", "--workspace", "health"]);
    let links = place.json("dora", &["links", "--workspace", "health"]);
    assert_eq!(links.as_array().unwrap().len(), 12);
    assert_eq!(
        place.said(0, "mia", &["referrals", "--workspace", "mash", "list"]).trim(),
        "nothing was referred to the broker"
    );
    place.said(4, "mia", &["referrals", "--workspace", "mash", "decline", "00", "--why", "not_enough_known"]);
    let wrong =
        place.said(2, "mia", &["referrals", "--workspace", "mash", "decline", "00", "--why", "because"]);
    assert!(wrong.contains("not_enough_known"), "{wrong}");

    // The service holds the store; stopped, it is re-keyed, and starts and reads as before.
    let refused = place.said(3, "root", &["store", "rotate-root-key"]);
    assert!(refused.contains("in use") || refused.contains("another"), "{refused}");
    place.stop();
    let key = || std::fs::read(place.path("blindlink-data/secrets/root.key")).unwrap();
    let before = key();
    // As a stop between the two steps leaves it.
    private(&place.path("blindlink-data/secrets/root.key.next"), "0123456789abcdef0123456789abcdef");
    let refused = place.said(4, "root", &["serve", "--listen", "127.0.0.1:0"]);
    assert!(refused.contains("rotate-root-key"), "{refused}");
    let told = place.said(0, "root", &["store", "rotate-root-key"]);
    assert!(told.contains("1 data keys"), "{told}");
    assert_eq!(key(), b"0123456789abcdef0123456789abcdef");
    let told = place.said(0, "root", &["store", "check"]);
    assert!(told.contains("24 records") && told.contains("sound"), "{told}");
    assert!(!place.path("blindlink-data/secrets/root.key.next").exists());
    let mut place = place;
    place.serve();
    place.point();
    assert_eq!(place.json("dora", &["links", "--workspace", "health"]), links);
    assert_ne!(before, std::fs::read(place.path("blindlink-data/secrets/root.key")).unwrap());
}
