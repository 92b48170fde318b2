//! The evaluation as one HTML page. Words and plots only; every number comes from the evaluation.

use super::pair::{PairFound, describe_estimate};
use super::{UNIT, cells};
use crate::linkage::estimate::Estimate;
use crate::linkage::evaluate::{Confusable, Counts, Evaluation, Part, ScoreGroup};
use crate::report::{
    Bars, Histogram, Intersection, Lines, Mark, Measure, Page, Panel, Row, Series, Table, Unit, UpSet,
    grouped,
};
use crate::wire::DecisionModel;

/// Combinations of agencies drawn at most; the rest is told in a sentence.
const COMBINATIONS_MAX: usize = 31;
/// True pairs below which a group is too small to be compared with another.
const GROUP_PAIRS_MIN: u64 = 200;
/// Difference between name-origin groups that needs an explanation.
const GAP_MAX: f64 = 0.02;

/// The page for `found`; `pair` and `estimate` where encodings were given.
pub(super) fn page(
    found: &Evaluation,
    pair: Option<&PairFound>,
    estimate: Option<(&Estimate, &DecisionModel)>,
) -> Page {
    let mut page = Page::new("Links held against the truth");
    page.lead(&format!(
        "Of {} true pairs of records of one child at two agencies, {} are linked; of {} links, {} are wrong.",
        grouped(found.all.truth),
        grouped(found.all.correct),
        grouped(found.all.links),
        grouped(found.all.links - found.all.correct),
    ));
    summary(&mut page, found);
    scores(&mut page, found);
    if let Some(pair) = pair {
        page.section("One pair in detail");
        pair.describe(&mut page);
    }
    if let Some(estimate) = estimate {
        describe_estimate(&mut page, estimate, found);
    }
    events(&mut page, found);
    agencies(&mut page, found);
    families(&mut page, found);
    origins(&mut page, found);
    page
}

fn summary(page: &mut Page, found: &Evaluation) {
    page.section("Precision and recall");
    let mut table =
        Table::new("By band", 1, ["links", "precision", "recall", "F1", "made", "right", "true pairs"]);
    let bands = [
        ("match and review", &found.all),
        ("match", &found.matched),
        ("review (of what match left)", &found.review),
    ];
    for (name, counts) in bands {
        table.row(cells(name, counts));
    }
    page.table(&table);
    let odd = [
        (found.links_unknown, "links name records that the truth does not have; they count as wrong"),
        (found.links_repeated, "links are given twice; they count once"),
        (found.not_one_to_one, "records are linked to two records of one agency"),
    ];
    for (number, what) in odd.iter().filter(|(number, _)| *number > 0) {
        page.warning(&format!("{} {what}.", grouped(*number)));
    }
    if let Some(remark) = super::not_linked(found) {
        page.warning(&remark);
    }
    page.facts([
        ("Records", grouped(found.records)),
        ("Children", grouped(found.children)),
        ("True pairs at most in one-to-one links", grouped(found.truth_one_to_one)),
    ]);
}

fn in_unit(score: i64) -> f64 {
    score as f64 / UNIT as f64
}

/// Scores of evidence are in bits, those of composite filters a Dice from 0 to 1.
fn is_dice(found: &Evaluation) -> bool {
    found.groups.iter().all(|group| (0..=UNIT).contains(&group.lowest) && group.highest <= UNIT)
}

