//! How far down the review band of one run reaches.
//!
//! May see: a finished run and its datasets. Must not see: a truth.
//!
//! A schema's review limit is learnt on children whose brothers and sisters stand in the same registers: below it a link
//! is mostly wrong there. A run whose records are hard to confuse has links below that limit which are mostly right, and
//! a person should see them. One Dice can not tell brothers and sisters from a child with a poor record: a run full of
//! them has links above the limit which are hardly ever right, and a person's time is better spent. The decoys of
//! [`super`] tell these runs apart without a truth.

use super::{Decoys, expected_wrong, is_direct};
use crate::linkage::arena::Dataset;
use crate::linkage::exec::{Control, Exec};
use crate::linkage::run::{Link, LinkOptions, Run, RunError, link};
use crate::wire::{Band, DecisionError, DecisionModel, DiceModel, EvidenceForm, Reason, Threshold};

/// The review band never reaches below evidence that speaks neither for nor against one child, in hundredths of a bit.
const FLOOR_CENTIBITS: i64 = 0;

/// A link is worth a person's look where one in so many like it is right: below, and the review band ends above it.
const ONE_RIGHT_IN: f64 = 5.0;

/// Steps in which the review band is walked at most: each asks every pair of agencies.
const STEPS_MAX: usize = 1000;

/// Links as [`link`] does, with the review band fitted to the run. Where evidence is weighed, it reaches below the schema's
/// limit (never below zero bits) as long as the run's own decoys say, at the upper end of their range, that at least half
/// of the links there are right. Under one Dice it ends above the limit where they say, at the lower end, that fewer than
/// one link in five is right. Neither moves a match. Pairs inside one agency keep the schema's limit. Returns the run and
/// the decision it was judged by.
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
    let limits = Limits::of(decision);
    let mut run = link(datasets, &limits.reviewing_from(limits.floor)?, options, exec, control)?;
    let mut at = limits.review;
    if let DecisionModel::Dice(_) = decision {
        at = limits.rise(&Decoys::all(&run, datasets), &run);
        run.links.retain(|link| !is_plain_review(&link) || link.score.rounded() >= at);
    } else if limits.floor < limits.review {
        at = limits.reach(&Decoys::all(&run, datasets), &run);
        run = run.narrowed(datasets, &limits.reviewing_from(at)?, options, exec, control)?;
        // The decoys speak of one agency against another; inside one, twins and siblings stand closer together.
        run.duplicates.retain(|pair| pair.score.rounded() >= limits.review);
    }
    Ok((run, limits.reviewing_from(at)?))
}

/// Whether a link is for review by its own score or by a guard, not because of what other links say.
fn is_plain_review(link: &&Link) -> bool {
    let of_others = [Reason::ThroughThird, Reason::GroupConflict];
    link.band == Band::Review && !of_others.into_iter().any(|reason| link.reasons.contains(reason))
}

/// The limits of a decision, as [`crate::wire::Score::rounded`] counts.
struct Limits<'a> {
    decision: &'a DecisionModel,
    floor: i64,
    review: i64,
    matched: i64,
}

impl<'a> Limits<'a> {
    fn of(decision: &'a DecisionModel) -> Self {
        let [review, matched] = decision.limits();
        let floor = match decision {
            DecisionModel::Dice(_) => review,
            DecisionModel::Evidence(_) => review.min(FLOOR_CENTIBITS),
        };
        Self { decision, floor, review, matched }
    }

    /// The decision with another lower end of its review band.
    fn reviewing_from(&self, at: i64) -> Result<DecisionModel, DecisionError> {
        let narrow = u32::try_from(at).ok().and_then(|at| Threshold::new(at, Threshold::DEN_MAX).ok());
        Ok(match (self.decision, narrow) {
            (decision, _) if at == self.review => decision.clone(),
            (DecisionModel::Dice(model), Some(review_at)) => {
                DecisionModel::Dice(DiceModel { review_at, ..*model })
            }
            (DecisionModel::Dice(_), None) => return Err(DecisionError::Bands),
            (DecisionModel::Evidence(model), _) => {
                let review_at = i32::try_from(at).map_err(|_| DecisionError::Bands)?;
                DecisionModel::Evidence(EvidenceForm { review_at, ..model.clone().into() }.try_into()?)
            }
        })
    }

    /// The lowest [`crate::wire::Score::key`] of a score that is rounded to `at`.
    fn key(&self, at: i64) -> i64 {
        match self.decision {
            DecisionModel::Dice(_) => (at << 32) / i64::from(Threshold::DEN_MAX),
            DecisionModel::Evidence(_) => at,
        }
    }

    /// The lowest score down to which links of `run` below the limit are worth a person's look.
    fn reach(&self, decoys: &[Decoys], run: &Run) -> i64 {
        let below = run.links.iter().filter(is_direct).map(|link| link.score.rounded());
        let mut scores: Vec<i64> = below.filter(|score| *score < self.review).collect();
        scores.sort_unstable();
        // Block by block from the top: many right links just below the limit must not vouch for wrong ones further down.
        let (mut reached, mut rest) = (self.review, &scores[..]);
        let mut lowest = rest;
        while let Some(score) = lowest.last().copied() {
            lowest = &lowest[..lowest.partition_point(|other| *other < score)];
            let (wrong, error) = expected_wrong(decoys, self.key(score)..self.key(reached));
            if 2.0 * (wrong + error) <= (rest.len() - lowest.len()) as f64 {
                (reached, rest) = (score, lowest);
            }
        }
        reached
    }

