//! One try of an operation: as far as it goes without waiting, then its end, or waits in a queue.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, IoSliceMut, ReadWriteFlags, preadv2, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, SocketAddrUnix, SocketFlags};

use super::{Epoll, RunningOperation, Stage};
use crate::driver::sockets::{recv_chunk, send_file_now};
use crate::driver::{Chunk, Completion, Fd, FileHandle, Interest, Key, Operation};

/// How a try ended.
enum Tried {
    Finish,
    /// Sent this many bytes of a file.
    Count(usize),
    Accepted(OwnedFd, SocketAddr),
    Chunk(Chunk),
    Fail(io::Error),
    Wait(Interest),
    Retry,
    /// Blocking work, for a helper thread.
    Offload,
}

impl From<Errno> for Tried {
    fn from(error: Errno) -> Self {
        Self::Fail(error.into())
    }
}

impl Epoll {
    /// Tries the operation under `key`.
    pub(super) fn attempt(&mut self, key: Key) {
        let Some(running) = self.running.get_mut(key) else { return };
        match running.attempt() {
            Tried::Finish => {
                let done = running.done;
                self.finish(key, done);
            }
            Tried::Count(count) => self.finish(key, count),
            Tried::Accepted(socket, peer) => self.end_with(key, Completion::Accepted(Ok((socket, peer)))),
            Tried::Chunk(chunk) => self.end_with(key, Completion::Chunk(Ok(chunk))),
            Tried::Fail(error) => self.fail(key, error),
            Tried::Wait(interest) => {
                if let Some(fd) = running.op.waits_on().cloned() {
                    self.wait_on(key, &fd, interest);
                }
            }
            Tried::Retry => {
                running.stage = Stage::Retry;
                self.retry.push_back(key);
            }
            Tried::Offload => {
                running.stage = Stage::Offloaded;
                self.offload(key);
            }
        }
    }

    /// Ends an operation with a completion that is already made.
    pub(super) fn end_with(&mut self, key: Key, outcome: Completion) {
        self.running.remove(key);
        self.ended.push((key, outcome));
    }
}

impl Operation {
    /// The descriptor whose readiness this operation may wait for.
    pub(super) fn waits_on(&self) -> Option<&Fd> {
        match self {
            Self::Accept { listener } => Some(listener),
            Self::RecvSome { socket }
            | Self::Recv { socket, .. }
            | Self::Send { socket, .. }
            | Self::SendFile { socket, .. } => Some(socket),
            Self::Poll { fd, .. } => Some(fd),
            Self::ConnectUnix { .. }
            | Self::ReadAt { .. }
            | Self::WriteAt { .. }
            | Self::SyncData { .. }
            | Self::OpenAt { .. }
            | Self::Allocate { .. }
            | Self::Truncate { .. }
            | Self::UnlinkAt { .. } => None,
        }
    }
}

impl RunningOperation {
    fn attempt(&mut self) -> Tried {
        let done = &mut self.done;
        match &mut self.op {
            Operation::Accept { listener } => accept(listener),
            Operation::RecvSome { socket } => match retry_on_intr(|| recv_chunk(&**socket)) {
                Ok(chunk) => Tried::Chunk(chunk),
                Err(Errno::AGAIN) => Tried::Wait(Interest::Read),
                Err(error) => error.into(),
            },
            Operation::Recv { socket, buf, at, all } => recv(socket, &mut buf[at.clone()], *all, done),
            Operation::Send { socket, buf, at, more } => send(socket, &buf[at.clone()], *more, done),
            Operation::SendFile { socket, file, pos, len } => match send_file_now(socket, file, *pos, *len) {
                Ok(count) => Tried::Count(count),
                Err(Errno::AGAIN) => Tried::Wait(Interest::Write),
                Err(error) => error.into(),
            },
            Operation::Poll { interest, .. } => Tried::Wait(*interest),
            Operation::ConnectUnix { socket, path } => {
                match SocketAddrUnix::new(&*path).and_then(|address| rustix::net::connect(&**socket, &address)) {
                    Ok(()) | Err(Errno::ISCONN) => Tried::Finish,
                    Err(Errno::AGAIN | Errno::INTR) => Tried::Retry,
                    Err(error) => error.into(),
                }
            }
            Operation::ReadAt { file, buf, at, pos } => read(file, &mut buf[at.clone()], *pos, done),
            // `RWF_NOWAIT` is no help: a frozen file system is waited for before the kernel looks at it.
            Operation::WriteAt { .. }
            | Operation::SyncData { .. }
            | Operation::OpenAt { .. }
            | Operation::Allocate { .. }
            | Operation::Truncate { .. }
            | Operation::UnlinkAt { .. } => Tried::Offload,
        }
    }
}

fn recv(socket: &Fd, space: &mut [u8], all: bool, done: &mut usize) -> Tried {
    while *done < space.len() {
        match retry_on_intr(|| rustix::net::recv(&**socket, &mut space[*done..], RecvFlags::DONTWAIT)) {
            Ok((0, _)) => break,
            Ok((count, _)) => *done += count,
            Err(Errno::AGAIN) => return Tried::Wait(Interest::Read),
            // What arrived is reported; the error meets the next operation again.
            Err(_) if *done > 0 => break,
            Err(error) => return error.into(),
        }
        if !all {
            break;
        }
    }
    Tried::Finish
}

fn send(socket: &Fd, bytes: &[u8], more: bool, done: &mut usize) -> Tried {
    let more = if more { SendFlags::MORE } else { SendFlags::empty() };
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | more;
    while *done < bytes.len() {
        match retry_on_intr(|| rustix::net::send(&**socket, &bytes[*done..], flags)) {
            Ok(count) => *done += count,
            Err(Errno::AGAIN) => return Tried::Wait(Interest::Write),
            // What the kernel took is reported; the error meets the next operation again.
            Err(_) if *done > 0 => break,
            Err(error) => return error.into(),
        }
    }
    Tried::Finish
}

/// What the page cache holds; a helper waits for the rest, and meets the errors.
#[expect(clippy::disallowed_methods, reason = "a driver makes the calls")]
fn read(file: &FileHandle, space: &mut [u8], pos: u64, done: &mut usize) -> Tried {
    while *done < space.len() {
        let mut rest = [IoSliceMut::new(&mut space[*done..])];
        match preadv2(&**file, &mut rest, pos + *done as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) => break,
            Ok(count) => *done += count,
            Err(_) => return Tried::Offload,
        }
    }
    Tried::Finish
}

fn accept(listener: &Fd) -> Tried {
    // A listener that blocks would block the core: the connection it was ready for may be gone by now.
    if let Ok(flags) = fcntl_getfl(&**listener)
        && !flags.contains(OFlags::NONBLOCK)
    {
        let _blocks_at_worst = fcntl_setfl(&**listener, flags | OFlags::NONBLOCK);
    }
    loop {
        match rustix::net::acceptfrom_with(&**listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok((socket, peer)) => {
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                return Tried::Accepted(socket, peer.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into()));
            }
            // An aborted connection is the client's affair.
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(Errno::AGAIN) => return Tried::Wait(Interest::Read),
            Err(error) => return error.into(),
        }
    }
}
