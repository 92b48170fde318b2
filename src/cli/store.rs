//! `blindlink store`: check, backup and restore the store of a stopped service.

use super::exit::{Exit, Failure, OrExit, Outcome};
use super::serve::{read_config, store_failure};
use super::term::Terminal;
use crate::config::central::CentralConfig;
use crate::service::secrets::{self, SecretsError};
use crate::store::seal::RootKey;
use crate::store::{CheckReport, SledStore, Store, StoreError, backup, check, restore, system_clock};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Checks, backs up or restores the store of a stopped service.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// The service's data directory; for `restore`, a new one [default: as the configuration says, else
    /// blindlink-data]
    #[arg(long, value_name = "FOLDER", global = true)]
    data_dir: Option<PathBuf>,
    /// The folder of the centre's secrets; without it, `secrets` in the data directory
    #[arg(long, value_name = "FOLDER", global = true, conflicts_with = "config")]
    secrets: Option<PathBuf>,
    /// The service's configuration file, when the root key comes from elsewhere
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
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
    let (config, folder) = configuration(args)?;
    let root = match args.command {
        Command::Backup { .. } => None,
        Command::Check | Command::Restore { .. } => root(&config)?,
    };
    let (words, json, exit) = run(&args.command, &folder, root).map_err(store_failure)?;
    // A configuration that names the folder of the secrets goes on naming it; else the service looks beside its store.
    let named = args.config.is_some() && config.secrets_dir.is_some();
    let (kept, beside) = (config.secrets_folder(), folder.join("secrets"));
    if matches!(args.command, Command::Restore { .. }) && !named && kept != beside && kept.is_dir() {
        secrets::copy(&kept, &beside).or_exit(Exit::Refused)?;
    }
    if terminal.json {
        terminal.report(&json)?;
    } else {
        terminal.line(words)?;
    }
    Ok(exit)
}

/// Where the secrets are (as told, else beside the store of the configuration; a restored store has none of its own
/// yet), and the data directory.
fn configuration(args: &StoreArgs) -> Result<(CentralConfig, PathBuf), Failure> {
    let mut config = match &args.config {
        Some(path) => read_config(path)?,
        None => {
            let default = CentralConfig::default();
            CentralConfig { data_dir: args.data_dir.clone().unwrap_or(default.data_dir.clone()), ..default }
        }
    };
    let folder = args.data_dir.clone().unwrap_or_else(|| config.data_dir.clone());
    if let Some(folder) = &args.secrets {
        config.secrets_dir = Some(folder.clone());
    }
    Ok((config, folder))
}

/// The root key, if there is any; a store without encodings needs none.
fn root(config: &CentralConfig) -> Result<Option<RootKey>, Failure> {
    match secrets::root_key(config) {
        Ok(root) => Ok(Some(root)),
        Err(SecretsError::Missing { .. }) => Ok(None),
        Err(error) => Err(Failure { exit: Exit::Refused, error: error.into() }),
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

fn run(
    command: &Command,
    folder: &Path,
    root: Option<RootKey>,
) -> Result<(String, serde_json::Value, Exit), StoreError> {
    match command {
        Command::Check => {
            let report = check(open(folder)?, root, system_clock())?;
            let exit = if report.faults.is_empty() { Exit::Done } else { Exit::StoreDamaged };
            Ok((words(&report), json!(report), exit))
        }
        Command::Backup { to } => {
            let report = backup(&*open(folder)?, to)?;
            let words = format!("{} entries, {} bytes in {}", report.entries, report.bytes, to.display());
            Ok((words, json!(report), Exit::Done))
        }
        Command::Restore { from } => {
            let (report, checked) = restore(from, folder, root, system_clock())?;
            let place = folder.display();
            let words = format!("{} entries restored into {place}\n{}", report.entries, words(&checked));
            Ok((words, json!({"backup": report, "check": checked}), Exit::Done))
        }
    }
}

fn words(report: &CheckReport) -> String {
    let mut words = format!(
        "{} projects, {} datasets, {} records, {} open uploads, {} runs, {} links, {} events, {} ledger entries",
        report.projects,
        report.datasets,
        report.records,
        report.uploads,
        report.runs,
        report.links,
        report.events,
        report.ledger_entries
    );
    for fault in &report.faults {
        words.push_str("\nfault: ");
        words.push_str(fault);
    }
    words.push_str(if report.faults.is_empty() { "\nsound" } else { "\ndamaged: restore a backup" });
    words
}
