//! Every refusal of this dialect: its status and its words, in one place (CONTRACT.md §2, §3.1, §4, §5).

use axum::response::{IntoResponse, Response};
use http::HeaderName;
use http::header::{ALLOW, CONTENT_RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::authority::guesses::TooMany;
use crate::catalogue::WriteError;
use crate::catalogue::principal::{Crowded, RETRY_CROWDED_S};
use crate::surface::refusal::Refused;

/// Why a request does not get what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A login that is not one.
    WrongLogin,
    /// No bearer token.
    NotAuthenticated,
    /// A token that counts for nothing.
    BadToken,
    /// Too many logins at this moment, or from this address.
    Busy {
        /// Seconds.
        retry_after: u64,
    },
    /// The upload is in as many pieces as it may be, and the chunk would make more of it.
    Scattered {
        /// So many.
        most: usize,
    },
    /// As many files or uploads as a device may have.
    Crowded(Crowded),
    /// A parameter that has to be there: where, and what it is called.
    Missing(&'static str, &'static str),
    /// Several fields that have to be there.
    MissingFields(Vec<&'static str>),
    /// A grant type other than the one there is.
    OtherGrantType(String),
    /// A body that cannot be read as what it says it is.
    Unreadable,
    /// Not a name for a file.
    Filename,
    /// No room for the header.
    TooSmall,
    /// The range ends before it begins.
    Backwards,
    /// Above the largest file.
    FileTooLarge,
    /// More or less data than the range.
    OtherLength,
    /// `Content-Range` says something else.
    OtherRange,
    /// A digest of the data is another one.
    Checksum,
    /// Another total than before.
    OtherTotal,
    /// The device's limit.
    Full,
    /// The node's, or its disk.
    NoSpace,
    /// What the chunk belonged to went away while it came.
    Changed,
    /// Nothing to download.
    NotComplete,
    /// A `Range` that is no range.
    RangeFormat,
    /// A range outside of a file of this size.
    OutOfRange(u64),
    /// Nothing to delete.
    NoFile(String),
    /// No such path.
    NotFound,
    /// No such method here; those there are.
    Method(&'static str),
    /// It may work in a moment.
    Unavailable,
    /// Our fault; the reason is in the log.
    Internal,
}

impl Refusal {
    fn status(&self) -> u16 {
        match self {
            Self::WrongLogin | Self::NotAuthenticated | Self::BadToken => 401,
            Self::Missing(..) | Self::MissingFields(_) | Self::OtherGrantType(_) => 422,
            Self::Unreadable
            | Self::Filename
            | Self::TooSmall
            | Self::Backwards
            | Self::OtherLength
            | Self::OtherRange
            | Self::Checksum
            | Self::RangeFormat => 400,
            Self::FileTooLarge => 413,
            Self::OtherTotal | Self::Changed => 409,
            Self::Full | Self::NoSpace => 507,
            Self::NotComplete | Self::NoFile(_) | Self::NotFound => 404,
            Self::OutOfRange(_) => 416,
            Self::Method(_) => 405,
            Self::Busy { .. } | Self::Crowded(_) | Self::Scattered { .. } => 429,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }

    fn detail(&self) -> Value {
        let missing = |place: &str, name: &str| json!({"type": "missing", "loc": [place, name], "msg": "Field required", "input": null});
        let text = match self {
            Self::WrongLogin => "Incorrect device ID or password",
            Self::NotAuthenticated => "Not authenticated",
            Self::BadToken => "Could not validate credentials",
            Self::Busy { .. } => "Too many logins; try again later",
            Self::Scattered { most } => {
                return json!(format!(
                    "The upload has {most} separate pieces; send chunks first that go on where received bytes end"
                ));
            }
            Self::Crowded(crowded) => return crowded.to_string().into(),
            Self::Missing(place, name) => return json!([missing(place, name)]),
            Self::MissingFields(names) => return names.iter().map(|name| missing("body", name)).collect(),
            Self::OtherGrantType(given) => {
                return json!([{
                    "type": "string_pattern_mismatch",
                    "loc": ["body", "grant_type"],
                    "msg": "String should match pattern 'password'",
                    "input": given,
                }]);
            }
            Self::Unreadable => "There was an error parsing the body",
            Self::Filename => "Invalid filename",
            Self::TooSmall => "Chunk data too small to contain valid header",
            Self::Backwards => "Invalid byte range (end_byte < start_byte)",
            Self::FileTooLarge => "File size exceeds limit",
            Self::OtherLength => "Chunk length does not match byte range",
            Self::OtherRange => "Content-Range does not match chunk header",
            Self::Checksum => "Checksum validation failed",
            Self::OtherTotal => "Declared total does not match",
            Self::Full => "Storage quota exceeded",
            Self::NoSpace => "No space left on this server",
            Self::Changed => "The upload changed meanwhile; send the chunk again",
            Self::NotComplete => "File is not complete and cannot be downloaded",
            Self::RangeFormat => "Invalid range header format",
            Self::OutOfRange(size) => return json!(format!("Range not satisfiable for file of size {size}")),
            Self::NoFile(name) => return json!(format!("File {name} not found")),
            Self::NotFound => "Not Found",
            Self::Method(_) => "Method Not Allowed",
            Self::Unavailable => "The server cannot do this now; try again",
            Self::Internal => "Internal Server Error",
        };
        text.into()
    }

    fn field(&self) -> Option<(HeaderName, String)> {
        match self {
            Self::WrongLogin | Self::NotAuthenticated | Self::BadToken => Some((WWW_AUTHENTICATE, "Bearer".into())),
            Self::OutOfRange(size) => Some((CONTENT_RANGE, format!("bytes */{size}"))),
            Self::Method(allowed) => Some((ALLOW, (*allowed).to_owned())),
            Self::Busy { retry_after } => Some((RETRY_AFTER, retry_after.to_string())),
            Self::Crowded(_) => Some((RETRY_AFTER, RETRY_CROWDED_S.to_string())),
            Self::Unavailable | Self::Scattered { .. } => Some((RETRY_AFTER, "1".into())),
            _ => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let refused = Refused::worded(self.status(), json!({"detail": self.detail()}));
        self.field().into_iter().fold(refused, |refused, (name, value)| refused.with(name, value)).into_response()
    }
}

impl From<TooMany> for Refusal {
    fn from(TooMany { retry_after_s }: TooMany) -> Self {
        Self::Busy { retry_after: retry_after_s }
    }
}

impl From<Crowded> for Refusal {
    fn from(crowded: Crowded) -> Self {
        Self::Crowded(crowded)
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        if error.is_full { Self::NoSpace } else { Self::Unavailable }
    }
}
