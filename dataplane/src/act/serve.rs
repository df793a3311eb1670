//! GET and HEAD of content (easytransfer.md §2.8, RFC 9110 §14).
//!
//! 1. what is there: a complete object, or the run of bytes an unfinished upload has at the asked place
//! 2. what is asked: validators, `Range`, `?chunk=N` → one span and a status
//! 3. where one delivery excludes others: 409 while another one of everything runs
//! 4. send the head and the span (`sender`), the last block held back when a claim decides who gets it
//! 5. tell the end of the delivery
//!
//! Must stay true: exactly `Content-Length` bytes of one object, or a closed connection (P12); a reader never waits for
//! a writer and never sees an unrecorded byte.

use std::sync::Arc;

use etransfer_contract::Span;
use etransfer_contract::fact::Claim;
use etransfer_contract::grant::{Grant, Serve};
use etransfer_contract::ranges::{self, Asked};

use super::Answered;
use super::sender::Sender;
use crate::core::Core;
use crate::data_file::open_for_reading;
use crate::http::{Head, Method, Reply};
use crate::line::Delivery as Ended;
use crate::permission::Permission;
use crate::store::{Object, SoleDelivery};
use crate::wire::Wire;

/// The block a claim decides about.
const HELD_BACK_BYTES: u64 = 64 * 1024;

/// A delivery: which reply, which bytes.
struct Delivery {
    reply: Reply,
    span: Option<Span>,
}

/// Executes a serve grant; `keep_alive` goes into the head this act sends itself.
pub async fn serve(permission: &Permission<'_>, wire: &mut Wire, permit: &Serve, keep_alive: bool) -> Answered {
    let Permission { core, head, grant, .. } = permission;
    if permit.length != Some(0) && core.shared.store.is_removed(permit.object) {
        return Answered::Reply(Reply::detail(404, "no such file"));
    }
    let object = core.shared.store.find(permit.object);
    let delivery = match choose(head, permit, object.as_deref()) {
        Ok(delivery) => delivery,
        Err(reply) => return Answered::Reply(reply),
    };
    let length = delivery.span.map_or(0, Span::len);
    let downloads = permit.counted.map(|told| object.as_ref().map_or(told, |object| object.downloads(told)) + 1);
    let reply = delivery.reply.fields(&permit.fields).content_length(length);
    let reply = match downloads {
        Some(downloads) => reply.field("X-Download-Count", downloads.to_string()),
        None => reply,
    };
    if head.method() == Method::Head {
        return Answered::Reply(reply);
    }
    let Ok(_sole) = alone(permit, object.as_ref(), length) else {
        let reply =
            Reply::detail(409, "somebody is downloading this file, and it is for one; try again when they failed");
        return Answered::Reply(reply.field("Retry-After", "1"));
    };
    let status = reply.status();
    let reply = reply.fields(&grant.headers);
    let whole = deliver(permission, wire, object.as_ref(), permit, reply, delivery.span, keep_alive).await;
    if let (Some(object), Some(told)) = (&object, permit.counted)
        && whole
        && object.look().length == Some(length)
    {
        object.count_download(told);
    }
    if permit.report {
        let Serve { object, receiver, .. } = permit;
        let ended = Ended { object: *object, ticket: grant.ticket, receiver, span: delivery.span, whole };
        core.shared.facts.push_delivery(&ended, permit.hold_last);
    }
    if whole { Answered::Sent(status) } else { Answered::Cut }
}

/// Somebody else is receiving everything.
struct Taken;

/// Under `exclusive`, the place of the one delivery that is as long as the object; held until it ends.
fn alone(permit: &Serve, object: Option<&Arc<Object>>, length: u64) -> Result<Option<SoleDelivery>, Taken> {
    let is_all = |object: &&Arc<Object>| permit.chunk.is_none() && object.look().length == Some(length);
    let Some(object) = object.filter(|_| permit.exclusive).filter(is_all) else { return Ok(None) };
    SoleDelivery::begin(object).map(Some).ok_or(Taken)
}

