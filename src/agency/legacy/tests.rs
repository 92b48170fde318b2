//! clkhash's known answers, and what must hold beside them.

use super::*;
use crate::wire::{DecisionModel, DiceModel, Profile};
use serde_json::Value;

const CASES: &str = include_str!("../../../testdata/clkhash/cases.json");
const FEBRL_CSV: &str = include_str!("../../../testdata/clkhash/febrl4_A_first200.csv");
const FEBRL_SCHEMA: &str = include_str!("../../../testdata/clkhash/febrl4_schema_v2.json");
const FEBRL_CLKS: &str = include_str!("../../../testdata/clkhash/febrl4_A_first200_clks.json");

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn base64(clks: &[Clk]) -> Vec<String> {
    clks.iter().map(Clk::to_base64).collect()
}

fn febrl() -> (LegacySchema, LegacySecret) {
    let answers: Value = serde_json::from_str(FEBRL_CLKS).unwrap();
    let secret = LegacySecret::new(answers["secret"].as_str().unwrap().as_bytes());
    (LegacySchema::parse(FEBRL_SCHEMA.as_bytes()).unwrap(), secret)
}

const IGNORE_HEADER: Options = Options { header: Header::Ignore, validate: true };

#[test]
fn every_case_is_clkhashs() {
    let cases: Value = serde_json::from_str(CASES).unwrap();
    let (mut encoded, mut refused) = (0, 0);
    for case in cases["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let schema = case["schema"].as_str().map_or_else(|| case["schema"].to_string(), str::to_owned);
        let secret = LegacySecret::new(case["secret"].as_str().unwrap().as_bytes());
        let header = match case["header"].as_str().unwrap() {
            "check" => Header::Check,
            "ignore" => Header::Ignore,
            _ => Header::None,
        };
        let options = Options { header, validate: case["validate"] == true };
        let csv = case["csv"].as_str().unwrap();
        let clks = LegacySchema::parse(schema.as_bytes())
            .and_then(|schema| encode(&schema, &secret, csv.as_bytes(), options));
        if let Some(expected) = case["answer"].get("clks") {
            assert_eq!(
                base64(&clks.unwrap_or_else(|error| panic!("{name}: {error}"))),
                texts(expected),
                "{name}"
            );
            encoded += 1;
        } else {
            assert!(clks.is_err(), "{name}: clkhash refuses it");
            refused += 1;
        }
    }
    assert!(encoded > 300 && refused > 300, "{encoded} encoded, {refused} refused");
}

#[test]
fn febrl_persons_are_clkhashs() {
    let answers: Value = serde_json::from_str(FEBRL_CLKS).unwrap();
    let (schema, secret) = febrl();
    let clks = encode(&schema, &secret, FEBRL_CSV.as_bytes(), IGNORE_HEADER).unwrap();
    assert_eq!(base64(&clks), texts(&answers["clks"]));
}

#[test]
fn short_names_are_clkhashs() {
    for answers in [
        include_str!("../../../testdata/clkhash/mini_doubleHash.json"),
        include_str!("../../../testdata/clkhash/mini_blakeHash.json"),
    ] {
        let answers: Value = serde_json::from_str(answers).unwrap();
        let schema = LegacySchema::parse(answers["schema"].to_string().as_bytes()).unwrap();
        let secret = LegacySecret::new(answers["secret"].as_str().unwrap().as_bytes());
        let csv = texts(&answers["inputs"]).join("\n");
        let clks = encode(&schema, &secret, csv.as_bytes(), Options { header: Header::None, validate: true });
        assert_eq!(base64(&clks.unwrap()), texts(&answers["clks"]));
    }
}

#[test]
fn threads_change_nothing() {
    let (schema, secret) = febrl();
    let (head, body) = FEBRL_CSV.split_once('\n').unwrap();
    let csv = format!("{head}\n{}", body.repeat(8));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| encode(&schema, &secret, csv.as_bytes(), IGNORE_HEADER)).unwrap()
    };
    let one = run(1);
    assert_eq!(one.len(), 1_600);
    assert!(one == run(2) && one == run(5));
}

#[test]
fn the_first_fault_of_the_file_is_named_without_its_value() {
    let (schema, secret) = febrl();
    let (head, body) = FEBRL_CSV.split_once('\n').unwrap();
    let bad = "A1,ann,lee,12x,road,,town,2000,nsw,19990101,1\n";
    let csv = format!("{head}\n{}{bad}{}{bad}", body.repeat(5), body.repeat(5));
    let error = encode(&schema, &secret, csv.as_bytes(), IGNORE_HEADER).unwrap_err();
    let fault = EntryFault::NotInteger;
    assert_eq!(
        error,
        LegacyError::Entry { line: 1_002, record: 1_001, column: "street_number".into(), fault }
    );
    assert!(!error.to_string().contains("12x"));
    assert_eq!(error.to_string(), "line 1002 (record 1001), column 'street_number': is not a whole number");
}

