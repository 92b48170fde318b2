//! What one thread does with persons: slots, noise, columns.
//!
//! May see: plan, names, tokens, filter, record. Must not see: files, the schema's text. The names that slots are
//! about come from [`super::foci`], their salts from [`super::salts`].

use super::diffuse::{Diffusion, Scratch};
use super::filter::{Filler, Positions, Seen, Target, Words, set_distinct};
use super::foci::{Focus, Names};
use super::key::{Secret, length_prefix};
use super::lanes::{Prefix, REACHED_BYTES, Share};
use super::plan::{Plan, SegmentPlan, ViewPlan};
use super::record::Person;
use super::salts::{Salt, Salts};
use super::schema::form::Source;
use super::tokens::{TokenSet, person_tokens, text_tokens};
use crate::wire::EncodingBatch;
use pulp::Arch;
use std::sync::Arc;
use zeroize::Zeroize;

/// Persons whose tokens are hashed together, so that few lanes stay empty.
const PERSONS_TOGETHER: usize = 8;

/// Tokens that the filler of a value takes where the record has none to count.
const USUAL_TOKENS: usize = 7;

/// Scratch space of one thread; holds keys while it lives, and the last person until [`Worker::wipe`].
pub(super) struct Worker {
    arch: Arch,
    positions: Positions,
    salts: Salts,
    noise: blake3::Hasher,
    maps: Arc<[Option<Diffusion>]>,
    /// Tokens by attribute: of the person, or of no name; then of each name in its list.
    sets: Vec<Vec<TokenSet>>,
    /// By attribute, which of them counts in the slot at hand.
    in_focus: Vec<usize>,
    names: Names,
    /// Slots of all persons at hand.
    slots: Vec<u8>,
    drafts: Vec<Draft>,
    /// Of the diffusion: one byte a bit.
    scratch: Scratch,
    seen: Seen,
}

/// What is drawn and found of one person before the bits are set.
#[derive(Default)]
struct Draft {
    /// Tags by slot, and which slots are filled.
    filled: Vec<Option<u32>>,
    /// Flipped bits, slot after slot as they leave.
    flips: Vec<u8>,
    /// Which slot leaves in which column.
    order: Vec<usize>,
}

impl Worker {
    /// Keys per hash domain; keyed hashers per view (salts), of the agency (noise); diffusion per view.
    pub(super) fn new(
        plan: &Plan,
        domains: &[Secret],
        salts: Vec<blake3::Hasher>,
        noise: blake3::Hasher,
        maps: Arc<[Option<Diffusion>]>,
    ) -> Self {
        Self {
            arch: Arch::new(),
            positions: Positions::new(domains),
            salts: Salts::new(salts),
            noise,
            maps,
            sets: plan.attributes.iter().map(|_| vec![TokenSet::default()]).collect(),
            in_focus: vec![0; plan.attributes.len()],
            names: Names::default(),
            slots: Vec::new(),
            drafts: Vec::new(),
            scratch: Scratch::default(),
            seen: Seen::default(),
        }
    }

    /// Appends the slots of persons to the batch's columns (refs, presence, exact tokens and payload
    /// are the caller's).
    pub(super) fn encode(&mut self, plan: &Plan, persons: &[Person], out: &mut EncodingBatch) {
        self.drafts.resize_with(PERSONS_TOGETHER, Draft::default);
        let mut drafts = std::mem::take(&mut self.drafts);
        for persons in persons.chunks(PERSONS_TOGETHER) {
            self.slots.clear();
            self.slots.resize(persons.len() * plan.slot_bytes + REACHED_BYTES, 0);
            for (number, (person, draft)) in persons.iter().zip(&mut drafts).enumerate() {
                self.draft(plan, person, number * plan.slot_bytes, draft);
            }
            self.positions.flush(&mut self.slots);
            for (number, draft) in drafts.iter().take(persons.len()).enumerate() {
                self.take_out(plan, number * plan.slot_bytes, draft, out);
            }
        }
        self.drafts = drafts;
    }

