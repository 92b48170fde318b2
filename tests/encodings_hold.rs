//! What encodings promise, tested on generated children: the encoder's own tests pass for every schema shipped and
//! fail when a protection is taken away; noise is permanent and never shared; two projects can not be joined.
#![cfg(feature = "agency")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use blindlink::agency::encoder::Encoder;
use blindlink::agency::key::{AgencyKey, LinkageKey};
use blindlink::agency::mapping::Mapping;
use blindlink::agency::reader::{Extract, Options};
use blindlink::agency::record::Person;
use blindlink::agency::schema::Schema;
use blindlink::agency::schema::form::{SaltPart, SchemaForm};
use blindlink::agency::selftest::{SelfTest, TestKind};
use blindlink::synth::{Config, Generator, Size, push_row};
use blindlink::wire::{EncodingBatch, Epoch};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The largest extract of a generated population.
static CHILDREN: LazyLock<Vec<Person>> = LazyLock::new(|| {
    let config = Config::new("encodings hold", Size::Families(2500));
    let mut extracts = vec![(Vec::new(), 0u32); config.agencies.len()];
    for ((csv, _), agency) in extracts.iter_mut().zip(&config.agencies) {
        push_row(csv, agency.kind.columns().iter().map(|column| column.header));
    }
    for record in Generator::new(config.clone()).unwrap().flat_map(|family| family.records) {
        push_row(&mut extracts[record.agency].0, record.cells.iter().map(String::as_str));
        extracts[record.agency].1 += 1;
    }
    let largest = (0..extracts.len()).max_by_key(|at| extracts[*at].1).unwrap();
    let mapping = Mapping::from_toml(&config.agencies[largest].kind.mapping_toml(config.today)).unwrap();
    let today = jiff::civil::date(2026, 9, 1);
    let mut extract = Extract::open(extracts[largest].0.as_slice(), &mapping, Options::new(today)).unwrap();
    let mut persons = Vec::new();
    while let Some(batch) = extract.next_batch().unwrap() {
        persons.extend(batch.persons);
    }
    persons
});

fn encoder(schema: &Schema, agency: &str, project: &str, epoch: u32) -> Encoder {
    let bytes = |start: u8| -> [u8; 32] { std::array::from_fn(|at| start + at as u8) };
    let linkage = LinkageKey::from_bytes(&bytes(1)).unwrap();
    let own = AgencyKey::from_bytes(&bytes(100)).unwrap();
    let (agency, project) = (agency.parse().unwrap(), project.parse().unwrap());
    Encoder::new(schema, &linkage, &own, &agency, &project, Epoch::try_from(epoch).unwrap())
}

fn builtin(name: &str, edit: impl FnOnce(&mut SchemaForm)) -> Schema {
    let mut form = Schema::builtin(name).unwrap().form().clone();
    edit(&mut form);
    Schema::from_form(form).unwrap()
}

/// What fails for `persons` under `schema`.
fn failed(schema: &Schema, persons: &[Person]) -> BTreeSet<TestKind> {
    let encoder = encoder(schema, "school", "pilot", 1);
    let mut tests = SelfTest::new(schema);
    for block in persons.chunks(700) {
        tests.add(block, &encoder.encode(block));
    }
    let outcome = tests.outcome();
    assert_eq!(outcome.records, persons.len() as u64);
    outcome.failed().map(|test| test.test).collect()
}

#[test]
fn every_shipped_schema_passes_its_own_tests() {
    assert!(CHILDREN.len() > 2000, "{}", CHILDREN.len());
    for (name, ..) in Schema::builtins() {
        let schema = Schema::builtin(name).unwrap();
        let encoder = encoder(&schema, "school", "pilot", 1);
        let mut tests = SelfTest::new(&schema);
        tests.add(&CHILDREN, &encoder.encode(&CHILDREN));
        let outcome = tests.outcome();
        let texts: Vec<String> = outcome.failed().map(|test| test.explain()).collect();
        assert!(texts.is_empty(), "{name}: {texts:?}");
        assert!(outcome.tests.len() >= 2, "{name}");
    }
}

