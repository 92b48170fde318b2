//! Look-ups of the asker's own records.

use super::Answered;
use crate::service::answers;
use crate::service::auth::{Ask, authenticate, for_party};
use crate::service::body::{answer, blocking, json};
use crate::service::state::State;
use crate::wire::messages::LookupRequest;
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
    let question: LookupRequest = json(&request, payload).await?;
    let found = blocking(move || answers::lookup(&state.vault, &grant, &question)).await?;
    answer(&request, 200, &found)
}
