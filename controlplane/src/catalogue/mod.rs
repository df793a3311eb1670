//! The catalogue: names, policies and states of everything; where it is kept is one trait with three answers.
//!
//! * [`record`] what is known about one object, [`codec`] how it is written down
//! * [`surface`] which dialect an object is of, and whom it belongs to
//! * [`index`] the index in memory, the same for every backend; a backend is read once, at the start
//! * [`records`] what it holds, each of them [`packed`]; [`listing`] what a list shows of it, by [`order`]
//! * [`principal`] how many records each principal has
//! * [`health`] how its writer fares, [`recent`] what it has not committed yet
//! * [`Backend`] what a backend does: [`Memory`] forgets at exit, [`mod@file`] and [`mod@redis`] do not
//!
//! Beside records there are documents: a few bytes under a name that a dialect chose. A change of both is one [`Backend::write`].
//!
//! Must stay true: no caller is told of a change before [`Commit::wait`] returned; after that it survives SIGKILL at
//! every durability level, and a power cut unless `durability` is `none` (with Redis: as Redis itself survives one).

mod backing;
pub mod codec;
pub mod file;
pub mod health;
pub mod index;
pub mod listing;
pub mod order;
pub mod packed;
pub mod principal;
pub mod recent;
pub mod record;
pub mod records;
pub mod redis;
pub mod surface;
pub mod text;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod golden;

use crate::core::SurfaceId;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use etransfer_contract::ObjectId;
use tokio::sync::oneshot;

use health::BackendHealth;
pub use index::{CatalogueIndex, Entry, Scope, Totals};
pub use listing::{Shown, Stamp};
pub use principal::{Counts, Crowded, Limits, Principal};
pub use record::{Kind, Record};
pub use records::Records;
pub use surface::{Owner, Place};

/// One change to what is kept.
#[derive(Debug, Clone)]
pub enum Change {
    /// Added or changed.
    Put(Box<Record>),
    /// Taken away.
    Delete(ObjectId),
    /// A document: written, or taken away.
    Doc {
        /// Whose it is.
        surface: SurfaceId,
        /// Its name there.
        key: String,
        /// What it says now.
        value: Option<Arc<[u8]>>,
    },
    /// Objects found on disk by a catalogue that was new: never removed (see [`mod@file`]).
    Keep(Vec<ObjectId>),
    /// The first inventory was compared to the end: from now on the catalogue is believed.
    Trust,
}

/// What the dialects keep beside their records, each in its own words.
pub type Docs = BTreeMap<Place, Arc<[u8]>>;

/// What an opened catalogue holds.
pub struct Snapshot {
    /// Where changes are written.
    pub backend: Box<dyn Backend>,
    /// What was there.
    pub records: Records,
    /// Documents that were there.
    pub docs: Docs,
    /// Objects that are never taken for orphans.
    pub kept: HashSet<ObjectId>,
    /// A durable catalogue that was never compared with what is on disk, or that is older than it was.
    pub is_new_file: bool,
    /// It keeps nothing, by choice.
    pub is_forgetful: bool,
}

/// What a backend has, as it is read at the start.
#[derive(Debug, Default)]
struct Held {
    records: Records,
    docs: Docs,
    kept: HashSet<ObjectId>,
    /// Compared with what is on disk at least once.
    is_trusted: bool,
}

impl Held {
    fn go_on(self, backend: Box<dyn Backend>) -> Snapshot {
        let Self { records, docs, kept, is_trusted } = self;
        Snapshot { backend, records, docs, kept, is_new_file: !is_trusted, is_forgetful: false }
    }
}

impl Snapshot {
    /// Nothing is there, and nothing will be kept.
    pub fn of_memory() -> Self {
        let held = Held { is_trusted: true, ..Held::default() };
        Self { is_forgetful: true, ..held.go_on(Box::new(Memory)) }
    }
}

/// A backend.
pub trait Backend: Send + Sync {
    /// Starts to write changes down; all of them or none. What was given before is written before, so an empty list
    /// waits for that.
    fn write(&self, changes: Vec<Change>) -> Commit;

    /// How its writer fares; one that writes nothing never fails.
    fn health(&self) -> BackendHealth {
        BackendHealth::default()
    }
}

/// A write under way.
#[derive(Debug)]
pub enum Commit {
    /// Nothing to wait for.
    Done,
    /// The writer tells.
    Waiting(oneshot::Receiver<Result<(), WriteError>>),
}

/// The change could not be written down; it is tried again, and counts as not made for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue cannot be written: {reason}")]
pub struct WriteError {
    /// What the disk, or Redis, said.
    pub reason: String,
    /// It said that it is full.
    pub is_full: bool,
}

impl WriteError {
    fn ended() -> Self {
        Self { reason: "its writer has ended".into(), is_full: false }
    }
}

