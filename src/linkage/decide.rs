//! Evidence becomes a score, the score a band, and guards may lower it, each with its reason.
//!
//! May see: the arena, the decision model, evidence. Must not see: other pairs; what depends on them
//! (runner-up, one-to-one, groups) is settled by [`super::run`].

use super::arena::Dataset;
use super::defaults::date_of;
use super::evidence::{Evidence, Quick, Reader, any_slots, count, slot_pairs};
use super::guards::{DatePlan, TwinPlan, lower};
use crate::wire::{
    AttributeName, Band, DecisionError, DecisionModel, DiceModel, EvidenceModel, Layout, Reason, Reasons,
    Score, Threshold, presence,
};

/// What one pair is by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Its score.
    pub score: Score,
    /// Its band.
    pub band: Band,
    /// Why.
    pub reasons: Reasons,
}

/// A decision model prepared for a layout.
#[derive(Debug, Clone)]
pub struct Judge {
    kind: Kind,
    exact_weights: Vec<i32>,
}

#[derive(Debug, Clone)]
enum Kind {
    Dice(DiceModel),
    Evidence { model: EvidenceModel, reader: Reader, guards: Plans },
}

/// The guards of a model, attribute names resolved.
#[derive(Debug, Clone)]
struct Plans {
    date: Option<DatePlan>,
    twins: Option<TwinPlan>,
    /// The attribute whose presence bit is the date's: defaults make its agreement worthless.
    defaulted: Option<usize>,
}

/// Exact tokens of a pair: agreements weighed, conflicts noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExactEvidence {
    /// Whether any token agrees.
    pub agrees: bool,
    /// Whether any two present tokens of one kind differ.
    pub conflicts: bool,
    /// Weights of the agreements, added.
    pub centibits: i32,
}

impl Judge {
    /// Prepares `model` for `layout`.
    ///
    /// # Errors
    /// [`DecisionError`] where the two do not fit.
    pub fn new(model: &DecisionModel, layout: &Layout) -> Result<Self, DecisionError> {
        model.check(layout)?;
        match model {
            DecisionModel::Dice(dice) => {
                Ok(Self { kind: Kind::Dice(*dice), exact_weights: vec![0; layout.exact().len()] })
            }
            DecisionModel::Evidence(model) => {
                let weight = |name: &AttributeName| model.exact.iter().find(|exact| exact.attribute == *name);
                let weights = layout.exact().iter().map(|name| weight(name).map_or(0, |exact| exact.agree));
                let reader = Reader::new(model, layout)?;
                let guards = Plans {
                    date: DatePlan::of(model),
                    twins: TwinPlan::of(model),
                    defaulted: date_of(model),
                };
                Ok(Self {
                    exact_weights: weights.collect(),
                    kind: Kind::Evidence { model: model.clone(), reader, guards },
                })
            }
        }
    }

    /// The Dice at which a join over view number `view` finds every pair that could reach a band by it.
    #[must_use]
    pub fn join_at(&self, view: usize) -> Threshold {
        match &self.kind {
            Kind::Dice(model) => model.review_at,
            Kind::Evidence { reader, .. } => reader.join_at(view),
        }
    }

