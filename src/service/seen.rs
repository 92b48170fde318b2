//! What a look-up sees: the links of one record in the latest run, as far as the agreement lets the asker know.
//!
//! May see: store, policy, lookups. Must not see: agency. An answer says "no match found" only of a record that a run has
//! compared with every party; never a score, never another agency's ref.

use super::alerts::{self, AlertKind};
use super::answers::parties_by_id;
use super::error::ApiError;
use super::lookups::Asked;
use super::policy::AnswerLevel;
use crate::store::{AgencyRecord, LinkRecord, ProjectRecord, RunRecord, Vault};
use crate::wire::messages::{Answer, AnswerMatch, KnowingAgency, LookupAnswer, PartyMessage, RunState};
use crate::wire::{AgencyId, Band, RecordRef, RunId, UtcTime};
use std::collections::BTreeMap;

/// What one record's look-up found, as far as the agreement lets the asker know.
#[derive(Default)]
pub(super) struct Seen {
    /// Whether the record is among the asker's current ones; of somebody not on the own system: always.
    pub(super) known: bool,
    pub(super) best: Option<Band>,
    /// Whether no run has compared the record as it stands now, or not with every party that has sent.
    pub(super) unlinked: bool,
    /// Whether somebody stands behind the broker, and no broker is named.
    pub(super) unnamed: bool,
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
            Some(Band::None) | None if self.unnamed => Answer::AskOperator,
            Some(Band::None) | None if self.unlinked => Answer::NotLinkedYet,
            Some(Band::None) | None => Answer::NoMatchFound,
        }
    }
    /// The answer about one record.
    pub(super) fn told_in(self, parties: Vec<PartyMessage>, run: Option<RunId>, at: UtcTime) -> LookupAnswer {
        let (answer, unnamed) = (self.answer(), self.unnamed);
        LookupAnswer { answer, unnamed, matches: self.matches, parties, run, at }
    }
    /// The class of the answer that stands in the ledger.
    pub(super) fn class(&self) -> &'static str {
        match self.answer() {
            _ if !self.known => "unknown_record",
            Answer::Yes => "match",
            Answer::Possibly => "review",
            Answer::AskOperator => "ask_operator",
            Answer::NotLinkedYet => "not_linked",
            Answer::NoMatchFound => "none",
        }
    }
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
        let inputs = self.run.as_ref().map_or(&[][..], |run| &run.inputs);
        let read = inputs.iter().find(|input| input.agency == *agency).map(|input| &input.dataset);
        let linked = vault.linked_record(&project.id, project.epoch, (agency, record), read)?;
        let mut seen = Seen { known: linked.is_some(), unlinked: linked == Some(false), ..Seen::default() };
        let (true, Some(run)) = (seen.known, &self.run) else { return Ok(seen) };
        // Whoever asks for a decoy of its own is noticed as well.
        if alerts::is_decoy(vault.store(), &project.id, agency, record)? {
            alerts::raise(vault.store(), &AlertKind::Decoy, &asked.asking())?;
        }
        for link in vault.links_of(run, agency, record)? {
            self.add(asked, run, &link, &mut seen)?;
        }
        seen.unlinked |= self.left_out(asked, run)?;
        seen.sort();
        Ok(seen)
    }

    /// Whether a party that may answer has sent its first records after the run began.
    fn left_out(&self, asked: &Asked<'_>, run: &RunRecord) -> Result<bool, ApiError> {
        let project = self.project;
        let mut others = self.parties.keys().filter(|id| {
            asked.allowed.answer_level(id).is_some() && run.inputs.iter().all(|input| input.agency != **id)
        });
        others.try_fold(false, |some, id| {
            Ok(some || self.vault.data_as_of(&project.id, project.epoch, id)?.is_some())
        })
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
        let party = named.and_then(|named| self.parties.get(named));
        if party.is_none() && !link.brokered {
            return Ok(());
        }
        let back = self.vault.links_of(run, holder, &link.other)?;
        let from_here = |back: &LinkRecord| {
            let input = run.inputs.get(usize::from(back.other_input));
            back.other == link.own && input.is_some_and(|input| input.agency == *agency)
        };
        let back = back.iter().find(|back| from_here(back));
        seen.told.push(Told {
            agency: holder.clone(),
            record: link.other,
            band: link.band,
            // Who asks about a brokered record of its own is not named to the holder either.
            level: if back.is_some_and(|back| back.brokered) { AnswerLevel::YesNo } else { level },
            mutual: back.is_some(),
        });
        if level == AnswerLevel::YesNo {
            seen.best = seen.best.max(Some(link.band));
            return Ok(());
        }
        seen.referred = seen.referred.or(link.brokered.then_some(link.own));
        let Some(party) = party else {
            // Put before whoever becomes the broker; until then nobody is named, and nobody is said not to be there.
            seen.unnamed = true;
            return Ok(());
        };
        seen.best = seen.best.max(Some(link.band));
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
        Ok(())
    }
}
