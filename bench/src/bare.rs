//! The bare loop: what moving a body from a socket into a file costs when nothing else is done. It takes PUT and DELETE as
//! `et-bench` says them, so that the same load drives it; `et-bench figures` starts it as the peer every server is held
//! against. A thread per connection: receive a whole MiB, write it, again.
//!
//! *Absent on purpose:* grants, journals, checksums, names that need care, errors that are anything but the end.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{CWD, FallocateFlags, Mode, OFlags};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::units::MIB;

/// Most bytes received and written at once.
const PIECE: usize = MIB as usize;
const HEAD_MAX: usize = 4096;
/// What direct writes ask of memory; a huge page, because that is cheaper to pin.
const ALIGNMENT: usize = 2 << 20;

/// What becomes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sink {
    /// Received, and that is all: the floor.
    Discard,
    /// Through the page cache.
    Buffered,
    /// Past it; bodies are whole blocks.
    Direct,
}

/// Serves on `port` until it is killed; files lie in `dir`.
pub fn serve(port: u16, dir: &Path, sink: Sink) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("listen on {port}"))?;
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            let stream = stream.context("accept")?;
            scope.spawn(move || {
                if let Err(error) = converse(&stream, dir, sink) {
                    eprintln!("{error:#}");
                }
            });
        }
        Ok(())
    })
}

fn converse(stream: &TcpStream, dir: &Path, sink: Sink) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut memory = vec![1; PIECE + ALIGNMENT];
    let start = memory.as_ptr().align_offset(ALIGNMENT);
    let piece = &mut memory[start..start + PIECE];
    while let Some(head) = read_head(stream)? {
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = dir.join(target.rsplit('/').next().unwrap_or_default());
        let answer = match method {
            "PUT" => {
                take(stream, &path, length(&head)?, sink, piece)?;
                "201 Created"
            }
            "DELETE" if sink == Sink::Discard => "204 No Content",
            "DELETE" => {
                std::fs::remove_file(&path)?;
                "204 No Content"
            }
            other => bail!("the bare loop knows PUT and DELETE, not {other:?}"),
        };
        let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
        ensure!(send(stream, answer.as_bytes(), SendFlags::NOSIGNAL)? == answer.len(), "a short answer");
    }
    Ok(())
}

/// Looks first and takes the head alone, so that the body begins where memory is aligned. `None`: the client is done.
fn read_head(stream: &TcpStream) -> Result<Option<String>> {
    let mut buffer = [0; HEAD_MAX];
    let mut seen = 0;
    loop {
        // Returns early when more has come than was seen the last time, waits otherwise.
        let wanted = (seen + 1).min(HEAD_MAX);
        recv(stream, &mut buffer[..wanted], RecvFlags::PEEK | RecvFlags::WAITALL)?;
        let (came, _) = recv(stream, &mut buffer[..], RecvFlags::PEEK)?;
        if let Some(end) = buffer[..came].windows(4).position(|four| four == b"\r\n\r\n") {
            let (taken, _) = recv(stream, &mut buffer[..end + 4], RecvFlags::WAITALL)?;
            ensure!(taken == end + 4, "half a head");
            return Ok(Some(String::from_utf8_lossy(&buffer[..taken]).into_owned()));
        }
        if came == seen || came == HEAD_MAX {
            ensure!(came == 0, "no head in {came} bytes");
            return Ok(None);
        }
        seen = came;
    }
}

fn length(head: &str) -> Result<u64> {
    let field = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    field.context("no Content-Length")?.parse().context("Content-Length")
}

fn take(stream: &TcpStream, path: &Path, length: u64, sink: Sink, piece: &mut [u8]) -> Result<()> {
    let file = match sink {
        Sink::Discard => None,
        Sink::Buffered => Some(preallocated(path, length, OFlags::empty())?),
        Sink::Direct => Some(preallocated(path, length, OFlags::DIRECT)?),
    };
    let mut at = 0;
    while at < length {
        let wanted = (length - at).min(PIECE as u64) as usize;
        let (came, _) = recv(stream, &mut piece[..wanted], RecvFlags::WAITALL)?;
        ensure!(came == wanted, "{} bytes are missing", length - at - came as u64);
        if let Some(file) = &file {
            ensure!(rustix::io::pwrite(file, &piece[..came], at)? == came, "a short write");
        }
        at += came as u64;
    }
    Ok(())
}

fn preallocated(path: &Path, length: u64, direct: OFlags) -> Result<File> {
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC | direct;
    let file = rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o600)).context("open")?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, length).context("preallocate")?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn what_is_put_is_the_file_and_the_connection_stays() {
        for sink in [Sink::Buffered, Sink::Discard] {
            let dir = tempfile::tempdir().expect("a directory");
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let mut client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connect");
            let (server, _) = listener.accept().expect("accept");
            let body: Vec<u8> = (0..3 * MIB + 5).map(|at| (at % 251) as u8).collect();
            std::thread::scope(|scope| {
                let serving = scope.spawn(|| converse(&server, dir.path(), sink));
                for name in ["a", "b"] {
                    let head = format!("PUT /{name} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
                    let (first, second) = head.split_at(9);
                    for part in [first.as_bytes(), second.as_bytes(), &body] {
                        client.write_all(part).expect("it takes everything");
                    }
                    let mut answer = [0; 43];
                    client.read_exact(&mut answer).expect("an answer");
                    assert!(answer.starts_with(b"HTTP/1.1 201 "), "{}", String::from_utf8_lossy(&answer));
                    let stored = std::fs::read(dir.path().join(name)).ok();
                    assert_eq!(stored, (sink != Sink::Discard).then(|| body.clone()), "{sink:?}");
                }
                client.shutdown(std::net::Shutdown::Write).expect("said all");
                serving.join().expect("no panic").expect("a normal end");
            });
        }
    }
}
