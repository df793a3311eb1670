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
use crate::surface::cloudbackend::api::{Asked, Refusal, told};
use crate::surface::password::Purpose;

/// Wrong passwords count against the name and the address.
pub struct Guess<'a> {
    asked: &'a Asked<'a>,
    name: Option<&'a str>,
    account: Option<&'a str>,
    /// Name and password.
    credential: String,
}

impl<'a> Guess<'a> {
    /// `Err`: there were too many.
    pub fn begin(asked: &'a Asked<'a>, username: &'a str, password: &str) -> Result<Self, Refusal> {
        // What nobody can be called is not remembered.
        let name = fit::username(username).ok();
        let account = name.filter(|name| Account::by_name(asked.node(), name).is_some());
        let guess = Self { asked, name, account, credential: format!("{username}\n{password}") };
        guess.check()?;
        Ok(guess)
    }

    /// Whether it was right. Also what is right is refused when too many wrong ones were judged meanwhile.
    pub async fn judge(&self, password: &str, phc: Option<&str>) -> Result<bool, Refusal> {
        let app = self.asked.app;
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
        Ok(self.asked.app.authority.guesses.admit_at(self.principal(), &self.credential)?)
    }

    fn principal(&self) -> Option<Principal<'_>> {
        let cloud = self.asked.cloud();
        let window = Duration::from_secs(cloud.login_window_seconds);
        self.name.map(|name| Principal { name, max: cloud.login_failures, window })
    }
}

/// `POST /user/login/`
pub async fn login(asked: &Asked<'_>) -> Result<Response, Refusal> {
    let (Some(username), Some(password)) = (asked.text("username"), asked.text("password")) else {
        return Err(Refusal::WrongLogin);
    };
    let node = asked.node();
    let guess = Guess::begin(asked, username, password)?;
    let account = Account::by_name(node, username).filter(|account| account.is_active);
    let phc = account.as_ref().and_then(|account| Account::password(node, account.id));
    let is_right = guess.judge(password, phc.as_deref()).await?;
    let account = account.filter(|_| is_right).ok_or(Refusal::WrongLogin)?;
    let _alone = session::lock(node, account.id).await;
    // Whoever changed the password or disabled the account meanwhile ended the sessions there were: no other comes after.
    let is_still = Account::password(node, account.id) == phc;
    let account = Account::read(node, account.id).filter(|account| account.is_active && is_still);
    let account = account.ok_or(Refusal::WrongLogin)?;
    let (session, tokens) = session::begin(asked.cloud(), account.id, asked.now_ms());
    node.edit(session.write(Edit::default())).await?;
    audit::act(SurfaceId::CloudBackend, &account.username, "sign in");
    let Tokens { access, refresh } = tokens;
    let user = account.told(node, asked.cloud());
    Ok(told(StatusCode::OK, json!({"user": user, "access": access, "refresh": refresh})))
}

/// `POST /user/refresh-token/`
pub async fn refresh(asked: &Asked<'_>) -> Result<Response, Refusal> {
    let token = asked.text("refresh").filter(|token| !token.trim().is_empty()).ok_or(Refusal::NoRefreshToken)?;
    let Some(claims) = refresh_claims(asked, token) else {
        asked.app.authority.guesses.wrong(token)?;
        return Err(Refusal::BadRefreshToken);
    };
    let _alone = session::lock(asked.node(), claims.user_id).await;
    let account = Account::read(asked.node(), claims.user_id);
    if !account.is_some_and(|account| account.is_active) {
        return Err(Refusal::BadRefreshToken);
    }
    let tokens = session::refresh(asked.node(), asked.cloud(), &claims).await?;
    let Tokens { access, refresh } = tokens.ok_or(Refusal::BadRefreshToken)?;
    Ok(told(StatusCode::OK, json!({"access": access, "refresh": refresh})))
}

/// `POST /user/logout/`: the session of the access token ends, and that of the refresh token, whatever it is. Another
/// account's token ends nothing.
pub async fn logout(asked: &Asked<'_>) -> Result<Response, Refusal> {
    let account = asked.account()?;
    let refresh = asked.text("refresh").and_then(|token| refresh_claims(asked, token));
    let ended = [asked.access_claims(), refresh].into_iter().flatten().filter(|claims| claims.user_id == account.id);
    {
        let _alone = session::lock(asked.node(), account.id).await;
        for claims in ended {
            session::end(asked.node(), &claims).await?;
        }
    }
    audit::act(SurfaceId::CloudBackend, &account.username, "sign out");
    asked.node().revoke();
    Ok(told(StatusCode::OK, json!({"status": asked.say(Text::LoggedOut)})))
}

fn refresh_claims(asked: &Asked<'_>, token: &str) -> Option<Claims> {
    token::claims(asked, token.trim()).filter(|claims| claims.token_type == Kind::Refresh)
}
