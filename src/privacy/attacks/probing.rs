//! Membership probing: a member agency with a valid credential asks about a child of whom it knows only a part.
//!
//! Source: the look-up itself; ContactPoint's misuse cases. The prober encodes with the project's key, as every member can,
//! and succeeds when the answer is a *match* or *possibly* with a record of the child it asked about: both name the holder. Salts do not stop it: the decision rule
//! (the date guard), budgets and the ledger must.
//!
//! The attacker knows: the linkage key (it is a member), one child's name and perhaps year of birth or postcode. Cost: one
//! look-up a guess, against its budget. Baseline: the same question about a child who is in nobody's file.

use super::super::PrivacyError;
use super::super::draw::Draw;
use super::super::finding::Finding;
use super::super::scene::Scene;
use super::super::target::{PROJECT, TRUE_KEY, Target, encoder};
use crate::agency::record::{BirthDate, Name, Person};
use crate::agency::schema::Schema;
use crate::linkage::arena::Dataset;
use crate::linkage::run::{Index, LookupOptions};
use crate::wire::{Band, DateGuard, DecisionModel, Epoch, EvidenceForm, EvidenceModel, OrMissing};
use rayon::prelude::*;
use std::sync::Arc;

/// What the prober knows of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knows {
    /// The name; the date is guessed.
    Name,
    /// Name and year of birth; day and month are guessed.
    NameAndYear,
    /// Name and postcode; the date is guessed.
    NameAndPostcode,
    /// Name and date, the given name with one letter wrong: not an attack, but how forgiving the rule is.
    MisspeltGiven,
    /// Name and date, the family name with one letter wrong.
    MisspeltFamily,
    /// Name and date, both names with one letter wrong.
    MisspeltBoth,
}

impl Knows {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Name,
        Self::NameAndYear,
        Self::NameAndPostcode,
        Self::MisspeltGiven,
        Self::MisspeltFamily,
        Self::MisspeltBoth,
    ];

    /// The name of the attack.
    #[must_use]
    pub fn attack(self) -> &'static str {
        match self {
            Self::Name => "probe-name",
            Self::NameAndYear => "probe-name-year",
            Self::NameAndPostcode => "probe-name-postcode",
            Self::MisspeltGiven => "probe-misspelt",
            Self::MisspeltFamily => "probe-misspelt-family",
            Self::MisspeltBoth => "probe-misspelt-both",
        }
    }
}

/// Whether the schema's decision has a date guard.
#[must_use]
pub fn has_date_guard(schema: &Schema) -> bool {
    matches!(schema.decision(), DecisionModel::Evidence(model) if model.guards.date.is_some())
}

/// The decision with the date guard of docs/privacy.md: date at least .70 alike, or missing and the place at least .75; none
/// where the model knows no `date`.
///
/// # Errors
/// [`PrivacyError::Internal`] when the model refuses it.
pub fn guarded(decision: &DecisionModel) -> Result<Option<DecisionModel>, PrivacyError> {
    let fault = || PrivacyError::Internal("the date guard");
    let DecisionModel::Evidence(model) = decision else { return Ok(None) };
    let has = |name: &str| model.attributes.iter().any(|attribute| attribute.name.as_str() == name);
    if !has("date") {
        return Ok(None);
    }
    let mut form = EvidenceForm::from(model.clone());
    let or_missing = OrMissing {
        attribute: "place".parse().map_err(|_| fault())?,
        at: "0.75".parse().map_err(|_| fault())?,
    };
    form.guards.date = Some(DateGuard {
        attribute: "date".parse().map_err(|_| fault())?,
        at: "0.70".parse().map_err(|_| fault())?,
        or_missing: has("place").then_some(or_missing),
        lower_to: Band::None,
    });
    let model = EvidenceModel::try_from(form).map_err(|_| fault())?;
    Ok(Some(DecisionModel::Evidence(model)))
}

