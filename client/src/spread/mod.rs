//! One file over several addresses of one node.
//!
//! # Words
//!
//! A *lane* is one address of the node, as a rule one NIC. A *seat* is one connection of a lane, on a thread of its own.
//! A *piece* is a span of the file that travels in one request. The *board* ([`board`]) holds the pieces nobody carries
//! yet and knows who carries the others; the *crew* ([`crew`]) is everybody who carries.
//!
//! # How the work is shared out
//!
//! * All seats take from one board, so a lane carries what its speed allows and needs no plan: twice as fast is twice
//!   as often back for more. Towards the end, and from a lane nobody knows yet, pieces are small, so that all lanes end
//!   together and none holds the last piece for long ([`board`]).
//! * Connections per lane follow the measured speed: one more is tried, and kept when it brought at least a tenth; one
//!   less is tried now and then, and kept when it cost almost nothing ([`width`]). A single lane has the number asked
//!   for, always.
//! * A lane that fails carries nothing until its address has answered a health check as the same node. Its pieces go
//!   back to the board at once. One seat asks, with growing pauses; so it rejoins by itself.
//! * When the board is empty and a lane idles while another would need much longer for its last piece, that piece's
//!   connection is broken ([`board::Board::relieve`]): what arrived of it stays, the rest is carried by the idle lane.
//!   So nothing is ever sent twice on purpose, and a lane that went silent costs seconds, not a time-out.
//! * With fewer lanes wanted than there are, the others are reserves: each steps in when one before it fails.
//! * Only while no lane is left does the patience of the transfer run out.
//!
//! What it does not do: believe a sender. Whether the bytes are there is settled by whoever uses this, as with one lane.

mod board;
mod crew;
mod width;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

pub(crate) use board::{Board, Job, Piece};
pub(crate) use crew::{Carry, Crew, Seat, first_cause, join};

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
pub(crate) struct Lane {
    pub client: Client,
    moved: AtomicU64,
    /// It works, as far as we know.
    trusted: AtomicBool,
    failures: Mutex<Failures>,
}

impl Lane {
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
pub(crate) struct Lanes {
    list: Vec<Lane>,
    /// So many carry at a time, the first that work.
    active: usize,
    /// Who must answer there.
    identity: Option<Identity>,
    connections: usize,
}

impl Lanes {
    /// For a file of `size` bytes. Whatever goes wrong with the question, the configured server is always there.
    pub fn find(client: &Client, nics: Nics, direction: Direction, size: u64, connections: u8) -> Self {
        let connections = usize::from(connections.max(1));
        let alone = || Self { list: vec![Lane::new(client.clone())], active: 1, identity: None, connections };
        if size < SPREAD_BYTES_MIN {
            return alone();
        }
        let Ok(candidates) = client.candidates(direction) else { return alone() };
        let list: Vec<Lane> = candidates
            .list
            .into_iter()
            .filter(|candidate| candidate.is_usable())
            .take(SEATS_MAX)
            .map(|candidate| Lane::new(client.at_address(candidate.address)))
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

    /// Connections of a lane: to begin with, and at most.
    fn seats(&self) -> (usize, usize) {
        if !self.are_several() {
            return (self.connections, self.connections);
        }
        let first = self.connections.div_ceil(self.active);
        let most = (SEATS_MAX / self.list.len()).max(1).min(2 * self.connections);
        (first.min(most), most)
    }

    /// Connections to begin with, over all lanes.
    pub fn connections(&self) -> u64 {
        (self.seats().0 * self.active) as u64
    }

    /// A call of the API at whichever address answers.
    pub fn call<T>(&self, call: impl Fn(&Client) -> Result<T>) -> Result<T> {
        let (trusted, suspect): (Vec<&Lane>, Vec<&Lane>) = self.list.iter().partition(|lane| lane.is_trusted());
        let mut rest = trusted.into_iter().chain(suspect).peekable();
        loop {
            let lane = rest.next().expect("there is at least one lane");
            match call(&lane.client) {
                Err(Error::Unreachable { .. }) if rest.peek().is_some() => {}
                other => return other,
            }
        }
    }

    /// The address to be used for what needs just one.
    pub fn client(&self) -> &Client {
        &self.list.iter().find(|lane| lane.is_trusted()).unwrap_or(&self.list[0]).client
    }

    /// Where the bytes went; nothing when there was no choice.
    pub fn shares(&self) -> Vec<Share> {
        let share = |lane: &Lane| Share {
            endpoint: lane.client.address().to_string(),
            bytes: lane.moved.load(Ordering::Relaxed),
        };
        if self.are_several() { self.list.iter().map(share).collect() } else { Vec::new() }
    }

    /// Whether this lane is one of those in use.
    fn may_carry(&self, lane: usize) -> bool {
        let before = self.list[..lane].iter().filter(|lane| lane.is_trusted()).count();
        self.list[lane].is_trusted() && before < self.active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn lanes(count: usize, active: usize, connections: usize) -> Lanes {
        let lane = |at: usize| Lane::new(Client::new(format!("127.0.0.{}:1", at + 1).parse().unwrap(), None));
        Lanes { list: (0..count).map(lane).collect(), active, identity: None, connections }
    }

    #[test]
    fn reserves_step_in_for_lanes_that_failed() {
        let lanes = lanes(4, 2, 4);
        let carrying = || (0..4).filter(|lane| lanes.may_carry(*lane)).collect::<Vec<_>>();
        assert_eq!(carrying(), [0, 1]);
        lanes.list[0].trusted.store(false, Ordering::Relaxed);
        assert_eq!(carrying(), [1, 2]);
        lanes.list[2].trusted.store(false, Ordering::Relaxed);
        assert_eq!(carrying(), [1, 3]);
        lanes.list[0].trusted.store(true, Ordering::Relaxed);
        assert_eq!(carrying(), [0, 1]);
    }

    #[test]
    fn connections_are_shared_out_and_bounded() {
        for (count, active, connections, seats) in [
            (1, 1, 4, (4, 4)),
            (1, 1, 32, (32, 32)),
            (3, 3, 4, (2, 8)),
            (2, 1, 4, (4, 8)),
            (3, 3, 1, (1, 2)),
            (3, 3, 32, (10, 10)),
            (32, 32, 4, (1, 1)),
        ] {
            assert_eq!(lanes(count, active, connections).seats(), seats, "{count} {active} {connections}");
        }
    }

    #[test]
    fn a_call_goes_on_to_the_next_address_only_when_nobody_answers() {
        let lanes = lanes(3, 3, 4);
        lanes.list[0].trusted.store(false, Ordering::Relaxed);
        let lost = || Error::Unreachable { server: "s".into(), source: crate::http1::WireError::Closed };
        let asked = Mutex::new(Vec::new());
        let ask = |good: &str| {
            asked.lock().unwrap().clear();
            lanes.call(|client| {
                let name = client.address().authority();
                asked.lock().unwrap().push(name.clone());
                if name.starts_with(good) { Ok(()) } else { Err(lost()) }
            })
        };
        assert!(ask("127.0.0.3").is_ok());
        assert_eq!(*asked.lock().unwrap(), ["127.0.0.2:1", "127.0.0.3:1"]);
        assert!(ask("nobody").is_err());
        assert_eq!(*asked.lock().unwrap(), ["127.0.0.2:1", "127.0.0.3:1", "127.0.0.1:1"], "the suspect one last");
        let refused = lanes.call(|_| -> Result<()> {
            asked.lock().unwrap().clear();
            Err(Error::Unauthorized { server: "s".into() })
        });
        assert!(matches!(refused, Err(Error::Unauthorized { .. })));
    }
}
