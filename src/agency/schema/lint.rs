//! What a schema gives away or loses, in numbers, before anything is encoded with it.

use super::Schema;
use super::form::{AttributeForm, DiffusionForm, SchemaForm, SegmentForm, Source, TokenRule, ViewForm};
use super::sets::{PARTNERS_PER_MILLE_MAX, collision, mean_partners};
use crate::wire::{AttributeName, DecisionModel, Profile};
use serde::Serialize;
use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To be known and weighed.
    Warning,
    /// The schema must not be used for this population.
    Refused,
}

/// One finding, with its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LintFinding {
    /// How bad it is.
    pub severity: Severity,
    /// The table it is about (`view 'a'`).
    pub place: String,
    /// What was found and what to do.
    pub text: String,
}

impl fmt::Display for LintFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.severity == Severity::Refused { "refused" } else { "warning" };
        write!(f, "{word}: {}: {}", self.place, self.text)
    }
}

/// Expected figures of one segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentFigures {
    /// The view.
    pub view: String,
    /// The segment.
    pub segment: String,
    /// Its length in bits.
    pub bits: u32,
    /// Expected share of set bits of a complete record, permanent flips included.
    pub fill: f64,
    /// Expected Dice of two records that have no token in common.
    pub unrelated_dice: f64,
}

/// Expected figures of one view's salt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SaltFigures {
    /// The view.
    pub view: String,
    /// Entropy of the salt in bits (of collisions, Renyi order 2); 0 without a salt.
    pub entropy_bits: f64,
    /// Other children of the population with the same salt, on average.
    pub mean_partners: Option<f64>,
}

/// All that the linter says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lint {
    /// Findings, refusals first.
    pub findings: Vec<LintFinding>,
    /// One row a segment.
    pub segments: Vec<SegmentFigures>,
    /// One row a view.
    pub salts: Vec<SaltFigures>,
    /// Sum of mean partners over the salted views, where a population was given.
    pub partners: Option<f64>,
}

impl Lint {
    /// Whether the schema must not be used for the population asked about.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Refused)
    }
}

/// Smallest entropy of a salt that hides who shares it, in bits.
const SALT_BITS_MIN: f64 = 12.0;

impl Schema {
    /// Judges the schema; with `population`, the number of children of the largest agency's file or of
    /// the project, also its salt budget.
    #[must_use]
    pub fn lint(&self, population: Option<u64>) -> Lint {
        let form = self.form();
        let mut lint = Lint { findings: Vec::new(), segments: Vec::new(), salts: Vec::new(), partners: None };
        for view in &form.views {
            for segment in &view.segments {
                lint_segment(form, view, segment, &mut lint);
            }
            if let Some(diffusion) = view.diffusion {
                lint_diffusion(form, view, diffusion, population, &mut lint);
            }
            lint_salt(view, population, &mut lint);
        }
        lint_whole(form, population, &mut lint);
        lint.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        lint
    }
}

fn warn(lint: &mut Lint, place: String, text: String) {
    lint.findings.push(LintFinding { severity: Severity::Warning, place, text });
}

fn find<'a>(form: &'a SchemaForm, name: &AttributeName) -> Option<&'a AttributeForm> {
    form.attributes.iter().find(|attribute| attribute.name == *name)
}

/// Tokens of a typical value.
fn typical_tokens(attribute: &AttributeForm) -> f64 {
    match attribute.tokens {
        TokenRule::Bigrams => 7.5,
        TokenRule::Exact => 1.0,
        TokenRule::Words => 4.0,
        TokenRule::WordBigrams => 18.0,
        TokenRule::Date => 8.0,
        TokenRule::DayMonth => 4.0,
        TokenRule::Levels => 3.0,
    }
}

/// Values of an attribute that occur in a project, roughly: what a frequency attack has to sort.
fn typical_values(attribute: &AttributeForm) -> u32 {
    match attribute.reads {
        Source::Sex => 2,
        Source::Given => 3_000,
        Source::Family => 10_000,
        Source::DateOfBirth => 6_600,
        Source::Postcode | Source::Place | Source::Address | Source::Text => 20_000,
    }
}

