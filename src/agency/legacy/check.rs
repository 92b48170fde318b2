//! The rules of linkage schemas of version 1, 2 and 3, as a published schema of each version is valid.
//!
//! May see: a parsed JSON document. Must not see: records. It decides exactly what clkhash decides: a
//! feature is either encoded or ignored and never both, unknown keys are refused where clkhash refuses
//! them and pass where it lets them pass, and whole numbers may be written `20.0` from version 2 on.

use super::error::LegacyError;
use serde_json::{Map, Value};

/// Version of a linkage schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
    V3,
}

type Check = Result<(), LegacyError>;

/// A value of the document and the way to it.
struct Node<'a> {
    value: &'a Value,
    path: String,
    version: Version,
}

/// Checks a document against the rules of its version, which it returns.
///
/// # Errors
/// [`LegacyError::Schema`] with the first broken rule.
pub(super) fn check(document: &Value) -> Result<Version, LegacyError> {
    let top = document.as_object().ok_or_else(|| LegacyError::schema("the top", "must be an object"))?;
    let version = match top.get("version").map(Value::as_f64) {
        None => return Err(LegacyError::schema("version", "is missing")),
        Some(Some(1.0)) => Version::V1,
        Some(Some(2.0)) => Version::V2,
        Some(Some(3.0)) => Version::V3,
        Some(_) => return Err(LegacyError::schema("version", "must be 1, 2 or 3")),
    };
    let root = Node { value: document, path: String::new(), version };
    root.required("clkConfig")?.clk_config()?;
    for feature in root.required("features")?.items()? {
        feature.feature()?;
    }
    Ok(version)
}

impl<'a> Node<'a> {
    fn fail<T>(&self, rule: impl Into<String>) -> Result<T, LegacyError> {
        Err(LegacyError::schema(self.path.clone(), rule))
    }

    fn at(&self, name: &str, value: &'a Value) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Node { value, path: format!("{}{dot}{name}", self.path), version: self.version }
    }

