//! What the control plane knows, and what may be done to it: the one shared state behind every route.
//!
//! * [`access`] looking, creating, deleting; time limits are enforced here, at each access
//! * [`edit`] what a dialect changes at once, [`key_locks`] while no other caller does, [`pending_objects`] bytes
//!   before their record
//! * [`facts`] what the data plane reports, applied idempotently
//! * [`inventory`] making up with the data plane after a restart of either
//! * [`removals`] which bytes go, as decided; [`sweep`] what expires without being asked for
//! * [`ledger`], [`command_queue`] promises of space, and orders · [`epochs`] what ends them
//!
//! Must stay true: one lock guards it all, held for memory work only and never across an await; a change is told to
//! no caller before its [`Commit`] is there; a fact about something unknown creates nothing (T-TER-5).

mod access;
pub mod command_queue;
pub mod edit;
pub mod epochs;
mod facts;
mod inventory;
pub mod key_locks;
pub mod ledger;
mod pending_objects;
pub mod removals;
mod sweep;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use etransfer_contract::fact::Presence;
use etransfer_contract::grant::Ticket;
use etransfer_contract::link::VERSION;
use etransfer_contract::order::{NodeFacts, Orders, OrdersQuery};
use etransfer_contract::{ObjectId, SpanSet};
use tokio::sync::watch;

pub use access::{Look, Page, Room, Want, Whose};
pub use edit::Edit;
pub use ledger::Account;

use crate::bounds::INVENTORY_FIRST_MAX;
use crate::catalogue::health::BackendHealth;
use crate::catalogue::{Backend, CatalogueIndex, Change, Commit, Docs, Snapshot};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::live::Live;
use crate::retention::tally::Tally;
use command_queue::CommandQueue;
use epochs::Epochs;
use inventory::Inventory;
use key_locks::KeyLocks;
use ledger::Ledger;
use pending_objects::PendingObjects;

/// The state of the node.
pub struct Node {
    settings: Live,
    /// The clock.
    pub clock: Clock,
    /// What is held while a record or document is read and changed.
    pub locks: KeyLocks,
    backend: Box<dyn Backend>,
    state: Mutex<State>,
    tickets: AtomicU64,
    run: u64,
    epochs: Epochs,
    news: watch::Sender<u64>,
    plane: Mutex<NodeFacts>,
}

/// What the lock guards.
struct State {
    index: CatalogueIndex,
    ledger: Ledger,
    orders: CommandQueue,
    tally: Tally,
    inventory: Inventory,
    pending_objects: PendingObjects,
    docs: Docs,
    /// Objects whose records an edit deleted that is not on disk yet.
    leaving: HashSet<ObjectId>,
    /// Objects without a record that are never removed: found by a catalogue that was new.
    kept: HashSet<ObjectId>,
    /// Objects whose bytes go, as decided and written down.
    removals: HashSet<ObjectId>,
    /// The catalogue keeps nothing: what it does not know after a restart may have been its own.
    is_forgetful: bool,
    /// The first sweep after the inventory; Unix milliseconds.
    known_since_ms: Option<u64>,
    /// Expired uploads that still answer 410, with the time that ends.
    tombstones: HashMap<ObjectId, u64>,
    tombstone_order: VecDeque<ObjectId>,
    /// What expired since the last sweep and was written down then.
    expired: usize,
    /// The data plane's run.
    data_run: u64,
    /// Facts were refused because what they changed could not be written down; told again, they change nothing.
    is_behind: bool,
}

impl Node {
    /// A node that continues from `snapshot`.
    pub fn new(config: Arc<Config>, mut snapshot: Snapshot) -> Self {
        let removals = removals::take_out(&mut snapshot.docs);
        let index = CatalogueIndex::restore(config.uploads.expiration, snapshot.records);
        let clock = Clock::default();
        let run = random().max(1);
        let state = State {
            index,
            ledger: Ledger::default(),
            orders: CommandQueue::default(),
            tally: Tally::default(),
            inventory: Inventory::new(snapshot.is_new_file),
            pending_objects: PendingObjects::default(),
            docs: snapshot.docs,
            leaving: HashSet::new(),
            kept: snapshot.kept,
            removals,
            is_forgetful: snapshot.is_forgetful,
            known_since_ms: None,
            tombstones: HashMap::new(),
            tombstone_order: VecDeque::new(),
            expired: 0,
            data_run: 0,
            is_behind: false,
        };
        Self {
            backend: snapshot.backend,
            state: Mutex::new(state),
            // Tickets of an earlier run must not be taken for this run's.
            tickets: AtomicU64::new(random() >> 1),
            run,
            epochs: Epochs::new(clock.now_ms()),
            clock,
            locks: KeyLocks::default(),
            settings: Live::new(config),
            news: watch::Sender::new(0),
            plane: Mutex::default(),
        }
    }

    /// The settings of this moment.
    pub fn config(&self) -> Arc<Config> {
        self.settings.now()
    }

    /// From now on these settings; grants given under the old ones end.
    pub fn reconfigure(&self, config: Config) {
        self.settings.replace(Arc::new(config));
        self.revoke();
    }

    /// Ends every grant given so far: the data plane asks again. It hears of it at once (its poll is open).
    pub fn revoke(&self) {
        self.epochs.rise();
        self.tell_news();
    }

    /// A ticket for a new grant.
    pub fn ticket(&self) -> Ticket {
        self.tickets.fetch_add(1, Ordering::Relaxed)
    }

    /// The epoch of grants made now.
    pub fn epoch(&self) -> u64 {
        self.epochs.now()
    }

