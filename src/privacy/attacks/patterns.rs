//! Pattern mining: bit positions that always come together belong to one q-gram, and its frequency says to which.
//!
//! Source: Christen, Vidanage, Ranbaduge and Schnell 2018. Positions are grouped greedily by their correlation: those of one
//! q-gram are set together. The filters that have nearly a whole group are then as frequent as one q-gram of the list, and two
//! groups meet as often as their q-grams do: groups are assigned by frequency and exchanged until the meetings fit best.
//!
//! The attacker knows: one file and the frequencies of q-grams in names. Cost: positions squared times filters, in bits.

use super::super::finding::Finding;
use super::super::target::Target;
use crate::agency::names::canonical;
use crate::agency::record::Person;
use crate::linkage::arena::ViewTable;
use crate::wire::Segment;
use rayon::prelude::*;
use std::collections::HashMap;

/// Q-grams whose positions are sought.
const TOP: usize = 20;
/// Nodes that take part.
const NODES_MAX: usize = 4_000;
/// Positions go with another when their correlation is at least this, and at least this share of its highest.
const CORRELATION_MIN: f64 = 0.25;
const NEAR_HIGHEST: f64 = 0.5;
/// Positions of a group at least.
const GROUP_MIN: usize = 4;
/// A filter has a group when it has this share of its positions, in percent.
const HAS_PERCENT: usize = 85;
/// Rounds of exchanges.
const EXCHANGES: usize = 20;
/// A position truly belongs to a q-gram when it is set in at least this share of the names that have it.
const TRULY: f64 = 0.95;

/// Share of the true positions of the twenty most frequent q-grams of given names that the attacker names rightly, in the
/// first view that carries them; the baseline is the same with the q-grams' labels moved on by one. Nothing where no position
/// belongs to a q-gram, because every filter hashes under a salt of its own.
#[must_use]
pub fn run(target: &Target) -> Option<Finding> {
    let (number, segment) = target.encoded.layout.views().iter().enumerate().find_map(|(number, view)| {
        let carries = |s: &&Segment| matches!(s.attribute.as_str(), "given" | "record");
        Some((number, view.segments.iter().find(carries)?.clone()))
    })?;
    let nodes: Vec<usize> =
        (0..target.nodes.len()).filter(|node| target.true_row(*node as u32).is_some()).collect();
    let nodes = &nodes[..nodes.len().min(NODES_MAX)];
    let view = &target.encoded.views[number];
    let columns = columns(target, view, &segment, nodes);
    let (grams, holders) = top_grams(target, nodes);
    let found = assign(&groups(&columns, nodes.len()), &holders);
    let truly = |k: usize, at: usize| {
        f64::from(count_both(&holders[k], &columns[at])) >= TRULY * f64::from(count(&holders[k]).max(1))
    };
    let right = |shift: usize| -> u64 {
        (0..grams).map(|k| found[k].iter().filter(|at| truly((k + shift) % grams, **at)).count() as u64).sum()
    };
    let all_true: u64 =
        (0..grams).map(|k| (0..columns.len()).filter(|at| truly(k, *at)).count() as u64).sum();
    if all_true == 0 {
        return None;
    }
    let setting = format!(
        "positions of the {grams} most frequent q-grams, view {number}, segment {}",
        segment.attribute
    );
    let trials = all_true.max(right(0));
    let baseline =
        (1..grams.max(2)).map(right).sum::<u64>() as f64 / (grams.max(2) - 1) as f64 / trials as f64;
    Some(Finding::share("pattern-mining", setting, right(0), trials, baseline))
}

/// A set of nodes.
type Holders = Vec<u64>;

fn count(set: &Holders) -> u32 {
    set.iter().map(|word| word.count_ones()).sum()
}

fn count_both(a: &Holders, b: &Holders) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x & y).count_ones()).sum()
}

/// Each position of a segment as the set of nodes whose first record has it set.
fn columns(target: &Target, view: &ViewTable, segment: &Segment, nodes: &[usize]) -> Vec<Holders> {
    let mut columns = vec![vec![0u64; nodes.len().div_ceil(64)]; segment.bits as usize];
    for (at, node) in nodes.iter().enumerate() {
        let words = view.filters.row(target.nodes[*node][0] as usize * view.slots);
        for (bit, column) in (segment.start as usize..).zip(columns.iter_mut()) {
            column[at / 64] |= (words[bit / 64] >> (bit % 64) & 1) << (at % 64);
        }
    }
    columns
}

