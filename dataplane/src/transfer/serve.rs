//! GET and HEAD of content (easytransfer/CONTRACT.md §2.8, RFC 9110 §14).
//!
//! 1. what is there: a complete object, or the run of bytes that an unfinished upload has at the requested offset
//! 2. what is requested: validators, `Range`, `?chunk=N` → one span and a status
//! 3. for exclusive deliveries: 409 while another delivery of the whole object runs
//! 4. for single-use files: claim the span, its last block held back; a refusal cuts the connection
//! 5. send the head and the span (`sender`), the last block after a second claim
//! 6. report the end of the delivery; of a claimed one, with what the receiver's kernel acknowledged (`acknowledged`)
//!
//! Must stay true: exactly `Content-Length` bytes of one object, or a closed connection (PROMISES.md P12); a reader
//! never waits for a writer and never sees an unrecorded byte.

use std::sync::Arc;
use std::time::Duration;

use etransfer_contract::Span;
use etransfer_contract::conditions::{self, Tags, Version, judge};
use etransfer_contract::fact::{Claim, Reach, Verdict};
use etransfer_contract::grant::{Grant, Serve};
use etransfer_contract::ranges::{self, RequestedRange};

use super::fault::{Doing, Fault, believe};
use super::relay::away;
use super::sender::Sender;
use super::{Answered, acknowledged};
use crate::bounds::{HELD_BACK_BYTES, RECEIVER_CLAIM_WAIT};
use crate::control::live_grant::{LiveGrant, revoked};
use crate::core::{Core, http_date};
use crate::driver::{Buf, FileHandle};
use crate::http::{Head, Method, Reply};
use crate::link::EndedDelivery;
use crate::rates::Meter;
use crate::store::{Object, SoleDelivery};
use crate::transfer::data_file::open_for_reading;
use crate::wire::Wire;

/// Between two attempts meanwhile.
const CLAIM_PAUSE: Duration = Duration::from_millis(20);

/// A delivery: which reply, which bytes.
struct Delivery {
    reply: Reply,
    span: Option<Span>,
}

/// Executes a serve grant; `keep_alive` goes into the head this act sends itself.
pub async fn serve(live_grant: &LiveGrant<'_>, wire: &mut Wire, permit: &Serve, keep_alive: bool) -> Answered {
    let LiveGrant { core, head, grant, .. } = live_grant;
    if permit.length != Some(0) && core.shared.store.is_removed(permit.object) {
        return Answered::Reply(Reply::detail(404, "no such file"));
    }
    let object = core.shared.store.find(permit.object);
    if let Some(what) = object.as_ref().and_then(|object| object.damage()) {
        return Answered::Reply(Reply::damaged(what));
    }
    let delivery = match choose(head, permit, object.as_deref()) {
        Ok(delivery) => delivery,
        Err(reply) => return Answered::Reply(reply),
    };
    let length = delivery.span.map_or(0, Span::len);
    let downloads = permit.counted.map(|known| object.as_ref().map_or(known, |object| object.downloads(known)) + 1);
    let reply = delivery.reply.fields(&permit.fields).content_length(length);
    let reply = match downloads {
        Some(downloads) => reply.field("X-Download-Count", downloads.to_string()),
        None => reply,
    };
    if head.method() == Method::Head {
        return Answered::Reply(reply);
    }
    let Ok(_sole) = alone(permit, object.as_ref(), length) else {
        let reply = Reply::detail(409, "this single-use file is being downloaded; retry if that download fails");
        return Answered::Reply(reply.field("Retry-After", "1"));
    };
    let file = match open(core, object.as_ref(), delivery.span).await {
        Ok(file) => file,
        Err(fault) => return Answered::Reply(fault.reply()),
    };
    let mut meter = permit.rate.as_ref().map(|rate| core.shared.rates.join(rate, &core.io));
    // A right that ended meanwhile gets an answer while nothing is claimed and no byte has left; later only a cut is possible.
    if !live_grant.holds(&mut meter).await {
        return Answered::Reply(revoked());
    }
    let held = delivery.span.map(|span| span.end() - HELD_BACK_BYTES.min(span.len()));
    let held = held.filter(|held| delivery.span.is_some_and(|span| *held > span.start()));
    if permit.hold_last
        && let Err(withheld) = obtain(live_grant, wire, permit, delivery.span, held).await
    {
        return withheld.into();
    }
    let status = reply.status();
    let reply = reply.fields(&grant.headers);
    let held = held.filter(|_| permit.hold_last);
    let outgoing = Outgoing { reply, span: delivery.span, held, keep_alive, meter };
    let Delivered { whole, reach } = deliver(live_grant, wire, object.as_ref().zip(file), permit, outgoing).await;
    if let (Some(object), Some(known)) = (&object, permit.counted)
        && whole
        && object.look().length == Some(length)
    {
        object.count_download(known);
    }
    if permit.report {
        let Serve { object, receiver, .. } = permit;
        let ended =
            EndedDelivery { object: *object, ticket: grant.ticket, receiver, span: delivery.span, whole, reach };
        core.shared.facts.push_delivery(&ended, permit.hold_last);
    }
    if whole { Answered::Sent(status) } else { Answered::Cut }
}

