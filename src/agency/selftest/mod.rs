//! Cheap tests of the encodings themselves, before an extract is called safe to send.
//!
//! May see: this agency's encodings as they would leave, lengths of its names. Never shows a value.
//! Sees each record once and keeps counts and samples only, whatever the number of records.
//!
//! | test | what it catches | source |
//! |---|---|---|
//! | repeated encodings | frequency alignment: what is often among encodings is often among names | Kuzu et al. 2011 |
//! | filter length | the number of set bits follows the length of names | Christen et al. 2017 |
//! | empty filters, uneven bits | pattern mining: bits that are rarely or nearly always set belong to few tokens | Christen et al. 2018 |
//! | linked salts, largest block | percolation through tags, blocks known by their size | docs/formats.md, views |
//! | population | tags and salts made for fewer children than there are | docs/formats.md, views |

mod counts;

use super::check::Report;
use super::record::Person;
use super::schema::Schema;
use crate::wire::{EncodingBatch, Profile, View};
use counts::{Correlation, Repeats, look, mixed};
use pulp::Arch;
use serde::{Deserialize, Serialize};

/// Records from which figures say more than chance does.
const RECORDS_MIN: u64 = 200;
/// Tag values counted apart; longer tags are cut to so many bits.
const COUNTED_TAG_BITS_MAX: u8 = 20;
/// Rows whose bits are counted.
const COUNTED_ROWS_MAX: u32 = 16_384;
/// Largest correlation of set bits with letters of the names, in thousandths, beyond three standard errors.
const CORRELATION_MILLI_MAX: u64 = 100;
/// Repeated whole encodings where the profile has no permanent flips: thousandths of the records.
const REPEATS_MILLI_MAX: u64 = 10;
/// Distance of a bit's frequency from its segment's, in thousandths, beyond five standard errors.
const UNEVEN_MILLI_MAX: u64 = 100;
/// Other records of this file with an equal salt, on average over all views together, in thousandths: at one,
/// linked records grow into one component.
const LINKED_MILLI_MAX: u64 = 1000;
/// Records with one salt, beyond what shares a truncated tag by chance.
const BLOCK_MAX: u64 = 20;

/// What is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestKind {
    /// Equal filters of different records.
    RepeatedEncodings,
    /// Correlation of set bits with the length of names.
    FilterLength,
    /// Filters without any bit.
    EmptyFilters,
    /// Bits set far more or less often than their neighbours.
    UnevenBits,
    /// Records linked by equal salts.
    LinkedSalts,
    /// The largest group of records with one salt.
    LargestBlock,
    /// Records against the population the schema declares and its salts allow.
    Population,
}

/// One test and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodingTest {
    /// What was tested.
    pub test: TestKind,
    /// The view, where the test is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// What was measured, in thousandths (records count as 1000).
    pub measured_milli: u64,
    /// The largest value that passes, in thousandths.
    pub limit_milli: u64,
    /// Whether it passed.
    pub passed: bool,
}

impl EncodingTest {
    fn new(test: TestKind, view: Option<&View>, measured_milli: u64, limit_milli: u64) -> Self {
        let view = view.map(|view| view.name.to_string());
        Self { test, view, measured_milli, limit_milli, passed: measured_milli <= limit_milli }
    }

    /// What was found and what to do, in one line.
    #[must_use]
    pub fn explain(&self) -> String {
        let shown = |milli: u64| format!("{}.{:03}", milli / 1000, milli % 1000);
        let (found, limit) = (shown(self.measured_milli), shown(self.limit_milli));
        let (count, most) = (self.measured_milli / 1000, self.limit_milli / 1000);
        let text = match self.test {
            TestKind::RepeatedEncodings => format!(
                "{count} encodings repeat another record's (at most {most}): remove duplicate records, or encode \
                 more attributes"
            ),
            TestKind::FilterLength => format!(
                "set bits follow the length of names (correlation {found}, at most {limit}): use fixed budgets"
            ),
            TestKind::EmptyFilters => {
                format!("{count} filters are empty and show what is missing: set filler = true")
            }
            TestKind::UnevenBits => format!(
                "a bit is set {found} more or less often than its segment's mean (at most {limit}): few tokens set it"
            ),
            TestKind::LinkedSalts => format!(
                "equal salts link each record to {found} others (at most {limit}): take a view set for this size \
                 ('schema show --population')"
            ),
            TestKind::LargestBlock => format!(
                "{count} records have one tag (at most {most}): a default or placeholder fills a salt; make it missing"
            ),
            TestKind::Population => format!(
                "{count} records where the schema is made for {most}: see 'schema show --population {count}'"
            ),
        };
        match &self.view {
            Some(view) => format!("view '{view}': {text}"),
            None => text,
        }
    }
}

