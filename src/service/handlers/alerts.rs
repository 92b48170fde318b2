//! Alerts, for those who watch over the centre; and the decoys that raise them.

use super::Answered;
use crate::service::alerts::{Alert, latest_alerts, plant_decoy};
use crate::service::auth::{ReadAlerts, Supervise, authenticate, centre, for_party};
use crate::service::body::{answer, blocking, json, page};
use crate::service::error::ApiError;
use crate::service::state::State;
use crate::store::Batch;
use crate::wire::RecordRef;
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};
use serde::{Deserialize, Serialize};

/// Decoys marked in one request.
const DECOYS_MAX: usize = 1_000;

/// Alerts, newest day first.
#[derive(Serialize)]
struct AlertList {
    alerts: Vec<Alert>,
}

pub(in crate::service) async fn list(state: State, request: HttpRequest) -> Answered {
    let _grant = centre::<ReadAlerts>(authenticate(&state.vault, &request)?)?;
    let page = page::<u64>(&request)?;
    let alerts = blocking(move || Ok(latest_alerts(state.vault.store(), page.limit)?)).await?;
    answer(&request, 200, &AlertList { alerts })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecoyPut {
    records: Vec<RecordRef>,
}

#[derive(Serialize)]
struct DecoysPlanted {
    records: usize,
}

/// Marks records of the agency's own as decoys: children who do not exist. Nobody can read which they are.
pub(in crate::service) async fn plant(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Supervise>(&state.vault, actor, &path)?;
    let put: DecoyPut = json(&request, payload).await?;
    if !(1..=DECOYS_MAX).contains(&put.records.len()) {
        return Err(ApiError::Rule("a request marks 1 to 1000 decoys"));
    }
    let records = put.records.len();
    blocking(move || {
        let mut batch = Batch::new();
        for record in &put.records {
            plant_decoy(&mut batch, &grant.project().id, grant.agency(), record);
        }
        state.vault.store().apply(&batch)?;
        state.vault.record(grant.actor().event("decoys_planted").project(&grant.project().id))?;
        Ok(())
    })
    .await?;
    answer(&request, 200, &DecoysPlanted { records })
}
