//! The connections of one download: a queue of ranges that may still grow while the upload runs, and its workers.
//!
//! What must stay true: a range leaves the queue only into the hands of a worker that finishes it or ends the whole
//! download; the queue is closed on every way out, so no worker waits for ever.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use etransfer_contract::Span;

use super::Downloader;
use super::fetch::{BLOCK_BYTES, Fetch};
use super::part::Part;
use crate::patience::{Failures, Patience};
use crate::progress::{Meter, Note};
use crate::slices::{cut, slice_bytes};
use crate::{Cancel, Client, DownloadInfo, Error, Result};

impl Downloader {
    /// Fetches what the part lacks.
    pub(super) fn fetch_all(&self, client: &Client, info: &DownloadInfo, part: &Part, cancel: &Cancel) -> Result<()> {
        let size = part.size();
        let meter = Meter::new(part.bytes(), size, &*self.progress);
        if part.bytes() > 0 {
            meter.note(Note::Resumed { present: part.bytes() });
        }
        if size == 0 {
            return self.fetch_nothing(client, &info.file_id);
        }
        let crew_cancel = cancel.child();
        let client = client.under(&crew_cancel);
        let fetch = Fetch { client: &client, id: &info.file_id, part, size, meter: &meter };
        let crew = Crew {
            fetch,
            cancel: crew_cancel,
            patience: Patience::new(self.options.patience),
            queue: Queue::default(),
            slice: slice_bytes(size, u64::from(self.options.connections.max(1)), self.options.slice_bytes),
        };
        crew.run(self, info)
    }

    /// An empty file has no range to ask for; asking for all of it lets the server count the download.
    fn fetch_nothing(&self, client: &Client, id: &str) -> Result<()> {
        client.fetch_empty(id)
    }
}

struct Crew<'a> {
    fetch: Fetch<'a>,
    cancel: Cancel,
    patience: Patience,
    queue: Queue,
    slice: u64,
}

impl Crew<'_> {
    fn run(&self, downloader: &Downloader, info: &DownloadInfo) -> Result<()> {
        let journal_done = Cancel::new();
        std::thread::scope(|scope| {
            let journal = scope.spawn(|| self.ending_all(self.fetch.part.keep_journal(&journal_done)));
            let workers: Vec<_> = (0..self.worker_count(downloader, info))
                .map(|_| scope.spawn(|| self.ending_all(self.work())))
                .collect();
            let fed = self.ending_all(self.feed(downloader, info));
            self.queue.close();
            let mut ends: Vec<Result<()>> = vec![fed];
            ends.extend(workers.into_iter().map(join));
            journal_done.cancel();
            ends.push(join(journal));
            first_cause(ends)
        })
    }

    fn worker_count(&self, downloader: &Downloader, info: &DownloadInfo) -> usize {
        let connections = usize::from(downloader.options.connections.max(1));
        match info.is_upload_complete {
            true => connections.min(self.cut(0, self.fetch.size).len()).max(1),
            false => connections,
        }
    }

    fn cut(&self, from: u64, to: u64) -> Vec<Span> {
        let have = self.fetch.part.written();
        Span::new(from, to).map(|span| cut(span, &have, self.slice)).unwrap_or_default()
    }

    /// Any failure ends everyone.
    fn ending_all(&self, result: Result<()>) -> Result<()> {
        if result.is_err() {
            self.cancel.cancel();
            self.queue.close();
        }
        result
    }

    /// Queues all ranges, at once or as the upload brings them.
    fn feed(&self, downloader: &Downloader, info: &DownloadInfo) -> Result<()> {
        let size = self.fetch.size;
        let mut info = info.clone();
        let (mut fed, mut grown_at, mut failures) = (0, Instant::now(), Failures::default());
        loop {
            let available = info.available_prefix(size);
            if available > fed {
                self.queue.push(self.cut(fed, available));
                (fed, grown_at) = (available, Instant::now());
            }
            if info.is_upload_complete {
                return Ok(());
            }
            self.fetch.meter.note(Note::Following { available });
            let idle = info.upload_active == Some(false) || grown_at.elapsed() >= downloader.options.follow_idle_max;
            if idle && self.queue.is_empty() {
                return Err(Error::UploadIdle { available, size });
            }
            self.cancel.sleep(downloader.options.follow_poll)?;
            info = loop {
                match self.fetch.client.download_info(self.fetch.id) {
                    Ok(info) => break info,
                    Err(error) => failures.pause(error, &self.patience, &self.cancel, self.fetch.meter)?,
                }
            };
            failures.forget();
            self.patience.progressed();
        }
    }

    fn work(&self) -> Result<()> {
        let mut block = vec![0; BLOCK_BYTES];
        let mut connection = None;
        let mut failures = Failures::default();
        while let Some(span) = self.queue.pop() {
            let mut reached = span.start();
            while let Some(rest) = Span::new(reached, span.end()) {
                self.cancel.check()?;
                let result = self.fetch.range(rest, &mut connection, &mut block, &mut reached);
                if reached > rest.start() {
                    self.patience.progressed();
                    failures.forget();
                }
                if let Err(error) = result {
                    failures.pause(error, &self.patience, &self.cancel, self.fetch.meter)?;
                }
            }
        }
        Ok(())
    }
}

/// Ranges to fetch.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    bell: Condvar,
}

#[derive(Default)]
struct QueueState {
    spans: VecDeque<Span>,
    closed: bool,
}

impl Queue {
    fn push(&self, spans: Vec<Span>) {
        self.state().spans.extend(spans);
        self.bell.notify_all();
    }

    /// Nothing more will come.
    fn close(&self) {
        self.state().closed = true;
        self.bell.notify_all();
    }

    fn is_empty(&self) -> bool {
        self.state().spans.is_empty()
    }

    /// Waits for a range; `None` when there will be none.
    fn pop(&self) -> Option<Span> {
        let mut state = self.state();
        loop {
            if let Some(span) = state.spans.pop_front() {
                return Some(span);
            }
            if state.closed {
                return None;
            }
            state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn join(thread: std::thread::ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The failure that ended the others; theirs is only "interrupted".
fn first_cause(ends: Vec<Result<()>>) -> Result<()> {
    let mut errors: Vec<Error> = ends.into_iter().filter_map(Result::err).collect();
    let cause = errors.iter().position(|error| !matches!(error, Error::Interrupted)).unwrap_or(0);
    if errors.is_empty() { Ok(()) } else { Err(errors.swap_remove(cause)) }
}
