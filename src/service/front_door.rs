//! The front door: a question about somebody who is not on the asker's system. An oracle by nature, so it has a role,
//! a purpose and a small budget of its own, needs a case and a reason, and some questions a second person looks at.
//!
//! May see: linkage's look-up, store, policy. Must not see: agency. The encoding asked with is compared in memory and
//! kept nowhere; the answer says agencies and whom to call, never a score, a ref or a link.

use super::alerts::{self, AlertKind};
use super::answers::parties_by_id;
use super::auth::{AgencyGrant, AskFrontDoor, Supervise};
use super::budgets::{Outcome, note_outcome, second_look_due};
use super::error::ApiError;
use super::intake::IntakeError;
use super::lookups::{Asked, Stated, ask, others};
use super::policy::{AnswerLevel, AskKind};
use super::seen::{Seen, Told};
use super::state::Centre;
use crate::ledger::Actor as User;
use crate::linkage::arena::Dataset;
use crate::linkage::run::{Index, LookupOptions};
use crate::store::{AgencyRecord, Batch, Once, ProjectRecord, RunInput, StoreError, Vault};
use crate::wire::arrow::read_stream;
use crate::wire::messages::{CaseReference, FrontDoorAnswer, FrontDoorRequest, KnowingAgency, ReasonCode};
use crate::wire::{AgencyId, Band, EncodingBatch, ProjectId, PurposeCode, UtcTime, Visibility};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use subtle::ConstantTimeEq;

/// The encodings of projects with a front door, laid out in memory when first asked, and again when they changed.
#[derive(Default)]
pub(super) struct FrontDoors {
    places: Mutex<HashMap<ProjectId, Arc<Place>>>,
}

/// Where one project's encodings are laid out; held while that is done, so that two questions at once do it once.
type Place = Mutex<Option<Arc<Laid>>>;

struct Laid {
    inputs: Vec<RunInput>,
    index: Index,
}

impl FrontDoors {
    fn laid(&self, vault: &Vault, project: &ProjectRecord) -> Result<Arc<Laid>, ApiError> {
        let place = Arc::clone(self.places().entry(project.id.clone()).or_default());
        let mut held = place.lock().unwrap_or_else(PoisonError::into_inner);
        let inputs = super::jobs::current_inputs(vault, project)?;
        if let Some(laid) = held.as_ref().filter(|laid| laid.inputs == inputs) {
            return Ok(Arc::clone(laid));
        }
        *held = None;
        let mut datasets = Vec::new();
        for input in &inputs {
            let read = vault.read_current(&project.id, project.epoch, &input.agency)?;
            let read = read.ok_or(StoreError::Unreadable { entry: "current" })?;
            datasets.push(Arc::new(Dataset::from_batch(input.agency.clone(), &open_rows(read.batch))));
        }
        let index = Index::new(datasets, &project.decision, LookupOptions::default());
        let index = index.map_err(|error| ApiError::Internal(error.to_string()))?;
        let laid = Arc::new(Laid { inputs, index });
        *held = Some(Arc::clone(&laid));
        Ok(laid)
    }

    fn places(&self) -> MutexGuard<'_, HashMap<ProjectId, Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what is laid out of a project, once something of it was erased. A question that lays it out at this moment
    /// takes its place along: nothing of it is found again.
    pub(super) fn forget(&self, project: &ProjectId) {
        self.places().remove(project);
    }

    /// [`Self::forget`] if the project's encodings are no longer those that were laid out, or cannot be told to be.
    pub(super) fn forget_replaced(&self, vault: &Vault, project: &ProjectRecord) {
        let Some(place) = self.places().get(&project.id).map(Arc::clone) else { return };
        let inputs = super::jobs::current_inputs(vault, project).ok();
        let replaced = match place.try_lock() {
            Ok(held) => held.as_ref().is_none_or(|laid| Some(&laid.inputs) != inputs.as_ref()),
            Err(TryLockError::Poisoned(_)) => true,
            // Being laid out at this moment, from what stands now.
            Err(TryLockError::WouldBlock) => false,
        };
        if replaced {
            self.forget(&project.id);
        }
    }
}

