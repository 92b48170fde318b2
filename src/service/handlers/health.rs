//! Is it alive, is it ready, how is it doing.

use super::Answered;
use crate::service::auth::{ReadMetrics, authenticate, centre};
use crate::service::body::blocking;
use crate::service::error::ApiError;
use crate::service::metrics::ReviewFigures;
use crate::service::state::State;
use crate::store::Vault;
use actix_web::{HttpRequest, HttpResponse};

/// The process answers.
pub(in crate::service) async fn health() -> Answered {
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("alive\n"))
}

/// The store answers and takes writes.
pub(in crate::service) async fn ready(state: State) -> Answered {
    let probe = move || {
        let probed = state.vault.ready().and_then(|()| state.vault.probe_write());
        probed.map_err(|error| ApiError::Unavailable(error.to_string()))
    };
    blocking(probe).await?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ready\n"))
}

/// Counts for Prometheus, to an operator's or auditor's key.
pub(in crate::service) async fn metrics(state: State, request: HttpRequest) -> Answered {
    let _grant = centre::<ReadMetrics>(authenticate(&state.vault, &request)?)?;
    let text = blocking(move || {
        let vault = &state.vault;
        let reviews = state.metrics.reviews(vault.now(), || figures(vault))?;
        Ok(state.metrics.text(vault.store().bytes_on_disk()?, state.jobs.count(), &reviews))
    });
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text.await?))
}

fn figures(vault: &Vault) -> Result<Vec<ReviewFigures>, ApiError> {
    let mut reviews = Vec::new();
    for project in vault.projects(None, usize::MAX)? {
        let latest = vault.latest_run(&project.id, project.epoch)?;
        let backlog = vault.backlog(&project.id, latest.as_ref())?;
        let waits_ms = backlog.oldest.map_or(0, |oldest| vault.now().millis() - oldest.millis());
        reviews.push(ReviewFigures {
            project: project.id,
            open: backlog.open,
            oldest_seconds: u64::try_from(waits_ms / 1_000).unwrap_or(0),
        });
    }
    Ok(reviews)
}
