//! `demo`: the main job end to end on this machine, explaining itself.
//!
//! Several agencies encode with their own keys, a service is started on an empty data directory and a free
//! port, everything goes over HTTP as in life; then the answer is held against the truth and every byte
//! the centre stored is searched for every identifier.

mod centre;
mod children;
mod search;

use super::ask::{all_links, print_overlap, start_run};
use super::encode::encode_extract;
use super::encodings::read_encodings;
use super::evaluate::{print as print_evaluation, read_truth};
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::extract::{self, ExtractArgs, open_extract};
use super::lookup::print_answer;
use super::term::{Terminal, count, table};
use super::workspace::{client_failure, submit_failure};
use crate::agency::encoder::Encoder;
use crate::agency::key::{AgencyKey, LinkageKey};
use crate::agency::submit::{Upload, submit};
use crate::linkage::evaluate::{Evaluation, LinkRow, evaluate};
use crate::wire::messages::{Answer, LookupAnswer, LookupRequest, OverlapTable, RunState};
use crate::wire::{Band, Epoch, LinkReference, RecordRef};
use centre::{Centre, Party};
use children::Source;
use clap::Args;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Instant;

/// Runs the main job end to end on generated children, or on a folder of extracts, and explains itself.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder of extracts, one CSV for each agency; a mapping `NAME.columns.toml` beside a file is used, else one
    /// is proposed; `truth.csv` (agency,record_id,entity_id) is held against the answer. Research data only.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many children to generate.
    #[arg(long, default_value_t = 3_000, value_name = "N", conflicts_with = "data")]
    children: u32,
    /// Any text; the same text makes the same children.
    #[arg(long, default_value = "demo", value_name = "TEXT", conflicts_with = "data")]
    seed: String,
    /// Schema: name of a built-in one, or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "uk-child")]
    schema: String,
    /// Leave the service running until Ctrl-C, to look at its console.
    #[arg(long)]
    keep: bool,
}

/// What `demo` says under `--json`; the story goes to standard error then.
#[derive(Serialize)]
struct Report {
    agencies: Vec<String>,
    overlap: OverlapTable,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<Evaluation>,
    searched: search::Searched,
    seconds: f64,
}

/// One agency of the demo: its connection to the centre and the local id behind each of its refs.
struct Member {
    party: Party,
    ids: HashMap<RecordRef, String>,
}

pub(crate) fn demo(args: &DemoArgs, terminal: Terminal) -> Outcome {
    let started = Instant::now();
    let folder = tempfile::tempdir().or_exit(Exit::Internal)?;
    let source = match &args.data {
        Some(data) => Source::folder(data, folder.path(), terminal)?,
        None => Source::generated(args.children, &args.seed, folder.path(), terminal)?,
    };
    let schema = extract::schema(&args.schema)?;
    terminal.tell(format!(
        "\nThe project's schema is {}, fingerprint {}.",
        schema.title(),
        schema.fingerprint()
    ))?;
    let centre = Centre::start(&folder.path().join("centre"), &schema)?;
    terminal.tell(format!("The centre runs at {} on an empty data directory.", centre.address()))?;
    let linkage = LinkageKey::generate().or_exit(Exit::Internal)?;
    let members = encode_and_submit(&source, &schema, &linkage, &centre, folder.path(), terminal)?;
    drop(linkage);

    let linking = Instant::now();
    let operator = centre.operator();
    let run = start_run(operator, centre::PROJECT, true, terminal)?;
    if run.state != RunState::Finished {
        return Err(Failure::new(Exit::Internal, "the run did not finish; the centre's log says why"));
    }
    terminal.tell(format!("\nLinked every pair of agencies in {:.2} s.", linking.elapsed().as_secs_f64()))?;
    let overlap: OverlapTable =
        operator.get(&format!("/v1/projects/{}/overlap", centre::PROJECT)).map_err(client_failure)?;
    print_overlap(&overlap, terminal)?;
    let links = joined_links(&members)?;
    let evaluation = judge(&source, &links, terminal)?;
    ask_once(&members, &links, terminal)?;
    let stored = centre.stop()?;
    let searched = search::report(&source, stored.data(), terminal)?;
    let seconds = started.elapsed().as_secs_f64();
    terminal.tell(format!("\nAll of it took {seconds:.1} s."))?;
    if terminal.json {
        let agencies = source.agencies.iter().map(|agency| agency.id.to_string()).collect();
        terminal.report(&Report { agencies, overlap, evaluation, searched, seconds })?;
    }
    if args.keep {
        return centre::keep(&stored, terminal);
    }
    terminal.tell("Run it again with --keep to look at the operator's console in a browser.")?;
    Ok(Exit::Done)
}

