//! Encoding speed: records a second on one core, per built-in schema.

#![expect(clippy::expect_used, reason = "a benchmark that can not start has nothing to report")]

use blindlink::agency::encoder::Encoder;
use blindlink::agency::key::{AgencyKey, LinkageKey};
use blindlink::agency::record::{BirthDate, Name, NameSource, Person, Postcode, Sex};
use blindlink::agency::schema::Schema;
use blindlink::wire::Epoch;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// Made-up names of three to nine letters over consonant-vowel syllables.
fn made_up(state: &mut u64, source: NameSource) -> Name {
    let mut below = |n: u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % n
    };
    let mut part = String::new();
    for _ in 0..2 + below(3) {
        part.push(char::from(b"bcdfghjklmnprstvw"[below(17) as usize]));
        part.push(char::from(b"aeiou"[below(5) as usize]));
    }
    Name { parts: vec![part], source }
}

fn persons(count: u64) -> Vec<Person> {
    let mut state = 7u64;
    let child = |i: u64| {
        let place = (state >> 20) % 9000;
        Person {
            local_id: format!("child-{i}"),
            given: vec![made_up(&mut state, NameSource::Main)],
            family: vec![made_up(&mut state, NameSource::Main)],
            date_of_birth: Some(BirthDate {
                year: 2008 + (i % 17) as u16,
                month: 1 + (i / 17 % 12) as u8,
                day: 1 + (i / 204 % 28) as u8,
            }),
            sex: Some(if i.is_multiple_of(2) { Sex::Female } else { Sex::Male }),
            postcode: Some(Postcode {
                full: format!("L{}{}AB", place / 90, place % 10),
                sector: format!("L{}{}", place / 90, place % 10),
                outward: format!("L{}", place / 90),
            }),
            ..Person::default()
        }
    };
    (0..count).map(child).collect()
}

fn encode(criterion: &mut Criterion) {
    let persons = persons(20_000);
    let one_core = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(persons.len() as u64)).sample_size(10);
    for (name, ..) in Schema::builtins() {
        let schema = Schema::builtin(name).expect("a built-in schema");
        let linkage = LinkageKey::generate().expect("random bytes");
        let own = AgencyKey::generate().expect("random bytes");
        let id = |text: &str| text.parse().expect("an id");
        let project = "bench".parse().expect("an id");
        let encoder = Encoder::new(&schema, &linkage, &own, &id("school"), &project, Epoch::FIRST);
        group.bench_function(name, |bencher| {
            let run = || one_core.install(|| encoder.encode(&persons));
            bencher.iter_batched(|| (), |()| run(), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, encode);
criterion_main!(benches);
