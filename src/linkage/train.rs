//! Weights learnt from labelled candidate pairs of generated data: what a schema ships.
//!
//! May see: patterns and the model. Must not see: single pairs.
//!
//! Method: logistic regression on level indicators with a small ridge, by Newton's method on the counted
//! patterns; it corrects for attributes that are not independent among candidates, which plain
//! m/u ratios do not. Then weights are made to rise with the level (pool adjacent violators, weighted by
//! pairs), clipped and rounded. A missing attribute weighs 0 by construction.

use super::em::centibits;
use super::patterns::{Patterns, score};
use crate::wire::{DecisionError, EvidenceForm, EvidenceModel};

/// Weights are clipped at this many hundredths of a bit: a single attribute never decides alone.
pub const CLIP_CENTIBITS: i32 = 600;
/// Newton rounds; each at least halves the distance near the optimum.
const ROUNDS: usize = 40;
/// A pair goes to a person where one in so many like it is one child: an asked-for look is cheap, a missed child not.
const WORTH_A_LOOK_ONE_IN: f64 = 8.0;
/// Penalty on a weight (in nats squared): keeps levels that nobody has at 0.
const RIDGE: f64 = 0.5;

/// Why nothing can be learnt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// Too few pairs of a kind.
    #[error(
        "training needs at least 100 candidate pairs of one child and 100 of two; there are {same} and {different}"
    )]
    TooFew {
        /// Pairs of one child.
        same: u64,
        /// Pairs of two children.
        different: u64,
    },
    /// A precision that is no share.
    #[error("the target precision must lie above 0.5 and below 1, in millionths")]
    Target,
    /// The learnt model is refused.
    #[error(transparent)]
    Decision(#[from] DecisionError),
}

/// Learns the weights of `model`'s attributes (its cut points stay), and both band limits: `match_at` is
/// the lowest score from which at least `precision_millionths` of the candidate pairs are one child (above
/// every score seen where none reaches it),
/// `review_at` the score at which one pair in eight is one child by the fit, or `match_at` where that is lower.
///
/// # Errors
/// [`TrainError`] for too few labelled pairs or a target out of range.
pub fn train(
    model: &EvidenceModel,
    patterns: &Patterns,
    precision_millionths: u32,
) -> Result<EvidenceModel, TrainError> {
    if !(500_001..1_000_000).contains(&precision_millionths) {
        return Err(TrainError::Target);
    }
    let (same, different) =
        patterns.iter().fold((0, 0), |(s, d), (_, tally)| (s + tally.same, d + tally.different));
    if same < 100 || different < 100 {
        return Err(TrainError::TooFew { same, different });
    }
    let offsets: Vec<usize> = model
        .attributes
        .iter()
        .scan(1, |next, attribute| {
            *next += attribute.weights.len();
            Some(*next - attribute.weights.len())
        })
        .collect();
    let parameters = regress(model, patterns, &offsets);
    let mut form: EvidenceForm = model.clone().into();
    for (at, attribute) in form.attributes.iter_mut().enumerate() {
        let levels = attribute.weights.len();
        let mut pairs = vec![0.0; levels];
        for (pattern, tally) in patterns.iter() {
            if let Some(level) = pattern[at] {
                pairs[usize::from(level)] += (tally.same + tally.different) as f64;
            }
        }
        let raw = &parameters[offsets[at]..offsets[at] + levels];
        let rising = rise(raw, &pairs);
        attribute.weights = rising
            .into_iter()
            .map(|nats| centibits(nats / std::f64::consts::LN_2).clamp(-CLIP_CENTIBITS, CLIP_CENTIBITS))
            .collect();
    }
    // The limits are set under the new weights; until then they must not contradict each other.
    (form.match_at, form.review_at) = (0, 0);
    let learnt = EvidenceModel::try_from(form.clone())?;
    form.match_at = match_at(&learnt, patterns, precision_millionths);
    let even = -parameters[0] / std::f64::consts::LN_2;
    form.review_at = centibits(even - (WORTH_A_LOOK_ONE_IN - 1.0).log2()).min(form.match_at);
    Ok(form.try_into()?)
}

