//! The catalogue in Redis: the index in memory answers, Redis is read at the start and told of every change.
//!
//! Keys, all below `etransfer:2:{<node>}:`, where `<node>` is a random name kept in `state/redis-node`, so that several
//! nodes share one server without meeting (the braces keep a node's keys in one slot):
//!
//! | key | what |
//! |---|---|
//! | `records` | hash: id → record as [`codec`](super::codec) writes it |
//! | `docs` | hash: `<surface>:<key>` → document as [`codec`](super::codec) writes it |
//! | `kept` | set: objects that are never taken for orphans |
//! | `trusted` | `1` once the catalogue was compared with what is on disk |
//! | `owner` | `<term>:<run>` of the control plane that may write ([`lease`]) |
//! | `generation` | number of the last write |
//! | `records:<owner>:<n>`, `docs:<owner>:<n>`, `kept:<owner>:<n>` | a catalogue on its way into place; expires |
//!
//! Order: the change enters the index and the [`dirty_set`], the [`writer`] commits it together with whatever else waits in
//! one script that checks owner and generation first, the number is noted in the state directory, then its asker is told.
//! A crash before the script loses a change that was not acknowledged; after it, the change is there.
//!
//! Must stay true (PROMISES.md P15): a caller never waits for Redis longer than one attempt (2 s to connect, 2 s for an
//! answer); what was refused is written later all the same, so it may take effect although its asker heard "no"; what
//! was acknowledged is in Redis or in this process, and is written again when Redis comes back with less. Both gone at
//! once: as much is lost as Redis' own persistence lost, and since the state directory remembers how far it was,
//! objects that the older catalogue does not know are kept. Power cuts are for Redis to survive (`appendonly yes`,
//! `appendfsync always`).
//!
//! Deliberately absent: TLS, clusters, and any answer from Redis on the way of a request.

mod commit_queue;
mod dirty_set;
mod lease;
mod link;
mod marks;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use link::{BadUrl, ReadError};

use etransfer_disk::Disk;

use super::health::{BackendHealth, HealthCell};
use super::{Backend, Change, Commit, Snapshot};
use crate::core::Secret;
use commit_queue::CommitQueue;
use dirty_set::DirtySet;
use lease::LeaseStatus;
use link::{Fault, Link};
use marks::{HighWaterMark, HighWaterMarkFile};
use writer::Writer;

/// The catalogue in Redis cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL says nothing usable.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// The node's name in Redis.
    #[error("read or make {path}: {source}; without it the node does not find its catalogue in Redis")]
    Name {
        /// The file, or where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Away, refusing, or damaged.
    #[error("open the catalogue in Redis at {address}: {source}")]
    Redis {
        /// Host and port, or the socket's path.
        address: String,
        /// What is wrong.
        source: ReadError,
    },
    /// The thread.
    #[error("start the thread of the catalogue: {0}")]
    Thread(io::Error),
}

/// Hands changes to the writer; dropping it lets the writer finish and end.
pub struct RedisBackend {
    commit_queue: Arc<CommitQueue>,
    writer: Option<std::thread::JoinHandle<()>>,
    health: Arc<HealthCell>,
}

/// Takes the catalogue of the node in `state` over, and reads it. Waits for Redis; not for use on an async thread.
pub fn open(disk: &dyn Disk, url: &Secret, state: &Path) -> Result<Snapshot, OpenError> {
    let name = |source| OpenError::Name { path: state.to_owned(), source };
    let marks = HighWaterMarkFile::load_or_make(disk, state).map_err(name)?;
    let mut link = Link::new(url, marks.name())?;
    let address = link.address();
    let wrong = |source: ReadError| OpenError::Redis { address: address.clone(), source };
    let is_append_only = link.check_server().map_err(|fault| wrong(fault.into()))?;
    if !is_append_only {
        tracing::warn!(
            redis = %address,
            "Redis keeps no append-only file: if it ends together with this node, the catalogue is as old as its last \
             snapshot. Set appendonly yes"
        );
    }
    let remembered = marks.remembered();
    let lease = link.take_over(&marks::random_name(), remembered).map_err(|fault| wrong(fault.into()))?;
    marks.note(HighWaterMark { term: lease.term(), generation: lease.written() }).map_err(name)?;
    let held = link.read().map_err(wrong)?;
    // Pages of a catalogue that was lost or taken over while it was read make no whole.
    let found = link.look().map_err(|fault| wrong(fault.into()))?;
    if lease.status(&found) != LeaseStatus::Ours {
        let reason = "it was emptied or taken over while it was read; start again".into();
        return Err(wrong(Fault { reason, is_full: false, is_dropped: false }.into()));
    }
    let commit_queue = Arc::new(CommitQueue::new(DirtySet::new(&held)));
    let health = Arc::<HealthCell>::default();
    let writer = Writer { commit_queue: Arc::clone(&commit_queue), link, lease, marks, health: Arc::clone(&health) };
    let thread = std::thread::Builder::new().name("catalogue".into()).spawn(|| writer.run());
    let backend = RedisBackend { commit_queue, writer: Some(thread.map_err(OpenError::Thread)?), health };
    Ok(held.go_on(Box::new(backend)))
}

impl Backend for RedisBackend {
    fn write(&self, changes: Vec<Change>) -> Commit {
        self.commit_queue.leave(changes)
    }

    fn health(&self) -> BackendHealth {
        self.health.health()
    }
}

impl Drop for RedisBackend {
    fn drop(&mut self) {
        self.commit_queue.close();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
