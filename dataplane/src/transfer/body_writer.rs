//! The inner loop of an upload: pull a window, checksum it while it is hot, write it, record it.
//!
//! Must stay true: a record is appended only after the write of its bytes ended without error; every started write is
//! awaited before the claim is given up, so nothing of an ended writer lands later (T-LOCK-3); a buffer that the kernel has
//! comes back through its completion only.
//!
//! Next on the way of an upload: windows are pulled from [`body`](crate::body) and written by [`data_file`](super::data_file);
//! after the last one, [`finish`](super::finish).

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use etransfer_contract::Span;
use etransfer_contract::tus::{Algorithm, Checksum, Refusal};
use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::data_file::{DataFile, Write};
use super::digest::{Digests, Hasher, of_file};
use super::fault::Doing;
use super::reportable::progress;
use super::stop::Stop;
use crate::body::{Content, Fill};
use crate::bounds::{BLOCK_BYTES, BODY_TICK, SLOTS, SMALL_WINDOW_BYTES};
use crate::control::live_grant::{GrantEnd, LiveGrant};
use crate::core::Core;
use crate::driver::Buf;
use crate::rates::{Meter, Turn};
use crate::store::{Claim, CommitError, Object};
use crate::wire::Wire;

/// A body with less than this left gets heap memory, not a slot.
const SLOT_REST_BYTES_MIN: usize = 256 * 1024;
/// Writes in flight per body while many bodies upload, and while few do.
const DEPTH_CROWDED: usize = 2;
const DEPTH_ALONE: usize = 4;
/// Progress of a long body is reported this often.
const PROGRESS: Duration = Duration::from_secs(1);

/// One body on its way to the disk.
pub struct BodyWriter<'c> {
    core: &'c Core,
    live_grant: &'c LiveGrant<'c>,
    object: &'c Arc<Object>,
    file: DataFile,
    claim: Claim,
    start: u64,
    at: u64,
    end: u64,
    length_max: u64,
    budget: u64,
    in_flight: VecDeque<InFlight>,
    /// A write failed: nothing after it is recorded, or bytes behind a hole would be claimed.
    failed: bool,
    verified: bool,
    /// Of this core's journal when the body began.
    journal_failures: u64,
    /// Where the body ends, as far as its sender has said.
    body_end: u64,
    digests: Digests,
    uncommitted: Vec<(Span, u32)>,
    meter: Option<Meter>,
    /// The last window was full within a tick: the sender may have a slot. A tick with less loses it.
    is_fast: bool,
    is_unreported: bool,
    reported: Instant,
}

/// What a grant lets a body store.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Bytes in all.
    pub budget: Option<u64>,
    /// Largest length of an upload that has none yet.
    pub length_max: Option<u64>,
}

struct InFlight {
    pieces: Vec<(Span, u32)>,
    write: Write,
}

impl<'c> BodyWriter<'c> {
    /// A body that starts at `start`.
    pub fn new(
        live_grant: &'c LiveGrant<'c>,
        object: &'c Arc<Object>,
        claim: Claim,
        file: DataFile,
        start: u64,
        limits: Limits,
    ) -> Self {
        let core = live_grant.core;
        let length = object.look().length;
        let end = claim.end().min(length.unwrap_or(u64::MAX));
        let length_max = limits.length_max.filter(|_| length.is_none()).unwrap_or(u64::MAX);
        Self {
            core,
            live_grant,
            object,
            file,
            claim,
            start,
            at: start,
            end,
            length_max,
            budget: limits.budget.unwrap_or(u64::MAX),
            in_flight: VecDeque::new(),
            failed: false,
            verified: false,
            journal_failures: core.journal().failures(),
            body_end: u64::MAX,
            digests: Digests::default(),
            uncommitted: Vec::new(),
            meter: None,
            is_fast: false,
            is_unreported: false,
            reported: core.io.now(),
        }
    }

