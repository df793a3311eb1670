//! Web pages of other origins (CONTRACT.md §1.5). A listed origin is echoed and may use cookies. `*` is any origin,
//! without: its pages send a token themselves, in `Authorization` or `X-API-Token`, which a preflight allows by name.

use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

/// Any origin, without credentials of the browser.
const ANY: &str = "*";

const EXPOSED: &str = "Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, \
     Upload-Length, Upload-Defer-Length, Upload-Metadata, Upload-Expires, Upload-Concat, Location, Content-Range, \
     X-Retention-Policy, X-Retention-Expires, X-Retention-Warning, X-Download-Count, X-Sink-Parts, Retry-After, \
     Upload-Checksum, X-Received-Bytes, X-Received-Ranges, X-Received-Ranges-Count, X-Chunk-Size, X-Chunk-Index, X-Total-Chunks, \
     X-Storage-Used, X-Storage-Max, X-Storage-Available, Accept-Ranges, Content-Disposition, ETag";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The answer to a preflight: 200 `OK`. The fields of [`fields`] come on top.
pub fn preflight(origins: &[String], headers: &HeaderMap) -> Response {
    let mut response = (StatusCode::OK, "OK").into_response();
    if allowed(origins, headers).is_none() {
        return response;
    }
    let fields = response.headers_mut();
    fields.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    fields.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    response
}

/// Fields of every answer to a page of another origin.
pub fn fields(origins: &[String], headers: &HeaderMap) -> HeaderMap {
    let mut fields = HeaderMap::new();
    if headers.contains_key(ORIGIN) {
        fields.insert(VARY, HeaderValue::from_static("Origin"));
    }
    match allowed(origins, headers) {
        Some(Allowed::Listed(origin)) => {
            fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            fields.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        Some(Allowed::Any) => {
            fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(ANY));
        }
        None => return fields,
    }
    fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    fields
}

/// How the page that asks may use the node.
enum Allowed<'h> {
    /// Its origin is listed: with the browser's credentials.
    Listed(&'h HeaderValue),
    /// As a page of any origin: without.
    Any,
}

fn allowed<'h>(origins: &[String], headers: &'h HeaderMap) -> Option<Allowed<'h>> {
    let origin = headers.get(ORIGIN)?;
    // An origin that is spelled `*` is no origin.
    let is_listed = |listed: &String| listed != ANY && listed.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
    if origins.iter().any(is_listed) {
        return Some(Allowed::Listed(origin));
    }
    origins.iter().any(|listed| listed == ANY).then_some(Allowed::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w6_credentials_are_for_listed_origins_and_never_come_with_a_wildcard() {
        let listed = "https://a.example";
        for (origins, origin, answer) in [
            (vec!["*"], listed, Some(("*", false))),
            (vec!["*"], "null", Some(("*", false))),
            (vec!["*"], "*", Some(("*", false))),
            (vec![listed], listed, Some((listed, true))),
            (vec![listed], "https://A.example", Some(("https://A.example", true))),
            (vec!["*", listed], listed, Some((listed, true))),
            (vec!["*", listed], "https://b.example", Some(("*", false))),
            (vec![listed], "https://b.example", None),
            (vec![listed], "null", None),
            (vec![], listed, None),
        ] {
            let origins: Vec<String> = origins.into_iter().map(str::to_owned).collect();
            let asked = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]);
            let fields = fields(&origins, &asked);
            let told = fields.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap());
            let told = told.map(|origin| (origin, fields.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS)));
            assert_eq!(told, answer, "{origins:?} {origin}");
            assert_eq!(fields[VARY], "Origin");
            let preflight = preflight(&origins, &asked);
            assert_eq!(preflight.headers().contains_key(ACCESS_CONTROL_ALLOW_METHODS), answer.is_some());
        }
        assert!(fields(&["*".to_owned()], &HeaderMap::new()).is_empty());
    }
}
