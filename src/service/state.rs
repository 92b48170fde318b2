//! What every request can reach.

use super::console::Sessions;
use super::front_door::FrontDoors;
use super::jobs::Jobs;
use super::journal::Journal;
use super::ledgers::Ledgers;
use super::metrics::Metrics;
use super::secrets::Secrets;
use crate::store::Vault;
use std::sync::Arc;

/// The service's state, shared by its workers.
pub(super) struct Centre {
    pub(super) vault: Arc<Vault>,
    pub(super) jobs: Jobs,
    pub(super) metrics: Metrics,
    pub(super) sessions: Sessions,
    pub(super) upload_kept_hours: u32,
    pub(super) secrets: Secrets,
    pub(super) ledgers: Ledgers,
    pub(super) journal: Journal,
    pub(super) body_seconds_max: u16,
    pub(super) front_doors: FrontDoors,
}

/// The state as handlers receive it.
pub(super) type State = actix_web::web::Data<Centre>;
