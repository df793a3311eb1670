//! `GET`/`HEAD /api/files/{id}/download` (CONTRACT.md §2.8): who may have which bytes, and the words around them. The
//! range itself is answered by the data plane, which knows what is there.

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use etransfer_contract::Span;
use etransfer_contract::grant::{Act, Field, Serve};
use etransfer_contract::ranges::RequestedRange;
use http::header::CONTENT_RANGE;
use http::{HeaderMap, Method};

use super::files::find;
use super::quota::download_rate;
use super::shape::{self, OCTETS};
use crate::audit;
use crate::authority::Caller;
use crate::catalogue::Entry;
use crate::clock::iso;
use crate::core::query::Query;
use crate::core::{OnceMode, Policy};
use crate::link::decision::Decision;
use crate::retention::receiver::Receiver;
use crate::surface::disposition::attachment;
use crate::surface::easytransfer::Service;
use crate::surface::query::Invalid;
use crate::surface::refusal::Refused;

/// A permanent file may be fetched under one decision for this long.
const CACHE_MS: u64 = 2_000;

/// One `?chunk=N`.
struct Chunk {
    index: u64,
    span: Span,
    total: u64,
    size: u64,
}

/// Content of a file.
pub async fn download(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Decision, Refused> {
    let entry = find(&app.node, &caller, &id)?;
    let query = Query::parse(query.as_deref().unwrap_or_default());
    let chunk = chunk(&entry, query.get("chunk"), app.node.config().server.chunk_size.0)?;
    let record = &entry.record;
    let is_head = method == Method::HEAD;
    let once = record.keep.policy == Policy::DownloadOnce;
    let asked = RequestedRange::of(&headers);
    let receiver = Receiver { who: caller.who.clone(), by_chunk: once && chunk.is_some() };
    let serve = Serve {
        object: record.id,
        length: record.length,
        complete: record.is_complete(),
        etag: format!("\"{}\"", record.id),
        modified_ms: None,
        judged: false,
        fields: fields(&entry, chunk.as_ref(), once && !is_head && consumes(&entry, chunk.as_ref(), asked)),
        chunk: chunk.as_ref().map(|chunk| chunk.span),
        consumed: record.once.consumed().collect(),
        receiver: receiver.to_string(),
        hold_last: once && !is_head,
        exclusive: once && app.node.config().retention.once_mode == OnceMode::Exclusive,
        report: !is_head,
        counted: Some(record.download_count),
        rate: download_rate(&caller),
    };
    // Where there are no bytes, the data plane has nothing to count downloads by.
    let repeats = record.keep.policy == Policy::Permanent && record.is_complete() && record.length != Some(0);
    // Where an audit log is kept, every whole download stands in it.
    let is_noted = app.node.config().audit_log.is_some() && !headers.contains_key("range");
    let cache_ms = if repeats && !is_head && !is_noted { caller.cache_ms(CACHE_MS) } else { 0 };
    if !is_head {
        audit::object(&caller, audit::DOWNLOAD, record.id);
    }
    Ok(Decision::cached(&app.node, app.node.ticket(), cache_ms, Act::Serve(serve)))
}

/// The chunk asked for; 422 no number, 416 beyond the end, 404 consumed. On an upload of unknown length every chunk is
/// one that is not there yet.
fn chunk(entry: &Entry, asked: Option<&str>, chunk_size: u64) -> Result<Option<Chunk>, Refused> {
    let Some(text) = asked else { return Ok(None) };
    let index: u64 = text.parse().map_err(|_| Invalid::query("chunk", "an integer", text))?;
    let size = shape::size(entry);
    let total = size.div_ceil(chunk_size);
    let start = index.saturating_mul(chunk_size);
    let Some(span) = Span::new(start, size.min(start.saturating_add(chunk_size))) else {
        let refused = match entry.record.length {
            Some(size) => Refused::new(416, "no such chunk").with(CONTENT_RANGE, format!("bytes */{size}")),
            None => Refused::new(404, "this chunk is not there yet"),
        };
        return Err(refused);
    };
    if entry.record.once.is_consumed(span) {
        return Err(Refused::new(404, "this chunk was consumed"));
    }
    Ok(Some(Chunk { index, span, total, size: chunk_size }))
}

/// Whether this response, received whole, takes something away from everybody else.
fn consumes(entry: &Entry, chunk: Option<&Chunk>, asked: RequestedRange) -> bool {
    if chunk.is_some() {
        return true;
    }
    let Some(length) = entry.record.length.filter(|_| entry.record.is_complete()) else { return false };
    match asked {
        RequestedRange::Whole => true,
        RequestedRange::From { start, end_inclusive } => {
            start == 0 && end_inclusive.is_none_or(|end| end + 1 >= length)
        }
        RequestedRange::Last(bytes) => bytes >= length,
        RequestedRange::Unsatisfiable | RequestedRange::Empty => false,
    }
}

fn fields(entry: &Entry, chunk: Option<&Chunk>, consumes: bool) -> Vec<Field> {
    let record = &entry.record;
    let mut fields = vec![
        field("Content-Type", record.mime.as_deref().unwrap_or(OCTETS)),
        field("Content-Disposition", attachment(&record.filename)),
        // What users uploaded is hostile to a person who opens it in a browser (PROMISES.md §5).
        field("X-Content-Type-Options", "nosniff"),
        field("Content-Security-Policy", "sandbox"),
        field("X-Retention-Policy", record.keep.policy.word()),
    ];
    fields.extend(record.ttl_ends_ms().map(|ends| field("X-Retention-Expires", iso(ends))));
    if consumes {
        fields.push(field("X-Retention-Warning", warning(chunk)));
    }
    if let Some(chunk) = chunk {
        fields.push(field("X-Chunk-Index", chunk.index.to_string()));
        fields.push(field("X-Chunk-Size", chunk.size.to_string()));
        fields.push(field("X-Total-Chunks", chunk.total.to_string()));
    }
    fields
}

fn warning(chunk: Option<&Chunk>) -> &'static str {
    if chunk.is_some() {
        "this chunk is removed once it was received"
    } else {
        "this file is removed once it was received"
    }
}

fn field(name: &str, value: impl Into<String>) -> Field {
    (name.to_owned(), value.into())
}
