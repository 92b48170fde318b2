//! Two people decide: one proposes, another approves, in time, once.

use crate::ledger::Actor;
use crate::wire::messages::{Line, Role};
use crate::wire::{AgencyId, ContentDigest, Epoch, KeyId, ProjectId, RecordRef, RunId, UtcTime};
use serde::{Deserialize, Serialize};

/// Hours after which a proposal lapses at the latest.
pub const APPROVAL_HOURS_MAX: u32 = 14 * 24;
const STEPS_MAX: usize = 8;

/// What is to be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Matter {
    /// A wider revision of the agreement takes effect: another agency, another purpose, more than before.
    Revision {
        /// Its number.
        revision: u32,
        /// Digest of its canonical JSON: exactly this text was approved.
        document: ContentDigest,
    },
    /// Encodings move to another life of the linkage key.
    EpochChange {
        /// The new one.
        to: Epoch,
    },
    /// A shielded record may be seen, for a time.
    Unshield {
        /// Whose.
        agency: AgencyId,
        /// Which.
        record: RecordRef,
        /// When the shield returns.
        until: UtcTime,
    },
    /// Aggregates of a run leave the centre.
    Release {
        /// Which run.
        run: RunId,
    },
    /// Another party answers for brokered records.
    Broker {
        /// Which.
        agency: AgencyId,
    },
    /// An agency leaves the project, and nothing of it stays.
    Withdrawal {
        /// Which.
        agency: AgencyId,
    },
    /// The project ends: its encodings cannot be read again.
    Closure,
    /// An agency gets a further key.
    Key {
        /// Which.
        agency: AgencyId,
        /// What the key may do.
        roles: Vec<Role>,
        /// When it stops working.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<UtcTime>,
        /// Who or what holds it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<Line>,
    },
}

impl Matter {
    /// Whether a key of `agency` (none: of the centre) may know of it. That there is an unshielding says that there is a
    /// shield.
    #[must_use]
    pub fn is_known_to(&self, agency: Option<&AgencyId>) -> bool {
        match self {
            Self::Unshield { agency: holder, .. } => agency == Some(holder),
            _ => true,
        }
    }
}

/// Who acts: a person, through a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Of which agency; the centre's operator when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agency: Option<AgencyId>,
    /// The user id.
    pub actor: Actor,
    /// The key used. User ids are asserted by the key's holder, so two people need two keys.
    pub key: KeyId,
}

impl Person {
    fn may_join(&self, proposer: &Self) -> bool {
        self.key != proposer.key && (self.agency != proposer.agency || self.actor != proposer.actor)
    }
}

/// How a decision stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Waits for the second person.
    Proposed,
    /// Two people agree; not yet carried out.
    Approved,
    /// The second person said no.
    Refused,
    /// The proposer took it back.
    Withdrawn,
    /// Nobody decided, or nobody carried it out, in time.
    Lapsed,
    /// Carried out.
    Used,
}

/// One line of a decision's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it became.
    pub state: ApprovalState,
    /// When.
    pub at: UtcTime,
    /// Through whom; the clock when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Line>,
}

/// Why a step is not taken. Nothing changed then, except that a lapsed decision says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// The same person, or the same key.
    #[error("a second person with a key of their own must decide this")]
    SamePerson,
    /// Two of the centre: it issues its own keys, so that they may be one person.
    #[error("one of the two must be of an agency: the centre issues its own keys")]
    Centre,
    /// Only the proposer may.
    #[error("only who proposed it may withdraw it")]
    NotProposer,
    /// The matter is another agency's.
    #[error(
        "an unshielding is decided by two people of the agency that holds the record, a withdrawal by the agency \
         that leaves and a key by the agency that gets it, with its own second person or the centre's"
    )]
    NotHolder,
    /// Not open any more, or not yet approved.
    #[error("this cannot be done with a decision that is {0:?}")]
    State(ApprovalState),
    /// A proposal must lapse within the bound, and an unshielding must end after it takes effect.
    #[error(
        "a proposal lapses after 1 to {APPROVAL_HOURS_MAX} hours, and an unshielding must end later than that"
    )]
    Time,
    /// What is stored is no history this machine could have written.
    #[error("the stored decision contradicts its own history: run the store check")]
    History,
}

/// Proof that two people decided; the operation demands it. Only [`Approval::take`] makes one.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the operation demands this proof"]
pub struct Grant {
    project: ProjectId,
    matter: Matter,
}

impl Grant {
    /// In which project.
    #[must_use]
    pub const fn project(&self) -> &ProjectId {
        &self.project
    }
    /// What was decided.
    #[must_use]
    pub const fn matter(&self) -> &Matter {
        &self.matter
    }
}

