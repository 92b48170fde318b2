//! Overlap counts, small ones suppressed.

use super::Answered;
use crate::service::aggregate;
use crate::service::auth::{ReadAggregates, authenticate, project};
use crate::service::body::{answer, blocking, page};
use crate::service::state::State;
use actix_web::HttpRequest;
use actix_web::web::Path;

pub(in crate::service) async fn read(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadAggregates>(&state.vault, actor, &path)?;
    let page = page::<String>(&request)?;
    let table = blocking(move || aggregate::overlap(&state.vault, &grant, page.run.as_deref())).await?;
    answer(&request, 200, &table)
}
