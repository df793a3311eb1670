//! Session tokens: how they are made, and how they stand in the database.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::core::Secret;

/// 64 characters, as many as the original's tokens have.
const RANDOM_BYTES: usize = 48;

/// What a stored digest begins with. No program makes tokens that do: a colon is not URL-safe.
const DIGEST_MARK: &str = "sha256:";

/// The longest token the column holds.
const LENGTH_MAX: usize = 255;

/// A new token.
pub(super) fn random() -> Secret {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).expect("the kernel's random numbers cannot fail once the machine is up");
    Secret::new(URL_SAFE_NO_PAD.encode(random))
}

/// How a token made here is stored: the column is no secret that could be presented.
pub(super) fn digest(token: &str) -> String {
    let hex: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{DIGEST_MARK}{hex}")
}

/// Whether a person can hold this token. Else it is not asked for: above all not what was read in the database itself.
pub(super) fn is_possible(presented: &str) -> bool {
    (1..=LENGTH_MAX).contains(&presented.len())
        && presented.bytes().all(|byte| byte.is_ascii_graphic())
        && !presented.starts_with(DIGEST_MARK)
}

/// Whether two tokens or digests are the same, in a time that does not tell where they differ.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_6_1_tokens_are_64_url_safe_characters() {
        let (one, two) = (random(), random());
        assert_ne!(one, two);
        assert_eq!(one.expose().len(), 64);
        assert!(one.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert!(is_possible(one.expose()));
    }

    #[test]
    fn what_stands_in_the_table_cannot_be_presented() {
        let stored = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        assert!(is_same(&digest("foo"), stored) && !is_same("foo", "FOO") && !is_same("foo", "fo"));
        for (presented, possible) in [
            ("foo", true),
            ("a_b-c.d", true),
            (&"x".repeat(255), true),
            (&"x".repeat(256), false),
            (stored, false),
            ("sha256:", false),
            ("", false),
            ("a b", false),
            ("a\0", false),
            ("ä", false),
        ] {
            assert_eq!(is_possible(presented), possible, "{presented}");
        }
    }
}
