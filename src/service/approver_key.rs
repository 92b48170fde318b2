//! The one approver key that an operator may issue alone: where nobody of a project could ever decide anything again.
//!
//! May see: store, agreements, alerts, the ledger. Must not see: agency. Within an agreement two people decide a further
//! key, one of them of an agency. Once every approver key of a project has run out, or where there never was one, there
//! is no such person, and the project could neither go on nor be closed. Then one key of one agency may be issued by one
//! person, in the open: an entry of the ledger, an event the agency reads and an alert stand with it or it does not.
//! Never after a revocation: whoever may revoke could otherwise make himself the second person.

use super::agreements;
use super::alerts::{self, AlertKind};
use super::auth::{CentreGrant, Operate};
use super::error::ApiError;
use super::handlers::keys::check_new;
use super::ledgers::Said;
use super::state::Centre;
use crate::store::{KeyRecord, ProjectRecord, StoreError, Token, Vault};
use crate::wire::messages::{KeyCreate, KeyScope, Role};
use crate::wire::{AgencyId, ContentDigest, UtcTime};

const REVOKED: ApiError = ApiError::Rule(
    "an approver key of this agency was revoked: no one person issues the next. Issue one of another party that lost \
     none so, then decide with it",
);
const NOT_THE_ONLY: ApiError =
    ApiError::Rule("an approver key was issued meanwhile: two people decide the next");

/// The id of the last key issued so, by project: of two requests at the same moment one is refused.
fn name(project: &ProjectRecord) -> String {
    format!("approver-key-alone/{}", project.id)
}

/// Whose approver key `new` is, if it is the one that an operator may issue alone: an approver's and nothing else, of an
/// agency that has had keys in a project with an agreement, of which nobody can decide any more.
///
/// # Errors
/// [`ApiError::Rule`] after a revocation, and for what fits no key at all; the store's.
pub(super) fn called_for(
    vault: &Vault,
    new: &KeyCreate,
) -> Result<Option<(ProjectRecord, AgencyId)>, ApiError> {
    let KeyScope::Agency { agency, project } = &new.scope else { return Ok(None) };
    if new.roles != [Role::Approver] {
        return Ok(None);
    }
    check_new(vault, new)?;
    if agreements::approved(vault, project)?.is_none() || !vault.keys_of(project, agency)?.0 {
        return Ok(None);
    }
    let Some(record) = vault.project(project)? else { return Ok(None) };
    let held = vault.approver_keys(project)?;
    match standing(&held, agency, vault.now()) {
        Standing::SomebodyDecides => Ok(None),
        Standing::Revoked => Err(REVOKED),
        Standing::Nobody => Ok(Some((record, agency.clone()))),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// An approver of some party can be the second person.
    SomebodyDecides,
    /// Nobody can, and a key of this agency was taken from it before its time.
    Revoked,
    /// Nobody can, and this agency's keys, if it had any, ran out by themselves.
    Nobody,
}

/// How a project stands whose approver keys were ever `held`.
fn standing(held: &[KeyRecord], agency: &AgencyId, now: UtcTime) -> Standing {
    let ran_out = |key: &KeyRecord| key.expires.is_some_and(|expires| expires <= now);
    if held.iter().any(|key| key.revoked.is_none() && !ran_out(key)) {
        return Standing::SomebodyDecides;
    }
    let before_its_time = |key: &KeyRecord| {
        key.revoked.is_some_and(|revoked| key.expires.is_none_or(|expires| revoked < expires))
    };
    let own =
        |key: &&KeyRecord| matches!(&key.scope, KeyScope::Agency { agency: whose, .. } if whose == agency);
    if held.iter().filter(own).any(before_its_time) { Standing::Revoked } else { Standing::Nobody }
}

/// Issues it, with the ledger's entry, the event and the alert in one transaction.
///
/// # Errors
/// [`ApiError::UserMissing`]; [`ApiError::Rule`] when another was issued meanwhile; the store's.
pub(super) fn issue(
    centre: &Centre,
    grant: &CentreGrant<Operate>,
    (project, agency): (&ProjectRecord, &AgencyId),
    new: &KeyCreate,
) -> Result<(Token, KeyRecord), ApiError> {
    let (vault, actor) = (&centre.vault, grant.actor());
    let user = actor.user()?;
    let said = Said {
        user,
        agency: actor.agency(),
        role: Role::Operator,
        project,
        action: "approver_key",
        purpose: None,
        case: None,
        request: ContentDigest::of(agency.as_str().as_bytes()),
        result: "issued_alone",
    };
    let at = vault.now();
    let entry = said.entry(at)?;
    let mut issued = None;
    let before = vault.store().value(name(project).as_bytes())?;
    centre.ledgers.log(&project.id)?.record(&entry, |gathered, batch| {
        if gathered.value(name(project).as_bytes())? != before || called_for(vault, new)?.is_none() {
            return Err(NOT_THE_ONLY);
        }
        let (token, key) = vault.stage_key(batch, new)?;
        batch.expect(name(project), before.clone()).put(name(project), key.id.as_str());
        let mut event = actor.event("approver_key_issued_alone").project(&project.id).subject(&key.id);
        event.agency = Some(agency.clone());
        vault.stage_event(gathered, batch, event)?;
        let whose = (agency, user);
        alerts::stage(
            |key| gathered.value(key),
            batch,
            &AlertKind::ApproverKeyAlone,
            &project.id,
            whose,
            at,
        )?;
        issued = Some((token, key));
        Ok::<(), ApiError>(())
    })?;
    issued.ok_or_else(|| StoreError::Conflict.into())
}
