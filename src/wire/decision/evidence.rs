//! The evidence model: levels of similarity per attribute, weights, rules per view, guards.
//!
//! Method: Fellegi and Sunter 1969 (weights of agreement levels, added), over the salted views the layout describes.
//! Everything is an integer: similarities in millionths, weights in hundredths of a bit; decimal strings in TOML.

use super::{Band, DecisionError, Similarity};
use crate::wire::{AttributeName, Layout, Threshold, View, ViewName, presence};
use serde::{Deserialize, Serialize};

/// Attributes of one model.
pub(super) const ATTRIBUTES_MAX: usize = 16;
/// Cut points of one attribute.
pub(super) const CUTS_MAX: usize = 15;
/// Largest weight, margin or band limit, in hundredths of a bit: 100 bits.
pub(super) const CENTIBITS_MAX: i32 = 10_000;

/// A checked [`EvidenceForm`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "EvidenceForm", into = "EvidenceForm")]
pub struct EvidenceModel {
    form: Box<EvidenceForm>,
}

/// The evidence model as a schema writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceForm {
    /// Score, in hundredths of a bit, at or above which a pair is judged the same child.
    pub match_at: i32,
    /// Score at or above which a person should look; not above `match_at`.
    pub review_at: i32,
    /// Joint Dice, over the segments present on both sides, at which two slots agree.
    pub agree_at: Threshold,
    /// Dice of the whole slots that makes a pair a candidate at all (the join's threshold); at most
    /// `agree_at`, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_at: Option<Threshold>,
    /// A segment with a smaller share of set bits counts as missing.
    pub empty_below: Similarity,
    /// What guards may lower a band.
    #[serde(default)]
    pub guards: Guards,
    /// The attributes; a segment of that name feeds it.
    pub attributes: Vec<AttributeModel>,
    /// Rules of single views; a view without rules has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub views: Vec<ViewModel>,
    /// Exact tokens that count as evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exact: Vec<ExactModel>,
}

/// Levels of one attribute: level k when the best similarity reaches `cuts[k - 1]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeModel {
    /// The attribute.
    pub name: AttributeName,
    /// Lowest similarity of each level above the first, rising.
    pub cuts: Vec<Similarity>,
    /// Weight of each level in hundredths of a bit, lowest level first, never falling; one more than cuts.
    /// A missing attribute weighs nothing.
    pub weights: Vec<i32>,
    /// Its bit in the presence mask; where the mask says absent on either side it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_bit: Option<u8>,
}

/// Rules of one view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewModel {
    /// The view.
    pub view: ViewName,
    /// Overrides the model's `agree_at` for this view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agree_at: Option<Threshold>,
    /// Overrides the model's `join_at` for this view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_at: Option<Threshold>,
    /// Two segments that share a hash and are also compared crosswise; the better reading counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<[AttributeName; 2]>,
    /// What equal salts of this view say by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub implies: Vec<Implication>,
    /// Segments that feed an attribute of another name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<SegmentMap>,
}

/// "When the joint Dice of two slots reaches `at`, `attribute` is at least `similarity`."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Implication {
    /// The attribute the salt fixes.
    pub attribute: AttributeName,
    /// The joint Dice from which the salts are taken as equal.
    pub at: Threshold,
    /// The similarity it then has.
    pub similarity: Similarity,
}

/// "Segment `segment` feeds `attribute` as `offset + slope * Dice`."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentMap {
    /// The segment's name in the layout.
    pub segment: AttributeName,
    /// The attribute it feeds.
    pub attribute: AttributeName,
    /// Similarity at Dice 0.
    pub offset: Similarity,
    /// What Dice 1 adds.
    pub slope: Similarity,
}

/// An exact token as evidence. A conflict between two present tokens always forces a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExactModel {
    /// The token.
    pub attribute: AttributeName,
    /// Weight of an agreement, in hundredths of a bit.
    pub agree: i32,
}

/// Guards; each can only lower a band.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guards {
    /// A date policy against probing with a guessed name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<DateGuard>,
    /// Twins: the given name differs while the rest agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twins: Option<TwinGuard>,
    /// Review where either side's presence mask flags a placeholder name.
    #[serde(default)]
    pub placeholder_names: bool,
    /// Review where both sides' presence masks flag a default date.
    #[serde(default)]
    pub default_dates: bool,
    /// Review where another record of the same agency scores within this many hundredths of a bit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_up_margin: Option<i32>,
}

