//! GET and HEAD of an object (CONTRACT.md §B7).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use etransfer_contract::Span;
use etransfer_contract::grant::{Act, Field, Serve};
use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::call::Call;
use super::disposition;
use super::objects::{self, Object};
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::requested::{Requested, Version};
use super::stored::{Headers, value};
use crate::audit;
use crate::clock::imf;
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::surface::delivery;

/// Parameters that take the place of a kept field.
const OVERRIDES: [(&str, &str); 6] = [
    ("response-content-type", "Content-Type"),
    ("response-content-language", "Content-Language"),
    ("response-expires", "Expires"),
    ("response-cache-control", "Cache-Control"),
    ("response-content-disposition", "Content-Disposition"),
    ("response-content-encoding", "Content-Encoding"),
];

/// Content of an object.
pub fn get(call: &Call<'_>) -> Result<Decision, Refusal> {
    let Object { entry, stored } = objects::find(&call.app.node, call.key()?).ok_or(Refusal::NoSuchKey)?;
    let record = entry.record;
    let (size, etag, modified_ms) = (record.length.unwrap_or(0), stored.etag(), record.created_ms);
    let is_head = call.head.method == Method::HEAD;
    let requested = match Requested::of(&call.head.headers, Version { etag: &etag, modified_ms, size }) {
        // RFC 9110 §14.2: a range means nothing to HEAD.
        Requested::Part | Requested::Unsatisfiable if is_head => Requested::Whole,
        requested => requested,
    };
    let mut fields = words(stored.headers.clone(), call.parameters())?;
    match requested {
        Requested::Failed => return Err(Refusal::PreconditionFailed),
        Requested::Unsatisfiable => return Err(Refusal::InvalidRange { size }),
        Requested::NotModified => return Ok(not_modified(&etag, modified_ms).into()),
        Requested::Part => {}
        Requested::Whole => fields.push(field("x-oss-hash-crc64ecma", stored.crc64.to_string())),
    }
    if !is_head {
        audit::surface(SurfaceId::CloudBackend, call.who(call.key()?), audit::DOWNLOAD, record.id);
        if size == 0 {
            return Ok(empty(&etag, modified_ms, fields).into());
        }
    }
    // A range that counts as none must not be read by the data plane either.
    let chunk = Span::new(0, size).filter(|_| requested == Requested::Whole);
    let serve = Serve { chunk, judged: true, ..delivery::complete(record.id, size, etag, modified_ms, fields) };
    Ok(Decision::grant(&call.app.node, Act::Serve(serve)))
}

/// What stands around the content: what was kept, what this request wants instead, and what keeps browsers out of harm.
fn words(mut headers: Headers, parameters: &Parameters) -> Result<Vec<Field>, Refusal> {
    for (parameter, name) in OVERRIDES {
        if let Some(wanted) = parameters.get(parameter).filter(|wanted| !wanted.is_empty()) {
            headers.replace(name, value(wanted.as_bytes())?);
        }
    }
    if let Some(safe) = disposition::safe(headers.content_type(), headers.get("Content-Disposition")) {
        headers.replace("Content-Disposition", safe);
    }
    let mut fields = headers.into_fields();
    fields.extend([
        field("x-oss-object-type", "Normal"),
        field("X-Content-Type-Options", "nosniff"),
        field("Content-Security-Policy", "sandbox"),
    ]);
    Ok(fields)
}

fn not_modified(etag: &str, modified_ms: u64) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    put(response.headers_mut(), [field(ETAG.as_str(), etag), field(LAST_MODIFIED.as_str(), imf(modified_ms))]);
    response
}

/// No byte is asked of the data plane when there is none.
fn empty(etag: &str, modified_ms: u64, fields: Vec<Field>) -> Response {
    let mut response = Response::new(Body::empty());
    put(response.headers_mut(), [field(ETAG.as_str(), etag), field(LAST_MODIFIED.as_str(), imf(modified_ms))]);
    put(response.headers_mut(), [field("Accept-Ranges", "bytes")]);
    put(response.headers_mut(), fields);
    response
}

fn put(headers: &mut HeaderMap, fields: impl IntoIterator<Item = Field>) {
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes())) {
            headers.insert(name, value);
        }
    }
}

fn field(name: &str, value: impl Into<String>) -> Field {
    (name.to_owned(), value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b7_signed_parameters_take_the_place_of_kept_fields() {
        let kept = || Headers::new(Some(b"text/html"), [("cache-control", &b"no-store"[..])].into_iter()).unwrap();
        for (query, name, expected) in [
            ("", "Content-Type", Some("text/html")),
            ("", "Content-Disposition", Some("attachment")),
            ("", "Cache-Control", Some("no-store")),
            ("response-cache-control=max-age%3D1", "Cache-Control", Some("max-age=1")),
            ("response-content-type=image/png", "Content-Type", Some("image/png")),
            ("response-content-type=image/png", "Content-Disposition", None),
            ("response-content-language=zh", "Content-Language", Some("zh")),
            ("response-expires=0", "Expires", Some("0")),
            ("response-content-disposition=inline", "Content-Disposition", Some("attachment")),
            (
                "response-content-disposition=attachment;%20filename%3D%22x%20y.txt%22",
                "Content-Disposition",
                Some("attachment; filename=\"x y.txt\""),
            ),
            ("response-content-type=", "Content-Type", Some("text/html")),
        ] {
            let fields = words(kept(), &Parameters::parse(Some(query)).unwrap()).unwrap();
            let found = fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
            assert_eq!(found, expected, "{query} {name}");
        }
        let split = Parameters::parse(Some("response-expires=0%0D%0ASet-Cookie:x")).unwrap();
        assert!(matches!(words(kept(), &split), Err(Refusal::InvalidArgument(_))));
    }
}
