//! Events: what happened in a project, or at the centre itself.

use super::Answered;
use crate::service::auth::{ReadEvents, authenticate, centre, project as in_project};
use crate::service::body::{Page, answer, blocking, page};
use crate::service::error::ApiError;
use crate::service::state::State;
use crate::store::EventRecord;
use crate::wire::messages::{EventList, EventMessage};
use crate::wire::{AgencyId, ProjectId};
use actix_web::HttpRequest;
use actix_web::web::Path;

fn message(record: EventRecord) -> EventMessage {
    let event = record.event;
    EventMessage {
        number: record.number,
        at: record.at,
        key: event.key,
        agency: event.agency,
        action: event.action,
        project: event.project,
        dataset: event.dataset,
        run: event.run,
        subject: event.subject,
        purpose: event.purpose,
        case: event.case,
        result: event.result,
    }
}

fn read(
    state: &State,
    project: Option<&ProjectId>,
    own: Option<&AgencyId>,
    page: &Page<u64>,
) -> Result<EventList, ApiError> {
    let found = state.vault.events(project, page.cursor.unwrap_or(0), page.limit)?;
    let next = if found.len() == page.limit { found.last().map(|e| e.number.to_string()) } else { None };
    let seen = |record: &EventRecord| own.is_none_or(|own| record.event.agency.as_ref() == Some(own));
    Ok(EventList { events: found.into_iter().filter(seen).map(message).collect(), next })
}

pub(in crate::service) async fn centre_events(state: State, request: HttpRequest) -> Answered {
    let _grant = centre::<ReadEvents>(authenticate(&state.vault, &request)?)?;
    let page = page::<u64>(&request)?;
    let list = blocking(move || read(&state, None, None, &page)).await?;
    answer(&request, 200, &list)
}

pub(in crate::service) async fn project(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = in_project::<ReadEvents>(&state.vault, actor, &path)?;
    let page = page::<u64>(&request)?;
    let list = blocking(move || read(&state, Some(&grant.project().id), grant.actor().agency(), &page));
    answer(&request, 200, &list.await?)
}
