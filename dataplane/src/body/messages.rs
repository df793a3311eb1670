//! The messages of a WebSocket as they come off a [`Wire`]; pings are answered on the way.
//!
//! Must stay true: content is unmasked in the buffer it was received into; a client that sends a close frame or
//! breaks the protocol reads as one that closed, and the close frame to answer it with waits in [`Messages::take_farewell`]; no flood of
//! control frames or empty fragments keeps a reader longer than its tick.

use std::ops::Range;
use std::time::Duration;

use super::pull::{DIRECT_BYTES_MIN, Fill, Filled, receive};
use super::websocket::{self, FrameStep, MessageKind, Reader, Violation};
use crate::bounds::PONG_WAIT;
use crate::driver::Buf;
use crate::wire::{Wire, WireError};

/// The messages of one client.
#[derive(Debug, Default)]
pub struct Messages {
    reader: Reader,
    farewell: Option<Vec<u8>>,
}

/// What stands next.
enum Next {
    Begin(MessageKind),
    Content(usize),
    /// A control frame or an empty fragment, which was handled.
    Handled,
    NeedMore,
}

impl Messages {
    /// No message is under way: the last byte of the last one was handed out.
    pub fn is_between(&self) -> bool {
        self.reader.is_between()
    }

    /// Bytes of the message still to come; `None` while it may go on in another frame.
    pub fn remaining(&self) -> Option<u64> {
        self.reader.remaining()
    }

    /// The close frame that the client is owed, after it sent one or broke the protocol.
    pub fn take_farewell(&mut self) -> Option<Vec<u8>> {
        self.farewell.take()
    }

    /// Ends the conversation with a close frame.
    pub fn refuse(&mut self, violation: Violation) {
        self.farewell = Some(websocket::close(violation.code(), &violation.to_string()));
    }

    /// Waits for the next message to begin, when none is under way; control frames do not lengthen the wait.
    pub async fn next(&mut self, wire: &mut Wire, limit: Duration) -> Result<MessageKind, WireError> {
        let deadline = wire.io.now() + limit;
        loop {
            let left = deadline.saturating_duration_since(wire.io.now());
            if left.is_zero() {
                return Err(WireError::Late);
            }
            match self.look(wire).await? {
                Next::Begin(kind) => return Ok(kind),
                Next::Content(_) => unreachable!("no message is under way"),
                Next::Handled => {}
                Next::NeedMore => {
                    wire.more(left).await?;
                }
            }
        }
    }

    /// As [`Body::fill`](super::Body::fill), for one message.
    pub async fn fill(&mut self, wire: &mut Wire, mut buf: Buf, at: Range<usize>, tick: Duration) -> Filled {
        let deadline = wire.io.now() + tick;
        let mut bytes = 0;
        loop {
            if self.reader.end_message() {
                return (bytes, Ok(Fill::Done), buf);
            }
            let (spot, room) = (at.start + bytes, at.len() - bytes);
            if room == 0 {
                return (bytes, Ok(Fill::Full), buf);
            }
            let left = deadline.saturating_duration_since(wire.io.now());
            if left.is_zero() {
                return (bytes, Ok(Fill::Tick), buf);
            }
            let direct = self.reader.remaining_in_frame().min(room as u64);
            if wire.ahead().is_empty() && direct >= DIRECT_BYTES_MIN {
                let (got, late);
                (got, late, buf) = receive(wire, buf, spot..spot + direct as usize, left).await;
                match got {
                    Ok(0) if late => return (bytes, Ok(Fill::Tick), buf),
                    Ok(0) => return (bytes, Err(WireError::Closed.into()), buf),
                    Ok(got) => {
                        self.reader.take(&mut buf[spot..spot + got]);
                        bytes += got;
                    }
                    Err(error) => return (bytes, Err(WireError::Io(error).into()), buf),
                }
                continue;
            }
            let done = match self.look(wire).await {
                Ok(Next::Content(ahead)) => {
                    let content = &mut buf[spot..spot + ahead.min(room)];
                    wire.drain_into(content);
                    self.reader.take(content);
                    bytes += content.len();
                    continue;
                }
                Ok(Next::Begin(_)) => unreachable!("a message is under way"),
                Ok(Next::Handled) => continue,
                Ok(Next::NeedMore) => match wire.more(left).await {
                    Ok(_) => continue,
                    Err(WireError::Late) => Ok(Fill::Tick),
                    Err(error) => Err(error.into()),
                },
                Err(error) => Err(error.into()),
            };
            return (bytes, done, buf);
        }
    }

    /// What comes next in the read-ahead; handles control frames.
    async fn look(&mut self, wire: &mut Wire) -> Result<Next, WireError> {
        match self.reader.step(wire.ahead()) {
            Ok(FrameStep::Begin { consumed, kind }) => {
                wire.consume(consumed);
                Ok(Next::Begin(kind))
            }
            Ok(FrameStep::Content(bytes)) => Ok(Next::Content(bytes)),
            Ok(FrameStep::NeedMore) => Ok(Next::NeedMore),
            Ok(FrameStep::Fragment { consumed } | FrameStep::Pong { consumed }) => {
                wire.consume(consumed);
                Ok(Next::Handled)
            }
            Ok(FrameStep::Ping { consumed, payload }) => {
                wire.consume(consumed);
                wire.send(websocket::pong(&payload), false, PONG_WAIT).await?;
                Ok(Next::Handled)
            }
            Ok(FrameStep::Close(code)) => {
                self.farewell = Some(websocket::close_back(code));
                Err(WireError::Closed)
            }
            Err(violation) => {
                self.refuse(violation);
                Err(WireError::Closed)
            }
        }
    }
}
