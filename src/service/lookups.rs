//! Look-ups of the asker's own records: agreement, budget, ledger, answer, ledger, in this order.
//!
//! The question is on disk together with its charge before anything is computed; the class of the answer, and a
//! line for each agency whose record it told of, before it is given. If either cannot be written there is no
//! answer. Never a score, never another agency's ref; of another agency only what the pair agreed on.

use super::agreements;
use super::alerts::{self, AlertKind};
use super::answers::{in_force, parties_by_id, party_message};
use super::auth::{AgencyGrant, Ask, Permission};
use super::budgets::{self, Asking, BudgetError};
use super::error::ApiError;
use super::ledgers::Said;
use super::policy::{AllowedLookup, AnswerLevel, AskKind, BudgetTerms, Day, LookupAsk, decide_lookup};
use super::referrals;
use super::state::Centre;
use crate::ledger::Actor as User;
use crate::store::{
    AgencyRecord, Batch, Earlier, Gathered, LinkRecord, Once, ProjectRecord, RunRecord, StoreError, Vault,
};
use crate::wire::messages::{
    Answer, AnswerMatch, AskedItem, CaseReference, KnowingAgency, LOOKUPS_MAX, LookupAnswer,
    LookupBatchAnswer, LookupBatchRequest, LookupRequest, PartyMessage, RecordAnswer, Role, RunState,
};
use crate::wire::{AgencyId, Band, ContentDigest, LawfulBasis, ProjectId, PurposeCode, RecordRef, UtcTime};
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
    agency: &'g AgencyId,
    user: &'g User,
    role: Role,
    count: u32,
    case: Option<ContentDigest>,
    /// Leaf of the question's entry.
    question: ContentDigest,
    /// Its position in the ledger.
    pub(super) index: u64,
}

/// What one record's look-up found, as far as the agreement lets the asker know.
#[derive(Default)]
pub(super) struct Seen {
    /// Whether the record is among the asker's current ones; of somebody not on the own system: always.
    pub(super) known: bool,
    pub(super) best: Option<Band>,
    pub(super) matches: Vec<AnswerMatch>,
    /// Records of other agencies that the answer tells of, and whether their agencies may know who asked.
    pub(super) told: Vec<Told>,
    /// The asker's record, if the answer names the broker: it is put before the broker.
    pub(super) referred: Option<RecordRef>,
}

/// A record of another agency that an answer tells of.
pub(super) struct Told {
    pub(super) agency: AgencyId,
    pub(super) record: RecordRef,
    pub(super) band: Band,
    pub(super) level: AnswerLevel,
    /// Whether that agency may see the link too: else a line in its feed would betray a hidden record.
    pub(super) mutual: bool,
}

impl Seen {
    /// Puts the surest first.
    pub(super) fn sort(&mut self) {
        let of = |found: &AnswerMatch| (std::cmp::Reverse(found.knows.band), found.knows.agency.clone());
        self.matches.sort_by_key(of);
    }
    pub(super) fn answer(&self) -> Answer {
        match self.best {
            Some(Band::Match) => Answer::Yes,
            Some(Band::Review) => Answer::Possibly,
            Some(Band::None) | None => Answer::NoMatchFound,
        }
    }
    fn class(&self) -> &'static str {
        match self.answer() {
            _ if !self.known => "unknown_record",
            Answer::Yes => "match",
            Answer::Possibly => "review",
            Answer::NoMatchFound => "none",
        }
    }
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

/// The latest finished run and the parties, read once for all records of a request.
pub(super) struct View<'c> {
    vault: &'c Vault,
    project: &'c ProjectRecord,
    pub(super) run: Option<RunRecord>,
    pub(super) parties: BTreeMap<AgencyId, AgencyRecord>,
}

impl<'c> View<'c> {
    pub(super) fn new(vault: &'c Vault, project: &'c ProjectRecord) -> Result<Self, ApiError> {
        let run = vault.latest_run(&project.id, project.epoch)?;
        let run = run.filter(|run| run.state == RunState::Finished);
        Ok(Self { vault, project, run, parties: parties_by_id(vault, project)? })
    }

    pub(super) fn seen(&self, asked: &Asked<'_>, record: &RecordRef) -> Result<Seen, ApiError> {
        let (vault, project, agency) = (self.vault, self.project, asked.agency);
        let known = vault.is_current_record(&project.id, project.epoch, agency, record)?;
        let mut seen = Seen { known, ..Seen::default() };
        let (true, Some(run)) = (seen.known, &self.run) else { return Ok(seen) };
        // Whoever asks for a decoy of its own is noticed as well.
        if alerts::is_decoy(vault.store(), &project.id, agency, record)? {
            alerts::raise(vault.store(), &AlertKind::Decoy, &asked.asking())?;
        }
        for link in vault.links_of(run, agency, record)? {
            self.add(asked, run, &link, &mut seen)?;
        }
        seen.sort();
        Ok(seen)
    }

    pub(super) fn add(
        &self,
        asked: &Asked<'_>,
        run: &RunRecord,
        link: &LinkRecord,
        seen: &mut Seen,
    ) -> Result<(), ApiError> {
        let Some(input) = run.inputs.get(usize::from(link.other_input)) else { return Ok(()) };
        let (holder, agency) = (&input.agency, asked.agency);
        let Some(level) = asked.allowed.answer_level(holder) else { return Ok(()) };
        let named = if link.brokered { self.project.broker.as_ref() } else { Some(holder) };
        let Some(party) = named.and_then(|named| self.parties.get(named)) else { return Ok(()) };
        let back = self.vault.links_of(run, holder, &link.other)?;
        let from_here = |back: &LinkRecord| {
            let input = run.inputs.get(usize::from(back.other_input));
            back.other == link.own && input.is_some_and(|input| input.agency == *agency)
        };
        let back = back.iter().find(|back| from_here(back));
        seen.best = seen.best.max(Some(link.band));
        seen.told.push(Told {
            agency: holder.clone(),
            record: link.other,
            band: link.band,
            // Who asks about a brokered record of its own is not named to the holder either.
            level: if back.is_some_and(|back| back.brokered) { AnswerLevel::YesNo } else { level },
            mutual: back.is_some(),
        });
        if level > AnswerLevel::YesNo {
            seen.referred = seen.referred.or(link.brokered.then_some(link.own));
            seen.matches.push(AnswerMatch {
                knows: KnowingAgency {
                    agency: party.id.clone(),
                    name: party.name.clone(),
                    band: link.band,
                    reasons: link.reasons.iter().collect(),
                    contact: (level >= AnswerLevel::Contact).then(|| party.contact.clone()),
                    data_as_of: if link.brokered { run.started } else { input.sealed },
                },
                reference: link.reference,
                brokered: link.brokered,
            });
        }
        Ok(())
    }
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
    Ok(LookupAnswer { answer: seen.answer(), matches: seen.matches, parties, run, at: asked.at })
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
