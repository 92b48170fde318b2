//! One file per resource. A handler authenticates, obtains a grant, reads a bounded body, calls an
//! operation off the event loop, and writes the answer.

pub(super) mod agencies;
pub(super) mod alerts;
pub(super) mod approvals;
pub(super) mod datasets;
pub(super) mod events;
pub(super) mod front_door;
pub(super) mod health;
pub(super) mod keys;
pub(super) mod ledger;
pub(super) mod links;
pub(super) mod lookups;
pub(super) mod openapi;
pub(super) mod overlap;
pub(super) mod projects;
pub(super) mod reviews;
pub(super) mod rights;
pub(super) mod runs;
pub(super) mod shields;
pub(super) mod tables;

use super::error::ApiError;
use actix_web::HttpResponse;

/// What an agency or the operator sends gets this answer where no route is.
pub(super) async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NotFound)
}

/// A handler's result.
pub(super) type Answered = Result<HttpResponse, ApiError>;
