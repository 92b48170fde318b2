//! `blindlink admin`: projects, agencies and keys, on the store of a service that is stopped.
//!
//! A running service holds the store; then the same is done over HTTP with the operator's key.

use super::exit::{Exit, OrExit, Outcome};
use super::serve::store_failure;
use super::term::Terminal;
use crate::service::agreements::only_in_a_trial;
use crate::service::server;
use crate::store::{NewEvent, SledStore, Vault, system_clock};
use crate::wire::messages::{
    AgencyPut, ContactPoint, KeyCreate, KeyScope, Line, ProjectCreate, Role, SchemaCard,
};
use crate::wire::{
    AgencyId, CertificateFingerprint, Epoch, KeyCheckValue, KeyId, ProjectId, PurposeCode, UtcTime, limits,
};
use anyhow::Context;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Manages projects, agencies and keys on the store of a stopped service.
#[derive(Debug, clap::Args)]
pub(crate) struct AdminArgs {
    /// The service's data directory
    #[arg(long, value_name = "FOLDER", default_value = "blindlink-data", global = true)]
    data_dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Open a project
    OpenProject(OpenProject),
    /// Begin a later epoch of a project, with a new linkage key
    BeginEpoch {
        /// The project
        project: ProjectId,
        /// The epoch's number
        epoch: Epoch,
        /// Check value of its linkage key; pinned by the first upload when absent
        #[arg(long, value_name = "HEX")]
        key_check: Option<KeyCheckValue>,
    },
    /// List projects
    Projects,
    /// Register an agency or change its contact point
    RegisterAgency(RegisterAgency),
    /// Make an agency a party of a project
    AddParty {
        /// The project
        project: ProjectId,
        /// The agency
        agency: AgencyId,
    },
    /// Issue a key; its secret is printed once
    IssueKey(IssueKey),
    /// List keys, without their secrets
    Keys,
    /// Print the part of an impact assessment that the centre knows: what is agreed, held, exercised
    Dpia {
        /// The project
        project: ProjectId,
    },
    /// Revoke a key for ever
    RevokeKey {
        /// The key's id, the part before the dot
        key: KeyId,
    },
}

#[derive(Debug, clap::Args)]
struct OpenProject {
    /// The project's id
    id: ProjectId,
    /// Its title
    #[arg(long)]
    title: Line,
    /// What `blindlink schema show NAME --json` printed
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// A purpose for which parties may ask; repeat for more
    #[arg(long = "purpose", value_name = "CODE", required = true)]
    purposes: Vec<PurposeCode>,
    /// Check value of the linkage key; pinned by the first upload when absent
    #[arg(long, value_name = "HEX")]
    key_check: Option<KeyCheckValue>,
    /// The first epoch
    #[arg(long, default_value = "1")]
    epoch: Epoch,
    /// When the agreement ends
    #[arg(long, value_name = "TIME")]
    ends: Option<UtcTime>,
}

#[derive(Debug, clap::Args)]
struct RegisterAgency {
    /// The agency's id
    id: AgencyId,
    /// Its name
    #[arg(long)]
    name: Line,
    /// Team or desk to call
    #[arg(long)]
    team: Line,
    /// Telephone in hours
    #[arg(long)]
    telephone: Option<Line>,
    /// Secure mail
    #[arg(long)]
    mail: Option<Line>,
    /// Hours, in words
    #[arg(long)]
    hours: Option<Line>,
    /// Whom to call out of hours
    #[arg(long)]
    out_of_hours: Option<Line>,
    /// Bind its keys to this TLS certificate (openssl x509 -fingerprint -sha256); up to two
    #[arg(long, value_name = "FINGERPRINT", num_args = 1..=2)]
    certificate: Vec<CertificateFingerprint>,
}

#[derive(Debug, clap::Args)]
struct IssueKey {
    /// For this agency; without it, for the centre
    #[arg(long, requires = "project")]
    agency: Option<AgencyId>,
    /// In this project
    #[arg(long, requires = "agency")]
    project: Option<ProjectId>,
    /// submitter, requester, front_door, reviewer, approver, auditor or operator; repeat for more
    #[arg(long = "role", required = true)]
    roles: Vec<Role>,
    /// When it stops working
    #[arg(long, value_name = "TIME")]
    expires: Option<UtcTime>,
    /// Who or what holds it
    #[arg(long)]
    label: Option<Line>,
}

/// Does one administrative thing on the data directory of a stopped service.
pub(crate) fn admin(args: &AdminArgs, terminal: Terminal) -> Outcome {
    if !args.data_dir.exists() {
        terminal.note(format!("{} is new: an empty store is made there", args.data_dir.display()));
    }
    let store = SledStore::open(&args.data_dir, 64).map_err(store_failure)?;
    let (vault, _) = Vault::open(Arc::new(store), system_clock()).map_err(store_failure)?;
    let (words, json) = run(&vault, &args.command).or_exit(Exit::BadInput)?;
    if terminal.json {
        terminal.report(&json)?;
    } else {
        terminal.line(words)?;
    }
    Ok(Exit::Done)
}

