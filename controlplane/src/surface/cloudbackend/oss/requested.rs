//! What a GET or HEAD asks for under its conditions (CONTRACT.md §B7, RFC 9110 §13, §14.2), judged before a byte is
//! touched.

use etransfer_contract::conditions::{self, Verdict};
use etransfer_contract::ranges;
use http::HeaderMap;

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requested {
    /// 200 with everything, whatever its `Range` says: several ranges and bad syntax count as none.
    Whole,
    /// 206 with the one range it names.
    Part,
    /// 304
    NotModified,
    /// 412
    Failed,
    /// 416
    Unsatisfiable,
}

/// The version of an object a request may name.
#[derive(Debug, Clone, Copy)]
pub struct Version<'o> {
    /// With its quotes.
    pub etag: &'o str,
    /// Unix milliseconds; conditions know seconds.
    pub modified_ms: u64,
    /// In bytes.
    pub size: u64,
}

impl Requested {
    /// Judges the head of a request.
    pub fn of(headers: &HeaderMap, version: Version<'_>) -> Self {
        let named = conditions::Version {
            etag: version.etag,
            modified_s: Some(version.modified_ms / 1000),
            tags: conditions::Tags::Loose,
        };
        match conditions::judge(headers, named) {
            Verdict::Failed => return Self::Failed,
            Verdict::NotModified => return Self::NotModified,
            Verdict::Go { ranges: false } => return Self::Whole,
            Verdict::Go { ranges: true } => {}
        }
        match ranges::RequestedRange::of(headers) {
            ranges::RequestedRange::Empty => Self::Unsatisfiable,
            ranges::RequestedRange::Whole | ranges::RequestedRange::Unsatisfiable => Self::Whole,
            ranges::RequestedRange::From { start, .. } if start >= version.size => Self::Unsatisfiable,
            ranges::RequestedRange::Last(_) if version.size == 0 => Self::Unsatisfiable,
            ranges::RequestedRange::From { .. } | ranges::RequestedRange::Last(_) => Self::Part,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn b7_conditions_and_ranges() {
        // 2030-01-01T00:00:00.5Z
        let version = Version { etag: "\"AB\"", modified_ms: 1_893_456_000_500, size: 10 };
        let (before, same, after) =
            ("Mon, 31 Dec 2029 23:59:59 GMT", "Tue, 01 Jan 2030 00:00:00 GMT", "Tue, 01 Jan 2030 00:00:01 GMT");
        for (fields, requested) in [
            (&[][..], Requested::Whole),
            (&[("if-match", "\"AB\"")], Requested::Whole),
            (&[("if-match", "ab")], Requested::Whole),
            (&[("if-match", "*")], Requested::Whole),
            (&[("if-match", "\"X\", \"AB\"")], Requested::Whole),
            (&[("if-match", "\"X\"")], Requested::Failed),
            (&[("if-unmodified-since", before)], Requested::Failed),
            (&[("if-unmodified-since", same)], Requested::Whole),
            (&[("if-match", "\"AB\""), ("if-unmodified-since", before)], Requested::Whole),
            (&[("if-none-match", "\"AB\"")], Requested::NotModified),
            (&[("if-none-match", "W/\"AB\"")], Requested::NotModified),
            (&[("if-none-match", "*")], Requested::NotModified),
            (&[("if-none-match", "\"X\"")], Requested::Whole),
            (&[("if-modified-since", before)], Requested::Whole),
            (&[("if-modified-since", same)], Requested::NotModified),
            (&[("if-modified-since", after)], Requested::NotModified),
            (&[("if-modified-since", "yesterday")], Requested::Whole),
            (&[("if-none-match", "\"X\""), ("if-modified-since", after)], Requested::Whole),
            (&[("if-match", "\"X\""), ("if-none-match", "\"AB\"")], Requested::Failed),
            (&[("range", "bytes=0-3")], Requested::Part),
            (&[("range", "bytes=9-")], Requested::Part),
            (&[("range", "bytes=-1")], Requested::Part),
            (&[("range", "bytes=0-99999999999999999999999")], Requested::Part),
            (&[("range", "bytes=10-")], Requested::Unsatisfiable),
            (&[("range", "bytes=10-20")], Requested::Unsatisfiable),
            (&[("range", "bytes=-0")], Requested::Unsatisfiable),
            (&[("range", "bytes=-000")], Requested::Unsatisfiable),
            (&[("range", "bytes=0-1,3-4")], Requested::Whole),
            (&[("range", "bytes=0-1,")], Requested::Part),
            (&[("range", "bytes=5-2")], Requested::Whole),
            (&[("range", "bytes=a-b")], Requested::Whole),
            (&[("range", "bytes=-")], Requested::Whole),
            (&[("range", "lines=1-2")], Requested::Whole),
            (&[("range", "bytes=0-1"), ("range", "bytes=3-4")], Requested::Whole),
            (&[("range", "bytes=0-3"), ("if-range", "\"AB\"")], Requested::Part),
            (&[("range", "bytes=0-3"), ("if-range", "\"X\"")], Requested::Whole),
            (&[("range", "bytes=0-3"), ("if-range", same)], Requested::Part),
            (&[("range", "bytes=0-3"), ("if-range", before)], Requested::Whole),
            (&[("range", "bytes=10-"), ("if-none-match", "\"AB\"")], Requested::NotModified),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
            }
            assert_eq!(Requested::of(&headers, version), requested, "{fields:?}");
        }
        let empty = Version { size: 0, ..version };
        for (range, requested) in
            [("bytes=0-", Requested::Unsatisfiable), ("bytes=-1", Requested::Unsatisfiable), ("x", Requested::Whole)]
        {
            let headers = HeaderMap::from_iter([(http::header::RANGE, HeaderValue::from_static(range))]);
            assert_eq!(Requested::of(&headers, empty), requested, "{range}");
        }
    }
}
