//! Why a linkage schema, an extract or a CLK file is refused.
//!
//! May see: nothing. Must not hold a value of a record, of a secret or of an encoding: places and rules only.

/// A refusal, with its place and its rule, never with the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LegacyError {
    /// The schema is not JSON.
    #[error("the linkage schema is not JSON: line {line}, column {column}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The schema breaks a rule of its version.
    #[error("the linkage schema is not valid at {path}: {rule}")]
    Schema {
        /// Where in the document (`features[2].hashing.comparison`).
        path: String,
        /// What is asked there.
        rule: String,
    },
    /// The schema is valid, but clkhash itself fails with it on the first record.
    #[error("the linkage schema cannot be used: {path}: {rule}")]
    Unusable {
        /// Where in the document.
        path: String,
        /// What stands in the way.
        rule: String,
    },
    /// Some input is longer than its bound.
    #[error("{what} is longer than {max} {unit}")]
    TooLong {
        /// Which input.
        what: &'static str,
        /// The bound.
        max: u64,
        /// Of what.
        unit: &'static str,
    },
    /// Reading or writing failed.
    #[error("cannot {what}: {kind}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The kind of failure.
        kind: std::io::ErrorKind,
    },
    /// The secret has no byte.
    #[error("the secret is empty: write it into the file without quotes")]
    EmptySecret,
    /// The extract is not UTF-8.
    #[error("line {line} is not UTF-8: save the extract as UTF-8")]
    NotUtf8 {
        /// Line of the file, from 1.
        line: u64,
    },
    /// The extract has no header line.
    #[error("the extract is empty: a header line was expected (or say that it has none)")]
    NoHeader,
    /// The header has another number of columns than the schema has features.
    #[error("the header has {found} columns where the schema has {expected} features")]
    HeaderLength {
        /// Columns found.
        found: usize,
        /// Features of the schema.
        expected: usize,
    },
    /// A header differs from the schema's identifier.
    #[error("column {column} must be headed '{expected}'{}", if *byte_order_mark { " (the file begins with a byte order mark: save it as UTF-8 without)" } else { "" })]
    HeaderName {
        /// Column, from 1.
        column: usize,
        /// Identifier of the schema's feature.
        expected: String,
        /// Whether the header differs by a byte order mark.
        byte_order_mark: bool,
    },
    /// A record has another number of values than the schema has features.
    #[error("line {line} (record {record}) has {found} values where {expected} are expected")]
    RowLength {
        /// Line of the file on which the record begins, from 1.
        line: u64,
        /// Record, from 1, the header not counted.
        record: u64,
        /// Values found.
        found: usize,
        /// Values expected.
        expected: usize,
    },
    /// A value breaks its column's format.
    #[error("line {line} (record {record}), column '{column}': {fault}")]
    Entry {
        /// Line of the file on which the record begins, from 1.
        line: u64,
        /// Record, from 1, the header not counted.
        record: u64,
        /// Identifier of the column.
        column: String,
        /// What is wrong.
        fault: EntryFault,
    },
    /// A CLK file is not `{"clks": ["base64", ...]}`.
    #[error("not a CLK file: {rule}")]
    ClkFile {
        /// What is asked.
        rule: String,
    },
    /// A CLK is not base64 or has another length than the first.
    #[error("CLK {row}: {rule}")]
    Clk {
        /// Position in the file, from 0 (as anonlink counts).
        row: usize,
        /// What is asked.
        rule: &'static str,
    },
    /// CLKs that no layout can carry.
    #[error("these CLKs cannot be linked: {rule}")]
    Layout {
        /// What is asked.
        rule: String,
    },
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    /// A character outside ASCII where the schema says ASCII.
    #[error("has a character that ascii cannot encode")]
    NotAscii,
    /// Does not match the schema's pattern.
    #[error("does not match the schema's pattern")]
    Pattern,
    /// The pattern took too long on this value.
    #[error("the schema's pattern needs too many steps for this value")]
    PatternCost,
    /// Shorter than `minLength`.
    #[error("is shorter than minLength")]
    TooShort,
    /// Longer than `maxLength`.
    #[error("is longer than maxLength")]
    TooLong,
    /// Not upper case.
    #[error("is not upper case")]
    NotUpper,
    /// Not lower case.
    #[error("is not lower case")]
    NotLower,
    /// Not a whole number in base 10.
    #[error("is not a whole number")]
    NotInteger,
    /// Below `minimum`.
    #[error("is below the minimum")]
    BelowMinimum,
    /// Above `maximum`.
    #[error("is above the maximum")]
    AboveMaximum,
    /// Not a date of the schema's format.
    #[error("is not a date of the schema's format")]
    NotDate,
    /// Not one of the permitted values.
    #[error("is not one of the permitted values")]
    NotListed,
    /// Not a finite number where the comparison is numeric.
    #[error("is not a finite number")]
    NotNumber,
}

impl LegacyError {
    /// A broken rule of the schema.
    pub(super) fn schema(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::Schema { path: path.into(), rule: rule.into() }
    }
    /// A schema that clkhash trips over.
    pub(super) fn unusable(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::Unusable { path: path.into(), rule: rule.into() }
    }
    /// A failed read or write.
    pub(super) fn io(what: &'static str, error: &std::io::Error) -> Self {
        Self::Io { what, kind: error.kind() }
    }
}
