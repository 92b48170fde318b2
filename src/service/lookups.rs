//! Look-ups of the asker's own records: agreement, budget, ledger, answer, ledger, in this order.
//!
//! The question is on disk together with its charge before anything is computed; the class of the answer, and a
//! line for each agency whose record it told of, before it is given. If either cannot be written there is no
//! answer. Never a score, never another agency's ref; of another agency only what the pair agreed on.

use super::agreements;
use super::alerts::{self, AlertKind};
use super::answers::{in_force, party_message};
use super::auth::{AgencyGrant, Ask, Permission};
use super::budgets::{self, Asking, BudgetError};
use super::error::ApiError;
use super::ledgers::Said;
use super::policy::{AllowedLookup, AnswerLevel, AskKind, BudgetTerms, Day, LookupAsk, decide_lookup};
use super::referrals;
use super::seen::{Seen, View};
use super::state::Centre;
use crate::ledger::Actor as User;
use crate::store::{AgencyRecord, Batch, Earlier, Gathered, Once, ProjectRecord, StoreError, Vault};
use crate::wire::messages::{
    AskedItem, CaseReference, LOOKUPS_MAX, LookupAnswer, LookupBatchAnswer, LookupBatchRequest,
    LookupRequest, PartyMessage, RecordAnswer, Role,
};
use crate::wire::{AgencyId, ContentDigest, LawfulBasis, ProjectId, PurposeCode, UtcTime};
use std::collections::BTreeMap;

/// What a question states besides the record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stated<'a> {
    pub(super) purpose: Option<&'a PurposeCode>,
    pub(super) case: Option<&'a CaseReference>,
    pub(super) lawful_basis: Option<&'a LawfulBasis>,
    pub(super) detriment_considered: Option<bool>,
}

/// A question that was allowed, paid for and written down.
pub(super) struct Asked<'g> {
    pub(super) allowed: AllowedLookup,
    pub(super) terms: BudgetTerms,
    /// One front-door question in so many is looked at by a second person.
    pub(super) second_look_every: u32,
    /// Whether the very question was asked and paid for before.
    pub(super) repeated: bool,
    pub(super) at: UtcTime,
    project: &'g ProjectRecord,
    pub(super) agency: &'g AgencyId,
    user: &'g User,
    role: Role,
    count: u32,
    case: Option<ContentDigest>,
    /// Leaf of the question's entry.
    question: ContentDigest,
    /// Its position in the ledger.
    pub(super) index: u64,
}

