//! Golden files: what is on the wire, on the disk and on the command line, as text in the tree.
//!
//! A test puts its values into [`Golden`] and compares them with the file; a difference names the file and the first line
//! that differs. `ET_GOLDEN=write cargo nextest run …` rewrites the files instead; a continuous-integration run (`CI` is
//! set) refuses to. A changed golden file is a changed format: what an older release wrote or says has to stay readable.
//!
//! ```text
//! # what the file holds
//!
//! == name of an entry
//! its text, or its bytes in hex, 32 a line
//! ```

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const ENTRY: &str = "== ";
const BYTES_PER_LINE: usize = 32;

/// One golden file, entry by entry.
#[derive(Debug)]
pub struct Golden {
    path: PathBuf,
    text: String,
    names: Vec<String>,
}

/// An entry, as the golden file holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub name: String,
    /// Its lines.
    pub text: String,
}

impl Golden {
    /// The file at `path`; `about` is one line for its head.
    pub fn new(path: impl AsRef<Path>, about: &str) -> Self {
        Self { path: path.as_ref().to_owned(), text: format!("# {about}\n"), names: Vec::new() }
    }

    /// An entry of text, as it is.
    #[track_caller]
    pub fn text(&mut self, name: &str, text: &str) {
        assert!(!self.names.iter().any(|other| other == name), "two entries {name:?} in {}", self.path.display());
        assert!(!text.lines().any(|line| line.starts_with(ENTRY)), "{name:?} holds a line that begins an entry");
        self.names.push(name.to_owned());
        let _ = write!(self.text, "\n{ENTRY}{name}\n{text}");
        if !text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// An entry of bytes.
    #[track_caller]
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) {
        let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
        self.text(name, &bytes.chunks(BYTES_PER_LINE).map(line).collect::<String>());
    }

    /// Compares with the file, or rewrites it, and returns what the file holds.
    #[track_caller]
    pub fn check(self) -> Vec<Entry> {
        compare(&self.path, &self.text);
        let mut entries = Vec::new();
        for line in std::fs::read_to_string(&self.path).expect("the file was just compared").lines() {
            match (line.strip_prefix(ENTRY), entries.last_mut()) {
                (Some(name), _) => entries.push(Entry { name: name.to_owned(), text: String::new() }),
                (None, Some(Entry { text, .. })) => *text += &format!("{line}\n"),
                (None, None) => {}
            }
        }
        // The empty line before each entry is no part of the one before.
        let before_next = entries.len().saturating_sub(1);
        for entry in &mut entries[..before_next] {
            entry.text.pop();
        }
        assert_eq!(entries.iter().map(|entry| &entry.name).collect::<Vec<_>>(), self.names.iter().collect::<Vec<_>>());
        entries
    }
}

impl Entry {
    /// Its bytes.
    #[track_caller]
    pub fn bytes(&self) -> Vec<u8> {
        let digits: Vec<u8> = self.text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let text = std::str::from_utf8(&digits).expect("hex digits");
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex digits");
        (0..text.len()).step_by(2).map(byte).collect()
    }

    /// Its text without the end of its last line.
    pub fn line(&self) -> &str {
        self.text.trim_end_matches('\n')
    }
}

/// Compares `text` with the file at `path`, or rewrites the file.
#[track_caller]
pub fn compare(path: &Path, text: &str) {
    let found = std::fs::read_to_string(path).unwrap_or_default();
    if found == text {
        return;
    }
    if std::env::var_os("ET_GOLDEN").is_some_and(|word| word == "write") {
        assert!(std::env::var_os("CI").is_none(), "golden files are compared here, not written");
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).expect("the directory of a golden file");
        }
        std::fs::write(path, text).expect("write a golden file");
        return;
    }
    panic!(
        "{} {}\nIf the format is meant to change: ET_GOLDEN=write cargo nextest run, and look at the difference",
        path.display(),
        first_difference(&found, text)
    );
}

/// The first line that differs, of the golden file and of the program.
fn first_difference(golden: &str, text: &str) -> String {
    let (mut golden, mut text) = (golden.split('\n'), text.split('\n'));
    for number in 1.. {
        match (golden.next(), text.next()) {
            (None, None) => break,
            (golden, text) if golden == text => {}
            (golden, text) => {
                let line = |line: Option<&str>| line.map_or("(the end)".to_owned(), |line| format!("`{line}`"));
                return format!("line {number}:\n  golden  {}\n  program {}", line(golden), line(text));
            }
        }
    }
    "is equal".to_owned()
}

/// Named examples of an enum: every variant has one, or this does not compile; and each is of the variant it stands beside.
///
/// ```
/// use etransfer_tests::examples;
/// let all = examples!(Option<u8>: None => { "nothing": None }, Some(_) => { "zero": Some(0), "most": Some(255) });
/// assert_eq!(all.len(), 3);
/// ```
#[macro_export]
macro_rules! examples {
    ($kind:ty: $($variant:pat => { $($name:literal: $example:expr),+ $(,)? }),+ $(,)?) => {{
        let _every_variant = |value: &$kind| match value { $($variant => ()),+ };
        let mut all: Vec<(&'static str, $kind)> = Vec::new();
        $($(
            let example: $kind = $example;
            assert!(matches!(&example, $variant), "{} is another variant", $name);
            all.push(($name, example));
        )+)+
        all
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        for (golden, text, expected) in [
            ("a\nb\n", "a\nc\n", "line 2:\n  golden  `b`\n  program `c`"),
            ("a\n", "a\nb\n", "line 2:\n  golden  ``\n  program `b`"),
            ("a\nb", "a", "line 2:\n  golden  `b`\n  program (the end)"),
            ("a", "a", "is equal"),
        ] {
            assert_eq!(first_difference(golden, text), expected);
        }
    }

    #[test]
    fn what_is_read_back_is_what_was_put_in_and_a_difference_fails() {
        let path = std::env::temp_dir().join(format!("etransfer-golden-{}.txt", std::process::id()));
        let bytes: Vec<u8> = (0..100).collect();
        let with = |bytes: &[u8]| {
            let mut golden = Golden::new(&path, "a test");
            golden.text("two lines", "one\n\ntwo");
            golden.bytes("bytes", bytes);
            golden.bytes("none", &[]);
            golden
        };
        std::fs::write(&path, with(&bytes).text).unwrap();
        let entries = with(&bytes).check();
        assert_eq!((entries[0].line(), entries[0].text.as_str()), ("one\n\ntwo", "one\n\ntwo\n"));
        assert_eq!((entries[1].bytes(), entries[2].bytes()), (bytes, vec![]));
        if std::env::var_os("ET_GOLDEN").is_none() {
            assert!(std::panic::catch_unwind(|| with(&[7]).check()).is_err());
        }
        std::fs::remove_file(&path).unwrap();
    }
}
