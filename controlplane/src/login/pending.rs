//! Logins under way: in memory, bounded, ten minutes, single use (easytransfer/CONTRACT.md §6.1, PROMISES.md §5
//! "Login").
//!
//! ```text
//! browser:       Browser ──arrive(state, cookie)──▶ Over
//! command line:  Started ──arrive(state)──▶ Arrived ──ask──▶ Unconfirmed ──confirm(value, cookie)──▶ Confirmed
//!                                                                      ──complete──▶ Ready ──collect(poll id)──▶ gone
//! ```
//!
//! What must stay true, with the damage:
//! * a state works once, and a browser's only with that browser's cookie: else a link could sign a person in as another;
//! * the poll id is neither the state nor in the short link: who sees an authorize URL or a link cannot collect the token;
//! * nothing is ready before the browser that came back from the provider confirmed: else a link sent to a person would
//!   hand their session to the person who started the login;
//! * a session is handed out once.
//!
//! *Absent on purpose:* no clock, no lock, no waiting. The caller keeps it behind a mutex and passes the time. What a
//! session is, it does not look at: `S` goes in and comes out.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::mem;
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;
use thiserror::Error;

use super::provider::{Begun, Proof};
use super::random;
use crate::bounds::LOGINS_PENDING_MAX;
use crate::core::Secret;
use crate::people::Profile;

/// From start to collection.
const LIFE: Duration = Duration::from_secs(600);

/// An expired login is remembered for as long again, so that its short link can say so (410).
const REMEMBERED: Duration = Duration::from_secs(2 * 600);

/// Why a value opens nothing. People and programs are not told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PendingError {
    /// Never given out, or forgotten.
    #[error("no such login; start again")]
    Unknown,
    /// Already used.
    #[error("this login was already used; start again")]
    Used,
    /// More than ten minutes old.
    #[error("this login has expired; start again")]
    Expired,
    /// Another browser's.
    #[error("this login was started in another browser; start again")]
    Foreign,
}

/// One login of a command line; means nothing outside this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginId(u64);

/// How a command line's login is spoken of.
#[derive(Debug)]
pub struct Ids {
    /// Collects the session; the command line's alone.
    pub poll: Secret,
    /// In the short link, for everybody to see.
    pub link: String,
}

/// What a login is finished with.
#[derive(Debug)]
pub struct Sent {
    /// For the provider.
    pub proof: Proof,
    /// The redirect URI it was begun with.
    pub redirect: String,
}

/// Who came back from the provider.
#[derive(Debug)]
pub enum Arrival {
    /// The browser that started: it is signed in once the login is finished.
    Browser(Sent),
    /// Any browser, for a command line: it is to be asked.
    CommandLine(LoginId, Sent),
}

/// What a browser needs to confirm a command line's login.
#[derive(Debug)]
pub struct Question {
    /// Goes into the page's form.
    pub confirmation: Secret,
    /// Goes into a cookie of the page.
    pub cookie: Secret,
}

enum Stage<S> {
    Browser { sent: Sent, cookie: Secret },
    Started { sent: Sent, authorize_url: String },
    Arrived,
    Unconfirmed { profile: Profile, cookie: Secret },
    Confirmed,
    Ready(S),
    Over,
}

/// Values that find a login, each in its own namespace: a state collects nothing.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    State(String),
    Poll(String),
    Link(String),
    Confirmation(String),
}

struct Login<S> {
    started: Instant,
    keys: Vec<Key>,
    stage: Stage<S>,
}

/// The table.
pub struct Pending<S> {
    /// In the order of their start, so the oldest is the first.
    logins: BTreeMap<u64, Login<S>>,
    index: HashMap<Key, u64>,
    next: u64,
}

impl<S> Default for Pending<S> {
    fn default() -> Self {
        Self { logins: BTreeMap::new(), index: HashMap::new(), next: 0 }
    }
}

impl<S> fmt::Debug for Pending<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every value in it opens something.
        f.debug_struct("Pending").field("logins", &self.logins.len()).finish_non_exhaustive()
    }
}

impl<S> Pending<S> {
    /// A browser's login; returns the value of the cookie it must come back with.
    pub fn start_browser(&mut self, begun: Begun, redirect: String, now: Instant) -> Secret {
        let cookie = Secret::new(random());
        let stage = Stage::Browser { sent: Sent { proof: begun.proof, redirect }, cookie: cookie.clone() };
        self.insert(vec![Key::State(begun.state.expose().to_owned())], stage, now);
        cookie
    }

    /// A command line's login.
    pub fn start_command_line(&mut self, begun: Begun, redirect: String, now: Instant) -> Ids {
        let (poll, link) = (Secret::new(random()), random());
        let keys = vec![
            Key::State(begun.state.expose().to_owned()),
            Key::Poll(poll.expose().to_owned()),
            Key::Link(link.clone()),
        ];
        let sent = Sent { proof: begun.proof, redirect };
        self.insert(keys, Stage::Started { sent, authorize_url: begun.authorize_url }, now);
        Ids { poll, link }
    }

