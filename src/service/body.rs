//! Reading requests within bounds, and writing answers.

use super::error::ApiError;
use super::state::State;
use crate::wire::ContentDigest;
use crate::wire::limits::JSON_BODY_BYTES_MAX;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::web::{Bytes, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Entries of one page, unless the request says fewer.
const PAGE_MAX: usize = 500;

/// Reads a body of at most `bytes_max`, refusing a longer one by its header before reading any of it.
///
/// # Errors
/// [`ApiError::BodyTooLarge`], [`ApiError::SlowBody`] or [`ApiError::Malformed`].
pub(super) async fn bytes(
    request: &HttpRequest,
    payload: Payload,
    bytes_max: usize,
) -> Result<Bytes, ApiError> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(ApiError::BodyTooLarge(bytes_max));
    }
    let state = request.app_data::<State>().ok_or_else(|| ApiError::Internal("no state".to_owned()))?;
    let seconds_max = u64::from(state.body_seconds_max);
    let reading = payload.to_bytes_limited(bytes_max);
    match actix_web::rt::time::timeout(Duration::from_secs(seconds_max), reading).await {
        Err(_) => Err(ApiError::SlowBody(seconds_max)),
        Ok(Err(_)) => Err(ApiError::BodyTooLarge(bytes_max)),
        Ok(Ok(Err(_))) => Err(ApiError::Malformed("the body broke off".to_owned())),
        Ok(Ok(Ok(bytes))) => Ok(bytes),
    }
}

/// Reads a JSON body of at most [`JSON_BODY_BYTES_MAX`] bytes.
///
/// # Errors
/// As [`bytes`]; [`ApiError::MediaType`]; [`ApiError::Malformed`] with the place, never the value.
pub(super) async fn json<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<T, ApiError> {
    json_within(request, payload, JSON_BODY_BYTES_MAX).await.map(|(value, _)| value)
}

/// [`json`] with another bound; also returns the digest of the body.
///
/// # Errors
/// As [`json`].
pub(super) async fn json_within<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
    bytes_max: usize,
) -> Result<(T, ContentDigest), ApiError> {
    media_type(request, "application/json")?;
    let body = bytes(request, payload, bytes_max).await?;
    let value = serde_json::from_slice(&body).map_err(|error| malformed_json(&error))?;
    Ok((value, ContentDigest::of(&body)))
}

/// Where JSON is wrong; serde's own words may repeat what was sent.
fn malformed_json(error: &serde_json::Error) -> ApiError {
    let what = match error.classify() {
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => {
            "a field is unknown, missing, or its value is not allowed: see /openapi.json"
        }
    };
    ApiError::Malformed(format!("line {}, column {}: {what}", error.line(), error.column()))
}

/// Refuses another media type than `wanted`.
///
/// # Errors
/// [`ApiError::MediaType`].
pub(super) fn media_type(request: &HttpRequest, wanted: &'static str) -> Result<(), ApiError> {
    let found = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let found = found.and_then(|text| text.split(';').next()).map(str::trim);
    if found == Some(wanted) { Ok(()) } else { Err(ApiError::MediaType(wanted)) }
}

/// The request's `Idempotency-Key`, 1 to 128 visible characters.
///
/// # Errors
/// [`ApiError::Malformed`].
pub(super) fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(Some(text.to_owned()))
    } else {
        Err(ApiError::Malformed("an Idempotency-Key has 1 to 128 visible characters".to_owned()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    cursor: Option<String>,
    limit: Option<usize>,
    run: Option<String>,
    state: Option<String>,
}

/// Which page is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page<C> {
    /// After this.
    pub(super) cursor: Option<C>,
    /// At most this many entries.
    pub(super) limit: usize,
    /// Of this run.
    pub(super) run: Option<String>,
    /// In this state.
    pub(super) state: Option<String>,
}

/// Reads `?cursor=..&limit=..`, and `&run=..` where it means something.
///
/// # Errors
/// [`ApiError::Malformed`].
pub(super) fn page<C: std::str::FromStr>(request: &HttpRequest) -> Result<Page<C>, ApiError> {
    let wrong = || {
        let rule = format!(
            "the query may hold cursor (as given), limit (1 to {PAGE_MAX}), for links run and for reviews state"
        );
        ApiError::Malformed(rule)
    };
    let query = Query::<PageQuery>::from_query(request.query_string()).map_err(|_| wrong())?.into_inner();
    let limit = query.limit.unwrap_or(PAGE_MAX);
    if limit == 0 || limit > PAGE_MAX {
        return Err(wrong());
    }
    let cursor = query.cursor.map(|text| text.parse()).transpose().map_err(|_| wrong())?;
    Ok(Page { cursor, limit, run: query.run, state: query.state })
}

/// An answer in JSON with an ETag; 304 to a reader that has it already.
///
/// # Errors
/// [`ApiError::Internal`] when it cannot be written.
pub(super) fn answer<T: Serialize>(
    request: &HttpRequest,
    status: u16,
    value: &T,
) -> Result<HttpResponse, ApiError> {
    let body = serde_json::to_vec(value).map_err(|error| ApiError::Internal(error.to_string()))?;
    let tag = format!("\"{}\"", &ContentDigest::of(&body).to_string()[..32]);
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if status == 200 && known == Some(tag.as_str()) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, tag)).finish());
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    Ok(HttpResponse::build(status)
        .content_type("application/json")
        .insert_header((ETAG, tag))
        .insert_header(("cache-control", "no-store"))
        .body(body))
}

/// Runs blocking work of a request off the event loop; a panic in it becomes a fixed 500.
///
/// # Errors
/// What `work` returns.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match actix_web::web::block(work).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::Internal("a request's work panicked".to_owned())),
    }
}
