//! `run`, `links`, `overlap`: asking the centre from a workspace.

use super::exit::{Exit, Failure, OrExit, Outcome};
use super::term::{Terminal, count, table};
use super::workspace::{client, client_failure};
use crate::agency::client::Client;
use crate::agency::workspace::Workspace;
use crate::wire::messages::{ContactPoint, LinkMessage, LinkPage, OverlapTable, RunMessage, RunState};
use crate::wire::{Band, Reason, RecordRef};
use clap::Args;
use serde::Serialize;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// Where to ask from.
#[derive(Debug, Args)]
pub(crate) struct FromArgs {
    /// The workspace.
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
}

impl FromArgs {
    /// The workspace and a client of its centre.
    pub(super) fn opened(&self) -> Result<(Workspace, Client), Failure> {
        let workspace = Workspace::open(&self.workspace).or_exit(Exit::BadInput)?;
        let client = client(&workspace)?;
        Ok((workspace, client))
    }
}

/// Starts a linkage of all current datasets of the project and waits for it.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    from: FromArgs,
    /// Do not wait.
    #[arg(long)]
    no_wait: bool,
}

pub(crate) fn run(args: &RunArgs, terminal: Terminal) -> Outcome {
    let (workspace, client) = args.from.opened()?;
    let project = workspace.config.project.as_str();
    let ended = start_run(&client, project, !args.no_wait, terminal)?;
    if terminal.json {
        terminal.report(&ended)?;
    } else {
        let state = serde_json::to_value(ended.state).unwrap_or_default();
        terminal.line(format!("run {}: {}", ended.id, state.as_str().unwrap_or_default()))?;
    }
    Ok(match ended.state {
        RunState::Finished => Exit::Done,
        RunState::Running if args.no_wait => Exit::Done,
        RunState::Running | RunState::Cancelled | RunState::Interrupted | RunState::Failed => Exit::Findings,
    })
}

/// Starts a run and, if wanted, waits until it ended.
pub(crate) fn start_run(
    client: &Client,
    project: &str,
    wait: bool,
    terminal: Terminal,
) -> Result<RunMessage, Failure> {
    let runs = format!("/v1/projects/{project}/runs");
    let mut run: RunMessage = client.post(&runs, &serde_json::json!({}), None).map_err(client_failure)?;
    let bar = terminal.progress("linking", "steps", 0);
    let mut pause = Duration::from_millis(20);
    while wait && run.state == RunState::Running {
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_secs(2));
        run = client.get(&format!("{runs}/{}", run.id)).map_err(client_failure)?;
        bar.set_length(run.steps_total);
        bar.set_position(run.steps_done);
    }
    bar.finish_and_clear();
    Ok(run)
}

