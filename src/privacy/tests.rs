//! Each attack succeeds where nothing stops it, and stays below its bar where the design does: off = broken, on = holds.

use super::attacks::*;
use super::*;
use crate::agency::schema::Schema;
use crate::linkage::exec::{Control, Exec};
use crate::wire::{DecisionModel, EncodingBatch, Epoch};
use std::sync::OnceLock;

/// Children of the small experiments.
const CHILDREN: u64 = 600;

fn exact() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| scene(CHILDREN).exact().unwrap())
}

fn scene(children: u64) -> Scene {
    Scene::generated(&SceneConfig::new("privacy tests", children)).unwrap()
}

fn dirty() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| scene(CHILDREN))
}

fn builtin(name: &str) -> Schema {
    Schema::builtin(name).unwrap()
}

/// Runs `attack` on a scene's encodings under a schema.
fn on<T>(scene: &Scene, schema: &Schema, attack: impl FnOnce(&Prepared<'_>) -> T) -> T {
    let control = Control::new();
    let options = TargetOptions { overlap_percent: 100, exec: Exec::Serial, control: &control };
    let target = Target::new(scene, schema, options).unwrap();
    attack(&Prepared::new(&target, options).unwrap())
}

/// Views whose salts are shared by many and whose tags are exact: what VIEWS.md says never to build.
fn careless_views() -> Schema {
    let mut form = builtin("uk-child-views").form().clone();
    form.population = Some(1 << 40);
    form.flips_per_mille = 0;
    form.filler = false;
    use crate::agency::schema::form::SaltPart::{DayMonth, FamilySkeleton, GivenSkeleton, Month, Year};
    // Two to four partners each at this size, as a date has at 20,000 children.
    let salts = [vec![Year, Month], vec![FamilySkeleton], vec![GivenSkeleton], vec![DayMonth]];
    form.views.truncate(4);
    for (view, salt) in form.views.iter_mut().zip(salts) {
        (view.salt, view.rare, view.rare_one_in, view.slots) = (salt, false, None, 1);
        view.focus = crate::agency::schema::form::FocusRule::Record;
    }
    let DecisionModel::Evidence(model) = &form.decision else { unreachable!() };
    let mut evidence = crate::wire::EvidenceForm::from(model.clone());
    evidence.views.truncate(4);
    evidence.views.iter_mut().for_each(|view| view.implies.clear());
    form.decision = DecisionModel::Evidence(evidence.try_into().unwrap());
    Schema::from_form(form).unwrap()
}

/// The same salts, and everything else as shipped: truncated tags, flips, filler.
fn careless_views_in_disguise() -> Schema {
    let mut form = careless_views().form().clone();
    (form.population, form.flips_per_mille, form.filler) = (Some(CHILDREN), 20, true);
    Schema::from_form(form).unwrap()
}

#[test]
fn truncated_tags_flips_and_filler_do_not_hide_careless_salts() {
    let schema = careless_views_in_disguise();
    let filter = on(dirty(), &schema, |target| matched_filter::run(target, 100, "all"));
    assert!(filter.value > 0.3, "{filter:?}");
    let spread = on(dirty(), &schema, |target| percolation::run(target, 100, "all")).unwrap();
    assert!(spread.value > 0.3, "{spread:?}");
    let joint = on(exact(), &schema, |target| percolation::components(target, "all")).unwrap();
    assert!(joint.value > 0.1, "{joint:?}");
}

#[test]
fn a_diffused_filter_keeps_its_bars() {
    let schema = builtin("uk-child-diffused");
    on(dirty(), &schema, |prepared| {
        let known = matched_filter::run(prepared, 100, "all");
        assert!(known.trials > 400 && known.value <= 0.01, "{known:?}");
        let alone = graph_matching::run(prepared, "all").unwrap();
        assert!(alone.value <= 0.01, "{alone:?}");
        assert_eq!(structure::repeated_segments(prepared.target).successes, 0);
        assert!(frequency::run(prepared.target).value <= 0.002);
        assert!(frequency::top_values(prepared.target).value <= 0.02);
    });
}

#[test]
fn one_agencys_encodings_in_two_projects_are_no_more_alike_than_strangers() {
    let schema = builtin("uk-child-views");
    let agency = &dirty().agencies[0];
    let encode = |project| {
        let made = target::encoder(&schema, "s", target::TRUE_KEY, &agency.id, project, Epoch::FIRST);
        made.unwrap().encode(&agency.persons[..200])
    };
    let (here, there) = (encode(target::PROJECT), encode("another"));
    let slots = schema.layout().slots().count();
    let common =
        |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| u64::from((a & b).count_ones())).sum::<u64>();
    let mean = |shift: usize| {
        let pairs = (0..200).flat_map(|row| (0..slots).map(move |slot| (slot, row)));
        let all = pairs.map(|(slot, row)| {
            (0..slots)
                .map(|other| common(here.filter(slot, row), there.filter(other, (row + shift) % 200)))
                .sum::<u64>()
        });
        all.sum::<u64>() as f64 / (200 * slots * slots) as f64
    };
    let (own, stranger) = (mean(0), mean(7));
    assert!((own / stranger - 1.0).abs() < 0.01, "{own} {stranger}");
    let tags = |batch: &EncodingBatch, slot: usize| batch.slots[slot].tags.clone().unwrap();
    let same =
        (0..slots).map(|k| tags(&here, k).iter().zip(tags(&there, k)).filter(|(a, b)| **a == *b).count());
    // Tags of ten bits: two in a thousand of 2,200 by chance, and then some.
    assert!(same.sum::<usize>() <= 12);
}

