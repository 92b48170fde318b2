//! Erasure, subject access, withdrawal, the end of a project.

use super::Answered;
use crate::service::auth::{
    EraseRecords, Operate, ReadHeld, Withdraw, authenticate, centre, for_party, project,
};
use crate::service::body::{answer, blocking, json};
use crate::service::erasing;
use crate::service::error::ApiError;
use crate::service::state::State;
use crate::wire::messages::{ClosureRequest, RecordRequest, WithdrawalRequest};
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};

pub(in crate::service) async fn erase(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<EraseRecords>(&state.vault, actor, &path)?;
    let asked: RecordRequest = json(&request, payload).await?;
    let receipt = blocking(move || erasing::erase(&state, &grant, asked.record)).await?;
    answer(&request, 200, &receipt)
}

pub(in crate::service) async fn held(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<ReadHeld>(&state.vault, actor, &path)?;
    let asked: RecordRequest = json(&request, payload).await?;
    let held = blocking(move || erasing::held(&state, &grant, asked.record)).await?;
    answer(&request, 200, &held)
}

pub(in crate::service) async fn withdraw(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Withdraw>(&state.vault, actor, &path)?;
    let asked: WithdrawalRequest = json(&request, payload).await?;
    if asked.agency != *grant.agency() {
        return Err(ApiError::Rule("repeat your own agency's id to withdraw it: nothing of it comes back"));
    }
    let receipt = blocking(move || erasing::withdraw(&state, &grant)).await?;
    answer(&request, 200, &receipt)
}

pub(in crate::service) async fn close(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<Operate>(&state.vault, actor, &path)?;
    let asked: ClosureRequest = json(&request, payload).await?;
    if asked.project != grant.project().id {
        return Err(ApiError::Rule("repeat the project's id to end it: its encodings cannot be read again"));
    }
    let receipt = blocking(move || erasing::close(&state, &grant)).await?;
    answer(&request, 200, &receipt)
}

pub(in crate::service) async fn sweep(state: State, request: HttpRequest) -> Answered {
    let _grant = centre::<Operate>(authenticate(&state.vault, &request)?)?;
    let report = blocking(move || erasing::sweep(&state)).await?;
    answer(&request, 200, &report)
}
