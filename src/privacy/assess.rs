//! The assessment: every attack that applies to a schema, at its size, with quality and cost beside it.
//!
//! May see: the whole room. Must not see: the clock; whoever [`Watch`]es may time the steps.

use super::attacks::{
    Prepared, dictionary, differencing, double_hash, empties, frequency, graph_matching, matched_filter,
    oracle, patterns, percolation, popcount, probing, structure, unlinkable,
};
use super::bars::{Bars, of_probing};
use super::finding::Finding;
use super::quality::{Quality, quality};
use super::scene::{Scene, SceneConfig};
use super::target::{Target, TargetOptions};
use super::{PrivacyError, verdict};
use crate::agency::record::Person;
use crate::agency::schema::Schema;
use crate::agency::schema::form::{AttributeForm, Source};
use crate::linkage::exec::{Control, Exec};
use serde::Serialize;

/// Children of an assessment without tags: every pair is compared.
const DENSE_CHILDREN_MAX: u64 = 10_000;
/// Children by default without tags: the size of the published attacks.
const DENSE_CHILDREN_DEFAULT: u64 = 4_000;
/// Children by default with tags, where the schema declares more.
const TAGGED_CHILDREN_DEFAULT: u64 = 20_000;
/// Children of a quick assessment.
const QUICK_CHILDREN: u64 = 1_000;
/// Records of a child over the generated agencies, rounded up.
const RECORDS_A_CHILD: u64 = 3;
/// Pairs of slots with equal tags that are alike enough to be kept, a record, and the bytes of each.
const PAIRS_A_RECORD: u64 = 30;
const PAIR_BYTES: u64 = 36;
/// Memory an assessment may take unless told otherwise, in MB.
const MEMORY_MB: u64 = 6_000;

/// Whose records are attacked.
pub enum Population {
    /// So many generated children, or as many as fit the schema.
    Generated(Option<u64>),
    /// These persons.
    Sample(Vec<Person>),
}

/// What to assess.
pub struct Plan {
    /// The schema.
    pub schema: Schema,
    /// Whose records.
    pub population: Population,
    /// Any text; the same text gives the same figures.
    pub seed: String,
    /// Small and fast: what a project's own tests run.
    pub quick: bool,
}

/// Follows an assessment.
pub trait Watch {
    /// Step `number` of `of` begins.
    fn begin(&mut self, number: usize, of: usize, step: &str);
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Assessment {
    /// Schema, profile and version.
    pub schema: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Whether the records were generated.
    pub generated: bool,
    /// Seed of the draws.
    pub seed: String,
    /// Children attacked.
    pub children: u64,
    /// Records of all agencies.
    pub records: u64,
    /// Agencies.
    pub agencies: u64,
    /// Bytes of one encoding.
    pub bytes: u64,
    /// How well the schema links; none where there is one agency.
    pub quality: Option<Quality>,
    /// The attacks.
    pub findings: Vec<Finding>,
    /// What was cut down, and why.
    pub capped: Vec<String>,
    /// What it means, in sentences.
    pub verdict: Vec<String>,
    /// Whether every declared bar holds; what is not decided passes in a quick run only.
    pub passed: bool,
}

const STEPS: [&str; 10] = [
    "making the records",
    "encoding and linking",
    "known pairs",
    "graph without pairs",
    "frequencies and patterns",
    "half a register",
    "a fifth of a register",
    "exact copies",
    "probing and oracles",
    "keys and projects",
];

/// Runs the assessment.
///
/// # Errors
/// [`PrivacyError`]: populations and samples that cannot be assessed, memory, cancellation.
pub fn assess(
    plan: Plan,
    exec: Exec<'_>,
    control: &Control,
    watch: &mut dyn Watch,
) -> Result<Assessment, PrivacyError> {
    let options = TargetOptions { overlap_percent: 100, exec, control };
    let mut run = Run { bars: Bars::of(&plan.schema)?, findings: Vec::new(), watch, control, step: 0 };
    run.begin()?;
    let (scene, generated, capped) = scene(&plan)?;
    check_memory(&plan.schema, scene.records() as u64, scene.register.len() as u64)?;
    run.begin()?;
    let target = Target::new(&scene, &plan.schema, options)?;
    let prepared = Prepared::new(&target, options)?;
    run.attack_whole(&prepared, &scene)?;
    run.attack_part(&scene, &prepared, options, 50)?;
    run.attack_part(&scene, &prepared, options, 20)?;
    run.attack_exact(&scene, &plan.schema, options)?;
    run.attack_answers(&target, &scene, if plan.quick { 200 } else { 1_000 })?;
    run.attack_keys(&target, &scene, options)?;
    let findings = run.findings;
    let quality = (scene.agencies.len() > 1).then(|| quality(&target));
    Ok(Assessment {
        schema: plan.schema.title(),
        fingerprint: plan.schema.fingerprint().to_string(),
        generated,
        seed: plan.seed,
        children: scene.register.len() as u64,
        records: scene.records() as u64,
        agencies: scene.agencies.len() as u64,
        bytes: bytes(&plan.schema),
        quality,
        verdict: verdict::say(&plan.schema, &findings, plan.quick),
        passed: findings.iter().all(|finding| finding.holds(plan.quick)),
        findings,
        capped,
    })
}

struct Run<'a> {
    bars: Bars,
    findings: Vec<Finding>,
    watch: &'a mut dyn Watch,
    control: &'a Control,
    step: usize,
}

