//! Erasure, subject access, withdrawal, the end of a project.

use super::{Answered, takes};
use crate::service::auth::{EraseRecords, Operate, ReadHeld, Withdraw, authenticate, centre, project};
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
    takes::<EraseRecords, RecordRequest, _>((state, request, payload), &path, 200, |c, g, asked| {
        erasing::erase(c, g, asked.record)
    })
    .await
}

pub(in crate::service) async fn held(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    takes::<ReadHeld, RecordRequest, _>((state, request, payload), &path, 200, |c, g, asked| {
        erasing::held(c, g, asked.record)
    })
    .await
}

pub(in crate::service) async fn withdraw(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    takes::<Withdraw, WithdrawalRequest, _>((state, request, payload), &path, 200, |c, g, asked| {
        if asked.agency != *g.agency() {
            return Err(ApiError::Rule(
                "repeat your own agency's id to withdraw it: nothing of it comes back",
            ));
        }
        erasing::withdraw(c, g, &asked.approval)
    })
    .await
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
    let receipt = blocking(move || erasing::close(&state, &grant, &asked.approval)).await?;
    answer(&request, 200, &receipt)
}

pub(in crate::service) async fn sweep(state: State, request: HttpRequest) -> Answered {
    let _grant = centre::<Operate>(authenticate(&state.vault, &request)?)?;
    let report = blocking(move || erasing::sweep(&state)).await?;
    answer(&request, 200, &report)
}
