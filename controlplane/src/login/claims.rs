//! What a provider says about a person, in our words (easytransfer/CONTRACT.md §6.1 "Claims").
//!
//! Everything here was written by someone else. Display texts lose control characters and are cut; whatever decides who
//! a person is or what they may do (subject, group names) is never cut, because two that differ late would become one.

use serde_json::{Map, Value};
use thiserror::Error;

use crate::bounds::CLAIMED_GROUPS_MAX;
use crate::people::Profile;

/// Longest text that is kept, in characters: the width of the columns of easytransfer/CONTRACT.md §10.
const TEXT_CHARS_MAX: usize = 255;

/// Longest avatar address, in characters.
const URL_CHARS_MAX: usize = 2048;

/// Claims that describe no person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProfileFault {
    /// Neither `sub` nor `id`.
    #[error("the login provider names no subject (sub or id)")]
    NoSubject,
    /// A subject that cannot be kept as it is.
    #[error("the login provider's subject is longer than 255 characters or has control characters")]
    Subject,
}

impl Profile {
    /// Reads the claims; what has an unexpected type counts as absent.
    pub fn from_claims(claims: &Map<String, Value>) -> Result<Self, ProfileFault> {
        let first = |names: &[&str]| names.iter().find_map(|name| claims.get(*name).and_then(text));
        let shown = |names: &[&str]| first(names).and_then(|found| display(&found));
        let subject = first(&["sub", "id"]).ok_or(ProfileFault::NoSubject)?;
        if !is_exact(&subject) {
            return Err(ProfileFault::Subject);
        }
        Ok(Self {
            username: shown(&["preferred_username", "name", "displayName"]).unwrap_or_else(|| subject.clone()),
            display_name: shown(&["displayName", "name"]),
            email: shown(&["email"]),
            avatar_url: first(&["picture", "avatar", "permanentAvatar"]).filter(|url| is_web_address(url)),
            is_admin: claims.get("isAdmin") == Some(&Value::Bool(true)),
            groups: groups(claims.get("groups")),
            subject,
        })
    }
}

/// Texts, and whole numbers as ids are sometimes written.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Value::String(_) | Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn display(text: &str) -> Option<String> {
    let cut: String = text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect();
    let cut = cut.trim();
    (!cut.is_empty()).then(|| cut.to_owned())
}

/// Whether a text can be kept as it is.
fn is_exact(text: &str) -> bool {
    text.chars().count() <= TEXT_CHARS_MAX && !text.chars().any(char::is_control)
}

