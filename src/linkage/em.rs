//! Weights re-estimated from a run's own candidates, without labels: to adjust, not to decide.
//!
//! May see: patterns and the model. Must not see: single pairs.
//!
//! Method: expectation-maximisation for two classes of pairs with independent attributes (Winkler 1988;
//! Jaro 1989), started at the model's own weights. Patterns are visited in a fixed order, so the result is
//! the same for any thread count. Candidates of salted views are nearly all matches and
//! the two classes are badly separated there: the estimate may shift a weight a little, never turn it.
//!
//! What the model makes of the pairs before the first round stays in every round with a weight of [`ANCHOR`], as a
//! prior does (maximum a posteriori). Without it one key in four led the historical registers to two classes that were
//! not "one child" and "two" but "given names agree" and "do not".

use super::patterns::{Patterns, score};
use crate::wire::{AttributeModel, DecisionError, EvidenceModel};

/// Pairs below which a run is too small to learn from.
pub const PAIRS_MIN: u64 = 2_000;
/// Rounds at most.
const ROUNDS_MAX: u32 = 500;
/// Change of every share below which the estimate stands.
const CHANGE_MIN: f64 = 1e-7;
/// What the model makes of the pairs counts as so many of the pairs themselves.
pub const ANCHOR: f64 = 0.3;
/// The largest shift of a weight, in hundredths of a bit. Half a bit is what an odd set gains most of and a usual one
/// hardly notices; candidates tell nothing of the pairs no join finds, so that more would be guessing.
pub const SHIFT_MAX_CENTIBITS: i32 = 50;

/// What [`estimate`] found.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Fewer than [`PAIRS_MIN`] pairs: nothing was estimated.
    TooFew {
        /// How many there are.
        pairs: u64,
    },
    /// The shares still moved after the last round: not to be used.
    NotConverged {
        /// Rounds made.
        rounds: u32,
    },
    /// It stands.
    Converged(Estimate),
}

/// Shares of levels in both classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Rounds made.
    pub rounds: u32,
    /// Share of candidates that are one child, 0 to 1.
    pub share_same: f64,
    /// Per attribute of the model, per level: log2 of the likelihood ratio in hundredths of a bit; none where
    /// fewer than 50 pairs are expected in either class together.
    pub weights: Vec<Vec<Option<i32>>>,
}

/// Per class, attribute and level: pairs expected, or shares of them; `prior`: the pairs that are one child, or their
/// share.
struct Shares {
    same: Vec<Vec<f64>>,
    different: Vec<Vec<f64>>,
    prior: f64,
}

/// Estimates weights from patterns (labels are not looked at).
#[must_use]
pub fn estimate(model: &EvidenceModel, patterns: &Patterns) -> Outcome {
    let pairs = patterns.pairs();
    if pairs < PAIRS_MIN {
        return Outcome::TooFew { pairs };
    }
    // The first round believes the model: bits above the match limit are odds.
    let odds = |centibits: i32| f64::from(centibits - model.match_at) / 100.0;
    let mut belief: Vec<f64> =
        patterns.iter().map(|(levels, _)| sigmoid_bits(odds(score(model, levels)))).collect();
    let first = expected(model, patterns, &belief);
    let mut before: Option<Vec<f64>> = None;
    for round in 1..=ROUNDS_MAX {
        let shares = maximise(expected(model, patterns, &belief), &first, pairs);
        belief = expect(patterns, &shares);
        let flat: Vec<f64> = shares.same.iter().chain(&shares.different).flatten().copied().collect();
        let still = before.as_ref().is_some_and(|before| {
            before.iter().zip(&flat).all(|(before, now)| (before - now).abs() < CHANGE_MIN)
        });
        if still {
            return Outcome::Converged(Estimate {
                rounds: round,
                share_same: shares.prior,
                weights: weights(&shares, model, patterns, &belief),
            });
        }
        before = Some(flat);
    }
    Outcome::NotConverged { rounds: ROUNDS_MAX }
}

/// `1 / (1 + 2^-bits)`.
pub(super) fn sigmoid_bits(bits: f64) -> f64 {
    1.0 / (1.0 + (-bits).exp2())
}

