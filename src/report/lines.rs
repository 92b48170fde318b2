//! Lines over a numeric axis: precision and recall, thresholds, calibration.
//!
//! May see: points. Must not see: what they count.

use super::canvas::{Anchor, Canvas, fit, width_of};
use super::rows::mark_vertical;
use super::scale::{Scale, Unit, capital, extent};
use super::{Plot, Reference, Table};

/// One line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points (x, y), in the order they are joined.
    pub points: Vec<(f64, f64)>,
    /// Whether points are also marked, for lines of few points.
    pub dots: bool,
}

/// A line chart of up to six series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lines {
    /// Heading.
    pub title: String,
    /// What it shows and what to see in it.
    pub note: String,
    /// Name of the horizontal axis.
    pub x_label: String,
    /// Name of the vertical axis.
    pub y_label: String,
    /// How x is written.
    pub x_unit: Unit,
    /// How y is written.
    pub y_unit: Unit,
    /// Ends of the axes; from the points where none is given.
    pub x_range: Option<(f64, f64)>,
    /// As `x_range`.
    pub y_range: Option<(f64, f64)>,
    /// Vertical lines.
    pub references: Vec<Reference>,
    /// The lines.
    pub series: Vec<Series>,
}

impl Lines {
    fn extent(&self, pick: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
        let points = self.series.iter().flat_map(|series| &series.points);
        extent(points.map(pick)).unwrap_or((0.0, 1.0))
    }

    /// Whether all series have the same x, so that one table row can tell them all.
    fn shared_x(&self) -> bool {
        let x = |series: &Series| series.points.iter().map(|point| point.0.to_bits()).collect::<Vec<_>>();
        self.series.windows(2).all(|pair| x(&pair[0]) == x(&pair[1]))
    }

    /// Names of the lines with a piece of each; returns the height it took.
    fn key(&self, canvas: &mut Canvas, width: f64) -> f64 {
        if self.series.len() < 2 {
            return 4.0;
        }
        let (mut x, mut y) = (0.0, 14.0);
        for (at, series) in self.series.iter().enumerate() {
            let needed = 36.0 + width_of(&series.name) + 14.0;
            if x > 0.0 && x + needed > width {
                (x, y) = (0.0, y + 20.0);
            }
            canvas.path(&format!("line{}", at % 6), [(x, y - 5.0), (x + 28.0, y - 5.0)]);
            canvas.text("", Anchor::Start, (x + 34.0, y), &fit(&series.name, width - 36.0));
            x += needed;
        }
        y + 12.0
    }
}

impl Plot for Lines {
    fn title(&self) -> &str {
        &self.title
    }

    fn description(&self) -> String {
        let series: Vec<String> = self
            .series
            .iter()
            .filter_map(|series| {
                let (low, high) = extent(series.points.iter().map(|point| point.1))?;
                let (low, high) = (self.y_unit.written(low), self.y_unit.written(high));
                Some(format!("{} lies between {low} and {high}", series.name))
            })
            .collect();
        let told = if series.is_empty() { "There is nothing to show".to_owned() } else { series.join("; ") };
        format!("{} {} over {}: {told}.", self.note, capital(&self.y_label), self.x_label).trim().to_owned()
    }

    fn table(&self) -> Table {
        if self.shared_x() {
            let heads = self.series.iter().map(|series| series.name.clone());
            let mut table = Table::new(&self.title, 0, std::iter::once(self.x_label.clone()).chain(heads));
            let first = self.series.first().map_or(&[][..], |series| &series.points);
            for (at, (x, _)) in first.iter().enumerate() {
                let values = self.series.iter().map(|series| self.y_unit.written(series.points[at].1));
                table.row(std::iter::once(self.x_unit.written(*x)).chain(values));
            }
            return table;
        }
        let mut table = Table::new(&self.title, 1, ["Line", &self.x_label, &self.y_label]);
        for series in &self.series {
            for (x, y) in &series.points {
                table.row([series.name.clone(), self.x_unit.written(*x), self.y_unit.written(*y)]);
            }
        }
        table
    }

    fn draw(&self, width: f64) -> Canvas {
        let narrow = width < 500.0;
        let mut canvas = Canvas::new(width, 0.0);
        let key = self.key(&mut canvas, width);
        let marks = if self.references.is_empty() { 0.0 } else { 18.0 * self.references.len() as f64 };
        let (top, left) = (key + marks + 22.0, 56.0);
        let bottom = top + if narrow { 200.0 } else { 300.0 };
        canvas.set_height(bottom + 44.0);
        canvas.text("axis", Anchor::Start, (0.0, key + 12.0), &fit(&self.y_label, width));
        let x_range = self.x_range.unwrap_or_else(|| self.extent(|point| point.0));
        let y_range = self.y_range.unwrap_or_else(|| self.extent(|point| point.1));
        let x = Scale::round(self.x_unit, x_range, if narrow { 4 } else { 8 }, (left, width - 20.0));
        let y = Scale::round(self.y_unit, y_range, if narrow { 4 } else { 6 }, (bottom, top));
        y.draw_left(&mut canvas, self.y_unit, (left, width - 20.0));
        x.draw_below(&mut canvas, self.x_unit, (top, bottom));
        let middle = (left + width - 20.0) / 2.0;
        canvas.text("axis", Anchor::Middle, (middle, bottom + 36.0), &fit(&self.x_label, width - left));
        for (at, line) in self.references.iter().enumerate() {
            let above = top - 18.0 * (self.references.len() - 1 - at) as f64;
            mark_vertical(&mut canvas, &x, line, (above, bottom), width);
        }
        for (at, series) in self.series.iter().enumerate() {
            let drawn = series.points.iter().filter(|point| point.0.is_finite() && point.1.is_finite());
            let points: Vec<(f64, f64)> = drawn.map(|point| (x.at(point.0), y.at(point.1))).collect();
            canvas.path(&format!("line{}", at % 6), points.iter().copied());
            if series.dots {
                let class = format!("fill{}", at % 6);
                points.iter().for_each(|point| canvas.dot(&class, *point, 4.0));
            }
        }
        canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(second: f64) -> Lines {
        let series = |name: &str, x: f64| Series {
            name: name.to_owned(),
            points: vec![(x, 0.25), (1.0, 0.75)],
            dots: true,
        };
        Lines {
            title: "Curve".into(),
            x_label: "x".into(),
            y_label: "y".into(),
            x_unit: Unit::Decimal(1),
            y_unit: Unit::Share,
            series: vec![series("one", 0.0), series("two", second)],
            ..Lines::default()
        }
    }

    #[test]
    fn one_table_row_tells_all_lines_where_they_share_x() {
        assert_eq!(lines(0.0).table().len(), 2);
        assert!(
            lines(0.0)
                .table()
                .html()
                .contains("<td class=\"number\">0.2500</td><td class=\"number\">0.2500</td>")
        );
        assert_eq!(lines(0.5).table().len(), 4, "a row for each point where they do not");
    }

    #[test]
    fn draws_without_points() {
        Lines::default().draw(300.0);
        assert!(Lines::default().description().contains("nothing to show"));
        assert!(lines(0.0).description().contains("one lies between 0.2500 and 0.7500"));
    }
}
