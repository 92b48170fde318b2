//! What surrounds every handler: the request log, the figures, headers, and the net under a panic.
//!
//! The log has method, route (never the path: it holds ids), status and duration. No body, no query, no
//! header, no ref.

use super::error::ApiError;
use super::state::State;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Instant;

const HEADERS: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
];

/// Logs, counts and guards one request.
pub(super) async fn observe(
    state: State,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let began = Instant::now();
    let method = request.method().as_str().to_owned();
    let mut future = Box::pin(next.call(request));
    let caught = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(ApiError::Internal("a handler panicked".to_owned()))),
    });
    let result = match caught.await {
        Ok(result) => result,
        Err(error) => Err(error.into()),
    };
    let (route, status) = match &result {
        Ok(response) => {
            let route = response.request().match_pattern().unwrap_or_else(|| "none".to_owned());
            (route, response.status().as_u16())
        }
        Err(error) => ("none".to_owned(), error.as_response_error().status_code().as_u16()),
    };
    // A method nobody serves is an arbitrary text of the client's; it is no label.
    let method = if route == "none" { "any".to_owned() } else { method };
    let took = began.elapsed();
    state.metrics.count(&method, &route, status, took);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(%method, %route, status, took_ms, "request");
    result.map(|mut response| {
        for (name, value) in HEADERS {
            let headers = response.headers_mut();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    })
}
