//! Frequency alignment: the most frequent value of a segment, or of a tag, is the most frequent name of the list.
//!
//! Source: Kuzu et al. 2011; Christen, Schnell, Vatsalan and Ranbaduge 2017. Values of both sides are ranked by how many
//! children have them and aligned rank by rank; a child is named where at least two of its values point at one row of the
//! register and at no other as often.
//!
//! The attacker knows: every agency's file and a clean register (or the frequencies of names). Cost: sorting.

use super::super::finding::Finding;
use super::super::target::Target;
use super::structure::segment_hash;
use crate::linkage::arena::Dataset;
use rayon::prelude::*;
use std::collections::HashMap;

/// The published test looks at the first hundred values.
const TOP: usize = 100;
/// Values whose holders are looked up; rarer ones have ties everywhere.
const RANKS_MAX: usize = 2_000;
/// Points of agreement a name needs.
const VOTES_MIN: u32 = 2;

/// Values of one segment or tag: holders of each, most frequent first.
type Ranked = Vec<Vec<u32>>;

/// The share of children that rank alignment names.
#[must_use]
pub fn run(target: &Target) -> Finding {
    let mut votes: Vec<HashMap<u32, u32>> = vec![HashMap::new(); target.nodes.len()];
    for (ours, theirs) in columns(target) {
        for (nodes, rows) in ours.iter().zip(&theirs).take(RANKS_MAX) {
            for node in nodes {
                rows.iter().for_each(|row| *votes[*node as usize].entry(*row).or_default() += 1);
            }
        }
    }
    let answer = |votes: &HashMap<u32, u32>| {
        let most = votes.values().copied().max().filter(|most| *most >= VOTES_MIN)?;
        let mut rows = votes.iter().filter(|(_, count)| **count == most).map(|(row, _)| *row);
        rows.next().filter(|_| rows.next().is_none())
    };
    let answers: Vec<Option<u32>> = votes.par_iter().map(answer).collect();
    let (hits, trials) = target.judge(&answers, &[]);
    let setting = format!("no known pair, {} children", target.nodes.len());
    Finding::share("frequency", setting, hits, trials, target.baseline())
}

/// Of the hundred most frequent values of each segment and tag, the share that rank alignment names rightly: most holders of
/// the value are children who have the aligned one.
#[must_use]
pub fn top_values(target: &Target) -> Finding {
    let (mut hits, mut trials, mut distinct) = (0, 0, 1);
    for (ours, theirs) in columns(target) {
        distinct = distinct.max(theirs.len());
        for (nodes, rows) in ours.iter().zip(&theirs).take(TOP) {
            trials += 1;
            let right =
                nodes.iter().filter(|node| target.true_row(**node).is_some_and(|row| rows.contains(&row)));
            hits += u64::from(right.count() * 2 > nodes.len());
        }
    }
    let setting = "the 100 most frequent values of each segment and tag".to_owned();
    Finding::share("frequency-top", setting, hits, trials, 1.0 / distinct as f64)
}

/// Both sides' ranked values, segment by segment and tag by tag.
fn columns(target: &Target) -> Vec<(Ranked, Ranked)> {
    let node_of = target.node_of();
    let rows: Vec<u32> = (0..target.persons.len() as u32).collect();
    let (encoded, register) = (&target.encoded, &target.register[0]);
    let mut out = Vec::new();
    for (number, laid) in encoded.layout.views().iter().enumerate() {
        for segment in &laid.segments {
            let keyed = |dataset: &Dataset, of: &[u32]| {
                let view = &dataset.views[number];
                let key = |row| Some((segment_hash(view, row, segment)?, of[row / view.slots]));
                ranked((0..view.filters.rows()).into_par_iter().filter_map(key).collect())
            };
            out.push((keyed(encoded, &node_of), keyed(register, &rows)));
        }
        if laid.tag.is_some() {
            let keyed = |dataset: &Dataset, of: &[u32]| {
                let view = &dataset.views[number];
                let tags = view.tags.iter().flatten().enumerate();
                ranked(tags.map(|(row, tag)| (u64::from(*tag), of[row / view.slots])).collect())
            };
            out.push((keyed(encoded, &node_of), keyed(register, &rows)));
        }
    }
    out
}

/// Values that more than one child has, by the number of children; ties in the order of the value's hash.
fn ranked(mut keyed: Vec<(u64, u32)>) -> Ranked {
    keyed.par_sort_unstable();
    keyed.dedup();
    let runs = keyed.chunk_by(|a, b| a.0 == b.0).filter(|run| run.len() > 1);
    let mut values: Vec<(usize, u64, Vec<u32>)> =
        runs.map(|run| (run.len(), run[0].0, run.iter().map(|(_, at)| *at).collect())).collect();
    values.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    values.into_iter().map(|(.., holders)| holders).collect()
}
