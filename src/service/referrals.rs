//! What the broker answers for: questions that met brokered records, who asked, and whom the broker names to them.
//!
//! May see: store, agreements, the ledger. Must not see: agency. The broker learns who asked and which agencies hold the
//! records, never a ref; the asker learns the agencies that the broker names, as far as the agreement of the two goes.

use super::agreements;
use super::answers::{in_force, parties_by_id};
use super::auth::{AgencyGrant, AnswerReferrals, Permission, ReadReferrals};
use super::error::ApiError;
use super::ledgers::Said;
use super::policy::{Agreement, AnswerLevel, Day, decide_read};
use super::state::Centre;
use crate::ledger::{Actor as User, Entry};
use crate::store::{AgencyRecord, LinkRecord, ReferralRecord, RunRecord, Side, StoreError, Vault};
use crate::wire::messages::{
    NoticeKind, NoticeMessage, ReferralDecide, ReferralHolder, ReferralList, ReferralMessage, ReferralState,
    Role, RunState,
};
use crate::wire::{AgencyId, PurposeCode, UtcTime};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A question about one of the asker's records that met brokered ones, at an entry of the ledger.
///
/// # Errors
/// [`ApiError::Internal`] for a user id that is no line; there is none.
pub(super) fn asked(
    asker: Side,
    user: &User,
    purpose: &PurposeCode,
    (entry, asked): (u64, UtcTime),
) -> Result<ReferralRecord, ApiError> {
    let user = user.as_str().parse().map_err(|_| ApiError::Internal("a user is no line".to_owned()))?;
    let (state, why, named) = (ReferralState::Waiting, None, Vec::new());
    Ok(ReferralRecord { asker, user, purpose: purpose.clone(), asked, entry, state, why, named })
}

/// Whoever reads referrals, within the agreement.
struct Reader<'c, P> {
    vault: &'c Vault,
    grant: &'c AgencyGrant<P>,
    agreement: Arc<Agreement>,
    parties: BTreeMap<AgencyId, AgencyRecord>,
    run: RunRecord,
}

impl<'c, P: Permission> Reader<'c, P> {
    /// None while nothing was linked.
    fn new(vault: &'c Vault, grant: &'c AgencyGrant<P>) -> Result<Option<Self>, ApiError> {
        let project = grant.project();
        let agreement = agreements::current(vault, project)?;
        decide_read(&agreement, grant.agency(), Day::of(vault.now()))?;
        in_force(vault, project)?;
        let run = vault.latest_run(&project.id, project.epoch)?;
        let parties = parties_by_id(vault, project)?;
        let finished = run.filter(|run| run.state == RunState::Finished);
        Ok(finished.map(|run| Self { vault, grant, agreement, parties, run }))
    }

    fn is_broker(&self) -> bool {
        self.grant.project().broker.as_ref() == Some(self.grant.agency())
    }

    /// Agencies whose brokered records the question still meets, each with its surest link.
    fn holders(&self, referral: &ReferralRecord) -> Result<Vec<(AgencyId, LinkRecord)>, ApiError> {
        let (asker, record) = &referral.asker;
        let mut surest: BTreeMap<AgencyId, LinkRecord> = BTreeMap::new();
        for link in self.vault.brokered_of(&self.run, asker, record)? {
            let Some(input) = self.run.inputs.get(usize::from(link.other_input)) else { continue };
            let level = self.agreement.pair(asker, &input.agency);
            let surer = surest.get(&input.agency).is_none_or(|other| other.band < link.band);
            if surer && level.is_some_and(|level| level > AnswerLevel::YesNo) {
                surest.insert(input.agency.clone(), link);
            }
        }
        Ok(surest.into_iter().collect())
    }

    /// None: it is neither this agency's question nor its to answer, or there is nobody behind it any more.
    fn message(&self, id: &str, referral: &ReferralRecord) -> Result<Option<ReferralMessage>, ApiError> {
        let (own, broker) = (referral.asker.0 == *self.grant.agency(), self.is_broker());
        if !own && !broker {
            return Ok(None);
        }
        let holders = self.holders(referral)?;
        if holders.is_empty() {
            return Ok(None);
        }
        let mut shown = Vec::new();
        for (agency, link) in holders {
            let Some(party) = self.parties.get(&agency) else { continue };
            if !broker && !referral.named.contains(&agency) {
                continue;
            }
            let level = self.agreement.pair(&referral.asker.0, &agency);
            let called = broker || level.is_some_and(|level| level >= AnswerLevel::Contact);
            shown.push(ReferralHolder {
                name: party.name.clone(),
                contact: called.then(|| party.contact.clone()),
                band: link.band,
                reference: link.reference,
                agency,
            });
        }
        Ok(Some(ReferralMessage {
            id: id.to_owned(),
            state: referral.state,
            asked: referral.asked,
            agency: referral.asker.0.clone(),
            user: referral.user.clone(),
            purpose: referral.purpose.clone(),
            entry: referral.entry,
            record: own.then_some(referral.asker.1),
            why: referral.why,
            holders: shown,
        }))
    }

