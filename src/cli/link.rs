//! `link`: encoding files of several agencies against one another, on this machine.

use super::adjust::{Adjusted, WeightArgs, adjust};
use super::encodings::{file_failure, read_encodings};
use super::estimates;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::files::write_atomic;
use super::legacy::read_clks;
use super::term::{Terminal, count, table};
use crate::agency::file::comparable;
use crate::linkage::arena::Dataset;
use crate::linkage::estimate::{Estimate, link_reaching};
use crate::linkage::evaluate::LinkRow;
use crate::linkage::exec::{Control, Exec};
use crate::linkage::kernel::KernelLevel;
use crate::linkage::run::{Link, LinkOptions, Run, RunError, link as run_link};
use crate::wire::{Band, DecisionModel, DiceModel, EncodingHeader, Score, Threshold};
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Links two or more encoding files: every pair at or above the threshold, one record of an agency to
/// one of another, in the bands match and review.
#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// Encoding files of two or more agencies, made under one schema, project, key and epoch; or CLK JSON of
    /// clkhash or anonlink (with --threshold; the file's name is the agency, rows count from 0).
    #[arg(required = true, num_args = 2..)]
    files: Vec<PathBuf>,
    /// Dice threshold instead of the schema's decision: every link at or above it is a match, none is for
    /// review (composite filters only).
    #[arg(long, value_name = "DICE")]
    threshold: Option<Threshold>,
    /// Also look for several records of one child inside each file.
    #[arg(long)]
    deduplicate: bool,
    #[command(flatten)]
    weights: WeightArgs,
    /// Threads; all cores when absent.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Links as CSV: agency_a,record_a,agency_b,record_b,score,band,reasons.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
struct Report {
    datasets: Vec<(String, u64)>,
    matches: u64,
    reviews: u64,
    duplicates: u64,
    groups: u64,
    conflicts: u64,
    pairs_dropped: u64,
    /// What became of the weights, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    adjusted: Option<Adjusted>,
    /// The lowest score of the review band: hundredths of a bit where evidence is weighed, millionths of Dice else.
    review_at: i64,
    /// What the run expects of itself without a truth.
    estimate: Estimate,
    seconds: f64,
}

/// Encodings of several agencies, ready to be linked; position i of each list is one agency.
pub(crate) struct Sides {
    pub(crate) headers: Vec<EncodingHeader>,
    pub(crate) datasets: Vec<Dataset>,
    local_ids: Vec<Option<Vec<String>>>,
}

impl Sides {
    /// Reads encoding files that can be compared with one another.
    pub(crate) fn read(files: &[PathBuf], threshold: Option<Threshold>) -> Result<Self, Failure> {
        let mut sides = Self { headers: Vec::new(), datasets: Vec::new(), local_ids: Vec::new() };
        for path in files {
            let json = path.extension().is_some_and(|end| end == "json");
            let (header, batch) = match threshold {
                Some(threshold) if json => read_clks(path, threshold)?,
                None if json => {
                    return Err(Failure::new(Exit::Usage, "CLK JSON has no decision: give --threshold"));
                }
                _ => read_encodings(path)?,
            };
            let first = sides.headers.first().unwrap_or(&header);
            comparable(first, &header).map_err(|error| file_failure(error, &path.display().to_string()))?;
            sides.datasets.push(Dataset::from_batch(header.agency.clone(), &batch));
            sides.headers.push(header);
            sides.local_ids.push(batch.local_ids);
        }
        Ok(sides)
    }

    /// The id of a record as files name it: the local id where the file has it, else the ref.
    pub(crate) fn id(&self, agency: u16, record: u32) -> String {
        let (agency, record) = (usize::from(agency), record as usize);
        match &self.local_ids[agency] {
            Some(ids) => ids[record].clone(),
            None => self.datasets[agency].refs[record].to_string(),
        }
    }

    /// The links of a run as rows to be judged.
    pub(crate) fn rows(&self, run: &Run) -> Vec<LinkRow> {
        let agency = |agency: u16| self.headers[usize::from(agency)].agency.to_string();
        let row = |link: &Link| LinkRow {
            agency_a: agency(link.agency_a),
            record_a: self.id(link.agency_a, link.record_a),
            agency_b: agency(link.agency_b),
            record_b: self.id(link.agency_b, link.record_b),
            band: link.band,
            score: Some(link.score.rounded()),
        };
        run.links.iter().map(row).collect()
    }

