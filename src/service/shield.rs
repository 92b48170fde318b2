//! Shields by request: who may learn of a record, and breaking the glass.
//!
//! What a shield does to a run stands in [`super::linking`], what it does to an answer in the store's veil; two people
//! open a record as they decide everything, in [`super::approvals`].

use super::alerts::{self, AlertKind};
use super::auth::{AgencyGrant, Ask, ReadShields, Shield, Submit};
use super::error::ApiError;
use super::lookups::{self, Stated};
use super::policy::AskKind;
use super::seen::View;
use super::state::Centre;
use crate::store::{ShieldRecord, Vault};
use crate::wire::messages::{
    BreakGlass, LookupAnswer, NoticeKind, NoticeMessage, ShieldList, ShieldMessage, ShieldPut,
};
use crate::wire::{AgencyId, DatasetId, ProjectId, RecordRef, Visibility};
use std::collections::{BTreeMap, BTreeSet};

/// Writes down, before an upload is sealed, what it says of who may learn of its records. What was hidden
/// once stays hidden though the upload says less: an update must not lift a shield.
///
/// # Errors
/// The store's; then nothing is sealed.
pub(super) fn note_uploaded(
    vault: &Vault,
    grant: &AgencyGrant<Submit>,
    id: &DatasetId,
) -> Result<(), ApiError> {
    let (project, agency, now) = (&grant.project().id, grant.agency(), vault.now());
    let Some(upload) = vault.upload(project, id)? else { return Ok(()) };
    let said = vault.uploaded_visibility(&upload)?;
    if said.is_empty() {
        return Ok(());
    }
    let said: BTreeMap<RecordRef, Visibility> = said.into_iter().collect();
    let known = vault.shields(project, agency, None, usize::MAX)?;
    let news = |(record, uploaded): &(&RecordRef, &Visibility)| {
        **uploaded != known.get(*record).map_or(Visibility::Open, |shield| shield.uploaded)
    };
    let records: BTreeSet<RecordRef> = said.iter().filter(news).map(|(record, _)| *record).collect();
    let change = |record: &RecordRef, before: ShieldRecord| -> Result<_, ApiError> {
        let uploaded = said.get(record).copied().unwrap_or(before.uploaded);
        if before.uploaded == Visibility::Hidden || before.uploaded == uploaded {
            return Ok(before);
        }
        Ok(ShieldRecord { uploaded, since: now, ..before })
    };
    let event = grant.actor().event("shields_uploaded");
    vault.change_shields((project, agency), &records, change, (event, true))?;
    Ok(())
}

fn message(record: RecordRef, shield: &ShieldRecord, vault: &Vault) -> ShieldMessage {
    ShieldMessage {
        record,
        visibility: shield.visibility(vault.now()),
        reach: shield.reach,
        since: shield.since,
        why: shield.why,
        inherited_from: shield.inherited.as_ref().map(|(_, record)| *record),
        open_until: shield.open_until.filter(|until| vault.now() < *until),
    }
}

/// The agency's records that are not simply open. What one inherited from another agency's is not among
/// them: the agency would learn that there is a shielded record.
///
/// # Errors
/// The store's.
pub(super) fn list(
    vault: &Vault,
    grant: &AgencyGrant<ReadShields>,
    after: Option<RecordRef>,
    limit: usize,
) -> Result<ShieldList, ApiError> {
    let (project, agency) = (&grant.project().id, grant.agency());
    let mut after = after;
    let mut shields = Vec::new();
    loop {
        let found = vault.shields(project, agency, after.as_ref(), limit)?;
        let last = found.keys().next_back().copied().filter(|_| found.len() == limit);
        for (record, shield) in &found {
            let told = told_of(shield, agency);
            let plain = told.visibility(vault.now()) == Visibility::Open && told.open_until.is_none();
            if !plain && shields.len() < limit {
                shields.push(message(*record, &told, vault));
            }
        }
        match last {
            Some(last) if shields.len() < limit => after = Some(last),
            _ => break,
        }
    }
    let full = shields.len() == limit;
    let next = shields.last().filter(|_| full).map(|shield| shield.record.to_string());
    Ok(ShieldList { shields, next })
}

/// A shield without what its own agency is not told.
fn told_of(shield: &ShieldRecord, agency: &AgencyId) -> ShieldRecord {
    if shield.is_foreign(agency) {
        ShieldRecord { inherited: None, ..shield.clone() }
    } else {
        shield.clone()
    }
}

/// Sets who may learn of one of the agency's current records.
///
/// # Errors
/// [`ApiError::NotFound`] for a record that is not among them; [`ApiError::Rule`] for lowering `hidden`.
pub(super) fn put(
    vault: &Vault,
    grant: &AgencyGrant<Shield>,
    record: RecordRef,
    put: &ShieldPut,
) -> Result<ShieldMessage, ApiError> {
    let (project, agency) = (grant.project(), grant.agency());
    let now = vault.now();
    let change = |_: &RecordRef, before: ShieldRecord| {
        let shut = told_of(&before, agency).said() == Visibility::Hidden;
        if shut && put.visibility != Visibility::Hidden {
            return Err(ApiError::Rule(
                "a shield is lifted by two people and for a time: propose an unshield",
            ));
        }
        Ok(ShieldRecord {
            declared: put.visibility,
            // What another agency's shield does to it is not this one's to end, nor to know.
            inherited: before.inherited.clone().filter(|_| before.is_foreign(agency)),
            reach: put.reach,
            why: Some(put.why),
            since: now,
            // Shutting it again ends what two people opened.
            open_until: None,
            ..before
        })
    };
    let event =
        grant.actor().event(if put.visibility == Visibility::Hidden { "shielded" } else { "visibility_set" });
    let whose = (&project.id, agency);
    let records = BTreeSet::from([record]);
    let written = vault.while_current((&project.id, project.epoch), (agency, &record), || {
        vault.change_shields(whose, &records, change, (event, true))
    })?;
    written.ok_or(ApiError::NotFound)?;
    let shield = vault.shield(&project.id, agency, &record)?.unwrap_or_else(|| ShieldRecord::open(now));
    Ok(message(record, &told_of(&shield, agency), vault))
}