/// Decides, charges and writes down a question about `records` (their keyed digest): from here on it counts.
///
/// # Errors
/// [`ApiError::UserMissing`], [`ApiError::Refused`], [`ApiError::BudgetSpent`] (an alert stands then),
/// [`ApiError::KeyReused`], or the store's: then nothing is computed.
pub(super) fn ask<'g, P: Permission>(
    centre: &Centre,
    grant: &'g AgencyGrant<P>,
    kind: AskKind,
    stated: &Stated<'_>,
    request: ContentDigest,
    (count, once): (u32, Option<&Once>),
) -> Result<Asked<'g>, ApiError> {
    let (project, agency, vault) = (grant.project(), grant.agency(), &centre.vault);
    let user = grant.actor().user()?;
    let at = vault.now();
    let agreement = agreements::current(vault, project)?;
    let ask = LookupAsk {
        asker: agency,
        kind,
        purpose: stated.purpose,
        case: stated.case,
        lawful_basis: stated.lawful_basis,
        detriment_considered: stated.detriment_considered,
    };
    let allowed = decide_lookup(&agreement, &ask, Day::of(at))?;
    in_force(vault, project)?;
    let repeated = match vault.earlier(once)? {
        Earlier::Other => return Err(ApiError::KeyReused),
        Earlier::Same(_) => true,
        Earlier::None => false,
    };
    let role = grant.actor().role::<P>().unwrap_or(Role::Requester);
    let case = stated.case.map(|case| centre.secrets.case.digest(&project.id, agency, case.as_str()));
    let mut asked = Asked {
        terms: agreement.terms().budgets,
        second_look_every: agreement.terms().second_look_every,
        repeated,
        allowed,
        at,
        project,
        agency,
        user,
        role,
        count,
        case,
        question: request,
        index: 0,
    };
    let entry = asked.said("lookup", request, if repeated { "repeated" } else { "asked" }).entry(at)?;
    let charge = |gathered: &Gathered<'_>, batch: &mut Batch| -> Result<(), BudgetError> {
        // The same question under the same key was paid for; it is written down again all the same.
        if !repeated {
            // Its twin was written down a moment ago: that one is charged, and this may be sent again.
            if vault.earlier(once)? != Earlier::None {
                return Err(StoreError::Conflict.into());
            }
            budgets::charge(|key| gathered.value(key), &asked.terms, &asked.asking(), batch)?;
            vault.remember(batch, once, "asked")?;
        }
        Ok(())
    };
    match centre.ledgers.log(&project.id)?.record(&entry, charge) {
        Ok(index) => asked.index = index,
        Err(BudgetError::Spent { scope, limit }) => {
            alerts::raise(vault.store(), &AlertKind::BudgetSpent(scope), &asked.asking())?;
            return Err(BudgetError::Spent { scope, limit }.into());
        }
        Err(error) => return Err(error.into()),
    }
    asked.question = entry.leaf();
    Ok(asked)
}

impl Asked<'_> {
    pub(super) fn asking(&self) -> Asking<'_> {
        Asking { allowed: &self.allowed, actor: self.user, at: self.at, count: self.count }
    }

    fn said(&self, action: &'static str, request: ContentDigest, result: &'static str) -> Said<'_> {
        Said {
            user: self.user,
            agency: Some(self.agency),
            role: self.role,
            project: self.project,
            action,
            purpose: Some(self.allowed.purpose()),
            case: self.case,
            request,
            result,
        }
    }

    /// Writes down the classes of the answers and tells the other agencies, before anything is answered.
    ///
    /// # Errors
    /// The store's: then there is no answer.
    pub(super) fn close(&self, centre: &Centre, seen: &[Seen]) -> Result<(), ApiError> {
        let store = centre.vault.store();
        if seen.iter().any(|seen| seen.unnamed) {
            alerts::raise(store, &AlertKind::NoBroker, &self.asking())?;
        }
        let told = seen.iter().flat_map(|seen| &seen.told).map(|told| (&told.agency, &told.record));
        alerts::watch_decoys(store, &self.asking(), told)?;
        let at = centre.vault.now();
        let entries =
            seen.iter().map(|seen| self.said("lookup_answered", self.question, seen.class()).entry(at));
        let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
        centre.ledgers.log(&self.project.id)?.record_all(&entries, |_, batch, first| {
            for (entry, seen) in (first..).zip(seen) {
                if let Some(record) = seen.referred {
                    let asker = (self.agency.clone(), record);
                    let asked = referrals::asked(asker, self.user, self.allowed.purpose(), (entry, at))?;
                    centre.vault.stage_referral(batch, self.project, asked)?;
                }
                for (number, told) in seen.told.iter().filter(|told| told.mutual).enumerate() {
                    let item = AskedItem {
                        entry,
                        at,
                        record: told.record,
                        agency: (told.level > AnswerLevel::YesNo).then(|| self.agency.clone()),
                        purpose: self.allowed.purpose().clone(),
                        band: told.band,
                    };
                    let line = serde_json::to_vec(&item).map_err(|e| ApiError::Internal(e.to_string()))?;
                    let prefix = feed_prefix(&self.project.id, &told.agency);
                    batch.put(format!("{prefix}{entry:020}-{number:03}"), line);
                }
            }
            Ok::<(), ApiError>(())
        })?;
        Ok(())
    }
}

