//! A look-up: one record against everything resident, judged as a run would judge it.
//!
//! May see: what [`super`] sees. Must not see: who asks, budgets, the ledger.
//!
//! The index is built once per set of datasets: rows sorted by tag where a view has tags, the engine's
//! resident layout where it has none.

use super::{RunError, judge_for};
use crate::linkage::arena::{Dataset, FilterTable, ViewTable};
use crate::linkage::decide::{Judge, Verdict};
use crate::linkage::join::JoinError;
use crate::linkage::kernel::KernelLevel;
use crate::linkage::nearest::Resident;
use crate::wire::{Band, DecisionModel, Reason, Reasons, Score, Threshold};
use std::sync::Arc;

/// Rows of one view without tags that are judged for each slot of the question, best Dice first.
const NEAREST_MAX: usize = 256;

/// How to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupOptions {
    /// Records of one agency in an answer at most: the best and its runners-up.
    pub per_agency_max: usize,
    /// Kernel of the search.
    pub level: KernelLevel,
}

impl Default for LookupOptions {
    fn default() -> Self {
        Self { per_agency_max: 1, level: KernelLevel::detect() }
    }
}

/// One record of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Number of its dataset in the index.
    pub agency: u16,
    /// Its number in the dataset.
    pub record: u32,
    /// The score of the pair.
    pub score: Score,
    /// Match or review; only the best record of an agency can be a match.
    pub band: Band,
    /// Why.
    pub reasons: Reasons,
}

/// Exact tokens and the records that hold them, in ascending order.
type Holders = Vec<([u8; 16], u32)>;

/// Datasets laid out for look-ups under one decision model.
pub struct Index {
    datasets: Vec<Arc<Dataset>>,
    judge: Option<Judge>,
    views: Vec<Vec<Searcher>>,
    exact: Vec<Vec<Holders>>,
    options: LookupOptions,
}

enum Searcher {
    /// A view without a single bit.
    Empty,
    /// Rows in the order of their tags.
    Tagged(Vec<u32>),
    /// Every row is compared.
    Resident(Box<Resident>),
}

impl Index {
    /// Lays out `datasets`, one an agency.
    ///
    /// # Errors
    /// [`RunError`] for datasets that cannot be compared under `decision`.
    pub fn new(
        datasets: Vec<Arc<Dataset>>,
        decision: &DecisionModel,
        options: LookupOptions,
    ) -> Result<Self, RunError> {
        let judge = judge_for(&datasets, decision)?;
        let mut index = Self { datasets, judge, views: Vec::new(), exact: Vec::new(), options };
        let Some(judge) = &index.judge else { return Ok(index) };
        for dataset in &index.datasets {
            let views = dataset.views.iter().enumerate();
            let searchers =
                views.map(|(view, table)| Searcher::new(table, judge.join_at(view), options.level));
            index.views.push(searchers.collect::<Result<_, _>>()?);
            let columns = dataset.exact.iter().enumerate().map(|(column, tokens)| {
                let tokens = (0u32..).zip(tokens).filter_map(|(record, token)| Some(((*token)?, record)));
                let mut sorted: Vec<_> =
                    if judge.joins_exact(column) { tokens.collect() } else { Vec::new() };
                sorted.sort_unstable();
                sorted
            });
            index.exact.push(columns.collect());
        }
        Ok(index)
    }

    /// The datasets, by number.
    #[must_use]
    pub fn datasets(&self) -> &[Arc<Dataset>] {
        &self.datasets
    }

    /// Looks for record `record` of `asked` in every dataset but that of the same agency. Best first within
    /// an agency; agencies in the order of the index.
    ///
    /// # Errors
    /// [`RunError::Layouts`] when `asked` has another layout; [`JoinError::Row`] for an unknown record.
    pub fn find(&self, asked: &Dataset, record: u32) -> Result<Vec<Found>, RunError> {
        let Some(judge) = &self.judge else { return Ok(Vec::new()) };
        if self.datasets.iter().any(|dataset| dataset.layout != asked.layout) {
            return Err(RunError::Layouts(asked.agency.clone()));
        }
        if record as usize >= asked.len() {
            return Err(JoinError::Row { side: crate::linkage::join::Side::A, row: record }.into());
        }
        let mut found = Vec::new();
        for (number, dataset) in self.datasets.iter().enumerate() {
            if dataset.agency == asked.agency {
                continue;
            }
            let mut verdicts: Vec<(u32, Verdict)> = self
                .candidates(judge, number, asked, record as usize)?
                .into_iter()
                .filter_map(|b| Some((b, judge.judge(asked, record as usize, dataset, b as usize)?)))
                .collect();
            verdicts.sort_unstable_by_key(|(b, verdict)| {
                (std::cmp::Reverse(verdict.score.key()), dataset.refs[*b as usize], *b)
            });
            lower_runners_up(&mut verdicts, judge.runner_up_margin());
            found.extend(verdicts.into_iter().take(self.options.per_agency_max).map(|(record, verdict)| {
                Found {
                    agency: super::candidates::number(number),
                    record,
                    score: verdict.score,
                    band: verdict.band,
                    reasons: verdict.reasons,
                }
            }));
        }
        Ok(found)
    }

