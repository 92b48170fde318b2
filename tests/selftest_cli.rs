//! The command line refuses to call encodings safe to send when their own tests fail: in words, as JSON, by exit code.
#![cfg(feature = "agency")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

fn blindlink(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blindlink")).args(args).current_dir(folder).output().unwrap()
}

/// Thirty children in a folder with a key and the schema for twenty thousand, and for twenty.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut csv = String::from("record_id,given_name,family_name,date_of_birth,postcode\n");
    for at in 0..30u8 {
        let (a, b) = (char::from(b'a' + at % 26), char::from(b'a' + (at * 7 + 3) % 26));
        writeln!(
            csv,
            "{at},{a}na{b},{b}ar{a}son,20{:02}-0{}-1{},L{} 8AB",
            10 + at % 8,
            1 + at % 9,
            at % 10,
            at % 20
        )
        .unwrap();
    }
    let mapping = "[columns]\nrecord_id = \"record_id\"\ngiven_name = \"given_name\"\nfamily_name = \"family_name\"\n\
                   date_of_birth = { column = \"date_of_birth\", format = \"%Y-%m-%d\" }\npostcode = \"postcode\"\n";
    let views = include_str!("../config/schemas/uk-child-views.toml");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("in.csv", &csv);
    write("in.columns.toml", mapping);
    write("large.toml", views);
    write("small.toml", &views.replace("population = 20000", "population = 20"));
    assert!(blindlink(folder.path(), &["keygen", "-o", "k.key"]).status.success());
    folder
}

fn encode(folder: &Path, schema: &str, json: bool) -> Output {
    let mut args = vec![
        "encode",
        "in.csv",
        "-o",
        "out.parquet",
        "--schema",
        schema,
        "--key",
        "k.key",
        "--agency",
        "school",
    ];
    args.extend(json.then_some("--json"));
    blindlink(folder, &args)
}

#[test]
fn encodings_that_fail_their_tests_are_not_safe_to_send() {
    let folder = folder();
    let good = encode(folder.path(), "large.toml", false);
    let said = String::from_utf8(good.stdout).unwrap();
    assert_eq!(good.status.code(), Some(0), "{said}");
    assert!(
        said.contains("self-tests of the encodings, 0 failed") && said.contains("safe to send: yes"),
        "{said}"
    );

    let bad = encode(folder.path(), "small.toml", false);
    let said = String::from_utf8(bad.stdout).unwrap();
    assert_eq!(bad.status.code(), Some(1), "{said}");
    assert!(said.contains("safe to send: no, because 30 records where the schema is made for 20"), "{said}");

    let bad = encode(folder.path(), "small.toml", true);
    let report: Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(bad.status.code(), Some(1));
    assert_eq!(report["report"]["safe_to_send"], false);
    let tests = report["report"]["encodings"]["tests"].as_array().unwrap();
    let failed: Vec<&Value> = tests.iter().filter(|test| test["passed"] == false).collect();
    assert!(
        failed.len() == 1 && failed[0]["test"] == "population" && failed[0]["measured_milli"] == 30_000,
        "{tests:?}"
    );
}