#[test]
fn a_protection_taken_away_fails_its_test() {
    let fails = |schema: &Schema, persons: &[Person], test: TestKind| {
        let found = failed(schema, persons);
        assert!(found.contains(&test), "{}: {test:?} is not in {found:?}", schema.title());
    };
    let views = "uk-child-views";
    // Empty slots without filler, and the same ones without flips: all alike.
    fails(&builtin(views, |f| (f.filler, f.flips_per_mille) = (false, 0)), &CHILDREN, TestKind::EmptyFilters);
    fails(
        &builtin(views, |f| (f.filler, f.flips_per_mille) = (false, 0)),
        &CHILDREN,
        TestKind::RepeatedEncodings,
    );
    // The year alone as salt: blocks of a whole school year.
    let by_year = builtin(views, |f| f.views[0].salt = vec![SaltPart::Year]);
    fails(&by_year, &CHILDREN, TestKind::LinkedSalts);
    fails(&by_year, &CHILDREN, TestKind::LargestBlock);
    fails(&by_year, &CHILDREN, TestKind::UnevenBits);
    fails(&builtin(views, |f| f.population = Some(1000)), &CHILDREN, TestKind::Population);
    // As many bits for each letter as there would be without budgets.
    let clk = Schema::builtin("uk-child-clk").unwrap();
    let mut by_letter = encoder(&clk, "school", "pilot", 1).encode(&CHILDREN);
    for (row, person) in CHILDREN.iter().enumerate() {
        let names = person.given.first().into_iter().chain(person.family.first());
        let letters: usize = names.map(|name| name.whole().len()).sum();
        by_letter.slots[0].filters[128 * row..][..letters.min(128)].fill(255);
    }
    let mut tests = SelfTest::new(&clk);
    tests.add(&CHILDREN, &by_letter);
    let found: Vec<TestKind> = tests.outcome().failed().map(|test| test.test).collect();
    assert_eq!(found, [TestKind::FilterLength]);
    // One attribute alone repeats.
    let sex = builtin("uk-child-clk", |f| {
        f.views[0].segments[0].budgets = [("sex".parse().unwrap(), 100)].into();
    });
    fails(&sex, &CHILDREN, TestKind::RepeatedEncodings);
    // One home and birthday for everybody, as a default would be.
    let mut alike = CHILDREN.clone();
    let (date, postcode) = (alike[0].date_of_birth, alike[0].postcode.clone());
    for person in alike.iter_mut().take(200) {
        (person.date_of_birth, person.postcode) = (date, postcode.clone());
    }
    fails(&Schema::builtin(views).unwrap(), &alike, TestKind::LargestBlock);
}

#[test]
fn few_records_are_not_judged_by_chance() {
    for (name, ..) in Schema::builtins() {
        let schema = Schema::builtin(name).unwrap();
        for count in [0, 1, 2, 150] {
            assert!(failed(&schema, &CHILDREN[..count]).is_empty(), "{name}, {count} records");
        }
    }
}

