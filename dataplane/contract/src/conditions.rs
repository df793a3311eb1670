//! Conditional requests (RFC 9110 §13): may this version of a file answer this request? The one place for every dialect:
//! the data plane judges by it before it sends, the control plane where a dialect has its own refusals.
//!
//! RFC 9110 §13.2.2, in its order, for GET and HEAD:
//!
//! | field | condition | else |
//! |---|---|---|
//! | `If-Match` | `*`, or a listed tag is this version's, strongly compared | 412 |
//! | `If-Unmodified-Since`, without `If-Match` | not modified after it | 412 |
//! | `If-None-Match` | neither `*` nor a listed tag that is this version's, weakly compared | 304 |
//! | `If-Modified-Since`, without `If-None-Match` | modified after it | 304 |
//! | `If-Range`, with `Range` on a GET | this version's strong tag, or exactly its date | `Range` means nothing |
//!
//! Must stay true: a range is never taken from another version than the one its client holds. So a date in `If-Range` is
//! compared exactly, and is sound because a version that takes the place of another has a date at least one second later
//! (RFC 9110 §8.8.2.2). A date that is no date, one given twice, and a list without any tag are as if they were absent
//! (but not in `If-Range`, where they name no version); a version without a date has no conditions on dates.

use std::time::{Duration, UNIX_EPOCH};

use crate::list::members;
use crate::tus::Fields;

/// What a client may name.
#[derive(Debug, Clone, Copy)]
pub struct Version<'v> {
    /// The strong tag with its quotes; empty: it has none.
    pub etag: &'v str,
    /// Unix seconds of its `Last-Modified`; `None`: it has none.
    pub modified_s: Option<u64>,
    /// How a tag is compared in `If-Match` and `If-None-Match`.
    pub tags: Tags,
}

/// How tags are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tags {
    /// As RFC 9110 §8.8.3.2 says.
    Exact,
    /// Also without quotes, in either case, and weak ones as strong ones: clients of object stores write them so.
    Loose,
}

/// What the conditions come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answer.
    Go {
        /// `Range`, if there is one, counts.
        ranges: bool,
    },
    /// 304
    NotModified,
    /// 412
    Failed,
}

