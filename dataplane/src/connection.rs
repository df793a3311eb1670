//! One client connection: read a head, decide, act, answer; again, until either side has enough.
//!
//! ```text
//! idle ──first byte──► head ──► framing ──► decide ──► act ──► answer ──► idle
//!   └─75 s: close        └─10 s: 408; refused: answer, close          └─body left: drain a little, close
//! ```
//!
//! Must stay true: what follows a body that was not read to its end is never parsed as a request.

use std::rc::Rc;
use std::time::Duration;

use etransfer_contract::counters::{Kind, Outcome};
use etransfer_contract::grant::Act;

use crate::act::{Answered, append, concat, relay, remove, serve, state, step};
use crate::body::{Body, Fill};
use crate::core::Core;
use crate::grants::{Asker, Decided, decide};
use crate::http::{Head, HeadLimits, HeadScan, Method, Reject, Reply};
use crate::permission::Permission;
use crate::wire::{Wire, WireError};
use crate::world::Buf;

/// A body that nobody wants is read away up to this, then the connection stays usable.
const DRAIN_KEEP_BYTES_MAX: u64 = 64 * 1024;
/// How long a connection that is about to close reads on, so that the client can read the answer.
const LINGER: Duration = Duration::from_secs(1);
/// What is read away while lingering.
const LINGER_BYTES_MAX: u64 = 64 << 20;

/// One client.
pub struct Connection {
    core: Rc<Core>,
    wire: Wire,
    asker: Asker,
}

/// Whether the next request is read.
#[derive(PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

impl Connection {
    /// Takes over an accepted socket.
    pub fn new(core: Rc<Core>, wire: Wire, asker: Asker) -> Self {
        Self { core, wire, asker }
    }

    /// Serves requests until the end.
    pub async fn run(mut self) {
        while !self.core.is_stopping() {
            let head = match self.next_head().await {
                Ok(Some(head)) => head,
                Ok(None) => return,
                Err(reject) => {
                    let outcome = Outcome::of_status(reject.verdict().status);
                    self.core.counters.update(|core| core.requests.count(Kind::None, outcome));
                    let _ = self.answer(Reply::reject(reject), Method::Get, false).await;
                    return self.linger().await;
                }
            };
            let active = self.core.enter();
            // Boxed: an idle connection must not carry the size of the largest request.
            let next = Box::pin(self.request(head)).await;
            drop(active);
            if next == Next::Close {
                return;
            }
        }
    }

