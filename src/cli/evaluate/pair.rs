//! What needs the encodings: one pair of records in detail, the run's own estimate beside the truth.

use super::super::estimates::words;
use super::super::exit::{Exit, Failure, OrExit};
use super::super::link::{Sides, shown};
use super::Judged;
use crate::linkage::decide::{Judge, Verdict};
use crate::linkage::estimate::{Estimate, Expected};
use crate::linkage::evaluate::{Evaluation, LinkRow};
use crate::report::{Bars, Mark, Measure, Page, Reference, Row, Step, Unit, Waterfall};
use crate::wire::{Band, DecisionModel, EvidenceModel};

/// What a pair of records says about itself.
pub(super) struct PairFound {
    names: [String; 2],
    verdict: Option<Verdict>,
    /// Steps and band limits, where the decision weighs evidence.
    waterfall: Option<Waterfall>,
    /// Why this pair was chosen, and what the truth says of it.
    remark: String,
}

/// A record as the user names it: `AGENCY:RECORD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordName {
    agency: String,
    record: String,
}

impl std::str::FromStr for RecordName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').filter(|(agency, record)| !agency.is_empty() && !record.is_empty());
        let (agency, record) =
            parts.ok_or("a record is named AGENCY:RECORD, its id or ref in that agency's file")?;
        Ok(Self { agency: super::agency_name(agency), record: record.to_owned() })
    }
}

impl RecordName {
    /// The first (left) and second record of a link.
    pub(super) fn of(link: &LinkRow) -> [Self; 2] {
        [(&link.agency_a, &link.record_a), (&link.agency_b, &link.record_b)]
            .map(|(agency, record)| Self { agency: agency.clone(), record: record.clone() })
    }

    fn find(&self, sides: &Sides) -> Result<(u16, u32), Failure> {
        let refused = |what: &str| {
            Failure::new(
                Exit::Usage,
                format!("--pair: {what}: give AGENCY:RECORD of two of the encoding files"),
            )
        };
        let agency = sides.headers.iter().position(|header| header.agency.as_str() == self.agency);
        let agency = agency.and_then(|agency| u16::try_from(agency).ok());
        let agency =
            agency.ok_or_else(|| refused(&format!("no encoding file of agency '{}'", self.agency)))?;
        let records = (0u32..).take(sides.datasets[usize::from(agency)].len());
        let mut found = records.filter(|record| sides.is(agency, *record, &self.record));
        let record = found.next().ok_or_else(|| refused("that agency's file has no such record"))?;
        Ok((agency, record))
    }
}

impl PairFound {
    /// Compares two records.
    pub(super) fn compare(judged: &Judged, pair: &[RecordName; 2], remark: String) -> Result<Self, Failure> {
        let Judged { sides, decision, .. } = judged;
        let [(agency_a, a), (agency_b, b)] = [pair[0].find(sides)?, pair[1].find(sides)?];
        let (left, right) = (&sides.datasets[usize::from(agency_a)], &sides.datasets[usize::from(agency_b)]);
        let (a, b) = (a as usize, b as usize);
        let judge = Judge::new(decision, &left.layout).or_exit(Exit::BadInput)?;
        let verdict = judge.judge(left, a, right, b);
        let waterfall = judge.evidence_model().map(|model| {
            let mut waterfall = waterfall(model);
            let evidence = judge.evidence(left, a, right, b);
            let mut sum = 0;
            for (at, attribute) in model.attributes.iter().enumerate() {
                let similarity = evidence.as_ref().and_then(|evidence| evidence.similarities[at]);
                let weight =
                    similarity.map_or(0, |similarity| attribute.weights[attribute.level(similarity)]);
                sum += weight;
                waterfall.steps.push(Step {
                    label: attribute.name.to_string(),
                    detail: similarity.map_or("missing".into(), |similarity| similarity.to_string()),
                    change: f64::from(weight) / 100.0,
                });
            }
            // What the score holds beyond the attributes: exact tokens that agree.
            let rest = verdict.map_or(0, |verdict| verdict.score.rounded() - i64::from(sum));
            if rest != 0 {
                let (label, detail) = ("exact tokens".into(), "agree".into());
                waterfall.steps.push(Step { label, detail, change: rest as f64 / 100.0 });
            }
            waterfall
        });
        let names = [&pair[0], &pair[1]].map(|name| format!("{}, record {}", name.agency, name.record));
        Ok(Self { names, verdict, waterfall, remark })
    }

