//! `evaluate`: links against a truth.

mod page;
mod pair;

use super::adjust::{WeightArgs, adjust};
use super::estimates::of_run;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::files::{open, write_atomic};
use super::link::{Sides, kernel, run_reaching};
use super::term::{Terminal, count, table};
use crate::linkage::estimate::Estimate;
use crate::linkage::evaluate::{Counts, Evaluation, LinkRow, Part, TruthRow, evaluate as judge};
use crate::linkage::run::LinkOptions;
use crate::wire::{Band, DecisionModel};
use clap::Args;
use pair::{PairFound, RecordName, telling_pair};
use serde::Serialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Rows of a links or truth file at most.
const ROWS_MAX: usize = 200_000_000;
/// Scores are read as so many parts of one.
const UNIT: i64 = 1_000_000;

/// Compares links with a truth: precision, recall and F1 per band, agency pair and event; twins and
/// siblings apart where the truth names families.
#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// Links, as `link` writes them.
    links: PathBuf,
    /// Truth: agency,record_id,entity_id and, where known, family_id,twin,origin,events.
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// Also write one self-contained page with plots and equal tables.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The encoding files that were linked: adds what the run expects of itself without the truth, and to the page
    /// the weights of one pair.
    #[arg(long, num_args = 2.., value_name = "FILE")]
    encodings: Vec<PathBuf>,
    /// Pair whose weights the page shows; without it the wrong link with the highest score.
    #[arg(long, num_args = 2, value_names = ["AGENCY:RECORD", "AGENCY:RECORD"], requires_all = ["encodings", "html"])]
    pair: Vec<RecordName>,
    #[command(flatten)]
    weights: WeightArgs,
}

/// Encodings, what links between them are judged by, and what a run over them expects of itself.
pub(super) struct Judged {
    pub(super) sides: Sides,
    pub(super) decision: DecisionModel,
    estimate: Estimate,
}

impl Judged {
    fn read(files: &[PathBuf], weights: WeightArgs, terminal: Terminal) -> Result<Self, Failure> {
        let sides = Sides::read(files, None)?;
        let mut options = LinkOptions::default();
        options.join.level = kernel()?;
        let shipped = &sides.headers[0].decision;
        let (decision, _) = adjust(&sides.datasets, shipped, (weights, &options), None, terminal)?;
        let how = (options, weights);
        let (run, decision) = run_reaching(&sides.datasets, decision, how, None, terminal)?;
        let estimate = of_run(&sides.datasets, &run, &decision)?;
        Ok(Self { sides, decision, estimate })
    }
}

pub(crate) fn evaluate(args: &EvaluateArgs, terminal: Terminal) -> Outcome {
    let truth = read_truth(&args.truth)?;
    let links = read_links(&args.links)?;
    let found = judge(&links, &truth).or_exit(Exit::BadInput)?;
    let judged = match &args.encodings[..] {
        [] => None,
        files => Some(Judged::read(files, args.weights, terminal)?),
    };
    if let Some(path) = &args.html {
        let pair = match &judged {
            Some(judged) => pair_to_show(args, judged, &links, &truth)?,
            None => None,
        };
        let estimate = judged.as_ref().map(|judged| (&judged.estimate, &judged.decision));
        let html = page::page(&found, pair.as_ref(), estimate).render();
        write_atomic(path, |out| out.write_all(html.as_bytes()).or_exit(Exit::Internal))?;
        terminal.note(format!("page written to {}", path.display()));
    }
    if terminal.json {
        terminal
            .report(&Report { found: &found, estimate: judged.as_ref().map(|judged| &judged.estimate) })?;
        return Ok(Exit::Done);
    }
    print(&found, terminal)?;
    if let Some(judged) = &judged {
        super::estimates::print(&judged.estimate, &judged.decision, terminal)?;
    }
    Ok(Exit::Done)
}

/// An evaluation, and what the run expected of itself where encodings were given.
#[derive(Serialize)]
struct Report<'f> {
    #[serde(flatten)]
    found: &'f Evaluation,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<&'f Estimate>,
}

