//! What the findings mean, in sentences fit for a data-protection impact assessment.
//!
//! May see: findings. Numbers are repeated from them, never computed anew.

use super::attacks::probing;
use super::finding::{Finding, Standing};
use crate::agency::schema::Schema;
use crate::wire::Profile;

/// Sentences about the findings, the gravest first.
pub(super) fn say(schema: &Schema, findings: &[Finding], quick: bool) -> Vec<String> {
    let mut out = Vec::new();
    let known = findings.iter().filter(|finding| finding.attack == "matched-filter");
    for finding in known.filter(|finding| !finding.setting.contains("exact")) {
        out.push(format!(
            "A centre that holds a clean register ({}) would re-identify {} of the other children it holds ({}).",
            finding.setting,
            in_words(finding.value),
            interval(finding)
        ));
    }
    let best = |names: &[&str]| {
        let of = findings.iter().filter(|finding| names.contains(&finding.attack));
        of.max_by(|a, b| a.value.total_cmp(&b.value))
    };
    if let Some(finding) = best(&["graph-matching", "structure", "components", "frequency"]) {
        out.push(format!(
            "Without knowing a single child beforehand the best attack ({}, {}) would re-identify {} ({}).",
            finding.attack,
            finding.setting,
            in_words(finding.value),
            interval(finding)
        ));
    }
    out.extend(worst_case(findings));
    let probe = findings.iter().find(|finding| finding.attack == "probe-name");
    if let Some(finding) = probe {
        out.push(format!(
            "A member agency that knows only a child's name and guesses the date gets a match for {} ({}).",
            in_words(finding.value),
            finding.setting
        ));
        if !probing::has_date_guard(schema) {
            out.push(match findings.iter().rfind(|other| other.attack == "probe-name" && other.setting != finding.setting) {
                Some(guarded) => format!(
                    "With a date guard in the schema's decision that falls to {}; it costs links whose dates are wrong. Without it budgets, reasons and the ledger are what stops probing.",
                    in_words(guarded.value)
                ),
                None => "This decision has no date guard: budgets, reasons and the ledger are what stops probing.".to_owned(),
            });
        }
    }
    if matches!(schema.profile(), Profile::Clk | Profile::Fields | Profile::LegacyClk) {
        out.push(format!(
            "Profile '{}' keeps the similarities of all children: use it only with a trusted centre, for a short project, and delete the encodings when it ends.",
            schema.profile()
        ));
    }
    out.push("Whoever has the linkage key, or an agency that has it and works with the centre, can look up any child it can name: no profile protects against that. Encodings are pseudonymised personal data, not anonymous.".to_owned());
    if findings.iter().any(|finding| finding.attack == "empty-slots-joined") {
        out.push("Where two agencies' records of a child are linked, the centre sees which values are missing or differ between them; filler hides that in one agency's file only.".to_owned());
    }
    let of = |standing| -> Vec<String> {
        findings.iter().filter(|finding| finding.standing() == standing).map(missed).collect()
    };
    let (failed, open) = (of(Standing::Fails), of(Standing::Undecided));
    if !open.is_empty() {
        let weight = if quick { "a quick run lets it pass" } else { "until then it counts as failed" };
        out.push(format!(
            "Above the bar, but with too few trials to be sure; assess a larger population, {weight}: {}.",
            open.join("; ")
        ));
    }
    out.push(if failed.is_empty() {
        "No declared bar surely fails.".to_owned()
    } else {
        format!("Bars that fail: {}.", failed.join("; "))
    });
    out
}

/// The best attack on a file of exact copies, where no bar is declared for it.
fn worst_case(findings: &[Finding]) -> Option<String> {
    let shown = findings.iter().filter(|finding| finding.bar.is_none() && finding.setting.contains("exact"));
    let finding = shown.max_by(|a, b| a.value.total_cmp(&b.value))?;
    Some(format!(
        "Where an agency's file copied its register without a mistake, {} would find {} ({}); no bar is declared for that.",
        finding.attack,
        in_words(finding.value),
        interval(finding)
    ))
}

fn missed(finding: &Finding) -> String {
    let word = if finding.must_succeed { "should reach" } else { "may reach" };
    format!(
        "{} ({}): {:.4}, {word} {:.4}",
        finding.attack,
        finding.setting,
        finding.value,
        finding.bar.unwrap_or_default()
    )
}

fn interval(finding: &Finding) -> String {
    format!("95 % interval {:.2} % to {:.2} %", 100.0 * finding.low, 100.0 * finding.high)
}

/// `4 in 10,000`, `1 in 3`, `nearly all`.
fn in_words(share: f64) -> String {
    match share {
        s if s <= 0.0 => "none".to_owned(),
        s if s >= 0.995 => "nearly all".to_owned(),
        s if s >= 0.05 => format!("{:.0} in 100", 100.0 * s),
        s if s >= 0.0005 => format!("{:.0} in 1,000", (1000.0 * s).max(1.0)),
        s => format!("{:.0} in 100,000", (100_000.0 * s).max(1.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_in_words() {
        let told = [0.0, 0.00004, 0.0013, 0.07, 0.5, 0.999].map(in_words);
        assert_eq!(told, ["none", "4 in 100,000", "1 in 1,000", "7 in 100", "50 in 100", "nearly all"]);
    }
}
