//! Shields, broken glass, and who is told.

use super::{Answered, takes};
use crate::service::auth::{
    Ask, ReadNotices, ReadShields, Shield, authenticate, for_party, project as in_project,
};
use crate::service::body::{answer, blocking, page};
use crate::service::error::ApiError;
use crate::service::shield;
use crate::service::state::State;
use crate::wire::RecordRef;
use crate::wire::messages::{BreakGlass, NoticeList, ShieldPut};
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
    let (project, record) = path.into_inner();
    takes::<Shield, ShieldPut, _>((state, request, payload), &project, 200, move |c, g, put| {
        let record: RecordRef = record.parse().map_err(|_| ApiError::NotFound)?;
        shield::put(&c.vault, g, record, &put)
    })
    .await
}

pub(in crate::service) async fn break_glass(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    takes::<Ask, BreakGlass, _>((state, request, payload), &path, 200, |c, g, asked| {
        shield::break_glass(c, g, &asked)
    })
    .await
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
