//! One object: its bytes, its writers, its readers. Shared by all cores, locked for a few instructions at a
//! time.
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use etransfer_contract::fact::Presence;
use etransfer_contract::{ObjectId, Span, SpanSet};
use etransfer_disk::File;
use event_listener::{Event, EventListener};

use super::claim::{Claim, Lease, Writer};
use super::clock::millis;
use super::completion::CompletionRight;
use super::decide::{Decision, Refused, Seen, Want, decide, has_room_for, opens_range};
use super::extent::Trust;
use super::index::{Index, Leftover, Tally, Tombstone};
use super::journal::{Appended, Journal, Position};
use super::known::{Known, Stamp};
use super::lock::Lock;
use super::path::ObjectPath;
use super::reader::ReadGuard;
use super::record::{Change, KEPT_MAX};
use super::rest::Rest;
use super::verify::{Proof, prove};
use crate::bounds::WRITER_SILENT;

/// The bytes of an object and their owners. Always behind an [`Arc`].
#[derive(Debug)]
pub struct Object {
    id: ObjectId,
    pub(super) state: Lock<State>,
    /// A claim stored something or was released, the object completed or was removed.
    pub(super) changed: Event,
    removed: AtomicBool,
    /// Its bytes are not what was recorded; the index has the reason.
    damaged: AtomicBool,
    /// Readers have to stop.
    pub(super) cut: AtomicBool,
    pub(super) readers: AtomicUsize,
    /// A [`SoleDelivery`](super::SoleDelivery) is out.
    pub(super) delivering: AtomicBool,
    downloads: AtomicU64,
    /// Of its file, once it was opened; 0 = not yet.
    inode: AtomicU64,
    index: Weak<Index>,
    pub(super) tally: Arc<Tally>,
}

/// What the object's lock guards.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) known: Known,
    /// From a grant, not yet recorded: every first record takes it along.
    pub(super) declared: Option<u64>,
    pub(super) writers: Vec<Writer>,
    /// A [`CompletionRight`] is out.
    pub(super) completing: bool,
    /// The completion is recorded but not published: its record is not known to be durable yet.
    pub(super) unpublished: bool,
    /// A write or sync of its file failed, and what the disk holds was not read yet ([`Object::find_out`]).
    in_doubt: bool,
    /// How often that happened.
    doubts: u64,
    /// Open since before its first byte that no sync covered ([`Object::keep_open`]).
    kept: Option<Arc<File>>,
    /// Bytes that no sync covered were written through descriptors that are closed: a writeback error may be lost.
    lapsed: bool,
    /// Latest record in each journal that has one, for syncing all that an answer covers.
    positions: Vec<Position>,
    next_writer: u64,
}

/// One look at an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Once known.
    pub length: Option<u64>,
    /// Bytes received without a gap from 0: `Upload-Offset`.
    pub contiguous: u64,
    /// Bytes received.
    pub received: u64,
    /// All there, and recorded as such.
    pub complete: bool,
    /// Gone.
    pub removed: bool,
    /// Open claims.
    pub writers: usize,
    /// Last accepted byte or completion, Unix milliseconds; 0 = none yet.
    pub written_unix_ms: u64,
}

/// Why a length is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LengthRefused {
    /// 400: it never changes once set (T-DEF-4).
    #[error("the length is {declared} already")]
    Other {
        /// The length that stands.
        declared: u64,
    },
    /// 400: bytes beyond it are there (T-DEF-5).
    #[error("{present} bytes are there already")]
    Below {
        /// End of the last received byte.
        present: u64,
    },
    /// The object is gone.
    #[error("the object was removed")]
    Removed,
    /// It could not be recorded.
    #[error("record the length: {0}")]
    Journal(#[source] io::Error),
}

/// Some of these bytes are stored, owned by another claim or beyond the object, or they would be one separate range too many: see
/// [`Object::claim_free`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not all of these bytes are free")]
pub struct NotFree;

/// What an open file turned out to be, compared with what the object's file has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Strange {
    /// Another file stands where the object's stood.
    #[error("its file was replaced by another one")]
    Replaced,
    /// Recorded bytes are not in it.
    #[error("{recorded} bytes are recorded, its file has {found}")]
    Short {
        /// End of the last recorded byte.
        recorded: u64,
        /// Size of the file.
        found: u64,
    },
}