/// Judges the head of a GET or HEAD.
pub fn judge(fields: &impl Fields, version: Version<'_>) -> Verdict {
    let stands = match listed(fields, "if-match") {
        Some(mut tags) => tags.any(|tag| version.is_named_by(tag, Strength::Strong)),
        None => before_or_at(fields, "if-unmodified-since", version).unwrap_or(true),
    };
    if !stands {
        return Verdict::Failed;
    }
    let is_known = match listed(fields, "if-none-match") {
        Some(mut tags) => tags.any(|tag| version.is_named_by(tag, Strength::Weak)),
        None => before_or_at(fields, "if-modified-since", version).unwrap_or(false),
    };
    if is_known {
        return Verdict::NotModified;
    }
    Verdict::Go { ranges: range_counts(fields, version) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strength {
    Strong,
    Weak,
}

impl Version<'_> {
    fn is_named_by(&self, tag: &[u8], strength: Strength) -> bool {
        let opaque = tag.strip_prefix(b"W/");
        match (self.tags, strength, opaque) {
            _ if tag == b"*" => true,
            _ if self.etag.is_empty() => false,
            (Tags::Loose, _, _) => bare(tag).eq(bare(self.etag.as_bytes())),
            (Tags::Exact, Strength::Strong, Some(_)) => false,
            (Tags::Exact, _, opaque) => opaque.unwrap_or(tag) == self.etag.as_bytes(),
        }
    }
}

/// A tag without `W/`, quotes and case.
fn bare(tag: &[u8]) -> impl Iterator<Item = u8> {
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    tag.iter().filter(|byte| **byte != b'"').map(u8::to_ascii_uppercase)
}

/// The elements of a list; `None` when there is none.
fn listed<'f>(fields: &'f impl Fields, name: &'static str) -> Option<impl Iterator<Item = &'f [u8]>> {
    let mut members = members(fields.all(name)).peekable();
    members.peek().is_some().then_some(members)
}

/// Whether this version was there at the time the field names.
fn before_or_at(fields: &impl Fields, name: &'static str, version: Version<'_>) -> Option<bool> {
    Some(version.modified_s? <= date(only(fields, name)?)?)
}

fn range_counts(fields: &impl Fields, version: Version<'_>) -> bool {
    let mut values = fields.all("if-range");
    let (value, more) = (values.next(), values.next());
    match (value, more) {
        (None, _) => true,
        (Some(tag), None) if tag.starts_with(b"\"") => tag == version.etag.as_bytes(),
        (Some(text), None) => version.modified_s.is_some_and(|modified_s| date(text) == Some(modified_s)),
        (Some(_), Some(_)) => false,
    }
}

fn only<'f>(fields: &'f impl Fields, name: &'static str) -> Option<&'f [u8]> {
    let mut values = fields.all(name);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Unix seconds of one of the three forms of a date (RFC 9110 §5.6.7).
fn date(text: &[u8]) -> Option<u64> {
    let time = httpdate::parse_http_date(std::str::from_utf8(text).ok()?).ok()?;
    Some(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Failed, NotModified};
    use super::*;

    const BEFORE: &str = "Mon, 31 Dec 2029 23:59:59 GMT";
    const SAME: &str = "Tue, 01 Jan 2030 00:00:00 GMT";
    const AFTER: &str = "Tue, 01 Jan 2030 00:00:01 GMT";
    const GO: Verdict = Verdict::Go { ranges: true };
    const WHOLE: Verdict = Verdict::Go { ranges: false };

    fn judged(fields: &[(&str, &str)], tags: Tags, modified_s: Option<u64>) -> Verdict {
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        judge(&fields, Version { etag: "\"Ab\"", modified_s, tags })
    }

    #[test]
    fn rfc_9110_13_each_condition_and_their_order() {
        for (fields, expected) in [
            (&[][..], GO),
            (&[("If-Match", "\"Ab\"")], GO),
            (&[("If-Match", "*")], GO),
            (&[("If-Match", "\"x\", \"Ab\"")], GO),
            (&[("If-Match", ", ,\"x\",, \"Ab\" ,")], GO),
            (&[("If-Match", "\"x\""), ("If-Match", "\"Ab\"")], GO),
            (&[("If-Match", "\"x,\"Ab\"")], Failed),
            (&[("If-Match", "W/\"Ab\"")], Failed),
            (&[("If-Match", "\"ab\"")], Failed),
            (&[("If-Match", "Ab")], Failed),
            (&[("If-Match", "")], GO),
            (&[("If-Match", " , ")], GO),
            (&[("If-Unmodified-Since", BEFORE)], Failed),
            (&[("If-Unmodified-Since", SAME)], GO),
            (&[("If-Unmodified-Since", "Tuesday, 01-Jan-30 00:00:00 GMT")], GO),
            (&[("If-Unmodified-Since", "Mon Dec 31 23:59:59 2029")], Failed),
            (&[("If-Unmodified-Since", "yesterday")], GO),
            (&[("If-Unmodified-Since", BEFORE), ("If-Unmodified-Since", BEFORE)], GO),
            (&[("If-Match", "\"Ab\""), ("If-Unmodified-Since", BEFORE)], GO),
            (&[("If-None-Match", "\"Ab\"")], NotModified),
            (&[("If-None-Match", "W/\"Ab\"")], NotModified),
            (&[("If-None-Match", "\"x\" , \"Ab\"")], NotModified),
            (&[("If-None-Match", "*")], NotModified),
            (&[("If-None-Match", "\"x\"")], GO),
            (&[("If-None-Match", "")], GO),
            (&[("If-Modified-Since", BEFORE)], GO),
            (&[("If-Modified-Since", SAME)], NotModified),
            (&[("If-Modified-Since", AFTER)], NotModified),
            (&[("If-Modified-Since", "yesterday")], GO),
            (&[("If-None-Match", "\"x\""), ("If-Modified-Since", AFTER)], GO),
            (&[("If-Match", "\"x\""), ("If-None-Match", "\"Ab\"")], Failed),
            (&[("If-Unmodified-Since", BEFORE), ("If-None-Match", "\"Ab\"")], Failed),
            (&[("If-None-Match", "\"Ab\""), ("If-Range", "\"x\"")], NotModified),
            (&[("If-Range", "\"Ab\"")], GO),
            (&[("If-Range", "\"x\"")], WHOLE),
            (&[("If-Range", "W/\"Ab\"")], WHOLE),
            (&[("If-Range", SAME)], GO),
            (&[("If-Range", BEFORE)], WHOLE),
            (&[("If-Range", AFTER)], WHOLE),
            (&[("If-Range", "Ab")], WHOLE),
            (&[("If-Range", "")], WHOLE),
            (&[("If-Range", "\"Ab\""), ("If-Range", "\"Ab\"")], WHOLE),
        ] {
            assert_eq!(judged(fields, Tags::Exact, Some(1_893_456_000)), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_version_without_a_date_has_no_conditions_on_dates() {
        for (name, expected) in [("If-Unmodified-Since", GO), ("If-Modified-Since", GO), ("If-Range", WHOLE)] {
            assert_eq!(judged(&[(name, BEFORE)], Tags::Exact, None), expected, "{name}");
        }
    }

    #[test]
    fn loose_tags_are_those_of_object_stores() {
        for tag in ["\"Ab\"", "Ab", "ab", "\"AB\"", "W/\"ab\"", "x, ab"] {
            assert_eq!(judged(&[("If-Match", tag)], Tags::Loose, None), GO, "{tag}");
            assert_eq!(judged(&[("If-None-Match", tag)], Tags::Loose, None), NotModified, "{tag}");
        }
        assert_eq!(judged(&[("If-Match", "abc")], Tags::Loose, None), Failed);
        assert_eq!(judged(&[("If-Range", "ab")], Tags::Loose, None), WHOLE, "a resumed download is compared strictly");
    }
}
