//! Where a run's data look unlike what the schema was made for.
//!
//! May see: a run, its datasets, the judge. Must not see: a truth.

use crate::linkage::arena::Dataset;
use crate::linkage::decide::Judge;
use crate::linkage::run::Run;
use crate::wire::Band;
use serde::Serialize;
use std::fmt;

/// Links looked at for evidence.
const LINKS_MAX: usize = 20_000;

/// Something a person should know before trusting a run; shares in whole per cent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// Nothing was linked.
    NoLinks,
    /// A small run: estimates are rough.
    FewLinks {
        /// Number of links.
        links: u64,
    },
    /// Much of it needs a person.
    ManyReviews {
        /// Share of links in the review band.
        per_cent: u64,
    },
    /// Many links are expected to be wrong.
    ManyWrong {
        /// Expected share.
        per_cent: u64,
    },
    /// An attribute the weights count on is mostly missing.
    Missing {
        /// Position of the attribute in the model.
        attribute: u64,
        /// Share of links without it.
        per_cent: u64,
    },
    /// An attribute disagrees outright in many links: the two sides may be filled in differently.
    Disagrees {
        /// Position of the attribute in the model.
        attribute: u64,
        /// Share of links at its lowest level.
        per_cent: u64,
    },
    /// Links that would join two records of one agency: duplicates inside an agency, or twins merged.
    Conflicts {
        /// Share of links.
        per_cent: u64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLinks => {
                f.write_str("nothing was linked: check that both sides used one schema, key and epoch")
            }
            Self::FewLinks { links } => write!(f, "only {links} links: the estimates are rough"),
            Self::ManyReviews { per_cent } => {
                write!(f, "{per_cent} % of the links need a review: dates or names may be poor")
            }
            Self::ManyWrong { per_cent } => {
                write!(f, "about {per_cent} % of the links are expected to be wrong: raise the threshold")
            }
            Self::Missing { attribute, per_cent } => {
                write!(
                    f,
                    "attribute {attribute} is missing in {per_cent} % of the links: check the column map"
                )
            }
            Self::Disagrees { attribute, per_cent } => write!(
                f,
                "attribute {attribute} disagrees outright in {per_cent} % of the links: check date format and column map"
            ),
            Self::Conflicts { per_cent } => write!(
                f,
                "{per_cent} % of the links would join two records of one agency: look for duplicates inside agencies"
            ),
        }
    }
}

pub(super) fn look(datasets: &[Dataset], run: &Run, judge: &Judge, wrong: f64) -> Vec<Warning> {
    let links = run.links.len();
    let share = |count: usize, of: usize| (100 * count / of.max(1)) as u64;
    let mut warnings = Vec::new();
    if links < 200 {
        warnings.push(Warning::FewLinks { links: links as u64 });
    }
    let reviews = run.links.iter().filter(|link| link.band == Band::Review).count();
    let mut warn = |per_cent: u64, from: u64, warning: Warning| {
        if per_cent >= from {
            warnings.push(warning);
        }
    };
    let per_cent = share(reviews, links);
    warn(per_cent, 25, Warning::ManyReviews { per_cent });
    let per_cent = (100.0 * wrong.clamp(0.0, 1.0)).round() as u64;
    warn(per_cent, 5, Warning::ManyWrong { per_cent });
    let per_cent = share(run.conflicts.len(), links);
    warn(per_cent, 2, Warning::Conflicts { per_cent });
    let (missing, lowest, looked) = attributes(datasets, run, judge);
    for (attribute, (missing, lowest)) in (0u64..).zip(missing.into_iter().zip(lowest)) {
        let per_cent = share(missing, looked);
        warn(per_cent, 50, Warning::Missing { attribute, per_cent });
        let per_cent = share(lowest, looked - missing);
        warn(per_cent, 50, Warning::Disagrees { attribute, per_cent });
    }
    warnings
}

/// Per attribute: links in which it is missing, links in which it is at its lowest level; links looked at.
fn attributes(datasets: &[Dataset], run: &Run, judge: &Judge) -> (Vec<usize>, Vec<usize>, usize) {
    let Some(model) = judge.evidence_model() else { return (Vec::new(), Vec::new(), 0) };
    let (mut missing, mut lowest) = (vec![0; model.attributes.len()], vec![0; model.attributes.len()]);
    let mut looked = 0;
    let step = run.links.len().div_ceil(LINKS_MAX).max(1);
    for link in run.links.iter().step_by(step) {
        let (left, right) = (&datasets[usize::from(link.agency_a)], &datasets[usize::from(link.agency_b)]);
        let evidence = judge.evidence(left, link.record_a as usize, right, link.record_b as usize);
        let Some(evidence) = evidence else { continue };
        looked += 1;
        for (at, attribute) in model.attributes.iter().enumerate() {
            match evidence.similarities[at] {
                None => missing[at] += 1,
                Some(similarity) if attribute.level(similarity) == 0 => lowest[at] += 1,
                Some(_) => {}
            }
        }
    }
    (missing, lowest, looked)
}
