//! The agreement of a project, and the decisions of two people.

use super::Answered;
use crate::service::agreements;
use crate::service::approvals::{self, Decision, Proposal, Word};
use crate::service::auth::{Decide, Operate, ProjectGrant, ReadProject, authenticate, project};
use crate::service::body::{answer, blocking, json, page};
use crate::service::policy::Agreement;
use crate::service::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};

pub(in crate::service) async fn agreement(
    state: State,
    request: HttpRequest,
    path: Path<String>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadProject>(&state.vault, actor, &path)?;
    let found = blocking(move || agreements::current(&state.vault, grant.project())).await?;
    answer(&request, 200, &found)
}

pub(in crate::service) async fn narrow(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<Operate>(&state.vault, actor, &path)?;
    let next: Agreement = json(&request, payload).await?;
    let next = blocking(move || approvals::narrow(&state, &grant, &next).map(|()| next)).await?;
    answer(&request, 200, &next)
}

pub(in crate::service) async fn list(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let grant = grant(&state, &request, &path)?;
    let page = page::<String>(&request)?;
    let list =
        blocking(move || approvals::list(&state.vault, &grant, page.cursor.as_deref(), page.limit)).await?;
    answer(&request, 200, &list)
}

pub(in crate::service) async fn read(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let grant = grant(&state, &request, &path.0)?;
    let found = blocking(move || approvals::one(&state.vault, &grant, &path.1)).await?;
    answer(&request, 200, &found)
}

pub(in crate::service) async fn propose(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let grant = grant(&state, &request, &path)?;
    let proposal: Proposal = json(&request, payload).await?;
    let made = blocking(move || approvals::propose(&state, &grant, proposal)).await?;
    answer(&request, 201, &made)
}

pub(in crate::service) async fn approve(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Answered {
    decide(state, request, path, payload, Word::Approve).await
}

pub(in crate::service) async fn refuse(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Answered {
    decide(state, request, path, payload, Word::Refuse).await
}

pub(in crate::service) async fn withdraw(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Answered {
    decide(state, request, path, payload, Word::Withdraw).await
}

async fn decide(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
    word: Word,
) -> Answered {
    let grant = grant(&state, &request, &path.0)?;
    let decision: Decision = json(&request, payload).await?;
    let work = move || approvals::decide(&state, &grant, &path.1, word, &decision.reason);
    let made = blocking(work).await?;
    answer(&request, 200, &made)
}

pub(in crate::service) async fn carry_out(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let grant = grant(&state, &request, &path.0)?;
    let made = blocking(move || approvals::carry_out(&state, &grant, &path.1)).await?;
    answer(&request, 200, &made)
}

fn grant(
    state: &State,
    request: &HttpRequest,
    id: &str,
) -> Result<ProjectGrant<Decide>, crate::service::error::ApiError> {
    project::<Decide>(&state.vault, authenticate(&state.vault, request)?, id)
}
