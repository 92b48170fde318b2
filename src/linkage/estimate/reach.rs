//! How far down the review band of one run reaches.
//!
//! May see: a finished run and its datasets. Must not see: a truth.
//!
//! A schema's review limit is learnt on children whose brothers and sisters stand in the same registers: below it a link
//! is mostly wrong there. A run whose records are hard to confuse has links below that limit which are mostly right, and
//! a person should see them. The decoys of [`super`] tell the two kinds of run apart without a truth.

use super::{Decoys, expected_wrong, is_direct};
use crate::linkage::arena::Dataset;
use crate::linkage::exec::{Control, Exec};
use crate::linkage::run::{LinkOptions, Run, RunError, link};
use crate::wire::{DecisionModel, EvidenceForm};

/// The review band never reaches below evidence that speaks neither for nor against one child, in hundredths of a bit.
const FLOOR_CENTIBITS: i32 = 0;

/// Links as [`link`] does, with the review band reaching below the schema's limit as long as the run's decoys say, at the
/// upper end of their range, that at least half of the links there are right. Pairs inside one agency keep the schema's
/// limit. Returns the run and the decision it was judged by; what is judged by Dice, or has a limit below zero bits
/// already, is linked as it is.
///
/// # Errors
/// As [`link`].
pub fn link_reaching(
    datasets: &[Dataset],
    decision: &DecisionModel,
    options: &LinkOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<(Run, DecisionModel), RunError> {
    let model = match decision {
        DecisionModel::Evidence(model) if model.review_at > FLOOR_CENTIBITS => model,
        _ => return Ok((link(datasets, decision, options, exec, control)?, decision.clone())),
    };
    let reviewing_from = |review_at: i32| -> Result<DecisionModel, RunError> {
        let form = EvidenceForm { review_at, ..model.clone().into() };
        Ok(DecisionModel::Evidence(form.try_into()?))
    };
    let run = link(datasets, &reviewing_from(FLOOR_CENTIBITS)?, options, exec, control)?;
    let decision = reviewing_from(reach(datasets, &run, model.review_at))?;
    let mut run = run.narrowed(datasets, &decision, options, exec, control)?;
    // The decoys speak of one agency against another; inside one, twins and siblings stand closer together.
    run.duplicates.retain(|pair| pair.score.key() >= i64::from(model.review_at));
    Ok((run, decision))
}

/// The lowest score, in hundredths of a bit, down to which links of `run` below `limit` are worth a person's look.
fn reach(datasets: &[Dataset], run: &Run, limit: i32) -> i32 {
    let decoys = Decoys::all(run, datasets);
    let below = run.links.iter().filter(is_direct).map(|link| link.score.key());
    let mut keys: Vec<i64> = below.filter(|key| *key < i64::from(limit)).collect();
    keys.sort_unstable();
    // Block by block from the top: many right links just below the limit must not vouch for wrong ones further down.
    let (mut reached, mut rest) = (i64::from(limit), &keys[..]);
    let mut lowest = rest;
    while let Some(key) = lowest.last().copied() {
        lowest = &lowest[..lowest.partition_point(|other| *other < key)];
        let (wrong, error) = expected_wrong(&decoys, key..reached);
        if 2.0 * (wrong + error) <= (rest.len() - lowest.len()) as f64 {
            (reached, rest) = (key, lowest);
        }
    }
    i32::try_from(reached).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linkage::run::views_tests::{Child, MODEL, dataset, name};

    const LIMIT: i32 = 450;

    fn decision(review_at: i32) -> DecisionModel {
        let text = MODEL.replace("match_at = 400", "match_at = 600").replace("\"0.55\"", "\"0.5\"");
        toml::from_str(&text.replace("review_at = -300", &format!("review_at = {review_at}"))).unwrap()
    }

    fn child(id: u64) -> Child {
        Child { given: id, family: 2000 + id, date: 4000 + id, place: 6000 + id, nhs: 0, flags: 0 }
    }

    /// A child of the same family and date with another given name and place: 250, below the limit.
    fn unlike(id: u64) -> Child {
        Child { given: 8000 + id, place: 9000 + id, ..child(id) }
    }

    fn agencies(first: impl Iterator<Item = Child>, second: impl Iterator<Item = Child>) -> [Dataset; 2] {
        let rows = |agency: u8, children: Vec<Child>| {
            let named = (0u32..).zip(children).map(|(record, child)| (name(agency, record), child));
            named.collect::<Vec<_>>()
        };
        [dataset("a", &rows(0, first.collect())), dataset("b", &rows(1, second.collect()))]
    }

    /// Both know the same 60 children; every sixth moved and goes by another name with the second.
    fn alone() -> [Dataset; 2] {
        agencies((1..=60).map(child), (1..=60).map(|id| if id % 6 == 0 { unlike(id) } else { child(id) }))
    }

    /// Of 60 children the second knows 30, but a twin of each; both know 60 children more whom the other does not.
    fn with_twins() -> [Dataset; 2] {
        let second = (1..=30).map(child).chain((1..=60).map(unlike)).chain((301..=360).map(child));
        agencies((1..=60).chain(201..=260).map(child), second)
    }

    fn reached(datasets: &[Dataset]) -> (Run, i32) {
        let (options, control) = (LinkOptions::default(), Control::new());
        match link_reaching(datasets, &decision(LIMIT), &options, Exec::Serial, &control).unwrap() {
            (run, DecisionModel::Evidence(model)) => (run, model.review_at),
            _ => unreachable!("evidence stays evidence"),
        }
    }

    fn plain(datasets: &[Dataset], review_at: i32) -> Run {
        link(datasets, &decision(review_at), &LinkOptions::default(), Exec::Serial, &Control::new()).unwrap()
    }

    #[test]
    fn review_reaches_down_where_nothing_could_be_confused() {
        let datasets = alone();
        assert_eq!(plain(&datasets, LIMIT).links.len(), 50);
        let (run, review_at) = reached(&datasets);
        // The filters of two of the ten are too unlike to be candidates.
        assert_eq!((run.links.len(), review_at), (58, 250));
        assert!(run.links.iter().all(|link| link.record_a == link.record_b));
        assert!(run == plain(&datasets, review_at), "as if judged so from the start");
    }

    #[test]
    fn pairs_inside_one_agency_keep_the_limit() {
        // The first agency has one child twice, and two children of one family and date.
        let first = (1..=60).chain([1]).map(child).chain([unlike(2)]);
        let second = (1..=60).map(|id| if id % 6 == 0 { unlike(id) } else { child(id) });
        let datasets = agencies(first, second);
        let (options, control) =
            (LinkOptions { deduplicate: true, ..LinkOptions::default() }, Control::new());
        let at = |review_at| link(&datasets, &decision(review_at), &options, Exec::Serial, &control).unwrap();
        let (run, judged_by) =
            link_reaching(&datasets, &decision(LIMIT), &options, Exec::Serial, &control).unwrap();
        assert!(judged_by == decision(250) && at(250).duplicates.len() == 2, "the limit of links went down");
        assert!(run.duplicates.len() == 1 && run.duplicates == at(LIMIT).duplicates);
        assert!(run.links == at(250).links);
    }

    #[test]
    fn the_limit_stays_where_twins_score_as_high() {
        let datasets = with_twins();
        assert_eq!(plain(&datasets, 0).links.len(), 51, "30 are right");
        let (run, review_at) = reached(&datasets);
        assert_eq!(review_at, LIMIT);
        assert!(run == plain(&datasets, LIMIT));
    }

    #[test]
    fn a_limit_below_zero_is_left_alone() {
        let (datasets, options, control) = (alone(), LinkOptions::default(), Control::new());
        let (run, judged_by) =
            link_reaching(&datasets, &decision(-300), &options, Exec::Serial, &control).unwrap();
        assert!(judged_by == decision(-300) && run == plain(&datasets, -300));
    }
}
