//! PATCH, and the body of a creation: from the grant to the acknowledgement.
//!
//! 1. judge the head against the upload: offset, length, checksum name (TUS.md §A12)
//! 2. claim the bytes that are free: one writer per byte
//! 3. `100 Continue`, when the client waits for it
//! 4. move: window by window, pull → checksum while hot → write; at most a few writes in flight
//! 5. commit: a window's record enters the journal after its write has ended, never before
//! 6. sync as `durability` says, complete the object when nothing is missing
//! 7. acknowledge
//!
//! A body that breaks off keeps its committed windows (without a checksum) or nothing (with one).
//!
//! Next on the way of an upload: [`body_writer`](super::body_writer) (4 and 5), then [`finish`](super::finish) (6); 7 is here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use etransfer_contract::fact::Fact;
use etransfer_contract::grant::Append;
use etransfer_contract::tus::{AppendHead, Checksum, CreateHead, Refusal};
use etransfer_contract::{ObjectId, Span};

use super::Answered;
use super::body_writer::{BodyWriter, Limits, WrittenBody};
use super::data_file::DataFile;
use super::fault::{Doing, Fault, believe, prove};
use super::finish::{Stored, finish};
use super::remove::erase;
use super::reportable::{progress, reportable};
use super::stop::{Stop, failed, mismatch, refuse};
use crate::body::{Body, Content};
use crate::bounds::{SPANS_MAX, WRITER_CLAIM_WAIT, WRITER_SILENT};
use crate::config::WriteMode;
use crate::control::live_grant::LiveGrant;
use crate::core::{Core, http_date};
use crate::http::{Head, Reply};
use crate::store::{Claim, LengthRefused, Object, Refused, Want};
use crate::wire::Wire;

/// From this body length on, whole blocks are written past the page cache (IO.md §1).
const DIRECT_BODY_BYTES_MIN: u64 = 256 * 1024;
/// How often a waiting request looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What the head requests, whichever method carried it.
struct AppendRequest {
    offset: u64,
    length: Option<u64>,
    checksum: Option<Checksum>,
    checksum_in_trailer: bool,
}

/// Executes an append grant.
pub async fn append(live_grant: &LiveGrant<'_>, wire: &mut Wire, body: &mut Body, permit: &Append) -> Answered {
    let LiveGrant { core, grant, .. } = live_grant;
    if let Some(bytes) = permit.budget {
        core.shared.budgets.open(grant.ticket, permit.object, bytes);
    }
    let mut stored = 0;
    let answered = match run(live_grant, wire, body, permit, &mut stored).await {
        Ok(reply) => Answered::Reply(reply),
        Err(answered) => answered,
    };
    if permit.created.is_some() && matches!(&answered, Answered::Reply(reply) if reply.status() >= 400) {
        discard(core, permit.object).await;
        stored = 0;
    }
    if permit.budget.is_some() {
        core.shared.budgets.settle(&core.shared.facts, grant.ticket, stored);
    }
    answered
}

async fn run(
    live_grant: &LiveGrant<'_>,
    wire: &mut Wire,
    body: &mut Body,
    permit: &Append,
    stored: &mut u64,
) -> Result<Reply, Answered> {
    let LiveGrant { core, head, .. } = live_grant;
    let request = AppendRequest::parse(head, permit)?;
    let object = core
        .shared
        .store
        .find_or_create(permit.object, permit.length)
        .map_err(|_gone| refuse(404, "no such upload"))?;
    if object.is_damaged() {
        return Err(damaged(&object));
    }
    if body.remaining() == Some(0) {
        return empty_body(core, &object, &request, permit).await;
    }
    let claim = claim(core, &object, &request, body.remaining(), permit).await?;
    declare(core, &object, &request, permit, body.remaining()).await?;
    if let Some(checksum) = &request.checksum {
        checksum.algorithm()?;
    }
    if permit.budget.is_some_and(|budget| body.remaining().is_some_and(|bytes| bytes > budget)) {
        return Err(failed(core, &object, Fault::Full).await);
    }
    if head.expects_continue() {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
        wire.send(interim, false, core.shared.config.limits.body_idle_timeout).await.map_err(|_| Answered::Cut)?;
    }
    let written = receive(live_grant, wire, body, &object, claim, &request, permit).await;
    settle(core, &object, &request, permit, written, stored).await
}

impl AppendRequest {
    fn parse(head: &Head, permit: &Append) -> Result<Self, Refusal> {
        if permit.created.is_some() {
            let create = CreateHead::parse(head)?;
            let CreateHead { checksum, checksum_in_trailer, .. } = create;
            return Ok(Self { offset: 0, length: None, checksum, checksum_in_trailer });
        }
        let AppendHead { offset, length, checksum, checksum_in_trailer } = AppendHead::parse(head)?;
        Ok(Self { offset, length, checksum, checksum_in_trailer })
    }

