//! The `Range` header of a download (RFC 9110 §14, easytransfer/CONTRACT.md §2.8), and the words around it.
//!
//! Must stay true: whatever a header says, the result lies inside the bytes that are there; parsing is one pass over at most
//! 8 KiB.

use crate::Span;
use crate::list::members;
use crate::tus::Fields;

/// A longer header is unsatisfiable before anything is looked at.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// A start with more digits lies beyond every file.
const START_DIGITS_MAX: usize = 20;

/// What a `Range` header requests, before anything is known about the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedRange {
    /// No header, or one with another unit than `bytes`: the whole file.
    Whole,
    /// Malformed or several ranges: 416.
    Unsatisfiable,
    /// The last 0 bytes: well-formed, and satisfied by no file (RFC 9110 §14.1.2): 416.
    Empty,
    /// `bytes=a-` or `bytes=a-b`.
    From {
        /// First byte.
        start: u64,
        /// Last byte, never before `start`; `None` = to the end.
        end_inclusive: Option<u64>,
    },
    /// `bytes=-n`, n at least 1.
    Last(u64),
}

impl RequestedRange {
    /// Reads the value of one `Range` field.
    pub fn parse(value: &[u8]) -> Self {
        if value.len() > HEADER_BYTES_MAX {
            return Self::Unsatisfiable;
        }
        let Some(equals) = value.iter().position(|byte| *byte == b'=') else {
            // `bytes` without a range is malformed; anything else is an unknown unit.
            let ours = value.get(..5).is_some_and(|unit| unit.eq_ignore_ascii_case(b"bytes"));
            return if ours { Self::Unsatisfiable } else { Self::Whole };
        };
        let (unit, range) = (&value[..equals], &value[equals + 1..]);
        // RFC 9110 §14.1: "Range unit names are case-insensitive".
        if !unit.eq_ignore_ascii_case(b"bytes") {
            return Self::Whole;
        }
        let mut ranges = members(std::iter::once(range));
        let (Some(range), None) = (ranges.next(), ranges.next()) else { return Self::Unsatisfiable };
        let Some(dash) = range.iter().position(|byte| *byte == b'-') else { return Self::Unsatisfiable };
        match (&range[..dash], &range[dash + 1..]) {
            (b"", suffix) => match saturating(suffix) {
                None => Self::Unsatisfiable,
                Some(0) => Self::Empty,
                Some(bytes) => Self::Last(bytes),
            },
            (start, end) => Self::bounded(start, end).unwrap_or(Self::Unsatisfiable),
        }
    }

    /// Reads the field out of a head; given twice, it is as several ranges.
    pub fn of(fields: &impl Fields) -> Self {
        let mut values = fields.all("range").filter(|value| !value.is_empty());
        match (values.next(), values.next()) {
            (None, _) => Self::Whole,
            (Some(value), None) => Self::parse(value),
            (Some(_), Some(_)) => Self::Unsatisfiable,
        }
    }

    fn bounded(start: &[u8], end: &[u8]) -> Option<Self> {
        if start.len() > START_DIGITS_MAX {
            return None;
        }
        let start = saturating(start)?;
        let end_inclusive = if end.is_empty() { None } else { Some(saturating(end)?) };
        end_inclusive.is_none_or(|end| start <= end).then_some(Self::From { start, end_inclusive })
    }

    /// The bytes to send: `end_of_run(at)` is the end of the bytes that are there from `at` on (`at` itself when that
    /// byte is not). `None` is 416, also for [`Whole`](Self::Whole) when nothing is there.
    pub fn resolve(self, end_of_run: impl Fn(u64) -> u64) -> Option<Span> {
        match self {
            Self::Whole => Span::new(0, end_of_run(0)),
            Self::Unsatisfiable | Self::Empty => None,
            Self::From { start, end_inclusive } => {
                let end = end_inclusive.map_or(u64::MAX, |end| end.saturating_add(1));
                Span::new(start, end_of_run(start).min(end))
            }
            Self::Last(bytes) => {
                let end = end_of_run(0);
                Span::new(end.saturating_sub(bytes), end)
            }
        }
    }
}

