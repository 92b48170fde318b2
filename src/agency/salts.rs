//! Salts of slots: from values of the record, keyed.
//!
//! May see: plan, names, record, the keys of salts. Must not see: tokens' keys, filters.

use super::foci::{Focus, Names};
use super::key::length_prefix;
use super::names::is_rare_pair;
use super::plan::ViewPlan;
use super::record::Person;
use super::schema::form::{MissingSalt, SaltPart};
use super::tokens::{digits2, digits4};
use zeroize::Zeroize;

/// The salt of a slot and its tag before truncation.
pub(super) struct Salt {
    pub(super) bytes: [u8; 16],
    pub(super) len: usize,
    pub(super) tag: u32,
}

/// Makes salts with the keys of one epoch.
pub(super) struct Salts {
    /// Keyed, by view.
    hashers: Vec<blake3::Hasher>,
    input: Vec<u8>,
}

impl Salts {
    /// One keyed hasher per view.
    pub(super) fn new(hashers: Vec<blake3::Hasher>) -> Self {
        Self { hashers, input: Vec::new() }
    }

    /// Leaves nothing of the last person in memory; the keys stay.
    pub(super) fn wipe(&mut self) {
        self.input.zeroize();
    }

    /// The salt of a slot: 16 bytes of keyed BLAKE3 over the length-prefixed values, then 4 of tag.
    /// None where a value it asks for is missing and the view drops such slots.
    pub(super) fn of(
        &mut self,
        number: usize,
        view: &ViewPlan,
        names: &Names,
        focus: Focus,
        person: &Person,
    ) -> Option<Salt> {
        if view.salt.is_empty() {
            return Some(Salt { bytes: [0; 16], len: 0, tag: 0 });
        }
        self.input.clear();
        for part in &view.salt {
            let before = self.input.len();
            if push_part(&mut self.input, *part, (names, focus), person, view.rare).is_none() {
                self.input.truncate(before);
                match view.missing_salt {
                    MissingSalt::Drop => return None,
                    MissingSalt::Blank => push_value(&mut self.input, b""),
                }
            }
        }
        let hasher = &mut self.hashers[number];
        hasher.reset();
        hasher.update(&self.input);
        let (mut output, mut bytes, mut tag) = ([0; 20], [0; 16], [0; 4]);
        hasher.finalize_xof().fill(&mut output);
        bytes.copy_from_slice(&output[..16]);
        tag.copy_from_slice(&output[16..]);
        Some(Salt { bytes, len: 16, tag: u32::from_le_bytes(tag) })
    }
}

impl Drop for Salts {
    fn drop(&mut self) {
        self.wipe();
        self.hashers.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// Appends one part; none, and perhaps a beginning of it, where the record has no value for it.
fn push_part(
    out: &mut Vec<u8>,
    part: SaltPart,
    (names, focus): (&Names, Focus),
    person: &Person,
    rare: Option<u64>,
) -> Option<()> {
    let date = person.date_of_birth;
    let given = focus.given.map(|at| names.given.at(at));
    let family = focus.family.map(|at| names.family.at(at));
    let given_skeleton = focus.given.map(|at| names.given_skeletons.at(at));
    let family_skeleton = focus.family.map(|at| names.family_skeletons.at(at));
    let other = if focus.by_given { family } else { given };
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
        SaltPart::NameSkeleton if focus.by_given => push_skeleton(out, given_skeleton?)?,
        SaltPart::GivenSkeleton => push_skeleton(out, given_skeleton?)?,
        SaltPart::NameSkeleton | SaltPart::FamilySkeleton => push_skeleton(out, family_skeleton?)?,
        SaltPart::OtherInitial => push_value(out, &other?[..1]),
        SaltPart::GivenPrefix => push_value(out, prefix(given?)),
        SaltPart::PairPrefix => {
            let (a, b) = (prefix(given?), prefix(family?));
            push_value(out, a.min(b));
            push_value(out, a.max(b));
        }
        SaltPart::PairSkeleton => {
            let (one, two) = (given_skeleton?, family_skeleton?);
            let common = || rare.is_some_and(|one_in| !is_rare_pair(one, two, one_in));
            if one.is_empty() || two.is_empty() || common() {
                return None;
            }
            push_value(out, one.min(two));
            push_value(out, one.max(two));
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

fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(&length_prefix(value));
    out.extend_from_slice(value);
}

fn push_skeleton(out: &mut Vec<u8>, skeleton: &[u8]) -> Option<()> {
    (!skeleton.is_empty()).then(|| push_value(out, skeleton))
}

/// The first three letters.
fn prefix(name: &[u8]) -> &[u8] {
    &name[..name.len().min(3)]
}
