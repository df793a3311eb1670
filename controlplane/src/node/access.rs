//! Looking at one object, creating and deleting: where every time limit is enforced (easytransfer/CONTRACT.md §3 rule
//! 6).

use std::collections::HashMap;

use etransfer_contract::ObjectId;
use etransfer_contract::fact::{Claim, Verdict};
use etransfer_contract::grant::Ticket;
use serde::{Deserialize, Serialize};

use super::ledger::Account;
use super::{Node, State};
use crate::catalogue::{
    Change, Crowded, Entry, Limits, Owner, Principal, Record, Scope, Shown, Stamp, Totals, WriteError,
};
use crate::core::{SurfaceId, UserId};
use crate::retention::once::Delivery;
use crate::retention::receiver::Receiver;

/// What an id stands for at this moment.
#[derive(Debug, Clone)]
pub enum Look {
    /// An upload or file.
    There(Box<Entry>),
    /// An incomplete upload that expired not long ago (410).
    Expired,
    /// Nothing (404).
    Unknown,
}

/// Whether there is room below the node's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// No limit is set.
    Unlimited,
    /// This much was promised to the ticket.
    Promised(u64),
    /// Not enough: 507.
    Full {
        /// Whose limit it is.
        whose: Whose,
        /// Stored and promised bytes.
        used: u64,
        /// The limit.
        max: u64,
    },
    /// What is stored is not known yet (the data plane has not told): counts as full, for a moment.
    Unknown,
}

/// Whose limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The node's.
    Node,
    /// That of whom the upload belongs to.
    Person,
}

/// Which part of the list.
#[derive(Debug, Clone)]
pub struct Want {
    /// Whose, and of which surface.
    pub scope: Scope,
    /// Complete ones.
    pub complete: bool,
    /// Incomplete ones.
    pub incomplete: bool,
    /// Entries before the page.
    pub skip: usize,
    /// Entries on the page.
    pub take: usize,
}

/// One page of the list.
#[derive(Debug)]
pub struct Page {
    /// Entries of the page.
    pub entries: Vec<Entry>,
    /// Entries on all pages.
    pub total: usize,
}

impl Node {
    /// What `id` stands for in a surface now. What has expired is sent away on the spot.
    pub fn look(&self, surface: SurfaceId, id: ObjectId) -> Look {
        let now = self.clock.now_ms();
        let mut state = self.lock();
        let Some(entry) = state.index.get(id).filter(|entry| entry.record.surface == surface) else {
            let buried =
                surface == SurfaceId::EasyTransfer && state.tombstones.get(&id).is_some_and(|until| *until > now);
            return if buried { Look::Expired } else { Look::Unknown };
        };
        if !state.is_over(&entry, now) {
            return Look::There(Box::new(entry));
        }
        let complete = entry.record.is_complete();
        // PROMISES.md P11: a clock that was stepped may refuse, but it deletes nothing.
        if self.clock.agrees() {
            let changes = state.expire(id);
            self.tell_news();
            // No client is told of the removal: whether the write succeeds changes no answer.
            drop(self.keep(&state, changes));
        }
        if complete { Look::Unknown } else { Look::Expired }
    }

    /// Whether one more record of `principal` is within its limits; `opens`: it is not complete at once. Checked before its
    /// bytes come: requests that are under way at the same time may each be let in.
    pub fn admit(&self, principal: Option<&Principal>, opens: bool) -> Result<(), Crowded> {
        let Some(principal) = principal else { return Ok(()) };
        let config = self.config();
        let (records, open) = (config.uploads.records_per_principal, config.uploads.open_per_principal);
        let counts = self.lock().index.counts(principal);
        Limits { records, open }.admit(counts, opens)
    }

    /// Adds a record, and waits until it would survive a kill.
    pub async fn create(&self, record: Record) -> Result<(), WriteError> {
        let id = record.id;
        let commit = {
            let mut state = self.lock();
            state.index.insert(record.clone());
            self.keep(&state, vec![Change::Put(Box::new(record))])
        };
        let outcome = commit.wait().await;
        if outcome.is_err() {
            let mut state = self.lock();
            state.index.remove(id);
            drop(self.keep(&state, vec![Change::Delete(id)]));
        }
        outcome
    }

    /// Takes a record away for good. `None`: another caller did, or there was none.
    pub async fn delete(&self, id: ObjectId) -> Result<Option<Record>, WriteError> {
        let (record, commit) = {
            let mut state = self.lock();
            let Some(record) = state.index.remove(id) else { return Ok(None) };
            let changes = [Change::Delete(id)].into_iter().chain(state.decide_removal(id)).collect();
            (record, self.keep(&state, changes))
        };
        commit.wait().await?;
        Ok(Some(record))
    }

