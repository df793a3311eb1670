//! The body of a request or of an answer: framing is removed here and nowhere else.
//!
//! Everything that reads a body pulls: [`Content::fill`] hands out the next bytes of the content, in the caller's buffer.
//!
//! ```text
//!   Content (form)          the whole body, or one part of a form (RFC 7578), with what was read ahead of it
//!      │
//!   Body (this file)        one pull interface, and the judgement of a slow sender
//!      ├── identity         a length was announced
//!      ├── chunked          chunks and trailers
//!      └── messages         one WebSocket message after the other, over websocket (pure framing)
//! ```
//!
//! `pull` has what they share. A prefix that a step wants is pulled like any other content.
//!
//! Next on the way of an upload: what is pulled here goes to [`data_file`](crate::transfer::data_file).
//!
//! Must stay true: after [`Fill::Done`] the next byte of the wire belongs to the next message; after an error the wire is
//! never parsed again. A body may turn into messages, each of which is then a body, and never back. The time that a client
//! takes for its body is judged here ([`StallDetector`]), whatever the body is read for; so is what it sends beside the
//! content: chunk sizes, extensions, trailers and control frames count as no bytes.

mod chunked;
mod form;
mod identity;
mod messages;
mod pull;
pub mod websocket;

use std::ops::Range;
use std::time::Duration;

pub use self::form::Content;
pub use self::messages::Messages;
use self::pull::Filled;
pub use self::pull::{BodyError, Fill};
use crate::bounds::DRAIN_BYTES_MAX;
use crate::config::Limits;
use crate::driver::Buf;
use crate::http::{Decoder, Framing, Head};
use crate::limits::stall_detector::{StallDetector, StallVerdict};
use crate::wire::Wire;

/// What is left of one message body.
pub struct Body {
    state: State,
    /// Body bytes handed out so far.
    taken: u64,
    trailers: Vec<(String, Vec<u8>)>,
    /// Judges a client; the other plane is trusted.
    detector: Option<StallDetector>,
}

enum State {
    Done,
    Length(u64),
    Chunked(Box<Decoder>),
    /// Each message is a body; there is no other end than that of the connection.
    Messages(Box<Messages>),
}

impl Body {
    /// The body of a client's request.
    pub fn of_client(framing: Framing, limits: &Limits) -> Self {
        Self {
            detector: Some(StallDetector::new(limits.body_idle_timeout, limits.body_rate_min)),
            ..Self::new(framing)
        }
    }

    /// The body announced by a head.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunked => State::Chunked(Box::default()),
        };
        Self { state, taken: 0, trailers: Vec::new(), detector: None }
    }

    /// Nothing is left to read.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Done => true,
            State::Length(_) | State::Chunked(_) => false,
            State::Messages(messages) => messages.is_between(),
        }
    }

    /// From here on the connection is a WebSocket, and nothing else ever again.
    pub fn begin_messages(&mut self) {
        self.state = State::Messages(Box::default());
    }

    /// The messages of a WebSocket; `None`: it is none.
    pub fn messages(&mut self) -> Option<&mut Messages> {
        match &mut self.state {
            State::Messages(messages) => Some(messages),
            State::Done | State::Length(_) | State::Chunked(_) => None,
        }
    }

    /// The connection is a WebSocket.
    pub fn is_socket(&self) -> bool {
        matches!(self.state, State::Messages(_))
    }

    /// Bytes still to come; `None` when the sender has not announced them.
    pub fn remaining(&self) -> Option<u64> {
        match &self.state {
            State::Done => Some(0),
            State::Length(bytes) => Some(*bytes),
            State::Chunked(_) => None,
            State::Messages(messages) => messages.remaining(),
        }
    }

    /// Whether the rest of the body can be read away so that the connection stays usable (PROMISES.md §4: answer at once,
    /// drain a little, else close). A client that waits for `100 Continue` may or may not send its body, so its connection
    /// is closed. A WebSocket never becomes HTTP again.
    pub fn is_drainable(&self, head: &Head) -> bool {
        let waits = head.expects_continue() && self.taken == 0;
        let is_small = || !waits && self.remaining().is_some_and(|bytes| bytes <= DRAIN_BYTES_MAX);
        !self.is_socket() && (self.is_done() || is_small())
    }

    /// Body bytes handed out so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The sender cannot complete this body any more: the connection is broken, or its side of it has ended and what came
    /// before the end is not enough. Looks without reading; a chunked body does not say how much is enough.
    pub fn is_lost(&self, wire: &Wire) -> bool {
        let ended = || self.remaining().zip(wire.last_bytes()).is_some_and(|(missing, last)| last < missing);
        wire.is_broken() || ended()
    }

    /// Fills `at` of `buf`: how many bytes came, and why it ended. On an error the bytes that came before it count.
    pub async fn fill(&mut self, wire: &mut Wire, buf: Buf, at: Range<usize>, tick: Duration) -> Filled {
        let tick = self.detector.as_ref().map_or(tick, |detector| detector.left().min(tick));
        let since = wire.io.now();
        let (bytes, end, buf) = match &mut self.state {
            State::Done => (0, Ok(Fill::Done), buf),
            State::Length(left) => identity::fill(left, wire, buf, at, tick).await,
            State::Chunked(decoder) => chunked::fill(decoder, wire, buf, at, tick).await,
            State::Messages(messages) => messages.fill(wire, buf, at, tick).await,
        };
        self.taken += bytes as u64;
        let end = self.end(end);
        let waited = wire.io.now() - since;
        let verdict = self.detector.as_mut().map(|detector| detector.count(waited, bytes as u64));
        match (verdict, end) {
            (Some(StallVerdict::Slow), Ok(Fill::Tick | Fill::Full)) => (bytes, Err(BodyError::Slow), buf),
            (_, end) => (bytes, end, buf),
        }
    }

    /// The trailer fields of a chunked body; empty before its end.
    pub fn take_trailers(&mut self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.trailers)
    }

    fn end(&mut self, end: Result<Fill, BodyError>) -> Result<Fill, BodyError> {
        if matches!(end, Ok(Fill::Done))
            && !self.is_socket()
            && let State::Chunked(decoder) = std::mem::replace(&mut self.state, State::Done)
        {
            self.trailers = decoder.into_trailers();
        }
        end
    }
}
