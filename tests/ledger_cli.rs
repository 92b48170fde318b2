//! `blindlink ledger` offline: an export is verified, an entry proved, and every kind of tampering is a finding.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use blindlink::ledger::{
    Act, Checkpoint, Entry, ExportHeader, ExportWriter, Frontier, Hex, LogName, LogSigner, SignedCheckpoint,
};
use blindlink::wire::ContentDigest;
use std::path::Path;
use std::process::Command;
use zeroize::Zeroizing;

fn signer() -> LogSigner {
    LogSigner::from_seed(&Zeroizing::new([5; 32]))
}

fn entry(n: u64, result: &str) -> Entry {
    let word = |text: &str| text.parse().unwrap();
    Entry {
        at_ms: n,
        who: "a.tester".parse().unwrap(),
        agency: Some("council".parse().unwrap()),
        scope: None,
        act: Act {
            action: word("lookup"),
            role: word("requester"),
            purpose: Some(word("early-help")),
            case: None,
            request: ContentDigest::of(&n.to_le_bytes()),
            result: word(result),
        },
        blind: Hex([n as u8; 16]),
    }
}

/// What a centre writes that holds the key, honest or not.
fn export(entries: &[Entry]) -> (String, SignedCheckpoint) {
    let log: LogName = "centre/p".parse().unwrap();
    let mut frontier = Frontier::default();
    entries.iter().for_each(|entry| drop(frontier.append(entry.leaf())));
    let checkpoint = Checkpoint::of(log.clone(), &frontier, 9).sign(&signer());
    let (mut writer, mut text) =
        ExportWriter::new(ExportHeader::new(log, entries.len() as u64, None)).unwrap();
    entries.iter().for_each(|entry| text += &writer.entry(entry.clone()).unwrap());
    text += &writer.finish(checkpoint.clone(), &signer()).unwrap();
    (text, checkpoint)
}

fn run(folder: &Path, args: &[&str]) -> (i32, String) {
    let key = signer().public().to_string();
    let trust = ["--log", "centre/p", "--key", &key];
    let output = Command::new(env!("CARGO_BIN_EXE_blindlink"))
        .current_dir(folder)
        .arg("ledger")
        .args(args)
        .args(trust)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn exports_are_verified_offline_and_tampering_is_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let honest: Vec<Entry> = (0..9).map(|n| entry(n, "match")).collect();
    let (text, _) = export(&honest);
    std::fs::write(path.join("whole"), &text).unwrap();
    let (_, older) = export(&honest[..5]);
    std::fs::write(path.join("older"), serde_json::to_string(&older).unwrap()).unwrap();

    let (exit, said) = run(path, &["verify", "whole", "--older", "older", "--keep", "kept"]);
    assert!(exit == 0 && said.contains("verified: 9 entries of centre/p"), "{said}");
    assert_eq!(run(path, &["verify", "whole", "--older", "kept"]).0, 0);
    let (exit, said) = run(path, &["prove", "whole", "--entry", "4", "-o", "proof"]);
    assert!(exit == 0, "{said}");
    let (exit, said) = run(path, &["verify-entry", "proof"]);
    assert!(exit == 0 && said.contains("entry 4 of centre/p: a.tester of council, lookup, match"), "{said}");

    let mut edited = honest.clone();
    edited[2] = entry(2, "none");
    let cases = [
        ("flipped", text.replacen("lookup", "lookuq", 1), "does not verify"),
        ("cut", text[..text.len() - 5].to_owned(), "does not verify"),
        ("rewritten and signed anew", export(&edited).0, "history was rewritten"),
        ("rolled back", export(&honest[..3]).0, "rolled back"),
    ];
    for (what, text, why) in cases {
        std::fs::write(path.join("bad"), text).unwrap();
        let (exit, said) = run(path, &["verify", "bad", "--older", "older"]);
        assert!(exit == 1 && said.contains(why), "{what}: {exit} {said}");
    }
    let forged = std::fs::read_to_string(path.join("proof")).unwrap().replace("match", "none");
    std::fs::write(path.join("proof"), forged).unwrap();
    assert_eq!(run(path, &["verify-entry", "proof"]).0, 1);
    assert_eq!(run(path, &["verify-entry", "whole"]).0, 3, "no proof at all");
    assert_eq!(run(path, &["verify", "whole", "--witness", "school"]).0, 2);
}
