//! What one thread does with one person: salts, slots, noise, columns.
//!
//! May see: plan, names, tokens, filter, record. Must not see: files, the schema's text. The names that slots are
//! about come from [`super::foci`].

use super::diffuse::{Diffusion, Scratch};
use super::filter::{Positions, Seen, Target, Words, distinct, set_distinct};
use super::foci::{Focus, Names};
use super::key::{Secret, length_prefix};
use super::lanes::Prefix;
use super::names::{is_rare_pair, skeleton};
use super::plan::{Plan, SegmentPlan, ViewPlan};
use super::record::Person;
use super::schema::form::{MissingSalt, SaltPart, Source};
use super::tokens::{TokenSet, digits2, digits4, person_tokens, text_tokens};
use crate::wire::EncodingBatch;
use std::sync::Arc;
use zeroize::Zeroize;

/// Tokens that the filler of a value takes where the record has none to count.
const USUAL_TOKENS: usize = 7;

/// The salt of a slot and its tag before truncation.
struct Salt {
    bytes: [u8; 16],
    len: usize,
    tag: u32,
}

/// Scratch space of one thread; holds keys while it lives, and the last person until [`Worker::wipe`].
pub(super) struct Worker {
    positions: Positions,
    salts: Vec<blake3::Hasher>,
    noise: blake3::Hasher,
    maps: Arc<[Option<Diffusion>]>,
    /// Tokens by attribute: of the person, or of the names in focus.
    sets: Vec<TokenSet>,
    names: Names,
    /// The names whose tokens stand in `sets`.
    in_focus: Option<(Option<usize>, Option<usize>)>,
    salt_input: Vec<u8>,
    skeletons: [Vec<u8>; 2],
    slots: Vec<u8>,
    /// Of the diffusion: one byte a bit.
    scratch: Scratch,
    filled: Vec<Option<u32>>,
    flips: Vec<u16>,
    order: Vec<usize>,
    seen: Seen,
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
            positions: Positions::new(domains),
            salts,
            noise,
            maps,
            sets: plan.attributes.iter().map(|_| TokenSet::default()).collect(),
            names: Names::default(),
            in_focus: None,
            salt_input: Vec::new(),
            skeletons: [Vec::new(), Vec::new()],
            slots: Vec::new(),
            scratch: Scratch::default(),
            filled: Vec::new(),
            flips: Vec::new(),
            order: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// Appends the slots of one person to the batch's columns (refs, presence, exact tokens and payload
    /// are the caller's).
    pub(super) fn encode(&mut self, plan: &Plan, person: &Person, out: &mut EncodingBatch) {
        for (attribute, set) in plan.attributes.iter().zip(&mut self.sets) {
            person_tokens(attribute.reads, attribute.text.as_deref(), attribute.rule, person, set);
        }
        self.in_focus = None;
        self.names.list(person, plan.nicknames);
        let mut noise = self.start_noise(plan, person);
        self.draw_permanent(plan, &mut noise);
        self.slots.clear();
        self.slots.resize(plan.slot_bytes, 0);
        self.filled.clear();
        for (number, view) in plan.views.iter().enumerate() {
            self.fill_view(plan, number, view, person);
            self.fill_empty(plan, view, &mut noise);
        }
        self.positions.flush(&mut self.slots);
        self.take_out(plan, out);
    }

    /// Appends the slots as they stand: diffused, flipped, in their permuted order.
    fn take_out(&mut self, plan: &Plan, out: &mut EncodingBatch) {
        let (mut column, mut flip) = (0, 0);
        for (number, view) in plan.views.iter().enumerate() {
            for k in 0..view.slots {
                // The order within a view is permuted, so a slot's place says nothing of its name.
                let from = self.order[column + k];
                let slot = &self.slots[view.slot(from)];
                let target = &mut out.slots[column + k];
                let start = target.filters.len();
                match &self.maps[number] {
                    Some(map) => map.apply(slot, &mut self.scratch, &mut target.filters),
                    None => target.filters.extend_from_slice(slot),
                }
                for at in &self.flips[flip..flip + view.flips] {
                    target.filters[start + usize::from(*at) / 8] ^= 1 << (at % 8);
                }
                flip += view.flips;
                if let (Some(tags), Some(bits)) = (&mut target.tags, view.tag) {
                    tags.push(self.filled[column + from].unwrap_or_default() & bits.max_value());
                }
            }
            column += view.slots;
        }
    }

