//! A reviewer's pages: what waits, one pair, and the word about it. Forms only, no script.
//!
//! A reviewer signs in with a key of its agency and sees its own refs, words and warnings, as over HTTP.

use super::super::auth::{AgencyGrant, Review, for_party};
use super::super::body::{blocking, bytes, media_type};
use super::super::error::ApiError;
use super::super::review;
use super::super::state::State;
use super::html::{page, table, text, time};
use super::sign::{html_page, same_site, session_actor, to};
use crate::wire::LinkReference;
use crate::wire::messages::{
    ContactPoint, Line, ReviewDecide, ReviewMessage, ReviewState, ReviewVerdict, Why,
};
use actix_web::web::{Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use std::fmt::Write;

const ROWS_MAX: usize = 100;
const FORM_BYTES_MAX: usize = 1_024;
/// The reasons that fit a review, as they are offered.
const REASONS: [Why; 8] = [
    Why::SpokeToAgency,
    Why::DocumentsSeen,
    Why::FamilyKnown,
    Why::Twins,
    Why::Siblings,
    Why::DataError,
    Why::NotEnoughKnown,
    Why::DecidedWrongly,
];

/// The reviewer of this session; none sends the reader to the form.
fn reviewer(state: &State, request: &HttpRequest) -> Result<Option<AgencyGrant<Review>>, ApiError> {
    let Some(actor) = session_actor(state, request)? else { return Ok(None) };
    let Some(project) = actor.project().map(ToString::to_string) else { return Ok(None) };
    for_party(&state.vault, actor.by_key(), &project).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    state: Option<String>,
}

pub(in crate::service) async fn list(state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let Some(grant) = reviewer(&state, &request)? else { return Ok(to("/console/sign-in")) };
    let query = Query::<ListQuery>::from_query(request.query_string()).ok();
    let wanted = query.and_then(|query| query.state.as_deref().and_then(|text| text.parse().ok()));
    let wanted = wanted.unwrap_or(ReviewState::Open);
    let body = blocking(move || {
        let found = review::list(&state, &grant, None, ROWS_MAX, Some(wanted))?;
        let agency = grant.agency().to_string();
        Ok(list_body(&agency, &grant.project().title.to_string(), wanted, &found.reviews))
    });
    Ok(html_page(200, page("Pairs to review", true, &body.await?)))
}

fn list_body(agency: &str, project: &str, wanted: ReviewState, reviews: &[ReviewMessage]) -> String {
    let mut body = format!(
        "<h1>Pairs to review</h1><p>{}, for {}. Each pair is a record of yours and one of another agency that \
         may be the same child.</p><nav aria-label=\"Which pairs\"><ul class=\"tabs\">",
        text(project),
        text(agency)
    );
    for (state, words) in [
        (ReviewState::Open, "Waiting"),
        (ReviewState::Confirmed, "Same child, confirmed"),
        (ReviewState::Blocked, "Different, blocked"),
    ] {
        let current = if state == wanted { " aria-current=\"page\"" } else { "" };
        let _ = write!(body, "<li><a href=\"/console/reviews?state={state}\"{current}>{words}</a></li>");
    }
    body.push_str("</ul></nav>");
    if reviews.is_empty() {
        body.push_str("<p>There is nothing here.</p>");
        return body;
    }
    body.push_str(
        "<table><caption>Oldest first</caption><thead><tr><th scope=\"col\">Reference</th>\
         <th scope=\"col\">Other agency</th><th scope=\"col\">Waiting since</th><th scope=\"col\">Warnings</th>\
         <th scope=\"col\">Said so far</th></tr></thead><tbody>",
    );
    for review in reviews {
        let said: Vec<String> =
            review.history.iter().map(|step| format!("{}: {}", step.agency, step.verdict)).collect();
        let _ = write!(
            body,
            "<tr><th scope=\"row\"><a href=\"/console/reviews/{reference}\">{reference}</a></th><td>{}</td>\
             <td>{}</td><td>{}</td><td>{}</td></tr>",
            text(&review.name),
            time(review.opened),
            review.warnings.len(),
            if said.is_empty() { "nothing".to_owned() } else { text(said.join(", ")) },
            reference = review.reference,
        );
    }
    body.push_str("</tbody></table>");
    if reviews.len() == ROWS_MAX {
        body.push_str("<p>These are the oldest 100; more follow as they are decided.</p>");
    }
    body
}

pub(in crate::service) async fn read(
    state: State,
    request: HttpRequest,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Some(grant) = reviewer(&state, &request)? else { return Ok(to("/console/sign-in")) };
    let saved = request.query_string() == "saved";
    let found = blocking(move || review::read(&state, &grant, reference(&path)?)).await;
    pair_page(found, saved, None)
}

fn reference(text: &str) -> Result<LinkReference, ApiError> {
    text.parse().map_err(|_| ApiError::NotFound)
}

/// A pair that is gone, was never there or is another's gets one page.
fn pair_page(
    found: Result<ReviewMessage, ApiError>,
    saved: bool,
    error: Option<&str>,
) -> Result<HttpResponse, ApiError> {
    match found {
        Ok(review) => {
            let title = if error.is_some() { "Error: review a pair" } else { "Review a pair" };
            let status = if error.is_some() { 422 } else { 200 };
            Ok(html_page(status, page(title, true, &pair_body(&review, saved, error))))
        }
        Err(ApiError::NotFound) => {
            let body = "<h1>Page not found</h1><p>The pair may have been settled, or the reference is not one \
                        of yours. Go to <a href=\"/console/reviews\">all pairs</a>.</p>";
            Ok(html_page(404, page("Page not found", true, body)))
        }
        Err(error) => Err(error),
    }
}

fn pair_body(review: &ReviewMessage, saved: bool, error: Option<&str>) -> String {
    let mut body = String::new();
    if saved {
        body.push_str("<div class=\"notice\" role=\"status\"><p>Your word has been saved.</p></div>");
    }
    if let Some(error) = error {
        let _ = write!(
            body,
            "<div class=\"error-summary\" role=\"alert\"><h2>There is a problem</h2>\
             <p><a href=\"#verdict-same\">{error}</a></p></div>"
        );
    }
    let standing = match review.state {
        ReviewState::Open => "waiting: both agencies must say it is the same child before it counts",
        ReviewState::Confirmed => "confirmed by both agencies: linked as a match",
        ReviewState::Blocked => "blocked: an agency said these are different children",
    };
    let _ = write!(
        body,
        "<p><a class=\"back\" href=\"/console/reviews\">All pairs</a></p><h1>Is this the same child?</h1>"
    );
    for warning in &review.warnings {
        let _ = write!(
            body,
            "<div class=\"warning\"><span class=\"mark\" aria-hidden=\"true\">!</span>\
             <p><span class=\"hidden\">Warning:</span> {}</p></div>",
            sentence(warning.text())
        );
    }
    let _ = write!(
        body,
        "<dl><dt>Reference to quote</dt><dd>{}</dd><dt>Your record</dt><dd>{}</dd><dt>Other agency</dt>\
         <dd>{}</dd>{}<dt>Waiting since</dt><dd>{}</dd><dt>Where it stands</dt><dd>{standing}</dd></dl>",
        review.reference,
        review.record,
        text(&review.name),
        review.contact.as_ref().map_or(String::new(), contact),
        time(review.opened),
    );
    let rows: Vec<Vec<String>> = review
        .attributes
        .iter()
        .map(|word| vec![word.attribute.to_string(), word.band.to_string()])
        .collect();
    body.push_str(&table("How the two records agree", &["What", "Agreement"], 2, &rows));
    body.push_str(&history(review));
    body.push_str(&form(review, error));
    body
}

fn contact(contact: &ContactPoint) -> String {
    let call = |line: &Option<Line>| line.as_ref().map_or("not given".to_owned(), text);
    let (team, telephone) = (text(&contact.team), call(&contact.telephone));
    let late = call(&contact.out_of_hours);
    format!("<dt>Call</dt><dd>{team}, {telephone}</dd><dt>Out of hours</dt><dd>{late}</dd>")
}

/// With a capital and a full stop.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    text(format!("{first}{}.", letters.as_str()))
}