/// Everything stored when a data sync began; see [`Object::mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncMark(u64);

impl Object {
    pub(super) fn new(id: ObjectId, known: Known, index: Weak<Index>, tally: Arc<Tally>) -> Self {
        Self {
            id,
            state: Lock::new(State { lapsed: known.has_cached(), known, ..State::default() }),
            changed: Event::new(),
            removed: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            readers: AtomicUsize::new(0),
            delivering: AtomicBool::new(false),
            downloads: AtomicU64::new(0),
            inode: AtomicU64::new(0),
            index,
            tally,
        }
    }

    /// One that was at rest: what this run learned of it is as it was.
    pub(super) fn wake(id: ObjectId, rest: &Rest, index: Weak<Index>, tally: Arc<Tally>) -> Self {
        let mut object = Self::new(id, rest.known(), index, tally);
        (*object.inode.get_mut(), *object.downloads.get_mut()) = (rest.inode, u64::from(rest.downloads));
        object
    }

    /// The object in its small form, if only the index holds it, it is complete and [`Rest`] can express all that is known of it.
    /// `is_synced`: whether a record is known to be durable, so that no answer has to wait for it.
    pub(super) fn rest(&mut self, is_synced: impl Fn(Position) -> bool) -> Option<Rest> {
        let is_sound = !*self.removed.get_mut() && !*self.damaged.get_mut() && !*self.cut.get_mut();
        let is_free =
            *self.readers.get_mut() == 0 && !*self.delivering.get_mut() && self.changed.total_listeners() == 0;
        let (inode, downloads) = (*self.inode.get_mut(), *self.downloads.get_mut());
        let state = self.state.get_mut();
        let is_quiet = state.writers.is_empty() && !state.completing && !state.unpublished && !state.in_doubt;
        let is_durable = state.kept.is_none() && state.positions.iter().all(|position| is_synced(*position));
        if is_sound && is_free && is_quiet && is_durable { Rest::of(&state.known, inode, downloads) } else { None }
    }

    /// Its name.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Where its bytes live.
    pub fn path(&self) -> ObjectPath {
        ObjectPath::of(self.id)
    }

    /// Full downloads until now, of which the control plane knew `reported` when it decided.
    pub fn downloads(&self, reported: u64) -> u64 {
        self.downloads.load(Ordering::Acquire).max(reported)
    }

    /// Counts one more, before it is reported: no decision knows more than this.
    pub fn count_download(&self, reported: u64) {
        self.downloads.fetch_max(reported, Ordering::AcqRel);
        self.downloads.fetch_add(1, Ordering::AcqRel);
    }

    /// How it is right now.
    pub fn look(&self) -> Look {
        let state = self.state.hold();
        Look {
            length: state.length(),
            contiguous: state.known.received.contiguous(),
            received: state.known.received.bytes(),
            complete: state.is_complete(),
            removed: self.is_removed(),
            writers: state.writers.len(),
            written_unix_ms: state.known.written_unix_ms,
        }
    }

    /// Which bytes are there.
    pub fn spans(&self) -> SpanSet {
        self.state.hold().known.received.clone()
    }

    /// End of the run of received bytes that holds `at`; `at` itself when that byte is absent.
    pub fn end_of_run(&self, at: u64) -> u64 {
        self.state.hold().known.received.end_of_run(at)
    }

    /// For the control plane; `only_synced`: of the places of its bytes, those that a sync covered.
    pub fn presence(&self, only_synced: bool) -> Presence {
        self.state.hold().presence(self.id, only_synced)
    }

    /// `None` when no record names it: a restart forgets it without damage.
    pub(super) fn recorded_presence(&self, only_synced: bool) -> Option<Presence> {
        let state = self.state.hold();
        let recorded = state.known.sequence > 0 && !self.is_removed();
        recorded.then(|| state.presence(self.id, only_synced))
    }

    /// End of the last received byte: the file is at least this long.
    pub fn end(&self) -> u64 {
        self.state.hold().present()
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.state.hold().known.sequence > 0
    }

