//! Encoding files: reading them, and `inspect`.

use super::exit::{Exit, Failure, Outcome};
use super::term::{Terminal, count, table};
use crate::agency::file::{EncodingFile, FileError};
use crate::wire::{EncodingBatch, EncodingHeader};
use clap::Args;
use std::path::{Path, PathBuf};

/// Shows what an encoding file says of itself, after checking every record against its digest. No
/// encoding is printed.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The encoding file.
    file: PathBuf,
}

pub(crate) fn inspect(args: &InspectArgs, terminal: Terminal) -> Outcome {
    let (header, batch) = read_encodings(&args.file)?;
    if terminal.json {
        terminal.report(&header)?;
        return Ok(Exit::Done);
    }
    let rows = [
        ("agency", header.agency.to_string()),
        ("project", header.project.to_string()),
        ("epoch", header.epoch.to_string()),
        ("schema", header.schema.clone()),
        ("schema fingerprint", header.schema_fingerprint.to_string()),
        ("key check value", header.key_check.to_string()),
        ("profile", header.layout.profile().to_string()),
        ("records", count(header.records)),
        ("bytes a record", header.layout.encoding_bytes().to_string()),
        ("plain local ids", if header.plain_ids { "yes: never upload this file" } else { "no" }.to_owned()),
        ("content (BLAKE3)", header.content.to_string()),
    ];
    terminal.line(table(["what", "value"], rows.map(|(what, value)| [what.to_owned(), value])))?;
    let slots = header.layout.slots().zip(&batch.slots).map(|((view, k), column)| {
        let bits: u64 = column.filters.iter().map(|byte| u64::from(byte.count_ones())).sum();
        let all = column.filters.len().max(1) as u64 * 8;
        [
            format!("{}.{k}", view.name),
            view.bits.to_string(),
            format!("{:.1} %", 100.0 * bits as f64 / all as f64),
        ]
    });
    terminal.line(table(["slot", "bits", "fill"], slots))?;
    Ok(Exit::Done)
}

/// Reads an encoding file whole.
pub(crate) fn read_encodings(path: &Path) -> Result<(EncodingHeader, EncodingBatch), Failure> {
    let read = EncodingFile::open(path).and_then(EncodingFile::read_all);
    read.map_err(|error| file_failure(error, "reading encodings"))
}

/// Files that must not be compared are a matter of policy, all others bad input.
pub(crate) fn file_failure(error: FileError, doing: &str) -> Failure {
    let exit = match &error {
        FileError::Incomparable { .. } => Exit::Refused,
        _ => Exit::BadInput,
    };
    Failure { exit, error: anyhow::Error::from(error).context(doing.to_owned()) }
}
