//! Tests of disclosure control, with an attacker who enumerates instead of reasoning.

use super::*;
use proptest::prelude::*;

const TERMS: ReleaseTerms = ReleaseTerms { suppress_below: 5, cool_off_days: 28, totals: true };

fn day(days: u32) -> UtcTime {
    "2026-01-01T00:00:00Z".parse::<UtcTime>().unwrap().plus_hours(days * 24)
}
fn table(rows: usize, columns: usize, cells: &[u64]) -> CountTable {
    CountTable::new(rows, columns, cells.to_vec()).unwrap()
}
fn shown(release: &Release) -> Vec<String> {
    release.table().cells.iter().map(ToString::to_string).collect()
}
fn first(rows: usize, columns: usize, cells: &[u64]) -> Release {
    release(None, &table(rows, columns, cells), TERMS, day(0)).unwrap()
}

#[test]
fn small_is_hidden_the_rest_rounded_and_zero_is_zero() {
    let release = first(1, 4, &[0, 12, 13, 3]);
    assert_eq!(shown(&release)[..5], ["0", "10", "15", "c", "30"]);
}

#[test]
fn a_table_that_does_not_add_up_shows_no_totals_and_hides_nothing_for_their_sake() {
    let terms = ReleaseTerms { totals: false, ..TERMS };
    let release = release(None, &table(3, 1, &[3, 20, 41]), terms, day(0)).unwrap();
    assert_eq!(shown(&release), ["c", "c", "20", "c", "40", "c", "c", "c"]);
}

#[test]
fn a_small_count_beside_exact_zeros_hides_its_totals_or_a_neighbour() {
    // Two cells of four: "10" for the total would say four and four.
    let release = first(1, 2, &[4, 4]);
    assert_eq!(shown(&release)[..3], ["c", "c", "c"]);
    // The column totals repeat the only row and must not tell what the row hides.
    assert_eq!(shown(&release)[3..5], ["c", "c"]);
}

/// Every table an attacker thinks possible, by enumeration: cells free, totals computed and compared.
fn possible(release: &Release, free_max: u64) -> Vec<Vec<u64>> {
    let (rows, columns) = (release.table.rows as usize, release.table.columns as usize);
    let width = columns + 1;
    let choices = |at: usize| -> Vec<u64> {
        match release.table.cells[at] {
            PublishedCount::Small => (0..=free_max).collect(),
            PublishedCount::Rounded(0) => vec![0],
            PublishedCount::Rounded(value) => (value.saturating_sub(2).max(5)..=value + 2).collect(),
        }
    };
    let mut found = vec![Vec::new()];
    for at in (0..rows * columns).map(|n| n / columns * width + n % columns) {
        let small = (1..5).contains(&release.fixed[at]);
        let choices: Vec<u64> = if small { (1..5).collect() } else { choices(at) };
        found = found
            .iter()
            .flat_map(|begun: &Vec<u64>| choices.iter().map(move |c| [begun.as_slice(), &[*c]].concat()))
            .collect();
    }
    let fits = |cells: &Vec<u64>| {
        let grid = table(rows, columns, cells).with_totals();
        (0..grid.len()).all(|at| {
            let total = at % width == columns || at / width == rows;
            !total
                || match release.table.cells[at] {
                    PublishedCount::Small => true,
                    PublishedCount::Rounded(0) => grid[at] == 0,
                    PublishedCount::Rounded(value) => {
                        grid[at] >= 5 && (value.saturating_sub(2)..=value + 2).contains(&grid[at])
                    }
                }
        })
    };
    found.into_iter().filter(fits).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn an_attacker_who_tries_everything_cannot_narrow_a_small_count(
        cells in proptest::collection::vec(prop_oneof![Just(0u64), 1u64..5, 5u64..14], 4),
        tall in any::<bool>(),
    ) {
        let (rows, columns) = if tall { (1, 4) } else { (2, 2) };
        let release = first(rows, columns, &cells);
        let worlds = possible(&release, 16);
        prop_assert!(worlds.contains(&cells));
        for (at, _) in cells.iter().enumerate().filter(|(_, count)| (1..5).contains(*count)) {
            for value in 1..5 {
                prop_assert!(worlds.iter().any(|world| world[at] == value), "cell {} is never {}", at, value);
            }
        }
    }
}