    /// Where a short link leads, until the browser came back.
    pub fn link(&mut self, link: &str, now: Instant) -> Result<&str, PendingError> {
        match &self.live(Key::Link(link.to_owned()), now)?.1.stage {
            Stage::Started { authorize_url, .. } => Ok(authorize_url),
            _ => Err(PendingError::Used),
        }
    }

    /// A browser came back with a state; this uses the state up, unless the cookie is another browser's.
    pub fn arrive(&mut self, state: &str, cookie: Option<&str>, now: Instant) -> Result<Arrival, PendingError> {
        let (id, login) = self.live(Key::State(state.to_owned()), now)?;
        match mem::replace(&mut login.stage, Stage::Over) {
            Stage::Browser { sent, cookie: ours } if is_same(&ours, cookie) => Ok(Arrival::Browser(sent)),
            Stage::Started { sent, .. } => {
                login.stage = Stage::Arrived;
                Ok(Arrival::CommandLine(id, sent))
            }
            other => {
                let is_foreign = matches!(other, Stage::Browser { .. });
                login.stage = other;
                Err(if is_foreign { PendingError::Foreign } else { PendingError::Used })
            }
        }
    }

    /// The provider said who came back; the browser is to be asked.
    pub fn ask(&mut self, login: LoginId, profile: Profile, now: Instant) -> Result<Question, PendingError> {
        let id = login.0;
        let login = self.live_id(login, now)?;
        if !matches!(login.stage, Stage::Arrived) {
            return Err(PendingError::Used);
        }
        let question = Question { confirmation: Secret::new(random()), cookie: Secret::new(random()) };
        login.stage = Stage::Unconfirmed { profile, cookie: question.cookie.clone() };
        let key = Key::Confirmation(question.confirmation.expose().to_owned());
        login.keys.push(key.clone());
        self.index.insert(key, id);
        Ok(question)
    }

    /// The browser confirmed: the person may be signed in, and the session goes to [`Self::complete`].
    pub fn confirm(
        &mut self,
        confirmation: &str,
        cookie: Option<&str>,
        now: Instant,
    ) -> Result<(LoginId, Profile), PendingError> {
        let (id, login) = self.live(Key::Confirmation(confirmation.to_owned()), now)?;
        match mem::replace(&mut login.stage, Stage::Confirmed) {
            Stage::Unconfirmed { profile, cookie: ours } if is_same(&ours, cookie) => Ok((id, profile)),
            other => {
                let is_foreign = matches!(other, Stage::Unconfirmed { .. });
                login.stage = other;
                Err(if is_foreign { PendingError::Foreign } else { PendingError::Used })
            }
        }
    }

    /// The session of a confirmed login is ready for the command line.
    pub fn complete(&mut self, login: LoginId, session: S, now: Instant) -> Result<(), PendingError> {
        let login = self.live_id(login, now)?;
        if !matches!(login.stage, Stage::Confirmed) {
            return Err(PendingError::Used);
        }
        login.stage = Stage::Ready(session);
        Ok(())
    }

    /// The session, once; `None` while the person is not done.
    pub fn collect(&mut self, poll_id: &str, now: Instant) -> Result<Option<S>, PendingError> {
        let (id, login) = self.live(Key::Poll(poll_id.to_owned()), now)?;
        if !matches!(login.stage, Stage::Ready(_)) {
            return Ok(None);
        }
        match self.remove(id.0).map(|login| login.stage) {
            Some(Stage::Ready(session)) => Ok(Some(session)),
            _ => Err(PendingError::Unknown),
        }
    }

    /// Nothing will come of a login: its command line hears so at once.
    pub fn abandon(&mut self, login: LoginId) {
        self.remove(login.0);
    }

    fn insert(&mut self, keys: Vec<Key>, stage: Stage<S>, now: Instant) {
        while let Some((&oldest, login)) = self.logins.first_key_value() {
            if self.logins.len() < LOGINS_PENDING_MAX && now.duration_since(login.started) < REMEMBERED {
                break;
            }
            self.remove(oldest);
        }
        let id = self.next;
        self.next += 1;
        self.index.extend(keys.iter().map(|key| (key.clone(), id)));
        self.logins.insert(id, Login { started: now, keys, stage });
    }

    fn remove(&mut self, id: u64) -> Option<Login<S>> {
        let login = self.logins.remove(&id)?;
        for key in &login.keys {
            self.index.remove(key);
        }
        Some(login)
    }

    fn live(&mut self, key: Key, now: Instant) -> Result<(LoginId, &mut Login<S>), PendingError> {
        let id = LoginId(*self.index.get(&key).ok_or(PendingError::Unknown)?);
        Ok((id, self.live_id(id, now)?))
    }

    fn live_id(&mut self, id: LoginId, now: Instant) -> Result<&mut Login<S>, PendingError> {
        let login = self.logins.get_mut(&id.0).ok_or(PendingError::Unknown)?;
        if now.duration_since(login.started) >= LIFE { Err(PendingError::Expired) } else { Ok(login) }
    }
}

fn is_same(ours: &Secret, theirs: Option<&str>) -> bool {
    theirs.is_some_and(|theirs| ours.expose().as_bytes().ct_eq(theirs.as_bytes()).into())
}

#[cfg(test)]
mod tests;
