//! What the data plane reports. Reported at least once and in order per object; everything here may be applied twice.
//!
//! Every decision waits for the facts before it, so facts must not wait for a disk without need: what the next inventory
//! tells again (a completion, a length) or what only counts is written down in the background; what would be lost for
//! ever (who received a `download_once` file, what is gone) is on disk before the data plane may forget it.

use etransfer_contract::ObjectId;
use etransfer_contract::fact::{Fact, FactBatch, Presence};

use super::{Node, State};
use crate::catalogue::{Change, WriteError};
use crate::core::Policy;
use crate::core::SurfaceId;
use crate::retention::once::{Delivery, End};
use crate::retention::receiver::Receiver;

/// What facts lead to.
#[derive(Debug, Default)]
pub struct Effects {
    pub(super) changes: Vec<Change>,
    binding: bool,
}

impl Effects {
    /// On disk before the data plane forgets the fact.
    pub fn bind(&mut self, change: Change) {
        self.changes.push(change);
        self.binding = true;
    }

    /// On disk soon.
    pub(super) fn note(&mut self, change: Change) {
        self.changes.push(change);
    }
}

impl Node {
    /// Applies a batch; returns when what must not be forgotten is written down.
    pub async fn apply(&self, batch: FactBatch) -> Result<(), WriteError> {
        let tombstone_until = self.clock.now_ms().saturating_add(self.config().uploads.tombstone.as_millis() as u64);
        let (commit, must_wait) = {
            let mut effects = Effects::default();
            let mut state = self.lock();
            state.meet(batch.run).into_iter().for_each(|change| effects.note(change));
            let ordered = state.orders.last();
            let is_for_others = batch.asked_by != 0 && batch.asked_by != self.run;
            for fact in batch.facts {
                if is_for_others && matches!(fact, Fact::Inventory { .. }) {
                    continue;
                }
                state.apply(fact, tombstone_until, &mut effects);
            }
            if !effects.changes.is_empty() || state.orders.last() != ordered {
                self.tell_news();
            }
            (self.keep(&state, effects.changes), effects.binding || state.is_behind)
        };
        if !must_wait {
            return Ok(());
        }
        let outcome = commit.wait().await;
        self.lock().is_behind = outcome.is_err();
        outcome
    }
}

impl State {
    fn apply(&mut self, fact: Fact, tombstone_until: u64, effects: &mut Effects) {
        match fact {
            Fact::Progress(presence) | Fact::Completed(presence) => {
                self.inventory.note(presence.object);
                if self.index.contains(presence.object) {
                    self.progress(presence, effects);
                } else {
                    self.orphan(presence);
                }
            }
            Fact::Discarded { object } => {
                // A creation that never was: no tombstone.
                self.drop_record(object, effects);
                self.pending_objects.forget(object);
                self.removed(object, effects);
            }
            Fact::Removed { object } => {
                if self.drop_record(object, effects) {
                    self.bury(object, tombstone_until);
                }
                self.removed(object, effects);
            }
            Fact::Open { ticket, object, bytes } => {
                let entry = self.index.get(object);
                if entry.is_none() {
                    self.pending_objects.open(ticket, object, None);
                }
                let expected = || self.pending_objects.owner(object).cloned();
                let owner = entry.map_or_else(expected, |entry| entry.record.owner);
                self.ledger.promise(ticket, bytes, owner);
            }
            Fact::Settled { ticket, .. } => self.settle(ticket).into_iter().for_each(|change| effects.note(change)),
            Fact::Served { .. } => self.served(&fact, effects),
            Fact::Stored { bytes } => self.inventory.hear_stored(bytes, self.index.used(None)),
            Fact::Inventory { objects, last } => self.take_page(objects, last, effects),
        }
    }

    /// What is there of an object that has a record.
    pub(super) fn progress(&mut self, presence: Presence, effects: &mut Effects) {
        let id = presence.object;
        let told = self.index.update(id, |entry| {
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
            let change = changed.then(|| Change::Put(Box::new(entry.record.clone())));
            (change, entry.record.keep.policy)
        });
        let Some((change, policy)) = told else { return };
        change.into_iter().for_each(|change| effects.note(change));
        if policy == Policy::DownloadOnce {
            self.consume_if_used_up(id, effects);
        }
    }

    /// A delivery ended.
    fn served(&mut self, fact: &Fact, effects: &mut Effects) {
        let Fact::Served { number, object, ticket, receiver, span, whole, reach, times } = fact else { return };
        let is_new = self.tally.is_new(self.data_run, *number);
        let Some(entry) = self.index.get(*object) else { return };
        let Ok(receiver) = receiver.parse::<Receiver>() else { return };
        let length = entry.record.length;
        match entry.record.keep.policy {
            Policy::DownloadOnce => {
                let delivery = Delivery { ticket: *ticket, run: self.data_run, receiver: &receiver, span: *span };
                let change = self.index.update(*object, |entry| {
                    entry.record.once.ended(delivery, End { whole: *whole, reach: *reach }, length);
                    Change::Put(Box::new(entry.record.clone()))
                });
                change.into_iter().for_each(|change| effects.bind(change));
                self.consume_if_used_up(*object, effects);
            }
            Policy::Permanent | Policy::Ttl => {
                let Some(length) = length.filter(|_| *whole && is_new && entry.record.is_complete()) else { return };
                let full = self.tally.add(*object, &receiver.who, *span, length, *times);
                if full > 0 {
                    let change = self.index.update(*object, |entry| {
                        entry.record.download_count += full;
                        Change::Put(Box::new(entry.record.clone()))
                    });
                    change.into_iter().for_each(|change| effects.note(change));
                }
            }
        }
    }

    /// A complete `download_once` file that a client has is gone from this instant (easytransfer/CONTRACT.md §3 rule
    /// 4).
    fn consume_if_used_up(&mut self, id: ObjectId, effects: &mut Effects) {
        let Some(entry) = self.index.get(id) else { return };
        let record = &entry.record;
        if record.keep.policy == Policy::DownloadOnce && record.is_complete() && record.once.is_used_up(record.length) {
            tracing::info!(object = %id, "a download_once file was received and is gone");
            self.index.remove(id);
            self.orders.remove(id, None);
            effects.bind(Change::Delete(id));
            self.decide_removal(id).into_iter().for_each(|change| effects.bind(change));
        }
    }

    /// The data plane has nothing of it any more; `true` when it was an upload that was not finished.
    fn drop_record(&mut self, id: ObjectId, effects: &mut Effects) -> bool {
        let Some(entry) = self.index.get(id) else { return false };
        let incomplete = !entry.record.is_complete();
        if incomplete && entry.record.surface != SurfaceId::EasyTransfer {
            // Its dialect goes on with it, or ends it.
            return false;
        }
        if !incomplete {
            tracing::error!(object = %id, "the bytes of a complete file were removed; its record goes too");
        }
        self.index.remove(id);
        effects.bind(Change::Delete(id));
        incomplete
    }

    fn removed(&mut self, id: ObjectId, effects: &mut Effects) {
        self.end_removal(id).into_iter().for_each(|change| effects.note(change));
        self.index.gone(id);
        self.orders.confirm(id);
        self.kept.remove(&id);
        self.leaving.remove(&id);
    }
}