/// The pair asked for, or a telling one.
fn pair_to_show(
    args: &EvaluateArgs,
    judged: &Judged,
    links: &[LinkRow],
    truth: &[TruthRow],
) -> Result<Option<PairFound>, Failure> {
    let child: HashMap<(&str, &str), &str> = truth
        .iter()
        .map(|row| ((row.agency.as_str(), row.record_id.as_str()), row.entity_id.as_str()))
        .collect();
    let of = |agency: &str, record: &str| child.get(&(agency, record)).copied();
    let right = |link: &LinkRow| {
        let left = of(&link.agency_a, &link.record_a);
        left.is_some() && left == of(&link.agency_b, &link.record_b)
    };
    let chosen = match &args.pair[..] {
        [first, second] => Some(([first.clone(), second.clone()], "The pair asked for.".to_owned())),
        _ => telling_pair(links, right).map(|(link, said)| (RecordName::of(link), said)),
    };
    chosen.map(|(names, said)| PairFound::compare(judged, &names, said)).transpose()
}

/// A CSV of named columns, each under any of several names.
struct Rows {
    path: PathBuf,
    reader: csv::Reader<File>,
    headers: Vec<String>,
}

impl Rows {
    fn open(path: &Path) -> Result<Self, Failure> {
        let mut reader = csv::ReaderBuilder::new().from_reader(open(path)?);
        let headers = reader.headers().or_exit_with(Exit::BadInput, path.display())?;
        let headers = headers
            .iter()
            .map(|header| header.trim_start_matches('\u{feff}').trim().to_lowercase())
            .collect();
        Ok(Self { path: path.to_owned(), reader, headers })
    }

    fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.headers.iter().position(|header| header == name))
    }

    fn required(&self, names: &[&str]) -> Result<usize, Failure> {
        self.column(names).ok_or_else(|| {
            let message = format!("{} has no column '{}'", self.path.display(), names[0]);
            Failure::new(Exit::BadInput, message)
        })
    }

    fn each(mut self, mut row: impl FnMut(&csv::StringRecord) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut record = csv::StringRecord::new();
        let mut rows = 0usize;
        while self.reader.read_record(&mut record).or_exit_with(Exit::BadInput, self.path.display())? {
            rows += 1;
            if rows > ROWS_MAX {
                return Err(Failure::new(Exit::BadInput, format!("{}: too many rows", self.path.display())));
            }
            row(&record)?;
        }
        Ok(())
    }
}

/// Reads a truth file. An agency may stand as the name of its file.
pub(crate) fn read_truth(path: &Path) -> Result<Vec<TruthRow>, Failure> {
    let rows = Rows::open(path)?;
    let agency = rows.required(&["agency", "side", "file", "dataset"])?;
    let record = rows.required(&["record_id", "row"])?;
    let entity = rows.required(&["entity_id", "child"])?;
    let family = rows.column(&["family_id", "household_true"]);
    let twin = rows.column(&["twin"]);
    let events = rows.column(&["events"]);
    let origin = rows.column(&["origin"]);
    let mut truth = Vec::new();
    rows.each(|row| {
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let some = |column: Option<usize>| column.map(cell).filter(|text| !text.is_empty());
        truth.push(TruthRow {
            agency: agency_name(cell(agency)),
            record_id: cell(record).to_owned(),
            entity_id: cell(entity).to_owned(),
            family_id: some(family).map(str::to_owned),
            twin: some(twin).is_some_and(|flag| !matches!(flag, "0" | "false" | "False" | "no")),
            events: some(events).map_or_else(Vec::new, |events| {
                events.split([';', ' ', '|']).filter(|event| !event.is_empty()).map(str::to_owned).collect()
            }),
            origin: some(origin).map(str::to_owned),
        });
        Ok(())
    })?;
    Ok(truth)
}

