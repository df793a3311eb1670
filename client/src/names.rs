//! File names and paths where text is needed. A name on Linux is any bytes; JSON and the wire carry text.
//!
//! What must stay true: two different names never become the same text, and a name that is UTF-8 stays as it is.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serializer};

/// The name as text. A name that is not UTF-8 is percent-encoded where it is not, and in its percent signs.
pub fn text_of(name: &OsStr) -> String {
    if let Some(text) = name.to_str() {
        return text.to_owned();
    }
    let mut text = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            let _ = write!(text, "%{byte:02X}"); // writing to a string does not fail
        }
    }
    text
}

/// For `#[serde(with = …)]`: a path that is UTF-8 is a JSON string, any other an array of its bytes.
pub(crate) mod path {
    use super::*;

    /// Writes.
    pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => to.serialize_str(text),
            None => to.collect_seq(path.as_os_str().as_bytes()),
        }
    }

    /// Reads.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Text(String),
            Bytes(Vec<u8>),
        }
        Ok(match Stored::deserialize(from)? {
            Stored::Text(text) => text.into(),
            Stored::Bytes(bytes) => std::ffi::OsString::from_vec(bytes).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_not_text_are_encoded() {
        for (name, text) in [
            (&b"plain.bin"[..], "plain.bin"),
            ("größe 100%".as_bytes(), "größe 100%"),
            (b"bad\xff.bin", "bad%FF.bin"),
            (b"bad%FF\xff", "bad%25FF%FF"),
            (b"\xe2\x82", "%E2%82"),
            (b"", ""),
        ] {
            assert_eq!(text_of(OsStr::from_bytes(name)), text);
        }
    }

    #[test]
    fn every_path_survives_json() {
        #[derive(serde::Serialize, Deserialize)]
        struct Holds(#[serde(with = "path")] PathBuf);
        for (bytes, json) in [(&b"/a/b"[..], r#""/a/b""#), (b"/\xff", "[47,255]")] {
            let held = Holds(OsStr::from_bytes(bytes).into());
            let text = serde_json::to_string(&held).unwrap();
            assert_eq!(text, json);
            assert_eq!(serde_json::from_str::<Holds>(&text).unwrap().0, held.0);
        }
    }
}
