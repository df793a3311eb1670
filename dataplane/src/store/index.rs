//! Every object the store knows, live or removed, and the facts the control plane has not confirmed.
//!
//! 256 shards by the first byte of the id, each with its own lock and sorted: paging through the store is paging through
//! the shards, and shard `ab` is directory `objects/ab`.
//!
//! An object is *awake* while it is held outside the index, or while [`Rest`] cannot express what is known of it; else it is *at rest*, and a store of
//! millions of small files takes little memory. Only here the one becomes the other, under the shard's lock.
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use etransfer_contract::fact::Presence;
use etransfer_contract::{Fact, ObjectId};

use super::clock::Clock;
use super::journal::Position;
use super::known::Known;
use super::lock::Lock;
use super::object::Object;
use super::record::Confirmable;
use super::replay::Slot;
use super::rest::Rest;
use crate::bounds::INDEX_BATCH;

/// The object was removed: its id never lives again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the object was removed")]
pub struct Gone;

/// What remains of a removed object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tombstone {
    pub(super) sequence: u64,
    pub(super) at_unix_ms: u64,
    /// The control plane has the removal.
    pub(super) confirmed: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Entry {
    Awake(Arc<Object>),
    Rest(Rest),
    Gone(Tombstone),
}

/// Millions of them.
const _: () = assert!(size_of::<(ObjectId, Entry)>() <= 72);

#[derive(Debug, Default)]
struct Shard {
    entries: BTreeMap<ObjectId, Entry>,
    /// Every entry that is awake; also some that are not any more, until the next [`Index::rest`].
    awake: Vec<ObjectId>,
}

#[derive(Debug)]
pub(super) struct Index {
    shards: Vec<Lock<Shard>>,
    /// Completed and Removed facts, with the sequence number that orders them.
    unconfirmed: Lock<HashMap<ObjectId, (Confirmable, u64)>>,
    /// Removed objects whose files are not known to be gone.
    leftovers: Lock<BTreeMap<ObjectId, Leftover>>,
    /// Objects whose bytes are not what was recorded, and the reason.
    damaged: Lock<BTreeMap<ObjectId, String>>,
    pub(super) tally: Arc<Tally>,
    /// Only bytes that a sync covered are reported.
    pub(super) only_synced: bool,
}

/// The file of a removed object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leftover {
    /// What it holds, as far as is known: it counts until it is gone.
    pub(super) bytes: u64,
    /// Where the removal is recorded; `None`: an earlier run recorded it.
    pub(super) position: Option<Position>,
}

/// What all objects of a store share: the clock, and what is open right now, removed objects included.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) clock: Clock,
    pub(super) writers: AtomicUsize,
    pub(super) readers: AtomicUsize,
    pub(super) completions: AtomicUsize,
}

impl Index {
    pub(super) fn new(only_synced: bool, clock: Clock) -> Self {
        let shards = (0..=u8::MAX).map(|_| Lock::default()).collect();
        Self {
            shards,
            unconfirmed: Lock::default(),
            leftovers: Lock::default(),
            damaged: Lock::default(),
            tally: Arc::new(Tally::new(clock)),
            only_synced,
        }
    }

    fn shard(&self, id: ObjectId) -> &Lock<Shard> {
        &self.shards[usize::from(id.as_bytes()[0])]
    }

    pub(super) fn find(self: &Arc<Self>, id: ObjectId) -> Option<Arc<Object>> {
        self.wake(&mut self.shard(id).hold(), id).filter(|object| !object.is_removed())
    }

    pub(super) fn find_or_create(self: &Arc<Self>, id: ObjectId) -> Result<Arc<Object>, Gone> {
        let mut shard = self.shard(id).hold();
        match self.wake(&mut shard, id) {
            Some(object) if !object.is_removed() => Ok(object),
            Some(_) => Err(Gone),
            None if shard.entries.contains_key(&id) => Err(Gone),
            None => Ok(shard.put(id, self.make(id, Known::default()))),
        }
    }

    pub(super) fn create(self: &Arc<Self>, id: ObjectId) -> Option<Arc<Object>> {
        let mut shard = self.shard(id).hold();
        if shard.entries.contains_key(&id) {
            return None;
        }
        Some(shard.put(id, self.make(id, Known::default())))
    }

    /// The object of an entry that is awake, or was at rest until now.
    fn wake(self: &Arc<Self>, shard: &mut Shard, id: ObjectId) -> Option<Arc<Object>> {
        let rest = match shard.entries.get(&id)? {
            Entry::Awake(object) => return Some(Arc::clone(object)),
            Entry::Rest(rest) => *rest,
            Entry::Gone(_) => return None,
        };
        let object = Arc::new(Object::wake(id, &rest, Arc::downgrade(self), Arc::clone(&self.tally)));
        Some(shard.put(id, object))
    }

