//! How a pair of encodings becomes a band: chosen in the schema, read by the engine.

use super::Threshold;
use serde::{Deserialize, Serialize};

/// The decision a schema ships with its layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DecisionModel {
    /// Dice of one composite filter against two thresholds.
    Dice(DiceModel),
}

/// Bands of one composite filter: match from `match_at`, review from `review_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiceModel {
    /// Dice at or above which a pair is judged the same child.
    pub match_at: Threshold,
    /// Dice at or above which a person should look.
    pub review_at: Threshold,
}
