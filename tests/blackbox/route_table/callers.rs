//! Who asks, and what an access letter of easytransfer/CONTRACT.md §0 means for each.

use super::rows::{Access, Row};
use crate::support::{OTHER_TOKEN, Request, TOKEN};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    Stranger,
    Wrong,
    StaticToken,
    /// A static token that `auth.admin_tokens` names.
    AdminToken,
    /// Ann, whose files the rows are about.
    Owner,
    /// Bob, whose they are not.
    Other,
    Administrator,
    /// With a session of ann's that was ended.
    LoggedOut,
    /// With a session that is there, of a person who may not sign in any more.
    Disabled,
}

/// The kinds of bodies (easytransfer/CONTRACT.md §1.4).
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// `{"error", "message"}`
    Gate,
    /// `{"detail": text}`
    Detail,
    /// `{"detail": [{"type", "loc", "msg", "input"}]}`
    Fields,
    /// HTML, for a browser.
    Page,
    /// JSON with these keys; of none, nothing is asked.
    Keys(&'static [&'static str]),
}

impl Caller {
    pub const ALL: [Self; 9] = [
        Self::Stranger,
        Self::Wrong,
        Self::StaticToken,
        Self::AdminToken,
        Self::Owner,
        Self::Other,
        Self::Administrator,
        Self::LoggedOut,
        Self::Disabled,
    ];

    /// Whose session, and its token.
    pub fn session(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Stranger | Self::Wrong | Self::StaticToken | Self::AdminToken => None,
            Self::Owner => Some(("ann", "session-of-ann")),
            Self::Other => Some(("bob", "session-of-bob")),
            Self::Administrator => Some(("chief", "session-of-chief")),
            Self::LoggedOut => Some(("ann", "session-that-ended")),
            Self::Disabled => Some(("dora", "session-of-dora")),
        }
    }

    fn credential(self) -> Option<&'static str> {
        match self {
            Self::Stranger => None,
            Self::Wrong => Some("wrong"),
            Self::StaticToken => Some(TOKEN),
            Self::AdminToken => Some(OTHER_TOKEN),
            other => other.session().map(|(_, token)| token),
        }
    }
}

/// The request with the caller's credential in both carriers, as the later clients send it.
pub fn by(caller: Caller, request: Request) -> Request {
    let request = request.without("X-API-Token");
    match caller.credential() {
        None => request,
        Some(token) => request.header("X-API-Token", token).header("Authorization", format!("Bearer {token}")),
    }
}

/// Status and body that easytransfer/CONTRACT.md §0's letter demands for this caller.
pub fn expected(row: &Row, caller: Caller) -> (u16, Shape) {
    use Caller::{AdminToken, Administrator, Disabled, LoggedOut, Other, Owner, StaticToken, Stranger, Wrong};
    let allowed = (row.status, row.shape);
    match (row.access, caller) {
        (Access::Open, _) => allowed,
        (_, Stranger | Wrong | LoggedOut | Disabled) => (401, Shape::Gate),
        // easytransfer/CONTRACT.md §6.3: what is another's does not exist.
        (Access::Credential, Other) if row.is_about_a_file() => (404, Shape::Detail),
        (Access::Credential, _) => allowed,
        // easytransfer/CONTRACT.md §6.2: a static token passes the gate but is no user.
        (Access::Session, StaticToken | AdminToken) => (401, Shape::Detail),
        (Access::Session, Owner | Other | Administrator) => allowed,
        (Access::SessionOrAdmin | Access::Admin, StaticToken) => (401, Shape::Detail),
        (Access::SessionOrAdmin, AdminToken | Owner | Other | Administrator) => allowed,
        (Access::Admin | Access::TokenOrAdmin, Owner | Other) => (403, Shape::Detail),
        (Access::Admin, AdminToken | Administrator) => allowed,
        (Access::TokenOrAdmin, StaticToken | AdminToken | Administrator) => allowed,
    }
}
