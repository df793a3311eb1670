//! One keep-alive connection: non-blocking, one exchange at a time, nothing allocated per byte.
//!
//! Must stay true: [`Connection::advance`] moves a bounded amount, so that one connection cannot keep the others of its
//! thread waiting; a connection whose exchange went wrong in the middle is closed and opened again by the next one.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};
use socket2::{Domain, Protocol, Socket, Type};

use super::answer::{Answer, BodyLength, chunked_end};
use super::failure::Failure;
use crate::content::Content;
use crate::units::MIB;

/// Bytes moved by one call of `advance`.
const TURN_BYTES: u64 = MIB;
/// Answers other than files are at most this long.
const TALK_BYTES_MAX: usize = MIB as usize;

/// A piece of a numbered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub file: u64,
    pub offset: u64,
    pub length: u64,
}

/// A request, and what its answer must be.
#[derive(Debug)]
pub struct Ask {
    pub head: String,
    pub body: Option<Piece>,
    pub statuses: &'static [u16],
    /// The answer's body is exactly this piece.
    pub expects: Option<Piece>,
}

struct Exchange {
    ask: Ask,
    since: Instant,
    head_sent: usize,
    body_sent: u64,
    answer: Option<Answer>,
    body_heard: u64,
}

impl Exchange {
    fn body_left(&self) -> u64 {
        self.ask.body.map_or(0, |piece| piece.length - self.body_sent)
    }

    fn is_sent(&self) -> bool {
        self.head_sent == self.ask.head.len() && self.body_left() == 0
    }
}

/// Bytes of files that moved, and what comparing them cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meter {
    pub sent: u64,
    pub received: u64,
    pub verified: u64,
    pub verifying: Duration,
}

/// A place to connect to.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub to: SocketAddr,
    pub from: Option<IpAddr>,
}

pub struct Connection {
    route: Route,
    stream: Option<TcpStream>,
    exchange: Option<Exchange>,
    /// Bytes of the answer's head, and of a body that is no file.
    heard: Vec<u8>,
    /// Whether the epoll set was told to watch for room to write.
    pub watches_room: bool,
    /// Over its life: file bytes and exchanges done.
    pub meter: Meter,
    pub exchanges: u64,
    pub opened: u64,
}

impl Connection {
    pub fn new(route: Route) -> Self {
        Self {
            route,
            stream: None,
            exchange: None,
            heard: Vec::new(),
            watches_room: false,
            meter: Meter::default(),
            exchanges: 0,
            opened: 0,
        }
    }

    pub fn stream(&self) -> Option<&TcpStream> {
        self.stream.as_ref()
    }

    pub fn local(&self) -> Option<SocketAddr> {
        self.stream.as_ref()?.local_addr().ok()
    }

    pub fn remote(&self) -> SocketAddr {
        self.route.to
    }

    /// Begins to connect; the socket is not yet known to any epoll set.
    pub fn open(&mut self) -> Result<&TcpStream, Failure> {
        let socket = Socket::new(Domain::for_address(self.route.to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(from) = self.route.from {
            socket.bind(&SocketAddr::new(from, 0).into())?;
        }
        match socket.connect(&self.route.to.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error.into());
            }
            _ => {}
        }
        self.opened += 1;
        self.watches_room = false;
        Ok(self.stream.insert(socket.into()))
    }

    pub fn close(&mut self) {
        self.stream = None;
        self.exchange = None;
        self.heard.clear();
    }

    pub fn is_busy(&self) -> bool {
        self.exchange.is_some()
    }

    /// Since when its exchange is under way.
    pub fn busy_since(&self) -> Option<Instant> {
        Some(self.exchange.as_ref()?.since)
    }

    pub fn ask(&mut self, ask: Ask) {
        debug_assert!(self.exchange.is_none(), "one exchange at a time");
        let since = Instant::now();
        self.exchange = Some(Exchange { ask, since, head_sent: 0, body_sent: 0, answer: None, body_heard: 0 });
    }

