//! Dictionary attack: with the linkage key a register is encoded and compared, and everybody in it is found.
//!
//! Source: the definition of a keyed encoding. Run with the leaked key it must succeed, or the other attacks' failures would
//! prove nothing; with the key of another epoch, or of another project, it must be chance.
//!
//! The attacker knows: every agency's file, a clean register, and a key. Cost: one linkage.

use super::super::PrivacyError;
use super::super::finding::Finding;
use super::super::target::{PROJECT, TRUE_KEY, Target, TargetOptions, encoder};
use crate::linkage::arena::Dataset;
use crate::linkage::run::{LinkOptions, link};
use crate::wire::{AgencyId, EncodingBatch, Epoch};

/// Which key the attacker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The project's key of the files' epoch.
    Leaked,
    /// The same root key, but the next epoch's.
    OtherEpoch,
    /// The same root key, but another project's.
    OtherProject,
}

/// Links the register, encoded with a key, to the agencies' files.
///
/// # Errors
/// [`PrivacyError::Run`] when linking fails or is cancelled.
pub fn run(target: &Target, key: Key, options: TargetOptions<'_>) -> Result<Finding, PrivacyError> {
    let agency: AgencyId = "attacker".parse().map_err(|_| PrivacyError::Internal("an agency's name"))?;
    let second = 2.try_into().map_err(|_| PrivacyError::Internal("an epoch"))?;
    let (project, epoch, attack, setting) = match key {
        Key::Leaked => (PROJECT, Epoch::FIRST, "dictionary-leaked", "with the linkage key of the files"),
        Key::OtherEpoch => (PROJECT, second, "dictionary-other-epoch", "with the key of another epoch"),
        Key::OtherProject => {
            ("another", Epoch::FIRST, "dictionary-other-project", "with another project's key")
        }
    };
    let made = encoder(&target.schema, &target.seed, TRUE_KEY, &agency, project, epoch)?;
    let batch: EncodingBatch = made.encode(&target.persons);
    let register = Dataset::from_batch(agency, &batch);
    let files = Dataset { agency: target.encoded.agency.clone(), ..first_records(target) };
    let sets = [register, files];
    let run = link(&sets, target.schema.decision(), &LinkOptions::default(), options.exec, options.control)?;
    let mut answers = vec![None; target.nodes.len()];
    for link in &run.links {
        let (row, node) =
            if link.agency_a == 0 { (link.record_a, link.record_b) } else { (link.record_b, link.record_a) };
        answers[node as usize] = Some(row);
    }
    let (hits, trials) = target.judge(&answers, &[]);
    Ok(Finding::share(attack, setting, hits, trials, target.baseline()))
}

/// The first record of every node, node k as record k.
fn first_records(target: &Target) -> Dataset {
    let dataset = target.encoded.as_ref();
    let firsts: Vec<usize> = target.nodes.iter().map(|records| records[0] as usize).collect();
    let views = dataset.views.iter().map(|view| {
        let width = view.filters.words_per_row();
        let mut words = Vec::with_capacity(firsts.len() * width * view.slots);
        let mut tags = view.tags.as_ref().map(|_| Vec::with_capacity(firsts.len() * view.slots));
        for record in &firsts {
            for row in record * view.slots..(record + 1) * view.slots {
                words.extend_from_slice(view.filters.row(row));
                if let (Some(out), Some(theirs)) = (&mut tags, &view.tags) {
                    out.push(theirs[row]);
                }
            }
        }
        let filters = crate::linkage::arena::FilterTable::new(words, width);
        crate::linkage::arena::ViewTable { filters, slots: view.slots, tags }
    });
    Dataset {
        agency: dataset.agency.clone(),
        layout: dataset.layout.clone(),
        refs: firsts.iter().map(|record| dataset.refs[*record]).collect(),
        views: views.collect(),
        presence: dataset.presence.as_ref().map(|masks| firsts.iter().map(|record| masks[*record]).collect()),
        exact: dataset
            .exact
            .iter()
            .map(|column| firsts.iter().map(|record| column[*record]).collect())
            .collect(),
    }
}
