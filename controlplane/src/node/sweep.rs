//! What expires without being asked for: `ttl` files past their time, uploads that were not continued, bytes without a
//! record.

use etransfer_contract::ObjectId;

use super::Node;
use crate::catalogue::{Change, Commit};

impl Node {
    /// Writes down what has expired, so that it stays expired whatever the clock says after a restart; the next
    /// sweep counts it.
    pub fn record_expiry(&self) -> Commit {
        if !self.clock.agrees() {
            return Commit::Done;
        }
        let now = self.clock.now_ms();
        let mut state = self.lock();
        let over: Vec<ObjectId> = state
            .index
            .due(now)
            .filter(|entry| state.is_over(entry, now) && !state.orders.is_ordered(entry.record.id))
            .map(|entry| entry.record.id)
            .collect();
        if over.is_empty() {
            return Commit::Done;
        }
        state.expired += over.len();
        let changes: Vec<Change> = over.into_iter().flat_map(|id| state.expire(id)).collect();
        self.tell_news();
        self.keep(&state, changes)
    }

    /// One sweep; tells how many entries it sent away. Deletes nothing right after a step of the clock (PROMISES.md
    /// P11).
    pub fn sweep(&self) -> (usize, Commit) {
        if !self.clock.is_steady() {
            return (0, Commit::Done);
        }
        let now = self.clock.now_ms();
        let mut state = self.lock();
        let over: Vec<ObjectId> =
            state.index.due(now).filter(|entry| state.is_over(entry, now)).map(|entry| entry.record.id).collect();
        let expired = std::mem::take(&mut state.expired);
        let cleaned = expired + over.iter().filter(|id| !state.orders.is_ordered(**id)).count();
        let changes: Vec<Change> = over.into_iter().flat_map(|id| state.expire(id)).collect();
        let mut changes = changes;
        changes.extend(state.give_up_forgotten(now, self.config().storage.quarantine));
        changes.extend(state.give_up_unfinished(now, self.config().uploads.expiration));
        state.judge_all();
        state.tombstones.retain(|_, until| *until > now);
        let tombstones = std::mem::take(&mut state.tombstone_order);
        state.tombstone_order = tombstones.into_iter().filter(|id| state.tombstones.contains_key(id)).collect();
        self.tell_news();
        (cleaned, self.keep(&state, changes))
    }
}