fn history(review: &ReviewMessage) -> String {
    if review.history.is_empty() {
        return "<h2>What was said</h2><p>Nothing yet.</p>".to_owned();
    }
    let rows: Vec<Vec<String>> = review
        .history
        .iter()
        .map(|step| {
            let case = step.case.as_ref().map_or(String::new(), |case| case.as_str().to_owned());
            let (at, agency) = (time(step.at), step.agency.to_string());
            vec![at, agency, step.verdict.to_string(), step.why.text().to_owned(), case]
        })
        .collect();
    table("What was said, oldest first", &["When", "Agency", "Word", "Reason", "Your case"], 5, &rows)
}

fn form(review: &ReviewMessage, error: Option<&str>) -> String {
    let mut out = format!(
        "<h2>Your word</h2><form method=\"post\" action=\"/console/reviews/{}\" novalidate>\
         <fieldset><legend>Is it the same child?</legend>",
        review.reference
    );
    if let Some(error) = error {
        let _ = write!(out, "<p class=\"error\"><span class=\"hidden\">Error:</span> {error}</p>");
    }
    for (verdict, label, hint) in [
        (ReviewVerdict::Same, "Same child", "It becomes a match when the other agency says so too"),
        (ReviewVerdict::Different, "Different children", "The link is blocked at once, for both agencies"),
        (ReviewVerdict::Unsure, "Unsure", "Leaves it open, and takes back what you said before"),
    ] {
        let _ = write!(
            out,
            "<div class=\"choice\"><input type=\"radio\" id=\"verdict-{verdict}\" name=\"verdict\" \
             value=\"{verdict}\" aria-describedby=\"hint-{verdict}\"><label for=\"verdict-{verdict}\">{label}</label>\
             <p class=\"hint\" id=\"hint-{verdict}\">{hint}</p></div>"
        );
    }
    out.push_str("</fieldset><label for=\"why\">Why</label><select id=\"why\" name=\"why\">");
    out.push_str("<option value=\"\">Choose a reason</option>");
    for why in REASONS {
        let _ =
            write!(out, "<option value=\"{why}\">{}</option>", sentence(why.text()).trim_end_matches('.'));
    }
    out.push_str(
        "</select><label for=\"case\">Your case reference (optional)</label>\
         <p class=\"hint\" id=\"case-hint\">Letters and digits only, no name. The other agency does not see it.</p>\
         <input id=\"case\" name=\"case\" maxlength=\"24\" spellcheck=\"false\" autocomplete=\"off\" \
         aria-describedby=\"case-hint\"><button>Save</button></form>",
    );
    out
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    #[serde(default)]
    verdict: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    case: String,
}

