//! A running data plane: the store opened, the listeners bound, one pinned thread per core, and its orderly end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use event_listener::Event;
use rustix::process::{Resource, getrlimit};

use crate::accept;
use crate::bounds::{DESCRIPTORS_OF_THE_NODE, DESCRIPTORS_PER_CONNECTION, SLOTS};
use crate::config::{Config, Durability};
use crate::core::Shared;
use crate::driver::{CoreOptions, Engine, EngineAgreement, Machine, allowed_cpus, run_core};
use crate::limits::stalled::Stalled;
use crate::limits::undecided::UndecidedMemory;
use crate::link::open_transfers::Transfers;
use crate::link::{Budgets, Facts};
use crate::listen;
use crate::rates::Rates;
use crate::recover::complete_what_is_whole;
use crate::start_error::StartError;
use crate::store::{Store, StoreOptions};

/// Size of one preallocated journal segment.
const JOURNAL_BYTES: u64 = 16 << 20;
/// Journals above this are compacted.
const COMPACT_ABOVE: u64 = 64 << 20;

/// A running data plane. Dropping it does not stop it; [`stop`](Self::stop) and [`join`](Self::join) do.
pub struct Node {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    engine: Engine,
}

/// A data plane with an open and checked store, before it listens.
pub struct Opened {
    config: Config,
    store: Arc<Store>,
    cpus: Vec<usize>,
    cores: usize,
}

/// Starts a data plane: when this returns, every address accepts connections.
pub fn start(config: Config) -> Result<Node, StartError> {
    open(config)?.start()
}

/// The part of a start that grows with the number of objects. It needs no control plane.
pub fn open(config: Config) -> Result<Opened, StartError> {
    open_on(Machine::default(), config)
}

/// As [`open`], on another machine than the one that this process runs on.
pub fn open_on(machine: Machine, mut config: Config) -> Result<Opened, StartError> {
    config.limits.connections_max = affordable(config.limits.connections_max);
    let cpus = allowed_cpus();
    let cores = config.cores.unwrap_or(cpus.len()).clamp(1, 256);
    let options = StoreOptions {
        machine,
        root: config.storage.clone(),
        cores,
        journal_bytes: JOURNAL_BYTES,
        compact_above: COMPACT_ABOVE,
        read_only_on_damage: config.serve_damaged,
        only_synced: config.durability == Durability::Every,
    };
    let (store, replayed) = Store::open(options)?;
    tracing::info!(?replayed, "store opened");
    complete_what_is_whole(&store, config.durability);
    Ok(Opened { config, store, cpus, cores })
}

impl Opened {
    /// When this returns, every address accepts connections.
    pub fn start(self) -> Result<Node, StartError> {
        let Self { config, store, cpus, cores } = self;
        let (addresses, mut listeners) = listen::bind_all(&config.addresses, &config.devices, cores)?;
        let mut separate = Vec::with_capacity(config.separate.len());
        for address in &config.separate {
            let (bound, more) = listen::bind_all(std::slice::from_ref(address), &config.devices, cores)?;
            separate.extend(bound);
            listeners.iter_mut().zip(more).for_each(|(core, more)| core.extend(more));
        }
        let machine = store.machine();
        let (rates, run) = (Rates::new(machine.now()), machine.random().map_err(StartError::Random)?);
        let shared = Arc::new(Shared {
            store,
            facts: Facts::default(),
            budgets: Budgets::default(),
            rates,
            transfers: Transfers::default(),
            sources: Arc::default(),
            holders: Arc::default(),
            stalled: Stalled::new(config.limits.stalled_readers_max),
            undecided: UndecidedMemory::new(config.limits.undecided_bytes_max),
            epoch: AtomicU64::new(0),
            control_ready: AtomicBool::new(false),
            control_event: Event::new(),
            stopping: AtomicBool::new(false),
            stop_event: Event::new(),
            cores_done: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            run,
            cores,
            addresses,
            separate,
            config,
        });
        let mut node = Node { shared, threads: Vec::new(), engine: Engine::Readiness };
        if let Err((core, error)) = node.start_cores(&cpus, listeners) {
            node.stop();
            return Err(StartError::Engine { core, error });
        }
        tracing::info!(engine = %node.engine, cores, "data plane started");
        Ok(node)
    }
}