/// Intercept and one parameter a level (nats), the maximum of the penalised likelihood.
fn regress(model: &EvidenceModel, patterns: &Patterns, offsets: &[usize]) -> Vec<f64> {
    let size = 1 + model.attributes.iter().map(|attribute| attribute.weights.len()).sum::<usize>();
    let active: Vec<(Vec<usize>, f64, f64)> = patterns
        .iter()
        .map(|(levels, tally)| {
            let ones = levels
                .iter()
                .zip(offsets)
                .filter_map(|(level, offset)| Some(offset + usize::from((*level)?)));
            let (same, different) = (tally.same as f64, tally.different as f64);
            (std::iter::once(0).chain(ones).collect(), same, same + different)
        })
        .collect();
    let mut parameters = vec![0.0; size];
    for _ in 0..ROUNDS {
        let mut gradient: Vec<f64> = parameters.iter().map(|p| -RIDGE * p).collect();
        let mut curvature = vec![vec![0.0; size]; size];
        (0..size).for_each(|at| curvature[at][at] = RIDGE);
        for (ones, same, count) in &active {
            let sum: f64 = ones.iter().map(|at| parameters[*at]).sum();
            let expected = 1.0 / (1.0 + (-sum).exp());
            for at in ones {
                gradient[*at] += same - count * expected;
                for other in ones {
                    curvature[*at][*other] += count * expected * (1.0 - expected);
                }
            }
        }
        let step = solve(curvature, gradient);
        // A bounded step keeps the first rounds from overshooting.
        let largest = step.iter().fold(0.0f64, |largest, s| largest.max(s.abs()));
        let scale = if largest > 2.0 { 2.0 / largest } else { 1.0 };
        parameters.iter_mut().zip(&step).for_each(|(parameter, step)| *parameter += scale * step);
        if largest < 1e-9 {
            break;
        }
    }
    parameters
}

/// Solves `matrix * x = right` for a symmetric positive definite matrix, by elimination with pivots.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for column in 0..size {
        let pivot =
            (column..size).max_by(|x, y| matrix[*x][column].abs().total_cmp(&matrix[*y][column].abs()));
        let pivot = pivot.unwrap_or(column);
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        for row in column + 1..size {
            let factor = matrix[row][column] / matrix[column][column];
            let (upper, lower) = matrix.split_at_mut(row);
            lower[0][column..].iter_mut().zip(&upper[column][column..]).for_each(|(x, y)| *x -= factor * y);
            right[row] -= factor * right[column];
        }
    }
    for column in (0..size).rev() {
        let known: f64 = (column + 1..size).map(|other| matrix[column][other] * right[other]).sum();
        right[column] = (right[column] - known) / matrix[column][column];
    }
    right
}

