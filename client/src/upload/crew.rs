//! The connections of one upload: a queue of slices, threads that take from it, and what each does when it stumbles.
//!
//! What must stay true: a slice counts as done only by a 2xx to its whole body or by a later `HEAD`; nothing is assumed
//! about a request that failed. The first fatal error ends all threads.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use etransfer_contract::Span;

use super::Run;
use crate::http1::{Connection, Request, Sent, WireError};
use crate::patience::Failures;
use crate::progress::Note;
use crate::slices::{ALIGNMENT, cut, slice_bytes, widen};
use crate::{Cancel, Client, Error, Result};

/// Announced by servers that take slices in any order.
const PARALLEL: &str = "parallel-writes";
/// How often "all acknowledged, yet something is missing" is repaired before it is an error.
const ROUNDS_MAX: usize = 5;
/// Conflicts over a slice of which nothing was stored, before we conclude that slices must come in order. The first may
/// be the echo of a dead connection of our own.
const CONFLICTS_MAX: usize = 2;
/// Largest body of an answer to a PATCH worth reading.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Why a crew ended early.
enum Stop {
    /// The server refused a slice it should have taken: it writes in order only, whatever it announced.
    InOrderOnly,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Run<'_> {
    /// Sends what is missing until nothing is.
    pub(super) fn fill(&self, remote: &str) -> Result<()> {
        let size = self.source.size();
        let (mut parallel, once) = self.abilities()?;
        let mut held = 0;
        for round in 0..ROUNDS_MAX {
            let state = match self.state(&self.client, remote) {
                // Everything was acknowledged, and whoever followed the upload has had it: that was its purpose.
                Err(Error::NotFound { .. }) if round > 0 && once => return Ok(()),
                other => other?,
            };
            if state.length.is_some_and(|length| length != size) {
                return Err(Error::NotFound { what: remote.to_owned() }); // not ours
            }
            held = state.offset;
            let have = if parallel { state.received } else { Span::new(0, state.offset).into_iter().collect() };
            let slice = slice_bytes(size, u64::from(self.options.connections.max(1)), self.options.slice_bytes);
            let slices = Span::new(0, size).map(|whole| cut(whole, &have, slice)).unwrap_or_default();
            self.meter.set(have.bytes());
            if round == 0 && have.bytes() > 0 {
                self.meter.note(Note::Resumed { present: have.bytes() });
            }
            if slices.is_empty() {
                return self.confirm(remote);
            }
            match self.send(remote, slices, parallel) {
                Ok(()) => {}
                Err(Stop::InOrderOnly) => {
                    self.meter.note(Note::InOrderOnly);
                    parallel = false;
                }
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Err(Error::Incomplete { offset: held, size })
    }

    /// Whether slices may go out of order, and whether the file goes away with its first download.
    fn abilities(&self) -> Result<(bool, bool)> {
        match self.persist(&self.client, Client::info) {
            Ok(info) => {
                let default = info.default_retention.as_deref();
                let retention = self.options.retention.map(|choice| choice.name()).or(default);
                Ok((info.tus_extensions.iter().any(|name| name == PARALLEL), retention == Some("download_once")))
            }
            Err(Error::NotFound { .. }) => Ok((false, false)), // a plain TUS server
            Err(error) => Err(error),
        }
    }

    fn send(&self, remote: &str, slices: Vec<Span>, parallel: bool) -> std::result::Result<(), Stop> {
        let threads = if parallel { slices.len().min(usize::from(self.options.connections.max(1))) } else { 1 };
        let cancel = self.cancel.child();
        let crew = Crew {
            run: self,
            client: self.client.under(&cancel),
            cancel,
            remote,
            parallel,
            queue: Mutex::new(slices.into()),
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| crew.work())).collect();
            let ends: Vec<_> = threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect();
            first_cause(ends)
        })
    }
}

/// The end that ended the others; theirs is only "interrupted".
fn first_cause(ends: Vec<std::result::Result<(), Stop>>) -> std::result::Result<(), Stop> {
    let mut result = Ok(());
    for end in ends {
        match end {
            Ok(()) => {}
            Err(Stop::Failed(Error::Interrupted)) if result.is_err() => {}
            Err(stop) => {
                let interrupted = matches!(stop, Stop::Failed(Error::Interrupted));
                result = Err(stop);
                if !interrupted {
                    break;
                }
            }
        }
    }
    result
}

