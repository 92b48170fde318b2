//! What depends on other pairs: one-to-one, runner-up, groups.
//!
//! May see: judged pairs and refs (for ties). Must not see: encodings.

use super::candidates::{Candidates, Edge, PairEdges, by_agency};
use super::{Conflict, Known, Link, LinkOptions, Run, RunError, thirds, twins};
use crate::linkage::arena::Dataset;
use crate::linkage::assign::{Candidate, one_to_one};
use crate::linkage::decide::Judge;
use crate::linkage::exec::{Control, Exec};
use crate::linkage::groups::group_apart;
use crate::linkage::join::JoinError;
use crate::wire::{Band, Reason};

/// For each dataset, for each record, its place among the dataset's refs in ascending order.
struct Ranks(Vec<Vec<u32>>);

impl Ranks {
    fn of(datasets: &[Dataset]) -> Self {
        let ranks = datasets.iter().map(|dataset| {
            let mut order: Vec<u32> = (0u32..).take(dataset.len()).collect();
            order.sort_unstable_by_key(|record| (dataset.refs[*record as usize], *record));
            let mut ranks = vec![0u32; order.len()];
            (0u32..).zip(&order).for_each(|(rank, record)| ranks[*record as usize] = rank);
            ranks
        });
        Self(ranks.collect())
    }

    fn rank(&self, agency: u16, record: u32) -> u32 {
        self.0[usize::from(agency)][record as usize]
    }
}

/// One-to-one links of one pair of datasets.
struct Settled {
    links: Vec<Link>,
    components_over_cap: u64,
}

