//! One journal per core: appending records, rotating segments, and knowing what was synced.
//!
//! Appending is one inline write into preallocated room, under the journal's lock; it is made to be called from the byte
//! path. Syncing is left to the caller, so that many records share one sync (group commit).
//!
//! **One sync at a time (P6).** The kernel reports a failed writeback once to each open file description. So a journal has
//! one description for each segment, and one [`Syncing`] at a time over all cores: a core that waited for another's sync
//! sees its outcome, never a success of its own that came after.
//!
//! **Full disk (P7).** Each segment keeps its last eighth for records that give space back or end something, and the next
//! segment is made ahead of time, so those go on when nothing can be allocated any more.
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use etransfer_contract::ObjectId;
use event_listener::{Event, EventListener};
use rustix::fs::{Mode, OFlags};

use super::disk;
use super::lock::Lock;
use super::manifest::Manifest;
use super::record::{BATCH_HEAD_BYTES, Change, KEPT_MAX, Record};
use super::room::{SEGMENT_BYTES, Segment, Used, is_full, make_segment, recycle_segment};
use super::segment::{BootId, FRAME_BYTES_MAX, FRAME_HEAD_BYTES, Header, Name, put_frame};

/// Room for any frame but those [`extra_room`] knows.
const SMALL_FRAME_BYTES: usize = 96;
/// Most records of one append.
pub(super) const APPEND_MAX: usize = 256;

const _: () = assert!(FRAME_HEAD_BYTES + 16 + 21 <= SMALL_FRAME_BYTES);
const _: () = assert!((APPEND_MAX * SMALL_FRAME_BYTES) < 64 << 10 >> 1);
// An append is one frame.
const _: () = assert!(FRAME_HEAD_BYTES + APPEND_MAX * (BATCH_HEAD_BYTES + 16 + 21) + 16 * KEPT_MAX < FRAME_BYTES_MAX);

/// How much one core's journal had taken in when a record was appended; compare with [`Journal::needs_sync`].
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
    files: Vec<Arc<OwnedFd>>,
    position: Position,
    ended: bool,
}

impl Syncing<'_> {
    /// Usually one; more right after a rotation.
    pub fn files(&self) -> &[Arc<OwnedFd>] {
        &self.files
    }

    /// All files were synced: everything that was appended when it began is durable, unless the journal is distrusted
    /// meanwhile; ask [`Journal::needs_sync`].
    pub fn succeeded(mut self) {
        self.ended = true;
        if !self.journal.is_distrusted() {
            self.journal.advance(self.position);
        }
    }

    /// Nothing was synced, and nothing was asked of the disk.
    pub fn not_begun(mut self) {
        self.ended = true;
    }

    /// A sync failed (P6): as [`Journal::distrust`].
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

/// What all journals of a store have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) directory: OwnedFd,
    pub(super) manifest: Manifest,
    pub(super) boot: BootId,
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
    inner: Lock<Inner>,
    synced: AtomicU64,
    /// Where it ended when a sync failed; 0 = never, or cured.
    distrusted: AtomicU64,
    is_syncing: AtomicBool,
    synced_changed: Event,
}

