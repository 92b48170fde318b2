//! How much may be asked: counters that persist and are consumed *before* anything is computed.
//!
//! May see: store, policy, ledger's words. Must not see: agency, encodings. [`charge`] adds the counters to a
//! batch, so that budget and ledger entry stand or fall in one transaction; [`consume`] is the same alone.
//! Front-door questions that find nobody, or almost somebody, stop their user ([`note_outcome`]). User ids are asserted by the agency and can be invented,
//! so every user's budget stands inside its agency's.

use super::alerts::{AlertKind, raise};
use crate::ledger::Actor;
use crate::service::policy::{AllowedLookup, AskKind, BudgetTerms, Day};
use crate::store::{Batch, LogError, Store, StoreError};
use crate::wire::{ContentDigest, ProjectId, UtcTime};
use serde::{Deserialize, Serialize};

/// Tries against other requests that touch the same counter; each failure means another one went through.
const TRIES_MAX: u32 = 1_000;

/// Whose budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetScope {
    /// One user, one day, own records.
    UserDay,
    /// One agency, one month, own records.
    AgencyMonth,
    /// The project, its whole life.
    Project,
    /// One front-door user, one day.
    FrontDoorUserDay,
    /// One front door, one day.
    FrontDoorAgencyDay,
    /// One front door, one month.
    FrontDoorAgencyMonth,
    /// One front-door user, one day: questions that found nobody or almost somebody.
    MissesUserDay,
}

impl BudgetScope {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::UserDay => "user-day",
            Self::AgencyMonth => "agency-month",
            Self::Project => "project",
            Self::FrontDoorUserDay => "door-user-day",
            Self::FrontDoorAgencyDay => "door-agency-day",
            Self::FrontDoorAgencyMonth => "door-agency-month",
            Self::MissesUserDay => "misses-user-day",
        }
    }
}

/// Why a question is not computed.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// A budget is used up: answer 429 and nothing else.
    #[error("the budget {} of {limit} is used up: it opens again with its next day or month", scope.name())]
    Spent {
        /// Which.
        scope: BudgetScope,
        /// How much it was.
        limit: u32,
    },
    /// The stored counter is no counter.
    #[error("a stored budget counter is damaged: run the store check")]
    Damaged,
    /// The store failed: nothing is answered.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The question could not be written down together with its charge: nothing is answered.
    #[error(transparent)]
    Ledger(#[from] LogError),
}

/// Who asks how much. The permission comes from [`crate::service::policy::decide_lookup`].
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The permission.
    pub allowed: &'a AllowedLookup,
    /// The user, as the agency's desk asserts.
    pub actor: &'a Actor,
    /// When.
    pub at: UtcTime,
    /// Questions at once: 1, or the length of a batch.
    pub count: u32,
}

struct Counter {
    scope: BudgetScope,
    limit: u32,
    key: String,
}

impl Asking<'_> {
    fn counter(&self, scope: BudgetScope, limit: u32) -> Counter {
        use BudgetScope as S;
        let (project, agency, actor) = (self.allowed.project(), self.allowed.asker(), self.actor.as_str());
        let day = Day::of(self.at);
        let (window, whose) = match scope {
            S::UserDay | S::FrontDoorUserDay | S::MissesUserDay => {
                (format!("{day}"), format!("{agency}/{actor}"))
            }
            S::FrontDoorAgencyDay => (format!("{day}"), agency.to_string()),
            S::AgencyMonth | S::FrontDoorAgencyMonth => (day.to_string()[..7].to_owned(), agency.to_string()),
            S::Project => ("all".to_owned(), "-".to_owned()),
        };
        Counter { scope, limit, key: format!("budget/{project}/{window}/{}/{whose}", scope.name()) }
    }

    fn counters(&self, terms: &BudgetTerms) -> Vec<Counter> {
        use BudgetScope as S;
        let scopes: &[(S, u32)] = match self.allowed.kind() {
            AskKind::OwnRecord => &[(S::UserDay, terms.user_day), (S::AgencyMonth, terms.agency_month)],
            AskKind::FrontDoor => &[
                (S::FrontDoorUserDay, terms.front_door_user_day),
                (S::FrontDoorAgencyDay, terms.front_door_agency_day),
                (S::FrontDoorAgencyMonth, terms.front_door_agency_month),
            ],
        };
        let whole = (S::Project, terms.project);
        scopes.iter().chain([&whole]).map(|(scope, limit)| self.counter(*scope, *limit)).collect()
    }
}