    /// Nothing becomes visible before the checksum matches; `None`: the trailer names the algorithm.
    pub fn verify(&mut self, algorithm: Option<Algorithm>) {
        self.verified = true;
        self.digests = Digests::new(algorithm.map(Hasher::new).into_iter().collect());
    }

    /// Digests the body as it arrives.
    pub fn digest(&mut self, hashers: Vec<Hasher>) {
        self.digests = Digests::new(hashers);
    }

    /// Limits the body to the rate of the meter.
    pub fn limit(&mut self, meter: Meter) {
        self.meter = Some(meter);
    }

    /// Stores the body to its end, or as far as possible.
    pub async fn run(mut self, wire: &mut Wire, body: &mut Content<'_>) -> WrittenBody {
        let end = self.move_all(wire, body).await;
        let landed = self.land_all().await;
        let end = match end.and(landed) {
            Err(Stop::Broken(broken)) => Err(Stop::Disk(broken.believe(self.core, self.object).await)),
            other => other,
        };
        WrittenBody {
            end,
            file: Some(self.file),
            claim: Some(self.claim),
            taken: Vec::new(),
            trailers: body.take_trailers(),
            span: Span::new(self.start, self.at),
            hashers: self.digests.finish().await,
            verified: self.verified,
            uncommitted: self.uncommitted,
        }
    }

    async fn move_all(&mut self, wire: &mut Wire, body: &mut Content<'_>) -> Result<(), Stop> {
        self.body_end = body.remaining().map_or(u64::MAX, |bytes| self.start.saturating_add(bytes));
        loop {
            let rest = self.await_turn(wire, body).await?;
            let (window, range) = self.window(rest).await?;
            let at = range.start;
            let (bytes, fill, window) = body.fill(wire, window, range, BODY_TICK).await;
            if bytes > 0 {
                self.claim.touch();
                if let Some(tally) = &wire.tally {
                    tally.received(bytes as u64);
                }
                self.store(window, at, bytes as u64).await?;
            }
            self.is_fast = bytes >= SMALL_WINDOW_BYTES;
            if let Some(meter) = &mut self.meter {
                meter.moved(bytes as u64);
            }
            match fill {
                Ok(Fill::Done) => return Ok(()),
                Ok(Fill::Full) => {}
                Ok(Fill::Tick) => {}
                Err(error) => return Err(error.into()),
            }
            self.land_ready().await?;
            self.look_around().await?;
        }
    }

    /// How many bytes may be received next: the rest of the body, or what its rate permits now. While the body waits nothing is
    /// read, so TCP slows the sender down; what was read lands, so its buffers go back.
    async fn await_turn(&mut self, wire: &Wire, body: &Content<'_>) -> Result<usize, Stop> {
        let rest = body.remaining().unwrap_or(u64::MAX);
        let whole = usize::try_from(rest).unwrap_or(usize::MAX);
        loop {
            let wait = match self.meter.as_mut().map(|meter| meter.turn(rest)) {
                None => return Ok(whole),
                Some(Turn::Now(bytes)) => return Ok(whole.min(bytes as usize)),
                Some(Turn::Later(wait)) => wait,
            };
            let since = self.core.io.now();
            self.land_all().await?;
            self.core.io.sleep_until(since + wait).await;
            self.claim.touch();
            if body.is_lost(wire) {
                return Err(Stop::Gone);
            }
            self.look_around().await?;
        }
    }

    /// The next buffer, and where in it the next bytes go: file and memory alignment agree, so that whole blocks can be
    /// written from where they were received.
    async fn window(&mut self, rest: usize) -> Result<(Buf, Range<usize>), Stop> {
        if self.is_fast && rest >= SLOT_REST_BYTES_MIN {
            let slot = self.take_slot().await?;
            let at = (self.at % BLOCK_BYTES) as usize;
            let end = at.saturating_add(rest).min(slot.len());
            Ok((slot, at..end))
        } else {
            let bytes = rest.clamp(1, SMALL_WINDOW_BYTES);
            Ok((Buf::heap(bytes), 0..bytes))
        }
    }

