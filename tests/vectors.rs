//! Two implementations agree: the encoder gives the bits that `scripts/vectors.py` wrote down.
#![cfg(feature = "agency")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use blindlink::agency::encoder::Encoder;
use blindlink::agency::key::{AgencyKey, LinkageKey};
use blindlink::agency::names::skeleton;
use blindlink::agency::record::{BirthDate, Name, NameSource, Person, Postcode, Sex, SlippedDate};
use blindlink::agency::schema::Schema;
use blindlink::wire::Epoch;
use serde_json::Value;
use std::path::Path;

fn vectors(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn key(value: &Value) -> [u8; 32] {
    let text = value.as_str().unwrap();
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn names(value: &Value) -> Vec<Name> {
    let name = |parts: &Value| Name {
        parts: parts.as_array().unwrap().iter().map(|part| part.as_str().unwrap().to_owned()).collect(),
        source: NameSource::Main,
    };
    value.as_array().map(|all| all.iter().map(name).collect()).unwrap_or_default()
}

fn person(value: &Value) -> Person {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let number = |at: usize| value["date"][at].as_u64().unwrap();
    let slipped = |at: usize| value["slipped"][at].as_u64().unwrap();
    Person {
        local_id: text("id").unwrap(),
        given: names(&value["given"]),
        family: names(&value["family"]),
        date_of_birth: value["date"].is_array().then(|| BirthDate {
            year: number(0) as u16,
            month: number(1) as u8,
            day: number(2) as u8,
        }),
        slipped_date: value["slipped"].is_array().then(|| SlippedDate {
            year: slipped(0) as u16,
            month: slipped(1) as u8,
            day: slipped(2) as u8,
        }),
        sex: text("sex").map(|sex| if sex == "f" { Sex::Female } else { Sex::Male }),
        postcode: text("postcode").map(|full| Postcode {
            sector: full[..full.len() - 2].to_owned(),
            outward: full[..full.len() - 3].to_owned(),
            full,
        }),
        address: text("address"),
        nhs_number: text("nhs"),
        ..Person::default()
    }
}

fn check(file: &str) {
    let vectors = vectors(file);
    let mut form = Schema::builtin(vectors["schema"].as_str().unwrap()).unwrap().form().clone();
    form.exact.iter_mut().for_each(|exact| exact.enabled = true);
    let schema = Schema::from_form(form).unwrap();
    let epoch = u32::try_from(vectors["epoch"].as_u64().unwrap()).unwrap();
    let project = vectors["project"].as_str().unwrap().parse().unwrap();
    let encoder = Encoder::new(
        &schema,
        &LinkageKey::from_bytes(&key(&vectors["linkage_key"])).unwrap(),
        &AgencyKey::from_bytes(&key(&vectors["agency_key"])).unwrap(),
        &vectors["agency"].as_str().unwrap().parse().unwrap(),
        &project,
        Epoch::try_from(epoch).unwrap(),
    );
    let header = encoder.header(0, blindlink::wire::ContentDigest::from_bytes([0; 32]));
    assert_eq!(header.key_check.to_string(), vectors["key_check"].as_str().unwrap());
    let records = vectors["records"].as_array().unwrap();
    let persons: Vec<Person> = records.iter().map(|record| person(&record["person"])).collect();
    let batch = encoder.encode(&persons);
    let columns: Vec<String> =
        schema.layout().slots().map(|(view, k)| format!("{}.{k}", view.name)).collect();
    for (row, record) in records.iter().enumerate() {
        let id = &persons[row].local_id;
        assert_eq!(batch.refs[row].to_string(), record["ref"].as_str().unwrap(), "{id}");
        assert_eq!(record["slots"].as_array().unwrap().len(), columns.len());
        for (slot, column) in columns.iter().enumerate() {
            let expected = &record["slots"][slot];
            let tag = batch.slots[slot].tags.as_ref().map(|tags| u64::from(tags[row]));
            assert_eq!(tag, expected["tag"].as_u64(), "{id} {column}: tag");
            let filter = expected["filter"].as_str().unwrap();
            assert_eq!(hex(batch.filter(slot, row)), filter, "{id} {column}: filter");
        }
        let exact = batch.exact[0].tokens[row].map(|token| hex(&token));
        assert_eq!(exact.as_deref(), record["exact"].as_str(), "{id}: exact token");
    }
}

#[test]
fn views_agree_with_the_second_implementation() {
    check("uk-child-views.json");
}

#[test]
fn diffused_agrees_with_the_second_implementation() {
    check("uk-child-diffused.json");
}

#[test]
fn clk_agrees_with_the_second_implementation() {
    check("uk-child-clk.json");
}

#[test]
fn fields_agree_with_the_second_implementation() {
    check("uk-child-fields.json");
}

#[test]
fn skeletons_agree_with_the_second_implementation() {
    let mut out = Vec::new();
    for (name, expected) in vectors("skeletons.json").as_object().unwrap() {
        skeleton(name.as_bytes(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected.as_str().unwrap(), "{name}");
    }
}
