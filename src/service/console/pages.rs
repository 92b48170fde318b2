//! The console's pages: projects; one project with its parties, datasets, runs and overlap.

use super::super::aggregate::overlap;
use super::super::alerts::{Alert, latest_alerts};
use super::super::answers::party_messages;
use super::super::auth::{CentreGrant, ReadAggregates, ReadMetrics, project as in_project};
use super::super::body::blocking;
use super::super::error::ApiError;
use super::super::state::State;
use super::html::{page, table, text, time};
use super::sign::{html_page, session_actor, signed_in, to};
use crate::store::ProjectRecord;
use crate::wire::messages::{OverlapTable, RunState};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use std::fmt::Write;

const ROWS_MAX: usize = 50;

pub(in crate::service) async fn style() -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .insert_header(("cache-control", "max-age=3600"))
        .body(include_str!("style.css")))
}

pub(in crate::service) async fn home(state: State, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    if signed_in(&state, &request)?.is_none() {
        let reviewer = session_actor(&state, &request)?.is_some();
        return Ok(to(if reviewer { "/console/reviews" } else { "/console/sign-in" }));
    }
    let read = move || {
        let alerts = latest_alerts(state.vault.store(), ROWS_MAX)?;
        Ok((state.vault.projects(None, 500)?, alerts))
    };
    let (projects, alerts) = blocking(read).await?;
    let mut body = format!("{}<h1>Projects</h1>", alert_table(&alerts));
    if projects.is_empty() {
        body.push_str("<p>There is no project yet. Open one with <code>POST /v1/projects</code>.</p>");
    }
    body.push_str("<ul class=\"cards\">");
    for project in &projects {
        // Writing to a String cannot fail.
        let _ = write!(
            body,
            "<li><h2><a href=\"/console/projects/{id}\">{title}</a></h2><p>{id}, schema {schema}, epoch \
             {epoch}, opened {created}</p></li>",
            id = text(&project.id),
            title = text(&project.title),
            schema = text(&project.schema),
            epoch = project.epoch,
            created = time(project.created),
        );
    }
    body.push_str("</ul>");
    Ok(html_page(200, page("Projects", true, &body)))
}

