//! What a grant permits, one file per act: [`append`], [`serve`], [`state`], [`remove`], [`mod@concat`]; [`step`] for dialects
//! whose answers the control plane writes; [`relay`] for answers of the control plane itself. Each act takes the request and
//! its grant, moves the bytes and returns an answer.
//!
//! Below them: [`body_writer`] and [`data_file`] write an upload, [`finish`] makes it durable and complete, [`reportable`] says what
//! may be acknowledged; [`sender`] sends content, [`acknowledged`] says how much of it arrived; [`compose`] and [`digest`] read
//! what is stored; [`fence`] ends writers; [`over_limit`] refuses what is one too many. [`stop`] has the one table from the reason why
//! a body ended early to an answer, [`fault`] the one from an error of the disk to its consequences.

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
pub mod stop;

use crate::http::Reply;

/// What the client gets from an act.
pub enum Answered {
    /// Send this.
    Reply(Reply),
    /// The act sent its own answer, whole, with this status; the connection stays usable.
    Sent(u16),
    /// The answer cannot be finished or must not be given: close.
    Cut,
}
