//! `schema`: list, show and check schemas.

use super::exit::{Exit, OrExit, Outcome};
use super::extract;
use super::term::{Terminal, table};
use crate::agency::schema::Schema;
use crate::wire::messages::SchemaCard;
use clap::{Args, Subcommand};

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
    },
    /// Checks a schema and prints its shape and fingerprint.
    Check {
        /// Name of a built-in schema, or a file.
        schema: String,
    },
}

pub(crate) fn schema(args: &SchemaArgs, terminal: Terminal) -> Outcome {
    match &args.command {
        SchemaCommand::List => list(terminal),
        SchemaCommand::Show { schema } => show(schema, terminal),
        SchemaCommand::Check { schema } => check(schema, terminal),
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

fn show(name: &str, terminal: Terminal) -> Outcome {
    let schema = extract::schema(name)?;
    if terminal.json {
        terminal.report(&SchemaCard {
            schema: schema.title().parse().or_exit(Exit::Internal)?,
            schema_fingerprint: schema.fingerprint(),
            layout: (**schema.layout()).clone(),
            decision: schema.decision().clone(),
        })?;
        return Ok(Exit::Done);
    }
    match Schema::builtins().find(|(known, ..)| *known == schema.name()) {
        Some((.., text)) => terminal.line(text.trim_end())?,
        None => terminal.line(toml::to_string_pretty(schema.form()).or_exit(Exit::Internal)?.trim_end())?,
    }
    Ok(Exit::Done)
}

fn check(name: &str, terminal: Terminal) -> Outcome {
    let schema = extract::schema(name)?;
    let rows = schema.layout().views().iter().map(|view| {
        let segments: Vec<String> =
            view.segments.iter().map(|segment| format!("{} {}", segment.attribute, segment.bits)).collect();
        let tag = view.tag.map_or_else(|| "-".to_owned(), |tag| format!("{} bits", tag.bits()));
        [view.name.to_string(), view.slots.to_string(), view.bits.to_string(), segments.join(", "), tag]
    });
    terminal.line(table(["view", "slots", "bits", "segments", "tag"], rows))?;
    terminal.line(format!("{}, profile {}", schema.title(), schema.profile()))?;
    terminal.line(format!("fingerprint {}", schema.fingerprint()))?;
    Ok(Exit::Done)
}