    fn is_verified(&self) -> bool {
        self.checksum.is_some() || self.checksum_in_trailer
    }
}

/// `Upload-Length` on a PATCH sets a deferred length once (T-DEF-3 to T-DEF-7); a body that would not fit sets nothing.
async fn declare(
    core: &Core,
    object: &Arc<Object>,
    request: &AppendRequest,
    permit: &Append,
    body: Option<u64>,
) -> Result<(), Answered> {
    let Some(length) = request.length else { return Ok(()) };
    if body.is_some_and(|body| request.offset.saturating_add(body) > length) {
        return Err(refuse(400, "the body reaches beyond Upload-Length"));
    }
    if permit.length_max.is_some_and(|max| length > max) {
        return Err(refuse(413, "Upload-Length is above the largest size this server takes"));
    }
    if let Err(error) = core.writer.ready(1, false).await {
        let fault = believe(core, object, Doing::Journal, error).await;
        return Err(failed(core, object, fault).await);
    }
    match object.declare_length(length, core.journal()) {
        Ok(()) => Ok(()),
        Err(LengthRefused::Removed) => Err(failed(core, object, Fault::Removed).await),
        Err(LengthRefused::Journal(error)) => {
            let fault = believe(core, object, Doing::Journal, error).await;
            Err(failed(core, object, fault).await)
        }
        Err(refused @ (LengthRefused::Other { .. } | LengthRefused::Below { .. })) => {
            Err(refuse(400, refused.to_string()))
        }
    }
}

/// T-PAT-6: at the right offset nothing changes and the answer is 204; it may complete an upload whose length just came.
async fn empty_body(
    core: &Core,
    object: &Arc<Object>,
    request: &AppendRequest,
    permit: &Append,
) -> Result<Reply, Answered> {
    if let Err(fault) = prove(core, object).await {
        return Err(failed(core, object, fault).await);
    }
    if request.offset != object.look().contiguous {
        return Err(mismatch(core, object).await);
    }
    declare(core, object, request, permit, Some(0)).await?;
    let what = if request.length.is_some() { Stored::Bytes } else { Stored::Nothing };
    if let Err(fault) = finish(core, object, None, what).await {
        return Err(failed(core, object, fault).await);
    }
    acknowledgement(core, object, permit).await
}

/// Waits for the bytes this body wants, ending writers that went silent (T-LOCK-2, T-LOCK-2a, T-LOCK-2b).
async fn claim(
    core: &Core,
    object: &Arc<Object>,
    request: &AppendRequest,
    bytes: Option<u64>,
    permit: &Append,
) -> Result<Claim, Answered> {
    let deadline = core.io.now() + WRITER_CLAIM_WAIT;
    loop {
        let want = Want { offset: request.offset, body: bytes, parallel: permit.parallel };
        match object.claim(want) {
            Ok(claim) => return Ok(claim),
            Err(Refused::Busy { silent, listener }) => {
                if silent {
                    object.end_writers(Span::at(request.offset, bytes.unwrap_or(1)), Some(WRITER_SILENT));
                }
                if core.io.now() >= deadline {
                    let reply = Reply::detail(423, "another request is writing these bytes");
                    return Err(Answered::Reply(reply.field("Retry-After", "1")));
                }
                let again = core.io.sleep(LOOK_AGAIN);
                futures_util::future::select(std::pin::pin!(listener), std::pin::pin!(again)).await;
            }
            Err(Refused::Scattered) => {
                let reason = format!("the upload has {SPANS_MAX} separate ranges; fill gaps first");
                return Err(Answered::Reply(Reply::detail(429, reason).field("Retry-After", "1")));
            }
            Err(Refused::Removed) => return Err(refuse(404, "no such upload")),
            Err(Refused::Damaged) => return Err(damaged(object)),
            Err(Refused::InDoubt) => {
                if let Err(fault) = prove(core, object).await {
                    return Err(failed(core, object, fault).await);
                }
            }
            Err(Refused::Received { .. } | Refused::Mismatch { .. } | Refused::OffsetBeyond { .. }) => {
                return Err(mismatch(core, object).await);
            }
            Err(Refused::Complete { inside: true, .. }) => return Err(mismatch(core, object).await),
            Err(Refused::Complete { inside: false, .. }) => return Err(refuse(400, "the upload is complete")),
            Err(Refused::BeyondLength { .. }) => return Err(refuse(400, "the body reaches beyond Upload-Length")),
        }
    }
}

/// What was recorded of it is not in its file, so no offset would be true.
fn damaged(object: &Object) -> Answered {
    Answered::Reply(Reply::damaged(object.damage().unwrap_or_default()))
}

/// Opens the file of an object for a body of `bytes` bytes (`None`: not announced).
pub async fn open_for_body(core: &Core, object: &Object, bytes: Option<u64>) -> io::Result<DataFile> {
    let mode = core.shared.config.write_mode;
    let large = match mode {
        WriteMode::Direct => true,
        WriteMode::Buffered => false,
        WriteMode::Auto => bytes.is_none_or(|bytes| bytes >= DIRECT_BODY_BYTES_MIN),
    };
    DataFile::open(&core.io, &core.objects, object, mode, large).await
}

