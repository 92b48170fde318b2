//! The canary: a child with a unique name, date, address and id goes the whole way, error paths included,
//! and is found in nothing that leaves the agency: no log, store file, HTTP body, encoding file, process
//! title, environment or leftover temporary file. (Rule 17 of the house.)
#![cfg(all(feature = "agency", feature = "central", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// What identifies the canary; the id is the agency's to print, nobody else's.
const NAMES: [&str; 5] = ["Zyxwcanarygiven", "Qplmcanaryfamily", "canarystreet", "ZZ7 3QK", "ZZ73QK"];
const DATES: [&str; 3] = ["2013-07-19", "20130719", "19/07/2013"];
const ID: &str = "CANARY-ID-773311";

struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { root: tempfile::tempdir().unwrap() };
        for folder in ["tmp", "out"] {
            std::fs::create_dir(place.path(folder)).unwrap();
        }
        for (name, id) in [("health", ID), ("education", "E-1")] {
            let mut rows = String::from("record_id,forename,surname,dob,sex,address,postcode\n");
            rows += &format!("{id},Zyxwcanarygiven,Qplmcanaryfamily,2013-07-19,F,1 canarystreet,ZZ7 3QK\n");
            for n in 0..30 {
                let (given, family) =
                    (["Ann", "Bea", "Cal", "Dee", "Eve"][n % 5], ["Fox", "Gray", "Hall"][n % 3]);
                rows += &format!(
                    "{name}-{n},{given},{family},20{:02}-03-1{},F,{n} Low Road,L1 {}AB\n",
                    10 + n % 9,
                    n % 8,
                    n % 9
                );
            }
            std::fs::write(place.path(&format!("{name}.csv")), rows).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blindlink"));
        command.args(args).current_dir(self.root.path()).env("TMPDIR", self.path("tmp"));
        command
    }

    /// Runs a command to its end and keeps what it printed as a file of `out/`.
    fn run(&self, exit: i32, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {said}");
        let count = std::fs::read_dir(self.path("out")).unwrap().count();
        let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        std::fs::write(self.path("out").join(format!("{count:03}-{}", args[0])), both).unwrap();
        output
    }

    /// A key as printed by `admin issue-key`, written into a workspace.
    fn api_key(&self, agency: &str) -> String {
        let roles = ["--role", "submitter", "--role", "requester", "--role", "approver"];
        let args = [&["admin", "issue-key", "--agency", agency, "--project", "p"][..], &roles].concat();
        let printed = String::from_utf8(self.run(0, &args).stdout).unwrap();
        printed.lines().next().unwrap().to_owned()
    }
}

struct Service {
    child: Child,
    address: String,
    /// Held open: a service whose standard output is closed ends.
    _lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Service {
    fn start(place: &Place) -> Self {
        let log = std::fs::File::create(place.path("out").join("service-log")).unwrap();
        let mut child = place
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let address = first.rsplit(' ').next().unwrap().to_owned();
        Self { child, address, _lines: lines }
    }

    fn get(&self, path: &str, token: &str) -> Vec<u8> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.get(format!("{}{path}", self.address));
        let mut body = Vec::new();
        let answer = request.header("Authorization", format!("Bearer {token}")).call().unwrap();
        answer.into_body().into_reader().read_to_end(&mut body).unwrap();
        body
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Where any of `needles` stands, in any case, below `folder`, but for files named in `own`.
fn found_in(folder: &Path, needles: &[&str], own: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(found_in(&path, needles, own));
        } else if !own.iter().any(|name| path.ends_with(name)) {
            let content = std::fs::read(&path).unwrap();
            found.extend(stands(&content, needles).map(|needle| format!("{needle} in {}", path.display())));
        }
    }
    found
}

