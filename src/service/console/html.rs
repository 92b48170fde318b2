//! Pieces of pages. Everything that is not written here goes through [`text`].

use std::fmt::Write;

/// Escapes text for an element or a quoted attribute.
pub(super) fn text(raw: impl ToString) -> String {
    let raw = raw.to_string();
    let mut out = String::with_capacity(raw.len());
    for letter in raw.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A whole page; `body` is HTML.
pub(super) fn page(title: &str, signed_in: bool, body: &str) -> String {
    let sign_out = if signed_in {
        "<form method=\"post\" action=\"/console/sign-out\"><button class=\"link\">Sign out</button></form>"
    } else {
        ""
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en-GB\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} - blindlink centre</title><link rel=\"stylesheet\" href=\"/console/style.css\"></head>\
         <body><a class=\"skip\" href=\"#main\">Skip to main content</a>\
         <header><div class=\"width\"><a class=\"home\" href=\"/console\">blindlink centre</a>{sign_out}</div>\
         </header><main id=\"main\" class=\"width\">{body}</main>\
         <footer><div class=\"width\"><p>The centre holds pseudonymised encodings. It has no names.</p></div>\
         </footer></body></html>\n",
        title = text(title)
    )
}

/// A table with a caption; cells are text. Columns after the first `words` hold numbers.
pub(super) fn table(caption: &str, heads: &[&str], words: usize, rows: &[Vec<String>]) -> String {
    let mut out = format!("<table><caption>{}</caption><thead><tr>", text(caption));
    let class = |at: usize| if at < words { "" } else { " class=\"number\"" };
    // Writing to a String cannot fail.
    for (at, head) in heads.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(at), text(head));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let _ = match at {
                0 => write!(out, "<th scope=\"row\">{}</th>", text(cell)),
                _ => write!(out, "<td{}>{}</td>", class(at), text(cell)),
            };
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
    out
}

/// A time as people read it.
pub(super) fn time(at: crate::wire::UtcTime) -> String {
    let text = at.to_string();
    let (day, hour) = (text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default());
    format!("{day} {hour} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_escaped() {
        assert_eq!(text("<a href='x\"'>&"), "&lt;a href=&#39;x&quot;&#39;&gt;&amp;");
        let html = table("<c>", &["<h>"], 1, &[vec!["<r>".to_owned(), "<d>".to_owned()]]);
        assert!(!html.contains("<c>") && !html.contains("<h>") && !html.contains("<r>"));
        assert!(!html.contains("<d>"));
    }
}
