//! The children of an assessment: the register an attacker holds, and what each agency writes of them.
//!
//! May see: the generator, the agency's reader (so that records are normalised as an agency would). Must not see: keys.

use super::PrivacyError;
use crate::agency::mapping::Mapping;
use crate::agency::reader::{Extract, Options};
use crate::agency::record::Person;
use crate::synth::{self, Config, Generator, Sex, Size, push_row};
use crate::wire::AgencyId;
use jiff::civil::Date;
use std::collections::HashMap;

/// Children at least: below that an attack's share says nothing.
pub const CHILDREN_MIN: u64 = 100;
/// Children at most: about 6 GB of encodings of five agencies.
pub const CHILDREN_MAX: u64 = 500_000;

/// What to generate.
#[derive(Debug, Clone)]
pub struct SceneConfig {
    /// Any text; the same text makes the same children and the same draws.
    pub seed: String,
    /// How many children.
    pub children: u64,
    /// Errors in the agencies' records, in percent of the usual rates; 0 is clean.
    pub noise_percent: u32,
    /// Children that share a postcode on average.
    pub children_per_postcode: u32,
}

impl SceneConfig {
    /// So many children with usual errors.
    #[must_use]
    pub fn new(seed: &str, children: u64) -> Self {
        Self { seed: seed.to_owned(), children, noise_percent: 100, children_per_postcode: 8 }
    }
}

/// One agency's records.
pub struct AgencyRecords {
    /// The agency.
    pub id: AgencyId,
    /// Its records, normalised.
    pub persons: Vec<Person>,
    /// The child of each record: its number in the register.
    pub child: Vec<u32>,
}

/// Children and records.
pub struct Scene {
    /// The seed of everything drawn.
    pub seed: String,
    /// One entry a child, exact: what an attacker with a perfect register holds.
    pub register: Vec<Person>,
    /// The agencies.
    pub agencies: Vec<AgencyRecords>,
}

impl Scene {
    /// Children of UK-like families and the usual agencies' records of them.
    ///
    /// # Errors
    /// [`PrivacyError::Population`] outside [`CHILDREN_MIN`] to [`CHILDREN_MAX`].
    pub fn generated(config: &SceneConfig) -> Result<Self, PrivacyError> {
        check_population(config.children)?;
        let mut wanted = Config::new(&config.seed, Size::Children(config.children as u32));
        wanted.noise_percent = config.noise_percent;
        wanted.children_per_postcode = config.children_per_postcode;
        let today = date(wanted.today)?;
        let mut register = Register::default();
        let mut sheets: Vec<Sheet> = wanted.agencies.iter().map(|_| Sheet::default()).collect();
        for (sheet, agency) in sheets.iter_mut().zip(&wanted.agencies) {
            push_row(&mut sheet.csv, agency.kind.columns().iter().map(|column| column.header));
        }
        for family in Generator::new(wanted.clone())? {
            let first = register.rows;
            let of: HashMap<&str, u32> =
                family.people.iter().zip(first..).map(|(child, at)| (child.entity_id.as_str(), at)).collect();
            family.people.iter().for_each(|child| register.push(child));
            for record in &family.records {
                let sheet = &mut sheets[record.agency];
                push_row(&mut sheet.csv, record.cells.iter().map(String::as_str));
                sheet.child.push(of[record.truth.entity_id.as_str()]);
            }
        }
        let mut agencies = Vec::new();
        for (sheet, agency) in sheets.into_iter().zip(&wanted.agencies) {
            if sheet.child.is_empty() {
                continue;
            }
            let mapping = Mapping::from_toml(&agency.kind.mapping_toml(wanted.today))?;
            let (persons, child) = read(&sheet.csv, &mapping, today, &sheet.child)?;
            let id = agency.name.parse().map_err(|_| PrivacyError::Internal("an agency's name"))?;
            agencies.push(AgencyRecords { id, persons, child });
        }
        let rows: Vec<u32> = (0..register.rows).collect();
        let mapping = Mapping::from_toml(REGISTER_MAPPING)?;
        let (persons, _) = read(&register.csv(), &mapping, today, &rows)?;
        Ok(Self { seed: config.seed.clone(), register: persons, agencies })
    }

    /// A sample of real persons: the register is the file itself, the one agency holds the same records. What the attacker
    /// knows is exact, so the figures are upper bounds.
    ///
    /// # Errors
    /// [`PrivacyError::Population`] for a sample too small or too large.
    pub fn of_sample(seed: &str, persons: Vec<Person>) -> Result<Self, PrivacyError> {
        check_population(persons.len() as u64)?;
        let id = "sample".parse().map_err(|_| PrivacyError::Internal("an agency's name"))?;
        let child = (0..persons.len() as u32).collect();
        let agency = AgencyRecords { id, persons: persons.clone(), child };
        Ok(Self { seed: seed.to_owned(), register: persons, agencies: vec![agency] })
    }

