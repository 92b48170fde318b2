//! Decisions of two people, kept with their history: proposed, approved by a second person, carried out once.
//!
//! May see: store, policy, agreements, shields, the ledger. Must not see: agency. Each step is in the project's ledger. The
//! decision and its effect are one transaction; a removal that gives a receipt takes its decision with [`take`].

use super::agreements;
use super::auth::{Actor, Decide, Operate, Permission, ProjectGrant};
use super::decided::{
    can_be_carried_out, effect, may_approve, may_receive, new_key, next_revision, revision,
};
use super::error::ApiError;
use super::ledgers::Said;
use super::policy::{Agreement, Approval, ApprovalState, Grant, Matter, Person, widenings};
use super::shield;
use super::state::Centre;
use crate::store::{Batch, Gathered, Vault};
use crate::wire::messages::{Line, Role};
use crate::wire::{ContentDigest, ProjectId};
use serde::{Deserialize, Serialize};

/// Hours until a proposal lapses, unless it says otherwise.
const HOURS: u32 = 72;

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
    /// A new key, shown this once to whoever carried its decision out.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// Decisions, oldest first.
#[derive(Debug, Serialize)]
pub(super) struct DecisionList {
    approvals: Vec<DecisionMessage>,
    /// Pass as `cursor` for the next page; absent on the last.
    next: Option<String>,
}

fn prefix(project: &ProjectId) -> String {
    format!("approval/{project}/")
}
fn name(project: &ProjectId, id: &str) -> String {
    format!("{}{id}", prefix(project))
}

/// A decision with its bytes, if whoever asks may know of it.
fn read(vault: &Vault, project: &ProjectId, id: &str, reader: &Actor) -> Result<(Vec<u8>, Kept), ApiError> {
    let plain =
        !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let bytes = if plain { vault.store().value(name(project, id).as_bytes())? } else { None };
    let bytes = bytes.ok_or(ApiError::NotFound)?;
    let kept = kept(&bytes)?;
    if kept.approval.matter().is_known_to(reader.agency()) {
        Ok((bytes, kept))
    } else {
        Err(ApiError::NotFound)
    }
}

fn kept(bytes: &[u8]) -> Result<Kept, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| ApiError::Internal(format!("a stored decision: {error}")))
}

fn bytes_of(kept: &Kept) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(kept).map_err(|error| ApiError::Internal(error.to_string()))
}

fn message(vault: &Vault, id: &str, kept: Kept) -> Result<DecisionMessage, ApiError> {
    let state = kept.approval.state(vault.now())?;
    let Kept { approval, document } = kept;
    Ok(DecisionMessage { id: id.to_owned(), state, approval, document, token: None })
}

/// Who acts: a person, through a key.
///
/// # Errors
/// [`ApiError::UserMissing`].
pub(super) fn person(actor: &Actor) -> Result<Person, ApiError> {
    Ok(Person { agency: actor.agency().cloned(), actor: actor.user()?.clone(), key: actor.key().clone() })
}

/// Proposes.
///
/// # Errors
/// [`ApiError::Rule`] for what cannot be carried out, [`ApiError::Approval`], [`ApiError::NotFound`].
pub(super) fn propose(
    centre: &Centre,
    grant: &ProjectGrant<Decide>,
    proposal: Proposal,
) -> Result<DecisionMessage, ApiError> {
    let (vault, project) = (&centre.vault, grant.project());
    let matter = match (proposal.matter, &proposal.document) {
        (None, Some(document)) => revision(vault, project, document)?,
        (Some(matter), None) => {
            can_be_carried_out(vault, project, &matter, grant.actor().agency())?;
            matter
        }
        _ => return Err(ApiError::Rule("propose a matter or a document, one of the two")),
    };
    let hours = proposal.hours.unwrap_or(HOURS);
    let by = person(grant.actor())?;
    let now = vault.now();
    let approval = Approval::propose(project.id.clone(), matter, by, proposal.reason, now, hours)?;
    let kept = Kept { approval, document: proposal.document };
    let id = vault.new_id("ap")?;
    let bytes = bytes_of(&kept)?;
    write(centre, grant, "proposed", &id, |_, batch| {
        batch.expect(name(&project.id, &id), None).put(name(&project.id, &id), bytes.as_slice());
        Ok(())
    })?;
    message(vault, &id, kept)
}

/// Puts a revision in force that allows nothing more than the one before and has nothing erased: one person may do it.
///
/// # Errors
/// [`ApiError::Rule`] when it allows more, or there is none yet: then two people must decide.
pub(super) fn narrow(
    centre: &Centre,
    grant: &ProjectGrant<Operate>,
    next: &Agreement,
) -> Result<(), ApiError> {
    let (vault, project) = (&centre.vault, grant.project());
    let before = next_revision(vault, project, next)?;
    let approved = agreements::approved(vault, &project.id)?;
    if approved.is_none() || !widenings(&before, next).is_empty() {
        return Err(ApiError::Rule(
            "this revision allows more than the one in force, or has records erased: two people must decide, propose it",
        ));
    }
    write(centre, grant, "agreement_narrowed", &format!("revision-{}", next.terms().revision), |_, batch| {
        agreements::put(vault, batch, approved.as_deref(), next)
    })
}

