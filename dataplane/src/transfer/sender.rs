//! Content on its way out, chosen by what the page cache holds (IO.md §2).
//!
//! | bytes | way |
//! |---|---|
//! | up to 16 KiB | read, then one send together with the head |
//! | in the page cache | the kernel copies file → socket, corked when that takes several windows |
//! | not in the page cache | read ahead of the socket into a slot, which fills the cache; sent from it, what stays behind from the cache |
//!
//! A rate only bounds each of these steps and lets time pass between them.
//!
//! Must stay true: no page is waited for on the core (residency is probed first, or the page was just read); a cut reader
//! stops at a window; nothing is read from the disk before it may leave; no client holds a slot for longer than
//! [`READER_SLOT_WAIT`], so that slow readers do not take the slots from all others.

use etransfer_contract::Span;

use super::fault::cut_short;
use crate::bounds::READER_SLOT_WAIT;
use crate::control::live_grant::LiveGrant;
use crate::core::Core;
use crate::driver::{Buf, FileHandle};
use crate::limits::uptake::Uptake;
use crate::rates::{Meter, Turn};
use crate::store::ReadGuard;
use crate::wire::Wire;

/// Up to this, head and content leave in one send. Beyond it, two copies and memory that was just given back to the kernel
/// cost more than the calls of a cork: ranges of 64 KiB took 1.8 to 2.6 times the CPU (`bench/RESULTS.md`, 2026-11-21).
const ONE_SEND_BYTES_MAX: u64 = 16 * 1024;
/// What the kernel copies per turn; then other connections get theirs.
const WINDOW_BYTES: u64 = 2 << 20;
/// The kernel reads ahead at least this much, in one run.
const READ_AHEAD_BYTES: u64 = 128 * 1024;

/// Sends spans of one object to one client.
pub struct Sender<'c> {
    core: &'c Core,
    live_grant: &'c LiveGrant<'c>,
    wire: &'c Wire,
    file: FileHandle,
    guard: &'c ReadGuard,
    meter: Option<Meter>,
    uptake: Uptake<'c>,
    /// The right to this was checked before, and nothing was sent since.
    may_begin: bool,
    /// Content the kernel took.
    taken: u64,
}

impl<'c> Sender<'c> {
    /// Content of `file`, whose delivery was found to be permitted just now; as long as it is, and `guard` is not cut, no faster than `meter` lets it out.
    pub fn new(
        live_grant: &'c LiveGrant<'c>,
        wire: &'c Wire,
        file: FileHandle,
        guard: &'c ReadGuard,
        meter: Option<Meter>,
    ) -> Self {
        let core = live_grant.core;
        Self { core, live_grant, wire, file, guard, meter, uptake: core.uptake(), may_begin: true, taken: 0 }
    }

    /// How many bytes of content the kernel took so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Sends `head`, then the span; `false` when the client or the disk failed, or the object was cut.
    pub async fn send(&mut self, head: Vec<u8>, span: Option<Span>) -> bool {
        let Some(span) = span else { return self.send_head(head).await };
        let Some(bytes) = self.await_turn(span.len()).await else { return false };
        if bytes == span.len() && bytes <= ONE_SEND_BYTES_MAX {
            return self.send_small(head, span).await;
        }
        // The kernel's copy of one window ends with a push, and the head waits for it: a cork would be two calls more.
        let is_corked = span.len() > WINDOW_BYTES;
        if is_corked {
            self.cork(true);
        }
        let sent = (head.is_empty() || self.send_head(head).await) && self.send_windows(span).await;
        if is_corked {
            self.cork(false);
        }
        sent
    }

    async fn send_head(&mut self, head: Vec<u8>) -> bool {
        self.wire.answer(Buf::from(head), true, &mut self.uptake).await.1.is_ok()
    }

    /// How many of the next `most` bytes may leave now; `None` when waiting for them makes no sense any more.
    async fn await_turn(&mut self, most: u64) -> Option<u64> {
        loop {
            let wait = match self.meter.as_mut().map(|meter| meter.turn(most)) {
                None => return Some(most),
                Some(Turn::Now(bytes)) => return Some(bytes),
                Some(Turn::Later(wait)) => wait,
            };
            self.core.io.sleep(wait).await;
            if !self.live_grant.holds(&mut self.meter).await {
                return None;
            }
            if self.guard.is_cut() || self.core.is_stopping() || self.wire.is_broken() {
                return None;
            }
        }
    }

