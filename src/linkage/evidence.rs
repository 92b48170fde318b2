//! What two records say about each other: the best similarity per attribute over agreeing slots.
//!
//! May see: the arena and the decision model. Must not see: anything else; pure functions of two rows.
//!
//! Two slots of one view **agree** when their tags are equal (where the view has tags), the Dice of the
//! whole slots reaches the view's `join_at`, and the joint Dice over the segments present on both
//! sides reaches its `agree_at`. The first two are what a join finds; the third is read here.

use super::arena::{Dataset, ViewTable};
use super::defaults::DefaultDates;
use crate::wire::{
    AttributeName, DecisionError, DecisionModel, EvidenceModel, Layout, Similarity, Threshold, View,
};

/// Attributes of one model at most, so that evidence needs no allocation.
pub const ATTRIBUTES_MAX: usize = 16;

/// Similarity per attribute, in the order of the model's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Best similarity over agreeing slots; none where the attribute is missing on either side or no
    /// agreeing slot carries it.
    pub similarities: [Option<Similarity>; ATTRIBUTES_MAX],
    /// Views with an agreeing slot pair: bit k = view k of the layout.
    pub views: u32,
    /// Whether names agree crosswise in every agreeing slot that could tell.
    pub swapped: bool,
}

/// An [`EvidenceModel`] prepared for a layout: attribute names resolved, segment bounds at hand.
#[derive(Debug, Clone)]
pub struct Reader {
    views: Vec<ViewPlan>,
    presence_bits: Vec<Option<u8>>,
    defaults: Option<DefaultDates>,
}

#[derive(Debug, Clone)]
struct ViewPlan {
    join_at: Threshold,
    agree_at: Threshold,
    segments: Vec<SegmentPlan>,
    swap: Option<(usize, usize)>,
    implies: Vec<(usize, Threshold, Similarity)>,
}

#[derive(Debug, Clone, Copy)]
struct SegmentPlan {
    start: usize,
    bits: usize,
    /// Fewer set bits than this: missing.
    present_from: u32,
    attribute: usize,
    offset: Similarity,
    slope: Similarity,
}

/// Set bits of a segment of two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    common: u32,
    total: u32,
    present: bool,
}

impl Reader {
    /// Prepares `model` for `layout`.
    ///
    /// # Errors
    /// [`DecisionError`] where the two do not fit.
    pub fn new(model: &EvidenceModel, layout: &Layout) -> Result<Self, DecisionError> {
        DecisionModel::Evidence(model.clone()).check(layout)?;
        Ok(Self {
            views: layout.views().iter().map(|view| ViewPlan::new(model, view)).collect(),
            presence_bits: model.attributes.iter().map(|attribute| attribute.presence_bit).collect(),
            defaults: DefaultDates::of(model),
        })
    }

    /// The Dice of whole slots at which a join over view number `view` finds every agreeing pair.
    #[must_use]
    pub fn join_at(&self, view: usize) -> Threshold {
        self.views[view].join_at
    }

    /// The quick test of view number `view`.
    pub(super) fn quick(&self, view: usize) -> Quick<'_> {
        Quick(&self.views[view])
    }

    /// The evidence of record `a` of `left` and record `b` of `right`; none where no slot agrees.
    #[must_use]
    pub fn read(&self, left: &Dataset, a: usize, right: &Dataset, b: usize) -> Option<Evidence> {
        let mut evidence = Evidence { swapped: true, ..Evidence::default() };
        let mut names_told = false;
        let tables = left.views.iter().zip(&right.views);
        for (view, (plan, (ours, theirs))) in self.views.iter().zip(tables).enumerate() {
            for (row_a, row_b) in slot_pairs(ours, a, theirs, b) {
                if plan.read(ours.filters.row(row_a), theirs.filters.row(row_b), &mut evidence) {
                    evidence.views |= 1 << view;
                    names_told |= plan.swap.is_some();
                }
            }
        }
        evidence.swapped &= names_told;
        if let (Some(ours), Some(theirs)) = (&left.presence, &right.presence) {
            let both = ours[a] & theirs[b];
            for (similarity, bit) in evidence.similarities.iter_mut().zip(&self.presence_bits) {
                if bit.is_some_and(|bit| both >> bit & 1 == 0) {
                    *similarity = None;
                }
            }
            if let Some(defaults) = &self.defaults {
                defaults.apply(both, &mut evidence.similarities);
            }
        }
        (evidence.views > 0).then_some(evidence)
    }
}

