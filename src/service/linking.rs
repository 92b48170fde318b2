//! What one run compares and what is kept of it: shielded records apart, decided pairs obeyed.
//!
//! Everybody's links, groups, counts and reviews come from the records that are not shielded, as if there
//! were no others. Links of shielded records are found afterwards, each agency's against what the others
//! show, and only their own agency reads them. This and [`crate::store::Vault`]'s veil are the only two
//! places where a shield is applied.

use super::inherit::{end_inherited, inherit};
use super::policy::Agreement;
use crate::linkage::arena::Dataset;
use crate::linkage::decide::Judge;
use crate::linkage::exec::{Control, Exec};
use crate::linkage::groups::RecordAt;
use crate::linkage::run::{Known, Link, LinkOptions, Run, RunError, link_known};
use crate::linkage::words::attribute_words;
use crate::store::{
    DecidedPairs, Fact, FoundLink, FoundReview, ProjectRecord, RunInput, RunRecord, ShieldRecord, Side,
    StoreError, Vault,
};
use crate::wire::messages::AttributeWord;
use crate::wire::{AgencyId, Band, EncodingBatch, Month, RecordRef, Visibility};
use std::collections::{BTreeMap, BTreeSet};

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkingError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One agency's records of a run.
pub(super) struct Party {
    pub(super) agency: AgencyId,
    batch: EncodingBatch,
    visibility: Vec<Visibility>,
    pub(super) shields: BTreeMap<RecordRef, ShieldRecord>,
}

/// How to compute.
#[derive(Clone, Copy)]
pub(super) struct Means<'m> {
    pub(super) agreement: &'m Agreement,
    pub(super) exec: Exec<'m>,
    pub(super) control: &'m Control,
}

/// What a run leaves.
pub(super) struct Linked {
    pub(super) inputs: Vec<RunInput>,
    /// Links of both bands.
    pub(super) links: Vec<FoundLink>,
    /// What each input is counted by.
    pub(super) facts: Vec<Vec<Fact>>,
    pub(super) reviews: Vec<FoundReview>,
}

/// Links the current records of all parties of `project`.
pub(super) fn link_project(
    vault: &Vault,
    project: &ProjectRecord,
    run: &RunRecord,
    means: Means<'_>,
) -> Result<Linked, LinkingError> {
    let (mut parties, mut inputs) = (Vec::new(), Vec::new());
    for party in vault.parties(&project.id)? {
        let Some(read) = vault.read_current(&project.id, run.epoch, &party.id)? else { continue };
        inputs.push(RunInput {
            agency: party.id.clone(),
            dataset: read.manifest.upload.id,
            sealed: read.manifest.sealed,
            records: 0,
        });
        parties.push(Party::new(vault, project, party.id, read.batch)?);
    }
    inherit(vault, project, &mut parties, means)?;
    let datasets: Vec<Dataset> =
        parties.iter().map(|party| party.part(|v| v != Visibility::Hidden)).collect();
    for (input, dataset) in inputs.iter_mut().zip(&datasets) {
        input.records = dataset.len() as u64;
    }
    let decided = vault.decided_pairs(&project.id)?;
    let mut known = known_in(&datasets, &decided);
    part(means.agreement, &datasets, &mut known);
    let options = LinkOptions::default();
    let found = link_known(&datasets, &known, &project.decision, &options, means.exec, means.control)?;
    let expiry: Vec<_> = parties.iter().map(Party::expiries).collect();
    let mut links = links_of(&datasets, &found, &expiry);
    let reviews = reviews_of(project, &datasets, &parties, &found)?;
    behind_shields(project, &parties, &datasets, &decided, (&expiry, means), &mut links)?;
    let facts = parties.iter().map(Party::facts).collect();
    Ok(Linked { inputs, links, facts, reviews })
}

type Expiries = BTreeMap<RecordRef, Month>;

