//! One client connection: read a head, decide, act, answer; again, until either side closes.
//!
//! ```text
//! idle ──first byte──► head ──► framing ──► decide ──► act ──► answer ──► idle
//!   └─75 s: close        └─10 s: 408; refused: answer, close          └─body left: drain a little, close
//! ```
//!
//! Must stay true: what follows a body that was not read to its end is never parsed as a request.
//!
//! Next on the way of an upload: [`control::decide`](crate::control::decide), then the file of the act that was granted, for
//! PATCH [`transfer::append`](crate::transfer::append).

use std::rc::Rc;
use std::time::Duration;

use etransfer_contract::counters::{RequestKind, RequestOutcome};
use etransfer_contract::grant::Act;

use crate::body::{Body, Fill};
use crate::bounds::{DRAIN_BYTES_MAX, DRAIN_WAIT, HEAD_FREE_BYTES, LINGER_BYTES_MAX, LINGER_WAIT, TRAILER_BYTES_MAX};
use crate::control::decide::{Client, Decided, decide};
use crate::control::live_grant::LiveGrant;
use crate::core::Core;
use crate::driver::Buf;
use crate::http::{Framing, Head, HeadLimits, HeadScan, Method, Reject, Reply};
use crate::limits::undecided::MemoryShare;
use crate::transfer::over_limit::refuse;
use crate::transfer::{Answered, append, concat, relay, remove, serve, state, step};
use crate::wire::{Wire, WireError};

/// One client.
pub struct Connection {
    core: Rc<Core>,
    wire: Wire,
    client: Client,
    /// Memory of the request until it is decided.
    share: MemoryShare,
}

/// Whether the next request is read.
#[derive(PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

impl Connection {
    /// Takes over an accepted socket.
    pub fn new(core: Rc<Core>, wire: Wire, client: Client) -> Self {
        let share = core.shared.undecided.share();
        Self { core, wire, client, share }
    }

    /// Serves requests until the end.
    pub async fn run(mut self) {
        while !self.core.is_stopping() {
            let head = match self.next_head().await {
                Ok(Some(head)) => head,
                Ok(None) => return,
                Err(reject) => {
                    let outcome = RequestOutcome::of_status(reject.verdict().status);
                    self.core.counters.update(|core| core.requests.count(RequestKind::None, outcome));
                    let _ = self.answer(Reply::reject(reject), Method::Get, false).await;
                    return self.linger().await;
                }
            };
            let active = self.core.enter();
            // Boxed: an idle connection must not carry the size of the largest request.
            let next = Box::pin(self.request(head)).await;
            self.share.release();
            drop(active);
            if next == Next::Close {
                return;
            }
        }
    }

    /// The next request head; `None` when the connection ends without a request.
    async fn next_head(&mut self) -> Result<Option<Head>, Reject> {
        let limits = &self.core.shared.config.limits;
        let head_limits = HeadLimits::default();
        if self.wire.ahead().is_empty() && self.wire.more(limits.keep_alive_timeout).await.is_err() {
            return Ok(None);
        }
        let deadline = self.core.io.now() + limits.head_timeout;
        let mut scan = HeadScan::default();
        loop {
            if let Some((head, consumed)) = Head::parse_on(&mut scan, self.wire.ahead(), &head_limits)? {
                self.wire.consume(consumed);
                return Ok(Some(head));
            }
            if self.wire.ahead().len() > HEAD_FREE_BYTES {
                self.share.hold(self.wire.ahead().len())?;
            }
            let left = deadline.saturating_duration_since(self.core.io.now());
            if left.is_zero() {
                return Err(Reject::HeadLate);
            }
            match self.wire.more(left).await {
                Ok(_) => {}
                Err(WireError::Late) => return Err(Reject::HeadLate),
                Err(WireError::Closed | WireError::Io(_)) => return Ok(None),
            }
        }
    }

    async fn request(&mut self, head: Head) -> Next {
        if let Some(tally) = &self.wire.tally {
            tally.asked(self.core.io.now());
        }
        let mut body = Body::of_client(head.framing(), &self.core.shared.config.limits);
        let keep_alive = head.keep_alive() && !self.core.is_stopping();
        let (kind, answered) = match head.objection() {
            Some(reject) => (RequestKind::None, Answered::Reply(Reply::reject(reject))),
            None if self.hold_trailers(head.framing()).is_err() => {
                (RequestKind::None, Answered::Reply(Reply::reject(Reject::Crowded)))
            }
            None if self.has_unwanted_body(&head, &mut body).await => {
                (RequestKind::None, Answered::Reply(Reply::reject(Reject::BodyUnwanted)))
            }
            None => self.act(&head, &mut body, keep_alive).await,
        };
        let (outcome, usable) = match answered {
            Answered::Cut => (RequestOutcome::Cut, None),
            Answered::Sent(status) => (RequestOutcome::of_status(status), Some(keep_alive && body.is_drainable(&head))),
            Answered::Reply(reply) => {
                let usable = keep_alive && !reply.must_close() && body.is_drainable(&head);
                let status = reply.status();
                match self.answer(reply, head.method(), usable).await {
                    Ok(()) => (RequestOutcome::of_status(status), Some(usable)),
                    Err(_) => (RequestOutcome::Cut, None),
                }
            }
        };
        self.core.counters.update(|core| core.requests.count(kind, outcome));
        let Some(usable) = usable else { return Next::Close };
        if usable && self.drain(&mut body, DRAIN_WAIT).await {
            return Next::Request;
        }
        self.linger().await;
        Next::Close
    }

