//! `encode`: an extract becomes an encoding file. Needs no network.

use super::check;
use super::encodings::file_failure;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::extract::{self, ExtractArgs, Watched, open_extract};
use super::keygen::key_failure;
use super::legacy::encode_clkhash;
use super::term::{Terminal, count};
use crate::agency::check::Report;
use crate::agency::encoder::Encoder;
use crate::agency::file::EncodingWriter;
use crate::agency::key::{AgencyKey, LinkageKey};
use crate::agency::reader::Extract;
use crate::agency::schema::Schema;
use crate::agency::workspace::Workspace;
use crate::config::agency::BadRows;
use crate::wire::{AgencyId, EncodingHeader, Epoch, Profile, ProjectId, RecordRef};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Encodes an extract into a Parquet file of Bloom filters. Same extract, schema and keys: same bytes.
#[derive(Debug, Args)]
pub(crate) struct EncodeArgs {
    /// The extract (CSV).
    extract: PathBuf,
    /// The encoding file to write (Parquet, mode 0600).
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    with: WithArgs,
    #[command(flatten)]
    reading: ExtractArgs,
    /// With --profile legacy-clk: file of clkhash's secret.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// With --profile legacy-clk: the extract has no header line.
    #[arg(long, requires = "secret_file")]
    no_header: bool,
    /// Local ids stand in the file beside the refs: for synthetic data only; such a file is never uploaded.
    #[arg(long)]
    plain_ids: bool,
}

/// With which schema and keys: all from the workspace, or each by an argument.
#[derive(Debug, Clone, Args)]
pub(crate) struct WithArgs {
    /// Workspace to take everything from that is not given here.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) workspace: PathBuf,
    /// Schema: name of a built-in one, or a file.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) schema: Option<String>,
    /// Profile of the built-in schema when no schema is named; legacy-clk encodes as clkhash does.
    #[arg(long, value_name = "views|diffused|clk|fields|legacy-clk", value_parser = profile)]
    pub(crate) profile: Option<Profile>,
    /// File of the linkage key. A key is never taken from the command line or the environment.
    #[arg(long, value_name = "FILE", requires = "agency")]
    key: Option<PathBuf>,
    /// Agency whose records these are.
    #[arg(long, value_name = "ID", requires = "key")]
    agency: Option<AgencyId>,
    /// File of the agency's own key; made beside the linkage key when absent.
    #[arg(long, value_name = "FILE", requires = "key")]
    agency_key: Option<PathBuf>,
    /// Project the encodings are for.
    #[arg(long, value_name = "ID", default_value = "offline", requires = "key")]
    project: ProjectId,
    /// Epoch of the linkage key.
    #[arg(long, value_name = "N", default_value = "1", requires = "key")]
    epoch: Epoch,
}

/// What was encoded.
#[derive(Debug, Serialize)]
struct Encoded {
    header: EncodingHeader,
    report: Report,
}

/// An encoder, and the column mapping where a workspace names one.
pub(crate) struct Setup {
    pub(crate) encoder: Encoder,
    pub(crate) workspace: Option<Workspace>,
}

impl WithArgs {
    /// From the workspace alone.
    pub(crate) fn of_workspace(workspace: &Path) -> Result<Setup, Failure> {
        let workspace = Workspace::open(workspace).or_exit(Exit::BadInput)?;
        let config = &workspace.config;
        let schema = extract::schema(&config.schema)?;
        let linkage = LinkageKey::read(&config.linkage_key).map_err(key_failure)?;
        let own = AgencyKey::read(&config.agency_key).map_err(key_failure)?;
        let encoder = Encoder::new(&schema, &linkage, &own, &config.agency, &config.project, config.epoch);
        Ok(Setup { encoder, workspace: Some(workspace) })
    }

    /// From the arguments, or from the workspace where no key is named.
    pub(crate) fn setup(&self, terminal: Terminal) -> Result<Setup, Failure> {
        let (Some(key), Some(agency)) = (&self.key, &self.agency) else {
            if self.schema.is_some() || self.profile.is_some() {
                let message = "--schema and --profile need --key and --agency; a workspace has its schema in agency.toml";
                return Err(Failure::new(Exit::Usage, message));
            }
            return Self::of_workspace(&self.workspace);
        };
        let schema = match (&self.schema, self.profile) {
            (None, Some(profile)) => Schema::builtin_for(profile).or_exit(Exit::Usage)?,
            (name, _) => extract::schema(name.as_deref().unwrap_or("uk-child"))?,
        };
        if self.profile.is_some_and(|profile| profile != schema.profile()) {
            let message = format!("the schema's profile is {}, not the one asked for", schema.profile());
            return Err(Failure::new(Exit::Usage, message));
        }
        let linkage = LinkageKey::read(key).map_err(key_failure)?;
        let own = self.own_key(key, agency, terminal)?;
        let encoder = Encoder::new(&schema, &linkage, &own, agency, &self.project, self.epoch);
        Ok(Setup { encoder, workspace: None })
    }

