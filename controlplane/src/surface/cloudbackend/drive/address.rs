//! What the bucket is called: what a client is told (CONTRACT.md §A5), and which object a URL of a client names.
//!
//! ```text
//! http://srv:8765/cloud/alice//0f3a.pdf     path style, on any name of this server
//! http://cloud.oss.test/alice//0f3a.pdf     the bucket's own host, when the endpoint has a name
//! ```
//!
//! Must stay true: whatever a URL says, its object is one of this bucket's; scheme and port do not count, the path is
//! decoded once, and a URL with a query or a fragment names nothing.

use http::HeaderMap;

use crate::config::Config;
use crate::config::surfaces::host::bare;
use crate::link::meta::Meta;
use crate::surface::cloudbackend::api::RequestContext;
use crate::surface::cloudbackend::oss::key::Key;
use crate::surface::cloudbackend::settings::CloudBackend;
use crate::surface::own_url;

/// The names of the bucket, as one client reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Where forms are posted, no slash at its end; objects stand below it.
    pub host: String,
    /// `endpoint` of tokens.
    pub endpoint: String,
    /// Host and path that objects may stand below.
    aliases: Vec<(String, String)>,
}

impl Address {
    /// For the client of a request.
    pub fn of_request(context: &RequestContext<'_>) -> Self {
        Self::of(&context.config, &context.meta, &context.headers, &context.mounted.prefix)
    }

    /// For a request that came to `prefix`.
    fn of(config: &Config, meta: &Meta, headers: &HeaderMap, prefix: &str) -> Self {
        let cloud = config.surfaces.of::<CloudBackend>();
        let own = own_url::of_request(config, meta, headers);
        let public = own_url::base(config, meta, headers);
        let host = cloud.oss_public_host.as_ref().map(|url| url.0.clone());
        let host = host.unwrap_or_else(|| format!("{public}{prefix}/{}", cloud.bucket));
        let endpoint = cloud.oss_endpoint.clone().unwrap_or_else(|| public.clone());
        let names = [own.as_str(), &public, &endpoint].into_iter().chain(cloud.mount.hosts.iter().map(String::as_str));
        let names: Vec<String> = names.map(|name| split(name).0).collect();
        let prefixes = [prefix, cloud.mount.on_main().unwrap_or_default(), ""];
        let by_path = |name: &String| prefixes.map(|prefix| (name.clone(), format!("{prefix}/{}", cloud.bucket)));
        let aliases = names.iter().flat_map(by_path);
        let aliases = aliases.chain(cloud.bucket_host().map(|host| (host, String::new()))).chain([split(&host)]);
        Self { aliases: aliases.collect(), host, endpoint }
    }

    /// The URL of an object.
    pub fn url(&self, key: &Key) -> String {
        format!("{}/{}", self.host, key.encoded())
    }

    /// The object a URL names; `None`: none of this bucket.
    pub fn key(&self, url: &str) -> Option<Key> {
        let (host, path) = split(url);
        if host.contains('@') || path.contains(['?', '#']) {
            return None;
        }
        let key = |(alias, base): &(String, String)| {
            let raw = path.strip_prefix(base.as_str())?.strip_prefix('/')?;
            (*alias == host).then(|| Key::of_path(raw).ok()).flatten()
        };
        self.aliases.iter().find_map(key)
    }
}