#[test]
fn known_pairs_break_plain_filters_and_not_views() {
    for name in ["uk-child-clk", "uk-child-fields"] {
        let found = on(exact(), &builtin(name), |target| matched_filter::run(target, 100, "all"));
        assert!(found.value >= 0.95, "{name}: {found:?}");
    }
    let found = on(dirty(), &builtin("uk-child-views"), |target| matched_filter::run(target, 100, "all"));
    assert!(found.trials > 400 && found.value <= 0.02, "{found:?}");
}

#[test]
fn similarities_alone_break_a_plain_filter() {
    let found = on(exact(), &builtin("uk-child-fields"), |target| graph_matching::run(target, "all"));
    assert!(found.as_ref().is_some_and(|found| found.value >= 0.8), "{found:?}");
    let none = on(dirty(), &builtin("uk-child-views"), |target| graph_matching::run(target, "all"));
    assert_eq!(none, None);
}

#[test]
fn structure_breaks_careless_salts_and_not_the_shipped_ones() {
    let found = on(exact(), &careless_views(), |target| structure::run(target, "all"));
    assert!(found.value >= 0.9, "{found:?}");
    let found = on(exact(), &builtin("uk-child-views"), |target| structure::run(target, "all"));
    assert!(found.value <= 0.02, "{found:?}");
}

#[test]
fn a_few_known_pairs_spread_over_careless_tags_and_not_over_the_shipped_ones() {
    let found = on(exact(), &careless_views(), |target| percolation::run(target, 30, "all"));
    assert!(found.as_ref().is_some_and(|found| found.value >= 0.5), "{found:?}");
    let found = on(dirty(), &builtin("uk-child-views"), |target| percolation::run(target, 100, "all"));
    assert!(found.is_some_and(|found| found.value <= 0.02));
    let found = on(dirty(), &builtin("uk-child-views"), |target| percolation::components(target, "all"));
    // Six hundred children are too few to tell .02 from .03: the interval must not lie beyond the bar.
    assert!(found.as_ref().is_some_and(|found| found.low <= 0.02), "{found:?}");
}

#[test]
fn frequencies_name_plain_fields_and_not_views() {
    let top = |name| on(exact(), &builtin(name), |target| frequency::top_values(target.target));
    assert!(top("uk-child-fields").value > 0.05, "{:?}", top("uk-child-fields"));
    let found = on(dirty(), &builtin("uk-child-views"), |target| frequency::run(target.target));
    assert!(found.value <= 0.002, "{found:?}");
    let plain = on(exact(), &builtin("uk-child-fields"), |target| frequency::run(target.target));
    assert!(plain.value > 0.02, "{plain:?}");
    let repeats = |name| on(exact(), &builtin(name), |target| structure::repeated_segments(target.target));
    assert!(repeats("uk-child-fields").value > 0.3);
    assert_eq!(repeats("uk-child-views").successes, 0);
}

