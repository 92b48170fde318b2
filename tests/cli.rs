//! Frozen command-line cases: every `--help`, and refusals with their exit codes; what needs a file with
//! permissions or a folder of its own is run here.
#![cfg(all(feature = "agency", feature = "central"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

#[test]
fn commands_say_what_they_said() {
    trycmd::TestCases::new().case("tests/cmd/*.trycmd");
}

/// Walks the commands that each help text names and looks for the next help text among the frozen ones.
#[test]
fn every_help_text_is_frozen() {
    let frozen = std::fs::read_to_string("tests/cmd/help.trycmd").unwrap();
    let (mut open, mut seen) = (vec![Vec::new()], 0);
    while let Some(words) = open.pop() {
        let asked: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let line = format!("$ blindlink {}\n", asked.join(" "));
        assert!(frozen.contains(&line), "tests/cmd/help.trycmd lacks: {line}");
        seen += 1;
        let text = String::from_utf8(blindlink(Path::new("."), &asked).stdout).unwrap();
        let commands = text.split_once("\nCommands:\n").map_or("", |(_, rest)| rest);
        let names = commands.lines().take_while(|line| !line.is_empty()).filter_map(|line| {
            // Lines that go on with a description are indented deeper.
            line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?.split(' ').next()
        });
        let below = |name: &str| [&words[..], &[name.to_owned()]].concat();
        open.extend(names.filter(|name| *name != "help").map(below));
    }
    assert!(seen > 40, "the commands must have been walked: {seen}");
}

fn blindlink(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blindlink"));
    command.current_dir(folder).args(arguments).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs a command with `--json` and reads its standard output as one JSON value.
fn json(folder: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = blindlink(folder, &[&["--json"], arguments].concat());
    let (code, errors) = said(&output);
    assert!(matches!(code, Some(0 | 1)), "{arguments:?}: {errors}");
    let read = serde_json::from_slice(&output.stdout);
    assert!(read.is_ok(), "{arguments:?} under --json: {read:?}");
    read.unwrap()
}

fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

const EXTRACT: &str = "record_id,given_name,family_name,date_of_birth,sex,postcode\n\
                       1,Mina,Testcase,2014-03-07,F,ZZ1 1AA\n2,Ravi,Exemplar,2012-11-30,M,ZZ1 1AB\n";

/// Exit code 5: nobody listens where the workspace says the centre is.
#[test]
fn a_service_that_does_not_answer_ends_with_5() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("extract.csv"), EXTRACT).unwrap();
    // A port of this machine that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let service = format!("http://127.0.0.1:{port}");
    let init =
        ["init", "--agency", "a", "--project", "p", "--from", "extract.csv", "--service", &service, "w"];
    assert_eq!(said(&blindlink(folder, &init)).0, Some(0));
    write_private(&folder.join("w/api.key"), "key-of-nobody.secret\n");
    let (code, errors) = said(&blindlink(folder, &["overlap", "--workspace", "w"]));
    assert_eq!(code, Some(5), "{errors}");
}

/// Exit code 6: a store whose files are not those of a store.
#[test]
fn a_damaged_store_ends_with_6() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for name in ["conf", "db"] {
        std::fs::write(data.join(name), b"not what was written here").unwrap();
    }
    let (code, errors) = said(&blindlink(folder.path(), &["store", "--data-dir", "data", "check"]));
    assert_eq!(code, Some(6), "{errors}");
    assert!(errors.contains("restore"), "{errors}");
}

/// Children of one family, date and home whose given names differ may be twins, each known to one agency only: no match.
#[test]
fn another_given_name_is_for_a_person_to_judge() {
    const ONE: [&str; 9] = ["Ann", "Bea", "Cal", "Gus", "Amelia", "Oliver", "Mohammed", "Zainab", "Kacper"];
    const OTHER: [&str; 9] =
        ["Maureen", "Trevor", "Rosalind", "Norman", "Quentin", "William", "Bryony", "Ruth", "Hugo"];
    const FAMILY: [&str; 7] = ["Foxley", "Grayson", "Hallam", "Ibbotson", "Okonkwo", "Thornbury", "Nowak"];
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(json(folder, &["keygen", "-o", "linkage.key"])["key"], "linkage");
    for (agency, names) in [("health", ONE), ("council", OTHER)] {
        let mut extract = "record_id,given_name,family_name,date_of_birth,sex,postcode\n".to_owned();
        for n in 0..180 {
            let (name, family) = (names[(n * (1 + n / 9)) % 9], FAMILY[n % 7]);
            let (month, day) = (1 + n % 12, 1 + n % 28);
            let born = format!("{}-{month:02}-{day:02}", 2006 + n % 13);
            extract.push_str(&format!(
                "{agency}-{n},{name},{family},{born},F,ZZ{} {}AB\n",
                1 + n / 10,
                n % 10
            ));
        }
        std::fs::write(folder.join(format!("{agency}.csv")), extract).unwrap();
    }
    for profile in ["views", "fields"] {
        for agency in ["health", "council"] {
            let (extract, out) = (format!("{agency}.csv"), format!("{agency}.parquet"));
            let how =
                ["encode", "--profile", profile, "--key", "linkage.key", "--plain-ids", "--agency", agency];
            json(folder, &[&how[..], &[&extract, "-o", &out]].concat());
        }
        json(folder, &["link", "health.parquet", "council.parquet", "-o", "links.csv"]);
        let links = std::fs::read_to_string(folder.join("links.csv")).unwrap();
        let matches = links.lines().filter(|line| line.contains(",match,")).count();
        let reviews = links.lines().filter(|line| line.contains(",review,possible_twins")).count();
        assert!(matches <= 5 && reviews >= 120, "{profile}: {matches} matches, {reviews} reviews");
    }
}

