//! Links that touch the asker's own records.

use super::Answered;
use crate::service::answers;
use crate::service::auth::{ReadLinks, authenticate, for_party};
use crate::service::body::{answer, blocking, page};
use crate::service::error::ApiError;
use crate::service::state::State;
use crate::store::LinkCursor;
use crate::wire::LinkReference;
use actix_web::HttpRequest;
use actix_web::web::Path;

pub(in crate::service) async fn list(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<ReadLinks>(&state.vault, actor, &path)?;
    let page = page::<LinkCursor>(&request)?;
    let links =
        blocking(move || answers::links(&state, &grant, page.run.as_deref(), page.cursor, page.limit));
    answer(&request, 200, &links.await?)
}

pub(in crate::service) async fn read(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<ReadLinks>(&state.vault, actor, &path.0)?;
    let reference: LinkReference = path
        .1
        .parse()
        .map_err(|error: crate::wire::ReferenceError| ApiError::Malformed(error.to_string()))?;
    let link = blocking(move || answers::link(&state, &grant, reference)).await?;
    answer(&request, 200, &link)
}
