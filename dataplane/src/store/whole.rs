//! The store as a whole: finding objects, the journals, compaction, the end.
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use etransfer_contract::fact::Presence;
use etransfer_contract::{Fact, ObjectId};
use etransfer_disk::File;

use super::checkpoint;
use super::disk;
use super::index::{Gone, Index, Leftover, Tally};
use super::journal::{Common, Journal, Position};
use super::known::Known;
use super::lock::Lock;
use super::object::Object;
use super::open::{DirectoryLock, StoreOptions, open_directory};
use super::quarantine::{self, Quarantined};
use super::record::{Change, Confirmable, Record};
use super::verify::{Verified, verify};
use crate::bounds::{KEPT_FILES_MAX, TOMBSTONES_MAX};
use crate::driver::Machine;

/// How long a confirmed removal is remembered: longer than any grant, link or retry of a client.
const TOMBSTONE_MS: u64 = 7 * 24 * 3600 * 1000;

/// Everything below one storage directory. One per process; shared by all cores.
#[derive(Debug)]
pub struct Store {
    options: StoreOptions,
    index: Arc<Index>,
    common: Arc<Common>,
    journals: Vec<Journal>,
    objects: Arc<File>,
    /// Why the disk is no longer trusted.
    degraded: Lock<Option<Degraded>>,
    /// Objects with a descriptor that is kept, the one kept longest first ([`Object::keep_open`]).
    kept: Lock<VecDeque<Weak<Object>>>,
    /// One compaction at a time.
    compaction: Lock<Compaction>,
    /// Files that no record names and that could not be moved to the quarantine.
    pub(super) strays: Lock<Vec<ObjectId>>,
    /// Files in the quarantine, at the last look.
    aside: AtomicU64,
    /// Held until the end: dropping it lets another process in.
    _lock: DirectoryLock,
}

/// At most one in this many descriptors of the process is kept open: connections need the others.
const KEPT_SHARE: u64 = 8;

/// The disk is not trusted.
#[derive(Debug)]
struct Degraded {
    why: String,
    /// The last error.
    at: Instant,
    /// Only a restart ends it.
    lasting: bool,
}

/// How the last compaction went.
#[derive(Debug, Default)]
struct Compaction {
    /// All journals have begun the present generation, and there is no checkpoint of it: only that is left to do.
    begun: bool,
    /// It failed then; not every call shall fill a full disk to the brim again.
    failed_at: Option<Instant>,
}

/// The right to unlink the file of one object: its removal is recorded. Only [`Store::condemn`] and [`Store::condemned`]
/// give it; the caller that unlinks syncs the record first.
#[derive(Debug)]
pub struct Condemned {
    id: ObjectId,
    position: Option<Position>,
    object: Option<Arc<Object>>,
}

impl Condemned {
    /// Whose file.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// What a journal must have synced before the file is unlinked; `None`: an earlier run recorded it, and the checkpoint of this
    /// start, which was synced, has it.
    pub fn recorded_at(&self) -> Option<Position> {
        self.position
    }

    /// The object, whose writers may still be at work; `None`: it was removed before.
    pub fn object(&self) -> Option<&Arc<Object>> {
        self.object.as_ref()
    }
}

/// How long [`Store::compact_if_due`] lets a failed compaction rest.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Why a checkpoint was not written. The journal continues without it.
#[derive(Debug, thiserror::Error)]
#[error("write a checkpoint: {0}")]
pub struct JournalError(#[from] io::Error);

/// What is open right now (PROMISES.md P13). After a test, all but the first three are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audit {
    /// Live objects.
    pub objects: usize,
    /// Remembered removals.
    pub tombstones: usize,
    /// Journal bytes since the last checkpoint.
    pub journal_bytes: u64,
    /// Open claims.
    pub writers: usize,
    /// Open read guards.
    pub readers: usize,
    /// Completions taken and not finished.
    pub completions: usize,
    /// Facts the control plane has not confirmed.
    pub unconfirmed: usize,
}

