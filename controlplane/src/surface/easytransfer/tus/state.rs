//! `HEAD`, `DELETE /tus/{id}` and `OPTIONS` (TUS.md §A2, §A3, §A10).

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use etransfer_contract::grant::{Act, Field, Remove, State as StateGrant};
use etransfer_contract::{Span, SpanSet, tus};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::create::put;
use super::{cache_ms, expires_after_s, extensions, find, is_final};
use crate::audit;
use crate::authority::Caller;
use crate::catalogue::{Entry, Kind};
use crate::core::Policy;
use crate::core::query::Query;
use crate::link::decision::Decision;
use crate::surface::easytransfer::Service;
use crate::surface::easytransfer::shape;
use crate::surface::query::number;
use crate::surface::refusal::Refused;

/// Ranges of a page, and at most.
const RANGES: u64 = 1_000;
const RANGES_MAX: u64 = 10_000;

/// How far an upload is. The data plane knows; it only learns here whether it may tell.
pub async fn head(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
    headers: HeaderMap,
) -> Result<Decision, Refused> {
    tus::version(&headers)?;
    let entry = find(&app.node, &caller, &path)?;
    let fields = fields(&entry, app.node.config().server.chunk_size.0);
    if is_final(&entry) && !entry.record.is_complete() {
        // T-CON-7: no Upload-Offset while it is being built.
        let mut response = StatusCode::OK.into_response();
        put(response.headers_mut(), fields);
        let length = entry.record.length.map(|length| ("Upload-Length".to_owned(), length.to_string()));
        put(response.headers_mut(), length.into_iter().collect());
        return Ok(response.into());
    }
    let complete = entry.record.is_complete();
    let state = StateGrant {
        object: entry.record.id,
        length: entry.record.length,
        expires_after_s: (!complete).then(|| expires_after_s(app.node.config().uploads.expiration)),
        expires_unix_ms: None,
        created_unix_ms: entry.record.created_ms,
        fields,
    };
    // A delivery may end a download_once upload at any moment, and then no client gets 200 any more (CONTRACT.md §3
    // rule 4).
    let may_vanish = entry.record.keep.policy == Policy::DownloadOnce;
    let cache_ms = if may_vanish { 0 } else { cache_ms(&app.node, &caller, &entry) };
    Ok(Decision::cached(&app.node, app.node.ticket(), cache_ms, Act::State(state)))
}

/// T-HEAD-6, T-CON-6: what the client gave, exactly, but for the keys of sinks, which hold secrets; and CONTRACT.md
/// §2.3: the chunks, where there are any.
fn fields(entry: &Entry, chunk_size: u64) -> Vec<Field> {
    let metadata = entry.record.metadata.as_deref().map(|metadata| ("Upload-Metadata".to_owned(), shown(metadata)));
    let concat = match &entry.record.kind {
        Kind::File => None,
        Kind::Partial => Some("partial".to_owned()),
        Kind::Final { header } => Some(header.clone()),
    };
    let concat = concat.map(|concat| ("Upload-Concat".to_owned(), concat));
    let count = shape::is_chunked(&entry.record).then(|| shape::available_chunks(entry, chunk_size).count());
    let chunks = count.into_iter().flat_map(|count| {
        [("X-Chunk-Size".to_owned(), chunk_size.to_string()), ("X-Available-Chunks".to_owned(), count.to_string())]
    });
    metadata.into_iter().chain(concat).chain(chunks).collect()
}

/// Records of earlier releases may hold the settings of a sink.
fn shown(metadata: &str) -> String {
    let is_of_sink = |pair: &&str| pair.trim().starts_with("sink");
    match metadata.split(',').any(|pair| is_of_sink(&pair)) {
        false => metadata.to_owned(),
        true => metadata.split(',').filter(|pair| !is_of_sink(pair)).collect::<Vec<_>>().join(","),
    }
}

/// `GET /api/files/{id}/ranges`: which bytes of an upload or file are there, a page of ranges from offset `from` on. `HEAD`
/// tells the first of them only, when there are many.
pub async fn ranges(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Refused> {
    let entry = find(&app.node, &caller, &path)?;
    let query = Query::parse(query.as_deref().unwrap_or_default());
    let from = number(&query, "from", 0, 0..=u64::MAX)?;
    let limit = number(&query, "limit", RANGES, 1..=RANGES_MAX)?;
    let whole = Span::new(0, entry.record.length.filter(|_| entry.record.is_complete()).unwrap_or(0));
    let spans: SpanSet = match (&entry.presence, whole) {
        (_, Some(whole)) => [whole].into_iter().collect(),
        (Some(presence), None) => presence.spans.clone(),
        (None, None) => SpanSet::new(),
    };
    let mut rest = spans.iter().skip_while(|span| span.end() <= from);
    let listed: Vec<(u64, u64)> = rest.by_ref().take(limit as usize).map(<(u64, u64)>::from).collect();
    Ok(Json(json!({
        "file_id": entry.record.id.to_string(),
        "length": entry.record.length,
        "received_bytes": spans.bytes(),
        "total": spans.count(),
        "ranges": listed,
        "next": rest.next().map(Span::start),
    })))
}

/// Ends an upload, or deletes what it became. The record is gone, durably, before the bytes are.
pub async fn delete(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
    headers: HeaderMap,
) -> Result<Decision, Refused> {
    tus::version(&headers)?;
    let entry = find(&app.node, &caller, &path)?;
    let object = entry.record.id;
    if app.node.delete(object).await?.is_none() {
        return Err(Refused::new(404, "no such upload"));
    }
    audit::object(&caller, audit::DELETE, object);
    let status = StatusCode::NO_CONTENT.as_u16();
    let remove = Remove { object, status, fields: Vec::new(), body: String::new() };
    Ok(Decision::grant(&app.node, Act::Remove(remove)))
}

/// What the server speaks. No upload is looked at, no version is checked (T-OPT-1, T-OPT-4).
pub async fn options(State(app): State<Service>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let config = app.node.config();
    let mut fields = vec![
        ("Tus-Resumable".to_owned(), tus::VERSION.to_owned()),
        ("Tus-Version".to_owned(), tus::VERSION.to_owned()),
        ("Tus-Extension".to_owned(), extensions(config.parallel_writes)),
        ("Tus-Checksum-Algorithm".to_owned(), tus::ALGORITHMS.to_owned()),
    ];
    if let Some(max) = config.server.max_upload_size {
        fields.push(("Tus-Max-Size".to_owned(), max.0.to_string()));
    }
    put(response.headers_mut(), fields);
    response
}
