//! The driver: everything a core asks of the kernel, behind one small trait, and the futures that tasks see of it.
//!
//! ```text
//!   connection, transfer, control        Io · Pending · Buf · Chunk         io, sockets, files, pending
//!                                              │
//!   one core's own state                       │                            tasks, timers, operation_table, slots
//!                                              ▼
//!                                    trait Driver { start, cancel, turn }   this file
//!                                    ┌─────────┴─────────┐
//!                                  ring/               epoll/               a simulation comes later
//! ```
//!
//! *Nothing outside this folder knows which driver runs.* `choose` picks a driver, [`run_core`] is the loop of a core on it; [`Remote`] is the only way
//! into it from another thread; `helpers` are the threads for work that blocks.
//!
//! What must stay true:
//! * an [`Operation`] owns its buffer and its descriptors from [`Driver::start`] until its one [`Completion`] is reported,
//!   also after [`Driver::cancel`]: the kernel may write into that buffer until then;
//! * every started operation is reported exactly once, a cancelled one with what it achieved or with `ECANCELED`;
//! * short reads and writes, `EINTR` and `EAGAIN` are finished inside a driver and never seen outside it;
//! * everything here belongs to one core: `!Send`, no lock;
//! * nothing here blocks, and no `RefCell` is borrowed while foreign code (a waker, a drop) runs;
//! * `unsafe` stands in this folder alone, and in `heap`.
//!
//! Memory: `arena` makes the 1 MiB pieces that `slots` hands out as [`Buf`]; `provided` holds the small buffers that the
//! kernel picks for a [`Chunk`]; `detached_buf` lets a buffer travel to a helper thread.
mod arena;
mod buf;
mod choose;
mod chunk;
mod cpu;
mod detached_buf;
mod engine_agreement;
mod epoll;
#[cfg(debug_assertions)]
#[doc(hidden)] // Public for tests/node alone.
pub mod faults;
mod files;
mod helpers;
mod io;
mod keyed_table;
mod machine;
mod operation_table;
pub mod outgoing;
mod pending;
mod provided;
mod remote;
mod ring;
mod run;
mod run_queue;
mod slots;
mod sockets;
mod tasks;
#[cfg(test)]
mod tests;
mod timers;

use std::ffi::CString;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use etransfer_disk::{File, Mode, OFlags};
use rustix::io::Errno;

pub use self::buf::Buf;
pub use self::chunk::{CHUNK_BYTES_MAX, Chunk};
pub use self::cpu::allowed_cpus;
pub use self::engine_agreement::EngineAgreement;
pub use self::io::Io;
pub use self::machine::{Host, Machine};
pub use self::pending::{Pending, within};
pub use self::remote::Remote;
pub use self::run::{CoreOptions, run_core};
pub use self::slots::TakeSlot;
pub use self::timers::Sleep;

/// The descriptor of a socket that operations share with their caller; closed when the last of them is gone.
pub type Fd = Rc<OwnedFd>;

/// The same of a file or directory.
pub type FileHandle = Rc<File>;

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
pub enum Operation {
    /// → `Accepted`.
    Accept { listener: Fd },
    /// → `Chunk`.
    RecvSome { socket: Fd },
    /// At least one byte, or with `all` until the range is full. → `Bytes`.
    Recv { socket: Fd, buf: Buf, at: Range<usize>, all: bool },
    /// The whole range; less when it is cancelled or the socket breaks, an error only if nothing was taken. → `Bytes`.
    Send { socket: Fd, buf: Buf, at: Range<usize>, more: bool },
    /// One non-blocking `sendfile` once the socket takes bytes. → `Count`.
    SendFile { socket: Fd, file: FileHandle, pos: u64, len: usize },
    /// → `Unit`.
    Poll { fd: Fd, interest: Interest },
    /// → `Connected`.
    ConnectUnix { socket: Fd, path: PathBuf },
    /// Until the range is full or the file ends. → `Bytes`.
    ReadAt { file: FileHandle, buf: Buf, at: Range<usize>, pos: u64 },
    /// The whole range. → `Written`.
    WriteAt { file: FileHandle, buf: Buf, at: Range<usize>, pos: u64 },
    /// `fdatasync`. → `Unit`.
    SyncData { file: FileHandle },
    /// `openat2` below `dir`, through no link. → `Opened`.
    OpenAt { dir: FileHandle, name: CString, flags: OFlags, mode: Mode },
    /// `fallocate` mode 0. → `Unit`.
    Allocate { file: FileHandle, pos: u64, len: u64 },
    /// → `Unit`.
    Truncate { file: FileHandle, len: u64 },
    /// → `Unit`.
    UnlinkAt { dir: FileHandle, name: CString },
}

