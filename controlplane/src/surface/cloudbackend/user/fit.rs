//! What may be a name, an address, a password of an account (CONTRACT.md §A3), and the words for what may not.

use serde_json::{Map, Value};

use crate::bounds::PASSWORD_CHARS_MIN;
use crate::surface::cloudbackend::api::Refusal;

/// Characters of a username and of a display name.
pub const NAME_CHARS_MAX: usize = 150;
/// RFC 5321 §4.5.3.1, the angle brackets off.
const EMAIL_BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const LABEL_CHARS_MAX: usize = 63;

/// A username is taken.
pub const NAME_TAKEN: &str = "user with this username already exists.";
/// An address is taken.
pub const EMAIL_TAKEN: &str = "user with this email already exists.";
const SHORT_PASSWORD: &str = "Ensure this field has at least 8 characters.";
const _: () = assert!(PASSWORD_CHARS_MIN == 8, "the words above tell it");
const REQUIRED: &str = "This field is required.";
const NULL: &str = "This field may not be null.";
const BLANK: &str = "This field may not be blank.";
const NO_TEXT: &str = "Not a valid string.";
const LONG_NAME: &str = "Ensure this field has no more than 150 characters.";
const UNFIT_NAME: &str =
    "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.";
const UNFIT_EMAIL: &str = "Enter a valid email address.";

/// Members that do not fit, with their words.
#[derive(Debug, Default)]
pub struct Faults(Map<String, Value>);

impl Faults {
    /// Passes on what fits; notes what does not.
    pub fn sift<T>(&mut self, field: &str, checked: Result<T, &'static str>) -> Option<T> {
        checked.map_err(|text| self.note(field, text)).ok()
    }

    /// One more.
    pub fn note(&mut self, field: &str, text: &'static str) {
        self.0.insert(field.to_owned(), Value::from(vec![text]));
    }

    /// The refusal, if there is any fault.
    pub fn check(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::Fields(self.0)) }
    }
}

/// A password for a new account.
pub fn password(text: &str) -> Result<&str, &'static str> {
    if text.chars().count() >= PASSWORD_CHARS_MIN { Ok(text) } else { Err(SHORT_PASSWORD) }
}

/// A member that has to be there and say something.
pub fn required<'b>(body: &'b Value, field: &str) -> Result<&'b str, &'static str> {
    match body.get(field) {
        None => Err(REQUIRED),
        Some(Value::Null) => Err(NULL),
        Some(Value::String(text)) if text.trim().is_empty() => Err(BLANK),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(NO_TEXT),
    }
}

/// Letters, digits and `_ . @ + -`: no slash and no space, so that no account's prefix lies inside another's; and no dots
/// alone, which some programs take for a directory.
pub fn username(text: &str) -> Result<&str, &'static str> {
    let is_letter = |letter: char| letter.is_alphanumeric() || "_.@+-".contains(letter);
    if text.chars().count() > NAME_CHARS_MAX {
        Err(LONG_NAME)
    } else if text.is_empty() || text == "." || text == ".." || !text.chars().all(is_letter) {
        Err(UNFIT_NAME)
    } else {
        Ok(text)
    }
}

/// Without the space around it; nothing at all stands for the username.
pub fn display_name(body: &Value, username: &str) -> Result<String, &'static str> {
    let text = match body.get("display_name") {
        None | Some(Value::Null) => "",
        Some(Value::String(text)) => text.trim(),
        Some(_) => return Err(NO_TEXT),
    };
    match text.chars().count() {
        0 => Ok(username.to_owned()),
        1..=NAME_CHARS_MAX => Ok(text.to_owned()),
        _ => Err(LONG_NAME),
    }
}

/// `local@domain` (RFC 5321 without quotes and comments); the domain in lower case, as it is compared.
pub fn email(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or(UNFIT_EMAIL)?;
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&b))
    };
    let is_label = |label: &str| {
        (1..=LABEL_CHARS_MAX).contains(&label.chars().count())
            && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_local = local.len() <= LOCAL_BYTES_MAX && local.split('.').all(is_atom);
    let is_domain =
        (domain.contains('.') || domain.eq_ignore_ascii_case("localhost")) && domain.split('.').all(is_label);
    if text.len() <= EMAIL_BYTES_MAX && is_local && is_domain {
        Ok(format!("{local}@{}", domain.to_lowercase()))
    } else {
        Err(UNFIT_EMAIL)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a3_usernames_are_one_segment_of_a_key() {
        for text in ["alice", "a.b", "a@b.c", "a+b-c_d", "报告", "Ünal", "...", "7", &"é".repeat(150)] {
            assert_eq!(username(text), Ok(text), "{text}");
        }
        for text in [
            ".",
            "..",
            "",
            "a b",
            "a/b",
            "/a",
            "../a",
            "..\\a",
            "a\\b",
            "a%2fb",
            "a\0",
            "a\n",
            "a\r\nb",
            " a",
            "a:b",
            "a;b",
            "~",
            "a\u{202e}b",
            "a\u{200b}b",
            "a*",
            "<a>",
            "a'b",
            "a\"b",
        ] {
            assert_eq!(username(text), Err(UNFIT_NAME), "{text:?}");
        }
        assert_eq!(username(&"a".repeat(151)), Err(LONG_NAME));
    }

    #[test]
    fn a3_addresses_compare_with_their_domain_in_lower_case() {
        for (text, address) in [
            ("A@Example.ORG", "A@example.org"),
            (" a.b+c@x-y.example ", "a.b+c@x-y.example"),
            ("a@localhost", "a@localhost"),
            ("a@bücher.example", "a@bücher.example"),
        ] {
            assert_eq!(email(text).as_deref(), Ok(address));
        }
        let long = format!("{}@example.org", "a".repeat(65));
        for text in [
            "", "a", "@", "a@", "@b.c", "a@b", "a b@c.d", "a@b..c", ".a@b.c", "a.@b.c", "a..b@c.d", "a@-b.c", "a@b-.c",
            "a@b.c\n@", "a@b@c.d", "a@b c.d", "a@b.c/", "ü@b.c", "a@b_c.d", "a@b.c\0", &long,
        ] {
            assert_eq!(email(text), Err(UNFIT_EMAIL), "{text:?}");
        }
    }

    #[test]
    fn a3_members_that_have_to_be_there() {
        let body = json!({"a": "x", "b": " ", "c": null, "d": 7});
        for (field, told) in
            [("a", Ok("x")), ("b", Err(BLANK)), ("c", Err(NULL)), ("d", Err(NO_TEXT)), ("e", Err(REQUIRED))]
        {
            assert_eq!(required(&body, field), told, "{field}");
        }
        for (body, name) in [
            (json!({}), Ok("ann")),
            (json!({"display_name": null}), Ok("ann")),
            (json!({"display_name": "  "}), Ok("ann")),
            (json!({"display_name": " Ann B. "}), Ok("Ann B.")),
            (json!({"display_name": ["x"]}), Err(NO_TEXT)),
            (json!({"display_name": "x".repeat(151)}), Err(LONG_NAME)),
        ] {
            assert_eq!(display_name(&body, "ann").as_deref(), name.as_deref(), "{body}");
        }
    }
}
