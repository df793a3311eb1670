//! The checks of an ID token (OpenID Connect Core 1.0 §3.1.3.7, PROMISES.md §4 row "JWT").
//!
//! Signatures are verified by `jsonwebtoken` (see `keys.rs`); the rest is done here because OpenID Connect crates cannot read
//! the ID tokens of Casdoor, the provider whose paths easytransfer/CONTRACT.md §6.1 names: their `address` is a list
//! (<https://github.com/casdoor/casdoor/issues/5149>), and one claim of an unexpected shape makes them refuse the token.
//!
//! What must stay true: the claims are returned only after every check; the algorithm comes from the discovery document,
//! the token's header can only choose among those; no key is ever taken from a token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::keys::{Key, KeySet};
use crate::bounds::{ID_TOKEN_BYTES_MAX, ID_TOKEN_KEYS_MAX};

/// How far the provider's clock may be from ours, seconds.
const SKEW_S: f64 = 60.0;

/// Header fields that bring their own key, or ask for rules that are unknown here.
const HEADER_REFUSED: [&str; 5] = ["jku", "x5u", "jwk", "x5c", "crit"];

/// What a token must say.
#[derive(Debug)]
pub struct Expected<'e> {
    /// As the discovery document writes it.
    pub issuer: &'e str,
    /// Among the audiences.
    pub client_id: &'e str,
    /// Of this login.
    pub nonce: &'e str,
    /// Asymmetric ones only.
    pub algorithms: &'e [Algorithm],
    /// Unix seconds.
    pub now_s: u64,
}

/// Why an ID token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdTokenFault {
    /// There is none, although the provider announces them.
    #[error("there is none")]
    Missing,
    /// More than 8 KiB.
    #[error("it is longer than 8 KiB")]
    TooLong,
    /// Not three parts of base64url, or no JSON objects in them.
    #[error("it is not a signed JSON web token")]
    Malformed,
    /// A header field that is refused.
    #[error("its header has a {0}")]
    Header(&'static str),
    /// No algorithm the provider announced, or one that proves nothing.
    #[error("its algorithm is not one that the provider announced")]
    Algorithm,
    /// Its key is not among the provider's; they may have changed.
    #[error("its key is not among the provider's keys")]
    UnknownKey,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// A claim is missing, of the wrong type, or says something else.
    #[error("its {0} is wrong")]
    Claim(&'static str),
}

/// The claims of a token that passed every check.
pub fn verify(token: &str, keys: &KeySet, expected: &Expected<'_>) -> Result<Map<String, Value>, IdTokenFault> {
    if token.len() > ID_TOKEN_BYTES_MAX {
        return Err(IdTokenFault::TooLong);
    }
    let mut parts = token.rsplitn(2, '.');
    let (Some(signature), Some(signed)) = (parts.next(), parts.next()) else { return Err(IdTokenFault::Malformed) };
    let (header, payload) = signed.split_once('.').ok_or(IdTokenFault::Malformed)?;
    URL_SAFE_NO_PAD.decode(signature).map_err(|_| IdTokenFault::Malformed)?;
    check_signature(&object(header)?, signed.as_bytes(), signature, keys, expected.algorithms)?;
    let claims = object(payload)?;
    check_claims(&claims, expected)?;
    Ok(claims)
}

fn object(part: &str) -> Result<Map<String, Value>, IdTokenFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| IdTokenFault::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| IdTokenFault::Malformed)
}

fn check_signature(
    header: &Map<String, Value>,
    signed: &[u8],
    signature: &str,
    keys: &KeySet,
    algorithms: &[Algorithm],
) -> Result<(), IdTokenFault> {
    if let Some(field) = HEADER_REFUSED.into_iter().find(|field| header.contains_key(*field)) {
        return Err(IdTokenFault::Header(field));
    }
    let algorithm = header.get("alg").cloned().unwrap_or_default();
    let algorithm: Algorithm = serde_json::from_value(algorithm).map_err(|_| IdTokenFault::Algorithm)?;
    if !algorithms.contains(&algorithm) || algorithm.family() == AlgorithmFamily::Hmac {
        return Err(IdTokenFault::Algorithm);
    }
    let is_signer = |key: &&Key| key.is_signer(algorithm, signed, signature);
    match header.get("kid") {
        Some(Value::String(kid)) => {
            let mut named = keys.iter().filter(|key| key.id() == Some(kid)).peekable();
            named.peek().ok_or(IdTokenFault::UnknownKey)?;
            named.find(is_signer).map(drop).ok_or(IdTokenFault::Signature)
        }
        Some(_) => Err(IdTokenFault::Header("kid that is no text")),
        None => {
            let mut all = keys.iter().take(ID_TOKEN_KEYS_MAX);
            all.find(is_signer).map(drop).ok_or(IdTokenFault::UnknownKey)
        }
    }
}

fn check_claims(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), IdTokenFault> {
    let text = |name: &'static str| claims.get(name).and_then(Value::as_str).ok_or(IdTokenFault::Claim(name));
    let holds = |holds: bool, name: &'static str| if holds { Ok(()) } else { Err(IdTokenFault::Claim(name)) };
    holds(text("iss")? == expected.issuer, "iss")?;
    let is_for_us_alone = is_for(claims.get("aud"), expected.client_id).ok_or(IdTokenFault::Claim("aud"))?;
    // OpenID Connect Core 1.0 §3.1.3.7, 4 and 5: another audience could use its copy of the token here, unless the token
    // says it was made for us.
    let is_ours = match claims.get("azp") {
        Some(azp) => azp.as_str() == Some(expected.client_id),
        None => is_for_us_alone,
    };
    holds(is_ours, "azp")?;
    let now = expected.now_s as f64;
    holds(time(claims, "exp")? > now - SKEW_S, "exp")?;
    holds(time(claims, "iat")? <= now + SKEW_S, "iat")?;
    if claims.contains_key("nbf") {
        holds(time(claims, "nbf")? <= now + SKEW_S, "nbf")?;
    }
    holds(text("nonce")?.as_bytes().ct_eq(expected.nonce.as_bytes()).into(), "nonce")?;
    holds(!text("sub")?.is_empty(), "sub")
}

/// A NumericDate: seconds, fractions allowed, never negative.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<f64, IdTokenFault> {
    let seconds = claims.get(name).and_then(Value::as_f64);
    seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0).ok_or(IdTokenFault::Claim(name))
}

/// `None`: it is not for `client_id`; else whether it is for no other one.
fn is_for(audience: Option<&Value>, client_id: &str) -> Option<bool> {
    match audience? {
        Value::String(one) => (one == client_id).then_some(true),
        Value::Array(several) => {
            let is_us = |audience: &Value| audience.as_str() == Some(client_id);
            let is_text = several.iter().all(Value::is_string);
            (is_text && several.iter().any(is_us)).then(|| several.iter().all(is_us))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
