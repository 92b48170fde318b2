//! The rules between the parts of a schema, and the layout they compile to.

use super::form::{AttributeForm, FocusRule, SaltPart, SchemaForm, Source, TokenRule, ViewForm};
use super::{NORMALISATION, SchemaError};
use crate::wire::{Layout, Profile, Segment, TagBits, View, limits};
use std::collections::BTreeSet;

/// Most attributes of a schema.
const ATTRIBUTES_MAX: usize = 24;

fn rule(place: impl Into<String>, rule: impl Into<String>) -> SchemaError {
    SchemaError::Rule { place: place.into(), rule: rule.into() }
}

/// Checks every rule and lays the slots out.
pub(super) fn compile(form: &SchemaForm) -> Result<Layout, SchemaError> {
    check_head(form)?;
    check_attributes(form)?;
    let mut views = Vec::with_capacity(form.views.len());
    for view in &form.views {
        check_view(form, view)?;
        views.push(lay_out(form, view)?);
    }
    let exact = form.exact.iter().filter(|exact| exact.enabled).map(|exact| exact.name.clone());
    Ok(Layout::new(form.profile, views, form.presence, exact.collect(), form.payload.clone())?)
}

/// Length of tags for a declared number of records: floor(log2(N / 10)), at most 32; none below 20.
pub(super) fn tag_bits(population: u64) -> Option<TagBits> {
    let bits = (population / 10).checked_ilog2()?.min(32);
    TagBits::try_from(u8::try_from(bits).ok()?).ok()
}

fn check_head(form: &SchemaForm) -> Result<(), SchemaError> {
    if form.schema.parse::<crate::wire::ProjectId>().is_err() {
        return Err(rule("schema", "must be 1 to 64 characters of a-z, 0-9, '-' and '_'"));
    }
    if form.version == 0 {
        return Err(rule("version", "counts from 1"));
    }
    if form.normalisation != NORMALISATION {
        return Err(rule("normalisation", format!("this build knows version {NORMALISATION} only")));
    }
    if form.flips_per_mille > 200 {
        return Err(rule("flips_per_mille", "is at most 200"));
    }
    if form.profile == Profile::LegacyClk {
        return Err(rule("profile", "legacy-clk is described by a clkhash schema, not by this format"));
    }
    if form.filler && form.views.iter().any(|view| view.salt.is_empty()) {
        return Err(rule("filler", "only makes sense where every view has a salt"));
    }
    let columns: BTreeSet<_> = form.payload.iter().map(|column| column.column_name()).collect();
    if columns.len() != form.payload.len() {
        return Err(rule("payload", "names a column twice"));
    }
    Ok(())
}

fn check_attributes(form: &SchemaForm) -> Result<(), SchemaError> {
    if form.attributes.is_empty() || form.attributes.len() > ATTRIBUTES_MAX {
        return Err(rule("attribute", format!("a schema has 1 to {ATTRIBUTES_MAX} attributes")));
    }
    let mut names = BTreeSet::new();
    for attribute in &form.attributes {
        let place = || format!("attribute '{}'", attribute.name);
        if !names.insert(attribute.name.as_str()) {
            return Err(rule(place(), "is named twice"));
        }
        if !fits(attribute) {
            return Err(rule(place(), "this value can not be made into tokens by this rule"));
        }
        let text = attribute.text.as_deref();
        match (attribute.reads, text) {
            (Source::Text, Some(name)) if !name.is_empty() => {}
            (Source::Text, _) => return Err(rule(place(), "'text' must name a text of the column mapping")),
            (_, Some(_)) => return Err(rule(place(), "'text' belongs to reads = \"text\" only")),
            (_, None) => {}
        }
        if attribute.hash.as_ref().is_some_and(|hash| hash.is_empty() || hash.len() > 64) {
            return Err(rule(place(), "'hash' has 1 to 64 characters"));
        }
    }
    Ok(())
}

fn fits(attribute: &AttributeForm) -> bool {
    use TokenRule::{Bigrams, Date, DayMonth, Exact, Levels, WordBigrams, Words};
    match attribute.reads {
        Source::Given | Source::Family => matches!(attribute.tokens, Bigrams | Exact),
        Source::DateOfBirth => matches!(attribute.tokens, Date | DayMonth | Exact),
        Source::Sex => attribute.tokens == Exact,
        Source::Postcode => matches!(attribute.tokens, Levels | Exact | Bigrams),
        Source::Place => attribute.tokens == Levels,
        Source::Address | Source::Text => {
            matches!(attribute.tokens, Bigrams | Exact | Words | WordBigrams)
        }
    }
}

/// What `rare_one_in` may be.
const RARE_ONE_IN_RANGE: std::ops::RangeInclusive<u64> = 1_000..=1_000_000_000;

fn check_view(form: &SchemaForm, view: &ViewForm) -> Result<(), SchemaError> {
    let place = || format!("view '{}'", view.name);
    if view.focus == FocusRule::Record && view.slots != 1 {
        return Err(rule(place(), "focus = \"record\" fills one slot"));
    }
    let of_names = [SaltPart::NameSkeleton, SaltPart::OtherInitial];
    if view.focus != FocusRule::Name && view.salt.iter().any(|part| of_names.contains(part)) {
        return Err(rule(place(), "name-skeleton and other-initial need focus = \"name\""));
    }
    if view.rare && !view.salt.contains(&SaltPart::PairSkeleton) {
        return Err(rule(place(), "rare needs pair-skeleton in the salt"));
    }
    if view.rare_one_in.is_some_and(|one_in| !view.rare || !RARE_ONE_IN_RANGE.contains(&one_in)) {
        return Err(rule(place(), "rare_one_in is 1,000 to 1,000,000,000 and needs rare = true"));
    }
    if view.tagged && (view.salt.is_empty() || form.population.and_then(tag_bits).is_none()) {
        return Err(rule(place(), "a tag needs a salt and a declared population of at least 20"));
    }
    check_diffusion(form.profile, view)?;
    for segment in &view.segments {
        let place = || format!("view '{}', segment '{}'", view.name, segment.name);
        if segment.budgets.is_empty() {
            return Err(rule(place(), "carries no attribute"));
        }
        for (attribute, budget) in &segment.budgets {
            if !form.attributes.iter().any(|known| known.name == *attribute) {
                return Err(rule(place(), format!("there is no attribute '{attribute}'")));
            }
            if *budget == 0 || *budget > segment.bits {
                return Err(rule(place(), format!("the budget of '{attribute}' is 1 to the segment's bits")));
            }
        }
    }
    Ok(())
}

