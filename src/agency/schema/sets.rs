//! View sets by size: which views a population of N children can afford.
//!
//! A salt's **mean partners** are the other children of the population with the same salt. Their sum over
//! the views must stay at or below one half: near one, linked salts grow into one giant component and
//! structure alone re-identifies children. Partners grow with N, so larger populations take views with
//! longer salts and pay for it in recall.

use super::form::{FocusRule, MissingSalt, SaltPart, SegmentForm, ViewForm};
use super::{Schema, SchemaError};
use crate::agency::names::RARE_ONE_IN;
use crate::wire::{DecisionModel, EvidenceForm, EvidenceModel, Implication, SegmentMap, ViewModel};

/// Largest sum of mean partners over the views of a schema, in thousandths.
pub const PARTNERS_PER_MILLE_MAX: u64 = 500;
/// Partners by twins, who share home and birthday, whatever the population.
const TWIN_PARTNERS: f64 = 0.018;

/// A view of the catalogue: name, focus, slots, salt, segments.
type Entry = (&'static str, FocusRule, u8, &'static [SaltPart], &'static [&'static str]);

const GFP: &[&str] = &["given", "family", "place"];
const GFD: &[&str] = &["given", "family", "date"];
const GFMP: &[&str] = &["given", "family", "birthday", "place"];
const GFDP: &[&str] = &["given", "family", "date", "place"];

/// Every view a set may use; `c` alone is for rare pairs of names only.
const CATALOGUE: [Entry; 15] = {
    use FocusRule::{Name, Pair, Record};
    use SaltPart::{
        DayMonth, FamilySkeleton, GivenPrefix, Month, NameSkeleton, OtherInitial, PairPrefix, PairSkeleton,
        Place, Year,
    };
    [
        ("a", Name, 3, &[NameSkeleton, Year, DayMonth], GFP),
        ("ai", Name, 3, &[NameSkeleton, OtherInitial, Year, DayMonth], GFP),
        ("b", Pair, 2, &[PairPrefix, Year], GFMP),
        ("bym", Pair, 2, &[PairPrefix, Year, Month], GFMP),
        ("c", Pair, 2, &[PairSkeleton], GFDP),
        ("c1", Pair, 1, &[PairSkeleton, DayMonth], GFP),
        ("amd", Name, 2, &[NameSkeleton, OtherInitial, DayMonth], GFP),
        ("cym", Pair, 2, &[PairSkeleton, Year, Month], GFMP),
        ("dmy", Record, 1, &[Place, GivenPrefix], GFD),
        ("dp", Record, 1, &[Place, PairPrefix], GFD),
        ("dmyy", Record, 1, &[Place, GivenPrefix, Year], GFD),
        ("dmym", Record, 1, &[Place, GivenPrefix, Month], GFD),
        ("emd", Record, 1, &[Place, DayMonth], GFD),
        ("emdy", Record, 1, &[Place, DayMonth, Year], GFD),
        ("dfs", Record, 1, &[Place, GivenPrefix, FamilySkeleton], GFD),
    ]
};

/// View `c`: one child in how many may have a pair of names that is rare enough, and its slots.
type Rare = (u64, u8);

/// Sets: largest population, name, views, and how rare a pair of names view `c` takes.
const SETS: [(u64, &str, &[&str], Rare); 5] = [
    (20_000, "S11p", &["a", "b", "c", "amd", "dp", "dmyy", "emdy"], (60_000, 1)),
    (60_000, "S8m", &["a", "c", "c1", "dmy", "emd"], (120_000, 2)),
    (125_000, "S8", &["a", "bym", "c1", "dmy", "emd"], (0, 0)),
    (400_000, "S9i", &["ai", "bym", "c1", "dmym", "emd", "dfs"], (0, 0)),
    (1_000_000, "S9y", &["ai", "c1", "cym", "dmym", "emdy", "dfs"], (0, 0)),
];

