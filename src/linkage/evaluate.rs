//! Links against the truth: precision, recall and F1, overall and where it hurts.
//!
//! May see: links and truth as plain rows (synthetic or research data only). Must not see: encodings.
//!
//! Counts are exact integers; ratios are computed from them at the very end. Missed pairs are counted
//! against *all* true pairs of records of different agencies. Pairs inside one agency
//! (de-duplication) are counted apart.

mod family;

use crate::wire::Band;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// Points of the threshold curve at most.
const CURVE_POINTS_MAX: usize = 200;

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
    fn add_link(&mut self, correct: bool) {
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

/// One point of the threshold curve: all links with a score of at least `score`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CurvePoint {
    /// The threshold.
    pub score: i64,
    /// Counts at it.
    pub counts: Counts,
}

/// What [`evaluate`] found.
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
    /// Twins, where the truth names families.
    pub twins: Confusable,
    /// Other brothers and sisters.
    pub siblings: Confusable,
    /// Precision and recall at every threshold (up to 200 of them), highest first.
    pub curve: Vec<CurvePoint>,
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

/// The truth with numbers for names.
pub(crate) struct Truth<'t> {
    rows: &'t [TruthRow],
    entity: Vec<u32>,
    agency: Vec<u32>,
    records_of: Vec<Vec<u32>>,
    number_of: HashMap<(&'t str, &'t str), u32>,
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
    evaluation.curve = curve(scored, evaluation.all.truth);
    Ok(evaluation)
}

impl Evaluation {
    fn start(truth: &Truth<'_>) -> Self {
        let (mut between, mut within, mut one_to_one) = (0, 0, 0);
        for records in &truth.records_of {
            let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
            records.iter().for_each(|record| *counts.entry(truth.agency[*record as usize]).or_default() += 1);
            let counts: Vec<u64> = counts.into_values().collect();
            for (at, ours) in counts.iter().enumerate() {
                within += ours * (ours - 1) / 2;
                for theirs in &counts[at + 1..] {
                    between += ours * theirs;
                    one_to_one += ours.min(theirs);
                }
            }
        }
        let counts = Counts { truth: between, ..Counts::default() };
        Self {
            records: truth.rows.len() as u64,
            children: truth.records_of.len() as u64,
            all: counts,
            matched: counts,
            review: Counts::default(),
            truth_one_to_one: one_to_one,
            within_agencies: Counts { truth: within, ..Counts::default() },
            links_unknown: 0,
            links_repeated: 0,
            not_one_to_one: 0,
            agency_pairs: Vec::new(),
            events: Vec::new(),
            origins: Vec::new(),
            twins: Confusable::default(),
            siblings: Confusable::default(),
            curve: Vec::new(),
        }
    }
}

impl<'t> Truth<'t> {
    fn new(rows: &'t [TruthRow]) -> Result<Self, EvaluateError> {
        if rows.is_empty() {
            return Err(EvaluateError::NoTruth);
        }
        let mut truth = Self {
            rows,
            entity: Vec::with_capacity(rows.len()),
            agency: Vec::with_capacity(rows.len()),
            records_of: Vec::new(),
            number_of: HashMap::with_capacity(rows.len()),
        };
        let (mut entities, mut agencies) = (HashMap::new(), HashMap::new());
        for (number, row) in (0u32..).zip(rows) {
            if let Some(first) = truth.number_of.insert((&row.agency, &row.record_id), number) {
                return Err(EvaluateError::TruthTwice {
                    row: number as usize + 1,
                    first: first as usize + 1,
                });
            }
            let next = u32::try_from(entities.len()).unwrap_or(u32::MAX);
            let entity = *entities.entry(row.entity_id.as_str()).or_insert(next);
            if entity == next {
                truth.records_of.push(Vec::new());
            }
            truth.records_of[entity as usize].push(number);
            truth.entity.push(entity);
            let next = u32::try_from(agencies.len()).unwrap_or(u32::MAX);
            truth.agency.push(*agencies.entry(row.agency.as_str()).or_insert(next));
        }
        Ok(truth)
    }