fn lint_segment(form: &SchemaForm, view: &ViewForm, segment: &SegmentForm, lint: &mut Lint) {
    let place = format!("view '{}', segment '{}'", view.name, segment.name);
    let bits = f64::from(segment.bits);
    let mut clear = 1.0;
    for (name, budget) in &segment.budgets {
        let Some(attribute) = find(form, name) else { continue };
        let tokens = typical_tokens(attribute);
        let each = f64::from(*budget) / tokens;
        // The encoder makes fewer insertions where there are fewer tokens, so that this holds for any number.
        clear *= (-f64::from(*budget) / bits).exp();
        if each < 3.0 {
            let text = format!(
                "'{name}' gives a token {each:.1} bits of {bits}: below 3, chance decides; raise its budget"
            );
            warn(lint, place.clone(), text);
        }
    }
    let flips = f64::from(form.flips_per_mille) / 1000.0;
    let fill = (1.0 - clear) * (1.0 - flips) + clear * flips;
    if !(0.25..=0.55).contains(&fill) {
        let text = format!("expected fill {:.0} %: between 25 and 55 % segments compare best", 100.0 * fill);
        warn(lint, place.clone(), text);
    }
    // The XOR of t bits of density f.
    let odd = |terms: u8| (1.0 - (1.0 - 2.0 * fill).powi(i32::from(terms))) / 2.0;
    let fill = view.diffusion.map_or(fill, |diffusion| odd(diffusion.terms));
    // Independent bits of equal density f overlap in f * f of the positions: Dice is f.
    lint.segments.push(SegmentFigures {
        view: view.name.to_string(),
        segment: segment.name.to_string(),
        bits: segment.bits,
        fill,
        unrelated_dice: fill,
    });
    let attributes: Vec<&AttributeForm> =
        segment.budgets.keys().filter_map(|name| find(form, name)).collect();
    if let ([only], true) = (attributes.as_slice(), view.salt.is_empty()) {
        let text = format!(
            "unsalted and of '{}' alone, about {} values: their frequencies give them away",
            only.name,
            typical_values(only)
        );
        warn(lint, place.clone(), text);
    }
    if attributes.len() > 1 {
        lint_composite(segment, &attributes, &place, lint);
        if view.diffusion.is_none() {
            lint_review(form, fill, place, lint);
        }
    }
}

fn lint_composite(segment: &SegmentForm, attributes: &[&AttributeForm], place: &str, lint: &mut Lint) {
    if attributes.len() < 4 {
        let text = format!(
            "{} attributes: with fewer than 4, whole filters repeat and can be counted; add some",
            attributes.len()
        );
        warn(lint, place.to_owned(), text);
    }
    let total: u32 = segment.budgets.values().sum();
    for (name, budget) in &segment.budgets {
        if 2 * budget > total {
            let text = format!("'{name}' has {budget} of {total} insertions: it decides alone");
            warn(lint, place.to_owned(), text);
        }
    }
    if attributes.iter().any(|a| matches!(a.reads, Source::Address | Source::Place)) {
        let text = "an address in a composite filter of children makes brothers and sisters alike (F1 .961 \
                    without, .815 with it on generated families); leave it out";
        warn(lint, place.to_owned(), text.to_owned());
    }
}

fn lint_review(form: &SchemaForm, fill: f64, place: String, lint: &mut Lint) {
    if let DecisionModel::Dice(model) = &form.decision {
        let review = f64::from(model.review_at.num()) / f64::from(model.review_at.den());
        if review < fill + 0.15 {
            let text = format!(
                "review_at {} is within .15 of the Dice of unrelated pairs ({fill:.2}): expect floods",
                model.review_at
            );
            warn(lint, place, text);
        }
    }
}

/// Children of a project where none is named.
const POPULATION_DEFAULT: u64 = 20_000;

fn lint_diffusion(
    form: &SchemaForm,
    view: &ViewForm,
    diffusion: DiffusionForm,
    population: Option<u64>,
    lint: &mut Lint,
) {
    let place = || format!("view '{}', diffusion", view.name);
    let DiffusionForm { terms, bits } = diffusion;
    if terms < 5 {
        let text = format!(
            "{terms} terms leave a graph that can be matched (re-identified: t=2 92 %, t=3 70 %, t=4 26 %, t=5 0 %); take 5"
        );
        warn(lint, place(), text);
    }
    if let DecisionModel::Dice(model) = &form.decision {
        // Unrelated pairs: mean .5, standard deviation .5 / sqrt(m).
        let review = f64::from(model.review_at.num()) / f64::from(model.review_at.den());
        let z = ((review - 0.5) * 2.0 * f64::from(bits).sqrt()).max(0.5);
        let tail = (-z * z / 2.0).exp() / (z * (2.0 * std::f64::consts::PI).sqrt());
        let children = population.unwrap_or(POPULATION_DEFAULT) as f64;
        let by_chance = children * children * tail;
        if by_chance > children / 100.0 {
            let text = format!(
                "of two files of {children} children {by_chance:.0} pairs reach review_at {} by chance: raise it, or the bits",
                model.review_at
            );
            warn(lint, place(), text);
        }
    }
}

fn lint_salt(view: &ViewForm, population: Option<u64>, lint: &mut Lint) {
    let entropy_bits = if view.salt.is_empty() { 0.0 } else { -collision(view).log2() };
    let mean_partners = population.filter(|_| !view.salt.is_empty()).map(|n| mean_partners(view, n));
    lint.salts.push(SaltFigures { view: view.name.to_string(), entropy_bits, mean_partners });
    if view.tagged && entropy_bits < SALT_BITS_MIN {
        let text = format!(
            "a tag of a salt of {entropy_bits:.1} bits: blocks can be recognised by their size; at least {SALT_BITS_MIN}"
        );
        // Of a diffused filter the tag is all that is left to match by.
        let severity = if view.diffusion.is_some() { Severity::Refused } else { Severity::Warning };
        lint.findings.push(LintFinding { severity, place: format!("view '{}'", view.name), text });
    }
}

