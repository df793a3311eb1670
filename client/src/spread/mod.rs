//! One file over several addresses of one node.
//!
//! # Words
//!
//! A *path* is one address of the node, as a rule one NIC. A *worker* is one connection of a path, on a thread of its own.
//! A *piece* is a span of the file that travels in one request. The *queue* ([`work_queue`]) holds the pieces that no
//! worker carries yet and knows who carries the others; the *pool* ([`worker_pool`]) is everybody who carries.
//!
//! # How the work is shared out
//!
//! * All workers take from one queue, so a path carries what its speed allows and needs no plan: twice as fast is twice
//!   as often back for more. Towards the end, and from a path of unknown speed, pieces are small, so that all paths end
//!   together and none holds the last piece for long ([`work_queue`]).
//! * Connections per path follow the measured speed: one more is tried, and kept when it brought at least a tenth; one
//!   less is tried now and then, and kept when it cost almost nothing ([`width`]). A single path has the number asked
//!   for, always.
//! * A path that fails carries nothing until its address has answered a health check as the same node. Its pieces go
//!   back to the queue at once. One worker asks, with growing pauses; so it rejoins by itself.
//! * When the queue is empty and a path idles while another would need much longer for its last piece, that piece's
//!   connection is broken ([`work_queue::WorkQueue::relieve`]): what arrived of it stays, the rest is carried by the idle path.
//!   So nothing is ever sent twice on purpose, and a path that went silent costs seconds, not a time-out.
//! * With fewer paths wanted than there are, the others are reserves: each steps in when one before it fails.
//! * Only while no path is left does the patience of the transfer run out.
//!
//! What it does not do: believe a sender. Whether the bytes are there is settled by the caller, as with one path.

mod width;
mod work_queue;
mod worker_pool;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

pub(crate) use work_queue::{Job, Piece, WorkQueue};
pub(crate) use worker_pool::{SliceMover, Worker, WorkerPool, first_cause, join};

use serde::Serialize;

use crate::endpoints::{Direction, Nics};
use crate::patience::Failures;
use crate::proof::Identity;
use crate::slices::SLICE_BYTES_MIN;
use crate::{Client, Error, Result};

/// Smaller files use the configured address: asking around would cost more than it gains.
const SPREAD_BYTES_MIN: u64 = 2 * SLICE_BYTES_MIN;
/// Most threads of one transfer.
const SEATS_MAX: usize = 32;

/// What went over one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// `http://host:port`
    pub endpoint: String,
    /// Bytes of the file that travelled there, repetitions included.
    pub bytes: u64,
}

/// One address of the node.
pub(crate) struct NicPath {
    pub client: Client,
    moved: AtomicU64,
    /// It works, as far as we know.
    trusted: AtomicBool,
    failures: Mutex<Failures>,
}

impl NicPath {
    fn new(client: Client) -> Self {
        Self { client, moved: AtomicU64::new(0), trusted: AtomicBool::new(true), failures: Mutex::default() }
    }

    fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Relaxed)
    }

    /// Failures in a row, so far.
    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses one transfer uses, the best first.
pub(crate) struct NicPaths {
    list: Vec<NicPath>,
    /// So many carry at a time, the first that work.
    active: usize,
    /// Who must answer there.
    identity: Option<Identity>,
    connections: usize,
}

impl NicPaths {
    /// For a file of `size` bytes. Whatever goes wrong with the question, the configured server is always there.
    pub fn find(client: &Client, nics: Nics, direction: Direction, size: u64, connections: u8) -> Self {
        let connections = usize::from(connections.max(1));
        let alone = || Self { list: vec![NicPath::new(client.clone())], active: 1, identity: None, connections };
        if size < SPREAD_BYTES_MIN {
            return alone();
        }
        let Ok(candidates) = client.candidates(direction) else { return alone() };
        let list: Vec<NicPath> = candidates
            .list
            .into_iter()
            .filter(|candidate| candidate.is_usable())
            .take(SEATS_MAX)
            .map(|candidate| NicPath::new(client.at_address(candidate.address)))
            .collect();
        match list.len() {
            0 | 1 => alone(),
            found => Self { list, active: nics.limit(found), identity: candidates.identity, connections },
        }
    }

    /// Whether there is something to choose from.
    pub fn are_several(&self) -> bool {
        self.list.len() > 1
    }

    /// How many carry at a time.
    pub fn active(&self) -> usize {
        self.active
    }

