//! `blindlink store`: check, backup, restore and re-key the store of a stopped service.

use super::exit::{Exit, Failure, OrExit, Outcome};
use super::serve::{read_config, store_failure};
use super::term::Terminal;
use crate::config::central::CentralConfig;
use crate::service::journal::{JOURNAL_FILE, restored};
use crate::service::secrets::{self, SecretsError};
use crate::store::seal::RootKey;
use crate::store::{CheckReport, SledStore, Store, StoreError, Vault, backup, check, restore, system_clock};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Checks, backs up, restores or re-keys the store of a stopped service.
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
    /// Wrap every project's data key under a new root key; may be repeated after it was interrupted
    RotateRootKey {
        /// File of the new root key, where the present one does not stand in the folder of secrets
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Put a backup into a new data directory
    Restore {
        /// The backup
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// What was erased after the backup is not known any more: begin a new erasures.log, and have the agencies erase
        /// again by their receipts before the service starts
        #[arg(long)]
        erasures_lost: bool,
    },
}

/// Does one of them.
pub(crate) fn store(args: &StoreArgs, terminal: Terminal) -> Outcome {
    let (config, folder) = configuration(args)?;
    let root = match args.command {
        Command::Backup { .. } | Command::RotateRootKey { .. } => None,
        Command::Check | Command::Restore { .. } => root(&config)?,
    };
    let (mut words, mut json, exit) = run(&args.command, (&folder, &config), root)?;
    // A configuration that names the folder of the secrets goes on naming it; else the service looks beside its store.
    let named = args.config.is_some() && config.secrets_dir.is_some();
    let (kept, beside) = (config.secrets_folder(), folder.join("secrets"));
    if matches!(args.command, Command::Restore { .. }) && !named && kept != beside && kept.is_dir() {
        secrets::copy(&kept, &beside).or_exit(Exit::Refused)?;
    }
    if let Command::Restore { erasures_lost, .. } = args.command {
        let journal = if named { kept } else { beside }.join(JOURNAL_FILE);
        let again = erased_since(&folder, &journal, erasures_lost)?;
        json["erased_again_at_start"] = json!(again);
        match again {
            _ if erasures_lost => words.push_str("\nwhat was erased after the backup is in it again"),
            0 => {}
            again => words.push_str(&format!(
                "\n{again} erasures, withdrawals or closures after the backup: the service does them again when it starts"
            )),
        }
    }
    if terminal.json {
        terminal.report(&json)?;
    } else {
        terminal.line(words)?;
    }
    Ok(exit)
}

/// The new key is on disk before the store is under it, and in the place of the old one after: wherever this stops, the
/// next call goes on, and the service does not start in between.
fn rotate(folder: &Path, config: &CentralConfig, to: Option<&Path>) -> Result<Told, Failure> {
    let new = || match to {
        Some(path) => secrets::root_key_in(path),
        None => secrets::begin_rotation(config),
    };
    let store = open(folder).map_err(store_failure)?;
    let (mut vault, _) = Vault::open(store, system_clock()).map_err(store_failure)?;
    let under_new = vault.opens_with(&new().or_exit(Exit::Refused)?).map_err(store_failure)?;
    let mut rewrapped = 0;
    if !under_new {
        let present = secrets::present_root_key(config).or_exit(Exit::Refused)?;
        vault = vault.with_root_key(present);
        rewrapped = vault.rotate_root_key(new().or_exit(Exit::Refused)?).map_err(store_failure)?;
    }
    if to.is_none() {
        secrets::finish_rotation(config).or_exit(Exit::Refused)?;
    }
    let mut words = match rewrapped {
        0 => "every data key stands under the new root key".to_owned(),
        count => format!("{count} data keys stand under the new root key"),
    };
    if to.is_some() {
        words.push_str("\nconfigure the new root key before the service starts, then destroy the old one");
    }
    Ok((words, json!({"rewrapped": rewrapped, "was_under_it_already": under_new}), Exit::Done))
}

/// How many erasures a restored store has forgotten. One whose file of erasures is missing or old is not left there.
fn erased_since(folder: &Path, journal: &Path, lost: bool) -> Result<u64, Failure> {
    let store = open(folder).map_err(store_failure)?;
    let (vault, _) = Vault::open(store, system_clock()).map_err(store_failure)?;
    let again = restored(journal, &vault, lost);
    drop(vault);
    if again.is_err() {
        std::fs::remove_dir_all(folder).or_exit(Exit::BadInput)?;
    }
    again.or_exit(Exit::Refused)
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

type Told = (String, serde_json::Value, Exit);

fn run(
    command: &Command,
    (folder, config): (&Path, &CentralConfig),
    root: Option<RootKey>,
) -> Result<Told, Failure> {
    match command {
        Command::RotateRootKey { to } => rotate(folder, config, to.as_deref()),
        Command::Check => {
            let store = open(folder).map_err(store_failure)?;
            let report = check(store, root, system_clock()).map_err(store_failure)?;
            let exit = if report.faults.is_empty() { Exit::Done } else { Exit::StoreDamaged };
            Ok((words(&report), json!(report), exit))
        }
        Command::Backup { to } => {
            let store = open(folder).map_err(store_failure)?;
            let report = backup(&*store, to).map_err(store_failure)?;
            let words = format!("{} entries, {} bytes in {}", report.entries, report.bytes, to.display());
            Ok((words, json!(report), Exit::Done))
        }
        Command::Restore { from, .. } => {
            let restored = restore(from, folder, root, system_clock());
            let (report, checked) = restored.map_err(store_failure)?;
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
