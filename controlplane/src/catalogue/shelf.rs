//! Everything that is known about all objects, in memory, with the orders in which it is asked for: by id, newest first,
//! next to expire; and the sums that would be slow to count: over all, and per owner.
//!
//! Must stay true: an entry changes only through [`Shelf`], which takes it out of every index before and puts it back
//! after; bytes whose record is gone stay counted as *ghosts* until the data plane says they are removed (P9).

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use etransfer_contract::ObjectId;
use etransfer_contract::fact::Presence;

use super::record::Record;
use super::surface::Owner;

/// A record and what the data plane last said about its bytes.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is stored.
    pub record: Record,
    /// What is there; `None` until the data plane said something.
    pub presence: Option<Presence>,
}

/// Sums over all entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Complete and listed.
    pub files: usize,
    /// Incomplete and listed.
    pub uploads: usize,
    /// Incomplete, partials and finals under construction included.
    pub open: usize,
    /// Bytes of complete entries.
    pub file_bytes: u64,
    /// Bytes received of incomplete entries.
    pub upload_bytes: u64,
}

/// The index.
#[derive(Debug)]
pub struct Shelf {
    expiration_ms: u64,
    entries: HashMap<ObjectId, Entry>,
    all: Holding,
    /// What each owner has; nobody is in here with nothing.
    owned: HashMap<Owner, Holding>,
    due: BTreeSet<(u64, ObjectId)>,
    keys: HashMap<String, ObjectId>,
    ghosts: HashMap<ObjectId, Ghost>,
}

/// What the node, or one owner, has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Holding {
    newest: BTreeSet<(Reverse<u64>, ObjectId)>,
    totals: Totals,
    ghost_bytes: u64,
}

/// Bytes whose record is gone.
#[derive(Debug)]
struct Ghost {
    bytes: u64,
    owner: Option<Owner>,
}

impl Holding {
    /// Bytes on disk that count against a limit.
    fn used(&self) -> u64 {
        self.totals.file_bytes + self.totals.upload_bytes + self.ghost_bytes
    }

    fn is_nothing(&self) -> bool {
        self.totals == Totals::default() && self.ghost_bytes == 0
    }
}

impl Entry {
    /// Last change; Unix milliseconds.
    pub fn updated_ms(&self) -> u64 {
        let accepted = self.presence.as_ref().map_or(0, |presence| presence.at_unix_ms);
        self.record.completed_ms.unwrap_or(accepted).max(self.record.created_ms)
    }

    /// Bytes received, all ranges.
    pub fn received(&self) -> u64 {
        match (&self.presence, self.record.is_complete()) {
            (Some(presence), _) => presence.received,
            (None, true) => self.record.length.unwrap_or(0),
            (None, false) => 0,
        }
    }

    /// Bytes received without a gap from 0.
    pub fn contiguous(&self) -> u64 {
        match (&self.presence, self.record.is_complete()) {
            (_, true) => self.record.length.unwrap_or(0),
            (Some(presence), false) => presence.contiguous,
            (None, false) => 0,
        }
    }

    /// When it goes by itself; Unix milliseconds.
    pub fn due_ms(&self, expiration_ms: u64) -> Option<u64> {
        if self.record.is_complete() {
            self.record.ttl_ends_ms()
        } else {
            Some(self.updated_ms().saturating_add(expiration_ms))
        }
    }
}

impl Shelf {
    /// Empty; incomplete uploads live `expiration` after their last byte.
    pub fn new(expiration: Duration) -> Self {
        Self {
            expiration_ms: u64::try_from(expiration.as_millis()).unwrap_or(u64::MAX),
            entries: HashMap::new(),
            all: Holding::default(),
            owned: HashMap::new(),
            due: BTreeSet::new(),
            keys: HashMap::new(),
            ghosts: HashMap::new(),
        }
    }

