//! A server-supplied name is display text from a stranger. This turns it into a file name that stays in its directory,
//! is visible, and is no device on any system.

/// Longest result in bytes: a file system takes 255, and `.part.json` with its temporary form must fit too.
const NAME_BYTES_MAX: usize = 220;

/// Names that are devices on some systems, whatever their extension.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];

/// The last component of `suggested`, without what could mislead; `file-<start of id>` when nothing is left.
pub fn safe(suggested: &str, id: &str) -> String {
    let last = suggested.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.chars().filter(|c| !is_misleading(*c)).map(replace_forbidden).collect();
    let trimmed = visible.trim_start_matches(['.', ' ', '-', '~']).trim_end_matches(['.', ' ']);
    let cut = cut_keeping_extension(trimmed);
    if cut.is_empty() || is_reserved(&cut) {
        let start: String = id.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        return format!("file-{start}");
    }
    cut
}

/// Control characters, and those that reorder or hide what a person sees.
fn is_misleading(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffd}')
}

/// What some file systems refuse or take for something else (a colon opens a stream).
fn replace_forbidden(c: char) -> char {
    if matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|') { '_' } else { c }
}

fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let port = |prefix: &str| {
        let rest = stem.strip_prefix(prefix).unwrap_or_default();
        rest.chars().count() == 1 && rest.starts_with(|c: char| c.is_ascii_digit() || "¹²³".contains(c))
    };
    RESERVED.contains(&stem.as_str()) || port("com") || port("lpt")
}

fn cut_keeping_extension(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let extension = name.rfind('.').map(|dot| &name[dot..]).filter(|extension| extension.len() <= 16).unwrap_or("");
    let mut end = NAME_BYTES_MAX - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", name[..end].trim_end_matches(['.', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_hostile_name_becomes_a_harmless_one() {
        for (suggested, expected) in [
            ("ubuntu.iso", "ubuntu.iso"),
            ("报告 2026.pdf", "报告 2026.pdf"),
            ("a b.tar.gz", "a b.tar.gz"),
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            ("..\\..\\windows\\system.ini", "system.ini"),
            ("C:\\autoexec.bat", "autoexec.bat"),
            ("c:evil.txt", "c_evil.txt"),
            ("a/", "file-01234567"),
            ("", "file-01234567"),
            (".", "file-01234567"),
            ("..", "file-01234567"),
            ("...", "file-01234567"),
            (" . ", "file-01234567"),
            (".bashrc", "bashrc"),
            ("..hidden", "hidden"),
            ("-rf", "rf"),
            ("~root", "root"),
            ("name. . ", "name"),
            ("a\0b", "ab"),
            ("a\r\nb\x1b[31m", "ab[31m"),
            ("gpj\u{202e}exe.txt", "gpjexe.txt"),
            ("zero\u{200b}width", "zerowidth"),
            ("NUL", "file-01234567"),
            ("con.txt", "file-01234567"),
            ("COM1.log", "file-01234567"),
            ("lpt9", "file-01234567"),
            ("com10.log", "com10.log"),
            ("console.log", "console.log"),
            ("what?.txt", "what_.txt"),
        ] {
            assert_eq!(safe(suggested, ID), expected, "{suggested:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension_and_its_characters() {
        let name = safe(&format!("{}.iso", "文".repeat(200)), ID);
        assert!(name.len() <= NAME_BYTES_MAX && name.ends_with("文.iso"), "{name}");
        assert_eq!(safe(&"x".repeat(300), ID), "x".repeat(NAME_BYTES_MAX));
        assert_eq!(safe(&format!("a.{}", "x".repeat(300)), ID).len(), NAME_BYTES_MAX);
    }

    #[test]
    fn no_name_leaves_its_directory() {
        let alphabet = ['.', '/', '\\', ' ', 'a', '\0', '\u{202e}', ':', '-', 'é'];
        fastrand::seed(7);
        for _ in 0..20_000 {
            let text: String =
                (0..fastrand::usize(..12)).map(|_| alphabet[fastrand::usize(..alphabet.len())]).collect();
            let name = safe(&text, ID);
            assert!(
                !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']),
                "{text:?} {name:?}"
            );
        }
    }
}
