//! A download in order into a writer, standard output for one: nothing is kept locally, so nothing outlives this run.
//!
//! What must stay true: bytes reach the writer once and in order, all of one version; a failure after the first byte is
//! an error, never a second beginning.

use std::io::Write;

use super::fetch::parse_content_range;
use super::{Downloader, Streamed};
use crate::http1::{Connection, Framing, Request};
use crate::patience::{Failures, Patience};
use crate::progress::{Meter, Note};
use crate::{Cancel, Client, Error, Result};

const WHAT: &str = "a range of the file";
/// Passed on at a time.
const BLOCK_BYTES: u64 = 256 * 1024;
/// Largest body of a refusal worth reading.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

impl Downloader {
    /// Downloads one file into `to`, from its first byte to its last.
    pub fn download_stream(&self, id: &str, to: &mut impl Write, cancel: &Cancel) -> Result<Streamed> {
        let client = self.client.under(cancel);
        let info = self.info(&client, id)?;
        let size = info.size.ok_or(Error::LengthUnknown { id: id.to_owned() })?;
        let meter = Meter::new(0, size, &*self.progress);
        let patience = Patience::new(self.options.patience);
        let mut stream = Stream { id, size, client: &client, meter: &meter, at: 0, etag: None };
        let mut failures = Failures::default();
        if size == 0 && info.is_upload_complete() {
            client.fetch_empty(id)?;
        }
        let idle = Patience::new(self.options.follow_idle_max);
        while stream.at < size {
            let before = stream.at;
            let outcome = self.step(&mut stream, to);
            if stream.at > before {
                patience.progressed();
                idle.progressed();
                failures.forget();
            }
            match outcome {
                Ok(true) => {}
                Ok(false) if idle.is_over() => return Err(Error::UploadIdle { available: stream.at, size }),
                Ok(false) => {
                    meter.note(Note::Following { available: stream.at });
                    cancel.sleep(self.options.follow_poll)?;
                }
                Err(error) => failures.pause(error, &patience, cancel, &meter)?,
            }
        }
        to.flush().map_err(written)?;
        Ok(Streamed { id: id.to_owned(), size })
    }

    /// What can be had now; `false`: nothing.
    fn step(&self, stream: &mut Stream<'_>, to: &mut impl Write) -> Result<bool> {
        let available = stream.client.download_info(stream.id)?.available_prefix(stream.size);
        if available <= stream.at {
            return Ok(false);
        }
        stream.fetch(available, to).map(|()| true)
    }
}

struct Stream<'a> {
    id: &'a str,
    size: u64,
    client: &'a Client,
    meter: &'a Meter<'a>,
    /// Bytes written.
    at: u64,
    etag: Option<String>,
}

impl Stream<'_> {
    /// From where the writer is up to `end`.
    fn fetch(&mut self, end: u64, to: &mut impl Write) -> Result<()> {
        let client = self.client;
        let broken = |error| client.unreachable(error);
        let mut connection = client.connect()?;
        let target = client.at(&format!("/api/files/{}/download", self.id));
        let range = format!("bytes={}-{}", self.at, end - 1);
        let mut fields = vec![("Range", range.as_str())];
        fields.extend(self.etag.as_deref().map(|etag| ("If-Range", etag)));
        let fields = client.signed(&fields);
        let request = Request { method: "GET", target: &target, fields: &fields, body_bytes: None };
        connection.send_head(&request, false).map_err(broken)?;
        let head = connection.read_head(false).map_err(broken)?;
        if !matches!(head.status, 200 | 206) {
            let body = connection.read_body(&head, ANSWER_BYTES_MAX).map_err(broken)?;
            return Err(client.refusal(&head, &body, WHAT, self.id));
        }
        let Framing::Length(length) = head.framing else {
            return Err(Error::Nonsense { what: WHAT, why: "no length" });
        };
        let etag = head.field("etag").map(str::to_owned);
        let range = head.field("content-range").and_then(parse_content_range);
        let (start, total) = range.map_or((0, Some(length)), |(span, total)| (span.start(), total));
        let is_same = self.etag.is_none() || self.etag == etag;
        if !is_same || start != self.at || total.is_some_and(|total| total != self.size) {
            return Err(Error::RemoteChanged { id: self.id.to_owned() });
        }
        self.etag = etag;
        self.pass_on(&mut connection, length, to)
    }

    fn pass_on(&mut self, connection: &mut Connection, mut left: u64, to: &mut impl Write) -> Result<()> {
        while left > 0 {
            let bytes = connection.some_body(left.min(BLOCK_BYTES)).map_err(|error| self.client.unreachable(error))?;
            to.write_all(&bytes).map_err(written)?;
            (self.at, left) = (self.at + bytes.len() as u64, left - bytes.len() as u64);
            self.meter.add(bytes.len() as u64);
        }
        Ok(())
    }
}

/// The writer failed.
fn written(source: std::io::Error) -> Error {
    Error::file("write", std::path::Path::new("-"), source)
}
