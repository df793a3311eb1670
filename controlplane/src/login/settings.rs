//! The provider's settings, checked once: what is left after [`Settings::read`] can be used as it stands.

use reqwest::Url;
use thiserror::Error;

use super::fetch::is_protected;
use crate::config::Oidc;
use crate::core::Secret;

/// Where the provider sends browsers back to, below this node's address.
const CALLBACK_PATH: &str = "/api/users/callback";

/// Hosts that a configured callback cannot mean: the browser is on another machine (easytransfer/CONTRACT.md §6.1).
const NOT_PUBLIC: [&str; 3] = ["localhost", "127.0.0.1", "0.0.0.0"];

/// `user_system.oidc.*`, complete.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuer, without a slash at the end.
    pub issuer: String,
    /// This node at the provider.
    pub client_id: String,
    /// Its password there.
    pub client_secret: Secret,
    /// Where the provider sends browsers back to.
    pub callback: Callback,
    /// Scopes, with one space between; `openid` is among them unless the endpoints are configured.
    pub scope: String,
    /// Of a provider of plain OAuth 2, which has no discovery document.
    pub endpoints: Option<Configured>,
}

/// Endpoints that stand in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// For browsers.
    pub authorize: Url,
    /// Code for token.
    pub token: Url,
    /// Token for claims.
    pub user_info: Url,
}

/// Settings that no person can sign in with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// The issuer cannot be asked.
    #[error("user_system.oidc.issuer_url: expected https://host[/path] (plain http only on this machine), got {0:?}")]
    Issuer(String),
    /// An endpoint cannot be asked, or not all of them are there.
    #[error(
        "user_system.oidc.{key}: expected https://… (plain http only on this machine), as authorize_url, token_url and \
         userinfo_url together, got {value:?}"
    )]
    Endpoint {
        /// Which.
        key: &'static str,
        /// As it is written.
        value: String,
    },
    /// The callback is no place for a browser.
    #[error(
        "user_system.oidc.callback_url: expected the public https://host or https://host{CALLBACK_PATH}, got {0:?}"
    )]
    Callback(String),
    /// No client for outgoing requests.
    #[error("prepare requests to the login provider: {reason}; are the system's CA certificates installed?")]
    Client {
        /// What the TLS or HTTP library said.
        reason: String,
    },
}

impl Settings {
    /// `None` without issuer, client id or client secret: then there is no login here (501).
    pub fn read(oidc: &Oidc) -> Result<Option<Self>, SettingsError> {
        let secret = &oidc.client_secret.0;
        if oidc.issuer_url.is_empty() || oidc.client_id.is_empty() || secret.expose().is_empty() {
            return Ok(None);
        }
        let issuer = oidc.issuer_url.trim_end_matches('/');
        let is_usable =
            Url::parse(issuer).is_ok_and(|url| is_protected(&url) && url.query().is_none() && url.fragment().is_none());
        if !is_usable {
            return Err(SettingsError::Issuer(oidc.issuer_url.clone()));
        }
        let endpoints = Configured::read(oidc)?;
        Ok(Some(Self {
            issuer: issuer.to_owned(),
            client_id: oidc.client_id.clone(),
            client_secret: secret.clone(),
            callback: Callback::read(&oidc.callback_url)?,
            scope: match &endpoints {
                None => scope(&oidc.scope),
                Some(_) => oidc.scope.split_whitespace().collect::<Vec<_>>().join(" "),
            },
            endpoints,
        }))
    }
}

impl Configured {
    /// All three, or none.
    fn read(oidc: &Oidc) -> Result<Option<Self>, SettingsError> {
        let all = [
            ("authorize_url", &oidc.authorize_url),
            ("token_url", &oidc.token_url),
            ("userinfo_url", &oidc.userinfo_url),
        ];
        if all.iter().all(|(_, value)| value.is_empty()) {
            return Ok(None);
        }
        let read = |(key, value): (&'static str, &String)| {
            let wrong = || SettingsError::Endpoint { key, value: value.clone() };
            Url::parse(value).ok().filter(is_protected).ok_or_else(wrong)
        };
        let [authorize, token, user_info] = all;
        Ok(Some(Self { authorize: read(authorize)?, token: read(token)?, user_info: read(user_info)? }))
    }
}

