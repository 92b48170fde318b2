//! The graph that tags leave: which nodes share a salt, seen as two slots with equal tags that are too alike for chance.
//!
//! May see: filters and tags. Truncated tags let slots of different salts meet; their Dice tells them apart, as it does for
//! the centre. Long tags need no such help. Edges carry the view and the Dice of each segment.

use super::PrivacyError;
use crate::linkage::arena::{Dataset, ViewTable};
use crate::linkage::blocks::tagged_self_join;
use crate::linkage::exec::{Control, Exec};
use crate::linkage::join::{JoinError, JoinOptions};
use crate::wire::{Segment, Threshold};
use rayon::prelude::*;

/// Segments of a view whose Dice an edge keeps.
pub(super) const SEGMENTS: usize = 5;
/// Dice of whole slots below which an edge is not looked at.
const LOOK_AT: (u32, u32) = (46, 100);
/// Tags at least this many bits longer than the number of rows needs hardly collide by chance.
const SPARE_BITS: u32 = 6;
/// Rows of one tag whose pairs are edges; larger runs tell little and cost their square.
const RUN_MAX: usize = 100;
/// Standard deviations above chance at which the best segment, or the whole slot, makes an edge.
const DEVIATIONS: f64 = 4.5;
const WHOLE_DEVIATIONS: f64 = 4.0;

/// One end of an edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    /// The other node.
    pub(super) to: u32,
    /// The view.
    pub(super) view: u8,
    /// Dice per segment of the view, in 255ths; the best over the slots and records of the two nodes.
    pub(super) segments: [u8; SEGMENTS],
}

/// Nodes and edges, sorted by node, then view, then the other node.
pub(super) struct Graph {
    starts: Vec<u32>,
    edges: Vec<Edge>,
}

impl Graph {
    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }
    /// The edges of a node.
    pub(super) fn of(&self, node: u32) -> &[Edge] {
        &self.edges[self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize]
    }

    /// The graph of `dataset`'s tagged views over nodes: `node_of[record]` is a record's node.
    /// With `exact` every pair of equal tags is an edge; else only pairs too alike for chance.
    pub(super) fn new(
        dataset: &Dataset,
        (node_of, nodes): (&[u32], usize),
        exact: bool,
        exec: Exec<'_>,
        control: &Control,
    ) -> Result<Self, PrivacyError> {
        let mut found: Vec<(u32, Edge)> = Vec::new();
        for (number, (view, laid)) in dataset.views.iter().zip(dataset.layout.views()).enumerate() {
            if view.tags.is_none() || view.filters.words().iter().all(|word| *word == 0) {
                continue;
            }
            if exact {
                found.extend(equal_tags(view, number, node_of, &laid.segments));
                continue;
            }
            let threshold = Threshold::new(LOOK_AT.0, LOOK_AT.1);
            let threshold = threshold.map_err(|_| PrivacyError::Internal("a threshold"))?;
            let joined = match tagged_self_join(view, threshold, &JoinOptions::default(), exec, control) {
                Err(JoinError::AllEmpty { .. } | JoinError::NoRows { .. }) => continue,
                joined => joined?,
            };
            let fill = fill(view);
            let slots = view.slots as u32;
            let pairs: Vec<(u32, u32, u16)> = joined.pairs.iter().collect();
            let edges = pairs.par_iter().filter_map(|&(a, b, common)| {
                let (from, to) = (node_of[(a / slots) as usize], node_of[(b / slots) as usize]);
                if from == to {
                    return None;
                }
                let segments = visible(view, a, b, common, &laid.segments, fill)?;
                Some((from, Edge { to, view: number as u8, segments }))
            });
            found.par_extend(edges);
        }
        Ok(Self::from_edges(found, nodes))
    }

    fn from_edges(found: Vec<(u32, Edge)>, nodes: usize) -> Self {
        let back = found.iter().map(|(from, edge)| (edge.to, Edge { to: *from, ..*edge }));
        let mut all: Vec<(u32, Edge)> = back.collect();
        all.extend(found);
        let key = |(from, edge): &(u32, Edge)| (*from, edge.view, edge.to);
        all.par_sort_unstable_by_key(key);
        // Several slots or records of the same two nodes: the best of each segment.
        all.dedup_by(|later, kept| {
            let same = key(later) == key(kept);
            if same {
                let pairs = kept.1.segments.iter_mut().zip(later.1.segments);
                pairs.for_each(|(kept, later)| *kept = (*kept).max(later));
            }
            same
        });
        let mut starts = vec![0u32; nodes + 1];
        all.iter().for_each(|(from, _)| starts[*from as usize + 1] += 1);
        (1..=nodes).for_each(|at| starts[at] += starts[at - 1]);
        Self { starts, edges: all.into_iter().map(|(_, edge)| edge).collect() }
    }
}

/// Whether tags are so long that equal tags are equal salts.
pub(super) fn has_exact_tags(dataset: &Dataset) -> bool {
    let views = dataset.layout.views().iter().zip(&dataset.views);
    let mut tagged =
        views.filter_map(|(laid, view)| Some((laid.tag?, view.filters.rows().max(2)))).peekable();
    tagged.peek().is_some() && tagged.all(|(tag, rows)| u32::from(tag.bits()) >= rows.ilog2() + SPARE_BITS)
}

