//! What a run expects of itself without a truth, in words: shared by `link` and `evaluate`.

use super::exit::{Exit, Failure, OrExit};
use super::term::{Terminal, table};
use crate::linkage::arena::Dataset;
use crate::linkage::estimate::{Estimate, Expected, Warning, estimate};
use crate::linkage::run::Run;
use crate::wire::DecisionModel;

/// Estimates what `run` is worth.
pub(crate) fn of_run(datasets: &[Dataset], run: &Run, decision: &DecisionModel) -> Result<Estimate, Failure> {
    estimate(datasets, run, decision).or_exit(Exit::BadInput)
}

/// A warning with the attribute's name in it.
pub(crate) fn words(warning: &Warning, decision: &DecisionModel) -> String {
    let (Warning::Missing { attribute, .. } | Warning::Disagrees { attribute, .. }) = warning else {
        return warning.to_string();
    };
    let name = match decision {
        DecisionModel::Evidence(model) => {
            let at = usize::try_from(*attribute).ok();
            at.and_then(|at| model.attributes.get(at)).map(|found| found.name.to_string())
        }
        DecisionModel::Dice(_) => None,
    };
    let said = warning.to_string();
    match name {
        Some(name) => said.replace(&format!("attribute {attribute} "), &format!("'{name}' ")),
        None => said,
    }
}

/// Prints an estimate: shares with their ranges, the suggested threshold, warnings.
pub(crate) fn print(
    estimate: &Estimate,
    decision: &DecisionModel,
    terminal: Terminal,
) -> Result<(), Failure> {
    let cell =
        |expected: &Expected| format!("{:.3} ({:.3} to {:.3})", expected.value, expected.low, expected.high);
    let rows = [
        ("match", &estimate.precision_match, &estimate.recall_match),
        ("match and review", &estimate.precision_all, &estimate.recall_all),
    ];
    let rows = rows.map(|(name, precision, recall)| [name.to_owned(), cell(precision), cell(recall)]);
    terminal.line(table(["expected without a truth", "precision", "recall"], rows))?;
    if let Some(at) = estimate.suggested_at {
        let at = match decision {
            DecisionModel::Dice(_) => format!("{:.3}", at as f64 / 1e6),
            DecisionModel::Evidence(_) => format!("{:.2} bits", at as f64 / 100.0),
        };
        terminal.line(format!("the best expected F1 of all links is at a score of {at}"))?;
    }
    estimate
        .warnings
        .iter()
        .try_for_each(|warning| terminal.line(format!("warning: {}", words(warning, decision))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agency::schema::Schema;

    #[test]
    fn warnings_name_the_attribute() {
        let schema = Schema::builtin("uk-child-views").unwrap();
        let said = words(&Warning::Missing { attribute: 2, per_cent: 60 }, schema.decision());
        assert!(said.starts_with("'place' is missing in 60 %"), "{said}");
        let said = words(&Warning::Missing { attribute: 99, per_cent: 60 }, schema.decision());
        assert!(said.starts_with("attribute 99 is missing"), "{said}");
    }
}
