//! The command line: one file per subcommand; the only place that prints.
//!
//! What was typed (`Cli`) and what it means are kept apart: each subcommand turns its arguments into
//! typed values first, then calls the rooms, and ends with an `exit::Exit`.

#[cfg(feature = "agency")]
mod account;
#[cfg(feature = "agency")]
mod adjust;
#[cfg(feature = "central")]
mod admin;
#[cfg(feature = "agency")]
mod approvals;
#[cfg(feature = "agency")]
mod ask;
#[cfg(feature = "agency")]
mod assess;
#[cfg(feature = "agency")]
mod check;
#[cfg(all(feature = "agency", feature = "central"))]
mod demo;
#[cfg(feature = "agency")]
mod encode;
#[cfg(feature = "agency")]
mod encodings;
#[cfg(feature = "agency")]
mod estimates;
#[cfg(feature = "agency")]
mod evaluate;
mod exit;
#[cfg(feature = "agency")]
mod extract;
mod files;
mod generate;
#[cfg(feature = "agency")]
mod key;
#[cfg(feature = "agency")]
mod keygen;
mod ledger;
#[cfg(feature = "agency")]
mod legacy;
#[cfg(feature = "agency")]
mod link;
#[cfg(feature = "agency")]
mod lookup;
#[cfg(feature = "agency")]
mod referrals;
#[cfg(feature = "agency")]
mod review;
#[cfg(feature = "agency")]
mod rights;
#[cfg(feature = "agency")]
mod schema;
#[cfg(feature = "central")]
mod serve;
#[cfg(feature = "central")]
mod store;
#[cfg(feature = "agency")]
mod table;
mod term;
#[cfg(feature = "agency")]
mod train;
#[cfg(feature = "agency")]
mod watch;
#[cfg(feature = "agency")]
mod workspace;

use clap::{Parser, Subcommand};
use exit::{Exit, Outcome};
use std::process::ExitCode;
use term::Terminal;

/// Which other agencies know this child, without a name ever leaving the agency.
#[derive(Debug, Parser)]
#[command(name = "blindlink", version, about, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 done with findings, 2 usage, 3 bad input, 4 refused by policy or key,\n\
                        5 service unreachable, 6 store damaged, 70 internal."
)]
struct Cli {
    /// Print results as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(all(feature = "agency", feature = "central"))]
    Demo(demo::DemoArgs),
    #[cfg(feature = "agency")]
    Init(workspace::InitArgs),
    #[cfg(feature = "agency")]
    Keygen(keygen::KeygenArgs),
    #[cfg(feature = "agency")]
    Key(key::KeyArgs),
    #[cfg(feature = "agency")]
    Schema(schema::SchemaArgs),
    #[cfg(feature = "agency")]
    Check(check::CheckArgs),
    #[cfg(feature = "agency")]
    Encode(encode::EncodeArgs),
    #[cfg(feature = "agency")]
    Inspect(encodings::InspectArgs),
    #[cfg(feature = "agency")]
    Submit(workspace::SubmitArgs),
    #[cfg(feature = "agency")]
    Push(workspace::PushArgs),
    #[cfg(feature = "agency")]
    Link(link::LinkArgs),
    #[cfg(feature = "agency")]
    Evaluate(evaluate::EvaluateArgs),
    #[cfg(feature = "agency")]
    Assess(assess::AssessArgs),
    Generate(generate::GenerateArgs),
    #[cfg(feature = "agency")]
    Train(train::TrainArgs),
    #[cfg(feature = "central")]
    Serve(serve::ServeArgs),
    #[cfg(feature = "central")]
    Admin(admin::AdminArgs),
    #[cfg(feature = "agency")]
    Run(ask::RunArgs),
    #[cfg(feature = "agency")]
    Links(ask::LinksArgs),
    #[cfg(feature = "agency")]
    Lookup(lookup::LookupArgs),
    #[cfg(feature = "agency")]
    LookupBatch(lookup::LookupBatchArgs),
    #[cfg(feature = "agency")]
    FrontDoor(lookup::FrontDoorArgs),
    #[cfg(feature = "agency")]
    Review(review::ReviewArgs),
    #[cfg(feature = "agency")]
    Referrals(referrals::ReferralsArgs),
    #[cfg(feature = "agency")]
    Approvals(approvals::ApprovalsArgs),
    #[cfg(feature = "agency")]
    Overlap(ask::OverlapArgs),
    #[cfg(feature = "agency")]
    Table(table::TableArgs),
    #[cfg(feature = "agency")]
    Rights(rights::RightsArgs),
    Ledger(Box<ledger::LedgerArgs>),
    #[cfg(feature = "central")]
    Store(store::StoreArgs),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        // The payload of a panic may quote a value; its place never does.
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        Terminal { json: false }.note(format!(
            "blindlink: a fault of this program at {}; nothing of the input is shown. Please report it.",
            place.unwrap_or_default()
        ));
    }));
    let cli = Cli::parse();
    let ended = std::panic::catch_unwind(|| run(cli)).unwrap_or(Ok(Exit::Internal));
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            Terminal { json: false }.note(format!("blindlink: {}", said(&failure.error)));
            failure.exit.into()
        }
    }
}

/// An error and its causes in one line; a cause that its error has already told is not repeated.
fn said(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| match cause.to_string() {
        cause if told.is_empty() => cause,
        cause if told.ends_with(&cause) => told,
        cause => format!("{told}: {cause}"),
    })
}

fn run(cli: Cli) -> Outcome {
    let terminal = Terminal { json: cli.json };
    match cli.command {
        #[cfg(all(feature = "agency", feature = "central"))]
        Command::Demo(args) => demo::demo(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Init(args) => workspace::init(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Keygen(args) => keygen::keygen(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Key(args) => key::key(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Schema(args) => schema::schema(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Check(args) => check::check(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Encode(args) => encode::encode(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Inspect(args) => encodings::inspect(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Submit(args) => workspace::submit(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Push(args) => workspace::push(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Link(args) => link::link(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Evaluate(args) => evaluate::evaluate(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Assess(args) => assess::assess(&args, terminal),
        Command::Generate(args) => generate::generate(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Train(args) => train::train(&args, terminal),
        #[cfg(feature = "central")]
        Command::Serve(args) => serve::serve(&args, terminal),
        #[cfg(feature = "central")]
        Command::Admin(args) => admin::admin(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Run(args) => ask::run(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Links(args) => ask::links(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Lookup(args) => lookup::lookup(&args, terminal),
        #[cfg(feature = "agency")]
        Command::LookupBatch(args) => lookup::lookup_batch(&args, terminal),
        #[cfg(feature = "agency")]
        Command::FrontDoor(args) => lookup::front_door(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Review(args) => review::review(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Referrals(args) => referrals::referrals(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Approvals(args) => approvals::approvals(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Overlap(args) => ask::overlap(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Table(args) => table::table(&args, terminal),
        #[cfg(feature = "agency")]
        Command::Rights(args) => rights::rights(&args, terminal),
        Command::Ledger(args) => ledger::ledger(&args, terminal),
        #[cfg(feature = "central")]
        Command::Store(args) => store::store(&args, terminal),
    }
}