fn lint_whole(form: &SchemaForm, population: Option<u64>, lint: &mut Lint) {
    if form.profile == Profile::Views {
        if !form.filler {
            let text = "empty slots show which values a record lacks (AUC .85); set filler = true";
            warn(lint, "filler".to_owned(), text.to_owned());
        }
        if form.flips_per_mille == 0 {
            let text = "without permanent flips equal contents show as equal filters; 20 is measured";
            warn(lint, "flips_per_mille".to_owned(), text.to_owned());
        }
    }
    let salted = lint.salts.iter().filter_map(|salt| salt.mean_partners);
    let Some(population) = population else { return };
    let sum: f64 = salted.sum();
    lint.partners = Some(sum);
    if form.profile == Profile::Views && sum * 1000.0 > PARTNERS_PER_MILLE_MAX as f64 {
        let text = format!(
            "at {population} children the salts have {sum:.2} partners together, above .50: linked salts grow \
             into one component; 'schema show --population {population}' proposes another set"
        );
        lint.findings.push(LintFinding {
            severity: Severity::Refused,
            place: "salt budget".to_owned(),
            text,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_schemas_have_the_fill_they_claim() {
        for (schema, fill) in [
            ("uk-child-views", 0.40),
            ("uk-child-diffused", 0.50),
            ("uk-child-clk", 0.50),
            ("uk-child-fields", 0.30),
        ] {
            let lint = Schema::builtin(schema).unwrap().lint(None);
            for row in lint.segments.iter().filter(|row| row.segment != "sex") {
                assert!((row.fill - fill).abs() < 0.035, "{schema} {row:?}");
            }
            assert!(!lint.is_refused());
        }
    }

    #[test]
    fn the_salt_budget_refuses_what_outgrows_it() {
        let schema = Schema::builtin("uk-child-views").unwrap();
        let small = schema.lint(Some(20_000));
        assert!(!small.is_refused() && small.partners.unwrap() < 0.5, "{:?}", small.partners);
        let large = schema.lint(Some(251_000));
        assert!(large.is_refused());
        assert!(large.findings[0].text.contains("251000 children"));
    }

    #[test]
    fn weaknesses_are_named_with_numbers() {
        let says = |form: SchemaForm, words: &str| {
            let lint = Schema::from_form(form).unwrap().lint(None);
            let all: Vec<String> = lint.findings.iter().map(ToString::to_string).collect();
            assert!(all.iter().any(|line| line.contains(words)), "{words}: {all:?}");
        };
        let clk = || Schema::builtin("uk-child-clk").unwrap().form().clone();
        let mut form = clk();
        form.attributes
            .iter_mut()
            .filter(|a| a.name.as_str() == "place")
            .for_each(|a| a.reads = Source::Place);
        says(form, "brothers and sisters");
        let mut form = clk();
        for name in ["place", "sex"] {
            form.views[0].segments[0].budgets.remove(&name.parse().unwrap());
        }
        says(form, "3 attributes");
        let mut form = clk();
        form.views[0].segments[0].budgets.insert("date".parse().unwrap(), 900);
        says(form.clone(), "decides alone");
        says(form, "expected fill");
        says(Schema::builtin("uk-child-fields").unwrap().form().clone(), "about 2 values");
        let mut form = clk();
        form.views[0].segments[0].budgets.insert("sex".parse().unwrap(), 2);
        says(form, "a token 2.0 bits");
        let mut form = clk();
        form.views[0].segments[0].budgets.values_mut().for_each(|budget| *budget = 400);
        says(form, "of the Dice of unrelated pairs");
        let views = || Schema::builtin("uk-child-views").unwrap().form().clone();
        let mut form = views();
        form.filler = false;
        says(form, "AUC .85");
        let mut form = views();
        form.flips_per_mille = 0;
        says(form, "without permanent flips");
        let diffused = || Schema::builtin("uk-child-diffused").unwrap().form().clone();
        assert!(Schema::from_form(diffused()).unwrap().lint(None).findings.is_empty());
        let mut form = diffused();
        form.views[0].diffusion.as_mut().unwrap().terms = 3;
        says(form, "t=3 70 %");
        let mut form = diffused();
        form.views[0].diffusion.as_mut().unwrap().bits = 1024;
        says(form, "by chance");
        let mut form = diffused();
        (form.views[0].salt, form.views[0].tagged) =
            (vec![crate::agency::schema::form::SaltPart::Year], true);
        form.population = Some(20_000);
        assert!(Schema::from_form(form).unwrap().lint(None).is_refused());
        let mut form = views();
        form.views[0].salt = vec![crate::agency::schema::form::SaltPart::Year];
        says(form, "4.2 bits");
    }
}
