//! Popcount against the length of names: how full a filter is says how long the name in it is.
//!
//! Source: Niedermeyer et al. 2014; with a constant number of positions per bigram the correlation is about .97. The attacker
//! knows: one agency's file. Cost: one pass. A fixed bit budget per attribute is the counter.

use super::super::finding::Finding;
use super::super::scene::Scene;
use super::super::target::Target;
use super::structure::MISSING_ONE_IN;
use crate::agency::record::Person;

/// The largest absolute correlation over views and segments, each against both names' lengths.
#[must_use]
pub fn run(target: &Target, scene: &Scene) -> Finding {
    let mut worst: Option<Finding> = None;
    for (view, laid) in target.encoded.views.iter().zip(target.encoded.layout.views()) {
        for segment in &laid.segments {
            let range = segment.start as usize..(segment.start + segment.bits) as usize;
            for (word, length) in LENGTHS {
                let pairs = (0..target.nodes.len()).filter_map(|node| {
                    let person = &scene.register[target.child[node] as usize];
                    let row = target.nodes[node][0] as usize * view.slots;
                    let set = ones(view.filters.row(row), range.clone());
                    // A value that is missing shows by itself; this is about how long one is.
                    let (length, full) = (length(person), set * MISSING_ONE_IN >= segment.bits);
                    (length > 0.0 && full).then_some((length, f64::from(set)))
                });
                let pairs: Vec<(f64, f64)> = pairs.collect();
                let setting = format!("view {}, segment {}, {word}", laid.name, segment.attribute);
                let finding = Finding::correlation("popcount", setting, &pairs);
                if worst.as_ref().is_none_or(|worst| finding.value > worst.value) {
                    worst = Some(finding);
                }
            }
        }
    }
    worst.unwrap_or_else(|| Finding::correlation("popcount", "no view", &[]))
}

type Length = (&'static str, fn(&Person) -> f64);
const LENGTHS: [Length; 2] = [
    ("length of the given name", |p| p.given.first().map_or(0.0, |name| name.whole().len() as f64)),
    ("length of the family name", |p| p.family.first().map_or(0.0, |name| name.whole().len() as f64)),
];

/// Set bits of a run of bits.
pub(super) fn ones(words: &[u64], range: std::ops::Range<usize>) -> u32 {
    let in_word = |word: usize| {
        let mut mask = u64::MAX;
        if word * 64 < range.start {
            mask &= u64::MAX << (range.start % 64);
        }
        if (word + 1) * 64 > range.end {
            mask &= u64::MAX >> (64 - range.end % 64);
        }
        (words[word] & mask).count_ones()
    };
    (range.start / 64..range.end.div_ceil(64)).map(in_word).sum()
}
