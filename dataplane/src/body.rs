//! A message body as it comes off a [`Wire`]: framing is removed here and nowhere else.
//!
//! Must stay true: after `Done` the next byte of the wire belongs to the next message; after an error the wire is never
//! parsed again. A body may turn into messages ([`Messages`]), each of which is then a body, and never back. The time a
//! client takes over its body is judged here ([`Pace`]), whoever reads it and whatever for; so is what it sends beside it:
//! chunk sizes, extensions, trailers and control frames are no bytes of a body.

use std::ops::Range;
use std::time::Duration;

use crate::config::Limits;
use crate::http::{Decoder, Framing, Reject, Step};
use crate::messages::Messages;
use crate::pace::{Pace, Verdict};
use crate::wire::{Wire, WireError};
use crate::world::{Buf, within};

/// From this many bytes left in a chunk or a frame, they are received straight into the caller's buffer.
pub const DIRECT_BYTES_MIN: u64 = 16 * 1024;

/// What is left of one message body.
pub struct Body {
    state: State,
    /// Body bytes handed out so far.
    taken: u64,
    trailers: Vec<(String, Vec<u8>)>,
    /// Nobody judges the other plane.
    pace: Option<Pace>,
}

enum State {
    Done,
    Length(u64),
    Chunked(Box<Decoder>),
    /// Each message is a body; there is no other end than that of the connection.
    Messages(Box<Messages>),
}

/// How one [`Body::fill`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// The buffer is full; more may follow.
    Full,
    /// The tick passed first, perhaps without a byte: look around, then go on.
    Tick,
    /// The body is complete.
    Done,
}

/// The body can not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection failed or ended inside the body.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The framing is broken.
    #[error("broken framing")]
    Framing(Reject),
    /// It comes too slowly (T-PAT-13).
    #[error("the body comes too slowly")]
    Slow,
    /// A form ends inside a part.
    #[error("the form ends inside a part")]
    Form,
}

impl Body {
    /// The body of a client's request.
    pub fn of_client(framing: Framing, limits: &Limits) -> Self {
        Self { pace: Some(Pace::new(limits.body_idle_timeout, limits.body_rate_min)), ..Self::new(framing) }
    }

