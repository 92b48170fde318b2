//! The assignment of rows to columns with the largest total, in O(rows^2 * columns).
//!
//! Method: Kuhn 1955, Munkres 1957, in the form of shortest augmenting paths with potentials (Jonker
//! and Volgenant 1987). Integers, so the answer is exact.

/// For each row its column, all different; `gains` is row-major, `rows <= columns`. A gain of 0 stands
/// for "no edge": being assigned there means staying alone.
pub(super) fn assign(gains: &[i64], rows: usize, columns: usize) -> Vec<usize> {
    debug_assert!(rows <= columns && gains.len() == rows * columns);
    // Numbered from 1; row 0 and column 0 are sentinels of the search.
    let cost = |row: usize, column: usize| -gains[(row - 1) * columns + column - 1];
    let (mut of_row, mut of_column) = (vec![0i64; rows + 1], vec![0i64; columns + 1]);
    let mut row_of = vec![0usize; columns + 1];
    for row in 1..=rows {
        let mut came_from = vec![0usize; columns + 1];
        let mut slack = vec![i64::MAX; columns + 1];
        let mut visited = vec![false; columns + 1];
        row_of[0] = row;
        let mut column = 0;
        while row_of[column] != 0 {
            visited[column] = true;
            let current = row_of[column];
            let (mut step, mut next) = (i64::MAX, 0);
            for other in (1..=columns).filter(|other| !visited[*other]) {
                let reduced = cost(current, other) - of_row[current] - of_column[other];
                if reduced < slack[other] {
                    slack[other] = reduced;
                    came_from[other] = column;
                }
                if slack[other] < step {
                    (step, next) = (slack[other], other);
                }
            }
            for other in 0..=columns {
                if visited[other] {
                    of_row[row_of[other]] += step;
                    of_column[other] -= step;
                } else if other > 0 {
                    slack[other] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[came_from[column]];
            column = came_from[column];
        }
    }
    let mut column_of = vec![0; rows];
    for column in 1..=columns {
        if row_of[column] != 0 {
            column_of[row_of[column] - 1] = column - 1;
        }
    }
    column_of
}
