//! Decisions of two people, kept with their history: proposed, approved by a second person, carried out once.
//!
//! May see: store, policy, agreements, the ledger. Must not see: agency. Each step is in the project's ledger. The
//! decision and its effect are one transaction; other rooms take a decision with [`take`] inside theirs.

use super::agreements;
use super::auth::{Decide, ProjectGrant};
use super::error::ApiError;
use super::ledgers::Said;
use super::policy::{Agreement, Approval, ApprovalState, Grant, Matter, Person, widenings};
use super::state::Centre;
use crate::store::{Batch, ProjectRecord, Vault};
use crate::wire::messages::{Line, Role};
use crate::wire::{ContentDigest, ProjectId};
use serde::{Deserialize, Serialize};

/// Hours until a proposal lapses, unless it says otherwise.
const HOURS: u32 = 72;
/// Decisions listed at most.
const LISTED_MAX: usize = 500;

/// Asks for a decision: about a matter, or about a revision of the agreement, given whole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proposal {
    #[serde(default)]
    matter: Option<Matter>,
    #[serde(default)]
    document: Option<Agreement>,
    reason: Line,
    #[serde(default)]
    hours: Option<u32>,
}

/// Says yes or no, or takes back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    pub(super) reason: Line,
}

/// A decision as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    approval: Approval,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document: Option<Agreement>,
}

/// A decision as its readers see it.
#[derive(Debug, Serialize)]
pub(super) struct DecisionMessage {
    id: String,
    state: ApprovalState,
    approval: Approval,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Agreement>,
}

/// Decisions, oldest first.
#[derive(Debug, Serialize)]
pub(super) struct DecisionList {
    approvals: Vec<DecisionMessage>,
}

fn prefix(project: &ProjectId) -> String {
    format!("approval/{project}/")
}
fn name(project: &ProjectId, id: &str) -> String {
    format!("{}{id}", prefix(project))
}

fn read(vault: &Vault, project: &ProjectId, id: &str) -> Result<(Vec<u8>, Kept), ApiError> {
    let plain =
        !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let bytes = if plain { vault.store().value(name(project, id).as_bytes())? } else { None };
    let bytes = bytes.ok_or(ApiError::NotFound)?;
    let kept = serde_json::from_slice(&bytes);
    Ok((bytes, kept.map_err(|error| ApiError::Internal(format!("a stored decision: {error}")))?))
}

fn bytes_of(kept: &Kept) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(kept).map_err(|error| ApiError::Internal(error.to_string()))
}

fn message(vault: &Vault, id: &str, kept: Kept) -> Result<DecisionMessage, ApiError> {
    let state = kept.approval.state(vault.now())?;
    Ok(DecisionMessage { id: id.to_owned(), state, approval: kept.approval, document: kept.document })
}

/// Who acts: a person, through a key.
///
/// # Errors
/// [`ApiError::UserMissing`].
pub(super) fn person<P>(grant: &ProjectGrant<P>) -> Result<Person, ApiError> {
    let actor = grant.actor();
    Ok(Person { agency: actor.agency().cloned(), actor: actor.user()?.clone(), key: actor.key().clone() })
}