fn scores(page: &mut Page, found: &Evaluation) {
    if found.groups.is_empty() {
        return page.paragraph("The links carry no score, so nothing can be said by score.");
    }
    page.section("Scores");
    let dice = is_dice(found);
    let (name, unit) = if dice { ("Dice", Unit::Decimal(3)) } else { ("score in bits", Unit::Decimal(2)) };
    page.plot(&Histogram {
        title: "Scores of right and wrong links".into(),
        note: "Only pairs that became links are counted.".into(),
        x_label: name.into(),
        unit,
        from: in_unit(found.scores.from),
        bin: in_unit(found.scores.width.max(1)),
        references: Vec::new(),
        panels: vec![
            Panel { name: "right links".into(), counts: found.scores.right.clone() },
            Panel { name: "wrong links".into(), counts: found.scores.wrong.clone() },
        ],
    });
    let points = |value: fn(&Counts) -> Option<f64>| {
        let points = found.curve.iter().rev();
        points.filter_map(|point| Some((in_unit(point.score), value(&point.counts)?))).collect::<Vec<_>>()
    };
    let series = |name: &str, points: Vec<(f64, f64)>| Series { name: name.into(), points, dots: false };
    page.plot(&Lines {
        title: "What a threshold would do".into(),
        note: "All links at or above a score, whatever their band.".into(),
        x_label: name.into(),
        y_label: "share".into(),
        x_unit: unit,
        y_unit: Unit::Share,
        series: vec![
            series("precision", points(Counts::precision)),
            series("recall", points(Counts::recall)),
            series("F1", points(Counts::f1)),
        ],
        ..Lines::default()
    });
    let curve = found.curve.iter();
    let curve = curve.filter_map(|point| Some((point.counts.recall()?, point.counts.precision()?)));
    page.plot(&Lines {
        title: "Precision and recall".into(),
        note: "Each point is a threshold; the best corner is at the top right.".into(),
        x_label: "recall".into(),
        y_label: "precision".into(),
        x_unit: Unit::Share,
        y_unit: Unit::Share,
        series: vec![series("precision", curve.collect())],
        ..Lines::default()
    });
    calibration(page, found, (name, unit));
}

/// Observed shares of right links by score, and for bits the shares that the scale itself promises.
fn calibration(page: &mut Page, found: &Evaluation, (name, unit): (&str, Unit)) {
    let observed = |group: &ScoreGroup| (in_unit(group.mean), group.right as f64 / group.links as f64);
    let mut series = vec![Series {
        name: "right links, observed".into(),
        points: found.groups.iter().map(observed).collect(),
        dots: true,
    }];
    let mut note = "Links in groups of neighbouring scores.".to_owned();
    if name != "Dice" {
        let prior = prior_bits(&found.groups);
        let promised = |group: &ScoreGroup| (in_unit(group.mean), share_at(in_unit(group.mean) + prior));
        series.push(Series {
            name: "promised by the scale".into(),
            points: found.groups.iter().map(promised).collect(),
            dots: false,
        });
        note.push_str(
            " A bit doubles the odds: the broken line is what the scores promise once their sum is right.",
        );
    }
    page.plot(&Lines {
        title: "Calibration".into(),
        note,
        x_label: format!("mean {name} of the group"),
        y_label: "share of right links".into(),
        x_unit: unit,
        y_unit: Unit::Share,
        series,
        ..Lines::default()
    });
}

/// The share that `bits` of odds stand for.
fn share_at(bits: f64) -> f64 {
    1.0 / (1.0 + (-bits).exp2())
}

