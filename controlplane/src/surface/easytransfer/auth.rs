//! `POST /api/auth/verify` (contract §5.7): open, against the live tokens, in constant time, and not for guessing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::RETRY_AFTER;
use serde_json::{Value, json};

use crate::clock::iso;
use crate::line::attached::Attached;
use crate::line::meta::Meta;
use crate::server::App;
use crate::surface::query::Invalid;
use crate::surface::refusal::Refused;

/// Wrong tokens one address may try in [`WINDOW`].
const MISSES_MAX: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered; beyond it the table starts afresh.
const ADDRESSES_MAX: usize = 10_000;

/// Wrong tokens per address, for all requests at once.
#[derive(Debug, Default)]
pub struct Misses(Mutex<Table>);

impl Misses {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Table(HashMap<IpAddr, (Instant, u32)>);

impl Table {
    fn is_exhausted(&self, peer: IpAddr) -> bool {
        self.0.get(&peer).is_some_and(|(since, misses)| since.elapsed() < WINDOW && *misses >= MISSES_MAX)
    }

    fn add(&mut self, peer: IpAddr) {
        if self.0.len() >= ADDRESSES_MAX {
            self.0.retain(|_, (since, _)| since.elapsed() < WINDOW);
        }
        if self.0.len() >= ADDRESSES_MAX {
            self.0.clear();
        }
        let entry = self.0.entry(peer).or_insert((Instant::now(), 0));
        if entry.0.elapsed() >= WINDOW {
            *entry = (Instant::now(), 0);
        }
        entry.1 += 1;
    }
}

/// Exactly one token; a key given twice is refused (reliability.md §4).
#[derive(serde::Deserialize)]
struct Asked {
    token: String,
}

/// Whether a token is valid.
pub async fn verify(State(app): State<App>, Extension(meta): Extension<Meta>, Attached(body): Attached) -> Response {
    let Ok(Asked { token }) = serde_json::from_slice(&body) else {
        return Invalid::in_body("token", "JSON with one token, a string", Value::Null).into_response();
    };
    let peer = meta.peer.map(|peer| peer.ip().to_canonical());
    if peer.is_some_and(|peer| app.misses.lock().is_exhausted(peer)) {
        return Refused::new(429, "too many wrong tokens").with(RETRY_AFTER, "60").into_response();
    }
    let (valid, expires_ms) = match app.authority.verify(&token).await {
        Ok(verdict) => verdict,
        Err(error) => return Refused::from(error).into_response(),
    };
    if let Some(peer) = peer.filter(|_| !valid) {
        app.misses.lock().add(peer);
    }
    Json(json!({"valid": valid, "expires_at": expires_ms.map(iso)})).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_5_7_guessing_is_limited_per_address() {
        let mut misses = Table::default();
        let (a, b) = (IpAddr::from([1, 1, 1, 1]), IpAddr::from([2, 2, 2, 2]));
        (0..MISSES_MAX).for_each(|_| misses.add(a));
        assert!(misses.is_exhausted(a) && !misses.is_exhausted(b));
    }
}
