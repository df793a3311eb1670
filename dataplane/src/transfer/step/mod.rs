//! Steps ([`etransfer_contract::step`]): execute one action, report its outcome, continue as the control plane answers.
//!
//! ```text
//! grant ──► step ──► outcome ──► grant ──► step ──► … ──► the control plane's own answer, relayed; or content, served
//! ```
//!
//! * [`form_fields`] what stands before the content, [`form`] the heads of its parts · [`receive`] content into an object
//! * [`websocket`] messages of a WebSocket, and its end
//! * [`stored`] digests of stored bytes, and completing an object · building out of pieces is [`super::compose`]
//!
//! Must stay true: space that was reserved for a step is settled after its outcome was answered, so the control plane has
//! the record of the bytes before the reservation ends; after a failure nothing of the step is stored.

mod form;
mod form_fields;
mod receive;
mod stored;
mod websocket;

use std::rc::Rc;
use std::sync::Arc;

use etransfer_contract::grant::{Act, Ticket};
use etransfer_contract::link;
use etransfer_contract::step::{Close, Digest, Failure, Outcome, Step, StepReport, What};
use etransfer_contract::{Grant, ObjectId};

use super::digest::Hasher;
use super::fault::{Doing, believe};
use super::stop::Stop;
use super::{Answered, compose, relay, serve};
use crate::body::{BodyError, Content};
use crate::bounds::{READ_AHEAD_CHARGE, STEPS_MAX};
use crate::control::decide::{Client, Decided, report_step};
use crate::control::live_grant::LiveGrant;
use crate::core::Core;
use crate::http::{Head, Reject, Reply};
use crate::limits::undecided::MemoryShare;
use crate::link::{ControlReply, Granted};
use crate::store::{LengthRefused, Object};
use crate::wire::Wire;

/// The result of a step: its report, or the end of the request.
type StepResult = Result<StepReport, Answered>;

/// Why a step did not reach its end.
enum Ended {
    Failed(Failure),
    Answered(Answered),
}

impl Ended {
    /// The result of the step.
    fn result(self) -> StepResult {
        match self {
            Self::Failed(failure) => Ok(StepReport::Failed(failure)),
            Self::Answered(answered) => Err(answered),
        }
    }
}

impl From<Reject> for Ended {
    fn from(reject: Reject) -> Self {
        Self::Answered(Answered::Reply(Reply::reject(reject)))
    }
}

impl From<BodyError> for Ended {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Form => Self::Failed(Failure::Malformed),
            BodyError::Framing(reject) => reject.into(),
            BodyError::Slow => Reject::BodyLate.into(),
            BodyError::Wire(_) => Self::Answered(Answered::Cut),
        }
    }
}

impl From<Stop> for Ended {
    fn from(stop: Stop) -> Self {
        match stop.failure() {
            Ok(failure) => Self::Failed(failure),
            Err(answered) => Self::Answered(answered),
        }
    }
}

/// How the steps of a request end.
enum StepsEnd {
    /// An answer of the control plane.
    Answer(Box<ControlReply>),
    /// Content, which the steps built.
    Serve(Rc<Granted>),
    /// The last frame of a WebSocket.
    Close(Close),
}

/// A request on its way through its steps.
struct StepRunner<'c, 'w> {
    core: &'c Core,
    head: &'c Head,
    client: &'c Client,
    wire: &'w mut Wire,
    content: Content<'w>,
    /// The client waits for `100 Continue`.
    awaits_continue: bool,
    /// Memory of what is being reported.
    share: &'w mut MemoryShare,
    /// The part of it that the head of the request holds.
    head_bytes: usize,
    /// Fields of forms so far.
    fields: usize,
    /// Space reserved for the last step, and how much of it is in use.
    promise: Option<(Ticket, u64)>,
}

/// Executes a step, and those that follow.
pub async fn steps(core: &Core, request: relay::ClientRequest<'_>, grant: Rc<Granted>, keep_alive: bool) -> Answered {
    let relay::ClientRequest { wire, head, body, client, share } = request;
    let content = Content::plain(body);
    let awaits_continue = head.expects_continue();
    let head_bytes = share.bytes();
    let mut runner =
        StepRunner { core, head, client, wire, content, awaits_continue, share, head_bytes, fields: 0, promise: None };
    let decided = runner.run(grant).await;
    runner.settle();
    runner.share.release();
    if runner.content.messages().is_some() {
        return websocket::close(&mut runner, decided).await;
    }
    let keep_alive = keep_alive && body.is_drainable(head);
    match decided {
        Ok(StepsEnd::Answer(reply)) => relay::relay(core, wire, head, *reply, keep_alive).await,
        Ok(StepsEnd::Serve(grant)) => {
            let Act::Serve(permit) = &grant.act else { unreachable!("`run` ends with nothing else") };
            let _under_way = core.shared.transfers.enter(client.local.ip(), &grant.act);
            serve::serve(&LiveGrant::new(core, head, client, &grant), wire, permit, keep_alive).await
        }
        Ok(StepsEnd::Close(_)) => Answered::Reply(failed("the control plane closed a WebSocket that is none")),
        Err(answered) => answered,
    }
}

