//! `Upload-Concat: final;…` (TUS.md §A11): a final upload built from partials by the data plane, visible only when
//! whole.

use axum::response::IntoResponse;
use etransfer_contract::ObjectId;
use etransfer_contract::grant::{Act, Concat};
use etransfer_contract::tus::PARTS_MAX;
use http::StatusCode;

use super::create::{check_count, check_length, created, put};
use crate::audit;
use crate::authority::Caller;
use crate::catalogue::{Entry, Kind, Record};
use crate::core::SurfaceId;
use crate::link::decision::Decision;
use crate::link::meta::BodyKind;
use crate::node::{Look, Node, Room};
use crate::surface::easytransfer::Service;
use crate::surface::easytransfer::quota::no_room;
use crate::surface::own_url::upload_id;
use crate::surface::refusal::Refused;

/// Creates the final upload whose parts `links` name.
pub async fn create(
    app: &Service,
    caller: &Caller,
    mut record: Record,
    links: &[String],
    base: &str,
    body: BodyKind,
) -> Result<Decision, Refused> {
    let node = &app.node;
    if !body.is_empty() {
        return Err(Refused::new(400, "a final upload takes no body"));
    }
    if let Some(earlier) = record.idempotency_key.as_deref().and_then(|key| node.by_key(key)) {
        return repeated(node, &earlier, &record, base);
    }
    let parts = parts(node, caller, links)?;
    let length = parts.iter().try_fold(0u64, |sum, (_, bytes)| sum.checked_add(*bytes));
    let length = length.filter(|length| *length <= etransfer_contract::span::OFFSET_MAX);
    let Some(length) = length else { return Err(Refused::new(413, "the parts are too long together")) };
    record.length = Some(length);
    check_length(node, record.length)?;
    app.check_person(caller, record.length)?;
    check_count(node, &record)?;
    let mut fields = created(node, &record, base);
    fields.push(("Upload-Offset".to_owned(), length.to_string()));
    if length == 0 {
        record.completed_ms = Some(record.created_ms);
        let object = record.id;
        node.create(record).await?;
        audit::object(caller, audit::CREATE, object);
        let mut response = StatusCode::CREATED.into_response();
        put(response.headers_mut(), fields);
        return Ok(response.into());
    }
    let (ticket, object) = (node.ticket(), record.id);
    let account = app.account_of(record.owner.as_ref(), caller).await?;
    match node.reserve(ticket, Some(length), length, account) {
        Room::Unlimited | Room::Promised(_) => {}
        room @ (Room::Full { .. } | Room::Unknown) => return Err(no_room(room, 0)),
    }
    if let Err(error) = node.create(record).await {
        node.unreserve(ticket);
        return Err(error.into());
    }
    audit::object(caller, audit::CREATE, object);
    let concat = Concat { object, parts, status: StatusCode::CREATED.as_u16(), fields };
    Ok(Decision::cached(node, ticket, 0, Act::Concat(concat)))
}

/// Complete partials of this node, in order; 400 for anything else (403 would tell that it exists, T-CON-9).
fn parts(node: &Node, caller: &Caller, links: &[String]) -> Result<Vec<(ObjectId, u64)>, Refused> {
    if links.len() > PARTS_MAX {
        return Err(Refused::new(400, "a final upload has at most 256 parts"));
    }
    let part = |link: &String| {
        let id = upload_id(link)?.parse::<ObjectId>().ok()?;
        let Look::There(entry) = node.look(SurfaceId::EasyTransfer, id) else { return None };
        let whole = entry.record.kind == Kind::Partial && entry.record.is_complete() && caller.sees(&entry.record);
        whole.then(|| Some((id, entry.record.length?))).flatten()
    };
    let parts: Option<Vec<_>> = links.iter().map(part).collect();
    parts.ok_or_else(|| Refused::new(400, "a part is not a finished partial upload of this server"))
}

/// T-CON-10: the same request again, after a lost answer.
fn repeated(node: &Node, earlier: &Entry, record: &Record, base: &str) -> Result<Decision, Refused> {
    if earlier.record.kind != record.kind || earlier.record.metadata != record.metadata {
        return Err(Refused::new(409, "this Idempotency-Key was used for another request"));
    }
    if !earlier.record.is_complete() {
        return Err(Refused::new(409, "the first request with this Idempotency-Key is still at work"));
    }
    let mut response = StatusCode::CREATED.into_response();
    put(response.headers_mut(), created(node, &earlier.record, base));
    put(response.headers_mut(), vec![("Upload-Offset".to_owned(), earlier.contiguous().to_string())]);
    Ok(response.into())
}
