//! Score oracle: if the centre returned scores, a prober would climb them from a guess to the truth.
//!
//! Source: hill climbing on biometric templates (Adler 2003), carried over to similarity scores. The prober knows a child's
//! name and wants its date of birth: it tries years, then months, then days, and keeps whatever scores best, 61 questions
//! instead of 6,570. Bands give it no slope to climb.
//!
//! The attacker knows: the linkage key (it is a member) and a name. Cost: 61 look-ups a child.

use super::super::PrivacyError;
use super::super::draw::Draw;
use super::super::finding::Finding;
use super::super::scene::Scene;
use super::super::target::{PROJECT, TRUE_KEY, Target, encoder};
use crate::agency::encoder::Encoder;
use crate::agency::record::{BirthDate, Person};
use crate::linkage::arena::Dataset;
use crate::linkage::run::{Index, LookupOptions};
use crate::wire::{AgencyId, Band, Epoch};
use rayon::prelude::*;
use std::sync::Arc;

/// Years that are tried.
const YEARS: u16 = 18;

/// What the answer shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Score,
    Band,
}

/// Climbs for `children` children, once on scores and once on bands.
///
/// # Errors
/// [`PrivacyError::Run`] when the decision does not fit the layout.
pub fn run(target: &Target, scene: &Scene, children: usize) -> Result<[Finding; 2], PrivacyError> {
    let index =
        Index::new(vec![Arc::clone(&target.encoded)], target.schema.decision(), LookupOptions::default())?;
    let agency: AgencyId = "prober".parse().map_err(|_| PrivacyError::Internal("an agency's name"))?;
    let encoder = encoder(&target.schema, &target.seed, TRUE_KEY, &agency, PROJECT, Epoch::FIRST)?;
    let climber = Climber { target, index, agency, encoder };
    let youngest =
        scene.register.iter().filter_map(|person| Some(person.date_of_birth?.year)).max().unwrap_or(2026);
    let mut held: Vec<u32> = target.child.to_vec();
    held.sort_unstable();
    held.dedup();
    Draw::new(&target.seed, "oracle").shuffle(&mut held);
    held.truncate(children);
    let climb = |answer: Answer| -> Result<Finding, PrivacyError> {
        let found: Result<Vec<bool>, PrivacyError> = held
            .par_iter()
            .map(|child| climber.climb(*child, &scene.register[*child as usize], youngest, answer))
            .collect();
        let hits = found?.into_iter().filter(|hit| *hit).count();
        let (attack, setting) = match answer {
            Answer::Score => ("score-oracle", "date of birth from 61 answers that show scores"),
            Answer::Band => ("band-oracle", "date of birth from 61 answers that show bands"),
        };
        Ok(Finding::share(attack, setting, hits as u64, held.len() as u64, 61.0 / 6570.0))
    };
    Ok([climb(Answer::Score)?, climb(Answer::Band)?])
}

struct Climber<'t> {
    target: &'t Target,
    index: Index,
    agency: AgencyId,
    encoder: Encoder,
}

impl Climber<'_> {
    fn climb(&self, child: u32, known: &Person, youngest: u16, answer: Answer) -> Result<bool, PrivacyError> {
        let mut draw = Draw::new(&self.target.seed, &format!("climb {child}"));
        let mut best = BirthDate { year: youngest - 9, month: 6, day: 15 };
        let years = (0..YEARS).map(|back| BirthDate { year: youngest - back, ..best });
        best = self.best(child, known, years.collect(), answer, &mut draw)?;
        let months = (1..=12).map(|month| BirthDate { month, ..best });
        best = self.best(child, known, months.collect(), answer, &mut draw)?;
        let days = (1..=31).map(|day| BirthDate { day, ..best });
        best = self.best(child, known, days.collect(), answer, &mut draw)?;
        Ok(known.date_of_birth == Some(best))
    }

    /// The date that is answered best; of equals one by chance.
    fn best(
        &self,
        child: u32,
        known: &Person,
        dates: Vec<BirthDate>,
        answer: Answer,
        draw: &mut Draw,
    ) -> Result<BirthDate, PrivacyError> {
        let person = |date: &BirthDate| Person {
            local_id: format!("guess {child}"),
            given: known.given.first().cloned().into_iter().collect(),
            family: known.family.first().cloned().into_iter().collect(),
            date_of_birth: Some(*date),
            ..Person::default()
        };
        let persons: Vec<Person> = dates.iter().map(person).collect();
        let dataset = Dataset::from_batch(self.agency.clone(), &self.encoder.encode(&persons));
        let mut best: Vec<(i64, BirthDate)> = Vec::new();
        for (row, date) in (0u32..).zip(dates) {
            let found = self.index.find(&dataset, row)?;
            let value = found.first().map_or(i64::MIN, |found| match answer {
                Answer::Score => found.score.key(),
                Answer::Band => match found.band {
                    Band::None => 0,
                    Band::Review => 1,
                    Band::Match => 2,
                },
            });
            match best.first() {
                Some((kept, _)) if *kept > value => {}
                Some((kept, _)) if *kept == value => best.push((value, date)),
                _ => best = vec![(value, date)],
            }
        }
        Ok(best[draw.below(best.len())].1)
    }
}
