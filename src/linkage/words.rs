//! How the attributes of a pair agree, in words: what a reviewer sees instead of similarities.
//!
//! May see: the arena and the judge. Must not see: refs.

use super::arena::Dataset;
use super::decide::Judge;
use crate::wire::{AttributeBand, AttributeName, Score, Similarity};

/// One word an attribute of the decision model for record `left.1` of `left.0` and record `right.1` of
/// `right.0`; under a Dice model, which has no attributes, one word for the first segment of the layout.
#[must_use]
pub fn attribute_words(
    judge: &Judge,
    left: (&Dataset, usize),
    right: (&Dataset, usize),
) -> Vec<(AttributeName, AttributeBand)> {
    let Some(model) = judge.evidence_model() else {
        let segment = left.0.layout.views().first().and_then(|view| view.segments.first());
        let verdict = judge.judge(left.0, left.1, right.0, right.1);
        let band = match verdict.map(|verdict| verdict.score) {
            Some(Score::Dice { common, total }) if 2 * common == total => AttributeBand::Exact,
            Some(_) => AttributeBand::Near,
            None => AttributeBand::Differs,
        };
        return segment.map(|segment| (segment.attribute.clone(), band)).into_iter().collect();
    };
    let evidence = judge.evidence(left.0, left.1, right.0, right.1).unwrap_or_default();
    let attributes = model.attributes.iter().zip(&evidence.similarities);
    attributes
        .map(|(attribute, similarity)| {
            let band = match similarity {
                None => AttributeBand::Missing,
                Some(Similarity::ONE) => AttributeBand::Exact,
                Some(similarity) if attribute.level(*similarity) > 0 => AttributeBand::Near,
                Some(_) => AttributeBand::Differs,
            };
            (attribute.name.clone(), band)
        })
        .collect()
}
