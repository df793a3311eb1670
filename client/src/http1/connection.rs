//! One connection: a socket, what was read ahead of it, and whether it may be used again.
//!
//! Bulk bytes go around the buffer: up with `sendfile` ([`Connection::send_file`]), down from
//! [`Connection::socket`] once [`Connection::take_buffered`] is empty.

use std::fs::File;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use etransfer_contract::Span;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::SendFlags;
use socket2::{Domain, SockRef, Socket, Type};

use super::{CONNECT_TIMEOUT, HEAD_BYTES_MAX, IDLE_TIMEOUT, Request, ResponseHead, WireError};
use crate::cancel::Watch;
use crate::{Address, Cancel};

/// Bytes handed to one `sendfile` call: between two of them progress is told and an early answer noticed.
const SEND_BYTES: u64 = 1024 * 1024;

/// How connections are made.
#[derive(Debug, Clone)]
pub struct Dial {
    /// To get a connection, per address tried.
    pub connect: Duration,
    /// Without a byte in either direction.
    pub idle: Duration,
    /// Only through this local interface; `None`: wherever the kernel's routes lead.
    pub interface: Option<Arc<str>>,
}

impl Default for Dial {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, idle: IDLE_TIMEOUT, interface: None }
    }
}

/// A keep-alive connection to a server.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    host: String,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// No answer is outstanding or half-read.
    clean: bool,
    _watch: Watch,
}

/// How the sending of a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// All of it is on its way.
    Whole,
    /// The server answered, or closed, before all was sent. Read the answer; the connection is of no further use.
    AnsweredEarly,
}

impl Connection {
    /// Connects; cancelling `cancel` breaks whatever the connection is doing, connecting included.
    pub fn open(address: &Address, dial: &Dial, cancel: &Cancel) -> Result<Self, WireError> {
        let mut last = WireError::Connect(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        for candidate in address.resolve().map_err(WireError::Lookup)? {
            match connect(candidate, dial, cancel) {
                Ok((socket, watch)) => return Self::over(socket, watch, address, dial).map_err(WireError::Connect),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn over(socket: TcpStream, watch: Watch, address: &Address, dial: &Dial) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(dial.idle))?;
        socket.set_write_timeout(Some(dial.idle))?;
        let buffer = vec![0; HEAD_BYTES_MAX].into_boxed_slice();
        Ok(Self { socket, host: address.authority(), buffer, start: 0, end: 0, clean: true, _watch: watch })
    }

    /// Whether another request may go out: nothing half-read, not closed by the server meanwhile.
    pub fn is_reusable(&self) -> bool {
        self.clean && self.start == self.end && !self.is_readable()
    }

    /// Sends a head. With `more`, the kernel holds it back for the body that follows at once.
    pub fn send_head(&mut self, request: &Request<'_>, more: bool) -> Result<(), WireError> {
        self.clean = false;
        let flags = if more { SendFlags::MORE | SendFlags::NOSIGNAL } else { SendFlags::NOSIGNAL };
        self.send_all(&request.write(&self.host), flags)
    }

    /// Sends a small body.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.send_all(bytes, SendFlags::NOSIGNAL)
    }

    fn send_all(&mut self, mut bytes: &[u8], flags: SendFlags) -> Result<(), WireError> {
        while !bytes.is_empty() {
            match rustix::net::send(&self.socket, bytes, flags) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Ok(())
    }

    /// Sends these bytes of the file as the body, kernel to kernel; `moved` hears of every part.
    pub fn send_file(&mut self, file: &File, span: Span, mut moved: impl FnMut(u64)) -> Result<Sent, WireError> {
        let mut at = span.start();
        while at < span.end() {
            if self.is_readable() {
                return Ok(Sent::AnsweredEarly);
            }
            let count = (span.end() - at).min(SEND_BYTES);
            match rustix::fs::sendfile(&self.socket, file, Some(&mut at), count as usize) {
                Ok(0) => return Err(WireError::Source(io::ErrorKind::UnexpectedEof.into())),
                Ok(sent) => moved(sent as u64),
                Err(rustix::io::Errno::INTR) => {}
                // The server stopped reading; its reason may be waiting for us.
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => return Ok(Sent::AnsweredEarly),
                Err(error @ rustix::io::Errno::IO) => return Err(WireError::Source(error.into())),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
        Ok(Sent::Whole)
    }

    /// The next final answer; interim ones are skipped. `to_head`: the request was a HEAD.
    pub fn read_head(&mut self, to_head: bool) -> Result<ResponseHead, WireError> {
        loop {
            if let Some((head, taken)) = ResponseHead::parse(&self.buffer[self.start..self.end], to_head)? {
                self.consume(taken);
                if !matches!(head.status, 100..=199) {
                    return Ok(head);
                }
            } else if self.fill()? == 0 {
                return Err(WireError::Closed);
            }
        }
    }

    /// The answer was read to its end: the connection is free again, if the server lets it live.
    pub fn answer_read(&mut self, head: &ResponseHead) {
        self.clean = head.keep_alive;
    }

    /// Up to `count` bytes that were read ahead with the head.
    pub fn take_buffered(&mut self, count: u64) -> Vec<u8> {
        let take = (count.min((self.end - self.start) as u64)) as usize;
        let bytes = self.buffer[self.start..self.start + take].to_vec();
        self.consume(take);
        bytes
    }

    /// The socket itself, for bytes beyond the buffer.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// What is buffered, or else the next bytes from the socket; empty when the server closed.
    pub(super) fn buffered_or_more(&mut self) -> Result<&[u8], WireError> {
        if self.start == self.end {
            self.fill()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    fn fill(&mut self) -> Result<usize, WireError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        loop {
            match self.socket.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => {
                    let count = other?;
                    self.end += count;
                    return Ok(count);
                }
            }
        }
    }

    /// Something, or the end, can be read without waiting.
    fn is_readable(&self) -> bool {
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN | PollFlags::HUP)];
        rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok_and(|count| count > 0)
    }
}

fn connect(address: SocketAddr, dial: &Dial, cancel: &Cancel) -> Result<(TcpStream, Watch), WireError> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).map_err(WireError::Connect)?;
    if let Some(name) = &dial.interface {
        // SO_BINDTODEVICE needs no privilege since Linux 5.7, and unlike binding to the interface's address it also
        // keeps the bytes on it when another route would be shorter.
        let bound = socket.bind_device(Some(name.as_bytes()));
        bound.map_err(|source| WireError::Interface { name: name.to_string(), source })?;
    }
    let socket = TcpStream::from(socket);
    // Watched before it is connected: an address that swallows packets must not hold up the end of a transfer.
    let watch = cancel.watch(&socket).map_err(WireError::Connect)?;
    if !cancel.is_cancelled() {
        SockRef::from(&socket).connect_timeout(&address.into(), dial.connect).map_err(WireError::Connect)?;
    }
    // Shutting a socket that does not connect yet has no effect, so a cancellation just before is noticed here.
    if cancel.is_cancelled() { Err(WireError::Closed) } else { Ok((socket, watch)) }
}
