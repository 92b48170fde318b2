//! Starting and stopping the service. No global state: several can run in one process.

use super::error::ApiError;
use super::front_door::FrontDoors;
use super::jobs::Jobs;
use super::journal::{Journal, JournalError};
use super::ledgers::Ledgers;
use super::metrics::Metrics;
use super::policy::Day;
use super::secrets::{Secrets, SecretsError};
use super::state::Centre;
use super::tls::{Certificates, LOOK_EVERY, TlsError, client};
use super::{console::Sessions, layers, routes};
use crate::config::central::CentralConfig;
use crate::store::{
    Clock, KeyRecord, LogError, NewEvent, OpenReport, Store, StoreError, Token, Vault, system_clock,
};
use crate::wire::messages::{KeyCreate, KeyScope, Role};
use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections one worker serves at a time.
const CONNECTIONS_MAX: usize = 1_024;
/// A request's head must arrive within this.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked whether a new day asks for a sweep.
const SWEEP_LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// Requests in progress get this long when the service stops; runs half of it.
const STOP_SECONDS: u64 = 20;

/// How often the ledgers' checkpoints are remembered.
const REMEMBER_EVERY: Duration = Duration::from_secs(30);

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The centre's secrets are missing or exposed.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A ledger is damaged, or not the one that was signed before.
    #[error(transparent)]
    Ledger(#[from] LogError),
    /// What was erased cannot be told from what was not.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be had.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start the service's threads: {0}")]
    Threads(String),
}

/// A service that runs on threads of its own.
pub struct Running {
    addr: SocketAddr,
    handle: ServerHandle,
    thread: JoinHandle<std::io::Result<()>>,
    first_key: Option<Token>,
    opened: OpenReport,
}

impl Running {
    /// Where it listens; the port is real when port 0 was asked for.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
    /// The operator's key, on the first start of an empty store only; to be shown once.
    #[must_use]
    pub fn first_key(&self) -> Option<&Token> {
        self.first_key.as_ref()
    }
    /// What opening the store found and mended.
    #[must_use]
    pub fn opened(&self) -> OpenReport {
        self.opened
    }
    /// Lets requests in progress end, stops runs, flushes the store; returns when all is done.
    ///
    /// # Errors
    /// When the server had failed.
    pub fn stop(self) -> std::io::Result<()> {
        // The command is sent when the future is made; the thread below ends when it is done.
        drop(self.handle.stop(true));
        self.wait()
    }
    /// Waits until the service ends, by [`Self::stop`] or by a signal.
    ///
    /// # Errors
    /// When the server failed.
    pub fn wait(self) -> std::io::Result<()> {
        self.thread.join().unwrap_or_else(|_| Err(std::io::Error::other("the server's thread panicked")))
    }
}

/// Starts the service on `store`; it stops by [`Running::stop`].
///
/// # Errors
/// [`StartError`].
pub fn start(config: &CentralConfig, store: Arc<dyn Store>) -> Result<Running, StartError> {
    start_with(config, store, system_clock(), false)
}

/// [`start`] with a clock, and with SIGINT and SIGTERM stopping it if `signals`.
///
/// # Errors
/// [`StartError`].
pub fn start_with(
    config: &CentralConfig,
    store: Arc<dyn Store>,
    clock: Clock,
    signals: bool,
) -> Result<Running, StartError> {
    let (vault, opened) = Vault::open(store, clock)?;
    let (secrets, root) = Secrets::open(config, vault.protects_nothing()?)?;
    let tls = match &config.tls {
        None => None,
        Some(files) => {
            let certificates = Arc::new(Certificates::load(files, vault.now())?);
            Some((certificates.server_config()?, certificates))
        }
    };
    let vault = vault.with_root_key(root);
    // What an abrupt stop left half-erased is erased before anybody reads.
    vault.resume_erasures()?;
    // Nor what was erased after the backup was made from which this store comes.
    let (journal, again) = Journal::open(config.erasures.as_deref(), &vault, &secrets.tombstone)?;
    if again > 0 {
        tracing::warn!(again, "the store was put back: what was erased since was erased again");
    }
    let vault = Arc::new(vault);
    let jobs = Jobs::new(Arc::clone(&vault), config.link_threads)
        .map_err(|error| StartError::Threads(error.to_string()))?;
    let listen = |cause| StartError::Listen { address: config.listen, cause };
    let listener = TcpListener::bind(config.listen).map_err(listen)?;
    let addr = listener.local_addr().map_err(listen)?;
    // Only now: a key that nobody is shown, because the port is taken, would be lost.
    let first_key = first_key(&vault)?;
    let ledgers = Ledgers::open(vault.shared_store(), &secrets, config.ledger_heads.as_deref())?;
    let centre = web::Data::new(Centre {
        ledgers,
        front_doors: FrontDoors::default(),
        journal,
        vault,
        jobs,
        metrics: Metrics::default(),
        sessions: Sessions::new(config.tls.is_some() || !config.listen.ip().is_loopback()),
        upload_kept_hours: config.upload_kept_hours,
        secrets,
        body_seconds_max: config.body_seconds_max,
    });
    let workers = config.workers;
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().name("service".to_owned());
    let thread = thread.spawn(move || {
        let system = actix_web::rt::System::new();
        system.block_on(serve(Listening { listener, tls, workers, signals }, centre, &sender))
    });
    let thread = thread.map_err(|error| StartError::Threads(error.to_string()))?;
    let handle = receiver.recv().map_err(|_| StartError::Threads("the server ended at once".to_owned()))?;
    Ok(Running { addr, handle, thread, first_key, opened })
}