    /// Whether a record goes by `name`: its local id where the file has it, or its ref.
    pub(crate) fn is(&self, agency: u16, record: u32, name: &str) -> bool {
        let (agency, record) = (usize::from(agency), record as usize);
        let local = self.local_ids[agency].as_ref().is_some_and(|ids| ids[record] == name);
        local || self.datasets[agency].refs[record].to_string() == name
    }
}

pub(crate) fn link(args: &LinkArgs, terminal: Terminal) -> Outcome {
    let started = Instant::now();
    let sides = Sides::read(&args.files, args.threshold)?;
    let decision = decision(&sides.headers[0], args.threshold)?;
    let mut options = LinkOptions { deduplicate: args.deduplicate, ..LinkOptions::default() };
    options.join.level = kernel()?;
    // A threshold asks for pairs of that similarity and nothing else.
    options.thirds = args.threshold.is_none();
    terminal.note(format!("kernel: {}", options.join.level));
    let how = (args.weights, &options);
    let (decision, adjusted) = adjust(&sides.datasets, &decision, how, args.threads, terminal)?;
    let how = (options, args.weights);
    let (run, decision) = run_reaching(&sides.datasets, decision, how, args.threads, terminal)?;
    write_atomic(&args.out, |out| write_links(out, &sides, &run))?;
    let took = started.elapsed();
    let estimate = estimates::of_run(&sides.datasets, &run, &decision)?;
    report((&sides, &decision), &run, (took, estimate, adjusted), args, terminal)
}

/// The kernel named by `BLINDLINK_KERNEL`, or the best of this machine.
pub(crate) fn kernel() -> Result<KernelLevel, Failure> {
    match std::env::var("BLINDLINK_KERNEL") {
        Ok(name) => name.parse().or_exit_with(Exit::Usage, "BLINDLINK_KERNEL"),
        Err(_) => Ok(KernelLevel::detect()),
    }
}

fn decision(header: &EncodingHeader, threshold: Option<Threshold>) -> Result<DecisionModel, Failure> {
    match (&header.decision, threshold) {
        (decision, None) => Ok(decision.clone()),
        (DecisionModel::Dice(_), Some(threshold)) => Ok(DecisionModel::Dice(DiceModel::at(threshold))),
        (_, Some(_)) => {
            let message =
                "--threshold is a Dice of one composite filter; these encodings are judged by evidence";
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// Links on a pool of its own while a bar shows the pairs done.
pub(crate) fn run_with_progress(
    datasets: &[Dataset],
    decision: &DecisionModel,
    options: LinkOptions,
    threads: Option<usize>,
    terminal: Terminal,
) -> Result<Run, Failure> {
    let link = |exec: Exec<'_>, control: &Control| run_link(datasets, decision, &options, exec, control);
    with_progress(link, threads, terminal)
}

/// [`run_with_progress`] with the review band reaching as far as the run allows, and the decision it was judged by; as the
/// schema says where weights are not to be adjusted either.
pub(crate) fn run_reaching(
    datasets: &[Dataset],
    decision: DecisionModel,
    (options, weights): (LinkOptions, WeightArgs),
    threads: Option<usize>,
    terminal: Terminal,
) -> Result<(Run, DecisionModel), Failure> {
    if weights.no_adjust {
        return Ok((run_with_progress(datasets, &decision, options, threads, terminal)?, decision));
    }
    let link =
        |exec: Exec<'_>, control: &Control| link_reaching(datasets, &decision, &options, exec, control);
    let (run, judged_by) = with_progress(link, threads, terminal)?;
    let ([before, _], [after, _]) = (decision.limits(), judged_by.limits());
    let why = match after.cmp(&before) {
        std::cmp::Ordering::Less => "little can be confused in this run",
        std::cmp::Ordering::Equal => return Ok((run, judged_by)),
        std::cmp::Ordering::Greater => {
            "below it fewer than one link in five is right (--no-adjust lists them)"
        }
    };
    let places = if matches!(decision, DecisionModel::Dice(_)) { 6 } else { 2 };
    let [before, after] = [before, after].map(|at| decimal(at, places));
    terminal.note(format!("review reaches down to {after} ({before} in the schema): {why}"));
    Ok((run, judged_by))
}

fn with_progress<T: Send>(
    link: impl Fn(Exec<'_>, &Control) -> Result<T, RunError> + Sync,
    threads: Option<usize>,
    terminal: Terminal,
) -> Result<T, Failure> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.or_exit(Exit::Internal)?;
    let control = Control::new();
    let done = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        scope.spawn(|| {
            let bar = terminal.progress("linking", "pairs", 0);
            while !done.load(Ordering::Relaxed) {
                bar.set_length(control.pairs_total());
                bar.set_position(control.pairs_done());
                std::thread::park_timeout(Duration::from_millis(100));
            }
            bar.finish_and_clear();
        });
        // The bar must end when linking panics, too.
        let link = || link(Exec::Pool(&pool), &control);
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(link));
        done.store(true, Ordering::Relaxed);
        run
    });
    let run = run.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    run.or_exit(Exit::BadInput)
}

