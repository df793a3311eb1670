//! Whether a body is a form (RFC 7578), by its `Content-Type`.

use etransfer_contract::step::Form;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// Longest boundary (RFC 2046 §5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
/// Largest field, and all of them, where a surface wants none.
const FIELD_BYTES_MAX: u64 = 64 << 10;

/// What a body says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyType {
    /// Not a form, or it says nothing.
    Plain,
    /// A form with this boundary.
    Form(String),
    /// A form that names no boundary, or one that cannot be.
    FormWithoutBoundary,
}

impl BodyType {
    /// Reads `Content-Type`.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Self::Plain;
        }
        let boundary = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let value = value.trim();
            let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
            name.trim().eq_ignore_ascii_case("boundary").then_some(unquoted)
        });
        let can_be = |boundary: &&str| {
            let is_character = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
            (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len())
                && boundary.bytes().all(is_character)
                && !boundary.ends_with(' ')
        };
        boundary.filter(can_be).map_or(Self::FormWithoutBoundary, |boundary| Self::Form(boundary.to_owned()))
    }
}

/// How to read a form for its content: parts with a file name or one of these names; fields are small, and few.
pub fn form(boundary: String, content_names: &[&str]) -> Form {
    Form {
        boundary,
        content_names: content_names.iter().map(|name| (*name).to_owned()).collect(),
        or_plain: false,
        field_bytes_max: FIELD_BYTES_MAX,
        fields_bytes_max: 4 * FIELD_BYTES_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bodies_say_they_are() {
        let form = |boundary: &str| BodyType::Form(boundary.to_owned());
        assert_eq!(BodyType::of(&HeaderMap::new()), BodyType::Plain);
        for (text, body) in [
            ("", BodyType::Plain),
            ("application/octet-stream", BodyType::Plain),
            ("multipart/mixed; boundary=x", BodyType::Plain),
            ("multipart/form-data", BodyType::FormWithoutBoundary),
            ("multipart/form-data; boundary=", BodyType::FormWithoutBoundary),
            ("multipart/form-data; boundary=\"\"", BodyType::FormWithoutBoundary),
            ("multipart/form-data; boundary=a@b", BodyType::FormWithoutBoundary),
            ("multipart/form-data; boundary=x", form("x")),
            ("Multipart/Form-Data;charset=utf-8; Boundary=\"a b\"", form("a b")),
            ("multipart/form-data; boundary=----WebKit'()+_,-./:=?", form("----WebKit'()+_,-./:=?")),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, text.parse().unwrap())]);
            assert_eq!(BodyType::of(&headers), body, "{text}");
        }
        let long = |bytes: usize| format!("multipart/form-data; boundary={}", "b".repeat(bytes));
        for (bytes, fits) in [(70, true), (71, false)] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, long(bytes).parse().unwrap())]);
            assert_eq!(matches!(BodyType::of(&headers), BodyType::Form(_)), fits);
        }
    }
}
