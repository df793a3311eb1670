//! The two clocks of the store: wall time for records, a monotonic one for silence.
use std::time::{Duration, Instant};

use crate::driver::Machine;

/// Both, of one machine.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    machine: Machine,
    start: Instant,
}

impl Clock {
    pub(super) fn of(machine: &Machine) -> Self {
        Self { machine: machine.clone(), start: machine.now() }
    }

    /// Unix milliseconds; 0 for a clock before 1970.
    pub(super) fn unix_ms(&self) -> u64 {
        millis(self.machine.unix_time())
    }

    /// Milliseconds since the store was opened; never moves back.
    pub(super) fn ticks_ms(&self) -> u64 {
        millis(self.machine.now().saturating_duration_since(self.start))
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
