//! Similarities where everything compares with everything (`clk`, `fields`, `diffused`), and matching by them.
//!
//! May see: filters. A side is a list of nodes, each with one or more rows in one or more tables of filters; the similarity
//! of two nodes is their mean Dice, computed once for all attacks.

use super::attacks::spectral::Points;
use crate::linkage::arena::Dataset;
use crate::linkage::kernel::{Kernel, KernelLevel};
use rayon::prelude::*;
use std::sync::OnceLock;

/// Share of the nodes that count as near an anchor, as its denominator: one in ten (the 90th percentile).
const NEAR_ONE_IN: usize = 10;
/// Anchors of one round at most.
const ANCHORS_MAX: usize = 1_000;

/// Nodes and their rows.
pub(super) struct Side<'a> {
    /// The same rows under several keys.
    tables: Vec<&'a Dataset>,
    /// Rows of each node; none: node k is row k.
    nodes: Option<&'a [Vec<u32>]>,
    ones: Vec<Vec<Vec<u32>>>,
    kernel: Kernel,
    /// Row by row, every node with every node.
    similarities: Vec<f32>,
    /// Coordinates that one attack made and the next may use.
    pub(super) axes: OnceLock<Points>,
    /// Features of the nodes, likewise.
    pub(super) features: OnceLock<Points>,
}

impl<'a> Side<'a> {
    pub(super) fn new(tables: Vec<&'a Dataset>, nodes: Option<&'a [Vec<u32>]>) -> Option<Self> {
        let kernel = Kernel::new(KernelLevel::detect())?;
        let ones_of = |dataset: &&Dataset| {
            let of_view = dataset.views.iter().map(|view| {
                let filters = &view.filters;
                (0..filters.rows()).map(|row| kernel.common(filters.row(row), filters.row(row))).collect()
            });
            of_view.collect()
        };
        let ones = tables.iter().map(ones_of).collect();
        let (similarities, axes, features) = (Vec::new(), OnceLock::new(), OnceLock::new());
        let mut side = Self { ones, tables, nodes, kernel, similarities, axes, features };
        let len = side.len();
        let mut similarities = vec![0.0f32; len * len];
        // The upper triangle, then its mirror image.
        similarities.par_chunks_mut(len.max(1)).zip(0u32..len as u32).for_each(|(row, a)| {
            (a..len as u32).for_each(|b| row[b as usize] = side.dice(a, b));
        });
        for a in 0..len {
            for b in a + 1..len {
                similarities[b * len + a] = similarities[a * len + b];
            }
        }
        side.similarities = similarities;
        Some(side)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.map_or_else(|| self.tables.first().map_or(0, |table| table.len()), <[_]>::len)
    }

    fn rows(&self, node: u32) -> &[u32] {
        self.nodes.map_or(&[], |nodes| &nodes[node as usize])
    }

    /// The similarities of one node to every node.
    pub(super) fn similarities(&self, node: u32) -> &[f32] {
        &self.similarities[node as usize * self.len()..(node as usize + 1) * self.len()]
    }

    /// Mean Dice of two nodes over their rows, the tables and the views' first slots.
    fn dice(&self, a: u32, b: u32) -> f32 {
        let (own_a, own_b) = ([a], [b]);
        let rows = |node, own| if self.nodes.is_some() { self.rows(node) } else { own };
        let (rows_a, rows_b) = (rows(a, &own_a[..]), rows(b, &own_b[..]));
        let (mut sum, mut count) = (0.0, 0u32);
        for (dataset, ones) in self.tables.iter().zip(&self.ones) {
            for (view, ones) in dataset.views.iter().zip(ones) {
                for &x in rows_a {
                    for &y in rows_b {
                        let (x, y) = (x as usize * view.slots, y as usize * view.slots);
                        let common = self.kernel.common(view.filters.row(x), view.filters.row(y));
                        sum += 2.0 * common as f32 / (ones[x] + ones[y]).max(1) as f32;
                        count += 1;
                    }
                }
            }
        }
        sum / count.max(1) as f32
    }

