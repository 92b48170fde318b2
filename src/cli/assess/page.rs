//! The assessment as one HTML page for a data-protection impact assessment.

use super::{Timed, figure, judgement};
use crate::cli::term::count;
use crate::privacy::{Finding, Measure};
use crate::report::{self, Bars, Mark, Page, Row, Table, Unit};

/// Attacks that name children, in the order of the page.
const NAMING: [&str; 6] =
    ["matched-filter", "percolation", "graph-matching", "components", "structure", "frequency"];
/// Questions of a member agency.
const PROBES: [&str; 8] = [
    "probe-name",
    "probe-name-year",
    "probe-name-postcode",
    "probe-misspelt",
    "probe-misspelt-family",
    "probe-misspelt-both",
    "score-oracle",
    "band-oracle",
];

/// The page.
pub(super) fn render(report: &Timed) -> String {
    let found = &report.found;
    let mut page = Page::new(format!("Privacy assessment of {}", found.schema));
    page.lead(&format!(
        "{} {} children, {} records of {}, attacked in every way of the literature that applies.",
        count(found.children),
        if found.generated { "generated" } else { "sampled" },
        count(found.records),
        if found.agencies == 1 { "one agency".to_owned() } else { format!("{} agencies", found.agencies) }
    ));
    page.section("What it means");
    if !found.passed {
        page.warning(
            "At least one figure is above its bar: read the last sentences below before encodings are sent.",
        );
    }
    page.list(found.verdict.iter().map(String::as_str));
    for cap in &found.capped {
        page.inset(&format!("Cut down: {cap}."));
    }
    page.section("Who would be re-identified");
    page.paragraph(
        "Share of the children that an attacker names rightly who holds every agency's file and a clean register. Whiskers are \
         95 % intervals. A guess without encodings would be right for one child in the register.",
    );
    page.plot(&plot("Children re-identified, by attack", &of(&found.findings, &NAMING)));
    page.section("What a member could find out by asking");
    page.paragraph("Share of questions about a child who is known that end in the answer asked for.");
    page.plot(&plot("Probes that succeed, by what the prober knows", &of(&found.findings, &PROBES)));
    page.section("Every figure");
    page.table(&every(&found.findings));
    page.section("Quality and cost");
    let mut facts =
        vec![("Bytes a record", count(found.bytes)), ("Schema fingerprint", found.fingerprint.clone())];
    if let Some(quality) = found.quality {
        facts.push(("Precision of its links", format!("{:.4}", quality.precision)));
        facts.push(("Recall of its links", format!("{:.4}", quality.recall)));
        facts.push(("F1", format!("{:.4}", quality.f1)));
    }
    facts.push(("Seed of all draws", found.seed.clone()));
    for (step, seconds) in &report.seconds {
        facts.push((step, format!("{seconds:.1} s")));
    }
    page.facts(facts);
    page.render()
}

fn of<'f>(findings: &'f [Finding], names: &[&str]) -> Vec<&'f Finding> {
    let wanted =
        |name: &&str| findings.iter().filter(move |finding| finding.attack == *name).collect::<Vec<_>>();
    names.iter().flat_map(wanted).filter(|finding| finding.measure == Measure::Share).collect()
}

fn plot(title: &str, findings: &[&Finding]) -> Bars {
    let row = |finding: &&Finding| Row {
        label: label(finding),
        values: vec![report::Measure::between(finding.value, finding.low, finding.high)],
    };
    Bars {
        title: title.to_owned(),
        row_label: "Attack and what it knows".to_owned(),
        series: vec!["Share".to_owned()],
        unit: Unit::Share,
        mark: Mark::Bar,
        // Small shares would be invisible on the whole axis.
        range: findings.iter().any(|finding| finding.high > 0.2).then_some((0.0, 1.0)),
        rows: findings.iter().map(row).collect(),
        ..Bars::default()
    }
}

/// Parts of a setting that a label goes without.
const DROPPED: [&str; 6] =
    ["children", "no known pair", "one file", "the schema's decision", "that show scores", "that show bands"];

/// An attack and what it knows in a few words, to fit beside a bar; the table below has the whole.
fn label(finding: &Finding) -> String {
    let parts = finding.setting.split(", ").filter_map(|part| match part.split_once(" known pairs") {
        Some((pairs, _)) => Some(format!("{pairs} pairs")),
        None if DROPPED.iter().any(|end| part.ends_with(end)) => None,
        None => Some(
            part.replace(" of the register", "")
                .replace("whole register", "whole")
                .replace("register of ", ""),
        ),
    });
    std::iter::once(finding.attack.to_owned()).chain(parts).collect::<Vec<_>>().join(", ")
}

fn every(findings: &[Finding]) -> Table {
    let mut table = Table::new(
        "Every attack",
        3,
        ["Attack", "What it knows", "Bar", "Found", "95 % interval", "By chance", "Successes", "Trials"],
    );
    for finding in findings {
        table.row([
            finding.attack.to_owned(),
            finding.setting.clone(),
            judgement(finding),
            figure(finding, finding.value),
            format!("{} to {}", figure(finding, finding.low), figure(finding, finding.high)),
            figure(finding, finding.baseline),
            count(finding.successes),
            count(finding.trials),
        ]);
    }
    table
}
