//! Bars: what an assessment may find at most. Declared in the schema's `[bars]`, else those of its profile.
//!
//! May see: the schema. A profile promises what its design can hold: `views` and `diffused` promise that nobody is
//! re-identified; `clk`, `fields` and `legacy-clk` do not, and so have no bar there (docs/privacy.md says it in words).

use super::PrivacyError;
use super::finding::Finding;
use crate::agency::schema::Schema;
use crate::wire::Profile;
use std::collections::BTreeMap;

/// The names under which a schema declares bars.
pub const BAR_IDS: [&str; 20] = [
    "matched-filter-100",
    "matched-filter-1000",
    "graph-matching",
    "structure",
    "percolation",
    "components",
    "frequency",
    "frequency-top",
    "repeated-segments",
    "empty-slots",
    "popcount",
    "double-hash",
    "pattern-mining",
    "probe-name",
    "probe-name-year",
    "band-oracle",
    "dictionary-other-epoch",
    "dictionary-other-project",
    "refs-between-projects",
    "row-order",
];

/// The bars of one assessment.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    bars: BTreeMap<&'static str, f64>,
}

impl Bars {
    /// The bars of a schema: its own, and those of its profile where it says nothing.
    ///
    /// # Errors
    /// [`PrivacyError::UnknownBar`] for a name that no attack reports under.
    pub fn of(schema: &Schema) -> Result<Self, PrivacyError> {
        let mut bars: BTreeMap<&'static str, f64> =
            BAR_IDS.into_iter().filter_map(|id| Some((id, of_profile(schema.profile(), id)?))).collect();
        for (name, bar) in &schema.form().bars {
            let id = BAR_IDS.into_iter().find(|id| id == name);
            let id = id.ok_or_else(|| PrivacyError::UnknownBar(name.clone()))?;
            bars.insert(id, f64::from(bar.millionths()) / 1e6);
        }
        Ok(Self { bars })
    }

    /// The bar of a name.
    #[must_use]
    pub fn bar(&self, id: &str) -> Option<f64> {
        self.bars.get(id).copied()
    }

    /// The finding with its bar.
    pub(super) fn judge(&self, id: &str, finding: Finding) -> Finding {
        // A hundredfold of blind luck in a small population is still luck: chance has a floor of three hits.
        let luck = if finding.trials > 0 { 3.0 / finding.trials as f64 } else { 0.0 };
        let by_chance =
            matches!(id, "dictionary-other-epoch" | "dictionary-other-project" | "graph-matching");
        let bar = self.bar(id).map(|bar| if by_chance { bar.max(luck) } else { bar });
        finding.with_bar(bar)
    }
}

fn of_profile(profile: Profile, id: &str) -> Option<f64> {
    let resists = matches!(profile, Profile::Views | Profile::Diffused);
    let views = profile == Profile::Views;
    Some(match id {
        // Wherever encodings are made.
        "popcount" | "row-order" => 0.1,
        "double-hash" | "refs-between-projects" => 0.0,
        "dictionary-other-epoch" | "dictionary-other-project" => 0.001,
        "band-oracle" => 0.05,
        // Where nobody may be re-identified.
        "matched-filter-100" if views => 0.005,
        "matched-filter-1000" if views => 0.02,
        "matched-filter-100" | "matched-filter-1000" | "graph-matching" | "structure" if resists => 0.01,
        "percolation" | "components" if views => 0.02,
        "frequency" if resists => 0.001,
        "frequency-top" if resists => 0.02,
        "repeated-segments" if resists => 0.0,
        "pattern-mining" if resists => 0.05,
        // Of the salted views' own making.
        "empty-slots" if views => 0.55,
        _ => return None,
    })
}

/// Bars of probing, for decisions with a date guard: without one probing is not promised.
pub(super) fn of_probing(id: &str) -> Option<f64> {
    match id {
        "probe-name" => Some(0.015),
        "probe-name-year" => Some(0.15),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_may_declare_its_own_and_no_unknown_ones() {
        let schema = Schema::builtin("uk-child-views").unwrap();
        assert_eq!(Bars::of(&schema).unwrap().bar("structure"), Some(0.01));
        let mut form = schema.form().clone();
        form.bars.insert("structure".to_owned(), "0.25".parse().unwrap());
        let own = Schema::from_form(form.clone()).unwrap();
        assert_eq!(Bars::of(&own).unwrap().bar("structure"), Some(0.25));
        assert_eq!(own.fingerprint(), schema.fingerprint());
        form.bars.insert("nonsense".to_owned(), "0.25".parse().unwrap());
        let error = Bars::of(&Schema::from_form(form).unwrap()).unwrap_err().to_string();
        assert!(error.contains("nonsense") && error.contains("matched-filter-100"), "{error}");
    }

    #[test]
    fn a_trusted_centre_is_promised_less() {
        let clk = Bars::of(&Schema::builtin("uk-child-clk").unwrap()).unwrap();
        assert_eq!(clk.bar("matched-filter-100"), None);
        assert_eq!(clk.bar("popcount"), Some(0.1));
    }
}
