//! Mappings as TOML: what was typed, checked into what it means, and back.
//!
//! May see: headers, formats, constants. Must not see: values of an extract, keys.

use super::{Encoding, Field, Mapping, MappingError, NULLS, OLDEST_YEAR, PostcodeScheme, Source};
use crate::agency::normalise::dates::DateFormat;
use crate::agency::normalise::payload;
use crate::wire::{Payload, limits};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMapping {
    #[serde(default)]
    encoding: Encoding,
    delimiter: Option<String>,
    nulls: Option<Vec<String>>,
    #[serde(default)]
    postcodes: PostcodeScheme,
    oldest_year: Option<u16>,
    reference_date: Option<String>,
    columns: BTreeMap<Field, RawSource>,
    #[serde(default)]
    text: BTreeMap<String, RawSource>,
    #[serde(default)]
    constants: RawConstants,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawSource {
    One(String),
    Join(Vec<String>),
    Dated(RawDated),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDated {
    column: String,
    format: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConstants {
    record_type: Option<String>,
    area_code: Option<String>,
    age_band: Option<String>,
    last_seen: Option<String>,
    expiry: Option<String>,
    visibility: Option<String>,
}

impl Mapping {
    /// Parses a mapping file (see the module's example).
    ///
    /// # Errors
    /// [`MappingError`] names the field and what to write instead.
    pub fn from_toml(text: &str) -> Result<Self, MappingError> {
        if text.len() as u64 > limits::CONFIG_BYTES_MAX {
            return Err(MappingError::TooLong);
        }
        let raw: RawMapping = toml::from_str(text).map_err(|error| MappingError::Toml(error.to_string()))?;
        let mut mapping = Self { encoding: raw.encoding, postcodes: raw.postcodes, ..Self::default() };
        if let Some(text) = raw.delimiter {
            mapping.delimiter = delimiter(&text)?;
        }
        if let Some(nulls) = raw.nulls {
            mapping.nulls = nulls.into_iter().map(|null| null.trim().to_owned()).collect();
        }
        if let Some(year) = raw.oldest_year {
            mapping.oldest_year =
                Some(year).filter(|y| (1..=2100).contains(y)).ok_or(MappingError::OldestYear)?;
        }
        if let Some(date) = raw.reference_date {
            let field = || "reference_date".to_owned();
            let date = date.parse().map_err(|_| MappingError::DateFormat { field: field() })?;
            mapping.reference_date = Some(date);
        }
        for (field, source) in raw.columns {
            let source = source.checked(&field.name(), field.joins(), field.is_date())?;
            mapping.columns.insert(field, source);
        }
        for (name, source) in raw.text {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
                return Err(MappingError::TextName { name });
            }
            let source = source.checked(&format!("text.{name}"), true, false)?;
            mapping.texts.insert(name, source);
        }
        mapping.constants = raw.constants.checked()?;
        mapping.check()?;
        Ok(mapping)
    }

    /// The mapping as TOML, readable by [`Mapping::from_toml`].
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let quoted = |value: &str| toml::Value::String(value.to_owned()).to_string();
        if self.encoding == Encoding::Windows1252 {
            text.push_str("encoding = \"windows-1252\"\n");
        }
        if self.delimiter != b',' {
            let name =
                if self.delimiter == b'\t' { "tab".to_owned() } else { char::from(self.delimiter).into() };
            let _ = writeln!(text, "delimiter = {}", quoted(&name));
        }
        if self.nulls != NULLS {
            let nulls: Vec<String> = self.nulls.iter().map(|null| quoted(null)).collect();
            let _ = writeln!(text, "nulls = [{}]", nulls.join(", "));
        }
        if self.postcodes == PostcodeScheme::Any {
            text.push_str("postcodes = \"any\"\n");
        }
        if self.oldest_year != OLDEST_YEAR {
            let _ = writeln!(text, "oldest_year = {}", self.oldest_year);
        }
        if let Some(date) = self.reference_date {
            let _ = writeln!(text, "reference_date = \"{date}\"");
        }
        text.push_str("\n[columns]\n");
        for (field, source) in &self.columns {
            let _ = writeln!(text, "{field} = {}", source.to_toml());
        }
        if !self.texts.is_empty() {
            text.push_str("\n[text]\n");
        }
        for (name, source) in &self.texts {
            let _ = writeln!(text, "{name} = {}", source.to_toml());
        }
        text.push_str(&constants_to_toml(&self.constants));
        text.trim_start().to_owned()
    }
}

fn constants_to_toml(constants: &Payload) -> String {
    let visibility = constants.visibility.map(|visibility| {
        let word = serde_json::to_value(visibility).ok();
        word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
    });
    let values = [
        ("record_type", constants.record_type.map(|value| value.as_str().to_owned())),
        ("area_code", constants.area_code.map(|value| value.as_str().to_owned())),
        ("age_band", constants.age_band.map(|value| value.as_str().to_owned())),
        ("last_seen", constants.last_seen.map(|value| value.to_string())),
        ("expiry", constants.expiry.map(|value| value.to_string())),
        ("visibility", visibility),
    ];
    let lines = values.iter().filter_map(|(name, value)| Some(format!("{name} = \"{}\"\n", value.as_ref()?)));
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\n[constants]\n{lines}") }
}

impl Source {
    fn to_toml(&self) -> String {
        let quoted = |value: &String| toml::Value::String(value.clone()).to_string();
        let headers: Vec<String> = self.headers.iter().map(quoted).collect();
        match (&self.format, headers.as_slice()) {
            (Some(format), [one]) => format!("{{ column = {one}, format = \"{}\" }}", format.as_str()),
            (_, [one]) => one.clone(),
            (_, many) => format!("[{}]", many.join(", ")),
        }
    }
}

impl RawSource {
    fn checked(self, field: &str, joins: bool, is_date: bool) -> Result<Source, MappingError> {
        let wrong_format = || MappingError::DateFormat { field: field.to_owned() };
        let (headers, format) = match self {
            Self::One(header) => (vec![header], None),
            Self::Join(headers) => (headers, None),
            Self::Dated(dated) => (vec![dated.column], Some(dated.format)),
        };
        let blank = headers.iter().any(|header| header.trim().is_empty());
        if headers.is_empty() || blank || headers.len() > 16 || headers.len() > 1 && !joins {
            return Err(MappingError::Columns { field: field.to_owned(), joins });
        }
        let format = match format {
            Some(_) if !is_date => return Err(MappingError::NoDate { field: field.to_owned() }),
            Some(text) => Some(DateFormat::new(&text).map_err(|_| wrong_format())?),
            None if field == "date_of_birth" => return Err(wrong_format()),
            None => None,
        };
        Ok(Source { headers, format })
    }
}

impl RawConstants {
    fn checked(&self) -> Result<Payload, MappingError> {
        const TEXT: &str = "must be 1 to 24 letters, digits, '-', '+' or '_'";
        const MONTH: &str = "must be a month, YYYY-MM";
        const WORD: &str = "must be open, brokered or hidden";
        fn read<T>(
            value: &Option<String>,
            field: &'static str,
            reason: &'static str,
            parse: impl Fn(&str) -> Option<T>,
        ) -> Result<Option<T>, MappingError> {
            let Some(value) = value else { return Ok(None) };
            parse(value).map(Some).ok_or(MappingError::Constant { field, reason })
        }
        let text = |value: &str| payload::short_text(value).ok();
        let month = |value: &str| payload::month(value).ok();
        Ok(Payload {
            record_type: read(&self.record_type, "record_type", TEXT, text)?,
            area_code: read(&self.area_code, "area_code", TEXT, text)?,
            age_band: read(&self.age_band, "age_band", TEXT, text)?,
            last_seen: read(&self.last_seen, "last_seen", MONTH, month)?,
            expiry: read(&self.expiry, "expiry", MONTH, month)?,
            visibility: read(&self.visibility, "visibility", WORD, payload::visibility)?,
        })
    }
}

fn delimiter(text: &str) -> Result<u8, MappingError> {
    match text.as_bytes() {
        b"tab" | b"\t" => Ok(b'\t'),
        [byte] if byte.is_ascii_punctuation() && *byte != b'"' || *byte == b' ' => Ok(*byte),
        _ => Err(MappingError::Delimiter),
    }
}