/// Digits as a number, 2^64 - 1 when it is larger; `None` when there is none or anything else than digits.
fn saturating(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |value: u64, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

/// `Content-Range` of a 206; `length` is the declared total, also while bytes are missing.
pub fn content_range(span: Span, length: Option<u64>) -> String {
    let last = span.end() - 1;
    match length {
        Some(length) => format!("bytes {}-{last}/{length}", span.start()),
        None => format!("bytes {}-{last}/*", span.start()),
    }
}

/// `Content-Range` of a 416.
pub fn content_range_unsatisfiable(length: Option<u64>) -> String {
    match length {
        Some(length) => format!("bytes */{length}"),
        // The grammar has no word for an unknown total here; clients look at the status.
        None => "bytes */*".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolve(header: &str, available: u64) -> Option<(u64, u64)> {
        let run = |at: u64| available.max(at);
        RequestedRange::parse(header.as_bytes()).resolve(run).map(|span| (span.start(), span.end() - 1))
    }

    #[test]
    fn the_vectors_of_the_contract() {
        let file = "abcde";
        for (range, content, text) in [
            ("0-1", "ab", "bytes 0-1/5"),
            ("1-", "bcde", "bytes 1-4/5"),
            ("-2", "de", "bytes 3-4/5"),
            ("4-100", "e", "bytes 4-4/5"),
            ("0-", "abcde", "bytes 0-4/5"),
            ("-5", "abcde", "bytes 0-4/5"),
            ("-6", "abcde", "bytes 0-4/5"),
            ("0-18446744073709551616", "abcde", "bytes 0-4/5"),
            ("1-99999999999999999999999999999999", "bcde", "bytes 1-4/5"),
            ("-99999999999999999999999999999999", "abcde", "bytes 0-4/5"),
        ] {
            let span = RequestedRange::parse(format!("bytes={range}").as_bytes()).resolve(|at| at.max(5)).unwrap();
            assert_eq!(&file[span.start() as usize..span.end() as usize], content, "{range}");
            assert_eq!(content_range(span, Some(5)), text);
        }
        let unsatisfiable = [
            "5-",
            "3-1",
            "5-2",
            "a-b",
            "0-1,3-4",
            "-0",
            "-",
            "",
            "0",
            "0-1-2",
            "--1",
            "+0-1",
            "0-+1",
            "0 -1",
            "0x0-1",
            "18446744073709551615-",
            "99999999999999999999-",
            "000000000000000000000-",
            "999999999999999999999-9999999999999999999999",
        ];
        for range in unsatisfiable {
            assert_eq!(resolve(&format!("bytes={range}"), 5), None, "{range:?}");
        }
        assert_eq!(content_range_unsatisfiable(Some(5)), "bytes */5");
    }

    #[test]
    fn other_units_are_ignored_and_ours_is_known_in_any_case() {
        for header in ["seconds=0-1", "byte=0-1", "=0-1", "bytes =0-1", "x", ""] {
            assert_eq!(RequestedRange::parse(header.as_bytes()), RequestedRange::Whole, "{header:?}");
        }
        assert_eq!(RequestedRange::parse(b"BYTES=0-1"), RequestedRange::From { start: 0, end_inclusive: Some(1) });
        assert_eq!(RequestedRange::parse(b"bytes"), RequestedRange::Unsatisfiable);
        assert_eq!(RequestedRange::parse(b"bytes 0-1"), RequestedRange::Unsatisfiable);
    }

    #[test]
    fn long_headers_and_many_members_are_unsatisfiable() {
        let members = format!("bytes={}", vec!["0-1"; 1000].join(","));
        let long = format!("bytes=0-{}", "9".repeat(HEADER_BYTES_MAX));
        let long_other_unit = format!("x={}", "9".repeat(HEADER_BYTES_MAX));
        for header in [members, long, long_other_unit] {
            assert_eq!(RequestedRange::parse(header.as_bytes()), RequestedRange::Unsatisfiable);
        }
        let mut fields = vec![("Range", b"bytes=0-1"), ("range", b"bytes=0-1")];
        assert_eq!(RequestedRange::of(&fields), RequestedRange::Unsatisfiable);
        fields.pop();
        assert_eq!(RequestedRange::of(&fields), RequestedRange::From { start: 0, end_inclusive: Some(1) });
        fields.pop();
        assert_eq!(RequestedRange::of(&fields), RequestedRange::Whole);
    }

    #[test]
    fn an_empty_file_has_no_range() {
        for header in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(resolve(header, 0), None, "{header}");
        }
    }

    #[test]
    fn an_unfinished_file_serves_what_it_has() {
        assert_eq!(resolve("bytes=0-", 2), Some((0, 1)));
        assert_eq!(resolve("bytes=2-", 2), None);
        assert_eq!(RequestedRange::Whole.resolve(|at| at.max(2)), Span::new(0, 2));
        assert_eq!(content_range(Span::new(0, 2).unwrap(), Some(5)), "bytes 0-1/5");
        // Bytes 10..20 beyond a hole: served from there, and the suffix means the prefix that is there.
        let run = |at: u64| match at {
            0..2 => 2,
            10..20 => 20,
            _ => at,
        };
        assert_eq!(RequestedRange::parse(b"bytes=12-").resolve(run), Span::new(12, 20));
        assert_eq!(RequestedRange::parse(b"bytes=5-").resolve(run), None);
        assert_eq!(RequestedRange::parse(b"bytes=-1").resolve(run), Span::new(1, 2));
    }

    proptest! {
        #[test]
        fn whatever_is_asked_lies_inside_what_is_there(header in "bytes=[0-9]{0,22}-[0-9]{0,22}", available in 0..100_u64) {
            if let Some((first, last)) = resolve(&header, available) {
                prop_assert!(first <= last && last < available);
            }
        }

        #[test]
        fn a_written_range_is_read_back(start in any::<u64>(), more in 0..1000_u64) {
            let end = start.saturating_add(more);
            let requested = RequestedRange::parse(format!("bytes={start}-{end}").as_bytes());
            prop_assert_eq!(requested, RequestedRange::From { start, end_inclusive: Some(end) });
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(prop::sample::select(b"bytes=-,0189 \xff".to_vec()), 0..40)) {
            let _ = RequestedRange::parse(&bytes).resolve(|at| at.max(50));
        }
    }
}