async fn receive(
    live_grant: &LiveGrant<'_>,
    wire: &mut Wire,
    body: &mut Body,
    object: &Arc<Object>,
    claim: Claim,
    request: &AppendRequest,
    permit: &Append,
) -> WrittenBody {
    let core = live_grant.core;
    let file = match open_for_body(core, object, body.remaining()).await {
        Ok(file) => file,
        Err(error) => return WrittenBody::failed(Stop::Disk(believe(core, object, Doing::Open, error).await)),
    };
    let algorithm = request.checksum.as_ref().and_then(|checksum| checksum.algorithm().ok());
    let limits = Limits { budget: permit.budget, length_max: permit.length_max };
    let mut body_writer = BodyWriter::new(live_grant, object, claim, file, request.offset, limits);
    if request.is_verified() {
        body_writer.verify(algorithm);
    }
    if let Some(rate) = &permit.rate {
        body_writer.limit(core.shared.rates.join(rate, &core.io));
    }
    body_writer.run(wire, &mut Content::plain(body)).await
}

async fn settle(
    core: &Core,
    object: &Arc<Object>,
    request: &AppendRequest,
    permit: &Append,
    mut written: WrittenBody,
    stored: &mut u64,
) -> Result<Reply, Answered> {
    let checked = written.check(core, object, request.checksum.as_ref()).await;
    let end = std::mem::replace(&mut written.end, Ok(())).and(checked);
    *stored = written.stored();
    written.let_go();
    let finished = match &end {
        // What it falls back to is synced already.
        Err(Stop::Disk(_)) => Ok(()),
        Ok(()) | Err(_) => {
            let what = if *stored > 0 || request.length.is_some() { Stored::Bytes } else { Stored::Nothing };
            finish(core, object, written.file.as_ref(), what).await
        }
    };
    core.shared.facts.push_of(object, progress(core, object));
    match (end, finished) {
        (Err(stop), _) => Err(stop.answer(core, object).await),
        (Ok(()), Err(fault)) => Err(failed(core, object, fault).await),
        (Ok(()), Ok(())) if !written.is_held(object) => Err(failed(core, object, Fault::Disk).await),
        (Ok(()), Ok(())) => acknowledgement(core, object, permit).await,
    }
}

/// Undoes a refused creation (T-CWU-4): no file, no record, no reserved space stays; also when the disk is full.
pub(super) async fn discard(core: &Core, object: ObjectId) {
    match erase(core, object).await {
        Ok(()) => core.shared.facts.push(Fact::Discarded { object }),
        Err(error) => tracing::error!(upload = %object, %error, "remove a refused creation"),
    }
}

/// T-PAT-5 and easytransfer/CONTRACT.md §2.4; 201 for a creation.
async fn acknowledgement(core: &Core, object: &Arc<Object>, permit: &Append) -> Result<Reply, Answered> {
    let look = match reportable(core, object).await {
        Ok(now) => now.look,
        Err(fault) => return Err(failed(core, object, fault).await),
    };
    let reply = match &permit.created {
        Some(fields) => Reply::new(201).fields(fields),
        None => Reply::new(204),
    };
    let mut reply =
        reply.field("Upload-Offset", look.contiguous.to_string()).field("X-Received-Bytes", look.received.to_string());
    if look.complete {
        return Ok(reply.fields(&permit.completed));
    }
    if let Some(text) = expires(permit.expires_unix_ms, permit.expires_after_s, look.written_unix_ms) {
        reply = reply.field("Upload-Expires", text);
    }
    Ok(reply)
}

/// The text of `Upload-Expires` (T-EXP-2): the fixed moment, else `after_s` after the last byte.
pub fn expires(fixed_unix_ms: Option<u64>, after_s: Option<u64>, since_unix_ms: u64) -> Option<String> {
    let after = |after_s: u64| since_unix_ms.saturating_add(after_s.saturating_mul(1000));
    fixed_unix_ms.or(after_s.map(after)).map(http_date)
}

#[cfg(test)]
mod tests {
    use super::expires;

    #[test]
    fn a_fixed_moment_moves_with_no_byte() {
        let at = |text: &str| Some(text.to_owned());
        assert_eq!(expires(None, None, 5_000), None);
        assert_eq!(expires(None, Some(3), 5_000), at("Thu, 01 Jan 1970 00:00:08 GMT"));
        assert_eq!(expires(Some(1_000), None, 5_000), at("Thu, 01 Jan 1970 00:00:01 GMT"));
        assert_eq!(expires(Some(1_000), Some(3), 5_000), at("Thu, 01 Jan 1970 00:00:01 GMT"));
    }
}
