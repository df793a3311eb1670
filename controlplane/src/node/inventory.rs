//! Making up with the data plane after either side restarted.
//!
//! What decisions need is told first: every object that has an incomplete record, open grants, and how many bytes there are
//! in all ([`Fact::Stored`](etransfer_contract::Fact::Stored)); bytes without a record count as used from then on. Until the
//! last page of the first inventory came, no incomplete upload expires. Grants that are open and will lead to a record are told
//! before the last page. An object that no record names is no reason to remove it ([`removals`](super::removals)).

use std::collections::HashSet;

use etransfer_contract::ObjectId;
use etransfer_contract::fact::Presence;

use super::State;
use super::facts::Effects;
use crate::catalogue::Change;

/// Files without bytes that the log names one by one.
const NAMED_MAX: usize = 20;

/// How far the telling is.
#[derive(Debug)]
pub struct Inventory {
    known: bool,
    /// Requested, and the last page is not here.
    coming: bool,
    seen: HashSet<ObjectId>,
    /// Bytes that no page named yet and no record accounts for; `None`: not told.
    unlisted: Option<u64>,
    /// The durable catalogue is new, or older than it was: it may be the one that is wrong.
    distrust_catalogue: bool,
}

impl Inventory {
    /// Nothing was told yet.
    pub fn new(distrust_catalogue: bool) -> Self {
        Self { known: false, coming: false, seen: HashSet::new(), unlisted: None, distrust_catalogue }
    }

    /// Everything was told at least once.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// What decisions need was told since it was asked for.
    pub fn is_enough(&self) -> bool {
        (self.known && !self.coming) || self.unlisted.is_some()
    }

    /// Bytes that count as used beside those that are accounted for; `None`: not known yet.
    pub fn unlisted(&self) -> Option<u64> {
        if self.known { Some(0) } else { self.unlisted }
    }

    /// The data plane holds `bytes`, of which `accounted` are in the sums.
    pub fn hear_stored(&mut self, bytes: u64, accounted: u64) {
        self.unlisted = Some(bytes.saturating_sub(accounted));
    }

    /// It was asked for: pages follow, of about this many objects.
    pub fn ask(&mut self, objects: usize) {
        self.coming = true;
        self.unlisted = None;
        // At once: what it would outgrow page by page stays with the process.
        self.seen = HashSet::with_capacity(objects);
    }

    /// News of one object between the pages.
    pub fn note(&mut self, object: ObjectId) {
        if self.coming {
            self.seen.insert(object);
        }
    }
}

impl State {
    /// One page.
    pub(super) fn take_page(&mut self, objects: Vec<Presence>, last: bool, effects: &mut Effects) {
        let mut strangers = Vec::new();
        for presence in objects {
            let id = presence.object;
            let is_new = self.inventory.seen.insert(id);
            if is_new && !self.index.contains(id) && !self.index.is_orphan(id) {
                // It enters the sums below.
                self.inventory.unlisted = self.inventory.unlisted.map(|bytes| bytes.saturating_sub(presence.received));
            }
            if self.index.contains(id) {
                self.progress(presence, effects);
            } else if self.inventory.distrust_catalogue && !self.kept.contains(&id) {
                self.kept.insert(id);
                self.index.record_orphan(presence, None);
                strangers.push(id);
            } else {
                self.orphan(presence);
            }
        }
        if !strangers.is_empty() {
            tracing::error!(
                objects = strangers.len(),
                "the catalogue is new, or older than the storage: these objects are kept and not served. Stop the node \
                 and put the right catalogue back (state/catalogue.redb, or the data of Redis), or remove the storage \
                 directory to begin afresh"
            );
            effects.bind(Change::Keep(strangers));
        }
        if last {
            self.finish_inventory(effects);
            if std::mem::take(&mut self.inventory.distrust_catalogue) {
                effects.bind(Change::Trust);
            }
        }
    }

    /// Whatever no page named has no bytes.
    fn finish_inventory(&mut self, effects: &mut Effects) {
        let seen = std::mem::take(&mut self.inventory.seen);
        let unseen: Vec<ObjectId> = self.index.ids().filter(|id| !seen.contains(id)).collect();
        let mut missing = 0;
        for id in unseen {
            let lost = self.index.update(id, |entry| {
                entry.presence = None;
                entry.record.is_complete() && entry.record.length != Some(0)
            });
            if lost == Some(true) {
                missing += 1;
                if missing <= NAMED_MAX {
                    tracing::error!(object = %id, "a complete file has no bytes on disk; its record is kept");
                }
            }
        }
        if missing > NAMED_MAX {
            tracing::error!(files = missing, "complete files have no bytes on disk; their records are kept");
        }
        let gone: Vec<ObjectId> = self.index.orphans().map(|(id, _)| id).filter(|id| !seen.contains(id)).collect();
        for id in gone {
            self.index.gone(id);
            self.orders.confirm(id);
        }
        self.end_removals_of_unseen(&seen).into_iter().for_each(|change| effects.note(change));
        self.inventory.known = true;
        self.inventory.coming = false;
        self.inventory.unlisted = None;
        self.judge_all();
        self.tell_unclaimed();
    }
}
