//! The client half of HTTP/1.1 over a blocking socket: enough for our own API, TUS and ranged downloads, and no more.
//!
//! What must stay true: one request at a time per connection; a connection whose answer was not read to its end, or
//! that answered before the request was sent whole, is never used again; every wait has a limit; every length is
//! bounded before memory is taken for it.

mod body;
mod connection;
mod head;

use std::io;
use std::time::Duration;

pub use connection::{Connection, Dial, Sent};
pub use head::{Framing, Request, ResponseHead};

/// To get a connection, per address tried.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Without a byte in either direction. A server that syncs each acknowledgement on a busy disk needs its time.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest response head.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most fields in a response head.
pub const FIELDS_MAX: usize = 100;
/// Largest JSON answer.
pub const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What can happen to a request on the wire.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// No connection.
    #[error("connect")]
    Connect(#[source] io::Error),
    /// The name leads nowhere.
    #[error("look up the host")]
    Lookup(#[source] io::Error),
    /// The local interface asked for cannot be used.
    #[error("use the interface {name}")]
    Interface {
        /// As given.
        name: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// The server closed before the answer was whole.
    #[error("the server closed the connection")]
    Closed,
    /// Nothing moved for as long as the connection allows ([`Dial::idle`]).
    #[error("nothing moved for too long")]
    TimedOut,
    /// This is not HTTP/1.1.
    #[error("the answer is not HTTP/1.1: {0}")]
    Malformed(&'static str),
    /// Larger than we are willing to take.
    #[error("the answer is too large")]
    TooLarge,
    /// Our own file ended early or could not be read: not the server's doing.
    #[error("read the local file")]
    Source(#[source] io::Error),
}

impl WireError {
    /// Whether a new connection may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Lookup(_) | Self::Broken(_) | Self::Closed | Self::TimedOut => true,
            Self::Malformed(_) | Self::TooLarge | Self::Source(_) | Self::Interface { .. } => false,
        }
    }
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What a blocking socket says when its time limit is over.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Broken(error),
        }
    }
}
