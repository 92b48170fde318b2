//! Look-ups of the asker's own records, one or many at a time.

use super::Answered;
use crate::service::auth::{AgencyGrant, Permission, authenticate, for_party};
use crate::service::body::{answer, blocking, idempotency_key, json_within};
use crate::service::error::ApiError;
use crate::service::lookups;
use crate::service::state::{Centre, State};
use crate::store::Once;
use crate::wire::ContentDigest;
use crate::wire::limits::JSON_BODY_BYTES_MAX;
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(in crate::service) async fn ask(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    question((state, request, payload), &path, "lookups", lookups::one).await
}

pub(in crate::service) async fn ask_many(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    question((state, request, payload), &path, "lookup-batches", lookups::many).await
}

/// An operation that answers a question, once under its idempotency key.
type Operation<P, Q, T> = fn(&Centre, &AgencyGrant<P>, &Q, Option<&Once>) -> Result<T, ApiError>;

/// Reads a question and answers it.
pub(super) async fn question<P: Permission, Q, T>(
    (state, request, payload): (State, HttpRequest, Payload),
    project: &str,
    resource: &str,
    work: Operation<P, Q, T>,
) -> Answered
where
    Q: DeserializeOwned + Send + 'static,
    T: Serialize + Send + 'static,
{
    let grant = for_party::<P>(&state.vault, authenticate(&state.vault, &request)?, project)?;
    let (question, digest): (Q, _) = json_within(&request, payload, JSON_BODY_BYTES_MAX).await?;
    let once = once(&request, &grant, resource, digest)?;
    let found = blocking(move || work(&state, &grant, &question, once.as_ref())).await?;
    answer(&request, 200, &found)
}

/// A question sent twice under one `Idempotency-Key` is charged once. The same key for another user, or with
/// another body, is another request.
fn once<P>(
    request: &HttpRequest,
    grant: &AgencyGrant<P>,
    resource: &str,
    body: ContentDigest,
) -> Result<Option<Once>, ApiError> {
    let Some(key) = idempotency_key(request)? else { return Ok(None) };
    let route = format!("{resource}/{}", grant.project().id);
    let content = [grant.actor().user()?.as_str().as_bytes(), b"\n", body.as_bytes().as_slice()].concat();
    Ok(Some(Once::new(grant.actor().key(), &route, &key, ContentDigest::of(&content))))
}
