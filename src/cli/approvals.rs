//! `approvals`: what two people decide, from an agency's workspace or with the operator's key.

use super::exit::{Exit, Failure, OrExit, Outcome};
use super::files::{read_text, write_json};
use super::keygen::key_failure;
use super::term::{Terminal, table};
use super::workspace::{client, client_failure};
use crate::agency::client::{ApiToken, Client, ClientTls};
use crate::agency::key::AgencyKey;
use crate::agency::keyfile::read_private;
use crate::agency::workspace::Workspace;
use crate::config::agency::service_address;
use crate::wire::messages::{Line, Role};
use crate::wire::{AgencyId, Epoch, ProjectId, RunId, UtcTime, limits};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Proposes, approves and carries out what two people must decide: agreements, epochs, brokers, opening a shielded record,
/// releasing figures, a further key of an agency, leaving or ending a project. Each step is written into the centre's ledger.
#[derive(Debug, Args)]
pub(crate) struct ApprovalsArgs {
    #[command(flatten)]
    at: AtArgs,
    #[command(subcommand)]
    command: Command,
}

/// Who acts where: an approver from a workspace, or the operator by the centre's address and a key.
#[derive(Debug, Args)]
struct AtArgs {
    /// The workspace.
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "service")]
    workspace: PathBuf,
    /// Address of the centre, for the operator, who has no workspace.
    #[arg(long, value_name = "URL", requires_all = ["api_key", "project"])]
    service: Option<String>,
    /// File of the operator's key, for its owner only.
    #[arg(long, value_name = "FILE", requires = "service")]
    api_key: Option<PathBuf>,
    /// The project.
    #[arg(long, value_name = "ID", requires = "service")]
    project: Option<ProjectId>,
    /// Certificate to trust for the centre, instead of the public authorities.
    #[arg(long, value_name = "PEM", requires = "service")]
    ca_certificate: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List decisions, the oldest first
    List,
    /// Show one decision with its history
    Show(IdArgs),
    /// Propose something; a second person with a key of their own approves it
    Propose {
        #[command(subcommand)]
        matter: MatterArgs,
        /// Why, in a line that names no child
        #[arg(long, global = true, value_name = "LINE", required = false)]
        reason: Option<Line>,
        /// Hours until the proposal lapses
        #[arg(long, global = true, value_name = "N")]
        hours: Option<u32>,
    },
    /// Agree as the second person
    Approve(WordArgs),
    /// Say no as the second person
    Refuse(WordArgs),
    /// Take back what you proposed
    Withdraw(WordArgs),
    /// Carry out an approved decision, once
    CarryOut {
        #[command(flatten)]
        id: IdArgs,
        /// Where to write the signed statement; needed for a withdrawal or closure
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct IdArgs {
    /// The decision's id
    id: String,
}

#[derive(Debug, Args)]
struct WordArgs {
    /// The decision's id
    id: String,
    /// Why
    #[arg(long, value_name = "LINE")]
    reason: Line,
}

#[derive(Debug, Subcommand)]
enum MatterArgs {
    /// The next revision of the agreement: another agency, purpose or pair, other budgets or dates
    Agreement {
        /// The whole document, as TOML or JSON
        file: PathBuf,
    },
    /// A later epoch, with another linkage key
    Epoch {
        /// Its number
        epoch: Epoch,
    },
    /// Another party as the broker
    Broker {
        /// Which
        agency: AgencyId,
    },
    /// Open a shielded record of your own for a time
    Unshield {
        /// Your own id of the record, as it stands in your extract
        record: String,
        /// When the shield returns
        #[arg(long, value_name = "TIME")]
        until: UtcTime,
    },
    /// Let the figures of a run leave the centre
    Release {
        /// The run that the operator's tables name
        run: RunId,
    },
    /// A further key of an agency; carried out by that agency, whom its secret is shown once
    Key {
        /// submitter, requester, front_door, reviewer, approver or auditor; repeat for more
        #[arg(long = "role", required = true)]
        roles: Vec<Role>,
        /// Whose; your own, unless you are the operator
        #[arg(long)]
        agency: Option<AgencyId>,
        /// When it stops working
        #[arg(long, value_name = "TIME")]
        expires: Option<UtcTime>,
        /// Who or what holds it
        #[arg(long)]
        label: Option<Line>,
    },
    /// Take your agency out of the project; nothing of it stays
    Withdrawal,
    /// End the project; its encodings cannot be read again
    Closure,
}

/// A centre, a project there, and the workspace if there is one.
struct At {
    client: Client,
    project: ProjectId,
    workspace: Option<Workspace>,
}

impl AtArgs {
    fn opened(&self) -> Result<At, Failure> {
        let (Some(address), Some(key), Some(project)) = (&self.service, &self.api_key, &self.project) else {
            let workspace = Workspace::open(&self.workspace).or_exit(Exit::BadInput)?;
            let (client, project) = (client(&workspace)?, workspace.config.project.clone());
            return Ok(At { client, project, workspace: Some(workspace) });
        };
        service_address(address).or_exit(Exit::Usage)?;
        let text = read_private(key).map_err(key_failure)?;
        let token = ApiToken::parse(&text).or_exit_with(Exit::Refused, key.display())?;
        let tls = ClientTls { authority: self.ca_certificate.clone(), identity: None };
        let client = Client::new(address, token, &tls).or_exit(Exit::BadInput)?;
        let client = client.acting_for(&super::account::name());
        Ok(At { client, project: project.clone(), workspace: None })
    }
}

impl At {
    fn path(&self, rest: &str) -> String {
        format!("/v1/projects/{}/{rest}", self.project)
    }
    fn post(&self, rest: &str, body: &Value) -> Result<Value, Failure> {
        self.client.post(&self.path(rest), body, None).map_err(client_failure)
    }
    fn own(&self) -> Result<&Workspace, Failure> {
        let missing = || Failure::new(Exit::Usage, "this is an agency's own to propose: use its --workspace");
        self.workspace.as_ref().ok_or_else(missing)
    }
}

pub(crate) fn approvals(args: &ApprovalsArgs, terminal: Terminal) -> Outcome {
    let at = args.at.opened()?;
    let word = |args: &WordArgs, what: &str| {
        at.post(&format!("approvals/{}/{what}", args.id), &json!({"reason": args.reason}))
    };
    match &args.command {
        Command::List => list(&at, terminal),
        Command::Show(args) => {
            let path = at.path(&format!("approvals/{}", args.id));
            show(&at.client.get(&path).map_err(client_failure)?, terminal)
        }
        Command::Propose { matter, reason, hours } => {
            let Some(reason) = reason else {
                return Err(Failure::new(Exit::Usage, "say why: --reason LINE"));
            };
            let mut body = proposal(&at, matter)?;
            body["reason"] = json!(reason);
            if let Some(hours) = hours {
                body["hours"] = json!(hours);
            }
            show(&at.post("approvals", &body)?, terminal)
        }
        Command::Approve(args) => show(&word(args, "approve")?, terminal),
        Command::Refuse(args) => show(&word(args, "refuse")?, terminal),
        Command::Withdraw(args) => show(&word(args, "withdraw")?, terminal),
        Command::CarryOut { id, out } => carry_out(&at, &id.id, out.as_ref(), terminal),
    }
}

/// What the centre is asked to decide.
fn proposal(at: &At, matter: &MatterArgs) -> Result<Value, Failure> {
    let matter = match matter {
        MatterArgs::Agreement { file } => {
            let text = read_text(file, limits::CONFIG_BYTES_MAX)?;
            let read = |_| toml::from_str::<Value>(&text).or_exit_with(Exit::BadInput, file.display());
            let document: Value = serde_json::from_str(&text).or_else(read)?;
            return Ok(json!({"document": document}));
        }
        MatterArgs::Epoch { epoch } => json!({"kind": "epoch_change", "to": epoch}),
        MatterArgs::Broker { agency } => json!({"kind": "broker", "agency": agency}),
        MatterArgs::Unshield { record, until } => {
            let config = &at.own()?.config;
            let key = AgencyKey::read(&config.agency_key).map_err(key_failure)?;
            let record = key.refs(&config.agency, &config.project).record_ref(record);
            json!({"kind": "unshield", "agency": config.agency, "record": record, "until": until})
        }
        MatterArgs::Release { run } => json!({"kind": "release", "run": run}),
        MatterArgs::Key { roles, agency, expires, label } => {
            let agency = match agency {
                Some(agency) => agency.clone(),
                None => at.own()?.config.agency.clone(),
            };
            let mut key = json!({"kind": "key", "agency": agency, "roles": roles});
            if let Some(expires) = expires {
                key["expires"] = json!(expires);
            }
            if let Some(label) = label {
                key["label"] = json!(label);
            }
            key
        }
        MatterArgs::Withdrawal => json!({"kind": "withdrawal", "agency": at.own()?.config.agency}),
        MatterArgs::Closure => json!({"kind": "closure"}),
    };
    Ok(json!({"matter": matter}))
}

/// A withdrawal and a closure are carried out by requests of their own, which give a signed statement.
fn carry_out(at: &At, id: &str, out: Option<&PathBuf>, terminal: Terminal) -> Outcome {
    let path = format!("approvals/{id}");
    let decision: Value = at.client.get(&at.path(&path)).map_err(client_failure)?;
    let matter = &decision["approval"]["matter"];
    let (request, body) = match matter["kind"].as_str() {
        Some("withdrawal") => ("withdrawal", json!({"agency": matter["agency"], "approval": id})),
        Some("closure") => ("closure", json!({"project": at.project, "approval": id})),
        _ => return show(&at.post(&format!("{path}/carry-out"), &json!({}))?, terminal),
    };
    let Some(out) = out else {
        return Err(Failure::new(Exit::Usage, "say where the signed statement is to be written: --out FILE"));
    };
    let statement = at.post(request, &body)?;
    write_json(out, &statement)?;
    terminal.line(format!("done; statement: {}", out.display()))?;
    Ok(Exit::Done)
}

fn list(at: &At, terminal: Terminal) -> Outcome {
    let (mut all, mut query): (Vec<Value>, _) = (Vec::new(), "limit=500".to_owned());
    loop {
        let path = at.path(&format!("approvals?{query}"));
        let mut page: Value = at.client.get(&path).map_err(client_failure)?;
        if let Some(found) = page["approvals"].as_array_mut() {
            all.append(found);
        }
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=500&cursor={next}");
    }
    if terminal.json {
        terminal.report(&all)?;
    } else if all.is_empty() {
        terminal.line("nothing was proposed")?;
    } else {
        terminal.line(table(["id", "state", "what", "proposed by", "lapses"], all.iter().map(row)))?;
    }
    Ok(Exit::Done)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn row(decision: &Value) -> [String; 5] {
    let approval = &decision["approval"];
    let by = who(&approval["steps"][0]["by"]);
    [
        text(&decision["id"]),
        text(&decision["state"]),
        what(&approval["matter"]),
        by,
        text(&approval["lapses"]),
    ]
}

/// A matter in words: its kind, then what it is about.
fn what(matter: &Value) -> String {
    let about = ["agency", "to", "revision", "run", "record", "until"];
    let about = about.iter().map(|field| &matter[*field]).filter(|value| !value.is_null());
    let words: Vec<String> = [&matter["kind"]].into_iter().chain(about).map(text).collect();
    words.join(" ").replace('_', " ")
}

fn who(by: &Value) -> String {
    let agency = by["agency"].as_str().unwrap_or("the centre");
    by["actor"].as_str().map_or_else(|| "the clock".to_owned(), |actor| format!("{actor} of {agency}"))
}

fn show(decision: &Value, terminal: Terminal) -> Outcome {
    if terminal.json {
        terminal.report(decision)?;
        return Ok(Exit::Done);
    }
    let approval = &decision["approval"];
    if let Some(token) = decision["token"].as_str() {
        terminal.line(format!("{token}\nthis key is shown this once: keep it safe"))?;
    }
    let (id, state, matter) = (text(&decision["id"]), text(&decision["state"]), what(&approval["matter"]));
    terminal.line(format!("{id}: {state}\n{matter}; lapses {}", text(&approval["lapses"])))?;
    let steps = approval["steps"].as_array().map_or(&[][..], Vec::as_slice).iter();
    let rows = steps.map(|step| {
        [
            text(&step["at"]),
            text(&step["state"]),
            who(&step["by"]),
            step["reason"].as_str().map_or_else(String::new, ToOwned::to_owned),
        ]
    });
    terminal.line(table(["when", "became", "by", "because"], rows))?;
    Ok(Exit::Done)
}
