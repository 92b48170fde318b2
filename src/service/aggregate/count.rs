//! Counting a finished run: exact tables over its children, before anything is suppressed.
//!
//! May see: store's facts and links, wire. Pure. A child is a group of open records, at most one of an agency, that
//! matches join; the surest first, so that a raised threshold only ever takes groups apart.

use crate::store::{CountedLink, Fact};
use crate::wire::{AgencyId, Band, Month, RecordRef, ShortText};
use std::collections::BTreeMap;

/// A run as it is counted.
pub(super) struct Frozen {
    /// Its agencies, by input number.
    pub(super) agencies: Vec<AgencyId>,
    /// Records of each, sorted by ref.
    pub(super) facts: Vec<Vec<Fact>>,
    /// Links that both sides may see.
    pub(super) links: Vec<CountedLink>,
}

/// What is supposed to be otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WhatIf {
    /// Matches need this score, as the store rounds it; the run's own bands when absent.
    pub(super) score_min: Option<i64>,
    /// Agencies left out, by input number.
    pub(super) without: Vec<u16>,
}

/// A child: which agencies know it, and what of it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Child {
    /// One bit an input.
    pub(super) known_to: u64,
    /// Area of the first record that has one.
    pub(super) area: Option<ShortText>,
    /// Age band of the first record that has one.
    pub(super) age_band: Option<ShortText>,
    /// Latest month in which any record was active.
    pub(super) last_seen: Option<Month>,
}

impl Child {
    /// Number of agencies.
    pub(super) const fn agencies(self) -> u32 {
        self.known_to.count_ones()
    }
    pub(super) const fn is_known_to(self, input: u16) -> bool {
        self.known_to >> input & 1 == 1
    }
}

impl Frozen {
    fn position(&self, (input, record): (u16, RecordRef)) -> Option<usize> {
        let facts = self.facts.get(usize::from(input))?;
        let at = facts.binary_search_by_key(&record, |fact| fact.record).ok()?;
        facts[at].open.then_some(at)
    }

    /// Matched pairs and pairs for review of each two agencies, `(a, b)` with a before b.
    pub(super) fn pairs(&self, what_if: &WhatIf) -> BTreeMap<(u16, u16), (u64, u64)> {
        let mut pairs = BTreeMap::new();
        for link in &self.links {
            let (a, b) = (link.left.0, link.right.0);
            let out = what_if.without.contains(&a) || what_if.without.contains(&b);
            if out || self.position(link.left).is_none() || self.position(link.right).is_none() {
                continue;
            }
            let count: &mut (u64, u64) = pairs.entry((a.min(b), a.max(b))).or_default();
            match (what_if.score_min, link.band) {
                (Some(score_min), _) => {
                    count.0 += u64::from(link.score >= score_min);
                    count.1 += u64::from(link.score < score_min);
                }
                (None, Band::Match) => count.0 += 1,
                (None, Band::Review) => count.1 += 1,
                (None, Band::None) => {}
            }
        }
        pairs
    }

    /// Open records of each agency.
    pub(super) fn records(&self, what_if: &WhatIf) -> Vec<u64> {
        let of = |(input, facts): (u16, &Vec<Fact>)| match what_if.without.contains(&input) {
            true => 0,
            false => facts.iter().filter(|fact| fact.open).count() as u64,
        };
        (0u16..).zip(&self.facts).map(of).collect()
    }

    /// The children that the agencies know together.
    pub(super) fn children(&self, what_if: &WhatIf) -> Vec<Child> {
        let starts: Vec<usize> = self
            .facts
            .iter()
            .scan(0, |next, facts| Some(std::mem::replace(next, *next + facts.len())))
            .collect();
        let all: usize = self.facts.iter().map(Vec::len).sum();
        let mut groups = Groups { parent: (0..all).collect(), known_to: vec![0; all] };
        for (input, facts) in self.facts.iter().enumerate() {
            for at in 0..facts.len() {
                groups.known_to[starts[input] + at] = 1 << input;
            }
        }
        let wanted = |link: &&CountedLink| {
            let sure = what_if.score_min.map_or(link.band == Band::Match, |min| link.score >= min);
            let there = |input| !what_if.without.contains(&input);
            sure && there(link.left.0) && there(link.right.0)
        };
        let mut links: Vec<&CountedLink> = self.links.iter().filter(wanted).collect();
        links.sort_unstable_by_key(|link| (std::cmp::Reverse(link.score), link.left, link.right));
        for link in links {
            if let (Some(left), Some(right)) = (self.position(link.left), self.position(link.right)) {
                groups
                    .join(starts[usize::from(link.left.0)] + left, starts[usize::from(link.right.0)] + right);
            }
        }
        let mut children: BTreeMap<usize, Child> = BTreeMap::new();
        for (input, facts) in (0u16..).zip(&self.facts) {
            if what_if.without.contains(&input) {
                continue;
            }
            for (at, fact) in facts.iter().enumerate().filter(|(_, fact)| fact.open) {
                let root = groups.root(starts[usize::from(input)] + at);
                let none = Child { known_to: 0, area: None, age_band: None, last_seen: None };
                let child = children.entry(root).or_insert(none);
                child.known_to |= 1 << input;
                child.area = child.area.or(fact.area);
                child.age_band = child.age_band.or(fact.age_band);
                child.last_seen = child.last_seen.max(fact.last_seen);
            }
        }
        children.into_values().collect()
    }
}

