//! `referrals`: questions whose answer named the broker, from the broker's workspace and from the asker's.

use super::ask::FromArgs;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::term::{Terminal, table};
use super::workspace::client_failure;
use crate::wire::messages::{ReferralDecide, ReferralList, ReferralMessage, Why};
use crate::wire::{AgencyId, RecordRef};
use clap::{Args, Subcommand};
use std::collections::HashMap;

/// Lists questions that were answered with the broker's name; answers or declines them, as the broker.
#[derive(Debug, Args)]
pub(crate) struct ReferralsArgs {
    #[command(flatten)]
    from: FromArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Your own questions; the broker sees all, with who asked and who stands behind them
    List,
    /// Name agencies to whoever asked; they are told
    Answer {
        /// The referral's id
        id: String,
        /// An agency to name; repeat for more
        #[arg(long = "agency", value_name = "ID", required = true)]
        agencies: Vec<AgencyId>,
        /// Why, as a code; a wrong one lists them
        #[arg(long, value_name = "CODE")]
        why: Why,
    },
    /// Name nobody
    Decline {
        /// The referral's id
        id: String,
        /// Why, as a code; a wrong one lists them
        #[arg(long, value_name = "CODE")]
        why: Why,
    },
}

pub(crate) fn referrals(args: &ReferralsArgs, terminal: Terminal) -> Outcome {
    let (workspace, client) = args.from.opened()?;
    let path = format!("/v1/projects/{}/referrals", workspace.config.project);
    let ids = workspace.local_ids().or_exit(Exit::BadInput)?;
    let decide = |id: &str, agencies: &[AgencyId], why: Why| -> Result<ReferralMessage, Failure> {
        let said = ReferralDecide { agencies: agencies.to_vec(), why };
        client.post(&format!("{path}/{id}"), &said, None).map_err(client_failure)
    };
    let found = match &args.command {
        Command::List => {
            let (mut all, mut query) = (Vec::new(), "limit=500".to_owned());
            loop {
                let page: ReferralList = client.get(&format!("{path}?{query}")).map_err(client_failure)?;
                all.extend(page.referrals);
                let Some(next) = page.next else { break all };
                query = format!("limit=500&cursor={next}");
            }
        }
        Command::Answer { id, agencies, why } => vec![decide(id, agencies, *why)?],
        Command::Decline { id, why } => vec![decide(id, &[], *why)?],
    };
    if terminal.json {
        terminal.report(&found)?;
    } else if found.is_empty() {
        terminal.line("nothing was referred to the broker")?;
    } else {
        let heading = ["id", "state", "asked", "by", "own record", "purpose", "agencies"];
        terminal.line(table(heading, found.iter().map(|one| row(one, &ids))))?;
    }
    Ok(Exit::Done)
}

fn row(referral: &ReferralMessage, ids: &HashMap<RecordRef, String>) -> [String; 7] {
    let own = referral.record.as_ref();
    let own = own.map(|record| ids.get(record).cloned().unwrap_or_else(|| record.to_string()));
    let holders = referral.holders.iter().map(|holder| {
        let telephone = holder.contact.as_ref().and_then(|contact| contact.telephone.as_ref());
        let telephone = telephone.map(|line| format!(", {line}")).unwrap_or_default();
        format!("{}{telephone}, quote {}", holder.name, holder.reference)
    });
    [
        referral.id.clone(),
        referral.state.to_string(),
        referral.asked.to_string(),
        format!("{} of {}", referral.user, referral.agency),
        own.unwrap_or_default(),
        referral.purpose.to_string(),
        holders.collect::<Vec<_>>().join("; "),
    ]
}
