//! A linkage schema as types: parsed once, upgraded to version 3 on the way.
//!
//! May see: the schema file. Must not see: records, the secret.

use super::check::{self, Version};
use super::convert;
use super::date::DateFormat;
use super::error::LegacyError;
use super::field::{Case, Field, Format, Missing};
use super::pattern::Pattern;
use super::python;
use super::tokens::{Comparison, TextEncoding};
use crate::wire::limits::{CONFIG_BYTES_MAX, CSV_COLUMNS_MAX};
use num_bigint::BigInt;
use serde_json::Value;
use std::io::Read;

/// Longest filter before folding, in bits.
const FILTER_BITS_MAX: u64 = 1 << 20;
/// Most insertions of one token or feature.
const INSERTIONS_MAX: u64 = 1_000_000;
/// Most tokens either side of a number, and letters of an n-gram.
const COUNT_MAX: u64 = 100_000;
/// Most fractional digits of a numeric comparison.
const FRACTION_DIGITS_MAX: u64 = 300;

/// A linkage schema of clkhash.
#[derive(Debug)]
pub struct LegacySchema {
    pub(super) bits: u32,
    pub(super) folds: u32,
    pub(super) kdf: Kdf,
    pub(super) features: Vec<Feature>,
}

/// How keys are made of the secret.
#[derive(Debug)]
pub(super) struct Kdf {
    pub(super) hash: KdfHash,
    pub(super) salt: Option<Vec<u8>>,
    pub(super) info: Option<Vec<u8>>,
    pub(super) key_size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KdfHash {
    Sha256,
    Sha512,
}

/// One column: encoded or ignored.
#[derive(Debug)]
pub(super) struct Feature {
    pub(super) identifier: String,
    pub(super) encoded: Option<Encoded>,
}

/// How a column sets bits.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) field: Field,
    pub(super) comparison: Comparison,
    pub(super) strategy: Strategy,
    pub(super) hash: HashKind,
}

