//! Who may come in (contract easytransfer.md §1.2, §1.3).
//!
//! * [`keys`] static tokens · [`first_token`] the one a node makes for itself · [`announce`] telling it
//! * [`caller`] what somebody who came in may do
//! * [`open`] paths that answer everybody
//!
//! Must stay true: without a valid credential only the open paths answer; an empty list of tokens never opens the node.

pub mod announce;
pub mod caller;
pub mod first_token;
pub mod keys;
pub mod open;

use std::net::IpAddr;

use arc_swap::ArcSwap;
use http::HeaderMap;
use http::header::AUTHORIZATION;

pub use caller::{Caller, Standing};

use crate::retention::receiver::Who;
use keys::Keys;

/// Decides about credentials.
#[derive(Debug)]
pub struct Authority {
    keys: ArcSwap<Keys>,
    /// `auth.enabled: false`.
    is_open: bool,
}

/// No credential, or none that is known: 401, the same words for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a valid token is required")]
pub struct Unauthorized;

impl Authority {
    /// Everybody may do everything.
    pub fn open() -> Self {
        Self { keys: ArcSwap::default(), is_open: true }
    }

    /// Only the holders of `keys`.
    pub fn of(keys: Keys) -> Self {
        Self { keys: ArcSwap::from_pointee(keys), is_open: false }
    }

    /// From the next request on these tokens count, and no others.
    pub fn replace(&self, keys: Keys) {
        self.keys.store(keys.into());
    }

    /// Judges the credentials of a request. Order (§1.2): a valid static token wins, whichever carrier brought it.
    pub fn judge(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Caller, Unauthorized> {
        if self.is_open {
            let who = Who::address(peer.unwrap_or(IpAddr::from([0, 0, 0, 0])));
            return Ok(Caller { who, policy: None, standing: Standing::Open });
        }
        let keys = self.keys.load();
        let key = carried(headers).find_map(|presented| keys.find(presented)).ok_or(Unauthorized)?;
        let standing = Standing::Token { is_admin: key.is_admin };
        Ok(Caller { who: key.who.clone(), policy: key.policy, standing })
    }

    /// Whether `presented` is a token of this node.
    pub fn is_known(&self, presented: &str) -> bool {
        self.keys.load().find(presented).is_some()
    }
}

/// What the carriers of §1.2 bring. `X-Session-Token` and `?token=` carry sessions only, and there are none yet.
fn carried(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let api = headers.get_all("x-api-token").iter().filter_map(|value| value.to_str().ok());
    let bearer = headers.get_all(AUTHORIZATION).iter().filter_map(|value| value.to_str().ok()).filter_map(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    api.chain(bearer).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Policy, Secret, TokenPolicy};

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
            .into_iter()
            .collect()
    }

    #[test]
    fn section_1_2_carriers() {
        let policy = TokenPolicy { policy: Policy::DownloadOnce, ttl: None };
        let mut config = Config::defaults();
        config.auth.tokens = vec![Secret::new("one"), Secret::new("two")];
        config.retention.token_policies = [(Secret::new("two"), policy)].into();
        let authority = Authority::of(Keys::of(&config, None));
        for (fields, expected) in [
            (&[("x-api-token", "one")][..], Some("one")),
            (&[("authorization", "Bearer two")], Some("two")),
            (&[("authorization", "bearer  two")], Some("two")),
            (&[("x-api-token", "one"), ("authorization", "Bearer nothing")], Some("one")),
            (&[("x-api-token", "nothing"), ("authorization", "Bearer two")], Some("two")),
            (&[("x-session-token", "one")], None),
            (&[("authorization", "Basic one")], None),
            (&[("authorization", "one")], None),
            (&[("x-api-token", "")], None),
            (&[("x-api-token", "on")], None),
            (&[], None),
        ] {
            let judged = authority.judge(&headers(fields), None).ok();
            assert_eq!(judged.as_ref().map(|caller| &caller.who), expected.map(Who::credential).as_ref(), "{fields:?}");
            let expected = expected.filter(|token| *token == "two").map(|_| policy);
            assert_eq!(judged.and_then(|caller| caller.policy), expected);
        }
    }

    #[test]
    fn section_16_14_no_token_is_not_open() {
        let authority = Authority::of(Keys::default());
        assert!(authority.judge(&headers(&[("x-api-token", "x")]), None).is_err());
        let open = Authority::open().judge(&headers(&[]), "1.2.3.4".parse().ok()).unwrap();
        assert_eq!(open.who, Who::address("1.2.3.4".parse().unwrap()));
    }
}
