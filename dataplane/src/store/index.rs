//! Every object the store knows, live or removed, and the facts the control plane has not confirmed.
//!
//! 256 shards by the first byte of the id, each with its own lock and sorted: paging through the store is paging through
//! the shards, and shard `ab` is directory `objects/ab`.
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use etransfer_contract::fact::Presence;
use etransfer_contract::{Fact, ObjectId};

use super::journal::Position;
use super::known::Known;
use super::lock::Lock;
use super::object::Object;
use super::record::Told;

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

#[derive(Debug)]
pub(super) enum Entry {
    Live(Arc<Object>),
    Gone(Tombstone),
}

type Shard = BTreeMap<ObjectId, Entry>;

#[derive(Debug)]
pub(super) struct Index {
    shards: Vec<Lock<Shard>>,
    /// Completed and Removed facts, with the sequence number that orders them.
    unconfirmed: Lock<HashMap<ObjectId, (Told, u64)>>,
    /// Removed objects whose files are not known to be gone.
    leftovers: Lock<BTreeMap<ObjectId, Leftover>>,
    /// Objects whose bytes are not what was recorded, and how that was seen.
    damaged: Lock<BTreeMap<ObjectId, String>>,
    pub(super) tally: Arc<Tally>,
}

/// The file of a removed object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leftover {
    /// What it holds, as far as is known: it counts until it is gone.
    pub(super) bytes: u64,
    /// Where the removal is recorded; `None`: an earlier run recorded it.
    pub(super) position: Option<Position>,
}

/// What is open right now, over all objects, also removed ones.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) writers: AtomicUsize,
    pub(super) readers: AtomicUsize,
    pub(super) completions: AtomicUsize,
}

impl Index {
    pub(super) fn new() -> Self {
        let shards = (0..=u8::MAX).map(|_| Lock::new(Shard::new())).collect();
        Self {
            shards,
            unconfirmed: Lock::default(),
            leftovers: Lock::default(),
            damaged: Lock::default(),
            tally: Arc::default(),
        }
    }

    fn shard(&self, id: ObjectId) -> &Lock<Shard> {
        &self.shards[usize::from(id.as_bytes()[0])]
    }

    pub(super) fn find(&self, id: ObjectId) -> Option<Arc<Object>> {
        match self.shard(id).hold().get(&id) {
            Some(Entry::Live(object)) if !object.is_removed() => Some(Arc::clone(object)),
            Some(Entry::Live(_) | Entry::Gone(_)) | None => None,
        }
    }

    pub(super) fn find_or_create(self: &Arc<Self>, id: ObjectId) -> Result<Arc<Object>, Gone> {
        let mut shard = self.shard(id).hold();
        match shard.get(&id) {
            Some(Entry::Live(object)) if !object.is_removed() => Ok(Arc::clone(object)),
            Some(Entry::Live(_) | Entry::Gone(_)) => Err(Gone),
            None => {
                let object = self.make(id, Known::default());
                shard.insert(id, Entry::Live(Arc::clone(&object)));
                Ok(object)
            }
        }
    }

    pub(super) fn create(self: &Arc<Self>, id: ObjectId) -> Option<Arc<Object>> {
        let mut shard = self.shard(id).hold();
        if shard.contains_key(&id) {
            return None;
        }
        let object = self.make(id, Known::default());
        shard.insert(id, Entry::Live(Arc::clone(&object)));
        Some(object)
    }

    pub(super) fn is_removed(&self, id: ObjectId) -> bool {
        match self.shard(id).hold().get(&id) {
            Some(Entry::Live(object)) => object.is_removed(),
            Some(Entry::Gone(_)) => true,
            None => false,
        }
    }

    /// Fills the index at start.
    pub(super) fn restore(self: &Arc<Self>, id: ObjectId, known: Known) {
        if known.complete && !known.confirmed {
            self.owe(id, Told::Completed, known.sequence);
        }
        let object = self.make(id, known.fitted());
        self.shard(id).hold().insert(id, Entry::Live(object));
    }

