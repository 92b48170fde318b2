//! `init`, `submit`, `push`: an agency's workspace and its nightly work.

use super::check;
use super::encode::{WithArgs, encode_extract};
use super::encodings::read_encodings;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::extract::{ExtractArgs, open_extract};
use super::files::{open, private_folder, write_atomic};
use super::keygen::key_failure;
use super::term::{Terminal, count};
use crate::agency::client::{ApiToken, Client, ClientError, ClientTls};
use crate::agency::key::AgencyKey;
use crate::agency::keyfile::read_private;
use crate::agency::propose::propose;
use crate::agency::submit::{SubmitError, Upload, changes, submit as send};
use crate::agency::workspace::{Sent, Workspace};
use crate::config::agency::{BadRows, service_address};
use crate::wire::messages::{DatasetMessage, DatasetState};
use crate::wire::{AgencyId, EncodingBatch, EncodingHeader, ProjectId};
use clap::Args;
use jiff::Zoned;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

/// Makes a workspace: a private folder with agency.toml, a proposed column mapping and the agency's own
/// key. The linkage key comes from the other agencies of the project, the API key from the centre.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Your agency's id.
    #[arg(long, value_name = "ID")]
    agency: AgencyId,
    /// The project's id.
    #[arg(long, value_name = "ID")]
    project: ProjectId,
    /// An extract whose headers and date format the column mapping is proposed from.
    #[arg(long, value_name = "CSV")]
    from: PathBuf,
    /// Address of the centre.
    #[arg(long, value_name = "URL")]
    service: Option<String>,
    /// Schema of the project: name of a built-in one, or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "uk-child")]
    schema: String,
    /// Folder to make.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(crate) fn init(args: &InitArgs, terminal: Terminal) -> Outcome {
    if let Some(address) = &args.service {
        service_address(address).or_exit(Exit::Usage)?;
    }
    super::extract::schema(&args.schema)?;
    let path = args.folder.join("agency.toml");
    if path.exists() {
        return Err(Failure::new(
            Exit::Refused,
            format!("{} exists: this is a workspace already", path.display()),
        ));
    }
    let proposal =
        propose(open(&args.from)?, Zoned::now().date()).or_exit_with(Exit::BadInput, args.from.display())?;
    let fresh = !args.folder.exists();
    private_folder(&args.folder)?;
    if !fresh {
        make_private(&args.folder)?;
        terminal.note(format!("{} is now for its owner only (mode 0700)", args.folder.display()));
    }
    let columns = args.folder.join("columns.toml");
    if columns.exists() {
        terminal.note(format!("{} exists and is kept", columns.display()));
    } else {
        write_atomic(&columns, |out| out.write_all(proposal.to_toml().as_bytes()).or_exit(Exit::Internal))?;
    }
    let own = args.folder.join("agency.key");
    if !own.exists() {
        AgencyKey::generate().or_exit(Exit::Internal)?.write_new(&own).map_err(key_failure)?;
    }
    write_atomic(&path, |out| out.write_all(config_toml(args).as_bytes()).or_exit(Exit::Internal))?;
    if terminal.json {
        let notes = &proposal.notes;
        terminal.report(&json!({ "workspace": args.folder, "columns": columns, "notes": notes }))?;
        return Ok(Exit::Done);
    }
    proposal.notes.iter().for_each(|note| terminal.note(note));
    terminal.line(format!("workspace made in {}", args.folder.display()))?;
    terminal.line(
        "next: read columns.toml; put linkage.key (from the project) and api.key (from the centre) there,",
    )?;
    terminal.line("      each with `chmod 600`; then `blindlink check` and `blindlink push`")?;
    Ok(Exit::Done)
}

fn config_toml(args: &InitArgs) -> String {
    // A schema file is named from the root, so that a nightly job finds it from anywhere.
    let file = std::fs::canonicalize(&args.schema).ok().filter(|path| path.is_file());
    let schema = file.map_or_else(|| args.schema.clone(), |path| path.display().to_string());
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let service = match &args.service {
        Some(address) => format!("service = {}\n", quoted(address)),
        None => "# service = \"https://centre.example:8443\"\n".to_owned(),
    };
    format!(
        "# Who encodes, for which project, and where the centre is. Paths are relative to this folder.\n\
         agency = \"{}\"\nproject = \"{}\"\nepoch = 1\nschema = {}\n{service}columns = \"columns.toml\"\n\
         # skip: leave out rows that cannot be read; refuse: encode nothing then\nbad_rows = \"skip\"\n\n\
         [keys]\nlinkage = \"linkage.key\"\nagency = \"agency.key\"\napi = \"api.key\"\n",
        args.agency,
        args.project,
        quoted(&schema)
    )
}

