//! API keys: issued and revoked by the operator; everybody may ask what their own key is.

use super::Answered;
use crate::service::agreements;
use crate::service::approver_key;
use crate::service::auth::{Operate, authenticate, centre};
use crate::service::body::{answer, blocking, json, page};
use crate::service::error::ApiError;
use crate::service::state::State;
use crate::store::{KeyRecord, NewEvent, StoreError, Token, Vault};
use crate::wire::KeyId;
use crate::wire::messages::{KeyCreate, KeyCreated, KeyList, KeyMessage, KeyScope, Role};
use actix_web::HttpRequest;
use actix_web::web::{Path, Payload};

pub(in crate::service) fn message(key: KeyRecord) -> KeyMessage {
    KeyMessage {
        id: key.id,
        scope: key.scope,
        roles: key.roles,
        created: key.created,
        expires: key.expires,
        revoked: key.revoked,
        label: key.label,
    }
}

/// Checks that a new key makes sense: its roles fit its scope, its agency is a party of its project.
///
/// # Errors
/// [`ApiError::Rule`] says what does not fit.
pub(in crate::service) fn check_new(vault: &Vault, new: &KeyCreate) -> Result<(), ApiError> {
    if new.roles.is_empty() || new.roles.len() > Role::ALL.len() {
        return Err(ApiError::Rule("a key has at least one role, each once"));
    }
    let central = |role: &Role| matches!(role, Role::Operator | Role::Auditor);
    match &new.scope {
        KeyScope::Centre if new.roles.iter().all(central) => Ok(()),
        KeyScope::Centre => Err(ApiError::Rule("a key of the centre is an operator's or an auditor's")),
        KeyScope::Agency { .. } if new.roles.contains(&Role::Operator) => {
            Err(ApiError::Rule("an agency's key can not be an operator's"))
        }
        KeyScope::Agency { agency, project } if !vault.is_party(project, agency)? => {
            Err(ApiError::Rule("the agency is not a party of the project: let it join first"))
        }
        KeyScope::Agency { .. } => Ok(()),
    }
}

/// Issues a key as one person may: once a project has an agreement, the first of an agency alone. Two people admitted
/// the agency; whoever issued its further keys alone could speak for it.
///
/// # Errors
/// [`ApiError::Rule`] says what does not fit, or the store's.
pub(in crate::service) fn issue_alone(
    vault: &Vault,
    new: &KeyCreate,
    event: NewEvent,
) -> Result<(Token, KeyRecord), ApiError> {
    const NOT_FIRST: ApiError = ApiError::Rule(
        "this agency has had a key, and the project has an agreement: two people must decide, propose the key",
    );
    check_new(vault, new)?;
    let first = match &new.scope {
        KeyScope::Agency { agency, project } if agreements::approved(vault, project)?.is_some() => {
            if vault.keys_of(project, agency)?.0 {
                return Err(NOT_FIRST);
            }
            true
        }
        _ => false,
    };
    match vault.issue_key(new, first, event) {
        Err(StoreError::Conflict) if first => Err(NOT_FIRST),
        issued => Ok(issued?),
    }
}

pub(in crate::service) async fn whoami(state: State, request: HttpRequest) -> Answered {
    answer(&request, 200, &authenticate(&state.vault, &request)?.who())
}

pub(in crate::service) async fn list(state: State, request: HttpRequest) -> Answered {
    let _grant = centre::<Operate>(authenticate(&state.vault, &request)?)?;
    let page = page::<KeyId>(&request)?;
    let found = blocking(move || Ok(state.vault.keys(page.cursor.as_ref(), page.limit)?)).await?;
    let next = if found.len() == page.limit { found.last().map(|key| key.id.to_string()) } else { None };
    answer(&request, 200, &KeyList { keys: found.into_iter().map(message).collect(), next })
}

pub(in crate::service) async fn issue(state: State, request: HttpRequest, payload: Payload) -> Answered {
    let grant = centre::<Operate>(authenticate(&state.vault, &request)?)?;
    let new: KeyCreate = json(&request, payload).await?;
    let issued = blocking(move || match approver_key::called_for(&state.vault, &new)? {
        Some((project, agency)) => approver_key::issue(&state, &grant, (&project, &agency), &new),
        None => issue_alone(&state.vault, &new, grant.actor().event("key_issued")),
    });
    let (token, key) = issued.await?;
    answer(&request, 201, &KeyCreated { token: token.expose(), key: message(key) })
}

pub(in crate::service) async fn revoke(state: State, request: HttpRequest, path: Path<String>) -> Answered {
    let grant = centre::<Operate>(authenticate(&state.vault, &request)?)?;
    let id: KeyId = path.parse().map_err(|_| ApiError::NotFound)?;
    let revoked = blocking(move || Ok(state.vault.revoke_key(&id, grant.actor().event("key_revoked"))?));
    answer(&request, 200, &message(revoked.await?.ok_or(ApiError::NotFound)?))
}