#[derive(Debug, Default)]
struct Inner {
    /// Absent only in a read-only store.
    segment: Option<Segment>,
    /// Made ahead, so that a full disk does not stop the journal.
    spare: Option<Segment>,
    /// Position at which the present segment starts.
    base: u64,
    /// Made, but the manifest could not be written: it may list it, so the file stays, and is the next one.
    unlisted: Option<Segment>,
    /// Earlier segments and the positions they end at, until those were synced.
    retired: Vec<(Segment, u64)>,
    next_part: u32,
    scratch: Vec<u8>,
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
        let (inner, synced_changed) = (Lock::new(Inner::default()), Event::new());
        let (synced, distrusted) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { core, common, inner, synced, distrusted, is_syncing: AtomicBool::new(false), synced_changed }
    }

    /// Everything appended so far.
    pub fn position(&self) -> Position {
        let inner = self.inner.hold();
        Position { core: self.core, at: inner.end() }
    }

    /// The segment being appended to; `None` only in a read-only store.
    pub fn file(&self) -> Option<Arc<OwnedFd>> {
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

    /// Begins to make everything appended so far durable. `None`: another core is at it; listen to
    /// [`Journal::synced_changed`] first, then ask, then wait.
    pub fn begin_sync(&self) -> Option<Syncing<'_>> {
        if self.is_syncing.swap(true, Ordering::AcqRel) {
            return None;
        }
        let inner = self.inner.hold();
        let mut files: Vec<_> = inner.retired.iter().map(|(segment, _)| Arc::clone(&segment.file)).collect();
        files.extend(inner.segment.as_ref().map(|segment| Arc::clone(&segment.file)));
        let position = Position { core: self.core, at: inner.end() };
        Some(Syncing { journal: self, files, position, ended: false })
    }

    /// Makes everything appended so far durable. Blocking; before the cores run and after they stopped.
    pub fn sync_blocking(&self) -> io::Result<()> {
        let syncing = self.begin_sync().ok_or(io::ErrorKind::ResourceBusy)?;
        match syncing.files().iter().try_for_each(disk::sync_data) {
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

    /// A sync of one of its files failed (P6). The kernel may have dropped the pages and a second sync would succeed, so no
    /// later sync counts until a checkpoint has replaced everything appended so far.
    pub fn distrust(&self) {
        let mut inner = self.inner.hold();
        self.distrusted.store(inner.end(), Ordering::Release);
        if let Err(error) = self.rotate(&mut inner) {
            tracing::error!(core = self.core, %error, "the journal cannot leave a segment whose sync failed");
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
        if self.distrusted.load(Ordering::Acquire) <= position.at {
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
        if let Inner { segment: Some(segment), base, .. } = &*inner {
            segment.synced.fetch_max(position.at.saturating_sub(*base), Ordering::Release);
        }
        drop(inner);
        self.synced_changed.notify(usize::MAX);
    }

    /// Fires when a [`Syncing`] ended: for those who wait for another core's.
    pub fn synced_changed(&self) -> EventListener {
        self.synced_changed.listen()
    }

    /// Appends the records in order with one write: all of them, or an error and none counts.
    pub(super) fn append(&self, object: ObjectId, changes: &[Change]) -> io::Result<Appended> {
        let essential = changes.iter().all(Change::is_essential);
        let records = changes.iter().map(|change| Record::Change { object, change: change.clone() });
        self.append_records(records.collect(), essential)
    }

    /// As [`Journal::append`], for any records.
    pub(super) fn append_records(&self, records: Vec<Record>, essential: bool) -> io::Result<Appended> {
        if self.common.read_only.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let at_unix_ms = super::clock::unix_ms();
        let mut inner = self.inner.hold();
        let room: usize = records.iter().map(|record| SMALL_FRAME_BYTES + extra_room(record)).sum();
        self.make_room(&mut inner, room as u64, essential)?;
        let count = records.len() as u64;
        let sequence = self.common.sequence.fetch_add(count, Ordering::Relaxed) + 1;
        let synced = self.synced.load(Ordering::Relaxed).saturating_sub(inner.base);
        let Inner { segment, scratch, .. } = &mut *inner;
        let segment = segment.as_mut().ok_or(io::ErrorKind::ReadOnlyFilesystem)?;
        scratch.clear();
        put_frame(scratch, segment.seed, sequence, at_unix_ms, synced as u32, &records);
        if let Err(error) = disk::write_all_at(&segment.file, scratch, segment.tail) {
            self.give_up_segment(&mut inner);
            return Err(error);
        }
        segment.tail += scratch.len() as u64;
        self.common.appended.fetch_add(scratch.len() as u64, Ordering::Relaxed);
        Ok(Appended { position: Position { core: self.core, at: inner.end() }, sequence, at_unix_ms })
    }

    /// After a failed write nothing may be appended behind what it left: go on in another file. A part of a frame is no
    /// frame; it is cut off all the same, in case only zeros are missing.
    fn give_up_segment(&self, inner: &mut Inner) {
        if let Some(segment) = &inner.segment {
            let _ = disk::write_all_at(&segment.file, &[0; 8], segment.tail);
        }
        if let Err(error) = self.rotate(inner) {
            tracing::error!(core = self.core, %error, "the journal cannot go on in a new segment");
            inner.retire();
        }
    }

    /// Makes sure that `bytes` fit, in a new segment if need be.
    fn make_room(&self, inner: &mut Inner, bytes: u64, essential: bool) -> io::Result<()> {
        let Some(segment) = &inner.segment else { return Err(io::ErrorKind::ReadOnlyFilesystem.into()) };
        if segment.tail + bytes <= segment.capacity - segment.capacity / 8 {
            return Ok(());
        }
        let fits = segment.tail + bytes <= segment.capacity;
        match self.rotate(inner) {
            Err(_) if essential && fits => Ok(()),
            rotated => rotated,
        }
    }

    /// Goes on in the spare segment, or in a new one.
    fn rotate(&self, inner: &mut Inner) -> io::Result<()> {
        let next = match inner.spare.take() {
            Some(spare) => spare,
            None => self.create_in(inner, None, true)?,
        };
        inner.install(next);
        Ok(())
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
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&self.common.directory, used.name.to_string(), flags, Mode::empty())?;
        let capacity = rustix::fs::fstat(&file)?.st_size.unsigned_abs();
        disk::write_all_at(&file, &vec![0; usize::try_from(used.torn).unwrap_or(0)], used.end)?;
        disk::sync_data(&file)?;
        let Used { name, seed, end: tail, synced, .. } = used;
        self.inner.hold().segment = Some(Segment { file: Arc::new(file), name, seed, capacity, tail, synced });
        Ok(())
    }

    /// Where the present segment starts: everything before it is in older files.
    pub(super) fn generation_start(&self) -> Position {
        Position { core: self.core, at: self.inner.hold().base }
    }

    /// Makes the spare segment if there is none. Blocking, by one thread at a time; failing is no error while the present
    /// segment has room. A journal that lost its segment gets the new one at once.
    pub(super) fn refill(&self) -> io::Result<()> {
        let first = {
            let inner = self.inner.hold();
            if inner.spare.is_some() {
                return Ok(());
            }
            inner.segment.is_none()
        };
        let made = self.create(None, first)?;
        let mut inner = self.inner.hold();
        match (&inner.segment, &inner.spare) {
            (None, _) => inner.install(made),
            (Some(_), None) => inner.spare = Some(made),
            // A rotation made one meanwhile; this one waits for its turn.
            (Some(_), Some(_)) => inner.unlisted = Some(made),
        }
        Ok(())
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

    fn create_in(&self, inner: &mut Inner, recycle: Option<Name>, enough: bool) -> io::Result<Segment> {
        let (part, unlisted) = (inner.take_part(), inner.unlisted.take());
        let (made, left) = self.make(part, unlisted, recycle, enough);
        inner.unlisted = left;
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

impl Inner {
    fn end(&self) -> u64 {
        self.base + self.segment.as_ref().map_or(0, |segment| segment.tail)
    }

    /// A part number that no other segment of this core has.
    fn take_part(&mut self) -> u32 {
        self.next_part += 1;
        self.next_part - 1
    }

    fn install(&mut self, next: Segment) {
        self.retire();
        self.segment = Some(next);
    }

    /// Nothing more goes to the present segment; what is in it waits for its sync.
    fn retire(&mut self) {
        let end = self.end();
        if let Some(old) = self.segment.take() {
            self.retired.push((old, end));
        }
        self.base = end;
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
        let broken = rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty()).expect("/dev/null is there");
        if let Some(segment) = &mut self.inner.hold().segment {
            segment.file = Arc::new(broken);
        }
    }
}
