//! Fetching what a part lacks: ranges that are carried by a pool, and a queue of them that may still grow while the
//! upload runs.
//!
//! What must stay true: the queue is completed or closed on every way out, so no worker waits forever; the journal is
//! written a last time after the last byte.

use std::time::Instant;

use etransfer_contract::Span;

use super::Downloader;
use super::fetch::Fetch;
use super::part::Part;
use crate::endpoints::Direction;
use crate::patience::{Failures, Patience};
use crate::progress::{Meter, Note};
use crate::slices::{cut, slice_bytes, spread_slice_bytes};
use crate::spread::{Job, NicPaths, Piece, Share, SliceMover, WorkQueue, Worker, WorkerPool, first_cause, join};
use crate::{Cancel, Client, DownloadInfo, Error, Result};

impl Downloader {
    /// Fetches what the part lacks; tells what came over which address.
    pub(super) fn fetch_all(
        &self,
        client: &Client,
        info: &DownloadInfo,
        part: &Part,
        cancel: &Cancel,
    ) -> Result<Vec<Share>> {
        let size = part.size();
        let meter = Meter::new(part.bytes(), size, &*self.progress);
        if part.bytes() > 0 {
            meter.note(Note::Resumed { present: part.bytes() });
        }
        if size == 0 {
            // There is no range to ask for; asking for all of it lets the server count the download.
            return client.fetch_empty(&info.file_id).map(|()| Vec::new());
        }
        let cancel = cancel.child();
        let lacks = size - part.bytes();
        let options = &self.options;
        let paths =
            NicPaths::find(&client.under(&cancel), options.nics, Direction::Download, lacks, options.connections);
        let slice = if paths.are_several() { spread_slice_bytes } else { slice_bytes };
        let ranges = Ranges {
            downloader: self,
            paths: &paths,
            slice: slice(size, paths.connections(), options.slice_bytes),
            patience: Patience::new(options.patience),
            fetch: Fetch { id: &info.file_id, part, size, meter: &meter },
            cancel,
        };
        ranges.fetch_all(info)?;
        Ok(paths.shares())
    }
}

/// Carries ranges down.
struct Ranges<'a> {
    downloader: &'a Downloader,
    paths: &'a NicPaths,
    slice: u64,
    patience: Patience,
    fetch: Fetch<'a>,
    cancel: Cancel,
}

impl Ranges<'_> {
    fn fetch_all(&self, info: &DownloadInfo) -> Result<()> {
        let workers = match info.is_upload_complete() {
            true => self.cut(0, self.fetch.size).len(),
            false => usize::MAX,
        };
        let queue = WorkQueue::new(self.paths, false, 0);
        let pool = WorkerPool::new(&queue, self, &self.cancel, &self.patience, self.fetch.meter);
        let journal_done = Cancel::new();
        std::thread::scope(|scope| {
            let journal = scope.spawn(|| pool.ending_all(self.fetch.part.keep_journal(&journal_done)));
            let feed = scope.spawn(|| pool.ending_all(self.feed(&queue, info)));
            let carried = pool.run(workers);
            let fed = join(feed);
            journal_done.cancel();
            first_cause(vec![fed, carried, join(journal)])
        })
    }

    fn cut(&self, from: u64, to: u64) -> Vec<Span> {
        let have = self.fetch.part.written();
        Span::new(from, to).map(|span| cut(span, &have, self.slice)).unwrap_or_default()
    }

    /// Puts all ranges on the queue, at once or as the upload brings them.
    fn feed(&self, queue: &WorkQueue<'_>, info: &DownloadInfo) -> Result<()> {
        let size = self.fetch.size;
        let mut info = info.clone();
        let (mut fed, mut grown_at, mut failures) = (0, Instant::now(), Failures::default());
        loop {
            let available = info.available_prefix(size);
            if available > fed {
                queue.push(self.cut(fed, available));
                (fed, grown_at) = (available, Instant::now());
            }
            if info.is_upload_complete() {
                queue.complete();
                return Ok(());
            }
            self.fetch.meter.note(Note::Following { available });
            let options = &self.downloader.options;
            let idle = info.upload_active == Some(false) || grown_at.elapsed() >= options.follow_idle_max;
            if idle && queue.is_empty() {
                return Err(Error::UploadIdle { available, size });
            }
            self.cancel.sleep(options.follow_poll)?;
            info = loop {
                match self.paths.call(|client| client.download_info(self.fetch.id)) {
                    Ok(info) => break info,
                    Err(error) => failures.pause(error, &self.patience, &self.cancel, self.fetch.meter)?,
                }
            };
            failures.forget();
            self.patience.progressed();
        }
    }
}

impl SliceMover for Ranges<'_> {
    fn carry(&self, job: &Job, worker: &mut Worker<'_>, rest: &mut Vec<Piece>) -> Result<()> {
        let span = job.piece.span;
        let mut reached = span.start();
        let mut result = Ok(());
        while result.is_ok() && reached < span.end() {
            let wanted = Span::new(reached, span.end()).expect("not all of it was reached");
            result = worker.client.cancel().check();
            result = result.and_then(|()| self.fetch.range(wanted, job, worker, &mut reached));
            if reached > wanted.start() {
                self.patience.progressed();
                worker.moved_on();
            }
        }
        rest.extend(Span::new(reached, span.end()).map(Piece::new));
        result
    }

    fn refused(&self, error: Error, worker: &mut Worker<'_>) -> Result<()> {
        worker.failures.pause(error, &self.patience, &self.cancel, self.fetch.meter)
    }
}
