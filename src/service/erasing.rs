//! What the rights of a person, an agency and time ask of the store: erase, show, withdraw, close, sweep.
//!
//! May see: store, policy, rights, ledgers, approvals. Must not see: agency. Every act is an event and, where a person
//! asked, an entry of the project's ledger before anything is taken out; receipts are signed after it is out. What takes
//! out a whole agency or project is decided by two people, and the decision is used up in the transaction that begins it.

use super::agreements;
use super::approvals;
use super::auth::{Actor, AgencyGrant, EraseRecords, Operate, Permission, ProjectGrant, ReadHeld, Withdraw};
use super::budgets;
use super::error::ApiError;
use super::journal::Gone;
use super::ledgers::Said;
use super::policy::{Day, Matter};
use super::rights::{Erasure, ErasureReason, ErasureReceipt, RetentionClock};
use super::state::Centre;
use crate::ledger::Hex;
use crate::store::{Batch, Erased, NewEvent, ProjectRecord, StoreError};
use crate::wire::messages::{
    HeldEncoding, HeldFact, HeldLink, HeldMessage, RemovalStatement, Role, RunState,
};
use crate::wire::{AgencyId, ContentDigest, EncodingBatch, RecordRef, UtcTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Days after its end for which a project's encodings stand, unread, in case a clock was wrong.
const GRACE_DAYS: u32 = 30;
/// Days after which the encodings of a project that keeps none go, though no run has used them.
const WAITING_DAYS: u32 = 30;
const REMOVAL_KIND: &str = "removal statement 1";

/// A signed [`RemovalStatement`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovalReceipt {
    /// What was removed.
    pub removal: RemovalStatement,
    /// The centre's Ed25519 signature.
    pub signature: Hex<64>,
}

/// What a daily sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SweepReport {
    /// Records whose month or retention had passed.
    pub records: u64,
    /// Projects closed.
    pub projects: u64,
}

/// Erases one record of the asker's agency everywhere, so that it does not come back.
///
/// # Errors
/// [`ApiError::UserMissing`]; the store's. A record that is not held is erased all the same: it is recognised
/// when it comes.
pub(super) fn erase(
    centre: &Centre,
    grant: &AgencyGrant<EraseRecords>,
    record: RecordRef,
) -> Result<ErasureReceipt, ApiError> {
    let (project, agency, vault) = (grant.project(), grant.agency(), &centre.vault);
    let at = vault.now();
    let request = project.secret.digest(&[b"erase", agency.as_str().as_bytes(), record.as_bytes()]);
    let ledger_entry = write(centre, grant, ("erasure", "erased"), request, at)?;
    let mut batch = Batch::new();
    let key = &centre.secrets.tombstone;
    key.bury(&mut batch, &project.id, agency, &record, ErasureReason::Request);
    let event = grant.actor().event("record_erased");
    let gone =
        Gone::Record { agency: agency.clone(), tombstone: key.tombstone(&project.id, agency, &record) };
    // Whose tombstone stands is in a line already: who asks a thousand times does not fill the disk.
    let noted = key.erased(vault.store(), &project.id, agency, &record)?;
    let act = |batch| {
        Ok(vault.erase_records(&project.id, agency, (&BTreeSet::from([record]), true), batch, event)?)
    };
    let erased = match noted {
        Some(why) if why.is_permanent() => act(batch)?,
        _ => centre.journal.noted((vault, &project.id), gone, batch, act)?,
    };
    centre.front_doors.forget(&project.id);
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let erasure = Erasure {
        tombstone: key.tombstone(&project.id, agency, &record),
        project: project.id.clone(),
        agency: agency.clone(),
        record,
        reason: ErasureReason::Request,
        at,
        encodings: count(erased.encodings),
        links: count(erased.links),
        ledger_entry,
    };
    Ok(erasure.sign(&centre.secrets.signer))
}

