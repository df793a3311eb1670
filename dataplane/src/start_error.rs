//! Why a data plane does not start: each error names what was tried, the value, and what to do.

use std::io;
use std::net::SocketAddr;

use crate::store::OpenError;

/// Why a data plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The storage directory cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// An address cannot be bound.
    #[error("listen on {address}: {error}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The error of the kernel.
        error: io::Error,
    },
    /// A listener cannot be bound to its device.
    #[error("bind {address} to {device}: {error}{}", wanted(error))]
    Device {
        /// The configured address.
        address: SocketAddr,
        /// The one that has the address.
        device: String,
        /// The error of the kernel.
        error: io::Error,
    },
    /// The driver of a core cannot be built.
    #[error("start core {core}: {error}")]
    Engine {
        /// Which one.
        core: usize,
        /// The error of the kernel.
        error: io::Error,
    },
    /// No randomness for the run id.
    #[error("random source: {0}")]
    Random(io::Error),
}

/// What a bind to a device lacks, when it is a right.
fn wanted(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; it needs CAP_NET_RAW here (AmbientCapabilities= in the unit, or setcap cap_net_raw+ep on the program), or \
             network.bind_device: false"
        }
        _ => "",
    }
}