    /// A body that waits for a slot holds none: else bodies that wait for one more could hold all of them.
    async fn take_slot(&mut self) -> Result<Buf, Stop> {
        if let Some(slot) = self.core.io.try_slot() {
            return Ok(slot);
        }
        self.land_all().await?;
        let slot = on_disk(self.core, &self.claim, self.core.io.take_slot()).await;
        Ok(slot)
    }

    /// Starts to write the part of the window that this writer owns; its record follows when the write has ended.
    async fn store(&mut self, window: Buf, at: usize, bytes: u64) -> Result<(), Stop> {
        let Some(span) = Span::at(self.at, bytes) else { return Err(Stop::Surplus) };
        let content = &window[at..at + bytes as usize];
        on_disk(self.core, &self.claim, self.digests.add(&self.core.io, content)).await;
        self.at = span.end();
        let (pieces, short) = self.pieces(span, content);
        if let (Some((last, _)), true) = (pieces.last(), window.is_slot()) {
            let most = self.body_end.min(self.end);
            let allocate = self.file.allocate(&self.core.io, last.end(), most);
            on_disk(self.core, &self.claim, allocate).await.map_err(Doing::Allocate.broken())?;
        }
        let write = match pieces.as_slice() {
            [(piece, _)] => {
                let skipped = (piece.start() - span.start()) as usize;
                self.file.write(&self.core.io, window, at + skipped, *piece)
            }
            several => {
                let from = |piece: &Span| at + (piece.start() - span.start()) as usize;
                let parts = several.iter().map(|(piece, _)| (from(piece), *piece));
                self.file.write_parts(&self.core.io, &window, parts)
            }
        };
        self.in_flight.push_back(InFlight { pieces, write });
        while self.in_flight.len() > self.depth() {
            self.land_one().await?;
        }
        self.judge_end(span.end(), short)
    }

    /// Whether the body may continue past `end`; bytes beyond a limit are not stored.
    fn judge_end(&self, end: u64, short: bool) -> Result<(), Stop> {
        let length = self.object.look().length.unwrap_or(u64::MAX);
        if end > length {
            Err(Stop::Surplus)
        } else if end > self.length_max {
            Err(Stop::TooLarge)
        } else if end > self.end {
            Err(Stop::Taken)
        } else if short {
            Err(Stop::NoRoom)
        } else {
            Ok(())
        }
    }

    /// The parts of `span` that this writer stores, each with its CRC; `true` when the budget cut them short.
    fn pieces(&mut self, span: Span, content: &[u8]) -> (Vec<(Span, u32)>, bool) {
        let mut pieces = Vec::with_capacity(1);
        let Some(storable) = Span::new(0, self.end.min(self.length_max)).and_then(|most| most.intersect(span)) else {
            return (pieces, false);
        };
        for owned in self.claim.owned().iter().filter_map(|owned| owned.intersect(storable)) {
            let within = owned.len().min(self.budget);
            self.budget -= within;
            if let Some(piece) = Span::at(owned.start(), within) {
                let from = (piece.start() - span.start()) as usize;
                pieces.push((piece, crc32fast::hash(&content[from..from + piece.len() as usize])));
            }
            if within < owned.len() {
                return (pieces, true);
            }
        }
        (pieces, false)
    }

    fn depth(&self) -> usize {
        if self.core.io.slots_free() > SLOTS / 2 { DEPTH_ALONE } else { DEPTH_CROWDED }
    }

    /// Waits for the oldest write and records it.
    async fn land_one(&mut self) -> Result<(), Stop> {
        let Some(InFlight { pieces, write }) = self.in_flight.pop_front() else { return Ok(()) };
        let landed = on_disk(self.core, &self.claim, write.landed()).await;
        self.note(landed, pieces).await
    }