/// The pairs expected in each class under `belief`.
fn expected(model: &EvidenceModel, patterns: &Patterns, belief: &[f64]) -> Shares {
    let empty = || -> Vec<Vec<f64>> {
        // Half a pair in every level keeps every share above 0.
        model.attributes.iter().map(|attribute| vec![0.5; attribute.weights.len()]).collect()
    };
    let mut shares = Shares { same: empty(), different: empty(), prior: 0.0 };
    for ((levels, tally), belief) in patterns.iter().zip(belief) {
        let count = tally.total() as f64;
        shares.prior += count * belief;
        for (at, level) in
            levels.iter().enumerate().filter_map(|(at, level)| Some((at, usize::from((*level)?))))
        {
            shares.same[at][level] += count * belief;
            shares.different[at][level] += count * (1.0 - belief);
        }
    }
    shares
}

/// The shares that fit `now` and the anchor best.
fn maximise(now: Shares, anchor: &Shares, pairs: u64) -> Shares {
    let with = |now: Vec<Vec<f64>>, anchor: &[Vec<f64>]| -> Vec<Vec<f64>> {
        let add = |(now, anchor): (Vec<f64>, &Vec<f64>)| {
            now.iter().zip(anchor).map(|(now, anchor)| now + ANCHOR * anchor).collect()
        };
        now.into_iter().zip(anchor).map(add).collect()
    };
    let prior = (now.prior + ANCHOR * anchor.prior) / (pairs as f64 * (1.0 + ANCHOR));
    let mut shares = Shares {
        same: with(now.same, &anchor.same),
        different: with(now.different, &anchor.different),
        prior: prior.clamp(1e-6, 1.0 - 1e-6),
    };
    for shares in shares.same.iter_mut().chain(&mut shares.different) {
        let sum: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum);
    }
    shares
}

fn expect(patterns: &Patterns, shares: &Shares) -> Vec<f64> {
    let prior = (shares.prior / (1.0 - shares.prior)).log2();
    let belief = patterns.iter().map(|(levels, _)| {
        let bits = levels.iter().enumerate().filter_map(|(at, level)| {
            let level = usize::from((*level)?);
            Some((shares.same[at][level] / shares.different[at][level]).log2())
        });
        sigmoid_bits(prior + bits.sum::<f64>())
    });
    belief.collect()
}

fn weights(
    shares: &Shares,
    model: &EvidenceModel,
    patterns: &Patterns,
    belief: &[f64],
) -> Vec<Vec<Option<i32>>> {
    let mut pairs: Vec<Vec<u64>> =
        model.attributes.iter().map(|attribute| vec![0; attribute.weights.len()]).collect();
    for ((levels, tally), _) in patterns.iter().zip(belief) {
        for (at, level) in
            levels.iter().enumerate().filter_map(|(at, level)| Some((at, usize::from((*level)?))))
        {
            pairs[at][level] += tally.total();
        }
    }
    let weight = |at: usize, level: usize| {
        let bits = (shares.same[at][level] / shares.different[at][level]).log2();
        (pairs[at][level] >= 50).then(|| centibits(bits))
    };
    (0..pairs.len()).map(|at| (0..pairs[at].len()).map(|level| weight(at, level)).collect()).collect()
}

/// Bits to hundredths of a bit, rounded, within 100 bits.
pub(super) fn centibits(bits: f64) -> i32 {
    (bits.clamp(-100.0, 100.0) * 100.0).round() as i32
}

/// The model with each weight moved towards the estimate by at most [`SHIFT_MAX_CENTIBITS`], weights still
/// never falling.
///
/// # Errors
/// [`DecisionError`] never in practice: a valid model stays one.
pub fn adjust(model: &EvidenceModel, estimate: &Estimate) -> Result<EvidenceModel, DecisionError> {
    let mut form: crate::wire::EvidenceForm = model.clone().into();
    for (attribute, estimated) in form.attributes.iter_mut().zip(&estimate.weights) {
        shift(attribute, estimated);
    }
    form.try_into()
}