/// Adds the counters of a question to `batch`: apply it (with the ledger entry in it), flush, then compute.
/// On [`StoreError::Conflict`] build the batch anew. `value` reads the counters: from the store, or from what others
/// have gathered to be written with this.
///
/// # Errors
/// [`BudgetError::Spent`] if any budget does not cover it; `batch` is unusable then.
pub fn charge(
    value: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
    terms: &BudgetTerms,
    asking: &Asking<'_>,
    batch: &mut Batch,
) -> Result<(), BudgetError> {
    if asking.allowed.kind() == AskKind::FrontDoor {
        let misses = asking.counter(BudgetScope::MissesUserDay, terms.misses_user_day);
        let (_, found) = read(&value, &misses.key)?;
        if found >= u64::from(misses.limit) {
            return Err(BudgetError::Spent { scope: misses.scope, limit: misses.limit });
        }
    }
    for Counter { scope, limit, key } in asking.counters(terms) {
        let (old, spent) = read(&value, &key)?;
        let after = spent.saturating_add(u64::from(asking.count));
        if after > u64::from(limit) {
            return Err(BudgetError::Spent { scope, limit });
        }
        batch.expect(key.as_str(), old).put(key.as_str(), after.to_le_bytes());
    }
    Ok(())
}

/// Consumes the budgets of a question and returns once that is on disk; a refusal leaves an alert.
///
/// # Errors
/// As [`charge`].
pub fn consume(store: &dyn Store, terms: &BudgetTerms, asking: &Asking<'_>) -> Result<(), BudgetError> {
    let result = retry(store, |batch| charge(|key| store.value(key), terms, asking, batch));
    if let Err(BudgetError::Spent { scope, .. }) = &result {
        raise(store, &AlertKind::BudgetSpent(*scope), asking)?;
    }
    result
}

/// How a front-door question ended, as only the centre knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody was found.
    Found,
    /// The best candidate stood just below the review band: what guessing looks like.
    NearMiss,
    /// Nobody.
    Nobody,
}

/// Counts a front-door question that did not find anybody; at the limit the user is stopped for the day and
/// an alert stands. Call it after computing and before answering. True if that was the last one.
///
/// # Errors
/// [`BudgetError::Store`], [`BudgetError::Damaged`].
pub fn note_outcome(
    store: &dyn Store,
    terms: &BudgetTerms,
    asking: &Asking<'_>,
    outcome: Outcome,
) -> Result<bool, BudgetError> {
    if asking.allowed.kind() == AskKind::OwnRecord || outcome == Outcome::Found {
        return Ok(false);
    }
    // A near miss says more about a guesser than an honest blank does.
    let weight = if outcome == Outcome::NearMiss { 2 } else { 1 };
    let misses = asking.counter(BudgetScope::MissesUserDay, terms.misses_user_day);
    let mut after = 0;
    retry(store, |batch| {
        let (old, before) = read(|key| store.value(key), &misses.key)?;
        after = before.saturating_add(weight);
        batch.expect(misses.key.as_str(), old).put(misses.key.as_str(), after.to_le_bytes());
        Ok(())
    })?;
    let stopped = after >= u64::from(misses.limit);
    if stopped {
        raise(store, &AlertKind::ManyMisses, asking)?;
    }
    Ok(stopped)
}

/// Whether a second person looks at this front-door question: one in `every`, by a secret of the centre, so
/// that nobody can tell beforehand. `request` is the digest that stands in the ledger.
#[must_use]
pub fn second_look_due(secret: &zeroize::Zeroizing<[u8; 32]>, request: &ContentDigest, every: u32) -> bool {
    let hash = blake3::keyed_hash(secret, request.as_bytes());
    let draw = hash.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    every > 0 && draw.is_multiple_of(u64::from(every))
}

/// Removes up to `limit` counters of days and months before `today`; returns how many.
///
/// # Errors
/// [`BudgetError::Store`].
pub fn sweep(store: &dyn Store, project: &ProjectId, today: Day, limit: usize) -> Result<u64, BudgetError> {
    let prefix = format!("budget/{project}/");
    let (today, mut batch, mut removed) = (today.to_string(), Batch::new(), 0);
    for (key, _) in store.scan(prefix.as_bytes(), None, limit)? {
        let window = key.get(prefix.len()..).and_then(|rest| rest.split(|b| *b == b'/').next());
        // "2026-02-28" and "2026-02" stand before "2026-03-01", and "2026-03" begins it; "all" stands after.
        let old =
            window.is_some_and(|window| window < today.as_bytes() && !today.as_bytes().starts_with(window));
        if old {
            batch.remove(key);
            removed += 1;
        }
    }
    store.apply(&batch)?;
    Ok(removed)
}

