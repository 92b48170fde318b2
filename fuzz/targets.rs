//! What is fuzzed: each target takes any bytes and panics when a promise is broken. Included by the fuzzer's
//! binaries and, over the corpus, by `tests/fuzz_smoke.rs`.

use blindlink::agency::encoder::Encoder;
use blindlink::agency::file::EncodingFile;
use blindlink::agency::key::{AgencyKey, LinkageKey};
use blindlink::agency::mapping::Mapping;
use blindlink::agency::reader::{Extract, Options};
use blindlink::agency::schema::Schema;
use blindlink::agency::selftest::SelfTest;
use blindlink::wire::Epoch;
use std::sync::LazyLock;

/// Input beyond this is cut: the limits are tested elsewhere.
const BYTES_MAX: usize = 1 << 16;

/// One encoder per shipped schema; the extract's first byte chooses.
static ENCODERS: LazyLock<Vec<Encoder>> = LazyLock::new(|| {
    let linkage = LinkageKey::from_bytes(&std::array::from_fn(|at| at as u8)).expect("a key");
    let own = AgencyKey::from_bytes(&std::array::from_fn(|at| 7 + at as u8)).expect("a key");
    let (agency, project) = ("school".parse().expect("an id"), "fuzz".parse().expect("an id"));
    let encoder = |text| {
        let schema = Schema::parse(text).expect("a schema");
        Encoder::new(&schema, &linkage, &own, &agency, &project, Epoch::FIRST)
    };
    Schema::builtins().map(|(.., text)| encoder(text)).collect()
});

/// An extract: whatever stands in it, each row taken has one whole encoding, the same one every time, and the report
/// adds up.
pub fn encode(data: &[u8]) {
    let data = &data[..data.len().min(BYTES_MAX)];
    let encoder = &ENCODERS[usize::from(data.first().copied().unwrap_or(0)) % ENCODERS.len()];
    let mapping = "[columns]\nrecord_id = \"id\"\ngiven_name = \"given\"\nfamily_name = \"family\"\n\
                   date_of_birth = { column = \"born\", format = \"%Y-%m-%d\" }\npostcode = \"postcode\"\n";
    let own = Mapping::from_toml(mapping).expect("a mapping");
    let today = jiff::civil::date(2026, 9, 1);
    let headers = std::str::from_utf8(data).ok().and_then(|text| text.lines().next());
    let headers: Vec<String> = headers.unwrap_or_default().split(',').map(str::to_owned).collect();
    let mapping = Mapping::from_aliases(&headers).unwrap_or(own);
    let Ok(mut extract) = Extract::open(data, &mapping, Options::new(today)) else { return };
    let mut tests = SelfTest::new(encoder.schema());
    let mut taken = 0;
    while let Ok(Some(batch)) = extract.next_batch() {
        let encodings = encoder.encode(&batch.persons);
        encodings.check().expect("columns of one length");
        assert_eq!(encodings.len(), batch.persons.len());
        assert!(encoder.encode(&batch.persons) == encodings, "encoding twice gave two results");
        tests.add(&batch.persons, &encodings);
        taken += encodings.len() as u64;
    }
    let mut report = extract.report();
    assert_eq!(report.rows, report.accepted + report.rejected);
    assert!(taken <= report.accepted);
    report.judge(tests.outcome());
    assert_eq!(report.safe_to_send, !report.closing_line().starts_with("safe to send: no"));
}

/// A schema: what is taken is linted, written down and read back with the same fingerprint, and encodes.
pub fn schema(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(&data[..data.len().min(BYTES_MAX)]) else { return };
    let Ok(schema) = Schema::parse(text) else { return };
    let _ = schema.lint(Some(20_000));
    let written = schema.to_toml().expect("a checked schema has a TOML form");
    assert_eq!(Schema::parse(&written).expect("what was written").fingerprint(), schema.fingerprint());
}

/// A column mapping: what is taken survives being written down.
pub fn mapping(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(&data[..data.len().min(BYTES_MAX)]) else { return };
    let Ok(mapping) = Mapping::from_toml(text) else { return };
    let written = mapping.to_toml();
    assert_eq!(Mapping::from_toml(&written).expect("what was written").to_toml(), written);
}

/// An encoding file: read to its end or refused.
pub fn encoding_file(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fuzzed.parquet");
    std::fs::write(&path, data).expect("a file");
    if let Ok(file) = EncodingFile::open(&path) {
        file.take_while(Result::is_ok).for_each(drop);
    }
}
