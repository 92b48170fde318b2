//! What two default dates say: little, and not nothing.
//!
//! May see: similarities and the decision model. Must not see: other pairs.
//!
//! The first of January stands where a day is not known, so two of them share day and month by habit. Equal ones
//! agree in the year only and count as the level below equal; unequal ones say nothing. Without this, records
//! whose dates are defaults go to any namesake: nearly half of the wrong links on historical registers.

use super::evidence::ATTRIBUTES_MAX;
use crate::wire::{EvidenceModel, Similarity, presence};

/// The rule for one model.
#[derive(Debug, Clone, Copy)]
pub(super) struct DefaultDates {
    /// The date among the attributes.
    attribute: usize,
    /// From here on dates are equal.
    equal_from: Similarity,
    /// What equal ones count as.
    equal_as: Similarity,
}

impl DefaultDates {
    /// None where the model does not guard default dates or does not say which attribute is the date.
    pub(super) fn of(model: &EvidenceModel) -> Option<Self> {
        let attribute = date_of(model).filter(|_| model.guards.default_dates)?;
        let mut lower = model.attributes[attribute].cuts.iter().rev().copied();
        let equal_from = lower.next()?;
        Some(Self { attribute, equal_from, equal_as: lower.next().unwrap_or(Similarity::ZERO) })
    }

    /// Lowers what the dates say, where the flags that both records carry say that both are defaults.
    pub(super) fn apply(self, both: u32, similarities: &mut [Option<Similarity>; ATTRIBUTES_MAX]) {
        if both & presence::DEFAULT_DATE != 0 {
            let date = &mut similarities[self.attribute];
            *date = date.filter(|date| *date >= self.equal_from).map(|_| self.equal_as);
        }
    }
}

/// Position of the attribute whose presence bit is the date's.
pub(super) fn date_of(model: &EvidenceModel) -> Option<usize> {
    let is_date = |bit: u8| 1u32.checked_shl(u32::from(bit)) == Some(presence::DATE);
    model.attributes.iter().position(|attribute| attribute.presence_bit.is_some_and(is_date))
}

#[cfg(test)]
mod tests {
    use super::super::train::tests::model;
    use super::*;
    use crate::wire::EvidenceForm;

    /// The model of the tests with its third attribute, cut at .6 and .8, as the date.
    fn dated(guard: bool) -> EvidenceModel {
        let mut form: EvidenceForm = model().into();
        form.attributes[2].presence_bit = Some(u8::try_from(presence::DATE.trailing_zeros()).unwrap());
        form.guards.default_dates = guard;
        form.try_into().unwrap()
    }

    fn read(rule: DefaultDates, both: u32, date: &str) -> Option<String> {
        let mut similarities = [None; ATTRIBUTES_MAX];
        similarities[2] = Some(date.parse().unwrap());
        rule.apply(both, &mut similarities);
        similarities[2].map(|date| date.to_string())
    }

    #[test]
    fn two_defaults_agree_in_the_year_or_say_nothing() {
        let rule = DefaultDates::of(&dated(true)).unwrap();
        assert_eq!(read(rule, presence::DEFAULT_DATE, "1"), Some("0.6".into()), "the level below equal");
        assert_eq!(read(rule, presence::DEFAULT_DATE, "0.7"), None);
        assert_eq!(read(rule, presence::DEFAULT_DATE, "0"), None);
        assert_eq!(read(rule, !presence::DEFAULT_DATE, "1"), Some("1".into()), "one real date is enough");
    }

    #[test]
    fn models_without_the_guard_or_a_known_date_are_left_alone() {
        assert!(DefaultDates::of(&dated(false)).is_none());
        assert!(DefaultDates::of(&model()).is_none());
    }
}
