//! `rights`: what an agency owes a person, and itself: erase a record, show what is held, leave the project.

use super::ask::FromArgs;
use super::exit::{Exit, Failure, Outcome};
use super::files::write_json;
use super::term::Terminal;
use super::workspace::client_failure;
use crate::agency::key::AgencyKey;
use crate::wire::RecordRef;
use crate::wire::messages::{HeldMessage, RecordRequest};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::path::PathBuf;

/// Has one of your own records erased at the centre, or shows everything held of it. Each act is written into the
/// centre's ledger. What takes your agency out of the project is decided by two people: see `approvals`.
#[derive(Debug, Args)]
pub(crate) struct RightsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Erase a record everywhere, so that it does not come back with a later upload
    Erase(RecordArgs),
    /// Write everything held of a record, for a subject access request
    Held(RecordArgs),
}

#[derive(Debug, Args)]
struct RecordArgs {
    /// Your own id of the record, as it stands in your extract
    record: String,
    /// File to write: the signed receipt, or what is held
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    from: FromArgs,
}

pub(crate) fn rights(args: &RightsArgs, terminal: Terminal) -> Outcome {
    match &args.command {
        Command::Erase(args) => {
            let receipt: Value = ask(args, "erasures")?;
            write_json(&args.out, &receipt)?;
            if terminal.json {
                terminal.report(&receipt)?;
                return Ok(Exit::Done);
            }
            let count = |field: &str| receipt["erasure"][field].as_u64().unwrap_or(0);
            let (encodings, links) = (count("encodings"), count("links"));
            let file = args.out.display();
            terminal.line(format!("erased {encodings} encodings and {links} links; receipt: {file}"))?;
        }
        Command::Held(args) => {
            let held: HeldMessage = ask(args, "held")?;
            write_json(&args.out, &held)?;
            if terminal.json {
                terminal.report(&held)?;
                return Ok(Exit::Done);
            }
            let (encodings, links) = (held.encodings.len(), held.links.len());
            let erased = if held.erased { "; it was erased on request" } else { "" };
            let file = args.out.display();
            terminal.line(format!("{encodings} encodings and {links} links are held{erased}: {file}"))?;
        }
    }
    Ok(Exit::Done)
}

fn ask<T: serde::de::DeserializeOwned>(args: &RecordArgs, resource: &str) -> Result<T, Failure> {
    let (workspace, client) = args.from.opened()?;
    let config = &workspace.config;
    let own = AgencyKey::read(&config.agency_key).map_err(super::keygen::key_failure)?;
    let record: RecordRef = own.refs(&config.agency, &config.project).record_ref(&args.record);
    let path = format!("/v1/projects/{}/{resource}", config.project);
    client.post(&path, &RecordRequest { record }, None).map_err(client_failure)
}
