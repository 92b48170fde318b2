//! What only a large and quiet machine can tell: growth, threads, 1 M x 1 M, look-ups, a city of ten agencies.
//!
//! `cargo bench --bench scale` runs everything (about four minutes on two cores); `-- --rows N` cuts the tables to N, and
//! names of parts (threads, cancelling, growth, city, look-ups, more-look-ups) run those only.
//! Prints rows of the table in docs/performance.md as they are measured.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench is no library: it stops where it fails"
)]

mod tables;

use blindlink::linkage::arena::FilterTable;
use blindlink::linkage::assign::{COMPONENT_RECORDS_MAX_DEFAULT, Candidate, one_to_one};
use blindlink::linkage::exec::{Control, Exec};
use blindlink::linkage::groups::{RecordAt, group};
use blindlink::linkage::join::{JoinOptions, Joined, join, ones};
use blindlink::linkage::kernel::KernelLevel;
use blindlink::linkage::nearest::Resident;
use rayon::ThreadPool;
use std::hint::black_box;
use std::time::{Duration, Instant};

fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let made = work();
    (start.elapsed().as_secs_f64(), made)
}

/// The most memory this process ever held, MB (Linux).
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or_default() / 1024
}

fn pool(threads: usize) -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

fn run(a: &FilterTable, b: &FilterTable, pool: &ThreadPool) -> Joined {
    join(a, b, "0.8".parse().unwrap(), &JoinOptions::default(), Exec::Pool(pool), &Control::new()).unwrap()
}

fn median(mut times: Vec<f64>) -> (f64, f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[0], times[times.len() - 1])
}

/// One thread and two in turn, five rounds.
fn threads(rows: usize) {
    let [a, b] = tables::made_up(rows, 1024);
    let (one, two) = (pool(1), pool(2));
    let (mut alone, mut both) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        alone.push(seconds(|| run(&a, &b, &one)).0);
        both.push(seconds(|| run(&a, &b, &two)).0);
    }
    let ((one, ..), (two, ..)) = (median(alone.clone()), median(both));
    let pairs = (rows * rows) as f64;
    println!("{rows} x {rows}, .8, one thread | {one:.2} s | {:.2} Gp/s", pairs / one / 1e9);
    println!("{rows} x {rows}, .8, two threads | {two:.2} s | {:.2} times one thread", one / two);
}

fn growth(rows_max: usize, pool: &ThreadPool) {
    for rows in [10_000, 30_000, 100_000, 300_000, 1_000_000].into_iter().filter(|rows| *rows <= rows_max) {
        let [a, b] = tables::made_up(rows, 1024);
        let before = peak_mb();
        let (spent, joined) = seconds(|| run(&a, &b, pool));
        println!(
            "{rows} x {rows}, .8, two threads | {spent:.2} s | {:.3} ns a pair; {} pairs found, {} verified, {} planes; \
             memory {before} MB before, {} MB at the most",
            spent * 1e9 / (rows as f64 * rows as f64),
            joined.pairs.len(),
            joined.stats.pairs_verified,
            joined.stats.planes,
            peak_mb()
        );
    }
}

fn lookups(rows: usize) {
    let (table, queries) = tables::crowd(rows, 64);
    let t = "0.8".parse().unwrap();
    let (laid_out, resident) = seconds(|| Resident::new(table, t, KernelLevel::detect()).unwrap());
    let mut times = Vec::new();
    for query in 0..41 {
        let query = FilterTable::new(queries.row(query).to_vec(), 16);
        times.push(1e3 * seconds(|| black_box(resident.nearest(&query, t, 10).unwrap())).0);
    }
    let (middle, least, most) = median(times);
    let (batch, _) = seconds(|| black_box(resident.nearest(&queries, t, 10).unwrap()));
    println!(
        "look-up over {rows} | {middle:.2} ms ({least:.2} to {most:.2}) | batch of 64: {:.2} ms a query; laid out in \
         {laid_out:.1} s, {} MB at the most",
        batch * 1e3 / 64.0,
        peak_mb()
    );
}

