//! Alerts: what those who watch over the centre are told of; and the decoys that raise them.
//!
//! May see: store, budgets. Must not see: agency, encodings. There is one alert per kind, user and day, with how often
//! it happened. Whoever touches a decoy is answered as before and so notices nothing.

use super::budgets::{Asking, BudgetError, BudgetScope, retry};
use super::policy::Day;
use crate::ledger::Actor;
use crate::store::{Batch, Store, StoreError};
use crate::wire::{AgencyId, ProjectId, RecordRef, UtcTime};
use serde::{Deserialize, Serialize};

/// What an operator or data-protection officer is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Somebody asked beyond a budget.
    BudgetSpent(BudgetScope),
    /// A front-door user found nobody too often.
    ManyMisses,
    /// A decoy was asked for or answered.
    Decoy,
    /// Somebody used break-glass.
    BreakGlass,
    /// The second person found a front-door question improper.
    ImproperQuestion,
    /// Somebody asked about a child whom a broker is to answer for, and no broker is named.
    NoBroker,
    /// An operator issued an agency's approver key alone.
    ApproverKeyAlone,
}

impl AlertKind {
    const fn name(self) -> &'static str {
        match self {
            Self::BudgetSpent(scope) => scope.name(),
            Self::ManyMisses => "many-misses",
            Self::Decoy => "decoy",
            Self::BreakGlass => "break-glass",
            Self::ImproperQuestion => "improper-question",
            Self::NoBroker => "no-broker",
            Self::ApproverKeyAlone => "approver-key-alone",
        }
    }
}

impl AlertKind {
    /// The kind in words, for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::BudgetSpent(BudgetScope::UserDay) => "asked beyond a user's budget of the day",
            Self::BudgetSpent(BudgetScope::AgencyMonth) => "asked beyond an agency's budget of the month",
            Self::BudgetSpent(BudgetScope::Project) => "asked beyond the project's budget",
            Self::BudgetSpent(BudgetScope::FrontDoorUserDay) => {
                "front door: beyond a user's budget of the day"
            }
            Self::BudgetSpent(BudgetScope::FrontDoorAgencyDay) => "front door: beyond its budget of the day",
            Self::BudgetSpent(BudgetScope::FrontDoorAgencyMonth) => {
                "front door: beyond its budget of the month"
            }
            Self::BudgetSpent(BudgetScope::MissesUserDay) => "front door: asked on after too many misses",
            Self::ManyMisses => "front door: too many questions that found nobody",
            Self::Decoy => "a decoy was touched",
            Self::BreakGlass => "the glass was broken",
            Self::ImproperQuestion => "a front-door question was found improper",
            Self::NoBroker => "a question that a broker is to answer, and no broker is named: name one",
            Self::ApproverKeyAlone => {
                "an operator alone issued an approver key of this agency, as nobody could decide"
            }
        }
    }
}

/// An alert: one per kind, user and day, with how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// What happened.
    pub kind: AlertKind,
    /// In which project.
    pub project: ProjectId,
    /// By which agency.
    pub agency: AgencyId,
    /// By which user.
    pub actor: Actor,
    /// First time that day.
    pub first: UtcTime,
    /// Last time that day.
    pub last: UtcTime,
    /// How often.
    pub count: u64,
}

/// Writes an alert, or counts it up, and returns once it is on disk.
///
/// # Errors
/// [`BudgetError::Store`], [`BudgetError::Damaged`].
pub fn raise(store: &dyn Store, kind: &AlertKind, asking: &Asking<'_>) -> Result<(), BudgetError> {
    raise_for(store, kind, asking.allowed.project(), (asking.allowed.asker(), asking.actor), asking.at)
}

/// [`raise`] for what is no look-up: by whom, and when.
///
/// # Errors
/// As [`raise`].
pub fn raise_for(
    store: &dyn Store,
    kind: &AlertKind,
    project: &ProjectId,
    (agency, actor): (&AgencyId, &Actor),
    at: UtcTime,
) -> Result<(), BudgetError> {
    retry(store, |batch| stage(|key| store.value(key), batch, kind, project, (agency, actor), at))
}