/// Chance that two children of different families share a salt: the product over its parts, which are
/// taken as independent. Figures: birthdays exactly; names and homes fitted to the partners that were
/// counted on generated children (60,000 and 251,000; docs/linkage-quality.md).
pub(super) fn collision(view: &ViewForm) -> f64 {
    if view.rare {
        // Counted on generated children for one child in 10,000 to 60,000; it falls with that number more slowly
        // than the number rises, because rarer pairs are missing from the list. Further names of a child, which a
        // second slot carries, are about as many again.
        let one_in = view.rare_one_in.unwrap_or(RARE_ONE_IN) as f64;
        let slots = if view.slots > 1 { 1.0 } else { 0.54 };
        return slots * 5.1e-6 * (60_000.0 / one_in).powf(0.78);
    }
    let of = |part: &SaltPart| match part {
        SaltPart::Year => 1.0 / 18.0,
        SaltPart::Month => 1.0 / 12.0,
        // 66 pairs of days and months up to 12 fall together: (66 * 4 + 233) / 365^2.
        SaltPart::DayMonth => 0.003_73,
        SaltPart::Date => 1.0 / (18.0 * 365.0),
        SaltPart::NameSkeleton => 0.012,
        SaltPart::OtherInitial => 0.07,
        SaltPart::PairPrefix => 4.1e-5,
        SaltPart::PairSkeleton => 2.5e-5,
        SaltPart::GivenPrefix => 0.004_8,
        SaltPart::GivenSkeleton => 0.006,
        SaltPart::FamilySkeleton => 0.004,
        SaltPart::Place => 1e-4,
        SaltPart::Sector => 2e-3,
    };
    view.salt.iter().map(of).product()
}

/// Other children of `population` with the same salt, on average.
pub(super) fn mean_partners(view: &ViewForm, population: u64) -> f64 {
    let home = view.salt.contains(&SaltPart::Place) || view.salt.contains(&SaltPart::Sector);
    let names = |part: &SaltPart| {
        !matches!(
            part,
            SaltPart::Place
                | SaltPart::Sector
                | SaltPart::Year
                | SaltPart::Month
                | SaltPart::DayMonth
                | SaltPart::Date
                | SaltPart::NameSkeleton
        )
    };
    // Twins share birthday and home, and the family name of a slot that is about one name.
    let shared = home || view.salt.contains(&SaltPart::NameSkeleton);
    let twins = if shared && !view.salt.iter().any(names) { TWIN_PARTNERS } else { 0.0 };
    population as f64 * collision(view) + twins
}

impl Schema {
    /// The `uk-child` schema of profile views for a population of that many children, and the name of its
    /// set of views.
    ///
    /// # Errors
    /// [`SchemaError::Rule`] above a million children: split the population by region.
    pub fn views_for(population: u64) -> Result<(&'static str, Self), SchemaError> {
        let too_many = || SchemaError::Rule {
            place: "population".to_owned(),
            rule: "no set of views serves more than 1,000,000 children: split them by region".to_owned(),
        };
        let (_, name, chosen, rare) =
            SETS.iter().find(|(max, ..)| population <= *max).ok_or_else(too_many)?;
        let mut form = Self::builtin("uk-child-views")?.form().clone();
        // Tags need at least 20 records; smaller projects have the same tags.
        form.population = Some(population.max(20));
        let entries: Vec<&Entry> = CATALOGUE.iter().filter(|entry| chosen.contains(&entry.0)).collect();
        form.views = entries.iter().map(|entry| view(entry, *rare)).collect::<Result<_, _>>()?;
        if let DecisionModel::Evidence(model) = &form.decision {
            let mut evidence = EvidenceForm::from(model.clone());
            evidence.views = entries.iter().map(|entry| rules(entry)).collect::<Result<_, _>>()?;
            form.decision = DecisionModel::Evidence(EvidenceModel::try_from(evidence)?);
        }
        Ok((name, Self::from_form(form)?))
    }
}

fn refused(error: impl std::fmt::Display) -> SchemaError {
    SchemaError::Form(error.to_string())
}

