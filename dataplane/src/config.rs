//! The configuration of the data plane, read once. `et` fills it from the one configuration tree.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::bounds;

/// Everything a data plane needs to run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses to listen on, one `SO_REUSEPORT` listener per core each. Port 0: any free port, the same for
    /// all of them.
    pub addresses: Vec<SocketAddr>,
    /// Listeners beside those, each with a port of its own. Port 0: any free one. The control plane decides what is served there: it
    /// learns with each request which listener it came to.
    pub separate: Vec<SocketAddr>,
    /// The device that a listener is bound to as well, by its address; its connections answer through that device.
    pub devices: BTreeMap<IpAddr, String>,
    /// How many cores; `None` = every CPU in the allowed mask.
    pub cores: Option<usize>,
    /// The storage directory; `objects/`, `journal/` are made below it (0700).
    pub storage: PathBuf,
    /// The control plane's Unix socket.
    pub control_socket: PathBuf,
    /// Sources whose connections are not counted one by one: proxies, which stand for many clients. Address and bits.
    pub proxies: Vec<(IpAddr, u32)>,
    /// When acknowledged bytes are synced.
    pub durability: Durability,
    /// How the files of objects are opened for writing.
    pub write_mode: WriteMode,
    /// A damaged store is served read-only instead of not at all (PROMISES.md P18).
    pub serve_damaged: bool,
    /// How long a file that no record names stays in `quarantine/`; `None`: until it is taken away by hand.
    pub quarantine: Option<Duration>,
    /// Which engine to use.
    pub engine: EngineChoice,
    /// How long running bodies may take to end after SIGTERM.
    pub grace: Duration,
    /// Bounds (PROMISES.md P16, §4).
    pub limits: Limits,
}

/// When bytes are synced (PROMISES.md P2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Never: the kernel writes back when it likes.
    None,
    /// Before the final acknowledgement of an object.
    #[default]
    Complete,
    /// Before every acknowledgement.
    Every,
}

/// How the files of objects are opened for writing (IO.md §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteMode {
    /// Direct for bodies of 256 KiB and more, buffered below.
    #[default]
    Auto,
    /// Direct wherever whole blocks are written.
    Direct,
    /// Always through the page cache.
    Buffered,
}

/// Which engine to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineChoice {
    /// The ring; readiness when io_uring is refused.
    #[default]
    Auto,
    /// The ring or no start.
    Ring,
    /// Readiness (epoll).
    Readiness,
}

/// Bounds of one data plane.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open client connections over all cores; beyond it new ones get 503 and are closed.
    pub connections_max: usize,
    /// A head must be complete this long after its first byte (408).
    pub head_timeout: Duration,
    /// A keep-alive connection without a request is closed silently after this.
    pub keep_alive_timeout: Duration,
    /// A body without a byte for this long is cut, its prefix kept (T-PAT-13).
    pub body_idle_timeout: Duration,
    /// A body slower than this over `body_idle_timeout` is cut, bytes per second.
    pub body_rate_min: u64,
    /// An answer of which its client takes less than `body_rate_min` for this long is cut.
    pub answer_timeout: Duration,
    /// A client that acknowledges nothing of what is on its way for this long is dead.
    pub peer_timeout: Duration,
    /// Clients that take their answers too slowly, over all cores; beyond it the one that stalled first is cut.
    pub stalled_readers_max: usize,
    /// Open client connections from one address, or one /64 of IPv6; beyond it 503.
    pub connections_per_source_max: usize,
    /// Memory for requests that are not decided yet, over all cores; beyond it 503.
    pub undecided_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: bounds::CONNECTIONS_MAX,
            head_timeout: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(75),
            body_idle_timeout: Duration::from_secs(30),
            body_rate_min: 1024,
            answer_timeout: bounds::ANSWER_TIMEOUT,
            peer_timeout: bounds::PEER_TIMEOUT,
            stalled_readers_max: bounds::STALLED_READERS_MAX,
            connections_per_source_max: bounds::CONNECTIONS_PER_SOURCE_MAX,
            undecided_bytes_max: bounds::UNDECIDED_BYTES_MAX,
        }
    }
}