/// Bits to add to every score so that the promised number of right links is the observed one: the odds
/// before any evidence, which depend on the data and not on the schema.
fn prior_bits(groups: &[ScoreGroup]) -> f64 {
    let right: f64 = groups.iter().map(|group| group.right as f64).sum();
    let promised = |prior: f64| -> f64 {
        groups.iter().map(|group| group.links as f64 * share_at(in_unit(group.mean) + prior)).sum()
    };
    let (mut low, mut high) = (-60.0, 60.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if promised(middle) < right { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

fn recalls(part: &Part) -> Row {
    let of = |counts: &Counts| Measure::share(counts.correct, counts.truth);
    Row {
        label: format!("{} ({})", part.name.replace('_', " "), grouped(part.all.truth)),
        values: vec![of(&part.matched), of(&part.all)],
    }
}

fn precisions(part: &Part) -> Row {
    let of = |counts: &Counts| Measure::share(counts.correct, counts.links);
    Row {
        label: format!("{} ({})", part.name.replace('_', " "), grouped(part.all.links)),
        values: vec![of(&part.matched), of(&part.all)],
    }
}

fn dots(title: &str, row_label: &str, note: &str, rows: Vec<Row>) -> Bars {
    Bars {
        title: title.into(),
        note: note.into(),
        row_label: row_label.into(),
        series: vec!["match".into(), "match and review".into()],
        unit: Unit::Share,
        mark: Mark::Dot,
        rows,
        ..Bars::default()
    }
}

fn events(page: &mut Page, found: &Evaluation) {
    if found.events.is_empty() {
        return;
    }
    page.section("What happened to the records");
    let mut parts: Vec<&Part> = found.events.iter().collect();
    parts.sort_by(|one, other| {
        one.all
            .recall()
            .unwrap_or(0.0)
            .total_cmp(&other.all.recall().unwrap_or(0.0))
            .then(one.name.cmp(&other.name))
    });
    let note = "Pairs of which at least one record bears the event; their number in brackets.";
    page.plot(&dots("Recall by event", "Event", note, parts.into_iter().map(recalls).collect()));
}

fn agencies(page: &mut Page, found: &Evaluation) {
    page.section("Agencies");
    let recall = found.agency_pairs.iter().filter(|part| part.all.truth > 0).map(recalls).collect();
    page.plot(&dots("Recall by pair of agencies", "Agencies", "True pairs in brackets.", recall));
    let precision = found.agency_pairs.iter().filter(|part| part.all.links > 0).map(precisions).collect();
    page.plot(&dots("Precision by pair of agencies", "Agencies", "Links in brackets.", precision));
    let mut names: Vec<String> = found.combinations.iter().flat_map(|one| one.agencies.clone()).collect();
    names.sort();
    names.dedup();
    let drawn = &found.combinations[..found.combinations.len().min(COMBINATIONS_MAX)];
    let position = |name: &String| names.iter().position(|other| other == name);
    let left = found.combinations.len() - drawn.len();
    let more = if left > 0 { format!("{left} rarer combinations are left out.") } else { String::new() };
    page.plot(&UpSet {
        title: "Children by the agencies that know them".into(),
        note: format!(
            "Groups joined by links of band match, each with records of exactly these agencies. {more}"
        ),
        counted: "children as linked".into(),
        sets: names.iter().map(|name| name.replace('_', " ")).collect(),
        intersections: drawn
            .iter()
            .map(|one| Intersection {
                sets: one.agencies.iter().filter_map(position).collect(),
                count: one.found,
                shown: None,
            })
            .collect(),
        compared: Some(("the truth".into(), drawn.iter().map(|one| one.truth).collect())),
    });
}

fn families(page: &mut Page, found: &Evaluation) {
    page.section("Twins and siblings");
    let (twins, siblings) = (&found.twins, &found.siblings);
    if twins.pairs_of_children + siblings.pairs_of_children == 0 {
        return page.paragraph("The truth names no families, so twins and siblings cannot be told.");
    }
    let row = |name: &str, pairs: &Confusable| Row {
        label: format!("{name} ({})", grouped(pairs.pairs_of_children)),
        values: vec![
            Measure::share(pairs.false_matches.min(pairs.pairs_of_children), pairs.pairs_of_children),
            Measure::share(
                (pairs.false_matches + pairs.false_reviews).min(pairs.pairs_of_children),
                pairs.pairs_of_children,
            ),
        ],
    };
    page.plot(&Bars {
        title: "False links between children of one family".into(),
        note: "Share of pairs of children with a false link; pairs of children in brackets.".into(),
        row_label: "Pairs of".into(),
        series: vec!["match".into(), "match and review".into()],
        unit: Unit::Share,
        rows: vec![row("twins", twins), row("siblings", siblings)],
        ..Bars::default()
    });
    let mut table = Table::new(
        "Pairs that are easily confused",
        1,
        ["pairs of", "children", "records", "false matches", "false reviews"],
    );
    for (name, pairs) in [("twins", twins), ("siblings", siblings)] {
        let numbers =
            [pairs.pairs_of_children, pairs.pairs_of_records, pairs.false_matches, pairs.false_reviews];
        table.row(std::iter::once(name.to_owned()).chain(numbers.map(grouped)));
    }
    page.table(&table);
}

fn origins(page: &mut Page, found: &Evaluation) {
    page.section("Name-origin groups");
    if found.origins.is_empty() {
        return page.paragraph("The truth names no name-origin groups.");
    }
    let note = "Pairs of which a record bears a name of the group; true pairs in brackets.";
    let rows = found.origins.iter().map(recalls).collect();
    page.plot(&dots("Recall by name-origin group", "Group", note, rows));
    let rows = found.origins.iter().filter(|part| part.all.links > 0).map(precisions).collect();
    page.plot(&dots("Precision by name-origin group", "Group", "Links in brackets.", rows));
    for remark in gap_remarks(found) {
        page.inset(&remark);
    }
}

/// What the difference between name-origin groups is, and whether it remains where nothing happened to the
/// records.
fn gap_remarks(found: &Evaluation) -> Vec<String> {
    let Some(gap) = gap(&found.origins) else {
        return vec![format!(
            "Fewer than two groups have {GROUP_PAIRS_MIN} true pairs: nothing can be compared."
        )];
    };
    let points = |share: f64| format!("{:.1}", 100.0 * share);
    let mut said = vec![format!(
        "Recall of match and review differs by {} points between groups of at least {GROUP_PAIRS_MIN} true pairs: \
         {} has {}, {} has {}.",
        points(gap.size),
        gap.lowest.0,
        points(gap.lowest.1),
        gap.highest.0,
        points(gap.highest.1)
    )];
    if gap.size <= GAP_MAX {
        return said;
    }
    said.push(match self::gap(&found.origins_plain) {
        Some(plain) if plain.size <= GAP_MAX => format!(
            "Among pairs to which nothing happened (no event on either record) the difference is {} points: the \
             groups differ in what happens to their records, not in how equal records are treated.",
            points(plain.size)
        ),
        Some(plain) => format!(
            "Among pairs to which nothing happened the difference is still {} points ({} has {}): the method \
             itself treats groups unequally; look at normalisation and name tables.",
            points(plain.size), plain.lowest.0, points(plain.lowest.1)
        ),
        None => "The truth does not say what happened to records, so the difference cannot be explained.".into(),
    });
    said
}

struct Gap {
    size: f64,
    lowest: (String, f64),
    highest: (String, f64),
}

fn gap(parts: &[Part]) -> Option<Gap> {
    let large = parts.iter().filter(|part| part.all.truth >= GROUP_PAIRS_MIN);
    let mut recalls: Vec<(String, f64)> =
        large.filter_map(|part| Some((part.name.clone(), part.all.recall()?))).collect();
    recalls.sort_by(|one, other| one.1.total_cmp(&other.1));
    let [lowest, .., highest] = &recalls[..] else { return None };
    Some(Gap { size: highest.1 - lowest.1, lowest: lowest.clone(), highest: highest.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(mean: i64, links: u64, right: u64) -> ScoreGroup {
        ScoreGroup { lowest: mean, highest: mean, mean, links, right }
    }

    #[test]
    fn the_prior_makes_the_promise_add_up() {
        // Odds of 2^(score + 1): 2/3 right at 0 bits, 8/9 at 2 bits.
        let groups = [group(0, 900, 600), group(2 * UNIT, 900, 800)];
        assert!((prior_bits(&groups) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_gap_needs_two_groups_of_some_size() {
        let part = |name: &str, correct: u64, truth: u64| Part {
            name: name.to_owned(),
            matched: Counts::default(),
            all: Counts { links: correct, correct, truth },
        };
        assert!(gap(&[part("a", 190, 200), part("b", 1, 2)]).is_none());
        let found = gap(&[part("a", 190, 200), part("b", 398, 400), part("c", 0, 10)]).unwrap();
        assert!((found.size - 0.045).abs() < 1e-9);
        assert_eq!((found.lowest.0.as_str(), found.highest.0.as_str()), ("a", "b"));
    }
}