fn run(vault: &Vault, command: &Command) -> anyhow::Result<(String, Value)> {
    let event = |action: &str| NewEvent::new(action);
    match command {
        Command::OpenProject(open) => open_project(vault, open),
        Command::BeginEpoch { project, epoch, key_check } => {
            only_in_a_trial(vault, project)?;
            let begun = vault.begin_epoch(project, *epoch, *key_check, event("epoch_begun"))?;
            begun.context("there is no such project, or its epoch is not earlier")?;
            let json = json!({"project": project, "epoch": epoch});
            Ok((format!("project {project} is in epoch {epoch}"), json))
        }
        Command::Projects => {
            let projects = vault.projects(None, usize::MAX)?;
            let line = |p: &crate::store::ProjectRecord| format!("{}  epoch {}  {}", p.id, p.epoch, p.title);
            let json = projects.iter().map(|p| json!({"id": p.id, "epoch": p.epoch, "title": p.title}));
            let json = json.collect();
            Ok((projects.iter().map(line).collect::<Vec<_>>().join("\n"), json))
        }
        Command::RegisterAgency(agency) => register_agency(vault, agency),
        Command::AddParty { project, agency } => {
            vault.project(project)?.context("there is no such project: open it first")?;
            vault.agency(agency)?.context("there is no such agency: register it first")?;
            let parties = vault.parties(project)?.len();
            let more = vault.is_party(project, agency)? || parties < limits::AGENCIES_MAX;
            anyhow::ensure!(more, "a project has at most {} parties", limits::AGENCIES_MAX);
            only_in_a_trial(vault, project)?;
            vault.add_party(project, agency, event("party_joined"))?;
            let json = json!({"project": project, "agency": agency});
            Ok((format!("{agency} is a party of {project}"), json))
        }
        Command::IssueKey(issue) => issue_key(vault, issue),
        Command::Keys => {
            let keys = vault.keys(None, usize::MAX)?;
            let line = |key: &crate::store::KeyRecord| {
                let roles: Vec<&str> = key.roles.iter().map(|role| role.name()).collect();
                let place = match &key.scope {
                    KeyScope::Centre => "centre".to_owned(),
                    KeyScope::Agency { agency, project } => format!("{agency} in {project}"),
                };
                let state = if key.revoked.is_some() { "revoked" } else { "valid" };
                format!("{}  {place}  {}  {state}", key.id, roles.join(","))
            };
            let json = keys
                .iter()
                .map(|k| json!({"id": k.id, "scope": k.scope, "roles": k.roles, "revoked": k.revoked}))
                .collect();
            Ok((keys.iter().map(line).collect::<Vec<_>>().join("\n"), json))
        }
        Command::Dpia { project } => {
            let record = vault.project(project)?.context("there is no such project")?;
            let text = crate::service::dpia::markdown(vault, &record)?;
            let json = json!({"project": project, "markdown": text});
            Ok((text, json))
        }
        Command::RevokeKey { key } => {
            vault.revoke_key(key, event("key_revoked"))?.context("there is no such key")?;
            Ok((format!("key {key} is revoked"), json!({"revoked": key})))
        }
    }
}

fn open_project(vault: &Vault, open: &OpenProject) -> anyhow::Result<(String, Value)> {
    let name = || format!("cannot read {}", open.schema.display());
    let size = std::fs::metadata(&open.schema).with_context(name)?.len();
    anyhow::ensure!(size <= limits::CONFIG_BYTES_MAX, "{} is too large", open.schema.display());
    let text = std::fs::read(&open.schema).with_context(name)?;
    let card: SchemaCard = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what `schema show --json` prints", open.schema.display()))?;
    card.decision.check(&card.layout)?;
    let new = ProjectCreate {
        id: open.id.clone(),
        title: open.title.clone(),
        schema: card.schema,
        schema_fingerprint: card.schema_fingerprint,
        layout: card.layout,
        decision: card.decision,
        epoch: open.epoch,
        key_check: open.key_check,
        purposes: open.purposes.clone(),
        ends: open.ends,
    };
    let made = vault.create_project(&new, NewEvent::new("project_opened"))?;
    let made = made.context("a project of this id exists already: choose another")?;
    Ok((format!("project {} is open, epoch {}", made.id, made.epoch), json!({"project": made.id})))
}

fn register_agency(vault: &Vault, agency: &RegisterAgency) -> anyhow::Result<(String, Value)> {
    let contact = ContactPoint {
        team: agency.team.clone(),
        telephone: agency.telephone.clone(),
        mail: agency.mail.clone(),
        hours: agency.hours.clone(),
        out_of_hours: agency.out_of_hours.clone(),
    };
    let put = AgencyPut {
        name: agency.name.clone(),
        contact,
        certificates: (!agency.certificate.is_empty()).then(|| agency.certificate.clone()),
    };
    vault.put_agency(&agency.id, &put, NewEvent::new("agency_registered"))?;
    Ok((format!("agency {} is registered", agency.id), json!({"agency": agency.id})))
}

fn issue_key(vault: &Vault, issue: &IssueKey) -> anyhow::Result<(String, Value)> {
    let scope = match (&issue.agency, &issue.project) {
        (Some(agency), Some(project)) => {
            KeyScope::Agency { agency: agency.clone(), project: project.clone() }
        }
        _ => KeyScope::Centre,
    };
    let (roles, expires, label) = (issue.roles.clone(), issue.expires, issue.label.clone());
    let new = KeyCreate { scope, roles, expires, label };
    let (token, key) = server::issue_key(vault, &new, NewEvent::new("key_issued"))?;
    let words = format!("{}\nthis key is shown this once: keep it safe", token.expose());
    Ok((words, json!({"token": token.expose(), "id": key.id})))
}
