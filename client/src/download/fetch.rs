//! One ranged GET, its bytes put where they belong.

use std::io::{self, Read};

use etransfer_contract::Span;

use super::part::Part;
use super::window;
use crate::http1::{Connection, Framing, Request, ResponseHead, WireError};
use crate::progress::Meter;
use crate::spread::{Job, Worker};
use crate::{Client, Error, Result};

const WHAT: &str = "a range of the file";
/// Largest body of a refusal worth reading.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// What all ranges of a download have in common.
pub(super) struct Fetch<'a> {
    pub id: &'a str,
    pub part: &'a Part,
    pub size: u64,
    pub meter: &'a Meter<'a>,
}

impl Fetch<'_> {
    /// Fetches `span`; `reached` is moved along with what is in the file, also when this fails.
    pub fn range(&self, span: Span, job: &Job, worker: &mut Worker<'_>, reached: &mut u64) -> Result<()> {
        let mut connection = match worker.connection.take().filter(Connection::is_reusable) {
            Some(connection) => connection,
            None => worker.client.connect()?,
        };
        let broken = |error| worker.client.unreachable(error);
        let head = self.ask(&mut connection, &worker.client, span).map_err(broken)?;
        if !matches!(head.status, 200 | 206) {
            let body = connection.read_body(&head, ANSWER_BYTES_MAX).map_err(broken)?;
            return Err(worker.client.refusal(&head, &body, WHAT, self.id));
        }
        let granted = self.granted(&head, span)?;
        self.receive(&mut connection, granted, job, worker, reached)?;
        connection.answer_read(&head);
        worker.connection = Some(connection);
        Ok(())
    }

    fn ask(
        &self,
        connection: &mut Connection,
        client: &Client,
        span: Span,
    ) -> std::result::Result<ResponseHead, WireError> {
        let target = client.at(&format!("/api/files/{}/download", self.id));
        let range = format!("bytes={}-{}", span.start(), span.end() - 1);
        let etag = self.part.etag();
        let mut fields = vec![("Range", range.as_str())];
        fields.extend(etag.as_deref().map(|etag| ("If-Range", etag)));
        let fields = client.signed(&fields);
        connection.send_head(&Request { method: "GET", target: &target, fields: &fields, body_bytes: None }, false)?;
        connection.read_head(false)
    }

    /// What the body is: the asked span or a first part of it, of the same version as everything before.
    fn granted(&self, head: &ResponseHead, span: Span) -> Result<Span> {
        let changed = || Error::RemoteChanged { id: self.id.to_owned() };
        let Framing::Length(length) = head.framing else {
            return Err(Error::Nonsense { what: WHAT, why: "no length" });
        };
        if !self.part.admits(head.field("etag")) {
            return Err(changed());
        }
        let granted = if head.status == 200 {
            Span::new(0, length) // the range was not honoured: fine when it was the whole file anyway
        } else {
            let (granted, total) = head.field("content-range").and_then(parse_content_range).unzip();
            if total.flatten().is_some_and(|total| total != self.size) {
                return Err(changed());
            }
            granted.filter(|granted| granted.len() == length)
        };
        match granted {
            Some(granted) if granted.start() == span.start() && granted.end() <= span.end() => Ok(granted),
            _ if head.status == 200 => Err(changed()),
            _ => Err(Error::Nonsense { what: WHAT, why: "the Content-Range" }),
        }
    }

    fn receive(
        &self,
        connection: &mut Connection,
        span: Span,
        job: &Job,
        worker: &mut Worker<'_>,
        reached: &mut u64,
    ) -> Result<()> {
        // What came with the head goes in front of what follows it.
        let mut early = connection.take_buffered(span.len());
        let mut at = span.start();
        while at < span.end() {
            let window = window::at(&mut worker.block, at, span.end());
            let given = early.len().min(window.len());
            window[..given].copy_from_slice(&early[..given]);
            early.drain(..given);
            let filled = fill(&mut connection.socket(), &mut window[given..]);
            let (count, end) = match filled {
                Ok(count) => (given + count, None),
                Err((count, error)) => (given + count, Some(error)),
            };
            self.store(&window[..count], at, reached)?;
            worker.count(job, count as u64);
            at += count as u64;
            if let Some(error) = end {
                return Err(worker.client.unreachable(error));
            }
        }
        Ok(())
    }

    fn store(&self, bytes: &[u8], at: u64, reached: &mut u64) -> Result<()> {
        let Some(span) = Span::at(at, bytes.len() as u64) else { return Ok(()) };
        self.part.write(bytes, at).map_err(|source| Error::file("write", &self.part.path, source))?;
        self.part.wrote(span);
        self.meter.add(span.len());
        *reached = span.end();
        Ok(())
    }
}

/// Reads until `block` is full; on failure also tells what came before it.
fn fill(socket: &mut impl Read, block: &mut [u8]) -> std::result::Result<usize, (usize, WireError)> {
    let mut filled = 0;
    while filled < block.len() {
        match socket.read(&mut block[filled..]) {
            Ok(0) => return Err((filled, WireError::Closed)),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((filled, error.into())),
        }
    }
    Ok(filled)
}

/// `bytes 0-1/5` or `bytes 0-1/*`: the span and the total.
pub(super) fn parse_content_range(text: &str) -> Option<(Span, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let span = Span::new(first.parse().ok()?, last.parse::<u64>().ok()?.checked_add(1)?)?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((span, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_is_read_or_refused() {
        let span = |start, end| Span::new(start, end).unwrap();
        for (text, expected) in [
            ("bytes 0-1/5", Some((span(0, 2), Some(5)))),
            ("bytes 3-4/*", Some((span(3, 5), None))),
            ("bytes 4-3/5", None),
            ("bytes */5", None),
            ("items 0-1/5", None),
            ("bytes 0-18446744073709551615/5", None),
            ("bytes -1-4/5", None),
        ] {
            assert_eq!(parse_content_range(text), expected, "{text:?}");
        }
    }
}
