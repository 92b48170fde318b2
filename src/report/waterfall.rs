//! A waterfall: how steps up and down add to a total, such as the weights of one pair to its score.
//!
//! May see: labels and numbers. Must not see: whose.

use super::canvas::{Anchor, Canvas, fit, width_of};
use super::rows::mark_vertical;
use super::scale::{Scale, Unit, capital, extent};
use super::{Plot, Reference, Table};

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it is.
    pub label: String,
    /// What stands beside it in the table (a similarity, "missing").
    pub detail: String,
    /// How much it adds; below 0 it takes away.
    pub change: f64,
}

/// Steps from 0 to a total.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Waterfall {
    /// Heading.
    pub title: String,
    /// What to see in it.
    pub note: String,
    /// Name of the axis.
    pub x_label: String,
    /// Head of the detail column.
    pub detail_label: String,
    /// How numbers are written.
    pub unit: Unit,
    /// Vertical lines.
    pub references: Vec<Reference>,
    /// The steps, top to bottom.
    pub steps: Vec<Step>,
}

impl Waterfall {
    /// Where each step begins and ends.
    fn course(&self) -> Vec<(f64, f64)> {
        let mut sum = 0.0;
        let ends = self.steps.iter().map(|step| {
            let from = sum;
            sum += step.change;
            (from, sum)
        });
        ends.collect()
    }

    fn total(&self) -> f64 {
        self.steps.iter().map(|step| step.change).sum()
    }

    fn signed(&self, value: f64) -> String {
        let sign = if value > 0.0 { "+" } else { "" };
        format!("{sign}{}", self.unit.written(value))
    }
}

impl Plot for Waterfall {
    fn title(&self) -> &str {
        &self.title
    }

    fn description(&self) -> String {
        let steps: Vec<String> =
            self.steps.iter().map(|step| format!("{} {}", step.label, self.signed(step.change))).collect();
        let total = self.unit.written(self.total());
        format!("{} {}; together {total}.", self.note, capital(&steps.join(", "))).trim().to_owned()
    }

    fn table(&self) -> Table {
        let heads = ["Step", &self.detail_label, "Change", "Sum"];
        let mut table = Table::new(format!("{} ({})", self.title, self.x_label), 2, heads);
        for (step, (_, sum)) in self.steps.iter().zip(self.course()) {
            let (change, sum) = (self.signed(step.change), self.unit.written(sum));
            table.row([step.label.clone(), step.detail.clone(), change, sum]);
        }
        table.row(["total".to_owned(), String::new(), String::new(), self.unit.written(self.total())]);
        table
    }

    fn draw(&self, width: f64) -> Canvas {
        let narrow = width < 500.0;
        let longest = self.steps.iter().map(|step| width_of(&step.label)).fold(width_of("total"), f64::max);
        let left = if narrow { 18.0 } else { longest.min(width * 0.4) + 12.0 };
        let label = if narrow { 18.0 } else { 0.0 };
        let row = label + 26.0;
        let top = 18.0 * self.references.len() as f64 + 6.0;
        let bottom = top + (self.steps.len() + 1) as f64 * row;
        let mut canvas = Canvas::new(width, bottom + 44.0);
        let course = self.course();
        let ends = course.iter().flat_map(|(from, to)| [*from, *to]).chain([0.0]);
        let domain = extent(ends.chain(self.references.iter().map(|line| line.at))).unwrap_or((0.0, 1.0));
        let x = Scale::round(self.unit, domain, if narrow { 5 } else { 9 }, (left, width - 44.0));
        x.draw_below(&mut canvas, self.unit, (top, bottom));
        canvas.line("base", (x.at(0.0), top), (x.at(0.0), bottom));
        let total = Step { label: "total".to_owned(), detail: String::new(), change: self.total() };
        let bars = self.steps.iter().zip(course).chain([(&total, (0.0, self.total()))]);
        // Words go on top of the lines that cross them.
        let mut words = Vec::new();
        for (at, (step, (from, to))) in bars.enumerate() {
            let y = top + at as f64 * row;
            let last = at == self.steps.len();
            let class = if last { "fill4" } else { ["fill0", "fill1"][usize::from(step.change < 0.0)] };
            let (low, high) = (x.at(from.min(to)), x.at(from.max(to)));
            let (name, weight) = (fit(&step.label, left.max(width * 0.6)), if last { "strong" } else { "" });
            let (anchor, place) = if narrow {
                (Anchor::Start, (2.0, y + 16.0))
            } else {
                (Anchor::End, (left - 10.0, y + 18.0))
            };
            words.push((weight, anchor, place, name));
            canvas.rect(class, (low, y + label + 5.0), ((high - low).max(1.5), 16.0));
            let shown = if last { self.unit.written(step.change) } else { self.signed(step.change) };
            words.push(("tick", Anchor::Start, (high + 4.0, y + label + 17.0), shown));
            if !last {
                canvas.line("base", (x.at(to), y + label + 21.0), (x.at(to), y + row + label + 5.0));
            }
        }
        for (at, line) in self.references.iter().enumerate() {
            let above = top - 18.0 * (self.references.len() - 1 - at) as f64;
            mark_vertical(&mut canvas, &x, line, (above, bottom), width);
        }
        words.iter().for_each(|(class, anchor, place, text)| canvas.text(class, *anchor, *place, text));
        canvas.text("axis", Anchor::Middle, ((left + width) / 2.0, bottom + 36.0), &self.x_label);
        canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_add_to_the_total() {
        let step = |label: &str, change: f64| Step { label: label.into(), detail: "0.90".into(), change };
        let waterfall = Waterfall {
            title: "Weights".into(),
            unit: Unit::Decimal(2),
            steps: vec![step("given", 3.3), step("date", -2.4)],
            ..Waterfall::default()
        };
        assert_eq!(waterfall.course()[0], (0.0, 3.3));
        assert!(waterfall.description().contains("Given +3.30, date -2.40; together 0.90."));
        let html = waterfall.table().html();
        assert!(html.contains("+3.30") && html.contains("-2.40") && html.contains(">0.90<"));
        waterfall.draw(300.0);
        Waterfall::default().draw(300.0);
        let crossed =
            Waterfall { references: vec![Reference { label: "match".into(), at: 1.6 }], ..waterfall };
        let drawn = crossed.draw(800.0).svg("x", "wide", "", "");
        assert!(
            drawn.rfind("\"mark\"").unwrap() < drawn.find("+3.30").unwrap(),
            "words stand on top of lines: {drawn}"
        );
    }
}
