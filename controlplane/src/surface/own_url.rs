//! Absolute links to this node (easytransfer/CONTRACT.md §2.2): from the configured public URL, else from `Host`, with
//! `X-Forwarded-*` believed only when the peer is a trusted proxy. The query of the request is never copied.

use etransfer_contract::list::members_of;
use http::HeaderMap;
use http::header::HOST;

use crate::config::Config;
use crate::link::meta::Meta;

/// Scheme and authority, without a slash at the end.
pub fn base(config: &Config, meta: &Meta, headers: &HeaderMap) -> String {
    if let Some(url) = &config.server.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    of_request(config, meta, headers)
}

/// Scheme and authority the client used, whatever the public URL is.
pub fn of_request(config: &Config, meta: &Meta, headers: &HeaderMap) -> String {
    let text =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(first).filter(|t| !t.is_empty());
    let trusted = meta.peer.is_some_and(|peer| config.server.trusts(peer.ip()));
    let forwarded = |name: &str| if trusted { text(name) } else { None };
    let scheme = match forwarded("x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        Some(_) | None => "http",
    };
    let host = forwarded("x-forwarded-host").or_else(|| text(HOST.as_str())).filter(|host| is_authority(host));
    match (host, meta.listener) {
        (Some(host), _) => format!("{scheme}://{host}"),
        (None, Some(listener)) => format!("{scheme}://{listener}"),
        (None, None) => format!("{scheme}://localhost:{}", config.server.port),
    }
}

/// The id a link to an upload names. The path decides: a node has many names (its addresses, a default port, the name of a
/// proxy, with a prefix before the path), and an id is no other node's. A path that climbs names nothing.
pub fn upload_id(link: &str) -> Option<&str> {
    let path = if link.starts_with('/') && !link.starts_with("//") {
        link
    } else {
        let (scheme, rest) = link.split_once("://")?;
        let authority = rest.find('/').filter(|end| *end > 0 && is_authority(&rest[..*end]))?;
        let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
        is_web.then_some(&rest[authority..])?
    };
    let (prefix, id) = path.rsplit_once("/tus/")?;
    let is_plain = |segment: &str| !matches!(segment, "." | "..") && !segment.contains(['%', '?', '#', '\\']);
    (prefix.split('/').all(is_plain) && is_plain(id) && !id.is_empty() && !id.contains('/')).then_some(id)
}

fn first(list: &str) -> &str {
    members_of(list).next().unwrap_or_default()
}

fn is_authority(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]%~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Network, Setting};
    use crate::link::meta::{BodyKind, Call};

    #[test]
    fn section_2_2_location_is_absolute_and_believes_only_trusted_proxies() {
        let peer = |text: &str| Meta {
            call: Call::Decide,
            peer: text.parse().ok(),
            listener: "192.0.2.1:80".parse().ok(),
            body: BodyKind::None,
            is_head: false,
        };
        let mut config = Config::defaults();
        config.server.trusted_proxies = vec![Network::from_text("10.0.0.0/8").unwrap()];
        let headers: HeaderMap = [("host", "a:1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "b, c")]
            .into_iter()
            .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        assert_eq!(base(&config, &peer("10.1.1.1:9"), &headers), "https://b");
        assert_eq!(base(&config, &peer("11.1.1.1:9"), &headers), "http://a:1");
        assert_eq!(base(&config, &peer("11.1.1.1:9"), &HeaderMap::new()), "http://192.0.2.1:80");
        config.server.public_url = Some("https://files.example.org/".into());
        assert_eq!(base(&config, &peer("11.1.1.1:9"), &headers), "https://files.example.org");
    }

    #[test]
    fn c5_the_path_of_a_link_names_the_upload_whatever_the_node_is_called() {
        for (link, id) in [
            ("/tus/abc", Some("abc")),
            ("http://a:1/tus/abc", Some("abc")),
            ("http://A:1/tus/abc", Some("abc")),
            ("HTTP://a/tus/abc", Some("abc")),
            ("http://a:80/tus/abc", Some("abc")),
            ("https://a/tus/abc", Some("abc")),
            ("http://[::1]:8765/tus/abc", Some("abc")),
            ("https://proxy.example/files/tus/abc", Some("abc")),
            ("/files/tus/abc", Some("abc")),
            ("ftp://a/tus/abc", None),
            ("http:///tus/abc", None),
            ("http://u@a/tus/abc", None),
            ("http://a?/tus/abc", None),
            ("//a:1/tus/abc", None),
            ("tus/abc", None),
            ("abc", None),
            ("/tus/", None),
            ("/tus", None),
            ("/tus/a/b", None),
            ("/tus/abc?x=1", None),
            ("/tus/abc#x", None),
            ("/x?y/tus/abc", None),
            ("/x/../tus/abc", None),
            ("/tus/../tus/abc", None),
            ("/%2e%2e/tus/abc", None),
            ("http://a/x/../tus/abc", None),
        ] {
            assert_eq!(upload_id(link), id, "{link}");
        }
    }
}