    /// Connections of a path: to begin with, and at most.
    fn workers(&self) -> (usize, usize) {
        if !self.are_several() {
            return (self.connections, self.connections);
        }
        let first = self.connections.div_ceil(self.active);
        let most = (SEATS_MAX / self.list.len()).max(1).min(2 * self.connections);
        (first.min(most), most)
    }

    /// Connections to begin with, over all paths.
    pub fn connections(&self) -> u64 {
        (self.workers().0 * self.active) as u64
    }

    /// A call of the API at whichever address answers.
    pub fn call<T>(&self, call: impl Fn(&Client) -> Result<T>) -> Result<T> {
        let (trusted, suspect): (Vec<&NicPath>, Vec<&NicPath>) = self.list.iter().partition(|path| path.is_trusted());
        let mut rest = trusted.into_iter().chain(suspect).peekable();
        loop {
            let path = rest.next().expect("there is at least one lane");
            match call(&path.client) {
                Err(Error::Unreachable { .. }) if rest.peek().is_some() => {}
                other => return other,
            }
        }
    }

    /// The address to be used for what needs just one.
    pub fn client(&self) -> &Client {
        &self.list.iter().find(|path| path.is_trusted()).unwrap_or(&self.list[0]).client
    }

    /// Where the bytes went; nothing when there was no choice.
    pub fn shares(&self) -> Vec<Share> {
        let share = |path: &NicPath| Share {
            endpoint: path.client.address().to_string(),
            bytes: path.moved.load(Ordering::Relaxed),
        };
        if self.are_several() { self.list.iter().map(share).collect() } else { Vec::new() }
    }

    /// Whether this path is one of those in use.
    fn may_carry(&self, path: usize) -> bool {
        let before = self.list[..path].iter().filter(|path| path.is_trusted()).count();
        self.list[path].is_trusted() && before < self.active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn paths(count: usize, active: usize, connections: usize) -> NicPaths {
        let path = |at: usize| NicPath::new(Client::new(format!("127.0.0.{}:1", at + 1).parse().unwrap(), None));
        NicPaths { list: (0..count).map(path).collect(), active, identity: None, connections }
    }

    #[test]
    fn reserves_step_in_for_lanes_that_failed() {
        let paths = paths(4, 2, 4);
        let carrying = || (0..4).filter(|path| paths.may_carry(*path)).collect::<Vec<_>>();
        assert_eq!(carrying(), [0, 1]);
        paths.list[0].trusted.store(false, Ordering::Relaxed);
        assert_eq!(carrying(), [1, 2]);
        paths.list[2].trusted.store(false, Ordering::Relaxed);
        assert_eq!(carrying(), [1, 3]);
        paths.list[0].trusted.store(true, Ordering::Relaxed);
        assert_eq!(carrying(), [0, 1]);
    }

    #[test]
    fn connections_are_shared_out_and_bounded() {
        for (count, active, connections, workers) in [
            (1, 1, 4, (4, 4)),
            (1, 1, 32, (32, 32)),
            (3, 3, 4, (2, 8)),
            (2, 1, 4, (4, 8)),
            (3, 3, 1, (1, 2)),
            (3, 3, 32, (10, 10)),
            (32, 32, 4, (1, 1)),
        ] {
            assert_eq!(paths(count, active, connections).workers(), workers, "{count} {active} {connections}");
        }
    }

    #[test]
    fn a_call_goes_on_to_the_next_address_only_when_nobody_answers() {
        let paths = paths(3, 3, 4);
        paths.list[0].trusted.store(false, Ordering::Relaxed);
        let lost = || Error::Unreachable { server: "s".into(), source: crate::http1::WireError::Closed };
        let asked = Mutex::new(Vec::new());
        let ask = |good: &str| {
            asked.lock().unwrap().clear();
            paths.call(|client| {
                let name = client.address().authority();
                asked.lock().unwrap().push(name.clone());
                if name.starts_with(good) { Ok(()) } else { Err(lost()) }
            })
        };
        assert!(ask("127.0.0.3").is_ok());
        assert_eq!(*asked.lock().unwrap(), ["127.0.0.2:1", "127.0.0.3:1"]);
        assert!(ask("no-node").is_err());
        assert_eq!(*asked.lock().unwrap(), ["127.0.0.2:1", "127.0.0.3:1", "127.0.0.1:1"], "the suspect one last");
        let refused = paths.call(|_| -> Result<()> {
            asked.lock().unwrap().clear();
            Err(Error::Unauthorized { server: "s".into() })
        });
        assert!(matches!(refused, Err(Error::Unauthorized { .. })));
    }
}