/// What the server's thread listens on, and how.
struct Listening {
    listener: TcpListener,
    tls: Option<(rustls::ServerConfig, Arc<Certificates>)>,
    workers: usize,
    signals: bool,
}

async fn serve(
    Listening { listener, tls, workers, signals }: Listening,
    centre: web::Data<Centre>,
    sender: &mpsc::Sender<ServerHandle>,
) -> std::io::Result<()> {
    let shared = centre.clone();
    let mut server = HttpServer::new(move || {
        App::new().app_data(shared.clone()).wrap(from_fn(layers::observe)).configure(routes::configure)
    })
    .workers(workers)
    .on_connect(client::note)
    .max_connections(CONNECTIONS_MAX)
    .client_request_timeout(HEAD_TIMEOUT)
    .shutdown_timeout(STOP_SECONDS);
    if !signals {
        server = server.disable_signals();
    }
    actix_web::rt::spawn(remember_ledgers(centre.clone()));
    actix_web::rt::spawn(sweep_daily(centre.clone()));
    let server = match tls {
        None => server.listen(listener)?,
        Some((config, certificates)) => {
            watch(certificates, &centre, signals)?;
            server.listen_rustls_0_23(listener, config)?
        }
    };
    let server = server.run();
    // Nobody listens when the starter gave up; then the server ends with its thread.
    let _ = sender.send(server.handle());
    let ended = server.await;
    let jobs = centre.jobs.clone();
    let _ = web::block(move || jobs.stop(STOP_SECONDS / 2)).await;
    let kept = centre.ledgers.remember_all(&centre.secrets, centre.vault.now());
    kept.map_err(|error| std::io::Error::other(error.to_string()))?;
    centre.vault.store().flush().map_err(|error| std::io::Error::other(error.to_string()))?;
    ended
}

/// Signs and remembers the ledgers now and then, so that a roll-back shows by what was signed a minute before.
async fn remember_ledgers(centre: web::Data<Centre>) {
    loop {
        actix_web::rt::time::sleep(REMEMBER_EVERY).await;
        let centre = centre.clone();
        let work = move || centre.ledgers.remember_all(&centre.secrets, centre.vault.now());
        if let Ok(Err(error)) = web::block(work).await {
            tracing::error!(%error, "a ledger could not be signed");
        }
    }
}

/// Looks at the certificate's files every second, and on SIGHUP if the service handles signals.
fn watch(certificates: Arc<Certificates>, centre: &web::Data<Centre>, signals: bool) -> std::io::Result<()> {
    #[cfg(unix)]
    if signals {
        use actix_web::rt::signal::unix::{SignalKind, signal};
        let mut hangups = signal(SignalKind::hangup())?;
        let (certificates, centre) = (Arc::clone(&certificates), centre.clone());
        actix_web::rt::spawn(async move {
            while hangups.recv().await.is_some() {
                renew(&certificates, &centre, true);
            }
        });
    }
    let centre = centre.clone();
    actix_web::rt::spawn(async move {
        let mut ticks = actix_web::rt::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            renew(&certificates, &centre, false);
        }
    });
    Ok(())
}

fn renew(certificates: &Certificates, centre: &Centre, forced: bool) {
    match certificates.reload(forced, centre.vault.now()) {
        Ok(true) => tracing::info!("a new TLS certificate is in force"),
        Ok(false) => {}
        Err(error) => tracing::error!(%error, "the TLS certificate stays as it was"),
    }
}

/// Does what the day asks, when the day changes; looked at every hour.
async fn sweep_daily(centre: web::Data<Centre>) {
    let mut done = None;
    loop {
        let today = Day::of(centre.vault.now());
        if done != Some(today) {
            let centre = centre.clone();
            match web::block(move || super::erasing::sweep(&centre)).await {
                Ok(Ok(report)) => {
                    done = Some(today);
                    tracing::info!(records = report.records, projects = report.projects, "swept");
                }
                Ok(Err(error)) => tracing::error!(%error, "the daily sweep failed and is tried again"),
                Err(_) => tracing::error!("the daily sweep was cut short"),
            }
        }
        actix_web::rt::time::sleep(SWEEP_LOOK_EVERY).await;
    }
}

/// Issues the first operator's key into a store that has none.
fn first_key(vault: &Vault) -> Result<Option<Token>, StoreError> {
    let operates = |key: &KeyRecord| {
        key.scope == KeyScope::Centre && key.roles.contains(&Role::Operator) && key.revoked.is_none()
    };
    if vault.keys(None, usize::MAX)?.iter().any(operates) {
        return Ok(None);
    }
    let new = KeyCreate { scope: KeyScope::Centre, roles: vec![Role::Operator], expires: None, label: None };
    let (token, _) = vault.issue_key(&new, false, NewEvent::new("first_key_issued"))?;
    Ok(Some(token))
}

/// Issues a key as one person may; for the command line, which works on a stopped service's store.
///
/// # Errors
/// [`ApiError::Rule`] says what does not fit, or the store's.
pub fn issue_key(vault: &Vault, new: &KeyCreate, event: NewEvent) -> Result<(Token, KeyRecord), ApiError> {
    super::handlers::keys::issue_alone(vault, new, event)
}