/// The records that everybody may learn of.
fn open_rows(batch: EncodingBatch) -> EncodingBatch {
    let open = |row: &usize| {
        let visibility = batch.payload.get(*row).and_then(|payload| payload.visibility);
        visibility.is_none_or(|visibility| visibility == Visibility::Open)
    };
    let rows: Vec<usize> = (0..batch.len()).filter(open).collect();
    if rows.len() == batch.len() { batch } else { batch.select(&rows) }
}

/// A front-door question that a second person is to look at.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecondLook {
    /// Entry of the ledger.
    entry: u64,
    at: UtcTime,
    user: User,
    purpose: PurposeCode,
    case: CaseReference,
    reason: ReasonCode,
    /// What the second person found; absent while nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proper: Option<bool>,
}

/// Second looks of one agency, oldest first.
#[derive(Debug, Serialize)]
pub(super) struct SecondLooks {
    second_looks: Vec<SecondLook>,
    /// Pass as `cursor` for the next page; absent on the last.
    next: Option<String>,
}

fn looks_prefix(project: &ProjectId, agency: &AgencyId) -> String {
    format!("second-look/{project}/{agency}/")
}

/// Answers a front-door question.
///
/// # Errors
/// As [`ask`]; [`ApiError::Intake`] for an encoding that is not the project's.
pub(super) fn stranger(
    centre: &Centre,
    grant: &AgencyGrant<AskFrontDoor>,
    request: &FrontDoorRequest,
    once: Option<&Once>,
) -> Result<FrontDoorAnswer, ApiError> {
    let (vault, project) = (&centre.vault, grant.project());
    let record = encoding(project, request)?;
    let stated = Stated {
        purpose: request.purpose.as_ref(),
        case: request.case.as_ref(),
        lawful_basis: request.lawful_basis.as_ref(),
        detriment_considered: request.detriment_considered,
    };
    let digest = project.secret.digest(&[
        b"front door",
        grant.agency().as_str().as_bytes(),
        record.content_digest().as_bytes(),
    ]);
    let asked = ask(centre, grant, AskKind::FrontDoor, &stated, digest, (1, once))?;
    let due = second_look_due(&centre.secrets.second_look, &digest, asked.second_look_every);
    if due && !asked.repeated {
        put_second_look(vault, grant, &asked, request)?;
    }
    let laid = centre.front_doors.laid(vault, project)?;
    let parties = parties_by_id(vault, project)?;
    let (seen, matches) = compare((vault, grant), &asked, &laid, &record, &parties)?;
    let outcome = match seen.best {
        Some(Band::Match) => Outcome::Found,
        Some(Band::Review) => Outcome::NearMiss,
        Some(Band::None) | None => Outcome::Nobody,
    };
    if !asked.repeated {
        note_outcome(vault.store(), &asked.terms, &asked.asking(), outcome)?;
    }
    let answer = seen.answer();
    asked.close(centre, &[seen])?;
    let parties = others(vault, grant, &parties)?;
    Ok(FrontDoorAnswer { answer, matches, parties, entry: asked.index, at: asked.at })
}

/// The one record of a question, checked as an upload is.
fn encoding(project: &ProjectRecord, request: &FrontDoorRequest) -> Result<EncodingBatch, ApiError> {
    if request.schema_fingerprint != project.schema_fingerprint {
        return Err(IntakeError::Schema { expected: project.schema.to_string() }.into());
    }
    if request.epoch != project.epoch {
        return Err(IntakeError::Epoch { found: request.epoch, expected: project.epoch }.into());
    }
    let pinned = project.key_check.as_ref().map(|key_check| key_check.as_bytes());
    let same = pinned.is_some_and(|pinned| pinned.ct_eq(request.key_check.as_bytes()).into());
    if !same {
        return Err(IntakeError::Key.into());
    }
    let layout = Arc::new(project.layout.clone());
    let batch = read_stream(&layout, request.encoding.bytes(), 1).map_err(IntakeError::Arrow)?;
    if batch.len() != 1 || batch.local_ids.is_some() {
        return Err(IntakeError::Count { found: batch.len() as u64, expected: 1 }.into());
    }
    Ok(batch)
}

