//! Pairs that follow from a third record: a is matched to z and z to b, so a and b are one child.
//!
//! May see: settled links and groups. Must not see: encodings.
//!
//! Two records of a group may never have met: no salt of theirs agrees, or the evidence stops at a review.
//! A direct match of each with one record of a third agency speaks for them. Groups hold at most one
//! record of an agency and no pair that people keep apart, so what follows is one-to-one and obeys them.

use super::{Known, Link, Run};
use crate::linkage::groups::RecordAt;
use crate::wire::{Band, Reason, Reasons, Score};
use std::collections::BTreeSet;

/// Reasons that only a person may overrule.
const FOR_PEOPLE: [Reason; 5] = [
    Reason::ExactConflict,
    Reason::ExactAlone,
    Reason::PlaceholderName,
    Reason::PossibleTwins,
    Reason::GroupConflict,
];

/// Where the link of a record with another agency stands.
struct Directory(Vec<(u64, u16, u32)>);

impl Directory {
    fn of(links: &[Link]) -> Self {
        let mut entries = Vec::with_capacity(2 * links.len());
        for (at, link) in (0u32..).zip(links) {
            let (left, right) = link.ends();
            entries.push((key(left), right.agency, at));
            entries.push((key(right), left.agency, at));
        }
        entries.sort_unstable();
        Self(entries)
    }

    fn find(&self, record: RecordAt, agency: u16) -> Option<usize> {
        let wanted = (key(record), agency);
        let at = self.0.partition_point(|(record, agency, _)| (*record, *agency) < wanted);
        let (record, agency, position) = self.0.get(at)?;
        ((*record, *agency) == wanted).then_some(*position as usize)
    }
}

fn key(at: RecordAt) -> u64 {
    u64::from(at.agency) << 32 | u64::from(at.record)
}

/// Adds the matches that follow, raises reviews to what follows and drops reviews that contradict it.
/// New links stand at the end, `first` deciding which of two agencies stands first in a link; says whether there are any.
/// Agencies that may not be linked are not linked through a third either.
pub(super) fn add(run: &mut Run, known: &Known, first: impl Fn(u16, u16) -> bool) -> bool {
    let directory = Directory::of(&run.links);
    let mut found = Found { added: Vec::new(), raised: Vec::new(), dropped: BTreeSet::new() };
    for members in run.groups.iter().filter(|members| members.len() > 2) {
        for (at, left) in members.iter().enumerate() {
            for right in members[at + 1..].iter().filter(|right| known.may_link(left.agency, right.agency)) {
                found.look(&run.links, &directory, members, (*left, *right), &first);
            }
        }
    }
    for at in &found.raised {
        let link = &mut run.links[*at];
        link.band = Band::Match;
        link.reasons.insert(Reason::ThroughThird);
    }
    let mut at = 0..;
    run.links.retain(|_| at.next().is_none_or(|at| !found.dropped.contains(&at)));
    let any = !found.added.is_empty();
    run.links.append(&mut found.added);
    any
}

struct Found {
    added: Vec<Link>,
    raised: Vec<usize>,
    dropped: BTreeSet<usize>,
}

impl Found {
    fn look(
        &mut self,
        links: &[Link],
        directory: &Directory,
        members: &[RecordAt],
        (left, right): (RecordAt, RecordAt),
        first: &impl Fn(u16, u16) -> bool,
    ) {
        let own = [directory.find(left, right.agency), directory.find(right, left.agency)];
        if let [Some(one), Some(other)] = own
            && one == other
        {
            let raise = links[one].band == Band::Review
                && !FOR_PEOPLE.iter().any(|reason| links[one].reasons.contains(*reason));
            if raise && through(links, directory, members, left, right).is_some() {
                self.raised.push(one);
            }
            return;
        }
        // A match elsewhere, or one that was lowered because groups would meet, stands against it.
        let against =
            |at: &usize| links[*at].band == Band::Match || links[*at].reasons.contains(Reason::GroupConflict);
        if own.iter().flatten().any(against) {
            return;
        }
        let Some(score) = through(links, directory, members, left, right) else { return };
        self.dropped.extend(own.iter().flatten());
        let (a, b) = if first(left.agency, right.agency) { (left, right) } else { (right, left) };
        let mut reasons = Reasons::NONE;
        reasons.insert(Reason::ThroughThird);
        self.added.push(Link {
            agency_a: a.agency,
            record_a: a.record,
            agency_b: b.agency,
            record_b: b.record,
            score,
            band: Band::Match,
            reasons,
        });
    }
}

/// The weaker score of the two matches with the third record that speaks best for a pair.
fn through(
    links: &[Link],
    directory: &Directory,
    members: &[RecordAt],
    left: RecordAt,
    right: RecordAt,
) -> Option<Score> {
    let direct = |one: RecordAt, other: RecordAt| {
        let link = &links[directory.find(one, other.agency)?];
        let is_it = link.ends() == (one, other) || link.ends() == (other, one);
        (is_it && link.band == Band::Match).then_some(link.score)
    };
    let thirds = members.iter().filter(|third| **third != left && **third != right);
    thirds.filter_map(|third| Some(direct(left, *third)?.min(direct(*third, right)?))).max()
}
