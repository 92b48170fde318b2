//! Published tables: counts, suppressed, under one clock.

use super::Answered;
use crate::service::aggregate::{TableName, read as read_table};
use crate::service::auth::{ReadAggregates, authenticate, project};
use crate::service::body::{answer, blocking};
use crate::service::error::ApiError;
use crate::service::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Path, Query};

/// Pairs of one query.
const PAIRS_MAX: usize = 70;

pub(in crate::service) async fn read(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadAggregates>(&state.vault, actor, &path.0)?;
    let wrong = |_| ApiError::Malformed("the query cannot be read".to_owned());
    let query = Query::<Vec<(String, String)>>::from_query(request.query_string()).map_err(wrong)?;
    if query.len() > PAIRS_MAX {
        return Err(ApiError::Malformed("the query is longer than any table takes".to_owned()));
    }
    let name = TableName::parse(&path.1, &query)?;
    let table = blocking(move || read_table(&state.vault, &grant, &name)).await?;
    answer(&request, 200, &table)
}
