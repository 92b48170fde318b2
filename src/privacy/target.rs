//! What the attacker holds: every agency's encodings, grouped by child as the centre groups them, and a clean register.
//!
//! May see: the scene (to encode it, and to judge the attacker's answers), the engine. The attacks themselves look at the
//! encodings, the register's encodings under the attacker's own keys, and the known pairs; never at the agencies' key.
//!
//! A **node** is what the centre takes for one child: records joined by its own links. Without tags the similarity of two
//! nodes is the mean over their records, which takes flips and mistakes out; with tags two nodes are neighbours where any two
//! of their records are, and the best likeness counts. An attack on nodes is at least as strong as one on one agency's file.

use super::PrivacyError;
use super::draw::Draw;
use super::scene::Scene;
use crate::agency::encoder::Encoder;
use crate::agency::key::{AgencyKey, LinkageKey};
use crate::agency::record::Person;
use crate::agency::schema::Schema;
use crate::linkage::arena::Dataset;
use crate::linkage::exec::{Control, Exec};
use crate::linkage::run::{LinkOptions, link};
use crate::wire::{AgencyId, EncodingBatch, Epoch, ProjectId, RecordRef};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Keys of the attacker's own under which the register is encoded where everything compares with everything: averaging over
/// them takes the hash's chance out of the attacker's side.
const OWN_KEYS: usize = 2;

/// How a target is made.
#[derive(Clone, Copy)]
pub struct TargetOptions<'a> {
    /// Share of the children that the attacker's register has, in percent.
    pub overlap_percent: u32,
    /// Where the engine runs.
    pub exec: Exec<'a>,
    /// Cancels it.
    pub control: &'a Control,
}

/// What the attacker holds, and the truth by which its answers are judged.
pub struct Target {
    /// The schema; public.
    pub schema: Schema,
    /// Seed of the experiment's draws.
    pub seed: String,
    /// Every record of every agency, in the order in which files leave: by agency, then by ref.
    pub encoded: Arc<Dataset>,
    /// Records of each node.
    pub nodes: Arc<Vec<Vec<u32>>>,
    /// The child of each node (of most of its records): its number in the scene's register. Truth.
    pub child: Arc<Vec<u32>>,
    /// The child of each record. Truth.
    pub record_child: Arc<Vec<u32>>,
    /// First record of each agency, and the number of records.
    pub starts: Arc<Vec<u32>>,
    /// The attacker's register under keys of its own: the same rows under each.
    pub register: Vec<Dataset>,
    /// The register's persons; row k of `register`.
    pub persons: Vec<Person>,
    /// Row of each child in the register, where the register has it. Truth.
    pub row: Vec<Option<u32>>,
}

/// The project's linkage key in experiments, and, by another name, the attacker's own.
pub(super) fn linkage_key(seed: &str, name: &str) -> Result<LinkageKey, PrivacyError> {
    let bytes =
        blake3::derive_key("blindlink 2026 privacy linkage keys v1", format!("{name}/{seed}").as_bytes());
    LinkageKey::from_bytes(&bytes).map_err(|_| PrivacyError::Internal("a linkage key"))
}

/// An encoder of one agency under a named linkage key.
pub(super) fn encoder(
    schema: &Schema,
    seed: &str,
    key: &str,
    agency: &AgencyId,
    project: &str,
    epoch: Epoch,
) -> Result<Encoder, PrivacyError> {
    let own =
        blake3::derive_key("blindlink 2026 privacy agency keys v1", format!("{agency}/{seed}").as_bytes());
    let own = AgencyKey::from_bytes(&own).map_err(|_| PrivacyError::Internal("an agency key"))?;
    let project: ProjectId = project.parse().map_err(|_| PrivacyError::Internal("a project"))?;
    Ok(Encoder::new(schema, &linkage_key(seed, key)?, &own, agency, &project, epoch))
}

/// The name of the agencies' common key.
pub(super) const TRUE_KEY: &str = "agencies";
/// The project of the experiments.
pub(super) const PROJECT: &str = "assessed";

/// The schema as the attacker uses it on its own list: no flips, no filler, tags of full length. Salts and similarities are
/// then known to it exactly.
pub(super) fn own_schema(schema: &Schema) -> Result<Schema, PrivacyError> {
    let mut form = schema.form().clone();
    form.flips_per_mille = 0;
    form.filler = false;
    if form.views.iter().any(|view| view.tagged) {
        form.population = Some(u64::MAX);
    }
    Ok(Schema::from_form(form)?)
}