impl StepRunner<'_, '_> {
    /// Executes steps until the answer, or an end without one.
    async fn run(&mut self, mut grant: Rc<Granted>) -> Result<StepsEnd, Answered> {
        let mut left = STEPS_MAX;
        while left > 0 {
            left -= 1;
            let step = match &grant.act {
                Act::Step(step) => step,
                Act::Serve(_) => return Ok(StepsEnd::Serve(grant)),
                Act::Append(_) | Act::State(_) | Act::Remove(_) | Act::Concat(_) | Act::Forward { .. } => {
                    let what = "the control plane answered an outcome with a grant that cannot follow a step";
                    return Err(Answered::Reply(failed(what)));
                }
            };
            if let What::Close(close) = &step.what {
                return Ok(StepsEnd::Close(close.clone()));
            }
            let report = self.step(&grant, step).await?;
            if matches!(report, StepReport::Message(_)) {
                left = STEPS_MAX;
            }
            let outcome = Outcome {
                version: link::VERSION,
                ticket: grant.ticket,
                continuation: step.continuation.clone(),
                report,
            };
            let decided = report_step(self.core, self.head, self.client, &outcome).await;
            drop(outcome);
            // Less than before: it never fails.
            let _kept = self.share.hold(self.head_bytes);
            self.settle();
            match decided {
                Decided::Grant(next) => grant = next,
                Decided::Answer(reply) => return Ok(StepsEnd::Answer(reply)),
                Decided::Away => return Err(Answered::Reply(relay::away())),
            }
        }
        Err(Answered::Reply(Reply::detail(413, "too many parts in one request")))
    }

    async fn step(&mut self, grant: &Grant, step: &Step) -> StepResult {
        match &step.what {
            What::FormFields(wanted) => {
                self.begin_reading()?;
                self.let_body_come().await?;
                form_fields::read(self, wanted).await
            }
            What::Receive(wanted) => {
                self.promise(grant, wanted.object, wanted.budget);
                self.head_bytes = 0;
                self.share.release();
                let _under_way =
                    self.core.shared.transfers.enter_step(self.client.local.ip(), self.content.remaining());
                let report = match receive::early(&self.content, wanted) {
                    Some(failure) => StepReport::Failed(failure),
                    None => {
                        self.let_body_come().await?;
                        let live_grant = LiveGrant::new(self.core, self.head, self.client, grant);
                        receive::receive(&live_grant, self.wire, &mut self.content, wanted).await?
                    }
                };
                if let (StepReport::Received { bytes, .. }, Some((_, stored))) = (&report, &mut self.promise) {
                    *stored = *bytes;
                }
                Ok(report)
            }
            What::DigestStored(wanted) => Ok(stored::digest_stored(self.core, wanted).await),
            What::Compose(wanted) => {
                self.promise(grant, wanted.object, wanted.budget);
                let digests = hashers(&wanted.digests);
                let report = match compose::compose(self.core, wanted.object, &wanted.pieces, digests).await {
                    Ok((bytes, digests)) => StepReport::Composed { bytes, digests: reported(&wanted.digests, digests) },
                    Err(failure) => StepReport::Failed(failure),
                };
                if let (StepReport::Composed { bytes, .. }, Some((_, stored))) = (&report, &mut self.promise) {
                    *stored = *bytes;
                }
                Ok(report)
            }
            What::Seal(wanted) => Ok(stored::seal(self.core, wanted).await),
            What::WebSocket(wanted) => {
                self.begin_reading()?;
                websocket::exchange(self, grant, wanted).await
            }
            What::Close(_) => unreachable!("`run` ends with it"),
        }
    }

    /// What follows is read into memory before it is decided.
    fn begin_reading(&mut self) -> Result<(), Answered> {
        self.share.add(READ_AHEAD_CHARGE).map_err(|crowded| Answered::Reply(Reply::reject(crowded)))
    }

    fn promise(&mut self, grant: &Grant, object: ObjectId, bytes: u64) {
        self.core.shared.budgets.open(grant.ticket, object, bytes);
        self.promise = Some((grant.ticket, 0));
    }

    /// Frees what was reserved and not used.
    fn settle(&mut self) {
        if let Some((ticket, stored)) = self.promise.take() {
            self.core.shared.budgets.settle(&self.core.shared.facts, ticket, stored);
        }
    }

    /// Sends `100 Continue`, once, to a client that waits for it.
    async fn let_body_come(&mut self) -> Result<(), Answered> {
        if !std::mem::take(&mut self.awaits_continue) {
            return Ok(());
        }
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
        let limit = self.core.shared.config.limits.body_idle_timeout;
        self.wire.send(interim, false, limit).await.map_err(|_| Answered::Cut)
    }
}

fn failed(what: &str) -> Reply {
    tracing::error!("{what}");
    Reply::detail(500, "internal server error; see the server log")
}

fn hashers(digests: &[Digest]) -> Vec<Hasher> {
    digests.iter().map(|digest| Hasher::of(*digest)).collect()
}

/// Digests as the outcome has them.
fn reported(wanted: &[Digest], hashers: Vec<Hasher>) -> Vec<(Digest, String)> {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    wanted.iter().copied().zip(hashers.into_iter().map(|hasher| hex(hasher.finish()))).collect()
}

/// Sets the length of an object whose bytes are all there.
async fn declare(core: &Core, object: &Arc<Object>, length: u64) -> Result<(), Failure> {
    if let Err(error) = core.writer.ready(1, false).await {
        return Err(believe(core, object, Doing::Journal, error).await.failure());
    }
    match object.declare_length(length, core.journal()) {
        Ok(()) => Ok(()),
        Err(LengthRefused::Removed) => Err(Failure::Gone),
        Err(LengthRefused::Journal(error)) => Err(believe(core, object, Doing::Journal, error).await.failure()),
        Err(refused @ (LengthRefused::Other { .. } | LengthRefused::Below { .. })) => {
            tracing::error!(object = %object.id(), %refused, "a step declares another length");
            Err(Failure::Disk)
        }
    }
}
