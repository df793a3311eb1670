//! A client that sends exactly the bytes it is told to, in any split, and reads replies with a deadline. It knows nothing
//! of good manners: what a polite client never sends is what it is for.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// No reply takes this long on a working server, however loaded the machine is.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A request as it will stand on the wire.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// `Some`: chunked, each chunk at most this long.
    pub chunk: Option<usize>,
    /// Fields after the last chunk.
    pub trailers: Vec<(String, String)>,
    without: Vec<&'static str>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
            chunk: None,
            trailers: Vec::new(),
            without: Vec::new(),
        }
    }
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }
    /// Removes what was set, and keeps the default from being added.
    pub fn without(mut self, name: &'static str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.without.push(name);
        self
    }
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
    pub fn chunked(mut self, chunk: usize) -> Self {
        self.chunk = Some(chunk);
        self
    }
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) || self.without.contains(&name)
    }

    /// Request line and fields, with `Host` and the framing field when they were not given.
    pub fn head_bytes(&self, host: &str) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut push = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        };
        if !self.has("Host") {
            push("Host", host.as_bytes());
        }
        for (name, value) in &self.headers {
            push(name, value);
        }
        let framed = self.has("Content-Length") || self.has("Transfer-Encoding");
        if !framed && self.chunk.is_some() {
            push("Transfer-Encoding", b"chunked");
        } else if !framed && (!self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PATCH" | "PUT")) {
            push("Content-Length", self.body.len().to_string().as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// The body in its framing.
    pub fn body_bytes(&self) -> Vec<u8> {
        let Some(chunk) = self.chunk else { return self.body.clone() };
        let mut out = Vec::new();
        for piece in self.body.chunks(chunk.max(1)) {
            out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            out.extend_from_slice(piece);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n");
        for (name, value) in &self.trailers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let mut out = self.head_bytes(host);
        out.extend_from_slice(&self.body_bytes());
        out
    }
}

/// One reply, whole.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Status codes of the 1xx replies before it.
    pub interim: Vec<u16>,
    /// What was asked, for the panic message.
    pub asked: String,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "--- asked\n{}\n--- answered {} (interim {:?})", self.asked, self.status, self.interim)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(600)]);
        write!(f, "--- {} bytes\n{text}", self.body.len())
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
    /// The field, which must be there.
    #[track_caller]
    pub fn field(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap_or_else(|_| panic!("{name} is no number in {self:?}"))
    }
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "wanted {status}: {self:?}");
        self
    }
    #[track_caller]
    pub fn one_of(self, statuses: &[u16]) -> Self {
        assert!(statuses.contains(&self.status), "wanted one of {statuses:?}: {self:?}");
        self
    }
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("body is no JSON ({error}): {self:?}"))
    }
    pub fn closes(&self) -> bool {
        self.header("Connection").is_some_and(|v| v.to_ascii_lowercase().split(',').any(|t| t.trim() == "close"))
    }
}

/// Why there is no reply.
#[derive(Debug)]
pub enum NoReply {
    /// The peer closed, in order, after these bytes.
    Closed(Vec<u8>),
    /// The connection was reset.
    Reset(Vec<u8>),
    /// Nothing more came in time.
    TimedOut(Vec<u8>),
    /// Bytes that are no HTTP/1.1 reply.
    Nonsense(#[expect(dead_code, reason = "shown by Debug")] String),
}

/// A connection.
pub struct Conn {
    pub stream: TcpStream,
    host: String,
    pending: Vec<u8>,
    asked: String,
}

impl Conn {
    #[track_caller]
    pub fn open(addr: SocketAddr) -> Self {
        Self::try_open(addr).unwrap_or_else(|error| panic!("connect {addr}: {error}"))
    }