    async fn act(&mut self, head: &Head, body: &mut Body, keep_alive: bool) -> (RequestKind, Answered) {
        let core = Rc::clone(&self.core);
        let core = &*core;
        match decide(core, head, &self.client).await {
            Decided::Away => (RequestKind::None, Answered::Reply(relay::away())),
            Decided::Answer(reply) => {
                let keep_alive = keep_alive && body.is_drainable(head);
                (RequestKind::Relay, relay::relay(core, &mut self.wire, head, *reply, keep_alive).await)
            }
            Decided::Grant(grant) => {
                let (wire, share) = (&mut self.wire, &mut self.share);
                if !matches!(&grant.act, Act::Forward { .. } | Act::Step(_)) {
                    share.release();
                }
                let live_grant = LiveGrant::new(core, head, &self.client, &grant);
                let _under_way = core.shared.transfers.enter(self.client.local.ip(), &grant.act);
                let counted = grant.enter();
                let answered = match &grant.act {
                    _ if let Err(too_many) = &counted => refuse(core, &grant, too_many).await,
                    Act::Append(permit) => append::append(&live_grant, wire, body, permit).await,
                    Act::State(permit) => state::state(core, head, permit).await,
                    Act::Serve(permit) => serve::serve(&live_grant, wire, permit, keep_alive).await,
                    Act::Remove(permit) => remove::remove(core, permit).await,
                    Act::Concat(permit) => concat::concat(core, &grant, permit).await,
                    Act::Forward { bytes_max } => {
                        let request = relay::ClientRequest { wire, head, body, client: &self.client, share };
                        relay::forward(core, request, *bytes_max, keep_alive).await
                    }
                    Act::Step(_) => {
                        let request = relay::ClientRequest { wire, head, body, client: &self.client, share };
                        step::steps(core, request, Rc::clone(&grant), keep_alive).await
                    }
                };
                let answered = match answered {
                    Answered::Reply(reply) => Answered::Reply(reply.fields(&grant.headers)),
                    sent @ (Answered::Sent(_) | Answered::Cut) => sent,
                };
                (kind(&grant.act), answered)
            }
        }
    }

    async fn answer(&mut self, reply: Reply, method: Method, keep_alive: bool) -> Result<(), WireError> {
        let bytes = reply.bytes(keep_alive, method == Method::Head, self.core.io.unix_time());
        self.wire.answer(Buf::from(bytes), false, &mut self.core.uptake()).await.1
    }

    /// A chunked body may bring trailers, and they are kept until it ends.
    fn hold_trailers(&mut self, framing: Framing) -> Result<(), Reject> {
        match framing {
            Framing::Chunked => self.share.add(TRAILER_BYTES_MAX),
            Framing::None | Framing::Length(_) => Ok(()),
        }
    }

    /// Discards the rest of a small body; `false` when it is not small or does not arrive within `limit`.
    async fn drain(&mut self, body: &mut Body, limit: Duration) -> bool {
        let deadline = self.core.io.now() + limit;
        let most = body.taken() + DRAIN_BYTES_MAX;
        while !body.is_done() {
            let want = 8 * 1024;
            let left = deadline.saturating_duration_since(self.core.io.now());
            let (_, fill, _) = body.fill(&mut self.wire, Buf::heap(want), 0..want, left).await;
            let is_late = matches!(fill, Ok(Fill::Tick)) && self.core.io.now() >= deadline;
            if fill.is_err() || is_late || body.taken() > most {
                return false;
            }
        }
        true
    }

    /// For methods that take no body: discards a small one, in the time that a head has. `true`: the body is not small, so the
    /// request is refused.
    async fn has_unwanted_body(&mut self, head: &Head, body: &mut Body) -> bool {
        let takes_none = matches!(head.method(), Method::Get | Method::Head | Method::Delete | Method::Options);
        if !takes_none || body.is_done() || head.expects_continue() {
            return false;
        }
        let limit = self.core.shared.config.limits.head_timeout;
        body.remaining().is_some_and(|bytes| bytes > DRAIN_BYTES_MAX) || !self.drain(body, limit).await
    }

    /// Half-closes and reads on for a moment, so that the client can read an answer although its request was not read whole.
    async fn linger(&mut self) {
        if rustix::net::shutdown(&*self.wire.socket, rustix::net::Shutdown::Write).is_err() {
            return;
        }
        let deadline = self.core.io.now() + LINGER_WAIT;
        let mut bytes = 0;
        while bytes < LINGER_BYTES_MAX {
            let left = deadline.saturating_duration_since(self.core.io.now());
            if left.is_zero() {
                return;
            }
            let ahead = self.wire.ahead().len();
            self.wire.consume(ahead);
            match self.wire.more(left).await {
                Ok(more) => bytes += more as u64,
                Err(_) => return,
            }
        }
    }
}

/// What a request with this grant is counted as.
fn kind(act: &Act) -> RequestKind {
    match act {
        Act::Append(_) => RequestKind::Append,
        Act::State(_) => RequestKind::State,
        Act::Serve(_) => RequestKind::Serve,
        Act::Remove(_) => RequestKind::Remove,
        Act::Concat(_) => RequestKind::Concat,
        Act::Forward { .. } => RequestKind::Relay,
        Act::Step(_) => RequestKind::Append,
    }
}
