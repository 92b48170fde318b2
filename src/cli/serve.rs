//! `blindlink serve`: the centre.

use super::exit::{Exit, Failure, OrExit, Outcome};
use super::files::read_text;
use super::term::Terminal;
use crate::config::central::CentralConfig;
use crate::service::journal::JOURNAL_FILE;
use crate::service::server::{Running, StartError, start_with};
use crate::service::tls::{TlsError, trial_files};
use crate::store::{SledStore, Store, StoreError, system_clock};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs the centre: projects, uploads, runs, links, look-ups, console.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Configuration file; without one the service listens on 127.0.0.1:8710 and keeps ./blindlink-data
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead (port 0 takes a free one)
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Keep the store here instead
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Serve TLS with a certificate made for a trial on this machine; agencies name its file as ca_certificate
    #[arg(long)]
    dev_tls: bool,
}

/// Serves until SIGINT or SIGTERM.
pub(crate) fn serve(args: &ServeArgs, terminal: Terminal) -> Outcome {
    log_to_stderr();
    let mut config = configuration(args)?;
    config.ledger_heads = Some(config.data_dir.join("ledger-heads.json"));
    config.erasures = Some(config.secrets_folder().join(JOURNAL_FILE));
    let store = SledStore::open(&config.data_dir, config.cache_mib).map_err(store_failure)?;
    if args.dev_tls {
        let folder = config.data_dir.join("trial-tls");
        config.tls = Some(trial_files(&folder, system_clock()()).map_err(tls_failure)?);
    }
    let running = start_with(&config, Arc::new(store) as Arc<dyn Store>, system_clock(), true);
    let running = running.map_err(|error| match error {
        StartError::Store(error) => store_failure(error),
        StartError::Ledger(_) => Failure { exit: Exit::StoreDamaged, error: error.into() },
        StartError::Secrets(_) | StartError::Journal(_) => {
            Failure { exit: Exit::Refused, error: error.into() }
        }
        StartError::Listen { .. } => Failure { exit: Exit::BadInput, error: error.into() },
        StartError::Tls(error) => tls_failure(error),
        StartError::Threads(_) => Failure { exit: Exit::Internal, error: error.into() },
    })?;
    announce(&running, &config, terminal)?;
    running.wait().or_exit_with(Exit::Internal, "the service ended badly")?;
    Ok(Exit::Done)
}

fn configuration(args: &ServeArgs) -> Result<CentralConfig, Failure> {
    let mut config = match &args.config {
        None => CentralConfig::default(),
        Some(path) => read_config(path)?,
    };
    if let Some(listen) = args.listen {
        if !listen.ip().is_loopback() {
            let message =
                "--listen takes an address of this machine alone: for another, write a configuration file";
            return Err(Failure::new(Exit::Usage, message));
        }
        config.listen = listen;
    }
    if let Some(folder) = &args.data_dir {
        config.data_dir.clone_from(folder);
    }
    if args.dev_tls && config.tls.is_some() {
        return Err(Failure::new(Exit::Usage, "--dev-tls and [tls] in the configuration: choose one"));
    }
    Ok(config)
}

/// A key that others reach is a matter of policy; everything else is a bad file.
fn tls_failure(error: TlsError) -> Failure {
    let exit = match &error {
        TlsError::Exposed { .. } | TlsError::Owner { .. } => Exit::Refused,
        _ => Exit::BadInput,
    };
    Failure { exit, error: error.into() }
}

/// Reads `central.toml`.
pub(super) fn read_config(path: &Path) -> Result<CentralConfig, Failure> {
    let text = read_text(path, crate::wire::limits::CONFIG_BYTES_MAX)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    CentralConfig::from_toml(&text, folder).or_exit_with(Exit::BadInput, path.display())
}

/// The exit code of what the store says.
pub(super) fn store_failure(error: StoreError) -> Failure {
    let exit = match &error {
        StoreError::Damaged { .. } | StoreError::Unreadable { .. } => Exit::StoreDamaged,
        _ => Exit::BadInput,
    };
    Failure { exit, error: error.into() }
}

fn announce(running: &Running, config: &CentralConfig, terminal: Terminal) -> Result<(), Failure> {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let opened = running.opened();
    if terminal.json {
        return terminal.report(&json!({
            "service": format!("{scheme}://{}", running.addr()),
            "console": format!("{scheme}://{}/console", running.addr()),
            "store": config.data_dir,
            "secrets": config.secrets_folder(),
            "unfinished_removed": opened.swept,
            "runs_interrupted": opened.interrupted_runs,
            // Shown this once, as on the terminal.
            "operator_key": running.first_key().map(|key| key.expose().to_string()),
        }));
    }
    terminal.line(format!("serving on {scheme}://{}", running.addr()))?;
    terminal.line(format!("store     {}", config.data_dir.display()))?;
    terminal.line(format!("secrets   {}", config.secrets_folder().display()))?;
    terminal.line(format!("console   {scheme}://{}/console", running.addr()))?;
    if let Some(tls) = &config.tls {
        terminal.line(format!("TLS       {}", tls.certificate.display()))?;
    }
    if opened.swept > 0 || opened.interrupted_runs > 0 {
        let (swept, runs) = (opened.swept, opened.interrupted_runs);
        terminal
            .line(format!("mended    {swept} unfinished entries removed, {runs} runs marked interrupted"))?;
    }
    if let Some(key) = running.first_key() {
        terminal.line(format!("operator  {}", key.expose()))?;
        terminal.line("          this key is shown this once: keep it safe")?;
    }
    Ok(())
}

/// Logs go to standard error.
fn log_to_stderr() {
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    // A second start in one process keeps the first log.
    let _ = subscriber.try_init();
}