/// Proposes.
///
/// # Errors
/// [`ApiError::Rule`] for what cannot be carried out, [`ApiError::Approval`].
pub(super) fn propose(
    centre: &Centre,
    grant: &ProjectGrant<Decide>,
    proposal: Proposal,
) -> Result<DecisionMessage, ApiError> {
    let (vault, project) = (&centre.vault, grant.project());
    let matter = match (proposal.matter, &proposal.document) {
        (None, Some(document)) => revision(vault, project, document)?,
        (Some(Matter::Revision { .. } | Matter::NewPurpose { .. }), None) => {
            return Err(ApiError::Rule("send the new revision of the agreement as document"));
        }
        (Some(Matter::NewAgency { agency }), None) if vault.agency(&agency)?.is_none() => {
            return Err(ApiError::Rule("there is no such agency: register it first"));
        }
        (Some(Matter::EpochChange { to }), None) if to <= project.epoch => {
            return Err(ApiError::Rule("a new epoch is later than the current one"));
        }
        (Some(matter), None) => matter,
        _ => return Err(ApiError::Rule("propose a matter or a document, one of the two")),
    };
    let hours = proposal.hours.unwrap_or(HOURS);
    let by = person(grant)?;
    let now = vault.now();
    let approval = Approval::propose(project.id.clone(), matter, by, proposal.reason, now, hours)?;
    let kept = Kept { approval, document: proposal.document };
    let id = vault.new_id("ap")?;
    let bytes = bytes_of(&kept)?;
    write(centre, grant, "proposed", &id, |batch| {
        batch.expect(name(&project.id, &id), None).put(name(&project.id, &id), bytes.as_slice());
        Ok(())
    })?;
    message(vault, &id, kept)
}

/// The matter of a document: the next revision, for this project, among registered agencies.
fn revision(vault: &Vault, project: &ProjectRecord, document: &Agreement) -> Result<Matter, ApiError> {
    next_revision(vault, project, document)?;
    let (_, digest) = agreements::canonical(document)?;
    Ok(Matter::Revision { revision: document.terms().revision, document: digest })
}

fn next_revision(vault: &Vault, project: &ProjectRecord, next: &Agreement) -> Result<Agreement, ApiError> {
    let current = agreements::current(vault, project)?;
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

/// Puts a revision in force that allows nothing more than the one before: one person may do it.
///
/// # Errors
/// [`ApiError::Rule`] when it allows more, or there is none yet: then two people must decide.
pub(super) fn narrow(
    centre: &Centre,
    grant: &ProjectGrant<super::auth::Operate>,
    next: &Agreement,
) -> Result<(), ApiError> {
    let (vault, project) = (&centre.vault, grant.project());
    let before = next_revision(vault, project, next)?;
    let approved = agreements::approved(vault, &project.id)?;
    if approved.is_none() || !widenings(&before, next).is_empty() {
        return Err(ApiError::Rule(
            "this revision allows more than the one in force: two people must decide, propose it",
        ));
    }
    write(centre, grant, "agreement_narrowed", &format!("revision-{}", next.terms().revision), |batch| {
        agreements::put(batch, approved.as_ref(), next)
    })
}

/// Decisions of a project, oldest first.
///
/// # Errors
/// The store's.
pub(super) fn list(vault: &Vault, project: &ProjectId) -> Result<DecisionList, ApiError> {
    let prefix = prefix(project);
    let mut approvals = Vec::new();
    for (key, _) in vault.store().scan(prefix.as_bytes(), None, LISTED_MAX)? {
        let id = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
        approvals.push(one(vault, project, &id)?);
    }
    Ok(DecisionList { approvals })
}

/// One decision.
///
/// # Errors
/// [`ApiError::NotFound`].
pub(super) fn one(vault: &Vault, project: &ProjectId, id: &str) -> Result<DecisionMessage, ApiError> {
    message(vault, id, read(vault, project, id)?.1)
}

/// What the second person, or the proposer, says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Approve,
    Refuse,
    Withdraw,
}

/// The second person agrees or refuses, or the proposer takes back.
///
/// # Errors
/// [`ApiError::Approval`], [`ApiError::NotFound`].
pub(super) fn decide(
    centre: &Centre,
    grant: &ProjectGrant<Decide>,
    id: &str,
    word: Word,
    reason: &Line,
) -> Result<DecisionMessage, ApiError> {
    let (vault, project) = (&centre.vault, &grant.project().id);
    let by = person(grant)?;
    let said = match word {
        Word::Approve => "approved",
        Word::Refuse => "refused",
        Word::Withdraw => "withdrawn",
    };
    write(centre, grant, said, id, |batch| {
        let (old, mut kept) = read(vault, project, id)?;
        let (approval, by, reason, now) = (&mut kept.approval, by.clone(), reason.clone(), vault.now());
        match word {
            Word::Approve => approval.approve(by, reason, now)?,
            Word::Refuse => approval.refuse(by, reason, now)?,
            Word::Withdraw => approval.withdraw(by, reason, now)?,
        }
        batch.expect(name(project, id), Some(old)).put(name(project, id), bytes_of(&kept)?);
        Ok(())
    })?;
    one(vault, project, id)
}