impl Party {
    fn new(
        vault: &Vault,
        project: &ProjectRecord,
        agency: AgencyId,
        batch: EncodingBatch,
    ) -> Result<Self, StoreError> {
        let now = vault.now();
        let mut shields = vault.shields(&project.id, &agency, None, usize::MAX)?;
        end_inherited(vault, project, &agency, &mut shields)?;
        let row = |(row, record): (usize, &RecordRef)| match shields.get(record) {
            Some(shield) => shield.visibility(now),
            None => {
                let uploaded = batch.payload.get(row).and_then(|payload| payload.visibility);
                uploaded.unwrap_or(Visibility::Open)
            }
        };
        let visibility = batch.refs.iter().enumerate().map(row).collect();
        Ok(Self { agency, batch, visibility, shields })
    }

    fn rows(&self, wanted: impl Fn(Visibility) -> bool) -> Vec<usize> {
        let rows = self.visibility.iter().enumerate().filter(|(_, visibility)| wanted(**visibility));
        rows.map(|(row, _)| row).collect()
    }

    pub(super) fn part(&self, wanted: impl Fn(Visibility) -> bool) -> Dataset {
        let rows = self.rows(wanted);
        if rows.len() == self.batch.len() {
            return Dataset::from_batch(self.agency.clone(), &self.batch);
        }
        Dataset::from_batch(self.agency.clone(), &self.batch.select(&rows))
    }

    /// What the records are counted by; those that not everybody may learn of are counted nowhere.
    fn facts(&self) -> Vec<Fact> {
        let fact = |(row, record): (usize, &RecordRef)| {
            let payload = self.batch.payload.get(row).copied().unwrap_or_default();
            Fact {
                record: *record,
                open: self.visibility.get(row) == Some(&Visibility::Open),
                last_seen: payload.last_seen,
                area: payload.area_code,
                age_band: payload.age_band,
            }
        };
        self.batch.refs.iter().enumerate().map(fact).collect()
    }

    fn expiries(&self) -> Expiries {
        let rows = self.batch.refs.iter().zip(&self.batch.payload);
        rows.filter_map(|(record, payload)| Some((*record, payload.expiry?))).collect()
    }

    pub(super) fn hide(&mut self, records: &BTreeSet<RecordRef>) {
        for (record, visibility) in self.batch.refs.iter().zip(&mut self.visibility) {
            if records.contains(record) {
                *visibility = Visibility::Hidden;
            }
        }
    }
}