impl Word {
    fn decide(&self) -> Option<ReviewDecide> {
        let case = self.case.trim();
        Some(ReviewDecide {
            verdict: self.verdict.parse().ok()?,
            why: self.why.parse().ok()?,
            case: if case.is_empty() { None } else { Some(case.parse().ok()?) },
        })
    }
}

pub(in crate::service) async fn decide(
    state: State,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    same_site(&request)?;
    media_type(&request, "application/x-www-form-urlencoded")?;
    let Some(grant) = reviewer(&state, &request)? else { return Ok(to("/console/sign-in")) };
    let body = bytes(&request, payload, FORM_BYTES_MAX).await?;
    let wrong = || ApiError::Malformed("the form has the fields verdict, why and case".to_owned());
    let form = std::str::from_utf8(&body).map_err(|_| wrong())?;
    let word = Query::<Word>::from_query(form).map_err(|_| wrong())?.into_inner();
    let Some(decide) = word.decide() else {
        let found = blocking(move || review::read(&state, &grant, reference(&path)?)).await;
        let error = "Choose a word and a reason; a case reference has letters and digits only";
        return pair_page(found, false, Some(error));
    };
    let said = blocking(move || review::decide(&state, &grant, reference(&path)?, decide)).await;
    match said {
        Ok(review) => Ok(to(&format!("/console/reviews/{}?saved", review.reference))),
        Err(ApiError::NotFound) => pair_page(Err(ApiError::NotFound), false, None),
        Err(error) => Err(error),
    }
}
