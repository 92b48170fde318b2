//! `check`: is this extract safe to send? In counts, never values.

use super::encode::WithArgs;
use super::exit::{Exit, Failure, OrExit, Outcome};
use super::extract::{ExtractArgs, open_extract};
use super::term::{Terminal, count, table};
use crate::agency::check::Report;
use crate::agency::selftest::SelfTest;
use crate::agency::workspace::{Workspace, WorkspaceError};
use clap::Args;
use std::path::PathBuf;

/// Reads an extract and reports by rule, row and column what is missing, impossible or doubtful; never a
/// value. In a workspace it also makes the encodings, tests them and throws them away. Ends with "safe to
/// send: yes/no, because"; exit code 1 when it is no.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The extract (CSV).
    extract: PathBuf,
    /// Workspace whose column mapping is used when none is named.
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
    #[command(flatten)]
    reading: ExtractArgs,
}

pub(crate) fn check(args: &CheckArgs, terminal: Terminal) -> Outcome {
    let workspaces = match Workspace::open(&args.workspace) {
        Ok(workspace) => Some(workspace.config.columns),
        Err(WorkspaceError::Missing(_)) => None,
        Err(error) => return Err(error).or_exit(Exit::BadInput),
    };
    // With the workspace's keys the encodings are made and tested, and thrown away.
    let setup = workspaces.as_ref().map(|_| WithArgs::of_workspace(&args.workspace)).transpose()?;
    let mut encodings = setup.map(|setup| (SelfTest::new(setup.encoder.schema()), setup.encoder));
    let mut extract = open_extract(&args.extract, &args.reading, workspaces, terminal)?;
    while let Some(batch) = extract.next_batch().or_exit_with(Exit::BadInput, args.extract.display())? {
        if let Some((tests, encoder)) = &mut encodings {
            tests.add(&batch.persons, &encoder.encode(&batch.persons));
        }
    }
    let mut report = extract.report();
    if let Some((tests, _)) = &encodings {
        report.judge(tests.outcome());
    }
    drop(extract);
    if terminal.json {
        terminal.report(&report)?;
    } else {
        print(&report, terminal)?;
    }
    Ok(if report.safe_to_send { Exit::Done } else { Exit::Findings })
}

/// Prints a report as tables.
pub(crate) fn print(report: &Report, terminal: Terminal) -> Result<(), Failure> {
    let fields = report.fields.iter().map(|field| {
        [field.field.clone(), field.columns.join(" + "), count(field.present), count(field.missing)]
    });
    terminal.line(table(["field", "column", "present", "missing"], fields))?;
    if !report.rules.is_empty() {
        let rules = report.rules.iter().map(|rule| {
            let rows: Vec<String> = rule.first_rows.iter().take(5).map(u64::to_string).collect();
            let more = if rule.count > rows.len() as u64 { ", ..." } else { "" };
            [
                rule.rule.explain().to_owned(),
                rule.column.clone().unwrap_or_default(),
                count(rule.count),
                rows.join(", ") + more,
            ]
        });
        terminal.line(table(["finding", "column", "times", "rows"], rules))?;
    }
    if !report.unused_columns.is_empty() {
        terminal.line(format!("not read, so they stay here: {}", report.unused_columns.join(", ")))?;
    }
    terminal.line(format!(
        "{} rows: {} taken, {} left out",
        count(report.rows),
        count(report.accepted),
        count(report.rejected)
    ))?;
    if let Some(found) = &report.encodings {
        let (all, failed) = (found.tests.len() as u64, found.failed().count() as u64);
        terminal.line(format!("{} self-tests of the encodings, {} failed", count(all), count(failed)))?;
    }
    terminal.line(report.closing_line())
}
