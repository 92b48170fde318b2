//! How identifiers become an encoding: versioned, linted, with a fingerprint.
//!
//! May see: wire, the record. Must not see: keys, files, the network.
//!
//! A schema is TOML ([`form`] lists every key). [`Schema::parse`] checks it and compiles the
//! [`Layout`] that the centre sees; [`Schema::builtin`] hands out the ones in `config/schemas/`.

pub mod form;
mod lint;
mod rules;
mod sets;

pub use form::SchemaForm;
pub use lint::{Lint, LintFinding, SaltFigures, SegmentFigures, Severity};
pub use sets::PARTNERS_PER_MILLE_MAX;

use crate::wire::{DecisionError, DecisionModel, Layout, LayoutError, Profile, SchemaFingerprint, limits};
use std::sync::Arc;

/// Version of the normalisation rules this build follows.
pub const NORMALISATION: u32 = 1;

/// Name, profile and text of the schemas shipped with the program.
const BUILTIN: [(&str, Profile, &str); 4] = [
    ("uk-child-views", Profile::Views, include_str!("../../../config/schemas/uk-child-views.toml")),
    ("uk-child-diffused", Profile::Diffused, include_str!("../../../config/schemas/uk-child-diffused.toml")),
    ("uk-child-clk", Profile::Clk, include_str!("../../../config/schemas/uk-child-clk.toml")),
    ("uk-child-fields", Profile::Fields, include_str!("../../../config/schemas/uk-child-fields.toml")),
];

/// Why a schema is refused.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Too long to be a schema.
    #[error("a schema has at most {max} bytes; this one has {found}", max = limits::CONFIG_BYTES_MAX)]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// Not TOML, an unknown key, a value of another type.
    #[error("not a schema: {0}")]
    Form(String),
    /// A rule between its parts is broken.
    #[error("{place}: {rule}")]
    Rule {
        /// The table the rule is about (`view 'a'`).
        place: String,
        /// What is asked of it.
        rule: String,
    },
    /// The layout is refused.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The decision model does not fit the layout.
    #[error("decision: {0}")]
    Decision(#[from] DecisionError),
    /// No built-in schema of that name.
    #[error("no built-in schema '{name}'; there are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// A checked schema; cheap to clone.
#[derive(Debug, Clone)]
pub struct Schema {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    form: SchemaForm,
    layout: Arc<Layout>,
    fingerprint: SchemaFingerprint,
}

impl Schema {
    /// Reads and checks a schema.
    ///
    /// # Errors
    /// [`SchemaError`] names the key or the rule.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        if text.len() as u64 > limits::CONFIG_BYTES_MAX {
            return Err(SchemaError::TooLong { found: text.len() });
        }
        let form = toml::from_str(text).map_err(|e| SchemaError::Form(e.to_string()))?;
        Self::from_form(form)
    }

    /// Checks a schema put together in code.
    ///
    /// # Errors
    /// As [`Schema::parse`].
    pub fn from_form(form: SchemaForm) -> Result<Self, SchemaError> {
        let layout = rules::compile(&form)?;
        form.decision.check(&layout)?;
        let fingerprint = fingerprint(&form)?;
        Ok(Self { inner: Arc::new(Inner { form, layout: Arc::new(layout), fingerprint }) })
    }

    /// A schema shipped with the program, by name: `uk-child-views`, `uk-child-diffused`, `uk-child-clk`,
    /// `uk-child-fields`; `uk-child` is `uk-child-views`.
    ///
    /// # Errors
    /// [`SchemaError::Unknown`] lists the names.
    pub fn builtin(name: &str) -> Result<Self, SchemaError> {
        let name = if name == "uk-child" { "uk-child-views" } else { name };
        match BUILTIN.iter().find(|(known, ..)| *known == name) {
            Some((.., text)) => Self::parse(text),
            None => {
                let known: Vec<&str> = BUILTIN.iter().map(|(known, ..)| *known).collect();
                Err(SchemaError::Unknown { name: name.to_owned(), known: known.join(", ") })
            }
        }
    }

    /// The shipped schema for a profile.
    ///
    /// # Errors
    /// [`SchemaError::Unknown`] where there is none (`legacy-clk`).
    pub fn builtin_for(profile: Profile) -> Result<Self, SchemaError> {
        Self::builtin(&format!("uk-child-{profile}"))
    }

    /// Names, profiles and TOML texts of the schemas shipped with the program.
    pub fn builtins() -> impl Iterator<Item = (&'static str, Profile, &'static str)> {
        BUILTIN.into_iter()
    }

    /// The schema as TOML; parsing it gives the same fingerprint.
    ///
    /// # Errors
    /// [`SchemaError::Form`] when a value has no TOML form; none of a checked schema has.
    pub fn to_toml(&self) -> Result<String, SchemaError> {
        toml::to_string(&self.inner.form).map_err(|e| SchemaError::Form(e.to_string()))
    }

    /// Name without version.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.form.schema
    }
    /// Name, profile and version for people: `uk-child clk 1`.
    #[must_use]
    pub fn title(&self) -> String {
        let form = &self.inner.form;
        format!("{} {} {}", form.schema, form.profile, form.version)
    }
    /// The kind of layout.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.inner.form.profile
    }
    /// What the centre sees of each encoding.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.inner.layout
    }
    /// How pairs become links.
    #[must_use]
    pub fn decision(&self) -> &DecisionModel {
        &self.inner.form.decision
    }
    /// BLAKE3 of the canonical form.
    #[must_use]
    pub fn fingerprint(&self) -> SchemaFingerprint {
        self.inner.fingerprint
    }
    /// The parts as written.
    #[must_use]
    pub fn form(&self) -> &SchemaForm {
        &self.inner.form
    }
}

