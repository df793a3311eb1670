//! A grant: the control plane's permission to move bytes, with everything the data plane needs to act and to answer.
//!
//! The data plane may repeat a grant with `cache_ms > 0` for equal requests (same method, target, `Host`, credential
//! fields, `Origin`, method override, presence of `Range`) until that time passed or the epoch rose above `epoch`.

use serde::{Deserialize, Serialize};

pub use crate::limit::{Rate, Ticket};
use crate::step::{Step, What};
use crate::{ObjectId, Span};

/// A reply header field, name in the spelling to send.
pub type Field = (String, String);

/// What the control plane answers when the data plane shall act itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// [`link::VERSION`](crate::link::VERSION).
    pub version: u16,
    /// Carried back in the facts this grant leads to.
    pub ticket: Ticket,
    /// Dies when the epoch in [`Orders`](crate::order::Orders) rises above it.
    pub epoch: u64,
    /// How long equal requests may reuse it, in milliseconds; 0 = this request only.
    pub cache_ms: u64,
    /// Put on every reply under this grant, success or refusal (CORS, `Tus-Resumable`).
    #[serde(default)]
    pub headers: Vec<Field>,
    /// The holder among whose requests this one is counted while it is under way; `None`: it is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// What to do.
    pub act: Act,
}

/// A token, user, device or account whose requests under way are counted together, on every core and connection of the node,
/// and how many there may be: one more is 429. The number in each grant counts for the request it is given to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Names the holder; opaque to the data plane, never logged by it, the same in every run of the control plane.
    pub key: String,
    /// Most requests under way at once.
    pub at_once: u32,
}

/// The grant for the request that the client will probably send next, sent with the answer to this one. It holds for the same
/// host and credentials, without `Range`, `Upload-Length` and `Upload-Concat`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrefetchedGrant {
    /// Method of that request.
    pub method: String,
    /// Its target, as the data plane will read it.
    pub target: String,
    /// The decision; remembered only with `cache_ms > 0`.
    pub grant: Grant,
}

/// Answer to a recheck: may a transfer under way go on?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recheck {
    /// `false`: the right it began under has ended; cut it, keep what was stored.
    pub go: bool,
    /// Its speed limit from now on; `None` = no limit.
    pub rate: Option<Rate>,
    /// With `go: false`: the right holds, but there is no room for more (507).
    #[serde(default)]
    pub full: bool,
}

/// What a grant permits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// TUS PATCH, or POST with a body (creation-with-upload).
    Append(Append),
    /// TUS HEAD.
    State(State),
    /// GET or HEAD of content.
    Serve(Serve),
    /// End writers, remove the bytes, answer with these words.
    Remove(Remove),
    /// Build a final upload out of parts, then answer with these words.
    Concat(Concat),
    /// Send the request again with its body, at most this many bytes (else 413).
    Forward {
        /// Largest body the handler takes.
        bytes_max: u64,
    },
    /// Execute the step, report its outcome, and continue as that is answered.
    Step(Step),
}

impl Act {
    /// The speed limit of the bytes this permits to move.
    pub fn rate(&self) -> Option<&Rate> {
        match self {
            Self::Append(append) => append.rate.as_ref(),
            Self::Serve(serve) => serve.rate.as_ref(),
            Self::Step(Step { what: What::Receive(receive), .. }) => receive.rate.as_ref(),
            Self::State(_) | Self::Remove(_) | Self::Concat(_) | Self::Forward { .. } | Self::Step(_) => None,
        }
    }
}

/// Permission to add bytes to one upload. TUS words the reply (TUS.md).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Append {
    /// The upload.
    pub object: ObjectId,
    /// Declared length; `None` while deferred (then an `Upload-Length` on the PATCH sets it).
    pub length: Option<u64>,
    /// Largest length a deferred upload may reach.
    pub length_max: Option<u64>,
    /// `tus.parallel_writes`: the table of easytransfer/CONTRACT.md §2.4; else every offset mismatch is 409.
    pub parallel: bool,
    /// Bytes that may be stored under this grant; `None` = no limit is set. Settled by
    /// [`Fact::Settled`](crate::Fact::Settled), which releases what was not used.
    pub budget: Option<u64>,
    /// `Upload-Expires` = time of the last accepted byte + this, sent while incomplete. `None` = never expires.
    pub expires_after_s: Option<u64>,
    /// `Upload-Expires` is this moment, Unix milliseconds, whatever arrives; `None` = as `expires_after_s` says.
    #[serde(default)]
    pub expires_unix_ms: Option<u64>,
    /// Put on the reply that completes the upload.
    #[serde(default)]
    pub completed: Vec<Field>,
    /// POST: the body goes to offset 0 and success is 201 with these fields (`Location`, …); a refusal (too long,
    /// checksum) reports [`Fact::Discarded`](crate::Fact::Discarded). `None`: PATCH, success is 204.
    pub created: Option<Vec<Field>>,
    /// How fast the body may come; `None` = no limit.
    #[serde(default)]
    pub rate: Option<Rate>,
}