/// `Social_Care.csv` as an agency id: `social_care`.
pub(crate) fn agency_name(text: &str) -> String {
    let name = text.strip_suffix(".csv").unwrap_or(text).to_lowercase();
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn read_links(path: &Path) -> Result<Vec<LinkRow>, Failure> {
    let rows = Rows::open(path)?;
    let [agency_a, record_a, agency_b, record_b] = [
        rows.required(&["agency_a"])?,
        rows.required(&["record_a"])?,
        rows.required(&["agency_b"])?,
        rows.required(&["record_b"])?,
    ];
    let (band, score) = (rows.required(&["band"])?, rows.column(&["score"]));
    let mut links = Vec::new();
    let name = path.display().to_string();
    rows.each(|row| {
        let cell = |column: usize| row.get(column).unwrap_or_default().to_owned();
        let band = match cell(band).as_str() {
            "match" => Band::Match,
            "review" => Band::Review,
            "none" => Band::None,
            _ => {
                let line = row.position().map_or(0, csv::Position::line);
                let message = format!("{name}, line {line}: a band is match, review or none");
                return Err(Failure::new(Exit::BadInput, message));
            }
        };
        links.push(LinkRow {
            agency_a: agency_name(&cell(agency_a)),
            record_a: cell(record_a),
            agency_b: agency_name(&cell(agency_b)),
            record_b: cell(record_b),
            band,
            score: score.and_then(|column| parse_score(&cell(column))),
        });
        Ok(())
    })?;
    Ok(links)
}

/// A decimal score in millionths.
fn parse_score(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part: String = part.chars().chain(std::iter::repeat('0')).take(6).collect();
    let whole: i64 = whole.parse().ok()?;
    Some(sign * (whole.checked_mul(UNIT)? + part.parse::<i64>().ok()?))
}

/// A ratio as `.987`, or a dash.
pub(crate) fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

fn cells(name: &str, counts: &Counts) -> [String; 7] {
    [
        name.to_owned(),
        ratio(counts.precision()),
        ratio(counts.recall()),
        ratio(counts.f1()),
        count(counts.links),
        count(counts.correct),
        count(counts.truth),
    ]
}

/// A remark where agencies of the truth stand in no link.
fn not_linked(found: &Evaluation) -> Option<String> {
    let agencies = found.agencies_without_links();
    let named = agencies.join(", ");
    (!agencies.is_empty()).then(|| {
        format!("No link names {named}: their pairs count as missed; take them out of the truth if they were not linked.")
    })
}

/// Prints an evaluation as tables.
pub(crate) fn print(found: &Evaluation, terminal: Terminal) -> Result<(), Failure> {
    let heading = ["links", "precision", "recall", "F1", "made", "right", "true pairs"];
    let rows = [
        cells("match and review", &found.all),
        cells("match", &found.matched),
        cells("review (of what match left)", &found.review),
    ];
    terminal.tell(table(heading, rows))?;
    let parts = |name: &str, parts: &[Part]| {
        if parts.is_empty() {
            return Ok(());
        }
        let rows = parts.iter().map(|part| cells(&part.name, &part.all));
        terminal.tell(table([name, "precision", "recall", "F1", "made", "right", "true pairs"], rows))
    };
    parts("agency pair", &found.agency_pairs)?;
    parts("event", &found.events)?;
    parts("name origin", &found.origins)?;
    let confusable = [("twins", &found.twins), ("siblings", &found.siblings)];
    let rows = confusable.map(|(name, pairs)| {
        let numbers =
            [pairs.pairs_of_children, pairs.pairs_of_records, pairs.false_matches, pairs.false_reviews];
        let [children, records, matches, reviews] = numbers.map(count);
        [name.to_owned(), children, records, matches, reviews]
    });
    terminal.tell(table(["pairs of", "children", "records", "false matches", "false reviews"], rows))?;
    let odd = [
        (found.links_unknown, "links name records that the truth does not have"),
        (found.links_repeated, "links are given twice"),
        (found.not_one_to_one, "records are linked to two records of one agency"),
    ];
    for (number, what) in odd.iter().filter(|(number, _)| *number > 0) {
        terminal.tell(format!("{} {what}", count(*number)))?;
    }
    if let Some(remark) = not_linked(found) {
        terminal.tell(remark)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_in_millionths() {
        assert_eq!(parse_score("0.923456"), Some(923_456));
        assert_eq!(parse_score("-1.5"), Some(-1_500_000));
        assert_eq!(parse_score("12"), Some(12_000_000));
        assert_eq!(parse_score(""), None);
    }

    #[test]
    fn agencies_may_stand_as_file_names() {
        assert_eq!(agency_name("child_health.csv"), "child_health");
        assert_eq!(agency_name("A"), "a");
    }
}