/// Without `openid` a provider gives no ID token, and then no person could sign in.
fn scope(configured: &str) -> String {
    let mut words: Vec<&str> = configured.split_whitespace().collect();
    if !words.contains(&"openid") {
        words.insert(0, "openid");
    }
    words.join(" ")
}

/// The callback rule of easytransfer/CONTRACT.md §6.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callback {
    /// This address, whatever the request says.
    Fixed(String),
    /// None is configured: below the address the request came to.
    FromRequest,
}

impl Callback {
    /// Empty text means that none is configured, and so does an address that only this machine can reach.
    pub fn read(configured: &str) -> Result<Self, SettingsError> {
        if configured.is_empty() {
            return Ok(Self::FromRequest);
        }
        let wrong = || SettingsError::Callback(configured.to_owned());
        let mut url = Url::parse(configured).map_err(|_| wrong())?;
        let host = url.host_str().ok_or_else(wrong)?;
        if !matches!(url.scheme(), "http" | "https") || url.fragment().is_some() {
            return Err(wrong());
        }
        if NOT_PUBLIC.contains(&host) {
            return Ok(Self::FromRequest);
        }
        if url.path() == "/" {
            url.set_path(CALLBACK_PATH);
        }
        Ok(Self::Fixed(url.into()))
    }

    /// The redirect URI of a login; `base` is scheme and authority of the request.
    pub fn url(&self, base: &str) -> String {
        match self {
            Self::Fixed(url) => url.clone(),
            Self::FromRequest => format!("{}{CALLBACK_PATH}", base.trim_end_matches('/')),
        }
    }
}

/// `<base of the callback>/l/<link>`: the authorize URL for people who type. The base is what stands before the callback's
/// path, a proxy's prefix included; of a callback with a path of its own it is the origin.
pub fn short_url(callback: &str, link: &str) -> String {
    let origin = || Url::parse(callback).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization());
    let base = callback.strip_suffix(CALLBACK_PATH).map_or_else(origin, str::to_owned);
    format!("{base}/l/{link}")
}

