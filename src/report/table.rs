//! Tables of a page: a caption, heads, rows of words and numbers.
//!
//! May see: words. Must not see: what they mean.

use super::page::escape;
use std::fmt::Write;

/// Rows above which a table is folded away below its plot.
const ROWS_OPEN_MAX: usize = 15;

/// A table under way. The first column names the row; columns after the first `words` hold numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    caption: String,
    heads: Vec<String>,
    words: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows; columns from number `words` on are set as numbers.
    #[must_use]
    pub fn new<H: Into<String>>(
        caption: impl Into<String>,
        words: usize,
        heads: impl IntoIterator<Item = H>,
    ) -> Self {
        let heads = heads.into_iter().map(Into::into).collect();
        Self { caption: caption.into(), heads, words, rows: Vec::new() }
    }

    /// Adds a row; cells beyond the heads are dropped, cells that lack are empty.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let mut cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        cells.resize(self.heads.len(), String::new());
        self.rows.push(cells);
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as HTML, in a frame that scrolls by itself where the screen is narrow.
    pub(super) fn html(&self) -> String {
        let caption = escape(&self.caption);
        // A frame that scrolls must be reachable by keyboard, and so needs a role and a name.
        let mut out = format!(
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\"><table><caption>{caption}\
             </caption><thead><tr>"
        );
        let class = |at: usize| if at < self.words { "" } else { " class=\"number\"" };
        // Writing to a String cannot fail.
        for (at, head) in self.heads.iter().enumerate() {
            let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(at), escape(head));
        }
        out.push_str("</tr></thead><tbody>");
        for row in &self.rows {
            out.push_str("<tr>");
            for (at, cell) in row.iter().enumerate() {
                let _ = match at {
                    0 => write!(out, "<th scope=\"row\"{}>{}</th>", class(0), escape(cell)),
                    _ => write!(out, "<td{}>{}</td>", class(at), escape(cell)),
                };
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div>");
        out
    }

    /// The table below its plot: folded where it is long.
    pub(super) fn beside_plot(&self) -> String {
        if self.rows.len() <= ROWS_OPEN_MAX {
            return self.html();
        }
        let summary = format!("The same numbers as a table ({} rows)", self.rows.len());
        format!("<details><summary>{summary}</summary>{}</details>", self.html())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_escaped_and_rows_are_as_wide_as_the_heads() {
        let mut table = Table::new("<c>", 1, ["<h>", "n", "m"]);
        table.row(["<r>", "<d>"]);
        let html = table.html();
        for raw in ["<c>", "<h>", "<r>", "<d>"] {
            assert!(!html.contains(raw), "{raw}");
        }
        assert!(html.ends_with(
            "<td class=\"number\">&lt;d&gt;</td><td class=\"number\"></td></tr></tbody></table></div>"
        ));
    }

    #[test]
    fn long_tables_are_folded_below_plots() {
        let mut table = Table::new("c", 1, ["a", "b"]);
        (0..ROWS_OPEN_MAX).for_each(|at| table.row([at.to_string(), String::new()]));
        assert!(table.beside_plot().starts_with("<div"));
        table.row(["one", "more"]);
        assert!(table.beside_plot().starts_with("<details>"));
        assert_eq!((table.len(), table.is_empty()), (16, false));
    }
}
