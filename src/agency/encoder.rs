//! Persons to encodings, with the keys of one project, epoch and agency.
//!
//! The output depends on the persons, the schema and the keys alone: the same on any machine and for
//! any number of threads. [`Encoder::encode`] keeps the order of its input; the file's writer sorts by
//! record ref, which is a keyed pseudo-random order.

use super::diffuse::Diffusion;
use super::key::{AgencyKey, EpochKey, LinkageKey, RefMaker, Secret};
use super::plan::Plan;
use super::record::Person;
use super::schema::Schema;
use super::schema::form::ExactSource;
use super::worker::Worker;
use crate::wire::{
    AgencyId, ContentDigest, EncodingBatch, EncodingHeader, Epoch, FORMAT_VERSION, Payload, PayloadColumn,
    ProjectId, RecordRef, presence,
};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// Persons one thread takes at a time.
const BLOCK_PERSONS: usize = 512;

/// Turns persons into encodings.
pub struct Encoder {
    schema: Schema,
    plan: Plan,
    agency: AgencyId,
    project: ProjectId,
    epoch: Epoch,
    key: EpochKey,
    refs: RefMaker,
    noise: Secret,
    exact: Vec<Secret>,
    /// Keyed diffusion by view.
    maps: Arc<[Option<Diffusion>]>,
    plain_ids: bool,
    /// Idle scratch spaces, kept for their caches.
    workers: Mutex<Vec<Worker>>,
}

impl Encoder {
    /// An encoder for one agency's records in one project and epoch.
    #[must_use]
    pub fn new(
        schema: &Schema,
        linkage: &LinkageKey,
        own: &AgencyKey,
        agency: &AgencyId,
        project: &ProjectId,
        epoch: Epoch,
    ) -> Self {
        let plan = Plan::new(schema);
        let key = linkage.epoch(project, epoch);
        Self {
            exact: plan.exact.iter().map(|(name, _)| key.exact(name.as_str())).collect(),
            maps: Plan::diffusions(schema, &key),
            schema: schema.clone(),
            plan,
            agency: agency.clone(),
            project: project.clone(),
            epoch,
            key,
            refs: own.refs(agency, project),
            noise: own.noise(agency, project, epoch),
            plain_ids: false,
            workers: Mutex::new(Vec::new()),
        }
    }

    /// Carries the local ids beside the refs: synthetic data only, flagged in the header.
    #[must_use]
    pub fn with_plain_ids(mut self, plain_ids: bool) -> Self {
        self.plain_ids = plain_ids;
        self
    }

    /// The schema in use.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The ref of one local id.
    #[must_use]
    pub fn record_ref(&self, local_id: &str) -> RecordRef {
        self.refs.record_ref(local_id)
    }

    /// What travels in front of `records` encodings of this encoder whose digest is `content`.
    #[must_use]
    pub fn header(&self, records: u64, content: ContentDigest) -> EncodingHeader {
        EncodingHeader {
            format_version: FORMAT_VERSION,
            agency: self.agency.clone(),
            project: self.project.clone(),
            epoch: self.epoch,
            schema: self.schema.title(),
            schema_fingerprint: self.schema.fingerprint(),
            key_check: self.key.check(),
            layout: (**self.schema.layout()).clone(),
            decision: self.schema.decision().clone(),
            records,
            plain_ids: self.plain_ids,
            content,
        }
    }

    /// An empty batch of this encoder's shape.
    #[must_use]
    pub fn empty_batch(&self) -> EncodingBatch {
        let mut batch = EncodingBatch::empty(self.schema.layout().clone());
        batch.local_ids = self.plain_ids.then(Vec::new);
        batch
    }

    /// Encodes persons in their order, on rayon's current pool.
    #[must_use]
    pub fn encode(&self, persons: &[Person]) -> EncodingBatch {
        let mut blocks = self.encode_blocks(persons).into_iter();
        let mut all = blocks.next().unwrap_or_else(|| self.empty_batch());
        blocks.for_each(|block| all.append(block));
        all
    }

    /// As [`Encoder::encode`], in batches one after the other, which saves running them together.
    #[must_use]
    pub fn encode_blocks(&self, persons: &[Person]) -> Vec<EncodingBatch> {
        persons.par_chunks(BLOCK_PERSONS).map(|block| self.encode_block(block)).collect()
    }

