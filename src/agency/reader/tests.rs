//! Reading, from files: the dirty extracts of `testdata`, and one named file per malformed input.
//!
//! May see: testdata. The huge inputs are generated as they are read.

use super::*;
use crate::agency::record::{NameSource, Sex};
use crate::wire::Visibility;
use jiff::civil::date;
use std::fs::File;
use std::path::PathBuf;

fn testdata(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(path)
}

fn today() -> Date {
    date(2026, 3, 14)
}

/// The mapping of the `bad` files.
fn plain_mapping() -> Mapping {
    let text = r#"
        [columns]
        record_id = "record_id"
        given_name = "given_name"
        family_name = "family_name"
        date_of_birth = { column = "date_of_birth", format = "%Y-%m-%d" }
        sex = "sex"
        postcode = "postcode"
    "#;
    Mapping::from_toml(text).unwrap()
}

fn read_all<R: Read>(
    input: R,
    mapping: &Mapping,
    options: Options,
) -> Result<(Vec<Batch>, Report), ReadError> {
    let mut extract = Extract::open(input, mapping, options)?;
    let mut batches = Vec::new();
    while let Some(batch) = extract.next_batch()? {
        batches.push(batch);
    }
    Ok((batches, extract.report()))
}

fn read_bad(name: &str, mapping: &Mapping, on_bad_row: OnBadRow) -> Result<(Vec<Person>, Report), ReadError> {
    let file = File::open(testdata("bad").join(name)).unwrap();
    let (batches, report) = read_all(file, mapping, Options { on_bad_row, ..Options::new(today()) })?;
    Ok((batches.into_iter().flat_map(|batch| batch.persons).collect(), report))
}

/// The message of a file that is refused.
fn refused(name: &str) -> String {
    read_bad(name, &plain_mapping(), OnBadRow::Skip).map(|_| ()).unwrap_err().to_string()
}

fn read_dirty(name: &str) -> (Vec<Person>, Report) {
    let text = std::fs::read_to_string(testdata("dirty_extracts").join(format!("{name}.toml"))).unwrap();
    let mapping = Mapping::from_toml(&text).unwrap();
    let file = File::open(testdata("dirty_extracts").join(format!("{name}.csv"))).unwrap();
    let (batches, report) = read_all(file, &mapping, Options::new(today())).unwrap();
    (batches.into_iter().flat_map(|batch| batch.persons).collect(), report)
}

fn names(person: &Person) -> (Vec<String>, Vec<String>) {
    let join =
        |names: &[crate::agency::record::Name]| names.iter().map(|name| name.parts.join("-")).collect();
    (join(&person.given), join(&person.family))
}

fn owned(given: &[&str], family: &[&str]) -> (Vec<String>, Vec<String>) {
    let own = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    (own(given), own(family))
}

#[test]
fn a_school_with_mark_and_accents() {
    let (persons, report) = read_dirty("school_mis");
    assert_eq!((report.rows, report.accepted, report.rejected), (8, 8, 0));
    assert_eq!(names(&persons[0]), owned(&["katherine", "katie"], &["oconnor"]));
    assert_eq!(persons[0].given[1].source, NameSource::KnownAs);
    assert_eq!(names(&persons[2]), owned(&["zoe"], &["smith-jones"]));
    assert_eq!(names(&persons[3]), owned(&["van", "andy", "an"], &["nguyen"]));
    assert_eq!(persons[1].postcode.as_ref().unwrap().full, "L86QZ");
    assert_eq!(persons[0].upn.as_deref(), Some("G341212000000"));
    assert!(persons[2].flags.default_date && !persons[0].flags.default_date);
    assert_eq!(persons[0].payload.record_type.unwrap().as_str(), "school-roll");
    assert_eq!((report.count(Rule::UpnNotIssued), report.count(Rule::DateDefault)), (1, 1));
    assert!(report.safe_to_send, "{}", report.closing_line());
}