/// A restored store gets the secrets beside it, unless a configuration keeps them in a place of its own.
#[test]
fn a_restore_takes_the_secrets_along_unless_they_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = |arguments: &[&str]| {
        let output = blindlink(folder, arguments);
        assert_eq!(said(&output).0, Some(0), "{arguments:?}: {}", said(&output).1);
        output.stdout
    };
    std::fs::write(folder.join("card.json"), run(&["schema", "show", "uk-child", "--json"])).unwrap();
    let project = ["p", "--title", "T", "--schema", "card.json", "--purpose", "safeguarding"];
    run(&[&["admin", "--data-dir", "live", "open-project"][..], &project].concat());
    std::fs::create_dir(folder.join("vault")).unwrap();
    let secrets = ["root", "ledger", "case", "tombstone", "second-look"];
    for name in secrets {
        write_private(&folder.join(format!("vault/{name}.key")), &"s".repeat(32));
    }
    run(&["store", "--data-dir", "live", "backup", "--to", "one.backup"]);
    run(&["store", "--data-dir", "beside", "--secrets", "vault", "restore", "--from", "one.backup"]);
    for name in secrets {
        let copy = std::fs::read_to_string(folder.join(format!("beside/secrets/{name}.key"))).unwrap();
        assert_eq!(copy, "s".repeat(32));
    }
    std::fs::write(folder.join("central.toml"), "data_dir = \"live\"\nsecrets_dir = \"vault\"\n").unwrap();
    // The configuration's store is the one that is checked, and its secrets stay where it keeps them.
    let checked = run(&["store", "--config", "central.toml", "check"]);
    assert!(String::from_utf8_lossy(&checked).contains("1 projects"));
    run(&["store", "--config", "central.toml", "--data-dir", "apart", "restore", "--from", "one.backup"]);
    assert!(folder.join("apart").is_dir() && !folder.join("apart/secrets").exists());
    // The root key elsewhere, the other secrets beside the store: they go along.
    std::fs::rename(folder.join("vault"), folder.join("live/secrets")).unwrap();
    std::fs::rename(folder.join("live/secrets/root.key"), folder.join("root.key")).unwrap();
    std::fs::write(folder.join("central.toml"), "data_dir = \"live\"\nroot_key.file = \"root.key\"\n")
        .unwrap();
    run(&["store", "--config", "central.toml", "--data-dir", "again", "restore", "--from", "one.backup"]);
    let along = |name: &&&str| folder.join(format!("again/secrets/{name}.key")).exists();
    assert_eq!(secrets.iter().filter(along).count(), 4);
}

/// The whole offline way under `--json`: one JSON value on standard output from each command, and a page
/// whose every plot has a title, a description and a table.
#[test]
fn json_is_obeyed_and_the_page_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let generated = json(folder, &["generate", "--children", "600", "--seed", "cli", "-o", "children"]);
    assert_eq!(generated["children"], 600);
    assert_eq!(json(folder, &["keygen", "-o", "linkage.key"])["key"], "linkage");
    let mut files = Vec::new();
    for agency in ["health", "education", "social_care"] {
        let (extract, out) = (format!("children/{agency}.csv"), format!("{agency}.parquet"));
        let profile = ["encode", "--profile", "views", "--key", "linkage.key", "--plain-ids"];
        let encode = [&profile[..], &["--agency", agency, &extract, "-o", &out]].concat();
        assert!(json(folder, &encode)["header"]["records"].as_u64().unwrap() > 50);
        files.push(out);
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_eq!(json(folder, &["inspect", files[0]])["agency"], "health");
    let linked = json(folder, &[&["link"], &files[..], &["-o", "links.csv"]].concat());
    assert!(
        linked["matches"].as_u64().unwrap() > 50 && linked["estimate"]["recall_all"]["value"].is_number()
    );
    let judge =
        ["evaluate", "links.csv", "--truth", "children/truth.csv", "--html", "report.html", "--encodings"];
    let judged = json(folder, &[&judge[..], &files[..]].concat());
    assert!(judged["all"]["correct"].as_u64().unwrap() > 50 && judged["estimate"].is_object());
    page_is_whole(&std::fs::read_to_string(folder.join("report.html")).unwrap());
    assert!(json(folder, &["check", "children/health.csv"])["safe_to_send"].is_boolean());
    assert_eq!(json(folder, &["schema", "list"]).as_array().unwrap().len(), 4);
    assert!(json(folder, &["schema", "check", "uk-child-views"])["segments"].is_array());
    let init = ["init", "--agency", "a", "--project", "p", "--from", "children/health.csv", "w"];
    assert_eq!(json(folder, &init)["workspace"], "w");
    let error = blindlink(folder, &["--json", "inspect", "missing.parquet"]);
    assert!(error.stdout.is_empty(), "an error is no result");
}