/// Permission to report the offset of an upload (TUS HEAD).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The upload.
    pub object: ObjectId,
    /// Declared length; `None` while deferred.
    pub length: Option<u64>,
    /// As in [`Append::expires_after_s`].
    pub expires_after_s: Option<u64>,
    /// As in [`Append::expires_unix_ms`].
    #[serde(default)]
    pub expires_unix_ms: Option<u64>,
    /// When the upload was created, Unix milliseconds: the base of `Upload-Expires` until a byte arrives.
    pub created_unix_ms: u64,
    /// `Upload-Metadata`, `Upload-Concat`, … exactly as the client gave them.
    pub fields: Vec<Field>,
}

/// Permission to send content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Serve {
    /// The object.
    pub object: ObjectId,
    /// Declared length: the total of `Content-Range`, also while incomplete. `None` = deferred and still unknown.
    pub length: Option<u64>,
    /// Present when the control plane knows the object to be complete (the data plane may know it earlier).
    pub complete: bool,
    /// Strong validator with its quotes; equal for all answers about this object.
    pub etag: String,
    /// When this version of the content came to be, Unix milliseconds: `Last-Modified`, and what conditions on dates compare
    /// with. A version that replaces another is later by a second at least. `None`: no date is sent.
    #[serde(default)]
    pub modified_ms: Option<u64>,
    /// The control plane judged `If-Match`, `If-None-Match`, `If-Modified-Since` and `If-Unmodified-Since` by itself.
    #[serde(default)]
    pub judged: bool,
    /// `Content-Type`, `Content-Disposition`, `X-Retention-*`, …: on 200 and 206.
    pub fields: Vec<Field>,
    /// `?chunk=N`: this span only, answered 200; 404 until all of it is there.
    pub chunk: Option<Span>,
    /// Bytes that are served no more (consumed chunks): a range that touches them is 410.
    #[serde(default)]
    pub consumed: Vec<Span>,
    /// Names the receiver, so that the ranges of one receiver add up; opaque to the data plane.
    pub receiver: String,
    /// `download_once`: send nothing before a [`Claim`](crate::fact::Claim) was answered with yes, keep the last block back
    /// until a second one was, and report how far the receiver's kernel acknowledged.
    pub hold_last: bool,
    /// `retention.once_mode: exclusive`: a delivery of everything is 409 while another one runs.
    #[serde(default)]
    pub exclusive: bool,
    /// Report the end of each delivery as [`Fact::Served`](crate::Fact::Served).
    pub report: bool,
    /// Full downloads before this one: `X-Download-Count` is one more, plus those that ended on this node since.
    #[serde(default)]
    pub counted: Option<u64>,
    /// How fast the content may go, whole or in part; `None` = no limit.
    #[serde(default)]
    pub rate: Option<Rate>,
}

/// Permission to remove an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remove {
    /// The object.
    pub object: ObjectId,
    /// Status of the reply once the bytes are unreachable.
    pub status: u16,
    /// Fields of the reply.
    pub fields: Vec<Field>,
    /// Body of the reply.
    pub body: String,
}

/// Permission to build `object` from the bytes of `parts`, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Concat {
    /// The final upload.
    pub object: ObjectId,
    /// Each part and its length; the same part may stand more than once.
    pub parts: Vec<(ObjectId, u64)>,
    /// Status of the reply once the final is complete.
    pub status: u16,
    /// Fields of the reply (`Location`, …).
    pub fields: Vec<Field>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_of_a_control_plane_that_knows_no_rates_limits_nothing() {
        let append = r#"{"append":{"object":"00000000000000000000000000000001","length":1,"length_max":null,
            "parallel":false,"budget":null,"expires_after_s":null,"created":null}}"#;
        let act: Act = serde_json::from_str(append).unwrap();
        let Act::Append(append) = &act else { panic!("{act:?}") };
        assert_eq!((append.expires_unix_ms, append.completed.len()), (None, 0), "nor moments of another dialect");
        assert_eq!(act.rate(), None);
    }
}