fn compare(
    (vault, grant): (&Vault, &AgencyGrant<AskFrontDoor>),
    asked: &Asked<'_>,
    laid: &Laid,
    record: &EncodingBatch,
    parties: &BTreeMap<AgencyId, AgencyRecord>,
) -> Result<(Seen, Vec<KnowingAgency>), ApiError> {
    let question = Dataset::from_batch(grant.agency().clone(), record);
    let found = laid.index.find(&question, 0).map_err(|error| ApiError::Internal(error.to_string()))?;
    let mut seen = Seen { known: true, ..Seen::default() };
    let mut matches = Vec::new();
    for found in found.iter().filter(|found| found.band > Band::None) {
        let Some(input) = laid.inputs.get(usize::from(found.agency)) else { continue };
        let Some(level) = asked.allowed.answer_level(&input.agency) else { continue };
        let (Some(party), Some(dataset)) =
            (parties.get(&input.agency), laid.index.datasets().get(usize::from(found.agency)))
        else {
            continue;
        };
        let record = dataset.refs[found.record as usize];
        // A shield declared since the encodings were laid out holds at once.
        let visibility = vault.visibility(&grant.project().id, &input.agency, &record)?;
        if visibility != Visibility::Open {
            continue;
        }
        seen.best = seen.best.max(Some(found.band));
        seen.told.push(Told { agency: input.agency.clone(), record, band: found.band, level, mutual: true });
        if level > AnswerLevel::YesNo {
            matches.push(KnowingAgency {
                agency: input.agency.clone(),
                name: party.name.clone(),
                band: found.band,
                reasons: found.reasons.iter().collect(),
                contact: (level >= AnswerLevel::Contact).then(|| party.contact.clone()),
                data_as_of: input.sealed,
            });
        }
    }
    matches.sort_by(|a, b| b.band.cmp(&a.band).then_with(|| a.agency.cmp(&b.agency)));
    Ok((seen, matches))
}

fn put_second_look(
    vault: &Vault,
    grant: &AgencyGrant<AskFrontDoor>,
    asked: &Asked<'_>,
    request: &FrontDoorRequest,
) -> Result<(), ApiError> {
    // The agreement asks every front-door question for a case.
    let Some(case) = request.case.clone() else { return Ok(()) };
    let look = SecondLook {
        entry: asked.index,
        at: asked.at,
        user: grant.actor().user()?.clone(),
        purpose: asked.allowed.purpose().clone(),
        case,
        reason: request.reason.clone(),
        proper: None,
    };
    let prefix = looks_prefix(&grant.project().id, grant.agency());
    let bytes = serde_json::to_vec(&look).map_err(|error| ApiError::Internal(error.to_string()))?;
    let mut batch = Batch::new();
    batch.put(format!("{prefix}{:020}", asked.index), bytes);
    Ok(vault.store().apply(&batch)?)
}

/// What a second person is to look at, or has looked at, after ledger entry `after`.
///
/// # Errors
/// The store's.
pub(super) fn second_looks(
    vault: &Vault,
    grant: &AgencyGrant<Supervise>,
    after: Option<u64>,
    limit: usize,
) -> Result<SecondLooks, ApiError> {
    let prefix = looks_prefix(&grant.project().id, grant.agency());
    let after = after.map(|entry| format!("{prefix}{entry:020}"));
    let pairs = vault.store().scan(prefix.as_bytes(), after.as_deref().map(str::as_bytes), limit)?;
    let read = pairs.iter().map(|(_, bytes)| serde_json::from_slice(bytes));
    let second_looks: Vec<SecondLook> = read.collect::<Result<_, _>>().map_err(unreadable)?;
    let full = second_looks.len() == limit;
    let next = second_looks.last().filter(|_| full).map(|look| look.entry.to_string());
    Ok(SecondLooks { second_looks, next })
}

