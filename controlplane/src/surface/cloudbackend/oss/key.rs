//! The name of an object (CONTRACT.md §B1): a label of 1 to 1023 bytes, never a path. Nothing merges its slashes or
//! resolves its dots.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::core::percent;

const BYTES_MAX: usize = 1023;

/// A name an object may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(String);

impl Key {
    /// Checks a name. U+FFFD stands where a form's text was no UTF-8, so no name has it.
    pub fn new(text: impl Into<String>) -> Result<Self, Refusal> {
        let text = text.into();
        let fits = (1..=BYTES_MAX).contains(&text.len());
        if fits && !text.starts_with(['/', '\\']) && !text.contains('\u{fffd}') {
            Ok(Self(text))
        } else {
            Err(Refusal::InvalidObjectName)
        }
    }

    /// The name that stands in a path, percent-decoded once.
    pub fn of_path(raw: &str) -> Result<Self, Refusal> {
        Self::new(percent::decode(raw).map_err(|_undecodable| Refusal::InvalidObjectName)?)
    }

    /// As it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Each segment percent-encoded, slashes kept: as it stands in a URL.
    pub fn encoded(&self) -> String {
        percent::encode(&self.0, b"/")
    }

    /// Name of the user whose prefix this is in; `None`: it is in no prefix.
    pub fn owner(&self) -> Option<&str> {
        self.0.split_once('/').map(|(owner, _)| owner)
    }

    /// What a person calls it.
    pub fn last_segment(&self) -> &str {
        self.0.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or(&self.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_keys_are_opaque_labels() {
        for (raw, key) in [
            ("u1/a.txt", Some("u1/a.txt")),
            ("alice//0f3a.pdf", Some("alice//0f3a.pdf")),
            ("u1%2Fa.txt", Some("u1/a.txt")),
            ("u1/../../etc/passwd", Some("u1/../../etc/passwd")),
            ("%2e%2e/x", Some("../x")),
            ("a+b%20%23%25", Some("a+b #%")),
            ("%E6%8A%A5%E5%91%8A%201.pdf", Some("报告 1.pdf")),
            ("a%5Cb;c", Some("a\\b;c")),
            ("%00", Some("\0")),
            ("", None),
            ("/x", None),
            ("%2Fx", None),
            ("%5Cx", None),
            ("%ff", None),
            ("%C0%AE%C0%AE/x", None),
            ("%4", None),
            ("%EF%BF%BD", None),
        ] {
            assert_eq!(Key::of_path(raw).ok().as_ref().map(Key::as_str), key, "{raw}");
        }
        assert!(Key::new("é".repeat(511) + "e").is_ok());
        assert!(Key::new("é".repeat(512)).is_err(), "1024 bytes");
    }

    #[test]
    fn a_key_belongs_to_its_first_segment() {
        for (key, owner, name) in
            [("alice//a.txt", Some("alice"), "a.txt"), ("alice/", Some("alice"), "alice"), ("a.txt", None, "a.txt")]
        {
            let key = Key::new(key).unwrap();
            assert_eq!((key.owner(), key.last_segment()), (owner, name));
        }
    }
}
