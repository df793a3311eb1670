//! What is kept about an object beside its bytes: the `detail` of its record.
//!
//! Must stay true: a field that came in is one that may go out, so no object can break the head of an answer.

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// All of `x-oss-meta-*` together.
const META_BYTES_MAX: usize = 8 * 1024;
/// One value.
const VALUE_BYTES_MAX: usize = 8 * 1024;
const OCTETS: &str = "application/octet-stream";
/// Kept and returned (CONTRACT.md §B4).
const KEPT: [&str; 4] = ["Cache-Control", "Content-Disposition", "Content-Encoding", "Expires"];
const META: &str = "x-oss-meta-";

/// An object, beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Fields of its answers.
    pub headers: Headers,
    /// Upper hex.
    pub md5: String,
    /// CRC-64/XZ.
    pub crc64: u64,
    /// Live files of drives that are this object.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub files: BTreeSet<u64>,
    /// When the last of them was deleted; Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_ms: Option<u64>,
}

impl Stored {
    /// `ETag`, with its quotes.
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.md5)
    }

    /// Some file of a drive is this object: it stays, as it is.
    pub fn is_referenced(&self) -> bool {
        !self.files.is_empty()
    }

    /// When it goes, were it made at `created_ms` (CONTRACT.md §B8); `None` while it is referenced.
    pub fn ends_ms(&self, created_ms: u64, orphan_s: u64, grace_s: u64) -> Option<u64> {
        if self.is_referenced() {
            return None;
        }
        let (since, lives_s) = self.released_ms.map_or((created_ms, orphan_s), |released| (released, grace_s));
        Some(since.saturating_add(lives_s.saturating_mul(1000)))
    }
}

/// `Content-Type`, the kept fields and `x-oss-meta-*`: names and values that may stand in a head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Takes what is kept out of `fields`; of a repeated name the first counts.
    pub fn new<'f>(
        content_type: Option<&[u8]>,
        fields: impl Iterator<Item = (&'f str, &'f [u8])>,
    ) -> Result<Self, Refusal> {
        let content_type = content_type.map(value).transpose()?.unwrap_or_else(|| OCTETS.to_owned());
        let mut kept = vec![("Content-Type".to_owned(), content_type)];
        let mut meta_bytes = 0;
        for (name, raw) in fields {
            let lower = name.to_ascii_lowercase();
            let is_meta = lower.len() > META.len() && lower.starts_with(META);
            let name = match KEPT.iter().find(|kept| kept.eq_ignore_ascii_case(name)) {
                Some(kept) => (*kept).to_owned(),
                None if is_meta => lower,
                None => continue,
            };
            if kept.iter().any(|(other, _)| *other == name) {
                continue;
            }
            let value = value(raw)?;
            HeaderName::try_from(&name).map_err(|_| Refusal::InvalidArgument("A name of metadata is not valid."))?;
            meta_bytes += if is_meta { name.len() + value.len() } else { 0 };
            kept.push((name, value));
        }
        if meta_bytes > META_BYTES_MAX {
            return Err(Refusal::InvalidArgument("The metadata is longer than 8 KB."));
        }
        Ok(Self(kept))
    }

    /// Its type.
    pub fn content_type(&self) -> &str {
        self.get("Content-Type").unwrap_or(OCTETS)
    }

    /// A field by its name as it is kept.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Puts another value in the place of a field.
    pub fn replace(&mut self, name: &str, value: String) {
        self.0.retain(|(other, _)| other != name);
        self.0.push((name.to_owned(), value));
    }

    /// All of them.
    pub fn into_fields(self) -> Vec<(String, String)> {
        self.0
    }
}

/// A value that may stand in a head: no control characters, valid UTF-8.
pub fn value(raw: &[u8]) -> Result<String, Refusal> {
    const REFUSAL: Refusal = Refusal::InvalidArgument("The value of a header is not valid.");
    let text = std::str::from_utf8(raw.trim_ascii()).map_err(|_| REFUSAL)?;
    let fits = text.len() <= VALUE_BYTES_MAX && HeaderValue::from_bytes(text.as_bytes()).is_ok();
    if fits { Ok(text.to_owned()) } else { Err(REFUSAL) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Result<Vec<(String, String)>, Refusal> {
        let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
        Headers::new(Some(b"a/b"), fields).map(|headers| headers.into_fields().split_off(1))
    }

    #[test]
    fn b4_kept_fields_and_no_others() {
        let kept = headers(&[
            ("cache-control", "no-cache"),
            ("CONTENT-DISPOSITION", "attachment; filename=\"报告.pdf\""),
            ("Cache-Control", "again"),
            ("X-Oss-Meta-Author", " me "),
            ("x-oss-meta-", "no name"),
            ("x-oss-object-acl", "public-read"),
            ("Set-Cookie", "a=b"),
            ("文文文文文文文文", "x"),
        ]);
        let kept = kept.unwrap();
        let expected = [
            ("Cache-Control", "no-cache"),
            ("Content-Disposition", "attachment; filename=\"报告.pdf\""),
            ("x-oss-meta-author", "me"),
        ];
        assert_eq!(kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_that_breaks_a_head_is_kept() {
        for (name, value) in [
            ("Expires", "a\r\nSet-Cookie: b"),
            ("x-oss-meta-a", "\u{0}"),
            ("x-oss-meta-a b", "c"),
            ("x-oss-meta-a:b", "c"),
            ("x-oss-meta-文", "c"),
            ("x-oss-meta-a\r\nb", "c"),
        ] {
            assert!(matches!(headers(&[(name, value)]), Err(Refusal::InvalidArgument(_))), "{name:?} {value:?}");
        }
        let half = "m".repeat(META_BYTES_MAX / 2);
        assert!(headers(&[("x-oss-meta-a", &half)]).is_ok());
        assert!(headers(&[("x-oss-meta-a", &half), ("x-oss-meta-b", &half)]).is_err());
    }

    #[test]
    fn b8_when_an_object_goes() {
        let stored = |files: &[u64], released_ms| Stored {
            headers: Headers(Vec::new()),
            md5: String::new(),
            crc64: 0,
            files: files.iter().copied().collect(),
            released_ms,
        };
        for (stored, ends) in [
            (stored(&[], None), Some(1_010)),
            (stored(&[], Some(500)), Some(2_500)),
            (stored(&[7], None), None),
            (stored(&[7], Some(500)), None),
        ] {
            assert_eq!(stored.ends_ms(10, 1, 2), ends, "{stored:?}");
        }
    }
}