/// "The date is at least `at`; or the date is missing and `or_missing` holds."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateGuard {
    /// The date's attribute.
    pub attribute: AttributeName,
    /// The similarity it needs.
    pub at: Similarity,
    /// What makes up for a missing date; absent: nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub or_missing: Option<OrMissing>,
    /// The highest band a pair may have that fails: `review` or `none`.
    pub lower_to: Band,
}

/// "`attribute` is at least `at`."
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrMissing {
    /// The attribute.
    pub attribute: AttributeName,
    /// The similarity it needs.
    pub at: Similarity,
}

/// "`attribute` is below `below`, and every present attribute of `rest` reaches its bound": such a match becomes a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwinGuard {
    /// The given name's attribute.
    pub attribute: AttributeName,
    /// Similarity below which given names differ.
    pub below: Similarity,
    /// The same in a run that has twins to confuse (a second record often fits but for the given name), if higher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_where_seen: Option<Similarity>,
    /// What agrees in twins; empty: the guard does not ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rest: Vec<OrMissing>,
}

impl std::ops::Deref for EvidenceModel {
    type Target = EvidenceForm;
    fn deref(&self) -> &EvidenceForm {
        &self.form
    }
}
impl From<EvidenceModel> for EvidenceForm {
    fn from(model: EvidenceModel) -> Self {
        *model.form
    }
}
impl TryFrom<EvidenceForm> for EvidenceModel {
    type Error = DecisionError;
    fn try_from(form: EvidenceForm) -> Result<Self, DecisionError> {
        form.check()?;
        Ok(Self { form: Box::new(form) })
    }
}

impl EvidenceForm {
    /// Position of an attribute in the model.
    #[must_use]
    pub fn attribute_index(&self, name: &AttributeName) -> Option<usize> {
        self.attributes.iter().position(|attribute| attribute.name == *name)
    }

    /// The rules of a view, where it has any.
    #[must_use]
    pub fn view(&self, name: &ViewName) -> Option<&ViewModel> {
        self.views.iter().find(|view| view.view == *name)
    }

    /// The joint Dice at which two slots of a view agree.
    #[must_use]
    pub fn agree_at(&self, view: &ViewName) -> Threshold {
        self.view(view).and_then(|rules| rules.agree_at).unwrap_or(self.agree_at)
    }

    /// The Dice of whole slots from which a view's pairs are candidates.
    #[must_use]
    pub fn join_at(&self, view: &ViewName) -> Threshold {
        let own = self.view(view).and_then(|rules| rules.join_at);
        let default = self.join_at.unwrap_or(self.agree_at);
        let agree_at = self.agree_at(view);
        own.unwrap_or(if default > agree_at { agree_at } else { default })
    }

    fn check(&self) -> Result<(), DecisionError> {
        if self.review_at > self.match_at {
            return Err(DecisionError::Bands);
        }
        in_range("match_at", self.match_at)?;
        in_range("review_at", self.review_at)?;
        if self.join_at.is_some_and(|at| at > self.agree_at) {
            return Err(DecisionError::Range("join_at above agree_at; it".to_owned()));
        }
        if self.attributes.is_empty() || self.attributes.len() > ATTRIBUTES_MAX {
            return Err(DecisionError::Attributes);
        }
        for (at, attribute) in self.attributes.iter().enumerate() {
            not_twice(&attribute.name, self.attributes[..at].iter().map(|other| &other.name))?;
            attribute.check()?;
        }
        for (at, rules) in self.views.iter().enumerate() {
            if self.views[..at].iter().any(|other| other.view == rules.view) {
                return Err(DecisionError::Duplicate(rules.view.to_string()));
            }
            self.check_view(rules)?;
        }
        for (at, exact) in self.exact.iter().enumerate() {
            not_twice(&exact.attribute, self.exact[..at].iter().map(|other| &other.attribute))?;
            if exact.agree < 0 {
                return Err(DecisionError::Range(format!("agree of '{}' is below 0; it", exact.attribute)));
            }
            in_range("the weight of an exact token", exact.agree)?;
        }
        self.check_guards()
    }

    fn check_view(&self, rules: &ViewModel) -> Result<(), DecisionError> {
        if rules.join_at.is_some_and(|at| at > self.agree_at(&rules.view)) {
            return Err(DecisionError::Range(format!("view '{}': join_at above agree_at; it", rules.view)));
        }
        for implied in &rules.implies {
            self.known("an implication", &implied.attribute)?;
        }
        for map in &rules.maps {
            self.known("a segment map", &map.attribute)?;
            if map.offset.millionths() + map.slope.millionths() > Similarity::ONE.millionths() {
                return Err(DecisionError::Map(map.segment.clone()));
            }
        }
        rules.swap.iter().flatten().try_for_each(|name| self.known("swap", name))
    }