#[test]
fn social_care_with_aliases_and_the_unborn() {
    let (persons, report) = read_dirty("social_care");
    assert_eq!(names(&persons[2]), owned(&["zoe"], &["smith", "jones"]));
    assert_eq!(persons[2].nhs_number.as_deref(), Some("9990010218"));
    let (baby, unborn) = (&persons[5], &persons[6]);
    assert_eq!((names(baby), names(unborn)), (owned(&[], &["byrne"]), owned(&[], &["flynn"])));
    assert!(baby.flags.placeholder_name && unborn.flags.placeholder_name && baby.flags.default_date);
    assert!(unborn.date_of_birth.is_none() && baby.sex.is_none() && baby.nhs_number.is_none());
    assert_eq!(persons[0].payload.area_code.unwrap().as_str(), "E01006512");
    assert_eq!(report.unused_columns, ["TeamCode"]);
    assert_eq!((report.count(Rule::NamePlaceholder), report.count(Rule::NhsNumberRepeated)), (3, 1));
}

#[test]
fn child_health_and_police() {
    let (persons, report) = read_dirty("child_health");
    assert_eq!(persons[0].local_id, "999 001 0072");
    assert_eq!(persons[0].nhs_number.as_deref(), Some("9990010072"));
    assert_eq!(names(&persons[5]), owned(&["jonas"], &["muller", "mueller"]));
    assert!(persons[5].postcode.is_none());
    assert_eq!(report.count(Rule::PostcodePseudo), 1);
    let (persons, report) = read_dirty("police");
    assert_eq!(names(&persons[1]), owned(&["andy", "van"], &["nguyen"]));
    assert_eq!((persons[0].sex, persons[2].sex), (Some(Sex::Male), Some(Sex::Female)));
    assert!(report.rules.is_empty() && report.safe_to_send);
}

#[test]
fn files_that_are_refused_whole() {
    for (name, message) in [
        ("empty.csv", "the file is empty: it needs a header and at least one row"),
        ("only_byte_order_mark.csv", "the file is empty: it needs a header and at least one row"),
        ("header_only.csv", "the file has a header and no rows: the extract is empty"),
        ("duplicate_header.csv", "columns 2 and 6 have the same header: rename one"),
        (
            "missing_column.csv",
            "column 'date_of_birth' (date_of_birth) is not among the 6 columns of the file: correct the mapping or the extract",
        ),
        (
            "other_delimiter.csv",
            "column 'record_id' (record_id) is not among the 1 columns of the file: is the delimiter right?",
        ),
        (
            "not_utf8.csv",
            "row 5, column 2: not UTF-8; if the system exports Windows-1252, say encoding = \"windows-1252\" in the mapping",
        ),
        ("utf16.csv", "the file is UTF-16: save it as UTF-8 (in Excel: 'CSV UTF-8')"),
        (
            "utf16_no_mark.csv",
            "row 1, column 1: a NUL byte in the header: the file is damaged or UTF-16; export it again as UTF-8",
        ),
        (
            "date_in_another_format.csv",
            "column 'date_of_birth': 3 of the first 3 dates are not in the format %Y-%m-%d; they fit %d/%m/%Y: correct the mapping",
        ),
    ] {
        assert_eq!(refused(name), message, "{name}");
    }
}

#[test]
fn headers_that_two_fields_could_mean() {
    let file = File::open(testdata("bad/ambiguous_header.csv")).unwrap();
    let headers = read_header(file, Default::default(), b',').unwrap();
    let message = Mapping::from_aliases(&headers).unwrap_err().to_string();
    let expected =
        "columns 'date_of_birth' and 'dob' could all be date_of_birth: choose one in the mapping's [columns]";
    assert_eq!(message, expected);
}

#[test]
fn windows_1252_by_choice() {
    let mapping = Mapping { encoding: crate::agency::mapping::Encoding::Windows1252, ..plain_mapping() };
    let (persons, _) = read_bad("not_utf8.csv", &mapping, OnBadRow::Skip).unwrap();
    assert_eq!(names(&persons[3]), owned(&["zoe"], &["muller", "mueller"]));
}

