//! All records of one child over all agencies, at most one an agency.
//!
//! May see: record numbers and which agency each belongs to. Must not see: encodings, refs, scores.
//!
//! Edges join groups best first. An edge that would put two records of one agency into one group is a
//! conflict: it is reported with the two records and joins nothing.

use super::assign::find;
use std::collections::{BTreeMap, BTreeSet};

/// One record: agency number and record number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordAt {
    /// Number of the agency's dataset.
    pub agency: u16,
    /// Number of the record in it.
    pub record: u32,
}

/// Groups of two or more records, each sorted by agency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Groups {
    members: Vec<RecordAt>,
    ends: Vec<u32>,
}

/// What grouping made of the edges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grouping {
    /// The groups, ascending by first member.
    pub groups: Groups,
    /// Edges that joined nothing, by position, each with the two records of one agency it would have joined.
    pub conflicts: Vec<(usize, RecordAt, RecordAt)>,
    /// Links, by position, whose two sides lead to records that must be kept apart.
    pub apart: BTreeSet<usize>,
}

impl Groups {
    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
    /// The members of each group.
    pub fn iter(&self) -> impl Iterator<Item = &[RecordAt]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.members[start as usize..*end as usize])
    }
}

/// Joins records along `edges`, best first. `records[k]` is the number of records of agency k; their sum
/// must be below 2^32 and there are at most 64 agencies.
#[must_use]
pub fn group(records: &[usize], edges: &[(RecordAt, RecordAt)]) -> Grouping {
    group_apart(records, edges, &[], &BTreeMap::new())
}

/// [`group`], never joining records that `apart` keeps apart. Of `links` (any band) those are named that
/// would lead from one such record to the other through the groups.
#[must_use]
pub fn group_apart(
    records: &[usize],
    edges: &[(RecordAt, RecordAt)],
    links: &[(RecordAt, RecordAt)],
    apart: &BTreeMap<RecordAt, BTreeSet<RecordAt>>,
) -> Grouping {
    let mut forest = Forest::new(records);
    let mut conflicts = Vec::new();
    for (position, (left, right)) in edges.iter().enumerate() {
        if forest.keeps_apart(*left, *right, apart) {
            continue;
        }
        if let Some((one, other)) = forest.join(*left, *right) {
            conflicts.push((position, one, other));
        }
    }
    // Only now: a later edge may have brought the two sides of an earlier one to records kept apart.
    let is_apart = |(_, (left, right)): &(usize, &(RecordAt, RecordAt))| {
        !apart.is_empty() && forest.keeps_apart(*left, *right, apart)
    };
    let apart = links.iter().enumerate().filter(is_apart).map(|(position, _)| position).collect();
    Grouping { groups: forest.groups(), conflicts, apart }
}

/// Union-find in which each root knows the agencies below it and each group is a ring.
struct Forest {
    offsets: Vec<u32>,
    parent: Vec<u32>,
    /// Agencies of the group, one bit each; kept at roots.
    agencies: Vec<u64>,
    /// The next record of the group, around in a ring.
    next: Vec<u32>,
}

impl Forest {
    fn new(records: &[usize]) -> Self {
        let mut offsets = vec![0u32];
        let mut agencies = Vec::new();
        for (agency, count) in records.iter().enumerate() {
            agencies.resize(agencies.len() + count, 1u64 << (agency % 64));
            offsets.push(u32::try_from(agencies.len()).unwrap_or(u32::MAX));
        }
        let own: Vec<u32> = (0..u32::try_from(agencies.len()).unwrap_or(u32::MAX)).collect();
        Self { offsets, parent: own.clone(), agencies, next: own }
    }

    fn node(&self, at: RecordAt) -> u32 {
        self.offsets[usize::from(at.agency)] + at.record
    }

    fn at(&self, node: u32) -> RecordAt {
        let agency = self.offsets.partition_point(|offset| *offset <= node) - 1;
        RecordAt { agency: u16::try_from(agency).unwrap_or(u16::MAX), record: node - self.offsets[agency] }
    }

