//! UpSet: how many children are known to exactly which agencies (Lex et al. 2014), a row for each combination
//! so that it fits a narrow screen.
//!
//! May see: names of sets and counts. Must not see: members.

use super::canvas::{Anchor, Canvas, fit, width_of};
use super::scale::{Scale, Unit, grouped};
use super::{Plot, Table};

/// One combination of sets and how many are in exactly these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intersection {
    /// Numbers of the sets, ascending.
    pub sets: Vec<usize>,
    /// How many; as text where it is suppressed.
    pub count: u64,
    /// What to write instead of the count, where small counts are suppressed.
    pub shown: Option<String>,
}

/// Sets and their exact combinations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpSet {
    /// Heading.
    pub title: String,
    /// What is counted and what was left out.
    pub note: String,
    /// What is counted ("children").
    pub counted: String,
    /// Names of the sets.
    pub sets: Vec<String>,
    /// The combinations, in the order they are drawn.
    pub intersections: Vec<Intersection>,
    /// Name of a second count and its value for each combination, drawn as a stroke (the truth, last month).
    pub compared: Option<(String, Vec<u64>)>,
}

impl UpSet {
    fn names(&self, intersection: &Intersection) -> String {
        let names = intersection.sets.iter().filter_map(|set| self.sets.get(*set)).map(String::as_str);
        names.collect::<Vec<_>>().join(" + ")
    }
}

impl Intersection {
    fn written(&self) -> String {
        self.shown.clone().unwrap_or_else(|| grouped(self.count))
    }
}

impl Plot for UpSet {
    fn title(&self) -> &str {
        &self.title
    }

    fn description(&self) -> String {
        let largest = self.intersections.iter().max_by_key(|intersection| intersection.count);
        let told = largest.map_or("There is nothing to show.".to_owned(), |largest| {
            format!("Largest: {} {} in exactly {}.", largest.written(), self.counted, self.names(largest))
        });
        let stroke = self.compared.iter().map(|(name, _)| format!(" A stroke across a bar is {name}."));
        let stroke: String = stroke.collect();
        format!("{} {told} A filled dot says that the agency is one of them.{stroke}", self.note)
            .trim()
            .to_owned()
    }

    fn table(&self) -> Table {
        let compared = self.compared.iter().map(|(name, _)| name.as_str());
        let mut table = Table::new(&self.title, 1, ["In exactly", &self.counted].into_iter().chain(compared));
        for (at, intersection) in self.intersections.iter().enumerate() {
            let compared = self.compared.iter().filter_map(|(_, counts)| counts.get(at)).map(|n| grouped(*n));
            table.row([self.names(intersection), intersection.written()].into_iter().chain(compared));
        }
        table
    }

    fn draw(&self, width: f64) -> Canvas {
        let narrow = width < 500.0;
        let longest = self.sets.iter().map(|name| width_of(name)).fold(0.0, f64::max).min(150.0);
        // Slanted heads rise by sin 55 of their length and reach to the right by cos 55 of it.
        let head = longest * 0.82 + 16.0;
        let reach = longest * 0.58;
        let sets = self.sets.len().max(1) as f64;
        let column = if narrow { (width * 0.5 / sets).min(22.0) } else { (width * 0.5 / sets).min(30.0) };
        let left = (8.0 + sets * column + 10.0).max(if narrow { 0.0 } else { sets * column });
        let row = 24.0;
        let bottom = head + self.intersections.len() as f64 * row;
        let mut canvas = Canvas::new(width, bottom + 44.0);
        let centre = |set: usize| 8.0 + (set as f64 + 0.5) * column;
        for (set, name) in self.sets.iter().enumerate() {
            let room = (width - centre(set)).min(longest.max(reach)) / 0.58;
            canvas.slanted((centre(set) + 4.0, head - 6.0), &fit(name, room.min(longest + 8.0)));
        }
        let compared = self.compared.as_ref().map_or(&[][..], |(_, counts)| counts.as_slice());
        let counts = self.intersections.iter().map(|intersection| intersection.count);
        let most = counts.chain(compared.iter().copied()).max().unwrap_or(0);
        let widest = self.intersections.iter().map(|one| width_of(&one.written())).fold(0.0, f64::max);
        let x = Scale::round(
            Unit::Count,
            (0.0, most.max(1) as f64),
            if narrow { 2 } else { 5 },
            (left, width - widest - 8.0),
        );
        x.draw_below(&mut canvas, Unit::Count, (head, bottom));
        for (at, intersection) in self.intersections.iter().enumerate() {
            let y = head + at as f64 * row;
            if at % 2 == 0 {
                canvas.rect("band", (4.0, y), (sets * column + 8.0, row));
            }
            let middle = y + row / 2.0;
            let radius = (column * 0.32).min(7.0);
            if let [first, .., last] = intersection.sets[..] {
                canvas.line("link", (centre(first), middle), (centre(last), middle));
            }
            for set in 0..self.sets.len() {
                let class = if intersection.sets.contains(&set) { "in" } else { "off" };
                canvas.dot(class, (centre(set), middle), radius);
            }
            let end = x.at(intersection.count as f64);
            canvas.rect("fill0", (left, y + 4.0), ((end - left).max(1.5), row - 8.0));
            let stroke = compared.get(at).map(|count| x.at(*count as f64));
            if let Some(stroke) = stroke {
                canvas.line("stroke", (stroke, y + 2.0), (stroke, y + row - 2.0));
            }
            let after = stroke.map_or(end, |stroke| stroke.max(end));
            canvas.text("tick", Anchor::Start, (after + 5.0, middle + 4.0), &intersection.written());
        }
        canvas.line("base", (left, head), (left, bottom));
        let counted = fit(&self.counted, width - left);
        canvas.text("axis", Anchor::Middle, ((left + width - widest) / 2.0, bottom + 36.0), &counted);
        canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_told_by_name() {
        let plot = UpSet {
            title: "Overlap".into(),
            counted: "children".into(),
            sets: vec!["health".into(), "police".into(), "education".into()],
            intersections: vec![
                Intersection { sets: vec![0, 2], count: 1_200, shown: None },
                Intersection { sets: vec![1], count: 3, shown: Some("c".into()) },
            ],
            compared: Some(("the truth".into(), vec![1_300, 4])),
            ..UpSet::default()
        };
        assert!(plot.description().contains("Largest: 1,200 children in exactly health + education."));
        let html = plot.table().html();
        assert!(
            html.contains("1,200") && html.contains("1,300") && html.contains(">c<"),
            "a suppressed count is not written"
        );
        plot.draw(300.0);
        UpSet::default().draw(300.0);
    }
}