    /// The object is removed from now on; the record of it is in a journal. The control plane has to hear of it when
    /// there is no file any more.
    pub(super) fn bury(&self, id: ObjectId, tombstone: Tombstone) {
        self.shard(id).hold().insert(id, Entry::Gone(tombstone));
        self.damaged.hold().remove(&id);
        if !tombstone.confirmed && !self.leftovers.hold().contains_key(&id) {
            self.owe(id, Told::Removed, tombstone.sequence);
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
        let tombstone = match self.shard(id).hold().get(&id) {
            Some(Entry::Gone(tombstone)) => Some(*tombstone),
            // Its tombstone comes next, and finds no leftover.
            Some(Entry::Live(_)) | None => None,
        };
        if let Some(tombstone) = tombstone.filter(|tombstone| !tombstone.confirmed) {
            self.owe(id, Told::Removed, tombstone.sequence);
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

    /// The control plane has to hear this. A removal takes the place of a completion.
    pub(super) fn owe(&self, id: ObjectId, what: Told, sequence: u64) {
        self.unconfirmed.hold().insert(id, (what, sequence));
    }

    /// The control plane has heard it; `false` when it was not owed.
    pub(super) fn confirm(&self, id: ObjectId, what: Told) -> bool {
        let mut unconfirmed = self.unconfirmed.hold();
        let owed = unconfirmed.get(&id).is_some_and(|(owed, _)| *owed == what);
        if owed {
            unconfirmed.remove(&id);
        }
        drop(unconfirmed);
        if let (true, Told::Removed, Some(Entry::Gone(tombstone))) = (owed, what, self.shard(id).hold().get_mut(&id)) {
            tombstone.confirmed = true;
        }
        owed
    }

    pub(super) fn unconfirmed(&self) -> Vec<Fact> {
        let mut owed: Vec<_> = self.unconfirmed.hold().iter().map(|(id, (what, at))| (*at, *id, *what)).collect();
        owed.sort_unstable_by_key(|(at, ..)| *at);
        let fact = |(_, object, what)| match what {
            Told::Removed => Some(Fact::Removed { object }),
            Told::Completed => self.find(object).map(|object| Fact::Completed(object.presence())),
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
            for (id, entry) in shard.hold().range((from, Bound::Unbounded)) {
                let presence = match entry {
                    Entry::Live(object) => object.recorded_presence(),
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

    /// Bytes of all objects, those included whose removal did not take their file yet.
    pub(super) fn bytes(&self) -> u64 {
        let mut sum: u64 = self.leftovers().values().map(|left| left.bytes).sum();
        for shard in &self.shards {
            let live = shard.hold();
            let received = live.values().filter_map(|entry| match entry {
                Entry::Live(object) => Some(object.look().received),
                Entry::Gone(_) => None,
            });
            sum += received.sum::<u64>();
        }
        sum
    }

    /// The live objects whose ids start with `byte`.
    pub(super) fn live_in(&self, byte: u8) -> Vec<Arc<Object>> {
        live(self.shards[usize::from(byte)].hold().values()).collect()
    }

    /// The tombstones of ids that start with `byte`.
    pub(super) fn tombstones_in(&self, byte: u8) -> Vec<(ObjectId, Tombstone)> {
        let shard = self.shards[usize::from(byte)].hold();
        let tombstone = |(id, entry): (&ObjectId, &Entry)| match entry {
            Entry::Gone(tombstone) => Some((*id, *tombstone)),
            Entry::Live(_) => None,
        };
        shard.iter().filter_map(tombstone).collect()
    }

    /// Forgets confirmed tombstones older than `before_unix_ms`, and objects that nobody holds and no record names.
    pub(super) fn sweep(&self, before_unix_ms: u64) {
        let leftovers = self.leftovers();
        for shard in &self.shards {
            shard.hold().retain(|id, entry| match entry {
                Entry::Gone(tombstone) => {
                    let is_done = tombstone.confirmed && !leftovers.contains_key(id);
                    !is_done || tombstone.at_unix_ms >= before_unix_ms
                }
                // Under the shard's lock nobody can get hold of an object that only the shard holds.
                Entry::Live(object) => Arc::strong_count(object) > 1 || object.is_recorded(),
            });
        }
    }

    /// (live, removed).
    pub(super) fn count(&self) -> (usize, usize) {
        let mut count = (0, 0);
        for shard in &self.shards {
            shard.hold().values().for_each(|entry| match entry {
                Entry::Live(_) => count.0 += 1,
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

fn live<'a>(entries: impl Iterator<Item = &'a Entry>) -> impl Iterator<Item = Arc<Object>> {
    entries.filter_map(|entry| match entry {
        Entry::Live(object) => Some(Arc::clone(object)),
        Entry::Gone(_) => None,
    })
}

impl Tally {
    pub(super) fn read(counter: &AtomicUsize) -> usize {
        counter.load(Ordering::Relaxed)
    }
}