    /// The next request head; `None` when the connection ends quietly.
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
            let left = deadline.saturating_duration_since(self.core.io.now());
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
        let mut body = Body::new(head.framing());
        let keep_alive = head.keep_alive() && !self.core.is_stopping();
        let (kind, answered) = match head.objection() {
            Some(reject) => (Kind::None, Answered::Reply(Reply::reject(reject))),
            None if self.has_unwanted_body(&head, &mut body).await => {
                (Kind::None, Answered::Reply(Reply::reject(Reject::BodyUnwanted)))
            }
            None => self.act(&head, &mut body, keep_alive).await,
        };
        let (outcome, usable) = match answered {
            Answered::Cut => (Outcome::Cut, None),
            Answered::Sent(status) => (Outcome::of_status(status), Some(keep_alive && is_drainable(&head, &body))),
            Answered::Reply(reply) => {
                let usable = keep_alive && !reply.must_close() && is_drainable(&head, &body);
                let status = reply.status();
                match self.answer(reply, head.method(), usable).await {
                    Ok(()) => (Outcome::of_status(status), Some(usable)),
                    Err(_) => (Outcome::Cut, None),
                }
            }
        };
        self.core.counters.update(|core| core.requests.count(kind, outcome));
        let Some(usable) = usable else { return Next::Close };
        if usable && self.drain(&mut body).await {
            return Next::Request;
        }
        self.linger().await;
        Next::Close
    }

    async fn act(&mut self, head: &Head, body: &mut Body, keep_alive: bool) -> (Kind, Answered) {
        let core = Rc::clone(&self.core);
        let core = &*core;
        match decide(core, head, &self.asker).await {
            Decided::Away => (Kind::None, Answered::Reply(relay::away())),
            Decided::Answer(reply) => {
                let keep_alive = keep_alive && is_drainable(head, body);
                (Kind::Relay, relay::relay(core, &mut self.wire, head, *reply, keep_alive).await)
            }
            Decided::Grant(grant) => {
                let wire = &mut self.wire;
                let permission = Permission::new(core, head, &self.asker, &grant);
                let _under_way = core.shared.transfers.enter(self.asker.local.ip(), &grant.act);
                let answered = match &grant.act {
                    Act::Append(permit) => append::append(&permission, wire, body, permit).await,
                    Act::State(permit) => state::state(core, head, permit).await,
                    Act::Serve(permit) => serve::serve(&permission, wire, permit, keep_alive).await,
                    Act::Remove(permit) => remove::remove(core, permit).await,
                    Act::Concat(permit) => concat::concat(core, &grant, permit).await,
                    Act::Forward { bytes_max } => {
                        relay::forward(core, wire, head, body, &self.asker, *bytes_max, keep_alive).await
                    }
                    Act::Step(_) => {
                        step::steps(core, wire, head, body, &self.asker, Rc::clone(&grant), keep_alive).await
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
        let bytes = reply.bytes(keep_alive, method == Method::Head);
        self.wire.send(bytes, false, self.core.shared.config.limits.body_idle_timeout).await
    }

    /// Reads the rest of a small body away; `false` when it is not small or does not come.
    async fn drain(&mut self, body: &mut Body) -> bool {
        let most = body.taken() + DRAIN_KEEP_BYTES_MAX;
        while !body.is_done() {
            let want = 8 * 1024;
            let (_, fill, _) = body.fill(&mut self.wire, Buf::heap(want), 0..want, LINGER).await;
            if !matches!(fill, Ok(Fill::Full | Fill::Done)) || body.taken() > most {
                return false;
            }
        }
        true
    }

    /// Methods whose routes never take a body: a small one is read away first, a larger one refuses the request.
    async fn has_unwanted_body(&mut self, head: &Head, body: &mut Body) -> bool {
        let takes_none = matches!(head.method(), Method::Get | Method::Head | Method::Delete | Method::Options);
        if !takes_none || body.is_done() || head.expects_continue() {
            return false;
        }
        body.remaining().is_some_and(|bytes| bytes > DRAIN_KEEP_BYTES_MAX) || !self.drain(body).await
    }

    /// Half-closes and reads on for a moment: an answer must be readable although its request was not read whole.
    async fn linger(&mut self) {
        if rustix::net::shutdown(&*self.wire.socket, rustix::net::Shutdown::Write).is_err() {
            return;
        }
        let deadline = self.core.io.now() + LINGER;
        let mut bytes = 0;
        while bytes < LINGER_BYTES_MAX {
            let left = deadline.saturating_duration_since(self.core.io.now());
            let ahead = self.wire.ahead().len();
            self.wire.consume(ahead);
            match self.wire.more(left).await {
                Ok(more) => bytes += more as u64,
                Err(_) => return,
            }
        }
    }
}

/// What a request with this permission is counted as.
fn kind(act: &Act) -> Kind {
    match act {
        Act::Append(_) => Kind::Append,
        Act::State(_) => Kind::State,
        Act::Serve(_) => Kind::Serve,
        Act::Remove(_) => Kind::Remove,
        Act::Concat(_) => Kind::Concat,
        Act::Forward { .. } => Kind::Relay,
        Act::Step(_) => Kind::Append,
    }
}

/// Whether what is left of the body can be read away so that the connection stays usable (reliability.md §4: answer at
/// once, drain a little, else close). A client that waits for `100 Continue` may send the body or not: nobody knows.
pub fn is_drainable(head: &Head, body: &Body) -> bool {
    let waits = head.expects_continue() && body.taken() == 0;
    // A WebSocket never becomes HTTP again.
    !body.is_socket()
        && (body.is_done() || (!waits && body.remaining().is_some_and(|bytes| bytes <= DRAIN_KEEP_BYTES_MAX)))
}
