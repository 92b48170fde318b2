//! `ledger fetch`, `ledger asked`, `ledger witness`: what a workspace does with the centre's ledger.

use super::ask::FromArgs;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::files::{read_text, write_atomic, write_json};
use super::keygen::key_failure;
use super::term::{Terminal, table};
use super::workspace::client_failure;
use crate::agency::client::Client;
use crate::agency::keyfile::{read_private, write_private_new};
use crate::ledger::{Consistency, Hex, LogKey, LogName, LogSigner, PublishedCheckpoint, Witness};
use crate::wire::messages::{AskedItem, AskedPage};
use crate::wire::{ProjectId, limits};
use clap::Args;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Fetches the export.
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    from: FromArgs,
    /// Where to write the export
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn fetch(args: &FetchArgs, terminal: Terminal) -> Outcome {
    let (workspace, client) = args.from.opened()?;
    let project = &workspace.config.project;
    let bytes = client.get_bytes(&format!("/v1/projects/{project}/ledger/export")).map_err(client_failure)?;
    write_atomic(&args.out, |out| out.write_all(&bytes).or_exit(Exit::Internal))?;
    let published = published(&client, project)?;
    let name = &published.checkpoint.checkpoint.log;
    if terminal.json {
        let (bytes, key) = (bytes.len(), &published.key);
        terminal.report(&json!({"log": name, "bytes": bytes, "export": args.out, "key_unchecked": key}))?;
    } else {
        terminal.line(format!("{} bytes of {name} -> {}", bytes.len(), args.out.display()))?;
        terminal.line(format!(
            "the centre says its key is {}: compare it with the one you kept",
            published.key
        ))?;
    }
    Ok(Exit::Done)
}

fn published(client: &Client, project: &ProjectId) -> Result<PublishedCheckpoint, Failure> {
    client.get(&format!("/v1/projects/{project}/ledger/checkpoint")).map_err(client_failure)
}

/// Lists who asked.
#[derive(Debug, Args)]
pub(crate) struct AskedArgs {
    #[command(flatten)]
    from: FromArgs,
}

pub(super) fn asked(args: &AskedArgs, terminal: Terminal) -> Outcome {
    let (workspace, client) = args.from.opened()?;
    let ids = workspace.local_ids().or_exit(Exit::BadInput)?;
    let mut items: Vec<AskedItem> = Vec::new();
    let mut query = "limit=500".to_owned();
    loop {
        let path = format!("/v1/projects/{}/asked?{query}", workspace.config.project);
        let page: AskedPage = client.get(&path).map_err(client_failure)?;
        items.extend(page.asked);
        let Some(next) = page.next else { break };
        query = format!("limit=500&cursor={next}");
    }
    let own = |item: &AskedItem| ids.get(&item.record).cloned().unwrap_or_else(|| item.record.to_string());
    if terminal.json {
        let lines = items.iter().map(|item| {
            json!({"entry": item.entry, "at": item.at, "record": own(item), "agency": item.agency,
                "purpose": item.purpose, "band": item.band})
        });
        terminal.report(&lines.collect::<Vec<_>>())?;
    } else {
        let rows = items.iter().map(|item| {
            let agency = item.agency.as_ref().map_or("an agency of the project", |agency| agency.as_str());
            let (entry, at) = (item.entry.to_string(), item.at.to_string());
            [at, own(item), agency.to_owned(), item.purpose.to_string(), entry]
        });
        terminal.line(table(["when", "own record", "asked by", "purpose", "ledger entry"], rows))?;
    }
    Ok(Exit::Done)
}

/// Watches and co-signs.
#[derive(Debug, Args)]
pub(crate) struct WitnessArgs {
    #[command(flatten)]
    from: FromArgs,
    /// Where the witness remembers the last checkpoint it signed; made at the first time
    #[arg(long, value_name = "FILE", default_value = "witness.json")]
    state: PathBuf,
    /// Where its signing key is; made at the first time
    #[arg(long, value_name = "FILE", default_value = "witness.key")]
    signing_key: PathBuf,
    /// The ledger's public key, 64 hexadecimal digits; needed the first time
    #[arg(long, value_name = "HEX")]
    key: Option<LogKey>,
}

pub(super) fn witness(args: &WitnessArgs, terminal: Terminal) -> Outcome {
    let (workspace, client) = args.from.opened()?;
    let (project, agency) = (&workspace.config.project, &workspace.config.agency);
    let log: LogName = format!("centre/{project}").parse().or_exit(Exit::Internal)?;
    let mut witness = match args.state.exists() {
        true => remembered(&args.state)?,
        false => {
            let message =
                "the first time, say --key with the ledger's public key, as the operator told it you";
            let key = args.key.ok_or_else(|| Failure::new(Exit::Usage, message))?;
            Witness { name: agency.clone(), log: log.clone(), key, seen: None }
        }
    };
    if witness.log != log || witness.name != *agency {
        let message = "the witness's memory is of another agency or ledger: name another --state";
        return Err(Failure::new(Exit::BadInput, message));
    }
    let signer = signing_key(&args.signing_key)?;
    let published = published(&client, project)?;
    let (seen, offered) =
        (witness.seen.as_ref().map_or(0, |seen| seen.size), published.checkpoint.checkpoint.size);
    let path = format!("/v1/projects/{project}/ledger/consistency?old={}&new={offered}", seen.min(offered));
    let proof: Consistency = client.get(&path).map_err(client_failure)?;
    let signed = witness.cosign(&published.checkpoint, &proof, &signer, now_ms());
    let signed = signed.map_err(|error| Failure { exit: Exit::Findings, error: error.into() })?;
    // Remembered before it is handed out: a witness never signs two histories.
    write_json(&args.state, &witness)?;
    let path = format!("/v1/projects/{project}/ledger/checkpoint/{offered}/cosignatures");
    client.post::<PublishedCheckpoint>(&path, &signed, None).map_err(client_failure)?;
    let public = signer.public();
    if terminal.json {
        terminal.report(
            &json!({"log": log, "entries": offered, "before": seen, "witness": agency, "key": public}),
        )?;
    } else {
        terminal
            .line(format!("{log} grew from {seen} to {offered} entries; co-signed as {agency}={public}"))?;
    }
    Ok(Exit::Done)
}

fn remembered(path: &Path) -> Result<Witness, Failure> {
    let text = read_text(path, limits::CONFIG_BYTES_MAX)?;
    serde_json::from_str(&text)
        .or_exit_with(Exit::BadInput, format!("{} is no witness's memory", path.display()))
}

fn signing_key(path: &Path) -> Result<LogSigner, Failure> {
    if !path.exists() {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).or_exit(Exit::Internal)?;
        write_private_new(path, &Zeroizing::new(Hex(*seed).to_string())).map_err(key_failure)?;
    }
    let text = read_private(path).map_err(key_failure)?;
    let seed: Hex<32> = text.trim().parse().or_exit_with(Exit::BadInput, path.display())?;
    Ok(LogSigner::from_seed(&Zeroizing::new(seed.0)))
}

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
}
