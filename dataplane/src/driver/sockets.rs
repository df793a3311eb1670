//! [`Io`] for sockets. Options (`TCP_NODELAY` and the like) are the caller's.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::{Buf, CHUNK_BYTES_MAX, Chunk, Completion, Fd, FileHandle, Interest, Io, Operation, Pending, unix_socket};

/// The longest path of a Unix socket; the kernel wants one byte more for its end.
const UNIX_PATH_BYTES_MAX: usize = 107;

impl Io {
    /// Accepts one connection: non-blocking, close-on-exec. A peer without an IP address is `0.0.0.0:0`.
    pub fn accept(&self, listener: &Fd) -> Pending<io::Result<(OwnedFd, SocketAddr)>> {
        self.begin(Operation::Accept { listener: Fd::clone(listener) }, |outcome| match outcome {
            Completion::Accepted(result) => result,
            other => mismatch(&other),
        })
    }

    /// Waits for bytes without owning a buffer. An empty chunk is the end.
    pub fn recv_some(&self, socket: &Fd) -> Pending<io::Result<Chunk>> {
        self.begin(Operation::RecvSome { socket: Fd::clone(socket) }, |outcome| match outcome {
            Completion::Chunk(result) => result,
            other => mismatch(&other),
        })
    }

    /// Receives at least one byte into `buf[at]`; 0 is the end.
    pub fn recv(&self, socket: &Fd, buf: Buf, at: Range<usize>) -> Pending<(io::Result<usize>, Buf)> {
        self.ranged(buf, at, |buf, at| Operation::Recv { socket: Fd::clone(socket), buf, at, all: false })
    }

    /// Receives until `buf[at]` is full. Fewer bytes: the peer ended, the connection broke, or this was cancelled. An
    /// error only if nothing arrived.
    pub fn recv_all(&self, socket: &Fd, buf: Buf, at: Range<usize>) -> Pending<(io::Result<usize>, Buf)> {
        self.ranged(buf, at, |buf, at| Operation::Recv { socket: Fd::clone(socket), buf, at, all: true })
    }

    /// Sends all of `buf[at]`. Fewer bytes only when cancelled or when the socket broke meanwhile; an error only if the kernel
    /// took none. `more`: the next send follows at once.
    pub fn send(&self, socket: &Fd, buf: Buf, at: Range<usize>, more: bool) -> Pending<(io::Result<usize>, Buf)> {
        self.ranged(buf, at, |buf, at| Operation::Send { socket: Fd::clone(socket), buf, at, more })
    }

    /// Waits until the socket takes bytes, then sends up to `len` bytes of the file without copying them here. 0: the
    /// file ends at or before `pos`. The socket must not block (those of `accept` and `connect_unix` do not). Reads of
    /// cold pages block the core: look before.
    pub fn send_file(&self, socket: &Fd, file: &FileHandle, pos: u64, len: usize) -> Pending<io::Result<usize>> {
        let op = Operation::SendFile { socket: Fd::clone(socket), file: FileHandle::clone(file), pos, len };
        self.begin(op, |outcome| match outcome {
            Completion::Count(result) => result,
            other => mismatch(&other),
        })
    }

    /// Waits until reading would not block: bytes, the end, or an error.
    pub fn readable(&self, fd: &Fd) -> Pending<io::Result<()>> {
        self.begin(Operation::Poll { fd: Fd::clone(fd), interest: Interest::Read }, unit)
    }

    /// Waits until writing would not block: space or an error.
    pub fn writable(&self, fd: &Fd) -> Pending<io::Result<()>> {
        self.begin(Operation::Poll { fd: Fd::clone(fd), interest: Interest::Write }, unit)
    }

    /// Connects to a Unix stream socket.
    pub fn connect_unix(&self, path: &Path) -> Pending<io::Result<Fd>> {
        let take = |outcome| match outcome {
            Completion::Connected(result) => result,
            other => mismatch(&other),
        };
        if path.as_os_str().as_bytes().len() > UNIX_PATH_BYTES_MAX {
            return self.ended(Completion::Connected(Err(Errno::NAMETOOLONG.into())), take);
        }
        match unix_socket() {
            Ok(socket) => self.begin(Operation::ConnectUnix { socket, path: path.to_owned() }, take),
            Err(error) => self.ended(Completion::Connected(Err(error)), take),
        }
    }

    /// Starts an operation on a range of a buffer; an empty range is done before it starts.
    pub(super) fn ranged(
        &self,
        buf: Buf,
        at: Range<usize>,
        op: impl FnOnce(Buf, Range<usize>) -> Operation,
    ) -> Pending<(io::Result<usize>, Buf)> {
        assert!(at.start <= at.end && at.end <= buf.len(), "{at:?} is not inside a buffer of {} bytes", buf.len());
        let take = |outcome| match outcome {
            Completion::Bytes(result, buf) => (result, buf),
            other => mismatch(&other),
        };
        if at.is_empty() {
            return self.ended(Completion::Bytes(Ok(0), buf), take);
        }
        self.begin(op(buf, at), take)
    }
}

/// The result of an operation without a value.
pub(super) fn unit(outcome: Completion) -> io::Result<()> {
    match outcome {
        Completion::Unit(result) => result,
        other => mismatch(&other),
    }
}

/// The driver answered one operation with the completion of another: our bug.
pub(super) fn mismatch(outcome: &Completion) -> ! {
    unreachable!("a completion of another operation: {outcome:?}")
}

/// Receives without waiting and without a buffer of the caller's.
pub(crate) fn recv_chunk(socket: impl AsFd) -> Result<Chunk, Errno> {
    let mut bytes = [0; CHUNK_BYTES_MAX];
    let (count, _) = rustix::net::recv(socket, &mut bytes[..], RecvFlags::DONTWAIT)?;
    Ok(Chunk::owned(&bytes[..count]))
}

/// One `sendfile` on a socket that does not block.
#[expect(clippy::disallowed_methods, reason = "a driver makes the calls")]
pub(crate) fn send_file_now(socket: &Fd, file: &FileHandle, pos: u64, len: usize) -> Result<usize, Errno> {
    loop {
        let mut from = pos;
        match rustix::fs::sendfile(&**socket, &**file, Some(&mut from), len) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
