//! How many children are known to exactly which agencies: as linked and in truth.
//!
//! May see: the numbered truth and the links of band match. Must not see: encodings.

use super::{Linked, Truth};
use crate::linkage::assign::find;
use crate::wire::Band;
use serde::Serialize;
use std::collections::BTreeMap;

/// Children known to exactly these agencies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Combination {
    /// The agencies, by name, ascending.
    pub agencies: Vec<String>,
    /// Groups of records that links of band match join, with records of exactly these agencies.
    pub found: u64,
    /// Children with records in exactly these agencies.
    pub truth: u64,
}

/// Every combination that occurs in the truth or among the links, the most frequent in truth first.
pub(super) fn combinations(truth: &Truth<'_>, linked: &Linked) -> Vec<Combination> {
    let mut names: Vec<&str> = truth.rows.iter().map(|row| row.agency.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut parent: Vec<u32> = (0u32..).take(truth.rows.len()).collect();
    for ((left, right), _) in linked.iter().filter(|(_, band)| **band == Band::Match) {
        let (one, other) = (find(&mut parent, *left), find(&mut parent, *right));
        parent[one.max(other) as usize] = one.min(other);
    }
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for record in (0u32..).take(truth.rows.len()) {
        groups.entry(find(&mut parent, record)).or_default().push(record);
    }
    let agencies = |records: &[u32]| {
        let mut known: Vec<&str> = records.iter().map(|record| truth.row(*record).agency.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        known
    };
    let mut counts: BTreeMap<Vec<&str>, (u64, u64)> = BTreeMap::new();
    groups.values().for_each(|records| counts.entry(agencies(records)).or_default().0 += 1);
    truth.records_of.iter().for_each(|records| counts.entry(agencies(records)).or_default().1 += 1);
    let mut found: Vec<Combination> = counts
        .into_iter()
        .map(|(agencies, (found, truth))| Combination {
            agencies: agencies.into_iter().map(str::to_owned).collect(),
            found,
            truth,
        })
        .collect();
    found.sort_by(|one, other| other.truth.cmp(&one.truth).then(other.found.cmp(&one.found)));
    found
}