/// Takes an approved decision inside the transaction that carries it out, and hands out the proof.
///
/// # Errors
/// [`ApiError::Approval`] unless approved and in time, [`ApiError::NotFound`].
pub(super) fn take(
    vault: &Vault,
    project: &ProjectId,
    id: &str,
    by: Person,
    batch: &mut Batch,
) -> Result<(Grant, Option<Agreement>), ApiError> {
    let (old, mut kept) = read(vault, project, id)?;
    let grant = kept.approval.take(by, vault.now())?;
    batch.expect(name(project, id), Some(old)).put(name(project, id), bytes_of(&kept)?);
    Ok((grant, kept.document))
}

/// Carries out what is the centre's own to carry out: a revision, a new party, a new epoch.
///
/// # Errors
/// As [`take`]; [`ApiError::Rule`] for matters that another request carries out.
pub(super) fn carry_out(
    centre: &Centre,
    grant: &ProjectGrant<Decide>,
    id: &str,
) -> Result<DecisionMessage, ApiError> {
    let (vault, project) = (&centre.vault, grant.project());
    let by = person(grant)?;
    write(centre, grant, "carried_out", id, |batch| {
        let (decided, document) = take(vault, &project.id, id, by.clone(), batch)?;
        match (decided.matter(), document) {
            (Matter::Revision { document: digest, .. }, Some(next)) => {
                next_revision(vault, project, &next)?;
                if agreements::canonical(&next)?.1 != *digest {
                    return Err(ApiError::Internal("a stored agreement is not the approved one".to_owned()));
                }
                agreements::put(batch, agreements::approved(vault, &project.id)?.as_ref(), &next)?;
                for party in &next.terms().parties {
                    vault.stage_party(batch, &project.id, &party.agency)?;
                }
                Ok(())
            }
            (Matter::NewAgency { agency }, _) => Ok(vault.stage_party(batch, &project.id, agency)?),
            (Matter::EpochChange { to }, _) => {
                let staged = vault.stage_epoch(batch, &project.id, *to, None)?;
                if staged { Ok(()) } else { Err(ApiError::Rule("a new epoch is later than the current one")) }
            }
            _ => Err(ApiError::Rule("this decision is carried out by the request it is about")),
        }
    })?;
    let done = one(vault, &project.id, id)?;
    if let Matter::EpochChange { to } = done.approval.matter() {
        // As when one person begins an epoch of a trial: the sweep does it again should this break off.
        vault.erase_epochs_before(&project.id, *to)?;
    }
    Ok(done)
}

/// One step: its ledger entry and its effect in one transaction, then the event for the operator.
fn write<P: super::auth::Permission>(
    centre: &Centre,
    grant: &ProjectGrant<P>,
    result: &'static str,
    id: &str,
    effect: impl FnMut(&mut Batch) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let (vault, project) = (&centre.vault, grant.project());
    let said = Said {
        user: grant.actor().user()?,
        agency: grant.actor().agency(),
        role: grant.actor().role::<P>().unwrap_or(Role::Operator),
        project,
        action: "decision",
        purpose: None,
        case: None,
        request: ContentDigest::of(id.as_bytes()),
        result,
    };
    let entry = said.entry(vault.now())?;
    centre.ledgers.log(&project.id)?.record(&entry, effect)?;
    let event = grant.actor().event(&format!("decision_{result}")).project(&project.id).subject(id);
    vault.record(event)?;
    Ok(())
}
