//! The fuzz targets on stable: every seed as it is, then some hundred damaged copies of them, the same ones every time.
#![cfg(feature = "agency")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../fuzz/targets.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's binaries include it, too")]
mod targets;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Damaged copies at most, those that run however long they take, and the time after which no more of them do.
const COPIES: u64 = 400;
const COPIES_MIN: u64 = 50;
const TIME_MAX: Duration = Duration::from_secs(3);

/// Files below `folders` (of the project) whose names end in one of `ends`, in the order of their names.
fn seeds(folders: &[&str], ends: &[&str]) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        paths.extend(entries.filter(|path| ends.iter().any(|end| path.to_string_lossy().ends_with(end))));
    }
    paths.sort();
    assert!(!paths.is_empty(), "no seeds in {folders:?}");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A repeatable source of numbers.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// One to four damages: a byte changed, a piece cut, doubled or taken from another seed, a word that matters put in.
fn damaged(seeds: &[Vec<u8>], draw: &mut Draw) -> Vec<u8> {
    const WORDS: [&[u8]; 12] = [
        b"\"",
        b"\n",
        b"\r\n",
        b",",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"9999999999",
        b"1900-01-01",
        b"-1",
        b"\xf0\x9f\x98\x80",
        b"='",
    ];
    let mut data = seeds[draw.below(seeds.len())].clone();
    for _ in 0..=draw.below(4) {
        let at = draw.below(data.len() + 1);
        let end = (at + draw.below(40)).min(data.len());
        match draw.below(5) {
            0 if at < data.len() => data[at] = draw.below(256) as u8,
            1 => drop(data.drain(at..end)),
            2 => {
                let piece = data[at..end].to_vec();
                data.splice(at..at, piece);
            }
            3 => {
                let other = &seeds[draw.below(seeds.len())];
                let from = draw.below(other.len() + 1);
                let piece = other[from..(from + draw.below(80)).min(other.len())].to_vec();
                data.splice(at..at, piece);
            }
            _ => drop(data.splice(at..at, WORDS[draw.below(WORDS.len())].iter().copied())),
        }
    }
    data
}

fn smoke(target: fn(&[u8]), seeds: &[Vec<u8>]) {
    let from = Instant::now();
    seeds.iter().for_each(|seed| target(seed));
    let mut draw = Draw(2026);
    for copy in 0..COPIES {
        if copy >= COPIES_MIN && from.elapsed() > TIME_MAX {
            return;
        }
        target(&damaged(seeds, &mut draw));
    }
}

#[test]
fn extracts_of_any_bytes_encode_or_are_refused() {
    smoke(
        targets::encode,
        &seeds(&["fuzz/corpus/encode", "testdata/bad", "testdata/dirty_extracts"], &[".csv"]),
    );
}

#[test]
fn schemas_of_any_bytes_hold_or_are_refused() {
    smoke(targets::schema, &seeds(&["fuzz/corpus/schema", "config/schemas"], &[".toml"]));
}

#[test]
fn mappings_of_any_bytes_hold_or_are_refused() {
    smoke(
        targets::mapping,
        &seeds(&["fuzz/corpus/mapping", "testdata/bad", "testdata/dirty_extracts"], &[".toml"]),
    );
}

#[test]
fn encoding_files_of_any_bytes_are_read_or_refused() {
    smoke(targets::encoding_file, &seeds(&["fuzz/corpus/encoding_file"], &[".parquet"]));
}
