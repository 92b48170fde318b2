//! Events: what happened in a project, or at the centre itself.

use super::Answered;
use crate::service::auth::{ReadEvents, authenticate, centre, project as in_project};
use crate::service::body::{Page, answer, blocking, page};
use crate::service::error::ApiError;
use crate::service::state::State;
use crate::store::{EventRecord, ProjectRecord};
use crate::wire::AgencyId;
use crate::wire::messages::{EventList, EventMessage};
use actix_web::HttpRequest;
use actix_web::web::Path;

fn message(record: EventRecord, own: Option<&AgencyId>) -> EventMessage {
    let event = record.event;
    EventMessage {
        number: own.is_none().then_some(record.number),
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

/// Events read in one go while those of one agency are sought.
const STEP: usize = 512;

/// A page of the events, or of those of one agency, whose cursors say nothing of how many others lie between.
fn read(
    state: &State,
    project: Option<&ProjectRecord>,
    own: Option<&AgencyId>,
    page: &Page<String>,
) -> Result<EventList, ApiError> {
    let secret = project.filter(|_| own.is_some()).map(|project| &project.secret);
    let wrong = || ApiError::Malformed("a cursor is the `next` of the page before".to_owned());
    let mut after = match (&page.cursor, secret) {
        (None, _) => 0,
        (Some(text), None) => text.parse().map_err(|_| wrong())?,
        (Some(text), Some(secret)) => {
            secret.unveil(u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16).ok_or_else(wrong)?)
        }
    };
    let mut events: Vec<EventRecord> = Vec::new();
    loop {
        let found = state.vault.events(project.map(|project| &project.id), after, STEP)?;
        let last = found.last().map(|event| event.number).filter(|_| found.len() == STEP);
        let seen = |record: &EventRecord| own.is_none_or(|own| record.event.agency.as_ref() == Some(own));
        events.extend(found.into_iter().filter(seen));
        match last {
            Some(last) if events.len() < page.limit => after = last,
            _ => break,
        }
    }
    events.truncate(page.limit);
    let full = events.len() == page.limit;
    let next = events.last().filter(|_| full).map(|event| match secret {
        Some(secret) => format!("{:016x}", secret.veil(event.number)),
        None => event.number.to_string(),
    });
    Ok(EventList { events: events.into_iter().map(|event| message(event, own)).collect(), next })
}

pub(in crate::service) async fn centre_events(state: State, request: HttpRequest) -> Answered {
    let _grant = centre::<ReadEvents>(authenticate(&state.vault, &request)?)?;
    let page = page::<String>(&request)?;
    let list = blocking(move || read(&state, None, None, &page)).await?;
    answer(&request, 200, &list)
}

pub(in crate::service) async fn project(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = in_project::<ReadEvents>(&state.vault, actor, &path)?;
    let page = page::<String>(&request)?;
    let list = blocking(move || read(&state, Some(grant.project()), grant.actor().agency(), &page));
    answer(&request, 200, &list.await?)
}
