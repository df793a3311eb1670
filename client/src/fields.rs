//! The values of single fields: what we put into them and what we take out of them. Pure functions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use etransfer_contract::{Span, SpanSet};

use crate::types::Retention;

/// The server's words in an error are cut here.
const DETAIL_CHARS_MAX: usize = 300;

/// `Upload-Metadata`: comma-separated `key base64`.
pub(crate) fn metadata(filename: &str, retention: Option<Retention>) -> String {
    let mut pairs = vec![("filename", filename.to_owned())];
    if let Some(retention) = retention {
        pairs.push(("retention", retention.name().to_owned()));
        if let Retention::Ttl { seconds } = retention {
            pairs.push(("retention_ttl", seconds.to_string()));
        }
    }
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key} {}", STANDARD.encode(value))).collect();
    pairs.join(",")
}

/// The path of an absolute or rooted URL.
pub(crate) fn path_of(url: &str) -> Option<String> {
    let path = match url.split_once("://") {
        Some((_, rest)) => &rest[rest.find('/')?..],
        None => url,
    };
    let good = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    good.then(|| path.to_owned())
}

/// `X-Received-Ranges`: `start-end` pairs, end exclusive. A pair that makes no sense is left out: it is sent again.
pub(crate) fn parse_ranges(text: &str) -> SpanSet {
    let pair = |pair: &str| {
        let (start, end) = pair.trim().split_once('-')?;
        Span::new(start.parse().ok()?, end.parse().ok()?)
    };
    text.split(',').filter_map(pair).collect()
}

/// The server's words, from any of the shapes of easytransfer/CONTRACT.md §1.4, fit for one line of a terminal.
pub(crate) fn detail(body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = match (json.get("detail"), json.get("message")) {
        (Some(serde_json::Value::String(text)), _) | (None, Some(serde_json::Value::String(text))) => text.clone(),
        (Some(other), _) => other.to_string(),
        (None, _) => return None,
    };
    let text = text.replace('\n', " "); // several faults, one per line
    Some(text.chars().filter(|c| !c.is_control()).take(DETAIL_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_of_a_location_is_used() {
        for (url, expected) in [
            ("http://127.0.0.1:8765/tus/ab", Some("/tus/ab")),
            ("https://elsewhere.example/p/tus/ab?x=1", Some("/p/tus/ab?x=1")),
            ("/tus/ab", Some("/tus/ab")),
            ("http://host", None),
            ("tus/ab", None),
            ("/tus/a b", None),
            ("/tus/\u{e9}", None),
        ] {
            assert_eq!(path_of(url).as_deref(), expected, "{url:?}");
        }
    }

    #[test]
    fn received_ranges_are_read_end_exclusive_and_nonsense_is_left_out() {
        assert_eq!(parse_ranges("0-2, 67108864-70000000").to_string(), "0-2,67108864-70000000");
        assert_eq!(parse_ranges("5-5,9-3,x-4,-4,7,8-10").to_string(), "8-10");
        assert_eq!(parse_ranges("").count(), 0);
    }

    #[test]
    fn metadata_is_base64_of_utf8() {
        let ttl = Some(Retention::Ttl { seconds: 3600 });
        assert_eq!(metadata("test.txt", ttl), "filename dGVzdC50eHQ=,retention dHRs,retention_ttl MzYwMA==");
        assert_eq!(metadata("文", None), "filename 5paH");
    }

    #[test]
    fn every_shape_of_refusal_has_its_words() {
        for (body, expected) in [
            (r#"{"detail":"no"}"#, Some("no")),
            (r#"{"error":"Unauthorized","message":"token"}"#, Some("token")),
            (r#"{"detail":[{"msg":"x"}]}"#, Some(r#"[{"msg":"x"}]"#)),
            (r#"{"detail":"a\u001b[31mb"}"#, Some("a[31mb")),
            (r#"{"detail":"a\nb"}"#, Some("a b")),
            ("plain", None),
            ("{}", None),
        ] {
            assert_eq!(detail(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