/// Decisions of a project that `reader` may know of, oldest first, after `after`.
///
/// # Errors
/// The store's.
pub(super) fn list(
    vault: &Vault,
    grant: &ProjectGrant<Decide>,
    after: Option<&str>,
    limit: usize,
) -> Result<DecisionList, ApiError> {
    let prefix = prefix(&grant.project().id);
    let mut from = after.map(|id| format!("{prefix}{id}").into_bytes());
    let mut approvals = Vec::new();
    loop {
        let pairs = vault.store().scan(prefix.as_bytes(), from.as_deref(), limit)?;
        let Some((last, _)) = pairs.last() else { return Ok(DecisionList { approvals, next: None }) };
        from = Some(last.clone());
        for (key, bytes) in &pairs {
            let (id, kept) = (String::from_utf8_lossy(&key[prefix.len()..]).into_owned(), kept(bytes)?);
            if kept.approval.matter().is_known_to(grant.actor().agency()) {
                approvals.push(message(vault, &id, kept)?);
            }
            if approvals.len() == limit {
                return Ok(DecisionList { approvals, next: Some(id) });
            }
        }
    }
}

/// One decision.
///
/// # Errors
/// [`ApiError::NotFound`].
pub(super) fn one(
    vault: &Vault,
    grant: &ProjectGrant<Decide>,
    id: &str,
) -> Result<DecisionMessage, ApiError> {
    message(vault, id, read(vault, &grant.project().id, id, grant.actor())?.1)
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
    let by = person(grant.actor())?;
    let said = match word {
        Word::Approve => "approved",
        Word::Refuse => "refused",
        Word::Withdraw => "withdrawn",
    };
    write(centre, grant, said, id, |_, batch| {
        let (old, mut kept) = read(vault, project, id, grant.actor())?;
        let (approval, by, reason, now) = (&mut kept.approval, by.clone(), reason.clone(), vault.now());
        match word {
            Word::Approve => {
                approval.approve(by.clone(), reason, now)?;
                may_approve(vault, grant.project(), approval, &by)?;
            }
            Word::Refuse => approval.refuse(by, reason, now)?,
            Word::Withdraw => approval.withdraw(by, reason, now)?,
        }
        batch.expect(name(project, id), Some(old)).put(name(project, id), bytes_of(&kept)?);
        Ok(())
    })?;
    one(vault, grant, id)
}

/// Takes an approved decision inside the transaction that carries it out, and hands out the proof.
///
/// # Errors
/// [`ApiError::Approval`] unless approved and in time, [`ApiError::NotFound`].
pub(super) fn take(
    vault: &Vault,
    project: &ProjectId,
    id: &str,
    by: &Actor,
    batch: &mut Batch,
) -> Result<(Grant, Option<Agreement>), ApiError> {
    let (grant, kept) = take_kept(vault, project, id, by, batch)?;
    Ok((grant, kept.document))
}

fn take_kept(
    vault: &Vault,
    project: &ProjectId,
    id: &str,
    by: &Actor,
    batch: &mut Batch,
) -> Result<(Grant, Kept), ApiError> {
    let (old, mut kept) = read(vault, project, id, by)?;
    let grant = kept.approval.take(person(by)?, vault.now())?;
    batch.expect(name(project, id), Some(old)).put(name(project, id), bytes_of(&kept)?);
    Ok((grant, kept))
}

/// Carries out a decision, but for a removal, which is carried out by the request that gives its receipt.
///
/// # Errors
/// As [`take`]; [`ApiError::Rule`] for a removal.
pub(super) fn carry_out(
    centre: &Centre,
    grant: &ProjectGrant<Decide>,
    id: &str,
) -> Result<DecisionMessage, ApiError> {
    let (vault, project) = (&centre.vault, grant.project());
    let mut after = None;
    write(centre, grant, "carried_out", id, |gathered, batch| {
        let (decided, kept) = take_kept(vault, &project.id, id, grant.actor(), batch)?;
        may_receive(vault, project, decided.matter(), grant.actor().agency())?;
        let document = kept.document.clone();
        let mut done = message(vault, id, kept)?;
        if let Some(new) = new_key(project, decided.matter()) {
            can_be_carried_out(vault, project, decided.matter(), None)?;
            let (token, key) = vault.stage_key(batch, &new)?;
            // With the key, not after it: a secret that is shown once must not be lost to an event that fails.
            let mut event = grant.actor().event("key_issued").project(&project.id).subject(&key.id);
            if let Matter::Key { agency, .. } = decided.matter() {
                event.agency = Some(agency.clone());
            }
            vault.stage_event(gathered, batch, event)?;
            done.token = Some(token.expose());
        }
        after = Some(done);
        effect(vault, project, (decided.matter(), document), batch)
    })?;
    let done = after.ok_or_else(|| ApiError::Internal("a decision was not carried out".to_owned()))?;
    match done.approval.matter() {
        // As when one person begins an epoch of a trial: the sweep does it again should this break off.
        Matter::EpochChange { to } => drop(vault.erase_epochs_before(&project.id, *to)?),
        Matter::Unshield { agency, record, .. } => {
            shield::tell_opened(vault, &project.id, agency, record)?;
        }
        _ => {}
    }
    Ok(done)
}

/// One step: its ledger entry, its effect and the event for the operator, in one transaction.
fn write<P: Permission>(
    centre: &Centre,
    grant: &ProjectGrant<P>,
    result: &'static str,
    id: &str,
    mut effect: impl FnMut(&Gathered<'_>, &mut Batch) -> Result<(), ApiError>,
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
    let event = grant.actor().event(&format!("decision_{result}")).project(&project.id).subject(id);
    centre.ledgers.log(&project.id)?.record(&entry, |gathered, batch| {
        effect(gathered, batch)?;
        Ok::<(), ApiError>(vault.stage_event(gathered, batch, event.clone())?)
    })?;
    Ok(())
}