    fn encode_block(&self, persons: &[Person]) -> EncodingBatch {
        let mut worker = self.take_worker();
        let mut out = self.empty_batch();
        for (column, (view, _)) in out.slots.iter_mut().zip(self.schema.layout().slots()) {
            column.filters.reserve_exact(persons.len() * view.bits as usize / 8);
        }
        worker.encode(&self.plan, persons, &mut out);
        for person in persons {
            out.refs.push(self.refs.record_ref(&person.local_id));
            if let Some(masks) = &mut out.presence {
                masks.push(presence_mask(person));
            }
            for ((column, (_, source)), key) in out.exact.iter_mut().zip(&self.plan.exact).zip(&self.exact) {
                column.tokens.push(exact_token(*source, key, person));
            }
            if !self.plan.payload.is_empty() {
                out.payload.push(allowed(&self.plan.payload, &person.payload));
            }
            if let Some(ids) = &mut out.local_ids {
                ids.push(person.local_id.clone());
            }
        }
        worker.wipe();
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        out
    }

    fn take_worker(&self) -> Worker {
        let idle = self.workers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| {
            let views = self.schema.layout().views().iter();
            Worker::new(
                &self.plan,
                &self.plan.domain_keys(&self.key),
                views.map(|view| self.key.salt(view.name.as_str()).hasher()).collect(),
                self.noise.hasher(),
                Arc::clone(&self.maps),
            )
        })
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoder({}, {}, {})", self.schema.title(), self.agency, self.project)
    }
}

fn presence_mask(person: &Person) -> u32 {
    let bit = |present: bool, mask: u32| if present { mask } else { 0 };
    bit(!person.given.is_empty(), presence::GIVEN)
        | bit(!person.family.is_empty(), presence::FAMILY)
        | bit(person.date_of_birth.is_some() || person.slipped_date.is_some(), presence::DATE)
        | bit(person.sex.is_some(), presence::SEX)
        | bit(person.postcode.is_some() || person.address.is_some(), presence::PLACE)
        | bit(person.flags.default_date, presence::DEFAULT_DATE)
        | bit(person.flags.placeholder_name, presence::PLACEHOLDER_NAME)
}

fn exact_token(source: ExactSource, key: &Secret, person: &Person) -> Option<[u8; 16]> {
    let value = match source {
        ExactSource::NhsNumber => person.nhs_number.as_ref(),
        ExactSource::Upn => person.upn.as_ref(),
    }?;
    let mut token = [0; 16];
    key.hasher().update(value.as_bytes()).finalize_xof().fill(&mut token);
    Some(token)
}

