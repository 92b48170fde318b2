//! Runs over synthetic salted views: evidence, guards, deltas, look-ups.

use super::tests::Numbers;
use super::*;
use crate::linkage::arena::{FilterTable, ViewTable};
use crate::wire::{AttributeName, Layout, Profile, Reason, RecordRef, Segment, View, presence};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(in crate::linkage) const MODEL: &str = r#"
    [evidence]
    match_at = 400
    review_at = -300
    agree_at = "0.55"
    join_at = "0.47"
    empty_below = "0.1"
    [evidence.guards]
    placeholder_names = true
    default_dates = true
    twins = { attribute = "given", below = "0.6", rest = [{ attribute = "family", at = "0.8" }] }
    [[evidence.attributes]]
    name = "given"
    cuts = ["0.6", "0.8"]
    weights = [-500, 100, 500]
    [[evidence.attributes]]
    name = "family"
    cuts = ["0.6", "0.8"]
    weights = [-500, 100, 500]
    [[evidence.attributes]]
    name = "date"
    cuts = ["0.6", "0.8"]
    weights = [-600, 100, 450]
    presence_bit = 2
    [[evidence.attributes]]
    name = "place"
    cuts = ["0.6", "0.8"]
    weights = [-200, 200, 500]
    [[evidence.views]]
    view = "a"
    swap = ["given", "family"]
    implies = [{ attribute = "date", at = "0.58", similarity = "1" }]
    [[evidence.views]]
    view = "b"
    maps = [{ segment = "month", attribute = "date", offset = "0.35", slope = "0.65" }]
    [[evidence.exact]]
    attribute = "nhs_number"
    agree = 1500
"#;

/// A child by the seeds of its attributes; 0 is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::linkage) struct Child {
    pub(in crate::linkage) given: u64,
    pub(in crate::linkage) family: u64,
    pub(in crate::linkage) date: u64,
    pub(in crate::linkage) place: u64,
    pub(in crate::linkage) nhs: u8,
    pub(in crate::linkage) flags: u32,
}

pub(super) fn layout() -> Arc<Layout> {
    let view = |name: &str, segments: &[(&str, u32)]| {
        let mut start = 0;
        let segments = segments.iter().map(|(attribute, bits)| {
            start += bits;
            Segment { attribute: attribute.parse().unwrap(), start: start - bits, bits: *bits }
        });
        let segments: Vec<Segment> = segments.collect();
        let tag = Some(8.try_into().unwrap());
        View { name: name.parse().unwrap(), slots: 1, bits: start, segments, tag }
    };
    // Segments of 171 bits do not end at words.
    let views = vec![
        view("a", &[("given", 171), ("family", 171), ("place", 170)]),
        view("b", &[("family", 171), ("month", 170), ("place", 171)]),
    ];
    let exact: Vec<AttributeName> = vec!["nhs_number".parse().unwrap()];
    Arc::new(Layout::new(Profile::Views, views, true, exact, Vec::new()).unwrap())
}

fn write(words: &mut [u64], start: u32, bits: u32, seed: u64) {
    if seed > 0 {
        let mut numbers = Numbers(seed);
        for bit in start..start + bits {
            if numbers.below(10) < 4 {
                words[bit as usize / 64] |= 1 << (bit % 64);
            }
        }
    }
}

