//! The ledger: checkpoint, proofs, export, co-signatures, and who asked about my records.

use super::{Answered, takes};
use crate::ledger::{
    Cosignature, EntryProof, ProofError, PublishedCheckpoint, prove_consistency, prove_inclusion,
};
use crate::service::auth::{ExportLedger, ReadAsked, ReadLedger, Witness, authenticate, for_party, project};
use crate::service::body::{answer, blocking, page};
use crate::service::error::ApiError;
use crate::service::lookups::feed_prefix;
use crate::service::state::State;
use crate::store::{ExportPages, LogError, StoreError};
use crate::wire::messages::{AskedItem, AskedPage};
use actix_web::body::{BodySize, MessageBody};
use actix_web::rt::task::{JoinHandle, spawn_blocking};
use actix_web::web::{Bytes, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(in crate::service) async fn checkpoint(
    state: State,
    request: HttpRequest,
    path: Path<String>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadLedger>(&state.vault, actor, &path)?;
    let published = blocking(move || {
        let checkpoint = state.ledgers.checkpoint(&grant.project().id, &state.secrets, state.vault.now())?;
        Ok(PublishedCheckpoint { key: state.secrets.signer.public(), checkpoint })
    });
    answer(&request, 200, &published.await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InclusionQuery {
    entry: u64,
}

/// An agency proves its own entries only; another's is not found, as one that does not exist.
pub(in crate::service) async fn inclusion(
    state: State,
    request: HttpRequest,
    path: Path<String>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadLedger>(&state.vault, actor, &path)?;
    let wrong = |_| ApiError::Malformed("the query is entry=NUMBER, counted from 0".to_owned());
    let index = Query::<InclusionQuery>::from_query(request.query_string()).map_err(wrong)?.entry;
    let proof = blocking(move || {
        let log = state.ledgers.log(&grant.project().id)?;
        let checkpoint = state.ledgers.checkpoint(&grant.project().id, &state.secrets, state.vault.now())?;
        let entry = log.entries(index, 1)?.pop().ok_or(ApiError::NotFound)?;
        if grant.actor().agency().is_some_and(|own| entry.agency.as_ref() != Some(own)) {
            return Err(ApiError::NotFound);
        }
        let inclusion = prove_inclusion(&*log, index, checkpoint.checkpoint.size).map_err(proof_error)?;
        Ok(EntryProof { entry, inclusion, checkpoint })
    });
    answer(&request, 200, &proof.await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsistencyQuery {
    old: u64,
    new: u64,
}

pub(in crate::service) async fn consistency(
    state: State,
    request: HttpRequest,
    path: Path<String>,
) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ReadLedger>(&state.vault, actor, &path)?;
    let wrong = |_| ApiError::Malformed("the query is old=ENTRIES&new=ENTRIES".to_owned());
    let asked = Query::<ConsistencyQuery>::from_query(request.query_string()).map_err(wrong)?.into_inner();
    let proof = blocking(move || {
        let log = state.ledgers.log(&grant.project().id)?;
        if asked.new > log.size() {
            return Err(ApiError::NotFound);
        }
        prove_consistency(&*log, asked.old, asked.new).map_err(proof_error)
    });
    answer(&request, 200, &proof.await?)
}

fn proof_error(error: ProofError) -> ApiError {
    match error {
        ProofError::Beyond { .. } => ApiError::NotFound,
        other => LogError::from(other).into(),
    }
}

/// Takes a co-signature of the checkpoint of its size. Whoever reads it verifies it with the witness's own key.
pub(in crate::service) async fn cosign(
    state: State,
    request: HttpRequest,
    path: Path<(String, u64)>,
    payload: Payload,
) -> Answered {
    let (project, size) = path.into_inner();
    takes::<Witness, Cosignature, _>((state, request, payload), &project, 200, move |c, g, cosignature| {
        if cosignature.witness != *g.agency() {
            return Err(ApiError::Rule("a co-signature names the agency of the key that sends it"));
        }
        let log = c.ledgers.log(&g.project().id)?;
        let checkpoint = log.add_cosignature(size, &cosignature)?.ok_or(ApiError::NotFound)?;
        Ok(PublishedCheckpoint { key: c.secrets.signer.public(), checkpoint })
    })
    .await
}

pub(in crate::service) async fn export(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = project::<ExportLedger>(&state.vault, actor, &path)?;
    let body = blocking(move || {
        let id = &grant.project().id;
        state.vault.record(grant.actor().event("ledger_exported").project(id))?;
        let checkpoint = state.ledgers.checkpoint(id, &state.secrets, state.vault.now())?;
        let pages = ExportPages::new(state.ledgers.log(id)?, grant.actor().agency().cloned(), checkpoint)?;
        Ok(Export { state: state.clone(), step: Step::Next(Box::new(pages)) })
    });
    let body = body.await?;
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header(("cache-control", "no-store"))
        .body(body))
}

/// An export on its way: each page is read off the event loop, when the one before was taken.
struct Export {
    state: State,
    step: Step,
}

/// The export after a page, and the page.
type Read = (Box<ExportPages>, Result<Option<String>, LogError>);

enum Step {
    Next(Box<ExportPages>),
    Reading(JoinHandle<Read>),
    Over,
}

impl MessageBody for Export {
    type Error = LogError;
    fn size(&self) -> BodySize {
        BodySize::Stream
    }
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, LogError>>> {
        let this = self.get_mut();
        this.step = match std::mem::replace(&mut this.step, Step::Over) {
            Step::Next(mut pages) => {
                let state = this.state.clone();
                Step::Reading(spawn_blocking(move || {
                    let page = pages.page(&state.secrets.signer);
                    (pages, page)
                }))
            }
            other => other,
        };
        let Step::Reading(reading) = &mut this.step else { return Poll::Ready(None) };
        let Poll::Ready(read) = Pin::new(reading).poll(context) else { return Poll::Pending };
        this.step = Step::Over;
        let page = read.map_or_else(
            |_| Err(StoreError::Engine("the reading of a page panicked".to_owned()).into()),
            |(pages, page)| {
                this.step = Step::Next(pages);
                page
            },
        );
        if let Err(error) = &page {
            this.step = Step::Over;
            tracing::error!(%error, "a ledger export broke off");
        }
        Poll::Ready(page.transpose().map(|page| page.map(Bytes::from)))
    }
}

/// Who asked about the records of the key's agency, oldest first.
pub(in crate::service) async fn asked(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let actor = authenticate(&state.vault, &request)?;
    let grant = for_party::<ReadAsked>(&state.vault, actor, &path)?;
    let page = page::<String>(&request)?;
    let list = blocking(move || {
        let prefix = feed_prefix(&grant.project().id, grant.agency());
        let after = page.cursor.map(|cursor| format!("{prefix}{cursor}"));
        let pairs =
            state.vault.store().scan(prefix.as_bytes(), after.as_deref().map(str::as_bytes), page.limit)?;
        let next = (pairs.len() == page.limit).then(|| pairs.last()).flatten();
        let next = next.map(|(key, _)| String::from_utf8_lossy(&key[prefix.len()..]).into_owned());
        let read = |(_, line): &(Vec<u8>, Vec<u8>)| serde_json::from_slice::<AskedItem>(line);
        let asked = pairs.iter().map(read).collect::<Result<_, _>>();
        let asked = asked.map_err(|error| ApiError::Internal(format!("a line of a feed: {error}")))?;
        Ok(AskedPage { asked, next })
    });
    answer(&request, 200, &list.await?)
}