fn check_diffusion(profile: Profile, view: &ViewForm) -> Result<(), SchemaError> {
    let rule = |text: String| Err(rule(format!("view '{}'", view.name), text));
    let Some(diffusion) = view.diffusion else {
        return match profile {
            Profile::Diffused => rule("profile diffused needs diffusion = { terms, bits }".to_owned()),
            _ => Ok(()),
        };
    };
    if profile != Profile::Diffused {
        return rule("diffusion belongs to profile diffused".to_owned());
    }
    if !(3..=15).contains(&diffusion.terms) || diffusion.terms.is_multiple_of(2) {
        return rule("terms of the diffusion must be odd, 3 to 15".to_owned());
    }
    if diffusion.bits > view.bits {
        // See agency::diffuse: the span of the encodings gives such a map away.
        return rule(format!(
            "a diffusion to more bits ({}) than the slot has ({}) can be undone by linear algebra without the \
             key; give the slot as many bits, and budgets in proportion",
            diffusion.bits, view.bits
        ));
    }
    if view.segments.len() != 1 {
        return rule("diffusion mixes all bits, so the slot has one segment".to_owned());
    }
    if !view.bits.is_multiple_of(64)
        || view.bits > limits::FILTER_BITS_MAX
        || view.segments[0].bits != view.bits
    {
        return rule(format!(
            "the segment must cover the slot, a multiple of 64 up to {} bits",
            limits::FILTER_BITS_MAX
        ));
    }
    Ok(())
}

fn lay_out(form: &SchemaForm, view: &ViewForm) -> Result<View, SchemaError> {
    let mut segments = Vec::with_capacity(view.segments.len());
    let mut start = 0u32;
    for segment in &view.segments {
        segments.push(Segment { attribute: segment.name.clone(), start, bits: segment.bits });
        start = start
            .checked_add(segment.bits)
            .ok_or_else(|| rule(format!("view '{}'", view.name), "segments are too long"))?;
    }
    if let (Some(diffusion), [segment]) = (view.diffusion, segments.as_mut_slice()) {
        segment.bits = diffusion.bits;
    }
    let tag = if view.tagged { form.population.and_then(tag_bits) } else { None };
    Ok(View {
        name: view.name.clone(),
        slots: view.slots,
        bits: view.diffusion.map_or(view.bits, |diffusion| diffusion.bits),
        segments,
        tag,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Schema;
    use super::*;

    fn edited(edit: impl FnOnce(&mut SchemaForm)) -> Result<Schema, SchemaError> {
        let mut form = Schema::builtin("uk-child-clk").unwrap().form().clone();
        edit(&mut form);
        Schema::from_form(form)
    }

    #[test]
    fn each_broken_rule_is_named() {
        let says = |result: Result<Schema, SchemaError>, words: &str| {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        says(edited(|f| f.version = 0), "counts from 1");
        says(edited(|f| f.normalisation = 9), "knows version 1");
        says(edited(|f| f.attributes.push(f.attributes[0].clone())), "named twice");
        says(edited(|f| f.attributes[0].tokens = TokenRule::Date), "by this rule");
        says(edited(|f| f.views[0].segments[0].bits = 1000), "must cover the slot");
        says(edited(|f| f.views[0].slots = 3), "one slot");
        says(edited(|f| f.views[0].rare = true), "pair-skeleton");
        says(edited(|f| f.views[0].rare_one_in = Some(60_000)), "needs rare");
        says(edited(|f| f.views[0].tagged = true), "population");
        let diffused = |edit: fn(&mut SchemaForm)| {
            let mut form = Schema::builtin("uk-child-diffused").unwrap().form().clone();
            edit(&mut form);
            Schema::from_form(form)
        };
        says(diffused(|f| f.views[0].diffusion = None), "needs diffusion");
        says(diffused(|f| f.profile = Profile::Clk), "belongs to profile diffused");
        says(diffused(|f| f.views[0].diffusion.as_mut().unwrap().terms = 4), "must be odd");
        says(diffused(|f| f.views[0].diffusion.as_mut().unwrap().bits = 8192), "linear algebra");
        says(diffused(|f| f.views[0].segments[0].bits = 4000), "must cover the slot");
        let doubled = diffused(|f| f.views[0].segments = vec![f.views[0].segments[0].clone(); 2]);
        says(doubled, "one segment");
        let unknown = "nobody".parse().unwrap();
        says(
            edited(|f| {
                f.views[0].segments[0].budgets.insert(unknown, 5);
            }),
            "no attribute 'nobody'",
        );
    }

    #[test]
    fn tags_shorten_with_the_project() {
        let bits = |n| tag_bits(n).map(|tag| tag.bits());
        assert_eq!(bits(60_000), Some(12));
        assert_eq!(bits(20_000), Some(10));
        assert_eq!(bits(19), None);
        assert_eq!(bits(u64::MAX), Some(32));
    }
}