    fn find(&self, agency: &str, record_id: &str) -> Option<u32> {
        self.number_of.get(&(agency, record_id)).copied()
    }

    fn same_child(&self, left: u32, right: u32) -> bool {
        self.entity[left as usize] == self.entity[right as usize]
    }

    fn same_agency(&self, left: u32, right: u32) -> bool {
        self.agency[left as usize] == self.agency[right as usize]
    }

    fn row(&self, number: u32) -> &'t TruthRow {
        &self.rows[number as usize]
    }

    /// True pairs of records of different agencies.
    fn true_pairs(&self) -> impl Iterator<Item = (u32, u32)> {
        self.records_of.iter().flat_map(move |records| {
            let pairs = records.iter().enumerate().flat_map(move |(at, left)| {
                records[at + 1..].iter().map(move |right| (*left.min(right), *left.max(right)))
            });
            pairs.filter(|(left, right)| !self.same_agency(*left, *right))
        })
    }

    fn not_one_to_one(&self, linked: &Linked) -> u64 {
        let mut partners: HashMap<(u32, u32), u64> = HashMap::new();
        for (left, right) in linked.keys().filter(|(left, right)| !self.same_agency(*left, *right)) {
            *partners.entry((*left, self.agency[*right as usize])).or_default() += 1;
            *partners.entry((*right, self.agency[*left as usize])).or_default() += 1;
        }
        partners.values().filter(|count| **count > 1).count() as u64
    }

    fn agency_pairs(&self, linked: &Linked) -> Vec<Part> {
        let name = |left: u32, right: u32| {
            let (one, other) = (self.row(left).agency.as_str(), self.row(right).agency.as_str());
            vec![format!("{} + {}", one.min(other), one.max(other))]
        };
        self.tally(linked, name, true)
    }

    fn parts<'s>(
        &'s self,
        linked: &Linked,
        names: impl Fn(&'s TruthRow) -> Vec<&'s str>,
        wrong: bool,
    ) -> Vec<Part> {
        let of_pair = |left: u32, right: u32| {
            let mut both = names(self.row(left));
            both.extend(names(self.row(right)));
            both.sort_unstable();
            both.dedup();
            both.into_iter().map(str::to_owned).collect()
        };
        self.tally(linked, of_pair, wrong)
    }

    /// Counts true pairs and links under the names each pair bears; wrong links only where `wrong`.
    fn tally(&self, linked: &Linked, names: impl Fn(u32, u32) -> Vec<String>, wrong: bool) -> Vec<Part> {
        let mut parts: BTreeMap<String, (Counts, Counts)> = BTreeMap::new();
        for (left, right) in self.true_pairs() {
            for name in names(left, right) {
                let (matched, all) = parts.entry(name).or_default();
                matched.truth += 1;
                all.truth += 1;
            }
        }
        for ((left, right), band) in linked {
            let correct = self.same_child(*left, *right);
            if self.same_agency(*left, *right) || !correct && !wrong {
                continue;
            }
            for name in names(*left, *right) {
                let (matched, all) = parts.entry(name).or_default();
                all.add_link(correct);
                if *band == Band::Match {
                    matched.add_link(correct);
                }
            }
        }
        parts.into_iter().map(|(name, (matched, all))| Part { name, matched, all }).collect()
    }
}

fn curve(mut scored: Vec<(i64, bool)>, truth: u64) -> Vec<CurvePoint> {
    scored.sort_unstable_by_key(|(score, _)| std::cmp::Reverse(*score));
    let mut points = Vec::new();
    let mut counts = Counts { truth, ..Counts::default() };
    for block in scored.chunk_by(|one, other| one.0 == other.0) {
        block.iter().for_each(|(_, correct)| counts.add_link(*correct));
        points.push(CurvePoint { score: block[0].0, counts });
    }
    if points.len() <= CURVE_POINTS_MAX {
        return points;
    }
    let last = points.len() - 1;
    (0..CURVE_POINTS_MAX).map(|at| points[at * last / (CURVE_POINTS_MAX - 1)]).collect()
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