    /// Removed forever.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// What its file holds is not what was recorded: from now on nothing is read from it, written to it or completed. It
    /// stays known, and can be removed. A later start judges it again.
    pub fn report_damage(&self, what: &str) {
        if let Some(index) = self.index.upgrade() {
            index.damage(self.id, what);
        }
        if !self.damaged.swap(true, Ordering::AcqRel) {
            tracing::error!(object = %self.id, what, "this object is damaged; it is not served until its file is put right");
        }
        self.state.hold().writers.iter().for_each(|writer| writer.lease.fence());
        self.cut.store(true, Ordering::Release);
        self.changed.notify(usize::MAX);
    }

    /// See [`Object::report_damage`].
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// What is wrong with it; `None`: nothing known.
    pub fn damage(&self) -> Option<String> {
        if !self.is_damaged() {
            return None;
        }
        self.index.upgrade().and_then(|index| index.damage_of(self.id)).or_else(|| Some("its file is damaged".into()))
    }

    /// What has to be written before an answer may rely on the present state, over all journals; at `durability: every`, synced.
    pub fn positions(&self) -> Vec<Position> {
        self.state.hold().positions.clone()
    }

    /// Everything in `span` was received and still counts.
    pub fn holds(&self, span: Span) -> bool {
        self.state.hold().known.received.contains(span)
    }

    /// How it is as far as a sync of its data proved it, and which bytes those are; an object that is complete is all there.
    /// The records of it are durable once the [`positions`](Self::positions) taken afterwards are.
    pub fn proven(&self) -> (Look, SpanSet) {
        let look = self.look();
        if look.complete {
            return (look, self.spans());
        }
        let durable = self.state.hold().known.durable();
        (Look { contiguous: durable.contiguous(), received: durable.bytes(), ..look }, durable)
    }

    /// Every received byte is covered by a sync that succeeded.
    pub fn is_proven(&self) -> bool {
        let state = self.state.hold();
        state.known.complete || state.known.durable().bytes() == state.known.received.bytes()
    }

    /// A [`CompletionRight`] of it is held.
    pub fn is_completing(&self) -> bool {
        self.state.hold().completing
    }

    /// A write or sync of its file failed, and what the disk holds was not found out yet.
    pub fn is_in_doubt(&self) -> bool {
        self.state.hold().in_doubt
    }

    /// Compares an open regular file with what is known of this object's: the same inode as before (in this run), and no
    /// recorded byte beyond its end. `recorded`: the [`end`](Self::end) from before its size was read; other writers extend
    /// the file and record that meanwhile.
    pub fn recognize(&self, inode: u64, size: u64, recorded: u64) -> Result<(), Strange> {
        let known = self.inode.compare_exchange(0, inode, Ordering::AcqRel, Ordering::Acquire);
        if known.is_err_and(|known| known != inode) {
            return Err(Strange::Replaced);
        }
        let recorded = recorded.min(self.end());
        if size < recorded { Err(Strange::Short { recorded, found: size }) } else { Ok(()) }
    }

    /// The length a grant names. Recorded with the first byte; a length that is known already stands.
    pub(super) fn adopt_length(&self, length: u64) {
        let mut state = self.state.hold();
        if state.length().is_none() && state.present() <= length {
            state.declared = Some(length);
            state.trim_writers(length);
        }
    }

    /// Sets the length of a deferred upload and records it. Running writers lose what they own beyond it.
    pub fn declare_length(&self, length: u64, journal: &Journal) -> Result<(), LengthRefused> {
        let mut state = self.state.hold();
        if self.is_removed() {
            return Err(LengthRefused::Removed);
        }
        match state.length() {
            Some(declared) if declared == length => return Ok(()),
            Some(declared) => return Err(LengthRefused::Other { declared }),
            None => {}
        }
        let present = state.present();
        if length < present {
            return Err(LengthRefused::Below { present });
        }
        let change = Change::Length { length };
        self.record(&mut state, journal, &[change]).map_err(LengthRefused::Journal)?;
        state.trim_writers(length);
        drop(state);
        self.changed.notify(usize::MAX);
        Ok(())
    }

