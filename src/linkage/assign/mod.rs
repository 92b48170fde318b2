//! One record per agency per child: a one-to-one choice among the edges between two datasets.
//!
//! May see: numbers. Must not see: encodings, refs, agencies.
//!
//! Greedy in the order of the edges (best first, ties already broken by the caller) is O(E) after the
//! sort. It can miss the best total, so each connected component in which it might is solved exactly
//! (Hungarian method); the exact choice replaces the greedy one only where its total is strictly
//! better. Components over the cap keep the greedy choice and are counted.

mod hungarian;

/// Records of one component over both datasets up to which it is solved exactly, unless told otherwise.
pub const COMPONENT_RECORDS_MAX_DEFAULT: u32 = 256;

/// One edge: record of the first dataset, record of the second, gain (at least 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Record of the first dataset.
    pub a: u32,
    /// Record of the second dataset.
    pub b: u32,
    /// What choosing it adds to the total; larger is better, at least 1.
    pub gain: i64,
}

/// The chosen edges and what they cost to find.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assignment {
    /// Positions of the chosen edges, ascending.
    pub chosen: Vec<u32>,
    /// Components where the exact choice is better than the greedy one.
    pub components_improved: u64,
    /// Components too large to solve exactly: they keep the greedy choice.
    pub components_over_cap: u64,
}

/// Chooses edges so that no record stands in two.
///
/// `edges` are sorted best first in a total order, none twice; `records_a` and `records_b` bound their
/// numbers. Components of more than `component_records_max` records keep the greedy choice (0: all do).
#[must_use]
pub fn one_to_one(
    edges: &[Candidate],
    records_a: usize,
    records_b: usize,
    component_records_max: u32,
) -> Assignment {
    let mut taken = greedy(edges, records_a, records_b);
    let mut assignment = Assignment::default();
    if component_records_max > 0 {
        for component in components(edges, records_a, records_b) {
            settle(edges, &component, component_records_max, &mut taken, &mut assignment);
        }
    }
    let chosen = taken.iter().enumerate().filter(|(_, taken)| **taken);
    assignment.chosen = chosen.filter_map(|(edge, _)| u32::try_from(edge).ok()).collect();
    assignment
}

fn greedy(edges: &[Candidate], records_a: usize, records_b: usize) -> Vec<bool> {
    let (mut used_a, mut used_b) = (vec![false; records_a], vec![false; records_b]);
    let choose = |edge: &Candidate| {
        let (a, b) = (edge.a as usize, edge.b as usize);
        let free = !used_a[a] && !used_b[b];
        if free {
            used_a[a] = true;
            used_b[b] = true;
        }
        free
    };
    edges.iter().map(choose).collect()
}

/// Edge positions of each connected component in which greedy could be wrong: at least three edges and
/// two records on either side. In the order of their best edge.
fn components(edges: &[Candidate], records_a: usize, records_b: usize) -> Vec<Vec<u32>> {
    let mut parent: Vec<u32> = (0..u32::try_from(records_a + records_b).unwrap_or(u32::MAX)).collect();
    let offset = u32::try_from(records_a).unwrap_or(u32::MAX);
    for edge in edges {
        let (left, right) = (find(&mut parent, edge.a), find(&mut parent, offset + edge.b));
        parent[left.max(right) as usize] = left.min(right);
    }
    let mut edges_of: Vec<u32> = vec![0; records_a];
    for edge in edges {
        edges_of[find(&mut parent, edge.a) as usize] += 1;
    }
    const NONE: u32 = u32::MAX;
    let mut place: Vec<u32> = vec![NONE; records_a];
    let mut components: Vec<Vec<u32>> = Vec::new();
    for (at, edge) in (0u32..).zip(edges) {
        let root = find(&mut parent, edge.a) as usize;
        if edges_of[root] >= 3 {
            if place[root] == NONE {
                place[root] = u32::try_from(components.len()).unwrap_or(NONE);
                components.push(Vec::with_capacity(edges_of[root] as usize));
            }
            components[place[root] as usize].push(at);
        }
    }
    components
}

/// Root of a record in a union-find forest whose roots are the smallest numbers; halves paths.
pub(super) fn find(parent: &mut [u32], mut node: u32) -> u32 {
    while parent[node as usize] != node {
        let up = parent[parent[node as usize] as usize];
        parent[node as usize] = up;
        node = up;
    }
    node
}