impl Commit {
    /// As [`Commit::wait`], where there is no runtime.
    pub fn wait_here(self) -> Result<(), WriteError> {
        match self {
            Self::Done => Ok(()),
            Self::Waiting(receiver) => receiver.blocking_recv().unwrap_or_else(|_| Err(WriteError::ended())),
        }
    }

    /// Until it would survive a kill.
    pub async fn wait(self) -> Result<(), WriteError> {
        match self {
            Self::Done => Ok(()),
            Self::Waiting(receiver) => receiver.await.unwrap_or_else(|_| Err(WriteError::ended())),
        }
    }
}

/// Keeps nothing: the index in memory is all there is.
#[derive(Debug, Default)]
pub struct Memory;

impl Backend for Memory {
    fn write(&self, _: Vec<Change>) -> Commit {
        Commit::Done
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::core::Policy;

    /// A backend that keeps everything in memory and counts what it costs to write documents down.
    #[derive(Default)]
    pub(crate) struct Counting(Mutex<Counted>);

    #[derive(Default)]
    struct Counted {
        docs: Docs,
        records: BTreeMap<ObjectId, Record>,
        cost: Cost,
        is_away: bool,
        /// What came meanwhile; written before what comes later.
        waiting: Vec<Change>,
        waiters: Vec<oneshot::Sender<Result<(), WriteError>>>,
    }

    /// What was written, or erased, of documents.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub(crate) struct Cost {
        pub(crate) docs: usize,
        pub(crate) bytes: usize,
    }

    impl Counting {
        /// A catalogue that continues from what was written.
        pub(crate) fn snapshot(self: &Arc<Self>) -> Snapshot {
            let counted = self.0.lock().unwrap();
            let (records, docs) = (counted.records.values().cloned().collect(), counted.docs.clone());
            let held = Held { records, docs, kept: HashSet::new(), is_trusted: true };
            held.go_on(Box::new(Arc::clone(self)))
        }

        /// The cost so far.
        pub(crate) fn cost(&self) -> Cost {
            self.0.lock().unwrap().cost
        }

        /// From now on nothing is written.
        pub(crate) fn go_away(&self) {
            self.0.lock().unwrap().is_away = true;
        }

        /// Callers that asked meanwhile are refused; from now on everything is written.
        pub(crate) fn come_back(&self) {
            let mut counted = self.0.lock().unwrap();
            counted.is_away = false;
            for asker in counted.waiters.drain(..) {
                let _ = asker.send(Err(WriteError { reason: "it was away".into(), is_full: false }));
            }
        }

        /// Keys of the documents of a surface.
        pub(crate) fn keys(&self, surface: SurfaceId) -> Vec<String> {
            let counted = self.0.lock().unwrap();
            counted.docs.keys().filter(|(of, _)| *of == surface).map(|(_, key)| key.clone()).collect()
        }

        /// Objects that have a record.
        pub(crate) fn objects(&self) -> Vec<ObjectId> {
            self.0.lock().unwrap().records.keys().copied().collect()
        }
    }

    impl Backend for Arc<Counting> {
        fn write(&self, changes: Vec<Change>) -> Commit {
            let mut counted = self.0.lock().unwrap();
            counted.waiting.extend(changes);
            if counted.is_away {
                let (tell, told) = oneshot::channel();
                counted.waiters.push(tell);
                return Commit::Waiting(told);
            }
            for change in std::mem::take(&mut counted.waiting) {
                match change {
                    Change::Put(record) => {
                        counted.records.insert(record.id, *record);
                    }
                    Change::Delete(id) => {
                        counted.records.remove(&id);
                    }
                    Change::Doc { surface, key, value } => {
                        counted.cost.docs += 1;
                        counted.cost.bytes += value.as_ref().map_or(0, |value| value.len());
                        match value {
                            Some(value) => counted.docs.insert((surface, key), value),
                            None => counted.docs.remove(&(surface, key)),
                        };
                    }
                    Change::Keep(_) | Change::Trust => {}
                }
            }
            Commit::Done
        }
    }

    /// What the asker of a commit hears.
    pub(crate) fn told(commit: Commit) -> Result<(), WriteError> {
        commit.wait_here()
    }

    /// An incomplete upload of 100 bytes.
    pub(crate) fn record(id: ObjectId, created_ms: u64) -> Record {
        Record {
            id,
            created_ms,
            filename: "naïve \"name\".txt".into(),
            mime: None,
            checksum: String::new(),
            metadata: Some("filename YQ==".into()),
            length: Some(100),
            keep: crate::retention::policy::Keep { policy: Policy::Permanent, ttl_s: None },
            kind: Kind::File,
            completed_ms: None,
            download_count: 0,
            once: crate::retention::once::Once::default(),
            idempotency_key: None,
            owner: None,
            maker: String::new(),
            surface: SurfaceId::default(),
            key: String::new(),
            detail: serde_json::Value::Null,
        }
    }
}