    fn fill_view(&mut self, plan: &Plan, number: usize, view: &ViewPlan, person: &Person) {
        self.names.focus(view.focus);
        for at in 0..self.names.foci.len() {
            let slot = self.filled.len() - view.first_slot;
            if slot == view.slots {
                break;
            }
            let focus = self.names.foci[at];
            if let Some(salt) = self.salt(number, view, focus, person) {
                self.focus_tokens(plan, focus);
                self.fill_slot(plan, view, &salt, slot);
                self.filled.push(Some(salt.tag));
            }
        }
        self.filled.resize(view.first_slot + view.slots, None);
    }

    fn focus_tokens(&mut self, plan: &Plan, focus: Focus) {
        let names = Some((focus.given, focus.family));
        if self.in_focus == names {
            return;
        }
        self.in_focus = names;
        for (attribute, set) in plan.attributes.iter().zip(&mut self.sets) {
            let (names, chosen) = match attribute.reads {
                Source::Given => (&self.names.given, focus.given),
                Source::Family => (&self.names.family, focus.family),
                _ => continue,
            };
            let name = chosen.map_or(&b""[..], |at| names.at(at));
            // Normalised names are ASCII.
            text_tokens(attribute.rule, std::str::from_utf8(name).unwrap_or_default(), set);
        }
    }

    fn fill_slot(&mut self, plan: &Plan, view: &ViewPlan, salt: &Salt, slot: usize) {
        let first = 8 * view.slot(slot).start as u32;
        let bytes = &salt.bytes[..salt.len];
        let prefix = Prefix::new([&length_prefix(bytes), bytes]);
        for segment in &view.segments {
            let target = Target { start: first + segment.start, bits: segment.bits, salt: bytes };
            for part in &segment.parts {
                let set = &self.sets[part.attribute];
                let domain = plan.attributes[part.attribute].domain;
                for (token, count) in part.budget.shares(set.len()).enumerate() {
                    let token = set.at(token);
                    if view.cached || !self.positions.queue(domain, (&target, &prefix), token, count) {
                        self.positions.insert(domain, target, token, count, view.cached, &mut self.slots);
                    }
                }
            }
        }
    }

    /// The salt of a slot: 16 bytes of keyed BLAKE3 over the length-prefixed values, then 4 of tag.
    fn salt(&mut self, number: usize, view: &ViewPlan, focus: Focus, person: &Person) -> Option<Salt> {
        if view.salt.is_empty() {
            return Some(Salt { bytes: [0; 16], len: 0, tag: 0 });
        }
        self.salt_input.clear();
        for part in &view.salt {
            let before = self.salt_input.len();
            if self.push_salt_part(*part, focus, person, view.rare).is_none() {
                self.salt_input.truncate(before);
                match view.missing_salt {
                    MissingSalt::Drop => return None,
                    MissingSalt::Blank => push_value(&mut self.salt_input, b""),
                }
            }
        }
        let hasher = &mut self.salts[number];
        hasher.reset();
        hasher.update(&self.salt_input);
        let (mut output, mut bytes, mut tag) = ([0; 20], [0; 16], [0; 4]);
        hasher.finalize_xof().fill(&mut output);
        bytes.copy_from_slice(&output[..16]);
        tag.copy_from_slice(&output[16..]);
        Some(Salt { bytes, len: 16, tag: u32::from_le_bytes(tag) })
    }

