//! Session tokens: how they are made, and how they stand in the database.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::Secret;

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

/// Whether somebody can hold this token. Else it is not asked for: above all not what was read in the database itself.
pub(super) fn is_possible(presented: &str) -> bool {
    (1..=LENGTH_MAX).contains(&presented.len())
        && presented.bytes().all(|byte| byte.is_ascii_graphic())
        && !presented.starts_with(DIGEST_MARK)
}

/// Whether `stored` stands for `presented`, as its digest or, written by another program, as itself. A database may
/// compare without regard to case; this does not.
pub(super) fn is_stored_as(presented: &str, stored: &str) -> bool {
    let equals = |other: &str| stored.as_bytes().ct_eq(other.as_bytes());
    is_possible(presented) && (equals(&digest(presented)) | equals(presented)).into()
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
    fn a_token_counts_as_its_digest_or_as_itself() {
        let stored = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        assert_eq!(digest("foo"), stored);
        let long = "x".repeat(256);
        for (presented, stored, expected) in [
            ("foo", stored, true),
            ("foo", "foo", true),
            ("foo", "FOO", false),
            ("fo", "foo", false),
            (stored, stored, false),
            (stored, &digest(stored), false),
            ("", "", false),
            ("a b", "a b", false),
            ("a\0", "a\0", false),
            (&long, &long, false),
        ] {
            assert_eq!(is_stored_as(presented, stored), expected, "{presented} {stored}");
        }
    }
}
