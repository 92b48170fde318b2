//! The part of an impact assessment that a centre knows of itself: what is agreed, held and exercised, as Markdown.
//!
//! May see: store, policy. Must not see: agency. Counts of records only; an agreement has no secret in it.

use super::agreements;
use super::error::ApiError;
use super::policy::{Agreement, AnswerLevel};
use crate::store::{ProjectRecord, Vault};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Events of which the number says how rights and duties were exercised, and what each is.
const COUNTED: [(&str, &str); 8] = [
    ("record_erased", "records erased on request"),
    ("records_expired", "sweeps that erased expired records"),
    ("agency_withdrawn", "agencies that withdrew"),
    ("epoch_begun", "changes of the linkage key"),
    ("dataset_sealed", "uploads"),
    ("run_finished", "linkages"),
    ("key_revoked", "API keys revoked"),
    ("upload_expired", "uploads that were dropped unfinished"),
];

/// The generated part for one project.
///
/// # Errors
/// The store's.
pub fn markdown(vault: &Vault, project: &ProjectRecord) -> Result<String, ApiError> {
    let agreement = agreements::current(vault, project)?;
    let approved = agreements::approved(vault, &project.id)?.is_some();
    let mut out = format!("# Impact assessment, generated part: {}\n\n", project.id);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "As of {}. The rest is in docs/dpia.md.\n", vault.now());
    agreed(&mut out, project, &agreement, approved);
    held(&mut out, vault, project)?;
    exercised(&mut out, vault, project)?;
    Ok(out)
}

fn agreed(out: &mut String, project: &ProjectRecord, agreement: &Agreement, approved: bool) {
    let terms = agreement.terms();
    let state = if approved { "approved" } else { "none yet: a trial, for made-up records only" };
    let _ = writeln!(out, "## What is agreed\n\n| | |\n|---|---|");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(out, "| {name} | {value} |");
    };
    row("agreement", format!("{state}, revision {}", terms.revision));
    row("holds", format!("{} to {}", terms.starts, terms.ends));
    row("retention after the last upload", format!("{} months", terms.retention_months));
    let standing =
        if terms.standing { "stand between runs" } else { "are erased after the run that uses them" };
    row("encodings", standing.to_owned());
    row("counts suppressed", format!("below {}", terms.suppress_below));
    row(
        "exact tokens (NHS number, UPN)",
        if terms.exact_tokens { "allowed" } else { "not allowed" }.to_owned(),
    );
    row("schema", format!("{}, fingerprint {}", project.schema, project.schema_fingerprint));
    let columns: Vec<String> = project.layout.payload().iter().map(|column| format!("{column:?}")).collect();
    row("plain columns that travel", if columns.is_empty() { "none".to_owned() } else { columns.join(", ") });
    row("look-ups a user may make a day", terms.budgets.user_day.to_string());
    row("look-ups an agency may make a month", terms.budgets.agency_month.to_string());
    let _ = writeln!(out, "\n| purpose | in words | lawful bases | asks for |\n|---|---|---|---|");
    for purpose in &terms.purposes {
        let bases: Vec<String> = purpose.lawful_bases.iter().map(ToString::to_string).collect();
        let asks = [(purpose.asks.case, "case reference"), (purpose.asks.detriment, "detriment considered")];
        let asks: Vec<&str> = asks.into_iter().filter(|(asked, _)| *asked).map(|(_, name)| name).collect();
        let (bases, asks) = (bases.join(", "), asks.join(", "));
        let _ = writeln!(out, "| {} | {} | {bases} | {asks} |", purpose.code, purpose.title);
    }
    let _ = writeln!(out, "\n| pair that may be linked | answer |\n|---|---|");
    for pair in &terms.pairs {
        let answer = match pair.answer {
            AnswerLevel::YesNo => "yes or no",
            AnswerLevel::Agency => "which agency",
            AnswerLevel::Contact => "which agency, whom to call",
        };
        let [a, b] = &pair.between;
        let _ = writeln!(out, "| {a} and {b} | {answer} |");
    }
}

fn held(out: &mut String, vault: &Vault, project: &ProjectRecord) -> Result<(), ApiError> {
    let _ =
        writeln!(out, "\n## What is held now\n\n| agency | records | since | encodings |\n|---|---|---|---|");
    for party in vault.parties(&project.id)? {
        let line = match vault.current(&project.id, project.epoch, &party.id)? {
            None => "| 0 | | none |".to_owned(),
            Some(manifest) => {
                let encodings = if manifest.emptied.is_some() { "erased" } else { "held, encrypted" };
                format!("| {} | {} | {encodings} |", manifest.records_current, manifest.sealed)
            }
        };
        let _ = writeln!(out, "| {} {line}", party.id);
    }
    let links = vault.latest_run(&project.id, project.epoch)?.map_or(0, |run| run.links);
    let closed = project.closed.map_or("the project's data key is held".to_owned(), |at| {
        format!("the project was closed at {at} and its data key destroyed")
    });
    let _ = writeln!(out, "\nLinks of the latest run: {links}. Epoch {}; {closed}.", project.epoch);
    Ok(())
}

fn exercised(out: &mut String, vault: &Vault, project: &ProjectRecord) -> Result<(), ApiError> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut last = 0;
    loop {
        let events = vault.events(Some(&project.id), last, 512)?;
        let Some(end) = events.last() else { break };
        last = end.number;
        for event in events {
            *counts.entry(event.event.action).or_default() += 1;
        }
    }
    let _ = writeln!(out, "\n## What was exercised\n\n| | times |\n|---|---|");
    for (action, words) in COUNTED {
        let _ = writeln!(out, "| {words} | {} |", counts.get(action).copied().unwrap_or(0));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, NewEvent, system_clock};
    use crate::wire::messages::ProjectCreate;
    use std::sync::Arc;

    #[test]
    fn the_generated_part_says_what_is_agreed_held_and_exercised() {
        let (vault, _) = Vault::open(Arc::new(MemoryStore::new()), system_clock()).unwrap();
        let new: ProjectCreate =
            serde_json::from_str(include_str!("../../testdata/dpia/project.json")).unwrap();
        let project = vault.create_project(&new, NewEvent::new("project_opened")).unwrap().unwrap();
        let trial = markdown(&vault, &project).unwrap();
        assert!(trial.contains("a trial, for made-up records only"), "{trial}");
        let agreement: Agreement =
            toml::from_str(include_str!("../../testdata/agreements/mash.toml")).unwrap();
        let mut batch = crate::store::Batch::new();
        agreements::put(&vault, &mut batch, None, &agreement).unwrap();
        vault.store().apply(&batch).unwrap();
        vault.record(NewEvent::new("record_erased").project(&project.id)).unwrap();
        let text = markdown(&vault, &project).unwrap();
        for said in [
            "| retention after the last upload | 13 months |",
            "| council and police | yes or no |",
            "| s47-enquiry | Enquiry under section 47 of the Children Act 1989 | legal-obligation, public-task | \
             case reference, detriment considered |",
            "| records erased on request | 1 |",
            "Links of the latest run: 0.",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
        assert!(!text.contains(&format!("{:?}", project.secret)));
    }
}
