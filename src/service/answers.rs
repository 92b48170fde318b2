//! What an agency may learn: its own refs, other agencies, bands, contact points, freshness, references.
//!
//! Never a score, never another agency's ref: neither has a field in the messages, and nothing else is sent.

use super::auth::{AgencyGrant, Ask, ProjectGrant, ReadAggregates, ReadLinks};
use super::error::ApiError;
use crate::store::{AgencyRecord, LinkCursor, LinkRecord, ProjectRecord, RunRecord, Vault};
use crate::wire::messages::{
    Answer, AnswerMatch, LinkMessage, LinkPage, LookupAnswer, LookupRequest, OverlapCell, OverlapTable,
    PartyMessage, PublishedCount, RunState,
};
use crate::wire::{AgencyId, Band, LinkReference, RunId};
use std::collections::BTreeMap;

/// The links of a finished run that touch the asker's records; the latest run when none is named.
///
/// # Errors
/// [`ApiError::NotFound`] when there is no such finished run; [`ApiError::AgreementEnded`].
pub fn links(
    vault: &Vault,
    grant: &AgencyGrant<ReadLinks>,
    run: Option<&str>,
    cursor: Option<LinkCursor>,
    limit: usize,
) -> Result<LinkPage, ApiError> {
    let run = finished_run(vault, grant.project(), run)?;
    log_reading(vault, grant, &run)?;
    let parties = parties_by_id(vault, grant.project())?;
    let found = vault.links(&run.id, grant.agency(), cursor, limit)?;
    let next = if found.len() == limit { LinkCursor::after(&found, cursor) } else { None };
    let links = found.iter().filter_map(|link| link_message(&run, &parties, link));
    Ok(LinkPage { links: links.collect(), next: next.map(|cursor| cursor.to_string()), run: run.id })
}

/// The link behind a reference, if it touches one of the asker's records.
///
/// # Errors
/// [`ApiError::NotFound`] for an unknown reference and for a foreign one; [`ApiError::AgreementEnded`].
pub fn link(
    vault: &Vault,
    grant: &AgencyGrant<ReadLinks>,
    reference: LinkReference,
) -> Result<LinkMessage, ApiError> {
    let run = finished_run(vault, grant.project(), None)?;
    log_reading(vault, grant, &run)?;
    let parties = parties_by_id(vault, grant.project())?;
    let found = vault.link_by_reference(&run, grant.agency(), reference)?;
    found.and_then(|link| link_message(&run, &parties, &link)).ok_or(ApiError::NotFound)
}

/// Links are read in force of the agreement only, and the reading is in the log before it is answered.
fn log_reading(vault: &Vault, grant: &AgencyGrant<ReadLinks>, run: &RunRecord) -> Result<(), ApiError> {
    in_force(vault, grant.project())?;
    let event = grant.actor().event("links_read").project(&grant.project().id).run(&run.id);
    vault.record(event)?;
    Ok(())
}

/// Refuses once the agreement has ended.
fn in_force(vault: &Vault, project: &ProjectRecord) -> Result<(), ApiError> {
    let ended = project.ends.is_some_and(|ends| ends <= vault.now());
    if ended { Err(ApiError::AgreementEnded) } else { Ok(()) }
}

fn finished_run(vault: &Vault, project: &ProjectRecord, id: Option<&str>) -> Result<RunRecord, ApiError> {
    let run = match id {
        None => vault.latest_run(&project.id, project.epoch)?,
        Some(id) => {
            let id: RunId = id.parse().map_err(|_| ApiError::NotFound)?;
            vault.run(&project.id, &id)?
        }
    };
    run.filter(|run| run.state == RunState::Finished).ok_or(ApiError::NotFound)
}

fn parties_by_id(
    vault: &Vault,
    project: &ProjectRecord,
) -> Result<BTreeMap<AgencyId, AgencyRecord>, ApiError> {
    Ok(vault.parties(&project.id)?.into_iter().map(|party| (party.id.clone(), party)).collect())
}

fn link_message(
    run: &RunRecord,
    parties: &BTreeMap<AgencyId, AgencyRecord>,
    link: &LinkRecord,
) -> Option<LinkMessage> {
    let input = run.inputs.get(usize::from(link.other_input))?;
    let party = parties.get(&input.agency)?;
    Some(LinkMessage {
        reference: link.reference,
        record: link.own,
        agency: input.agency.clone(),
        band: link.band,
        reasons: link.reasons.iter().collect(),
        contact: party.contact.clone(),
        data_as_of: input.sealed,
    })
}

