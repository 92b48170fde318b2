//! Coordinates of nodes from nothing but their similarities: the principal axes of the filters' bits.
//!
//! May see: filters. Two encodings of one population under different keys have the same inner products up to the hash's
//! chance, so their principal axes agree up to sign and small rotations: an embedding that needs no common key.

use super::super::dense::Side;
use super::super::draw::Draw;
use rayon::prelude::*;

/// A matrix of `rows` rows of `width` numbers.
#[derive(Clone)]
pub(in super::super) struct Points {
    pub(in super::super) values: Vec<f32>,
    pub(in super::super) width: usize,
}

impl Points {
    pub(super) fn rows(&self) -> usize {
        self.values.len() / self.width.max(1)
    }
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }
    /// The first `width` columns.
    pub(super) fn cut(&self, width: usize) -> Self {
        let values = self.values.chunks_exact(self.width).flat_map(|row| &row[..width]).copied().collect();
        Self { values, width }
    }
}

/// Multiplications of the bits' matrix with itself: enough for the leading axes to settle.
const ITERATIONS: usize = 14;
/// Axes beyond those asked for, so that the last of them settle too.
const SPARE_AXES: usize = 12;

/// The `axes` leading principal coordinates of a side's nodes, largest variance first, of any sign.
pub(super) fn principal(side: &Side<'_>, axes: usize, seed: &str) -> Points {
    let bits = side.centred_bits();
    let (nodes, length) = (side.len(), bits.width);
    let width = (axes + SPARE_AXES).min(length).min(nodes);
    let mut draw = Draw::new(seed, "principal axes");
    let mut basis = Points { values: (0..length * width).map(|_| draw.centred()).collect(), width };
    orthonormalise(&mut basis);
    let mut scores = times(&bits, &basis);
    for _ in 0..ITERATIONS {
        basis = transposed_times(&bits, &scores);
        orthonormalise(&mut basis);
        scores = times(&bits, &basis);
    }
    rotate_to_axes(&mut scores);
    scores.cut(axes.min(width))
}

/// `a` times `b`: rows of `a` by columns of `b`.
pub(super) fn times(a: &Points, b: &Points) -> Points {
    let mut values = vec![0.0f32; a.rows() * b.width];
    values.par_chunks_mut(b.width).zip(a.values.par_chunks(a.width)).for_each(|(out, row)| {
        for (x, b_row) in row.iter().zip(b.values.chunks_exact(b.width)) {
            out.iter_mut().zip(b_row).for_each(|(out, y)| *out += x * y);
        }
    });
    Points { values, width: b.width }
}

/// The transpose of `a` times `b`, summed in fixed blocks so that it is the same for any number of threads.
pub(super) fn transposed_times(a: &Points, b: &Points) -> Points {
    const BLOCK: usize = 512;
    let blocks: Vec<Vec<f32>> = (0..a.rows().div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let mut sum = vec![0.0f32; a.width * b.width];
            for row in block * BLOCK..((block + 1) * BLOCK).min(a.rows()) {
                let b_row = b.row(row);
                for (x, out) in a.row(row).iter().zip(sum.chunks_exact_mut(b.width)) {
                    out.iter_mut().zip(b_row).for_each(|(out, y)| *out += x * y);
                }
            }
            sum
        })
        .collect();
    let mut values = vec![0.0f32; a.width * b.width];
    blocks.iter().for_each(|block| values.iter_mut().zip(block).for_each(|(sum, x)| *sum += x));
    Points { values, width: b.width }
}

