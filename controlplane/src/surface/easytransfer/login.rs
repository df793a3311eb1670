//! Signing in with the provider (CONTRACT.md §6.1), in a browser or from a command line, and out again.
//!
//! Order of one login, and what breaks if a line moves: the state is used up → the code goes to the provider → a command
//! line's person is asked in the browser → the session is made → it is collected, once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::{COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::users::public;
use crate::audit;
use crate::authority::{Caller, Presented};
use crate::bounds::LOGIN_STARTS_MAX;
use crate::clock::iso;
use crate::core::query::Query;
use crate::link::meta::Meta;
use crate::login::{
    Arrival, Pending, PendingError, Profile, Provider, ProviderError, cookie_path, is_error_code, page, short_url,
};
use crate::people::{NewSession, People, PeopleError};
use crate::surface::attached::Attached;
use crate::surface::attempts::{Attempts, client};
use crate::surface::easytransfer::Service;
use crate::surface::own_url;
use crate::surface::query::Invalid;
use crate::surface::refusal::Refused;

/// A browser's own login.
const BROWSER_COOKIE: &str = "et_login";
/// The page that asks a person about the login of a command line.
const CONFIRM_COOKIE: &str = "et_confirm";

/// The provider, and the logins under way.
pub struct Login {
    provider: Arc<Provider>,
    starts: Attempts,
    pending: Mutex<Pending<NewSession>>,
}

impl Login {
    /// With `provider`.
    pub fn with(provider: Arc<Provider>) -> Self {
        Self { provider, starts: Attempts::new(LOGIN_STARTS_MAX), pending: Mutex::default() }
    }

    /// One more login from this client, or 429.
    fn admit(&self, app: &Service, meta: &Meta, headers: &HeaderMap) -> Result<(), Refused> {
        let client = client(&app.node.config(), meta, headers);
        self.starts.check(client)?;
        self.starts.count(client);
        Ok(())
    }

