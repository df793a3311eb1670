//! `PATCH /tus/{id}` (TUS.md §A4, §A12): everything up to the first byte. A complete upload is answered here; otherwise
//! the data plane gets a grant, with a budget when the node has a limit. Next: [`crate::link::decision`].

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use etransfer_contract::grant::{Act, Append, PrefetchedGrant};
use etransfer_contract::tus::{AppendHead, PARALLEL_ALIGNMENT};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::create::put;
use super::{CACHE_MS, cache_ms, expires_after_s, find, is_final};
use crate::authority::Caller;
use crate::catalogue::{Entry, Record};
use crate::link::decision::Decision;
use crate::link::meta::{BodyKind, Meta};
use crate::node::{Account, Node, Room};
use crate::surface::easytransfer::Service;
use crate::surface::easytransfer::quota::{no_room, upload_rate};
use crate::surface::refusal::Refused;

const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Appends.
pub async fn patch(
    State(app): State<Service>,
    Extension(meta): Extension<Meta>,
    Extension(caller): Extension<Caller>,
    path: Path<String>,
    headers: HeaderMap,
) -> Result<Decision, Refused> {
    let head = AppendHead::parse(&headers)?;
    let entry = find(&app.node, &caller, &path)?;
    if is_final(&entry) {
        return Err(Refused::new(403, "a final upload takes no bytes"));
    }
    if entry.record.is_complete() {
        return complete(&entry, &head, meta.body);
    }
    let account = app.account_of(entry.record.owner.as_ref(), &caller).await?;
    let ticket = app.node.ticket();
    let room = app.node.reserve(ticket, meta.body.length(), rest(&app.node, &entry), account);
    let budget = match room {
        Room::Unlimited => None,
        Room::Promised(bytes) => Some(bytes),
        Room::Full { .. } | Room::Unknown => {
            return Err(
                misplaced(&app.node, &entry, &head, meta.body).unwrap_or_else(|| no_room(room, entry.contiguous()))
            );
        }
    };
    let cache_ms = if budget.is_none() { cache_ms(&app.node, &caller, &entry) } else { 0 };
    let append = permit(&app.node, &caller, &entry.record, budget);
    Ok(Decision::cached(&app.node, ticket, cache_ms, Act::Append(append)))
}

/// What a PATCH of this upload may do.
fn permit(node: &Node, caller: &Caller, record: &Record, budget: Option<u64>) -> Append {
    Append {
        object: record.id,
        length: record.length,
        length_max: length_max(node),
        parallel: node.config().parallel_writes,
        budget,
        expires_after_s: Some(expires_after_s(node.config().uploads.expiration)),
        expires_unix_ms: None,
        completed: Vec::new(),
        created: None,
        rate: upload_rate(caller),
    }
}

/// The grant for the PATCH that follows a creation, where no limit has to be counted down: then it may be given ahead.
pub fn ahead(node: &Node, caller: &Caller, record: &Record, account: Option<Account>) -> Option<PrefetchedGrant> {
    let config = node.config();
    if config.storage.max_storage_size.is_some() || account.is_some_and(|account| account.max.is_some()) {
        return None;
    }
    let cache_ms = caller.cache_ms(CACHE_MS.min(config.uploads.expiration.as_millis() as u64));
    let grant = Decision::permission(node, node.ticket(), cache_ms, Act::Append(permit(node, caller, record, None)));
    Some(PrefetchedGrant { method: Method::PATCH.to_string(), target: format!("/tus/{}", record.id), grant })
}

/// Largest length of one upload.
pub fn length_max(node: &Node) -> Option<u64> {
    node.config().server.max_upload_size.map(|size| size.0)
}

/// T-PAT-12: 409 when the body lies inside, else 400. T-PAT-6: nothing at the end is 204, as under a grant.
fn complete(entry: &Entry, head: &AppendHead, body: BodyKind) -> Result<Decision, Refused> {
    let length = entry.contiguous();
    if body.is_empty() && head.offset == length {
        let mut done = StatusCode::NO_CONTENT.into_response();
        let told = |name: &str| (name.to_owned(), length.to_string());
        put(done.headers_mut(), vec![told("Upload-Offset"), told("X-Received-Bytes")]);
        return Ok(done.into());
    }
    let end = body.length().map_or(Some(head.offset), |bytes| head.offset.checked_add(bytes));
    if end.is_some_and(|end| end <= length) {
        return Err(at(length, "the upload is complete"));
    }
    Err(Refused::new(400, "the upload is complete and the body reaches beyond it"))
}

/// What an offset or length is wrong with, for a request that would otherwise hear 507: A12 puts those first.
fn misplaced(node: &Node, entry: &Entry, head: &AppendHead, body: BodyKind) -> Option<Refused> {
    let (offset, contiguous) = (head.offset, entry.contiguous());
    let end = offset.saturating_add(body.length().unwrap_or(0));
    let received = offset < contiguous && end <= contiguous;
    let out_of_order =
        offset != contiguous && (!node.config().parallel_writes || !offset.is_multiple_of(PARALLEL_ALIGNMENT));
    if received || out_of_order {
        return Some(at(contiguous, "the upload continues at another offset"));
    }
    let length = entry.record.length?;
    if offset > length {
        return Some(at(contiguous, "the offset lies beyond Upload-Length"));
    }
    if end > length || head.length.is_some_and(|declared| declared != length) {
        return Some(Refused::new(400, "the body reaches beyond Upload-Length"));
    }
    head.checksum.as_ref().and_then(|checksum| checksum.algorithm().err()).map(Refused::from)
}

fn at(offset: u64, detail: &str) -> Refused {
    Refused::new(409, detail).with(UPLOAD_OFFSET, offset.to_string())
}

/// Bytes the upload may still take.
fn rest(node: &Node, entry: &Entry) -> u64 {
    entry.record.length.or(length_max(node)).map_or(u64::MAX, |length| length.saturating_sub(entry.received()))
}
