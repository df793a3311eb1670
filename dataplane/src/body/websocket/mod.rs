//! WebSocket (RFC 6455) as this server speaks it: version 13, no extensions, no subprotocols. Pure functions over byte
//! slices, no socket, no clock; `messages` moves the bytes.
//!
//! ```text
//! head ─► handshake ─► 101          bytes ─► frame head ─► reader ─► messages, content in place, control frames
//! ```
//!
//! * [`handshake`] the upgrade of a request · [`frame`] heads of frames, and the frames this server sends
//! * [`mask`] the masking of clients' bytes · [`reader`] what the next byte belongs to · [`violation`] breaches of the protocol
//!
//! Must stay true: the verdict on a client's bytes depends on them alone, never on how they were split into reads.

mod frame;
mod handshake;
mod mask;
mod reader;
mod violation;

#[cfg(test)]
mod tests;

pub use frame::{MessageKind, close, close_back, pong, text};
pub use handshake::accept;
pub use reader::{FrameStep, Reader};
pub use violation::Violation;
