//! A mapping bound to the header of one file: which column numbers each field is read from.
//!
//! May see: headers. Must not see: values of an extract, keys.

use super::aliases::folded;
use super::{Encoding, Field, Mapping, MappingError, PostcodeScheme, Source};
use crate::agency::check::FieldName;
use crate::agency::normalise::dates::DateFormat;
use crate::wire::Payload;
use jiff::civil::Date;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// One field of a plan.
#[derive(Debug, Clone)]
pub(in crate::agency) struct Column {
    /// Column numbers, from 0, joined in this order.
    pub(in crate::agency) at: Vec<usize>,
    /// The date format, where it is a date.
    pub(in crate::agency) format: Option<DateFormat>,
    /// The header (the first of several), for findings.
    pub(in crate::agency) header: Arc<str>,
    /// Which counter of the tally.
    pub(in crate::agency) counter: usize,
}

/// A mapping bound to a header.
#[derive(Debug)]
pub(in crate::agency) struct Plan {
    pub(in crate::agency) encoding: Encoding,
    pub(in crate::agency) nulls: Vec<String>,
    pub(in crate::agency) postcodes: PostcodeScheme,
    pub(in crate::agency) oldest_year: u16,
    pub(in crate::agency) today: Date,
    pub(in crate::agency) constants: Payload,
    /// Columns of the file.
    pub(in crate::agency) width: usize,
    /// Headers, for findings about a column that no field names.
    pub(in crate::agency) headers: Vec<Arc<str>>,
    fields: [Option<Column>; FIELDS],
    pub(in crate::agency) texts: Vec<(String, Column)>,
    pub(in crate::agency) names: Vec<FieldName>,
    pub(in crate::agency) unused: Vec<String>,
}

/// Number of variants of [`Field`].
const FIELDS: usize = Field::Visibility as usize + 1;

impl Plan {
    /// Binds a mapping to a header.
    ///
    /// # Errors
    /// [`MappingError`]: a mapped column is missing or ambiguous, two columns have one header.
    pub(in crate::agency) fn bind(
        mapping: &Mapping,
        headers: &[String],
        today: Date,
    ) -> Result<Self, MappingError> {
        check_distinct(headers)?;
        mapping.check()?;
        let mut plan = Self {
            encoding: mapping.encoding,
            nulls: mapping.nulls.clone(),
            postcodes: mapping.postcodes,
            oldest_year: mapping.oldest_year,
            today: mapping.reference_date.unwrap_or(today),
            constants: mapping.constants,
            width: headers.len(),
            headers: headers.iter().map(|header| Arc::from(header.as_str())).collect(),
            fields: [const { None }; FIELDS],
            texts: Vec::new(),
            names: Vec::new(),
            unused: Vec::new(),
        };
        for (&field, source) in &mapping.columns {
            let column = plan.column(&field.name(), needed(field, mapping), source, headers)?;
            plan.fields[field as usize] = Some(column);
        }
        for (name, source) in &mapping.texts {
            let column = plan.column(&format!("text.{name}"), false, source, headers)?;
            plan.texts.push((name.clone(), column));
        }
        let used = |at: &usize| {
            let fields = plan.fields.iter().flatten();
            fields.chain(plan.texts.iter().map(|(_, column)| column)).any(|column| column.at.contains(at))
        };
        let unused = (0..headers.len()).filter(|at| !used(at) && !headers[*at].is_empty());
        plan.unused = unused.map(|at| headers[at].clone()).collect();
        Ok(plan)
    }

    /// The columns of a field, if it is mapped.
    pub(in crate::agency) fn field(&self, field: Field) -> Option<&Column> {
        self.fields[field as usize].as_ref()
    }

    /// The values of some columns joined with a space, each trimmed; `None` when all are empty or null.
    pub(in crate::agency) fn join<'a>(
        nulls: &[String],
        columns: &[usize],
        field: impl Fn(usize) -> Option<&'a str>,
    ) -> Option<Cow<'a, str>> {
        let one = |at: usize| {
            let value = field(at)?.trim();
            (!value.is_empty() && !nulls.iter().any(|null| null == value)).then_some(value)
        };
        match columns {
            [at] => one(*at).map(Cow::Borrowed),
            many => {
                let values: Vec<&str> = many.iter().filter_map(|&at| one(at)).collect();
                (!values.is_empty()).then(|| values.join(" ").into())
            }
        }
    }

    fn column(
        &mut self,
        field: &str,
        needed: bool,
        source: &Source,
        headers: &[String],
    ) -> Result<Column, MappingError> {
        let at: Vec<usize> =
            source.headers.iter().map(|header| find(field, header, headers)).collect::<Result<_, _>>()?;
        let columns: Vec<String> = at.iter().map(|&at| headers[at].clone()).collect();
        let header = Arc::clone(&self.headers[at[0]]);
        self.names.push(FieldName { field: field.to_owned(), columns, needed });
        Ok(Column { at, format: source.format.clone(), header, counter: self.names.len() - 1 })
    }
}

/// Whether many missing values of a field are alarming.
fn needed(field: Field, mapping: &Mapping) -> bool {
    match field {
        Field::GivenName | Field::FamilyName => !mapping.columns.contains_key(&Field::FullName),
        Field::FullName | Field::DateOfBirth => true,
        _ => false,
    }
}

/// The column of a header: as written, else without case, spaces and punctuation.
fn find(field: &str, header: &str, headers: &[String]) -> Result<usize, MappingError> {
    if let Some(at) = headers.iter().position(|other| other == header.trim()) {
        return Ok(at);
    }
    let wanted = folded(header);
    headers.iter().position(|other| !wanted.is_empty() && folded(other) == wanted).ok_or_else(|| {
        MappingError::NoSuchColumn {
            field: field.to_owned(),
            header: header.to_owned(),
            columns: headers.len(),
        }
    })
}

/// Refuses two columns with one header (without case, spaces and punctuation). Empty headers may repeat.
pub(super) fn check_distinct(headers: &[String]) -> Result<(), MappingError> {
    let mut seen = HashMap::new();
    for (at, header) in headers.iter().enumerate() {
        if header.is_empty() {
            continue;
        }
        let name = Some(folded(header)).filter(|name| !name.is_empty()).unwrap_or_else(|| header.clone());
        if let Some(first) = seen.insert(name, at) {
            return Err(MappingError::DuplicateHeader { first: first + 1, second: at + 1 });
        }
    }
    Ok(())
}
