//! Everything the JSON API refuses: statuses and words, in both languages, are decided here and nowhere else
//! (CONTRACT.md §A2 to §A6, §A9).

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::authority::guesses::TooMany;
use crate::catalogue::WriteError;
use crate::surface::cloudbackend::settings::Language;
use crate::surface::cloudbackend::{drive, drop};
use crate::surface::password::Busy;

/// A refusal on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    // Of every call (CONTRACT.md §A2).
    /// No bearer token.
    NotAuthenticated,
    /// An access token that counts for nothing.
    BadToken,
    /// A refresh token where an access token belongs.
    WrongTokenType,
    /// The token's account is gone.
    UserNotFound,
    /// The token's account is disabled.
    UserInactive,
    /// Only for an administrator.
    Forbidden,
    /// No such path, or nothing there for who asks.
    NotFound,
    /// The method is none here; those there are.
    Method(Method, &'static str),
    /// A body of a type that is not read here.
    MediaType(String),
    /// A body that is not what it says it is, and why.
    Json(String),
    /// An array or a scalar where an object belongs.
    Shape,
    /// Members that do not fit, each with its texts.
    Fields(Map<String, Value>),
    // Accounts (CONTRACT.md §A3).
    /// No such account, or not its password.
    WrongLogin,
    /// Failed logins, or tries of anything else; retry after this many seconds.
    TooManyLogins(u64),
    /// `refresh` is missing.
    NoRefreshToken,
    /// A refresh token that counts for nothing.
    BadRefreshToken,
    /// `old_password` is another one.
    WrongOldPassword,
    /// `new_password` is missing, blank or short.
    UnfitPassword,
    /// `email` is missing.
    NoEmail,
    /// Another account's.
    EmailTaken,
    /// Not an address.
    UnfitEmail,
    /// About files (CONTRACT.md §A4, §A5).
    Drive(drive::Refusal),
    /// About shares (CONTRACT.md §A6).
    Drop(drop::Refusal),
    // The node.
    /// Its disk is full.
    NodeFull,
    /// It cannot be written now, or too many wait.
    Away,
    /// Our fault; the reason is in the log.
    Failed,
}

/// How a text is told.
enum Body {
    /// `{"detail": …}`
    Detail(Cow<'static, str>),
    /// `{"error": …, "message": …}`, the same text in both.
    Error(&'static str),
    /// As it stands.
    Whole(Value),
}

impl Refusal {
    /// The answer, in the language people read here.
    pub fn answer(self, language: Language) -> Response {
        let (status, body) = self.worded(language);
        let body = match body {
            Body::Detail(text) => json!({"detail": text}),
            Body::Error(text) => json!({"error": text, "message": text}),
            Body::Whole(body) => body,
        };
        let status = StatusCode::from_u16(status).expect("the table has only statuses that exist");
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"api\""));
        }
        match self {
            Self::Method(_, allowed) => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::TooManyLogins(seconds) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::Drop(refusal) => {
                headers.extend(refusal.retry_after().map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
            }
            Self::NodeFull => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
            }
            Self::Away => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }

    fn worded(&self, language: Language) -> (u16, Body) {
        let detail = |text: &'static str| Body::Detail(text.into());
        let error = |zh, en| Body::Error(language.pick(zh, en));
        match self {
            Self::NotAuthenticated => (401, detail("Authentication credentials were not provided.")),
            Self::BadToken => (401, invalid_token("Token is invalid or expired")),
            Self::WrongTokenType => (401, invalid_token("Token has wrong type")),
            Self::UserNotFound => (401, Body::Whole(json!({"detail": "User not found", "code": "user_not_found"}))),
            Self::UserInactive => (401, Body::Whole(json!({"detail": "User is inactive", "code": "user_inactive"}))),
            Self::Forbidden => (403, detail("You do not have permission to perform this action.")),
            Self::NotFound => (404, detail("Not found.")),
            Self::Method(method, _) => (405, Body::Detail(format!("Method \"{method}\" not allowed.").into())),
            Self::MediaType(kind) => {
                (415, Body::Detail(format!("Unsupported media type \"{kind}\" in request.").into()))
            }
            Self::Json(why) => (400, Body::Detail(format!("JSON parse error - {why}").into())),
            Self::Shape => (400, detail("Invalid data")),
            Self::Fields(faults) => (400, Body::Whole(faults.clone().into())),
            Self::WrongLogin => (401, detail(language.pick("用户名或密码错误", "Username or Password error"))),
            Self::TooManyLogins(_) => (429, detail("Request was throttled.")),
            Self::NoRefreshToken => (400, error("需要refresh token", "Require refresh token")),
            Self::BadRefreshToken => (401, error("token无效或已过期", "Uneffective token")),
            Self::WrongOldPassword => (400, error("旧密码错误", "old_password error")),
            Self::UnfitPassword => (400, error("新密码无效", "new_password error")),
            Self::NoEmail => (400, error("邮箱不能为空", "Email is neccessary")),
            Self::EmailTaken => (400, error("邮箱已存在", "email already exists")),
            Self::UnfitEmail => (400, error("邮箱格式错误", "email format error")),
            Self::Drive(refusal) => whole(refusal.worded(language)),
            Self::Drop(refusal) => whole(refusal.worded(language)),
            Self::NodeFull => (507, detail("No space left on this server.")),
            Self::Away => (503, detail("The server cannot do this now; try again.")),
            Self::Failed => (500, detail("Internal server error.")),
        }
    }
}

fn whole((status, body): (u16, Value)) -> (u16, Body) {
    (status, Body::Whole(body))
}

fn invalid_token(message: &str) -> Body {
    Body::Whole(json!({
        "detail": "Given token not valid for any token type",
        "code": "token_not_valid",
        "messages": [{"token_class": "AccessToken", "token_type": "access", "message": message}],
    }))
}

/// Nothing happened, and it may work in a moment.
impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        if error.is_full { Self::NodeFull } else { Self::Away }
    }
}

impl From<TooMany> for Refusal {
    fn from(TooMany { retry_after_s }: TooMany) -> Self {
        Self::TooManyLogins(retry_after_s)
    }
}

impl From<Busy> for Refusal {
    fn from(_: Busy) -> Self {
        Self::Away
    }
}
