//! A drawing: shapes and words as SVG text. Colours stand in the style sheet, by class.
//!
//! May see: coordinates in CSS pixels, words. Must not see: what they mean.

use super::page::escape;
use std::fmt::Write;

/// Average width of a letter of the 14 px font, in CSS pixels; digits and lower case are narrower.
const LETTER_PX: f64 = 7.3;

/// A drawing under way. All coordinates in CSS pixels from the top left corner.
#[derive(Debug, Clone, PartialEq)]
pub struct Canvas {
    width: f64,
    height: f64,
    body: String,
}

/// Which end of a word stands at its coordinate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    /// Sets the height once it is known.
    pub(super) fn set_height(&mut self, height: f64) {
        self.height = height;
    }

    // Writing to a String cannot fail: every result below is dropped for that reason.

    pub(super) fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let (width, height) = (width.max(0.0), height.max(0.0));
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
        );
    }

    pub(super) fn line(&mut self, class: &str, (x, y): (f64, f64), (to_x, to_y): (f64, f64)) {
        let _ = write!(
            self.body,
            "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{to_x:.1}\" y2=\"{to_y:.1}\"/>"
        );
    }

    pub(super) fn dot(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        let _ =
            write!(self.body, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>");
    }

    pub(super) fn path(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let _ = write!(self.body, "<polyline class=\"{class}\" points=\"");
        for (x, y) in points {
            let _ = write!(self.body, "{x:.1},{y:.1} ");
        }
        self.body.push_str("\"/>");
    }

    pub(super) fn text(&mut self, class: &str, anchor: Anchor, (x, y): (f64, f64), text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = write!(
            self.body,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        );
    }

    /// A word that climbs to the right, for the heads of narrow columns.
    pub(super) fn slanted(&mut self, (x, y): (f64, f64), text: &str) {
        let text = escape(text);
        let _ = write!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" transform=\"rotate(-55 {x:.1} {y:.1})\">{text}</text>"
        );
    }

    /// The SVG element; `id` must be unique in its page, `class` says on which screens it is shown.
    pub(super) fn svg(&self, id: &str, class: &str, title: &str, description: &str) -> String {
        format!(
            "<svg class=\"{class}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\" viewBox=\"0 0 {width:.0} \
             {height:.0}\" style=\"max-width:{most:.0}px\"><title id=\"{id}-t\">{title}</title>\
             <desc id=\"{id}-d\">{description}</desc>{body}</svg>",
            width = self.width,
            height = self.height,
            // Narrow drawings may grow a little on screens between narrow and wide.
            most = if class == "narrow" { self.width * 1.4 } else { self.width },
            title = escape(title),
            description = escape(description),
            body = self.body,
        )
    }
}

/// The width a word needs, about.
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER_PX
}

/// `text` cut to `width` CSS pixels, with an ellipsis where something is lost; tables keep the whole.
pub(super) fn fit(text: &str, width: f64) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let letters = (width / LETTER_PX).max(2.0) as usize - 1;
    text.chars().take(letters).chain(['\u{2026}']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_escaped_and_cut() {
        let mut canvas = Canvas::new(300.0, 20.0);
        canvas.text("label", Anchor::Start, (0.0, 10.0), "<b>&\"");
        canvas.slanted((1.0, 2.0), "<i>");
        let svg = canvas.svg("p1", "wide", "<t>", "<d>");
        for raw in ["<b>", "<i>", "<t>", "<d>"] {
            assert!(!svg.contains(raw), "{raw}");
        }
        assert!(svg.contains("&lt;b&gt;&amp;&quot;"));
        assert_eq!(fit("short", 100.0), "short");
        assert_eq!(fit("a very long label", 60.0), "a very \u{2026}");
    }
}