    pub fn try_open(addr: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream, host: addr.to_string(), pending: Vec::new(), asked: String::new() })
    }

    /// A connection whose kernel takes hardly more than what is read from it, about `bytes`: what the node sends beyond that
    /// stays with the node, unacknowledged.
    #[track_caller]
    pub fn open_narrow(addr: SocketAddr, bytes: usize) -> Self {
        use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
        let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let narrow = socket(family, SocketType::STREAM, None).expect("a socket");
        sockopt::set_socket_recv_buffer_size(&narrow, bytes).expect("set SO_RCVBUF");
        connect(&narrow, &addr).unwrap_or_else(|error| panic!("connect {addr}: {error}"));
        let stream = TcpStream::from(narrow);
        stream.set_write_timeout(Some(DEADLINE)).expect("set the write time limit");
        Self { stream, host: addr.to_string(), pending: Vec::new(), asked: String::new() }
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends bytes; a peer that has closed is no failure here (its reply is what counts).
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.try_send(bytes);
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends bytes in pieces of these lengths, over and over, each its own segment as far as the kernel lets us.
    pub fn send_split(&mut self, bytes: &[u8], pieces: &[usize]) {
        let mut rest = bytes;
        for piece in pieces.iter().copied().cycle() {
            if rest.is_empty() {
                return;
            }
            let (now, later) = rest.split_at(piece.clamp(1, rest.len()));
            self.send(now);
            std::thread::yield_now();
            rest = later;
        }
    }

    /// Remembers a short form of the request for panic messages, then sends it whole.
    pub fn send_request(&mut self, request: &Request) {
        self.note(request);
        let bytes = request.bytes(&self.host);
        self.send(&bytes);
    }

    pub fn send_head(&mut self, request: &Request) {
        self.note(request);
        let bytes = request.head_bytes(&self.host);
        self.send(&bytes);
    }

    fn note(&mut self, request: &Request) {
        let head = request.head_bytes(&self.host);
        let shown = String::from_utf8_lossy(&head[..head.len().min(1500)]).replace('\r', "");
        self.asked = format!("{shown}[{} body bytes]", request.body.len());
    }

    /// Sends a request and reads its reply.
    #[track_caller]
    pub fn ask(&mut self, request: &Request) -> Reply {
        self.try_ask(request).unwrap_or_else(|error| panic!("no reply to {}: {error:?}", self.asked))
    }

    pub fn try_ask(&mut self, request: &Request) -> Result<Reply, NoReply> {
        self.send_request(request);
        self.try_reply(request.method == "HEAD", DEADLINE)
    }

    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        self.try_reply(false, DEADLINE).unwrap_or_else(|error| panic!("no reply to {}: {error:?}", self.asked))
    }

    /// Reads one reply; `headless` = it answers a HEAD, so no body follows whatever `Content-Length` says.
    pub fn try_reply(&mut self, headless: bool, wait: Duration) -> Result<Reply, NoReply> {
        let until = Instant::now() + wait;
        let mut interim = Vec::new();
        loop {
            let (status, headers) = self.read_head(until)?;
            if (100..200).contains(&status) && status != 101 {
                interim.push(status);
                continue;
            }
            let mut reply = Reply { status, headers, body: Vec::new(), interim, asked: self.asked.clone() };
            if !headless && status != 204 && status != 304 {
                reply.body = self.read_body(&reply, until)?;
            }
            return Ok(reply);
        }
    }

    /// Status and fields of the next head, interim or final.
    pub fn read_head(&mut self, until: Instant) -> Result<(u16, Vec<(String, String)>), NoReply> {
        let end = loop {
            if let Some(at) = self.pending.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill(until)?;
        };
        let head: Vec<u8> = self.pending.drain(..end).collect();
        let text = String::from_utf8(head).map_err(|error| NoReply::Nonsense(error.to_string()))?;
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| NoReply::Nonsense(text.clone()))?;
        let mut headers = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| NoReply::Nonsense(text.clone()))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok((status, headers))
    }

    fn read_body(&mut self, reply: &Reply, until: Instant) -> Result<Vec<u8>, NoReply> {
        if reply.header("Transfer-Encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            return self.read_chunks(until);
        }
        if let Some(length) = reply.header("Content-Length") {
            let length: usize = length.parse().map_err(|_| NoReply::Nonsense(format!("Content-Length {length}")))?;
            while self.pending.len() < length {
                self.fill(until)?;
            }
            return Ok(self.pending.drain(..length).collect());
        }
        loop {
            match self.fill(until) {
                Ok(()) => {}
                Err(NoReply::Closed(bytes)) => return Ok(bytes),
                Err(error) => return Err(error),
            }
        }
    }

    fn read_chunks(&mut self, until: Instant) -> Result<Vec<u8>, NoReply> {
        let mut body = Vec::new();
        loop {
            let line = self.read_line(until)?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
                .map_err(|_| NoReply::Nonsense(format!("chunk size {line}")))?;
            while self.pending.len() < size + 2 {
                self.fill(until)?;
            }
            body.extend(self.pending.drain(..size));
            self.pending.drain(..2);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn read_line(&mut self, until: Instant) -> Result<String, NoReply> {
        loop {
            if let Some(at) = self.pending.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.pending.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.fill(until)?;
        }
    }

    /// Reads at least `count` bytes of whatever comes.
    #[track_caller]
    pub fn read_some(&mut self, count: usize) -> Vec<u8> {
        let until = Instant::now() + DEADLINE;
        while self.pending.len() < count {
            if let Err(error) = self.fill(until) {
                panic!("wanted {count} bytes: {error:?}");
            }
        }
        std::mem::take(&mut self.pending)
    }

    /// What was read and not yet used.
    pub fn take_pending(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// Everything until the peer ends, or the deadline; `true` when the peer ended.
    pub fn drain(&mut self, wait: Duration) -> (Vec<u8>, bool) {
        let until = Instant::now() + wait;
        loop {
            match self.fill(until) {
                Ok(()) => {}
                Err(NoReply::Closed(bytes) | NoReply::Reset(bytes)) => return (bytes, true),
                Err(NoReply::TimedOut(bytes)) => return (bytes, false),
                Err(NoReply::Nonsense(_)) => unreachable!("fill reads bytes, not words"),
            }
        }
    }

    /// Reads what comes next and forgets it: how many bytes, and whether the peer ended.
    pub fn drain_some(&mut self, wait: Duration) -> (usize, bool) {
        let result = self.fill(Instant::now() + wait);
        (std::mem::take(&mut self.pending).len(), result.is_err())
    }

    /// Waits for the peer to end the connection; nothing else may come first.
    #[track_caller]
    pub fn ends(&mut self) {
        let (bytes, ended) = self.drain(DEADLINE);
        assert!(ended, "the connection stays open after {}", self.asked);
        assert!(bytes.is_empty(), "bytes after the last reply: {:?}", String::from_utf8_lossy(&bytes));
    }

    /// Has anything come yet? Never waits longer than `wait`.
    pub fn quiet_for(&mut self, wait: Duration) -> bool {
        if !self.pending.is_empty() {
            return false;
        }
        matches!(self.fill(Instant::now() + wait), Err(NoReply::TimedOut(_)))
    }

    /// Whether something of an answer, or the end, is there now; takes no time.
    pub fn is_answered(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("look without waiting");
        let looked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("wait again");
        !self.pending.is_empty() || !matches!(looked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    pub fn finish_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection with a reset instead of a FIN.
    pub fn reset(self) {
        let linger = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&self.stream, linger).expect("set SO_LINGER");
    }

    fn fill(&mut self, until: Instant) -> Result<(), NoReply> {
        let mut buffer = [0u8; 65_536];
        loop {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).expect("set the read time limit");
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(NoReply::Closed(std::mem::take(&mut self.pending))),
                Ok(n) => {
                    self.pending.extend_from_slice(&buffer[..n]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= until {
                        return Err(NoReply::TimedOut(std::mem::take(&mut self.pending)));
                    }
                }
                Err(_) => return Err(NoReply::Reset(std::mem::take(&mut self.pending))),
            }
        }
    }
}
