//! Everything that can go wrong for a caller of this library, with the facts needed to act on it.
//!
//! Whether the same step may be tried again is answered here and nowhere else ([`Error::is_transient`]); which error a
//! refusal of the server is, in `Client::refusal`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::address::AddressFault;
use crate::http1::WireError;

/// Result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no server address.
    #[error("{text:?} is not a server address: {why}")]
    Address {
        /// As given.
        text: String,
        /// What is wrong with it.
        why: AddressFault,
    },
    /// An `https://` address.
    #[error("{server}: TLS is not built in yet, only http:// works")]
    TlsNotBuiltIn {
        /// As given.
        server: String,
    },
    /// No usable answer came back.
    #[error("cannot reach {server}")]
    Unreachable {
        /// Which server.
        server: String,
        /// Why.
        #[source]
        source: WireError,
    },
    /// Trying again led nowhere for as long as we were told to try.
    #[error("no progress for {} s", waited.as_secs())]
    Stuck {
        /// How long.
        waited: Duration,
        /// The last failure.
        #[source]
        source: Box<Error>,
    },
    /// 401.
    #[error("{server} wants a valid token")]
    Unauthorized {
        /// Which server.
        server: String,
    },
    /// 403.
    #[error("not allowed: {detail}")]
    Forbidden {
        /// The server's words.
        detail: String,
    },
    /// 404 or 410.
    #[error("{what} is not there")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// A short id fits several files.
    #[error("{prefix} is the start of {count} ids")]
    Ambiguous {
        /// As given.
        prefix: String,
        /// How many.
        count: usize,
    },
    /// A short id that cannot be one.
    #[error("{text:?} is not an id: hex digits, at most 32")]
    NotAnId {
        /// As given.
        text: String,
    },
    /// 507 and not (or no longer) willing to wait.
    #[error("the server has no room: {detail}")]
    NoSpace {
        /// The server's words.
        detail: String,
    },
    /// 413.
    #[error("too large for the server: {detail}")]
    TooLarge {
        /// The server's words.
        detail: String,
    },
    /// Any other refusal.
    #[error("the server answered {status} to {what}: {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What was asked.
        what: &'static str,
        /// The server's words.
        detail: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// An answer that does not follow the contract.
    #[error("the server's answer to {what} makes no sense: {why}")]
    Nonsense {
        /// What was asked.
        what: &'static str,
        /// What is wrong with the answer.
        why: &'static str,
    },
    /// A JSON answer of another shape.
    #[error("the server's answer to {what} is not the expected JSON")]
    Json {
        /// What was asked.
        what: &'static str,
        /// Where it differs.
        #[source]
        source: serde_json::Error,
    },
    /// A local file failed us.
    #[error("{action} {}", path.display())]
    File {
        /// Present tense: "open", "write".
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Only regular files travel.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// The source changed while it was read, so what arrived is no faithful copy.
    #[error("{} changed while it was uploaded", path.display())]
    SourceChanged {
        /// Which file.
        path: PathBuf,
    },
    /// The object behind an id changed between two ranges.
    #[error("{id} changed on the server while it was downloaded")]
    RemoteChanged {
        /// Which.
        id: String,
    },
    /// The download target exists and is something else.
    #[error("{} exists", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Another process holds the same transfer.
    #[error("another et is busy with {}", path.display())]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// A stream longer than one window, and a server that wants to know the length of an upload when it begins.
    #[error(
        "the server takes no upload of unknown length beyond {} MiB: save the stream to a file and upload that",
        window >> 20
    )]
    LengthWanted {
        /// What can be read ahead, in bytes.
        window: u64,
    },
    /// The upload has not said how long it will be.
    #[error("the upload {id} has not announced its length yet")]
    LengthUnknown {
        /// Which.
        id: String,
    },
    /// The upload behind a followed download went silent.
    #[error("the upload stopped at {available} of {size} bytes")]
    UploadIdle {
        /// Bytes there.
        available: u64,
        /// Bytes announced.
        size: u64,
    },
    /// All acknowledged, yet not complete at the end.
    #[error("the server holds {offset} of {size} bytes after everything was sent")]
    Incomplete {
        /// What it says it holds.
        offset: u64,
        /// What it should hold.
        size: u64,
    },
    /// The server knows a login no more, or never did.
    #[error("the login has expired")]
    LoginGone,
    /// The login in the browser was not finished.
    #[error("the login was not finished within {} s", waited.as_secs())]
    LoginUnfinished {
        /// How long.
        waited: Duration,
    },
    /// The transfer was cancelled.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Shorthand for a failed file operation.
    pub(crate) fn file(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::File { action, path: path.to_owned(), source: source.into() }
    }

    /// Whether the same step may succeed later without anyone doing anything about it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_transient(),
            Self::Refused { status, .. } => matches!(status, 408 | 409 | 416 | 423 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Address { .. } | Self::TlsNotBuiltIn { .. } | Self::Stuck { .. } | Self::Unauthorized { .. } => false,
            Self::Forbidden { .. } | Self::NotFound { .. } | Self::Ambiguous { .. } | Self::NotAnId { .. } => false,
            Self::NoSpace { .. } | Self::TooLarge { .. } | Self::Nonsense { .. } | Self::Json { .. } => false,
            Self::File { .. } | Self::NotAFile { .. } | Self::SourceChanged { .. } | Self::RemoteChanged { .. } => {
                false
            }
            Self::Exists { .. } | Self::Busy { .. } | Self::UploadIdle { .. } | Self::Incomplete { .. } => false,
            Self::LengthWanted { .. }
            | Self::LengthUnknown { .. }
            | Self::LoginGone
            | Self::LoginUnfinished { .. }
            | Self::Interrupted => false,
        }
    }

    /// How long the server wants us to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