    fn push_salt_part(
        &mut self,
        part: SaltPart,
        focus: Focus,
        person: &Person,
        rare: Option<u64>,
    ) -> Option<()> {
        let date = person.date_of_birth;
        let given = focus.given.map(|at| self.names.given.at(at));
        let family = focus.family.map(|at| self.names.family.at(at));
        let (chosen, other) = if focus.by_given { (given, family) } else { (family, given) };
        let [one, two] = &mut self.skeletons;
        let out = &mut self.salt_input;
        match part {
            SaltPart::Year => {
                let slipped = || person.slipped_date.map(|slipped| slipped.year).filter(|year| *year > 0);
                push_value(out, &digits4(date.map(|date| date.year).or_else(slipped)?));
            }
            SaltPart::Month => push_value(out, &digits2(date?.month)),
            SaltPart::DayMonth => {
                let (day, month) = (date?.day, date?.month);
                push_value(out, &digits2(day.min(month)));
                push_value(out, &digits2(day.max(month)));
            }
            SaltPart::Date => {
                push_value(out, &digits4(date?.year));
                push_value(out, &digits2(date?.month));
                push_value(out, &digits2(date?.day));
            }
            SaltPart::NameSkeleton => push_skeleton(out, chosen?, one)?,
            SaltPart::GivenSkeleton => push_skeleton(out, given?, one)?,
            SaltPart::FamilySkeleton => push_skeleton(out, family?, one)?,
            SaltPart::OtherInitial => push_value(out, &other?[..1]),
            SaltPart::GivenPrefix => push_value(out, prefix(given?)),
            SaltPart::PairPrefix => {
                let (a, b) = (prefix(given?), prefix(family?));
                push_value(out, a.min(b));
                push_value(out, a.max(b));
            }
            SaltPart::PairSkeleton => {
                skeleton(given?, one);
                skeleton(family?, two);
                let common = rare.is_some_and(|one_in| !is_rare_pair(one, two, one_in));
                if one.is_empty() || two.is_empty() || common {
                    return None;
                }
                push_value(out, one.as_slice().min(two));
                push_value(out, one.as_slice().max(two));
            }
            SaltPart::Place => match (&person.postcode, &person.address) {
                (Some(postcode), _) => push_value(out, postcode.full.as_bytes()),
                (None, Some(address)) if !address.is_empty() => push_value(out, address.as_bytes()),
                _ => return None,
            },
            SaltPart::Sector => push_value(out, person.postcode.as_ref()?.sector.as_bytes()),
        }
        Some(())
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
    fn draw_permanent(&mut self, plan: &Plan, noise: &mut Option<Words>) {
        self.flips.clear();
        self.order.clear();
        for view in &plan.views {
            let first = self.order.len();
            self.order.extend(0..view.slots);
            let Some(noise) = noise else { continue };
            for _ in 0..view.slots {
                for (start, bits, flips) in view.flipped() {
                    let take = |at| self.flips.push((start + at) as u16);
                    distinct(bits, flips, || noise.next(), &mut self.seen, take);
                }
            }
            for left in (2..=view.slots).rev() {
                let chosen = noise.below(left as u32) as usize;
                self.order.swap(first + left - 1, first + chosen);
            }
        }
    }

    /// Empty slots get what a record with another salt would have: as many insertions as this record's
    /// own tokens make, at random, and a random tag. A value that the salt asks for and the record lacks counts as
    /// one of usual length, because no filled slot of the view is without it.
    fn fill_empty(&mut self, plan: &Plan, view: &ViewPlan, noise: &mut Option<Words>) {
        let Some(noise) = noise else { return };
        for slot in 0..view.slots {
            if self.filled[view.first_slot + slot].is_some() {
                continue;
            }
            if plan.filler {
                self.focus_tokens(plan, self.names.whole());
                for segment in &view.segments {
                    self.fill_segment(view, segment, slot, noise);
                }
            }
            self.filled[view.first_slot + slot] = Some(noise.next());
        }
    }

    fn fill_segment(&mut self, view: &ViewPlan, segment: &SegmentPlan, slot: usize, noise: &mut Words) {
        let slot = &mut self.slots[view.slot(slot)];
        for part in &segment.parts {
            let own = self.sets[part.attribute].len();
            let tokens = if own == 0 && part.salted { USUAL_TOKENS } else { own };
            for count in part.budget.shares(tokens) {
                set_distinct(slot, (segment.start, segment.bits), count, || noise.next(), &mut self.seen);
            }
        }
    }
}

impl Worker {
    /// Leaves nothing of the last person in memory; the keys stay.
    pub(super) fn wipe(&mut self) {
        self.sets.iter_mut().for_each(TokenSet::wipe);
        self.names.wipe();
        self.in_focus = None;
        self.skeletons.iter_mut().for_each(Zeroize::zeroize);
        self.salt_input.zeroize();
        self.slots.zeroize();
        self.positions.wipe();
        self.flips.zeroize();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.wipe();
        self.salts.iter_mut().for_each(Zeroize::zeroize);
        self.noise.zeroize();
    }
}

fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(&length_prefix(value));
    out.extend_from_slice(value);
}

fn push_skeleton(out: &mut Vec<u8>, name: &[u8], scratch: &mut Vec<u8>) -> Option<()> {
    skeleton(name, scratch);
    (!scratch.is_empty()).then(|| push_value(out, scratch))
}

/// The first three letters.
fn prefix(name: &[u8]) -> &[u8] {
    &name[..name.len().min(3)]
}
