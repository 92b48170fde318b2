//! The names of one person that the slots of a view are about.
//!
//! May see: names, tokens, record, the rules of a schema. Must not see: keys, filters.

use super::names::{SKELETON_LETTERS, listed, skeleton};
use super::record::Person;
use super::schema::form::FocusRule;
use super::tokens::TokenSet;
use zeroize::Zeroize;

/// Shortest part of a family name that can stand for it (`de`, `la`, `al` can not).
const PART_LETTERS_MIN: usize = 3;

/// Most parts of one name that count.
const PARTS_MAX: usize = 8;

/// What a slot is about: positions in the lists of given and family names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Focus {
    pub(super) given: Option<usize>,
    pub(super) family: Option<usize>,
    /// Of `focus = "name"`: the given name is the one.
    pub(super) by_given: bool,
}

/// The names of one person.
#[derive(Default)]
pub(super) struct Names {
    /// Given names: main, known-as, aliases, middle.
    pub(super) given: TokenSet,
    /// The whole family name, then its parts and aliases.
    pub(super) family: TokenSet,
    /// Consonant skeletons of both lists, in their order.
    pub(super) given_skeletons: TokenSet,
    pub(super) family_skeletons: TokenSet,
    /// What the slots of the view at hand are about.
    pub(super) foci: Vec<Focus>,
}

impl Names {
    /// Lists the names of one person, given names in canonical form if asked.
    pub(super) fn list(&mut self, person: &Person, nicknames: bool) {
        self.given.clear();
        self.family.clear();
        for (at, name) in person.given.iter().enumerate() {
            // The initial of a middle name is shared by too many, and by brothers and sisters: no name to find
            // a child by.
            if at > 0 && name.parts.len() == 1 && name.parts[0].len() == 1 {
                continue;
            }
            push_new(&mut self.given, &name.parts, 0, nicknames);
            if at == 0 && name.parts.len() > 1 {
                // `Mary Jane` stands as `Mary` elsewhere.
                push_new(&mut self.given, &name.parts[..1], 0, nicknames);
            }
        }
        for (at, name) in person.family.iter().enumerate() {
            if at == 0 {
                push_new(&mut self.family, &name.parts, 0, false);
            }
            let long = |part: &&String| part.len() >= PART_LETTERS_MIN;
            if name.parts.len() > 1 && name.parts.iter().any(|part| long(&part)) {
                for part in name.parts.iter().filter(long) {
                    push_new(&mut self.family, std::slice::from_ref(part), 1, false);
                }
            } else {
                push_new(&mut self.family, &name.parts, 1, false);
            }
        }
        self.list_skeletons();
    }

    fn list_skeletons(&mut self) {
        let mut letters = Vec::with_capacity(2 * SKELETON_LETTERS);
        let lists = [(&self.given, &mut self.given_skeletons), (&self.family, &mut self.family_skeletons)];
        for (names, skeletons) in lists {
            skeletons.clear();
            for at in 0..names.len() {
                skeleton(names.at(at), &mut letters);
                skeletons.push(&[&letters]);
            }
        }
        letters.zeroize();
    }

    /// Leaves no name in memory.
    pub(super) fn wipe(&mut self) {
        let lists =
            [&mut self.given, &mut self.family, &mut self.given_skeletons, &mut self.family_skeletons];
        lists.into_iter().for_each(TokenSet::wipe);
    }

    /// What a slot about the record as a whole is about.
    pub(super) fn whole(&self) -> Focus {
        let first = |list: &TokenSet| (!list.is_empty()).then_some(0);
        Focus { given: first(&self.given), family: first(&self.family), by_given: true }
    }

    /// Lists what the slots of a view are about, in order; there may be more or fewer than slots.
    pub(super) fn focus(&mut self, rule: FocusRule) {
        let record = self.whole();
        let Focus { given: main, family: whole, .. } = record;
        let parts = 1..self.family.len();
        let further = 1..self.given.len();
        self.foci.clear();
        match rule {
            FocusRule::Record => self.foci.push(record),
            FocusRule::Name => {
                if main.is_some() {
                    self.foci.push(record);
                }
                let by_part = |p| Focus { given: main, family: Some(p), by_given: false };
                self.foci.extend(parts.map(by_part));
                let by_given = |g| Focus { given: Some(g), family: whole, by_given: true };
                self.foci.extend(further.map(by_given));
            }
            FocusRule::Pair if main.is_some() => {
                let by_part = |p| Focus { given: main, family: Some(p), by_given: true };
                self.foci.extend(parts.map(by_part));
                if whole.is_some() {
                    let by_given = |g| Focus { given: Some(g), family: Some(1), by_given: true };
                    self.foci.extend(further.map(by_given));
                }
            }
            FocusRule::Pair => {}
        }
    }
}

/// Adds a name, in its canonical form if asked, unless the list has it from position `from` on.
fn push_new(list: &mut TokenSet, parts: &[String], from: usize, nicknames: bool) {
    let mut name: [&[u8]; PARTS_MAX] = [b""; PARTS_MAX];
    for (slot, part) in name.iter_mut().zip(parts) {
        *slot = part.as_bytes();
    }
    list.push(&name);
    let last = list.len() - 1;
    if nicknames && let Some(form) = listed(list.at(last)) {
        list.pop();
        list.push(&[form]);
    }
    if list.at(last).is_empty() || (from..last).any(|at| list.at(at) == list.at(last)) {
        list.pop();
    }
}