/// The nearest rising sequence, each value weighed (pool adjacent violators).
fn rise(values: &[f64], weights: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (value, weight) in values.iter().zip(weights) {
        let mut pool = (*value, weight.max(1e-3), 1);
        while let Some((mean, mass, length)) = pools.last().copied().filter(|(mean, ..)| *mean > pool.0) {
            pools.pop();
            let together = mass + pool.1;
            pool = ((mean * mass + pool.0 * pool.1) / together, together, length + pool.2);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(mean, _, length)| std::iter::repeat_n(mean, length)).collect()
}

/// The lowest score from which on so many pairs are one child, under the weights of `model`.
fn match_at(model: &EvidenceModel, patterns: &Patterns, precision_millionths: u32) -> i32 {
    let mut scored: Vec<(i32, u64, u64)> =
        patterns.iter().map(|(levels, tally)| (score(model, levels), tally.same, tally.different)).collect();
    scored.sort_unstable_by_key(|(score, ..)| std::cmp::Reverse(*score));
    let (mut same, mut different) = (0u64, 0u64);
    let mut match_at = scored.first().map_or(0, |top| top.0 + 1);
    for block in scored.chunk_by(|one, other| one.0 == other.0) {
        same += block.iter().map(|(_, same, _)| same).sum::<u64>();
        different += block.iter().map(|(_, _, different)| different).sum::<u64>();
        if same * 1_000_000 >= u64::from(precision_millionths) * (same + different) {
            match_at = block[0].0;
        }
    }
    match_at
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::patterns::Levels;
    use super::*;
    use crate::wire::DecisionModel;

    /// Reproducible numbers for the tests of learning (SplitMix64).
    pub(in super::super) struct Numbers(u64);
    impl Numbers {
        pub(in super::super) fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33) % bound
        }
    }
    pub(in super::super) fn numbers_of(seed: u64) -> Numbers {
        Numbers(seed)
    }

    /// Three attributes of three levels.
    pub(in super::super) fn model() -> EvidenceModel {
        let attribute = |name: &str| {
            format!(
                "[[evidence.attributes]]\nname = \"{name}\"\ncuts = [\"0.6\", \"0.8\"]\nweights = [-300, 0, 300]\n"
            )
        };
        let head = "[evidence]\nmatch_at = 300\nreview_at = 0\nagree_at = \"0.5\"\nempty_below = \"0.1\"\n";
        let text = [head.to_owned(), attribute("given"), attribute("family"), attribute("date")].concat();
        match toml::from_str(&text).unwrap() {
            DecisionModel::Evidence(model) => model,
            DecisionModel::Dice(_) => panic!("evidence"),
        }
    }

    /// Labelled pairs: `date` tells a lot, `family` copies `given` exactly, a level is never seen.
    fn labelled() -> Patterns {
        let mut patterns = Patterns::default();
        let mut numbers = numbers_of(9);
        for _ in 0..30_000 {
            let same = numbers.below(2) == 0;
            let draw = |numbers: &mut Numbers, hit: u64| {
                let agree = numbers.below(100) < if same { hit } else { 100 - hit };
                if agree { 2 } else { 0 }
            };
            let mut levels = Levels::default();
            levels[0] = Some(draw(&mut numbers, 80));
            levels[1] = levels[0];
            levels[2] = Some(draw(&mut numbers, 95)).filter(|_| numbers.below(10) > 0);
            patterns.add(levels, Some(same));
        }
        patterns
    }

    #[test]
    fn shares_the_weight_of_copies_and_stays_rising_and_clipped() {
        let learnt = train(&model(), &labelled(), 950_000).unwrap();
        let step = |at: usize| learnt.attributes[at].weights[2] - learnt.attributes[at].weights[0];
        // log2(.8/.2) twice is 4 bits between the levels: two copies carry 2 each, naive m/u 4 each.
        assert!((step(0) + step(1) - 400).abs() < 30, "{} {}", step(0), step(1));
        assert!((step(0) - step(1)).abs() < 5);
        // log2(.95/.05) twice is 8.5 bits.
        assert!((step(2) - 850).abs() < 60, "{}", step(2));
        for attribute in &learnt.attributes {
            assert!(attribute.weights.is_sorted());
            assert!(attribute.weights.iter().all(|weight| weight.abs() <= CLIP_CENTIBITS));
        }
        assert_eq!(train(&model(), &labelled(), 950_000).unwrap(), learnt, "reproducible");
    }

    #[test]
    fn limits_keep_the_target_precision() {
        let patterns = labelled();
        let learnt = train(&model(), &patterns, 980_000).unwrap();
        let (mut same, mut all) = (0, 0);
        for (_, tally) in patterns.iter().filter(|(levels, _)| score(&learnt, levels) >= learnt.match_at) {
            same += tally.same;
            all += tally.same + tally.different;
        }
        assert!(same * 100 >= 98 * all && all > 0, "{same} of {all}");
        assert!(learnt.review_at <= learnt.match_at);
    }

    #[test]
    fn rising_pools_what_falls() {
        assert_eq!(rise(&[1.0, 3.0, 2.0, 5.0], &[1.0; 4]), [1.0, 2.5, 2.5, 5.0]);
        assert_eq!(rise(&[3.0, 2.0, 1.0], &[1.0, 1.0, 1.0]), [2.0; 3]);
    }

    #[test]
    fn refuses_to_learn_from_too_little() {
        let empty = Patterns::default();
        assert_eq!(
            train(&model(), &empty, 990_000).unwrap_err(),
            TrainError::TooFew { same: 0, different: 0 }
        );
        assert_eq!(train(&model(), &empty, 1_000_000).unwrap_err(), TrainError::Target);
    }
}
