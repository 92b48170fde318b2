//! Bars or dots, a row each, with intervals: shares by event, counts by agency.
//!
//! May see: labels and numbers. Must not see: what they count.

use super::canvas::{Anchor, Canvas, fit, width_of};
use super::scale::{Scale, Unit, capital, extent};
use super::{Plot, Reference, Table};

/// One number, with a range where one is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// The number; none is drawn as nothing and told as a dash.
    pub value: Option<f64>,
    /// Lower and upper end of its range.
    pub interval: Option<(f64, f64)>,
}

impl Measure {
    /// A number without a range.
    #[must_use]
    pub const fn of(value: f64) -> Self {
        Self { value: Some(value), interval: None }
    }
    /// A number that lies between `low` and `high`.
    #[must_use]
    pub const fn between(value: f64, low: f64, high: f64) -> Self {
        Self { value: Some(value), interval: Some((low, high)) }
    }
    /// Nothing to show.
    #[must_use]
    pub const fn none() -> Self {
        Self { value: None, interval: None }
    }
    /// `part` of `whole` with its 95 % Wilson score interval; none of nothing.
    #[must_use]
    pub fn share(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self::none();
        }
        let (n, z) = (whole as f64, 1.959_964);
        let p = part as f64 / n;
        let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        Self::between(p, (centre - half).max(0.0), (centre + half).min(1.0))
    }
}

/// One row: a label and a number for each series.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What it is about.
    pub label: String,
    /// One number a series, in the order of [`Bars::series`].
    pub values: Vec<Measure>,
}

/// What stands for a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    /// A bar from 0: for amounts.
    #[default]
    Bar,
    /// A dot on an axis that need not begin at 0: for shares that lie close together.
    Dot,
}

/// A bar chart or dot plot, a row for each label.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bars {
    /// Heading.
    pub title: String,
    /// What else should be known; the extremes are told without it.
    pub note: String,
    /// Head of the label column.
    pub row_label: String,
    /// Names of the series, six at most.
    pub series: Vec<String>,
    /// How numbers are written.
    pub unit: Unit,
    /// Bars or dots.
    pub mark: Mark,
    /// Ends of the axis; from the numbers where none is given.
    pub range: Option<(f64, f64)>,
    /// A line across all rows.
    pub reference: Option<Reference>,
    /// The rows, top to bottom.
    pub rows: Vec<Row>,
}

impl Bars {
    fn domain(&self) -> (f64, f64) {
        if let Some(range) = self.range {
            return range;
        }
        let measures = self.rows.iter().flat_map(|row| &row.values);
        let ends = measures.flat_map(|measure| {
            let (low, high) = measure.interval.unwrap_or((f64::NAN, f64::NAN));
            [measure.value.unwrap_or(f64::NAN), low, high]
        });
        let (low, high) = extent(ends.chain(self.reference.iter().map(|line| line.at))).unwrap_or((0.0, 1.0));
        match self.mark {
            Mark::Bar => (low.min(0.0), high.max(0.0)),
            Mark::Dot => (low, high),
        }
    }

    fn measure(&self, canvas: &mut Canvas, scale: &Scale, series: usize, middle: f64, measure: &Measure) {
        let Some(value) = measure.value else { return };
        let class = format!("fill{}", series % 6);
        let x = scale.at(value);
        if self.mark == Mark::Bar {
            let zero = scale.at(0.0);
            canvas.rect(&class, (zero.min(x), middle - 6.0), ((x - zero).abs(), 12.0));
        }
        if let Some((low, high)) = measure.interval {
            let (low, high) = (scale.at(low), scale.at(high));
            canvas.line("whisker", (low, middle), (high, middle));
            canvas.line("whisker", (low, middle - 4.0), (low, middle + 4.0));
            canvas.line("whisker", (high, middle - 4.0), (high, middle + 4.0));
        }
        if self.mark == Mark::Dot {
            canvas.dot(&class, (x, middle), 5.5);
        }
    }

    fn written(&self, measure: Option<&Measure>) -> [String; 2] {
        let Some(Measure { value: Some(value), interval }) = measure else {
            return ["-".to_owned(), String::new()];
        };
        let range =
            interval.map(|(low, high)| format!("{} to {}", self.unit.written(low), self.unit.written(high)));
        [self.unit.written(*value), range.unwrap_or_default()]
    }

    /// For each series, whether any of its numbers has a range.
    fn ranges(&self) -> Vec<bool> {
        let of = |at: usize| self.rows.iter().filter_map(move |row| row.values.get(at));
        (0..self.series.len()).map(|at| of(at).any(|measure| measure.interval.is_some())).collect()
    }
}

/// Key of several series, from the left; returns the height it took.
pub(super) fn key(canvas: &mut Canvas, series: &[String], width: f64) -> f64 {
    let (mut x, mut y) = (0.0, 14.0);
    for (at, name) in series.iter().enumerate() {
        let needed = 20.0 + width_of(name) + 14.0;
        if x > 0.0 && x + needed > width {
            (x, y) = (0.0, y + 20.0);
        }
        canvas.rect(&format!("fill{}", at % 6), (x, y - 10.0), (12.0, 12.0));
        canvas.text("", Anchor::Start, (x + 18.0, y), &fit(name, width - 20.0));
        x += needed;
    }
    y + 14.0
}

impl Plot for Bars {
    fn title(&self) -> &str {
        &self.title
    }

