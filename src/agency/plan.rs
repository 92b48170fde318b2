//! A schema compiled for encoding: names replaced by numbers, keys derived, nothing left to look up.

use super::diffuse::Diffusion;
use super::key::{EpochKey, Secret};
use super::names::RARE_ONE_IN;
use super::schema::Schema;
use super::schema::form::{
    AttributeForm, ExactSource, FocusRule, MissingSalt, SaltPart, SchemaForm, SegmentForm, Source, TokenRule,
    ViewForm,
};
use crate::wire::{AttributeName, PayloadColumn, TagBits};
use std::sync::Arc;

/// An attribute with the number of its hash domain.
pub(super) struct AttributePlan {
    pub(super) reads: Source,
    pub(super) text: Option<String>,
    pub(super) rule: TokenRule,
    pub(super) domain: usize,
}

/// A segment: where it lies and which attributes it carries with which budgets.
pub(super) struct SegmentPlan {
    pub(super) start: u32,
    pub(super) bits: u32,
    pub(super) parts: Vec<Part>,
    /// Flips of its bits, where the slot leaves as it is.
    pub(super) flips: usize,
}

/// An attribute in a segment.
pub(super) struct Part {
    pub(super) attribute: usize,
    pub(super) budget: Budget,
    /// The salt asks for a value of this attribute, so that no filled slot of the view lacks it.
    pub(super) salted: bool,
}

/// Insertions of an attribute into a segment.
///
/// A budget b over n tokens of a segment of l bits makes T = n l (1 - exp(-b / (n l))) insertions, which set as many
/// bits on average whatever n is: floor(T / n) for each token in order, one more for the first T mod n. (All b would
/// set more for few tokens, whose positions are distinct within a token: over ten slots that told the length of
/// names, r = -.28.)
pub(super) struct Budget {
    budget: usize,
    bits: u32,
    /// Of so many tokens, what each inserts and how many insert one more; for the usual numbers.
    splits: Vec<(usize, usize)>,
}

/// Tokens up to which the split of T is kept.
const SPLITS_KEPT: usize = 64;

impl Budget {
    /// `budget` is at most `bits`.
    pub(super) fn new(budget: usize, bits: u32) -> Self {
        let splits = (0..=SPLITS_KEPT).map(|tokens| split(budget, bits, tokens)).collect();
        Self { budget, bits, splits }
    }

    /// What each of so many tokens inserts, and how many of them, from the first on, insert one more.
    pub(super) fn split(&self, tokens: usize) -> (usize, usize) {
        self.splits.get(tokens).copied().unwrap_or_else(|| split(self.budget, self.bits, tokens))
    }

    /// Insertions of each of so many tokens.
    pub(super) fn shares(&self, tokens: usize) -> impl Iterator<Item = usize> + use<> {
        let (each, more) = self.split(tokens);
        (0..tokens).map(move |token| each + usize::from(token < more))
    }
}

fn split(budget: usize, bits: u32, tokens: usize) -> (usize, usize) {
    let total = total(budget, bits, tokens);
    (total.checked_div(tokens).unwrap_or(0), total.checked_rem(tokens).unwrap_or(0))
}

/// T by the first four terms of its series, rounded, in integers: bits and tokens below 2^25 together do not overflow.
fn total(budget: usize, bits: u32, tokens: usize) -> usize {
    let (b, all) = (budget as u128, u128::from(bits) * tokens as u128);
    if all == 0 {
        return 0;
    }
    let terms = 24 * b * all.pow(3) + 4 * b.pow(3) * all - 12 * b.pow(2) * all.pow(2) - b.pow(4);
    ((terms + 12 * all.pow(3)) / (24 * all.pow(3))) as usize
}

