//! HEAD of an upload (TUS.md §A3): the offset an immediate PATCH will be accepted at.
//!
//! `X-Received-Ranges` lists what was received from the lowest offset on, and at most [`RANGES_FIELD_BYTES_MAX`] of it: many clients
//! and proxies refuse longer heads. When that is not all, `X-Received-Ranges-Count` says how many ranges there are. A client
//! that does not know it takes the list for the whole and sends bytes again that are there. All of them are reportable by
//! `GET /api/files/{id}/ranges`.

use etransfer_contract::grant::State;
use etransfer_contract::tus;

use super::Answered;
use super::append::expires;
use super::fence::fence_writers;
use super::reportable::{Reportable, reportable_with_spans};
use crate::bounds::{RANGES_FIELD_BYTES_MAX, WRITER_SILENT};
use crate::core::Core;
use crate::http::{Head, Reply};

/// Executes a state grant. A silent writer is ended first, a flowing one is left alone (T-HEAD-8, T-LOCK-2).
pub async fn state(core: &Core, head: &Head, permit: &State) -> Answered {
    if let Err(refusal) = tus::version(head) {
        return Answered::Reply(Reply::refusal(&refusal).field("Cache-Control", "no-store"));
    }
    let mut reply = Reply::new(200).field("Cache-Control", "no-store").fields(&permit.fields);
    let object = core.shared.store.find(permit.object);
    if let Some(object) = &object {
        if !fence_writers(core, object, Some(WRITER_SILENT)).await {
            let reply = Reply::detail(423, "a writer that went silent cannot be ended yet");
            return Answered::Reply(reply.field("Retry-After", "1").field("Cache-Control", "no-store"));
        }
    } else if core.shared.store.is_removed(permit.object) {
        return Answered::Reply(Reply::detail(404, "no such upload").field("Cache-Control", "no-store"));
    }
    if let Some(what) = object.as_ref().and_then(|object| object.damage()) {
        return Answered::Reply(Reply::damaged(what).field("Cache-Control", "no-store"));
    }
    let reportable = match &object {
        None => None,
        Some(object) => match reportable_with_spans(core, object).await {
            Ok(reportable) => Some(reportable),
            Err(fault) => return Answered::Reply(fault.reply().field("Cache-Control", "no-store")),
        },
    };
    let look = reportable.as_ref().map(|reportable| reportable.look);
    let (contiguous, received) = look.as_ref().map_or((0, 0), |look| (look.contiguous, look.received));
    let length = look.as_ref().and_then(|look| look.length).or(permit.length);
    let complete = look.as_ref().is_some_and(|look| look.complete) || length == Some(0);
    reply = reply.field("Upload-Offset", contiguous.to_string()).field("X-Received-Bytes", received.to_string());
    reply = match length {
        Some(length) => reply.field("Upload-Length", length.to_string()),
        None => reply.field("Upload-Defer-Length", "1"),
    };
    if let (Some(Reportable { spans, .. }), true) = (reportable, received > 0) {
        let (text, listed) = spans.text_within(RANGES_FIELD_BYTES_MAX);
        reply = reply.field("X-Received-Ranges", text);
        if listed < spans.count() {
            reply = reply.field("X-Received-Ranges-Count", spans.count().to_string());
        }
    }
    let since = look.map_or(0, |look| look.written_unix_ms).max(permit.created_unix_ms);
    if let Some(text) = expires(permit.expires_unix_ms, permit.expires_after_s, since).filter(|_| !complete) {
        reply = reply.field("Upload-Expires", text);
    }
    Answered::Reply(reply)
}
