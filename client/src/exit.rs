//! Exit codes and hints: which number and which next step belong to which error, decided here and nowhere else.

use std::io;
use std::process::ExitCode;

use etransfer_client::Error;
use etransfer_client::http1::WireError;

/// How `et` ends. Documented in `cli::EXIT_CODES`; a test keeps the two equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Anything without a number of its own.
    Failure = 1,
    /// Also what clap ends with.
    Usage = 2,
    /// No such file, no such id.
    NotFound = 3,
    /// Token missing, unknown, or without the right.
    Unauthorised = 4,
    /// No room here or there, or the file is larger than allowed.
    NoSpace = 5,
    /// No answer for as long as we were willing to wait.
    Unreachable = 6,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Errors of the command line itself.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Neither given nor saved.
    #[error("no server is set up")]
    NoServer,
    /// Where would state go?
    #[error("HOME is not set")]
    NoHome,
    /// The server refuses every token we have for it.
    #[error("{server} does not accept the token")]
    TokenRefused {
        /// Which server.
        server: String,
    },
    /// Nothing is saved that could say who we are.
    #[error("not logged in at {server}")]
    NotLoggedIn {
        /// Which server.
        server: String,
    },
    /// The saved session is over; it was not sent.
    #[error("the session at {server} has expired")]
    SessionExpired {
        /// Which server.
        server: String,
    },
    /// The server finds no user behind the token. 1 and not 4: easytransfer/CONTRACT.md §11.1 for `whoami`.
    #[error("{server} knows no session for this token: it has ended, or the token is a static one")]
    NoSession {
        /// Which server.
        server: String,
    },
    /// A server without users.
    #[error("{server} has no users; use a token instead of a login")]
    NoUsers {
        /// Which server.
        server: String,
    },
    /// Neither given, nor in the configuration, nor saved. 1 and not 4, like every failed reload:
    /// easytransfer/CONTRACT.md §11.1.
    #[error("no token to reload {server} with")]
    #[cfg_attr(not(any(feature = "server", test)), expect(dead_code, reason = "`et server` makes it"))]
    NoTokenToReload {
        /// Which server.
        server: String,
    },
    /// The server did not take up its configuration.
    #[error("{server} was not reloaded")]
    #[cfg_attr(not(any(feature = "server", test)), expect(dead_code, reason = "`et server` makes it"))]
    NotReloaded {
        /// Which server.
        server: String,
        /// Why.
        #[source]
        source: Error,
    },
    /// A size that is none.
    #[error("{text:?} is not a size: a number and B, K, M, G or T")]
    NotASize {
        /// As given.
        text: String,
    },
    /// `--name` with several files.
    #[error("--name is for one file")]
    OneName,
    /// No terminal to ask at, and not told to go ahead.
    #[error("nothing deleted")]
    NotConfirmed,
    /// Some of several files failed; each was reported when it did.
    #[error("{failed} of {all} failed")]
    Some {
        /// How many failed.
        failed: usize,
        /// Of how many.
        all: usize,
        /// The code of the first.
        first: Code,
    },
}

/// The code for an error from any depth.
pub fn code_for(error: &anyhow::Error) -> Code {
    if let Some(error) = error.downcast_ref::<Error>() {
        return code_for_transfer(error);
    }
    match error.downcast_ref::<CliError>() {
        Some(CliError::TokenRefused { .. }) => Code::Unauthorised,
        Some(CliError::NotASize { .. } | CliError::OneName) => Code::Usage,
        Some(CliError::Some { first, .. }) => *first,
        Some(CliError::NotLoggedIn { .. } | CliError::SessionExpired { .. } | CliError::NoSession { .. }) => {
            Code::Failure
        }
        Some(CliError::NoUsers { .. } | CliError::NoTokenToReload { .. } | CliError::NotReloaded { .. }) => {
            Code::Failure
        }
        Some(CliError::NoServer | CliError::NoHome | CliError::NotConfirmed) | None => Code::Failure,
    }
}

fn code_for_transfer(error: &Error) -> Code {
    match error {
        Error::Address { .. } | Error::TlsNotBuiltIn { .. } | Error::NotAnId { .. } => Code::Usage,
        Error::NotFound { .. } => Code::NotFound,
        Error::Unauthorized { .. } | Error::Forbidden { .. } => Code::Unauthorised,
        Error::NoSpace { .. } | Error::TooLarge { .. } => Code::NoSpace,
        Error::File { source, .. } if is_full(source) => Code::NoSpace,
        Error::Unreachable { source: WireError::Interface { .. }, .. } => Code::Failure,
        Error::Unreachable { .. } => Code::Unreachable,
        Error::Stuck { source, .. } => match **source {
            Error::Refused { status: 500..=599, .. } => Code::Unreachable,
            ref source => code_for_transfer(source),
        },
        Error::Interrupted => Code::Interrupted,
        Error::Refused { .. } | Error::Nonsense { .. } | Error::Json { .. } | Error::Ambiguous { .. } => Code::Failure,
        Error::File { .. } | Error::NotAFile { .. } | Error::SourceChanged { .. } => Code::Failure,
        Error::RemoteChanged { .. } | Error::Exists { .. } | Error::Busy { .. } => Code::Failure,
        Error::LengthWanted { .. }
        | Error::UploadIdle { .. }
        | Error::LengthUnknown { .. }
        | Error::Incomplete { .. } => Code::Failure,
        Error::LoginGone | Error::LoginUnfinished { .. } => Code::Failure,
    }
}

