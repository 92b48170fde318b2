//! `blindlink ledger`: verify and prove exports offline; fetch them, watch and co-sign from a workspace.

use super::exit::{Exit, Failure, OrExit, Outcome};
use super::files::{read_text, write_json};
use super::term::{Terminal, count};
use crate::ledger::{
    EntryProof, ExportError, ExportVerifier, LINE_BYTES_MAX, LogKey, LogName, SignedCheckpoint, Trusted,
    Verified,
};
use crate::wire::{AgencyId, limits};
use serde_json::json;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Bytes of the longest export that `prove` takes: it keeps the whole tree in memory.
const PROVE_BYTES_MAX: u64 = 1 << 30;

/// Verifies the centre's ledger without trusting the centre; proves single entries; watches it as a witness.
#[derive(Debug, clap::Args)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Verify an export: every byte, the order, the signatures, and the checkpoints kept from earlier
    Verify(VerifyArgs),
    /// Verify an export and write the proof of one of its entries
    Prove(ProveArgs),
    /// Verify the proof of one entry
    VerifyEntry(VerifyEntryArgs),
    /// Fetch the export and the checkpoint of the workspace's project
    #[cfg(feature = "agency")]
    Fetch(super::watch::FetchArgs),
    /// List who asked about your agency's records
    #[cfg(feature = "agency")]
    Asked(super::watch::AskedArgs),
    /// Watch the project's ledger grow and co-sign its checkpoint; to be run nightly
    #[cfg(feature = "agency")]
    Witness(super::watch::WitnessArgs),
}

/// Whom to believe.
#[derive(Debug, clap::Args)]
struct TrustArgs {
    /// The ledger's name: centre/PROJECT
    #[arg(long, value_name = "NAME")]
    log: LogName,
    /// The ledger's public key, 64 hexadecimal digits, as you wrote it down when you joined
    #[arg(long, value_name = "HEX")]
    key: LogKey,
    /// A checkpoint kept from earlier: the ledger must continue it; repeat for more
    #[arg(long, value_name = "FILE")]
    older: Vec<PathBuf>,
    /// A witness that must have co-signed, with its public key; repeat for more
    #[arg(long, value_name = "AGENCY=HEX")]
    witness: Vec<WitnessKey>,
}

#[derive(Debug, Clone)]
struct WitnessKey(AgencyId, LogKey);

