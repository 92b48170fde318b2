//! Why a mapping cannot be used.
//!
//! May see: headers that a mapping or the alias list names, column numbers. Must not see: values of an extract.

use crate::wire::limits;

/// Why a mapping cannot be used. Headers are repeated only where the mapping or the alias list names them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// Not TOML, or an unknown key.
    #[error("the mapping is not understood: {0}")]
    Toml(String),
    /// Longer than [`limits::CONFIG_BYTES_MAX`].
    #[error("the mapping is longer than {} bytes", limits::CONFIG_BYTES_MAX)]
    TooLong,
    /// A date without a format, or a format that is none.
    #[error("{field}: a date format needs year, month and day, for example format = \"%d/%m/%Y\"")]
    DateFormat {
        /// The field.
        field: String,
    },
    /// A format on a field that is no date.
    #[error("{field}: only dates have a format")]
    NoDate {
        /// The field.
        field: String,
    },
    /// No column, or more than one where one is expected.
    #[error("{field}: name one column{}", if *.joins { ", or a list of columns to join" } else { "" })]
    Columns {
        /// The field.
        field: String,
        /// Whether a list may stand there.
        joins: bool,
    },
    /// A delimiter that is not one plain character.
    #[error(
        "the delimiter must be one ASCII character that is no letter, digit, quote or line break, or \"tab\""
    )]
    Delimiter,
    /// A text name that is none.
    #[error("text.{name}: a name has 1 to 32 lower-case letters, digits or '_'")]
    TextName {
        /// The name.
        name: String,
    },
    /// A constant that may not travel.
    #[error("constants.{field}: {reason}")]
    Constant {
        /// The field.
        field: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// An oldest year out of range.
    #[error("oldest_year must be 1 to 2100")]
    OldestYear,
    /// A needed field has no column.
    #[error("no column for {0}: name it in the mapping's [columns]")]
    Missing(String),
    /// Two headers could both be meant.
    #[error("columns {headers} could all be {field}: choose one in the mapping's [columns]")]
    Ambiguous {
        /// The field.
        field: String,
        /// The headers, quoted.
        headers: String,
    },
    /// Two columns with one header.
    #[error("columns {first} and {second} have the same header: rename one")]
    DuplicateHeader {
        /// Column, from 1.
        first: usize,
        /// Column, from 1.
        second: usize,
    },
    /// A mapped column is not in the file.
    #[error("column '{header}' ({field}) is not among the {columns} columns of the file{}",
        if *.columns == 1 { ": is the delimiter right?" } else { ": correct the mapping or the extract" })]
    NoSuchColumn {
        /// The field.
        field: String,
        /// The header as the mapping has it.
        header: String,
        /// Columns of the file.
        columns: usize,
    },
}
