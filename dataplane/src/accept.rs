//! The life of one core: it accepts connections until it is told to stop, then drains. Core 0 also runs the tasks that a node
//! has once: facts, orders, compaction, removals, the quarantine, the health of the disk, freed memory.
//!
//! A connection beyond a limit, or without a descriptor to spare, gets 503 and is closed; what it sent is read first, for
//! unread bytes would reset the answer.
//!
//! Next on the way of an upload: [`connection`](crate::connection).

use std::cell::{Cell, RefCell};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use etransfer_disk::File;

use crate::bounds::{DESCRIPTORS_KEPT, LAST_FACTS_WAIT, TURNED_AWAY_BYTES_MAX, TURNED_AWAY_MAX};
use crate::config::Durability;
use crate::connection::Connection;
use crate::control::decide::Client;
use crate::control::orders::follow_orders;
use crate::control::report;
use crate::core::{Core, Shared};
use crate::counters::Tally;
use crate::driver::{Fd, Io};
use crate::health;
use crate::heap;
use crate::journal_writer::JournalWriter;
use crate::limits::sources::is_among;
use crate::link::ControlLink;
use crate::transfer::finish::sync_journal;
use crate::transfer::remove;
use crate::wire::Wire;

/// How often a drain looks whether it is done.
const DRAIN_LOOK: Duration = Duration::from_millis(20);
/// Pause after a failed accept (no descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often journals are looked at for compaction.
const COMPACT_LOOK: Duration = Duration::from_secs(5);
/// How often idle connections to the control plane are let go.
const TRIM: Duration = Duration::from_secs(1);
/// Sent to a connection beyond the limit (PROMISES.md P16).
const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: application/json\r\nContent-Length: 53\r\n\
      Connection: close\r\n\r\n{\"detail\":\"too many connections are open; try again\"}";

/// Runs one core to its end.
pub async fn run(io: Io, shared: Arc<Shared>, listeners: Vec<Fd>) {
    let objects = match shared.store.objects_dir().try_clone() {
        Ok(objects) => Rc::new(objects),
        Err(error) => {
            tracing::error!(%error, core = io.core(), "no descriptor for the objects directory");
            return;
        }
    };
    let core = Rc::new(Core {
        control: ControlLink::new(io.clone(), shared.config.control_socket.clone()),
        grants: RefCell::default(),
        objects,
        writer: Rc::new(JournalWriter::new(io.clone(), Arc::clone(&shared.store))),
        counters: Rc::default(),
        active: Cell::new(0),
        io,
        shared,
    });
    let accepting: Vec<_> =
        listeners.into_iter().map(|listener| core.io.spawn(accept(Rc::clone(&core), listener))).collect();
    if core.io.core() == 0 {
        core.io.spawn(report::facts(Rc::clone(&core))).detach();
        core.io.spawn(follow_orders(Rc::clone(&core), remove::carry_out)).detach();
        core.io.spawn(compact(Rc::clone(&core))).detach();
        core.io.spawn(remove::retry(Rc::clone(&core))).detach();
        core.io.spawn(remove::sweep_quarantine(Rc::clone(&core))).detach();
        core.io.spawn(health::watch(Rc::clone(&core))).detach();
        core.io.spawn(heap::watch(Rc::clone(&core))).detach();
    }
    core.io.spawn(trim(Rc::clone(&core))).detach();
    core.io.spawn(report::counters(Rc::clone(&core))).detach();
    stopped(&core).await;
    drop(accepting);
    drain(&core).await;
}

async fn stopped(core: &Core) {
    loop {
        let listener = core.shared.stop_event.listen();
        if core.is_stopping() {
            return;
        }
        listener.await;
    }
}

/// Waits for running requests within the grace, then makes the journal durable (PROMISES.md P17).
async fn drain(core: &Rc<Core>) {
    let deadline = core.io.now() + core.shared.config.grace;
    while core.active.get() > 0 && core.io.now() < deadline {
        core.io.sleep(DRAIN_LOOK).await;
    }
    let position = core.journal().position();
    let kept = match core.shared.config.durability {
        Durability::None => core.writer.written(position).await,
        Durability::Complete | Durability::Every => sync_journal(core, position).await,
    };
    if let Err(error) = kept {
        tracing::error!(%error, "write and sync the journal at the end");
    }
    core.shared.cores_done.fetch_add(1, Ordering::AcqRel);
    if core.io.core() == 0 {
        while core.shared.cores_done.load(Ordering::Acquire) < core.shared.cores && core.io.now() < deadline {
            core.io.sleep(DRAIN_LOOK).await;
        }
        if !core.shared.facts.flush(&core.io, LAST_FACTS_WAIT).await {
            tracing::info!(waiting = core.shared.facts.waiting(), "facts wait in the journal for the next start");
        }
    }
}

async fn accept(core: Rc<Core>, listener: Fd) {
    let mut spare = spare(&core);
    let mut is_reported = false;
    loop {
        match core.io.accept(&listener).await {
            Ok((socket, peer)) => {
                is_reported = false;
                admit(&core, Rc::new(socket), peer);
            }
            Err(error) if is_out_of_descriptors(&error) => {
                drop(spare.take());
                let turned_away = turn_away(&core, &listener);
                spare = self::spare(&core);
                if !std::mem::replace(&mut is_reported, true) {
                    tracing::warn!(turned_away, "no descriptor is left: raise the limit of open files");
                }
                core.io.sleep(ACCEPT_PAUSE).await;
            }
            Err(error) => {
                tracing::warn!(%error, "accept");
                core.io.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A descriptor that is given up for a moment when no other is left, so that clients get an answer.
fn spare(core: &Core) -> Option<File> {
    core.objects.try_clone().ok()
}

fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// The kernel gives the lowest free number, so a high one means that few are left.
fn takes_a_kept_descriptor(socket: &OwnedFd) -> bool {
    use rustix::process::{Resource, getrlimit};
    let Some(descriptors) = getrlimit(Resource::Nofile).current else { return false };
    let kept = DESCRIPTORS_KEPT.min(descriptors / 4);
    u64::try_from(socket.as_raw_fd()).is_ok_and(|number| number >= descriptors - kept)
}

/// Refuses the clients that wait to be accepted, one descriptor after the other; returns how many.
fn turn_away(core: &Core, listener: &Fd) -> usize {
    use rustix::net::{SocketFlags, accept_with};
    let next = || accept_with(&**listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC).ok();
    std::iter::from_fn(next)
        .take(TURNED_AWAY_MAX)
        .map(|socket| {
            core.counters.update(|core| {
                (core.accepted, core.crowded, core.closed) = (core.accepted + 1, core.crowded + 1, core.closed + 1);
            });
            refuse(&socket);
        })
        .count()
}

/// Answers 503 to a connection that is not served. A fresh socket has room for one reply. What the client sent already is read
/// first, for unread bytes would reset the answer.
fn refuse(socket: &OwnedFd) {
    use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
    let mut sent = [0; 4096];
    let mut left = TURNED_AWAY_BYTES_MAX;
    while let Ok((bytes @ 1.., _)) = recv(socket, &mut sent[..], RecvFlags::DONTWAIT) {
        left = left.saturating_sub(bytes);
        if left == 0 {
            break;
        }
    }
    if let Err(error) = send(socket, TOO_MANY_CONNECTIONS, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        tracing::debug!(%error, "refuse a connection");
    }
    let _ended_or_gone = shutdown(socket, Shutdown::Write);
}

fn admit(core: &Rc<Core>, socket: Fd, peer: std::net::SocketAddr) {
    let open = Open::new(core);
    let config = &core.shared.config;
    let per_source =
        if is_among(&config.proxies, peer.ip()) { usize::MAX } else { config.limits.connections_per_source_max };
    let counted = core.shared.sources.enter(peer.ip(), per_source);
    let has_room = open.before < config.limits.connections_max && !takes_a_kept_descriptor(&socket);
    let Some(counted) = counted.filter(|_| has_room) else {
        core.counters.update(|core| core.crowded += 1);
        return refuse(&socket);
    };
    let Ok(local) = rustix::net::getsockname(&*socket).and_then(std::net::SocketAddr::try_from) else { return };
    if rustix::net::sockopt::set_tcp_nodelay(&*socket, true).is_err() {
        return;
    }
    let wire = Wire::of_client(core.io.clone(), socket, Tally::new(&core.counters, local.ip()));
    let connection = Connection::new(Rc::clone(core), wire, Client { peer, local });
    let task = async move {
        connection.run().await;
        drop((open, counted));
    };
    core.io.spawn(task).detach();
}

/// One open connection, in the count of all cores and in this core's own.
struct Open {
    core: Rc<Core>,
    before: usize,
}

impl Open {
    fn new(core: &Rc<Core>) -> Self {
        core.counters.update(|core| core.accepted += 1);
        Self { before: core.shared.connections.fetch_add(1, Ordering::Relaxed), core: Rc::clone(core) }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.core.shared.connections.fetch_sub(1, Ordering::Relaxed);
        self.core.counters.update(|core| core.closed += 1);
    }
}

async fn trim(core: Rc<Core>) {
    loop {
        core.io.sleep(TRIM).await;
        core.control.trim();
    }
}

async fn compact(core: Rc<Core>) {
    loop {
        core.io.sleep(COMPACT_LOOK).await;
        let store = Arc::clone(&core.shared.store);
        match core.io.off_core(move || store.compact_if_due()).await {
            Ok(true) => tracing::info!("journals compacted"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "compact the journals"),
        }
        // What could not be written is tried again.
        for journal in 0..core.shared.cores {
            core.writer.write_waiting(journal).await;
        }
    }
}