/// An entry of the project's ledger about an act of the grant's holder.
fn write<P: Permission>(
    centre: &Centre,
    grant: &AgencyGrant<P>,
    words: (&'static str, &'static str),
    request: ContentDigest,
    at: UtcTime,
) -> Result<u64, ApiError> {
    let role = grant.actor().role::<P>().unwrap_or(Role::Submitter);
    write_as(centre, (grant.actor(), role), grant.project(), words, request, at)
}

fn write_as(
    centre: &Centre,
    (actor, role): (&Actor, Role),
    project: &ProjectRecord,
    (action, result): (&'static str, &'static str),
    request: ContentDigest,
    at: UtcTime,
) -> Result<u64, ApiError> {
    let said = Said {
        user: actor.user()?,
        agency: actor.agency(),
        role,
        project,
        action,
        purpose: None,
        case: None,
        request,
        result,
    };
    centre.ledgers.write(&said, at)
}

/// What is held of one record of the asker's agency: its encodings, its links that the agency may read, what it is
/// counted by. Its shield, reviews and feed have routes of their own.
///
/// # Errors
/// [`ApiError::UserMissing`]; the store's.
pub(super) fn held(
    centre: &Centre,
    grant: &AgencyGrant<ReadHeld>,
    record: RecordRef,
) -> Result<HeldMessage, ApiError> {
    let (project, agency, vault) = (grant.project(), grant.agency(), &centre.vault);
    let at = vault.now();
    let request = project.secret.digest(&[b"held", agency.as_str().as_bytes(), record.as_bytes()]);
    write(centre, grant, ("held_read", "held"), request, at)?;
    let erased = centre.secrets.tombstone.erased(vault.store(), &project.id, agency, &record)?;
    let mut message = HeldMessage {
        project: project.id.clone(),
        agency: agency.clone(),
        record,
        at,
        erased: erased.is_some_and(ErasureReason::is_permanent),
        encodings: Vec::new(),
        links: Vec::new(),
        counted: Vec::new(),
    };
    for (manifest, row) in vault.held(&project.id, agency, &record)? {
        let (dataset, epoch) = (manifest.upload.id, manifest.upload.header.epoch);
        message.encodings.push(held_encoding(dataset, epoch, manifest.sealed, &row));
    }
    for run in vault.runs(&project.id, None, usize::MAX)? {
        if run.state != RunState::Finished || run.inputs.iter().all(|input| input.agency != *agency) {
            continue;
        }
        for link in vault.links_of(&run, agency, &record)? {
            let Some(input) = run.inputs.get(usize::from(link.other_input)) else { continue };
            let (agency, band) = (input.agency.clone(), link.band);
            message.links.push(HeldLink { run: run.id.clone(), reference: link.reference, agency, band });
        }
        let facts = vault.facts(&run.id, agency)?;
        message.counted.extend(facts.iter().filter(|fact| fact.record == record).map(|fact| HeldFact {
            run: run.id.clone(),
            area_code: fact.area.map(|text| text.as_str().to_owned()),
            age_band: fact.age_band.map(|text| text.as_str().to_owned()),
            last_seen: fact.last_seen,
        }));
    }
    Ok(message)
}

fn held_encoding(
    dataset: crate::wire::DatasetId,
    epoch: crate::wire::Epoch,
    sealed: UtcTime,
    row: &EncodingBatch,
) -> HeldEncoding {
    let payload = row.payload.first().copied().unwrap_or_default();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    HeldEncoding {
        dataset,
        epoch,
        sealed,
        filters: row.slots.iter().map(|slot| hex(&slot.filters)).collect(),
        record_type: payload.record_type.map(|text| text.as_str().to_owned()),
        area_code: payload.area_code.map(|text| text.as_str().to_owned()),
        age_band: payload.age_band.map(|text| text.as_str().to_owned()),
        last_seen: payload.last_seen,
        expiry: payload.expiry,
        visibility: payload.visibility,
    }
}

