//! The credentials a request brings, and what each carrier may hold (easytransfer/CONTRACT.md §1.2).
//!
//! | carrier | token | session |
//! |---|---|---|
//! | `X-API-Token` | first | then |
//! | `Authorization: Bearer` | then | first |
//! | `X-Session-Token` | – | yes |
//! | `?token=` | – | `GET` of a download only |

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Uri};

use crate::bounds::CREDENTIAL_BYTES_MAX;
use crate::core::query::Query;

/// What was presented, without repetitions. Holds secrets: it is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Presented {
    /// What may be a static token.
    pub tokens: Vec<String>,
    /// What may be a session.
    pub sessions: Vec<String>,
    /// One carrier came with several values: no client sends that, and none of them counts.
    pub is_ambiguous: bool,
}

impl Presented {
    /// Reads the carriers of one request.
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let field = |name: &str| -> Vec<String> {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.map(str::to_owned).collect()
        };
        let bearer = field(AUTHORIZATION.as_str()).into_iter().filter_map(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        let bearer: Vec<String> = bearer.collect();
        let api = field("x-api-token");
        let query = Query::parse(uri.query().unwrap_or_default());
        let link = query.get("token").filter(|_| method == Method::GET && is_download(uri.path()));
        let sessions = bearer.iter().chain(&api).cloned().chain(field("x-session-token"));
        let is_ambiguous = [AUTHORIZATION.as_str(), "x-api-token", "x-session-token"]
            .into_iter()
            .any(|name| headers.get_all(name).iter().nth(1).is_some())
            || (link.is_some() && query.count("token") > 1);
        Self {
            tokens: distinct(api.iter().chain(&bearer).cloned()),
            sessions: distinct(sessions.chain(link.map(str::to_owned))),
            is_ambiguous,
        }
    }

    /// Everything, each once.
    pub fn all(&self) -> Vec<&str> {
        let rest = self.sessions.iter().filter(|text| !self.tokens.contains(text));
        self.tokens.iter().chain(rest).map(String::as_str).collect()
    }

    /// A text whose carrier does not matter.
    pub fn anywhere(text: &str) -> Self {
        Self { tokens: distinct([text.to_owned()]), sessions: distinct([text.to_owned()]), is_ambiguous: false }
    }
}

fn distinct(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    for text in texts.into_iter().filter(|text| !text.is_empty() && text.len() <= CREDENTIAL_BYTES_MAX) {
        if !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}

fn is_download(path: &str) -> bool {
    path.strip_prefix("/api/files/").is_some_and(|rest| rest.ends_with("/download") && rest.matches('/').count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(method: &str, target: &str, fields: &[(&'static str, &str)]) -> (Vec<String>, Vec<String>) {
        let field = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_str(value).unwrap())
        };
        let headers = fields.iter().map(field).collect();
        let Presented { tokens, sessions, .. } =
            Presented::of(&method.parse().unwrap(), &target.parse().unwrap(), &headers);
        (tokens, sessions)
    }

    #[test]
    fn section_1_2_carriers() {
        for (fields, tokens, sessions) in [
            (&[("x-api-token", "a")][..], &["a"][..], &["a"][..]),
            (&[("authorization", "Bearer b")], &["b"], &["b"]),
            (&[("authorization", "bearer  b ")], &["b"], &["b"]),
            (&[("x-session-token", "c")], &[], &["c"]),
            (&[("x-api-token", "a"), ("authorization", "Bearer b")], &["a", "b"], &["b", "a"]),
            (&[("x-api-token", "a"), ("authorization", "Bearer a")], &["a"], &["a"]),
            (&[("authorization", "Basic b")], &[], &[]),
            (&[("authorization", "b")], &[], &[]),
            (&[("x-api-token", "")], &[], &[]),
        ] {
            assert_eq!(presented("GET", "/api/files", fields), (texts(tokens), texts(sessions)), "{fields:?}");
        }
        let long = "x".repeat(256);
        assert_eq!(presented("GET", "/", &[("x-api-token", &long)]), (vec![], vec![]));
    }

    #[test]
    fn section_1_2_a_token_in_the_query_counts_for_get_downloads_only() {
        for (method, target, counts) in [
            ("GET", "/api/files/0/download?token=s", true),
            ("GET", "/api/files/0/download?chunk=1&token=s", true),
            ("HEAD", "/api/files/0/download?token=s", false),
            ("DELETE", "/api/files/0?token=s", false),
            ("GET", "/api/files?token=s", false),
            ("GET", "/api/files/0/info/download?token=s", false),
            ("PATCH", "/tus/0?token=s", false),
        ] {
            let (tokens, sessions) = presented(method, target, &[]);
            assert_eq!((tokens.len(), sessions.len()), (0, usize::from(counts)), "{method} {target}");
        }
    }

    #[test]
    fn a_carrier_says_one_thing() {
        for name in ["x-api-token", "authorization", "x-session-token"] {
            let fields =
                ["a", "b"].map(|value| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
            let of = |fields: &[_]| {
                let headers = fields.iter().cloned().collect();
                Presented::of(&Method::GET, &Uri::from_static("/api/files"), &headers).is_ambiguous
            };
            let mut twice = HeaderMap::new();
            for (name, value) in &fields {
                twice.append(name.clone(), value.clone());
            }
            assert!(!of(&fields[..1]), "{name}");
            assert!(Presented::of(&Method::GET, &Uri::from_static("/api/files"), &twice).is_ambiguous, "{name}");
        }
        let twice = Uri::from_static("/api/files/0/download?token=a&token=b");
        assert!(Presented::of(&Method::GET, &twice, &HeaderMap::new()).is_ambiguous);
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }
}
