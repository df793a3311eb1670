//! Steps: how the control plane moves bytes for a dialect whose answers it writes itself, without touching the bytes.
//!
//! ```text
//! decide ──► Act::Step(FormFields) ──► outcome: form fields, binary prefix ──► Act::Step(Receive) ──► outcome: bytes, digests ──► answer
//! ```
//!
//! A grant may be a [`Step`]. The data plane executes it and sends the request's head again as
//! [`outcome`](crate::link::CALL) with an [`Outcome`] as its body; the control plane answers with the next step, with the
//! response for the client, or with [`Act::Serve`](crate::grant::Act::Serve) of what the steps built. So each dialect is a
//! small state machine that writes its own answers, and the data plane knows framings, objects and digests, but no dialect.
//!
//! What must hold between two steps stands in [`Step::continuation`], which comes back in the outcome unread: a control plane
//! that restarted meanwhile continues.
//!
//! A request may become a conversation in messages of a WebSocket (RFC 6455):
//!
//! ```text
//! decide ──► WebSocketStep ──► outcome: text, or binary begins ──► WebSocketStep, saying something ──► … ──► Close
//!                                           └──► Receive ──► outcome: bytes, digests ──► WebSocketStep, saying so
//! ```
//!
//! A client that disconnects ends its steps: no outcome is sent. What [`Receive`] had stored is gone then, and
//! [`Fact::Settled`](crate::Fact::Settled) with 0 bytes says so.

use serde::{Deserialize, Serialize};

use crate::limit::{Rate, Ticket};
use crate::{ObjectId, Span};

/// One action of the data plane, whose outcome it reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Comes back in the [`Outcome`]; the data plane does not read it.
    #[serde(rename = "memo", default, skip_serializing_if = "String::is_empty")]
    pub continuation: String,
    /// What to do.
    pub what: What,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Read up to the next content of the body, and report what stands before it.
    #[serde(rename = "preface")]
    FormFields(FormFields),
    /// Move the content that follows into an object, all of it or nothing.
    Receive(Receive),
    /// Digest stored bytes.
    #[serde(rename = "examine")]
    DigestStored(DigestStored),
    /// Build a new object out of pieces of others.
    Compose(Compose),
    /// Set the length of an object whose bytes are all there: it is complete.
    Seal(Seal),
    /// Send a message over a WebSocket, and read the next one.
    #[serde(rename = "converse")]
    WebSocket(WebSocketStep),
    /// End a WebSocket.
    Close(Close),
}

/// Read up to the content, which stays unread. Outcome: [`StepReport::FormFields`], or a [`Failure`] of the framing.
///
/// With a form this may be repeated: each time the rest of the current part is discarded, and the next part is reported,
/// until [`FormFieldsReport::is_end`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FormFields {
    /// The body is `multipart/form-data` (RFC 7578); `None`: all of it is content.
    pub form: Option<Form>,
    /// This many bytes of the content are reported too, and are not content any more; fewer when the content is shorter.
    #[serde(default)]
    pub prefix_bytes: u16,
}

/// How to read a form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// From the `Content-Type` of the request, 1 to 70 characters.
    pub boundary: String,
    /// A part without a file name is content all the same when it has one of these names; any other one is a field.
    #[serde(default)]
    pub content_names: Vec<String>,
    /// A body that does not begin with the boundary is content as a whole ([`FormFieldsReport::is_form`] is `false`).
    #[serde(default)]
    pub or_plain: bool,
    /// Largest value of a field, in bytes: [`Failure::FieldTooLong`].
    pub field_bytes_max: u64,
    /// All fields together, names and values.
    pub fields_bytes_max: u64,
}