/// The test of [`Reader::read`] for many slots of one view: whole rows are compared where that is the same.
#[derive(Clone, Copy)]
pub(super) struct Quick<'r>(&'r ViewPlan);

impl Quick<'_> {
    /// Whether every segment of a slot is present.
    pub(super) fn is_complete(self, row: &[u64]) -> bool {
        let present = |segment: &SegmentPlan| {
            count(row, segment.start, row, segment.start, segment.bits).0 >= segment.present_from
        };
        let covered: usize = self.0.segments.iter().map(|segment| segment.bits).sum();
        let bits = |at: usize| self.0.segments[at].bits;
        let crossable = self.0.swap.is_none_or(|(first, second)| bits(first) == bits(second));
        covered == 64 * row.len() && crossable && self.0.segments.iter().all(present)
    }

    /// Writes a slot with its two names exchanged to `out`; false where the view compares nothing crosswise.
    pub(super) fn exchange(self, row: &[u64], out: &mut Vec<u64>) -> bool {
        let Some((first, second)) = self.0.swap else { return false };
        let (first, second) = (self.0.segments[first], self.0.segments[second]);
        out.clear();
        out.extend_from_slice(row);
        copy(row, first.start, out, second.start, first.bits);
        copy(row, second.start, out, first.start, first.bits);
        true
    }

    /// Whether two slots reach the Dice of a join.
    pub(super) fn joins(self, common: u32, total: u32) -> bool {
        self.0.join_at.passes(common, total)
    }

    /// The joint Dice from which on slots agree.
    pub(super) fn agree_at(self) -> Threshold {
        self.0.agree_at
    }

    /// Whether two complete slots with so many common bits, straight or exchanged, agree.
    pub(super) fn agrees(self, common: u32, total: u32) -> bool {
        self.agree_at().passes(common, total)
    }

    /// Whether any two slots agree.
    pub(super) fn agrees_in_full(self, a: &[u64], b: &[u64]) -> bool {
        self.0.agreeing(a, b).is_some()
    }
}

/// Whether some slots of the two records have equal tags and pass `test`.
pub(super) fn any_slots(
    left: &Dataset,
    a: usize,
    right: &Dataset,
    b: usize,
    test: impl Fn(usize, &[u64], &[u64]) -> bool,
) -> bool {
    left.views.iter().zip(&right.views).enumerate().any(|(view, (ours, theirs))| {
        slot_pairs(ours, a, theirs, b)
            .any(|(row_a, row_b)| test(view, ours.filters.row(row_a), theirs.filters.row(row_b)))
    })
}

/// The rows of record `a` beside the rows of record `b` that may be compared: equal tags only.
pub(super) fn slot_pairs<'t>(
    left: &'t ViewTable,
    a: usize,
    right: &'t ViewTable,
    b: usize,
) -> impl Iterator<Item = (usize, usize)> + 't {
    let rows_b = b * right.slots..(b + 1) * right.slots;
    (a * left.slots..(a + 1) * left.slots)
        .flat_map(move |row_a| rows_b.clone().map(move |row_b| (row_a, row_b)))
        .filter(|(row_a, row_b)| match (&left.tags, &right.tags) {
            (Some(ours), Some(theirs)) => ours[*row_a] == theirs[*row_b],
            _ => true,
        })
}

