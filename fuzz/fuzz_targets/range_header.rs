//! A `Range` header: no panic, the outcome lies inside what is there, and what it means reads back as the same.
#![no_main]

use etransfer_contract::ranges::{Asked, content_range, etag_listed, if_range_matches};
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
        Asked::Whole | Asked::Unsatisfiable => return,
        Asked::From { start, end_inclusive: None } => format!("bytes={start}-"),
        Asked::From { start, end_inclusive: Some(end) } => format!("bytes={start}-{end}"),
        Asked::Last(bytes) => format!("bytes=-{bytes}"),
    };
    assert_eq!(Asked::parse(text.as_bytes()), asked);
    let _ = (if_range_matches(header, "\"a\""), etag_listed(header, "\"a\""));
});
