//! The catalogue of a node that is not running, for tools that write into it. Holds the same lock as a running control
//! plane, so the two never meet.

use etransfer_contract::ObjectId;

use crate::catalogue::{Backend, Change, Record, WriteError};
use crate::config::Config;
use crate::core::StateBackend;
use crate::node::removals;
use crate::server::{StartError, lock_state, open_catalogue};

/// An opened catalogue.
pub struct Offline {
    backend: Box<dyn Backend>,
    known: std::collections::HashSet<ObjectId>,
    leaving: std::collections::HashSet<ObjectId>,
    is_trusted: bool,
    _lock: std::fs::File,
}

/// It cannot be opened for writing.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// As at the start of the node.
    #[error(transparent)]
    Start(#[from] StartError),
    /// `state.backend` is `memory`.
    #[error("state.backend is memory, which keeps nothing; set it to file or redis")]
    Memory,
}

impl Offline {
    /// Opens the catalogue that `config` names. Blocking; not for use on an async thread.
    pub fn open(config: &Config) -> Result<Self, OfflineError> {
        if config.state == StateBackend::Memory {
            return Err(OfflineError::Memory);
        }
        let lock = lock_state(config)?;
        let mut snapshot = open_catalogue(config)?;
        let leaving = removals::take_out(&mut snapshot.docs);
        let known = snapshot.records.ids().collect();
        Ok(Self { backend: snapshot.backend, known, leaving, is_trusted: !snapshot.is_new_file, _lock: lock })
    }

    /// There is a record of it.
    pub fn knows(&self, id: ObjectId) -> bool {
        self.known.contains(&id)
    }

    /// It was compared with what is on disk, to the end.
    pub fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Its removal is decided: the node carries it out when it runs.
    pub fn is_leaving(&self, id: ObjectId) -> bool {
        self.leaving.contains(&id)
    }

    /// Adds many records in one write.
    pub fn add_all(&mut self, records: Vec<Record>) -> Result<(), WriteError> {
        self.known.extend(records.iter().map(|record| record.id));
        self.backend.write(records.into_iter().map(|record| Change::Put(Box::new(record))).collect()).wait_here()
    }

    /// Adds a record; on disk, or in Redis, when this returns.
    pub fn add(&mut self, record: Record) -> Result<(), WriteError> {
        let id = record.id;
        self.backend.write(vec![Change::Put(Box::new(record))]).wait_here()?;
        self.known.insert(id);
        Ok(())
    }
}
