//! What an evaluation says: counts first, ratios from them.
//!
//! May see: numbers and names of agencies, events, groups. Must not see: records.

use super::{Combination, CurvePoint, ScoreBins, ScoreGroup};
use serde::Serialize;

/// Links made, links right, pairs that are true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Links made.
    pub links: u64,
    /// Links made that are right.
    pub correct: u64,
    /// True pairs.
    pub truth: u64,
}

impl Counts {
    /// Share of links that are right; none without a link.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        ratio(self.correct, self.links)
    }
    /// Share of true pairs that are linked; none without a true pair.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        ratio(self.correct, self.truth)
    }
    /// `2 * correct / (links + truth)`; none without either.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        ratio(2 * self.correct, self.links + self.truth)
    }
    pub(super) fn add_link(&mut self, correct: bool) {
        self.links += 1;
        self.correct += u64::from(correct);
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Counts of one part of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Which part (`education + health`, `nickname`).
    pub name: String,
    /// Links of band match.
    pub matched: Counts,
    /// Links of either band.
    pub all: Counts,
}

/// Pairs of records of different children who are easily confused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Confusable {
    /// Pairs of children.
    pub pairs_of_children: u64,
    /// Pairs of their records in different agencies.
    pub pairs_of_records: u64,
    /// False links between them of band match.
    pub false_matches: u64,
    /// False links between them of band review.
    pub false_reviews: u64,
}

/// What [`super::evaluate`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    /// Records of the truth.
    pub records: u64,
    /// Children of the truth.
    pub children: u64,
    /// Links of either band between agencies.
    pub all: Counts,
    /// Links of band match.
    pub matched: Counts,
    /// Links of band review; `truth` is the true pairs that band match leaves.
    pub review: Counts,
    /// The most true pairs a one-to-one linkage can find: in-agency duplicates leave some out.
    pub truth_one_to_one: u64,
    /// Pairs inside one agency.
    pub within_agencies: Counts,
    /// Links with a record the truth does not know; they count as wrong.
    pub links_unknown: u64,
    /// Links given twice; counted once.
    pub links_repeated: u64,
    /// Records that stand in more than one link with one and the same other agency.
    pub not_one_to_one: u64,
    /// By pair of agencies.
    pub agency_pairs: Vec<Part>,
    /// By event: pairs of which a record bears it. Links are counted where right: a wrong link has no event
    /// to blame.
    pub events: Vec<Part>,
    /// By name origin: pairs of which a record bears it.
    pub origins: Vec<Part>,
    /// As `origins`, of pairs to which nothing happened: neither record bears an event.
    pub origins_plain: Vec<Part>,
    /// Twins, where the truth names families.
    pub twins: Confusable,
    /// Other brothers and sisters.
    pub siblings: Confusable,
    /// Precision and recall at every threshold (up to 200 of them), highest first.
    pub curve: Vec<CurvePoint>,
    /// Right and wrong links by score.
    pub scores: ScoreBins,
    /// Links in groups of neighbouring scores, lowest first.
    pub groups: Vec<ScoreGroup>,
    /// Children by the agencies that know them.
    pub combinations: Vec<Combination>,
}

impl Evaluation {
    /// Agencies of the truth that no link names: their pairs count as missed, also where nobody linked them.
    #[must_use]
    pub fn agencies_without_links(&self) -> Vec<&str> {
        let named = |linked: bool| {
            let parts = self.agency_pairs.iter().filter(move |part| !linked || part.all.links > 0);
            parts.flat_map(|part| part.name.split(" + ")).collect::<std::collections::BTreeSet<&str>>()
        };
        named(false).difference(&named(true)).copied().collect()
    }
}