/// The next step, where one is known.
pub fn hint_for(error: &anyhow::Error) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<Error>() {
        return hint_for_transfer(error);
    }
    match error.downcast_ref::<CliError>()? {
        CliError::NoServer => Some("run `et setup HOST:PORT`, or give --server"),
        CliError::TokenRefused { .. } => {
            Some("give --token; the server printed one at its first start, or its administrator has one for you")
        }
        CliError::NotLoggedIn { .. } => Some("run `et login`"),
        CliError::SessionExpired { .. } | CliError::NoSession { .. } => Some("log in again with `et login`"),
        CliError::NoTokenToReload { .. } => Some("give -t TOKEN, or the configuration of the server with -c FILE"),
        CliError::NotReloaded { source, .. } => hint_for_reload(source),
        CliError::NotConfirmed => Some("give --force to delete without being asked"),
        CliError::NoHome
        | CliError::OneName
        | CliError::NoUsers { .. }
        | CliError::NotASize { .. }
        | CliError::Some { .. } => None,
    }
}

fn hint_for_reload(error: &Error) -> Option<&'static str> {
    match error {
        Error::Unauthorized { .. } => {
            Some("give -t a token the server runs with; a new one in the file counts afterwards")
        }
        Error::Forbidden { .. } => Some("take a token of the server, or log in as an administrator"),
        Error::Refused { status: 400, .. } => {
            Some("fix the configuration file; until then the server keeps the settings it has")
        }
        other => hint_for_transfer(other),
    }
}

fn hint_for_transfer(error: &Error) -> Option<&'static str> {
    match error {
        Error::Unauthorized { .. } => Some("run `et login`, or give --token TOKEN"),
        Error::TlsNotBuiltIn { .. } => Some("use http:// inside a trusted network or through a tunnel"),
        Error::Unreachable { source: WireError::Interface { .. }, .. } => {
            Some("`ip link` lists the interfaces; before Linux 5.7 only root may choose one")
        }
        Error::Unreachable { .. } => Some("is the server running, and is the address right? `et status` shows it"),
        Error::Stuck { .. } | Error::Interrupted => {
            Some("run the same command again; a transfer continues where it stopped")
        }
        Error::NotFound { .. } => Some("`et list` shows what is there"),
        Error::Ambiguous { .. } => Some("give more digits of the id"),
        Error::NoSpace { .. } => Some("run the same command again when there is room; it continues where it stopped"),
        Error::File { source, .. } if is_full(source) => Some("make room, then run the same command again"),
        Error::SourceChanged { .. } => Some("run it again once nothing writes to the file"),
        Error::Exists { .. } => Some("give --force to replace it, or another name with -o"),
        Error::LoginGone | Error::LoginUnfinished { .. } => Some("run `et login` again for a new page"),
        Error::UploadIdle { .. } => Some("run the same command again when the upload has gone on"),
        Error::RemoteChanged { .. } | Error::Incomplete { .. } => Some("run the same command again"),
        Error::Address { .. } | Error::Forbidden { .. } | Error::NotAnId { .. } | Error::TooLarge { .. } => None,
        Error::Refused { .. } | Error::Nonsense { .. } | Error::Json { .. } | Error::File { .. } => None,
        Error::NotAFile { .. } | Error::Busy { .. } | Error::LengthUnknown { .. } => None,
        Error::LengthWanted { .. } => None,
    }
}

/// Our reader went away.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = match error.downcast_ref::<Error>() {
        Some(Error::File { source, .. }) => Some(source),
        _ => error.downcast_ref::<io::Error>(),
    };
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_kind_of_end_has_its_number() {
        let unreachable = || Error::Unreachable { server: "s".into(), source: WireError::Closed };
        let refused = |status| Error::Refused { status, what: "x", detail: String::new(), retry_after: None };
        let stuck = |source| Error::Stuck { waited: Duration::ZERO, source: Box::new(source) };
        let file = |kind: io::ErrorKind| Error::File { action: "write", path: PathBuf::new(), source: kind.into() };
        for (error, code) in [
            (Error::TlsNotBuiltIn { server: "https://x".into() }, 2),
            (Error::NotAnId { text: "x".into() }, 2),
            (Error::NotFound { what: "x".into() }, 3),
            (Error::Unauthorized { server: "x".into() }, 4),
            (Error::Forbidden { detail: "x".into() }, 4),
            (Error::NoSpace { detail: "x".into() }, 5),
            (Error::TooLarge { detail: "x".into() }, 5),
            (file(io::ErrorKind::StorageFull), 5),
            (file(io::ErrorKind::PermissionDenied), 1),
            (unreachable(), 6),
            (stuck(unreachable()), 6),
            (stuck(refused(503)), 6),
            (stuck(refused(409)), 1),
            (refused(400), 1),
            (Error::Exists { path: PathBuf::new() }, 1),
            (Error::LoginGone, 1),
            (Error::LoginUnfinished { waited: Duration::ZERO }, 1),
            (Error::Interrupted, 130),
        ] {
            let text = error.to_string();
            assert_eq!(code_for(&error.into()) as u8, code, "{text}");
        }
        let server = || "x".to_owned();
        for (error, code) in [
            (CliError::TokenRefused { server: server() }, 4),
            (CliError::NotLoggedIn { server: server() }, 1),
            (CliError::SessionExpired { server: server() }, 1),
            (CliError::NoSession { server: server() }, 1),
            (CliError::NoUsers { server: server() }, 1),
            (CliError::NoTokenToReload { server: server() }, 1),
            (CliError::NotReloaded { server: server(), source: unreachable() }, 1),
            (CliError::NoServer, 1),
        ] {
            let text = error.to_string();
            assert_eq!(code_for(&error.into()) as u8, code, "{text}");
        }
    }

    #[test]
    fn a_broken_pipe_is_no_failure() {
        assert!(is_broken_pipe(&io::Error::from(io::ErrorKind::BrokenPipe).into()));
        assert!(!is_broken_pipe(&io::Error::from(io::ErrorKind::StorageFull).into()));
    }
}