/// The path of the cookies of a login: the directory of the callback, as the browser sees it. The pages' forms go below it.
pub fn cookie_path(callback: &str) -> String {
    let path = Url::parse(callback).map_or_else(|_| CALLBACK_PATH.to_owned(), |url| url.path().to_owned());
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    if directory.is_empty() { "/".to_owned() } else { directory.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Password;

    fn oidc(issuer_url: &str, callback_url: &str) -> Oidc {
        Oidc {
            issuer_url: issuer_url.into(),
            client_id: "node".into(),
            client_secret: Password(Secret::new("hunter2")),
            callback_url: callback_url.into(),
            scope: "profile  email".into(),
            authorize_url: String::new(),
            token_url: String::new(),
            userinfo_url: String::new(),
        }
    }

    #[test]
    fn section_6_1_callback_is_the_configured_one_unless_only_this_machine_reaches_it() {
        let base = "http://10.0.0.5:8765";
        for (configured, url) in [
            ("", "http://10.0.0.5:8765/api/users/callback"),
            ("https://files.example/api/users/callback", "https://files.example/api/users/callback"),
            // A bare origin, as [0.1.26] wants it.
            ("https://files.example", "https://files.example/api/users/callback"),
            ("https://files.example:8443/", "https://files.example:8443/api/users/callback"),
            // Any other path is the operator's: a proxy may rewrite it.
            ("https://example.org/et/api/users/callback", "https://example.org/et/api/users/callback"),
            ("http://localhost:8765/api/users/callback", "http://10.0.0.5:8765/api/users/callback"),
            ("http://LOCALHOST", "http://10.0.0.5:8765/api/users/callback"),
            ("http://127.0.0.1:8765", "http://10.0.0.5:8765/api/users/callback"),
            ("https://0.0.0.0/api/users/callback", "http://10.0.0.5:8765/api/users/callback"),
            ("https://localhost.example", "https://localhost.example/api/users/callback"),
        ] {
            assert_eq!(Callback::read(configured).map(|callback| callback.url(base)), Ok(url.into()), "{configured}");
        }
        for wrong in ["files.example", "ftp://files.example", "javascript:alert(1)", "https://", "https://a.b/#x"] {
            assert_eq!(Callback::read(wrong), Err(SettingsError::Callback(wrong.into())), "{wrong}");
        }
    }

    #[test]
    fn section_6_1_without_issuer_id_and_secret_there_is_no_login() {
        let whole = oidc("https://id.example/", "");
        let settings = Settings::read(&whole).unwrap().unwrap();
        assert_eq!((settings.issuer.as_str(), settings.scope.as_str()), ("https://id.example", "openid profile email"));
        for part in [
            Oidc { issuer_url: String::new(), ..whole.clone() },
            Oidc { client_id: String::new(), ..whole.clone() },
            Oidc { client_secret: Password::default(), ..whole.clone() },
        ] {
            assert!(Settings::read(&part).unwrap().is_none());
        }
        assert!(!format!("{whole:?}{settings:?}").contains("hunter2"));
    }

    #[test]
    fn section_5_the_issuer_is_asked_over_tls_except_on_this_machine() {
        for good in ["https://id.example", "https://id.example/realms/x", "http://127.0.0.1:9000", "http://[::1]:1"] {
            assert!(Settings::read(&oidc(good, "")).is_ok(), "{good}");
        }
        for bad in ["http://id.example", "id.example", "file:///etc/passwd", "https://id.example?x=1"] {
            assert_eq!(Settings::read(&oidc(bad, "")).unwrap_err(), SettingsError::Issuer(bad.into()), "{bad}");
        }
    }

    #[test]
    fn section_6_1_a_short_url_is_below_the_callbacks_origin() {
        assert_eq!(short_url("https://a.example:8443/api/users/callback", "x"), "https://a.example:8443/l/x");
        assert_eq!(short_url("https://a.example/et/api/users/callback", "x"), "https://a.example/et/l/x");
        assert_eq!(short_url("https://a.example/signed-in", "x"), "https://a.example/l/x");
    }

    #[test]
    fn cookies_of_a_login_go_where_the_browser_comes_back() {
        for (callback, path) in [
            ("https://a.example/api/users/callback", "/api/users"),
            ("https://a.example/et/api/users/callback", "/et/api/users"),
            ("https://a.example/signed-in", "/"),
        ] {
            assert_eq!(cookie_path(callback), path, "{callback}");
        }
    }

    #[test]
    fn endpoints_are_configured_together_and_protected() {
        let all = |authorize: &str, token: &str, user_info: &str| Oidc {
            authorize_url: authorize.into(),
            token_url: token.into(),
            userinfo_url: user_info.into(),
            ..oidc("https://id.example", "")
        };
        let good = Settings::read(&all("https://id.example/a", "https://id.example/t", "https://api.example/me"));
        let good = good.unwrap().unwrap();
        assert_eq!(good.endpoints.unwrap().user_info.as_str(), "https://api.example/me");
        assert_eq!(good.scope, "profile email", "a provider of plain OAuth 2 may refuse a scope it does not know");
        for (endpoints, key) in [
            (all("https://id.example/a", "", ""), "token_url"),
            (all("", "https://id.example/t", "https://id.example/u"), "authorize_url"),
            (all("https://id.example/a", "https://id.example/t", "http://id.example/u"), "userinfo_url"),
        ] {
            let error = Settings::read(&endpoints).unwrap_err();
            assert!(matches!(error, SettingsError::Endpoint { key: told, .. } if told == key), "{error}");
        }
    }
}
