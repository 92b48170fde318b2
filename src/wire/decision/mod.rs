//! How a pair of encodings becomes a band: chosen in the schema, read by the engine.
//!
//! May see: thresholds, names and layouts of `wire`. Must not see: encodings, refs, other rooms.

mod attribute;
mod evidence;
mod verdict;

pub use attribute::AttributeBand;
pub use evidence::{
    AttributeModel, DateGuard, EvidenceForm, EvidenceModel, ExactModel, Guards, Implication, OrMissing,
    SegmentMap, TwinGuard, ViewModel,
};
pub use verdict::{Band, Reason, Reasons, Score, Similarity, SimilarityError};

use super::{AttributeName, Layout, Threshold, ViewName};
use serde::{Deserialize, Serialize};

/// The decision a schema ships with its layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DecisionModel {
    /// Dice of one composite filter against two thresholds.
    Dice(DiceModel),
    /// Levels of similarity per attribute, weighed and added, with guards.
    Evidence(EvidenceModel),
}

/// Bands of one composite filter: match from `match_at`, review from `review_at`.
///
/// `review_at` must not lie above `match_at`; [`DecisionModel::check`] refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiceModel {
    /// Dice at or above which a pair is judged the same child.
    pub match_at: Threshold,
    /// Dice at or above which a person should look.
    pub review_at: Threshold,
    /// A match whose runner-up lies less than this below it becomes a review; 0 or absent: no such guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_up_margin: Option<Similarity>,
}

impl DiceModel {
    /// One threshold, no review band, no runner-up guard: what `link --threshold` asks for.
    #[must_use]
    pub const fn at(threshold: Threshold) -> Self {
        Self { match_at: threshold, review_at: threshold, runner_up_margin: None }
    }
}

/// Why a decision model is refused, by itself or for a layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// A review band that begins above the match band.
    #[error("decision: review_at must not lie above match_at")]
    Bands,
    /// No attribute, or too many.
    #[error("decision: an evidence model has 1 to {max} attributes", max = evidence::ATTRIBUTES_MAX)]
    Attributes,
    /// An attribute, view or exact token named twice.
    #[error("decision: '{0}' is named twice")]
    Duplicate(String),
    /// Cut points that do not rise, or too many of them.
    #[error("decision: cuts of '{0}' must be 1 to {max} similarities in rising order", max = evidence::CUTS_MAX)]
    Cuts(AttributeName),
    /// Not one weight more than cut points.
    #[error("decision: '{attribute}' has {cuts} cuts and so needs {} weights, not {weights}", cuts + 1)]
    Weights {
        /// The attribute.
        attribute: AttributeName,
        /// How many cut points it has.
        cuts: usize,
        /// How many weights it has.
        weights: usize,
    },
    /// Weights that fall while similarity rises.
    #[error("decision: weights of '{0}' must not fall from one level to the next")]
    Monotone(AttributeName),
    /// A weight, margin or band limit out of range.
    #[error("decision: {0} must lie between -{max} and {max} centibits", max = evidence::CENTIBITS_MAX)]
    Range(String),
    /// A rule names an attribute the model does not have.
    #[error("decision: {rule} names attribute '{attribute}', which the model does not have")]
    UnknownAttribute {
        /// Which rule.
        rule: &'static str,
        /// The unknown attribute.
        attribute: AttributeName,
    },
    /// A presence bit that is reserved for flags.
    #[error("decision: presence_bit of '{0}' must be 0 to {max}", max = super::presence::ATTRIBUTES_MAX - 1)]
    PresenceBit(AttributeName),
    /// A segment map that could leave [0, 1].
    #[error("decision: the map of segment '{0}' must stay within 0 and 1 (offset + slope <= 1)")]
    Map(AttributeName),
    /// A guard that could not lower a band.
    #[error("decision: the date guard must lower a band to 'review' or 'none'")]
    GuardBand,
    /// A view rule without its view.
    #[error("decision: the layout has no view '{0}'")]
    UnknownView(ViewName),
    /// A segment nothing reads, or a rule about a segment the view does not have.
    #[error("decision: view '{view}' and the model disagree about segment '{segment}'")]
    Segment {
        /// The view.
        view: ViewName,
        /// The segment's attribute.
        segment: AttributeName,
    },
    /// Segments of unequal length can not be compared crosswise.
    #[error("decision: view '{0}': segments that may be swapped must have the same number of bits")]
    Swap(ViewName),
    /// An exact token the layout does not carry.
    #[error("decision: the layout carries no exact token '{0}'")]
    UnknownExact(AttributeName),
}

impl DecisionModel {
    /// The limits of the review and the match band, as [`Score::rounded`] counts: millionths of Dice, hundredths of a bit.
    #[must_use]
    pub fn limits(&self) -> [i64; 2] {
        match self {
            Self::Dice(model) => [model.review_at, model.match_at].map(|at| i64::from(at.millionths())),
            Self::Evidence(model) => [model.review_at, model.match_at].map(i64::from),
        }
    }

    /// Checks the model against the layout it will judge.
    ///
    /// # Errors
    /// [`DecisionError`] names the first rule that does not fit.
    pub fn check(&self, layout: &Layout) -> Result<(), DecisionError> {
        match self {
            Self::Dice(model) if model.review_at > model.match_at => Err(DecisionError::Bands),
            Self::Dice(_) => Ok(()),
            Self::Evidence(model) => model.check_layout(layout),
        }
    }
}