/// Answers who else knows the child of one of the asker's own records. The question is written to the
/// log, with the class of the answer, before the answer is given; if it cannot be, there is none.
///
/// # Errors
/// [`ApiError::PurposeMissing`], [`ApiError::PurposeNotAgreed`], [`ApiError::AgreementEnded`];
/// [`ApiError::NotFound`] for a record that is not among the asker's current ones, whosever it is.
pub fn lookup(
    vault: &Vault,
    grant: &AgencyGrant<Ask>,
    request: &LookupRequest,
) -> Result<LookupAnswer, ApiError> {
    let (project, agency) = (grant.project(), grant.agency());
    let purpose = request.purpose.clone().ok_or(ApiError::PurposeMissing)?;
    if !project.purposes.contains(&purpose) {
        return Err(ApiError::PurposeNotAgreed);
    }
    let at = vault.now();
    in_force(vault, project)?;
    let known = vault.is_current_record(&project.id, project.epoch, agency, &request.record)?;
    let run = vault.latest_run(&project.id, project.epoch)?.filter(|run| run.state == RunState::Finished);
    let links = match &run {
        Some(run) if known => vault.links_of(&run.id, agency, &request.record)?,
        _ => Vec::new(),
    };
    let parties = parties_by_id(vault, project)?;
    let mut matches: Vec<AnswerMatch> = match &run {
        Some(run) => links.iter().filter_map(|link| answer_match(run, &parties, link)).collect(),
        None => Vec::new(),
    };
    matches.sort_by(|a, b| b.band.cmp(&a.band).then_with(|| a.agency.cmp(&b.agency)));
    let answer = match matches.first().map(|first| first.band) {
        Some(Band::Match) => Answer::Yes,
        Some(Band::Review) => Answer::Possibly,
        Some(Band::None) | None => Answer::NoMatchFound,
    };
    let mut event = grant.actor().event("lookup").project(&project.id);
    event.epoch = Some(project.epoch);
    event.purpose = Some(purpose);
    event.case.clone_from(&request.case);
    event.run = run.as_ref().map(|run| run.id.clone());
    event.request =
        Some(project.secret.digest(&[b"lookup", agency.as_str().as_bytes(), request.record.as_bytes()]));
    event.result = Some(if known { result_class(answer) } else { "unknown_record" }.to_owned());
    vault.record(event)?;
    if !known {
        return Err(ApiError::NotFound);
    }
    let others = party_messages(vault, project)?;
    let parties = others.into_iter().filter(|party| party.agency != *agency).collect();
    Ok(LookupAnswer { answer, matches, parties, run: run.map(|run| run.id), at })
}

const fn result_class(answer: Answer) -> &'static str {
    match answer {
        Answer::Yes => "match",
        Answer::Possibly => "review",
        Answer::NoMatchFound => "none",
    }
}

fn answer_match(
    run: &RunRecord,
    parties: &BTreeMap<AgencyId, AgencyRecord>,
    link: &LinkRecord,
) -> Option<AnswerMatch> {
    let message = link_message(run, parties, link)?;
    Some(AnswerMatch {
        name: parties.get(&message.agency)?.name.clone(),
        agency: message.agency,
        band: message.band,
        reasons: message.reasons,
        contact: message.contact,
        data_as_of: message.data_as_of,
        reference: message.reference,
    })
}

/// The parties of a project, with the age of their data.
///
/// # Errors
/// The store's.
pub fn party_messages(vault: &Vault, project: &ProjectRecord) -> Result<Vec<PartyMessage>, ApiError> {
    let parties = vault.parties(&project.id)?.into_iter().map(|party| {
        Ok(PartyMessage {
            data_as_of: vault.data_as_of(&project.id, project.epoch, &party.id)?,
            agency: party.id,
            name: party.name,
            contact: party.contact,
        })
    });
    parties.collect()
}

/// The overlap of the agencies in the latest finished run, or in the one named; small counts suppressed.
///
/// # Errors
/// [`ApiError::NotFound`] when there is no such finished run.
pub fn overlap(
    vault: &Vault,
    grant: &ProjectGrant<ReadAggregates>,
    run: Option<&str>,
) -> Result<OverlapTable, ApiError> {
    let run = finished_run(vault, grant.project(), run)?;
    let counts = run.overlap.unwrap_or_default();
    let agencies: Vec<AgencyId> = run.inputs.iter().map(|input| input.agency.clone()).collect();
    let mut cells = Vec::new();
    for (a, input) in run.inputs.iter().enumerate() {
        for (b, other) in run.inputs.iter().enumerate().skip(a) {
            let found = counts.pairs.iter().find(|pair| (usize::from(pair.0), usize::from(pair.1)) == (a, b));
            let (matched, review) = match found {
                _ if a == b => (input.records, 0),
                Some(pair) => (pair.2, pair.3),
                None => (0, 0),
            };
            cells.push(OverlapCell {
                agency_a: input.agency.clone(),
                agency_b: other.agency.clone(),
                matched: PublishedCount::of(matched),
                review: PublishedCount::of(review),
            });
        }
    }
    Ok(OverlapTable {
        ended: run.ended.unwrap_or(run.started),
        run: run.id,
        agencies,
        cells,
        known_to: counts.known_to.iter().map(|count| PublishedCount::of(*count)).collect(),
    })
}
