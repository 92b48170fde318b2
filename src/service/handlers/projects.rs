//! Projects: opened by the operator, read by their parties.

use super::Answered;
use crate::service::agreements;
use crate::service::auth::{Actor, Operate, ReadProject, authenticate, centre, project};
use crate::service::body::{answer, blocking, json, page};
use crate::service::error::ApiError;
use crate::service::state::State;
use crate::store::ProjectRecord;
use crate::wire::messages::{BrokerPut, EpochPut, ProjectCreate, ProjectList, ProjectMessage};
use crate::wire::{AgencyId, ProjectId};
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};

pub(in crate::service) fn message(project: ProjectRecord) -> ProjectMessage {
    ProjectMessage {
        id: project.id,
        title: project.title,
        schema: project.schema,
        schema_fingerprint: project.schema_fingerprint,
        layout: project.layout,
        decision: project.decision,
        epoch: project.epoch,
        key_check: project.key_check,
        next_epoch: project.next.map(|next| next.epoch),
        purposes: project.purposes,
        created: project.created,
        ends: project.ends,
    }
}

pub(in crate::service) async fn list(state: State, request: HttpRequest) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let page = page::<ProjectId>(&request)?;
    let list = blocking(move || visible(&state, &actor, page.cursor.as_ref(), page.limit)).await?;
    answer(&request, 200, &list)
}

/// All projects to a key of the centre, its own to an agency's.
fn visible(
    state: &State,
    actor: &Actor,
    after: Option<&ProjectId>,
    limit: usize,
) -> Result<ProjectList, ApiError> {
    let found = match actor.project() {
        Some(own) => state.vault.project(own)?.into_iter().collect(),
        None => state.vault.projects(after, limit)?,
    };
    let next = (actor.project().is_none() && found.len() == limit)
        .then(|| found.last().map(|project| project.id.to_string()))
        .flatten();
    Ok(ProjectList { projects: found.into_iter().map(message).collect(), next })
}

pub(in crate::service) async fn create(state: State, request: HttpRequest, payload: Payload) -> Answered {
    let grant = centre::<Operate>(authenticate(&state.vault, &request)?)?;
    let new: ProjectCreate = json(&request, payload).await?;
    new.decision.check(&new.layout).map_err(|error| ApiError::Malformed(error.to_string()))?;
    if new.purposes.is_empty() || new.purposes.len() > 64 {
        return Err(ApiError::Rule("an agreement has 1 to 64 purposes"));
    }
    let work = move || state.vault.create_project(&new, grant.actor().event("project_opened"));
    let made = blocking(move || Ok(work()?)).await?.ok_or(ApiError::Taken("this project"))?;
    answer(&request, 201, &message(made))
}

pub(in crate::service) async fn read(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadProject>(&state.vault, actor, &path)?;
    answer(&request, 200, &message(grant.project().clone()))
}

pub(in crate::service) async fn begin_epoch(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<Operate>(&state.vault, actor, &path)?;
    let put: EpochPut = json(&request, payload).await?;
    let changed = blocking(move || {
        let (vault, id) = (&state.vault, &grant.project().id);
        if put.shadow {
            let event = grant.actor().event("epoch_announced");
            return Ok(vault.announce_epoch(id, put.epoch, put.key_check, event)?);
        }
        agreements::only_in_a_trial(vault, id)?;
        let event = grant.actor().event("epoch_begun");
        let changed = vault.begin_epoch(id, put.epoch, put.key_check, event)?;
        if changed.is_some() {
            vault.erase_epochs_before(id, put.epoch)?;
        }
        Ok(changed)
    });
    let changed = changed.await?.ok_or(ApiError::Rule("a new epoch is later than the current one"))?;
    answer(&request, 200, &message(changed))
}

pub(in crate::service) async fn set_broker(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<Operate>(&state.vault, actor, &path)?;
    let put: BrokerPut = json(&request, payload).await?;
    let changed = blocking(move || {
        let (vault, id) = (&state.vault, &grant.project().id);
        if !vault.is_party(id, &put.agency)? {
            return Err(ApiError::Rule("the broker is a party of the project: let it join first"));
        }
        agreements::only_in_a_trial(vault, id)?;
        Ok(vault.set_broker(id, &put.agency, grant.actor().event("broker_named"))?)
    });
    answer(&request, 200, &message(changed.await?.ok_or(ApiError::NotFound)?))
}

/// Parses an agency id of a path; one that cannot exist is not found.
pub(super) fn agency_id(text: &str) -> Result<AgencyId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound)
}
