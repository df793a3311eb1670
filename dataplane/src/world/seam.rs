//! The seam: everything a core can ask of the world, as one small trait. Three worlds are foreseen: the ring, readiness
//! (epoll) and a simulation. *Nothing above this file may know which one runs.*
//!
//! What must stay true, in every world:
//! * an [`Op`] owns its buffer and its descriptors from [`World::start`] until its one [`Outcome`] is reported, also
//!   after [`World::cancel`]: the kernel may write into that buffer until then;
//! * every started operation is reported exactly once; a cancelled one too, with what it achieved or `ECANCELED`;
//! * short reads and writes, `EINTR` and `EAGAIN` are finished below the seam and never seen above it.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Buf, Chunk, Fd};

/// Which engine a core runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// io_uring.
    Ring,
    /// epoll and non-blocking calls.
    Readiness,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ring => "ring",
            Self::Readiness => "readiness",
        })
    }
}

/// Names one operation in flight. The generation makes a late completion of an earlier tenant of the same index
/// recognisable; it travels through the kernel as `user_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Place in the table of operations in flight.
    pub index: u32,
    /// Which tenant of that place.
    pub generation: u32,
}

impl Key {
    /// The form the kernel carries.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// Back from the form the kernel carries.
    pub fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// What a descriptor is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Readable, at its end, or broken.
    Read,
    /// Writable or broken.
    Write,
}

/// One operation, owning all it needs. The comment names the outcome.
#[derive(Debug)]
pub enum Op {
    /// → `Accepted`.
    Accept { listener: Fd },
    /// → `Chunk`.
    RecvSome { socket: Fd },
    /// At least one byte, or with `all` until the range is full. → `Bytes`.
    Recv { socket: Fd, buf: Buf, at: Range<usize>, all: bool },
    /// The whole range; less when it is cancelled or the socket breaks, an error only if nothing was taken. → `Bytes`.
    Send { socket: Fd, buf: Buf, at: Range<usize>, more: bool },
    /// One non-blocking `sendfile` once the socket takes bytes. → `Count`.
    SendFile { socket: Fd, file: Fd, pos: u64, len: usize },
    /// → `Unit`.
    Poll { fd: Fd, interest: Interest },
    /// → `Connected`.
    ConnectUnix { socket: Fd, path: PathBuf },
    /// Until the range is full or the file ends. → `Bytes`.
    ReadAt { file: Fd, buf: Buf, at: Range<usize>, pos: u64 },
    /// The whole range. → `Written`.
    WriteAt { file: Fd, buf: Buf, at: Range<usize>, pos: u64 },
    /// `fdatasync`. → `Unit`.
    SyncData { file: Fd },
    /// `openat2` below `dir`, through no link. → `Opened`.
    OpenAt { dir: Fd, name: CString, flags: OFlags, mode: Mode },
    /// `fallocate` mode 0. → `Unit`.
    Allocate { file: Fd, pos: u64, len: u64 },
    /// → `Unit`.
    Truncate { file: Fd, len: u64 },
    /// → `Unit`.
    UnlinkAt { dir: Fd, name: CString },
}

/// How an operation ended. Buffers and descriptors come back here.
#[derive(Debug)]
pub enum Outcome {
    Accepted(io::Result<(OwnedFd, SocketAddr)>),
    Chunk(io::Result<Chunk>),
    Bytes(io::Result<usize>, Buf),
    Written(io::Result<()>, Buf),
    Count(io::Result<usize>),
    Unit(io::Result<()>),
    Opened(io::Result<OwnedFd>),
    Connected(io::Result<Fd>),
}

impl Op {
    /// Ends the operation with an error; its buffer goes back to whoever asked.
    pub fn fail(self, error: io::Error) -> Outcome {
        match self {
            Self::Accept { .. } => Outcome::Accepted(Err(error)),
            Self::RecvSome { .. } => Outcome::Chunk(Err(error)),
            Self::Recv { buf, .. } | Self::Send { buf, .. } | Self::ReadAt { buf, .. } => {
                Outcome::Bytes(Err(error), buf)
            }
            Self::WriteAt { buf, .. } => Outcome::Written(Err(error), buf),
            Self::SendFile { .. } => Outcome::Count(Err(error)),
            Self::ConnectUnix { .. } => Outcome::Connected(Err(error)),
            Self::OpenAt { .. } => Outcome::Opened(Err(error)),
            Self::Poll { .. }
            | Self::SyncData { .. }
            | Self::Allocate { .. }
            | Self::Truncate { .. }
            | Self::UnlinkAt { .. } => Outcome::Unit(Err(error)),
        }
    }

    /// Ends a cancelled operation that moved `done` bytes: what arrived is never lost.
    pub fn cancelled(self, done: usize) -> Outcome {
        match self {
            Self::Recv { buf, .. } | Self::Send { buf, .. } | Self::ReadAt { buf, .. } if done > 0 => {
                Outcome::Bytes(Ok(done), buf)
            }
            other => other.fail(Errno::CANCELED.into()),
        }
    }

    /// Ends an operation that moved `done` bytes of a range, or simply succeeded.
    ///
    /// Panics on operations whose success carries more than a count: those have their own place in each world.
    pub fn finish(self, done: usize) -> Outcome {
        match self {
            Self::Recv { buf, .. } | Self::Send { buf, .. } | Self::ReadAt { buf, .. } => Outcome::Bytes(Ok(done), buf),
            Self::WriteAt { buf, .. } => Outcome::Written(Ok(()), buf),
            Self::SendFile { .. } => Outcome::Count(Ok(done)),
            Self::ConnectUnix { socket, .. } => Outcome::Connected(Ok(socket)),
            Self::Poll { .. }
            | Self::SyncData { .. }
            | Self::Allocate { .. }
            | Self::Truncate { .. }
            | Self::UnlinkAt { .. } => Outcome::Unit(Ok(())),
            Self::Accept { .. } | Self::RecvSome { .. } | Self::OpenAt { .. } => {
                unreachable!("its success carries a descriptor or bytes")
            }
        }
    }
}

/// What an operation comes to when no engine ever saw it.
pub(super) fn refused(op: Op) -> Outcome {
    op.fail(Errno::CANCELED.into())
}

/// A core's connection to the outside.
pub trait World {
    /// Which engine this is.
    fn engine(&self) -> Engine;

    /// The clock that timers follow.
    fn now(&self) -> Instant;

    /// Starts an operation. `key` is unused by any other operation in flight.
    fn start(&mut self, key: Key, op: Op);

    /// Asks for an early end. The operation is still reported, once; an unknown or ended key is ignored.
    fn cancel(&mut self, key: Key);

    /// Submits what was started, waits at most `wait` (`None`: until something happens, a wake included), and appends
    /// what ended. An error here means the engine itself is broken.
    fn turn(&mut self, wait: Option<Duration>, done: &mut Vec<(Key, Outcome)>) -> io::Result<()>;

    /// Writes a few bytes through the page cache, now.
    fn write_now(&mut self, file: &Fd, bytes: &[u8], pos: u64) -> io::Result<()>;
}

/// The descriptor of a fresh, non-blocking Unix stream socket.
pub(super) fn unix_socket() -> io::Result<Fd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(Rc::new(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?))
}
