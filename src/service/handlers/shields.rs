//! Shields, unshields by two people, broken glass, and who is told.

use super::Answered;
use crate::service::auth::{
    Ask, ReadNotices, ReadShields, Shield, Unshield, authenticate, for_party, project as in_project,
};
use crate::service::body::{answer, blocking, json, page};
use crate::service::error::ApiError;
use crate::service::shield;
use crate::service::state::State;
use crate::wire::RecordRef;
use crate::wire::messages::{BreakGlass, NoticeList, ShieldPut, UnshieldDecide, UnshieldPropose};
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};

pub(in crate::service) async fn list(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<ReadShields>(&state.vault, actor, &path)?;
    let page = page::<RecordRef>(&request)?;
    let list = blocking(move || shield::list(&state.vault, &grant, page.cursor, page.limit)).await?;
    answer(&request, 200, &list)
}

pub(in crate::service) async fn put(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Shield>(&state.vault, actor, &path.0)?;
    let put: ShieldPut = json(&request, payload).await?;
    let record: RecordRef = path.1.parse().map_err(|_| ApiError::NotFound)?;
    let made = blocking(move || shield::put(&state.vault, &grant, record, &put)).await?;
    answer(&request, 200, &made)
}

pub(in crate::service) async fn unshields(
    state: State,
    request: HttpRequest,
    path: Path<String>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Unshield>(&state.vault, actor, &path)?;
    let list = blocking(move || shield::unshields(&state.vault, &grant)).await?;
    answer(&request, 200, &list)
}

pub(in crate::service) async fn propose(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Unshield>(&state.vault, actor, &path)?;
    let propose: UnshieldPropose = json(&request, payload).await?;
    let made = blocking(move || shield::propose(&state.vault, &grant, &propose)).await?;
    answer(&request, 201, &made)
}

pub(in crate::service) async fn decide(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Unshield>(&state.vault, actor, &path.0)?;
    let decide: UnshieldDecide = json(&request, payload).await?;
    let made = blocking(move || shield::decide(&state.vault, &grant, &path.1, decide)).await?;
    answer(&request, 200, &made)
}

pub(in crate::service) async fn break_glass(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Ask>(&state.vault, actor, &path)?;
    let asked: BreakGlass = json(&request, payload).await?;
    let found = blocking(move || shield::break_glass(&state, &grant, &asked)).await?;
    answer(&request, 200, &found)
}

pub(in crate::service) async fn notices(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = in_project::<ReadNotices>(&state.vault, actor, &path)?;
    let page = page::<u64>(&request)?;
    let list = blocking(move || {
        let after = page.cursor.unwrap_or(0);
        let reader = grant.actor().agency();
        let notices = state.vault.notices(&grant.project().id, reader, after, page.limit)?;
        let full = notices.len() == page.limit;
        let next = notices.last().filter(|_| full).map(|notice| notice.number.to_string());
        Ok(NoticeList { notices, next })
    });
    answer(&request, 200, &list.await?)
}
