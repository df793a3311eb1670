//! Everything this dialect refuses (CONTRACT.md §2.2): statuses and words are decided here and nowhere else.

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use etransfer_contract::tus;
use http::header::{ALLOW, RETRY_AFTER, SEC_WEBSOCKET_VERSION, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::route::NoRoute;
use crate::authority::guesses::TooMany;
use crate::catalogue::WriteError;
use crate::catalogue::principal::{Crowded, RETRY_CROWDED_S};

/// A refusal on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No bearer token (CONTRACT.md §2.1).
    NotAuthenticated,
    /// An unknown token.
    InvalidToken,
    /// The id is not in the list, or the token is another user's (CONTRACT.md §3.1, §3.2).
    UserNotAllowed,
    /// On the list, but there is no such user yet (CONTRACT.md §3.2).
    UserNotFound,
    /// No such path.
    NoRoute(NoRoute),
    /// Not on this path.
    Method(&'static [Method]),
    /// Too many requests: retry after this many seconds (CONTRACT.md §2.4).
    TooMany(u64),
    /// As many files or uploads as a user may have.
    Crowded(Crowded),
    /// No such file, for callers that may see any (CONTRACT.md §4.2).
    FileNotFound,
    /// No such file of the caller's (CONTRACT.md §4.4).
    FileNotYours,
    /// No such upload in parts (8).
    UploadNotFound,
    /// The form has no such part (CONTRACT.md §4.1).
    Missing(&'static str),
    /// The part is a plain field.
    NotAFile(&'static str),
    /// No form, or a broken one.
    Form(&'static str),
    /// Larger than a file may be, in MB.
    FileTooLarge(u64),
    /// The user's files would be too many bytes together, in MB.
    TotalTooLarge(u64),
    /// `delete_all` without `confirm=yes` (CONTRACT.md §4.5).
    Unconfirmed,
    /// `delete_all` with another `function`.
    UnknownFunction,
    /// A condition of the request does not hold (RFC 9110 §13).
    Precondition,
    /// The node, or its catalogue, is full.
    NodeFull,
    /// What is stored is not known yet, or cannot be written now.
    Away,
    /// The disk.
    Failed,
    /// What TUS words itself.
    Tus(tus::Refusal),
    /// `/upload_socket` is for WebSockets alone (8).
    NoUpgrade,
}

impl Refusal {
    /// Status and text. "Both" of CONTRACT.md §2.2: the text stands under `error` too.
    fn worded(&self) -> (u16, Cow<'static, str>, Members) {
        use Members::{Both, Detail};
        let (status, text, members): (u16, &'static str, Members) = match self {
            Self::NotAuthenticated => (401, "Not authenticated", Detail),
            Self::InvalidToken => (401, "Invalid Token", Detail),
            Self::UserNotAllowed => (403, "User not allowed", Detail),
            Self::UserNotFound => (404, "User not found", Detail),
            Self::NoRoute(NoRoute::Unknown) => (404, "Not Found", Detail),
            Self::NoRoute(NoRoute::Broken) => (400, "The path has a broken escape", Detail),
            Self::Method(_) => (405, "Method Not Allowed", Detail),
            Self::TooMany(_) => (429, "Too many requests", Both),
            Self::Crowded(crowded) => return (429, crowded.to_string().into(), Both),
            Self::FileNotFound => (404, "File not found", Detail),
            Self::FileNotYours => (404, "File not found", Both),
            Self::UploadNotFound => (404, "Upload not found", Detail),
            Self::Missing(_) => (422, "Field required", Detail),
            Self::NotAFile(_) => (422, "Value error, Expected UploadFile", Detail),
            Self::Form(text) => (400, text, Detail),
            Self::FileTooLarge(mb) => return (413, format!("File size exceeds limit of {mb}MB").into(), Detail),
            Self::TotalTooLarge(mb) => return (403, format!("Total size limit of {mb}MB exceeded").into(), Detail),
            Self::Unconfirmed => {
                (404, "Invalid delete_all parameter. Use '?confirm=yes' to confirm deletion of all files.", Both)
            }
            Self::UnknownFunction => (405, "Invalid function parameter", Both),
            Self::Precondition => (412, "Precondition Failed", Detail),
            Self::NodeFull => (507, "No space left on this server", Detail),
            Self::Away => (503, "Service Unavailable", Detail),
            Self::Failed => (500, "Internal Server Error", Detail),
            Self::Tus(refusal) => return (refusal.status, refusal.detail.clone(), Detail),
            Self::NoUpgrade => (426, "This is a WebSocket of version 13: ask for an upgrade", Detail),
        };
        (status, text.into(), members)
    }

    /// As one element of the answer to a batch (8).
    pub fn in_batch(&self, filename: &str) -> Value {
        let (status, text, _) = self.worded();
        json!({"filename": filename, "status_code": status, "error": text})
    }

    fn body(&self, text: &str, members: Members) -> Value {
        let invalid = |kind: &str, field: &str| json!({"detail": [{"type": kind, "loc": ["body", field], "msg": text, "input": null}]});
        match (self, members) {
            (Self::Missing(field), _) => invalid("missing", field),
            (Self::NotAFile(field), _) => invalid("value_error", field),
            (_, Members::Both) => json!({"detail": text, "error": text}),
            (_, Members::Detail) => json!({"detail": text}),
        }
    }

    fn fields(&self) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            Self::NotAuthenticated | Self::InvalidToken => {
                vec![(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))]
            }
            Self::Method(methods) => {
                let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
                HeaderValue::try_from(names.join(", ")).map(|names| (ALLOW, names)).into_iter().collect()
            }
            Self::UnknownFunction => vec![(ALLOW, HeaderValue::from_static("DELETE"))],
            Self::TooMany(seconds) => vec![(RETRY_AFTER, HeaderValue::from(*seconds))],
            Self::Crowded(_) => vec![(RETRY_AFTER, HeaderValue::from(RETRY_CROWDED_S))],
            // `Upgrade` is a matter of the connection: the data plane writes it.
            Self::NoUpgrade => vec![(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))],
            Self::Away => vec![(RETRY_AFTER, HeaderValue::from_static("1"))],
            Self::NodeFull => vec![(RETRY_AFTER, HeaderValue::from_static("10"))],
            Self::Tus(refusal) => {
                let field = |(name, value): &(&str, String)| {
                    Some((HeaderName::try_from(*name).ok()?, HeaderValue::try_from(value).ok()?))
                };
                refusal.headers.iter().filter_map(field).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Which members carry the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Members {
    Detail,
    Both,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text, members) = self.worded();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body(&text, members))).into_response();
        response.headers_mut().extend(self.fields());
        response
    }
}

