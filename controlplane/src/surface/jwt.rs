//! Tokens that carry their own claims: JWT (RFC 7519), signed with HS256 and nothing else.
//!
//! Must stay true: the algorithm and the key are ours, never the token's; whatever is wrong with a token, the answer is the
//! same `None`. Who a claim is about is the dialect's business.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bounds::JWT_BYTES_MAX;

/// A token with these claims; `exp` has to be one of them.
pub fn sign(key: &[u8], claims: &impl Serialize) -> String {
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(key))
        .expect("claims are JSON objects with string keys, and any bytes are an HMAC key")
}

/// The claims of a token that was signed with `key` and has not expired.
pub fn verify<T: DeserializeOwned>(key: &[u8], token: &str) -> Option<T> {
    read(key, token, true)
}

/// The claims of a token that was signed with `key`, expired or not: for a request that began while it counted.
pub fn verify_begun<T: DeserializeOwned>(key: &[u8], token: &str) -> Option<T> {
    read(key, token, false)
}

fn read<T: DeserializeOwned>(key: &[u8], token: &str, must_last: bool) -> Option<T> {
    if token.len() > JWT_BYTES_MAX {
        return None;
    }
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = 0;
    validation.validate_exp = must_last;
    validation.validate_nbf = true;
    // These dialects name no audience: one that a foreign program wrote down excludes no caller.
    validation.validate_aud = false;
    let token = jsonwebtoken::decode::<Value>(token, &DecodingKey::from_secret(key), &validation).ok()?;
    let Header { jku, jwk, x5u, x5c, crit, .. } = &token.header;
    // A key that the token brings along, and (RFC 7515 §4.1.11) an extension that is unknown here.
    let brings_a_key = jku.is_some() || jwk.is_some() || x5u.is_some() || x5c.is_some();
    if brings_a_key || crit.is_some() {
        return None;
    }
    let is_time =
        |claim: &str| token.claims.get(claim).is_none_or(|time| time.as_f64().is_some_and(|seconds| seconds >= 0.0));
    if !["exp", "nbf", "iat"].iter().all(|claim| is_time(claim)) {
        return None;
    }
    serde_json::from_value(token.claims).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;
    use crate::clock::wall_ms;

    const KEY: &[u8] = b"a key of the tests";

    fn encoded(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    /// A token with any header and claims, rightly signed.
    fn forged(header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let key = EncodingKey::from_secret(KEY);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let soon = wall_ms() / 1000 + 60;
        let claims = json!({"sub": "device1", "exp": soon, "more": [1]});
        let token = sign(KEY, &claims);
        assert_eq!(verify(KEY, &token), Some(claims.clone()));
        assert_eq!(verify_begun(KEY, &token), Some(claims));
        let over = sign(KEY, &json!({"exp": soon - 120}));
        assert_eq!(verify::<Value>(KEY, &over), None);
        assert!(verify_begun::<Value>(KEY, &over).is_some() && verify_begun::<Value>(b"another key", &over).is_none());
        assert_eq!(verify::<Value>(b"another key", &token), None);
        let header = token.split('.').next().unwrap();
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!(header, json!({"alg": "HS256", "typ": "JWT"}));
    }

    #[test]
    fn section_4_tokens_that_nobody_gets_in_with() {
        let now = wall_ms() / 1000;
        let good = json!({"alg": "HS256", "typ": "JWT"});
        let claims = json!({"sub": "a", "exp": now + 60});
        assert!(verify::<Value>(KEY, &forged(&good, &claims)).is_some(), "the table's own token is fine");
        for header in [
            json!({"alg": "none"}),
            json!({"alg": "None"}),
            json!({"alg": "HS384"}),
            json!({"alg": "RS256"}),
            json!({"typ": "JWT"}),
            json!({"alg": "HS256", "jku": "http://example.org"}),
            json!({"alg": "HS256", "x5u": "http://example.org"}),
            json!({"alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}}),
            json!({"alg": "HS256", "kid": 7}),
            json!({"alg": "HS256", "crit": ["x"]}),
        ] {
            assert_eq!(verify::<Value>(KEY, &forged(&header, &claims)), None, "{header}");
        }
        for claims in [
            json!({"sub": "a"}),
            json!({"sub": "a", "exp": null}),
            json!({"sub": "a", "exp": "soon"}),
            json!({"sub": "a", "exp": now - 1}),
            json!({"sub": "a", "exp": -1}),
            json!({"sub": "a", "exp": now + 60, "nbf": now + 30}),
            json!({"sub": "a", "exp": now + 60, "nbf": "now"}),
            json!({"sub": "a", "exp": now + 60, "iat": "now"}),
            json!({"sub": "a", "exp": now + 60, "iat": -1}),
            json!([1]),
            json!("text"),
        ] {
            assert_eq!(verify::<Value>(KEY, &forged(&good, &claims)), None, "{claims}");
        }
        let long = json!({"sub": "a".repeat(JWT_BYTES_MAX), "exp": now + 60});
        assert_eq!(verify::<Value>(KEY, &forged(&good, &long)), None);
        let unsigned = format!("{}.{}.", encoded(&json!({"alg": "none"})), encoded(&claims));
        for token in ["", "zzz", "a.b.c", "..", &unsigned] {
            assert_eq!(verify::<Value>(KEY, token), None, "{token}");
        }
    }

    #[test]
    fn tokens_are_signed_as_ever() {
        let claims = json!({"sub": "device1", "exp": 4_102_444_800_u64});
        let mut golden =
            crate::golden::golden("surface", "jwt.txt", "A token that was signed with `a key of the tests`.");
        golden.text("token", &sign(KEY, &claims));
        assert_eq!(verify::<Value>(KEY, golden.check()[0].line()), Some(claims));
    }
}
