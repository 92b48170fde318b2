//! Reviews and what is kept apart: what each agency is shown, and what its word does.

use super::agreements;
use super::answers::{in_force, parties_by_id};
use super::auth::{AgencyGrant, KeepApart, ProjectGrant, ReadBacklog, Review};
use super::error::ApiError;
use super::ledgers::Said;
use super::policy::{Agreement, AnswerLevel, Day, decide_read};
use super::state::Centre;
use crate::store::{
    AgencyRecord, ApartRecord, REVIEW_STEPS_MAX, ReviewCursor, ReviewRecord, RunRecord, Side, Vault,
};
use crate::wire::messages::{
    ApartCreate, ApartList, ApartMessage, BacklogMessage, ReviewDecide, ReviewList, ReviewMessage,
    ReviewState, ReviewStep, Role, RunState,
};
use crate::wire::{AgencyId, Band, LinkReference, RecordRef};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Records one request may name on each side.
const APART_RECORDS_MAX: usize = 64;

fn latest<P>(vault: &Vault, grant: &AgencyGrant<P>) -> Result<Option<RunRecord>, ApiError> {
    let project = grant.project();
    let run = vault.latest_run(&project.id, project.epoch)?;
    Ok(run.filter(|run| run.state == RunState::Finished))
}

/// What a reviewer reads is decided by the agreement and in the ledger before it is answered.
struct Reader<'c> {
    centre: &'c Centre,
    grant: &'c AgencyGrant<Review>,
    agreement: Arc<Agreement>,
    parties: BTreeMap<AgencyId, AgencyRecord>,
    latest: Option<RunRecord>,
}

impl<'c> Reader<'c> {
    fn new(centre: &'c Centre, grant: &'c AgencyGrant<Review>) -> Result<Self, ApiError> {
        let (vault, project) = (&centre.vault, grant.project());
        grant.actor().user()?;
        let agreement = agreements::current(vault, project)?;
        decide_read(&agreement, grant.agency(), Day::of(vault.now()))?;
        in_force(vault, project)?;
        let (parties, latest) = (parties_by_id(vault, project)?, latest(vault, grant)?);
        Ok(Self { centre, grant, agreement, parties, latest })
    }

    fn log(&self, action: &'static str, about: &[u8], result: &'static str) -> Result<(), ApiError> {
        let (actor, project) = (self.grant.actor(), self.grant.project());
        let said = Said {
            user: actor.user()?,
            agency: Some(self.grant.agency()),
            role: actor.role::<Review>().unwrap_or(Role::Reviewer),
            project,
            action,
            purpose: None,
            case: None,
            request: project.secret.digest(&[b"review", about]),
            result,
        };
        self.centre.ledgers.write(&said, self.centre.vault.now()).map(drop)
    }

    fn find(&self, reference: LinkReference) -> Result<ReviewRecord, ApiError> {
        let (id, agency) = (&self.grant.project().id, self.grant.agency());
        let found = self.centre.vault.review(id, agency, self.latest.as_ref(), reference)?;
        found.filter(|review| self.message(review).is_some()).ok_or(ApiError::NotFound)
    }

    /// None where the agreement lets the two agencies know no more than yes or no of each other.
    fn message(&self, review: &ReviewRecord) -> Option<ReviewMessage> {
        let agency = self.grant.agency();
        let (own, other) = review.sides(agency)?;
        let party = self.parties.get(&other.0)?;
        let level = self.agreement.pair(agency, &other.0)?;
        let step = |step: &ReviewStep| ReviewStep {
            case: step.case.clone().filter(|_| step.agency == *agency),
            ..step.clone()
        };
        (level > AnswerLevel::YesNo).then(|| ReviewMessage {
            reference: review.reference,
            record: own.1,
            agency: other.0.clone(),
            name: party.name.clone(),
            contact: (level >= AnswerLevel::Contact).then(|| party.contact.clone()),
            opened: review.opened,
            state: review.state(),
            attributes: review.attributes.clone(),
            warnings: review.reasons.iter().collect(),
            history: review.history.iter().map(step).collect(),
        })
    }
}

/// The agency's reviews, oldest first.
///
/// # Errors
/// [`ApiError::AgreementEnded`], [`ApiError::UserMissing`] and the store's.
pub(super) fn list(
    centre: &Centre,
    grant: &AgencyGrant<Review>,
    after: Option<&ReviewCursor>,
    limit: usize,
    state: Option<ReviewState>,
) -> Result<ReviewList, ApiError> {
    let reader = Reader::new(centre, grant)?;
    reader.log("reviews_read", b"", "reviews")?;
    let wanted = (limit, state);
    let (id, latest) = (&grant.project().id, reader.latest.as_ref());
    let (found, next) = centre.vault.reviews(id, grant.agency(), latest, after, wanted)?;
    let reviews = found.iter().filter_map(|review| reader.message(review));
    Ok(ReviewList { reviews: reviews.collect(), next: next.map(|cursor| cursor.to_string()) })
}

/// One of the agency's reviews.
///
/// # Errors
/// [`ApiError::NotFound`] for an unknown reference and for a foreign one; else as [`list`].
pub(super) fn read(
    centre: &Centre,
    grant: &AgencyGrant<Review>,
    reference: LinkReference,
) -> Result<ReviewMessage, ApiError> {
    let reader = Reader::new(centre, grant)?;
    reader.log("review_read", &reference.number().to_le_bytes(), "review")?;
    let review = reader.find(reference)?;
    reader.message(&review).ok_or(ApiError::NotFound)
}