#[test]
fn a_broken_character_is_refused_even_across_values() {
    let (schema, secret) = febrl();
    // The two halves of one character, with a comma between them.
    let mut csv = b"h\n".to_vec();
    csv.extend_from_slice(b"1,\xc3,\xa9,1,,,,2000,,,\n");
    let error = encode(&schema, &secret, &csv[..], IGNORE_HEADER).unwrap_err();
    assert_eq!(error, LegacyError::NotUtf8 { line: 2 });
}

#[test]
fn reader_to_writer_round_trip() {
    let (schema, secret) = febrl();
    let clks = encode(&schema, &secret, FEBRL_CSV.as_bytes(), IGNORE_HEADER).unwrap();
    let answers: Value = serde_json::from_str(FEBRL_CLKS).unwrap();
    let file = format!("{}\r\n", answers["secret"].as_str().unwrap());
    let mut out = Vec::new();
    let count =
        encode_json(FEBRL_SCHEMA.as_bytes(), file.as_bytes(), FEBRL_CSV.as_bytes(), IGNORE_HEADER, &mut out);
    assert_eq!(count.unwrap(), 200);
    assert!(import_clks(&out[..], ImportLimits::default()).unwrap() == clks);
    let failed =
        encode_json(FEBRL_SCHEMA.as_bytes(), &b"\n"[..], FEBRL_CSV.as_bytes(), IGNORE_HEADER, &mut out);
    assert_eq!(failed.unwrap_err(), LegacyError::EmptySecret);
}

#[test]
fn imports_are_bounded_and_of_one_length() {
    let limits = ImportLimits { file_bytes_max: 64, clks_max: 3 };
    let read = |text: &str| import_clks(text.as_bytes(), limits);
    assert_eq!(read(r#"{"clks": ["AAE=", "/wA="], "other": 1}"#).unwrap().len(), 2);
    assert!(read(r#"{"clks": []}"#).unwrap().is_empty());
    assert!(matches!(
        read(r#"{"clks": ["AA==","AA==","AA==","AA=="]}"#),
        Err(LegacyError::TooLong { max: 3, .. })
    ));
    assert!(matches!(read(&" ".repeat(65)), Err(LegacyError::TooLong { max: 64, .. })));
    assert!(matches!(read(r#"{"clks": ["AAE=", "AA=="]}"#), Err(LegacyError::Clk { row: 1, .. })));
    assert!(matches!(read(r#"{"clks": ["AAE"]}"#), Err(LegacyError::Clk { row: 0, .. })));
    assert!(matches!(read(r#"{"clks": [""]}"#), Err(LegacyError::Clk { row: 0, .. })));
    for bad in ["", "[]", "{}", r#"{"clks": "AA=="}"#, r#"{"clks": [1]}"#] {
        assert!(matches!(read(bad), Err(LegacyError::ClkFile { .. })), "{bad}");
    }
}

#[test]
fn a_batch_keeps_every_bit_in_the_linkers_order() {
    let clks =
        import_clks(&br#"{"clks": ["gAAAAAAAAAAB", "AMAAAAAAAAAA"]}"#[..], ImportLimits::default()).unwrap();
    let batch = batch(&clks).unwrap();
    batch.check().unwrap();
    assert_eq!(batch.layout.profile(), Profile::LegacyClk);
    // 72 bits are filled up to 128; bit i = bit i % 8 of byte i / 8.
    let set = |row: usize| -> Vec<usize> {
        (0..128).filter(|&bit| batch.filter(0, row)[bit / 8] & 1 << (bit % 8) != 0).collect()
    };
    assert_eq!(set(0), [0, 71]);
    assert_eq!(set(1), [8, 9]);
    assert_eq!(batch.local_ids.as_deref(), Some(&["0".to_owned(), "1".to_owned()][..]));
    let decision = DecisionModel::Dice(DiceModel::at("0.85".parse().unwrap()));
    let header = header("a".parse().unwrap(), "p".parse().unwrap(), &batch, decision);
    assert_eq!((header.records, header.content), (2, batch.content_digest()));
    assert!(super::batch(&[]).is_err());
}

#[test]
fn debug_shows_no_value() {
    let (schema, secret) = febrl();
    let clks = encode(&schema, &secret, FEBRL_CSV.as_bytes(), IGNORE_HEADER).unwrap();
    let encoder = LegacyEncoder::new(&schema, &secret).unwrap();
    assert_eq!(
        format!("{:?} {secret:?} {encoder:?}", clks[0]),
        "Clk(1024 bits) LegacySecret(..) LegacyEncoder(11 columns)"
    );
}