    /// Whether a record of one side's group must be kept apart from one of the other's.
    fn keeps_apart(
        &self,
        left: RecordAt,
        right: RecordAt,
        apart: &BTreeMap<RecordAt, BTreeSet<RecordAt>>,
    ) -> bool {
        let against = |member: RecordAt| apart.get(&member).into_iter().flatten();
        !apart.is_empty() && {
            let others: Vec<RecordAt> = self.ring(self.node(right)).collect();
            self.ring(self.node(left)).flat_map(against).any(|other| others.contains(other))
        }
    }

    /// Joins two groups, or says which two records of one agency stand against it.
    fn join(&mut self, left: RecordAt, right: RecordAt) -> Option<(RecordAt, RecordAt)> {
        let (left, right) = (self.node(left), self.node(right));
        let (one, other) = (find(&mut self.parent, left), find(&mut self.parent, right));
        if one == other {
            return None;
        }
        let shared = self.agencies[one as usize] & self.agencies[other as usize];
        if shared != 0 {
            let agency = shared.trailing_zeros();
            let member = |from: u32| self.ring(from).find(|at| u32::from(at.agency) == agency);
            return member(one).zip(member(other));
        }
        let (root, child) = (one.min(other) as usize, one.max(other) as usize);
        self.parent[child] = one.min(other);
        self.agencies[root] |= self.agencies[child];
        self.next.swap(root, child);
        None
    }

    fn ring(&self, from: u32) -> impl Iterator<Item = RecordAt> {
        let after = move |node: &u32| Some(self.next[*node as usize]).filter(|next| *next != from);
        std::iter::successors(Some(from), after).map(|node| self.at(node))
    }

    fn groups(&self) -> Groups {
        let mut groups = Groups::default();
        for (node, parent) in (0u32..).zip(&self.parent) {
            if *parent == node && self.next[node as usize] != node {
                let start = groups.members.len();
                groups.members.extend(self.ring(node));
                groups.members[start..].sort_unstable();
                groups.ends.push(u32::try_from(groups.members.len()).unwrap_or(u32::MAX));
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(agency: u16, record: u32) -> RecordAt {
        RecordAt { agency, record }
    }

    #[test]
    fn joins_across_agencies_and_reports_what_it_refuses() {
        // Agency 0 record 0 and agency 0 record 1 both reach agency 2 record 0.
        let edges = [(at(0, 0), at(1, 0)), (at(1, 0), at(2, 0)), (at(0, 1), at(2, 0)), (at(0, 0), at(2, 0))];
        let grouping = group(&[2, 1, 1], &edges);
        let groups: Vec<_> = grouping.groups.iter().collect();
        assert_eq!(groups, [[at(0, 0), at(1, 0), at(2, 0)]]);
        assert_eq!(grouping.conflicts.len(), 1);
        let (position, one, other) = grouping.conflicts[0];
        assert_eq!(position, 2);
        assert_eq!([one.min(other), one.max(other)], [at(0, 0), at(0, 1)]);
    }

    proptest! {
        #[test]
        fn never_two_records_of_one_agency(
            raw in prop::collection::vec((0u16..4, 0u32..5, 0u16..4, 0u32..5), 0..40),
        ) {
            let edges: Vec<_> = raw
                .into_iter()
                .filter(|(a, _, b, _)| a != b)
                .map(|(a, x, b, y)| (at(a, x), at(b, y)))
                .collect();
            let grouping = group(&[5; 4], &edges);
            let mut seen = std::collections::BTreeSet::new();
            for members in grouping.groups.iter() {
                prop_assert!(members.len() >= 2);
                prop_assert!(members.windows(2).all(|pair| pair[0].agency < pair[1].agency));
                prop_assert!(members.iter().all(|member| seen.insert(*member)), "a record in two groups");
            }
            // Every edge lies inside one group or is a reported conflict.
            for (position, (left, right)) in edges.iter().enumerate() {
                let together = grouping.groups.iter().any(|g| g.contains(left) && g.contains(right));
                let refused = grouping.conflicts.iter().any(|(at, _, _)| *at == position);
                prop_assert!(together != refused);
            }
        }
    }
}
