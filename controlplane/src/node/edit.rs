//! What a dialect changes at once: records and documents, all of it or nothing, and durable when it is answered.
//!
//! Order: the change enters the index and the queue of the writer under one lock; when it is written, the bytes of deleted
//! records are ordered away. When it cannot be written, everything is put back as it was and the reverse is queued: what a
//! catalogue that is away still gets is both, in order. A caller that drops the wait leaves the change as it stands;
//! the sweep orders the bytes away then.
//!
//! Must stay true: bytes of a record that may have to be put back are not ordered away; what facts decided about a record
//! is not undone by a dialect that read it before. Two edits of one place do not overlap: a dialect that reads and then
//! edits holds the place's [`KeyLocks`](super::key_locks::KeyLocks) until the edit is answered. An object without a
//! record belongs to no place, whatever documents say of it: pieces have records too
//! ([`Kind::Partial`](crate::catalogue::Kind)).

use std::sync::Arc;

use etransfer_contract::ObjectId;
use etransfer_contract::grant::Ticket;

use super::facts::Effects;
use super::{Node, State};
use crate::catalogue::{Change, Entry, Owner, Place, Record, WriteError};
use crate::core::SurfaceId;

/// The key of a document, and what it says.
pub type Document = (String, Arc<[u8]>);

/// Changes to be made together: deletions first, then records, then documents.
#[derive(Debug, Default)]
#[must_use = "nothing happens before Node::edit"]
pub struct Edit {
    put: Vec<Record>,
    delete: Vec<ObjectId>,
    docs: Vec<(Place, Option<Arc<[u8]>>)>,
}

/// One thing that was done, with what undoes it.
enum Done {
    Put { id: ObjectId, before: Option<Box<Record>> },
    Deleted(Box<Record>),
    Doc { place: Place, before: Option<Arc<[u8]>> },
}

/// Objects whose records are gone in the index and not yet on disk.
struct Leaving<'n> {
    node: &'n Node,
    objects: Vec<ObjectId>,
}

impl Edit {
    /// Adds a record, or replaces one. Another record that has its place is deleted. Of a record that is there already
    /// stay its deliveries and downloads, and once complete it stays complete, of the same length.
    pub fn put(mut self, record: Record) -> Self {
        self.put.push(record);
        self
    }

    /// Takes a record away, and its bytes.
    pub fn delete(mut self, id: ObjectId) -> Self {
        self.delete.push(id);
        self
    }

    /// Writes a document.
    pub fn write(mut self, surface: SurfaceId, key: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.docs.push(((surface, key.into()), Some(content.into().into())));
        self
    }

    /// Takes a document away.
    pub fn erase(mut self, surface: SurfaceId, key: impl Into<String>) -> Self {
        self.docs.push(((surface, key.into()), None));
        self
    }
}

impl Node {
    /// Makes the changes; they survive a kill when this returns, or none of them was made.
    pub async fn edit(&self, edit: Edit) -> Result<(), WriteError> {
        let (done, commit) = {
            let mut state = self.lock();
            let mut effects = Effects::default();
            let done = state.make(edit, &mut effects);
            (done, self.keep(&state, effects.changes))
        };
        let leaving = Leaving { node: self, objects: done.iter().filter_map(Done::deleted).collect() };
        let outcome = commit.wait().await;
        let mut state = self.lock();
        if outcome.is_ok() {
            leaving.objects.iter().for_each(|id| state.dismiss(*id));
        } else {
            let mut effects = Effects::default();
            state.take_back(done, &mut effects);
            drop(self.keep(&state, effects.changes));
        }
        drop(state);
        self.tell_news();
        outcome
    }

    /// A grant may bring bytes of an object that has no record yet. Until the data plane settles the ticket they are kept
    /// for the edit that puts the record, on the account of `owner`. A ticket is for one object.
    pub fn expect_bytes(&self, ticket: Ticket, object: ObjectId, owner: Option<Owner>) {
        self.lock().pending_objects.open(ticket, object, owner);
    }

    /// A document.
    pub fn doc(&self, surface: SurfaceId, key: &str) -> Option<Arc<[u8]>> {
        self.lock().docs.get(&(surface, key.to_owned())).cloned()
    }

    /// Documents of a surface whose keys begin with `prefix`, in their order.
    pub fn docs_under(&self, surface: SurfaceId, prefix: &str) -> Vec<Document> {
        let state = self.lock();
        let from = state.docs.range((surface, prefix.to_owned())..);
        let found = from.take_while(|((of, key), _)| *of == surface && key.starts_with(prefix));
        found.map(|((_, key), content)| (key.clone(), Arc::clone(content))).collect()
    }

    /// A document, and those whose keys begin with `prefix`, from `from` on: as they are at one moment.
    pub fn doc_and_under(
        &self,
        surface: SurfaceId,
        key: &str,
        prefix: &str,
        from: Option<&str>,
    ) -> (Option<Arc<[u8]>>, Vec<Document>) {
        let state = self.lock();
        let document = state.docs.get(&(surface, key.to_owned())).cloned();
        let from = state.docs.range((surface, from.unwrap_or(prefix).to_owned())..);
        let found = from.take_while(|((of, key), _)| *of == surface && key.starts_with(prefix));
        (document, found.map(|((_, key), content)| (key.clone(), Arc::clone(content))).collect())
    }