/// How an operation ended. Buffers and descriptors come back here.
#[derive(Debug)]
pub enum Completion {
    Accepted(std::io::Result<(OwnedFd, SocketAddr)>),
    Chunk(std::io::Result<Chunk>),
    Bytes(std::io::Result<usize>, Buf),
    Written(std::io::Result<()>, Buf),
    Count(std::io::Result<usize>),
    Unit(std::io::Result<()>),
    Opened(std::io::Result<File>),
    Connected(std::io::Result<Fd>),
}

impl Operation {
    /// Ends the operation with an error; its buffer goes back to the task that started it.
    pub fn fail(self, error: std::io::Error) -> Completion {
        match self {
            Self::Accept { .. } => Completion::Accepted(Err(error)),
            Self::RecvSome { .. } => Completion::Chunk(Err(error)),
            Self::Recv { buf, .. } | Self::Send { buf, .. } | Self::ReadAt { buf, .. } => {
                Completion::Bytes(Err(error), buf)
            }
            Self::WriteAt { buf, .. } => Completion::Written(Err(error), buf),
            Self::SendFile { .. } => Completion::Count(Err(error)),
            Self::ConnectUnix { .. } => Completion::Connected(Err(error)),
            Self::OpenAt { .. } => Completion::Opened(Err(error)),
            Self::Poll { .. }
            | Self::SyncData { .. }
            | Self::Allocate { .. }
            | Self::Truncate { .. }
            | Self::UnlinkAt { .. } => Completion::Unit(Err(error)),
        }
    }

    /// Ends a cancelled operation that moved `done` bytes: what arrived is never lost.
    pub fn cancelled(self, done: usize) -> Completion {
        match self {
            Self::Recv { buf, .. } | Self::Send { buf, .. } | Self::ReadAt { buf, .. } if done > 0 => {
                Completion::Bytes(Ok(done), buf)
            }
            other => other.fail(Errno::CANCELED.into()),
        }
    }

    /// Ends an operation that moved `done` bytes of a range, or simply succeeded.
    ///
    /// Panics on operations whose success carries more than a count: those have their own place in each driver.
    pub fn finish(self, done: usize) -> Completion {
        match self {
            Self::Recv { buf, .. } | Self::Send { buf, .. } | Self::ReadAt { buf, .. } => {
                Completion::Bytes(Ok(done), buf)
            }
            Self::WriteAt { buf, .. } => Completion::Written(Ok(()), buf),
            Self::SendFile { .. } => Completion::Count(Ok(done)),
            Self::ConnectUnix { socket, .. } => Completion::Connected(Ok(socket)),
            Self::Poll { .. }
            | Self::SyncData { .. }
            | Self::Allocate { .. }
            | Self::Truncate { .. }
            | Self::UnlinkAt { .. } => Completion::Unit(Ok(())),
            Self::Accept { .. } | Self::RecvSome { .. } | Self::OpenAt { .. } => {
                unreachable!("its success carries a descriptor or bytes")
            }
        }
    }
}

/// Ends an operation that no driver ever saw.
pub(super) fn refused(op: Operation) -> Completion {
    op.fail(Errno::CANCELED.into())
}

/// A core's connection to the outside.
pub trait Driver {
    /// Which engine this is.
    fn engine(&self) -> Engine;

    /// The clock that timers follow.
    fn now(&self) -> Instant;

    /// Starts an operation. `key` is unused by any other operation in flight.
    fn start(&mut self, key: Key, op: Operation);

    /// Asks for an early end. The operation is still reported, once; an unknown or ended key is ignored.
    fn cancel(&mut self, key: Key);

    /// Submits what was started, waits at most `wait` (`None`: until something happens, a wake included), and appends
    /// what ended. An error here means the engine itself is broken.
    fn turn(&mut self, wait: Option<Duration>, done: &mut Vec<(Key, Completion)>) -> std::io::Result<()>;

    /// Writes a few bytes through the page cache, now.
    fn write_now(&mut self, file: &FileHandle, bytes: &[u8], pos: u64) -> std::io::Result<()>;
}

/// The descriptor of a fresh, non-blocking Unix stream socket.
pub(super) fn unix_socket() -> std::io::Result<Fd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(Rc::new(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?))
}