#[test]
fn every_run_one_record_from_a_published_one_publishes_the_same_table() {
    let mut pairs = 0;
    for cells in (0..14u64.pow(3)).map(|n| [n % 14, n / 14 % 14, n / 196]) {
        let before = first(1, 3, &cells);
        for at in 0..3 {
            for other in [cells[at].checked_sub(1), Some(cells[at] + 1)].into_iter().flatten() {
                let mut next = cells;
                next[at] = other;
                let after = release(Some(&before), &table(1, 3, &next), TERMS, day(100)).unwrap();
                assert_eq!(after, before);
                pairs += 1;
            }
        }
    }
    assert_eq!(pairs, 3 * 14 * 14 * 27);
}

#[test]
fn a_figure_that_changes_speaks_of_five_records_and_nothing_moves_in_the_cool_off() {
    let mut now = first(2, 2, &[9, 20, 30, 40]);
    let mut changed = Vec::new();
    for step in 1..=40u64 {
        let counts = table(2, 2, &[9 + step, 20, 30, 40]);
        let soon =
            release(Some(&now), &counts, ReleaseTerms { cool_off_days: 28_000, ..TERMS }, day(27)).unwrap();
        assert_eq!(soon, now);
        let next = release(Some(&now), &counts, TERMS, day(28 * step as u32)).unwrap();
        if next != now {
            changed.push(step);
        }
        now = next;
    }
    assert_eq!(changed, [5, 10, 15, 20, 25, 30, 35, 40]);
}

#[test]
fn what_was_hidden_for_anothers_sake_stays_hidden_until_it_moves_itself() {
    let before = first(2, 2, &[4, 4, 4, 4]);
    let hidden = shown(&before);
    let after = release(Some(&before), &table(2, 2, &[4, 4, 4, 30]), TERMS, day(60)).unwrap();
    assert_eq!(shown(&after)[0..2], hidden[0..2]);
    assert_eq!(shown(&after)[4], "30");
}

#[test]
fn threshold_shape_and_size_are_checked() {
    assert!(CountTable::new(0, 1, vec![]).is_err());
    assert!(CountTable::new(2, 2, vec![1; 3]).is_err());
    assert!(CountTable::new(1, 1, vec![1 << 32]).is_err());
    let (before, one) = (first(1, 2, &[1, 2]), table(1, 1, &[9]));
    assert_eq!(release(Some(&before), &one, TERMS, day(0)), Err(SuppressError::OtherShape));
    let loose = ReleaseTerms { suppress_below: 4, ..TERMS };
    assert_eq!(release(None, &one, loose, day(0)), Err(SuppressError::Threshold));
    let strict = ReleaseTerms { suppress_below: 10, ..TERMS };
    let release = release(None, &table(1, 3, &[9, 40, 50]), strict, day(0)).unwrap();
    assert_eq!(shown(&release)[0], "c");
}

#[test]
fn a_table_of_a_city_is_quick_and_round_trips() {
    // 200 areas by 12 months, mostly small: the worst kind.
    let cells: Vec<u64> = (0..2_400u64).map(|n| n * 7_919 % 13).collect();
    let release = first(200, 12, &cells);
    assert!(shown(&release).iter().any(|figure| figure != "c"));
    let json = serde_json::to_string(&release).unwrap();
    assert_eq!(serde_json::from_str::<Release>(&json).unwrap(), release);
    assert_eq!(format!("{release:?}"), "Release(2026-01-01)");
}