/// Another delivery of the whole object is under way.
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
    let ranges_count = ranges_count(head, permit)?;
    let run = |at: u64| if complete { length.unwrap_or(0) } else { object.map_or(at, |object| object.end_of_run(at)) };
    if let Some(chunk) = permit.chunk {
        return choose_chunk(permit, chunk, run(chunk.start()));
    }
    let reply = |status| validators(Reply::new(status).field("Accept-Ranges", "bytes"), permit);
    let unsatisfiable = || {
        let detail = Reply::detail(416, "the range is not in the bytes this file has");
        detail.field("Content-Range", ranges::content_range_unsatisfiable(length))
    };
    // On other methods a range is ignored (PROMISES.md §4).
    let requested =
        if head.method() == Method::Get && ranges_count { RequestedRange::of(head) } else { RequestedRange::Whole };
    if complete && matches!(requested, RequestedRange::Whole) {
        let span = Span::new(0, length.unwrap_or(0));
        return refuse_consumed(permit, span).map(|()| Delivery { reply: reply(200), span });
    }
    let span = requested.resolve(run).ok_or_else(unsatisfiable)?;
    refuse_consumed(permit, Some(span))?;
    let reply = reply(206).field("Content-Range", ranges::content_range(span, length));
    Ok(Delivery { reply, span: Some(span) })
}

/// Whether a range counts, when the conditions of the request let it be answered at all.
fn ranges_count(head: &Head, permit: &Serve) -> Result<bool, Reply> {
    let modified_s = permit.modified_ms.map(|ms| ms / 1000);
    match judge(head, Version { etag: &permit.etag, modified_s, tags: Tags::Exact }) {
        conditions::Verdict::Go { ranges } => Ok(ranges),
        conditions::Verdict::NotModified | conditions::Verdict::Failed if permit.judged => Ok(true),
        conditions::Verdict::NotModified => Err(validators(Reply::new(304), permit)),
        conditions::Verdict::Failed => Err(Reply::detail(412, "the file is not the version that the request names")),
    }
}

fn validators(reply: Reply, permit: &Serve) -> Reply {
    let reply = reply.field("ETag", permit.etag.clone());
    match permit.modified_ms {
        Some(ms) => reply.field("Last-Modified", http_date(ms)),
        None => reply,
    }
}

fn choose_chunk(permit: &Serve, chunk: Span, available: u64) -> Result<Delivery, Reply> {
    refuse_consumed(permit, Some(chunk)).map_err(|_| Reply::detail(404, "this chunk was consumed"))?;
    if available < chunk.end() {
        return Err(Reply::detail(404, "this chunk is not there yet"));
    }
    let reply = validators(Reply::new(200).field("Accept-Ranges", "bytes"), permit);
    Ok(Delivery { reply, span: Some(chunk) })
}

fn refuse_consumed(permit: &Serve, span: Option<Span>) -> Result<(), Reply> {
    let touches = |span: Span| permit.consumed.iter().any(|consumed| consumed.intersect(span).is_some());
    if span.is_some_and(touches) { Err(Reply::detail(410, "these bytes were consumed")) } else { Ok(()) }
}

/// Opens the file of what is sent, before the reply begins.
async fn open(core: &Core, object: Option<&Arc<Object>>, span: Option<Span>) -> Result<Option<FileHandle>, Fault> {
    let (Some(object), Some(_)) = (object, span) else { return Ok(None) };
    match open_for_reading(&core.io, &core.objects, object).await {
        Ok(file) => Ok(Some(file)),
        Err(error) => Err(believe(core, object, Doing::Open, error).await),
    }
}

/// An answer on its way.
struct Outgoing {
    reply: Reply,
    span: Option<Span>,
    /// From here on the bytes wait for the second claim.
    held: Option<u64>,
    keep_alive: bool,
    meter: Option<Meter>,
}

