//! The encoding file: Apache Parquet with the header as key-value metadata.
//!
//! Metadata keys are `blindlink.` and a field of [`EncodingHeader`]: plain text each, but `layout` and
//! `decision`, which are JSON; and `blindlink.profile` for people. Columns are those of
//! [`crate::wire::arrow`]. Rows are in the order of their refs, which is keyed and tells nothing.
//! Readable by pandas, DuckDB and Spark.

mod read;
mod sort;
mod write;

pub use read::EncodingFile;
pub use write::EncodingWriter;

use crate::wire::arrow::ArrowFormError;
use crate::wire::{EncodingHeader, FORMAT_VERSION, limits};
use parquet::file::metadata::KeyValue;
use serde_json::{Map, Value};
use std::path::Path;

/// Prefix of the metadata keys.
const PREFIX: &str = "blindlink.";
/// Fields of the header whose JSON form is a text.
const TEXT_FIELDS: [&str; 6] = ["agency", "project", "schema", "schema_fingerprint", "key_check", "content"];
/// Fields of the header whose JSON form is something else.
const OTHER_FIELDS: [&str; 6] = ["format_version", "epoch", "layout", "decision", "records", "plain_ids"];

/// Why an encoding file is refused or can not be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system said no.
    #[error("'{path}': {source}")]
    Io {
        /// The file.
        path: String,
        /// What the file system said.
        source: std::io::Error,
    },
    /// Too short, or without Parquet's mark at its beginning.
    #[error("'{path}' is not a Parquet file")]
    NotParquet {
        /// The file.
        path: String,
    },
    /// Begins as Parquet and does not end as such.
    #[error("'{path}' is cut short: copy it again or encode again")]
    Truncated {
        /// The file.
        path: String,
    },
    /// Parquet, but not made by this program.
    #[error("'{path}' is a Parquet file without encodings (no '{PREFIX}format_version' in it)")]
    Foreign {
        /// The file.
        path: String,
    },
    /// Made by a version with another format.
    #[error("'{path}' has format version {found}; this program reads version {FORMAT_VERSION}")]
    Version {
        /// The file.
        path: String,
        /// Its version.
        found: String,
    },
    /// A metadata value that is missing or malformed.
    #[error("'{path}': the metadata '{PREFIX}{key}' is missing or malformed; encode again")]
    Header {
        /// The file.
        path: String,
        /// Name of the field, without prefix.
        key: String,
    },
    /// Columns that the file's own layout does not have, or values out of range.
    #[error("'{path}': {source}")]
    Columns {
        /// The file.
        path: String,
        /// The column and what is wrong.
        source: ArrowFormError,
    },
    /// Another number of rows than the header says.
    #[error("'{path}' has {found} records where its header says {expected}; encode again")]
    Count {
        /// The file.
        path: String,
        /// Rows found.
        found: u64,
        /// Rows of the header.
        expected: u64,
    },
    /// More records than one dataset may have.
    #[error("'{path}' has {found} records; a dataset has at most {max}", max = limits::DATASET_RECORDS_MAX)]
    TooMany {
        /// The file.
        path: String,
        /// Records found.
        found: u64,
    },
    /// The rows are not those the header was made for.
    #[error("'{path}' was changed after it was written (its digest differs); encode again")]
    Digest {
        /// The file.
        path: String,
    },
    /// Parquet that can not be decoded.
    #[error("'{path}' is damaged: copy it again or encode again")]
    Damaged {
        /// The file.
        path: String,
    },
    /// Several records of one local id.
    #[error("{records} records repeat the local id of another; run 'check', then remove them")]
    DuplicateIds {
        /// How many records have an id that stood before.
        records: u64,
    },
    /// Two files that must not be compared.
    #[error("{what} differ: {first} and {other}; encode both under the same agreement")]
    Incomparable {
        /// What differs.
        what: &'static str,
        /// Of the first file.
        first: String,
        /// Of the other file.
        other: String,
    },
}

