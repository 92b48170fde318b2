//! Twins are looked for more strictly in a run that has some.
//!
//! May see: judged pairs, what was chosen of them, the judge. Must not see: refs, identifiers.
//!
//! A given name that differs somewhat, while all else agrees, is a slip of the pen or a twin. Which of the two is
//! likely depends on the data, and the data say so without a label: where twins are about, records that have their
//! partner have a *second* one beside it that fits but for the given name. Data without such pairs (registers of
//! adults, a sample of strangers) need no stricter bound, and would pay for it with reviews.

use super::candidates::{Candidates, PairEdges};
use super::{Link, RunError};
use crate::linkage::arena::Dataset;
use crate::linkage::decide::Judge;
use crate::linkage::exec::{Control, Exec};
use crate::linkage::groups::RecordAt;
use crate::wire::{Band, Reason};
use std::collections::HashSet;

/// A run has twins when so many links have one pair beside them that may be twins: generated children show one in 37.
const SEEN_ONE_IN: usize = 60;
/// Links read between two looks at the cancel flag.
const CHUNK_LINKS: usize = 4_096;

/// Lowers the matches among `links` (of pairs of datasets, none within one) that may be twins, where the run has some.
pub(super) fn lower(
    datasets: &[Dataset],
    judge: &Judge,
    candidates: &Candidates,
    links: &mut [Link],
    (exec, control): (Exec<'_>, &Control),
) -> Result<(), RunError> {
    if !judge.looks_for_twins() {
        return Ok(());
    }
    let sides =
        |(a, b): (RecordAt, RecordAt)| (&datasets[usize::from(a.agency)], &datasets[usize::from(b.agency)]);
    let may_be = |(a, b): (RecordAt, RecordAt)| {
        let (left, right) = sides((a, b));
        judge.may_be_twins(left, a.record as usize, right, b.record as usize)
    };
    let shows = |(a, b): (RecordAt, RecordAt)| {
        let (left, right) = sides((a, b));
        judge.shows_twins(left, a.record as usize, right, b.record as usize)
    };
    let beside = exec.map(candidates.pairs.len(), |at| {
        control.advance(0)?;
        Ok(beside(&candidates.pairs[at], links).filter(|pair| shows(*pair)).count())
    })?;
    if beside.iter().sum::<usize>() * SEEN_ONE_IN < links.len().max(1) {
        return Ok(());
    }
    let doubted = exec.map(links.len().div_ceil(CHUNK_LINKS), |chunk| {
        control.advance(0)?;
        let chunk = links[chunk * CHUNK_LINKS..].iter().take(CHUNK_LINKS);
        let open = |link: &Link| link.band == Band::Match && !link.reasons.contains(Reason::Confirmed);
        Ok(chunk.map(|link| open(link) && may_be(link.ends())).collect::<Vec<bool>>())
    })?;
    for (link, _) in links.iter_mut().zip(doubted.concat()).filter(|(_, doubted)| *doubted) {
        link.band = Band::Review;
        link.reasons.insert(Reason::PossibleTwins);
    }
    Ok(())
}

/// The judged pairs of two datasets that were not chosen: one of their records has a better partner.
fn beside<'p>(pair: &'p PairEdges, links: &[Link]) -> impl Iterator<Item = (RecordAt, RecordAt)> + 'p {
    let agencies = (pair.agency_a, pair.agency_b);
    let within = agencies.0 == agencies.1;
    let own = links.iter().filter(|link| !within && (link.agency_a, link.agency_b) == agencies);
    let chosen: HashSet<(u32, u32)> = own.map(|link| (link.record_a, link.record_b)).collect();
    let other = pair.edges.iter().filter(move |edge| !within && !chosen.contains(&(edge.a, edge.b)));
    other.map(move |edge| {
        let left = RecordAt { agency: agencies.0, record: edge.a };
        (left, RecordAt { agency: agencies.1, record: edge.b })
    })
}