impl From<TooMany> for Refusal {
    fn from(TooMany { retry_after_s }: TooMany) -> Self {
        Self::TooMany(retry_after_s)
    }
}

impl From<tus::Refusal> for Refusal {
    fn from(refusal: tus::Refusal) -> Self {
        Self::Tus(refusal)
    }
}

/// Nothing happened, and it may work in a moment.
impl From<Crowded> for Refusal {
    fn from(crowded: Crowded) -> Self {
        Self::Crowded(crowded)
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        if error.is_full { Self::NodeFull } else { Self::Away }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_2_2_members_and_fields() {
        let body = |refusal: &Refusal| {
            let (_, text, members) = refusal.worded();
            refusal.body(&text, members)
        };
        assert_eq!(body(&Refusal::NotAuthenticated), json!({"detail": "Not authenticated"}));
        assert_eq!(body(&Refusal::FileNotYours), json!({"detail": "File not found", "error": "File not found"}));
        assert_eq!(
            body(&Refusal::Missing("file")),
            json!({"detail": [{"type": "missing", "loc": ["body", "file"], "msg": "Field required", "input": null}]})
        );
        assert_eq!(body(&Refusal::FileTooLarge(1)), json!({"detail": "File size exceeds limit of 1MB"}));
        assert_eq!(
            Refusal::TotalTooLarge(2).in_batch("a.txt"),
            json!({"filename": "a.txt", "status_code": 403, "error": "Total size limit of 2MB exceeded"})
        );
        let response = Refusal::Method(&[Method::GET, Method::HEAD]).into_response();
        assert_eq!((response.status().as_u16(), response.headers()[ALLOW].as_bytes()), (405, &b"GET, HEAD"[..]));
        assert_eq!(Refusal::InvalidToken.into_response().headers()[WWW_AUTHENTICATE], "Bearer");
        assert_eq!(Refusal::TooMany(7).into_response().headers()[RETRY_AFTER], "7");
    }
}
