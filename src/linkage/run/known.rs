//! What people know about pairs of records: the same child, or never to be linked.
//!
//! May see: record numbers and judged pairs. Must not see: encodings, refs, who decided.

use super::candidates::{Edge, PairEdges};
use crate::linkage::groups::RecordAt;
use crate::wire::{Band, Reason};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Pairs that people decided, by number of dataset and record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    same: BTreeSet<(RecordAt, RecordAt)>,
    apart: BTreeMap<RecordAt, BTreeSet<RecordAt>>,
    unlinked: BTreeSet<(u16, u16)>,
}

impl Known {
    /// Two records are the same child: where they are candidates they are linked as a match, and neither
    /// is linked to another record of the other's agency.
    pub fn same(&mut self, one: RecordAt, other: RecordAt) {
        self.same.insert((one.min(other), one.max(other)));
    }

    /// Two records are never linked, directly or through others, nor may they meet in a group.
    pub fn apart(&mut self, one: RecordAt, other: RecordAt) {
        self.apart.entry(one).or_default().insert(other);
        self.apart.entry(other).or_default().insert(one);
    }

    /// Two datasets, by number, are never compared: not one of their records is a candidate of the other's.
    pub fn unlinked(&mut self, one: u16, other: u16) {
        self.unlinked.insert((one.min(other), one.max(other)));
    }

    /// Whether two datasets, by number, may be compared.
    pub(super) fn may_link(&self, one: u16, other: u16) -> bool {
        !self.unlinked.contains(&(one.min(other), one.max(other)))
    }

    /// Whether nothing is known of records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.same.is_empty() && self.apart.is_empty()
    }

    /// By record, the records it must not meet.
    pub(super) fn kept_apart(&self) -> &BTreeMap<RecordAt, BTreeSet<RecordAt>> {
        &self.apart
    }

    /// The edges of a pair of datasets after what is known: edges that must not be are gone.
    pub(super) fn applied<'e>(&self, pair: &'e PairEdges) -> Cow<'e, [Edge]> {
        if self.is_empty() {
            return Cow::Borrowed(&pair.edges);
        }
        let at_a = |record| RecordAt { agency: pair.agency_a, record };
        let at_b = |record| RecordAt { agency: pair.agency_b, record };
        let (mut of_a, mut of_b) = (BTreeMap::new(), BTreeMap::new());
        for (one, other) in &self.same {
            for (left, right) in [(one, other), (other, one)] {
                if (left.agency, right.agency) == (pair.agency_a, pair.agency_b) {
                    of_a.insert(left.record, right.record);
                    of_b.insert(right.record, left.record);
                }
            }
        }
        let apply = |edge: &Edge| {
            let (a, b) = (at_a(edge.a), at_b(edge.b));
            if self.apart.get(&a).is_some_and(|others| others.contains(&b)) {
                return None;
            }
            match (of_a.get(&edge.a), of_b.get(&edge.b)) {
                (None, None) => Some(*edge),
                (Some(b), _) if *b == edge.b => {
                    let mut edge = *edge;
                    edge.verdict.band = Band::Match;
                    edge.verdict.reasons.insert(Reason::Confirmed);
                    Some(edge)
                }
                _ => None,
            }
        };
        Cow::Owned(pair.edges.iter().filter_map(apply).collect())
    }
}
