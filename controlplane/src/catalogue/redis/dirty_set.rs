//! The catalogue as the keeper holds it, and what of it Redis does not have yet.
//!
//! It costs the records once more in memory (packed; documents are shared with the node), and buys three things: a Redis that lost its data
//! gets everything back, an outage needs no log of changes (the latest state of an object or document is all there is to write), and
//! what waits is bounded by what exists: past [`REDIS_SEPARATE_MAX`] objects everything is written again instead.

use std::collections::HashSet;
use std::sync::Arc;

use etransfer_contract::ObjectId;

use super::super::surface::Place;
use super::super::{Change, Docs, Entry, Held, Records};
use crate::bounds::{REDIS_SEPARATE_MAX, STEPS_KEPT_MAX};

// What one chunk of a file makes of its steps is written one by one.
const _: () = assert!(2 * STEPS_KEPT_MAX < REDIS_SEPARATE_MAX);

/// Everything that is kept.
pub struct DirtySet {
    records: Records,
    docs: Docs,
    kept: HashSet<ObjectId>,
    is_trusted: bool,
    unwritten: Unwritten,
}

/// What Redis does not have, or may not have.
enum Unwritten {
    /// These: their latest state, which may be that they are gone.
    Some { records: HashSet<ObjectId>, docs: HashSet<Place>, kept: HashSet<ObjectId>, trust: bool },
    /// Whatever Redis has is to be replaced.
    Everything,
}

/// What is to be written in one step.
#[derive(Debug, PartialEq)]
pub struct Batch {
    /// Ids that have no record.
    pub deletes: Vec<ObjectId>,
    /// Records as they are now.
    pub puts: Records,
    /// Places where no document is.
    pub doc_deletes: Vec<Place>,
    /// Documents as they are now.
    pub docs: Vec<(Place, Arc<[u8]>)>,
    /// Objects that are never taken for orphans.
    pub kept: Vec<ObjectId>,
    /// The catalogue is believed.
    pub is_trusted: bool,
    /// This is all there is: it replaces what Redis has.
    pub is_everything: bool,
}

impl DirtySet {
    /// What was read from Redis.
    pub fn new(held: &Held) -> Self {
        let (records, docs, kept) = (held.records.clone(), held.docs.clone(), held.kept.clone());
        Self { records, docs, kept, is_trusted: held.is_trusted, unwritten: Unwritten::nothing() }
    }

    /// Takes changes up, in order.
    pub fn note(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put(record) => {
                    self.unwritten.record(record.id);
                    self.records.put(&Entry { record: *record, presence: None });
                }
                Change::Delete(id) => {
                    self.unwritten.record(id);
                    self.records.remove(id);
                }
                Change::Doc { surface, key, value } => {
                    let place = (surface, key);
                    self.unwritten.doc(&place);
                    match value {
                        Some(value) => self.docs.insert(place, value),
                        None => self.docs.remove(&place),
                    };
                }
                Change::Keep(ids) => {
                    self.unwritten.kept(&ids);
                    self.kept.extend(ids);
                }
                Change::Trust => {
                    self.unwritten.trust();
                    self.is_trusted = true;
                }
            }
        }
    }

    /// Redis lost what it had.
    pub fn lose(&mut self) {
        self.unwritten = Unwritten::Everything;
    }

    /// What is to be written now; from here on it counts as written. `None`: nothing.
    pub fn take(&mut self) -> Option<Batch> {
        let is_trusted = self.is_trusted;
        match std::mem::replace(&mut self.unwritten, Unwritten::nothing()) {
            Unwritten::Everything => Some(Batch {
                deletes: Vec::new(),
                puts: self.records.clone(),
                doc_deletes: Vec::new(),
                docs: self.docs.iter().map(|(place, content)| (place.clone(), Arc::clone(content))).collect(),
                kept: self.kept.iter().copied().collect(),
                is_trusted,
                is_everything: true,
            }),
            Unwritten::Some { records, docs, kept, trust }
                if trust || !records.is_empty() || !docs.is_empty() || !kept.is_empty() =>
            {
                let (puts, deletes): (Vec<_>, Vec<_>) = records.into_iter().partition(|id| self.records.contains(*id));
                let puts = puts.into_iter().filter_map(|id| Some(self.records.get(id)?.record)).collect();
                let (docs, doc_deletes): (Vec<_>, Vec<_>) =
                    docs.into_iter().partition(|place| self.docs.contains_key(place));
                let content = |place: Place| self.docs.get(&place).map(|content| (place.clone(), Arc::clone(content)));
                let docs = docs.into_iter().filter_map(content).collect();
                let kept = kept.into_iter().collect();
                Some(Batch { deletes, puts, doc_deletes, docs, kept, is_trusted, is_everything: false })
            }
            Unwritten::Some { .. } => None,
        }
    }

    /// A batch that may not have been written after all.
    pub fn put_back(&mut self, batch: &Batch) {
        if batch.is_everything {
            return self.lose();
        }
        batch.deletes.iter().for_each(|id| self.unwritten.record(*id));
        batch.puts.ids().for_each(|id| self.unwritten.record(id));
        batch.doc_deletes.iter().for_each(|place| self.unwritten.doc(place));
        batch.docs.iter().for_each(|(place, _)| self.unwritten.doc(place));
        self.unwritten.kept(&batch.kept);
        if batch.is_trusted {
            self.unwritten.trust();
        }
    }
}