/// Whether encodings under two headers may be compared: same project, epoch, schema and linkage key.
///
/// # Errors
/// [`FileError::Incomparable`] names the first thing that differs.
pub fn comparable(first: &EncodingHeader, other: &EncodingHeader) -> Result<(), FileError> {
    let same = |what, a: &dyn ToString, b: &dyn ToString| {
        let (first, other) = (a.to_string(), b.to_string());
        if first == other { Ok(()) } else { Err(FileError::Incomparable { what, first, other }) }
    };
    same("the projects", &first.project, &other.project)?;
    same("the epochs", &first.epoch, &other.epoch)?;
    same("the schemas", &first.schema, &other.schema)?;
    same("the schemas' fingerprints", &first.schema_fingerprint, &other.schema_fingerprint)?;
    same("the key check values (another linkage key)", &first.key_check, &other.key_check)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The header as metadata, in a fixed order.
fn to_metadata(header: &EncodingHeader) -> Option<Vec<KeyValue>> {
    let Ok(Value::Object(fields)) = serde_json::to_value(header) else { return None };
    let mut pairs = vec![KeyValue::new(format!("{PREFIX}profile"), header.layout.profile().to_string())];
    for key in TEXT_FIELDS.iter().chain(&OTHER_FIELDS) {
        let value = fields.get(*key)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        pairs.push(KeyValue::new(format!("{PREFIX}{key}"), text));
    }
    Some(pairs)
}

/// The header from metadata; `path` is for messages.
fn from_metadata(path: &Path, pairs: Option<&Vec<KeyValue>>) -> Result<EncodingHeader, FileError> {
    let find = |key: &str| {
        let key = format!("{PREFIX}{key}");
        pairs?.iter().find(|pair| pair.key == key)?.value.as_deref()
    };
    let refuse = |key: &str| FileError::Header { path: shown(path), key: key.to_owned() };
    let version = find("format_version").ok_or_else(|| FileError::Foreign { path: shown(path) })?;
    if version != FORMAT_VERSION.to_string() {
        let found = version.chars().filter(char::is_ascii_graphic).take(16).collect();
        return Err(FileError::Version { path: shown(path), found });
    }
    let mut fields = Map::new();
    for key in TEXT_FIELDS.iter().chain(&OTHER_FIELDS) {
        let text = find(key).ok_or_else(|| refuse(key))?;
        if text.len() as u64 > limits::CONFIG_BYTES_MAX {
            return Err(refuse(key));
        }
        let value = if TEXT_FIELDS.contains(key) {
            Value::from(text)
        } else {
            serde_json::from_str(text).map_err(|_| refuse(key))?
        };
        fields.insert((*key).to_owned(), value);
    }
    serde_json::from_value(Value::Object(fields)).map_err(|_| refuse("*"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agency::encoder::Encoder;
    use crate::agency::key::{AgencyKey, LinkageKey};
    use crate::agency::record::{BirthDate, Name, NameSource, Person};
    use crate::agency::schema::Schema;
    use crate::wire::{EncodingBatch, Epoch};

    fn encoder(schema: &str, linkage: u8) -> Encoder {
        let key = |first: u8| std::array::from_fn(|i| first.wrapping_add(i as u8));
        Encoder::new(
            &Schema::builtin(schema).unwrap(),
            &LinkageKey::from_bytes(&key(linkage)).unwrap(),
            &AgencyKey::from_bytes(&key(77)).unwrap(),
            &"school".parse().unwrap(),
            &"pilot".parse().unwrap(),
            Epoch::FIRST,
        )
        .with_plain_ids(true)
    }

    fn persons(count: usize) -> Vec<Person> {
        let child = |i: usize| Person {
            local_id: format!("id-{i}"),
            given: vec![Name {
                parts: vec![format!("anna{}", "xyz".repeat(i % 3))],
                source: NameSource::Main,
            }],
            family: vec![Name { parts: vec!["smith".into()], source: NameSource::Main }],
            date_of_birth: Some(BirthDate { year: 2010, month: 1 + (i % 12) as u8, day: 1 + (i % 28) as u8 }),
            ..Person::default()
        };
        (0..count).map(child).collect()
    }

    fn written(dir: &Path, name: &str, persons: &[Person], memory: usize) -> std::path::PathBuf {
        let path = dir.join(name);
        let encoder = encoder("uk-child-clk", 1);
        let mut writer = EncodingWriter::new(&encoder, &path).memory(memory);
        persons.chunks(300).for_each(|chunk| writer.push(chunk).unwrap());
        writer.finish().unwrap();
        path
    }

    fn read(path: &Path) -> Result<(EncodingHeader, EncodingBatch), FileError> {
        EncodingFile::open(path)?.read_all()
    }

    #[test]
    fn reads_back_in_the_order_of_refs_whatever_the_input_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut people = persons(1000);
        let path = written(dir.path(), "a", &people, usize::MAX);
        let (header, batch) = read(&path).unwrap();
        assert_eq!((header.records, batch.len(), header.plain_ids), (1000, 1000, true));
        assert!(batch.refs.is_sorted());
        let encoder = encoder("uk-child-clk", 1);
        for row in [0, 500, 999] {
            let id = &batch.local_ids.as_ref().unwrap()[row];
            let person = people.iter().find(|person| person.local_id == *id).unwrap();
            let alone = encoder.encode(std::slice::from_ref(person));
            assert_eq!(batch.filter(0, row), alone.filter(0, 0));
            assert_eq!(batch.refs[row], encoder.record_ref(id));
        }
        people.reverse();
        let bytes = std::fs::read(&path).unwrap();
        assert!(std::fs::read(written(dir.path(), "b", &people, usize::MAX)).unwrap() == bytes);
        // The same through sorted runs on disk.
        assert!(std::fs::read(written(dir.path(), "c", &people, 1)).unwrap() == bytes);
    }

    #[test]
    fn an_empty_dataset_is_a_file_too() {
        let dir = tempfile::tempdir().unwrap();
        let (header, batch) = read(&written(dir.path(), "a", &[], 1)).unwrap();
        assert_eq!((header.records, batch.len()), (0, 0));
    }

    #[cfg(unix)]
    #[test]
    fn files_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), "a", &persons(3), 1);
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn repeated_ids_leave_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let encoder = encoder("uk-child-clk", 1);
        let mut writer = EncodingWriter::new(&encoder, &path).memory(1);
        writer.push(&persons(10)).unwrap();
        writer.push(&persons(3)).unwrap();
        assert!(matches!(writer.finish(), Err(FileError::DuplicateIds { records: 3 })));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn damaged_cut_and_foreign_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), "a", &persons(500), usize::MAX);
        let good = std::fs::read(&path).unwrap();
        let attempt = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).unwrap_err()
        };
        assert!(matches!(attempt(b""), FileError::NotParquet { .. }));
        assert!(matches!(attempt(b"a,b\n1,2\n3,4\n5,6\n"), FileError::NotParquet { .. }));
        assert!(matches!(attempt(&good[..good.len() / 2]), FileError::Truncated { .. }));
        assert!(matches!(attempt(&good[..good.len() - 1]), FileError::Truncated { .. }));
        // One bit of the first filters.
        let mut flipped = good.clone();
        flipped[good.len() / 3] ^= 1;
        assert!(matches!(attempt(&flipped), FileError::Digest { .. } | FileError::Damaged { .. }));
        // Every byte of the footer, one at a time: an error or the same records, never a panic.
        let whole = {
            std::fs::write(&path, &good).unwrap();
            read(&path).unwrap()
        };
        for at in (good.len() - 4000..good.len()).step_by(7) {
            let mut bytes = good.clone();
            bytes[at] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            if let Ok((_, batch)) = read(&path) {
                // Plain local ids stand outside the digest.
                assert!(batch.refs == whole.1.refs && batch.slots == whole.1.slots, "byte {at}");
            }
        }
    }

    #[test]
    fn metadata_is_ours_and_of_this_version() {
        let header = encoder("uk-child-clk", 1).header(0, crate::wire::ContentDigest::from_bytes([0; 32]));
        let mut pairs = to_metadata(&header).unwrap();
        let path = Path::new("a");
        assert_eq!(from_metadata(path, Some(&pairs)).unwrap(), header);
        assert!(matches!(from_metadata(path, None), Err(FileError::Foreign { .. })));
        let at = pairs.iter().position(|pair| pair.key == "blindlink.format_version").unwrap();
        pairs[at].value = Some("99".into());
        assert!(matches!(from_metadata(path, Some(&pairs)), Err(FileError::Version { .. })));
        pairs[at].value = Some("1".into());
        pairs.retain(|pair| pair.key != "blindlink.epoch");
        assert!(matches!(from_metadata(path, Some(&pairs)), Err(FileError::Header { .. })));
    }

    #[test]
    fn only_encodings_of_one_agreement_compare() {
        let zero = crate::wire::ContentDigest::from_bytes([0; 32]);
        let header = encoder("uk-child-clk", 1).header(0, zero);
        comparable(&header, &header).unwrap();
        let says = |other: &EncodingHeader, words: &str| {
            assert!(comparable(&header, other).unwrap_err().to_string().contains(words));
        };
        says(&encoder("uk-child-clk", 2).header(0, zero), "key check");
        let mut other = header.clone();
        other.epoch = 2.try_into().unwrap();
        says(&other, "epochs");
        other = header.clone();
        other.schema_fingerprint = crate::wire::SchemaFingerprint::from_bytes([1; 32]);
        says(&other, "fingerprints");
    }
}