    /// Writes the pair's part of the page.
    pub(super) fn describe(&self, page: &mut Page) {
        page.paragraph(&self.remark);
        let [first, second] = &self.names;
        let (band, score, reasons) = match &self.verdict {
            None => ("none".to_owned(), "below the review band".to_owned(), Vec::<&str>::new()),
            Some(verdict) => {
                let reasons = verdict.reasons.iter().map(|reason| reason.text()).collect();
                (verdict.band.to_string(), shown(verdict.score), reasons)
            }
        };
        page.facts([
            ("First record", first.clone()),
            ("Second record", second.clone()),
            ("Score", score),
            ("Band by itself", band),
            ("Reasons", if reasons.is_empty() { "none".to_owned() } else { reasons.join("; ") }),
        ]);
        match &self.waterfall {
            Some(waterfall) => page.plot(waterfall),
            None => page.paragraph("The score is the Dice of one composite filter: it has no parts to show."),
        }
    }
}

fn waterfall(model: &EvidenceModel) -> Waterfall {
    let line = |at: i32, label: &str| Reference { at: f64::from(at) / 100.0, label: label.to_owned() };
    Waterfall {
        title: "Weights of the pair".into(),
        note: "Each attribute adds to the score or takes from it; a missing one weighs nothing.".into(),
        x_label: "score in bits".into(),
        detail_label: "similarity".into(),
        unit: Unit::Decimal(2),
        references: vec![line(model.review_at, "review"), line(model.match_at, "match")],
        steps: Vec::new(),
    }
}

/// Writes what the run expected of itself beside what is true.
pub(super) fn describe_estimate(
    page: &mut Page,
    (estimate, decision): (&Estimate, &DecisionModel),
    found: &Evaluation,
) {
    page.section("Estimates without the truth");
    let expected = |expected: &Expected| Measure::between(expected.value, expected.low, expected.high);
    let observed = |share: Option<f64>| share.map_or(Measure::none(), Measure::of);
    let row = |label: &str, estimate: &Expected, share: Option<f64>| Row {
        label: label.to_owned(),
        values: vec![expected(estimate), observed(share)],
    };
    page.plot(&Bars {
        title: "Expected and true precision and recall".into(),
        note: "The estimate sees the encodings and what they are judged by, never the truth.".into(),
        row_label: "Share".into(),
        series: vec!["estimate".into(), "truth".into()],
        unit: Unit::Share,
        mark: Mark::Dot,
        rows: vec![
            row("precision, match", &estimate.precision_match, found.matched.precision()),
            row("precision, match and review", &estimate.precision_all, found.all.precision()),
            row("recall, match", &estimate.recall_match, found.matched.recall()),
            row("recall, match and review", &estimate.recall_all, found.all.recall()),
        ],
        ..Bars::default()
    });
    for warning in &estimate.warnings {
        page.warning(&words(warning, decision));
    }
}

/// The link worth a look when none is named: the wrong one with the highest score, matches first; without a
/// wrong one the match with the lowest score.
pub(super) fn telling_pair(
    links: &[LinkRow],
    right: impl Fn(&LinkRow) -> bool,
) -> Option<(&LinkRow, String)> {
    let between = || links.iter().filter(|link| link.band > Band::None && link.agency_a != link.agency_b);
    let wrong = between().filter(|link| !right(link)).max_by_key(|link| (link.band, link.score));
    if let Some(wrong) = wrong {
        let said = "The wrong link with the highest score: two children who look like one.".to_owned();
        return Some((wrong, said));
    }
    let weakest = between().filter(|link| link.band == Band::Match).min_by_key(|link| link.score);
    weakest.map(|link| (link, "No link is wrong; this is the match with the lowest score.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(record: &str, band: Band, score: i64) -> LinkRow {
        LinkRow {
            agency_a: "a".into(),
            record_a: record.into(),
            agency_b: "b".into(),
            record_b: "1".into(),
            band,
            score: Some(score),
        }
    }

    #[test]
    fn the_worst_link_is_the_telling_one() {
        let links = [link("1", Band::Match, 9), link("2", Band::Match, 5), link("3", Band::Review, 7)];
        let chosen = |wrong: &[&str]| {
            let right = |link: &LinkRow| !wrong.contains(&link.record_a.as_str());
            telling_pair(&links, right).map(|(link, _)| link.record_a.clone())
        };
        assert_eq!(chosen(&["2", "3"]).as_deref(), Some("2"), "a wrong match before a wrong review");
        assert_eq!(chosen(&[]).as_deref(), Some("2"), "the weakest match");
        assert!(telling_pair(&[], |_| true).is_none());
    }

    #[test]
    fn records_are_named_by_agency_and_id() {
        let name: RecordName = "Health.csv:12:3".parse().unwrap();
        assert_eq!((name.agency.as_str(), name.record.as_str()), ("health", "12:3"));
        assert!("health".parse::<RecordName>().is_err() && ":1".parse::<RecordName>().is_err());
    }
}
