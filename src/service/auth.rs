//! Who may do what: deny by default, and every operation demands the proof.
//!
//! A request's key becomes an [`Actor`]; an actor with the right role in the right place becomes a grant.
//! Grants have no other constructor, and operations take a grant, so that none can be reached without the
//! check. A project or record that is foreign to the key is answered exactly as one that does not exist.

use super::error::ApiError;
use crate::ledger::Actor as User;
use crate::store::{KeyRecord, NewEvent, ProjectRecord, Token, Vault};
use crate::wire::messages::{KeyScope, Role, WhoAmI};
use crate::wire::{AgencyId, KeyId, ProjectId};
use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use std::marker::PhantomData;
use std::sync::Arc;

/// Longest `Authorization` header that is looked at.
const HEADER_BYTES_MAX: usize = 256;

/// The header in which an agency's desk names the member of staff who acts.
pub const USER_HEADER: &str = "acting-user";

/// Something a role allows.
pub trait Permission: Send + Sync + 'static {
    /// The roles that allow it.
    const ROLES: &'static [Role];
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident: $($role:ident),+;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;
        impl Permission for $name {
            const ROLES: &'static [Role] = &[$(Role::$role),+];
        }
    )+};
}

permissions! {
    /// Opens projects, registers agencies, issues keys, begins epochs.
    Operate: Operator;
    /// Reads what a project is and who its parties are.
    ReadProject: Submitter, Requester, FrontDoor, Reviewer, Approver, Auditor, Operator;
    /// Uploads its own agency's encodings.
    Submit: Submitter;
    /// Reads which datasets there are: its own agency's, or all.
    ReadDatasets: Submitter, Auditor, Operator;
    /// Starts a run.
    StartRun: Submitter, Operator;
    /// Stops a run.
    StopRun: Operator;
    /// Reads its own agency's links.
    ReadLinks: Requester, Reviewer;
    /// Asks about its own agency's records.
    Ask: Requester;
    /// Asks about somebody who is not on its own system.
    AskFrontDoor: FrontDoor;
    /// Reads checkpoints and proofs of the ledger.
    ReadLedger: Submitter, Requester, FrontDoor, Reviewer, Approver, Auditor, Operator;
    /// Takes the ledger away: its own agency's entries in full, the others' as hashes; or all.
    ExportLedger: Approver, Auditor, Operator;
    /// Reads who asked about its own agency's records.
    ReadAsked: Requester, Reviewer, Approver;
    /// Co-signs the ledger's checkpoints for its agency.
    Witness: Approver;
    /// Marks its own agency's decoys, and looks a second time at its front door's questions.
    Supervise: Approver;
    /// Proposes, approves and carries out what two people decide.
    Decide: Approver, Operator;
    /// Reads alerts.
    ReadAlerts: Auditor, Operator;
    /// Has its own agency's records erased.
    EraseRecords: Submitter;
    /// Reads everything held of its own agency's records.
    ReadHeld: Submitter, Approver;
    /// Takes its agency out of the project.
    Withdraw: Approver;
    /// Reads counts.
    ReadAggregates: Approver, Auditor, Operator;
    /// Reads events: its own agency's, or all.
    ReadEvents: Auditor, Operator;
    /// Says who may learn of its own agency's records.
    Shield: Submitter, Reviewer, Approver;
    /// Reads which of its own agency's records are not simply open.
    ReadShields: Submitter, Reviewer, Approver;
    /// Judges uncertain pairs of its own agency.
    Review: Reviewer;
    /// Keeps records of its own agency from being linked with others.
    KeepApart: Submitter, Reviewer, Approver;
    /// Reads which of its own questions were referred to the broker, and as the broker all of them.
    ReadReferrals: Requester, Reviewer, Approver;
    /// Answers or declines, as the broker, what was referred to it.
    AnswerReferrals: Reviewer, Approver;
    /// Reads what it is told of: its own agency, or the operator.
    ReadNotices: Reviewer, Approver, Auditor, Operator;
    /// Reads how many pairs wait for a review.
    ReadBacklog: Reviewer, Auditor, Operator;
    /// Reads the service's own figures.
    ReadMetrics: Auditor, Operator;
}

