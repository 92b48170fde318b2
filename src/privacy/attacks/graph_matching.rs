//! Graph matching without a known pair: two embeddings of two similarity graphs are laid over one another.
//!
//! Source: Vidanage, Christen, Ranbaduge and Schnell 2020; Schäfer, Armknecht and Heng 2024, who embed the nodes of both
//! graphs, align the embeddings by a Wasserstein-Procrustes method and match. Here nodes are first paired by what their
//! similarities look like (order statistics of their own and of their nearest neighbours'; about a fifth of the mutual pairs
//! are right), then a spectral embedding is aligned to these pairs axis by axis (nearest neighbours, orthogonal Procrustes;
//! Melzi et al. 2019 call it spectral upsampling): a few per cent of right pairs pull the rest along. The surest pairs then
//! serve as known pairs of the matched filter.
//!
//! The attacker knows: every agency's file, the schema, a clean register; no key, no pair. Cost: n^2 Dice and about 30 n^2
//! products of up to 96 numbers. With half a register it still gets there; with a fifth too few of the
//! first pairs are right and it ends at chance.
//! Where the schema has tags nothing compares with everything and there is nothing to embed: [`super::structure`] and
//! [`super::percolation`] attack that graph.

use super::super::dense::{self, Guess, Side};
use super::super::finding::Finding;
use super::spectral::{Points, nearest_orthogonal, principal, times, transposed_times};
use super::{Likeness, Prepared};
use rayon::prelude::*;

/// Axes of the embedding.
const AXES: usize = 96;
/// Axes at the beginning, and rounds before they become more.
const FIRST_AXES: usize = 8;
const FIRST_ROUNDS: usize = 6;
/// Rounds on all axes.
const LAST_ROUNDS: usize = 3;
/// Nearest neighbours whose features a node takes over.
const NEIGHBOURS: usize = 8;
/// Order statistics of a node's similarities: the highest, by rank, and the others, by share of the nodes in thousandths.
const HIGHEST: [usize; 6] = [0, 1, 2, 3, 5, 8];
const SHARES: [usize; 11] = [13, 20, 35, 60, 100, 180, 300, 500, 700, 900, 970];
/// Rounds of the matched filter that end it.
const ROUNDS: usize = 4;

/// Runs the attack; nothing where the schema has tags.
#[must_use]
pub fn run(prepared: &Prepared<'_>, register_word: &str) -> Option<Finding> {
    let Likeness::Dense { encoded, register } = &prepared.likeness else { return None };
    let target = prepared.target;
    let seeds = align(encoded, register, &target.seed);
    let guesses: Vec<Option<Guess>> = dense::grow(encoded, register, &[], &seeds, ROUNDS);
    let answers: Vec<Option<u32>> = guesses.iter().map(|guess| guess.map(|guess| guess.row)).collect();
    let (hits, trials) = target.judge(&answers, &[]);
    let setting = format!("no known pair, {} children, {register_word}", target.nodes.len());
    Some(Finding::share("graph-matching", setting, hits, trials, target.baseline()))
}

/// Pairs (node, row) that lie nearest to one another once the embeddings are aligned, surest first.
fn align<'s>(encoded: &'s Side<'_>, register: &'s Side<'_>, seed: &str) -> Vec<(u32, u32)> {
    let axes_of = |side: &'s Side<'_>| side.axes.get_or_init(|| principal(side, AXES, seed));
    let features_of = |side: &'s Side<'_>| side.features.get_or_init(|| features(side));
    let (ours, theirs) = (axes_of(encoded), axes_of(register));
    let axes = ours.width.min(theirs.width);
    let mut pairs = mutual(features_of(encoded), features_of(register));
    let (mut width, mut rounds) = (FIRST_AXES.min(axes), FIRST_ROUNDS);
    loop {
        let rows = |points: &Points, at: u32| points.row(at as usize)[..width].to_vec();
        let from =
            Points { values: pairs.iter().flat_map(|(_, node, _)| rows(ours, *node)).collect(), width };
        let to = Points { values: pairs.iter().flat_map(|(.., row)| rows(theirs, *row)).collect(), width };
        let turn = nearest_orthogonal(&transposed_times(&from, &to));
        pairs = mutual(&times(&ours.cut(width), &turn), &theirs.cut(width));
        rounds -= 1;
        if rounds == 0 && width == axes || pairs.is_empty() {
            break;
        }
        if rounds == 0 {
            width = (width + width / 8 + 1).min(axes);
            rounds = if width == axes { LAST_ROUNDS } else { 1 };
        }
    }
    pairs.truncate((pairs.len() / 2).clamp(pairs.len().min(50), 600));
    pairs.into_iter().map(|(_, node, row)| (node, row)).collect()
}

