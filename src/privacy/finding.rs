//! What an attack found: successes of trials with their interval, beside what knowing nothing would give.
//!
//! May see: counts. Must not see: who was found.

use serde::Serialize;

/// What the figure of a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Share of trials that succeeded.
    Share,
    /// Area under the curve: chance that a random member of one class ranks before one of the other; .5 says nothing.
    Auc,
    /// Absolute value of a coefficient of correlation; 0 says nothing.
    Correlation,
}

/// What a bar says of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// No bar: shown for comparison.
    NoBar,
    /// On the right side of the bar.
    Holds,
    /// On the wrong side, but the interval reaches over the bar: too few trials to tell.
    Undecided,
    /// On the wrong side with its whole interval.
    Fails,
}

/// The result of one attack in one setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The attack, as in docs/privacy.md (`matched-filter`).
    pub attack: &'static str,
    /// What the attacker knows in this run, in words.
    pub setting: String,
    /// What `value` is.
    pub measure: Measure,
    /// Successes; 0 where the measure is no share.
    pub successes: u64,
    /// Trials: children, guesses, values or pairs, by the attack.
    pub trials: u64,
    /// The figure.
    pub value: f64,
    /// Lower end of its 95 % interval (Wilson 1927 for shares).
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// What an attacker without the encodings would reach.
    pub baseline: f64,
    /// The declared bar: the figure should not be above it; none where the attack is shown for comparison.
    pub bar: Option<f64>,
    /// Whether the bar asks for the attack to *succeed* (a leaked key must open everything, or the attack is broken).
    pub must_succeed: bool,
}

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_964;

/// The 95 % interval of a share (Wilson 1927).
#[must_use]
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let (z2, scale) = (Z * Z, 1.0 + Z * Z / n);
    let middle = (p + z2 / (2.0 * n)) / scale;
    let half = Z / scale * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

impl Finding {
    /// A share of trials.
    #[must_use]
    pub fn share(
        attack: &'static str,
        setting: impl Into<String>,
        hits: u64,
        trials: u64,
        baseline: f64,
    ) -> Self {
        let (low, high) = wilson(hits, trials);
        Self {
            attack,
            setting: setting.into(),
            measure: Measure::Share,
            successes: hits,
            trials,
            value: if trials == 0 { 0.0 } else { hits as f64 / trials as f64 },
            low,
            high,
            baseline,
            bar: None,
            must_succeed: false,
        }
    }

    /// How well `of` ranks before `against`, whichever way round; interval by the normal approximation of the rank sum.
    #[must_use]
    pub fn auc(attack: &'static str, setting: impl Into<String>, of: &[f64], against: &[f64]) -> Self {
        let (m, n) = (of.len() as f64, against.len() as f64);
        let raw = rank_auc(of, against);
        let value = raw.max(1.0 - raw);
        let half = if m * n > 0.0 { Z * ((m + n + 1.0) / (12.0 * m * n)).sqrt() } else { 0.5 };
        Self {
            measure: Measure::Auc,
            value,
            low: (value - half).max(0.0),
            high: (value + half).min(1.0),
            ..Self::share(attack, setting, 0, (of.len() + against.len()) as u64, 0.5)
        }
    }

    /// The absolute correlation of paired values; interval by Fisher's z.
    #[must_use]
    pub fn correlation(attack: &'static str, setting: impl Into<String>, pairs: &[(f64, f64)]) -> Self {
        let r = pearson(pairs).abs();
        let half = if pairs.len() > 3 { Z / (pairs.len() as f64 - 3.0).sqrt() } else { f64::INFINITY };
        let z = r.min(0.999_999).atanh();
        Self {
            measure: Measure::Correlation,
            value: r,
            low: (z - half).tanh().max(0.0),
            high: (z + half).tanh(),
            ..Self::share(attack, setting, 0, pairs.len() as u64, 0.0)
        }
    }

    /// With a bar that the figure should not pass.
    #[must_use]
    pub fn with_bar(mut self, bar: Option<f64>) -> Self {
        self.bar = bar;
        self
    }