impl Target {
    /// Encodes every agency's records with the agencies' key, links them, and encodes the register with the attacker's.
    ///
    /// # Errors
    /// [`PrivacyError::Run`] when linking fails or is cancelled.
    pub fn new(scene: &Scene, schema: &Schema, options: TargetOptions<'_>) -> Result<Self, PrivacyError> {
        let (mut whole, mut child, mut datasets) = (None::<EncodingBatch>, Vec::new(), Vec::new());
        for agency in &scene.agencies {
            let made = encoder(schema, &scene.seed, TRUE_KEY, &agency.id, PROJECT, Epoch::FIRST)?;
            let batch = made.encode(&agency.persons);
            let mut order: Vec<usize> = (0..batch.len()).collect();
            order.sort_unstable_by_key(|row| batch.refs[*row]);
            let batch = batch.select(&order);
            child.extend(order.iter().map(|row| agency.child[*row]));
            datasets.push(Dataset::from_batch(agency.id.clone(), &batch));
            match &mut whole {
                None => whole = Some(batch),
                Some(whole) => whole.append(batch),
            }
        }
        let whole = whole.ok_or(PrivacyError::Internal("a scene without agencies"))?;
        let mut starts = vec![0u32];
        datasets.iter().for_each(|dataset| starts.push(starts[starts.len() - 1] + dataset.len() as u32));
        let nodes = nodes(&datasets, &starts, schema, options)?;
        drop(datasets);
        let encoded = Arc::new(Dataset::from_batch(every()?, &whole));
        let node_child = nodes.iter().map(|records| majority(records, &child)).collect();
        let mut target = Self {
            schema: schema.clone(),
            seed: scene.seed.clone(),
            encoded,
            nodes: Arc::new(nodes),
            child: Arc::new(node_child),
            record_child: Arc::new(child),
            starts: Arc::new(starts),
            register: Vec::new(),
            persons: Vec::new(),
            row: Vec::new(),
        };
        target.take_register(scene, options.overlap_percent)?;
        Ok(target)
    }

    /// The same encodings before an attacker whose register has another share of the children.
    ///
    /// # Errors
    /// [`PrivacyError`] when the attacker's schema is refused.
    pub fn with_overlap(&self, scene: &Scene, overlap_percent: u32) -> Result<Self, PrivacyError> {
        let mut target = Self {
            schema: self.schema.clone(),
            seed: self.seed.clone(),
            encoded: Arc::clone(&self.encoded),
            nodes: Arc::clone(&self.nodes),
            child: Arc::clone(&self.child),
            record_child: Arc::clone(&self.record_child),
            starts: Arc::clone(&self.starts),
            register: Vec::new(),
            persons: Vec::new(),
            row: Vec::new(),
        };
        target.take_register(scene, overlap_percent)?;
        Ok(target)
    }

    fn take_register(&mut self, scene: &Scene, overlap_percent: u32) -> Result<(), PrivacyError> {
        (self.persons, self.row) = register(scene, overlap_percent);
        let own = own_schema(&self.schema)?;
        let keys = if self.is_tagged() { 1 } else { OWN_KEYS };
        for key in 0..keys {
            let key = format!("attacker {key}");
            let made = encoder(&own, &scene.seed, &key, &every()?, PROJECT, Epoch::FIRST)?;
            self.register.push(Dataset::from_batch(every()?, &made.encode(&self.persons)));
        }
        Ok(())
    }

    /// The node of each record.
    #[must_use]
    pub fn node_of(&self) -> Vec<u32> {
        let mut node_of = vec![0; self.encoded.len()];
        for (node, records) in (0..).zip(self.nodes.iter()) {
            records.iter().for_each(|record| node_of[*record as usize] = node);
        }
        node_of
    }

    /// The register's row of a node's child, where the register has it. Truth.
    #[must_use]
    pub fn true_row(&self, node: u32) -> Option<u32> {
        self.row[self.child[node as usize] as usize]
    }

