//! Facts: what happened to bytes, reported by the data plane. Delivered at least once and in order per object; every fact is
//! idempotent. `Completed` and `Removed` wait in the journal while the control plane is away.

use serde::{Deserialize, Serialize};

use crate::grant::Ticket;
use crate::{ObjectId, Span};

/// Body of `POST /line/facts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactBatch {
    /// [`link::VERSION`](crate::link::VERSION).
    pub version: u16,
    /// This run of the data plane (random). Reservations of earlier runs are void.
    pub run: u64,
    /// The run of the control plane that requested the [`Fact::Inventory`] pages in here: another run drops them. 0: any.
    #[serde(default)]
    pub asked_by: u64,
    /// In order.
    pub facts: Vec<Fact>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// Bytes were accepted. Only the newest one of an object matters.
    Progress(Presence),
    /// All bytes are there, synced per durability, checksums matched. Happens once per object, may be reported twice.
    Completed(Presence),
    /// A creation-with-upload was refused after its body began: the upload never existed.
    Discarded {
        /// The upload.
        object: ObjectId,
    },
    /// The bytes are gone and their space is given back (answers an order, a grant, or a failed upload).
    Removed {
        /// The object.
        object: ObjectId,
    },
    /// A grant with a budget is in use; reported only to a control plane that restarted, before its inventory ends.
    Open {
        /// The grant.
        ticket: Ticket,
        /// Where the bytes go.
        object: ObjectId,
        /// Bytes promised to it; some may be stored already.
        bytes: u64,
    },
    /// A grant with a budget ended: this many bytes of it were stored, the rest is released.
    Settled {
        /// The grant.
        ticket: Ticket,
        /// Bytes stored under it.
        stored: u64,
    },
    /// Deliveries ended.
    Served {
        /// Rises within a run: a fact that was reported before has a number not above the last one.
        number: u64,
        /// The object.
        object: ObjectId,
        /// The grant.
        ticket: Ticket,
        /// From the grant.
        receiver: String,
        /// What was promised to the client; `None` for an empty file.
        span: Option<Span>,
        /// Every byte of it was handed to the transport and the response ended without error; of a delivery that is held
        /// back ([`Serve::hold_last`](crate::grant::Serve::hold_last)) every byte was also acknowledged.
        whole: bool,
        /// How far a delivery that is held back got; `None`: not held back, or reported by a data plane that does not look.
        #[serde(default)]
        reach: Option<Reach>,
        /// How many ended like this, at least 1.
        times: u64,
    },
    /// Bytes of all objects together; reported before the first page, after what [`Orders::first`](crate::order::Orders::first)
    /// names: from now on decisions can be made, whatever page is still on its way.
    Stored {
        /// Bytes received.
        bytes: u64,
    },
    /// Everything the store holds; sent in pages, while the node serves, after the control plane (re)started or requested it.
    Inventory {
        /// This page.
        objects: Vec<Presence>,
        /// Nothing follows: an object that the control plane knows and no page named has no bytes.
        last: bool,
    },
}

/// How far a delivery got. Both count from the first byte of its span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// These bytes are in the receiver's kernel: it acknowledged them.
    pub acknowledged: u64,
    /// These bytes may be there too: they left, or may still leave, and no answer came. Never below `acknowledged`.
    pub sent: u64,
}

/// What is there of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Presence {
    /// The object.
    pub object: ObjectId,
    /// Bytes received, all ranges.
    pub received: u64,
    /// Bytes received without a gap from 0.
    pub contiguous: u64,
    /// Received spans, for `available_chunks`; empty when complete (then it is the whole).
    #[serde(default, skip_serializing_if = "crate::SpanSet::is_empty")]
    pub spans: crate::SpanSet,
    /// Final length once known (declared, or set later by a deferred upload).
    pub length: Option<u64>,
    /// All there.
    pub complete: bool,
    /// Last accepted byte, or completion; Unix milliseconds.
    pub at_unix_ms: u64,
}

/// Body of `POST /line/claim`: may these bytes of a held-back delivery leave? The data plane sends it before the first
/// byte, with the last block held back, and again before that block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The grant.
    pub ticket: Ticket,
    /// The object.
    pub object: ObjectId,
    /// From the grant.
    pub receiver: String,
    /// The whole delivery, last block included; `None` for an empty file.
    pub span: Option<Span>,
    /// From this offset on the bytes stay held back after a yes; `None`: none do.
    #[serde(default)]
    pub held_from: Option<u64>,
}

impl Claim {
    /// The bytes that leave after a yes.
    pub fn let_go(&self) -> Option<Span> {
        let span = self.span?;
        Span::new(span.start(), self.held_from.map_or(span.end(), |held| held.min(span.end())))
    }
}

/// Answer to a [`Claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `false`: another receiver has it, or is about to; close the connection short of `Content-Length`.
    pub go: bool,
    /// With `false`: the file is bound to another receiver, however the deliveries under way end; a repeated claim is refused too.
    #[serde(default)]
    pub bound: bool,
}
