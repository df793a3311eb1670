//! A `Range` header: no panic, the outcome lies inside what is there, and what it means reads back as the same.
#![no_main]

use etransfer_contract::conditions::{Tags, Version, judge};
use etransfer_contract::ranges::{RequestedRange, content_range};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], u64)| {
    let (header, available) = input;
    let available = available % (1 << 63);
    let requested = RequestedRange::parse(header);
    if let Some(span) = requested.resolve(|at| available.max(at)) {
        assert!(span.end() <= available);
        assert!(content_range(span, Some(available)).starts_with("bytes "));
    }
    let text = match requested {
        RequestedRange::Whole | RequestedRange::Unsatisfiable | RequestedRange::Empty => return,
        RequestedRange::From { start, end_inclusive: None } => format!("bytes={start}-"),
        RequestedRange::From { start, end_inclusive: Some(end) } => format!("bytes={start}-{end}"),
        RequestedRange::Last(bytes) => format!("bytes=-{bytes}"),
    };
    assert_eq!(RequestedRange::parse(text.as_bytes()), requested);
    for name in ["if-match", "if-none-match", "if-range", "if-modified-since", "if-unmodified-since"] {
        let version = Version { etag: "\"a\"", modified_s: Some(available), tags: Tags::Exact };
        let _ = judge(&vec![(name, header)], version);
    }
});