/// Probes for up to `guesses` children under `decision`: one finding for each kind of knowledge.
///
/// # Errors
/// [`PrivacyError::Run`] when the decision does not fit the layout.
pub fn run(
    target: &Target,
    scene: &Scene,
    decision: &DecisionModel,
    guesses: usize,
    setting: &str,
) -> Result<Vec<Finding>, PrivacyError> {
    let index = Index::new(vec![Arc::clone(&target.encoded)], decision, LookupOptions::default())?;
    let mut held: Vec<u32> = target.child.to_vec();
    held.sort_unstable();
    held.dedup();
    let mut draw = Draw::new(&target.seed, "probing");
    draw.shuffle(&mut held);
    held.truncate(guesses);
    let agency = "prober".parse().map_err(|_| PrivacyError::Internal("an agency's name"))?;
    let made = encoder(&target.schema, &target.seed, TRUE_KEY, &agency, PROJECT, Epoch::FIRST)?;
    let mut findings = Vec::new();
    for knows in Knows::ALL {
        let (mut asked, mut strangers) = (Vec::new(), Vec::new());
        for child in &held {
            let other = &scene.register[draw.below(scene.register.len())];
            let fourth = &scene.register[draw.below(scene.register.len())];
            let third = &scene.register[draw.below(scene.register.len())];
            let guess = guess(knows, &scene.register[*child as usize], other, &mut draw);
            // Nobody: the given name of one and the family name of another.
            let mut stranger = guess.clone();
            stranger.given = fourth.given.first().cloned().into_iter().collect();
            stranger.family = third.family.first().cloned().into_iter().collect();
            asked.push(guess);
            strangers.push(stranger);
        }
        let answers = |persons: &[Person]| -> Result<Vec<Vec<u32>>, PrivacyError> {
            let dataset = Dataset::from_batch(agency.clone(), &made.encode(persons));
            let of = |row: usize| {
                let found = index.find(&dataset, row as u32)?;
                let told = found.iter().filter(|found| found.band > Band::None);
                Ok(told.map(|found| target.record_child[found.record as usize]).collect())
            };
            (0..persons.len()).into_par_iter().map(of).collect()
        };
        let hits =
            answers(&asked)?.iter().zip(&held).filter(|(answer, child)| answer.contains(child)).count();
        let false_hits = answers(&strangers)?.iter().filter(|answer| !answer.is_empty()).count();
        let baseline = false_hits as f64 / held.len().max(1) as f64;
        findings.push(Finding::share(knows.attack(), setting, hits as u64, held.len() as u64, baseline));
    }
    Ok(findings)
}

fn guess(knows: Knows, child: &Person, other: &Person, draw: &mut Draw) -> Person {
    let date = match (knows, child.date_of_birth, other.date_of_birth) {
        (Knows::MisspeltGiven | Knows::MisspeltFamily | Knows::MisspeltBoth, own, _) => own,
        // The 29th of February of a year without one is another guess gone wrong; the encoder does not mind.
        (Knows::NameAndYear, Some(own), Some(other)) => Some(BirthDate { year: own.year, ..other }),
        (_, _, other) => other,
    };
    let mut given: Vec<Name> = child.given.first().cloned().into_iter().collect();
    let mut family: Vec<Name> = child.family.first().cloned().into_iter().collect();
    if matches!(knows, Knows::MisspeltGiven | Knows::MisspeltBoth) {
        misspell(&mut given, draw);
    }
    if matches!(knows, Knows::MisspeltFamily | Knows::MisspeltBoth) {
        misspell(&mut family, draw);
    }
    Person {
        local_id: format!("guess {}", draw.bits()),
        given,
        family,
        date_of_birth: date,
        postcode: if knows == Knows::NameAndPostcode { child.postcode.clone() } else { None },
        ..Person::default()
    }
}

/// Puts another letter for one letter of the first part.
fn misspell(names: &mut [Name], draw: &mut Draw) {
    let Some(part) = names.first_mut().and_then(|name| name.parts.first_mut()) else { return };
    let at = draw.below(part.len().max(1));
    let by = 1 + draw.below(25) as u8;
    let other = |c: char| match u8::try_from(c) {
        Ok(letter @ b'a'..=b'z') => char::from(b'a' + (letter - b'a' + by) % 26),
        _ => 'a',
    };
    *part = part.chars().enumerate().map(|(k, c)| if k == at { other(c) } else { c }).collect();
}
