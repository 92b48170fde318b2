//! `key`: the ceremony by which the linkage key reaches another agency, and the words to compare one.

use super::exit::{Exit, Failure, OrExit, Outcome};
use super::files::read_text;
use super::keygen::key_failure;
use super::term::Terminal;
use crate::agency::ceremony::{
    CEREMONY_BYTES_MAX, CeremonyError, Identity, People, Request, SpokenError, SpokenWords, invite, join,
    key_words,
};
use crate::agency::key::LinkageKey;
use crate::agency::keyfile::{read_private, write_private_new};
use crate::wire::messages::Line;
use crate::wire::{AgencyId, Epoch, ProjectId, UtcTime};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Takes the linkage key from one agency to another, encrypted, with two people at each end and words
/// that are read out; never by the centre.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// 1, at the agency that joins: make a request to be sent to one that holds the key
    Request(RequestArgs),
    /// 2, at the agency that holds the key: encrypt it to a request whose words were heard
    Invite(InviteArgs),
    /// 3, at the agency that joins: take the key from the exchange file whose words were heard
    Join(JoinArgs),
    /// Show the words of a key or request, to be compared by telephone
    Fingerprint(FingerprintArgs),
}

/// Who takes part.
#[derive(Debug, Args)]
struct PeopleArgs {
    /// Who works this machine
    #[arg(long, value_name = "NAME")]
    person: Line,
    /// Who speaks on the telephone and watches; another person
    #[arg(long, value_name = "NAME")]
    witness: Line,
}

#[derive(Debug, Args)]
struct RequestArgs {
    /// This agency
    #[arg(long)]
    agency: AgencyId,
    /// The project
    #[arg(long)]
    project: ProjectId,
    /// The life of the linkage key
    #[arg(long, default_value_t = Epoch::FIRST)]
    epoch: Epoch,
    #[command(flatten)]
    people: PeopleArgs,
    /// Request to write; it may be sent by mail
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Its secret half to write, mode 0600; it never leaves this machine
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
}

