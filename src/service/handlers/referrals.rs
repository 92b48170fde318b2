//! What is referred to the broker: read by the broker and by whoever asked, decided by the broker.

use super::{Answered, takes};
use crate::service::auth::{AnswerReferrals, ReadReferrals, authenticate, for_party};
use crate::service::body::{answer, blocking, page};
use crate::service::referrals;
use crate::service::state::State;
use crate::wire::messages::ReferralDecide;
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};

pub(in crate::service) async fn list(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<ReadReferrals>(&state.vault, actor, &path)?;
    let page = page::<String>(&request)?;
    let list = blocking(move || referrals::list(&state, &grant, page.cursor.as_deref(), page.limit)).await?;
    answer(&request, 200, &list)
}

pub(in crate::service) async fn decide(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Answered {
    let (project, id) = path.into_inner();
    takes::<AnswerReferrals, ReferralDecide, _>(
        (state, request, payload),
        &project,
        200,
        move |c, g, said| referrals::decide(c, g, &id, said),
    )
    .await
}