pub(in crate::linkage) fn dataset(agency: &str, records: &[(RecordRef, Child)]) -> Dataset {
    let layout = layout();
    let mut views = Vec::new();
    for view in layout.views() {
        let (mut words, mut tags) = (Vec::new(), Vec::new());
        for (_, child) in records {
            let salt = if view.name.as_str() == "a" { child.date } else { child.given };
            let salt = Numbers(salt << 8 | u64::from(view.name.as_str() == "a")).next();
            tags.push((salt >> 56) as u32);
            let mut row = vec![0u64; view.bits as usize / 64];
            for segment in &view.segments {
                let value = match segment.attribute.as_str() {
                    "given" => child.given,
                    "family" => child.family,
                    "month" => child.date,
                    _ => child.place,
                };
                // Given and family share a hash, so that they compare crosswise.
                let kind =
                    if segment.attribute.as_str() == "given" { "family" } else { segment.attribute.as_str() };
                let seed = if value == 0 { 0 } else { salt ^ value << 20 ^ u64::from(kind.as_bytes()[0]) };
                write(&mut row, segment.start, segment.bits, seed);
            }
            words.extend(row);
        }
        let filters = FilterTable::new(words, view.bits as usize / 64);
        views.push(ViewTable { filters, slots: 1, tags: Some(tags) });
    }
    let present = |child: &Child| child.flags | (u32::from(child.date > 0) * presence::DATE);
    let nhs = |child: &Child| (child.nhs > 0).then_some([child.nhs; 16]);
    Dataset {
        agency: agency.parse().unwrap(),
        layout: Arc::clone(&layout),
        refs: records.iter().map(|(name, _)| *name).collect(),
        views,
        presence: Some(records.iter().map(|(_, child)| present(child)).collect()),
        exact: vec![records.iter().map(|(_, child)| nhs(child)).collect()],
    }
}

pub(super) fn model() -> DecisionModel {
    toml::from_str(MODEL).unwrap()
}

pub(in crate::linkage) fn name(agency: u8, record: u32) -> RecordRef {
    let mut bytes = [agency; 16];
    bytes[..4].copy_from_slice(&record.wrapping_mul(0x9e37_79b1).to_le_bytes());
    RecordRef::from_bytes(bytes)
}

const KIM: Child = Child { given: 11, family: 12, date: 13, place: 14, nhs: 0, flags: 0 };

/// The verdict on two children in two agencies.
fn judge(one: Child, other: Child) -> Option<(Band, Vec<Reason>, Score)> {
    let datasets = [dataset("a", &[(name(0, 1), one)]), dataset("b", &[(name(1, 1), other)])];
    let run = link(&datasets, &model(), &LinkOptions::default(), Exec::Serial, &Control::new()).unwrap();
    let found = run.links.first().map(|link| (link.band, link.reasons.iter().collect(), link.score));
    // Which record stands first makes no difference.
    let turned = [dataset("a", &[(name(0, 1), other)]), dataset("b", &[(name(1, 1), one)])];
    let run = link(&turned, &model(), &LinkOptions::default(), Exec::Serial, &Control::new()).unwrap();
    assert_eq!(run.links.first().map(|link| (link.band, link.reasons.iter().collect(), link.score)), found);
    found
}

fn evidence(centibits: i32) -> Score {
    Score::Evidence { centibits }
}

#[test]
fn equal_records_score_the_sum_of_the_top_levels() {
    assert_eq!(judge(KIM, KIM), Some((Band::Match, vec![], evidence(1950))));
    let stranger = Child { given: 21, family: 22, date: 23, place: 24, ..KIM };
    assert_eq!(judge(KIM, stranger), None);
}

#[test]
fn a_missing_attribute_weighs_nothing() {
    let homeless = Child { place: 0, ..KIM };
    assert_eq!(judge(KIM, homeless), Some((Band::Match, vec![], evidence(1450))));
}

#[test]
fn the_presence_mask_overrules_what_salts_imply() {
    // View a's equal salts imply an equal date; both records say they have none.
    let dateless = Child { date: 0, ..KIM };
    let (band, _, score) = judge(dateless, dateless).unwrap();
    assert_eq!((band, score), (Band::Match, evidence(1500)));
}

#[test]
fn twins_go_to_review_with_a_reason() {
    let twin = Child { given: 15, ..KIM };
    assert_eq!(judge(KIM, twin).unwrap(), (Band::Review, vec![Reason::PossibleTwins], evidence(950)));
    let nameless = Child { given: 0, ..KIM };
    assert_eq!(judge(KIM, nameless).unwrap().0, Band::Match, "all the rest is there and agrees");
    let other_family = Child { family: 22, ..nameless };
    assert_eq!(judge(KIM, other_family).unwrap().1, [Reason::PlaceholderName]);
}

