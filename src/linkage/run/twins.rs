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
use crate::wire::{Band, Reason};

/// A run has twins when at least one link in so many has a second record beside it.
const SEEN_ONE_IN: usize = 500;
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
    if !judge.looks_for_twins() || !seen(candidates, links) {
        return Ok(());
    }
    let doubted = exec.map(links.len().div_ceil(CHUNK_LINKS), |chunk| {
        control.advance(0)?;
        let chunk = links[chunk * CHUNK_LINKS..].iter().take(CHUNK_LINKS);
        let doubted = chunk.map(|link| {
            let (left, right) =
                (&datasets[usize::from(link.agency_a)], &datasets[usize::from(link.agency_b)]);
            link.band == Band::Match
                && !link.reasons.contains(Reason::Confirmed)
                && judge.may_be_twins(left, link.record_a as usize, right, link.record_b as usize)
        });
        Ok(doubted.collect::<Vec<bool>>())
    })?;
    for (link, _) in links.iter_mut().zip(doubted.concat()).filter(|(_, doubted)| *doubted) {
        link.band = Band::Review;
        link.reasons.insert(Reason::PossibleTwins);
    }
    Ok(())
}

/// Whether pairs that look like twins stand beside links often enough.
fn seen(candidates: &Candidates, links: &[Link]) -> bool {
    let across = |pair: &&PairEdges| pair.agency_a != pair.agency_b;
    let edges = candidates.pairs.iter().filter(across).flat_map(|pair| &pair.edges);
    let all = edges.filter(|edge| edge.verdict.reasons.contains(Reason::PossibleTwins)).count();
    let chosen = links.iter().filter(|link| link.reasons.contains(Reason::PossibleTwins)).count();
    // What was not chosen lost to a better partner of one of its records.
    all.saturating_sub(chosen) * SEEN_ONE_IN >= links.len().max(1)
}
