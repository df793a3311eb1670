//! A provider's key in the tests' hands: signs anything.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey};
use serde_json::{Value, json};

/// An Ed25519 private key in PKCS#8 (RFC 8410 §7), up to its 32 bytes.
const PKCS8_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

pub struct Signer {
    kid: String,
    key: CoreEdDsaPrivateSigningKey,
}

impl Signer {
    /// Another `seed` is another key.
    pub fn new(kid: &str, seed: u8) -> Self {
        let pem = STANDARD.encode([&PKCS8_HEAD[..], &[seed; 32]].concat());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
        let id = JsonWebKeyId::new(kid.to_owned());
        Self { kid: kid.to_owned(), key: CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(id)).unwrap() }
    }

    /// The public half, as a provider publishes it.
    pub fn jwk(&self) -> Value {
        serde_json::to_value(self.key.as_verification_key()).unwrap()
    }

    pub fn header(&self) -> Value {
        json!({"alg": "EdDSA", "kid": self.kid, "typ": "JWT"})
    }

    pub fn token(&self, header: &Value, claims: &Value) -> String {
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.key.sign(&CoreJwsSigningAlgorithm::EdDsa, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
