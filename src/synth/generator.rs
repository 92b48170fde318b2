//! Families one after the other, with all agencies' records of them.
//!
//! May see: the whole room. Ordinals are handed out in order, batches are built by all threads, and families leave in
//! order: the same stream for any number of threads, in memory of one batch.

use super::family::{Plan, World};
use super::ids::Shuffle;
use super::record::{Record, Writer};
use super::rng::{Stream, key};
use super::{Config, Person, Size, SynthError};
use rayon::prelude::*;
use std::collections::VecDeque;

const BATCH_FAMILIES: usize = 4096;
/// Records that are followed by a second one of the same child, per million.
const DUPLICATE_PPM: u32 = 13_000;

/// The children of one family and the agencies' records of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The children, as they truly are.
    pub people: Vec<Person>,
    /// Records, by agency and then by child.
    pub records: Vec<Record>,
}

/// Yields families; see [`Config`].
pub struct Generator {
    config: Config,
    world: World,
    desks: Vec<Desk>,
    with_records: bool,
    next: Ordinals,
    done: bool,
    ready: VecDeque<Family>,
}

struct Desk {
    key: [u8; 32],
    ids: Shuffle,
}

#[derive(Clone, Copy)]
struct Ordinals {
    family: u64,
    child: u64,
    identity: u64,
}

impl Generator {
    /// A generator of the configuration's families.
    ///
    /// # Errors
    /// A bound of [`Config::check`] that is broken.
    pub fn new(config: Config) -> Result<Self, SynthError> {
        config.check()?;
        let desk = |name: &str| {
            let key = key("records", &config.seed, name);
            Desk { key, ids: Shuffle::new(&key, 1 << 40) }
        };
        Ok(Self {
            world: World::new(&config),
            desks: config.agencies.iter().map(|agency| desk(&agency.name)).collect(),
            with_records: true,
            next: Ordinals { family: 0, child: 0, identity: 0 },
            done: false,
            ready: VecDeque::new(),
            config,
        })
    }

    /// What is generated.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Plans the next families, each with how many of its children stay (the last family may be cut).
    fn plan(&mut self) -> Vec<(Plan, u32)> {
        let mut plans = Vec::with_capacity(BATCH_FAMILIES);
        while plans.len() < BATCH_FAMILIES && !self.done {
            let left = match self.config.size {
                Size::Families(count) if self.next.family >= u64::from(count) => 0,
                Size::Families(_) => u32::MAX,
                Size::Children(count) => (u64::from(count) - self.next.child) as u32,
            };
            if left == 0 {
                self.done = true;
                break;
            }
            let mut plan = self.world.plan(self.next.family);
            plan.first_child = self.next.child;
            plan.first_identity = self.next.identity;
            let children = plan.children().min(left);
            self.next.family += 1;
            self.next.child += u64::from(children);
            self.next.identity += u64::from(plan.identities());
            plans.push((plan, children));
        }
        plans
    }

    fn family(&self, plan: &Plan, keep: u32) -> Family {
        let mut children = self.world.children(plan);
        children.truncate(keep as usize);
        let mut records = Vec::new();
        if self.with_records {
            for (agency, (spec, desk)) in self.config.agencies.iter().zip(&self.desks).enumerate() {
                let mut stream = Stream::new(&desk.key, plan.family);
                let writer = Writer {
                    spec,
                    agency,
                    noise_percent: self.config.noise_percent,
                    today: self.config.today,
                };
                for child in &children {
                    if !writer.knows(child, &mut stream) {
                        continue;
                    }
                    // Two ids a child: the second for a duplicate.
                    let id = |second: u64| desk.ids.of(child.ordinal * 2 + second);
                    records.push(writer.record(child, id(0), false, &mut stream));
                    if stream.chance(DUPLICATE_PPM / 100 * self.config.noise_percent.min(100)) {
                        records.push(writer.record(child, id(1), true, &mut stream));
                    }
                }
            }
        }
        let people = children.into_iter().map(|child| child.person).collect();
        Family { people, records }
    }
}

impl Iterator for Generator {
    type Item = Family;

    fn next(&mut self) -> Option<Family> {
        if self.ready.is_empty() && !self.done {
            let plans = self.plan();
            let this = &*self;
            let built: Vec<Family> = plans.par_iter().map(|(plan, keep)| this.family(plan, *keep)).collect();
            self.ready = built.into();
        }
        self.ready.pop_front()
    }
}