#[test]
fn popcount_says_nothing_of_names_in_any_shipped_schema() {
    for (name, profile, _) in Schema::builtins() {
        let found = on(dirty(), &builtin(name), |target| popcount::run(target.target, dirty()));
        // The worst of some sixty correlations over six hundred children: an interval that holds for all of them together
        // is 1.7 times as wide (Bonferroni: 3.3 standard errors instead of 1.96).
        let low = found.value - 1.7 * (found.value - found.low);
        assert!(low <= 0.1, "{profile}: {found:?}");
    }
}

#[test]
fn a_leaked_key_opens_everything_and_another_epochs_key_nothing() {
    let control = Control::new();
    let options = TargetOptions { overlap_percent: 100, exec: Exec::Serial, control: &control };
    for name in ["uk-child-clk", "uk-child-views"] {
        let target = Target::new(dirty(), &builtin(name), options).unwrap();
        let with = |key| dictionary::run(&target, key, options).unwrap();
        let leaked = with(dictionary::Key::Leaked);
        assert!(leaked.value >= 0.9, "{name}: {leaked:?}");
        for key in [dictionary::Key::OtherEpoch, dictionary::Key::OtherProject] {
            assert!(with(key).successes <= 3, "{name}: {:?}", with(key));
        }
    }
}

#[test]
fn refs_and_row_order_say_nothing_between_projects() {
    on(dirty(), &builtin("uk-child-views"), |prepared| {
        let refs = unlinkable::refs_between_projects(prepared.target, dirty()).unwrap();
        assert!(refs.trials > 1_000 && refs.successes == 0, "{refs:?}");
        let order = unlinkable::row_order(prepared.target, dirty()).unwrap();
        assert!(order.low <= 0.1, "{order:?}");
    });
}

#[test]
fn probing_passes_without_a_date_guard_and_fails_with_one() {
    let schema = builtin("uk-child-views");
    on(dirty(), &schema, |prepared| {
        let probe =
            |decision: &DecisionModel| probing::run(prepared.target, dirty(), decision, 200, "test").unwrap();
        // Whatever the schema ships: the guard off and the guard on.
        let DecisionModel::Evidence(model) = schema.decision() else { unreachable!() };
        let mut form = crate::wire::EvidenceForm::from(model.clone());
        form.guards.date = None;
        let off = probe(&DecisionModel::Evidence(form.try_into().unwrap()));
        let on = probe(&probing::guarded(schema.decision()).unwrap().unwrap());
        let value = |found: &[Finding], name| found.iter().find(|f| f.attack == name).unwrap().value;
        assert!(value(&off, "probe-name") > 0.1, "{off:?}");
        assert!(value(&on, "probe-name") <= 0.04, "{on:?}");
        assert!(value(&on, "probe-name-year") <= 0.2, "{on:?}");
        assert!(value(&on, "probe-misspelt") > 0.5, "{on:?}");
    });
}

#[test]
fn scores_can_be_climbed_and_bands_can_not() {
    on(dirty(), &builtin("uk-child-clk"), |prepared| {
        let [scores, bands] = oracle::run(prepared.target, dirty(), 60).unwrap();
        assert!(scores.value > bands.value + 0.2, "{scores:?} {bands:?}");
    });
}

#[test]
fn positions_of_letters_are_mined_from_plain_fields_and_not_from_views() {
    let mined = |scene: &Scene, name| on(scene, &builtin(name), |prepared| patterns::run(prepared.target));
    // Twice the children of the other tests: a q-gram's positions show by how often they are set.
    let plain = mined(&scene(2 * CHILDREN).exact().unwrap(), "uk-child-fields").unwrap();
    assert!(plain.low > plain.baseline, "{plain:?}");
    assert!(plain.value > 3.0 * plain.baseline && plain.value > 0.05, "{plain:?}");
    // Under salts no position belongs to a letter, so there is nothing to mine.
    assert_eq!(mined(dirty(), "uk-child-views"), None);
}

#[test]
fn no_progression_is_found_in_a_shipped_schema() {
    on(dirty(), &builtin("uk-child-fields"), |prepared| {
        assert_eq!(double_hash::run(prepared.target).successes, 0);
    });
}

