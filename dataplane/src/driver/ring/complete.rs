//! A completion, and what follows: another round, a wait for readiness, or the end. The ordinary troubles end here: short
//! I/O, `EINTR`, `EAGAIN`, `ECANCELED`, no provided buffer, a completion that no task waits for.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{FromRawFd, OwnedFd};

use io_uring::cqueue;
use rustix::io::Errno;

use super::submit::{OperationScratch, Peer};
use super::{Ring, RunningOperation};
use crate::driver::sockets::{recv_chunk, send_file_now};
use crate::driver::{Chunk, Completion, Interest, Key, Operation};

/// What follows a completion.
enum Next {
    /// The operation once more, from where it is.
    Again,
    /// The operation once more, when its descriptor is ready.
    Wait(Interest),
    /// Once a provided buffer has come back.
    Starve,
    /// It moved everything, or simply succeeded.
    Finish(usize),
    /// It failed, or was cancelled before anything moved.
    Fail(io::Error),
}

impl Ring {
    /// Takes one completion of the operation under `key`; `Some` when that was its last.
    pub(super) fn complete(&mut self, key: Key, entry: &cqueue::Entry) -> Option<Completion> {
        let result = entry.result();
        // A buffer the kernel picked is ours again whatever else happened.
        let lent = match (cqueue::buffer_select(entry.flags()), &self.provided) {
            (Some(id), Some(provided)) => Some(provided.lend(id, usize::try_from(result).unwrap_or(0))),
            _ => None,
        };
        let Some(running) = self.running.get_mut(key) else {
            tracing::debug!(?key, "a stale completion");
            return None;
        };
        let was_polling = std::mem::take(&mut running.polling);
        let next = match (&mut running.op, result) {
            (Operation::Poll { .. }, 0..) => Next::Finish(0),
            (_, 0..) if was_polling => return self.after_poll(key),
            (Operation::Accept { .. }, 0..) => {
                // SAFETY: the kernel has just made this descriptor for us, and this is its only completion.
                let socket = unsafe { OwnedFd::from_raw_fd(result) };
                let running = self.running.remove(key)?;
                let OperationScratch::Peer(peer) = running.scratch else { unreachable!("made with the operation") };
                return Some(Completion::Accepted(Ok((socket, peer_address(&peer)))));
            }
            (Operation::OpenAt { .. }, 0..) => {
                // SAFETY: as above.
                let file = unsafe { OwnedFd::from_raw_fd(result) };
                self.running.remove(key)?;
                return Some(Completion::Opened(Ok(file.into())));
            }
            (Operation::RecvSome { .. }, 0..) => {
                self.running.remove(key)?;
                let chunk = lent.map_or_else(|| Chunk::owned(&[]), Chunk::lent);
                return Some(Completion::Chunk(Ok(chunk)));
            }
            (_, 0..) => running.moved(result as usize),
            (_, _) => running.failed(Errno::from_raw_os_error(-result)),
        };
        self.follow(key, next)
    }

    fn follow(&mut self, key: Key, next: Next) -> Option<Completion> {
        let running = self.running.get_mut(key)?;
        let (cancelled, done) = (running.cancelled, running.done);
        match next {
            // Between two rounds nothing is in the kernel: this is where a cancel takes hold.
            Next::Again | Next::Wait(_) | Next::Starve if cancelled => {
                Some(self.running.remove(key)?.op.cancelled(done))
            }
            Next::Again => {
                self.issue(key);
                None
            }
            Next::Wait(interest) => {
                self.poll(key, interest);
                None
            }
            Next::Starve => {
                self.starved.push_back(key);
                None
            }
            Next::Finish(done) => Some(self.running.remove(key)?.op.finish(done)),
            Next::Fail(error) => Some(self.running.remove(key)?.op.fail(error)),
        }
    }

    /// The descriptor is ready: now the operation itself.
    fn after_poll(&mut self, key: Key) -> Option<Completion> {
        let running = self.running.get_mut(key)?;
        let next = match &running.op {
            Operation::RecvSome { socket } if self.provided.is_none() => match recv_chunk(socket) {
                Ok(chunk) => {
                    self.running.remove(key)?;
                    return Some(Completion::Chunk(Ok(chunk)));
                }
                Err(Errno::AGAIN | Errno::INTR) => Next::Wait(Interest::Read),
                Err(error) => Next::Fail(error.into()),
            },
            _ => Next::Again,
        };
        self.follow(key, next)
    }

