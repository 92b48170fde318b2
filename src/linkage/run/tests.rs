//! Runs over small synthetic encodings: one-to-one, determinism, conflicts, refusals.

use super::*;
use crate::linkage::arena::{FilterTable, ViewTable};
use crate::wire::{Layout, Profile, Reason, RecordRef, Segment, View};
use std::sync::Arc;

/// A small generator of reproducible numbers (SplitMix64, Steele et al. 2014).
pub(in crate::linkage) struct Numbers(pub(in crate::linkage) u64);

impl Numbers {
    pub(in crate::linkage) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(in crate::linkage) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

pub(in crate::linkage) const WORDS: usize = 4;

fn clk_layout() -> Arc<Layout> {
    let bits = 64 * WORDS as u32;
    let segments = vec![Segment { attribute: "record".parse().unwrap(), start: 0, bits }];
    let view = View { name: "record".parse().unwrap(), slots: 1, bits, segments, tag: None };
    Arc::new(Layout::new(Profile::Clk, vec![view], false, Vec::new(), Vec::new()).unwrap())
}

pub(in crate::linkage) fn dataset(agency: &str, rows: &[(RecordRef, [u64; WORDS])]) -> Dataset {
    let words = rows.iter().flat_map(|(_, words)| *words).collect();
    Dataset {
        agency: agency.parse().unwrap(),
        layout: clk_layout(),
        refs: rows.iter().map(|(name, _)| *name).collect(),
        views: vec![ViewTable { filters: FilterTable::new(words, WORDS), slots: 1, tags: None }],
        presence: None,
        exact: Vec::new(),
    }
}

fn name(agency: u8, child: u64) -> RecordRef {
    let mut bytes = [agency; 16];
    // Scrambled, so that the order of refs is not the order of children.
    bytes[..8].copy_from_slice(&Numbers(child).next().to_le_bytes());
    RecordRef::from_bytes(bytes)
}

/// `children` children, each known to each of `agencies` agencies with a few bits changed.
fn agencies(count: u8, children: u64, noise: u64) -> Vec<Dataset> {
    let of_child = |child: u64| {
        let mut numbers = Numbers(child * 77 + 1);
        std::array::from_fn::<u64, WORDS, _>(|_| numbers.next() & numbers.next())
    };
    let rows = |agency: u8| -> Vec<_> {
        let with_noise = |child: u64| {
            let mut words = of_child(child);
            let mut numbers = Numbers(child << 8 | u64::from(agency));
            for _ in 0..noise {
                let bit = numbers.below(64 * WORDS as u64);
                words[bit as usize / 64] ^= 1 << (bit % 64);
            }
            (name(agency, child), words)
        };
        (0..children).map(with_noise).collect()
    };
    (0..count).map(|agency| dataset(&format!("agency-{agency}"), &rows(agency))).collect()
}

pub(in crate::linkage) fn dice(match_at: &str, review_at: &str) -> DecisionModel {
    DecisionModel::Dice(crate::wire::DiceModel {
        match_at: match_at.parse().unwrap(),
        review_at: review_at.parse().unwrap(),
        runner_up_margin: None,
    })
}

fn run(datasets: &[Dataset], model: &DecisionModel) -> Run {
    link(datasets, model, &LinkOptions::default(), Exec::Serial, &Control::new()).unwrap()
}

/// A run in words that do not depend on the order of datasets and records.
fn in_words(datasets: &[Dataset], run: &Run) -> Vec<String> {
    let of = |agency: u16, record: u32| datasets[usize::from(agency)].refs[record as usize];
    let words = |link: &Link| {
        let (a, b) = (of(link.agency_a, link.record_a), of(link.agency_b, link.record_b));
        format!("{a} {b} {:?} {} {:?}", link.score, link.band, link.reasons)
    };
    let links = run.links.iter().map(words);
    let mut groups: Vec<String> = run
        .groups
        .iter()
        .map(|members| {
            let mut refs: Vec<_> = members.iter().map(|at| of(at.agency, at.record).to_string()).collect();
            refs.sort();
            refs.join(" ")
        })
        .collect();
    groups.sort();
    links.chain(groups).collect()
}

#[test]
fn finds_every_child_once_and_groups_it() {
    let datasets = agencies(3, 60, 4);
    let run = run(&datasets, &dice("0.75", "0.65"));
    assert_eq!(run.links.len(), 3 * 60);
    for link in &run.links {
        let same = |agency: u16, record: u32| {
            datasets[usize::from(agency)].refs[record as usize].as_bytes()[..8].to_vec()
        };
        assert_eq!(same(link.agency_a, link.record_a), same(link.agency_b, link.record_b));
        assert!(link.agency_a < link.agency_b);
    }
    assert_eq!(run.groups.len(), 60);
    assert!(run.groups.iter().all(|members| members.len() == 3));
    assert!(run.conflicts.is_empty());
}

#[test]
fn equal_for_any_threads_and_any_order() {
    let datasets = agencies(3, 80, 20);
    let model = dice("0.75", "0.5");
    let expected = run(&datasets, &model);
    assert!(expected.links.iter().any(|link| link.band == Band::Review), "a case worth the test");
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = link(&datasets, &model, &LinkOptions::default(), Exec::Pool(&pool), &Control::new());
        assert_eq!(found.unwrap(), expected, "{threads} threads");
    }
    let turned: Vec<Dataset> = datasets
        .iter()
        .rev()
        .map(|old| {
            let rows: Vec<_> = (0..old.len()).rev().collect();
            let pick = |row: usize| {
                let words: [u64; WORDS] = old.views[0].filters.row(row).try_into().unwrap();
                (old.refs[row], words)
            };
            dataset(old.agency.as_str(), &rows.into_iter().map(pick).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(in_words(&turned, &run(&turned, &model)), in_words(&datasets, &expected));
}

#[test]
fn a_pair_exactly_at_the_threshold_is_linked() {
    // 4 common of 5 + 5 set bits: Dice 0.8.
    let one = dataset("a", &[(name(0, 0), [0b11111, 0, 0, 0])]);
    let two = dataset("b", &[(name(1, 0), [0b11_1101 ^ 0b1_0000_0000 ^ 0b10_0000, 0, 0, 0])]);
    let datasets = [one, two];
    let total: u32 = datasets.iter().map(|d| d.views[0].filters.row(0)[0].count_ones()).sum();
    assert_eq!(total, 10);
    let found = run(&datasets, &dice("0.8", "0.8"));
    assert_eq!(found.links.len(), 1);
    assert_eq!(found.links[0].score, Score::Dice { common: 4, total: 10 });
    assert!(run(&datasets, &dice("0.800001", "0.800001")).links.is_empty());
}

#[test]
fn two_records_of_one_agency_never_share_a_group() {
    // One record of A and two of B that look alike; C knows the child as B's second record.
    let child = [u64::MAX >> 32, 0, 0, 0];
    let near = [u64::MAX >> 33, 0, 0, 0];
    let far = [u64::MAX >> 35, 0, 0, 0];
    let datasets = [
        dataset("a", &[(name(0, 0), child)]),
        dataset("b", &[(name(1, 0), child), (name(1, 1), near)]),
        dataset("c", &[(name(2, 0), far), (name(2, 1), near)]),
    ];
    let found = run(&datasets, &dice("0.8", "0.8"));
    for members in found.groups.iter() {
        assert!(members.windows(2).all(|pair| pair[0].agency != pair[1].agency));
    }
    for conflict in &found.conflicts {
        assert_eq!(conflict.link.band, Band::Review);
        assert!(conflict.link.reasons.contains(Reason::GroupConflict));
        assert_eq!(conflict.records[0].agency, conflict.records[1].agency);
    }
    assert!(!found.conflicts.is_empty());
}

#[test]
fn a_near_runner_up_asks_for_a_review() {
    let (child, twin) = ([u64::MAX >> 32, 0, 0, 0], [u64::MAX >> 33, 0, 0, 0]);
    let datasets =
        [dataset("a", &[(name(0, 0), child)]), dataset("b", &[(name(1, 0), child), (name(1, 1), twin)])];
    let mut model = dice("0.8", "0.8");
    assert_eq!(run(&datasets, &model).links[0].band, Band::Match);
    if let DecisionModel::Dice(dice) = &mut model {
        dice.runner_up_margin = Some("0.05".parse().unwrap());
    }
    let links = run(&datasets, &model).links;
    assert_eq!((links.len(), links[0].band), (1, Band::Review));
    assert!(links[0].reasons.contains(Reason::RunnerUp));
    assert_eq!(links[0].record_b, 0);
}

#[test]
fn finds_duplicates_inside_a_dataset_when_asked() {
    let mut rows: Vec<_> =
        agencies(1, 20, 0)[0].refs.iter().copied().map(|name| (name, [0u64; WORDS])).collect();
    for (at, (_, words)) in rows.iter_mut().enumerate() {
        let mut numbers = Numbers(at as u64 / 2);
        *words = std::array::from_fn(|_| numbers.next() & numbers.next());
    }
    let datasets = [dataset("a", &rows)];
    let options = LinkOptions { deduplicate: true, ..LinkOptions::default() };
    let found = link(&datasets, &dice("0.9", "0.9"), &options, Exec::Serial, &Control::new()).unwrap();
    assert_eq!(found.duplicates.len(), 10);
    assert!(found.duplicates.iter().all(|link| link.record_a / 2 == link.record_b / 2));
    assert!(found.links.is_empty());
}

#[test]
fn refuses_what_cannot_be_linked() {
    let model = dice("0.8", "0.8");
    let refuse = |datasets: &[Dataset], model: &DecisionModel| {
        link(datasets, model, &LinkOptions::default(), Exec::Serial, &Control::new()).unwrap_err()
    };
    let two = agencies(2, 3, 0);
    let twice = [two[0].clone(), two[0].clone()];
    assert!(matches!(refuse(&twice, &model), RunError::SameAgency(_)));
    assert!(matches!(refuse(&two, &dice("0.7", "0.8")), RunError::Decision(DecisionError::Bands)));
    let mut other = two[1].clone();
    let bits = 64 * WORDS as u32;
    let segments = vec![Segment { attribute: "other".parse().unwrap(), start: 0, bits }];
    let view = View { name: "record".parse().unwrap(), slots: 1, bits, segments, tag: None };
    other.layout = Arc::new(Layout::new(Profile::Clk, vec![view], false, vec![], vec![]).unwrap());
    assert!(matches!(refuse(&[two[0].clone(), other], &model), RunError::Layouts(_)));
    let many: Vec<Dataset> = (0..65).map(|at| dataset(&format!("a{at}"), &[])).collect();
    assert!(matches!(refuse(&many, &model), RunError::TooManyDatasets));
    let cancelled = Control::new();
    cancelled.cancel();
    let error = link(&two, &model, &LinkOptions::default(), Exec::Serial, &cancelled).unwrap_err();
    assert_eq!(error, RunError::Join(JoinError::Cancelled));
}

#[test]
fn nothing_in_nothing_out() {
    let model = dice("0.8", "0.8");
    assert_eq!(run(&[], &model), Run::empty());
    let datasets = [dataset("a", &[]), agencies(1, 3, 0).remove(0)];
    assert!(run(&datasets, &model).links.is_empty());
}

fn at(agency: u16, record: u32) -> RecordAt {
    RecordAt { agency, record }
}

fn run_known(datasets: &[Dataset], known: &Known, model: &DecisionModel) -> Run {
    link_known(datasets, known, model, &LinkOptions::default(), Exec::Serial, &Control::new()).unwrap()
}

#[test]
fn records_kept_apart_never_meet_not_even_through_a_third() {
    let datasets = agencies(3, 20, 2);
    let model = dice("0.75", "0.65");
    let free = run(&datasets, &model);
    let nothing = Known::default();
    assert_eq!(run_known(&datasets, &nothing, &model), free);
    // Child 4 of agency 0 and of agency 1: both still resemble agency 2's record of the child.
    let mut known = Known::default();
    known.apart(at(1, 4), at(0, 4));
    let kept = run_known(&datasets, &known, &model);
    let of_child = |run: &Run| -> Vec<(u16, u16)> {
        let links = run.links.iter().filter(|link| link.record_a == 4 || link.record_b == 4);
        links.map(|link| (link.agency_a, link.agency_b)).collect()
    };
    assert_eq!(of_child(&free), [(0, 1), (0, 2), (1, 2)]);
    let left = of_child(&kept);
    assert_eq!(left.len(), 1, "only one of the two may stay with the third's record: {left:?}");
    assert!(!left.contains(&(0, 1)));
    let meet = |members: &[RecordAt]| members.contains(&at(0, 4)) && members.contains(&at(1, 4));
    assert!(!kept.groups.iter().any(meet));
    assert_eq!(kept.candidates, free.candidates, "what was judged stays, so that it can be undone");
    assert_eq!(kept.links.len(), free.links.len() - 2);
}

#[test]
fn a_confirmed_pair_is_a_match_and_shuts_out_the_others() {
    let mut datasets = agencies(2, 10, 3);
    // A second record of child 3 in agency 1, nearer to agency 0's than the first.
    let twin = dataset("agency-1", &[(name(9, 3), datasets[0].views[0].filters.row(3).try_into().unwrap())]);
    let joined: Vec<_> = (0..10)
        .map(|row| (datasets[1].refs[row], datasets[1].views[0].filters.row(row).try_into().unwrap()))
        .chain([(twin.refs[0], twin.views[0].filters.row(0).try_into().unwrap())])
        .collect();
    datasets[1] = dataset("agency-1", &joined);
    let model = dice("0.99", "0.65");
    let of_child = |run: &Run| -> Vec<(u32, Band)> {
        let links = run.links.iter().filter(|link| link.record_a == 3);
        links.map(|link| (link.record_b, link.band)).collect()
    };
    assert_eq!(of_child(&run(&datasets, &model)), [(10, Band::Match)]);
    let mut known = Known::default();
    known.same(at(1, 3), at(0, 3));
    let confirmed = run_known(&datasets, &known, &model);
    assert_eq!(of_child(&confirmed), [(3, Band::Match)]);
    let link = confirmed.links.iter().find(|link| link.record_a == 3).unwrap();
    assert!(link.reasons.contains(Reason::Confirmed));
}

/// 64 of 256 bits; `moved` of them, from the `from`th on, stand elsewhere.
fn row(from: usize, moved: usize) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for bit in 0..64 {
        let at = if (from..from + moved).contains(&bit) { 64 + 2 * bit } else { bit };
        words[at / 64] |= 1 << (at % 64);
    }
    words
}

#[test]
fn two_matches_with_one_third_record_make_a_third_match() {
    // Dice: 54/64 with the third record, 44/64 with one another.
    let third = dataset("z", &[(name(3, 1), row(0, 0))]);
    let datasets =
        [dataset("a", &[(name(1, 1), row(0, 10))]), dataset("b", &[(name(2, 1), row(30, 10))]), third];
    let bands = |review_at: &str, thirds: bool, datasets: &[Dataset]| {
        let options = LinkOptions { thirds, ..LinkOptions::default() };
        let run = link(datasets, &dice("0.8", review_at), &options, Exec::Serial, &Control::new()).unwrap();
        let show = |link: &Link| (link.agency_a, link.agency_b, link.band, link.reasons.iter().collect());
        run.links.iter().map(show).collect::<Vec<(u16, u16, Band, Vec<Reason>)>>()
    };
    let direct = [(0, 2, Band::Match, vec![]), (1, 2, Band::Match, vec![])];
    let followed = (0, 1, Band::Match, vec![Reason::ThroughThird]);
    assert_eq!(bands("0.8", false, &datasets), direct);
    assert_eq!(bands("0.8", true, &datasets), [std::slice::from_ref(&followed), &direct[..]].concat());
    // A review of the same two is raised, and keeps what it was a review for.
    let raised = bands("0.65", true, &datasets);
    assert_eq!(raised[0], (0, 1, Band::Match, vec![Reason::BelowMatch, Reason::ThroughThird]));
    // A record of b that is nearer, yet for review only, gives way.
    let mut rows = vec![(name(2, 1), row(30, 10)), (name(2, 2), row(0, 24))];
    rows[1].1[0] |= 0x3ff;
    let rival = [datasets[0].clone(), dataset("b", &rows), datasets[2].clone()];
    assert_eq!(bands("0.65", false, &rival)[0].2, Band::Review);
    let links = bands("0.65", true, &rival);
    assert_eq!(links.iter().filter(|link| (link.0, link.1) == (0, 1)).count(), 1);
    // Two agencies have no third.
    assert_eq!(bands("0.8", true, &datasets[..2]), []);
    // Agencies that the agreement does not link are not linked through a third either.
    let mut known = Known::default();
    known.unlinked(1, 0);
    let links = run_known(&datasets, &known, &dice("0.8", "0.8")).links;
    assert_eq!(links.iter().map(|link| (link.agency_a, link.agency_b)).collect::<Vec<_>>(), [(0, 2), (1, 2)]);
}
