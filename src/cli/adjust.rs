//! The schema's weights, moved a little towards what a run's own candidates say: what `link` judges by, and `evaluate`
//! after it.
//!
//! May see: datasets and the decision. Must not see: keys, identifiers, single pairs.

use super::exit::{Exit, Failure, OrExit};
use super::term::Terminal;
use crate::linkage::arena::Dataset;
use crate::linkage::em::{Outcome, PAIRS_MIN, adjust as moved, estimate};
use crate::linkage::exec::{Control, Exec};
use crate::linkage::patterns::Patterns;
use crate::linkage::run::{Among, LinkOptions};
use crate::wire::{DecisionModel, EvidenceModel};
use clap::Args;
use serde::Serialize;

/// Which weights links are judged by.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WeightArgs {
    /// Judge by the schema's weights and limits as they are. Without this a run of a few thousand candidate pairs first
    /// moves each weight by at most half a bit towards what those pairs say, and the review band is fitted to the run:
    /// deeper where records are hard to confuse, under one Dice less deep where hardly a link down there is right
    /// (docs/linkage-quality.md).
    #[arg(long)]
    pub(crate) no_adjust: bool,
}

/// What became of the weights.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Adjusted {
    /// Too few candidate pairs to learn from: the schema's weights stand.
    TooFew { pairs: u64 },
    /// The estimate still moved after the last round: the schema's weights stand.
    NotConverged { rounds: u32 },
    Converged {
        rounds: u32,
        /// Expected share of candidate pairs that are one child.
        share_same: f64,
        /// The largest move of a weight, in hundredths of a bit.
        largest_move: i32,
    },
}

/// The decision a run is judged by, and what became of its weights: none where it has no weights, or they were to stay.
pub(crate) fn adjust(
    datasets: &[Dataset],
    decision: &DecisionModel,
    (weights, options): (WeightArgs, &LinkOptions),
    threads: Option<usize>,
    terminal: Terminal,
) -> Result<(DecisionModel, Option<Adjusted>), Failure> {
    let model = match decision {
        DecisionModel::Evidence(model) if !weights.no_adjust => model,
        _ => return Ok((decision.clone(), None)),
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.or_exit(Exit::Internal)?;
    terminal.note("adjusting weights to the candidates of this run");
    let unlabelled = |_, _| None;
    let among = (datasets, Among::Neighbours);
    let patterns =
        Patterns::collect(among, decision, options, Exec::Pool(&pool), &Control::new(), &unlabelled)
            .or_exit(Exit::BadInput)?;
    let (decision, said) = match estimate(model, &patterns) {
        Outcome::TooFew { pairs } => {
            terminal
                .note(format!("{pairs} candidate pairs, {PAIRS_MIN} are needed: weights stay as shipped"));
            (decision.clone(), Adjusted::TooFew { pairs })
        }
        Outcome::NotConverged { rounds } => {
            terminal.note(format!("no stable estimate after {rounds} rounds: weights stay as shipped"));
            (decision.clone(), Adjusted::NotConverged { rounds })
        }
        Outcome::Converged(found) => {
            let adjusted = moved(model, &found).or_exit(Exit::Internal)?;
            let largest_move = largest_move(model, &adjusted);
            let bits = f64::from(largest_move) / 100.0;
            terminal.note(format!("weights adjusted in {} rounds, by at most {bits} bits", found.rounds));
            let said =
                Adjusted::Converged { rounds: found.rounds, share_same: found.share_same, largest_move };
            (DecisionModel::Evidence(adjusted), said)
        }
    };
    Ok((decision, Some(said)))
}

fn largest_move(before: &EvidenceModel, after: &EvidenceModel) -> i32 {
    let weights = |model: &EvidenceModel| -> Vec<i32> {
        model.attributes.iter().flat_map(|attribute| attribute.weights.clone()).collect()
    };
    let moves = weights(before).into_iter().zip(weights(after)).map(|(one, two)| (one - two).abs());
    moves.max().unwrap_or(0)
}
