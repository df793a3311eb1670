//! Logging in, going on, logging out (CONTRACT.md §A3).

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::session::{self, Tokens};
use super::token::{self, Claims, Kind};
use super::{Account, fit};
use crate::audit;
use crate::authority::guesses::Principal;
use crate::core::SurfaceId;
use crate::node::Edit;
use crate::surface::cloudbackend::api::texts::Text;
use crate::surface::cloudbackend::api::{Refusal, RequestContext, told};
use crate::surface::password::Purpose;

/// Wrong passwords count against the name and the address.
pub struct Guess<'a> {
    context: &'a RequestContext<'a>,
    name: Option<&'a str>,
    account: Option<&'a str>,
    /// Name and password.
    credential: String,
}

impl<'a> Guess<'a> {
    /// `Err`: there were too many.
    pub fn begin(context: &'a RequestContext<'a>, username: &'a str, password: &str) -> Result<Self, Refusal> {
        // Impossible names are not remembered.
        let name = fit::username(username).ok();
        let account = name.filter(|name| Account::by_name(context.node(), name).is_some());
        let guess = Self { context, name, account, credential: format!("{username}\n{password}") };
        guess.check()?;
        Ok(guess)
    }

    /// Whether it was right. Also what is right is refused when too many wrong ones were judged meanwhile.
    pub async fn judge(&self, password: &str, phc: Option<&str>) -> Result<bool, Refusal> {
        let app = self.context.app;
        let is_right = app.passwords.verify(Purpose::Login, password, phc).await?;
        self.check()?;
        if is_right {
            app.authority.guesses.right(&self.credential);
        } else {
            app.denials.note_login(self.account);
            app.authority.guesses.wrong_at(self.principal(), &self.credential)?;
        }
        Ok(is_right)
    }

    fn check(&self) -> Result<(), Refusal> {
        Ok(self.context.app.authority.guesses.admit_at(self.principal(), &self.credential)?)
    }

    fn principal(&self) -> Option<Principal<'_>> {
        let cloud = self.context.cloud();
        let window = Duration::from_secs(cloud.login_window_seconds);
        self.name.map(|name| Principal { name, max: cloud.login_failures, window })
    }
}

/// `POST /user/login/`
pub async fn login(context: &RequestContext<'_>) -> Result<Response, Refusal> {
    let (Some(username), Some(password)) = (context.text("username"), context.text("password")) else {
        return Err(Refusal::WrongLogin);
    };
    let node = context.node();
    let guess = Guess::begin(context, username, password)?;
    let account = Account::by_name(node, username).filter(|account| account.is_active);
    let phc = account.as_ref().and_then(|account| Account::password(node, account.id));
    let is_right = guess.judge(password, phc.as_deref()).await?;
    let account = account.filter(|_| is_right).ok_or(Refusal::WrongLogin)?;
    let _alone = session::lock(node, account.id).await;
    // A request that changed the password or disabled the account meanwhile ended the sessions there were: no other
    // comes after.
    let is_still = Account::password(node, account.id) == phc;
    let account = Account::read(node, account.id).filter(|account| account.is_active && is_still);
    let account = account.ok_or(Refusal::WrongLogin)?;
    let (session, tokens) = session::begin(context.cloud(), account.id, context.now_ms());
    node.edit(session.write(Edit::default())).await?;
    audit::act(SurfaceId::CloudBackend, &account.username, "sign in");
    let Tokens { access, refresh } = tokens;
    let user = account.told(node, context.cloud());
    Ok(told(StatusCode::OK, json!({"user": user, "access": access, "refresh": refresh})))
}

/// `POST /user/refresh-token/`
pub async fn refresh(context: &RequestContext<'_>) -> Result<Response, Refusal> {
    let token = context.text("refresh").filter(|token| !token.trim().is_empty()).ok_or(Refusal::NoRefreshToken)?;
    let Some(claims) = refresh_claims(context, token) else {
        context.app.authority.guesses.wrong(token)?;
        return Err(Refusal::BadRefreshToken);
    };
    let _alone = session::lock(context.node(), claims.user_id).await;
    let account = Account::read(context.node(), claims.user_id);
    if !account.is_some_and(|account| account.is_active) {
        return Err(Refusal::BadRefreshToken);
    }
    let tokens = session::refresh(context.node(), context.cloud(), &claims).await?;
    let Tokens { access, refresh } = tokens.ok_or(Refusal::BadRefreshToken)?;
    Ok(told(StatusCode::OK, json!({"access": access, "refresh": refresh})))
}

/// `POST /user/logout/`: the session of the access token ends, and that of the refresh token, whatever it is. Another
/// account's token ends nothing.
pub async fn logout(context: &RequestContext<'_>) -> Result<Response, Refusal> {
    let account = context.account()?;
    let refresh = context.text("refresh").and_then(|token| refresh_claims(context, token));
    let ended = [context.access_claims(), refresh].into_iter().flatten().filter(|claims| claims.user_id == account.id);
    {
        let _alone = session::lock(context.node(), account.id).await;
        for claims in ended {
            session::end(context.node(), &claims).await?;
        }
    }
    audit::act(SurfaceId::CloudBackend, &account.username, "sign out");
    context.node().revoke();
    Ok(told(StatusCode::OK, json!({"status": context.say(Text::LoggedOut)})))
}

fn refresh_claims(context: &RequestContext<'_>, token: &str) -> Option<Claims> {
    token::claims(context, token.trim()).filter(|claims| claims.token_type == Kind::Refresh)
}
