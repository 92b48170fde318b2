//! The rules of the house that a compiler does not enforce: import direction, sizes, where `unsafe`,
//! printing and the clock may stand, the purpose line of every file, reasons beside dependencies.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file before its tests.
const FILE_LINES_MAX: usize = 400;
/// Lines of one function, signature and closing brace included.
const FUNCTION_LINES_MAX: usize = 70;

struct Source {
    path: String,
    /// The text before `#[cfg(test)]`.
    code: String,
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    assert!(files.len() > 20, "the tidy test must see the sources");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("\n#[cfg(test)]").next().unwrap_or_default().to_owned();
        Source { path: path.to_string_lossy().replace('\\', "/"), code }
    };
    files.into_iter().map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

/// `code` without line comments, so that prose about a room is not an import of it.
fn bare(code: &str) -> String {
    code.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect()
}

fn room(path: &str) -> &str {
    path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default()
}

/// Rooms that a room may name as `crate::room`, itself apart; `None` for cli, lib and main, which join them.
fn allowed(room: &str) -> Option<&'static [&'static str]> {
    Some(match room {
        "wire" | "report" => &[],
        "agency" => &["wire", "config"],
        "linkage" | "ledger" | "synth" => &["wire"],
        "privacy" => &["wire", "linkage", "agency", "synth"],
        "store" => &["wire", "ledger"],
        "service" => &["wire", "linkage", "ledger", "store", "config", "report"],
        "config" => &["wire"],
        _ => return None,
    })
}

