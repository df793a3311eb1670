//! One client connection over an ordinary socket: requests written by hand, heads parsed just enough.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// A client that hears nothing for this long has met a bug.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub struct Client {
    stream: BufReader<TcpStream>,
}

/// The head of an answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    fields: Vec<(String, String)>,
}

impl Client {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// Connects so that little is on the way to it: as long as it reads nothing, a sender soon gets rid of nothing.
    pub fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        // The sender's own buffer grows with the size of a segment.
        socket.set_tcp_mss(1000).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// Sends a head without a body; `fields` end with `\r\n` each.
    pub fn ask(&mut self, method: &str, path: &str, fields: &str) {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: node\r\nTus-Resumable: 1.0.0\r\n{fields}\r\n");
        self.stream.get_mut().write_all(head.as_bytes()).unwrap();
    }

    /// Sends a request that brings `announced` bytes of an upload, and as much of them as `body` holds.
    pub fn upload(&mut self, method: &str, path: &str, offset: u64, announced: u64, body: &[u8]) -> io::Result<()> {
        let place = match method {
            "POST" => format!("Upload-Length: {announced}\r\n"),
            _ => format!("Upload-Offset: {offset}\r\n"),
        };
        let kind = "Content-Type: application/offset+octet-stream\r\n";
        self.ask(method, path, &format!("{place}{kind}Content-Length: {announced}\r\n"));
        self.stream.get_mut().write_all(body)
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Sends bytes, as far as the peer takes them.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Sends no more.
    pub fn finish(&mut self) {
        self.stream.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// Reads the head of the answer; `None` when the connection ended instead.
    pub fn head(&mut self) -> Option<Answer> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let field = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Some(Answer { status, fields: lines[1..].iter().filter_map(field).collect() })
    }

    /// Whether an answer, or the end of the connection, is there. Looks without waiting.
    pub fn is_answered(&mut self) -> bool {
        let stream = self.stream.get_mut();
        stream.set_nonblocking(true).unwrap();
        let looked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        !matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads an answer and its whole body.
    pub fn whole(&mut self) -> (Answer, Vec<u8>) {
        let answer = self.head().expect("an answer");
        let mut body = vec![0; answer.number("content-length").unwrap_or(0) as usize];
        self.stream.read_exact(&mut body).unwrap();
        (answer, body)
    }

    /// Reads `bytes` bytes.
    pub fn exactly(&mut self, bytes: usize) -> Vec<u8> {
        self.try_exactly(bytes).unwrap()
    }

    /// Reads `bytes` bytes, if they come.
    pub fn try_exactly(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        self.stream.read_exact(&mut read).map(|()| read)
    }

    /// Reads some of a body; 0 is the end.
    pub fn some(&mut self, buf: &mut [u8]) -> usize {
        self.stream.read(buf).unwrap()
    }
}

impl Answer {
    /// A numeric field.
    pub fn number(&self, name: &str) -> Option<u64> {
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        value.parse().ok()
    }
}