/// Beginning of the keys of an agency's feed.
pub(super) fn feed_prefix(project: &ProjectId, holder: &AgencyId) -> String {
    format!("asked/{project}/{holder}/")
}

/// Answers who else knows the child of one of the asker's own records.
///
/// # Errors
/// As [`ask`]; [`ApiError::NotFound`] for a record that is not among the asker's current ones, whosever it is.
pub(super) fn one(
    centre: &Centre,
    grant: &AgencyGrant<Ask>,
    request: &LookupRequest,
    once: Option<&Once>,
) -> Result<LookupAnswer, ApiError> {
    let project = grant.project();
    let stated = Stated {
        purpose: request.purpose.as_ref(),
        case: request.case.as_ref(),
        lawful_basis: request.lawful_basis.as_ref(),
        detriment_considered: request.detriment_considered,
    };
    let agency = grant.agency().as_str().as_bytes();
    let digest = project.secret.digest(&[b"lookup", agency, request.record.as_bytes()]);
    let asked = ask(centre, grant, AskKind::OwnRecord, &stated, digest, (1, once))?;
    let view = View::new(&centre.vault, project)?;
    let seen = view.seen(&asked, &request.record)?;
    let parties = others(&centre.vault, grant, &view.parties)?;
    let seen = [seen];
    asked.close(centre, &seen)?;
    let [seen] = seen;
    if !seen.known {
        return Err(ApiError::NotFound);
    }
    let run = view.run.map(|run| run.id);
    Ok(seen.told_in(parties, run, asked.at))
}

/// [`one`] for many records: each is charged and each has its own line in the ledger.
///
/// # Errors
/// As [`ask`]; [`ApiError::Rule`] for none or too many.
pub(super) fn many(
    centre: &Centre,
    grant: &AgencyGrant<Ask>,
    request: &LookupBatchRequest,
    once: Option<&Once>,
) -> Result<LookupBatchAnswer, ApiError> {
    let project = grant.project();
    if !(1..=LOOKUPS_MAX).contains(&request.records.len()) {
        return Err(ApiError::Rule("a batch asks about 1 to 500 records"));
    }
    let stated = Stated {
        purpose: request.purpose.as_ref(),
        case: request.case.as_ref(),
        lawful_basis: request.lawful_basis.as_ref(),
        detriment_considered: request.detriment_considered,
    };
    let count = u32::try_from(request.records.len()).unwrap_or(u32::MAX);
    let mut parts: Vec<&[u8]> = vec![b"lookups", grant.agency().as_str().as_bytes()];
    parts.extend(request.records.iter().map(|record| record.as_bytes().as_slice()));
    let digest = project.secret.digest(&parts);
    let asked = ask(centre, grant, AskKind::OwnRecord, &stated, digest, (count, once))?;
    let view = View::new(&centre.vault, project)?;
    let seen = request.records.iter().map(|record| view.seen(&asked, record));
    let seen: Vec<Seen> = seen.collect::<Result<_, _>>()?;
    let parties = others(&centre.vault, grant, &view.parties)?;
    asked.close(centre, &seen)?;
    let answers = request.records.iter().zip(seen).map(|(record, seen)| RecordAnswer {
        record: *record,
        answer: seen.known.then(|| seen.answer()),
        unnamed: seen.unnamed,
        matches: seen.matches,
    });
    let run = view.run.map(|run| run.id);
    Ok(LookupBatchAnswer { answers: answers.collect(), parties, run, at: asked.at })
}

/// The parties of a project but the asker's agency, with the age of their data.
pub(super) fn others<P>(
    vault: &Vault,
    grant: &AgencyGrant<P>,
    parties: &BTreeMap<AgencyId, AgencyRecord>,
) -> Result<Vec<PartyMessage>, ApiError> {
    let others = parties.values().filter(|party| party.id != *grant.agency());
    others.map(|party| party_message(vault, grant.project(), party)).collect()
}