/// As many connections as there are descriptors for, a quarter of them at least: else one would be accepted and its file
/// could not be opened.
fn affordable(connections: usize) -> usize {
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return connections };
    let free = descriptors.saturating_sub(DESCRIPTORS_OF_THE_NODE) / DESCRIPTORS_PER_CONNECTION;
    let most = usize::try_from(free.max(descriptors / 4)).unwrap_or(usize::MAX);
    if most < connections {
        tracing::warn!(
            connections,
            descriptors,
            most,
            "fewer connections than configured: raise the limit of open files"
        );
    }
    connections.min(most)
}

#[expect(clippy::disallowed_methods, reason = "a core is a thread")]
fn spawn_core(
    shared: &Arc<Shared>,
    core: usize,
    cpu: Option<usize>,
    listeners: Vec<OwnedFd>,
    agreement: Arc<EngineAgreement>,
) -> io::Result<Starting> {
    let shared = Arc::clone(shared);
    let (ready, is_ready) = mpsc::channel();
    let thread = std::thread::Builder::new().name(format!("core-{core}")).spawn(move || {
        let (engine, machine) = (shared.config.engine, shared.store.machine().clone());
        let options = CoreOptions { core, cpu, engine, machine, slots: SLOTS, agreement: Some(agreement) };
        run_core(options, move |io| {
            let _ = ready.send(io.engine());
            accept::run(io, shared, listeners.into_iter().map(Rc::new).collect())
        })
    })?;
    Ok(Starting { thread, is_ready })
}

/// A core that does not run yet.
struct Starting {
    thread: JoinHandle<io::Result<()>>,
    is_ready: mpsc::Receiver<Engine>,
}

impl Starting {
    /// Waits until it runs.
    fn started(self) -> io::Result<(Engine, JoinHandle<io::Result<()>>)> {
        match self.is_ready.recv() {
            Ok(engine) => Ok((engine, self.thread)),
            // The thread ended before it had a driver: its own error is the reason.
            Err(_) => match self.thread.join() {
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) | Err(_) => Err(io::Error::other("the core ended while starting")),
            },
        }
    }
}

impl Node {
    /// All cores, on one engine; the first that does not start, and why.
    fn start_cores(&mut self, cpus: &[usize], listeners: Vec<Vec<OwnedFd>>) -> Result<(), (usize, io::Error)> {
        let cores = listeners.len();
        let agreement = EngineAgreement::new(cores);
        let mut starting = Vec::with_capacity(cores);
        let mut failed = None;
        for (core, listeners) in listeners.into_iter().enumerate() {
            let cpu = cpus.get(core % cpus.len().max(1)).copied();
            match spawn_core(&self.shared, core, cpu, listeners, Arc::clone(&agreement)) {
                Ok(thread) => starting.push(thread),
                Err(error) => {
                    agreement.go_without(cores - core);
                    failed = Some((core, error));
                    break;
                }
            }
        }
        for (core, thread) in starting.into_iter().enumerate() {
            match thread.started() {
                Ok((engine, thread)) => {
                    self.engine = engine;
                    self.threads.push(thread);
                }
                Err(error) => failed = failed.or(Some((core, error))),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Where it listens, ports resolved.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.shared.addresses
    }

    /// Where those with a port of their own listen, in the order of the configuration.
    pub fn separate(&self) -> &[SocketAddr] {
        &self.shared.separate
    }

    /// Which driver the cores run on.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Stops the node: it takes no new work, and bodies under way end with their prefix kept. Returns at once; [`join`](Self::join) waits.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.stop_event.notify(usize::MAX);
    }

    /// Waits until every core ended; the first failure is returned.
    pub fn join(self) -> io::Result<()> {
        let join = |thread: JoinHandle<io::Result<()>>| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a core ended by a panic")))
        };
        let ended: Vec<_> = self.threads.into_iter().map(join).collect();
        if self.shared.config.durability != Durability::None {
            self.shared.store.close()?;
        }
        ended.into_iter().collect()
    }
}