impl Store {
    pub(super) fn assemble(
        options: StoreOptions,
        index: Arc<Index>,
        common: Common,
        objects: File,
        lock: DirectoryLock,
    ) -> Arc<Self> {
        let common = Arc::new(common);
        let journals = (0..options.cores.max(1)).map(|core| Journal::new(core as u32, Arc::clone(&common))).collect();
        let (degraded, compaction) = (Lock::new(None), Lock::default());
        Arc::new(Self {
            options,
            index,
            common,
            journals,
            objects: Arc::new(objects),
            degraded,
            kept: Lock::default(),
            compaction,
            strays: Lock::default(),
            aside: AtomicU64::new(0),
            _lock: lock,
        })
    }

    /// The object, if it is not removed. `None`: no byte ever, or removed.
    pub fn find(&self, id: ObjectId) -> Option<Arc<Object>> {
        self.index.find(id)
    }

    /// The object, made if it never was. `length` (of a grant) counts unless one is known already.
    pub fn find_or_create(&self, id: ObjectId, length: Option<u64>) -> Result<Arc<Object>, Gone> {
        let object = self.index.find_or_create(id)?;
        if let Some(length) = length {
            object.adopt_length(length);
        }
        Ok(object)
    }

    /// A new object of this length; `None` when the name is another's, or was.
    pub fn create(&self, id: ObjectId, length: u64) -> Option<Arc<Object>> {
        let object = self.index.create(id)?;
        object.adopt_length(length);
        Some(object)
    }

    /// Records the removal of an object, also of one that never was: a late writer shall not bring it to life. What comes
    /// back is the right to unlink its file, until [`Store::unlinked`] succeeds; `None`: its file is gone.
    pub fn condemn(&self, id: ObjectId, journal: &Journal) -> io::Result<Option<Condemned>> {
        let object = self.index.find_or_create(id).ok();
        if let Some(object) = &object {
            object.remove(journal)?;
        }
        let of = |leftover: Leftover| Condemned { id, position: leftover.position, object };
        Ok(self.index.leftover(id).map(of))
    }

    /// Removed objects whose files are still there, those of earlier runs included.
    pub fn condemned(&self) -> Vec<Condemned> {
        let of = |(id, leftover): (ObjectId, Leftover)| Condemned { id, position: leftover.position, object: None };
        self.index.leftovers().into_iter().map(of).collect()
    }

    /// The file of a condemned object is gone: from now on the removal is reported to the control plane.
    pub fn unlinked(&self, condemned: &Condemned) {
        self.index.unlinked(condemned.id);
    }

    /// Its removal is remembered.
    pub fn is_removed(&self, id: ObjectId) -> bool {
        self.index.is_removed(id)
    }

    /// What the store holds, in the order of ids: the page after `after`. A page shorter than `limit` is the last.
    pub fn inventory(&self, after: Option<ObjectId>, limit: usize) -> Vec<Presence> {
        self.index.inventory(after, limit)
    }

    /// As [`Store::inventory`], as many as weigh `limit` together, at least one; and whether nothing is left after them.
    pub fn inventory_page(
        &self,
        after: Option<ObjectId>,
        limit: usize,
        weigh: impl Fn(&Presence) -> usize,
    ) -> (Vec<Presence>, bool) {
        self.index.page(after, limit, weigh)
    }

    /// What is recorded of one object; `None`: nothing, or it is removed.
    pub fn recorded_presence(&self, id: ObjectId) -> Option<Presence> {
        self.index.recorded_presence(id, self.index.only_synced)
    }

    /// Objects that are not complete, with all that is recorded of them, in the order of their ids. Costs what is in use or unfinished, not what is stored.
    pub fn incomplete(&self) -> Vec<Presence> {
        let recorded = self.index.awake().into_iter().filter_map(|id| self.index.recorded_presence(id, false));
        recorded.filter(|presence| !presence.complete).collect()
    }

    /// Bytes of all objects.
    pub fn bytes(&self) -> u64 {
        self.index.bytes()
    }

    /// Completions and removals that the control plane has not confirmed, oldest first; also those of earlier runs.
    pub fn unconfirmed(&self) -> Vec<Fact> {
        self.index.unconfirmed()
    }