    /// Records of dataset `number` that share a slot or an exact token with the record asked for.
    fn candidates(
        &self,
        judge: &Judge,
        number: usize,
        asked: &Dataset,
        record: usize,
    ) -> Result<Vec<u32>, RunError> {
        let dataset = &self.datasets[number];
        let mut records = Vec::new();
        for (view, searcher) in self.views[number].iter().enumerate() {
            let (ours, theirs) = (&asked.views[view], &dataset.views[view]);
            let at = judge.join_at(view);
            for row in record * ours.slots..(record + 1) * ours.slots {
                let slots = u32::try_from(theirs.slots).unwrap_or(u32::MAX);
                records.extend(searcher.rows(ours, row, theirs, at)?.into_iter().map(|row| row / slots));
            }
        }
        for (ours, theirs) in asked.exact.iter().zip(&self.exact[number]) {
            if let Some(token) = ours[record] {
                let from = theirs.partition_point(|(other, _)| *other < token);
                let same = theirs[from..].iter().take_while(|(other, _)| *other == token);
                records.extend(same.take(NEAREST_MAX).map(|(_, record)| *record));
            }
        }
        records.sort_unstable();
        records.dedup();
        Ok(records)
    }
}

impl Searcher {
    fn new(table: &ViewTable, at: Threshold, level: KernelLevel) -> Result<Self, JoinError> {
        if let Some(tags) = &table.tags {
            let mut rows: Vec<u32> = (0u32..).take(tags.len()).collect();
            rows.sort_unstable_by_key(|row| (tags[*row as usize], *row));
            return Ok(Self::Tagged(rows));
        }
        if table.filters.words().iter().all(|word| *word == 0) {
            return Ok(Self::Empty);
        }
        Ok(Self::Resident(Box::new(Resident::new(table.filters.clone(), at, level)?)))
    }

    /// Rows of `theirs` that may agree with row `row` of `ours`.
    fn rows(
        &self,
        ours: &ViewTable,
        row: usize,
        theirs: &ViewTable,
        at: Threshold,
    ) -> Result<Vec<u32>, JoinError> {
        match self {
            Self::Empty => Ok(Vec::new()),
            Self::Tagged(rows) => {
                let (Some(asked), Some(tags)) = (ours.tags.as_ref().map(|tags| tags[row]), &theirs.tags)
                else {
                    return Ok(Vec::new());
                };
                let from = rows.partition_point(|row| tags[*row as usize] < asked);
                let same = rows[from..].iter().take_while(|row| tags[**row as usize] == asked);
                Ok(same.copied().collect())
            }
            Self::Resident(resident) => {
                let words = ours.filters.row(row).to_vec();
                let query = FilterTable::new(words, ours.filters.words_per_row());
                let nearest = resident.nearest(&query, at, NEAREST_MAX)?;
                Ok(nearest.into_iter().flatten().map(|found| found.row).collect())
            }
        }
    }
}

/// Only the best record of an agency can be a match, and only when no other comes near.
fn lower_runners_up(verdicts: &mut [(u32, Verdict)], margin: i64) {
    let Some(((_, best), others)) = verdicts.split_first_mut() else { return };
    for (_, other) in &mut *others {
        other.band = other.band.min(Band::Review);
        other.reasons.insert(Reason::RunnerUp);
    }
    let near = others.first().is_some_and(|(_, other)| other.score.key() + margin > best.score.key());
    if near && margin > 0 {
        best.band = best.band.min(Band::Review);
        best.reasons.insert(Reason::RunnerUp);
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({} datasets)", self.datasets.len())
    }
}