impl FromStr for WitnessKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (agency, key) = text.split_once('=').ok_or("write AGENCY=HEX")?;
        let agency = agency.parse().map_err(|error: crate::wire::IdError| error.to_string())?;
        Ok(Self(agency, key.parse().map_err(|error: crate::ledger::KeyError| error.to_string())?))
    }
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The export
    export: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// Keep the checkpoint it ends in, to be given as --older next time
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ProveArgs {
    /// The export
    export: PathBuf,
    /// Number of the entry, counted from 0
    #[arg(long, value_name = "N")]
    entry: u64,
    #[command(flatten)]
    trust: TrustArgs,
    /// Where to write the proof
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
struct VerifyEntryArgs {
    /// The proof
    proof: PathBuf,
    /// The ledger's name: centre/PROJECT
    #[arg(long, value_name = "NAME")]
    log: LogName,
    /// The ledger's public key, 64 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    key: LogKey,
}

pub(crate) fn ledger(args: &LedgerArgs, terminal: Terminal) -> Outcome {
    match &args.command {
        Command::Verify(args) => verify(args, terminal),
        Command::Prove(args) => prove(args, terminal),
        Command::VerifyEntry(args) => verify_entry(args, terminal),
        #[cfg(feature = "agency")]
        Command::Fetch(args) => super::watch::fetch(args, terminal),
        #[cfg(feature = "agency")]
        Command::Asked(args) => super::watch::asked(args, terminal),
        #[cfg(feature = "agency")]
        Command::Witness(args) => super::watch::witness(args, terminal),
    }
}

/// The trusted parts, read from their files.
struct Trust {
    older: Vec<SignedCheckpoint>,
    witnesses: Vec<(AgencyId, LogKey)>,
}

impl Trust {
    fn read(args: &TrustArgs) -> Result<Self, Failure> {
        let older = args.older.iter().map(|path| checkpoint(path));
        let witnesses = args.witness.iter().map(|WitnessKey(agency, key)| (agency.clone(), *key));
        Ok(Self { older: older.collect::<Result<_, _>>()?, witnesses: witnesses.collect() })
    }
    fn trusted<'a>(&'a self, args: &'a TrustArgs) -> Trusted<'a> {
        Trusted { log: &args.log, key: args.key, older: &self.older, witnesses: &self.witnesses }
    }
}

/// A checkpoint as `verify --keep` or `fetch` wrote it.
pub(super) fn checkpoint(path: &Path) -> Result<SignedCheckpoint, Failure> {
    let text = read_text(path, limits::CONFIG_BYTES_MAX)?;
    serde_json::from_str(&text).or_exit_with(Exit::BadInput, format!("{} is no checkpoint", path.display()))
}

/// What an export that does not verify ends with: a finding, not a fault of this program.
fn found(path: &Path, error: ExportError) -> Failure {
    let error = anyhow::Error::from(error).context(format!("{} does not verify", path.display()));
    Failure { exit: Exit::Findings, error }
}

fn verify(args: &VerifyArgs, terminal: Terminal) -> Outcome {
    let trust = Trust::read(&args.trust)?;
    let verified = verify_file(&args.export, trust.trusted(&args.trust))?;
    if let Some(path) = &args.keep {
        write_json(path, &verified.checkpoint)?;
    }
    let signed = &verified.checkpoint.checkpoint;
    if terminal.json {
        terminal.report(&json!({
            "log": signed.log, "entries": signed.size, "shown": verified.shown, "hidden": verified.hidden,
            "root": signed.root, "older": trust.older.len(), "witnesses": trust.witnesses.len(),
        }))?;
    } else {
        terminal.line(format!(
            "verified: {} entries of {}, {} shown, {} as hashes; it continues {} older checkpoints, {} witnesses signed",
            count(signed.size),
            signed.log,
            count(verified.shown),
            count(verified.hidden),
            trust.older.len(),
            trust.witnesses.len()
        ))?;
    }
    Ok(Exit::Done)
}

/// Line by line: an export of any length is verified in constant memory.
fn verify_file(path: &Path, trusted: Trusted<'_>) -> Result<Verified, Failure> {
    let doing = || format!("reading {}", path.display());
    let file = std::fs::File::open(path).or_exit_with(Exit::BadInput, doing())?;
    let mut reader = BufReader::new(file);
    let mut verifier = ExportVerifier::new(trusted).map_err(|error| found(path, error))?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = Read::take(&mut reader, LINE_BYTES_MAX as u64 + 2);
        if limited.read_until(b'\n', &mut line).or_exit_with(Exit::BadInput, doing())? == 0 {
            return verifier.finish().map_err(|error| found(path, error));
        }
        verifier.push(&line).map_err(|error| found(path, error))?;
    }
}

fn prove(args: &ProveArgs, terminal: Terminal) -> Outcome {
    let trust = Trust::read(&args.trust)?;
    let text = read_text(&args.export, PROVE_BYTES_MAX)?;
    let proof = crate::ledger::prove(text.as_bytes(), args.entry, trust.trusted(&args.trust));
    let proof = proof.map_err(|error| found(&args.export, error))?;
    write_json(&args.out, &proof)?;
    if terminal.json {
        terminal.report(&json!({"entry": args.entry, "proof": args.out}))?;
    } else {
        terminal.line(format!("entry {} is proved in {}", args.entry, args.out.display()))?;
    }
    Ok(Exit::Done)
}

fn verify_entry(args: &VerifyEntryArgs, terminal: Terminal) -> Outcome {
    let text = read_text(&args.proof, limits::CONFIG_BYTES_MAX)?;
    let proof: EntryProof = serde_json::from_str(&text)
        .or_exit_with(Exit::BadInput, format!("{} is no proof of an entry", args.proof.display()))?;
    let entry = proof.verify(&args.log, &args.key).map_err(|error| found(&args.proof, error))?;
    if terminal.json {
        terminal.report(entry)?;
    } else {
        let agency = entry.agency.as_ref().map_or("the centre", AgencyId::as_str);
        let act = &entry.act;
        terminal.line(format!(
            "verified: entry {} of {}: {} of {agency}, {}, {}",
            proof.inclusion.index,
            args.log,
            entry.who.as_str(),
            act.action.as_str(),
            act.result.as_str()
        ))?;
    }
    Ok(Exit::Done)
}
