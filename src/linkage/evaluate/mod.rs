//! Links against the truth: precision, recall and F1, overall and where it hurts.
//!
//! May see: links and truth as plain rows (synthetic or research data only). Must not see: encodings.
//!
//! Counts are exact integers; ratios are computed from them at the very end. Missed pairs are counted
//! against *all* true pairs of records of different agencies. Pairs inside one agency
//! (de-duplication) are counted apart.

mod family;
mod overlap;
mod report;
mod scores;
mod truth;

pub use overlap::Combination;
pub use report::{Confusable, Counts, Evaluation, Part};
pub use scores::{CurvePoint, ScoreBins, ScoreGroup};

use crate::wire::Band;
use std::collections::HashMap;
use std::fmt;
use truth::Truth;

/// One record of the truth.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TruthRow {
    /// Its agency.
    pub agency: String,
    /// Its id at that agency.
    pub record_id: String,
    /// The child it is about.
    pub entity_id: String,
    /// The child's family, where the truth names it.
    pub family_id: Option<String>,
    /// Whether the child is a twin (of another twin of its family).
    pub twin: bool,
    /// What happened to this record (`nickname`, `dob_swap`).
    pub events: Vec<String>,
    /// The child's name-origin group, where the truth names it.
    pub origin: Option<String>,
}

/// One link to be judged.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// Agency of the first record.
    pub agency_a: String,
    /// Id of the first record.
    pub record_a: String,
    /// Agency of the second record.
    pub agency_b: String,
    /// Id of the second record.
    pub record_b: String,
    /// Its band; `none` is not a link and is skipped.
    pub band: Band,
    /// Its score in any unit, larger is better; needed for the curve only.
    pub score: Option<i64>,
}

/// Why truth or links are refused; rows count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// A record described twice.
    #[error("truth row {row} describes a record that row {first} has described: give each record once")]
    TruthTwice {
        /// The later row.
        row: usize,
        /// The earlier row.
        first: usize,
    },
    /// No truth.
    #[error("the truth has no rows")]
    NoTruth,
    /// None of the links' records is in the truth.
    #[error("no record of the links is in the truth: check agency names and record ids of both files")]
    Unrelated,
}

/// Bands of links between two records of the truth, smaller number first.
type Linked = HashMap<(u32, u32), Band>;

/// Judges `links` by `truth`.
///
/// # Errors
/// [`EvaluateError`] when they cannot be compared.
pub fn evaluate(links: &[LinkRow], truth: &[TruthRow]) -> Result<Evaluation, EvaluateError> {
    let truth = Truth::new(truth)?;
    let mut evaluation = Evaluation::start(&truth);
    let mut linked = Linked::new();
    let mut scored: Vec<(i64, bool)> = Vec::new();
    for link in links.iter().filter(|link| link.band > Band::None) {
        let (left, right) =
            (truth.find(&link.agency_a, &link.record_a), truth.find(&link.agency_b, &link.record_b));
        let correct = match (left, right) {
            (Some(left), Some(right)) => {
                if linked.insert((left.min(right), left.max(right)), link.band).is_some() {
                    evaluation.links_repeated += 1;
                    continue;
                }
                left != right && truth.same_child(left, right)
            }
            _ => {
                evaluation.links_unknown += 1;
                false
            }
        };
        if link.agency_a == link.agency_b {
            evaluation.within_agencies.add_link(correct);
            continue;
        }
        evaluation.all.add_link(correct);
        let band = if link.band == Band::Match { &mut evaluation.matched } else { &mut evaluation.review };
        band.add_link(correct);
        scored.extend(link.score.map(|score| (score, correct)));
    }
    if linked.is_empty() && evaluation.links_unknown > 0 {
        return Err(EvaluateError::Unrelated);
    }
    evaluation.review.truth = evaluation.all.truth - evaluation.matched.correct;
    evaluation.not_one_to_one = truth.not_one_to_one(&linked);
    evaluation.agency_pairs = truth.agency_pairs(&linked);
    evaluation.events = truth.parts(&linked, |row| row.events.iter().map(String::as_str).collect(), false);
    evaluation.origins = truth.parts(&linked, |row| row.origin.as_deref().into_iter().collect(), true);
    (evaluation.twins, evaluation.siblings) = family::confusable(&truth, &linked);
    evaluation.origins_plain = truth.plain_parts(&linked, |row| row.origin.as_deref().into_iter().collect());
    evaluation.combinations = overlap::combinations(&truth, &linked);
    evaluation.scores = scores::bins(&scored);
    evaluation.curve = scores::curve(&mut scored, evaluation.all.truth);
    evaluation.groups = scores::groups(&scored);
    Ok(evaluation)
}

impl fmt::Debug for TruthRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TruthRow({} events, twin: {})", self.events.len(), self.twin)
    }
}
impl fmt::Debug for LinkRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkRow({})", self.band)
    }
}

#[cfg(test)]
mod tests;