    /// Records writes that ended, without waiting.
    async fn land_ready(&mut self) -> Result<(), Stop> {
        while self.in_flight.front_mut().is_some_and(|front| front.write.has_landed()) {
            let InFlight { pieces, write } = self.in_flight.pop_front().expect("the front was just looked at");
            let landed = write.landed().now_or_never().expect("it has landed");
            self.note(landed, pieces).await?;
        }
        Ok(())
    }

    /// Waits for all writes, also after one failed: their buffers must come back.
    async fn land_all(&mut self) -> Result<(), Stop> {
        let mut outcome = Ok(());
        while !self.in_flight.is_empty() {
            outcome = outcome.and(self.land_one().await);
        }
        outcome
    }

    /// A write ended: its bytes are recorded, unless it or one before it failed.
    async fn note(&mut self, landed: io::Result<()>, pieces: Vec<(Span, u32)>) -> Result<(), Stop> {
        if let Err(error) = landed {
            self.failed = true;
            return Err(Doing::Write.broken()(error).into());
        }
        if self.failed {
            return Ok(());
        }
        let recorded = self.record(pieces).await;
        self.failed = recorded.is_err();
        recorded
    }

    async fn record(&mut self, pieces: Vec<(Span, u32)>) -> Result<(), Stop> {
        if self.verified {
            self.uncommitted.extend(pieces);
            return Ok(());
        }
        commit(self.core, &mut self.claim, &pieces).await?;
        self.is_unreported = true;
        Ok(())
    }

    /// Reports progress; the records of what is reported are written first.
    async fn report_progress(&mut self) -> Result<(), Stop> {
        if self.is_unreported && self.core.io.now() - self.reported >= PROGRESS {
            (self.is_unreported, self.reported) = (false, self.core.io.now());
            let progress = progress(self.core, self.object);
            let written = self.core.writer.written_all(self.object);
            on_disk(self.core, &self.claim, written).await.map_err(Doing::Journal.broken())?;
            self.core.shared.facts.push_of(self.object, progress);
        }
        Ok(())
    }

    async fn look_around(&mut self) -> Result<(), Stop> {
        self.report_progress().await?;
        // A long body keeps its prefix, also through a kill.
        self.core.writer.soon();
        if let Some(error) = self.core.journal().failure_since(self.journal_failures) {
            self.failed = true;
            return Err(Doing::Journal.broken()(error).into());
        }
        self.live_grant.check(&mut self.meter).await.map_err(|end| match end {
            GrantEnd::Revoked => Stop::Revoked,
            GrantEnd::Full => Stop::NoRoom,
        })?;
        if self.claim.is_ended() {
            Err(Stop::Ended)
        } else if self.core.is_stopping() {
            Err(Stop::Stopping)
        } else {
            Ok(())
        }
    }
}

/// Waits for the disk, for a slot that comes back from it, or for a digest: the sender is not slow then, so this
/// writer must not be ended for being silent.
async fn on_disk<T>(core: &Core, claim: &Claim, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        match select(work.as_mut(), core.io.sleep(BODY_TICK)).await {
            Either::Left((done, _)) => return done,
            Either::Right(_) => claim.touch(),
        }
    }
}

async fn commit(core: &Core, claim: &mut Claim, pieces: &[(Span, u32)]) -> Result<(), Stop> {
    if pieces.is_empty() {
        return Ok(());
    }
    on_disk(core, claim, core.writer.ready(pieces.len(), false)).await.map_err(Doing::Journal.broken())?;
    claim.commit_all(core.journal(), pieces, false).map(drop).map_err(|error| match error {
        CommitError::Ended => Stop::Ended,
        CommitError::Removed => Stop::Removed,
        CommitError::BeyondLength { .. } => Stop::Surplus,
        CommitError::Journal(error) => Doing::Journal.broken()(error).into(),
        error @ CommitError::NotOwned(_) => Doing::Journal.broken()(io::Error::other(error)).into(),
    })
}

