//! Signing in (easytransfer/CONTRACT.md §6.1): the server names a page, a person finishes there in a browser, and the
//! session is fetched by asking again and again.
//!
//! No credential is needed or sent. The session can be fetched once: when that answer is lost on its way, the server
//! knows the login no more, and it has to be done again.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::account::User;
use crate::fields::path_of;
use crate::patience::{RETRY_AFTER_MAX, chain};
use crate::{Cancel, Client, Error, Note, Progress, Result, Secret};

/// Between two questions whether the person is done.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// What messages call the two steps.
const START: &str = "the login";
const POLL: &str = "the question for the session";

/// A login that waits for its person. Without `Debug`: who knows where to ask gets the session.
#[derive(Clone, Deserialize)]
pub struct PendingLogin {
    /// The page of the provider.
    pub authorize_url: String,
    /// The same page behind a URL that fits on a line.
    #[serde(default)]
    pub short_url: Option<String>,
    /// Where to ask for the session.
    poll_endpoint: String,
}

impl PendingLogin {
    /// Where to send the person.
    pub fn url(&self) -> &str {
        self.short_url.as_deref().filter(|url| !url.is_empty()).unwrap_or(&self.authorize_url)
    }
}

/// What a finished login yields.
#[derive(Debug, Clone)]
pub struct Session {
    /// Lets its holder in as the user.
    pub token: Secret,
    /// UTC, ISO 8601; `None` = does not expire.
    pub expires_at: Option<String>,
    /// Whose it is, where the server tells.
    pub user: Option<User>,
}

#[derive(Deserialize)]
struct Poll {
    completed: bool,
    token: Option<Secret>,
    expires_at: Option<String>,
    user: Option<User>,
}

impl Client {
    /// `GET /api/users/login-info`: whether people can log in at all. 503 is a yes: the provider is away just now.
    pub fn offers_login(&self) -> Result<bool> {
        match self.get::<serde_json::Value>("/api/users/login-info", START, START) {
            Ok(_) | Err(Error::Refused { status: 503, .. }) => Ok(true),
            Err(error) if is_no_login(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// `POST /api/users/login/start`; `None` where no login is needed.
    pub fn start_login(&self) -> Result<Option<PendingLogin>> {
        match self.post("/api/users/login/start", START, START) {
            Ok(login) => Ok(Some(login)),
            Err(error) if is_no_login(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `GET /api/users/login/poll/{state}`; `None` until the person is done.
    pub fn poll_login(&self, login: &PendingLogin) -> Result<Option<Session>> {
        let path = path_of(&login.poll_endpoint).ok_or(Error::Nonsense { what: START, why: "an odd poll_endpoint" })?;
        let poll: Poll = self.get(&path, POLL, POLL).map_err(|error| match error {
            Error::NotFound { .. } => Error::LoginGone,
            other => other,
        })?;
        match (poll.completed, poll.token) {
            (false, _) => Ok(None),
            (true, Some(token)) => Ok(Some(Session { token, expires_at: poll.expires_at, user: poll.user })),
            (true, None) => Err(Error::Nonsense { what: POLL, why: "completed without a token" }),
        }
    }
}

/// 501 says so; older servers without users do not know the route.
fn is_no_login(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. } | Error::Refused { status: 501, .. })
}

/// Both steps with the patience a person and a provider need, until one moment for both together.
pub struct SignIn<'a> {
    client: Client,
    timeout: Duration,
    until: Instant,
    cancel: &'a Cancel,
    listener: &'a dyn Progress,
}

impl<'a> SignIn<'a> {
    /// The clock starts now. It is looked at between two questions, so a server that does not answer may hold the end
    /// up by [`IDLE_TIMEOUT`](crate::http1::IDLE_TIMEOUT).
    pub fn new(client: &Client, timeout: Duration, cancel: &'a Cancel, listener: &'a dyn Progress) -> Self {
        Self { client: client.under(cancel), timeout, until: Instant::now() + timeout, cancel, listener }
    }

    /// As [`Client::start_login`]. A server that answers and cannot yet (its provider is away) is asked again; one that
    /// does not answer is not: no person is waited for yet.
    pub fn begin(&self) -> Result<Option<PendingLogin>> {
        loop {
            match self.client.start_login() {
                Err(error @ Error::Refused { .. }) if error.is_transient() => self.pause(Some(error))?,
                other => return other,
            }
        }
    }

    /// Asks until the person is done. A server that goes away meanwhile is waited for.
    pub fn finish(&self, login: &PendingLogin) -> Result<Session> {
        loop {
            match self.client.poll_login(login) {
                Ok(Some(session)) => return Ok(session),
                Ok(None) => self.pause(None)?,
                Err(error) if error.is_transient() => self.pause(Some(error))?,
                Err(error) => return Err(error),
            }
        }
    }

    /// The wait before the next question. The last one is asked when the time is over, not before.
    fn pause(&self, failure: Option<Error>) -> Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(match failure {
                Some(failure) => Error::Stuck { waited: self.timeout, source: Box::new(failure) },
                None => Error::LoginUnfinished { waited: self.timeout },
            });
        }
        let asked = failure.as_ref().and_then(Error::retry_after).unwrap_or_default().min(RETRY_AFTER_MAX);
        let pause = POLL_INTERVAL.max(asked).min(left);
        if let Some(failure) = &failure {
            self.listener.note(Note::Retrying { cause: chain(failure), after: pause });
        }
        self.cancel.sleep(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_url_is_preferred_when_there_is_one() {
        for (short, expected) in [
            (serde_json::json!("http://node/l/x"), "http://node/l/x"),
            (serde_json::json!(""), "https://id.example/a"),
            (serde_json::Value::Null, "https://id.example/a"),
        ] {
            let login: PendingLogin = serde_json::from_value(serde_json::json!({
                "state": "x", "authorize_url": "https://id.example/a", "poll_endpoint": "/p", "short_url": short,
            }))
            .unwrap();
            assert_eq!(login.url(), expected);
        }
    }
}