/// Writes down what the second person found. Not the one who asked.
///
/// # Errors
/// [`ApiError::NotFound`]; [`ApiError::Rule`] for one's own question.
pub(super) fn look(
    vault: &Vault,
    grant: &AgencyGrant<Supervise>,
    entry: u64,
    proper: bool,
) -> Result<SecondLook, ApiError> {
    let project = &grant.project().id;
    let name = format!("{}{entry:020}", looks_prefix(project, grant.agency()));
    let bytes = vault.store().value(name.as_bytes())?.ok_or(ApiError::NotFound)?;
    let mut look: SecondLook = serde_json::from_slice(&bytes).map_err(unreadable)?;
    if look.user == *grant.actor().user()? {
        return Err(ApiError::Rule("a second person looks at a question: not the one who asked it"));
    }
    look.proper = Some(proper);
    let text = serde_json::to_vec(&look).map_err(|error| ApiError::Internal(error.to_string()))?;
    let mut batch = Batch::new();
    batch.expect(name.as_str(), Some(bytes)).put(name, text);
    vault.store().apply(&batch)?;
    if !proper {
        let whose = (grant.agency(), &look.user);
        alerts::raise_for(vault.store(), &AlertKind::ImproperQuestion, project, whose, vault.now())?;
    }
    let action = if proper { "second_look_proper" } else { "second_look_improper" };
    vault.record(grant.actor().event(action).project(project).subject(entry))?;
    Ok(look)
}

fn unreadable(error: serde_json::Error) -> ApiError {
    ApiError::Internal(format!("a stored second look: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, NewEvent, system_clock};
    use crate::wire::{DecisionModel, DiceModel, Layout, Profile, SchemaFingerprint, Segment, View};

    #[test]
    fn what_is_laid_out_in_memory_goes_with_what_was_erased() {
        let (vault, _) = Vault::open(Arc::new(MemoryStore::new()), system_clock()).unwrap();
        let segment = Segment { attribute: "record".parse().unwrap(), start: 0, bits: 256 };
        let name = "record".parse().unwrap();
        let view = View { name, slots: 1, bits: 256, segments: vec![segment], tag: None };
        let layout = Layout::new(Profile::Clk, vec![view], false, vec![], vec![]).unwrap();
        let decision = DiceModel {
            match_at: "0.9".parse().unwrap(),
            review_at: "0.8".parse().unwrap(),
            runner_up_margin: None,
        };
        let new = serde_json::from_value(serde_json::json!({
            "id": "p", "title": "T", "schema": "test 1", "purposes": ["safeguarding"],
            "schema_fingerprint": SchemaFingerprint::from_bytes([7; 32]),
            "layout": layout, "decision": DecisionModel::Dice(decision),
        }));
        let project = vault.create_project(&new.unwrap(), NewEvent::new("test")).unwrap().unwrap();
        let doors = FrontDoors::default();
        let laid = || Arc::downgrade(&doors.laid(&vault, &project).unwrap());
        let first = laid();
        assert!(first.ptr_eq(&laid()), "laid out once");
        doors.forget_replaced(&vault, &project);
        assert!(first.upgrade().is_some(), "nothing changed");
        doors.forget(&project.id);
        assert!(first.upgrade().is_none());
        // A question that is laying it out keeps nobody waiting, and what it makes is not found again.
        let place = Arc::clone(doors.places().entry(project.id.clone()).or_default());
        let busy = place.lock().unwrap();
        doors.forget_replaced(&vault, &project);
        doors.forget(&project.id);
        drop(busy);
        assert!(doors.places().is_empty());
    }
}
