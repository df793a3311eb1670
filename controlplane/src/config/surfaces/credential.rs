//! A token that is configured for a user: as it is, or as its SHA-256.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::core::setting::{Expected, Secret, Setting};

/// What the client has to present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// `token`
    Plain(Secret),
    /// `token_sha256`
    Sha256([u8; 32]),
}

impl Credential {
    /// Whether `presented` is it; in constant time.
    pub fn admits(&self, presented: &str) -> bool {
        self.digest().ct_eq(&<[u8; 32]>::from(Sha256::digest(presented))).into()
    }

    /// The token, when it stands in clear in the configuration.
    pub fn plain(&self) -> Option<&Secret> {
        match self {
            Self::Plain(token) => Some(token),
            Self::Sha256(_) => None,
        }
    }

    /// The token's SHA-256.
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Self::Plain(token) => Sha256::digest(token.expose()).into(),
            Self::Sha256(digest) => *digest,
        }
    }

    /// `token` or `token_sha256` of a map; `None`: neither.
    pub fn of_entries(entries: &Map<String, Value>) -> Result<Option<Self>, Expected> {
        let said = |name: &str| entries.get(name).filter(|value| !value.is_null() && *value != "");
        match (said("token"), said("token_sha256")) {
            (Some(_), Some(_)) => Err(Expected("token or token_sha256, not both".into())),
            (Some(token), None) => Secret::from_value(token).map(Self::Plain).map(Some),
            (None, Some(digest)) => {
                let digest = digest.as_str().and_then(digest_of);
                let wrong = || Expected("a token_sha256 of 64 hex digits".into());
                digest.map(Self::Sha256).map(Some).ok_or_else(wrong)
            }
            (None, None) => Ok(None),
        }
    }
}

fn digest_of(hex: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        hex.trim().chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_admits_the_token_it_was_made_of() {
        let plain = Credential::Plain(Secret::new("hunter2hunter2"));
        let hex: String = plain.digest().iter().map(|byte| format!("{byte:02X}")).collect();
        let entries = serde_json::json!({"token_sha256": hex});
        let digest = Credential::of_entries(entries.as_object().unwrap()).unwrap().unwrap();
        for credential in [plain, digest] {
            assert!(credential.admits("hunter2hunter2") && !credential.admits("hunter2hunter3"));
        }
        for hex in ["", "zz", "00"] {
            assert_eq!(digest_of(hex), None, "{hex}");
        }
    }
}