fn settle(
    edges: &[Candidate],
    component: &[u32],
    records_max: u32,
    taken: &mut [bool],
    assignment: &mut Assignment,
) {
    let at = |edge: &u32| edges[*edge as usize];
    let left = distinct(component.iter().map(|edge| at(edge).a));
    let right = distinct(component.iter().map(|edge| at(edge).b));
    let place = |records: &[u32], record: u32| records.partition_point(|other| *other < record);
    let greedy_total: i64 = component.iter().filter(|e| taken[**e as usize]).map(|e| at(e).gain).sum();
    // No choice beats the best gain of each record of either side.
    let (mut best_a, mut best_b) = (vec![0; left.len()], vec![0; right.len()]);
    for edge in component.iter().map(at) {
        let (a, b) = (&mut best_a[place(&left, edge.a)], &mut best_b[place(&right, edge.b)]);
        (*a, *b) = (edge.gain.max(*a), edge.gain.max(*b));
    }
    if greedy_total >= best_a.iter().sum::<i64>().min(best_b.iter().sum()) {
        return;
    }
    if left.len() + right.len() > records_max as usize {
        assignment.components_over_cap += 1;
        return;
    }
    // Rows are the smaller side: the method is quadratic in rows.
    let crosswise = left.len() > right.len();
    let (rows, columns) = if crosswise { (right.len(), left.len()) } else { (left.len(), right.len()) };
    let mut gains = vec![0i64; rows * columns];
    let cell = |edge: Candidate| {
        let (a, b) = (place(&left, edge.a), place(&right, edge.b));
        if crosswise { b * columns + a } else { a * columns + b }
    };
    component.iter().for_each(|edge| gains[cell(at(edge))] = at(edge).gain);
    let partner = hungarian::assign(&gains, rows, columns);
    let best = |edge: &u32| partner[cell(at(edge)) / columns] == cell(at(edge)) % columns;
    let exact_total: i64 = component.iter().filter(|edge| best(edge)).map(|edge| at(edge).gain).sum();
    if exact_total > greedy_total {
        component.iter().for_each(|edge| taken[*edge as usize] = best(edge));
        assignment.components_improved += 1;
    }
}

/// The distinct records, ascending.
fn distinct(records: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut records: Vec<u32> = records.collect();
    records.sort_unstable();
    records.dedup();
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edge(a: u32, b: u32, gain: i64) -> Candidate {
        Candidate { a, b, gain }
    }

    /// The best total over all one-to-one choices, by trying them all.
    fn best_total(edges: &[Candidate]) -> i64 {
        let Some((first, rest)) = edges.split_first() else { return 0 };
        let apart: Vec<_> = rest.iter().filter(|e| e.a != first.a && e.b != first.b).copied().collect();
        best_total(rest).max(first.gain + best_total(&apart))
    }

    fn total(edges: &[Candidate], chosen: &[u32]) -> i64 {
        chosen.iter().map(|at| edges[*at as usize].gain).sum()
    }

    #[test]
    fn the_exact_choice_replaces_a_worse_greedy_one() {
        let edges = [edge(0, 0, 10), edge(0, 1, 9), edge(1, 0, 9)];
        let exact = one_to_one(&edges, 2, 2, 64);
        assert_eq!((exact.chosen, exact.components_improved), (vec![1, 2], 1));
        assert_eq!(one_to_one(&edges, 2, 2, 0).chosen, [0]);
        let capped = one_to_one(&edges, 2, 2, 3);
        assert_eq!((capped.chosen, capped.components_over_cap), (vec![0], 1));
    }

    #[test]
    fn ties_keep_the_greedy_choice() {
        let edges = [edge(0, 0, 5), edge(0, 1, 5), edge(1, 0, 5), edge(1, 1, 5)];
        assert_eq!(one_to_one(&edges, 2, 2, 64).chosen, [0, 3]);
    }

    #[test]
    fn no_edge_no_choice() {
        assert_eq!(one_to_one(&[], 0, 0, 64), Assignment::default());
    }

    proptest! {
        #[test]
        fn one_to_one_and_of_the_best_total(raw in prop::collection::vec((0u32..5, 0u32..6, 1i64..9), 0..11)) {
            let mut edges: Vec<Candidate> = raw.into_iter().map(|(a, b, gain)| edge(a, b, gain)).collect();
            edges.sort_by_key(|e| (e.a, e.b));
            edges.dedup_by_key(|e| (e.a, e.b));
            edges.sort_by_key(|e| (-e.gain, e.a, e.b));
            let assignment = one_to_one(&edges, 5, 6, 64);
            let (mut used_a, mut used_b) = ([false; 5], [false; 6]);
            for at in &assignment.chosen {
                let e = edges[*at as usize];
                prop_assert!(!used_a[e.a as usize] && !used_b[e.b as usize], "a record stands in two links");
                (used_a[e.a as usize], used_b[e.b as usize]) = (true, true);
            }
            prop_assert_eq!(total(&edges, &assignment.chosen), best_total(&edges));
        }
    }
}