/// Rows of each tag that more than one row has; empty rows have none.
pub(super) fn runs_of_tags(view: &ViewTable) -> Vec<Vec<u32>> {
    let tags = view.tags.as_deref().unwrap_or_default();
    let full = |row: &u32| view.filters.row(*row as usize).iter().any(|word| *word != 0);
    let mut rows: Vec<u32> = (0..tags.len() as u32).filter(full).collect();
    rows.par_sort_unstable_by_key(|row| (tags[*row as usize], *row));
    let runs = rows.chunk_by(|a, b| tags[*a as usize] == tags[*b as usize]);
    runs.filter(|run| run.len() > 1).map(<[u32]>::to_vec).collect()
}

/// An edge for every two nodes with one tag.
fn equal_tags(view: &ViewTable, number: usize, node_of: &[u32], segments: &[Segment]) -> Vec<(u32, Edge)> {
    let slots = view.slots;
    let of = |run: Vec<u32>| {
        let mut edges = Vec::new();
        for (at, a) in run.iter().enumerate().filter(|_| run.len() <= RUN_MAX) {
            for b in &run[at + 1..] {
                let (from, to) = (node_of[*a as usize / slots], node_of[*b as usize / slots]);
                if from != to {
                    let (x, y) = (view.filters.row(*a as usize), view.filters.row(*b as usize));
                    let mut found = [0; SEGMENTS];
                    for (out, s) in found.iter_mut().zip(segments) {
                        *out = (dice(x, y, s.start as usize..(s.start + s.bits) as usize) * 255.0) as u8;
                    }
                    edges.push((from, Edge { to, view: number as u8, segments: found }));
                }
            }
        }
        edges
    };
    runs_of_tags(view).into_par_iter().flat_map_iter(of).collect()
}

/// Share of set bits of a view's filters that have any.
fn fill(view: &ViewTable) -> f64 {
    let filters = &view.filters;
    let (mut ones, mut rows) = (0u64, 0u64);
    for row in 0..filters.rows().min(4_000) {
        let set: u32 = filters.row(row).iter().map(|word| word.count_ones()).sum();
        ones += u64::from(set);
        rows += u64::from(set > 0);
    }
    ones as f64 / (rows.max(1) as f64 * filters.bits() as f64)
}

/// Dice above which two unrelated runs of `bits` bits at this fill hardly ever come.
fn chance_bound(bits: f64, fill: f64, deviations: f64) -> f64 {
    // Common bits are near binomial: mean l f^2, variance l f^2 (1 - f)^2 for sets of fixed size.
    let mean = bits * fill * fill;
    let deviation = (bits * fill * fill * (1.0 - fill) * (1.0 - fill)).sqrt();
    (mean + deviations * deviation) / (bits * fill)
}

/// The segments' Dice of two rows, where one of them or the whole says that the salts are equal.
fn visible(
    view: &ViewTable,
    a: u32,
    b: u32,
    common: u16,
    segments: &[Segment],
    fill: f64,
) -> Option<[u8; SEGMENTS]> {
    let (x, y) = (view.filters.row(a as usize), view.filters.row(b as usize));
    let ones = |row: &[u64]| row.iter().map(|word| word.count_ones()).sum::<u32>();
    let whole = 2.0 * f64::from(common) / f64::from((ones(x) + ones(y)).max(1));
    let mut seen = whole > chance_bound(view.filters.bits() as f64, fill, WHOLE_DEVIATIONS);
    let mut found = [0; SEGMENTS];
    for (out, segment) in found.iter_mut().zip(segments) {
        let range = segment.start as usize..(segment.start + segment.bits) as usize;
        let dice = dice(x, y, range);
        seen |= dice > chance_bound(f64::from(segment.bits), fill, DEVIATIONS);
        *out = (dice * 255.0) as u8;
    }
    seen.then_some(found)
}

/// Dice of a run of bits of two rows; 0 where both are empty.
pub(super) fn dice(x: &[u64], y: &[u64], range: std::ops::Range<usize>) -> f64 {
    let (mut common, mut total) = (0u32, 0u32);
    for word in range.start / 64..range.end.div_ceil(64) {
        let mut mask = u64::MAX;
        if word * 64 < range.start {
            mask &= u64::MAX << (range.start % 64);
        }
        if (word + 1) * 64 > range.end {
            mask &= u64::MAX >> (64 - range.end % 64);
        }
        let (x, y) = (x[word] & mask, y[word] & mask);
        common += (x & y).count_ones();
        total += x.count_ones() + y.count_ones();
    }
    2.0 * f64::from(common) / f64::from(total.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_of_runs_of_bits() {
        let (x, y) = ([u64::MAX, 0b1111], [u64::MAX, 0b0011]);
        assert!((dice(&x, &y, 0..64) - 1.0).abs() < 1e-12);
        assert!((dice(&x, &y, 64..128) - 2.0 * 2.0 / 6.0).abs() < 1e-12);
        assert!((dice(&x, &y, 60..66) - 1.0).abs() < 1e-12);
        assert!((dice(&x, &y, 66..68)).abs() < 1e-12);
        assert!((dice(&[0], &[0], 0..64)).abs() < 1e-12);
    }

    #[test]
    fn parallel_edges_keep_the_best_segments() {
        let edge = |to, a, b| Edge { to, view: 1, segments: [a, b, 0, 0, 0] };
        let graph = Graph::from_edges(vec![(0, edge(2, 5, 9)), (2, edge(0, 7, 3))], 3);
        assert_eq!(graph.of(0), [edge(2, 7, 9)]);
        assert_eq!(graph.of(2), [edge(0, 7, 9)]);
        assert!(graph.of(1).is_empty() && graph.len() == 3);
    }
}
