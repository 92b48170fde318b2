//! Axes: where a number stands, which ticks are round, how numbers are written.
//!
//! May see: numbers. Must not see: anything else.

use super::canvas::{Anchor, Canvas};

/// How the numbers of a plot are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Whole numbers, grouped in thousands.
    #[default]
    Count,
    /// Shares from 0 to 1, with four places in tables and at least two on axes.
    Share,
    /// A decimal with this many places.
    Decimal(u8),
}

impl Unit {
    /// `value` as tables show it.
    #[must_use]
    pub fn written(self, value: f64) -> String {
        match self {
            Self::Count if value < 0.0 => format!("-{}", grouped((-value).round() as u64)),
            Self::Count => grouped(value.round() as u64),
            Self::Share => format!("{value:.4}"),
            Self::Decimal(places) => format!("{value:.width$}", width = usize::from(places)),
        }
    }

    /// The least that two numbers on an axis are apart.
    fn finest(self) -> f64 {
        match self {
            Self::Count => 1.0,
            Self::Share => 0.0001,
            Self::Decimal(places) => 10f64.powi(-i32::from(places.min(6))),
        }
    }

    fn is_share(self, value: f64) -> bool {
        self == Self::Share && (0.0..=1.0).contains(&value)
    }

    /// A stretch of shares that tables would write alike is widened downwards, or it would look like a great difference.
    fn widened(self, (low, high): (f64, f64)) -> (f64, f64) {
        let least = 10.0 * self.finest();
        let narrow = self.is_share(low) && self.is_share(high) && high - low < least;
        if narrow { ((high - least).max(0.0), high.max(least)) } else { (low, high) }
    }

    /// `value` as a tick of an axis whose ticks are `step` apart.
    pub(super) fn tick(self, value: f64, step: f64) -> String {
        match self {
            Self::Count => self.written(value),
            Self::Share | Self::Decimal(_) => {
                let places = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
                format!("{value:.places$}")
            }
        }
    }
}

/// `12345678` as `12,345,678`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `text` as the beginning of a sentence.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A stretch of numbers laid on a stretch of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    step: f64,
}

impl Scale {
    /// Numbers `low` to `high`, widened to round ticks, of which there are about `ticks`, on pixels `from` to `to`. No
    /// closer than `unit` writes them apart: two ticks never bear the same number.
    pub(super) fn round(unit: Unit, (low, high): (f64, f64), ticks: usize, (from, to): (f64, f64)) -> Self {
        let (low, high) = unit.widened(sound(unit, low, high));
        let step = round_step((high - low) / ticks.max(1) as f64).max(unit.finest());
        let (low, high) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        Self { low, high, from, to, step }
    }

    /// The pixel of `value`, kept inside the plot.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> + use<> {
        let (low, step) = (self.low, self.step);
        let count = ((self.high - low) / step).round() as u32;
        (0..=count).map(move |at| low + f64::from(at) * step)
    }

    /// Draws vertical grid lines from `top` to `bottom` with a number below each.
    pub(super) fn draw_below(&self, canvas: &mut Canvas, unit: Unit, (top, bottom): (f64, f64)) {
        for tick in self.ticks() {
            let x = self.at(tick);
            canvas.line("grid", (x, top), (x, bottom));
            canvas.text("tick", Anchor::Middle, (x, bottom + 16.0), &unit.tick(tick, self.step));
        }
    }

    /// Draws horizontal grid lines from `left` to `right` with a number before each.
    pub(super) fn draw_left(&self, canvas: &mut Canvas, unit: Unit, (left, right): (f64, f64)) {
        for tick in self.ticks() {
            let y = self.at(tick);
            canvas.line("grid", (left, y), (right, y));
            canvas.text("tick", Anchor::End, (left - 6.0, y + 4.0), &unit.tick(tick, self.step));
        }
    }
}

