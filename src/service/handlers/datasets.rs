//! Datasets: announce, send chunks, ask what is missing, seal, abandon.

use super::Answered;
use crate::service::auth::{ReadDatasets, Submit, authenticate, for_party, project};
use crate::service::body::{answer, blocking, bytes, idempotency_key, json_within, media_type, page};
use crate::service::error::ApiError;
use crate::service::intake::{self, ANNOUNCEMENT_BYTES_MAX};
use crate::service::state::State;
use crate::store::Once;
use crate::wire::messages::{ARROW_STREAM_TYPE, DatasetCreate, DatasetList};
use crate::wire::{ContentDigest, DatasetId, limits};
use actix_web::web::{Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

fn dataset_id(text: &str) -> Result<DatasetId, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound)
}

pub(in crate::service) async fn list(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadDatasets>(&state.vault, actor, &path)?;
    let page = page::<DatasetId>(&request)?;
    let list = blocking(move || {
        let (vault, project) = (&state.vault, &grant.project().id);
        let own = grant.actor().agency();
        // Other agencies' datasets are passed over, so that neither a short page nor a cursor tells of them.
        let mut after = page.cursor;
        let mut mine = Vec::new();
        loop {
            let found = vault.manifests(project, after.as_ref(), page.limit)?;
            let last =
                found.last().map(|found| found.upload.id.clone()).filter(|_| found.len() == page.limit);
            mine.extend(found.into_iter().filter(|found| own.is_none_or(|own| found.upload.agency == *own)));
            match last {
                Some(last) if mine.len() < page.limit => after = Some(last),
                _ => break,
            }
        }
        mine.truncate(page.limit);
        let full = mine.len() == page.limit;
        let next = mine.last().filter(|_| full).map(|manifest| manifest.upload.id.to_string());
        let mut sealed: Vec<_> = mine.iter().map(intake::manifest_message).collect();
        if next.is_none() {
            for upload in vault.uploads(project, own)? {
                sealed.push(intake::upload_message(&vault.upload_status(upload)?));
            }
        }
        Ok(DatasetList { datasets: sealed, next })
    });
    answer(&request, 200, &list.await?)
}

pub(in crate::service) async fn create(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Submit>(&state.vault, actor, &path)?;
    let key = idempotency_key(&request)?;
    let (create, digest): (DatasetCreate, _) = json_within(&request, payload, ANNOUNCEMENT_BYTES_MAX).await?;
    let route = format!("datasets/{}", grant.project().id);
    let once = key.map(|key| Once::new(grant.actor().key(), &route, &key, digest));
    let hours = state.upload_kept_hours;
    let (message, new) =
        blocking(move || intake::announce(&state.vault, &grant, create, once.as_ref(), hours)).await?;
    answer(&request, if new { 201 } else { 200 }, &message)
}

pub(in crate::service) async fn read(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadDatasets>(&state.vault, actor, &path.0)?;
    let id = dataset_id(&path.1)?;
    let message = blocking(move || {
        let found = intake::find(&state.vault, &grant.project().id, &id)?;
        let own = grant.actor().agency();
        found.filter(|found| own.is_none_or(|own| found.agency == *own)).ok_or(ApiError::NotFound)
    });
    answer(&request, 200, &message.await?)
}

pub(in crate::service) async fn abandon(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Submit>(&state.vault, actor, &path.0)?;
    let id = dataset_id(&path.1)?;
    blocking(move || intake::abandon(&state.vault, &grant, &id)).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(in crate::service) async fn put_chunk(
    state: State,
    request: HttpRequest,
    path: Path<(String, String, String)>,
    payload: Payload,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Submit>(&state.vault, actor, &path.0)?;
    let id = dataset_id(&path.1)?;
    let number: u32 = path.2.parse().map_err(|_| ApiError::NotFound)?;
    media_type(&request, ARROW_STREAM_TYPE)?;
    let vault = std::sync::Arc::clone(&state.vault);
    let (upload, spec) = blocking(move || intake::expected_chunk(&vault, &grant, &id, number)).await?;
    let body = bytes(&request, payload, limits::CHUNK_BODY_BYTES_MAX).await?;
    blocking(move || {
        intake::store_chunk(&state.vault, &state.secrets.tombstone, &upload, (spec, number), &body)
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(in crate::service) async fn seal(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<Submit>(&state.vault, actor, &path.0)?;
    let id = dataset_id(&path.1)?;
    let key = idempotency_key(&request)?;
    let digest = ContentDigest::of(id.as_str().as_bytes());
    let route = format!("seal/{}", grant.project().id);
    let once = key.map(|key| Once::new(grant.actor().key(), &route, &key, digest));
    let message = blocking(move || intake::seal(&state.vault, &grant, &id, once.as_ref())).await?;
    answer(&request, 201, &message)
}
