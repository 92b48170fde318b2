//! `schema`: list, show and check schemas.

use super::exit::{Exit, OrExit, Outcome};
use super::extract;
use super::term::{Terminal, count, table};
use crate::agency::schema::{Lint, Schema};
use crate::wire::Profile;
use crate::wire::messages::SchemaCard;
use clap::{Args, Subcommand};
use serde::Serialize;

/// Lists, shows and checks schemas: how identifiers become an encoding.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    #[command(subcommand)]
    command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// Lists the built-in schemas.
    List,
    /// Prints a schema as TOML, to be changed and used as a file; with --json what the centre needs of it
    /// to open a project (layout, decision, fingerprint: no secret, no column name).
    Show {
        /// Name of a built-in schema, or a file.
        #[arg(default_value = "uk-child")]
        schema: String,
        /// Propose the views for a population of that many children instead.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "schema")]
        population: Option<u64>,
    },
    /// Checks a schema, prints its shape and fingerprint and what the linter expects of it; exit code 1 with
    /// warnings, 4 when it must not be used for the population.
    Check {
        /// Name of a built-in schema, or a file.
        schema: String,
        /// Check the salts' budget for a population of that many children.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        population: Option<u64>,
    },
}

pub(crate) fn schema(args: &SchemaArgs, terminal: Terminal) -> Outcome {
    match &args.command {
        SchemaCommand::List => list(terminal),
        SchemaCommand::Show { population: Some(population), .. } => {
            let (set, schema) = Schema::views_for(*population).or_exit(Exit::BadInput)?;
            terminal.note(format!("views {set} for {} children", count(*population)));
            show(&schema, terminal)
        }
        SchemaCommand::Show { schema, .. } => show(&extract::schema(schema)?, terminal),
        SchemaCommand::Check { schema, population } => {
            check(&extract::schema(schema)?, *population, terminal)
        }
    }
}

fn list(terminal: Terminal) -> Outcome {
    let mut rows = Vec::new();
    for (name, profile, text) in Schema::builtins() {
        let schema = Schema::parse(text).or_exit(Exit::Internal)?;
        let bytes = schema.layout().encoding_bytes();
        rows.push([
            name.to_owned(),
            profile.to_string(),
            bytes.to_string(),
            schema.fingerprint().to_string(),
        ]);
    }
    if terminal.json {
        terminal.report(&rows)?;
    } else {
        terminal.line(table(["schema", "profile", "bytes a record", "fingerprint"], rows))?;
    }
    Ok(Exit::Done)
}

fn show(schema: &Schema, terminal: Terminal) -> Outcome {
    if terminal.json {
        terminal.report(&SchemaCard {
            schema: schema.title().parse().or_exit(Exit::Internal)?,
            schema_fingerprint: schema.fingerprint(),
            layout: (**schema.layout()).clone(),
            decision: schema.decision().clone(),
        })?;
        return Ok(Exit::Done);
    }
    let same =
        |text: &str| Schema::parse(text).is_ok_and(|known| known.fingerprint() == schema.fingerprint());
    match Schema::builtins().find(|(.., text)| same(text)) {
        Some((.., text)) => terminal.line(text.trim_end())?,
        None => terminal.line(schema.to_toml().or_exit(Exit::Internal)?.trim_end())?,
    }
    Ok(Exit::Done)
}

/// What `schema check` says under `--json`.
#[derive(Serialize)]
struct Checked<'s> {
    schema: String,
    profile: Profile,
    fingerprint: String,
    population: Option<u64>,
    refused: bool,
    #[serde(flatten)]
    lint: &'s Lint,
}

fn check(schema: &Schema, population: Option<u64>, terminal: Terminal) -> Outcome {
    let lint = schema.lint(population);
    let exit = match lint.findings.is_empty() {
        _ if lint.is_refused() => Exit::Refused,
        true => Exit::Done,
        false => Exit::Findings,
    };
    if terminal.json {
        terminal.report(&Checked {
            schema: schema.title(),
            profile: schema.profile(),
            fingerprint: schema.fingerprint().to_string(),
            population,
            refused: lint.is_refused(),
            lint: &lint,
        })?;
        return Ok(exit);
    }
    let rows = schema.layout().views().iter().map(|view| {
        let segments: Vec<String> =
            view.segments.iter().map(|segment| format!("{} {}", segment.attribute, segment.bits)).collect();
        let tag = view.tag.map_or_else(|| "-".to_owned(), |tag| format!("{} bits", tag.bits()));
        [view.name.to_string(), view.slots.to_string(), view.bits.to_string(), segments.join(", "), tag]
    });
    terminal.line(table(["view", "slots", "bits", "segments", "tag"], rows))?;
    terminal.line(format!("{}, profile {}", schema.title(), schema.profile()))?;
    terminal.line(format!("fingerprint {}", schema.fingerprint()))?;
    let rows = lint.segments.iter().map(|s| {
        [s.view.clone(), s.segment.clone(), format!("{:.2}", s.fill), format!("{:.2}", s.unrelated_dice)]
    });
    terminal.line(table(["view", "segment", "expected fill", "Dice of unrelated pairs"], rows))?;
    let rows = lint.salts.iter().map(|s| {
        let partners = s.mean_partners.map_or_else(|| "-".to_owned(), |partners| format!("{partners:.3}"));
        [s.view.clone(), format!("{:.1}", s.entropy_bits), partners]
    });
    terminal.line(table(["view", "salt, bits of entropy", "others with the same salt"], rows))?;
    lint.findings.iter().try_for_each(|finding| terminal.line(finding.to_string()))?;
    Ok(exit)
}
