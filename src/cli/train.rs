//! `train`: weights and band limits of a schema, learnt on generated children.

use super::encode::encode_extract;
use super::evaluate::{ratio, read_truth};
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::extract::{self, ExtractArgs, open_extract};
use super::files::write_atomic;
use super::generate::write_children;
use super::link::{Sides, kernel, run_with_progress};
use super::term::{Terminal, count, table};
use crate::agency::encoder::Encoder;
use crate::agency::key::{AgencyKey, LinkageKey};
use crate::agency::schema::Schema;
use crate::linkage::evaluate::{Evaluation, TruthRow, evaluate};
use crate::linkage::exec::{Control, Exec};
use crate::linkage::groups::RecordAt;
use crate::linkage::patterns::Patterns;
use crate::linkage::run::{Among, LinkOptions, link};
use crate::linkage::train::train as learn;
use crate::synth::{Config, Size};
use crate::wire::{AgencyId, DecisionModel, Epoch, EvidenceForm, EvidenceModel, ProjectId, Similarity};
use clap::Args;
use serde::Serialize;
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

/// A review limit below any score that evidence can reach by itself.
const REVIEW_EVERYTHING: i32 = -1_500;

/// Learns the weights and band limits of a schema on generated children and judges them on other children.
/// The same arguments give the same schema; no real record is read.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Schema whose decision weighs evidence: name of a built-in one, or a file. Its cut points and guards stay.
    #[arg(long, value_name = "NAME|FILE", default_value = "uk-child-views")]
    schema: String,
    /// How many children to learn from, 2000 to 500000; as many others judge what was learnt.
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u32).range(2_000..=500_000))]
    children: u32,
    /// Any text; the same text makes the same children.
    #[arg(long, default_value = "train", value_name = "TEXT")]
    seed: String,
    /// Errors in the records, in percent of the usual rates; several, as many children are learnt from at each.
    #[arg(long, value_delimiter = ',', default_value = "100,600", value_name = "PERCENT")]
    noise: Vec<u32>,
    /// Share of one-to-one pairs at or above the match limit that must be one child.
    #[arg(long, default_value = "0.995", value_name = "SHARE")]
    precision: Similarity,
    /// File to write the schema to; without it the schema is printed.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What was learnt.
#[derive(Debug, Serialize)]
struct Trained {
    schema: String,
    fingerprint: String,
    pairs_same: u64,
    pairs_different: u64,
    before: Evaluation,
    after: Evaluation,
    /// The schema itself, where no file was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    toml: Option<String>,
}

pub(crate) fn train(args: &TrainArgs, terminal: Terminal) -> Outcome {
    let schema = extract::schema(&args.schema)?;
    let model = evidence_model(&schema)?;
    terminal.note(format!("generating and encoding {} children to learn from", count(args.children)));
    let generate = |seed: &str| -> Result<Vec<Sample>, Failure> {
        args.noise.iter().map(|noise| Sample::generate(&schema, args, (seed, *noise), terminal)).collect()
    };
    let samples = generate(&args.seed)?;
    let (learnt, patterns) = learn_twice(&model, &samples, args.precision.millionths())?;
    let (pairs_same, pairs_different) = patterns
        .iter()
        .fold((0, 0), |(same, different), (_, tally)| (same + tally.same, different + tally.different));
    let mut form = schema.form().clone();
    form.decision = DecisionModel::Evidence(learnt.clone());
    let trained = Schema::from_form(form).or_exit(Exit::Internal)?;
    terminal.note(format!("judging on {} other children", count(args.children)));
    drop(samples);
    let others = Sample::generate(&schema, args, (&format!("{}, held out", args.seed), 100), terminal)?;
    let before = others.judge(schema.decision(), terminal)?;
    let after = others.judge(trained.decision(), terminal)?;
    let toml = format!("{}{}", head(args), trained.to_toml().or_exit(Exit::Internal)?);
    if let Some(out) = &args.out {
        write_atomic(out, |file| file.write_all(toml.as_bytes()).or_exit(Exit::Internal))?;
    }
    let report = Trained {
        schema: trained.title(),
        fingerprint: trained.fingerprint().to_string(),
        pairs_same,
        pairs_different,
        before,
        after,
        toml: args.out.is_none().then_some(toml),
    };
    if terminal.json {
        terminal.report(&report)?;
    } else {
        print(args, &report, (&model, &learnt), terminal)?;
    }
    Ok(Exit::Done)
}