fn differing(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

fn ones(filter: &[u8]) -> u32 {
    filter.iter().map(|byte| byte.count_ones()).sum()
}

/// One child under many ids: everything that differs between two encodings is noise.
fn copies(count: usize) -> Vec<Person> {
    let complete = |p: &&Person| p.date_of_birth.is_some() && p.postcode.is_some() && !p.given.is_empty();
    let child = CHILDREN.iter().find(complete).unwrap();
    (0..count).map(|at| Person { local_id: format!("copy-{at}"), ..child.clone() }).collect()
}

#[test]
fn no_two_records_share_a_mask() {
    let persons = copies(300);
    for (name, view, flips) in [("uk-child-views", "dp", 12), ("uk-child-diffused", "record", 41)] {
        let schema = Schema::builtin(name).unwrap();
        let column = schema.layout().slots().position(|(v, _)| v.name.as_str() == view).unwrap();
        let without = builtin(name, |form| form.flips_per_mille = 0);
        let plain = encoder(&without, "school", "pilot", 1).encode(&persons);
        let noisy = encoder(&schema, "school", "pilot", 1).encode(&persons);
        let mask = |row: usize| differing(plain.filter(column, row), noisy.filter(column, row));
        let masks: Vec<Vec<u8>> = (0..persons.len()).map(mask).collect();
        assert!(masks.iter().all(|mask| ones(mask) == flips), "{name}: {}", ones(&masks[0]));
        assert_eq!(masks.iter().collect::<BTreeSet<_>>().len(), persons.len(), "{name}: masks repeat");
        // Two masks share as many bits as chance makes them: f * f / l.
        let (mut shared, mut pairs) = (0u64, 0u64);
        for (at, a) in masks.iter().enumerate() {
            for b in &masks[..at] {
                shared += a.iter().zip(b).map(|(a, b)| u64::from((a & b).count_ones())).sum::<u64>();
                pairs += 1;
            }
        }
        let bits = 8.0 * masks[0].len() as f64;
        let (mean, expected) = (shared as f64 / pairs as f64, f64::from(flips * flips) / bits);
        assert!((mean - expected).abs() < 0.05 * expected, "{name}: {mean}, by chance {expected}");
        // Another agency's noise for the same ids is another.
        let other = encoder(&schema, "clinic", "pilot", 1).encode(&persons);
        assert!((0..persons.len()).all(|row| other.filter(column, row) != noisy.filter(column, row)));
    }
}

#[test]
fn encoding_twice_is_byte_identical_and_noise_follows_the_record_alone() {
    for (name, ..) in Schema::builtins() {
        let schema = Schema::builtin(name).unwrap();
        let persons = &CHILDREN[..400];
        let all = encoder(&schema, "school", "pilot", 1).encode(persons);
        assert!(all == encoder(&schema, "school", "pilot", 1).encode(persons), "{name}");
        // In any order and any company.
        let mut turned: Vec<Person> = persons.to_vec();
        turned.reverse();
        let turned = encoder(&schema, "school", "pilot", 1).encode(&turned[100..]);
        for row in 0..turned.len() {
            let same = persons.len() - 1 - (row + 100);
            assert_eq!(turned.refs[row], all.refs[same], "{name}");
            let mut slots = 0..schema.layout().slots().count();
            assert!(slots.all(|slot| turned.filter(slot, row) == all.filter(slot, same)), "{name}");
        }
    }
}

/// Chance that a record is more like itself in the other batch than like another record, over all slots: one half
/// when the batches can not be joined.
fn joined(a: &EncodingBatch, b: &EncodingBatch) -> f64 {
    let slots = a.slots.len();
    let near = |row: usize, other: usize| -> u32 {
        (0..slots).map(|slot| ones(&differing(a.filter(slot, row), b.filter(slot, other)))).sum()
    };
    let rows = a.len();
    let (mut won, mut played) = (0.0, 0.0);
    for row in 0..rows {
        let own = near(row, row);
        for step in 1..=10 {
            let other = near(row, (row + 17 * step) % rows);
            won += if own < other {
                1.0
            } else if own == other {
                0.5
            } else {
                0.0
            };
            played += 1.0;
        }
    }
    won / played
}

#[test]
fn two_projects_or_epochs_can_not_be_joined() {
    let persons: Vec<Person> =
        CHILDREN.iter().filter(|p| p.date_of_birth.is_some()).take(600).cloned().collect();
    for (name, ..) in Schema::builtins() {
        let schema = Schema::builtin(name).unwrap();
        let pilot = encoder(&schema, "school", "pilot", 1).encode(&persons);
        let again = encoder(&schema, "clinic", "pilot", 1).encode(&persons);
        let other = encoder(&schema, "school", "second", 1).encode(&persons);
        let later = encoder(&schema, "school", "pilot", 2).encode(&persons);
        // The measure works: within a project another agency's encodings of the same children are found.
        let within = joined(&pilot, &again);
        assert!(within > 0.9, "{name}: {within}");
        // 600 records: the standard error is about .015.
        for (what, batch) in [("project", &other), ("epoch", &later)] {
            let across = joined(&pilot, batch);
            assert!((across - 0.5).abs() < 0.06, "{name}, another {what}: {across}");
        }
        let refs: BTreeSet<_> = pilot.refs.iter().chain(&other.refs).chain(&again.refs).collect();
        assert_eq!(refs.len(), 3 * persons.len(), "{name}: refs of two projects or agencies meet");
        assert_eq!(pilot.refs, later.refs, "{name}: refs outlive an epoch, so that erasures hold");
        // Equal bits at equal places of two refs: half, as of two random numbers.
        let equal: u32 = pilot
            .refs
            .iter()
            .zip(&other.refs)
            .map(|(a, b)| 128 - ones(&differing(a.as_bytes(), b.as_bytes())))
            .sum();
        let share = f64::from(equal) / (128.0 * persons.len() as f64);
        assert!((share - 0.5).abs() < 0.01, "{name}: {share}");
        // The order of refs, which is the order of a file, is another.
        let rank = |batch: &EncodingBatch| {
            let mut order: Vec<usize> = (0..batch.len()).collect();
            order.sort_by_key(|row| batch.refs[*row]);
            order
        };
        let kept = rank(&pilot).iter().zip(&rank(&other)).filter(|(a, b)| a == b).count();
        assert!(kept < 12, "{name}: {kept} records at the same place");
    }
}

#[test]
fn tags_of_two_projects_agree_as_often_as_chance_makes_them() {
    let schema = Schema::builtin("uk-child-views").unwrap();
    let (a, b) = (encoder(&schema, "school", "pilot", 1), encoder(&schema, "school", "second", 1));
    let (a, b) = (a.encode(&CHILDREN), b.encode(&CHILDREN));
    let mut equal = 0;
    for (x, y) in a.slots.iter().zip(&b.slots) {
        let (x, y) = (x.tags.as_ref().unwrap(), y.tags.as_ref().unwrap());
        equal += x.iter().zip(y).filter(|(x, y)| x == y).count();
    }
    // 10 bits of tag; four standard deviations.
    let expected = (a.slots.len() * CHILDREN.len()) as f64 / 1024.0;
    assert!((equal as f64 - expected).abs() < 4.0 * expected.sqrt(), "{equal}, by chance {expected}");
}
