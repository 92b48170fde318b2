//! What a new revision of an agreement allows that the old one did not, or would have erased: each needs two people.

use super::{Agreement, PurposeTerms};
use crate::wire::{AgencyId, PurposeCode};

/// One way in which a revision allows more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Widening {
    /// Another agency takes part.
    NewAgency(AgencyId),
    /// An agency gets a front door.
    NewFrontDoor(AgencyId),
    /// A purpose is added, or an old one asks for less than before.
    NewPurpose(PurposeCode),
    /// Two agencies may be linked, or learn more of each other.
    WiderPair(AgencyId, AgencyId),
    /// A figure or switch allows more; its field.
    Looser(&'static str),
}

/// Everything `new` allows beyond `old`, or has erased sooner. Empty: nothing but narrowing, one person may do it.
#[must_use]
pub fn widenings(old: &Agreement, new: &Agreement) -> Vec<Widening> {
    let mut wider = Vec::new();
    for party in &new.terms().parties {
        match old.party(&party.agency) {
            None => wider.push(Widening::NewAgency(party.agency.clone())),
            Some(before) if party.front_door && !before.front_door => {
                wider.push(Widening::NewFrontDoor(party.agency.clone()));
            }
            Some(_) => {}
        }
    }
    for purpose in &new.terms().purposes {
        if old.purpose(&purpose.code).is_none_or(|before| asks_less(purpose, before)) {
            wider.push(Widening::NewPurpose(purpose.code.clone()));
        }
    }
    for pair in &new.terms().pairs {
        let [a, b] = &pair.between;
        if old.pair(a, b).is_none_or(|before| pair.answer > before) {
            wider.push(Widening::WiderPair(a.clone(), b.clone()));
        }
    }
    wider.extend(looser(old, new));
    wider
}

fn asks_less(new: &PurposeTerms, old: &PurposeTerms) -> bool {
    let bases = match (new.lawful_bases.is_empty(), old.lawful_bases.is_empty()) {
        (_, true) => false,
        (true, false) => true,
        (false, false) => new.lawful_bases.iter().any(|basis| !old.lawful_bases.contains(basis)),
    };
    bases
        || (old.asks.case && !new.asks.case)
        || (old.asks.detriment && !new.asks.detriment)
        || (new.front_door && !old.front_door)
}

fn looser(old: &Agreement, new: &Agreement) -> impl Iterator<Item = Widening> {
    let (old, new) = (old.terms(), new.terms());
    let (was, is) = (old.budgets, new.budgets);
    let fewer_looks = match (old.second_look_every, new.second_look_every) {
        (0, _) => false,
        (_, 0) => true,
        (before, now) => now > before,
    };
    [
        ("starts", new.starts < old.starts),
        // Sooner or later: the one allows more, the other erases what is held.
        ("ends", new.ends != old.ends),
        ("retention_months", new.retention_months != old.retention_months),
        ("suppress_below", new.suppress_below < old.suppress_below),
        ("second_look_every", fewer_looks),
        ("exact_tokens", new.exact_tokens && !old.exact_tokens),
        ("standing", new.standing != old.standing),
        ("budgets.user_day", is.user_day > was.user_day),
        ("budgets.agency_month", is.agency_month > was.agency_month),
        ("budgets.project", is.project > was.project),
        ("budgets.front_door_user_day", is.front_door_user_day > was.front_door_user_day),
        ("budgets.front_door_agency_day", is.front_door_agency_day > was.front_door_agency_day),
        ("budgets.front_door_agency_month", is.front_door_agency_month > was.front_door_agency_month),
        ("budgets.misses_user_day", is.misses_user_day > was.misses_user_day),
    ]
    .into_iter()
    .filter(|(_, looser)| *looser)
    .map(|(field, _)| Widening::Looser(field))
}

#[cfg(test)]
mod tests {
    use super::super::agreement::tests::EXAMPLE;
    use super::*;

    fn changed(from: &str, to: &str) -> Agreement {
        assert!(EXAMPLE.contains(from), "{from}");
        toml::from_str(&EXAMPLE.replacen(from, to, 1)).unwrap()
    }

    #[test]
    fn more_needs_two_people_and_less_needs_one() {
        let old: Agreement = toml::from_str(EXAMPLE).unwrap();
        assert_eq!(widenings(&old, &old), []);
        for (from, to) in [
            ("starts = \"2026-01-01\"", "starts = \"2025-01-01\""),
            ("exact_tokens = false", "exact_tokens = true"),
            ("second_look_every = 10", "second_look_every = 11"),
            ("user_day = 40", "user_day = 41"),
            ("agency_month = 20000", "agency_month = 20001"),
            ("project = 1000000", "project = 1000001"),
            ("front_door_user_day = 15", "front_door_user_day = 16"),
            ("misses_user_day = 8", "misses_user_day = 9"),
            ("answer = \"yes_no\"", "answer = \"agency\""),
            ("case = true", "case = false"),
            ("\"public-task\"]", "\"public-task\", \"consent\"]"),
            ("agency = \"health\"\n", "agency = \"health\"\nfront_door = true\n"),
            ("agency = \"police\"\n", "agency = \"police\"\n[[parties]]\nagency = \"school\"\n"),
            ("[[pairs]]", "[[purposes]]\ncode = \"audit\"\ntitle = \"Audit\"\n\n[[pairs]]"),
        ] {
            let new = changed(from, to);
            assert_eq!(widenings(&old, &new).len(), 1, "{to}");
            assert_eq!(widenings(&new, &old).len(), 0, "back from {to}");
        }
        for (from, to, field) in [
            ("ends = \"2027-03-31\"", "ends = \"2028-03-31\"", "ends"),
            ("retention_months = 13", "retention_months = 24", "retention_months"),
        ] {
            let new = changed(from, to);
            assert_eq!(widenings(&old, &new), [Widening::Looser(field)]);
            assert_eq!(widenings(&new, &old), [Widening::Looser(field)], "sooner: it erases what is held");
        }
        let none = changed("second_look_every = 10", "second_look_every = 0");
        assert_eq!(widenings(&old, &none), [Widening::Looser("second_look_every")]);
        let strict = changed("suppress_below = 5", "suppress_below = 10");
        assert_eq!(widenings(&strict, &old), [Widening::Looser("suppress_below")]);
    }
}
