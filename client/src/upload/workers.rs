//! What the connections of one upload do with a slice, and what when they stumble.
//!
//! What must stay true: a slice counts as done only by a 2xx to its whole body or by a later `HEAD`; nothing is assumed
//! about a request that failed: the worker that takes up the rest of its slice asks first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use etransfer_contract::Span;

use super::Run;
use crate::http1::{Connection, Request, Sent, WireError};
use crate::progress::Note;
use crate::slices::{cut, slice_bytes, spread_slice_bytes, widen};
use crate::spread::{Job, Piece, SliceMover, WorkQueue, Worker, WorkerPool};
use crate::{Client, Error, Result};

/// Announced by servers that take slices in any order.
const PARALLEL: &str = "parallel-writes";
/// How often "all acknowledged, yet something is missing" is repaired before it is an error.
const ROUNDS_MAX: usize = 5;
/// Conflicts over a slice of which nothing was stored, before we conclude that slices must come in order. The first may
/// be the echo of a dead connection of our own.
const CONFLICTS_MAX: usize = 2;
/// Largest body of an answer to a PATCH worth reading.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// Bytes a kernel may hold for sending (the third number of `tcp_wmem`, as shipped): handed over, and not yet gone.
const SEND_BUFFER_BYTES: u64 = 4 * 1024 * 1024;

impl Run<'_> {
    /// Sends what is missing until nothing is.
    pub(super) fn fill(&self, remote: &str) -> Result<()> {
        let size = self.source.size();
        let (mut parallel, once) = self.abilities()?;
        let mut held = 0;
        for round in 0..ROUNDS_MAX {
            let state = match self.persist(|client| client.upload_state(remote)) {
                // Everything was acknowledged, and the client that followed the upload has it: that was its purpose.
                Err(Error::NotFound { .. }) if round > 0 && once => return Ok(()),
                other => other?,
            };
            if state.length.is_some_and(|length| length != size) {
                return Err(Error::NotFound { what: remote.to_owned() }); // not ours
            }
            held = state.offset;
            let have = if parallel { state.received } else { Span::new(0, state.offset).into_iter().collect() };
            let slices = Span::new(0, size).map(|whole| cut(whole, &have, self.slice_bytes())).unwrap_or_default();
            self.meter.set(have.bytes());
            if round == 0 && have.bytes() > 0 {
                self.meter.note(Note::Resumed { present: have.bytes() });
            }
            if slices.is_empty() {
                return self.confirm(remote);
            }
            if self.send(remote, slices, parallel)? == Order::Refused {
                self.meter.note(Note::InOrderOnly);
                parallel = false;
            }
        }
        Err(Error::Incomplete { offset: held, size })
    }

    fn slice_bytes(&self) -> u64 {
        let bytes = if self.paths.are_several() { spread_slice_bytes } else { slice_bytes };
        bytes(self.source.size(), self.paths.connections(), self.options.slice_bytes)
    }

    /// Whether slices may go out of order, and whether the file goes away with its first download.
    fn abilities(&self) -> Result<(bool, bool)> {
        match self.persist(Client::info) {
            Ok(info) => {
                let default = info.default_retention.as_deref();
                let retention = self.options.retention.map(|choice| choice.name()).or(default);
                Ok((info.tus_extensions.iter().any(|name| name == PARALLEL), retention == Some("download_once")))
            }
            Err(Error::NotFound { .. }) => Ok((false, false)), // a plain TUS server
            Err(error) => Err(error),
        }
    }

    fn send(&self, remote: &str, slices: Vec<Span>, parallel: bool) -> Result<Order> {
        let queue = WorkQueue::new(&self.paths, !parallel, SEND_BUFFER_BYTES);
        let workers = if parallel { slices.len() } else { 1 };
        queue.push(slices);
        queue.complete();
        let patches = Patches { run: self, remote, parallel, refused: AtomicBool::new(false) };
        let sent = WorkerPool::new(&queue, &patches, &self.cancel.child(), &self.patience, &self.meter).run(workers);
        match patches.refused.into_inner() {
            true => self.cancel.check().map(|()| Order::Refused),
            false => sent.map(|()| Order::Taken),
        }
    }
}

/// What the server made of the order of the slices.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Taken,
    /// It refused a slice it should have taken: it writes in order only, whatever it announced.
    Refused,
}

/// Carries slices up.
struct Patches<'a> {
    run: &'a Run<'a>,
    remote: &'a str,
    parallel: bool,
    /// See [`Order::Refused`]; then the pool was ended.
    refused: AtomicBool,
}

