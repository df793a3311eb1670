//! Where something stands in a drive (CONTRACT.md §A4): the names of the folders around it, each between two slashes.
//!
//! Must stay true: a path begins and ends with a slash and has no empty, `.` or `..` segment, so that "below" is a question
//! of how it begins. It is a label: no path on a disk is ever made of one.

use serde::{Deserialize, Serialize};

/// Longest path, in characters.
pub const CHARS_MAX: usize = 1024;

/// A folder's path; the root is `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FolderPath(String);

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPath {
    /// A forbidden segment.
    Invalid,
    /// More than [`CHARS_MAX`] characters.
    TooLong,
}

impl FolderPath {
    /// Reads what a client wrote: slashes at either end may be missing, and empty segments do not count.
    pub fn parse(text: &str) -> Result<Self, NoPath> {
        let mut path = Self::default();
        for segment in text.split('/').filter(|segment| !segment.is_empty()) {
            if !is_segment(segment) {
                return Err(NoPath::Invalid);
            }
            path = path.child(segment);
        }
        if path.fits() { Ok(path) } else { Err(NoPath::TooLong) }
    }

    /// As it is told.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the folder `name` in this one. It may be longer than a path may be: ask [`FolderPath::fits`].
    pub fn child(&self, name: &str) -> Self {
        debug_assert!(is_segment(name), "checked where it came in");
        Self(format!("{}{name}/", self.0))
    }

    /// Not longer than paths may be.
    pub fn fits(&self) -> bool {
        self.0.chars().count() <= CHARS_MAX
    }

    /// `other` is this folder, or below it.
    pub fn holds(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Where this is when the folder `from` goes to `to`; `None`: it is not in it.
    pub fn moved(&self, from: &Self, to: &Self) -> Option<Self> {
        self.0.strip_prefix(&from.0).map(|rest| Self(format!("{}{rest}", to.0)))
    }
}

impl Default for FolderPath {
    /// The root.
    fn default() -> Self {
        Self("/".to_owned())
    }
}

/// Whether a folder may have this name.
pub fn is_segment(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a4_paths_are_normalised_or_refused() {
        for (text, path) in [
            ("", Ok("/")),
            ("/", Ok("/")),
            ("///", Ok("/")),
            ("documents", Ok("/documents/")),
            ("/documents", Ok("/documents/")),
            ("/documents/", Ok("/documents/")),
            ("//a///b", Ok("/a/b/")),
            ("/新文件夹/x y", Ok("/新文件夹/x y/")),
            ("/a\\..\\b/", Ok("/a\\..\\b/")),
            ("/%2e%2e/", Ok("/%2e%2e/")),
            ("/.../..a/.b/", Ok("/.../..a/.b/")),
            (" /a/ ", Ok("/ /a/ /")),
            ("..", Err(NoPath::Invalid)),
            (".", Err(NoPath::Invalid)),
            ("/a/../b", Err(NoPath::Invalid)),
            ("/a/./b", Err(NoPath::Invalid)),
            ("/a/..", Err(NoPath::Invalid)),
            ("../../etc/passwd", Err(NoPath::Invalid)),
            ("/a\0b", Err(NoPath::Invalid)),
        ] {
            assert_eq!(FolderPath::parse(text).as_ref().map(FolderPath::as_str), path.as_ref().copied(), "{text:?}");
        }
        let longest = "文".repeat(CHARS_MAX - 2);
        assert!(FolderPath::parse(&longest).is_ok(), "characters, not bytes");
        assert_eq!(FolderPath::parse(&(longest + "文")), Err(NoPath::TooLong));
    }

    #[test]
    fn below_is_a_question_of_whole_segments() {
        let path = |text: &str| FolderPath::parse(text).unwrap();
        assert!(path("/a").holds(&path("/a")) && path("/a").holds(&path("/a/b")) && path("/").holds(&path("/a")));
        assert!(!path("/a").holds(&path("/ab")) && !path("/a/b").holds(&path("/a")));
        assert_eq!(path("/a/b/c").moved(&path("/a"), &path("/x/y")), Some(path("/x/y/b/c")));
        assert_eq!(path("/ab").moved(&path("/a"), &path("/x")), None);
    }

    proptest! {
        #[test]
        fn whatever_is_read_reads_back_the_same(text in "(\\PC|/|\\.){0,60}") {
            if let Ok(path) = FolderPath::parse(&text) {
                prop_assert_eq!(FolderPath::parse(path.as_str()), Ok(path.clone()));
                prop_assert!(path.as_str().starts_with('/') && path.as_str().ends_with('/'));
                prop_assert!(!path.as_str().contains("//") && !path.as_str().contains("/../"));
            }
        }
    }
}
