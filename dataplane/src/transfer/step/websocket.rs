//! A conversation over a WebSocket: the upgrade, one message after the other, the end.
//!
//! Must stay true: after the 101 nothing but frames is sent, and the connection ends with them; the node may stop while it
//! waits for the client.

use std::pin::pin;

use etransfer_contract::Grant;
use etransfer_contract::step::{Close, CloseCode, Failure, Message, StepReport, WebSocketStep};
use futures_util::future::{Either, select};

use super::{StepResult, StepRunner, StepsEnd};
use crate::body::websocket::{self, MessageKind, Violation};
use crate::http::Reply;
use crate::transfer::Answered;
use crate::wire::WireError;

/// Sends a message and reads the next one; the first call upgrades the connection.
pub async fn exchange(runner: &mut StepRunner<'_, '_>, grant: &Grant, wanted: &WebSocketStep) -> StepResult {
    if runner.content.messages().is_none() {
        let Some(accept) = websocket::accept(runner.head) else { return Ok(StepReport::Failed(Failure::NoUpgrade)) };
        let reply = Reply::new(101).field("Sec-WebSocket-Accept", accept).fields(&grant.headers).upgrade();
        runner.send(reply.head_bytes(true, runner.core.io.unix_time())).await?;
        runner.content.begin_messages();
    }
    if let Some(text) = &wanted.say {
        runner.send(websocket::text(text)).await?;
    }
    let core = runner.core;
    let stop = core.shared.stop_event.listen();
    if core.is_stopping() {
        return Err(Answered::Cut);
    }
    // What a stop drops is a receive, or a pong to a client that reads nothing.
    match select(stop, pin!(hear(runner, wanted.text_bytes_max.into()))).await {
        Either::Left(_) => Err(Answered::Cut),
        Either::Right((did, _)) => did,
    }
}

/// The next message: a text whole, of anything else the beginning.
async fn hear(runner: &mut StepRunner<'_, '_>, text_bytes_max: usize) -> StepResult {
    if let Err(ended) = runner.skip().await {
        return ended.result();
    }
    if runner.next_message().await? == MessageKind::Binary {
        return Ok(StepReport::Message(Message::Binary { bytes: runner.content.remaining() }));
    }
    // One byte more than allowed is enough to know.
    let text = match runner.take(text_bytes_max + 1).await {
        Ok(text) => text,
        Err(ended) => return ended.result(),
    };
    if text.len() > text_bytes_max {
        return Ok(StepReport::Failed(Failure::FieldTooLong));
    }
    String::from_utf8(text)
        .map(|text| StepReport::Message(Message::Text(text)))
        .map_err(|_| runner.refuse(Violation::NotUtf8))
}

/// Sends the close frame that the client is owed. The connection cannot be used afterwards.
pub async fn close(runner: &mut StepRunner<'_, '_>, ended: Result<StepsEnd, Answered>) -> Answered {
    let owed = runner.content.messages().and_then(|messages| messages.take_farewell());
    let Some(farewell) = owed.or_else(|| farewell(ended, runner.core.is_stopping())) else { return Answered::Cut };
    runner.send(farewell).await.map_or(Answered::Cut, |()| Answered::Sent(101))
}

/// The close frame for an end of the steps; `None`: the client is gone.
fn farewell(ended: Result<StepsEnd, Answered>, is_stopping: bool) -> Option<Vec<u8>> {
    let status = match ended {
        Ok(StepsEnd::Close(Close { code, reason })) => return Some(websocket::close(code, &reason)),
        _ if is_stopping => return Some(websocket::close(CloseCode::GoingAway, "this server stops")),
        Err(Answered::Cut | Answered::Sent(_)) => return None,
        Err(Answered::Reply(reply)) => reply.status(),
        // A WebSocket client cannot receive an HTTP answer.
        Ok(StepsEnd::Answer(_) | StepsEnd::Serve(_)) => 500,
    };
    Some(match status {
        408 => websocket::close(CloseCode::GoingAway, "nothing came in time"),
        503 => websocket::close(CloseCode::TryAgain, "no decision can be made now; try again"),
        _ => websocket::close(CloseCode::Internal, "internal server error; see the server log"),
    })
}

impl StepRunner<'_, '_> {
    async fn send(&self, bytes: Vec<u8>) -> Result<(), Answered> {
        let limit = self.core.shared.config.limits.body_idle_timeout;
        self.wire.send(bytes, false, limit).await.map_err(|_| Answered::Cut)
    }

    /// A message that begins within the time a connection may idle.
    async fn next_message(&mut self) -> Result<MessageKind, Answered> {
        let limit = self.core.shared.config.limits.keep_alive_timeout;
        let messages = self.content.messages().expect("it became a WebSocket before");
        messages.next(self.wire, limit).await.map_err(|error| match error {
            WireError::Late => Answered::Reply(Reply::detail(408, "no message came in time")),
            WireError::Closed | WireError::Io(_) => Answered::Cut,
        })
    }

    fn refuse(&mut self, violation: Violation) -> Answered {
        if let Some(messages) = self.content.messages() {
            messages.refuse(violation);
        }
        Answered::Cut
    }
}