struct Crew<'a> {
    run: &'a Run<'a>,
    /// Its connections end with `cancel`.
    client: Client,
    cancel: Cancel,
    remote: &'a str,
    parallel: bool,
    queue: Mutex<VecDeque<Span>>,
}

impl Crew<'_> {
    fn work(&self) -> std::result::Result<(), Stop> {
        let mut connection = None;
        let mut failures = Failures::default();
        while let Some(slice) = self.next() {
            let delivered = self.deliver(slice, &mut connection, &mut failures);
            if delivered.is_err() {
                self.cancel.cancel();
            }
            delivered?;
        }
        Ok(())
    }

    fn next(&self) -> Option<Span> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Sends one slice, and what is left of it after each failure, until the server has all of it.
    fn deliver(
        &self,
        slice: Span,
        connection: &mut Option<Connection>,
        failures: &mut Failures,
    ) -> std::result::Result<(), Stop> {
        let mut left = VecDeque::from([slice]);
        let mut conflicts = 0;
        while let Some(part) = left.pop_front() {
            self.cancel.check()?;
            self.run.source.check_unchanged()?;
            let mut counted = 0;
            let Err(error) = self.attempt(part, connection, &mut counted) else {
                self.moved_on(failures);
                continue;
            };
            self.run.meter.take_back(counted);
            conflicts += usize::from(matches!(error, Error::Refused { status: 409, .. }));
            self.run.pause(error, failures, &self.client)?;
            let remaining = self.remaining(part)?;
            let stored = part.len() - remaining.iter().map(|span| span.len()).sum::<u64>();
            self.run.meter.add(stored);
            if stored > 0 {
                self.moved_on(failures);
            } else if conflicts >= CONFLICTS_MAX && self.parallel {
                return Err(Stop::InOrderOnly);
            }
            let aligned = remaining.into_iter().map(|span| if self.parallel { widen(span) } else { span });
            aligned.rev().for_each(|span| left.push_front(span));
        }
        Ok(())
    }

    fn moved_on(&self, failures: &mut Failures) {
        failures.forget();
        self.run.patience.progressed();
        self.run.room.found();
    }

    /// What the server lacks of a part, by its own word.
    fn remaining(&self, part: Span) -> std::result::Result<Vec<Span>, Stop> {
        let state = self.run.state(&self.client, self.remote)?;
        if self.parallel {
            return Ok(state.received.missing(part));
        }
        if state.offset < part.start() {
            // The server fell back behind this part (a crash below the strict level): plan anew.
            return Err(Stop::InOrderOnly);
        }
        Ok(Span::new(state.offset.max(part.start()), part.end()).into_iter().collect())
    }

    /// One PATCH. `counted` is what the meter was told about it.
    fn attempt(&self, part: Span, kept: &mut Option<Connection>, counted: &mut u64) -> Result<()> {
        let mut connection = match kept.take().filter(Connection::is_reusable) {
            Some(connection) => connection,
            None => self.client.connect()?,
        };
        let offset = part.start().to_string();
        let fields = self.client.signed(&[
            ("Tus-Resumable", "1.0.0"),
            ("Content-Type", "application/offset+octet-stream"),
            ("Upload-Offset", &offset),
        ]);
        let request = Request { method: "PATCH", target: self.remote, fields: &fields, body_bytes: Some(part.len()) };
        let moved = |bytes| {
            *counted += bytes;
            self.run.meter.add(bytes);
        };
        let broken = |error| self.broken(error);
        connection.send_head(&request, true).map_err(broken)?;
        let sent = connection.send_file(&self.run.source.file, part, moved).map_err(broken)?;
        let head = connection.read_head(false).map_err(broken)?;
        let body = connection.read_body(&head, ANSWER_BYTES_MAX).map_err(broken)?;
        match (head.status, sent) {
            (200..=299, Sent::Whole) => {
                *kept = Some(connection);
                Ok(())
            }
            // Success for a body that was not sent whole: believe `HEAD` instead.
            (200..=299, Sent::AnsweredEarly) => Err(self.client.unreachable(WireError::Closed)),
            _ => Err(self.client.refusal(&head, &body, "a PATCH", self.remote)),
        }
    }

    fn broken(&self, error: WireError) -> Error {
        match error {
            WireError::Source(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
                Error::SourceChanged { path: self.run.source.path.clone() }
            }
            WireError::Source(source) => Error::file("read", &self.run.source.path, source),
            other => self.client.unreachable(other),
        }
    }
}

const _: () = assert!(ALIGNMENT == 4096, "contract 2.4");
