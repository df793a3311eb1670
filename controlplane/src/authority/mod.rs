//! Who may come in (contract easytransfer.md §1.2, §1.3): static tokens today, sessions later.
//!
//! Must stay true: a credential is compared in constant time over all tokens; without a valid one only the open paths
//! answer; an empty list of tokens never opens the node.

pub mod announce;
pub mod first_token;
pub mod open;

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::config::{Secret, TokenPolicy};
use crate::retention::receiver::Who;

/// Decides about credentials.
#[derive(Debug)]
pub struct Authority {
    /// `None`: the node is open to everybody.
    tokens: Option<Vec<Token>>,
}

#[derive(Debug)]
struct Token {
    digest: [u8; 32],
    who: Who,
    policy: Option<TokenPolicy>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose deliveries add up.
    pub who: Who,
    /// What uploads made with this token get when they do not say.
    pub policy: Option<TokenPolicy>,
}

/// No credential, or none that is known: 401, the same words for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a valid token is required")]
pub struct Unauthorized;

impl Authority {
    /// Everybody may do everything.
    pub fn open() -> Self {
        Self { tokens: None }
    }

    /// Only the holders of `tokens`.
    pub fn of_tokens(tokens: &[Secret], policies: &BTreeMap<Secret, TokenPolicy>) -> Self {
        let token = |secret: &Secret| Token {
            digest: digest(secret.expose()),
            who: Who::credential(secret.expose()),
            policy: policies.get(secret).copied(),
        };
        Self { tokens: Some(tokens.iter().map(token).collect()) }
    }

    /// Whether credentials are asked for at all.
    pub fn is_active(&self) -> bool {
        self.tokens.is_some()
    }

    /// Judges the credentials of a request. Order (§1.2): a valid static token wins, whichever carrier brought it.
    pub fn judge(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Result<Caller, Unauthorized> {
        let stranger = || Who::address(peer.unwrap_or(IpAddr::from([0, 0, 0, 0])));
        if self.tokens.is_none() {
            return Ok(Caller { who: stranger(), policy: None });
        }
        carried(headers).find_map(|presented| self.find(presented)).ok_or(Unauthorized)
    }

    /// Whether `presented` is a token of this node.
    pub fn is_known(&self, presented: &str) -> bool {
        self.find(presented).is_some()
    }

    fn find(&self, presented: &str) -> Option<Caller> {
        let tokens = self.tokens.as_deref()?;
        let presented = digest(presented);
        // Every token is compared, found or not: the time tells nothing about which one it was.
        let (mut found, mut place) = (Choice::from(0), 0u64);
        for (index, token) in tokens.iter().enumerate() {
            let equal = token.digest.ct_eq(&presented);
            place = u64::conditional_select(&place, &(index as u64), equal);
            found |= equal;
        }
        let token = bool::from(found).then(|| &tokens[place as usize])?;
        Some(Caller { who: token.who.clone(), policy: token.policy })
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

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Policy;

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
        let tokens = [Secret::new("one"), Secret::new("two")];
        let authority = Authority::of_tokens(&tokens, &[(Secret::new("two"), policy)].into());
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
        let authority = Authority::of_tokens(&[], &BTreeMap::new());
        assert!(authority.is_active() && authority.judge(&headers(&[("x-api-token", "x")]), None).is_err());
        let open = Authority::open().judge(&headers(&[]), "1.2.3.4".parse().ok()).unwrap();
        assert_eq!(open.who, Who::address("1.2.3.4".parse().unwrap()));
    }
}