/// The holder of a valid key.
#[derive(Debug, Clone)]
pub struct Actor {
    key: KeyRecord,
    user: Option<User>,
}

impl Actor {
    /// The key's id.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.key.id
    }
    /// The key's agency; none for a key of the centre.
    #[must_use]
    pub fn agency(&self) -> Option<&AgencyId> {
        match &self.key.scope {
            KeyScope::Centre => None,
            KeyScope::Agency { agency, .. } => Some(agency),
        }
    }
    /// The key's project; none for a key of the centre.
    #[must_use]
    pub fn project(&self) -> Option<&ProjectId> {
        match &self.key.scope {
            KeyScope::Centre => None,
            KeyScope::Agency { project, .. } => Some(project),
        }
    }
    /// The member of staff who acts, as the agency's desk asserts in [`USER_HEADER`].
    ///
    /// # Errors
    /// [`ApiError::UserMissing`] when the request did not say.
    pub fn user(&self) -> Result<&User, ApiError> {
        self.user.as_ref().ok_or(ApiError::UserMissing)
    }
    /// The holder of a session of the console, whose user is known by its key alone.
    pub(super) fn by_key(self) -> Self {
        Self { user: self.key.id.as_str().parse().ok(), ..self }
    }
    /// The first of the key's roles that allows `P`, for the ledger.
    #[must_use]
    pub fn role<P: Permission>(&self) -> Option<Role> {
        P::ROLES.iter().copied().find(|role| self.key.roles.contains(role))
    }
    /// An event of `action` by this actor.
    #[must_use]
    pub fn event(&self, action: &str) -> NewEvent {
        NewEvent::new(action).by(Some(self.key()), self.agency())
    }
    /// The key as its holder may see it.
    #[must_use]
    pub fn who(&self) -> WhoAmI {
        WhoAmI {
            key: self.key.id.clone(),
            scope: self.key.scope.clone(),
            roles: self.key.roles.clone(),
            expires: self.key.expires,
        }
    }
    fn check<P: Permission>(&self) -> Result<(), ApiError> {
        if self.key.roles.iter().any(|role| P::ROLES.contains(role)) {
            return Ok(());
        }
        let names: Vec<&str> = P::ROLES.iter().map(|role| role.name()).collect();
        Err(ApiError::Forbidden(names.join(" or ")))
    }
}

/// Proof that the actor may do `P` at the centre.
#[derive(Debug, Clone)]
pub struct CentreGrant<P> {
    actor: Actor,
    permission: PhantomData<P>,
}

/// Proof that the actor may do `P` in this project.
#[derive(Debug, Clone)]
pub struct ProjectGrant<P> {
    actor: Actor,
    project: Arc<ProjectRecord>,
    permission: PhantomData<P>,
}

/// Proof that the actor may do `P` in this project for its agency.
#[derive(Debug, Clone)]
pub struct AgencyGrant<P> {
    actor: Actor,
    project: Arc<ProjectRecord>,
    agency: AgencyId,
    permission: PhantomData<P>,
}

impl<P> CentreGrant<P> {
    /// Who.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }
}
impl<P> ProjectGrant<P> {
    /// Who.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }
    /// Where.
    #[must_use]
    pub fn project(&self) -> &ProjectRecord {
        &self.project
    }
}
impl<P> AgencyGrant<P> {
    /// Who.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }
    /// Where.
    #[must_use]
    pub fn project(&self) -> &ProjectRecord {
        &self.project
    }
    /// For whom.
    #[must_use]
    pub fn agency(&self) -> &AgencyId {
        &self.agency
    }
}

