//! `blindlink store`: check, backup and restore the store of a stopped service.

use super::exit::{Exit, Outcome};
use super::serve::store_failure;
use super::term::Terminal;
use crate::store::{CheckReport, SledStore, Store, StoreError, backup, check, restore, system_clock};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Checks, backs up or restores the store of a stopped service.
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

/// Does one of the three.
pub(crate) fn store(args: &StoreArgs, terminal: Terminal) -> Outcome {
    let (words, json, exit) = run(args).map_err(store_failure)?;
    if terminal.json {
        terminal.report(&json)?;
    } else {
        terminal.line(words)?;
    }
    Ok(exit)
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

fn run(args: &StoreArgs) -> Result<(String, serde_json::Value, Exit), StoreError> {
    match &args.command {
        Command::Check => {
            let report = check(open(&args.data_dir)?, system_clock())?;
            let exit = if report.faults.is_empty() { Exit::Done } else { Exit::StoreDamaged };
            Ok((words(&report), json!(report), exit))
        }
        Command::Backup { to } => {
            let report = backup(&*open(&args.data_dir)?, to)?;
            let words = format!("{} entries, {} bytes in {}", report.entries, report.bytes, to.display());
            Ok((words, json!(report), Exit::Done))
        }
        Command::Restore { from } => {
            let (report, checked) = restore(from, &args.data_dir, system_clock())?;
            let place = args.data_dir.display();
            let words = format!("{} entries restored into {place}\n{}", report.entries, words(&checked));
            Ok((words, json!({"backup": report, "check": checked}), Exit::Done))
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
