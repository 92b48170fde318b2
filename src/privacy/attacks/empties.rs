//! Empty slots told from filled ones: which children have no second family name, no date, no address.
//!
//! Source: VIEWS.md (independent random bits are visible, AUC .85; filler that inserts like a record is not, .50). The attacker
//! ranks slots by how many bits are set, whole and segment by segment, and by how far that is from the usual number.
//!
//! With several agencies' files it also looks at the other records of the child, which the centre has joined: a filled slot
//! meets its like there, by tag and bits, and filler meets nothing. That is shown beside it without a bar: two records can
//! only be linked because their salts meet, so that a salt that meets nothing always says "missing, or different there".
//!
//! The attacker knows: one file, or every agency's. Cost: one pass.

use super::super::PrivacyError;
use super::super::finding::Finding;
use super::super::graph::dice;
use super::super::scene::Scene;
use super::super::target::{PROJECT, TRUE_KEY, Target, encoder};
use super::popcount::ones;
use crate::agency::schema::Schema;
use crate::linkage::arena::{Dataset, ViewTable};
use crate::wire::Epoch;
use rayon::prelude::*;

/// Slots of each kind that a view must have before it is judged.
const KIND_MIN: usize = 200;

/// A statistic of a view's slots: of empty ones, of filled ones.
type Kinds = [Vec<f64>; 2];

/// The view and statistic that tell empties from filled slots best, from single slots and from joined records; nothing where
/// no view has enough of both.
///
/// # Errors
/// [`PrivacyError::Schema`] when the schema without filler is refused.
pub fn run(target: &Target, scene: &Scene) -> Result<Vec<Finding>, PrivacyError> {
    let filled = filled(target, scene)?;
    let (mut single, mut joined): (Option<Finding>, Option<Finding>) = (None, None);
    for ((view, laid), filled) in target.encoded.views.iter().zip(target.encoded.layout.views()).zip(&filled)
    {
        let empty = filled.iter().filter(|filled| !**filled).count();
        if empty.min(filled.len() - empty) < KIND_MIN {
            continue;
        }
        let name = format!("view {}, {empty} empty and {} filled slots", laid.name, filled.len() - empty);
        let whole = 0..laid.bits as usize;
        let segments = laid.segments.iter().map(|s| s.start as usize..(s.start + s.bits) as usize);
        for range in std::iter::once(whole).chain(segments) {
            let mut kinds = Kinds::default();
            for (row, filled) in filled.iter().enumerate() {
                let set = ones(view.filters.row(row), range.clone());
                kinds[usize::from(*filled)].push(f64::from(set));
            }
            worst(&mut single, "empty-slots", &name, &kinds);
            let mean = kinds[1].iter().sum::<f64>() / kinds[1].len() as f64;
            kinds.iter_mut().flatten().for_each(|x| *x = (*x - mean).abs());
            worst(&mut single, "empty-slots", &name, &kinds);
        }
        let kinds = meetings(target, view, filled);
        if kinds.iter().all(|kind| kind.len() >= KIND_MIN) {
            let name = format!("view {}, beside the child's other records", laid.name);
            worst(&mut joined, "empty-slots-joined", &name, &kinds);
        }
    }
    Ok(single.into_iter().chain(joined).collect())
}

/// Which slots of each view are filled, in the target's order of records. Truth.
fn filled(target: &Target, scene: &Scene) -> Result<Vec<Vec<bool>>, PrivacyError> {
    let mut form = target.schema.form().clone();
    (form.filler, form.flips_per_mille) = (false, 0);
    let bare = Schema::from_form(form)?;
    let mut views: Vec<Vec<bool>> = vec![Vec::new(); target.encoded.views.len()];
    for agency in &scene.agencies {
        let made = encoder(&bare, &scene.seed, TRUE_KEY, &agency.id, PROJECT, Epoch::FIRST)?;
        let batch = made.encode(&agency.persons);
        let mut order: Vec<usize> = (0..batch.len()).collect();
        order.sort_unstable_by_key(|row| batch.refs[*row]);
        let dataset = Dataset::from_batch(agency.id.clone(), &batch.select(&order));
        for ((view, laid), out) in dataset.views.iter().zip(dataset.layout.views()).zip(&mut views) {
            // Without filler and flips an empty slot has nothing.
            let is_filled = |row| ones(view.filters.row(row), 0..laid.bits as usize) > 0;
            out.extend((0..view.filters.rows()).map(is_filled));
        }
    }
    Ok(views)
}

/// For each slot of a child with several records: the best Dice with a slot of the same tag in another of its records, 0
/// where there is none.
fn meetings(target: &Target, view: &ViewTable, filled: &[bool]) -> Kinds {
    let tags = view.tags.as_deref().unwrap_or_default();
    let bits = view.filters.bits();
    let slots = |record: u32| record as usize * view.slots..(record as usize + 1) * view.slots;
    let best = |records: &[u32], own: u32, row: usize| {
        let others = records.iter().filter(|other| **other != own).flat_map(|other| slots(*other));
        let alike = others.filter(|other| !tags.is_empty() && tags[*other] == tags[row]);
        let dices = alike.map(|other| dice(view.filters.row(row), view.filters.row(other), 0..bits));
        dices.fold(0.0, f64::max)
    };
    let several = target.nodes.par_iter().filter(|records| records.len() > 1);
    let of = |records: &Vec<u32>| -> Vec<(bool, f64)> {
        let rows = records.iter().flat_map(|own| slots(*own).map(move |row| (*own, row)));
        rows.map(|(own, row)| (filled[row], best(records, own, row))).collect()
    };
    let found: Vec<(bool, f64)> = several.flat_map_iter(of).collect();
    let mut kinds = Kinds::default();
    found.into_iter().for_each(|(filled, value)| kinds[usize::from(filled)].push(value));
    kinds
}

/// Keeps the finding with the highest lower end, so that a small view's chance is none.
fn worst(kept: &mut Option<Finding>, attack: &'static str, setting: &str, [empty, filled]: &Kinds) {
    let finding = Finding::auc(attack, setting, empty, filled);
    if kept.as_ref().is_none_or(|kept| finding.low > kept.low) {
        *kept = Some(finding);
    }
}
