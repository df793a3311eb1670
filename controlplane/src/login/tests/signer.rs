//! A provider's key in the tests' hands: signs anything.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

/// An Ed25519 private key in PKCS#8 (RFC 8410 §7), up to its 32 bytes.
const PKCS8_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

pub struct Signer {
    kid: String,
    key: EncodingKey,
}

impl Signer {
    /// Another `seed` is another key.
    pub fn new(kid: &str, seed: u8) -> Self {
        let key = EncodingKey::from_ed_der(&[&PKCS8_HEAD[..], &[seed; 32]].concat());
        Self { kid: kid.to_owned(), key }
    }

    /// The public half, as a provider publishes it.
    pub fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, Algorithm::EdDSA).unwrap()).unwrap();
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    pub fn header(&self) -> Value {
        json!({"alg": "EdDSA", "kid": self.kid, "typ": "JWT"})
    }

    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        format!("{signed}.{}", crypto::sign(signed.as_bytes(), &self.key, Algorithm::EdDSA).unwrap())
    }
}