/// Says a word about a pair. One "different" blocks the link at once, two "same" make it a match, and
/// "unsure" takes back what the agency said; the history keeps all of it.
///
/// # Errors
/// As [`read`]; [`ApiError::Changed`] when somebody spoke meanwhile; [`ApiError::Rule`] after too many words.
pub(super) fn decide(
    centre: &Centre,
    grant: &AgencyGrant<Review>,
    reference: LinkReference,
    decide: ReviewDecide,
) -> Result<ReviewMessage, ApiError> {
    let reader = Reader::new(centre, grant)?;
    let review = reader.find(reference)?;
    if review.history.len() >= REVIEW_STEPS_MAX {
        return Err(ApiError::Rule("too much was said about this pair: settle it outside"));
    }
    reader.log("review_decided", &reference.number().to_le_bytes(), decide.verdict.word())?;
    let mut event = grant.actor().event("review_decided");
    event.result = Some(decide.verdict.word().to_owned());
    let step = ReviewStep {
        at: centre.vault.now(),
        agency: grant.agency().clone(),
        verdict: decide.verdict,
        why: decide.why,
        case: decide.case,
    };
    let after = centre.vault.decide_review(&grant.project().id, &review, step, event)?;
    reader.message(&after).ok_or(ApiError::NotFound)
}

/// How much waits in a project.
///
/// # Errors
/// The store's.
pub(super) fn backlog(vault: &Vault, grant: &ProjectGrant<ReadBacklog>) -> Result<BacklogMessage, ApiError> {
    let project = grant.project();
    let latest = vault.latest_run(&project.id, project.epoch)?;
    Ok(vault.backlog(&project.id, latest.as_ref())?)
}

fn apart_message(record: &ApartRecord, agency: &AgencyId) -> ApartMessage {
    let own = |sides: &[Side]| {
        let own = sides.iter().filter(|side| side.0 == *agency);
        own.map(|side| side.1).collect::<Vec<RecordRef>>()
    };
    ApartMessage {
        id: record.id.clone(),
        one: own(&record.one),
        other: own(&record.other),
        why: record.why,
        since: record.since,
        lifted: record.lifted,
    }
}

/// What the agency keeps apart, lifted sets too.
///
/// # Errors
/// The store's.
pub(super) fn apart_sets(vault: &Vault, grant: &AgencyGrant<KeepApart>) -> Result<ApartList, ApiError> {
    let sets = vault.apart_sets(&grant.project().id)?;
    let own = sets.iter().filter(|set| set.agency == *grant.agency());
    Ok(ApartList { apart: own.map(|set| apart_message(set, grant.agency())).collect() })
}

/// Keeps two identities apart from now on: the records named, and the records of other agencies that are
/// matched with them today, so that the old identity stays apart from the new one in every agency even
/// when the agency that said so drops its own record.
///
/// # Errors
/// [`ApiError::NotFound`] for a record or reference that is not the agency's; [`ApiError::Rule`].
pub(super) fn keep_apart(
    vault: &Vault,
    grant: &AgencyGrant<KeepApart>,
    create: &ApartCreate,
) -> Result<ApartMessage, ApiError> {
    let (project, agency) = (grant.project(), grant.agency());
    let sizes = [create.one.len(), create.other.len(), create.links.len()];
    if sizes.iter().any(|size| *size > APART_RECORDS_MAX) {
        return Err(ApiError::Rule("at most 64 records or references on each side"));
    }
    for record in create.one.iter().chain(&create.other) {
        if !vault.is_current_record(&project.id, project.epoch, agency, record)? {
            return Err(ApiError::NotFound);
        }
    }
    let run = latest(vault, grant)?;
    let mut sides = [BTreeSet::new(), BTreeSet::new()];
    for (side, records) in sides.iter_mut().zip([&create.one, &create.other]) {
        for record in records {
            side.insert((agency.clone(), *record));
            let links = run.as_ref().map(|run| vault.linked_sides(run, agency, record)).transpose()?;
            let links = links.unwrap_or_default().into_iter();
            side.extend(links.filter(|(_, link)| link.band == Band::Match).map(|(side, _)| side));
        }
    }
    for reference in &create.links {
        let run = run.as_ref().ok_or(ApiError::NotFound)?;
        let link = vault.link_by_reference(run, agency, *reference)?.ok_or(ApiError::NotFound)?;
        let input = run.inputs.get(usize::from(link.other_input)).ok_or(ApiError::NotFound)?;
        sides[0].insert((agency.clone(), link.own));
        sides[1].insert((input.agency.clone(), link.other));
    }
    let [one, other] = sides;
    // What is matched with both today is what went wrong: it cannot be said to which it belongs.
    let both: BTreeSet<Side> = one.intersection(&other).filter(|side| side.0 != *agency).cloned().collect();
    let [one, other] = [one, other].map(|side| -> Vec<Side> { side.difference(&both).cloned().collect() });
    if one.is_empty() || other.is_empty() || one.iter().any(|side| other.contains(side)) {
        return Err(ApiError::Rule("name two sets of records that have none in common"));
    }
    let event = grant.actor().event("kept_apart");
    let record = vault.keep_apart(&project.id, agency, (one, other), create.why, event)?;
    Ok(apart_message(&record, agency))
}

/// Lifts a set the agency made.
///
/// # Errors
/// [`ApiError::NotFound`] for another agency's set and for none.
pub(super) fn lift_apart(
    vault: &Vault,
    grant: &AgencyGrant<KeepApart>,
    id: &str,
) -> Result<ApartMessage, ApiError> {
    let event = grant.actor().event("apart_lifted");
    let lifted = vault.lift_apart(&grant.project().id, grant.agency(), id, event)?;
    lifted.map(|record| apart_message(&record, grant.agency())).ok_or(ApiError::NotFound)
}
