//! The name and place tables, parsed once from the reduced CSV files beside this file (`tables/NOTICE.md`).
//!
//! May see: the files compiled in. Must not see: anything at run time.

use super::rng::Stream;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Name origin groups with their share of families, per mille (own estimate after the 2021 census of England).
const SHARES: [(&str, u32); 25] = [
    ("english", 650),
    ("irish", 15),
    ("polish", 25),
    ("romanian", 22),
    ("bulgarian", 4),
    ("baltic", 8),
    ("slovak", 4),
    ("hungarian", 4),
    ("ukrainian", 8),
    ("spanish", 10),
    ("portuguese", 10),
    ("italian", 8),
    ("french", 6),
    ("german", 5),
    ("dutch", 3),
    ("turkish", 9),
    ("arab", 25),
    ("somali", 15),
    ("pakistani", 50),
    ("bangladeshi", 24),
    ("indian", 45),
    ("chinese", 10),
    ("vietnamese", 3),
    ("african", 32),
    ("kenyan", 5),
];

/// Names with their weights.
#[derive(Default)]
pub(super) struct NameTable {
    names: Vec<&'static str>,
    cumulative: Vec<u32>,
}

impl NameTable {
    fn push(&mut self, name: &'static str, weight: u32) {
        let total = self.cumulative.last().copied().unwrap_or(0);
        self.names.push(name);
        self.cumulative.push(total.saturating_add(weight));
    }

    /// A name drawn by weight.
    pub(super) fn draw(&self, stream: &mut Stream) -> &'static str {
        let at = stream.below(self.cumulative.last().copied().unwrap_or(0));
        let index = self.cumulative.partition_point(|total| *total <= at);
        self.names.get(index).copied().unwrap_or("")
    }

    /// A name drawn evenly from those that begin like `other` in `letters` letters and are not `other`; none if there is none.
    pub(super) fn alike(&self, other: &str, letters: usize, stream: &mut Stream) -> Option<&'static str> {
        let start: String = other.chars().take(letters).collect();
        let near: Vec<&'static str> = self
            .names
            .iter()
            .filter(|name| name.starts_with(&start) && **name != other)
            // The table is in order of weight: the first few are the common ones.
            .take(12)
            .copied()
            .collect();
        stream.pick(&near).copied()
    }

    /// All names, most common first.
    #[cfg(test)]
    pub(super) fn names(&self) -> &[&'static str] {
        &self.names
    }
}

/// One name origin group.
pub(super) struct Origin {
    pub(super) name: &'static str,
    /// Girls', then boys' names.
    pub(super) given: [NameTable; 2],
    pub(super) family: NameTable,
}

/// One postcode sector.
pub(super) struct Sector {
    /// As in `LS6 2`.
    pub(super) code: &'static str,
    /// How many postcodes it has: at most 400.
    pub(super) units: u32,
}

/// The kinds of alternative spelling in alternatives.csv.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Alternative {
    Nickname,
    Variant,
    Translit,
}

/// All tables.
pub(super) struct Tables {
    pub(super) origins: Vec<Origin>,
    shares: Vec<u32>,
    alternatives: HashMap<(Alternative, &'static str), Vec<&'static str>>,
    /// Sectors by local authority, in the order of the authorities' codes.
    pub(super) areas: Vec<Vec<Sector>>,
}

/// Place of English names in [`Tables::origins`].
pub(super) const ENGLISH: usize = 0;

impl Tables {
    /// The tables, parsed on first use.
    pub(super) fn shared() -> &'static Tables {
        static TABLES: OnceLock<Tables> = OnceLock::new();
        TABLES.get_or_init(|| Tables {
            origins: origins(include_str!("tables/names.csv")),
            shares: SHARES.iter().map(|(_, share)| *share).collect(),
            alternatives: alternatives(include_str!("tables/alternatives.csv")),
            areas: areas(include_str!("tables/sectors.csv")),
        })
    }

    /// An origin group drawn by share.
    pub(super) fn origin(&self, stream: &mut Stream) -> usize {
        stream.weighted(&self.shares)
    }

