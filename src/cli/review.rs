//! `review`: uncertain pairs of one's own records, from a workspace.

use super::ask::FromArgs;
use super::exit::{Exit, OrExit, Outcome};
use super::term::{Terminal, table};
use super::workspace::client_failure;
use crate::wire::messages::{
    CaseReference, ReviewDecide, ReviewList, ReviewMessage, ReviewState, ReviewVerdict, Why,
};
use crate::wire::{LinkReference, RecordRef};
use clap::{Args, Subcommand};
use std::collections::HashMap;

/// Lists, shows and decides uncertain pairs of your own records.
#[derive(Debug, Args)]
pub(crate) struct ReviewArgs {
    #[command(flatten)]
    from: FromArgs,
    #[command(subcommand)]
    command: ReviewCommand,
}

#[derive(Debug, Subcommand)]
enum ReviewCommand {
    /// Lists pairs, the oldest first.
    List {
        /// open, confirmed or blocked.
        #[arg(long, value_name = "STATE", default_value = "open")]
        state: ReviewState,
    },
    /// Shows one pair: your record, whom to call, how the attributes agree, what was said.
    Show {
        /// The reference, as it is quoted (LK-XXXX-XXXX-XXXX-NN).
        reference: LinkReference,
    },
    /// Says a word about a pair; two agencies' `same` confirm it, one `different` blocks it at once.
    Decide {
        /// The reference.
        reference: LinkReference,
        /// same, different, or unsure (which also takes back what you said).
        #[arg(long, value_name = "WORD")]
        verdict: ReviewVerdict,
        /// Why, as a code; a wrong one lists them.
        #[arg(long, value_name = "CODE")]
        why: Why,
        /// Your case reference; the other agency does not see it.
        #[arg(long, value_name = "CODE")]
        case: Option<CaseReference>,
    },
}

pub(crate) fn review(args: &ReviewArgs, terminal: Terminal) -> Outcome {
    let (workspace, client) = args.from.opened()?;
    let ids = workspace.local_ids().or_exit(Exit::BadInput)?;
    let reviews = format!("/v1/projects/{}/reviews", workspace.config.project);
    match &args.command {
        ReviewCommand::List { state } => {
            let (mut all, mut query) = (Vec::new(), format!("state={state}"));
            loop {
                let page: ReviewList = client.get(&format!("{reviews}?{query}")).map_err(client_failure)?;
                all.extend(page.reviews);
                let Some(next) = page.next else { break };
                query = format!("state={state}&cursor={next}");
            }
            if terminal.json {
                terminal.report(&all)?;
            } else {
                print_list(&all, &ids, terminal)?;
            }
            Ok(Exit::Done)
        }
        ReviewCommand::Show { reference } => {
            let found = client.get(&format!("{reviews}/{reference}")).map_err(client_failure)?;
            print(&found, &ids, terminal)
        }
        ReviewCommand::Decide { reference, verdict, why, case } => {
            let decide = ReviewDecide { verdict: *verdict, why: *why, case: case.clone() };
            let path = format!("{reviews}/{reference}/decisions");
            let after = client.post(&path, &decide, None).map_err(client_failure)?;
            print(&after, &ids, terminal)
        }
    }
}

fn own(record: &RecordRef, ids: &HashMap<RecordRef, String>) -> String {
    ids.get(record).cloned().unwrap_or_else(|| record.to_string())
}

fn print_list(
    reviews: &[ReviewMessage],
    ids: &HashMap<RecordRef, String>,
    terminal: Terminal,
) -> Result<(), super::exit::Failure> {
    if reviews.is_empty() {
        return terminal.line("nothing waits");
    }
    let rows = reviews.iter().map(|review| {
        let said: Vec<String> =
            review.history.iter().map(|step| format!("{} {}", step.agency, step.verdict)).collect();
        [
            review.reference.to_string(),
            own(&review.record, ids),
            review.agency.to_string(),
            review.opened.to_string(),
            review.warnings.iter().map(|reason| reason.code()).collect::<Vec<_>>().join(" "),
            said.join(", "),
        ]
    });
    terminal.line(table(["reference", "own record", "other agency", "since", "warnings", "said"], rows))
}

fn print(review: &ReviewMessage, ids: &HashMap<RecordRef, String>, terminal: Terminal) -> Outcome {
    if terminal.json {
        terminal.report(review)?;
        return Ok(Exit::Done);
    }
    terminal.line(format!("{}: {} since {}", review.reference, review.state, review.opened))?;
    terminal.line(format!("your record {}", own(&review.record, ids)))?;
    if let Some(contact) = &review.contact {
        let telephone = contact.telephone.as_ref().map(ToString::to_string).unwrap_or_default();
        terminal.line(format!("{}, call {} {telephone}", review.name, contact.team))?;
    }
    for warning in &review.warnings {
        terminal.line(format!("warning: {}", warning.text()))?;
    }
    let words = review.attributes.iter().map(|word| [word.attribute.to_string(), word.band.to_string()]);
    terminal.line(table(["attribute", "agreement"], words))?;
    let said = review.history.iter().map(|step| {
        [step.at.to_string(), step.agency.to_string(), step.verdict.to_string(), step.why.text().to_owned()]
    });
    if !review.history.is_empty() {
        terminal.line(table(["when", "agency", "word", "why"], said))?;
    }
    Ok(Exit::Done)
}