#[cfg(unix)]
fn make_private(folder: &std::path::Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let private = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(folder, private).or_exit_with(Exit::BadInput, folder.display())
}

#[cfg(not(unix))]
fn make_private(_: &std::path::Path) -> Result<(), Failure> {
    Ok(())
}

/// Sends an encoding file to the centre; an interrupted upload goes on where it stopped.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// The encoding file.
    file: PathBuf,
    /// The workspace.
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
}

pub(crate) fn submit(args: &SubmitArgs, terminal: Terminal) -> Outcome {
    let workspace = Workspace::open(&args.workspace).or_exit(Exit::BadInput)?;
    let client = client(&workspace)?;
    let (header, batch) = read_encodings(&args.file)?;
    let sealed = submit_batch(&workspace, &client, &header, &batch, terminal)?;
    report(&sealed, terminal)
}

/// The nightly command: check, encode, send what changed, report.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The extract (CSV).
    extract: PathBuf,
    /// The workspace.
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
}

pub(crate) fn push(args: &PushArgs, terminal: Terminal) -> Outcome {
    let setup = WithArgs::of_workspace(&args.workspace)?;
    let Some(workspace) = setup.workspace else { return Ok(Exit::Internal) };
    let client = client(&workspace)?;
    let reading = ExtractArgs {
        columns: Some(workspace.config.columns.clone()),
        refuse_bad_rows: workspace.config.bad_rows == BadRows::Refuse,
    };
    let extract = open_extract(&args.extract, &reading, None, terminal)?;
    let folder = tempfile::tempdir_in(&args.workspace).or_exit(Exit::Internal)?;
    let out = folder.path().join("encodings.parquet");
    let mut ids = Vec::new();
    let (_, found) = encode_extract(&setup.encoder, extract, &args.extract, &out, Some(&mut ids))?;
    if !terminal.json {
        check::print(&found, terminal)?;
    }
    if !found.safe_to_send {
        if terminal.json {
            terminal.report(&found)?;
        }
        terminal.note("nothing was sent: mend what speaks against it, in the extract, its column mapping or the schema, and push again");
        return Ok(Exit::Findings);
    }
    let (header, batch) = read_encodings(&out)?;
    workspace.remember_local_ids(&ids).or_exit(Exit::Internal)?;
    let sealed = submit_batch(&workspace, &client, &header, &batch, terminal)?;
    report(&sealed, terminal)
}

/// A client of the workspace's centre with the workspace's API key.
pub(crate) fn client(workspace: &Workspace) -> Result<Client, Failure> {
    let config = &workspace.config;
    let Some(address) = &config.service else {
        return Err(Failure::new(
            Exit::BadInput,
            "agency.toml names no service: add service = \"https://...\"",
        ));
    };
    let Some(path) = &config.api_key else {
        return Err(Failure::new(
            Exit::BadInput,
            "agency.toml names no api key: add api = \"api.key\" under [keys]",
        ));
    };
    let text = read_private(path).map_err(key_failure)?;
    let token = ApiToken::parse(&text).or_exit_with(Exit::Refused, path.display())?;
    let tls =
        ClientTls { authority: config.ca_certificate.clone(), identity: config.client_identity.clone() };
    let client = Client::new(address, token, &tls).or_exit(Exit::BadInput)?;
    Ok(client.acting_for(&super::account::name()))
}

