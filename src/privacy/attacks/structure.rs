//! Structure alone: colour refinement over tags and repeated segments, without any known pair and without similarities.
//!
//! Source: colour refinement (Weisfeiler and Leman 1968) as used to undo naive anonymisation of graphs (Hay et al. 2008).
//! Every value that several nodes share (an exact tag, a segment of bits that repeats, a visible edge of a truncated tag) is a
//! block; a node's colour is refined by the colours of its blocks until it is unique. The register has the same blocks,
//! because equal salts and equal values are equal under every key: nodes and rows of one unique colour are the same child.
//!
//! The attacker knows: every agency's file, the schema, a clean register. Cost: rounds times the members of all blocks.

use super::super::draw::mix;
use super::super::finding::Finding;
use super::super::graph::{Graph, has_exact_tags, runs_of_tags};
use super::super::target::Target;
use super::{Likeness, Prepared};
use crate::linkage::arena::{Dataset, ViewTable};
use crate::wire::Segment;
use rayon::prelude::*;
use std::collections::HashMap;

/// Refinements; more than a handful only spreads the noise.
const ROUNDS: usize = 4;
/// A segment with fewer than one bit in so many set carries no value.
pub(super) const MISSING_ONE_IN: u32 = 10;

/// Nodes that share a value.
struct Block {
    label: u64,
    members: Vec<u32>,
}

/// Runs the attack.
#[must_use]
pub fn run(prepared: &Prepared<'_>, register_word: &str) -> Finding {
    let target = prepared.target;
    let node_of = target.node_of();
    let rows: Vec<u32> = (0..target.persons.len() as u32).collect();
    let mut encoded = repeats(&target.encoded, &node_of);
    let mut register = repeats(&target.register[0], &rows);
    if let Likeness::Tagged { encoded: theirs, register: own } = &prepared.likeness {
        if has_exact_tags(&target.encoded) {
            encoded.extend(equal_tags(&target.encoded, &node_of));
            register.extend(equal_tags(&target.register[0], &rows));
        } else {
            encoded.extend(edges(theirs));
            register.extend(edges(own));
        }
    }
    let answers = refine(&encoded, target.nodes.len(), &register, target.persons.len());
    let (hits, trials) = target.judge(&answers, &[]);
    let setting = format!("no known pair, {} children, {register_word}", target.nodes.len());
    Finding::share("structure", setting, hits, trials, target.baseline())
}

/// How many segments of the agencies' encodings occur in more than one child's node: values that show their frequency.
#[must_use]
pub fn repeated_segments(target: &Target) -> Finding {
    let node_of = target.node_of();
    let blocks = repeats(&target.encoded, &node_of);
    let several = |block: &&Block| {
        let first = target.child[block.members[0] as usize];
        block.members.iter().any(|node| target.child[*node as usize] != first)
    };
    let repeated: usize = blocks.iter().filter(several).map(|block| block.members.len()).sum();
    let segments: usize = target.encoded.layout.slots().map(|(view, _)| view.segments.len()).sum();
    let all = segments * target.nodes.len();
    let setting = "segments of bits that another child has too".to_owned();
    Finding::share("repeated-segments", setting, repeated as u64, all as u64, 0.0)
}

fn blocks_of(label: u64, keyed: Vec<(u64, u32)>, out: &mut Vec<Block>) {
    let mut keyed = keyed;
    keyed.par_sort_unstable();
    keyed.dedup();
    for run in keyed.chunk_by(|a, b| a.0 == b.0).filter(|run| run.len() > 1) {
        out.push(Block { label, members: run.iter().map(|(_, node)| *node).collect() });
    }
}

fn equal_tags(dataset: &Dataset, node_of: &[u32]) -> Vec<Block> {
    let mut out = Vec::new();
    for (label, view) in (0..).zip(&dataset.views) {
        for run in runs_of_tags(view) {
            let mut members: Vec<u32> = run.iter().map(|row| node_of[*row as usize / view.slots]).collect();
            members.sort_unstable();
            members.dedup();
            if members.len() > 1 {
                out.push(Block { label, members });
            }
        }
    }
    out
}