/// A view with everything its slots need.
pub(super) struct ViewPlan {
    /// Its first slot among those of all views, and where that begins, before diffusion.
    pub(super) first_slot: usize,
    pub(super) first_byte: usize,
    pub(super) slots: usize,
    /// Bytes of a slot before diffusion.
    pub(super) slot_bytes: usize,
    /// Bytes of a slot as it leaves.
    pub(super) out_bytes: usize,
    pub(super) focus: FocusRule,
    pub(super) salt: Vec<SaltPart>,
    pub(super) missing_salt: MissingSalt,
    /// One child in so many may have a pair of names that fills the view; none: any pair does.
    pub(super) rare: Option<u64>,
    pub(super) tag: Option<TagBits>,
    pub(super) segments: Vec<SegmentPlan>,
    /// Flips of the whole slot, where diffusion mixes it.
    pub(super) flips: usize,
    /// Whether keyed diffusion mixes the slot before it leaves.
    pub(super) diffused: bool,
    /// Salts repeat from record to record, so positions are worth remembering.
    pub(super) cached: bool,
}

impl ViewPlan {
    /// Runs of a slot's bits as it leaves (start, length) with the flips of each: its segments, or, where diffusion
    /// has mixed them, the whole.
    pub(super) fn flipped(&self) -> impl Iterator<Item = (u32, u32, usize)> + '_ {
        let whole = self.diffused.then_some((0, self.out_bytes as u32 * 8, self.flips));
        let segments = self.segments.iter().filter(|_| !self.diffused);
        whole.into_iter().chain(segments.map(|segment| (segment.start, segment.bits, segment.flips)))
    }

    /// The bytes of one of its slots among those of all views.
    pub(super) fn slot(&self, number: usize) -> std::ops::Range<usize> {
        let start = self.first_byte + number * self.slot_bytes;
        start..start + self.slot_bytes
    }
}

/// The whole schema.
pub(super) struct Plan {
    pub(super) attributes: Vec<AttributePlan>,
    pub(super) views: Vec<ViewPlan>,
    /// Bytes of the slots of all views, before diffusion.
    pub(super) slot_bytes: usize,
    /// As they leave.
    pub(super) out_bytes: usize,
    pub(super) exact: Vec<(AttributeName, ExactSource)>,
    pub(super) payload: Vec<PayloadColumn>,
    pub(super) filler: bool,
    pub(super) nicknames: bool,
    domains: Vec<String>,
}

impl Plan {
    pub(super) fn new(schema: &Schema) -> Self {
        let form = schema.form();
        let mut domains: Vec<String> = Vec::new();
        let attributes: Vec<AttributePlan> = form
            .attributes
            .iter()
            .map(|attribute| AttributePlan {
                reads: attribute.reads,
                text: attribute.text.clone(),
                rule: attribute.tokens,
                domain: number(&mut domains, attribute),
            })
            .collect();
        let index = |name: &AttributeName| form.attributes.iter().position(|a| a.name == *name);
        let (mut next_slot, mut next_byte) = (0, 0);
        let views = form.views.iter().zip(schema.layout().views()).map(|(view, laid)| {
            let segments = segments(view, form, index);
            ViewPlan {
                first_slot: advance(&mut next_slot, usize::from(view.slots)),
                first_byte: advance(&mut next_byte, usize::from(view.slots) * view.bits as usize / 8),
                slots: usize::from(view.slots),
                slot_bytes: view.bits as usize / 8,
                out_bytes: laid.bits as usize / 8,
                focus: view.focus,
                salt: view.salt.clone(),
                missing_salt: view.missing_salt,
                rare: view.rare.then(|| view.rare_one_in.unwrap_or(RARE_ONE_IN)),
                tag: laid.tag,
                flips: match view.diffusion {
                    Some(_) => (laid.bits as usize * form.flips_per_mille as usize + 500) / 1000,
                    None => segments.iter().map(|segment| segment.flips).sum(),
                },
                segments,
                diffused: view.diffusion.is_some(),
                cached: view.salt.iter().all(|part| matches!(part, SaltPart::Year | SaltPart::Month)),
            }
        });
        let views = views.collect();
        let exact = form.exact.iter().filter(|exact| exact.enabled);
        Self {
            views,
            slot_bytes: next_byte,
            out_bytes: schema.layout().encoding_bytes(),
            exact: exact.map(|exact| (exact.name.clone(), exact.reads)).collect(),
            payload: form.payload.clone(),
            filler: form.filler,
            nicknames: form.nicknames,
            attributes,
            domains,
        }
    }