    fn pending(&self) -> MutexGuard<'_, Pending<NewSession>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /api/users/login-info`
pub async fn info(
    State(app): State<Service>,
    Extension(meta): Extension<Meta>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let login = app.login()?;
    let facts = login.provider.facts().await?;
    Ok(Json(json!({
        "provider": "oidc",
        "issuer": facts.issuer,
        "authorize_url": facts.authorize_url,
        "client_id": facts.client_id,
        "callback_url": callback_url(&app, login, &meta, &headers),
        "scope": facts.scope,
        "end_session_url": facts.end_session_url,
        "corp_id": "",
    })))
}

/// `POST /api/users/login/start`: a command line begins. What it polls with is not the state of the URL.
pub async fn start(
    State(app): State<Service>,
    Extension(meta): Extension<Meta>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let login = app.login()?;
    login.admit(&app, &meta, &headers)?;
    let callback = callback_url(&app, login, &meta, &headers);
    let begun = login.provider.begin(&callback).await?;
    let authorize_url = begun.authorize_url.clone();
    let ids = login.pending().start_command_line(begun, callback.clone(), Instant::now());
    let poll_id = ids.poll.expose();
    Ok(Json(json!({
        "state": poll_id,
        "authorize_url": authorize_url,
        "short_url": short_url(&callback, &ids.link),
        "poll_endpoint": format!("/api/users/login/poll/{poll_id}"),
        "callback_url": callback,
        "message": "open the URL in a browser, sign in and confirm; then this login can be collected",
    })))
}

/// `GET /api/users/login/poll/{state}`: the session, once.
pub async fn poll(State(app): State<Service>, Path(poll_id): Path<String>) -> Result<Json<Value>, Refused> {
    let collected = app.login()?.pending().collect(&poll_id, Instant::now());
    let Some(made) = collected.map_err(|error| Refused::new(404, error.to_string()))? else {
        return Ok(Json(json!({"completed": false})));
    };
    let user = &made.session.user;
    let quota = user.effective(&app.node.config().user_system.role_quotas);
    Ok(Json(json!({
        "completed": true,
        "token": made.token.expose(),
        "expires_at": iso(made.session.expires_ms),
        "user": public(&app, user, Some(&quota)),
    })))
}

/// `GET /api/users/login`: a browser begins.
pub async fn browser(
    State(app): State<Service>,
    Extension(meta): Extension<Meta>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let login = app.login()?;
    login.admit(&app, &meta, &headers)?;
    let callback = callback_url(&app, login, &meta, &headers);
    let begun = login.provider.begin(&callback).await?;
    let target = begun.authorize_url.clone();
    let cookie = login.pending().start_browser(begun, callback.clone(), Instant::now());
    let mut response = redirect(&target)?;
    set_cookie(&mut response, BROWSER_COOKIE, cookie.expose(), &callback);
    Ok(response)
}

/// `GET /l/{link}`: the short way to the authorize URL of a command line's login.
pub async fn short(State(app): State<Service>, Path(link): Path<String>) -> Result<Response, Refused> {
    let login = app.login.as_deref().ok_or_else(|| Refused::new(404, "no such login"))?;
    match login.pending().link(&link, Instant::now()) {
        Ok(target) => redirect(target),
        Err(error @ PendingError::Expired) => Err(Refused::new(410, error.to_string())),
        Err(_) => Err(Refused::new(404, "no such login")),
    }
}

/// `GET /api/users/callback`: the provider sent a browser back.
pub async fn callback(
    State(app): State<Service>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (login, people) = (app.login()?, app.known_people()?);
    let text = query.unwrap_or_default();
    let query = Query::parse(&text);
    if let Some(error) = query.get("error") {
        // Free text would be anybody's words on this page.
        let said = if is_error_code(error) { format!(" ({error})") } else { String::new() };
        return Ok(failed(400, &format!("The login provider refused the login{said}. Start the login again.")));
    }
    let code = query.get("code").ok_or_else(|| Invalid::query("code", "the code of the login provider", ""))?;
    let state = query.get("state").unwrap_or_default();
    if query.count("code") != 1 || query.count("state") != 1 {
        return Ok(failed(400, "This is not an answer of the login provider. Start the login again."));
    }
    let arrival = login.pending().arrive(state, cookie(&headers, BROWSER_COOKIE).as_deref(), Instant::now());
    let (sent, command_line) = match arrival {
        Ok(Arrival::Browser(sent)) => (sent, None),
        Ok(Arrival::CommandLine(id, sent)) => (sent, Some(id)),
        Err(error) => {
            tracing::info!(%error, "a login came back that is not under way");
            return Ok(failed(400, "This login is not under way any more. Start it again."));
        }
    };
    let profile = match login.provider.finish(&sent.proof, &sent.redirect, code).await {
        Ok(profile) => profile,
        Err(error) => {
            if let Some(id) = command_line {
                login.pending().abandon(id);
            }
            tracing::warn!(%error, "a login failed at the provider");
            app.denials.note_login(None);
            return Ok(failed(if error.is_away() { 503 } else { 400 }, &error.to_string()));
        }
    };
    let Some(id) = command_line else {
        return Ok(match sign_in(people, &profile).await {
            Ok(made) => shown(200, page::signed_in(&profile.username, made.token.expose())),
            Err(refused) => refused,
        });
    };
    let name = profile.username.clone();
    let Ok(question) = login.pending().ask(id, profile, Instant::now()) else {
        return Ok(failed(400, "This login is not under way any more. Start it again."));
    };
    let mut response = shown(200, page::confirm(&name, question.confirmation.expose()));
    set_cookie(&mut response, CONFIRM_COOKIE, question.cookie.expose(), &sent.redirect);
    Ok(response)
}

/// `POST /api/users/login/confirm`: the person in the browser says yes to the login of a command line.
pub async fn confirm(
    State(app): State<Service>,
    headers: HeaderMap,
    Attached(body): Attached,
) -> Result<Response, Refused> {
    let (login, people) = (app.login()?, app.known_people()?);
    let form = String::from_utf8_lossy(&body).into_owned();
    let form = Query::parse(&form);
    let value = form.get(page::CONFIRMATION_FIELD).unwrap_or_default();
    let confirmed = login.pending().confirm(value, cookie(&headers, CONFIRM_COOKIE).as_deref(), Instant::now());
    let Ok((id, profile)) = confirmed else {
        return Ok(failed(400, "This login is not under way any more. Start it again."));
    };
    match sign_in(people, &profile).await {
        Ok(made) => {
            // A command line that stopped waiting collects nothing; the session then ends by itself.
            let _ = login.pending().complete(id, made, Instant::now());
            Ok(shown(200, page::confirmed(&profile.username)))
        }
        Err(refused) => {
            login.pending().abandon(id);
            Ok(refused)
        }
    }
}

/// `POST /api/users/logout`: whatever session was presented ends, with every grant.
pub async fn logout(
    State(app): State<Service>,
    Extension(caller): Extension<Caller>,
    Extension(presented): Extension<Presented>,
) -> Result<Json<Value>, Refused> {
    let people = app.known_people()?;
    let mut has_ended = false;
    for session in &presented.sessions {
        // What is no session ends none: grants stay, and no client empties caches with made-up tokens.
        if caller.signed_in().is_some() && people.session(session).await?.is_some() {
            people.sign_out(session).await?;
            has_ended = true;
        }
    }
    if has_ended {
        app.node.revoke();
    }
    if let Some(person) = caller.signed_in() {
        audit::login(person.user.id, &person.user.username, "sign out");
    }
    Ok(Json(json!({"message": "signed out"})))
}

async fn sign_in(people: &People, profile: &Profile) -> Result<NewSession, Response> {
    match people.sign_in(profile).await {
        Ok(made) => {
            audit::login(made.session.user.id, &made.session.user.username, "sign in");
            Ok(made)
        }
        Err(error @ PeopleError::Inactive) => Err(failed(403, &error.to_string())),
        Err(error) => {
            tracing::error!(%error, "sign a person in");
            Err(failed(503, "Signing in is not possible now. Try again in a moment."))
        }
    }
}

impl Service {
    fn login(&self) -> Result<&Login, Refused> {
        self.login.as_deref().ok_or_else(|| Refused::new(501, "this server has no login: use a token"))
    }
}

impl From<ProviderError> for Refused {
    fn from(error: ProviderError) -> Self {
        let status = if error.is_away() { 503 } else { 400 };
        let refused = Self::new(status, error.to_string());
        if error.is_away() { refused.with(RETRY_AFTER, "2") } else { refused }
    }
}

fn callback_url(app: &Service, login: &Login, meta: &Meta, headers: &HeaderMap) -> String {
    login.provider.settings().callback.url(&own_url::base(&app.node.config(), meta, headers))
}

fn redirect(target: &str) -> Result<Response, Refused> {
    let target = HeaderValue::try_from(target).map_err(|_| Refused::new(500, "the provider's URL is no URL"))?;
    let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
    response.headers_mut().insert(LOCATION, target);
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn failed(status: u16, reason: &str) -> Response {
    shown(status, page::failed(reason))
}

fn shown(status: u16, html: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, page::HEADERS, Bytes::from(html)).into_response()
}

/// Ten minutes, for this node's login pages alone; never readable by a script.
fn set_cookie(response: &mut Response, name: &str, value: &str, callback: &str) {
    let path = cookie_path(callback);
    let secure = if callback.starts_with("https://") { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path={path}; Max-Age=600; HttpOnly; SameSite=Lax{secure}");
    if let Ok(text) = HeaderValue::try_from(text) {
        response.headers_mut().append(SET_COOKIE, text);
    }
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(other, _)| *other == name).map(|(_, value)| value.to_owned())
}
