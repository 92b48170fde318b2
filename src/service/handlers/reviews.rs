//! Reviews of uncertain pairs, and what is kept apart.

use super::Answered;
use crate::service::auth::{KeepApart, ReadBacklog, Review, authenticate, for_party, project};
use crate::service::body::{answer, blocking, json, page};
use crate::service::error::ApiError;
use crate::service::review;
use crate::service::state::State;
use crate::store::ReviewCursor;
use crate::wire::messages::{ApartCreate, ReviewDecide, ReviewState};
use crate::wire::{LinkReference, ReferenceError};
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};

fn reference(text: &str) -> Result<LinkReference, ApiError> {
    text.parse().map_err(|error: ReferenceError| ApiError::Malformed(error.to_string()))
}

pub(in crate::service) async fn list(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Review>(&state.vault, actor, &path)?;
    let page = page::<ReviewCursor>(&request)?;
    let wrong = |error: &'static str| ApiError::Malformed(error.to_owned());
    let wanted: Option<ReviewState> =
        page.state.as_deref().map(|text| text.parse().map_err(wrong)).transpose()?;
    let list = blocking(move || review::list(&state, &grant, page.cursor.as_ref(), page.limit, wanted));
    answer(&request, 200, &list.await?)
}

pub(in crate::service) async fn read(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Review>(&state.vault, actor, &path.0)?;
    let reference = reference(&path.1)?;
    let found = blocking(move || review::read(&state, &grant, reference)).await?;
    answer(&request, 200, &found)
}

pub(in crate::service) async fn decide(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Review>(&state.vault, actor, &path.0)?;
    let decide: ReviewDecide = json(&request, payload).await?;
    let reference = reference(&path.1)?;
    let after = blocking(move || review::decide(&state, &grant, reference, decide)).await?;
    answer(&request, 200, &after)
}

pub(in crate::service) async fn backlog(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadBacklog>(&state.vault, actor, &path)?;
    let found = blocking(move || review::backlog(&state.vault, &grant)).await?;
    answer(&request, 200, &found)
}

pub(in crate::service) async fn apart_sets(
    state: State,
    request: HttpRequest,
    path: Path<String>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<KeepApart>(&state.vault, actor, &path)?;
    let list = blocking(move || review::apart_sets(&state.vault, &grant)).await?;
    answer(&request, 200, &list)
}

pub(in crate::service) async fn keep_apart(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<KeepApart>(&state.vault, actor, &path)?;
    let create: ApartCreate = json(&request, payload).await?;
    let made = blocking(move || review::keep_apart(&state.vault, &grant, &create)).await?;
    answer(&request, 201, &made)
}

pub(in crate::service) async fn lift_apart(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<KeepApart>(&state.vault, actor, &path.0)?;
    let lifted = blocking(move || review::lift_apart(&state.vault, &grant, &path.1)).await?;
    answer(&request, 200, &lifted)
}
