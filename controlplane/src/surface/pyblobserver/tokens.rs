//! Tokens and whose they are (CONTRACT.md §2.1, §3.2): kept as SHA-256, one at a time per user.
//!
//! A token that was issued is found by its digest (document `token/<digest>`); one that is configured counts until
//! `change_token` replaced it, and again once the configured value is another one.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::user::User;
use crate::core::SurfaceId;
use crate::node::Node;
use crate::surface::pyblobserver::settings::{AllowedUser, PyBlobServer};

/// SHA-256 of a token.
pub type Digest = [u8; 32];

/// The token in `Authorization`; of two fields none counts.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// What a token is kept as.
pub fn digest(token: &str) -> Digest {
    Sha256::digest(token).into()
}

/// Whose token has this digest, now.
pub fn user_of(node: &Node, settings: &PyBlobServer, digest: &Digest) -> Option<String> {
    let issued = node.doc(SurfaceId::PyBlobServer, &issued_key(digest));
    let issued = issued.and_then(|user| String::from_utf8(user.to_vec()).ok());
    let allowed = match issued {
        Some(user) => allowed(settings, &user)?,
        None => settings.allowed_users.iter().find(|user| preset(user).is_some_and(|preset| equal(&preset, digest)))?,
    };
    let in_force = in_force(User::read(node, &allowed.user).as_ref(), allowed)?;
    equal(&in_force, digest).then(|| allowed.user.clone())
}

/// The entry of the list that is for this id, byte by byte.
pub fn allowed<'s>(settings: &'s PyBlobServer, user: &str) -> Option<&'s AllowedUser> {
    settings.allowed_users.iter().find(|allowed| allowed.user == user)
}

/// The digest of the configured token.
pub fn preset(allowed: &AllowedUser) -> Option<Digest> {
    allowed.preset.as_ref().map(|preset| preset.digest())
}

/// The digest of the one token that counts.
fn in_force(user: Option<&User>, allowed: &AllowedUser) -> Option<Digest> {
    let issued = user.and_then(|user| user.token);
    match preset(allowed) {
        Some(preset) if user.is_none_or(|user| user.instead_of != Some(preset)) => Some(preset),
        Some(_) | None => issued,
    }
}

/// Where the owner of an issued token stands.
pub fn issued_key(digest: &Digest) -> String {
    format!("token/{}", hex(digest))
}

/// Lower hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new token, UUID version 4 as text, and its digest.
pub fn issue() -> (String, Digest) {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("the kernel's random source does not fail once the machine is up");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    let token = format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
    let digest = digest(&token);
    (token, digest)
}

fn equal(a: &Digest, b: &Digest) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::surfaces::Credential;
    use crate::core::Secret;

    #[test]
    fn section_2_1_only_bearer_counts() {
        for (field, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("abc", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, field.parse().unwrap())]);
            assert_eq!(bearer(&headers), token, "{field}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn section_3_2_a_preset_token_counts_until_it_is_changed_and_again_when_another_is_configured() {
        let digest = |text: &str| -> Digest { Sha256::digest(text).into() };
        let allowed = |preset: Option<&str>| AllowedUser {
            user: "ann".into(),
            preset: preset.map(|text| Credential::Plain(Secret::new(text))),
        };
        let user = |token: Option<&str>, instead_of: Option<&str>| User {
            token: token.map(digest),
            instead_of: instead_of.map(digest),
            ..User::default()
        };
        for (user, preset, counts) in [
            (None, None, None),
            (None, Some("p"), Some("p")),
            (Some(user(Some("t"), None)), None, Some("t")),
            (Some(user(Some("t"), None)), Some("p"), Some("p")),
            (Some(user(Some("t"), Some("p"))), Some("p"), Some("t")),
            (Some(user(Some("t"), Some("p"))), Some("q"), Some("q")),
            (Some(user(Some("t"), Some("p"))), None, Some("t")),
            (Some(user(None, None)), None, None),
        ] {
            assert_eq!(in_force(user.as_ref(), &allowed(preset)), counts.map(digest), "{user:?} {preset:?}");
        }
    }

    #[test]
    fn a_token_is_a_uuid_of_version_4() {
        let (token, digest) = issue();
        assert_eq!(token.len(), 36);
        assert_eq!(token.bytes().filter(|byte| *byte == b'-').count(), 4);
        assert_eq!(&token[14..15], "4");
        assert!("89ab".contains(&token[19..20]));
        assert_eq!(digest, <Digest>::from(Sha256::digest(&token)));
        assert_ne!(issue().0, token);
    }
}