/// What those who watch must see first; nothing where nothing happened.
fn alert_table(alerts: &[Alert]) -> String {
    let rows: Vec<Vec<String>> = alerts
        .iter()
        .map(|alert| {
            vec![
                alert.kind.text().to_owned(),
                alert.project.to_string(),
                format!("{} of {}", alert.actor.as_str(), alert.agency),
                time(alert.first),
                time(alert.last),
                alert.count.to_string(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let heading = ["What", "Project", "By", "First that day", "Last", "Times"];
    format!("<h1>Alerts</h1>{}", table("Alerts, newest day first", &heading, 5, &rows))
}

pub(in crate::service) async fn project(
    state: State,
    request: HttpRequest,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Some(grant) = signed_in(&state, &request)? else { return Ok(to("/console/sign-in")) };
    let body = blocking(move || project_body(&state, &grant, &path)).await;
    match body {
        Ok((title, body)) => Ok(html_page(200, page(&title, true, &body))),
        Err(ApiError::NotFound) => {
            let body = "<h1>Page not found</h1><p>Check the address, or go to <a href=\"/console\">all \
                        projects</a>.</p>";
            Ok(html_page(404, page("Page not found", true, body)))
        }
        Err(error) => Err(error),
    }
}

fn project_body(
    state: &State,
    signed: &CentreGrant<ReadMetrics>,
    id: &str,
) -> Result<(String, String), ApiError> {
    let grant = in_project::<ReadAggregates>(&state.vault, signed.actor().clone(), id)?;
    let project = grant.project();
    let mut body = format!(
        "<p><a class=\"back\" href=\"/console\">All projects</a></p><h1>{}</h1>\
         <dl><dt>Project</dt><dd>{}</dd><dt>Schema</dt><dd>{}</dd><dt>Epoch</dt><dd>{}</dd>\
         <dt>Key check value</dt><dd>{}</dd></dl>",
        text(&project.title),
        text(&project.id),
        text(&project.schema),
        project.epoch,
        project.key_check.map_or("not pinned yet: the first upload pins it".to_owned(), text),
    );
    body.push_str(&parties(state, project)?);
    body.push_str(&datasets(state, project)?);
    body.push_str(&runs(state, project)?);
    body.push_str(&backlog(state, project)?);
    match overlap(&state.vault, &grant, None) {
        Ok(found) => {
            body.push_str(&overlap_tables(&found));
            let _ = write!(
                body,
                "<p><a href=\"/console/projects/{}/tables/known-to\">More tables, and what if</a></p>",
                text(&project.id)
            );
        }
        Err(ApiError::NotFound) => body.push_str("<h2>Overlap</h2><p>No run has finished yet.</p>"),
        Err(error) => return Err(error),
    }
    Ok((project.title.to_string(), body))
}

fn parties(state: &State, project: &ProjectRecord) -> Result<String, ApiError> {
    let rows: Vec<Vec<String>> = party_messages(&state.vault, project)?
        .into_iter()
        .map(|party| {
            let sealed = party.data_as_of.map_or("nothing sent yet".to_owned(), time);
            vec![party.name.to_string(), party.agency.to_string(), sealed]
        })
        .collect();
    Ok(table("Parties and how fresh their data is", &["Agency", "Id", "Data as of"], 3, &rows))
}

fn datasets(state: &State, project: &ProjectRecord) -> Result<String, ApiError> {
    let mut rows = Vec::new();
    for upload in state.vault.uploads(&project.id, None)? {
        let status = state.vault.upload_status(upload)?;
        let upload = status.upload;
        let words = format!("uploading, {} of {} chunks missing", status.missing.len(), upload.chunks);
        rows.push(vec![
            upload.id.to_string(),
            upload.agency.to_string(),
            words,
            time(upload.created),
            upload.header.records.to_string(),
        ]);
    }
    let mut sealed = state.vault.manifests(&project.id, None, usize::MAX)?;
    sealed.reverse();
    for manifest in sealed.into_iter().filter(|manifest| manifest.superseded.is_none()).take(ROWS_MAX) {
        let kind = if manifest.depth == 0 { "sealed" } else { "sealed (changes)" };
        rows.push(vec![
            manifest.upload.id.to_string(),
            manifest.upload.agency.to_string(),
            kind.to_owned(),
            time(manifest.sealed),
            manifest.upload.header.records.to_string(),
        ]);
    }
    Ok(table("Datasets, newest first", &["Dataset", "Agency", "State", "Since", "Records"], 4, &rows))
}

fn runs(state: &State, project: &ProjectRecord) -> Result<String, ApiError> {
    let mut rows = Vec::new();
    for run in state.vault.runs(&project.id, None, ROWS_MAX)? {
        let message = state.jobs.message(&run);
        let words = match run.state {
            RunState::Running if message.steps_total == 0 => "waiting or loading".to_owned(),
            RunState::Running => {
                let percent = message.steps_done.saturating_mul(100) / message.steps_total;
                format!("computing, {percent} % done")
            }
            RunState::Finished => "finished".to_owned(),
            RunState::Cancelled => "stopped by request".to_owned(),
            RunState::Interrupted => "interrupted: the centre was stopped; start another".to_owned(),
            RunState::Failed => "failed: see the service's log".to_owned(),
        };
        let ended = run.ended.map_or(String::new(), time);
        rows.push(vec![run.id.to_string(), words, time(run.started), ended]);
    }
    Ok(table("Runs, newest first", &["Run", "State", "Started", "Ended"], 4, &rows))
}

fn backlog(state: &State, project: &ProjectRecord) -> Result<String, ApiError> {
    let latest = state.vault.latest_run(&project.id, project.epoch)?;
    let found = state.vault.backlog(&project.id, latest.as_ref())?;
    let oldest = found.oldest.map_or("nothing waits".to_owned(), |oldest| {
        let days = (state.vault.now().millis() - oldest.millis()).max(0) / 86_400_000;
        format!("{}, {days} days ago", time(oldest))
    });
    let row = |what: &str, count: u64| vec![what.to_owned(), count.to_string()];
    let rows = [
        row("Wait for a word", found.open),
        row("Of those, one agency said same", found.half),
        row("Same child, confirmed by both", found.confirmed),
        row("Different, blocked", found.blocked),
    ];
    let table = table("Uncertain pairs", &["Where they stand", "Pairs"], 1, &rows);
    Ok(format!("<h2>Reviews</h2><p>The oldest waits since: {oldest}.</p>{table}"))
}

fn overlap_tables(found: &OverlapTable) -> String {
    let rows: Vec<Vec<String>> = found
        .cells
        .iter()
        .map(|cell| {
            let same = cell.agency_a == cell.agency_b;
            let other = if same { "its own records".to_owned() } else { cell.agency_b.to_string() };
            vec![cell.agency_a.to_string(), other, cell.matched.to_string(), cell.review.to_string()]
        })
        .collect();
    let known: Vec<Vec<String>> = (1..)
        .zip(&found.known_to)
        .map(|(count, children)| vec![format!("{count} of the agencies"), children.to_string()])
        .collect();
    format!(
        "<h2>Overlap</h2><p>Run {}, ended {}. Small counts are shown as c, the rest are rounded to 5.</p>{}{}",
        text(&found.run),
        time(found.ended),
        table("Children in common", &["Agency", "With", "Matched", "To review"], 2, &rows),
        table("Children by how many agencies know them", &["Known to", "Children"], 1, &known),
    )
}