    fn object(&self) -> Result<&'a Map<String, Value>, LegacyError> {
        self.value.as_object().map_or_else(|| self.fail("must be an object"), Ok)
    }

    fn optional(&self, name: &str) -> Result<Option<Node<'a>>, LegacyError> {
        Ok(self.object()?.get(name).map(|value| self.at(name, value)))
    }

    fn required(&self, name: &str) -> Result<Node<'a>, LegacyError> {
        self.optional(name)?.map_or_else(|| self.fail(format!("'{name}' is missing")), Ok)
    }

    /// An optional key whose value must pass `rule`.
    fn may(&self, name: &str, rule: impl FnOnce(&Node<'a>) -> Check) -> Check {
        self.optional(name)?.map_or(Ok(()), |node| rule(&node))
    }

    fn only(&self, names: &[&str]) -> Check {
        match self.object()?.keys().find(|key| !names.contains(&key.as_str())) {
            Some(key) => self.fail(format!("'{key}' is not known here")),
            None => Ok(()),
        }
    }

    fn items(&self) -> Result<Vec<Node<'a>>, LegacyError> {
        let Some(items) = self.value.as_array() else { return self.fail("must be a list") };
        let node = |(at, value)| Node { value, path: format!("{}[{at}]", self.path), version: self.version };
        Ok(items.iter().enumerate().map(node).collect())
    }

    fn text(&self) -> Check {
        if self.value.is_string() { Ok(()) } else { self.fail("must be text") }
    }

    fn boolean(&self) -> Check {
        if self.value.is_boolean() { Ok(()) } else { self.fail("must be true or false") }
    }

    fn one_of(&self, values: &[&str]) -> Check {
        match self.value.as_str() {
            Some(text) if values.contains(&text) => Ok(()),
            _ => self.fail(format!("must be one of {}", values.join(", "))),
        }
    }

    /// A whole number, `20.0` included from version 2 on.
    fn whole(&self) -> Check {
        let number = self.value.as_f64().filter(|number| number.fract() == 0.0);
        let written_whole = self.value.is_i64() || self.value.is_u64();
        match number {
            // Whole numbers beyond 64 bits are whole for clkhash, too, and reach us as floats.
            Some(number) if written_whole || number.abs() >= 9.3e18 || self.version != Version::V1 => Ok(()),
            _ => self.fail("must be a whole number"),
        }
    }

    fn at_least(&self, min: f64) -> Check {
        self.whole()?;
        if self.value.as_f64().is_some_and(|number| number >= min) {
            Ok(())
        } else {
            self.fail(format!("must be at least {min}"))
        }
    }

    fn clk_config(&self) -> Check {
        self.required("l")?.at_least(1.0)?;
        self.may("xorFolds", |folds| folds.at_least(0.0))?;
        self.required("kdf")?.kdf()?;
        if self.version == Version::V1 {
            self.required("k")?.at_least(1.0)?;
            self.required("hash")?.hash()?;
        }
        Ok(())
    }

    fn kdf(&self) -> Check {
        self.required("type")?.one_of(&["HKDF"])?;
        self.may("hash", |hash| hash.one_of(&["SHA256", "SHA512"]))?;
        self.may("salt", Node::text)?;
        self.may("info", Node::text)?;
        self.may("keySize", |size| size.at_least(1.0))
    }

    fn hash(&self) -> Check {
        let kind = self.required("type")?;
        kind.one_of(&["doubleHash", "blakeHash"])?;
        if kind.value == "doubleHash" { self.may("prevent_singularity", Node::boolean) } else { Ok(()) }
    }

    /// Exactly one of "encoded" and "ignored".
    fn feature(&self) -> Check {
        match (self.encoded(), self.ignored()) {
            (Ok(()), Ok(())) => self.fail("is both ignored and encoded"),
            (Ok(()), _) | (_, Ok(())) => Ok(()),
            (Err(_), Err(fault)) if self.value.get("ignored") == Some(&Value::Bool(true)) => Err(fault),
            (Err(fault), Err(_)) => Err(fault),
        }
    }

    fn ignored(&self) -> Check {
        self.required("identifier")?.text()?;
        let ignored = self.required("ignored")?;
        if ignored.value != &Value::Bool(true) {
            return ignored.fail("must be true");
        }
        self.may("description", Node::text)?;
        if self.version == Version::V3 {
            self.only(&["identifier", "ignored", "description"])
        } else {
            Ok(())
        }
    }

    fn encoded(&self) -> Check {
        self.required("identifier")?.text()?;
        self.may("description", Node::text)?;
        if self.version == Version::V3 {
            self.may("ignored", Node::boolean)?;
        }
        self.required("format")?.format()?;
        self.required("hashing")?.hashing()
    }

    fn format(&self) -> Check {
        let kind = self.required("type")?;
        kind.one_of(&["string", "integer", "date", "enum"])?;
        self.may("description", Node::text)?;
        match kind.value.as_str() {
            Some("string") => {
                self.may("encoding", |name| name.one_of(&["ascii", "utf-8", "utf-16", "utf-32"]))?;
                if self.object()?.contains_key("pattern") {
                    self.only(&["type", "encoding", "pattern", "description"])?;
                    return self.required("pattern")?.text();
                }
                self.only(&["type", "encoding", "case", "minLength", "maxLength", "description"])?;
                self.may("case", |case| case.one_of(&["upper", "lower", "mixed"]))?;
                self.may("minLength", |length| length.at_least(0.0))?;
                self.may("maxLength", |length| length.at_least(1.0))
            }
            Some("integer") => {
                self.only(&["type", "minimum", "maximum", "description"])?;
                self.may("minimum", Node::whole)?;
                self.may("maximum", Node::whole)
            }
            Some("date") => {
                self.only(&["type", "format", "description"])?;
                self.required("format")?.text()
            }
            _ => {
                self.only(&["type", "values", "description"])?;
                self.required("values")?.items()?.iter().try_for_each(Node::text)
            }
        }
    }

    fn hashing(&self) -> Check {
        self.may("missingValue", |missing| {
            missing.required("sentinel")?.text()?;
            missing.may("replaceWith", Node::text)
        })?;
        match self.version {
            Version::V1 => {
                self.required("ngram")?.at_least(0.0)?;
                self.may("positional", Node::boolean)?;
                self.may("weight", |weight| match weight.value.as_f64() {
                    Some(number) if number >= 0.0 => Ok(()),
                    _ => weight.fail("must be a number of at least 0"),
                })
            }
            Version::V2 => {
                self.only(&["hash", "strategy", "ngram", "positional", "missingValue"])?;
                self.required("ngram")?.at_least(1.0)?;
                self.may("positional", Node::boolean)?;
                self.may("hash", Node::hash)?;
                let strategy = self.required("strategy")?;
                let keys = strategy.object()?;
                if keys.contains_key("k") == keys.contains_key("numBits") {
                    return strategy.fail("must have one of 'k' and 'numBits'");
                }
                Ok(())
            }
            Version::V3 => {
                self.only(&["hash", "strategy", "comparison", "missingValue"])?;
                self.may("hash", Node::hash)?;
                self.required("strategy")?.strategy()?;
                self.required("comparison")?.comparison()
            }
        }
    }

    fn strategy(&self) -> Check {
        let mut keys = self.object()?.keys();
        match (keys.next().map(String::as_str), keys.next()) {
            (Some(key @ ("bitsPerToken" | "bitsPerFeature")), None) => self.required(key)?.at_least(1.0),
            _ => self.fail("must have one of 'bitsPerToken' and 'bitsPerFeature' and nothing else"),
        }
    }

    fn comparison(&self) -> Check {
        let kind = self.required("type")?;
        kind.one_of(&["ngram", "exact", "numeric"])?;
        match kind.value.as_str() {
            Some("ngram") => {
                self.required("n")?.at_least(1.0)?;
                self.may("positional", Node::boolean)
            }
            Some("numeric") => {
                let distance = self.required("thresholdDistance")?;
                if !distance.value.as_f64().is_some_and(|number| number > 0.0) {
                    return distance.fail("must be a number above 0");
                }
                self.required("resolution")?.at_least(1.0)?;
                self.may("fractional_precision", |digits| digits.at_least(0.0))
            }
            _ => Ok(()),
        }
    }
}
