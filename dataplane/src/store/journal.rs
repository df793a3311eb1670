//! One journal per core: appending records, rotating segments, and knowing what was written and what was synced.
//!
//! Appending touches no disk: a record gets its sequence number and its [`Position`] and waits in memory ([`Tail`](super::tail::Tail)). Writing and
//! syncing is left to the caller, so that many records share one write and one sync (group commit). What is not written is
//! lost with the process: before a record is acknowledged, its position must be written.
//!
//! **One write at a time.** A [`Flushing`] is the right to write, over all cores; a caller that waits for another's write learns its outcome.
//! A record whose write failed stays in memory and is written again, so the state in memory is never rolled back: the error is
//! reported to every waiter, and the record counts when it is written, before or after the next restart.
//!
//! **One sync at a time (PROMISES.md P6).** The kernel reports a failed writeback once to each open file description.
//! So a journal has one description for each segment, and one [`Syncing`] at a time over all cores: a core that waited
//! for another's sync sees its outcome, never a success of its own that came after.
//!
//! **Full disk (PROMISES.md P7).** An eighth of each segment is kept for records that give space back or end something,
//! and the next segment is made ahead of time, so those go on when nothing can be allocated any more. Nothing is
//! appended that has no room in the segments that are there; making one more ([`Journal::refill`]) blocks and is no
//! core's work.
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use etransfer_contract::ObjectId;
use etransfer_disk::{File, Mode, OFlags};
use event_listener::{Event, EventListener, Listener};

use super::chain::Chain;
use super::clock::Clock;
use super::disk;
use super::flushing::{Flush, Flushing};
use super::lock::Lock;
use super::manifest::Manifest;
use super::record::{BATCH_HEAD_BYTES, Change, KEPT_MAX, Record};
use super::room::{SEGMENT_BYTES, Segment, Used, is_full, make_segment, recycle_segment};
use super::segment::{BootId, FRAME_BYTES_MAX, FRAME_HEAD_BYTES, Header, Name};
use crate::bounds::JOURNAL_TAIL_BYTES_MAX;

/// Room for any frame but those [`extra_room`] knows.
const SMALL_FRAME_BYTES: usize = 96;
/// Most records of one append.
pub(super) const APPEND_MAX: usize = 256;

const _: () = assert!(FRAME_HEAD_BYTES + 16 + 21 <= SMALL_FRAME_BYTES);
const _: () = assert!((APPEND_MAX * SMALL_FRAME_BYTES) < 64 << 10 >> 1);
// An append is one frame.
const _: () = assert!(FRAME_HEAD_BYTES + APPEND_MAX * (BATCH_HEAD_BYTES + 16 + 21) + 16 * KEPT_MAX < FRAME_BYTES_MAX);

/// How much one core's journal had taken in when a record was appended; compare with [`Journal::is_written`] and
/// [`Journal::needs_sync`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    core: u32,
    /// Bytes appended since the start, over all segments.
    at: u64,
}

impl Position {
    /// Which journal has to be synced.
    pub const fn core(self) -> usize {
        self.core as usize
    }

    /// Bytes appended since the start, over all segments.
    pub const fn bytes(self) -> u64 {
        self.at
    }
}

/// The right to sync a journal, and what has to be synced: every one of the files, then [`Syncing::succeeded`], or
/// [`Syncing::failed`] at the first error. Dropped without an outcome it counts as failed: an error that the kernel reported
/// to it is not reported again.
#[derive(Debug)]
pub struct Syncing<'a> {
    journal: &'a Journal,
    files: Vec<Arc<File>>,
    position: Position,
    ended: bool,
}

impl Syncing<'_> {
    /// Usually one; more right after a rotation.
    pub fn files(&self) -> &[Arc<File>] {
        &self.files
    }

    /// All files were synced: everything that was written when it began is durable, unless the journal is distrusted
    /// meanwhile; check [`Journal::needs_sync`].
    pub fn succeeded(mut self) {
        self.ended = true;
        if !self.journal.is_distrusted() {
            self.journal.advance(self.position);
        }
    }

    /// Nothing was synced, and no sync was started.
    pub fn not_begun(mut self) {
        self.ended = true;
    }

    /// A sync failed (PROMISES.md P6): as [`Journal::distrust`].
    pub fn failed(mut self) {
        self.ended = true;
        self.journal.distrust();
    }
}

impl Drop for Syncing<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.journal.distrust();
        }
        self.journal.is_syncing.store(false, Ordering::Release);
        self.journal.synced_changed.notify(usize::MAX);
    }
}

