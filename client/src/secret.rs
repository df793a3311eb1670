//! A token on its way between a file, a person and a request: readable on purpose only.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text that `Debug` does not show. Plain text in files and on the wire, where it has to be.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for sending it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    #[test]
    fn a_token_shows_in_no_debug_text() {
        let client = Client::new("node".parse().unwrap(), Some("hunter2"));
        for text in [format!("{:?}", Secret::new("hunter2")), format!("{client:#?}")] {
            assert!(text.contains("***") && !text.contains("hunter2"), "{text}");
        }
        assert_eq!(serde_json::to_string(&Secret::new("hunter2")).unwrap(), "\"hunter2\"");
    }
}
