//! The way through the centre: project, uploads, run, links, look-up, overlap, deltas, epochs.

#![cfg(feature = "central")]

mod service_support;

use serde_json::json;
use service_support::*;

#[test]
fn two_agencies_upload_link_and_ask() {
    let centre = Centre::start();
    let keys = centre.project("p", &["council", "school"]);
    let (council, school) = (&keys[0], &keys[1]);
    centre.upload(council, "p", "council", &batch("council", 0..250, 0));
    centre.upload(school, "p", "school", &batch("school", 200..400, 3));
    let run = centre.run(council, "p");
    assert_eq!(centre.run(school, "p"), run, "the same datasets are not linked again");

    let page = centre.get(council, "/v1/projects/p/links?limit=20").json();
    assert_eq!(page["run"], run);
    assert_eq!(page["links"].as_array().unwrap().len(), 20);
    let mut links = page["links"].as_array().unwrap().clone();
    let mut next = page["next"].as_str().map(ToOwned::to_owned);
    while let Some(cursor) = next {
        let page = centre.get(council, &format!("/v1/projects/p/links?limit=20&cursor={cursor}")).json();
        links.extend(page["links"].as_array().unwrap().clone());
        next = page["next"].as_str().map(ToOwned::to_owned);
    }
    assert_eq!(links.len(), 50);
    let mut own: Vec<String> = (200..250).map(|child| record("council", child).to_string()).collect();
    own.sort();
    let listed: Vec<&str> = links.iter().map(|link| link["record"].as_str().unwrap()).collect();
    assert_eq!(listed, own);
    assert!(links.iter().all(|link| link["band"] == "match" && link["agency"] == "school"));

    let asked = json!({"record": record("council", 210), "purpose": "safeguarding", "case": "C-17"});
    let answer = centre.send(council, "POST", "/v1/projects/p/lookups", &asked).json();
    assert_eq!(answer["answer"], "yes");
    assert_eq!(answer["matches"][0]["agency"], "school");
    assert_eq!(answer["matches"][0]["contact"]["team"], "Duty desk");
    let reference = answer["matches"][0]["reference"].as_str().unwrap();
    let seen = centre.get(school, &format!("/v1/projects/p/links/{reference}")).json();
    assert_eq!(seen["record"], record("school", 210).to_string());
    assert_eq!(seen["agency"], "council");

    let unlinked = json!({"record": record("council", 10), "purpose": "safeguarding"});
    let answer = centre.send(council, "POST", "/v1/projects/p/lookups", &unlinked).json();
    assert_eq!(answer["answer"], "no_match_found");
    assert_eq!(answer["parties"][0]["agency"], "school");

    let overlap = centre.get(&centre.operator, "/v1/projects/p/overlap").json();
    let cells = overlap["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 3);
    assert_eq!(cells[1], json!({"agency_a": "council", "agency_b": "school", "matched": 50, "review": 0}));
    assert_eq!(overlap["known_to"], json!([350, 50]));

    let events = centre.get(&centre.operator, "/v1/projects/p/events").json();
    let actions: Vec<&str> =
        events["events"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions.iter().filter(|action| **action == "lookup").count(), 2);
    assert!(actions.contains(&"dataset_sealed") && actions.contains(&"run_finished"));
    let numbers: Vec<u64> =
        events["events"].as_array().unwrap().iter().map(|e| e["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    centre.running.stop().unwrap();
}
