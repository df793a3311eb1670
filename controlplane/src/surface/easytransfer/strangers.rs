//! Web pages of strangers, on a node that asks for no credentials (`auth.enabled: false`): a browser inside reaches it,
//! so whatever page is open there could use it in its reader's place.
//!
//! Must stay true, on such a node: `*` in `cors.origins` stands for no page at all, only pages that are listed may read
//! answers; a page that is neither ours nor listed changes nothing; on a loopback listener the node answers to its own
//! names alone, so that no name of a stranger's can be made to point at it.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method};

use crate::config::Config;
use crate::config::surfaces::host::bare;
use crate::link::meta::Meta;
use crate::surface::own_url;
use crate::surface::refusal::Refused;

/// The origins whose pages may read answers.
pub fn origins(config: &Config) -> Vec<String> {
    let is_kept = |origin: &&String| config.auth.enabled || *origin != "*";
    config.cors_origins.iter().filter(is_kept).cloned().collect()
}

/// Whether the request may come in.
pub fn check(config: &Config, meta: &Meta, method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
    if config.auth.enabled {
        return Ok(());
    }
    check_host(config, meta, headers)?;
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && is_foreign(config, meta, headers) {
        return Err(Refused::new(403, "this page may not change anything here: list its origin in cors.origins"));
    }
    Ok(())
}

fn check_host(config: &Config, meta: &Meta, headers: &HeaderMap) -> Result<(), Refused> {
    let is_loopback = meta.listener.is_some_and(|listener| listener.ip().to_canonical().is_loopback());
    let is_proxied = meta.peer.is_some_and(|peer| config.server.trusts(peer.ip()));
    let Some(host) = headers.get(HOST).filter(|_| is_loopback && !is_proxied) else { return Ok(()) };
    let host = host.to_str().map(bare).unwrap_or_default();
    if is_own(config, &host) {
        return Ok(());
    }
    let told = format!("this node is not called {host:?}; add that name to server.allowed_hosts if it is");
    Err(Refused::new(421, told))
}

/// An address cannot be pointed elsewhere; a name is the node's when the operator or the standard says so.
fn is_own(config: &Config, host: &str) -> bool {
    let number = host.trim_start_matches('[').trim_end_matches(']');
    let public = config.server.public_url.as_deref().and_then(|url| url.split_once("://")).map(|(_, rest)| rest);
    let public = public.map(|rest| bare(rest.split('/').next().unwrap_or(rest)));
    host.is_empty()
        || number.parse::<IpAddr>().is_ok()
        || host == "localhost"
        || host.ends_with(".localhost")
        || public.is_some_and(|public| public == host)
        || config.server.allowed_hosts.iter().any(|name| bare(name) == host)
}

fn is_foreign(config: &Config, meta: &Meta, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let text = origin.to_str().unwrap_or_default();
    let is_listed = || origins(config).iter().any(|listed| listed.eq_ignore_ascii_case(text));
    let authority =
        |url: &str| url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest).to_owned());
    let is_at = |base: String| {
        authority(&base).is_some_and(|own| authority(text).is_some_and(|a| a.eq_ignore_ascii_case(&own)))
    };
    !is_at(own_url::base(config, meta, headers)) && !is_at(own_url::of_request(config, meta, headers)) && !is_listed()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::link::meta::{BodyKind, Call};

    fn open(origins: &[&str]) -> Config {
        let mut config = Config::defaults();
        config.auth.enabled = false;
        config.cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        config.server.allowed_hosts = vec!["nas.lan".into()];
        config
    }

    fn asked(config: &Config, listener: &str, method: Method, host: &'static str, origin: &'static str) -> bool {
        let meta = Meta {
            call: Call::Decide,
            peer: "127.0.0.1:9".parse().ok(),
            listener: listener.parse().ok(),
            body: BodyKind::None,
            is_head: false,
        };
        let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
        if !origin.is_empty() {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        check(config, &meta, &method, &headers).is_ok()
    }

    #[test]
    fn on_loopback_the_node_answers_to_its_own_names() {
        let config = open(&["*"]);
        for (host, admitted) in [
            ("127.0.0.1:8765", true),
            ("[::1]:8765", true),
            ("localhost:8765", true),
            ("box.localhost", true),
            ("NAS.lan:8765", true),
            ("rebound.evil.example:8765", false),
            ("127.0.0.1.evil.example", false),
        ] {
            assert_eq!(asked(&config, "127.0.0.1:8765", Method::GET, host, ""), admitted, "{host}");
            assert!(asked(&config, "192.0.2.1:8765", Method::GET, host, ""), "{host}: not on loopback");
            assert!(asked(&Config::defaults(), "127.0.0.1:8765", Method::GET, host, ""), "{host}: a token is needed");
        }
    }

    #[test]
    fn a_page_that_is_not_listed_changes_nothing() {
        let config = open(&["*", "https://listed.example"]);
        for (origin, admitted) in [
            ("", true),
            ("http://127.0.0.1:8765", true),
            ("https://listed.example", true),
            ("https://evil.example", false),
            ("null", false),
            ("http://127.0.0.1:9999", false),
        ] {
            for method in [Method::POST, Method::PATCH, Method::DELETE] {
                assert_eq!(asked(&config, "127.0.0.1:8765", method, "127.0.0.1:8765", origin), admitted, "{origin}");
            }
            assert!(asked(&config, "127.0.0.1:8765", Method::GET, "127.0.0.1:8765", origin));
        }
        assert_eq!(origins(&config), ["https://listed.example"]);
        assert_eq!(origins(&Config::defaults()), ["*"]);
    }
}