    /// The quick test of view number `view`; none under a Dice model.
    pub(super) fn quick(&self, view: usize) -> Option<Quick<'_>> {
        match &self.kind {
            Kind::Dice(_) => None,
            Kind::Evidence { reader, .. } => Some(reader.quick(view)),
        }
    }

    /// Whether a join finds these two records by any of their slots.
    #[must_use]
    pub fn joins(&self, left: &Dataset, a: usize, right: &Dataset, b: usize) -> bool {
        any_slots(left, a, right, b, |view, x, y| match &self.kind {
            Kind::Dice(model) => {
                let (common, set_a, set_b) = count(x, 0, y, 0, 64 * x.len());
                model.review_at.passes(common, set_a + set_b)
            }
            Kind::Evidence { reader, .. } => reader.quick(view).agrees_in_full(x, y),
        })
    }

    /// Whether pairs that agree in an exact token only are candidates, too.
    #[must_use]
    pub fn joins_exact(&self, column: usize) -> bool {
        self.exact_weights[column] > 0
    }

    /// How much better than its runner-up a match must be, in [`Score::key`] units; 0: no such guard.
    #[must_use]
    pub fn runner_up_margin(&self) -> i64 {
        match &self.kind {
            Kind::Dice(model) => {
                let margin = model.runner_up_margin.unwrap_or_default();
                (i64::from(margin.millionths()) << 32) / 1_000_000
            }
            Kind::Evidence { model, .. } => i64::from(model.guards.runner_up_margin.unwrap_or(0)),
        }
    }

    /// Whether twins are looked for more strictly where a run has some.
    pub(super) fn looks_for_twins(&self) -> bool {
        self.twins().is_some_and(|plan| plan.below_where_seen.is_some())
    }

    /// Whether a pair may be twins by that stricter bound.
    pub(super) fn may_be_twins(&self, left: &Dataset, a: usize, right: &Dataset, b: usize) -> bool {
        let evidence = || self.evidence(left, a, right, b);
        self.twins().is_some_and(|plan| evidence().is_some_and(|evidence| plan.may_be(&evidence)))
    }

    /// Whether a pair shows that twins are about: all of the rest is there and agrees.
    pub(super) fn shows_twins(&self, left: &Dataset, a: usize, right: &Dataset, b: usize) -> bool {
        let evidence = || self.evidence(left, a, right, b);
        self.twins().is_some_and(|plan| evidence().is_some_and(|evidence| plan.shows(&evidence)))
    }

    fn twins(&self) -> Option<&TwinPlan> {
        match &self.kind {
            Kind::Dice(_) => None,
            Kind::Evidence { guards, .. } => guards.twins.as_ref(),
        }
    }

    /// The lowest [`Score::key`] that reaches the review band.
    #[must_use]
    pub fn review_key(&self) -> i64 {
        match &self.kind {
            Kind::Dice(model) => {
                let at = model.review_at;
                ((u64::from(at.num()) << 32) / u64::from(at.den())).cast_signed()
            }
            Kind::Evidence { model, .. } => i64::from(model.review_at),
        }
    }

    /// The evidence model, where it is one.
    #[must_use]
    pub fn evidence_model(&self) -> Option<&EvidenceModel> {
        match &self.kind {
            Kind::Dice(_) => None,
            Kind::Evidence { model, .. } => Some(model),
        }
    }

    /// The evidence of a pair, for weights, waterfalls and estimates; none under a
    /// Dice model or where no slot agrees.
    #[must_use]
    pub fn evidence(&self, left: &Dataset, a: usize, right: &Dataset, b: usize) -> Option<Evidence> {
        match &self.kind {
            Kind::Dice(_) => None,
            Kind::Evidence { reader, .. } => reader.read(left, a, right, b),
        }
    }

    /// Judges record `a` of `left` and record `b` of `right`, both of the judge's layout. None: below the
    /// review band, or nothing to compare.
    #[must_use]
    pub fn judge(&self, left: &Dataset, a: usize, right: &Dataset, b: usize) -> Option<Verdict> {
        let exact = self.exact(left, a, right, b);
        let verdict = match &self.kind {
            Kind::Dice(model) => judge_dice(model, exact, left, a, right, b),
            Kind::Evidence { model, reader, guards } => {
                let evidence = reader.read(left, a, right, b);
                let flags = Flags::of(left, a, right, b);
                judge_evidence(model, guards, evidence, exact, flags)
            }
        };
        verdict.filter(|verdict| verdict.band > Band::None)
    }

    fn exact(&self, left: &Dataset, a: usize, right: &Dataset, b: usize) -> ExactEvidence {
        let mut evidence = ExactEvidence::default();
        for ((ours, theirs), weight) in left.exact.iter().zip(&right.exact).zip(&self.exact_weights) {
            match (ours[a], theirs[b]) {
                (Some(ours), Some(theirs)) if ours == theirs => {
                    evidence.agrees = true;
                    evidence.centibits += weight;
                }
                (Some(_), Some(_)) => evidence.conflicts = true,
                _ => {}
            }
        }
        evidence
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    placeholder: bool,
    default_dates: bool,
}

impl Flags {
    fn of(left: &Dataset, a: usize, right: &Dataset, b: usize) -> Self {
        match (&left.presence, &right.presence) {
            (Some(ours), Some(theirs)) => Self {
                placeholder: (ours[a] | theirs[b]) & presence::PLACEHOLDER_NAME != 0,
                default_dates: ours[a] & theirs[b] & presence::DEFAULT_DATE != 0,
            },
            _ => Self::default(),
        }
    }
}