    /// The record that has a place in a surface.
    pub fn by_place(&self, surface: SurfaceId, key: &str) -> Option<Entry> {
        self.lock().index.by_place(surface, key)
    }

    /// Records of a surface whose keys begin with `prefix`, in their order.
    pub fn records_under(&self, surface: SurfaceId, prefix: &str) -> Vec<Entry> {
        self.lock().index.under(surface, prefix).collect()
    }
}

impl State {
    fn make(&mut self, edit: Edit, effects: &mut Effects) -> Vec<Done> {
        let mut done = Vec::new();
        for id in edit.delete {
            done.extend(self.take_away(id, effects));
        }
        for record in edit.put {
            let other = record.place().and_then(|(surface, key)| self.index.by_place(surface, &key));
            let other = other.map(|entry| entry.record.id).filter(|id| *id != record.id);
            done.extend(other.and_then(|id| self.take_away(id, effects)));
            done.push(self.put(record, effects));
        }
        for (place, content) in edit.docs {
            let before = self.set_doc(&place, content, effects);
            done.push(Done::Doc { place, before });
        }
        done
    }

    fn take_away(&mut self, id: ObjectId, effects: &mut Effects) -> Option<Done> {
        let record = self.index.remove(id)?;
        self.leaving.insert(id);
        effects.note(Change::Delete(id));
        self.decide_removal(id).into_iter().for_each(|change| effects.note(change));
        Some(Done::Deleted(Box::new(record)))
    }

    fn put(&mut self, mut record: Record, effects: &mut Effects) -> Done {
        let id = record.id;
        let before = self.index.get(id).map(|entry| Box::new(entry.record));
        if let Some(told) = &before {
            record.length = record.length.or(told.length);
            if told.is_complete() {
                (record.completed_ms, record.length) = (told.completed_ms, told.length);
            }
        }
        self.set_record(record, effects);
        Done::Put { id, before }
    }

    /// Writes a record over the one that is there, or adds it. What facts decided stays, and counts for a new one too.
    fn set_record(&mut self, mut record: Record, effects: &mut Effects) {
        let id = record.id;
        let told = self.index.update(id, |entry| {
            record.once.clone_from(&entry.record.once);
            record.download_count = entry.record.download_count;
            entry.record = record.clone();
        });
        effects.note(Change::Put(Box::new(record.clone())));
        self.end_removal(id).into_iter().for_each(|change| effects.note(change));
        if told.is_none() {
            self.index.insert(record);
        }
        if let Some(presence) = self.index.get(id).and_then(|entry| entry.presence) {
            self.progress(presence, effects);
        }
    }

    /// Tells what stood there before.
    fn set_doc(&mut self, place: &Place, content: Option<Arc<[u8]>>, effects: &mut Effects) -> Option<Arc<[u8]>> {
        let (surface, key) = place.clone();
        effects.note(Change::Doc { surface, key, value: content.clone() });
        match content {
            Some(content) => self.docs.insert(place.clone(), content),
            None => self.docs.remove(place),
        }
    }

    /// The deletion is on disk: now the bytes may go, unless the same edit put the record again.
    fn dismiss(&mut self, id: ObjectId) {
        if self.leaving.remove(&id) && !self.index.contains(id) {
            self.orders.remove(id, None);
        }
    }

    /// Undoes it, the last thing first. What is gone for other reasons meanwhile stays gone.
    fn take_back(&mut self, done: Vec<Done>, effects: &mut Effects) {
        let mut undone = Vec::new();
        for one in done.into_iter().rev() {
            match one {
                Done::Doc { place, before } => {
                    self.set_doc(&place, before, effects);
                }
                Done::Put { id, before: None } => {
                    self.index.remove(id);
                    effects.note(Change::Delete(id));
                    if self.index.is_orphan(id) && !self.pending_objects.awaits(id) {
                        self.decide_removal(id).into_iter().for_each(|change| effects.note(change));
                    }
                }
                Done::Put { id, before: Some(before) } => {
                    if self.index.contains(id) {
                        self.set_record(*before, effects);
                    }
                }
                // One edit may take an object away more than once: it leaves until the last of it is undone.
                Done::Deleted(record) => {
                    if self.leaving.contains(&record.id) {
                        undone.push(record.id);
                        self.set_record(*record, effects);
                    }
                }
            }
        }
        for id in undone {
            self.leaving.remove(&id);
        }
    }
}

impl Done {
    fn deleted(&self) -> Option<ObjectId> {
        match self {
            Self::Deleted(record) => Some(record.id),
            Self::Put { .. } | Self::Doc { .. } => None,
        }
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.node.lock();
        for id in &self.objects {
            state.leaving.remove(id);
        }
    }
}

#[cfg(test)]
mod tests;
