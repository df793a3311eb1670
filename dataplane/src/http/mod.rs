//! HTTP/1.1 as this server speaks it: pure functions over byte slices, no socket, no clock.
//!
//! ```text
//! bytes ─► scan ─► head ─► framing ─► chunked ─► body bytes, trailers
//!                   │
//!                   └► rebuild ─► control link ─► response ─► reply ─► bytes
//! ```
//!
//! Must stay true: one parser and one place that decides framing, for clients and for what is forwarded; the verdict on
//! a message depends on its bytes alone, never on how they were split into reads (every check of the scanner looks only
//! at bytes up to the one it refuses); what is forwarded is rebuilt from parsed parts, never copied.

mod chunked;
mod date;
mod fields;
mod framing;
mod head;
mod hop;
mod method;
mod reason;
mod rebuild;
mod reject;
mod reply;
mod response;
mod scan;
mod section;
mod target;
mod trailers;

#[cfg(test)]
mod tests;

pub use chunked::{ChunkStep, Decoder, LAST_CHUNK, encode_chunk};
pub use framing::Framing;
pub use head::Head;
pub use method::Method;
pub use reason::reason;
pub use rebuild::forwarded_head;
pub use reject::Reject;
pub use reply::Reply;
pub use response::ResponseHead;
pub use scan::{HeadLimits, HeadScan};