fn stands<'a>(content: &[u8], needles: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let content = content.to_ascii_lowercase();
    needles.iter().copied().filter(move |needle| {
        let needle = needle.to_ascii_lowercase();
        content.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

fn set_up_centre(place: &Place) -> Vec<(&'static str, String)> {
    let card = place.run(0, &["schema", "show", "uk-child", "--json"]).stdout;
    std::fs::write(place.path("card.json"), card).unwrap();
    let open = [
        "admin",
        "open-project",
        "p",
        "--title",
        "Project",
        "--schema",
        "card.json",
        "--purpose",
        "safeguarding",
    ];
    place.run(0, &open);
    let agencies = ["health", "education"];
    agencies
        .map(|agency| {
            place.run(0, &["admin", "register-agency", agency, "--name", agency, "--team", "desk"]);
            place.run(0, &["admin", "add-party", "p", agency]);
            (agency, place.api_key(agency))
        })
        .into()
}

fn set_up_agencies(place: &Place, keys: &[(&str, String)], service: &Service) {
    place.run(0, &["keygen", "-o", "linkage.key"]);
    for (agency, key) in keys {
        let extract = format!("{agency}.csv");
        place.run(
            0,
            &[
                "init",
                "--agency",
                agency,
                "--project",
                "p",
                "--from",
                &extract,
                "--service",
                &service.address,
                agency,
            ],
        );
        let workspace = place.path(agency);
        private(&workspace.join("linkage.key"), &std::fs::read_to_string(place.path("linkage.key")).unwrap());
        private(&workspace.join("api.key"), key);
    }
}

#[test]
fn the_canary_is_found_nowhere() {
    let place = Place::new();
    let keys = set_up_centre(&place);
    let service = Service::start(&place);
    set_up_agencies(&place, &keys, &service);

    // The way, as data officers walk it.
    for (agency, _) in &keys {
        let extract = format!("{agency}.csv");
        let columns = format!("{agency}/columns.toml");
        place.run(0, &["check", &extract, "--columns", &columns]);
        let encoded = format!("{agency}.parquet");
        place.run(0, &["encode", &extract, "-o", &encoded, "--workspace", agency]);
        place.run(0, &["inspect", &encoded]);
        place.run(0, &["push", &extract, "--workspace", agency]);
    }
    place.run(0, &["run", "--workspace", "health"]);
    place.run(0, &["overlap", "--workspace", "health"]);
    let links = place.command(&["links", "--workspace", "health"]).output().unwrap().stdout;
    assert_eq!(stands(&links, &[ID]).count(), 1, "the agency reads its own id: the canary was linked");
    assert_eq!(stands(&links, &NAMES).count(), 0);
    let asked = place.command(&["lookup", ID, "--purpose", "safeguarding", "--workspace", "health"]).output();
    assert!(String::from_utf8(asked.unwrap().stdout).unwrap().starts_with("Yes"));

    // Where it goes wrong.
    std::fs::write(
        place.path("bad.csv"),
        format!("record_id,surname,forename,dob\n{ID},Qplmcanaryfamily,Zyxwcanarygiven,19/07/2013\n"),
    )
    .unwrap();
    place.run(3, &["check", "bad.csv"]);
    std::fs::write(
        place.path("cut.csv"),
        format!("record_id,surname,forename,dob\n{ID},\"Qplmcanaryfamily,Zyxwcanarygiven,2013-07-19\n"),
    )
    .unwrap();
    place.run(1, &["check", "cut.csv"]);
    place.run(4, &["lookup", ID, "--purpose", "marketing", "--workspace", "health"]);

    // What the centre says to those who may ask.
    for (at, path) in [
        "/v1/projects/p",
        "/v1/projects/p/links",
        "/v1/projects/p/overlap",
        "/v1/projects/p/events",
        "/v1/projects/p/datasets",
        "/v1/projects/p/runs",
        "/metrics",
        "/openapi.json",
        "/v1/nowhere",
    ]
    .iter()
    .enumerate()
    {
        for (agency, key) in &keys {
            std::fs::write(place.path("out").join(format!("body-{at}-{agency}")), service.get(path, key))
                .unwrap();
        }
    }
    let process = PathBuf::from(format!("/proc/{}", service.child.id()));
    for name in ["cmdline", "environ"] {
        std::fs::write(
            place.path("out").join(format!("service-{name}")),
            std::fs::read(process.join(name)).unwrap(),
        )
        .unwrap();
    }
    drop(service);

    let needles = [&NAMES[..], &DATES[..], &[ID]].concat();
    assert_eq!(found_in(&place.path("out"), &needles, &[]), Vec::<String>::new());
    assert_eq!(found_in(&place.path("blindlink-data"), &needles, &[]), Vec::<String>::new());
    assert_eq!(found_in(&place.path("tmp"), &needles, &[]), Vec::<String>::new());
    // The workspace keeps local ids beside their refs, for itself; names and dates never.
    assert_eq!(found_in(&place.path("health"), &needles, &["state/local-ids"]), Vec::<String>::new());
    for name in ["health.parquet", "education.parquet"] {
        assert_eq!(stands(&std::fs::read(place.path(name)).unwrap(), &needles).count(), 0, "{name}");
        assert_eq!(std::fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o077, 0, "{name}");
    }
    assert_eq!(
        std::fs::read_dir(place.path("tmp")).unwrap().count(),
        0,
        "nothing is left in the temporary folder"
    );
}

#[test]
fn keys_are_refused_unless_private_plain_and_on_file() {
    let place = Place::new();
    place.run(0, &["keygen", "-o", "k.key"]);
    let mode = std::fs::metadata(place.path("k.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let encode = |key: &str| {
        place
            .command(&["encode", "health.csv", "-o", "x.parquet", "--key", key, "--agency", "health"])
            .output()
            .unwrap()
    };
    std::fs::set_permissions(place.path("k.key"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = encode("k.key");
    assert_eq!(exposed.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&exposed.stderr).contains("chmod 600"));
    std::fs::set_permissions(place.path("k.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink(place.path("k.key"), place.path("link.key")).unwrap();
    assert_eq!(encode("link.key").status.code(), Some(4));
    private(
        &place.path("short.key"),
        "blindlink-linkage-key-1 00112233445566778899aabbccddeeff00112233445566778899aabbccddee\n",
    );
    assert_eq!(encode("short.key").status.code(), Some(3), "a key of 31 bytes");
    // A key on the command line is refused, and its text is not shown back.
    let text = std::fs::read_to_string(place.path("k.key")).unwrap();
    let typed = encode(text.trim());
    assert_eq!(typed.status.code(), Some(4));
    let digits = text.trim().rsplit(' ').next().unwrap();
    assert_eq!(stands(&[typed.stdout, typed.stderr].concat(), &[digits]).count(), 0);
    assert!(!place.path("x.parquet").exists());
    let key_again = place.command(&["keygen", "-o", "k.key"]).output().unwrap();
    assert_eq!(key_again.status.code(), Some(4), "a key is never overwritten");
    assert_eq!(std::fs::read_to_string(place.path("k.key")).unwrap(), text);
}
