//! A complete file on its way out: what the downloads of the dialects have in common. The data plane sends it, and answers
//! ranges and conditions.

use etransfer_contract::ObjectId;
use etransfer_contract::grant::{Field, Serve};
use etransfer_contract::ranges::{etag_listed, if_range_matches};
use http::HeaderMap;
use http::header::{IF_NONE_MATCH, IF_RANGE};

use crate::clock::imf;

/// Permission to send a complete file, or the range of it that is asked for, as fast as it goes.
pub fn complete(object: ObjectId, length: u64, etag: String, fields: Vec<Field>) -> Serve {
    Serve {
        object,
        length: Some(length),
        complete: true,
        etag,
        fields,
        chunk: None,
        consumed: Vec::new(),
        receiver: String::new(),
        hold_last: false,
        exclusive: false,
        report: false,
        counted: None,
        rate: None,
    }
}

/// What stands around the content. What users uploaded is hostile to whoever opens it in a browser (reliability.md §5).
pub fn fields(content_type: &str, disposition: String, modified_ms: u64) -> Vec<Field> {
    let field = |name: &str, value: String| (name.to_owned(), value);
    vec![
        field("Content-Type", content_type.to_owned()),
        field("Content-Disposition", disposition),
        field("Last-Modified", imf(modified_ms)),
        field("X-Content-Type-Options", "nosniff".to_owned()),
        field("Content-Security-Policy", "sandbox".to_owned()),
    ]
}

/// Whether a range says nothing: the client holds something else (`If-Range`), or just this (`If-None-Match`).
pub fn ignores_range(headers: &HeaderMap, etag: &str) -> bool {
    headers.get(IF_RANGE).is_some_and(|tag| !if_range_matches(tag.as_bytes(), etag))
        || headers.get(IF_NONE_MATCH).is_some_and(|tags| etag_listed(tags.as_bytes(), etag))
}
