//! How well a schema links what is attacked: privacy is worth nothing without it.
//!
//! May see: a target's nodes and the truth.

use super::target::Target;
use serde::Serialize;
use std::collections::HashMap;

/// Links between records of different agencies against the truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// Share of joined pairs that are one child.
    pub precision: f64,
    /// Share of the pairs of one child that are joined.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

/// Pairs of records of different agencies, joined and true.
pub(super) fn quality(target: &Target) -> Quality {
    let agency_of = |record: u32| target.starts.partition_point(|start| *start <= record);
    let child = |record: u32| target.record_child[record as usize];
    let (mut right, mut joined) = (0u64, 0u64);
    for records in target.nodes.iter() {
        for (at, a) in records.iter().enumerate() {
            for b in &records[at + 1..] {
                joined += 1;
                right += u64::from(child(*a) == child(*b));
            }
        }
    }
    let mut of_child: HashMap<u32, Vec<u32>> = HashMap::new();
    (0..target.record_child.len() as u32)
        .for_each(|record| of_child.entry(child(record)).or_default().push(record));
    let mut all = 0u64;
    for records in of_child.values() {
        for (at, a) in records.iter().enumerate() {
            all += records[at + 1..].iter().filter(|b| agency_of(**b) != agency_of(*a)).count() as u64;
        }
    }
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let f1 = share(2 * right, joined + all);
    Quality { precision: share(right, joined), recall: share(right, all), f1 }
}
