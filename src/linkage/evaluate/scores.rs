//! Scores of right and wrong links: the threshold curve, bins for a histogram, groups for calibration.
//!
//! May see: scores and whether each link is right. Must not see: records.

use super::Counts;
use serde::Serialize;

/// Points of the threshold curve at most.
pub(super) const CURVE_POINTS_MAX: usize = 200;
/// Bins of the histogram at most.
const BINS_MAX: i64 = 48;
/// Groups at most; each spans at least so small a part of all scores.
const GROUPS: i64 = 16;
/// Links in each group at least, the last apart: fewer say little.
const GROUP_LINKS_MIN: u64 = 30;

/// One point of the threshold curve: all links with a score of at least `score`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CurvePoint {
    /// The threshold.
    pub score: i64,
    /// Counts at it.
    pub counts: Counts,
}

/// Right and wrong links by score, in bins of equal width; bin k begins at `from + k * width`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ScoreBins {
    /// Lowest score of the first bin.
    pub from: i64,
    /// Width of each bin, in the unit of the scores.
    pub width: i64,
    /// Right links per bin.
    pub right: Vec<u64>,
    /// Wrong links per bin.
    pub wrong: Vec<u64>,
}

/// Links of neighbouring scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ScoreGroup {
    /// Lowest score.
    pub lowest: i64,
    /// Highest score.
    pub highest: i64,
    /// Mean score, rounded down.
    pub mean: i64,
    /// Links in it.
    pub links: u64,
    /// Those that are right.
    pub right: u64,
}

/// Precision and recall at every threshold, highest first; both ends are kept where points are left out.
pub(super) fn curve(scored: &mut [(i64, bool)], truth: u64) -> Vec<CurvePoint> {
    scored.sort_unstable_by_key(|(score, _)| std::cmp::Reverse(*score));
    let mut points = Vec::new();
    let mut counts = Counts { truth, ..Counts::default() };
    for block in scored.chunk_by(|one, other| one.0 == other.0) {
        block.iter().for_each(|(_, correct)| counts.add_link(*correct));
        points.push(CurvePoint { score: block[0].0, counts });
    }
    if points.len() <= CURVE_POINTS_MAX {
        return points;
    }
    let last = points.len() - 1;
    (0..CURVE_POINTS_MAX).map(|at| points[at * last / (CURVE_POINTS_MAX - 1)]).collect()
}

/// Bins whose width is 1, 2 or 5 times a power of ten.
pub(super) fn bins(scored: &[(i64, bool)]) -> ScoreBins {
    let scores = scored.iter().map(|(score, _)| *score);
    let (Some(low), Some(high)) = (scores.clone().min(), scores.max()) else { return ScoreBins::default() };
    let least = (high.saturating_sub(low) / BINS_MAX).max(0) + 1;
    let mut width = 1i64;
    while width < least {
        // 1, 2, 5, 10, 20, 50 ...
        let twice = width.to_string().starts_with('2');
        width = if twice { width / 2 * 5 } else { width * 2 };
    }
    let from = low.div_euclid(width) * width;
    let count = usize::try_from((high - from) / width + 1).unwrap_or(1);
    let mut bins = ScoreBins { from, width, right: vec![0; count], wrong: vec![0; count] };
    for (score, right) in scored {
        let bin = usize::try_from((score - from) / width).unwrap_or_default();
        *(if *right { &mut bins.right } else { &mut bins.wrong }).get_mut(bin).unwrap_or(&mut 0) += 1;
    }
    bins
}

/// Groups from the lowest score to the highest, about equally wide; a group with few links takes in its
/// neighbour, and equal scores stay together. `scored` falls.
pub(super) fn groups(scored: &[(i64, bool)]) -> Vec<ScoreGroup> {
    let ends = scored.first().zip(scored.last());
    let width = ends.map_or(0, |(highest, lowest)| highest.0.saturating_sub(lowest.0) / GROUPS);
    let blocks: Vec<&[(i64, bool)]> = scored.chunk_by(|one, other| one.0 == other.0).collect();
    let mut groups: Vec<ScoreGroup> = Vec::new();
    let mut sum = 0i128;
    for block in blocks.into_iter().rev() {
        let score = block[0].0;
        let (links, right) = (block.len() as u64, block.iter().filter(|(_, right)| *right).count() as u64);
        let open = |group: &&mut ScoreGroup| group.links < GROUP_LINKS_MIN || score - group.lowest <= width;
        match groups.last_mut().filter(open) {
            Some(group) => {
                (group.highest, group.links, group.right) = (score, group.links + links, group.right + right);
                sum += i128::from(score) * i128::from(links);
                group.mean = i64::try_from(sum.div_euclid(i128::from(group.links))).unwrap_or(score);
            }
            None => {
                sum = i128::from(score) * i128::from(links);
                groups.push(ScoreGroup { lowest: score, highest: score, mean: score, links, right });
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_keeps_both_ends() {
        let mut scored: Vec<(i64, bool)> = (0..1_000).map(|score| (score, score % 3 > 0)).collect();
        let points = curve(&mut scored, 2_000);
        assert_eq!(points.len(), CURVE_POINTS_MAX);
        assert_eq!((points[0].score, points[CURVE_POINTS_MAX - 1].score), (999, 0));
        assert_eq!(points[CURVE_POINTS_MAX - 1].counts.links, 1_000);
    }

    #[test]
    fn every_link_stands_in_one_bin() {
        let scored: Vec<(i64, bool)> = (-731..1_900).map(|score| (score, score % 7 > 0)).collect();
        let bins = bins(&scored);
        assert_eq!((bins.from, bins.width), (-800, 100));
        let right = scored.iter().filter(|(_, right)| *right).count() as u64;
        assert_eq!(bins.right.iter().sum::<u64>(), right);
        assert_eq!(bins.wrong.iter().sum::<u64>(), scored.len() as u64 - right);
        assert_eq!(bins.right[0] + bins.wrong[0], 31, "-731 to -701");
        assert_eq!(super::bins(&[]), ScoreBins::default());
        assert_eq!(super::bins(&[(5, true)]).right, [1]);
    }

    #[test]
    fn groups_have_a_width_and_some_links_and_never_part_equal_scores() {
        // Scores 0 to 159, one link each up to 79 and ten each from there on; every other link is right.
        let scores = (0..160i64).flat_map(|score| vec![score; if score < 80 { 1 } else { 10 }]);
        let mut scored: Vec<(i64, bool)> =
            (0u32..).zip(scores).map(|(at, score)| (score, at % 2 == 0)).collect();
        scored.reverse();
        let groups = groups(&scored);
        assert_eq!(groups.iter().map(|group| group.links).sum::<u64>(), scored.len() as u64);
        assert!(groups.windows(2).all(|pair| pair[0].highest < pair[1].lowest));
        let sound = |group: &ScoreGroup| group.links >= GROUP_LINKS_MIN && group.highest - group.lowest >= 9;
        assert!(groups[..groups.len() - 1].iter().all(sound), "the last is what remains");
        assert_eq!((groups[0].lowest, groups[0].highest, groups[0].mean, groups[0].links), (0, 29, 14, 30));
        assert_eq!(groups.last().map(|group| (group.links, group.right)), Some((90, 45)));
        assert!(super::groups(&[]).is_empty());
    }
}
