//! Many connections, one thread, small requests: the next one goes out when the last is answered.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::event::epoll;

use super::http::Head;

/// What a connection says next, given the answer to what it said last (`None` at first). `true`: an operation is done.
pub type Script<'a> = dyn FnMut(usize, Option<&Head>, &mut Vec<u8>) -> Result<bool> + Send + 'a;

struct Talker {
    stream: TcpStream,
    heard: Vec<u8>,
    request: Vec<u8>,
}

/// Operations done within `span`.
pub fn run(addr: SocketAddr, connections: usize, span: Duration, script: &mut Script<'_>) -> Result<u64> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut talkers = Vec::new();
    for index in 0..connections {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        epoll::add(&poll, &stream, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
        talkers.push(Talker { stream, heard: Vec::new(), request: Vec::new() });
    }
    for (index, talker) in talkers.iter_mut().enumerate() {
        talker.say(index, None, script)?;
    }
    let (deadline, mut done) = (Instant::now() + span, 0);
    let mut events = Vec::with_capacity(connections);
    while Instant::now() < deadline {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let index = event.data.u64() as usize;
            done += u64::from(talkers[index].listen(index, script)?);
        }
    }
    Ok(done)
}

impl Talker {
    fn say(&mut self, index: usize, answer: Option<&Head>, script: &mut Script<'_>) -> Result<bool> {
        self.request.clear();
        let done = script(index, answer, &mut self.request)?;
        self.stream.write_all(&self.request)?;
        Ok(done)
    }

    fn listen(&mut self, index: usize, script: &mut Script<'_>) -> Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let came = self.stream.read(&mut buffer)?;
        ensure!(came > 0, "connection {index} was closed after {:?}", String::from_utf8_lossy(&self.request));
        self.heard.extend_from_slice(&buffer[..came]);
        let Some((head, end)) = Head::parse(&self.heard)? else { return Ok(false) };
        let end = end + head.length as usize;
        if self.heard.len() < end {
            return Ok(false);
        }
        self.heard.drain(..end);
        self.say(index, Some(&head), script)
    }
}