/// The true population alone: the clean list of children, in the generator's order.
///
/// # Errors
/// As [`Generator::new`].
pub fn people(config: Config) -> Result<impl Iterator<Item = Person>, SynthError> {
    let mut generator = Generator::new(config)?;
    generator.with_records = false;
    Ok(generator.flat_map(|family| family.people))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::{AgencyKind, AgencySpec, ColumnRole, Event, Sex, TRUTH_HEADER, ids};
    use std::collections::{HashMap, HashSet};

    fn families(config: Config) -> Vec<Family> {
        Generator::new(config).unwrap().collect()
    }

    fn usual(families_count: u32) -> Config {
        Config::new("test", Size::Families(families_count))
    }

    #[test]
    fn the_same_seed_makes_the_same_records_whatever_the_threads() {
        let with_threads = |count| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
            pool.install(|| families(usual(5000)))
        };
        let one = with_threads(1);
        assert_eq!(one.len(), 5000);
        assert!(one == with_threads(3));
        let other = families(Config::new("other", Size::Families(50)));
        assert!(one[..50] != other[..]);
    }

    #[test]
    fn a_known_population_stays_as_it_is() {
        // Changes of the generator change every seed's population: this digest makes them visible.
        let mut hasher = blake3::Hasher::new();
        for family in families(usual(200)) {
            for record in &family.records {
                hasher.update(record.cells.join("|").as_bytes());
                hasher.update(record.truth.cells("x").join("|").as_bytes());
            }
        }
        assert_eq!(&hasher.finalize().to_hex()[..16], "7d1ef95287885b6b");
    }

    #[test]
    fn an_agency_writes_the_same_whoever_else_is_there() {
        let all = usual(300);
        let mut alone = all.clone();
        alone.agencies = vec![AgencySpec::usual(AgencyKind::SocialCare)];
        let of = |config: Config, agency: usize| -> Vec<Vec<String>> {
            let records = families(config).into_iter().flat_map(|family| family.records);
            records.filter(|record| record.agency == agency).map(|record| record.cells).collect()
        };
        assert_eq!(of(all, 2), of(alone, 0));
    }

    #[test]
    fn sizes_are_kept_and_people_are_the_population() {
        let config = Config::new("test", Size::Children(3001));
        let children: Vec<Person> = people(config.clone()).unwrap().collect();
        assert_eq!(children.len(), 3001);
        let again: Vec<Person> = families(config).into_iter().flat_map(|f| f.people).collect();
        assert!(children == again);
        assert_eq!(families(Config::new("none", Size::Children(0))).len(), 0);
    }

    #[test]
    fn identities_are_valid_and_unique() {
        let (mut entities, mut numbers, mut upns) = (HashSet::new(), HashSet::new(), HashSet::new());
        for child in people(usual(6000)).unwrap() {
            assert!(child.birth <= usual(1).today && child.birth.age(usual(1).today) < 18);
            assert!(entities.insert(child.entity_id));
            let number: String = child.nhs_number.unwrap();
            assert!(number.starts_with("999"));
            let nine = number[..9].parse().unwrap();
            assert_eq!(ids::nhs_check_digit(nine).unwrap().to_string(), number[9..]);
            assert!(numbers.insert(number));
            assert!(child.upn.starts_with(ids::upn_letter(child.upn[1..].parse().unwrap())));
            assert_eq!(child.upn.len(), 13);
            assert!(upns.insert(child.upn));
        }
    }

    #[test]
    fn families_are_like_families() {
        let all = families(usual(20_000));
        let children: usize = all.iter().map(|family| family.people.len()).sum();
        assert!((1750..1870).contains(&(children / 20)), "{children}");
        assert!(all.iter().all(|family| (1..=5).contains(&family.people.len())));
        let twins: Vec<&Person> = all.iter().flat_map(|f| &f.people).filter(|p| p.twin).collect();
        let share = twins.len() as f64 / children as f64;
        assert!((0.023..0.037).contains(&share), "{share}");
        let (mut same_name, mut pairs, mut alike) = (0, 0, 0);
        for family in &all {
            let names: HashSet<&str> = family.people.iter().map(|p| p.given.as_str()).collect();
            assert!(names.len() + 1 >= family.people.len());
            for pair in family.people.windows(2) {
                pairs += 1;
                same_name += usize::from(pair[0].family == pair[1].family);
                if pair[0].twin && pair[1].twin && pair[0].birth == pair[1].birth {
                    alike += usize::from(pair[0].given.chars().next() == pair[1].given.chars().next());
                }
            }
        }
        let share = f64::from(same_name as u32) / f64::from(pairs);
        assert!((0.80..0.97).contains(&share), "{share}");
        let share = alike as f64 / (twins.len() / 2) as f64;
        assert!((0.35..0.65).contains(&share), "alliterative twins {share}");
    }

    #[test]
    fn twins_share_their_date_and_nobody_else_in_the_family_does() {
        for family in families(usual(5000)) {
            for (at, child) in family.people.iter().enumerate() {
                let same = family
                    .people
                    .iter()
                    .enumerate()
                    .filter(|(other, sibling)| *other != at && sibling.birth == child.birth);
                assert_eq!(same.clone().count() == 1, child.twin);
                for (_, twin) in same.filter(|(_, twin)| twin.sex == child.sex) {
                    assert!(!twin.given.starts_with(&child.given), "{} and {}", twin.given, child.given);
                    assert_ne!(twin.middle.as_deref(), Some(child.given.as_str()));
                }
            }
        }
    }

    #[test]
    fn records_agree_with_their_truth_and_their_columns() {
        let config = usual(4000);
        let mut ids = HashSet::new();
        for family in families(config.clone()) {
            let known: HashMap<&str, &Person> =
                family.people.iter().map(|p| (p.entity_id.as_str(), p)).collect();
            for record in &family.records {
                let kind = config.agencies[record.agency].kind;
                assert_eq!(record.cells.len(), kind.columns().len());
                let cell = |role| {
                    let at = kind.columns().iter().position(|column| column.role == role);
                    at.map(|at| record.cells[at].as_str())
                };
                let person = known[record.truth.entity_id.as_str()];
                assert_eq!(cell(ColumnRole::LocalId).unwrap(), record.truth.record_id);
                assert!(ids.insert((record.agency, record.truth.record_id.clone())));
                assert_eq!(record.truth.family_id, person.family_id);
                assert_eq!(record.truth.twin, person.twin);
                let has = |event| record.truth.events.contains(&event);
                assert_eq!(cell(ColumnRole::Birth).unwrap().is_empty(), has(Event::DobMissing));
                assert_eq!(cell(ColumnRole::Sex).unwrap().is_empty(), has(Event::SexMissing));
                assert_eq!(cell(ColumnRole::Postcode).unwrap().is_empty(), has(Event::AddressMissing));
                assert!(!cell(ColumnRole::Family).unwrap().is_empty());
                assert_eq!(record.truth.cells("a").len(), TRUTH_HEADER.len());
            }
        }
    }

    #[test]
    fn without_noise_a_record_is_the_child() {
        let mut config = usual(2000);
        config.noise_percent = 0;
        let life = [Event::Moved, Event::Adopted, Event::SurnameChange, Event::InCare];
        for record in families(config).into_iter().flat_map(|family| family.records) {
            assert!(
                record.truth.events.iter().all(|event| life.contains(event)),
                "{:?}",
                record.truth.events
            );
        }
    }

    #[test]
    fn rates_are_near_those_aimed_at() {
        // Parts per thousand records over all agencies; most are those of the published development set.
        let aims: &[(Event, f64)] = &[
            (Event::Moved, 300.0),
            (Event::Adopted, 3.8),
            (Event::SurnameChange, 16.7),
            (Event::InCare, 7.1),
            (Event::Duplicate, 12.8),
            (Event::Nickname, 12.2),
            (Event::Variant, 13.1),
            (Event::Translit, 10.3),
            (Event::DoubleBarrelCut, 23.5),
            (Event::MiddleAsFirst, 8.0),
            (Event::SwappedNames, 8.9),
            (Event::Placeholder, 1.3),
            (Event::TypoFirst, 15.0),
            (Event::TypoLast, 15.0),
            (Event::PhoFirst, 10.5),
            (Event::PhoLast, 10.0),
            (Event::OcrFirst, 7.6),
            (Event::OcrLast, 7.6),
            (Event::DobSwap, 4.6),
            (Event::DobError, 11.7),
            (Event::DobDefault, 1.1),
            (Event::DobMissing, 5.6),
            (Event::SexMissing, 3.5),
            (Event::PostcodeError, 11.6),
            (Event::AddressMissing, 39.5),
        ];
        assert_eq!(aims.len(), Event::ALL.len());
        let mut counts: HashMap<Event, f64> = HashMap::new();
        let mut records = 0.0;
        for record in Generator::new(usual(20_000)).unwrap().flat_map(|family| family.records) {
            records += 1.0;
            for event in record.truth.events {
                *counts.entry(event).or_default() += 1.0;
            }
        }
        for (event, aim) in aims {
            let rate = counts.get(event).copied().unwrap_or(0.0) * 1000.0 / records;
            assert!((aim * 0.75..aim * 1.3).contains(&rate), "{event}: {rate} of {aim}");
        }
    }

    #[test]
    fn common_names_are_about_as_common_as_in_england() {
        let mut counts: HashMap<(&str, String), f64> = HashMap::new();
        for child in people(usual(30_000)).unwrap() {
            let group = if child.origin == "english" { "english families" } else { "other families" };
            let given = if child.sex == Sex::Male { "boys" } else { "girls" };
            for (table, name) in [(given, &child.given), ("families", &child.family), (group, &child.family)]
            {
                *counts.entry((table, name.clone())).or_default() += 1.0;
            }
        }
        let top = |table: &str| {
            let of = counts.iter().filter(|((of, _), _)| *of == table);
            let total: f64 = of.clone().map(|(_, count)| count).sum();
            let ((_, name), most) = of.max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
            (name.as_str(), most / total)
        };
        // ONS: the first boy's and girl's name about 1.2 % of a year's births of that sex; Smith about 1.3 % of people.
        for (table, range) in [("boys", 0.009..0.018), ("girls", 0.009..0.018), ("families", 0.008..0.016)] {
            assert!(range.contains(&top(table).1), "{table}: {:?}", top(table));
        }
        assert_eq!(top("families").0, "Smith");
        // Given and family names go together: the first name of one group is rare in the other.
        assert_eq!(top("english families").0, "Smith");
        assert!(["Ali", "Khan", "Ahmed", "Begum"].contains(&top("other families").0));
    }
}