#[test]
fn swapped_names_are_found_and_named() {
    let swapped = Child { given: KIM.family, family: KIM.given, ..KIM };
    let (band, reasons, _) = judge(KIM, swapped).unwrap();
    assert_eq!((band, reasons), (Band::Match, vec![Reason::NamesSwapped]));
}

#[test]
fn a_segment_may_feed_another_attribute_by_its_map() {
    // Only view b agrees (the dates and so the salts of a differ); its month segment is unrelated: the
    // similarity is 0.35 + 0.65 * 0.4, the second level of the date.
    let other_date = Child { date: 16, ..KIM };
    let (_, _, score) = judge(KIM, other_date).unwrap();
    assert_eq!(score, evidence(500 + 100 + 500));
}

#[test]
fn exact_tokens_weigh_and_conflicts_force_a_review() {
    let (one, two) = (Child { nhs: 1, ..KIM }, Child { nhs: 2, ..KIM });
    assert_eq!(judge(one, one).unwrap(), (Band::Match, vec![Reason::ExactAgrees], evidence(3450)));
    assert_eq!(judge(one, two).unwrap(), (Band::Review, vec![Reason::ExactConflict], evidence(1950)));
    let moved = Child { given: 21, family: 22, date: 23, place: 24, nhs: 1, flags: 0 };
    let (band, reasons, score) = judge(one, moved).unwrap();
    assert_eq!((band, score), (Band::Review, evidence(1500)));
    assert_eq!(reasons, [Reason::ExactAgrees, Reason::ExactAlone]);
}

#[test]
fn flags_lower_a_match() {
    let flagged = |flag| Child { flags: flag, ..KIM };
    let placeholder = judge(KIM, flagged(presence::PLACEHOLDER_NAME)).unwrap();
    assert_eq!((placeholder.0, placeholder.1), (Band::Review, vec![Reason::PlaceholderName]));
    let default = flagged(presence::DEFAULT_DATE);
    assert_eq!(judge(KIM, default).unwrap().0, Band::Match, "a default on one side is no cause");
    assert_eq!(judge(default, default).unwrap().0, Band::Match, "it stands without the dates");
    // Equal defaults count as the level below equal, 100 and not 450; unequal ones say nothing.
    let leaning = judge(default, Child { family: 0, place: 24, ..default }).unwrap();
    assert_eq!(leaning, (Band::Review, vec![Reason::DefaultDates], evidence(500 + 100 - 200)));
    assert_eq!(judge(default, Child { date: 16, ..default }).unwrap().2, evidence(500 + 500));
}

#[test]
fn the_date_guard_lowers_to_what_it_says() {
    let guard = r#"date = { attribute = "date", at = "0.66", or_missing = { attribute = "place", at = "0.75" }, lower_to = "none" }
    placeholder_names"#;
    let strict: DecisionModel = toml::from_str(&MODEL.replace("placeholder_names", guard)).unwrap();
    let band = |one: Child, other: Child| {
        let datasets = [dataset("a", &[(name(0, 1), one)]), dataset("b", &[(name(1, 1), other)])];
        let run = link(&datasets, &strict, &LinkOptions::default(), Exec::Serial, &Control::new()).unwrap();
        run.links.first().map_or(Band::None, |link| link.band)
    };
    assert_eq!(band(KIM, KIM), Band::Match);
    assert_eq!(band(KIM, Child { date: 16, ..KIM }), Band::None);
    let dateless = Child { date: 0, ..KIM };
    assert_eq!(band(dateless, dateless), Band::Match);
    assert_eq!(band(Child { place: 0, ..dateless }, Child { place: 0, ..dateless }), Band::None);
}

