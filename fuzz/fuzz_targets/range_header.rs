//! A `Range` header: no panic, the outcome lies inside what is there, and what it means reads back as the same.
#![no_main]

use etransfer_contract::conditions::{Tags, Version, judge};
use etransfer_contract::ranges::{Asked, content_range};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], u64)| {
    let (header, available) = input;
    let available = available % (1 << 63);
    let asked = Asked::parse(header);
    if let Some(span) = asked.resolve(|at| available.max(at)) {
        assert!(span.end() <= available);
        assert!(content_range(span, Some(available)).starts_with("bytes "));
    }
    let text = match asked {
        Asked::Whole | Asked::Unsatisfiable | Asked::Empty => return,
        Asked::From { start, end_inclusive: None } => format!("bytes={start}-"),
        Asked::From { start, end_inclusive: Some(end) } => format!("bytes={start}-{end}"),
        Asked::Last(bytes) => format!("bytes=-{bytes}"),
    };
    assert_eq!(Asked::parse(text.as_bytes()), asked);
    for name in ["if-match", "if-none-match", "if-range", "if-modified-since", "if-unmodified-since"] {
        let version = Version { etag: "\"a\"", modified_s: Some(available), tags: Tags::Exact };
        let _ = judge(&vec![(name, header)], version);
    }
});
