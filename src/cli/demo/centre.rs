//! The demo's centre: started in this process, set up over HTTP as an operator does.

use super::super::exit::{Exit, Failure, OrExit, Outcome};
use super::super::term::Terminal;
use super::super::workspace::client_failure;
use crate::agency::client::{ApiToken, Client, ClientTls};
use crate::agency::schema::Schema;
use crate::config::central::CentralConfig;
use crate::service::server::{Running, start_with};
use crate::store::{SledStore, system_clock};
use crate::wire::messages::{
    AgencyMessage, AgencyPut, ContactPoint, KeyCreate, KeyCreated, KeyScope, Line, PartyList, ProjectCreate,
    ProjectMessage, Role,
};
use crate::wire::{AgencyId, Epoch, ProjectId, PurposeCode};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The demo's project.
pub(super) const PROJECT: &str = "demo";

/// A running centre and its operator.
pub(super) struct Centre {
    running: Running,
    config: CentralConfig,
    operator: Client,
    project: ProjectId,
    key: String,
}

/// One agency's connection.
pub(super) struct Party {
    pub(super) agency: AgencyId,
    pub(super) client: Client,
}

/// What a stopped centre leaves behind.
pub(super) struct Stopped {
    config: CentralConfig,
    key: String,
}

impl Stopped {
    /// Where it stored.
    pub(super) fn data(&self) -> &Path {
        &self.config.data_dir
    }
}

/// The purpose the demo asks for.
pub(super) fn purpose() -> Result<PurposeCode, Failure> {
    "safeguarding".parse().or_exit(Exit::Internal)
}

fn line(text: &str) -> Result<Line, Failure> {
    text.parse().or_exit(Exit::Internal)
}

fn run(config: &CentralConfig, signals: bool) -> Result<Running, Failure> {
    let store = SledStore::open(&config.data_dir, config.cache_mib).or_exit(Exit::StoreDamaged)?;
    start_with(config, Arc::new(store), system_clock(), signals).or_exit(Exit::Internal)
}

impl Centre {
    /// Starts a centre on a data directory that does not exist yet and opens the project.
    pub(super) fn start(data: &Path, schema: &Schema) -> Result<Self, Failure> {
        let mut config = CentralConfig { data_dir: PathBuf::from(data), ..CentralConfig::default() };
        config.listen.set_port(0);
        let running = run(&config, false)?;
        let address = format!("http://{}", running.addr());
        let key = running.first_key().map(|key| key.expose());
        let key = key.ok_or_else(|| Failure::new(Exit::Internal, "the centre printed no first key"))?;
        let operator =
            Client::new(&address, ApiToken::parse(&key).or_exit(Exit::Internal)?, &ClientTls::default());
        let project: ProjectId = PROJECT.parse().or_exit(Exit::Internal)?;
        let centre = Self { running, config, operator: operator.or_exit(Exit::Internal)?, project, key };
        let project = ProjectCreate {
            id: centre.project.clone(),
            title: line("Demonstration")?,
            schema: line(&schema.title())?,
            schema_fingerprint: schema.fingerprint(),
            layout: (**schema.layout()).clone(),
            decision: schema.decision().clone(),
            epoch: Epoch::FIRST,
            key_check: None,
            purposes: vec![purpose()?],
            ends: None,
        };
        centre.operator.post::<ProjectMessage>("/v1/projects", &project, None).map_err(client_failure)?;
        Ok(centre)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &str {
        self.operator.address()
    }

    /// The operator's connection.
    pub(super) fn operator(&self) -> &Client {
        &self.operator
    }

    /// The project's id.
    pub(super) fn project(&self) -> &ProjectId {
        &self.project
    }

    /// Registers an agency, makes it a party of the project and gives it an API key.
    pub(super) fn join(&self, agency: &AgencyId) -> Result<Party, Failure> {
        let name = agency.as_str().replace('_', " ");
        let put = AgencyPut {
            name: line(&name)?,
            contact: ContactPoint {
                team: line(&format!("{name} duty desk"))?,
                telephone: Some(line("0191 498 0000")?), // a range kept for drama and examples
                mail: None,
                hours: Some(line("Monday to Friday, 8 to 18")?),
                out_of_hours: Some(line("0191 498 0999")?),
            },
            certificates: None,
        };
        let path = format!("/v1/agencies/{agency}");
        self.operator.put::<AgencyMessage>(&path, &put).map_err(client_failure)?;
        let path = format!("/v1/projects/{PROJECT}/agencies/{agency}");
        self.operator.put::<PartyList>(&path, &serde_json::json!({})).map_err(client_failure)?;
        let create = KeyCreate {
            scope: KeyScope::Agency { agency: agency.clone(), project: self.project.clone() },
            roles: vec![Role::Submitter, Role::Requester],
            expires: None,
            label: Some(line("demo")?),
        };
        let created: KeyCreated = self.operator.post("/v1/keys", &create, None).map_err(client_failure)?;
        let token = ApiToken::parse(&created.token).or_exit(Exit::Internal)?;
        let client = Client::new(self.address(), token, &ClientTls::default())
            .or_exit(Exit::Internal)?
            .acting_for("demo");
        Ok(Party { agency: agency.clone(), client })
    }

    /// Stops the centre, so that everything it has stands in its files.
    pub(super) fn stop(self) -> Result<Stopped, Failure> {
        self.running.stop().or_exit(Exit::Internal)?;
        Ok(Stopped { config: self.config, key: self.key })
    }
}

/// Starts the stopped centre again and leaves it running until it is interrupted.
pub(super) fn keep(stopped: &Stopped, terminal: Terminal) -> Outcome {
    let running = run(&stopped.config, true)?;
    terminal.tell(format!("\nThe operator's console: http://{}/console", running.addr()))?;
    terminal.tell(format!("Sign in with the operator's key of this demo: {}", stopped.key))?;
    terminal.tell("Ctrl-C ends it and removes everything.")?;
    running.wait().or_exit(Exit::Internal)?;
    Ok(Exit::Done)
}