/// The outcome of all tests of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodingTests {
    /// Encodings seen.
    pub records: u64,
    /// Each test.
    pub tests: Vec<EncodingTest>,
}

impl EncodingTests {
    /// The tests that failed.
    pub fn failed(&self) -> impl Iterator<Item = &EncodingTest> {
        self.tests.iter().filter(|test| !test.passed)
    }
}

impl Report {
    /// Adds the outcome of the encodings' own tests: one that failed makes the extract unsafe to send.
    pub fn judge(&mut self, tests: EncodingTests) {
        let against: Vec<String> = tests.failed().map(EncodingTest::explain).collect();
        if !against.is_empty() && self.safe_to_send {
            self.because.clear();
        }
        self.safe_to_send &= against.is_empty();
        self.because.extend(against);
        self.encodings = Some(tests);
    }
}

/// Counts while encodings are made; [`SelfTest::outcome`] at the end.
pub struct SelfTest {
    arch: Arch,
    schema: Schema,
    records: u64,
    whole: Repeats,
    length: Correlation,
    views: Vec<ViewCounts>,
    counted_rows: u32,
}

/// What is kept of one view.
struct ViewCounts {
    repeats: Repeats,
    empty: u64,
    /// By bit, over the slots of the view.
    bits: Vec<u32>,
    /// By tag value, low bits; empty without tags.
    tags: Vec<u32>,
}

impl SelfTest {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        let counts = |view: &View| ViewCounts {
            repeats: Repeats::default(),
            empty: 0,
            bits: vec![0; view.bits as usize],
            tags: vec![0; view.tag.map_or(0, |tag| 1 << tag.bits().min(COUNTED_TAG_BITS_MAX))],
        };
        Self {
            arch: Arch::new(),
            schema: schema.clone(),
            records: 0,
            whole: Repeats::default(),
            length: Correlation::default(),
            views: schema.layout().views().iter().map(counts).collect(),
            counted_rows: 0,
        }
    }

    /// Looks at the encodings of `persons`, in their order.
    pub fn add(&mut self, persons: &[Person], batch: &EncodingBatch) {
        self.records += batch.len() as u64;
        let hardened = self.hardened();
        for (row, person) in persons.iter().enumerate().take(batch.len()) {
            // Refs are keyed: their bytes choose a sample that follows nothing else.
            let first = batch.refs[row].as_bytes()[0];
            let counted =
                self.counted_rows < 1024 || first.is_multiple_of(8) && self.counted_rows < COUNTED_ROWS_MAX;
            self.counted_rows += u32::from(counted);
            let (mut column, mut whole, mut ones) = (0, 0u64, 0);
            for (view, counts) in self.schema.layout().views().iter().zip(&mut self.views) {
                for slot in column..column + usize::from(view.slots) {
                    let filter = batch.filter(slot, row);
                    let (hash, set) = look(self.arch, filter, counted.then_some(&mut counts.bits));
                    if hardened {
                        counts.repeats.add(hash);
                    }
                    counts.empty += u64::from(set == 0);
                    ones += set;
                    whole = mixed(whole ^ hash);
                }
                column += usize::from(view.slots);
            }
            if let Some(letters) = letters(person) {
                self.length.add(letters, ones);
            }
            if !hardened {
                self.whole.add(whole);
            }
        }
        self.count_tags(batch);
    }

    /// Column by column: the processor fetches many counts at once.
    fn count_tags(&mut self, batch: &EncodingBatch) {
        let mut columns = batch.slots.iter();
        for (view, counts) in self.schema.layout().views().iter().zip(&mut self.views) {
            let tags =
                columns.by_ref().take(usize::from(view.slots)).filter_map(|column| column.tags.as_ref());
            let last = counts.tags.len().saturating_sub(1);
            for tag in tags.flatten() {
                counts.tags[*tag as usize & last] += 1;
            }
        }
    }

    /// Whether the profile promises that no two filters are equal and that bits tell nothing.
    fn hardened(&self) -> bool {
        matches!(self.schema.profile(), Profile::Views | Profile::Diffused)
    }

    /// The outcome so far.
    #[must_use]
    pub fn outcome(&self) -> EncodingTests {
        let mut tests = vec![];
        let hardened = self.hardened();
        let views = || self.schema.layout().views().iter().zip(&self.views);
        if hardened {
            for (view, counts) in views() {
                tests.push(EncodingTest::new(
                    TestKind::RepeatedEncodings,
                    Some(view),
                    counts.repeats.count(),
                    0,
                ));
                tests.push(EncodingTest::new(TestKind::EmptyFilters, Some(view), 1000 * counts.empty, 0));
            }
        } else {
            let limit = (self.records * REPEATS_MILLI_MAX / 1000).max(10) * 1000;
            tests.push(EncodingTest::new(TestKind::RepeatedEncodings, None, self.whole.count(), limit));
        }
        if self.records >= RECORDS_MIN {
            for (view, counts) in views() {
                if hardened {
                    tests.push(counts.uneven(view, self.counted_rows));
                }
                tests.extend(counts.largest_block(view, self.records));
            }
            let length = self.length.beyond_chance_milli(RECORDS_MIN);
            tests.extend(
                length.map(|r| EncodingTest::new(TestKind::FilterLength, None, r, CORRELATION_MILLI_MAX)),
            );
            tests.extend(self.linked_salts());
        }
        tests.extend(self.population());
        tests.sort_by_key(|test| test.test);
        EncodingTests { records: self.records, tests }
    }

    /// Pairs of one tag beyond those that chance makes, over all views, per record.
    fn linked_salts(&self) -> Option<EncodingTest> {
        let (mut excess, mut variance, mut tagged) = (0.0, 0.0, false);
        for (view, counts) in self.schema.layout().views().iter().zip(&self.views) {
            if counts.tags.is_empty() {
                continue;
            }
            tagged = true;
            let filters = self.records as f64 * f64::from(view.slots);
            let chance = filters * (filters - 1.0) / counts.tags.len() as f64;
            excess += counts.tags.iter().map(|&c| f64::from(c) * (f64::from(c) - 1.0)).sum::<f64>() - chance;
            variance += 2.0 * chance;
        }
        let linked = ((excess - 3.0 * f64::sqrt(variance)) / self.records as f64).max(0.0);
        tagged.then(|| EncodingTest::new(TestKind::LinkedSalts, None, milli(linked), LINKED_MILLI_MAX))
    }

    fn population(&self) -> Option<EncodingTest> {
        let declared = self.schema.form().population?;
        let tagged = self.schema.layout().views().iter().any(|view| view.tag.is_some());
        tagged.then(|| EncodingTest::new(TestKind::Population, None, 1000 * self.records, 1000 * declared))
    }
}