fn child() -> impl Strategy<Value = Child> {
    // Few values, so that twins, runners-up, conflicts and shared tokens abound.
    (1u64..4, 1u64..4, 0u64..4, 0u64..3, 0u8..4).prop_map(|(given, family, date, place, nhs)| Child {
        given,
        family,
        date,
        place,
        nhs,
        flags: 0,
    })
}

fn agency() -> impl Strategy<Value = Vec<(u32, Child)>> {
    prop::collection::btree_map(0u32..12, child(), 0..8).prop_map(|records| records.into_iter().collect())
}

fn datasets(agencies: &[Vec<(u32, Child)>]) -> Vec<Dataset> {
    let of = |at: usize, records: &Vec<(u32, Child)>| {
        let rows: Vec<_> = records.iter().map(|(record, child)| (name(at as u8, *record), *child)).collect();
        dataset(&format!("agency-{at}"), &rows)
    };
    agencies.iter().enumerate().map(|(at, records)| of(at, records)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_delta_equals_a_full_run(
        before in prop::collection::vec(agency(), 3),
        after in prop::collection::vec(agency(), 3),
        margin in 0i32..3,
    ) {
        let with_margin = MODEL.replace("placeholder_names", &format!("runner_up_margin = {}\nplaceholder_names", margin * 200));
        let model: DecisionModel = toml::from_str(&with_margin).unwrap();
        let options = LinkOptions { deduplicate: true, ..LinkOptions::default() };
        let control = Control::new();
        let old = datasets(&before);
        let carried = link(&old, &model, &options, Exec::Serial, &control).unwrap().carry(&old);
        let new = datasets(&after);
        let changed: Vec<Vec<u32>> = before.iter().zip(&after).map(|(before, after)| {
            let known: BTreeSet<String> = before.iter().map(|record| format!("{record:?}")).collect();
            (0u32..).zip(after).filter(|(_, record)| !known.contains(&format!("{record:?}"))).map(|(at, _)| at).collect()
        }).collect();
        let full = link(&new, &model, &options, Exec::Serial, &control).unwrap();
        let delta = relink(&new, &changed, &carried, &model, &options, Exec::Serial, &control).unwrap();
        prop_assert_eq!(&delta.candidates.pairs, &full.candidates.pairs);
        prop_assert_eq!(&delta.links, &full.links);
        prop_assert_eq!(&delta.duplicates, &full.duplicates);
        prop_assert_eq!(&delta.groups, &full.groups);
        prop_assert_eq!(&delta.conflicts, &full.conflicts);
        // One record of a dataset stands in at most one link with each other dataset.
        let mut seen = BTreeSet::new();
        for link in &full.links {
            prop_assert!(seen.insert((link.agency_a, link.record_a, link.agency_b)));
            prop_assert!(seen.insert((link.agency_b, link.record_b, link.agency_a)));
        }
        for members in full.groups.iter() {
            prop_assert!(members.windows(2).all(|pair| pair[0].agency < pair[1].agency));
        }
    }

    #[test]
    fn a_look_up_sees_what_a_run_judges(agencies in prop::collection::vec(agency(), 3)) {
        let datasets = datasets(&agencies);
        let model = model();
        let run = link(&datasets, &model, &LinkOptions::default(), Exec::Serial, &Control::new()).unwrap();
        let shared: Vec<Arc<Dataset>> = datasets.iter().cloned().map(Arc::new).collect();
        let options = LookupOptions { per_agency_max: 100, ..LookupOptions::default() };
        let index = Index::new(shared, &model, options).unwrap();
        let mut found = BTreeSet::new();
        for (at, dataset) in datasets.iter().enumerate() {
            for record in 0..dataset.len() as u32 {
                for answer in index.find(dataset, record).unwrap() {
                    if at < usize::from(answer.agency) {
                        found.insert((at as u16, record, answer.agency, answer.record, answer.score.key()));
                    }
                }
            }
        }
        let judged: BTreeSet<_> = run.candidates.pairs.iter().flat_map(|pair| {
            pair.edges.iter().map(|edge| (pair.agency_a, edge.a, pair.agency_b, edge.b, edge.verdict.score.key()))
        }).collect();
        prop_assert_eq!(found, judged);
    }
}

#[test]
fn candidates_are_the_pairs_that_agree() {
    let mut numbers = Numbers(77);
    let mut children = |agency: u8| -> Vec<(RecordRef, Child)> {
        let child = |record: u32, numbers: &mut Numbers| {
            let mut value = |least: u64, most: u64| least + numbers.below(most - least);
            let (given, family) = (value(1, 5), value(0, 5));
            let child = Child { given, family, date: value(0, 9), place: value(0, 3), nhs: 0, flags: 0 };
            (name(agency, record), child)
        };
        (0..150).map(|record| child(record, &mut numbers)).collect()
    };
    let datasets = [dataset("one", &children(0)), dataset("two", &children(1))];
    let judge = Judge::new(&model(), &layout()).unwrap();
    let mut expected = Vec::new();
    for a in 0..150 {
        for b in 0..150 {
            if judge.evidence(&datasets[0], a, &datasets[1], b).is_some() {
                expected.push((a as u32, b as u32));
            }
        }
    }
    assert!(expected.len() > 500 && expected.len() < 10_000, "{}", expected.len());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for exec in [Exec::Serial, Exec::Pool(&pool)] {
        let mut found = Vec::new();
        let read = |_: &Judge, a: RecordAt, b: RecordAt| Some((a.record, b.record));
        let (options, control) = (LinkOptions::default(), Control::new());
        let (among, mut each) = ((&datasets[..], Among::All), |pair| found.push(pair));
        for_each_candidate(among, &model(), &options, exec, &control, &read, &mut each).unwrap();
        assert_eq!(found, expected);
        assert_eq!(control.pairs_done(), control.pairs_total());
    }
    let mut options = LinkOptions::default();
    options.join.pairs_max = 99;
    let refused = link(&datasets, &model(), &options, Exec::Serial, &Control::new());
    assert!(matches!(refused, Err(RunError::Join(JoinError::TooManyPairs { .. }))));
}

#[test]
fn twins_are_doubted_where_a_run_has_some() {
    let text = MODEL.replace("below = \"0.6\"", "below = \"0.1\", below_where_seen = \"0.6\"");
    let model: DecisionModel = toml::from_str(&text).unwrap();
    let child = |given: u64, at: u64| Child { given, family: at, date: at, place: at, nhs: 0, flags: 0 };
    let lone = |agency: u8| (name(agency, 999), child(if agency == 0 { 7 } else { 8 }, 50));
    let twins = |agency: u8, families: u32| -> Vec<(RecordRef, Child)> {
        let both = |family: u32| [0u64, 1].map(|twin| child(1 + twin, 100 + u64::from(family)));
        (0..families)
            .flat_map(|family| both(family).into_iter().zip(2 * family..))
            .map(|(child, record)| (name(agency, record), child))
            .chain([lone(agency)])
            .collect()
    };
    for (families, expected) in [(0, Band::Match), (5, Band::Review)] {
        let datasets = [dataset("one", &twins(0, families)), dataset("two", &twins(1, families))];
        let run = link(&datasets, &model, &LinkOptions::default(), Exec::Serial, &Control::new()).unwrap();
        assert_eq!(run.links.len(), 2 * families as usize + 1);
        let is_lone = |link: &&Link| datasets[0].refs[link.record_a as usize] == name(0, 999);
        let found = run.links.iter().find(is_lone).unwrap();
        assert_eq!(found.band, expected, "{families} families with twins");
        let reviews = run.links.iter().filter(|link| link.band == Band::Review).count();
        assert_eq!(reviews, usize::from(expected == Band::Review));
    }
}