    /// Draws and finds all there is of one person, whose slots begin at byte `base`; bits of tokens come last.
    fn draft(&mut self, plan: &Plan, person: &Person, base: usize, draft: &mut Draft) {
        self.names.list(person, plan.nicknames);
        self.list_tokens(plan, person);
        let mut noise = self.start_noise(plan, person);
        self.draw_permanent(plan, &mut noise, draft);
        draft.filled.clear();
        for (number, view) in plan.views.iter().enumerate() {
            self.fill_view(plan, number, (view, base), person, draft);
            self.fill_empty(plan, (view, base), &mut noise, draft);
        }
    }

    fn list_tokens(&mut self, plan: &Plan, person: &Person) {
        for (attribute, sets) in plan.attributes.iter().zip(&mut self.sets) {
            person_tokens(attribute.reads, attribute.text.as_deref(), attribute.rule, person, &mut sets[0]);
            let names = match attribute.reads {
                Source::Given => &self.names.given,
                Source::Family => &self.names.family,
                _ => continue,
            };
            sets.resize_with(sets.len().max(1 + names.len()), TokenSet::default);
            for (at, set) in sets[1..=names.len()].iter_mut().enumerate() {
                // Normalised names are ASCII.
                text_tokens(attribute.rule, std::str::from_utf8(names.at(at)).unwrap_or_default(), set);
            }
        }
    }

    /// Appends the slots of one person as they stand: diffused, flipped, in their permuted order.
    fn take_out(&mut self, plan: &Plan, base: usize, draft: &Draft, out: &mut EncodingBatch) {
        let (mut column, mut flips) = (0, draft.flips.as_slice());
        for (number, view) in plan.views.iter().enumerate() {
            for k in 0..view.slots {
                // The order within a view is permuted, so a slot's place says nothing of its name.
                let from = draft.order[column + k];
                let slot = &self.slots[base..][view.slot(from)];
                let target = &mut out.slots[column + k];
                let start = target.filters.len();
                match &self.maps[number] {
                    Some(map) => map.apply(slot, &mut self.scratch, &mut target.filters),
                    None => target.filters.extend_from_slice(slot),
                }
                if let Some((flipped, rest)) = flips.split_at_checked(view.out_bytes) {
                    target.filters[start..].iter_mut().zip(flipped).for_each(|(byte, flip)| *byte ^= flip);
                    flips = rest;
                }
                if let (Some(tags), Some(bits)) = (&mut target.tags, view.tag) {
                    tags.push(draft.filled[column + from].unwrap_or_default() & bits.max_value());
                }
            }
            column += view.slots;
        }
    }

    fn fill_view(
        &mut self,
        plan: &Plan,
        number: usize,
        (view, base): (&ViewPlan, usize),
        person: &Person,
        draft: &mut Draft,
    ) {
        self.names.focus(view.focus);
        for at in 0..self.names.foci.len() {
            let slot = draft.filled.len() - view.first_slot;
            if slot == view.slots {
                break;
            }
            let focus = self.names.foci[at];
            if let Some(salt) = self.salts.of(number, view, &self.names, focus, person) {
                self.focus_tokens(plan, focus);
                self.fill_slot(plan, view, &salt, base + view.slot(slot).start);
                draft.filled.push(Some(salt.tag));
            }
        }
        draft.filled.resize(view.first_slot + view.slots, None);
    }

    fn focus_tokens(&mut self, plan: &Plan, focus: Focus) {
        for (attribute, in_focus) in plan.attributes.iter().zip(&mut self.in_focus) {
            let chosen = match attribute.reads {
                Source::Given => focus.given,
                Source::Family => focus.family,
                _ => None,
            };
            *in_focus = chosen.map_or(0, |at| 1 + at);
        }
    }

