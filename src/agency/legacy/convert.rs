//! Older linkage schemas, rewritten as version 3.
//!
//! May see: a JSON document that [`super::check`] has passed. Must not see: records.
//! The result is checked again as version 3: that is where clkhash refuses what version 1 let pass
//! (`ngram` 0, a weight that rounds to 0 insertions, keys that version 3 does not know).

use serde_json::{Map, Value, json};

/// Version 1 to version 2: one `k` and one hash for all columns, scaled by each column's weight.
pub(super) fn v1_to_v2(document: &Value) -> Value {
    let config = &document["clkConfig"];
    let features = document["features"].as_array().map_or(&[][..], Vec::as_slice);
    let features = features.iter().map(|feature| feature_v1_to_v2(feature, config));
    json!({
        "version": 2,
        "clkConfig": {
            "l": config["l"],
            "xor_folds": config.get("xor_folds").unwrap_or(&json!(0)),
            "kdf": config["kdf"],
        },
        "features": features.collect::<Vec<_>>(),
    })
}

fn feature_v1_to_v2(feature: &Value, config: &Value) -> Value {
    if feature.get("ignored").is_some_and(is_truthy) {
        return feature.clone();
    }
    let weight = feature["hashing"].get("weight").and_then(Value::as_f64).unwrap_or(1.0);
    if weight == 0.0 {
        return json!({ "identifier": feature["identifier"], "ignored": true });
    }
    let mut feature = feature.clone();
    if let Some(hashing) = feature["hashing"].as_object_mut() {
        hashing.remove("weight");
        // Python rounds halves to even.
        let insertions = (weight * config["k"].as_f64().unwrap_or(0.0)).round_ties_even();
        hashing.insert("strategy".into(), json!({ "k": whole(insertions) }));
        hashing.insert("hash".into(), config["hash"].clone());
    }
    feature
}

/// A whole number as JSON writes it; beyond 64 bits no bound lets it pass.
fn whole(number: f64) -> Value {
    if number.abs() < 9e15 { json!(number as i64) } else { json!(number) }
}

/// Version 2 to version 3: strategies get their long names, n-grams become a comparison.
pub(super) fn v2_to_v3(document: &Value) -> Value {
    let mut document = document.clone();
    document["version"] = json!(3);
    for feature in document["features"].as_array_mut().into_iter().flatten() {
        if feature.get("ignored").is_some_and(is_truthy) {
            continue;
        }
        if let Some(strategy) = feature["hashing"]["strategy"].as_object_mut()
            && !rename(strategy, "k", "bitsPerToken")
        {
            rename(strategy, "numBits", "bitsPerFeature");
        }
        if let Some(hashing) = feature["hashing"].as_object_mut() {
            let n = hashing.remove("ngram").unwrap_or_default();
            let positional = hashing.remove("positional").unwrap_or(json!(false));
            let comparison = json!({ "type": "ngram", "n": n, "positional": positional });
            hashing.insert("comparison".into(), comparison);
        }
    }
    document
}

fn rename(map: &mut Map<String, Value>, from: &str, to: &str) -> bool {
    let value = map.remove(from);
    let found = value.is_some();
    if let Some(value) = value {
        map.insert(to.into(), value);
    }
    found
}

/// Whether Python takes a JSON value for true.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}
