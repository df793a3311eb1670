//! What the data plane says about a request beside its head.

use std::net::SocketAddr;

use etransfer_contract::link;
use http::HeaderMap;

/// Which of the control link's calls this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A head; the body waits at the data plane.
    Decide,
    /// With its body, after [`Act::Forward`](etransfer_contract::grant::Act::Forward).
    Attached,
    /// What came of a step, in its body (`surface::reported`).
    Outcome,
    /// A transfer under way asks whether it may go on.
    Recheck,
    /// The control link's own paths.
    Line,
    /// No data plane at all: the socket is driven by hand.
    Bare,
}

/// How the client framed its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// There is none.
    None,
    /// Its length is told at its end.
    Chunked,
    /// This many bytes.
    Length(u64),
}

/// Everything the control link adds to a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Which call.
    pub call: Call,
    /// The client's address.
    pub peer: Option<SocketAddr>,
    /// The address it came to.
    pub listener: Option<SocketAddr>,
    /// Its body.
    pub body: BodyKind,
    /// Its method is HEAD, whatever the request line says.
    pub is_head: bool,
}

impl BodyKind {
    /// There is no body, or an empty one.
    pub fn is_empty(self) -> bool {
        match self {
            Self::None | Self::Length(0) => true,
            Self::Length(_) | Self::Chunked => false,
        }
    }

    /// Its length, when that is known before it is read.
    pub fn length(self) -> Option<u64> {
        match self {
            Self::None => Some(0),
            Self::Length(bytes) => Some(bytes),
            Self::Chunked => None,
        }
    }
}

impl Meta {
    /// Reads the control link's fields.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let address = |name| text(name).and_then(|text| text.parse().ok());
        Self {
            call: match text(link::CALL) {
                Some("decide") => Call::Decide,
                Some("attached") => Call::Attached,
                Some("outcome") => Call::Outcome,
                Some("recheck") => Call::Recheck,
                Some("call") => Call::Line,
                Some(_) | None => Call::Bare,
            },
            peer: address(link::PEER),
            listener: address(link::LISTENER),
            body: match text(link::BODY) {
                Some("chunked") => BodyKind::Chunked,
                Some(length) => length.parse().map_or(BodyKind::None, BodyKind::Length),
                None => BodyKind::None,
            },
            is_head: text(link::METHOD) == Some("HEAD"),
        }
    }
}