/// The right to make a spare segment ([`Journal::begin_refill`]).
#[derive(Debug)]
pub struct Refilling<'a>(&'a Journal);

impl Drop for Refilling<'_> {
    fn drop(&mut self) {
        self.0.is_refilling.store(false, Ordering::Release);
        self.0.changed.notify(usize::MAX);
    }
}

/// Whether more can be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    There,
    /// When what was appended is written.
    AfterFlush,
    /// When another segment is there: [`Journal::refill`].
    AfterRefill,
}

/// What all journals of a store have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) directory: File,
    pub(super) manifest: Manifest,
    pub(super) boot: BootId,
    pub(super) clock: Clock,
    /// Last sequence number given out.
    pub(super) sequence: AtomicU64,
    /// Of new segments.
    pub(super) generation: AtomicU64,
    pub(super) segment_bytes: u64,
    /// Bytes appended to all journals since the last checkpoint.
    pub(super) appended: AtomicU64,
    pub(super) read_only: AtomicBool,
}

/// The journal of one core. Any thread may append to it; the core that owns it does so without contention.
#[derive(Debug)]
pub struct Journal {
    core: u32,
    common: Arc<Common>,
    inner: Lock<Chain>,
    /// As in `inner`.
    written: AtomicU64,
    synced: AtomicU64,
    /// One more than where it ended when a sync failed; 0 = never, or cured.
    distrusted: AtomicU64,
    is_syncing: AtomicBool,
    synced_changed: Event,
    /// How many writes failed.
    failures: AtomicU64,
    is_refilling: AtomicBool,
    /// A write or a refill ended.
    changed: Event,
}

/// What an append did.
#[derive(Debug, Clone, Copy)]
pub(super) struct Appended {
    pub(super) position: Position,
    /// Of the first record; the others follow.
    pub(super) sequence: u64,
    pub(super) at_unix_ms: u64,
}

impl Journal {
    pub(super) fn new(core: u32, common: Arc<Common>) -> Self {
        Self {
            core,
            common,
            inner: Lock::default(),
            written: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            distrusted: AtomicU64::new(0),
            is_syncing: AtomicBool::new(false),
            synced_changed: Event::new(),
            failures: AtomicU64::new(0),
            is_refilling: AtomicBool::new(false),
            changed: Event::new(),
        }
    }

    /// Everything appended so far.
    pub fn position(&self) -> Position {
        let inner = self.inner.hold();
        Position { core: self.core, at: inner.end() }
    }

    /// The segment being appended to; `None` only in a read-only store.
    pub fn file(&self) -> Option<Arc<File>> {
        self.inner.hold().segment.as_ref().map(|segment| Arc::clone(&segment.file))
    }

    /// Whether `position` (of this journal) is not yet known to be durable.
    pub fn needs_sync(&self, position: Position) -> bool {
        assert_eq!(position.core, self.core, "a position belongs to one journal");
        self.synced.load(Ordering::Acquire) < position.at
    }

    /// Everything appended so far is known to be durable.
    pub fn is_synced(&self) -> bool {
        !self.needs_sync(self.position())
    }

    /// Whether `position` (of this journal) is in a file: it outlives the process.
    pub fn is_written(&self, position: Position) -> bool {
        assert_eq!(position.core, self.core, "a position belongs to one journal");
        self.written.load(Ordering::Acquire) >= position.at
    }