    /// Turns objects that only the index holds into [`Rest`], where [`Object::rest`] allows it. Costs time for each awake object.
    pub(super) fn rest(&self, is_synced: impl Fn(Position) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.hold();
            let Shard { entries, awake } = &mut *shard;
            awake.retain(|id| {
                let Some(entry) = entries.get_mut(id) else { return false };
                let Entry::Awake(object) = entry else { return false };
                // Under the shard's lock no other thread can reach an object that only the shard holds.
                let rest = Arc::get_mut(object).and_then(|object| object.rest(&is_synced));
                let Some(rest) = rest else { return true };
                *entry = Entry::Rest(rest);
                false
            });
            awake.shrink_to(2 * awake.len());
        }
    }

    /// Objects that are awake: all that are not complete, and others.
    pub(super) fn awake(&self) -> Vec<ObjectId> {
        let mut all: Vec<_> = self.shards.iter().flat_map(|shard| shard.hold().awake.clone()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(super) fn is_removed(&self, id: ObjectId) -> bool {
        match self.shard(id).hold().entries.get(&id) {
            Some(Entry::Awake(object)) => object.is_removed(),
            Some(Entry::Gone(_)) => true,
            Some(Entry::Rest(_)) | None => false,
        }
    }

    /// What is recorded of an object; `None`: nothing, or it is removed.
    pub(super) fn known(&self, id: ObjectId) -> Option<Known> {
        let object = match self.shard(id).hold().entries.get(&id)? {
            Entry::Awake(object) if !object.is_removed() => Arc::clone(object),
            Entry::Rest(rest) => return Some(rest.known()),
            Entry::Awake(_) | Entry::Gone(_) => return None,
        };
        let known = object.state.hold().known.clone();
        Some(known)
    }

    /// As [`Object::recorded_presence`].
    pub(super) fn recorded_presence(&self, id: ObjectId, only_synced: bool) -> Option<Presence> {
        match self.shard(id).hold().entries.get(&id)? {
            Entry::Awake(object) => object.recorded_presence(only_synced),
            Entry::Rest(rest) => Some(rest.presence(id)),
            Entry::Gone(_) => None,
        }
    }

    /// Fills the index at start.
    pub(super) fn restore(self: &Arc<Self>, id: ObjectId, known: Known) {
        let entry = self.entry(id, known);
        self.insert(id, entry);
    }

    /// As [`Index::restore`] and [`Index::bury`], for all ids of one shard, which is empty.
    pub(super) fn restore_all(self: &Arc<Self>, byte: u8, slots: BTreeMap<ObjectId, Slot>) {
        let mut tombstones = Vec::new();
        let mut awake = Vec::new();
        let entries = slots.into_iter().map(|(id, slot)| {
            let entry = match slot {
                Slot::Rest(rest) => self.at_rest(id, rest),
                Slot::Live(known) => self.entry(id, *known),
                Slot::Gone(tombstone) => {
                    tombstones.push((id, tombstone));
                    Entry::Gone(tombstone)
                }
            };
            if matches!(entry, Entry::Awake(_)) {
                awake.push(id);
            }
            (id, entry)
        });
        let entries = entries.collect();
        *self.shards[usize::from(byte)].hold() = Shard { entries, awake };
        tombstones.into_iter().for_each(|(id, tombstone)| self.owe_removal(id, tombstone));
    }

    fn entry(self: &Arc<Self>, id: ObjectId, known: Known) -> Entry {
        if let Some(rest) = Rest::of(&known, 0, 0) {
            return self.at_rest(id, rest);
        }
        if known.complete && !known.confirmed {
            self.owe(id, Confirmable::Completed, known.sequence);
        }
        Entry::Awake(self.make(id, known.fitted()))
    }

    fn at_rest(&self, id: ObjectId, rest: Rest) -> Entry {
        if !rest.is_confirmed() {
            self.owe(id, Confirmable::Completed, rest.sequence());
        }
        Entry::Rest(rest)
    }

    fn insert(&self, id: ObjectId, entry: Entry) {
        let mut shard = self.shard(id).hold();
        if matches!(entry, Entry::Awake(_)) {
            shard.awake.push(id);
        }
        shard.entries.insert(id, entry);
    }

    /// The object is removed from now on; the record of it is in a journal. It must be reported to the control plane when
    /// there is no file any more.
    pub(super) fn bury(&self, id: ObjectId, tombstone: Tombstone) {
        self.insert(id, Entry::Gone(tombstone));
        self.damaged.hold().remove(&id);
        self.owe_removal(id, tombstone);
    }

    fn owe_removal(&self, id: ObjectId, tombstone: Tombstone) {
        if !tombstone.confirmed && !self.leftovers.hold().contains_key(&id) {
            self.owe(id, Confirmable::Removed, tombstone.sequence);
        }
    }

    /// The file of a removed object is still there.
    pub(super) fn leave(&self, id: ObjectId, leftover: Leftover) {
        self.leftovers.hold().insert(id, leftover);
        self.unconfirmed.hold().remove(&id);
    }

    /// The file of a removed object is gone.
    pub(super) fn unlinked(&self, id: ObjectId) {
        self.leftovers.hold().remove(&id);
        let tombstone = match self.shard(id).hold().entries.get(&id) {
            Some(Entry::Gone(tombstone)) => Some(*tombstone),
            // Its tombstone comes next, and finds no leftover.
            Some(Entry::Awake(_) | Entry::Rest(_)) | None => None,
        };
        if let Some(tombstone) = tombstone.filter(|tombstone| !tombstone.confirmed) {
            self.owe(id, Confirmable::Removed, tombstone.sequence);
        }
    }

    pub(super) fn leftover(&self, id: ObjectId) -> Option<Leftover> {
        self.leftovers.hold().get(&id).copied()
    }

    pub(super) fn leftovers(&self) -> BTreeMap<ObjectId, Leftover> {
        self.leftovers.hold().clone()
    }

    /// How many: leftovers, damaged objects.
    pub(super) fn ailing(&self) -> (usize, usize) {
        (self.leftovers.hold().len(), self.damaged.hold().len())
    }

    pub(super) fn damage(&self, id: ObjectId, what: &str) {
        self.damaged.hold().insert(id, what.to_owned());
    }

    pub(super) fn damage_of(&self, id: ObjectId) -> Option<String> {
        self.damaged.hold().get(&id).cloned()
    }

    pub(super) fn damaged(&self) -> Vec<(ObjectId, String)> {
        self.damaged.hold().iter().map(|(id, what)| (*id, what.clone())).collect()
    }

    /// The control plane must confirm this fact. A removal replaces a completion.
    pub(super) fn owe(&self, id: ObjectId, what: Confirmable, sequence: u64) {
        self.unconfirmed.hold().insert(id, (what, sequence));
    }

    /// The control plane confirmed it; `false` when no confirmation was awaited.
    pub(super) fn confirm(&self, id: ObjectId, what: Confirmable) -> bool {
        let mut unconfirmed = self.unconfirmed.hold();
        let owed = unconfirmed.get(&id).is_some_and(|(owed, _)| *owed == what);
        if owed {
            unconfirmed.remove(&id);
        }
        drop(unconfirmed);
        let mut shard = self.shard(id).hold();
        if let (true, Confirmable::Removed, Some(Entry::Gone(tombstone))) = (owed, what, shard.entries.get_mut(&id)) {
            tombstone.confirmed = true;
        }
        owed
    }

    pub(super) fn unconfirmed(&self) -> Vec<Fact> {
        let mut owed: Vec<_> = self.unconfirmed.hold().iter().map(|(id, (what, at))| (*at, *id, *what)).collect();
        owed.sort_unstable_by_key(|(at, ..)| *at);
        let fact = |(_, object, what)| match what {
            Confirmable::Removed => Some(Fact::Removed { object }),
            Confirmable::Completed => self.recorded_presence(object, self.only_synced).map(Fact::Completed),
        };
        owed.into_iter().filter_map(fact).collect()
    }

    pub(super) fn unconfirmed_count(&self) -> usize {
        self.unconfirmed.hold().len()
    }

    /// What is recorded of the next objects after `after`, in the order of their ids; fewer than `limit` at the end. A removed
    /// object is in it while its file is there: its bytes still count.
    pub(super) fn inventory(&self, after: Option<ObjectId>, limit: usize) -> Vec<Presence> {
        self.page(after, limit, |_| 1).0
    }

    /// As many as weigh `limit` together, at least one; `true`: nothing comes after them. Costs what it returns.
    pub(super) fn page(
        &self,
        after: Option<ObjectId>,
        limit: usize,
        weigh: impl Fn(&Presence) -> usize,
    ) -> (Vec<Presence>, bool) {
        let (mut page, mut weight) = (Vec::new(), 0);
        let first = after.map_or(0, |id| usize::from(id.as_bytes()[0]));
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let leftovers = self.leftovers();
        for shard in &self.shards[first..] {
            for (id, entry) in shard.hold().entries.range((from, Bound::Unbounded)) {
                let presence = match entry {
                    Entry::Awake(object) => object.recorded_presence(self.only_synced),
                    Entry::Rest(rest) => Some(rest.presence(*id)),
                    Entry::Gone(tombstone) => leftovers.get(id).map(|left| left.presence(*id, tombstone)),
                };
                let Some(presence) = presence else { continue };
                weight += weigh(&presence);
                if weight > limit && !page.is_empty() {
                    return (page, false);
                }
                page.push(presence);
            }
        }
        (page, true)
    }

    /// Bytes of all objects, including removed ones whose file is not unlinked yet.
    pub(super) fn bytes(&self) -> u64 {
        let mut sum: u64 = self.leftovers().values().map(|left| left.bytes).sum();
        for shard in &self.shards {
            let received = shard.hold().entries.values().map(Entry::bytes).sum::<u64>();
            sum += received;
        }
        sum
    }

    /// The entries whose ids start with `byte`, in the order of their ids, each as it is when its batch is taken.
    pub(super) fn entries_in(&self, byte: u8) -> impl Iterator<Item = (ObjectId, Entry)> + '_ {
        let shard = &self.shards[usize::from(byte)];
        let mut from = Some(Bound::Unbounded);
        let batch = move || {
            let range = (from.take()?, Bound::Unbounded);
            let shard = shard.hold();
            let batch: Vec<_> =
                shard.entries.range(range).take(INDEX_BATCH).map(|(id, entry)| (*id, entry.clone())).collect();
            from = batch.last().filter(|_| batch.len() == INDEX_BATCH).map(|(id, _)| Bound::Excluded(*id));
            Some(batch)
        };
        std::iter::from_fn(batch).flatten()
    }

    /// When each removal that is remembered was recorded.
    pub(super) fn removed_at(&self) -> Vec<u64> {
        let mut times = Vec::new();
        for shard in &self.shards {
            times.extend(shard.hold().entries.values().filter_map(|entry| match entry {
                Entry::Gone(tombstone) => Some(tombstone.at_unix_ms),
                Entry::Awake(_) | Entry::Rest(_) => None,
            }));
        }
        times
    }

    /// Forgets confirmed tombstones older than `before_unix_ms`, and objects that only the index holds and no record names.
    pub(super) fn sweep(&self, before_unix_ms: u64) {
        let leftovers = self.leftovers();
        for shard in &self.shards {
            shard.hold().entries.retain(|id, entry| match entry {
                Entry::Gone(tombstone) => {
                    let is_done = tombstone.confirmed && !leftovers.contains_key(id);
                    !is_done || tombstone.at_unix_ms >= before_unix_ms
                }
                // Under the shard's lock no other thread can reach an object that only the shard holds.
                Entry::Awake(object) => Arc::strong_count(object) > 1 || object.is_recorded(),
                Entry::Rest(_) => true,
            });
        }
    }

    /// (live, removed).
    pub(super) fn count(&self) -> (usize, usize) {
        let mut count = (0, 0);
        for shard in &self.shards {
            shard.hold().entries.values().for_each(|entry| match entry {
                Entry::Awake(_) | Entry::Rest(_) => count.0 += 1,
                Entry::Gone(_) => count.1 += 1,
            });
        }
        count
    }

    fn make(self: &Arc<Self>, id: ObjectId, known: Known) -> Arc<Object> {
        let index: Weak<Self> = Arc::downgrade(self);
        Arc::new(Object::new(id, known, index, Arc::clone(&self.tally)))
    }
}