    /// The control plane has this fact. Recorded without hurry, and not at all when the journal has no room: a fact reported twice is
    /// allowed, forgotten is not.
    pub fn confirm(&self, core: usize, fact: &Fact) {
        let (object, what) = match fact {
            Fact::Completed(presence) => (presence.object, Confirmable::Completed),
            Fact::Removed { object } => (*object, Confirmable::Removed),
            Fact::Progress(_) | Fact::Discarded { .. } | Fact::Open { .. } | Fact::Settled { .. } => return,
            Fact::Served { .. } | Fact::Stored { .. } | Fact::Inventory { .. } => return,
        };
        if !self.index.confirm(object, what) {
            return;
        }
        let change = Change::Confirmed { what };
        let recorded = match self.index.find(object) {
            Some(object) => {
                let mut state = object.state.hold();
                object.record(&mut state, self.journal(core), &[change]).map(|_| ())
            }
            None => self.journal(core).append(object, &[change]).map(|_| ()),
        };
        if let Err(error) = recorded {
            tracing::debug!(%object, %error, "a confirmation was not recorded; the fact will be reported again");
        }
    }

    /// The directory that [`ObjectPath`](super::ObjectPath) is relative to; its 256 subdirectories exist.
    pub fn objects_dir(&self) -> Arc<File> {
        Arc::clone(&self.objects)
    }

    /// The journal of a core.
    pub fn journal(&self, core: usize) -> &Journal {
        &self.journals[core]
    }

