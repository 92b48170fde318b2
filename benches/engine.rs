//! Benchmarks of the linkage engine: kernel, join, deltas, look-up; and the timing side of `benches/peers/run`.
//!
//! `cargo bench --bench engine` runs criterion's measurements. `cargo bench --bench engine -- --peer WHAT A B T
//! KERNEL THREADS` joins two raw tables (128 bytes a row) once and prints one JSON line with CPU time and hits;
//! `-- --generate ROWS A B` writes such tables.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench is no library: it stops where it fails"
)]

use blindlink::linkage::arena::FilterTable;
use blindlink::linkage::delta::update;
use blindlink::linkage::exec::{Control, Exec};
use blindlink::linkage::join::{JoinOptions, join};
use blindlink::linkage::kernel::KernelLevel;
use blindlink::linkage::nearest::Resident;
use blindlink::wire::Threshold;
use criterion::{BenchmarkId, Criterion, Throughput};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// xorshift64*: the same tables on every machine.
struct Dice(u64);

impl Dice {
    fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.word() % n as u64) as usize
    }
}

/// Two tables shaped like real CLKs: tokens drawn from skewed pools set bits together, so that distances spread
/// wider than independent bits would; half of B are records of A with one to all tokens of a field exchanged.
fn made_up(rows: usize, bits: usize) -> [FilterTable; 2] {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let pools = [300usize, 2_000, 365, 80, 5_000, 9_000, 2_000, 600];
    let fields = |dice: &mut Dice| pools.map(|pool| dice.below(pool).min(dice.below(pool)) as u64);
    let encode = |fields: &[u64; 8], words: &mut Vec<u64>| {
        let mut row = vec![0u64; bits / 64];
        for (field, value) in fields.iter().enumerate() {
            let mut token = Dice((value << 8 | field as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            for _ in 0..bits * 693 / 8000 {
                let bit = token.below(bits);
                row[bit / 64] |= 1 << (bit % 64);
            }
        }
        words.extend(row);
    };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let mut record = fields(&mut dice);
        encode(&record, &mut a);
        if row % 2 == 0 {
            let changed = dice.below(8);
            record[changed] = dice.below(pools[changed]) as u64;
        } else {
            record = fields(&mut dice);
        }
        encode(&record, &mut b);
    }
    [a, b].map(|words| FilterTable::new(words, bits / 64))
}

fn threshold(text: &str) -> Threshold {
    text.parse().unwrap()
}

fn benches(criterion: &mut Criterion) {
    let control = Control::new();
    let [a, b] = made_up(10_000, 1024);
    let pairs = a.rows() as u64 * b.rows() as u64;
    let mut group = criterion.benchmark_group("kernel");
    group.throughput(Throughput::Elements(pairs)).sample_size(10);
    for level in KernelLevel::available().filter(|level| *level != KernelLevel::Scalar) {
        let options = JoinOptions { level, ..JoinOptions::default() };
        group.bench_function(BenchmarkId::new("0.8", level), |bench| {
            bench.iter(|| {
                join(&a, black_box(&b), threshold("0.8"), &options, Exec::Serial, &control).unwrap()
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("join");
    group.throughput(Throughput::Elements(pairs)).sample_size(10);
    let options = JoinOptions::default();
    for t in ["0.7", "0.8", "0.85", "0.9", "0.95"] {
        group.bench_function(BenchmarkId::new("1024 bits", t), |bench| {
            bench.iter(|| join(&a, black_box(&b), threshold(t), &options, Exec::Serial, &control).unwrap());
        });
    }
    for bits in [512, 2048, 4096] {
        let [a, b] = made_up(10_000, bits);
        group.bench_function(BenchmarkId::new("0.8", format!("{bits} bits")), |bench| {
            bench.iter(|| {
                join(&a, black_box(&b), threshold("0.8"), &options, Exec::Serial, &control).unwrap()
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("delta");
    let full = join(&a, &b, threshold("0.8"), &options, Exec::Serial, &control).unwrap().pairs;
    for changed in [10u32, 100, 1_000] {
        let rows: Vec<u32> = (0..changed).map(|i| i * 7).collect();
        group.throughput(Throughput::Elements(u64::from(changed) * b.rows() as u64));
        group.bench_function(BenchmarkId::from_parameter(changed), |bench| {
            bench.iter(|| {
                update(&full, (&a, &rows), (&b, &[]), threshold("0.8"), &options, Exec::Serial, &control)
                    .unwrap()
            });
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("look-up");
    let [a, b] = made_up(200_000, 1024);
    let resident = Resident::new(b, threshold("0.8"), KernelLevel::detect()).unwrap();
    for queries in [1, 8, 64] {
        let query = FilterTable::new(a.words()[..16 * queries].to_vec(), 16);
        group.throughput(Throughput::Elements(queries as u64 * 200_000));
        group.bench_function(BenchmarkId::from_parameter(queries), |bench| {
            bench.iter(|| resident.nearest(black_box(&query), threshold("0.8"), 10).unwrap());
        });
    }
    group.finish();
}

/// CPU time of this process so far, all threads together (Linux counts in ticks of 1/100 s).
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

fn read_table(path: &str) -> FilterTable {
    let bytes = std::fs::read(path).unwrap();
    FilterTable::new(bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect(), 16)
}

/// `--peer join A B T KERNEL THREADS` or `--peer lookup A B T KERNEL QUERIES`.
fn peer(args: &[String]) {
    let [what, a, b, t, level, count] = args else {
        panic!("--peer join|lookup A B T KERNEL THREADS|QUERIES")
    };
    let (a, b, t, count) = (read_table(a), read_table(b), threshold(t), count.parse::<usize>().unwrap());
    let level = if level == "detect" { KernelLevel::detect() } else { level.parse().unwrap() };
    let options = JoinOptions { level, ..JoinOptions::default() };
    if what == "lookup" {
        let resident = Resident::new(b, t, level).unwrap();
        let mut times = Vec::new();
        for query in 0..count {
            let query = FilterTable::new(a.row(query).to_vec(), 16);
            let start = Instant::now();
            black_box(resident.nearest(&query, t, 10).unwrap());
            times.push(start.elapsed());
        }
        times.sort();
        let milliseconds = |at: usize| times[at].as_secs_f64() * 1e3;
        println!(
            "{{\"median_ms\":{:.3},\"min_ms\":{:.3},\"max_ms\":{:.3}}}",
            milliseconds(count / 2),
            milliseconds(0),
            milliseconds(count - 1)
        );
        return;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    let exec = if count == 1 { Exec::Serial } else { Exec::Pool(&pool) };
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let joined = join(&a, &b, t, &options, exec, &Control::new()).unwrap();
    let (cpu, wall) = (cpu_seconds() - cpu, wall.elapsed());
    println!(
        "{{\"hits\":{},\"cpu_s\":{cpu:.3},\"wall_s\":{:.3},\"planes\":{},\"verified\":{},\"kernel\":\"{level}\"}}",
        joined.pairs.len(),
        wall.as_secs_f64(),
        joined.stats.planes,
        joined.stats.pairs_verified
    );
}

fn generate(args: &[String]) {
    let [rows, a, b] = args else { panic!("--generate ROWS A B") };
    for (table, path) in made_up(rows.parse().unwrap(), 1024).iter().zip([a, b]) {
        let bytes: Vec<u8> = table.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        std::fs::write(path, bytes).unwrap();
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.first().map(String::as_str) {
        Some("--peer") => peer(&args[1..]),
        Some("--generate") => generate(&args[1..]),
        _ => {
            let mut criterion = Criterion::default()
                .warm_up_time(Duration::from_millis(500))
                .measurement_time(Duration::from_secs(3))
                .configure_from_args();
            benches(&mut criterion);
            criterion.final_summary();
        }
    }
}