impl Unwritten {
    fn nothing() -> Self {
        Self::Some { records: HashSet::new(), docs: HashSet::new(), kept: HashSet::new(), trust: false }
    }

    fn record(&mut self, id: ObjectId) {
        if let Self::Some { records, .. } = self {
            records.insert(id);
        }
        self.bound();
    }

    fn doc(&mut self, place: &Place) {
        if let Self::Some { docs, .. } = self {
            docs.insert(place.clone());
        }
        self.bound();
    }

    fn kept(&mut self, ids: &[ObjectId]) {
        if let Self::Some { kept, .. } = self {
            kept.extend(ids);
        }
        self.bound();
    }

    fn trust(&mut self) {
        if let Self::Some { trust, .. } = self {
            *trust = true;
        }
    }

    fn bound(&mut self) {
        if let Self::Some { records, docs, kept, .. } = self
            && records.len() + docs.len() + kept.len() > REDIS_SEPARATE_MAX
        {
            *self = Self::Everything;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::tests::record;
    use crate::core::SurfaceId;

    fn id(number: u32) -> ObjectId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        ObjectId::from_bytes(bytes)
    }

    fn put(number: u32, created_ms: u64) -> Change {
        Change::Put(Box::new(record(id(number), created_ms)))
    }

    fn empty() -> DirtySet {
        DirtySet::new(&Held::default())
    }

    #[test]
    fn a_batch_holds_the_latest_state_and_comes_once() {
        let mut dirty_set = empty();
        assert_eq!(dirty_set.take(), None);
        dirty_set.note(vec![put(1, 1), put(1, 2), put(2, 1), Change::Delete(id(2)), Change::Keep(vec![id(3)])]);
        let batch = dirty_set.take().unwrap();
        assert_eq!((batch.puts, batch.deletes), ([record(id(1), 2)].into_iter().collect(), vec![id(2)]));
        assert_eq!((batch.kept, batch.is_trusted, batch.is_everything), (vec![id(3)], false, false));
        assert_eq!(dirty_set.take(), None);
        dirty_set.note(vec![Change::Trust]);
        assert!(dirty_set.take().unwrap().is_trusted);
    }

    #[test]
    fn what_failed_is_written_again_as_it_is_then() {
        let mut dirty_set = empty();
        dirty_set.note(vec![put(1, 1), put(2, 1)]);
        let failed = dirty_set.take().unwrap();
        dirty_set.note(vec![Change::Delete(id(1))]);
        dirty_set.put_back(&failed);
        let batch = dirty_set.take().unwrap();
        assert_eq!((batch.puts, batch.deletes), ([record(id(2), 1)].into_iter().collect(), vec![id(1)]));
    }

    #[test]
    fn documents_are_written_as_they_are_then() {
        let place = |key: &str| (SurfaceId::CloudBackend, key.to_owned());
        let doc = |key: &str, value: Option<&[u8]>| {
            let (surface, key) = place(key);
            Change::Doc { surface, key, value: value.map(Arc::from) }
        };
        let mut dirty_set = empty();
        dirty_set.note(vec![doc("a", Some(b"1")), doc("a", Some(b"2")), doc("b", Some(b"1")), doc("c", None)]);
        let failed = dirty_set.take().unwrap();
        assert_eq!((failed.docs.len(), &failed.doc_deletes), (2, &vec![place("c")]));
        assert_eq!(dirty_set.take(), None);
        dirty_set.note(vec![doc("b", None)]);
        dirty_set.put_back(&failed);
        let mut batch = dirty_set.take().unwrap();
        batch.doc_deletes.sort();
        assert_eq!(batch.docs, [(place("a"), Arc::from(&b"2"[..]))]);
        assert_eq!(batch.doc_deletes, [place("b"), place("c")]);
        dirty_set.lose();
        assert_eq!(dirty_set.take().unwrap().docs.len(), 1, "all of it again");
    }

    #[test]
    fn p16_what_waits_is_bounded_by_what_exists() {
        let mut dirty_set = empty();
        for number in 0..=REDIS_SEPARATE_MAX as u32 {
            dirty_set.note(vec![put(number, 1), Change::Delete(id(number))]);
        }
        dirty_set.note(vec![put(7, 1), Change::Trust]);
        let batch = dirty_set.take().unwrap();
        assert!(batch.is_everything && batch.is_trusted && batch.deletes.is_empty());
        assert_eq!(batch.puts, [record(id(7), 1)].into_iter().collect());
        dirty_set.put_back(&batch);
        assert!(dirty_set.take().unwrap().is_everything);
    }
}