/// Records joined into children, at most one of an agency in each.
struct Groups {
    parent: Vec<usize>,
    known_to: Vec<u64>,
}

impl Groups {
    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b && self.known_to[a] & self.known_to[b] == 0 {
            let (root, other) = (a.min(b), a.max(b));
            self.parent[other] = root;
            self.known_to[root] |= self.known_to[other];
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn record(input: u16, child: u32) -> RecordRef {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&child.to_be_bytes());
        bytes[4..6].copy_from_slice(&input.to_be_bytes());
        RecordRef::from_bytes(bytes)
    }

    /// Three agencies; agency `a` knows the children of `known[a]`, and a child's records match at `score`.
    pub(in super::super) fn frozen(known: [&[u32]; 3], score: impl Fn(u32) -> i64) -> Frozen {
        let fact = |input: u16, child: &u32| Fact {
            record: record(input, *child),
            open: true,
            last_seen: Month::try_from(202_601 + child % 3).ok(),
            area: format!("area{}", child % 2).parse().ok(),
            age_band: (if child.is_multiple_of(4) { "0-4" } else { "5-9" }).parse().ok(),
        };
        let mut facts: Vec<Vec<Fact>> = (0u16..)
            .zip(known)
            .map(|(input, known)| known.iter().map(|c| fact(input, c)).collect())
            .collect();
        facts.iter_mut().for_each(|facts| facts.sort_by_key(|fact| fact.record));
        let mut links = Vec::new();
        for (a, b) in [(0u16, 1u16), (0, 2), (1, 2)] {
            for child in known[usize::from(a)].iter().filter(|child| known[usize::from(b)].contains(child)) {
                let score = score(*child);
                let band = if score >= 900_000 { Band::Match } else { Band::Review };
                links.push(CountedLink {
                    left: (a, record(a, *child)),
                    right: (b, record(b, *child)),
                    band,
                    score,
                });
            }
        }
        let agencies = ["council", "health", "police"].map(|id| id.parse().unwrap()).to_vec();
        Frozen { agencies, facts, links }
    }

    fn known_to(children: &[Child]) -> [usize; 3] {
        [1, 2, 3].map(|k| children.iter().filter(|child| child.agencies() == k).count())
    }

    #[test]
    fn children_are_groups_of_one_record_an_agency() {
        let frozen = frozen([&[1, 2, 3, 4], &[3, 4, 5], &[4, 6]], |_| 950_000);
        let as_it_is = WhatIf::default();
        assert_eq!(known_to(&frozen.children(&as_it_is)), [4, 1, 1]);
        assert_eq!(frozen.pairs(&as_it_is), [((0, 1), (2, 0)), ((0, 2), (1, 0)), ((1, 2), (1, 0))].into());
        assert_eq!(frozen.records(&as_it_is), [4, 3, 2]);
        let without = WhatIf { without: vec![1], ..WhatIf::default() };
        assert_eq!(known_to(&frozen.children(&without)), [4, 1, 0]);
        assert_eq!(frozen.records(&without), [4, 0, 2]);
    }

    #[test]
    fn a_higher_threshold_only_takes_children_apart() {
        let frozen =
            frozen([&[1, 2, 3], &[1, 2, 3], &[1, 2, 3]], |child| 800_000 + i64::from(child) * 50_000);
        let at = |score_min| WhatIf { score_min, ..WhatIf::default() };
        assert_eq!(known_to(&frozen.children(&at(None))), [3, 0, 2]);
        let mut before = 0;
        for min in [800_000, 850_001, 900_001, 950_001] {
            let count = frozen.children(&at(Some(min))).len();
            assert!(count >= before, "{min}");
            before = count;
        }
        assert_eq!(before, 9);
        assert_eq!(frozen.pairs(&at(Some(900_001)))[&(0, 1)], (1, 2));
    }

    #[test]
    fn records_that_are_not_open_are_counted_nowhere() {
        let mut frozen = frozen([&[1, 2], &[1, 2], &[]], |_| 950_000);
        frozen.facts[0][0].open = false;
        let as_it_is = WhatIf::default();
        assert_eq!(frozen.pairs(&as_it_is)[&(0, 1)], (1, 0));
        assert_eq!(frozen.records(&as_it_is), [1, 2, 0]);
        assert_eq!(known_to(&frozen.children(&as_it_is)), [1, 1, 0]);
    }

    #[test]
    fn two_records_of_one_agency_never_share_a_child() {
        let mut frozen = frozen([&[1], &[1, 2], &[]], |_| 950_000);
        let other = CountedLink { right: (1, record(1, 2)), score: 940_000, ..frozen.links[0] };
        frozen.links.push(other);
        assert_eq!(known_to(&frozen.children(&WhatIf::default())), [1, 1, 0]);
    }
}