/// File, rows taken, what is found (rule, cases, first rows), and the message when bad rows are refused.
type BadRows = (&'static str, u64, &'static [(Rule, u64, &'static [u64])], Option<&'static str>);

#[test]
fn rows_that_are_skipped_or_refused() {
    let cases: [BadRows; 6] = [
        (
            "duplicate_ids.csv",
            4,
            &[(Rule::DuplicateId, 1, &[5])],
            Some("row 5, column 'record_id': an earlier row has the same record id: send one row per record"),
        ),
        (
            "nul_byte.csv",
            3,
            &[(Rule::NulByte, 1, &[5])],
            Some(
                "row 5, column 'given_name': a NUL byte: the file is damaged or UTF-16; export it again as UTF-8",
            ),
        ),
        (
            "unterminated_quote.csv",
            3,
            &[(Rule::UnterminatedQuote, 1, &[5])],
            Some("row 5: a quotation mark is never closed: export the file again"),
        ),
        (
            "unterminated_last_field.csv",
            3,
            &[(Rule::UnterminatedQuote, 1, &[5])],
            Some("row 5: a quotation mark is never closed: export the file again"),
        ),
        (
            "ragged_rows.csv",
            4,
            &[(Rule::RaggedRow, 2, &[5, 6])],
            Some("row 5: more or fewer fields than the header: look for an unquoted comma or a line break"),
        ),
        (
            "missing_ids.csv",
            3,
            &[(Rule::MissingId, 2, &[5, 6])],
            Some("row 5, column 'record_id': no record id: every row needs the agency's own id"),
        ),
    ];
    for (name, accepted, rules, message) in cases {
        let (persons, report) = read_bad(name, &plain_mapping(), OnBadRow::Skip).unwrap();
        assert_eq!((persons.len() as u64, report.accepted), (accepted, accepted), "{name}");
        for &(rule, count, rows) in rules {
            assert_eq!(report.count(rule), count, "{name}");
            let counted = report.rules.iter().find(|counted| counted.rule == rule).unwrap();
            assert_eq!(counted.first_rows, rows, "{name}");
        }
        assert!(!report.safe_to_send, "{name}");
        let error = read_bad(name, &plain_mapping(), OnBadRow::Refuse).map(|_| ()).unwrap_err();
        assert_eq!(Some(error.to_string().as_str()), message, "{name}");
    }
}

#[test]
fn values_that_count_as_missing() {
    let (persons, report) = read_bad("some_bad_dates.csv", &plain_mapping(), OnBadRow::Refuse).unwrap();
    assert_eq!(persons.len(), 7);
    assert!(persons[3..].iter().all(|person| person.date_of_birth.is_none()));
    for rule in [Rule::DateImpossible, Rule::DateFuture, Rule::DateTooOld, Rule::DateFormat] {
        assert_eq!(report.count(rule), 1, "{rule}");
    }
    let file = File::open(testdata("bad/wrong_check_digits.csv")).unwrap();
    let headers = read_header(file, Default::default(), b',').unwrap();
    let mapping = Mapping::from_aliases(&headers).unwrap();
    let (persons, report) = read_bad("wrong_check_digits.csv", &mapping, OnBadRow::Refuse).unwrap();
    assert!(persons[..2].iter().all(|person| person.nhs_number.is_none() && person.upn.is_none()));
    assert!(persons[2].nhs_number.is_some() && persons[2].upn.is_some());
    for rule in [Rule::NhsNumberInvalid, Rule::NhsNumberRepeated, Rule::UpnInvalid, Rule::UpnNotIssued] {
        assert_eq!(report.count(rule), 1, "{rule}");
    }
}

#[test]
fn an_unknown_visibility_is_never_open() {
    let file = File::open(testdata("bad/unknown_visibility.csv")).unwrap();
    let headers = read_header(file, Default::default(), b',').unwrap();
    let mapping = Mapping::from_aliases(&headers).unwrap();
    let (persons, report) = read_bad("unknown_visibility.csv", &mapping, OnBadRow::Skip).unwrap();
    assert_eq!(persons.len(), 2);
    assert_eq!(persons[0].payload.visibility, Some(Visibility::Hidden));
    assert_eq!(report.count(Rule::VisibilityUnknown), 1);
}

#[test]
fn mapping_files_that_are_refused() {
    for (name, part) in [
        ("unknown_key", "unknown field `colour`"),
        ("unknown_field", "unknown variant `shoe_size`"),
        ("no_date_format", "date_of_birth: a date format needs year, month and day"),
        ("wrong_date_format", "date_of_birth: a date format needs year, month and day"),
        ("no_record_id", "no column for record_id"),
        ("two_postcodes", "postcode: name one column"),
        ("long_constant", "constants.record_type: must be 1 to 24 letters"),
        ("letter_delimiter", "the delimiter must be one ASCII character"),
    ] {
        let text = std::fs::read_to_string(testdata("bad").join(format!("mapping_{name}.toml"))).unwrap();
        let message = Mapping::from_toml(&text).unwrap_err().to_string();
        assert!(message.contains(part), "{name}: {message}");
    }
    assert_eq!(Mapping::from_toml(&" ".repeat((1 << 20) + 1)), Err(MappingError::TooLong));
}

/// A stream that repeats one byte after a beginning and counts what was asked of it.
struct Endless<'a> {
    head: &'a [u8],
    byte: u8,
    left: u64,
    read: &'a std::cell::Cell<u64>,
}

impl Read for Endless<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if !self.head.is_empty() {
            return self.head.read(out);
        }
        let n = out.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        out[..n].fill(self.byte);
        self.left -= n as u64;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}