/// A run's weights are adjusted to its own candidates, the same whatever order the files come in; `evaluate` judges by
/// the weights the links were judged by.
#[test]
fn weights_are_adjusted_to_the_run_and_evaluate_follows() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    json(folder, &["generate", "--children", "900", "--seed", "adjust", "-o", "children"]);
    json(folder, &["keygen", "-o", "linkage.key"]);
    let files = ["health.parquet", "education.parquet", "social_care.parquet"];
    for file in files {
        let agency = file.trim_end_matches(".parquet");
        let extract = format!("children/{agency}.csv");
        let profile = ["encode", "--profile", "fields", "--key", "linkage.key", "--plain-ids"];
        json(folder, &[&profile[..], &["--agency", agency, &extract, "-o", file]].concat());
    }
    let link = |files: &[&str], out: &str, more: &[&str]| {
        let said = json(folder, &[&["link"], files, more, &["-o", out]].concat());
        let mut links: Vec<String> =
            std::fs::read_to_string(folder.join(out)).unwrap().lines().skip(1).map(str::to_owned).collect();
        links.sort_unstable();
        (said["adjusted"].clone(), links)
    };
    let (adjusted, links) = link(&files, "links.csv", &[]);
    assert_eq!(adjusted["outcome"], "converged");
    assert!((1..=50).contains(&adjusted["largest_move"].as_i64().unwrap()), "{adjusted}");
    let reversed = [files[2], files[1], files[0]];
    assert_eq!(link(&reversed, "reversed.csv", &[]), (adjusted, links.clone()));
    let (none, shipped) = link(&files, "shipped.csv", &["--no-adjust"]);
    assert!(none.is_null() && shipped != links);
    // One pair under both: its score on the page is that of its line.
    let both = |line: &&String| {
        let ends: Vec<&str> = line.split(',').take(4).collect();
        shipped.iter().any(|other| other.starts_with(&ends.join(",")) && other != *line)
    };
    let changed = links.iter().find(both).unwrap();
    let cells: Vec<&str> = changed.split(',').collect();
    let ends = [format!("{}:{}", cells[0], cells[1]), format!("{}:{}", cells[2], cells[3])];
    let page = |more: &[&str]| {
        let judge = ["evaluate", "links.csv", "--truth", "children/truth.csv", "--html", "page.html"];
        let pair = ["--pair", &ends[0], &ends[1], "--encodings"];
        json(folder, &[&judge[..], more, &pair, &files].concat());
        std::fs::read_to_string(folder.join("page.html")).unwrap().contains(&format!("<dd>{}</dd>", cells[4]))
    };
    assert!(page(&[]), "the score of the link");
    assert!(!page(&["--no-adjust"]), "the score by the schema's own weights");
}

fn page_is_whole(html: &str) {
    let count = |what: &str| html.matches(what).count();
    let figures = count("<figure>");
    assert!(figures >= 10, "{figures} plots");
    assert_eq!(count("<svg "), 2 * figures, "one drawing for wide screens and one for narrow");
    assert_eq!((count("<title id="), count("<desc id=")), (2 * figures, 2 * figures));
    for figure in html.split("<figure>").skip(1) {
        let figure = figure.split("</figure>").next().unwrap();
        assert!(figure.contains("<table>") && figure.contains("<tbody><tr>"), "a plot without a table");
    }
    for wanted in ["Scores of right and wrong links", "Calibration", "Weights of the pair", "Recall by event"]
    {
        assert_eq!(count(&format!("<h3>{wanted}</h3>")), 1, "{wanted}");
    }
    for foreign in ["<script", "src=", "href=\"http", "url(", "NaN"] {
        assert_eq!(count(foreign), 0, "{foreign}");
    }
}

/// `train` with the same arguments gives the same schema, which the linter and `encode` accept.
#[test]
fn training_is_reproducible() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let train = ["train", "--children", "2000", "--seed", "cli", "--precision", "0.99", "-o"];
    let first = json(folder, &[&train[..], &["one.toml"]].concat());
    let second = json(folder, &[&train[..], &["two.toml"]].concat());
    assert_eq!(first["fingerprint"], second["fingerprint"]);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("one.toml"), read("two.toml"));
    assert!(read("one.toml").starts_with("# Weights learnt on generated children by: blindlink train"));
    let checked = json(folder, &["schema", "check", "one.toml"]);
    assert_eq!(checked["fingerprint"], first["fingerprint"]);
    let recall = |when: &str| {
        let all = &first[when]["all"];
        all["correct"].as_f64().unwrap() / all["truth"].as_f64().unwrap()
    };
    assert!(recall("after") > 0.8, "{} {}", recall("before"), recall("after"));
}