    /// Bits of every node, mean over its rows and centred over the nodes: one row a node, tables and views side by side.
    pub(super) fn centred_bits(&self) -> Points {
        let lengths =
            self.tables.iter().flat_map(|dataset| dataset.views.iter().map(|view| view.filters.bits()));
        let width: usize = lengths.sum();
        let mut values = vec![0.0f32; self.len() * width];
        values.par_chunks_mut(width).zip(0u32..self.len() as u32).for_each(|(out, node)| {
            let own = [node];
            let rows = if self.nodes.is_some() { self.rows(node) } else { &own[..] };
            let each = 1.0 / rows.len().max(1) as f32;
            let mut start = 0;
            for view in self.tables.iter().flat_map(|dataset| &dataset.views) {
                for row in rows {
                    for (at, word) in view.filters.row(*row as usize * view.slots).iter().enumerate() {
                        let mut left = *word;
                        while left != 0 {
                            out[start + 64 * at + left.trailing_zeros() as usize] += each;
                            left &= left - 1;
                        }
                    }
                }
                start += view.filters.bits();
            }
        });
        let mut means = vec![0.0f64; width];
        for row in values.chunks_exact(width) {
            means.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x));
        }
        let n = self.len().max(1) as f64;
        values.par_chunks_mut(width).for_each(|row| {
            row.iter_mut().zip(&means).for_each(|(x, mean)| *x -= (mean / n) as f32);
        });
        Points { values, width }
    }

    /// For each anchor the nodes near it, with how much nearer than the bound they are.
    fn near(&self, anchors: &[u32]) -> Vec<Vec<(u32, f32)>> {
        let of = |anchor: &u32| {
            let all = self.similarities(*anchor);
            let mut sorted = all.to_vec();
            let at = sorted.len() - 1 - (sorted.len() - 1) / NEAR_ONE_IN;
            let (_, bound, _) = sorted.select_nth_unstable_by(at, f32::total_cmp);
            let bound = *bound;
            // An anchor does not speak for itself: a wrong one would confirm itself round after round.
            let near = all.iter().zip(0u32..).filter(|(s, node)| **s > bound && node != anchor);
            let mut near: Vec<(u32, f32)> =
                near.map(|(similarity, node)| (node, similarity - bound)).collect();
            // Each anchor says equally much, however its similarities are spread.
            let norm = near.iter().map(|(_, v)| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            near.iter_mut().for_each(|(_, v)| *v /= norm);
            near
        };
        anchors.par_iter().map(of).collect()
    }
}

/// A guess: the register's row for a node, and how much better than the second best it is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Guess {
    pub(super) row: u32,
    pub(super) score: f32,
    pub(super) margin: f32,
}

/// Best partner on the `to` side of every node of the `from` side, by the cosine of what is near the same anchors.
fn best(
    from: &[Vec<(u32, f32)>],
    from_len: usize,
    to: &[Vec<(u32, f32)>],
    to_len: usize,
) -> Vec<Option<Guess>> {
    let mut vectors: Vec<Vec<(u32, f32)>> = vec![Vec::new(); from_len];
    for (anchor, near) in (0u32..).zip(from) {
        near.iter().for_each(|(node, v)| vectors[*node as usize].push((anchor, *v)));
    }
    let mut norms = vec![0.0f32; to_len];
    to.iter().flatten().for_each(|(node, v)| norms[*node as usize] += v * v);
    let scales: Vec<f32> = norms.iter().map(|n| if *n > 0.0 { 1.0 / n.sqrt() } else { 0.0 }).collect();
    let of = |scores: &mut Vec<f32>, vector: &Vec<(u32, f32)>| {
        scores.clear();
        scores.resize(to_len, 0.0);
        for (anchor, v) in vector {
            to[*anchor as usize].iter().for_each(|(node, w)| scores[*node as usize] += v * w);
        }
        let norm = vector.iter().map(|(_, v)| v * v).sum::<f32>().sqrt();
        let (mut first, mut second) = ((0u32, 0.0f32), 0.0f32);
        for (at, (score, scale)) in (0..).zip(scores.iter().zip(&scales)) {
            let score = score * scale;
            if score > first.1 {
                (second, first) = (first.1, (at, score));
            } else if score > second {
                second = score;
            }
        }
        (norm > 0.0 && first.1 > 0.0).then(|| Guess {
            row: first.0,
            score: first.1 / norm,
            margin: (first.1 - second) / norm,
        })
    };
    vectors.par_iter().map_init(Vec::new, of).collect()
}

/// Grows `seeds` (node, row) round by round: nodes near the same known pairs are the same child. Returns the last guesses.
pub(super) fn grow(
    encoded: &Side<'_>,
    register: &Side<'_>,
    known: &[(u32, u32)],
    seeds: &[(u32, u32)],
    rounds: usize,
) -> Vec<Option<Guess>> {
    let mut anchors: Vec<(u32, u32)> = known.iter().chain(seeds).copied().collect();
    let mut guesses = vec![None; encoded.len()];
    for round in 0..rounds {
        anchors.truncate(ANCHORS_MAX);
        let (nodes, rows): (Vec<u32>, Vec<u32>) = anchors.iter().copied().unzip();
        let (near_nodes, near_rows) = (encoded.near(&nodes), register.near(&rows));
        guesses = best(&near_nodes, encoded.len(), &near_rows, register.len());
        let back = best(&near_rows, register.len(), &near_nodes, encoded.len());
        let mut mutual: Vec<(u32, Guess)> = (0u32..)
            .zip(&guesses)
            .filter_map(|(node, guess)| Some((node, (*guess)?)))
            .filter(|(node, guess)| back[guess.row as usize].is_some_and(|g| g.row == *node))
            .collect();
        mutual.sort_unstable_by(|a, b| b.1.margin.total_cmp(&a.1.margin).then(a.0.cmp(&b.0)));
        // The best of the mutual pairs, more from round to round, stand in for known ones.
        let wanted = (known.len().max(seeds.len()) << (round + 1)).min(mutual.len());
        anchors = known.to_vec();
        let fixed: std::collections::HashSet<u32> = known.iter().map(|(node, _)| *node).collect();
        let new = mutual[..wanted].iter().filter(|(node, _)| !fixed.contains(node));
        anchors.extend(new.map(|(node, guess)| (*node, guess.row)));
    }
    guesses
}