/// Turns judged pairs into a run.
pub(super) fn settle(
    datasets: &[Dataset],
    judge: &Judge,
    candidates: Candidates,
    known: &Known,
    options: &LinkOptions,
    (exec, control): (Exec<'_>, &Control),
) -> Result<Run, RunError> {
    let ranks = Ranks::of(datasets);
    let settled = exec.map(candidates.pairs.len(), |at| {
        let pair = &candidates.pairs[at];
        settle_pair(datasets, judge, (pair, &known.applied(pair)), options, (&ranks, control))
    })?;
    let mut run = Run::empty();
    run.truncation = candidates.truncation;
    for (pair, settled) in candidates.pairs.iter().zip(settled) {
        run.truncation.components_over_cap += settled.components_over_cap;
        let links = if pair.agency_a == pair.agency_b { &mut run.duplicates } else { &mut run.links };
        links.extend(settled.links);
    }
    twins::lower(datasets, judge, &candidates, &mut run.links, (exec, control))?;
    run.candidates = candidates;
    let mut place = vec![0u16; datasets.len()];
    for (at, dataset) in by_agency(datasets).into_iter().enumerate() {
        place[dataset] = super::candidates::number(at);
    }
    control.advance(0)?;
    group_links(datasets, (&ranks, &place), known, &mut run);
    if options.thirds {
        let place = |agency: u16| place[usize::from(agency)];
        control.advance(0)?;
        if thirds::add(&mut run, known, |one, other| place(one) < place(other)) {
            run.links.sort_by_cached_key(|link| {
                let agencies = (place(link.agency_a), place(link.agency_b));
                (agencies, ranks.rank(link.agency_a, link.record_a), ranks.rank(link.agency_b, link.record_b))
            });
        }
    }
    Ok(run)
}

fn settle_pair(
    datasets: &[Dataset],
    judge: &Judge,
    (pair, judged): (&PairEdges, &[Edge]),
    options: &LinkOptions,
    (ranks, control): (&Ranks, &Control),
) -> Result<Settled, JoinError> {
    control.advance(0)?;
    let rank = |edge: &Edge| (ranks.rank(pair.agency_a, edge.a), ranks.rank(pair.agency_b, edge.b));
    let mut edges: Vec<Edge>;
    let mut settled = Settled { links: Vec::new(), components_over_cap: 0 };
    if pair.agency_a != pair.agency_b {
        // Keys are laid out beside the edges first: looking them up inside the sort would miss the caches.
        let mut order: Vec<_> = (0u32..)
            .zip(judged)
            .map(|(at, edge)| (std::cmp::Reverse(edge.verdict.score.key()), rank(edge), at))
            .collect();
        order.sort_unstable();
        control.advance(0)?;
        edges = order.into_iter().map(|(.., at)| judged[at as usize]).collect();
        let floor = judge.review_key();
        let candidates: Vec<Candidate> = edges
            .iter()
            .map(|edge| {
                // Ranks, not rows: among equally good assignments the refs decide, not the upload's order.
                let (a, b) = rank(edge);
                Candidate { a, b, gain: (edge.verdict.score.key() - floor).max(0) + 1 }
            })
            .collect();
        let [records_a, records_b] =
            [pair.agency_a, pair.agency_b].map(|agency| datasets[usize::from(agency)].len());
        control.advance(0)?;
        let assignment = one_to_one(&candidates, records_a, records_b, options.component_records_max);
        settled.components_over_cap = assignment.components_over_cap;
        let mut chosen: Vec<Edge> = assignment.chosen.iter().map(|at| edges[*at as usize]).collect();
        mark_runners_up(&edges, &mut chosen, (records_a, records_b), judge.runner_up_margin());
        edges = chosen;
    } else {
        edges = judged.to_vec();
    }
    edges.sort_by_cached_key(rank);
    settled.links.extend(edges.iter().map(|edge| Link {
        agency_a: pair.agency_a,
        record_a: edge.a,
        agency_b: pair.agency_b,
        record_b: edge.b,
        score: edge.verdict.score,
        band: edge.verdict.band,
        reasons: edge.verdict.reasons,
    }));
    Ok(settled)
}

/// Lowers a match to review where another record fits nearly as well (within `margin`), unless that other
/// record has a link of its own that is better by at least `margin`.
fn mark_runners_up(edges: &[Edge], chosen: &mut [Edge], records: (usize, usize), margin: i64) {
    if margin == 0 {
        return;
    }
    const NONE: u32 = u32::MAX;
    let (mut of_a, mut of_b) = (vec![NONE; records.0], vec![NONE; records.1]);
    for (at, edge) in (0u32..).zip(chosen.iter()) {
        of_a[edge.a as usize] = at;
        of_b[edge.b as usize] = at;
    }
    let key = |edge: &Edge| edge.verdict.score.key();
    let mut ambiguous = vec![false; chosen.len()];
    for edge in edges {
        let links = [of_a[edge.a as usize], of_b[edge.b as usize]];
        if links[0] == links[1] {
            continue;
        }
        for (own, others) in [(links[0], links[1]), (links[1], links[0])] {
            if own == NONE {
                continue;
            }
            let near = key(edge) + margin > key(&chosen[own as usize]);
            let elsewhere = others != NONE && key(&chosen[others as usize]) >= key(edge) + margin;
            ambiguous[own as usize] |= near && !elsewhere;
        }
    }
    for (edge, ambiguous) in chosen.iter_mut().zip(ambiguous) {
        if ambiguous {
            edge.verdict.band = edge.verdict.band.min(Band::Review);
            edge.verdict.reasons.insert(Reason::RunnerUp);
        }
    }
}

/// Groups records along the links of band match, best first, and lowers the links that may not join.
fn group_links(datasets: &[Dataset], (ranks, place): (&Ranks, &[u16]), known: &Known, run: &mut Run) {
    let mut matches: Vec<_> = (0u32..)
        .zip(&run.links)
        .filter(|(_, link)| link.band == Band::Match)
        .map(|(position, link)| {
            let agencies = (place[usize::from(link.agency_a)], place[usize::from(link.agency_b)]);
            let ranks = (ranks.rank(link.agency_a, link.record_a), ranks.rank(link.agency_b, link.record_b));
            (std::cmp::Reverse(link.score.key()), agencies, ranks, position)
        })
        .collect();
    matches.sort_unstable();
    let matches: Vec<u32> = matches.into_iter().map(|(.., position)| position).collect();
    let edges: Vec<_> = matches.iter().map(|position| run.links[*position as usize].ends()).collect();
    let records: Vec<usize> = datasets.iter().map(Dataset::len).collect();
    let links: Vec<_> =
        if known.is_empty() { Vec::new() } else { run.links.iter().map(Link::ends).collect() };
    let grouping = group_apart(&records, &edges, &links, known.kept_apart());
    run.groups = grouping.groups;
    for (position, one, other) in grouping.conflicts {
        let link = &mut run.links[matches[position] as usize];
        link.band = Band::Review;
        link.reasons.insert(Reason::GroupConflict);
        run.conflicts.push(Conflict { link: *link, records: [one, other] });
    }
    if !grouping.apart.is_empty() {
        let mut removed = Vec::new();
        let mut at = 0..;
        run.links.retain(|link| {
            let gone = at.next().is_some_and(|at| grouping.apart.contains(&at));
            if gone {
                removed.push(*link);
            }
            !gone
        });
        run.conflicts.retain(|conflict| !removed.contains(&conflict.link));
    }
}