    /// Asks for the right to store a body; see [`Want`] and the table in `decide.rs`.
    pub fn claim(self: &Arc<Self>, want: Want) -> Result<Claim, Refused> {
        let mut state = self.state.hold();
        if self.is_removed() {
            return Err(Refused::Removed);
        }
        if self.is_damaged() {
            return Err(Refused::Damaged);
        }
        if state.in_doubt {
            return Err(Refused::InDoubt);
        }
        let contiguous = state.known.received.contiguous();
        let owned: SpanSet = state.writers.iter().flat_map(|writer| writer.owned.iter()).collect();
        let (length, complete) = (state.length(), state.is_complete());
        let opening = state.opening();
        match decide(Seen { received: &state.known.received, owned: &owned, opening, length, complete }, want) {
            Decision::Take { owned, end } => Ok(self.hand_out(&mut state, owned, end)),
            Decision::Busy { wanted } => {
                let now_ms = self.tally.clock.ticks_ms();
                let silent = state.owners_of(&wanted).all(|writer| writer.is_silent(millis(WRITER_SILENT), now_ms));
                Err(Refused::Busy { silent, listener: self.changed.listen() })
            }
            Decision::Scattered => Err(Refused::Scattered),
            Decision::Received => Err(Refused::Received { contiguous }),
            Decision::Mismatch => Err(Refused::Mismatch { contiguous }),
            Decision::OffsetBeyond => Err(Refused::OffsetBeyond { contiguous }),
            Decision::BeyondLength { length } => Err(Refused::BeyondLength { length }),
            Decision::Complete { inside, length } => Err(Refused::Complete { inside, length }),
        }
    }

    /// The right to store exactly these bytes, at any offset: none of them may be stored or owned by another claim.
    pub fn claim_free(self: &Arc<Self>, span: Span) -> Result<Claim, NotFree> {
        let mut state = self.state.hold();
        let is_owned =
            state.writers.iter().any(|writer| writer.owned.iter().any(|owned| owned.intersect(span).is_some()));
        let is_received = state.known.received.missing(span).as_slice() != [span];
        let is_beyond = state.length().is_some_and(|length| span.end() > length);
        let is_closed = self.is_removed() || self.is_damaged() || state.in_doubt;
        let is_scattered = !has_room_for(span, &state.known.received, state.opening());
        if is_closed || state.known.complete || is_owned || is_received || is_beyond || is_scattered {
            return Err(NotFree);
        }
        Ok(self.hand_out(&mut state, vec![span], span.end()))
    }

    fn hand_out(self: &Arc<Self>, state: &mut State, owned: Vec<Span>, end: u64) -> Claim {
        let number = state.next_writer;
        state.next_writer += 1;
        let lease = Arc::new(Lease::new(self.tally.clock.ticks_ms()));
        state.writers.push(Writer::new(number, &owned, Arc::clone(&lease)));
        Claim::new(Arc::clone(self), number, lease, owned, end)
    }

    /// Asks writers to end: those that own bytes of `which` (all, when `None`) and were silent for at least
    /// `only_silent_for`. Returns how many of them are still open; they own their bytes until their claim is dropped, so
    /// wait for [`Object::writers_changed`]. Until then they may still commit what they have stored.
    pub fn end_writers(&self, which: Option<Span>, only_silent_for: Option<Duration>) -> usize {
        let (state, now_ms) = (self.state.hold(), self.tally.clock.ticks_ms());
        let concerned = |writer: &&Writer| {
            which.is_none_or(|span| writer.owns_some_of(span))
                && only_silent_for.is_none_or(|least| writer.is_silent(millis(least), now_ms))
        };
        state.writers.iter().filter(concerned).inspect(|writer| writer.lease.end()).count()
    }

    /// Fires when a claim stored something or was released, when the object completed, and when it was removed. Listen
    /// first, then look.
    pub fn writers_changed(&self) -> EventListener {
        self.changed.listen()
    }