    /// Another way in which `name` is written; none when the tables know none.
    pub(super) fn alternative(
        &self,
        kind: Alternative,
        name: &str,
        stream: &mut Stream,
    ) -> Option<&'static str> {
        let found = self.alternatives.get(&(kind, name))?;
        stream.pick(found).copied()
    }

    /// Whether two names are one, or forms of one (Elizabeth and Eliza, Omar and Umar).
    pub(super) fn forms_of_one(&self, name: &str, other: &str) -> bool {
        let lists = |from: &str, to: &str| {
            let kinds = [Alternative::Nickname, Alternative::Variant, Alternative::Translit];
            kinds.iter().any(|kind| {
                let known = self.alternatives.get_key_value(&(*kind, from));
                known.is_some_and(|(_, forms)| forms.contains(&to))
            })
        };
        name == other || lists(name, other) || lists(other, name)
    }

    /// Whether two names are too near for twins: forms of one, or one the beginning of the other (Flo and Florence).
    /// Daniel and Danielle are not, as their sexes differ: the caller says so.
    pub(super) fn too_near_for_twins(&self, name: &str, other: &str, same_sex: bool) -> bool {
        let begins = name.starts_with(other) || other.starts_with(name);
        self.forms_of_one(name, other) || (same_sex && begins)
    }
}

fn rows<const N: usize>(text: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    text.lines().skip(1).filter_map(|line| {
        let mut cells = line.split(',');
        let row = std::array::from_fn(|_| cells.next().unwrap_or(""));
        (!row[0].is_empty()).then_some(row)
    })
}

fn origins(text: &'static str) -> Vec<Origin> {
    let mut all: Vec<Origin> = SHARES
        .iter()
        .map(|(name, _)| Origin {
            name,
            given: [NameTable::default(), NameTable::default()],
            family: NameTable::default(),
        })
        .collect();
    for [origin, kind, name, weight] in rows::<4>(text) {
        let weight = weight.parse().unwrap_or(0);
        if let Some(group) = all.iter_mut().find(|group| group.name == origin) {
            match kind {
                "f" => group.given[0].push(name, weight),
                "m" => group.given[1].push(name, weight),
                _ => group.family.push(name, weight),
            }
        }
    }
    all
}

fn alternatives(text: &'static str) -> HashMap<(Alternative, &'static str), Vec<&'static str>> {
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    for [kind, name, alternative] in rows::<3>(text) {
        let kind = match kind {
            "nickname" => Alternative::Nickname,
            "variant" => Alternative::Variant,
            _ => Alternative::Translit,
        };
        all.entry((kind, name)).or_default().push(alternative);
    }
    all
}

fn areas(text: &'static str) -> Vec<Vec<Sector>> {
    let mut all: Vec<Vec<Sector>> = Vec::new();
    let mut last = "";
    for [area, code, units] in rows::<3>(text) {
        if area != last {
            all.push(Vec::new());
            last = area;
        }
        if let Some(sectors) = all.last_mut() {
            let units = units.parse().unwrap_or(1);
            sectors.push(Sector { code, units });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::rng::key;

    #[test]
    fn every_origin_has_names_and_shares_make_a_whole() {
        let tables = Tables::shared();
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<u32>(), 1000);
        for origin in &tables.origins {
            for table in [&origin.given[0], &origin.given[1], &origin.family] {
                assert!(table.names.len() >= 20, "{}", origin.name);
                assert!(table.names.iter().all(|name| !name.is_empty()));
            }
        }
        assert!(tables.areas.len() > 250);
        let units: u32 = tables.areas.iter().flatten().map(|s| s.units).sum();
        assert!(units > 1_500_000, "{units}");
    }

    #[test]
    fn forms_of_one_name_are_known_either_way() {
        let tables = Tables::shared();
        assert!(tables.forms_of_one("Elizabeth", "Eliza") && tables.forms_of_one("Eliza", "Elizabeth"));
        assert!(!tables.forms_of_one("Elizabeth", "Emma"));
    }

    #[test]
    fn twins_of_one_sex_are_not_named_by_a_name_and_its_beginning() {
        let tables = Tables::shared();
        assert!(
            tables.too_near_for_twins("Flo", "Florence", true)
                && tables.too_near_for_twins("Florence", "Flo", true)
        );
        assert!(
            !tables.too_near_for_twins("Daniel", "Danielle", false)
                && tables.too_near_for_twins("Eliza", "Elizabeth", false)
        );
        assert!(!tables.too_near_for_twins("Ella", "Emma", true));
    }

    #[test]
    fn twins_names_can_be_alike() {
        let girls = &Tables::shared().origins[ENGLISH].given[0];
        let mut stream = Stream::new(&key("test", "alike", ""), 0);
        let found = girls.alike("Daniel", 4, &mut stream).unwrap();
        assert!(found.starts_with("Dani") && found != "Daniel");
        assert!(girls.alike("Qqqq", 3, &mut stream).is_none());
    }
}
