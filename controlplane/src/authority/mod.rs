//! Who may come in (easytransfer/CONTRACT.md §1.2, §1.3).
//!
//! * [`presented`] what a request brings · [`keys`] static tokens · sessions are asked of [`People`]
//! * [`first_token`] the token a node makes for itself · [`announce`] telling it
//! * [`caller`] what a caller that was let in may do
//! * [`open`] paths that answer everybody
//! * [`origin`] where a request comes from · [`guesses`] who was wrong too often, in bounded [`table`]s · [`lookups`] sessions
//!
//! Must stay true: without a valid credential only the open paths answer; an empty list of tokens never opens the node; a
//! session is looked up at every decision, so that one that ended is out.

pub mod announce;
pub mod caller;
pub mod first_token;
pub mod guesses;
pub mod keys;
pub mod lookups;
pub mod open;
pub mod origin;
pub mod presented;
pub mod table;

use std::net::IpAddr;

use arc_swap::ArcSwap;

pub use caller::{Caller, Identity};
pub use presented::Presented;

use crate::people::{People, PeopleError, Session};
use crate::quota::RoleQuotas;
use crate::retention::receiver::Who;
use guesses::{Guesses, TooMany};
use keys::Keys;
use lookups::{Lookups, NotLooked};

/// Decides about credentials.
#[derive(Debug)]
pub struct Authority {
    keys: ArcSwap<Keys>,
    /// `auth.enabled: false`.
    is_open: bool,
    people: Option<People>,
    /// Who was wrong too often.
    pub guesses: Guesses,
    lookups: Lookups,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No credential, or none that is known: 401, the same words for both.
    #[error("a valid token is required")]
    Unauthorized,
    /// Too many were wrong from there: 429.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Too many sessions are being looked up: 503.
    #[error("too many sessions are looked up at once; try again")]
    Busy,
    /// Whether it is a session cannot be told now: 503.
    #[error(transparent)]
    People(#[from] PeopleError),
}

impl Authority {
    /// Everybody may do everything.
    pub fn open(people: Option<People>) -> Self {
        Self { is_open: true, ..Self::of(Keys::default(), people) }
    }

    /// Only the holders of `keys`, and persons who are signed in.
    pub fn of(keys: Keys, people: Option<People>) -> Self {
        Self {
            keys: ArcSwap::from_pointee(keys),
            is_open: false,
            people,
            guesses: Guesses::default(),
            lookups: Lookups::default(),
        }
    }

    /// From the next request on these tokens count, and no others.
    pub fn replace(&self, keys: Keys) {
        self.keys.store(keys.into());
    }

    /// Judges the credentials of a request. Order (easytransfer/CONTRACT.md §1.2): a valid static token wins, whichever
    /// carrier brought it; then the first session that is alive. On an open node a session counts too, and its absence
    /// costs nothing. A carrier that says two things says nothing: none of it is looked up.
    pub async fn judge(
        &self,
        presented: &Presented,
        peer: Option<IpAddr>,
        roles: &RoleQuotas,
    ) -> Result<Caller, Denied> {
        match self.find(presented).await {
            Ok(Found::Token(caller)) => {
                origin::entered(caller.who.as_str());
                Ok(caller)
            }
            Ok(Found::Session(session)) => {
                origin::entered(Who::user(session.user.id).as_str());
                let quota = session.user.effective(roles);
                Ok(Caller::person(session, quota))
            }
            Err(_) if self.is_open => {
                let who = Who::address(peer.unwrap_or(IpAddr::from([0, 0, 0, 0])));
                Ok(Caller { who, policy: None, identity: Identity::Open })
            }
            Err(denied) => Err(denied),
        }
    }

    /// Whether a credential is valid, and until when (Unix milliseconds, sessions only).
    pub async fn verify(&self, text: &str) -> Result<(bool, Option<u64>), Denied> {
        match self.find(&Presented::anywhere(text)).await {
            Ok(Found::Token(_)) => Ok((true, None)),
            Ok(Found::Session(session)) => Ok((true, Some(session.expires_ms))),
            Err(Denied::Unauthorized) => Ok((false, None)),
            Err(denied) => Err(denied),
        }
    }

    /// Whose credentials they are. What is past the limit of failures is not looked at; what is wrong is counted.
    async fn find(&self, presented: &Presented) -> Result<Found, Denied> {
        let all = presented.all();
        if presented.is_ambiguous || all.is_empty() {
            return Err(Denied::Unauthorized);
        }
        let judged: Vec<&str> = all.iter().copied().filter(|text| self.guesses.admit(text).is_ok()).collect();
        if judged.is_empty() {
            all.iter().try_for_each(|text| self.guesses.admit(text))?;
        }
        let is_judged = |text: &&String| judged.contains(&text.as_str());
        if let Some((text, caller)) = presented.tokens.iter().filter(is_judged).find_map(|text| self.token(text)) {
            self.guesses.right(text);
            return Ok(Found::Token(caller));
        }
        for text in presented.sessions.iter().filter(is_judged) {
            if let Some(session) = self.session(text).await? {
                self.guesses.right(text);
                return Ok(Found::Session(session));
            }
        }
        judged.iter().try_for_each(|text| self.guesses.wrong(text))?;
        Err(Denied::Unauthorized)
    }

    fn token<'t>(&self, text: &'t str) -> Option<(&'t str, Caller)> {
        let keys = self.keys.load();
        let key = keys.find(text)?;
        let identity = Identity::Token { is_admin: key.is_admin };
        Some((text, Caller { who: key.who.clone(), policy: key.policy, identity }))
    }

    async fn session(&self, text: &str) -> Result<Option<Session>, Denied> {
        let Some(people) = &self.people else { return Ok(None) };
        let is_known = self.guesses.is_known(text);
        self.lookups.session(people, text, is_known).await.map_err(|not_looked| match not_looked {
            NotLooked::Busy => Denied::Busy,
            NotLooked::People(error) => Denied::People(error),
        })
    }
}

enum Found {
    Token(Caller),
    Session(Session),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::core::{Policy, Secret, TokenPolicy};

    fn presented(token: &str) -> Presented {
        Presented::anywhere(token)
    }

    #[tokio::test]
    async fn section_1_2_a_static_token_comes_with_its_policy() {
        let policy = TokenPolicy { policy: Policy::DownloadOnce, ttl: None };
        let mut config = Config::defaults();
        config.auth.tokens = vec![Secret::new("one"), Secret::new("two")];
        config.retention.token_policies = [(Secret::new("two"), policy)].into();
        let authority = Authority::of(Keys::of(&config, None), None);
        let roles = RoleQuotas::default();
        for (token, expected) in [("one", Some(None)), ("two", Some(Some(policy))), ("on", None), ("", None)] {
            let judged = authority.judge(&presented(token), None, &roles).await;
            assert_eq!(judged.clone().ok().map(|caller| caller.policy), expected, "{token}");
            assert!(judged.is_ok_and(|caller| caller.who == Who::credential(token)) || expected.is_none());
        }
    }

    #[tokio::test]
    async fn section_16_14_no_token_is_not_open() {
        let (authority, roles) = (Authority::of(Keys::default(), None), RoleQuotas::default());
        assert_eq!(authority.judge(&presented("x"), None, &roles).await, Err(Denied::Unauthorized));
        let open = Authority::open(None).judge(&presented(""), "1.2.3.4".parse().ok(), &roles).await.unwrap();
        assert_eq!(open.who, Who::address("1.2.3.4".parse().unwrap()));
    }
}
