//! `blindlink serve`: the centre.

use crate::config::central::CentralConfig;
use crate::service::server::{Running, StartError, start_with};
use crate::store::{SledStore, Store, StoreError, system_clock};
use anyhow::Context;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Exit codes of the contract that these commands use.
const STORE_DAMAGED: u8 = 6;
const BAD_INPUT: u8 = 3;

/// Run the centre: projects, uploads, runs, links, look-ups, console.
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
}

/// Serves until SIGINT or SIGTERM.
pub(crate) fn serve(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    log_to_stderr();
    let config = configuration(args)?;
    let store = match SledStore::open(&config.data_dir, config.cache_mib) {
        Ok(store) => Arc::new(store) as Arc<dyn Store>,
        Err(error) => return refused(&error),
    };
    let running = match start_with(&config, store, system_clock(), true) {
        Ok(running) => running,
        Err(StartError::Store(error)) => return refused(&error),
        Err(error) => return Err(error.into()),
    };
    announce(&running, &config)?;
    running.wait().context("the service ended badly")?;
    Ok(ExitCode::SUCCESS)
}

fn configuration(args: &ServeArgs) -> anyhow::Result<CentralConfig> {
    let mut config = match &args.config {
        None => CentralConfig::default(),
        Some(path) => read_config(path)?,
    };
    if let Some(listen) = args.listen {
        anyhow::ensure!(
            listen.ip().is_loopback(),
            "--listen takes an address of this machine alone: for another, write a configuration file"
        );
        config.listen = listen;
    }
    if let Some(folder) = &args.data_dir {
        config.data_dir.clone_from(folder);
    }
    Ok(config)
}

/// Reads `central.toml`.
pub(super) fn read_config(path: &Path) -> anyhow::Result<CentralConfig> {
    let name = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(name)?.len();
    anyhow::ensure!(size <= crate::wire::limits::CONFIG_BYTES_MAX, "{} is too large", path.display());
    let text = std::fs::read_to_string(path).with_context(name)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    CentralConfig::from_toml(&text, folder).with_context(|| path.display().to_string())
}

/// Says why the store was not opened, and ends with its exit code.
pub(super) fn refused(error: &StoreError) -> anyhow::Result<ExitCode> {
    writeln!(std::io::stderr(), "error: {error}")?;
    let code = match error {
        StoreError::Damaged { .. } | StoreError::Unreadable { .. } => STORE_DAMAGED,
        _ => BAD_INPUT,
    };
    Ok(ExitCode::from(code))
}

fn announce(running: &Running, config: &CentralConfig) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "serving on http://{}", running.addr())?;
    writeln!(out, "store     {}", config.data_dir.display())?;
    writeln!(out, "console   http://{}/console", running.addr())?;
    let opened = running.opened();
    if opened.swept > 0 || opened.interrupted_runs > 0 {
        let (swept, runs) = (opened.swept, opened.interrupted_runs);
        writeln!(out, "mended    {swept} unfinished entries removed, {runs} runs marked interrupted")?;
    }
    if let Some(key) = running.first_key() {
        writeln!(out, "operator  {}", key.expose())?;
        writeln!(out, "          this key is shown this once: keep it safe")?;
    }
    out.flush()?;
    Ok(())
}

/// Logs go to standard error.
fn log_to_stderr() {
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    // A second start in one process keeps the first log.
    let _ = subscriber.try_init();
}
