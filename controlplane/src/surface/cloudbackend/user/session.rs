//! What began with a login: a line of token pairs, each in the place of the one before (CONTRACT.md §A3,
//! `refresh-token`). One document, `t/<account>/<session>`, which holds the pair that counts and those it replaced a
//! moment ago.
//!
//! ```text
//! presented                                    │ then
//! ─────────────────────────────────────────────┼───────────────────────────────────────────────
//! the refresh token that counts                │ a new pair takes its place
//! one that was replaced a moment ago           │ the pair that replaced it, again (parallel tabs)
//! an older one of this session                 │ the session ends: there is a copy of it
//! one of a session that ended, or of no session│ nothing
//! ```
//!
//! Must stay true: who adds, changes or ends sessions of an account holds the lock of all its sessions, so nothing that a
//! change of password ended is written back. A token names its session: its `jti` begins with it.

use serde::{Deserialize, Serialize};

use super::token::{Claims, Kind};
use crate::catalogue::WriteError;
use crate::core::SurfaceId;
use crate::node::key_locks::KeyGuard;
use crate::node::{Edit, Node};
use crate::surface::cloudbackend::api::counter::part;
use crate::surface::cloudbackend::settings::CloudBackend;
use crate::surface::jwt;

const SURFACE: SurfaceId = SurfaceId::CloudBackend;
/// All sessions of everybody.
const PREFIX: &str = "t/";
/// Hex digits of a session's name; a token's `jti` is twice as long.
const NAME_DIGITS: usize = 16;
/// Replaced pairs a session remembers, however often it is refreshed in a moment.
const REPLACED_MAX: usize = 8;

/// A pair of tokens for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// For requests.
    pub access: String,
    /// For the next pair.
    pub refresh: String,
}

/// A session as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    #[serde(skip)]
    key: String,
    /// In the order in which each replaced the one before; the last one counts. Never empty.
    pairs: Vec<Pair>,
}

/// Everything two tokens are made of, so that the same ones can be made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pair {
    access: String,
    refresh: String,
    /// Unix milliseconds.
    issued_ms: u64,
    /// Unix seconds.
    access_exp: u64,
    /// Unix seconds.
    refresh_exp: u64,
}

/// What a refresh token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presented {
    /// It counts.
    Current,
    /// It was replaced a moment ago, by the pair with this index.
    Replaced(usize),
    /// It was replaced before.
    Stale,
}

/// No other request changes the account's sessions until the guard is dropped.
pub async fn lock(node: &Node, id: u64) -> KeyGuard<'_> {
    node.locks.lock(SURFACE, &prefix(id)).await
}

/// A new session. The lock is held, and what was right before it was waited for is right still.
pub fn begin(cloud: &CloudBackend, id: u64, now_ms: u64) -> (Session, Tokens) {
    let name = random_digits(NAME_DIGITS);
    let pair = Pair::new(cloud, &name, now_ms);
    let tokens = pair.sign(cloud, id);
    (Session { key: format!("{}{name}", prefix(id)), pairs: vec![pair] }, tokens)
}

/// The pair for a refresh token that was signed here; `None`: it counts for nothing. The lock is held.
pub async fn refresh(node: &Node, cloud: &CloudBackend, claims: &Claims) -> Result<Option<Tokens>, WriteError> {
    let Some(mut session) = Session::of(node, claims) else { return Ok(None) };
    let now_ms = node.clock.now_ms();
    let reuse_ms = cloud.refresh_reuse_seconds.saturating_mul(1000);
    let tokens = match session.presented(&claims.jti, now_ms, reuse_ms) {
        Presented::Replaced(by) => return Ok(Some(session.pairs[by].sign(cloud, claims.user_id))),
        Presented::Stale => {
            tracing::warn!(user = claims.user_id, "a refresh token came after it was replaced; its session ends");
            node.edit(session.end(Edit::default())).await?;
            return Ok(None);
        }
        Presented::Current => session.replace(cloud, claims.user_id, now_ms, reuse_ms),
    };
    node.edit(session.write(Edit::default())).await?;
    Ok(Some(tokens))
}

/// Whether the session of a token has not ended.
pub fn is_open(node: &Node, claims: &Claims) -> bool {
    Session::of(node, claims).is_some()
}

/// Ends the session of a token, whichever of its tokens it is. The lock is held.
pub async fn end(node: &Node, claims: &Claims) -> Result<(), WriteError> {
    match Session::of(node, claims) {
        Some(session) => node.edit(session.end(Edit::default())).await,
        None => Ok(()),
    }
}