/// Host without port, and path with what follows it, of a URL or of what begins with a host. A host with a user in front of
/// it is no prefix here, so it is left whole.
fn split(url: &str) -> (String, String) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = if authority.contains('@') { authority.to_owned() } else { bare(authority) };
    (host, path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::surfaces::BaseUrl;
    use crate::link::meta::{BodyKind, Call};

    fn address(prefix: &str, change: impl FnOnce(&mut Config)) -> Address {
        let meta = Meta {
            call: Call::Decide,
            peer: "192.0.2.9:1".parse().ok(),
            listener: "192.0.2.1:80".parse().ok(),
            body: BodyKind::None,
            is_head: false,
        };
        let mut config = Config::defaults();
        change(&mut config);
        let headers = HeaderMap::from_iter([(http::header::HOST, "srv:8765".parse().unwrap())]);
        Address::of(&config, &meta, &headers, prefix)
    }

    #[test]
    fn a5_what_a_client_is_told() {
        for (prefix, endpoint, public, host, told) in [
            ("", None, None, "http://srv:8765/cloud", "http://srv:8765"),
            ("/cb", None, None, "http://srv:8765/cb/cloud", "http://srv:8765"),
            ("", Some("oss.test"), None, "http://srv:8765/cloud", "oss.test"),
            ("", Some("oss.test"), Some("https://cloud.oss.test/"), "https://cloud.oss.test", "oss.test"),
            ("", None, Some("https://cdn.test/a/b"), "https://cdn.test/a/b", "http://srv:8765"),
        ] {
            let address = address(prefix, |config| {
                let cloud = config.surfaces.of_mut::<CloudBackend>();
                cloud.oss_endpoint = endpoint.map(str::to_owned);
                cloud.oss_public_host = public.map(|url| BaseUrl(url.trim_end_matches('/').to_owned()));
            });
            assert_eq!((address.host.as_str(), address.endpoint.as_str()), (host, told));
            let key = Key::new("alice//报告 #1%+.pdf").unwrap();
            let url = address.url(&key);
            assert!(url.ends_with("/alice//%E6%8A%A5%E5%91%8A%20%231%25%2B.pdf"), "{url}");
            assert_eq!(address.key(&url), Some(key));
        }
    }

    #[test]
    fn a5_only_objects_of_this_bucket_have_a_url() {
        let address = address("", |config| {
            config.server.public_url = Some("https://files.example.org".into());
            let cloud = config.surfaces.of_mut::<CloudBackend>();
            cloud.oss_endpoint = Some("https://oss.test:9/x".into());
            cloud.oss_public_host = Some(BaseUrl("https://cdn.test/a/b".into()));
            cloud.mount.hosts = vec!["drive.test".into()];
        });
        for (url, key) in [
            ("http://srv:8765/cloud/alice//a.pdf", Some("alice//a.pdf")),
            ("https://SRV./cloud/alice/a", Some("alice/a")),
            ("https://files.example.org/cloud/alice/a", Some("alice/a")),
            ("https://drive.test/cloud/alice/a", Some("alice/a")),
            ("https://oss.test/cloud/alice/a", Some("alice/a")),
            ("http://cloud.oss.test/alice/a", Some("alice/a")),
            ("http://cloud.oss.test/cloud/a", Some("cloud/a")),
            ("https://cdn.test/a/b/alice/a", Some("alice/a")),
            ("http://srv/cloud/alice%2Fa", Some("alice/a")),
            ("http://srv/cloud/alice/%252F", Some("alice/%2F")),
            ("http://srv/cloud/alice/报告", Some("alice/报告")),
            ("http://srv/cloud/alice/../bob/a", Some("alice/../bob/a")),
            ("http://srv/cloud/%2e%2e/bob", Some("../bob")),
            ("http://srv/cloud/alice/a+b", Some("alice/a+b")),
            ("http://srv/cloud/al@ice/a", Some("al@ice/a")),
            ("http://srv/cloud", None),
            ("http://srv/cloud/", None),
            ("http://srv/cloud//x", None),
            ("http://srv/clouds/alice/a", None),
            ("http://srv/%63loud/alice/a", None),
            ("http://srv/x/../cloud/alice/a", None),
            ("http://srv/alice/a", None),
            ("http://evil.test/cloud/alice/a", None),
            ("http://srv.evil.test/cloud/alice/a", None),
            ("http://srv@evil.test/cloud/alice/a", None),
            ("http://alice@srv/cloud/alice/a", None),
            ("http://srv:x@evil.test/cloud/alice/a", None),
            ("http://evil.test\\srv/cloud/alice/a", None),
            ("http://cloud.evil.test/alice/a", None),
            ("http://cdn.test/alice/a", None),
            ("http://srv/cloud/alice/a?x=y", None),
            ("http://srv/cloud/alice/a#x", None),
            ("http://srv/cloud/alice/%", None),
            ("http://srv/cloud/alice/%ff", None),
            ("/cloud/alice/a", None),
            ("", None),
        ] {
            assert_eq!(address.key(url).as_ref().map(Key::as_str), key, "{url}");
        }
    }
}
