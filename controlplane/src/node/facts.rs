//! What the data plane reports. Told at least once and in order per object; everything here may be applied twice.

use etransfer_contract::ObjectId;
use etransfer_contract::fact::{Fact, FactBatch, Presence};

use super::{Node, State};
use crate::catalogue::{Change, NotKept};
use crate::config::Policy;
use crate::retention::once::Delivery;
use crate::retention::receiver::Receiver;

impl Node {
    /// Applies a batch; returns when what must not be forgotten is written down.
    pub async fn apply(&self, batch: FactBatch) -> Result<(), NotKept> {
        let tombstone_until = self.clock.now_ms().saturating_add(self.config.uploads.tombstone.as_millis() as u64);
        let mut changes = Vec::new();
        {
            let mut state = self.lock();
            state.meet(batch.run);
            for fact in batch.facts {
                state.apply(fact, tombstone_until, &mut changes);
            }
        }
        if !changes.is_empty() {
            self.tell_news();
        }
        self.keep(changes).wait().await
    }
}

impl State {
    fn apply(&mut self, fact: Fact, tombstone_until: u64, changes: &mut Vec<Change>) {
        match fact {
            Fact::Progress(presence) | Fact::Completed(presence) => {
                self.inventory.note(presence.object);
                if presence.complete {
                    self.settle_copy(presence.object);
                }
                if self.shelf.get(presence.object).is_some() {
                    self.progress(presence, changes);
                } else {
                    self.orphan(presence.object, presence.received);
                }
            }
            Fact::Discarded { object } => {
                // A creation that never was: no tombstone.
                self.drop_incomplete(object, changes);
                self.removed(object);
            }
            Fact::Removed { object } => {
                if self.drop_incomplete(object, changes) {
                    self.bury(object, tombstone_until);
                }
                self.removed(object);
            }
            Fact::Settled { ticket, .. } => self.ledger.settle(ticket),
            Fact::Served { .. } => self.served(&fact, changes),
            Fact::Inventory { objects, last } => self.take_page(objects, last, changes),
        }
    }

    /// What is there of an object that has a record.
    pub(super) fn progress(&mut self, presence: Presence, changes: &mut Vec<Change>) {
        let id = presence.object;
        let change = self.shelf.update(id, |entry| {
            let record = &mut entry.record;
            let before = (record.length, record.completed_ms);
            if record.length.is_none() {
                record.length = presence.length.or(presence.complete.then_some(presence.received));
            }
            if presence.complete && record.completed_ms.is_none() {
                record.completed_ms = Some(presence.at_unix_ms);
            }
            let changed = before != (record.length, record.completed_ms);
            // Complete is complete: an older report that comes late takes nothing back.
            if presence.complete || !record.is_complete() {
                entry.presence = Some(presence);
            }
            changed.then(|| Change::Put(Box::new(entry.record.clone())))
        });
        changes.extend(change.flatten());
        self.consume_if_used_up(id, changes);
    }

    /// A delivery ended.
    fn served(&mut self, fact: &Fact, changes: &mut Vec<Change>) {
        let Fact::Served { object, ticket, receiver, span, whole, .. } = fact else { return };
        let Some(entry) = self.shelf.get(*object) else { return };
        let Ok(receiver) = receiver.parse::<Receiver>() else { return };
        let length = entry.record.length;
        let is_new = !self.tally.is_repeated(fact);
        match entry.record.keep.policy {
            Policy::DownloadOnce => {
                let delivery = Delivery { ticket: *ticket, run: self.data_run, receiver: &receiver, span: *span };
                let change = self.shelf.update(*object, |entry| {
                    entry.record.once.ended(delivery, *whole, length);
                    Change::Put(Box::new(entry.record.clone()))
                });
                changes.extend(change);
                self.consume_if_used_up(*object, changes);
            }
            Policy::Permanent | Policy::Ttl => {
                let Some(length) = length.filter(|_| *whole && is_new && entry.record.is_complete()) else { return };
                if self.tally.add(*object, &receiver.who, *span, length) {
                    let change = self.shelf.update(*object, |entry| {
                        entry.record.download_count += 1;
                        Change::Put(Box::new(entry.record.clone()))
                    });
                    changes.extend(change);
                }
            }
        }
    }

    /// A complete `download_once` file that somebody has is gone from this instant (§3 rule 4).
    fn consume_if_used_up(&mut self, id: ObjectId, changes: &mut Vec<Change>) {
        let Some(entry) = self.shelf.get(id) else { return };
        let record = &entry.record;
        if record.keep.policy == Policy::DownloadOnce && record.is_complete() && record.once.is_used_up(record.length) {
            tracing::info!(object = %id, "a download_once file was received and is gone");
            self.shelf.remove(id);
            self.orders.remove(id, None);
            changes.push(Change::Delete(id));
        }
    }

    /// The data plane has nothing of it any more; `true` when it was an upload nobody finished.
    fn drop_incomplete(&mut self, id: ObjectId, changes: &mut Vec<Change>) -> bool {
        let Some(entry) = self.shelf.get(id) else { return false };
        let incomplete = !entry.record.is_complete();
        if !incomplete {
            tracing::error!(object = %id, "the bytes of a complete file were removed; its record goes too");
        }
        self.shelf.remove(id);
        changes.push(Change::Delete(id));
        incomplete
    }

    /// The copy of a final upload ended: what it stored is counted where everything stored is.
    fn settle_copy(&mut self, id: ObjectId) {
        if let Some(ticket) = self.copies.remove(&id) {
            self.ledger.settle(ticket);
        }
    }

    fn removed(&mut self, id: ObjectId) {
        self.settle_copy(id);
        self.shelf.gone(id);
        self.orders.confirm(id);
        self.kept.remove(&id);
    }
}
