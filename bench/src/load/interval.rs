//! What one thread, one worker or all of them saw during one slot of the run. Intervals of one slot add up.

use serde::{Deserialize, Serialize};

use super::failure::{Failures, add_failures};
use super::latency::Latency;
use super::schedule::Slot;

/// Counts of one slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub slot: Slot,
    /// One per operation of the workload, in its order.
    pub rows: Vec<Row>,
    /// Failed operations, by kind.
    pub failures: Failures,
    /// File bytes written to sockets.
    pub sent: u64,
    /// File bytes read from sockets.
    pub received: u64,
    /// File bytes compared while they came, and the nanoseconds that took.
    pub verified: u64,
    pub verify_ns: u64,
    /// File bytes that the server has acknowledged, and uploads completed.
    pub stored: u64,
    pub uploads: u64,
    /// Files removed to keep within `room`.
    pub removed: u64,
    /// Connections opened.
    pub opened: u64,
    /// Arrivals of an open loop that found no free connection before the end.
    pub missed: u64,
}

/// Counts of one operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Operations that ended well in this slot, whenever they began.
    pub completed: u64,
    /// From the intended start; only of operations that were to start inside the window.
    pub latency: Latency,
}

impl Interval {
    pub fn new(slot: Slot, rows: usize) -> Self {
        Self {
            slot,
            rows: vec![Row::default(); rows],
            failures: Failures::new(),
            sent: 0,
            received: 0,
            verified: 0,
            verify_ns: 0,
            stored: 0,
            uploads: 0,
            removed: 0,
            opened: 0,
            missed: 0,
        }
    }

    /// Adds what another thread saw; the slot stays.
    pub fn merge(&mut self, other: &Self) {
        for (row, more) in self.rows.iter_mut().zip(&other.rows) {
            row.completed += more.completed;
            row.latency.merge(&more.latency);
        }
        add_failures(&mut self.failures, &other.failures);
        self.sent += other.sent;
        self.received += other.received;
        self.verified += other.verified;
        self.verify_ns += other.verify_ns;
        self.stored += other.stored;
        self.uploads += other.uploads;
        self.removed += other.removed;
        self.opened += other.opened;
        self.missed += other.missed;
    }

    pub fn completed(&self) -> u64 {
        self.rows.iter().map(|row| row.completed).sum()
    }

    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// All operations together.
    pub fn latency(&self) -> Latency {
        let mut all = Latency::default();
        self.rows.iter().for_each(|row| all.merge(&row.latency));
        all
    }
}