    /// The right to complete the object, for exactly one caller at a time: when the length is known, every byte is there,
    /// and no writer has bytes left to store. Every writer tries this after it dropped its claim.
    pub fn try_complete(self: &Arc<Self>) -> Option<CompletionRight> {
        let mut state = self.state.hold();
        let length = state.length()?;
        let whole = state.known.received.contiguous() == length;
        let idle = state.writers.iter().all(|writer| writer.has_stored_all());
        let is_closed = self.is_removed() || self.is_damaged() || state.in_doubt;
        if !whole || !idle || state.is_complete() || state.completing || is_closed {
            return None;
        }
        state.completing = true;
        Some(CompletionRight::new(Arc::clone(self), length, state.unpublished))
    }

    /// Removes the object forever: records the tombstone, ends its writers, cuts its readers. `true` for the first call.
    ///
    /// The file is unlinked later, and only by [`Store::condemn`](super::Store::condemn).
    pub fn remove(&self, journal: &Journal) -> io::Result<bool> {
        let first = self.retire(journal)?;
        self.cut.store(true, Ordering::Release);
        self.changed.notify(usize::MAX);
        Ok(first)
    }

    /// As [`Object::remove`], but running deliveries may finish: they hold the file open. New ones are refused.
    pub fn retire(&self, journal: &Journal) -> io::Result<bool> {
        let mut state = self.state.hold();
        if self.is_removed() {
            return Ok(false);
        }
        let tombstone = self.entomb(&mut state, journal)?;
        drop(state);
        if let Some(index) = self.index.upgrade() {
            index.bury(self.id, tombstone);
        }
        self.changed.notify(usize::MAX);
        Ok(true)
    }

    /// Records the removal. From here on to [`Index::bury`] the tombstone is only in the object's state, where a checkpoint
    /// that runs meanwhile finds it.
    pub(super) fn entomb(&self, state: &mut State, journal: &Journal) -> io::Result<Tombstone> {
        let appended = self.record(state, journal, &[Change::Remove])?;
        state.kept = None;
        state.known.written_unix_ms = appended.at_unix_ms;
        if let Some(index) = self.index.upgrade() {
            // Before the removal is visible: until its file is gone it is not reported to the control plane.
            let (bytes, position) = (state.known.received.bytes(), Some(appended.position));
            index.leave(self.id, Leftover { bytes, position });
        }
        self.removed.store(true, Ordering::Release);
        state.writers.iter().for_each(|writer| writer.lease.end());
        Ok(state.tombstone())
    }

    /// A place to read from; `None` when the object was removed or is damaged.
    pub fn read(self: &Arc<Self>) -> Option<ReadGuard> {
        ReadGuard::new(Arc::clone(self))
    }

    /// Deliveries that are running.
    pub fn readers(&self) -> usize {
        self.readers.load(Ordering::Acquire)
    }

    /// Remembers what is stored now: take it before a data sync begins, give it to [`Object::synced`] after it succeeded.
    pub fn mark(&self) -> SyncMark {
        let mut state = self.state.hold();
        let sequence = state.known.sequence;
        state.known.extents.seal(sequence);
        SyncMark(sequence)
    }

    /// The file's data was synced: everything stored before `mark` is durable. Bounds what a failed sync takes back
    /// (PROMISES.md P6) and what has to be read back after a power loss.
    pub fn synced(&self, mark: SyncMark, journal: &Journal) -> io::Result<Position> {
        let mut state = self.state.hold();
        if self.is_removed() {
            return Ok(journal.position());
        }
        Ok(self.record(&mut state, journal, &[Change::Synced { upto: mark.0 }])?.position)
    }

    /// Keeps a descriptor of its file, which has bytes that no sync covered yet, until a sync covers them: the kernel reports a
    /// failed writeback through a descriptor that was open then, and forgets it with the inode when none is. `None`: there is
    /// no descriptor to keep; a completion then compares the disk with the CRCs.
    pub fn keep_open(&self, file: Option<File>) {
        let mut state = self.state.hold();
        match file {
            Some(file) if state.kept.is_none() => state.kept = Some(Arc::new(file)),
            Some(_) => {}
            None => state.lapsed = true,
        }
    }

    /// A descriptor is kept, or it is too late for that.
    pub fn is_kept_or_lapsed(&self) -> bool {
        let state = self.state.hold();
        state.kept.is_some() || state.lapsed
    }

    /// The descriptor that is kept: a sync through it reports every failure since.
    pub fn kept(&self) -> Option<Arc<File>> {
        self.state.hold().kept.clone()
    }