/// A decision of two people, with its whole history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    project: ProjectId,
    matter: Matter,
    lapses: UtcTime,
    steps: Vec<Step>,
}

impl Approval {
    /// Proposes `matter`; it lapses after `hours`.
    ///
    /// # Errors
    /// [`ApprovalError::Time`], [`ApprovalError::NotHolder`].
    pub fn propose(
        project: ProjectId,
        matter: Matter,
        by: Person,
        reason: Line,
        now: UtcTime,
        hours: u32,
    ) -> Result<Self, ApprovalError> {
        let lapses = now.plus_hours(hours);
        if !(1..=APPROVAL_HOURS_MAX).contains(&hours) || lapses <= now {
            return Err(ApprovalError::Time);
        }
        if let Matter::Unshield { until, .. } = &matter
            && *until <= lapses
        {
            return Err(ApprovalError::Time);
        }
        holder(&matter, &by)?;
        if matches!(matter, Matter::Withdrawal { .. }) && by.agency.is_none() {
            return Err(ApprovalError::NotHolder);
        }
        let first = Step { state: ApprovalState::Proposed, at: now, by: Some(by), reason: Some(reason) };
        Ok(Self { project, matter, lapses, steps: vec![first] })
    }

    /// In which project.
    #[must_use]
    pub const fn project(&self) -> &ProjectId {
        &self.project
    }
    /// What is decided.
    #[must_use]
    pub const fn matter(&self) -> &Matter {
        &self.matter
    }
    /// When it lapses unless carried out.
    #[must_use]
    pub const fn lapses(&self) -> UtcTime {
        self.lapses
    }
    /// All that happened, oldest first.
    #[must_use]
    pub fn history(&self) -> &[Step] {
        &self.steps
    }

    /// How it stands at `now`.
    ///
    /// # Errors
    /// [`ApprovalError::History`] if the stored steps are none this machine writes.
    pub fn state(&self, now: UtcTime) -> Result<ApprovalState, ApprovalError> {
        use ApprovalState::{Approved, Lapsed, Proposed, Refused, Used, Withdrawn};
        let (first, rest) = self.steps.split_first().ok_or(ApprovalError::History)?;
        let proposer = first.by.as_ref().ok_or(ApprovalError::History)?;
        let mut state = first.state;
        if state != Proposed || self.steps.len() > STEPS_MAX {
            return Err(ApprovalError::History);
        }
        for step in rest {
            let second = step.by.as_ref().is_some_and(|by| by.may_join(proposer));
            let right = match (state, step.state) {
                (Proposed, Approved | Refused) => second && step.at < self.lapses,
                (Proposed | Approved, Withdrawn) => step.by.as_ref() == Some(proposer),
                (Proposed | Approved, Lapsed) => step.at >= self.lapses,
                (Approved, Used) => step.at < self.lapses,
                _ => false,
            };
            if !right {
                return Err(ApprovalError::History);
            }
            state = step.state;
        }
        Ok(if matches!(state, Proposed | Approved) && now >= self.lapses { Lapsed } else { state })
    }

    /// The second person agrees.
    ///
    /// # Errors
    /// [`ApprovalError::State`], [`ApprovalError::SamePerson`], [`ApprovalError::Centre`], [`ApprovalError::NotHolder`].
    pub fn approve(&mut self, by: Person, reason: Line, now: UtcTime) -> Result<(), ApprovalError> {
        self.second(by, reason, now, ApprovalState::Approved)
    }

    /// The second person says no.
    ///
    /// # Errors
    /// As [`Approval::approve`].
    pub fn refuse(&mut self, by: Person, reason: Line, now: UtcTime) -> Result<(), ApprovalError> {
        self.second(by, reason, now, ApprovalState::Refused)
    }

    /// The proposer takes it back, approved or not, as long as it was not carried out.
    ///
    /// # Errors
    /// [`ApprovalError::State`], [`ApprovalError::NotProposer`].
    pub fn withdraw(&mut self, by: Person, reason: Line, now: UtcTime) -> Result<(), ApprovalError> {
        self.step_from(now, &[ApprovalState::Proposed, ApprovalState::Approved])?;
        if self.proposer() != Some(&by) {
            return Err(ApprovalError::NotProposer);
        }
        self.push(ApprovalState::Withdrawn, now, Some(by), Some(reason));
        Ok(())
    }

