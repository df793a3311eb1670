//! Operation → submission entry. Every pointer made here leads into the operation's own heap memory, which `running` owns
//! until the terminal completion; moving the operation inside the table moves none of it.

use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

use io_uring::{opcode, squeue, types};
use rustix::fs::{OFlags, ResolveFlags};

use super::Ring;
use crate::driver::files::{OPEN_RESOLVE, open_how_mode};
use crate::driver::provided::PROVIDED_GROUP;
use crate::driver::{Interest, Key, Operation};

/// Memory that an operation needs beside its own fields, at a stable address.
pub enum OperationScratch {
    /// Nothing.
    None,
    /// Where the kernel writes the peer's address.
    Peer(Box<Peer>),
    /// The arguments of `openat2`.
    How(Box<types::OpenHow>),
    /// Where to connect to.
    Unix(Box<libc::sockaddr_un>),
}

/// An address and its length, as the kernel fills them.
pub struct Peer {
    pub address: libc::sockaddr_storage,
    pub len: libc::socklen_t,
}

impl OperationScratch {
    /// What this operation needs.
    pub fn of(op: &Operation) -> Self {
        match op {
            Operation::Accept { .. } => {
                // SAFETY: sockaddr_storage is plain integers; all zero is "unspecified".
                let address = unsafe { std::mem::zeroed() };
                let len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
                Self::Peer(Box::new(Peer { address, len }))
            }
            Operation::OpenAt { flags, mode, .. } => {
                let mode = open_how_mode(*flags, *mode);
                let flags = (*flags | OFlags::CLOEXEC).bits();
                let resolve: ResolveFlags = OPEN_RESOLVE;
                let how = types::OpenHow::new().flags(flags.into()).mode(mode.bits().into()).resolve(resolve.bits());
                Self::How(Box::new(how))
            }
            Operation::ConnectUnix { path, .. } => {
                // SAFETY: sockaddr_un is plain integers; all zero is an unnamed address.
                let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
                address.sun_family = libc::AF_UNIX as libc::sa_family_t;
                let path = path.as_os_str().as_bytes();
                assert!(path.len() < address.sun_path.len(), "the length of the path is checked before the driver");
                for (place, byte) in address.sun_path.iter_mut().zip(path) {
                    *place = *byte as libc::c_char;
                }
                Self::Unix(Box::new(address))
            }
            Operation::RecvSome { .. }
            | Operation::Recv { .. }
            | Operation::Send { .. }
            | Operation::SendFile { .. }
            | Operation::Poll { .. }
            | Operation::ReadAt { .. }
            | Operation::WriteAt { .. }
            | Operation::SyncData { .. }
            | Operation::Allocate { .. }
            | Operation::Truncate { .. }
            | Operation::UnlinkAt { .. } => Self::None,
        }
    }
}

fn fd(fd: &impl AsRawFd) -> types::Fd {
    types::Fd(fd.as_raw_fd())
}

/// One entry moves at most this much; the rest follows in the next round.
fn bounded(len: usize) -> u32 {
    len.min(1 << 30) as u32
}

fn read(file: types::Fd, space: &mut [u8], pos: u64, fixed: Option<u16>) -> squeue::Entry {
    let (start, len) = (space.as_mut_ptr(), bounded(space.len()));
    match fixed {
        Some(index) => opcode::ReadFixed::new(file, start, len, index).offset(pos).build(),
        None => opcode::Read::new(file, start, len).offset(pos).build(),
    }
}

fn write(file: types::Fd, bytes: &[u8], pos: u64, fixed: Option<u16>) -> squeue::Entry {
    let (start, len) = (bytes.as_ptr(), bounded(bytes.len()));
    match fixed {
        Some(index) => opcode::WriteFixed::new(file, start, len, index).offset(pos).build(),
        None => opcode::Write::new(file, start, len).offset(pos).build(),
    }
}