#[test]
fn empty_slots_show_without_filler_and_not_with_it() {
    let auc = |filler: bool| {
        let mut form = builtin("uk-child-views").form().clone();
        form.filler = filler;
        let schema = Schema::from_form(form).unwrap();
        on(dirty(), &schema, |prepared| empties::run(prepared.target, dirty())).unwrap()
    };
    let auc = |filler| auc(filler).into_iter().find(|found| found.attack == "empty-slots").unwrap();
    assert!(auc(false).value > 0.99, "{:?}", auc(false));
    assert!(auc(true).low <= 0.55, "{:?}", auc(true));
}

#[test]
fn a_difference_of_exact_tables_tells_and_rounding_hides_most_of_it() {
    use differencing::Release::{Exact, Rounded};
    let told = |release| differencing::run("s", release, 400, 4_000).value;
    assert!((told(Exact) - 1.0).abs() < 1e-12);
    assert!((0.57..0.63).contains(&told(Rounded)), "{}", told(Rounded));
}

/// Watches nothing.
struct Nobody;
impl Watch for Nobody {
    fn begin(&mut self, _: usize, _: usize, _: &str) {}
}

fn run(schema: Schema, population: Population) -> Result<Assessment, PrivacyError> {
    let plan = Plan { schema, population, seed: "t".to_owned(), quick: true };
    assess(plan, Exec::Serial, &Control::new(), &mut Nobody)
}

#[test]
fn an_assessment_is_the_same_twice_and_judges_its_bars() {
    let once = || run(builtin("uk-child-views"), Population::Generated(Some(300))).unwrap();
    let (one, two) = (once(), once());
    assert!(one == two);
    assert!(one.findings.len() > 20 && one.quality.is_some_and(|quality| quality.f1 > 0.9));
    assert!(one.verdict.iter().any(|sentence| sentence.contains("clean register")), "{:?}", one.verdict);
    let mut form = builtin("uk-child-views").form().clone();
    form.bars.insert("probe-name".to_owned(), "0".parse().unwrap());
    form.bars.insert("popcount".to_owned(), "0".parse().unwrap());
    let strict = run(Schema::from_form(form).unwrap(), Population::Generated(Some(300))).unwrap();
    assert!(strict.verdict.iter().any(|sentence| sentence.contains("popcount")), "{:?}", strict.verdict);
    assert_eq!(strict.passed, strict.findings.iter().all(|finding| finding.holds(true)));
    assert!(!strict.passed, "{:?}", strict.verdict);
}

#[test]
fn what_can_not_be_assessed_is_refused_with_the_reason() {
    for children in [0, 1, 1_000_000_000] {
        for name in ["uk-child-views", "uk-child-clk"] {
            let refused = run(builtin(name), Population::Generated(Some(children)));
            assert!(matches!(refused, Err(PrivacyError::Population { .. })), "{name} {children}");
        }
    }
    let mut persons = scene(150).register;
    persons.iter_mut().for_each(|person| person.postcode = None);
    let refused = run(builtin("uk-child-clk"), Population::Sample(persons)).unwrap_err();
    assert!(matches!(&refused, PrivacyError::Attribute(name) if name == "place"), "{refused}");
    let mut form = builtin("uk-child-clk").form().clone();
    form.attributes.truncate(1);
    form.views[0].segments[0].budgets.retain(|name, _| name.as_str() == "given");
    let refused = run(Schema::from_form(form).unwrap(), Population::Generated(Some(300))).unwrap_err();
    assert!(matches!(refused, PrivacyError::OneAttribute));
    let huge = super::assess::check_memory(&builtin("uk-child-views"), 4_000_000, 1_000_000);
    assert!(huge.is_err_and(|error| error.to_string().contains("smaller population")));
    assert!(super::assess::check_memory(&builtin("uk-child-views"), 120_000, 60_000).is_ok());
}

#[test]
fn a_cancelled_assessment_stops() {
    let control = Control::new();
    control.cancel();
    let plan = Plan {
        schema: builtin("uk-child-clk"),
        population: Population::Generated(None),
        seed: "t".into(),
        quick: true,
    };
    let stopped = assess(plan, Exec::Serial, &control, &mut Nobody);
    assert!(matches!(stopped, Err(PrivacyError::Cancelled)), "{stopped:?}");
}