    /// Orders the bytes of an object away, for a caller that cannot wait for a grant to do it.
    pub fn order_removal(&self, id: ObjectId) {
        let mut state = self.lock();
        state.orders.remove(id, None);
        let decision = state.decide_removal(id);
        drop(self.keep(&state, decision.into_iter().collect()));
        drop(state);
        self.tell_news();
    }

    /// Promises `bytes` to a grant, or as much of `at_most` as there is room for when the body tells no length. The limits
    /// of the node and of the `account` both hold.
    pub fn reserve(&self, ticket: Ticket, bytes: Option<u64>, at_most: u64, account: Option<Account>) -> Room {
        let node = self.config().storage.max_storage_size.map(|size| (Whose::Node, None, size.0));
        let owner = account.as_ref().map(|account| &account.owner);
        let person = account.as_ref().and_then(|account| Some((Whose::Person, owner, account.max?)));
        let limits: Vec<_> = node.into_iter().chain(person).collect();
        if limits.is_empty() {
            return Room::Unlimited;
        }
        let mut state = self.lock();
        let Some(unlisted) = state.inventory.unlisted() else { return Room::Unknown };
        let mut promised = bytes.unwrap_or(at_most);
        for (whose, owner, max) in limits {
            let unlisted = if owner.is_none() { unlisted } else { 0 };
            let used = state.index.used(owner) + state.ledger.promised(owner) + unlisted;
            let room = max.saturating_sub(used);
            let is_enough = if bytes.is_some() { promised <= room } else { room > 0 || at_most == 0 };
            if !is_enough {
                return Room::Full { whose, used, max };
            }
            promised = promised.min(room);
        }
        state.ledger.promise(ticket, promised, owner.cloned());
        Room::Promised(promised)
    }

    /// Whether `bytes` more fit an owner's limit at this moment; promises nothing (`quota.user_check: create`).
    pub fn would_fit(&self, bytes: u64, account: &Account) -> Room {
        let Some(max) = account.max else { return Room::Unlimited };
        let state = self.lock();
        let used = state.index.used(Some(&account.owner)) + state.ledger.promised(Some(&account.owner));
        if used.saturating_add(bytes) > max { Room::Full { whose: Whose::Person, used, max } } else { Room::Unlimited }
    }

    /// What is stored is above a limit of the node or of the `account`: it was lowered under a transfer. Promises do not
    /// count here, for what they brought so far is stored too.
    pub fn is_over_limit(&self, account: Option<&Account>) -> bool {
        let node = self.config().storage.max_storage_size.map(|size| (None, size.0));
        let person = account.and_then(|account| Some((Some(&account.owner), account.max?)));
        let state = self.lock();
        state.inventory.is_known() && node.into_iter().chain(person).any(|(owner, max)| state.index.used(owner) > max)
    }

    /// Takes back a promise whose grant was never given.
    pub fn unreserve(&self, ticket: Ticket) {
        let mut state = self.lock();
        let decision = state.settle(ticket);
        drop(self.keep(&state, decision.into_iter().collect()));
    }

    /// Bytes stored, as told to people: what is on its way out by an order does not count any more, though the ledger
    /// counts it until the data plane says that it is gone.
    pub fn used(&self) -> u64 {
        let state = self.lock();
        let leaving = state.index.orphans().filter(|(id, _)| state.orders.is_ordered(*id));
        state.index.used(None) - leaving.map(|(_, bytes)| bytes).sum::<u64>()
    }

    /// Bytes that grants may still store.
    pub fn promised(&self) -> u64 {
        self.lock().ledger.promised(None)
    }

    /// Bytes that belong to an owner, on every surface, as told to people: of everything that still has a record.
    pub fn used_by(&self, owner: &Owner) -> u64 {
        self.lock().used_by(owner)
    }

    /// Bytes by person; people without any are not in it.
    pub fn used_by_all(&self) -> HashMap<UserId, u64> {
        let state = self.lock();
        state.index.owners().filter_map(|owner| Some((owner.person()?, state.used_by(owner)))).collect()
    }

    /// Bytes without an owner.
    pub fn used_without_owner(&self) -> u64 {
        let state = self.lock();
        let all = state.index.totals(&Scope::EVERYTHING).bytes();
        all - state.index.owners().map(|owner| state.used_by(owner)).sum::<u64>()
    }