/// Sends what changed since the last sealed upload, or everything when that is less certain.
pub(crate) fn submit_batch(
    workspace: &Workspace,
    client: &Client,
    header: &EncodingHeader,
    batch: &EncodingBatch,
    terminal: Terminal,
) -> Result<Option<DatasetMessage>, Failure> {
    let bar = terminal.progress("sending", "chunks", 0);
    let mut progress = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let sealed = match delta(workspace, header, batch)? {
        Delta::Nothing(sent) if still_current(client, header, &sent)? => return Ok(None),
        Delta::Nothing(_) => {
            terminal.note("the centre does not have our last upload any more: sending the whole dataset");
            send(client, Upload { header: header.clone(), batch, changes: None }, &mut progress)
        }
        Delta::Whole => send(client, Upload { header: header.clone(), batch, changes: None }, &mut progress),
        Delta::Part { header: part, batch: upserts, sent, removals } => {
            let upload = Upload { header: *part, batch: &upserts, changes: Some((sent.dataset, removals)) };
            match send(client, upload, &mut progress) {
                // Another dataset is current there than we remember, or the chain of changes is too long.
                Err(SubmitError::Client(error))
                    if matches!(error.code(), Some("base-changed" | "too-many-deltas")) =>
                {
                    terminal.note("the centre asks for everything this time: sending the whole dataset");
                    send(client, Upload { header: header.clone(), batch, changes: None }, &mut progress)
                }
                sent => sent,
            }
        }
    };
    bar.finish_and_clear();
    let sealed = sealed.map_err(submit_failure)?;
    let sent = Sent::of(sealed.id.clone(), header.schema_fingerprint, header.epoch, batch);
    workspace.remember_sent(&sent).or_exit(Exit::Internal)?;
    Ok(Some(sealed))
}

/// Whether the dataset remembered as sent is still sealed at the centre: a restored backup or another
/// centre may not have it.
fn still_current(client: &Client, header: &EncodingHeader, sent: &Sent) -> Result<bool, Failure> {
    let path = format!("/v1/projects/{}/datasets/{}", header.project, sent.dataset);
    match client.get::<DatasetMessage>(&path) {
        Ok(dataset) => Ok(dataset.state == DatasetState::Sealed),
        Err(ClientError::Refused(problem)) if problem.status == 404 => Ok(false),
        Err(error) => Err(client_failure(error)),
    }
}

enum Delta {
    Nothing(Sent),
    Whole,
    Part {
        header: Box<EncodingHeader>,
        batch: Box<EncodingBatch>,
        sent: Sent,
        removals: Vec<crate::wire::RecordRef>,
    },
}

fn delta(workspace: &Workspace, header: &EncodingHeader, batch: &EncodingBatch) -> Result<Delta, Failure> {
    let Some(sent) = workspace.sent().or_exit(Exit::BadInput)? else { return Ok(Delta::Whole) };
    if sent.schema != header.schema_fingerprint || sent.epoch != header.epoch {
        return Ok(Delta::Whole);
    }
    let found = changes(&sent.records, batch);
    if found.upserts.is_empty() && found.removals.is_empty() {
        return Ok(Delta::Nothing(sent));
    }
    // A delta of half the dataset saves little and leaves a long chain.
    let large = 2 * (found.upserts.len() + found.removals.len()) > batch.len();
    if large || found.upserts.is_empty() || found.removals.len() > 100_000 {
        return Ok(Delta::Whole);
    }
    let upserts = batch.select(&found.upserts);
    let header =
        EncodingHeader { records: upserts.len() as u64, content: upserts.content_digest(), ..header.clone() };
    Ok(Delta::Part { header: Box::new(header), batch: Box::new(upserts), sent, removals: found.removals })
}

fn report(sealed: &Option<DatasetMessage>, terminal: Terminal) -> Outcome {
    match sealed {
        _ if terminal.json => terminal.report(sealed)?,
        None => terminal.line("nothing changed since the last upload: nothing was sent")?,
        Some(dataset) => terminal.line(format!(
            "sealed as {}: {} records sent, {} current at the centre",
            dataset.id,
            count(dataset.records),
            count(dataset.records_current.unwrap_or(dataset.records))
        ))?,
    }
    Ok(Exit::Done)
}

pub(crate) fn submit_failure(error: SubmitError) -> Failure {
    match error {
        SubmitError::Client(error) => client_failure(error),
        SubmitError::PlainIds => Failure { exit: Exit::Refused, error: error.into() },
        SubmitError::Form(_) => Failure { exit: Exit::BadInput, error: error.into() },
        SubmitError::StillMissing(_) => Failure { exit: Exit::Unreachable, error: error.into() },
    }
}

/// The exit code of what the centre, or the way to it, said.
pub(crate) fn client_failure(error: ClientError) -> Failure {
    let exit = match &error {
        ClientError::Unreachable { .. } | ClientError::Protocol { .. } => Exit::Unreachable,
        ClientError::Refused(problem) if problem.status >= 500 => Exit::Unreachable,
        ClientError::Refused(_) => Exit::Refused,
        ClientError::Certificate(_) | ClientError::Key(_) | ClientError::Token => Exit::BadInput,
    };
    Failure { exit, error: error.into() }
}
