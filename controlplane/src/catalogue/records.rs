//! Records by id, packed: all that a catalogue holds at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;

use etransfer_contract::ObjectId;

use super::index::Entry;
use super::packed::Packed;
use super::record::Record;

/// The records, each with what is known of its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records(HashMap<ObjectId, Packed>);

impl Records {
    /// None, with room for `count`.
    pub fn with_capacity(count: usize) -> Self {
        Self(HashMap::with_capacity(count))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All ids, in no order.
    pub fn ids(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.0.keys().copied()
    }

    /// All entries, in no order.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.0.iter().map(|(id, packed)| packed.entry(*id))
    }

    /// All records, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Record> + '_ {
        self.entries().map(|entry| entry.record)
    }

    /// There is one of this id.
    pub fn contains(&self, id: ObjectId) -> bool {
        self.0.contains_key(&id)
    }

    /// One of them.
    pub fn get(&self, id: ObjectId) -> Option<Entry> {
        self.0.get(&id).map(|packed| packed.entry(id))
    }

    /// Adds one, or replaces it.
    pub fn put(&mut self, entry: &Entry) {
        match self.0.entry(entry.record.id) {
            MapEntry::Occupied(mut packed) => packed.get_mut().rewrite(entry),
            MapEntry::Vacant(vacant) => {
                vacant.insert(Packed::of(entry));
            }
        }
    }

    /// Takes one away.
    pub fn remove(&mut self, id: ObjectId) -> Option<Entry> {
        self.0.remove(&id).map(|packed| packed.entry(id))
    }
}

impl FromIterator<Record> for Records {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        let packed = |record: Record| (record.id, Packed::of(&Entry { record, presence: None }));
        Self(records.into_iter().map(packed).collect())
    }
}