fn shift(attribute: &mut AttributeModel, estimated: &[Option<i32>]) {
    let mut floor = i32::MIN;
    for (weight, estimated) in attribute.weights.iter_mut().zip(estimated) {
        let wanted = estimated.unwrap_or(*weight);
        let moved = *weight + (wanted - *weight).clamp(-SHIFT_MAX_CENTIBITS, SHIFT_MAX_CENTIBITS);
        *weight = moved.max(floor);
        floor = *weight;
    }
}

#[cfg(test)]
mod tests {
    use super::super::patterns::Levels;
    use super::super::train::tests::{model, numbers_of};
    use super::*;

    /// Pairs drawn from known shares: 60 % are one child.
    fn drawn(pairs: u64) -> Patterns {
        let mut patterns = Patterns::default();
        let mut numbers = numbers_of(5);
        for _ in 0..pairs {
            let same = numbers.below(100) < 60;
            let mut levels = Levels::default();
            for level in levels.iter_mut().take(3) {
                let agree = numbers.below(100) < if same { 90 } else { 10 };
                *level = Some(if agree { 2 } else { numbers.below(2) as u8 });
            }
            patterns.add(levels, None);
        }
        patterns
    }

    /// The model of the tests with the weights of [`drawn`], believing that pairs of score 0 are one child by 2^`bits` to 1.
    fn believing(bits: f64) -> EvidenceModel {
        let mut form: crate::wire::EvidenceForm = model().into();
        form.attributes.iter_mut().for_each(|attribute| attribute.weights = vec![-317, -317, 317]);
        form.match_at = -centibits(bits);
        form.review_at = form.match_at;
        form.try_into().unwrap()
    }

    fn found(model: &EvidenceModel, pairs: &Patterns) -> Estimate {
        let Outcome::Converged(found) = estimate(model, pairs) else { panic!("converges") };
        found
    }

    #[test]
    fn finds_the_shares_the_pairs_were_drawn_from() {
        // 60 in 100 are one child: .58 bits.
        let found_by = found(&believing(0.58), &drawn(40_000));
        assert!((found_by.share_same - 0.6).abs() < 0.02, "{}", found_by.share_same);
        for weights in &found_by.weights {
            // log2(.9/.1) = 3.17 bits; log2(.05/.45) = -3.17 bits.
            assert!((weights[2].unwrap() - 317).abs() < 25, "{weights:?}");
            assert!((weights[0].unwrap() + 317).abs() < 25, "{weights:?}");
        }
        assert_eq!(found(&believing(0.58), &drawn(40_000)), found_by, "reproducible");
    }

    #[test]
    fn a_model_that_believes_otherwise_holds_it_back_and_is_not_believed_outright() {
        let pairs = drawn(40_000);
        let far = believing(-5.0);
        let alone: f64 = pairs
            .iter()
            .map(|(levels, tally)| {
                let odds = f64::from(score(&far, levels) - far.match_at) / 100.0;
                tally.total() as f64 * sigmoid_bits(odds) / pairs.pairs() as f64
            })
            .sum();
        let held = found(&far, &pairs).share_same;
        assert!(alone < 0.5 && alone + 0.05 < held && held < 0.59, "{alone} by itself, {held} held");
    }

    #[test]
    fn a_small_run_says_so() {
        assert_eq!(estimate(&model(), &drawn(1_999)), Outcome::TooFew { pairs: 1_999 });
    }

    #[test]
    fn adjusting_moves_weights_a_little_and_keeps_them_rising() {
        let model = model();
        let estimate = Estimate {
            rounds: 1,
            share_same: 0.5,
            weights: vec![vec![Some(900), Some(-900), None]; model.attributes.len()],
        };
        let adjusted = adjust(&model, &estimate).unwrap();
        for (before, after) in model.attributes.iter().zip(&adjusted.attributes) {
            assert_eq!(after.weights[0], before.weights[0] + SHIFT_MAX_CENTIBITS);
            assert!(after.weights.is_sorted());
            assert!(after.weights[1] >= before.weights[1] - SHIFT_MAX_CENTIBITS);
        }
    }
}