/// A stretch that can be divided: finite, and not of length 0.
fn sound(unit: Unit, low: f64, high: f64) -> (f64, f64) {
    match (low.is_finite() && high.is_finite(), high > low) {
        (false, _) => (0.0, 1.0),
        (true, true) => (low, high),
        // One share alone, mostly 0 or 1, is seen among all that it could be.
        (true, false) if unit.is_share(low) => (0.0, 1.0),
        (true, false) => (low, low + low.abs().max(1.0)),
    }
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * 0.999)
        .unwrap_or(power * 10.0)
}

/// Lowest and highest of `values`, those that are not finite apart; none without any.
pub(super) fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |extent: Option<(f64, f64)>, value| {
        let (low, high) = extent.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_numbers() {
        let scale = Scale::round(Unit::Share, (0.0, 0.93), 5, (0.0, 100.0));
        let ticks: Vec<String> = scale.ticks().map(|tick| Unit::Share.tick(tick, scale.step)).collect();
        assert_eq!(ticks, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!((scale.at(0.0), scale.at(1.0), scale.at(0.5)), (0.0, 100.0, 50.0));
        assert_eq!(scale.at(7.0), 100.0, "kept inside");
        let scale = Scale::round(Unit::Decimal(1), (-3.2, 12.0), 6, (0.0, 1.0));
        assert_eq!(scale.ticks().collect::<Vec<_>>(), [-5.0, 0.0, 5.0, 10.0, 15.0]);
    }

    #[test]
    fn no_input_divides_by_nothing() {
        for (low, high) in [(0.0, 0.0), (5.0, 5.0), (f64::NAN, 1.0), (3.0, 2.0), (f64::NEG_INFINITY, 0.0)] {
            for unit in [Unit::Count, Unit::Share, Unit::Decimal(2)] {
                let scale = Scale::round(unit, (low, high), 4, (10.0, 20.0));
                assert!(scale.at(1.0).is_finite() && scale.ticks().count() < 50, "{low} {high}");
            }
        }
        assert_eq!(extent([]), None);
        assert_eq!(extent([2.0, f64::NAN, 1.0]), Some((1.0, 2.0)));
    }

    #[test]
    fn no_two_ticks_bear_the_same_number_and_no_share_is_above_one() {
        let ticks = |unit: Unit, range, about| -> Vec<String> {
            let scale = Scale::round(unit, range, about, (0.0, 100.0));
            scale.ticks().map(|tick| unit.tick(tick, scale.step)).collect()
        };
        assert_eq!(ticks(Unit::Count, (0.0, 1.0), 3), ["0", "1"]);
        assert_eq!(ticks(Unit::Share, (1.0, 1.0), 5).last().unwrap(), "1.0");
        assert_eq!(ticks(Unit::Share, (1.0, 1.0), 5)[0], "0.0");
        let nearly = ticks(Unit::Share, (1.0 - 3e-9, 1.0), 5);
        assert_eq!(nearly, ["0.9990", "0.9992", "0.9994", "0.9996", "0.9998", "1.0000"]);
        assert_eq!(ticks(Unit::Share, (0.0, 2e-9), 5)[0], "0.0000");
        for unit in [Unit::Count, Unit::Share, Unit::Decimal(0), Unit::Decimal(2)] {
            for (low, high) in
                [(0.0, 1.0), (0.0, 2.0), (0.3, 0.300_01), (7.0, 7.01), (0.999, 1.0), (0.0, 1e-7)]
            {
                for about in [2, 4, 8] {
                    let mut written = ticks(unit, (low, high), about);
                    let count = written.len();
                    written.dedup();
                    assert!(written.len() == count && count > 1, "{unit:?} {low} {high}: {written:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_written_by_unit() {
        assert_eq!(Unit::Count.written(1_234_567.0), "1,234,567");
        assert_eq!(Unit::Count.written(-1_000.0), "-1,000");
        assert_eq!(Unit::Share.written(0.98765), "0.9877");
        assert_eq!(Unit::Decimal(2).written(-1.5), "-1.50");
    }
}
