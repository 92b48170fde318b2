//! Reviews of uncertain pairs, and what is kept apart.

use super::{Answered, takes, tells};
use crate::service::auth::{KeepApart, ReadBacklog, Review, authenticate, for_party, project};
use crate::service::body::{answer, blocking, page};
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
    let (project, text) = path.into_inner();
    tells::<Review, _>(state, request, &project, move |c, g| review::read(c, g, reference(&text)?)).await
}

pub(in crate::service) async fn decide(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Answered {
    let (project, text) = path.into_inner();
    takes::<Review, ReviewDecide, _>((state, request, payload), &project, 200, move |c, g, said| {
        review::decide(c, g, reference(&text)?, said)
    })
    .await
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
    tells::<KeepApart, _>(state, request, &path, |c, g| review::apart_sets(&c.vault, g)).await
}

pub(in crate::service) async fn keep_apart(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    takes::<KeepApart, ApartCreate, _>((state, request, payload), &path, 201, |c, g, create| {
        review::keep_apart(&c.vault, g, &create)
    })
    .await
}

pub(in crate::service) async fn lift_apart(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let (project, id) = path.into_inner();
    tells::<KeepApart, _>(state, request, &project, move |c, g| review::lift_apart(&c.vault, g, &id)).await
}