/// Segments whose bits are the same in several nodes.
fn repeats(dataset: &Dataset, node_of: &[u32]) -> Vec<Block> {
    let mut out = Vec::new();
    for (number, (view, laid)) in (0u64..).zip(dataset.views.iter().zip(dataset.layout.views())) {
        for (at, segment) in (0u64..).zip(&laid.segments) {
            let keyed = (0..view.filters.rows()).into_par_iter().filter_map(|row| {
                let key = segment_hash(view, row, segment)?;
                Some((key, node_of[row / view.slots]))
            });
            blocks_of(1000 + number * 100 + at, keyed.collect(), &mut out);
        }
    }
    out
}

/// A hash of a segment's bits; none where it has hardly any, as a missing value under flips.
pub(super) fn segment_hash(view: &ViewTable, row: usize, segment: &Segment) -> Option<u64> {
    let words = view.filters.row(row);
    let (mut hash, mut set) = (0u64, 0);
    for bit_word in 0..segment.bits.div_ceil(64) {
        let start = segment.start + bit_word * 64;
        let (word, shift) = ((start / 64) as usize, start % 64);
        let mut value = words[word] >> shift;
        if shift > 0 && word + 1 < words.len() {
            value |= words[word + 1] << (64 - shift);
        }
        let left = segment.bits - bit_word * 64;
        if left < 64 {
            value &= u64::MAX >> (64 - left);
        }
        set += value.count_ones();
        hash = mix(hash, value);
    }
    (set * MISSING_ONE_IN >= segment.bits).then_some(hash)
}

fn edges(graph: &Graph) -> Vec<Block> {
    let of =
        |node: u32| graph.of(node).iter().filter(move |edge| edge.to > node).map(move |edge| (node, *edge));
    let all = (0..graph.len() as u32).flat_map(of);
    all.map(|(node, edge)| Block { label: u64::from(edge.view), members: vec![node, edge.to] }).collect()
}

/// Refines the colours of both sides alike; a node's answer is the row that shares a colour nobody else has, found at the
/// earliest round.
fn refine(encoded: &[Block], nodes: usize, register: &[Block], rows: usize) -> Vec<Option<u32>> {
    let mut colours = [vec![0u64; nodes], vec![0u64; rows]];
    let mut answers = vec![None; nodes];
    for _ in 0..ROUNDS {
        colours = [next(&colours[0], encoded), next(&colours[1], register)];
        let mut seen: HashMap<u64, [(u32, u32); 2]> = HashMap::new();
        for (side, colours) in colours.iter().enumerate() {
            for (at, colour) in (0..).zip(colours) {
                let entry = &mut seen.entry(*colour).or_default()[side];
                *entry = (entry.0 + 1, at);
            }
        }
        for [(nodes, node), (rows, row)] in seen.into_values() {
            if nodes == 1 && rows == 1 && answers[node as usize].is_none() {
                answers[node as usize] = Some(row);
            }
        }
    }
    answers
}

fn next(colours: &[u64], blocks: &[Block]) -> Vec<u64> {
    let of = |block: &Block| {
        let sum = block.members.iter().fold(0u64, |sum, at| sum.wrapping_add(mix(colours[*at as usize], 7)));
        mix(mix(block.label, block.members.len() as u64), sum)
    };
    let block_colours: Vec<u64> = blocks.par_iter().map(of).collect();
    let mut sums = vec![0u64; colours.len()];
    for (block, colour) in blocks.iter().zip(block_colours) {
        for at in &block.members {
            sums[*at as usize] = sums[*at as usize].wrapping_add(mix(colour, 11));
        }
    }
    colours.iter().zip(sums).map(|(old, sum)| mix(*old, sum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lopsided_tree_is_told_apart_and_a_pair_is_not() {
        let edge = |a, b| Block { label: 0, members: vec![a, b] };
        // 0-1-2, 1-3-4: all five places differ but 0 and 2.
        let side = || vec![edge(0, 1), edge(1, 2), edge(1, 3), edge(3, 4), edge(5, 6)];
        let found = refine(&side(), 7, &side(), 7);
        assert_eq!(found, [None, Some(1), None, Some(3), Some(4), None, None]);
    }
}
