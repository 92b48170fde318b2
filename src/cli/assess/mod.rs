//! `assess`: what a schema's encodings give away, measured by attacking them.

mod page;

use super::exit::{Exit, Failure, OrExit, Outcome};
use super::extract::{ExtractArgs, open_extract, schema};
use super::files::write_atomic;
use super::term::{Terminal, count, table};
use crate::agency::schema::Schema;
use crate::linkage::exec::{Control, Exec};
use crate::privacy::{
    Assessment, Finding, Measure, Plan, Population, PrivacyError, Standing, Watch, assess as run,
};
use crate::wire::Profile;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Attacks a schema's encodings as the literature does, at your size, and says in plain words what a centre or a member could
/// find out. Ends with 1 when a figure is above its bar.
///
/// A bar FAILS when the whole 95 % interval of the figure lies above it. A figure above its bar whose interval reaches below
/// it is undecided: too few children to be sure. That counts as failed, too, and is decided by a larger --population; a
/// --quick run, which tests the attacks and not the project, lets it pass.
#[derive(Debug, Args)]
pub(crate) struct AssessArgs {
    /// Schema: the name of a built-in one, or a file.
    #[arg(long, value_name = "SCHEMA", conflicts_with = "profile")]
    schema: Option<String>,
    /// Instead of a schema: the shipped one of a profile; for views, the set for the population.
    #[arg(long, value_enum, value_name = "PROFILE")]
    profile: Option<ProfileArg>,
    /// Children to attack; what fits the schema unless given.
    #[arg(long, value_name = "N")]
    population: Option<u64>,
    /// An extract to attack instead of generated children; nothing of it is shown or kept.
    #[arg(long, value_name = "FILE", conflicts_with = "population")]
    sample: Option<PathBuf>,
    #[command(flatten)]
    extract: ExtractArgs,
    /// Any text; the same text gives the same figures.
    #[arg(long, default_value = "1", value_name = "TEXT")]
    seed: String,
    /// Small and in seconds, for a test of the attacks themselves rather than for a decision.
    #[arg(long)]
    quick: bool,
    /// Also write a report with plots: one HTML file that needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// A profile as typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ProfileArg {
    /// Salted views.
    Views,
    /// A CLK with keyed diffusion.
    Diffused,
    /// One record-level filter.
    Clk,
    /// One filter per attribute.
    Fields,
}

/// The report with the time it took.
#[derive(Debug, Serialize)]
pub(super) struct Timed {
    #[serde(flatten)]
    pub(super) found: Assessment,
    /// Seconds of each step.
    pub(super) seconds: Vec<(String, f64)>,
}

pub(crate) fn assess(args: &AssessArgs, terminal: Terminal) -> Outcome {
    let schema = chosen(args)?;
    let population = match &args.sample {
        None => Population::Generated(args.population),
        Some(path) => Population::Sample(sample(path, args, terminal)?),
    };
    let pool = rayon::ThreadPoolBuilder::new().build().or_exit(Exit::Internal)?;
    let mut watch = Steps::new(terminal);
    let plan = Plan { schema, population, seed: args.seed.clone(), quick: args.quick };
    let found = run(plan, Exec::Pool(&pool), &Control::new(), &mut watch);
    let found = found.map_err(|error| Failure { exit: exit_of(&error), error: error.into() })?;
    let report = Timed { found, seconds: watch.end() };
    if let Some(path) = &args.html {
        let html = page::render(&report);
        write_atomic(path, |out| out.write_all(html.as_bytes()).or_exit(Exit::Internal))?;
    }
    if terminal.json {
        terminal.report(&report)?;
    } else {
        print(&report, args.html.as_deref(), terminal)?;
    }
    Ok(if report.found.passed { Exit::Done } else { Exit::Findings })
}

fn exit_of(error: &PrivacyError) -> Exit {
    match error {
        PrivacyError::Population { .. } | PrivacyError::Memory { .. } => Exit::Usage,
        PrivacyError::OneAttribute
        | PrivacyError::UnknownBar(_)
        | PrivacyError::Attribute(_)
        | PrivacyError::Schema(_)
        | PrivacyError::Run(_)
        | PrivacyError::Join(_) => Exit::BadInput,
        PrivacyError::Synth(_)
        | PrivacyError::Read(_)
        | PrivacyError::Mapping(_)
        | PrivacyError::Cancelled
        | PrivacyError::Internal(_) => Exit::Internal,
    }
}

