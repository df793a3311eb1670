//! `GET`/`HEAD /s/{file_id}` (CONTRACT.md §4.2): the file, a page that shows it, or its record.

use axum::Json;
use axum::response::{IntoResponse, Response};
use etransfer_contract::conditions::Verdict;
use etransfer_contract::grant::{Act, Field};
use etransfer_contract::ranges::RequestedRange as Range;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::context::RequestContext;
use super::refusal::Refusal;
use super::{file, mime};
use crate::audit;
use crate::catalogue::Entry;
use crate::clock::imf;
use crate::core::SurfaceId;
use crate::core::html::escaped;
use crate::link::decision::Decision;
use crate::surface::delivery;
use crate::surface::disposition::{self, Show};

/// Nothing but the picture, from here.
const PAGE_POLICY: &str = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'";

/// Answers.
pub fn download(context: &RequestContext<'_>, name: &str) -> Result<Decision, Refusal> {
    if context.settings().require_auth_for_download {
        context.user()?;
    }
    let query = context.query();
    let output = query.get("output").unwrap_or_default();
    if output == "json" {
        return record(context, name).map(Decision::from);
    }
    let entry = file::find(context.node(), name).ok_or(Refusal::FileNotFound)?;
    match output {
        "html" => Ok(page(context, &entry).into()),
        "inline" if mime::is_harmless(&entry.record.filename) => content(context, &entry, Show::Inline),
        _ => content(context, &entry, Show::Attachment),
    }
}

fn record(context: &RequestContext<'_>, name: &str) -> Result<Response, Refusal> {
    let found = file::find(context.node(), name).ok_or(Refusal::FileNotFound)?;
    let tally = context.app.downloads.of_file(file::user_of(&found.record), name);
    let entry = file::find(context.node(), name).ok_or(Refusal::FileNotFound)?;
    Ok(Json(file::told(context, &entry, tally)).into_response())
}

fn page(context: &RequestContext<'_>, entry: &Entry) -> Response {
    let name = escaped(&entry.record.filename);
    let source = escaped(&format!("{}/s/{}", context.mounted.prefix, entry.record.key));
    let page = format!(
        "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>Image</title>\n</head>\n<body>\n\
         <h1>Image {name}</h1>\n<img src=\"{source}\" alt=\"{name}\" style=\"max-width: 100%\">\n</body>\n</html>\n"
    );
    let policy = HeaderValue::from_static(PAGE_POLICY);
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    (StatusCode::OK, [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, policy)], page).into_response()
}

/// The content: judged here as far as it decides whether the download counts, sent by the data plane.
fn content(context: &RequestContext<'_>, entry: &Entry, show: Show) -> Result<Decision, Refusal> {
    let record = &entry.record;
    let etag = format!("\"{}\"", record.id);
    let changed_ms = file::uploaded_ms(record);
    let ranges_count = match delivery::judge(&context.headers, &etag, changed_ms) {
        Verdict::Go { ranges } => ranges,
        Verdict::Failed => return Err(Refusal::Precondition),
        Verdict::NotModified => return Ok(not_modified(&etag, changed_ms).into()),
    };
    let length = record.length.unwrap_or(0);
    if context.method == Method::GET && counts(&context.headers, ranges_count, length) {
        context.app.downloads.count(context.node(), entry, context.node().clock.now_ms());
        audit::surface(SurfaceId::PyBlobServer, "anyone", audit::DOWNLOAD, record.id);
    }
    let serve = delivery::complete(record.id, length, etag, changed_ms, fields(&record.filename, show));
    Ok(Decision::grant(context.node(), Act::Serve(serve)))
}

/// What users uploaded is hostile to a person who opens it in a browser (PROMISES.md §5).
fn fields(name: &str, show: Show) -> Vec<Field> {
    let field = |name: &str, value: String| (name.to_owned(), value);
    vec![
        field("Content-Type", mime::content_type(name)),
        field("Content-Disposition", disposition::field(show, name)),
        field("Content-Security-Policy", "sandbox".to_owned()),
    ]
}

fn not_modified(etag: &str, changed_ms: u64) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    for (name, value) in [(ETAG, etag), (LAST_MODIFIED, &imf(changed_ms))] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A GET counts when it is answered with bytes from 0 on.
fn counts(headers: &HeaderMap, ranges_count: bool, length: u64) -> bool {
    match if ranges_count { Range::of(headers) } else { Range::Whole } {
        Range::Whole => true,
        range => range.resolve(|at| length.max(at)).is_some_and(|span| span.start() == 0),
    }
}

#[cfg(test)]
mod tests {
    use http::header::{IF_RANGE, RANGE};

    use http::HeaderName;

    use super::*;

    const ETAG_: &str = "\"a\"";

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn section_4_2_what_counts_as_a_download() {
        for (fields, length, expected) in [
            (&[][..], 5, true),
            (&[], 0, true),
            (&[(RANGE, "bytes=0-")], 5, true),
            (&[(RANGE, "bytes=0-0")], 5, true),
            (&[(RANGE, "bytes=-5")], 5, true),
            (&[(RANGE, "bytes=-99")], 5, true),
            (&[(RANGE, "bytes=-4")], 5, false),
            (&[(RANGE, "bytes=1-2")], 5, false),
            (&[(RANGE, "bytes=99-")], 5, false),
            (&[(RANGE, "bytes=0-")], 0, false),
            (&[(RANGE, "bytes=1-2,3-4")], 5, false),
            (&[(RANGE, "lines=1-2")], 5, true),
            (&[(RANGE, "bytes=1-2"), (IF_RANGE, "\"b\"")], 5, true),
            (&[(RANGE, "bytes=1-2"), (IF_RANGE, "\"a\"")], 5, false),
        ] {
            let headers = headers(fields);
            let ranges_count = delivery::judge(&headers, ETAG_, 0) == Verdict::Go { ranges: true };
            assert_eq!(counts(&headers, ranges_count, length), expected, "{fields:?} {length}");
        }
    }
}
