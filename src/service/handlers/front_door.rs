//! Questions about somebody who is not on the asker's system, and the second looks at them.

use super::lookups::question;
use super::{Answered, takes};
use crate::service::auth::{Supervise, authenticate, for_party};
use crate::service::body::{answer, blocking, page};
use crate::service::front_door;
use crate::service::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};
use serde::Deserialize;

pub(in crate::service) async fn ask(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    question((state, request, payload), &path, "front-door", front_door::stranger).await
}

pub(in crate::service) async fn second_looks(
    state: State,
    request: HttpRequest,
    path: Path<String>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Supervise>(&state.vault, actor, &path)?;
    let page = page::<u64>(&request)?;
    let list =
        blocking(move || front_door::second_looks(&state.vault, &grant, page.cursor, page.limit)).await?;
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
    let (project, entry) = path.into_inner();
    takes::<Supervise, Look, _>((state, request, payload), &project, 200, move |c, g, look| {
        front_door::look(&c.vault, g, entry, look.proper)
    })
    .await
}