impl ViewPlan {
    fn new(model: &EvidenceModel, view: &View) -> Self {
        let rules = model.view(&view.name);
        // Names were checked against the layout, so every lookup below finds its attribute.
        let index = |name| model.attribute_index(name).unwrap_or_default();
        let at = |name: &AttributeName| view.segments.iter().position(|segment| segment.attribute == *name);
        let segments = view.segments.iter().map(|segment| {
            let map = rules.and_then(|rules| rules.maps.iter().find(|map| map.segment == segment.attribute));
            let least = u64::from(model.empty_below.millionths()) * u64::from(segment.bits);
            SegmentPlan {
                start: segment.start as usize,
                bits: segment.bits as usize,
                present_from: u32::try_from(least.div_ceil(1_000_000)).unwrap_or(u32::MAX).max(1),
                attribute: index(map.map_or(&segment.attribute, |map| &map.attribute)),
                offset: map.map_or(Similarity::ZERO, |map| map.offset),
                slope: map.map_or(Similarity::ONE, |map| map.slope),
            }
        });
        let swap = rules.and_then(|rules| rules.swap.as_ref());
        let implies = rules.map_or(&[][..], |rules| &rules.implies);
        Self {
            join_at: model.join_at(&view.name),
            agree_at: model.agree_at(&view.name),
            segments: segments.collect(),
            swap: swap.and_then(|[first, second]| Some((at(first)?, at(second)?))),
            implies: implies
                .iter()
                .map(|implied| (index(&implied.attribute), implied.at, implied.similarity))
                .collect(),
        }
    }

    /// Adds what two slots say; returns whether they agree.
    fn read(&self, a: &[u64], b: &[u64], evidence: &mut Evidence) -> bool {
        let Some(Agreeing { straight, crosswise, joint }) = self.agreeing(a, b) else { return false };
        let swapped = crosswise.is_some();
        evidence.swapped &= swapped || self.swap.is_none();
        for (at, (counts, segment)) in straight.iter().zip(&self.segments).enumerate() {
            let counts = crosswise.as_ref().map_or(*counts, |crossed| crossed.counts_of(at, *counts));
            if counts.present {
                let dice = Similarity::dice(counts.common, counts.total);
                best(
                    &mut evidence.similarities[segment.attribute],
                    dice.mapped(segment.offset, segment.slope),
                );
            }
        }
        for (attribute, at, similarity) in &self.implies {
            if at.passes(joint.common, joint.total) {
                best(&mut evidence.similarities[*attribute], *similarity);
            }
        }
        true
    }

    /// How two slots agree; none where they do not.
    fn agreeing(&self, a: &[u64], b: &[u64]) -> Option<Agreeing> {
        let mut straight = [Counts::default(); ATTRIBUTES_MAX];
        let mut row = Counts::default();
        for (counts, segment) in straight.iter_mut().zip(&self.segments) {
            let (common, ours, theirs) = count(a, segment.start, b, segment.start, segment.bits);
            row.common += common;
            row.total += ours + theirs;
            let present = ours >= segment.present_from && theirs >= segment.present_from;
            *counts = Counts { common, total: ours + theirs, present };
        }
        if !self.join_at.passes(row.common, row.total) {
            return None;
        }
        let joint_straight = joint(straight[..self.segments.len()].iter());
        let crosswise = self.swap.map(|swap| self.crosswise(a, b, &straight[..self.segments.len()], swap));
        let crosswise = crosswise.filter(|crossed| exceeds(crossed.joint, joint_straight));
        let joint = crosswise.as_ref().map_or(joint_straight, |crossed| crossed.joint);
        self.agree_at.passes(joint.common, joint.total).then_some(Agreeing { straight, crosswise, joint })
    }