/// Links of shielded records, to be read by their own agency only.
fn behind_shields(
    project: &ProjectRecord,
    parties: &[Party],
    shown: &[Dataset],
    decided: &DecidedPairs,
    (expiry, means): (&[Expiries], Means<'_>),
    links: &mut Vec<FoundLink>,
) -> Result<(), LinkingError> {
    let shielded: Vec<Dataset> =
        parties.iter().map(|party| party.part(|v| v == Visibility::Hidden)).collect();
    if shielded.iter().all(Dataset::is_empty) {
        return Ok(());
    }
    for (other, theirs) in shown.iter().enumerate() {
        // One copy of the larger side serves every agency's shielded records.
        let mut pair = [shielded[other].clone(), theirs.clone()];
        for (at, own) in shielded.iter().enumerate().filter(|(at, own)| {
            *at != other && !own.is_empty() && means.agreement.pair(&own.agency, &theirs.agency).is_some()
        }) {
            pair[0].clone_from(own);
            let known = known_in(&pair, decided);
            let options = LinkOptions::default();
            let run = link_known(&pair, &known, &project.decision, &options, means.exec, means.control)?;
            for link in &run.links {
                let mut found = found_link(&pair, link, &[&expiry[at], &expiry[other]]);
                let own_left = link.agency_a == 0;
                (found.shown_left, found.shown_right) = (own_left, !own_left);
                found.left.0 = number(if own_left { at } else { other });
                found.right.0 = number(if own_left { other } else { at });
                links.push(found);
            }
        }
    }
    Ok(())
}

fn number(dataset: usize) -> u16 {
    u16::try_from(dataset).unwrap_or(u16::MAX)
}

/// What people decided, in the numbers of these datasets.
fn known_in(datasets: &[Dataset], decided: &DecidedPairs) -> Known {
    let mut known = Known::default();
    if decided.same.is_empty() && decided.apart.is_empty() {
        return known;
    }
    let pairs = || decided.same.iter().chain(&decided.apart);
    let named: BTreeSet<&Side> = pairs().flat_map(|(one, other)| [one, other]).collect();
    let mut places: BTreeMap<&Side, RecordAt> = BTreeMap::new();
    for (agency, dataset) in (0u16..).zip(datasets) {
        let mut of_agency: BTreeMap<RecordRef, &Side> = BTreeMap::new();
        for side in named.iter().filter(|side| side.0 == dataset.agency) {
            of_agency.insert(side.1, side);
        }
        for (record, name) in (0u32..).zip(&dataset.refs) {
            if let Some(side) = of_agency.get(name) {
                places.insert(side, RecordAt { agency, record });
            }
        }
    }
    let place = |(one, other): &(Side, Side)| Some((*places.get(one)?, *places.get(other)?));
    decided.same.iter().filter_map(place).for_each(|(one, other)| known.same(one, other));
    decided.apart.iter().filter_map(place).for_each(|(one, other)| known.apart(one, other));
    known
}

/// The pairs of datasets that the agreement does not link.
fn part(agreement: &Agreement, datasets: &[Dataset], known: &mut Known) {
    for (at, one) in (0u16..).zip(datasets) {
        for (other_at, other) in (0u16..).zip(datasets).take(usize::from(at)) {
            if agreement.pair(&one.agency, &other.agency).is_none() {
                known.unlinked(other_at, at);
            }
        }
    }
}

fn found_link(datasets: &[Dataset], link: &Link, expiry: &[&Expiries]) -> FoundLink {
    let end = |agency: u16, record: u32| {
        let name = datasets[usize::from(agency)].refs[record as usize];
        ((agency, name), expiry[usize::from(agency)].get(&name))
    };
    let (left, right) = (end(link.agency_a, link.record_a), end(link.agency_b, link.record_b));
    FoundLink {
        left: left.0,
        right: right.0,
        shown_left: true,
        shown_right: true,
        band: link.band,
        reasons: link.reasons,
        score: link.score.rounded(),
        expiry: [left.1, right.1].into_iter().flatten().min().copied(),
    }
}

/// What everybody may come to read.
fn links_of(datasets: &[Dataset], run: &Run, expiry: &[Expiries]) -> Vec<FoundLink> {
    let expiry: Vec<&Expiries> = expiry.iter().collect();
    let links = run.links.iter().filter(|link| link.band != Band::None);
    links.map(|link| found_link(datasets, link, &expiry)).collect()
}

/// The uncertain pairs that both agencies may be shown: neither record brokered or shielded.
fn reviews_of(
    project: &ProjectRecord,
    datasets: &[Dataset],
    parties: &[Party],
    run: &Run,
) -> Result<Vec<FoundReview>, LinkingError> {
    let Some(first) = datasets.first() else { return Ok(Vec::new()) };
    let judge = Judge::new(&project.decision, &first.layout).map_err(RunError::from)?;
    let brokered = |party: &Party| -> BTreeSet<RecordRef> {
        let rows = party.rows(|visibility| visibility == Visibility::Brokered);
        rows.into_iter().map(|row| party.batch.refs[row]).collect()
    };
    let brokered: Vec<_> = parties.iter().map(brokered).collect();
    let mut reviews = Vec::new();
    for link in run.links.iter().filter(|link| link.band == Band::Review) {
        let sides =
            [(link.agency_a, link.record_a), (link.agency_b, link.record_b)].map(|(agency, record)| {
                let dataset = &datasets[usize::from(agency)];
                (
                    usize::from(agency),
                    record as usize,
                    (dataset.agency.clone(), dataset.refs[record as usize]),
                )
            });
        if sides.iter().any(|(at, _, side)| brokered[*at].contains(&side.1)) {
            continue;
        }
        let [(a, row_a, left), (b, row_b, right)] = sides;
        let words = attribute_words(&judge, (&datasets[a], row_a), (&datasets[b], row_b));
        let attributes = words.into_iter().map(|(attribute, band)| AttributeWord { attribute, band });
        reviews.push(FoundReview { left, right, attributes: attributes.collect(), reasons: link.reasons });
    }
    Ok(reviews)
}