    fn entry(&self, action: &'static str, about: &str, result: &'static str) -> Result<Entry, ApiError> {
        let (actor, project) = (self.grant.actor(), self.grant.project());
        let said = Said {
            user: actor.user()?,
            agency: Some(self.grant.agency()),
            role: actor.role::<P>().unwrap_or(Role::Reviewer),
            project,
            action,
            purpose: None,
            case: None,
            request: project.secret.digest(&[b"referral", about.as_bytes()]),
            result,
        };
        said.entry(self.vault.now())
    }
}

/// The agency's own referrals, and all if it is the broker; the reading is in the ledger before it is answered.
///
/// # Errors
/// [`ApiError::AgreementEnded`], [`ApiError::UserMissing`] and the store's.
pub(super) fn list(
    centre: &Centre,
    grant: &AgencyGrant<ReadReferrals>,
    after: Option<&str>,
    limit: usize,
) -> Result<ReferralList, ApiError> {
    grant.actor().user()?;
    let id = &grant.project().id;
    let mut found = ReferralList { referrals: Vec::new(), next: None };
    let Some(reader) = Reader::new(&centre.vault, grant)? else { return Ok(found) };
    let entry = reader.entry("referrals_read", "", "referrals")?;
    centre.ledgers.log(id)?.record(&entry, |_, _| Ok::<(), ApiError>(()))?;
    let mut from = after.map(ToOwned::to_owned);
    loop {
        let page = centre.vault.referrals(id, from.as_deref(), limit)?;
        let Some((last, _)) = page.last() else { return Ok(found) };
        from = Some(last.clone());
        for (id, referral) in &page {
            found.referrals.extend(reader.message(id, referral)?);
            if found.referrals.len() == limit {
                found.next = Some(id.clone());
                return Ok(found);
            }
        }
    }
}

/// What the broker says: the agencies that it names to whoever asked, or none. They are told that they were named.
///
/// # Errors
/// [`ApiError::NotFound`] for whoever is not the broker, and for a referral with nobody behind it; [`ApiError::Rule`]
/// for an agency that is not; [`ApiError::Changed`] when it was asked again meanwhile.
pub(super) fn decide(
    centre: &Centre,
    grant: &AgencyGrant<AnswerReferrals>,
    id: &str,
    decide: ReferralDecide,
) -> Result<ReferralMessage, ApiError> {
    let (vault, project) = (&centre.vault, grant.project());
    grant.actor().user()?;
    let reader = Reader::new(vault, grant)?.filter(Reader::is_broker).ok_or(ApiError::NotFound)?;
    let before = vault.referral(&project.id, id)?.ok_or(ApiError::NotFound)?;
    let holders = reader.holders(&before)?;
    if holders.is_empty() {
        return Err(ApiError::NotFound);
    }
    if decide.agencies.iter().any(|agency| holders.iter().all(|(holder, _)| holder != agency)) {
        return Err(ApiError::Rule("name agencies that stand behind this referral, or none to decline"));
    }
    let state = if decide.agencies.is_empty() { ReferralState::Declined } else { ReferralState::Answered };
    let after = ReferralRecord { state, why: Some(decide.why), named: decide.agencies, ..before.clone() };
    let entry = reader.entry("referral_decided", id, state.word())?;
    centre.ledgers.log(&project.id)?.record(&entry, |_, batch| {
        match vault.stage_referral_word(batch, &project.id, id, (&before, &after)) {
            // Somebody asked again or decided meanwhile: the broker reads it again.
            Err(StoreError::Conflict) => Err(ApiError::Changed),
            staged => Ok(staged?),
        }
    })?;
    vault.record(grant.actor().event("referral_decided").project(&project.id).subject(id))?;
    for (holder, link) in holders.iter().filter(|(holder, _)| after.named.contains(holder)) {
        let notice = NoticeMessage {
            number: 0,
            at: vault.now(),
            kind: NoticeKind::ReferralAnswered,
            record: Some(link.other),
            agency: Some(after.asker.0.clone()),
            why: after.why,
        };
        vault.notify(&project.id, Some(holder), notice)?;
    }
    reader.message(id, &after)?.ok_or(ApiError::NotFound)
}
