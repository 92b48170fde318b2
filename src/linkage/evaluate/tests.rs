//! Counts on a truth small enough to count by hand.

use super::*;

fn row(agency: &str, record: &str, entity: &str) -> TruthRow {
    TruthRow {
        agency: agency.to_owned(),
        record_id: record.to_owned(),
        entity_id: entity.to_owned(),
        ..TruthRow::default()
    }
}

fn link(a: (&str, &str), b: (&str, &str), band: Band, score: i64) -> LinkRow {
    LinkRow {
        agency_a: a.0.to_owned(),
        record_a: a.1.to_owned(),
        agency_b: b.0.to_owned(),
        record_b: b.1.to_owned(),
        band,
        score: Some(score),
    }
}

/// Three agencies; child x in all, twice in c; twins y and z in a and b, one family with sister w.
fn truth() -> Vec<TruthRow> {
    let mut rows = vec![
        row("a", "1", "x"),
        row("b", "1", "x"),
        row("c", "1", "x"),
        row("c", "2", "x"),
        row("a", "2", "y"),
        row("b", "2", "y"),
        row("a", "3", "z"),
        row("b", "3", "z"),
        row("c", "3", "w"),
    ];
    for row in &mut rows[4..9] {
        row.family_id = Some("f".to_owned());
        row.twin = row.entity_id != "w";
    }
    rows[1].events = vec!["nickname".to_owned()];
    rows[4].origin = Some("welsh".to_owned());
    rows
}

#[test]
fn counts_by_hand() {
    let links = [
        link(("a", "1"), ("b", "1"), Band::Match, 90),
        link(("c", "2"), ("a", "1"), Band::Review, 60),
        link(("a", "2"), ("b", "3"), Band::Match, 80),
        link(("a", "3"), ("c", "3"), Band::Review, 50),
        link(("c", "1"), ("c", "2"), Band::Match, 95),
        link(("a", "2"), ("b", "2"), Band::None, 10),
    ];
    let found = evaluate(&links, &truth()).unwrap();
    // x: a-b, a-c twice, b-c twice = 5; y 1; z 1.
    assert_eq!(found.all, Counts { links: 4, correct: 2, truth: 7 });
    assert_eq!(found.matched, Counts { links: 2, correct: 1, truth: 7 });
    assert_eq!(found.review, Counts { links: 2, correct: 1, truth: 6 });
    assert_eq!(found.truth_one_to_one, 5);
    assert_eq!(found.within_agencies, Counts { links: 1, correct: 1, truth: 1 });
    assert_eq!((found.children, found.records), (4, 9));
    let twins = Confusable { pairs_of_children: 1, pairs_of_records: 2, false_matches: 1, false_reviews: 0 };
    assert_eq!(found.twins, twins);
    let sisters =
        Confusable { pairs_of_children: 2, pairs_of_records: 4, false_matches: 0, false_reviews: 1 };
    assert_eq!(found.siblings, sisters);
    let nickname = &found.events[0];
    assert_eq!(
        (nickname.name.as_str(), nickname.all),
        ("nickname", Counts { links: 1, correct: 1, truth: 3 })
    );
    assert_eq!(found.origins[0].all, Counts { links: 1, correct: 0, truth: 1 });
    let pair = found.agency_pairs.iter().find(|part| part.name == "a + c").unwrap();
    assert_eq!(pair.all, Counts { links: 2, correct: 1, truth: 2 });
    let points: Vec<_> = found.curve.iter().map(|p| (p.score, p.counts.links, p.counts.correct)).collect();
    assert_eq!(points, [(90, 1, 1), (80, 2, 1), (60, 3, 2), (50, 4, 2)]);
    assert_eq!(found.not_one_to_one, 0);
    assert!(found.agencies_without_links().is_empty());
    assert_eq!(evaluate(&links[..1], &truth()).unwrap().agencies_without_links(), ["c"]);
    assert_eq!(found.origins_plain.len(), 1, "neither record of y bears an event");
    // Links of band match join a1-b1 and a2-b3; c1-c2 are records of one agency.
    let combinations: Vec<_> =
        found.combinations.iter().map(|one| (one.agencies.join(" "), one.found, one.truth)).collect();
    let expected = [("a b", 2, 2), ("c", 2, 1), ("a b c", 0, 1), ("a", 1, 0), ("b", 1, 0)];
    assert_eq!(combinations, expected.map(|(names, found, truth)| (names.to_owned(), found, truth)));
    assert_eq!(found.scores.right.iter().sum::<u64>() + found.scores.wrong.iter().sum::<u64>(), 4);
    assert!((found.all.f1().unwrap() - 4.0 / 11.0).abs() < 1e-12);
}

#[test]
fn notices_links_that_are_not_one_to_one_unknown_or_repeated() {
    let links = [
        link(("a", "1"), ("c", "1"), Band::Match, 9),
        link(("a", "1"), ("c", "2"), Band::Match, 8),
        link(("c", "1"), ("a", "1"), Band::Match, 9),
        link(("a", "9"), ("b", "1"), Band::Match, 7),
    ];
    let found = evaluate(&links, &truth()).unwrap();
    assert_eq!((found.not_one_to_one, found.links_repeated, found.links_unknown), (1, 1, 1));
    assert_eq!(found.all, Counts { links: 3, correct: 2, truth: 7 });
}

#[test]
fn refuses_what_cannot_be_compared() {
    assert_eq!(evaluate(&[], &[]).unwrap_err(), EvaluateError::NoTruth);
    let twice = [row("a", "1", "x"), row("a", "1", "y")];
    assert_eq!(evaluate(&[], &twice).unwrap_err(), EvaluateError::TruthTwice { row: 2, first: 1 });
    let links = [link(("q", "1"), ("b", "77"), Band::Match, 1)];
    assert_eq!(evaluate(&links, &truth()).unwrap_err(), EvaluateError::Unrelated);
    assert_eq!(evaluate(&[], &truth()).unwrap().all.precision(), None);
}
