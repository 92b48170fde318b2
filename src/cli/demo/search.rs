//! Searches every byte the centre stored for every identifier of the extracts.

use super::super::exit::{Exit, Failure, OrExit};
use super::super::files::open;
use super::super::term::{Terminal, count};
use super::children::Source;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Bytes a search term has at least: eight random bytes spell a given text once in 2^64.
const TERM_BYTES_MIN: usize = 8;

/// What was searched.
#[derive(Debug, Serialize)]
pub(super) struct Searched {
    bytes: u64,
    files: u64,
    identifiers: u64,
    found: u64,
}

/// Says what the centre stored and whether any identifier is in it.
///
/// # Errors
/// Refused where one is.
pub(super) fn report(source: &Source, stored: &Path, terminal: Terminal) -> Result<Searched, Failure> {
    let terms = terms(source)?;
    let mut files = Vec::new();
    collect(stored, &mut files)?;
    let mut bytes = 0u64;
    let mut found = 0u64;
    for file in &files {
        let content = std::fs::read(file).or_exit_with(Exit::Internal, file.display())?;
        bytes += content.len() as u64;
        found += search(&content, &terms);
    }
    let identifiers = terms.values().map(|terms| terms.len() as u64).sum::<u64>();
    terminal.tell(format!(
        "\nThe centre stored {} bytes in {} files. Searched for {} identifiers (names, dates of birth, \
         addresses, numbers, local ids; those of fewer than eight letters together with the cell beside them), \
         in any case: {} found.",
        count(bytes),
        count(files.len() as u64),
        count(identifiers),
        if found == 0 { "none".to_owned() } else { count(found) }
    ))?;
    if found > 0 {
        return Err(Failure::new(Exit::Internal, "an identifier stands in what the centre stored"));
    }
    Ok(Searched { bytes, files: files.len() as u64, identifiers, found })
}

/// Search terms in lower case, by their first bytes.
type Terms = HashMap<[u8; TERM_BYTES_MIN], HashSet<Vec<u8>>>;

/// Every cell of the extracts that is long enough to be told from chance; a shorter one together with
/// its neighbour, with and without a space or comma between.
fn terms(source: &Source) -> Result<Terms, Failure> {
    let mut terms = Terms::new();
    let mut add = |text: &str| {
        let term = text.trim().to_ascii_lowercase().into_bytes();
        if let Some(head) = term.first_chunk::<TERM_BYTES_MIN>() {
            terms.entry(*head).or_default().insert(term.clone());
        }
    };
    for agency in &source.agencies {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(open(&agency.extract)?);
        let mut row = csv::ByteRecord::new();
        while reader.read_byte_record(&mut row).or_exit_with(Exit::BadInput, agency.extract.display())? {
            let cells: Vec<String> =
                row.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
            cells.iter().for_each(|cell| add(cell));
            for pair in cells.windows(2).filter(|pair| pair.iter().all(|cell| cell.len() > 1)) {
                [" ", ",", ""].iter().for_each(|between| add(&pair.join(between)));
            }
        }
    }
    Ok(terms)
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder).or_exit_with(Exit::Internal, folder.display())? {
        let path = entry.or_exit(Exit::Internal)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Number of places in `content` where a term begins, in any case.
fn search(content: &[u8], terms: &Terms) -> u64 {
    let content = content.to_ascii_lowercase();
    let at = |start: usize| {
        let head = content[start..].first_chunk::<TERM_BYTES_MIN>();
        head.and_then(|head| terms.get(head))
            .is_some_and(|terms| terms.iter().any(|t| content[start..].starts_with(t)))
    };
    (0..content.len()).filter(|start| at(*start)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_identifier_is_found_in_any_case() {
        let mut terms = Terms::new();
        let term = b"canaryname".to_vec();
        terms.entry(*term.first_chunk().unwrap()).or_default().insert(term);
        assert_eq!(search(b"\x00\x01CanaryName\xff canaryname", &terms), 2);
        assert_eq!(search(b"canarynam", &terms), 0);
    }
}
