//! Re-linking after a change costs the change: k changed rows against the rest.
//!
//! May see: filters and row numbers. Must not see: refs, agencies, identifiers.

use super::arena::FilterTable;
use super::blocks::gather;
use super::exec::{Control, Exec};
use super::join::{JoinError, JoinMode, JoinOptions, Joined, Side, check, join};
use super::pairs::{Hit, Pairs};
use crate::wire::Threshold;

/// The pairs of a full join, from the `previous` ones and the rows that changed since (new, altered or
/// removed; a removed row is an empty filter). Row numbers are stable: see [`Pairs::renumber`].
///
/// `previous` must be complete (`pairs_dropped == 0`) and `options.top_k` must be `None`.
///
/// # Errors
/// As [`join`]; [`JoinError::Row`] for a changed row beyond its table.
pub fn update(
    previous: &Pairs,
    (a, changed_a): (&FilterTable, &[u32]),
    (b, changed_b): (&FilterTable, &[u32]),
    threshold: Threshold,
    options: &JoinOptions,
    exec: Exec<'_>,
    control: &Control,
) -> Result<Joined, JoinError> {
    if matches!(options.mode, JoinMode::Lsh { .. }) {
        return Err(JoinError::Option { name: "mode", range: "exact in a delta" });
    }
    if options.top_k.is_some() {
        return Err(JoinError::Option { name: "top_k", range: "none in a delta" });
    }
    check(a, b, options)?;
    let (stale_a, stale_b) = (marks(a, changed_a, Side::A)?, marks(b, changed_b, Side::B)?);
    for (side, table, rows) in [(Side::A, a, &previous.a), (Side::B, b, &previous.b)] {
        if let Some(row) = rows.iter().find(|row| **row as usize >= table.rows()) {
            return Err(JoinError::Row { side, row: *row });
        }
    }
    let fresh = |hit: &Hit| !stale_a[hit.a as usize] && !stale_b[hit.b as usize];
    let kept: Vec<Hit> = previous.hits().filter(fresh).collect();
    let (rows_a, rows_b) = (full_rows(a, &stale_a), full_rows(b, &stale_b));
    let (part_a, part_b) = (gather(a, &rows_a), gather(b, &rows_b));
    let mut parts = vec![kept];
    let mut joined = None;
    if !rows_a.is_empty() {
        let new = join(&part_a, b, threshold, options, exec, control)?;
        parts.push(new.pairs.hits().map(|hit| Hit { a: rows_a[hit.a as usize], ..hit }).collect());
        joined = Some(new);
    }
    if !rows_b.is_empty() {
        let new = join(a, &part_b, threshold, options, exec, control)?;
        let hits = new.pairs.hits().map(|hit| Hit { b: rows_b[hit.b as usize], ..hit });
        parts.push(hits.filter(|hit| !stale_a[hit.a as usize]).collect());
        joined = Some(match joined {
            Some(before) => before.with_work_of(&new),
            None => new,
        });
    }
    let mut joined = joined.unwrap_or_else(|| Joined::nothing(options.level));
    if parts.iter().map(|part| part.len() as u64).sum::<u64>() > options.pairs_max {
        return Err(JoinError::TooManyPairs { pairs_max: options.pairs_max, threshold });
    }
    joined.pairs = Pairs::from_hits(parts, || control.advance(0))?;
    Ok(joined)
}

/// Changed rows that have a bit set, ascending.
fn full_rows(table: &FilterTable, stale: &[bool]) -> Vec<u32> {
    let full = |row: &usize| stale[*row] && table.row(*row).iter().any(|word| *word != 0);
    (0..table.rows()).filter(full).map(|row| row as u32).collect()
}

fn marks(table: &FilterTable, rows: &[u32], side: Side) -> Result<Vec<bool>, JoinError> {
    let mut marks = vec![false; table.rows()];
    for row in rows {
        *marks.get_mut(*row as usize).ok_or(JoinError::Row { side, row: *row })? = true;
    }
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linkage::made_up::{Dice, noisy_copy, random};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn a_delta_gives_what_a_full_run_gives(seed in any::<u64>(), rows in 1usize..400, changes in 0usize..60) {
            let mut dice = Dice::new(seed);
            let mut a = random(&mut dice, rows, 2, 2);
            let mut b = noisy_copy(&mut dice, &a, rows + 3, 40);
            let (t, options, control) = ("0.75".parse().unwrap(), JoinOptions::default(), Control::new());
            let mut pairs = join(&a, &b, t, &options, Exec::Serial, &control).unwrap().pairs;
            for _ in 0..3 {
                let changed_a = change(&mut dice, &mut a, &b, changes);
                let changed_b = change(&mut dice, &mut b, &a, changes / 2);
                let delta =
                    update(&pairs, (&a, &changed_a), (&b, &changed_b), t, &options, Exec::Serial, &control);
                match join(&a, &b, t, &options, Exec::Serial, &control) {
                    Ok(full) => {
                        pairs = delta.unwrap().pairs;
                        prop_assert_eq!(&pairs, &full.pairs);
                    }
                    Err(refusal) => {
                        prop_assert_eq!(delta.unwrap_err(), refusal);
                        break;
                    }
                }
            }
        }
    }

    /// Some rows removed, some made anew, some copied from the other side; which ones.
    fn change(dice: &mut Dice, table: &mut FilterTable, other: &FilterTable, count: usize) -> Vec<u32> {
        let mut words = table.words().to_vec();
        let changed: Vec<u32> = (0..count).map(|_| dice.below(table.rows()) as u32).collect();
        for row in &changed {
            let fresh = match dice.below(3) {
                0 => [0, 0],
                1 => [dice.word(), dice.word()],
                _ => {
                    let row = other.row(dice.below(other.rows()));
                    [row[0], row[1]]
                }
            };
            words[2 * *row as usize..2 * *row as usize + 2].copy_from_slice(&fresh);
        }
        *table = FilterTable::new(words, 2);
        changed
    }

    #[test]
    fn rows_that_are_not_there_and_cut_results_are_refused() {
        let a = FilterTable::new(vec![1, 2], 1);
        let (t, control) = ("0.8".parse().unwrap(), Control::new());
        let run = |rows: &[u32], options: &JoinOptions| {
            update(&Pairs::default(), (&a, rows), (&a, &[]), t, options, Exec::Serial, &control)
        };
        assert_eq!(run(&[2], &JoinOptions::default()), Err(JoinError::Row { side: Side::A, row: 2 }));
        let cut = JoinOptions { top_k: Some(1), ..JoinOptions::default() };
        assert!(matches!(run(&[], &cut), Err(JoinError::Option { .. })));
        assert!(run(&[], &JoinOptions::default()).unwrap().pairs.is_empty());
    }
}