    /// Begins to write what was appended.
    pub fn begin_flush(&self) -> Flush<'_> {
        let mut inner = self.inner.hold();
        if inner.flushing {
            return Flush::Busy;
        }
        if inner.tail.is_empty() {
            return Flush::Idle;
        }
        match inner.take_off() {
            Some(flight) => Flush::Begun(Flushing::new(self, flight)),
            None => Flush::NoSegment,
        }
    }

    /// Ends a write of `length` bytes to this segment; `None`: its outcome is unknown.
    pub(super) fn end_flush(&self, name: Name, length: usize, outcome: Option<io::Result<()>>) {
        let mut inner = self.inner.hold();
        inner.flushing = false;
        match outcome {
            Some(Ok(())) => {
                inner.note_written(name, length);
                self.written.store(inner.written, Ordering::Release);
            }
            Some(Err(error)) => {
                inner.leave(name);
                self.note_failure(&mut inner, error);
            }
            None if inner.is_present(name) => {}
            None => inner.tail.unseal(),
        }
        drop(inner);
        self.changed.notify(usize::MAX);
    }

    /// A [`Flushing`] is out.
    pub fn is_flushing(&self) -> bool {
        self.inner.hold().flushing
    }

    /// Fires when a [`Flushing`] or a refill of any caller ended.
    pub fn changed(&self) -> EventListener {
        self.changed.listen()
    }

    /// How many writes failed until now.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Acquire)
    }

    /// The error of the last failed write, if more than `failures` have failed.
    pub fn failure_since(&self, failures: u64) -> Option<io::Error> {
        if self.failures() == failures {
            return None;
        }
        self.inner.hold().failure.as_ref().map(again)
    }

    fn note_failure(&self, inner: &mut Chain, error: io::Error) {
        inner.failure = Some(error);
        self.failures.fetch_add(1, Ordering::AcqRel);
    }

    /// Writes everything appended so far. Blocking: not on a core.
    pub fn flush_blocking(&self) -> io::Result<()> {
        let upto = self.position();
        while !self.is_written(upto) {
            match self.begin_flush() {
                Flush::Begun(mut flushing) => {
                    let bytes = flushing.take_bytes();
                    match disk::write_all_at(flushing.file(), &bytes, flushing.at()) {
                        Ok(()) => flushing.succeeded(),
                        Err(error) => {
                            flushing.failed(&error);
                            return Err(error);
                        }
                    }
                }
                Flush::Idle => return Ok(()),
                Flush::Busy => {
                    let changed = self.changed();
                    if self.is_flushing() {
                        changed.wait();
                    }
                }
                Flush::NoSegment => self.refill(true)?,
            }
        }
        Ok(())
    }

    /// Whether records for `ranges` ranges can be appended; `essential`: they give space back or end something.
    pub fn room(&self, ranges: usize, essential: bool) -> Room {
        if self.common.read_only.load(Ordering::Relaxed) {
            // It is refused, and waiting changes nothing.
            return Room::There;
        }
        let inner = self.inner.hold();
        if inner.tail.len() >= JOURNAL_TAIL_BYTES_MAX as u64 {
            return Room::AfterFlush;
        }
        inner.room(((ranges + 1) * SMALL_FRAME_BYTES) as u64, essential)
    }

    /// Waits for that. Blocking: not on a core.
    pub fn make_room_blocking(&self, ranges: usize, essential: bool) -> io::Result<()> {
        loop {
            match self.room(ranges, essential) {
                Room::There => return Ok(()),
                Room::AfterFlush => self.flush_blocking()?,
                Room::AfterRefill => self.refill(true)?,
            }
        }
    }

    fn needs_spare(&self) -> bool {
        self.inner.hold().spare.is_none() && !self.common.read_only.load(Ordering::Relaxed)
    }

    /// The right to [`refill`](Self::refill); `None`: another caller holds it; listen to [`Journal::changed`], look at
    /// [`Journal::is_refilling`], then wait.
    pub fn begin_refill(&self) -> Option<Refilling<'_>> {
        (!self.is_refilling.swap(true, Ordering::AcqRel)).then_some(Refilling(self))
    }

    /// A spare segment is being made.
    pub fn is_refilling(&self) -> bool {
        self.is_refilling.load(Ordering::Acquire)
    }

    /// Begins to make everything written so far durable. `None`: another core is at it; listen to
    /// [`Journal::synced_changed`] first, then check, then wait.
    pub fn begin_sync(&self) -> Option<Syncing<'_>> {
        if self.is_syncing.swap(true, Ordering::AcqRel) {
            return None;
        }
        let inner = self.inner.hold();
        let mut files: Vec<_> = inner.retired.iter().map(|(segment, _)| Arc::clone(&segment.file)).collect();
        files.extend(inner.segment.as_ref().map(|segment| Arc::clone(&segment.file)));
        let position = Position { core: self.core, at: inner.written };
        Some(Syncing { journal: self, files, position, ended: false })
    }

    /// Makes everything appended so far durable. Blocking; before the cores run and after they stopped.
    pub fn sync_blocking(&self) -> io::Result<()> {
        self.flush_blocking()?;
        let syncing = self.begin_sync().ok_or(io::ErrorKind::ResourceBusy)?;
        match syncing.files().iter().try_for_each(|file| disk::sync_data(file)) {
            Ok(()) => syncing.succeeded(),
            Err(error) => {
                syncing.failed();
                return Err(error);
            }
        }
        if self.is_distrusted() {
            return Err(io::Error::other("an earlier sync of this journal failed"));
        }
        Ok(())
    }

    /// A sync of one of its files failed (PROMISES.md P6). The kernel may have dropped the pages and a second sync
    /// would succeed, so no later sync counts until a checkpoint has replaced everything written so far. What comes
    /// later goes to another segment, if there is a spare one.
    pub fn distrust(&self) {
        let mut inner = self.inner.hold();
        let sealed = if inner.flushing { inner.tail.sealed() } else { 0 };
        self.distrusted.store(inner.written + sealed + 1, Ordering::Release);
        if let Some(spare) = inner.spare.take() {
            inner.install(spare);
        }
        drop(inner);
        self.synced_changed.notify(usize::MAX);
    }

    /// Waiting for a checkpoint since a sync failed.
    pub fn is_distrusted(&self) -> bool {
        self.distrusted.load(Ordering::Acquire) > 0
    }

    /// A checkpoint holds everything up to `position`.
    pub(super) fn mark_replaced(&self, position: Position) {
        if self.distrusted.load(Ordering::Acquire) <= position.at + 1 {
            self.distrusted.store(0, Ordering::Release);
        }
        self.advance(position);
    }

    fn advance(&self, position: Position) {
        assert_eq!(position.core, self.core, "a position belongs to one journal");
        let mut inner = self.inner.hold();
        self.synced.fetch_max(position.at, Ordering::Release);
        for (segment, _) in inner.retired.extract_if(.., |(_, end)| *end <= position.at) {
            segment.synced.fetch_max(segment.tail, Ordering::Release);
        }
        if let Chain { segment: Some(segment), start, written, .. } = &*inner
            && position.at > *start
        {
            let behind = written.saturating_sub(position.at);
            segment.synced.fetch_max(segment.tail.saturating_sub(behind), Ordering::Release);
        }
        drop(inner);
        self.synced_changed.notify(usize::MAX);
    }

    /// Fires when a [`Syncing`] of any core ended.
    pub fn synced_changed(&self) -> EventListener {
        self.synced_changed.listen()
    }

    /// Appends the records in order, as one frame: all of them, or an error and none counts. Nothing is written yet.
    pub(super) fn append(&self, object: ObjectId, changes: &[Change]) -> io::Result<Appended> {
        let essential = changes.iter().all(Change::is_essential);
        let records = changes.iter().map(|change| Record::Change { object, change: change.clone() });
        self.append_records(records.collect(), essential)
    }

    /// As [`Journal::append`], for any records. `StorageFull`: see [`Journal::room`].
    pub(super) fn append_records(&self, records: Vec<Record>, essential: bool) -> io::Result<Appended> {
        if self.common.read_only.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let at_unix_ms = self.common.clock.unix_ms();
        let room: usize = records.iter().map(|record| SMALL_FRAME_BYTES + extra_room(record)).sum();
        let mut inner = self.inner.hold();
        if inner.room(room as u64, essential) != Room::There {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let sequence = self.common.sequence.fetch_add(records.len() as u64, Ordering::Relaxed) + 1;
        let length = inner.tail.put(sequence, at_unix_ms, &records);
        self.common.appended.fetch_add(length as u64, Ordering::Relaxed);
        Ok(Appended { position: Position { core: self.core, at: inner.end() }, sequence, at_unix_ms })
    }

    /// Starts a new generation: later records go to files that the coming checkpoint does not replace. Blocking.
    ///
    /// `recycle` names an unused segment whose room serves when the disk is full; it is gone afterwards.
    pub(super) fn start_generation(&self, recycle: Option<Name>) -> io::Result<()> {
        let (mut spare, first) = {
            let mut inner = self.inner.hold();
            (inner.spare.take(), inner.segment.is_none())
        };
        let unused = spare.as_ref().map(|spare| spare.name).or(recycle);
        let made = match (self.create(None, first && unused.is_none()), unused) {
            (Err(error), Some(unused)) if is_full(&error) => {
                // From here on it is no spare: the manifest may no longer list it.
                spare = None;
                self.create(Some(unused), first)
            }
            (Ok(next), Some(unused)) => {
                if self.common.manifest.remove(unused).is_ok() {
                    let _ = disk::unlink(&self.common.directory, &unused.to_string());
                }
                spare = None;
                Ok(next)
            }
            (made, _) => made,
        };
        let mut inner = self.inner.hold();
        match made {
            Ok(next) => inner.install(next),
            Err(error) => {
                inner.spare = inner.spare.take().or(spare);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Goes on in a segment of an earlier run: the last resort when the disk is full at start. What a torn write left is
    /// cut off first. Blocking.
    pub(super) fn resume(&self, used: Used) -> io::Result<()> {
        let (name, flags) = (used.name.to_string(), OFlags::RDWR | OFlags::NOFOLLOW);
        let file = self.common.directory.open_at(&name, flags, Mode::empty())?;
        let capacity = file.stat()?.size;
        disk::write_all_at(&file, &vec![0; usize::try_from(used.torn).unwrap_or(0)], used.end)?;
        disk::sync_data(&file)?;
        let Used { name, seed, end: tail, synced, .. } = used;
        self.inner.hold().segment = Some(Segment { file: Arc::new(file), name, seed, capacity, tail, synced });
        Ok(())
    }

    /// Where the present segment starts: everything before it is in older files.
    pub(super) fn generation_start(&self) -> Position {
        Position { core: self.core, at: self.inner.hold().start }
    }

    /// Makes the spare segment if there is none; one that is `needed` may be small. Blocking: not on a core.
    pub fn refill(&self, needed: bool) -> io::Result<()> {
        if !self.needs_spare() {
            return Ok(());
        }
        let made = self.create(None, needed);
        let mut inner = self.inner.hold();
        match made {
            // A generation began meanwhile: its checkpoint takes the place of this file.
            Ok(made) if made.name.generation() != self.common.generation.load(Ordering::Acquire) => Ok(()),
            Ok(made) if inner.spare.is_some() => {
                // Another caller made a spare first; this one is listed later.
                inner.unlisted = Some(made);
                Ok(())
            }
            Ok(made) => {
                inner.spare = Some(made);
                Ok(())
            }
            Err(error) => {
                if !inner.tail.is_empty() && !inner.has_room_for_first() {
                    self.note_failure(&mut inner, again(&error));
                }
                Err(error)
            }
        }
    }

    fn create(&self, recycle: Option<Name>, enough: bool) -> io::Result<Segment> {
        let (part, unlisted) = {
            let mut inner = self.inner.hold();
            (inner.take_part(), inner.unlisted.take())
        };
        let (made, left) = self.make(part, unlisted, recycle, enough);
        if left.is_some() {
            self.inner.hold().unlisted = left;
        }
        made
    }

    /// A new segment of the present generation: whole, its name durable, listed in the manifest. On a full disk the room of
    /// `recycle` serves, or a small one if that is `enough`. Also what is left unlisted.
    fn make(
        &self,
        part: u32,
        unlisted: Option<Segment>,
        recycle: Option<Name>,
        enough: bool,
    ) -> (io::Result<Segment>, Option<Segment>) {
        let generation = self.common.generation.load(Ordering::Acquire);
        let made = match unlisted.filter(|segment| segment.name.generation() == generation) {
            Some(segment) => Ok(segment),
            None => self.make_file(Name::Segment { generation, core: self.core, part }, recycle, enough),
        };
        match made.map(|segment| (self.common.manifest.add(segment.entry()), segment)) {
            Ok((Ok(()), segment)) => (Ok(segment), None),
            Ok((Err(error), segment)) => (Err(error), Some(segment)),
            Err(error) => (Err(error), None),
        }
    }

    fn make_file(&self, name: Name, recycle: Option<Name>, enough: bool) -> io::Result<Segment> {
        let sequence = self.common.sequence.load(Ordering::Relaxed);
        let header = Header { name, boot: self.common.boot, sequence, tag: self.common.manifest.tag() };
        let (least, most) = (*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end());
        let directory = &self.common.directory;
        if let Some(unused) = recycle {
            self.common.manifest.remove(unused)?;
            return recycle_segment(directory, &header, unused);
        }
        match make_segment(directory, &header, self.common.segment_bytes.clamp(least, most)) {
            Err(error) if is_full(&error) && enough => make_segment(directory, &header, least),
            made => made,
        }
    }
}

/// A copy of the error, for another caller.
pub(super) fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// Room beyond [`SMALL_FRAME_BYTES`].
fn extra_room(record: &Record) -> usize {
    match record {
        Record::Change { change: Change::Fallback { kept }, .. } => kept.len() * 16,
        Record::Change { .. } | Record::Clean { .. } => 0,
        Record::Snapshot { .. } | Record::Pieces { .. } | Record::Tombstone { .. } | Record::End { .. } => 0,
    }
}

#[cfg(test)]
impl Journal {
    /// As if the disk refused the next write: the segment is a file that cannot be written.
    pub(super) fn break_segment(&self) {
        let broken = std::fs::File::open("/dev/null").expect("/dev/null is there").into();
        if let Some(segment) = &mut self.inner.hold().segment {
            segment.file = Arc::new(broken);
        }
    }
}