/// Move content into an object, from offset `at` on. Outcome: [`StepReport::Received`] or a [`Failure`]; after a failure
/// nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receive {
    /// The target object; created if absent.
    pub object: ObjectId,
    /// Offset of the first byte. The bytes must be neither stored nor owned by a writer, else [`Failure::Taken`].
    pub at: u64,
    /// The object is made by this step and holds nothing else: it is complete afterwards, and removed when this fails.
    pub is_whole: bool,
    /// The bytes survive a power cut before the outcome is sent, also when the object is not complete by then; with
    /// `durability: none` nothing does.
    #[serde(default)]
    pub sync: bool,
    /// Exactly this many bytes, else [`Failure::Short`] or [`Failure::TooLong`]. `None`: as many as arrive, which is allowed for a whole
    /// object only.
    pub exact: Option<u64>,
    /// At least this many, else [`Failure::Short`].
    #[serde(default)]
    pub min: u64,
    /// At most this many, else [`Failure::TooLong`] as soon as one more came.
    pub max: u64,
    /// Digests to report.
    #[serde(default)]
    pub digests: Vec<Digest>,
    /// Digests the content must have, in lower hex, else [`Failure::Mismatch`].
    #[serde(default)]
    pub expect: Vec<(Digest, String)>,
    /// Bytes reserved for this; settled under the grant's ticket after the outcome was answered. Fewer than come:
    /// [`Failure::NoRoom`].
    pub budget: u64,
    /// How fast the content may come; `None` = no limit.
    #[serde(default)]
    pub rate: Option<Rate>,
}

/// Digest bytes that are stored. Outcome: [`StepReport::Digested`], or [`Failure::Gone`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DigestStored {
    /// Of which object.
    pub object: ObjectId,
    /// Which bytes; `None` = an empty content.
    pub span: Option<Span>,
    /// Which digests.
    pub digests: Vec<Digest>,
}

/// Build `object`, which is not there yet, out of pieces, in order. It is complete afterwards; the pieces stay as they are.
/// Outcome: [`StepReport::Composed`], or [`Failure::Gone`] when a piece is not there, [`Failure::Taken`] when the name is or was
/// another object's, [`Failure::DiskFull`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compose {
    /// The new object.
    pub object: ObjectId,
    /// Bytes of other objects; [`Piece::Zeros`] fills a gap.
    pub pieces: Vec<Piece>,
    /// Digests of the whole, to report.
    #[serde(default)]
    pub digests: Vec<Digest>,
    /// As [`Receive::budget`].
    pub budget: u64,
}

/// One piece of a new object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// Bytes of an object.
    Of(ObjectId, Span),
    /// This many zero bytes.
    Zeros(u64),
}

impl Piece {
    /// How many bytes it adds.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Of(_, span) => span.len(),
            Self::Zeros(bytes) => *bytes,
        }
    }
}

/// Complete an object at `length`, with digests of the whole. Outcome: [`StepReport::Sealed`]; [`Failure::Short`] when bytes
/// are missing, [`Failure::Gone`] when it is not there. Sealing again at the same length is no error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seal {
    /// The object; made when it is not there and `length` is 0.
    pub object: ObjectId,
    /// Its length.
    pub length: u64,
    /// Digests of the whole, to report.
    #[serde(default)]
    pub digests: Vec<Digest>,
}

/// Send a message, then read the next one from the client. Outcome: [`StepReport::Message`]; [`Failure::NoUpgrade`],
/// [`Failure::FieldTooLong`].
///
/// The first one of a request answers `101` first; from then on the body is messages, and the rest of the current message is
/// discarded each time. After a failure to upgrade the request is an ordinary one and wants an answer;
/// after the upgrade only steps may follow, and an HTTP answer ends the conversation with 1011. The data plane handles pings,
/// pongs, fragments and violations of RFC 6455: it answers a violation with a close frame, which ends the steps as a
/// disconnect does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebSocketStep {
    /// A text message to send.
    #[serde(default)]
    pub say: Option<String>,
    /// Longest text message the client may send next, in bytes: [`Failure::FieldTooLong`].
    pub text_bytes_max: u16,
}

/// Send a close frame; this ends the request without an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// Why, for programs.
    pub code: CloseCode,
    /// Why, for people; cut off after 123 bytes.
    pub reason: String,
}

/// Status of a close frame that this server sends (RFC 6455 §7.4, and the registry it began).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseCode {
    /// The node stops, or has waited long enough.
    GoingAway = 1001,
    /// The client broke RFC 6455.
    Protocol = 1002,
    /// A kind of message that is not due.
    Unsupported = 1003,
    /// Text that is not UTF-8.
    NotText = 1007,
    /// The client may not do this.
    Policy = 1008,
    /// A message is too long.
    TooLong = 1009,
    /// Internal server error.
    Internal = 1011,
    /// No decision can be made now.
    TryAgain = 1013,
}

/// A digest of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Digest {
    /// 16 bytes.
    Md5,
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// CRC-64/XZ, 8 bytes, most significant first.
    Crc64,
    /// The sum of all bytes modulo 256: 1 byte.
    Sum8,
}