impl SliceMover for Patches<'_> {
    fn carry(&self, job: &Job, worker: &mut Worker<'_>, rest: &mut Vec<Piece>) -> Result<()> {
        let mut left = match job.piece.unsure {
            true => self.ask(&job.piece, worker, rest)?,
            false => VecDeque::from([job.piece.span]),
        };
        while let Some(part) = left.pop_front() {
            let mut counted = 0;
            let Err(error) = self.attempt(part, job, worker, &mut counted) else {
                self.moved_on(worker);
                continue;
            };
            self.run.meter.take_back(counted);
            let conflicts = job.piece.conflicts + usize::from(matches!(error, Error::Refused { status: 409, .. }));
            rest.push(Piece::unsure(part, conflicts));
            rest.extend(left.into_iter().map(Piece::new));
            return Err(error);
        }
        Ok(())
    }

    fn refused(&self, error: Error, worker: &mut Worker<'_>) -> Result<()> {
        self.run.pause(error, &mut worker.failures, &worker.client)
    }
}

impl Patches<'_> {
    fn moved_on(&self, worker: &mut Worker<'_>) {
        worker.moved_on();
        self.run.patience.progressed();
        self.run.room.found();
    }

    /// What the server lacks of a piece that failed, by its own word.
    fn ask(&self, piece: &Piece, worker: &mut Worker<'_>, rest: &mut Vec<Piece>) -> Result<VecDeque<Span>> {
        let state = match worker.client.upload_state(self.remote) {
            Ok(state) => state,
            Err(error) => {
                rest.push(piece.clone());
                return Err(error);
            }
        };
        let span = piece.span;
        let remaining = match self.parallel {
            true => state.received.missing(span),
            // The server fell back behind this piece (a crash below the strict level): plan again.
            false if state.offset < span.start() => return self.order_refused(),
            false => Span::new(state.offset.max(span.start()), span.end()).into_iter().collect(),
        };
        let stored = span.len() - remaining.iter().map(|span| span.len()).sum::<u64>();
        self.run.meter.add(stored);
        if stored > 0 {
            self.moved_on(worker);
        } else if piece.conflicts >= CONFLICTS_MAX && self.parallel {
            return self.order_refused();
        }
        Ok(remaining.into_iter().map(|span| if self.parallel { widen(span) } else { span }).collect())
    }

    fn order_refused<T>(&self) -> Result<T> {
        self.refused.store(true, Ordering::Relaxed);
        Err(Error::Interrupted)
    }

    /// One PATCH. `counted` is what the meter was told about it.
    fn attempt(&self, part: Span, job: &Job, worker: &mut Worker<'_>, counted: &mut u64) -> Result<()> {
        worker.client.cancel().check()?;
        self.run.source.check_unchanged()?;
        let mut connection = match worker.connection.take().filter(Connection::is_reusable) {
            Some(connection) => connection,
            None => worker.client.connect()?,
        };
        let offset = part.start().to_string();
        let fields = worker.client.signed(&[
            ("Tus-Resumable", "1.0.0"),
            ("Content-Type", "application/offset+octet-stream"),
            ("Upload-Offset", &offset),
        ]);
        let request = Request { method: "PATCH", target: self.remote, fields: &fields, body_bytes: Some(part.len()) };
        let moved = |bytes| {
            *counted += bytes;
            worker.count(job, bytes);
            self.run.meter.add(bytes);
        };
        let broken = |error| self.broken(error, &worker.client);
        connection.send_head(&request, true).map_err(broken)?;
        let sent = connection.send_file(&self.run.source.file, part, moved).map_err(broken)?;
        let head = connection.read_head(false).map_err(broken)?;
        let body = connection.read_body(&head, ANSWER_BYTES_MAX).map_err(broken)?;
        match (head.status, sent) {
            (200..=299, Sent::Whole) => {
                worker.connection = Some(connection);
                Ok(())
            }
            // Success for a body that was not sent whole: believe `HEAD` instead.
            (200..=299, Sent::AnsweredEarly) => Err(worker.client.unreachable(WireError::Closed)),
            _ => Err(worker.client.refusal(&head, &body, "a PATCH", self.remote)),
        }
    }

    fn broken(&self, error: WireError, client: &Client) -> Error {
        match error {
            WireError::Source(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
                Error::SourceChanged { path: self.run.source.path.clone() }
            }
            WireError::Source(source) => Error::file("read", &self.run.source.path, source),
            other => client.unreachable(other),
        }
    }
}
