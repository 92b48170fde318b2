//! Histograms one below the other on one axis, each with a height of its own: true and false pairs.
//!
//! May see: counts per bin. Must not see: single values.

use super::canvas::{Anchor, Canvas, fit};
use super::rows::mark_vertical;
use super::scale::{Scale, Unit, capital, grouped};
use super::{Plot, Reference, Table};

/// One panel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Panel {
    /// What it counts.
    pub name: String,
    /// Count per bin.
    pub counts: Vec<u64>,
}

/// Panels of equal bins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// Heading.
    pub title: String,
    /// What to see in it.
    pub note: String,
    /// Name of the axis.
    pub x_label: String,
    /// How values of the axis are written.
    pub unit: Unit,
    /// Lower end of the first bin.
    pub from: f64,
    /// Width of each bin, above 0.
    pub bin: f64,
    /// Vertical lines.
    pub references: Vec<Reference>,
    /// The panels, top to bottom.
    pub panels: Vec<Panel>,
}

impl Histogram {
    fn bins(&self) -> usize {
        self.panels.iter().map(|panel| panel.counts.len()).max().unwrap_or(0)
    }

    fn edge(&self, bin: usize) -> f64 {
        self.from + bin as f64 * self.bin
    }
}

impl Plot for Histogram {
    fn title(&self) -> &str {
        &self.title
    }

    fn description(&self) -> String {
        let panels = self.panels.iter().map(|panel| {
            let total: u64 = panel.counts.iter().sum();
            let most = (0..panel.counts.len()).max_by_key(|bin| (panel.counts[*bin], usize::MAX - bin));
            match most.filter(|_| total > 0) {
                Some(bin) => format!(
                    "{}: {}, most of them between {} and {}.",
                    capital(&panel.name),
                    grouped(total),
                    self.unit.written(self.edge(bin)),
                    self.unit.written(self.edge(bin + 1))
                ),
                None => format!("{}: none.", capital(&panel.name)),
            }
        });
        let panels: Vec<String> = panels.collect();
        let heights = if self.panels.len() > 1 { " Each part has a height of its own." } else { "" };
        format!("{} {}{heights}", self.note, panels.join(" ")).trim().to_owned()
    }

    fn table(&self) -> Table {
        let heads = ["from".to_owned(), "to".to_owned()];
        let heads = heads.into_iter().chain(self.panels.iter().map(|panel| panel.name.clone()));
        let mut table = Table::new(format!("{} by {}", self.title, self.x_label), 0, heads);
        for bin in 0..self.bins() {
            let edges = [self.unit.written(self.edge(bin)), self.unit.written(self.edge(bin + 1))];
            let counts = self.panels.iter().map(|panel| grouped(panel.counts.get(bin).copied().unwrap_or(0)));
            table.row(edges.into_iter().chain(counts));
        }
        table
    }

    fn draw(&self, width: f64) -> Canvas {
        let narrow = width < 500.0;
        let (left, right) = (56.0, width - 20.0);
        let panel_height = if narrow { 100.0 } else { 130.0 };
        let marks = 18.0 * self.references.len() as f64;
        let top = marks + 4.0;
        let bottom = top + self.panels.len() as f64 * (panel_height + 26.0);
        let mut canvas = Canvas::new(width, bottom + 44.0);
        let x = Scale::round(
            self.unit,
            (self.from, self.edge(self.bins().max(1))),
            if narrow { 4 } else { 8 },
            (left, right),
        );
        x.draw_below(&mut canvas, self.unit, (top, bottom));
        for (at, panel) in self.panels.iter().enumerate() {
            let floor = top + (at + 1) as f64 * (panel_height + 26.0);
            let most = panel.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
            let y = Scale::round(Unit::Count, (0.0, most), 3, (floor, floor - panel_height));
            y.draw_left(&mut canvas, Unit::Count, (left, right));
            let class = format!("fill{}", at % 6);
            for (bin, count) in panel.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let (from, to) = (x.at(self.edge(bin)), x.at(self.edge(bin + 1)));
                // A single pair among thousands must still be seen.
                let height = (floor - y.at(*count as f64)).max(1.5);
                canvas.rect(&class, (from + 0.5, floor - height), ((to - from - 1.0).max(0.8), height));
            }
            canvas.line("base", (left, floor), (right, floor));
            let name = fit(&panel.name, right - left);
            canvas.text("strong", Anchor::Start, (left + 2.0, floor - panel_height - 8.0), &name);
        }
        for (at, line) in self.references.iter().enumerate() {
            let above = top - 18.0 * (self.references.len() - 1 - at) as f64;
            mark_vertical(&mut canvas, &x, line, (above, bottom), width);
        }
        canvas.text("axis", Anchor::Middle, ((left + right) / 2.0, bottom + 36.0), &self.x_label);
        canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_told_by_their_ends() {
        let histogram = Histogram {
            title: "Scores".into(),
            x_label: "score".into(),
            unit: Unit::Decimal(1),
            from: -1.0,
            bin: 0.5,
            panels: vec![
                Panel { name: "true".into(), counts: vec![0, 5, 2_000] },
                Panel { name: "false".into(), counts: vec![0, 0, 0] },
            ],
            ..Histogram::default()
        };
        assert_eq!(histogram.table().len(), 3);
        let text = histogram.description();
        assert!(text.contains("True: 2,005, most of them between 0.0 and 0.5. False: none."), "{text}");
        histogram.draw(300.0);
        Histogram { bin: 1.0, ..Histogram::default() }.draw(300.0);
    }
}
