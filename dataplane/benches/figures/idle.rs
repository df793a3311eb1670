//! What an idle keep-alive connection costs in resident memory, once it has done a request.

use anyhow::{Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::http::Head;
use super::node::Node;
use super::report::{Bound, Report, Sample, Target};
use super::settings::Settings;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

const REQUEST: &[u8] = b"GET /api/health HTTP/1.1\r\nHost: figures\r\n\r\n";

pub fn measure(settings: &Settings, report: &mut Report) -> Result<()> {
    let Some(et) = &settings.et else { return Ok(()) };
    report.target(Target {
        case: "idle",
        metric: "kib_per_connection",
        row: "et",
        reference: None,
        bound: Bound::AtMost(8.0),
    });
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    for _ in 0..settings.runs {
        let dir = settings.scratch("idle")?;
        let node = Node::start(settings, et, dir.path())?;
        // The empty server: it has answered one connection, which is gone.
        drop(connection(node.addr)?);
        let before = node.process.resident_bytes()?;
        let connections: Result<Vec<_>> = (0..settings.idle_connections).map(|_| connection(node.addr)).collect();
        let mut connections = connections?;
        let after = node.process.resident_bytes()?;
        for connection in &mut connections {
            request(connection)?; // it is still there: nothing was measured by being closed
        }
        let kib = after.saturating_sub(before) as f64 / 1024.0;
        let per_connection = kib / settings.idle_connections as f64;
        let sample =
            Sample::from([("kib_per_connection", per_connection), ("empty_mib", before as f64 / (1024.0 * 1024.0))]);
        report.add("idle", "et", sample);
    }
    Ok(())
}

/// Open, and one request done.
fn connection(addr: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(addr)?;
    request(&mut stream)?;
    Ok(stream)
}

fn request(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(REQUEST)?;
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let came = stream.read(&mut buffer)?;
        ensure!(came > 0, "closed instead of answered");
        heard.extend_from_slice(&buffer[..came]);
        if let Some((head, end)) = Head::parse(&heard)?
            && heard.len() as u64 >= end as u64 + head.length
        {
            head.expect(200)?;
            return Ok(());
        }
    }
}