/// What a node's similarities look like, without saying to whom: one row a node, each column of mean 0 and variance 1.
fn features(side: &Side<'_>) -> Points {
    let count = side.len();
    let of = |node: u32| {
        let others = (0..count as u32).filter(|other| *other != node);
        let similarities = side.similarities(node);
        let mut all: Vec<(f32, u32)> = others.map(|other| (similarities[other as usize], other)).collect();
        all.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let at = |rank: usize| {
            all.get(rank.min(all.len().saturating_sub(1))).map_or(0.0, |(similarity, _)| *similarity)
        };
        let n = all.len().max(1) as f32;
        let mean = all.iter().map(|(s, _)| s).sum::<f32>() / n;
        let moment = |power: i32| all.iter().map(|(s, _)| (s - mean).powi(power)).sum::<f32>() / n;
        let deviation = moment(2).sqrt().max(f32::MIN_POSITIVE);
        let mut own: Vec<f32> = HIGHEST.iter().map(|rank| at(*rank)).collect();
        own.extend(SHARES.iter().map(|share| at(share * count / 1000)));
        own.extend([mean, deviation, moment(3) / deviation.powi(3)]);
        let nearest: Vec<u32> = all.iter().take(NEIGHBOURS).map(|(_, other)| *other).collect();
        (own, nearest)
    };
    let nodes: Vec<(Vec<f32>, Vec<u32>)> = (0..count as u32).into_par_iter().map(of).collect();
    let of_neighbour =
        |node: &[u32], k: usize, at: usize| node.get(k).map_or(0.0, |other| nodes[*other as usize].0[at]);
    let whole = |(own, near): &(Vec<f32>, Vec<u32>)| {
        let mut row = own.clone();
        for k in 0..2 {
            row.extend((0..HIGHEST.len()).map(|at| of_neighbour(near, k, at)));
        }
        let mean =
            |at: usize| (0..NEIGHBOURS).map(|k| of_neighbour(near, k, at)).sum::<f32>() / NEIGHBOURS as f32;
        row.extend((0..HIGHEST.len() + 2).map(mean));
        row
    };
    let rows: Vec<Vec<f32>> = nodes.iter().map(whole).collect();
    standardised(&rows)
}

fn standardised(rows: &[Vec<f32>]) -> Points {
    let width = rows.first().map_or(1, Vec::len);
    let mut values: Vec<f32> = rows.iter().flatten().copied().collect();
    let n = rows.len().max(1) as f64;
    for at in 0..width {
        let column = || rows.iter().map(|row| f64::from(row[at]));
        let mean = column().sum::<f64>() / n;
        let deviation = (column().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt().max(1e-9);
        let scaled = values.iter_mut().skip(at).step_by(width);
        scaled.for_each(|x| *x = ((f64::from(*x) - mean) / deviation) as f32);
    }
    Points { values, width }
}

/// Pairs (squared distance, row of `from`, row of `to`) that are each other's nearest, nearest first.
fn mutual(from: &Points, to: &Points) -> Vec<(f32, u32, u32)> {
    let (there, back) = nearest(from, to);
    let mut pairs: Vec<(f32, u32, u32)> = (0u32..)
        .zip(&there)
        .filter(|(node, (_, row))| back[*row as usize].1 == *node)
        .map(|(node, (distance, row))| (*distance, node, *row))
        .collect();
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    pairs
}

/// Squared distance and number of the nearest row.
type Nearest = Vec<(f32, u32)>;

/// The nearest row of `to` for every row of `from`, and the other way round.
fn nearest(from: &Points, to: &Points) -> (Nearest, Nearest) {
    const BLOCK: usize = 256;
    let square = |points: &Points, row| points.row(row).iter().map(|x| x * x).sum::<f32>();
    let squares: Vec<f32> = (0..to.rows()).map(|row| square(to, row)).collect();
    // Columns of `to` side by side, so that the inner loop runs over rows.
    let mut columns = vec![0.0f32; to.values.len()];
    for row in 0..to.rows() {
        to.row(row).iter().enumerate().for_each(|(axis, x)| columns[axis * to.rows() + row] = *x);
    }
    let block = |block: usize| {
        let mut back = vec![(f32::INFINITY, 0u32); to.rows()];
        let mut products = Vec::new();
        let mut there = Vec::with_capacity(BLOCK);
        for row in block * BLOCK..((block + 1) * BLOCK).min(from.rows()) {
            products.clear();
            products.extend_from_slice(&squares);
            for (x, column) in from.row(row).iter().zip(columns.chunks_exact(to.rows())) {
                let twice = 2.0 * x;
                products.iter_mut().zip(column).for_each(|(product, y)| *product -= twice * y);
            }
            let own = square(from, row);
            let mut best = (f32::INFINITY, 0u32);
            for ((at, product), back) in (0u32..).zip(&products).zip(&mut back) {
                let distance = (product + own).max(0.0);
                if distance < best.0 {
                    best = (distance, at);
                }
                if distance < back.0 {
                    *back = (distance, row as u32);
                }
            }
            there.push(best);
        }
        (there, back)
    };
    let blocks: Vec<(Nearest, Nearest)> =
        (0..from.rows().div_ceil(BLOCK)).into_par_iter().map(block).collect();
    let mut back = vec![(f32::INFINITY, 0u32); to.rows()];
    let mut there = Vec::with_capacity(from.rows());
    for (ours, theirs) in blocks {
        there.extend(ours);
        for (best, found) in back.iter_mut().zip(theirs) {
            if found.0 < best.0 {
                *best = found;
            }
        }
    }
    (there, back)
}
