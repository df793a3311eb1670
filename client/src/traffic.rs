//! What goes through the node's NICs, once a second: from its stream of events where it has one, by asking otherwise.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::http1::{Connection, Request, ResponseHead, WireError};
use crate::{Client, Error, Result};

const WHAT: &str = "the traffic";
/// Between two questions to a server without a stream.
const POLL: Duration = Duration::from_secs(1);
/// Largest event.
const EVENT_BYTES_MAX: u64 = 1024 * 1024;

/// `GET /api/traffic` (easytransfer/CONTRACT.md §5.5). *Upload* is what the node sends, *download* what it receives.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// One entry per NIC.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub interfaces: Vec<Nic>,
    /// All of them together.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub total: Rates,
}

/// One NIC of the node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Nic {
    /// `eth0`
    pub name: String,
    /// `None` or 0 when unknown.
    #[serde(default)]
    pub speed_mbps: Option<u64>,
    /// Bytes per second.
    #[serde(flatten)]
    pub rates: Rates,
    /// What it sends, percent of the speed.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub upload_load_percent: f64,
    /// What it receives, percent of the speed.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub download_load_percent: f64,
}

/// Bytes per second.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Sent by the node.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub upload_rate: f64,
    /// Received by the node.
    #[serde(default, deserialize_with = "crate::types::null_is_default")]
    pub download_rate: f64,
}

impl Client {
    /// `GET /api/traffic`.
    pub fn traffic(&self) -> Result<Traffic> {
        self.get("/api/traffic", WHAT, WHAT)
    }

    /// The traffic from now on.
    pub fn watch_traffic(&self) -> Result<TrafficFeed> {
        let source = match self.open_stream()? {
            Some(stream) => Source::Stream(stream),
            None => Source::Questions { asked: false },
        };
        Ok(TrafficFeed { client: self.clone(), source })
    }

    fn open_stream(&self) -> Result<Option<Stream>> {
        let mut connection = self.connect()?;
        let target = self.at("/api/traffic/stream");
        let fields = self.signed(&[("Accept", "text/event-stream")]);
        let request = Request { method: "GET", target: &target, fields: &fields, body_bytes: None };
        let broken = |error| self.unreachable(error);
        connection.send_head(&request, false).map_err(broken)?;
        let head = connection.read_head(false).map_err(broken)?;
        let is_stream = head.field("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        Ok((head.status == 200 && is_stream).then_some(Stream { connection, head, pending: Vec::new() }))
    }
}

/// Traffic, second after second.
pub struct TrafficFeed {
    client: Client,
    source: Source,
}

enum Source {
    Stream(Stream),
    Questions { asked: bool },
}

struct Stream {
    connection: Connection,
    head: ResponseHead,
    /// Bytes after the last whole line.
    pending: Vec<u8>,
}

impl TrafficFeed {
    /// Waits for the next second's. After an error a new feed is needed.
    pub fn wait_next(&mut self) -> Result<Traffic> {
        match &mut self.source {
            Source::Stream(stream) => {
                let event = stream.next_event().map_err(|error| self.client.unreachable(error))?;
                serde_json::from_slice(&event).map_err(|source| Error::Json { what: WHAT, source })
            }
            Source::Questions { asked } => {
                if std::mem::replace(asked, true) {
                    self.client.cancel().sleep(POLL)?;
                }
                self.client.traffic()
            }
        }
    }
}

impl Stream {
    /// The data of the next event that has some. One line holds it: the server writes JSON without line breaks.
    fn next_event(&mut self) -> std::result::Result<Vec<u8>, WireError> {
        loop {
            while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                if let Some(data) = line.strip_prefix(b"data:") {
                    return Ok(data.trim_ascii().to_vec());
                }
            }
            let more = self.connection.read_piece(&self.head, EVENT_BYTES_MAX)?.ok_or(WireError::Closed)?;
            self.pending.extend(more);
            if self.pending.len() as u64 > EVENT_BYTES_MAX {
                return Err(WireError::TooLarge);
            }
        }
    }
}