/// [`raise_for`] within a transaction, what stands being read by `read`.
///
/// # Errors
/// As [`raise`].
pub fn stage(
    read: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
    batch: &mut Batch,
    kind: &AlertKind,
    project: &ProjectId,
    (agency, actor): (&AgencyId, &Actor),
    at: UtcTime,
) -> Result<(), BudgetError> {
    let day = Day::of(at);
    let key = format!("alert/{day}/{project}/{}/{agency}/{}", kind.name(), actor.as_str());
    let old = read(key.as_bytes())?;
    let mut alert = match &old {
        Some(bytes) => serde_json::from_slice(bytes).map_err(|_| BudgetError::Damaged)?,
        None => Alert {
            kind: *kind,
            project: project.clone(),
            agency: agency.clone(),
            actor: actor.clone(),
            first: at,
            last: at,
            count: 0,
        },
    };
    alert.count += 1;
    alert.last = alert.last.max(at);
    let bytes = serde_json::to_vec(&alert).map_err(|_| BudgetError::Damaged)?;
    batch.expect(key.as_str(), old).put(key.as_str(), bytes);
    Ok(())
}

/// Up to `limit` alerts of `day`, or of all days from the oldest on.
///
/// # Errors
/// [`BudgetError::Store`], [`BudgetError::Damaged`].
pub fn alerts(store: &dyn Store, day: Option<Day>, limit: usize) -> Result<Vec<Alert>, BudgetError> {
    let prefix = day.map_or_else(|| "alert/".to_owned(), |day| format!("alert/{day}/"));
    let pairs = store.scan(prefix.as_bytes(), None, limit)?;
    pairs.iter().map(|(_, bytes)| serde_json::from_slice(bytes).map_err(|_| BudgetError::Damaged)).collect()
}

/// Up to `limit` alerts, newest day first.
///
/// # Errors
/// [`BudgetError::Store`], [`BudgetError::Damaged`].
pub fn latest_alerts(store: &dyn Store, limit: usize) -> Result<Vec<Alert>, BudgetError> {
    let (mut found, mut below) = (Vec::new(), b"alert/\xff".to_vec());
    while found.len() < limit {
        let Some((mut key, bytes)) = store.last_at_or_before(b"alert/", &below)? else { break };
        found.push(serde_json::from_slice(&bytes).map_err(|_| BudgetError::Damaged)?);
        // The greatest key below this one: keys are ASCII, so nothing of theirs sorts at or above 0xff.
        if let Some(last) = key.last_mut() {
            *last -= 1;
        }
        key.push(0xff);
        below = key;
    }
    Ok(found)
}

/// Marks a record as a decoy: a child who does not exist, planted in an agency's dataset.
pub fn plant_decoy(batch: &mut Batch, project: &ProjectId, agency: &AgencyId, record: &RecordRef) {
    batch.put(decoy_key(project, agency, record), []);
}

/// Whether a record is a decoy.
///
/// # Errors
/// [`BudgetError::Store`].
pub fn is_decoy(
    store: &dyn Store,
    project: &ProjectId,
    agency: &AgencyId,
    record: &RecordRef,
) -> Result<bool, BudgetError> {
    Ok(store.value(decoy_key(project, agency, record).as_bytes())?.is_some())
}

/// Raises an alert if a question touched a decoy: asked for one, or was answered with one. The answer stays
/// as it is, so that whoever asks notices nothing.
///
/// # Errors
/// [`BudgetError::Store`], [`BudgetError::Damaged`].
pub fn watch_decoys<'r>(
    store: &dyn Store,
    asking: &Asking<'_>,
    touched: impl IntoIterator<Item = (&'r AgencyId, &'r RecordRef)>,
) -> Result<bool, BudgetError> {
    let mut found = false;
    for (agency, record) in touched {
        found |= is_decoy(store, asking.allowed.project(), agency, record)?;
    }
    if found {
        raise(store, &AlertKind::Decoy, asking)?;
    }
    Ok(found)
}

fn decoy_key(project: &ProjectId, agency: &AgencyId, record: &RecordRef) -> String {
    format!("decoy/{project}/{agency}/{record}")
}
