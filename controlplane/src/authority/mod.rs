//! Who may come in (contract easytransfer.md §1.2, §1.3).
//!
//! * [`presented`] what a request brings · [`keys`] static tokens · sessions are asked of [`People`]
//! * [`first_token`] the token a node makes for itself · [`announce`] telling it
//! * [`caller`] what somebody who came in may do
//! * [`open`] paths that answer everybody
//!
//! Must stay true: without a valid credential only the open paths answer; an empty list of tokens never opens the node; a
//! session is looked up at every decision, so that one that ended is out.

pub mod announce;
pub mod caller;
pub mod first_token;
pub mod keys;
pub mod open;
pub mod presented;

use std::net::IpAddr;

use arc_swap::ArcSwap;

pub use caller::{Caller, Standing};
pub use presented::Presented;

use crate::people::{People, PeopleError, Session};
use crate::quota::RoleQuotas;
use crate::retention::receiver::Who;
use keys::Keys;

/// Decides about credentials.
#[derive(Debug)]
pub struct Authority {
    keys: ArcSwap<Keys>,
    /// `auth.enabled: false`.
    is_open: bool,
    people: Option<People>,
}

/// Why somebody does not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No credential, or none that is known: 401, the same words for both.
    #[error("a valid token is required")]
    Unauthorized,
    /// Whether it is a session cannot be told now: 503.
    #[error(transparent)]
    People(#[from] PeopleError),
}

impl Authority {
    /// Everybody may do everything.
    pub fn open(people: Option<People>) -> Self {
        Self { keys: ArcSwap::default(), is_open: true, people }
    }

    /// Only the holders of `keys`, and whoever is signed in.
    pub fn of(keys: Keys, people: Option<People>) -> Self {
        Self { keys: ArcSwap::from_pointee(keys), is_open: false, people }
    }

    /// From the next request on these tokens count, and no others.
    pub fn replace(&self, keys: Keys) {
        self.keys.store(keys.into());
    }

    /// Judges the credentials of a request. Order (§1.2): a valid static token wins, whichever carrier brought it; then
    /// the first session that is alive. On an open node a session counts too, and its absence costs nothing.
    pub async fn judge(
        &self,
        presented: &Presented,
        peer: Option<IpAddr>,
        roles: &RoleQuotas,
    ) -> Result<Caller, Denied> {
        if let Some(caller) = self.token(presented) {
            return Ok(caller);
        }
        let session = self.session(presented).await;
        match session {
            Ok(Some(session)) => {
                let quota = session.user.effective(roles);
                Ok(Caller::person(session, quota))
            }
            Ok(None) | Err(_) if self.is_open => {
                let who = Who::address(peer.unwrap_or(IpAddr::from([0, 0, 0, 0])));
                Ok(Caller { who, policy: None, standing: Standing::Open })
            }
            Ok(None) => Err(Denied::Unauthorized),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a credential is valid, and until when (Unix milliseconds, sessions only).
    pub async fn verify(&self, text: &str) -> Result<(bool, Option<u64>), PeopleError> {
        let presented = Presented::anywhere(text);
        if self.token(&presented).is_some() {
            return Ok((true, None));
        }
        let session = self.session(&presented).await?;
        Ok((session.is_some(), session.map(|session| session.expires_ms)))
    }

    fn token(&self, presented: &Presented) -> Option<Caller> {
        let keys = self.keys.load();
        let key = presented.tokens.iter().find_map(|text| keys.find(text))?;
        let standing = Standing::Token { is_admin: key.is_admin };
        Some(Caller { who: key.who.clone(), policy: key.policy, standing })
    }

    async fn session(&self, presented: &Presented) -> Result<Option<Session>, PeopleError> {
        let Some(people) = &self.people else { return Ok(None) };
        for text in &presented.sessions {
            if let Some(session) = people.session(text).await? {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Policy, Secret, TokenPolicy};

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