/// Takes the asker's agency out of the project, as two people decided: its encodings, its links on both sides, its keys.
/// What the others have in common is derived anew, without it.
///
/// # Errors
/// [`ApiError::UserMissing`]; [`ApiError::Approval`], [`ApiError::Rule`] for another decision; the store's.
pub(super) fn withdraw(
    centre: &Centre,
    grant: &AgencyGrant<Withdraw>,
    approval: &str,
) -> Result<RemovalReceipt, ApiError> {
    let (project, agency, vault) = (grant.project(), grant.agency(), &centre.vault);
    let at = vault.now();
    let decided = Matter::Withdrawal { agency: agency.clone() };
    let batch = used(centre, project, (approval, &decided), grant.actor())?;
    let request = project.secret.digest(&[b"withdraw", agency.as_str().as_bytes()]);
    write(centre, grant, ("withdrawal", "withdrawn"), request, at)?;
    let event = grant.actor().event("agency_withdrawn").subject(agency);
    let gone = Gone::Agency { agency: agency.clone() };
    let act = |batch| Ok(vault.erase_agency(&project.id, agency, batch, event)?);
    let erased = centre.journal.noted((vault, &project.id), gone, batch, act)?;
    centre.front_doors.forget(&project.id);
    let event = NewEvent::new("run_started").subject("withdrawal");
    // One party that is left has nothing in common with anybody; a run that does not start is not the withdrawal's
    // failure, and the operator can start it.
    let run = match vault.parties(&project.id)?.len() {
        0 | 1 => None,
        _ => centre.jobs.start(project, None, event).ok().map(|(run, _)| run.id),
    };
    Ok(signed(centre, project, Some(agency.clone()), at, erased, run))
}

/// The beginning of the transaction that carries out a removal: the decision of two people, used up.
fn used(
    centre: &Centre,
    project: &ProjectRecord,
    (approval, expected): (&str, &Matter),
    by: &Actor,
) -> Result<Batch, ApiError> {
    let mut batch = Batch::new();
    let (decided, _) = approvals::take(&centre.vault, &project.id, approval, by, &mut batch)?;
    if decided.matter() == expected {
        Ok(batch)
    } else {
        Err(ApiError::Rule("that decision is about something else"))
    }
}

fn signed(
    centre: &Centre,
    project: &ProjectRecord,
    agency: Option<AgencyId>,
    at: UtcTime,
    erased: Erased,
    run: Option<crate::wire::RunId>,
) -> RemovalReceipt {
    let removal = RemovalStatement {
        project: project.id.clone(),
        key_destroyed: agency.is_none(),
        agency,
        at,
        encodings: erased.encodings,
        links: erased.links,
        run,
    };
    // The canonical text: serde writes the fields in the order of the type.
    let body = serde_json::to_string(&removal).unwrap_or_default();
    let signature = centre.secrets.signer.sign_statement(REMOVAL_KIND, &body);
    RemovalReceipt { removal, signature }
}

impl RemovalReceipt {
    /// Whether the centre with this key signed exactly this.
    #[must_use]
    pub fn holds(&self, key: &crate::ledger::LogKey) -> bool {
        let body = serde_json::to_string(&self.removal).unwrap_or_default();
        key.holds_statement(REMOVAL_KIND, &body, &self.signature)
    }
}

/// Ends a project for the operator, as two people decided: its data key is destroyed first, then all of it but log, ledger,
/// decisions and tombstones is removed.
///
/// # Errors
/// [`ApiError::UserMissing`]; [`ApiError::Approval`], [`ApiError::Rule`] for another decision; the store's.
pub(super) fn close(
    centre: &Centre,
    grant: &ProjectGrant<Operate>,
    approval: &str,
) -> Result<RemovalReceipt, ApiError> {
    let (project, at) = (grant.project(), centre.vault.now());
    let batch = used(centre, project, (approval, &Matter::Closure), grant.actor())?;
    let request = project.secret.digest(&[b"close"]);
    write_as(centre, (grant.actor(), Role::Operator), project, ("closure", "closed"), request, at)?;
    let erased = end(centre, project, batch, grant.actor().event("project_closed"))?;
    Ok(signed(centre, project, None, at, erased, None))
}

