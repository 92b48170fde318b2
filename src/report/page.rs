//! One self-contained page: skip link, one h1, contents, sections. No script, nothing from elsewhere.
//!
//! May see: words, tables, plots. Must not see: HTML from callers.

use super::{Plot, Table};
use std::fmt::Write;

/// Widths of the two drawings of every plot, in CSS pixels.
const WIDE_PX: f64 = 720.0;
const NARROW_PX: f64 = 300.0;

/// Escapes text for an element or a quoted attribute. Control characters, which HTML refuses, become blanks.
#[must_use]
pub fn escape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for letter in raw.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            control if control.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// A page under way.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    lead: String,
    sections: Vec<String>,
    body: String,
    plots: usize,
}

impl Page {
    /// A page with its title, which is also its one h1.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), lead: String::new(), sections: Vec::new(), body: String::new(), plots: 0 }
    }

    /// The sentence below the title.
    pub fn lead(&mut self, text: &str) {
        let _ = write!(self.lead, "<p class=\"lead\">{}</p>", escape(text));
    }

    /// Begins a section; the contents list names it.
    pub fn section(&mut self, heading: &str) {
        self.sections.push(heading.to_owned());
        let _ = write!(self.body, "<h2 id=\"s{}\">{}</h2>", self.sections.len(), escape(heading));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        let _ = write!(self.body, "<p>{}</p>", escape(text));
    }

    /// A remark that must be seen, in words: what is wrong and what to do.
    pub fn warning(&mut self, text: &str) {
        let text = escape(text);
        let _ = write!(
            self.body,
            "<div class=\"warning\"><span class=\"sign\" aria-hidden=\"true\">!</span><strong><span \
             class=\"hidden\">Warning: </span>{text}</strong></div>"
        );
    }

    /// A remark set apart.
    pub fn inset(&mut self, text: &str) {
        let _ = write!(self.body, "<div class=\"inset\">{}</div>", escape(text));
    }

    /// A list.
    pub fn list<'t>(&mut self, items: impl IntoIterator<Item = &'t str>) {
        self.body.push_str("<ul>");
        for item in items {
            let _ = write!(self.body, "<li>{}</li>", escape(item));
        }
        self.body.push_str("</ul>");
    }

    /// Names and what they are, a line each.
    pub fn facts<'t>(&mut self, facts: impl IntoIterator<Item = (&'t str, String)>) {
        self.body.push_str("<dl>");
        for (name, value) in facts {
            let _ = write!(self.body, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(&value));
        }
        self.body.push_str("</dl>");
    }

    /// A table.
    pub fn table(&mut self, table: &Table) {
        self.body.push_str(&table.html());
    }

    /// A plot, its description, and the table with the same numbers.
    pub fn plot(&mut self, plot: &dyn Plot) {
        self.plots += 1;
        let (title, description, number) = (plot.title(), plot.description(), self.plots);
        let drawn = |class: &str, width: f64| {
            let id = format!("p{number}{}", &class[..1]);
            plot.draw(width).svg(&id, class, title, &description)
        };
        let _ = write!(
            self.body,
            "<figure><figcaption><h3>{}</h3><p>{}</p></figcaption>{}{}{}</figure>",
            escape(title),
            escape(&description),
            drawn("wide", WIDE_PX),
            drawn("narrow", NARROW_PX),
            plot.table().beside_plot()
        );
    }

    /// The page as one HTML file.
    #[must_use]
    pub fn render(&self) -> String {
        let title = escape(&self.title);
        let mut contents = String::new();
        if self.sections.len() > 1 {
            contents.push_str("<nav aria-label=\"Contents\"><h2>Contents</h2><ul>");
            for (at, heading) in (1..).zip(&self.sections) {
                let _ = write!(contents, "<li><a href=\"#s{at}\">{}</a></li>", escape(heading));
            }
            contents.push_str("</ul></nav>");
        }
        format!(
            "<!DOCTYPE html>\n<html lang=\"en-GB\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <title>{title} - blindlink</title><style>{style}</style></head>\
             <body><a class=\"skip\" href=\"#main\">Skip to main content</a>\
             <header><div class=\"width\">blindlink</div></header>\
             <main id=\"main\" class=\"width\"><h1>{title}</h1>{lead}{contents}{body}</main>\
             <footer><div class=\"width\"><p>Written by blindlink {version}. This file loads nothing and runs \
             nothing.</p></div></footer></body></html>\n",
            style = include_str!("style.css"),
            lead = self.lead,
            body = self.body,
            version = env!("CARGO_PKG_VERSION"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{every_kind, well_formed};
    use super::*;

    #[test]
    fn text_is_escaped_everywhere() {
        assert_eq!(escape("<a href='x\"'>&\u{7}\n"), "&lt;a href=&#39;x&quot;&#39;&gt;&amp;\u{fffd} ");
        let mut page = Page::new("<h1>");
        page.lead("<x1>");
        page.section("<x2>");
        page.section("<x3>");
        page.paragraph("<x4>");
        page.warning("<x5>");
        page.inset("<x6>");
        page.list(["<x7>"]);
        page.facts([("<x8>", "<x9>".to_owned())]);
        let html = page.render();
        assert!(!html.contains("<x"), "raw text reached the page");
        assert_eq!(html.matches("&lt;x").count(), 11, "each once, headings also in the contents");
        assert_eq!(html.matches("<h1>").count(), 1, "the page's own");
    }

    #[test]
    fn every_plot_has_a_title_a_description_and_a_table_and_the_page_is_well_formed() {
        let mut page = Page::new("All plots");
        let plots = every_kind();
        plots.iter().for_each(|plot| page.plot(plot.as_ref()));
        let html = page.render();
        well_formed(&html);
        let count = |what: &str| html.matches(what).count();
        assert_eq!(count("<svg "), 2 * plots.len());
        assert_eq!(count("<title "), 2 * plots.len());
        assert_eq!(count("<desc "), 2 * plots.len());
        assert_eq!(count("<figure>"), plots.len());
        assert_eq!(count("<table>"), plots.len());
        assert!(!html.contains("<script") && !html.contains("src=") && !html.contains("url("));
        assert!(!html.contains("NaN") && !html.contains("inf"), "numbers that cannot be drawn");
    }
}
