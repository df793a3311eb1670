//! What a grant permits, one file per act. Each takes the request and the permit, moves the bytes and says what to answer.

pub mod acknowledged;
pub mod append;
pub mod body_writer;
pub mod compose;
pub mod concat;
pub mod data_file;
pub mod digest;
pub mod fault;
pub mod fence;
pub mod finish;
pub mod over_limit;
pub mod relay;
pub mod remove;
pub mod reportable;
pub mod sender;
pub mod serve;
pub mod state;
pub mod step;

use crate::http::Reply;

/// How an act ended for the client.
pub enum Answered {
    /// Send this.
    Reply(Reply),
    /// The act sent its own answer with this status, whole; the connection stays usable.
    Sent(u16),
    /// The answer cannot be finished or must not be given: close.
    Cut,
}