    /// Carries it out, once: store the decision and the operation's effect in one transaction.
    ///
    /// # Errors
    /// [`ApprovalError::State`] unless approved and in time.
    pub fn take(&mut self, by: Person, now: UtcTime) -> Result<Grant, ApprovalError> {
        self.step_from(now, &[ApprovalState::Approved])?;
        self.push(ApprovalState::Used, now, Some(by), None);
        Ok(Grant { project: self.project.clone(), matter: self.matter.clone() })
    }

    /// Writes down that time ran out. True if it did.
    ///
    /// # Errors
    /// [`ApprovalError::History`].
    pub fn lapse(&mut self, now: UtcTime) -> Result<bool, ApprovalError> {
        let written = self.steps.last().is_some_and(|step| step.state == ApprovalState::Lapsed);
        if self.state(now)? != ApprovalState::Lapsed || written {
            return Ok(false);
        }
        self.push(ApprovalState::Lapsed, now, None, None);
        Ok(true)
    }

    fn second(
        &mut self,
        by: Person,
        reason: Line,
        now: UtcTime,
        to: ApprovalState,
    ) -> Result<(), ApprovalError> {
        self.step_from(now, &[ApprovalState::Proposed])?;
        if !self.proposer().is_some_and(|proposer| by.may_join(proposer)) {
            return Err(ApprovalError::SamePerson);
        }
        if by.agency.is_none() && self.proposer().is_some_and(|proposer| proposer.agency.is_none()) {
            return Err(ApprovalError::Centre);
        }
        holder(&self.matter, &by)?;
        self.push(to, now, Some(by), Some(reason));
        Ok(())
    }

    fn step_from(&self, now: UtcTime, allowed: &[ApprovalState]) -> Result<(), ApprovalError> {
        let state = self.state(now)?;
        if allowed.contains(&state) { Ok(()) } else { Err(ApprovalError::State(state)) }
    }
    /// Who proposed it; none in a history that this machine did not write.
    #[must_use]
    pub fn proposer(&self) -> Option<&Person> {
        self.steps.first().and_then(|step| step.by.as_ref())
    }
    fn push(&mut self, state: ApprovalState, at: UtcTime, by: Option<Person>, reason: Option<Line>) {
        self.steps.push(Step { state, at, by, reason });
    }
}