impl Ring {
    /// Submits the next round of an operation in `running`.
    pub(super) fn issue(&mut self, key: Key) {
        let truncate = self.abilities.truncate;
        let Some(running) = self.running.get_mut(key) else { return };
        running.polling = false;
        let done = running.done;
        let entry = match &mut running.op {
            Operation::Accept { listener } => {
                let OperationScratch::Peer(peer) = &mut running.scratch else {
                    unreachable!("made with the operation")
                };
                opcode::Accept::new(fd(listener), (&raw mut peer.address).cast(), &raw mut peer.len)
                    .flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)
                    .build()
            }
            Operation::RecvSome { socket } => match &self.provided {
                Some(_) => opcode::Recv::new(fd(socket), std::ptr::null_mut(), 0)
                    .buf_group(PROVIDED_GROUP)
                    .build()
                    .flags(squeue::Flags::BUFFER_SELECT),
                None => return self.poll(key, Interest::Read),
            },
            Operation::Recv { socket, buf, at, all } => {
                let space = &mut buf[at.start + done..at.end];
                let flags = if *all { libc::MSG_WAITALL } else { 0 };
                opcode::Recv::new(fd(socket), space.as_mut_ptr(), bounded(space.len())).flags(flags).build()
            }
            Operation::Send { socket, buf, at, more } => {
                let bytes = &buf[at.start + done..at.end];
                let more = if *more { libc::MSG_MORE } else { 0 };
                let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL | more;
                opcode::Send::new(fd(socket), bytes.as_ptr(), bounded(bytes.len())).flags(flags).build()
            }
            Operation::SendFile { .. } => return self.send_file(key),
            Operation::Poll { interest, .. } => {
                let interest = *interest;
                return self.poll(key, interest);
            }
            Operation::ConnectUnix { socket, .. } => {
                let OperationScratch::Unix(address) = &running.scratch else { unreachable!("made with the operation") };
                let len = size_of::<libc::sockaddr_un>() as libc::socklen_t;
                opcode::Connect::new(fd(socket), (&raw const **address).cast(), len).build()
            }
            Operation::ReadAt { file, buf, at, pos } => {
                let fixed = self.fixed.index_of(&self.ring.submitter(), buf);
                read(fd(file), &mut buf[at.start + done..at.end], *pos + done as u64, fixed)
            }
            Operation::WriteAt { file, buf, at, pos } => {
                let fixed = self.fixed.index_of(&self.ring.submitter(), buf);
                write(fd(file), &buf[at.start + done..at.end], *pos + done as u64, fixed)
            }
            Operation::SyncData { file } => opcode::Fsync::new(fd(file)).flags(types::FsyncFlags::DATASYNC).build(),
            Operation::OpenAt { dir, name, .. } => {
                let OperationScratch::How(how) = &running.scratch else { unreachable!("made with the operation") };
                opcode::OpenAt2::new(fd(dir), name.as_ptr(), &raw const **how).build()
            }
            Operation::Allocate { file, pos, len } => opcode::Fallocate::new(fd(file), *len).offset(*pos).build(),
            Operation::Truncate { file, len } if truncate => opcode::Ftruncate::new(fd(file), *len).build(),
            Operation::Truncate { file, len } => {
                // Before 6.9 there is no such operation; inline, as rare and short as it is.
                #[expect(clippy::disallowed_methods, reason = "a driver makes the calls")]
                let result = rustix::fs::ftruncate(&**file, *len);
                return self.end(key, result.map_err(Into::into));
            }
            Operation::UnlinkAt { dir, name } => opcode::UnlinkAt::new(fd(dir), name.as_ptr()).build(),
        };
        self.push(entry.user_data(key.to_bits()));
    }

    /// Waits for readiness first.
    pub(super) fn poll(&mut self, key: Key, interest: Interest) {
        let Some(running) = self.running.get_mut(key) else { return };
        running.polling = true;
        let on = match &running.op {
            Operation::Accept { listener } => fd(listener),
            Operation::RecvSome { socket }
            | Operation::Recv { socket, .. }
            | Operation::Send { socket, .. }
            | Operation::SendFile { socket, .. }
            | Operation::ConnectUnix { socket, .. } => fd(socket),
            Operation::Poll { fd: on, .. } => fd(on),
            Operation::ReadAt { file, .. }
            | Operation::WriteAt { file, .. }
            | Operation::SyncData { file }
            | Operation::Allocate { file, .. }
            | Operation::Truncate { file, .. } => fd(file),
            Operation::OpenAt { dir, .. } | Operation::UnlinkAt { dir, .. } => fd(dir),
        };
        let events = match interest {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
        };
        let entry = opcode::PollAdd::new(on, events as u32).build();
        self.push(entry.user_data(key.to_bits()));
    }
}