fn encode_and_submit(
    source: &Source,
    schema: &crate::agency::schema::Schema,
    linkage: &LinkageKey,
    centre: &Centre,
    folder: &std::path::Path,
    terminal: Terminal,
) -> Result<Vec<Member>, Failure> {
    let mut members = Vec::new();
    let mut rows = Vec::new();
    for agency in &source.agencies {
        let own = AgencyKey::generate().or_exit(Exit::Internal)?;
        let encoder = Encoder::new(schema, linkage, &own, &agency.id, centre.project(), Epoch::FIRST);
        let reading = ExtractArgs { columns: Some(agency.columns.clone()), refuse_bad_rows: false };
        let extract = open_extract(&agency.extract, &reading, None, terminal)?;
        let out = folder.join(format!("{}.parquet", agency.id));
        let encoding = Instant::now();
        let mut ids = Vec::new();
        let (_, report) = encode_extract(&encoder, extract, &agency.extract, &out, Some(&mut ids))?;
        let seconds = encoding.elapsed().as_secs_f64();
        let (header, batch) = read_encodings(&out)?;
        let party = centre.join(&agency.id)?;
        let upload = Upload { header, batch: &batch, changes: None };
        submit(&party.client, upload, &mut |_, _| {}).map_err(submit_failure)?;
        rows.push([
            agency.id.to_string(),
            count(report.rows),
            count(report.rejected),
            format!("{seconds:.2} s"),
            report.closing_line(),
        ]);
        members.push(Member { party, ids: ids.into_iter().collect() });
    }
    terminal.tell("\nEach agency checked and encoded its own file with keys of its own, then submitted:")?;
    terminal.tell(table(["agency", "rows", "left out", "encoded in", "check"], rows))?;
    Ok(members)
}

/// Every link once, put together from what each agency may see: both sides hold the same reference.
fn joined_links(members: &[Member]) -> Result<Vec<LinkRow>, Failure> {
    let mut by_reference: BTreeMap<LinkReference, Vec<(String, String, Band)>> = BTreeMap::new();
    for member in members {
        for link in all_links(&member.party.client, centre::PROJECT)?.0 {
            let id = member.ids.get(&link.record).cloned().unwrap_or_default();
            by_reference.entry(link.reference).or_default().push((
                member.party.agency.to_string(),
                id,
                link.band,
            ));
        }
    }
    let mut links = Vec::with_capacity(by_reference.len());
    for (reference, sides) in by_reference {
        let [(agency_a, record_a, band), (agency_b, record_b, _)] = &sides[..] else {
            return Err(Failure::new(
                Exit::Internal,
                format!("{reference} is not held by exactly two agencies"),
            ));
        };
        links.push(LinkRow {
            agency_a: agency_a.clone(),
            record_a: record_a.clone(),
            agency_b: agency_b.clone(),
            record_b: record_b.clone(),
            band: *band,
            score: None,
        });
    }
    Ok(links)
}

fn judge(source: &Source, links: &[LinkRow], terminal: Terminal) -> Result<Option<Evaluation>, Failure> {
    let Some(truth) = &source.truth else {
        terminal.tell("\nThere is no truth.csv, so the links cannot be judged.")?;
        return Ok(None);
    };
    let found = evaluate(links, &read_truth(truth)?).or_exit(Exit::BadInput)?;
    terminal.tell("\nHeld against the truth (all pairs of records of one child in two agencies):")?;
    print_evaluation(&found, terminal)?;
    Ok(Some(found))
}

/// One look-up as a practitioner makes it: about an own record that has a match.
fn ask_once(members: &[Member], links: &[LinkRow], terminal: Terminal) -> Result<(), Failure> {
    let Some(link) = links.iter().find(|link| link.band == Band::Match) else { return Ok(()) };
    let Some(member) = members.iter().find(|member| member.party.agency.as_str() == link.agency_a) else {
        return Ok(());
    };
    let Some((record, _)) = member.ids.iter().find(|(_, id)| **id == link.record_a) else { return Ok(()) };
    let purpose = centre::purpose()?;
    let request = LookupRequest {
        record: *record,
        purpose: Some(purpose),
        case: None,
        lawful_basis: None,
        detriment_considered: None,
    };
    let path = format!("/v1/projects/{}/lookups", centre::PROJECT);
    let answer: LookupAnswer = member.party.client.post(&path, &request, None).map_err(client_failure)?;
    terminal.tell(format!("\nSomebody at {} asks about a record of their own:", link.agency_a))?;
    print_answer(&answer, terminal)?;
    if answer.answer == Answer::Yes {
        Ok(())
    } else {
        Err(Failure::new(Exit::Internal, "the look-up does not agree with the links"))
    }
}