    /// Gives the kept descriptor up: a sync covered all, or (`lapse`) others need it more.
    pub fn let_close(&self, lapse: bool) {
        let mut state = self.state.hold();
        if !lapse && state.known.has_cached() {
            return;
        }
        let kept = state.kept.take();
        state.lapsed |= lapse && kept.is_some();
        drop(state);
        drop(kept);
    }

    /// A writeback error of its bytes may be lost: see [`Object::keep_open`].
    pub fn is_lapsed(&self) -> bool {
        self.state.hold().lapsed
    }

    /// After a sync that succeeded: compares what no sync covered before with the disk itself. `false`: it is not there.
    /// Blocking: not on a core.
    pub fn compare_with_disk(&self, objects: &File) -> io::Result<bool> {
        let cached: Vec<_> = {
            let state = self.state.hold();
            state.known.extents.iter().filter(|extent| extent.trust != Trust::Durable).copied().collect()
        };
        for extent in cached {
            if prove(objects, self.id, extent.span, extent.crc)? == Proof::Other {
                return Ok(false);
            }
        }
        self.state.hold().lapsed = false;
        Ok(true)
    }

    /// A write or sync of its file failed (PROMISES.md P6): nothing that is only cached is trusted any more. Running
    /// writers are ended and cannot commit; no claim is granted and nothing completes before [`Object::find_out`] has read
    /// the disk.
    pub fn doubt(&self) {
        let mut state = self.state.hold();
        state.in_doubt = true;
        state.doubts += 1;
        state.writers.iter().for_each(|writer| writer.lease.fence());
    }

    /// Asks the disk, past the page cache, for every byte that a sync proved before: what it holds counts, all else was
    /// never received. Blocking: not on a core. An error: the disk cannot be read now; the object stays in doubt.
    ///
    /// It stays so until what was found is written as well ([`Object::settle_doubt`]): a restart would trust the older records,
    /// so nothing may be built on this before.
    ///
    /// A complete object only stays complete when all of it is there; that it is not is [`Fallen::Damaged`], and changes
    /// nothing: its bytes must not be written again.
    pub fn find_out(&self, objects: &File, journal: &Journal) -> io::Result<Found> {
        let (complete, wanted, doubt) = {
            let state = self.state.hold();
            let complete = state.known.complete;
            let is_wanted = |extent: &&super::extent::Extent| complete || extent.trust == Trust::Durable;
            let wanted: Vec<_> = state.known.extents.iter().filter(is_wanted).copied().collect();
            (complete, wanted, state.doubts)
        };
        let mut proven = SpanSet::new();
        let mut lost = 0;
        for extent in wanted {
            match prove(objects, self.id, extent.span, extent.crc)? {
                Proof::There => proven.insert(extent.span),
                Proof::Other => lost += extent.span.len(),
            }
        }
        let mut state = self.state.hold();
        let is_settled = !state.in_doubt || state.doubts != doubt;
        let fallen = if self.is_removed() {
            Fallen::Kept(0)
        } else if is_settled {
            // Another caller has read the disk meanwhile; what was received since counts.
            Fallen::Kept(state.known.received.bytes())
        } else if complete {
            if lost > 0 { Fallen::Damaged { lost } } else { Fallen::Kept(proven.bytes()) }
        } else {
            let kept = proven.iter().take(KEPT_MAX).collect();
            if let Err(error) = self.record(&mut state, journal, &[Change::Fallback { kept }]) {
                state.known.keep_only(proven);
                return Err(error);
            }
            if lost > 0 {
                tracing::error!(object = %self.id, lost, "bytes that an earlier sync covered are not on the disk");
            }
            Fallen::Kept(state.known.received.bytes())
        };
        Ok(Found { fallen, doubt })
    }

    /// What was found out is written: the object can be used again, unless there is a new doubt.
    pub fn settle_doubt(&self, found: Found) {
        let mut state = self.state.hold();
        if state.in_doubt && state.doubts == found.doubt {
            state.in_doubt = false;
            (state.kept, state.lapsed) = (None, false);
            drop(state);
            self.changed.notify(usize::MAX);
        }
    }

