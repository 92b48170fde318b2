//! Questions about somebody who is not on the asker's system, and the second looks at them.

use super::Answered;
use super::lookups::once;
use crate::service::auth::{AskFrontDoor, Supervise, authenticate, for_party};
use crate::service::body::{answer, blocking, json, json_within};
use crate::service::front_door;
use crate::service::state::State;
use crate::wire::limits::JSON_BODY_BYTES_MAX;
use crate::wire::messages::FrontDoorRequest;
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};
use serde::Deserialize;

pub(in crate::service) async fn ask(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<AskFrontDoor>(&state.vault, actor, &path)?;
    let (question, digest): (FrontDoorRequest, _) =
        json_within(&request, payload, JSON_BODY_BYTES_MAX).await?;
    let once = once(&request, &grant, "front-door", digest)?;
    let found = blocking(move || front_door::stranger(&state, &grant, &question, once.as_ref())).await?;
    answer(&request, 200, &found)
}

pub(in crate::service) async fn second_looks(
    state: State,
    request: HttpRequest,
    path: Path<String>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Supervise>(&state.vault, actor, &path)?;
    let list = blocking(move || front_door::second_looks(&state.vault, &grant)).await?;
    answer(&request, 200, &list)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    proper: bool,
}

pub(in crate::service) async fn look(
    state: State,
    request: HttpRequest,
    path: Path<(String, u64)>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Supervise>(&state.vault, actor, &path.0)?;
    let look: Look = json(&request, payload).await?;
    let entry = path.1;
    let kept = blocking(move || front_door::look(&state.vault, &grant, entry, look.proper)).await?;
    answer(&request, 200, &kept)
}
