//! Answers of the control plane itself, relayed whole; the request's body is attached when the control plane wants it.
//!
//! Must stay true: one piece of an answer is in memory, and the next is read when the client took it; so a slow reader of
//! an event stream slows the control plane down, and counts as a stalled reader like any other.

use std::time::Duration;

use super::Answered;
use crate::body::{Body, BodyError, Fill};
use crate::bounds::{READ_AHEAD_CHARGE, RELAYED_PIECE_WAIT, REPORTED_READ_BYTES};
use crate::control::decide::{Client, forwarded};
use crate::core::Core;
use crate::driver::Buf;
use crate::http::{Framing, Head, LAST_CHUNK, Method, Reject, Reply, ResponseHead, encode_chunk};
use crate::limits::undecided::MemoryShare;
use crate::link::ControlReply;
use crate::wire::Wire;

/// A request that the control plane answers.
pub struct ClientRequest<'c> {
    /// Its connection.
    pub wire: &'c mut Wire,
    /// The head of the request.
    pub head: &'c Head,
    pub body: &'c mut Body,
    pub client: &'c Client,
    /// Memory of the request until it is decided.
    pub share: &'c mut MemoryShare,
}

/// Sends the request again with its body, at most `bytes_max` of it, and relays what comes back.
pub async fn forward(core: &Core, request: ClientRequest<'_>, bytes_max: u64, keep_alive: bool) -> Answered {
    let ClientRequest { wire, head, body, client, share } = request;
    if body.remaining().is_some_and(|bytes| bytes > bytes_max) {
        return Answered::Reply(Reply::detail(413, "the body is larger than this route takes"));
    }
    let limit = core.shared.config.limits.body_idle_timeout;
    if head.expects_continue() && wire.send(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), false, limit).await.is_err() {
        return Answered::Cut;
    }
    let content = match collect(wire, body, share, bytes_max).await {
        Ok(content) => content,
        Err(answered) => return answered,
    };
    let attached = Framing::Length(content.len() as u64);
    let mut request = forwarded(head, client, "attached", &content.len().to_string(), attached);
    request.extend_from_slice(&content);
    drop(content);
    let asked = core.control.request(&request, RELAYED_PIECE_WAIT).await;
    drop(request);
    share.release();
    match asked {
        Ok(reply) => relay(core, wire, head, reply, keep_alive).await,
        Err(error) => {
            tracing::warn!(%error, "a request could not be forwarded");
            Answered::Reply(away())
        }
    }
}

/// 503: no decision can be made now.
pub fn away() -> Reply {
    Reply::detail(503, "the control plane is away; try again").field("Retry-After", "1")
}

async fn collect(
    wire: &mut Wire,
    body: &mut Body,
    share: &mut MemoryShare,
    bytes_max: u64,
) -> Result<Vec<u8>, Answered> {
    let reject = |reject| Answered::Reply(Reply::reject(reject));
    share.add(READ_AHEAD_CHARGE).map_err(reject)?;
    let mut content = Vec::new();
    while !body.is_done() {
        let piece = Buf::heap(REPORTED_READ_BYTES);
        let (bytes, fill, buf) = body.fill(wire, piece, 0..REPORTED_READ_BYTES, Duration::MAX).await;
        share.add(bytes).map_err(reject)?;
        content.extend_from_slice(&buf[..bytes]);
        if content.len() as u64 > bytes_max {
            return Err(Answered::Reply(Reply::detail(413, "the body is larger than this route takes")));
        }
        match fill {
            Ok(Fill::Full | Fill::Done | Fill::Tick) => {}
            Err(BodyError::Slow) => return Err(reject(Reject::BodyLate)),
            Err(BodyError::Framing(broken)) => return Err(reject(broken)),
            Err(BodyError::Wire(_) | BodyError::Form) => return Err(Answered::Cut),
        }
    }
    Ok(content)
}

/// Relays an answer: its head rebuilt, its body piece by piece.
pub async fn relay(core: &Core, wire: &mut Wire, head: &Head, mut reply: ControlReply, keep_alive: bool) -> Answered {
    let (link, mut uptake) = (&core.control, core.uptake());
    let status = reply.head.status();
    let bodiless = head.method() == Method::Head || matches!(status, 204 | 304);
    let mut length = reply.body.remaining();
    let mut early = None;
    let is_endless = is_endless(&reply.head);
    if is_endless && !bodiless && head.version_minor() == 0 {
        return Answered::Reply(Reply::detail(505, "a stream of events needs HTTP/1.1"));
    }
    if length.is_none() && head.version_minor() == 0 {
        // HTTP/1.0 knows no chunks: the answer is taken whole and counted.
        let Ok(whole) = reply.take_whole(RELAYED_PIECE_WAIT).await else { return Answered::Cut };
        length = Some(whole.len() as u64);
        early = Some(whole);
    }
    // Which protocol is wanted instead is a matter of the connection, so it does not travel over the control link (RFC 9110 §7.8).
    let answer = if status == 426 { Reply::new(status).upgrade() } else { Reply::new(status) };
    let answer = reply.head.relayed_fields().fold(answer, |answer, (name, value)| answer.field(name, value));
    let answer = match length {
        Some(length) => answer.content_length(length),
        None => answer.chunked(),
    };
    let mut out = answer.head_bytes(keep_alive, core.io.unix_time());
    if bodiless {
        // HEAD travels over the link as GET: the body that came along is not for the client.
        let sent = wire.answer(Buf::from(out), false, &mut uptake).await.1.is_ok();
        if reply.take_whole(RELAYED_PIECE_WAIT).await.is_ok() {
            let ControlReply { head, body, wire } = reply;
            link.give_back(wire, &head, &body);
        }
        return if sent { Answered::Sent(status) } else { Answered::Cut };
    }
    loop {
        let piece = match early.take() {
            Some(whole) => Ok(whole),
            None if reply.body.is_done() => Ok(Vec::new()),
            None if is_endless => reply.next_event(RELAYED_PIECE_WAIT).await,
            None => reply.next_piece(RELAYED_PIECE_WAIT).await,
        };
        let Ok(piece) = piece else { return Answered::Cut };
        // Events come often: the stop is noticed with the next one, and is the end of the stream.
        let is_cut_short = is_endless && core.is_stopping();
        let done = reply.body.is_done() || is_cut_short;
        match length {
            None if !piece.is_empty() => encode_chunk(&mut out, &piece),
            Some(_) | None => out.extend_from_slice(&piece),
        }
        if done && length.is_none() {
            out.extend_from_slice(LAST_CHUNK);
        }
        // What follows an event comes a second later: nothing to wait for.
        let more = !done && !is_endless;
        let piece = Buf::from(std::mem::take(&mut out));
        if wire.answer(piece, more, &mut uptake).await.1.is_err() {
            return Answered::Cut;
        }
        if done {
            let ControlReply { head, body, wire } = reply;
            link.give_back(wire, &head, &body);
            return Answered::Sent(status);
        }
    }
}

/// Server-sent events end when either side closes.
fn is_endless(head: &ResponseHead) -> bool {
    head.get("content-type").is_some_and(|value| value.starts_with(b"text/event-stream"))
}
