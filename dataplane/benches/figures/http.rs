//! As much of an HTTP/1.1 client as a load generator needs: one request, one reply, sizes known, nothing allocated per byte.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::net::{RecvFlags, recv};

use super::pattern::{Pattern, WINDOW};

/// Status line and fields, and how many body bytes follow.
#[derive(Debug, Clone)]
pub struct Head {
    pub status: u16,
    pub length: u64,
    text: String,
}

impl Head {
    /// The head at the start of `bytes` and where it ends; `None` while it is not whole.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let text = str::from_utf8(&bytes[..end])?.to_owned();
        let status = text.get(9..12).context("status line")?.parse()?;
        let mut head = Self { status, length: 0, text };
        if let Some(length) = head.field("content-length") {
            head.length = length.parse()?;
        }
        ensure!(head.field("transfer-encoding").is_none(), "a load generator reads no chunks: {}", head.text);
        Ok(Some((head, end + 4)))
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected {status}: {}", self.text);
        Ok(self)
    }
}

/// One keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    /// Body bytes that came together with the head.
    early: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).with_context(|| format!("connect to {addr}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, early: Vec::new(), buffer: vec![0; WINDOW] })
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Sends `len` bytes of `file` from `offset` on.
    pub fn send_body(&mut self, pattern: &Pattern, file: usize, offset: u64, len: u64) -> Result<()> {
        let mut sent = 0;
        while sent < len {
            let piece = pattern.at(file, offset + sent, (len - sent).min(WINDOW as u64) as usize);
            self.stream.write_all(piece)?;
            sent += piece.len() as u64;
        }
        Ok(())
    }

    pub fn head(&mut self) -> Result<Head> {
        let mut bytes = std::mem::take(&mut self.early);
        loop {
            if let Some((head, end)) = Head::parse(&bytes)? {
                self.early = bytes.split_off(end);
                return Ok(head);
            }
            let came = self.stream.read(&mut self.buffer)?;
            ensure!(came > 0, "closed inside a head: {}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&self.buffer[..came]);
        }
    }

    /// Lets the kernel throw the body away: the cheapest receiver there is.
    pub fn discard_body(&mut self, len: u64) -> Result<()> {
        let mut left = len - self.take_early(len).len() as u64;
        while left > 0 {
            let want = left.min(WINDOW as u64) as usize;
            match recv(&self.stream, &mut self.buffer[..want], RecvFlags::TRUNC) {
                Ok((_, 0)) => bail!("closed with {left} bytes of the body missing"),
                Ok((_, came)) => left -= came as u64,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads the body and compares it.
    pub fn check_body(&mut self, len: u64, pattern: &Pattern, file: usize) -> Result<()> {
        let early = self.take_early(len);
        ensure!(pattern.holds(file, 0, &early), "file {file} differs in its first bytes");
        let mut at = early.len() as u64;
        while at < len {
            let want = (len - at).min(WINDOW as u64) as usize;
            self.stream.read_exact(&mut self.buffer[..want])?;
            ensure!(pattern.holds(file, at, &self.buffer[..want]), "file {file} differs at {at} or a little behind");
            at += want as u64;
        }
        Ok(())
    }

    /// One request without a body; its reply's body is thrown away.
    pub fn call(&mut self, request: &str) -> Result<Head> {
        self.send(request.as_bytes())?;
        let head = self.head()?;
        self.discard_body(head.length)?;
        Ok(head)
    }

    /// Waits for the peer's one byte (the bare loop's acknowledgement).
    pub fn one_byte(&mut self) -> Result<()> {
        Ok(self.stream.read_exact(&mut self.buffer[..1])?)
    }

    fn take_early(&mut self, len: u64) -> Vec<u8> {
        let rest = self.early.split_off(self.early.len().min(len as usize));
        std::mem::replace(&mut self.early, rest)
    }
}