    fn own_key(&self, key: &Path, agency: &AgencyId, terminal: Terminal) -> Result<AgencyKey, Failure> {
        if let Some(path) = &self.agency_key {
            return AgencyKey::read(path).map_err(key_failure);
        }
        let path = key.with_file_name(format!("{agency}.agency.key"));
        if path.exists() {
            return AgencyKey::read(&path).map_err(key_failure);
        }
        let own = AgencyKey::generate().or_exit(Exit::Internal)?;
        own.write_new(&path).map_err(key_failure)?;
        terminal.note(format!("made {}: this agency's own key; keep it, refs depend on it", path.display()));
        Ok(own)
    }
}

fn profile(text: &str) -> Result<Profile, String> {
    let known = [Profile::Views, Profile::Diffused, Profile::Clk, Profile::Fields, Profile::LegacyClk];
    let found = known.into_iter().find(|profile| profile.to_string() == text);
    found.ok_or_else(|| "a profile is views, diffused, clk, fields or legacy-clk".to_owned())
}

/// `encode --profile legacy-clk --schema clkhash.json --secret-file S IN.csv -o OUT.json`.
fn encode_legacy(args: &EncodeArgs, terminal: Terminal) -> Outcome {
    let (Some(schema), Some(secret)) = (&args.with.schema, &args.secret_file) else {
        let message = "--profile legacy-clk needs --schema with a clkhash schema and --secret-file";
        return Err(Failure::new(Exit::Usage, message));
    };
    let made = encode_clkhash(&args.extract, Path::new(schema), secret, args.no_header, &args.out)?;
    if terminal.json {
        terminal.report(&serde_json::json!({ "clks": made, "file": args.out }))?;
    } else {
        terminal.line(format!("{} CLKs -> {}", count(made as u64), args.out.display()))?;
    }
    terminal.note("legacy CLKs are for interoperability only: they withstand none of the known attacks");
    Ok(Exit::Done)
}

pub(crate) fn encode(args: &EncodeArgs, terminal: Terminal) -> Outcome {
    if args.with.profile == Some(Profile::LegacyClk) {
        return encode_legacy(args, terminal);
    }
    let setup = args.with.setup(terminal)?;
    let encoder = setup.encoder.with_plain_ids(args.plain_ids);
    let workspaces = setup.workspace.as_ref().map(|workspace| workspace.config.columns.clone());
    let mut reading = args.reading.clone();
    reading.refuse_bad_rows |= setup.workspace.as_ref().is_some_and(|w| w.config.bad_rows == BadRows::Refuse);
    let extract = open_extract(&args.extract, &reading, workspaces, terminal)?;
    let mut ids = setup.workspace.as_ref().map(|_| Vec::new());
    let (header, report) = encode_extract(&encoder, extract, &args.extract, &args.out, ids.as_mut())?;
    if let (Some(workspace), Some(ids)) = (&setup.workspace, &ids) {
        workspace.remember_local_ids(ids).or_exit(Exit::Internal)?;
    }
    if terminal.json {
        terminal.report(&Encoded { header, report: report.clone() })?;
    } else {
        check::print(&report, terminal)?;
        terminal.line(format!(
            "{} encodings under {} (epoch {}) -> {}",
            count(header.records),
            header.schema,
            header.epoch,
            args.out.display()
        ))?;
    }
    Ok(if report.safe_to_send { Exit::Done } else { Exit::Findings })
}

/// Streams an extract through an encoder into a file; `ids`, where given, gets the local id of each ref.
pub(crate) fn encode_extract(
    encoder: &Encoder,
    extract: Extract<Watched>,
    from: &Path,
    out: &Path,
    ids: Option<&mut Vec<(RecordRef, String)>>,
) -> Result<(EncodingHeader, Report), Failure> {
    // On a thread of the pool, which makes the persons: memory is given back cheapest where it was taken.
    rayon::scope(|_| encode_on_pool(encoder, extract, from, out, ids))
}

fn encode_on_pool(
    encoder: &Encoder,
    mut extract: Extract<Watched>,
    from: &Path,
    out: &Path,
    mut ids: Option<&mut Vec<(RecordRef, String)>>,
) -> Result<(EncodingHeader, Report), Failure> {
    let mut writer = EncodingWriter::new(encoder, out);
    while let Some(batch) = extract.next_batch().or_exit_with(Exit::BadInput, from.display())? {
        if let Some(ids) = &mut ids {
            ids.extend(batch.persons.iter().map(|p| (encoder.record_ref(&p.local_id), p.local_id.clone())));
        }
        writer.push(&batch.persons).map_err(|error| file_failure(error, &from.display().to_string()))?;
    }
    let mut report = extract.report();
    report.judge(writer.tests());
    let header = writer.finish().map_err(|error| file_failure(error, &from.display().to_string()))?;
    Ok((header, report))
}