/// Which bytes answer this request, and with which status; `Err` is a refusal that moves no byte.
fn choose(head: &Head, permit: &Serve, object: Option<&Object>) -> Result<Delivery, Reply> {
    let look = object.map(Object::look);
    let length = look.as_ref().and_then(|look| look.length).or(permit.length);
    let complete = look.as_ref().is_some_and(|look| look.complete) || length == Some(0);
    if permit.complete && !complete {
        tracing::error!(object = %permit.object, "a complete object has no bytes here");
        return Err(Reply::detail(500, "the bytes of this file are missing on this node"));
    }
    if head.get("if-none-match").is_some_and(|tags| ranges::etag_listed(tags, &permit.etag)) {
        return Err(Reply::new(304).field("ETag", permit.etag.clone()));
    }
    let run = |at: u64| if complete { length.unwrap_or(0) } else { object.map_or(at, |object| object.end_of_run(at)) };
    if let Some(chunk) = permit.chunk {
        return choose_chunk(permit, chunk, run(chunk.start()));
    }
    let reply = |status| Reply::new(status).field("Accept-Ranges", "bytes").field("ETag", permit.etag.clone());
    let unsatisfiable = || {
        let detail = Reply::detail(416, "the range is not in the bytes this file has");
        detail.field("Content-Range", ranges::content_range_unsatisfiable(length))
    };
    let asked = asked(head, permit);
    if complete && matches!(asked, Asked::Whole) {
        let span = Span::new(0, length.unwrap_or(0));
        return refuse_consumed(permit, span).map(|()| Delivery { reply: reply(200), span });
    }
    let span = asked.resolve(run).ok_or_else(unsatisfiable)?;
    refuse_consumed(permit, Some(span))?;
    let reply = reply(206).field("Content-Range", ranges::content_range(span, length));
    Ok(Delivery { reply, span: Some(span) })
}

/// The `Range` of a GET (on other methods it is ignored, reliability.md §4), unless `If-Range` says that the client holds something else.
fn asked(head: &Head, permit: &Serve) -> Asked {
    let stale = |tag| !ranges::if_range_matches(tag, &permit.etag);
    if head.method() != Method::Get || head.get("if-range").is_some_and(stale) { Asked::Whole } else { Asked::of(head) }
}

fn choose_chunk(permit: &Serve, chunk: Span, available: u64) -> Result<Delivery, Reply> {
    refuse_consumed(permit, Some(chunk)).map_err(|_| Reply::detail(404, "this chunk was consumed"))?;
    if available < chunk.end() {
        return Err(Reply::detail(404, "this chunk is not there yet"));
    }
    let reply = Reply::new(200).field("Accept-Ranges", "bytes").field("ETag", permit.etag.clone());
    Ok(Delivery { reply, span: Some(chunk) })
}

fn refuse_consumed(permit: &Serve, span: Option<Span>) -> Result<(), Reply> {
    let touches = |span: Span| permit.consumed.iter().any(|consumed| consumed.intersect(span).is_some());
    if span.is_some_and(touches) { Err(Reply::detail(410, "these bytes were consumed")) } else { Ok(()) }
}

/// Sends head and bytes; `true` when every byte was handed to the transport.
async fn deliver(
    permission: &Permission<'_>,
    wire: &mut Wire,
    object: Option<&Arc<Object>>,
    permit: &Serve,
    reply: Reply,
    span: Option<Span>,
    keep_alive: bool,
) -> bool {
    let Permission { core, grant, .. } = permission;
    let head = reply.head_bytes(keep_alive);
    let limit = core.shared.config.limits.body_idle_timeout;
    let Some(span) = span else {
        let go = !permit.hold_last || claim(core, permit, grant, None).await;
        return go && wire.send(head, false, limit).await.is_ok();
    };
    let Some(guard) = object.and_then(|object| object.read()) else { return false };
    let file = match open_for_reading(&core.io, &core.objects, permit.object).await {
        Ok(file) => file,
        Err(error) => {
            tracing::error!(object = %permit.object, %error, "open for reading");
            return false;
        }
    };
    let meter = permit.rate.as_ref().map(|rate| core.shared.rates.join(rate, &core.io));
    let mut sender = Sender::new(permission, wire, file, &guard, meter);
    if !permit.hold_last {
        return sender.send(head, Some(span)).await;
    }
    let cut = span.end() - HELD_BACK_BYTES.min(span.len());
    sender.send(head, Span::new(span.start(), cut)).await
        && claim(core, permit, grant, Some(span)).await
        && sender.send(Vec::new(), Span::new(cut, span.end())).await
}

async fn claim(core: &Core, permit: &Serve, grant: &Grant, span: Option<Span>) -> bool {
    let receiver = permit.receiver.clone();
    let claim = Claim { ticket: grant.ticket, object: permit.object, receiver, span };
    core.line.claim(&claim).await
}
