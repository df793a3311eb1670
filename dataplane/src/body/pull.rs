//! What every framing has in common: how one pull ends, and one receive from the socket into the caller's buffer.

use std::ops::Range;
use std::time::Duration;

use crate::driver::{Buf, within};
use crate::http::Reject;
use crate::wire::{Wire, WireError};

/// From this many bytes left in a chunk or a frame, they are received straight into the caller's buffer.
pub const DIRECT_BYTES_MIN: u64 = 16 * 1024;

/// How one [`Body::fill`](super::Body::fill) ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// The buffer is full; more may follow.
    Full,
    /// The tick passed first, perhaps without a byte: look around, then go on.
    Tick,
    /// The body is complete.
    Done,
}

/// The body cannot be read to its end.
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

/// How many bytes came, why it ended, and the buffer.
pub type Filled = (usize, Result<Fill, BodyError>, Buf);

/// One receive of the whole range, cut short by the tick. Fewer bytes than the range without a tick: the next call will see
/// the end of the stream, so this one counts as a tick.
pub async fn receive(wire: &Wire, buf: Buf, at: Range<usize>, tick: Duration) -> (std::io::Result<usize>, bool, Buf) {
    let ((got, buf), late) = within(&wire.io, tick, wire.io.recv_all(&wire.socket, buf, at)).await;
    match got {
        Err(_) if late => (Ok(0), true, buf),
        got => (got, late, buf),
    }
}
