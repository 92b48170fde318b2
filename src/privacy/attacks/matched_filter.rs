//! Matched filter with known pairs: who resembles the same known children in the same way is the same child.
//!
//! Source: known-plaintext attacks on similarity-preserving encodings (Culnane, Rubinstein and Teague 2017; Vidanage et al.
//! 2020), with the filter of VIEWS.md: similarities above the 90th percentile, cosine to the anchors, mutual best, eight
//! rounds in which the surest answers become anchors. Over tags the anchors' neighbours in the graph of shared salts take the
//! place of similarities, and an edge counts by how near its segments' Dice are.
//!
//! The attacker knows: every agency's file, the schema, a clean register, s pairs (a colluding agency's own records, say).
//! Cost: 8 s n Dice and n^2 s / 100 additions without tags; linear in the edges with them.

use super::super::dense::{self, Guess};
use super::super::finding::Finding;
use super::super::graph::{Edge, Graph, SEGMENTS};
use super::{Likeness, Prepared};
use rayon::prelude::*;
use std::collections::HashMap;

/// Rounds of the published attack.
const ROUNDS: usize = 8;
/// Standard deviation of a segment's Dice between the two sides, in 255ths.
const SEGMENT_DEVIATION: f32 = 25.0;

/// Runs the attack with `known` pairs.
#[must_use]
pub fn run(prepared: &Prepared<'_>, known: usize, register: &str) -> Finding {
    let once = |draw: usize| {
        let pairs = prepared.target.known_pairs(known, draw);
        let guesses = match &prepared.likeness {
            Likeness::Dense { encoded, register } => dense::grow(encoded, register, &pairs, &[], ROUNDS),
            Likeness::Tagged { encoded, register } => grow(encoded, register, &pairs, ROUNDS, 0.0),
        };
        (pairs, guesses)
    };
    judged("matched-filter", prepared, known, register, once)
}

/// Draws of the known pairs whose mean is the figure, where the attack is cheap: which children happen to be known moves it
/// more than anything else.
const DRAWS: usize = 8;

/// Known pairs and what was answered.
type Answers = (Vec<(u32, u32)>, Vec<Option<Guess>>);

/// The mean share of right answers over draws of the known pairs; trials and interval are those of one draw.
pub(super) fn judged(
    attack: &'static str,
    prepared: &Prepared<'_>,
    known: usize,
    register: &str,
    once: impl Fn(usize) -> Answers,
) -> Finding {
    let target = prepared.target;
    let draws = if target.is_tagged() { DRAWS } else { 1 };
    let (mut hits, mut trials) = (0, 0);
    for draw in 0..draws {
        let (pairs, guesses) = once(draw);
        let answers: Vec<Option<u32>> = guesses.iter().map(|guess| guess.map(|guess| guess.row)).collect();
        let (right, of) = target.judge(&answers, &pairs);
        (hits, trials) = (hits + right, trials + of);
    }
    let setting = format!("{known} known pairs of {} children, {register}", target.nodes.len());
    let mean = |sum: u64| (sum + draws as u64 / 2) / draws as u64;
    Finding::share(attack, setting, mean(hits), mean(trials), target.baseline())
}

/// Grows known pairs along equal edges of the two graphs; an answer becomes an anchor when it is mutual and better than the
/// second best by more than `margin`.
pub(super) fn grow(
    encoded: &Graph,
    register: &Graph,
    known: &[(u32, u32)],
    rounds: usize,
    margin: f32,
) -> Vec<Option<Guess>> {
    let mut row_of: Vec<Option<u32>> = vec![None; encoded.len()];
    known.iter().for_each(|(node, row)| row_of[*node as usize] = Some(*row));
    let mut guesses = vec![None; encoded.len()];
    for _ in 0..rounds {
        let mut taken = vec![false; register.len()];
        row_of.iter().flatten().for_each(|row| taken[*row as usize] = true);
        guesses = (0..encoded.len() as u32)
            .into_par_iter()
            .map(|node| match row_of[node as usize] {
                Some(row) => Some(Guess { row, score: 1.0, margin: 1.0 }),
                None => guess(node, encoded, register, &row_of, &taken),
            })
            .collect();
        // Of several nodes that claim one row the best keeps it.
        let mut claims: HashMap<u32, (f32, u32)> = HashMap::new();
        for (node, guess) in (0u32..).zip(&guesses) {
            let Some(guess) = guess.filter(|g| g.margin > margin && row_of[node as usize].is_none()) else {
                continue;
            };
            let claim = claims.entry(guess.row).or_insert((guess.score, node));
            if guess.score > claim.0 {
                *claim = (guess.score, node);
            }
        }
        if claims.is_empty() {
            break;
        }
        claims.into_iter().for_each(|(row, (_, node))| row_of[node as usize] = Some(row));
    }
    guesses
}

/// The row whose edges to the anchors' rows are most like the node's edges to the anchors.
fn guess(
    node: u32,
    encoded: &Graph,
    register: &Graph,
    row_of: &[Option<u32>],
    taken: &[bool],
) -> Option<Guess> {
    let mut scores: Vec<(u32, f32)> = Vec::new();
    let mut anchored = 0u32;
    for edge in encoded.of(node) {
        let Some(anchor) = row_of[edge.to as usize] else { continue };
        anchored += 1;
        for theirs in
            register.of(anchor).iter().filter(|theirs| theirs.view == edge.view && !taken[theirs.to as usize])
        {
            let likeness = likeness(edge, theirs);
            match scores.iter_mut().find(|(row, _)| *row == theirs.to) {
                Some((_, score)) => *score += likeness,
                None => scores.push((theirs.to, likeness)),
            }
        }
    }
    let anchored_rows = |row: u32| register.of(row).iter().filter(|edge| taken[edge.to as usize]).count();
    scores.iter_mut().for_each(|(row, s)| *s /= (anchored as f32 * anchored_rows(*row).max(1) as f32).sqrt());
    scores.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let (row, score) = *scores.first()?;
    Some(Guess { row, score, margin: score - scores.get(1).map_or(0.0, |second| second.1) })
}

/// How likely two edges say the same, from 0 to 1.
pub(super) fn likeness(a: &Edge, b: &Edge) -> f32 {
    let distance: f32 = (0..SEGMENTS)
        .map(|k| {
            let apart = (f32::from(a.segments[k]) - f32::from(b.segments[k])) / SEGMENT_DEVIATION;
            apart * apart
        })
        .sum();
    (-distance / 4.0).exp()
}
