//! A schema compiled for encoding: names replaced by numbers, keys derived, nothing left to look up.

use super::key::EpochKey;
use super::schema::Schema;
use super::schema::form::{
    AttributeForm, ExactSource, FocusRule, MissingSalt, SaltPart, SegmentForm, Source, TokenRule, ViewForm,
};
use crate::wire::{AttributeName, PayloadColumn, TagBits};

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
    pub(super) parts: Vec<(usize, usize)>,
}

/// A view with everything its slots need.
pub(super) struct ViewPlan {
    pub(super) slots: usize,
    pub(super) slot_bytes: usize,
    pub(super) focus: FocusRule,
    pub(super) salt: Vec<SaltPart>,
    pub(super) missing_salt: MissingSalt,
    pub(super) rare: bool,
    pub(super) tag: Option<TagBits>,
    pub(super) segments: Vec<SegmentPlan>,
    /// Flips a slot.
    pub(super) flips: usize,
    /// Salts repeat from record to record, so positions are worth remembering.
    pub(super) cached: bool,
}

/// The whole schema.
pub(super) struct Plan {
    pub(super) attributes: Vec<AttributePlan>,
    pub(super) views: Vec<ViewPlan>,
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
        let views = form.views.iter().zip(schema.layout().views()).map(|(view, laid)| ViewPlan {
            slots: usize::from(view.slots),
            slot_bytes: view.bits as usize / 8,
            focus: view.focus,
            salt: view.salt.clone(),
            missing_salt: view.missing_salt,
            rare: view.rare,
            tag: laid.tag,
            segments: segments(view, index),
            flips: (view.bits as usize * form.flips_per_mille as usize + 500) / 1000,
            cached: view.salt.iter().all(|part| matches!(part, SaltPart::Year | SaltPart::Month)),
        });
        let exact = form.exact.iter().filter(|exact| exact.enabled);
        Self {
            views: views.collect(),
            exact: exact.map(|exact| (exact.name.clone(), exact.reads)).collect(),
            payload: form.payload.clone(),
            filler: form.filler,
            nicknames: form.nicknames,
            attributes,
            domains,
        }
    }

    /// One keyed hasher per hash domain.
    pub(super) fn domain_hashers(&self, key: &EpochKey) -> Vec<blake3::Hasher> {
        self.domains.iter().map(|domain| key.attribute(domain).hasher()).collect()
    }
}

fn number(domains: &mut Vec<String>, attribute: &AttributeForm) -> usize {
    let domain = attribute.hash.as_deref().unwrap_or(attribute.name.as_str());
    domains.iter().position(|known| known == domain).unwrap_or_else(|| {
        domains.push(domain.to_owned());
        domains.len() - 1
    })
}

fn segments(view: &ViewForm, index: impl Fn(&AttributeName) -> Option<usize>) -> Vec<SegmentPlan> {
    let mut start = 0;
    let mut plan = |segment: &SegmentForm| {
        let parts =
            segment.budgets.iter().filter_map(|(name, budget)| Some((index(name)?, *budget as usize)));
        let made = SegmentPlan { start, bits: segment.bits, parts: parts.collect() };
        start += segment.bits;
        made
    };
    view.segments.iter().map(&mut plan).collect()
}