fn read(
    value: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
    key: &str,
) -> Result<(Option<Vec<u8>>, u64), BudgetError> {
    let old = value(key.as_bytes())?;
    let count = match &old {
        None => 0,
        Some(bytes) => u64::from_le_bytes(bytes.as_slice().try_into().map_err(|_| BudgetError::Damaged)?),
    };
    Ok((old, count))
}

pub(super) fn retry(
    store: &dyn Store,
    mut fill: impl FnMut(&mut Batch) -> Result<(), BudgetError>,
) -> Result<(), BudgetError> {
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        fill(&mut batch)?;
        match store.apply(&batch) {
            Err(StoreError::Conflict) if tries < TRIES_MAX => tries += 1,
            other => break other?,
        }
    }
    Ok(store.flush()?)
}

#[cfg(test)]
mod tests {
    use super::super::alerts::{alerts, latest_alerts, plant_decoy, watch_decoys};
    use super::*;
    use crate::service::policy::{Agreement, LookupAsk, decide_lookup};
    use crate::store::{Fault, MemoryStore};
    use crate::wire::RecordRef;

    fn agreement() -> Agreement {
        toml::from_str(include_str!("../../testdata/agreements/mash.toml")).unwrap()
    }
    fn allowed(kind: AskKind) -> AllowedLookup {
        let ask = LookupAsk {
            asker: &"council".parse().unwrap(),
            kind,
            purpose: Some(&"s47-enquiry".parse().unwrap()),
            case: Some(&"C-1".parse().unwrap()),
            lawful_basis: Some(&"public-task".parse().unwrap()),
            detriment_considered: Some(true),
        };
        decide_lookup(&agreement(), &ask, "2026-06-01".parse().unwrap()).unwrap()
    }
    fn at(hours: u32) -> UtcTime {
        "2026-06-01T00:00:00Z".parse::<UtcTime>().unwrap().plus_hours(hours)
    }
    fn actor(n: usize) -> Actor {
        format!("bot{n}").parse().unwrap()
    }

    /// A credential of the front door and 1,000 guessed children, tried in every way a bot can think of.
    #[test]
    fn a_bot_with_1000_guesses_is_cut_off_before_50_and_an_alert_stands() {
        let (terms, door) = (agreement().terms().budgets, allowed(AskKind::FrontDoor));
        for (users, near) in [(1, false), (1, true), (1_000, false), (1_000, true), (7, false)] {
            let mut store = MemoryStore::new();
            let mut answered = 0;
            for guess in 0..1_000usize {
                let actor = actor(guess % users);
                let asking = Asking { allowed: &door, actor: &actor, at: at(1), count: 1 };
                if consume(&store, &terms, &asking).is_ok() {
                    answered += 1;
                    let outcome = if near { Outcome::NearMiss } else { Outcome::Nobody };
                    note_outcome(&store, &terms, &asking, outcome).unwrap();
                }
                if guess % 100 == 99 {
                    store = store.after_crash(0);
                }
            }
            assert!(answered < 50, "{answered} answers with {users} users");
            assert!(!alerts(&store, None, 10).unwrap().is_empty());
        }
    }

    #[test]
    fn a_patient_bot_meets_the_months_budget() {
        let (mut terms, door) = (agreement().terms().budgets, allowed(AskKind::FrontDoor));
        terms.front_door_agency_month = 45;
        let (store, mut answered) = (MemoryStore::new(), 0);
        for guess in 0..1_000u32 {
            let actor = actor(guess as usize);
            let asking = Asking { allowed: &door, actor: &actor, at: at(guess * 29 * 24 / 1_000), count: 1 };
            answered += u32::from(consume(&store, &terms, &asking).is_ok());
        }
        assert_eq!(answered, 45);
    }

    #[test]
    fn budgets_survive_a_crash_and_open_again_with_their_window() {
        let (terms, own) = (agreement().terms().budgets, allowed(AskKind::OwnRecord));
        let (mut store, user) = (MemoryStore::new(), actor(1));
        let ask = |store: &MemoryStore, hours, count| {
            consume(store, &terms, &Asking { allowed: &own, actor: &user, at: at(hours), count })
        };
        ask(&store, 0, 39).unwrap();
        store = store.after_crash(0);
        assert!(matches!(
            ask(&store, 1, 2),
            Err(BudgetError::Spent { scope: BudgetScope::UserDay, limit: 40 })
        ));
        ask(&store, 23, 1).unwrap();
        assert!(ask(&store, 23, 1).is_err());
        ask(&store, 24, 40).unwrap();
        let newest: Vec<_> = latest_alerts(&store, 9).unwrap().into_iter().rev().collect();
        assert_eq!(newest, alerts(&store, None, 9).unwrap());
        let first = &alerts(&store, Some("2026-06-01".parse().unwrap()), 9).unwrap()[0];
        assert_eq!((first.count, first.kind), (2, AlertKind::BudgetSpent(BudgetScope::UserDay)));
        assert!(alerts(&store, Some("2026-06-02".parse().unwrap()), 9).unwrap().is_empty());
    }

