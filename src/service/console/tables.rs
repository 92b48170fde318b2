//! The console's page of published tables, with a form for what might be.

use super::super::aggregate::{TableName, read as read_table};
use super::super::auth::{ProjectGrant, ReadAggregates, project as in_project};
use super::super::body::blocking;
use super::super::error::ApiError;
use super::super::state::State;
use super::html::{page, table, text};
use super::sign::{html_page, signed_in, to};
use crate::wire::messages::TableMessage;
use actix_web::web::{Path, Query};
use actix_web::{HttpRequest, HttpResponse};

const OFFERED: [(&str, &str); 5] = [
    ("overlap", "Overlap of the agencies"),
    ("known-to", "Known to exactly so many"),
    ("at-least", "Known to at least so many"),
    ("area", "By area"),
    ("month", "By month"),
];

pub(in crate::service) async fn show(
    state: State,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let Some(signed) = signed_in(&state, &request)? else { return Ok(to("/console/sign-in")) };
    let query = Query::<Vec<(String, String)>>::from_query(request.query_string());
    let query = query.map_err(|_| ApiError::Malformed("the query cannot be read".to_owned()))?.into_inner();
    let made = blocking(move || {
        let grant = in_project::<ReadAggregates>(&state.vault, signed.actor().clone(), &path.0)?;
        body(&state, &grant, &path.1, &query)
    });
    match made.await {
        Ok(body) => Ok(html_page(200, page("Tables", true, &body))),
        Err(error @ (ApiError::NotFound | ApiError::Malformed(_) | ApiError::Rule(_))) => {
            let (status, _, title) = error.parts();
            let words = if error == ApiError::NotFound {
                "There is no such table, or no run has finished yet.".to_owned()
            } else {
                error.to_string()
            };
            let body = format!(
                "<h1>{}</h1><p>{}</p><p><a href=\"/console\">All projects</a></p>",
                text(title),
                text(words)
            );
            Ok(html_page(status, page(title, true, &body)))
        }
        Err(error) => Err(error),
    }
}

/// The body of the page.
fn body(
    state: &State,
    grant: &ProjectGrant<ReadAggregates>,
    name: &str,
    query: &[(String, String)],
) -> Result<String, ApiError> {
    // A form sends its empty fields too.
    let query: Vec<(String, String)> = query.iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
    let project = grant.project();
    let found = read_table(&state.vault, grant, &TableName::parse(name, &query)?)?;
    let links: String = OFFERED
        .iter()
        .map(|(table, title)| {
            let id = text(&project.id);
            format!("<li><a href=\"/console/projects/{id}/tables/{table}\">{title}</a></li>")
        })
        .collect();
    let back = format!("<p><a class=\"back\" href=\"/console/projects/{0}\">{0}</a></p>", text(&project.id));
    Ok(format!("{back}<h1>{}</h1><ul>{links}</ul>{}{}", text(&found.title), figures(&found), form(name)))
}

fn figures(found: &TableMessage) -> String {
    let heads: Vec<&str> = std::iter::once("").chain(found.columns.iter().map(String::as_str)).collect();
    let row = |(name, cells): (&String, &Vec<_>)| {
        std::iter::once(name.clone()).chain(cells.iter().map(ToString::to_string)).collect()
    };
    let rows: Vec<Vec<String>> = found.rows.iter().zip(&found.cells).map(row).collect();
    format!(
        "<p>Run {}, fixed {}. Counts from 1 to {} are shown as c, and so is what would give one away; the rest \
         are rounded to 5. A figure changes only when five records or more have moved.</p>{}",
        text(&found.run),
        text(&found.released),
        found.suppressed_below.saturating_sub(1),
        table(&found.table, &heads, 1, &rows)
    )
}

fn form(name: &str) -> String {
    format!(
        "<h2>What if</h2><form method=\"get\" action=\"{}\">\
         <p><label for=\"threshold\">Count as a match from (0.85, or 18b for bits)</label><br>\
         <input id=\"threshold\" name=\"threshold\" maxlength=\"5\"></p>\
         <p><label for=\"without\">Leave out the agency (its id)</label><br>\
         <input id=\"without\" name=\"without\" maxlength=\"64\"></p>\
         <p><button>Count again</button></p></form>",
        text(name)
    )
}
