//! Accounts of this surface and their tokens (CONTRACT.md §A3).
//!
//! * [`account`] an account as it is kept and told · [`fit`] what may be a name, an address, a password
//! * [`token`] who brings one · [`session`] pairs of them, each in the place of the one before
//! * [`register`], [`login`], [`settings`], [`accounts`] the calls · [`console`] the operator's

pub mod account;
mod accounts;
pub mod console;
mod fit;
mod login;
mod register;
pub mod session;
mod settings;
pub mod token;

use axum::response::Response;
use http::{Method, StatusCode};

pub use self::account::Account;
use super::api::route::{get, id, is_get, post};
use super::api::{Refusal, RequestContext, told};

/// Counter of accounts; its lock is also that of names and addresses.
const COUNTER: &str = "user";

/// A call about accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `POST /user/register/`
    Register,
    /// `POST /user/login/`
    Login,
    /// `POST /user/refresh-token/`
    Refresh,
    /// `POST /user/logout/`
    Logout,
    /// `GET /user/profile/`
    Profile,
    /// `POST …/change-password/`
    ChangePassword,
    /// `POST …/update-display-name/`
    UpdateDisplayName,
    /// `POST …/update-email/`
    UpdateEmail,
    /// `GET /user/`
    List,
    /// `GET /user/{id}/`
    Show(u64),
    /// `PUT` and `PATCH /user/{id}/`
    Change(u64),
    /// `DELETE /user/{id}/`
    Delete(u64),
}

impl Route {
    /// By the segments of a path, the first included.
    pub fn of(segments: &[&str], method: &Method) -> Result<Self, Refusal> {
        match *segments {
            ["user", "register"] => post(method, Self::Register),
            ["user", "login"] => post(method, Self::Login),
            ["user", "refresh-token"] => post(method, Self::Refresh),
            ["user", "logout"] => post(method, Self::Logout),
            ["user", "profile"] => get(method, Self::Profile),
            [_, "change-password"] => post(method, Self::ChangePassword),
            [_, "update-display-name"] => post(method, Self::UpdateDisplayName),
            [_, "update-email"] => post(method, Self::UpdateEmail),
            ["user"] => get(method, Self::List),
            ["user", segment] => match (id(segment)?, method) {
                (id, method) if is_get(method) => Ok(Self::Show(id)),
                (id, &Method::PUT | &Method::PATCH) => Ok(Self::Change(id)),
                (id, &Method::DELETE) => Ok(Self::Delete(id)),
                _ => Err(Refusal::Method(method.clone(), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS")),
            },
            _ => Err(Refusal::NotFound),
        }
    }

    /// As it is counted.
    pub fn declared(&self) -> &'static str {
        match self {
            Self::Register => "/user/register/",
            Self::Login => "/user/login/",
            Self::Refresh => "/user/refresh-token/",
            Self::Logout => "/user/logout/",
            Self::Profile => "/user/profile/",
            Self::ChangePassword => "/user-settings/change-password/",
            Self::UpdateDisplayName => "/user-settings/update-display-name/",
            Self::UpdateEmail => "/user-settings/update-email/",
            Self::List => "/user/",
            Self::Show(_) | Self::Change(_) | Self::Delete(_) => "/user/{id}/",
        }
    }

    /// A header that is stale does not keep anybody from logging in.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Register | Self::Login | Self::Refresh)
    }
}

/// One call to its answer.
pub async fn handle(context: &RequestContext<'_>, route: Route) -> Result<Response, Refusal> {
    match route {
        Route::Register => register::register(context).await,
        Route::Login => login::login(context).await,
        Route::Refresh => login::refresh(context).await,
        Route::Logout => login::logout(context).await,
        Route::Profile => Ok(told(StatusCode::OK, context.account()?.told(context.node(), context.cloud()))),
        Route::ChangePassword => settings::change_password(context).await,
        Route::UpdateDisplayName => settings::update_display_name(context).await,
        Route::UpdateEmail => settings::update_email(context).await,
        Route::List => accounts::list(context),
        Route::Show(id) => accounts::show(context, id),
        Route::Change(id) => accounts::change(context, id).await,
        Route::Delete(id) => accounts::delete(context, id).await,
    }
}

#[cfg(test)]
mod golden;
