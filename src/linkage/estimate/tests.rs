//! Estimates beside the truth on synthetic agencies with partial overlap, families and noise.

use super::*;
use crate::linkage::exec::{Control, Exec};
use crate::linkage::run::tests::{Numbers, WORDS, dataset, dice};
use crate::linkage::run::{LinkOptions, link};
use crate::wire::RecordRef;

/// Which child a record is about, as its ref tells in these tests.
fn child_of(datasets: &[Dataset], agency: u16, record: u32) -> u64 {
    let bytes = datasets[usize::from(agency)].refs[record as usize];
    let (child, _) = bytes.as_bytes().split_first_chunk::<8>().unwrap();
    u64::from_le_bytes(*child)
}

/// Each of three agencies knows 70 % of the children; brothers and sisters share three words of four in
/// part, records lose bits by their quality.
fn agencies(children: u64) -> Vec<Dataset> {
    let rows = |agency: u64| {
        let known = (0..children).filter(|child| Numbers(child * 3 + agency + 1).below(10) < 7);
        let row = |child: u64| {
            let (mut family, mut own) = (Numbers(child / 3 + 7_000_000), Numbers(child + 9_000_000));
            let mut words: [u64; WORDS] = std::array::from_fn(|at| {
                let (shared, alone) = (family.next() & family.next(), own.next() & own.next());
                if at < 3 { shared } else { alone }
            });
            let mut numbers = Numbers(child * 977 + agency);
            for _ in 0..numbers.below(28) {
                let bit = numbers.below(64 * WORDS as u64);
                words[bit as usize / 64] ^= 1 << (bit % 64);
            }
            let mut name = [agency as u8; 16];
            name[..8].copy_from_slice(&child.to_le_bytes());
            (RecordRef::from_bytes(name), words)
        };
        known.map(row).collect::<Vec<_>>()
    };
    (0..3).map(|agency| dataset(&format!("agency-{agency}"), &rows(agency))).collect()
}

#[test]
fn comes_near_the_truth_without_knowing_it() {
    let datasets = agencies(900);
    for threshold in ["0.65", "0.7", "0.8"] {
        let model = dice(threshold, threshold);
        let run = link(&datasets, &model, &LinkOptions::default(), Exec::Serial, &Control::new()).unwrap();
        let found = estimate(&datasets, &run, &model).unwrap();
        let same = |link: &&Link| {
            child_of(&datasets, link.agency_a, link.record_a)
                == child_of(&datasets, link.agency_b, link.record_b)
        };
        let right = run.links.iter().filter(same).count() as f64;
        let mut known = std::collections::BTreeMap::<u64, u64>::new();
        for (agency, dataset) in (0u16..).zip(&datasets) {
            for record in 0..dataset.len() as u32 {
                *known.entry(child_of(&datasets, agency, record)).or_default() += 1;
            }
        }
        let truth: u64 = known.values().map(|count| count * (count - 1) / 2).sum();
        let (precision, recall) = (right / run.links.len() as f64, right / truth as f64);
        let all = (found.precision_all, found.recall_all);
        assert!((all.0.value - precision).abs() < 0.03, "{threshold}: {precision} {all:?}");
        // Where a third is missed, the range alone is promised.
        let tolerance = if threshold == "0.8" { 0.15 } else { 0.05 };
        assert!((all.1.value - recall).abs() < tolerance, "{threshold}: {recall} {all:?}");
        assert!(all.0.low <= all.0.value && all.0.value <= all.0.high);
        assert!(all.1.low <= recall && recall <= all.1.high, "{threshold}: {recall} {all:?}");
        assert!(found.suggested_at.is_some());
    }
}

#[test]
fn nothing_linked_is_said() {
    let datasets = [dataset("a", &[]), dataset("b", &[])];
    let model = dice("0.8", "0.8");
    let run = link(&datasets, &model, &LinkOptions::default(), Exec::Serial, &Control::new()).unwrap();
    let found = estimate(&datasets, &run, &model).unwrap();
    assert_eq!(found.warnings, [Warning::NoLinks]);
    assert!(found.warnings[0].to_string().contains("schema"));
}