fn write_links(out: &mut impl Write, sides: &Sides, run: &Run) -> Result<(), Failure> {
    let mut csv = csv::Writer::from_writer(out);
    let doing = "writing links";
    csv.write_record(["agency_a", "record_a", "agency_b", "record_b", "score", "band", "reasons"])
        .or_exit_with(Exit::Internal, doing)?;
    for link in run.links.iter().chain(&run.duplicates) {
        csv.write_record(cells(sides, link)).or_exit_with(Exit::Internal, doing)?;
    }
    csv.flush().or_exit_with(Exit::Internal, doing)
}

fn cells(sides: &Sides, link: &Link) -> [String; 7] {
    let agency = |agency: u16| sides.headers[usize::from(agency)].agency.to_string();
    [
        agency(link.agency_a),
        sides.id(link.agency_a, link.record_a),
        agency(link.agency_b),
        sides.id(link.agency_b, link.record_b),
        shown(link.score),
        link.band.to_string(),
        link.reasons.iter().map(|reason| reason.code()).collect::<Vec<_>>().join(" "),
    ]
}

/// A score as a decimal: Dice with six places (rounded down), evidence in bits with two.
pub(crate) fn shown(score: Score) -> String {
    let places = match score {
        Score::Dice { .. } => 6,
        Score::Evidence { .. } => 2,
    };
    decimal(score.rounded(), places)
}

fn decimal(number: i64, places: u32) -> String {
    let unit = 10u64.pow(places);
    let (sign, size) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
    format!("{sign}{}.{:0width$}", size / unit, size % unit, width = places as usize)
}

fn report(
    (sides, decision): (&Sides, &DecisionModel),
    run: &Run,
    (took, estimate, adjusted): (Duration, Estimate, Option<Adjusted>),
    args: &LinkArgs,
    terminal: Terminal,
) -> Outcome {
    let band = |band: Band| run.links.iter().filter(|link| link.band == band).count() as u64;
    let report = Report {
        datasets: sides
            .datasets
            .iter()
            .map(|dataset| (dataset.agency.to_string(), dataset.len() as u64))
            .collect(),
        matches: band(Band::Match),
        reviews: band(Band::Review),
        duplicates: run.duplicates.len() as u64,
        groups: run.groups.len() as u64,
        conflicts: run.conflicts.len() as u64,
        pairs_dropped: run.truncation.pairs_dropped,
        adjusted,
        review_at: decision.limits()[0],
        estimate,
        seconds: took.as_secs_f64(),
    };
    if terminal.json {
        terminal.report(&report)?;
    } else {
        let rows = report.datasets.iter().map(|(agency, records)| [agency.clone(), count(*records)]);
        terminal.line(table(["agency", "records"], rows))?;
        terminal.line(format!(
            "{} matches and {} links to review, {} children known to two agencies or more, in {:.2} s -> {}",
            count(report.matches),
            count(report.reviews),
            count(report.groups),
            report.seconds,
            args.out.display()
        ))?;
        estimates::print(&report.estimate, decision, terminal)?;
        if args.deduplicate {
            terminal.line(format!("{} pairs inside one file", count(report.duplicates)))?;
        }
    }
    if report.pairs_dropped > 0 {
        terminal.note(format!("{} candidate pairs were left out: raise the threshold", report.pairs_dropped));
        return Ok(Exit::Findings);
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_shown_as_decimals() {
        assert_eq!(shown(Score::Dice { common: 1, total: 3 }), "0.666666");
        assert_eq!(shown(Score::Dice { common: 5, total: 10 }), "1.000000");
        assert_eq!(shown(Score::Evidence { centibits: -5 }), "-0.05");
        assert_eq!(shown(Score::Evidence { centibits: 1234 }), "12.34");
    }
}