    /// One entry.
    pub fn get(&self, id: ObjectId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// All ids, in no order.
    pub fn ids(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.entries.keys().copied()
    }

    /// Adds a record; ids are never reused, so it is new.
    pub fn insert(&mut self, record: Record) {
        let entry = Entry { record, presence: None };
        self.index(&entry);
        self.entries.insert(entry.record.id, entry);
    }

    /// Takes a record away. Its bytes stay counted until [`Shelf::gone`].
    pub fn remove(&mut self, id: ObjectId) -> Option<Record> {
        let entry = self.entries.remove(&id)?;
        self.unindex(&entry);
        if let Some(presence) = &entry.presence {
            self.put_ghost(id, Ghost { bytes: presence.received, owner: entry.record.owner.clone() });
        }
        Some(entry.record)
    }

    /// Changes an entry.
    pub fn update<T>(&mut self, id: ObjectId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut entry = self.entries.remove(&id)?;
        self.unindex(&entry);
        let outcome = change(&mut entry);
        self.index(&entry);
        self.entries.insert(id, entry);
        Some(outcome)
    }

    /// Bytes of an object nobody has a record of.
    pub fn haunt(&mut self, id: ObjectId, bytes: u64) {
        let owner = self.ghosts.get(&id).and_then(|ghost| ghost.owner.clone());
        self.put_ghost(id, Ghost { bytes, owner });
    }

    /// The bytes of an object are gone.
    pub fn gone(&mut self, id: ObjectId) {
        self.lay_ghost(id);
        self.update(id, |entry| entry.presence = None);
    }

    fn put_ghost(&mut self, id: ObjectId, ghost: Ghost) {
        self.lay_ghost(id);
        self.holdings(ghost.owner.as_ref(), |holding| holding.ghost_bytes += ghost.bytes);
        self.ghosts.insert(id, ghost);
    }

    fn lay_ghost(&mut self, id: ObjectId) {
        if let Some(ghost) = self.ghosts.remove(&id) {
            self.holdings(ghost.owner.as_ref(), |holding| holding.ghost_bytes -= ghost.bytes);
        }
    }

    /// Changes what the node has, and what the owner has.
    fn holdings(&mut self, owner: Option<&Owner>, change: impl Fn(&mut Holding)) {
        change(&mut self.all);
        let Some(owner) = owner else { return };
        let holding = self.owned.entry(owner.clone()).or_default();
        change(holding);
        if holding.is_nothing() {
            self.owned.remove(owner);
        }
    }

    /// Objects without a record, and their bytes.
    pub fn ghosts(&self) -> impl Iterator<Item = (ObjectId, u64)> + '_ {
        self.ghosts.iter().map(|(id, ghost)| (*id, ghost.bytes))
    }

    /// Listed entries, of everybody or of one owner; newest change first, ties by id.
    pub fn newest(&self, owner: Option<&Owner>) -> impl Iterator<Item = &Entry> {
        let holding = self.holding(owner);
        let ids = holding.into_iter().flat_map(|holding| holding.newest.iter());
        ids.filter_map(|(_, id)| self.entries.get(id))
    }

    fn holding(&self, owner: Option<&Owner>) -> Option<&Holding> {
        owner.map_or(Some(&self.all), |owner| self.owned.get(owner))
    }

    /// Entries whose time has come.
    pub fn due(&self, now_ms: u64) -> impl Iterator<Item = &Entry> {
        self.due.iter().take_while(move |(at, _)| *at <= now_ms).filter_map(|(_, id)| self.entries.get(id))
    }

    /// When this one goes by itself.
    pub fn due_ms(&self, entry: &Entry) -> Option<u64> {
        entry.due_ms(self.expiration_ms)
    }

    /// The final made by an earlier request with this key.
    pub fn by_key(&self, key: &str) -> Option<&Entry> {
        self.keys.get(key).and_then(|id| self.entries.get(id))
    }

    /// Sums over everything, or over what one owner has.
    pub fn totals(&self, owner: Option<&Owner>) -> Totals {
        self.holding(owner).map_or_else(Totals::default, |holding| holding.totals)
    }

    /// Bytes on disk that count against the limit of the node, or of one owner.
    pub fn used(&self, owner: Option<&Owner>) -> u64 {
        self.holding(owner).map_or(0, Holding::used)
    }

