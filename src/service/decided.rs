//! What two people can decide, and what their decision does: one place for each matter.
//!
//! May see: store, policy, agreements, shields, aggregates. Must not see: agency. Pure but for the store: the effect is
//! added to the transaction in which the decision is used up.

use super::aggregate;
use super::agreements;
use super::error::ApiError;
use super::handlers::keys::check_new;
use super::policy::{Agreement, Approval, ApprovalError, Matter, Person};
use super::shield;
use crate::store::{Batch, ProjectRecord, Vault};
use crate::wire::AgencyId;
use crate::wire::limits::AGENCIES_MAX;
use crate::wire::messages::{KeyCreate, KeyScope};
use std::sync::Arc;

/// Refuses a matter that could not be carried out even if all agreed.
///
/// # Errors
/// [`ApiError::Rule`], [`ApiError::NotFound`], or the store's.
pub(super) fn can_be_carried_out(
    vault: &Vault,
    project: &ProjectRecord,
    matter: &Matter,
    proposer: Option<&AgencyId>,
) -> Result<(), ApiError> {
    match matter {
        Matter::Revision { .. } => Err(ApiError::Rule("send the new revision of the agreement as document")),
        Matter::EpochChange { to } if *to <= project.epoch => Err(ApiError::Rule(NOT_LATER)),
        Matter::Broker { agency } | Matter::Withdrawal { agency }
            if !vault.is_party(&project.id, agency)? =>
        {
            Err(ApiError::Rule("that agency is no party of the project"))
        }
        // Another agency learns neither of the shield nor of the record.
        Matter::Unshield { agency, record, .. } if proposer == Some(agency) => {
            shield::may_be_opened(vault, &project.id, agency, record)
        }
        Matter::Release { run } => aggregate::may_be_released(vault, project, run),
        Matter::Key { .. } => new_key(project, matter).map_or(Ok(()), |new| check_new(vault, &new)),
        _ => Ok(()),
    }
}

/// The key that a matter is about.
pub(super) fn new_key(project: &ProjectRecord, matter: &Matter) -> Option<KeyCreate> {
    let Matter::Key { agency, roles, expires, label } = matter else { return None };
    let scope = KeyScope::Agency { agency: agency.clone(), project: project.id.clone() };
    Some(KeyCreate { scope, roles: roles.clone(), expires: *expires, label: label.clone() })
}

/// Refuses a second person for a key if neither is of the agency that gets it, unless nobody there can decide.
///
/// # Errors
/// [`ApprovalError::NotHolder`], or the store's.
pub(super) fn may_approve(
    vault: &Vault,
    project: &ProjectRecord,
    approval: &Approval,
    by: &Person,
) -> Result<(), ApiError> {
    let Matter::Key { agency, .. } = approval.matter() else { return Ok(()) };
    let of_it = |person: &Person| person.agency.as_ref() == Some(agency);
    let one = of_it(by) || approval.proposer().is_some_and(of_it);
    if one || !vault.keys_of(&project.id, agency)?.1 { Ok(()) } else { Err(ApprovalError::NotHolder.into()) }
}

/// Refuses whoever is not to see a new key's secret: it is handed to its agency, and to the centre only if nobody at the
/// agency can decide.
///
/// # Errors
/// [`ApprovalError::NotHolder`], or the store's.
pub(super) fn may_receive(
    vault: &Vault,
    project: &ProjectRecord,
    matter: &Matter,
    by: Option<&AgencyId>,
) -> Result<(), ApiError> {
    let Matter::Key { agency, .. } = matter else { return Ok(()) };
    let entitled = match by {
        Some(by) => by == agency,
        None => !vault.keys_of(&project.id, agency)?.1,
    };
    if entitled { Ok(()) } else { Err(ApprovalError::NotHolder.into()) }
}

/// The matter of a document: the next revision, for this project, among registered agencies.
///
/// # Errors
/// As [`next_revision`].
pub(super) fn revision(
    vault: &Vault,
    project: &ProjectRecord,
    document: &Agreement,
) -> Result<Matter, ApiError> {
    next_revision(vault, project, document)?;
    let (_, digest) = agreements::canonical(document)?;
    Ok(Matter::Revision { revision: document.terms().revision, document: digest })
}

/// Checks that a document is the next revision, and hands out the one before it.
///
/// # Errors
/// [`ApiError::Rule`].
pub(super) fn next_revision(
    vault: &Vault,
    project: &ProjectRecord,
    next: &Agreement,
) -> Result<Arc<Agreement>, ApiError> {
    let current = agreements::current(vault, project)?;
    if next.terms().parties.len() > AGENCIES_MAX {
        return Err(ApiError::Rule("a project has at most 64 parties"));
    }
    if next.terms().project != project.id {
        return Err(ApiError::Rule("the agreement names another project"));
    }
    if next.terms().revision != current.terms().revision + 1 {
        return Err(ApiError::Rule(
            "the revision must be the one after that in force: read the agreement again",
        ));
    }
    for party in &next.terms().parties {
        if vault.agency(&party.agency)?.is_none() {
            return Err(ApiError::Rule(
                "a party of the agreement is not registered: register the agency first",
            ));
        }
    }
    Ok(current)
}

const NOT_LATER: &str = "a new epoch is later than the current one";

/// Adds to `batch` what a decision does.
///
/// # Errors
/// [`ApiError::Rule`] for a removal, and for what is not so any more.
pub(super) fn effect(
    vault: &Vault,
    project: &ProjectRecord,
    decided: (&Matter, Option<Agreement>),
    batch: &mut Batch,
) -> Result<(), ApiError> {
    let done = match decided {
        (Matter::Revision { document: digest, .. }, Some(next)) => {
            next_revision(vault, project, &next)?;
            if agreements::canonical(&next)?.1 != *digest {
                return Err(ApiError::Internal("a stored agreement is not the approved one".to_owned()));
            }
            agreements::put(vault, batch, agreements::approved(vault, &project.id)?.as_deref(), &next)?;
            for party in &next.terms().parties {
                vault.stage_party(batch, &project.id, &party.agency)?;
            }
            true
        }
        (Matter::Revision { .. }, None) => {
            return Err(ApiError::Internal("an approved agreement is not there".to_owned()));
        }
        (Matter::EpochChange { to }, _) => vault.stage_epoch(batch, &project.id, *to, None)?,
        (Matter::Unshield { agency, record, until }, _) => {
            vault.stage_open(batch, &project.id, (agency, record), *until)?
        }
        (Matter::Broker { agency }, _) => vault.stage_broker(batch, &project.id, agency)?,
        (Matter::Release { run }, _) => {
            aggregate::stage_release(batch, project, run);
            true
        }
        // Its secret is shown to whoever carries it out: see [`new_key`].
        (Matter::Key { .. }, _) => true,
        (Matter::Withdrawal { .. } | Matter::Closure, _) => {
            return Err(ApiError::Rule(
                "this decision is carried out by the withdrawal or closure that names it as its approval",
            ));
        }
    };
    if done { Ok(()) } else { Err(ApiError::Rule("what was decided is not so any more: propose it again")) }
}