/// How it ended.
struct Delivered {
    /// Every byte was handed to the transport, and acknowledged where that counts.
    whole: bool,
    reach: Option<Reach>,
}

/// Sends head and bytes, and waits for their acknowledgement where that counts.
async fn deliver(
    live_grant: &LiveGrant<'_>,
    wire: &mut Wire,
    object: Option<(&Arc<Object>, FileHandle)>,
    permit: &Serve,
    outgoing: Outgoing,
) -> Delivered {
    let core = live_grant.core;
    let limit = core.shared.config.limits.body_idle_timeout;
    let length = outgoing.span.map_or(0, Span::len);
    let (sent, taken) = send(live_grant, wire, object, permit, outgoing).await;
    if !permit.hold_last {
        return Delivered { whole: sent, reach: None };
    }
    let reach = acknowledged::reach(core, wire, taken, sent, limit).await;
    Delivered { whole: sent && reach.acknowledged == length, reach: Some(reach) }
}

/// Whether everything was handed to the transport, and how much content was.
async fn send(
    live_grant: &LiveGrant<'_>,
    wire: &mut Wire,
    object: Option<(&Arc<Object>, FileHandle)>,
    permit: &Serve,
    outgoing: Outgoing,
) -> (bool, u64) {
    let core = live_grant.core;
    let head = outgoing.reply.head_bytes(outgoing.keep_alive, core.io.unix_time());
    let Some(span) = outgoing.span else {
        return (wire.answer(Buf::from(head), false, &mut core.uptake()).await.1.is_ok(), 0);
    };
    let Some((object, file)) = object else { return (false, 0) };
    let Some(guard) = object.read() else { return (false, 0) };
    let mut sender = Sender::new(live_grant, wire, file, &guard, outgoing.meter);
    let sent = match outgoing.held {
        None => sender.send(head, Some(span)).await,
        Some(held) => {
            sender.send(head, Span::new(span.start(), held)).await
                && obtain(live_grant, wire, permit, Some(span), None).await.is_ok()
                && sender.send(Vec::new(), Span::new(held, span.end())).await
        }
    };
    (sent, sender.taken())
}

/// Why bytes of a claimed delivery must not leave.
enum Withheld {
    /// There is no verdict.
    Away,
    /// The object was removed meanwhile.
    Gone,
    /// It is another receiver's.
    Bound,
    /// Another delivery is in the way.
    Taken,
}

impl From<Withheld> for Answered {
    /// The answer to a delivery that did not begin.
    fn from(withheld: Withheld) -> Self {
        match withheld {
            Withheld::Away => Self::Reply(away()),
            Withheld::Gone => Self::Reply(Reply::detail(404, "no such file")),
            Withheld::Bound => Self::Reply(Reply::detail(
                409,
                "this file is for one receiver, and another one may have it; only that one may try again",
            )),
            Withheld::Taken => Self::Reply(
                Reply::detail(409, "this single-use file is being downloaded; try again if that download fails")
                    .field("Retry-After", "1"),
            ),
        }
    }
}

/// Claims these bytes, those from `held_from` on not yet. While that is refused there is a delivery that may still fail: its
/// end is awaited for a moment.
async fn obtain(
    live_grant: &LiveGrant<'_>,
    wire: &Wire,
    permit: &Serve,
    span: Option<Span>,
    held_from: Option<u64>,
) -> Result<(), Withheld> {
    let LiveGrant { core, grant, .. } = live_grant;
    let deadline = core.io.now() + RECEIVER_CLAIM_WAIT;
    loop {
        match claim(core, permit, grant, span, held_from).await {
            Some(Verdict { go: true, .. }) => return Ok(()),
            None => return Err(Withheld::Away),
            Some(_) if core.shared.store.is_removed(permit.object) => return Err(Withheld::Gone),
            Some(Verdict { bound: true, .. }) => return Err(Withheld::Bound),
            Some(_) if core.io.now() < deadline && !wire.is_broken() => core.io.sleep(CLAIM_PAUSE).await,
            Some(_) => return Err(Withheld::Taken),
        }
    }
}

/// May these bytes leave, those from `held_from` on not yet? `None`: there is no verdict.
async fn claim(
    core: &Core,
    permit: &Serve,
    grant: &Grant,
    span: Option<Span>,
    held_from: Option<u64>,
) -> Option<Verdict> {
    let receiver = permit.receiver.clone();
    let claim = Claim { ticket: grant.ticket, object: permit.object, receiver, span, held_from };
    core.control.claim(&claim).await
}
