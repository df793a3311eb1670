//! What the control plane knows about the machine it runs on: its interfaces, what passes through them, and which of
//! them the next client should use.
//!
//! * [`netlink`] what the kernel says, and when it changes · [`discovery`] which of it counts (easytransfer/CONTRACT.md
//!   §5.3)
//! * [`identity`] which node this is · [`host`] processors and memory
//! * [`interface`] one NIC at one moment · [`traffic`] the newest sample of all of them
//! * [`devices`] which NIC holds an address
//! * [`endpoints`] the addresses clients are told · [`advice`] which of them the next client should use
//!
//! Must stay true: interfaces are found by events, only counters are read by the clock; nothing here changes the machine.

pub mod advice;
pub mod devices;
pub mod discovery;
pub mod endpoints;
pub mod host;
pub mod identity;
pub mod interface;
mod netlink;
pub mod proof;
pub mod traffic;
