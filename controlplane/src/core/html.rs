//! Text inside HTML.

use std::fmt::Write;

/// For text and for quoted attributes alike.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_leaves_its_place(text in ".*") {
            prop_assert!(!escaped(&text).contains(['<', '>', '"', '\'']));
        }
    }
}