/// The holder of the request's key.
///
/// # Errors
/// [`ApiError::Unauthenticated`] without a valid key, in whatever way it is invalid; [`ApiError::Certificate`].
pub fn authenticate(vault: &Vault, request: &HttpRequest) -> Result<Actor, ApiError> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(ApiError::Unauthenticated);
    };
    let text = header.to_str().ok().filter(|text| text.len() <= HEADER_BYTES_MAX);
    let token = text.and_then(|text| text.strip_prefix("Bearer "));
    let actor = actor_of(vault, token.unwrap_or_default())?;
    super::tls::client::check(vault, &actor, request)?;
    Ok(Actor { user: acting_user(request)?, ..actor })
}

/// Who acts through the key, if the request says so.
fn acting_user(request: &HttpRequest) -> Result<Option<User>, ApiError> {
    let mut headers = request.headers().get_all(USER_HEADER);
    let user = match (headers.next(), headers.next()) {
        (None, _) => return Ok(None),
        (Some(header), None) => header.to_str().ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    let rule = "Acting-User is an account name of 1 to 64 characters of A-Z, a-z, 0-9 and . - _ + @";
    user.map(Some).ok_or_else(|| ApiError::Malformed(rule.to_owned()))
}

/// The holder of a key given as text.
///
/// # Errors
/// [`ApiError::Unauthenticated`].
pub fn actor_of(vault: &Vault, token: &str) -> Result<Actor, ApiError> {
    let token: Token = token.trim().parse().map_err(|_| ApiError::Unauthenticated)?;
    let key = vault.authenticate(&token)?.ok_or(ApiError::Unauthenticated)?;
    Ok(Actor { key, user: None })
}

/// The holder of a key by its id, for a session that was begun with the whole key.
///
/// # Errors
/// [`ApiError::Unauthenticated`] when it was revoked or expired since.
pub(super) fn actor_again(vault: &Vault, id: &KeyId) -> Result<Actor, ApiError> {
    let now = vault.now();
    let valid = |key: &KeyRecord| key.revoked.is_none() && key.expires.is_none_or(|expires| now < expires);
    let key = vault.key(id)?.filter(valid).ok_or(ApiError::Unauthenticated)?;
    Ok(Actor { key, user: None })
}

/// Lets an actor do `P` at the centre.
///
/// # Errors
/// [`ApiError::Forbidden`].
pub fn centre<P: Permission>(actor: Actor) -> Result<CentreGrant<P>, ApiError> {
    actor.check::<P>()?;
    if actor.agency().is_some() {
        return Err(ApiError::Forbidden("operator or auditor of the centre".to_owned()));
    }
    Ok(CentreGrant { actor, permission: PhantomData })
}

/// Lets an actor do `P` in the project named in the path.
///
/// # Errors
/// [`ApiError::NotFound`] for an unknown project and for a foreign one; then [`ApiError::Forbidden`].
pub fn project<P: Permission>(
    vault: &Vault,
    actor: Actor,
    project: &str,
) -> Result<ProjectGrant<P>, ApiError> {
    let id: ProjectId = project.parse().map_err(|_| ApiError::NotFound)?;
    if actor.project().is_some_and(|own| *own != id) {
        return Err(ApiError::NotFound);
    }
    let project = vault.shared_project(&id)?.ok_or(ApiError::NotFound)?;
    actor.check::<P>()?;
    Ok(ProjectGrant { actor, project, permission: PhantomData })
}

/// Lets an actor do `P` for its agency in the project named in the path.
///
/// # Errors
/// As [`project`]; [`ApiError::Forbidden`] for a key of the centre.
pub fn for_party<P: Permission>(
    vault: &Vault,
    actor: Actor,
    project: &str,
) -> Result<AgencyGrant<P>, ApiError> {
    let grant = self::project::<P>(vault, actor, project)?;
    let Some(agency) = grant.actor.agency().cloned() else {
        return Err(ApiError::Forbidden("of an agency".to_owned()));
    };
    Ok(AgencyGrant { agency, actor: grant.actor, project: grant.project, permission: PhantomData })
}
