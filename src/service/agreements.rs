//! Which agreement holds in a project: the revision two people approved, or the trial's own until there is one.
//!
//! May see: store, policy. Must not see: agency. A revision is one value of the store; the ones before it stay.

use super::error::ApiError;
use super::policy::{Agreement, Day};
use crate::store::{Batch, ProjectRecord, StoreError, Vault};
use crate::wire::{AgencyId, ContentDigest, ProjectId, UtcTime};
use std::sync::Arc;

/// Bytes of an agreement's canonical JSON.
pub const AGREEMENT_BYTES_MAX: usize = 48 << 10;

fn name(project: &ProjectId) -> String {
    format!("agreement/{project}")
}
fn past_name(project: &ProjectId, revision: u32) -> String {
    format!("agreement-past/{project}/{revision:010}")
}

/// The revision in force; none while the project is a trial.
///
/// # Errors
/// The store's.
pub fn approved(vault: &Vault, project: &ProjectId) -> Result<Option<Arc<Agreement>>, StoreError> {
    vault.decoded("agreement", &name(project))
}

/// Refuses what one person alone may not do once a project has an agreement: another party, epoch or broker.
///
/// # Errors
/// [`ApiError::Rule`], or the store's.
pub fn only_in_a_trial(vault: &Vault, project: &ProjectId) -> Result<(), ApiError> {
    match approved(vault, project)? {
        None => Ok(()),
        Some(_) => {
            Err(ApiError::Rule("this project has an agreement: two people must decide this, propose it"))
        }
    }
}

/// What holds in `project`: the approved revision, or the trial among its parties.
///
/// # Errors
/// The store's.
pub fn current(vault: &Vault, project: &ProjectRecord) -> Result<Arc<Agreement>, ApiError> {
    if let Some(approved) = approved(vault, &project.id)? {
        return Ok(approved);
    }
    let parties: Vec<AgencyId> = vault.parties(&project.id)?.into_iter().map(|party| party.id).collect();
    let ends = project.ends.unwrap_or(project.created);
    // A trial has no first day of its own: a clock that falls back must not shut the agencies out.
    let days = [Day::of(UtcTime::EPOCH).min(Day::of(ends)), Day::of(ends)];
    Ok(Arc::new(Agreement::trial(&project.id, &project.title, &project.purposes, &parties, days)))
}

/// The canonical JSON of an agreement, and its digest: what two people approve.
///
/// # Errors
/// [`ApiError::Rule`] for one that is too long.
pub fn canonical(agreement: &Agreement) -> Result<(Vec<u8>, ContentDigest), ApiError> {
    let bytes = serde_json::to_vec(agreement).map_err(|error| ApiError::Internal(error.to_string()))?;
    if bytes.len() > AGREEMENT_BYTES_MAX {
        return Err(ApiError::Rule("an agreement has at most 48 KB: name fewer pairs or shorten its titles"));
    }
    let digest = ContentDigest::of(&bytes);
    Ok((bytes, digest))
}

/// Adds to `batch` what puts a revision in force in the place of `before`.
///
/// # Errors
/// As [`canonical`]; [`ApiError::Changed`] when another is in force than `before`.
pub fn put(
    vault: &Vault,
    batch: &mut Batch,
    before: Option<&Agreement>,
    next: &Agreement,
) -> Result<(), ApiError> {
    let project = &next.terms().project;
    let old = vault.store().value(name(project).as_bytes())?;
    // What is expected is the bytes that stand: another version may have written them otherwise.
    let stands = old.as_deref().map(serde_json::from_slice::<Agreement>).transpose();
    if stands.map_err(|error| ApiError::Internal(format!("a stored agreement: {error}")))?.as_ref() != before
    {
        return Err(ApiError::Changed);
    }
    let (bytes, _) = canonical(next)?;
    batch
        .expect(name(project), old)
        .put(name(project), bytes.as_slice())
        .put(past_name(project, next.terms().revision), bytes.as_slice());
    Ok(())
}
