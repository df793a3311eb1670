//! Tokens (CONTRACT.md §A2): JWTs of two kinds that carry the number of an account and name their session; both are
//! looked up at every request.
//!
//! Must stay true: a token counts no longer than its session, so it ends with a logout, another password, and an account that
//! is disabled, and stays ended when that is enabled again; one of a catalogue that is gone is unknown.

use serde::{Deserialize, Serialize};

use super::{Account, session};
use crate::authority::origin;
use crate::surface::cloudbackend::api::{Refusal, RequestContext};
use crate::surface::jwt;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Requests.
    Access,
    /// A new pair of tokens.
    Refresh,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// What it is for.
    pub token_type: Kind,
    /// Unix seconds.
    pub exp: u64,
    /// Unix seconds.
    pub iat: u64,
    /// 32 hex digits; the first half names the session.
    pub jti: String,
    /// Whose.
    pub user_id: u64,
}

/// Whose access token this is, now.
pub fn account(context: &RequestContext<'_>, token: &str) -> Result<Account, Refusal> {
    let claims = claims(context, token).ok_or(Refusal::BadToken)?;
    match claims.token_type {
        Kind::Refresh => return Err(Refusal::WrongTokenType),
        Kind::Access => {}
    }
    of_claims(context, &claims)
}

/// Whose session this is, while it lasts.
fn of_claims(context: &RequestContext<'_>, claims: &Claims) -> Result<Account, Refusal> {
    let account = Account::read(context.node(), claims.user_id).ok_or(Refusal::UserNotFound)?;
    if !account.is_active {
        return Err(Refusal::UserInactive);
    }
    if !session::is_open(context.node(), claims) {
        return Err(Refusal::BadToken);
    }
    origin::entered(format!("cloud:{}", account.id));
    Ok(account)
}

/// What a token says that was signed here and has not expired.
pub fn claims(context: &RequestContext<'_>, token: &str) -> Option<Claims> {
    jwt::verify(context.cloud().jwt_secret.expose().as_bytes(), token)
}