/// Learns from all candidate pairs, then again from the pairs that stand one-to-one under what was learnt: among
/// those the few that are two children are the ones a decision can still get wrong.
fn learn_twice(
    model: &EvidenceModel,
    samples: &[Sample],
    precision: u32,
) -> Result<(EvidenceModel, Patterns), Failure> {
    let shipped = DecisionModel::Evidence(model.clone());
    let mut all = Patterns::default();
    for sample in samples {
        all.merge(&sample.patterns(&shipped)?);
    }
    let mut form = EvidenceForm::from(learn(model, &all, precision).or_exit(Exit::BadInput)?);
    form.review_at = REVIEW_EVERYTHING;
    let first = DecisionModel::Evidence(form.try_into().or_exit(Exit::Internal)?);
    let mut chosen = Patterns::default();
    for sample in samples {
        chosen.merge(&sample.chosen(&first)?);
    }
    let learnt = learn(model, &chosen, precision).or_exit(Exit::BadInput)?;
    Ok((learnt, chosen))
}

fn evidence_model(schema: &Schema) -> Result<EvidenceModel, Failure> {
    match schema.decision() {
        DecisionModel::Evidence(model) => Ok(model.clone()),
        DecisionModel::Dice(_) => {
            let message = format!(
                "{} decides by the Dice of one filter: it has no weights to learn; take a schema of profile \
                 views or fields",
                schema.title()
            );
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// How the file came to be, so that it can be made again.
fn head(args: &TrainArgs) -> String {
    let seed = toml::Value::String(args.seed.clone()).to_string();
    format!(
        "# Weights learnt on generated children by: blindlink train --schema {} --children {} --seed {seed} \
         --noise {} --precision {}\n",
        args.schema,
        args.children,
        args.noise.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        args.precision
    )
}

/// Generated children of several agencies, encoded, with the child behind each record.
struct Sample {
    sides: Sides,
    truth: Vec<TruthRow>,
    /// For each dataset, for each record, the number of its child.
    children: Vec<Vec<Option<u32>>>,
    pool: rayon::ThreadPool,
}

impl Sample {
    fn generate(
        schema: &Schema,
        args: &TrainArgs,
        (seed, noise): (&str, u32),
        terminal: Terminal,
    ) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().or_exit(Exit::Internal)?;
        let mut config = Config::new(seed, Size::Children(args.children));
        config.noise_percent = noise;
        let extracts = folder.path().join("extracts");
        let generated = write_children(config, &extracts, terminal)?;
        // Keys of made-up data need no secrecy, and must come back equal.
        let key = |word: &str| blake3::derive_key("blindlink 1 key of generated children", word.as_bytes());
        let linkage = LinkageKey::from_bytes(&key(&format!("linkage {seed}"))).or_exit(Exit::Internal)?;
        let own = AgencyKey::from_bytes(&key(&format!("agency {seed}"))).or_exit(Exit::Internal)?;
        let project: ProjectId = "train".parse().or_exit(Exit::Internal)?;
        let mut files = Vec::new();
        for (name, _) in &generated.agencies {
            let agency: AgencyId = name.parse().or_exit(Exit::Internal)?;
            let encoder = Encoder::new(schema, &linkage, &own, &agency, &project, Epoch::FIRST);
            let from = extracts.join(format!("{name}.csv"));
            let reading = ExtractArgs { columns: None, refuse_bad_rows: false };
            let extract = open_extract(&from, &reading, None, terminal)?;
            let out = folder.path().join(format!("{name}.parquet"));
            encode_extract(&encoder.with_plain_ids(true), extract, &from, &out, None)?;
            files.push(out);
        }
        let sides = Sides::read(&files, None)?;
        let truth = read_truth(&extracts.join("truth.csv"))?;
        let children = children_of(&sides, &truth);
        let pool = rayon::ThreadPoolBuilder::new().build().or_exit(Exit::Internal)?;
        Ok(Self { sides, truth, children, pool })
    }

    /// Whether two records are one child; none where the truth does not name one of them.
    fn same(&self, a: RecordAt, b: RecordAt) -> Option<bool> {
        let child = |at: RecordAt| self.children[usize::from(at.agency)][at.record as usize];
        Some(child(a)? == child(b)?)
    }

    /// Patterns of the candidate pairs, each labelled by the truth.
    fn patterns(&self, decision: &DecisionModel) -> Result<Patterns, Failure> {
        let (exec, control) = (Exec::Pool(&self.pool), Control::new());
        let label = |a: RecordAt, b: RecordAt| self.same(a, b);
        Patterns::collect((&self.sides.datasets, Among::All), decision, &options()?, exec, &control, &label)
            .or_exit(Exit::BadInput)
    }

    /// Patterns of the pairs that stand one-to-one.
    fn chosen(&self, decision: &DecisionModel) -> Result<Patterns, Failure> {
        let (exec, control) = (Exec::Pool(&self.pool), Control::new());
        let options = LinkOptions { thirds: false, ..options()? };
        let run = link(&self.sides.datasets, decision, &options, exec, &control).or_exit(Exit::BadInput)?;
        let label = |a: RecordAt, b: RecordAt| self.same(a, b);
        Patterns::of_links(&self.sides.datasets, decision, &run.links, &label).or_exit(Exit::BadInput)
    }

    fn judge(&self, decision: &DecisionModel, terminal: Terminal) -> Result<Evaluation, Failure> {
        let run = run_with_progress(&self.sides.datasets, decision, options()?, None, terminal)?;
        evaluate(&self.sides.rows(&run), &self.truth).or_exit(Exit::Internal)
    }
}

fn options() -> Result<LinkOptions, Failure> {
    let mut options = LinkOptions::default();
    options.join.level = kernel()?;
    Ok(options)
}

fn children_of(sides: &Sides, truth: &[TruthRow]) -> Vec<Vec<Option<u32>>> {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut child: HashMap<(&str, &str), u32> = HashMap::new();
    for row in truth {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        let number = *numbers.entry(&row.entity_id).or_insert(next);
        child.insert((&row.agency, &row.record_id), number);
    }
    let datasets = (0u16..).zip(&sides.datasets);
    let children = datasets.map(|(agency, dataset)| {
        let name = dataset.agency.as_str();
        let records = (0u32..).take(dataset.len());
        records.map(|record| child.get(&(name, sides.id(agency, record).as_str())).copied()).collect()
    });
    children.collect()
}

fn print(
    args: &TrainArgs,
    report: &Trained,
    (model, learnt): (&EvidenceModel, &EvidenceModel),
    terminal: Terminal,
) -> Result<(), Failure> {
    if let Some(toml) = &report.toml {
        terminal.line(toml)?;
        terminal.note(format!("{}, fingerprint {}", report.schema, report.fingerprint));
        return Ok(());
    }
    let written = |weights: &[i32]| weights.iter().map(i32::to_string).collect::<Vec<_>>().join(" ");
    let rows =
        model.attributes.iter().zip(&learnt.attributes).map(|(before, after)| {
            [before.name.to_string(), written(&before.weights), written(&after.weights)]
        });
    terminal.line(table(["weights, hundredths of a bit", "before", "after"], rows))?;
    let limits =
        [("match_at", model.match_at, learnt.match_at), ("review_at", model.review_at, learnt.review_at)];
    let rows = limits.map(|(name, before, after)| [name.to_owned(), before.to_string(), after.to_string()]);
    terminal.line(table(["limit", "before", "after"], rows))?;
    let rows = [("before", &report.before), ("after", &report.after)].map(|(name, found)| {
        let (matched, all) = (&found.matched, &found.all);
        [
            name.to_owned(),
            ratio(matched.precision()),
            ratio(matched.recall()),
            ratio(all.precision()),
            ratio(all.recall()),
            ratio(all.f1()),
        ]
    });
    let heading =
        ["on other children", "match precision", "match recall", "all precision", "all recall", "all F1"];
    terminal.line(table(heading, rows))?;
    let pairs = [report.pairs_same, report.pairs_different].map(count);
    let out = args.out.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
    terminal.line(format!(
        "learnt from {} candidate pairs of one child and {} of two; {}, fingerprint {} -> {out}",
        pairs[0], pairs[1], report.schema, report.fingerprint
    ))
}
