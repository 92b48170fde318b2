//! `schema`: list, show and check schemas.

use super::exit::{Exit, OrExit, Outcome};
use super::extract;
use super::term::{Terminal, table};
use crate::agency::schema::Schema;
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
    /// Prints a built-in schema as TOML, to be changed and used as a file; with --public what the centre
    /// needs of it (layout, decision, fingerprint) as JSON.
    Show {
        /// Name of a built-in schema, or a file.
        #[arg(default_value = "uk-child")]
        schema: String,
        /// What the centre needs to open a project; no secret, no column name.
        #[arg(long)]
        public: bool,
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
        SchemaCommand::Show { schema, public: true } => public(schema, terminal),
        SchemaCommand::Show { schema, public: false } => show(schema, terminal),
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
    match Schema::builtins().find(|(known, ..)| *known == schema.name()) {
        Some((.., text)) => terminal.line(text.trim_end())?,
        None => terminal.line(toml::to_string_pretty(schema.form()).or_exit(Exit::Internal)?.trim_end())?,
    }
    Ok(Exit::Done)
}

/// What the centre is told of a schema when a project is opened.
#[derive(Debug, serde::Serialize)]
struct PublicSchema<'a> {
    schema: String,
    schema_fingerprint: crate::wire::SchemaFingerprint,
    layout: &'a crate::wire::Layout,
    decision: &'a crate::wire::DecisionModel,
}

fn public(name: &str, terminal: Terminal) -> Outcome {
    let schema = extract::schema(name)?;
    terminal.report(&PublicSchema {
        schema: schema.title(),
        schema_fingerprint: schema.fingerprint(),
        layout: schema.layout(),
        decision: schema.decision(),
    })?;
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
