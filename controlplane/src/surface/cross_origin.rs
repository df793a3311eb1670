//! Web pages of other origins, for surfaces that list the origins they allow (`cors_origins`): each says what pages may
//! send and read, this says to whom.

use axum::extract::Request;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

/// What a surface allows pages of other origins.
#[derive(Debug, Clone, Copy)]
pub struct CrossOrigin<'o> {
    /// `cors_origins`: exact origins, or `*` for any.
    pub origins: &'o [String],
    /// Methods, with commas between.
    pub methods: &'static str,
    /// Request fields, with commas between; `None`: whatever the page asks for.
    pub fields: Option<&'static str>,
    /// Fields of answers that pages may read, with commas between; empty: none but the usual ones.
    pub exposed: &'static str,
    /// How long a browser may remember a preflight, in seconds.
    pub max_age_s: u32,
    /// Whether pages of listed origins may send credentials; those that only `*` allows never may.
    pub credentials: bool,
}

/// `OPTIONS` with `Origin` and `Access-Control-Request-Method`.
pub fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl CrossOrigin<'_> {
    /// Fields of every answer to a page of another origin; `None`: its origin is not allowed, and the answer gets none.
    pub fn fields(&self, request: &HeaderMap) -> Option<HeaderMap> {
        let origin = request.get(ORIGIN)?;
        let mut fields = HeaderMap::new();
        if self.lists(origin) {
            fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            fields.insert(VARY, HeaderValue::from_static("Origin"));
            if self.credentials {
                fields.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        } else if self.origins.iter().any(|allowed| allowed == "*") {
            fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            return None;
        }
        if !self.exposed.is_empty() {
            fields.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(self.exposed));
        }
        Some(fields)
    }

    /// Fields of the answer to a preflight, those of [`fields`](Self::fields) among them; `None`: the origin is not allowed.
    pub fn preflight(&self, request: &HeaderMap) -> Option<HeaderMap> {
        let mut fields = self.fields(request)?;
        fields.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(self.methods));
        fields.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.max_age_s));
        let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        if let Some(allowed) = self.fields.map(HeaderValue::from_static).or(asked) {
            fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        }
        Some(fields)
    }

    /// Whether the list names this origin itself.
    pub fn lists(&self, origin: &HeaderValue) -> bool {
        let is_it = |allowed: &String| allowed != "*" && allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes());
        self.origins.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(origins: &[&str], fields: Option<&'static str>, origin: &'static str) -> Option<HeaderMap> {
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let allowed = CrossOrigin {
            origins: &origins,
            methods: "GET, POST",
            fields,
            exposed: "ETag",
            max_age_s: 3600,
            credentials: true,
        };
        let request = HeaderMap::from_iter([
            (ORIGIN, HeaderValue::from_static(origin)),
            (ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("x-anything")),
        ]);
        allowed.preflight(&request)
    }

    #[test]
    fn a_listed_origin_is_echoed_and_any_other_is_a_star_or_nothing() {
        for (origins, origin, expected, credentials) in [
            (&["https://a"][..], "https://a", Some("https://a"), true),
            (&["https://b", "https://A"], "https://a", Some("https://a"), true),
            (&["*"], "https://a", Some("*"), false),
            (&["*", "https://a"], "https://a", Some("https://a"), true),
            (&["https://a"], "https://a.evil", None, false),
            (&["https://a"], "null", None, false),
            (&[], "https://a", None, false),
        ] {
            let told = told(origins, None, origin);
            let field = |name| told.as_ref().and_then(|told| told.get(name)).and_then(|value| value.to_str().ok());
            assert_eq!(field(ACCESS_CONTROL_ALLOW_ORIGIN), expected, "{origins:?} {origin}");
            assert_eq!(field(ACCESS_CONTROL_ALLOW_CREDENTIALS).is_some(), credentials, "{origins:?} {origin}");
            assert_eq!(field(VARY).is_some(), credentials, "{origins:?} {origin}: only an echo depends on who asks");
        }
    }

    #[test]
    fn a_preflight_tells_what_a_page_may_send() {
        let fields = told(&["*"], Some("authorization"), "https://a").unwrap();
        assert_eq!(fields[ACCESS_CONTROL_ALLOW_METHODS], "GET, POST");
        assert_eq!(fields[ACCESS_CONTROL_ALLOW_HEADERS], "authorization");
        assert_eq!(fields[ACCESS_CONTROL_MAX_AGE], "3600");
        assert_eq!(fields[ACCESS_CONTROL_EXPOSE_HEADERS], "ETag");
        assert_eq!(told(&["*"], None, "https://a").unwrap()[ACCESS_CONTROL_ALLOW_HEADERS], "x-anything");
    }
}