    fn moved(&mut self, bytes: u64) {
        if let Some(meter) = &mut self.meter {
            meter.moved(bytes);
        }
    }

    fn count(&self, bytes: u64) {
        if let Some(tally) = &self.wire.tally {
            tally.sent(bytes, self.core.io.now());
        }
    }

    async fn send_small(&mut self, head: Vec<u8>, span: Span) -> bool {
        let at = head.len();
        let len = span.len() as usize;
        let mut all = head;
        all.resize(at + len, 0);
        let (read, buf) = self.core.io.read_at(&self.file, Buf::from(all), at..at + len, span.start()).await;
        match read {
            Ok(bytes) if bytes == len => {
                self.moved(bytes as u64);
                let (taken, sent) = self.wire.answer(buf, false, &mut self.uptake).await;
                self.taken += taken.saturating_sub(at) as u64;
                let sent = sent.is_ok();
                if sent {
                    self.count(bytes as u64);
                }
                sent
            }
            Ok(bytes) => self.short(span.start() + bytes as u64).is_some(),
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    async fn send_windows(&mut self, span: Span) -> bool {
        let mut at = span.start();
        let mut runs = false;
        // Everything before this was just read, so it is in the page cache.
        let mut read_to = at;
        while at < span.end() {
            let may_go_on = std::mem::take(&mut self.may_begin) || self.live_grant.holds(&mut self.meter).await;
            if self.guard.is_cut() || !may_go_on {
                return false;
            }
            let Some(window) = self.await_turn((span.end() - at).min(WINDOW_BYTES)).await else { return false };
            let sent = if at < read_to {
                self.send_cached(at, window.min(read_to - at)).await
            } else {
                runs = self.is_cached(at, window, runs);
                if runs {
                    self.send_cached(at, window).await
                } else {
                    self.send_read(at, window, span.end(), &mut read_to).await
                }
            };
            let Some(bytes) = sent else { return false };
            at += bytes;
            self.taken += bytes;
            self.uptake.moved(bytes);
            self.moved(bytes);
            self.count(bytes);
        }
        true
    }

    /// Sends from the page cache; returns how much the client took.
    async fn send_cached(&mut self, at: u64, bytes: u64) -> Option<u64> {
        let send = self.core.io.send_file(&self.wire.socket, &self.file, at, bytes as usize);
        match self.uptake.within(&self.wire.socket, send).await {
            (Ok(0), _) => self.short(at),
            (Ok(sent), _) => Some(sent as u64),
            (Err(_), _) => None,
        }
    }

    /// Reads up to `read_to` and sends what the client takes soon; returns how much that was, perhaps nothing. `end` is the end of
    /// the whole content.
    async fn send_read(&self, at: u64, bytes: u64, end: u64, read_to: &mut u64) -> Option<u64> {
        let slot = self.core.io.take_slot().await;
        let len = (bytes as usize).min(slot.len());
        let (read, slot) = self.core.io.read_at(&self.file, slot, 0..len, at).await;
        let read = read.map_err(|error| self.failed(&error)).ok()?;
        if read == 0 {
            return self.short(at);
        }
        *read_to = at + read as u64;
        let sent = self.wire.send_some(slot, 0..read, *read_to < end, READER_SLOT_WAIT).await;
        sent.ok().map(|bytes| bytes as u64)
    }

    /// Whether the window is in the page cache, judged by its first, middle and last page; by its last alone when the
    /// window before it was cached, and without the middle when it is no longer than what the kernel reads ahead. A page that
    /// is missing after all costs this core one read.
    fn is_cached(&self, at: u64, bytes: u64, runs: bool) -> bool {
        let probes = match (runs, bytes <= READ_AHEAD_BYTES) {
            (true, _) => &[bytes - 1][..],
            (false, true) => &[bytes - 1, 0],
            (false, false) => &[bytes - 1, 0, bytes / 2],
        };
        probes.iter().all(|skip| self.file.is_cached(at + skip))
    }

    fn cork(&self, on: bool) {
        if let Err(error) = rustix::net::sockopt::set_tcp_cork(&*self.wire.socket, on) {
            tracing::debug!(%error, "cork");
        }
    }

    fn short(&self, at: u64) -> Option<u64> {
        tracing::error!(at, "an object's file is shorter than its records");
        cut_short(self.core, self.guard.object(), None);
        None
    }

    fn failed(&self, error: &std::io::Error) {
        cut_short(self.core, self.guard.object(), Some(error));
    }
}