    /// Doubts it, finds out and writes what was found. Blocking: where no core runs.
    pub fn fall_back(&self, objects: &File, journal: &Journal) -> io::Result<Fallen> {
        self.doubt();
        journal.make_room_blocking(KEPT_MAX / 4, true)?;
        let found = self.find_out(objects, journal)?;
        journal.flush_blocking()?;
        self.settle_doubt(found);
        Ok(found.fallen)
    }

    /// Appends records and applies them, under the object's lock. The length goes into the same append as the first.
    pub(super) fn record(&self, state: &mut State, journal: &Journal, changes: &[Change]) -> io::Result<Appended> {
        let length = state.declared.filter(|_| state.known.length.is_none());
        let mut all: Vec<Change> = Vec::with_capacity(changes.len() + 1);
        let first_is_range = matches!(changes.first(), Some(Change::Range { .. }));
        all.extend(length.filter(|_| first_is_range).map(|length| Change::Length { length }));
        all.extend_from_slice(changes);
        let appended = journal.append(self.id, &all)?;
        for (number, change) in all.iter().enumerate() {
            let sequence = appended.sequence + number as u64;
            let stamp = Stamp { sequence, at_unix_ms: appended.at_unix_ms, trust: Trust::Cached };
            state.known.apply(stamp, change);
        }
        state.positions.retain(|position| position.core() != appended.position.core());
        state.positions.push(appended.position);
        Ok(appended)
    }

    /// The completion must be reported to the control plane.
    pub(super) fn owe_completion(&self, sequence: u64) {
        if let Some(index) = self.index.upgrade() {
            index.owe(self.id, super::record::Confirmable::Completed, sequence);
        }
    }
}

/// What [`Object::find_out`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What is left of the object.
    pub fallen: Fallen,
    doubt: u64,
}

/// What is left of an object after [`Object::find_out`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallen {
    /// This many bytes are proven and count.
    Kept(u64),
    /// It was complete, and some of its bytes are not on the disk.
    Damaged {
        /// Bytes that are not there.
        lost: u64,
    },
}

impl State {
    /// Of a removed object: its last record is the removal.
    pub(super) fn tombstone(&self) -> Tombstone {
        let (sequence, at_unix_ms) = (self.known.sequence, self.known.written_unix_ms);
        Tombstone { sequence, at_unix_ms, confirmed: false }
    }

    /// All there, recorded as such, and published.
    pub(super) fn is_complete(&self) -> bool {
        self.known.complete && !self.unpublished
    }

    /// What the disk holds of it was not found out yet.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    fn presence(&self, id: ObjectId, only_synced: bool) -> Presence {
        let mut presence = self.known.presence(id, self.length(), only_synced);
        if self.unpublished {
            let known = if only_synced { self.known.durable() } else { self.known.received.clone() };
            (presence.complete, presence.contiguous, presence.spans) = (false, known.contiguous(), known);
        }
        presence
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.known.length.or(self.declared)
    }

    /// Writers whose next byte opens a separate range.
    fn opening(&self) -> usize {
        let opens = |first: Span| opens_range(&self.known.received, first);
        self.writers.iter().filter(|writer| writer.owned.iter().next().is_some_and(opens)).count()
    }

    /// End of the last received byte.
    fn present(&self) -> u64 {
        self.known.received.iter().last().map_or(0, Span::end)
    }

    /// Takes everything beyond `length` from the running writers.
    fn trim_writers(&mut self, length: u64) {
        if let Some(beyond) = Span::new(length, etransfer_contract::span::OFFSET_MAX) {
            self.writers.iter_mut().for_each(|writer| writer.trim(beyond));
        }
    }

    fn owners_of<'a>(&'a self, wanted: &'a [Span]) -> impl Iterator<Item = &'a Writer> {
        self.writers.iter().filter(|writer| wanted.iter().any(|span| writer.owns_some_of(*span)))
    }

    pub(super) fn writer(&mut self, number: u64) -> Option<&mut Writer> {
        self.writers.iter_mut().find(|writer| writer.number == number)
    }
}

impl Writer {
    fn is_silent(&self, least_ms: u64, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.lease.touched_ms()) >= least_ms
    }
}
