//! Is it alive, is it ready, how is it doing.

use super::Answered;
use crate::service::auth::{ReadMetrics, authenticate, centre};
use crate::service::body::blocking;
use crate::service::error::ApiError;
use crate::service::state::State;
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
        let bytes = state.vault.store().bytes_on_disk()?;
        Ok(state.metrics.text(bytes, state.jobs.count()))
    });
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text.await?))
}