    /// The body announced by a head.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunked => State::Chunked(Box::default()),
        };
        Self { state, taken: 0, trailers: Vec::new(), pace: None }
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

    /// Bytes still to come; `None` when the sender has not said.
    pub fn remaining(&self) -> Option<u64> {
        match &self.state {
            State::Done => Some(0),
            State::Length(bytes) => Some(*bytes),
            State::Chunked(_) => None,
            State::Messages(messages) => messages.remaining(),
        }
    }

    /// Body bytes handed out so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The sender can not complete this body any more: the connection is broken, or its side of it has ended and what came
    /// before the end is not enough. Looks without reading; a chunked body does not say how much is enough.
    pub fn is_lost(&self, wire: &Wire) -> bool {
        let ended = || self.remaining().zip(wire.last_bytes()).is_some_and(|(missing, last)| last < missing);
        wire.is_broken() || ended()
    }

    /// Fills `at` of `buf`: how many bytes came, and why it ended. On an error the bytes that came before it count.
    pub async fn fill(
        &mut self,
        wire: &mut Wire,
        buf: Buf,
        at: Range<usize>,
        tick: Duration,
    ) -> (usize, Result<Fill, BodyError>, Buf) {
        let tick = self.pace.as_ref().map_or(tick, |pace| pace.left().min(tick));
        let since = wire.io.now();
        let (bytes, end, buf) = match &mut self.state {
            State::Done => (0, Ok(Fill::Done), buf),
            State::Length(left) => fill_counted(left, wire, buf, at, tick).await,
            State::Chunked(decoder) => fill_chunked(decoder, wire, buf, at, tick).await,
            State::Messages(messages) => messages.fill(wire, buf, at, tick).await,
        };
        self.taken += bytes as u64;
        let end = self.end(end);
        let waited = wire.io.now() - since;
        let verdict = self.pace.as_mut().map(|pace| pace.count(waited, bytes as u64));
        match (verdict, end) {
            (Some(Verdict::Slow), Ok(Fill::Tick | Fill::Full)) => (bytes, Err(BodyError::Slow), buf),
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

/// How many bytes came, why it ended, and the buffer.
pub type Filled = (usize, Result<Fill, BodyError>, Buf);

async fn fill_counted(left: &mut u64, wire: &mut Wire, mut buf: Buf, at: Range<usize>, tick: Duration) -> Filled {
    let room = at.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    let ahead = wire.drain_into(&mut buf[at.start..at.start + room]);
    let mut bytes = ahead;
    let mut end = Ok(());
    if ahead < room {
        let (got, late);
        (got, late, buf) = receive(wire, buf, at.start + ahead..at.start + room, tick).await;
        match got {
            Ok(0) if late => end = Err(Fill::Tick),
            Ok(0) => return (bytes, Err(WireError::Closed.into()), buf),
            Ok(got) => {
                bytes += got;
                if bytes < room {
                    end = Err(Fill::Tick);
                }
            }
            Err(error) => return (bytes, Err(WireError::Io(error).into()), buf),
        }
    }
    *left -= bytes as u64;
    let fill = match end {
        Err(tick) => tick,
        Ok(()) if *left == 0 => Fill::Done,
        Ok(()) => Fill::Full,
    };
    (bytes, Ok(fill), buf)
}

/// One receive of the whole range, cut short by the tick. Fewer bytes than asked without a tick: the next call will see
/// the end of the stream, so it is told as a tick here.
pub async fn receive(wire: &Wire, buf: Buf, at: Range<usize>, tick: Duration) -> (std::io::Result<usize>, bool, Buf) {
    let ((got, buf), late) = within(&wire.io, tick, wire.io.recv_all(&wire.socket, buf, at)).await;
    match got {
        Err(_) if late => (Ok(0), true, buf),
        got => (got, late, buf),
    }
}

async fn fill_chunked(
    decoder: &mut Decoder,
    wire: &mut Wire,
    mut buf: Buf,
    at: Range<usize>,
    tick: Duration,
) -> Filled {
    // One tick for all of it: else a byte within each would keep the buffer.
    let deadline = wire.io.now() + tick;
    let mut bytes = 0;
    loop {
        let room = at.len() - bytes;
        let spot = at.start + bytes;
        if room == 0 {
            return (bytes, Ok(Fill::Full), buf);
        }
        let direct = decoder.remaining_in_chunk().min(room as u64);
        if wire.ahead().is_empty() && direct >= DIRECT_BYTES_MIN {
            let (got, late);
            let left = deadline.saturating_duration_since(wire.io.now());
            (got, late, buf) = receive(wire, buf, spot..spot + direct as usize, left).await;
            match got {
                Ok(0) if late => return (bytes, Ok(Fill::Tick), buf),
                Ok(0) => return (bytes, Err(WireError::Closed.into()), buf),
                Ok(got) => {
                    decoder.advance(got as u64);
                    bytes += got;
                }
                Err(error) => return (bytes, Err(WireError::Io(error).into()), buf),
            }
            continue;
        }
        let ahead = wire.ahead();
        match decoder.step_within(ahead, room) {
            Ok(Step::Data { consumed, data }) => {
                buf[spot..spot + data.len()].copy_from_slice(&wire.ahead()[data.clone()]);
                bytes += data.len();
                wire.consume(consumed);
            }
            Ok(Step::Done { consumed }) => {
                wire.consume(consumed);
                return (bytes, Ok(Fill::Done), buf);
            }
            Ok(Step::NeedMore { consumed }) => {
                wire.consume(consumed);
                let left = deadline.saturating_duration_since(wire.io.now());
                if left.is_zero() {
                    return (bytes, Ok(Fill::Tick), buf);
                }
                match wire.more(left).await {
                    Ok(_) => {}
                    Err(WireError::Late) => return (bytes, Ok(Fill::Tick), buf),
                    Err(error) => return (bytes, Err(error.into()), buf),
                }
            }
            Err(reject) => return (bytes, Err(BodyError::Framing(reject)), buf),
        }
    }
}