    /// The keyed diffusion of each view that has one.
    pub(super) fn diffusions(schema: &Schema, key: &EpochKey) -> Arc<[Option<Diffusion>]> {
        let views = schema.form().views.iter();
        let map = |view: &ViewForm| {
            let form = view.diffusion?;
            let key = key.diffusion(view.name.as_str());
            Some(Diffusion::new(&key, view.bits, form.bits, usize::from(form.terms)))
        };
        views.map(map).collect()
    }

    /// One key per hash domain.
    pub(super) fn domain_keys(&self, key: &EpochKey) -> Vec<Secret> {
        self.domains.iter().map(|domain| key.attribute(domain)).collect()
    }
}

/// What stood there before it went on by `step`.
fn advance(place: &mut usize, step: usize) -> usize {
    std::mem::replace(place, *place + step)
}

fn number(domains: &mut Vec<String>, attribute: &AttributeForm) -> usize {
    let domain = attribute.hash.as_deref().unwrap_or(attribute.name.as_str());
    domains.iter().position(|known| known == domain).unwrap_or_else(|| {
        domains.push(domain.to_owned());
        domains.len() - 1
    })
}

fn segments(
    view: &ViewForm,
    form: &SchemaForm,
    index: impl Fn(&AttributeName) -> Option<usize>,
) -> Vec<SegmentPlan> {
    let mut start = 0;
    let mut plan = |segment: &SegmentForm| {
        let parts = segment.budgets.iter().filter_map(|(name, budget)| {
            let attribute = index(name)?;
            let budget = Budget::new(*budget as usize, segment.bits);
            Some(Part { attribute, budget, salted: is_salted(view, form.attributes[attribute].reads) })
        });
        // Rounded up: three flips of 128 bits are the same in two records once in 341,376, two once in 8,128.
        let flips = (segment.bits * form.flips_per_mille).div_ceil(1000) as usize;
        let made = SegmentPlan { start, bits: segment.bits, parts: parts.collect(), flips };
        start += segment.bits;
        made
    };
    view.segments.iter().map(&mut plan).collect()
}

/// Whether a slot of the view is only filled where the record has a value of this source.
fn is_salted(view: &ViewForm, reads: Source) -> bool {
    let asks = |part: &SaltPart| match part {
        SaltPart::Year | SaltPart::Month | SaltPart::DayMonth | SaltPart::Date => {
            reads == Source::DateOfBirth
        }
        SaltPart::NameSkeleton => false,
        SaltPart::OtherInitial | SaltPart::PairPrefix | SaltPart::PairSkeleton => {
            matches!(reads, Source::Given | Source::Family)
        }
        SaltPart::GivenPrefix | SaltPart::GivenSkeleton => reads == Source::Given,
        SaltPart::FamilySkeleton => reads == Source::Family,
        SaltPart::Place => reads == Source::Place,
        SaltPart::Sector => matches!(reads, Source::Place | Source::Postcode),
    };
    view.missing_salt == MissingSalt::Drop && view.salt.iter().any(asks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_fill_is_the_same_for_any_number_of_tokens() {
        for (budget, bits) in [(87, 171), (65, 128), (200, 1024), (800, 4096), (40, 64)] {
            let budgeted = Budget::new(budget, bits);
            let limit = 1.0 - (-(budget as f64) / f64::from(bits)).exp();
            for tokens in 1..100 {
                let clear: f64 =
                    budgeted.shares(tokens).map(|share| 1.0 - share as f64 / f64::from(bits)).product();
                // Half an insertion and the terms left out.
                let off = (1.0 - clear - limit).abs() * f64::from(bits);
                assert!(off < 0.7, "{tokens} tokens: {budget} of {bits} off by {off}");
            }
            assert_eq!(budgeted.shares(0).count(), 0);
        }
    }
}