/// A body after its last byte: its writes have ended, its claim is still held.
pub struct WrittenBody {
    /// How the body ended.
    pub end: Result<(), Stop>,
    /// The file, for the sync.
    pub file: Option<DataFile>,
    claim: Option<Claim>,
    /// What the claim took, after it was let go.
    taken: Vec<Span>,
    trailers: Vec<(String, Vec<u8>)>,
    span: Option<Span>,
    hashers: Vec<Hasher>,
    verified: bool,
    uncommitted: Vec<(Span, u32)>,
}

impl WrittenBody {
    /// No byte was stored.
    pub fn failed(stop: Stop) -> Self {
        Self {
            end: Err(stop),
            file: None,
            claim: None,
            taken: Vec::new(),
            trailers: Vec::new(),
            span: None,
            hashers: Vec::new(),
            verified: false,
            uncommitted: Vec::new(),
        }
    }

    /// Bytes recorded.
    pub fn stored(&self) -> u64 {
        self.claim.as_ref().map_or(0, Claim::stored)
    }

    /// Compares the checksum of a verified body and, when it matches, records all of it (T-SUM-1, T-SUM-3, T-SUM-8).
    pub async fn check(&mut self, core: &Core, object: &Arc<Object>, header: Option<&Checksum>) -> Result<(), Stop> {
        if !self.verified || self.end.is_err() {
            return Ok(());
        }
        let trailer = self.trailer()?;
        let missing = || Stop::Refused(Refusal::new(400, "the announced Upload-Checksum trailer is missing"));
        let expected = match (header, &trailer) {
            (Some(header), Some(trailer)) if header != trailer => {
                return Err(Stop::Refused(Refusal::new(400, "header and trailer name different checksums")));
            }
            (Some(header), _) => header,
            (None, Some(trailer)) => trailer,
            (None, None) => return Err(missing()),
        };
        let hasher = match (self.hashers.pop(), self.span) {
            (Some(hasher), _) => Some(hasher),
            (None, Some(span)) => {
                let late = vec![Hasher::new(expected.algorithm().map_err(Stop::Refused)?)];
                of_file(core, object, span, late).await.map_err(Stop::Disk)?.pop()
            }
            (None, None) => Some(Hasher::new(expected.algorithm().map_err(Stop::Refused)?)),
        };
        if hasher.is_none_or(|hasher| hasher.finish() != expected.digest()) {
            return Err(Stop::Mismatch);
        }
        self.commit(core, object).await
    }

    /// Records all of a verified body.
    pub async fn commit(&mut self, core: &Core, object: &Arc<Object>) -> Result<(), Stop> {
        let pieces = std::mem::take(&mut self.uncommitted);
        let Some(claim) = &mut self.claim else { return Ok(()) };
        match commit(core, claim, &pieces).await {
            Err(Stop::Broken(broken)) => Err(Stop::Disk(broken.believe(core, object).await)),
            other => other,
        }
    }

    /// Bytes of the body that arrived.
    pub fn received(&self) -> u64 {
        self.span.map_or(0, Span::len)
    }

    /// The digests of what arrived.
    pub fn take_hashers(&mut self) -> Vec<Hasher> {
        std::mem::take(&mut self.hashers)
    }

    /// Whether what was recorded of the body still counts: no error of the disk took it back meanwhile.
    pub fn is_held(&self, object: &Object) -> bool {
        self.span.is_none_or(|span| {
            self.taken.iter().filter_map(|owned| owned.intersect(span)).all(|piece| object.holds(piece))
        })
    }

    /// Gives up the bytes that were not stored, so that other requests may claim them.
    pub fn let_go(&mut self) {
        self.taken = self.claim.take().map_or_else(Vec::new, |claim| claim.owned().to_vec());
    }

    fn trailer(&self) -> Result<Option<Checksum>, Stop> {
        let mut values = self.trailers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("upload-checksum"));
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) => Checksum::parse(value).map(Some).map_err(Stop::Refused),
            (Some(_), Some(_)) => Err(Stop::Refused(Refusal::new(400, "Upload-Checksum stands twice in the trailer"))),
        }
    }
}