/// Body of an outcome call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// [`link::VERSION`](crate::link::VERSION).
    pub version: u16,
    /// The grant whose step this was.
    pub ticket: Ticket,
    /// From the [`Step`].
    #[serde(rename = "memo", default)]
    pub continuation: String,
    /// The report on the step.
    #[serde(rename = "told")]
    pub report: StepReport,
}

/// The report on a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepReport {
    /// Of [`FormFields`].
    #[serde(rename = "preface")]
    FormFields(FormFieldsReport),
    /// Of [`Receive`].
    Received {
        /// Content bytes.
        bytes: u64,
        /// In lower hex.
        digests: Vec<(Digest, String)>,
    },
    /// Of [`DigestStored`].
    #[serde(rename = "examined")]
    Digested {
        /// In lower hex.
        digests: Vec<(Digest, String)>,
    },
    /// Of [`Compose`].
    Composed {
        /// Bytes of the new object.
        bytes: u64,
        /// In lower hex.
        digests: Vec<(Digest, String)>,
    },
    /// Of [`Seal`].
    Sealed {
        /// In lower hex.
        digests: Vec<(Digest, String)>,
    },
    /// Of [`WebSocketStep`].
    Message(Message),
    /// The step failed, and changed nothing.
    Failed(Failure),
}

/// What a client sends over a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// A text message, whole.
    Text(String),
    /// A binary message begins. It is the content of the request now, and unread.
    Binary {
        /// Its bytes, when it is one frame; `None`: not known yet.
        bytes: Option<u64>,
    },
}

/// What stands before the next content of a body.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FormFieldsReport {
    /// The body is a form; `false` for plain content.
    pub is_form: bool,
    /// Fields between the last content and this one, in order: name and value. A value that is no UTF-8 has U+FFFD in it.
    #[serde(default)]
    pub fields: Vec<(String, String)>,
    /// The part the content belongs to; `None` for plain content and at the end.
    pub part: Option<Part>,
    /// The form ended: no content follows.
    #[serde(default)]
    pub is_end: bool,
    /// The first bytes of the content, as many as the step wants, in lower hex.
    #[serde(default)]
    pub prefix: String,
    /// Content bytes that follow, when the head of the request announced them.
    pub remaining: Option<u64>,
}

/// A part of a form that is content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its `name`.
    pub name: String,
    /// Its `filename`, as it came; U+FFFD where it is no UTF-8.
    pub filename: Option<String>,
    /// Its `Content-Type`.
    pub content_type: Option<String>,
}

/// Why a step changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The form is broken or ends in the middle.
    Malformed,
    /// A field, all of them, or a text message are above the limit.
    FieldTooLong,
    /// More content than allowed.
    TooLong,
    /// Less content than demanded, or bytes are missing.
    Short,
    /// A digest is another one.
    Mismatch,
    /// Another request is writing these bytes, or they are there already.
    Taken,
    /// The object, or a piece, is not there.
    Gone,
    /// The reserved bytes are used up.
    NoRoom,
    /// The disk is.
    DiskFull,
    /// The right to do this ended meanwhile.
    Revoked,
    /// The disk failed.
    Disk,
    /// The client did not request a WebSocket of version 13 as RFC 6455 §4.1 requires.
    NoUpgrade,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_reads_back_as_it_was_written() {
        let object = ObjectId::from_bytes([7; 16]);
        let receive = Receive {
            object,
            at: 5,
            is_whole: false,
            sync: true,
            exact: Some(3),
            min: 0,
            max: 3,
            digests: vec![Digest::Sum8],
            expect: vec![(Digest::Md5, "00".into())],
            budget: 3,
            rate: None,
        };
        let pieces = vec![Piece::Of(object, Span::new(0, 3).unwrap()), Piece::Zeros(2)];
        for what in [
            What::FormFields(FormFields { form: None, prefix_bytes: 17 }),
            What::Receive(receive),
            What::Compose(Compose { object, pieces, digests: Vec::new(), budget: 5 }),
            What::Seal(Seal { object, length: 5, digests: vec![Digest::Crc64] }),
            What::WebSocket(WebSocketStep { say: Some("user is: ann".into()), text_bytes_max: 4096 }),
            What::Close(Close { code: CloseCode::Policy, reason: "Invalid Token".into() }),
        ] {
            let step = Step { continuation: "m".into(), what };
            assert_eq!(serde_json::from_str::<Step>(&serde_json::to_string(&step).unwrap()).unwrap(), step);
        }
    }
}
