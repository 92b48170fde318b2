//! Rows as comma-separated text (RFC 4180).
//!
//! May see: cells. Writes into a buffer of the caller's; files are the command line's business.

/// Appends one row and a line feed to `out`; cells with a comma, quote or line break are quoted.
pub fn push_row<'a>(out: &mut Vec<u8>, cells: impl IntoIterator<Item = &'a str>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if cell.bytes().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r')) {
            out.push(b'"');
            for byte in cell.bytes() {
                if byte == b'"' {
                    out.push(b'"');
                }
                out.push(byte);
            }
            out.push(b'"');
        } else {
            out.extend_from_slice(cell.as_bytes());
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_must_be_quoted_is() {
        let mut out = Vec::new();
        push_row(&mut out, ["a", "", "Flat 1, 2 Elm Road", "say \"hi\"", "Zoë"]);
        push_row(&mut out, ["x"]);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "a,,\"Flat 1, 2 Elm Road\",\"say \"\"hi\"\"\",Zoë\nx\n");
    }
}