/// BLAKE3 of the canonical form: the parts as JSON with sorted keys, no white space, defaults written
/// out, without `title` and `bars`. Comments, order of keys and white space of the TOML do not matter. The name tables a schema uses follow the JSON.
fn fingerprint(form: &SchemaForm) -> Result<SchemaFingerprint, SchemaError> {
    let mut form = form.clone();
    form.title = String::new();
    form.bars.clear();
    let value = serde_json::to_value(&form).map_err(|e| SchemaError::Form(e.to_string()))?;
    let mut text = String::new();
    canonical(&value, &mut text);
    let mut hasher = blake3::Hasher::new_derive_key("blindlink 1 schema fingerprint");
    hasher.update(text.as_bytes());
    if form.nicknames {
        hasher.update(crate::agency::names::CANONICAL_TABLE.as_bytes());
    }
    if form.views.iter().any(|view| view.rare) {
        hasher.update(crate::agency::names::SKELETON_TABLE.as_bytes());
    }
    Ok(SchemaFingerprint::from_bytes(*hasher.finalize().as_bytes()))
}

fn canonical(value: &serde_json::Value, out: &mut String) {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                canonical(item, out);
            }
            out.push(']');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> &'static str {
        include_str!("../../../config/schemas/uk-child-clk.toml")
    }

    #[test]
    fn every_builtin_schema_is_sound() {
        for (name, profile, _) in Schema::builtins() {
            let schema = Schema::builtin(name).unwrap();
            assert_eq!(schema.profile(), profile);
            assert_eq!(schema.layout().profile(), profile);
        }
        assert!(matches!(Schema::builtin("nope"), Err(SchemaError::Unknown { .. })));
    }

    #[test]
    fn fingerprint_ignores_form_and_sees_content() {
        let schema = Schema::parse(text()).unwrap();
        let mut value: toml::Table = toml::from_str(text()).unwrap();
        let rewritten = toml::to_string(&value).unwrap();
        assert_ne!(rewritten, text());
        assert_eq!(Schema::parse(&rewritten).unwrap().fingerprint(), schema.fingerprint());
        value.insert("version".into(), 2.into());
        let changed = toml::to_string(&value).unwrap();
        assert_ne!(Schema::parse(&changed).unwrap().fingerprint(), schema.fingerprint());
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let error = Schema::parse(&format!("colour = 1\n{}", text())).unwrap_err().to_string();
        assert!(error.contains("colour"), "{error}");
    }
}