/// Adds the end of all sessions of an account to an edit. The lock is held.
pub fn end_all(node: &Node, id: u64, edit: Edit) -> Edit {
    let sessions = node.docs_under(SURFACE, &prefix(id));
    sessions.into_iter().fold(edit, |edit, (key, _)| edit.erase(SURFACE, key))
}

/// Forgets sessions whose last token has expired; how many.
pub async fn sweep(node: &Node) -> Result<usize, WriteError> {
    let now = node.clock.now_ms() / 1000;
    let is_over = |text: &[u8]| {
        let session: Option<Session> = serde_json::from_slice(text).ok();
        session
            .is_none_or(|session| session.pairs.last().is_none_or(|pair| pair.refresh_exp.max(pair.access_exp) < now))
    };
    // Without locks: a token that has expired is refused before its session is looked at.
    let over: Vec<_> = node.docs_under(SURFACE, PREFIX).into_iter().filter(|(_, text)| is_over(text)).collect();
    if !over.is_empty() {
        node.edit(over.iter().fold(Edit::default(), |edit, (key, _)| edit.erase(SURFACE, key.clone()))).await?;
    }
    Ok(over.len())
}

impl Session {
    fn of(node: &Node, claims: &Claims) -> Option<Self> {
        let name = claims.jti.get(..NAME_DIGITS)?;
        let key = format!("{}{name}", prefix(claims.user_id));
        let session: Self = serde_json::from_slice(&node.doc(SURFACE, &key)?).ok()?;
        Some(Self { key, ..session }).filter(|session| !session.pairs.is_empty())
    }

    fn presented(&self, jti: &str, now_ms: u64, reuse_ms: u64) -> Presented {
        match self.pairs.iter().position(|pair| pair.refresh == jti) {
            Some(at) if at + 1 == self.pairs.len() => Presented::Current,
            Some(at) if now_ms.saturating_sub(self.pairs[at + 1].issued_ms) < reuse_ms => Presented::Replaced(at + 1),
            Some(_) | None => Presented::Stale,
        }
    }

    fn replace(&mut self, cloud: &CloudBackend, id: u64, now_ms: u64, reuse_ms: u64) -> Tokens {
        let name = self.key.rsplit('/').next().unwrap_or_default();
        let pair = Pair::new(cloud, name, now_ms);
        let tokens = pair.sign(cloud, id);
        self.pairs.push(pair);
        // A pair is remembered for as long as its successor is young.
        let young = self.pairs.windows(2).filter(|two| now_ms.saturating_sub(two[1].issued_ms) < reuse_ms).count();
        let keep = young.min(REPLACED_MAX) + 1;
        self.pairs.drain(..self.pairs.len() - keep);
        tokens
    }

    /// Adds its document to an edit.
    pub fn write(&self, edit: Edit) -> Edit {
        let text = serde_json::to_vec(self).expect("a struct of texts and numbers is always JSON");
        edit.write(SURFACE, self.key.clone(), text)
    }

    fn end(&self, edit: Edit) -> Edit {
        edit.erase(SURFACE, self.key.clone())
    }
}

impl Pair {
    fn new(cloud: &CloudBackend, session: &str, now_ms: u64) -> Self {
        let now = now_ms / 1000;
        Self {
            access: format!("{session}{}", random_digits(NAME_DIGITS)),
            refresh: format!("{session}{}", random_digits(NAME_DIGITS)),
            issued_ms: now_ms,
            access_exp: now.saturating_add(cloud.access_token_minutes.saturating_mul(60)),
            refresh_exp: now.saturating_add(cloud.refresh_token_days.saturating_mul(86_400)),
        }
    }

    fn sign(&self, cloud: &CloudBackend, id: u64) -> Tokens {
        let token = |token_type, exp, jti: &String| {
            let claims = Claims { token_type, exp, iat: self.issued_ms / 1000, jti: jti.clone(), user_id: id };
            jwt::sign(cloud.jwt_secret.expose().as_bytes(), &claims)
        };
        Tokens {
            access: token(Kind::Access, self.access_exp, &self.access),
            refresh: token(Kind::Refresh, self.refresh_exp, &self.refresh),
        }
    }
}

/// Where the sessions of an account are.
fn prefix(id: u64) -> String {
    format!("{PREFIX}{}/", part(id))
}

