//! `blindlink store`: check, backup and restore the store of a stopped service.

use super::serve::refused;
use crate::store::{CheckReport, SledStore, Store, StoreError, backup, check, restore, system_clock};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

const STORE_DAMAGED: u8 = 6;

/// Check, back up or restore the store of a stopped service.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// The service's data directory; for `restore`, a new one
    #[arg(long, value_name = "FOLDER", default_value = "blindlink-data", global = true)]
    data_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read everything and compare it with its digests
    Check,
    /// Write what is sealed to one file and read it back
    Backup {
        /// The file, which must not exist yet
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Put a backup into a new data directory
    Restore {
        /// The backup
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
}

/// Does one of the three; prints JSON if `as_json`.
pub(crate) fn store(args: &StoreArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    match run(args) {
        Ok((words, json, code)) => {
            let mut out = std::io::stdout().lock();
            if as_json {
                writeln!(out, "{json}")?;
            } else {
                writeln!(out, "{words}")?;
            }
            Ok(code)
        }
        Err(error) => refused(&error),
    }
}

fn open(path: &Path) -> Result<Arc<dyn Store>, StoreError> {
    if !path.is_dir() {
        return Err(StoreError::Io {
            what: format!("there is no store in {}", path.display()),
            cause: "name the service's data directory with --data-dir".to_owned(),
        });
    }
    Ok(Arc::new(SledStore::open(path, 128)?))
}

fn run(args: &StoreArgs) -> Result<(String, serde_json::Value, ExitCode), StoreError> {
    match &args.command {
        Command::Check => {
            let report = check(open(&args.data_dir)?, system_clock())?;
            let code = if report.faults.is_empty() { 0 } else { STORE_DAMAGED };
            Ok((words(&report), json!(report), ExitCode::from(code)))
        }
        Command::Backup { to } => {
            let report = backup(&*open(&args.data_dir)?, to)?;
            let words = format!("{} entries, {} bytes in {}", report.entries, report.bytes, to.display());
            Ok((words, json!(report), ExitCode::SUCCESS))
        }
        Command::Restore { from } => {
            let (report, checked) = restore(from, &args.data_dir, system_clock())?;
            let place = args.data_dir.display();
            let words = format!("{} entries restored into {place}\n{}", report.entries, words(&checked));
            Ok((words, json!({"backup": report, "check": checked}), ExitCode::SUCCESS))
        }
    }
}

fn words(report: &CheckReport) -> String {
    let mut words = format!(
        "{} projects, {} datasets, {} records, {} open uploads, {} runs, {} links, {} events",
        report.projects,
        report.datasets,
        report.records,
        report.uploads,
        report.runs,
        report.links,
        report.events
    );
    for fault in &report.faults {
        words.push_str("\nfault: ");
        words.push_str(fault);
    }
    words.push_str(if report.faults.is_empty() { "\nsound" } else { "\ndamaged: restore a backup" });
    words
}
