//! Agencies and the parties of projects.

use super::Answered;
use super::projects::agency_id;
use crate::service::agreements;
use crate::service::answers::party_messages;
use crate::service::auth::{Operate, ReadProject, authenticate, centre, project};
use crate::service::body::{answer, blocking, json, page};
use crate::service::error::ApiError;
use crate::service::state::State;
use crate::store::AgencyRecord;
use crate::wire::messages::{AgencyList, AgencyMessage, AgencyPut, CERTIFICATES_MAX, PartyList};
use crate::wire::{AgencyId, limits};
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};

fn message(agency: AgencyRecord) -> AgencyMessage {
    AgencyMessage {
        id: agency.id,
        name: agency.name,
        contact: agency.contact,
        certificates: agency.certificates,
        updated: agency.updated,
    }
}

pub(in crate::service) async fn list(state: State, request: HttpRequest) -> Answered {
    let _grant = centre::<Operate>(authenticate(&state.vault, &request)?)?;
    let page = page::<AgencyId>(&request)?;
    let found = blocking(move || Ok(state.vault.agencies(page.cursor.as_ref(), page.limit)?)).await?;
    let next = if found.len() == page.limit { found.last().map(|a| a.id.to_string()) } else { None };
    answer(&request, 200, &AgencyList { agencies: found.into_iter().map(message).collect(), next })
}

pub(in crate::service) async fn read(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let _grant = centre::<Operate>(authenticate(&state.vault, &request)?)?;
    let id = agency_id(&path)?;
    let found = blocking(move || Ok(state.vault.agency(&id)?)).await?;
    answer(&request, 200, &message(found.ok_or(ApiError::NotFound)?))
}

pub(in crate::service) async fn put(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let grant = centre::<Operate>(authenticate(&state.vault, &request)?)?;
    let id = agency_id(&path)?;
    let put: AgencyPut = json(&request, payload).await?;
    if put.certificates.as_ref().is_some_and(|bound| bound.len() > CERTIFICATES_MAX) {
        return Err(ApiError::Rule(
            "an agency has at most two certificates: the one in use and its successor",
        ));
    }
    let made = blocking(move || {
        let event = grant.actor().event("agency_registered");
        Ok(state.vault.put_agency(&id, &put, event)?)
    });
    answer(&request, 200, &message(made.await?))
}

pub(in crate::service) async fn parties(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadProject>(&state.vault, actor, &path)?;
    let parties = blocking(move || party_messages(&state.vault, grant.project())).await?;
    answer(&request, 200, &PartyList { parties })
}

pub(in crate::service) async fn join(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<Operate>(&state.vault, actor, &path.0)?;
    let id = agency_id(&path.1)?;
    let parties = blocking(move || {
        let (vault, project) = (&state.vault, grant.project());
        vault.agency(&id)?.ok_or(ApiError::NotFound)?;
        if vault.parties(&project.id)?.len() >= limits::AGENCIES_MAX && !vault.is_party(&project.id, &id)? {
            return Err(ApiError::Rule("a project has at most 64 parties"));
        }
        if !vault.is_party(&project.id, &id)? {
            agreements::only_in_a_trial(vault, &project.id)?;
        }
        vault.add_party(&project.id, &id, grant.actor().event("party_joined"))?;
        party_messages(vault, project)
    });
    answer(&request, 200, &PartyList { parties: parties.await? })
}
