//! Which bytes go: decisions of this control plane, each written down when it is made, in the same commit as the deletion
//! of the record. An object goes because it stands here, never because no record is found: a catalogue that is new, older
//! than the journal, or another's knows less, and deletes nothing for that.
//!
//! Kept as documents `removal/<id>` of the EasyTransfer surface, which every backend has, until the data plane says that the
//! bytes are gone. What has bytes, no record and no decision is *unclaimed*: kept, counted, told, not served. With the
//! right catalogue back it is what it was; `et server verify` lists it and sets it aside when told to. Only what is unfinished
//! as well goes by itself, when an upload would have expired: that is a rule about its age, not about the catalogue.

use std::collections::HashSet;

use etransfer_contract::ObjectId;

use super::{Node, State};
use crate::catalogue::{Change, Docs};
use crate::core::SurfaceId;

const SURFACE: SurfaceId = SurfaceId::EasyTransfer;
const PREFIX: &str = "removal/";
/// Unclaimed objects named in one log line.
const NAMED_MAX: usize = 5;

/// Takes the decisions out of the documents of a catalogue.
pub fn take_out(docs: &mut Docs) -> HashSet<ObjectId> {
    let decided = |key: &str| key.strip_prefix(PREFIX).and_then(|id| id.parse().ok());
    let found = docs.keys().filter(|(surface, _)| *surface == SURFACE).filter_map(|(_, key)| decided(key)).collect();
    docs.retain(|(surface, key), _| *surface != SURFACE || decided(key).is_none());
    found
}

fn document(id: ObjectId, value: Option<&[u8]>) -> Change {
    Change::Doc { surface: SURFACE, key: format!("{PREFIX}{id}"), value: value.map(Into::into) }
}

impl State {
    /// The bytes of an object go. What comes back is to be written together with the deletion of its record.
    #[must_use = "a decision counts when it is written down"]
    pub(super) fn decide_removal(&mut self, id: ObjectId) -> Option<Change> {
        self.removals.insert(id).then(|| document(id, Some(b"1")))
    }

    /// Its bytes are gone, or its record is back.
    #[must_use = "a decision stands until its end is written down"]
    pub(super) fn end_removal(&mut self, id: ObjectId) -> Option<Change> {
        self.removals.remove(&id).then(|| document(id, None))
    }

    /// Decisions about objects that no page of the inventory named: nothing of them is there.
    pub(super) fn end_removals_of_unseen(&mut self, seen: &HashSet<ObjectId>) -> Vec<Change> {
        let done: Vec<ObjectId> = self.removals.iter().filter(|id| !seen.contains(id)).copied().collect();
        done.into_iter().filter_map(|id| self.end_removal(id)).collect()
    }

    /// Objects with bytes, without a record, and without a decision.
    pub(super) fn unclaimed(&self) -> impl Iterator<Item = (ObjectId, u64)> + '_ {
        let is_explained = |id: ObjectId| {
            let comes = self.pending_objects.awaits(id) || self.leaving.contains(&id);
            comes || self.removals.contains(&id) || self.orders.is_ordered(id)
        };
        self.index.orphans().filter(move |(id, _)| !is_explained(*id))
    }

    /// With a catalogue that keeps nothing (`state.backend: memory`), what it forgot at a restart is given up by the
    /// operator's choice, but not at once: it stays as long as a quarantine would keep it, counted from the first sweep after the inventory.
    pub(super) fn give_up_forgotten(&mut self, now_ms: u64, after: std::time::Duration) -> Vec<Change> {
        if !self.is_forgetful || after.is_zero() || !self.inventory.is_known() {
            return Vec::new();
        }
        let since = *self.known_since_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since) < after.as_millis() as u64 {
            return Vec::new();
        }
        let forgotten: Vec<ObjectId> = self.unclaimed().map(|(id, _)| id).collect();
        forgotten.into_iter().filter_map(|id| self.decide_removal(id)).collect()
    }

    /// What was never whole and has no record goes as an upload does that is not continued: so long after its last byte.
    /// A kill in the middle of a form leaves such bytes; nothing of them was acknowledged.
    pub(super) fn give_up_unfinished(&mut self, now_ms: u64, after: std::time::Duration) -> Vec<Change> {
        if !self.inventory.is_known() {
            return Vec::new();
        }
        let before = now_ms.saturating_sub(after.as_millis() as u64);
        let over: Vec<ObjectId> =
            self.unclaimed().map(|(id, _)| id).filter(|id| self.index.was_left_unfinished(*id, before)).collect();
        if !over.is_empty() {
            tracing::info!(objects = over.len(), "unfinished objects without a record expired");
        }
        over.into_iter().filter_map(|id| self.decide_removal(id)).collect()
    }

    /// Reported with every inventory, until it is put right.
    pub(super) fn tell_unclaimed(&self) {
        let objects = self.unclaimed().count();
        if objects > 0 {
            let examples: Vec<String> = self.unclaimed().take(NAMED_MAX).map(|(id, _)| id.to_string()).collect();
            tracing::error!(
                objects,
                examples = examples.join(" "),
                "the catalogue knows nothing of these objects on disk; they are kept, count against the limit, and are \
                 not served. If the catalogue is older than the storage, stop the node and put the right one back; \
                 `et server verify` lists them, and sets them aside with --quarantine-unclaimed"
            );
        }
    }
}

impl Node {
    /// How many objects have bytes and neither a record nor a decision, and their bytes.
    pub fn unclaimed(&self) -> (usize, u64) {
        let state = self.lock();
        if !state.inventory.is_known() {
            return (0, 0);
        }
        state.unclaimed().fold((0, 0), |(count, sum), (_, bytes)| (count + 1, sum + bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{documents, golden, object};

    #[test]
    fn decisions_are_stored_as_ever() {
        let mut golden = golden("node", "removals.txt", "Documents of decided removals, of the EasyTransfer surface.");
        let Change::Doc { surface: SURFACE, key, value: Some(value) } = document(object(0x11), Some(b"1")) else {
            panic!("a decision is a document");
        };
        golden.text(&format!("document {key}"), str::from_utf8(&value).unwrap());
        let mut docs = documents(&golden.check(), SURFACE);
        assert_eq!((take_out(&mut docs), docs.len()), (HashSet::from([object(0x11)]), 0));
    }
}
