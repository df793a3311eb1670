//! A complete file on its way out: what the downloads of the dialects have in common. The data plane sends it, and answers
//! ranges and conditions; a dialect with words of its own for a refusal judges the same conditions here first.

use etransfer_contract::ObjectId;
use etransfer_contract::conditions::{self, Tags, Verdict, Version};
use etransfer_contract::grant::{Field, Serve};
use http::HeaderMap;

/// Permission to send a complete file, or the range of it that is asked for, as fast as it goes.
pub fn complete(object: ObjectId, length: u64, etag: String, modified_ms: u64, fields: Vec<Field>) -> Serve {
    Serve {
        object,
        length: Some(length),
        complete: true,
        etag,
        modified_ms: Some(modified_ms),
        judged: false,
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

/// What stands around the content. What users uploaded is hostile to a person who opens it in a browser (PROMISES.md
/// §5).
pub fn fields(content_type: &str, disposition: String) -> Vec<Field> {
    let field = |name: &str, value: String| (name.to_owned(), value);
    vec![
        field("Content-Type", content_type.to_owned()),
        field("Content-Disposition", disposition),
        field("X-Content-Type-Options", "nosniff".to_owned()),
        field("Content-Security-Policy", "sandbox".to_owned()),
    ]
}

/// What the conditions of a GET or HEAD come to.
pub fn judge(headers: &HeaderMap, etag: &str, modified_ms: u64) -> Verdict {
    conditions::judge(headers, Version { etag, modified_s: Some(modified_ms / 1000), tags: Tags::Exact })
}

/// When a version that is made `now_ms` is dated: a second after the one it replaces at least, so that a date names one
/// version only (RFC 9110 §8.8.2.2).
pub fn dated(replaced_ms: Option<u64>, now_ms: u64) -> u64 {
    replaced_ms.map_or(now_ms, |replaced_ms| now_ms.max((replaced_ms / 1000 + 1) * 1000))
}

#[cfg(test)]
mod tests {
    use super::dated;

    #[test]
    fn c7_two_versions_never_share_a_second() {
        for (replaced, now, expected) in [
            (None, 5_500, 5_500),
            (Some(4_999), 5_500, 5_500),
            (Some(5_000), 5_500, 6_000),
            (Some(9_500), 5_500, 10_000), // the clock went back
        ] {
            assert_eq!(dated(replaced, now), expected, "{replaced:?} {now}");
        }
    }
}