    fn description(&self) -> String {
        let first = self.rows.iter().filter_map(|row| Some((row.values.first()?.value?, row)));
        let mut ordered: Vec<(f64, &Row)> = first.collect();
        ordered.sort_by(|one, other| one.0.total_cmp(&other.0));
        let told = match (ordered.first(), ordered.last(), ordered.len()) {
            (Some((low, lowest)), Some((high, highest)), 2..) => format!(
                "Lowest: {} ({}); highest: {} ({}).",
                lowest.label,
                self.unit.written(*low),
                highest.label,
                self.unit.written(*high)
            ),
            (Some((only, row)), ..) => format!("{}: {}.", capital(&row.label), self.unit.written(*only)),
            _ => "There is nothing to show.".to_owned(),
        };
        let range = if self.ranges().contains(&true) { " Thin lines are 95 % intervals." } else { "" };
        format!("{} {told}{range}", self.note).trim().to_owned()
    }

    fn table(&self) -> Table {
        let ranges = self.ranges();
        let heads = self.series.iter().zip(&ranges).flat_map(|(name, ranges)| {
            let range = ranges.then(|| format!("{name}: 95 % interval"));
            std::iter::once(name.clone()).chain(range)
        });
        let mut table = Table::new(&self.title, 1, std::iter::once(self.row_label.clone()).chain(heads));
        for row in &self.rows {
            let cells = (0..self.series.len()).flat_map(|at| {
                let [value, range] = self.written(row.values.get(at));
                std::iter::once(value).chain(ranges[at].then_some(range))
            });
            table.row(std::iter::once(row.label.clone()).chain(cells));
        }
        table
    }

    fn draw(&self, width: f64) -> Canvas {
        let narrow = width < 500.0;
        let series = self.series.len().max(1) as f64;
        let longest = self.rows.iter().map(|row| width_of(&row.label)).fold(0.0, f64::max);
        let left = if narrow { 18.0 } else { longest.min(width * 0.45) + 12.0 };
        let (label, step) = if narrow { (18.0, 15.0) } else { (0.0, 15.0) };
        let row_height = label + series * step + 9.0;
        let key_rows = if self.series.len() > 1 { 20.0 * self.series.len() as f64 + 14.0 } else { 0.0 };
        let reference = if self.reference.is_some() { 18.0 } else { 0.0 };
        let mut canvas = Canvas::new(width, 0.0);
        let top = if key_rows > 0.0 { key(&mut canvas, &self.series, width) } else { 0.0 } + reference + 4.0;
        let bottom = top + self.rows.len() as f64 * row_height;
        canvas.set_height(bottom + 26.0);
        let ticks = if narrow { 4 } else { 7 };
        let scale = Scale::round(self.unit, self.domain(), ticks, (left, width - 24.0));
        scale.draw_below(&mut canvas, self.unit, (top, bottom));
        for (at, row) in self.rows.iter().enumerate() {
            let y = top + at as f64 * row_height;
            if narrow {
                canvas.text("", Anchor::Start, (2.0, y + 14.0), &fit(&row.label, width - 8.0));
            } else {
                let middle = y + row_height / 2.0 + 5.0;
                canvas.text("", Anchor::End, (left - 10.0, middle), &fit(&row.label, left - 10.0));
            }
            for (number, measure) in row.values.iter().take(self.series.len().max(1)).enumerate() {
                let middle = y + 4.5 + label + (number as f64 + 0.5) * step;
                self.measure(&mut canvas, &scale, number, middle, measure);
            }
        }
        if self.mark == Mark::Bar {
            canvas.line("base", (scale.at(0.0), top), (scale.at(0.0), bottom));
        }
        if let Some(line) = &self.reference {
            mark_vertical(&mut canvas, &scale, line, (top - 4.0, bottom), width);
        }
        canvas
    }
}

/// A dashed line down a plot with its word above it, kept inside the drawing.
pub(super) fn mark_vertical(
    canvas: &mut Canvas,
    scale: &Scale,
    line: &Reference,
    (top, bottom): (f64, f64),
    width: f64,
) {
    let x = scale.at(line.at);
    canvas.line("mark", (x, top), (x, bottom));
    let half = width_of(&line.label) / 2.0;
    let middle = x.clamp(half.min(width / 2.0), (width - half).max(width / 2.0));
    canvas.text("axis", Anchor::Middle, (middle, top - 5.0), &line.label);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(mark: Mark) -> Bars {
        Bars {
            title: "Recall".into(),
            row_label: "Event".into(),
            series: vec!["match".into(), "all".into()],
            unit: Unit::Share,
            mark,
            rows: vec![
                Row { label: "nickname".into(), values: vec![Measure::share(90, 100), Measure::of(0.95)] },
                Row { label: "missing".into(), values: vec![Measure::none(), Measure::of(0.5)] },
            ],
            ..Bars::default()
        }
    }

    #[test]
    fn the_interval_is_wilsons() {
        let Measure { value, interval } = Measure::share(9, 10);
        let (low, high) = interval.unwrap();
        // Newcombe 1998, table I method 3, for 9 of 10: .5958 to .9821.
        assert_eq!(value, Some(0.9));
        assert!((low - 0.5958).abs() < 1e-4 && (high - 0.9821).abs() < 1e-4, "{low} {high}");
        assert_eq!(Measure::share(0, 0), Measure::none());
        let (low, high) = Measure::share(5, 5).interval.unwrap();
        assert!(low < 1.0 && high <= 1.0);
    }

    #[test]
    fn the_table_has_every_number() {
        let html = chart(Mark::Dot).table().html();
        for cell in ["0.9000", "0.9500", "0.5000", "<td class=\"number\">-</td>", "match: 95 % interval"] {
            assert!(html.contains(cell), "{cell} in {html}");
        }
        assert!(chart(Mark::Bar).description().contains("Nickname: 0.9000"));
    }

    #[test]
    fn an_empty_chart_draws() {
        let empty = Bars::default();
        assert_eq!(empty.description(), "There is nothing to show.");
        empty.draw(300.0);
    }
}