fn is_web_address(text: &str) -> bool {
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    is_web && text.chars().count() <= URL_CHARS_MAX && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn groups(claim: Option<&Value>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let Some(Value::Array(groups)) = claim else { return names };
    for group in groups.iter().take(CLAIMED_GROUPS_MAX) {
        let name = match group {
            Value::Object(fields) => ["name", "id"].iter().find_map(|key| fields.get(*key).and_then(text)),
            other => text(other),
        };
        if let Some(name) = name.filter(|name| is_exact(name) && !names.contains(name)) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(claims: Value) -> Result<Profile, ProfileFault> {
        Profile::from_claims(claims.as_object().unwrap())
    }

    #[test]
    fn section_6_1_claims_of_casdoor() {
        let profile = read(json!({
            "id": "3f6a", "name": "ada", "displayName": "Ada L.", "email": "ada@example.org", "avatar": "",
            "permanentAvatar": "https://img.example/ada.png", "isAdmin": true, "address": [],
            "groups": ["lab/one", {"name": "two"}, {"id": "three"}, {"id": 4}, {"name": "", "id": "five"}, "two"],
        }))
        .unwrap();
        assert_eq!(
            profile,
            Profile {
                subject: "3f6a".into(),
                username: "ada".into(),
                display_name: Some("Ada L.".into()),
                email: Some("ada@example.org".into()),
                avatar_url: Some("https://img.example/ada.png".into()),
                is_admin: true,
                groups: ["lab/one", "two", "three", "4", "five"].map(String::from).into(),
            }
        );
    }

    #[test]
    fn section_6_1_each_field_has_its_order_of_claims() {
        for (claims, subject, username, display_name, avatar_url) in [
            (json!({"sub": "s", "id": "i"}), "s", "s", None, None),
            (json!({"id": "i"}), "i", "i", None, None),
            (json!({"id": 42}), "42", "42", None, None),
            (
                json!({"sub": "s", "preferred_username": "p", "name": "n", "displayName": "d"}),
                "s",
                "p",
                Some("d"),
                None,
            ),
            (json!({"sub": "s", "name": "n", "displayName": "d"}), "s", "n", Some("d"), None),
            (json!({"sub": "s", "displayName": "d"}), "s", "d", Some("d"), None),
            (json!({"sub": "s", "name": "n"}), "s", "n", Some("n"), None),
            (json!({"sub": "", "id": "i", "name": ""}), "i", "i", None, None),
            (json!({"sub": "s", "picture": "https://a", "avatar": "https://b"}), "s", "s", None, Some("https://a")),
            (
                json!({"sub": "s", "avatar": "http://b", "permanentAvatar": "https://c"}),
                "s",
                "s",
                None,
                Some("http://b"),
            ),
            // What is no text, or no web address, is as if it were not there.
            (json!({"sub": "s", "name": ["n"], "picture": "javascript:alert(1)"}), "s", "s", None, None),
            (json!({"sub": "s", "name": {"first": "n"}, "preferred_username": true}), "s", "s", None, None),
            (json!({"sub": "s", "name": "\u{7}\n "}), "s", "s", None, None),
            (json!({"sub": "s", "name": "a\r\nb\0"}), "s", "ab", Some("ab"), None),
        ] {
            let profile = read(claims.clone()).unwrap();
            let got = (&*profile.subject, &*profile.username, profile.display_name.as_deref());
            assert_eq!(got, (subject, username, display_name), "{claims}");
            assert_eq!(profile.avatar_url.as_deref(), avatar_url, "{claims}");
        }
        for (is_admin, expected) in [(json!(true), true), (json!("true"), false), (json!(1), false)] {
            assert_eq!(read(json!({"sub": "s", "isAdmin": is_admin})).unwrap().is_admin, expected);
        }
        for groups in [json!("one"), json!({"name": "one"}), json!(null), json!([[], null, true, {}, ""])] {
            assert!(read(json!({"sub": "s", "groups": groups})).unwrap().groups.is_empty());
        }
    }

    #[test]
    fn what_decides_is_refused_and_what_is_shown_is_cut() {
        let long = "文".repeat(300);
        for sub in [json!(long), json!("a\0b")] {
            assert_eq!(read(json!({"sub": sub})), Err(ProfileFault::Subject));
        }
        for unknown in [json!({}), json!({"sub": null}), json!({"sub": []}), json!({"sub": 1.5}), json!({"sub": ""})] {
            assert_eq!(read(unknown), Err(ProfileFault::NoSubject));
        }
        let profile = read(json!({"sub": "s", "name": long, "email": long, "groups": [long, "kept"],
            "picture": format!("https://{long}{}", "x".repeat(2048))}))
        .unwrap();
        assert_eq!(profile.username.chars().count(), 255);
        assert_eq!(profile.email.unwrap().chars().count(), 255);
        assert_eq!((profile.groups, profile.avatar_url), (vec!["kept".to_owned()], None));
        let many: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
        assert_eq!(read(json!({"sub": "s", "groups": many})).unwrap().groups.len(), CLAIMED_GROUPS_MAX);
    }

    proptest! {
        #[test]
        fn any_claims_give_a_bounded_profile_or_an_error(
            texts in proptest::collection::vec(".{0,400}", 7), number: i64, shape in 0..3u8,
        ) {
            let group = match shape {
                0 => json!(texts[5]),
                1 => json!({"name": texts[5], "id": number}),
                _ => json!([texts[5]]),
            };
            let claims = json!({"sub": texts[0], "name": texts[1], "displayName": texts[2], "email": texts[3],
                "picture": texts[4], "groups": [group, number], "preferred_username": texts[6]});
            if let Ok(profile) = read(claims) {
                let Profile { subject, username, display_name, email, groups, .. } = profile;
                for text in [Some(subject), Some(username), display_name, email].into_iter().flatten().chain(groups) {
                    prop_assert!(!text.is_empty() && is_exact(&text));
                }
            }
        }
    }
}
