//! Runs: start, watch, stop.

use super::Answered;
use crate::service::auth::{ReadProject, StartRun, StopRun, authenticate, project};
use crate::service::body::{answer, blocking, idempotency_key, page};
use crate::service::error::ApiError;
use crate::service::state::State;
use crate::store::{Once, ProjectRecord};
use crate::wire::messages::{RunList, RunState};
use crate::wire::{ContentDigest, Epoch, RunId};
use actix_web::HttpRequest;
use actix_web::web::Path;

pub(in crate::service) async fn list(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadProject>(&state.vault, actor, &path)?;
    let page = page::<RunId>(&request)?;
    let list = blocking(move || {
        let found = state.vault.runs(&grant.project().id, page.cursor.as_ref(), page.limit)?;
        let next = if found.len() == page.limit { found.last().map(|run| run.id.to_string()) } else { None };
        Ok(RunList { runs: found.iter().map(|run| state.jobs.message(run)).collect(), next })
    });
    answer(&request, 200, &list.await?)
}

pub(in crate::service) async fn start(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<StartRun>(&state.vault, actor, &path)?;
    let project = of_epoch(grant.project(), request.query_string())?;
    let route = format!("runs/{}/{}", project.id, project.epoch);
    let digest = ContentDigest::of(b"");
    let key = idempotency_key(&request)?;
    let once = key.map(|key| Once::new(grant.actor().key(), &route, &key, digest));
    let (message, new) = blocking(move || {
        let event = grant.actor().event("run_started");
        let (run, new) = state.jobs.start(&project, once.as_ref(), event)?;
        Ok((state.jobs.message(&run), new))
    })
    .await?;
    answer(&request, if new { 202 } else { 200 }, &message)
}

/// The project as the run is to see it: in its own epoch, or with `epoch=` in the one that is announced.
fn of_epoch(project: &ProjectRecord, query: &str) -> Result<ProjectRecord, ApiError> {
    let Some(epoch) = query.strip_prefix("epoch=") else {
        return if query.is_empty() { Ok(project.clone()) } else { Err(wrong_epoch()) };
    };
    let epoch = epoch.parse::<u32>().ok().and_then(|number| Epoch::try_from(number).ok());
    let epoch = epoch.ok_or_else(wrong_epoch)?;
    let announced = project.next.as_ref().is_some_and(|next| next.epoch == epoch);
    if announced || epoch == project.epoch {
        Ok(ProjectRecord { epoch, ..project.clone() })
    } else {
        Err(ApiError::Rule("a run compares the present epoch or the one that is announced"))
    }
}

fn wrong_epoch() -> ApiError {
    ApiError::Malformed("the query may hold epoch, a number".to_owned())
}

pub(in crate::service) async fn read(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadProject>(&state.vault, actor, &path.0)?;
    let id: RunId = path.1.parse().map_err(|_| ApiError::NotFound)?;
    let message = blocking(move || {
        let run = state.vault.run(&grant.project().id, &id)?.ok_or(ApiError::NotFound)?;
        Ok(state.jobs.message(&run))
    });
    answer(&request, 200, &message.await?)
}

pub(in crate::service) async fn cancel(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<StopRun>(&state.vault, actor, &path.0)?;
    let id: RunId = path.1.parse().map_err(|_| ApiError::NotFound)?;
    let message = blocking(move || {
        let run = state.vault.run(&grant.project().id, &id)?.ok_or(ApiError::NotFound)?;
        if run.state != RunState::Running {
            return Err(ApiError::RunEnded);
        }
        let event = grant.actor().event("run_stop_asked").project(&run.project).run(&id);
        state.vault.record(event)?;
        if state.jobs.cancel(&id) { Ok(state.jobs.message(&run)) } else { Err(ApiError::RunEnded) }
    });
    answer(&request, 202, &message.await?)
}