    /// With a bar that the figure must reach: a control of the attack itself.
    #[must_use]
    pub fn that_must_reach(mut self, bar: f64) -> Self {
        (self.bar, self.must_succeed) = (Some(bar), true);
        self
    }

    /// What the bar says of the figure.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let Some(bar) = self.bar else { return Standing::NoBar };
        let (beyond, surely) = if self.must_succeed {
            (self.value < bar, self.high < bar)
        } else {
            (self.value > bar, self.low > bar)
        };
        match (beyond, surely) {
            (false, _) => Standing::Holds,
            (true, true) => Standing::Fails,
            (true, false) => Standing::Undecided,
        }
    }

    /// Whether the bar is kept. What is not decided is kept by a quick run only: there are too few trials to decide by.
    #[must_use]
    pub fn holds(&self, quick: bool) -> bool {
        match self.standing() {
            Standing::NoBar | Standing::Holds => true,
            Standing::Undecided => quick,
            Standing::Fails => false,
        }
    }
}

fn pearson(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len().max(1) as f64;
    let (sx, sy) = pairs.iter().fold((0.0, 0.0), |(x, y), pair| (x + pair.0, y + pair.1));
    let (mx, my) = (sx / n, sy / n);
    let mut sums = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        let (dx, dy) = (x - mx, y - my);
        sums = (sums.0 + dx * dy, sums.1 + dx * dx, sums.2 + dy * dy);
    }
    if sums.1 * sums.2 > 0.0 { sums.0 / (sums.1 * sums.2).sqrt() } else { 0.0 }
}

/// Chance that a value of `of` is above one of `against`, ties counting half.
fn rank_auc(of: &[f64], against: &[f64]) -> f64 {
    if of.is_empty() || against.is_empty() {
        return 0.5;
    }
    let mut sorted = against.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let above = |x: &f64| {
        let below = sorted.partition_point(|y| y < x);
        let not_above = sorted.partition_point(|y| y <= x);
        (below + not_above) as f64 / 2.0
    };
    of.iter().map(above).sum::<f64>() / (of.len() * sorted.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_textbook() {
        // Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (hits, trials, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let found = wilson(hits, trials);
            assert!((found.0 - low).abs() < 5e-5 && (found.1 - high).abs() < 5e-5, "{found:?}");
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        // Rounding leaves a hair above zero; a bar of zero must hold all the same.
        let none = |trials| Finding::share("x", "", 0, trials, 0.0).with_bar(Some(0.0)).standing();
        assert!((1..5_000).all(|trials| none(trials) == Standing::Holds));
    }

    #[test]
    fn a_bar_is_an_upper_bound_unless_the_attack_must_succeed() {
        let finding = Finding::share("x", "", 300, 1_000, 0.1);
        let with = |bar| finding.clone().with_bar(Some(bar)).standing();
        assert_eq!(finding.standing(), Standing::NoBar);
        assert_eq!(
            [with(0.3), with(0.29), with(0.25)],
            [Standing::Holds, Standing::Undecided, Standing::Fails]
        );
        let reach = |bar| finding.clone().that_must_reach(bar).standing();
        assert_eq!(
            [reach(0.3), reach(0.31), reach(0.4)],
            [Standing::Holds, Standing::Undecided, Standing::Fails]
        );
    }

    #[test]
    fn ranks_and_correlations() {
        let auc = |a: &[f64], b: &[f64]| Finding::auc("x", "", a, b).value;
        assert!((auc(&[2.0, 3.0], &[0.0, 1.0]) - 1.0).abs() < 1e-12);
        assert!((auc(&[0.0, 1.0], &[2.0, 3.0]) - 1.0).abs() < 1e-12);
        assert!((auc(&[1.0, 1.0], &[1.0]) - 0.5).abs() < 1e-12);
        let line: Vec<(f64, f64)> = (0..50).map(|i| (f64::from(i), 3.0 - f64::from(i))).collect();
        assert!(Finding::correlation("x", "", &line).value > 0.999);
    }
}
