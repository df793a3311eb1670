//! `X-HTTP-Method-Override` (T-OVR-1, T-OVR-2).

use super::fields::single;
use super::{Fields, Refusal};

/// The method a request is judged by, rights included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectiveMethod {
    /// No override: the request's own.
    Own,
    /// A POST that means PATCH.
    Patch,
    /// A POST that means DELETE.
    Delete,
    /// A POST that means HEAD.
    Head,
}

impl EffectiveMethod {
    /// The method's name, `own` being the one on the request line.
    pub const fn name(self, own: &str) -> &str {
        match self {
            Self::Own => own,
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
        }
    }
}

/// Honoured on POST only, with three values; anything else is 400 (T-OVR-2 restricts T-OVR-1 on purpose: a GET that a
/// cache or a link can trigger must never delete).
pub fn method_override(method: &str, fields: &impl Fields) -> Result<EffectiveMethod, Refusal> {
    match (method, single(fields, "x-http-method-override")?) {
        (_, None) => Ok(EffectiveMethod::Own),
        ("POST", Some(b"PATCH")) => Ok(EffectiveMethod::Patch),
        ("POST", Some(b"DELETE")) => Ok(EffectiveMethod::Delete),
        ("POST", Some(b"HEAD")) => Ok(EffectiveMethod::Head),
        (_, Some(_)) => Err(Refusal::bad("X-HTTP-Method-Override is for POST, and names PATCH, DELETE or HEAD")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_post_is_overridden_and_only_to_three_methods() {
        let table: [(&str, &[&str], Option<&str>); 9] = [
            ("POST", &[], Some("POST")),
            ("POST", &["PATCH"], Some("PATCH")),
            ("POST", &["DELETE"], Some("DELETE")),
            ("POST", &["HEAD"], Some("HEAD")),
            ("POST", &["patch"], None),
            ("POST", &["GET"], None),
            ("POST", &["PATCH", "PATCH"], None),
            ("GET", &["DELETE"], None),
            ("PATCH", &["PATCH"], None),
        ];
        for (method, values, expected) in table {
            let fields: Vec<(&str, &[u8])> =
                values.iter().map(|value| ("X-HTTP-Method-Override", value.as_bytes())).collect();
            let effective = method_override(method, &fields).ok().map(|effective| effective.name(method));
            assert_eq!(effective, expected, "{method} {values:?}");
        }
    }
}
