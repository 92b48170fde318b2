//! Percolation through tags: a handful of known pairs, then their neighbours, then the neighbours' neighbours.
//!
//! Source: percolation graph matching (Yartseva and Grossglauser 2013), on the graph that equal tags leave. It spreads when a
//! node has more than about one neighbour to go on to: the salt budget (sum of mean partners at most one half) keeps the
//! graph below that point, so that a known child gives away its few neighbours and no more.
//!
//! And **joint inference over components** without any known pair: a connected piece of the agencies' graph is matched with
//! the piece of the register's graph that has the same shape and the nearest similarities.
//!
//! The attacker knows: every agency's file, the schema, a clean register, s pairs or none. Cost: linear in the edges for each
//! round; components: quadratic in the pieces of one shape.

use super::super::draw::mix;
use super::super::finding::Finding;
use super::super::graph::Graph;
use super::matched_filter::{grow, judged, likeness};
use super::{Likeness, Prepared};
use rayon::prelude::*;
use std::collections::HashMap;

/// Rounds after which nothing new comes in practice.
const ROUNDS: usize = 64;
/// How much better than the second an answer must be before it is built upon.
const MARGIN: f32 = 0.05;
/// Pieces of one shape on the register's side that are compared one by one; of more shapes alike, the first so many.
const ALIKE_MAX: usize = 20_000;

/// Percolation from `known` pairs; nothing where the schema has no tags.
#[must_use]
pub fn run(prepared: &Prepared<'_>, known: usize, register_word: &str) -> Option<Finding> {
    let Likeness::Tagged { encoded, register } = &prepared.likeness else { return None };
    let once = |draw: usize| {
        let pairs = prepared.target.known_pairs(known, draw);
        let guesses = grow(encoded, register, &pairs, ROUNDS, MARGIN);
        (pairs, guesses)
    };
    Some(judged("percolation", prepared, known, register_word, once))
}

/// Joint inference over components; nothing where the schema has no tags.
#[must_use]
pub fn components(prepared: &Prepared<'_>, register_word: &str) -> Option<Finding> {
    let Likeness::Tagged { encoded, register } = &prepared.likeness else { return None };
    let target = prepared.target;
    let mut alike: HashMap<u64, Vec<u32>> = HashMap::new();
    for row in (0..register.len() as u32).filter(|row| !register.of(*row).is_empty()) {
        let rows = alike.entry(shape(register, row)).or_default();
        if rows.len() < ALIKE_MAX {
            rows.push(row);
        }
    }
    let answer = |node: u32| {
        if encoded.of(node).is_empty() {
            return None;
        }
        let rows = alike.get(&shape(encoded, node))?;
        let scored = rows.iter().map(|row| (surroundings(encoded, node, register, *row), *row));
        scored.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))).map(|(_, row)| row)
    };
    let answers: Vec<Option<u32>> = (0..encoded.len() as u32).into_par_iter().map(answer).collect();
    let (hits, trials) = target.judge(&answers, &[]);
    let setting = format!("no known pair, {} children, {register_word}", target.nodes.len());
    Some(Finding::share("components", setting, hits, trials, target.baseline()))
}

/// What a node's surroundings look like to two steps: views of its edges, and of its neighbours' edges.
fn shape(graph: &Graph, node: u32) -> u64 {
    let step = |node: u32| {
        graph.of(node).iter().fold(0u64, |sum, edge| sum.wrapping_add(mix(u64::from(edge.view), 1)))
    };
    graph
        .of(node)
        .iter()
        .fold(step(node), |sum, edge| sum.wrapping_add(mix(u64::from(edge.view) + 100, step(edge.to))))
}

/// How alike the edges within two steps are: each edge of the node with its best counterpart, which counts with its own
/// best continuation.
fn surroundings(encoded: &Graph, node: u32, register: &Graph, row: u32) -> f32 {
    let further = |ours: u32, theirs: u32| {
        let edges = encoded.of(ours).iter().filter(|edge| edge.to != node);
        edges.fold(1.0f32, |product, edge| {
            let pairs = register.of(theirs).iter().filter(|other| other.view == edge.view && other.to != row);
            product * pairs.map(|other| likeness(edge, other)).fold(1e-3, f32::max)
        })
    };
    encoded.of(node).iter().fold(1.0f32, |product, edge| {
        let pairs = register.of(row).iter().filter(|other| other.view == edge.view);
        product * pairs.map(|other| likeness(edge, other) * further(edge.to, other.to)).fold(1e-6, f32::max)
    })
}