    /// The score up to which links of `run` in the review band are not worth a person's look: the limit, where all are.
    fn rise(&self, decoys: &[Decoys], run: &Run) -> i64 {
        let reviews = run.links.iter().filter(is_plain_review).map(|link| link.score.rounded());
        let mut scores: Vec<i64> = reviews.filter(|score| *score < self.matched).collect();
        scores.sort_unstable();
        // Block by block from the bottom, for the same reason.
        let (mut risen, mut rest) = (self.review, &scores[..]);
        let (mut highest, step) = (rest, scores.len().div_ceil(STEPS_MAX).max(1));
        while let Some(score) = highest.get(step - 1).or(highest.last()).copied() {
            highest = &highest[highest.partition_point(|other| *other <= score)..];
            let next = highest.first().copied().unwrap_or(self.matched);
            let (wrong, error) = expected_wrong(decoys, self.key(risen)..self.key(next));
            let links = (rest.len() - highest.len()) as f64;
            if ONE_RIGHT_IN * (links - (wrong - error)) < links {
                (risen, rest) = (next, highest);
            }
        }
        risen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linkage::run::tests::{Numbers, WORDS, dataset as filters, dice};
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

    /// Of so many children the second knows three in five, but a twin of each; both know as many children more whom the other does not.
    fn with_twins(children: u64) -> [Dataset; 2] {
        let others = |from: u64| (from..from + children).map(child);
        let second =
            (1..=children * 3 / 5).map(child).chain((1..=children).map(unlike)).chain(others(11_000));
        agencies((1..=children).map(child).chain(others(10_000)), second)
    }

    fn reached_from(datasets: &[Dataset], review_at: i32) -> (Run, DecisionModel) {
        let (options, control) = (LinkOptions::default(), Control::new());
        link_reaching(datasets, &decision(review_at), &options, Exec::Serial, &control).unwrap()
    }

    fn reached(datasets: &[Dataset]) -> (Run, i64) {
        let (run, judged_by) = reached_from(datasets, LIMIT);
        (run, judged_by.limits()[0])
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
        assert!(run == plain(&datasets, 250), "as if judged so from the start");
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
        let datasets = with_twins(60);
        assert_eq!(plain(&datasets, 0).links.len(), 51, "36 are right");
        let (run, review_at) = reached(&datasets);
        assert_eq!(review_at, i64::from(LIMIT));
        assert!(run == plain(&datasets, LIMIT));
    }

    #[test]
    fn a_limit_below_zero_is_left_alone() {
        let datasets = alone();
        let (run, judged_by) = reached_from(&datasets, -300);
        assert!(judged_by == decision(-300) && run == plain(&datasets, -300));
    }

    type Known = (u64, bool);

    /// Two agencies with composite filters; children are named by a number and by whether it is the twin, who shares
    /// three words of four.
    fn filtered(first: impl Iterator<Item = Known>, second: impl Iterator<Item = Known>) -> [Dataset; 2] {
        let filter = |(id, twin): Known| -> [u64; WORDS] {
            std::array::from_fn(|at| {
                let child = if twin && at == 3 { 500_000 + id } else { id };
                let mut numbers = Numbers(child * 10 + at as u64);
                numbers.next() & numbers.next()
            })
        };
        let rows = |agency: u8, known: Vec<Known>| {
            let named = (0u32..).zip(known).map(|(record, child)| (name(agency, record), filter(child)));
            named.collect::<Vec<_>>()
        };
        [filters("a", &rows(0, first.collect())), filters("b", &rows(1, second.collect()))]
    }

    fn children(ids: std::ops::Range<u64>) -> impl Iterator<Item = Known> {
        ids.map(|id| (id, false))
    }

    fn twins(ids: std::ops::Range<u64>) -> impl Iterator<Item = Known> {
        ids.map(|id| (id, true))
    }

    #[test]
    fn review_under_one_dice_ends_above_where_links_are_hardly_ever_right() {
        // As `with_twins`.
        let first = children(0..300).chain(children(10_000..10_300));
        let second = children(0..180).chain(twins(0..300)).chain(children(20_000..20_300));
        let (datasets, options, control) = (filtered(first, second), LinkOptions::default(), Control::new());
        let linked = |decision| link(&datasets, decision, &options, Exec::Serial, &control).unwrap();
        let reaching =
            |decision| link_reaching(&datasets, decision, &options, Exec::Serial, &control).unwrap();
        let decision = dice("0.95", "0.6");
        let (before, (run, judged_by)) = (linked(&decision), reaching(&decision));
        let matches = || before.links.iter().filter(|link| link.band == Band::Match).copied();
        assert_eq!((before.links.len(), matches().count()), (300, 180), "the other 120 are twins");
        let [risen, _] = judged_by.limits();
        let stays = |link: &&Link| link.band == Band::Match || link.score.rounded() >= risen;
        assert_eq!(run.links, before.links.iter().filter(stays).copied().collect::<Vec<_>>());
        assert!(run.links.len() < 210 && run.groups == before.groups, "{} links", run.links.len());
        // Without a band there is nothing to fit.
        let decision = dice("0.6", "0.6");
        let (run, judged_by) = reaching(&decision);
        assert!(judged_by == decision && run == linked(&decision));
    }

    #[test]
    fn review_under_one_dice_stays_where_links_are_right() {
        // Both know the same children, half of them poorly written down by one.
        let alone = filtered(children(0..60), children(0..30).chain(twins(30..60)));
        let (options, control) = (LinkOptions::default(), Control::new());
        let decision = dice("0.95", "0.6");
        let (run, judged_by) = link_reaching(&alone, &decision, &options, Exec::Serial, &control).unwrap();
        assert_eq!((run.links.len(), judged_by), (60, decision));
    }
}