    /// From now on epochs are above `heard`.
    pub fn continue_above(&self, heard: u64) {
        self.epochs.continue_above(heard);
    }

    /// What the data plane last said about itself.
    pub fn plane(&self) -> NodeFacts {
        self.plane.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the catalogue's writer fares.
    pub fn catalogue(&self) -> BackendHealth {
        self.backend.health()
    }

    /// What decisions need of the data plane's inventory was told; pages about the rest may still come.
    pub fn knows_inventory(&self) -> bool {
        self.lock().inventory.is_enough()
    }

    /// Follows whether there is something to order.
    pub fn follow_news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The answer to a poll; `None`: nothing new.
    pub fn orders(&self, query: &OrdersQuery) -> Option<Orders> {
        debug_assert_eq!(query.version, VERSION, "checked by the route");
        self.plane.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&query.node);
        let mut state = self.lock();
        let decided = state.meet(query.run);
        drop(self.keep(&state, decided));
        let is_stranger = query.control_run != self.run;
        let after = if is_stranger { 0 } else { query.after };
        let orders = if query.busy { Vec::new() } else { state.orders.after(after) };
        let unheard = state.ledger.unheard(Instant::now());
        if is_stranger {
            let objects = state.index.count();
            state.inventory.ask(objects);
        }
        // One that came from another run, or that this run's own file had lost.
        if query.epoch > self.epoch() || (is_stranger && query.epoch == self.epoch()) {
            self.continue_above(query.epoch);
        }
        let epoch = self.epoch();
        let first = if is_stranger { state.index.open_ids().take(INVENTORY_FIRST_MAX).collect() } else { Vec::new() };
        let is_news = is_stranger || query.epoch != epoch || !orders.is_empty() || !unheard.is_empty();
        is_news.then_some(Orders { control_run: self.run, epoch, inventory: is_stranger, first, orders, unheard })
    }

    /// The answer to a poll that waited for nothing.
    pub fn no_orders(&self) -> Orders {
        Orders {
            control_run: self.run,
            epoch: self.epoch(),
            inventory: false,
            first: Vec::new(),
            orders: Vec::new(),
            unheard: Vec::new(),
        }
    }

    /// Draws the name of a new object.
    pub fn new_id(&self) -> ObjectId {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the kernel's random source does not fail once the machine is up");
        ObjectId::from_bytes(bytes)
    }

    /// Starts to write changes down. The guard is the proof that they reach the writer in the order in which they were
    /// made: a record put after its deletion would come back from the dead.
    fn keep(&self, in_order: &MutexGuard<'_, State>, changes: Vec<Change>) -> Commit {
        // Behind, nothing to write is something to wait for: what came before it.
        if changes.is_empty() && !in_order.is_behind { Commit::Done } else { self.backend.write(changes) }
    }

    fn tell_news(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A data plane that restarted holds none of the old promises. What was to get a record under one of its grants does
    /// not get it any more: that is decided here.
    fn meet(&mut self, data_run: u64) -> Vec<Change> {
        if self.data_run == data_run {
            return Vec::new();
        }
        // The first one may have been asked for a grant before it told anything.
        if std::mem::replace(&mut self.data_run, data_run) != 0 {
            self.ledger.forget_all();
            let awaited = self.pending_objects.forget_all().into_iter();
            let over: Vec<ObjectId> = awaited.filter(|object| !self.index.contains(*object)).collect();
            return over.into_iter().filter_map(|object| self.decide_removal(object)).collect();
        }
        Vec::new()
    }

    /// A grant ended. Bytes that were to get a record under it, and did not, go: that is decided here.
    fn settle(&mut self, ticket: Ticket) -> Option<Change> {
        self.ledger.settle(ticket);
        let object = self.pending_objects.settle(ticket)?;
        let is_left_over = self.index.is_orphan(object) && !self.leaving.contains(&object);
        let decision = is_left_over.then(|| self.decide_removal(object)).flatten();
        self.judge(object);
        decision
    }

    /// Bytes without a record.
    fn orphan(&mut self, presence: Presence) {
        let object = presence.object;
        self.index.record_orphan(presence, self.pending_objects.owner(object));
        self.judge(object);
    }

    /// Orders bytes away that have no record and were decided to go, unless the record may come back.
    fn judge(&mut self, object: ObjectId) {
        let is_spared =
            self.kept.contains(&object) || self.pending_objects.awaits(object) || self.leaving.contains(&object);
        if self.removals.contains(&object) && !is_spared && self.index.is_orphan(object) {
            self.orders.remove(object, None);
        }
    }

    fn judge_all(&mut self) {
        let orphans: Vec<ObjectId> = self.index.orphans().map(|(id, _)| id).collect();
        orphans.into_iter().for_each(|id| self.judge(id));
    }

    fn bury(&mut self, object: ObjectId, until_ms: u64) {
        const TOMBSTONES_MAX: usize = 100_000;
        if self.tombstones.insert(object, until_ms).is_none() {
            self.tombstone_order.push_back(object);
        }
        if self.tombstone_order.len() > TOMBSTONES_MAX {
            self.tombstone_order.pop_front().map(|old| self.tombstones.remove(&old));
        }
    }
}

/// Random bits from the operating system.
fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the kernel's random source does not fail once the machine is up");
    u64::from_le_bytes(bytes)
}

/// Received spans of an entry; the whole when complete.
pub fn spans_of(entry: &crate::catalogue::Entry) -> SpanSet {
    if entry.record.is_complete() {
        entry.record.length.and_then(|length| etransfer_contract::Span::new(0, length)).into_iter().collect()
    } else {
        entry.presence.as_ref().map(|presence| presence.spans.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
