//! Look-ups of the asker's own records, one or many at a time.

use super::Answered;
use crate::service::auth::{AgencyGrant, Ask, authenticate, for_party};
use crate::service::body::{answer, blocking, idempotency_key, json_within};
use crate::service::error::ApiError;
use crate::service::lookups;
use crate::service::state::State;
use crate::store::Once;
use crate::wire::ContentDigest;
use crate::wire::limits::JSON_BODY_BYTES_MAX;
use crate::wire::messages::{LookupBatchRequest, LookupRequest};
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};

pub(in crate::service) async fn ask(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Ask>(&state.vault, actor, &path)?;
    let (question, digest): (LookupRequest, _) = json_within(&request, payload, JSON_BODY_BYTES_MAX).await?;
    let once = once(&request, &grant, "lookups", digest)?;
    let found = blocking(move || lookups::one(&state, &grant, &question, once.as_ref())).await?;
    answer(&request, 200, &found)
}

pub(in crate::service) async fn ask_many(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Ask>(&state.vault, actor, &path)?;
    let (questions, digest): (LookupBatchRequest, _) =
        json_within(&request, payload, JSON_BODY_BYTES_MAX).await?;
    let once = once(&request, &grant, "lookup-batches", digest)?;
    let found = blocking(move || lookups::many(&state, &grant, &questions, once.as_ref())).await?;
    answer(&request, 200, &found)
}

/// A question sent twice under one `Idempotency-Key` is charged once. The same key for another user, or with
/// another body, is another request.
pub(super) fn once<P>(
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
