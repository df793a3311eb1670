//! The data plane: it moves bytes between sockets and disks, and decides nothing about who may.
//!
//! *Absent on purpose:* no SQL, no users, no policy, no dialect by name, no JSON beyond the control link and its own
//! refusals. `dataplane/README.md` follows one upload through these modules.
//!
//! * [`node`] starts the cores · `core` what one core owns · `listen` listeners · `accept` a core's life and who is let in
//! * `connection` one client connection · `wire` a socket with what was read ahead · `http` HTTP/1.1 without I/O · `body` bodies
//! * `control` the link to the control plane: decisions, facts, orders · `transfer` what a grant permits, a file each
//! * [`store`] objects at rest · `journal_writer` how a core writes its records
//! * `driver` the kernel behind one trait · `rates` speed limits · `limits` bounds per client · [`bounds`] all other figures
//! * `recover`, `health`, `heap`, `scan` upkeep · `counters` what a core counts
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests prepare files and wait for threads by themselves"))]

pub mod config;
pub mod node;

mod accept;
mod body;
#[doc(hidden)] // Its defaults are those of the configuration.
pub mod bounds;
mod connection;
mod control;
mod core;
mod counters;
mod driver;
mod health;
mod heap;
mod http;
mod journal_writer;
mod limits;
mod link;
mod listen;
mod rates;
mod recover;
mod scan;
mod start_error;
pub mod store;
mod transfer;
mod wire;

pub use config::Config;
pub use driver::{CoreOptions, Host, Machine, allowed_cpus, run_core};
pub use node::{Node, Opened, open, open_on, start};
pub use start_error::StartError;

/// What the tests, benchmarks and fuzz targets of this repository reach of the inside.
#[doc(hidden)]
pub mod testing {
    pub use crate::bounds::GRANTS_REMEMBERED_MAX;
    #[cfg(debug_assertions)]
    pub use crate::driver::faults;
    pub use crate::link::GrantCache;

    /// Heads and framing of HTTP/1.1.
    pub mod http {
        pub use crate::http::{
            ChunkStep, Decoder, Framing, Head, HeadLimits, HeadScan, LAST_CHUNK, Method, Reject, encode_chunk,
            forwarded_head,
        };
    }
    /// WebSocket frames.
    pub mod websocket {
        pub use crate::body::websocket::{FrameStep, MessageKind, Reader, Violation};
    }
}
