//! The few XML documents the bucket writes: one element with text elements in it.

/// `Content-Type` of every document.
pub const MEDIA_TYPE: &str = "application/xml";

/// A document of one element and its children.
pub fn document(root: &str, children: &[(&str, &str)]) -> String {
    let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root}>");
    for (name, value) in children {
        text.push_str(&format!("<{name}>{}</{name}>", escaped(value)));
    }
    text.push_str(&format!("</{root}>"));
    text
}

/// Text that breaks no element; a character XML 1.0 has no way to say becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_inside_its_element() {
        for (text, escaped) in [
            ("a/b c", "a/b c"),
            ("</Key><x>", "&lt;/Key&gt;&lt;x&gt;"),
            ("a&b", "a&amp;b"),
            ("报告 1.pdf", "报告 1.pdf"),
            ("a\u{0}b\u{1b}\r\n", "a\u{fffd}b\u{fffd}&#13;\n"),
        ] {
            let written = document("Error", &[("Key", text)]);
            let expected = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Key>{escaped}</Key></Error>");
            assert_eq!(written, expected);
        }
    }
}
