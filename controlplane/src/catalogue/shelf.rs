//! Everything that is known about all objects, in memory, with the orders in which it is asked for: by id, newest first,
//! next to expire; and the sums that would be slow to count.
//!
//! Must stay true: an entry changes only through [`Shelf`], which takes it out of every index before and puts it back
//! after; bytes whose record is gone stay counted as *ghosts* until the data plane says they are removed (P9).

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use etransfer_contract::ObjectId;
use etransfer_contract::fact::Presence;

use super::record::Record;

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
    newest: BTreeSet<(Reverse<u64>, ObjectId)>,
    due: BTreeSet<(u64, ObjectId)>,
    keys: HashMap<String, ObjectId>,
    totals: Totals,
    ghosts: HashMap<ObjectId, u64>,
    ghost_bytes: u64,
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
            newest: BTreeSet::new(),
            due: BTreeSet::new(),
            keys: HashMap::new(),
            totals: Totals::default(),
            ghosts: HashMap::new(),
            ghost_bytes: 0,
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
            self.haunt(id, presence.received);
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
        let before = self.ghosts.insert(id, bytes).unwrap_or(0);
        self.ghost_bytes = self.ghost_bytes - before + bytes;
    }

    /// The bytes of an object are gone.
    pub fn gone(&mut self, id: ObjectId) {
        self.ghost_bytes -= self.ghosts.remove(&id).unwrap_or(0);
        self.update(id, |entry| entry.presence = None);
    }

    /// Objects without a record, and their bytes.
    pub fn ghosts(&self) -> impl Iterator<Item = (ObjectId, u64)> + '_ {
        self.ghosts.iter().map(|(id, bytes)| (*id, *bytes))
    }

    /// Listed entries, newest change first, ties by id.
    pub fn newest(&self) -> impl Iterator<Item = &Entry> {
        self.newest.iter().filter_map(|(_, id)| self.entries.get(id))
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

    /// Sums.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Bytes on disk that count against the node's limit.
    pub fn used(&self) -> u64 {
        self.totals.file_bytes + self.totals.upload_bytes + self.ghost_bytes
    }

    fn index(&mut self, entry: &Entry) {
        let id = entry.record.id;
        self.sum(entry, |sum, value| *sum += value, |sum, value| *sum += value);
        if entry.record.is_listed() {
            self.newest.insert((Reverse(entry.updated_ms()), id));
        }
        if let Some(due) = entry.due_ms(self.expiration_ms) {
            self.due.insert((due, id));
        }
        if let Some(key) = &entry.record.idempotency_key {
            self.keys.insert(key.clone(), id);
        }
        self.ghost_bytes -= self.ghosts.remove(&id).unwrap_or(0);
    }

    fn unindex(&mut self, entry: &Entry) {
        let id = entry.record.id;
        self.sum(entry, |sum, value| *sum -= value, |sum, value| *sum -= value);
        self.newest.remove(&(Reverse(entry.updated_ms()), id));
        if let Some(due) = entry.due_ms(self.expiration_ms) {
            self.due.remove(&(due, id));
        }
        if let Some(key) = &entry.record.idempotency_key {
            self.keys.remove(key);
        }
    }

    fn sum(&mut self, entry: &Entry, count: impl Fn(&mut usize, usize), bytes: impl Fn(&mut u64, u64)) {
        let listed = usize::from(entry.record.is_listed());
        if entry.record.is_complete() {
            count(&mut self.totals.files, listed);
            bytes(&mut self.totals.file_bytes, entry.received());
        } else {
            count(&mut self.totals.uploads, listed);
            count(&mut self.totals.open, 1);
            bytes(&mut self.totals.upload_bytes, entry.received());
        }
    }
}

#[cfg(test)]
mod tests {
    use etransfer_contract::SpanSet;
    use proptest::prelude::*;

    use super::*;
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

    fn recount(shelf: &Shelf) -> (Totals, u64) {
        let mut totals = Totals::default();
        for entry in shelf.entries.values() {
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
        (totals, shelf.ghosts.values().sum())
    }

    proptest! {
        /// P9: a rebuilt ledger equals the sums that were kept; a page never shows what is not there.
        #[test]
        fn sums_and_orders_agree_with_a_recount(steps in prop::collection::vec((0u8..6, 0u8..8, 0u64..200), 0..60)) {
            let mut shelf = Shelf::new(Duration::from_secs(1));
            for (step, which, number) in steps {
                let id = ObjectId::from_bytes([which; 16]);
                match step {
                    0 => if shelf.get(id).is_none() { shelf.insert(record(id, number)); },
                    1 => { shelf.remove(id); }
                    2 => { shelf.update(id, |entry| entry.presence = Some(presence(id, number, number))); }
                    3 => { shelf.update(id, |entry| entry.record.completed_ms = Some(number)); }
                    4 => shelf.gone(id),
                    _ => if shelf.get(id).is_none() { shelf.haunt(id, number); },
                }
                prop_assert_eq!((shelf.totals, shelf.ghost_bytes), recount(&shelf));
                let newest: Vec<u64> = shelf.newest().map(Entry::updated_ms).collect();
                prop_assert!(newest.is_sorted_by(|a, b| a >= b));
                prop_assert_eq!(newest.len(), shelf.totals.files + shelf.totals.uploads);
                prop_assert_eq!(shelf.due(u64::MAX).count(), shelf.totals.open);
            }
        }
    }
}