/// All pairs of agencies, one-to-one in each, groups over all.
fn city(agencies: usize, rows: usize, pool: &ThreadPool) {
    let tables: Vec<FilterTable> = (0..agencies).map(|number| tables::agency(number, rows)).collect();
    let counts: Vec<Vec<u16>> = tables.iter().map(ones).collect();
    let start = Instant::now();
    let mut links = Vec::new();
    let (mut joining, mut found) = (0.0, 0);
    for a in 0..agencies {
        for b in a + 1..agencies {
            let (spent, joined) = seconds(|| run(&tables[a], &tables[b], pool));
            joining += spent;
            found += joined.pairs.len();
            let mut edges: Vec<Candidate> = joined
                .pairs
                .iter()
                .map(|(x, y, common)| {
                    let total = i64::from(counts[a][x as usize]) + i64::from(counts[b][y as usize]);
                    Candidate { a: x, b: y, gain: 2_000_000 * i64::from(common) / total }
                })
                .collect();
            edges.sort_unstable_by_key(|edge| (-edge.gain, edge.a, edge.b));
            let kept = one_to_one(&edges, rows, rows, COMPONENT_RECORDS_MAX_DEFAULT).chosen;
            links.extend(kept.iter().map(|at| (edges[*at as usize], a as u16, b as u16)));
        }
        println!(
            "  agency {} of {agencies} against the later ones: {:.0} s so far",
            a + 1,
            start.elapsed().as_secs_f64()
        );
    }
    let (grouping, groups) = seconds(|| {
        links.sort_unstable_by_key(|(edge, a, b)| (-edge.gain, *a, *b, edge.a, edge.b));
        let at = |agency, record| RecordAt { agency, record };
        let edges: Vec<_> = links.iter().map(|(edge, a, b)| (at(*a, edge.a), at(*b, edge.b))).collect();
        group(&vec![rows; agencies], &edges)
    });
    println!(
        "city, {agencies} x {rows}, all pairs at .8 | {:.1} s | joins {joining:.1} s, {found} pairs, {} groups in {grouping:.2} s, \
         {} MB at the most",
        start.elapsed().as_secs_f64(),
        groups.groups.len(),
        peak_mb()
    );
}

/// From the request to the answer; the request comes `waits` ms after the join is so far.
fn cancelling(
    what: &str,
    (rows, t): (usize, &str),
    waits: [u64; 5],
    so_far: fn(&Control) -> bool,
    pool: &ThreadPool,
) {
    let [a, b] = tables::made_up(rows, 1024);
    let options = JoinOptions { pairs_max: u64::MAX, ..JoinOptions::default() };
    let (mut times, mut late) = (Vec::new(), 0);
    for wait in waits {
        let control = Control::new();
        let (asked, stopped, joined) = std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                while !so_far(&control) {
                    std::thread::yield_now();
                }
                std::thread::sleep(Duration::from_millis(wait));
                control.cancel();
                Instant::now()
            });
            let joined = join(&a, &b, t.parse().unwrap(), &options, Exec::Pool(pool), &control);
            (asked.join().unwrap(), Instant::now(), joined)
        });
        match joined {
            Ok(_) => late += 1,
            Err(_) => times.push(stopped.saturating_duration_since(asked).as_secs_f64() * 1e3),
        }
    }
    if times.is_empty() {
        println!("cancelling {what}, {rows} x {rows}, {t} | ended before it was asked");
        return;
    }
    let ((middle, least, most), asked) = (median(times.clone()), times.len());
    println!(
        "cancelling {what}, {rows} x {rows}, {t} | {middle:.1} ms ({least:.1} to {most:.1}) | {asked} times, {late} more had ended"
    );
}

/// A part of the bench and its name on the command line.
type Part<'p> = (&'p str, &'p dyn Fn());

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.iter().any(|arg| arg == "--test") {
        return; // nothing small enough to try
    }
    let at = args.iter().position(|arg| arg == "--rows");
    let rows_max = at.and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(1_000_000);
    let two = pool(2);
    let start = Instant::now();
    println!("kernel {}; what | figure | more", KernelLevel::detect());
    let parts: [Part<'_>; 6] = [
        ("threads", &|| threads(rows_max.min(100_000))),
        ("cancelling", &|| {
            let waits = [20, 60, 110, 170, 240];
            cancelling("while it compares", (rows_max.min(300_000), "0.8"), waits, |_| true, &two);
            let compared = |control: &Control| {
                control.pairs_total() > 0 && control.pairs_done() >= control.pairs_total()
            };
            cancelling(
                "while it sorts",
                (rows_max.min(10_000), "0.5"),
                [0, 20, 60, 150, 400],
                compared,
                &two,
            );
        }),
        ("growth", &|| growth(rows_max, &two)),
        ("city", &|| city(10, rows_max.min(100_000), &two)),
        ("look-ups", &|| lookups(rows_max)),
        ("more-look-ups", &|| lookups(10 * rows_max)),
    ];
    let named = |name: &str| args.iter().any(|arg| arg == name);
    let all = !parts.iter().any(|(name, _)| named(name));
    for (_, part) in parts.iter().filter(|(name, _)| all || named(name)) {
        part();
    }
    println!("{:.0} s in all", start.elapsed().as_secs_f64());
}