    /// The same children in one clean file that lacks nobody: the attacker's best case.
    ///
    /// # Errors
    /// As [`Scene::of_sample`].
    pub fn exact(&self) -> Result<Self, PrivacyError> {
        Self::of_sample(&self.seed, self.register.clone())
    }

    /// Records of all agencies.
    #[must_use]
    pub fn records(&self) -> usize {
        self.agencies.iter().map(|agency| agency.persons.len()).sum()
    }
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scene({} children, {} agencies)", self.register.len(), self.agencies.len())
    }
}

impl std::fmt::Debug for AgencyRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AgencyRecords({}, {} records)", self.id, self.persons.len())
    }
}

fn check_population(found: u64) -> Result<(), PrivacyError> {
    if (CHILDREN_MIN..=CHILDREN_MAX).contains(&found) {
        Ok(())
    } else {
        Err(PrivacyError::Population { found, min: CHILDREN_MIN, max: CHILDREN_MAX })
    }
}

fn date(day: synth::Day) -> Result<Date, PrivacyError> {
    let fault = |_| PrivacyError::Internal("the day of the extracts");
    Date::new(day.year as i16, day.month as i8, day.day as i8).map_err(fault)
}

/// An agency's extract in the making.
#[derive(Default)]
struct Sheet {
    csv: Vec<u8>,
    child: Vec<u32>,
}

const REGISTER_MAPPING: &str = "[columns]\nrecord_id = \"id\"\ngiven_name = \"given\"\nmiddle_names = \"middle\"\n\
    family_name = \"family\"\ndate_of_birth = { column = \"born\", format = \"%Y-%m-%d\" }\nsex = \"sex\"\n\
    address = \"street\"\npostcode = \"postcode\"\n";

/// The clean list in the making.
#[derive(Default)]
struct Register {
    body: Vec<u8>,
    rows: u32,
}

impl Register {
    fn push(&mut self, child: &synth::Person) {
        let synth::Day { year, month, day } = child.birth;
        let sex = if child.sex == Sex::Female { "F" } else { "M" };
        let (id, born) = (self.rows.to_string(), format!("{year}-{month:02}-{day:02}"));
        let middle = child.middle.as_deref().unwrap_or_default();
        push_row(
            &mut self.body,
            [&id, &child.given, middle, &child.family, &born, sex, &child.street, &child.postcode],
        );
        self.rows += 1;
    }

    fn csv(&self) -> Vec<u8> {
        let mut csv = b"id,given,middle,family,born,sex,street,postcode\n".to_vec();
        csv.extend_from_slice(&self.body);
        csv
    }
}

/// Persons of an extract, each with the child of its row.
fn read(
    csv: &[u8],
    mapping: &Mapping,
    today: Date,
    child: &[u32],
) -> Result<(Vec<Person>, Vec<u32>), PrivacyError> {
    let mut extract = Extract::open(csv, mapping, Options::new(today))?;
    let (mut persons, mut of) = (Vec::with_capacity(child.len()), Vec::with_capacity(child.len()));
    while let Some(batch) = extract.next_batch()? {
        // The header is row 1.
        of.extend(batch.rows.iter().map(|row| child[*row as usize - 2]));
        persons.extend(batch.persons);
    }
    Ok((persons, of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_register_is_complete_and_records_point_into_it() {
        let scene = Scene::generated(&SceneConfig::new("scene", 400)).unwrap();
        assert_eq!(scene.register.len(), 400);
        assert!(scene.agencies.len() >= 3 && scene.records() > 500);
        let mut same_date = 0;
        for agency in &scene.agencies {
            assert_eq!(agency.persons.len(), agency.child.len());
            for (person, child) in agency.persons.iter().zip(&agency.child) {
                same_date +=
                    usize::from(scene.register[*child as usize].date_of_birth == person.date_of_birth);
            }
        }
        assert!(same_date * 100 > scene.records() * 95, "{same_date}");
    }

    #[test]
    fn populations_out_of_range_are_refused() {
        for children in [0, 1, 1_000_000_000] {
            let refused = Scene::generated(&SceneConfig::new("scene", children));
            assert!(matches!(refused, Err(PrivacyError::Population { .. })), "{children}");
        }
    }
}
