//! The provider's signing keys, and when to ask for them again.
//!
//! A token with an unknown key may be a rotation or an attack: the keys are fetched again for it, but not more often than
//! every thirty seconds (PROMISES.md §5).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, crypto};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::fetch::{Fault, Fetch, send};

/// Between two refreshes.
const REFRESH_EVERY: Duration = Duration::from_secs(30);

/// The keys of a provider. Entries of a kind that is unknown here are left out (RFC 7517 §5).
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Published")]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl From<Published> for KeySet {
    fn from(published: Published) -> Self {
        let known = published.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Self { keys: known.map(Key).collect() }
    }
}

impl KeySet {
    /// The keys in the provider's order.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }
}

/// One public key.
#[derive(Debug)]
pub struct Key(Jwk);

impl Key {
    /// The name that tokens call it by.
    pub fn id(&self) -> Option<&str> {
        self.0.common.key_id.as_deref()
    }

    /// Whether `signature` (base64url) over `signed` was made with this key and `algorithm`.
    pub fn is_signer(&self, algorithm: Algorithm, signed: &[u8], signature: &str) -> bool {
        self.is_for(algorithm)
            && DecodingKey::from_jwk(&self.0)
                .is_ok_and(|key| crypto::verify(signature, signed, &key, algorithm).unwrap_or(false))
    }

    /// Whether the key's type, curve, use and algorithm all permit signatures of `algorithm`.
    fn is_for(&self, algorithm: Algorithm) -> bool {
        let Jwk { common, algorithm: parameters } = &self.0;
        let has_type = match parameters {
            AlgorithmParameters::RSA(_) => algorithm.family() == AlgorithmFamily::Rsa,
            AlgorithmParameters::EllipticCurve(point) => match point.curve {
                EllipticCurve::P256 => algorithm == Algorithm::ES256,
                EllipticCurve::P384 => algorithm == Algorithm::ES384,
                _ => false,
            },
            AlgorithmParameters::OctetKeyPair(point) => {
                point.curve == EllipticCurve::Ed25519 && algorithm == Algorithm::EdDSA
            }
            // A shared secret has no place in a published set.
            _ => false,
        };
        let has_use = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
        has_type && has_use && common.key_algorithm.is_none_or(|named| named == algorithm.into())
    }
}

/// The keys behind one address.
#[derive(Debug)]
pub struct Keys {
    url: Url,
    known: Mutex<Known>,
    turn: Semaphore,
}

#[derive(Debug, Default)]
struct Known {
    keys: Option<Arc<KeySet>>,
    /// The first fetch is no refresh.
    refreshed: Option<Instant>,
}

impl Keys {
    /// Asks nothing yet.
    pub fn at(url: Url) -> Self {
        Self { url, known: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// The keys, fetched when there are none.
    pub async fn get(&self, fetch: &Fetch) -> Result<Arc<KeySet>, Fault> {
        if let Some(keys) = self.with(|known| known.keys.clone()) {
            return Ok(keys);
        }
        let _turn = self.turn.acquire().await.expect("this semaphore is never closed");
        match self.with(|known| known.keys.clone()) {
            Some(keys) => Ok(keys),
            None => self.fetch(fetch).await,
        }
    }

    /// Other keys than `seen`; `None` when there are none and it is too early to ask.
    pub async fn newer_than(&self, seen: &Arc<KeySet>, fetch: &Fetch) -> Result<Option<Arc<KeySet>>, Fault> {
        let _turn = self.turn.acquire().await.expect("this semaphore is never closed");
        // The holder of the previous turn may have fetched what is missing.
        if let Some(keys) = self.with(|known| known.keys.clone()).filter(|keys| !Arc::ptr_eq(keys, seen)) {
            return Ok(Some(keys));
        }
        if !self.with(|known| known.may_refresh(Instant::now())) {
            return Ok(None);
        }
        self.fetch(fetch).await.map(Some)
    }

    async fn fetch(&self, fetch: &Fetch) -> Result<Arc<KeySet>, Fault> {
        let keys: KeySet = send(fetch.get(&self.url)).await?.ok()?;
        let keys = Arc::new(keys);
        self.with(|known| known.keys = Some(Arc::clone(&keys)));
        Ok(keys)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    /// Counts as a refresh when it says yes, whatever comes of it.
    fn may_refresh(&mut self, now: Instant) -> bool {
        let may = self.refreshed.is_none_or(|last| now.duration_since(last) >= REFRESH_EVERY);
        if may {
            self.refreshed = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_5_keys_are_refreshed_at_most_once_in_thirty_seconds() {
        let start = Instant::now();
        let mut known = Known::default();
        for (after_s, may) in [(0, true), (1, false), (29, false), (30, true), (31, false), (59, false), (60, true)] {
            assert_eq!(known.may_refresh(start + Duration::from_secs(after_s)), may, "{after_s} s");
        }
    }
}