#[derive(Debug, Args)]
struct InviteArgs {
    /// The request that was sent
    request: PathBuf,
    /// This agency
    #[arg(long)]
    agency: AgencyId,
    /// The linkage key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The eight words, as the other agency read them out
    #[arg(long, value_name = "WORDS")]
    heard: String,
    #[command(flatten)]
    people: PeopleArgs,
    /// Exchange file to write; it may be sent by mail
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct JoinArgs {
    /// The exchange file that came
    exchange: PathBuf,
    /// The request it answers
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The request's secret half; destroyed when the key has come
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The eight words, as the other agency read them out
    #[arg(long, value_name = "WORDS")]
    heard: String,
    #[command(flatten)]
    people: PeopleArgs,
    /// Linkage key to write, mode 0600
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct FingerprintArgs {
    /// A request
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    request: Option<PathBuf>,
    /// A linkage key
    #[arg(long, value_name = "FILE", requires = "project", required_unless_present = "request")]
    key: Option<PathBuf>,
    /// The project, for a key
    #[arg(long)]
    project: Option<ProjectId>,
    /// The life of the key
    #[arg(long, default_value_t = Epoch::FIRST)]
    epoch: Epoch,
}

pub(crate) fn key(args: &KeyArgs, terminal: Terminal) -> Outcome {
    match &args.command {
        Command::Request(args) => request(args, terminal),
        Command::Invite(args) => send(args, terminal),
        Command::Join(args) => take(args, terminal),
        Command::Fingerprint(args) => fingerprint(args, terminal),
    }
}

fn request(args: &RequestArgs, terminal: Terminal) -> Outcome {
    let people = people(&args.people)?;
    let (request, identity) =
        Request::new(args.agency.clone(), args.project.clone(), args.epoch, people, now()?);
    let text = request.to_text().map_err(ceremony_failure)?;
    let (file, secret) = (args.out.display(), args.identity.display());
    write_private_new(&args.identity, &identity.to_text()).map_err(key_failure)?;
    write_private_new(&args.out, &text).map_err(key_failure)?;
    if terminal.json {
        return done(terminal, &json!({"request": args.out, "words": request.words().to_string()}));
    }
    terminal.line(format!("request   {file}: send it to an agency that holds the linkage key"))?;
    terminal.line(format!("secret    {secret}: it stays here, and opens the answer"))?;
    terminal.line(format!("read out  {}", request.words()))?;
    terminal.line("          by telephone, on a number you know already")?;
    Ok(Exit::Done)
}

fn send(args: &InviteArgs, terminal: Terminal) -> Outcome {
    let people = people(&args.people)?;
    let heard = heard(&args.heard)?;
    let request = read_request(&args.request)?;
    let key = LinkageKey::read(&args.key).map_err(key_failure)?;
    let made = invite(&key, &args.agency, &request, &heard, &people, now()?);
    let (exchange, words) = made.map_err(ceremony_failure)?;
    write_private_new(&args.out, &exchange).map_err(key_failure)?;
    if terminal.json {
        let (to, file) = (&request.agency, &args.out);
        return done(terminal, &json!({"exchange": file, "agency": to, "words": words.to_string()}));
    }
    terminal.line(format!("exchange  {}: send it to {}", args.out.display(), request.agency))?;
    terminal.line(format!("made by   {} and {}", people.person, people.witness))?;
    terminal.line(format!("read out  {words}"))?;
    terminal.line("          by telephone, on a number you know already")?;
    Ok(Exit::Done)
}

fn take(args: &JoinArgs, terminal: Terminal) -> Outcome {
    let people = people(&args.people)?;
    let heard = heard(&args.heard)?;
    let request = read_request(&args.request)?;
    let identity = read_private(&args.identity).map_err(key_failure)?;
    let identity = Identity::from_text(&identity).map_err(ceremony_failure)?;
    let exchange = read_text(&args.exchange, CEREMONY_BYTES_MAX)?;
    let (key, sender) = join(&request, &identity, &exchange, &heard).map_err(ceremony_failure)?;
    key.write_new(&args.out).map_err(key_failure)?;
    // Used once: with it gone, no copy of the exchange file can be opened again.
    destroy(&args.identity)?;
    let words = key_words(&key, &request.project, request.epoch);
    let check = key.epoch(&request.project, request.epoch).check();
    if terminal.json {
        let (key, from) = (&args.out, &sender.agency);
        return done(
            terminal,
            &json!({"key": key, "from": from, "words": words.to_string(), "check": check}),
        );
    }
    let (there, here) = (&sender.people, &people);
    terminal.line(format!("key       {}: from {}", args.out.display(), sender.agency))?;
    terminal.line(format!("sent by   {} and {}", there.person, there.witness))?;
    terminal.line(format!("taken by  {} and {}", here.person, here.witness))?;
    terminal.line(format!("words     {words}"))?;
    terminal.line(format!("check     {check}"))?;
    terminal.line(format!("destroyed {}", args.identity.display()))?;
    Ok(Exit::Done)
}

fn fingerprint(args: &FingerprintArgs, terminal: Terminal) -> Outcome {
    let words = match (&args.request, &args.key, &args.project) {
        (Some(path), _, _) => read_request(path)?.words(),
        (None, Some(path), Some(project)) => {
            key_words(&LinkageKey::read(path).map_err(key_failure)?, project, args.epoch)
        }
        _ => return Err(Failure::new(Exit::Usage, "give --request, or --key with --project")),
    };
    if terminal.json {
        return done(terminal, &json!({"words": words.to_string()}));
    }
    terminal.line(words.to_string())?;
    Ok(Exit::Done)
}

fn done(terminal: Terminal, report: &serde_json::Value) -> Outcome {
    terminal.report(report)?;
    Ok(Exit::Done)
}

fn people(args: &PeopleArgs) -> Result<People, Failure> {
    People::new(args.person.clone(), args.witness.clone()).map_err(ceremony_failure)
}

fn heard(text: &str) -> Result<SpokenWords, Failure> {
    text.parse().map_err(|error: SpokenError| Failure { exit: Exit::BadInput, error: error.into() })
}

fn read_request(path: &Path) -> Result<Request, Failure> {
    let text = read_text(path, CEREMONY_BYTES_MAX)?;
    Request::from_text(&text).map_err(ceremony_failure)
}

fn now() -> Result<UtcTime, Failure> {
    UtcTime::from_millis(jiff::Timestamp::now().as_millisecond()).or_exit(Exit::Internal)
}

/// Overwrites a small secret file and removes it.
fn destroy(path: &Path) -> Result<(), Failure> {
    let doing = || format!("destroying {}", path.display());
    let length = std::fs::metadata(path).or_exit_with(Exit::Internal, doing())?.len();
    let zeros = vec![b'0'; usize::try_from(length).unwrap_or(0)];
    std::fs::write(path, zeros).or_exit_with(Exit::Internal, doing())?;
    std::fs::remove_file(path).or_exit_with(Exit::Internal, doing())
}

/// Words that differ, people and age are matters of policy; a damaged file is bad input.
fn ceremony_failure(error: CeremonyError) -> Failure {
    let exit = match &error {
        CeremonyError::Words
        | CeremonyError::OnePerson
        | CeremonyError::Old { .. }
        | CeremonyError::Future { .. }
        | CeremonyError::Own
        | CeremonyError::Other { .. } => Exit::Refused,
        CeremonyError::Request
        | CeremonyError::Exchange
        | CeremonyError::Identity
        | CeremonyError::Key(_) => Exit::BadInput,
        CeremonyError::Encrypt => Exit::Internal,
    };
    Failure { exit, error: error.into() }
}
