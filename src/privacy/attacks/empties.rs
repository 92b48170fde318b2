//! Empty slots told from filled ones: which children have no second family name, no date, no address.
//!
//! Source: VIEWS.md (independent random bits are visible, AUC .85; filler that inserts like a record is not, .50). The attacker
//! ranks slots by how many bits are set, whole and segment by segment, and by how far that is from the usual number.
//!
//! The attacker knows: every agency's file. Cost: one pass.

use super::super::PrivacyError;
use super::super::finding::Finding;
use super::super::scene::Scene;
use super::super::target::{PROJECT, TRUE_KEY, Target, encoder};
use super::popcount::ones;
use crate::agency::schema::Schema;
use crate::linkage::arena::Dataset;
use crate::wire::Epoch;

/// Slots of each kind that a view must have before it is judged.
const KIND_MIN: usize = 200;

/// The view and statistic that tell empties from filled slots best; nothing where no view has enough of both.
///
/// # Errors
/// [`PrivacyError::Schema`] when the schema without filler is refused.
pub fn run(target: &Target, scene: &Scene) -> Result<Option<Finding>, PrivacyError> {
    let mut form = target.schema.form().clone();
    form.filler = false;
    let bare = Schema::from_form(form)?;
    // Every view of every agency: what is in its slots, by whether they are empty.
    let mut views: Vec<Vec<[Vec<f64>; 2]>> = Vec::new();
    for agency in &scene.agencies {
        let encode = |schema: &Schema| -> Result<Dataset, PrivacyError> {
            let made = encoder(schema, &scene.seed, TRUE_KEY, &agency.id, PROJECT, Epoch::FIRST)?;
            Ok(Dataset::from_batch(agency.id.clone(), &made.encode(&agency.persons)))
        };
        let (sent, bare) = (encode(&target.schema)?, encode(&bare)?);
        views.resize(sent.views.len(), Vec::new());
        for (number, laid) in sent.layout.views().iter().enumerate() {
            let flips = (laid.bits * target.schema.form().flips_per_mille + 500) / 1000;
            let whole = 0..laid.bits as usize;
            let (view, without) = (&sent.views[number], &bare.views[number]);
            let ranges = laid.segments.iter().map(|s| s.start as usize..(s.start + s.bits) as usize);
            let ranges: Vec<_> = std::iter::once(whole.clone()).chain(ranges).collect();
            views[number].resize(ranges.len(), [Vec::new(), Vec::new()]);
            for row in 0..view.filters.rows() {
                // Without filler an empty slot has its flips and nothing else.
                let filled = ones(without.filters.row(row), whole.clone()) > flips;
                for (kinds, range) in views[number].iter_mut().zip(&ranges) {
                    kinds[usize::from(filled)].push(f64::from(ones(view.filters.row(row), range.clone())));
                }
            }
        }
    }
    Ok(worst(&views, target))
}

/// The finding with the highest lower end, so that a small view's chance is none.
fn worst(views: &[Vec<[Vec<f64>; 2]>], target: &Target) -> Option<Finding> {
    let mut worst: Option<Finding> = None;
    for (kinds, laid) in views.iter().zip(target.encoded.layout.views()) {
        for [empty, filled] in
            kinds.iter().filter(|[empty, filled]| empty.len().min(filled.len()) >= KIND_MIN)
        {
            let mean = filled.iter().sum::<f64>() / filled.len() as f64;
            let far = |values: &[f64]| -> Vec<f64> { values.iter().map(|x| (x - mean).abs()).collect() };
            let setting =
                format!("view {}, {} empty and {} filled slots", laid.name, empty.len(), filled.len());
            for finding in [
                Finding::auc("empty-slots", setting.clone(), empty, filled),
                Finding::auc("empty-slots", setting.clone(), &far(empty), &far(filled)),
            ] {
                if worst.as_ref().is_none_or(|worst| finding.low > worst.low) {
                    worst = Some(finding);
                }
            }
        }
    }
    worst
}