fn end(centre: &Centre, project: &ProjectRecord, batch: Batch, event: NewEvent) -> Result<Erased, ApiError> {
    let vault = &centre.vault;
    let act = |batch| Ok(vault.close_project(&project.id, batch, event)?);
    centre.journal.noted((vault, &project.id), Gone::Project, batch, act)?;
    let erased = centre.vault.erase_project(&project.id)?;
    centre.front_doors.forget(&project.id);
    Ok(erased)
}

/// Does what today asks in every project: expired records, passed retention, ended projects, left-overs. Twice a
/// day is as good as once.
///
/// # Errors
/// The store's, of the first project that fails, after all the others were swept.
pub(super) fn sweep(centre: &Centre) -> Result<SweepReport, ApiError> {
    let mut report = SweepReport::default();
    let mut failed = None;
    for project in centre.vault.projects(None, usize::MAX)? {
        let swept = sweep_project(centre, &project, &mut report);
        // What is laid out in memory may hold what was swept.
        centre.front_doors.forget_replaced(&centre.vault, &project);
        if let Err(error) = swept {
            tracing::error!(project = %project.id, %error, "a project could not be swept");
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(report), Err)
}

fn sweep_project(centre: &Centre, project: &ProjectRecord, report: &mut SweepReport) -> Result<(), ApiError> {
    let vault = &centre.vault;
    if project.closed.is_some() {
        vault.erase_project(&project.id)?;
        return Ok(());
    }
    let (now, agreement) = (vault.now(), agreements::current(vault, project)?);
    let today = Day::of(now);
    let last_day = agreement.terms().ends;
    let over = project.ends.is_some_and(|ends| ends.plus_hours(24 * GRACE_DAYS) <= now)
        || UtcTime::from_millis(now.millis() - i64::from(GRACE_DAYS) * 86_400_000)
            .is_ok_and(|then| Day::of(then) > last_day);
    if over {
        end(centre, project, Batch::new(), NewEvent::new("project_closed").subject("end of the agreement"))?;
        report.projects += 1;
        return Ok(());
    }
    vault.erase_epochs_before(&project.id, project.epoch)?;
    budgets::sweep(vault.store(), &project.id, today, usize::MAX)?;
    if !agreement.terms().standing {
        empty_waiting(centre, project)?;
    }
    let clock = RetentionClock::new(agreement.terms());
    let mut epochs = vec![project.epoch];
    epochs.extend(project.next.as_ref().map(|next| next.epoch));
    for party in vault.parties(&project.id)? {
        for epoch in &epochs {
            let due = vault.due(&project.id, *epoch, &party.id, |uploaded, expiry| {
                // Refused to everybody from its end on, and destroyed when the grace is over.
                let due = clock.due(uploaded, expiry, today);
                due.is_some_and(|why| why != ErasureReason::ProjectEnd)
            })?;
            if !due.is_empty() {
                let mut event = NewEvent::new("records_expired").subject(&party.id);
                event.result = Some(due.len().to_string());
                let erased =
                    vault.erase_records(&project.id, &party.id, (&due, false), Batch::new(), event)?;
                report.records += erased.encodings;
            }
        }
    }
    Ok(())
}

/// Encodings that no run has used in time do not wait for ever.
fn empty_waiting(centre: &Centre, project: &ProjectRecord) -> Result<(), StoreError> {
    let vault = &centre.vault;
    let now = vault.now();
    let late = |sealed: UtcTime| sealed.plus_hours(24 * WAITING_DAYS) <= now;
    for party in vault.parties(&project.id)? {
        let current = vault.current(&project.id, project.epoch, &party.id)?;
        if current.is_some_and(|manifest| manifest.emptied.is_none() && late(manifest.sealed)) {
            vault.empty_datasets_of(&project.id, project.epoch, &party.id)?;
        }
    }
    Ok(())
}