    /// Tries `sendfile` at once; a full socket is waited for.
    pub(super) fn send_file(&mut self, key: Key) {
        let Some(running) = self.running.get_mut(key) else { return };
        let Operation::SendFile { socket, file, pos, len } = &running.op else { unreachable!("only called for it") };
        match send_file_now(socket, file, *pos, *len) {
            Ok(sent) => {
                if let Some(running) = self.running.remove(key) {
                    self.ended.push((key, running.op.finish(sent)));
                }
            }
            Err(Errno::AGAIN) => self.poll(key, Interest::Write),
            Err(error) => self.end(key, Err(error.into())),
        }
    }

    /// Ends an operation that has nothing in the kernel.
    pub(super) fn end(&mut self, key: Key, result: io::Result<()>) {
        if let Some(running) = self.running.remove(key) {
            let outcome = match result {
                Ok(()) => running.op.finish(0),
                Err(error) => running.op.fail(error),
            };
            self.ended.push((key, outcome));
        }
    }
}

impl RunningOperation {
    /// A round that moved `count` bytes.
    fn moved(&mut self, count: usize) -> Next {
        self.done += count;
        match &self.op {
            Operation::Recv { at, all: true, .. } | Operation::ReadAt { at, .. }
                if count > 0 && self.done < at.len() =>
            {
                Next::Again
            }
            Operation::Send { at, .. } if self.done < at.len() => Next::Again,
            Operation::WriteAt { at, .. } if self.done < at.len() => match count {
                0 => Next::Fail(io::ErrorKind::WriteZero.into()),
                _ => Next::Again,
            },
            _ => Next::Finish(self.done),
        }
    }

    /// A round that failed.
    fn failed(&self, error: Errno) -> Next {
        match (&self.op, error) {
            (Operation::RecvSome { .. }, Errno::NOBUFS) => Next::Starve,
            (_, Errno::INTR) => Next::Again,
            // An aborted connection is the client's affair; so is a path that changed while it was resolved.
            (Operation::Accept { .. }, Errno::CONNABORTED) | (Operation::OpenAt { .. }, Errno::AGAIN) => Next::Again,
            (Operation::ConnectUnix { .. }, Errno::ISCONN) => Next::Finish(0),
            (Operation::Accept { .. } | Operation::RecvSome { .. } | Operation::Recv { .. }, Errno::AGAIN) => {
                Next::Wait(Interest::Read)
            }
            (Operation::Send { .. } | Operation::SendFile { .. } | Operation::ConnectUnix { .. }, Errno::AGAIN) => {
                Next::Wait(Interest::Write)
            }
            (Operation::ReadAt { .. } | Operation::WriteAt { .. }, Errno::AGAIN) => Next::Again,
            // What was moved is reported; the error meets the next operation again. For a direct read `EINVAL` after a
            // short one is the unaligned end of the file.
            (Operation::Recv { .. } | Operation::Send { .. }, _) if self.done > 0 => Next::Finish(self.done),
            (Operation::ReadAt { .. }, Errno::INVAL) if self.done > 0 => Next::Finish(self.done),
            (_, Errno::CANCELED) if self.cancelled && self.done > 0 && self.keeps_part() => Next::Finish(self.done),
            (_, error) => Next::Fail(error.into()),
        }
    }

    /// Whether a cancelled operation of this kind still reports its bytes.
    fn keeps_part(&self) -> bool {
        matches!(self.op, Operation::Send { .. } | Operation::ReadAt { .. })
    }
}

/// The peer of an accepted connection; unspecified for peers without an IP address.
fn peer_address(peer: &Peer) -> SocketAddr {
    let storage = &raw const peer.address;
    match i32::from(peer.address.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says the kernel wrote a sockaddr_in, which is smaller than the storage and no more
            // strictly aligned.
            let v4 = unsafe { &*storage.cast::<libc::sockaddr_in>() };
            (Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)), u16::from_be(v4.sin_port)).into()
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let v6 = unsafe { &*storage.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), v6.sin6_flowinfo, v6.sin6_scope_id).into()
        }
        _ => (Ipv4Addr::UNSPECIFIED, 0).into(),
    }
}