    /// Fills the slot that begins at byte `at` of all slots.
    fn fill_slot(&mut self, plan: &Plan, view: &ViewPlan, salt: &Salt, at: usize) {
        let bytes = &salt.bytes[..salt.len];
        let prefix = Prefix::new([&length_prefix(bytes), bytes]);
        for segment in &view.segments {
            let (start, bits) = (8 * at as u32 + segment.start, segment.bits);
            let target = Target { start, bits, salt: bytes };
            for part in &segment.parts {
                let set = &self.sets[part.attribute][self.in_focus[part.attribute]];
                let domain = plan.attributes[part.attribute].domain;
                let (each, more) = part.budget.split(set.len());
                let shares = [Share::new(start, bits, each + 1), Share::new(start, bits, each)];
                for number in 0..set.len() {
                    let (token, fewer) = (set.at(number), usize::from(number >= more));
                    if view.cached
                        || !self.positions.queue(domain, &prefix, token, &shares[fewer], &mut self.slots)
                    {
                        let count = each + 1 - fewer;
                        self.positions.insert(domain, target, token, count, view.cached, &mut self.slots);
                    }
                }
            }
        }
    }

    fn start_noise(&mut self, plan: &Plan, person: &Person) -> Option<Words> {
        let needed = plan.filler || plan.views.iter().any(|v| v.flips > 0 || v.slots > 1 || v.tag.is_some());
        needed.then(|| {
            self.noise.reset();
            self.noise.update(person.local_id.as_bytes());
            Words::new(self.noise.finalize_xof())
        })
    }

    /// Flips and slot orders of all views, drawn first so that they depend on the record's id alone and
    /// stay the same whatever else about it changes. Every segment has its share of the flips, so that the bits of
    /// one value under one salt are not the same in two records.
    fn draw_permanent(&mut self, plan: &Plan, noise: &mut Option<Words>, draft: &mut Draft) {
        draft.flips.clear();
        draft.order.clear();
        let mut flipped = 0;
        if noise.is_some() {
            draft.flips.resize(plan.out_bytes + REACHED_BYTES, 0);
        }
        for view in &plan.views {
            let first = draft.order.len();
            draft.order.extend(0..view.slots);
            let Some(noise) = noise else { continue };
            for _ in 0..view.slots {
                let slot = &mut draft.flips[flipped..];
                for (start, bits, flips) in view.flipped() {
                    set_distinct(slot, (start, bits), flips, || noise.next(), &mut self.seen);
                }
                flipped += view.out_bytes;
            }
            for left in (2..=view.slots).rev() {
                let chosen = noise.below(left as u32) as usize;
                draft.order.swap(first + left - 1, first + chosen);
            }
        }
    }

    /// Empty slots get what a record with another salt would have: as many insertions as this record's
    /// own tokens make, at random, and a random tag. A value that the salt asks for and the record lacks counts as
    /// one of usual length, because no filled slot of the view is without it.
    fn fill_empty(
        &mut self,
        plan: &Plan,
        (view, base): (&ViewPlan, usize),
        noise: &mut Option<Words>,
        draft: &mut Draft,
    ) {
        let Some(noise) = noise else { return };
        for slot in 0..view.slots {
            if draft.filled[view.first_slot + slot].is_some() {
                continue;
            }
            if plan.filler {
                self.focus_tokens(plan, self.names.whole());
                for segment in &view.segments {
                    self.fill_segment(segment, base + view.slot(slot).start, noise);
                }
            }
            draft.filled[view.first_slot + slot] = Some(noise.next());
        }
    }

    fn fill_segment(&mut self, segment: &SegmentPlan, slot: usize, noise: &mut Words) {
        let slot = &mut self.slots[slot..];
        for part in &segment.parts {
            let own = self.sets[part.attribute][self.in_focus[part.attribute]].len();
            let tokens = if own == 0 && part.salted { USUAL_TOKENS } else { own };
            let (start, bits) = (segment.start, segment.bits);
            let counts = part.budget.shares(tokens);
            self.arch.dispatch(Filler {
                slots: &mut *slot,
                start,
                bits,
                counts,
                words: noise,
                seen: &mut self.seen,
            });
        }
    }
}

impl Worker {
    /// Leaves nothing of the last person in memory; the keys stay.
    pub(super) fn wipe(&mut self) {
        self.sets.iter_mut().flatten().for_each(TokenSet::wipe);
        self.names.wipe();
        self.salts.wipe();
        self.slots.zeroize();
        self.positions.wipe();
        for draft in &mut self.drafts {
            draft.flips.zeroize();
            draft.filled.zeroize();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.wipe();
        self.noise.zeroize();
    }
}