    pub(super) fn next_sequence(&self) -> u64 {
        self.common.sequence.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn restore_planted(&self, id: ObjectId, known: Known) {
        self.index.restore(id, known);
    }

    pub(super) fn journals(&self) -> &[Journal] {
        &self.journals
    }

    pub(super) fn common(&self) -> &Common {
        &self.common
    }

    pub(super) fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// The machine that has the storage directory.
    pub fn machine(&self) -> &Machine {
        &self.options.machine
    }

    fn since(&self, then: Instant) -> Duration {
        self.machine().now().saturating_duration_since(then)
    }

    /// The storage directory itself.
    pub(super) fn root(&self) -> io::Result<File> {
        open_directory(self.machine().disk(), &self.options.root)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Files that starts set aside, by object. Blocking.
    pub fn quarantined(&self) -> io::Result<Vec<Quarantined>> {
        let aside = quarantine::list(&self.root()?)?;
        self.aside.store(aside.len() as u64, Ordering::Relaxed);
        Ok(aside)
    }

    /// How many there were at the last look.
    pub fn quarantined_count(&self) -> u64 {
        self.aside.load(Ordering::Relaxed)
    }

    /// How many objects are damaged.
    pub fn damaged_count(&self) -> u64 {
        self.index.ailing().1 as u64
    }

    /// How many removed objects still have their files.
    pub fn removals_due(&self) -> u64 {
        self.index.ailing().0 as u64
    }

    /// Unlinks what was set aside before that time; returns what was unlinked. Blocking.
    pub fn sweep_quarantine(&self, before_unix_ms: u64) -> io::Result<Vec<Quarantined>> {
        quarantine::sweep(&self.root()?, before_unix_ms)
    }

    /// Moves the file of an object to the quarantine for good: its removal is recorded, and synced before the file moves. For
    /// an operator who decides to remove it; of a stopped node. Blocking.
    pub fn set_aside(&self, id: ObjectId) -> io::Result<()> {
        let journal = self.journal(0);
        journal.make_room_blocking(1, true)?;
        let Some(condemned) = self.condemn(id, journal)? else { return Ok(()) };
        journal.sync_blocking()?;
        match quarantine::take(&self.root()?, &self.objects, id, self.common.clock.unix_ms()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => self.unlinked(&condemned),
        }
        Ok(())
    }

    /// What was written to a file of an object reaches the disk. Blocking: before the cores run.
    pub fn sync_file(&self, file: &File) -> io::Result<()> {
        super::disk::sync_data(file)
    }

    /// Files below `objects/` that no record names and that could not be set aside at the start.
    pub fn strays(&self) -> Vec<ObjectId> {
        self.strays.hold().clone()
    }

    /// Objects whose bytes are not what was recorded, and the reason. They are known and removable, and not served.
    pub fn damaged(&self) -> Vec<(ObjectId, String)> {
        self.index.damaged()
    }

    /// Nothing is written any more: the journal was damaged at the start (`serve_damaged`).
    pub fn is_read_only(&self) -> bool {
        self.common.read_only.load(Ordering::Relaxed)
    }

    /// Why the node no longer trusts its disk; `None` = healthy.
    pub fn degraded(&self) -> Option<String> {
        self.degraded.hold().as_ref().map(|degraded| degraded.why.clone())
    }

    /// The disk failed (PROMISES.md P6). The first reason stays until [`Store::recover`].
    pub fn degrade(&self, why: impl Into<String>) {
        self.degrade_for(why.into(), false);
    }

    /// As [`Store::degrade`], until the restart.
    pub(super) fn degrade_for_good(&self, why: impl Into<String>) {
        self.degrade_for(why.into(), true);
    }

    fn degrade_for(&self, why: String, lasting: bool) {
        tracing::error!(why, "the disk failed: the node is degraded");
        let at = self.machine().now();
        let mut degraded = self.degraded.hold();
        match &mut *degraded {
            Some(degraded) => {
                degraded.at = at;
                degraded.lasting |= lasting;
            }
            None => *degraded = Some(Degraded { why, at, lasting }),
        }
    }

    /// See [`Object::keep_open`]; beyond [`KEPT_FILES_MAX`] the one kept longest is closed.
    pub fn keep_open(&self, object: &Arc<Object>, file: io::Result<File>) {
        let Ok(file) = file else { return object.keep_open(None) };
        object.keep_open(Some(file));
        let mut kept = self.kept.hold();
        kept.push_back(Arc::downgrade(object));
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = KEPT_FILES_MAX.min(usize::try_from(descriptors / KEPT_SHARE).unwrap_or(usize::MAX));
        let surplus = if kept.len() > most { kept.pop_front() } else { None };
        drop(kept);
        if let Some(object) = surplus.and_then(|object| object.upgrade()) {
            object.let_close(true);
        }
    }

    /// Whether the node is degraded, its last error is this old, and it may become well without a restart.
    pub fn may_recover(&self, after: Duration) -> bool {
        self.degraded.hold().as_ref().is_some_and(|degraded| !degraded.lasting && self.since(degraded.at) >= after)
    }

    /// The disk works again. `false`: an error came meanwhile, or a journal still waits for the checkpoint that cures it.
    pub fn recover(&self, after: Duration) -> bool {
        if self.journals.iter().any(Journal::is_distrusted) {
            return false;
        }
        let mut degraded = self.degraded.hold();
        let is_well = degraded.as_ref().is_some_and(|degraded| !degraded.lasting && self.since(degraded.at) >= after);
        if is_well {
            *degraded = None;
        }
        is_well
    }

    /// Turns complete objects that are not in use into their small form. Costs time for each object in use.
    pub(super) fn let_rest(&self) {
        self.index.rest(|position| !self.journals[position.core()].needs_sync(position));
    }

    /// Writes a checkpoint when enough was appended since the last, makes spare segments, and gives back the memory of
    /// complete objects that are not in use any more. Blocking: not on a core.
    pub fn compact_if_due(&self) -> Result<bool, JournalError> {
        self.let_rest();
        if self.common.read_only.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let mut compaction = self.compaction.hold();
        let distrusted = self.journals.iter().any(Journal::is_distrusted);
        let due = distrusted || self.common.appended.load(Ordering::Relaxed) >= self.options.compact_above;
        if due && compaction.failed_at.is_none_or(|failed| self.since(failed) >= RETRY_AFTER) {
            return self.compact_now(&mut compaction).map(|()| true);
        }
        // Without a spare the journal still has the rest of its segment; the next call tries again.
        let _ = self.refill();
        Ok(false)
    }

    /// Goes on in new segments and writes all that is known into a checkpoint; then the older files go. Blocking. Also the
    /// cure after a sync of a journal failed: nothing of the distrusted files is needed any more
    /// ([`Store::compact_if_due`] then sees it as due).
    pub fn compact(&self) -> Result<(), JournalError> {
        self.compact_now(&mut self.compaction.hold())
    }

    fn compact_now(&self, compaction: &mut Compaction) -> Result<(), JournalError> {
        compaction.failed_at = Some(self.machine().now());
        self.forget_old_tombstones();
        if !compaction.begun || self.journals.iter().any(Journal::is_distrusted) {
            self.common.generation.fetch_add(1, Ordering::AcqRel);
            self.journals.iter().try_for_each(|journal| journal.start_generation(None))?;
            compaction.begun = true;
        }
        self.write_checkpoint()?;
        *compaction = Compaction::default();
        let _ = self.refill();
        Ok(())
    }

    /// Makes the spare segments that are missing.
    pub(super) fn refill(&self) -> io::Result<()> {
        self.journals.iter().try_for_each(|journal| journal.refill(false))
    }

    /// A checkpoint of the present generation, which every journal has begun.
    pub(super) fn write_checkpoint(&self) -> io::Result<()> {
        let covered: Vec<_> = self.journals.iter().map(Journal::generation_start).collect();
        let appended = self.common.appended.load(Ordering::Acquire);
        let generation = self.common.generation.load(Ordering::Acquire);
        checkpoint::write(&self.common, &self.index, generation)?;
        self.common.manifest.replace(generation)?;
        covered.into_iter().for_each(|position| self.journals[position.core()].mark_replaced(position));
        self.common.appended.fetch_sub(appended, Ordering::AcqRel);
        checkpoint::delete_older(&self.common.directory, generation)
    }

    fn forget_old_tombstones(&self) {
        let mut before = self.common.clock.unix_ms().saturating_sub(TOMBSTONE_MS);
        if self.index.count().1 > TOMBSTONES_MAX {
            let mut ages = self.index.removed_at();
            let surplus = ages.len().saturating_sub(TOMBSTONES_MAX);
            before = before.max(*ages.select_nth_unstable(surplus).1);
        }
        self.index.sweep(before);
    }

    /// Reads an object back and compares it with the CRCs of its records (PROMISES.md P19). Blocking. `None`: no such
    /// object.
    pub fn verify(&self, id: ObjectId) -> Option<Verified> {
        Some(verify(&self.objects, id, &self.index.known(id)?))
    }

    /// An orderly end, after all cores stopped: syncs the whole file system and records that nothing is in doubt. Without it
    /// the next start after a reboot reads unsynced bytes back. A core that stopped in the middle of a sync leaves a journal
    /// that only a checkpoint cures. Blocking.
    pub fn close(&self) -> io::Result<()> {
        if self.journals.iter().any(Journal::is_distrusted) {
            self.compact().map_err(|JournalError(error)| error)?;
        }
        self.journals.iter().try_for_each(Journal::flush_blocking)?;
        let upto = self.common.sequence.load(Ordering::Acquire);
        disk::sync_all(&self.objects)?;
        self.journals[0].make_room_blocking(1, true)?;
        let position = self.journals[0].append_records(vec![Record::Clean { upto }], true)?.position;
        self.journals.iter().try_for_each(Journal::sync_blocking)?;
        debug_assert!(!self.journals[0].needs_sync(position), "the mark is synced last");
        self.common.manifest.note()
    }

    /// What is open right now.
    pub fn audit(&self) -> Audit {
        let (objects, tombstones) = self.index.count();
        let tally = &self.index.tally;
        Audit {
            objects,
            tombstones,
            journal_bytes: self.common.appended.load(Ordering::Relaxed),
            writers: Tally::read(&tally.writers),
            readers: Tally::read(&tally.readers),
            completions: Tally::read(&tally.completions),
            unconfirmed: self.index.unconfirmed_count(),
        }
    }
}