impl Run<'_> {
    fn begin(&mut self) -> Result<(), PrivacyError> {
        if self.control.is_cancelled() {
            return Err(PrivacyError::Cancelled);
        }
        let step = STEPS.get(self.step).copied().unwrap_or_default();
        self.step += 1;
        self.watch.begin(self.step, STEPS.len(), step);
        Ok(())
    }

    fn add(&mut self, finding: Finding) {
        let judged = self.bars.judge(finding.attack, finding);
        self.findings.push(judged);
    }

    fn attack_whole(&mut self, prepared: &Prepared<'_>, scene: &Scene) -> Result<(), PrivacyError> {
        let target = prepared.target;
        self.begin()?;
        self.known_pairs(prepared, "whole register");
        self.begin()?;
        graph_matching::run(prepared, "whole register").into_iter().for_each(|finding| self.add(finding));
        percolation::components(prepared, "whole register").into_iter().for_each(|finding| self.add(finding));
        self.add(structure::run(prepared, "whole register"));
        self.begin()?;
        self.add(frequency::run(target));
        self.add(frequency::top_values(target));
        self.add(structure::repeated_segments(target));
        patterns::run(target).into_iter().for_each(|finding| self.add(finding));
        self.add(double_hash::run(target));
        self.add(popcount::run(target, scene));
        if target.schema.form().filler {
            for finding in empties::run(target, scene)? {
                self.add(finding);
            }
        }
        Ok(())
    }

    /// The matched filter and percolation from 100 and 1,000 pairs, as far as there are so many.
    fn known_pairs(&mut self, prepared: &Prepared<'_>, register: &str) {
        // Pairs are drawn among the register's children; with most of them known there is nobody left to name.
        let children = prepared.target.nodes.len().min(prepared.target.persons.len());
        for (known, id) in [(100, "matched-filter-100"), (1_000, "matched-filter-1000")] {
            if known * 3 > children {
                continue;
            }
            let found = matched_filter::run(prepared, known, register);
            let judged = self.bars.judge(id, found);
            self.findings.push(judged);
            percolation::run(prepared, known, register).into_iter().for_each(|finding| self.add(finding));
        }
    }

    fn attack_part(
        &mut self,
        scene: &Scene,
        whole: &Prepared<'_>,
        options: TargetOptions<'_>,
        overlap_percent: u32,
    ) -> Result<(), PrivacyError> {
        self.begin()?;
        let target = whole.target.with_overlap(scene, overlap_percent)?;
        let prepared = Prepared::beside(&target, Some(whole), options)?;
        let register = format!("register of {overlap_percent} %");
        self.known_pairs(&prepared, &register);
        graph_matching::run(&prepared, &register).into_iter().for_each(|finding| self.add(finding));
        Ok(())
    }

    /// One file that copies the register without a mistake: the published setting, and the attacker's best.
    fn attack_exact(
        &mut self,
        scene: &Scene,
        schema: &Schema,
        options: TargetOptions<'_>,
    ) -> Result<(), PrivacyError> {
        self.begin()?;
        let exact = scene.exact()?;
        let target = Target::new(&exact, schema, options)?;
        let prepared = Prepared::new(&target, options)?;
        let copies = "one file, exact copies of the register";
        let found = matched_filter::run(&prepared, 100, copies);
        let judged = self.bars.judge("matched-filter-100", found);
        self.findings.push(judged);
        // Shown without a bar: the bars are for files as agencies write them.
        if prepared.target.nodes.len() >= 3_000 {
            self.findings.push(matched_filter::run(&prepared, 1_000, copies));
        }
        self.findings.extend(percolation::components(&prepared, copies));
        graph_matching::run(&prepared, copies).into_iter().for_each(|finding| self.add(finding));
        self.add(structure::run(&prepared, copies));
        Ok(())
    }

    fn attack_answers(&mut self, target: &Target, scene: &Scene, guesses: usize) -> Result<(), PrivacyError> {
        self.begin()?;
        let schema = &target.schema;
        let guarded_already = probing::has_date_guard(schema);
        let as_declared = if guarded_already {
            "the schema's decision, with its date guard"
        } else {
            "the schema's decision, no date guard"
        };
        for finding in probing::run(target, scene, schema.decision(), guesses, as_declared)? {
            let declared = self.bars.bar(finding.attack);
            let bar = declared.or_else(|| of_probing(finding.attack).filter(|_| guarded_already));
            self.findings.push(finding.with_bar(bar));
        }
        let guarded = if guarded_already { None } else { probing::guarded(schema.decision())? };
        if let Some(decision) = guarded {
            for finding in probing::run(target, scene, &decision, guesses, "with a date guard")? {
                let bar = of_probing(finding.attack);
                self.findings.push(finding.with_bar(bar));
            }
        }
        let [scores, bands] = oracle::run(target, scene, guesses / 5)?;
        self.findings.push(scores);
        self.add(bands);
        for release in [differencing::Release::Exact, differencing::Release::Rounded] {
            self.add(differencing::run(&target.seed, release, 400, 4_000));
        }
        Ok(())
    }

    fn attack_keys(
        &mut self,
        target: &Target,
        scene: &Scene,
        options: TargetOptions<'_>,
    ) -> Result<(), PrivacyError> {
        self.begin()?;
        // The control: with the key everybody is found, or the figures above prove nothing.
        let leaked = dictionary::run(target, dictionary::Key::Leaked, options)?;
        self.findings.push(leaked.that_must_reach(0.7));
        for key in [dictionary::Key::OtherEpoch, dictionary::Key::OtherProject] {
            self.add(dictionary::run(target, key, options)?);
        }
        self.add(unlinkable::refs_between_projects(target, scene)?);
        self.add(unlinkable::row_order(target, scene)?);
        Ok(())
    }
}

