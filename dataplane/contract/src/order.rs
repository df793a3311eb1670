//! Orders: what the control plane wants done with bytes outside any client request. Repeated until a fact confirms them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::ObjectId;
use crate::grant::Ticket;

/// Body of `POST /line/orders`: a long poll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrdersQuery {
    /// [`link::VERSION`](crate::link::VERSION).
    pub version: u16,
    /// This run of the data plane.
    pub run: u64,
    /// `control_run` of the last answer seen; 0 at first. When it differs from the control plane's own, the answer comes
    /// at once and requests the inventory.
    pub control_run: u64,
    /// The highest epoch that the data plane knows, from any run of the control plane; the answer comes at once when it is old.
    /// A control plane that gets a higher one than its own continues above it.
    pub epoch: u64,
    /// Sequence number of the last order carried out.
    pub after: u64,
    /// Orders of an earlier answer are still being carried out: answer with the epoch, without orders.
    #[serde(default)]
    pub busy: bool,
    /// How the data plane is.
    pub node: NodeFacts,
}

/// What the data plane reports about itself; shown by `/api/info` and the advertisement of endpoints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// `ring` or `readiness`.
    pub engine: String,
    /// Number of cores at work.
    pub cores: usize,
    /// Bound addresses, `ip:port`.
    pub addresses: Vec<String>,
    /// The same for listeners with a port of their own, in the order of the configuration.
    #[serde(default)]
    pub separate: Vec<String>,
    /// Why the node no longer trusts its disk (PROMISES.md P6); `None` = healthy.
    pub degraded: Option<String>,
    /// Objects whose files are not what was recorded; they are not served.
    #[serde(default)]
    pub damaged: u64,
    /// Files that no record named at a start, waiting in `quarantine/`.
    #[serde(default)]
    pub quarantined: u64,
    /// Removed objects whose files could not be unlinked yet; their bytes still count.
    #[serde(default)]
    pub removals_due: u64,
    /// Bytes free on the file system of the objects.
    pub disk_free: u64,
    /// Size of that file system in bytes.
    pub disk_size: u64,
    /// Large bodies under way; an address without one is left out.
    #[serde(default)]
    pub transfers: Vec<OpenTransfers>,
}

/// Bodies of a megabyte and more that are under way over one address of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTransfers {
    /// The local address of their connections.
    pub address: IpAddr,
    /// Uploads.
    pub receiving: u32,
    /// Downloads.
    pub sending: u32,
}

/// Answer to [`OrdersQuery`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// This run of the control plane (random, not 0).
    pub control_run: u64,
    /// Grants with a smaller epoch are void from now on.
    pub epoch: u64,
    /// Send [`Fact::Inventory`](crate::Fact::Inventory), all pages.
    pub inventory: bool,
    /// With `inventory`: report these first. The control plane has incomplete records of them, so it cannot decide about them
    /// before; everything else in the inventory may come while it decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<ObjectId>,
    /// In sequence.
    pub orders: Vec<Order>,
    /// Promises made a while ago: those that no request uses end with [`Fact::Settled`](crate::Fact::Settled), for the
    /// answer that carried them was lost.
    #[serde(default)]
    pub unheard: Vec<Ticket>,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Ascending within one run of the control plane.
    pub sequence: u64,
    /// What to do.
    pub what: What,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Remove the bytes; confirmed by [`Fact::Removed`](crate::Fact::Removed), also when there were none.
    Remove {
        /// The object.
        object: ObjectId,
        /// Leave it alone (no fact) when a writer is active or a byte was accepted after this time, Unix milliseconds:
        /// expiry never hits a living upload (T-EXP-4).
        unless_written_since_unix_ms: Option<u64>,
    },
}
