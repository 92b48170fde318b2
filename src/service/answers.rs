//! What an agency may learn: its own refs, other agencies, bands, contact points, freshness, references.
//!
//! Never a score, never another agency's ref: neither has a field in the messages, and nothing else is sent.

use super::agreements;
use super::auth::{AgencyGrant, ReadLinks};
use super::error::ApiError;
use super::ledgers::Said;
use super::policy::{Agreement, AnswerLevel, Day, decide_read};
use super::state::Centre;
use crate::store::{AgencyRecord, LinkCursor, LinkRecord, ProjectRecord, RunRecord, Vault};
use crate::wire::messages::{LinkMessage, LinkPage, PartyMessage, Role, RunState};
use crate::wire::{AgencyId, LinkReference, RunId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The links of a finished run that touch the asker's records; the latest run when none is named.
///
/// # Errors
/// [`ApiError::NotFound`] when there is no such finished run; [`ApiError::AgreementEnded`],
/// [`ApiError::UserMissing`].
pub(super) fn links(
    centre: &Centre,
    grant: &AgencyGrant<ReadLinks>,
    run: Option<&str>,
    cursor: Option<LinkCursor>,
    limit: usize,
) -> Result<LinkPage, ApiError> {
    let vault = &centre.vault;
    let run = finished_run(vault, grant.project(), run)?;
    let agreement = log_reading(centre, grant, &run)?;
    let parties = parties_by_id(vault, grant.project())?;
    let found = vault.links(&run, grant.agency(), cursor, limit)?;
    let next = if found.len() == limit { LinkCursor::after(&found, cursor) } else { None };
    let broker = grant.project().broker.as_ref();
    let shaped = Shaped { agreement: &agreement, own: grant.agency(), run: &run, parties: &parties, broker };
    let links = found.iter().filter_map(|link| shaped.message(link)).collect();
    let unnamed = found.iter().any(|link| link.brokered && shaped.broker().is_none() && shaped.is_told(link));
    Ok(LinkPage { links, unnamed, next: next.map(|cursor| cursor.to_string()), run: run.id })
}

/// The link behind a reference, if it touches one of the asker's records.
///
/// # Errors
/// [`ApiError::NotFound`] for an unknown reference and for a foreign one; else as [`links`].
pub(super) fn link(
    centre: &Centre,
    grant: &AgencyGrant<ReadLinks>,
    reference: LinkReference,
) -> Result<LinkMessage, ApiError> {
    let vault = &centre.vault;
    let run = finished_run(vault, grant.project(), None)?;
    let agreement = log_reading(centre, grant, &run)?;
    let parties = parties_by_id(vault, grant.project())?;
    let found = vault.link_by_reference(&run, grant.agency(), reference)?;
    let broker = grant.project().broker.as_ref();
    let shaped = Shaped { agreement: &agreement, own: grant.agency(), run: &run, parties: &parties, broker };
    found.and_then(|link| shaped.message(&link)).ok_or(ApiError::NotFound)
}

/// Links are read in force of the agreement only, and the reading is in the ledger before it is answered.
fn log_reading(
    centre: &Centre,
    grant: &AgencyGrant<ReadLinks>,
    run: &RunRecord,
) -> Result<Arc<Agreement>, ApiError> {
    let (vault, project) = (&centre.vault, grant.project());
    let user = grant.actor().user()?;
    let agreement = agreements::current(vault, project)?;
    let now = vault.now();
    decide_read(&agreement, grant.agency(), Day::of(now))?;
    in_force(vault, project)?;
    let said = Said {
        user,
        agency: Some(grant.agency()),
        role: grant.actor().role::<ReadLinks>().unwrap_or(Role::Requester),
        project,
        action: "links_read",
        purpose: None,
        case: None,
        request: project.secret.digest(&[b"links", run.id.as_str().as_bytes()]),
        result: "links",
    };
    centre.ledgers.write(&said, now)?;
    Ok(agreement)
}

/// What of a link its reader may learn: what the agreement says of the pair.
struct Shaped<'a> {
    agreement: &'a Agreement,
    own: &'a AgencyId,
    run: &'a RunRecord,
    parties: &'a BTreeMap<AgencyId, AgencyRecord>,
    broker: Option<&'a AgencyId>,
}

impl Shaped<'_> {
    /// The broker, if one is named and a party.
    fn broker(&self) -> Option<&AgencyRecord> {
        self.broker.and_then(|broker| self.parties.get(broker))
    }

    /// Whether the agreement tells this agency of the pair's links one by one.
    fn is_told(&self, link: &LinkRecord) -> bool {
        let input = self.run.inputs.get(usize::from(link.other_input));
        let level = input.and_then(|input| self.agreement.pair(self.own, &input.agency));
        level.is_some_and(|level| level > AnswerLevel::YesNo)
    }

    /// None where the pair answers yes or no alone: a list of links names its agency. A brokered link names
    /// the broker, its contact point and the age of the run; without a broker there is nothing to say.
    fn message(&self, link: &LinkRecord) -> Option<LinkMessage> {
        let input = self.run.inputs.get(usize::from(link.other_input))?;
        let named = if link.brokered { self.broker? } else { &input.agency };
        let party = self.parties.get(named)?;
        let level = self.agreement.pair(self.own, &input.agency)?;
        (level > AnswerLevel::YesNo).then(|| LinkMessage {
            reference: link.reference,
            record: link.own,
            agency: named.clone(),
            band: link.band,
            reasons: link.reasons.iter().collect(),
            contact: (level >= AnswerLevel::Contact).then(|| party.contact.clone()),
            data_as_of: if link.brokered { self.run.started } else { input.sealed },
            brokered: link.brokered,
        })
    }
}

/// Refuses once the agreement has ended.
pub(super) fn in_force(vault: &Vault, project: &ProjectRecord) -> Result<(), ApiError> {
    let ended = project.ends.is_some_and(|ends| ends <= vault.now());
    if ended { Err(ApiError::AgreementEnded) } else { Ok(()) }
}

pub(super) fn finished_run(
    vault: &Vault,
    project: &ProjectRecord,
    id: Option<&str>,
) -> Result<RunRecord, ApiError> {
    let run = match id {
        None => vault.latest_run(&project.id, project.epoch)?,
        Some(id) => {
            let id: RunId = id.parse().map_err(|_| ApiError::NotFound)?;
            vault.run(&project.id, &id)?
        }
    };
    run.filter(|run| run.state == RunState::Finished).ok_or(ApiError::NotFound)
}

pub(super) fn parties_by_id(
    vault: &Vault,
    project: &ProjectRecord,
) -> Result<BTreeMap<AgencyId, AgencyRecord>, ApiError> {
    Ok(vault.parties(&project.id)?.into_iter().map(|party| (party.id.clone(), party)).collect())
}

/// The parties of a project, with the age of their data.
///
/// # Errors
/// The store's.
pub fn party_messages(vault: &Vault, project: &ProjectRecord) -> Result<Vec<PartyMessage>, ApiError> {
    vault.parties(&project.id)?.iter().map(|party| party_message(vault, project, party)).collect()
}

/// One party, with the age of its data.
///
/// # Errors
/// The store's.
pub(super) fn party_message(
    vault: &Vault,
    project: &ProjectRecord,
    party: &AgencyRecord,
) -> Result<PartyMessage, ApiError> {
    Ok(PartyMessage {
        data_as_of: vault.data_as_of(&project.id, project.epoch, &party.id)?,
        agency: party.id.clone(),
        name: party.name.clone(),
        contact: party.contact.clone(),
    })
}