/// Gram-Schmidt over the columns, twice for the sake of rounding.
fn orthonormalise(points: &mut Points) {
    let width = points.width;
    let mut columns: Vec<Vec<f32>> =
        (0..width).map(|at| points.values.iter().skip(at).step_by(width).copied().collect()).collect();
    for at in 0..width {
        let (done, rest) = columns.split_at_mut(at);
        for _ in 0..2 {
            for other in done.iter() {
                let dot = dot(other, &rest[0]);
                rest[0].iter_mut().zip(other).for_each(|(x, y)| *x -= dot * y);
            }
        }
        let norm = dot(&rest[0], &rest[0]).sqrt().max(f32::MIN_POSITIVE);
        rest[0].iter_mut().for_each(|x| *x /= norm);
    }
    for (at, column) in columns.iter().enumerate() {
        points.values.iter_mut().skip(at).step_by(width).zip(column).for_each(|(out, x)| *out = *x);
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Turns scores so that their columns are uncorrelated, of falling variance (Jacobi rotations on their Gram matrix).
fn rotate_to_axes(scores: &mut Points) {
    let width = scores.width;
    let gram = transposed_times(scores, scores);
    let mut a: Vec<f64> = gram.values.iter().map(|x| f64::from(*x)).collect();
    let mut turn = vec![0.0f64; width * width];
    (0..width).for_each(|at| turn[at * width + at] = 1.0);
    for _ in 0..12 {
        for p in 0..width {
            for q in p + 1..width {
                jacobi(&mut a, &mut turn, width, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|x, y| a[y * width + y].total_cmp(&a[x * width + x]));
    let mut basis = vec![0.0f32; width * width];
    for (to, from) in order.iter().enumerate() {
        (0..width).for_each(|row| basis[row * width + to] = turn[row * width + from] as f32);
    }
    *scores = times(scores, &Points { values: basis, width });
}

fn jacobi(a: &mut [f64], turn: &mut [f64], n: usize, p: usize, q: usize) {
    let off = a[p * n + q];
    if off.abs() < 1e-12 * (a[p * n + p] * a[q * n + q]).abs().sqrt().max(1e-300) {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let t = if theta == 0.0 { 1.0 } else { t };
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..n {
        let (x, y) = (a[k * n + p], a[k * n + q]);
        (a[k * n + p], a[k * n + q]) = (c * x - s * y, s * x + c * y);
    }
    for k in 0..n {
        let (x, y) = (a[p * n + k], a[q * n + k]);
        (a[p * n + k], a[q * n + k]) = (c * x - s * y, s * x + c * y);
        let (x, y) = (turn[k * n + p], turn[k * n + q]);
        (turn[k * n + p], turn[k * n + q]) = (c * x - s * y, s * x + c * y);
    }
}

/// The orthogonal matrix nearest to a square one (Newton-Schulz iteration on it divided by its norm).
pub(super) fn nearest_orthogonal(matrix: &Points) -> Points {
    let norm = matrix.values.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    let scale = (matrix.width as f32).sqrt() / norm;
    // Singular values must stay below the square root of three; the Frobenius norm bounds the largest.
    let scale = scale.min(1.0 / norm * 1.7).max(1.0 / norm);
    let mut x = Points { values: matrix.values.iter().map(|v| v * scale).collect(), width: matrix.width };
    for _ in 0..40 {
        let gram = transposed_times(&x, &x);
        let cubed = times(&x, &gram);
        x.values.iter_mut().zip(&cubed.values).for_each(|(x, c)| *x = 1.5 * *x - 0.5 * c);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orthogonal_matrix_is_found_again() {
        let (c, s) = (0.6f32, 0.8f32);
        let stretched = Points { values: vec![3.0 * c, -1.5 * s, 3.0 * s, 1.5 * c], width: 2 };
        let found = nearest_orthogonal(&stretched);
        for (x, y) in found.values.iter().zip([c, -s, s, c]) {
            assert!((x - y).abs() < 1e-4, "{:?}", found.values);
        }
    }

    #[test]
    fn scores_become_uncorrelated_and_sorted() {
        let mut draw = Draw::new("spectral", "test");
        let values = (0..300).flat_map(|_| {
            let (x, y, z) = (draw.centred(), 5.0 * draw.centred(), 0.1 * draw.centred());
            [x + y, y - x, z + y]
        });
        let mut points = Points { values: values.collect(), width: 3 };
        rotate_to_axes(&mut points);
        let gram = transposed_times(&points, &points);
        assert!(gram.values[0] > gram.values[4] && gram.values[4] > gram.values[8]);
        assert!(gram.values[1].abs() < 1e-2 * gram.values[4], "{:?}", gram.values);
    }
}