/// Lists the links that touch this agency's own records: own id, other agency, band, whom to call.
#[derive(Debug, Args)]
pub(crate) struct LinksArgs {
    #[command(flatten)]
    from: FromArgs,
    /// Write them as CSV.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A link with the agency's own id in place of its ref.
#[derive(Debug, Serialize)]
struct OwnLink {
    record: String,
    agency: String,
    band: Band,
    reasons: Vec<Reason>,
    reference: String,
    contact: Option<ContactPoint>,
    data_as_of: String,
}

pub(crate) fn links(args: &LinksArgs, terminal: Terminal) -> Outcome {
    let (workspace, client) = args.from.opened()?;
    let ids = workspace.local_ids().or_exit(Exit::BadInput)?;
    let (links, unnamed) = all_links(&client, workspace.config.project.as_str())?;
    if unnamed {
        terminal.note("some links are left out: a broker is to answer for them, and none is named; call the centre's operator");
    }
    let links: Vec<OwnLink> = links.into_iter().map(|link| own(link, &ids)).collect();
    if let Some(path) = &args.out {
        super::files::write_atomic(path, |out| {
            let mut csv = csv::Writer::from_writer(out);
            let head =
                ["record_id", "agency", "band", "reasons", "reference", "team", "telephone", "data_as_of"];
            csv.write_record(head).or_exit(Exit::Internal)?;
            for link in &links {
                csv.write_record(cells(link)).or_exit(Exit::Internal)?;
            }
            csv.flush().or_exit(Exit::Internal)
        })?;
        if terminal.json {
            terminal.report(&serde_json::json!({ "links": links.len(), "file": path }))?;
        } else {
            terminal.line(format!("{} links -> {}", count(links.len() as u64), path.display()))?;
        }
    } else if terminal.json {
        terminal.report(&links)?;
    } else {
        let heading =
            ["own record", "also known to", "band", "reasons", "reference", "team", "telephone", "as of"];
        terminal.line(table(heading, links.iter().map(cells)))?;
    }
    Ok(Exit::Done)
}

/// Every link of the latest finished run that touches the asker's records; whether some are left out because no broker
/// is named.
pub(crate) fn all_links(client: &Client, project: &str) -> Result<(Vec<LinkMessage>, bool), Failure> {
    let (mut links, mut unnamed) = (Vec::new(), false);
    let mut query = "limit=500".to_owned();
    loop {
        let page: LinkPage =
            client.get(&format!("/v1/projects/{project}/links?{query}")).map_err(client_failure)?;
        links.extend(page.links);
        unnamed |= page.unnamed;
        let Some(next) = page.next else { return Ok((links, unnamed)) };
        query = format!("limit=500&run={}&cursor={next}", page.run);
    }
}

fn own(link: LinkMessage, ids: &HashMap<RecordRef, String>) -> OwnLink {
    OwnLink {
        record: ids.get(&link.record).cloned().unwrap_or_else(|| link.record.to_string()),
        agency: link.agency.to_string(),
        band: link.band,
        reasons: link.reasons,
        reference: link.reference.to_string(),
        contact: link.contact,
        data_as_of: link.data_as_of.to_string(),
    }
}

fn cells(link: &OwnLink) -> [String; 8] {
    let contact = link.contact.as_ref();
    let telephone = contact.and_then(|contact| contact.telephone.as_ref()).map(ToString::to_string);
    [
        link.record.clone(),
        link.agency.clone(),
        band(link.band).to_owned(),
        codes(&link.reasons),
        link.reference.clone(),
        contact.map(|contact| contact.team.to_string()).unwrap_or_default(),
        telephone.unwrap_or_default(),
        link.data_as_of.clone(),
    ]
}

fn codes(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.code()).collect::<Vec<_>>().join(" ")
}

pub(super) fn warnings(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.text()).collect::<Vec<_>>().join("; ")
}

pub(super) fn band(band: Band) -> &'static str {
    match band {
        Band::Match => "match",
        Band::Review => "review",
        Band::None => "none",
    }
}

/// Shows how many children each two agencies have in common; small counts are suppressed.
#[derive(Debug, Args)]
pub(crate) struct OverlapArgs {
    #[command(flatten)]
    from: FromArgs,
}

pub(crate) fn overlap(args: &OverlapArgs, terminal: Terminal) -> Outcome {
    let (workspace, client) = args.from.opened()?;
    let path = format!("/v1/projects/{}/overlap", workspace.config.project);
    let found: OverlapTable = client.get(&path).map_err(client_failure)?;
    if terminal.json {
        terminal.report(&found)?;
    } else {
        print_overlap(&found, terminal)?;
    }
    Ok(Exit::Done)
}

/// Prints the overlap as a table: matched children, and pairs that wait for a person.
pub(crate) fn print_overlap(found: &OverlapTable, terminal: Terminal) -> Result<(), Failure> {
    let rows = found.cells.iter().map(|cell| {
        let (a, b) = (cell.agency_a.to_string(), cell.agency_b.to_string());
        let pair = if a == b { format!("{a} (own records)") } else { format!("{a} and {b}") };
        [pair, cell.matched.to_string(), cell.review.to_string()]
    });
    terminal.tell(table(["agencies", "children", "to review"], rows))?;
    let known = (1..).zip(&found.known_to).map(|(k, children): (u64, _)| [count(k), children.to_string()]);
    terminal.tell(table(["known to agencies", "children"], known))?;
    terminal.tell("counts are rounded to 5; c stands for a small one, which is not shown")
}
