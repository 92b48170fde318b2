//! The truth with numbers for names, and what it says about links part by part.
//!
//! May see: truth rows and links by number. Must not see: encodings.

use super::{Confusable, Counts, EvaluateError, Evaluation, Linked, Part, ScoreBins, TruthRow};
use crate::wire::Band;
use std::collections::{BTreeMap, HashMap};

/// The truth with numbers for names.
pub(super) struct Truth<'t> {
    pub(super) rows: &'t [TruthRow],
    entity: Vec<u32>,
    pub(super) agency: Vec<u32>,
    pub(super) records_of: Vec<Vec<u32>>,
    number_of: HashMap<(&'t str, &'t str), u32>,
}

impl Evaluation {
    pub(super) fn start(truth: &Truth<'_>) -> Self {
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
            origins_plain: Vec::new(),
            twins: Confusable::default(),
            siblings: Confusable::default(),
            curve: Vec::new(),
            scores: ScoreBins::default(),
            groups: Vec::new(),
            combinations: Vec::new(),
        }
    }
}

impl<'t> Truth<'t> {
    pub(super) fn new(rows: &'t [TruthRow]) -> Result<Self, EvaluateError> {
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

    pub(super) fn find(&self, agency: &str, record_id: &str) -> Option<u32> {
        self.number_of.get(&(agency, record_id)).copied()
    }

    pub(super) fn same_child(&self, left: u32, right: u32) -> bool {
        self.entity[left as usize] == self.entity[right as usize]
    }

    pub(super) fn same_agency(&self, left: u32, right: u32) -> bool {
        self.agency[left as usize] == self.agency[right as usize]
    }

    pub(super) fn row(&self, number: u32) -> &'t TruthRow {
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

    pub(super) fn not_one_to_one(&self, linked: &Linked) -> u64 {
        let mut partners: HashMap<(u32, u32), u64> = HashMap::new();
        for (left, right) in linked.keys().filter(|(left, right)| !self.same_agency(*left, *right)) {
            *partners.entry((*left, self.agency[*right as usize])).or_default() += 1;
            *partners.entry((*right, self.agency[*left as usize])).or_default() += 1;
        }
        partners.values().filter(|count| **count > 1).count() as u64
    }

    pub(super) fn agency_pairs(&self, linked: &Linked) -> Vec<Part> {
        let name = |left: u32, right: u32| {
            let (one, other) = (self.row(left).agency.as_str(), self.row(right).agency.as_str());
            vec![format!("{} + {}", one.min(other), one.max(other))]
        };
        self.tally(linked, name, true)
    }

    pub(super) fn parts<'s>(
        &'s self,
        linked: &Linked,
        names: impl Fn(&'s TruthRow) -> Vec<&'s str>,
        wrong: bool,
    ) -> Vec<Part> {
        self.tally(linked, |left, right| both(names(self.row(left)), names(self.row(right))), wrong)
    }

    /// As [`Self::parts`], of pairs of which neither record bears an event.
    pub(super) fn plain_parts<'s>(
        &'s self,
        linked: &Linked,
        names: impl Fn(&'s TruthRow) -> Vec<&'s str>,
    ) -> Vec<Part> {
        let of_pair = |left: u32, right: u32| {
            let (left, right) = (self.row(left), self.row(right));
            let plain = left.events.is_empty() && right.events.is_empty();
            if plain { both(names(left), names(right)) } else { Vec::new() }
        };
        self.tally(linked, of_pair, true)
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

/// The names of either record, each once.
fn both<'s>(mut left: Vec<&'s str>, right: Vec<&'s str>) -> Vec<String> {
    left.extend(right);
    left.sort_unstable();
    left.dedup();
    left.into_iter().map(str::to_owned).collect()
}
