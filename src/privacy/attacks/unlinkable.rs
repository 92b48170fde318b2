//! Between projects, and in the order of rows: what should say nothing.
//!
//! Source: SECURITY.md ("row order, local ids"). An agency takes part in two projects; whoever sees both files tries to join
//! them by ref, by the order of rows, and reads the date of birth from the place in the file.
//!
//! The attacker knows: one agency's files in two projects, and for the order a register. Cost: sorting.

use super::super::PrivacyError;
use super::super::finding::Finding;
use super::super::scene::Scene;
use super::super::target::{PROJECT, Target, refs};
use crate::agency::record::BirthDate;
use std::collections::HashSet;

/// Refs that occur in both projects' files of each agency.
///
/// # Errors
/// [`PrivacyError::Internal`] for names that are none.
pub fn refs_between_projects(target: &Target, scene: &Scene) -> Result<Finding, PrivacyError> {
    let (mut hits, mut trials) = (0, 0);
    for agency in &scene.agencies {
        let of = |project| refs(&target.schema, &scene.seed, &agency.id, project, &agency.persons);
        let there: HashSet<_> = of("another")?.into_iter().collect();
        let here = of(PROJECT)?;
        trials += here.len() as u64;
        hits += here.iter().filter(|record_ref| there.contains(record_ref)).count() as u64;
    }
    Ok(Finding::share("refs-between-projects", "one agency's refs in two projects", hits, trials, 0.0))
}

/// Correlation of a record's place in the file with its place in the other project's file, and with the date of birth: the
/// larger of the two.
///
/// # Errors
/// [`PrivacyError::Internal`] for names that are none.
pub fn row_order(target: &Target, scene: &Scene) -> Result<Finding, PrivacyError> {
    let (mut by_date, mut by_project) = (Vec::new(), Vec::new());
    for agency in &scene.agencies {
        let place = |project| -> Result<Vec<f64>, PrivacyError> {
            let refs = refs(&target.schema, &scene.seed, &agency.id, project, &agency.persons)?;
            let mut order: Vec<usize> = (0..refs.len()).collect();
            order.sort_unstable_by_key(|at| refs[*at]);
            let mut place = vec![0.0; refs.len()];
            (0u32..).zip(order).for_each(|(at, record)| place[record] = f64::from(at) / refs.len() as f64);
            Ok(place)
        };
        let (here, there) = (place(PROJECT)?, place("another")?);
        by_project.extend(here.iter().copied().zip(there));
        let dated = agency
            .persons
            .iter()
            .zip(&here)
            .filter_map(|(person, at)| Some((days(person.date_of_birth?), *at)));
        by_date.extend(dated);
    }
    let by_date = Finding::correlation("row-order", "place in the file against date of birth", &by_date);
    let by_project = Finding::correlation("row-order", "place in the files of two projects", &by_project);
    Ok(if by_date.value > by_project.value { by_date } else { by_project })
}

fn days(date: BirthDate) -> f64 {
    f64::from(date.year) * 372.0 + f64::from(date.month) * 31.0 + f64::from(date.day)
}