    /// Reads two segments crosswise. Both attributes get the Dice of both comparisons together, so that
    /// the reading does not depend on which record stands first; where only one comparison has both
    /// sides, the first attribute gets it and the second is missing.
    fn crosswise(
        &self,
        a: &[u64],
        b: &[u64],
        straight: &[Counts],
        (first, second): (usize, usize),
    ) -> Crosswise {
        let mut both = Counts::default();
        let mut compared = 0;
        for (mine, yours) in [(first, second), (second, first)] {
            let (mine, yours) = (self.segments[mine], self.segments[yours]);
            let (common, ours, theirs) = count(a, mine.start, b, yours.start, mine.bits);
            if ours >= mine.present_from && theirs >= yours.present_from {
                both.common += common;
                both.total += ours + theirs;
                both.present = true;
                compared += 1;
            }
        }
        let others = straight.iter().enumerate().filter(|(at, _)| *at != first && *at != second);
        let joint = joint(others.map(|(_, counts)| counts).chain([&both]));
        Crosswise { first, second, both, both_compared: compared == 2, joint }
    }
}

/// Two slots that agree.
struct Agreeing {
    straight: [Counts; ATTRIBUTES_MAX],
    /// Where the names agree better crosswise.
    crosswise: Option<Crosswise>,
    joint: Counts,
}

struct Crosswise {
    first: usize,
    second: usize,
    both: Counts,
    both_compared: bool,
    joint: Counts,
}

impl Crosswise {
    fn counts_of(&self, segment: usize, straight: Counts) -> Counts {
        if segment == self.first || segment == self.second && self.both_compared {
            self.both
        } else if segment == self.second {
            Counts::default()
        } else {
            straight
        }
    }
}

fn joint<'c>(counts: impl Iterator<Item = &'c Counts>) -> Counts {
    counts.filter(|counts| counts.present).fold(Counts::default(), |sum, counts| Counts {
        common: sum.common + counts.common,
        total: sum.total + counts.total,
        present: true,
    })
}

/// Whether Dice of `left` is greater than Dice of `right`.
fn exceeds(left: Counts, right: Counts) -> bool {
    u64::from(left.common) * u64::from(right.total) > u64::from(right.common) * u64::from(left.total)
}

fn best(slot: &mut Option<Similarity>, similarity: Similarity) {
    *slot = (*slot).max(Some(similarity));
}

/// Common set bits and set bits of each side, of `bits` bits from `start_a` of `a` and `start_b` of `b`.
pub(super) fn count(a: &[u64], start_a: usize, b: &[u64], start_b: usize, bits: usize) -> (u32, u32, u32) {
    let (mut common, mut ours, mut theirs) = (0, 0, 0);
    let mut done = 0;
    while done < bits {
        let take = (bits - done).min(64);
        let mask = u64::MAX >> (64 - take);
        let (x, y) = (word_at(a, start_a + done) & mask, word_at(b, start_b + done) & mask);
        common += (x & y).count_ones();
        ours += x.count_ones();
        theirs += y.count_ones();
        done += take;
    }
    (common, ours, theirs)
}

/// Copies `bits` bits of `from`, beginning at bit `start`, over those of `to` that begin at bit `at`.
fn copy(from: &[u64], start: usize, to: &mut [u64], at: usize, bits: usize) {
    let mut done = 0;
    while done < bits {
        // Up to the end of a word of `to`.
        let (word, shift) = ((at + done) / 64, (at + done) % 64);
        let take = (bits - done).min(64 - shift);
        let mask = u64::MAX >> (64 - take);
        let new = word_at(from, start + done) & mask;
        to[word] = to[word] & !(mask << shift) | new << shift;
        done += take;
    }
}

/// 64 bits from bit `start` on; bits past the end are 0.
fn word_at(words: &[u64], start: usize) -> u64 {
    let (word, shift) = (start / 64, start % 64);
    let low = words[word] >> shift;
    match words.get(word + 1) {
        Some(next) if shift > 0 => low | next << (64 - shift),
        _ => low,
    }
}