fn own_current<P>(vault: &Vault, grant: &AgencyGrant<P>, record: &RecordRef) -> Result<(), ApiError> {
    let project = grant.project();
    let own = vault.is_current_record(&project.id, project.epoch, grant.agency(), record)?;
    if own { Ok(()) } else { Err(ApiError::NotFound) }
}

/// Whether two people may be asked to open a record of `agency`: it is shielded, as far as the agency knows.
///
/// # Errors
/// [`ApiError::NotFound`]; [`ApiError::Rule`] when it is not shielded.
pub(super) fn may_be_opened(
    vault: &Vault,
    project: &ProjectId,
    agency: &AgencyId,
    record: &RecordRef,
) -> Result<(), ApiError> {
    let shield = vault.shield(project, agency, record)?;
    let shield = shield.map(|shield| told_of(&shield, agency)).ok_or(ApiError::NotFound)?;
    if shield.said() == Visibility::Hidden {
        Ok(())
    } else {
        Err(ApiError::Rule("only a shielded record can be opened"))
    }
}

/// Tells the agency and the operator that two people opened one of its records; the operator learns not which.
///
/// # Errors
/// The store's.
pub(super) fn tell_opened(
    vault: &Vault,
    project: &ProjectId,
    agency: &AgencyId,
    record: &RecordRef,
) -> Result<(), ApiError> {
    let notice = NoticeMessage {
        number: 0,
        at: vault.now(),
        kind: NoticeKind::Unshielded,
        record: Some(*record),
        agency: Some(agency.clone()),
        why: None,
    };
    vault.notify(project, Some(agency), notice.clone())?;
    Ok(vault.notify(project, None, NoticeMessage { record: None, ..notice })?)
}

/// Hours in which an agency may break the glass for one of its records once.
const GLASS_HOURS: u32 = 24;

/// One view of who else knows a child, shielded records included. It is decided, charged and written down as a
/// look-up is; the operator and every owner of a shielded record in the answer are told before it is given.
///
/// # Errors
/// As a look-up's; [`ApiError::Rule`] for a second view within a day.
pub(super) fn break_glass(
    centre: &Centre,
    grant: &AgencyGrant<Ask>,
    asked: &BreakGlass,
) -> Result<LookupAnswer, ApiError> {
    let (project, agency, vault) = (grant.project(), grant.agency(), &centre.vault);
    let stated = Stated {
        purpose: Some(&asked.purpose),
        case: asked.case.as_ref(),
        lawful_basis: asked.lawful_basis.as_ref(),
        detriment_considered: asked.detriment_considered,
    };
    let parts = [&b"break-glass"[..], agency.as_str().as_bytes(), asked.record.as_bytes()];
    let digest = project.secret.digest(&parts);
    own_current(vault, grant, &asked.record)?;
    let again = ApiError::Rule("the glass was broken for this record within a day: it gives one view");
    if vault.glass_is_broken(&project.id, agency, &asked.record)? {
        return Err(again);
    }
    let question = lookups::ask(centre, grant, AskKind::OwnRecord, &stated, digest, (1, None))?;
    let event = grant.actor().event("glass_broken");
    let until = question.at.plus_hours(GLASS_HOURS);
    let place = (&project.id, project.epoch);
    let broken = vault.while_current(place, (agency, &asked.record), || {
        vault.break_glass(&project.id, agency, &asked.record, until, event)
    })?;
    if !broken.ok_or(ApiError::NotFound)? {
        return Err(again);
    }
    alerts::raise(vault.store(), &AlertKind::BreakGlass, &question.asking())?;
    let notice = NoticeMessage {
        number: 0,
        at: question.at,
        kind: NoticeKind::GlassBroken,
        record: None,
        agency: Some(agency.clone()),
        why: Some(asked.why),
    };
    vault.notify(&project.id, None, notice.clone())?;
    let view = View::new(vault, project)?;
    let mut seen = view.seen(&question, &asked.record)?;
    if let Some(run) = &view.run {
        for link in vault.links_behind(run, agency, &asked.record)? {
            view.add(&question, run, &link, &mut seen)?;
            if let Some(input) = run.inputs.get(usize::from(link.other_input)) {
                let notice = NoticeMessage { record: Some(link.other), ..notice.clone() };
                vault.notify(&project.id, Some(&input.agency), notice)?;
            }
        }
    }
    seen.sort();
    let seen = [seen];
    question.close(centre, &seen)?;
    let [seen] = seen;
    let parties = lookups::others(vault, grant, &view.parties)?;
    let run = view.run.map(|run| run.id);
    Ok(seen.told_in(parties, run, question.at))
}
