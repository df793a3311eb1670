//! What a file is called (CONTRACT.md §4.1): text for people. Nothing is ever stored under it.

use crate::catalogue::text::display_name;

/// The name in a form. Browsers, curl and Python write the three characters that would end it as `%22`, `%0D` and `%0A`
/// (the multipart encoding of the HTML standard), and no other.
pub fn of_form(told: &str) -> String {
    of_text(&told.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
}

/// Without directories, as far as it fits; empty when nothing is left.
pub fn of_text(told: &str) -> String {
    let last = told.rsplit(['/', '\\']).next().unwrap_or_default();
    display_name(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_4_1_directories_are_dropped() {
        for (told, name) in [
            ("t.txt", "t.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\x\\t.txt", "t.txt"),
            ("a/", ""),
            ("", ""),
            ("..", ".."),
            ("é 文\".txt", "é 文\".txt"),
            ("é 文%22.txt", "é 文\".txt"),
            ("100%.txt", "100%.txt"),
            ("a%2Fb", "a%2Fb"),
            ("<script>a.html", "<script>a.html"),
        ] {
            assert_eq!(of_form(told), name, "{told}");
        }
        assert_eq!(of_form(&"é".repeat(200)).len(), 254);
        assert_eq!(of_text("a%22b"), "a%22b");
    }
}