fn view(entry: &Entry, (rare_one_in, rare_slots): Rare) -> Result<ViewForm, SchemaError> {
    let (name, focus, slots, salt, segments) = entry;
    let count = segments.len() as u32;
    let segment = |(at, attribute): (usize, &&str)| {
        let bits = 512 / count + u32::from((at as u32) < 512 % count);
        // -ln(0.6) insertions a bit, rounded: 40 % of the bits set.
        let budget = (bits * 511 + 500) / 1000;
        let attribute: crate::wire::AttributeName = attribute.parse().map_err(refused)?;
        Ok(SegmentForm { name: attribute.clone(), bits, budgets: [(attribute, budget)].into() })
    };
    Ok(ViewForm {
        name: name.parse().map_err(refused)?,
        slots: if *name == "c" { rare_slots } else { *slots },
        bits: 512,
        diffusion: None,
        focus: *focus,
        salt: salt.to_vec(),
        missing_salt: MissingSalt::Drop,
        rare: *name == "c",
        rare_one_in: (*name == "c").then_some(rare_one_in),
        tagged: true,
        segments: segments.iter().enumerate().map(segment).collect::<Result<_, SchemaError>>()?,
    })
}

/// What equal salts of a view say by themselves.
fn rules(entry: &Entry) -> Result<ViewModel, SchemaError> {
    let (name, _, _, salt, segments) = entry;
    let attribute = |text: &str| text.parse::<crate::wire::AttributeName>().map_err(refused);
    let implied = |text: &str| {
        Ok::<_, SchemaError>(Implication {
            attribute: attribute(text)?,
            at: "0.52".parse().map_err(refused)?,
            similarity: "1".parse().map_err(refused)?,
        })
    };
    let mut implies = Vec::new();
    if salt.contains(&SaltPart::Year) && salt.contains(&SaltPart::DayMonth) && !segments.contains(&"date") {
        implies.push(implied("date")?);
    }
    if salt.contains(&SaltPart::Place) {
        implies.push(implied("place")?);
    }
    let mut maps = Vec::new();
    if segments.contains(&"birthday") {
        maps.push(SegmentMap {
            segment: attribute("birthday")?,
            attribute: attribute("date")?,
            offset: "0.35".parse().map_err(refused)?,
            slope: "0.65".parse().map_err(refused)?,
        });
    }
    let swap = Some([attribute("given")?, attribute("family")?]);
    Ok(ViewModel { view: name.parse().map_err(refused)?, agree_at: None, join_at: None, swap, implies, maps })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_views_are_the_set_for_twenty_thousand() {
        let (name, schema) = Schema::views_for(20_000).unwrap();
        let shipped = Schema::builtin("uk-child-views").unwrap();
        assert_eq!(name, "S11p");
        assert_eq!(schema.fingerprint(), shipped.fingerprint());
    }

    #[test]
    fn every_set_keeps_the_salt_budget_at_its_largest_population() {
        for (population, name, ..) in SETS {
            let (found, schema) = Schema::views_for(population).unwrap();
            let lint = schema.lint(Some(population));
            assert_eq!(found, name);
            assert!(!lint.is_refused(), "{name}: {:?}", lint.partners);
        }
        assert!(Schema::views_for(1_000_001).is_err());
        assert!(Schema::views_for(5).is_ok());
    }

    #[test]
    fn partners_are_near_those_counted() {
        // View, the set it stands in, children, partners counted among so many generated ones.
        for (name, set, population, counted) in [
            ("a", 20_000, 60_000, 0.16),
            ("a", 20_000, 251_000, 0.58),
            ("b", 20_000, 60_000, 0.14),
            ("b", 20_000, 251_000, 0.56),
            ("c", 20_000, 20_000, 0.055),
            ("dmy", 60_000, 60_000, 0.03),
            ("dmy", 60_000, 251_000, 0.12),
        ] {
            let (_, schema) = Schema::views_for(set).unwrap();
            let view = schema.form().views.iter().find(|view| view.name.as_str() == name).unwrap();
            let expected = mean_partners(view, population);
            assert!((expected / counted - 1.0).abs() < 0.15, "{name} {population}: {expected}");
        }
    }

    #[test]
    fn a_proposed_schema_survives_being_written_down() {
        let (_, schema) = Schema::views_for(250_000).unwrap();
        let text = schema.to_toml().unwrap();
        assert_eq!(Schema::parse(&text).unwrap().fingerprint(), schema.fingerprint());
    }
}