    /// Whether there is more to send.
    pub fn wants_room(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| !exchange.is_sent())
    }

    /// Sends what can be sent now of what was just asked.
    pub fn send(&mut self, content: &Content, meter: &mut Meter) -> Result<(), Failure> {
        let before = meter.sent;
        let outcome = self.push(content, meter);
        self.meter.sent += meter.sent - before;
        outcome.inspect_err(|_| self.close())
    }

    /// Moves what can be moved now; the answer when the exchange is done. On an error the connection is closed, unless
    /// the error is a status of a whole exchange.
    pub fn advance(
        &mut self,
        content: &Content,
        verify: bool,
        scratch: &mut [u8],
        meter: &mut Meter,
    ) -> Result<Option<Answer>, Failure> {
        let before = *meter;
        let outcome = self.push(content, meter).and_then(|()| self.pull(content, verify, scratch, meter));
        self.meter.sent += meter.sent - before.sent;
        self.meter.received += meter.received - before.received;
        match outcome {
            Ok(None) => Ok(None),
            Ok(Some(answer)) => self.finish(answer).map(Some),
            Err(failure) => {
                self.close();
                Err(failure)
            }
        }
    }

    fn finish(&mut self, answer: Answer) -> Result<Answer, Failure> {
        let exchange = self.exchange.take().expect("only a connection that asked is answered");
        self.exchanges += 1;
        if answer.closes || !exchange.is_sent() {
            self.close();
        }
        if exchange.ask.statuses.contains(&answer.status) { Ok(answer) } else { Err(Failure::Status(answer.status)) }
    }

    fn push(&mut self, content: &Content, meter: &mut Meter) -> Result<(), Failure> {
        let (Some(stream), Some(exchange)) = (&mut self.stream, &mut self.exchange) else { return Ok(()) };
        let mut moved = 0;
        while !exchange.is_sent() && exchange.answer.is_none() && moved < TURN_BYTES {
            let head = &exchange.ask.head.as_bytes()[exchange.head_sent..];
            let body = exchange.ask.body.map_or(&[][..], |piece| {
                content.at(piece.file, piece.offset + exchange.body_sent, exchange.body_left())
            });
            let count = match stream.write_vectored(&[IoSlice::new(head), IoSlice::new(body)]) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The server may have answered before it stopped reading: `pull` sees that, or the error again.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let of_head = count.min(head.len());
            exchange.head_sent += of_head;
            exchange.body_sent += (count - of_head) as u64;
            meter.sent += (count - of_head) as u64;
            moved += count as u64;
        }
        Ok(())
    }

    fn pull(
        &mut self,
        content: &Content,
        verify: bool,
        scratch: &mut [u8],
        meter: &mut Meter,
    ) -> Result<Option<Answer>, Failure> {
        let (Some(stream), Some(exchange)) = (&mut self.stream, &mut self.exchange) else { return Ok(None) };
        let mut moved = 0;
        loop {
            // Before the bound: no event follows the last byte of an answer.
            if let Some(answer) = exchange.whole_answer(&self.heard)? {
                self.heard.clear();
                return Ok(Some(answer));
            }
            if moved >= TURN_BYTES {
                return Ok(None);
            }
            let expected = exchange.file_left();
            let wanted = expected.map_or(scratch.len(), |left| left.min(scratch.len() as u64) as usize);
            let discards = expected.is_some() && !verify;
            let came = if discards {
                recv(stream.as_fd(), &mut scratch[..wanted], RecvFlags::TRUNC).map(|(_, came)| came).map_err(Into::into)
            } else {
                stream.read(&mut scratch[..wanted])
            };
            let came = match came {
                Ok(0) => return Err(Failure::Closed),
                Ok(came) => came,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            moved += came as u64;
            if discards {
                exchange.body_heard += came as u64;
                meter.received += came as u64;
            } else if expected.is_some() {
                exchange.take_file(&scratch[..came], content, verify, meter)?;
            } else {
                self.heard.extend_from_slice(&scratch[..came]);
                exchange.take_head(&mut self.heard, content, verify, meter)?;
            }
        }
    }
}

impl Exchange {
    /// Bytes of the expected file that are still to come, once the head is there and accepted.
    fn file_left(&self) -> Option<u64> {
        let (piece, answer) = (self.ask.expects?, self.answer.as_ref()?);
        self.ask.statuses.contains(&answer.status).then(|| piece.length - self.body_heard)
    }

    /// Looks for a whole head in `heard`; bytes behind it that belong to a file are taken out of it.
    fn take_head(
        &mut self,
        heard: &mut Vec<u8>,
        content: &Content,
        verify: bool,
        meter: &mut Meter,
    ) -> Result<(), Failure> {
        if heard.len() > TALK_BYTES_MAX {
            return Err(Failure::NotHttp);
        }
        if self.answer.is_some() {
            return Ok(());
        }
        let Some((answer, end)) = Answer::parse(heard)? else { return Ok(()) };
        let body = answer.body;
        self.answer = Some(answer);
        heard.drain(..end);
        if let Some(left) = self.file_left() {
            if body != BodyLength::Known(left) {
                return Err(Failure::WrongLength);
            }
            if heard.len() as u64 > left {
                return Err(Failure::NotHttp);
            }
            self.take_file(heard, content, verify, meter)?;
            heard.clear();
        }
        Ok(())
    }

    fn take_file(&mut self, bytes: &[u8], content: &Content, verify: bool, meter: &mut Meter) -> Result<(), Failure> {
        let piece = self.ask.expects.expect("file bytes are taken only where a file is expected");
        if verify {
            let start = Instant::now();
            let holds = content.holds(piece.file, piece.offset + self.body_heard, bytes);
            meter.verifying += start.elapsed();
            if !holds {
                return Err(Failure::WrongBytes);
            }
            meter.verified += bytes.len() as u64;
        }
        self.body_heard += bytes.len() as u64;
        meter.received += bytes.len() as u64;
        Ok(())
    }

    /// The answer, when its body has come too.
    fn whole_answer(&mut self, heard: &[u8]) -> Result<Option<Answer>, Failure> {
        let Some(answer) = &self.answer else { return Ok(None) };
        let end = match (self.file_left(), answer.body) {
            (Some(left), _) => (left == 0).then_some(0),
            (None, BodyLength::Known(length)) => (heard.len() as u64 >= length).then_some(length as usize),
            (None, BodyLength::Chunked) => chunked_end(heard)?,
        };
        match end {
            None => Ok(None),
            Some(end) if end < heard.len() => Err(Failure::NotHttp),
            Some(_) => Ok(self.answer.take()),
        }
    }
}