impl Leftover {
    fn presence(&self, object: ObjectId, tombstone: &Tombstone) -> Presence {
        let spans = etransfer_contract::SpanSet::new();
        let (received, at_unix_ms) = (self.bytes, tombstone.at_unix_ms);
        Presence { object, received, contiguous: 0, spans, length: None, complete: false, at_unix_ms }
    }
}

impl Shard {
    fn put(&mut self, id: ObjectId, object: Arc<Object>) -> Arc<Object> {
        self.entries.insert(id, Entry::Awake(Arc::clone(&object)));
        self.awake.push(id);
        object
    }
}

impl Entry {
    /// What counts as received; a removal has its leftover.
    fn bytes(&self) -> u64 {
        match self {
            Self::Awake(object) => object.look().received,
            Self::Rest(rest) => rest.length(),
            Self::Gone(_) => 0,
        }
    }

    /// How long its file is at least; `None`: removed.
    pub(super) fn end(&self) -> Option<u64> {
        match self {
            Self::Awake(object) => Some(object.end()),
            Self::Rest(rest) => Some(rest.length()),
            Self::Gone(_) => None,
        }
    }
}

impl Tally {
    fn new(clock: Clock) -> Self {
        Self { clock, writers: AtomicUsize::new(0), readers: AtomicUsize::new(0), completions: AtomicUsize::new(0) }
    }

    pub(super) fn read(counter: &AtomicUsize) -> usize {
        counter.load(Ordering::Relaxed)
    }
}