    /// `count` nodes with their true rows, drawn among those the register has: pairs the attacker knows beforehand. Another
    /// `draw` is another choice.
    #[must_use]
    pub fn known_pairs(&self, count: usize, draw: usize) -> Vec<(u32, u32)> {
        let pairs = (0..self.nodes.len() as u32).filter_map(|node| Some((node, self.true_row(node)?)));
        let all: Vec<(u32, u32)> = pairs.collect();
        let chosen = Draw::new(&self.seed, &format!("known pairs {draw}")).sample(all.len(), count);
        chosen.into_iter().map(|at| all[at as usize]).collect()
    }

    /// How many of `answers` (register row by node) are right, and of how many: nodes whose child the register has, children
    /// of `known` apart.
    #[must_use]
    pub fn judge(&self, answers: &[Option<u32>], known: &[(u32, u32)]) -> (u64, u64) {
        let known: HashSet<u32> = known.iter().map(|(_, row)| *row).collect();
        let (mut hits, mut trials) = (0, 0);
        for node in 0..self.nodes.len() as u32 {
            let Some(row) = self.true_row(node).filter(|row| !known.contains(row)) else { continue };
            trials += 1;
            hits += u64::from(answers[node as usize] == Some(row));
        }
        (hits, trials)
    }

    /// Whether the schema has tags: then only slots with equal tags may be compared.
    #[must_use]
    pub fn is_tagged(&self) -> bool {
        self.encoded.views.iter().any(|view| view.tags.is_some())
    }

    /// Chance of a guess without encodings.
    #[must_use]
    pub fn baseline(&self) -> f64 {
        1.0 / self.persons.len().max(1) as f64
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Target({} records, {} nodes, {} in the register)",
            self.encoded.len(),
            self.nodes.len(),
            self.persons.len()
        )
    }
}

fn every() -> Result<AgencyId, PrivacyError> {
    "every".parse().map_err(|_| PrivacyError::Internal("an agency's name"))
}

/// The register's persons in an order of its own, and each child's row.
fn register(scene: &Scene, overlap_percent: u32) -> (Vec<Person>, Vec<Option<u32>>) {
    let mut children: Vec<u32> = (0..scene.register.len() as u32).collect();
    Draw::new(&scene.seed, "register").shuffle(&mut children);
    children.truncate((scene.register.len() as u64 * u64::from(overlap_percent.min(100)) / 100) as usize);
    let mut row = vec![None; scene.register.len()];
    children.iter().zip(0..).for_each(|(child, at)| row[*child as usize] = Some(at));
    (children.iter().map(|child| scene.register[*child as usize].clone()).collect(), row)
}

/// Records as the centre joins them.
fn nodes(
    datasets: &[Dataset],
    starts: &[u32],
    schema: &Schema,
    options: TargetOptions<'_>,
) -> Result<Vec<Vec<u32>>, PrivacyError> {
    let records = starts[datasets.len()];
    let mut nodes = Vec::new();
    let mut grouped = vec![false; records as usize];
    if datasets.len() > 1 {
        let run = link(datasets, schema.decision(), &LinkOptions::default(), options.exec, options.control)?;
        for group in run.groups.iter() {
            let members: Vec<u32> =
                group.iter().map(|at| starts[usize::from(at.agency)] + at.record).collect();
            members.iter().for_each(|record| grouped[*record as usize] = true);
            nodes.push(members);
        }
    }
    nodes.extend((0..records).filter(|record| !grouped[*record as usize]).map(|record| vec![record]));
    nodes.sort_unstable();
    Ok(nodes)
}

fn majority(records: &[u32], child: &[u32]) -> u32 {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    records.iter().for_each(|record| *counts.entry(child[*record as usize]).or_default() += 1);
    let best = counts.into_iter().max_by_key(|(child, count)| (*count, std::cmp::Reverse(*child)));
    best.map_or(0, |(child, _)| child)
}

/// The refs of an agency's records in a project, for attacks on refs.
pub(super) fn refs(
    schema: &Schema,
    seed: &str,
    agency: &AgencyId,
    project: &str,
    persons: &[Person],
) -> Result<Vec<RecordRef>, PrivacyError> {
    let made = encoder(schema, seed, TRUE_KEY, agency, project, Epoch::FIRST)?;
    Ok(persons.iter().map(|person| made.record_ref(&person.local_id)).collect())
}
