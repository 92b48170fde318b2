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
pub(super) mod referrals;
pub(super) mod reviews;
pub(super) mod rights;
pub(super) mod runs;
pub(super) mod shields;
pub(super) mod tables;

use super::auth::{AgencyGrant, Permission, authenticate, for_party};
use super::body::{answer, blocking, json};
use super::error::ApiError;
use super::state::{Centre, State};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What an agency or the operator sends gets this answer where no route is.
pub(super) async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NotFound)
}

/// A handler's result.
pub(super) type Answered = Result<HttpResponse, ApiError>;

/// Answers with what `work` tells the holder of the right `P` in a project.
async fn tells<P: Permission, T: Serialize + Send + 'static>(
    state: State,
    request: HttpRequest,
    project: &str,
    work: impl FnOnce(&Centre, &AgencyGrant<P>) -> Result<T, ApiError> + Send + 'static,
) -> Answered {
    let grant = for_party::<P>(&state.vault, authenticate(&state.vault, &request)?, project)?;
    let told = blocking(move || work(&state, &grant)).await?;
    answer(&request, 200, &told)
}

/// [`tells`] for a request with a JSON body.
async fn takes<P: Permission, B: DeserializeOwned + Send + 'static, T: Serialize + Send + 'static>(
    (state, request, payload): (State, HttpRequest, Payload),
    project: &str,
    status: u16,
    work: impl FnOnce(&Centre, &AgencyGrant<P>, B) -> Result<T, ApiError> + Send + 'static,
) -> Answered {
    let grant = for_party::<P>(&state.vault, authenticate(&state.vault, &request)?, project)?;
    let body: B = json(&request, payload).await?;
    let told = blocking(move || work(&state, &grant, body)).await?;
    answer(&request, status, &told)
}
