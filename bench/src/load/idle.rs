//! Connections that have done one request and stay: opened before the load, asked once more after it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};

use super::answer::{Answer, BodyLength, chunked_end};
use crate::target::Target;
use crate::workload::Workload;

/// Held connections.
pub struct Idle {
    held: Vec<TcpStream>,
    knock: String,
}

impl Idle {
    pub fn open(target: &Target, workload: &Workload) -> Result<Self> {
        let mut idle = Self { held: Vec::new(), knock: target.knock() };
        for index in 0..workload.idle as usize {
            let address = target.addresses[index % target.addresses.len()];
            let stream = TcpStream::connect_timeout(&address, workload.timeout.0);
            let stream = stream.with_context(|| format!("open idle connection {index}"))?;
            stream.set_read_timeout(Some(workload.timeout.0))?;
            stream.set_write_timeout(Some(workload.timeout.0))?;
            knock(&stream, &idle.knock).with_context(|| format!("first request of idle connection {index}"))?;
            idle.held.push(stream);
        }
        Ok(idle)
    }

    /// How many are still there: they answer once more.
    pub fn survivors(self) -> u64 {
        self.held.iter().filter(|stream| knock(stream, &self.knock).is_ok()).count() as u64
    }
}

fn knock(mut stream: &TcpStream, request: &str) -> Result<()> {
    stream.write_all(request.as_bytes())?;
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let came = stream.read(&mut buffer)?;
        ensure!(came > 0, "closed instead of answered");
        heard.extend_from_slice(&buffer[..came]);
        let Some((answer, end)) = Answer::parse(&heard)? else { continue };
        let whole = match answer.body {
            BodyLength::Known(length) => (heard.len() - end) as u64 >= length,
            BodyLength::Chunked => chunked_end(&heard[end..])?.is_some(),
        };
        if whole {
            return Ok(());
        }
    }
}
