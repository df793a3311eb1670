//! `Content-Disposition` (PROMISES.md §5): built here and nowhere else. An ASCII fallback that no name can break out
//! of, and the name itself as `filename*` (RFC 8187).

use crate::core::percent;

/// What a browser is asked to do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Save it.
    Attachment,
    /// Show it: only for what cannot run anything, whatever is in it.
    Inline,
}

/// The field for a file called `name` that is to be saved.
pub fn attachment(name: &str) -> String {
    field(Show::Attachment, name)
}

/// The field for a file called `name`.
pub fn field(show: Show, name: &str) -> String {
    let name = if name.is_empty() { "download" } else { name };
    let fallback = fallback(name);
    if fallback == name { format!("{}; filename=\"{fallback}\"", show.word()) } else { in_full(show, name) }
}

/// As [`attachment`], with both forms of the name also where one would do.
pub fn attachment_in_full(name: &str) -> String {
    in_full(Show::Attachment, name)
}

fn in_full(show: Show, name: &str) -> String {
    // attr-char of RFC 8187 §3.2.1.
    let encoded = percent::encode(name, b"!#$&+^`|");
    format!("{}; filename=\"{}\"; filename*=UTF-8''{encoded}", show.word(), fallback(name))
}

impl Show {
    fn word(self) -> &'static str {
        match self {
            Self::Attachment => "attachment",
            Self::Inline => "inline",
        }
    }
}

fn fallback(name: &str) -> String {
    name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

fn is_plain(c: char) -> bool {
    (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\' | '/' | '%')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::attachment;

    #[test]
    fn names_keep_their_letters_and_break_nothing() {
        for (name, field) in [
            ("a b.txt", "attachment; filename=\"a b.txt\""),
            ("", "attachment; filename=\"download\""),
            ("文.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%E6%96%87.txt"),
            ("a\"b\r\n", "attachment; filename=\"a_b__\"; filename*=UTF-8''a%22b%0D%0A"),
            ("../x", "attachment; filename=\".._x\"; filename*=UTF-8''..%2Fx"),
        ] {
            assert_eq!(attachment(name), field);
        }
    }

    proptest! {
        #[test]
        fn any_name_is_a_valid_field(name in ".*") {
            let field = attachment(&name);
            prop_assert!(field.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(field.matches('"').count(), 2);
        }
    }
}