    fn check_guards(&self) -> Result<(), DecisionError> {
        if let Some(guard) = &self.guards.date {
            self.known("the date guard", &guard.attribute)?;
            if let Some(or) = &guard.or_missing {
                self.known("the date guard", &or.attribute)?;
            }
            if guard.lower_to == Band::Match {
                return Err(DecisionError::GuardBand);
            }
        }
        if let Some(guard) = &self.guards.twins {
            self.known("the twin guard", &guard.attribute)?;
            guard.rest.iter().try_for_each(|rest| self.known("the twin guard", &rest.attribute))?;
        }
        match self.guards.runner_up_margin {
            Some(margin) if !(0..=CENTIBITS_MAX).contains(&margin) => {
                Err(DecisionError::Range("runner_up_margin is below 0 or too large; it".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn known(&self, rule: &'static str, attribute: &AttributeName) -> Result<(), DecisionError> {
        match self.attribute_index(attribute) {
            Some(_) => Ok(()),
            None => Err(DecisionError::UnknownAttribute { rule, attribute: attribute.clone() }),
        }
    }

    pub(super) fn check_layout(&self, layout: &Layout) -> Result<(), DecisionError> {
        for rules in &self.views {
            if !layout.views().iter().any(|view| view.name == rules.view) {
                return Err(DecisionError::UnknownView(rules.view.clone()));
            }
        }
        for exact in &self.exact {
            if !layout.exact().contains(&exact.attribute) {
                return Err(DecisionError::UnknownExact(exact.attribute.clone()));
            }
        }
        layout.views().iter().try_for_each(|view| self.check_segments(view))
    }

    fn check_segments(&self, view: &View) -> Result<(), DecisionError> {
        let refuse = |segment: &AttributeName| DecisionError::Segment {
            view: view.name.clone(),
            segment: segment.clone(),
        };
        let rules = self.view(&view.name);
        let maps = rules.map_or(&[][..], |rules| &rules.maps);
        let find = |name: &AttributeName| view.segments.iter().find(|segment| segment.attribute == *name);
        for segment in &view.segments {
            let mapped = maps.iter().any(|map| map.segment == segment.attribute);
            if !mapped && self.attribute_index(&segment.attribute).is_none() {
                return Err(refuse(&segment.attribute));
            }
        }
        for map in maps {
            find(&map.segment).ok_or_else(|| refuse(&map.segment))?;
        }
        if let Some([first, second]) = rules.and_then(|rules| rules.swap.as_ref()) {
            let bits = |name| find(name).map(|segment| segment.bits).ok_or_else(|| refuse(name));
            if bits(first)? != bits(second)? {
                return Err(DecisionError::Swap(view.name.clone()));
            }
        }
        Ok(())
    }
}

impl AttributeModel {
    fn check(&self) -> Result<(), DecisionError> {
        let rising = self.cuts.windows(2).all(|pair| pair[0] < pair[1]);
        if self.cuts.is_empty() || self.cuts.len() > CUTS_MAX || !rising {
            return Err(DecisionError::Cuts(self.name.clone()));
        }
        let (cuts, weights) = (self.cuts.len(), self.weights.len());
        if weights != cuts + 1 {
            return Err(DecisionError::Weights { attribute: self.name.clone(), cuts, weights });
        }
        for weight in &self.weights {
            in_range(&format!("a weight of '{}'", self.name), *weight)?;
        }
        if self.weights.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(DecisionError::Monotone(self.name.clone()));
        }
        match self.presence_bit {
            Some(bit) if bit >= presence::ATTRIBUTES_MAX => {
                Err(DecisionError::PresenceBit(self.name.clone()))
            }
            _ => Ok(()),
        }
    }

    /// The level of a similarity: how many cut points it reaches.
    #[must_use]
    pub fn level(&self, similarity: Similarity) -> usize {
        self.cuts.iter().take_while(|cut| similarity >= **cut).count()
    }
}

fn in_range(what: &str, centibits: i32) -> Result<(), DecisionError> {
    if (-CENTIBITS_MAX..=CENTIBITS_MAX).contains(&centibits) {
        Ok(())
    } else {
        Err(DecisionError::Range(what.to_owned()))
    }
}

fn not_twice<'a>(
    name: &AttributeName,
    mut before: impl Iterator<Item = &'a AttributeName>,
) -> Result<(), DecisionError> {
    if before.any(|other| other == name) { Err(DecisionError::Duplicate(name.to_string())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::DecisionModel;
    use super::*;

    const GOOD: &str = r#"
        [evidence]
        match_at = -146
        review_at = -600
        agree_at = "0.47"
        empty_below = "0.1"
        [evidence.guards]
        placeholder_names = true
        default_dates = true
        runner_up_margin = 200
        date = { attribute = "date", at = "0.66", or_missing = { attribute = "place", at = "0.75" }, lower_to = "review" }
        twins = { attribute = "given", below = "0.5" }
        [[evidence.attributes]]
        name = "given"
        cuts = ["0.50", "0.60", "0.72", "0.84", "0.92"]
        weights = [-530, -380, 160, 330, 330, 600]
        [[evidence.attributes]]
        name = "date"
        cuts = ["0.48", "0.9"]
        weights = [-600, 130, 440]
        presence_bit = 2
        [[evidence.attributes]]
        name = "place"
        cuts = ["0.5"]
        weights = [-330, 570]
        [[evidence.views]]
        view = "b"
        implies = [{ attribute = "date", at = "0.52", similarity = "1" }]
        maps = [{ segment = "month", attribute = "date", offset = "0.35", slope = "0.65" }]
        [[evidence.exact]]
        attribute = "nhs_number"
        agree = 1500
    "#;

    fn parse(text: &str) -> Result<DecisionModel, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn reads_and_writes_toml_and_json() {
        let model = parse(GOOD).unwrap();
        assert_eq!(parse(&toml::to_string(&model).unwrap()).unwrap(), model);
        let json = serde_json::to_string(&model).unwrap();
        assert_eq!(serde_json::from_str::<DecisionModel>(&json).unwrap(), model);
    }

    #[test]
    fn the_older_dice_form_still_reads() {
        let model = parse("[dice]\nmatch_at = \"0.85\"\nreview_at = \"0.8\"").unwrap();
        assert!(matches!(model, DecisionModel::Dice(dice) if dice.runner_up_margin.is_none()));
    }

    #[test]
    fn refuses_what_could_not_be_meant_with_a_reason() {
        for (from, to, reason) in [
            ("review_at = -600", "review_at = -100", "review_at must not lie above"),
            ("match_at = -146", "match_at = 10001", "centibits"),
            ("weights = [-600, 130, 440]", "weights = [-600, 130]", "needs 3 weights, not 2"),
            ("weights = [-600, 130, 440]", "weights = [-600, 441, 440]", "must not fall"),
            ("cuts = [\"0.48\", \"0.9\"]", "cuts = [\"0.9\", \"0.9\"]", "rising order"),
            ("cuts = [\"0.5\"]", "cuts = []", "1 to 15"),
            ("presence_bit = 2", "presence_bit = 16", "presence_bit"),
            ("name = \"place\"", "name = \"date\"", "named twice"),
            ("slope = \"0.65\"", "slope = \"0.66\"", "within 0 and 1"),
            ("lower_to = \"review\"", "lower_to = \"match\"", "lower a band"),
            ("twins = { attribute = \"given\"", "twins = { attribute = \"name\"", "does not have"),
            ("runner_up_margin = 200", "runner_up_margin = -1", "runner_up_margin"),
            ("agree = 1500", "agree = -1", "below 0"),
            ("agree_at = \"0.47\"", "agree_at = \"0.47\"\njoin_at = \"0.5\"", "join_at above"),
            ("agree_at = \"0.47\"", "agree_at = 0.47", "invalid type"),
            ("empty_below = \"0.1\"", "empty_below = \"0.1\"\nextra = 1", "unknown field"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = parse(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(reason), "{to}: {error}");
        }
    }

    #[test]
    fn a_level_begins_exactly_at_its_cut() {
        let DecisionModel::Evidence(model) = parse(GOOD).unwrap() else { panic!("evidence") };
        let given = &model.attributes[0];
        let level = |text: &str| given.level(text.parse().unwrap());
        assert_eq!([level("0.499999"), level("0.5"), level("0.92"), level("1")], [0, 1, 5, 5]);
        // Dice 1/2 of whole bit counts is not lost to rounding.
        assert_eq!(given.level(Similarity::dice(25, 100)), 1);
        assert_eq!(given.level(Similarity::dice(24, 100)), 0);
    }
}