#[test]
fn a_line_of_a_gigabyte_is_refused_early() {
    let header = b"record_id,given_name,family_name,date_of_birth,sex,postcode\n".as_slice();
    let quoted = [header, b"A1,\"".as_slice()].concat();
    for (head, row) in [(header, 2), (b"".as_slice(), 1), (quoted.as_slice(), 2)] {
        let read = std::cell::Cell::new(0);
        let input = Endless { head, byte: b'x', left: 1 << 30, read: &read };
        let error = read_all(input, &plain_mapping(), Options::new(today())).map(|_| ()).unwrap_err();
        assert_eq!(error, ReadError::RecordTooLong { row });
        assert!(read.get() <= 2 << 20, "read {} bytes before refusing", read.get());
    }
}

#[test]
fn ten_thousand_and_one_columns_are_refused() {
    let wide = vec!["column"; 10_001].join(",");
    let error = read_all(wide.as_bytes(), &plain_mapping(), Options::new(today())).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "row 1 has more than 1024 columns");
    let rows = format!("record_id,given_name,family_name,date_of_birth,sex,postcode\n{wide}\n");
    let error = read_all(rows.as_bytes(), &plain_mapping(), Options::new(today())).map(|_| ()).unwrap_err();
    assert_eq!(error, ReadError::TooManyColumns { row: 2 });
}

#[test]
fn batches_keep_order_for_any_size_and_thread_count() {
    let mut text = String::from("record_id,given_name,family_name,date_of_birth,sex,postcode\n");
    for at in 0..3000 {
        let id = if at % 100 == 99 { at - 1 } else { at };
        text.push_str(&format!(
            "A{id},Zoe,Smith{},2013-03-01,F,L4 2RT\n",
            if at % 7 == 0 { "-Jones" } else { "" }
        ));
    }
    let read = |batch_rows, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let options = Options { batch_rows, ..Options::new(today()) };
        let (batches, report) =
            pool.install(|| read_all(text.as_bytes(), &plain_mapping(), options)).unwrap();
        let first_rows: Vec<u64> = batches.iter().map(|batch| batch.first_row).collect();
        assert!(first_rows.is_sorted() && first_rows[0] == 2);
        let persons = batches.into_iter().flat_map(|batch| batch.rows.into_iter().zip(batch.persons));
        (persons.collect::<Vec<_>>(), report)
    };
    let (persons, report) = read(8192, 1);
    assert_eq!((persons.len(), report.count(Rule::DuplicateId)), (2970, 30));
    assert!(persons.iter().map(|(row, _)| row).is_sorted());
    assert_eq!(persons[100].1.local_id, "A101");
    for (batch_rows, threads) in [(1, 2), (700, 4), (65_536, 3)] {
        assert!(read(batch_rows, threads) == (persons.clone(), report.clone()));
    }
}

/// Nothing that can be printed, logged or sent as a report carries a value of the extract.
#[test]
fn reports_and_debug_show_no_value() {
    let text = "record_id,given_name,family_name,date_of_birth,sex,postcode\n\
        QXZ1,Qxzgiven,Qxzfamily,1987-06-05,qxz,QXZ\nQXZ1,Qxzgiven,Qxzfamily,1987-06-05,qxz,QXZ\n";
    let (batches, report) = read_all(text.as_bytes(), &plain_mapping(), Options::new(today())).unwrap();
    let shown = format!("{batches:?} {report:?} {}", serde_json::to_string(&report).unwrap()).to_lowercase();
    assert!(!shown.contains("qxz") && !shown.contains("1987"), "{shown}");
    let refuse = Options { on_bad_row: OnBadRow::Refuse, ..Options::new(today()) };
    let error = read_all(text.as_bytes(), &plain_mapping(), refuse).map(|_| ()).unwrap_err();
    assert!(!format!("{error:?} {error}").to_lowercase().contains("qxz"));
}
