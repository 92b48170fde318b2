//! Signing in and out of the console: with an operator's or auditor's key of the centre, or with an agency's
//! reviewer's key, which opens the reviewer's pages and no other.

use super::super::auth::{
    Actor, AgencyGrant, CentreGrant, ReadMetrics, Review, actor_again, actor_of, centre, for_party,
};
use super::super::body::{blocking, bytes, media_type};
use super::super::error::ApiError;
use super::super::state::{Centre, State};
use super::super::tls::client;
use super::{COOKIE_NAME, html};
use crate::wire::KeyId;
use actix_web::http::header::{COOKIE, LOCATION, SET_COOKIE};
use actix_web::web::{Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

const FORM_BYTES_MAX: usize = 1_024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    key: String,
}

/// Who is signed in; none sends the reader to the form.
pub(super) fn signed_in(
    centre_state: &Centre,
    request: &HttpRequest,
) -> Result<Option<CentreGrant<ReadMetrics>>, ApiError> {
    match session_actor(centre_state, request)? {
        Some(actor) if actor.agency().is_none() => centre(actor).map(Some),
        _ => Ok(None),
    }
}

/// The holder of the session's key, of the centre or of an agency.
pub(super) fn session_actor(centre_state: &Centre, request: &HttpRequest) -> Result<Option<Actor>, ApiError> {
    let vault = &centre_state.vault;
    let Some(value) = cookie(request) else { return Ok(None) };
    let Some(key) = centre_state.sessions.key(value, vault.now()) else { return Ok(None) };
    // A key bound to certificates is worth nothing here either without one of them.
    let bound = |actor: Actor| client::check(vault, &actor, request).map(|()| actor);
    match actor_again(vault, &key).and_then(bound) {
        Ok(actor) => Ok(Some(actor)),
        Err(ApiError::Unauthenticated | ApiError::Certificate) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The session's cookie, if the request has one.
fn cookie(request: &HttpRequest) -> Option<&str> {
    let header = request.headers().get(COOKIE)?.to_str().ok()?;
    let mut pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
}

/// A cookie for the console's own pages, unseen by scripts, never sent from another site.
fn set_cookie(state: &Centre, value: &str, seconds: u32) -> String {
    let secure = if state.sessions.secure { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={value}; Path=/console; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

pub(super) fn to(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, path)).finish()
}

pub(super) fn html_page(status: u16, page: String) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
    HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header(("cache-control", "no-store"))
        .body(page)
}

fn form_page(status: u16, error: Option<&str>) -> HttpResponse {
    let (summary, message, described) = match error {
        Some(error) => (
            format!(
                "<div class=\"error-summary\" role=\"alert\"><h2>There is a problem</h2>\
                 <p><a href=\"#key\">{error}</a></p></div>"
            ),
            format!("<p class=\"error\" id=\"key-error\"><span class=\"hidden\">Error:</span> {error}</p>"),
            " key-error",
        ),
        None => (String::new(), String::new(), ""),
    };
    let body = format!(
        "{summary}<h1>Sign in</h1><form method=\"post\" action=\"/console/sign-in\" novalidate>\
         <label for=\"key\">Key</label>\
         <p class=\"hint\" id=\"key-hint\">An operator's or auditor's key of the centre, or a reviewer's key of an \
         agency, as it was shown when it was issued</p>\
         {message}<input id=\"key\" name=\"key\" type=\"password\" autocomplete=\"off\" spellcheck=\"false\" \
         aria-describedby=\"key-hint{described}\"><button>Sign in</button></form>"
    );
    html_page(status, html::page(if error.is_some() { "Error: sign in" } else { "Sign in" }, false, &body))
}

pub(in crate::service) async fn form() -> Result<HttpResponse, ApiError> {
    Ok(form_page(200, None))
}

/// Refuses a form that another site sent.
pub(super) fn same_site(request: &HttpRequest) -> Result<(), ApiError> {
    match request.headers().get("sec-fetch-site").map(|value| value.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(ApiError::Malformed("this form must be sent from the console itself".to_owned())),
    }
}

pub(in crate::service) async fn sign_in(
    state: State,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    same_site(&request)?;
    media_type(&request, "application/x-www-form-urlencoded")?;
    let body = bytes(&request, payload, FORM_BYTES_MAX).await?;
    let wrong = || ApiError::Malformed("the form has one field, key".to_owned());
    let text = std::str::from_utf8(&body).map_err(|_| wrong())?;
    let form = Query::<SignIn>::from_query(text).map_err(|_| wrong())?.into_inner();
    let token = zeroize::Zeroizing::new(form.key);
    let (key, home) = match open(&state, &request, token).await {
        Ok(signed) => signed,
        Err(ApiError::Unauthenticated | ApiError::Forbidden(_)) => {
            return Ok(form_page(401, Some("Enter a valid key of the centre or of a reviewer")));
        }
        Err(ApiError::Certificate) => {
            let why = "This key holds with a certificate of its agency only: choose it in the browser, and try again";
            return Ok(form_page(401, Some(why)));
        }
        Err(error) => return Err(error),
    };
    let begun = state.sessions.begin(&key, state.vault.now());
    let value = begun.ok_or_else(|| ApiError::Internal("no random bytes for a session".to_owned()))?;
    Ok(HttpResponse::SeeOther()
        .insert_header((LOCATION, home))
        .insert_header((SET_COOKIE, set_cookie(&state, &value, super::SESSION_HOURS * 3_600)))
        .finish())
}

/// The key of a token, and the page its holder begins at; on a connection on which the key may be used.
async fn open(
    state: &State,
    request: &HttpRequest,
    token: zeroize::Zeroizing<String>,
) -> Result<(KeyId, &'static str), ApiError> {
    let shared = state.clone();
    let actor = blocking(move || actor_of(&shared.vault, &token)).await?;
    client::check(&state.vault, &actor, request)?;
    let shared = state.clone();
    let signed = blocking(move || {
        let (actor, home) = match actor.project().map(ToString::to_string) {
            Some(project) => {
                let grant: AgencyGrant<Review> = for_party(&shared.vault, actor, &project)?;
                (grant.actor().clone(), "/console/reviews")
            }
            None => {
                let grant: CentreGrant<ReadMetrics> = centre(actor)?;
                (grant.actor().clone(), "/console")
            }
        };
        shared.vault.record(actor.event("console_signed_in"))?;
        Ok((actor.key().clone(), home))
    });
    signed.await
}

pub(in crate::service) async fn sign_out(
    state: State,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    same_site(&request)?;
    if let Some(value) = cookie(&request) {
        state.sessions.end(value);
    }
    Ok(HttpResponse::SeeOther()
        .insert_header((LOCATION, "/console/sign-in"))
        .insert_header((SET_COOKIE, set_cookie(&state, "", 0)))
        .finish())
}
