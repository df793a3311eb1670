//! What a decision is called, and how fast its bytes may move.

use serde::{Deserialize, Serialize};

/// Names one decision; facts that settle it carry it back. Unique within one run of the control plane.
pub type Ticket = u64;

/// How fast all bodies of one key may go together, on every core and connection of the node (easytransfer/CONTRACT.md
/// §8.7).
///
/// The rate of the newest grant holds for the key at once, also for bodies that already run. A remembered grant changes
/// nothing when it is used again, so a control plane that sets another rate also raises the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Names the limit's owner and direction; opaque to the data plane, never logged by it.
    pub key: String,
    /// Body bytes per second, at least [`Rate::BYTES_PER_S_MIN`]: less, 0 included, counts as that. `u64::MAX` lifts the
    /// limit from bodies that run under the key; new grants then need none.
    pub bytes_per_s: u64,
}

impl Rate {
    /// The slowest rate. A body that never ends looks like a broken server and holds a connection; a client that may move no
    /// byte at all is refused, not slowed down.
    pub const BYTES_PER_S_MIN: u64 = 1024;
}
