//! Everything the bucket says no to: status, code and message in one table (CONTRACT.md §B4-§B7).

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use super::xml;
use crate::catalogue::WriteError;
use crate::catalogue::principal::{Crowded, RETRY_CROWDED_S};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No multipart form, a broken one, or one without a `file`.
    #[error("The body of your POST request is not well-formed multipart/form-data.")]
    MalformedPost,
    /// A field of a form, or all of them, are above the limit.
    #[error("A field of the form, or all of them together, are longer than they may be.")]
    FieldTooLong,
    /// A form without `key`, or with `key` after `file`.
    #[error("Bucket POST must contain a field named 'key'. If it is specified, please check the order of the fields.")]
    NoKey,
    /// Something is not as it has to be.
    #[error("{0}")]
    InvalidArgument(&'static str),
    /// Not signed, or not for this.
    #[error("{0}")]
    AccessDenied(&'static str),
    /// Not the key id of this bucket.
    #[error("The OSS Access Key Id you provided does not exist in our records.")]
    UnknownAccessKeyId,
    /// Another signature is right.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your key and signing \
         method."
    )]
    WrongSignature {
        /// The id that was given with it.
        access_key_id: String,
        /// As it was given.
        provided: String,
    },
    /// Signed at another time.
    #[error("The difference between the request time and the current time is too large.")]
    TimeTooSkewed,
    /// A policy that cannot be read.
    #[error("Invalid Policy: {0}")]
    InvalidPolicy(&'static str),
    /// Its time is over.
    #[error("Invalid according to Policy: Policy expired.")]
    PolicyExpired,
    /// One of its conditions, as JSON, does not hold.
    #[error("Invalid according to Policy: Policy Condition failed: {0}")]
    ConditionFailed(String),
    /// No name of an object.
    #[error("The specified object is not valid.")]
    InvalidObjectName,
    /// More content than allowed.
    #[error("Your proposed upload exceeds the maximum allowed size.")]
    TooLarge,
    /// Less content than demanded.
    #[error("Your proposed upload is smaller than the minimum allowed size.")]
    TooSmall,
    /// The owner of the prefix has no room left.
    #[error("The storage quota of the owner of this prefix is used up.")]
    QuotaExceeded,
    /// The node has none.
    #[error("This server has no space left.")]
    NoSpace,
    /// The key is taken, and may not be taken over.
    #[error("The object you specified already exists and can not be overwritten.")] // word: ok
    AlreadyExists,
    /// The object is a file of a drive.
    #[error("The object is in use and cannot be deleted.")]
    Immutable,
    /// Not the content that was announced.
    #[error("The Content-MD5 you specified is not valid, or not that of the content.")]
    InvalidDigest,
    /// No such object.
    #[error("The specified key does not exist.")]
    NoSuchKey,
    /// Another bucket.
    #[error("The specified bucket does not exist.")]
    NoSuchBucket,
    /// A range outside of the object.
    #[error("The requested range cannot be satisfied.")]
    InvalidRange {
        /// Bytes the object has.
        size: u64,
    },
    /// `If-Match` or `If-Unmodified-Since` do not hold.
    #[error("At least one of the preconditions you specified did not hold.")]
    PreconditionFailed,
    /// Nothing is posted to an object.
    #[error("The specified method is not allowed against this resource.")]
    MethodNotAllowed,
    /// An operation of the provider that is not part of this one.
    #[error("A header, a parameter or a method you provided implies functionality that is not implemented.")]
    NotImplemented,
    /// Too many requests from there were signed wrong; retry after this many seconds.
    #[error("Too many requests from your address were not signed right; try again later.")]
    TooMany(u64),
    /// As many objects as the owner of the prefix may have.
    #[error(transparent)]
    Crowded(#[from] Crowded),
    /// The node cannot do it now.
    #[error("The server cannot do this now; try again.")]
    Unavailable,
    /// The node failed; its log says how.
    #[error("We encountered an internal error. Please try again.")]
    Internal,
}

impl Refusal {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::MalformedPost => (StatusCode::BAD_REQUEST, "MalformedPOSTRequest"),
            Self::FieldTooLong => (StatusCode::BAD_REQUEST, "FieldItemTooLong"),
            Self::NoKey | Self::InvalidArgument(_) => (StatusCode::BAD_REQUEST, "InvalidArgument"),
            Self::AccessDenied(_) | Self::PolicyExpired | Self::ConditionFailed(_) => {
                (StatusCode::FORBIDDEN, "AccessDenied")
            }
            Self::UnknownAccessKeyId => (StatusCode::FORBIDDEN, "InvalidAccessKeyId"),
            Self::WrongSignature { .. } => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
            Self::TimeTooSkewed => (StatusCode::FORBIDDEN, "RequestTimeTooSkewed"),
            Self::InvalidPolicy(_) => (StatusCode::BAD_REQUEST, "InvalidPolicyDocument"),
            Self::InvalidObjectName => (StatusCode::BAD_REQUEST, "InvalidObjectName"),
            Self::TooLarge => (StatusCode::BAD_REQUEST, "EntityTooLarge"),
            Self::TooSmall => (StatusCode::BAD_REQUEST, "EntityTooSmall"),
            Self::QuotaExceeded => (StatusCode::FORBIDDEN, "QuotaExceeded"),
            Self::NoSpace => (StatusCode::INSUFFICIENT_STORAGE, "InsufficientStorage"),
            Self::AlreadyExists => (StatusCode::CONFLICT, "FileAlreadyExists"),
            Self::Immutable => (StatusCode::CONFLICT, "FileImmutable"),
            Self::InvalidDigest => (StatusCode::BAD_REQUEST, "InvalidDigest"),
            Self::NoSuchKey => (StatusCode::NOT_FOUND, "NoSuchKey"),
            Self::NoSuchBucket => (StatusCode::NOT_FOUND, "NoSuchBucket"),
            Self::InvalidRange { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
            Self::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "PreconditionFailed"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            Self::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            Self::Crowded(_) => (StatusCode::TOO_MANY_REQUESTS, "TooManyObjects"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        }
    }

    /// The answer (CONTRACT.md §B2). `host` is what the client called this server.
    pub fn answer(&self, request_id: &str, host: &str) -> Response {
        let (status, code) = self.status_and_code();
        let message = self.to_string();
        let mut elements = vec![("Code", code), ("Message", &message), ("RequestId", request_id), ("HostId", host)];
        if let Self::WrongSignature { access_key_id, provided } = self {
            elements.extend([("OSSAccessKeyId", access_key_id.as_str()), ("SignatureProvided", provided.as_str())]);
        }
        let mut response = (status, xml::document("Error", &elements)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(xml::MEDIA_TYPE));
        match self {
            Self::InvalidRange { size } => {
                let range = HeaderValue::try_from(format!("bytes */{size}"));
                headers.insert(CONTENT_RANGE, range.expect("a number is visible ASCII"));
            }
            Self::MethodNotAllowed => {
                headers.insert(http::header::ALLOW, HeaderValue::from_static("GET, HEAD, PUT, DELETE, OPTIONS"));
            }
            Self::TooMany(seconds) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(*seconds));
            }
            Self::Crowded(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_CROWDED_S));
            }
            Self::Unavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        if error.is_full { Self::NoSpace } else { Self::Unavailable }
    }
}
