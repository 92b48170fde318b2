//! The exact audit: can a cell take a value without contradicting anything that is shown?
//!
//! A table with totals is a flow: source -> rows -> columns -> sink -> source, one edge a figure, each with the
//! bounds a reader concludes. The true table is one flow within the bounds; another value of a cell is
//! possible exactly if the difference can be led round the rest of the network (Ford and Fulkerson;
//! whole-number bounds give whole-number flows, so nothing is lost by counting in ones).

use std::collections::VecDeque;

/// Smallest and largest count a reader thinks possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) low: u64,
    pub(super) high: u64,
}

struct Edge {
    from: usize,
    to: usize,
    bounds: Bounds,
    flow: u64,
}

/// The network of one table; edge numbers are positions of the grid with totals.
pub(super) struct Flow {
    edges: Vec<Edge>,
    /// Edges at each node.
    at_node: Vec<Vec<usize>>,
}

impl Flow {
    /// The true table `exact` (with totals, row by row) under `bounds` of each position.
    pub(super) fn new(rows: usize, columns: usize, exact: &[u64], bounds: &[Bounds]) -> Self {
        let (source, sink) = (rows + columns, rows + columns + 1);
        let mut at_node = vec![Vec::new(); sink + 1];
        let ends = |at: usize| match (at / (columns + 1), at % (columns + 1)) {
            (row, column) if row == rows && column == columns => (sink, source),
            (row, column) if row == rows => (rows + column, sink),
            (row, column) if column == columns => (source, row),
            (row, column) => (row, rows + column),
        };
        let edge = |(at, (flow, bounds)): (usize, (&u64, &Bounds))| {
            let (from, to) = ends(at);
            Edge { from, to, bounds: *bounds, flow: *flow }
        };
        let edges: Vec<Edge> = exact.iter().zip(bounds).enumerate().map(edge).collect();
        for (at, edge) in edges.iter().enumerate() {
            at_node[edge.from].push(at);
            at_node[edge.to].push(at);
        }
        Self { edges, at_node }
    }

    /// Changes what a reader thinks possible at one position.
    pub(super) fn set_bounds(&mut self, at: usize, bounds: Bounds) {
        self.edges[at].bounds = bounds;
    }

    /// Whether position `at` can have `value` in some table within all bounds.
    pub(super) fn can_reach(&self, at: usize, value: u64) -> bool {
        let Edge { from, to, bounds, flow } = self.edges[at];
        if value < bounds.low || value > bounds.high {
            return false;
        }
        let mut flows: Vec<u64> = self.edges.iter().map(|edge| edge.flow).collect();
        // More through the edge must come back from its head to its tail, less the other way.
        let (start, end) = if value > flow { (to, from) } else { (from, to) };
        let mut missing = value.abs_diff(flow);
        while missing > 0 {
            let Some(path) = self.path(&flows, at, start, end) else { return false };
            let room = path.iter().map(|(edge, forward)| self.room(&flows, *edge, *forward)).min();
            let led = room.unwrap_or(0).min(missing);
            for (edge, forward) in path {
                flows[edge] = if forward { flows[edge] + led } else { flows[edge] - led };
            }
            missing -= led;
        }
        true
    }

    fn room(&self, flows: &[u64], edge: usize, forward: bool) -> u64 {
        let bounds = self.edges[edge].bounds;
        if forward { bounds.high.saturating_sub(flows[edge]) } else { flows[edge].saturating_sub(bounds.low) }
    }

    /// A shortest way from `start` to `end` with room on every edge, not using `without`.
    fn path(&self, flows: &[u64], without: usize, start: usize, end: usize) -> Option<Vec<(usize, bool)>> {
        let mut came: Vec<Option<(usize, bool)>> = vec![None; self.at_node.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            if node == end {
                break;
            }
            for &edge in self.at_node[node].iter().filter(|edge| **edge != without) {
                let forward = self.edges[edge].from == node;
                let next = if forward { self.edges[edge].to } else { self.edges[edge].from };
                if next != start && came[next].is_none() && self.room(flows, edge, forward) > 0 {
                    came[next] = Some((edge, forward));
                    queue.push_back(next);
                }
            }
        }
        let mut path = Vec::new();
        let mut node = end;
        while node != start {
            let (edge, forward) = came[node]?;
            path.push((edge, forward));
            node = if forward { self.edges[edge].from } else { self.edges[edge].to };
        }
        Some(path)
    }
}
