//! Why a body was not stored to its end, and the one table of what the client gets.
//!
//! | why | PATCH, creation | step |
//! |---|---|---|
//! | the client disconnected, is too slow, or another request took over (T-LOCK-2); the node stops | cut | cut; taken over: `Gone` |
//! | the right ended | 401 | `Revoked` |
//! | the upload was removed | cut | `Gone` |
//! | longer than the upload (T-PAT-9) | 400 | `TooLong` |
//! | longer than any upload may be (T-DEF-6) | 413 with the offset | `TooLong` |
//! | the next byte belongs to another writer | 409 with the offset | `Taken` |
//! | the reserved bytes are used up | 507 with the offset | `NoRoom` |
//! | another checksum (T-SUM-3), or its trailer is refused | 460, or the status of the refusal | `Mismatch`, or the refusal |
//! | the framing is broken | the status of the table in `http` | the same |
//! | the form ends inside the part | – | `Malformed` |
//! | the disk failed | [`Fault::reply`] | [`Fault::failure`] |

use std::sync::Arc;

use etransfer_contract::step::Failure;
use etransfer_contract::tus::Refusal;

use super::Answered;
use super::fault::{Broken, Fault};
use super::reportable::reportable;
use crate::body::BodyError;
use crate::control::live_grant::revoked;
use crate::core::Core;
use crate::http::{Reject, Reply};
use crate::store::Object;
use crate::wire::WireError;

/// Why a body was not stored to its end.
#[derive(Debug)]
pub enum Stop {
    /// The client has disconnected.
    Gone,
    /// Too slow or silent (T-PAT-13).
    Slow,
    /// Another request ended this writer (T-LOCK-2).
    Ended,
    /// The right to this transfer has ended.
    Revoked,
    /// The upload was removed.
    Removed,
    /// The node is stopping.
    Stopping,
    /// The body is longer than the upload (T-PAT-9).
    Surplus,
    /// The upload has no length yet and passes the largest one (T-DEF-6).
    TooLarge,
    /// The next byte belongs to another writer.
    Taken,
    /// The grant's budget is used up.
    NoRoom,
    /// The checksum is another one (T-SUM-3).
    Mismatch,
    /// The trailer is refused.
    Refused(Refusal),
    /// The chunked framing is broken.
    Framing(Reject),
    /// The form ends inside the part.
    Form,
    /// The disk failed, and the consequences were drawn ([`fault`](super::fault)).
    Disk(Fault),
    /// The disk failed just now. Never returned: [`BodyWriter::run`](super::body_writer::BodyWriter::run) draws the consequences while the claim is held.
    Broken(Broken),
}

impl Stop {
    /// What the client of a PATCH or a creation gets.
    pub async fn answer(self, core: &Core, object: &Arc<Object>) -> Answered {
        match self {
            Self::Surplus => refuse(400, "the body reaches beyond Upload-Length"),
            Self::TooLarge => {
                with_offset(core, object, Reply::detail(413, "the upload is larger than this server takes")).await
            }
            Self::NoRoom => failed(core, object, Fault::Full).await,
            Self::Mismatch => refuse(460, "the checksum does not match; nothing was kept"),
            Self::Refused(refusal) => refusal.into(),
            Self::Framing(reject) => Answered::Reply(Reply::reject(reject)),
            Self::Form => unreachable!("the body of an append is no form"),
            Self::Disk(fault) => failed(core, object, fault).await,
            Self::Broken(_) => unreachable!("the body writer draws the consequences"),
            Self::Revoked => Answered::Reply(revoked()),
            Self::Taken => mismatch(core, object).await,
            Self::Removed | Self::Ended | Self::Gone | Self::Slow | Self::Stopping => Answered::Cut,
        }
    }

    /// What the control plane gets in the report of a step; `Err`: the request ends with an answer of this plane.
    pub fn failure(self) -> Result<Failure, Answered> {
        Ok(match self {
            Self::Surplus | Self::TooLarge => Failure::TooLong,
            Self::NoRoom => Failure::NoRoom,
            Self::Taken => Failure::Taken,
            // No request takes over from a step: only a removal ends its writer.
            Self::Removed | Self::Ended => Failure::Gone,
            Self::Revoked => Failure::Revoked,
            Self::Mismatch => Failure::Mismatch,
            Self::Form => Failure::Malformed,
            Self::Disk(fault) => fault.failure(),
            Self::Broken(_) => unreachable!("the body writer draws the consequences"),
            Self::Framing(reject) => return Err(Answered::Reply(Reply::reject(reject))),
            Self::Refused(refusal) => return Err(refusal.into()),
            Self::Slow | Self::Gone | Self::Stopping => return Err(Answered::Cut),
        })
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<BodyError> for Stop {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Framing(reject) => Self::Framing(reject),
            BodyError::Form => Self::Form,
            BodyError::Slow | BodyError::Wire(WireError::Late) => Self::Slow,
            BodyError::Wire(WireError::Closed | WireError::Io(_)) => Self::Gone,
        }
    }
}

impl From<Refusal> for Answered {
    fn from(refusal: Refusal) -> Self {
        Self::Reply(Reply::refusal(&refusal))
    }
}

/// Refuses a request with a status and its reason.
pub fn refuse(status: u16, detail: impl Into<String>) -> Answered {
    Answered::Reply(Reply::detail(status, detail))
}

/// T-PAT-1, T-PAT-2: 409 with the true offset.
pub async fn mismatch(core: &Core, object: &Arc<Object>) -> Answered {
    let contiguous = match reportable(core, object).await {
        Ok(now) => now.look.contiguous,
        Err(fault) => return Answered::Reply(fault.reply()),
    };
    let reply = Reply::detail(409, format!("the upload continues at offset {contiguous}"));
    Answered::Reply(reply.field("Upload-Offset", contiguous.to_string()))
}

/// The answer to an error of the disk, with the offset to continue at when the disk is full.
pub async fn failed(core: &Core, object: &Arc<Object>, fault: Fault) -> Answered {
    match fault {
        Fault::Full => with_offset(core, object, Fault::Full.reply()).await,
        other => Answered::Reply(other.reply()),
    }
}

/// Adds the offset to continue at, when it may be reported.
async fn with_offset(core: &Core, object: &Arc<Object>, reply: Reply) -> Answered {
    Answered::Reply(match reportable(core, object).await {
        Ok(now) => reply.field("Upload-Offset", now.look.contiguous.to_string()),
        Err(_) => reply,
    })
}