fn random_digits(count: usize) -> String {
    let mut bytes = vec![0; count / 2];
    getrandom::fill(&mut bytes).expect("the kernel's random source does not fail once the machine is up");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalogue::Snapshot;
    use crate::config::Config;

    const REUSE_MS: u64 = 10_000;

    fn config() -> Config {
        let mut config = Config::defaults();
        config.surfaces.make_secrets(tempfile::tempdir().unwrap().path()).unwrap();
        config
    }

    fn claims(cloud: &CloudBackend, token: &str) -> Claims {
        jwt::verify(cloud.jwt_secret.expose().as_bytes(), token).unwrap()
    }

    #[test]
    fn a3_a_replaced_token_is_worth_its_successor_for_a_moment() {
        let config = config();
        let cloud = config.surfaces.of::<CloudBackend>();
        let now = crate::clock::wall_ms();
        let (mut session, first) = begin(cloud, 7, now);
        let jti = |tokens: &Tokens| claims(cloud, &tokens.refresh).jti;
        assert_eq!(session.presented(&jti(&first), now, REUSE_MS), Presented::Current);
        let second = session.replace(cloud, 7, now + 1, REUSE_MS);
        let third = session.replace(cloud, 7, now + 2, REUSE_MS);
        assert_eq!(session.pairs[1].sign(cloud, 7), second, "the very same pair can be made again");
        for (tokens, later, presented) in [
            (&third, 2, Presented::Current),
            (&third, 1_000_000, Presented::Current),
            (&first, 2, Presented::Replaced(1)),
            (&second, 2, Presented::Replaced(2)),
            (&first, 10_000, Presented::Replaced(1)),
            (&first, 10_001, Presented::Stale),
            (&second, 10_002, Presented::Stale),
        ] {
            assert_eq!(session.presented(&jti(tokens), now + later, REUSE_MS), presented, "{later}");
        }
        assert_eq!(session.presented(&jti(&second), now + 2, 0), Presented::Stale, "0 = never");
        session.replace(cloud, 7, now + 50_000, REUSE_MS);
        assert_eq!(session.pairs.len(), 2, "what may not be presented again is forgotten");
        assert_eq!(session.presented(&jti(&first), now + 50_000, REUSE_MS), Presented::Stale);
        (0..100).for_each(|_| drop(session.replace(cloud, 7, now + 50_000, REUSE_MS)));
        assert_eq!(session.pairs.len(), REPLACED_MAX + 1);
    }

    #[tokio::test]
    async fn section_4_a_stale_token_ends_its_session_and_no_other() {
        let config = config();
        let cloud = config.surfaces.of::<CloudBackend>().clone();
        let node = Node::new(Arc::new(config), Snapshot::of_memory());
        let now = node.clock.now_ms();
        let (session, first) = begin(&cloud, 7, now);
        let (other, others) = begin(&cloud, 7, now);
        node.edit(other.write(session.write(Edit::default()))).await.unwrap();
        let mut never = cloud.clone();
        never.refresh_reuse_seconds = 0;
        let use_once = async |token: &str| refresh(&node, &never, &claims(&cloud, token)).await.unwrap();
        let second = use_once(&first.refresh).await.expect("it counts");
        assert_ne!(second, first);
        assert_eq!(use_once(&first.refresh).await, None, "it was replaced");
        assert_eq!(use_once(&second.refresh).await, None, "and took its successor along");
        let more = use_once(&others.refresh).await.expect("another session");
        node.edit(end_all(&node, 8, Edit::default())).await.unwrap();
        assert!(use_once(&more.refresh).await.is_some(), "another account's");
        node.edit(end_all(&node, 7, Edit::default())).await.unwrap();
        assert!(node.docs_under(SURFACE, PREFIX).is_empty());
    }

    #[tokio::test]
    async fn a7_sessions_go_when_their_last_token_has_expired() {
        let config = config();
        let cloud = config.surfaces.of::<CloudBackend>().clone();
        let node = Node::new(Arc::new(config), Snapshot::of_memory());
        let (now, week) = (node.clock.now_ms(), 7 * 86_400_000);
        for (issued, swept) in [(now, 0), (now - week + 60_000, 0), (now - week - 60_000, 1)] {
            let (session, _) = begin(&cloud, 7, issued);
            node.edit(session.write(Edit::default())).await.unwrap();
            assert_eq!(sweep(&node).await.unwrap(), swept, "{issued}");
        }
    }
}