    #[test]
    fn parallel_questions_never_overspend() {
        let (terms, own) = (agreement().terms().budgets, allowed(AskKind::OwnRecord));
        let (store, user) = (MemoryStore::new(), actor(1));
        let answered: u32 = std::thread::scope(|scope| {
            let ask = || {
                let asking = Asking { allowed: &own, actor: &user, at: at(0), count: 1 };
                (0..20).map(|_| u32::from(consume(&store, &terms, &asking).is_ok())).sum::<u32>()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(answered, 40);
    }

    #[test]
    fn when_the_store_fails_nothing_is_allowed() {
        let (terms, own) = (agreement().terms().budgets, allowed(AskKind::OwnRecord));
        let (store, user) = (MemoryStore::new(), actor(1));
        let asking = Asking { allowed: &own, actor: &user, at: at(0), count: 1 };
        for fault in [Fault::WriteAfter(0), Fault::WriteAfter(1), Fault::ReadAfter(0)] {
            store.fail(fault);
            assert!(matches!(consume(&store, &terms, &asking), Err(BudgetError::Store(_))), "{fault:?}");
        }
        store.fail(Fault::None);
        let mut batch = Batch::new();
        batch.put("budget/mash/2026-06-01/user-day/council/bot1", [1, 2, 3]);
        store.apply(&batch).unwrap();
        assert!(matches!(consume(&store, &terms, &asking), Err(BudgetError::Damaged)));
    }

    #[test]
    fn a_touched_decoy_raises_one_alert() {
        let own = allowed(AskKind::OwnRecord);
        let (store, user) = (MemoryStore::new(), actor(1));
        let (project, health) = ("mash".parse().unwrap(), "health".parse().unwrap());
        let (decoy, child) = (RecordRef::from_bytes([1; 16]), RecordRef::from_bytes([2; 16]));
        let mut batch = Batch::new();
        plant_decoy(&mut batch, &project, &health, &decoy);
        store.apply(&batch).unwrap();
        let asking = Asking { allowed: &own, actor: &user, at: at(0), count: 1 };
        assert!(!watch_decoys(&store, &asking, [(&health, &child)]).unwrap());
        assert!(alerts(&store, None, 9).unwrap().is_empty());
        assert!(watch_decoys(&store, &asking, [(&health, &child), (&health, &decoy)]).unwrap());
        assert_eq!(alerts(&store, None, 9).unwrap()[0].kind, AlertKind::Decoy);
    }

    #[test]
    fn second_looks_are_as_many_as_agreed_and_unforeseeable() {
        let draws = |secret: u8, every| {
            let secret = zeroize::Zeroizing::new([secret; 32]);
            let due = |n: &u32| second_look_due(&secret, &ContentDigest::of(&n.to_le_bytes()), every);
            (0..10_000u32).filter(due).collect::<Vec<_>>()
        };
        let tenth = draws(1, 10);
        assert!((850..1_150).contains(&tenth.len()), "{}", tenth.len());
        assert_ne!(tenth, draws(2, 10));
        assert!(draws(1, 0).is_empty());
        assert_eq!(draws(1, 1).len(), 10_000);
    }

    #[test]
    fn sweeping_takes_only_the_past() {
        let (terms, own) = (agreement().terms().budgets, allowed(AskKind::OwnRecord));
        let (store, user) = (MemoryStore::new(), actor(1));
        for hours in [0, 24, 48] {
            consume(&store, &terms, &Asking { allowed: &own, actor: &user, at: at(hours), count: 40 })
                .unwrap();
        }
        let project = "mash".parse().unwrap();
        assert_eq!(sweep(&store, &project, "2026-06-03".parse().unwrap(), 100).unwrap(), 2);
        let today = Asking { allowed: &own, actor: &user, at: at(48), count: 1 };
        assert!(consume(&store, &terms, &today).is_err());
        assert_eq!(sweep(&store, &project, "2026-07-01".parse().unwrap(), 100).unwrap(), 2);
        assert_eq!(store.scan(b"budget/", None, 9).unwrap().len(), 1, "the project's own counter stays");
    }
}
