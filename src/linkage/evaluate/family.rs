//! False links between twins and between other brothers and sisters.
//!
//! May see: the numbered truth and the links. Must not see: anything else.

use super::{Confusable, Linked, Truth};
use crate::wire::Band;
use std::collections::BTreeMap;

/// (twins, other brothers and sisters): children of one family; twins are two that are both marked.
pub(super) fn confusable(truth: &Truth<'_>, linked: &Linked) -> (Confusable, Confusable) {
    let mut families: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (entity, records) in (0u32..).zip(&truth.records_of) {
        let family = records.iter().find_map(|record| truth.row(*record).family_id.as_deref());
        if let Some(family) = family {
            families.entry(family).or_default().push(entity);
        }
    }
    let is_twin =
        |entity: u32| truth.records_of[entity as usize].iter().any(|record| truth.row(*record).twin);
    let (mut twins, mut siblings) = (Confusable::default(), Confusable::default());
    for children in families.values() {
        for (at, one) in children.iter().enumerate() {
            for other in &children[at + 1..] {
                let both_twins = is_twin(*one) && is_twin(*other);
                let kind = if both_twins { &mut twins } else { &mut siblings };
                kind.pairs_of_children += 1;
                count(truth, linked, *one, *other, kind);
            }
        }
    }
    (twins, siblings)
}

fn count(truth: &Truth<'_>, linked: &Linked, one: u32, other: u32, kind: &mut Confusable) {
    for left in &truth.records_of[one as usize] {
        for right in &truth.records_of[other as usize] {
            if truth.same_agency(*left, *right) {
                continue;
            }
            kind.pairs_of_records += 1;
            match linked.get(&(*left.min(right), *left.max(right))) {
                Some(Band::Match) => kind.false_matches += 1,
                Some(Band::Review) => kind.false_reviews += 1,
                Some(Band::None) | None => {}
            }
        }
    }
}
