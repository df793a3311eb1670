//! What one core owns: its driver, its link to the control plane, its cached grants. Plain data of one thread. What cores
//! share is [`Shared`], touched per request and never per buffer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::UNIX_EPOCH;

use event_listener::Event;

use crate::config::Config;
use crate::counters::Counters;
use crate::driver::{FileHandle, Io};
use crate::journal_writer::JournalWriter;
use crate::limits::holders::Holders;
use crate::limits::sources::Sources;
use crate::limits::stalled::Stalled;
use crate::limits::undecided::UndecidedMemory;
use crate::limits::uptake::Uptake;
use crate::link::open_transfers::Transfers;
use crate::link::{Budgets, ControlLink, Facts, GrantCache, Granted};
use crate::rates::Rates;
use crate::store::{Journal, Store};

/// What all cores share. Every field is either immutable, a counter, or has its own short lock inside.
pub struct Shared {
    /// The configuration, unchanged since the start.
    pub config: Config,
    /// Bytes at rest.
    pub store: Arc<Store>,
    /// Facts on their way to the control plane.
    pub facts: Facts,
    /// Reserved space that requests are using.
    pub budgets: Budgets,
    /// Speed limits, by key.
    pub rates: Rates,
    /// Large bodies under way.
    pub transfers: Transfers,
    /// Open client connections, by source address.
    pub sources: Arc<Sources>,
    /// Requests under way, by holder.
    pub holders: Arc<Holders>,
    /// Clients that take their answers too slowly.
    pub stalled: Arc<Stalled>,
    /// Memory of requests without a decision.
    pub undecided: Arc<UndecidedMemory>,
    /// Grants with a smaller epoch are void. Written by the orders task only.
    pub epoch: AtomicU64,
    /// The control plane answered the last poll and has the inventory. Written by the orders task only.
    pub control_ready: AtomicBool,
    /// Fires when `control_ready` turns true.
    pub control_event: Event,
    /// No new work; running bodies end with their prefix kept.
    pub stopping: AtomicBool,
    /// Fires once, when `stopping` turns true.
    pub stop_event: Event,
    /// Cores that drained.
    pub cores_done: AtomicUsize,
    /// Open client connections over all cores.
    pub connections: AtomicUsize,
    /// This run of the data plane.
    pub run: u64,
    /// How many cores are at work.
    pub cores: usize,
    /// Where every core listens, ports resolved.
    pub addresses: Vec<std::net::SocketAddr>,
    /// The same for the listeners with a port of their own, in the order of the configuration.
    pub separate: Vec<std::net::SocketAddr>,
}

/// One core at work.
pub struct Core {
    /// The driver, as tasks see it.
    pub io: Io,
    /// What all cores share.
    pub shared: Arc<Shared>,
    /// The link to the control plane.
    pub control: ControlLink,
    /// Grants that may be used again.
    pub grants: RefCell<GrantCache<Granted>>,
    /// The `objects/` directory.
    pub objects: FileHandle,
    /// What this core writes its records with.
    pub writer: Rc<JournalWriter>,
    /// What this core counts.
    pub counters: Rc<Counters>,
    /// Requests being answered on this core.
    pub active: Cell<usize>,
}

impl Core {
    /// This core's journal.
    pub fn journal(&self) -> &Journal {
        self.shared.store.journal(self.io.core())
    }

    /// Counts one request as active until the guard drops.
    pub fn enter(self: &Rc<Self>) -> Active {
        self.active.set(self.active.get() + 1);
        Active(Rc::clone(self))
    }

    /// Judges how a client takes an answer that begins now.
    pub fn uptake(&self) -> Uptake<'_> {
        Uptake::new(&self.io, &self.shared.config.limits, &self.shared.stalled)
    }

    /// No new work is taken.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// One request at work; the drain waits for these.
pub struct Active(Rc<Core>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
    }
}

/// An IMF-fixdate (RFC 9110 §5.6.7) of a time in Unix milliseconds.
pub fn http_date(unix_ms: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + std::time::Duration::from_millis(unix_ms))
}