fn holder(matter: &Matter, by: &Person) -> Result<(), ApprovalError> {
    match matter {
        Matter::Unshield { agency, .. } if by.agency.as_ref() != Some(agency) => {
            Err(ApprovalError::NotHolder)
        }
        Matter::Withdrawal { agency } if by.agency.as_ref().is_some_and(|own| own != agency) => {
            Err(ApprovalError::NotHolder)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(agency: &str, actor: &str, key: &str) -> Person {
        let agency = (!agency.is_empty()).then(|| agency.parse().unwrap());
        Person { agency, actor: actor.parse().unwrap(), key: key.parse().unwrap() }
    }
    fn at(hours: u32) -> UtcTime {
        "2026-03-01T00:00:00Z".parse::<UtcTime>().unwrap().plus_hours(hours)
    }
    fn why() -> Line {
        "agreed at the board".parse().unwrap()
    }
    fn matter() -> Matter {
        Matter::Broker { agency: "school".parse().unwrap() }
    }
    fn proposed() -> Approval {
        let by = person("", "anna", "k1");
        Approval::propose("mash".parse().unwrap(), matter(), by, why(), at(0), 48).unwrap()
    }

    #[test]
    fn two_people_decide_once() {
        let mut approval = proposed();
        assert_eq!(
            approval.take(person("", "anna", "k1"), at(1)),
            Err(ApprovalError::State(ApprovalState::Proposed))
        );
        approval.approve(person("school", "bela", "k2"), why(), at(2)).unwrap();
        let grant = approval.take(person("", "anna", "k1"), at(3)).unwrap();
        assert_eq!(grant.matter(), &matter());
        assert_eq!(
            approval.take(person("", "anna", "k1"), at(4)),
            Err(ApprovalError::State(ApprovalState::Used))
        );
        assert_eq!(approval.history().len(), 3);
        let json = serde_json::to_string(&approval).unwrap();
        let read: Approval = serde_json::from_str(&json).unwrap();
        assert_eq!(read.state(at(999)), Ok(ApprovalState::Used));
    }

    #[test]
    fn the_proposer_cannot_be_the_second_person() {
        let mut approval = proposed();
        for same in [person("", "anna", "k1"), person("", "anna", "k2"), person("", "bela", "k1")] {
            assert_eq!(approval.approve(same, why(), at(1)), Err(ApprovalError::SamePerson));
        }
        let colleague = approval.approve(person("", "bela", "k2"), why(), at(1));
        assert_eq!(colleague, Err(ApprovalError::Centre), "who issues keys may hold both");
        assert_eq!(approval.history().len(), 1);
        approval.refuse(person("school", "bela", "k2"), why(), at(1)).unwrap();
        assert!(approval.approve(person("", "cara", "k3"), why(), at(1)).is_err());
    }

    #[test]
    fn time_runs_out_on_proposals_and_on_unused_approvals() {
        let mut late = proposed();
        let lapsed = Err(ApprovalError::State(ApprovalState::Lapsed));
        assert_eq!(late.approve(person("school", "bela", "k2"), why(), at(48)), lapsed);
        let mut unused = proposed();
        unused.approve(person("school", "bela", "k2"), why(), at(47)).unwrap();
        assert!(unused.take(person("", "anna", "k1"), at(48)).is_err());
        assert!(unused.lapse(at(48)).unwrap());
        assert!(!unused.lapse(at(49)).unwrap());
        assert_eq!(unused.state(at(0)), Ok(ApprovalState::Lapsed));
        for hours in [0, APPROVAL_HOURS_MAX + 1] {
            let by = person("", "anna", "k1");
            assert!(Approval::propose("m".parse().unwrap(), matter(), by, why(), at(0), hours).is_err());
        }
    }

    #[test]
    fn only_the_proposer_withdraws_and_only_before_it_is_used() {
        let mut approval = proposed();
        assert!(approval.withdraw(person("", "bela", "k2"), why(), at(1)).is_err());
        approval.approve(person("school", "bela", "k2"), why(), at(1)).unwrap();
        approval.withdraw(person("", "anna", "k1"), why(), at(2)).unwrap();
        assert!(approval.take(person("", "anna", "k1"), at(3)).is_err());
    }

    #[test]
    fn an_agency_leaves_by_its_own_word_and_a_second_persons() {
        let matter = || Matter::Withdrawal { agency: "health".parse().unwrap() };
        let propose = |by| Approval::propose("mash".parse().unwrap(), matter(), by, why(), at(0), 24);
        for other in [person("police", "p", "k1"), person("", "o", "k1")] {
            assert_eq!(propose(other), Err(ApprovalError::NotHolder));
        }
        let mut approval = propose(person("health", "p", "k1")).unwrap();
        assert_eq!(
            approval.approve(person("police", "q", "k2"), why(), at(1)),
            Err(ApprovalError::NotHolder)
        );
        let mut small = approval.clone();
        small.approve(person("", "o", "k3"), why(), at(1)).unwrap();
        approval.approve(person("health", "q", "k2"), why(), at(1)).unwrap();
        assert!(matter().is_known_to(None));
    }

    #[test]
    fn unshielding_is_the_holders_own_and_ends() {
        let matter = |until| Matter::Unshield {
            agency: "health".parse().unwrap(),
            record: RecordRef::from_bytes([1; 16]),
            until,
        };
        let propose =
            |by, until| Approval::propose("mash".parse().unwrap(), matter(until), by, why(), at(0), 24);
        assert_eq!(propose(person("police", "p", "k1"), at(100)), Err(ApprovalError::NotHolder));
        assert_eq!(propose(person("health", "p", "k1"), at(24)), Err(ApprovalError::Time));
        let mut approval = propose(person("health", "p", "k1"), at(100)).unwrap();
        let outsider = approval.approve(person("", "op", "k2"), why(), at(1));
        assert_eq!(outsider, Err(ApprovalError::NotHolder));
        approval.approve(person("health", "q", "k2"), why(), at(1)).unwrap();
    }

    #[test]
    fn a_forged_history_is_not_believed() {
        let mut approval = proposed();
        approval.approve(person("school", "bela", "k2"), why(), at(1)).unwrap();
        let json = serde_json::to_value(&approval).unwrap();
        let forge = |change: fn(&mut serde_json::Value)| {
            let mut other = json.clone();
            change(&mut other);
            serde_json::from_value::<Approval>(other).unwrap().state(at(2))
        };
        assert_eq!(forge(|_| ()), Ok(ApprovalState::Approved));
        let bad = Err(ApprovalError::History);
        assert_eq!(forge(|v| v["steps"][1]["by"] = v["steps"][0]["by"].clone()), bad);
        assert_eq!(forge(|v| v["steps"][0]["state"] = "approved".into()), bad);
        assert_eq!(forge(|v| drop(v["steps"].as_array_mut().unwrap().remove(0))), bad);
        assert_eq!(forge(|v| v["steps"][1]["at"] = "2026-04-01T00:00:00Z".into()), bad);
        assert_eq!(forge(|v| v["steps"] = serde_json::json!([])), bad);
    }
}