fn judge_dice(
    model: &DiceModel,
    exact: ExactEvidence,
    left: &Dataset,
    a: usize,
    right: &Dataset,
    b: usize,
) -> Option<Verdict> {
    let views = left.views.iter().zip(&right.views);
    let scores = views.flat_map(|(ours, theirs)| {
        slot_pairs(ours, a, theirs, b).map(|(row_a, row_b)| {
            let (x, y) = (ours.filters.row(row_a), theirs.filters.row(row_b));
            let (common, set_a, set_b) = count(x, 0, y, 0, ours.filters.bits());
            (common, set_a + set_b)
        })
    });
    let (common, total) = scores.max_by_key(|(common, total)| {
        let score = Score::Dice { common: *common, total: *total };
        // Among equal fractions the one with more bits, so that the answer does not depend on order.
        (score.key(), *total)
    })?;
    let mut reasons = Reasons::NONE;
    let mut band = Band::None;
    if model.match_at.passes(common, total) {
        band = Band::Match;
    } else if model.review_at.passes(common, total) {
        band = Band::Review;
        reasons.insert(Reason::BelowMatch);
    }
    note_exact(exact, &mut band, &mut reasons);
    Some(Verdict { score: Score::Dice { common, total }, band, reasons })
}

/// Weighs evidence and applies the guards that look at one pair only.
fn judge_evidence(
    model: &EvidenceModel,
    guards: &Plans,
    evidence: Option<Evidence>,
    exact: ExactEvidence,
    flags: Flags,
) -> Option<Verdict> {
    if evidence.is_none() && exact.centibits == 0 {
        return None;
    }
    let compared = evidence.unwrap_or_default();
    let without_exact = weigh(model, &compared);
    let centibits = without_exact + exact.centibits;
    let mut reasons = Reasons::NONE;
    let mut band = Band::None;
    if centibits >= model.match_at {
        band = Band::Match;
    } else if centibits >= model.review_at {
        band = Band::Review;
        reasons.insert(Reason::BelowMatch);
    }
    note_exact(exact, &mut band, &mut reasons);
    if exact.centibits > 0 && without_exact < model.match_at.min(0) || evidence.is_none() {
        lower(&mut band, &mut reasons, Band::Review, Reason::ExactAlone);
    }
    if compared.swapped {
        reasons.insert(Reason::NamesSwapped);
    }
    if let Some(plan) = guards.date.as_ref().filter(|plan| evidence.is_some() && !plan.met(&compared)) {
        lower(&mut band, &mut reasons, plan.lower_to, Reason::DateUncertain);
    }
    if let Some(plan) = guards.twins.as_ref().filter(|_| evidence.is_some()) {
        plan.apply(&compared, &mut band, &mut reasons);
    }
    if model.guards.placeholder_names && flags.placeholder {
        lower(&mut band, &mut reasons, Band::Review, Reason::PlaceholderName);
    }
    // Two defaults agree by habit: a match must stand without them.
    let by_date = guards.defaulted.map(|date| weight_of(model, &compared, date).max(0));
    let stands = by_date.is_some_and(|by_date| centibits - by_date >= model.match_at);
    if model.guards.default_dates && flags.default_dates && !stands {
        lower(&mut band, &mut reasons, Band::Review, Reason::DefaultDates);
    }
    Some(Verdict { score: Score::Evidence { centibits }, band, reasons })
}

/// The weights of all attributes that could be compared, added, in hundredths of a bit.
#[must_use]
pub fn weigh(model: &EvidenceModel, evidence: &Evidence) -> i32 {
    (0..model.attributes.len()).map(|at| weight_of(model, evidence, at)).sum()
}

/// The weight of one attribute, by its position in the model; 0 where it could not be compared.
fn weight_of(model: &EvidenceModel, evidence: &Evidence, at: usize) -> i32 {
    let attribute = &model.attributes[at];
    evidence.similarities[at].map_or(0, |similarity| attribute.weights[attribute.level(similarity)])
}

fn note_exact(exact: ExactEvidence, band: &mut Band, reasons: &mut Reasons) {
    if exact.agrees {
        reasons.insert(Reason::ExactAgrees);
    }
    if exact.conflicts {
        lower(band, reasons, Band::Review, Reason::ExactConflict);
    }
}
