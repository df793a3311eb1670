//! Whether a request is a form, and what its parts are separated by (RFC 7578 §4.1, RFC 2046 §5.1.1).

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// What `Content-Type` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormKind {
    /// A form with this boundary.
    Form(String),
    /// A form whose boundary is absent or none.
    Broken,
    /// Something else: a form without any part.
    Other,
}

impl FormKind {
    /// Reads the field; given twice, nobody knows.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut fields = headers.get_all(CONTENT_TYPE).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else { return Self::Other };
        let Ok(text) = field.to_str() else { return Self::Other };
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Self::Other;
        }
        let boundary = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            name.trim().eq_ignore_ascii_case("boundary").then(|| value.to_owned())
        });
        boundary.filter(|boundary| is_boundary(boundary)).map_or(Self::Broken, Self::Form)
    }
}

/// `bchars` of RFC 2046, without what a `;` in quotes would need.
fn is_boundary(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    (1..=70).contains(&text.len()) && text.bytes().all(plain) && !text.ends_with(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries() {
        let form = |boundary: &str| FormKind::Form(boundary.into());
        for (field, kind) in [
            ("multipart/form-data; boundary=----WebKitFormBoundaryA1", form("----WebKitFormBoundaryA1")),
            ("Multipart/Form-Data;charset=x;BOUNDARY=\"a b\"", form("a b")),
            ("multipart/form-data", FormKind::Broken),
            ("multipart/form-data; boundary=", FormKind::Broken),
            ("multipart/form-data; boundary=\"\"", FormKind::Broken),
            ("multipart/form-data; boundary=a@b", FormKind::Broken),
            ("multipart/mixed; boundary=a", FormKind::Other),
            ("application/json", FormKind::Other),
            ("", FormKind::Other),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, field.parse().unwrap())]);
            assert_eq!(FormKind::of(&headers), kind, "{field}");
        }
        let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
        assert_eq!(FormKind::of(&HeaderMap::from_iter([(CONTENT_TYPE, long.parse().unwrap())])), FormKind::Broken);
        assert_eq!(FormKind::of(&HeaderMap::new()), FormKind::Other);
    }
}