    /// Everybody who has something.
    pub fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.owned.keys()
    }

    fn index(&mut self, entry: &Entry) {
        let id = entry.record.id;
        self.lay_ghost(id);
        self.holdings(entry.record.owner.as_ref(), |holding| {
            holding.totals.count(entry, |sum, value| *sum += value, |sum, value| *sum += value);
            if entry.record.is_listed() {
                holding.newest.insert((Reverse(entry.updated_ms()), id));
            }
        });
        if let Some(due) = entry.due_ms(self.expiration_ms) {
            self.due.insert((due, id));
        }
        if let Some(key) = &entry.record.idempotency_key {
            self.keys.insert(key.clone(), id);
        }
    }

    fn unindex(&mut self, entry: &Entry) {
        let id = entry.record.id;
        self.holdings(entry.record.owner.as_ref(), |holding| {
            holding.totals.count(entry, |sum, value| *sum -= value, |sum, value| *sum -= value);
            holding.newest.remove(&(Reverse(entry.updated_ms()), id));
        });
        if let Some(due) = entry.due_ms(self.expiration_ms) {
            self.due.remove(&(due, id));
        }
        if let Some(key) = &entry.record.idempotency_key {
            self.keys.remove(key);
        }
    }
}

impl Totals {
    /// Adds or takes away one entry.
    fn count(&mut self, entry: &Entry, number: impl Fn(&mut usize, usize), bytes: impl Fn(&mut u64, u64)) {
        let listed = usize::from(entry.record.is_listed());
        if entry.record.is_complete() {
            number(&mut self.files, listed);
            bytes(&mut self.file_bytes, entry.received());
        } else {
            number(&mut self.uploads, listed);
            number(&mut self.open, 1);
            bytes(&mut self.upload_bytes, entry.received());
        }
    }
}

#[cfg(test)]
mod tests {
    use etransfer_contract::SpanSet;
    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::surface::Surface;
    use crate::catalogue::tests::record;

    fn presence(id: ObjectId, received: u64, at: u64) -> Presence {
        Presence {
            object: id,
            received,
            contiguous: received,
            spans: SpanSet::new(),
            length: Some(100),
            complete: false,
            at_unix_ms: at,
        }
    }

    fn owners() -> [Option<Owner>; 3] {
        [None, Some(Owner::Person(1)), Some(Owner::Member(Surface::StreamUpload, "ann".into()))]
    }

    /// Counted afresh, for everybody or for one owner.
    fn recount(shelf: &Shelf, owner: Option<&Owner>) -> (Totals, u64) {
        let mut totals = Totals::default();
        let mine = |whose: &Option<Owner>| owner.is_none() || whose.as_ref() == owner;
        for entry in shelf.entries.values().filter(|entry| mine(&entry.record.owner)) {
            let listed = usize::from(entry.record.is_listed());
            if entry.record.is_complete() {
                totals.files += listed;
                totals.file_bytes += entry.received();
            } else {
                totals.uploads += listed;
                totals.open += 1;
                totals.upload_bytes += entry.received();
            }
        }
        (totals, shelf.ghosts.values().filter(|ghost| mine(&ghost.owner)).map(|ghost| ghost.bytes).sum())
    }

    proptest! {
        /// P9: a rebuilt ledger equals the sums that were kept; a page never shows what is not there.
        #[test]
        fn sums_and_orders_agree_with_a_recount(steps in prop::collection::vec((0u8..6, 0u8..8, 0u64..200), 0..60)) {
            let mut shelf = Shelf::new(Duration::from_secs(1));
            for (step, which, number) in steps {
                let id = ObjectId::from_bytes([which; 16]);
                match step {
                    0 => if shelf.get(id).is_none() {
                        let owner = owners()[usize::from(which % 3)].clone();
                        shelf.insert(Record { owner, ..record(id, number) });
                    },
                    1 => { shelf.remove(id); }
                    2 => { shelf.update(id, |entry| entry.presence = Some(presence(id, number, number))); }
                    3 => { shelf.update(id, |entry| entry.record.completed_ms = Some(number)); }
                    4 => shelf.gone(id),
                    _ => if shelf.get(id).is_none() { shelf.haunt(id, number); },
                }
                for owner in &owners() {
                    let owner = owner.as_ref();
                    let (totals, ghosts) = recount(&shelf, owner);
                    prop_assert_eq!(shelf.totals(owner), totals);
                    prop_assert_eq!(shelf.used(owner), totals.file_bytes + totals.upload_bytes + ghosts);
                    let newest: Vec<u64> = shelf.newest(owner).map(Entry::updated_ms).collect();
                    prop_assert!(newest.is_sorted_by(|a, b| a >= b));
                    prop_assert_eq!(newest.len(), totals.files + totals.uploads);
                }
                prop_assert_eq!(shelf.due(u64::MAX).count(), shelf.totals(None).open);
                prop_assert!(shelf.owned.values().all(|holding| !holding.is_nothing()));
            }
        }
    }
}
