//! An ordinary refusal: a status, `{"detail": text}` unless the dialect has words of its own, and the fields the status
//! demands (easytransfer/CONTRACT.md §1.4).

use axum::Json;
use axum::response::{IntoResponse, Response};
use etransfer_contract::tus::Refusal;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::query::Invalid;
use crate::authority::Denied;
use crate::authority::guesses::TooMany;
use crate::catalogue::WriteError;
use crate::catalogue::principal::{Crowded, RETRY_CROWDED_S};
use crate::people::PeopleError;

/// A refusal on its way out.
#[derive(Debug, Clone)]
pub struct Refused {
    status: StatusCode,
    body: Value,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refused {
    /// `status` must be one that exists; the text is for people.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self::worded(status, json!({"detail": detail.into()}))
    }

    /// In a dialect's own words; `status` as above.
    pub fn worded(status: u16, body: Value) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, body, headers: Vec::new() }
    }

    /// 507 with the body of easytransfer/CONTRACT.md §4.
    pub fn full(what: &str, retry_after_s: u64) -> Self {
        let body = json!({
            "error": "Insufficient Storage",
            "message": format!("{what}; free some or wait, then resume at Upload-Offset"),
            "retry_after": retry_after_s,
        });
        Self::worded(507, body)
    }

    /// 404, the same words for what never was, is gone, or is another's.
    pub fn unknown() -> Self {
        Self::new(404, "no such file")
    }

    /// Adds a field.
    pub fn with(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.headers.push((name, value));
        }
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, HeaderMap::from_iter(self.headers), Json(self.body)).into_response()
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let plain = Self::new(refusal.status, refusal.detail);
        refusal.headers.into_iter().fold(plain, |refused, (name, value)| match HeaderName::try_from(name) {
            Ok(name) => refused.with(name, value),
            Err(_) => refused,
        })
    }
}

impl From<Invalid> for Refused {
    fn from(invalid: Invalid) -> Self {
        Self::worded(422, invalid.body())
    }
}

/// The database of people is away, or says no.
impl From<PeopleError> for Refused {
    fn from(error: PeopleError) -> Self {
        let status = match &error {
            PeopleError::Away { .. } => 503,
            PeopleError::Damaged { .. } => 500,
            PeopleError::Taken => 409,
            PeopleError::UnknownUser | PeopleError::UnknownGroup => 404,
            PeopleError::Inactive => 403,
            PeopleError::Unfit { .. } => 422,
        };
        match error {
            PeopleError::Away { reason } => {
                tracing::error!(%reason, "the database of people is away");
                Self::new(status, "the user database cannot be reached now").with(RETRY_AFTER, "2")
            }
            PeopleError::Damaged { reason } => {
                tracing::error!(%reason, "the database of people is damaged");
                Self::new(status, "the user database is damaged; its operator finds the reason in the log")
            }
            other => Self::new(status, other.to_string()),
        }
    }
}

/// A credential that does not let in.
impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unauthorized => {
                let body = json!({"error": "Unauthorized", "message": denied.to_string()});
                Self::worded(401, body).with(WWW_AUTHENTICATE, "Bearer")
            }
            Denied::TooMany(TooMany { retry_after_s }) => {
                let body = json!({"error": "Too Many Requests", "message": denied.to_string()});
                Self::worded(429, body).with(RETRY_AFTER, retry_after_s)
            }
            Denied::Busy => Self::new(503, denied.to_string()).with(RETRY_AFTER, "1"),
            Denied::People(error) => error.into(),
        }
    }
}

/// As many files or uploads as one may have.
impl From<Crowded> for Refused {
    fn from(crowded: Crowded) -> Self {
        Self::new(429, crowded.to_string()).with(RETRY_AFTER, RETRY_CROWDED_S)
    }
}

/// The catalogue's disk is full or failing: nothing happened, and it may work in a moment.
impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Self {
        let status = if error.is_full { 507 } else { 503 };
        let detail = if error.is_full { "no space left on this node" } else { "the catalogue cannot be written now" };
        Self::new(status, detail).with(RETRY_AFTER, "10")
    }
}
