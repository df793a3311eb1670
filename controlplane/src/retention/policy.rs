//! Which policy an upload gets: its own metadata > the policy of the presented token > what the configuration names for
//! the person's role > the node's default (easytransfer/CONTRACT.md §3).

use serde::{Deserialize, Serialize};

use crate::config::Retention;
use crate::core::{Policy, TokenPolicy};
use crate::quota::Quota;

/// Retention policy with its seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// Which policy.
    pub policy: Policy,
    /// Seconds after completion; `Some` whenever the policy is `ttl`.
    pub ttl_s: Option<u64>,
}

/// What the client wrote into the metadata.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish<'a> {
    /// `retention`
    pub policy: Option<&'a str>,
    /// `retention_ttl`
    pub ttl: Option<&'a str>,
}

/// The wish cannot be granted: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// `retention_ttl` is no number of seconds.
    #[error("retention_ttl is not a number of seconds")]
    NotSeconds,
    /// `ttl` without seconds, and nothing else says how many.
    #[error("retention ttl needs retention_ttl")]
    NoSeconds,
}

/// The policy of a new upload.
pub fn choose(
    wish: Wish<'_>,
    token: Option<TokenPolicy>,
    role: Option<&Quota>,
    node: &Retention,
) -> Result<Keep, Unclear> {
    let named = token.map(|token| token.policy).or_else(|| role?.default_retention);
    let fallback = named.unwrap_or(node.default);
    let policy = match wish.policy {
        None | Some("") => fallback,
        Some("permanent") => Policy::Permanent,
        Some("download_once") => Policy::DownloadOnce,
        Some("ttl") => Policy::Ttl,
        Some(other) => {
            tracing::info!(retention = ?other, "unknown retention, taken as permanent");
            Policy::Permanent
        }
    };
    let seconds = match wish.ttl.map(str::trim) {
        None | Some("") => None,
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(text.parse::<u64>().map_err(|_| Unclear::NotSeconds)?)
        }
        Some(_) => return Err(Unclear::NotSeconds),
    };
    let ttl_s = match policy {
        Policy::Ttl => {
            let role = || role.and_then(|role| role.default_retention_ttl);
            let others = || token.and_then(|token| token.ttl).or_else(role).or(node.default_ttl);
            Some(seconds.or_else(others).ok_or(Unclear::NoSeconds)?)
        }
        Policy::Permanent | Policy::DownloadOnce => seconds,
    };
    Ok(Keep { policy, ttl_s })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn section_3_choice_of_the_policy() {
        use Policy::{DownloadOnce, Permanent, Ttl};
        let mut node = Config::defaults().retention;
        let once = Some(TokenPolicy { policy: DownloadOnce, ttl: None });
        let hour = Some(TokenPolicy { policy: Ttl, ttl: Some(3600) });
        let keep = |policy, ttl_s| Ok(Keep { policy, ttl_s });
        let wish = |policy, ttl| Wish { policy, ttl };
        for (wish, token, expected) in [
            (wish(None, None), None, keep(Permanent, None)),
            (wish(None, None), once, keep(DownloadOnce, None)),
            (wish(Some("permanent"), None), once, keep(Permanent, None)),
            (wish(Some("whatever"), None), once, keep(Permanent, None)),
            (wish(Some("ttl"), Some("60")), None, keep(Ttl, Some(60))),
            (wish(Some("ttl"), None), hour, keep(Ttl, Some(3600))),
            (wish(None, Some("5")), hour, keep(Ttl, Some(5))),
            (wish(None, Some("5")), None, keep(Permanent, Some(5))),
            (wish(Some("ttl"), None), None, Err(Unclear::NoSeconds)),
            (wish(Some("ttl"), Some("soon")), None, Err(Unclear::NotSeconds)),
            (wish(Some("ttl"), Some("-5")), None, Err(Unclear::NotSeconds)),
            (wish(None, Some("x")), None, Err(Unclear::NotSeconds)),
        ] {
            assert_eq!(choose(wish, token, None, &node), expected, "{wish:?} {token:?}");
        }
        node.default_ttl = Some(7);
        assert_eq!(choose(wish(Some("ttl"), None), once, None, &node), keep(Ttl, Some(7)));
        // A role says something only when the configuration names a retention for it.
        let role = Quota { default_retention: Some(Ttl), default_retention_ttl: Some(9), ..Quota::default() };
        for (wish, token, role, expected) in [
            (wish(None, None), None, &role, keep(Ttl, Some(9))),
            (wish(None, None), once, &role, keep(DownloadOnce, None)),
            (wish(Some("permanent"), None), None, &role, keep(Permanent, None)),
            (wish(Some("ttl"), None), None, &Quota::default(), keep(Ttl, Some(7))),
            (wish(None, None), None, &Quota::default(), keep(Permanent, None)),
        ] {
            assert_eq!(choose(wish, token, Some(role), &node), expected, "{wish:?} {token:?} {role:?}");
        }
    }
}