/// How often a token is inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    BitsPerToken(u32),
    BitsPerFeature(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashKind {
    Double { prevent_singularity: bool },
    Blake,
}

impl LegacySchema {
    /// Reads a linkage schema of version 1, 2 or 3.
    ///
    /// # Errors
    /// [`LegacyError::TooLong`] above 1 MiB, [`LegacyError::Json`], and [`LegacyError::Schema`] where clkhash
    /// refuses it too, or where a length is out of all proportion (2^20 bits, 1,000,000 insertions, 1,024 columns).
    pub fn read(file: impl Read) -> Result<Self, LegacyError> {
        let mut bytes = Vec::new();
        let read = file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| LegacyError::io("read the linkage schema", &error))?;
        Self::parse(&bytes)
    }

    /// As [`Self::read`], of bytes.
    ///
    /// # Errors
    /// As there.
    pub fn parse(bytes: &[u8]) -> Result<Self, LegacyError> {
        if bytes.len() as u64 > CONFIG_BYTES_MAX {
            let what = "the linkage schema";
            return Err(LegacyError::TooLong { what, max: CONFIG_BYTES_MAX, unit: "bytes" });
        }
        let document = serde_json::from_slice(bytes)
            .map_err(|error| LegacyError::Json { line: error.line(), column: error.column() })?;
        let document = match check::check(&document)? {
            Version::V1 => convert::v2_to_v3(&convert::v1_to_v2(&document)),
            Version::V2 => convert::v2_to_v3(&document),
            Version::V3 => document,
        };
        check::check(&document)?;
        Self::from_v3(&document)
    }

    /// Length of an encoding in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Identifiers of the columns in order, with whether each is encoded.
    pub fn columns(&self) -> impl Iterator<Item = (&str, bool)> {
        self.features.iter().map(|feature| (feature.identifier.as_str(), feature.encoded.is_some()))
    }

    fn from_v3(document: &Value) -> Result<Self, LegacyError> {
        let config = &document["clkConfig"];
        let bits = whole(config, "clkConfig", "l", None, FILTER_BITS_MAX)?;
        let folds = match config.get("xor_folds") {
            Some(Value::Bool(flag)) => u64::from(*flag),
            _ => whole(config, "clkConfig", "xor_folds", Some(0), 20)?,
        };
        if bits << folds > FILTER_BITS_MAX {
            return Err(LegacyError::schema(
                "clkConfig",
                format!("l * 2^xor_folds must be at most {FILTER_BITS_MAX}"),
            ));
        }
        let features = document["features"].as_array().map_or(&[][..], Vec::as_slice);
        if features.len() > CSV_COLUMNS_MAX {
            return Err(LegacyError::schema("features", format!("must be at most {CSV_COLUMNS_MAX}")));
        }
        let features = features.iter().enumerate();
        Ok(Self {
            bits: to_u32(bits),
            folds: to_u32(folds),
            kdf: Kdf::of(&config["kdf"])?,
            features: features
                .map(|(at, value)| Feature::of(value, &format!("features[{at}]")))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Kdf {
    fn of(value: &Value) -> Result<Self, LegacyError> {
        let path = "clkConfig.kdf";
        let bytes = |name: &str| match value.get(name).and_then(Value::as_str) {
            None => Ok(None),
            Some(text) => match python::base64(text) {
                None => Err(LegacyError::schema(format!("{path}.{name}"), "must be base64")),
                some => Ok(some),
            },
        };
        let sha512 = value.get("hash").and_then(Value::as_str) == Some("SHA512");
        Ok(Self {
            hash: if sha512 { KdfHash::Sha512 } else { KdfHash::Sha256 },
            salt: bytes("salt")?,
            info: bytes("info")?,
            key_size: whole(value, path, "keySize", Some(64), 1 << 20)?,
        })
    }
}

impl Feature {
    fn of(value: &Value, path: &str) -> Result<Self, LegacyError> {
        let identifier = text(value, "identifier").unwrap_or_default().to_owned();
        let ignored = value.get("ignored") == Some(&Value::Bool(true));
        let encoded = if ignored { None } else { Some(Encoded::of(value, path)?) };
        Ok(Self { identifier, encoded })
    }
}

impl Encoded {
    fn of(value: &Value, path: &str) -> Result<Self, LegacyError> {
        let (format, hashing) = (&value["format"], &value["hashing"]);
        let here = format!("{path}.hashing");
        let missing = hashing.get("missingValue").map(|missing| {
            let sentinel = text(missing, "sentinel").unwrap_or_default();
            let replacement = text(missing, "replaceWith").unwrap_or(sentinel);
            Missing { sentinel: sentinel.to_owned(), replacement: replacement.to_owned() }
        });
        let field = Field {
            format: format_of(format, &format!("{path}.format"))?,
            encoding: TextEncoding::named(text(format, "encoding").unwrap_or("utf-8")),
            missing,
        };
        let strategy = match hashing["strategy"].get("bitsPerToken") {
            Some(count) => Strategy::BitsPerToken(count_of(count, &format!("{here}.strategy"))?),
            None => Strategy::BitsPerFeature(count_of(
                &hashing["strategy"]["bitsPerFeature"],
                &format!("{here}.strategy"),
            )?),
        };
        let comparison = comparison_of(&hashing["comparison"], &format!("{here}.comparison"))?;
        Ok(Self { field, comparison, strategy, hash: HashKind::of(hashing.get("hash"), &here)? })
    }
}

impl HashKind {
    fn of(value: Option<&Value>, path: &str) -> Result<Self, LegacyError> {
        let prevent =
            value.and_then(|value| value.get("prevent_singularity")).filter(|value| !value.is_null());
        if value.and_then(|value| text(value, "type")) == Some("doubleHash") {
            return Ok(Self::Double { prevent_singularity: prevent == Some(&Value::Bool(true)) });
        }
        match prevent {
            Some(_) => Err(LegacyError::schema(
                format!("{path}.hash"),
                "prevent_singularity belongs to doubleHash only",
            )),
            None => Ok(Self::Blake),
        }
    }
}

fn format_of(value: &Value, path: &str) -> Result<Format, LegacyError> {
    let length = |name: &str| value.get(name).and_then(Value::as_f64).map(|length| length as u64);
    Ok(match text(value, "type") {
        Some("integer") => Format::Integer {
            minimum: value.get("minimum").and_then(big),
            maximum: value.get("maximum").and_then(big),
        },
        Some("date") => Format::Date(DateFormat::new(text(value, "format").unwrap_or_default())),
        Some("enum") => {
            let values = value["values"].as_array().into_iter().flatten();
            Format::Enum(values.filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => match text(value, "pattern") {
            Some(pattern) => Format::Pattern(
                Pattern::new(pattern).map_err(|rule| LegacyError::schema(format!("{path}.pattern"), rule))?,
            ),
            None => Format::Text {
                case: match text(value, "case") {
                    Some("upper") => Case::Upper,
                    Some("lower") => Case::Lower,
                    _ => Case::Mixed,
                },
                min: length("minLength").unwrap_or(0),
                max: length("maxLength"),
            },
        },
    })
}

fn comparison_of(value: &Value, path: &str) -> Result<Comparison, LegacyError> {
    match text(value, "type") {
        Some("ngram") => Ok(Comparison::Ngram {
            n: to_u32(whole(value, path, "n", None, COUNT_MAX)?),
            positional: value.get("positional") == Some(&Value::Bool(true)),
        }),
        Some("numeric") => {
            let resolution = to_u32(whole(value, path, "resolution", None, COUNT_MAX)?);
            let digits = whole(value, path, "fractional_precision", Some(0), FRACTION_DIGITS_MAX)?;
            let distance = &value["thresholdDistance"];
            Comparison::numeric(distance, resolution, to_u32(digits)).ok_or_else(|| {
                LegacyError::schema(path, "thresholdDistance is zero at this fractional_precision")
            })
        }
        _ => Ok(Comparison::Exact),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

/// A whole number in the bound. `20.0` passes clkhash's check here and then breaks it.
fn whole(value: &Value, path: &str, name: &str, default: Option<u64>, max: u64) -> Result<u64, LegacyError> {
    let number = match (value.get(name), default) {
        (None, Some(default)) => Some(default),
        (found, _) => found.and_then(Value::as_u64),
    };
    number.filter(|&number| number <= max).ok_or_else(|| {
        LegacyError::schema(
            format!("{path}.{name}"),
            format!("must be a whole number of at most {max}, without a point"),
        )
    })
}

/// A number of insertions; here clkhash does take `20.0`.
fn count_of(value: &Value, path: &str) -> Result<u32, LegacyError> {
    let count = value.as_f64().filter(|&count| count <= INSERTIONS_MAX as f64);
    count
        .map(|count| count as u32)
        .ok_or_else(|| LegacyError::schema(path, format!("must be at most {INSERTIONS_MAX}")))
}

fn big(value: &Value) -> Option<BigInt> {
    match (value.as_i64(), value.as_u64()) {
        (Some(number), _) => Some(number.into()),
        (_, Some(number)) => Some(number.into()),
        _ => format!("{:.0}", value.as_f64()?).parse().ok(),
    }
}

/// Lossless after the bounds above.
fn to_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
