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

mod tables;

use blindlink::linkage::arena::{FilterTable, ViewTable};
use blindlink::linkage::blocks::tagged_join;
use blindlink::linkage::delta::update;
use blindlink::linkage::exec::{Control, Exec};
use blindlink::linkage::join::{JoinMode, JoinOptions, join};
use blindlink::linkage::kernel::KernelLevel;
use blindlink::linkage::nearest::Resident;
use blindlink::wire::Threshold;
use criterion::{BenchmarkId, Criterion, Throughput};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tables::made_up;

fn threshold(text: &str) -> Threshold {
    text.parse().unwrap()
}

fn benches(criterion: &mut Criterion) {
    let [a, b] = made_up(10_000, 1024);
    kernels(criterion, &a, &b);
    joins(criterion, &a, &b);
    deltas(criterion, &a, &b);
    tiny_blocks(criterion);
    lookups(criterion);
}

/// Every level with pruning and without; the scalar reference, on a tenth of the rows, is what they all must beat.
fn kernels(criterion: &mut Criterion, a: &FilterTable, b: &FilterTable) {
    let control = Control::new();
    let mut group = criterion.benchmark_group("kernel");
    group.sample_size(10);
    let tenth =
        |table: &FilterTable| FilterTable::new(table.words()[..table.words().len() / 10].to_vec(), 16);
    let (few_a, few_b) = (tenth(a), tenth(b));
    for level in KernelLevel::available() {
        let (a, b) = if level == KernelLevel::Scalar { (&few_a, &few_b) } else { (a, b) };
        group.throughput(Throughput::Elements(a.rows() as u64 * b.rows() as u64));
        for (name, mode) in [("0.8", JoinMode::Exact), ("all bits counted", JoinMode::Counted)] {
            let options = JoinOptions { level, mode, ..JoinOptions::default() };
            group.bench_function(BenchmarkId::new(name, level), |bench| {
                bench.iter(|| {
                    join(a, black_box(b), threshold("0.8"), &options, Exec::Serial, &control).unwrap()
                });
            });
        }
    }
    group.finish();
}

fn joins(criterion: &mut Criterion, a: &FilterTable, b: &FilterTable) {
    let (control, options) = (Control::new(), JoinOptions::default());
    let mut group = criterion.benchmark_group("join");
    group.throughput(Throughput::Elements(a.rows() as u64 * b.rows() as u64)).sample_size(10);
    for t in ["0.7", "0.8", "0.85", "0.9", "0.95"] {
        group.bench_function(BenchmarkId::new("1024 bits", t), |bench| {
            bench.iter(|| join(a, black_box(b), threshold(t), &options, Exec::Serial, &control).unwrap());
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
}

fn deltas(criterion: &mut Criterion, a: &FilterTable, b: &FilterTable) {
    let (control, options) = (Control::new(), JoinOptions::default());
    let mut group = criterion.benchmark_group("delta");
    let full = join(a, b, threshold("0.8"), &options, Exec::Serial, &control).unwrap().pairs;
    for changed in [10u32, 100, 1_000] {
        let rows: Vec<u32> = (0..changed).map(|i| i * 7).collect();
        group.throughput(Throughput::Elements(u64::from(changed) * b.rows() as u64));
        group.bench_function(BenchmarkId::from_parameter(changed), |bench| {
            bench.iter(|| {
                update(&full, (a, &rows), (b, &[]), threshold("0.8"), &options, Exec::Serial, &control)
                    .unwrap()
            });
        });
    }
    group.finish();
}

/// Tags that ten rows of either side share: what a block costs beyond its hundred pairs.
fn tiny_blocks(criterion: &mut Criterion) {
    let (control, options) = (Control::new(), JoinOptions::default());
    let view = |filters: FilterTable| {
        let tags = (0..filters.rows() as u32).map(|row| (row / 10).wrapping_mul(0x9e37_79b9)).collect();
        ViewTable { filters, slots: 1, tags: Some(tags) }
    };
    let [a, b] = made_up(100_000, 1024).map(view);
    let mut group = criterion.benchmark_group("tagged");
    group.throughput(Throughput::Elements(10 * 100_000)).sample_size(10);
    group.bench_function("10,000 blocks of 10 x 10 rows", |bench| {
        bench.iter(|| {
            tagged_join(&a, black_box(&b), threshold("0.8"), &options, Exec::Serial, &control).unwrap()
        });
    });
    group.finish();
}

fn lookups(criterion: &mut Criterion) {
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

/// CPU time of this thread so far (Linux counts it in ns).
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

fn read_table(path: &str) -> FilterTable {
    let bytes = std::fs::read(path).unwrap();
    FilterTable::new(bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect(), 16)
}

/// `--peer join|counted A B T KERNEL THREADS` or `--peer lookup A B T KERNEL QUERIES`.
fn peer(args: &[String]) {
    let [what, a, b, t, level, count] = args else {
        panic!("--peer join|counted|lookup A B T KERNEL THREADS|QUERIES")
    };
    let (a, b, t) = (read_table(a), read_table(b), threshold(t));
    // -1: one thread, but of a pool and with the wall clock.
    let count = count.parse::<isize>().unwrap().unsigned_abs();
    let level = if level == "detect" { KernelLevel::detect() } else { level.parse().unwrap() };
    let mode = if what == "counted" { JoinMode::Counted } else { JoinMode::Exact };
    let options = JoinOptions { level, mode, ..JoinOptions::default() };
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
