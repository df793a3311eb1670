//! Web pages of other origins (contract §1.5): configured origins, credentials allowed. Unlike the other surfaces'
//! ([`crate::surface::cross_origin`]), `*` echoes whoever asks.

use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

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
    if let Some(origin) = allowed(origins, headers) {
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        fields.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
    fields
}

fn allowed<'h>(origins: &[String], headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let listed = |allowed: &String| allowed == "*" || allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
    origins.iter().any(listed).then_some(origin)
}