fn chosen(args: &AssessArgs) -> Result<Schema, Failure> {
    match (args.profile, args.population) {
        (Some(ProfileArg::Views), Some(children)) => Ok(Schema::views_for(children).or_exit(Exit::Usage)?.1),
        (Some(profile), _) => Schema::builtin_for(profile.into()).or_exit(Exit::BadInput),
        (None, _) => schema(args.schema.as_deref().unwrap_or("uk-child-views")),
    }
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::Views => Self::Views,
            ProfileArg::Diffused => Self::Diffused,
            ProfileArg::Clk => Self::Clk,
            ProfileArg::Fields => Self::Fields,
        }
    }
}

fn sample(
    path: &Path,
    args: &AssessArgs,
    terminal: Terminal,
) -> Result<Vec<crate::agency::record::Person>, Failure> {
    let mut extract = open_extract(path, &args.extract, None, terminal)?;
    let mut persons = Vec::new();
    while let Some(batch) = extract.next_batch().or_exit_with(Exit::BadInput, path.display())? {
        persons.extend(batch.persons);
    }
    Ok(persons)
}

/// A progress bar over the steps, and how long each took.
struct Steps {
    terminal: Terminal,
    bar: Option<ProgressBar>,
    begun: Option<(String, Instant)>,
    seconds: Vec<(String, f64)>,
}

impl Steps {
    fn new(terminal: Terminal) -> Self {
        Self { terminal, bar: None, begun: None, seconds: Vec::new() }
    }

    fn close(&mut self) {
        if let Some((step, from)) = self.begun.take() {
            self.seconds.push((step, from.elapsed().as_secs_f64()));
        }
    }

    fn end(mut self) -> Vec<(String, f64)> {
        self.close();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.seconds
    }
}

impl Watch for Steps {
    fn begin(&mut self, number: usize, of: usize, step: &str) {
        self.close();
        self.begun = Some((step.to_owned(), Instant::now()));
        let terminal = self.terminal;
        let bar = self.bar.get_or_insert_with(|| {
            let bar = terminal.progress("attacking", "steps", of as u64);
            bar.enable_steady_tick(std::time::Duration::from_millis(200));
            bar
        });
        bar.set_message(step.to_owned());
        bar.set_position(number as u64 - 1);
    }
}

/// A figure as people read it.
pub(super) fn figure(finding: &Finding, value: f64) -> String {
    match finding.measure {
        Measure::Share => format!("{:.2} %", 100.0 * value),
        Measure::Auc | Measure::Correlation => format!("{value:.3}"),
    }
}

/// The bar and whether it holds.
pub(super) fn judgement(finding: &Finding) -> String {
    let Some(bar) = finding.bar else { return "shown, not promised".to_owned() };
    let sign = if finding.must_succeed { "at least" } else { "at most" };
    let word = match finding.standing() {
        Standing::NoBar | Standing::Holds => "holds",
        Standing::Undecided => "undecided",
        Standing::Fails => "FAILS",
    };
    format!("{sign} {}: {word}", figure(finding, bar))
}

fn print(report: &Timed, html: Option<&Path>, terminal: Terminal) -> Result<(), Failure> {
    let found = &report.found;
    let rows = found.findings.iter().map(|finding| {
        [
            finding.attack.to_owned(),
            finding.setting.clone(),
            figure(finding, finding.value),
            format!("{} to {}", figure(finding, finding.low), figure(finding, finding.high)),
            figure(finding, finding.baseline),
            judgement(finding),
        ]
    });
    terminal.line(table(["attack", "what it knows", "found", "95 % interval", "by chance", "bar"], rows))?;
    terminal.line(format!(
        "{}: {} children, {} records of {} agencies, {} bytes a record{}",
        found.schema,
        count(found.children),
        count(found.records),
        found.agencies,
        count(found.bytes),
        if found.generated { ", generated" } else { "" }
    ))?;
    if let Some(quality) = found.quality {
        let (p, r, f) = (quality.precision, quality.recall, quality.f1);
        terminal.line(format!("linking them: precision {p:.4}, recall {r:.4}, F1 {f:.4}"))?;
    }
    let seconds: f64 = report.seconds.iter().map(|(_, seconds)| seconds).sum();
    terminal.line(format!("{seconds:.0} s"))?;
    for cap in &found.capped {
        terminal.line(format!("Cut down: {cap}"))?;
    }
    for sentence in &found.verdict {
        terminal.line(sentence)?;
    }
    if let Some(path) = html {
        terminal.line(format!("Report with plots: {}", path.display()))?;
    }
    Ok(())
}
