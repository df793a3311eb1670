//! [`Machine`]: what a node takes from the machine that it runs on, besides its sockets: disk, clocks, randomness, and
//! threads for the work of a start.
//!
//! A node is handed its machine once, when its store is opened. Everything above this folder asks it, so that another machine
//! can run the whole node on one thread, by its own clock.
#![expect(clippy::disallowed_methods, reason = "this is the machine of the process")]

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use etransfer_disk::{Disk, Os};

/// Most threads that one call of [`Machine::in_parallel`] takes.
const PARALLEL_MAX: usize = 8;

/// Another machine than the one that this process runs on.
pub trait Host: fmt::Debug + Send + Sync {
    /// Its file systems.
    fn disk(&self) -> &dyn Disk;

    /// The monotonic clock; it never goes back.
    fn now(&self) -> Instant;

    /// The wall clock, since 1970; an operator may step it.
    fn unix_time(&self) -> Duration;

    /// Bits that no client can guess.
    fn random(&self) -> io::Result<u64>;

    /// Runs `work` at least once, and returns when it has ended everywhere.
    fn in_parallel(&self, work: &(dyn Fn() + Sync));
}

/// See the head of this file. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Machine(Kind);

#[derive(Debug, Clone, Default)]
enum Kind {
    #[default]
    Own,
    Other(Arc<dyn Host>),
}

impl Machine {
    /// Another machine.
    pub fn other(host: Arc<dyn Host>) -> Self {
        Self(Kind::Other(host))
    }

    /// Its file systems.
    pub fn disk(&self) -> &dyn Disk {
        match &self.0 {
            Kind::Own => &Os,
            Kind::Other(host) => host.disk(),
        }
    }

    /// The monotonic clock.
    pub fn now(&self) -> Instant {
        match &self.0 {
            Kind::Own => Instant::now(),
            Kind::Other(host) => host.now(),
        }
    }

    /// The wall clock, since 1970; zero before that.
    pub fn unix_time(&self) -> Duration {
        match &self.0 {
            Kind::Own => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            Kind::Other(host) => host.unix_time(),
        }
    }

    /// Bits that no client can guess.
    pub fn random(&self) -> io::Result<u64> {
        match &self.0 {
            Kind::Own => getrandom::u64().map_err(|error| io::Error::other(error.to_string())),
            Kind::Other(host) => host.random(),
        }
    }

    /// Runs `work` on as many threads as there are CPUs, at most eight, and returns when it has ended on all of them. For
    /// the work of a start that is shared out by `work` itself.
    pub fn in_parallel(&self, work: &(dyn Fn() + Sync)) {
        match &self.0 {
            Kind::Own => {
                let threads = std::thread::available_parallelism().map_or(1, usize::from).min(PARALLEL_MAX);
                std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
            }
            Kind::Other(host) => host.in_parallel(work),
        }
    }
}