    /// Sums over what is listed, expired entries do not count.
    pub fn totals(&self, scope: &Scope) -> Totals {
        let now = self.clock.now_ms();
        let state = self.lock();
        let mut totals = state.index.totals(scope);
        for entry in state.over(scope, now) {
            let (count, bytes) = if entry.record.is_complete() {
                (&mut totals.files, &mut totals.file_bytes)
            } else {
                (&mut totals.uploads, &mut totals.upload_bytes)
            };
            *count -= 1;
            *bytes -= entry.received();
        }
        totals
    }

    /// Listed entries that `want` lets through, as of one instant.
    pub fn list(&self, want: &Want) -> Page {
        let now = self.clock.now_ms();
        let Want { scope, complete, incomplete, skip, take } = want;
        let shown = Shown { complete: *complete, incomplete: *incomplete };
        let state = self.lock();
        let over = state.over(scope, now).filter(|entry| shown.lets(entry.record.is_complete()));
        let mut over: Vec<Stamp> = over.map(|entry| entry.stamp()).collect();
        over.sort_unstable();
        let totals = state.index.totals(scope);
        let count = |is_complete: bool, count: usize| if shown.lets(is_complete) { count } else { 0 };
        let total = count(true, totals.files) + count(false, totals.uploads) - over.len();
        Page { entries: state.index.page(scope, shown, &over, *skip).take(*take).collect(), total }
    }

    /// The final that an earlier request with the same idempotency key made.
    pub fn by_key(&self, key: &str) -> Option<Entry> {
        self.lock().index.by_key(key)
    }

    /// May these bytes of a delivery be sent? The yes is on disk when this returns.
    pub async fn claim(&self, claim: &Claim) -> Result<Verdict, WriteError> {
        const NO: Verdict = Verdict { go: false, bound: false };
        let Ok(receiver) = claim.receiver.parse::<Receiver>() else { return Ok(NO) };
        let now = self.clock.now_ms();
        let (verdict, commit) = {
            let mut state = self.lock();
            let run = state.data_run;
            let whole = Delivery { ticket: claim.ticket, run, receiver: &receiver, span: claim.span };
            let over = state.index.get(claim.object).is_none_or(|entry| state.is_over(&entry, now));
            if over {
                return Ok(NO);
            }
            let claimed = state.index.update(claim.object, |entry| {
                let Record { once, length, .. } = &mut entry.record;
                let bound = once.is_bound_to_another(whole, *length);
                let go = !bound && once.claim(Delivery { span: claim.let_go(), ..whole }, *length);
                (Verdict { go, bound }, Change::Put(Box::new(entry.record.clone())))
            });
            let (verdict, change) = claimed.unzip();
            let verdict = verdict.unwrap_or(NO);
            (verdict, self.keep(&state, change.filter(|_| verdict.go).into_iter().collect()))
        };
        commit.wait().await.map(|()| verdict)
    }
}

impl State {
    fn used_by(&self, owner: &Owner) -> u64 {
        self.index.totals(&Scope { surface: None, owner: Some(owner.clone()) }).bytes()
    }

    /// Listed entries of a scope whose time has passed, and which are still there.
    fn over<'s>(&'s self, scope: &'s Scope, now_ms: u64) -> impl Iterator<Item = Entry> + 's {
        let is_over =
            move |entry: &Entry| scope.holds(&entry.record) && entry.record.is_listed() && self.is_over(entry, now_ms);
        self.index.due(now_ms).filter(is_over)
    }

    /// Its time has passed. An incomplete upload is judged only when the data plane has told what it received last.
    pub(super) fn is_over(&self, entry: &Entry, now_ms: u64) -> bool {
        let due = self.index.due_ms(entry).is_some_and(|due| due <= now_ms);
        due && (entry.record.is_complete() || self.inventory.is_known())
    }

    /// Sends an expired entry away. A complete one is gone at once; an incomplete one goes when the data plane confirms
    /// that no writer is at it (T-EXP-4).
    pub(super) fn expire(&mut self, id: ObjectId) -> Vec<Change> {
        let Some(entry) = self.index.get(id) else { return Vec::new() };
        if entry.record.is_complete() {
            self.index.remove(id);
            self.orders.remove(id, None);
            return [Change::Delete(id)].into_iter().chain(self.decide_removal(id)).collect();
        }
        let since = entry.updated_ms();
        self.orders.remove(id, Some(since));
        Vec::new()
    }
}