/// Only the columns the schema lists leave.
fn allowed(columns: &[PayloadColumn], payload: &Payload) -> Payload {
    let mut out = Payload::default();
    for column in columns {
        match column {
            PayloadColumn::RecordType => out.record_type = payload.record_type,
            PayloadColumn::AreaCode => out.area_code = payload.area_code,
            PayloadColumn::AgeBand => out.age_band = payload.age_band,
            PayloadColumn::LastSeen => out.last_seen = payload.last_seen,
            PayloadColumn::Expiry => out.expiry = payload.expiry,
            PayloadColumn::Visibility => out.visibility = payload.visibility,
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agency::record::{BirthDate, Name, NameSource, Postcode, Sex};

    fn name(text: &str, source: NameSource) -> Name {
        Name { parts: text.split(' ').map(str::to_owned).collect(), source }
    }

    /// Made-up children with names of varied length, some values missing.
    fn children(count: usize) -> Vec<Person> {
        let given = ["al", "ella", "mohammed", "christopher", "zoe", "anna maria", "katie"];
        let family = ["ng", "smith", "okonkwo-like", "featherstonehaugh", "smith jones", "li"];
        let child = |i: usize| Person {
            local_id: format!("id-{i}"),
            given: vec![name(given[i % 7], NameSource::Main)],
            family: vec![name(family[i % 6].split('-').next().unwrap(), NameSource::Main)],
            date_of_birth: (!i.is_multiple_of(11)).then(|| BirthDate {
                year: 2008 + (i % 13) as u16,
                month: 1 + (i % 12) as u8,
                day: 1 + (i % 28) as u8,
            }),
            sex: Some(if i.is_multiple_of(2) { Sex::Female } else { Sex::Male }),
            postcode: (!i.is_multiple_of(5)).then(|| Postcode {
                full: format!("L{}8AB", i % 40),
                sector: format!("L{}8", i % 40),
                outward: format!("L{}", i % 40),
            }),
            ..Person::default()
        };
        (0..count).map(child).collect()
    }

    fn encoder(schema: &str, own: u8) -> Encoder {
        let mut bytes = [own; 32];
        bytes[0] = 1;
        let linkage: [u8; 32] = std::array::from_fn(|i| i as u8);
        Encoder::new(
            &Schema::builtin(schema).unwrap(),
            &LinkageKey::from_bytes(&linkage).unwrap(),
            &AgencyKey::from_bytes(&bytes).unwrap(),
            &"school".parse().unwrap(),
            &"pilot".parse().unwrap(),
            Epoch::FIRST,
        )
    }

    fn ones(filter: &[u8]) -> u32 {
        filter.iter().map(|byte| byte.count_ones()).sum()
    }

    #[test]
    fn same_bytes_for_any_number_of_threads_and_any_cut() {
        for (schema, ..) in Schema::builtins() {
            let persons = children(1500);
            let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            let one = pool(1).install(|| encoder(schema, 9).encode(&persons));
            let four = pool(4).install(|| encoder(schema, 9).encode(&persons));
            let mut cut = encoder(schema, 9).encode(&persons[..77]);
            cut.append(encoder(schema, 9).encode(&persons[77..]));
            one.check().unwrap();
            assert!(one == four && one == cut, "{schema}");
        }
    }

    #[test]
    fn the_agency_key_changes_refs_and_never_the_clk() {
        let persons = children(20);
        let (a, b) =
            (encoder("uk-child-clk", 9).encode(&persons), encoder("uk-child-clk", 8).encode(&persons));
        assert!(a.slots == b.slots);
        assert!(a.refs.iter().zip(&b.refs).all(|(x, y)| x != y));
    }

    #[test]
    fn popcount_says_little_of_the_length_of_names() {
        let mut persons = children(4000);
        persons.retain(|p| p.date_of_birth.is_some() && p.postcode.is_some());
        let mut state = 1u64;
        let mut made_up = |shortest: u64| {
            let mut below = |n: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 33) % n
            };
            let length = shortest + below(10);
            let text: String = (0..length).map(|_| char::from(b'a' + below(20) as u8)).collect();
            vec![name(&text, NameSource::Main)]
        };
        for person in &mut persons {
            (person.given, person.family) = (made_up(3), made_up(3));
        }
        let batch = encoder("uk-child-clk", 9).encode(&persons);
        let x: Vec<f64> = persons.iter().map(|p| p.family[0].whole().len() as f64).collect();
        let y: Vec<f64> = (0..batch.len()).map(|row| f64::from(ones(batch.filter(0, row)))).collect();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (mx, my) = (mean(&x), mean(&y));
        let dot = |a: &[f64], ma: f64, b: &[f64], mb: f64| {
            a.iter().zip(b).map(|(p, q)| (p - ma) * (q - mb)).sum::<f64>()
        };
        let r = dot(&x, mx, &y, my) / (dot(&x, mx, &x, mx) * dot(&y, my, &y, my)).sqrt();
        assert!(r.abs() < 0.1, "r = {r}");
        assert!((my - 512.0).abs() < 20.0, "mean popcount {my}");
    }

    #[test]
    fn missing_values_are_bits_of_the_mask_and_not_of_the_filter() {
        let mut person = children(2).remove(1);
        let full = encoder("uk-child-clk", 9).encode(std::slice::from_ref(&person));
        person.date_of_birth = None;
        person.flags.default_date = true;
        let cut = encoder("uk-child-clk", 9).encode(&[person]);
        assert!(ones(cut.filter(0, 0)) < ones(full.filter(0, 0)));
        let mask = |batch: &EncodingBatch| batch.presence.as_ref().unwrap()[0];
        assert_eq!(mask(&full) & presence::DATE, presence::DATE);
        assert_eq!(mask(&cut) & (presence::DATE | presence::DEFAULT_DATE), presence::DEFAULT_DATE);
        assert_eq!(mask(&cut) & !presence::ALL, 0);
    }
}
