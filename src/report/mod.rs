//! PURE: reports that people read: one self-contained HTML page with plots and equal tables.
//!
//! May see: words and numbers that are already allowed to be shown. Must not see: records, keys, files.
//!
//! A [`Page`] takes headings, paragraphs, [`Table`]s and [`Plot`]s and renders to one file without script
//! and without anything from elsewhere. Every plot is inline SVG with a title and a description, drawn twice
//! (for wide and for narrow screens; the style sheet shows one), and stands beside a table with the same numbers.
//! All text is escaped where it enters the page; callers never write HTML.
//!
//! ```
//! use blindlink::report::{Bars, Measure, Page, Row, Unit};
//! let mut page = Page::new("Recall by event");
//! page.section("Events");
//! page.plot(&Bars {
//!     title: "Recall by event".into(),
//!     row_label: "Event".into(),
//!     series: vec!["recall".into()],
//!     unit: Unit::Share,
//!     rows: vec![Row { label: "nickname".into(), values: vec![Measure::between(0.95, 0.93, 0.97)] }],
//!     ..Bars::default()
//! });
//! assert!(page.render().contains("<title>Recall by event"));
//! ```

mod canvas;
mod histogram;
mod lines;
mod page;
mod rows;
mod scale;
mod table;
mod upset;
mod waterfall;

pub use canvas::Canvas;
pub use histogram::{Histogram, Panel};
pub use lines::{Lines, Series};
pub use page::{Page, escape};
pub use rows::{Bars, Mark, Measure, Row};
pub use scale::{Unit, grouped};
pub use table::Table;
pub use upset::{Intersection, UpSet};
pub use waterfall::{Step, Waterfall};

/// A line across a plot with a word beside it: a threshold, a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Where, in the unit of the axis.
    pub at: f64,
    /// What it is.
    pub label: String,
}

/// Something that can be drawn and told in a table.
pub trait Plot {
    /// Its heading.
    fn title(&self) -> &str;
    /// What it shows, in words, for who cannot see it.
    fn description(&self) -> String;
    /// The same numbers.
    fn table(&self) -> Table;
    /// The drawing for a width in CSS pixels (at least 280).
    fn draw(&self, width: f64) -> Canvas;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One plot of every kind, with awkward words in it.
    pub(super) fn every_kind() -> Vec<Box<dyn Plot>> {
        let odd = "<b>a & \"b\"</b>".to_owned();
        let reference = Reference { at: 0.5, label: odd.clone() };
        let row = Row { label: odd.clone(), values: vec![Measure::share(3, 4), Measure::none()] };
        let series = vec![odd.clone(), "second".to_owned()];
        let bars = |mark| Bars {
            title: odd.clone(),
            series: series.clone(),
            unit: Unit::Share,
            mark,
            reference: Some(reference.clone()),
            rows: vec![row.clone()],
            ..Bars::default()
        };
        let line = |name: &String| Series {
            name: name.clone(),
            points: vec![(0.0, f64::NAN), (1.0, 2.0)],
            dots: true,
        };
        vec![
            Box::new(bars(Mark::Bar)),
            Box::new(bars(Mark::Dot)),
            Box::new(Lines {
                title: odd.clone(),
                references: vec![reference.clone()],
                series: series.iter().map(line).collect(),
                ..Lines::default()
            }),
            Box::new(Histogram {
                title: odd.clone(),
                bin: 0.1,
                references: vec![reference.clone()],
                panels: vec![Panel { name: odd.clone(), counts: vec![1, 0, 7] }],
                ..Histogram::default()
            }),
            Box::new(Waterfall {
                title: odd.clone(),
                references: vec![reference],
                steps: vec![Step { label: odd.clone(), detail: odd.clone(), change: -2.0 }],
                ..Waterfall::default()
            }),
            Box::new(UpSet {
                title: odd.clone(),
                sets: vec![odd.clone(), "other".to_owned()],
                intersections: vec![Intersection { sets: vec![0, 1], count: 2, shown: Some(odd) }],
                ..UpSet::default()
            }),
        ]
    }

    /// Every element that is opened is closed in its order, and every attribute is quoted.
    pub(super) fn well_formed(html: &str) {
        let mut open: Vec<&str> = Vec::new();
        for piece in html.split('<').skip(1) {
            let (tag, _) = piece.split_once('>').expect("a tag ends");
            let name = tag.split([' ', '/']).next().unwrap_or_default();
            if let Some(closed) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed), "closed out of order");
            } else if !tag.starts_with('!') && !tag.ends_with('/') && name != "meta" {
                open.push(name);
            }
            assert!(tag.matches('"').count().is_multiple_of(2), "an open quote in <{tag}>");
        }
        assert!(open.is_empty(), "left open: {open:?}");
    }
}