/// The children and records, whether they are generated, and what was cut down.
fn scene(plan: &Plan) -> Result<(Scene, bool, Vec<String>), PrivacyError> {
    if plan.schema.form().attributes.len() == 1 {
        return Err(PrivacyError::OneAttribute);
    }
    let tagged = plan.schema.layout().views().iter().any(|view| view.tag.is_some());
    let dense_word =
        "without tags every pair is compared, and a smaller population is the easier one to re-identify";
    let mut capped = Vec::new();
    match &plan.population {
        Population::Generated(wanted) => {
            let usual = if tagged {
                plan.schema.form().population.unwrap_or(TAGGED_CHILDREN_DEFAULT).min(TAGGED_CHILDREN_DEFAULT)
            } else {
                DENSE_CHILDREN_DEFAULT
            };
            let mut children = wanted.unwrap_or(if plan.quick { QUICK_CHILDREN } else { usual });
            // Out of range is refused as it was asked, never capped into range.
            if !tagged && (DENSE_CHILDREN_MAX + 1..=super::CHILDREN_MAX).contains(&children) {
                capped.push(format!("{DENSE_CHILDREN_MAX} children instead of {children}: {dense_word}"));
                children = DENSE_CHILDREN_MAX;
            }
            if children <= super::CHILDREN_MAX {
                check_memory(&plan.schema, RECORDS_A_CHILD * children, children)?;
            }
            Ok((Scene::generated(&SceneConfig::new(&plan.seed, children))?, true, capped))
        }
        Population::Sample(persons) => {
            for attribute in &plan.schema.form().attributes {
                if !persons.iter().any(|person| has(person, attribute)) {
                    return Err(PrivacyError::Attribute(attribute.name.to_string()));
                }
            }
            let mut persons = persons.clone();
            if !tagged && persons.len() as u64 > DENSE_CHILDREN_MAX {
                capped.push(format!(
                    "the first {DENSE_CHILDREN_MAX} of {} persons: {dense_word}",
                    persons.len()
                ));
                persons.truncate(DENSE_CHILDREN_MAX as usize);
            }
            Ok((Scene::of_sample(&plan.seed, persons)?, false, capped))
        }
    }
}

fn has(person: &Person, attribute: &AttributeForm) -> bool {
    match attribute.reads {
        Source::Given => !person.given.is_empty(),
        Source::Family => !person.family.is_empty(),
        Source::DateOfBirth => person.date_of_birth.is_some() || person.slipped_date.is_some(),
        Source::Sex => person.sex.is_some(),
        Source::Postcode => person.postcode.is_some(),
        Source::Address => person.address.is_some(),
        Source::Place => person.postcode.is_some() || person.address.is_some(),
        Source::Text => attribute.text.as_ref().is_some_and(|name| person.texts.contains_key(name)),
    }
}

/// Refuses what would not fit into memory: the encodings three times over, the pairs of equal tags, and without tags every
/// bit as a number and every similarity.
pub(super) fn check_memory(schema: &Schema, records: u64, children: u64) -> Result<(), PrivacyError> {
    let encodings = 3 * (records + children) * bytes(schema);
    let bits: u64 = schema.layout().views().iter().map(|view| u64::from(view.bits)).sum();
    let tagged = schema.layout().views().iter().any(|view| view.tag.is_some());
    let numbers = if tagged {
        PAIR_BYTES * PAIRS_A_RECORD * (records + children)
    } else {
        4 * children.saturating_mul(3 * bits + 4 * children)
    };
    let needed_mb = (encodings + numbers) >> 20;
    if needed_mb > MEMORY_MB {
        return Err(PrivacyError::Memory { children, needed_mb, allowed_mb: MEMORY_MB });
    }
    Ok(())
}

/// Bytes of one record as it is sent: slots, tags, ref, presence.
fn bytes(schema: &Schema) -> u64 {
    let layout = schema.layout();
    let slot = |view: &crate::wire::View| view.bits as usize / 8 + if view.tag.is_some() { 4 } else { 0 };
    let slots: usize = layout.slots().map(|(view, _)| slot(view)).sum();
    (slots + 16 + if layout.presence() { 4 } else { 0 }) as u64
}
