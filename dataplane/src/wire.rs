//! One socket, with what was read ahead of its consumer.
//!
//! Must stay true: bytes leave in the order they came; an empty inbox owns no memory, so an idle connection costs none.

use std::io;
use std::ops::Range;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::counters::Tally;
use crate::driver::outgoing::{Unacknowledged, unacknowledged};
use crate::driver::{Buf, Fd, Io, within};
use crate::limits::uptake::Uptake;

/// A stream socket with its read-ahead.
pub struct Wire {
    /// The core it belongs to.
    pub io: Io,
    pub socket: Fd,
    /// Counts a client's content; `None` on the control link.
    pub tally: Option<Tally>,
    inbox: Vec<u8>,
    taken: usize,
}

/// Why no more bytes came.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer ended its side.
    #[error("the peer closed the connection")]
    Closed,
    /// Nothing came, or nothing could be sent, within the limit.
    #[error("the peer was silent for too long")]
    Late,
    /// The socket failed.
    #[error("socket: {0}")]
    Io(#[from] io::Error),
}

impl Wire {
    /// Wraps a socket to the control plane.
    pub fn new(io: Io, socket: Fd) -> Self {
        Self { io, socket, tally: None, inbox: Vec::new(), taken: 0 }
    }

    /// Wraps a client's socket.
    pub fn of_client(io: Io, socket: Fd, tally: Tally) -> Self {
        Self { tally: Some(tally), ..Self::new(io, socket) }
    }

    /// What was read and not consumed yet.
    pub fn ahead(&self) -> &[u8] {
        &self.inbox[self.taken..]
    }

    /// Drops the first `bytes` of [`ahead`](Self::ahead).
    pub fn consume(&mut self, bytes: usize) {
        self.taken += bytes;
        debug_assert!(self.taken <= self.inbox.len());
        if self.taken == self.inbox.len() {
            self.inbox = Vec::new();
            self.taken = 0;
        }
    }

    /// Moves up to `into.len()` bytes of the read-ahead out.
    pub fn drain_into(&mut self, into: &mut [u8]) -> usize {
        let bytes = self.ahead().len().min(into.len());
        into[..bytes].copy_from_slice(&self.ahead()[..bytes]);
        self.consume(bytes);
        bytes
    }

    /// Waits for at least one byte and adds what arrived to the read-ahead; returns how many bytes.
    pub async fn more(&mut self, limit: Duration) -> Result<usize, WireError> {
        let (chunk, late) = within(&self.io, limit, self.io.recv_some(&self.socket)).await;
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(_) if late => return Err(WireError::Late),
            Err(error) => return Err(error.into()),
        };
        if chunk.is_empty() {
            return Err(WireError::Closed);
        }
        if self.taken > 0 {
            self.inbox.drain(..self.taken);
            self.taken = 0;
        }
        self.inbox.extend_from_slice(&chunk);
        Ok(chunk.len())
    }

    /// Neither side can send any more. Looks without waiting.
    pub fn is_broken(&self) -> bool {
        self.look(PollFlags::empty()).intersects(PollFlags::HUP | PollFlags::ERR)
    }

    /// How many bytes came and were not consumed yet, when no more can come: the peer ended its side. Looks without
    /// waiting.
    pub fn last_bytes(&self) -> Option<u64> {
        let ended = self.look(PollFlags::RDHUP).contains(PollFlags::RDHUP);
        let waiting = ended.then(|| rustix::io::ioctl_fionread(&*self.socket)).and_then(Result::ok)?;
        Some(waiting + self.ahead().len() as u64)
    }

    fn look(&self, interest: PollFlags) -> PollFlags {
        let mut socket = [PollFd::new(&*self.socket, interest)];
        match rustix::event::poll(&mut socket, Some(&Timespec::default())) {
            Ok(_) => socket[0].revents(),
            Err(_) => PollFlags::empty(),
        }
    }

    /// Sends all of `bytes`; `more` when a body follows at once.
    pub async fn send(&self, bytes: Vec<u8>, more: bool, limit: Duration) -> Result<(), WireError> {
        self.send_buf(Buf::from(bytes), more, limit).await
    }

    /// Sends all of an owned buffer.
    pub async fn send_buf(&self, buf: Buf, more: bool, limit: Duration) -> Result<(), WireError> {
        self.send_counted(buf, more, limit).await.1
    }

    /// Sends all of an owned buffer; returns how many bytes of it the kernel took.
    pub async fn send_counted(&self, buf: Buf, more: bool, limit: Duration) -> (usize, Result<(), WireError>) {
        let len = buf.len();
        let ((sent, _buf), late) = within(&self.io, limit, self.io.send(&self.socket, buf, 0..len, more)).await;
        counted(sent, len, late)
    }

    /// Sends all of an owned buffer of an answer, for as long as its client is waited for.
    pub async fn answer(&self, buf: Buf, more: bool, uptake: &mut Uptake<'_>) -> (usize, Result<(), WireError>) {
        let len = buf.len();
        let send = self.io.send(&self.socket, buf, 0..len, more);
        let ((sent, _buf), late) = uptake.within(&self.socket, send).await;
        let (bytes, sent) = counted(sent, len, late);
        uptake.moved(bytes as u64);
        (bytes, sent)
    }

    /// What the kernel took of this socket's bytes and the peer's kernel did not acknowledge yet; `None` when the kernel
    /// cannot tell.
    pub fn unacknowledged(&self) -> Option<Unacknowledged> {
        unacknowledged(&*self.socket).ok()
    }

    /// Sends what the socket takes of `at` within `wait`; returns how much that was, and frees the buffer.
    pub async fn send_some(&self, buf: Buf, at: Range<usize>, more: bool, wait: Duration) -> Result<usize, WireError> {
        let ((sent, _buf), late) = within(&self.io, wait, self.io.send(&self.socket, buf, at, more)).await;
        match sent {
            Ok(bytes) => Ok(bytes),
            Err(_) if late => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

/// How many bytes the kernel took, and the error when not all of them.
fn counted(sent: io::Result<usize>, len: usize, late: bool) -> (usize, Result<(), WireError>) {
    match sent {
        Ok(bytes) if bytes == len => (bytes, Ok(())),
        Ok(bytes) if late => (bytes, Err(WireError::Late)),
        Ok(bytes) => (bytes, Err(WireError::Closed)),
        Err(_) if late => (0, Err(WireError::Late)),
        Err(error) => (0, Err(error.into())),
    }
}