impl std::fmt::Debug for SelfTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SelfTest({}, {} records)", self.schema.title(), self.records)
    }
}

impl ViewCounts {
    fn uneven(&self, view: &View, rows: u32) -> EncodingTest {
        let filters = f64::from(rows.max(1)) * f64::from(view.slots);
        let mut worst = 0.0f64;
        for segment in &view.segments {
            let bits = &self.bits[segment.start as usize..(segment.start + segment.bits) as usize];
            let mean = bits.iter().map(|&count| f64::from(count)).sum::<f64>() / bits.len() as f64;
            worst = bits.iter().fold(worst, |worst, &count| worst.max((f64::from(count) - mean).abs()));
        }
        let beyond = (worst / filters - 2.5 / filters.sqrt()).max(0.0);
        EncodingTest::new(TestKind::UnevenBits, Some(view), milli(beyond), UNEVEN_MILLI_MAX)
    }

    fn largest_block(&self, view: &View, records: u64) -> Option<EncodingTest> {
        let largest = u64::from(*self.tags.iter().max()?);
        let chance = records as f64 * f64::from(view.slots) / self.tags.len() as f64;
        let limit = (chance + 6.0 * chance.sqrt()) as u64 + BLOCK_MAX;
        Some(EncodingTest::new(TestKind::LargestBlock, Some(view), 1000 * largest, 1000 * limit))
    }
}

fn milli(value: f64) -> u64 {
    (value * 1000.0).round() as u64
}

/// Letters of the main names of a complete record.
fn letters(person: &Person) -> Option<u32> {
    let (given, family) = (person.given.first()?, person.family.first()?);
    let complete = person.date_of_birth.is_some() && person.postcode.is_some();
    let count = |parts: &[String]| parts.iter().map(String::len).sum::<usize>() as u32;
    complete.then(|| count(&given.parts) + count(&family.parts))
}
