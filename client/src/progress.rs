//! What a transfer tells while it runs. The library never prints; the caller that starts a transfer may listen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Something worth telling besides the number of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// An earlier run left this much done.
    Resumed {
        /// Bytes that need not travel again.
        present: u64,
    },
    /// The earlier upload cannot be continued.
    StartedAnew(Why),
    /// A step failed and is tried again.
    Retrying {
        /// Words for a person.
        cause: String,
        /// From now.
        after: Duration,
    },
    /// The server has no room; waiting for some.
    WaitingForSpace {
        /// As `/api/storage` has it, when it does.
        used: Option<u64>,
        /// The limit, when there is one.
        max: Option<u64>,
    },
    /// The upload is still running; its bytes are fetched as they arrive.
    Following {
        /// Bytes there now.
        available: u64,
    },
    /// The server writes in order only: one connection.
    InOrderOnly,
    /// The file goes over several addresses of the node.
    Spread {
        /// How many at a time.
        over: usize,
    },
    /// An address does not answer, or much slower than the others; they go on without it.
    EndpointLost {
        /// `http://host:port`
        endpoint: String,
    },
    /// It carries again.
    EndpointBack {
        /// `http://host:port`
        endpoint: String,
    },
}

/// Why a new upload was begun although an older one was remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The local file is another one now.
    SourceChanged,
    /// The server does not have it any more.
    Gone,
    /// The server has another file there now.
    RemoteChanged,
}

/// A listener. Called from several threads, often; it must be quick.
pub trait Progress: Send + Sync {
    /// `done` of `total` bytes are there. May go back when an attempt failed.
    fn at(&self, _done: u64, _total: u64) {}
    /// Something to tell.
    fn note(&self, _note: Note) {}
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}

/// Counts for one transfer and passes the sum on.
pub(crate) struct Meter<'a> {
    done: AtomicU64,
    total: u64,
    listener: &'a dyn Progress,
}

impl<'a> Meter<'a> {
    pub fn new(done: u64, total: u64, listener: &'a dyn Progress) -> Self {
        listener.at(done, total);
        Self { done: AtomicU64::new(done), total, listener }
    }

    /// Counts nothing, only passes notes on.
    pub fn silent(listener: &'a dyn Progress) -> Self {
        Self { done: AtomicU64::new(0), total: 0, listener }
    }

    /// Starts over from a known state.
    pub fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.listener.at(done.min(self.total), self.total);
    }

    pub fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.listener.at(done.min(self.total), self.total);
    }

    pub fn take_back(&self, bytes: u64) {
        let done = self.done.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        self.listener.at(done.min(self.total), self.total);
    }

    pub fn note(&self, note: Note) {
        self.listener.note(note);
    }
}