/// The most frequent bigrams of given names, each with the nodes that have it.
fn top_grams(target: &Target, nodes: &[usize]) -> (usize, Vec<Holders>) {
    let mut holders: HashMap<[u8; 2], Holders> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        let Some(row) = target.true_row(*node as u32) else { continue };
        for gram in grams(&target.persons[row as usize]) {
            let set = holders.entry(gram).or_insert_with(|| vec![0; nodes.len().div_ceil(64)]);
            set[at / 64] |= 1 << (at % 64);
        }
    }
    let mut sorted: Vec<([u8; 2], Holders)> = holders.into_iter().collect();
    sorted.sort_unstable_by_key(|(gram, set)| (std::cmp::Reverse(count(set)), *gram));
    sorted.truncate(TOP);
    (sorted.len(), sorted.into_iter().map(|(_, set)| set).collect())
}

fn grams(person: &Person) -> Vec<[u8; 2]> {
    let Some(name) = person.given.first() else { return Vec::new() };
    // Names are encoded in their canonical form; the table is public.
    let padded: Vec<u8> = [b"_", canonical(name.whole().as_bytes()), b"_"].concat();
    padded.windows(2).map(|pair| [pair[0], pair[1]]).collect()
}

/// A group of positions and the nodes that have it.
type Group = (Vec<usize>, Holders);

/// Groups of positions that are set together, each position in one.
fn groups(columns: &[Holders], nodes: usize) -> Vec<Group> {
    let n = nodes.max(1) as f64;
    let ones: Vec<f64> = columns.iter().map(|column| f64::from(count(column)) / n).collect();
    let correlation = |a: usize, b: usize| {
        let spread = (ones[a] * (1.0 - ones[a]) * ones[b] * (1.0 - ones[b])).sqrt();
        if spread > 0.0 {
            (f64::from(count_both(&columns[a], &columns[b])) / n - ones[a] * ones[b]) / spread
        } else {
            0.0
        }
    };
    let all: Vec<Vec<f64>> = (0..columns.len())
        .into_par_iter()
        .map(|a| (0..columns.len()).map(|b| if a == b { 0.0 } else { correlation(a, b) }).collect())
        .collect();
    let mut free = vec![true; columns.len()];
    let mut out = Vec::new();
    while out.len() < 2 * TOP {
        let company = |seed: usize| -> Vec<usize> {
            let highest =
                (0..columns.len()).filter(|at| free[*at]).map(|at| all[seed][at]).fold(0.0, f64::max);
            let bound = CORRELATION_MIN.max(NEAR_HIGHEST * highest);
            (0..columns.len()).filter(|at| free[*at] && (*at == seed || all[seed][*at] >= bound)).collect()
        };
        let seeds = (0..columns.len()).filter(|seed| free[*seed]);
        let best = seeds.map(company).max_by_key(|group| (group.len(), std::cmp::Reverse(group[0])));
        let Some(group) = best.filter(|group| group.len() >= GROUP_MIN) else { break };
        group.iter().for_each(|at| free[*at] = false);
        let has = |node: &usize| {
            let set = group.iter().filter(|at| columns[**at][node / 64] >> (node % 64) & 1 == 1).count();
            set * 100 >= group.len() * HAS_PERCENT
        };
        let mut holders = vec![0u64; nodes.div_ceil(64)];
        (0..nodes).filter(has).for_each(|node| holders[node / 64] |= 1 << (node % 64));
        out.push((group, holders));
    }
    out
}

/// The positions of each q-gram: groups by frequency, then exchanged while the meetings of two fit better.
fn assign(groups: &[Group], grams: &[Holders]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(count(&groups[*at].1)), *at));
    let cost_of = |order: &[usize], k: usize| -> f64 {
        let of = |j: usize| {
            let (a, b) = (&groups[order[k]].1, &groups[order[j]].1);
            (f64::from(count_both(a, b)) - f64::from(count_both(&grams[k], &grams[j]))).abs()
        };
        (0..grams.len().min(order.len())).map(of).sum()
    };
    let shown = grams.len().min(order.len());
    for _ in 0..EXCHANGES {
        let mut better = false;
        for k in 0..shown {
            for other in k + 1..order.len() {
                let cost = |order: &[usize]| {
                    cost_of(order, k) + if other < shown { cost_of(order, other) } else { 0.0 }
                };
                let before = cost(&order);
                order.swap(k, other);
                if cost(&order) < before - 1e-9 {
                    better = true;
                } else {
                    order.swap(k, other);
                }
            }
        }
        if !better {
            break;
        }
    }
    (0..grams.len()).map(|k| order.get(k).map_or_else(Vec::new, |at| groups[*at].0.clone())).collect()
}