#[test]
fn rooms_import_only_what_the_wall_allows() {
    let rooms = [
        "wire", "agency", "linkage", "privacy", "ledger", "synth", "store", "service", "config", "report",
        "cli",
    ];
    let mut broken = Vec::new();
    for source in sources() {
        let here = room(&source.path);
        let Some(allowed) = allowed(here) else { continue };
        let code = bare(&source.code);
        for other in rooms {
            let named =
                code.contains(&format!("crate::{other}::")) || code.contains(&format!("crate::{other};"));
            if named && other != here && !allowed.contains(&other) {
                broken.push(format!("{} names crate::{other}", source.path));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_sealed_room_cannot_name_the_clear_room() {
    for source in sources() {
        let sealed = matches!(room(&source.path), "service" | "store" | "linkage" | "ledger" | "wire");
        let code = bare(&source.code);
        // `agency::<..>` is a call of the sealed room's own function of that name.
        let names =
            code.match_indices("agency::").any(|(at, word)| !code[at + word.len()..].starts_with('<'));
        assert!(!sealed || !names, "{} reaches into the clear room", source.path);
    }
}

#[test]
fn pure_rooms_touch_no_world() {
    let world = [
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "SystemTime",
        "Instant::now",
        "println!",
        "eprintln!",
        "actix",
        "sled::",
        "ureq",
        "tracing::",
        "getrandom",
        "Zoned::now",
        "Timestamp::now",
    ];
    let mut broken = Vec::new();
    for source in sources() {
        if !matches!(room(&source.path), "wire" | "linkage" | "ledger" | "synth" | "privacy" | "report") {
            continue;
        }
        let code = bare(&source.code);
        broken.extend(world.iter().filter(|w| code.contains(**w)).map(|w| format!("{}: {w}", source.path)));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn only_the_command_line_prints() {
    for source in sources() {
        let code = bare(&source.code);
        let prints = ["println!", "print!(", "eprint!("].iter().any(|p| code.contains(p));
        let may = matches!(room(&source.path), "cli" | "main");
        assert!(may || !prints, "{} prints", source.path);
        assert!(may || !code.contains("anyhow"), "{} uses anyhow", source.path);
    }
}

#[test]
fn unsafe_stands_in_the_kernel_room_only_and_says_why() {
    let mut seen = 0;
    for source in sources() {
        let kernel = source.path.starts_with("src/linkage/kernel/");
        let lines: Vec<&str> = source.code.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if !["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|form| code.contains(form)) {
                continue;
            }
            assert!(kernel, "{}:{} has unsafe outside the kernel room", source.path, at + 1);
            seen += 1;
            let said = lines[at.saturating_sub(6)..=at].iter().any(|line| line.contains("SAFETY:"));
            let block = code.contains("unsafe {");
            assert!(!block || said, "{}:{} has an unsafe block without // SAFETY:", source.path, at + 1);
        }
    }
    assert!(seen > 0, "the kernels must have been seen");
}

#[test]
fn every_file_opens_with_its_purpose() {
    for source in sources() {
        assert!(source.code.starts_with("//! "), "{} does not open with //!", source.path);
    }
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for source in sources() {
        let lines = source.code.lines().count();
        // A longer file says why in its header: "//! Long because ..."
        let says_why = source.code.lines().take(30).any(|line| line.starts_with("//! Long because "));
        if lines > FILE_LINES_MAX && !says_why {
            long.push(format!("{}: {lines} lines before its tests", source.path));
        }
        long.extend(long_functions(&source));
    }
    assert!(long.is_empty(), "{long:#?}");
}

fn long_functions(source: &Source) -> Vec<String> {
    let mut long = Vec::new();
    let mut open: Option<(usize, usize, &str)> = None;
    for (at, line) in source.code.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if let Some((start, depth, name)) = open {
            if indent == depth && line.trim_start().starts_with('}') {
                let lines = at - start + 1;
                if lines > FUNCTION_LINES_MAX {
                    long.push(format!("{}:{} {name} has {lines} lines", source.path, start + 1));
                }
                open = None;
            }
        } else if is_function(line.trim_start()) && !line.trim_end().ends_with(['}', ';']) {
            let name = line.split("fn ").nth(1).unwrap_or_default();
            open = Some((at, indent, name.split(['(', '<']).next().unwrap_or_default()));
        }
    }
    long
}

fn is_function(line: &str) -> bool {
    let visible =
        line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").trim_start_matches("pub ");
    let bare =
        visible.trim_start_matches("const ").trim_start_matches("async ").trim_start_matches("unsafe ");
    bare.starts_with("fn ")
}

#[test]
fn each_dependency_has_its_reason() {
    let manifest = fs::read_to_string("Cargo.toml").unwrap();
    let mut inside = false;
    let mut seen = 0;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if inside && line.contains('=') && !line.starts_with('#') {
            seen += 1;
            assert!(line.contains(" # "), "no reason beside: {line}");
        }
    }
    assert!(seen > 20, "the manifest must have been read");
}

#[test]
fn every_threat_names_tests_that_exist() {
    let mut code = String::new();
    for folder in ["src", "tests"] {
        let mut files = Vec::new();
        collect(Path::new(folder), &mut files);
        files.iter().for_each(|file| code.push_str(&fs::read_to_string(file).unwrap()));
    }
    let model = fs::read_to_string("docs/threat-model.md").unwrap();
    let rows: Vec<&str> =
        model.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| asset")).collect();
    assert!(rows.len() > 10, "the threat model must have been read");
    for row in rows {
        let cell = row.split(" | ").nth(3).unwrap_or_default();
        let tests: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test is named in: {row}");
        for test in &tests {
            assert!(code.contains(&format!("fn {test}(")), "there is no test {test}");
        }
        assert!(tests.iter().any(|test| runs(&code, test)), "no test that runs by itself holds: {row}");
    }
}

/// Whether a function is a test that runs without being asked for.
fn runs(code: &str, test: &str) -> bool {
    code.match_indices(&format!("fn {test}(")).any(|(at, _)| {
        let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
        let above = code[..line].lines().rev().map(str::trim_start);
        let attributes: Vec<&str> =
            above.take_while(|line| line.starts_with("#[") || line.starts_with("//")).collect();
        attributes.iter().any(|line| line.starts_with("#[test]"))
            && !attributes.iter().any(|line| line.starts_with("#[ignore"))
    })
}

#[test]
fn a_test_that_is_not_run_holds_nothing() {
    let code = "#[test]\nfn runs_a() {}\n#[test]\n#[ignore = \"slow\"]\nfn waits() {}\nfn helper() {}\n";
    assert!(runs(code, "runs_a"));
    assert!(!runs(code, "waits") && !runs(code, "helper") && !runs(code, "absent"));
}

#[test]
fn nothing_is_left_open() {
    // Spelt apart so that this file does not name itself.
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["X", "XX"].concat()];
    for source in sources() {
        for (at, line) in source.code.lines().enumerate() {
            let open = marks.iter().any(|mark| line.split(|c: char| !c.is_alphanumeric()).any(|w| w == mark));
            assert!(!open, "{}:{} is left open", source.path, at + 1);
        }
    }
}
